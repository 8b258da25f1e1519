//! Two regions, and the first is lost. What is lost with it, and for how long is
//! nobody served?
//!
//! The same seeded writes meet each design. Look at `lost` (writes that were
//! confirmed to a user and are gone), at `window` (how far back the oldest of them
//! lies: the recovery point that was reached), at `refused` (writes that failed
//! while nobody was there) and at `back` (until the first and until the last of
//! the users of the dead region is served again: the recovery time).
//!
//! Then the first region is not dead, but cut off: both sides take writes.
//!
//! Simplified: one writer's clock is everybody's clock, a write is one key with one
//! value, and the log travels in batches that take as long as the distance. A user
//! whose write is refused does not try again.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u64);

const ONE_WAY: Millis = Millis(40);
const BATCH: Millis = Millis(200);
const CUT: Millis = Millis(120_000);
const END: Millis = Millis(300_000);
/// Three failed health checks, ten seconds apart.
const DETECTION: Millis = Millis(30_000);
/// To make the standby a primary: replay the log, open it for writes.
const PROMOTION: Millis = Millis(15_000);
const TTL: Millis = Millis(60_000);
/// A primary that cannot renew its lease stops taking writes when it ends.
const LEASE: Millis = Millis(10_000);
const LOCAL: Millis = Millis(1);

impl Millis {
    const fn plus(self, more: Millis) -> Millis {
        Millis(self.0 + more.0)
    }

    const fn since(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    East, // the primary, the one that is lost
    West,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    at: Millis,
    key: u32,
    home: Region,     // the region nearest to the user
    dns_held: Millis, // how long its resolver keeps an old address
}

fn writes(seed: u64) -> Vec<Write> {
    const GAP_MS: std::ops::RangeInclusive<u64> = 5..=35; // 50 in a second
    const KEYS: u32 = 2_000;
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut at, mut writes) = (Millis(0), Vec::new());
    while at < END {
        // A tenth of the keys gets half of the writes.
        let keys = if rng.bool() { KEYS / 10 } else { KEYS };
        let home = if rng.bool() {
            Region::East
        } else {
            Region::West
        };
        let dns_held = Millis(rng.u64(..TTL.0));
        writes.push(Write {
            at,
            key: rng.u32(..keys),
            home,
            dns_held,
        });
        at = at.plus(Millis(rng.u64(GAP_MS)));
    }
    writes
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Replication {
    /// Confirmed locally; the log follows in batches, and `behind` later if the
    /// other region cannot keep up.
    Async { behind: Millis },
    /// Confirmed when the other region has it.
    Sync,
}

impl Replication {
    /// When the other region has a write.
    fn arrives(self, at: Millis) -> Millis {
        match self {
            Replication::Async { behind } => {
                let sent = Millis((at.0 / BATCH.0 + 1) * BATCH.0);
                sent.plus(ONE_WAY).plus(behind)
            }
            Replication::Sync => at.plus(ONE_WAY),
        }
    }

