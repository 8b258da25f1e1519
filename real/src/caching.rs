//! The caching chapter's requests on Redis, beside the chapter's own exact policies.
//!
//! The policies and the traces are the chapter's own files in
//! `examples/caching_policies`.
//!
//! Redis notes the second in which a key was last used. So a trace is spread over many
//! seconds, of which there are some while a key waits unused for its eviction; sent at
//! once, all keys look alike to `allkeys-lru`.
//!
//! What fits is a number of bytes for Redis, the buffers of its clients included. A
//! [`Store`] is allowed what it uses with [`CAPACITY`] values in it; the values are
//! large, so that a buffer more or less is worth few of them.
//!
//! May know of `redis` and of those files; prints nothing.

use crate::redis::{info, Redis};
use ::redis::{cmd, Connection};
use anyhow::{bail, ensure, Result};
use policies::{Cache, Key};
use std::thread;
use std::time::{Duration, Instant};
use traces::Trace;

#[allow(missing_docs, dead_code, clippy::len_without_is_empty)]
#[rustfmt::skip]
#[path = "../../examples/caching_policies/policies.rs"]
pub mod policies;
#[allow(missing_docs, dead_code, clippy::len_without_is_empty)]
#[rustfmt::skip]
#[path = "../../examples/caching_policies/traces.rs"]
pub mod traces;

/// How many entries a cache holds, ours and Redis.
pub const CAPACITY: usize = 1_000;
/// How many requests a trace has: few, so that a second brings few of them.
pub const REQUESTS: usize = 8 * CAPACITY;
/// Each value: large against the buffers of a client, which count too.
const VALUE_BYTES: usize = 10_000;
/// Requests wait for each other so long, then they are sent together.
const PAUSE: Duration = Duration::from_millis(20);
/// How many are sent together at most. Redis still takes one after the other.
const BATCH_MAX: usize = 100;
/// How often a `maxmemory` is corrected until exactly [`CAPACITY`] entries fit.
const TRIES_MAX: usize = 20;
/// One request: read, and store what is not here. As a script it needs one message,
/// and the value need not be sent. Redis evicts before it starts, as it does before
/// each command. `SETRANGE` makes a value of that length, zeros and a letter; to build
/// it in Lua would take most of the time of a run.
const REQUEST: &str = "\
if redis.call('GET', KEYS[1]) then return 1 end
redis.call('SETRANGE', KEYS[1], ARGV[1] - 1, 'x')
return 0";

/// Whom Redis evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `allkeys-lru`
    Lru,
    /// `allkeys-lfu`
    Lfu,
    /// `allkeys-random`
    Random,
}

/// What came of a trace.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Percent of the requests that found their entry.
    pub hit_percent: f64,
    /// How many entries there were, looked at now and then in the second half.
    pub entries: Vec<usize>,
}

/// The four traces of [`REQUESTS`] requests for a cache of [`CAPACITY`] entries, the same
/// on every machine. As in the chapter there are ten times as many keys as the cache
/// holds, except that the loop is a tenth longer than the cache, which is more than
/// Redis's capacity is uncertain by.
pub fn requests(seed: u64) -> [Trace; 4] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let keys = 10 * CAPACITY as u64;
    let scans = (CAPACITY, CAPACITY / 2); // after each so many, a scan of so many
    let trace = |name, requests| Trace { name, capacity: CAPACITY, requests };
    [
        trace("Zipf", traces::zipf(keys, REQUESTS, &mut rng)),
        trace(
            "Zipf and scans",
            traces::zipf_with_scans(keys, REQUESTS, scans, &mut rng),
        ),
        trace("loop", traces::cycle(CAPACITY as u64 * 11 / 10, REQUESTS)),
        trace("shifting", traces::shifting(keys, REQUESTS, REQUESTS / 4, &mut rng)),
    ]
}

/// One of the chapter's caches, asked the same.
pub fn exact(cache: &mut dyn Cache<()>, requests: &[Key]) -> Outcome {
    let mut hits = 0;
    for key in requests {
        if cache.get(*key).is_some() {
            hits += 1;
        } else {
            cache.put(*key, ());
        }
    }
    Outcome { hit_percent: percent(hits, requests), entries: vec![cache.len()] }
}

/// A Redis server that has room for [`CAPACITY`] entries and nothing in it.
pub struct Store {
    connection: Connection,
    script: String,
    _server: Redis,
}

impl Store {
    /// Starts it with this policy, which looks at `samples` entries for each eviction.
    ///
    /// # Errors
    /// As [`Redis::start`]; when Redis refuses a command.
    pub fn start(policy: Policy, samples: usize) -> Result<Store> {
        let policy = match policy {
            Policy::Lru => "allkeys-lru",
            Policy::Lfu => "allkeys-lfu",
            Policy::Random => "allkeys-random",
        };
        let server = Redis::start(&[
            ("maxmemory-policy", policy),
            ("maxmemory-samples", &samples.to_string()),
        ])?;
        let mut connection = server.connect()?;
        let script =
            cmd("SCRIPT").arg("LOAD").arg(REQUEST).query(&mut connection)?;
        let mut store = Store { connection, script, _server: server };
        store.make_room()?;
        Ok(store)
    }

