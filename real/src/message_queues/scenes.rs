//! What is done to a broker and its consumers, and what came of it.

use super::consumer::{Ack, Consumers, Effect, Plan, Stop, NAME};
use crate::nats::{
    AckPolicy, Client, ConsumerConfig, DiscardPolicy, Nats, StreamConfig,
};
use anyhow::{ensure, Context, Result};
use std::path::Path;
use std::time::Duration;

/// How long the broker waits for an acknowledgement before it delivers again.
/// Longer than a consumer takes to start, so that the second one is there in time
/// for the messages behind the one that killed the first.
pub const ACK_WAIT: Duration = Duration::from_secs(2);
/// The amount in each message.
pub const AMOUNT: i64 = 10;
/// How many messages a consumer is killed among.
pub const MESSAGES: u64 = 3;
/// How long a question waits whose answer is to be "nothing".
const NOTHING_WITHIN: Duration = Duration::from_millis(500);
/// How long the broker may take to come to a state.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of this name with a durable consumer.
fn queue(
    client: &Client,
    stream: &StreamConfig,
    consumer: &ConsumerConfig,
) -> Result<()> {
    let name = &stream.name;
    client.create_stream(StreamConfig {
        subjects: vec![name.clone()],
        ..stream.clone()
    })?;
    client.create_consumer(
        name,
        ConsumerConfig { durable_name: Some(NAME.into()), ..consumer.clone() },
    )?;
    Ok(())
}

fn named(name: &str) -> StreamConfig {
    StreamConfig { name: name.to_owned(), ..StreamConfig::default() }
}

fn explicit() -> ConsumerConfig {
    ConsumerConfig {
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        ..ConsumerConfig::default()
    }
}

/// Where a consumer is killed, and how it works.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// The stream's name.
    pub stream: &'static str,
    /// What the first consumer does until it is killed; the second one does the
    /// same and is not.
    pub plan: Plan,
    /// Whether a message is delivered while another is unacknowledged.
    pub one_at_a_time: bool,
}

const fn death(
    stream: &'static str,
    effect: Effect,
    ack: Ack,
    stop: Stop,
    one_at_a_time: bool,
) -> Death {
    Death { stream, plan: Plan { effect, ack, stop }, one_at_a_time }
}

/// What a consumer does that nobody kills.
const WORKS: Plan =
    Plan { effect: Effect::Idempotent, ack: Ack::AfterEffect, stop: Stop::Nowhere };

/// Killed with the effect done and the broker not told.
pub const AFTER_NAIVE: Death =
    death("AFTER_NAIVE", Effect::Naive, Ack::AfterEffect, Stop::AfterEffect, false);
/// The same, with a consumer that remembers.
pub const AFTER_IDEMPOTENT: Death = death(
    "AFTER_IDEMPOTENT",
    Effect::Idempotent,
    Ack::AfterEffect,
    Stop::AfterEffect,
    false,
);
/// The same, and no message overtakes another.
pub const AFTER_IN_ORDER: Death = death(
    "AFTER_IN_ORDER",
    Effect::Idempotent,
    Ack::AfterEffect,
    Stop::AfterEffect,
    true,
);
/// Killed with the message in its hands and nothing done.
pub const BEFORE: Death =
    death("BEFORE", Effect::Naive, Ack::AfterEffect, Stop::BeforeEffect, false);
/// The same, after it has told the broker that all is done.
pub const BEFORE_ACKED: Death = death(
    "BEFORE_ACKED",
    Effect::Naive,
    Ack::BeforeEffect,
    Stop::BeforeEffect,
    false,
);
/// The same, with a broker that does not want to be told.
pub const BEFORE_NO_ACK: Death =
    death("BEFORE_NO_ACK", Effect::Naive, Ack::Never, Stop::BeforeEffect, false);

/// What came of a death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Sequence and delivery of each message that was delivered, in order.
    pub deliveries: Vec<(u64, u64)>,
    /// The account when the broker had nothing more to deliver.
    pub balance: i64,
}

/// [`MESSAGES`] messages; the consumer is killed at the second; another one works
/// until the broker has nothing more for it.
///
/// # Errors
/// When the broker or a consumer does not do its part.
pub fn consumer_dies(nats: &Nats, program: &Path, death: Death) -> Result<Outcome> {
    let client = nats.connect()?;
    let mut consumer = explicit();
    if death.one_at_a_time {
        consumer.max_ack_pending = 1;
    }
    if death.plan.ack == Ack::Never {
        consumer.ack_policy = AckPolicy::None;
        consumer.ack_wait = Duration::ZERO;
    }
    queue(&client, &named(death.stream), &consumer)?;
    for _ in 0..MESSAGES {
        client.publish(death.stream, &AMOUNT.to_string())?;
    }
    let mut consumers = Consumers::new(program, nats.addr(), death.stream)?;
    consumers.run_and_kill(death.plan)?;
    consumers.run_to_the_end(Plan { stop: Stop::Nowhere, ..death.plan })?;
    let balance = consumers.account()?.balance()?;
    Ok(Outcome { deliveries: consumers.deliveries, balance })
}

