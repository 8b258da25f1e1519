//! Two leaders take writes for the same data. Which merge keeps what?
//!
//! EU and US each say "ok" at once and send their writes to the other later. Look
//! for the writes that were confirmed and are gone: last write wins drops one of
//! two edits (the *newer* one if a clock is slow), nearly half of a counter. Version
//! vectors drop nothing but leave you two values. A counter built for it merges.
//! A unique name cannot be merged at all.
//!
//! Simplified: two leaders, one key, and every message arrives after the same delay.

use fastrand::Rng;
use std::collections::VecDeque;

const DELAY_MS: u64 = 80; // between the leaders
const LIKES_MS: u64 = 50_000; // how long both leaders collect likes
const LIKE_EVERY_MS: u64 = 50; // on average, at each leader

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Leader {
    Eu,
    Us,
}
use Leader::{Eu, Us};

// ANCHOR: lww
/// Last write wins: a value and the time that the writer's clock showed.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Stamped<T> {
    clock_ms: u64,
    by: Leader, // decides between equal times, the same way everywhere
    value: T,
}

fn last_write_wins<T>(a: Stamped<T>, b: Stamped<T>) -> Stamped<T> {
    if (b.clock_ms, b.by) > (a.clock_ms, a.by) {
        b
    } else {
        a
    }
}
// ANCHOR_END: lww

// ANCHOR: versions
/// How many writes of each leader a value has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version([u32; 2]);

impl Version {
    fn write_at(mut self, leader: Leader) -> Version {
        self.0[leader as usize] += 1;
        self
    }
    fn join(self, other: Version) -> Version {
        Version([0, 1].map(|i| self.0[i].max(other.0[i])))
    }
    fn has_seen(self, other: Version) -> bool {
        self.0[0] >= other.0[0] && self.0[1] >= other.0[1]
    }
}

