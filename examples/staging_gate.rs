//! May this artifact go to production? A gate answers from evidence.
//!
//! First a shop promotes the *commit* that passed in staging and builds it again:
//! the new build picks up a newer library, and production runs what nobody tested.
//! Then a gate that promotes by digest, with what it refuses and why. The last
//! table asks what a test that fails by chance does to the gate: `stops good` are
//! releases without the bug that are refused, `lets bad` are releases with a bug
//! that shows in three of ten runs, and pass.
//!
//! Simplified: an artifact is a short text that a tiny service interprets. Minutes
//! are virtual. Flakiness is one fair dice, and real tests fail together.

use sha2::{Digest as _, Sha256};
use std::fmt;

type Minute = u64;

/// The name of these bits and of no others.
#[derive(Clone, PartialEq, Eq)]
struct Digest(String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0[..8])
    }
}

fn digest(artifact: &str) -> Digest {
    let hash = Sha256::digest(artifact);
    Digest(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A build takes the newest library of that hour, as one without a lock file does.
fn build(commit: &str, now: Minute) -> String {
    let library = if now < 600 {
        "rounding=half-up"
    } else {
        "rounding=down"
    };
    format!("commit={commit}\n{library}\nroutes=/health /price\n")
}

/// The service that an artifact becomes when it is started.
struct Service<'a> {
    artifact: &'a str,
}

impl Service<'_> {
    fn get(&self, path: &str) -> (u16, String) {
        if !self.artifact.contains(path) {
            return (404, String::new());
        }
        match path {
            "/health" => (200, "ok".into()),
            "/price" => {
                let cents = match self.artifact.contains("half-up") {
                    true => (999 * 119 + 50) / 100, // net 9.99, 19 % tax
                    false => 999 * 119 / 100,
                };
                (200, cents.to_string())
            }
            _ => (404, String::new()),
        }
    }
}

