//! Copies or an erasure code: what each costs, and what is left when disks die or
//! lie.
//!
//! Look at the first table: RS(6,3) stores half as much as three copies and
//! survives one more lost disk, and pays when it repairs and when objects are small.
//! In the second nothing is lost, but shards have rotted. A plain read returns wrong
//! bytes without a word. Reading everything shows that something is wrong, not
//! always what; a checksum for each shard says which.
//!
//! Reed–Solomon, written out: data shards are points of a polynomial over the field
//! GF(2^8), one polynomial for each column of bytes. Simplified: no striping, all
//! shards in memory, and a disk allocates blocks of 4 KiB.

use sha2::{Digest, Sha256};

// ANCHOR: field
/// Arithmetic on bytes in which every byte but 0 has an inverse. Adding is XOR, and
/// so is subtracting. Multiplying is what it is for polynomials over bits, modulo
/// x^8 + x^4 + x^3 + x^2 + 1.
const fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        let overflows = a & 0x80 != 0;
        a <<= 1;
        if overflows {
            a ^= 0x1d;
        }
        b >>= 1;
    }
    product
}

/// 1/a for each a: the one b with a times b = 1.
const INVERSE: [u8; 256] = {
    let mut inverse = [0; 256];
    let (mut a, mut b) = (1, 1);
    while b != 0 {
        if times(a, b) == 1 {
            inverse[a as usize] = b;
            (a, b) = (a.wrapping_add(1), 0); // a = 0 has none, and ends it
        }
        b = if a == 0 { 0 } else { b + 1 };
    }
    inverse
};
// ANCHOR_END: field

pub type Shard = Vec<u8>;

// ANCHOR: shard
/// Through k points goes one polynomial of a degree below k. Shard i is its value at
/// i, so any k shards give every other one, as long as all i are different: 256
/// shards at most. This is all of encoding, of reading with disks missing, and of
/// repair.
fn shard_at(x: u8, known: &[(u8, &Shard)]) -> Shard {
    let mut out = vec![0; known[0].1.len()];
    for &(xi, shard) in known {
        // Lagrange: a factor that is 1 at xi and 0 at the other known points.
        let others = known.iter().filter(|(xj, _)| *xj != xi);
        let weight = others.fold(1, |weight, (xj, _)| {
            times(weight, times(x ^ xj, INVERSE[usize::from(xi ^ xj)]))
        });
        for (sum, byte) in out.iter_mut().zip(shard) {
            *sum ^= times(weight, *byte);
        }
    }
    out
}
// ANCHOR_END: shard

/// `data` shards as they are, and `parity` more. RS(1, n) is n + 1 equal copies.
#[derive(Clone, Copy)]
pub struct Code {
    pub data: u8,
    pub parity: u8,
}

// ANCHOR: code
impl Code {
    fn shards(self) -> u8 {
        self.data + self.parity
    }

    pub fn encode(self, object: &[u8]) -> Vec<Shard> {
        let len = object.len().div_ceil(usize::from(self.data)).max(1);
        let cut = |i| {
            let piece = object.iter().skip(usize::from(i) * len).take(len).copied();
            piece.chain(std::iter::repeat(0)).take(len).collect()
        };
        let mut shards: Vec<Shard> = (0..self.data).map(cut).collect();
        let known: Vec<_> = (0..).zip(&shards).collect();
        let parity = (self.data..self.shards()).map(|x| shard_at(x, &known));
        let parity: Vec<Shard> = parity.collect();
        shards.extend(parity);
        shards
    }

    /// What is read to make the others from: any `data` shards. `None` when there
    /// are fewer.
    fn sources(self, left: &[Option<Shard>]) -> Option<Vec<(u8, &Shard)>> {
        let known = (0..).zip(left).filter_map(|(x, s)| Some((x, s.as_ref()?)));
        let known: Vec<_> = known.take(usize::from(self.data)).collect();
        (known.len() == usize::from(self.data)).then_some(known)
    }

