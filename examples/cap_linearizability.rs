//! A linearizability checker: could one copy have given these answers?
//!
//! It gets a history: who asked what, from when to when, and the answer. It
//! looks for one moment inside each operation at which it happened, so that
//! every read returns the last write before it (the search of Wing and Gong
//! 1993, with Lowe's memo of 2017). You see the order that it found, or the
//! operations that no order can explain, marked with `!`.
//!
//! Simplified: one register, and at most 64 operations, a bit for each. The memo
//! helps a lot, but the worst case still takes exponential time: there is a limit.
//!
//! Its tests judge a thousand runs of each register in `cap_register`. Try a
//! history of your own: edit `HISTORIES`.

use std::collections::BTreeSet;

const OPERATIONS_MAX: usize = 64;
const SEEN_MAX: usize = 10_000; // our histories need hundreds at most
const FIRST_VALUE: u64 = 0;

const HISTORIES: [(&str, &str); 4] = [
    (
        "a write without an answer, read by two clients",
        "n1 write 1 4..\nn3 read 1 18..30\nn2 read 1 32..51",
    ),
    (
        "a write without an answer that nobody ever reads",
        "n1 write 1 4..\nn3 read 0 18..30\nn2 read 0 32..51",
    ),
    (
        "two of three, but reads do not write back (seed 242)",
        "n1 write 1 4..\nn3 read 1 18..30\nn2 read 0 32..51",
    ),
    (
        "one of three (AP), as in the transcript",
        "n1 write 7 1..1\nn3 write 8 6..6\nn1 read 7 8..8\nn3 read 8 8..8\n\
         n1 read 8 18..18",
    ),
];

// ANCHOR: types
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Write(u64),
    Read(u64), // and what it returned
}

/// An operation without an end got no answer: it may happen at any moment after
/// its start, or never. (A read without an answer tells nothing: leave it out.)
#[derive(Clone, PartialEq, Eq)]
struct Operation {
    client: String,
    call: Call,
    started: u64,
    ended: Option<u64>,
}
// ANCHOR_END: types

/// One bit for each operation of a history.
type Set = u64;

struct Search<'a> {
    history: &'a [Operation],
    seen: BTreeSet<(Set, u64)>, // done and value: no need to look again
    order: Vec<usize>,
}

// ANCHOR: search
impl Search<'_> {
    /// With `done` behind us and `value` in the register: can the rest happen?
    fn can_go_on(&mut self, done: Set, value: u64) -> bool {
        let todo = |i: &usize| done & (1 << i) == 0;
        let all = 0..self.history.len();
        let ends = all
            .clone()
            .filter(todo)
            .filter_map(|i| self.history[i].ended);
        let Some(first_end) = ends.min() else {
            return true; // whatever has an answer is done
        };
        if !self.seen.insert((done, value)) {
            return false; // been here, by another order
        }
        assert!(self.seen.len() <= SEEN_MAX, "too many orders to try");
        for i in all.filter(todo) {
            let Operation { call, started, .. } = self.history[i];
            let next = match call {
                _ if started > first_end => continue, // another was over before
                Call::Read(returned) if returned != value => continue,
                Call::Read(_) => value,
                Call::Write(new) => new,
            };
            self.order.push(i);
            if self.can_go_on(done | 1 << i, next) {
                return true;
            }
            self.order.pop();
        }
        false
    }
}
// ANCHOR_END: search

/// An order that explains every answer, if there is one.
fn linearize(history: &[Operation]) -> Option<Vec<usize>> {
    assert!(
        history.len() <= OPERATIONS_MAX,
        "one bit for each operation"
    );
    let mut search = Search {
        history,
        seen: BTreeSet::new(),
        order: Vec::new(),
    };
    search.can_go_on(0, FIRST_VALUE).then_some(search.order)
}

