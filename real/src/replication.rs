//! PostgreSQL's streaming replication: what an answered write is worth, asked of a
//! real primary and a real replica.
//!
//! The two are cut from each other by pointing the replica at a port where nobody
//! listens, and the replica's replay is paused by PostgreSQL's own function: so a
//! scene does not depend on who is quicker.
//!
//! May know of `postgres`; prints nothing.

use crate::postgres::Postgres;
use crate::wait_until;
use anyhow::{bail, ensure, Context, Result};
use postgres::Client;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The replica's name in `synchronous_standby_names`.
const REPLICA: &str = "second";
/// How many looks in a row, some milliseconds apart, must find a write waiting.
const LOOKS: u32 = 20;
/// How long a state may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);

/// When a commit is answered: a value of `synchronous_commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The primary has flushed it: asynchronous replication.
    Local,
    /// The replica has handed it to its operating system.
    RemoteWrite,
    /// The replica has flushed it, the default where a synchronous replica is named.
    On,
    /// The replica has applied it, so that a read there finds it.
    RemoteApply,
}

impl Level {
    /// All of them, weakest first.
    pub const ALL: [Level; 4] =
        [Level::Local, Level::RemoteWrite, Level::On, Level::RemoteApply];

    /// As PostgreSQL writes it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Local => "local",
            Level::RemoteWrite => "remote_write",
            Level::On => "on",
            Level::RemoteApply => "remote_apply",
        }
    }
}

/// What became of a write within its scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The client was told that it is committed.
    Acknowledged,
    /// The client waits: the server says that it waits for a replica.
    Waits,
}

/// A write that was begun.
pub struct Write {
    /// What had become of it when it was looked at.
    pub answer: Answer,
    writer: JoinHandle<Result<()>>,
}

impl Write {
    /// Waits until it is answered.
    ///
    /// # Errors
    /// When it is refused, or its connection breaks.
    pub fn finish(self) -> Result<()> {
        match self.writer.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("the writer panicked"),
        }
    }
}

/// A primary and a replica of it.
pub struct Pair {
    primary: Postgres,
    replica: Postgres,
}

