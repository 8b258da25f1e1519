//! Retries meet a server that has too little room: three ways to make a storm.
//!
//! First 1,000 clients that failed at the same moment, and a server that answers
//! 100 calls in each tick of 100 ms and refuses the rest. Look at the peak and at
//! the refused calls. Then a server with room to spare (100 calls arrive a tick, it
//! answers 120) that stands still for one second. Look at what is still answered in
//! time half a minute later, and that jitter does not help here while a limit does.
//! Last, retries in each of several layers.
//!
//! Simplified: one tick is 100 ms, a call is answered or refused within it, and in
//! the second part waits in a queue; who has given up does not take it back.

use fastrand::Rng;
use std::collections::{BTreeMap, VecDeque};

const CLIENTS: u32 = 1_000;
const ANSWERS_PER_TICK: u32 = 100;
const RUN_TICKS_MAX: u64 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    AtOnce,
    Fixed,
    Exponential,
    EqualJitter,
    FullJitter,
    Decorrelated,
}

const RULES: [(&str, Rule); 6] = [
    ("at once", Rule::AtOnce),
    ("fixed, 1 s", Rule::Fixed),
    ("exponential", Rule::Exponential),
    ("… equal jitter", Rule::EqualJitter),
    ("… full jitter", Rule::FullJitter),
    ("… decorrelated", Rule::Decorrelated),
];

const BASE_TICKS: u64 = 10; // 1 s
const CAP_TICKS: u64 = 320;

/// As in `reliability_retry`, in ticks; the next attempt is at least a tick later.
fn wait(rule: Rule, failed: u32, last: u64, rng: &mut Rng) -> u64 {
    let limit = (BASE_TICKS << (failed - 1).min(20)).min(CAP_TICKS);
    let ticks = match rule {
        Rule::AtOnce => 1,
        Rule::Fixed => BASE_TICKS,
        Rule::Exponential => limit,
        Rule::EqualJitter => limit / 2 + rng.u64(0..=limit / 2),
        Rule::FullJitter => rng.u64(0..=limit),
        Rule::Decorrelated => rng.u64(BASE_TICKS..=last * 3).min(CAP_TICKS),
    };
    ticks.max(1)
}

#[derive(Debug, PartialEq)]
struct Herd {
    calls: u32,
    refused: u32,
    peak: usize, // calls in one tick, after the first
    done_ticks: u64,
}

// ANCHOR: herd
/// All clients fail at tick 0. Each tries again until it is answered.
fn herd(rule: Rule) -> Herd {
    let mut rng = Rng::with_seed(1);
    let mut due: BTreeMap<u64, Vec<(u32, u64)>> = BTreeMap::new();
    for _client in 0..CLIENTS {
        let first = wait(rule, 1, BASE_TICKS, &mut rng);
        due.entry(first).or_default().push((1, first));
    }
    let (mut calls, mut refused, mut peak, mut done) = (0, 0, 0, 0);
    while let Some((now, mut callers)) = due.pop_first() {
        if now > RUN_TICKS_MAX {
            break;
        }
        peak = peak.max(callers.len());
        rng.shuffle(&mut callers); // who is first is luck
        for (place, (failed, last)) in callers.into_iter().enumerate() {
            calls += 1;
            if place < ANSWERS_PER_TICK as usize {
                done = now;
                continue;
            }
            refused += 1;
            let ticks = wait(rule, failed + 1, last, &mut rng);
            due.entry(now + ticks)
                .or_default()
                .push((failed + 1, ticks));
        }
    }
    Herd {
        calls,
        refused,
        peak,
        done_ticks: done,
    }
}
// ANCHOR_END: herd

const ARRIVE_PER_TICK: u32 = 100;
const SERVE_PER_TICK: u32 = 120;
const STANDS_STILL: std::ops::Range<u64> = 100..110;
const TIME_OUT_TICKS: u64 = 5;
const RUN_TICKS: u64 = 500;
const TRIES: u32 = 3;
const QUEUE_LONG: usize = 100_000;
const BUDGET_MAX: u32 = 10 * 100; // hundredths of a retry

#[derive(Clone, Copy)]
struct Defence {
    tries: u32,
    jitter: bool,
    budget_percent: Option<u32>,
    queue_len_max: usize,
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    calls_peak: u32,          // in a tick
    late: u32,                // answers that nobody waited for, last 100 ticks
    good_percent: u32,        // of the requests of the last 100 ticks
    whole_again: Option<u64>, // first tick from which on all is well
}

// ANCHOR: open
/// Ticks until the next try: one, or up to 16 by chance, then up to 32.
fn later(jitter: bool, attempt: u32, rng: &mut Rng) -> u64 {
    if jitter {
        rng.u64(1..=8 << attempt)
    } else {
        1
    }
}

/// Callers, each of whom makes up to `tries` calls, and a server with a queue.
struct Crowd {
    defence: Defence,
    rng: Rng,
    queue: VecDeque<(u64, u32)>,  // sent at, attempt
    due: BTreeMap<u64, Vec<u32>>, // attempts to be sent
    tokens: u32,                  // hundredths
}

