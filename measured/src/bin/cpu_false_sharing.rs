//! Two threads, two counters, nothing in common but a cache line.
//!
//! A core writes to a line only while no other core has a copy of it. Two counters on one
//! line make two cores take the line from each other, although neither reads the other's
//! counter: false sharing. Padding gives each counter lines of its own.
//!
//! Look at the order of the rows. The last is a better cure than padding: do not share while
//! you work. Each thread counts in a variable of its own, and adds it up now and then.
//!
//! What is simplified: two threads; with more, the line goes around more of them. What counts
//! are the batches of one thread during which the other made between a quarter and four times
//! its progress: on a busy machine the two often run one after the other, and then they do not
//! disturb each other. If too few such batches come, as on one core, the program says so.

use anyhow::Result;
use recorded::{RUSTC, measured_on};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const BATCH: u64 = 5_000;
const BATCHES_MAX: usize = if cfg!(debug_assertions) { 500 } else { 60_000 };
/// So many in which both worked are enough.
const BATCHES_TIMED: usize = 500;
/// The other's progress in a batch: with less it was waiting for a core, and with more we were.
const AT_THE_SAME_TIME: std::ops::RangeInclusive<u64> = BATCH / 4..=BATCH * 4;

// ANCHOR: layouts
/// Two counters side by side: bytes 0 to 15 of one line.
#[derive(Default)]
#[repr(align(128))]
struct Neighbours(AtomicU64, AtomicU64);

/// A counter that has 128 bytes to itself: two lines of 64 bytes, or one of 128.
#[derive(Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

fn count(counter: &AtomicU64) {
    for _ in 0..BATCH {
        counter.fetch_add(1, Relaxed);
    }
}
// ANCHOR_END: layouts

/// The same number, in a variable of its own until the end.
fn count_then_add(counter: &AtomicU64) {
    let mut own = 0;
    for _ in 0..BATCH {
        own = black_box(own + 1);
    }
    counter.fetch_add(own, Relaxed);
}

type Work = fn(&AtomicU64);

/// The median time of a batch on `mine` while another thread works on `others`, and whether
/// both worked in enough of them.
fn together(work: Work, mine: &AtomicU64, others: &AtomicU64) -> (Duration, bool) {
    let is_over = AtomicBool::new(false);
    let is_same = std::ptr::eq(mine, others);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                work(others);
            }
        });
        let (mut all, mut both) = (Vec::new(), Vec::new());
        while both.len() < BATCHES_TIMED && all.len() < BATCHES_MAX {
            let before = others.load(Relaxed);
            let time = timed(work, mine);
            let own = if is_same { BATCH } else { 0 };
            let progress = others.load(Relaxed) - before - own;
            all.push(time);
            if AT_THE_SAME_TIME.contains(&progress) {
                both.push(time);
            }
        }
        is_over.store(true, Relaxed);
        let is_enough = both.len() == BATCHES_TIMED;
        (median(if is_enough { both } else { all }), is_enough)
    })
}

fn alone(work: Work, mine: &AtomicU64) -> (Duration, bool) {
    (median((0..BATCHES_TIMED).map(|_| timed(work, mine)).collect()), true)
}

fn timed(work: Work, counter: &AtomicU64) -> Duration {
    let start = Instant::now();
    work(counter);
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() -> Result<()> {
    println!("{}", measured_on(&[RUSTC])?);
    let near = Neighbours::default();
    let far = [Padded::default(), Padded::default()];
    let rows = [
        ("one thread", alone(count, &near.0)),
        ("two, a line each", together(count, &far[0].0, &far[1].0)),
        ("two, on one line", together(count, &near.0, &near.1)),
        ("two, one counter", together(count, &near.0, &near.0)),
        ("two, add up later", together(count_then_add, &near.0, &near.1)),
    ];
    println!("who counts         an increment  beside a line each");
    let padded = rows[1].1.0.as_secs_f64();
    for (name, (time, is_enough)) in rows {
        let ns = time.as_nanos() as f64 / BATCH as f64;
        let ratio = time.as_secs_f64() / padded;
        println!("{name:<17}  {ns:>9.2} ns  {ratio:>17.2}x");
        // Not a part of what is recorded: it depends on what else the machine does.
        if !is_enough {
            eprintln!(
                "{name}: the threads mostly ran in turns; do not trust this row"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    /// Which line of this many bytes the counter lies on.
    fn line(counter: &AtomicU64, line_bytes: usize) -> usize {
        std::ptr::from_ref(counter) as usize / line_bytes
    }

    #[test]
    fn neighbours_share_a_line_and_padded_counters_do_not() {
        for _ in 0..100 {
            let near = Box::new(Neighbours::default());
            let far = Box::new([Padded::default(), Padded::default()]);
            for line_bytes in [64, 128] {
                assert_eq!(line(&near.0, line_bytes), line(&near.1, line_bytes));
                assert_ne!(line(&far[0].0, line_bytes), line(&far[1].0, line_bytes));
            }
        }
        assert_eq!((size_of::<Neighbours>(), size_of::<Padded>()), (128, 128));
    }

    #[test]
    fn no_increment_is_lost_on_a_shared_line_or_counter() {
        const BATCHES: u64 = 1_000; // long enough to be interrupted on one core
        let near = Neighbours::default();
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for counter in [&near.0, &near.1, &near.1] {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    (0..BATCHES).for_each(|_| count(counter));
                });
            }
        });
        assert_eq!(near.0.load(Relaxed), BATCHES * BATCH);
        assert_eq!(near.1.load(Relaxed), 2 * BATCHES * BATCH);
    }
}
