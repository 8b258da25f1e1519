//! 600 changes of 20 accounts. Each account's changes are numbered, and should be
//! done in that order. What keeps the order, and what breaks it?
//!
//! Look at `late`: changes that are done after a later one of the same account.
//! One consumer keeps the order and is slow. A queue for each part of the accounts,
//! a partition, with one consumer each, keeps it too and is faster. Then look at
//! the ways to lose it again.
//!
//! Simplified: all changes are there at the start, work takes 1 to 9 ms at random,
//! one change in thirty fails once.

use fastrand::Rng;
use std::collections::{BTreeMap, VecDeque};

const CHANGES: u32 = 600;
const ACCOUNTS: u32 = 20;
const WORK_MS: std::ops::RangeInclusive<u64> = 1..=9;
const FAILS_ONE_IN: u32 = 30;
const RUN_MS_MAX: u64 = 10_000;

#[derive(Clone, Copy)]
struct Change {
    account: u32,
    number: u32, // of this account's changes
    fails: bool, // the first time
}

// ANCHOR: route
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    ByKey,
    RoundRobin,
}

fn partition(route: Route, account: u32, nth: usize, partitions: usize) -> usize {
    match route {
        Route::ByKey => mix(account) as usize % partitions,
        Route::RoundRobin => nth % partitions,
    }
}
// ANCHOR_END: route

