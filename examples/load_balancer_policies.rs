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
        view.up[roll(view.up.len(), rng)]
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
    let first = roll(up.len(), rng);
    let second = first + 1 + roll((up.len() - 1).max(1), rng);
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

struct Request {
    now_us: u64,
    client: u64,
    work: f64, // 1.0 is the server's mean
}

/// The requests: the same for every policy, as each rolls dice of its own.
struct Traffic {
    rng: Rng,
    gap_us: f64, // on average
    clock_us: f64,
}

impl Traffic {
    fn new(rng: Rng, gap_us: f64) -> Traffic {
        let clock_us = 0.0;
        Traffic {
            rng,
            gap_us,
            clock_us,
        }
    }

    fn arrive(&mut self) -> Request {
        let random = |rng: &mut Rng, mean: f64| -mean * (1.0 - rng.f64()).ln();
        self.clock_us += random(&mut self.rng, self.gap_us);
        Request {
            now_us: self.clock_us as u64,
            client: hash(self.rng.u64(..CLIENTS)),
            work: random(&mut self.rng, 1.0),
        }
    }
}

/// Requests a microsecond that servers with these means of work can answer.
fn capacity(work_us: &[f64; SERVERS]) -> f64 {
    work_us.iter().map(|work_us| 1.0 / work_us).sum()
}

struct Outcome {
    p50_us: u64,
    p99_us: u64,
    busiest_to_mean: f64,
}

struct Fleet {
    work_us: [f64; SERVERS],
    free_at_us: [u64; SERVERS],
    busy_us: [u64; SERVERS],
    queues: [VecDeque<(u64, u64)>; SERVERS], // done at, latency; as they arrived
    in_flight: [u32; SERVERS],
    latencies_us: Vec<u64>,
}

impl Fleet {
    fn new(work_us: [f64; SERVERS]) -> Fleet {
        Fleet {
            work_us,
            free_at_us: [0; SERVERS],
            busy_us: [0; SERVERS],
            queues: [const { VecDeque::new() }; SERVERS],
            in_flight: [0; SERVERS],
            latencies_us: Vec::new(),
        }
    }

    /// The answers that have come back by now.
    fn answer(&mut self, now_us: u64, policy: &mut dyn Policy) {
        for (s, queue) in self.queues.iter_mut().enumerate() {
            while let Some(&(done_us, latency_us)) = queue.front() {
                if done_us > now_us {
                    break;
                }
                queue.pop_front();
                self.in_flight[s] -= 1;
                policy.answered(done_us, ServerId(s), latency_us);
            }
        }
    }

    fn send(&mut self, request: &Request, ServerId(s): ServerId) {
        let work_us = (self.work_us[s] * request.work) as u64;
        self.free_at_us[s] = request.now_us.max(self.free_at_us[s]) + work_us;
        self.busy_us[s] += work_us;
        self.in_flight[s] += 1;
        let latency_us = self.free_at_us[s] - request.now_us;
        self.queues[s].push_back((self.free_at_us[s], latency_us));
        self.latencies_us.push(latency_us);
    }

    fn outcome(&self) -> Outcome {
        let mut sorted_us = self.latencies_us.clone();
        sorted_us.sort_unstable();
        let mean_us = self.busy_us.iter().sum::<u64>() as f64 / SERVERS as f64;
        let busiest_us = self.busy_us.iter().fold(0, |a, &b| a.max(b));
        Outcome {
            p50_us: sorted_us[sorted_us.len() / 2],
            p99_us: sorted_us[sorted_us.len() * 99 / 100],
            busiest_to_mean: busiest_us as f64 / mean_us,
        }
    }
}

fn simulate(policy: &mut dyn Policy, seed: u64) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let mut dice = rng.fork();
    let gap_us = 1.0 / (capacity(&WORK_US) * UTILISATION);
    let mut traffic = Traffic::new(rng, gap_us);
    let mut fleet = Fleet::new(WORK_US);
    let up: Vec<ServerId> = (0..SERVERS).map(ServerId).collect();
    for _ in 0..REQUESTS {
        let request = traffic.arrive();
        fleet.answer(request.now_us, policy);
        let view = View {
            now_us: request.now_us,
            client: request.client,
            up: &up,
            in_flight: &fleet.in_flight,
        };
        let server = policy.pick(&view, &mut dice);
        fleet.send(&request, server);
    }
    fleet.outcome()
}

/// One of 0 to `sides` - 1. Rolled as a `u64`: a `usize` would fall otherwise where
/// it has 32 bits.
fn roll(sides: usize, rng: &mut Rng) -> usize {
    rng.u64(..sides as u64) as usize
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
