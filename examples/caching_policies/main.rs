//! Five eviction policies on six traces: how many requests find their key?
//!
//! Read the table by its lines: no policy wins them all. The last column is the
//! best that anyone could do who knew the whole future (Bélády's rule). Then look
//! at what one scan leaves of a hot set, and at a set that is no longer hot.
//!
//! The policies are in `policies.rs`, the traces in `traces.rs`; `models.rs` holds
//! slow copies, with which the tests compare each step. Simplified: entries of
//! equal size, one thread, one request after the other.

#[cfg(test)]
mod models;
mod policies;
mod traces;

use policies::{best_possible, Cache, Key};

const CAPACITY: usize = 100; // entries
const SEED: u64 = 1;

// ANCHOR: request
/// Does the request find its key? If not, it fetches and stores it.
fn request(cache: &mut dyn Cache<()>, key: Key) -> bool {
    let hit = cache.get(key).is_some();
    if !hit {
        cache.put(key, ());
    }
    hit
}
// ANCHOR_END: request

fn hits(cache: &mut dyn Cache<()>, requests: &[Key]) -> usize {
    let hit = |key: &&Key| request(cache, **key);
    requests.iter().filter(hit).count()
}

const HOT: u64 = CAPACITY as u64 / 2;

/// Each of the hot keys is asked for ten times: they half fill the cache.
fn warm(cache: &mut dyn Cache<()>) {
    hits(cache, &traces::cycle(HOT, 10 * HOT as usize));
    assert_eq!(cache.len(), HOT as usize);
}

fn hot_keys_left(cache: &mut dyn Cache<()>) -> usize {
    (0..HOT)
        .filter(|key| cache.get(Key(*key)).is_some())
        .count()
}

/// Then somebody reads everything once.
fn left_after_scan(cache: &mut dyn Cache<()>) -> usize {
    warm(cache);
    hits(cache, &traces::scan(HOT, 2 * CAPACITY));
    hot_keys_left(cache)
}

/// Instead, taste changes: as many others as there is room for, round after round.
/// How many requests of the fifth round hit, and how many of the old are left?
fn after_a_change(cache: &mut dyn Cache<()>) -> (usize, usize) {
    warm(cache);
    let others = traces::scan(HOT, CAPACITY);
    let rounds: Vec<usize> = (0..5).map(|_| hits(cache, &others)).collect();
    (rounds[4], hot_keys_left(cache))
}

