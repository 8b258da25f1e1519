//! The PostgreSQL that the chapters ask: it starts as whoever runs this, root too,
//! and a replica of it has what it has.

use anyhow::{ensure, Context, Result};
use real::postgres::Postgres;
use real::program::skip_if_missing;
use std::time::Duration;

#[test]
fn a_replica_has_what_was_written_before_and_after_it_started() -> Result<()> {
    let Some(primary) = skip_if_missing(Postgres::start(&["fsync=off"]))? else {
        return Ok(());
    };
    let mut writer = primary.connect("writer")?;
    writer.batch_execute("create table t(id int); insert into t values (1)")?;
    let replica = Postgres::replica(&primary, "second", &["fsync=off"])?;
    writer.batch_execute("insert into t values (2)")?;

    let mut reader = replica.connect("reader")?;
    let mut rows = || -> Result<i64> {
        Ok(reader.query_one("select count(*) from t", &[])?.get(0))
    };
    let caught_up =
        real::wait_until(Duration::from_secs(10), || rows().is_ok_and(|n| n == 2));
    ensure!(caught_up, "the replica has {} rows", rows()?);

    let refused = reader.batch_execute("insert into t values (3)");
    let refused = refused.err().context("a replica takes no writes")?;
    ensure!(refused
        .as_db_error()
        .is_some_and(|e| e.message().contains("read-only")));
    Ok(())
}

#[test]
fn a_committed_row_survives_the_kill_of_every_process() -> Result<()> {
    let Some(mut server) = skip_if_missing(Postgres::start(&[]))? else {
        return Ok(());
    };
    server.connect("writer")?.batch_execute("create table t(id int)")?;
    server.server().kill();
    ensure!(server.connect("reader").is_err(), "a killed server answers");
    server.server().restart()?;
    server.connect("reader")?.batch_execute("select * from t")?;
    Ok(())
}
