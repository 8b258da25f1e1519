//! What the chapter says of Prometheus: when an alert fires and when it ends, and
//! which of its numbers are not what they look like.

use anyhow::{anyhow, Result};
use real::monitoring::*;
use real::program::{skip_if_missing, PROMETHEUS};
use real::prometheus::{Prometheus, State};
use std::sync::OnceLock;

type Played<T> = OnceLock<Result<Option<T>, String>>;

/// A scene is played once, for all tests; `None` where Prometheus is missing.
fn played<T: Clone>(
    once: &Played<T>,
    scene: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    let outcome =
        once.get_or_init(|| skip_if_missing(scene()).map_err(|e| format!("{e:#}")));
    outcome.clone().map_err(|error| anyhow!(error))
}

fn life() -> Result<Option<Lifecycle>> {
    static ONCE: Played<Lifecycle> = OnceLock::new();
    played(&ONCE, lifecycle)
}

fn restarted() -> Result<Option<Restart>> {
    static ONCE: Played<Restart> = OnceLock::new();
    played(&ONCE, restart)
}

fn p99s() -> Result<Option<Percentiles>> {
    static ONCE: Played<Percentiles> = OnceLock::new();
    played(&ONCE, percentiles)
}

fn died() -> Result<Option<Death>> {
    static ONCE: Played<Death> = OnceLock::new();
    played(&ONCE, death)
}

fn targets() -> Result<Option<Exposed>> {
    static ONCE: Played<Exposed> = OnceLock::new();
    played(&ONCE, exposed)
}

fn moment(short_above: bool, long_above: bool, alert: &[State]) -> Moment {
    Moment { short_above, long_above, alert: alert.to_vec() }
}

#[test]
fn without_errors_both_windows_are_below_and_the_alert_is_inactive() -> Result<()> {
    let Some(life) = life()? else { return Ok(()) };
    assert_eq!(life.quiet, moment(false, false, &[State::Inactive]));
    Ok(())
}

#[test]
fn a_burst_lifts_the_short_window_alone_and_pages_nobody() -> Result<()> {
    let Some(life) = life()? else { return Ok(()) };
    assert_eq!(life.burst, moment(true, false, &[State::Inactive]));
    Ok(())
}

#[test]
fn lasting_errors_lift_both_windows_and_the_alert_is_pending_before_it_fires(
) -> Result<()> {
    let Some(life) = life()? else { return Ok(()) };
    let states = [State::Pending, State::Firing];
    assert_eq!(life.failing, moment(true, true, &states));
    assert_eq!(life.page.state, State::Firing);
    assert_eq!(life.page.labels["severity"], "page");
    assert!(life.page.summary.starts_with("shop fails "), "{:?}", life.page);
    assert!(life.page.summary.ends_with('%'), "{:?}", life.page);
    Ok(())
}

#[test]
fn when_errors_stop_the_short_window_ends_the_alert_and_the_long_one_would_not(
) -> Result<()> {
    let Some(life) = life()? else { return Ok(()) };
    assert_eq!(life.over, moment(false, true, &[State::Inactive]));
    assert_eq!(life.history, [State::Pending, State::Firing]);
    Ok(())
}

#[test]
fn after_a_restart_the_raw_difference_is_negative_and_the_increase_is_what_was_sent(
) -> Result<()> {
    let Some(restart) = restarted()? else { return Ok(()) };
    assert_eq!((restart.difference, restart.resets), (-70.0, 1.0));
    assert_eq!(restart.increase_then_sum, restart.sent as f64);
    Ok(())
}

#[test]
fn between_two_scrapes_an_increase_is_extrapolated() -> Result<()> {
    let Some(restart) = restarted()? else { return Ok(()) };
    let later = restart.increase_later;
    assert!(later > 130.0 && later < 200.0, "{later}");
    Ok(())
}

#[test]
fn the_increase_of_a_sum_takes_one_restart_for_a_restart_of_all() -> Result<()> {
    let Some(restart) = restarted()? else { return Ok(()) };
    let (wrong, sent) = (restart.sum_then_increase, restart.sent as f64);
    assert!(wrong > 1.5 * sent, "{wrong} of {sent}");
    Ok(())
}

