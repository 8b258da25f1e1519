//! Eight ways to choose a server, behind one trait, on one simulated fleet.
//!
//! Look first at the last column, how busy the busiest server is compared with
//! the average: the policies that do not look at the servers overwork the slow
//! ones. Then see what that does to p99, the wait of the unluckiest one percent.
//!
//! Simplified: a server is one first-come-first-served queue with random
//! (exponential) work, the network takes no time, nobody gives up waiting, no
//! server dies (`load_balancer_dead_server`), and one balancer sees everything
//! (`load_balancer_local_knowledge`).

use fastrand::Rng;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ServerId(usize);

const SERVERS: usize = 8;
/// Mean work of one request, in microseconds: six fast servers, two slow ones.
const WORK_US: [f64; SERVERS] = [10e3, 10e3, 10e3, 15e3, 10e3, 10e3, 15e3, 10e3];
const WEIGHTS: [i64; SERVERS] = [3, 3, 3, 2, 3, 3, 2, 3]; // 1/10 ms to 1/15 ms
const UTILISATION: f64 = 0.60; // of the whole fleet's capacity
const REQUESTS: usize = 40_000;
const CLIENTS: u64 = 5_000;
const POINTS: u64 = 160; // of each server on the consistent-hashing circle
const DECAY_US: f64 = 10e6; // peak EWMA forgets over ten seconds

// ANCHOR: trait
/// All that a balancer knows when it must choose.
struct View<'a> {
    now_us: u64,
    client: u64,          // hash of the client's address
    up: &'a [ServerId],   // the servers that pass the health check
    in_flight: &'a [u32], // by server: requests sent and not yet answered
}

trait Policy {
    fn pick(&mut self, view: &View, rng: &mut Rng) -> ServerId;
    /// An answer came back: what a policy may learn from.
    fn answered(&mut self, _now_us: u64, _by: ServerId, _latency_us: u64) {}
}
// ANCHOR_END: trait

// ANCHOR: blind
struct Random;
impl Policy for Random {
    fn pick(&mut self, view: &View, rng: &mut Rng) -> ServerId {
        view.up[rng.usize(..view.up.len())]
    }
}

struct RoundRobin(usize);
impl Policy for RoundRobin {
    fn pick(&mut self, view: &View, _: &mut Rng) -> ServerId {
        self.0 += 1;
        view.up[self.0 % view.up.len()]
    }
}

/// NGINX's smooth form: everyone earns their weight, the richest pays for all.
#[derive(Default)]
struct WeightedRoundRobin([i64; SERVERS]);
impl Policy for WeightedRoundRobin {
    fn pick(&mut self, view: &View, _: &mut Rng) -> ServerId {
        let mut richest = view.up[0];
        for &s in view.up {
            self.0[s.0] += WEIGHTS[s.0];
            if self.0[s.0] > self.0[richest.0] {
                richest = s;
            }
        }
        self.0[richest.0] -= view.up.iter().map(|s| WEIGHTS[s.0]).sum::<i64>();
        richest
    }
}
// ANCHOR_END: blind

// ANCHOR: sticky
/// The same client meets the same server for as long as the list is the same.
struct IpHash;
impl Policy for IpHash {
    fn pick(&mut self, view: &View, _: &mut Rng) -> ServerId {
        view.up[(view.client % view.up.len() as u64) as usize]
    }
}

/// Servers own points on a circle; a client belongs to the next point.
struct ConsistentHash(BTreeMap<u64, ServerId>);
impl Policy for ConsistentHash {
    fn pick(&mut self, view: &View, _: &mut Rng) -> ServerId {
        let mut around = self.0.range(view.client..).chain(&self.0);
        let owner = around.find(|(_, s)| view.up.contains(s));
        *owner.expect("at least one server is up").1
    }
}
// ANCHOR_END: sticky

// ANCHOR: looking
/// Fewest requests in flight; equals take turns.
struct LeastConnections(usize);
impl Policy for LeastConnections {
    fn pick(&mut self, view: &View, _: &mut Rng) -> ServerId {
        self.0 += 1;
        let (later, first) = view.up.split_at(self.0 % view.up.len());
        let turns = first.iter().chain(later);
        let fewest = turns.min_by_key(|s| view.in_flight[s.0]);
        *fewest.expect("at least one server is up")
    }
}

/// Look at two servers chosen at random; take the one with fewer in flight.
struct TwoChoices;
impl Policy for TwoChoices {
    fn pick(&mut self, view: &View, rng: &mut Rng) -> ServerId {
        let [a, b] = two_of(view.up, rng);
        [a, b][usize::from(view.in_flight[b.0] < view.in_flight[a.0])]
    }
}

fn two_of(up: &[ServerId], rng: &mut Rng) -> [ServerId; 2] {
    let first = rng.usize(..up.len());
    let second = first + rng.usize(1..up.len().max(2));
    [up[first], up[second % up.len()]]
}
// ANCHOR_END: looking

// ANCHOR: ewma
/// Two choices by expected wait: a latency average that jumps up at once and
/// comes down slowly, times the requests in flight plus the new one.
#[derive(Default)]
struct PeakEwma {
    average_us: [f64; SERVERS],
    updated_us: [u64; SERVERS],
}
impl Policy for PeakEwma {
    fn pick(&mut self, view: &View, rng: &mut Rng) -> ServerId {
        let [a, b] = two_of(view.up, rng);
        let [cost_a, cost_b] = [a, b].map(|s| {
            self.answered(view.now_us, s, 0); // silence lowers the average too
            self.average_us[s.0] * f64::from(view.in_flight[s.0] + 1)
        });
        [a, b][usize::from(cost_b < cost_a)]
    }
    fn answered(&mut self, now_us: u64, ServerId(s): ServerId, latency_us: u64) {
        let silence_us = (now_us - self.updated_us[s]) as f64;
        let (keep, new) = ((-silence_us / DECAY_US).exp(), latency_us as f64);
        let faded = self.average_us[s] * keep + new * (1.0 - keep);
        self.average_us[s] = if new > self.average_us[s] { new } else { faded };
        self.updated_us[s] = now_us;
    }
}
// ANCHOR_END: ewma

