//! A binary heap keeps the smallest item at hand and the rest in no more order
//! than that needs: timers, and the merge of sorted runs.
//!
//! Look at the steps. A sorted list moves half of what waits, or more, for each
//! timer; the heap's steps grow with the logarithm. And look at the two orders in
//! which three timers of one millisecond ring: a heap alone forgets who came first.
//!
//! Simplified: a timer cannot be cancelled, and runs are in memory.

// ANCHOR: heap
/// The smallest item is at 0. The children of i are at 2i + 1 and 2i + 2, and
/// none is smaller than its parent.
pub struct Heap<T> {
    items: Vec<T>,
    steps: u64, // comparisons made
}

impl<T: Ord> Heap<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: vec![],
            steps: 0,
        }
    }

    pub fn push(&mut self, item: T) {
        self.items.push(item);
        let mut child = self.items.len() - 1;
        while child > 0 && self.less(child, (child - 1) / 2) {
            self.items.swap(child, (child - 1) / 2); // up, past its parent
            child = (child - 1) / 2;
        }
    }

    pub fn pop(&mut self) -> Option<T> {
        let last = self.items.len().checked_sub(1)?;
        self.items.swap(0, last); // the last fills the gap, and sinks
        let (mut parent, smallest) = (0, self.items.pop());
        while 2 * parent + 1 < last {
            let mut child = 2 * parent + 1;
            if child + 1 < last && self.less(child + 1, child) {
                child += 1;
            }
            if !self.less(child, parent) {
                break;
            }
            self.items.swap(child, parent);
            parent = child;
        }
        smallest
    }

    fn less(&mut self, a: usize, b: usize) -> bool {
        self.steps += 1;
        self.items[a] < self.items[b]
    }
}
// ANCHOR_END: heap

// ANCHOR: merge
type Run = Vec<u64>; // sorted

/// Merges sorted runs: the heap holds the next item of each, with its run.
fn merge(runs: &[Run]) -> (Run, u64) {
    let mut heap = Heap::new();
    let mut rest: Vec<_> = runs.iter().map(|run| run.iter()).collect();
    let mut merged = Vec::new();
    for (run, items) in rest.iter_mut().enumerate() {
        items
            .next()
            .into_iter()
            .for_each(|item| heap.push((*item, run)));
    }
    while let Some((item, run)) = heap.pop() {
        merged.push(item);
        rest[run]
            .next()
            .into_iter()
            .for_each(|next| heap.push((*next, run)));
    }
    (merged, heap.steps)
}
// ANCHOR_END: merge

/// Looks at the head of every run for each item.
fn merge_by_looking(runs: &[Run]) -> (Run, u64) {
    let mut heads = vec![0; runs.len()];
    let (mut merged, mut steps) = (Vec::new(), 0);
    loop {
        let open = (0..runs.len()).filter(|run| heads[*run] < runs[*run].len());
        steps += open.clone().count() as u64;
        let Some(run) = open.min_by_key(|run| runs[*run][heads[*run]]) else {
            return (merged, steps);
        };
        merged.push(runs[run][heads[run]]);
        heads[run] += 1;
    }
}

// ANCHOR: timers
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u64);

/// Rings in order of time, and those of one time in the order they were set.
struct Timers<T> {
    heap: Heap<(Millis, u64, T)>,
    set: u64,
}

impl<T: Ord> Timers<T> {
    fn new() -> Self {
        Self {
            heap: Heap::new(),
            set: 0,
        }
    }

    fn set(&mut self, at: Millis, what: T) {
        self.heap.push((at, self.set, what));
        self.set += 1;
    }

    fn next_due(&mut self, now: Millis) -> Option<T> {
        let due = self.heap.items.first().is_some_and(|next| next.0 <= now);
        let next = due.then(|| self.heap.pop()).flatten();
        next.map(|(_, _, what)| what)
    }
}
// ANCHOR_END: timers

/// Only the time counts.
#[derive(PartialEq, Eq)]
struct ByTime(Millis, char);

impl PartialOrd for ByTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// Steps an item while so many timers wait: each one that rings is set again.
fn steps_of_timers(waiting: usize) -> (f64, f64) {
    let mut rng = fastrand::Rng::with_seed(waiting as u64);
    let (mut heap, mut list, mut moved) = (Heap::new(), Vec::new(), 0);
    let rounds = 2_000;
    for _ in 0..waiting {
        let at = rng.u64(..60_000);
        heap.push(at);
        list.push(at);
    }
    list.sort_unstable_by(|a, b| b.cmp(a)); // the next one is last
    heap.steps = 0;
    for _ in 0..rounds {
        let (now, same) = (heap.pop(), list.pop());
        assert_eq!(now, same);
        let at = now.unwrap_or(0) + rng.u64(..60_000);
        heap.push(at);
        let place = list.partition_point(|other| *other > at);
        moved += list.len() - place;
        list.insert(place, at);
    }
    (
        moved as f64 / f64::from(rounds),
        heap.steps as f64 / f64::from(rounds),
    )
}