/// What became of calls in one tick.
#[derive(Debug, Default)]
struct Tick {
    refused: u32,      // the queue was full
    in_time: Vec<u64>, // when the calls were sent that are answered in time
    late: u32,         // answers that nobody waited for
    timed_out: u32,    // callers who have waited long enough
}

impl Crowd {
    fn new(defence: Defence) -> Crowd {
        Crowd {
            defence,
            rng: Rng::with_seed(2),
            queue: VecDeque::new(),
            due: BTreeMap::new(),
            tokens: BUDGET_MAX,
        }
    }

    /// The calls of this tick, each as its attempt: those that are tried again, and
    /// `arrive` new ones. Users come whatever happens.
    fn sends(&mut self, now: u64, arrive: u32) -> Vec<u32> {
        let mut sends = self.due.remove(&now).unwrap_or_default();
        sends.extend([1].repeat(arrive as usize));
        sends
    }

    /// The calls reach the server, which makes `serve` answers.
    fn tick(&mut self, now: u64, sends: Vec<u32>, serve: u32) -> Tick {
        let (defence, mut tick) = (self.defence, Tick::default());
        let mut failed: Vec<u32> = Vec::new();
        for attempt in sends {
            if attempt == 1 {
                let share = defence.budget_percent.unwrap_or(0);
                self.tokens = (self.tokens + share).min(BUDGET_MAX);
            }
            if self.queue.len() < defence.queue_len_max {
                self.queue.push_back((now, attempt));
            } else {
                failed.push(attempt); // refused, and told so
                tick.refused += 1;
            }
        }
        for _ in 0..serve {
            match self.queue.pop_front() {
                Some((sent, _)) if now - sent < TIME_OUT_TICKS => {
                    tick.in_time.push(sent);
                }
                Some(_) => tick.late += 1, // its caller has gone, or asked again
                None => break,
            }
        }
        // Who is still in the queue when its time is up asks again, or gives up.
        let waited = |sent: u64| now - sent + 1;
        let queue = &self.queue;
        let long = queue.partition_point(|(sent, _)| waited(*sent) > TIME_OUT_TICKS);
        let overdue =
            queue.partition_point(|(sent, _)| waited(*sent) >= TIME_OUT_TICKS);
        failed.extend(queue.range(long..overdue).map(|(_, attempt)| *attempt));
        tick.timed_out = (overdue - long) as u32;
        for attempt in failed {
            let limited = defence.budget_percent.is_some();
            if attempt >= defence.tries || limited && self.tokens < 100 {
                continue; // gives up
            }
            self.tokens -= if limited { 100 } else { 0 };
            let later = later(defence.jitter, attempt, &mut self.rng);
            self.due.entry(now + later).or_default().push(attempt + 1);
        }
        tick
    }
}

fn stand_still(defence: Defence) -> Outcome {
    let mut crowd = Crowd::new(defence);
    let mut outcome = Outcome::default();
    for now in 0..RUN_TICKS {
        let sends = crowd.sends(now, ARRIVE_PER_TICK);
        outcome.calls_peak = outcome.calls_peak.max(sends.len() as u32);
        let stands = STANDS_STILL.contains(&now);
        let serve = if stands { 0 } else { SERVE_PER_TICK };
        let tick = crowd.tick(now, sends, serve);
        let good = tick.in_time.len() as u32;
        if now + 100 >= RUN_TICKS {
            outcome.late += tick.late;
            outcome.good_percent += good;
        }
        if good < ARRIVE_PER_TICK {
            outcome.whole_again = None;
        } else if outcome.whole_again.is_none() {
            outcome.whole_again = Some(now);
        }
    }
    outcome.good_percent /= ARRIVE_PER_TICK;
    outcome
}
// ANCHOR_END: open

// ANCHOR: layers
/// A call through `layers` services above a database that is down. Each layer tries
/// `tries` times, or while its budget lasts. Returns the calls of the database.
fn calls_through(layers: usize, tries: u32, saved: &mut [Option<u32>]) -> u32 {
    if layers == 0 {
        return 1;
    }
    if let Some(tenths) = &mut saved[layers - 1] {
        *tenths = (*tenths + 1).min(100); // a new request brings a tenth
    }
    let mut calls = 0;
    for attempt in 1..=tries {
        if let (2.., Some(tenths)) = (attempt, &mut saved[layers - 1]) {
            if *tenths < 10 {
                break;
            }
            *tenths -= 10;
        }
        calls += calls_through(layers - 1, tries, saved);
    }
    calls
}
// ANCHOR_END: layers

/// The mean over 1,000 requests.
fn amplification(layers: usize, budget: bool) -> f64 {
    let mut saved = vec![budget.then_some(0); layers];
    let mut calls = 0;
    for _request in 0..1_000 {
        calls += calls_through(layers, TRIES, &mut saved);
    }
    f64::from(calls) / 1_000.0
}

