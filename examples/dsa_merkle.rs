//! A Merkle tree is hashes of hashes: one number for all rows. Two replicas find
//! the rows in which they differ, and a stranger checks one row, with few hashes.
//!
//! Look at `hashes` and `rows sent` beside the 8,192 rows that a plain comparison
//! reads. More leaves mean more hashes and fewer rows sent in vain. Last, a forger
//! shows two hashes as if they were a row: an honest tree marks the difference.
//!
//! Simplified: the number of leaves is a power of two and both replicas use the
//! same; the tree is built anew after every change.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

// ANCHOR: merkle
type Hash = [u8; 32];

/// A row's hash and that of two children begin differently, so that neither can
/// pass for the other.
fn leaf(rows: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(rows)
        .finalize()
        .into()
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    let both = Sha256::new().chain_update([1]).chain_update(left);
    both.chain_update(right).finalize().into()
}

struct Merkle {
    levels: Vec<Vec<Hash>>, // the leaves first, the root last
}

impl Merkle {
    fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let pairs = below.chunks(2);
            levels.push(pairs.map(|p| parent(&p[0], &p[p.len() - 1])).collect());
        }
        Self { levels }
    }

    fn root(&self) -> Option<&Hash> {
        self.levels.last()?.first()
    }

    /// The leaves in which two trees differ, and how many pairs of hashes were
    /// compared: equal ones hide all that is below them.
    fn differences(&self, other: &Self) -> (Vec<usize>, usize) {
        let (mut open, mut compared) = (vec![0], 0);
        for (mine, theirs) in self.levels.iter().zip(&other.levels).rev() {
            compared += open.len();
            open.retain(|at| mine[*at] != theirs[*at]);
            if mine.len() < self.levels[0].len() {
                open = open.iter().flat_map(|at| [2 * at, 2 * at + 1]).collect();
            }
        }
        (open, compared)
    }

    /// The sisters on the way up: what one needs to compute the root.
    fn proof(&self, mut at: usize) -> Vec<Hash> {
        let mut proof = Vec::new();
        for level in self.levels.iter().take(self.levels.len() - 1) {
            proof.push(level[at ^ 1]);
            at /= 2;
        }
        proof
    }
}

fn verify(root: &Hash, rows: &[u8], mut at: usize, proof: &[Hash]) -> bool {
    let mut hash = leaf(rows);
    for sister in proof {
        let (left, right) = if at & 1 == 0 {
            (&hash, sister)
        } else {
            (sister, &hash)
        };
        hash = parent(left, right);
        at /= 2;
    }
    at == 0 && hash == *root
}
// ANCHOR_END: merkle

// ANCHOR: replica
type Rows = BTreeMap<u64, u64>; // key and value; keys are spread evenly

/// Each leaf stands for an equal part of the range of keys.
fn part(key: u64, leaves: usize) -> usize {
    ((key as u128 * leaves as u128) >> 64) as usize
}