// ANCHOR: culprits
/// The operations that cannot be ordered: leave out whatever can be left out
/// with the rest still impossible. A write stays as long as a read returns it.
fn culprits(history: &[Operation]) -> Vec<Operation> {
    let mut left = history.to_vec();
    for i in (0..history.len()).rev() {
        let mut rest = left.clone();
        let out = rest.remove(i);
        let is_read = |value| rest.iter().any(|op| op.call == Call::Read(value));
        let needed = matches!(out.call, Call::Write(value) if is_read(value));
        if !needed && linearize(&rest).is_none() {
            left = rest;
        }
    }
    left
}
// ANCHOR_END: culprits

/// Reads lines like `n1 write 7 2..9`, without the 9 if there was no answer.
fn parse(history: &str) -> Option<Vec<Operation>> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let client = words.next()?.to_owned();
        let (call, value) = (words.next()?, words.next()?.parse().ok()?);
        let call = match call {
            "write" => Call::Write(value),
            "read" => Call::Read(value),
            _ => return None,
        };
        let (started, ended) = words.next()?.split_once("..")?;
        let started = started.parse().ok()?;
        let ended = match ended {
            "" => None,
            tick => Some(tick.parse().ok()?),
        };
        Some(Operation {
            client,
            call,
            started,
            ended,
        })
    };
    history.lines().map(line).collect()
}

/// Draws an operation from its start to its end, one column a tick.
fn draw(op: &Operation, first: u64, last: u64) -> String {
    let call = match op.call {
        Call::Write(value) => format!("write {value}"),
        Call::Read(value) => format!("read {value}"),
    };
    let blank = " ".repeat((op.started - first) as usize);
    let bar = |end: u64| "-".repeat((end - op.started).saturating_sub(1) as usize);
    let line = match op.ended {
        Some(end) if end == op.started => "|".to_owned(),
        Some(end) => format!("|{}|", bar(end)),
        None => format!("|{}>", bar(last)),
    };
    format!("{} {call:<8}{blank}{line}", op.client)
}

fn main() {
    for (name, text) in HISTORIES {
        let Some(history) = parse(text) else {
            println!("cannot read {text:?}");
            continue;
        };
        println!("{name}");
        let order = linearize(&history);
        let culprits = match order {
            Some(_) => Vec::new(),
            None => culprits(&history),
        };
        let first = history.iter().map(|op| op.started).min().unwrap_or(0);
        let last = history.iter().filter_map(|op| op.ended).max().unwrap_or(0);
        for op in &history {
            let mark = if culprits.contains(op) { '!' } else { ' ' };
            println!("{mark} {}", draw(op, first, last));
        }
        match order {
            Some(order) => {
                let call = |i: usize| format!("{:?}", history[i].call);
                let order: Vec<String> = order.into_iter().map(call).collect();
                println!("yes: {}\n", order.join(", "));
            }
            None => println!("no: one copy cannot do what is marked\n"),
        }
    }
}