fn main() {
    println!("1000 clients, 100 answers a tick  calls  refused  peak  all done");
    for (name, rule) in RULES {
        let herd = herd(rule);
        print!("{name:<33} {:>5} {:>8}", herd.calls, herd.refused);
        println!(" {:>5} {:>7.1} s", herd.peak, herd.done_ticks as f64 / 10.0);
    }
    println!("\none second of standstill         peak   late  good %   well after");
    for (name, defence) in DEFENCES {
        let outcome = stand_still(defence);
        print!("{name:<30} {:>6} {:>6}", outcome.calls_peak, outcome.late);
        print!(" {:>7} ", outcome.good_percent);
        match outcome.whole_again {
            Some(tick) => {
                let after = tick.saturating_sub(STANDS_STILL.end) as f64 / 10.0;
                println!("{after:>10.1} s");
            }
            None => println!("       never"),
        }
    }
    println!("\ncalls of a dead database for each request");
    print!("layers that try three times ");
    for layers in 1..=5 {
        print!(" {layers:>7}");
    }
    for (name, budget) in
        [("without a limit", false), ("with a budget of 10 %", true)]
    {
        print!("\n{name:<28}");
        for layers in 1..=5 {
            print!(" {:>7.2}", amplification(layers, budget));
        }
    }
    println!();
}

const DEFENCES: [(&str, Defence); 6] = {
    let naive = Defence {
        tries: TRIES,
        jitter: false,
        budget_percent: None,
        queue_len_max: QUEUE_LONG,
    };
    [
        ("no retries", Defence { tries: 1, ..naive }),
        ("3 tries, at once", naive),
        (
            "3 tries, full jitter",
            Defence {
                jitter: true,
                ..naive
            },
        ),
        (
            "… and a budget of 10 %",
            Defence {
                jitter: true,
                budget_percent: Some(10),
                ..naive
            },
        ),
        (
            "… and a queue of 400",
            Defence {
                jitter: true,
                queue_len_max: 400,
                ..naive
            },
        ),
        (
            "… and both",
            Defence {
                jitter: true,
                budget_percent: Some(10),
                queue_len_max: 400,
                ..naive
            },
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str) -> Outcome {
        let defence = DEFENCES.into_iter().find(|(n, _)| *n == name);
        stand_still(defence.expect("a defence of that name").1)
    }

    #[test]
    fn without_jitter_every_round_is_a_herd_however_long_the_wait() {
        for rule in [Rule::AtOnce, Rule::Fixed, Rule::Exponential] {
            let herd = herd(rule);
            assert_eq!(herd.peak, CLIENTS as usize);
            assert_eq!(herd.calls, (1..=10).map(|k| 100 * k).sum::<u32>());
        }
        assert!(
            herd(Rule::Exponential).done_ticks > 10 * herd(Rule::Fixed).done_ticks
        );
    }

    #[test]
    fn each_jitter_cuts_the_peak_to_less_than_a_fifth() {
        for rule in [Rule::EqualJitter, Rule::FullJitter, Rule::Decorrelated] {
            let herd = herd(rule);
            assert!(herd.peak * 5 < CLIENTS as usize, "{rule:?} {herd:?}");
            assert!(herd.done_ticks <= 50, "{rule:?} {herd:?}");
        }
    }

    #[test]
    fn every_client_is_answered_once_under_every_rule() {
        for (name, rule) in RULES {
            let herd = herd(rule);
            assert_eq!(herd.calls - herd.refused, CLIENTS, "{name}");
        }
    }

    #[test]
    fn three_tries_keep_the_server_down_for_ever_and_jitter_does_not_help() {
        assert_eq!(outcome("no retries").good_percent, 100);
        for name in ["3 tries, at once", "3 tries, full jitter"] {
            let outcome = outcome(name);
            assert_eq!((outcome.good_percent, outcome.whole_again), (0, None));
            assert_eq!(outcome.late, 100 * SERVE_PER_TICK, "busy, all in vain");
        }
    }

    #[test]
    fn the_jitter_that_does_not_help_spreads_the_tries() {
        let mut rng = Rng::with_seed(3);
        for attempt in 1..TRIES {
            let seen: std::collections::BTreeSet<u64> =
                (0..2_000).map(|_| later(true, attempt, &mut rng)).collect();
            assert!(seen.into_iter().eq(1..=8 << attempt));
        }
    }

    #[test]
    fn without_retries_all_is_well_2_9_seconds_after_the_standstill() {
        let well = outcome("no retries").whole_again;
        assert_eq!(well, Some(STANDS_STILL.end + 29));
    }

    #[test]
    fn a_budget_or_a_short_queue_ends_the_storm() {
        for name in [
            "… and a budget of 10 %",
            "… and a queue of 400",
            "… and both",
        ] {
            let outcome = outcome(name);
            assert_eq!((outcome.good_percent, outcome.late), (100, 0), "{name}");
        }
    }

    #[test]
    fn tries_multiply_over_layers_and_budgets_multiply_to_little() {
        for layers in 1..=5 {
            let power = f64::from(3_u32.pow(layers as u32));
            assert_eq!(amplification(layers, false), power);
            let bound = 1.1_f64.powi(layers as i32) + 0.01;
            assert!(amplification(layers, true) <= bound);
        }
    }
}
