//! A long path and one connection on it: what limits it is rarely the bandwidth.
//!
//! Look first at the two rows that agree: a sender that may have only a window of
//! bytes on the way, played in ticks of 10 µs, gets min(bandwidth, window / round
//! trip). Then at new connections, whose window starts small, and last at small
//! requests, where only the round trips count.
//!
//! Simplified: no loss, no queue, no other traffic, no headers; an acknowledgement
//! takes no room; the server answers at once. Slow start doubles its window every
//! round trip and never meets a reason to stop.

use std::collections::VecDeque;

const TICK_US: u64 = 10;
const BYTES_PER_TICK: u64 = 1_250; // 1 Gbit/s
const WINDOW_BYTES: u64 = 65_536;
/// RFC 6928: a new connection sends ten full segments and waits.
const FIRST_WINDOW_BYTES: u64 = 10 * 1_460;

// ANCHOR: sender
struct Sender {
    window: u64, // bytes that may be on the way
    window_max: u64,
    on_the_way: VecDeque<(u64, u64)>, // (tick of the acknowledgement, bytes)
    in_flight: u64,
    acknowledged: u64,
}

impl Sender {
    fn tick(&mut self, now: u64, round_trip_ticks: u64) {
        while let Some(&(at, bytes)) = self.on_the_way.front() {
            if at > now {
                break;
            }
            self.on_the_way.pop_front();
            self.in_flight -= bytes;
            self.acknowledged += bytes;
            self.window = self.window_max.min(self.window + bytes); // slow start
        }
        let room = self.window - self.in_flight;
        let bytes = room.min(BYTES_PER_TICK); // the link takes no more in a tick
        if bytes > 0 {
            self.in_flight += bytes;
            self.on_the_way.push_back((now + round_trip_ticks, bytes));
        }
    }
}
// ANCHOR_END: sender

fn sender(window: u64, window_max: u64) -> Sender {
    Sender {
        window,
        window_max,
        on_the_way: VecDeque::new(),
        in_flight: 0,
        acknowledged: 0,
    }
}

/// Mbit/s over 40 round trips, once the first acknowledgement is back.
fn simulated(window: u64, round_trip_ms: u64) -> f64 {
    let round_trip_ticks = round_trip_ms * 1_000 / TICK_US;
    let mut sender = sender(window, window);
    for now in 0..41 * round_trip_ticks {
        sender.tick(now, round_trip_ticks);
    }
    sender.acknowledged as f64 * 8.0 / (40 * round_trip_ms * 1_000) as f64
}

/// min(bandwidth, window / round trip), in Mbit/s.
fn formula(window: u64, round_trip_ms: u64) -> f64 {
    let bandwidth = (BYTES_PER_TICK * 8 / TICK_US) as f64;
    bandwidth.min((window * 8) as f64 / (round_trip_ms * 1_000) as f64)
}

/// The bandwidth-delay product: the bytes on the way when the pipe is full.
fn fills_the_pipe(round_trip_ms: u64) -> u64 {
    BYTES_PER_TICK * round_trip_ms * 1_000 / TICK_US
}

/// Until the last byte is acknowledged, in ms.
fn transfer(size: u64, mut sender: Sender, round_trip_ms: u64) -> u64 {
    let mut now = 0;
    while sender.acknowledged < size {
        sender.tick(now, round_trip_ms * 1_000 / TICK_US);
        now += 1;
    }
    now * TICK_US / 1_000
}

struct Client {
    connections: u32,
    keeps_them: bool,
    at_once: u32, // requests on one connection that wait for no answer
}

/// (Connections set up, round trips) until all answers are there.
fn fetch(mut requests: u32, client: &Client) -> (u32, u32) {
    // By connection: 0 closed, 1 TCP done, 2 TLS done too and ready.
    let mut state = vec![0; client.connections as usize];
    let (mut set_up, mut round_trips) = (0, 0);
    while requests > 0 {
        for state in &mut state {
            match *state {
                0 => (*state, set_up) = (1, set_up + 1),
                1 => *state = 2,
                _ => {
                    requests = requests.saturating_sub(client.at_once);
                    *state = if client.keeps_them { 2 } else { 0 };
                }
            }
        }
        round_trips += 1;
    }
    (set_up, round_trips)
}

