//! Three ways to find out whether n ids contain a duplicate, in counted steps.
//!
//! A step is one item compared, moved or looked up, one byte hashed, or one slot of
//! a table cleared. The ids are all different, which is the most work for each way.
//! Look first at the fitted exponents: they are the claim that big-O makes. Then at
//! the last table, which big-O says nothing about: each way is the cheapest for some
//! n, and the one with the largest exponent wins while n is small.
//!
//! Simplified: every step costs the same. On a machine a step that misses the cache
//! costs a hundred times one that does not; `efficiency_growth_clock` has the clock.

use fastrand::Rng;

/// What a way to do it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    steps: u64,
    memory: u64, // items of extra memory
}

// ANCHOR: ways
/// Compare every id with every later one.
pub fn pairs(ids: &[u64]) -> (bool, Cost) {
    let mut cost = Cost::default();
    for (i, id) in ids.iter().enumerate() {
        for later in &ids[i + 1..] {
            cost.steps += 1;
            if id == later {
                return (true, cost);
            }
        }
    }
    (false, cost)
}

/// Sort a copy, then compare neighbours.
fn sort(ids: &[u64]) -> (bool, Cost) {
    let (sorted, mut cost) = merge_sort(ids.to_vec());
    for pair in sorted.windows(2) {
        cost.steps += 1;
        if pair[0] == pair[1] {
            return (true, cost);
        }
    }
    (false, cost)
}

/// Keep what was seen in a hash table that is at most half full.
fn hash(ids: &[u64]) -> (bool, Cost) {
    let slots = (2 * ids.len()).next_power_of_two();
    let mut table = vec![None; slots];
    let mut cost = Cost {
        steps: slots as u64,
        memory: slots as u64,
    };
    for id in ids {
        cost.steps += u64::from(u64::BITS / 8); // bytes that are hashed
        let mut at = fnv(*id) as usize % slots;
        while let Some(seen) = table[at] {
            cost.steps += 1;
            if seen == *id {
                return (true, cost);
            }
            at = (at + 1) % slots;
        }
        cost.steps += 1;
        table[at] = Some(*id);
    }
    (false, cost)
}
// ANCHOR_END: ways

/// Runs of 1, 2, 4 … items are merged into the other of two buffers.
fn merge_sort(mut from: Vec<u64>) -> (Vec<u64>, Cost) {
    let n = from.len();
    let mut to = vec![0; n];
    let mut cost = Cost {
        steps: 0,
        memory: 2 * n as u64,
    };
    let mut run = 1;
    while run < n {
        for start in (0..n).step_by(2 * run) {
            let (mid, end) = ((start + run).min(n), (start + 2 * run).min(n));
            let (mut left, mut right) = (start, mid);
            for slot in &mut to[start..end] {
                let both = left < mid && right < end;
                cost.steps += 1 + u64::from(both); // a move, and a comparison
                if right == end || both && from[left] <= from[right] {
                    *slot = from[left];
                    left += 1;
                } else {
                    *slot = from[right];
                    right += 1;
                }
            }
        }
        std::mem::swap(&mut from, &mut to);
        run *= 2;
    }
    (from, cost)
}

/// FNV-1a: a step a byte. The last line mixes the upper bits into the lower ones.
fn fnv(id: u64) -> u64 {
    let eat = |hash: u64, byte: u8| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    };
    let hash = id
        .to_le_bytes()
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, eat);
    hash ^ (hash >> 32)
}

// ANCHOR: fit
/// The slope of the line through (log n, log steps) that leaves the smallest
/// squares. Steps that grow as n^k lie on a line of slope k.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs = || points.iter().map(|(n, steps)| (n.ln(), steps.ln()));
    let count = points.len() as f64;
    let mean_x = logs().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs().map(|(_, y)| y).sum::<f64>() / count;
    let rise = logs()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum::<f64>();
    rise / logs().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>()
}
// ANCHOR_END: fit

type Way = fn(&[u64]) -> (bool, Cost);
const WAYS: [(&str, Way); 3] = [("pairs", pairs), ("sort", sort), ("hash", hash)];
const SIZES: [usize; 7] = [32, 64, 128, 256, 512, 1_024, 2_048];
const SMALL_MAX: usize = 300;

pub fn ids(n: usize) -> Vec<u64> {
    let mut rng = Rng::with_seed(n as u64);
    let mut ids: Vec<u64> = (0..n as u64).map(|i| i * 1_000_003 + 7).collect();
    rng.shuffle(&mut ids);
    ids
}

fn costs(n: usize) -> [Cost; 3] {
    let ids = ids(n);
    WAYS.map(|(_, way)| way(&ids).1)
}

