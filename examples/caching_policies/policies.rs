//! Who leaves when the cache is full? Five answers behind one trait.
//!
//! FIFO, LRU and LFU take constant time for each operation; CLOCK and S3-FIFO do
//! on average: each step of their loops uses up a mark that an earlier hit paid
//! for. All entries count alike, whatever their size; a real cache weighs them.
//! Not for several threads. Nothing here prints, waits or knows the time.

use std::collections::{BTreeSet, HashMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

// ANCHOR: trait
/// A cache of at most so many entries; the capacity is given to its `new`.
pub trait Cache<V> {
    /// The value, if it is here. A hit also tells the policy: this one is wanted.
    fn get(&mut self, key: Key) -> Option<&V>;
    /// Stores, and says who had to leave. Replacing a value counts as a hit.
    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)>;
    fn len(&self) -> usize;
}
// ANCHOR_END: trait

// ANCHOR: fifo
/// First in, first out. A hit changes nothing: readers need no exclusive lock.
pub struct Fifo<V> {
    capacity: usize,
    values: HashMap<Key, V>,
    queue: VecDeque<Key>, // oldest in front
}

impl<V> Cache<V> for Fifo<V> {
    fn get(&mut self, key: Key) -> Option<&V> {
        self.values.get(&key)
    }

    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)> {
        if let Some(old) = self.values.get_mut(&key) {
            *old = value;
            return None;
        }
        let mut left = None;
        if self.values.len() == self.capacity {
            left = self.queue.pop_front();
        }
        self.values.insert(key, value);
        self.queue.push_back(key);
        left.and_then(|key| self.values.remove_entry(&key))
    }
    // ANCHOR_END: fifo
    fn len(&self) -> usize {
        self.values.len()
    }
}

impl<V> Fifo<V> {
    pub fn new(capacity: usize) -> Fifo<V> {
        assert!(capacity > 0, "a cache needs room for one entry");
        Fifo {
            capacity,
            values: HashMap::new(),
            queue: VecDeque::new(),
        }
    }
}

// ANCHOR: nodes
/// An entry knows its neighbours by their place in `nodes`: a doubly linked list
/// without pointers. To leave the middle of a list takes two assignments.
struct Node<V> {
    key: Key,
    value: V,
    uses: u64,
    before: usize,
    after: usize,
}

const NONE: usize = usize::MAX;

/// Ends of a list: `first` came first and is the next to leave.
#[derive(Clone, Copy)]
struct List {
    first: usize,
    last: usize,
}

const EMPTY: List = List {
    first: NONE,
    last: NONE,
};

impl List {
    fn push<V>(&mut self, nodes: &mut [Node<V>], node: usize) {
        (nodes[node].before, nodes[node].after) = (self.last, NONE);
        match self.last {
            NONE => self.first = node,
            last => nodes[last].after = node,
        }
        self.last = node;
    }

    fn unlink<V>(&mut self, nodes: &mut [Node<V>], node: usize) {
        let (before, after) = (nodes[node].before, nodes[node].after);
        match before {
            NONE => self.first = after,
            before => nodes[before].after = after,
        }
        match after {
            NONE => self.last = before,
            after => nodes[after].before = before,
        }
    }
}
// ANCHOR_END: nodes

// ANCHOR: lru
/// Least recently used: each use moves the entry to the end of the list.
pub struct Lru<V> {
    capacity: usize,
    place: HashMap<Key, usize>,
    nodes: Vec<Node<V>>,
    by_age: List,
}

impl<V> Lru<V> {
    fn touch(&mut self, key: Key) -> Option<usize> {
        let node = *self.place.get(&key)?;
        self.by_age.unlink(&mut self.nodes, node);
        self.by_age.push(&mut self.nodes, node);
        Some(node)
    }
}

impl<V> Cache<V> for Lru<V> {
    fn get(&mut self, key: Key) -> Option<&V> {
        let node = self.touch(key)?;
        Some(&self.nodes[node].value)
    }

    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)> {
        if let Some(node) = self.touch(key) {
            self.nodes[node].value = value;
            return None;
        }
        let mut node = self.nodes.len();
        let mut left = None;
        if node < self.capacity {
            self.nodes.push(Node::new(key, value));
        } else {
            node = self.by_age.first; // whoever leaves makes room in place
            self.by_age.unlink(&mut self.nodes, node);
            left = Some(self.nodes[node].replace(key, value));
        }
        self.by_age.push(&mut self.nodes, node);
        self.place.insert(key, node);
        if let Some((gone, _)) = &left {
            self.place.remove(gone);
        }
        left
    }
    // ANCHOR_END: lru
    fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl<V> Node<V> {
    fn new(key: Key, value: V) -> Node<V> {
        Node {
            key,
            value,
            uses: 1,
            before: NONE,
            after: NONE,
        }
    }

    fn replace(&mut self, key: Key, value: V) -> (Key, V) {
        let old = std::mem::replace(self, Node::new(key, value));
        (old.key, old.value)
    }
}

