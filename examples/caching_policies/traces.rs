//! Who asks for what: the requests on which the policies are compared.
//!
//! All are seeded and the same on every machine: the sampler adds, divides,
//! multiplies and compares, which the standard for floating-point numbers fixes to
//! the last bit. Popularity follows Zipf's law with exponent 1: the second key is
//! asked for half as often as the first.

use super::policies::Key;
use fastrand::Rng;

pub struct Trace {
    pub name: &'static str,
    pub capacity: usize, // entries that the cache may hold
    pub requests: Vec<Key>,
}

// ANCHOR: zipf
/// The rank of a key, 0 the most popular: a weight of 1/(rank + 1).
pub struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    pub fn new(keys: u64) -> Zipf {
        let mut sum = 0.0;
        let cumulated = (1..=keys).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Zipf {
            cumulated: cumulated.collect(),
        }
    }

    pub fn rank(&self, rng: &mut Rng) -> u64 {
        let all = self.cumulated.last().copied().unwrap_or(0.0);
        let point = rng.f64() * all;
        self.cumulated.partition_point(|sum| *sum <= point) as u64
    }
}
// ANCHOR_END: zipf

/// The same keys stay popular.
pub fn zipf(keys: u64, requests: usize, rng: &mut Rng) -> Vec<Key> {
    let zipf = Zipf::new(keys);
    (0..requests).map(|_| Key(zipf.rank(rng))).collect()
}

/// Each key once: a backup, a crawler, a report over everything.
pub fn scan(first: u64, requests: usize) -> Vec<Key> {
    (first..).take(requests).map(Key).collect()
}

/// The same keys in the same order, again and again.
pub fn cycle(keys: u64, requests: usize) -> Vec<Key> {
    (0..keys).cycle().take(requests).map(Key).collect()
}

/// Popularity moves on: after `every` requests all favourites are other keys.
pub fn shifting(
    keys: u64,
    requests: usize,
    every: usize,
    rng: &mut Rng,
) -> Vec<Key> {
    let zipf = Zipf::new(keys);
    let request = |i| {
        let day = (i / every) as u64;
        Key((zipf.rank(rng) + day * (keys / 10)) % keys)
    };
    (0..requests).map(request).collect()
}

/// Zipf, and after every `every` requests a scan over `length` keys used nowhere
/// else.
pub fn zipf_with_scans(
    keys: u64,
    requests: usize,
    (every, length): (usize, usize),
    rng: &mut Rng,
) -> Vec<Key> {
    let mut trace = Vec::with_capacity(requests);
    let (zipf, mut fresh) = (Zipf::new(keys), keys);
    while trace.len() < requests {
        trace.extend((0..every).map(|_| Key(zipf.rank(rng))));
        trace.extend(scan(fresh, length));
        fresh += length as u64;
    }
    trace.truncate(requests);
    trace
}

/// Each key twice, the second time after `apart` other keys, then never again:
/// written, read back by the next worker, done.
pub fn pairs(first: u64, apart: u64, requests: usize) -> Vec<Key> {
    let now_and_then = |i: u64| [Some(i), i.checked_sub(apart)];
    let keys = (0..).flat_map(now_and_then).flatten();
    keys.take(requests).map(|i| Key(first + i)).collect()
}

/// The chapter's traces: ten times as many keys as the cache holds.
pub fn all(seed: u64, capacity: usize) -> Vec<Trace> {
    let mut rng = Rng::with_seed(seed);
    let keys = 10 * capacity as u64;
    let requests = 60 * capacity;
    let scans = (5 * capacity, 2 * capacity); // a scan of 2 after each 5
    let mut zipf_then_pairs = zipf(keys, requests / 4, &mut rng);
    let apart = capacity as u64 / 4;
    zipf_then_pairs.extend(pairs(keys, apart, requests * 3 / 4));
    [
        ("Zipf", zipf(keys, requests, &mut rng)),
        (
            "Zipf and scans",
            zipf_with_scans(keys, requests, scans, &mut rng),
        ),
        ("scan", scan(0, requests)),
        ("loop", cycle(capacity as u64 + 1, requests)),
        ("shifting", shifting(keys, requests, requests / 6, &mut rng)),
        ("Zipf, then pairs", zipf_then_pairs),
    ]
    .into_iter()
    .map(|(name, requests)| Trace {
        name,
        capacity,
        requests,
    })
    .collect()
}
