//! One shop, 8 shards: place its customers by range, by hash, by directory.
//!
//! Look at the two columns `busiest/mean`. Even rows are not even load: a few
//! customers make most of the requests. Then look at the scan: how many shards
//! hold a name that begins with `sa`, and must answer. The last two lines place
//! a key that only grows, the time of an order.
//!
//! Simplified: rows have no size, a request touches one row. Names and their
//! popularity are invented: initials by the weights below, popularity by Zipf's
//! law (the customer of rank r makes 1/r of the requests of the first).

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ShardId(usize);

const SHARDS: usize = 8;
const CUSTOMERS: usize = 10_000;
const SLOTS: u64 = 512; // fixed parts of the hash's range, many more than shards
const OLD_ORDERS: u64 = 8_000;
const NEW_ORDERS: u64 = 1_000;
/// How common each initial is: many names begin with `s`, hardly one with `x`.
const INITIALS: &str = "aabbbbbccccddddeefffgggghhhhhijjkkkllllmmmmmmnno\
                        pppqrrrrsssssssssstttuvwwwwwxyz";

// ANCHOR: hash
/// FNV-1a takes in the bytes, MurmurHash3's finaliser mixes the bits.
fn hash(key: &str) -> u64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        h = (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
// ANCHOR_END: hash

// ANCHOR: maps
/// The shard map: what a router must know to find a key.
enum ShardMap {
    /// Shard i holds the keys from `starts[i]` up to `starts[i + 1]`.
    Range { starts: Vec<String> },
    /// Nothing to know but the number of shards.
    Hash,
    /// Keys fall into fixed slots by hash; the table says who owns a slot.
    Slots { owner: Vec<ShardId> },
    /// An entry for each key: any key can lie anywhere.
    Directory { owner: BTreeMap<String, ShardId> },
}

impl ShardMap {
    fn shard_of(&self, key: &str) -> ShardId {
        match self {
            Self::Range { starts } => {
                let after = starts.partition_point(|start| start.as_str() <= key);
                ShardId(after.saturating_sub(1))
            }
            Self::Hash => ShardId((hash(key) % SHARDS as u64) as usize),
            Self::Slots { owner } => owner[(hash(key) % SLOTS) as usize],
            Self::Directory { owner } => owner[key],
        }
    }
}
// ANCHOR_END: maps

impl ShardMap {
    fn entries(&self) -> usize {
        match self {
            Self::Range { starts } => starts.len(),
            Self::Hash => 0,
            Self::Slots { owner } => owner.len(),
            Self::Directory { owner } => owner.len(),
        }
    }
}

/// Ranges with the same number of the given keys in each; keys are sorted.
fn equal_ranges(keys: &[String]) -> ShardMap {
    let start = |shard: usize| keys[shard * keys.len() / SHARDS].clone();
    let starts = (0..SHARDS).map(start).collect();
    ShardMap::Range { starts }
}

// ANCHOR: spread
/// Heaviest first, each to the shard that has least: the freedom of a table.
fn spread<T>(mut weighted: Vec<(u64, T)>) -> Vec<(T, ShardId)> {
    let mut load = [0; SHARDS];
    weighted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let assign = |(weight, item)| {
        let least = (0..SHARDS).min_by_key(|shard| load[*shard]);
        let shard = least.expect("there are shards");
        load[shard] += weight;
        (item, ShardId(shard))
    };
    weighted.into_iter().map(assign).collect()
}
// ANCHOR_END: spread

/// Sorted names, each with the number of requests for it.
fn customers(seed: u64) -> Vec<(String, u64)> {
    let mut rng = Rng::with_seed(seed);
    let mut names = BTreeSet::new();
    while names.len() < CUSTOMERS {
        let mut name = String::new();
        name.push(INITIALS.as_bytes()[rng.usize(..INITIALS.len())] as char);
        name.push(b"aeiou"[rng.usize(..5)] as char);
        name.extend(std::iter::repeat_with(|| rng.lowercase()).take(5));
        names.insert(name);
    }
    let mut ranks: Vec<u64> = (1..=CUSTOMERS as u64).collect();
    rng.shuffle(&mut ranks);
    let requests = ranks.into_iter().map(|rank| 1_000_000 / rank);
    names.into_iter().zip(requests).collect()
}

fn maps(customers: &[(String, u64)]) -> Vec<(&'static str, ShardMap)> {
    let names: Vec<String> =
        customers.iter().map(|(name, _)| name.clone()).collect();
    let letter = |shard| char::from(b'a' + (shard * 26 / SHARDS) as u8).to_string();
    let starts = (0..SHARDS).map(letter).collect();

    let mut slot_load: Vec<(u64, u64)> = (0..SLOTS).map(|slot| (0, slot)).collect();
    for (name, requests) in customers {
        slot_load[(hash(name) % SLOTS) as usize].0 += requests;
    }
    let mut slots = spread(slot_load);
    slots.sort();
    let owner = slots.into_iter().map(|(_, shard)| shard).collect();

    let by_load = customers.iter().map(|(name, n)| (*n, name.clone()));
    let directory = spread(by_load.collect()).into_iter().collect();
    vec![
        ("range, equal alphabet", ShardMap::Range { starts }),
        ("range, equal rows", equal_ranges(&names)),
        ("hash modulo 8", ShardMap::Hash),
        ("table of 512 slots", ShardMap::Slots { owner }),
        (
            "directory of keys",
            ShardMap::Directory { owner: directory },
        ),
    ]
}

fn busiest_to_mean(map: &ShardMap, weighted: &[(String, u64)]) -> f64 {
    let mut load = [0; SHARDS];
    for (key, weight) in weighted {
        load[map.shard_of(key).0] += weight;
    }
    let busiest = load.iter().max().expect("there are shards");
    *busiest as f64 * SHARDS as f64 / load.iter().sum::<u64>() as f64
}

fn holders<'a>(map: &ShardMap, keys: impl Iterator<Item = &'a String>) -> usize {
    let shards: BTreeSet<ShardId> = keys.map(|key| map.shard_of(key)).collect();
    shards.len()
}

