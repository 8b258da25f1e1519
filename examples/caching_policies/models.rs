//! The same five policies, slow and obvious: lists that are searched from end to
//! end. The tests compare each step of the fast ones with these.

use super::policies::{Cache, Key};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Fifo,
    Lru,
    Lfu,
    Clock,
    S3Fifo,
}

struct Entry<V> {
    key: Key,
    value: V,
    entered: u64, // time of the step
    used: u64,
    uses: u64,
    marks: u64, // CLOCK: a bit. S3-FIFO: uses, at most three
    main: bool, // S3-FIFO: in the main queue
}

pub struct Model<V> {
    rule: Rule,
    capacity: usize,
    now: u64,
    entries: Vec<Entry<V>>, // in order of entering a queue
    departures: Vec<Option<Key>>, // S3-FIFO: all of them; none if it came back
}

impl<V> Model<V> {
    pub fn new(rule: Rule, capacity: usize) -> Model<V> {
        Model {
            rule,
            capacity,
            now: 0,
            entries: Vec::new(),
            departures: Vec::new(),
        }
    }

    fn find(&mut self, key: Key) -> Option<&mut Entry<V>> {
        let marks_max = if self.rule == Rule::S3Fifo { 3 } else { 1 };
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        self.now += 1;
        entry.used = self.now;
        entry.uses += 1;
        entry.marks = marks_max.min(entry.marks + 1);
        Some(entry)
    }

    fn least(&self, what: fn(&Entry<V>) -> (u64, u64)) -> usize {
        let all = (0..self.entries.len()).min_by_key(|i| what(&self.entries[*i]));
        all.expect("a full cache")
    }

    fn victim(&mut self) -> usize {
        match self.rule {
            Rule::Fifo => self.least(|entry| (entry.entered, 0)),
            Rule::Lru => self.least(|entry| (entry.used, 0)),
            Rule::Lfu => self.least(|entry| (entry.uses, entry.used)),
            Rule::Clock => loop {
                if self.entries[0].marks == 0 {
                    return 0;
                }
                let mut front = self.entries.remove(0);
                front.marks = 0;
                self.entries.push(front);
            },
            Rule::S3Fifo => loop {
                let small = self.entries.iter().filter(|entry| !entry.main).count();
                let in_main = 10 * small + 9 < self.capacity || small == 0;
                let mut queue = self.entries.iter();
                let oldest = queue.position(|entry| entry.main == in_main);
                let oldest = oldest.expect("one of the queues is not empty");
                let marks = self.entries[oldest].marks;
                if (in_main && marks == 0) || (!in_main && marks < 2) {
                    return oldest;
                }
                let mut entry = self.entries.remove(oldest);
                entry.marks = if in_main { marks - 1 } else { 0 };
                entry.main = true;
                self.entries.push(entry);
            },
        }
    }
}

impl<V> Cache<V> for Model<V> {
    fn get(&mut self, key: Key) -> Option<&V> {
        self.find(key).map(|entry| &entry.value)
    }

    fn put(&mut self, key: Key, value: V) -> Option<(Key, V)> {
        if let Some(entry) = self.find(key) {
            entry.value = value;
            return None;
        }
        let mut left = None;
        if self.entries.len() == self.capacity {
            let victim = self.victim();
            let victim = self.entries.remove(victim);
            if !victim.main {
                self.departures.push(Some(victim.key));
            }
            left = Some((victim.key, victim.value));
        }
        let kept = (self.capacity - self.capacity / 10).max(1);
        let last = self.departures.len().saturating_sub(kept);
        let main = self.departures[last..].contains(&Some(key));
        for departure in &mut self.departures {
            *departure = departure.filter(|gone| *gone != key);
        }
        self.now += 1;
        self.entries.push(Entry {
            key,
            value,
            entered: self.now,
            used: self.now,
            uses: 1,
            marks: 0,
            main,
        });
        left
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}
