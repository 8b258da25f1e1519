//! A hash map: what happens as it fills, when it grows, and when an attacker
//! chooses the keys.
//!
//! Look at `looked at`, the slots that an operation reads. In the first table it
//! follows Knuth's formula and explodes as the table fills. In the last one the
//! same 2,000 keys cost 1,000 slots an insert or a few: it depends on whether
//! whoever chose them could compute the hash.
//!
//! Simplified: keys are numbers, the map never shrinks, and growing moves all
//! entries at once. Deletion shifts later entries back instead of leaving a mark.

// ANCHOR: map
pub struct Map<V, H> {
    slots: Vec<Option<(u64, V)>>, // as many as a power of two
    len: usize,
    hash: H,
}

impl<V, H: Fn(u64) -> u64> Map<V, H> {
    pub fn new(hash: H) -> Self {
        let slots = (0..8).map(|_| None).collect();
        Self {
            slots,
            len: 0,
            hash,
        }
    }

    fn home(&self, key: u64) -> usize {
        (self.hash)(key) as usize & (self.slots.len() - 1)
    }

    /// The key's slot, or the empty one where it belongs; and the slots looked at.
    fn find(&self, key: u64) -> (usize, usize) {
        let (mut slot, mut seen) = (self.home(key), 1);
        while matches!(&self.slots[slot], Some((other, _)) if *other != key) {
            slot = (slot + 1) & (self.slots.len() - 1); // taken: try the next
            seen += 1;
        }
        (slot, seen)
    }

    pub fn get(&self, key: u64) -> Option<&V> {
        self.slots[self.find(key).0]
            .as_ref()
            .map(|(_, value)| value)
    }

    pub fn insert(&mut self, key: u64, value: V) -> Option<V> {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            let bigger = (0..self.slots.len() * 2).map(|_| None).collect();
            let old = std::mem::replace(&mut self.slots, bigger);
            self.len = 0;
            for (key, value) in old.into_iter().flatten() {
                self.insert(key, value); // with more slots, its home is another
            }
        }
        let slot = self.find(key).0;
        let old = self.slots[slot].replace((key, value));
        self.len += usize::from(old.is_none());
        old.map(|(_, value)| value)
    }

    pub fn remove(&mut self, key: u64) -> Option<V> {
        let (mut hole, mask) = (self.find(key).0, self.slots.len() - 1);
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        let mut next = (hole + 1) & mask;
        while let Some((other, _)) = &self.slots[next] {
            let from_home = next.wrapping_sub(self.home(*other)) & mask;
            if from_home >= next.wrapping_sub(hole) & mask {
                self.slots.swap(hole, next); // it may move back: fill the hole
                hole = next;
            }
            next = (next + 1) & mask;
        }
        Some(value)
    }
}
// ANCHOR_END: map

// ANCHOR: mix
/// MurmurHash3's finaliser: spreads well, and anyone can compute it.
pub fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// Backwards, with the inverse of each factor. Gives the key for any hash.
fn unmix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0x9cb4_b2f8_1293_37db);
    h = (h ^ (h >> 33)).wrapping_mul(0x4f74_430c_22a5_4005);
    h ^ (h >> 33)
}

/// Keys whose hashes end in 32 zeros: slot 0 in every table up to 2^32 slots.
fn attack(keys: u64) -> impl Iterator<Item = u64> {
    (1..=keys).map(|i| unmix(i << 32))
}
// ANCHOR_END: mix

