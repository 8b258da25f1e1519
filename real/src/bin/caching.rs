//! The chapter's requests on Redis, which looks at some keys and evicts the best of
//! them, beside the chapter's exact LRU and LFU with as many entries.
//!
//! Look along each row: with 1 sample Redis is as good as chance, with 5 it is near
//! the exact policy. Where exact LRU never hits, in the loop, chance is better, and
//! Redis's errors help it. Then at `at once`: sent within about a second, the same
//! requests leave no trace in a clock of whole seconds. `allkeys-lfu` counts uses and
//! its clock is one of minutes, so that all of its runs are sent at once.
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
const SPREAD: Duration = Duration::from_secs(16); // on Redis, whose clock ticks each second
const AT_ONCE: Duration = Duration::ZERO;
const SAMPLES: [usize; 3] = [1, 5, 10];
/// Servers at the same time. The runs that are spread wait most of it; the others
/// share two cores.
const SERVERS_SPREAD: usize = 12;
const SERVERS_AT_ONCE: usize = 2;

/// Each trace with each number of samples.
fn sampled(traces: &[Trace], policy: Policy, time: Duration) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    for Trace { requests, .. } in traces {
        runs.extend(SAMPLES.map(|samples| Run { requests, policy, samples, time }));
    }
    runs
}

/// Each trace once.
fn at_once(traces: &[Trace], policy: Policy) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    for Trace { requests, .. } in traces {
        runs.push(Run { requests, policy, samples: 10, time: AT_ONCE });
    }
    runs
}

fn head(policy: &str, exact: &str, last: &str) {
    let samples = SAMPLES.map(|samples| format!("{samples:>8}")).concat();
    println!("{policy:<15}{exact:>9}   {samples}{last:>15}");
}

fn row(trace: &Trace, exact: &Outcome, sampled: &[Outcome], last: &Outcome) {
    let inexact = |outcome: &Outcome| format!("~{:.1}", outcome.hit_percent);
    let sampled: String =
        sampled.iter().map(|outcome| format!("{:>8}", inexact(outcome))).collect();
    let (name, exact) = (trace.name, exact.hit_percent);
    println!("{name:<15}{exact:>9.1}   {sampled}{:>15}", inexact(last));
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[REDIS])?);
    let traces = requests(SEED);
    let lru = play_all(&sampled(&traces, Policy::Lru, SPREAD), SERVERS_SPREAD)?;
    let hasty = play_all(&at_once(&traces, Policy::Lru), 1)?;
    let lfu = play_all(&sampled(&traces, Policy::Lfu, AT_ONCE), SERVERS_AT_ONCE)?;
    let random = play_all(&at_once(&traces, Policy::Random), SERVERS_AT_ONCE)?;

    println!("hits in %: {REQUESTS} requests, {CAPACITY} entries\n");
    println!("{:28}maxmemory-samples", format!("sent over {} s", SPREAD.as_secs()));
    head("allkeys-lru", "exact LRU", "10, at once");
    let rows = traces.iter().zip(lru.chunks(SAMPLES.len()));
    for ((trace, sampled), last) in rows.zip(&hasty) {
        row(trace, &exact(&mut Lru::new(CAPACITY), &trace.requests), sampled, last);
    }
    println!("\n{:28}maxmemory-samples", "sent at once");
    head("allkeys-lfu", "exact LFU", "random");
    let rows = traces.iter().zip(lfu.chunks(SAMPLES.len()));
    for ((trace, sampled), last) in rows.zip(&random) {
        row(trace, &exact(&mut Lfu::new(CAPACITY), &trace.requests), sampled, last);
    }
    let full = [lru, hasty, lfu, random];
    let full = full.iter().flatten().flat_map(|run| &run.entries);
    let (fewest, most) = full.fold((usize::MAX, 0), |(fewest, most), entries| {
        (fewest.min(*entries), most.max(*entries))
    });
    println!("\nentries in Redis once it was full: ~{fewest} to ~{most}");
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}
