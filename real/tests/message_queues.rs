//! What the chapter says of a real broker: what is lost and what is done twice.

use anyhow::{ensure, Result};
use real::message_queues::scenes::*;
use real::nats::{DiscardPolicy, Nats};
use real::program::{skip_if_missing, NATS};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The chapter's program, which plays the consumers.
const PROGRAM: &str = env!("CARGO_BIN_EXE_message_queues");
const PATIENCE: Duration = Duration::from_secs(30);

/// [`MESSAGES`] amounts, each taken once.
const ALL: i64 = MESSAGES as i64 * AMOUNT;

fn program() -> &'static Path {
    Path::new(PROGRAM)
}

/// The same deliveries, without their order: which of message 2's second delivery
/// and message 3 comes first depends on how soon a consumer is started again.
fn sorted(outcome: &Outcome) -> Vec<(u64, u64)> {
    let mut deliveries = outcome.deliveries.clone();
    deliveries.sort_unstable();
    deliveries
}

const SECOND_TWICE: [(u64, u64); 4] = [(1, 1), (2, 1), (2, 2), (3, 1)];
const EACH_ONCE: [(u64, u64); 3] = [(1, 1), (2, 1), (3, 1)];

#[test]
fn a_death_between_effect_and_ack_doubles_the_effect_of_a_naive_consumer(
) -> Result<()> {
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let outcome = consumer_dies(&nats, program(), AFTER_NAIVE)?;
    assert_eq!(
        (&sorted(&outcome)[..], outcome.balance),
        (&SECOND_TWICE[..], ALL + AMOUNT)
    );
    Ok(())
}

#[test]
fn an_idempotent_consumer_gets_the_message_twice_and_does_it_once() -> Result<()> {
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let outcome = consumer_dies(&nats, program(), AFTER_IDEMPOTENT)?;
    assert_eq!((&sorted(&outcome)[..], outcome.balance), (&SECOND_TWICE[..], ALL));
    Ok(())
}

#[test]
fn with_one_message_at_a_time_none_overtakes_the_one_that_comes_again() -> Result<()>
{
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let outcome = consumer_dies(&nats, program(), AFTER_IN_ORDER)?;
    assert_eq!((&outcome.deliveries[..], outcome.balance), (&SECOND_TWICE[..], ALL));
    Ok(())
}

#[test]
fn a_death_before_the_effect_loses_nothing_when_the_ack_comes_last() -> Result<()> {
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let outcome = consumer_dies(&nats, program(), BEFORE)?;
    assert_eq!((&sorted(&outcome)[..], outcome.balance), (&SECOND_TWICE[..], ALL));
    Ok(())
}

#[test]
fn a_death_before_the_effect_loses_it_when_the_ack_comes_first_or_never(
) -> Result<()> {
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    for death in [BEFORE_ACKED, BEFORE_NO_ACK] {
        let outcome = consumer_dies(&nats, program(), death)?;
        assert_eq!(
            (&outcome.deliveries[..], outcome.balance),
            (&EACH_ONCE[..], ALL - AMOUNT),
            "{}",
            death.stream
        );
    }
    Ok(())
}

#[test]
fn a_killed_broker_keeps_what_it_acknowledged_and_knows_a_repetition() -> Result<()>
{
    let Some(restart) = skip_if_missing(broker_dies(200, 0))? else { return Ok(()) };
    assert_eq!((restart.acknowledged, restart.kept), (200, 200));
    assert!(restart.knew_the_repetition);
    Ok(())
}

#[test]
fn a_killed_broker_can_forget_acks_that_it_has_confirmed() -> Result<()> {
    // It writes them down about ten times a second: whether one that was confirmed
    // is on file depends on the moment.
    for _ in 0..10 {
        let Some(restart) = skip_if_missing(broker_dies(10, 5))? else {
            return Ok(());
        };
        if restart.delivered_again > 0 {
            return Ok(());
        }
    }
    panic!("no confirmed acknowledgement was forgotten in ten deaths");
}

#[test]
fn a_repeated_publish_is_stored_once_within_the_window_and_twice_after_it(
) -> Result<()> {
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let repeated = publish_is_repeated(&nats, program())?;
    assert_eq!((repeated.stored_within, repeated.stored_after), (1, 2));
    // The consumer that remembers the producer's name for it is not harmed.
    assert_eq!(repeated.balance, AMOUNT);
    Ok(())
}

#[test]
fn a_poison_message_is_given_up_announced_and_left_where_it_is() -> Result<()> {
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let poison = poison(&nats, program())?;
    assert_eq!(poison.times[1], DELIVERIES_MAX as usize);
    assert_eq!(poison.deaths, DELIVERIES_MAX as usize);
    assert_eq!(poison.balance, 2 * AMOUNT, "the others go on");
    assert_eq!(poison.advisory, (2, DELIVERIES_MAX as u64));
    assert_eq!((poison.still_stored, poison.dead_letter.as_str()), (3, "ten"));
    Ok(())
}

#[test]
fn a_consumer_with_too_many_unacknowledged_messages_is_given_no_more() -> Result<()>
{
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let slow = slow_consumer(&nats)?;
    assert_eq!((slow.stored, slow.at_first, slow.after_one_ack), (5, 2, 1));
    Ok(())
}

#[test]
fn a_full_stream_drops_its_oldest_message_unless_it_is_told_to_refuse() -> Result<()>
{
    let Some(nats) = skip_if_missing(Nats::start())? else { return Ok(()) };
    let old = full_stream(&nats, DiscardPolicy::Old)?;
    assert_eq!((old.refusal, old.stored, old.first_is_there), (None, 3, false));
    let new = full_stream(&nats, DiscardPolicy::New)?;
    let words = new.refusal.unwrap_or_default();
    assert!(words.contains("maximum messages exceeded"), "{words}");
    assert_eq!((new.stored, new.first_is_there), (3, true));
    Ok(())
}

/// Living processes whose command line names `folder` and holds `word`.
fn living_in(folder: &Path, word: &str) -> Result<usize> {
    let ps = Command::new("ps").args(["-A", "-ww", "-o", "stat=,args="]).output()?;
    let folder = folder.display().to_string();
    Ok(String::from_utf8_lossy(&ps.stdout)
        .lines()
        .filter(|line| line.contains(&folder) && line.contains(word))
        .filter(|line| !line.starts_with('Z'))
        .count())
}

#[test]
fn a_killed_program_leaves_no_consumer_no_broker_and_no_file() -> Result<()> {
    if skip_if_missing(NATS.path().map_err(Into::into))?.is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut victim = Command::new(PROGRAM)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()?;
    // In a scene of one thread, whose folders all have their guards by now.
    let living = || living_in(folder.path(), "");
    let busy = real::wait_until(PATIENCE, || {
        living_in(folder.path(), "POISON").is_ok_and(|n| n > 0)
    });
    victim.kill()?; // SIGKILL: it has no chance to clean up
    victim.wait()?;
    ensure!(busy, "it never had a broker and a consumer");
    let gone = real::wait_until(PATIENCE, || {
        living().is_ok_and(|n| n == 0)
            && fs::read_dir(folder.path())
                .is_ok_and(|mut left| left.next().is_none())
    });
    ensure!(gone, "{} processes are left", living()?);
    Ok(())
}
