//! A reader sums a table of files while a compactor replaces two of them by
//! one and an appender adds one. Every order of their steps is tried.
//!
//! Look at the table at the end. If the table is what LIST finds, some orders
//! count sales twice, or not at all. A log of commits mends the reading. It
//! takes "PUT if absent" to mend the writing too. The last row is a vacuum
//! that does not wait.
//!
//! Simplified: finding out which files to read is one step, and so is a GET. A
//! file is one number. The log is read from the start (real ones have
//! checkpoints). It is Delta Lake's design; Iceberg swaps a pointer instead.

use std::collections::{BTreeMap, BTreeSet};

type File = &'static str;
type Cents = u64;
type Version = usize;

/// The table in the beginning. The sum of a reader tells what it has read.
const FILES: [(File, Cents); 2] = [("a", 100), ("b", 20)];
const BEFORE: Cents = 120;
const AFTER: Cents = 123; // "c" is 120, the rows of a and b; "d" is 3, new

// ANCHOR: lake
#[derive(Clone)]
struct Commit {
    add: Vec<File>,
    remove: Vec<File>,
}

/// Data files, and a log: the objects 0, 1, 2, … that are never changed.
#[derive(Clone)]
struct Lake {
    files: BTreeMap<File, Cents>,
    log: BTreeMap<Version, Commit>,
    if_none_match: bool, // does the store know PUT if absent?
}

impl Lake {
    fn latest(&self) -> Option<Version> {
        self.log.keys().last().copied()
    }

    /// The files of the table. Without a log that is what LIST finds.
    fn table(&self) -> BTreeSet<File> {
        match self.latest() {
            Some(version) => self.snapshot(version),
            None => self.files.keys().copied().collect(),
        }
    }

    /// What was added up to this version and not removed: time travel.
    fn snapshot(&self, version: Version) -> BTreeSet<File> {
        let mut files = BTreeSet::new();
        for (_, commit) in self.log.range(..=version) {
            files.retain(|file| !commit.remove.contains(file));
            files.extend(&commit.add);
        }
        files
    }
}
// ANCHOR_END: lake

// ANCHOR: put
impl Lake {
    /// False is S3's "412 Precondition Failed": another writer was first.
    fn put_commit(&mut self, version: Version, commit: Commit) -> bool {
        if self.if_none_match && self.log.contains_key(&version) {
            return false;
        }
        self.log.insert(version, commit); // a plain PUT overwrites
        true
    }
}
// ANCHOR_END: put

#[derive(Clone)]
enum Actor {
    Reader(Option<Vec<File>>, Cents), // the files that are left, the sum so far
    Lister(Vec<Op>),                  // a writer without a log, last step first
    Writer(Writer),
    Vacuum,
    Done(Outcome),
}

/// PUT a file with these cents, or DELETE it.
type Op = (File, Option<Cents>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Sum(Cents),
    Gone(File), // the reader got "404 Not Found"
    Written,
    GaveUp,
}
use Outcome::{GaveUp, Gone, Sum, Written};

// ANCHOR: writer
#[derive(Clone)]
struct Writer {
    add: (File, Cents),
    remove: Vec<File>,
    base: Option<Version>, // the version that it has seen
    put: bool,
}

impl Writer {
    /// Look, PUT the data, commit; when another was first, look again.
    fn step(&mut self, lake: &mut Lake) -> (Option<Outcome>, String) {
        let (file, cents) = self.add;
        let Some(base) = self.base else {
            let (latest, table) = (lake.latest(), lake.table());
            self.base = latest;
            let gone = self.remove.iter().any(|file| !table.contains(file));
            let outcome = gone.then_some(GaveUp); // nothing left to replace
            return (outcome, format!("sees version {}", latest.unwrap_or(0)));
        };
        if !self.put {
            self.put = true;
            lake.files.insert(file, cents); // no reader knows of it yet
            return (None, format!("PUT {file}"));
        }
        let (add, remove) = (vec![file], self.remove.clone());
        if lake.put_commit(base + 1, Commit { add, remove }) {
            return (Some(Written), format!("commits version {}", base + 1));
        }
        self.base = None;
        (None, format!("412 for version {}", base + 1))
    }
}
// ANCHOR_END: writer

