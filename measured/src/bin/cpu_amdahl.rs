//! Amdahl's law beside threads that do the work.
//!
//! A job is a number of equal units. Some must be done by one thread before the others can
//! begin (the serial part); the rest is divided among the threads. The formula knows the two
//! parts and the number of threads; the clock knows the machine as well.
//!
//! Look at how far the measured column follows the formula: as far as there are cores.
//! What is simplified: the units share nothing, so no thread ever waits for another's data.
//! Work that shares something is slower than the formula.

use anyhow::Result;
use measured::fastest;
use recorded::{RUSTC, measured_on};
use std::hint::black_box;
use std::thread;
use std::time::Duration;

const UNITS: u64 = 200;
const STEPS_PER_UNIT: u64 = 5_000;
const ROUNDS: u32 = if cfg!(debug_assertions) { 2 } else { 600 };
const THREADS: [u64; 3] = [1, 2, 4];

/// One unit of work: a chain of steps, each of which needs the one before.
fn unit(number: u64) -> u64 {
    (0..STEPS_PER_UNIT).fold(black_box(number), |value, step| {
        (value ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
    })
}

fn units(range: std::ops::Range<u64>) -> u64 {
    range.map(unit).fold(0, u64::wrapping_add)
}

// ANCHOR: job
/// The serial units on this thread, then the others on `threads` threads.
fn job(serial_units: u64, threads: u64) -> u64 {
    let serial = units(0..serial_units);
    let rest = UNITS - serial_units;
    let share = |i: u64| serial_units + rest * i / threads;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|i| scope.spawn(move || units(share(i)..share(i + 1))))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .fold(serial, u64::wrapping_add)
    })
}

/// Amdahl's law: how many times faster `threads` threads are.
fn speed_up(serial_share: f64, threads: f64) -> f64 {
    1.0 / (serial_share + (1.0 - serial_share) / threads)
}
// ANCHOR_END: job

fn main() -> Result<()> {
    println!("{}", measured_on(&[RUSTC])?);
    println!("serial part  threads   formula  measured");
    for serial_percent in [0, 10, 50] {
        let serial_units = UNITS * serial_percent / 100;
        let run = |threads| move || assert_ne!(job(serial_units, threads), 0);
        let [mut one, mut two, mut four] = THREADS.map(run);
        let times = fastest(ROUNDS, [&mut one, &mut two, &mut four]);
        for (threads, time) in THREADS.into_iter().zip(times) {
            let serial_share = serial_units as f64 / UNITS as f64;
            let formula = speed_up(serial_share, threads as f64);
            let measured = ratio(times[0], time);
            println!(
                "{serial_percent:>9} %  {threads:>7}  {formula:>7.2}x  {measured:>7.2}x"
            );
        }
    }
    Ok(())
}

fn ratio(longer: Duration, shorter: Duration) -> f64 {
    longer.as_secs_f64() / shorter.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_does_not_depend_on_the_number_of_threads() {
        for serial_units in [0, 7, UNITS] {
            let each_once = units(0..UNITS);
            assert!((1..9).all(|threads| job(serial_units, threads) == each_once));
        }
    }

    #[test]
    fn the_serial_part_bounds_the_speed_up() {
        assert_eq!(speed_up(0.0, 64.0), 64.0);
        assert_eq!(speed_up(1.0, 64.0), 1.0);
        for threads in [2.0, 64.0, 1e9] {
            assert!(speed_up(0.1, threads) < 10.0);
        }
    }
}
