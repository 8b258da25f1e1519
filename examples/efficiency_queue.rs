//! One server, requests that come by chance, and a queue: how long does a request
//! take when the server is busier?
//!
//! Look at the jump at the end of the first table, at the formula beside it, and at
//! the slowest and the fastest tenth of the same run: near full, ten long load tests
//! of one system disagree. Then at what helps: equal requests, or two servers with
//! one queue. The second table is Little's law, which holds to the last microsecond
//! for any order of service; only the tail shows the order.
//!
//! Simplified: nobody gives up, the queue has no limit, and arrivals are independent
//! (real ones come in bursts, which is worse). The ± takes the tenths of a run for
//! independent; near full they are not, and it is too small.

use fastrand::Rng;
use std::collections::VecDeque;

const SERVICE_US: f64 = 10_000.0; // on average: 100 requests a second at most
const CUSTOMERS: usize = 300_000;
const PIECES: usize = 10;
const SEED: u64 = 7;

/// A mean and what can be said about its error.
struct Estimate {
    mean_us: f64,
    error_us: f64, // standard error, from the spread of the pieces
    lowest_us: f64,
    highest_us: f64,
}

/// Pairs (gap, work), exponentially distributed with mean 1, as the gaps of
/// independent arrivals are. From one generator: two with neighbouring seeds are
/// correlated, and move every mean by 5 % and more.
fn draws(seed: u64) -> impl Iterator<Item = (f64, f64)> {
    let mut rng = Rng::with_seed(seed);
    let mut draw = move || -(1.0 - rng.f64()).ln();
    std::iter::repeat_with(move || (draw(), draw()))
}

/// (gaps, works) of a whole run.
fn run_of(seed: u64) -> (Vec<f64>, Vec<f64>) {
    draws(seed).take(CUSTOMERS).unzip()
}

// ANCHOR: queue
/// Time in the system of each request: first come, first served, by the server that
/// is free first. All servers together are busy for the share `busy` of the time.
fn times_us(gaps: &[f64], works: &[f64], busy: f64, servers: usize) -> Vec<u64> {
    let gap_us = SERVICE_US / busy / servers as f64;
    let mut free_at = vec![0_u64; servers];
    let mut now = 0_u64;
    let mut times = Vec::with_capacity(gaps.len());
    for (gap, work) in gaps.iter().zip(works) {
        now += (gap * gap_us) as u64;
        let mut first = 0;
        for other in 1..servers {
            if free_at[other] < free_at[first] {
                first = other;
            }
        }
        let start = now.max(free_at[first]); // waits if all are busy
        free_at[first] = start + (work * SERVICE_US) as u64;
        times.push(free_at[first] - now);
    }
    times
}

/// The mean time in the system, by theory.
fn formula_us(kind: Kind, busy: f64) -> f64 {
    match kind {
        Kind::Mm1 => SERVICE_US / (1.0 - busy), // which is 1/(μ - λ)
        Kind::Md1 => SERVICE_US * (1.0 + busy / (2.0 * (1.0 - busy))),
        Kind::Mm2 => SERVICE_US / (1.0 - busy * busy),
    }
}
// ANCHOR_END: queue

/// In the field's notation: arrivals / work / servers, M for memoryless (by chance)
/// and D for deterministic (always the same).
#[derive(Clone, Copy, Debug)]
enum Kind {
    Mm1,
    Md1,
    Mm2,
}

fn simulate(kind: Kind, busy: f64, gaps: &[f64], works: &[f64]) -> Estimate {
    let ones = vec![1.0; gaps.len()];
    let times = match kind {
        Kind::Mm1 => times_us(gaps, works, busy, 1),
        Kind::Md1 => times_us(gaps, &ones, busy, 1),
        Kind::Mm2 => times_us(gaps, works, busy, 2),
    };
    let mean = |times: &[u64]| times.iter().sum::<u64>() as f64 / times.len() as f64;
    let pieces: Vec<f64> = times.chunks(times.len() / PIECES).map(mean).collect();
    let mean_us = pieces.iter().sum::<f64>() / PIECES as f64;
    let squares: f64 = pieces.iter().map(|piece| (piece - mean_us).powi(2)).sum();
    Estimate {
        mean_us,
        error_us: (squares / (PIECES * (PIECES - 1)) as f64).sqrt(),
        lowest_us: pieces.iter().copied().fold(f64::MAX, f64::min),
        highest_us: pieces.iter().copied().fold(0.0, f64::max),
    }
}

