//! Somebody dies in the middle of a write: what do readers see afterwards?
//!
//! The database holds the old value, and so does the cache. A writer stores a new
//! one. We kill the application or the cache after each step of each strategy,
//! let one reader come by at every possible moment or not at all, and print the
//! worst that can happen. The last column of a line is the run without a crash.
//!
//!   nothing  the old value stands everywhere     done     so does the new one
//!   brief    old in the cache, soon repaired     STALE    old until it leaves
//!   vanish   a reader saw the new value, and it is gone
//!   LOST     the writer was told "ok", and it is gone
//!
//! Simplified: the database does not die; the reader is so quick that nothing comes
//! between its steps (the program `caching_race` takes it apart).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Old,
    New,
}

use Value::{New, Old};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    App,
    Cache,
}

// ANCHOR: steps
#[derive(Clone, Copy)]
enum Step {
    DbWrite,
    DbWriteAndNote, // both in one transaction
    CacheDelete,
    CachePut,
    Ok, // the writer is told so
}

use Step::{CacheDelete, CachePut, DbWrite, DbWriteAndNote, Ok};

struct Strategy {
    name: &'static str,
    by: Who, // who carries out the steps
    steps: &'static [Step],
}

const fn by(by: Who, name: &'static str, steps: &'static [Step]) -> Strategy {
    Strategy { name, by, steps }
}

const STRATEGIES: [Strategy; 9] = [
    by(Who::App, "aside: db, del", &[DbWrite, CacheDelete, Ok]),
    by(Who::App, "aside: del, db", &[CacheDelete, DbWrite, Ok]),
    by(
        Who::App,
        "del, db, del",
        &[CacheDelete, DbWrite, CacheDelete, Ok],
    ),
    by(Who::App, "aside: db, put", &[DbWrite, CachePut, Ok]),
    by(Who::App, "db and note", &[DbWriteAndNote, Ok]),
    by(Who::App, "around", &[DbWrite, Ok]),
    by(Who::Cache, "through: db, put", &[DbWrite, CachePut, Ok]),
    by(Who::Cache, "through: put, db", &[CachePut, DbWrite, Ok]),
    by(Who::Cache, "back: put, ok, db", &[CachePut, Ok, DbWrite]),
];
// ANCHOR_END: steps

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Nothing,
    Done,
    Brief,
    Stale,
    Vanish,
    Lost,
}

impl Outcome {
    fn name(self) -> &'static str {
        ["nothing", "done", "brief", "STALE", "vanish", "LOST"][self as usize]
    }
}

struct World {
    db: Value,
    note: bool, // in the database: "delete this key from the cache"
    cache: Option<Value>,
    told_ok: bool,
    seen: Vec<Value>,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            DbWrite => self.db = New,
            DbWriteAndNote => (self.db, self.note) = (New, true),
            CacheDelete => self.cache = None,
            CachePut => self.cache = Some(New),
            Ok => self.told_ok = true,
        }
    }

    /// A miss fills the cache. Whether the application does that (aside) or the
    /// cache itself (read-through) makes no difference here.
    fn read(&mut self) -> Value {
        let value = *self.cache.get_or_insert(self.db);
        self.seen.push(value);
        value
    }

    fn outcome(mut self) -> Outcome {
        let now = self.read();
        if self.note {
            self.cache = None; // a relay reads the notes, and repeats until done
        }
        let repaired = self.read();
        self.cache = None; // evicted, expired or restarted
        let later = self.read();
        match (now, repaired, later) {
            (_, _, Old) if self.told_ok => Outcome::Lost,
            (_, _, Old) if self.seen.contains(&New) => Outcome::Vanish,
            (_, _, Old) => Outcome::Nothing,
            (_, Old, New) => Outcome::Stale,
            (Old, New, New) => Outcome::Brief,
            (New, New, New) => Outcome::Done,
        }
    }
}

// ANCHOR: run
/// `dies` goes down after so many steps; a dead cache comes back empty. The reader
/// comes before the crash or after it: two moments for each step.
fn run(strategy: &Strategy, dies: Who, after: usize, reader: usize) -> Outcome {
    let mut world = World {
        db: Old,
        note: false,
        cache: Some(Old),
        told_ok: false,
        seen: Vec::new(),
    };
    for done in 0..=strategy.steps.len() {
        if reader == 2 * done {
            world.read();
        }
        if done == after {
            // Without its application, a cache finishes what it was asked to do.
            let never_asked = dies == Who::App && done == 0;
            if dies == Who::Cache {
                world.cache = None;
            }
            if dies == strategy.by || never_asked {
                break;
            }
        }
        if reader == 2 * done + 1 {
            world.read();
        }
        if let Some(step) = strategy.steps.get(done) {
            world.step(*step);
        }
    }
    world.outcome()
}

