//! A multi-version engine whose isolation level is a parameter.
//!
//! Nothing is overwritten. A write ends the row's newest version and adds the
//! next; each version carries the transaction that began it and the one that
//! ended it. What a reader sees is decided by comparing those with its snapshot.
//! The level is asked in three places only: when a snapshot is taken, whether the
//! work of open transactions is seen, and what a commit checks. What a write does
//! to a row that somebody changed since follows from the first.
//!
//! Simplified: one table, no deletes, no indexes, all in memory, old versions
//! are never cleaned away, and a transaction that would have to wait is refused.

use std::collections::BTreeMap;

// ANCHOR: types
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    ReadUncommitted,
    ReadCommitted,
    /// PostgreSQL calls it Repeatable Read.
    Snapshot,
    Serializable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Conflict,
    WouldWait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxId(usize);

/// How many transactions had committed: the engine's only clock.
type Commits = u64;

enum State {
    Active,
    Committed(Commits),
    Aborted,
}

struct Version {
    value: i64,
    begun_by: TxId,
    ended_by: Option<TxId>,
}

/// What a transaction asked for. A later row may match it too.
#[derive(Clone, Copy)]
enum Question {
    Id(i64),
    AtLeast(i64),
}

struct Tx {
    state: State,
    snapshot: Option<Commits>,
    questions: Vec<Question>,
    wrote: bool,
}
// ANCHOR_END: types

pub struct Engine {
    level: Level,
    clock: Commits,
    txs: Vec<Tx>,
    rows: BTreeMap<i64, Vec<Version>>,
}

impl Engine {
    pub fn new(level: Level, rows: &[(i64, i64)]) -> Engine {
        let mut engine = Engine {
            level,
            clock: 0,
            txs: Vec::new(),
            rows: BTreeMap::new(),
        };
        let setup = engine.begin();
        for &(id, value) in rows {
            engine.add(setup, id, value);
        }
        engine.end(setup, State::Committed(0));
        engine
    }

    pub fn begin(&mut self) -> TxId {
        self.txs.push(Tx {
            state: State::Active,
            snapshot: None,
            questions: Vec::new(),
            wrote: false,
        });
        TxId(self.txs.len() - 1)
    }

    // ANCHOR: visible
    /// Starts a statement: up to Read Committed each one looks anew.
    fn snapshot(&mut self, me: TxId) -> Commits {
        let (now, each) = (self.clock, self.level <= Level::ReadCommitted);
        let snapshot = &mut self.txs[me.0].snapshot;
        if each {
            *snapshot = None;
        }
        *snapshot.get_or_insert(now)
    }

    /// Does the work of `by` exist for me?
    fn sees(&self, me: TxId, by: TxId, snapshot: Commits) -> bool {
        match self.txs[by.0].state {
            _ if by == me => true,
            State::Committed(at) => at <= snapshot,
            State::Active => self.level == Level::ReadUncommitted,
            State::Aborted => false,
        }
    }

    fn visible(&self, me: TxId, version: &Version, snapshot: Commits) -> bool {
        let sees = |by| self.sees(me, by, snapshot);
        sees(version.begun_by) && !version.ended_by.is_some_and(sees)
    }
    // ANCHOR_END: visible

    pub fn read(&mut self, me: TxId, id: i64) -> Option<i64> {
        let found = self.ask(me, Question::Id(id));
        found.first().map(|(_, value)| *value)
    }

    pub fn read_at_least(&mut self, me: TxId, min: i64) -> Vec<(i64, i64)> {
        self.ask(me, Question::AtLeast(min))
    }

    fn ask(&mut self, me: TxId, question: Question) -> Vec<(i64, i64)> {
        let snapshot = self.snapshot(me);
        self.txs[me.0].questions.push(question);
        let row = |(&id, versions): (&i64, &Vec<Version>)| {
            let mut newest_first = versions.iter().rev();
            let seen = newest_first.find(|v| self.visible(me, v, snapshot))?;
            question.matches(id, seen.value).then_some((id, seen.value))
        };
        self.rows.iter().filter_map(row).collect()
    }

