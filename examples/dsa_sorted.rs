//! Sorted keys two ways: a B-tree of pages and a skip list of linked nodes. Both
//! answer "what comes next?", which a hash map cannot.
//!
//! Look at what is fetched: each page, or each node, lies somewhere else, on a
//! disk or in memory. For one key the B-tree fetches a page a level. For 1,000
//! neighbours it fetches the pages that hold them; the skip list fetches each
//! node. `filled` is how much of the leaves is in use.
//!
//! Simplified: nothing is deleted, a page holds 100 keys whatever their size, and
//! all of it is in memory.

use std::ops::Range;

// ANCHOR: btree
/// A leaf has keys and values. An inner page has children and, between them,
/// bounds: keys from a bound on are to its right.
#[derive(Default)]
pub struct Page<V> {
    keys: Vec<u64>,
    values: Vec<V>,
    children: Vec<Page<V>>,
}

impl<V: Default> Page<V> {
    /// Where the key is or belongs: an index of `children`, or of a leaf's `keys`.
    fn place(&self, key: u64) -> usize {
        let inner = !self.children.is_empty();
        self.keys
            .partition_point(|at| *at < key || inner && *at == key)
    }

    /// A page with more than `max` keys splits: it gives back its upper half and
    /// the bound between the two.
    fn put(&mut self, key: u64, value: V, max: usize) -> Option<(u64, Page<V>)> {
        let (at, leaf) = (self.place(key), self.children.is_empty());
        if leaf && self.keys.get(at) == Some(&key) {
            self.values[at] = value;
        } else if leaf {
            self.keys.insert(at, key);
            self.values.insert(at, value);
        } else if let Some((bound, right)) = self.children[at].put(key, value, max) {
            self.keys.insert(at, bound);
            self.children.insert(at + 1, right);
        }
        if self.keys.len() <= max {
            return None;
        }
        let (half, mut right) = (self.keys.len() / 2, Self::default());
        right.keys = self.keys.split_off(half);
        if leaf {
            right.values = self.values.split_off(half);
            return Some((right.keys[0], right));
        }
        right.children = self.children.split_off(half + 1);
        Some((right.keys.remove(0), right))
    }

    pub fn insert(&mut self, key: u64, value: V, max: usize) {
        if let Some((bound, right)) = self.put(key, value, max) {
            let left = std::mem::take(self);
            self.keys.push(bound); // a new root above the two halves
            self.children.extend([left, right]);
        }
    }

    /// Hands each entry of the range to `see`, in order. Says how many pages it
    /// touched.
    pub fn scan<'a, F>(&'a self, range: &Range<u64>, see: &mut F) -> usize
    where
        F: FnMut(u64, &'a V),
    {
        let from = self.place(range.start);
        let to = self.keys.partition_point(|at| *at < range.end);
        let entries = self.keys.iter().zip(&self.values);
        entries
            .take(to)
            .skip(from)
            .for_each(|(key, value)| see(*key, value));
        let children = self.children.iter().take(to + 1).skip(from);
        1 + children.map(|child| child.scan(range, see)).sum::<usize>()
    }
}
// ANCHOR_END: btree

impl<V> Page<V> {
    /// Leaves, and keys in them.
    fn leaves(&self) -> (usize, usize) {
        if self.children.is_empty() {
            return (1, self.keys.len());
        }
        let below = self.children.iter().map(Page::leaves);
        below.fold((0, 0), |sum, leaf| (sum.0 + leaf.0, sum.1 + leaf.1))
    }
}

// ANCHOR: skip
const LEVELS: usize = 12;

/// Entry i has the tower i + 1: one link a level, each to an entry's tower. Tower
/// 0 is the start and has no entry, so a link to 0 is the end.
pub struct SkipList<V> {
    entries: Vec<(u64, V)>,
    towers: Vec<Vec<usize>>,
    rng: fastrand::Rng,
}

