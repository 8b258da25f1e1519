//! Latencies in a histogram: what a percentile costs, and what may be added up.
//!
//! Look at `exponential` first: within 4.5 % of the exact percentile, with some
//! dozens of numbers instead of 20,000. The fixed bounds do well by luck for the
//! wide service, and are off by two thirds where all values lie in one bucket.
//! Then at the last table: the average of the servers' p99 is far too low for one
//! fleet and far too high for the next, and weighting does not help the first.
//!
//! Simplified: latencies are drawn from a log-normal distribution, in whole
//! microseconds. Percentiles are by nearest rank; only the fixed buckets take the
//! values inside a bucket to lie evenly, which is the usual method.

mod histogram;

use histogram::{exact, Histogram, Micros};

/// The default bounds of Prometheus's Go client, in microseconds.
const FIXED: [Micros; 11] = [
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// As `histogram_quantile` does it: the values of a bucket are taken to lie
/// evenly between its bounds.
fn fixed_quantile(values: &[Micros], q: f64) -> f64 {
    let wanted = q * values.len() as f64;
    let (mut below, mut lower) = (0.0, 0);
    for upper in FIXED {
        let inside = |v: &&Micros| **v > lower && **v <= upper;
        let n = values.iter().filter(inside).count() as f64;
        if below + n >= wanted {
            let part = (wanted - below) / n;
            return lower as f64 + (upper - lower) as f64 * part;
        }
        (below, lower) = (below + n, upper);
    }
    FIXED[FIXED.len() - 1] as f64 // all that one knows
}

/// `n` latencies around a median: most are near it, few are many times as long.
fn draw(
    rng: &mut fastrand::Rng,
    n: usize,
    median_ms: f64,
    sigma: f64,
) -> Vec<Micros> {
    let normal = |rng: &mut fastrand::Rng| {
        let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * rng.f64()).cos()
    };
    let one = |rng: &mut fastrand::Rng| {
        (median_ms * 1_000.0 * (sigma * normal(rng)).exp()) as Micros
    };
    (0..n).map(|_| one(rng)).collect()
}

fn histogram(values: &[Micros]) -> Histogram {
    let mut histogram = Histogram::default();
    values.iter().for_each(|value| histogram.record(*value));
    histogram
}

fn sorted(mut values: Vec<Micros>) -> Vec<Micros> {
    values.sort_unstable();
    values
}

/// How many servers, the requests of each, their median in ms and spread.
type Group = (usize, usize, f64, f64);
const FLEETS: [(&str, [Group; 2]); 3] = [
    (
        "1 server of 10 is slow",
        [(9, 1_000, 20.0, 0.3), (1, 1_000, 900.0, 0.3)],
    ),
    (
        "and gets few requests",
        [(9, 1_100, 20.0, 0.3), (1, 50, 900.0, 0.3)],
    ),
    (
        "a calm and a busy hour",
        [(1, 1_000, 15.0, 0.3), (1, 19_000, 60.0, 0.6)],
    ),
];

fn servers(groups: [Group; 2]) -> Vec<Vec<Micros>> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut servers = vec![];
    for (machines, n, median_ms, sigma) in groups {
        for _ in 0..machines {
            servers.push(draw(&mut rng, n, median_ms, sigma));
        }
    }
    servers
}

struct Compared {
    average: f64,
    weighted: f64, // by each server's number of requests
    merged: f64,
    exact: f64,
}

// ANCHOR: compare
fn compare(servers: &[Vec<Micros>], q: f64) -> Compared {
    let p = |values: &Vec<Micros>| exact(&sorted(values.clone()), q) as f64;
    let all: Vec<Micros> = servers.concat();
    let mut merged = Histogram::default();
    servers
        .iter()
        .for_each(|values| merged.merge(&histogram(values)));
    let weight = |values: &Vec<Micros>| values.len() as f64 / all.len() as f64;
    Compared {
        average: servers.iter().map(p).sum::<f64>() / servers.len() as f64,
        weighted: servers.iter().map(|v| p(v) * weight(v)).sum(),
        merged: merged.quantile(q),
        exact: p(&all),
    }
}
// ANCHOR_END: compare