impl Actor {
    /// One step; what happened, for the transcript.
    fn step(&mut self, lake: &mut Lake) -> String {
        let (outcome, event) = match self {
            Actor::Reader(left @ None, _) => {
                let files: Vec<File> = lake.table().into_iter().collect();
                let event = format!("finds {}", files.join(" "));
                let outcome = files.is_empty().then_some(Sum(0));
                *left = Some(files);
                (outcome, event)
            }
            Actor::Reader(Some(left), sum) => {
                let file = left.remove(0);
                let cents = lake.files.get(file);
                *sum += cents.unwrap_or(&0);
                let last = left.is_empty().then_some(Sum(*sum));
                let outcome = cents.map_or(Some(Gone(file)), |_| last);
                (outcome, format!("GET {file}"))
            }
            Actor::Lister(ops) => {
                let (file, cents) = ops.pop().unwrap_or(("", None));
                match cents {
                    Some(cents) => lake.files.insert(file, cents),
                    None => lake.files.remove(file),
                };
                let verb = cents.map_or("DELETE", |_| "PUT");
                let outcome = ops.is_empty().then_some(Written);
                (outcome, format!("{verb} {file}"))
            }
            Actor::Writer(writer) => writer.step(lake),
            Actor::Vacuum => {
                let table = lake.table();
                lake.files.retain(|file, _| table.contains(file));
                (Some(Written), "deletes what the table does not name".into())
            }
            Actor::Done(_) => (None, String::new()),
        };
        if let Some(outcome) = outcome {
            *self = Actor::Done(outcome);
        }
        event
    }
}

// ANCHOR: explore
/// Runs every order in which the actors can take their steps.
fn explore(lake: &Lake, actors: &[Actor], seen: &mut dyn FnMut(&Lake, &[Actor])) {
    let mut at_rest = true;
    for (i, actor) in actors.iter().enumerate() {
        if !matches!(actor, Actor::Done(_)) {
            let (mut lake, mut actors) = (lake.clone(), actors.to_vec());
            actors[i].step(&mut lake);
            explore(&lake, &actors, seen);
            at_rest = false;
        }
    }
    if at_rest {
        seen(lake, actors);
    }
}
// ANCHOR_END: explore

const READER: Actor = Actor::Reader(None, 0);

fn writer(add: (File, Cents), remove: &[File]) -> Actor {
    let (remove, base, put) = (remove.to_vec(), None, false);
    Actor::Writer(Writer {
        add,
        remove,
        base,
        put,
    })
}

fn compactor() -> Actor {
    writer(("c", BEFORE), &["a", "b"])
}

fn appender() -> Actor {
    writer(("d", AFTER - BEFORE), &[])
}

/// The compactor and the appender of a table that is what LIST finds.
fn listers(put_first: bool) -> Vec<Actor> {
    let mut ops = vec![("b", None), ("a", None)];
    ops.insert(if put_first { 2 } else { 0 }, ("c", Some(BEFORE)));
    let append = vec![("d", Some(AFTER - BEFORE))];
    vec![READER, Actor::Lister(ops), Actor::Lister(append)]
}

fn without_log() -> Lake {
    let (files, log) = (BTreeMap::from(FILES), BTreeMap::new());
    Lake {
        files,
        log,
        if_none_match: false,
    }
}

fn with_log(if_none_match: bool) -> Lake {
    let (add, remove) = (FILES.map(|(file, _)| file).to_vec(), Vec::new());
    let log = BTreeMap::from([(0, Commit { add, remove })]);
    Lake {
        log,
        if_none_match,
        ..without_log()
    }
}

#[derive(Debug, Default, PartialEq)]
struct Count {
    orders: u32,
    right: u32,
    twice: u32,
    fewer: u32,
    gone: u32,
    lost: u32, // at the end the table is not what was written
}

fn count(lake: &Lake, actors: &[Actor], after: Cents) -> Count {
    let mut n = Count::default();
    explore(lake, actors, &mut |lake, actors| {
        n.orders += 1;
        match actors[0] {
            Actor::Done(Sum(sum)) if sum == BEFORE || sum == AFTER => n.right += 1,
            Actor::Done(Sum(sum)) if sum > AFTER => n.twice += 1,
            Actor::Done(Sum(_)) => n.fewer += 1,
            _ => n.gone += 1,
        }
        let cents = lake.table().into_iter().map(|file| lake.files.get(file));
        n.lost += u32::from(cents.sum::<Option<Cents>>() != Some(after));
    });
    n
}

