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

/// What one leader knows of the likes, counted in both ways.
#[derive(Clone, Copy)]
struct Site {
    register: Stamped<u64>,
    counter: Counter,
}

impl Site {
    fn like(&mut self, me: Leader, clock_ms: u64) {
        self.register = Stamped {
            clock_ms,
            by: me,
            value: self.register.value + 1,
        };
        self.counter.like_at(me);
    }
    fn hear(&mut self, other: Site) {
        self.register = last_write_wins(self.register, other.register);
        self.counter.merge(other.counter);
    }
}

/// Both leaders, and what is on its way to each, with the time when it arrives.
struct Pair {
    now_ms: u64,
    given: u64,
    sites: [Site; 2],
    inbox: [VecDeque<(u64, Site)>; 2],
}

impl Pair {
    fn new() -> Pair {
        let site = |by| {
            let (clock_ms, value) = (0, 0);
            let register = Stamped {
                clock_ms,
                by,
                value,
            };
            let counter = Counter::default();
            Site { register, counter }
        };
        Pair {
            now_ms: 0,
            given: 0,
            sites: [Eu, Us].map(site),
            inbox: [const { VecDeque::new() }; 2],
        }
    }
    /// Confirms a like at once, and tells the other leader later.
    fn like_at(&mut self, me: Leader) {
        self.given += 1;
        self.sites[me as usize].like(me, self.now_ms);
        self.send_from(me);
    }
    fn send_from(&mut self, me: Leader) {
        let message = (self.now_ms + DELAY_MS, self.sites[me as usize]);
        self.inbox[1 - me as usize].push_back(message);
    }
    /// Takes what has arrived by now.
    fn receive(&mut self) {
        for (site, inbox) in self.sites.iter_mut().zip(&mut self.inbox) {
            while inbox
                .front()
                .is_some_and(|(due_ms, _)| *due_ms <= self.now_ms)
            {
                if let Some((_, state)) = inbox.pop_front() {
                    site.hear(state);
                }
            }
        }
    }
}

/// A like comes at each leader at random, now and then.
fn is_liked(rng: &mut Rng) -> bool {
    rng.u64(..LIKE_EVERY_MS) == 0
}

/// Both leaders count likes in both ways; the pair when all has arrived.
fn likes(seed: u64) -> Pair {
    let mut rng = Rng::with_seed(seed);
    let mut pair = Pair::new();
    while pair.now_ms < LIKES_MS + 2 * DELAY_MS {
        pair.receive();
        for me in [Eu, Us] {
            if pair.now_ms < LIKES_MS && is_liked(&mut rng) {
                pair.like_at(me);
            }
        }
        pair.now_ms += 1;
    }
    let [eu, us] = &pair.sites;
    assert_eq!(eu.register, us.register, "both leaders show the same");
    assert_eq!(eu.counter.value(), us.counter.value());
    pair
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

    let pair = likes(1);
    let Site { register, counter } = pair.sites[0];
    println!("\n2. {} likes, given at both leaders", pair.given);
    println!("   last write wins shows         {}", register.value);
    println!("   the counter that merges       {}", counter.value());

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
            let pair = likes(seed);
            let percent = 100 * pair.sites[0].register.value / pair.given;
            assert!((51..60).contains(&percent), "seed {seed}: {percent}");
            assert_eq!(pair.sites[0].counter.value(), pair.given, "seed {seed}");
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