fn main() {
    let mut rng = fastrand::Rng::with_seed(1);
    let wide = sorted(draw(&mut rng, 20_000, 30.0, 0.9));
    let narrow = sorted(draw(&mut rng, 20_000, 280.0, 0.03));
    let mean = wide.iter().sum::<Micros>() / 20_000;
    let faster = wide.iter().filter(|value| **value < mean).count() / 200;
    println!(
        "wide: mean {:.1} ms, {faster} % are faster",
        mean as f64 / 1e3
    );
    println!("\nms            exact  exponential  fixed");
    for (name, values) in [("wide", &wide), ("narrow", &narrow)] {
        let histogram = histogram(values);
        for (q_name, q) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let exact = exact(values, q) as f64 / 1e3;
            let exponential = histogram.quantile(q) / 1e3;
            let fixed = fixed_quantile(values, q) / 1e3;
            print!("{name:<6} {q_name:<5} {exact:>7.1}");
            println!(" {exponential:>12.1} {fixed:>6.1}");
        }
        let (all, few) = (values.len(), histogram.buckets.len());
        println!("{name:<6} count {all:>7} {few:>12} {:>6}", FIXED.len() + 1);
    }

    println!("\np99 of all, ms           average  weighted  merged  exact");
    for (name, groups) in FLEETS {
        let c = compare(&servers(groups), 0.99);
        let ms = [c.average, c.weighted, c.merged, c.exact].map(|v| v / 1e3);
        let [average, weighted, merged, exact] = ms;
        print!("{name:<24} {average:>7.0} {weighted:>9.0}");
        println!(" {merged:>7.0} {exact:>6.0}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use histogram::factor;

    #[test]
    fn a_percentile_is_the_least_value_that_its_share_does_not_exceed() {
        for count in 1..=200_u64 {
            let sorted: Vec<Micros> = (1..=count).collect();
            for percent in 1..=100 {
                let least = (1..=count).find(|n| n * 100 >= percent * count);
                let q = percent as f64 / 100.0;
                assert_eq!(Some(exact(&sorted, q)), least, "{q} of {count}");
            }
        }
    }

    #[test]
    fn a_percentile_is_within_half_a_bucket_of_the_exact_one() {
        let mut rng = fastrand::Rng::with_seed(2);
        let bound = factor().sqrt() + 1e-6; // 1.0443
        assert!((1.044..1.0445).contains(&bound));
        for _ in 0..50 {
            let (n, sigma) = (rng.usize(1..2_000), rng.f64() * 3.0);
            let values = sorted(draw(&mut rng, n, 20.0, sigma));
            let values: Vec<Micros> = values.iter().map(|v| *v.max(&1)).collect();
            for q in [0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let exact = exact(&values, q) as f64;
                let ratio = histogram(&values).quantile(q) / exact;
                assert!(ratio < bound && ratio > 1.0 / bound, "{ratio}");
            }
        }
    }

    #[test]
    fn the_merge_of_two_histograms_is_the_histogram_of_all_the_values() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..100 {
            let (n, m) = (rng.usize(..300), rng.usize(..300));
            let (a, b) = (draw(&mut rng, n, 5.0, 1.0), draw(&mut rng, m, 90.0, 1.0));
            let mut merged = histogram(&a);
            merged.merge(&histogram(&b));
            assert_eq!(merged, histogram(&[a, b].concat()));
        }
    }

    #[test]
    fn a_value_on_a_bound_is_in_the_bucket_below() {
        let bucket = |v| *histogram(&[v]).buckets.keys().next().expect("one");
        for power in 0..30 {
            let value = 1 << power; // up to 18 minutes
            assert_eq!(bucket(value), 8 * power);
            assert!(bucket(value + 1) > 8 * power);
        }
    }

    #[test]
    fn the_average_of_p99s_is_too_low_for_one_fleet_and_too_high_for_another() {
        let low = compare(&servers(FLEETS[0].1), 0.99);
        assert!(low.average < low.exact / 4.0);
        let high = compare(&servers(FLEETS[1].1), 0.99);
        assert!(high.average > high.exact * 2.0);
    }

    #[test]
    fn weighting_by_requests_does_not_mend_the_average() {
        let c = compare(&servers(FLEETS[0].1), 0.99);
        assert!(c.weighted < c.exact / 4.0);
    }

    #[test]
    fn merged_histograms_are_right_within_half_a_bucket_for_every_fleet() {
        for (name, groups) in FLEETS {
            let c = compare(&servers(groups), 0.99);
            let ratio = c.merged / c.exact;
            assert!((0.957..1.045).contains(&ratio), "{name}: {ratio}");
        }
    }

    #[test]
    fn fixed_buckets_are_off_by_as_much_as_the_bucket_is_wide() {
        let values = vec![260_000; 100]; // all in (250, 500] ms
        assert_eq!(fixed_quantile(&values, 0.99), 497_500.0);
        assert_eq!(exact(&values, 0.99), 260_000);
        let on_a_bound = vec![250_000; 100]; // all in (100, 250] ms
        assert_eq!(fixed_quantile(&on_a_bound, 0.99), 248_500.0);
    }

    #[test]
    fn most_requests_are_faster_than_the_mean() {
        let mut rng = fastrand::Rng::with_seed(1);
        let values = draw(&mut rng, 20_000, 30.0, 0.9);
        let mean = values.iter().sum::<u64>() / 20_000;
        assert!(values.iter().filter(|v| **v < mean).count() > 13_000);
    }
}
