//! What is usual, learned from the past, and how far from it a minute is.

use crate::traffic::{Count, MINUTES};

// ANCHOR: baseline
/// What is usual in each part of the day, learned from four weeks.
pub struct Baseline {
    parts: Vec<(f64, f64)>, // mean and standard deviation
}

impl Baseline {
    pub fn learn(history: &[Count], parts: usize) -> Self {
        let mut counts: Vec<Vec<f64>> = vec![vec![]; parts];
        for (minute, count) in history.iter().enumerate() {
            let part = minute % MINUTES * parts / MINUTES;
            counts[part].push(f64::from(*count));
        }
        let usual = |counts: Vec<f64>| {
            let n = counts.len() as f64;
            let mean = counts.iter().sum::<f64>() / n;
            let squares = counts.iter().map(|count| (count - mean).powi(2));
            (mean, (squares.sum::<f64>() / n).sqrt())
        };
        Self {
            parts: counts.into_iter().map(usual).collect(),
        }
    }

    /// How many standard deviations this minute is from what is usual.
    pub fn score(&self, minute: usize, count: Count) -> f64 {
        let (mean, deviation) =
            self.parts[minute % MINUTES * self.parts.len() / MINUTES];
        (f64::from(count) - mean) / deviation
    }
}
// ANCHOR_END: baseline
