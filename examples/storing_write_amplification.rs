//! A B-tree and two log-structured merge trees do the same writes with the same
//! memory. What reaches the disk is counted, and so are reads and space.
//!
//! Look first at the inserts at random: there the B-tree's page hurts. Then see
//! how that changes with larger records and with hot keys, and what the merge tree
//! that writes least pays in reads and in space.
//!
//! Simplified: whole levels are merged (real ones merge file by file), and the old
//! files are gone at once, so the space for both during a merge is not counted. No
//! compression, no Bloom filters, no page written twice to survive a torn write.

use fastrand::Rng;
use std::collections::BTreeMap;

const PAGE_BYTES: usize = 4096;
const MEMORY_PAGES: usize = 12; // of the buffer pool, or for the memtable
const LOG_BYTES_MAX: usize = MEMORY_PAGES * PAGE_BYTES; // then: write it out
const CHILDREN_MAX: usize = PAGE_BYTES / 16;
const DATA_BYTES: usize = 36 * LOG_BYTES_MAX; // fills two levels
const RUNS_MAX: usize = 4; // in level 0, and in every level if tiered
const LEVEL_GROWTH: usize = 10; // if levelled: each level is so much larger

type Key = u32;
type Version = u32; // stands for the value

trait Tree {
    fn put(&mut self, key: Key, version: Version);
    /// The value, and how many pages come from the disk for it.
    fn get(&self, key: Key) -> (Option<Version>, u32);
    fn bytes_written(&self) -> usize;
    fn bytes_stored(&self) -> usize;
}

// ANCHOR: btree
#[derive(Default)]
struct Page {
    inner: bool,
    entries: BTreeMap<Key, u32>, // to a version, or in an inner page to a page
}

#[derive(Default)]
struct BTree {
    record_bytes: usize,
    pages: Vec<Page>,
    root: u32,
    pool: Vec<(u32, bool)>, // pages in memory, last used last; is it changed?
    key_max: Key,
    puts: usize,
    pages_written: usize,
}

impl BTree {
    /// Brings a page into the pool, and pushes the longest unused one out.
    fn touch(&mut self, page: u32, changes: bool) {
        let place = self.pool.iter().position(|(cached, _)| *cached == page);
        let changed = place.is_some_and(|place| self.pool.remove(place).1);
        self.pool.push((page, changed || changes));
        if self.pool.len() > MEMORY_PAGES {
            let (_, changed) = self.pool.remove(0);
            self.pages_written += usize::from(changed); // all of it
        }
    }

    /// The pages from the root down to the leaf for this key.
    fn path(&self, key: Key) -> Vec<u32> {
        let mut path = vec![self.root];
        while let Some(page) = path.last().map(|page| &self.pages[*page as usize]) {
            match page.entries.range(..=key).next_back() {
                Some((_, child)) if page.inner => path.push(*child),
                _ => break,
            }
        }
        path
    }

    fn add_page(&mut self, inner: bool, entries: BTreeMap<Key, u32>) -> u32 {
        self.pages.push(Page { inner, entries });
        let page = self.pages.len() as u32 - 1;
        self.touch(page, true);
        page
    }
}
// ANCHOR_END: btree

impl Tree for BTree {
    // ANCHOR: btree_put
    fn put(&mut self, key: Key, version: Version) {
        self.key_max = self.key_max.max(key);
        let mut path = self.path(key);
        path.iter().for_each(|page| self.touch(*page, false));
        let mut entry = (key, version);
        while let Some(number) = path.pop() {
            self.touch(number, true);
            let Page { inner, entries } = &mut self.pages[number as usize];
            let inner = *inner;
            entries.insert(entry.0, entry.1);
            let records_max = PAGE_BYTES / self.record_bytes;
            let max = if inner { CHILDREN_MAX } else { records_max };
            if entries.len() <= max {
                break;
            }
            // Split in the middle, or at the end if the keys come in order.
            let left = if key == self.key_max { max } else { max / 2 };
            let first = *entries.keys().nth(left).expect("more than `max` entries");
            let right = entries.split_off(&first);
            entry = (first, self.add_page(inner, right));
            if number == self.root {
                self.root = self.add_page(true, [(0, number), entry].into());
                break;
            }
        }
        self.puts += 1;
        if self.puts.is_multiple_of(LOG_BYTES_MAX / self.record_bytes) {
            for (_, changed) in &mut self.pool {
                self.pages_written += usize::from(std::mem::take(changed));
            }
        }
    }
    // ANCHOR_END: btree_put

