//! A count-min sketch counts how often each key came, in a table of fixed size.
//! It never says too little.
//!
//! Look at `over ε N`: the share of keys whose estimate is too high by more than
//! the share ε of all N arrivals. The promise is at most δ, and here nearly none
//! is. Then at the price: ε N is much for a key that came twice, so the sketch
//! finds the heavy ones and says little about the others.
//!
//! Simplified: the rows' hashes are one mixing function with different seeds,
//! while the proof wants them drawn at random from a family.

// ANCHOR: cms
struct CountMin {
    rows: Vec<Vec<u64>>, // d rows of w counters
}

impl CountMin {
    /// w = e/ε and d = ln 1/δ, rounded up.
    fn new(epsilon: f64, delta: f64) -> Self {
        let w = (1_f64.exp() / epsilon).ceil() as usize;
        let d = (1.0 / delta).ln().ceil() as usize;
        Self {
            rows: vec![vec![0; w]; d],
        }
    }

    fn place(&self, row: usize, key: u64) -> usize {
        let hash = mix(key ^ mix(row as u64 + 1)); // each row hashes differently
        (hash % self.rows[row].len() as u64) as usize
    }

    fn add(&mut self, key: u64, times: u64) {
        for row in 0..self.rows.len() {
            let place = self.place(row, key);
            self.rows[row][place] += times;
        }
    }

    /// Each counter holds the key's arrivals and those of others: the smallest
    /// is the nearest.
    fn count(&self, key: u64) -> u64 {
        let counters =
            (0..self.rows.len()).map(|r| self.rows[r][self.place(r, key)]);
        counters.min().unwrap_or(0)
    }
}

/// MurmurHash3's finaliser.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
// ANCHOR_END: cms

/// How often each of so many keys came. The first came `top` times, the second
/// half as often, the third a third (Zipf's law).
fn zipf(keys: u64, top: u64) -> Vec<u64> {
    (1..=keys).map(|rank| (top / rank).max(1)).collect()
}

/// Different keys for each seed, so that other keys collide.
fn sketch(counts: &[u64], epsilon: f64, delta: f64, seed: u64) -> CountMin {
    let mut sketch = CountMin::new(epsilon, delta);
    for (rank, times) in counts.iter().enumerate() {
        sketch.add(key(seed, rank), *times);
    }
    sketch
}

fn key(seed: u64, rank: usize) -> u64 {
    (seed << 32) | rank as u64
}

const SEEDS: u64 = 10;

#[derive(Default)]
struct Errors {
    mean: f64,
    largest: u64,
    over: f64,  // share of keys that are over by more than ε N
    under: u64, // keys that are under: must be none
}

fn errors(counts: &[u64], epsilon: f64, delta: f64) -> Errors {
    let limit = epsilon * counts.iter().sum::<u64>() as f64;
    let mut errors = Errors::default();
    let all = (counts.len() as u64 * SEEDS) as f64;
    for seed in 0..SEEDS {
        let sketch = sketch(counts, epsilon, delta, seed);
        for (rank, &count) in counts.iter().enumerate() {
            let estimate = sketch.count(key(seed, rank));
            errors.under += u64::from(estimate < count);
            let error = estimate.saturating_sub(count);
            errors.mean += error as f64 / all;
            errors.largest = errors.largest.max(error);
            errors.over += f64::from(u8::from(error as f64 > limit)) / all;
        }
    }
    errors
}

fn main() {
    let counts = zipf(2_000, 10_000);
    let n: u64 = counts.iter().sum();
    println!("2,000 keys came {n} times, each row 10 sketches\n");
    println!("    ε     δ    w × d    ε N   mean  largest   over ε N   under");
    for (epsilon, delta) in [(0.01, 0.5), (0.01, 0.05), (0.01, 0.01), (0.001, 0.01)]
    {
        let (errors, size) = (
            errors(&counts, epsilon, delta),
            CountMin::new(epsilon, delta).rows,
        );
        print!(
            "{epsilon:>5} {delta:>5} {:>5} × {}",
            size[0].len(),
            size.len()
        );
        print!("{:>7.0} {:>6.1}", epsilon * n as f64, errors.mean);
        print!(" {:>8} {:>8.2} %", errors.largest, errors.over * 100.0);
        println!(" {:>7}", errors.under);
    }
    let sketch = sketch(&counts, 0.01, 0.01, 0);
    println!("\nε = δ = 0.01, one sketch: keys by frequency");
    println!("  key       came   estimate");
    for rank in [0, 1, 9, 99, 999, 1_999] {
        let (count, estimate) = (counts[rank], sketch.count(key(0, rank)));
        println!("{:>5} {count:>10} {estimate:>10}", rank + 1);
    }
    let cells: usize = sketch.rows.iter().map(Vec::len).sum();
    println!(
        "\nbytes: sketch {}, exact, at least {}",
        cells * 8,
        counts.len() * 16
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_never_says_too_little() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut sketch = CountMin::new(0.1 + rng.f64(), 0.01 + rng.f64() * 0.9);
            let mut model = HashMap::new();
            for _ in 0..rng.usize(..200) {
                let (key, times) = (rng.u64(..60), rng.u64(..5));
                sketch.add(key, times);
                *model.entry(key).or_insert(0) += times;
            }
            for (key, count) in model {
                assert!(sketch.count(key) >= count, "{seed}");
            }
        }
    }

    #[test]
    fn at_most_the_share_delta_is_over_by_more_than_epsilon_n() {
        for counts in [zipf(2_000, 10_000), vec![7; 5_000], zipf(300, 300)] {
            for (epsilon, delta) in [(0.05, 0.3), (0.01, 0.05), (0.002, 0.01)] {
                let errors = errors(&counts, epsilon, delta);
                assert!(errors.over <= delta, "{epsilon} {delta}: {}", errors.over);
                assert_eq!(errors.under, 0);
            }
        }
    }

    #[test]
    fn the_size_is_e_by_epsilon_times_ln_of_1_by_delta() {
        let sketch = CountMin::new(0.01, 0.01);
        assert_eq!((sketch.rows.len(), sketch.rows[0].len()), (5, 272));
    }

    #[test]
    fn a_rare_key_may_be_wrong_many_times_over() {
        let counts = zipf(2_000, 10_000);
        let sketch = sketch(&counts, 0.01, 0.01, 0);
        let wrong =
            |rank: usize| sketch.count(key(0, rank)) as f64 / counts[rank] as f64;
        assert!(wrong(0) < 1.01, "{}", wrong(0));
        assert!((1_900..2_000).map(wrong).sum::<f64>() / 100.0 > 5.0);
    }
}
