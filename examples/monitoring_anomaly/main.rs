//! An alarm that nobody set a threshold for, and how often it cries wolf.
//!
//! Look at the false alarms: nothing is wrong on those days. `promise` is what the
//! normal distribution says of the rule. It holds for traffic that comes at random,
//! and is broken by traffic in bursts with the same mean and the same daily wave.
//! Then look at how long a drop by 30 % and one by 10 % go on before each rule
//! sees it.
//!
//! Traffic is in `traffic.rs`, what is usual in `baseline.rs`, the rules are in
//! `rules.rs`. Simplified: the expected traffic is a step for each hour of the
//! day, without weekends, growth or holidays; a drop begins at noon, on each of
//! 100 days.

mod baseline;
mod rules;
mod traffic;

use baseline::Baseline;
use rules::{Ewma, InARow, Rule, Single};
use traffic::{Count, Traffic, HOURS, MINUTES};

const LEARN_DAYS: usize = 28;
const QUIET_DAYS: usize = 200;
const DROP_DAYS: usize = 100;
const NOON: usize = 12 * 60;

type New = fn() -> Box<dyn Rule>;

/// A rule, whether it knows the hours of the day, and the chance that it begins
/// to be alarmed in a minute if the scores were normal deviates.
struct Row {
    name: &'static str,
    by_hour: bool,
    new: New,
    chance: Option<f64>,
}

const BEYOND_2: f64 = 0.022_75; // of one side; beyond 3 and 5, of both:
const BEYOND_3: f64 = 0.002_700;
const BEYOND_5: f64 = 5.733e-7;

fn rows() -> [Row; 5] {
    let row = |name, by_hour, new: New, chance| Row {
        name,
        by_hour,
        new,
        chance,
    };
    let three: New = || Box::new(Single { limit: 3.0 });
    let five: New = || Box::new(Single { limit: 5.0 });
    let in_a_row: New = || {
        Box::new(InARow {
            limit: 2.0,
            last: [0.0; 3],
        })
    };
    let ewma: New = || {
        Box::new(Ewma {
            weight: 0.2,
            limit: 4.5,
            mean: 0.0,
        })
    };
    let thrice = 2.0 * BEYOND_2.powi(3);
    [
        row("beyond 3, hour unknown", false, three, Some(BEYOND_3)),
        row("beyond 3", true, three, Some(BEYOND_3)),
        row("beyond 5", true, five, Some(BEYOND_5)),
        row("3 in a row beyond 2", true, in_a_row, Some(thrice)),
        row("EWMA", true, ewma, None),
    ]
}

struct Scene {
    by_hour: Baseline,
    all_day: Baseline,
    quiet: Vec<Count>,
}

fn scene(bursts: f64) -> Scene {
    let traffic = Traffic::new(bursts, 1.0);
    let mut rng = fastrand::Rng::with_seed(11);
    let mut days = |days: usize| -> Vec<Count> {
        (0..days * MINUTES)
            .map(|m| traffic.minute(m, &mut rng))
            .collect()
    };
    let history = days(LEARN_DAYS);
    Scene {
        by_hour: Baseline::learn(&history, HOURS),
        all_day: Baseline::learn(&history, 1),
        quiet: days(QUIET_DAYS),
    }
}

impl Scene {
    fn baseline(&self, row: &Row) -> &Baseline {
        if row.by_hour {
            &self.by_hour
        } else {
            &self.all_day
        }
    }
}

/// False alarms a day: how often the rule begins to be alarmed.
fn false_alarms(scene: &Scene, row: &Row) -> f64 {
    let mut rule = (row.new)();
    let baseline = scene.baseline(row);
    let (mut before, mut alarms) = (false, 0);
    for (minute, count) in scene.quiet.iter().enumerate() {
        let alarm = rule.alarm(baseline.score(minute, *count));
        alarms += usize::from(alarm && !before);
        before = alarm;
    }
    alarms as f64 / QUIET_DAYS as f64
}

/// The median of the minutes until the alarm, for a drop to `left` from noon on.
/// Nothing if most drops are not seen within two hours.
fn minutes_to_see(scene: &Scene, row: &Row, left: f64) -> Option<usize> {
    let traffic = Traffic::new(0.0, left);
    let baseline = scene.baseline(row);
    let mut rng = fastrand::Rng::with_seed(12);
    let mut seen: Vec<usize> = (0..DROP_DAYS)
        .map(|_| {
            let mut rule = (row.new)();
            (1..=120)
                .find(|after| {
                    let minute = NOON + after;
                    let count = traffic.minute(minute, &mut rng);
                    rule.alarm(baseline.score(minute, count))
                })
                .unwrap_or(usize::MAX)
        })
        .collect();
    seen.sort_unstable();
    Some(seen[DROP_DAYS / 2]).filter(|minutes| *minutes < usize::MAX)
}

