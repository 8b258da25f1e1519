//! A hot key expires: how many requests reach the database?
//!
//! First part: one key, a thousand requests a second for a minute, and a query of
//! 200 ms to compute it. `queries` is what the database gets in all, `at once` the
//! most that it computes at the same time, `waited` the requests that had to wait
//! for the database. Second part: a thousand keys that were all loaded at the same
//! moment; `peak` is the most queries in one second. Here jitter helps, there not.
//!
//! Simplified: a query takes 200 ms however many run, which flatters the stampede;
//! a real database slows down, and the stampede feeds itself.

use fastrand::Rng;
use std::collections::BTreeMap;

type Millis = u64;

const RUN_MS: Millis = 60_000;
const QUERY_MS: Millis = 200;
const TTL_MS: Millis = 10_000;
const SERVERS: usize = 10;

// ANCHOR: defences
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defence {
    None,
    Jitter,                // each TTL is up to a tenth shorter
    SingleFlightPerServer, // of those who miss on one server, the first asks
    SingleFlight,          // of all who miss, the first asks: a lock, a lease
    ServeStale,            // the same, and the others get the old value
    Early { beta: f64 },   // XFetch: on a hit, a die says "renew it now"
}
// ANCHOR_END: defences

use Defence::{Early, Jitter, ServeStale, SingleFlight, SingleFlightPerServer};

#[derive(Default, Debug)]
struct Report {
    queries: usize,
    at_once: usize,
    waited: usize,
}

/// What a request finds: how long is the value still good?
struct Cached {
    expires_ms: Millis,
}

// ANCHOR: early
/// XFetch: the later and the dearer the value, the likelier to renew it early.
/// `-ln(random)` is 1 on average and rarely large.
fn renew_early(
    now_ms: Millis,
    entry: &Cached,
    cost_ms: Millis,
    beta: f64,
    rng: &mut Rng,
) -> bool {
    let head_start = -rng.f64().max(f64::MIN_POSITIVE).ln() * beta;
    now_ms as f64 + head_start * cost_ms as f64 >= entry.expires_ms as f64
}
// ANCHOR_END: early

fn run(defence: Defence, seed: u64) -> Report {
    let mut rng = Rng::with_seed(seed);
    let mut report = Report::default();
    let mut entry = Cached { expires_ms: TTL_MS };
    let mut queries: Vec<(Millis, usize)> = Vec::new(); // ends when, asked by whom
    for now_ms in 0..RUN_MS {
        // Answers arrive; each stores its value, the last one wins.
        let before = queries.len();
        queries.retain(|(ends_ms, _)| *ends_ms > now_ms);
        if queries.len() < before {
            let jitter = rng.u64(0..TTL_MS / 10);
            let shorter = if defence == Jitter { jitter } else { 0 };
            entry.expires_ms = now_ms + TTL_MS - shorter;
        }
        // One request each millisecond, on one of the servers.
        let server = rng.usize(..SERVERS);
        let fresh = now_ms < entry.expires_ms;
        // ANCHOR: ask
        let asks = match defence {
            Defence::None | Jitter => !fresh,
            SingleFlightPerServer => {
                !fresh && !queries.iter().any(|(_, asker)| *asker == server)
            }
            SingleFlight | ServeStale => !fresh && queries.is_empty(),
            Early { beta } => {
                !fresh || renew_early(now_ms, &entry, QUERY_MS, beta, &mut rng)
            }
        };
        // ANCHOR_END: ask
        if asks {
            queries.push((now_ms + QUERY_MS, server));
            report.queries += 1;
            report.at_once = report.at_once.max(queries.len());
        }
        let waits = match defence {
            ServeStale => asks,
            _ => asks || !fresh,
        };
        report.waited += usize::from(waits);
    }
    report
}

// ANCHOR: many
/// All keys are loaded at time 0 and renewed whenever they expire. The most
/// queries that fall into one second, after the loading itself.
fn peak(keys: usize, ttl_ms: Millis, jitter_percent: u64, seed: u64) -> usize {
    let mut rng = Rng::with_seed(seed);
    let mut in_second: BTreeMap<Millis, usize> = BTreeMap::new();
    for _ in 0..keys {
        let mut now_ms = 0;
        while now_ms < 10 * ttl_ms {
            let shorter = ttl_ms * rng.u64(0..=jitter_percent * 100) / 10_000;
            now_ms += ttl_ms - shorter;
            *in_second.entry(now_ms / 1_000).or_default() += 1;
        }
    }
    in_second.into_values().max().unwrap_or(0)
}
// ANCHOR_END: many

