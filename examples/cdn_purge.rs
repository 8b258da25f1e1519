//! Taking a page out of every cache: what it costs, and what brings it back.
//!
//! First table: a hot page is purged on 20 edges. Look at what the origin gets
//! at that moment, and at how many readers wait for it. Second: which pages show
//! a product, and which a purge by URL forgets. Third: one reader's fetch races
//! a change and its purges, in all 20 orders; `stays` counts those after which a
//! cache holds the old version and nobody will purge again.
//!
//! Simplified: a purge and an answer each take effect in one step, a fetch takes
//! the same 500 ms everywhere, one fetch races one change, and the shield asks the
//! origin in one step (where it does not, it needs the same guard).

use std::collections::{BTreeMap, BTreeSet};

type Millis = u64;

const EDGES: u64 = 20;
const EVERY: Millis = 10; // each edge gets a request for the page
const FETCH: Millis = 500; // until the origin's answer is there
const WATCHED: Millis = 2_000;

#[derive(Clone, Copy, PartialEq)]
enum Purge {
    /// The copy is gone.
    Hard,
    /// The copy is stale: it may be shown while the edge asks for a new one.
    Soft,
}

#[derive(Debug, Default, PartialEq)]
struct Cost {
    origin: u64,
    waited: u64,
    old: u64, // readers who got the old version after the purge
}

/// One edge after the purge at time 0.
fn after_purge(purge: Purge, collapse: bool) -> Cost {
    let mut cost = Cost::default();
    let mut asked_at: Option<Millis> = None;
    for now in (0..WATCHED).step_by(EVERY as usize) {
        let done = asked_at.is_some_and(|at| now >= at + FETCH);
        if done {
            continue; // a hit on the new version
        }
        if asked_at.is_none() || !collapse && purge == Purge::Hard {
            asked_at = asked_at.or(Some(now));
            cost.origin += 1;
        }
        match purge {
            Purge::Hard => cost.waited += 1,
            Purge::Soft => cost.old += 1,
        }
    }
    cost
}

fn all_edges(purge: Purge, collapse: bool) -> Cost {
    let one = after_purge(purge, collapse);
    Cost {
        origin: EDGES * one.origin,
        waited: EDGES * one.waited,
        old: EDGES * one.old,
    }
}

// ANCHOR: tags
/// A cache that knows which tags each page carries (`Surrogate-Key`).
#[derive(Default)]
struct Tagged {
    pages: BTreeMap<String, Vec<String>>,
    by_tag: BTreeMap<String, BTreeSet<String>>,
}

impl Tagged {
    fn store(&mut self, url: &str, tags: &[String]) {
        self.purge_url(url);
        for tag in tags {
            let urls = self.by_tag.entry(tag.clone()).or_default();
            urls.insert(url.to_string());
        }
        self.pages.insert(url.to_string(), tags.to_vec());
    }

    fn purge_url(&mut self, url: &str) -> usize {
        let Some(tags) = self.pages.remove(url) else {
            return 0;
        };
        for tag in tags {
            if let Some(urls) = self.by_tag.get_mut(&tag) {
                urls.remove(url);
            }
        }
        1
    }

    fn purge_tag(&mut self, tag: &str) -> usize {
        let urls = self.by_tag.remove(tag).unwrap_or_default();
        urls.iter().map(|url| self.purge_url(url)).sum()
    }
}
// ANCHOR_END: tags

/// A shop: 300 products, lists of 20 by colour and by price, a front page.
fn shop() -> Tagged {
    let mut cache = Tagged::default();
    let tag = |product: usize| format!("product-{product}");
    for product in 0..300 {
        cache.store(&format!("/product/{product}"), &[tag(product)]);
    }
    for list in 0..15 {
        let colour: Vec<_> = (0..20).map(|n| tag(n * 15 + list)).collect();
        let price: Vec<_> = (0..20).map(|n| tag(list * 20 + n)).collect();
        cache.store(&format!("/colour/{list}"), &colour);
        cache.store(&format!("/price/{list}"), &price);
    }
    cache.store("/", &[tag(7), tag(77), tag(177)]);
    cache
}

