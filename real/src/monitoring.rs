//! The parts of the program `monitoring`: a shop that fails, restarts or dies, and
//! what a Prometheus that watches it says of that.
//!
//! Traffic is sent by the thread that waits, one request after the other, so each
//! count is known. A wait is for a state, with an end. What was decided when is read
//! from what Prometheus has stored, at the time of that decision.
//!
//! May know of `prometheus`, `backend`, `port`, `http` and of the shop in the package
//! `services`.

use crate::backend::Backend;
use crate::http::{self, Response};
use crate::port::{hang_up, Port};
use crate::prometheus::{Alert, Job, Prometheus, State};
use anyhow::{bail, ensure, Context, Result};
use services::shop::Shop;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The rules that the chapter shows.
pub const RULES: &str = include_str!("../config/monitoring/rules.yml");
/// The alert on how fast the error budget is spent.
pub const BURNS: &str = "BurnsItsBudget";
/// The alert on a target that does not answer.
pub const DOWN: &str = "IsDown";
/// The alert on a job that nobody scrapes.
pub const NOT_WATCHED: &str = "MailIsNotWatched";

/// Above this share of errors, in both windows, the alert's condition holds: 14.4
/// times the promised 1 in 1000.
pub const RATIO_MAX: f64 = 14.4 * 0.001;
const SHORT: &str = "job:http_requests:error_ratio_2s";
const LONG: &str = "job:http_requests:error_ratio_24s";
const REQUESTS: &str = "sum(http_requests_total)";

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two requests, or two looks.
const PACE: Duration = Duration::from_millis(20);
/// Requests that succeed before the first error.
const WARM_UP: usize = 1500;
/// Errors in a burst.
pub const BURST: usize = 5;

/// A shop on a port of its own, which it keeps when it restarts.
pub struct Instance {
    port: Port,
    life: Option<(Shop, TcpListener)>,
}

impl Instance {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no port, or no thread, to be had.
    pub fn start() -> Result<Instance> {
        let mut instance = Instance { port: Port::reserve()?, life: None };
        instance.restart()?;
        Ok(instance)
    }

    /// Where it listens, or listened.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Ends it: its port refuses connections, its counters are forgotten.
    pub fn kill(&mut self) {
        if let Some((shop, listener)) = self.life.take() {
            hang_up(&listener);
            drop(shop);
        }
    }

    /// Ends it and starts it again, with counters at 0.
    ///
    /// # Errors
    /// As [`Instance::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let listener = self.port.listen()?;
        let shop = Shop::serve(listener.try_clone().context("share the listener")?)?;
        self.life = Some((shop, listener));
        Ok(())
    }

    /// The running shop and its switches.
    ///
    /// # Errors
    /// When it was killed.
    pub fn shop(&self) -> Result<&Shop> {
        Ok(&self.life.as_ref().context("the shop does not run")?.0)
    }

    /// Sends checkouts, each after the answer to the last.
    ///
    /// # Errors
    /// When one is not answered.
    pub fn check_out(&self, times: usize) -> Result<()> {
        for _ in 0..times {
            http::send(self.addr(), "POST", "/checkout", &[])?;
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `done`, and does `meanwhile` between two looks.
fn meanwhile_until(
    what: &str,
    mut meanwhile: impl FnMut() -> Result<()>,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let begun = Instant::now();
    while !done().with_context(|| format!("wait until {what}"))? {
        ensure!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        meanwhile()?;
        thread::sleep(PACE);
    }
    Ok(())
}

fn wait_until(what: &str, done: impl FnMut() -> Result<bool>) -> Result<()> {
    meanwhile_until(what, || Ok(()), done)
}

fn wait_for_value(
    prometheus: &Prometheus,
    expression: &str,
    wanted: f64,
) -> Result<()> {
    wait_until(&format!("{expression} is {wanted}"), || {
        Ok(prometheus.value(expression)? == Some(wanted))
    })
}

/// Waits until the last few scrapes of a series brought this value.
fn wait_for_samples(
    prometheus: &Prometheus,
    series: &str,
    wanted: usize,
) -> Result<()> {
    const SAMPLES: usize = 3;
    wait_until(&format!("{series} was {wanted} {SAMPLES} times"), || {
        let stored = prometheus.query(&format!("{series}[1m]"))?;
        let newest = stored.iter().flat_map(|series| series.samples.iter().rev());
        let same = newest.take_while(|(_, value)| *value == wanted as f64);
        Ok(same.count() >= SAMPLES)
    })
}

// ---- An alert from the first error to the last. ----

/// What both windows and the alert said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The short window is above [`RATIO_MAX`].
    pub short_above: bool,
    /// The long window is above it.
    pub long_above: bool,
    /// The states that the alert went through.
    pub alert: Vec<State>,
}

/// An alert's life.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// Before the first error.
    pub quiet: Moment,
    /// After [`BURST`] errors among many requests.
    pub burst: Moment,
    /// While every second request fails, at the moment of the first page.
    pub failing: Moment,
    /// When errors have stopped and the alert has ended.
    pub over: Moment,
    /// The alert as the API showed it while it was firing.
    pub page: Alert,
    /// What it says of itself in the end: nothing but what it was.
    pub history: Vec<State>,
}