impl<V> Lru<V> {
    pub fn new(capacity: usize) -> Lru<V> {
        assert!(capacity > 0, "a cache needs room for one entry");
        Lru {
            capacity,
            place: HashMap::new(),
            nodes: Vec::new(),
            by_age: EMPTY,
        }
    }
}

// ANCHOR: lfu
/// Least frequently used; of equals, the one that was used longest ago.
/// A list for each number of uses, and the smallest number that has entries.
/// Whoever leaves is forgotten: it comes back with one use.
pub struct Lfu<V> {
    capacity: usize,
    place: HashMap<Key, usize>,
    nodes: Vec<Node<V>>,
    by_uses: HashMap<u64, List>,
    fewest: u64,
}

impl<V> Lfu<V> {
    fn touch(&mut self, key: Key) -> Option<usize> {
        let node = *self.place.get(&key)?;
        let uses = self.nodes[node].uses;
        self.unlink(node, uses);
        if self.fewest == uses && !self.by_uses.contains_key(&uses) {
            self.fewest += 1; // the entry itself has so many now
        }
        self.nodes[node].uses += 1;
        self.link(node, uses + 1);
        Some(node)
    }

    fn link(&mut self, node: usize, uses: u64) {
        let list = self.by_uses.entry(uses).or_insert(EMPTY);
        list.push(&mut self.nodes, node);
    }

    fn unlink(&mut self, node: usize, uses: u64) {
        let list = self.by_uses.entry(uses).or_insert(EMPTY);
        list.unlink(&mut self.nodes, node);
        if list.first == NONE {
            self.by_uses.remove(&uses);
        }
    }
}
// ANCHOR_END: lfu

impl<V> Cache<V> for Lfu<V> {
    fn get(&mut self, key: Key) -> Option<&V> {
        let node = self.touch(key)?;
        Some(&self.nodes[node].value)
    }

    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)> {
        if let Some(node) = self.touch(key) {
            self.nodes[node].value = value;
            return None;
        }
        let mut node = self.nodes.len();
        let mut left = None;
        if node < self.capacity {
            self.nodes.push(Node::new(key, value));
        } else {
            node = self.by_uses[&self.fewest].first;
            self.unlink(node, self.fewest);
            left = Some(self.nodes[node].replace(key, value));
        }
        self.fewest = 1; // the newcomer
        self.link(node, 1);
        self.place.insert(key, node);
        if let Some((gone, _)) = &left {
            self.place.remove(gone);
        }
        left
    }

    fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl<V> Lfu<V> {
    pub fn new(capacity: usize) -> Lfu<V> {
        assert!(capacity > 0, "a cache needs room for one entry");
        Lfu {
            capacity,
            place: HashMap::new(),
            nodes: Vec::new(),
            by_uses: HashMap::new(),
            fewest: 1,
        }
    }
}

// ANCHOR: clock
/// A hit sets a bit. The hand goes round: it clears bits and takes the first entry
/// without one. Newcomers have none.
pub struct Clock<V> {
    capacity: usize,
    place: HashMap<Key, usize>,
    slots: Vec<(Key, V, bool)>,
    hand: usize,
}

impl<V> Cache<V> for Clock<V> {
    fn get(&mut self, key: Key) -> Option<&V> {
        let (_, value, used) = &mut self.slots[*self.place.get(&key)?];
        *used = true;
        Some(value)
    }

    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)> {
        if let Some(slot) = self.place.get(&key) {
            self.slots[*slot] = (key, value, true);
            return None;
        }
        if self.slots.len() < self.capacity {
            self.place.insert(key, self.slots.len());
            self.slots.push((key, value, false));
            return None;
        }
        while std::mem::take(&mut self.slots[self.hand].2) {
            self.hand = (self.hand + 1) % self.capacity;
        }
        let slot = &mut self.slots[self.hand];
        let (gone, old, _) = std::mem::replace(slot, (key, value, false));
        self.place.remove(&gone);
        self.place.insert(key, self.hand);
        self.hand = (self.hand + 1) % self.capacity;
        Some((gone, old))
    }
    // ANCHOR_END: clock
    fn len(&self) -> usize {
        self.slots.len()
    }
}

impl<V> Clock<V> {
    pub fn new(capacity: usize) -> Clock<V> {
        assert!(capacity > 0, "a cache needs room for one entry");
        Clock {
            capacity,
            place: HashMap::new(),
            slots: Vec::new(),
            hand: 0,
        }
    }
}

