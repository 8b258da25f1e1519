//! When to wake somebody: the error budget, and how fast it burns.
//!
//! Look at the first table: the worse the outage, the sooner the alert, and each
//! alert comes when a known part of the month's budget is spent. `reset` is how
//! long it goes on after the outage, which is mended half an hour after the alert.
//! Then compare three rules over four months: the threshold wakes people for
//! nothing and misses the slow burn.
//!
//! The numbers 14.4, 6 and 1 and their windows are those of Google's SRE Workbook,
//! chapter 5. Simplified: traffic is constant, so that a share of the requests is
//! a share of the time; no data is late; the rules are evaluated every 20 s.

use Urgency::{Page, Ticket};

/// Seconds since the month began.
type Second = usize;

const STEP_S: Second = 20;
const MINUTE: Second = 60;
const HOUR: Second = 60 * MINUTE;
const DAY: Second = 24 * HOUR;
const PERIOD: Second = 30 * DAY;
const SLO: f64 = 0.999;
const BUDGET: f64 = 1.0 - SLO; // the share of requests that may fail

/// The share of requests that fail, for each step; as running sums, so that
/// the mean over any window takes two look-ups.
struct Errors {
    until: Vec<f64>,
}

impl Errors {
    fn new(length: Second, share: impl Fn(Second) -> f64) -> Self {
        let mut until = vec![0.0];
        let mut sum = 0.0;
        for step in 0..length / STEP_S {
            sum += share(step * STEP_S);
            until.push(sum);
        }
        Self { until }
    }

    /// The mean over the `window` before `now`. Before the beginning all is well.
    fn mean(&self, now: Second, window: Second) -> f64 {
        let (now, window) = (now / STEP_S, window / STEP_S);
        (self.until[now] - self.until[now.saturating_sub(window)]) / window as f64
    }

    /// The part of the period's budget that is spent by `now`.
    fn spent(&self, now: Second) -> f64 {
        self.until[now / STEP_S] * STEP_S as f64 / PERIOD as f64 / BUDGET
    }
}

// ANCHOR: rules
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Page,   // wake somebody
    Ticket, // next working day
}

/// Fires while the budget burns at `burn_rate` times the rate that would use it
/// up exactly at the end of the period, over both windows.
struct Rule {
    urgency: Urgency,
    burn_rate: f64,
    long: Second,  // decides whether it matters
    short: Second, // decides whether it still goes on
}

#[rustfmt::skip]
const WORKBOOK: [Rule; 3] = [
    Rule { urgency: Page, burn_rate: 14.4, long: HOUR, short: 5 * MINUTE },
    Rule { urgency: Page, burn_rate: 6.0, long: 6 * HOUR, short: 30 * MINUTE },
    Rule { urgency: Ticket, burn_rate: 1.0, long: 3 * DAY, short: 6 * HOUR },
];

impl Rule {
    fn fires(&self, errors: &Errors, now: Second) -> bool {
        let limit = self.burn_rate * BUDGET;
        let above = |window| errors.mean(now, window) > limit + 1e-12;
        above(self.long) && above(self.short)
    }
}
// ANCHOR_END: rules

type Alert<'a> = &'a dyn Fn(&Errors, Second) -> bool;

// ANCHOR: alerts
fn page(errors: &Errors, now: Second) -> bool {
    let urgent = |rule: &&Rule| rule.urgency == Page;
    WORKBOOK
        .iter()
        .filter(urgent)
        .any(|rule| rule.fires(errors, now))
}

fn page_or_ticket(errors: &Errors, now: Second) -> bool {
    WORKBOOK.iter().any(|rule| rule.fires(errors, now))
}

/// What one writes first: more than 1 % of one minute's requests failed.
fn threshold(errors: &Errors, now: Second) -> bool {
    errors.mean(now, MINUTE) > 0.01 + 1e-12
}

/// The same with patience: above 1 % at every evaluation of ten minutes.
fn patient(errors: &Errors, now: Second) -> bool {
    let since = (now + STEP_S).saturating_sub(10 * MINUTE);
    now >= 10 * MINUTE && (since..=now).step_by(STEP_S).all(|t| threshold(errors, t))
}
// ANCHOR_END: alerts