    // ANCHOR: write
    pub fn write(&mut self, me: TxId, id: i64, value: i64) -> Result<(), Refused> {
        let snapshot = self.snapshot(me);
        self.txs[me.0].questions.push(Question::Id(id));
        let Some(holder) = self.newest(id).map(|v| v.begun_by) else {
            return Ok(()); // no such row: nothing to change
        };
        let refused = match self.state(holder) {
            _ if holder == me => None,
            State::Active => Some(Refused::WouldWait), // its writer holds the row
            State::Committed(at) if *at > snapshot => Some(Refused::Conflict),
            _ => None, // Read Committed: the snapshot is new, nothing is newer
        };
        if let Some(why) = refused {
            self.end(me, State::Aborted);
            return Err(why);
        }
        self.add(me, id, value);
        Ok(())
    }
    // ANCHOR_END: write

    /// A key can be there once, whether or not I see it.
    pub fn insert(&mut self, me: TxId, id: i64, value: i64) -> Result<(), Refused> {
        self.snapshot(me);
        let Some(holder) = self.newest(id).map(|v| v.begun_by) else {
            self.add(me, id, value);
            return Ok(());
        };
        let is_open = holder != me && matches!(self.state(holder), State::Active);
        self.end(me, State::Aborted);
        match is_open {
            true => Err(Refused::WouldWait),
            false => Err(Refused::Conflict),
        }
    }

    /// The version that counts for writers: nobody rolled it back.
    fn newest(&self, id: i64) -> Option<&Version> {
        let mut newest_first = self.rows.get(&id)?.iter().rev();
        newest_first.find(|v| self.txs[v.begun_by.0].lives())
    }

    fn add(&mut self, me: TxId, id: i64, value: i64) {
        let versions = self.rows.entry(id).or_default();
        let mut newest_first = versions.iter_mut().rev();
        if let Some(old) = newest_first.find(|v| self.txs[v.begun_by.0].lives()) {
            old.ended_by = Some(me);
        }
        versions.push(Version {
            value,
            begun_by: me,
            ended_by: None,
        });
        self.txs[me.0].wrote = true;
    }

    // ANCHOR: commit
    pub fn commit(&mut self, me: TxId) -> Result<(), Refused> {
        if self.level == Level::Serializable && !self.still_true(me) {
            self.end(me, State::Aborted);
            return Err(Refused::Conflict);
        }
        self.clock += 1;
        self.end(me, State::Committed(self.clock));
        Ok(())
    }

    /// Would every question that led to my writes get the same answer now?
    fn still_true(&self, me: TxId) -> bool {
        let tx = &self.txs[me.0];
        let Some(snapshot) = tx.snapshot.filter(|_| tx.wrote) else {
            return true; // only read: it happened when its snapshot was taken
        };
        let since = |by| match self.state(by) {
            State::Committed(at) => *at > snapshot,
            _ => false,
        };
        self.rows.iter().all(|(&id, versions)| {
            let mut changed = versions
                .iter()
                .filter(|v| since(v.begun_by) || v.ended_by.is_some_and(since));
            let asked =
                |v: &Version| tx.questions.iter().any(|q| q.matches(id, v.value));
            !changed.any(asked)
        })
    }
    // ANCHOR_END: commit

    pub fn rollback(&mut self, me: TxId) {
        self.end(me, State::Aborted);
    }

    fn state(&self, tx: TxId) -> &State {
        &self.txs[tx.0].state
    }

    fn end(&mut self, tx: TxId, state: State) {
        self.txs[tx.0].state = state;
    }
}

impl Tx {
    /// To roll back is to set a mark; the versions stay and nobody sees them.
    fn lives(&self) -> bool {
        !matches!(self.state, State::Aborted)
    }
}

impl Question {
    fn matches(self, wanted_id: i64, value: i64) -> bool {
        match self {
            Question::Id(id) => id == wanted_id,
            Question::AtLeast(min) => value >= min,
        }
    }
}
