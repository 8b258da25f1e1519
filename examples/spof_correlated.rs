//! Two copies, and what takes both of them at once.
//!
//! Look at `two in one rack`: multiplied, its copies are both down 0.45 % of the
//! time. Dice that know of racks say four and a half times as much. The second
//! table holds a copy's own availability fixed, and lets a share of its failures
//! (beta) strike all copies: beyond 1/beta no number of copies helps.
//!
//! Simplified: every hour is a fresh throw, so an outage has no length. A cause
//! takes everything that it reaches. The probabilities are invented, and large
//! enough for dice; what matters is which of them decides.

use std::fmt;

/// A probability: a number from 0 to 1, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Probability(f64);

impl Probability {
    fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:.0} %", self.0 * 100.0)
    }
}

// ANCHOR: causes
/// What can go wrong, and how often it is so at any hour.
const MACHINE: Probability = Probability(0.05);
const RACK: Probability = Probability(0.01);
const REGION: Probability = Probability(0.003);
const CONFIG: Probability = Probability(0.005);

/// Copies of one thing. Each lists the causes that reach it, by their place in
/// `causes`. Two copies that list the same cause fail together.
struct Placement {
    name: &'static str,
    causes: Vec<Probability>,
    copies: Vec<Vec<usize>>,
}

impl Placement {
    fn any_works(&self, happened: &[bool]) -> bool {
        let mut copies = self.copies.iter();
        copies.any(|causes| causes.iter().all(|cause| !happened[*cause]))
    }

    /// Throws each cause once an hour, however many copies it reaches.
    fn simulate(&self, hours: u32, rng: &mut fastrand::Rng) -> Probability {
        let mut down = 0;
        for _ in 0..hours {
            let thrown = self.causes.iter().map(|cause| rng.f64() < cause.0);
            let happened: Vec<bool> = thrown.collect();
            down += u32::from(!self.any_works(&happened));
        }
        Probability(f64::from(down) / f64::from(hours))
    }

    /// What one believes who multiplies the copies' own unavailabilities.
    fn believed(&self) -> Probability {
        let down = |causes: &Vec<usize>| {
            let works = causes.iter().map(|cause| 1.0 - self.causes[*cause].0);
            1.0 - works.product::<f64>()
        };
        Probability(self.copies.iter().map(down).product())
    }
}
// ANCHOR_END: causes

impl Placement {
    /// Adds up the probabilities of all cases in which nothing works.
    fn exact(&self) -> Probability {
        let count = self.causes.len();
        let mut down = 0.0;
        for case in 0..1_u32 << count {
            let happened: Vec<bool> =
                (0..count).map(|i| case >> i & 1 == 1).collect();
            if !self.any_works(&happened) {
                let share = |(yes, cause): (&bool, &Probability)| {
                    if *yes {
                        cause.0
                    } else {
                        1.0 - cause.0
                    }
                };
                let cases = happened.iter().zip(&self.causes);
                down += cases.map(share).product::<f64>();
            }
        }
        Probability(down)
    }
}

fn placements() -> [Placement; 6] {
    let place = |name, causes: &[Probability], copies: &[&[usize]]| Placement {
        name,
        causes: causes.to_vec(),
        copies: copies.iter().map(|copy| copy.to_vec()).collect(),
    };
    let (m, r, g, c) = (MACHINE, RACK, REGION, CONFIG);
    [
        place("one", &[m, r, g, c], &[&[0, 1, 2, 3]]),
        place(
            "two in one rack",
            &[m, m, r, g, c],
            &[&[0, 2, 3, 4], &[1, 2, 3, 4]],
        ),
        place(
            "four in one rack",
            &[m, m, m, m, r, g, c],
            &[&[0, 4, 5, 6], &[1, 4, 5, 6], &[2, 4, 5, 6], &[3, 4, 5, 6]],
        ),
        place(
            "two racks",
            &[m, m, r, r, g, c],
            &[&[0, 2, 4, 5], &[1, 3, 4, 5]],
        ),
        place(
            "two regions",
            &[m, m, r, r, g, g, c],
            &[&[0, 2, 4, 6], &[1, 3, 5, 6]],
        ),
        place(
            "two regions, two releases",
            &[m, m, r, r, g, g, c, c],
            &[&[0, 2, 4, 6], &[1, 3, 5, 7]],
        ),
    ]
}

