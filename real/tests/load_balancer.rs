//! What the program `load_balancer` claims of each balancer.

use anyhow::Result;
use real::load_balancer::scenes::*;
use real::load_balancer::{Contender, CONTENDERS};
use real::program::skip_if_missing;

/// The same claim about each balancer; one that is not installed is skipped aloud.
fn each<T>(
    scene: impl Fn(Contender) -> Result<T>,
    claim: impl Fn(&str, T),
) -> Result<()> {
    for contender in CONTENDERS {
        if let Some(outcome) = skip_if_missing(scene(contender))? {
            claim(contender.name, outcome);
        }
    }
    Ok(())
}

#[test]
fn round_robin_gives_each_server_exactly_a_third() -> Result<()> {
    each(
        |c| round_robin(c.start),
        |name, got| assert_eq!(got, [ROUND_ROBIN_REQUESTS / 3; 3], "{name}"),
    )
}

#[test]
fn round_robin_sends_a_third_to_a_busy_server_too() -> Result<()> {
    each(
        |c| busy_server(c.start, "/"),
        |name, got| assert_eq!(got, BURST_REQUESTS / 3, "{name}"),
    )
}

#[test]
fn least_connections_spares_a_busy_server() -> Result<()> {
    each(
        |c| c.least_busy.map(|path| busy_server(c.start, path)).transpose(),
        |name, got| match name {
            "ours" => assert_eq!(got, None),
            _ => assert_eq!(got, Some(0), "{name}"),
        },
    )
}

#[test]
fn no_get_fails_when_a_server_dies_and_it_is_used_again_when_it_is_back(
) -> Result<()> {
    each(
        |c| failover(c.start),
        |name, death| {
            assert_eq!((death.failed, death.failed_later), (0, 0), "{name}");
            let met = match name {
                // max_fails=1
                "nginx" => 1,
                // Its checks are too slow for the burst. Every second request meets
                // the dead server, not every third: a repeated one uses up the turn
                // of another server.
                "haproxy" => BURST_REQUESTS / 2,
                // FALL failures in a row, whether of a check or of a request
                "ours" => 3,
                other => panic!("what does {other} do?"),
            };
            assert_eq!(death.met_the_dead, met, "{name}");
        },
    )
}

#[test]
fn only_health_checks_notice_a_death_without_requests() -> Result<()> {
    each(
        |c| unnoticed_death(c.start),
        |name, (met_the_dead, failed)| {
            assert_eq!(failed, 0, "{name}");
            assert_eq!(met_the_dead, usize::from(name == "nginx"), "{name}");
        },
    )
}

#[test]
fn a_get_that_its_server_dropped_runs_again_elsewhere_but_not_with_ours(
) -> Result<()> {
    each(
        |c| death_in_flight(c.start, "GET"),
        |name, got| match name {
            "ours" => assert_eq!(got, (502, 1)),
            _ => assert_eq!(got, (200, 2), "{name}"),
        },
    )
}

#[test]
fn a_post_that_a_server_may_have_run_is_never_run_again() -> Result<()> {
    each(
        |c| death_in_flight(c.start, "POST"),
        |name, got| assert_eq!(got, (502, 1), "{name}"),
    )
}

#[test]
fn a_session_stays_until_its_server_dies_and_then_moves_once() -> Result<()> {
    each(
        |c| sticky_sessions(c.start),
        |name, sessions| {
            assert_eq!((sessions.unsteady, sessions.failed), (0, 0), "{name}");
            assert_eq!(sessions.bystanders_moved, 0, "{name}");
            assert!(sessions.orphans > 0, "{name}");
            assert_eq!(sessions.orphans_settled, sessions.orphans, "{name}");
            // A hash finds its way back, a cookie has forgotten it.
            let back = if name == "nginx" { sessions.orphans } else { 0 };
            assert_eq!(sessions.orphans_returned, back, "{name}");
        },
    )
}

#[test]
fn draining_a_server_loses_no_request() -> Result<()> {
    each(
        |c| drain(c.start),
        |name, drained| {
            let got = (drained.status, drained.sent_to_it, drained.failed);
            assert_eq!(got, (200, 0, 0), "{name}");
        },
    )
}