impl<V> SkipList<V> {
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self {
            entries: vec![],
            towers: vec![vec![0; LEVELS]],
            rng,
        }
    }

    /// On each level, the last tower in front of the key; and the nodes fetched.
    fn before(&self, key: u64) -> ([usize; LEVELS], usize) {
        let (mut before, mut at, mut last, mut fetched) = ([0; LEVELS], 0, 0, 0);
        for level in (0..LEVELS).rev() {
            loop {
                let next = self.towers[at][level];
                fetched += usize::from(next != 0 && next != last);
                last = next;
                if next == 0 || self.entries[next - 1].0 >= key {
                    break; // too far: go on one level below
                }
                at = next;
            }
            before[level] = at;
        }
        (before, fetched)
    }

    pub fn insert(&mut self, key: u64, value: V) {
        let (before, _) = self.before(key);
        let next = self.towers[before[0]][0];
        if next != 0 && self.entries[next - 1].0 == key {
            self.entries[next - 1].1 = value;
            return;
        }
        let mut tower = vec![];
        while tower.is_empty() || tower.len() < LEVELS && self.rng.u8(..4) == 0 {
            let left = before[tower.len()]; // three of four end at each level
            let link = &mut self.towers[left][tower.len()];
            tower.push(std::mem::replace(link, self.entries.len() + 1));
        }
        self.entries.push((key, value));
        self.towers.push(tower);
    }

    /// Hands each entry of the range to `see`, in order. Says how many nodes it
    /// fetched.
    pub fn scan(&self, range: &Range<u64>, see: &mut dyn FnMut(u64, &V)) -> usize {
        let (before, mut fetched) = self.before(range.start);
        let mut next = self.towers[before[0]][0];
        while next != 0 && self.entries[next - 1].0 < range.end {
            see(self.entries[next - 1].0, &self.entries[next - 1].1);
            (next, fetched) = (self.towers[next][0], fetched + 1);
        }
        fetched
    }
}
// ANCHOR_END: skip

const KEYS: u64 = 30_000;
const KEYS_A_PAGE: usize = 100;

/// Mean number of pages or nodes for a range of so many keys.
fn mean(width: u64, mut scan: impl FnMut(&Range<u64>) -> usize) -> f64 {
    let mut rng = fastrand::Rng::with_seed(2);
    let mut total = 0;
    for _ in 0..100 {
        let start = rng.u64(..KEYS - width);
        total += scan(&(start..start + width));
    }
    total as f64 / 100.0
}

