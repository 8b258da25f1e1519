//! A NATS server with JetStream on loopback, and a client that waits for each answer.
//!
//! The client crate is asynchronous. Here each call runs it to its end, on a runtime
//! of one thread that belongs to the client: nothing happens between two calls.
//!
//! May know of `launch`, `program` and the client crate `async-nats`; not of what a
//! chapter asks of it.
//!
//! Deliberately absent: replicas. One server; what it acknowledges is on one machine.

use crate::launch::{Launch, Server};
use crate::program::NATS;
use anyhow::{anyhow, Context, Result};
use async_nats::jetstream::{self, consumer::pull, message::PublishMessage};
use futures_util::StreamExt;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::{self, Runtime};

pub use async_nats::jetstream::consumer::pull::Config as ConsumerConfig;
pub use async_nats::jetstream::consumer::AckPolicy;
pub use async_nats::jetstream::publish::PublishAck;
pub use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy};

/// How long an answer may take: a connection, an acknowledgement, a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a consumer that waits looks whether there is anything to wait for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running server with JetStream, whose streams are files in its folder.
pub struct Nats {
    server: Server,
}

impl Nats {
    /// A new server without streams.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start() -> Result<Nats> {
        let server = Launch::new(NATS)
            .args(["--addr", "127.0.0.1", "--port", "${PORT}"])
            .args(["--jetstream", "--store_dir", "${FOLDER}/store"])
            .ready(|addr| Client::connect(addr).is_ok())
            .start()?;
        Ok(Nats { server })
    }

    /// A connection of its own. It does not outlive the server's process: connect
    /// again after a restart.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect(&self) -> Result<Client> {
        Client::connect(self.addr())
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The server process: to kill it, restart it, or read its log.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// A connection to a server, with JetStream's questions as calls that wait.
pub struct Client {
    jetstream: jetstream::Context,
    runtime: Runtime,
}

impl Client {
    /// Connects to the server at `addr`, and sees that JetStream answers.
    ///
    /// # Errors
    /// When the server or its JetStream does not answer.
    pub fn connect(addr: SocketAddr) -> Result<Client> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("make a runtime")?;
        let jetstream = wait(&runtime, ANSWER_WITHIN, async {
            let client = async_nats::ConnectOptions::new()
                .connection_timeout(ANSWER_WITHIN)
                .request_timeout(Some(ANSWER_WITHIN))
                .connect(addr.to_string())
                .await?;
            let jetstream = jetstream::new(client);
            // Not `query_account`: it wants fields that a server 2.9 does not send.
            let _: serde_json::Value = jetstream.request("INFO", &()).await?;
            anyhow::Ok(jetstream)
        })
        .with_context(|| format!("connect to NATS at {addr}"))?;
        Ok(Client { jetstream, runtime })
    }

    fn wait<T, E: Into<anyhow::Error>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T> {
        self.wait_longer(Duration::ZERO, answer)
    }

    /// As `wait`, for a question that the server itself may hold for a time.
    fn wait_longer<T, E: Into<anyhow::Error>>(
        &self,
        held: Duration,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T> {
        wait(&self.runtime, ANSWER_WITHIN + held, answer)
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn create_stream(&self, config: StreamConfig) -> Result<()> {
        self.wait(self.jetstream.create_stream(config))
            .context("make a stream")
            .map(|_| ())
    }

    /// How many messages a stream holds.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn stored(&self, stream: &str) -> Result<u64> {
        let info = self.wait(self.jetstream.get_stream(stream))?;
        Ok(info.cached_info().state.messages)
    }

    /// Publishes `text` and waits until the stream has acknowledged it.
    ///
    /// # Errors
    /// When the stream refuses it, in the server's words.
    pub fn publish(&self, subject: &str, text: &str) -> Result<PublishAck> {
        self.send(subject, PublishMessage::build().payload(text.to_owned().into()))
    }

    /// As [`Client::publish`], with a name of the message in its header
    /// `Nats-Msg-Id`, by which the stream knows a repetition.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn publish_as(
        &self,
        id: &str,
        subject: &str,
        text: &str,
    ) -> Result<PublishAck> {
        let message = PublishMessage::build().payload(text.to_owned().into());
        self.send(subject, message.message_id(id))
    }

    fn send(&self, subject: &str, message: PublishMessage) -> Result<PublishAck> {
        self.wait(async {
            let sent = self.jetstream.send_publish(subject.to_owned(), message);
            anyhow::Ok(sent.await?.await?)
        })
    }

    /// The text of the message with this number in a stream.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(&self, stream: &str, sequence: u64) -> Result<String> {
        self.wait(async {
            let stream = self.jetstream.get_stream(stream).await?;
            let message = stream.get_raw_message(sequence).await?;
            text(&message.payload)
        })
    }

    /// Makes a consumer of a stream, or takes the one that is there with that name.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn create_consumer(
        &self,
        stream: &str,
        config: ConsumerConfig,
    ) -> Result<Consumer<'_>> {
        let consumer =
            self.wait(self.jetstream.create_consumer_on_stream(config, stream))?;
        Ok(Consumer { client: self, consumer })
    }

    /// The consumer `name` of a stream.
    ///
    /// # Errors
    /// When there is none.
    pub fn consumer(&self, stream: &str, name: &str) -> Result<Consumer<'_>> {
        let consumer =
            self.wait(self.jetstream.get_consumer_from_stream(name, stream))?;
        Ok(Consumer { client: self, consumer })
    }
}

