//! Prometheus watches a shop that fails, restarts and dies.
//!
//! The shop is `services/src/shop.rs`, the rules are
//! `real/config/monitoring/rules.yml`. What is printed was read back from
//! Prometheus's HTTP API.
//!
//! Look at the two rows of the first table in which the windows differ: a burst that
//! pages nobody, and an alert that ends long before the long window has forgotten.
//! Then at the numbers that are wrong without a word: `-70`, nearly twice too many
//! requests, an average of percentiles, a p99 that cannot exceed the last bucket, an
//! increase of 0. And at the alert that ends because its shop is dead.
//!
//! Simplified: windows are 150 times shorter than in production. A shop's requests
//! take as long as the program says.

use anyhow::Result;
use real::machine;
use real::monitoring::*;
use real::program::PROMETHEUS;
use real::prometheus::State;
use std::fmt::Display;
use std::process::ExitCode;
use std::thread;

fn line(label: &str, value: impl Display) {
    println!("  {label:<46}{value}");
}

fn states(states: &[State]) -> String {
    let states: Vec<String> = states.iter().map(State::to_string).collect();
    states.join(", ")
}

fn show_lifecycle(life: &Lifecycle) {
    println!("14.4 times the budget:      2 s window   24 s window   alert");
    let side = |above| if above { "above" } else { "below" };
    for (label, moment) in [
        ("no errors", &life.quiet),
        ("5 errors in a burst", &life.burst),
        ("every second one fails", &life.failing),
        ("errors stop", &life.over),
    ] {
        println!(
            "  {label:<26}{:<13}{:<14}{}",
            side(moment.short_above),
            side(moment.long_above),
            states(&moment.alert)
        );
    }
}

fn show_restart(restart: &Restart) {
    println!("\n{} requests; one of two instances restarts:", restart.sent);
    line("its last value minus the one before", restart.difference);
    line("increase() of each, then the sum", restart.increase_then_sum);
    let wrong = format!("~{:.0}", restart.sum_then_increase);
    line("the sum of both, then increase()", wrong);
    let later = format!("~{:.0}", restart.increase_later);
    line("increase() of its 130 between two scrapes", later);
}

fn show_percentiles(p: &Percentiles) {
    println!("\n{:<33}{:<15}from buckets", "p99 in seconds:", "exact");
    for (label, p99) in [
        (format!("fast instance, {FAST} requests"), p.fast),
        (format!("slow instance, {SLOW}"), p.slow),
        ("average of the two".to_owned(), p.averaged),
        ("all, buckets added first".to_owned(), p.all),
        ("beyond the last bucket".to_owned(), p.beyond),
    ] {
        println!("  {label:<31}{:<15.3}{:.3}", p99.exact, p99.estimated);
    }
}

fn show_death(death: &Death) {
    println!("\nevery request fails; then the only instance dies:");
    let silent = format!("{}, then {}", death.burns_before, death.burns_after);
    line("alert on the share of errors", silent);
    line("alert on up == 0", states(&death.down));
    let counters = death.counters.map_or("none".to_owned(), |n| n.to_string());
    line("its counters that have a value", counters);
    let mail = format!("{} series, {}", death.ups_of_mail, death.not_watched);
    line("up of a job that nobody scrapes; absent()", mail);
}

fn show_exposed(exposed: &Exposed) {
    println!();
    line("increase() of a counter: 0, then 5", exposed.from_zero);
    line("  whose first value is 5", exposed.from_nowhere);
    let label = format!("{SAMPLES_SENT} samples, sample_limit {SAMPLES_MAX}");
    let Exposed { crowded, crowded_stored, .. } = exposed;
    line(&label, format!("{crowded}, {crowded_stored} stored"));
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[PROMETHEUS])?);
    // Most of a scene is waiting.
    thread::scope(|scope| {
        let life = scope.spawn(lifecycle);
        let restarted = scope.spawn(restart);
        let percentiles = scope.spawn(percentiles);
        let died = scope.spawn(death);
        let exposed = scope.spawn(exposed);
        show_lifecycle(&joined(life)?);
        show_restart(&joined(restarted)?);
        show_percentiles(&joined(percentiles)?);
        show_death(&joined(died)?);
        show_exposed(&joined(exposed)?);
        Ok(())
    })
}

fn main() -> ExitCode {
    real::exit_code(run())
}