#[derive(Clone, Copy, Debug)]
enum Order {
    OldestFirst,
    NewestFirst,
}

/// Servers with one queue, from event to event.
#[derive(Debug)]
struct System {
    now_us: u64,
    /// (arrived at, work)
    waiting: VecDeque<(u64, u64)>,
    /// By server: (arrived at, done at)
    in_service: Vec<Option<(u64, u64)>>,
    /// Requests in the system, added up over each microsecond.
    area_us: u64,
    times_us: Vec<u64>,
}

impl System {
    fn new(servers: usize) -> System {
        System {
            now_us: 0,
            waiting: VecDeque::new(),
            in_service: vec![None; servers],
            area_us: 0,
            times_us: Vec::new(),
        }
    }

    fn inside(&self) -> u64 {
        (self.waiting.len() + self.in_service.iter().flatten().count()) as u64
    }

    /// When the next request leaves.
    fn next_done_us(&self) -> Option<u64> {
        let busy = self.in_service.iter().flatten();
        busy.map(|(_, done_at)| *done_at).min()
    }
}

// ANCHOR: little
impl System {
    /// One event: the next request leaves, or else `coming` (when, work) arrives.
    /// Keeps both sides of Little's law, taken in different ways: by looking at the
    /// system, and by asking each request. Tells whether `coming` arrived.
    fn step(&mut self, coming: Option<(u64, u64)>, order: Order) -> bool {
        let arrives = coming.map(|(at, _)| at).into_iter();
        let next = arrives.chain(self.next_done_us()).min();
        let now = next.unwrap_or(self.now_us);
        self.area_us += self.inside() * (now - self.now_us); // from outside
        self.now_us = now;
        let mut servers = self.in_service.iter_mut();
        let leaves = servers.find(|s| s.is_some_and(|(_, done_at)| done_at == now));
        let arrived = if let Some((arrived_at, _)) = leaves.and_then(Option::take) {
            self.times_us.push(now - arrived_at); // asked on leaving
            false
        } else {
            self.waiting.extend(coming);
            coming.is_some()
        };
        if let Some(free) = self.in_service.iter_mut().find(|s| s.is_none()) {
            let chosen = match order {
                Order::OldestFirst => self.waiting.pop_front(),
                Order::NewestFirst => self.waiting.pop_back(),
            };
            *free = chosen.map(|(arrived_at, work)| (arrived_at, now + work));
        }
        arrived
    }
}

/// A run of one server that begins and ends empty.
fn path(gaps: &[f64], works: &[f64], busy: f64, order: Order) -> System {
    let mut system = System::new(1);
    let (mut next, mut arrival_at) = (0, 0);
    while next < gaps.len() || system.inside() > 0 {
        let work = works.get(next).map(|work| (work * SERVICE_US) as u64);
        if system.step(work.map(|work| (arrival_at, work)), order) {
            arrival_at += (gaps[next] * SERVICE_US / busy) as u64;
            next += 1;
        }
    }
    system
}
// ANCHOR_END: little

fn percentile_us(times: &[u64], percent: usize) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted
        .get(sorted.len() * percent / 100)
        .copied()
        .unwrap_or(0)
}

const BUSY: [f64; 5] = [0.5, 0.8, 0.9, 0.95, 0.98];

