//! Requests a minute, with a daily wave: at random, or in bursts.

/// Requests in one minute.
pub type Count = u32;

/// Hours, and minutes, of a day.
pub const HOURS: usize = 24;
pub const MINUTES: usize = 24 * 60;

/// Expected requests a minute: 25 at night, 175 in the middle of the day.
pub fn expected(hour: usize) -> f64 {
    100.0 - 75.0 * (std::f64::consts::TAU * hour as f64 / 24.0).cos()
}

/// Draws from a Poisson distribution: users who know nothing of each other.
pub struct Poisson {
    until: Vec<f64>, // the chance of at most so many
}

impl Poisson {
    pub fn new(mean: f64) -> Self {
        let (mut p, mut sum) = ((-mean).exp(), 0.0);
        let mut until = vec![];
        for n in 1..=(mean * 2.0 + 60.0) as u32 {
            sum += p;
            until.push(sum);
            p *= mean / f64::from(n);
        }
        Self { until }
    }

    pub fn draw(&self, rng: &mut fastrand::Rng) -> Count {
        let chance = rng.f64();
        self.until.partition_point(|sum| *sum < chance) as Count
    }
}

/// A day's counts. In bursty traffic one minute in twenty is a third busier:
/// a mail went out, a page was shared. The others are as much calmer.
pub struct Traffic {
    usual: Vec<Poisson>,
    burst: Vec<Poisson>,
    bursts: f64, // the share of minutes that are bursts
}

impl Traffic {
    pub fn new(bursts: f64, scale: f64) -> Self {
        let calm = scale / (1.0 + bursts / 3.0); // so that the mean stays
        let hours = |factor: f64| {
            (0..HOURS)
                .map(|h| Poisson::new(expected(h) * factor))
                .collect()
        };
        Self {
            usual: hours(calm),
            burst: hours(calm * 4.0 / 3.0),
            bursts,
        }
    }

    pub fn minute(&self, minute: usize, rng: &mut fastrand::Rng) -> Count {
        let hour = minute % MINUTES / 60;
        let burst = self.bursts > 0.0 && rng.f64() < self.bursts;
        let kind = if burst { &self.burst } else { &self.usual };
        kind[hour].draw(rng)
    }
}
