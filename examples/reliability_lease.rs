//! A leader fails over by lease. It pauses at the worst moment and wakes up.
//!
//! Leaders keep a list of orders in a store: a new leader reads the list, appends in
//! its memory, and puts the whole list back. A lease says who may. First a
//! transcript: node A looks at its clock, finds that its lease is good, and stands
//! still before the put goes out. Look at what the store has in the end, without
//! and with a fencing token. Then random histories under five rules. In the first
//! column nodes are cut off from the lease service, and clocks run up to 5 % too
//! slow; in the second nodes also stand still for seconds.
//!
//! Simplified: the lease service never fails (in practice it is a replicated store
//! with consensus, such as etcd) and its answers take no time.

use fastrand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u64);

/// Grows with each lease that is granted to a new holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Token(u64);

const LEASE_MS: u64 = 10_000;
const RENEW_MS: u64 = 3_000;
const DRIFT_PERCENT_MAX: u64 = 5; // a clock may run so much too slow
const TRAVEL_MS_MAX: u64 = 100; // of a put, if nothing stands still

// ANCHOR: service
/// The lease service: one holder at a time, by its own clock.
#[derive(Default)]
struct LeaseService {
    holder: Option<(usize, u64)>, // who, until
    granted: u64,
}

impl LeaseService {
    fn acquire(&mut self, now: Millis, node: usize) -> Option<Token> {
        match self.holder {
            Some((holder, until)) if now.0 < until && holder != node => return None,
            Some((holder, until)) if now.0 < until && holder == node => {} // renewed
            _ => self.granted += 1,
        }
        self.holder = Some((node, now.0 + LEASE_MS));
        Some(Token(self.granted))
    }
}
// ANCHOR_END: service

// ANCHOR: store
/// The store of the orders. A fenced one refuses whoever is behind.
#[derive(Default)]
struct Store {
    orders: Vec<u32>,
    fenced: bool,
    seen: Option<Token>,
    refused: u32,
}

impl Store {
    fn pass(&mut self, token: Token) -> bool {
        if self.fenced && self.seen.is_some_and(|seen| token < seen) {
            self.refused += 1;
            return false;
        }
        self.seen = self.seen.max(Some(token));
        true
    }

    fn put(&mut self, token: Token, orders: Vec<u32>) -> bool {
        let passed = self.pass(token);
        if passed {
            self.orders = orders;
        }
        passed
    }
}
// ANCHOR_END: store

/// A, B and the store; returns the lines and the orders that are confirmed and gone.
fn transcript(fenced: bool) -> (Vec<String>, Vec<u32>) {
    let mut service = LeaseService::default();
    let mut store = Store {
        fenced,
        ..Store::default()
    };
    let (mut lines, mut confirmed) = (Vec::new(), Vec::new());
    let mut say = |at: u64, what: String| lines.push(format!("{at:>6} ms  {what}"));

    let a = service.acquire(Millis(0), 0).unwrap_or(Token(0));
    say(0, format!("A gets the lease until 10000, token {}", a.0));
    let ok = store.put(a, vec![1]);
    confirmed.extend(ok.then_some(1));
    say(2_000, format!("A puts [1]: {}", word(ok)));
    say(
        9_900,
        "A has order 2, its lease is good, and A stands still".into(),
    );
    let b = service.acquire(Millis(10_000), 1).unwrap_or(Token(0));
    say(
        10_000,
        format!("B gets the lease until 20000, token {}", b.0),
    );
    store.pass(b); // B shows its token when it reads
    let mut orders = store.orders.clone();
    orders.push(3);
    let ok = store.put(b, orders.clone());
    confirmed.extend(ok.then_some(3));
    say(
        10_100,
        format!("B reads [1] and puts {orders:?}: {}", word(ok)),
    );
    let ok = store.put(a, vec![1, 2]);
    confirmed.extend(ok.then_some(2));
    say(15_000, format!("A wakes up and puts [1, 2]: {}", word(ok)));
    let left = store.orders;
    let lost: Vec<u32> = confirmed
        .into_iter()
        .filter(|o| !left.contains(o))
        .collect();
    say(15_001, format!("the store has {left:?}, lost: {lost:?}"));
    (lines, lost)
}

fn word(ok: bool) -> &'static str {
    ["REFUSED", "confirmed"][usize::from(ok)]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    Silence,     // who has heard nothing for a lease's time takes over
    Lease,       // checked by the holder's clock before each put
    Margin,      // … with a margin for slow clocks and for the way of the put
    TokenOnPut,  // … and the store compares tokens at a put
    TokenOnRead, // … and also when a new leader reads
}

const RULES: [(&str, Rule); 5] = [
    ("no lease, only silence", Rule::Silence),
    ("lease", Rule::Lease),
    ("lease with a margin", Rule::Margin),
    ("… and token with puts", Rule::TokenOnPut),
    ("… and token with reads", Rule::TokenOnRead),
];

/// What a node believes. It may be wrong.
#[derive(Clone, Default)]
struct Node {
    token: Option<Token>,
    orders: Vec<u32>,
    asked_at: u64, // by the true clock: when its lease was asked for
    cut_until: u64,
    paused_until: u64,
    clock_percent: u64, // 100 is right, 95 runs too slow
}

#[derive(Debug, Default, PartialEq)]
struct Report {
    runs_with_loss: u32,
    lost: usize,
    confirmed: usize,
    refused: u32,
}

