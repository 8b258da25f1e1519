//! A server dies and its port refuses connections. What do the clients see
//! until the balancer takes it out of the rotation?
//!
//! Look first at `refuses`: the policy that is best while all is well sends the
//! most requests into the hole, because a server that refuses at once never has
//! anything in flight and looks like the least busy one. `hangs` is the opposite
//! death. Then read the failures from left to right: each defence hides more.
//!
//! Simplified: eight equal servers of which only one can fail, a refusal takes
//! no time, and the active check is never wrong.

use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SERVERS: usize = 8;
const WORK_US: f64 = 10e3;
const BUSY: f64 = 0.80; // of the fleet's capacity, before the death
const GAP_US: f64 = WORK_US / SERVERS as f64 / BUSY;
const CONNECT_TIMEOUT_US: u64 = 1_000_000;
const CHECK_EVERY_US: u64 = 2_000_000;
const FALL: u32 = 3;
const RISE: u32 = 2;
const MORTAL: usize = 5; // the server that dies
const DIES_US: u64 = 12_500_000;
const RETURNS_US: u64 = 22_500_000;
const ENDS_US: u64 = 28_000_000;

#[derive(Clone, Copy)]
enum Policy {
    Random,
    RoundRobin,
    TwoChoices,
    LeastConnections,
}

#[derive(Clone, Copy, PartialEq)]
enum Death {
    Refuses, // the process is gone, the kernel refuses at once
    Hangs,   // the machine is gone, a connect ends at the timeout
}

/// Each defence includes the ones before it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Defence {
    ActiveCheck,
    PassiveCheck, // a refused connection counts like a failed active check
    Retry,        // and the refused request is sent to another server
}

use Death::{Hangs, Refuses};
use Defence::{ActiveCheck, PassiveCheck, Retry};
use Policy::{LeastConnections, Random, RoundRobin, TwoChoices};

// ANCHOR: health
/// FALL failures in a row take a server out, RISE successes put it back.
struct Health {
    up: bool,
    against: u32, // reports in a row that contradict `up`
}

impl Health {
    fn report(&mut self, ok: bool) {
        self.against = if ok == self.up { 0 } else { self.against + 1 };
        let needed = if self.up { FALL } else { RISE };
        if self.against == needed {
            self.up = !self.up;
            self.against = 0;
        }
    }
}
// ANCHOR_END: health

#[derive(Default)]
struct Seen {
    exposed: usize, // requests from its death until it was taken out
    to_dead: usize, // those of them that were sent to it first
    failed: usize,  // what clients saw: refused, timed out, lost at its death
    out_us: Vec<u64>,
    back_us: Vec<u64>,
}

struct Fleet {
    in_flight: [u32; SERVERS],
    turn: usize,
    rng: Rng,
}

impl Fleet {
    fn pick(&mut self, policy: Policy, up: &[usize]) -> usize {
        let n = up.len();
        self.turn += 1;
        match policy {
            Random => up[self.rng.usize(..n)],
            RoundRobin => up[self.turn % n],
            TwoChoices => {
                let first = self.rng.usize(..n);
                let second = first + self.rng.usize(1..n);
                let (a, b) = (up[first], up[second % n]);
                [a, b][usize::from(self.in_flight[b] < self.in_flight[a])]
            }
            LeastConnections => {
                let in_turn = (0..n).map(|i| up[(self.turn + i) % n]);
                let fewest = in_turn.min_by_key(|&s| self.in_flight[s]);
                fewest.expect("at least one server is up")
            }
        }
    }

    fn random_us(&mut self, mean_us: f64) -> u64 {
        (-mean_us * (1.0 - self.rng.f64()).ln()) as u64
    }
}

fn simulate(policy: Policy, death: Death, defence: Defence, seed: u64) -> Seen {
    let mut fleet = Fleet {
        in_flight: [0; SERVERS],
        turn: 0,
        rng: Rng::with_seed(seed),
    };
    let mut health = Health {
        up: true,
        against: 0,
    };
    let (mut free_at_us, mut answers) = ([0; SERVERS], BinaryHeap::new());
    let mut seen = Seen::default();
    let (mut now_us, mut next_check_us) = (0, CHECK_EVERY_US);
    while now_us < ENDS_US {
        let before_us = now_us;
        now_us += fleet.random_us(GAP_US);
        let dead = (DIES_US..RETURNS_US).contains(&now_us);
        if dead && before_us < DIES_US {
            seen.failed += fleet.in_flight[MORTAL] as usize; // died with it
            fleet.in_flight[MORTAL] = 0;
            answers.retain(|Reverse((_, server))| *server != MORTAL);
            free_at_us[MORTAL] = 0;
        }
        while let Some(&Reverse((done_us, server))) = answers.peek() {
            if done_us > now_us {
                break;
            }
            answers.pop();
            fleet.in_flight[server] -= 1;
        }
        while next_check_us <= now_us {
            let was_up = health.up;
            health.report(!(DIES_US..RETURNS_US).contains(&next_check_us));
            match (was_up, health.up) {
                (true, false) => seen.out_us.push(next_check_us),
                (false, true) => seen.back_us.push(next_check_us),
                _ => {}
            }
            next_check_us += CHECK_EVERY_US;
        }
        seen.exposed += usize::from(dead && health.up);
        let mut rotation: Vec<usize> = (0..SERVERS).collect();
        rotation.retain(|&s| s != MORTAL || health.up);
        let mut server = fleet.pick(policy, &rotation);
        if dead && server == MORTAL {
            seen.to_dead += 1;
            if death == Hangs {
                seen.failed += 1;
                fleet.in_flight[MORTAL] += 1;
                answers.push(Reverse((now_us + CONNECT_TIMEOUT_US, MORTAL)));
                continue;
            }
            if defence >= PassiveCheck {
                health.report(false);
                if !health.up {
                    seen.out_us.push(now_us);
                }
            }
            if defence < Retry {
                seen.failed += 1;
                continue;
            }
            rotation.retain(|&s| s != MORTAL);
            server = fleet.pick(policy, &rotation);
        }
        assert!(!dead || server != MORTAL, "the dead answer nobody");
        let starts_us = now_us.max(free_at_us[server]);
        free_at_us[server] = starts_us + fleet.random_us(WORK_US);
        fleet.in_flight[server] += 1;
        answers.push(Reverse((free_at_us[server], server)));
    }
    seen
}

