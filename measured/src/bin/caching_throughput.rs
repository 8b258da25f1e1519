//! The chapter's LRU beside the crates `lru` and `moka`: how many requests each answers
//! in the same time, as a multiple of what the chapter's does alone in one thread.
//!
//! Look at the second row and the third: most of what sets the crate apart from ours is
//! its hash function. Then at the second thread: behind one lock it mostly takes away.
//! Then at `moka`, which takes eight to twenty times as long, though nothing is amiss
//! with its settings: with room from the start (`initial_capacity`), with its LRU policy
//! or when it is full already it is no faster. In a profile no single part stands out:
//! housekeeping, which sorts in what uses and inserts left in channels; a table that
//! many threads may change, and that is copied now and then to be rid of removed keys;
//! hashing; the clock, for an expiry that nobody asked for.
//!
//! Not compared: `moka` keeps TinyLFU, not LRU, so its hits are others; it evicts in
//! batches and may hold more than its capacity for a moment. It expires, weighs,
//! notifies and loads a missing value once for all who wait; nothing here asks for
//! that. Values are eight bytes and cost nothing to load; two cores are too few to show
//! what `moka` is made for.

use anyhow::Result;
use measured::caching::{
    CAPACITY, CRATES, REQUESTS, hits_alone, hits_of_two, lru, lru_std_hash, moka,
    ours, requests,
};
use measured::fastest;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Mutex;

/// Unoptimised, the ratios mean nothing: one round shows that the program works.
const ROUNDS: u32 = if cfg!(debug_assertions) { 1 } else { 15 };
const SEED: u64 = 1;

fn run() -> Result<()> {
    println!("{}", recorded::measured_on(&[recorded::RUSTC])?);
    let crates = CRATES.map(|(name, version)| format!("{name} {version}"));
    println!("measured on: {}\n", crates.join(", "));
    let trace = &requests(SEED)[..];

    let (mut a, mut b, mut c, mut d) = (0, 0, 0, 0);
    let two = |hits: usize| _ = black_box(hits);
    let [a1, b1, c1, d1, a2, b2, c2, d2] = fastest(
        ROUNDS,
        [
            &mut || a = hits_alone(ours(), trace),
            &mut || b = hits_alone(lru(), trace),
            &mut || c = hits_alone(lru_std_hash(), trace),
            &mut || d = hits_alone(moka(), trace),
            &mut || two(hits_of_two(&Mutex::new(ours()), trace)),
            &mut || two(hits_of_two(&Mutex::new(lru()), trace)),
            &mut || two(hits_of_two(&Mutex::new(lru_std_hash()), trace)),
            &mut || two(hits_of_two(&moka(), trace)),
        ],
    );

    println!("{REQUESTS} requests by Zipf's law, {CAPACITY} entries\n");
    println!(
        "{:<26}{:>7}{:>13}{:>14}",
        "requests in the same time", "hits", "one thread", "two threads"
    );
    let percent = |hits: usize| 100.0 * hits as f64 / REQUESTS as f64;
    let exact = |hits| format!("{:.1}", percent(hits));
    let row =
        |name, hits: String, one: std::time::Duration, two: std::time::Duration| {
            let [one, two] =
                [one, two].map(|time| a1.as_secs_f64() / time.as_secs_f64());
            println!("{name:<26}{hits:>5} %{one:>12.2}x{two:>13.2}x");
        };
    row("the chapter's LRU", exact(a), a1, a2);
    row("lru", exact(b), b1, b2);
    row("lru, with our hashing", exact(c), c1, c2);
    row("moka", format!("~{}", exact(d)), d1, d2);
    println!("\nThe first three share a lock when there are two threads.");
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
