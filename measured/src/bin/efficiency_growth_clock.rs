//! The same growth as in `examples/efficiency_growth.rs`, by the clock.
//!
//! Three ways to find a duplicate among n ids: compare all pairs, sort, hash. Look at the
//! fitted exponents: they agree with the counted ones, roughly, though a step of one way takes
//! longer than a step of another. Then at where one way overtakes another: that is the
//! constants' work, and it moves from machine to machine.
//!
//! Simplified: `sort` and `hash` are those of Rust's standard library, the ids are numbers in
//! memory, and each time is the fastest of a few rounds.

use anyhow::Result;
use measured::fastest;
use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

#[allow(dead_code)]
#[rustfmt::skip] // as the programs' own folder formats it
#[path = "../../../examples/efficiency_growth.rs"]
mod efficiency_growth;

use efficiency_growth::{exponent, ids};

const ROUNDS: u32 = if cfg!(debug_assertions) { 2 } else { 200 };
const SIZES: [usize; 8] = [32, 64, 128, 256, 512, 1_024, 2_048, 4_096];
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

/// What each way takes for n ids.
fn times(n: usize) -> [Duration; 3] {
    let (ids, times) = (ids(n), IDS_PER_ROUND.div_ceil(n) as u32);
    let repeat = |way: fn(&[u64]) -> bool| {
        for _ in 0..times {
            assert!(!way(black_box(&ids)), "the ids are all different");
        }
    };
    let took = fastest(
        ROUNDS,
        [&mut || repeat(pairs), &mut || repeat(sort), &mut || repeat(hash)],
    );
    took.map(|time| time / times)
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[recorded::RUSTC])?);
    println!("{:>8} {:>14} {:>14} {:>14}", "n", "pairs", "sort", "hash");
    let mut points: [Vec<(f64, f64)>; 3] = Default::default();
    for n in SIZES {
        let took = times(n);
        print!("{n:>8}");
        for (time, points) in took.iter().zip(&mut points) {
            let us = time.as_secs_f64() * 1e6;
            points.push((n as f64, us));
            print!(" {us:>11.2} µs");
        }
        println!();
    }
    print!("exponent");
    for points in points {
        print!(" {:>14}", format!("~{:.2}", exponent(&points)));
    }
    println!();
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
            assert_eq!([pairs(&ids), sort(&ids), hash(&ids)], [counted; 3]);
        }
    }
}
