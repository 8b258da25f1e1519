//! Map, combine, shuffle, reduce on threads: the mean order of each city.
//!
//! Look first at the column "combined": a mean of means is another number, and
//! it changes with the number of splits. Then see what the combiner saves, and
//! that the number of workers and the death of two of them change nothing.
//!
//! Simplified: splits are slices in memory, and the shuffle is a move between
//! threads; pairs are counted as what a network would have to carry. A death is
//! planned, and noticed at once; on a cluster it shows by silence.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

#[derive(Clone, Copy)]
struct Order {
    city: &'static str,
    cents: u64,
}

const ORDERS: usize = 24_000;
const REDUCERS: usize = 3;
const ATTEMPTS_MAX: u32 = 4;

// ANCHOR: jobs
/// A pair is one key and one value. `reduce` also serves as the combiner.
trait Job {
    type Value: Copy + Send + Sync;
    fn map(order: &Order) -> (&'static str, Self::Value);
    fn reduce(values: &[Self::Value]) -> Self::Value;
}

/// Looks right: the value is a mean, and means are averaged.
struct MeanOfMeans;
impl Job for MeanOfMeans {
    type Value = u64;
    fn map(order: &Order) -> (&'static str, u64) {
        (order.city, order.cents)
    }
    fn reduce(values: &[u64]) -> u64 {
        values.iter().sum::<u64>() / values.len() as u64
    }
}

/// Is right: sums and counts may be added in any order and any grouping.
struct SumAndCount;
impl Job for SumAndCount {
    type Value = (u64, u64);
    fn map(order: &Order) -> (&'static str, (u64, u64)) {
        (order.city, (order.cents, 1))
    }
    fn reduce(values: &[(u64, u64)]) -> (u64, u64) {
        let add = |a: (u64, u64), b: &(u64, u64)| (a.0 + b.0, a.1 + b.1);
        values.iter().fold((0, 0), add)
    }
}
// ANCHOR_END: jobs

#[derive(Clone, Copy)]
struct Plan {
    splits: usize,
    workers: usize,
    combine: bool,
    /// This split kills the workers of its first so many attempts.
    deaths: (usize, u32),
}

struct Outcome<V> {
    result: BTreeMap<&'static str, V>,
    pairs: Vec<usize>, // that crossed the network, by reducer
    attempts: u32,
}

type Pairs<V> = Vec<(&'static str, V)>;

// ANCHOR: map
/// One map task. Its pairs, already sorted into one pile for each reducer, are
/// handed over at the end or, if the worker dies, not at all.
fn map_split<J: Job>(
    split: &[Order],
    combine: bool,
    dies: bool,
) -> Option<Vec<Pairs<J::Value>>> {
    let mut pairs: Pairs<J::Value> = Vec::new();
    for (done, order) in split.iter().enumerate() {
        if dies && done == split.len() / 2 {
            return None;
        }
        pairs.push(J::map(order));
    }
    if combine {
        pairs = group(pairs)
            .map(|(key, values)| (key, J::reduce(&values)))
            .collect();
    }
    let mut piles = vec![Vec::new(); REDUCERS];
    for (key, value) in pairs {
        piles[hash(key) as usize % REDUCERS].push((key, value));
    }
    Some(piles)
}

fn group<V>(pairs: Pairs<V>) -> impl Iterator<Item = (&'static str, Vec<V>)> {
    let mut groups: BTreeMap<_, Vec<V>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups.into_iter()
}

/// FNV-1a: every worker, on every machine, must send a key to the same reducer.
fn hash(key: &str) -> u32 {
    let step = |h: u32, byte: u8| (h ^ u32::from(byte)).wrapping_mul(16_777_619);
    key.bytes().fold(2_166_136_261, step)
}
// ANCHOR_END: map

// ANCHOR: run
fn run<J: Job>(orders: &[Order], plan: Plan) -> Outcome<J::Value> {
    let split_len = orders.len().div_ceil(plan.splits);
    let splits: Vec<&[Order]> = orders.chunks(split_len).collect();
    let first_tries = (0..splits.len()).map(|split| (split, 1));
    let tasks = Mutex::new(first_tries.collect::<VecDeque<_>>());
    let mapped = Mutex::new(BTreeMap::new()); // by split
    let mut attempts = 0;
    while !lock(&tasks).is_empty() {
        let work = || loop {
            let (split, attempt) = lock(&tasks).pop_front()?;
            let dies = split == plan.deaths.0 && attempt <= plan.deaths.1;
            match map_split::<J>(splits[split], plan.combine, dies) {
                Some(piles) => lock(&mapped).insert(split, piles),
                None => return Some((split, attempt)), // the end of this worker
            };
        };
        let lost: Vec<_> = thread::scope(|scope| {
            let spawn = |_| scope.spawn(work);
            let workers: Vec<_> = (0..plan.workers).map(spawn).collect();
            let ends = workers.into_iter().map(|worker| worker.join());
            ends.filter_map(|end| end.expect("map does not panic"))
                .collect()
        });
        for (split, attempt) in lost {
            assert!(attempt < ATTEMPTS_MAX, "split {split} kills every worker");
            attempts += 1;
            lock(&tasks).push_back((split, attempt + 1)); // again, from the input
        }
    }
    // ANCHOR_END: run
    let mapped = mapped.into_inner().unwrap_or_else(PoisonError::into_inner);
    attempts += mapped.len() as u32;
    let reduce = |reducer: usize| {
        let mut pairs: Pairs<J::Value> = Vec::new();
        for piles in mapped.values() {
            pairs.extend(&piles[reducer]); // in the order of the splits
        }
        let answer = |(key, values): (_, Vec<_>)| (key, J::reduce(&values));
        (pairs.len(), group(pairs).map(answer).collect::<Vec<_>>())
    };
    let mut outcome = Outcome {
        result: BTreeMap::new(),
        pairs: vec![],
        attempts,
    };
    thread::scope(|scope| {
        let reduce = &reduce;
        let spawn = |reducer| scope.spawn(move || reduce(reducer));
        for reducer in (0..REDUCERS).map(spawn).collect::<Vec<_>>() {
            let (pairs, answers) = reducer.join().expect("reduce does not panic");
            outcome.pairs.push(pairs);
            outcome.result.extend(answers);
        }
    });
    outcome
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Zurich has most of the small orders by day and few, large ones at night.
fn orders() -> Vec<Order> {
    let mut rng = fastrand::Rng::with_seed(1);
    let order = |i: usize| {
        let night = i >= ORDERS / 2;
        let zurich = rng.u32(..10) < if night { 1 } else { 7 };
        let other = ["Basel", "Bern", "Chur"][rng.usize(..3)];
        let city = if zurich { "Zurich" } else { other };
        let cents = rng.u64(1_000..3_000) * if zurich && night { 4 } else { 1 };
        Order { city, cents }
    };
    (0..ORDERS).map(order).collect()
}

const PLAN: Plan = Plan {
    splits: 12,
    workers: 4,
    combine: true,
    deaths: (0, 0),
};

fn main() {
    let orders = orders();
    let plain = Plan {
        combine: false,
        ..PLAN
    };
    let wrong = [plain, PLAN, Plan { splits: 1, ..PLAN }];
    let wrong = wrong.map(|plan| run::<MeanOfMeans>(&orders, plan).result);
    let [all, right] = [plain, PLAN].map(|plan| run::<SumAndCount>(&orders, plan));
    println!("                mean of means            sum, count");
    println!("         plain   combined   combined     combined");
    println!("                12 splits    1 split    12 splits");
    for (city, (sum, count)) in &right.result {
        let [a, b, c] = [0, 1, 2].map(|i| wrong[i][city] as f64 / 100.0);
        let mean = (sum / count) as f64 / 100.0;
        println!("{city:<8} {a:>5.2} {b:>10.2} {c:>10.2} {mean:>12.2}");
    }
    println!("\npairs shuffled           plain   combined");
    let sum = |o: &Outcome<_>| o.pairs.iter().sum::<usize>();
    let max = |o: &Outcome<_>| o.pairs.iter().max().copied().unwrap_or(0);
    println!(
        "  to all reducers      {:>7} {:>10}",
        sum(&all),
        sum(&right)
    );
    println!(
        "  to the busiest       {:>7} {:>10}",
        max(&all),
        max(&right)
    );
    let workers = |workers| run::<SumAndCount>(&orders, Plan { workers, ..PLAN });
    let same = (1..=8).all(|n| workers(n).result == right.result);
    println!("\n1 to 8 workers, the same result: {same}");
    let hurt = run::<SumAndCount>(
        &orders,
        Plan {
            deaths: (5, 2),
            ..PLAN
        },
    );
    let same = hurt.result == right.result;
    println!(
        "two workers die: {} attempts, the same result: {same}",
        hurt.attempts
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_workers_and_splits_gives_the_same_sums() {
        let orders = orders();
        let mut truth: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for Order { city, cents } in &orders {
            let (sum, count) = truth.entry(*city).or_default();
            *sum += cents;
            *count += 1;
        }
        for workers in 1..=8 {
            for splits in [1, 7, 12] {
                let plan = Plan {
                    workers,
                    splits,
                    ..PLAN
                };
                assert_eq!(run::<SumAndCount>(&orders, plan).result, truth);
            }
        }
    }

    #[test]
    fn a_dead_worker_leaves_no_half_counted_split() {
        let orders = orders();
        for workers in 1..=3 {
            let plan = Plan {
                workers,
                deaths: (5, 3),
                ..PLAN
            };
            let hurt = run::<SumAndCount>(&orders, plan);
            assert_eq!(hurt.attempts, 15);
            let counted: u64 = hurt.result.values().map(|(_, count)| count).sum();
            assert_eq!(counted, ORDERS as u64);
        }
    }

    #[test]
    #[should_panic(expected = "split 5 kills every worker")]
    fn a_split_that_kills_four_workers_ends_the_job() {
        let deaths = (5, ATTEMPTS_MAX);
        run::<SumAndCount>(&orders(), Plan { deaths, ..PLAN });
    }

    #[test]
    fn a_mean_of_means_is_right_until_many_splits_are_combined() {
        let orders = orders();
        let sums = run::<SumAndCount>(&orders, PLAN).result;
        let plain = run::<MeanOfMeans>(
            &orders,
            Plan {
                combine: false,
                ..PLAN
            },
        );
        let combined = run::<MeanOfMeans>(&orders, PLAN).result;
        let one_split = run::<MeanOfMeans>(&orders, Plan { splits: 1, ..PLAN });
        for (city, (sum, count)) in sums {
            assert_eq!(plain.result[city], sum / count);
            assert_eq!(one_split.result[city], sum / count);
            assert!(city != "Zurich" || combined[city] > sum / count * 18 / 10);
        }
    }

    #[test]
    fn a_combiner_sends_one_pair_per_split_and_key() {
        let orders = orders();
        let all = run::<SumAndCount>(
            &orders,
            Plan {
                combine: false,
                ..PLAN
            },
        );
        assert_eq!(all.pairs.iter().sum::<usize>(), ORDERS);
        let few = run::<SumAndCount>(&orders, PLAN);
        assert_eq!(few.pairs.iter().sum::<usize>(), PLAN.splits * 4);
        // and the hash brings three of the four cities to one reducer
        assert_eq!(few.pairs.iter().max(), Some(&(PLAN.splits * 3)));
    }
}