struct Outcome {
    p50_us: u64,
    p99_us: u64,
    busiest_to_mean: f64,
}

fn simulate(policy: &mut dyn Policy, seed: u64) -> Outcome {
    let mut rng = Rng::with_seed(seed); // the same requests for every policy,
    let mut dice = rng.fork(); // whatever it rolls for itself
    let up: Vec<ServerId> = (0..SERVERS).map(ServerId).collect();
    let capacity: f64 = WORK_US.iter().map(|work_us| 1.0 / work_us).sum();
    let gap_us = 1.0 / (capacity * UTILISATION);
    let random = |rng: &mut Rng, mean: f64| -mean * (1.0 - rng.f64()).ln();
    let (mut free_at_us, mut busy_us) = ([0; SERVERS], [0; SERVERS]);
    let mut queues = [const { VecDeque::new() }; SERVERS]; // in order of arrival
    let mut in_flight = [0; SERVERS];
    let mut latencies_us = Vec::with_capacity(REQUESTS);
    let mut clock_us = 0.0;
    for _ in 0..REQUESTS {
        clock_us += random(&mut rng, gap_us);
        let now_us = clock_us as u64;
        for &server in &up {
            let ServerId(s) = server;
            while let Some(&(done_us, latency_us)) = queues[s].front() {
                if done_us > now_us {
                    break;
                }
                queues[s].pop_front();
                in_flight[s] -= 1;
                policy.answered(done_us, server, latency_us);
            }
        }
        let view = View {
            now_us,
            client: hash(rng.u64(..CLIENTS)),
            up: &up,
            in_flight: &in_flight,
        };
        let ServerId(s) = policy.pick(&view, &mut dice);
        let work_us = random(&mut rng, WORK_US[s]) as u64;
        free_at_us[s] = now_us.max(free_at_us[s]) + work_us;
        busy_us[s] += work_us;
        in_flight[s] += 1;
        queues[s].push_back((free_at_us[s], free_at_us[s] - now_us));
        latencies_us.push(free_at_us[s] - now_us);
    }
    latencies_us.sort_unstable();
    let mean_us = busy_us.iter().sum::<u64>() as f64 / SERVERS as f64;
    Outcome {
        p50_us: latencies_us[latencies_us.len() / 2],
        p99_us: latencies_us[latencies_us.len() / 100 * 99],
        busiest_to_mean: busy_us.iter().fold(0, |a, &b| a.max(b)) as f64 / mean_us,
    }
}

fn hash(key: u64) -> u64 {
    Rng::with_seed(key).u64(..)
}

fn policies() -> [(&'static str, Box<dyn Policy>); 8] {
    let point = |i: u64| (hash(!i), ServerId((i / POINTS) as usize));
    let circle = (0..POINTS * SERVERS as u64).map(point).collect();
    [
        ("random", Box::new(Random)),
        ("IP hash, modulo", Box::new(IpHash)),
        ("consistent hash", Box::new(ConsistentHash(circle))),
        ("round robin", Box::new(RoundRobin(0))),
        ("weighted round robin", Box::<WeightedRoundRobin>::default()),
        ("two choices", Box::new(TwoChoices)),
        ("peak EWMA", Box::<PeakEwma>::default()),
        ("least connections", Box::new(LeastConnections(0))),
    ]
}

fn main() {
    println!("six fast servers, two slow ones, the whole fleet 60 % busy\n");
    println!("policy                 p50 ms   p99 ms   busiest/mean");
    for (name, mut policy) in policies() {
        let o = simulate(&mut *policy, 1);
        let (p50_ms, p99_ms) = (o.p50_us / 1000, o.p99_us / 1000);
        let ratio = o.busiest_to_mean;
        println!("{name:<22} {p50_ms:>6} {p99_ms:>8} {ratio:>14.2}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const SEEDS: std::ops::Range<u64> = 1..3;

    #[test]
    fn two_choices_cut_randoms_p99_to_a_third_and_all_eight_a_fifth_more() {
        for seed in SEEDS {
            let random = simulate(&mut Random, seed).p99_us as f64;
            let two = simulate(&mut TwoChoices, seed).p99_us as f64;
            let all = simulate(&mut LeastConnections(0), seed).p99_us as f64;
            assert!(two / random < 0.38, "seed {seed}: {}", two / random);
            assert!((0.7..0.87).contains(&(all / two)), "seed {seed}");
        }
    }

    #[test]
    fn round_robin_overworks_slow_servers_by_a_third_and_weights_mend_it() {
        for seed in SEEDS {
            let plain = simulate(&mut RoundRobin(0), seed);
            let weighted = simulate(&mut WeightedRoundRobin::default(), seed);
            assert!(plain.busiest_to_mean > 1.3, "seed {seed}");
            assert!(weighted.busiest_to_mean < 1.1, "seed {seed}");
            assert!(weighted.p99_us < plain.p99_us, "seed {seed}");
        }
    }

    #[test]
    fn every_policy_that_looks_beats_every_policy_that_does_not() {
        for seed in SEEDS {
            let p99_us = policies().map(|(_, mut p)| simulate(&mut *p, seed).p99_us);
            let (blind, looking) = p99_us.split_at(5);
            assert!(looking.iter().max() < blind.iter().min(), "seed {seed}");
        }
    }
}
