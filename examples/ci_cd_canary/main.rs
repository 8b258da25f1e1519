//! A canary: a tenth of the requests go to the new release, and a rule decides from
//! the errors of both whether it is rolled back. Which rule?
//!
//! Look at the first column: a good release should stay. Then at the third: a bad
//! one should go. `bad hour` is a good release in an hour in which everything
//! fails more often. At the end one canary is followed until it is rolled back.
//!
//! Simplified: requests fail independently of each other, with one probability
//! for all of them. Each share is counted in 2,000 seeded releases.

mod judge;

use judge::{z, Canary, Counts, Decision, LnFactorials, Z_OF_1_PERCENT};

const RELEASES: u32 = 2_000;
const USUAL: f64 = 0.005; // of all requests fail
const BASELINE_TIMES: u64 = 9; // requests to the old release for one to the new

/// How many of so many requests fail. Jumps from error to error.
fn errors(requests: u64, rate: f64, rng: &mut fastrand::Rng) -> Counts {
    let (mut errors, mut at, passes) = (0, 0.0, (1.0 - rate).ln());
    loop {
        at += ((1.0 - rng.f64()).ln() / passes).floor() + 1.0;
        if at > requests as f64 {
            return Counts { requests, errors };
        }
        errors += 1;
    }
}

type Rule = fn(&LnFactorials, Counts, Counts) -> bool;
const RULES: [(&str, Rule); 4] = [
    ("over 1 %", |_, new, _| new.rate() > 0.01),
    ("over twice the old", |_, new, old| {
        new.rate() > 2.0 * old.rate()
    }),
    ("two proportions", |_, new, old| {
        z(new, old) > Z_OF_1_PERCENT
    }),
    ("Fisher's exact", |ln, new, old| {
        ln.p_value(new, old) <= 0.01
    }),
];

/// Rates of the new and the old release.
const CASES: [(&str, f64, f64); 4] = [
    ("good", USUAL, USUAL),
    ("1.8 times", 1.8 * USUAL, USUAL),
    ("4 times", 4.0 * USUAL, USUAL),
    ("bad hour", 4.0 * USUAL, 4.0 * USUAL),
];

/// The share of releases that each rule rolls back, in percent.
fn rolled_back(ln: &LnFactorials, requests: u64, case: usize) -> [f64; 4] {
    let mut rng = fastrand::Rng::with_seed(requests + case as u64);
    let (_, new, old) = CASES[case];
    let mut counts = [0_u32; 4];
    for _ in 0..RELEASES {
        let new = errors(requests, new, &mut rng);
        let old = errors(requests * BASELINE_TIMES, old, &mut rng);
        for (count, (_, rule)) in counts.iter_mut().zip(RULES) {
            *count += u32::from(rule(ln, new, old));
        }
    }
    counts.map(|count| 100.0 * f64::from(count) / f64::from(RELEASES))
}

struct Looks {
    name: &'static str,
    looks: u32,
    requests: u64, // of the canary, between two looks
    level: f64,
}

const LOOKS: [Looks; 3] = [
    Looks {
        name: "1 look at 1 %",
        looks: 1,
        requests: 4_000,
        level: 0.01,
    },
    Looks {
        name: "20 looks at 1 %",
        looks: 20,
        requests: 200,
        level: 0.01,
    },
    Looks {
        name: "20 looks at 0.05 %",
        looks: 20,
        requests: 200,
        level: 0.0005,
    },
];

/// The share that is rolled back, in percent, and the mean requests until then.
fn watched(ln: &LnFactorials, how: &Looks, case: usize) -> (f64, f64) {
    let mut rng = fastrand::Rng::with_seed(case as u64);
    let (_, new, old) = CASES[case];
    let (mut rolled_back, mut requests) = (0.0, 0.0);
    for _ in 0..RELEASES {
        let mut canary = Canary::new(how.looks, how.level);
        loop {
            let new = errors(how.requests, new, &mut rng);
            let old = errors(how.requests * BASELINE_TIMES, old, &mut rng);
            match canary.look(ln, new, old) {
                Decision::Wait => {}
                Decision::RollBack { .. } => {
                    rolled_back += 1.0;
                    requests += canary.new.requests as f64;
                    break;
                }
                Decision::Promote | Decision::TooFewRequests => break,
            }
        }
    }
    (
        100.0 * rolled_back / f64::from(RELEASES),
        requests / f64::max(rolled_back, 1.0),
    )
}