#[test]
fn a_quantile_from_buckets_is_off_by_at_most_its_bucket() -> Result<()> {
    let Some(p) = p99s()? else { return Ok(()) };
    for (p99, low, high) in
        [(p.fast, 0.05, 0.1), (p.slow, 0.5, 1.0), (p.all, 0.5, 1.0)]
    {
        assert!(p99.exact > low && p99.exact <= high, "{p99:?}");
        assert!(p99.estimated > low && p99.estimated <= high, "{p99:?}");
        assert_ne!(p99.exact, p99.estimated);
    }
    Ok(())
}

#[test]
fn the_average_of_two_p99s_is_far_from_the_p99_of_all_and_added_buckets_are_near(
) -> Result<()> {
    let Some(p) = p99s()? else { return Ok(()) };
    let off = |guess: f64| (guess - p.all.exact).abs();
    // Even an average of exact p99s is farther off than one estimate of all.
    assert!(off(p.averaged.exact) > 3.0 * off(p.all.estimated), "{p:?}");
    assert!(off(p.averaged.estimated) > 3.0 * off(p.all.estimated), "{p:?}");
    Ok(())
}

#[test]
fn beyond_the_last_bucket_the_quantile_is_its_bound_whatever_happened() -> Result<()>
{
    let Some(p) = p99s()? else { return Ok(()) };
    assert_eq!((p.beyond.exact, p.beyond.estimated), (10.0, 2.5));
    Ok(())
}

#[test]
fn an_alert_on_errors_ends_when_its_only_target_dies() -> Result<()> {
    let Some(death) = died()? else { return Ok(()) };
    let states = (death.burns_before, death.burns_after);
    assert_eq!(states, (State::Firing, State::Inactive));
    assert_eq!(death.counters, None);
    Ok(())
}

#[test]
fn a_dead_target_has_up_0_and_the_alert_on_that_fires() -> Result<()> {
    let Some(death) = died()? else { return Ok(()) };
    assert_eq!(death.up, Some(0.0));
    assert_ne!(death.down_before, State::Firing);
    assert!(death.down.ends_with(&[State::Pending, State::Firing]), "{death:?}");
    Ok(())
}

#[test]
fn a_job_that_nobody_scrapes_has_no_up_and_absent_tells() -> Result<()> {
    let Some(death) = died()? else { return Ok(()) };
    assert_eq!((death.ups_of_mail, death.not_watched), (0, State::Firing));
    Ok(())
}

#[test]
fn a_counter_that_appears_with_its_errors_has_not_increased() -> Result<()> {
    let Some(exposed) = targets()? else { return Ok(()) };
    assert_eq!((exposed.from_zero, exposed.from_nowhere), (5.0, 0.0));
    Ok(())
}

#[test]
fn a_target_that_sends_too_many_samples_is_down_and_none_is_stored() -> Result<()> {
    let Some(exposed) = targets()? else { return Ok(()) };
    assert_eq!((exposed.crowded.as_str(), exposed.crowded_stored), ("down", 0));
    let why = &exposed.crowded_error;
    assert!(why.contains("sample limit exceeded"), "{why}");
    Ok(())
}

#[test]
fn wrong_rules_are_refused_at_the_start_with_their_place() -> Result<()> {
    if skip_if_missing(PROMETHEUS.path().map_err(Into::into))?.is_none() {
        return Ok(());
    }
    let wrong = RULES.replace("rate(", "rat(");
    let Err(error) = Prometheus::start(&[], &wrong) else {
        panic!("it started with a function that does not exist");
    };
    let text = format!("{error:#}");
    assert!(text.contains("rules.yml") && text.contains("rat"), "{text}");
    Ok(())
}

#[test]
fn a_wrong_expression_is_an_error_in_prometheus_s_words() -> Result<()> {
    let started = Prometheus::start(&[], RULES);
    let Some(prometheus) = skip_if_missing(started)? else { return Ok(()) };
    let Err(error) = prometheus.query("rate(up)") else {
        panic!("rate() took a value that is no range");
    };
    let text = format!("{error:#}");
    assert!(text.contains("expected type range vector"), "{text}");
    Ok(())
}