fn clients() -> [(&'static str, Client); 4] {
    let client = |connections, keeps_them, at_once| Client {
        connections,
        keeps_them,
        at_once,
    };
    [
        ("a new connection each", client(1, false, 1)),
        ("one kept open, in turn", client(1, true, 1)),
        ("six kept open, in turn", client(6, true, 1)),
        ("one kept open, all at once", client(1, true, 100)),
    ]
}

fn main() {
    let round_trips = [1, 10, 100];
    let row = |what: &str, cells: [String; 3]| {
        let [a, b, c] = cells;
        println!("{what:<28}{a:>10}{b:>10}{c:>10}");
    };
    row(
        "1 Gbit/s, round trip of",
        round_trips.map(|ms| format!("{ms} ms")),
    );
    let window = WINDOW_BYTES;
    row(
        "64 KiB window, by formula",
        round_trips.map(|ms| format!("{:.1}", formula(window, ms))),
    );
    row(
        "  simulated, Mbit/s",
        round_trips.map(|ms| format!("{:.1}", simulated(window, ms))),
    );
    row(
        "fills the pipe, kB",
        round_trips.map(|ms| (fills_the_pipe(ms) / 1000).to_string()),
    );
    row(
        "  64 KiB windows in that",
        round_trips.map(|ms| fills_the_pipe(ms).div_ceil(window).to_string()),
    );

    println!(
        "\nround trip of 100 ms, no limit on the window; ms until all is there"
    );
    let sizes = [10_000, 1_000_000, 100_000_000];
    row("  size", sizes.map(|size| format!("{} kB", size / 1_000)));
    let full = fills_the_pipe(100);
    let warm = |size| transfer(size, sender(full, full), 100).to_string();
    let new =
        |size| transfer(size, sender(FIRST_WINDOW_BYTES, full), 100).to_string();
    row("  connection that is warm", sizes.map(warm));
    row("  new one, after set-up", sizes.map(new));

    println!("\n100 small requests        connections  round trips  at 100 ms");
    for (what, client) in clients() {
        let (set_up, trips) = fetch(100, &client);
        let s = f64::from(trips) / 10.0;
        println!("  {what:<26} {set_up:>8} {trips:>12} {s:>8.1} s");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_the_smaller_of_bandwidth_and_window_by_round_trip() {
        for round_trip_ms in [1, 2, 5, 10, 20] {
            for window in [10_000, 65_536, 200_000, 1_000_000, 5_000_000] {
                let (is, says) = (
                    simulated(window, round_trip_ms),
                    formula(window, round_trip_ms),
                );
                assert!((is - says).abs() < 0.01 * says, "{window}: {is} {says}");
            }
        }
    }

    #[test]
    fn the_pipe_is_full_when_the_window_is_the_bandwidth_delay_product() {
        for ms in [1, 5, 10, 20] {
            let enough = fills_the_pipe(ms);
            assert!(simulated(enough, ms) > 999.0);
            assert!(simulated(enough / 2, ms) < 501.0);
            assert!(simulated(enough * 4, ms) < 1_001.0, "more does not help");
        }
    }

    #[test]
    fn a_new_connection_needs_seven_round_trips_for_a_megabyte() {
        let full = fills_the_pipe(100);
        let ms = transfer(1_000_000, sender(FIRST_WINDOW_BYTES, full), 100);
        // 14.6 kB × (1 + 2 + 4 + … + 64) is the first sum above 1 MB.
        assert_eq!(ms / 100, 7);
    }

    #[test]
    fn every_new_connection_costs_two_round_trips_before_the_request() {
        let [each, one, six, at_once] = clients().map(|(_, c)| fetch(100, &c));
        assert_eq!(each, (100, 300));
        assert_eq!(one, (1, 102));
        assert_eq!(six, (6, 19)); // 2 and then 100 / 6, rounded up
        assert_eq!(at_once, (1, 3));
    }
}