fn main() {
    let (gaps, works) = run_of(SEED);
    println!("mean ms in the system; the work alone takes 10 ms\n");
    println!("busy  formula  simulated  lowest and highest   equal   two servers");
    println!("       M/M/1     M/M/1     tenth of the run    work    one queue");
    for busy in BUSY {
        let one = simulate(Kind::Mm1, busy, &gaps, &works);
        let [equal, two] = [Kind::Md1, Kind::Mm2]
            .map(|kind| simulate(kind, busy, &gaps, &works).mean_us / 1e3);
        print!("{:>3.0}%", 100.0 * busy);
        print!(" {:>8.1}", formula_us(Kind::Mm1, busy) / 1e3);
        print!(" {:>7.1} ±{:>3.0}", one.mean_us / 1e3, one.error_us / 1e3);
        print!(
            " {:>8.1} {:>9.1}",
            one.lowest_us / 1e3,
            one.highest_us / 1e3
        );
        println!(" {equal:>10.1} {two:>12.1}");
    }
    println!("\nLittle's law at 90 %, 20,000 requests");
    println!("order          L = inside   λ a second   W ms   λ × W   p99 ms");
    for (name, order) in [
        ("oldest first", Order::OldestFirst),
        ("newest first", Order::NewestFirst),
    ] {
        let path = path(&gaps[..20_000], &works[..20_000], 0.9, order);
        let inside = path.area_us as f64 / path.now_us as f64;
        let per_s = 1e6 * path.times_us.len() as f64 / path.now_us as f64;
        let total_us: u64 = path.times_us.iter().sum();
        let mean_s = total_us as f64 / path.times_us.len() as f64 / 1e6;
        let p99_ms = percentile_us(&path.times_us, 99) / 1_000;
        print!(
            "{name:<13} {inside:>11.3} {per_s:>12.2} {:>6.1}",
            1e3 * mean_s
        );
        println!(" {:>7.3} {p99_ms:>8}", per_s * mean_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_agrees_with_the_formulas() {
        let tolerances = [0.01, 0.03, 0.06, 0.10, 0.25];
        for seed in [SEED, 1, 3] {
            let (gaps, works) = run_of(seed);
            for (busy, tolerance) in BUSY.into_iter().zip(tolerances) {
                for kind in [Kind::Mm1, Kind::Md1, Kind::Mm2] {
                    let run = simulate(kind, busy, &gaps, &works);
                    let off = run.mean_us / formula_us(kind, busy) - 1.0;
                    assert!(off.abs() < tolerance, "{kind:?} {busy}: {off}");
                }
            }
        }
    }

    #[test]
    fn from_80_to_98_percent_the_time_grows_tenfold() {
        let ratio = formula_us(Kind::Mm1, 0.98) / formula_us(Kind::Mm1, 0.8);
        assert!((ratio - 10.0).abs() < 1e-9);
    }

    #[test]
    fn near_full_the_tenths_of_one_run_disagree() {
        let (gaps, works) = run_of(SEED);
        let spread = |busy| {
            let run = simulate(Kind::Mm1, busy, &gaps, &works);
            run.highest_us / run.lowest_us
        };
        assert!(spread(0.5) < 1.1, "{}", spread(0.5));
        assert!(spread(0.98) > 2.0, "{}", spread(0.98));
    }

    #[test]
    fn near_full_a_run_of_another_seed_is_off_by_more_than_half() {
        let (gaps, works) = run_of(9);
        let run = simulate(Kind::Mm1, 0.98, &gaps, &works);
        assert!(run.mean_us > 1.5 * formula_us(Kind::Mm1, 0.98));
    }

    #[test]
    fn littles_law_holds_exactly_in_both_orders_and_in_overload() {
        let (gaps, works) = run_of(3);
        for busy in [0.1, 0.5, 0.9, 0.99, 1.3] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let path = path(&gaps[..5_000], &works[..5_000], busy, order);
                assert_eq!(path.times_us.len(), 5_000, "all have left");
                assert_eq!(path.area_us, path.times_us.iter().sum::<u64>());
            }
        }
    }

    #[test]
    fn the_order_changes_the_tail_and_not_the_mean() {
        let (gaps, works) = run_of(SEED);
        let [old, new] = [Order::OldestFirst, Order::NewestFirst]
            .map(|order| path(&gaps[..20_000], &works[..20_000], 0.9, order));
        let off = old.area_us as f64 / new.area_us as f64 - 1.0;
        assert!(off.abs() < 0.05, "{off}");
        let p99 = |path: &System| percentile_us(&path.times_us, 99);
        assert!(p99(&new) > 2 * p99(&old));
    }

    #[test]
    fn both_simulations_are_one_queue() {
        let (gaps, works) = run_of(5);
        let (gaps, works) = (&gaps[..2_000], &works[..2_000]);
        let quick: u64 = times_us(gaps, works, 0.9, 1).iter().sum();
        let slow: u64 = path(gaps, works, 0.9, Order::OldestFirst).area_us;
        assert!((quick as f64 / slow as f64 - 1.0).abs() < 0.05);
    }
}