fn exponents(of: fn(&Cost) -> u64) -> [f64; 3] {
    let costs: Vec<_> = SIZES.iter().map(|n| (*n as f64, costs(*n))).collect();
    [0, 1, 2].map(|way| {
        let point = |(n, cost): &(f64, [Cost; 3])| (*n, of(&cost[way]) as f64);
        exponent(&costs.iter().map(point).collect::<Vec<_>>())
    })
}

/// The largest n, up to `SMALL_MAX`, for which each way takes the fewest steps.
fn cheapest_up_to() -> [usize; 3] {
    let mut last = [0; 3];
    for n in 2..=SMALL_MAX {
        let steps = costs(n).map(|cost| cost.steps);
        let fewest = steps.iter().min().copied().unwrap_or(0);
        for (last, steps) in last.iter_mut().zip(steps) {
            if steps == fewest {
                *last = n;
            }
        }
    }
    last
}

fn main() {
    println!("steps until it is sure that n ids are all different\n");
    println!("{:>16} {:>11} {:>11} {:>11}", "n", "pairs", "sort", "hash");
    for n in [8, 16, 32, 64, 256, 1_024, 2_048] {
        let [pairs, sort, hash] = costs(n).map(|cost| cost.steps);
        println!("{n:>16} {pairs:>11} {sort:>11} {hash:>11}");
    }
    let [pairs, sort, hash] = exponents(|cost| cost.steps);
    println!("fitted exponent  {pairs:>11.2} {sort:>11.2} {hash:>11.2}");
    let [pairs, sort, hash] = costs(2_048).map(|cost| cost.memory);
    println!("memory at 2048   {pairs:>11} {sort:>11} {hash:>11}  items");
    let last = cheapest_up_to();
    println!("\nfewest steps for n up to {SMALL_MAX}:");
    for ((name, _), last) in WAYS.iter().zip(last) {
        println!("{name:<6} up to n = {last}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_the_exponent_of_a_power() {
        for k in [0.5, 1.0, 2.0, 3.0] {
            let points =
                [10.0, 20.0, 70.0, 500.0].map(|n: f64| (n, 7.0 * n.powf(k)));
            assert!((exponent(&points) - k).abs() < 1e-9);
        }
    }

    #[test]
    fn the_exponents_are_two_a_little_above_one_and_one() {
        let [pairs, sort, hash] = exponents(|cost| cost.steps);
        assert!((pairs - 2.0).abs() < 0.02, "{pairs}");
        assert!((1.1..1.3).contains(&sort), "{sort}");
        assert!((hash - 1.0).abs() < 0.02, "{hash}");
    }

    #[test]
    fn sorting_and_hashing_take_room_for_two_items_or_more_for_each_id() {
        for n in 1..=SMALL_MAX {
            let [pairs, sort, hash] = costs(n).map(|cost| cost.memory as usize);
            assert!(pairs == 0 && sort >= 2 * n && hash >= 2 * n);
        }
    }

    #[test]
    fn the_exponent_of_n_log_n_comes_down_towards_one_and_is_not_there() {
        let fit = |from: u32| {
            let n_log_n = |i| (2_f64.powi(i), 2_f64.powi(i) * f64::from(i));
            exponent(
                &(from as i32..from as i32 + 7)
                    .map(n_log_n)
                    .collect::<Vec<_>>(),
            )
        };
        assert!(fit(5) > fit(10) && fit(10) > fit(30) && fit(30) > 1.02);
    }

    #[test]
    fn each_way_takes_the_fewest_steps_somewhere() {
        let [pairs, sort, hash] = cheapest_up_to();
        assert!(2 < pairs && pairs < sort && sort < hash && hash == SMALL_MAX);
        for n in (2..=pairs).chain(sort + 1..=SMALL_MAX) {
            let steps = costs(n).map(|cost| cost.steps);
            let way = if n <= pairs { 0 } else { 2 };
            assert_eq!(steps.iter().min(), Some(&steps[way]), "{n}");
        }
    }

    #[test]
    fn pairs_compare_n_times_n_minus_one_over_two() {
        for n in [2, 3, 50] {
            let expected = (n * (n - 1) / 2) as u64;
            let (_, cost) = pairs(&ids(n));
            assert_eq!((cost.steps, cost.memory), (expected, 0));
        }
    }

    #[test]
    fn all_three_find_the_same_duplicates() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..2_000 {
            let n = rng.usize(0..40);
            let ids: Vec<u64> = (0..n).map(|_| rng.u64(0..300)).collect();
            let set: std::collections::BTreeSet<_> = ids.iter().collect();
            for (name, way) in WAYS {
                assert_eq!(way(&ids).0, set.len() < n, "{name} {ids:?}");
            }
            assert!(merge_sort(ids).0.is_sorted());
        }
    }
}