/// Whether a recorded ratio is above the limit; a ratio of nothing is not.
fn above(ratio: Option<f64>) -> bool {
    ratio.is_some_and(|ratio| ratio > RATIO_MAX)
}

fn moment(prometheus: &Prometheus) -> Result<Moment> {
    Ok(Moment {
        short_above: above(prometheus.value(SHORT)?),
        long_above: above(prometheus.value(LONG)?),
        alert: vec![prometheus.state(BURNS)?],
    })
}

/// Leads a shop through good and bad times.
///
/// # Errors
/// When Prometheus is missing, or a state that is waited for does not come.
pub fn lifecycle() -> Result<Lifecycle> {
    let shop = Instance::start()?;
    let prometheus = Prometheus::start(&[Job::new("shop", &[shop.addr()])], RULES)?;
    let traffic_until = |what: &str, done: &mut dyn FnMut() -> Result<bool>| {
        meanwhile_until(what, || shop.check_out(1), done)
    };

    wait_for_value(&prometheus, REQUESTS, 0.0)?;
    shop.check_out(WARM_UP)?;
    traffic_until("the warm-up was scraped", &mut || {
        Ok(prometheus.value(REQUESTS)? >= Some(WARM_UP as f64))
    })?;
    // Then the same burst is much in the short window and little in the long one.
    traffic_until("the warm-up has left the short window", &mut || {
        let recent = prometheus.value("sum(increase(http_requests_total[2s]))")?;
        Ok(recent.is_some_and(|recent| recent < WARM_UP as f64 / 6.0))
    })?;
    let quiet = moment(&prometheus)?;

    shop.shop()?.fail_every(1);
    shop.check_out(BURST)?;
    shop.shop()?.fail_every(0);
    traffic_until("the burst lifts the short window", &mut || {
        Ok(above(prometheus.value(SHORT)?))
    })?;
    traffic_until("the burst has left the short window", &mut || {
        Ok(!above(prometheus.value(SHORT)?))
    })?;
    // The highest that each has been, and every state since the start.
    let highest = |ratio| prometheus.value(&format!("max_over_time({ratio}[1m])"));
    let burst = Moment {
        short_above: above(highest(SHORT)?),
        long_above: above(highest(LONG)?),
        alert: match prometheus.history(BURNS)? {
            none if none.is_empty() => vec![prometheus.state(BURNS)?],
            states => states,
        },
    };

    shop.shop()?.fail_every(2);
    traffic_until("the alert fires", &mut || {
        Ok(prometheus.state(BURNS)? == State::Firing)
    })?;
    let page = prometheus.alerts()?.into_iter().find(|alert| alert.name == BURNS);
    let page = page.context("it fires and is not among the alerts")?;
    let changes = prometheus.changes(BURNS)?;
    let fired = changes.iter().find(|(_, state)| *state == State::Firing);
    let &(at, _) = fired.context("it fires and was not stored")?;
    let failing = Moment {
        short_above: above(prometheus.value_at(SHORT, at)?),
        long_above: above(prometheus.value_at(LONG, at)?),
        alert: changes.iter().map(|(_, state)| *state).collect(),
    };

    shop.shop()?.fail_every(0);
    traffic_until("the alert ends", &mut || {
        Ok(prometheus.state(BURNS)? == State::Inactive)
    })?;
    let over = moment(&prometheus)?;
    let history = prometheus.history(BURNS)?;
    Ok(Lifecycle { quiet, burst, failing, over, page, history })
}

