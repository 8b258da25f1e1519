//! A Bloom filter says "surely not here" or "perhaps here" from ten bits a key.
//!
//! Look at `measured` beside `formula`: the share of absent keys that are taken
//! for present. It is lowest near k = m/n ln 2 = 6.9, and the curve is flat there.
//! Then the filter that was planned for 20,000 keys gets more: it does not fill
//! up, it stops telling the difference. Last, what deleting a key would break.
//!
//! Simplified: keys are numbers. Real filters keep a key's bits in one cache line,
//! which costs some of the accuracy that the formula promises.

// ANCHOR: bloom
struct Bloom {
    bits: Vec<u64>,
    m: u64, // bits
    k: u64, // bits a key
}

impl Bloom {
    fn new(m: u64, k: u64) -> Self {
        let words = m.div_ceil(64) as usize;
        Self {
            bits: vec![0; words],
            m,
            k,
        }
    }

    /// The key's k bits. Two hashes are enough to make all of them.
    fn places(&self, key: u64) -> impl Iterator<Item = (usize, u64)> {
        let (a, b, m) = (mix(key), mix(!key) | 1, self.m); // b is never 0
        (0..self.k).map(move |i| {
            let place = a.wrapping_add(i.wrapping_mul(b)) % m;
            ((place / 64) as usize, 1 << (place % 64))
        })
    }

    fn insert(&mut self, key: u64) {
        for (word, bit) in self.places(key) {
            self.bits[word] |= bit;
        }
    }

    fn may_contain(&self, key: u64) -> bool {
        self.places(key)
            .all(|(word, bit)| self.bits[word] & bit != 0)
    }
}

/// MurmurHash3's finaliser.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
// ANCHOR_END: bloom

/// A bit is still 0 with probability (1 - 1/m)^kn, about e^(-kn/m).
fn formula(n: u64, m: u64, k: u64) -> f64 {
    let (n, m, k) = (n as f64, m as f64, k as f64);
    (1.0 - (-k * n / m).exp()).powf(k)
}

const KEYS: u64 = 20_000;
const ABSENT: u64 = 40_000;

/// The share of absent keys that a filter with n keys takes for present.
fn measured(n: u64, m: u64, k: u64) -> f64 {
    let mut filter = Bloom::new(m, k);
    (0..n).for_each(|key| filter.insert(key));
    let absent = (n..n + ABSENT).filter(|key| filter.may_contain(*key));
    absent.count() as f64 / ABSENT as f64
}

/// Wrong: the bits may be those of other keys as well.
fn delete(filter: &mut Bloom, key: u64) {
    for (word, bit) in filter.places(key) {
        filter.bits[word] &= !bit;
    }
}

fn main() {
    let row = |name: String, n, m, k| {
        let (measured, formula) = (measured(n, m, k), formula(n, m, k));
        print!(
            "{name:<26} {:>9.2} % {:>9.2} %",
            measured * 100.0,
            formula * 100.0
        );
        println!();
    };
    println!("false positives             measured     formula");
    println!("10 bits a key, k bits set");
    for k in [1, 2, 4, 7, 10, 14] {
        row(format!("  k = {k}"), KEYS, 10 * KEYS, k);
    }
    println!("k = 7, n times the keys it was planned for");
    for times in [2, 4, 8] {
        row(format!("  n = {times}"), times * KEYS, 10 * KEYS, 7);
    }
    println!("bits a key, best k");
    for (bits, k) in [(5, 3), (15, 10), (20, 14)] {
        row(format!("  {bits} bits, k = {k}"), KEYS, bits * KEYS, k);
    }

    let mut filter = Bloom::new(10 * KEYS, 7);
    (0..KEYS).for_each(|key| filter.insert(key));
    let missed = |filter: &Bloom, from| {
        (from..KEYS).filter(|key| !filter.may_contain(*key)).count()
    };
    println!("\n20,000 keys, present ones not found");
    println!("  after inserting            {:>5}", missed(&filter, 0));
    (0..1_000).for_each(|key| delete(&mut filter, key));
    println!(
        "  after deleting 1,000 others {:>4}",
        missed(&filter, 1_000)
    );
    println!(
        "\nbytes: filter {}, the keys alone {}",
        KEYS * 10 / 8,
        KEYS * 8
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_key_that_was_inserted_is_never_missed() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut filter = Bloom::new(rng.u64(1..500), rng.u64(1..12));
            let mut model = HashSet::new();
            for _ in 0..rng.usize(..200) {
                let key = rng.u64(..400);
                filter.insert(key);
                model.insert(key);
                assert!(model.iter().all(|key| filter.may_contain(*key)), "{seed}");
            }
        }
    }

    #[test]
    fn the_false_positives_are_those_of_the_formula() {
        for (bits, k) in [(10, 1), (10, 4), (10, 7), (10, 14), (5, 3), (20, 2)] {
            let (measured, formula) = (
                measured(KEYS, bits * KEYS, k),
                formula(KEYS, bits * KEYS, k),
            );
            let noise = (formula / ABSENT as f64).sqrt(); // of a count
            let off = (measured - formula).abs();
            assert!(off < 4.0 * noise + 0.03 * formula, "{bits} {k}: {measured}");
        }
    }

    #[test]
    fn the_best_k_is_next_to_m_by_n_times_ln_2() {
        for bits in [5, 10, 15, 20] {
            let error = |k: &u64| formula(1_000, bits * 1_000, *k);
            let best = (1..30).min_by(|a, b| error(a).total_cmp(&error(b)));
            let optimum = bits as f64 * 2_f64.ln();
            let best = best.map_or(0.0, |k| k as f64);
            assert!((best - optimum).abs() < 1.0, "{bits}: {best} {optimum}");
        }
        let flat = formula(1_000, 10_000, 4) / formula(1_000, 10_000, 7);
        assert!(flat < 1.5, "four bits instead of seven cost little: {flat}");
    }

    #[test]
    fn an_empty_filter_contains_nothing() {
        let filter = Bloom::new(100, 3);
        assert!((0..1_000).all(|key| !filter.may_contain(key)));
    }

    #[test]
    fn deleting_a_key_loses_others() {
        let mut filter = Bloom::new(1_000, 7);
        (0..100).for_each(|key| filter.insert(key));
        delete(&mut filter, 0);
        assert!((1..100).any(|key| !filter.may_contain(key)));
    }
}
