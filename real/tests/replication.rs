//! What the chapter says of PostgreSQL's replication.

use anyhow::{ensure, Result};
use real::program::skip_if_missing;
use real::replication::{Answer, Level, Pair};

#[test]
fn async_loses_answered_writes_at_failover_and_sync_loses_none() -> Result<()> {
    let Some(pair) = skip_if_missing(Pair::start())? else { return Ok(()) };
    pair.write(Level::On, 0..20)?;
    pair.cut()?;
    pair.write(Level::Local, 20..30)?;
    let waiting = pair.begin(Level::On, 30)?;
    ensure!(waiting.answer == Answer::Waits);
    let promoted = pair.fail_over()?;
    ensure!(promoted.kept(0..20)? == 20, "a synchronous write is lost");
    ensure!(promoted.kept(20..30)? == 0, "an asynchronous write crossed the cut");
    ensure!(promoted.kept([30])? == 0);
    ensure!(waiting.finish().is_err(), "the lost write was answered");
    Ok(())
}

#[test]
fn an_answer_promises_a_read_on_the_replica_only_with_remote_apply() -> Result<()> {
    let Some(pair) = skip_if_missing(Pair::start())? else { return Ok(()) };
    pair.pause_replay()?;
    let flushed = pair.begin(Level::On, 1)?;
    ensure!(flushed.answer == Answer::Acknowledged);
    ensure!(!pair.replica_has(1)?, "replay is paused");
    let applied = pair.begin(Level::RemoteApply, 2)?;
    ensure!(applied.answer == Answer::Waits);
    pair.resume_replay()?;
    applied.finish()?;
    ensure!(pair.replica_has(1)? && pair.replica_has(2)?);
    Ok(())
}

#[test]
fn a_cancelled_wait_is_answered_and_lost() -> Result<()> {
    let Some(pair) = skip_if_missing(Pair::start())? else { return Ok(()) };
    pair.cut()?;
    let write = pair.begin(Level::On, 1)?;
    ensure!(write.answer == Answer::Waits);
    pair.cancel_waiting()?;
    write.finish()?;
    ensure!(pair.primary_has(1)?, "it is committed on the primary");
    ensure!(pair.fail_over()?.kept([1])? == 0, "it was never replicated");
    Ok(())
}
