//! Measure how throughput grows with servers, fit a law, and name the peak.
//!
//! Servers work on their own, then take turns at something shared, and while one
//! of them has its turn, it tells the others one by one what it changed. To the
//! measured points the Universal Scalability Law is fitted. Look at `peak`: beyond
//! it a further server makes all of them together slower. Then compare the two
//! last columns: the same work, but the servers ask for their turns all at once,
//! or each in its own time.
//!
//! Simplified: servers always have work, and only one thing is shared. In step, the
//! mean of a round is the law itself, so only chance keeps the points off it:
//! n servers need alone + n (shared + tell (n - 1)). In their own time it is not.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const REQUESTS: u64 = 10_000;

// ANCHOR: cluster
/// What one request costs, in microseconds of virtual time.
#[derive(Clone, Copy, Debug)]
struct Cost {
    alone: f64,  // work that needs nobody else
    shared: f64, // in turns: one server at a time
    tell: f64,   // for each other server, within the turn
}

/// When servers ask for their turns.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    InStep,  // all at once; nobody goes on before all had their turn
    OwnTime, // each when its own work is done
}

/// Requests a second of `servers` servers that always have work. The times are
/// random (exponential), with the means of `cost`; only the work in step is even.
fn throughput(cost: Cost, pace: Pace, servers: u32, seed: u64) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut random = |mean: f64| (-mean * (1.0 - rng.f64()).ln() * 1_000.0) as u64;
    let turn = cost.shared + cost.tell * f64::from(servers - 1);
    // When each server next asks for its turn, in nanoseconds.
    let mut asks = BinaryHeap::new();
    let (mut free, mut done) = (0, 0);
    while done < REQUESTS {
        if asks.is_empty() {
            asks = match pace {
                // The slowest would hold up the others, so the work is even.
                Pace::InStep => {
                    vec![Reverse(free + (cost.alone * 1e3) as u64); servers as usize]
                        .into()
                }
                Pace::OwnTime => {
                    (0..servers).map(|_| Reverse(random(cost.alone))).collect()
                }
            };
        }
        let Some(Reverse(ask)) = asks.pop() else {
            break;
        };
        free = ask.max(free) + random(turn);
        done += 1;
        if pace == Pace::OwnTime {
            asks.push(Reverse(free + random(cost.alone)));
        }
    }
    REQUESTS as f64 / (free as f64 / 1e9)
}
// ANCHOR_END: cluster

// ANCHOR: law
/// Gunther's Universal Scalability Law. `contention` is the share of the work
/// that must wait its turn, `coherence` the price of each pair that must agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    pub contention: f64,
    pub coherence: f64,
}

impl Law {
    /// How many times the work of one server `n` servers do.
    pub fn capacity(&self, n: f64) -> f64 {
        n / (1.0 + self.contention * (n - 1.0) + self.coherence * n * (n - 1.0))
    }

    /// Where capacity is greatest: the derivative is 0 there. None if it grows
    /// for ever.
    pub fn peak(&self) -> Option<f64> {
        let square = (1.0 - self.contention) / self.coherence;
        (self.coherence > 0.0).then(|| square.max(1.0).sqrt())
    }

    /// Fits the law to points (n, capacity relative to n = 1). Written as
    /// n / capacity - 1 = contention (n - 1) + coherence n (n - 1), it is linear in
    /// its two numbers: least squares, neither of them below 0.
    pub fn fit(points: &[(f64, f64)]) -> Law {
        let rows = points
            .iter()
            .map(|(n, c)| (n - 1.0, n * (n - 1.0), n / c - 1.0));
        let sum = |f: fn((f64, f64, f64)) -> f64| rows.clone().map(f).sum::<f64>();
        let (aa, ab) = (sum(|(a, _, _)| a * a), sum(|(a, b, _)| a * b));
        let bb = sum(|(_, b, _)| b * b);
        let (ay, by) = (sum(|(a, _, y)| a * y), sum(|(_, b, y)| b * y));
        let determinant = aa * bb - ab * ab;
        let both = Law {
            contention: (ay * bb - by * ab) / determinant,
            coherence: (by * aa - ay * ab) / determinant,
        };
        let alone = |top: f64, bottom: f64| (top / bottom).max(0.0);
        match (both.contention >= 0.0, both.coherence >= 0.0) {
            (true, true) => both,
            (false, _) => Law {
                contention: 0.0,
                coherence: alone(by, bb),
            },
            (_, _) => Law {
                contention: alone(ay, aa),
                coherence: 0.0,
            },
        }
    }
}
// ANCHOR_END: law

const SERVERS: [u32; 9] = [1, 2, 4, 8, 12, 16, 24, 32, 48];

/// Capacity at each number of servers, relative to one.
fn measure((cost, pace): (Cost, Pace)) -> Vec<(f64, f64)> {
    let one = throughput(cost, pace, 1, 1);
    let at = |n| (f64::from(n), throughput(cost, pace, n, u64::from(n)) / one);
    SERVERS.into_iter().map(at).collect()
}

const TURNS: Cost = Cost {
    alone: 960.0,
    shared: 40.0,
    tell: 0.0,
};
const TELLING: Cost = Cost {
    alone: 960.0,
    shared: 40.0,
    tell: 3.0,
};

const CLUSTERS: [(&str, (Cost, Pace)); 3] = [
    ("turns", (TURNS, Pace::InStep)),
    ("telling", (TELLING, Pace::InStep)),
    ("own time", (TELLING, Pace::OwnTime)),
];

