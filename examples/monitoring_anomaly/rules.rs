//! Rules that take how unusual each minute is, and say when to raise the alarm.

// ANCHOR: rules
/// Takes the score of each minute; says whether something is wrong.
pub trait Rule {
    fn alarm(&mut self, score: f64) -> bool;
}

/// One minute is more than `limit` deviations off, up or down.
pub struct Single {
    pub limit: f64,
}

impl Rule for Single {
    fn alarm(&mut self, score: f64) -> bool {
        score.abs() > self.limit
    }
}

/// Three minutes in a row are more than `limit` off, to the same side.
pub struct InARow {
    pub limit: f64,
    pub last: [f64; 3],
}

impl Rule for InARow {
    fn alarm(&mut self, score: f64) -> bool {
        self.last = [self.last[1], self.last[2], score];
        let (low, high) = (-self.limit, self.limit);
        self.last.iter().all(|s| *s < low) || self.last.iter().all(|s| *s > high)
    }
}

/// The exponentially weighted mean of the scores: small but lasting changes add
/// up, single outliers fade. Its deviation is √(weight / (2 - weight)).
pub struct Ewma {
    pub weight: f64,
    pub limit: f64, // in deviations of the mean
    pub mean: f64,
}

impl Rule for Ewma {
    fn alarm(&mut self, score: f64) -> bool {
        self.mean += self.weight * (score - self.mean);
        self.mean.abs() > self.limit * (self.weight / (2.0 - self.weight)).sqrt()
    }
}
// ANCHOR_END: rules
