//! Leaderless: write to W of N, read from R of N. All cases, none sampled.
//!
//! Part 1 counts, for every choice of W nodes that stored a write and every choice
//! of R nodes that are read afterwards, how often the read misses it: never exactly
//! if R + W > N. Part 2 shows what that does not promise: a write that is half done
//! is seen, then not seen, unless readers repair what they read. Part 3 lets writes
//! go to other nodes when the home nodes cannot be reached (a sloppy quorum).
//!
//! Simplified: one key; a write stays on W nodes only, the worst case (in practice
//! it is sent to all N and the rest catch up); a version is a number.

/// A set of nodes, one bit each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Nodes(u32);

impl Nodes {
    fn all(n: u32) -> impl Iterator<Item = Nodes> {
        (0..1 << n).map(Nodes)
    }
    fn of_size(n: u32, size: u32) -> impl Iterator<Item = Nodes> {
        Nodes::all(n).filter(move |nodes| nodes.len() == size)
    }
    fn len(self) -> u32 {
        self.0.count_ones()
    }
    fn and(self, other: Nodes) -> Nodes {
        Nodes(self.0 & other.0)
    }
    fn has(self, node: u32) -> bool {
        self.0 >> node & 1 == 1
    }
}

// ANCHOR: misses
/// Of all pairs of W written and R read nodes, the percentage without overlap.
fn misses_percent(n: u32, w: u32, r: u32) -> f64 {
    let (mut pairs, mut misses) = (0, 0);
    for written in Nodes::of_size(n, w) {
        for read in Nodes::of_size(n, r) {
            pairs += 1;
            misses += u32::from(written.and(read).len() == 0);
        }
    }
    100.0 * f64::from(misses) / f64::from(pairs)
}
// ANCHOR_END: misses

const N: u32 = 3;
const W: u32 = 2;
const R: u32 = 2;

#[derive(Default)]
struct TwoReads {
    cases: u32,
    new_then_old: u32,
}

// ANCHOR: half
/// Version 1 is everywhere. Version 2 has reached node 0 only: its writer is slow,
/// or died, or was told "failed". Two reads follow, one after the other.
fn half_done_write(read_repair: bool) -> TwoReads {
    let mut count = TwoReads::default();
    for first in Nodes::of_size(N, R) {
        for second in Nodes::of_size(N, R) {
            let mut version = [2, 1, 1];
            let newest = |version: [u32; 3], asked: Nodes| {
                let answers = (0..N).filter(|node| asked.has(*node));
                answers.map(|node| version[node as usize]).max()
            };
            let saw_first = newest(version, first);
            if read_repair {
                for node in (0..N).filter(|node| first.has(*node)) {
                    version[node as usize] = saw_first.unwrap_or(0);
                } // and only then does the first reader get its answer
            }
            let saw_second = newest(version, second);
            count.cases += 1;
            count.new_then_old += u32::from(saw_second < saw_first);
        }
    }
    count
}
// ANCHOR_END: half

const NODES: u32 = 5; // the first N of them are the key's home
const HOME: Nodes = Nodes(0b00111);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quorum {
    Strict, // only home nodes count
    Sloppy, // the first N nodes that can be reached count
}

// ANCHOR: sloppy
impl Quorum {
    /// Who stores a write or answers a read, if `up` can be reached.
    fn takes_part(self, up: Nodes) -> Nodes {
        match self {
            Quorum::Strict => up.and(HOME),
            Quorum::Sloppy => {
                let first = (0..NODES).filter(|node| up.has(*node)).take(N as usize);
                Nodes(first.map(|node| 1 << node).sum())
            }
        }
    }
}
// ANCHOR_END: sloppy

#[derive(Default)]
struct Availability {
    writes_ok: u32, // of the 32 sets of nodes that a writer can reach
    reads: u32,     // after a write that was ok, for all sets that a reader reaches
    stale: u32,     // of these: without the write
    stale_after_handoff: u32,
}

