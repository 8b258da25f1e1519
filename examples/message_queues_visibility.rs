//! A message that is being worked on is hidden from other workers for a while: for
//! how long?
//!
//! Sixty jobs of 5 to 60 seconds, four workers; for one job in ten, the first
//! worker dies half way. Look at the two prices: with a short time-out, jobs are
//! done twice, and long ones are taken away again and again; with a long one, a job
//! whose worker died lies there until it ends. The last line pays neither: the
//! worker extends the time-out while it works.
//!
//! Simplified: a worker that dies is replaced at once; what timed out is given out
//! before what is new; the clock ticks in seconds.

use fastrand::Rng;
use std::collections::VecDeque;

const JOBS: usize = 60;
const WORKERS: usize = 4;
const JOB_S: std::ops::RangeInclusive<u64> = 5..=60;
const DEATHS_ONE_IN: u32 = 10; // of the first attempts
const HEARTBEAT_S: u64 = 4;
const RUN_S_MAX: u64 = 3_600;

type JobId = usize;

// ANCHOR: queue
/// Names one receipt of a message, not the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Receipt {
    job: JobId,
    receive: u32,
}

#[derive(Debug, PartialEq, Eq)]
struct Stale; // the message was given to somebody else since, or is gone

struct Hidden {
    receipt: Receipt,
    until_s: u64,
}

struct Queue {
    time_out_s: u64,
    receives: u32,
    visible: VecDeque<JobId>,
    hidden: Vec<Hidden>,
}

impl Queue {
    fn receive(&mut self, now_s: u64) -> Option<Receipt> {
        let due = self
            .hidden
            .iter()
            .position(|hidden| hidden.until_s <= now_s);
        let job = match due {
            Some(at) => self.hidden.remove(at).receipt.job,
            None => self.visible.pop_front()?,
        };
        self.receives += 1;
        let receive = self.receives;
        let (receipt, until_s) = (Receipt { job, receive }, now_s + self.time_out_s);
        self.hidden.push(Hidden { receipt, until_s });
        Some(receipt)
    }

    fn held(&self, receipt: Receipt) -> Result<usize, Stale> {
        let mut hidden = self.hidden.iter();
        hidden
            .position(|hidden| hidden.receipt == receipt)
            .ok_or(Stale)
    }

    fn ack(&mut self, receipt: Receipt) -> Result<(), Stale> {
        let at = self.held(receipt)?;
        self.hidden.remove(at);
        Ok(())
    }

    /// "I am still working on it": the time-out begins again.
    fn extend(&mut self, receipt: Receipt, now_s: u64) -> Result<(), Stale> {
        let at = self.held(receipt)?;
        self.hidden[at].until_s = now_s + self.time_out_s;
        Ok(())
    }
}
// ANCHOR_END: queue

struct Attempt {
    receipt: Receipt,
    began_s: u64,
    ends_s: u64,
    dies: bool,
}

#[derive(Default)]
struct Outcome {
    done: Vec<u32>, // how often each job was done
    stale_acks: u32,
    waits_s: Vec<u64>, // from a worker's death to the job's next attempt
    all_acked_s: Option<u64>,
}

fn run(time_out_s: u64, heartbeat: bool) -> Outcome {
    let mut rng = Rng::with_seed(7);
    let job_s: Vec<u64> = (0..JOBS).map(|_| rng.u64(JOB_S)).collect();
    let dies = |_| rng.u32(..DEATHS_ONE_IN) == 0;
    let mut dies: Vec<bool> = (0..JOBS).map(dies).collect();
    let mut queue = Queue {
        time_out_s,
        receives: 0,
        visible: (0..JOBS).collect(),
        hidden: vec![],
    };
    let mut outcome = Outcome {
        done: vec![0; JOBS],
        ..Outcome::default()
    };
    let mut workers: [Option<Attempt>; WORKERS] = [const { None }; WORKERS];
    let mut died_s = [None; JOBS];
    for now_s in 0..RUN_S_MAX {
        for worker in &mut workers {
            if let Some(attempt) = worker {
                let (receipt, age_s) = (attempt.receipt, now_s - attempt.began_s);
                if now_s == attempt.ends_s {
                    if attempt.dies {
                        died_s[receipt.job] = Some(now_s);
                    } else {
                        outcome.done[receipt.job] += 1; // the effect
                        let refused = queue.ack(receipt).is_err();
                        outcome.stale_acks += u32::from(refused);
                    }
                    *worker = None;
                } else if heartbeat && age_s % HEARTBEAT_S == 0 {
                    // It has been given away: somebody else does it.
                    if queue.extend(receipt, now_s) == Err(Stale) {
                        *worker = None;
                    }
                }
            }
            if worker.is_none() {
                *worker = queue.receive(now_s).map(|receipt| {
                    let died = died_s[receipt.job].take();
                    outcome
                        .waits_s
                        .extend(died.map(|died_s: u64| now_s - died_s));
                    let dies = std::mem::take(&mut dies[receipt.job]);
                    let whole_s = job_s[receipt.job];
                    let work_s = if dies { whole_s / 2 } else { whole_s };
                    let ends_s = now_s + work_s;
                    Attempt {
                        receipt,
                        began_s: now_s,
                        ends_s,
                        dies,
                    }
                });
            }
        }
        if queue.visible.is_empty() && queue.hidden.is_empty() {
            outcome.all_acked_s = Some(now_s);
            break;
        }
    }
    outcome
}