// ---- A restart between two scrapes. ----

/// Requests to the instance that goes on.
const STEADY: usize = 1000;
/// Requests to the other, before and after its restart.
const BEFORE: usize = 100;
const AFTER: usize = 30;

/// Three ways to count requests across a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restart {
    /// What was sent to both instances.
    pub sent: usize,
    /// The restarted counter's last value minus the one before the restart.
    pub difference: f64,
    /// How often Prometheus saw it go down.
    pub resets: f64,
    /// Each counter's increase, as of its last scrape, then the sum.
    pub increase_then_sum: f64,
    /// The increase of the one counter, asked half a scrape later.
    pub increase_later: f64,
    /// The sum of the counters, then its increase.
    pub sum_then_increase: f64,
}

/// Restarts one of two instances in between.
///
/// # Errors
/// As [`lifecycle`].
pub fn restart() -> Result<Restart> {
    let (steady, mut restarted) = (Instance::start()?, Instance::start()?);
    let targets = [steady.addr(), restarted.addr()];
    let prometheus = Prometheus::start(&[Job::new("shop", &targets)], RULES)?;
    let counter = |instance: &Instance| {
        format!(
            "http_requests_total{{instance=\"{}\",route=\"/checkout\",status=\"2xx\"}}",
            instance.addr()
        )
    };
    let (a, b) = (counter(&steady), counter(&restarted));
    let scraped = |counter: &str, value: usize| -> Result<f64> {
        wait_for_value(&prometheus, counter, value as f64)?;
        prometheus.value(&format!("timestamp({counter})"))?.context("no time")
    };
    scraped(&a, 0)?;
    scraped(&b, 0)?;
    steady.check_out(STEADY)?;
    restarted.check_out(BEFORE)?;
    let a_at = scraped(&a, STEADY)?;
    // So long that the sum, looked at every 200 ms, is seen at its highest.
    wait_for_samples(&prometheus, &b, BEFORE)?;
    restarted.restart()?;
    restarted.check_out(AFTER)?;
    let b_at = scraped(&b, AFTER)?;
    wait_for_samples(&prometheus, &b, AFTER)?;

    let at = |expression: String, at: f64| -> Result<f64> {
        let value = prometheus.value_at(&expression, at)?;
        value.with_context(|| format!("{expression} has no value"))
    };
    let increase = |counter: &str| format!("increase({counter}[1m])");
    let checkouts = "http_requests_total{route=\"/checkout\",status=\"2xx\"}";
    Ok(Restart {
        sent: STEADY + BEFORE + AFTER,
        difference: at(b.clone(), b_at)? - BEFORE as f64,
        resets: at(format!("resets({b}[1m])"), b_at)?,
        increase_then_sum: at(increase(&a), a_at)? + at(increase(&b), b_at)?,
        increase_later: at(increase(&b), b_at + 0.1)?,
        sum_then_increase: at(
            format!("increase(sum({checkouts})[1m:200ms])"),
            b_at + 0.3,
        )?,
    })
}

// ---- Percentiles. ----

/// Requests to the fast and to the slow instance.
pub const FAST: usize = 900;
/// See [`FAST`].
pub const SLOW: usize = 100;
/// Requests that all take longer than the last bucket's bound.
const BEYOND: usize = 50;

/// A p99 in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct P99 {
    /// Of the times themselves: the smallest that 99 % do not exceed.
    pub exact: f64,
    /// What `histogram_quantile` makes of the buckets.
    pub estimated: f64,
}

/// What percentiles say of two instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    /// The fast instance's.
    pub fast: P99,
    /// The slow instance's.
    pub slow: P99,
    /// The average of the two: a number that belongs to no set of requests.
    pub averaged: P99,
    /// Of all requests; the estimate from the sum of the buckets.
    pub all: P99,
    /// Of requests that are all slower than the last bucket.
    pub beyond: P99,
}

