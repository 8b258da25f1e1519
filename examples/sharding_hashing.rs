//! An eleventh shard joins ten: how many rows must be copied, and from whom?
//!
//! Look at `moved` first: 9.1 % (1/11) is what the newcomer must get, whatever
//! is above it is copied for nothing. `donors` are the shards that send rows:
//! with one point a shard, one neighbour sends everything. `largest` compares
//! the biggest of the ten with their mean, `entries` is what each router keeps
//! in memory, `steps` is the work of one look-up.
//!
//! Simplified: all shards are equal, a row has one copy. Each line is the mean
//! of eight clusters whose shards have different names. 10,000 rows fall on ten
//! shards by luck, so that `largest` would be 1.05 even for a perfect scheme.

use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ShardId(u32);

const ROWS: u64 = 10_000;
const SHARDS: u32 = 10;
const CLUSTERS: u32 = 8;
const SLOTS: usize = 16_384; // as many as Redis Cluster has

// ANCHOR: hash
/// FNV-1a, 64 bits. Its last bytes hardly reach the upper bits of the result.
fn fnv(name: &str) -> u64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        h = (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    h
}

/// MurmurHash3's finaliser: each bit of the input reaches each bit.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}
// ANCHOR_END: hash

type Hash = fn(&str) -> u64;

fn mixed(name: &str) -> u64 {
    mix(fnv(name))
}

// ANCHOR: ring
/// A shard has many points on the ring; it owns the arcs that end at them.
/// These points are its virtual nodes.
fn ring(points: u32, hash: Hash, shards: &[ShardId]) -> Map {
    let mut ring = Vec::new();
    for &shard in shards {
        for point in 0..points {
            ring.push((hash(&format!("shard-{}#{point}", shard.0)), shard));
        }
    }
    ring.sort_unstable();
    Map::Ring(ring)
}
// ANCHOR_END: ring

// ANCHOR: place
enum Map {
    Modulo(Vec<ShardId>),
    Ring(Vec<(u64, ShardId)>),
    Rendezvous(Vec<(u64, ShardId)>), // hash of the shard's name, shard
    Slots(Vec<ShardId>),             // who owns each slot
}

impl Map {
    /// `row` is the hash of the row's key.
    fn place(&self, row: u64) -> ShardId {
        match self {
            Self::Modulo(shards) => shards[(row % shards.len() as u64) as usize],
            Self::Ring(ring) => {
                let next = ring.partition_point(|(point, _)| *point < row);
                ring[next % ring.len()].1 // behind the last comes the first
            }
            Self::Rendezvous(shards) => {
                let best = shards.iter().max_by_key(|(name, _)| mix(row ^ name));
                best.expect("there are shards").1
            }
            Self::Slots(owner) => owner[(row % SLOTS as u64) as usize],
        }
    }
}
// ANCHOR_END: place

impl Map {
    /// What a router keeps in memory, and the steps of one look-up.
    fn cost(&self) -> (usize, usize) {
        match self {
            Self::Modulo(_) => (0, 1),
            Self::Ring(ring) => (ring.len(), ring.len().ilog2() as usize + 1),
            Self::Rendezvous(shards) => (shards.len(), shards.len()),
            Self::Slots(owner) => (owner.len(), 1),
        }
    }
}

// ANCHOR: slots
/// The newcomer takes slots, one at a time, from whoever has most.
fn join(owner: &[ShardId], newcomer: ShardId, shards: u32) -> Vec<ShardId> {
    let mut owner = owner.to_vec();
    let mut held: Vec<Vec<usize>> = vec![vec![]; shards as usize];
    for (slot, shard) in owner.iter().enumerate() {
        held[(shard.0 % 100) as usize].push(slot);
    }
    for _ in 0..SLOTS / (shards as usize + 1) {
        let richest = held.iter_mut().max_by_key(|slots| slots.len());
        let slot = richest.and_then(Vec::pop).expect("slots to give");
        owner[slot] = newcomer;
    }
    owner
}
// ANCHOR_END: slots