fn main() {
    let measured = CLUSTERS.map(|(_, cluster)| measure(cluster));
    let laws = measured.each_ref().map(|points| Law::fit(points));
    let row = |name: &str, cells: [String; 3]| {
        println!(
            "{name:10}{}",
            cells.map(|cell| format!("{cell:>14}")).concat()
        );
    };
    println!("times the work of one server, measured");
    row("servers", CLUSTERS.map(|(name, _)| name.to_owned()));
    for (nth, n) in SERVERS.into_iter().enumerate() {
        let cells = measured
            .each_ref()
            .map(|points| format!("{:.1}", points[nth].1));
        row(&n.to_string(), cells);
    }
    println!("\nfitted");
    row(
        "contention",
        laws.map(|law| format!("{:.3}", law.contention)),
    );
    row("coherence", laws.map(|law| format!("{:.4}", law.coherence)));
    row("peak", laws.map(peak));
    println!("\nforetold from up to 8 servers | measured");
    for nth in 4..SERVERS.len() {
        let cells = measured.each_ref().map(|points| {
            let (n, capacity) = points[nth];
            format!("{:.1} |{capacity:5.1}", Law::fit(&points[..4]).capacity(n))
        });
        row(&SERVERS[nth].to_string(), cells);
    }
    // Its peak, beside the one of the measured numbers of servers that did most.
    let cells = measured.each_ref().map(|points| {
        let best = best(points).map_or(0.0, |(n, _)| n);
        format!("{} |{best:5}", peak(Law::fit(&points[..4])))
    });
    row("peak", cells);
}

fn best(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))
}

/// A peak far outside what was measured is not one that anybody has seen.
fn peak(law: Law) -> String {
    let measured = f64::from(SERVERS[SERVERS.len() - 1]);
    match law.peak() {
        Some(n) if n <= measured => format!("{n:.0}"),
        _ => format!("past {measured}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_the_law_that_made_the_points() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let law = Law {
                contention: rng.f64() / 2.0,
                coherence: rng.f64() / 50.0,
            };
            let at = |n| (f64::from(n), law.capacity(f64::from(n)));
            let points: Vec<_> = SERVERS.into_iter().map(at).collect();
            let found = Law::fit(&points);
            assert!(
                (found.contention - law.contention).abs() < 1e-6,
                "{found:?}"
            );
            assert!((found.coherence - law.coherence).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn the_peak_is_where_one_server_more_or_less_is_worse() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..500 {
            let law = Law {
                contention: rng.f64() / 2.0,
                coherence: 0.0005 + rng.f64() / 50.0,
            };
            let peak = law.peak().expect("coherence is above 0");
            let best = law.capacity(peak);
            assert!(law.capacity(peak + 1.0) < best);
            assert!(peak < 2.0 || law.capacity(peak - 1.0) < best);
        }
    }

    #[test]
    fn without_coherence_it_is_amdahls_law() {
        let law = Law {
            contention: 0.1,
            coherence: 0.0,
        };
        for n in 1..1_000 {
            let n = f64::from(n);
            let amdahl = 1.0 / (0.1 + 0.9 / n);
            assert!((law.capacity(n) - amdahl).abs() < 1e-9);
        }
        assert_eq!(law.peak(), None);
    }

    #[test]
    fn servers_that_share_nothing_do_n_times_the_work() {
        let nothing = Cost {
            alone: 1_000.0,
            shared: 0.0,
            tell: 0.0,
        };
        for pace in [Pace::InStep, Pace::OwnTime] {
            for (n, capacity) in measure((nothing, pace)) {
                assert!((capacity / n - 1.0).abs() < 0.05, "{n}: {capacity}");
            }
        }
    }

    #[test]
    fn one_server_has_nobody_to_tell() {
        for pace in [Pace::InStep, Pace::OwnTime] {
            let one = |cost| throughput(cost, pace, 1, 1);
            assert_eq!(one(TELLING), one(TURNS));
        }
    }

    #[test]
    fn taking_turns_bounds_the_capacity() {
        let bound = 1_000.0 / 40.0; // a request's work over its turn
        for pace in [Pace::InStep, Pace::OwnTime] {
            let points = measure((TURNS, pace));
            assert!(points.iter().all(|(_, c)| *c < bound * 1.03), "{points:?}");
            assert!(points.windows(2).all(|pair| pair[1].1 > pair[0].1));
        }
    }

    #[test]
    fn telling_the_others_makes_many_servers_slower_than_few() {
        for pace in [Pace::InStep, Pace::OwnTime] {
            let points = measure((TELLING, pace));
            let best = best(&points).expect("there are points");
            let last = points[points.len() - 1];
            assert!(last.1 < best.1 * 0.8, "{points:?}");
            let peak = Law::fit(&points).peak().expect("there is one");
            assert!((peak - best.0).abs() <= 4.0, "{peak} {best:?}");
        }
    }

    #[test]
    fn asking_in_step_gives_the_costs_back_and_foretells_the_rest() {
        let points = measure((TELLING, Pace::InStep));
        let law = Law::fit(&points);
        assert!((law.contention - 0.040).abs() < 0.005, "{law:?}");
        assert!((law.coherence - 0.003).abs() < 0.0003, "{law:?}");
        for (n, capacity) in &points[4..] {
            let foretold = Law::fit(&points[..4]).capacity(*n);
            assert!((foretold / capacity - 1.0).abs() < 0.05, "{n}: {foretold}");
        }
        let peak = |points| Law::fit(points).peak().expect("there is one");
        let (four, all) = (peak(&points[..4]), peak(&points));
        assert!((four - all).abs() < 1.0, "{four} {all}");
    }

    #[test]
    fn asking_in_their_own_time_hides_the_contention_and_ends_worse_than_foretold() {
        let points = measure((TELLING, Pace::OwnTime));
        assert!(Law::fit(&points).contention < 0.005);
        let foretold = Law::fit(&points[..4]).capacity(48.0);
        assert!(foretold > 2.0 * points[8].1, "{foretold} {points:?}");
    }
}
