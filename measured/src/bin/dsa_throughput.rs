//! The hash map, the heap and the two sorted structures of the chapter *Data
//! structures and algorithms* beside those of Rust's standard library, doing the
//! same work in one run.
//!
//! The code is the chapter's own: `examples/dsa_hash_map.rs`, `dsa_heap.rs` and
//! `dsa_sorted.rs`. Look for two things. The hash decides what a hash map costs,
//! so ours runs with SipHash, as std's does, and once more with a hash that has no
//! secret. And a scan of the skip list: each of its nodes lies somewhere else.
//!
//! Simplified: keys and values are numbers, one thread, everything in memory. A
//! ratio above 1 says how many times as long ours takes.

use anyhow::Result;
use measured::fastest;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hint::black_box;
use std::time::Duration;

#[allow(dead_code)]
#[rustfmt::skip] // as the programs' own folder formats it
#[path = "../../../examples/dsa_hash_map.rs"]
mod dsa_hash_map;
#[allow(dead_code)]
#[rustfmt::skip] // as the programs' own folder formats it
#[path = "../../../examples/dsa_heap.rs"]
mod dsa_heap;
#[allow(dead_code)]
#[rustfmt::skip] // as the programs' own folder formats it
#[path = "../../../examples/dsa_sorted.rs"]
mod dsa_sorted;

use dsa_hash_map::{Map, mix, sip};
use dsa_heap::Heap;
use dsa_sorted::{Page, SkipList};

const KEYS: usize = if cfg!(debug_assertions) { 2_000 } else { 100_000 };
const ROUNDS: u32 = if cfg!(debug_assertions) { 3 } else { 40 };
const SECRET: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
const PAGE_KEYS_MAX: usize = 100;
const RANGE: u64 = 100;

fn row(name: &str, [std, ours]: [Duration; 2]) {
    let ratio = ours.as_secs_f64() / std.as_secs_f64();
    let ns = |time: Duration| time.as_nanos() as f64 / KEYS as f64;
    println!("{name:<34} {:>8.0} ns {:>8.0} ns {ratio:>8.1}x", ns(std), ns(ours));
}

fn hash_maps(keys: &[u64], absent: &[u64]) {
    let siphash = |key| sip(SECRET, [1, 3], key);
    let (mut std, mut ours) = (HashMap::new(), Map::new(siphash));
    let mut public = Map::new(mix);
    let insert = fastest(
        ROUNDS,
        [
            &mut || {
                std = HashMap::new();
                for key in keys {
                    std.insert(*key, *key);
                }
            },
            &mut || {
                ours = Map::new(siphash);
                for key in keys {
                    ours.insert(*key, *key);
                }
            },
            &mut || {
                public = Map::new(mix);
                for key in keys {
                    public.insert(*key, *key);
                }
            },
        ],
    );
    row("hash map, SipHash: insert", [insert[0], insert[1]]);
    row("  without a secret", [insert[0], insert[2]]);
    for (name, keys) in [("find", keys), ("not find", absent)] {
        let find = fastest(
            ROUNDS,
            [
                &mut || {
                    black_box(keys.iter().filter_map(|key| std.get(key)).count());
                },
                &mut || {
                    black_box(keys.iter().filter_map(|key| ours.get(*key)).count());
                },
                &mut || {
                    black_box(
                        keys.iter().filter_map(|key| public.get(*key)).count(),
                    );
                },
            ],
        );
        row(&format!("hash map, SipHash: {name}"), [find[0], find[1]]);
        row("  without a secret", [find[0], find[2]]);
    }
}

fn heaps(keys: &[u64]) {
    let times = fastest(
        ROUNDS,
        [
            &mut || {
                let mut heap = BinaryHeap::new();
                keys.iter().for_each(|key| heap.push(Reverse(*key)));
                while let Some(key) = heap.pop() {
                    black_box(key);
                }
            },
            &mut || {
                let mut heap = Heap::new();
                keys.iter().for_each(|key| heap.push(*key));
                while let Some(key) = heap.pop() {
                    black_box(key);
                }
            },
        ],
    );
    row("heap: push all, pop all", times);
}

fn sorted(keys: &[u64]) {
    let (mut std, mut tree, mut list) =
        (BTreeMap::new(), Page::default(), SkipList::new(1));
    let insert = fastest(
        ROUNDS,
        [
            &mut || {
                std = BTreeMap::new();
                for key in keys {
                    std.insert(*key, *key);
                }
            },
            &mut || {
                tree = Page::default();
                keys.iter().for_each(|key| tree.insert(*key, *key, PAGE_KEYS_MAX));
            },
            &mut || {
                list = SkipList::new(1);
                keys.iter().for_each(|key| list.insert(*key, *key));
            },
        ],
    );
    // Ranges of about a hundred keys, one for every hundredth key.
    let width = u64::MAX / keys.len() as u64 * RANGE;
    let starts = keys.iter().step_by(RANGE as usize);
    let ranges: Vec<_> = starts.map(|key| *key..key.saturating_add(width)).collect();
    let scan = fastest(
        ROUNDS,
        [
            &mut || {
                let range = |range: &std::ops::Range<u64>| std.range(range.clone());
                black_box(
                    ranges.iter().flat_map(range).map(|(_, v)| v >> 40).sum::<u64>(),
                );
            },
            &mut || {
                let mut sum = 0;
                for range in &ranges {
                    tree.scan(range, &mut |_, value| sum += value >> 40);
                }
                black_box(sum);
            },
            &mut || {
                let mut sum = 0;
                for range in &ranges {
                    list.scan(range, &mut |_, value| sum += value >> 40);
                }
                black_box(sum);
            },
        ],
    );
    row("B-tree: insert", [insert[0], insert[1]]);
    row("B-tree: scan 100 keys, each key", [scan[0], scan[1]]);
    row("skip list: insert", [insert[0], insert[2]]);
    row("skip list: scan 100 keys, each key", [scan[0], scan[2]]);
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[recorded::RUSTC])?);
    let mut rng = fastrand::Rng::with_seed(1);
    let keys: Vec<u64> = (0..KEYS).map(|_| rng.u64(..)).collect();
    let absent: Vec<u64> = (0..KEYS).map(|_| rng.u64(..)).collect();
    println!("random keys, time a key                 std         ours   ours/std");
    hash_maps(&keys, &absent);
    heaps(&keys);
    sorted(&keys);
    Ok(())
}