fn main() {
    let mut keys: Vec<u64> = (0..KEYS).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut keys);
    let (mut tree, mut sorted, mut list) =
        (Page::default(), Page::default(), SkipList::new(1));
    for &key in &keys {
        tree.insert(key, (), KEYS_A_PAGE);
        list.insert(key, ());
    }
    (0..KEYS).for_each(|key| sorted.insert(key, (), KEYS_A_PAGE));

    println!("fetched, of 30,000 keys, for              1 key  1,000 keys");
    let row = |name, one, many| println!("{name:<36} {one:>10.1} {many:>11.1}");
    let pages = |width| mean(width, |range| tree.scan(range, &mut |_, _| ()));
    row("B-tree, pages of up to 100 keys", pages(1), pages(1_000));
    let nodes = |width| mean(width, |range| list.scan(range, &mut |_, _| ()));
    row("skip list, nodes", nodes(1), nodes(1_000));
    let steps = f64::from(KEYS.ilog2() + 1); // a node a comparison
    row(
        "binary tree, nodes (at most, at best)",
        steps,
        steps + 1_000.0,
    );
    row("hash map, entries (at best)", 1.0, KEYS as f64);

    println!("\nB-tree filled by keys      leaves   filled");
    for (order, tree) in
        [("in random order", &tree), ("in ascending order", &sorted)]
    {
        let (leaves, keys) = tree.leaves();
        let filled = keys * 100 / (leaves * KEYS_A_PAGE);
        println!("{order:<26} {leaves:>6} {filled:>6} %");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn both_scan_any_range_as_std_does() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let max = rng.usize(2..9);
            let (mut tree, mut list, mut model) =
                (Page::default(), SkipList::new(seed), BTreeMap::new());
            for step in 0..rng.u64(1..200) {
                let key = rng.u64(..100);
                tree.insert(key, step, max);
                list.insert(key, step);
                model.insert(key, step);
            }
            for _ in 0..20 {
                let start = rng.u64(..100);
                let range = start..start + rng.u64(..50);
                let expected: Vec<_> =
                    model.range(range.clone()).map(|(k, v)| (*k, *v)).collect();
                let (mut of_tree, mut of_list) = (vec![], vec![]);
                tree.scan(&range, &mut |k, v| of_tree.push((k, *v)));
                list.scan(&range, &mut |k, v| of_list.push((k, *v)));
                assert_eq!(of_tree, expected, "{seed}");
                assert_eq!(of_list, expected, "{seed}");
            }
        }
    }

    #[test]
    fn one_key_costs_a_page_a_level_and_a_page_holds_a_hundred() {
        let mut tree = Page::default();
        for key in 0..KEYS {
            tree.insert(key, (), KEYS_A_PAGE);
        }
        for key in [0, 1, 49, 50, 51, KEYS / 2, KEYS - 1] {
            assert_eq!(tree.scan(&(key..key + 1), &mut |_, _| ()), 3, "{key}");
        }
        let pages = tree.scan(&(0..KEYS), &mut |_, _| ());
        assert_eq!(tree.leaves(), (599, KEYS as usize));
        assert_eq!(pages, 599 + 11 + 1, "each page once");
    }

    #[test]
    fn random_keys_fill_two_thirds_of_a_page_and_ascending_ones_half() {
        let mut keys: Vec<u64> = (0..KEYS).collect();
        for share in [49..52, 64..71] {
            let mut tree = Page::default();
            keys.iter()
                .for_each(|key| tree.insert(*key, (), KEYS_A_PAGE));
            let (leaves, keys_in_them) = tree.leaves();
            assert!(share.contains(&(keys_in_them / leaves)), "{leaves}");
            fastrand::Rng::with_seed(1).shuffle(&mut keys);
        }
    }

    #[test]
    fn a_skip_list_fetches_few_nodes_for_a_key_and_each_one_of_a_range() {
        let mut list = SkipList::new(1);
        (0..KEYS).for_each(|key| list.insert(key, ()));
        let at_least =
            |levels| list.towers.iter().filter(move |t| t.len() >= levels);
        for (levels, share) in [(2, 4), (3, 16)] {
            let nodes = at_least(levels).count() as f64;
            assert!((nodes * share as f64 / KEYS as f64 - 1.0).abs() < 0.1);
        }
        let fetched = |width| mean(width, |range| list.scan(range, &mut |_, _| ()));
        assert!((20.0..30.0).contains(&fetched(1)), "{}", fetched(1));
        assert!((1_000.0..1_040.0).contains(&fetched(1_000)));
    }

    #[test]
    fn every_path_is_equally_long_and_no_page_is_overfull_or_under_half() {
        fn depth<V>(page: &Page<V>, max: usize, root: bool) -> usize {
            assert!(page.keys.len() <= max);
            assert!(root || page.keys.len() >= max / 2, "{}", page.keys.len());
            let below = page.children.iter().map(|child| depth(child, max, false));
            let below: Vec<usize> = below.collect();
            assert!(below.windows(2).all(|pair| pair[0] == pair[1]));
            1 + below.first().unwrap_or(&0)
        }
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut tree, max) = (Page::default(), rng.usize(2..12));
            for _ in 0..rng.u64(1..800) {
                tree.insert(rng.u64(..), (), max);
            }
            depth(&tree, max, true);
        }
    }
}
