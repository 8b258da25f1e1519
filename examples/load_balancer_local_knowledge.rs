//! Least connections is only as good as the counts it looks at.
//!
//! First table: the same traffic through 1 to 64 balancers. Each one counts only
//! the requests that it sent itself, so each knows less and less.
//! Second table: all balancers see everybody's counts, but as a photograph that
//! is renewed every few milliseconds. All see the same idle server, all go there:
//! a herd. Watch which column is hurt, and which one hardly is.
//!
//! Simplified: ten equal servers, each a first-come-first-served queue with
//! random (exponential) work; each request meets a balancer at random.

use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SERVERS: usize = 10;
const WORK_US: f64 = 10e3;
const BUSY: f64 = 0.80; // of the fleet's capacity
const GAP_US: f64 = WORK_US / SERVERS as f64 / BUSY;
const REQUESTS: usize = 100_000;

// ANCHOR: knowledge
/// Requests in flight at each server, as somebody counts them.
type Counts = [u32; SERVERS];

#[derive(Clone, Copy)]
enum Knowledge {
    /// This many balancers, each with its own count only.
    Own { balancers: usize },
    /// Everybody's requests, as they stood when last photographed.
    Shared { every_us: u64 },
}

/// Look at some servers chosen at random, take the one with the lowest count.
/// Looking at 1 is random, at 2 is two choices, at all is least connections.
fn pick(looks_at: usize, counts: &Counts, rng: &mut Rng) -> usize {
    let mut servers: [usize; SERVERS] = std::array::from_fn(|s| s);
    rng.shuffle(&mut servers); // so that equals are chosen equally often
    let seen = servers.into_iter().take(looks_at);
    seen.min_by_key(|&s| counts[s])
        .expect("looks at one or more")
}
// ANCHOR_END: knowledge

fn p99_us(looks_at: usize, knowledge: Knowledge, seed: u64) -> u64 {
    let mut rng = Rng::with_seed(seed); // the same traffic for everybody,
    let mut dice = rng.fork(); // whatever they roll to choose
    let random_us = |rng: &mut Rng, mean: f64| -mean * (1.0 - rng.f64()).ln();
    let balancers = match knowledge {
        Knowledge::Own { balancers } => balancers,
        Knowledge::Shared { .. } => 1, // all alike, so one will do
    };
    let mut own: Vec<Counts> = vec![[0; SERVERS]; balancers];
    let (mut photo, mut renew_us) = ([0; SERVERS], 0);
    let mut free_at_us = [0; SERVERS];
    let mut answers: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
    let mut latencies_us = Vec::with_capacity(REQUESTS);
    let mut now_us = 0;
    for _ in 0..REQUESTS {
        now_us += random_us(&mut rng, GAP_US) as u64;
        while let Some(&Reverse((done_us, balancer, server))) = answers.peek() {
            if done_us > now_us {
                break;
            }
            answers.pop();
            own[balancer][server] -= 1;
        }
        let balancer = dice.usize(..balancers);
        if let Knowledge::Shared { every_us } = knowledge {
            if now_us >= renew_us {
                photo = own[0];
                renew_us = now_us + every_us;
            }
        } else {
            photo = own[balancer];
        }
        let server = pick(looks_at, &photo, &mut dice);
        let starts_us = now_us.max(free_at_us[server]);
        free_at_us[server] = starts_us + random_us(&mut rng, WORK_US) as u64;
        own[balancer][server] += 1;
        latencies_us.push(free_at_us[server] - now_us);
        answers.push(Reverse((free_at_us[server], balancer, server)));
    }
    latencies_us.sort_unstable();
    latencies_us[REQUESTS / 100 * 99]
}

fn row(label: &str, knowledge: Knowledge) {
    print!("{label:<28}");
    for looks_at in [1, 2, SERVERS] {
        print!("{:>12}", p99_us(looks_at, knowledge, 1) / 1000);
    }
    println!();
}

fn main() {
    println!("p99 in milliseconds               random two choices least conn.\n");
    for balancers in [1, 4, 16, 64] {
        let label = format!("own counts, {balancers} balancers");
        row(&label, Knowledge::Own { balancers });
    }
    println!();
    for every_ms in [0, 5, 20, 80] {
        let label = format!("shared, renewed every {every_ms} ms");
        let every_us = every_ms * 1000;
        row(&label, Knowledge::Shared { every_us });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const SEEDS: std::ops::Range<u64> = 1..6;
    const RANDOM: usize = 1;
    const TWO: usize = 2;
    const LEAST: usize = SERVERS;

    #[test]
    fn sixteen_balancers_with_own_counts_are_worse_than_one_that_sees_all() {
        for seed in SEEDS {
            let one = p99_us(LEAST, Knowledge::Own { balancers: 1 }, seed);
            let many = p99_us(LEAST, Knowledge::Own { balancers: 16 }, seed);
            assert!(many * 2 > one * 3, "seed {seed}: {many} against {one}");
        }
    }

    #[test]
    fn least_connections_on_old_counts_herds_and_is_worse_than_random() {
        let old = Knowledge::Shared { every_us: 80_000 };
        for seed in SEEDS {
            let herd = p99_us(LEAST, old, seed);
            assert!(herd > p99_us(RANDOM, old, seed), "seed {seed}");
        }
    }

    #[test]
    fn two_choices_on_the_same_old_counts_are_still_better_than_random() {
        let old = Knowledge::Shared { every_us: 80_000 };
        for seed in SEEDS {
            let two = p99_us(TWO, old, seed);
            assert!(two < p99_us(RANDOM, old, seed), "seed {seed}");
        }
    }
}
