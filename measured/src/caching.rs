//! The caching chapter's LRU, the crate `lru` and the crate `moka`, asked the same.
//!
//! The policy and the trace are the chapter's own files in `examples/caching_policies`.
//! May know of them and of both crates; knows no clock and prints nothing.

use lru::LruCache;
use policies::{Cache, Key, Lru};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

#[allow(missing_docs, dead_code, clippy::len_without_is_empty)]
#[rustfmt::skip]
#[path = "../../examples/caching_policies/policies.rs"]
pub mod policies;
#[allow(missing_docs, dead_code)]
#[rustfmt::skip]
#[path = "../../examples/caching_policies/traces.rs"]
pub mod traces;

/// How many entries each cache holds.
pub const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How many times a cache is asked.
pub const REQUESTS: usize = 300_000;
/// The crates that are measured, each with its version.
pub const CRATES: [(&str, &str); 2] =
    [("lru", env!("LRU_VERSION")), ("moka", env!("MOKA_VERSION"))];

/// Popularity by Zipf's law, ten times as many keys as fit.
pub fn requests(seed: u64) -> Vec<Key> {
    let keys = 10 * CAPACITY.get() as u64;
    traces::zipf(keys, REQUESTS, &mut fastrand::Rng::with_seed(seed))
}

/// A cache that one thread uses.
pub trait Alone {
    /// Reads the value and stores it if it is not here. Says whether it was.
    fn request(&mut self, key: Key) -> bool;
}

impl Alone for Lru<u64> {
    fn request(&mut self, key: Key) -> bool {
        let found = self.get(key).is_some();
        if !found {
            self.put(key, key.0);
        }
        found
    }
}

impl<S: BuildHasher> Alone for LruCache<Key, u64, S> {
    fn request(&mut self, key: Key) -> bool {
        let found = self.get(&key).is_some();
        if !found {
            self.put(key, key.0);
        }
        found
    }
}

impl Alone for moka::sync::Cache<Key, u64> {
    fn request(&mut self, key: Key) -> bool {
        Shared::request(self, key)
    }
}

/// A cache that threads share.
pub trait Shared: Sync {
    /// As [`Alone::request`].
    fn request(&self, key: Key) -> bool;
}

/// One lock around a cache that is made for one thread. It is held for a whole request:
/// the value costs nothing here.
impl<C: Alone + Send> Shared for Mutex<C> {
    fn request(&self, key: Key) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).request(key)
    }
}

impl Shared for moka::sync::Cache<Key, u64> {
    fn request(&self, key: Key) -> bool {
        let found = self.get(&key).is_some();
        if !found {
            self.insert(key, key.0);
        }
        found
    }
}

/// The chapter's LRU.
pub fn ours() -> Lru<u64> {
    Lru::new(CAPACITY.get())
}

/// The crate `lru` with the hash function that it comes with.
pub fn lru() -> LruCache<Key, u64> {
    LruCache::new(CAPACITY)
}

/// The crate `lru` with the hash function of the standard library, which ours has too.
pub fn lru_std_hash() -> LruCache<Key, u64, RandomState> {
    LruCache::with_hasher(CAPACITY, RandomState::new())
}

/// The crate `moka`, which has that function by itself.
pub fn moka() -> moka::sync::Cache<Key, u64> {
    moka::sync::Cache::new(CAPACITY.get() as u64)
}

/// How many of the requests found their entry.
pub fn hits_alone(mut cache: impl Alone, requests: &[Key]) -> usize {
    requests.iter().filter(|key| cache.request(**key)).count()
}

/// How many of the requests found their entry, two threads asking for a half each.
pub fn hits_of_two(cache: &impl Shared, requests: &[Key]) -> usize {
    let (one, other) = requests.split_at(requests.len() / 2);
    let hits = |part: &[Key]| part.iter().filter(|key| cache.request(**key)).count();
    thread::scope(|scope| {
        let one = scope.spawn(|| hits(one));
        let other = hits(other);
        match one.join() {
            Ok(one) => one + other,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not only as many hits: the same entry leaves, at each of many random steps.
    #[test]
    fn ours_and_the_crate_evict_the_same() {
        let mut rng = fastrand::Rng::with_seed(7);
        for capacity in [1, 2, 3, 10, 100] {
            let mut ours = Lru::new(capacity);
            let mut theirs = LruCache::new(NonZeroUsize::new(capacity).unwrap());
            for step in 0..20_000_u64 {
                let key = Key(rng.u64(0..3 * capacity as u64));
                if rng.bool() {
                    assert_eq!(ours.get(key), theirs.get(&key), "step {step}");
                } else {
                    let theirs = theirs.push(key, step);
                    // The crate returns what was replaced, too.
                    let evicted = theirs.filter(|(gone, _)| *gone != key);
                    assert_eq!(ours.put(key, step), evicted, "step {step}");
                }
                assert_eq!(ours.len(), theirs.len());
            }
        }
    }

    #[test]
    fn ours_and_the_crate_hit_the_same_on_the_trace_that_is_measured() {
        let requests = requests(1);
        let hits = hits_alone(ours(), &requests);
        assert!(hits > REQUESTS / 2);
        assert_eq!(hits_alone(lru(), &requests), hits);
        assert_eq!(hits_alone(lru_std_hash(), &requests), hits);
    }

    #[test]
    fn two_threads_make_all_requests() {
        let requests: Vec<Key> = requests(1).into_iter().take(10_000).collect();
        let cache = Mutex::new(ours());
        let hits = hits_of_two(&cache, &requests);
        // All that was asked for fits, so the second round finds everything.
        assert!(hits < requests.len());
        assert_eq!(hits_of_two(&cache, &requests), requests.len());
    }

    #[test]
    fn moka_hits_more_than_lru_on_zipf() {
        let requests = requests(1);
        let (theirs, ours) =
            (hits_alone(moka(), &requests), hits_alone(ours(), &requests));
        assert!(theirs > ours, "moka {theirs}, LRU {ours}");
    }
}