/// Keys that sort by time: 8,000 orders are there, 1,000 arrive.
fn orders() -> (Vec<String>, Vec<(String, u64)>) {
    let key = |time| format!("{time:08}");
    let new = (OLD_ORDERS..OLD_ORDERS + NEW_ORDERS).map(|time| (key(time), 1));
    ((0..OLD_ORDERS).map(key).collect(), new.collect())
}

struct Measured {
    rows: f64,
    requests: f64,
    scanned: usize,
}

fn measure(map: &ShardMap, customers: &[(String, u64)]) -> Measured {
    let names = customers.iter().map(|(name, _)| name);
    let rows: Vec<_> = names.clone().map(|name| (name.clone(), 1)).collect();
    Measured {
        rows: busiest_to_mean(map, &rows),
        requests: busiest_to_mean(map, customers),
        scanned: holders(map, names.filter(|name| name.starts_with("sa"))),
    }
}

fn main() {
    let customers = customers(1);
    println!("10,000 customers      rows  requests  names in   entries");
    println!("on 8 shards            busiest/mean   sa... on   of the map\n");
    for (name, map) in maps(&customers) {
        let m = measure(&map, &customers);
        print!("{name:<21} {:.2} {:>9.2}", m.rows, m.requests);
        println!(" {:>5} of 8 {:>9}", m.scanned, map.entries());
    }
    println!("\n1,000 new orders,     the busiest       the newest");
    println!("key = time            shard gets        100 are on\n");
    let (old, new) = orders();
    let ranges = ("range, equal rows", equal_ranges(&old));
    for (name, map) in [ranges, ("hash modulo 8", ShardMap::Hash)] {
        let busiest = busiest_to_mean(&map, &new) * (NEW_ORDERS / 8) as f64;
        let newest = new[new.len() - 100..].iter().map(|(key, _)| key);
        println!(
            "{name:<21} {busiest:>5.0}{:>18} of 8",
            holders(&map, newest)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(name: &str, seed: u64) -> Measured {
        let customers = customers(seed);
        let mut maps = maps(&customers).into_iter();
        let (_, map) = maps.find(|(n, _)| *n == name).expect("a known scheme");
        measure(&map, &customers)
    }

    #[test]
    fn the_hash_is_the_same_on_every_platform_and_release() {
        assert_eq!(hash(""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash("a"), 0x82a2_a958_a9be_ce5b);
    }

    #[test]
    fn equal_parts_of_the_alphabet_are_unequal_parts_of_the_rows() {
        assert!(scheme("range, equal alphabet", 1).rows > 1.5);
        assert!(scheme("range, equal rows", 1).rows < 1.001);
    }

    #[test]
    fn hashing_evens_out_rows_and_not_requests() {
        for seed in 0..8 {
            let hashed = scheme("hash modulo 8", seed);
            assert!(hashed.rows < 1.1 && hashed.requests > 1.4);
        }
    }

    #[test]
    fn one_customer_makes_a_tenth_of_the_requests() {
        let requests: Vec<u64> = customers(1).into_iter().map(|c| c.1).collect();
        let hottest = *requests.iter().max().expect("customers");
        let all: u64 = requests.iter().sum();
        assert_eq!(hottest * 100 / all, 10); // percent
    }

    #[test]
    fn a_table_evens_out_requests_if_no_key_is_hotter_than_a_shard() {
        for seed in 0..4 {
            assert!(scheme("table of 512 slots", seed).requests < 1.01);
            assert!(scheme("directory of keys", seed).requests < 1.01);
        }
    }

    #[test]
    fn ranges_answer_a_scan_from_one_or_two_shards_and_hashes_from_all() {
        for seed in 0..4 {
            assert!(scheme("range, equal rows", seed).scanned <= 2);
            assert_eq!(scheme("hash modulo 8", seed).scanned, SHARDS);
        }
    }

    #[test]
    fn a_growing_key_sends_every_new_row_to_the_last_range() {
        let (old, new) = orders();
        let ranges = equal_ranges(&old);
        let last = ShardId(SHARDS - 1);
        assert!(new.iter().all(|(key, _)| ranges.shard_of(key) == last));
        assert!(busiest_to_mean(&ShardMap::Hash, &new) < 1.3);
    }
}