fn history(rule: Rule, pauses: bool, rng: &mut Rng) -> Report {
    let mut service = LeaseService::default();
    let mut store = Store {
        fenced: matches!(rule, Rule::TokenOnPut | Rule::TokenOnRead),
        ..Store::default()
    };
    let mut nodes = vec![Node::default(); 2];
    for node in &mut nodes {
        node.clock_percent = rng.u64(100 - DRIFT_PERCENT_MAX..=100);
    }
    // Puts under way: when they arrive, from whom, with what.
    let mut under_way: Vec<(u64, Token, u32, Vec<u32>)> = Vec::new();
    let mut confirmed: Vec<u32> = Vec::new();
    let mut next_order = 0;
    for now in (0..RUN_MS).step_by(100) {
        under_way.sort_by_key(|put| put.0);
        while under_way.first().is_some_and(|put| put.0 <= now) {
            let (_, token, order, orders) = under_way.remove(0);
            let ok = store.put(token, orders);
            confirmed.extend(ok.then_some(order));
        }
        for (me, node) in nodes.iter_mut().enumerate() {
            if now < node.paused_until {
                continue;
            }
            if rng.u16(..300) == 0 {
                node.cut_until = now + rng.u64(1_000..20_000);
            }
            // The node's own clock says how old its lease is.
            let age = (now - node.asked_at) * node.clock_percent / 100;
            let good_for = match rule {
                Rule::Silence => u64::MAX, // it has not heard that it is over
                Rule::Lease => LEASE_MS,
                _ => LEASE_MS * (100 - DRIFT_PERCENT_MAX) / 100 - TRAVEL_MS_MAX,
            };
            if age >= good_for {
                node.token = None;
            }
            let asks = node.token.is_none() || age >= RENEW_MS;
            if asks && now >= node.cut_until {
                let granted = service.acquire(Millis(now), me);
                if granted.is_some() && granted != node.token {
                    // A new term: read what is there.
                    if let (Rule::TokenOnRead, Some(token)) = (rule, granted) {
                        store.pass(token);
                    }
                    node.orders = store.orders.clone();
                }
                node.token = granted;
                node.asked_at = now;
            }
            let Some(token) = node.token else { continue };
            if rng.u8(..10) == 0 {
                next_order += 1;
                node.orders.push(next_order);
                // It has looked at its lease. Now anything may happen to it.
                let stands_still = pauses && rng.u8(..20) == 0;
                let pause = if stands_still {
                    rng.u64(1_000..20_000)
                } else {
                    0
                };
                let travel = rng.u64(1..TRAVEL_MS_MAX);
                let put =
                    (now + pause + travel, token, next_order, node.orders.clone());
                under_way.push(put);
                node.paused_until = now + pause + travel;
            }
        }
    }
    let left = &store.orders;
    let lost = confirmed
        .iter()
        .filter(|order| !left.contains(order))
        .count();
    Report {
        runs_with_loss: u32::from(lost > 0),
        lost,
        confirmed: confirmed.len(),
        refused: store.refused,
    }
}

fn histories(rule: Rule, pauses: bool) -> Report {
    let mut sum = Report::default();
    for seed in 0..RUNS {
        let report = history(rule, pauses, &mut Rng::with_seed(seed));
        sum.runs_with_loss += report.runs_with_loss;
        sum.lost += report.lost;
        sum.confirmed += report.confirmed;
        sum.refused += report.refused;
    }
    sum
}

const RUNS: u64 = 100;
const RUN_MS: u64 = 60_000;

fn main() {
    for fenced in [false, true] {
        println!(
            "{}",
            ["--- lease only", "--- and fenced"][usize::from(fenced)]
        );
        for line in transcript(fenced).0 {
            println!("{line}");
        }
    }
    println!(
        "\n{RUNS} histories             cuts, slow clocks    and nodes stand still"
    );
    println!("                          losses  confirmed    losses  refused");
    for (name, rule) in RULES {
        let (calm, paused) = (histories(rule, false), histories(rule, true));
        print!("{name:<24} {:>7} {:>10}", calm.lost, calm.confirmed);
        println!(" {:>9} {:>8}", paused.lost, paused.refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_wakes_up_overwrites_a_confirmed_order_without_a_fence() {
        assert_eq!(transcript(false).1, [3]);
    }

    #[test]
    fn the_fence_refuses_the_leader_that_wakes_up() {
        let (lines, lost) = transcript(true);
        assert!(lost.is_empty());
        assert!(lines[5].ends_with("REFUSED"), "{}", lines[5]);
    }

    #[test]
    fn a_margin_is_enough_only_while_every_delay_has_a_bound() {
        assert!(histories(Rule::Lease, false).lost > 0);
        assert_eq!(histories(Rule::Margin, false).lost, 0);
        assert!(histories(Rule::Margin, true).lost > 100);
    }

    #[test]
    fn a_token_that_only_puts_carry_still_loses_orders() {
        let report = histories(Rule::TokenOnPut, true);
        assert!(report.lost > 0 && report.refused > 0, "{report:?}");
    }

    #[test]
    fn a_token_shown_at_the_first_read_loses_no_confirmed_order() {
        for pauses in [false, true] {
            let report = histories(Rule::TokenOnRead, pauses);
            assert_eq!((report.lost, report.runs_with_loss), (0, 0));
        }
    }

    #[test]
    fn the_service_has_one_holder_and_a_larger_token_for_each_new_one() {
        let (mut rng, mut service) = (Rng::with_seed(6), LeaseService::default());
        let (mut now, mut last) = (0, (Token(0), 9, 0)); // token, who, until
        for _ in 0..5_000 {
            now += rng.u64(..4_000);
            let node = rng.usize(..3);
            let free = now >= last.2;
            match service.acquire(Millis(now), node) {
                Some(token) => {
                    assert!(free || node == last.1, "two holders");
                    assert_eq!(token > last.0, free, "a new holder, a new token");
                    last = (token, node, now + LEASE_MS);
                }
                None => assert!(!free && node != last.1),
            }
        }
    }
}
