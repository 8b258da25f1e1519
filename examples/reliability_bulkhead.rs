//! A bulkhead: a slow dependency gets a few of the workers, never all of them.
//!
//! A shop has 20 workers. Every request needs one of three dependencies and holds a
//! worker until it has its answer. First a transcript with few workers. Then reviews
//! hang: each call of theirs is given up after two seconds. Look at prices and
//! stock, which nothing is wrong with. The last table is the price: a burst of
//! reviews on a good day.
//!
//! Simplified: who finds no worker is refused at once and does not wait.

use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

// ANCHOR: bulkhead
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dependency {
    Prices,
    Stock,
    Reviews,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Enter,
    PoolFull, // all workers are taken
    PartFull, // this dependency has its share
}

/// Counts who is inside. Whoever entered must leave, answered or not.
struct Pool {
    workers_max: u32,
    part_max: [u32; 3], // by dependency
    inside: [u32; 3],
}

impl Pool {
    fn enter(&mut self, dependency: Dependency) -> Entry {
        let part = dependency as usize;
        if self.inside[part] >= self.part_max[part] {
            return Entry::PartFull;
        }
        if self.inside.iter().sum::<u32>() >= self.workers_max {
            return Entry::PoolFull;
        }
        self.inside[part] += 1;
        Entry::Enter
    }

    fn leave(&mut self, dependency: Dependency) {
        self.inside[dependency as usize] -= 1;
    }
}
// ANCHOR_END: bulkhead

use Dependency::{Prices, Reviews, Stock};
const ALL: [Dependency; 3] = [Prices, Stock, Reviews];
const WORKERS: u32 = 20;

/// What a handful of requests meet in a pool of four workers, two for reviews.
fn transcript() -> Vec<String> {
    let mut pool = Pool {
        workers_max: 4,
        part_max: [4, 4, 2],
        inside: [0; 3],
    };
    let story = [
        (Reviews, true),
        (Reviews, true),
        (Reviews, true),
        (Prices, true),
        (Stock, true),
        (Stock, true),
        (Prices, false),
        (Stock, true),
        (Reviews, false),
        (Reviews, true),
    ];
    let line = |(dependency, comes): (Dependency, bool)| {
        let what = if comes {
            format!("{:?}", pool.enter(dependency))
        } else {
            pool.leave(dependency);
            "Leave".to_owned()
        };
        let [prices, stock, reviews] = pool.inside;
        let inside = format!("prices {prices}, stock {stock}, reviews {reviews}");
        format!("{:<9} {what:<9} {inside}", format!("{dependency:?}"))
    };
    story.into_iter().map(line).collect()
}

const ANSWER_MS: u64 = 20;
const TIME_OUT_MS: u64 = 2_000;
const RUN_MS: u64 = 30_000;
const MEAN_GAP_MS: u64 = 4; // 250 requests a second

#[derive(Clone, Copy, PartialEq)]
enum Day {
    Hang,  // reviews, from the tenth to the twentieth second
    Burst, // four requests in five are for reviews, which are well
}

#[derive(Debug, Default, PartialEq)]
struct Count {
    came: u32,
    answered: u32,
}

fn run(day: Day, part_max: [u32; 3]) -> [Count; 3] {
    let mut rng = Rng::with_seed(5);
    let mut pool = Pool {
        workers_max: WORKERS,
        part_max,
        inside: [0; 3],
    };
    let mut counts: [Count; 3] = Default::default();
    let mut ends: BinaryHeap<Reverse<(u64, Dependency)>> = BinaryHeap::new();
    let mut now = 0;
    while now < RUN_MS {
        now += rng.u64(0..=2 * MEAN_GAP_MS);
        while let Some(&Reverse((end, dependency))) = ends.peek() {
            if end > now {
                break;
            }
            ends.pop();
            pool.leave(dependency);
        }
        let hangs = day == Day::Hang && (10_000..20_000).contains(&now);
        let counted = day == Day::Burst || hangs;
        let dependency = match day {
            Day::Burst if rng.u8(..5) < 4 => Reviews,
            _ => ALL[rng.usize(..3)],
        };
        let count = &mut counts[dependency as usize];
        count.came += u32::from(counted);
        if pool.enter(dependency) == Entry::Enter {
            let stuck = hangs && dependency == Reviews;
            let takes = if stuck { TIME_OUT_MS } else { ANSWER_MS };
            ends.push(Reverse((now + takes, dependency)));
            count.answered += u32::from(counted && !stuck);
        }
    }
    counts
}

