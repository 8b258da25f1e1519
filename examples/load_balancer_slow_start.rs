//! Joining and leaving a rotation gently: slow start and connection draining.
//!
//! First table: a server with a cold cache joins three warm ones. Given its full
//! share at once it drowns; given a share that grows, it warms up on the way.
//! Look for the row that is worse again.
//! Second table: a server leaves. Look at how many requests a deadline cuts off,
//! and at how long you wait to cut off none.
//!
//! Simplified: a cache warms with every request served, work is random
//! (exponential), and the balancer deals by smooth weighted round robin.

use fastrand::Rng;
use std::collections::VecDeque;

const SERVERS: usize = 4;
const NEWCOMER: usize = 3;
const WARM_MS: f64 = 8.0; // mean work of a request on a warm server
const COLD_TIMES: f64 = 5.0; // as much on a cold one,
const WARMS_OVER: f64 = 100.0; // falling over about so many requests
const GAP_MS: f64 = WARM_MS / SERVERS as f64 / 0.6; // warm, they are 60 % busy
const WATCHED_MS: f64 = 60_000.0; // the first minute after the newcomer joins

fn random(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

// ANCHOR: weight
/// A newcomer's weight: from 1 % to 100 % of its share, in a straight line.
fn weight(up_for_ms: f64, slow_start_ms: f64) -> f64 {
    if up_for_ms >= slow_start_ms {
        return 1.0;
    }
    (up_for_ms / slow_start_ms).max(0.01)
}
// ANCHOR_END: weight

struct Joined {
    p99_ms: f64,
    queue_max: usize,
}

fn join(slow_start_ms: f64, seed: u64) -> Joined {
    let mut rng = Rng::with_seed(seed);
    let (mut credit, mut free_at_ms) = ([0.0; SERVERS], [0.0_f64; SERVERS]);
    let (mut now_ms, mut served, mut queue_max) = (0.0, 0.0, 0);
    let mut queue = VecDeque::new(); // when the newcomer's requests will be done
    let mut latencies_ms = Vec::new();
    while now_ms < WATCHED_MS {
        now_ms += random(&mut rng, GAP_MS);
        while queue.front().is_some_and(|done_ms| *done_ms <= now_ms) {
            queue.pop_front();
            served += 1.0;
        }
        let mut weights = [1.0; SERVERS];
        weights[NEWCOMER] = weight(now_ms, slow_start_ms);
        let mut server = 0;
        for s in 0..SERVERS {
            credit[s] += weights[s];
            if credit[s] > credit[server] {
                server = s;
            }
        }
        credit[server] -= weights.iter().sum::<f64>();
        let mut work_ms = random(&mut rng, WARM_MS);
        if server == NEWCOMER {
            work_ms *= 1.0 + (COLD_TIMES - 1.0) * (-served / WARMS_OVER).exp();
        }
        free_at_ms[server] = free_at_ms[server].max(now_ms) + work_ms;
        latencies_ms.push(free_at_ms[server] - now_ms);
        if server == NEWCOMER {
            queue.push_back(free_at_ms[server]);
            queue_max = queue_max.max(queue.len());
        }
    }
    latencies_ms.sort_by(f64::total_cmp);
    let p99_ms = latencies_ms[latencies_ms.len() / 100 * 99];
    Joined { p99_ms, queue_max }
}

const RESTARTS: u64 = 100;
const ARRIVALS_PER_MS: f64 = 0.05; // at the server that is to leave
const SHORT_MS: f64 = 20.0; // most requests
const LONG_MS: f64 = 20_000.0; // one in a hundred: a download, a stream
const LONG_SHARE: f64 = 0.01;

// ANCHOR: drain
/// How much longer each request in flight would run when the server leaves.
fn in_flight(rng: &mut Rng) -> Vec<f64> {
    let mut left_ms = Vec::new();
    let mut ago_ms = 0.0;
    while ago_ms < 10.0 * LONG_MS {
        ago_ms += random(rng, 1.0 / ARRIVALS_PER_MS);
        let long = rng.f64() < LONG_SHARE;
        let takes_ms = random(rng, if long { LONG_MS } else { SHORT_MS });
        if takes_ms > ago_ms {
            left_ms.push(takes_ms - ago_ms);
        }
    }
    left_ms
}

struct Left {
    cut_off: usize,
    waited_ms: f64, // on average
}

/// No new requests, wait for the old ones up to the deadline, cut off the rest.
fn leave(deadline_ms: f64) -> Left {
    let (mut cut_off, mut waited_ms) = (0, 0.0);
    for seed in 0..RESTARTS {
        let left_ms = in_flight(&mut Rng::with_seed(seed));
        cut_off += left_ms.iter().filter(|left| **left > deadline_ms).count();
        let last_ms = left_ms.into_iter().fold(0.0, f64::max);
        waited_ms += last_ms.min(deadline_ms) / RESTARTS as f64;
    }
    Left { cut_off, waited_ms }
}
// ANCHOR_END: drain

fn main() {
    println!("a cold server joins three warm ones: their first minute");
    println!("slow start     p99 ms   longest queue on the newcomer");
    for slow_start_s in [0, 5, 15, 60, 240] {
        let Joined { p99_ms, queue_max } = join(f64::from(slow_start_s) * 1e3, 1);
        println!("{slow_start_s:>8} s {p99_ms:>10.0} {queue_max:>15}");
    }
    println!("\na server leaves, a hundred times");
    println!("drain at most  requests cut off   mean wait s");
    for deadline_s in [0, 1, 10, 60, 300] {
        let Left { cut_off, waited_ms } = leave(f64::from(deadline_s) * 1e3);
        println!("{deadline_s:>8} s {cut_off:>14} {:>16.1}", waited_ms / 1e3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_server_with_its_full_share_drowns_and_slow_start_mends_it() {
        for seed in 1..6 {
            let (at_once, gently) = (join(0.0, seed), join(15_000.0, seed));
            assert!(at_once.p99_ms > 10.0 * gently.p99_ms, "seed {seed}");
            assert!(at_once.queue_max > 5 * gently.queue_max, "seed {seed}");
            assert!(at_once.p99_ms > 2_000.0 && at_once.queue_max > 200);
        }
    }

    #[test]
    fn too_slow_a_start_leaves_the_work_to_the_others() {
        for seed in 1..6 {
            assert!(join(240_000.0, seed).p99_ms > join(15_000.0, seed).p99_ms);
        }
    }

    #[test]
    fn pulling_the_plug_cuts_off_requests_and_draining_cuts_off_none() {
        assert!(leave(0.0).cut_off > 5 * RESTARTS as usize);
        assert_eq!(leave(300_000.0).cut_off, 0);
    }

    #[test]
    fn the_long_requests_decide_how_long_a_drain_takes() {
        let patient = leave(300_000.0);
        assert!(patient.waited_ms > LONG_MS, "{} ms", patient.waited_ms);
        let half = leave(0.0).cut_off / 2;
        assert!(leave(1_000.0).cut_off > half);
        let cut_off = leave(10_000.0).cut_off;
        assert!(cut_off.abs_diff(half) < half / 5, "{cut_off}");
    }
}
