//! Reliability, availability and durability: three numbers of the same machines.
//!
//! First 200 machines of each of three kinds, watched for a year. Look at the first
//! two: they are available for the same share of the time, and a job of a day seldom
//! ends on one and nearly always on the other. The third never stops and loses a
//! tenth of what it keeps. Then two machines instead of one, in six ways, over 2,000
//! years: look at what a second machine is worth when the switch fails, when each is
//! too busy to carry all, and when both fail together.
//!
//! Simplified: times to failure and to repair are exponential, machines fail
//! independently unless the line says otherwise, and a failure is noticed at once.

use fastrand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Hours(f64);

const YEAR: Hours = Hours(8_760.0);
const DAY: Hours = Hours(24.0);
const MACHINES: u64 = 200;
const OBJECTS: u32 = 1_000; // kept by each machine

/// A time with that mean, such that having waited tells nothing.
fn exponential(mean: Hours, rng: &mut Rng) -> Hours {
    Hours(-(1.0 - rng.f64()).ln() * mean.0)
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    to_failure: Hours, // means
    to_repair: Hours,
    loses_per_year: f64, // the chance of one object
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "often, shortly",
        to_failure: Hours(12.0),
        to_repair: Hours(0.12),
        loses_per_year: 0.000_1,
    },
    Kind {
        name: "rarely, for long",
        to_failure: Hours(1_000.0),
        to_repair: Hours(10.0),
        loses_per_year: 0.000_1,
    },
    Kind {
        name: "never, forgets",
        to_failure: Hours(1e9),
        to_repair: Hours(1.0),
        loses_per_year: 0.1,
    },
];

/// When a machine was down: from, until.
type Log = Vec<(f64, f64)>;

// ANCHOR: log
fn failure_log(kind: Kind, until: Hours, rng: &mut Rng) -> Log {
    let (mut log, mut now) = (Log::new(), 0.0);
    loop {
        let fails = now + exponential(kind.to_failure, rng).0;
        if fails >= until.0 {
            return log;
        }
        now = fails + exponential(kind.to_repair, rng).0;
        log.push((fails, now.min(until.0)));
    }
}
// ANCHOR_END: log

#[derive(Debug)]
struct Numbers {
    failures: usize,
    mean_up: f64, // hours; of failures seen
    mean_down: f64,
    availability: f64,
    reliability: f64, // share of the days that had no failure
    durability: f64,
}

// ANCHOR: numbers
fn numbers(kind: Kind, rng: &mut Rng) -> Numbers {
    let (mut failures, mut down, mut kept) = (0, 0.0, 0);
    let (mut days, mut good_days) = (0, 0);
    for _machine in 0..MACHINES {
        let log = failure_log(kind, YEAR, rng);
        failures += log.len();
        down += log.iter().map(|(from, to)| to - from).sum::<f64>();
        // A job of a day starts every day, if the machine is up.
        for day in 0..365 {
            let (start, end) = (f64::from(day) * DAY.0, f64::from(day + 1) * DAY.0);
            let next = log.partition_point(|(from, _)| *from < start);
            let up = next == 0 || log[next - 1].1 <= start;
            let fails = log.get(next).is_some_and(|(from, _)| *from < end);
            days += u32::from(up);
            good_days += u32::from(up && !fails);
        }
        kept += (0..OBJECTS)
            .filter(|_| rng.f64() >= kind.loses_per_year)
            .count();
    }
    let total = YEAR.0 * MACHINES as f64;
    let each = failures.max(1) as f64;
    Numbers {
        failures,
        mean_up: (total - down) / each,
        mean_down: down / each,
        availability: 1.0 - down / total,
        reliability: f64::from(good_days) / f64::from(days),
        durability: kept as f64 / f64::from(OBJECTS) / MACHINES as f64,
    }
}
// ANCHOR_END: numbers

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pair {
    One,
    /// One works, the other waits to be switched to.
    ActivePassive {
        switch: Hours,
        fails: f64,
    },
    /// Both work, each busy for that share of its time.
    ActiveActive {
        busy: f64,
    },
}

const MACHINE: Kind = KINDS[1];
const YEARS: f64 = 2_000.0;