fn main() {
    println!("{JOBS} jobs of 5 to 60 s, {WORKERS} workers, for at most an hour\n");
    println!(
        "time-out    jobs done    of these    acks       wait after   all acked"
    );
    println!("            at all       again       refused    a death      after\n");
    for (time_out_s, heartbeat) in [
        (10, false),
        (30, false),
        (70, false),
        (300, false),
        (10, true),
    ] {
        let outcome = run(time_out_s, heartbeat);
        let done = outcome.done.iter().filter(|times| **times > 0).count();
        let again = outcome.done.iter().filter(|times| **times > 1).count();
        let waits = outcome.waits_s.len().max(1) as u64;
        let wait_s = outcome.waits_s.iter().sum::<u64>() / waits;
        let all = outcome
            .all_acked_s
            .map_or("never".into(), |s| format!("{s} s"));
        let beat = if heartbeat { "+" } else { "" };
        println!(
            "{:<12}{done:<13}{again:<12}{:<11}{:<13}{all}",
            format!("{time_out_s} s {beat}"),
            outcome.stale_acks,
            format!("{wait_s} s"),
        );
    }
    println!("\n+ the worker extends it every {HEARTBEAT_S} s");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(time_out_s: u64) -> Queue {
        let visible = VecDeque::from([0]);
        Queue {
            time_out_s,
            receives: 0,
            visible,
            hidden: vec![],
        }
    }

    #[test]
    fn a_time_out_shorter_than_the_job_gives_it_to_two_workers() {
        let mut queue = queue(30);
        let slow = queue.receive(0).expect("visible");
        assert_eq!(queue.receive(29), None, "hidden");
        let second = queue.receive(30).expect("visible again");
        assert_eq!(slow.job, second.job);
        assert_eq!(queue.ack(slow), Err(Stale), "at 45 s, when it is done");
        assert_eq!(queue.ack(second), Ok(()));
    }

    #[test]
    fn a_late_ack_counts_if_nobody_received_the_message_since() {
        let mut queue = queue(30);
        let slow = queue.receive(0).expect("visible");
        assert_eq!(queue.ack(slow), Ok(()), "at 45 s");
        assert_eq!(queue.receive(46), None);
    }

    #[test]
    fn an_extended_message_stays_hidden_until_its_worker_stops() {
        let mut queue = queue(10);
        let receipt = queue.receive(0).expect("visible");
        for now_s in (4..=40).step_by(4) {
            assert_eq!(queue.receive(now_s), None);
            assert_eq!(queue.extend(receipt, now_s), Ok(()));
        }
        assert_eq!(queue.receive(49), None);
        assert!(queue.receive(50).is_some());
        assert_eq!(queue.extend(receipt, 51), Err(Stale));
    }

    #[test]
    fn a_short_time_out_repeats_jobs_and_a_long_one_waits_after_a_death() {
        let runs = [10, 30, 70, 300].map(|time_out_s| run(time_out_s, false));
        let again = |run: &Outcome| run.done.iter().filter(|n| **n > 1).count();
        let waited = |run: &Outcome| run.waits_s.iter().copied().max();
        assert_eq!(runs[0].all_acked_s, None, "somebody always takes it away");
        assert!(again(&runs[1]) > 0 && runs[1].stale_acks > 0);
        for run in &runs[2..] {
            assert!(run.done.iter().all(|times| *times == 1));
        }
        assert!(waited(&runs[2]) <= Some(70 + 60) && waited(&runs[3]) > Some(200));
    }

    #[test]
    fn a_heartbeat_repeats_nothing_and_hardly_waits() {
        let run = run(10, true);
        assert!(run.done.iter().all(|times| *times == 1));
        assert!(run.waits_s.iter().all(|wait_s| *wait_s <= 10 + JOB_S.end()));
        assert!(run.all_acked_s.is_some());
    }
}