/// Every set of nodes a writer may reach, times every set a later reader may reach.
fn availability(writes: Quorum, reads: Quorum) -> Availability {
    let mut count = Availability::default();
    for writer_reaches in Nodes::all(NODES) {
        let stored = writes.takes_part(writer_reaches);
        if stored.len() < W {
            continue; // the client is told "failed"
        }
        count.writes_ok += 1;
        // Each node that is not home keeps a hint; later it hands the write over
        // to a home node that missed it, and forgets its own copy.
        let missed = (0..N).filter(|node| !stored.has(*node));
        let hints = stored.len() - stored.and(HOME).len();
        let handed: u32 = missed.take(hints as usize).map(|node| 1 << node).sum();
        let home_then = Nodes(stored.and(HOME).0 | handed);
        for reader_reaches in Nodes::all(NODES) {
            let asked = reads.takes_part(reader_reaches);
            if asked.len() >= R {
                count.reads += 1;
                count.stale += u32::from(asked.and(stored).len() == 0);
                let misses = asked.and(home_then).len() == 0;
                count.stale_after_handoff += u32::from(misses);
            }
        }
    }
    count
}

fn main() {
    println!("1. reads that miss the last write, %");
    for n in [3, 5] {
        let header: String = (1..=n)
            .map(|r| format!("{:>7}", format!("R={r}")))
            .collect();
        println!("   N={n}  {header}");
        for w in 1..=n {
            let row = (1..=n).map(|r| format!("{:>7.0}", misses_percent(n, w, r)));
            println!("   W={w}  {}", row.collect::<String>());
        }
    }
    println!("\n2. N=3 W=2 R=2, a write that reached one node: two reads in turn");
    for (name, read_repair) in [("no repair", false), ("read repair", true)] {
        let c = half_done_write(read_repair);
        let (bad, all) = (c.new_then_old, c.cases);
        println!("   {name:<12} new, then old in {bad} of {all} cases");
    }
    println!("\n3. N=3 W=2 R=2 of 5 nodes    writes ok    reads   stale   after");
    println!("   writes   reads              of 32                    handoff");
    for (name, writes, reads) in [
        ("strict   strict", Quorum::Strict, Quorum::Strict),
        ("sloppy   strict", Quorum::Sloppy, Quorum::Strict),
        ("sloppy   sloppy", Quorum::Sloppy, Quorum::Sloppy),
    ] {
        let c = availability(writes, reads);
        print!("   {name:<16} {:>13} {:>12}", c.writes_ok, c.reads);
        println!(" {:>7} {:>7}", c.stale, c.stale_after_handoff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Quorum::{Sloppy, Strict};

    #[test]
    fn a_later_read_never_misses_the_write_exactly_if_r_plus_w_exceeds_n() {
        for n in 1..=6 {
            for (w, r) in (1..=n).flat_map(|w| (1..=n).map(move |r| (w, r))) {
                let never_misses = misses_percent(n, w, r) == 0.0;
                assert_eq!(never_misses, r + w > n, "n {n} w {w} r {r}");
            }
        }
    }

    #[test]
    fn a_half_done_write_is_seen_and_then_not_seen_unless_reads_repair() {
        assert_eq!(half_done_write(false).new_then_old, 2);
        assert_eq!(half_done_write(true).new_then_old, 0);
    }

    #[test]
    fn strict_quorums_refuse_more_writes_and_never_read_stale() {
        let strict = availability(Strict, Strict);
        let sloppy = availability(Sloppy, Strict);
        assert!(strict.writes_ok < sloppy.writes_ok);
        assert_eq!((strict.stale, strict.stale_after_handoff), (0, 0));
    }

    #[test]
    fn sloppy_writes_are_missed_by_strict_reads_until_the_hints_are_handed_over() {
        let sloppy = availability(Sloppy, Strict);
        assert!(sloppy.stale > 0);
        assert_eq!(sloppy.stale_after_handoff, 0);
    }

    #[test]
    fn handoff_does_not_help_a_reader_that_reaches_only_other_nodes() {
        assert!(availability(Sloppy, Sloppy).stale_after_handoff > 0);
    }
}