/// What a broker still has after SIGKILL and a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Publishes that it acknowledged before.
    pub acknowledged: u64,
    /// Messages that it has afterwards.
    pub kept: u64,
    /// Whether it then knew a publish that was repeated with the same
    /// `Nats-Msg-Id`.
    pub knew_the_repetition: bool,
    /// Acknowledgements by the consumer that it had confirmed before.
    pub confirmed: u64,
    /// Of those messages, how many it delivered once more.
    pub delivered_again: u64,
}

/// Publishes `publishes` messages, consumes `acks` of them, and kills the broker at
/// once.
///
/// # Errors
/// When the broker does not answer.
pub fn broker_dies(publishes: u64, acks: u64) -> Result<Restart> {
    const STREAM: &str = "KILLED";
    let mut nats = Nats::start()?;
    let client = nats.connect()?;
    queue(&client, &named(STREAM), &explicit())?;
    let name = |number: u64| format!("payment-{number}");
    for number in 1..=publishes {
        client.publish_as(&name(number), STREAM, &AMOUNT.to_string())?;
    }
    let consumer = client.consumer(STREAM, NAME)?;
    for _ in 0..acks {
        let message = consumer.next(PATIENCE)?.context("a message to consume")?;
        message.ack()?;
    }
    nats.server().kill();
    nats.server().restart()?;

    let client = nats.connect()?;
    let kept = client.stored(STREAM)?;
    let repeated = client.publish_as(&name(publishes), STREAM, "10")?;
    let consumer = client.consumer(STREAM, NAME)?;
    // What it owes now, asked for in one question.
    let owed = consumer.outstanding()?;
    let delivered = consumer.fetch(usize::try_from(owed)?, PATIENCE)?;
    let again = delivered.iter().filter(|message| message.sequence <= acks);
    Ok(Restart {
        acknowledged: publishes,
        kept,
        knew_the_repetition: repeated.duplicate,
        confirmed: acks,
        delivered_again: again.count() as u64,
    })
}

/// What became of one message that was published three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Messages in the stream when the window was still open.
    pub stored_within: u64,
    /// Messages in the stream in the end.
    pub stored_after: u64,
    /// What a consumer that remembers the producer's name for it made of them.
    pub balance: i64,
}

/// How long a stream recognises a repetition, in this scene.
pub const WINDOW: Duration = Duration::from_millis(200);

/// A producer repeats a publish: at once to a stream with the default window, and to
/// one with a short window until it is taken for a new message.
///
/// # Errors
/// When the broker or a consumer does not do its part.
pub fn publish_is_repeated(nats: &Nats, program: &Path) -> Result<Repeated> {
    const ID: &str = "payment-1";
    let client = nats.connect()?;
    let text = AMOUNT.to_string();
    queue(&client, &named("WITHIN"), &explicit())?;
    client.publish_as(ID, "WITHIN", &text)?;
    client.publish_as(ID, "WITHIN", &text)?;

    let short = StreamConfig { duplicate_window: WINDOW, ..named("AFTERWARDS") };
    queue(&client, &short, &explicit())?;
    client.publish_as(ID, "AFTERWARDS", &text)?;
    std::thread::sleep(WINDOW * 2);
    let taken_for_new = crate::wait_until(PATIENCE, || {
        client.publish_as(ID, "AFTERWARDS", &text).is_ok_and(|ack| !ack.duplicate)
    });
    ensure!(taken_for_new, "the window does not close");

    let mut consumers = Consumers::new(program, nats.addr(), "AFTERWARDS")?;
    consumers.run_to_the_end(WORKS)?;
    Ok(Repeated {
        stored_within: client.stored("WITHIN")?,
        stored_after: client.stored("AFTERWARDS")?,
        balance: consumers.account()?.balance()?,
    })
}

/// How many times a message is delivered at most, in [`poison`].
pub const DELIVERIES_MAX: i64 = 3;

/// What became of a message on which every consumer dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// How many consumers died.
    pub deaths: usize,
    /// How many times each message was delivered.
    pub times: Vec<usize>,
    /// The account in the end.
    pub balance: i64,
    /// The message and the deliveries that the broker's advisory names.
    pub advisory: (u64, u64),
    /// How many messages the stream still holds: it has not moved the bad one.
    pub still_stored: u64,
    /// What lies in the stream of dead letters, put there by this program.
    pub dead_letter: String,
}