fn main() {
    let ln = LnFactorials::up_to(40_000);
    println!("requests  rolled back if            good   1.8 x     4 x  bad hour");
    for requests in [50, 500, 4_000] {
        let shares = [0, 1, 2, 3].map(|case| rolled_back(&ln, requests, case));
        for (at, (name, _)) in RULES.iter().enumerate() {
            print!("{requests:>8}  {name:<19}");
            for share in shares {
                print!(" {:>7.1}", share[at]);
            }
            println!(" %");
        }
    }
    println!("\nFisher's exact       rolled back:   good     4 x   after requests");
    for how in &LOOKS {
        let ((good, _), (bad, after)) = (watched(&ln, how, 0), watched(&ln, how, 2));
        println!(
            "  {:<30} {good:>5.1} % {bad:>5.1} % {after:>12.0}",
            how.name
        );
    }
    println!("\none canary, four times the errors");
    let mut rng = fastrand::Rng::with_seed(3);
    let mut canary = Canary::new(20, 0.0005);
    let mut decision = Decision::Wait;
    while decision == Decision::Wait {
        let new = errors(200, 4.0 * USUAL, &mut rng);
        decision = canary.look(&ln, new, errors(1_800, USUAL, &mut rng));
        let (new, old) = (canary.new, canary.old);
        print!(
            "  look {}: {:>2} of {:>4} failed",
            canary.looks, new.errors, new.requests
        );
        print!(", {:>2} of {:>5}", old.errors, old.requests);
        println!(", p {:.5}: {}", ln.p_value(new, old), name(decision));
    }
}

fn name(decision: Decision) -> &'static str {
    match decision {
        Decision::Wait => "wait",
        Decision::RollBack { .. } => "roll back",
        Decision::Promote => "promote",
        Decision::TooFewRequests => "too few requests",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use judge::REQUESTS_MIN;

    fn counts(requests: u64, errors: u64) -> Counts {
        Counts { requests, errors }
    }

    #[test]
    fn errors_come_at_the_rate_asked_for() {
        let mut rng = fastrand::Rng::with_seed(1);
        for rate in [0.005, 0.1, 0.5, 0.9] {
            let of = 100_000.0;
            let seen = errors(100_000, rate, &mut rng).errors as f64;
            let off = (seen - of * rate) / (of * rate * (1.0 - rate)).sqrt();
            assert!(off.abs() < 4.0, "{rate}: {seen}, {off} standard deviations");
        }
    }

    #[test]
    fn a_raw_threshold_rolls_back_good_releases_at_low_traffic() {
        let ln = LnFactorials::up_to(40_000);
        let [fixed, ratio, _, fisher] = rolled_back(&ln, 50, 0);
        assert!(fixed > 20.0 && ratio > 20.0 && fisher < 1.0);
    }

    #[test]
    fn a_raw_threshold_misses_releases_just_below_it_however_much_traffic_comes() {
        let ln = LnFactorials::up_to(40_000);
        let [fixed, ratio, _, fisher] = rolled_back(&ln, 4_000, 1);
        assert!(fixed < 30.0 && ratio < 30.0 && fisher > 65.0);
    }

    #[test]
    fn a_fixed_threshold_rolls_back_a_good_release_in_a_bad_hour() {
        let ln = LnFactorials::up_to(40_000);
        let [fixed, _, _, fisher] = rolled_back(&ln, 4_000, 3);
        assert!(fixed > 99.0 && fisher < 1.6);
    }

    #[test]
    fn two_proportions_give_more_false_alarms_than_promised_and_fisher_does_not() {
        let ln = LnFactorials::up_to(40_000);
        for (requests, at_least) in [(50, 3.0), (500, 1.5)] {
            let [_, _, z, fisher] = rolled_back(&ln, requests, 0);
            assert!(z > at_least && fisher < 1.0, "{requests}: {z} {fisher}");
        }
    }

    #[test]
    fn twenty_looks_at_1_percent_give_several_times_the_false_alarms_of_one() {
        let ln = LnFactorials::up_to(40_000);
        let [one, often, divided] =
            [0, 1, 2].map(|at| watched(&ln, &LOOKS[at], 0).0);
        assert!(one < 1.5 && often > 3.0 * one && divided <= 1.0);
    }

    #[test]
    fn looks_with_a_divided_level_find_a_bad_release_sooner_than_one_at_the_end() {
        let ln = LnFactorials::up_to(40_000);
        let [one, divided] = [0, 2].map(|at| watched(&ln, &LOOKS[at], 2));
        assert!(one.0 > 99.0 && divided.0 > 99.0);
        assert!(3.0 * divided.1 < one.1, "{one:?} {divided:?}");
    }

    #[test]
    fn below_the_least_number_of_requests_nothing_is_promoted() {
        let ln = LnFactorials::up_to(40_000);
        let mut canary = Canary::new(1, 0.01);
        let new = counts(REQUESTS_MIN - 1, 0);
        let decision = canary.look(&ln, new, counts(9_000, 40));
        assert_eq!(decision, Decision::TooFewRequests);
        let mut canary = Canary::new(1, 0.01);
        let new = counts(REQUESTS_MIN, 0);
        let decision = canary.look(&ln, new, counts(9_000, 40));
        assert_eq!(decision, Decision::Promote);
        assert!(rolled_back(&ln, REQUESTS_MIN, 2)[3] > 90.0);
    }
}
