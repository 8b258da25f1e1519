//! A hedged request: ask one replica, and if the answer is not there after a while,
//! ask a second one and take whichever comes first.
//!
//! Look at p99.9 beside the extra requests: a wait of a few milliseconds buys nearly
//! all of the gain for a few requests in a hundred, and no wait doubles the load.
//! Then at the second table, in which the *request* is slow and not the replica: it
//! is as slow at the second one, and hedging buys nothing.
//!
//! Simplified: no queues, so the extra load slows nobody down. On a busy system it
//! does, as `efficiency_queue` shows: hedge few requests, and none when it is full.

use fastrand::Rng;

const REQUESTS: usize = 40_000;
const SLOW_SHARE: f64 = 0.02;
const SLOW_US: u64 = 500_000;
const SEED: u64 = 1;

/// What makes an answer slow?
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// The replica is busy with something else for a moment.
    Replica,
    /// The request itself is expensive, wherever it runs.
    Request,
}

struct Answers {
    times_us: Vec<u64>,
    sent: usize,
}

// ANCHOR: hedge
/// What every answer takes: 2 to 10 ms.
fn usual_us(rng: &mut Rng) -> u64 {
    rng.u64(2_000..10_000)
}

/// And what comes on top of it: for 2 in 100 up to 500 ms.
fn slow_us(rng: &mut Rng) -> u64 {
    let more_us = rng.u64(0..SLOW_US);
    if rng.f64() < SLOW_SHARE {
        more_us
    } else {
        0
    }
}

/// `after_us` is when the second replica is asked; `None` is never.
/// Returns when the answer is there, and how many requests were sent.
fn ask(cause: Cause, after_us: Option<u64>, rng: &mut Rng) -> (u64, usize) {
    let [mut first_us, mut second_us] = [(); 2].map(|()| usual_us(rng));
    let [one, other] = [(); 2].map(|()| slow_us(rng));
    first_us += one;
    second_us += match cause {
        Cause::Replica => other, // is it slow as well?
        Cause::Request => one,   // the same work again
    };
    match after_us {
        Some(after_us) if first_us > after_us => {
            (first_us.min(after_us + second_us), 2)
        }
        _ => (first_us, 1),
    }
}
// ANCHOR_END: hedge

fn run(cause: Cause, after_us: Option<u64>) -> Answers {
    let mut rng = Rng::with_seed(SEED);
    let mut answers = Answers {
        times_us: Vec::new(),
        sent: 0,
    };
    for _ in 0..REQUESTS {
        let (time_us, sent) = ask(cause, after_us, &mut rng);
        answers.times_us.push(time_us);
        answers.sent += sent;
    }
    answers.times_us.sort_unstable();
    answers
}

impl Answers {
    fn per_mille_ms(&self, per_mille: usize) -> f64 {
        let at = self.times_us.len() * per_mille / 1_000;
        self.times_us.get(at).copied().unwrap_or(0) as f64 / 1e3
    }
    fn extra(&self) -> f64 {
        self.sent as f64 / self.times_us.len() as f64 - 1.0
    }
}

const WAYS: [(&str, Option<u64>); 4] = [
    ("never", None),
    ("after 10 ms", Some(10_000)),
    ("after 5 ms", Some(5_000)),
    ("at once", Some(0)),
];

fn main() {
    for (what, cause) in [("replica", Cause::Replica), ("request", Cause::Request)] {
        println!("the {what} is slow, 2 in 100");
        println!("second request    p50       p99       p99.9    extra requests");
        for (name, after_us) in WAYS {
            let answers = run(cause, after_us);
            print!("  {name:<12}");
            for per_mille in [500, 990, 999] {
                print!(" {:>6.1} ms", answers.per_mille_ms(per_mille));
            }
            println!(" {:>13.1} %", 100.0 * answers.extra());
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_extra_requests_cut_the_tail_when_a_replica_is_slow() {
        let [never, hedged] =
            [None, Some(10_000)].map(|after| run(Cause::Replica, after));
        assert!(hedged.per_mille_ms(999) < never.per_mille_ms(999) / 10.0);
        assert!(hedged.extra() < 0.021);
        assert_eq!(hedged.per_mille_ms(500), never.per_mille_ms(500));
    }

    #[test]
    fn to_ask_both_at_once_doubles_the_load_for_little_more() {
        let [hedged, both] =
            [Some(10_000), Some(0)].map(|after| run(Cause::Replica, after));
        assert_eq!(both.extra(), 1.0);
        assert!(both.per_mille_ms(990) > hedged.per_mille_ms(990) / 3.0);
    }

    #[test]
    fn hedging_does_not_help_when_the_request_itself_is_slow() {
        let [never, hedged] =
            [None, Some(10_000)].map(|after| run(Cause::Request, after));
        for per_mille in [990, 999] {
            let ratio =
                hedged.per_mille_ms(per_mille) / never.per_mille_ms(per_mille);
            assert!(ratio > 0.95, "{per_mille}: {ratio}");
        }
        assert!(hedged.extra() > 0.015, "and it is paid for");
    }

    #[test]
    fn an_answer_is_never_later_than_without_the_second_request() {
        for cause in [Cause::Replica, Cause::Request] {
            for seed in 0..500 {
                let ask = |after| ask(cause, after, &mut Rng::with_seed(seed));
                let (never, hedged) = (ask(None), ask(Some(5_000)));
                assert!(hedged.0 <= never.0);
                assert_eq!(never.1, 1);
                assert_eq!(hedged.1 == 2, never.0 > 5_000, "only when it is late");
            }
        }
    }
}