const NAMES: [&str; 3] = ["reader", "compactor", "appender"];

fn transcript(mut lake: Lake, mut actors: Vec<Actor>, order: &[usize]) {
    for turn in order.chunk_by(|a, b| a == b) {
        let events = turn.iter().map(|&i| actors[i].step(&mut lake));
        let events = events.collect::<Vec<_>>().join(", ");
        println!("  {:<10} {events}", NAMES[turn[0]]);
    }
    if let Actor::Done(outcome) = actors[0] {
        println!("  {:<10} {outcome:?}", NAMES[0]);
    }
}

fn main() {
    println!("the table is what LIST finds, and is worth 120");
    transcript(without_log(), listers(true), &[1, 0, 0, 0, 0]);
    println!("\nthe table is what the log says, and is worth 120, then 123");
    let actors = vec![READER, compactor(), appender()];
    let order = [1, 2, 1, 2, 2, 0, 1, 1, 1, 0, 0, 0];
    transcript(with_log(true), actors.clone(), &order);

    let vacuum = [READER, compactor(), Actor::Vacuum];
    let rows = [
        (
            "LIST, PUT then DELETE",
            count(&without_log(), &listers(true), AFTER),
        ),
        (
            "LIST, DELETE then PUT",
            count(&without_log(), &listers(false), AFTER),
        ),
        ("log, plain PUT", count(&with_log(false), &actors, AFTER)),
        ("log, PUT if absent", count(&with_log(true), &actors, AFTER)),
        (
            "  and vacuum at once",
            count(&with_log(true), &vacuum, BEFORE),
        ),
    ];
    println!("\nin every order                the reader's sum is         writes");
    println!("of the steps           orders  right  twice  fewer    404     lost");
    for (name, n) in rows {
        print!("{name:<22} {:>6} {:>6} {:>6} ", n.orders, n.right, n.twice);
        println!("{:>6} {:>6} {:>8}", n.fewer, n.gone, n.lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actors() -> [Actor; 3] {
        [READER, compactor(), appender()]
    }

    #[test]
    fn a_list_counts_sales_twice_or_not_at_all() {
        let put_first = count(&without_log(), &listers(true), AFTER);
        assert!(put_first.twice > 0 && put_first.gone > 0);
        assert_eq!(put_first.orders, put_first.right + 116);
        let delete_first = count(&without_log(), &listers(false), AFTER);
        assert!(delete_first.fewer > 0 && delete_first.gone > 0);
    }

    #[test]
    fn with_a_log_every_reader_sees_one_whole_version() {
        for if_none_match in [false, true] {
            let n = count(&with_log(if_none_match), &actors(), AFTER);
            assert_eq!(n.right, n.orders);
        }
    }

    #[test]
    fn only_put_if_absent_keeps_both_commits_in_every_order() {
        assert!(count(&with_log(false), &actors(), AFTER).lost > 0);
        assert_eq!(count(&with_log(true), &actors(), AFTER).lost, 0);
    }

    #[test]
    fn of_two_compactions_of_the_same_files_one_wins_and_one_gives_up() {
        let rival = writer(("e", BEFORE), &["a", "b"]);
        let both = [READER, compactor(), rival];
        explore(&with_log(true), &both, &mut |_, actors| {
            let ended = |wanted| {
                let same = |a: &&Actor| matches!(a, Actor::Done(o) if *o == wanted);
                actors.iter().filter(same).count()
            };
            assert_eq!((ended(Written), ended(GaveUp)), (1, 1));
        });
        assert_eq!(count(&with_log(true), &both, BEFORE).lost, 0);
    }

    #[test]
    fn version_0_can_be_read_after_all_commits() {
        explore(&with_log(true), &actors(), &mut |lake, _| {
            let cents = lake.snapshot(0).into_iter().map(|file| lake.files[file]);
            assert_eq!(cents.sum::<Cents>(), BEFORE);
            assert_eq!(lake.latest(), Some(2));
        });
    }

    #[test]
    fn a_vacuum_that_does_not_wait_breaks_reads_and_writes_but_no_sum_is_wrong() {
        let vacuum = [READER, compactor(), Actor::Vacuum];
        let n = count(&with_log(true), &vacuum, BEFORE);
        assert!(n.gone > 0 && n.lost > 0);
        assert_eq!((n.twice, n.fewer), (0, 0));
    }
}
