//! A request needs 5 ms for the answer and 40 ms for an e-mail that nobody awaits.
//! What does it gain to hand the e-mail to a background worker?
//!
//! Look at the answer, which comes after 5 ms instead of 45, and at `work`, which
//! is the same: the machine does no less. Then at the last column: above 25 a second
//! the worker is behind from the first second on, and what the user is spared waits
//! in the queue. With a limit it is full after a while; then say what happens.
//!
//! Simplified: arrivals are evenly spaced, the web server has cores enough, there is
//! one worker, and the queue is in memory: a crash loses what waits in it.

use std::collections::VecDeque;

const ANSWER_MS: u64 = 5;
const MAIL_MS: u64 = 40; // one worker sends 25 a second
const QUEUE_LEN_MAX: usize = 100;
const SPAN_MS: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// Refuse to take the job; the caller does it itself, and the user waits.
    DoItYourself,
    Drop,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    answers_ms: Vec<u64>,
    mails_late_ms: Vec<u64>, // from the request until the e-mail is out
    lost: usize,
    work_ms: u64,
    first_full_ms: Option<u64>,
}

fn synchronous(gap_ms: u64) -> Outcome {
    let mut outcome = Outcome::default();
    for _request in (0..SPAN_MS).step_by(gap_ms as usize) {
        outcome.answers_ms.push(ANSWER_MS + MAIL_MS);
        outcome.mails_late_ms.push(ANSWER_MS + MAIL_MS);
        outcome.work_ms += ANSWER_MS + MAIL_MS;
    }
    outcome
}

// ANCHOR: background
fn background(gap_ms: u64, when_full: WhenFull) -> Outcome {
    let mut outcome = Outcome::default();
    // When each accepted e-mail will be out: the worker takes them in turn.
    let mut out_at = VecDeque::new();
    let mut worker_free_at = 0;
    for now in (0..SPAN_MS).step_by(gap_ms as usize) {
        while out_at.front().is_some_and(|at| *at <= now) {
            out_at.pop_front();
        }
        outcome.work_ms += ANSWER_MS;
        if out_at.len() < QUEUE_LEN_MAX {
            worker_free_at = worker_free_at.max(now + ANSWER_MS) + MAIL_MS;
            out_at.push_back(worker_free_at);
            outcome.answers_ms.push(ANSWER_MS);
            outcome.mails_late_ms.push(worker_free_at - now);
            outcome.work_ms += MAIL_MS;
            continue;
        }
        outcome.first_full_ms.get_or_insert(now);
        match when_full {
            WhenFull::DoItYourself => {
                outcome.answers_ms.push(ANSWER_MS + MAIL_MS);
                outcome.mails_late_ms.push(ANSWER_MS + MAIL_MS);
                outcome.work_ms += MAIL_MS;
            }
            WhenFull::Drop => {
                outcome.answers_ms.push(ANSWER_MS);
                outcome.lost += 1;
            }
        }
    }
    outcome
}
// ANCHOR_END: background

fn mean(times: &[u64]) -> f64 {
    times.iter().sum::<u64>() as f64 / times.len() as f64
}

fn row(name: &str, outcome: &Outcome) {
    let latest = outcome.mails_late_ms.iter().max().copied().unwrap_or(0);
    let answers = &outcome.answers_ms;
    print!("  {name:<21} {:>6.1} ms", mean(answers));
    print!(" {:>7.1} s {latest:>8} ms", outcome.work_ms as f64 / 1e3);
    let full = outcome
        .first_full_ms
        .map(|ms| format!("{:.1} s", ms as f64 / 1e3));
    println!(
        " {:>6} {:>9}",
        outcome.lost,
        full.as_deref().unwrap_or("never")
    );
}

fn main() {
    println!("a second              mean answer      work   latest   lost    full");
    println!("                                            e-mail           after");
    for (per_s, gap_ms) in [(20, 50), (40, 25)] {
        println!("{per_s} requests");
        row("in the request", &synchronous(gap_ms));
        row(
            "queue, else yourself",
            &background(gap_ms, WhenFull::DoItYourself),
        );
        row("queue, else drop", &background(gap_ms, WhenFull::Drop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_sooner_and_the_work_is_the_same() {
        let (now, later) = (synchronous(50), background(50, WhenFull::DoItYourself));
        assert_eq!((now.answers_ms[0], later.answers_ms[0]), (45, 5));
        assert_eq!(now.work_ms, later.work_ms);
        assert_eq!(later.first_full_ms, None);
    }

    #[test]
    fn more_than_the_worker_can_do_fills_any_queue() {
        // 40 a second come and 25 leave: 100 places last 100 / 15 = 6.7 s.
        let full = background(25, WhenFull::Drop).first_full_ms.unwrap();
        assert!((6_500..6_900).contains(&full), "{full}");
        // A place is free again at the moment at which its e-mail is out.
        let kept = (SPAN_MS / 25) as usize - background(25, WhenFull::Drop).lost;
        let out = ((SPAN_MS - ANSWER_MS) / MAIL_MS) as usize;
        assert!((out + QUEUE_LEN_MAX).abs_diff(kept) <= 1, "{kept}");
    }

    #[test]
    fn a_full_queue_delays_by_its_length_times_the_work() {
        let latest = background(25, WhenFull::Drop)
            .mails_late_ms
            .into_iter()
            .max();
        let expected = QUEUE_LEN_MAX as u64 * MAIL_MS;
        assert_eq!(latest, Some(expected));
    }

    #[test]
    fn when_full_something_is_lost_or_someone_waits() {
        let yourself = background(25, WhenFull::DoItYourself);
        let drop = background(25, WhenFull::Drop);
        assert_eq!(yourself.lost, 0);
        assert!(yourself.answers_ms.contains(&45));
        assert!(drop.lost > 0 && drop.answers_ms.iter().all(|ms| *ms == 5));
    }

    #[test]
    fn every_request_is_answered_and_every_mail_sent_or_counted_as_lost() {
        for gap_ms in 10..80 {
            for when_full in [WhenFull::DoItYourself, WhenFull::Drop] {
                let outcome = background(gap_ms, when_full);
                let requests = SPAN_MS.div_ceil(gap_ms) as usize;
                assert_eq!(outcome.answers_ms.len(), requests);
                assert_eq!(outcome.mails_late_ms.len() + outcome.lost, requests);
            }
        }
    }
}