/// Pages that still show the product.
fn showing(cache: &Tagged, tag: &str) -> usize {
    cache.by_tag.get(tag).map_or(0, BTreeSet::len)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Write,
    PurgeEdge,
    PurgeShield,
    /// The edge has no copy and asks the shield.
    Ask,
    /// The shield answers, from its copy or from the origin.
    Answer,
    /// The answer reaches the edge.
    Arrive,
}
use Step::*;

// ANCHOR: race
/// A cache of one page that remembers how often it was purged.
#[derive(Clone, Default)]
struct Cache {
    copy: Option<Version>,
    purges: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Version(u32);

impl Cache {
    fn purge(&mut self) {
        self.copy = None;
        self.purges += 1;
    }

    /// `seen` is `purges` at the moment when the question was sent. An answer
    /// that a purge has overtaken is shown to its reader and not kept.
    fn keep(&mut self, answer: Version, seen: u64, guard: bool) {
        if !guard || seen == self.purges {
            self.copy = Some(answer);
        }
    }
}
// ANCHOR_END: race

/// Runs one order of steps; true if an old copy stays.
fn old_stays(order: &[Step], guard: bool) -> bool {
    let (mut origin, mut edge) = (Version(1), Cache::default());
    let mut shield = Cache {
        copy: Some(Version(1)),
        purges: 0,
    };
    let (mut seen, mut answer) = (0, Version(0));
    for step in order {
        match step {
            Write => origin = Version(2),
            PurgeEdge => edge.purge(),
            PurgeShield => shield.purge(),
            Ask => seen = edge.purges,
            Answer => {
                answer = shield.copy.unwrap_or(origin);
                shield.copy = Some(answer);
            }
            Arrive => edge.keep(answer, seen, guard),
        }
    }
    let old = |cache: &Cache| cache.copy.is_some_and(|copy| copy < origin);
    old(&edge) || old(&shield)
}

/// All orders that keep each list's own order.
fn interleavings(a: &[Step], b: &[Step]) -> Vec<Vec<Step>> {
    let (Some((first_a, rest_a)), Some((first_b, rest_b))) =
        (a.split_first(), b.split_first())
    else {
        return vec![[a, b].concat()];
    };
    let mut all = Vec::new();
    for (first, a, b) in [(first_a, rest_a, b), (first_b, a, rest_b)] {
        for rest in interleavings(a, b) {
            all.push([&[*first], &rest[..]].concat());
        }
    }
    all
}

const READER: [Step; 3] = [Ask, Answer, Arrive];
type Plan = (&'static str, [Step; 3], bool);
const PLANS: [Plan; 4] = [
    (
        "purge both, then write",
        [PurgeShield, PurgeEdge, Write],
        false,
    ),
    (
        "write, purge edge, then shield",
        [Write, PurgeEdge, PurgeShield],
        false,
    ),
    (
        "write, purge shield, then edge",
        [Write, PurgeShield, PurgeEdge],
        false,
    ),
    (
        "  and drop overtaken answers",
        [Write, PurgeShield, PurgeEdge],
        true,
    ),
];

fn stays((_, plan, guard): Plan) -> (usize, usize) {
    let orders = interleavings(&plan, &READER);
    let bad = orders.iter().filter(|order| old_stays(order, guard));
    (bad.count(), orders.len())
}

// ANCHOR: versioned
/// A file whose name holds its content: whatever a cache has kept under it, and
/// however long, is right.
fn versioned_url(content: &str) -> String {
    let step =
        |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = content.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    format!("/app.{hash:016x}.js")
}
// ANCHOR_END: versioned

fn main() {
    println!("{:<30} origin  waited  old shown", "hot page, 20 edges");
    for (name, purge, collapse) in [
        ("hard purge", Purge::Hard, false),
        ("hard purge, collapsing", Purge::Hard, true),
        ("soft purge", Purge::Soft, true),
    ] {
        let Cost {
            origin,
            waited,
            old,
        } = all_edges(purge, collapse);
        println!("{name:<30} {origin:>6} {waited:>7} {old:>10}");
    }
    println!("\n{:<30} purged  still there", "product 7 has a new price");
    let mut cache = shop();
    let purged = cache.purge_url("/product/7");
    let left = showing(&cache, "product-7");
    println!("{:<30} {purged:>6} {left:>12}", "by URL");
    let mut cache = shop();
    let purged = cache.purge_tag("product-7");
    let left = showing(&cache, "product-7");
    println!("{:<30} {purged:>6} {left:>12}", "by tag");
    println!("\n{:<30} orders  old stays", "a fetch races the change");
    for plan in PLANS {
        let (bad, all) = stays(plan);
        println!("{:<30} {all:>6} {bad:>10}", plan.0);
    }
    println!("\nversioned: {}", versioned_url("let price = 7;"));
    println!("      then {}", versioned_url("let price = 8;"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_purge_of_a_hot_page_is_a_stampede() {
        let cost = all_edges(Purge::Hard, false);
        assert_eq!(cost.origin, EDGES * FETCH / EVERY);
        assert_eq!(cost.waited, cost.origin);
    }

    #[test]
    fn collapsing_spares_the_origin_and_not_the_readers() {
        let cost = all_edges(Purge::Hard, true);
        assert_eq!((cost.origin, cost.waited), (EDGES, 1_000));
    }

    #[test]
    fn after_a_soft_purge_nobody_waits_and_the_old_page_is_seen_a_moment_longer() {
        let want = Cost {
            origin: EDGES,
            waited: 0,
            old: 1_000,
        };
        for collapse in [true, false] {
            assert_eq!(all_edges(Purge::Soft, collapse), want);
        }
    }

    #[test]
    fn a_purge_by_url_forgets_the_lists_and_a_purge_by_tag_does_not() {
        let mut cache = shop();
        assert_eq!(cache.purge_url("/product/7"), 1);
        assert_eq!(showing(&cache, "product-7"), 3, "colour, price, front page");
        let mut cache = shop();
        assert_eq!(cache.purge_tag("product-7"), 4);
        assert_eq!(showing(&cache, "product-7"), 0);
        assert_eq!(cache.pages.len(), shop().pages.len() - 4, "others stay");
    }

    #[test]
    fn the_tag_index_agrees_with_a_search_of_all_pages() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut cache = Tagged::default();
        for _ in 0..2_000 {
            let url = format!("/{}", rng.u32(0..40));
            let tag = |n: u32| format!("t{n}");
            match rng.u32(0..4) {
                0 => _ = cache.purge_url(&url),
                1 => _ = cache.purge_tag(&tag(rng.u32(0..8))),
                _ => {
                    let tags: Vec<_> = (0..3).map(|_| tag(rng.u32(0..8))).collect();
                    cache.store(&url, &tags);
                }
            }
            for t in (0..8).map(tag) {
                let pages = cache.pages.values();
                let searched = pages.filter(|tags| tags.contains(&t)).count();
                assert_eq!(showing(&cache, &t), searched);
            }
        }
    }

    #[test]
    fn an_answer_in_flight_brings_the_purged_version_back() {
        let order = [Ask, Answer, Write, PurgeShield, PurgeEdge, Arrive];
        assert!(old_stays(&order, false));
        assert!(!old_stays(&order, true));
    }

    #[test]
    fn an_edge_purged_before_its_shield_fills_up_from_the_old_copy() {
        let order = [Write, PurgeEdge, Ask, Answer, Arrive, PurgeShield];
        assert!(old_stays(&order, true), "not even the guard helps");
        let order = [Write, PurgeShield, Ask, Answer, Arrive, PurgeEdge];
        assert!(!old_stays(&order, true));
    }

    #[test]
    fn a_shield_that_fills_up_before_the_write_keeps_the_old_version() {
        let order = [PurgeShield, Ask, Answer, PurgeEdge, Arrive, Write];
        assert!(old_stays(&order, true), "the edge has none, the shield has");
    }

    #[test]
    fn only_shield_first_with_the_guard_leaves_no_old_copy_in_any_order() {
        let bad: Vec<usize> = PLANS.iter().map(|plan| stays(*plan).0).collect();
        assert!(bad[..3].iter().all(|bad| *bad > 0), "{bad:?}");
        assert_eq!(bad[3], 0);
        assert_eq!(stays(PLANS[0]).1, 20);
    }

    #[test]
    fn a_versioned_url_never_names_two_contents() {
        let names: BTreeSet<String> = (0..10_000)
            .map(|n| versioned_url(&format!("v{n}")))
            .collect();
        assert_eq!(names.len(), 10_000);
        assert_eq!(versioned_url("same"), versioned_url("same"));
    }
}
