//! The chapter's law fitted to threads that this machine runs.
//!
//! Each thread repeats a request: wait for something far away (a sleep), take a
//! lock, and inside it tell every other thread, one by one, what it changed
//! (a sleep again, so that two cores are enough for many threads). Look at
//! `fitted`: the peak, beside the number of threads that did most.
//!
//! What is simplified: a sleep stands for a network. It lasts a little longer than
//! asked for, by about the same for each thread.

use anyhow::Result;
use measured::scalability::Law;
use recorded::{RUSTC, measured_on};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const ALONE: Duration = Duration::from_millis(16);
const SHARED: Duration = Duration::from_micros(400);
const TELL: Duration = Duration::from_micros(60);
const THREADS: [u32; 7] = [1, 2, 4, 8, 12, 16, 24];
const RUN: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 1_500 });

// ANCHOR: run
/// Requests a second of `threads` threads.
fn throughput(threads: u32) -> f64 {
    let (lock, done) = (Mutex::new(()), AtomicU64::new(0));
    let (start, stop) = (Barrier::new(threads as usize + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(ALONE);
                    let turn = lock.lock();
                    thread::sleep(SHARED + TELL * (threads - 1));
                    drop(turn);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        start.wait();
        let began = Instant::now();
        thread::sleep(RUN);
        let rate =
            done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        rate
    })
}
// ANCHOR_END: run

fn main() -> Result<()> {
    println!("{}", measured_on(&[RUSTC])?);
    let rates = THREADS.map(throughput);
    let points: Vec<(f64, f64)> = THREADS
        .iter()
        .zip(rates)
        .map(|(n, rate)| (f64::from(*n), rate / rates[0]))
        .collect();
    let law = Law::fit(&points);
    println!("threads  measured  fitted");
    for (n, capacity) in &points {
        println!("{n:>7}  {capacity:>7.2}x  {:>5.2}x", law.capacity(*n));
    }
    match law.peak() {
        Some(peak) => println!("the fitted law has its peak at ~{peak:.0} threads"),
        None => println!("the fitted law has no peak"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_threads_do_more_than_one() {
        // Sleeping, not computing: this holds on one core, too.
        assert!(throughput(4) > throughput(1));
    }

    #[test]
    fn many_threads_that_tell_each_other_do_less_than_a_few() {
        // Their turns last 4.2 ms each; eight threads are done with one in 0.8 ms.
        assert!(throughput(64) < throughput(8));
    }
}
