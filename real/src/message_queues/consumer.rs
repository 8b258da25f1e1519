//! The process that consumes, and its parent's side: to start it, hear it, kill it.

use super::account::Account;
use super::CONSUME;
use crate::guard::Guard;
use crate::nats::{Client, Message};
use anyhow::{bail, ensure, Context, Result};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a consumer waits for a message while the broker has one for it.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a message is delivered at most before a consumer gives up: it would
/// work without end where it should have ended.
const DELIVERIES_MAX: u64 = 5;
/// The name of every stream's consumer.
pub const NAME: &str = "consumer";

/// What a consumer does with an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It adds it.
    Naive,
    /// It adds it and remembers the message in the same transaction.
    Idempotent,
}

/// When it tells the broker that a message is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// When the effect is in the file.
    AfterEffect,
    /// Before it has any effect.
    BeforeEffect,
    /// Never: the broker was told not to ask for it.
    Never,
}

/// Where it waits to be killed, at the message number [`KILLED_AT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nowhere.
    Nowhere,
    /// When it has the message, before the effect; with [`Ack::BeforeEffect`], after
    /// the acknowledgement.
    BeforeEffect,
    /// When the effect is in the file, before the acknowledgement.
    AfterEffect,
}

/// The message at which a consumer waits to be killed.
pub const KILLED_AT: u64 = 2;

/// What a consumer is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// With each amount.
    pub effect: Effect,
    /// With each message.
    pub ack: Ack,
    /// At one message.
    pub stop: Stop,
}

impl Plan {
    /// Three words, in the order of the fields.
    fn words(self) -> [String; 3] {
        let Plan { effect, ack, stop } = self;
        [format!("{effect:?}"), format!("{ack:?}"), format!("{stop:?}")]
    }

    fn from_words(words: &[String]) -> Result<Plan> {
        for effect in [Effect::Naive, Effect::Idempotent] {
            for ack in [Ack::AfterEffect, Ack::BeforeEffect, Ack::Never] {
                for stop in [Stop::Nowhere, Stop::BeforeEffect, Stop::AfterEffect] {
                    let plan = Plan { effect, ack, stop };
                    if plan.words() == words {
                        return Ok(plan);
                    }
                }
            }
        }
        bail!("no plan: {words:?}")
    }
}

/// The consumer's `main`: works until the broker has nothing outstanding for it.
/// `args` are those behind [`CONSUME`].
///
/// # Errors
/// When a message is not an amount: it ends there, with nothing acknowledged. When
/// a message comes again and again.
pub fn consume(args: &[String]) -> Result<()> {
    let [addr, stream, file, plan @ ..] = args else { bail!("no plan: {args:?}") };
    let plan = Plan::from_words(plan)?;
    let client = Client::connect(addr.parse().context("the broker's address")?)?;
    let consumer = client.consumer(stream, NAME)?;
    let mut account = Account::open(Path::new(file))?;
    while let Some(message) = consumer.next(PATIENCE)? {
        handle(plan, &message, &mut account)?;
    }
    let left = consumer.outstanding()?;
    ensure!(left == 0, "{left} messages did not come");
    Ok(())
}

fn handle(plan: Plan, message: &Message, account: &mut Account) -> Result<()> {
    tell(&format!("{} {}", message.sequence, message.delivery))?;
    ensure!(message.delivery <= DELIVERIES_MAX, "it comes again and again");
    let stop_at = |stop| {
        if plan.stop == stop && message.sequence == KILLED_AT {
            wait_to_be_killed()?;
        }
        anyhow::Ok(())
    };
    if plan.ack == Ack::BeforeEffect {
        message.ack()?;
    }
    stop_at(Stop::BeforeEffect)?;

    let amount = message.text.parse().with_context(|| {
        format!("message {} is no amount: {}", message.sequence, message.text)
    })?;
    match plan.effect {
        Effect::Naive => account.add(amount)?,
        Effect::Idempotent => {
            // The producer's name for it: the stream gives a repetition that it
            // does not recognise a new number.
            let number = || message.sequence.to_string();
            let name = message.id.clone().unwrap_or_else(number);
            account.add_once(&name, amount)?;
        }
    }
    stop_at(Stop::AfterEffect)?;

    if plan.ack == Ack::AfterEffect {
        message.ack()?;
    }
    Ok(())
}