/// The worst over all moments at which a reader may come by, or none.
fn worst(strategy: &Strategy, dies: Who, after: usize) -> Outcome {
    let moments = 0..=2 * strategy.steps.len() + 2;
    let outcomes = moments.map(|reader| run(strategy, dies, after, reader));
    outcomes.max().unwrap_or(Outcome::Nothing)
}
// ANCHOR_END: run

fn main() {
    for (who, dies) in [("application", Who::App), ("cache", Who::Cache)] {
        println!("the {who} dies after step");
        println!("                         0       1       2       3       4");
        for strategy in &STRATEGIES {
            let mut line = format!("{:<18}", strategy.name);
            for after in 0..=strategy.steps.len() {
                line += &format!(" {:>7}", worst(strategy, dies, after).name());
            }
            println!("{line}");
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worst for each number of steps before the crash; the last is without one.
    fn line(name: &str, dies: Who) -> Vec<Outcome> {
        let named = STRATEGIES.iter().find(|strategy| strategy.name == name);
        let strategy = named.expect("a strategy of that name");
        let after = 0..=strategy.steps.len();
        after.map(|after| worst(strategy, dies, after)).collect()
    }

    use Outcome::{Brief, Done, Lost, Nothing, Stale, Vanish};

    #[test]
    fn db_then_delete_is_stale_if_and_only_if_the_writer_dies_in_between() {
        let line_of = |dies| line("aside: db, del", dies);
        assert_eq!(line_of(Who::App), [Nothing, Stale, Done, Done]);
        assert!(line_of(Who::Cache).iter().all(|end| *end == Done));
    }

    #[test]
    fn delete_then_db_is_stale_without_any_crash() {
        assert_eq!(line("aside: del, db", Who::App)[3], Stale);
        let strategy = &STRATEGIES[1];
        let quiet = run(strategy, Who::App, strategy.steps.len(), usize::MAX);
        assert_eq!(quiet, Done, "it takes a reader between the steps");
    }

    #[test]
    fn a_second_delete_mends_the_reader_and_not_the_crash() {
        let ends = line("del, db, del", Who::App);
        assert_eq!((ends[2], ends[4]), (Stale, Done));
    }

    #[test]
    fn a_note_in_the_same_transaction_leaves_nothing_stale_for_good() {
        for dies in [Who::App, Who::Cache] {
            let ends = line("db and note", dies);
            assert!(ends.iter().all(|end| *end <= Brief), "{ends:?}");
        }
    }

    #[test]
    fn write_around_is_stale_without_any_crash_if_the_key_was_cached() {
        assert_eq!(line("around", Who::App)[2], Stale);
    }

    #[test]
    fn write_through_shows_a_value_that_vanishes_only_if_the_cache_comes_first() {
        let ends = line("through: db, put", Who::Cache);
        assert!(ends.iter().all(|end| *end <= Done));
        assert_eq!(line("through: put, db", Who::Cache)[1], Vanish);
    }

    #[test]
    fn only_write_back_loses_an_acknowledged_write_and_only_before_its_flush() {
        for strategy in &STRATEGIES {
            for dies in [Who::App, Who::Cache] {
                let ends = line(strategy.name, dies);
                let lost = ends.iter().position(|end| *end == Lost);
                let back = strategy.name.starts_with("back") && dies == Who::Cache;
                assert_eq!(lost, back.then_some(2), "{}", strategy.name);
            }
        }
    }

    #[test]
    fn a_reader_fills_a_cache_that_died_with_the_value_before_the_write() {
        assert_eq!(line("aside: del, db", Who::Cache)[1], Stale);
        assert_eq!(line("around", Who::Cache)[0], Stale);
        assert_eq!(line("db and note", Who::Cache)[0], Brief);
    }

    #[test]
    fn without_crash_and_reader_all_but_around_show_the_new_value() {
        for strategy in &STRATEGIES {
            let end = run(strategy, Who::App, strategy.steps.len(), usize::MAX);
            let expected = match strategy.name {
                "around" => Stale,
                "db and note" => Brief,
                _ => Done,
            };
            assert_eq!(end, expected, "{}", strategy.name);
        }
    }
}