fn tree(rows: &Rows, leaves: usize) -> Merkle {
    let mut parts = vec![Vec::new(); leaves];
    for (key, value) in rows {
        let bytes = &mut parts[part(*key, leaves)];
        bytes.extend(key.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    Merkle::new(parts.iter().map(|bytes| leaf(bytes)).collect())
}

/// Sends both ways whatever lies in a part that differs.
fn repair(a: &mut Rows, b: &mut Rows, leaves: usize) -> (usize, usize) {
    let (parts, hashes) = tree(a, leaves).differences(&tree(b, leaves));
    let within = |rows: &Rows| -> Rows {
        let part = |key: &u64| parts.binary_search(&part(*key, leaves)).is_ok();
        let rows = rows.iter().filter(|(key, _)| part(key));
        rows.map(|(key, value)| (*key, *value)).collect()
    };
    let (of_a, of_b) = (within(a), within(b));
    for (to, from) in [(a, &of_b), (b, &of_a)] {
        for (key, value) in from {
            let mine = to.entry(*key).or_default();
            *mine = *value.max(mine); // the higher value is the newer one
        }
    }
    (hashes, of_a.len() + of_b.len())
}
// ANCHOR_END: replica

const ROWS: usize = 8_192;

/// Two replicas; one has missed some writes.
fn replicas(missed: usize) -> (Rows, Rows) {
    let mut rng = fastrand::Rng::with_seed(missed as u64);
    let old: Rows = (0..ROWS).map(|_| (rng.u64(..), 1)).collect();
    let mut new = old.clone();
    let mut keys: Vec<u64> = old.keys().copied().collect();
    rng.shuffle(&mut keys);
    for key in keys.into_iter().take(missed) {
        new.insert(key, 2);
    }
    (old, new)
}

/// Without the marks 0 and 1 a row may be made of two hashes.
fn unmarked(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Is the concatenation of two leaves' hashes accepted as a row?
fn forgeries() -> (bool, bool) {
    let rows: [&[u8]; 4] = [b"ann 5", b"bob 7", b"cy 1", b"di 9"];
    let [a, b, c, d] = rows.map(unmarked);
    let upper = [unmarked(&[a, b].concat()), unmarked(&[c, d].concat())];
    let root = unmarked(&upper.concat());
    let forged = [a, b].concat(); // never a row
    let without = unmarked(&[unmarked(&forged), upper[1]].concat()) == root;

    let tree = Merkle::new(rows.map(leaf).to_vec());
    let both = [leaf(rows[0]), leaf(rows[1])].concat();
    let root = tree.root().copied().unwrap_or_default();
    let as_pair = [&[1], both.as_slice()].concat(); // what a pair's hash is made of
    let tried = [both, as_pair];
    let passes = |forged: &Vec<u8>| verify(&root, forged, 0, &tree.proof(0)[1..]);
    (without, tried.iter().any(passes))
}

fn main() {
    println!("two replicas of {ROWS} rows");
    println!("rows that differ   leaves   hashes compared   rows sent");
    for (missed, leaves) in [
        (0, 1_024),
        (1, 1_024),
        (10, 1_024),
        (100, 1_024),
        (1_000, 1_024),
        (10, 64),
    ] {
        let (mut a, mut b) = replicas(missed);
        let (hashes, rows) = repair(&mut a, &mut b, leaves);
        print!("{missed:>16} {leaves:>8} {hashes:>17} {rows:>11}");
        println!("{}", if a == b { "" } else { "  NOT REPAIRED" });
    }
    let (rows, _) = replicas(0);
    let hashes: Vec<Hash> = rows
        .iter()
        .map(|(key, value)| leaf(&[key.to_le_bytes(), value.to_le_bytes()].concat()))
        .collect();
    let tree = Merkle::new(hashes);
    let (at, root) = (4_711, tree.root().copied().unwrap_or_default());
    let (proof, row) = (tree.proof(at), rows.iter().nth(at));
    let row =
        row.map_or(vec![], |(k, v)| [k.to_le_bytes(), v.to_le_bytes()].concat());
    println!(
        "\nproof that a row is one of {ROWS}: {} hashes",
        proof.len()
    );
    println!("  that row            {}", verify(&root, &row, at, &proof));
    let other = [&row[..15], &[9]].concat();
    println!(
        "  one byte changed    {}",
        verify(&root, &other, at, &proof)
    );
    let (without, with) = forgeries();
    println!("\ntwo hashes shown as a row, accepted");
    println!("  leaf and parent hashed alike      {without}");
    println!("  hashed with a different first byte {with}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_differences_are_the_leaves_that_differ_and_few_hashes_find_them() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let depth = rng.u32(..7);
            let mut rows: Vec<u8> = (0..1 << depth).map(|_| rng.u8(..4)).collect();
            let tree = |rows: &[u8]| {
                Merkle::new(rows.iter().map(|r| leaf(&[*r])).collect())
            };
            let (old, before) = (tree(&rows), rows.clone());
            for _ in 0..rng.usize(..5) {
                let at = rng.usize(..rows.len());
                rows[at] = rng.u8(..4);
            }
            let expected: Vec<usize> = (0..rows.len())
                .filter(|at| rows[*at] != before[*at])
                .collect();
            let (found, compared) = old.differences(&tree(&rows));
            assert_eq!(found, expected, "{seed}");
            assert!(compared <= 1 + 2 * depth as usize * found.len());
        }
    }

    #[test]
    fn a_repair_leaves_both_with_every_row_and_the_newer_value() {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut some = || -> Rows {
                let rows = 0..rng.u64(..40);
                rows.map(|_| (rng.u64(..60) << 58 | rng.u64(..9), rng.u64(1..4)))
                    .collect()
            };
            let (mut a, mut b) = (some(), some());
            let mut expected = a.clone();
            for (key, value) in &b {
                let mine = expected.entry(*key).or_default();
                *mine = *value.max(mine);
            }
            repair(&mut a, &mut b, 16);
            assert_eq!((&a, &b), (&expected, &expected), "{seed}");
        }
    }

    #[test]
    fn one_row_costs_two_hashes_a_level_and_equal_replicas_one_hash() {
        let (mut a, mut b) = replicas(1);
        assert_eq!(repair(&mut a, &mut b, 1_024).0, 1 + 2 * 10);
        assert_eq!(repair(&mut a, &mut b, 1_024), (1, 0));
    }

    #[test]
    fn a_proof_holds_for_its_row_in_its_place_and_for_nothing_else() {
        let rows: Vec<[u8; 1]> = (0..32).map(|row| [row]).collect();
        let tree = Merkle::new(rows.iter().map(|row| leaf(row)).collect());
        let root = *tree.root().expect("a tree has a root");
        for at in 0..32 {
            let proof = tree.proof(at);
            assert_eq!(proof.len(), 5);
            for other in 0..32 {
                assert_eq!(verify(&root, &rows[other], at, &proof), other == at);
                assert_eq!(verify(&root, &rows[at], other, &proof), other == at);
            }
            assert!(!verify(&root, &rows[at], at, &proof[1..]));
            assert!(!verify(&root, &rows[at], at + 32, &proof));
        }
    }

    #[test]
    fn two_hashes_pass_for_a_row_unless_leaves_are_marked() {
        assert_eq!(forgeries(), (true, false));
    }

    #[test]
    fn a_pair_is_marked_too_or_one_whose_first_byte_is_0_would_pass_for_a_row() {
        let begins = |row: &u16| leaf(&row.to_le_bytes())[0] == 0;
        let left = (0..9_999).find(begins).expect("one of 256 or so");
        let pair = [left, 7].map(|row| leaf(&row.to_le_bytes()));
        assert_ne!(leaf(&pair.concat()[1..]), parent(&pair[0], &pair[1]));
    }

    #[test]
    fn where_an_eighth_differs_more_is_sent_than_a_whole_replica() {
        let (mut a, mut b) = replicas(ROWS / 8);
        assert!(repair(&mut a, &mut b, 1_024).1 > ROWS);
    }
}
