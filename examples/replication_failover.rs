//! Kill the primary 500 times, promote a replica, count what is gone.
//!
//! A write is *lost* if the client heard "ok" and the promoted replica does not
//! have it. Look at who is promoted: "1 of 2" loses nothing if it is the replica
//! that has more, and loses in many runs if it is the other. Then look at what
//! each rule costs in waiting, and at the last column: the client heard nothing,
//! and the write is there.
//!
//! Simplified: the primary dies for good and takes with it what is on the wire;
//! the replicas live and can be asked; clients do not wait for each other.

use fastrand::Rng;

const RUNS: u64 = 500;
const REPLICAS: usize = 2;
const GAP_MS: f64 = 3.0; // mean time between two writes
const ONE_WAY_MS: f64 = 1.0; // at least, plus a random part of the same mean
const STALL_ONE_IN: u32 = 100; // records; then the link stands still for
const STALL_MS: f64 = 60.0;
const PATIENCE_MS: f64 = 20.0; // of the rule that gives up waiting
const DIES_AFTER_MS: std::ops::Range<f64> = 200.0..400.0;

/// One write: when it was made, when each replica stored it, when the primary
/// heard of that.
struct Write {
    made_ms: f64,
    stored_ms: [f64; REPLICAS],
    heard_ms: [f64; REPLICAS],
}

#[derive(Clone, Copy)]
enum Promote {
    TheOneWithMore,
    TheOneWithLess, // the nearest, or the first in a list: it can be this one
}
use Promote::{TheOneWithLess, TheOneWithMore};

// ANCHOR: rules
#[derive(Clone, Copy)]
struct Rule {
    wait_for: usize, // replicas that must have stored the write
    patience_ms: f64,
}

impl Rule {
    fn answered_ms(self, write: &Write) -> f64 {
        let mut heard_ms = write.heard_ms;
        heard_ms.sort_unstable_by(f64::total_cmp);
        let confirmed_ms = match self.wait_for {
            0 => write.made_ms,
            k => heard_ms[k - 1],
        };
        confirmed_ms.min(write.made_ms + self.patience_ms)
    }
}

impl Promote {
    /// How many writes the new primary has; logs have no gaps.
    fn kept(self, writes: &[Write], dies_ms: f64) -> usize {
        let have = [0, 1].map(|r| {
            let stored = |w: &&Write| w.stored_ms[r] <= dies_ms;
            writes.iter().take_while(stored).count()
        });
        match self {
            TheOneWithMore => have[0].max(have[1]),
            TheOneWithLess => have[0].min(have[1]),
        }
    }
}
// ANCHOR_END: rules

/// All writes of one run up to the primary's death.
struct Run {
    writes: Vec<Write>,
    dies_ms: f64,
}

fn run(rng: &mut Rng) -> Run {
    let span_ms = DIES_AFTER_MS.end - DIES_AFTER_MS.start;
    let dies_ms = DIES_AFTER_MS.start + rng.f64() * span_ms;
    let random = |rng: &mut Rng, mean: f64| -mean * (1.0 - rng.f64()).ln();
    let (mut now_ms, mut last_ms) = (0.0, [[0.0_f64; 2]; REPLICAS]);
    let mut writes = Vec::new();
    loop {
        now_ms += random(rng, GAP_MS);
        if now_ms > dies_ms {
            return Run { writes, dies_ms };
        }
        for [stored_ms, heard_ms] in &mut last_ms {
            let stalled = rng.u32(..STALL_ONE_IN) == 0;
            let stall_ms = if stalled { STALL_MS } else { 0.0 };
            let there_ms = now_ms + stall_ms + ONE_WAY_MS + random(rng, ONE_WAY_MS);
            *stored_ms = there_ms.max(*stored_ms); // links keep the order
            let back_ms = *stored_ms + ONE_WAY_MS + random(rng, ONE_WAY_MS);
            *heard_ms = back_ms.max(*heard_ms);
        }
        writes.push(Write {
            made_ms: now_ms,
            stored_ms: last_ms.map(|[stored_ms, _]| stored_ms),
            heard_ms: last_ms.map(|[_, heard_ms]| heard_ms),
        });
    }
}

#[derive(Default)]
struct Count {
    runs_with_loss: usize,
    lost: usize,
    worst: usize, // of one run
    kept_without_ok: usize,
}

