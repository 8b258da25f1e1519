//! The same requests for the same pages, given to the chapter's cache and to
//! Varnish: what came of the last of them?
//!
//! The chapter's cache is `examples/cdn_http_cache/cache.rs`. Varnish runs twice,
//! with its built-in VCL and with `real/config/cdn/careful.vcl` added to it. Every
//! page has an `ETag`. "hit": a stored answer, and the origin was not asked;
//! "stale": one that was no longer fresh; "revalidated": the origin was asked
//! whether it has changed; "fetched": the origin sent it whole; "failed": an error.
//!
//! Look for the rows with a star, where the chapter's cache and the built-in VCL
//! differ. The chapter's cache does what RFC 9111 asks of any shared cache; Varnish
//! stands in front of one site and trusts whoever runs it. Below the table, what an
//! operator adds: a purge, a ban, and two `return`s too many (`leaky.vcl`), which
//! show one user the page of another.
//!
//! Simplified: two seconds pass for Varnish where the chapter's cache is told so,
//! and one origin plays all sites.

use anyhow::{bail, Result};
use real::cdn::cases::CASES;
use real::cdn::scenes::{self, Forgotten, Order, CROWD};
use real::cdn::{ours, Did};
use real::machine;
use real::program::VARNISH;
use real::varnish::{BUILT_IN, CAREFUL, LEAKY};
use std::process::ExitCode;
use std::thread::{self, ScopedJoinHandle};

fn joined<T>(scene: ScopedJoinHandle<Result<T>>) -> Result<T> {
    match scene.join() {
        Ok(outcome) => outcome,
        Err(_) => bail!("a scene panicked"),
    }
}

fn table() -> Result<()> {
    let [ours, built_in, careful] = thread::scope(|scope| {
        let ours = scope.spawn(ours::play);
        let built_in = scope.spawn(|| scenes::varnish(BUILT_IN));
        let careful = scope.spawn(|| scenes::varnish(CAREFUL));
        Ok::<[Vec<Did>; 3], anyhow::Error>([
            joined(ours)?,
            joined(built_in)?,
            joined(careful)?,
        ])
    })?;
    println!("{:<36}{:>12}{:>12}{:>12}", "", "ours", "built-in", "careful");
    for (row, case) in CASES.iter().enumerate() {
        let star = if ours[row] == built_in[row] { " " } else { "*" };
        println!(
            "{star} {:<34}{:>12}{:>12}{:>12}",
            case.name, ours[row], built_in[row], careful[row]
        );
    }
    Ok(())
}

/// The pages that an order left, by name.
fn left(stored: Forgotten) -> String {
    let Forgotten { page: [english, german], with_query, same_tag, other_tag } =
        stored;
    let names = [
        (english, "/shoe (en)"),
        (german, "/shoe (de)"),
        (with_query, "/shoe?size=44"),
        (same_tag, "/list"),
        (other_tag, "/other"),
    ];
    let left: Vec<&str> =
        names.iter().filter_map(|(left, name)| left.then_some(*name)).collect();
    left.join(" ")
}

fn scenes() -> Result<()> {
    thread::scope(|scope| {
        let shared = scope.spawn(|| scenes::crowd(BUILT_IN, "max-age=60"));
        let private = scope.spawn(|| scenes::crowd(BUILT_IN, "private"));
        let purge = scope.spawn(|| scenes::forget(CAREFUL, Order::Purge));
        let ban = scope.spawn(|| scenes::forget(CAREFUL, Order::Ban));
        let users = [BUILT_IN, LEAKY, CAREFUL]
            .map(|vcl| scope.spawn(|| scenes::two_users(vcl, "/account")));

        println!(
            "\n{CROWD} ask at once, the origin is asked: page {}, private page {}",
            joined(shared)?.origin_requests,
            joined(private)?.origin_requests
        );
        println!("left by PURGE /shoe: {}", left(joined(purge)?));
        println!("left by BAN of its tag: {}", left(joined(ban)?));
        let [built_in, leaky, careful] = users.map(|users| {
            let [_, bob] = joined(users)?;
            let owner = bob.body.strip_prefix("for session=").unwrap_or("nobody");
            Ok::<String, anyhow::Error>(format!("{owner}'s"))
        });
        println!(
            "after alice, bob is given: built-in {}, leaky {}, careful {}",
            built_in?, leaky?, careful?
        );
        Ok(())
    })
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[VARNISH])?);
    table()?;
    scenes()
}

fn main() -> ExitCode {
    real::exit_code(run())
}
