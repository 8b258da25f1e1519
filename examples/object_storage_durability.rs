//! How many nines? From disks that fail by themselves, and from everything else.
//!
//! Look at the first table: with independent failures, nines are cheap, and what
//! counts is how soon you repair. An object that cannot be read now is not a lost
//! one: the two columns have nothing to do with each other. Look at the second: how
//! many racks may burn depends on where the shards lie. The third adds the causes
//! up. The sum is as large as its largest term, and that one is not a disk.
//!
//! Assumed, not measured: the rates of failure. Each shard has its own disk, repair
//! times are exponential, and shards are repaired side by side.

#[derive(Clone, Copy)]
struct Code {
    data: u32,
    parity: u32,
}

impl Code {
    fn shards(self) -> u32 {
        self.data + self.parity
    }
}

const SCHEMES: [(&str, Code); 5] = [
    ("2 copies", Code { data: 1, parity: 1 }),
    ("3 copies", Code { data: 1, parity: 2 }),
    ("RS(6,3)", Code { data: 6, parity: 3 }),
    (
        "RS(10,4)",
        Code {
            data: 10,
            parity: 4,
        },
    ),
    (
        "RS(17,3)",
        Code {
            data: 17,
            parity: 3,
        },
    ),
];
const HOURS_PER_YEAR: f64 = 8_760.0;
/// Of a hundred disks, this many fail in a year.
const DISKS_PER_YEAR: f64 = 0.015;
/// The share of machines that are down at any moment, with their data intact.
const MACHINES_DOWN: f64 = 0.01;

// ANCHOR: chain
/// The chance that an object is lost within a year: that more than `parity` of its
/// disks are dead at one time. `failures` a year and disk; `repair` in hours.
fn loss_per_year(code: Code, failures: f64, repair: f64) -> f64 {
    let fail = failures / HOURS_PER_YEAR;
    let (mut step, mut until_loss) = (0.0, 0.0);
    for dead in 0..=code.parity {
        // How long from `dead` disks to one more. Now and then a repair comes
        // first; then the last step has to be made again.
        let more = f64::from(code.shards() - dead) * fail;
        let fewer = f64::from(dead) / repair;
        step = (1.0 + fewer * step) / more;
        until_loss += step;
    }
    -(-HOURS_PER_YEAR / until_loss).exp_m1()
}
// ANCHOR_END: chain

/// The chance that at least `k` of `n` things happen, each with chance `p`.
fn at_least(k: u32, n: u32, p: f64) -> f64 {
    let ways = |i: u32| (0..i).map(|j| f64::from(n - j) / f64::from(j + 1));
    let exactly = |i: u32| {
        ways(i).product::<f64>() * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32)
    };
    (k..=n).map(exactly).sum()
}

fn nines(chance: f64) -> f64 {
    -chance.log10()
}

// ANCHOR: racks
/// Shards are dealt to the racks in turn. How many racks may be lost, whichever
/// they are? The fullest come first.
fn racks_spared(code: Code, racks: u32) -> u32 {
    let racks = racks.min(code.shards());
    let shards = |rack: u32| (code.shards() + racks - 1 - rack) / racks;
    let mut left = code.shards();
    let lost = (0..racks).take_while(|rack| {
        left -= shards(*rack);
        left >= code.data
    });
    lost.count() as u32
}
// ANCHOR_END: racks

