//! Interleavings as plain data, and the one judge of them all.
//!
//! A script is a list of steps of two sessions on the table
//! `t(id int primary key, value int)`. Whatever implements [`Database`] can run
//! it: the small engine in `mvcc.rs`, or a real server. The judge does not know
//! the anomalies' names. It asks one question: can the transactions that were
//! committed be put into some order, one after the other, that explains every
//! value read and the final table? If not, isolation failed.

use std::collections::BTreeMap;
use std::fmt;

// ANCHOR: steps
pub type Id = i64;
pub type Value = i64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Session {
    A,
    B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Begin,
    /// SELECT value FROM t WHERE id = $1
    Read(Id),
    /// SELECT id, value FROM t WHERE value >= $1 ORDER BY id
    ReadAtLeast(Value),
    /// UPDATE t SET value = $2 WHERE id = $1
    Write(Id, Value),
    /// A [`Step::Write`] of what this session last read there, plus something:
    /// the client does the sum, as programs do that load, change and save.
    WriteReadPlus(Id, Value),
    /// INSERT INTO t VALUES ($1, $2)
    Insert(Id, Value),
    Commit,
    Rollback,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Value(Option<Value>),
    Rows(Vec<(Id, Value)>),
    /// The transaction is rolled back and gone: it would have to start again.
    Refused(Refusal),
    /// Not run: this session's transaction was refused before.
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Others changed what it builds on. PostgreSQL: SQLSTATE 40001.
    Conflict,
    /// It would have to wait for another transaction to end, and does not.
    /// PostgreSQL: SQLSTATE 55P03 (`lock_timeout`) or 40P01 (deadlock).
    WouldWait,
}
// ANCHOR_END: steps

// ANCHOR: database
pub trait Database {
    type Error;
    /// Empties the table, fills it with these rows, forgets all sessions.
    fn reset(&mut self, rows: &[(Id, Value)]) -> Result<(), Self::Error>;
    /// Never called with [`Step::WriteReadPlus`]: it arrives as a `Write`.
    fn step(&mut self, who: Session, step: Step) -> Result<Outcome, Self::Error>;
    /// The committed rows, by id, when everybody is done.
    fn rows(&mut self) -> Result<Vec<(Id, Value)>, Self::Error>;
}
// ANCHOR_END: database

pub struct Script {
    pub name: &'static str,
    pub rows: &'static [(Id, Value)],
    pub steps: &'static [(Session, Step)],
}

use Session::{A, B};
use Step::{
    Begin, Commit, Insert, Read, ReadAtLeast, Rollback, Write, WriteReadPlus,
};

// ANCHOR: scripts
/// No script but the first makes a session wait for another.
pub const SCRIPTS: [Script; 9] = [
    Script {
        name: "dirty write",
        rows: &[(1, 10), (2, 10)],
        steps: &[
            (A, Begin),
            (B, Begin),
            (A, Write(1, 11)),
            (B, Write(1, 12)),
            (B, Write(2, 12)),
            (B, Commit),
            (A, Write(2, 11)),
            (A, Commit),
        ],
    },
    Script {
        name: "dirty read",
        rows: &[(1, 10)],
        steps: &[
            (A, Begin),
            (A, Write(1, 11)),
            (B, Begin),
            (B, Read(1)),
            (B, Commit),
            (A, Rollback),
        ],
    },
    Script {
        name: "non-repeatable read",
        rows: &[(1, 10)],
        steps: &[
            (A, Begin),
            (A, Read(1)),
            (B, Begin),
            (B, Write(1, 11)),
            (B, Commit),
            (A, Read(1)),
            (A, Commit),
        ],
    },
    Script {
        name: "read skew",
        rows: &[(1, 50), (2, 50)],
        steps: &[
            (A, Begin),
            (A, Read(1)),
            (B, Begin),
            (B, Write(1, 10)),
            (B, Write(2, 90)),
            (B, Commit),
            (A, Read(2)),
            (A, Commit),
        ],
    },
    Script {
        name: "phantom",
        rows: &[(1, 10), (2, 20)],
        steps: &[
            (A, Begin),
            (A, ReadAtLeast(15)),
            (B, Begin),
            (B, Insert(3, 30)),
            (B, Commit),
            (A, ReadAtLeast(15)),
            (A, Commit),
        ],
    },
    Script {
        name: "lost update",
        rows: &[(1, 10)],
        steps: &[
            (A, Begin),
            (B, Begin),
            (A, Read(1)),
            (B, Read(1)),
            (A, WriteReadPlus(1, 5)),
            (A, Commit),
            (B, WriteReadPlus(1, 7)),
            (B, Commit),
        ],
    },
    // ANCHOR: write_skew
    // Two doctors are on call (1). Each sees the other's 1 and goes home (0).
    Script {
        name: "write skew",
        rows: &[(1, 1), (2, 1)],
        steps: &[
            (A, Begin),
            (B, Begin),
            (A, ReadAtLeast(1)),
            (B, ReadAtLeast(1)),
            (A, Write(1, 0)),
            (B, Write(2, 0)),
            (A, Commit),
            (B, Commit),
        ],
    },
    // ANCHOR_END: write_skew
    // Nobody has booked the room. Each sees that, and books it.
    Script {
        name: "write skew, inserts",
        rows: &[],
        steps: &[
            (A, Begin),
            (B, Begin),
            (A, ReadAtLeast(1)),
            (B, ReadAtLeast(1)),
            (A, Insert(1, 1)),
            (B, Insert(2, 1)),
            (A, Commit),
            (B, Commit),
        ],
    },
    // No anomaly: "A, then B" explains it all. What does safety cost here?
    Script {
        name: "(harmless overlap)",
        rows: &[(1, 10), (2, 20)],
        steps: &[
            (A, Begin),
            (A, Read(1)),
            (B, Begin),
            (B, Write(1, 11)),
            (B, Commit),
            (A, Write(2, 21)),
            (A, Commit),
        ],
    },
];
// ANCHOR_END: scripts

