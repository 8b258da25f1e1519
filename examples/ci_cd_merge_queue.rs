//! Two branches, each green, that fail together. And what to do about it: test
//! what main *will be*, not what the branch was.
//!
//! Look at `main red` first: merges after which main fails its tests. Then at what
//! it costs to have none: test runs, and hours from ready to merged.
//!
//! Simplified: a repository is functions, each with the unit it returns, and calls,
//! each with the unit it expects. Tests pass if every call gets what it expects,
//! and always take as long. What breaks main is taken out when that is noticed,
//! and its author needs no time to mend it.

use std::collections::{BTreeMap, VecDeque};

const TEST_MINUTES: u64 = 20;
const CHANGES: u32 = 400;
const FUNCTIONS: u32 = 200;
const BRANCH_MINUTES_MAX: u64 = 8 * 60;

// ANCHOR: repository
type Function = u32;
type Unit = u32; // cents, euros, …
type Author = u32;

#[derive(Clone, Debug, Default)]
struct Repository {
    returns: BTreeMap<Function, Unit>,
    calls: BTreeMap<Author, (Function, Unit)>, // each in a file of its own
}

/// What a branch changes: none of the files that another branch adds.
#[derive(Clone, Debug)]
struct Patch {
    returns: Option<(Function, Unit)>,
    calls: Vec<(Author, (Function, Unit))>,
}

impl Repository {
    /// A new call, written against what the function returns here.
    fn add_call(&self, author: Author, function: Function) -> Patch {
        let unit = self.returns.get(&function).copied().unwrap_or_default();
        let calls = vec![(author, (function, unit))];
        Patch {
            returns: None,
            calls,
        }
    }

    /// The function returns another unit, and every call that is here is adapted.
    fn change_unit(&self, author: Author, function: Function) -> Patch {
        let calls = self.calls.iter().filter(|(_, call)| call.0 == function);
        let unit = author;
        let calls = calls.map(|(caller, _)| (*caller, (function, unit)));
        Patch {
            returns: Some((function, unit)),
            calls: calls.collect(),
        }
    }

    /// As version control merges: by text, without asking what it means.
    fn merge(&mut self, patch: &Patch) {
        self.returns.extend(patch.returns);
        self.calls.extend(patch.calls.iter().copied());
    }

    fn tests_pass(&self) -> bool {
        let unit = |f: &Function| self.returns.get(f).copied().unwrap_or_default();
        self.calls.values().all(|(f, expects)| unit(f) == *expects)
    }
}
// ANCHOR_END: repository

#[derive(Clone, Debug)]
struct Branch {
    author: Author,
    function: Function,
    changes: bool, // the function, or adds a call to it
    began: u64,    // minute: what was in main then is what it is written against
    ready: u64,    // minute
}

impl Branch {
    fn patch(&self, history: &[(u64, Repository)]) -> Patch {
        let begun = history.partition_point(|(minute, _)| *minute <= self.began);
        let base = &history[begun - 1].1;
        match self.changes {
            true => base.change_unit(self.author, self.function),
            false => base.add_call(self.author, self.function),
        }
    }
}

fn branches(seed: u64, minutes_between: u64, functions: u32) -> VecDeque<Branch> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut ready = 0;
    let branch = |author| {
        ready += rng.u64(1..2 * minutes_between);
        Branch {
            author,
            function: rng.u32(..functions),
            changes: rng.u8(..5) == 0,
            began: u64::saturating_sub(ready, rng.u64(..BRANCH_MINUTES_MAX)),
            ready,
        }
    };
    (1..=CHANGES).map(branch).collect()
}

#[derive(Debug, Default)]
struct Report {
    red: u32,       // merges that broke main
    sent_back: u32, // by the queue, before they could
    runs: u32,      // of the tests, for all changes
    hours: f64,     // from ready to merged, mean
}

