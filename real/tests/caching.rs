//! What the caching chapter says of Redis. Each claim has a margin that its chance
//! stayed far inside of in repeated runs.

use anyhow::{ensure, Result};
use real::caching::policies::{Key, Lru};
use real::caching::{exact, play_all, requests, traces};
use real::caching::{Policy, Run, Store, CAPACITY};
use real::program::skip_if_missing;
use real::wait_until;
use std::io::Write;
use std::time::{Duration, Instant};

const SEED: u64 = 1;
const ZIPF: usize = 0;
const LOOP: usize = 2;
/// Long enough for Redis's clock of whole seconds to tell uses apart.
const SPREAD: Duration = Duration::from_secs(16);
const AT_ONCE: Duration = Duration::ZERO;

fn hits<const N: usize>(runs: [Run; N]) -> Result<Option<[f64; N]>> {
    let Some(outcomes) = skip_if_missing(play_all(&runs, N))? else {
        return Ok(None);
    };
    Ok(Some(std::array::from_fn(|i| outcomes[i].hit_percent)))
}

#[test]
fn with_ten_samples_redis_is_near_exact_lru_and_with_one_it_is_chance() -> Result<()>
{
    let zipf = &requests(SEED)[ZIPF].requests;
    let run =
        |policy, samples| Run { requests: zipf, policy, samples, time: SPREAD };
    let runs = [run(Policy::Lru, 10), run(Policy::Lru, 1), run(Policy::Random, 5)];
    let Some([ten, one, random]) = hits(runs)? else { return Ok(()) };
    let exact = exact(&mut Lru::new(CAPACITY), zipf).hit_percent;
    let seen = format!("exact {exact:.1}, 10: {ten:.1}, 1: {one:.1}, {random:.1}");
    println!("{seen}");
    ensure!((ten - exact).abs() < 1.0, "{seen}");
    ensure!(one < ten - 1.0, "{seen}");
    ensure!((one - random).abs() < 1.5, "{seen}");
    Ok(())
}

#[test]
fn in_a_loop_a_little_too_long_redis_hits_where_exact_lru_never_does() -> Result<()>
{
    let requests = &requests(SEED)[LOOP].requests;
    let run = Run { requests, policy: Policy::Lru, samples: 5, time: SPREAD };
    let Some([sampled]) = hits([run])? else { return Ok(()) };
    ensure!(exact(&mut Lru::new(CAPACITY), requests).hit_percent == 0.0);
    println!("{sampled:.1}");
    ensure!(sampled > 25.0, "{sampled:.1}");
    Ok(())
}

/// Within a second. A machine too slow for that shows nothing, either way.
#[test]
fn sent_within_a_second_redis_lru_is_chance_even_with_ten_samples() -> Result<()> {
    const TRIES_MAX: usize = 10;
    let requests = &requests(SEED)[LOOP].requests;
    for _ in 0..TRIES_MAX {
        let started = Store::start(Policy::Lru, 10);
        let Some(mut store) = skip_if_missing(started)? else { return Ok(()) };
        let start = Instant::now();
        let hits = store.play(requests, AT_ONCE)?.hit_percent;
        if start.elapsed() < Duration::from_secs(1) {
            println!("{hits:.1}");
            ensure!(hits > 62.0, "{hits:.1}");
            return Ok(());
        }
    }
    // Not eprintln!: the test harness swallows that when a test passes.
    writeln!(std::io::stderr(), "not shown: this machine is too slow")?;
    Ok(())
}

#[test]
fn a_scan_empties_the_hot_set_of_allkeys_lru_and_not_of_allkeys_lfu() -> Result<()> {
    const HOT: usize = CAPACITY / 2;
    let kept = |policy| -> Result<Option<usize>> {
        let started = Store::start(policy, 10);
        let Some(mut store) = skip_if_missing(started)? else { return Ok(None) };
        store.play(&traces::cycle(HOT as u64, 20 * HOT), AT_ONCE)?;
        // Until Redis's clock sees that the scan is younger.
        wait_until(Duration::from_secs(10), || {
            let idle = store.idle_seconds(Key(0));
            idle.map_or(true, |idle| idle >= Some(3)) // not noted by LFU
        });
        store.play(&traces::scan(HOT as u64, 3 * CAPACITY), AT_ONCE)?;
        let mut kept = 0;
        for key in 0..HOT as u64 {
            kept += usize::from(store.holds(Key(key))?);
        }
        Ok(Some(kept))
    };
    let Some(lru) = kept(Policy::Lru)? else { return Ok(()) };
    let Some(lfu) = kept(Policy::Lfu)? else { return Ok(()) };
    println!("{lru} and {lfu} of {HOT}");
    ensure!(lru < HOT / 20, "LRU kept {lru} of {HOT}");
    ensure!(lfu > HOT * 19 / 20, "LFU kept {lfu} of {HOT}");
    Ok(())
}