fn main() {
    let (random, bursty) = (scene(0.0), scene(0.05));
    println!("                       false alarms a day       minutes to see");
    println!("                      promise  random  bursty   -30 %   -10 %");
    for row in rows() {
        print!("{:<23}", row.name);
        match row.chance {
            Some(chance) => print!("{:>6.3}", chance * MINUTES as f64),
            None => print!("     -"),
        }
        for scene in [&random, &bursty] {
            print!(" {:>7.2}", false_alarms(scene, &row));
        }
        for left in [0.7, 0.9] {
            let minutes = minutes_to_see(&random, &row, left);
            print!(
                " {:>7}",
                minutes.map_or("> 120".to_owned(), |m| m.to_string())
            );
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic::{expected, Poisson};

    fn row(name: &str) -> Row {
        rows()
            .into_iter()
            .find(|row| row.name == name)
            .expect("a row")
    }

    #[test]
    fn both_kinds_of_traffic_have_the_same_mean() {
        let mean = |scene: Scene| {
            let all: f64 = scene.quiet.iter().map(|n| f64::from(*n)).sum();
            all / scene.quiet.len() as f64
        };
        let (random, bursty) = (mean(scene(0.0)), mean(scene(0.05)));
        assert!((random / 100.0 - 1.0).abs() < 0.01, "{random}");
        assert!((bursty / random - 1.0).abs() < 0.01, "{bursty}");
    }

    #[test]
    fn a_poisson_count_has_a_variance_equal_to_its_mean() {
        let mut rng = fastrand::Rng::with_seed(3);
        for mean in [1.0, 25.0, 175.0] {
            let poisson = Poisson::new(mean);
            let draws: Vec<f64> = (0..40_000)
                .map(|_| f64::from(poisson.draw(&mut rng)))
                .collect();
            let average = draws.iter().sum::<f64>() / 40_000.0;
            let square = |n: &f64| (n - average).powi(2);
            let variance = draws.iter().map(square).sum::<f64>() / 40_000.0;
            assert!((average / mean - 1.0).abs() < 0.02, "{average}");
            assert!((variance / mean - 1.0).abs() < 0.04, "{variance}");
        }
    }

    #[test]
    fn three_deviations_cost_four_false_alarms_a_day_if_traffic_is_random() {
        let alarms = false_alarms(&scene(0.0), &row("beyond 3"));
        let promise = BEYOND_3 * MINUTES as f64;
        assert!((3.88..3.89).contains(&promise));
        assert!((alarms / promise - 1.0).abs() < 0.1, "{alarms}");
    }

    #[test]
    fn an_alarm_that_lasts_counts_once() {
        let (mut scene, row) = (scene(0.0), row("beyond 5"));
        let alarms = |scene: &Scene| false_alarms(scene, &row) * QUIET_DAYS as f64;
        let before = alarms(&scene);
        scene.quiet[NOON..NOON + 60].fill(0);
        assert_eq!(alarms(&scene).round(), before.round() + 1.0);
    }

    #[test]
    fn bursts_break_the_promise_five_times_over() {
        let alarms = false_alarms(&scene(0.05), &row("beyond 3"));
        assert!(alarms > 5.0 * BEYOND_3 * MINUTES as f64, "{alarms}");
    }

    #[test]
    fn three_in_a_row_is_a_hundred_times_quieter_and_two_minutes_later() {
        let random = scene(0.0);
        let (single, thrice) = (row("beyond 3"), row("3 in a row beyond 2"));
        let alarms = |row| false_alarms(&random, row);
        assert!(alarms(&single) > 80.0 * alarms(&thrice));
        assert_eq!(minutes_to_see(&random, &single, 0.7), Some(1));
        assert_eq!(minutes_to_see(&random, &thrice, 0.7), Some(3));
    }

    #[test]
    fn without_the_hour_of_the_day_a_drop_is_not_seen() {
        let random = scene(0.0);
        let blind = row("beyond 3, hour unknown");
        assert_eq!(minutes_to_see(&random, &blind, 0.7), None);
    }

    #[test]
    fn a_weighted_mean_sees_a_small_drop_that_single_minutes_hide() {
        let random = scene(0.0);
        let ewma = minutes_to_see(&random, &row("EWMA"), 0.9).expect("seen");
        assert!(ewma < 20, "{ewma}");
        assert!(false_alarms(&random, &row("EWMA")) < 0.05);
        assert_eq!(minutes_to_see(&random, &row("beyond 5"), 0.9), None);
        let thrice = minutes_to_see(&random, &row("3 in a row beyond 2"), 0.9);
        assert!(thrice.is_none_or(|minutes| minutes > 2 * ewma));
    }

    #[test]
    fn an_outage_in_the_history_makes_the_rule_blind() {
        let traffic = Traffic::new(0.0, 1.0);
        let mut rng = fastrand::Rng::with_seed(5);
        let minutes = 0..LEARN_DAYS * MINUTES;
        let mut history: Vec<Count> =
            minutes.map(|m| traffic.minute(m, &mut rng)).collect();
        let score = |history: &[Count]| {
            let dropped = (expected(12) * 0.7) as Count;
            Baseline::learn(history, HOURS).score(NOON, dropped)
        };
        assert!(score(&history) < -3.0);
        for day in [3, 17] {
            let noon = day * MINUTES + NOON;
            history[noon..noon + 60].fill(0); // two hours of 28
        }
        assert!(score(&history) > -1.5);
    }
}