// ANCHOR: beta
/// All `copies` are down. Each is down with probability `down`, and a share
/// `beta` of that is common to all of them.
fn all_down(down: Probability, beta: Probability, copies: i32) -> Probability {
    let common = beta.0 * down.0;
    let own = (down.0 - common) / (1.0 - common); // given no common cause
    Probability(common + (1.0 - common) * own.powi(copies))
}
// ANCHOR_END: beta

const HOURS: u32 = 200_000;

fn main() {
    let mut rng = fastrand::Rng::with_seed(3);
    println!("nothing works             believed   simulated       exact\n");
    for placement in placements() {
        let simulated = placement.simulate(HOURS, &mut rng);
        let [believed, exact] =
            [placement.believed(), placement.exact()].map(|p| p.0 * 100.0);
        print!("{:<25} {believed:>8.3} %", placement.name);
        println!(" {:>9.2} % {exact:>9.3} %", simulated.0 * 100.0);
    }

    println!("\na copy of 99.9 %: how many times less downtime than one\n");
    println!("common to all    two copies        three         four");
    for beta in [0.0, 0.01, 0.1, 0.5] {
        let (Some(down), Some(beta)) =
            (Probability::new(0.001), Probability::new(beta))
        else {
            continue;
        };
        print!("{:>13}", beta.to_string());
        for copies in [2, 3, 4] {
            let times = down.0 / all_down(down, beta, copies).0;
            print!(" {times:>13.1}");
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Placement {
        let mut all = placements().into_iter();
        all.find(|p| p.name == name).expect("a placement")
    }

    #[test]
    fn only_numbers_from_0_to_1_are_probabilities() {
        assert_eq!(Probability::new(0.5), Some(Probability(0.5)));
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert_eq!(Probability::new(wrong), None);
        }
    }

    #[test]
    fn the_simulation_is_within_three_standard_deviations_of_the_exact_sum() {
        let mut rng = fastrand::Rng::with_seed(1);
        for placement in placements() {
            let exact = placement.exact().0;
            let deviation = (exact * (1.0 - exact) / f64::from(HOURS)).sqrt();
            let off = placement.simulate(HOURS, &mut rng).0 - exact;
            assert!(off.abs() < 3.0 * deviation, "{}: {off}", placement.name);
            assert!(3.0 * deviation < 0.0017, "a sixth of a point at most");
        }
    }

    #[test]
    fn multiplying_is_right_only_where_copies_share_no_cause() {
        for placement in placements() {
            let (believed, exact) = (placement.believed().0, placement.exact().0);
            let shares_nothing = ["one", "two regions, two releases"];
            if shares_nothing.contains(&placement.name) {
                assert!((believed - exact).abs() < 1e-12);
            } else {
                assert!(believed < exact, "{}", placement.name);
            }
        }
    }

    #[test]
    fn two_in_one_rack_are_down_four_times_as_long_as_multiplying_says() {
        let pair = named("two in one rack");
        let times = pair.exact().0 / pair.believed().0;
        assert!((4.0..5.0).contains(&times), "{times}");
    }

    #[test]
    fn four_copies_cannot_beat_the_rack_region_and_release_they_share() {
        let shared = 1.0 - (1.0 - RACK.0) * (1.0 - REGION.0) * (1.0 - CONFIG.0);
        let four = named("four in one rack").exact().0;
        assert!(four > shared && four < shared * 1.001);
        assert!(named("two racks").exact().0 < four, "two beat four");
    }

    #[test]
    fn with_a_common_tenth_copies_gain_a_factor_of_ten_at_most() {
        let (down, tenth) = (Probability(0.001), Probability(0.1));
        let gain = |copies| down.0 / all_down(down, tenth, copies).0;
        assert!((9.9..10.0).contains(&gain(2)), "{}", gain(2));
        assert!((9.99..10.0001).contains(&gain(9)), "{}", gain(9));
    }

    #[test]
    fn the_beta_formula_agrees_with_an_exact_sum_over_the_causes() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..1_000 {
            let (down, beta) = (rng.f64() * 0.9, rng.f64());
            let copies = rng.usize(1..=5);
            let common = down * beta;
            let own = 1.0 - (1.0 - down) / (1.0 - common);
            let mut causes = vec![Probability(own); copies];
            causes.push(Probability(common));
            let placement = Placement {
                name: "random",
                causes,
                copies: (0..copies).map(|copy| vec![copy, copies]).collect(),
            };
            let formula =
                all_down(Probability(down), Probability(beta), copies as i32);
            assert!((formula.0 - placement.exact().0).abs() < 1e-12);
            let one = all_down(Probability(down), Probability(beta), 1);
            assert!((one.0 - down).abs() < 1e-12, "a copy's own share stays");
        }
    }
}