/// A pull consumer: the server's memory of what was delivered and acknowledged.
pub struct Consumer<'a> {
    client: &'a Client,
    consumer: jetstream::consumer::Consumer<pull::Config>,
}

impl<'a> Consumer<'a> {
    /// At most `max` messages; fewer when no more have come `within` this time.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fetch(&self, max: usize, within: Duration) -> Result<Vec<Message<'a>>> {
        self.client.wait_longer(within, async {
            let ask = self.consumer.batch().max_messages(max).expires(within);
            let mut batch = ask.messages().await?;
            let mut messages = Vec::new();
            while let Some(message) = batch.next().await {
                messages.push(self.received(message)?);
            }
            anyhow::Ok(messages)
        })
    }

    /// The next message; `None` when the server has nothing outstanding, or no
    /// message has come `within` this time.
    ///
    /// It asks once and waits, rather than again and again for a short time: a
    /// server 2.9 whose request expires at the moment of a redelivery counts a
    /// delivery that nobody got.
    ///
    /// # Errors
    /// As [`Consumer::fetch`].
    pub fn next(&self, within: Duration) -> Result<Option<Message<'a>>> {
        self.client.wait_longer(within, async {
            let ask = self.consumer.batch().max_messages(1).expires(within);
            let mut batch = ask.messages().await?;
            let mut nothing_outstanding = false;
            loop {
                match tokio::time::timeout(LOOK_EVERY, batch.next()).await {
                    Ok(Some(message)) => return self.received(message).map(Some),
                    Ok(None) => return Ok(None),
                    // Only at the second look: what needs no acknowledgement is not
                    // outstanding while it is on its way.
                    Err(_) if nothing_outstanding => return anyhow::Ok(None),
                    Err(_) => {
                        nothing_outstanding = self.ask_outstanding().await? == 0
                    }
                }
            }
        })
    }

    fn received(
        &self,
        message: Result<jetstream::Message, async_nats::Error>,
    ) -> Result<Message<'a>> {
        Message::new(self.client, message.map_err(|error| anyhow!(error))?)
    }

    /// How many messages the server still means to deliver, or to hear of: those not
    /// yet delivered and those not yet acknowledged.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn outstanding(&self) -> Result<u64> {
        self.client.wait(self.ask_outstanding())
    }

    async fn ask_outstanding(&self) -> Result<u64> {
        let info = self.consumer.get_info().await?;
        Ok(info.num_pending + info.num_ack_pending as u64)
    }
}

/// A message that was delivered.
pub struct Message<'a> {
    client: &'a Client,
    message: jetstream::Message,
    /// What it says.
    pub text: String,
    /// What its producer calls it: its header `Nats-Msg-Id`.
    pub id: Option<String>,
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// How many times it has been delivered to this consumer, this time too.
    pub delivery: u64,
}

impl<'a> Message<'a> {
    fn new(client: &'a Client, message: jetstream::Message) -> Result<Message<'a>> {
        let info = message.info().map_err(|error| anyhow!(error))?;
        let (sequence, delivery) =
            (info.stream_sequence, u64::try_from(info.delivered)?);
        let id = message.headers.as_ref().and_then(|headers| {
            Some(headers.get(async_nats::header::NATS_MESSAGE_ID)?.to_string())
        });
        let text = text(&message.payload)?;
        Ok(Message { client, message, text, id, sequence, delivery })
    }

    /// Acknowledges it and waits until the server has said that it knows.
    ///
    /// # Errors
    /// When the server does not say so.
    pub fn ack(&self) -> Result<()> {
        let known = self.message.double_ack();
        self.client.wait(async { known.await.map_err(|error| anyhow!(error)) })
    }
}

fn text(payload: &[u8]) -> Result<String> {
    String::from_utf8(payload.to_vec()).context("a message that is a text")
}

/// Runs one question of the client crate to its answer, or to the end of patience.
fn wait<T, E: Into<anyhow::Error>>(
    runtime: &Runtime,
    at_most: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    runtime.block_on(async {
        tokio::time::timeout(at_most, answer)
            .await
            .context("NATS has not answered in time")?
            .map_err(Into::into)
    })
}