const STOPPED: &str = "stopped";

fn tell(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("tell the parent")
}

/// Blocks until the parent kills this process, or is itself gone.
fn wait_to_be_killed() -> Result<()> {
    tell(STOPPED)?;
    let _ = std::io::stdin().read(&mut [0]);
    bail!("the parent has not killed this process")
}

/// An account in a folder of its own, and the program that plays its consumers.
pub struct Consumers<'a> {
    program: &'a Path,
    broker: SocketAddr,
    stream: &'a str,
    /// Before `folder`, so that the processes end before their file goes.
    guard: Guard,
    folder: TempDir,
    /// Sequence and delivery of each message that one of them received, in order.
    pub deliveries: Vec<(u64, u64)>,
}

impl<'a> Consumers<'a> {
    /// No consumer yet, and an empty account.
    ///
    /// # Errors
    /// When there can be no temporary folder.
    pub fn new(
        program: &'a Path,
        broker: SocketAddr,
        stream: &'a str,
    ) -> Result<Consumers<'a>> {
        let folder = tempfile::Builder::new().prefix("real-account-").tempdir();
        let folder = folder.context("make a temporary folder")?;
        let guard = Guard::start(folder.path())?;
        let deliveries = Vec::new();
        Ok(Consumers { program, broker, stream, guard, folder, deliveries })
    }

    /// The account as it is now.
    ///
    /// # Errors
    /// As [`Account::open`].
    pub fn account(&self) -> Result<Account> {
        Account::open(&self.file())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("account.db")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("consumers.log")
    }

    /// What they wrote to standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default().trim_end().to_owned()
    }

    /// Starts a consumer and kills it with SIGKILL where the plan stops it.
    ///
    /// # Errors
    /// When it ends by itself.
    pub fn run_and_kill(&mut self, plan: Plan) -> Result<()> {
        let mut process = Process::start(self, plan)?;
        while let Some(line) = process.line()? {
            if line == STOPPED {
                return process.kill();
            }
            self.deliveries.push(delivery(&line)?);
        }
        bail!("a consumer ended by itself ({}): {}", process.end()?, self.said())
    }

    /// Starts a consumer and lets it work until it ends. Returns whether it ended
    /// because the broker has nothing more for it.
    ///
    /// # Errors
    /// When it cannot be started or heard.
    pub fn run(&mut self, plan: Plan) -> Result<bool> {
        let mut process = Process::start(self, plan)?;
        while let Some(line) = process.line()? {
            self.deliveries.push(delivery(&line)?);
        }
        Ok(process.end()?.success())
    }

    /// As [`Consumers::run`], for a consumer that has no reason to fail.
    ///
    /// # Errors
    /// When it fails.
    pub fn run_to_the_end(&mut self, plan: Plan) -> Result<()> {
        ensure!(self.run(plan)?, "a consumer failed: {}", self.said());
        Ok(())
    }

    /// How many times the message of this number was delivered.
    pub fn times(&self, sequence: u64) -> usize {
        self.deliveries.iter().filter(|(number, _)| *number == sequence).count()
    }
}

fn delivery(line: &str) -> Result<(u64, u64)> {
    let (sequence, delivery) =
        line.split_once(' ').with_context(|| format!("a consumer said: {line}"))?;
    Ok((sequence.parse()?, delivery.parse()?))
}

/// A consumer that runs. It ends when this is dropped, and when this process is
/// killed.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(consumers: &Consumers, plan: Plan) -> Result<Process> {
        let log = File::options().create(true).append(true).open(consumers.log());
        let log = log.context("open the consumers' log")?;
        let mut command = Command::new(consumers.program);
        consumers.guard.join(&mut command);
        let mut child = command
            .args([CONSUME, &consumers.broker.to_string(), consumers.stream])
            .arg(consumers.file())
            .args(plan.words())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", consumers.program.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        Ok(Process { child, output: BufReader::new(output) })
    }

    /// What it says next; `None` when it has ended.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).context("hear a consumer")?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill().context("kill a consumer")?; // SIGKILL
        let status = self.end()?;
        ensure!(status.signal() == Some(Signal::KILL.as_raw()), "{status}");
        Ok(())
    }

    fn end(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("wait for a consumer")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
