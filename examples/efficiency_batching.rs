//! A server pays 1,000 µs for every batch and 50 µs for every item in it, as one
//! does that flushes to disk or crosses a network. How large should a batch be?
//!
//! Look at the two tables together. With few items a wait for more of them is added
//! latency and little else. With many, a server that takes them singly drowns, and
//! one that takes *what is there when it is free* makes large batches by itself.
//! Look last at the rule without a time-out: the rest of the items never leaves.
//!
//! Simplified: one server, independent arrivals, and an item is done when its batch
//! is. The CPU that a batch saves is worth something too: see `busy`.

use fastrand::Rng;

const BATCH_US: u64 = 1_000;
const ITEM_US: u64 = 50;
const SPAN_US: u64 = 10_000_000; // ten seconds of arrivals
const SEED: u64 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Take what is there.
    No,
    /// Wait for a full batch until the oldest item has waited so long.
    AtMostUs(u64),
    /// Wait for a full batch.
    UntilFull,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    items_max: usize,
    wait: Wait,
}

#[derive(Debug, Default)]
struct Outcome {
    times_us: Vec<u64>, // from arrival until done, of items that are done
    batches: u64,
    busy_us: u64,
    ended_at_us: u64,
    stuck: usize, // items that no batch ever took
}

// ANCHOR: serve
fn cost_us(items: usize) -> u64 {
    BATCH_US + ITEM_US * items as u64
}

/// `arrivals` are in order. The server takes one batch after another.
fn serve(arrivals: &[u64], rule: Rule) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut first, mut free_at) = (0, 0);
    while first < arrivals.len() {
        let oldest = arrivals[first];
        // When would the batch be full, if that is waited for?
        let full_at = arrivals.get(first + rule.items_max - 1).copied();
        let ready_at = match (rule.wait, full_at) {
            (Wait::No, _) => oldest,
            (Wait::AtMostUs(us), full_at) => {
                full_at.map_or(oldest + us, |full| full.min(oldest + us))
            }
            (Wait::UntilFull, Some(full_at)) => full_at,
            (Wait::UntilFull, None) => break, // waits for ever
        };
        let start = ready_at.max(free_at);
        let there = arrivals[first..].partition_point(|at| *at <= start);
        let items = there.min(rule.items_max);
        free_at = start + cost_us(items);
        let batch = &arrivals[first..first + items];
        outcome.times_us.extend(batch.iter().map(|at| free_at - at));
        outcome.batches += 1;
        outcome.busy_us += cost_us(items);
        first += items;
    }
    outcome.ended_at_us = free_at;
    outcome.stuck = arrivals.len() - first;
    outcome
}
// ANCHOR_END: serve

/// The most items a second that a rule can bear.
fn items_per_s_max(items: usize) -> f64 {
    1e6 * items as f64 / cost_us(items) as f64
}

/// Independent arrivals, `per_s` a second on average, for ten seconds.
fn arrivals(per_s: f64) -> Vec<u64> {
    let mut rng = Rng::with_seed(SEED);
    let (mut at, mut all) = (0.0, Vec::new());
    loop {
        at -= (1.0 - rng.f64()).ln() * 1e6 / per_s;
        if at >= SPAN_US as f64 {
            return all;
        }
        all.push(at as u64);
    }
}

impl Outcome {
    fn mean_ms(&self) -> f64 {
        let total_us: u64 = self.times_us.iter().sum();
        total_us as f64 / self.times_us.len() as f64 / 1e3
    }
    fn p99_ms(&self) -> f64 {
        let mut sorted = self.times_us.clone();
        sorted.sort_unstable();
        let us = sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(0);
        us as f64 / 1e3
    }
    fn batch_len(&self) -> f64 {
        self.times_us.len() as f64 / self.batches as f64
    }
    fn busy(&self) -> f64 {
        self.busy_us as f64 / self.ended_at_us.max(SPAN_US) as f64
    }
}

const RULES: [(&str, Rule); 6] = [
    (
        "one by one",
        Rule {
            items_max: 1,
            wait: Wait::No,
        },
    ),
    (
        "up to 8",
        Rule {
            items_max: 8,
            wait: Wait::No,
        },
    ),
    (
        "up to 64",
        Rule {
            items_max: 64,
            wait: Wait::No,
        },
    ),
    (
        "up to 64, wait 5 ms",
        Rule {
            items_max: 64,
            wait: Wait::AtMostUs(5_000),
        },
    ),
    (
        "up to 64, wait 50 ms",
        Rule {
            items_max: 64,
            wait: Wait::AtMostUs(50_000),
        },
    ),
    (
        "always 64",
        Rule {
            items_max: 64,
            wait: Wait::UntilFull,
        },
    ),
];