const SHARED: [u32; 3] = [WORKERS; 3];
const APART: [u32; 3] = [WORKERS, WORKERS, 5];

fn percent(count: &Count) -> f64 {
    100.0 * f64::from(count.answered) / f64::from(count.came)
}

fn main() {
    println!("4 workers, at most 2 for reviews");
    for line in transcript() {
        println!("{line}");
    }
    println!("\n% answered                       prices   stock  reviews");
    for (name, day, part_max) in [
        ("reviews hang, shared pool", Day::Hang, SHARED),
        ("reviews hang, at most 5", Day::Hang, APART),
        ("burst of reviews, shared", Day::Burst, SHARED),
        ("burst of reviews, at most 5", Day::Burst, APART),
    ] {
        let counts = run(day, part_max);
        let [prices, stock, reviews] = [0, 1, 2].map(|i| percent(&counts[i]));
        println!("{name:<32} {prices:>6.1} {stock:>7.1} {reviews:>8.1}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_refuses_the_third_review_and_the_fifth_worker() {
        let what =
            |line: &String| line.split_whitespace().nth(1).unwrap_or("").to_owned();
        let all: Vec<String> = transcript().iter().map(what).collect();
        let expected = [
            "Enter", "Enter", "PartFull", "Enter", "Enter", "PoolFull", "Leave",
            "Enter", "Leave", "Enter",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn in_any_history_no_part_is_over_its_limit_and_an_allowed_entry_is_made() {
        let mut rng = Rng::with_seed(8);
        for _history in 0..200 {
            let part_max = [rng.u32(1..6), rng.u32(1..6), rng.u32(1..6)];
            let mut pool = Pool {
                workers_max: rng.u32(1..10),
                part_max,
                inside: [0; 3],
            };
            let mut model: Vec<Dependency> = Vec::new(); // who is inside
            for _event in 0..200 {
                let who = ALL[rng.usize(..3)];
                if rng.bool() {
                    let same = model.iter().filter(|d| **d == who).count() as u32;
                    let room = (model.len() as u32) < pool.workers_max;
                    let fits = same < part_max[who as usize] && room;
                    assert_eq!(pool.enter(who) == Entry::Enter, fits);
                    if fits {
                        model.push(who);
                    }
                } else if !model.is_empty() {
                    pool.leave(model.swap_remove(rng.usize(..model.len())));
                }
            }
        }
    }

    #[test]
    fn one_slow_dependency_takes_the_shared_pool_from_the_healthy_ones() {
        let [prices, stock, _] = run(Day::Hang, SHARED).map(|c| percent(&c));
        assert!(prices < 20.0 && stock < 20.0, "{prices} {stock}");
    }

    #[test]
    fn behind_a_bulkhead_the_healthy_ones_notice_nothing() {
        let [prices, stock, reviews] = run(Day::Hang, APART).map(|c| percent(&c));
        assert_eq!((prices, stock, reviews), (100.0, 100.0, 0.0));
    }

    #[test]
    fn the_bulkhead_refuses_reviews_on_a_good_day_while_workers_are_idle() {
        let [.., shared] = run(Day::Burst, SHARED).map(|c| percent(&c));
        let [.., apart] = run(Day::Burst, APART).map(|c| percent(&c));
        assert!(shared == 100.0 && apart < 90.0, "{shared} {apart}");
    }
}