    /// All shards; `None` when too many are lost.
    pub fn repair(self, left: &[Option<Shard>]) -> Option<Vec<Shard>> {
        let known = self.sources(left)?;
        let whole = |x: u8| {
            left[usize::from(x)]
                .clone()
                .unwrap_or_else(|| shard_at(x, &known))
        };
        Some((0..self.shards()).map(whole).collect())
    }
}
// ANCHOR_END: code

// ANCHOR: blame
impl Code {
    /// Do the shards outside `out` lie on one polynomial?
    fn agrees_without(self, shards: &[Shard], out: u32) -> bool {
        let kept = (0..).zip(shards).filter(|(x, _)| out >> x & 1 == 0);
        let kept: Vec<(u8, &Shard)> = kept.collect();
        let (known, rest) = kept.split_at(usize::from(self.data));
        rest.iter().all(|(x, shard)| shard_at(*x, known) == **shard)
    }

    /// Without checksums: leave out more and more shards until the others agree.
    /// `None` when several sets of that size would do. Leaving out `parity` of them
    /// is not tried: any would do.
    fn liars(self, shards: &[Shard]) -> Option<u32> {
        for lies in 0..u32::from(self.parity) {
            let sets = subsets(self.shards(), lies);
            let mut do_fit = sets.filter(|out| self.agrees_without(shards, *out));
            if let Some(out) = do_fit.next() {
                return do_fit.next().is_none().then_some(out);
            }
        }
        None
    }
}
// ANCHOR_END: blame

/// All sets of `size` of `n` shards, as bits.
fn subsets(n: u8, size: u32) -> impl Iterator<Item = u32> {
    let next = |set: &u32| {
        let low = set & set.wrapping_neg(); // the next number with as many bits
        let carry = set.checked_add(low).filter(|_| low > 0)?;
        Some(carry | (((set ^ carry) >> 2) / low))
    };
    std::iter::successors(Some((1 << size) - 1), next)
        .take_while(move |set| set >> n == 0)
}

const SCHEMES: [(&str, Code); 4] = [
    ("3 copies", Code { data: 1, parity: 2 }),
    ("RS(6,3)", Code { data: 6, parity: 3 }),
    (
        "RS(10,4)",
        Code {
            data: 10,
            parity: 4,
        },
    ),
    (
        "RS(17,3)",
        Code {
            data: 17,
            parity: 3,
        },
    ),
];
const BLOCK_BYTES: u64 = 4_096; // the least that a disk allocates

/// How many sets of `lost` shards leave the object readable, and how many there are.
fn survived(code: Code, object: &[u8], lost: u32) -> (usize, usize) {
    let shards = code.encode(object);
    let (mut readable, mut sets) = (0, 0);
    for gone in subsets(code.shards(), lost) {
        let left = (0..).zip(&shards);
        let left =
            left.map(|(x, s): (u8, _)| (gone >> x & 1 == 0).then(|| s.clone()));
        let left: Vec<_> = left.collect();
        sets += 1;
        readable += usize::from(code.repair(&left).is_some_and(|all| all == shards));
    }
    (readable, sets)
}

/// How many bytes are read for each byte of one lost shard.
fn read_per_byte_lost(code: Code, object: &[u8]) -> usize {
    let mut left: Vec<_> = code.encode(object).into_iter().map(Some).collect();
    let lost = left[0].take().map_or(0, |shard| shard.len());
    let sources = code.sources(&left).unwrap_or_default();
    let read: usize = sources.iter().map(|(_, shard)| shard.len()).sum();
    read / lost
}

