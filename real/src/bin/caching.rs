//! The chapter's requests on Redis, which looks at some keys and evicts the best of
//! them, beside the chapter's exact LRU and LFU with as many entries.
//!
//! Look along each row: with 1 sample Redis is as good as chance, with 10 it is near
//! the exact policy. Where exact LRU never hits, in the loop, chance is better, and
//! Redis's errors help it. Then at `at once`: sent within about a second, the same
//! requests leave no trace in a clock of whole seconds.
//!
//! Simplified: one client, values of one size, no expiry. What stands behind `~`
//! varies from run to run.

use anyhow::Result;
use real::caching::policies::{Lfu, Lru};
use real::caching::{exact, play_all, requests, Outcome, Policy, Run};
use real::caching::{traces::Trace, CAPACITY, REQUESTS};
use real::machine;
use real::program::REDIS;
use std::process::ExitCode;
use std::time::Duration;

const SEED: u64 = 1;
const SPREAD: Duration = Duration::from_secs(20); // on Redis, whose clock ticks each second
const AT_ONCE: Duration = Duration::ZERO;
const SAMPLES: [usize; 4] = [1, 3, 5, 10];

/// A policy with each number of samples, spread; then one run at once.
fn spread<'a>(trace: &'a Trace, policy: Policy) -> impl Iterator<Item = Run<'a>> {
    let requests = &trace.requests;
    let run = move |samples| Run { requests, policy, samples, time: SPREAD };
    SAMPLES.into_iter().map(run)
}

fn at_once(trace: &Trace, policy: Policy) -> Result<Outcome> {
    let requests = &trace.requests;
    Run { requests, policy, samples: 10, time: AT_ONCE }.play()
}

fn head(policy: &str, exact: &str, last: &str) {
    let samples = SAMPLES.map(|samples| format!("{samples:>7}")).concat();
    println!("{policy:<15}{exact:>9}   {samples}{last:>15}");
}

fn row(trace: &Trace, exact: &Outcome, spread: &[Outcome], last: &Outcome) {
    let inexact = |outcome: &Outcome| format!("~{:.1}", outcome.hit_percent);
    let spread: String =
        spread.iter().map(|outcome| format!("{:>7}", inexact(outcome))).collect();
    let (name, exact) = (trace.name, exact.hit_percent);
    println!("{name:<15}{exact:>9.1}   {spread}{:>15}", inexact(last));
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[REDIS])?);
    println!(
        "hits in %: {REQUESTS} requests, {CAPACITY} entries, {} s",
        SPREAD.as_secs()
    );
    let traces = requests(SEED);
    let runs: Vec<Run> = [Policy::Lru, Policy::Lfu]
        .into_iter()
        .flat_map(|policy| traces.iter().flat_map(move |t| spread(t, policy)))
        .collect();
    let outcomes = play_all(&runs)?;
    let (lru, lfu) = outcomes.split_at(outcomes.len() / 2);

    println!("{:27}maxmemory-samples", "");
    head("allkeys-lru", "exact LRU", "10, at once");
    for (trace, spread) in traces.iter().zip(lru.chunks(SAMPLES.len())) {
        let exact = exact(&mut Lru::new(CAPACITY), &trace.requests);
        row(trace, &exact, spread, &at_once(trace, Policy::Lru)?);
    }
    println!();
    head("allkeys-lfu", "exact LFU", "random");
    for (trace, spread) in traces.iter().zip(lfu.chunks(SAMPLES.len())) {
        let exact = exact(&mut Lfu::new(CAPACITY), &trace.requests);
        row(trace, &exact, spread, &at_once(trace, Policy::Random)?);
    }
    let full = outcomes.iter().flat_map(|run| &run.entries);
    let (fewest, most) = full.fold((usize::MAX, 0), |(fewest, most), entries| {
        (fewest.min(*entries), most.max(*entries))
    });
    println!("\nentries in Redis once it was full: ~{fewest} to ~{most}");
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}