fn sorted_runs(runs: usize, items: usize) -> Vec<Vec<u64>> {
    let mut rng = fastrand::Rng::with_seed(runs as u64);
    let mut run = || {
        let mut run: Vec<u64> = (0..items / runs).map(|_| rng.u64(..)).collect();
        run.sort_unstable();
        run
    };
    (0..runs).map(|_| run()).collect()
}

fn main() {
    println!("timers waiting       100    1,000   10,000");
    let steps = [100, 1_000, 10_000].map(steps_of_timers);
    println!("steps a timer");
    let row = |name, a, b, c| println!("{name:<15} {a:>8.1} {b:>8.1} {c:>8.1}");
    row("  sorted list", steps[0].0, steps[1].0, steps[2].0);
    row("  heap", steps[0].1, steps[1].1, steps[2].1);

    println!("\nmerge 4,096 items of      4       64      256 runs");
    println!("steps an item");
    let of = |merge: fn(&[Run]) -> (Run, u64)| {
        [4, 64, 256].map(|runs| merge(&sorted_runs(runs, 4_096)).1 as f64 / 4_096.0)
    };
    let [a, b, c] = of(merge_by_looking);
    row("  look at every run", a, b, c);
    let [a, b, c] = of(merge);
    row("  heap", a, b, c);

    let (mut plain, mut timers) = (Heap::new(), Timers::new());
    for name in ['A', 'B', 'C'] {
        plain.push(ByTime(Millis(5), name));
        timers.set(Millis(5), name);
    }
    let plain: String = std::iter::from_fn(|| plain.pop())
        .map(|timer| timer.1)
        .collect();
    let timers: String = std::iter::from_fn(|| timers.next_due(Millis(5))).collect();
    println!("\nset A, B, C for the same time, they ring");
    println!("  heap by time               {plain}");
    println!("  heap by time, then number  {timers}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BinaryHeap;

    #[test]
    fn it_gives_the_smallest_as_std_does() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut heap, mut model) = (Heap::new(), BinaryHeap::new());
            for _ in 0..200 {
                if rng.bool() {
                    let item = rng.i32(-20..20);
                    heap.push(item);
                    model.push(std::cmp::Reverse(item));
                } else {
                    assert_eq!(heap.pop(), model.pop().map(|item| item.0));
                }
                let parents = 1..heap.items.len();
                assert!(parents
                    .into_iter()
                    .all(|i| heap.items[(i - 1) / 2] <= heap.items[i]));
            }
        }
    }

    #[test]
    fn a_push_and_a_pop_take_a_logarithm_of_steps() {
        for waiting in [100, 1_000, 10_000] {
            let limit = 3.0 * f64::from(waiting as u32).log2();
            assert!(steps_of_timers(waiting).1 <= limit);
        }
        assert!(steps_of_timers(10_000).0 > 1_000.0, "and a list of a share");
    }

    #[test]
    fn a_merge_is_the_sorted_whole() {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let runs: Vec<Vec<u64>> = (0..rng.usize(..9))
                .map(|_| {
                    let mut run: Vec<u64> =
                        (0..rng.usize(..9)).map(|_| rng.u64(..30)).collect();
                    run.sort_unstable();
                    run
                })
                .collect();
            let mut all: Vec<u64> = runs.concat();
            all.sort_unstable();
            assert_eq!(merge(&runs).0, all);
            assert_eq!(merge_by_looking(&runs).0, all);
        }
    }

    #[test]
    fn timers_of_one_time_ring_in_the_order_they_were_set() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut timers, mut model) = (Timers::new(), Vec::new());
        for number in 0..500 {
            let at = Millis(rng.u64(..20));
            let what = 1_000 - number; // by itself, it would ring last to first
            timers.set(at, what);
            model.push((at, what));
        }
        model.sort_by_key(|(at, _)| *at); // stable
        assert!(timers.next_due(Millis(0)).is_some());
        let rung = std::iter::from_fn(|| timers.next_due(Millis(20)));
        assert!(rung.eq(model.into_iter().skip(1).map(|(_, what)| what)));
    }

    #[test]
    fn a_heap_by_time_alone_mixes_equal_times_up() {
        let mut heap = Heap::new();
        for name in ['A', 'B', 'C'] {
            heap.push(ByTime(Millis(5), name));
        }
        let rung: Vec<char> = std::iter::from_fn(|| heap.pop())
            .map(|timer| timer.1)
            .collect();
        assert_ne!(rung, ['A', 'B', 'C']);
    }

    #[test]
    fn nothing_rings_before_its_time() {
        let mut timers = Timers::new();
        timers.set(Millis(10), 'a');
        assert_eq!(timers.next_due(Millis(9)), None);
        assert_eq!(timers.next_due(Millis(10)), Some('a'));
    }
}