// ANCHOR: smoke
/// Few, fast, and about the whole: does it start, and does one thing that earns
/// money work from end to end?
type Smoke = (&'static str, fn(&Service) -> Result<(), String>);
const SMOKE: [Smoke; 2] = [
    ("is up", |service| match service.get("/health") {
        (200, body) if body == "ok" => Ok(()),
        (status, _) => Err(format!("/health answers {status}")),
    }),
    ("price has tax", |service| match service.get("/price") {
        (200, cents) if cents == "1189" => Ok(()),
        (status, cents) => Err(format!("/price answers {status} `{cents}`")),
    }),
];
// ANCHOR_END: smoke

// ANCHOR: gate
/// What a run in staging leaves behind.
struct Evidence {
    digest: Digest,
    at: Minute,
    results: Vec<(&'static str, Result<(), String>)>,
}

fn smoke(artifact: &str, now: Minute) -> Evidence {
    let service = Service { artifact };
    let results = SMOKE.iter().map(|(name, test)| (*name, test(&service)));
    Evidence {
        digest: digest(artifact),
        at: now,
        results: results.collect(),
    }
}

/// Staging changes under a release: what passed last week passed elsewhere.
const EVIDENCE_AGE_MINUTES_MAX: Minute = 24 * 60;

/// Asks about the bits that are to be installed, not about their name. Lists every
/// reason, so that nobody mends one and comes back for the next.
fn gate(
    artifact: &str,
    evidence: &[Evidence],
    now: Minute,
) -> Result<(), Vec<String>> {
    let wanted = digest(artifact);
    let Some(last) = evidence.iter().rfind(|run| run.digest == wanted) else {
        return Err(vec![format!("{wanted} was never tested in staging")]);
    };
    let mut reasons = Vec::new();
    let age = now.saturating_sub(last.at);
    if age > EVIDENCE_AGE_MINUTES_MAX {
        reasons.push(format!("{wanted} was tested {} hours ago", age / 60));
    }
    for (name, _) in SMOKE {
        match last.results.iter().find(|(ran, _)| *ran == name) {
            None => reasons.push(format!("`{name}` did not run")),
            Some((_, Err(why))) => reasons.push(format!("`{name}`: {why}")),
            Some((_, Ok(()))) => (),
        }
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(reasons)
    }
}
// ANCHOR_END: gate

// ANCHOR: flaky
/// How a gate judges one test that sometimes fails without cause.
type Policy = fn(&mut dyn FnMut() -> bool) -> bool;
const POLICIES: [(&str, Policy); 4] = [
    ("one run", |passes| passes()),
    ("retry until green, 3 runs", |passes| {
        (0..3).any(|_| passes())
    }),
    ("3 runs, all green", |passes| (0..3).all(|_| passes())),
    ("20 runs, at most 2 red", |passes| {
        (0..20).filter(|_| !passes()).count() <= 2
    }),
];
// ANCHOR_END: flaky

const RELEASES: u32 = 5_000;
const FLAKY_PERCENT: u32 = 2;
const BUG_PERCENT: u32 = 30;
const TESTS: usize = 10;

/// Percent of releases that pass `TESTS` flaky tests, one of which meets the bug in
/// `bug_percent` of its runs.
fn passes_percent(policy: Policy, bug_percent: u32) -> f64 {
    let mut rng = fastrand::Rng::with_seed(12);
    let mut passed = 0;
    for _ in 0..RELEASES {
        let all = (0..TESTS).all(|test| {
            let bug = if test == 0 { bug_percent } else { 0 };
            policy(&mut || rng.u32(..100) >= FLAKY_PERCENT.max(bug))
        });
        passed += u32::from(all);
    }
    100.0 * f64::from(passed) / f64::from(RELEASES)
}

fn main() {
    let tested = build("a1b2c3", 540);
    let evidence = vec![smoke(&tested, 545)];
    let rebuilt = build("a1b2c3", 660);
    println!("commit a1b2c3, built at 9:00: {}, tested", digest(&tested));
    println!("the same, built at 11:00:     {}", digest(&rebuilt));
    for (whose, artifact) in [("tested ", &tested), ("rebuilt", &rebuilt)] {
        let (_, cents) = Service { artifact }.get("/price");
        println!("  {whose} sells 9.99 + 19 % for {cents} cents");
    }
    println!("\nthe gate                      says");
    let mut failed = smoke(&rebuilt, 700);
    failed.results.retain(|(name, _)| *name != "is up");
    let bad = vec![failed];
    let no_run: Vec<Evidence> = Vec::new();
    let cases = [
        ("tested, an hour later", &tested, &evidence, 605),
        ("rebuilt, same commit", &rebuilt, &evidence, 665),
        ("never in staging", &tested, &no_run, 605),
        ("a test red, one missing", &rebuilt, &bad, 705),
        (
            "tested, three days later",
            &tested,
            &evidence,
            545 + 72 * 60,
        ),
    ];
    for (case, artifact, evidence, now) in cases {
        match gate(artifact, evidence, now) {
            Ok(()) => println!("  {case:<27} promote {}", digest(artifact)),
            Err(reasons) => {
                for (i, reason) in reasons.iter().enumerate() {
                    let case = if i == 0 { case } else { "" };
                    println!("  {case:<27} {reason}");
                }
            }
        }
    }
    println!("\n{TESTS} tests, each red by chance    stops good  lets bad   runs");
    for (name, policy) in POLICIES {
        let stops = 100.0 - passes_percent(policy, 0);
        let lets = passes_percent(policy, BUG_PERCENT);
        let mut runs = 0;
        policy(&mut || {
            runs += 1;
            !name.starts_with("retry") || runs == 3
        });
        println!("  {name:<28} {stops:>10.1}% {lets:>8.1}% {runs:>6}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_commit_built_again_is_not_the_same_bits_and_sells_cheaper() {
        let (tested, rebuilt) = (build("c", 540), build("c", 660));
        assert!(digest(&tested) != digest(&rebuilt));
        let price = |artifact| Service { artifact }.get("/price").1;
        assert_eq!(
            (price(&tested).as_str(), price(&rebuilt).as_str()),
            ("1189", "1188")
        );
    }

    #[test]
    fn the_gate_promotes_tested_bits_and_refuses_a_rebuild_of_the_same_commit() {
        let (tested, rebuilt) = (build("c", 540), build("c", 660));
        let evidence = [smoke(&tested, 545)];
        assert_eq!(gate(&tested, &evidence, 600), Ok(()));
        let reasons = gate(&rebuilt, &evidence, 665).expect_err("never tested");
        assert!(reasons[0].contains("never tested"));
    }

    #[test]
    fn evidence_expires_after_a_day_and_not_a_minute_before() {
        let tested = build("c", 540);
        let evidence = [smoke(&tested, 545)];
        let last = 545 + EVIDENCE_AGE_MINUTES_MAX;
        assert_eq!(gate(&tested, &evidence, last), Ok(()));
        assert!(gate(&tested, &evidence, last + 1).is_err());
    }

    #[test]
    fn every_reason_is_given_also_for_a_test_that_did_not_run() {
        let broken = build("c", 660);
        let mut run = smoke(&broken, 670);
        run.results.retain(|(name, _)| *name != "is up");
        let reasons = gate(&broken, &[run], 670 + 9 * 24 * 60).expect_err("three");
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert!(reasons[0].ends_with("tested 216 hours ago"));
        assert_eq!(reasons[1], "`is up` did not run");
        assert_eq!(reasons[2], "`price has tax`: /price answers 200 `1188`");
    }

    #[test]
    fn the_last_run_of_the_same_bits_counts_and_not_the_best() {
        let tested = build("c", 540);
        let mut red = smoke(&tested, 560);
        red.results[0].1 = Err("/health answers 503".into());
        assert!(gate(&tested, &[smoke(&tested, 545), red], 570).is_err());
    }

    #[test]
    fn the_share_that_passes_is_what_probability_says() {
        let chance = |red: f64| {
            let green = 1.0 - red;
            // None, one or two of 20 runs red: 1, 20 and 190 ways.
            let few = green.powi(20)
                + 20.0 * red * green.powi(19)
                + 190.0 * red.powi(2) * green.powi(18);
            [green, 1.0 - red.powi(3), green.powi(3), few]
        };
        for (i, (name, policy)) in POLICIES.into_iter().enumerate() {
            for bug in [0, BUG_PERCENT] {
                let meets = chance(f64::from(bug.max(FLAKY_PERCENT)) / 100.0)[i];
                let expected =
                    100.0 * meets * chance(0.02)[i].powi(TESTS as i32 - 1);
                let counted = passes_percent(policy, bug);
                let deviation = (expected * (100.0 - expected) / 5_000.0).sqrt();
                let off = (counted - expected).abs();
                assert!(off < 3.0 * deviation + 0.01, "{name}: {counted}");
            }
        }
    }

    #[test]
    fn retrying_until_green_lets_nearly_every_intermittent_bug_through() {
        assert!(passes_percent(POLICIES[1].1, BUG_PERCENT) > 95.0);
    }

    #[test]
    fn a_limit_on_the_rate_stops_fewer_good_releases_and_lets_fewer_bad_ones_in() {
        let [one, .., rate] = POLICIES.map(|(_, policy)| {
            let lets = passes_percent(policy, BUG_PERCENT);
            (100.0 - passes_percent(policy, 0), lets)
        });
        assert!(rate.0 < one.0 && rate.1 < one.1 / 5.0, "{one:?} {rate:?}");
    }
}