fn p99(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * 99).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Sends requests, each said to take a time that is drawn; returns the times.
fn send_timed(
    instance: &Instance,
    path: &str,
    times: usize,
    mut draw_ms: impl FnMut() -> u64,
) -> Result<Vec<f64>> {
    let method = if path == "/checkout" { "POST" } else { "GET" };
    (0..times)
        .map(|_| {
            let took = Duration::from_millis(draw_ms());
            instance.shop()?.pretend(Some(took));
            http::send(instance.addr(), method, path, &[])?;
            Ok(took.as_secs_f64())
        })
        .collect()
}

/// Asks for the p99 of each, of both, and beyond the last bucket.
///
/// # Errors
/// As [`lifecycle`].
pub fn percentiles() -> Result<Percentiles> {
    let (fast, slow) = (Instance::start()?, Instance::start()?);
    let targets = [fast.addr(), slow.addr()];
    let prometheus = Prometheus::start(&[Job::new("shop", &targets)], RULES)?;
    let mut rng = fastrand::Rng::with_seed(99);
    let fast_times = send_timed(&fast, "/checkout", FAST, || rng.u64(20..90))?;
    let slow_times = send_timed(&slow, "/checkout", SLOW, || rng.u64(100..900))?;
    let beyond_times = send_timed(&slow, "/products/1", BEYOND, || 10_000)?;
    let count = "sum(http_request_duration_seconds_count)";
    wait_for_value(&prometheus, count, (FAST + SLOW + BEYOND) as f64)?;

    let quantile = |by: &str, labels: &str| {
        format!(
            "histogram_quantile(0.99, sum by ({by}) \
             (http_request_duration_seconds_bucket{{{labels}}}))"
        )
    };
    let checkout = "route=\"/checkout\"";
    let of = |instance: &Instance| {
        quantile("le", &format!("instance=\"{}\",{checkout}", instance.addr()))
    };
    let ask = |expression: &str| -> Result<f64> {
        let value = prometheus.value(expression)?;
        value.with_context(|| format!("{expression} has no value"))
    };
    let both = [fast_times.clone(), slow_times.clone()].concat();
    let [exact_fast, exact_slow] = [p99(&fast_times), p99(&slow_times)];
    Ok(Percentiles {
        fast: P99 { exact: exact_fast, estimated: ask(&of(&fast))? },
        slow: P99 { exact: exact_slow, estimated: ask(&of(&slow))? },
        averaged: P99 {
            exact: (exact_fast + exact_slow) / 2.0,
            estimated: ask(&format!("avg({})", quantile("instance, le", checkout)))?,
        },
        all: P99 { exact: p99(&both), estimated: ask(&quantile("le", checkout))? },
        beyond: P99 {
            exact: p99(&beyond_times),
            estimated: ask(&quantile("le", "route=\"/products/{id}\""))?,
        },
    })
}

// ---- A target that dies. ----

/// What is said of a shop that fails and then dies.
#[derive(Clone, Debug, PartialEq)]
pub struct Death {
    /// The alert on errors while the shop lived.
    pub burns_before: State,
    /// The same alert when the shop was dead for a while.
    pub burns_after: State,
    /// `up` of the dead target.
    pub up: Option<f64>,
    /// How many of its counters have a value now.
    pub counters: Option<f64>,
    /// The alert on `up == 0` while the shop lived.
    pub down_before: State,
    /// The states that it had.
    pub down: Vec<State>,
    /// The alert on a job that is not in the configuration.
    pub not_watched: State,
    /// How many series `up` has for that job.
    pub ups_of_mail: usize,
}

/// A shop fails until the alert fires; then it dies.
///
/// # Errors
/// As [`lifecycle`].
pub fn death() -> Result<Death> {
    let mut shop = Instance::start()?;
    let prometheus = Prometheus::start(&[Job::new("shop", &[shop.addr()])], RULES)?;
    wait_for_value(&prometheus, REQUESTS, 0.0)?;
    shop.shop()?.fail_every(1);
    meanwhile_until(
        "the alert fires",
        || shop.check_out(1),
        || Ok(prometheus.state(BURNS)? == State::Firing),
    )?;
    let burns_before = prometheus.state(BURNS)?;
    let down_before = prometheus.state(DOWN)?;
    shop.kill();
    wait_until("the alert on up == 0 fires", || {
        Ok(prometheus.state(DOWN)? == State::Firing)
    })?;
    wait_until("the alert on errors ends", || {
        Ok(prometheus.state(BURNS)? == State::Inactive)
    })?;
    Ok(Death {
        burns_before,
        burns_after: prometheus.state(BURNS)?,
        up: prometheus.value("up{job=\"shop\"}")?,
        counters: prometheus.value("count(http_requests_total)")?,
        down_before,
        down: prometheus.history(DOWN)?,
        not_watched: prometheus.state(NOT_WATCHED)?,
        ups_of_mail: prometheus.query("up{job=\"mail\"}")?.len(),
    })
}

