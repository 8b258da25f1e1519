//! The same three servers behind NGINX, HAProxy and the balancer that this book
//! wrote: what does a client see when one of them dies?
//!
//! Each gets the same questions, in the same order: how it shares requests out, how
//! it treats a busy server, what a death costs, how a session survives it, and
//! whether a server can be taken out without losing a request. The configurations
//! are in `real/config/load_balancer`; the third is
//! `examples/load_balancer_layer7.rs`.
//!
//! Look for three things. NGINX learns of a death from one request that failed,
//! HAProxy from its own checks, ours from both: compare how many requests met the
//! dead server. None repeats a POST that a server may have run, and ours repeats no
//! GET either. And a session comes back to its old server with NGINX's hash, not
//! with a cookie that names the server.
//!
//! Simplified: the servers are threads of this program, a client opens a connection
//! for every request, and time limits are shorter than their defaults, so that the
//! run is.

use anyhow::{bail, Result};
use real::load_balancer::scenes::{self, Sessions};
use real::load_balancer::{Contender, CONTENDERS};
use real::machine;
use real::program::{HAPROXY, NGINX};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// A line of the table: its label and one balancer's value. A heading has no value.
type Row = (&'static str, String);

/// One balancer's column.
fn column(contender: Contender) -> Result<Vec<Row>> {
    let start = contender.start;
    let shares = scenes::round_robin(start)?;
    let death = scenes::failover(start)?;
    let (met_later, failed_later) = scenes::unnoticed_death(start)?;
    let sessions = scenes::sticky_sessions(start)?;
    let drained = scenes::drain(start)?;
    let to_the_busy = match contender.least_busy {
        Some(path) => scenes::busy_server(start, path)?.to_string(),
        None => "-".to_owned(),
    };
    let heading = String::new;
    let ms = |time: Duration| format!("{} ms", time.as_micros().div_ceil(1000));
    let in_flight = |(status, servers)| format!("{status}, {servers}");
    Ok(vec![
        ("round robin, 300 requests", same(shares)),
        ("a server holds 2 slow requests, 30 come:", heading()),
        (
            "  sent to it by round robin",
            scenes::busy_server(start, "/")?.to_string(),
        ),
        ("  sent to it by least connections", to_the_busy),
        ("a server dies, 30 GETs follow at once:", heading()),
        ("  failed", death.failed.to_string()),
        ("  met the dead server first", death.met_the_dead.to_string()),
        ("  last one that met it, after the death", ms(death.last_met_after)),
        ("it comes back:", heading()),
        ("  used again after", ms(death.used_again_after)),
        ("  failed until then", death.failed_later.to_string()),
        ("it dies while idle, 30 GETs come later:", heading()),
        ("  failed", failed_later.to_string()),
        ("  met the dead server first", met_later.to_string()),
        ("it dies with a request in its hands:", heading()),
        (
            "  GET: status, servers that began it",
            in_flight(scenes::death_in_flight(start, "GET")?),
        ),
        (
            "  POST: status, servers that began it",
            in_flight(scenes::death_in_flight(start, "POST")?),
        ),
        ("30 sticky sessions, a server dies:", heading()),
        ("  left its server while that lived", sessions.unsteady.to_string()),
        ("  failed", sessions.failed.to_string()),
        (
            "  sessions of living servers that moved",
            sessions.bystanders_moved.to_string(),
        ),
        ("  its own sessions, once it is back", returned(&sessions).to_owned()),
        ("drained with a request in its hands:", heading()),
        ("  status of that request", drained.status.to_string()),
        ("  later requests that failed", drained.failed.to_string()),
        ("  later requests sent to it", drained.sent_to_it.to_string()),
    ])
}

fn same([a, b, c]: [usize; 3]) -> String {
    if a == b && b == c {
        format!("{a} each")
    } else {
        format!("{a}/{b}/{c}")
    }
}

fn returned(sessions: &Sessions) -> &'static str {
    match sessions.orphans_returned {
        _ if sessions.orphans_settled < sessions.orphans => "scatter",
        0 => "stay away",
        all if all == sessions.orphans => "return",
        _ => "scatter",
    }
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[NGINX, HAPROXY])?);
    // Side by side: most of the time each of them waits.
    let columns = thread::scope(|scope| {
        let running = CONTENDERS.map(|c| scope.spawn(move || column(c)));
        let columns = running.map(|scenes| match scenes.join() {
            Ok(column) => column,
            Err(_) => bail!("a scene panicked"),
        });
        columns.into_iter().collect::<Result<Vec<_>>>()
    })?;
    let print = |label: &str, values: Vec<&str>| {
        let values: String =
            values.iter().map(|value| format!("{value:>10}")).collect();
        println!("{}", format!("{label:<40}{values}").trim_end());
    };
    print("", CONTENDERS.map(|c| c.name).to_vec());
    for (i, (label, _)) in columns[0].iter().enumerate() {
        print(label, columns.iter().map(|column| column[i].1.as_str()).collect());
    }
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}
