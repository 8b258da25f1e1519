//! NATS JetStream: what is lost and what is done twice when a consumer, the broker
//! or a message is the one that fails.
//!
//! Look at the six deaths of a consumer. The broker does the same in the first two:
//! it delivers message 2 again, because it was not acknowledged. What makes them
//! differ is whether the consumer remembers what it has done. Then look at the last
//! line of the broker's death: it keeps what it acknowledged, and may forget what was
//! acknowledged to it; how much depends on the moment.
//!
//! Simplified: one broker without replicas, and SIGKILL, which takes a process and
//! leaves the operating system's memory: it is no power cut.

use anyhow::{bail, Context, Result};
use real::machine;
use real::message_queues::consumer::{consume, Ack, Effect, Stop};
use real::message_queues::scenes::*;
use real::message_queues::CONSUME;
use real::nats::{DiscardPolicy, Nats};
use real::program::NATS;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

/// Publishes before the broker dies, and acknowledgements among them.
const PUBLISHES: u64 = 200;
const ACKS: u64 = 50;

const DEATHS: [Death; 6] = [
    AFTER_NAIVE,
    AFTER_IDEMPOTENT,
    AFTER_IN_ORDER,
    BEFORE,
    BEFORE_ACKED,
    BEFORE_NO_ACK,
];

fn line(label: &str, value: impl std::fmt::Display) {
    println!("  {label:<40}{value}");
}

fn how(death: Death) -> &'static str {
    match (death.plan.stop, death.plan.ack, death.plan.effect) {
        (Stop::AfterEffect, _, Effect::Naive) => "after the effect, naive",
        (Stop::AfterEffect, ..) if death.one_at_a_time => "  one at a time",
        (Stop::AfterEffect, ..) => "  idempotent",
        (_, Ack::AfterEffect, _) => "before the effect",
        (_, Ack::BeforeEffect, _) => "  acknowledged first",
        (_, Ack::Never, _) => "  no acknowledgements",
    }
}

/// All at once, each with a stream of its own: most of a death is waiting.
fn deaths(nats: &Nats, program: &Path) -> Result<()> {
    println!(
        "a consumer is killed at message 2 of {MESSAGES} (2/1: its delivery 1):"
    );
    let outcomes = thread::scope(|scope| {
        let dying = DEATHS
            .map(|death| scope.spawn(move || consumer_dies(nats, program, death)));
        dying.map(|thread| thread.join())
    });
    for (death, outcome) in DEATHS.into_iter().zip(outcomes) {
        let Ok(outcome) = outcome else { bail!("a scene panicked") };
        let outcome = outcome.context(death.stream)?;
        let deliveries: Vec<String> = outcome
            .deliveries
            .iter()
            .map(|(n, time)| format!("{n}/{time}"))
            .collect();
        let verdict = match outcome.balance - MESSAGES as i64 * AMOUNT {
            0 => "",
            1.. => "one too many",
            ..0 => "one is lost",
        };
        let text = format!(
            "  {:<26}{:<19}balance {:<4}{verdict}",
            how(death),
            deliveries.join(" "),
            outcome.balance
        );
        println!("{}", text.trim_end());
    }
    Ok(())
}

fn broker() -> Result<()> {
    println!("\nthe broker is killed and started again:");
    let restart = broker_dies(PUBLISHES, ACKS)?;
    line(
        "publishes it had acknowledged, kept",
        format!("{}, {}", restart.acknowledged, restart.kept),
    );
    line(
        "one repeated with its Nats-Msg-Id",
        if restart.knew_the_repetition { "a duplicate" } else { "stored twice" },
    );
    line(
        "acks it had confirmed, delivered again",
        format!("{}, ~{}", restart.confirmed, restart.delivered_again),
    );
    Ok(())
}

fn repetition(nats: &Nats, program: &Path) -> Result<()> {
    println!("\na publish is repeated with the same Nats-Msg-Id:");
    let repeated = publish_is_repeated(nats, program)?;
    let Repeated { stored_within, stored_after, balance } = repeated;
    line(
        "stored within, after the window",
        format!("{stored_within}, {stored_after}"),
    );
    line("  idempotent by that id", format!("balance {balance}"));
    Ok(())
}

fn bad_message(nats: &Nats, program: &Path) -> Result<()> {
    println!("\nmessage 2 of 3 is \"ten\", max_deliver {DELIVERIES_MAX}:");
    let poison = poison(nats, program)?;
    line("consumers that it ended", poison.deaths);
    let times: Vec<String> = poison.times.iter().map(usize::to_string).collect();
    line("deliveries of messages 1, 2, 3", times.join(", "));
    let (sequence, deliveries) = poison.advisory;
    line("advisory", format!("message {sequence}, {deliveries} deliveries"));
    line("still in its stream", format!("{} messages", poison.still_stored));
    line("in our dead-letter stream", format!("{:?}", poison.dead_letter));
    Ok(())
}

fn pressure(nats: &Nats) -> Result<()> {
    println!("\nmore than it can take:");
    let slow = slow_consumer(nats)?;
    line(
        "max_ack_pending 2, of 5: delivered",
        format!("{}, and {} after an ack", slow.at_first, slow.after_one_ack),
    );
    for (label, discard) in [
        ("max_msgs 3, discard old: the 4th is", DiscardPolicy::Old),
        ("max_msgs 3, discard new: the 4th is", DiscardPolicy::New),
    ] {
        let full = full_stream(nats, discard)?;
        let taken = if full.refusal.is_some() { "refused" } else { "acknowledged" };
        let first = if full.first_is_there { "" } else { ", the 1st is gone" };
        line(label, format!("{taken}{first}"));
    }
    Ok(())
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|role| role == CONSUME) {
        return consume(&args[1..]);
    }
    println!("{}\n", machine::measured_on(&[NATS])?);
    let program = std::env::current_exe().context("find this program")?;
    let nats = Nats::start()?;
    deaths(&nats, &program)?;
    broker()?;
    repetition(&nats, &program)?;
    bad_message(&nats, &program)?;
    pressure(&nats)
}

fn main() -> ExitCode {
    real::exit_code(run())
}
