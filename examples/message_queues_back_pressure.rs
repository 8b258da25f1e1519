//! More comes in than goes out. Who pays: the memory, the sender or the message?
//!
//! A consumer does 100 messages a second. Sixty a second arrive; for one minute it
//! is 120. Look first at the queue without a limit: nothing is lost, and messages
//! wait for twelve seconds, long after the rush. Then at three ways to be full.
//! Little's law: messages in the queue on average = rate x time in the queue. The
//! last table has no rush at all.
//!
//! Simplified: the queue is in memory, of which there is enough; whoever has to
//! block waits and then sends.

use fastrand::Rng;
use std::collections::VecDeque;

const SERVICE_MS: u64 = 10;
const QUEUE_LEN_MAX: usize = 100;
const RUSH_MS: std::ops::Range<u64> = 10_000..70_000;
const RUN_MS: u64 = 180_000;
const CALM_PER_S: u64 = 60;
const RUSH_PER_S: u64 = 120;

// ANCHOR: full
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    Grow,
    Block,
    RefuseNew,
    DropOldest,
}
use WhenFull::*;

#[derive(Default)]
struct Queue {
    sent_ms: VecDeque<u64>,
    lost: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Queued,
    TryLater, // this is back-pressure: the sender learns of it
    Refused,
}

impl Queue {
    fn send(&mut self, sent_ms: u64, when_full: WhenFull) -> Answer {
        if self.sent_ms.len() >= QUEUE_LEN_MAX {
            match when_full {
                Grow => {}
                Block => return Answer::TryLater,
                RefuseNew => {
                    self.lost += 1;
                    return Answer::Refused;
                }
                DropOldest => {
                    self.sent_ms.pop_front();
                    self.lost += 1;
                }
            }
        }
        self.sent_ms.push_back(sent_ms);
        Answer::Queued
    }
}
// ANCHOR_END: full

struct Outcome {
    len_max: usize,
    len_mean: f64,
    done: usize,
    lost: usize,
    waits_ms: Vec<u64>,  // in the queue, of those that were done
    rush_ms: Vec<u64>,   // the same, of those sent in the rush; sorted
    blocked_ms_max: u64, // at the sender, before the queue
}

fn run(when_full: WhenFull) -> Outcome {
    let mut queue = Queue::default();
    let mut senders = VecDeque::<u64>::new(); // since when they want to
    let (mut thousandths, mut len_sum, mut len_max, mut blocked_ms_max) =
        (0, 0, 0, 0);
    let (mut waits_ms, mut rush_ms) = (vec![], vec![]);
    for now_ms in 0..RUN_MS {
        let is_rush = RUSH_MS.contains(&now_ms);
        thousandths += if is_rush { RUSH_PER_S } else { CALM_PER_S };
        if thousandths >= 1_000 {
            thousandths -= 1_000;
            senders.push_back(now_ms);
        }
        while let Some(since_ms) = senders.front() {
            blocked_ms_max = blocked_ms_max.max(now_ms - since_ms);
            if queue.send(now_ms, when_full) == Answer::TryLater {
                break;
            }
            senders.pop_front();
        }
        if now_ms % SERVICE_MS == 0 {
            if let Some(sent_ms) = queue.sent_ms.pop_front() {
                waits_ms.push(now_ms - sent_ms);
                if RUSH_MS.contains(&sent_ms) {
                    rush_ms.push(now_ms - sent_ms);
                }
            }
        }
        len_sum += queue.sent_ms.len();
        len_max = len_max.max(queue.sent_ms.len());
    }
    rush_ms.sort_unstable();
    Outcome {
        len_max,
        len_mean: len_sum as f64 / RUN_MS as f64,
        done: waits_ms.len(),
        lost: queue.lost,
        waits_ms,
        rush_ms,
        blocked_ms_max,
    }
}

impl Outcome {
    fn wait_ms_mean(&self) -> f64 {
        self.waits_ms.iter().sum::<u64>() as f64 / self.done as f64
    }

    fn rush_s_at(&self, percent: usize) -> f64 {
        self.rush_ms[(self.rush_ms.len() - 1) * percent / 100] as f64 / 1_000.0
    }
}

/// Messages wait for those before them: the wait of each follows from that of the
/// one before. Arrivals and work take random times with these means. Mean wait.
fn random_wait_ms(percent_busy: u64, messages: u32, rng: &mut Rng) -> f64 {
    let work_ms = SERVICE_MS as f64;
    let gap_ms = work_ms * 100.0 / percent_busy as f64;
    let mut random = |mean: f64| -mean * (1.0 - rng.f64()).ln();
    let (mut wait_ms, mut sum_ms) = (0.0_f64, 0.0);
    for _ in 0..messages {
        sum_ms += wait_ms;
        wait_ms = (wait_ms + random(work_ms) - random(gap_ms)).max(0.0);
    }
    sum_ms / f64::from(messages)
}

