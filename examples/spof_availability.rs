//! What is a chain of good parts worth, and what does a spare add?
//!
//! Look at `ten in series` first: ten parts of 99.9 % make a service of 99.0 %.
//! `simulated` rolls dice for every part 100,000 times and counts how often the
//! whole works; it knows none of the formulas. The last table turns nines into
//! time, and says for which length of month and year.
//!
//! Simplified: parts fail independently. Every formula here multiplies, and
//! that is what multiplying means. `spof_correlated` shows what it hides. A
//! switch to the spare takes no time and never fails.

use std::fmt;

// ANCHOR: types
/// A probability: a number from 0 to 1, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Availability(f64);

#[derive(Debug, PartialEq)]
struct NotAProbability(f64);

impl Availability {
    fn new(share: f64) -> Result<Self, NotAProbability> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err(NotAProbability(share)) // NaN is in no range
        }
    }

    /// The share of time in which it does not work.
    fn unavailability(self) -> f64 {
        1.0 - self.0
    }
}
// ANCHOR_END: types

impl fmt::Display for NotAProbability {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} is no probability: it must be 0 to 1", self.0)
    }
}

impl std::error::Error for NotAProbability {}

// ANCHOR: formulas
/// All of them are needed.
fn series(parts: &[Availability]) -> Availability {
    Availability(parts.iter().map(|part| part.0).product())
}

/// One of them is enough.
fn parallel(parts: &[Availability]) -> Availability {
    let all_down: f64 = parts.iter().map(|p| p.unavailability()).product();
    Availability(1.0 - all_down)
}

/// At least `needed` of `parts` work. Entry i of the list is the probability
/// that i of the parts looked at so far do.
fn at_least(needed: usize, parts: &[Availability]) -> Availability {
    let mut working = vec![1.0];
    for part in parts {
        working.push(0.0);
        for i in (0..working.len()).rev() {
            let one_fewer = if i == 0 { 0.0 } else { working[i - 1] };
            working[i] = working[i] * part.unavailability() + one_fewer * part.0;
        }
    }
    let enough: f64 = working.iter().skip(needed).sum();
    Availability(enough.clamp(0.0, 1.0)) // a sum may round to just above 1
}
// ANCHOR_END: formulas

/// Rolls dice for each part, and asks whether enough of them work.
fn simulate(needed: usize, parts: &[Availability], trials: u32) -> f64 {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut good = 0;
    for _ in 0..trials {
        let working = parts.iter().filter(|part| rng.f64() < part.0).count();
        if working >= needed {
            good += 1;
        }
    }
    f64::from(good) / f64::from(trials)
}

/// A length of time over which downtime is summed up.
#[derive(Clone, Copy)]
struct Window {
    days: f64,
}

const MONTH: Window = Window { days: 30.0 };
const YEAR: Window = Window { days: 365.25 }; // a leap day every four years

impl Window {
    fn downtime_s(self, availability: Availability) -> f64 {
        self.days * 86_400.0 * availability.unavailability()
    }
}

/// Seconds in the unit that a person would use.
fn human(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.2} s"),
        s if s < 3_600.0 => format!("{:.2} min", s / 60.0),
        s if s < 86_400.0 => format!("{:.2} h", s / 3_600.0),
        s => format!("{:.2} days", s / 86_400.0),
    }
}

const TRIALS: u32 = 100_000;