fn main() {
    print!("hits, %         ");
    for (name, _) in policies::all::<()>(1) {
        print!(" {name:>7}");
    }
    println!("    best\n");
    for trace in traces::all(SEED, CAPACITY) {
        let percent = |hits| 100.0 * hits as f64 / trace.requests.len() as f64;
        print!("{:<16}", trace.name);
        for (_, mut cache) in policies::all(trace.capacity) {
            print!(" {:>7.1}", percent(hits(&mut *cache, &trace.requests)));
        }
        let best = best_possible(&trace.requests, trace.capacity);
        println!(" {:>7.1}", percent(best));
    }
    println!("\n{HOT} hot keys in a cache of {CAPACITY}, then\n");
    type Count = fn(&mut dyn Cache<()>) -> usize;
    let lines: [(&str, Count); 3] = [
        ("scan: hot left", left_after_scan),
        ("change: hits of", |cache| after_a_change(cache).0),
        ("        old left", |cache| after_a_change(cache).1),
    ];
    for (name, count) in lines {
        print!("{name:<16}");
        for (_, mut cache) in policies::all(CAPACITY) {
            print!(" {:>7}", count(&mut *cache));
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use models::{Model, Rule};

    const RULES: [Rule; 5] =
        [Rule::Fifo, Rule::Lru, Rule::Lfu, Rule::Clock, Rule::S3Fifo];

    #[test]
    fn each_policy_does_at_every_step_what_its_slow_model_does() {
        let mut rng = Rng::with_seed(7);
        for case in 0..120 {
            let capacity = rng.usize(1..30);
            let keys = rng.u64(1..80);
            let fast = policies::all(capacity).into_iter().zip(RULES);
            for ((name, mut fast), rule) in fast {
                let mut slow = Model::new(rule, capacity);
                for step in 0..300 {
                    let key = Key(rng.u64(0..keys).min(rng.u64(0..keys)));
                    let told = format!("{name}, case {case}, step {step}");
                    if rng.u8(0..4) > 0 {
                        assert_eq!(fast.get(key), slow.get(key), "{told}");
                    } else {
                        let (now, then) = (fast.put(key, step), slow.put(key, step));
                        assert_eq!(now, then, "{told}");
                    }
                    assert_eq!(fast.len(), slow.len(), "{told}");
                    assert!(fast.len() <= capacity, "{told}");
                }
            }
        }
    }

    fn percent(policy: &str, trace: &str) -> f64 {
        let traces = traces::all(SEED, CAPACITY).into_iter();
        let mut traces = traces.filter(|one| one.name == trace);
        let trace = traces.next().expect("a trace of that name");
        let hits = match policy {
            "best" => best_possible(&trace.requests, CAPACITY),
            _ => hits(&mut *cache(policy), &trace.requests),
        };
        100.0 * hits as f64 / trace.requests.len() as f64
    }

    fn cache(policy: &str) -> Box<dyn Cache<()>> {
        let mut all = policies::all(CAPACITY).into_iter();
        all.find(|(name, _)| *name == policy)
            .expect("that policy")
            .1
    }

    #[test]
    fn a_scan_as_long_as_the_cache_leaves_nothing_of_what_an_lru_held() {
        let mut lru = cache("LRU");
        warm(&mut *lru);
        hits(&mut *lru, &traces::scan(HOT, CAPACITY - 1));
        assert!(hot_keys_left(&mut *lru) > 0, "one short of it does");
        let mut lru = cache("LRU");
        warm(&mut *lru);
        hits(&mut *lru, &traces::scan(HOT, CAPACITY));
        assert_eq!(hot_keys_left(&mut *lru), 0);
    }

    #[test]
    fn lfu_and_s3_fifo_keep_the_hot_set_through_a_scan_and_the_others_lose_it() {
        let left = |policy| left_after_scan(&mut *cache(policy));
        let all = ["FIFO", "LRU", "CLOCK", "LFU", "S3-FIFO"];
        assert_eq!(all.map(left), [0, 0, 0, HOT as usize, HOT as usize]);
    }

    #[test]
    fn lfu_cannot_forget_a_set_that_nobody_asks_for_any_more() {
        let after = |policy| after_a_change(&mut *cache(policy));
        assert_eq!(after("LFU"), (0, HOT as usize));
        assert_eq!(after("LRU"), (CAPACITY, 0));
        assert_eq!(after("FIFO"), (CAPACITY, 0));
        assert_eq!(after("CLOCK"), (CAPACITY, 0));
    }

    #[test]
    fn a_loop_one_larger_than_the_cache_gives_lru_nothing_and_a_smaller_one_all() {
        for policy in ["FIFO", "LRU", "LFU", "CLOCK"] {
            assert_eq!(percent(policy, "loop"), 0.0, "{policy}");
            let fits = traces::cycle(CAPACITY as u64, 10 * CAPACITY);
            let hits = hits(&mut *cache(policy), &fits);
            assert_eq!(hits, 9 * CAPACITY, "{policy}");
        }
        assert!(percent("S3-FIFO", "loop") > 90.0);
    }

    #[test]
    fn where_popularity_stays_counting_wins_and_where_it_moves_recency_does() {
        assert!(percent("LFU", "Zipf") > percent("LRU", "Zipf") + 5.0);
        assert!(percent("LFU", "shifting") < percent("LRU", "shifting") - 20.0);
        assert!(percent("LFU", "shifting") < percent("FIFO", "shifting") - 15.0);
    }

    #[test]
    fn on_every_trace_clock_is_within_two_points_of_lru_and_fifo_within_six() {
        for trace in traces::all(SEED, CAPACITY) {
            for (policy, points) in [("CLOCK", 2.0), ("FIFO", 6.0)] {
                let apart = percent(policy, trace.name) - percent("LRU", trace.name);
                assert!(apart.abs() < points, "{policy} {}: {apart}", trace.name);
            }
        }
    }

    #[test]
    fn s3_fifo_misses_what_is_used_twice_and_fifo_does_not() {
        let pairs = traces::pairs(20_000, CAPACITY as u64 / 4, 4_000);
        let hit_pairs = |policy| {
            let mut cache = cache(policy);
            let zipf = traces::zipf(1_000, 2_000, &mut Rng::with_seed(SEED));
            hits(&mut *cache, &zipf);
            hits(&mut *cache, &pairs)
        };
        assert_eq!(hit_pairs("S3-FIFO"), 0);
        assert_eq!(hit_pairs("LFU"), 0);
        assert!(hit_pairs("FIFO") >= 1_950 && hit_pairs("LRU") >= 1_950);
    }

    #[test]
    fn nobody_beats_the_one_who_knows_the_future() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..200 {
            let (capacity, keys) = (rng.usize(1..12), rng.u64(2..30));
            let requests: Vec<Key> =
                (0..200).map(|_| Key(rng.u64(0..keys))).collect();
            let best = best_possible(&requests, capacity);
            for (name, mut cache) in policies::all(capacity) {
                let hits = hits(&mut *cache, &requests);
                assert!(hits <= best, "{name}");
            }
        }
    }

    #[test]
    fn the_zipf_trace_asks_for_the_second_key_half_as_often_as_for_the_first() {
        let trace = traces::zipf(1_000, 40_000, &mut Rng::with_seed(SEED));
        let count = |k| trace.iter().filter(|key| **key == Key(k)).count() as f64;
        assert!((count(0) / count(1) - 2.0).abs() < 0.1);
        assert!((count(0) / count(3) - 4.0).abs() < 0.3);
    }
}