fn main() {
    println!("100/s are done; 60/s arrive, for a minute 120/s\n");
    println!("when full, at       longest   lost   in the rush: wait    sender");
    println!("{QUEUE_LEN_MAX:<20}queue            half     1 in 100    waits\n");
    for (name, when_full) in [
        ("no limit", Grow),
        ("block", Block),
        ("refuse the new", RefuseNew),
        ("drop the oldest", DropOldest),
    ] {
        let outcome = run(when_full);
        println!(
            "{name:<20}{:<10}{:<7}{:<9}{:<12}{:.1} s",
            outcome.len_max,
            outcome.lost,
            format!("{:.1} s", outcome.rush_s_at(50)),
            format!("{:.1} s", outcome.rush_s_at(99)),
            outcome.blocked_ms_max as f64 / 1_000.0,
        );
    }
    let outcome = run(Grow);
    let per_s = outcome.done as f64 / (RUN_MS / 1_000) as f64;
    let wait_s = outcome.wait_ms_mean() / 1_000.0;
    println!(
        "\nno limit, on average: {:.0} messages wait",
        outcome.len_mean
    );
    println!(
        "{per_s:.1} a second x {wait_s:.2} s = {:.0}",
        per_s * wait_s
    );

    println!("\nno rush, random arrivals and work:");
    println!("busy              50 %      80 %      90 %      95 %");
    let mut rng = Rng::with_seed(3);
    let waits = [50, 80, 90, 95].map(|busy| random_wait_ms(busy, 200_000, &mut rng));
    let cells = waits.map(|ms| format!("{:<10}", format!("{ms:.0} ms")));
    println!("mean wait         {}", cells.concat().trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_the_rush_makes_the_queue_and_the_wait_grow() {
        let outcome = run(Grow);
        let surplus_per_s = RUSH_PER_S - 1_000 / SERVICE_MS;
        let expected = (surplus_per_s * 60) as f64;
        assert!((outcome.len_max as f64 / expected - 1.0).abs() < 0.02);
        assert_eq!((outcome.lost, outcome.blocked_ms_max), (0, 0));
        let longest_ms = outcome.len_max as u64 * SERVICE_MS;
        assert!(
            outcome.rush_ms[outcome.rush_ms.len() - 1].abs_diff(longest_ms) < 200
        );
    }

    #[test]
    fn a_full_queue_makes_the_sender_wait_or_loses_messages() {
        let [block, refuse, drop] = [Block, RefuseNew, DropOldest].map(run);
        for bounded in [&block, &refuse, &drop] {
            assert_eq!(bounded.len_max, QUEUE_LEN_MAX);
            let longest_ms = QUEUE_LEN_MAX as u64 * SERVICE_MS;
            assert!(bounded.waits_ms.iter().all(|ms| *ms <= longest_ms));
        }
        assert_eq!(block.lost, 0);
        assert!(
            block.blocked_ms_max > 10_000,
            "the wait moved to the sender"
        );
        assert_eq!(refuse.lost, drop.lost);
        assert!(refuse.lost > 1_000 && refuse.blocked_ms_max == 0);
        let fresher = drop.rush_s_at(50) < refuse.rush_s_at(50);
        assert!(fresher, "the oldest, which waited longest, are gone");
    }

    #[test]
    fn each_policy_pays_with_another_message() {
        let full = |when_full| {
            let mut queue = Queue::default();
            (0..QUEUE_LEN_MAX as u64).for_each(|sent_ms| {
                queue.send(sent_ms, when_full);
            });
            let answer = queue.send(900, when_full);
            let ends = [queue.sent_ms.front(), queue.sent_ms.back()];
            (answer, ends.map(|sent_ms| *sent_ms.expect("not empty")))
        };
        assert_eq!(full(Grow), (Answer::Queued, [0, 900]));
        assert_eq!(full(Block), (Answer::TryLater, [0, 99]));
        assert_eq!(full(RefuseNew), (Answer::Refused, [0, 99]));
        assert_eq!(full(DropOldest), (Answer::Queued, [1, 900]));
    }

    #[test]
    fn blocked_senders_send_everything_in_the_end() {
        assert_eq!(run(Block).done, run(Grow).done);
    }

    #[test]
    fn messages_waiting_are_rate_times_wait() {
        for when_full in [Grow, Block, RefuseNew] {
            let outcome = run(when_full);
            let per_ms = outcome.done as f64 / RUN_MS as f64;
            let expected = per_ms * outcome.wait_ms_mean();
            let error = (outcome.len_mean / expected - 1.0).abs();
            assert!(error < 0.01, "{when_full:?}: {error}");
        }
    }

    #[test]
    fn the_wait_explodes_before_all_capacity_is_used() {
        let mut rng = Rng::with_seed(5);
        for busy in [20, 50, 80, 90] {
            let wait_ms = random_wait_ms(busy, 1_000_000, &mut rng);
            let share = busy as f64 / 100.0;
            let theory_ms = SERVICE_MS as f64 * share / (1.0 - share); // M/M/1
            assert!((wait_ms / theory_ms - 1.0).abs() < 0.1, "{busy}: {wait_ms}");
        }
    }
}
