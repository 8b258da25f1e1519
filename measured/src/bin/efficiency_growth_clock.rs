//! The same growth as in `examples/efficiency_growth.rs`, by the clock.
//!
//! Three ways to find a duplicate among n ids: compare all pairs, sort, hash. Look at the
//! fitted exponents: they agree with the counted ones, roughly, though a step of one way takes
//! longer than a step of another. Then look for the n from which `hash` is faster than `sort`, as
//! its exponent promises: by counted steps it is 56, by the clock it depends on the machine and
//! on the hash function.
//!
//! Simplified: `sort` and `hash` are those of Rust's standard library, the ids are numbers in
//! memory, and each time is the fastest of a few rounds.

use anyhow::Result;
use measured::fastest;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::time::Duration;

#[allow(dead_code)]
#[rustfmt::skip] // as the programs' own folder formats it
#[path = "../../../examples/efficiency_growth.rs"]
mod efficiency_growth;

use efficiency_growth::{exponent, ids};

const ROUNDS: u32 = if cfg!(debug_assertions) { 2 } else { 200 };
const SIZES: [usize; 8] = [32, 64, 128, 256, 512, 1_024, 2_048, 4_096];
/// And some for which comparing all pairs takes too long.
const LARGE: [usize; 2] = [16_384, 131_072];
/// Small inputs are done several times a round: the clock has ticks.
const IDS_PER_ROUND: usize = 4_096;

fn pairs(ids: &[u64]) -> bool {
    ids.iter().enumerate().any(|(i, id)| ids[i + 1..].contains(id))
}

fn sort(ids: &[u64]) -> bool {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

fn hash(ids: &[u64]) -> bool {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter().any(|id| !seen.insert(*id))
}

/// Two steps instead of SipHash's many, and no secret: whoever chooses the ids can make them
/// collide.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

fn quick_hash(ids: &[u64]) -> bool {
    let quick = BuildHasherDefault::<Quick>::default();
    let mut seen = HashSet::with_capacity_and_hasher(ids.len(), quick);
    ids.iter().any(|id| !seen.insert(*id))
}

/// What each way takes for n ids.
fn times<const N: usize>(n: usize, ways: [fn(&[u64]) -> bool; N]) -> [Duration; N] {
    let (ids, times) = (ids(n), IDS_PER_ROUND.div_ceil(n) as u32);
    let mut repeated = ways.map(|way| {
        let ids = &ids;
        move || {
            for _ in 0..times {
                assert!(!way(black_box(ids)), "the ids are all different");
            }
        }
    });
    let pieces = repeated.each_mut().map(|piece| piece as &mut dyn FnMut());
    fastest(ROUNDS, pieces).map(|time| time / times)
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[recorded::RUSTC])?);
    println!("{:>8} {:>13} {:>13} {:>13} {:>13}", "", "", "", "", "hash, by a");
    print!("{:>8} {:>13} {:>13}", "n", "pairs", "sort");
    println!(" {:>13} {:>13}", "hash", "quick one");
    let mut points: [Vec<(f64, f64)>; 4] = Default::default();
    for n in SIZES {
        let took = times(n, [pairs, sort, hash, quick_hash]).map(us);
        print!("{n:>8}");
        for (us, points) in took.into_iter().zip(&mut points) {
            points.push((n as f64, us));
            print!(" {us:>10.2} µs");
        }
        println!();
    }
    for n in LARGE {
        print!("{n:>8} {:>13}", "");
        for us in times(n, [sort, hash, quick_hash]).map(us) {
            print!(" {us:>10.2} µs");
        }
        println!();
    }
    print!("exponent");
    for points in points {
        print!(" {:>13}", format!("~{:.2}", exponent(&points)));
    }
    println!("\nexponents up to n = {}", SIZES[SIZES.len() - 1]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_agree_with_those_that_count_their_steps() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let n = rng.usize(0..40);
            let ids: Vec<u64> = (0..n).map(|_| rng.u64(0..300)).collect();
            let counted = efficiency_growth::pairs(&ids).0;
            let ways = [pairs, sort, hash, quick_hash];
            assert_eq!(ways.map(|way| way(&ids)), [counted; 4]);
        }
    }
}