/// Bytes on disk for an object: every shard takes whole blocks.
fn on_disk(code: Code, object_bytes: u64) -> u64 {
    let shard = object_bytes.div_ceil(u64::from(code.data));
    u64::from(code.shards()) * shard.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

/// What is found when some shards have one wrong byte each.
#[derive(Debug, Default, PartialEq)]
struct Rot {
    sets: usize,
    wrong_reads: usize,
    noticed: usize,
    right_blame: usize,
    wrong_blame: usize,
    mended: usize,
}

// ANCHOR: rot
fn rot(code: Code, lies: u32, wrong: &mut dyn FnMut() -> u8) -> Rot {
    let object: Vec<u8> = (0..24).collect();
    let good = code.encode(&object);
    let checksums: Vec<_> = good.iter().map(Sha256::digest).collect();
    let mut found = Rot::default();
    for liars in subsets(code.shards(), lies) {
        let mut shards = good.clone();
        for (x, shard) in shards.iter_mut().enumerate() {
            if liars >> x & 1 == 1 {
                shard[0] ^= wrong();
            }
        }
        let data = usize::from(code.data);
        let blamed = code.liars(&shards);
        found.sets += 1;
        found.wrong_reads += usize::from(shards[..data] != good[..data]);
        found.noticed += usize::from(!code.agrees_without(&shards, 0));
        found.right_blame += usize::from(blamed == Some(liars));
        found.wrong_blame += usize::from(blamed.is_some_and(|set| set != liars));
        // The scrub: a shard that does not have its checksum counts as lost.
        let honest = shards.into_iter().zip(&checksums);
        let honest =
            honest.map(|(s, sum)| (Sha256::digest(&s) == *sum).then_some(s));
        let honest: Vec<_> = honest.collect();
        found.mended += usize::from(code.repair(&honest).as_ref() == Some(&good));
    }
    found
}
// ANCHOR_END: rot

fn main() {
    print!("{:<10}{:>7}{:>7}{:>10}", "", "stored", "disks", "may fail");
    println!("{:>14}{:>11}{:>11}", "sets tried", "read per", "1 KB takes");
    println!("{:<34}{:>14}{:>11}{:>11}", "", "", "byte lost", "on disk");
    // Two bytes or more for every data shard, none of them only zeros.
    let object: Vec<u8> = (0..34_u8).map(|i| i.wrapping_mul(37) + 1).collect();
    for (name, code) in SCHEMES {
        let stored = f64::from(code.shards()) / f64::from(code.data);
        let (disks, parity) = (code.shards(), code.parity);
        let (readable, sets) = survived(code, &object, parity.into());
        let sets = format!("{readable} of {sets}");
        print!("{name:<10}{stored:>6.2}x{disks:>7}{parity:>10}");
        let read = read_per_byte_lost(code, &object);
        println!("{sets:>14}{read:>10}x{:>11}", on_disk(code, 1_000));
    }
    let mut rng = fastrand::Rng::with_seed(5);
    let mut random = || rng.u8(1..);
    println!(
        "\n{:<18}{:>5}{:>12}{:>11}",
        "first byte", "sets", "plain read", "reading"
    );
    print!(
        "{:<18}{:>5}{:>12}{:>11}",
        "is wrong in", "", "is wrong", "all tells"
    );
    println!("{:>8}{:>8}{:>10}", "blame", "wrong", "checksums");
    let line = |scheme: (&str, Code), lies, wrong: &mut dyn FnMut() -> u8| {
        let (name, code) = scheme;
        let r = rot(code, lies, wrong);
        let label = format!("{lies} of {name}");
        print!(
            "{label:<18}{:>5}{:>12}{:>11}",
            r.sets, r.wrong_reads, r.noticed
        );
        println!("{:>8}{:>8}{:>10}", r.right_blame, r.wrong_blame, r.mended);
    };
    for lies in 1..=2 {
        line(SCHEMES[0], lies, &mut random);
    }
    line(("3, alike", SCHEMES[0].1), 2, &mut || 1);
    for lies in 1..=4 {
        line(SCHEMES[1], lies, &mut random);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_but_zero_has_an_inverse_and_times_distributes() {
        for a in 1..=255 {
            assert_eq!(times(a, INVERSE[usize::from(a)]), 1, "{a}");
            for b in 0..=255 {
                assert_eq!(times(a, b), times(b, a));
                assert_eq!(times(a, b ^ 77), times(a, b) ^ times(a, 77));
            }
        }
        // The field of 256 elements with this polynomial: powers of 2 meet all.
        let mut power = 1;
        let powers: std::collections::BTreeSet<u8> = (0..255)
            .map(|_| {
                power = times(power, 2);
                power
            })
            .collect();
        assert_eq!((powers.len(), power), (255, 1));
        assert_eq!(times(0x80, 2), 0x1d);
    }

    #[test]
    fn the_parity_is_that_of_the_crate_reed_solomon_erasure() {
        // What its version 6.0.0 computes for these data shards of one byte each.
        for (code, theirs) in [
            (SCHEMES[1].1, &[191, 140, 178][..]),
            (SCHEMES[2].1, &[250, 237, 155, 51]),
        ] {
            let object: Vec<u8> =
                (0..code.data).map(|i| i.wrapping_mul(37) + 1).collect();
            let shards = code.encode(&object);
            assert_eq!(shards[usize::from(code.data)..].concat(), theirs);
        }
    }

    #[test]
    fn every_pattern_of_at_most_m_lost_shards_is_mended_and_none_of_more() {
        let object: Vec<u8> = (1..=17).collect(); // no shard is all zeros
        for (name, code) in SCHEMES {
            for lost in 0..=u32::from(code.parity) + 1 {
                let (readable, sets) = survived(code, &object, lost);
                let all = lost <= u32::from(code.parity);
                assert_eq!(readable, if all { sets } else { 0 }, "{name}: {lost}");
            }
            let few = usize::from(code.parity) + 1;
            let mut left: Vec<_> =
                code.encode(&object).into_iter().map(Some).collect();
            left[..few].fill(None);
            assert_eq!(code.repair(&left), None, "{name}: too few to say anything");
        }
        assert_eq!(survived(SCHEMES[1].1, &object, 3), (84, 84));
        assert_eq!(survived(SCHEMES[2].1, &object, 4), (1_001, 1_001));
        assert_eq!(survived(SCHEMES[3].1, &object, 3), (1_140, 1_140));
    }

    /// In how many patterns of three lost shards are the lost data not to be had?
    /// `parity[row][column]` is the factor of a data shard in a parity shard.
    fn patterns_lost(parity: &[Vec<u8>]) -> usize {
        // The rows that are left must give the lost columns: the determinant of
        // that square is not 0. (In this field + and - are the same.)
        let two = |r: [usize; 2], c: [usize; 2]| {
            let at = |i: usize, j: usize| parity[r[i]][c[j]];
            times(at(0, 0), at(1, 1)) ^ times(at(0, 1), at(1, 0))
        };
        let (mut lost, k) = (0, parity[0].len());
        for a in 0..k {
            lost += (0..3).filter(|row| parity[*row][a] == 0).count();
            for b in a + 1..k {
                let rows = [[0, 1], [0, 2], [1, 2]];
                lost += rows.iter().filter(|r| two(**r, [a, b]) == 0).count();
                for c in b + 1..k {
                    let first = [(a, [b, c]), (b, [a, c]), (c, [a, b])];
                    let terms = first
                        .map(|(x, rest)| times(parity[0][x], two([1, 2], rest)));
                    let determinant = terms.iter().fold(0, |sum, term| sum ^ term);
                    lost += usize::from(determinant == 0);
                }
            }
        }
        lost
    }

    #[test]
    fn powers_below_the_data_would_lose_3_of_84_patterns_values_lose_none() {
        for (code, expected) in [(SCHEMES[1].1, 3), (SCHEMES[3].1, 62)] {
            let k = usize::from(code.data);
            let mut values = vec![vec![0; k]; 3];
            for column in 0..k {
                let mut object = vec![0; k];
                object[column] = 1;
                for (row, shard) in code.encode(&object)[k..].iter().enumerate() {
                    values[row][column] = shard[0];
                }
            }
            assert_eq!(patterns_lost(&values), 0);
            // Parity shard x is the sum of x^i times data shard i.
            let power = |x: u8| {
                let powers = std::iter::successors(Some(1), |p| Some(times(*p, x)));
                powers.take(k).collect()
            };
            let powers: Vec<Vec<u8>> = (1..=3).map(power).collect();
            assert_eq!(patterns_lost(&powers), expected);
        }
    }

    #[test]
    fn one_lost_byte_costs_as_many_as_there_are_data_shards_and_a_copy_one() {
        let object: Vec<u8> = (0..=255).collect();
        let read = SCHEMES.map(|(_, code)| read_per_byte_lost(code, &object));
        assert_eq!(read, [1, 6, 10, 17]);
        // With several shards lost, what is read for one mends the others, too.
        let mut left: Vec<_> =
            SCHEMES[1].1.encode(&object).into_iter().map(Some).collect();
        left[..3].fill(None);
        let sources = SCHEMES[1].1.sources(&left).map(|read| read.len());
        assert_eq!(sources, Some(6));
    }

    #[test]
    fn objects_of_any_length_come_back_even_an_empty_one() {
        for (_, code) in SCHEMES {
            for len in 0..50_u8 {
                let object: Vec<u8> = (0..len).collect();
                let mut left: Vec<_> =
                    code.encode(&object).into_iter().map(Some).collect();
                left[0] = None;
                let shards = code.repair(&left).expect("one shard is missing");
                let mut bytes = shards[..usize::from(code.data)].concat();
                bytes.truncate(object.len()); // the length is kept elsewhere
                assert_eq!(bytes, object);
            }
        }
    }

    #[test]
    fn a_code_with_one_data_shard_is_copies() {
        let code = Code { data: 1, parity: 2 };
        let copies = code.encode(b"all the same");
        assert!(copies.iter().all(|copy| copy == b"all the same"));
    }

    #[test]
    fn a_small_object_costs_more_coded_than_copied() {
        let [copies, rs63, ..] = SCHEMES.map(|(_, code)| code);
        assert!(on_disk(rs63, 1_000) == 3 * on_disk(copies, 1_000));
        for bytes in 1..100 << 10 {
            let no_more = on_disk(rs63, bytes) <= on_disk(copies, bytes);
            assert_eq!(no_more, bytes > 8 << 10, "{bytes}");
        }
        assert_eq!(on_disk(rs63, 24 << 20) * 2, on_disk(copies, 24 << 20));
    }

    #[test]
    fn without_checksums_a_plain_read_is_wrong_whenever_a_data_shard_lies() {
        let r = rot(SCHEMES[1].1, 1, &mut || 9);
        assert_eq!((r.sets, r.wrong_reads), (9, 6));
    }

    #[test]
    fn half_of_the_parity_is_always_blamed_rightly_more_only_by_luck() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut right, mut sets) = ([0; 3], [0; 3]);
        for _ in 0..20 {
            for lies in 1..=3 {
                let r = rot(SCHEMES[1].1, lies, &mut || rng.u8(1..));
                let i = lies as usize - 1;
                assert_eq!((r.noticed, r.mended), (r.sets, r.sets));
                assert!(
                    lies == 3 || r.wrong_blame == 0,
                    "two: the right ones or none"
                );
                (right[i], sets[i]) = (right[i] + r.right_blame, sets[i] + r.sets);
            }
        }
        assert_eq!(right[0], sets[0], "one liar, 2 * 1 < 3 + 1");
        assert!(right[1] < sets[1] && right[1] * 10 > sets[1] * 8);
        assert_eq!(right[2], 0, "with three out, any six agree");
    }

    #[test]
    fn with_one_parity_shard_nobody_can_be_blamed() {
        let code = Code { data: 4, parity: 1 };
        let r = rot(code, 1, &mut || 9);
        assert_eq!((r.noticed, r.right_blame, r.mended), (5, 0, 5));
    }

    #[test]
    fn two_copies_that_are_wrong_alike_outvote_the_third() {
        let r = rot(SCHEMES[0].1, 2, &mut || 1);
        assert_eq!((r.right_blame, r.wrong_blame, r.mended), (0, 3, 3));
    }
}
