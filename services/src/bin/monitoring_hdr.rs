//! This book's histogram beside the crate `hdrhistogram`: error, size and merging.
//!
//! Look at `error` and at `buckets`. The crate's buckets are linear inside each
//! doubling, ours grow by a factor; both bound the relative error, and the crate holds
//! all its buckets from the start, so that recording is an addition to an array.
//!
//! Simplified: 50,000 latencies from 1 ms upwards, most of them short.

use anyhow::Result;
use hdrhistogram::Histogram as Hdr;
use histogram::{Histogram, Micros, exact};

#[allow(dead_code)]
#[rustfmt::skip]
#[path = "../../../examples/monitoring_histogram/histogram.rs"]
mod histogram;

const REQUESTS: usize = 50_000;
/// The longest latency that the crate's histogram can hold, in microseconds.
const LATENCY_US_MAX: u64 = 3_600_000_000;

fn latencies(seed: u64) -> Vec<Micros> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let one = |rng: &mut fastrand::Rng| {
        let short = 1.0 / (1.0 - rng.f64()).sqrt(); // a long tail
        (short * 1_000.0) as Micros
    };
    (0..REQUESTS).map(|_| one(&mut rng)).collect()
}

fn hdr(values: &[Micros], digits: u8) -> Result<Hdr<u64>> {
    let mut hdr = Hdr::new_with_bounds(1, LATENCY_US_MAX, digits)?;
    for value in values {
        hdr.record(*value)?;
    }
    Ok(hdr)
}

fn ours(values: &[Micros]) -> Histogram {
    let mut ours = Histogram::default();
    values.iter().for_each(|value| ours.record(*value));
    ours
}

fn row(name: &str, quantiles: [f64; 4], exact: [f64; 4], buckets: usize) {
    print!("{name:<14}");
    let mut worst: f64 = 0.0;
    for (quantile, exact) in quantiles.into_iter().zip(exact) {
        print!(" {:>8.2}", quantile / 1e3);
        worst = worst.max((quantile / exact - 1.0).abs());
    }
    println!(" {:>6.2} % {buckets:>8}", worst * 100.0);
}

fn main() -> Result<()> {
    let mut values = latencies(1);
    values.sort_unstable();
    let q = [0.5, 0.9, 0.99, 0.999];
    let truth = q.map(|q| exact(&values, q) as f64);
    println!("ms                  p50      p90      p99    p99.9    error  buckets");
    row("exact", truth, truth, values.len());
    let histogram = ours(&values);
    let quantiles = q.map(|q| histogram.quantile(q));
    row("ours", quantiles, truth, histogram.buckets.len());
    for digits in [1, 2, 3] {
        let hdr = hdr(&values, digits)?;
        let quantiles = q.map(|q| hdr.value_at_quantile(q) as f64);
        row(
            &format!("HDR, {digits} digits"),
            quantiles,
            truth,
            hdr.distinct_values(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hdrhistogram_keeps_as_many_digits_as_it_promises() -> Result<()> {
        for seed in 0..5 {
            let mut values = latencies(seed);
            values.sort_unstable();
            for (digits, bound) in [(1, 0.1), (2, 0.01), (3, 0.001)] {
                let hdr = hdr(&values, digits)?;
                for q in [0.5, 0.9, 0.99, 0.999] {
                    let exact = exact(&values, q) as f64;
                    let error = hdr.value_at_quantile(q) as f64 / exact - 1.0;
                    assert!(error.abs() <= bound, "{digits} digits: {error}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn both_can_be_merged_without_an_error() -> Result<()> {
        let (a, b) = (latencies(1), latencies(2));
        let all = [a.clone(), b.clone()].concat();
        let mut merged = hdr(&a, 2)?;
        merged.add(hdr(&b, 2)?)?;
        assert_eq!(merged, hdr(&all, 2)?);
        let mut merged = ours(&a);
        merged.merge(&ours(&b));
        assert_eq!(merged, ours(&all));
        Ok(())
    }
}