    fn get(&self, key: Key) -> (Option<Version>, u32) {
        let path = self.path(key);
        let leaf = path.last().map(|leaf| &self.pages[*leaf as usize].entries);
        let version = leaf.and_then(|entries| entries.get(&key)).copied();
        let cached = |page| self.pool.iter().any(|(cached, _)| cached == page);
        let read = path.iter().filter(|page| !cached(*page)).count();
        (version, read as u32)
    }

    fn bytes_written(&self) -> usize {
        self.puts * self.record_bytes + self.pages_written * PAGE_BYTES
    }

    fn bytes_stored(&self) -> usize {
        self.pages.len() * PAGE_BYTES
    }
}

// ANCHOR: lsm
type Run = BTreeMap<Key, Version>; // a sorted file: written once, never changed

#[derive(Default)]
struct Lsm {
    record_bytes: usize,
    tiered: bool,
    memtable: Run,         // this one is in memory, and does change
    levels: Vec<Vec<Run>>, // in each level the oldest run first
    puts: usize,
    records_written: usize,
}

impl Lsm {
    /// Makes one run of several, the oldest first: later values win.
    fn merge(&mut self, mut runs: Vec<Run>) -> Run {
        let records: Run = runs.iter().flatten().map(|(k, v)| (*k, *v)).collect();
        runs.sort_by_key(|run| run.keys().next().copied());
        let apart = |two: &[Run]| two[0].keys().next_back() < two[1].keys().next();
        if !runs.windows(2).all(apart) {
            self.records_written += records.len(); // else the files stay as they are
        }
        records
    }
}
// ANCHOR_END: lsm

impl Lsm {
    fn too_full(&self, level: usize) -> bool {
        let runs = &self.levels[level];
        if self.tiered || level == 0 {
            return runs.len() >= RUNS_MAX;
        }
        let memtables = RUNS_MAX * LEVEL_GROWTH.pow(level as u32 - 1);
        let records_max = memtables * LOG_BYTES_MAX / self.record_bytes;
        runs.iter().any(|run| run.len() > records_max)
    }

    // ANCHOR: flush
    fn flush(&mut self) {
        let mut run = std::mem::take(&mut self.memtable);
        self.records_written += run.len();
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if !self.too_full(level) {
                break;
            }
            let mut runs = std::mem::take(&mut self.levels[level]);
            if !self.tiered && level + 1 < self.levels.len() {
                let older = std::mem::take(&mut self.levels[level + 1]);
                runs.splice(..0, older);
            }
            run = self.merge(runs);
        }
    }
    // ANCHOR_END: flush
}

impl Tree for Lsm {
    fn put(&mut self, key: Key, version: Version) {
        self.memtable.insert(key, version);
        self.puts += 1;
        if self.puts.is_multiple_of(LOG_BYTES_MAX / self.record_bytes) {
            self.flush();
        }
    }

    // ANCHOR: lsm_get
    fn get(&self, key: Key) -> (Option<Version>, u32) {
        if let Some(version) = self.memtable.get(&key) {
            return (Some(*version), 0);
        }
        let mut read = 0;
        for run in self.levels.iter().flat_map(|runs| runs.iter().rev()) {
            let starts_before = run.range(..=key).next().is_some();
            let ends_after = run.range(key..).next().is_some();
            read += u32::from(starts_before && ends_after); // one page of it
            if let Some(version) = run.get(&key) {
                return (Some(*version), read);
            }
        }
        (None, read)
    }
    // ANCHOR_END: lsm_get

    fn bytes_written(&self) -> usize {
        (self.puts + self.records_written) * self.record_bytes
    }

