//! Is the difference of two error rates more than luck, and what to do if it is?

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub requests: u64,
    pub errors: u64,
}

impl Counts {
    pub fn add(&mut self, more: Counts) {
        self.requests += more.requests;
        self.errors += more.errors;
    }

    pub fn rate(self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }
}

// ANCHOR: fisher
/// ln n! for all n up to some limit.
pub struct LnFactorials(Vec<f64>);

impl LnFactorials {
    pub fn up_to(limit: u64) -> Self {
        let mut all = vec![0.0];
        for n in 1..=limit {
            all.push(all[all.len() - 1] + (n as f64).ln());
        }
        Self(all)
    }

    fn ln_choose(&self, n: u64, k: u64) -> f64 {
        let ln = |n: u64| self.0[n as usize];
        ln(n) - ln(k) - ln(n - k)
    }

    /// Fisher's exact test, one-sided. If it made no difference to which release a
    /// request went, all ways to deal the errors out are equally likely: how many
    /// of them give the canary as many errors as it had, or more?
    pub fn p_value(&self, canary: Counts, baseline: Counts) -> f64 {
        let all = canary.requests + baseline.requests;
        let errors = canary.errors + baseline.errors;
        let ways = self.ln_choose(all, errors);
        let mut p = 0.0;
        for to_canary in canary.errors..=errors.min(canary.requests) {
            if errors - to_canary > baseline.requests {
                continue;
            }
            let to_baseline = errors - to_canary;
            let these = self.ln_choose(canary.requests, to_canary)
                + self.ln_choose(baseline.requests, to_baseline);
            p += (these - ways).exp();
            if to_canary > canary.errors && (these - ways).exp() < p * 1e-9 {
                break; // the rest adds nothing
            }
        }
        p.min(1.0)
    }
}
// ANCHOR_END: fisher

// ANCHOR: z
/// The usual approximation: the difference of the rates, in standard errors.
pub fn z(canary: Counts, baseline: Counts) -> f64 {
    let (n, m) = (canary.requests as f64, baseline.requests as f64);
    let pooled = (canary.errors + baseline.errors) as f64 / (n + m);
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    if error == 0.0 {
        return 0.0;
    }
    (canary.rate() - baseline.rate()) / error
}
pub const Z_OF_1_PERCENT: f64 = 2.326;
// ANCHOR_END: z

/// In one look at 1 %, so many show nine of ten releases four times as bad.
pub const REQUESTS_MIN: u64 = 1_000;

// ANCHOR: release
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    Wait,
    RollBack { p: f64 },
    Promote,
    TooFewRequests, // to have seen a bad release: silence is no proof
}

/// A canary that is looked at a fixed number of times, and rolls itself back.
pub struct Canary {
    pub new: Counts,
    pub old: Counts,
    pub looks: u32,
    looks_max: u32,
    level: f64, // of false alarms: at each look
}

impl Canary {
    pub fn new(looks_max: u32, level: f64) -> Self {
        let none = Counts::default();
        Self {
            new: none,
            old: none,
            looks: 0,
            looks_max,
            level,
        }
    }

    /// Takes in what happened since the last look.
    pub fn look(&mut self, ln: &LnFactorials, new: Counts, old: Counts) -> Decision {
        self.new.add(new);
        self.old.add(old);
        self.looks += 1;
        let p = ln.p_value(self.new, self.old);
        if p <= self.level {
            Decision::RollBack { p }
        } else if self.looks < self.looks_max {
            Decision::Wait
        } else if self.new.requests < REQUESTS_MIN {
            Decision::TooFewRequests
        } else {
            Decision::Promote
        }
    }
}
// ANCHOR_END: release

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, errors: u64) -> Counts {
        Counts { requests, errors }
    }

    #[test]
    fn the_p_value_is_the_share_of_all_deals_that_look_as_bad() {
        let ln = LnFactorials::up_to(40);
        for (n, m) in [(3, 5), (1, 9), (6, 6), (9, 1)] {
            for all in 0_u32..=n + m {
                // Every way in which `all` of n + m requests fail; the first n
                // are the canary's.
                let deals = (0_u32..1 << (n + m)).filter(|d| d.count_ones() == all);
                let in_canary = |d: u32| (d & ((1 << n) - 1)).count_ones();
                let deals: Vec<u32> = deals.map(in_canary).collect();
                for seen in all.saturating_sub(m)..=all.min(n) {
                    let worse = deals.iter().filter(|d| **d >= seen).count();
                    let share = worse as f64 / deals.len() as f64;
                    let new = counts(n.into(), seen.into());
                    let old = counts(m.into(), (all - seen).into());
                    let p = ln.p_value(new, old);
                    assert!((p - share).abs() < 1e-9, "{new:?} {old:?} {p} {share}");
                }
            }
        }
    }

    #[test]
    fn the_lady_tasting_tea_has_the_p_value_of_fishers_book() {
        let ln = LnFactorials::up_to(8);
        let p = ln.p_value(counts(4, 4), counts(4, 0));
        assert!((p - 1.0 / 70.0).abs() < 1e-12);
    }

    #[test]
    fn two_proportions_are_compared_in_standard_errors_as_counted_by_hand() {
        // 0.06 - 0.02, over the root of 0.024 * 0.976 * (1/50 + 1/450)
        let z = z(counts(50, 3), counts(450, 9));
        assert!((z - 1.7532).abs() < 0.0001, "{z}");
    }

    #[test]
    fn each_look_judges_all_requests_so_far_of_both_releases() {
        let ln = LnFactorials::up_to(1_000);
        let mut canary = Canary::new(3, 0.01);
        let _ = canary.look(&ln, counts(50, 0), counts(450, 9));
        let second = canary.look(&ln, counts(50, 3), counts(450, 0));
        assert_eq!(second, Decision::Wait); // the old release failed as often
        assert_eq!(canary.new, counts(100, 3));
        assert_eq!(canary.old, counts(900, 9));
    }

    /// The share of good releases with an alarm, exactly: each pair of counts
    /// times its probability.
    fn false_alarms(rate: f64, alarm: impl Fn(Counts, Counts) -> bool) -> f64 {
        let (n, m) = (20, 180);
        let ln = LnFactorials::up_to(n + m);
        let chance = |of: u64, errors: u64| {
            let passes = (of - errors) as f64;
            let ln = ln.ln_choose(of, errors);
            (ln + errors as f64 * rate.ln() + passes * (1.0 - rate).ln()).exp()
        };
        let mut all = 0.0;
        for new in 0..=n {
            for old in 0..=m {
                if alarm(counts(n, new), counts(m, old)) {
                    all += chance(n, new) * chance(m, old);
                }
            }
        }
        all
    }

    #[test]
    fn fishers_false_alarms_stay_below_the_level_and_those_of_two_proportions_do_not(
    ) {
        let ln = LnFactorials::up_to(200);
        for rate in [0.001, 0.005, 0.02, 0.1, 0.5] {
            let fisher = false_alarms(rate, |n, o| ln.p_value(n, o) <= 0.01);
            assert!(fisher <= 0.01, "{rate}: {fisher}");
        }
        for rate in [0.005, 0.02, 0.1] {
            let two = false_alarms(rate, |n, o| z(n, o) > Z_OF_1_PERCENT);
            assert!(two > 0.015, "{rate}: {two}");
        }
    }
}