// ANCHOR: sip
/// SipHash of one 8-byte key, with 1 and 3 rounds as in `std` or 2 and 4 as in
/// the paper. Without the 128-bit secret its result cannot be foreseen.
pub fn sip(secret: [u64; 2], rounds: [u32; 2], key: u64) -> u64 {
    let mut v = [
        secret[0] ^ 0x736f_6d65_7073_6575,
        secret[1] ^ 0x646f_7261_6e64_6f6d,
        secret[0] ^ 0x6c79_6765_6e65_7261,
        secret[1] ^ 0x7465_6462_7974_6573,
    ];
    for block in [key, 8 << 56] {
        v[3] ^= block; // the key, then its length
        (0..rounds[0]).for_each(|_| round(&mut v));
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    (0..rounds[1]).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn round(v: &mut [u64; 4]) {
    for [a, b, turn_b, c, d, turn_d] in [[0, 1, 13, 2, 3, 16], [2, 1, 17, 0, 3, 21]]
    {
        v[a] = v[a].wrapping_add(v[b]);
        v[c] = v[c].wrapping_add(v[d]);
        v[b] = v[b].rotate_left(turn_b as u32) ^ v[a];
        v[d] = v[d].rotate_left(turn_d as u32) ^ v[c];
        v[a] = v[a].rotate_left(32);
    }
}
// ANCHOR_END: sip

const SECRET: [u64; 2] = [0x0dd0_5eed_0dd0_5eed, 0x0bad_cafe_0bad_cafe];

/// Mean slots looked at for keys that are there, and for keys that are not: over
/// two tables of 65,536 slots.
fn probes(percent: usize) -> (f64, f64) {
    let (mut found, mut absent) = (0.0, 0.0);
    for seed in 1..=2 {
        let mut rng = fastrand::Rng::with_seed(seed * 100 + percent as u64);
        let mut map = Map::new(mix);
        map.slots = (0..1 << 16).map(|_| None).collect();
        let keys = map.slots.len() * percent / 100;
        let keys: Vec<u64> = (0..keys).map(|_| rng.u64(..)).collect();
        for &key in &keys {
            let slot = map.find(key).0;
            map.slots[slot] = Some((key, ())); // and never grow
        }
        let seen = |key: &u64| map.find(*key).1 as f64;
        found += keys.iter().map(seen).sum::<f64>() / keys.len() as f64;
        absent += (0..2_000).map(|_| seen(&rng.u64(..))).sum::<f64>() / 2e3;
    }
    (found / 2.0, absent / 2.0)
}

/// Knuth's formulas for linear probing.
fn formula(percent: usize) -> (f64, f64) {
    let free = 1.0 - percent as f64 / 100.0;
    ((1.0 + 1.0 / free) / 2.0, (1.0 + 1.0 / (free * free)) / 2.0)
}

/// Mean slots looked at when all these keys are inserted.
fn insert_all(hash: impl Fn(u64) -> u64, keys: &[u64]) -> f64 {
    let mut map = Map::new(hash);
    let mut seen = 0;
    for &key in keys {
        map.insert(key, ());
        seen += map.find(key).1; // as many as the insertion has just looked at
    }
    seen as f64 / keys.len() as f64
}

fn main() {
    println!("slots looked at     key is there          key is not there");
    println!("slots full       measured  formula      measured  formula");
    for percent in [50, 75, 90, 95] {
        let (found, absent) = probes(percent);
        let (found_f, absent_f) = formula(percent);
        print!("{percent:>7} % {found:>14.2} {found_f:>8.2}");
        println!(" {absent:>13.1} {absent_f:>8.1}");
    }
    let (mut map, mut moved, mut most) = (Map::new(mix), 0, 0);
    for key in 0..50_000 {
        let slots = map.slots.len();
        map.insert(key, ());
        if map.slots.len() > slots {
            most = map.len - 1; // all but the new one
            moved += most;
        }
    }
    println!("\ngrowing, 50,000 inserts");
    println!(
        "entries moved an insert, mean {:>11.2}",
        moved as f64 / 50e3
    );
    println!("entries moved by the worst insert {most:>7}");

    let mut rng = fastrand::Rng::with_seed(1);
    let random: Vec<u64> = (0..2_000).map(|_| rng.u64(..)).collect();
    let chosen: Vec<u64> = attack(2_000).collect();
    println!("\n2,000 inserts, slots looked at     random   chosen by");
    println!("each, mean                           keys    attacker");
    let row = |name, random, chosen| {
        println!("{name:<30} {random:>10.1} {chosen:>11.1}");
    };
    row(
        "mix, public",
        insert_all(mix, &random),
        insert_all(mix, &chosen),
    );
    let keyed = |key| sip(SECRET, [1, 3], key);
    let (random, chosen) = (insert_all(keyed, &random), insert_all(keyed, &chosen));
    row("SipHash, secret key", random, chosen);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_answers_as_std_does_whatever_is_inserted_and_removed() {
        let weak: fn(u64) -> u64 = |key| key % 7; // long runs of taken slots
        for hash in [mix, weak, |key: u64| key.wrapping_neg()] {
            for seed in 0..60 {
                let mut rng = fastrand::Rng::with_seed(seed);
                let (mut map, mut model) = (Map::new(hash), HashMap::new());
                for step in 0..200 {
                    let key = rng.u64(..40);
                    if rng.u8(..3) == 0 {
                        assert_eq!(map.remove(key), model.remove(&key));
                    } else {
                        assert_eq!(map.insert(key, step), model.insert(key, step));
                    }
                    assert_eq!(map.len, model.len());
                    for key in 0..40 {
                        assert_eq!(map.get(key), model.get(&key), "{seed} {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_slot_that_is_only_emptied_hides_the_keys_behind_it() {
        let (mut map, mut wrong) = (Map::new(|_| 0), Map::new(|_| 0));
        for (key, value) in [(1, 'a'), (2, 'b')] {
            map.insert(key, value);
            wrong.insert(key, value);
        }
        map.remove(1);
        wrong.slots[0] = None;
        assert_eq!((map.get(2), wrong.get(2)), (Some(&'b'), None));
    }

    #[test]
    fn the_slots_looked_at_follow_knuths_formula() {
        for percent in [50, 75, 90, 95] {
            let (found, absent) = probes(percent);
            let (found_f, absent_f) = formula(percent);
            assert!((found / found_f - 1.0).abs() < 0.15, "{percent}: {found}");
            assert!(
                (absent / absent_f - 1.0).abs() < 0.35,
                "{percent}: {absent}"
            );
        }
    }

    #[test]
    fn doubling_moves_fewer_than_two_entries_an_insert_on_average() {
        let (mut map, mut moved) = (Map::new(mix), 0);
        for n in 1..20_000 {
            let slots = map.slots.len();
            map.insert(n as u64, ());
            moved += if map.slots.len() > slots { n - 1 } else { 0 };
            assert!(moved < 2 * n, "{n}");
            assert!(4 * map.len <= 3 * map.slots.len(), "at most three quarters");
            assert!(
                n <= 6 || 8 * map.len > 3 * map.slots.len(),
                "and not earlier"
            );
        }
    }

    #[test]
    fn chosen_keys_make_a_public_hash_quadratic_and_a_keyed_one_not() {
        let keys: Vec<u64> = attack(1_000).collect();
        assert_eq!(insert_all(mix, &keys), 500.5); // 1 + 2 + … + n, over n
        assert!(insert_all(|key| sip(SECRET, [1, 3], key), &keys) < 4.0);
        for h in [0, 1, 99, u64::MAX] {
            assert_eq!(mix(unmix(h)), h);
        }
    }

    #[test]
    #[allow(deprecated)] // std's SipHash-2-4, which still does what the paper says
    fn sip_is_the_papers() {
        use std::hash::{Hasher, SipHasher};
        for key in [0, 1, 0x0706_0504_0302_0100, u64::MAX] {
            let mut std = SipHasher::new_with_keys(SECRET[0], SECRET[1]);
            std.write(&key.to_le_bytes());
            assert_eq!(sip(SECRET, [2, 4], key), std.finish());
        }
    }
}
