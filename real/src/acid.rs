//! The ACID chapter's interleavings on PostgreSQL, at each of its isolation levels.
//!
//! The scripts and their judge are the chapter's own file,
//! `examples/acid_anomalies/scripts.rs`; here they only get another database.
//!
//! May know of `postgres` and of that file; prints nothing.

use crate::postgres::Postgres;
use anyhow::{Context, Result};
use postgres::error::SqlState;
use postgres::Client;
use scripts::{
    judge, run, Database, Outcome, Refusal, Session, Step, Verdict, SCRIPTS,
};

#[allow(missing_docs)]
#[rustfmt::skip]
#[path = "../../examples/acid_anomalies/scripts.rs"]
pub mod scripts;

/// PostgreSQL's isolation levels, weakest first.
pub const LEVELS: [&str; 4] =
    ["read uncommitted", "read committed", "repeatable read", "serializable"];

/// How long a write may wait for another transaction, in PostgreSQL's words. The
/// other one never ends before that: the scripts run one step at a time.
const LOCK_TIMEOUT: &str = "200ms";

/// The chapter's table on a server, and its two sessions.
pub struct Sessions {
    level: &'static str,
    admin: Client,
    clients: [Client; 2],
}

impl Sessions {
    /// Connects both sessions. Each of their transactions has this isolation level.
    ///
    /// # Errors
    /// When the server refuses a connection.
    pub fn connect(server: &Postgres, level: &'static str) -> Result<Sessions> {
        let mut admin = server.connect("admin")?;
        admin.batch_execute(
            "create table if not exists t(id int8 primary key, value int8)",
        )?;
        let clients = [session(server, "A")?, session(server, "B")?];
        Ok(Sessions { level, admin, clients })
    }
}

fn session(server: &Postgres, name: &str) -> Result<Client> {
    let mut client = server.connect(name)?;
    client.batch_execute(&format!("set lock_timeout = '{LOCK_TIMEOUT}'"))?;
    Ok(client)
}

impl Database for Sessions {
    type Error = anyhow::Error;

    fn reset(&mut self, rows: &[(i64, i64)]) -> Result<()> {
        for client in &mut self.clients {
            client.batch_execute("rollback")?;
        }
        self.admin.batch_execute("truncate t")?;
        for (id, value) in rows {
            self.admin.execute("insert into t values ($1, $2)", &[id, value])?;
        }
        Ok(())
    }

    fn step(&mut self, who: Session, step: Step) -> Result<Outcome> {
        let client = &mut self.clients[who as usize];
        match execute(client, self.level, step) {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                let refusal = refusal(&error)
                    .with_context(|| format!("{who:?} {step:?}: {error}"))?;
                client.batch_execute("rollback")?;
                Ok(Outcome::Refused(refusal))
            }
        }
    }

    fn rows(&mut self) -> Result<Vec<(i64, i64)>> {
        let rows = self.admin.query("select id, value from t order by id", &[])?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

fn execute(
    client: &mut Client,
    level: &str,
    step: Step,
) -> Result<Outcome, postgres::Error> {
    match step {
        Step::Read(id) => {
            let row =
                client.query_opt("select value from t where id = $1", &[&id])?;
            return Ok(Outcome::Value(row.map(|row| row.get(0))));
        }
        Step::ReadAtLeast(min) => {
            let query = "select id, value from t where value >= $1 order by id";
            let rows = client.query(query, &[&min])?;
            let rows = rows.iter().map(|row| (row.get(0), row.get(1)));
            return Ok(Outcome::Rows(rows.collect()));
        }
        Step::Write(id, value) => {
            client
                .execute("update t set value = $2 where id = $1", &[&id, &value])?;
        }
        Step::WriteReadPlus(..) => unreachable!("it arrives as a Write"),
        Step::Insert(id, value) => {
            client.execute("insert into t values ($1, $2)", &[&id, &value])?;
        }
        Step::Begin => {
            client.batch_execute(&format!("begin isolation level {level}"))?;
        }
        Step::Commit => client.batch_execute("commit")?,
        Step::Rollback => client.batch_execute("rollback")?,
    }
    Ok(Outcome::Done)
}

/// What a transaction that was refused has to be told; `None` for any other error.
fn refusal(error: &postgres::Error) -> Option<Refusal> {
    match *error.code()? {
        SqlState::T_R_SERIALIZATION_FAILURE => Some(Refusal::Conflict),
        SqlState::LOCK_NOT_AVAILABLE | SqlState::T_R_DEADLOCK_DETECTED => {
            Some(Refusal::WouldWait)
        }
        _ => None,
    }
}

/// Runs every script at every level: a row a script, a column a level.
///
/// # Errors
/// When the server answers a step with an error that is no refusal.
pub fn verdicts(server: &Postgres) -> Result<Vec<Vec<Verdict>>> {
    let mut sessions = LEVELS
        .iter()
        .map(|level| Sessions::connect(server, level))
        .collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for script in &SCRIPTS {
        let mut row = Vec::new();
        for sessions in &mut sessions {
            row.push(judge(&run(sessions, script.rows, script.steps)?));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The verdicts of the chapter's own engine, from its recorded run: a script's name
/// and the words of its row.
///
/// # Errors
/// When the recorded run has no table.
pub fn ours() -> Result<Vec<(&'static str, Vec<&'static str>)>> {
    let table = include_str!("../../examples/acid_anomalies.out");
    SCRIPTS
        .iter()
        .map(|script| {
            let row = table.lines().find_map(|line| line.strip_prefix(script.name));
            let row = row.with_context(|| format!("no row {}", script.name))?;
            // "write skew" begins like "write skew, inserts", which stands below it.
            Ok((script.name, row.split_whitespace().collect()))
        })
        .collect()
}