/// Keeps what no other value has seen: one value, or two in conflict.
fn merge(values: &[(Version, &'static str)]) -> Vec<(Version, &'static str)> {
    let newer = |a: Version, b: Version| a != b && a.has_seen(b);
    let kept = values
        .iter()
        .filter(|(v, _)| !values.iter().any(|(other, _)| newer(*other, *v)));
    kept.copied().collect()
}
// ANCHOR_END: versions

// ANCHOR: counter
/// A counter that merges: each leader counts alone, the sum is the value.
#[derive(Clone, Copy, Default)]
struct Counter([u64; 2]);

impl Counter {
    fn like_at(&mut self, leader: Leader) {
        self.0[leader as usize] += 1;
    }
    /// The larger of each: any order, any repetition, the same result.
    fn merge(&mut self, other: Counter) {
        self.0 = [0, 1].map(|i| self.0[i].max(other.0[i]));
    }
    fn value(self) -> u64 {
        self.0.iter().sum()
    }
}
// ANCHOR_END: counter

/// Two edits of one title: EU's, and US's `gap_ms` later by a slow clock.
fn two_edits(gap_ms: u64, slow_by_ms: u64) -> &'static str {
    let first = Stamped {
        clock_ms: 10_000,
        by: Eu,
        value: "EU's",
    };
    let second = Stamped {
        clock_ms: 10_000 + gap_ms - slow_by_ms,
        by: Us,
        value: "US's",
    };
    last_write_wins(first, second).value
}

struct Likes {
    given: u64,
    last_write_wins: u64,
    counter: u64,
}

/// Both leaders count likes in both ways; the result when all has arrived.
fn likes(seed: u64) -> Likes {
    let mut rng = Rng::with_seed(seed);
    let mut given = 0;
    let mut register = [Eu, Us].map(|by| Stamped {
        clock_ms: 0,
        by,
        value: 0,
    });
    let mut counter = [Counter::default(); 2];
    let mut inbox = [const { VecDeque::new() }; 2];
    for now_ms in 0..LIKES_MS + 2 * DELAY_MS {
        for (me, other) in [(Eu, Us), (Us, Eu)] {
            let i = me as usize;
            while let Some(&(due_ms, r, c)) = inbox[i].front() {
                if due_ms > now_ms {
                    break;
                }
                inbox[i].pop_front();
                register[i] = last_write_wins(register[i], r);
                counter[i].merge(c);
            }
            if now_ms < LIKES_MS && rng.u64(..LIKE_EVERY_MS) == 0 {
                given += 1;
                register[i] = Stamped {
                    clock_ms: now_ms,
                    by: me,
                    value: register[i].value + 1,
                };
                counter[i].like_at(me);
                let due_ms = now_ms + DELAY_MS;
                inbox[other as usize].push_back((due_ms, register[i], counter[i]));
            }
        }
    }
    assert_eq!(register[0], register[1], "both leaders show the same");
    assert_eq!(counter[0].value(), counter[1].value());
    Likes {
        given,
        last_write_wins: register[0].value,
        counter: counter[0].value(),
    }
}

/// Both sell the name "ada". Who owns it at EU and at US, before and after?
fn unique_name() -> [[&'static str; 2]; 2] {
    let claim = |by, owner, clock_ms| Stamped {
        clock_ms,
        by,
        value: owner,
    };
    let taken = [claim(Eu, "Ada B.", 500), claim(Us, "Ada L.", 510)];
    let before = taken.map(|claim| claim.value); // nobody else had it: ok, and ok
    let after = last_write_wins(taken[0], taken[1]).value;
    [before, [after; 2]]
}

fn main() {
    println!("1. two edits of a title, US's 30 ms later, {DELAY_MS} ms apart");
    println!("   last write wins keeps         {}", two_edits(30, 0));
    println!("   ... US's clock 50 ms slow:    {}", two_edits(30, 50));
    let old = Version([1, 0]);
    let edits = [(old.write_at(Eu), "EU's"), (old.write_at(Us), "US's")];
    let both: Vec<_> = merge(&edits).iter().map(|(_, title)| *title).collect();
    println!("   version vectors keep          {}", both.join(" and "));
    let choice = (
        edits[0].0.join(edits[1].0).write_at(Eu),
        "the user's choice",
    );
    let settled = merge(&[edits[0], edits[1], choice]);
    println!("   ... after someone chooses:    {}", settled[0].1);

    let likes = likes(1);
    println!("\n2. {} likes, given at both leaders", likes.given);
    println!("   last write wins shows         {}", likes.last_write_wins);
    println!("   the counter that merges       {}", likes.counter);

    let [before, after] = unique_name();
    println!("\n3. the name \"ada\", unique at each leader");
    println!("   owner at EU, at US, both ok   {}", before.join(", "));
    println!("   after last write wins         {}", after.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_write_wins_drops_a_confirmed_edit_and_the_newer_if_its_clock_is_slow() {
        assert_eq!(two_edits(30, 0), "US's");
        assert_eq!(two_edits(30, 50), "EU's");
    }

    #[test]
    fn version_vectors_keep_exactly_the_edits_that_did_not_see_each_other() {
        let start = Version([1, 0]);
        let (eu, us) = (start.write_at(Eu), start.write_at(Us));
        assert!(!eu.has_seen(us) && !us.has_seen(eu));
        let edits = [(eu, "a"), (us, "b")];
        assert_eq!(merge(&[(start, "old"), edits[0], edits[1]]), edits);
        let seen = us.write_at(Eu); // EU edits again, after US's edit arrived
        assert_eq!(merge(&[(us, "b"), (seen, "c")]), [(seen, "c")]);
        let choice = (eu.join(us).write_at(Eu), "d"); // by someone who saw both
        assert_eq!(merge(&[edits[0], choice, edits[1]]), [choice]);
    }

    #[test]
    fn equal_times_are_settled_the_same_way_at_both_leaders() {
        let at = |by| Stamped {
            clock_ms: 5,
            by,
            value: by,
        };
        let at_eu = last_write_wins(at(Eu), at(Us));
        assert_eq!(at_eu, last_write_wins(at(Us), at(Eu)));
    }

    #[test]
    fn a_last_write_wins_counter_loses_nearly_half_and_a_merging_one_nothing() {
        for seed in 1..4 {
            let likes = likes(seed);
            let percent = 100 * likes.last_write_wins / likes.given;
            assert!((51..60).contains(&percent), "seed {seed}: {percent}");
            assert_eq!(likes.counter, likes.given, "seed {seed}");
        }
    }

    #[test]
    fn merging_counters_in_any_order_and_twice_gives_the_same() {
        let (a, b) = (Counter([3, 1]), Counter([2, 5]));
        let (mut ab, mut ba) = (a, b);
        ab.merge(b);
        ba.merge(a);
        ba.merge(a);
        assert_eq!((ab.0, ab.value()), (ba.0, 8));
    }

    #[test]
    fn no_merge_keeps_both_promises_of_a_unique_name() {
        let [before, after] = unique_name();
        assert_ne!(before[0], before[1], "both were told ok");
        assert!(before.iter().any(|owner| !after.contains(owner)));
    }
}
