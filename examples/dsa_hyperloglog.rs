//! HyperLogLog counts distinct keys in a kilobyte, whatever their number.
//!
//! Look at `measured` beside 1.04/√m, the error that the paper promises. Then at
//! small counts, where the raw estimate is far off and counting empty registers
//! is nearly exact; in between, a small bias remains. Last, the visitors of two
//! days: sketches can be merged, counts cannot be added.
//!
//! Simplified: a register is a byte (6 bits would do), and small counts are not
//! stored in a shorter form.

// ANCHOR: hll
#[derive(Clone, Debug, PartialEq)]
struct HyperLogLog {
    registers: Vec<u8>, // m of them
}

impl HyperLogLog {
    fn new(m: usize) -> Self {
        Self {
            registers: vec![0; m.next_power_of_two().max(64)],
        }
    }

    /// Half of all hashes begin with a 1, a quarter with 01, an eighth with 001:
    /// the longest run of zeros tells how many different ones there were.
    fn insert(&mut self, key: u64) {
        let (hash, m) = (mix(key), self.registers.len() as u64);
        let register = &mut self.registers[(hash & (m - 1)) as usize];
        let rest = hash >> m.trailing_zeros(); // its upper bits are 0 now
        let zeros = rest.leading_zeros() - m.trailing_zeros();
        *register = (*register).max(zeros as u8 + 1);
    }

    /// The union: as if one had seen all that both have seen.
    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.registers.iter_mut().zip(&other.registers) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// The harmonic mean of what the registers say, times a constant.
    fn raw(&self) -> f64 {
        let m = self.registers.len() as f64;
        let alpha = match self.registers.len() {
            64 => 0.709,
            _ => 0.7213 / (1.0 + 1.079 / m),
        };
        let sum: f64 = self
            .registers
            .iter()
            .map(|r| 0.5_f64.powi((*r).into()))
            .sum();
        alpha * m * m / sum
    }

    fn count(&self) -> f64 {
        let m = self.registers.len() as f64;
        let empty = self.registers.iter().filter(|r| **r == 0).count() as f64;
        if self.raw() <= 2.5 * m && empty > 0.0 {
            return m * (m / empty).ln(); // small: count the empty ones
        }
        self.raw()
    }
}

/// MurmurHash3's finaliser.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
// ANCHOR_END: hll

const SEEDS: u64 = 80;

/// Different keys for each seed.
fn sketch(m: usize, seed: u64, keys: std::ops::Range<u64>) -> HyperLogLog {
    let mut sketch = HyperLogLog::new(m);
    keys.for_each(|key| sketch.insert(key | (seed << 32)));
    sketch
}

/// The root of the mean square of the relative errors.
fn error(m: usize, n: u64) -> f64 {
    let off = |seed| sketch(m, seed, 0..n).count() / n as f64 - 1.0;
    let squares: f64 = (0..SEEDS).map(|seed| off(seed) * off(seed)).sum();
    (squares / SEEDS as f64).sqrt()
}

/// Mean estimates, raw and corrected.
fn means(m: usize, n: u64, seeds: u64) -> (f64, f64) {
    let (mut raw, mut corrected) = (0.0, 0.0);
    for seed in 0..seeds {
        let sketch = sketch(m, seed, 0..n);
        raw += sketch.raw() / seeds as f64;
        corrected += sketch.count() / seeds as f64;
    }
    (raw, corrected)
}

fn main() {
    println!("registers   keys   error measured   1.04/√m");
    for (m, n) in [(64, 1_000), (256, 2_500), (1_024, 10_000)] {
        let formula = 1.04 / (m as f64).sqrt() * 100.0;
        print!(
            "{m:>9} {n:>6} {:>14.1} % {formula:>7.1} %",
            error(m, n) * 100.0
        );
        println!();
    }
    println!("\n1,024 registers: mean estimate");
    println!("    keys        raw    corrected");
    for n in [10, 100, 1_000, 3_000, 20_000] {
        let (raw, corrected) = means(1_024, n, 16);
        println!("{n:>8} {raw:>10.0} {corrected:>12.0}");
    }
    let monday = sketch(1_024, 1, 0..6_000);
    let tuesday = sketch(1_024, 1, 3_000..9_000);
    let mut both = monday.clone();
    both.merge(&tuesday);
    println!("\nvisitors on two days, of whom 3,000 came on both");
    println!("  exact                       9000");
    println!("  sketches merged           {:>6.0}", both.count());
    let sum = monday.count() + tuesday.count();
    println!("  counts added              {sum:>6.0}");
    println!("\nbytes for a million keys of 8");
    println!("  exact, at least          8000000");
    println!("  sketch                   {:>7}", both.registers.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_error_is_about_1_04_by_the_root_of_m() {
        for (m, n) in [(64, 1_000), (256, 2_500), (1_024, 10_000)] {
            let ratio = error(m, n) / (1.04 / (m as f64).sqrt());
            assert!((0.75..1.25).contains(&ratio), "{m}: {ratio}");
        }
    }

    #[test]
    fn small_counts_are_nearly_exact_only_with_the_correction() {
        for n in [10, 100, 1_000] {
            let (raw, corrected) = means(1_024, n, 30);
            assert!((corrected / n as f64 - 1.0).abs() < 0.02, "{corrected}");
            assert!(raw / n as f64 > 1.2, "{raw}");
        }
    }

    #[test]
    fn above_the_small_counts_a_bias_remains_and_later_goes() {
        let bias = |n: u64| means(1_024, n, 200).1 / n as f64 - 1.0;
        assert!((0.01..0.03).contains(&bias(2_700)), "{}", bias(2_700));
        assert!(bias(10_000).abs() < 0.007, "{}", bias(10_000));
    }

    #[test]
    fn so_few_registers_that_the_constant_is_another_are_not_to_be_had() {
        assert_eq!(HyperLogLog::new(16).registers.len(), 64);
    }

    #[test]
    fn a_merge_is_the_sketch_of_the_union() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut keys = || -> HashSet<u64> {
                (0..rng.usize(..500)).map(|_| rng.u64(..1_000)).collect()
            };
            let (a, b) = (keys(), keys());
            let of = |keys: &mut dyn Iterator<Item = &u64>| {
                let mut sketch = HyperLogLog::new(64);
                keys.for_each(|key| sketch.insert(*key));
                sketch
            };
            let (mut merged, other) = (of(&mut a.iter()), of(&mut b.iter()));
            merged.merge(&other);
            assert_eq!(merged, of(&mut a.union(&b)), "{seed}");
            let before = merged.clone();
            merged.merge(&other);
            assert_eq!(merged, before, "merging again changes nothing");
        }
    }

    #[test]
    fn a_key_seen_again_changes_nothing() {
        let once = sketch(256, 1, 0..1_000);
        let mut again = once.clone();
        (0..1_000).for_each(|key| again.insert(key | (1 << 32)));
        assert_eq!(once, again);
    }

    #[test]
    fn adding_up_counts_counts_returning_visitors_twice() {
        let days = [sketch(1_024, 1, 0..6_000), sketch(1_024, 1, 3_000..9_000)];
        let sum: f64 = days.iter().map(HyperLogLog::count).sum();
        assert!((sum / 12_000.0 - 1.0).abs() < 0.1, "{sum}");
        let mut both = days[0].clone();
        both.merge(&days[1]);
        assert!((both.count() / 9_000.0 - 1.0).abs() < 0.1);
    }
}
