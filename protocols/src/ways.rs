//! The comparison: each way brings the same ticks to a client, one at a time.

use crate::feed::{Feed, Tick};
use crate::meter::{Counts, Meter};
use crate::{grpc, http, websocket};
use anyhow::{ensure, Result};
use futures_util::future;
use std::cell::RefCell;
use std::time::Duration;

/// A client that polls does not know when a tick comes, and asks too often.
pub const POLLS_A_TICK: u64 = 3;
/// No run takes longer; what is not there by then will not come.
const TIME_MAX: Duration = Duration::from_secs(20);
/// How long nothing comes before we say that nothing comes. Long for loopback.
const QUIET: Duration = Duration::from_millis(50);

/// What it took to bring the ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    pub requests: u64,
    /// From the first byte to the last tick.
    pub all: Counts,
    /// From the moment when tick 42 was there, and nothing else was on the way.
    pub tick_42: Counts,
}

/// Notes the counts before each tick.
struct Run {
    feed: Feed,
    meter: Meter,
    before: Vec<Counts>,
    requests: u64,
}

impl Run {
    fn new(feed: Feed) -> Run {
        Run { feed, meter: Meter::default(), before: Vec::new(), requests: 0 }
    }

    fn before_tick(&mut self) {
        self.before.push(self.meter.counts());
    }

    fn cost(mut self) -> Cost {
        self.before_tick();
        let tick_42 = match self.before.get(41..=42) {
            Some([before, after]) => *after - *before,
            _ => Counts::default(), // fewer ticks than that
        };
        Cost { requests: self.requests, all: self.meter.counts(), tick_42 }
    }
}

/// Asks until the tick is there, on a new connection each time or on one.
///
/// # Errors
/// As for all of these: when a connection fails, or a tick is not the right one.
pub async fn poll(ticks: u64, keep: bool) -> Result<Cost> {
    let mut run = Run::new(Feed::start());
    let addr = http::serve(run.feed.clone()).await?;
    let mut client = None;
    for id in 1..=ticks {
        run.before_tick();
        for poll in 1..=POLLS_A_TICK {
            if poll == POLLS_A_TICK {
                run.feed.publish();
            }
            let mut now = match client.take() {
                Some(client) => client,
                None => http::Client::connect(&run.meter, addr).await?,
            };
            run.requests += 1;
            let tick = now.get(&format!("/ticks/{id}")).await?;
            ensure!(tick == (poll == POLLS_A_TICK).then(|| Tick::new(id)));
            client = keep.then_some(now);
        }
    }
    Ok(run.cost())
}

/// Asks once for each tick, and the server answers when it is there.
pub async fn long_poll(ticks: u64) -> Result<Cost> {
    let mut run = Run::new(Feed::start());
    let addr = http::serve(run.feed.clone()).await?;
    let mut client = http::Client::connect(&run.meter, addr).await?;
    for id in 1..=ticks {
        run.before_tick();
        run.requests += 1;
        let path = format!("/await/{id}");
        let publish = async {
            run.feed.awaited().await; // the server has the question, and no answer
            run.feed.publish();
        };
        let (tick, ()) = future::join(client.get(&path), publish).await;
        ensure!(tick? == Some(Tick::new(id)));
    }
    Ok(run.cost())
}

pub async fn server_sent_events(ticks: u64) -> Result<Cost> {
    let mut run = Run::new(Feed::start());
    let addr = http::serve(run.feed.clone()).await?;
    let client = http::Client::connect(&run.meter, addr).await?;
    run.requests += 1;
    let mut events = client.events(None).await?;
    for id in 1..=ticks {
        run.before_tick();
        run.feed.publish();
        ensure!(events.next().await? == Tick::new(id));
    }
    Ok(run.cost())
}

pub async fn websocket(ticks: u64) -> Result<Cost> {
    let mut run = Run::new(Feed::start());
    let addr = websocket::serve(run.feed.clone()).await?;
    run.requests += 1; // HTTP's request to speak WebSocket from here on
    let mut client = websocket::Client::connect(&run.meter, addr).await?;
    for id in 1..=ticks {
        run.before_tick();
        run.feed.publish();
        ensure!(client.next().await? == Tick::new(id));
    }
    Ok(run.cost())
}

pub async fn grpc(ticks: u64) -> Result<Cost> {
    let mut run = Run::new(Feed::start());
    let addr = grpc::serve(run.feed.clone()).await?;
    let mut client = grpc::Client::connect(&run.meter, addr).await?;
    run.requests += 1;
    let mut subscription = client.subscribe(None).await?;
    for id in 1..=ticks {
        run.before_tick();
        run.feed.publish();
        ensure!(subscription.next().await? == Tick::new(id));
    }
    Ok(run.cost())
}

/// The ticks until the cut, and those that come while the client is away.
pub const CUT_AFTER: u64 = 40;
pub const AWAY_FOR: u64 = 5;