/// What loses data, and how often a year.
type Cause = (&'static str, f64);

/// For RS(6,3), repaired within a day.
fn causes() -> [Cause; 5] {
    let code = SCHEMES[2].1;
    let (rack, disk) = (1e-3, DISKS_PER_YEAR / 365.0); // a year; a day
    [
        (
            "four disks within a day",
            loss_per_year(code, DISKS_PER_YEAR, 24.0),
        ),
        (
            "one rack of three, a disk within a day",
            rack * 3.0 * disk * 6.0,
        ),
        ("the rack, when all nine are in one", rack),
        ("the site", 1e-4),
        ("a bug or a person deletes it", 1e-4),
    ]
}

fn main() {
    println!("disks that fail by themselves: nines of a year");
    println!("{:<11}{:>29}{:>20}", "", "repaired within", "unreadable");
    print!("{:<11}{:>9}{:>10}{:>10}", "", "1 h", "1 day", "1 week");
    println!("{:>20}", "just now");
    for (name, code) in SCHEMES {
        print!("{name:<11}");
        for repair in [1.0, 24.0, 168.0] {
            let lost = loss_per_year(code, DISKS_PER_YEAR, repair);
            print!("{:>9.1} ", nines(lost));
        }
        let down = at_least(code.parity + 1, code.shards(), MACHINES_DOWN);
        println!("{:>16.1} in a million", down * 1e6);
    }
    println!("\nracks that may be lost, by the number of racks in use");
    print!("{:<11}", "");
    for racks in [1, 2, 3, 4, 7, 9, 14] {
        print!("{racks:>8}");
    }
    println!();
    for (name, code) in SCHEMES {
        print!("{name:<11}");
        for racks in [1, 2, 3, 4, 7, 9, 14] {
            print!("{:>8}", racks_spared(code, racks));
        }
        println!();
    }
    println!(
        "\nRS(6,3), what loses an object{:>18}{:>9}",
        "a year", "nines"
    );
    for (cause, chance) in causes() {
        println!("{cause:<38}{chance:>9.0e}{:>9.1}", nines(chance));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same as others count it: cut the year into periods as long as a repair,
    /// and ask how often more than `parity` disks fail within one.
    fn loss_by_periods(code: Code, failures: f64, repair: f64) -> f64 {
        let periods = HOURS_PER_YEAR / repair;
        let fails = -(-failures / periods).exp_m1(); // at least once in a period
        at_least(code.parity + 1, code.shards(), fails) * periods
    }

    #[test]
    fn the_chain_agrees_with_a_simulation_of_disks_that_fail_and_are_repaired() {
        let (code, failures, repair) = (Code { data: 4, parity: 2 }, 20.0, 24.0);
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut hours, mut losses, mut dead) = (0.0, 0, 0);
        while losses < 4_000 {
            let fail = f64::from(code.shards() - dead) * failures / HOURS_PER_YEAR;
            let mend = f64::from(dead) / repair;
            hours += -(1.0 - rng.f64()).ln() / (fail + mend);
            dead = if rng.f64() * (fail + mend) < fail {
                dead + 1
            } else {
                dead - 1
            };
            if dead > code.parity {
                (losses, dead) = (losses + 1, 0);
            }
        }
        let per_year = f64::from(losses) * HOURS_PER_YEAR / hours;
        let computed = -(-loss_per_year(code, failures, repair)).ln_1p();
        assert!(
            (per_year / computed - 1.0).abs() < 0.05,
            "{per_year} {computed}"
        );
    }

    #[test]
    fn by_periods_it_is_the_published_table_of_backblazes_program() {
        // 17 + 3, a failure rate of 0.00405 a year, replaced within 6.5 days.
        let code = |parity| Code {
            data: 20 - parity,
            parity,
        };
        for (parity, published) in [(3, 7.354e-12), (2, 2.399e-08), (1, 5.545e-05)] {
            let ours = loss_by_periods(code(parity), 0.00405, 6.5 * 24.0);
            assert!((ours / published - 1.0).abs() < 5e-4, "{ours}");
        }
    }

    /// Losses a year, where `repaired` says when a disk that fails then is replaced.
    fn simulated(code: Code, failures: f64, repaired: fn(f64) -> f64) -> f64 {
        let mut rng = fastrand::Rng::with_seed(2);
        let (mut now, mut losses, mut dead) = (0.0, 0, Vec::<f64>::new());
        while losses < 600 {
            let alive = f64::from(code.shards()) - dead.len() as f64;
            let next =
                now - (1.0 - rng.f64()).ln() * HOURS_PER_YEAR / (alive * failures);
            // The first to come: a repair, or the next failure.
            let first = dead.iter().copied().fold(next, f64::min);
            now = first;
            if first < next {
                dead.retain(|at| *at > now);
                continue;
            }
            dead.push(repaired(now));
            if dead.len() as u32 > code.parity {
                (losses, dead) = (losses + 1, Vec::new());
            }
        }
        f64::from(losses) * HOURS_PER_YEAR / now
    }

    #[test]
    fn periods_are_right_if_all_is_repaired_at_their_end_the_chain_if_each_in_turn()
    {
        let (code, failures) = (Code { data: 4, parity: 2 }, 5.0);
        let at_the_end = |now: f64| (now / 24.0).floor() * 24.0 + 24.0;
        let periods = loss_by_periods(code, failures, 24.0);
        let ratio = simulated(code, failures, at_the_end) / periods;
        assert!((ratio - 1.0).abs() < 0.12, "{ratio}");
        let chain = loss_per_year(code, failures, 24.0);
        let ratio = simulated(code, failures, |now| now + 24.0) / chain;
        assert!((ratio - 1.0).abs() < 0.12, "{ratio}");
    }

    #[test]
    fn repaired_each_in_turn_m_plus_1_times_as_much_is_lost_as_by_periods() {
        for (name, code) in SCHEMES {
            let chain = loss_per_year(code, DISKS_PER_YEAR, 24.0);
            let ratio = chain / loss_by_periods(code, DISKS_PER_YEAR, 24.0);
            let expected = f64::from(code.parity + 1);
            assert!((ratio / expected - 1.0).abs() < 0.01, "{name}: {ratio}");
        }
    }

    #[test]
    fn ten_times_faster_repair_adds_a_nine_for_each_parity_shard() {
        for (name, code) in SCHEMES {
            let at = |hours| nines(loss_per_year(code, DISKS_PER_YEAR, hours));
            let gained = at(10.0) - at(100.0);
            assert!(
                (gained - f64::from(code.parity)).abs() < 0.03,
                "{name}: {gained}"
            );
        }
    }

    #[test]
    fn one_more_parity_shard_adds_about_four_nines_if_a_repair_takes_a_day() {
        for data in [1, 6, 10, 17] {
            for parity in 1..=4 {
                let at = |parity| {
                    let code = Code { data, parity };
                    nines(loss_per_year(code, DISKS_PER_YEAR, 24.0))
                };
                let gained = at(parity + 1) - at(parity);
                assert!((gained - 4.0).abs() < 0.65, "{data} + {parity}: {gained}");
            }
        }
    }

    #[test]
    fn racks_spared_is_what_trying_every_set_of_racks_finds() {
        for (name, code) in SCHEMES {
            for racks in 1..=8_u32 {
                let left = |gone: u32| {
                    let here = |shard: &u32| gone >> (shard % racks) & 1 == 0;
                    (0..code.shards()).filter(here).count() as u32
                };
                let fine = |lost: u32| {
                    let mut sets =
                        (0..1_u32 << racks).filter(|set| set.count_ones() == lost);
                    sets.all(|set| left(set) >= code.data)
                };
                let most =
                    (0..=racks).take_while(|lost| fine(*lost)).count() as u32 - 1;
                // Racks beyond the number of shards are empty, and not counted.
                if racks <= code.shards() {
                    assert_eq!(racks_spared(code, racks), most, "{name}, {racks}");
                }
            }
        }
    }

    #[test]
    fn the_sum_of_the_causes_is_nearly_its_largest_term() {
        let without_one_rack: f64 = causes()
            .iter()
            .filter(|(_, p)| *p < 1e-3)
            .map(|(_, p)| p)
            .sum();
        assert!((nines(without_one_rack) - 3.7).abs() < 0.01);
        assert!(causes()[0].1 < without_one_rack * 1e-8);
    }

    #[test]
    fn eleven_nines_of_ten_million_objects_lose_one_in_ten_thousand_years() {
        let years: f64 = 1.0 / (10_000_000.0 * 1e-11);
        assert_eq!(years.round(), 10_000.0);
        let minutes_a_year: f64 = (1.0 - 0.9999) * 365.0 * 24.0 * 60.0;
        assert_eq!(minutes_a_year.round(), 53.0);
    }
}
