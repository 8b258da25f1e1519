//! One counter takes most of the writes: split it, and see who pays.
//!
//! Eight shards, hashed evenly, and a film that everybody likes tonight: half of
//! all operations count a like for it. Unsplit, one shard does more than half of
//! the work of eight. In k sub-keys (`keys`, `on` so many shards) the writes
//! spread, but a reader gathers k parts, so the work per operation grows.
//! `ops/s` is the throughput of the fleet when its busiest shard is full: it
//! rises with k, and falls again. Then see two values that are no counters.
//!
//! Simplified: every operation costs a shard the same; it does 1,000 a second.

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ShardId(usize);

const SHARDS: usize = 8;
const OPS: u32 = 20_000;
const HOT_WRITES: f64 = 0.50; // share of all operations
const HOT_READS: f64 = 0.02;
const SHARD_OPS_PER_S: f64 = 1_000.0;
const PARTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

fn shard_of(key: &str) -> ShardId {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        h = (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    ShardId(((h ^ (h >> 33)) % SHARDS as u64) as usize)
}

/// The counters of all shards, and how often each shard was asked.
#[derive(Default)]
struct Fleet {
    counters: [BTreeMap<String, u64>; SHARDS],
    asked: [u64; SHARDS],
}

impl Fleet {
    fn add(&mut self, key: &str, amount: u64) {
        let ShardId(shard) = shard_of(key);
        self.asked[shard] += 1;
        *self.counters[shard].entry(key.to_owned()).or_default() += amount;
    }
    fn get(&mut self, key: &str) -> u64 {
        let ShardId(shard) = shard_of(key);
        self.asked[shard] += 1;
        self.counters[shard].get(key).copied().unwrap_or(0)
    }
}

// ANCHOR: split
/// A counter in several sub-keys. Writers take any of them, because additions
/// give the same sum in any order and in any grouping. Readers need them all.
struct SplitCounter(Vec<String>);

impl SplitCounter {
    /// Suffixes 0, 1, 2, …: where the parts lie is up to the hash.
    fn numbered(key: &str, parts: usize) -> Self {
        SplitCounter((0..parts).map(|n| format!("{key}#{n}")).collect())
    }
    /// Try suffixes until each part lies on the shard after the last one's.
    fn chosen(key: &str, parts: usize) -> Self {
        let mut suffixes = (0..).map(|n| format!("{key}#{n}"));
        let home = shard_of(key).0;
        let on = |part| ShardId((home + part) % SHARDS);
        let find = |part| suffixes.find(|name| shard_of(name) == on(part));
        SplitCounter((0..parts).filter_map(find).collect())
    }
    fn add(&self, fleet: &mut Fleet, amount: u64, rng: &mut Rng) {
        fleet.add(&self.0[rng.usize(..self.0.len())], amount);
    }
    fn read(&self, fleet: &mut Fleet) -> u64 {
        self.0.iter().map(|part| fleet.get(part)).sum()
    }
}
// ANCHOR_END: split

struct Report {
    busiest: f64, // share of the work that the busiest shard does
    work_per_op: f64,
    fleet_per_s: f64,
    shards_read: usize,
    likes: u64,
    counted: u64,
}

type Split = fn(&str, usize) -> SplitCounter;

fn run(split: Split, parts: usize) -> Report {
    let hot = split("film-42", parts);
    let (mut fleet, mut rng) = (Fleet::default(), Rng::with_seed(1));
    let mut likes = 0;
    for _ in 0..OPS {
        let dice = rng.f64();
        if dice < HOT_WRITES {
            hot.add(&mut fleet, 1, &mut rng);
            likes += 1;
        } else if dice < HOT_WRITES + HOT_READS {
            hot.read(&mut fleet);
        } else {
            fleet.add(&format!("film-{}", rng.u32(1_000..100_000)), 1);
        }
    }
    let busiest = fleet.asked.into_iter().max().unwrap_or(0) as f64;
    let work = fleet.asked.into_iter().sum::<u64>() as f64;
    let read: BTreeSet<ShardId> = hot.0.iter().map(|part| shard_of(part)).collect();
    Report {
        busiest: busiest / work,
        work_per_op: work / f64::from(OPS),
        fleet_per_s: SHARD_OPS_PER_S * f64::from(OPS) / busiest,
        shards_read: read.len(),
        likes,
        counted: hot.read(&mut fleet),
    }
}

// ANCHOR: stock
/// Stock in parts: each sells only what it holds, so nothing is sold twice. How
/// many buyers find their part empty while other parts still have some?
fn sent_away(stock: u32, parts: u32, rng: &mut Rng) -> u32 {
    let mut left = vec![stock / parts; parts as usize];
    let mut sent_away = 0;
    while left.iter().any(|part| *part > 0) {
        let mine = &mut left[rng.usize(..parts as usize)];
        sent_away += u32::from(*mine == 0);
        *mine = mine.saturating_sub(1);
    }
    sent_away
}
// ANCHOR_END: stock

/// A price in parts: each writer overwrites one. How many prices does a reader
/// find after 100 changes?
fn prices(parts: u32, rng: &mut Rng) -> usize {
    let mut price = vec![0; parts as usize];
    (1..=100).for_each(|new| price[rng.usize(..parts as usize)] = new);
    price.into_iter().collect::<BTreeSet<_>>().len()
}

fn main() {
    println!("      work per     suffix 0, 1, 2, ...        suffix chosen");
    println!("keys  operation   on busiest   ops/s       on busiest   ops/s\n");
    let mut wrong = 0;
    for parts in PARTS {
        let splits: [Split; 2] = [SplitCounter::numbered, SplitCounter::chosen];
        let runs = splits.map(|split| run(split, parts));
        print!("{parts:>4} {:>9.2}", runs[0].work_per_op);
        for r in runs {
            print!("{:>9} {:>6.0}%", r.shards_read, 100.0 * r.busiest);
            print!(" {:>7.0}", r.fleet_per_s);
            wrong += r.likes.abs_diff(r.counted);
        }
        println!();
    }
    println!("\nlikes lost or doubled: {wrong}");
    let mut rng = Rng::with_seed(2);
    let (values, early) = (prices(8, &mut rng), sent_away(800, 8, &mut rng));
    println!("a price in 8 parts, after 100 changes: {values} prices");
    println!("a stock of 800 in 8 parts: {early} buyers sent away too early");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_loses_and_doubles_no_like() {
        for parts in PARTS {
            for split in [SplitCounter::numbered, SplitCounter::chosen] {
                let report = run(split, parts);
                assert_eq!(report.counted, report.likes);
                assert!(report.likes > 9_000);
            }
        }
    }

    #[test]
    fn unsplit_one_shard_does_more_than_half_of_the_work() {
        assert!(run(SplitCounter::numbered, 1).busiest > 0.5);
    }

    #[test]
    fn chosen_suffixes_use_as_many_shards_as_there_are_parts() {
        assert_eq!(run(SplitCounter::chosen, 4).shards_read, 4);
        assert_eq!(run(SplitCounter::chosen, 8).shards_read, 8);
        assert_eq!(run(SplitCounter::numbered, 4).shards_read, 3); // luck
    }

    #[test]
    fn the_fleet_gains_up_to_a_part_a_shard_and_then_pays_for_the_gathering() {
        let fleet = PARTS.map(|parts| run(SplitCounter::chosen, parts).fleet_per_s);
        let best = fleet.into_iter().fold(0.0, f64::max);
        assert!(best == fleet[3] && best > 3.5 * fleet[0], "{fleet:?}");
        assert!(fleet[6] < 0.6 * best, "{fleet:?}");
    }

    #[test]
    fn work_grows_by_the_reads_times_the_extra_parts() {
        for parts in PARTS {
            let expected = 1.0 + HOT_READS * (parts - 1) as f64;
            let work = run(SplitCounter::numbered, parts).work_per_op;
            assert!((work / expected - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn what_is_overwritten_or_limited_cannot_be_split() {
        for seed in 0..100 {
            let mut rng = Rng::with_seed(seed);
            assert!(prices(8, &mut rng) > 1);
            assert!(sent_away(800, 8, &mut rng) > 0);
            assert_eq!(prices(1, &mut rng), 1);
            assert_eq!(sent_away(800, 1, &mut rng), 0);
        }
    }
}
