//! Exact percentiles, and a histogram that estimates them and can be merged.

use std::collections::BTreeMap;

/// A latency in microseconds.
pub type Micros = u64;

/// The value that a share `q` of all values do not exceed.
pub fn exact(sorted: &[Micros], q: f64) -> Micros {
    sorted[rank(sorted.len() as u64, q) as usize - 1]
}

/// Counted from 1. The subtraction keeps 0.99 × 100 at 99, though the product
/// of floating-point numbers may be a little more.
pub fn rank(count: u64, q: f64) -> u64 {
    ((count as f64 * q - 1e-9).ceil() as u64).clamp(1, count)
}

// ANCHOR: histogram
/// Each bucket is wider than the one before by the factor 2^(2^-SCALE): that of
/// OpenTelemetry's exponential and Prometheus's native histograms.
pub const SCALE: i32 = 3; // 8 buckets for each doubling, 9 % wide

/// Bucket `i` holds the values in (factor^(i - 1), factor^i].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub buckets: BTreeMap<i32, u64>, // only those that hold something
    pub count: u64,
    pub sum: Micros,
}

pub fn factor() -> f64 {
    2_f64.powf(2_f64.powi(-SCALE))
}

impl Histogram {
    pub fn record(&mut self, value: Micros) {
        let value = value.max(1);
        let bucket = ((value as f64).ln() / factor().ln() - 1e-9).ceil() as i32;
        *self.buckets.entry(bucket).or_default() += 1;
        self.count += 1;
        self.sum += value;
    }

    /// Exact: the buckets of two servers are the same, so their counts add up.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, n) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += n;
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// The middle of the bucket that holds the value of that rank, so that the
    /// error is at most half a bucket, whatever the value.
    pub fn quantile(&self, q: f64) -> f64 {
        let wanted = rank(self.count, q);
        let mut seen = 0;
        for (bucket, n) in &self.buckets {
            seen += n;
            if seen >= wanted {
                return factor().powf(f64::from(*bucket) - 0.5);
            }
        }
        0.0 // nothing recorded
    }
}
// ANCHOR_END: histogram