#[cfg(test)]
#[path = "cap_register.rs"]
#[allow(dead_code)] // its story is not needed here
mod register;

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str) -> Vec<Operation> {
        parse(text).expect("a history in the format of `parse`")
    }

    // ANCHOR: seeds
    fn rejected(quorum: usize, write_back: bool, runs: u64) -> usize {
        let saw = |seed| register::storm_history(quorum, write_back, seed);
        let is_rejected = |seed: &u64| linearize(&history(&saw(*seed))).is_none();
        (0..runs).filter(is_rejected).count()
    }

    #[test]
    fn a_quorum_that_writes_back_is_linearizable_in_every_run() {
        assert_eq!(rejected(2, true, 1000), 0);
    }

    #[test]
    fn without_write_back_four_runs_in_a_thousand_are_not() {
        assert_eq!(rejected(2, false, 1000), 4);
    }

    #[test]
    fn a_node_that_answers_alone_is_caught_in_almost_every_run() {
        assert_eq!(rejected(1, false, 200), 197);
    }
    // ANCHOR_END: seeds

    #[test]
    fn the_shown_histories_are_those_of_the_registers() {
        let found = culprits(&history(&register::storm_history(2, false, 242)));
        assert!(found == history(HISTORIES[2].1));
        assert!(history(&register::ap_story_history()) == history(HISTORIES[3].1));
    }

    #[test]
    fn what_the_four_runs_show_is_one_value_and_later_another() {
        for seed in [242, 356, 643, 747] {
            let history = history(&register::storm_history(2, false, seed));
            assert!(linearize(&history).is_none(), "seed {seed}");
            let all = culprits(&history);
            let is_read = |op: &&Operation| matches!(op.call, Call::Read(_));
            let reads: Vec<_> = all.iter().filter(is_read).collect();
            let differ = reads.windows(2).any(|pair| {
                let is_over = |end| end < pair[1].started;
                pair[0].ended.is_some_and(is_over) && pair[0].call != pair[1].call
            });
            assert!(differ, "seed {seed}");
        }
    }

    #[test]
    fn culprits_are_impossible_and_none_of_them_can_be_spared() {
        for seed in 0..100 {
            let history = history(&register::storm_history(1, false, seed));
            let all = culprits(&history);
            assert_eq!(linearize(&all).is_none(), linearize(&history).is_none());
            let few = culprits(&all);
            assert!(few.len() == all.len(), "seed {seed}");
        }
    }

    /// The definition, word by word: every set of unanswered writes that might
    /// have happened, in every order that respects who was over before whom.
    fn by_definition(history: &[Operation]) -> bool {
        fn extend(todo: &[Operation], value: u64) -> bool {
            todo.iter().all(|op| op.ended.is_none())
                || (0..todo.len()).any(|i| {
                    let mut rest = todo.to_vec();
                    let op = rest.remove(i);
                    let is_before = |end: u64| end < op.started;
                    !rest.iter().any(|other| other.ended.is_some_and(is_before))
                        && match op.call {
                            Call::Write(new) => extend(&rest, new),
                            Call::Read(seen) => {
                                seen == value && extend(&rest, value)
                            }
                        }
                })
        }
        extend(history, FIRST_VALUE)
    }

    /// Does this order, the one that is printed, explain every answer?
    fn explains(order: &[usize], history: &[Operation]) -> bool {
        let mut value = FIRST_VALUE;
        let answered = |i: &usize| history[*i].ended.is_some();
        let all: Vec<usize> = (0..history.len()).filter(answered).collect();
        let mut found: Vec<usize> = order.iter().copied().filter(answered).collect();
        found.sort_unstable();
        found == all
            && order.iter().enumerate().all(|(place, i)| {
                let op = &history[*i];
                let is_read_right = match op.call {
                    Call::Write(new) => {
                        value = new;
                        true
                    }
                    Call::Read(seen) => seen == value,
                };
                let is_over = |j: &usize| {
                    history[*j].ended.is_some_and(|end| end < op.started)
                };
                is_read_right && !order[place..].iter().any(is_over)
            })
    }

    #[test]
    fn the_search_agrees_with_the_definition() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut verdicts = [0, 0];
        for _ in 0..1000 {
            let random = |_| {
                let started = rng.u64(..10);
                let read = rng.bool();
                let value = rng.u64(if read { 0..4 } else { 1..4 });
                let is_pending = !read && rng.u8(..3) == 0;
                Operation {
                    client: String::new(),
                    call: [Call::Write(value), Call::Read(value)][usize::from(read)],
                    started,
                    ended: (!is_pending).then(|| started + rng.u64(..6)),
                }
            };
            let history: Vec<Operation> = (0..6).map(random).collect();
            let order = linearize(&history);
            let verdict = order.is_some();
            assert_eq!(verdict, by_definition(&history));
            assert!(order.is_none_or(|order| explains(&order, &history)));
            verdicts[usize::from(verdict)] += 1;
        }
        assert!(verdicts.iter().all(|n| *n > 100), "{verdicts:?}");
    }
}