// ---- What a target may send. ----

/// A target that says what it is told to say.
struct Scripted {
    backend: Backend,
    text: Arc<Mutex<String>>,
}

impl Scripted {
    fn start(name: &'static str, text: &str) -> Result<Scripted> {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let said = Arc::clone(&text);
        let backend = Backend::answering(name, move |_| {
            let body = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let content_type = "text/plain; version=0.0.4".to_owned();
            let headers = vec![("content-type".to_owned(), content_type)];
            Some(Response { status: 200, headers, body })
        })?;
        Ok(Scripted { backend, text })
    }

    fn say(&self, text: &str) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text.to_owned();
    }
}

/// The most samples of a scrape from the crowded target, and how many it sends.
pub const SAMPLES_MAX: usize = 100;
/// See [`SAMPLES_MAX`].
pub const SAMPLES_SENT: usize = 200;

/// What comes of three targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposed {
    /// The increase of a counter that was 0 before it was 5.
    pub from_zero: f64,
    /// The increase of a counter whose first value is 5.
    pub from_nowhere: f64,
    /// The health of a target that sends more samples than it may.
    pub crowded: String,
    /// Why.
    pub crowded_error: String,
    /// How many of its samples are stored.
    pub crowded_stored: usize,
}

/// Lets a counter begin at 0, another at 5, and a target send too much.
///
/// # Errors
/// As [`lifecycle`].
pub fn exposed() -> Result<Exposed> {
    let zero = Scripted::start("zero", "errors_total 0\n")?;
    let nowhere = Scripted::start("nowhere", "")?;
    let many: String = (0..SAMPLES_SENT)
        .map(|user| format!("logins_total{{user=\"{user}\"}} 1\n"))
        .collect();
    let crowded = Scripted::start("crowded", &many)?;
    let [zero_at, nowhere_at, crowded_at] =
        [&zero, &nowhere, &crowded].map(|target| [target.backend.addr()]);
    let jobs = [
        Job::new("zero", &zero_at),
        Job::new("nowhere", &nowhere_at),
        Job { samples_max: Some(SAMPLES_MAX), ..Job::new("crowded", &crowded_at) },
    ];
    let prometheus = Prometheus::start(&jobs, RULES)?;
    for job in ["zero", "nowhere"] {
        wait_for_value(&prometheus, &format!("up{{job=\"{job}\"}}"), 1.0)?;
    }
    zero.say("errors_total 5\n");
    nowhere.say("errors_total 5\n");
    let increase = |job: &str| -> Result<f64> {
        let counter = format!("errors_total{{job=\"{job}\"}}");
        wait_for_samples(&prometheus, &counter, 5)?;
        let at = prometheus.value(&format!("timestamp({counter})"))?;
        let increase = format!("increase({counter}[1m])");
        prometheus
            .value_at(&increase, at.context("no time")?)?
            .with_context(|| format!("{increase} has no value"))
    };
    let (from_zero, from_nowhere) = (increase("zero")?, increase("nowhere")?);

    let crowded = || -> Result<_> {
        let mut targets = prometheus.targets()?.into_iter();
        targets.find(|t| t.job == "crowded").context("no target crowded")
    };
    wait_until("the crowded target was scraped", || {
        Ok(crowded()?.health != "unknown")
    })?;
    let target = crowded()?;
    Ok(Exposed {
        from_zero,
        from_nowhere,
        crowded: target.health,
        crowded_error: target.last_error,
        crowded_stored: prometheus.query("logins_total")?.len(),
    })
}

/// What a scene in a thread of its own came to.
///
/// # Errors
/// The scene's, or that it panicked.
pub fn joined<T>(scene: thread::ScopedJoinHandle<Result<T>>) -> Result<T> {
    match scene.join() {
        Ok(outcome) => outcome,
        Err(_) => bail!("a scene panicked"),
    }
}