fn main() {
    println!("one key, {RUN_MS} requests, TTL {TTL_MS} ms\n");
    println!("                          queries  at once  waited");
    for (name, defence) in [
        ("nothing", Defence::None),
        ("jitter of 10 %", Jitter),
        ("single-flight, 10 servers", SingleFlightPerServer),
        ("single-flight for all", SingleFlight),
        ("and the others get stale", ServeStale),
        ("early, beta 1", Early { beta: 1.0 }),
        ("early, beta 2", Early { beta: 2.0 }),
    ] {
        let report = run(defence, 1);
        print!("{name:<25} {:>7}", report.queries);
        println!(" {:>8} {:>7}", report.at_once, report.waited);
    }
    println!("\n1000 keys loaded at once, TTL 60 s\n");
    println!("jitter   peak queries/s");
    for percent in [0, 1, 10, 50] {
        println!("{percent:>4} %   {:>14}", peak(1_000, 60_000, percent, 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRIES: usize = 5; // in a minute, the loading at time 0 not counted

    #[test]
    fn without_defence_each_expiry_sends_a_whole_query_time_of_requests() {
        let report = run(Defence::None, 1);
        assert_eq!(report.at_once, QUERY_MS as usize); // one each millisecond
        assert_eq!(report.queries, EXPIRIES * QUERY_MS as usize);
    }

    #[test]
    fn jitter_does_nothing_for_a_single_hot_key() {
        let report = run(Jitter, 1);
        assert_eq!(report.at_once, QUERY_MS as usize);
        assert!(report.queries >= EXPIRIES * QUERY_MS as usize);
    }

    #[test]
    fn single_flight_asks_once_for_each_expiry_and_per_server_once_on_each() {
        let report = run(SingleFlight, 1);
        assert_eq!((report.queries, report.at_once), (EXPIRIES, 1));
        let report = run(SingleFlightPerServer, 1);
        assert_eq!(report.queries, EXPIRIES * SERVERS);
        assert_eq!(report.at_once, SERVERS);
    }

    #[test]
    fn single_flight_saves_the_database_and_still_lets_everyone_wait() {
        assert_eq!(run(SingleFlight, 1).waited, run(Defence::None, 1).waited);
        assert_eq!(run(ServeStale, 1).waited, EXPIRIES);
    }

    #[test]
    fn early_renewal_needs_no_lock_and_hardly_anyone_meets_an_expired_value() {
        for seed in 0..30 {
            let report = run(Early { beta: 1.0 }, seed);
            assert!(report.queries < 40, "{report:?}");
            assert!(report.waited < 40, "{report:?}");
            assert!(report.at_once <= 12, "{report:?}");
        }
    }

    /// Machines may compute a logarithm with other last bits. A head start that is
    /// longer or shorter by far more than that changes no report: so no die lies so
    /// near to the end that those bits matter.
    #[test]
    fn what_is_printed_does_not_depend_on_the_last_bits_of_a_logarithm() {
        for beta in [1.0, 2.0] {
            let printed = format!("{:?}", run(Early { beta }, 1));
            for nudge in [1.0 - 1e-9, 1.0 + 1e-9] {
                let nudged = run(Early { beta: beta * nudge }, 1);
                assert_eq!(format!("{nudged:?}"), printed);
            }
        }
    }

    #[test]
    fn a_larger_beta_renews_earlier_and_collides_less() {
        let total = |beta| -> usize {
            let runs = (0..30).map(|seed| run(Early { beta }, seed));
            runs.map(|report| report.at_once).sum()
        };
        assert!(total(4.0) < total(1.0), "{} {}", total(4.0), total(1.0));
    }

    #[test]
    fn the_head_start_is_exponential_with_the_cost_as_its_mean() {
        let (mut rng, entry) = (Rng::with_seed(5), Cached { expires_ms: 1_000 });
        let mut share = |now_ms| {
            let early = |_: &u32| renew_early(now_ms, &entry, 200, 1.0, &mut rng);
            (0..20_000).filter(early).count() as f64 / 20_000.0
        };
        assert!((share(800) - (-1.0_f64).exp()).abs() < 0.01); // one cost before
        assert!((share(400) - (-3.0_f64).exp()).abs() < 0.01); // three before
        assert_eq!(share(1_000), 1.0);
    }

    #[test]
    fn keys_loaded_together_expire_together_unless_their_ttls_differ() {
        let peaks = [0, 1, 10, 50].map(|percent| peak(1_000, 60_000, percent, 1));
        assert_eq!(peaks[0], 1_000);
        assert!(peaks.windows(2).all(|pair| pair[1] < pair[0]), "{peaks:?}");
        assert!(peaks[2] < 200 && peaks[3] < 60, "{peaks:?}");
    }
}