const POLICIES: [(&str, Policy); 4] = [
    ("random", Random),
    ("round robin", RoundRobin),
    ("two choices", TwoChoices),
    ("least connections", LeastConnections),
];

fn percent_to_dead(policy: Policy, death: Death, seed: u64) -> f64 {
    let seen = simulate(policy, death, ActiveCheck, seed);
    100.0 * seen.to_dead as f64 / seen.exposed as f64
}

fn failures(policy: Policy, defence: Defence, seed: u64) -> usize {
    simulate(policy, Refuses, defence, seed).failed
}

fn main() {
    let seen = simulate(Random, Refuses, ActiveCheck, 1);
    let [out_s, back_s] = [seen.out_us[0], seen.back_us[0]].map(|us| us / 1_000_000);
    println!("one of eight dies at 12.5 s, is out of the rotation at {out_s} s,");
    println!("returns at 22.5 s, is back in the rotation at {back_s} s\n");
    println!("                    % sent to dead    failures that clients saw");
    println!("policy              refuses  hangs    active  +passive   +retry");
    for (name, policy) in POLICIES {
        let to_dead = |death| percent_to_dead(policy, death, 1);
        let clients_saw = |defence| failures(policy, defence, 1);
        print!(
            "{name:<18} {:>8.0} {:>6.0}",
            to_dead(Refuses),
            to_dead(Hangs)
        );
        print!(" {:>9}", clients_saw(ActiveCheck));
        print!(" {:>9}", clients_saw(PassiveCheck));
        println!(" {:>8}", clients_saw(Retry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const SEEDS: std::ops::Range<u64> = 1..4;

    #[test]
    fn only_failures_in_a_row_take_a_server_out() {
        let mut health = Health {
            up: true,
            against: 0,
        };
        let mut after = |reports: &str| {
            reports.chars().for_each(|c| health.report(c == 'y'));
            health.up
        };
        assert!(after("nnynny"), "never three in a row");
        assert!(!after("nnn"));
        assert!(!after("yny"), "never two in a row");
        assert!(after("y"));
    }

    #[test]
    fn a_server_that_refuses_at_once_attracts_least_connections_not_random() {
        for seed in SEEDS {
            let blind = percent_to_dead(Random, Refuses, seed);
            let looking = percent_to_dead(LeastConnections, Refuses, seed);
            assert!((10.0..15.0).contains(&blind), "seed {seed}: {blind}");
            assert!((30.0..40.0).contains(&looking), "seed {seed}: {looking}");
        }
    }

    #[test]
    fn a_server_that_hangs_repels_least_connections() {
        for seed in SEEDS {
            let blind = percent_to_dead(Random, Hangs, seed);
            let looking = percent_to_dead(LeastConnections, Hangs, seed);
            assert!(looking < blind / 4.0, "seed {seed}: {looking}");
        }
    }

    #[test]
    fn the_active_check_needs_up_to_fall_intervals_to_notice() {
        let seen = simulate(Random, Refuses, ActiveCheck, 1);
        let exposed_us = seen.out_us[0] - DIES_US;
        assert!(exposed_us > u64::from(FALL - 1) * CHECK_EVERY_US);
        assert!(exposed_us <= u64::from(FALL) * CHECK_EVERY_US);
    }

    #[test]
    fn retries_hide_every_refusal_but_not_the_answers_lost_at_the_death() {
        for seed in SEEDS {
            for (name, policy) in POLICIES {
                let refused = simulate(policy, Refuses, PassiveCheck, seed);
                assert_eq!(refused.to_dead as u32, FALL, "{name}, seed {seed}");
                let lost = refused.failed - refused.to_dead;
                let active_only = failures(policy, ActiveCheck, seed);
                assert!(active_only > 20 * FALL as usize + lost, "{name}");
                let retried = failures(policy, Retry, seed);
                assert_eq!(retried, lost, "{name}, seed {seed}");
            }
        }
    }
}