/// Three messages, the second no amount; every consumer that meets it ends with an
/// error and is started again.
///
/// # Errors
/// When the broker or a consumer does not do its part.
pub fn poison(nats: &Nats, program: &Path) -> Result<Poison> {
    const STREAM: &str = "POISON";
    const ADVISORIES: &str = "ADVISORIES";
    const DEAD: &str = "DEAD";
    let client = nats.connect()?;
    let consumer = ConsumerConfig {
        ack_wait: ACK_WAIT / 2,
        max_deliver: DELIVERIES_MAX,
        ..explicit()
    };
    queue(&client, &named(STREAM), &consumer)?;
    // An advisory is a plain message, which only those hear who listen at that
    // moment: a stream listens always.
    let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{STREAM}.*");
    client.create_stream(StreamConfig {
        subjects: vec![subject],
        ..named(ADVISORIES)
    })?;
    client.create_consumer(
        ADVISORIES,
        ConsumerConfig { durable_name: Some(NAME.into()), ..explicit() },
    )?;
    client.create_stream(StreamConfig {
        subjects: vec![DEAD.into()],
        ..named(DEAD)
    })?;

    for text in ["10", "ten", "10"] {
        client.publish(STREAM, text)?;
    }
    let mut consumers = Consumers::new(program, nats.addr(), STREAM)?;
    let mut deaths = 0;
    while !consumers.run(WORKS)? {
        deaths += 1;
        ensure!(deaths <= 10, "every consumer dies: {}", consumers.said());
    }

    // What a team has to write itself: advisory in, message read, copy out, and
    // only then the advisory acknowledged.
    let advisories = client.consumer(ADVISORIES, NAME)?;
    let advisory = advisories.next(PATIENCE)?.context("no advisory came")?;
    let told: serde_json::Value = serde_json::from_str(&advisory.text)?;
    let number = |field: &str| {
        told[field].as_u64().with_context(|| format!("no {field} in {told}"))
    };
    let (sequence, deliveries) = (number("stream_seq")?, number("deliveries")?);
    let text = client.read(STREAM, sequence)?;
    client.publish_as(&format!("{STREAM}-{sequence}"), DEAD, &text)?;
    advisory.ack()?;

    Ok(Poison {
        deaths,
        times: (1..=3).map(|number| consumers.times(number)).collect(),
        balance: consumers.account()?.balance()?,
        advisory: (sequence, deliveries),
        still_stored: client.stored(STREAM)?,
        dead_letter: client.read(DEAD, 1)?,
    })
}

/// How many messages a consumer is given that acknowledges none, then one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// Messages that wait in the stream.
    pub stored: u64,
    /// Delivered before any acknowledgement.
    pub at_first: usize,
    /// Delivered more after one acknowledgement.
    pub after_one_ack: usize,
}

/// A consumer that may hold two messages asks for five.
///
/// # Errors
/// When the broker does not answer.
pub fn slow_consumer(nats: &Nats) -> Result<Pressure> {
    const STREAM: &str = "SLOW";
    const STORED: u64 = 5;
    let client = nats.connect()?;
    let two = ConsumerConfig {
        max_ack_pending: 2,
        ack_wait: PATIENCE * 3, // no message comes back during the scene
        ..explicit()
    };
    queue(&client, &named(STREAM), &two)?;
    for _ in 0..STORED {
        client.publish(STREAM, "10")?;
    }
    let consumer = client.consumer(STREAM, NAME)?;
    let first = consumer.fetch(STORED as usize, NOTHING_WITHIN)?;
    first.first().context("nothing was delivered")?.ack()?;
    let then = consumer.fetch(STORED as usize, NOTHING_WITHIN)?;
    Ok(Pressure {
        stored: client.stored(STREAM)?,
        at_first: first.len(),
        after_one_ack: then.len(),
    })
}

/// What a full stream did with one message more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// The broker's words when it refused the message.
    pub refusal: Option<String>,
    /// Messages in the stream afterwards.
    pub stored: u64,
    /// Whether the first message, which nobody has read, is still there.
    pub first_is_there: bool,
}

/// How many messages the stream of [`full_stream`] may hold.
pub const STORED_MAX: i64 = 3;

/// One message more than a stream may hold.
///
/// # Errors
/// When the broker does not answer.
pub fn full_stream(nats: &Nats, discard: DiscardPolicy) -> Result<Full> {
    let stream = format!("FULL_{discard:?}");
    let client = nats.connect()?;
    let config =
        StreamConfig { max_messages: STORED_MAX, discard, ..named(&stream) };
    queue(&client, &config, &explicit())?;
    for _ in 0..STORED_MAX {
        client.publish(&stream, "10")?;
    }
    let refusal = client
        .publish(&stream, "10")
        .err()
        .map(|error| error.root_cause().to_string());
    Ok(Full {
        refusal,
        stored: client.stored(&stream)?,
        first_is_there: client.read(&stream, 1).is_ok(),
    })
}