/// How often the alert begins to fire within the first `length`.
fn times(errors: &Errors, length: Second, alert: Alert) -> usize {
    let mut before = false;
    let mut count = 0;
    for now in (0..=length).step_by(STEP_S) {
        let fires = alert(errors, now);
        count += usize::from(fires && !before);
        before = fires;
    }
    count
}

/// When it first fires, if it does.
fn first(errors: &Errors, from: Second, alert: Alert) -> Option<Second> {
    let length = (errors.until.len() - 1) * STEP_S;
    (from..=length)
        .step_by(STEP_S)
        .find(|now| alert(errors, *now))
}

/// After three days without an error, when even the longest window is clean.
const BEGIN: Second = 3 * DAY;

struct Outage {
    urgency: Urgency,
    after: Second,
    spent: f64,
    reset: Second,
}

/// The first alert of an outage that ends half an hour after that alert.
fn outage(share: f64) -> Option<Outage> {
    let length = BEGIN + 4 * DAY;
    let endless = Errors::new(length, |t| if t >= BEGIN { share } else { 0.0 });
    let at = first(&endless, BEGIN, &page_or_ticket)?;
    let rule = WORKBOOK.iter().find(|rule| rule.fires(&endless, at))?;
    let end = at + 30 * MINUTE;
    let mended = |t| {
        if (BEGIN..end).contains(&t) {
            share
        } else {
            0.0
        }
    };
    let errors = Errors::new(length, mended);
    let alert = if rule.urgency == Page {
        page
    } else {
        page_or_ticket
    };
    let quiet = first(&errors, end, &|errors, now| !alert(errors, now))?;
    Some(Outage {
        urgency: rule.urgency,
        after: at - BEGIN,
        spent: endless.spent(at),
        reset: quiet - end,
    })
}

fn span(s: Second) -> String {
    match s {
        0..=119 => format!("{s} s"),
        120..=7_199 => format!("{:.0} min", s as f64 / 60.0),
        _ => format!("{:.1} h", s as f64 / 3_600.0),
    }
}

