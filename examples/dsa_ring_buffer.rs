//! A ring buffer is a queue that cannot grow. Somebody must be told no: the sender,
//! whose message is refused, or the reader, whose oldest one is overwritten.
//!
//! A sender sends two messages a tick for 500 ticks, and the reader reads one.
//! Look at `longest wait`: the queue without a bound loses nothing, and delivers
//! news of 500 ticks ago. The rings bound the wait by losing some, and say how
//! many. Then at the ring that has only two positions and takes full for empty.
//!
//! Simplified: one thread. Rings between threads order their two counters with
//! atomics, and nothing else changes.

use std::collections::VecDeque;

// ANCHOR: ring
/// Item number i lies in slot i modulo the capacity. The two counters only grow,
/// so full (they differ by the capacity) and empty (they are equal) differ.
struct Ring<T> {
    slots: Vec<Option<T>>,
    read: u64,    // number of the next item to read
    written: u64, // number of the next item to write
}

#[derive(Debug, PartialEq)]
struct Full<T>(T); // the sender gets its message back

impl<T> Ring<T> {
    fn new(capacity: usize) -> Self {
        let slots = (0..capacity.max(1)).map(|_| None).collect();
        Self {
            slots,
            read: 0,
            written: 0,
        }
    }

    fn len(&self) -> usize {
        (self.written - self.read) as usize
    }

    fn slot(&mut self, number: u64) -> &mut Option<T> {
        let capacity = self.slots.len() as u64;
        &mut self.slots[(number % capacity) as usize]
    }

    /// Refuses when it is full.
    fn push(&mut self, item: T) -> Result<(), Full<T>> {
        if self.len() == self.slots.len() {
            return Err(Full(item));
        }
        *self.slot(self.written) = Some(item);
        self.written += 1;
        Ok(())
    }

    /// Overwrites the oldest when it is full, and hands it back.
    fn push_over(&mut self, item: T) -> Option<T> {
        let full = self.len() == self.slots.len();
        let oldest = if full { self.pop() } else { None };
        *self.slot(self.written) = Some(item);
        self.written += 1;
        oldest
    }

    fn pop(&mut self) -> Option<T> {
        let item = self.slot(self.read).take()?;
        self.read += 1;
        Some(item)
    }
}
// ANCHOR_END: ring

// ANCHOR: wrong
/// Two positions that wrap: after as many pushes as it has slots they are equal
/// again, as when it was empty.
struct TwoPositions {
    slots: [u32; 4],
    read: usize,
    write: usize,
}

impl TwoPositions {
    fn push(&mut self, item: u32) {
        self.slots[self.write] = item;
        self.write = (self.write + 1) % self.slots.len();
    }

    fn pop(&mut self) -> Option<u32> {
        if self.read == self.write {
            return None; // empty. Or full.
        }
        let item = self.slots[self.read];
        self.read = (self.read + 1) % self.slots.len();
        Some(item)
    }
}
// ANCHOR_END: wrong

const CAPACITY: usize = 64;
const BURST_TICKS: u64 = 500;

#[derive(Clone, Copy, PartialEq)]
enum WhenFull {
    Grow,
    Refuse,
    Overwrite,
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    delivered: u64,
    lost: u64,
    longest_queue: usize,
    longest_wait: u64, // ticks
    waits: u64,        // their sum
}

/// A message is the tick in which it was sent.
fn burst(when_full: WhenFull) -> Outcome {
    let (mut grows, mut ring) = (VecDeque::new(), Ring::new(CAPACITY));
    let mut outcome = Outcome::default();
    for tick in 0..3 * BURST_TICKS {
        for _ in 0..if tick < BURST_TICKS { 2 } else { 0 } {
            outcome.lost += match when_full {
                WhenFull::Grow => (grows.push_back(tick), 0).1,
                WhenFull::Refuse => u64::from(ring.push(tick).is_err()),
                WhenFull::Overwrite => u64::from(ring.push_over(tick).is_some()),
            };
        }
        let queue = grows.len() + ring.len();
        outcome.longest_queue = outcome.longest_queue.max(queue);
        if let Some(sent) = grows.pop_front().or_else(|| ring.pop()) {
            outcome.delivered += 1;
            outcome.longest_wait = outcome.longest_wait.max(tick - sent);
            outcome.waits += tick - sent;
        }
    }
    outcome
}