    /// Fills it, sees how many bytes that takes, allows so many, corrects that by what
    /// fits in truth, and empties it again. The keys are none of the chapter's: Redis
    /// keeps a short list of candidates for eviction, with ages that are out of date
    /// for a key that comes back.
    fn make_room(&mut self) -> Result<()> {
        let mut unused = traces::scan(900_000, 50 * CAPACITY).into_iter();
        let mut fill = |store: &mut Store, entries| {
            let keys: Vec<Key> = unused.by_ref().take(entries).collect();
            store.play(&keys, Duration::ZERO)
        };
        let empty = info(&mut self.connection, "used_memory")?;
        fill(self, CAPACITY)?;
        let full = info(&mut self.connection, "used_memory")?;
        let entry = (full - empty) / CAPACITY as u64;
        let mut limit = full + entry / 2;
        for _ in 0..TRIES_MAX {
            cmd("CONFIG")
                .arg("SET")
                .arg("maxmemory")
                .arg(limit)
                .exec(&mut self.connection)?;
            fill(self, CAPACITY / 10)?;
            match self.entries()? {
                CAPACITY => {
                    cmd("FLUSHALL").exec(&mut self.connection)?;
                    return Ok(());
                }
                fit if fit > CAPACITY => limit -= (fit - CAPACITY) as u64 * entry,
                fit => limit += (CAPACITY - fit) as u64 * entry,
            }
        }
        bail!("found no maxmemory for {CAPACITY} entries")
    }

    /// Sends the requests in their order, spread evenly over `time`. An entry that is
    /// not found is stored.
    ///
    /// # Errors
    /// When Redis does not answer or refuses a command.
    pub fn play(&mut self, requests: &[Key], time: Duration) -> Result<Outcome> {
        let start = Instant::now();
        let each = time.div_f64(requests.len().max(1) as f64);
        let (mut sent, mut hits, mut entries) = (0, 0, Vec::new());
        while sent < requests.len() {
            let due = if time.is_zero() {
                requests.len()
            } else {
                let due = start.elapsed().as_secs_f64() / each.as_secs_f64();
                (due as usize).min(requests.len())
            };
            if due == sent {
                thread::sleep(PAUSE.max(each));
            }
            for batch in requests[sent..due].chunks(BATCH_MAX) {
                hits += self.send(batch)?;
                sent += batch.len();
                if 2 * sent > requests.len() {
                    entries.push(self.entries()?);
                }
            }
        }
        Ok(Outcome { hit_percent: percent(hits, requests), entries })
    }

    /// Sends requests and says how many found their entry.
    fn send(&mut self, requests: &[Key]) -> Result<usize> {
        let mut pipe = ::redis::pipe();
        for key in requests {
            let request = pipe.cmd("EVALSHA").arg(&self.script).arg(1);
            request.arg(name(*key)).arg(VALUE_BYTES);
        }
        let found: Vec<usize> = pipe.query(&mut self.connection)?;
        ensure!(found.len() == requests.len(), "{} answers", found.len());
        Ok(found.iter().sum())
    }

    /// Whether the entry is here. Does not count as a use.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub fn holds(&mut self, key: Key) -> Result<bool> {
        Ok(cmd("EXISTS").arg(name(key)).query(&mut self.connection)?)
    }

    /// How many whole seconds ago Redis believes that the entry was used. Does not
    /// count as a use. `None` if it is not here.
    ///
    /// # Errors
    /// When Redis does not answer, or does not note the time because its policy is LFU.
    pub fn idle_seconds(&mut self, key: Key) -> Result<Option<u64>> {
        let idle = cmd("OBJECT")
            .arg("IDLETIME")
            .arg(name(key))
            .query(&mut self.connection)?;
        Ok(idle)
    }

    /// How many entries are here.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub fn entries(&mut self) -> Result<usize> {
        Ok(cmd("DBSIZE").query(&mut self.connection)?)
    }
}

/// One run on Redis: which requests, by which policy, over which time.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What is asked for.
    pub requests: &'a [Key],
    /// Who is evicted.
    pub policy: Policy,
    /// Of how many entries that are looked at, `maxmemory-samples`.
    pub samples: usize,
    /// How long it takes to ask.
    pub time: Duration,
}

impl Run<'_> {
    /// Makes this run on a server of its own.
    ///
    /// # Errors
    /// As [`Store::start`] and [`Store::play`].
    pub fn play(&self) -> Result<Outcome> {
        Store::start(self.policy, self.samples)?.play(self.requests, self.time)
    }
}

/// Makes the runs, `servers` of them at the same time: one that is spread over some
/// time waits most of it.
///
/// # Errors
/// That of the first run that fails.
pub fn play_all(runs: &[Run], servers: usize) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for together in runs.chunks(servers.max(1)) {
        thread::scope(|scope| {
            let running: Vec<_> =
                together.iter().map(|run| scope.spawn(|| run.play())).collect();
            for run in running {
                match run.join() {
                    Ok(outcome) => outcomes.push(outcome?),
                    Err(_) => bail!("a run panicked"),
                }
            }
            Ok(())
        })?;
    }
    Ok(outcomes)
}

/// All names have the same length, so that all entries take the same room.
fn name(key: Key) -> String {
    format!("k{:06}", key.0)
}

fn percent(hits: usize, requests: &[Key]) -> f64 {
    100.0 * hits as f64 / requests.len() as f64
}