/// Who fails again while it is down is up later: no two entries overlap.
fn united(mut log: Log) -> Log {
    log.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut all = Log::new();
    for (from, to) in log {
        match all.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => all.push((from, to)),
        }
    }
    all
}

/// Both logs in one: time, machine, whether it is up from then on.
fn events(together: f64, rng: &mut Rng) -> Vec<(f64, usize, bool)> {
    let until = Hours(YEAR.0 * YEARS);
    let mut logs = [0, 1].map(|_| failure_log(MACHINE, until, rng));
    let both = |log: &Log, rng: &mut Rng| -> Log {
        log.iter()
            .copied()
            .filter(|_| rng.f64() < together)
            .collect()
    };
    let (to_second, to_first) = (both(&logs[0], rng), both(&logs[1], rng));
    logs[0].extend(to_first);
    logs[1].extend(to_second);
    let mut all = Vec::new();
    for (machine, log) in logs.into_iter().enumerate() {
        for (from, to) in united(log) {
            all.push((from, machine, false));
            all.push((to, machine, true));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

// ANCHOR: pair
/// Hours of service lost in a year. When some requests are lost, an hour counts
/// for their share.
fn lost_hours(pair: Pair, events: &[(f64, usize, bool)], rng: &mut Rng) -> f64 {
    let (mut up, mut active, mut before, mut lost) = ([true; 2], 0, 0.0, 0.0);
    for &(now, machine, is_up) in events {
        let missing = match pair {
            Pair::One => f64::from(!up[0]),
            Pair::ActivePassive { .. } => f64::from(!up[active]),
            Pair::ActiveActive { busy } => match up {
                [true, true] => 0.0,
                [false, false] => 1.0,
                _ => 1.0 - (1.0 / (2.0 * busy)).min(1.0),
            },
        };
        lost += missing * (now - before);
        before = now;
        up[machine] = is_up;
        if let Pair::ActivePassive { switch, fails } = pair {
            let other = 1 - active;
            let dies = machine == active && !is_up;
            if !up[active] && up[other] && (!dies || rng.f64() >= fails) {
                lost += switch.0;
                active = other;
            }
        }
    }
    lost / YEARS
}
// ANCHOR_END: pair

const TWO_MINUTES: Hours = Hours(2.0 / 60.0);

/// Name, how they work together, share of failures that hit both.
const PAIRS: [(&str, Pair, f64); 7] = [
    ("one machine", Pair::One, 0.0),
    (
        "active-passive, switch in 2 min",
        Pair::ActivePassive {
            switch: TWO_MINUTES,
            fails: 0.0,
        },
        0.0,
    ),
    (
        "… 1 switch of 10 fails",
        Pair::ActivePassive {
            switch: TWO_MINUTES,
            fails: 0.1,
        },
        0.0,
    ),
    (
        "active-active, each 45 % busy",
        Pair::ActiveActive { busy: 0.45 },
        0.0,
    ),
    ("… each 80 % busy", Pair::ActiveActive { busy: 0.8 }, 0.0),
    (
        "… 45 %, 1 failure of 10 hits both",
        Pair::ActiveActive { busy: 0.45 },
        0.1,
    ),
    (
        "active-passive, 1 of 10 hits both",
        Pair::ActivePassive {
            switch: TWO_MINUTES,
            fails: 0.0,
        },
        0.1,
    ),
];

fn pair_hours((_, pair, together): (&str, Pair, f64)) -> f64 {
    let mut rng = Rng::with_seed(3);
    let events = events(together, &mut rng);
    lost_hours(pair, &events, &mut rng)
}

fn main() {
    println!(
        "200 machines, a year  failures  up h  down h  avail.%  day ok%  kept%"
    );
    for kind in KINDS {
        let n = numbers(kind, &mut Rng::with_seed(1));
        let mean_up = match n.failures {
            0 => "-".to_owned(),
            _ => format!("{:.0}", n.mean_up),
        };
        print!("{:<21} {:>8} {mean_up:>5}", kind.name, n.failures);
        print!(" {:>7.2} {:>8.2}", n.mean_down, 100.0 * n.availability);
        println!(
            " {:>8.1} {:>6.2}",
            100.0 * n.reliability,
            100.0 * n.durability
        );
    }
    println!(
        "\ntwo machines, each up 1000 h and down 10 h    lost h/year  served %"
    );
    for pair in PAIRS {
        let hours = pair_hours(pair);
        let served = 100.0 * (1.0 - hours / YEAR.0);
        println!("{:<46} {hours:>10.2} {served:>9.3}", pair.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_availability_and_another_reliability() {
        let [often, rarely, _] =
            KINDS.map(|kind| numbers(kind, &mut Rng::with_seed(1)));
        assert!((often.availability - rarely.availability).abs() < 0.001);
        assert!(often.reliability < 0.2 && rarely.reliability > 0.95);
    }

    #[test]
    fn availability_is_mean_up_over_mean_up_and_down() {
        for kind in &KINDS[..2] {
            let n = numbers(*kind, &mut Rng::with_seed(2));
            let formula = n.mean_up / (n.mean_up + n.mean_down);
            assert!((n.availability - formula).abs() < 1e-9);
        }
    }

    #[test]
    fn the_chance_of_a_day_without_failure_is_exponential_in_its_length() {
        for kind in &KINDS[..2] {
            let n = numbers(*kind, &mut Rng::with_seed(4));
            let formula = (-DAY.0 / kind.to_failure.0).exp();
            assert!((n.reliability - formula).abs() < 0.005, "{n:?} {formula}");
        }
    }

    #[test]
    fn what_never_stops_may_still_forget() {
        let n = numbers(KINDS[2], &mut Rng::with_seed(1));
        assert_eq!((n.failures, n.availability, n.reliability), (0, 1.0, 1.0));
        assert!((n.durability - 0.9).abs() < 0.01);
    }

    fn hours(name: &str) -> f64 {
        pair_hours(PAIRS.into_iter().find(|p| p.0 == name).expect("a pair"))
    }

    #[test]
    fn two_independent_machines_multiply_their_unavailability() {
        let down = 10.0 / 1_010.0;
        let one = hours("one machine") / YEAR.0;
        assert!((one / down - 1.0).abs() < 0.05, "{one}");
        let two = hours("active-active, each 45 % busy") / YEAR.0;
        assert!((two / (down * down) - 1.0).abs() < 0.25, "{two}");
    }

    #[test]
    fn failures_that_hit_both_cost_ten_times_the_independent_ones() {
        let alone = hours("active-active, each 45 % busy");
        let both = hours("… 45 %, 1 failure of 10 hits both");
        assert!(both > 10.0 * alone, "{both} {alone}");
        let passive = hours("active-passive, 1 of 10 hits both");
        assert!((passive / both - 1.0).abs() < 0.1, "{passive} {both}");
    }

    #[test]
    fn each_switch_costs_its_two_minutes() {
        let switch = hours("active-passive, switch in 2 min");
        let both_up = hours("active-active, each 45 % busy");
        // The active machine fails once in 1,010 hours.
        let expected = 8_760.0 / 1_010.0 * 2.0 / 60.0;
        let cost = switch - both_up;
        assert!((cost / expected - 1.0).abs() < 0.05, "{cost} {expected}");
    }

    #[test]
    fn a_united_log_is_down_whenever_one_of_its_entries_is() {
        let mut rng = Rng::with_seed(5);
        for _ in 0..500 {
            let entry = |rng: &mut Rng| {
                let from = rng.u8(..60);
                (f64::from(from), f64::from(from + rng.u8(1..9)))
            };
            let log: Log = (0..rng.usize(..12)).map(|_| entry(&mut rng)).collect();
            let united = united(log.clone());
            assert!(united.windows(2).all(|pair| pair[0].1 < pair[1].0));
            let down = |log: &Log, at: f64| log.iter().any(|e| e.0 < at && at < e.1);
            for minute in 0..70 {
                let at = f64::from(minute) + 0.5;
                assert_eq!(down(&united, at), down(&log, at), "{log:?}");
            }
        }
    }

    #[test]
    fn a_failed_switch_and_a_busy_survivor_each_cost_more_than_the_switch() {
        let switch = hours("active-passive, switch in 2 min");
        assert!(hours("… 1 switch of 10 fails") > 5.0 * switch);
        assert!(hours("… each 80 % busy") > 5.0 * switch);
    }
}