    /// When the user is told that it is done.
    fn confirmed(self, at: Millis) -> Millis {
        match self {
            Replication::Async { .. } => at.plus(LOCAL),
            Replication::Sync => at.plus(ONE_WAY).plus(ONE_WAY).plus(LOCAL),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Design {
    /// All writes go to East; West follows, and is promoted when East is gone.
    ActivePassive(Replication),
    /// Each user writes at home; the later of two writes to a key wins.
    ActiveActive { behind: Millis },
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    lost: usize,
    window_ms: u64,
    refused: usize,
    first_back_ms: Option<u64>,
    last_refused_ms: u64,
    overwritten: usize,
}

// ANCHOR: served
impl Design {
    /// Where a write goes: a user keeps asking for a dead region until DNS gives
    /// another and the resolver's copy of the old answer has run out.
    fn target(self, write: &Write) -> Region {
        let moved = CUT.plus(DETECTION).plus(write.dns_held) <= write.at;
        match self {
            Design::ActivePassive(_) if moved => Region::West,
            Design::ActivePassive(_) => Region::East,
            Design::ActiveActive { .. } if moved => Region::West,
            Design::ActiveActive { .. } => write.home,
        }
    }

    /// Whether the region that it goes to takes it.
    fn served(self, write: &Write) -> bool {
        let promoted = CUT.plus(DETECTION).plus(PROMOTION);
        match (self, self.target(write)) {
            (_, Region::East) => write.at < CUT,
            (Design::ActivePassive(_), Region::West) => promoted <= write.at,
            (Design::ActiveActive { .. }, Region::West) => true,
        }
    }

    fn replication(self) -> Replication {
        match self {
            Design::ActivePassive(replication) => replication,
            Design::ActiveActive { behind } => Replication::Async { behind },
        }
    }
}

/// East is gone at `CUT`, with all that has not arrived in West by then.
fn lose_east(design: Design, writes: &[Write]) -> Outcome {
    let (mut outcome, replication) = (Outcome::default(), design.replication());
    for write in writes {
        let in_east = design.target(write) == Region::East;
        if !design.served(write) {
            outcome.refused += 1;
            outcome.last_refused_ms = write.at.since(CUT).0;
        } else if in_east {
            let promised = replication.confirmed(write.at) <= CUT;
            if promised && replication.arrives(write.at) > CUT {
                outcome.lost += 1;
                let age = CUT.since(write.at).0;
                outcome.window_ms = outcome.window_ms.max(age);
            }
        } else if write.at >= CUT && design.moved_here(write) {
            let after = write.at.since(CUT).0;
            outcome.first_back_ms.get_or_insert(after);
        }
    }
    outcome.overwritten = overwritten(design, writes);
    outcome
}
// ANCHOR_END: served

impl Design {
    /// Whether a write that West took would have gone to East before.
    fn moved_here(self, write: &Write) -> bool {
        match self {
            Design::ActivePassive(_) => true,
            Design::ActiveActive { .. } => write.home == Region::East,
        }
    }
}

// ANCHOR: overwritten
/// Writes that were confirmed and that a write in the other region replaced, though
/// neither side had seen the other's. Before the cut, nothing being broken.
fn overwritten(design: Design, writes: &[Write]) -> usize {
    let arrives = |write: &Write| design.replication().arrives(write.at);
    let early: Vec<&Write> = writes.iter().filter(|w| w.at < CUT).collect();
    let lost = early.iter().enumerate().filter(|(place, write)| {
        let later = early[place + 1..].iter();
        let unseen = later.take_while(|later| later.at < arrives(write));
        // Already in order of time, so the later one wins on both sides.
        unseen
            .filter(|later| later.key == write.key)
            .any(|later| design.target(later) != design.target(write))
    });
    lost.count()
}
// ANCHOR_END: overwritten

#[derive(Debug, Default, PartialEq)]
struct Split {
    east_only: usize,
    both_sides: usize,
}

// ANCHOR: split
/// East is alive, and cut off from West and from the health checks, not from its
/// users. `fenced`: it stops taking writes when its lease ends, and West waits for
/// that before it is promoted.
fn cut_off(writes: &[Write], fenced: bool) -> Split {
    let promoted = CUT.plus(DETECTION).plus(PROMOTION);
    let east_stops = if fenced { CUT.plus(LEASE) } else { END };
    assert!(
        !fenced || east_stops <= promoted,
        "no promotion before the end"
    );
    let design = Design::ActivePassive(Replication::Async { behind: Millis(0) });
    let in_east = |w: &&Write| {
        let arrives = design.replication().arrives(w.at);
        design.target(w) == Region::East && w.at < east_stops && arrives > CUT
    };
    let east: Vec<&Write> = writes.iter().filter(in_east).collect();
    let late = east.iter().filter(|w| promoted <= w.at).count();
    Split {
        east_only: east.len(),
        both_sides: late,
    }
}
// ANCHOR_END: split

const NOW: Millis = Millis(0);
const DESIGNS: [(&str, Design); 5] = [
    (
        "passive, async",
        Design::ActivePassive(Replication::Async { behind: NOW }),
    ),
    (
        "passive, 5 s behind",
        Design::ActivePassive(Replication::Async {
            behind: Millis(5_000),
        }),
    ),
    ("passive, sync", Design::ActivePassive(Replication::Sync)),
    ("active-active", Design::ActiveActive { behind: NOW }),
    (
        "the same, 5 s behind",
        Design::ActiveActive {
            behind: Millis(5_000),
        },
    ),
];

fn main() {
    let writes = writes(5);
    let before = writes.iter().filter(|w| w.at < CUT).count();
    println!("{} writes, {before} before the cut\n", writes.len());
    println!("                      write  lost  window refused  back, s  over-");
    println!("                         ms            ms        first last written");
    for (name, design) in DESIGNS {
        let outcome = lose_east(design, &writes);
        let write_ms = design.replication().confirmed(NOW).0;
        let seconds = |ms: u64| ms.div_ceil(1_000);
        print!("{name:<20}{write_ms:>7}{:>6}", outcome.lost);
        print!("{:>8}{:>8}", outcome.window_ms, outcome.refused);
        print!("{:>6}", seconds(outcome.first_back_ms.unwrap_or(0)));
        print!("{:>5}", seconds(outcome.last_refused_ms));
        println!("{:>8}", outcome.overwritten);
    }

    println!("\nEast is cut off, not dead      without a fence   with a lease");
    let (free, fenced) = (cut_off(&writes, false), cut_off(&writes, true));
    let line = |what: &str, free: usize, fenced: usize| {
        println!("{what:<30}{free:>16} {fenced:>14}");
    };
    line(
        "confirmed, only East has them",
        free.east_only,
        fenced.east_only,
    );
    line(
        "of these, with two primaries",
        free.both_sides,
        fenced.both_sides,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    const SEEDS: std::ops::Range<u64> = 0..4;
    const BEHIND: [u64; 4] = [0, 300, 1_000, 5_000];

    fn passive(behind: u64) -> Design {
        Design::ActivePassive(Replication::Async {
            behind: Millis(behind),
        })
    }

    fn active(behind: u64) -> Design {
        Design::ActiveActive {
            behind: Millis(behind),
        }
    }

    #[test]
    fn synchronous_replication_loses_nothing_and_each_write_pays_the_round_trip() {
        let sync = Design::ActivePassive(Replication::Sync);
        for seed in SEEDS {
            let outcome = lose_east(sync, &writes(seed));
            assert_eq!((outcome.lost, outcome.window_ms), (0, 0));
        }
        assert_eq!(sync.replication().confirmed(NOW), Millis(81));
        assert_eq!(passive(0).replication().confirmed(NOW), Millis(1));
    }

    #[test]
    fn asynchronous_replication_loses_what_is_on_its_way_and_not_more() {
        for seed in SEEDS {
            for behind in BEHIND {
                let lag = BATCH.plus(ONE_WAY).plus(Millis(behind));
                let outcome = lose_east(passive(behind), &writes(seed));
                assert!(outcome.lost > 0 && outcome.window_ms <= lag.0);
                // The oldest of them is as old as the lag, give or take a batch.
                assert!(outcome.window_ms + BATCH.0 + 35 > lag.0);
            }
        }
    }

    /// A model that moves the log, millisecond by millisecond.
    fn lost_by_replay(writes: &[Write], behind: u64) -> usize {
        let (mut confirmed, mut in_west) = (BTreeSet::new(), BTreeSet::new());
        let (mut buffer, mut sent) = (Vec::new(), VecDeque::new());
        let mut coming = writes.iter().enumerate().peekable();
        for now in 0..=CUT.0 {
            if now % BATCH.0 == 0 {
                let arrives = now + ONE_WAY.0 + behind;
                sent.extend(buffer.drain(..).map(|id| (arrives, id)));
            }
            while sent.front().is_some_and(|(arrives, _)| *arrives == now) {
                in_west.extend(sent.pop_front().map(|(_, id)| id));
            }
            while let Some((id, _)) = coming.next_if(|(_, w)| w.at.0 == now) {
                buffer.push(id);
                if now + LOCAL.0 <= CUT.0 {
                    confirmed.insert(id);
                }
            }
        }
        confirmed.difference(&in_west).count()
    }

    #[test]
    fn the_lost_writes_are_those_that_a_replay_of_the_log_misses() {
        for seed in SEEDS {
            let writes = writes(seed);
            for behind in BEHIND {
                let lost = lose_east(passive(behind), &writes).lost;
                assert_eq!(lost, lost_by_replay(&writes, behind));
            }
        }
    }

    fn write(at: u64, home: Region) -> Write {
        let (at, dns_held) = (Millis(at), Millis(0));
        Write {
            at,
            key: 1,
            home,
            dns_held,
        }
    }

    #[test]
    fn at_the_moment_of_the_cut_east_is_gone_and_what_arrives_then_is_kept() {
        let outcome = lose_east(passive(0), &[write(CUT.0, Region::East)]);
        assert_eq!((outcome.refused, outcome.lost), (1, 0));
        // Sent at 119.8 s, it arrives 40 ms and the delay later.
        for (behind, lost) in [(160, 0), (161, 1)] {
            let outcome =
                lose_east(passive(behind), &[write(119_700, Region::East)]);
            assert_eq!(outcome.lost, lost);
        }
    }

    #[test]
    fn a_write_that_arrived_in_the_same_moment_has_been_seen() {
        for (later, count) in [(239, 1), (240, 0)] {
            let pair = [write(0, Region::East), write(later, Region::West)];
            assert_eq!(overwritten(active(0), &pair), count);
        }
    }

    #[test]
    fn recovery_takes_detection_and_promotion_and_for_the_last_the_ttl() {
        let promoted = DETECTION.plus(PROMOTION).0;
        let last = DETECTION.plus(TTL).0;
        for seed in SEEDS {
            let outcome = lose_east(passive(0), &writes(seed));
            let first = outcome.first_back_ms.expect("somebody is back");
            assert!((promoted..promoted + 2_000).contains(&first), "{first}");
            let slowest = outcome.last_refused_ms;
            assert!((last - 5_000..last).contains(&slowest), "{slowest}");
        }
    }

    #[test]
    fn active_active_goes_on_serving_the_other_half_and_needs_no_promotion() {
        for seed in SEEDS {
            let writes = writes(seed);
            let both = lose_east(active(0), &writes);
            let one = lose_east(passive(0), &writes);
            assert!(2 * both.refused < one.refused + one.refused / 10);
            assert!(both.first_back_ms < one.first_back_ms);
            let west = writes.iter().filter(|w| w.home == Region::West);
            assert!(west.clone().all(|w| active(0).served(w)));
        }
    }

    /// A model with two replicas: what has each seen of a key when it is written?
    fn overwritten_by_replay(writes: &[Write], behind: u64) -> usize {
        let design = active(behind);
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        let mut on_their_way: Vec<(Millis, usize, usize)> = Vec::new();
        let mut lost = BTreeSet::new();
        for (id, write) in writes.iter().enumerate().filter(|(_, w)| w.at < CUT) {
            on_their_way.retain(|(arrives, side, id)| {
                if *arrives <= write.at {
                    seen[*side].insert(*id);
                }
                *arrives > write.at
            });
            let here = usize::from(write.home == Region::West);
            let elsewhere = seen[1 - here].iter().copied();
            let same_key = elsewhere.filter(|id| writes[*id].key == write.key);
            lost.extend(same_key.filter(|id| !seen[here].contains(id)));
            seen[here].insert(id);
            let arrives = design.replication().arrives(write.at);
            on_their_way.push((arrives, 1 - here, id));
        }
        lost.len()
    }

    #[test]
    fn writes_that_did_not_see_each_other_lose_one_of_two() {
        for seed in 0..3 {
            let mut writes = writes(seed);
            writes.truncate(1_200);
            for behind in BEHIND {
                let count = overwritten(active(behind), &writes);
                assert_eq!(count, overwritten_by_replay(&writes, behind));
                assert!(count > 0 || behind == 0);
            }
            assert_eq!(overwritten(passive(5_000), &writes), 0);
        }
    }

    #[test]
    fn without_a_fence_two_primaries_take_writes_and_with_a_lease_never() {
        for seed in SEEDS {
            let writes = writes(seed);
            assert!(cut_off(&writes, false).both_sides > 0);
            let fenced = cut_off(&writes, true);
            assert_eq!(fenced.both_sides, 0);
            // What a dead East loses, and what it took until the lease ended.
            let on_their_way = lose_east(passive(0), &writes).lost;
            let end = CUT.plus(LEASE);
            let leased = writes.iter().filter(|w| CUT <= w.at && w.at < end);
            assert_eq!(fenced.east_only, on_their_way + leased.count());
        }
    }
}