/// Each branch is tested by itself, and merged when green. Main is tested after.
fn green_branches(branches: VecDeque<Branch>) -> Report {
    let mut history = vec![(0, Repository::default())];
    let mut report = Report::default();
    for branch in branches {
        let (mut merged, main) =
            (branch.ready + TEST_MINUTES, &history[history.len() - 1].1);
        let mut next = main.clone();
        next.merge(&branch.patch(&history));
        report.runs += 2; // its own, and main's
        if !next.tests_pass() {
            report.red += 1; // taken out, written anew, tested, merged, tested
            report.runs += 2;
            merged += 2 * TEST_MINUTES;
            next = main.clone();
            let began = u64::MAX;
            next.merge(&Branch { began, ..branch }.patch(&history));
        }
        report.hours += (merged - branch.ready) as f64 / 60.0;
        let last = history[history.len() - 1].0;
        history.push((merged.max(last), next));
    }
    report.hours /= f64::from(CHANGES);
    report
}

// ANCHOR: queue
struct Queue {
    now: u64, // minute
    history: Vec<(u64, Repository)>,
    waiting: VecDeque<Branch>,
    report: Report,
}

impl Queue {
    /// Tests main with all of these on top. If that fails, each half by itself.
    fn test(&mut self, batch: &[Branch]) {
        let mut next = self.history[self.history.len() - 1].1.clone();
        for branch in batch {
            next.merge(&branch.patch(&self.history));
        }
        self.now += TEST_MINUTES;
        self.report.runs += 1;
        if next.tests_pass() {
            self.history.push((self.now, next));
            let waited = |b: &Branch| (self.now - b.ready) as f64 / 60.0;
            self.report.hours += batch.iter().map(waited).sum::<f64>();
        } else if let [alone] = batch {
            self.report.sent_back += 1; // and comes again, written anew
            let began = self.now;
            self.waiting.push_back(Branch {
                began,
                ..alone.clone()
            });
        } else {
            let (first, second) = batch.split_at(batch.len() / 2);
            self.test(first);
            self.test(second);
        }
    }
}
// ANCHOR_END: queue

fn queue(mut branches: VecDeque<Branch>, batch_max: usize) -> Report {
    let mut queue = Queue {
        now: 0,
        history: vec![(0, Repository::default())],
        waiting: VecDeque::new(),
        report: Report {
            runs: CHANGES,
            ..Report::default()
        }, // its own, before
    };
    while !branches.is_empty() || !queue.waiting.is_empty() {
        while let Some(branch) = branches.pop_front() {
            if branch.ready + TEST_MINUTES > queue.now && !queue.waiting.is_empty() {
                branches.push_front(branch);
                break;
            }
            queue.now = queue.now.max(branch.ready + TEST_MINUTES);
            queue.waiting.push_back(branch);
        }
        let size = queue.waiting.len().min(batch_max);
        let batch: Vec<Branch> = queue.waiting.drain(..size).collect();
        queue.test(&batch);
        let main = &queue.history[queue.history.len() - 1].1;
        queue.report.red += u32::from(!main.tests_pass());
    }
    queue.report.hours /= f64::from(CHANGES);
    queue.report
}