// ANCHOR: count
fn fail_over(rule: Rule, promote: Promote, runs: &[Run]) -> Count {
    let mut count = Count::default();
    for Run { writes, dies_ms } in runs {
        let kept = promote.kept(writes, *dies_ms);
        let heard_ok = |w: &&Write| rule.answered_ms(w) <= *dies_ms;
        let lost = writes[kept..].iter().filter(heard_ok).count();
        let kept_and_ok = writes[..kept].iter().filter(heard_ok).count();
        count.lost += lost;
        count.worst = count.worst.max(lost);
        count.runs_with_loss += usize::from(lost > 0);
        count.kept_without_ok += kept - kept_and_ok;
    }
    count
}
// ANCHOR_END: count

/// Mean, 99th percentile and maximum of the time until "ok".
fn waits_ms(rule: Rule, runs: &[Run]) -> [f64; 3] {
    let writes = runs.iter().flat_map(|run| &run.writes);
    let waits = writes.map(|w| rule.answered_ms(w) - w.made_ms);
    let mut waits_ms: Vec<f64> = waits.collect();
    waits_ms.sort_unstable_by(f64::total_cmp);
    let n = waits_ms.len();
    let mean_ms = waits_ms.iter().sum::<f64>() / n as f64;
    [mean_ms, waits_ms[n * 99 / 100], waits_ms[n - 1]]
}

/// The same runs and deaths for every rule.
fn runs(n: u64, seed: u64) -> Vec<Run> {
    let mut rng = Rng::with_seed(seed);
    (0..n).map(|_| run(&mut rng)).collect()
}

const RULES: [(&str, usize, f64); 4] = [
    ("0 stored", 0, f64::INFINITY),
    ("1 of 2", 1, f64::INFINITY),
    ("1, or 20 ms", 1, PATIENCE_MS),
    ("2 of 2", 2, f64::INFINITY),
];

fn rules() -> [(&'static str, Rule); 4] {
    RULES.map(|(name, wait_for, patience_ms)| {
        let rule = Rule {
            wait_for,
            patience_ms,
        };
        (name, rule)
    })
}

fn main() {
    let runs = runs(RUNS, 1);
    println!("{RUNS} failovers             runs with  writes  worst  no ok,");
    println!("ok after      promoted      a loss    lost    run  yet kept");
    for (name, rule) in rules() {
        for (who, promote) in
            [("has more", TheOneWithMore), ("has less", TheOneWithLess)]
        {
            let c = fail_over(rule, promote, &runs);
            print!("{name:<13} {who:<9} {:>10}", c.runs_with_loss);
            println!(" {:>7} {:>6} {:>9}", c.lost, c.worst, c.kept_without_ok);
        }
    }
    println!("\nms until ok     mean     p99     max");
    for (name, rule) in rules() {
        let [mean, p99, max] = waits_ms(rule, &runs);
        println!("{name:<12} {mean:>7.1} {p99:>7.1} {max:>7.1}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(row: usize, promote: Promote, seed: u64) -> usize {
        fail_over(rules()[row].1, promote, &runs(300, seed)).lost
    }

    #[test]
    fn async_loses_acknowledged_writes_whoever_is_promoted() {
        for seed in 1..4 {
            assert!(lost(0, TheOneWithMore, seed) > 0, "seed {seed}");
            assert!(lost(0, TheOneWithLess, seed) > 0, "seed {seed}");
        }
    }

    #[test]
    fn one_confirmation_loses_none_only_if_the_right_replica_is_promoted() {
        for seed in 1..4 {
            assert_eq!(lost(1, TheOneWithMore, seed), 0, "seed {seed}");
            assert!(lost(1, TheOneWithLess, seed) > 0, "seed {seed}");
        }
    }

    #[test]
    fn two_of_two_lose_none_whoever_is_promoted() {
        for seed in 1..4 {
            assert_eq!(lost(3, TheOneWithLess, seed), 0, "seed {seed}");
        }
    }

    #[test]
    fn a_rule_that_gives_up_waiting_loses_writes_of_the_right_replica_too() {
        for seed in 1..4 {
            assert!(lost(2, TheOneWithMore, seed) > 0, "seed {seed}");
        }
    }

    #[test]
    fn no_answer_does_not_mean_no_write() {
        for (row, promote) in [(1, TheOneWithMore), (3, TheOneWithLess)] {
            let count = fail_over(rules()[row].1, promote, &runs(300, 1));
            assert!(count.kept_without_ok > 0);
        }
    }

    #[test]
    fn each_confirmation_more_costs_more_waiting() {
        let runs = runs(300, 1);
        let [none, one, impatient, both] = rules().map(|(_, r)| waits_ms(r, &runs));
        assert_eq!(none, [0.0; 3]);
        assert!(one[0] > 4.0 * ONE_WAY_MS && both[0] > 3.0 * one[0]);
        assert_eq!(impatient[2].round(), PATIENCE_MS);
    }
}