type Scheme = (&'static str, fn(&[ShardId]) -> Map);
const SCHEMES: [Scheme; 9] = [
    ("modulo", |shards| Map::Modulo(shards.to_vec())),
    ("ring, 1 point", |shards| ring(1, mixed, shards)),
    ("ring, 4 points", |shards| ring(4, mixed, shards)),
    ("ring, 16 points", |shards| ring(16, mixed, shards)),
    ("ring, 64 points", |shards| ring(64, mixed, shards)),
    ("ring, 256 points", |shards| ring(256, mixed, shards)),
    ("ring, 256, FNV only", |shards| ring(256, fnv, shards)),
    ("rendezvous", |shards| {
        let name = |shard: &ShardId| mixed(&format!("shard-{}", shard.0));
        Map::Rendezvous(shards.iter().map(|s| (name(s), *s)).collect())
    }),
    ("table of 16384 slots", |shards| {
        let ten = shards[..SHARDS as usize].iter().copied();
        let owner: Vec<ShardId> = ten.cycle().take(SLOTS).collect();
        Map::Slots(match shards.get(SHARDS as usize) {
            Some(newcomer) => join(&owner, *newcomer, SHARDS),
            None => owner,
        })
    }),
];

#[derive(Default)]
struct Report {
    moved: f64,    // percent of all rows
    needless: f64, // percent: moved, and not to the newcomer
    donors: f64,
    largest: f64, // biggest shard against the mean
    cost: (usize, usize),
}

fn measure((_, scheme): Scheme) -> Report {
    let mut report = Report::default();
    let percent = 100.0 / ROWS as f64 / f64::from(CLUSTERS);
    for cluster in 1..=CLUSTERS {
        let shards: Vec<_> =
            (0..=SHARDS).map(|s| ShardId(cluster * 100 + s)).collect();
        let newcomer = shards[SHARDS as usize];
        let (ten, eleven) = (scheme(&shards[..SHARDS as usize]), scheme(&shards));
        let (mut held, mut donors) = ([0; SHARDS as usize], BTreeSet::new());
        for key in 0..ROWS {
            let row = mix((u64::from(cluster) << 32) | key);
            let (old, new) = (ten.place(row), eleven.place(row));
            held[(old.0 % 100) as usize] += 1;
            if old != new {
                report.moved += percent;
                report.needless += if new == newcomer { 0.0 } else { percent };
                donors.insert(old);
            }
        }
        let biggest = held.into_iter().max().unwrap_or(0);
        let clusters = f64::from(CLUSTERS);
        let mean = ROWS as f64 / f64::from(SHARDS);
        report.largest += f64::from(biggest) / mean / clusters;
        report.donors += donors.len() as f64 / clusters;
        report.cost = ten.cost();
    }
    report
}

fn main() {
    println!("10 + 1 shards          moved donors largest  entries steps\n");
    for scheme in SCHEMES {
        let report = measure(scheme);
        print!("{:<21} {:>5.1}%", scheme.0, report.moved);
        print!(" {:>6.1} {:>7.2}", report.donors, report.largest);
        println!(" {:>8} {:>5}", report.cost.0, report.cost.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(name: &str) -> Report {
        let named = SCHEMES.into_iter().find(|(n, _)| *n == name);
        measure(named.expect("a scheme of that name"))
    }

    #[test]
    fn the_hashes_have_the_published_test_values() {
        assert_eq!(fnv("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(mixed("foobar"), 0x2c22_1949_22d1_672b);
    }

    #[test]
    fn modulo_moves_n_of_n_plus_1_rows_when_a_shard_joins() {
        let report = scheme("modulo");
        assert!((report.moved - 100.0 * 10.0 / 11.0).abs() < 0.5);
        assert!(report.needless > 80.0);
    }

    #[test]
    fn ring_rendezvous_and_slots_move_rows_only_to_the_newcomer() {
        for scheme in SCHEMES.into_iter().skip(1) {
            let report = measure(scheme);
            assert_eq!(report.needless, 0.0, "{}", scheme.0);
        }
        for name in ["ring, 64 points", "rendezvous", "table of 16384 slots"] {
            let moved = scheme(name).moved;
            assert!((moved - 100.0 / 11.0).abs() < 0.5, "{name}: {moved}");
        }
    }

    #[test]
    fn a_newcomer_with_one_point_has_one_donor_and_with_64_or_slots_ten() {
        assert_eq!(scheme("ring, 1 point").donors, 1.0);
        assert_eq!(scheme("ring, 64 points").donors, 10.0);
        assert_eq!(scheme("table of 16384 slots").donors, 10.0);
    }

    #[test]
    fn each_fourfold_of_virtual_nodes_brings_the_largest_shard_nearer_the_mean() {
        let names = [1, 4, 16, 64, 256]
            .map(|n| format!("ring, {n} point{}", if n == 1 { "" } else { "s" }));
        let largest = names.map(|name| scheme(&name).largest);
        assert!(
            largest.windows(2).all(|pair| pair[1] < pair[0]),
            "{largest:?}"
        );
        assert!(largest[0] > 2.0 && largest[4] < 1.15, "{largest:?}");
    }

    #[test]
    fn fnv_alone_spoils_the_ring() {
        let clumps = |hash: Hash| {
            let point = |n| hash(&format!("shard-100#{n}")) >> 48;
            (0..256).map(point).collect::<BTreeSet<u64>>().len()
        };
        assert_eq!((clumps(fnv), clumps(mixed)), (26, 256));
        let (weak, good) =
            (scheme("ring, 256, FNV only"), scheme("ring, 256 points"));
        assert!(weak.largest > 1.5 * good.largest);
    }
}