fn main() {
    for per_s in [100.0, 800.0, 6_000.0] {
        let arrivals = arrivals(per_s);
        println!(
            "{per_s:>4} items a second        mean       p99   batch  busy  stuck"
        );
        for (name, rule) in RULES {
            let outcome = serve(&arrivals, rule);
            print!("  {name:<20} {:>8.1}", outcome.mean_ms());
            print!(" {:>9.1} ms {:>6.1}", outcome.p99_ms(), outcome.batch_len());
            println!(" {:>4.0}% {:>6}", 100.0 * outcome.busy(), outcome.stuck);
        }
        println!();
    }
    println!("items a second at most");
    for items in [1, 8, 64, 512] {
        println!("  batches of {items:<4} {:>19.0}", items_per_s_max(items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(per_s: f64, name: &str) -> Outcome {
        let rule = RULES.iter().find(|(rule, _)| *rule == name).unwrap().1;
        serve(&arrivals(per_s), rule)
    }

    #[test]
    fn with_few_items_waiting_adds_more_than_half_of_the_longest_wait() {
        let added = run(100.0, "up to 64, wait 50 ms").mean_ms()
            - run(100.0, "up to 64").mean_ms();
        assert!((25.0..50.0).contains(&added), "{added}");
    }

    #[test]
    fn with_many_items_one_by_one_falls_ever_further_behind() {
        let arrivals = arrivals(6_000.0);
        let half = &arrivals[..arrivals.len() / 2];
        let [half, whole] = [half, &arrivals].map(|some| serve(some, RULES[0].1));
        assert!(whole.mean_ms() > 1.9 * half.mean_ms());
        assert!(items_per_s_max(1) < 1_000.0);
    }

    #[test]
    fn taking_what_is_there_makes_the_batches_grow_with_the_load() {
        let len = |per_s| run(per_s, "up to 64").batch_len();
        assert!(len(100.0) < 1.2 && len(6_000.0) > 5.0);
        let (none, some) = (run(6_000.0, "up to 64"), run(6_000.0, "always 64"));
        assert!(none.mean_ms() < some.mean_ms());
    }

    #[test]
    fn waiting_buys_idle_time_with_latency() {
        let none = run(800.0, "up to 64");
        let some = run(800.0, "up to 64, wait 50 ms");
        assert!(some.busy() < none.busy() / 3.0);
        assert!(some.mean_ms() > 5.0 * none.mean_ms());
    }

    #[test]
    fn without_a_time_out_the_last_items_never_leave() {
        let outcome = run(100.0, "always 64");
        let arrived = arrivals(100.0).len();
        assert_eq!(outcome.stuck, arrived % 64);
        assert!(outcome.stuck > 0);
        assert_eq!(run(100.0, "up to 64, wait 50 ms").stuck, 0);
    }

    /// The same, one microsecond after the other: (times, stuck).
    fn slowly(arrivals: &[u64], rule: Rule) -> (Vec<u64>, usize) {
        let (mut waiting, mut times) = (Vec::new(), Vec::new());
        let (mut next, mut free_at) = (0, 0);
        for now in 0..100_000 {
            while arrivals.get(next) == Some(&now) {
                waiting.push(now);
                next += 1;
            }
            if now < free_at || waiting.is_empty() {
                continue;
            }
            let is_full = waiting.len() >= rule.items_max;
            if match rule.wait {
                Wait::No => true,
                Wait::AtMostUs(us) => is_full || now >= waiting[0] + us,
                Wait::UntilFull => is_full,
            } {
                let items = waiting.len().min(rule.items_max);
                free_at = now + 1_000 + 50 * items as u64;
                times.extend(waiting.drain(..items).map(|at| free_at - at));
            }
        }
        (times, waiting.len())
    }

    #[test]
    fn the_rules_do_what_they_say_and_lose_no_item() {
        let mut rng = Rng::with_seed(2);
        for _ in 0..60 {
            let mut arrivals: Vec<u64> =
                (0..rng.usize(1..60)).map(|_| rng.u64(0..30_000)).collect();
            arrivals.sort_unstable();
            let items_max = rng.usize(1..9);
            let wait = match rng.u8(0..3) {
                0 => Wait::No,
                1 => Wait::AtMostUs(rng.u64(0..5_000)),
                _ => Wait::UntilFull,
            };
            let rule = Rule { items_max, wait };
            let outcome = serve(&arrivals, rule);
            let (times_us, stuck) = slowly(&arrivals, rule);
            assert_eq!(outcome.times_us, times_us, "{rule:?}");
            assert_eq!(outcome.stuck, stuck);
            assert_eq!(outcome.times_us.len() + outcome.stuck, arrivals.len());
            assert!(outcome.times_us.iter().all(|us| *us >= cost_us(1)));
            let done = outcome.times_us.len() as u64;
            assert_eq!(outcome.busy_us, BATCH_US * outcome.batches + ITEM_US * done);
        }
    }
}