/// What happened: each step with its outcome, and the table at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub before: Vec<(Id, Value)>,
    pub history: Vec<(Session, Step, Outcome)>,
    pub after: Vec<(Id, Value)>,
}

// ANCHOR: run
/// Runs the steps in this very order.
pub fn run<D: Database>(
    db: &mut D,
    rows: &[(Id, Value)],
    steps: &[(Session, Step)],
) -> Result<Run, D::Error> {
    db.reset(rows)?;
    let mut last_read: BTreeMap<(Session, Id), Value> = BTreeMap::new();
    let mut history: Vec<(Session, Step, Outcome)> = Vec::new();
    for &(who, step) in steps {
        let refused = |(w, _, outcome): &(Session, Step, Outcome)| {
            *w == who && matches!(outcome, Outcome::Refused(_))
        };
        let outcome = if history.iter().any(refused) {
            Outcome::Skipped
        } else {
            db.step(who, with_sum(step, who, &last_read))?
        };
        if let (Read(id), Outcome::Value(Some(value))) = (step, &outcome) {
            last_read.insert((who, id), *value);
        }
        history.push((who, step, outcome));
    }
    let (before, after) = (rows.to_vec(), db.rows()?);
    Ok(Run {
        before,
        history,
        after,
    })
}
// ANCHOR_END: run

fn with_sum(
    step: Step,
    who: Session,
    last_read: &BTreeMap<(Session, Id), Value>,
) -> Step {
    match step {
        WriteReadPlus(id, plus) => {
            Write(id, last_read.get(&(who, id)).unwrap_or(&0) + plus)
        }
        other => other,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No order of the committed transactions explains what was seen.
    Happens,
    /// All were committed, and an order explains what was seen.
    Fine,
    /// One was refused, an order explains the rest.
    Refused(Refusal),
}

// ANCHOR: judge
/// Isolation, by its definition: as if one after the other.
pub fn judge(run: &Run) -> Verdict {
    let committed = |who: &Session| {
        let commit = (*who, Commit, Outcome::Done);
        run.history.contains(&commit)
    };
    let orders = [[A, B], [B, A]].map(|o| o.into_iter().filter(committed));
    if !orders.into_iter().any(|order| explains(order, run)) {
        return Verdict::Happens;
    }
    let refusal = run
        .history
        .iter()
        .find_map(|(_, _, outcome)| match outcome {
            Outcome::Refused(why) => Some(Verdict::Refused(*why)),
            _ => None,
        });
    refusal.unwrap_or(Verdict::Fine)
}
// ANCHOR_END: judge

/// Does running whole transactions in this order give the same reads and rows?
fn explains(order: impl Iterator<Item = Session>, run: &Run) -> bool {
    let mut table: BTreeMap<Id, Value> = run.before.iter().copied().collect();
    let mut last_read = BTreeMap::new();
    for who in order {
        for (_, step, seen) in run.history.iter().filter(|(w, _, _)| *w == who) {
            let read = match with_sum(*step, who, &last_read) {
                Read(id) => {
                    let value = table.get(&id).copied();
                    last_read.extend(value.map(|value| ((who, id), value)));
                    Outcome::Value(value)
                }
                ReadAtLeast(min) => {
                    let rows = table.iter().map(|(id, value)| (*id, *value));
                    Outcome::Rows(rows.filter(|(_, v)| *v >= min).collect())
                }
                Write(id, value) => {
                    table.entry(id).and_modify(|old| *old = value);
                    Outcome::Done
                }
                Insert(id, value) => {
                    table.insert(id, value);
                    Outcome::Done
                }
                _ => Outcome::Done,
            };
            if read != *seen {
                return false;
            }
        }
    }
    table.into_iter().eq(run.after.iter().copied())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Verdict::Happens => "HAPPENS",
            Verdict::Fine => "fine",
            Verdict::Refused(Refusal::Conflict) => "refused",
            Verdict::Refused(Refusal::WouldWait) => "waits",
        })
    }
}

/// One line a script, one column a level, at most 72 columns wide for four.
pub fn table(levels: &[&str], verdicts: &[Vec<Verdict>]) -> String {
    let head: String = levels.iter().map(|level| format!(" {level:>12}")).collect();
    let mut lines = vec![format!("{:<20}{head}", "")];
    for (script, row) in SCRIPTS.iter().zip(verdicts) {
        let cells: String = row.iter().map(|cell| format!(" {cell:>12}")).collect();
        lines.push(format!("{:<20}{cells}", script.name));
    }
    lines.join("\n")
}

/// One line a step, session A on the left, B on the right.
pub fn transcript(run: &Run) -> String {
    let line = |(who, step, outcome): &(Session, Step, Outcome)| {
        let seen = match outcome {
            Outcome::Done | Outcome::Skipped => String::new(),
            Outcome::Value(value) => format!(" = {}", value.unwrap_or_default()),
            Outcome::Rows(rows) => format!(" = {rows:?}"),
            Outcome::Refused(_) => " REFUSED".to_owned(),
        };
        let indent = if *who == A {
            ""
        } else {
            "                         "
        };
        format!("{indent}{who:?} {step:?}{seen}")
    };
    let lines: Vec<String> = run.history.iter().map(line).collect();
    lines.join("\n")
}