fn main() -> Result<(), NotAProbability> {
    let three_nines = Availability::new(0.999)?;
    let weak = Availability::new(0.9)?;
    println!("a part of 90 %        formula  simulated\n");
    let cases = [
        ("one", 1, 1),
        ("ten in series", 10, 10),
        ("two in parallel", 1, 2),
        ("three, one is enough", 1, 3),
        ("three, two needed", 2, 3),
        ("three, all needed", 3, 3),
    ];
    for (name, needed, count) in cases {
        let parts = vec![weak; count];
        let formula = at_least(needed, &parts).0 * 100.0;
        let simulated = simulate(needed, &parts, TRIALS) * 100.0;
        println!("{name:<21} {formula:>6.2} %  {simulated:>6.2} %");
    }

    println!("\na part of 99.9 %     availability  down per 30 days\n");
    let ten = series(&[three_nines; 10]);
    let pair = parallel(&[three_nines; 2]);
    let nine_pairs = series(&[&[pair; 9][..], &[three_nines]].concat());
    for (name, whole) in [
        ("one", three_nines),
        ("ten in series", ten),
        ("nine pairs and one", nine_pairs),
        ("ten pairs", series(&[pair; 10])),
    ] {
        let down = human(MONTH.downtime_s(whole));
        println!("{name:<21} {:>9.5} % {down:>17}", whole.0 * 100.0);
    }

    println!("\navailability   down per 30 days   down per 365.25 days\n");
    for percent in [90.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 99.9999] {
        let target = Availability::new(percent / 100.0)?;
        let month = human(MONTH.downtime_s(target));
        let year = human(YEAR.downtime_s(target));
        println!("{:>10} %   {month:>16}   {year:>20}", percent);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(share: f64) -> Availability {
        Availability::new(share).expect("a probability")
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    /// Up to six parts of any availability, and how many of them are needed.
    fn random_case(rng: &mut fastrand::Rng) -> (usize, Vec<Availability>) {
        let parts: Vec<_> = (0..rng.usize(1..=6)).map(|_| a(rng.f64())).collect();
        (rng.usize(0..=parts.len() + 1), parts)
    }

    #[test]
    fn only_numbers_from_0_to_1_are_probabilities() {
        assert_eq!(Availability::new(0.0), Ok(Availability(0.0)));
        assert_eq!(Availability::new(1.0), Ok(Availability(1.0)));
        for wrong in [-0.1, 1.000_001, 99.9, f64::INFINITY, f64::NAN] {
            let error = Availability::new(wrong).expect_err("it is refused");
            assert!(error.to_string().contains("no probability"));
        }
    }

    #[test]
    fn ten_services_of_three_nines_in_series_have_two() {
        let whole = series(&[a(0.999); 10]);
        assert!(close(whole.0, 0.999_f64.powi(10)));
        assert!((0.9900..0.9901).contains(&whole.0), "{whole:?}");
    }

    #[test]
    fn two_in_parallel_double_the_nines() {
        assert!(close(parallel(&[a(0.999); 2]).0, 0.999_999));
    }

    #[test]
    fn a_chain_is_never_better_than_its_worst_part_nor_a_group_than_its_best() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1_000 {
            let (_, parts) = random_case(&mut rng);
            for part in &parts {
                assert!(series(&parts) <= *part);
                assert!(parallel(&parts).0 >= part.0 - 1e-12);
            }
        }
    }

    #[test]
    fn series_is_all_of_n_and_parallel_one_of_n() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..1_000 {
            let (_, parts) = random_case(&mut rng);
            let all = at_least(parts.len(), &parts);
            assert!(close(all.0, series(&parts).0));
            assert!(close(at_least(1, &parts).0, parallel(&parts).0));
            assert!(close(at_least(0, &parts).0, 1.0));
        }
    }

    #[test]
    fn k_of_n_agrees_with_the_sum_over_all_cases() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..1_000 {
            let (needed, parts) = random_case(&mut rng);
            let mut sum = 0.0;
            for case in 0..1_u32 << parts.len() {
                if case.count_ones() as usize >= needed {
                    let up = |i: usize| case >> i & 1 == 1;
                    let share = |(i, part): (usize, &Availability)| {
                        if up(i) {
                            part.0
                        } else {
                            part.unavailability()
                        }
                    };
                    sum += parts.iter().enumerate().map(share).product::<f64>();
                }
            }
            assert!(close(at_least(needed, &parts).0, sum));
        }
    }

    #[test]
    fn the_simulation_agrees_with_the_formula_within_half_a_point() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..20 {
            let (needed, parts) = random_case(&mut rng);
            // Three standard deviations are 0.0047 at most (at 1/2).
            let off = simulate(needed, &parts, TRIALS) - at_least(needed, &parts).0;
            assert!(off.abs() < 0.005, "{needed} of {parts:?}: off by {off}");
        }
    }

    #[test]
    fn three_that_are_all_needed_are_worse_than_one() {
        assert!(at_least(3, &[a(0.99); 3]) < a(0.99));
    }

    #[test]
    fn with_nine_pairs_the_one_single_part_has_nearly_all_the_downtime() {
        let pair = parallel(&[a(0.999); 2]);
        let whole = series(&[&[pair; 9][..], &[a(0.999)]].concat());
        let share = a(0.999).unavailability() / whole.unavailability();
        assert!((0.99..1.0).contains(&share), "{share}");
    }

    #[test]
    fn three_nines_are_43_minutes_in_30_days_and_almost_9_hours_in_a_year() {
        assert_eq!(human(MONTH.downtime_s(a(0.999))), "43.20 min");
        assert_eq!(human(YEAR.downtime_s(a(0.999))), "8.77 h");
        assert_eq!(human(Window { days: 365.0 }.downtime_s(a(0.999))), "8.76 h");
        assert_eq!(human(YEAR.downtime_s(a(0.999)) / 12.0), "43.83 min");
    }
}