impl Pair {
    /// Starts both, with the replica named as synchronous and an empty table `orders`
    /// on both.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start() -> Result<Pair> {
        let synchronous = format!("synchronous_standby_names={REPLICA}");
        let primary = Postgres::start(&[&synchronous])?;
        session(&primary, Level::Local)?
            .batch_execute("create table orders(id int primary key)")?;
        let replica = Postgres::replica(&primary, REPLICA, &[])?;
        let pair = Pair { primary, replica };
        pair.wait_for_sync()?;
        Ok(pair)
    }

    /// Writes the orders `ids`, each a transaction of its own, and waits for each
    /// answer.
    ///
    /// # Errors
    /// When one is refused.
    pub fn write(
        &self,
        level: Level,
        ids: impl IntoIterator<Item = i32>,
    ) -> Result<()> {
        let mut client = session(&self.primary, level)?;
        for id in ids {
            insert(&mut client, id)?;
        }
        Ok(())
    }

    /// Begins to write order `id` and looks whether that is answered, or waits for the
    /// replica.
    ///
    /// # Errors
    /// When neither happens in time.
    pub fn begin(&self, level: Level, id: i32) -> Result<Write> {
        let mut client = session(&self.primary, level)?;
        let process: i32 = client.query_one("select pg_backend_pid()", &[])?.get(0);
        let writer = thread::spawn(move || insert(&mut client, id));
        let mut watcher = self.primary.connect("watcher")?;
        // A synchronous write waits for a moment even when all is well. This one waits
        // in earnest if the replica is gone or has flushed all there is.
        let mut looks = 0;
        let mut waits = false;
        wait_until(PATIENCE, || {
            let stuck = waits_for_replica(&mut watcher, process).unwrap_or(false);
            looks = if stuck { looks + 1 } else { 0 };
            waits = looks >= LOOKS;
            waits || writer.is_finished()
        });
        let answer = if writer.is_finished() {
            Answer::Acknowledged
        } else {
            ensure!(waits, "order {id} is neither answered nor waits");
            Answer::Waits
        };
        Ok(Write { answer, writer })
    }

    /// Cancels every write that waits for the replica, as an impatient client does.
    ///
    /// # Errors
    /// When the primary does not answer.
    pub fn cancel_waiting(&self) -> Result<()> {
        let mut client = self.primary.connect("impatient")?;
        client.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity \
             where wait_event = 'SyncRep'",
            &[],
        )?;
        Ok(())
    }

    /// Cuts the replica off.
    ///
    /// # Errors
    /// When the primary still sees it after a while.
    pub fn cut(&self) -> Result<()> {
        self.point_replica_at("host=127.0.0.1 port=1")?;
        let mut client = self.primary.connect("watcher")?;
        let gone = wait_until(PATIENCE, || {
            client
                .query("select from pg_stat_replication", &[])
                .is_ok_and(|rows| rows.is_empty())
        });
        ensure!(gone, "the replica is still connected");
        Ok(())
    }

    /// Ends the cut and waits until the replica is synchronous again.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn mend(&self) -> Result<()> {
        let addr = self.primary.addr();
        self.point_replica_at(&format!(
            "host={} port={} user=reader application_name={REPLICA}",
            addr.ip(),
            addr.port()
        ))?;
        self.wait_for_sync()
    }

    /// The replica goes on receiving and flushing, and applies nothing.
    ///
    /// # Errors
    /// When it does not pause.
    pub fn pause_replay(&self) -> Result<()> {
        let mut client = self.replica.connect("operator")?;
        client.batch_execute("select pg_wal_replay_pause()")?;
        let paused = wait_until(PATIENCE, || {
            let state = "select pg_get_wal_replay_pause_state()";
            client
                .query_one(state, &[])
                .is_ok_and(|row| row.get::<_, String>(0) == "paused")
        });
        ensure!(paused, "replay goes on");
        Ok(())
    }

    /// The replica applies what it has, and goes on.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn resume_replay(&self) -> Result<()> {
        let mut client = self.replica.connect("operator")?;
        Ok(client.batch_execute("select pg_wal_replay_resume()")?)
    }

    /// Whether a read of the replica finds order `id`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn replica_has(&self, id: i32) -> Result<bool> {
        has(&mut self.replica.connect("reader")?, id)
    }

    /// Whether a read of the primary finds order `id`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn primary_has(&self, id: i32) -> Result<bool> {
        has(&mut self.primary.connect("reader")?, id)
    }

    /// The position in the log up to which the primary has written: what a client
    /// takes along to a replica.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn position(&self) -> Result<String> {
        let mut client = self.primary.connect("reader")?;
        let row = client.query_one("select pg_current_wal_lsn()::text", &[])?;
        Ok(row.get(0))
    }

    /// Waits until the replica has applied the log up to `position`; returns how long
    /// that took.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_for(&self, position: &str) -> Result<Duration> {
        let mut client = self.replica.connect("reader")?;
        let start = Instant::now();
        let query =
            format!("select pg_last_wal_replay_lsn() >= '{position}'::pg_lsn");
        let applied = wait_until(PATIENCE, || {
            client.query_one(&query, &[]).is_ok_and(|row| row.get(0))
        });
        ensure!(applied, "the replica never applied {position}");
        Ok(start.elapsed())
    }

    /// Kills the primary, promotes the replica and waits until it takes a write.
    ///
    /// # Errors
    /// When it does not become a primary.
    pub fn fail_over(mut self) -> Result<Promoted> {
        let start = Instant::now();
        self.primary.server().kill();
        let mut client = self.replica.connect("operator")?;
        client.batch_execute("select pg_promote()")?;
        client.batch_execute("set synchronous_commit = local")?;
        insert(&mut client, i32::MAX)?;
        Ok(Promoted {
            old: self.primary,
            new: self.replica,
            within: start.elapsed(),
        })
    }

    /// Commits `commits` transactions of a hundred rows each, and looks after each how
    /// far behind the replica is.
    ///
    /// # Errors
    /// When one of the two does not answer.
    pub fn load(&self, level: Level, commits: u32) -> Result<Load> {
        let mut client = session(&self.primary, level)?;
        client.batch_execute("create table if not exists load(padding text)")?;
        let mut watcher = self.primary.connect("watcher")?;
        let (mut committing, mut worst) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..commits {
            let start = Instant::now();
            client.batch_execute(
                "insert into load \
                 select repeat('x', 200) from generate_series(1, 100)",
            )?;
            committing += start.elapsed();
            let row = watcher.query_one(
                "select coalesce(extract(epoch from replay_lag), 0)::float8 \
                 from pg_stat_replication",
                &[],
            )?;
            worst =
                worst.max(Duration::from_secs_f64(row.get::<_, f64>(0).max(0.0)));
        }
        let position = self.position()?;
        let after_the_last = self.wait_for(&position)?;
        Ok(Load { committing, worst, after_the_last })
    }

    fn point_replica_at(&self, conninfo: &str) -> Result<()> {
        let mut client = self.replica.connect("operator")?;
        client.batch_execute(&format!(
            "alter system set primary_conninfo = '{conninfo}'"
        ))?;
        Ok(client.batch_execute("select pg_reload_conf()")?)
    }

    fn wait_for_sync(&self) -> Result<()> {
        let mut client = self.primary.connect("watcher")?;
        let state = "select from pg_stat_replication \
                     where sync_state = 'sync' and state = 'streaming'";
        let is_sync = wait_until(PATIENCE, || {
            client.query(state, &[]).is_ok_and(|rows| rows.len() == 1)
        });
        ensure!(is_sync, "the replica does not become synchronous");
        Ok(())
    }
}