    fn bytes_stored(&self) -> usize {
        let runs = self.levels.iter().flatten();
        runs.map(|run| run.len() * self.record_bytes).sum()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Load {
    InsertInOrder,
    InsertAtRandom,
    UpdateAtRandom, // after inserts at random, which are not counted
    UpdateHotKeys,  // likewise; the hot ones fill half the memory
}

const LOADS: [(&str, Load, usize); 5] = [
    ("insert in order, 100 B", Load::InsertInOrder, 100),
    ("insert at random, 100 B", Load::InsertAtRandom, 100),
    ("update at random, 100 B", Load::UpdateAtRandom, 100),
    ("update at random, 1000 B", Load::UpdateAtRandom, 1000),
    ("update hot keys, 100 B", Load::UpdateHotKeys, 100),
];

// ANCHOR: measure
/// Bytes written per byte of data, pages read per lookup, and (at worst, in the
/// second half) bytes stored per byte of data.
fn measure(
    mut tree: Box<dyn Tree>,
    load: Load,
    bytes: usize,
    seed: u64,
) -> [f64; 3] {
    let mut rng = Rng::with_seed(seed);
    let count = DATA_BYTES / bytes;
    let mut keys: Vec<Key> = (0..count as Key).collect();
    if load != Load::InsertInOrder {
        rng.shuffle(&mut keys);
    }
    let updates = matches!(load, Load::UpdateAtRandom | Load::UpdateHotKeys);
    if updates {
        keys.iter().for_each(|key| tree.put(*key, 0));
        let hot = LOG_BYTES_MAX / bytes / 2;
        let among = if load == Load::UpdateHotKeys {
            hot
        } else {
            count
        };
        keys.fill_with(|| rng.u32(..among as u32));
    }
    let before = tree.bytes_written();
    let (mut read, mut lookups, mut stored) = (0.0, 0.0, 0f64);
    for (i, key) in keys.iter().enumerate() {
        tree.put(*key, i as Version);
        if i >= count / 2 && i % 16 == 0 {
            read += f64::from(tree.get(keys[rng.usize(..=i)]).1);
            lookups += 1.0;
            let records = if updates { count } else { i + 1 };
            stored =
                stored.max(tree.bytes_stored() as f64 / (records * bytes) as f64);
        }
    }
    let written = (tree.bytes_written() - before) as f64 / (count * bytes) as f64;
    [written, read / lookups, stored]
}
// ANCHOR_END: measure

fn compare(load: Load, record_bytes: usize, seed: u64) -> [[f64; 3]; 3] {
    trees(record_bytes).map(|tree| measure(tree, load, record_bytes, seed))
}

fn trees(record_bytes: usize) -> [Box<dyn Tree>; 3] {
    let mut btree = BTree {
        record_bytes,
        ..Default::default()
    };
    btree.root = btree.add_page(false, BTreeMap::new());
    let lsm = |tiered| Lsm {
        record_bytes,
        tiered,
        ..Default::default()
    };
    [Box::new(btree), Box::new(lsm(false)), Box::new(lsm(true))]
}

fn main() {
    let compared = LOADS.map(|(_, load, bytes)| compare(load, bytes, 1));
    let (kib, data) = (LOG_BYTES_MAX / 1024, DATA_BYTES / LOG_BYTES_MAX);
    println!("{kib} KiB of memory, {data} times as much data");
    let counts = ["written per byte", "pages read a lookup", "stored per byte"];
    for (i, count) in counts.iter().enumerate() {
        println!("\n{count:<25}  B-tree  levelled LSM  tiered LSM");
        for ((load, ..), row) in LOADS.iter().zip(&compared) {
            let [btree, levelled, tiered] = row.map(|counts| counts[i]);
            println!("{load:<25} {btree:>7.1} {levelled:>13.1} {tiered:>11.1}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const SEEDS: std::ops::Range<u64> = 1..3;

    #[test]
    fn all_three_return_the_newest_value() {
        for mut tree in trees(100) {
            let (mut rng, mut newest) = (Rng::with_seed(5), BTreeMap::new());
            for version in 0..20_000 {
                let key = rng.u32(..10_000);
                tree.put(key, version);
                newest.insert(key, version);
            }
            for key in 0..10_000 {
                assert_eq!(tree.get(key).0, newest.get(&key).copied());
            }
        }
    }

    #[test]
    fn small_random_updates_cost_the_b_tree_a_page_each_and_the_lsm_far_less() {
        for seed in SEEDS {
            let [btree, levelled, tiered] = compare(Load::UpdateAtRandom, 100, seed);
            assert!((38.0..45.0).contains(&btree[0]), "{}", btree[0]);
            assert!(levelled[0] < btree[0] / 4.0 && tiered[0] < btree[0] / 8.0);
        }
    }

    #[test]
    fn with_large_records_the_levelled_lsm_writes_more_than_the_b_tree() {
        for seed in SEEDS {
            let [btree, levelled, _] = compare(Load::UpdateAtRandom, 1000, seed);
            assert!(btree[0] < levelled[0] * 0.75, "seed {seed}");
        }
    }

    #[test]
    fn hot_keys_cost_every_tree_little() {
        for seed in SEEDS {
            let counts = compare(Load::UpdateHotKeys, 100, seed);
            assert!(counts.iter().all(|[written, ..]| *written < 3.0));
        }
    }

    #[test]
    fn each_of_the_three_is_best_at_one_of_writing_reading_and_space() {
        for seed in SEEDS {
            let [btree, levelled, tiered] = compare(Load::UpdateAtRandom, 100, seed);
            assert!(tiered[0] < levelled[0] && levelled[0] < btree[0]);
            assert!(btree[1] < levelled[1] && levelled[1] < tiered[1]);
            assert!(tiered[1] < 4.0, "more than a few runs: {}", tiered[1]);
            assert!(levelled[2] < btree[2] && btree[2] < tiered[2]);
        }
    }
}