/// MurmurHash3's 32-bit finaliser.
fn mix(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[derive(Clone, Copy)]
struct Setup {
    name: &'static str,
    partitions: usize,
    workers: usize, // for each partition
    route: Route,
    retry_at_the_back: bool,
    /// From the middle on, changes are routed to so many partitions …
    grows_to: Option<usize>,
    /// … and these are not read before the older changes are done.
    drains_first: bool,
}

const ONE: Setup = Setup {
    name: "one queue, one consumer",
    partitions: 1,
    workers: 1,
    route: Route::ByKey,
    retry_at_the_back: false,
    grows_to: None,
    drains_first: false,
};
const FOUR: Setup = Setup {
    name: "four partitions by account",
    partitions: 4,
    ..ONE
};
const SETUPS: [Setup; 8] = [
    ONE,
    Setup {
        name: "one queue, four consumers",
        workers: 4,
        ..ONE
    },
    FOUR,
    Setup {
        name: "  and not by account",
        route: Route::RoundRobin,
        ..FOUR
    },
    Setup {
        name: "  and two workers for each",
        workers: 2,
        ..FOUR
    },
    Setup {
        name: "  and failures go to the back",
        retry_at_the_back: true,
        ..FOUR
    },
    Setup {
        name: "  and five from the middle on",
        grows_to: Some(5),
        ..FOUR
    },
    Setup {
        name: "  … when the four are empty",
        drains_first: true,
        grows_to: Some(5),
        ..FOUR
    },
];

fn changes(rng: &mut Rng) -> Vec<Change> {
    let mut numbers = [0; ACCOUNTS as usize];
    let change = |_| {
        let account = rng.u32(..ACCOUNTS);
        numbers[account as usize] += 1;
        let fails = rng.u32(..FAILS_ONE_IN) == 0;
        Change {
            account,
            number: numbers[account as usize],
            fails,
        }
    };
    (0..CHANGES).map(change).collect()
}

/// The changes in the order in which they were done, and when the last one was.
fn run(setup: Setup, seed: u64) -> (Vec<Change>, u64) {
    let mut rng = Rng::with_seed(seed);
    let changes = changes(&mut rng);
    let most = setup.grows_to.unwrap_or(setup.partitions);
    let mut queues = vec![VecDeque::new(); most];
    let mut later = vec![VecDeque::new(); most];
    for (nth, change) in changes.iter().enumerate() {
        let is_old = nth < changes.len() / 2 || setup.grows_to.is_none();
        let partitions = if is_old { setup.partitions } else { most };
        let at = partition(setup.route, change.account, nth, partitions);
        match setup.drains_first && !is_old {
            true => later[at].push_back(*change),
            false => queues[at].push_back(*change),
        }
    }
    let mut workers = vec![None; most * setup.workers];
    let (mut done, mut last_ms) = (vec![], 0);
    for now_ms in 0..RUN_MS_MAX {
        for (id, worker) in workers.iter_mut().enumerate() {
            let queue = &mut queues[id % most];
            match worker {
                Some((_, ends_ms)) if *ends_ms > now_ms => continue,
                Some((
                    Change {
                        fails: true,
                        account,
                        number,
                    },
                    _,
                )) => {
                    let (account, number) = (*account, *number);
                    let again = Change {
                        account,
                        number,
                        fails: false,
                    };
                    match setup.retry_at_the_back {
                        true => queue.push_back(again),
                        false => queue.push_front(again),
                    }
                }
                Some((change, _)) => {
                    done.push(*change);
                    last_ms = now_ms;
                }
                None => {}
            }
            let next = queue.pop_front();
            *worker = next.map(|change| (change, now_ms + rng.u64(WORK_MS)));
        }
        if workers.iter().all(Option::is_none) {
            std::mem::swap(&mut queues, &mut later);
        }
    }
    (done, last_ms)
}

/// How many were done after a later change of the same account.
fn late(done: &[Change]) -> usize {
    let mut newest = BTreeMap::new();
    let is_late = |change: &&Change| {
        let newest = newest.entry(change.account).or_insert(0);
        let is_late = change.number < *newest;
        *newest = change.number.max(*newest);
        is_late
    };
    done.iter().filter(is_late).count()
}

fn main() {
    println!("{CHANGES} changes of {ACCOUNTS} accounts\n");
    println!("{:<33}late    all done after\n", "");
    for setup in SETUPS {
        let (done, ms) = run(setup, 1);
        println!("{:<33}{:>4}    {ms:>5} ms", setup.name, late(&done));
    }
    let moved = |account: &u32| mix(*account) % 4 != mix(*account) % 5;
    let moved = (0..ACCOUNTS).filter(moved).count();
    println!(
        "\nfrom four to five, {moved} of {ACCOUNTS} accounts change their partition"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late_in_20_runs(setup: Setup) -> usize {
        let late_in = |seed| {
            let (done, _) = run(setup, seed);
            assert_eq!(done.len(), CHANGES as usize, "each once");
            late(&done)
        };
        (0..20).map(late_in).sum()
    }

    #[test]
    fn one_consumer_for_each_partition_keeps_the_order_of_each_key() {
        assert_eq!(late_in_20_runs(ONE), 0);
        assert_eq!(late_in_20_runs(FOUR), 0);
        assert!(run(FOUR, 1).1 * 2 < run(ONE, 1).1, "and is faster");
    }

    #[test]
    fn two_consumers_of_one_queue_break_the_order() {
        assert!(late_in_20_runs(SETUPS[1]) > 0);
        assert!(late_in_20_runs(SETUPS[4]) > 0);
    }

    #[test]
    fn a_route_that_ignores_the_key_breaks_the_order() {
        assert!(late_in_20_runs(SETUPS[3]) > 0);
    }

    #[test]
    fn a_retry_that_others_overtake_breaks_the_order() {
        assert!(late_in_20_runs(SETUPS[5]) > 0);
    }

    #[test]
    fn more_partitions_break_the_order_unless_the_old_ones_are_empty() {
        assert!(late_in_20_runs(SETUPS[6]) > 0);
        assert_eq!(late_in_20_runs(SETUPS[7]), 0);
    }

    #[test]
    fn late_counts_what_a_slow_count_finds() {
        for seed in 0..50 {
            let (done, _) = run(SETUPS[1], seed);
            let overtaken = |at: &usize| {
                let change = done[*at];
                done[..*at].iter().any(|earlier| {
                    earlier.account == change.account
                        && earlier.number > change.number
                })
            };
            assert_eq!(late(&done), (0..done.len()).filter(overtaken).count());
        }
    }
}