/// A primary under load, as its own statistics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How long the commits took, one after the other.
    pub committing: Duration,
    /// The largest `replay_lag` that the primary reported.
    pub worst: Duration,
    /// How long after the last answer the replica had applied everything.
    pub after_the_last: Duration,
}

/// After a failover: the dead primary and the replica that took its place.
pub struct Promoted {
    old: Postgres,
    new: Postgres,
    /// From the kill to the first write that the new primary took.
    pub within: Duration,
}

impl Promoted {
    /// How many of the orders `ids` the new primary has.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn kept(&self, ids: impl IntoIterator<Item = i32>) -> Result<usize> {
        let mut client = self.new.connect("reader")?;
        let mut kept = 0;
        for id in ids {
            kept += usize::from(has(&mut client, id)?);
        }
        Ok(kept)
    }

    /// Starts the dead primary again. Returns whether it takes a write, and the two
    /// timelines: the old primary's and the new one's.
    ///
    /// # Errors
    /// When it does not start.
    pub fn old_comes_back(&mut self) -> Result<(bool, [i32; 2])> {
        self.old.server().restart()?;
        let mut client = session(&self.old, Level::Local)?;
        let takes_a_write = insert(&mut client, i32::MAX - 1).is_ok();
        let mut timelines = [0; 2];
        for (timeline, server) in timelines.iter_mut().zip([&self.old, &self.new]) {
            let mut client = server.connect("operator")?;
            client.batch_execute("checkpoint")?;
            let row = client
                .query_one("select timeline_id from pg_control_checkpoint()", &[])?;
            *timeline = row.get(0);
        }
        Ok((takes_a_write, timelines))
    }
}

fn session(server: &Postgres, level: Level) -> Result<Client> {
    let mut client = server.connect("writer")?;
    client.batch_execute(&format!("set synchronous_commit = {}", level.name()))?;
    Ok(client)
}

fn insert(client: &mut Client, id: i32) -> Result<()> {
    client
        .execute("insert into orders values ($1)", &[&id])
        .with_context(|| format!("order {id}"))?;
    Ok(())
}

fn has(client: &mut Client, id: i32) -> Result<bool> {
    let query = "select exists (select from orders where id = $1)";
    Ok(client.query_one(query, &[&id])?.get(0))
}

fn waits_for_replica(client: &mut Client, process: i32) -> Result<bool> {
    let query = "select from pg_stat_activity \
                 where pid = $1 and wait_event = 'SyncRep' \
                 and not exists (select from pg_stat_replication \
                 where flush_lsn < pg_current_wal_flush_lsn())";
    Ok(!client.query(query, &[&process])?.is_empty())
}