// ANCHOR: s3fifo
/// Three queues. Newcomers wait in a small one, a tenth of the cache; who is used
/// more than once there moves to the main queue, the others leave. Their keys are
/// remembered: who comes back soon goes straight to the main queue, where each
/// use, up to three, buys another round.
pub struct S3Fifo<V> {
    capacity: usize,
    entries: HashMap<Key, (V, u8)>, // value, uses since it was queued
    small: VecDeque<Key>,           // oldest in front
    main: VecDeque<Key>,
    ghosts: Ghosts,
}

const USES_MAX: u8 = 3; // two bits

impl<V> S3Fifo<V> {
    fn touch(&mut self, key: Key) -> Option<&mut V> {
        let (value, uses) = self.entries.get_mut(&key)?;
        *uses = USES_MAX.min(*uses + 1);
        Some(value)
    }

    fn evict(&mut self) -> Option<(Key, V)> {
        loop {
            let from_small = self.small.len() >= (self.capacity / 10).max(1);
            let queue = if from_small {
                &mut self.small
            } else {
                &mut self.main
            };
            let key = queue.pop_front()?;
            let (_, uses) = self.entries.get_mut(&key)?;
            if from_small && *uses > 1 {
                *uses = 0;
            } else if !from_small && *uses > 0 {
                *uses -= 1;
            } else {
                if from_small {
                    self.ghosts.push(key);
                }
                let (value, _) = self.entries.remove(&key)?;
                return Some((key, value));
            }
            self.main.push_back(key);
        }
    }
}

impl<V> Cache<V> for S3Fifo<V> {
    fn get(&mut self, key: Key) -> Option<&V> {
        self.touch(key).map(|value| &*value)
    }

    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)> {
        if let Some(old) = self.touch(key) {
            *old = value;
            return None;
        }
        let full = self.entries.len() == self.capacity;
        let left = if full { self.evict() } else { None };
        match self.ghosts.take(key) {
            true => self.main.push_back(key),
            false => self.small.push_back(key),
        }
        self.entries.insert(key, (value, 0));
        left
    }
    // ANCHOR_END: s3fifo
    fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<V> S3Fifo<V> {
    pub fn new(capacity: usize) -> S3Fifo<V> {
        assert!(capacity > 0, "a cache needs room for one entry");
        S3Fifo {
            capacity,
            entries: HashMap::new(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: Ghosts {
                kept: (capacity - capacity / 10).max(1),
                departure: 0,
                last_seen: HashMap::new(),
                queue: VecDeque::new(),
            },
        }
    }
}

/// The keys of the last so many departures from the small queue, without values.
struct Ghosts {
    kept: usize,
    departure: u64,
    last_seen: HashMap<Key, u64>, // number of its departure
    queue: VecDeque<Key>,         // one for each departure
}

impl Ghosts {
    fn push(&mut self, key: Key) {
        self.departure += 1;
        self.last_seen.insert(key, self.departure);
        self.queue.push_back(key);
        if self.queue.len() > self.kept {
            let oldest = self.departure - self.kept as u64;
            if let Some(gone) = self.queue.pop_front() {
                // It may have come back and left again since.
                if self.last_seen.get(&gone) == Some(&oldest) {
                    self.last_seen.remove(&gone);
                }
            }
        }
    }

    fn take(&mut self, key: Key) -> bool {
        self.last_seen.remove(&key).is_some()
    }
}

/// Each of the five, by name, with room for `capacity` entries.
pub fn all<V: 'static>(capacity: usize) -> [(&'static str, Box<dyn Cache<V>>); 5] {
    [
        ("FIFO", Box::new(Fifo::new(capacity))),
        ("LRU", Box::new(Lru::new(capacity))),
        ("LFU", Box::new(Lfu::new(capacity))),
        ("CLOCK", Box::new(Clock::new(capacity))),
        ("S3-FIFO", Box::new(S3Fifo::new(capacity))),
    ]
}

// ANCHOR: belady
/// Bélády's rule: whoever is needed last has to leave, if need be the newcomer.
/// Nobody can follow it, since it reads the future. Nobody can do better.
pub fn best_possible(requests: &[Key], capacity: usize) -> usize {
    let mut next_use = vec![usize::MAX; requests.len()];
    let mut seen = HashMap::new();
    for (now, key) in requests.iter().enumerate().rev() {
        next_use[now] = seen.insert(*key, now).unwrap_or(usize::MAX);
    }
    let (mut cached, mut hits) = (BTreeSet::new(), 0); // (next use, key)
    for (now, key) in requests.iter().enumerate() {
        hits += usize::from(cached.remove(&(now, *key)));
        cached.insert((next_use[now], *key));
        if cached.len() > capacity {
            cached.pop_last();
        }
    }
    hits
}
// ANCHOR_END: belady