/// What a client missed: the first tick after it is back tells.
fn missed(first: &Tick) -> u64 {
    first.id - (CUT_AFTER + 1)
}

/// The client sends the id of the last event that it has seen.
pub async fn cut_events() -> Result<u64> {
    let (feed, meter) = (Feed::start(), Meter::default());
    let addr = http::serve(feed.clone()).await?;
    let client = http::Client::connect(&meter, addr).await?;
    let mut events = client.events(None).await?;
    let mut last = None;
    for _ in 0..CUT_AFTER {
        feed.publish();
        last = Some(events.next().await?.id);
    }
    drop(events);
    (0..AWAY_FOR).for_each(|_| feed.publish());
    let client = http::Client::connect(&meter, addr).await?;
    let mut events = client.events(last).await?;
    Ok(missed(&events.next().await?))
}

pub async fn cut_websocket() -> Result<u64> {
    let (feed, meter) = (Feed::start(), Meter::default());
    let addr = websocket::serve(feed.clone()).await?;
    let mut client = websocket::Client::connect(&meter, addr).await?;
    for _ in 0..CUT_AFTER {
        feed.publish();
        client.next().await?;
    }
    drop(client);
    (0..AWAY_FOR).for_each(|_| feed.publish());
    let mut client = websocket::Client::connect(&meter, addr).await?;
    feed.publish();
    Ok(missed(&client.next().await?))
}

/// The call has a field for the last tick; the client fills it in or does not.
pub async fn cut_grpc(says_what_it_has: bool) -> Result<u64> {
    let (feed, meter) = (Feed::start(), Meter::default());
    let addr = grpc::serve(feed.clone()).await?;
    let mut client = grpc::Client::connect(&meter, addr).await?;
    let mut subscription = client.subscribe(None).await?;
    let mut last = None;
    for _ in 0..CUT_AFTER {
        feed.publish();
        last = Some(subscription.next().await?.id);
    }
    drop((client, subscription));
    (0..AWAY_FOR).for_each(|_| feed.publish());
    let mut client = grpc::Client::connect(&meter, addr).await?;
    let after = last.filter(|_| says_what_it_has);
    let mut subscription = client.subscribe(after).await?;
    feed.publish();
    Ok(missed(&subscription.next().await?))
}

/// Two questions on one connection: first for tick 2, which is not there yet, then
/// for tick 1, which is. The ticks in the order of their answers, and the number of
/// connections.
pub async fn order_over_http() -> Result<(Vec<u64>, u64)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (feed, meter) = (Feed::start(), Meter::default());
    feed.publish();
    let addr = http::serve(feed.clone()).await?;
    let mut stream = meter.connect(addr).await?;
    // hyper's client would hold the second question back. HTTP/1.1 allows a client
    // to send it, and a server to answer it only after the first.
    let question = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n")
    };
    let both =
        question("/await/2", "") + &question("/await/1", "connection: close\r\n");
    stream.write_all(both.as_bytes()).await?;
    let mut answers = Vec::new();
    let early = tokio::time::timeout(QUIET, stream.read_buf(&mut answers)).await;
    ensure!(early.is_err(), "an answer to the second, before the first");
    feed.publish();
    stream.read_to_end(&mut answers).await?;
    let answers = String::from_utf8(answers)?;
    let number = |text: &str| text.split([',', '}']).next()?.parse().ok();
    let ticks = answers.split("\"id\":").skip(1).filter_map(number).collect();
    Ok((ticks, meter.counts().connections))
}

pub async fn order_over_grpc() -> Result<(Vec<u64>, u64)> {
    let (feed, meter) = (Feed::start(), Meter::default());
    feed.publish();
    let addr = grpc::serve(feed.clone()).await?;
    let client = grpc::Client::connect(&meter, addr).await?;
    let answers = RefCell::new(Vec::new());
    let ask = async |id| {
        let tick = client.clone().get(id).await?; // a clone: the same connection
        answers.borrow_mut().push(tick.id);
        anyhow::Ok(())
    };
    let second = async {
        ask(1).await?;
        feed.publish(); // tick 2, only now: until here the first has no answer
        Ok(())
    };
    // The first one is polled first, so its question is sent first.
    future::try_join(ask(2), second).await?;
    Ok((answers.into_inner(), meter.counts().connections))
}

/// What one message from a WebSocket client costs.
pub async fn said_over_websocket(text: String) -> Result<Counts> {
    let (feed, meter) = (Feed::start(), Meter::default());
    let addr = websocket::serve(feed.clone()).await?;
    let mut client = websocket::Client::connect(&meter, addr).await?;
    let before = meter.counts();
    client.say(&text).await?;
    Ok(meter.counts() - before)
}

/// Runs one of these from start to end.
///
/// # Errors
/// When it fails, or takes longer than any should.
pub fn run<T>(way: impl std::future::Future<Output = Result<T>>) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(TIME_MAX, way).await? })
}
