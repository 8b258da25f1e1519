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
use std::collections::VecDeque;

const SERVER_IDS: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const SERVERS: usize = SERVER_IDS.len();
const WORK_US: f64 = 10e3;
const BUSY: f64 = 0.80; // of the fleet's capacity
const GAP_US: f64 = WORK_US / SERVERS as f64 / BUSY;
const REQUESTS: usize = 30_000;

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
    let mut servers = SERVER_IDS;
    for i in 0..looks_at {
        let j = rng.usize(i..SERVERS); // one that was not looked at yet
        (servers[i], servers[j]) = (servers[j], servers[i]);
        if counts[servers[i]] < counts[servers[0]] {
            (servers[0], servers[i]) = (servers[i], servers[0]); // best so far
        }
    }
    servers[0]
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
    let mut queues = [const { VecDeque::<(u64, usize)>::new() }; SERVERS];
    let mut latencies_us = Vec::with_capacity(REQUESTS);
    let mut now_us = 0;
    for _ in 0..REQUESTS {
        now_us += random_us(&mut rng, GAP_US) as u64;
        for (server, queue) in queues.iter_mut().enumerate() {
            while let Some(&(done_us, balancer)) = queue.front() {
                if done_us > now_us {
                    break;
                }
                queue.pop_front();
                own[balancer][server] -= 1;
            }
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
        queues[server].push_back((free_at_us[server], balancer));
    }
    latencies_us.sort_unstable();
    latencies_us[REQUESTS / 100 * 99]
}

fn row(label: &str, knowledge: Knowledge) {
    let [two, least] = [2, SERVERS].map(|n| p99_us(n, knowledge, 1) / 1000);
    println!("{label:<28} {two:>11} {least:>12}");
}

fn main() {
    let random = p99_us(1, Knowledge::Own { balancers: 1 }, 1) / 1000;
    println!("p99 in ms: random, which looks at no count, has {random}\n");
    println!("                             two choices  least conn.");
    for balancers in [1, 4, 16, 64] {
        let label = format!("own counts, {balancers} balancers");
        row(&label, Knowledge::Own { balancers });
    }
    println!();
    for every_ms in [5, 20, 80] {
        let label = format!("shared, renewed every {every_ms} ms");
        let every_us = every_ms * 1000;
        row(&label, Knowledge::Shared { every_us });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const RANDOM: usize = 1;
    const TWO: usize = 2;
    const LEAST: usize = SERVERS;
    const OLD: Knowledge = Knowledge::Shared { every_us: 80_000 };

    fn mean_p99_us(looks_at: usize, knowledge: Knowledge) -> u64 {
        let total: u64 = (1..4).map(|seed| p99_us(looks_at, knowledge, seed)).sum();
        total / 3
    }

    #[test]
    fn sixteen_balancers_with_own_counts_are_worse_than_one_that_sees_all() {
        let one = mean_p99_us(LEAST, Knowledge::Own { balancers: 1 });
        let many = mean_p99_us(LEAST, Knowledge::Own { balancers: 16 });
        assert!(many * 2 > one * 3, "{many} against {one}");
    }

    #[test]
    fn for_64_balancers_looking_at_all_is_worth_no_more_than_looking_at_two() {
        let two = mean_p99_us(TWO, Knowledge::Own { balancers: 64 });
        let all = mean_p99_us(LEAST, Knowledge::Own { balancers: 64 });
        assert!(two.abs_diff(all) * 5 < two, "{two} and {all}");
    }

    #[test]
    fn least_connections_on_old_counts_herds_and_is_twice_as_bad_as_random() {
        let (herd, random) = (mean_p99_us(LEAST, OLD), mean_p99_us(RANDOM, OLD));
        assert!(herd > 2 * random, "{herd} against {random}");
    }

    #[test]
    fn two_choices_on_the_same_old_counts_are_still_better_than_random() {
        let (two, random) = (mean_p99_us(TWO, OLD), mean_p99_us(RANDOM, OLD));
        assert!(two * 5 < random * 4, "{two} against {random}");
    }
}