fn main() {
    println!("1,000 messages in 500 ticks, one read a tick\n");
    println!("when full   delivered   lost   longest    wait: mean   longest");
    println!("                                 queue         ticks     ticks");
    for (name, when_full) in [
        ("grow", WhenFull::Grow),
        ("refuse", WhenFull::Refuse),
        ("overwrite", WhenFull::Overwrite),
    ] {
        let outcome = burst(when_full);
        print!("{name:<12} {:>8} {:>6}", outcome.delivered, outcome.lost);
        print!(" {:>9}", outcome.longest_queue);
        println!(
            " {:>13} {:>9}",
            outcome.waits / outcome.delivered,
            outcome.longest_wait
        );
    }
    let (mut wrong, mut ring) = (
        TwoPositions {
            slots: [0; 4],
            read: 0,
            write: 0,
        },
        Ring::new(4),
    );
    for item in 1..=4 {
        wrong.push(item);
        if let Err(Full(item)) = ring.push(item) {
            println!("refused: {item}");
        }
    }
    println!("\nfour pushed into four slots, then one popped");
    println!("  two positions        {:?}", wrong.pop());
    println!("  counters that grow   {:?}", ring.pop());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_queue_with_a_bound_as_a_deque_is_one_without() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let capacity = rng.usize(1..9);
            let (mut ring, mut model) = (Ring::new(capacity), VecDeque::new());
            for item in 0..200 {
                match rng.u8(..3) {
                    0 if model.len() == capacity => {
                        assert_eq!(ring.push(item), Err(Full(item)));
                    }
                    0 => {
                        assert_eq!(ring.push(item), Ok(()));
                        model.push_back(item);
                    }
                    1 => {
                        let full = model.len() == capacity;
                        let oldest = if full { model.pop_front() } else { None };
                        assert_eq!(ring.push_over(item), oldest);
                        model.push_back(item);
                    }
                    _ => assert_eq!(ring.pop(), model.pop_front()),
                }
                assert_eq!(ring.len(), model.len(), "{seed}");
            }
        }
    }

    #[test]
    fn a_bound_limits_the_wait_and_every_message_is_delivered_or_counted() {
        for when_full in [WhenFull::Grow, WhenFull::Refuse, WhenFull::Overwrite] {
            let outcome = burst(when_full);
            assert_eq!(outcome.delivered + outcome.lost, 2 * BURST_TICKS);
            let bounded = when_full != WhenFull::Grow;
            assert_eq!(outcome.longest_queue <= CAPACITY, bounded);
            assert_eq!(outcome.longest_wait <= CAPACITY as u64, bounded);
            assert_eq!(outcome.lost > 0, bounded);
        }
        let wait = |when_full| burst(when_full).waits;
        assert!(
            wait(WhenFull::Overwrite) < wait(WhenFull::Refuse),
            "fresher"
        );
    }

    #[test]
    fn overwriting_keeps_the_newest_and_refusing_the_oldest() {
        let (mut refuses, mut overwrites) = (Ring::new(3), Ring::new(3));
        for item in 1..=5 {
            let _ = refuses.push(item);
            overwrites.push_over(item);
        }
        let all = |mut ring: Ring<i32>| -> Vec<i32> {
            std::iter::from_fn(|| ring.pop()).collect()
        };
        assert_eq!(
            (all(refuses), all(overwrites)),
            (vec![1, 2, 3], vec![3, 4, 5])
        );
    }

    #[test]
    fn two_positions_alone_take_full_for_empty() {
        let mut wrong = TwoPositions {
            slots: [0; 4],
            read: 0,
            write: 0,
        };
        (1..=4).for_each(|item| wrong.push(item));
        assert_eq!(wrong.pop(), None);
    }
}