fn main() {
    println!(
        "{CHANGES} changes                main red  sent back  test runs  hours\n"
    );
    for (often, minutes_between) in [("a change an hour", 60), ("four an hour", 15)]
    {
        println!("{often}");
        let rows = [
            (
                "green branches",
                green_branches(branches(1, minutes_between, FUNCTIONS)),
            ),
            (
                "a queue, one by one",
                queue(branches(1, minutes_between, FUNCTIONS), 1),
            ),
            (
                "a queue, up to eight",
                queue(branches(1, minutes_between, FUNCTIONS), 8),
            ),
        ];
        for (name, report) in rows {
            let Report {
                red,
                sent_back,
                runs,
                hours,
            } = report;
            println!(
                "  {name:<23} {red:>8} {sent_back:>10} {runs:>10} {hours:>6.1}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_green_branches_fail_together_though_they_touch_no_common_file() {
        let main = Repository::default();
        let (changes, calls) = (main.change_unit(1, 7), main.add_call(2, 7));
        for alone in [&changes, &calls] {
            let mut branch = main.clone();
            branch.merge(alone);
            assert!(branch.tests_pass());
        }
        assert!(changes.calls.is_empty() && calls.returns.is_none());
        let mut both = main.clone();
        both.merge(&changes);
        assert!(both.tests_pass());
        let mended = both.add_call(2, 7);
        both.merge(&calls);
        assert!(!both.tests_pass());
        both.merge(&mended);
        assert!(both.tests_pass());
    }

    #[test]
    fn a_queue_never_breaks_main_and_merges_every_change() {
        for seed in 0..4 {
            for batch_max in [1, 3, 8] {
                let mut queue = Queue {
                    now: 10_000,
                    history: vec![(0, Repository::default())],
                    waiting: branches(seed, 15, FUNCTIONS),
                    report: Report::default(),
                };
                while !queue.waiting.is_empty() {
                    let size = queue.waiting.len().min(batch_max);
                    let batch: Vec<_> = queue.waiting.drain(..size).collect();
                    queue.test(&batch);
                }
                assert!(queue.history.iter().all(|(_, main)| main.tests_pass()));
                let changes = branches(seed, 15, FUNCTIONS)
                    .iter()
                    .filter(|b| !b.changes)
                    .count();
                let main = &queue.history[queue.history.len() - 1].1;
                assert_eq!(main.calls.len(), changes);
            }
        }
    }

    #[test]
    fn runs_and_minutes_are_those_of_two_branches_counted_by_hand() {
        let branch = |author, changes, ready| Branch {
            author,
            function: 7,
            changes,
            began: 0,
            ready,
        };
        let two = || VecDeque::from([branch(1, true, 100), branch(2, false, 130)]);
        let minutes = |r: &Report| (r.hours * 60.0 * f64::from(CHANGES)).round();
        let green = green_branches(two());
        assert_eq!(
            (green.red, green.runs, minutes(&green)),
            (1, 6, 20.0 + 60.0)
        );
        // The second is sent back, and tested again.
        let queued = queue(two(), 1);
        assert_eq!((queued.red, queued.sent_back), (0, 1));
        assert_eq!((queued.runs, minutes(&queued)), (CHANGES + 3, 40.0 + 60.0));
    }

    #[test]
    fn green_branches_break_main_more_often_the_more_there_are() {
        let mean = |minutes| {
            let red = |seed| green_branches(branches(seed, minutes, FUNCTIONS)).red;
            (0..10).map(red).sum::<u32>()
        };
        let (seldom, often) = (mean(60), mean(15));
        assert!(seldom > 0 && often > 2 * seldom, "{seldom} {often}");
    }

    #[test]
    fn one_by_one_falls_behind_when_changes_come_faster_than_tests_end() {
        let one = queue(branches(1, 15, FUNCTIONS), 1);
        let eight = queue(branches(1, 15, FUNCTIONS), 8);
        assert!(one.hours > 10.0 && eight.hours < 2.0, "{one:?} {eight:?}");
        assert!(eight.runs < one.runs, "{one:?} {eight:?}");
        let rare = queue(branches(1, 60, FUNCTIONS), 1);
        assert!(rare.hours < 1.5, "{rare:?}");
    }

    #[test]
    fn batches_do_not_help_where_a_fifth_of_the_functions_makes_conflicts_frequent()
    {
        let few = |batch_max| queue(branches(1, 15, FUNCTIONS / 5), batch_max);
        let (one, eight) = (few(1), few(8));
        assert!(one.hours > 10.0 && eight.hours > 10.0, "{one:?} {eight:?}");
        assert!(eight.runs > one.runs, "{one:?} {eight:?}");
    }
}