type Month = (&'static str, fn(Second) -> f64);
const MONTHS: [Month; 4] = [
    ("5 % for 1 min, 6 a day", |t| {
        if t % (4 * HOUR) < MINUTE {
            0.05
        } else {
            0.0
        }
    }),
    ("0.3 % all the time", |_| 0.003),
    ("100 % for 5 of 15 min", |t| {
        let bad_hour = (20 * DAY..20 * DAY + HOUR).contains(&t);
        f64::from(u8::from(bad_hour && t % (15 * MINUTE) < 5 * MINUTE))
    }),
    ("0.09 %, as allowed", |_| 0.000_9),
];

fn main() {
    println!("SLO 99.9 % over 30 days\n");
    println!("errors  burn rate  alert    after     budget spent  reset");
    for share in [1.0, 0.1, 0.02, 0.01, 0.005, 0.002, 0.001] {
        print!("{:>5} % {:>9}", share * 100.0, (share / BUDGET).round());
        match outage(share) {
            Some(o) => {
                let urgency = format!("{:?}", o.urgency);
                print!(
                    "   {urgency:<7} {:>8} {:>10.1} %",
                    span(o.after),
                    o.spent * 100.0
                );
                println!(" {:>11}", span(o.reset));
            }
            None => println!("   none"),
        }
    }
    println!("\nalerts in a month        budget     > 1 %   for      burn rate");
    println!("                          spent  in 1 min  10 min  page  +ticket");
    for (name, share) in MONTHS {
        let errors = Errors::new(PERIOD, share);
        let count = |alert: Alert| times(&errors, PERIOD, alert);
        print!("{name:<22} {:>6.0} %", errors.spent(PERIOD) * 100.0);
        print!(" {:>9} {:>7}", count(&threshold), count(&patient));
        println!(" {:>5} {:>8}", count(&page), count(&page_or_ticket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_comes_when_the_formula_says_and_a_known_budget_is_spent() {
        // Detection: budget / share × window × burn rate, and up to one step.
        for (share, rule) in [(1.0, 0), (0.1, 0), (0.02, 0), (0.01, 1), (0.005, 2)] {
            let Rule {
                burn_rate, long, ..
            } = WORKBOOK[rule];
            let formula = BUDGET / share * long as f64 * burn_rate;
            let outage = outage(share).expect("an alert");
            let late = outage.after as f64 - formula;
            assert!(
                late > -1e-6 && late <= STEP_S as f64 + 1e-6,
                "{share}: {late}"
            );
            let spent = burn_rate * long as f64 / PERIOD as f64;
            let step = STEP_S as f64 * share / BUDGET / PERIOD as f64;
            assert!((outage.spent - spent).abs() <= step + 1e-9, "{share}");
        }
    }

    #[test]
    fn the_three_rules_stand_for_2_5_and_10_percent_of_the_budget() {
        let part = |rule: &Rule| rule.burn_rate * rule.long as f64 / PERIOD as f64;
        let parts: Vec<f64> = WORKBOOK.iter().map(part).collect();
        for (part, expected) in parts.iter().zip([0.02, 0.05, 0.1]) {
            assert!((part - expected).abs() < 1e-9);
        }
        assert!(WORKBOOK.iter().all(|rule| rule.long == 12 * rule.short));
    }

    #[test]
    fn the_short_window_ends_the_alert_five_minutes_after_the_outage() {
        let end = BEGIN + 10 * MINUTE;
        let share = |t| if (BEGIN..end).contains(&t) { 1.0 } else { 0.0 };
        let errors = Errors::new(BEGIN + DAY, share);
        let reset = |rule: &Rule| {
            let quiet = (end..).step_by(STEP_S).find(|t| !rule.fires(&errors, *t));
            quiet.expect("an end") - end
        };
        assert!(reset(&WORKBOOK[0]) <= 5 * MINUTE);
        let long_only = Rule {
            short: HOUR,
            ..WORKBOOK[0]
        };
        assert!(reset(&long_only) > 58 * MINUTE);
    }

    #[test]
    fn a_threshold_wakes_people_in_a_month_that_keeps_its_promise() {
        let errors = Errors::new(PERIOD, MONTHS[0].1);
        assert!(errors.spent(PERIOD) < 0.25);
        assert_eq!(times(&errors, PERIOD, &threshold), 180);
        assert_eq!(times(&errors, PERIOD, &page_or_ticket), 0);
    }

    #[test]
    fn a_threshold_is_blind_to_a_slow_burn_that_spends_the_budget_three_times() {
        let errors = Errors::new(PERIOD, MONTHS[1].1);
        assert!((errors.spent(PERIOD) - 3.0).abs() < 1e-6);
        assert_eq!(times(&errors, PERIOD, &threshold), 0);
        let ticket = first(&errors, 0, &page_or_ticket).expect("a ticket");
        assert!(
            (DAY..=DAY + STEP_S).contains(&ticket),
            "after a day: {ticket}"
        );
    }

    #[test]
    fn a_slow_burn_is_a_ticket_and_wakes_nobody() {
        let errors = Errors::new(PERIOD, MONTHS[1].1);
        assert_eq!(times(&errors, PERIOD, &page), 0);
        assert_eq!(times(&errors, PERIOD, &page_or_ticket), 1);
    }

    #[test]
    fn the_whole_budget_is_not_above_the_limit_and_a_tenth_more_is() {
        assert!(outage(0.001).is_none());
        let more = outage(0.001_1).expect("an alert");
        assert_eq!(more.urgency, Ticket);
    }

    #[test]
    fn patience_misses_an_outage_that_comes_and_goes() {
        let errors = Errors::new(PERIOD, MONTHS[2].1);
        assert!(errors.spent(PERIOD) > 0.4);
        assert_eq!(times(&errors, PERIOD, &patient), 0);
        assert!(times(&errors, PERIOD, &page) > 0);
    }

    #[test]
    fn a_service_within_its_budget_is_left_alone() {
        let errors = Errors::new(PERIOD, MONTHS[3].1);
        assert_eq!(times(&errors, PERIOD, &page_or_ticket), 0);
    }
}
