//! A hundred price ticks from a server to a client on loopback, brought six ways.
//!
//! Look at the last two columns first: what one tick costs when everything is open.
//! They are the numbers of `examples/moving_frames.rs`, which wrote these bytes by
//! hand. Then at what happens to a client that was cut off, and at two questions on
//! one connection.
//!
//! Simplified: no TLS, headers as short as the libraries allow, and counts in place
//! of times: loopback has no distance. The polling client asks three times a tick.

use anyhow::Result;
use protocols::ways::{self, Cost};

const TICKS: u64 = 100;

fn row(what: &str, cost: Cost) {
    let Cost { requests, all, tick_42 } = cost;
    println!(
        "{what:<18}{requests:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        all.connections, all.up, all.down, tick_42.up, tick_42.down
    );
}

fn main() -> Result<()> {
    println!(
        "{:<18}{:>9}{:>9}{:>18}{:>18}",
        format!("{TICKS} ticks"),
        "requests",
        "connec-",
        "bytes to the",
        "tick 42 to the"
    );
    let [to_server, to_client] = ["server", "client"];
    println!(
        "{:>36}{to_server:>9}{to_client:>9}{to_server:>9}{to_client:>9}",
        "tions"
    );
    row("poll, new each", ways::run(ways::poll(TICKS, false))?);
    row("poll, kept open", ways::run(ways::poll(TICKS, true))?);
    row("long poll", ways::run(ways::long_poll(TICKS))?);
    row("server-sent events", ways::run(ways::server_sent_events(TICKS))?);
    row("WebSocket", ways::run(ways::websocket(TICKS))?);
    row("gRPC stream", ways::run(ways::grpc(TICKS))?);

    println!(
        "\ncut off after tick {}, away for {} ticks     missed",
        ways::CUT_AFTER,
        ways::AWAY_FOR
    );
    let missed = |what: &str, ticks: u64| println!("  {what:<38} {ticks:>8}");
    missed("server-sent events, Last-Event-ID", ways::run(ways::cut_events())?);
    missed("WebSocket, opened again", ways::run(ways::cut_websocket())?);
    missed("gRPC, called again", ways::run(ways::cut_grpc(false))?);
    missed("gRPC, called again with `after`", ways::run(ways::cut_grpc(true))?);

    println!("\none connection, asked for tick 2 (not there yet), then for 1");
    let order = |what: &str, ticks: &[u64]| println!("  {what:<38} {ticks:?}");
    order("HTTP/1.1, answers in the order", &ways::run(ways::order_over_http())?.0);
    order("gRPC, answers in the order", &ways::run(ways::order_over_grpc())?.0);
    Ok(())
}
