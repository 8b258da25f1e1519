//! A shop's service that counts what it does and shows it at `GET /metrics`.
//!
//! Three instruments answer the three questions that a page of a service begins
//! with: how many requests and how many failed (a counter), how long they took (a
//! histogram), how many are being worked on (a gauge). A label is an enum, so that
//! no client can make a new time series by asking for a new path.
//!
//! A [`Shop`] has switches for tests: failures, latencies that are said rather than
//! waited for, and a gate that keeps requests in flight.
//!
//! May know of axum, of prometheus-client and of 127.0.0.1; prints nothing.

pub mod client;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    EncodeLabelSet, EncodeLabelValue, LabelValueEncoder,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What `/metrics` says it is: the text format of OpenMetrics.
pub const CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency buckets, in seconds. Whatever is slower than the last
/// is counted under `+Inf`.
pub const BUCKETS: [f64; 6] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

// ANCHOR: labels
/// The routes there are. A path that is none of them has one label for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /checkout`
    Checkout,
    /// `GET /products/{id}`, whatever the id
    Product,
    /// Everything else that clients, and scanners, ask for
    Unknown,
}

/// The first digit of a status. This service sends no 1xx and no 3xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 2xx
    Success,
    /// 4xx: the client's mistake
    ClientError,
    /// 5xx: ours
    ServerError,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteAndStatus {
    route: Route,
    status: Class,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteOnly {
    route: Route,
}
// ANCHOR_END: labels

impl Route {
    /// Every route.
    pub const ALL: [Route; 3] = [Route::Checkout, Route::Product, Route::Unknown];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Route::Checkout => "/checkout",
            Route::Product => "/products/{id}",
            Route::Unknown => "unknown",
        }
    }
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 3] =
        [Class::Success, Class::ClientError, Class::ServerError];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Class::Success => "2xx",
            Class::ClientError => "4xx",
            Class::ServerError => "5xx",
        }
    }

    fn of(status: StatusCode) -> Class {
        match status.as_u16() {
            500.. => Class::ServerError,
            400.. => Class::ClientError,
            _ => Class::Success,
        }
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        self.label().encode(encoder)
    }
}

impl EncodeLabelValue for Class {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        self.label().encode(encoder)
    }
}

// ANCHOR: metrics
/// The instruments. A clone is another handle to the same numbers.
#[derive(Clone)]
struct Metrics {
    requests: Family<RouteAndStatus, Counter>,
    duration: Family<RouteOnly, Histogram>,
    in_flight: Gauge,
}

impl Metrics {
    fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
        };
        let requests = metrics.requests.clone();
        registry.register("http_requests", "Requests answered", requests);
        let (name, help) = ("http_request_duration", "Time to the answer");
        let duration = metrics.duration.clone();
        registry.register_with_unit(name, help, Unit::Seconds, duration);
        let in_flight = metrics.in_flight.clone();
        registry.register("http_requests_in_flight", "Not yet answered", in_flight);
        // Every series is there from the start, at 0. One that appeared with its
        // first error would have no earlier value to have grown from.
        for route in Route::ALL {
            metrics.duration.get_or_create_owned(&RouteOnly { route });
            for status in Class::ALL {
                let labels = RouteAndStatus { route, status };
                metrics.requests.get_or_create_owned(&labels);
            }
        }
        metrics
    }
}
// ANCHOR_END: metrics

// ANCHOR: measure
/// Goes down again however the request ends: answered, panicked, or given up because
/// its client hung up.
struct InFlight(Gauge);

impl InFlight {
    fn enter(gauge: &Gauge) -> InFlight {
        gauge.inc();
        InFlight(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Stands around each route's handler.
async fn measure(
    State((metrics, route)): State<(Metrics, Route)>,
    request: Request,
    next: Next,
) -> Response {
    let _in_flight = InFlight::enter(&metrics.in_flight);
    let begun = Instant::now();
    let response = next.run(request).await;
    let pretended = response.extensions().get::<Pretended>().map(|p| p.0);
    let took = pretended.unwrap_or_else(|| begun.elapsed());
    let status = Class::of(response.status());
    metrics.requests.get_or_create(&RouteAndStatus { route, status }).inc();
    let duration = metrics.duration.get_or_create(&RouteOnly { route });
    duration.observe(took.as_secs_f64());
    response
}
// ANCHOR_END: measure

/// How long a test says that a request took.
#[derive(Clone, Copy)]
struct Pretended(Duration);

/// What a test can change while the service runs.
struct Switches {
    failing: Mutex<Failing>,
    took: Mutex<Option<Duration>>,
    held: watch::Sender<bool>,
}

/// Which checkouts fail.
#[derive(Default)]
struct Failing {
    /// 0: none.
    every: u64,
    asked: u64,
}

impl Failing {
    fn fails_now(&mut self) -> bool {
        self.asked += 1;
        self.every != 0 && self.asked.is_multiple_of(self.every)
    }
}

/// One field, changed in one step: still good when a thread panicked beside it.
fn with<T, R>(switch: &Mutex<T>, change: impl FnOnce(&mut T) -> R) -> R {
    change(&mut switch.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Switches {
    /// What each handler does before it answers.
    async fn work(&self) -> Option<Pretended> {
        // An error means that the sender is gone: then nobody holds.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        with(&self.took, |took| took.map(Pretended))
    }
}

fn answer(status: StatusCode, pretended: Option<Pretended>) -> Response {
    let mut response = status.into_response();
    if let Some(pretended) = pretended {
        response.extensions_mut().insert(pretended);
    }
    response
}

async fn checkout(State(switches): State<Arc<Switches>>) -> Response {
    let pretended = switches.work().await;
    let status = match with(&switches.failing, Failing::fails_now) {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::OK,
    };
    answer(status, pretended)
}

async fn product(State(switches): State<Arc<Switches>>) -> Response {
    answer(StatusCode::OK, switches.work().await)
}

async fn unknown() -> StatusCode {
    StatusCode::NOT_FOUND
}

async fn show(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

// ANCHOR: router
fn router(switches: Arc<Switches>) -> Router {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    // The label is given where the route is: nothing takes it from the path.
    let measured = |route: Route, handler: MethodRouter<Arc<Switches>>| {
        handler.layer(from_fn_with_state((metrics.clone(), route), measure))
    };
    Router::new()
        .route("/checkout", measured(Route::Checkout, post(checkout)))
        .route("/products/{id}", measured(Route::Product, get(product)))
        .fallback_service(
            measured(Route::Unknown, axum::routing::any(unknown))
                .with_state(Arc::clone(&switches)),
        )
        .with_state(switches)
        // Not measured: who watches is not a customer.
        .route("/metrics", get(show).with_state(Arc::new(registry)))
}
// ANCHOR_END: router

/// A running service. It ends, with its connections, when this value is dropped.
pub struct Shop {
    addr: SocketAddr,
    switches: Arc<Switches>,
    _threads: Runtime,
}

impl Shop {
    /// Starts it on a port of 127.0.0.1 that the kernel chooses.
    ///
    /// # Errors
    /// When there is no port, or no thread, to be had.
    pub fn start() -> Result<Shop> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Shop::serve(listener.context("listen on 127.0.0.1")?)
    }

    /// Starts it with a listener, its counters at 0.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn serve(listener: TcpListener) -> Result<Shop> {
        let addr = listener.local_addr().context("ask for the port")?;
        listener.set_nonblocking(true).context("prepare the listener")?;
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let threads = threads.worker_threads(1).enable_all().build();
        let threads = threads.context("start a thread")?;
        let switches = Arc::new(Switches {
            failing: Mutex::default(),
            took: Mutex::default(),
            held: watch::Sender::new(false),
        });
        let router = router(Arc::clone(&switches));
        let listener = {
            let _in_the_runtime = threads.enter();
            tokio::net::TcpListener::from_std(listener)
                .context("hand over the listener")?
        };
        threads.spawn(async move {
            // It serves until the runtime is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Shop { addr, switches, _threads: threads })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on every `n`-th checkout fails with status 500; with 0, none.
    pub fn fail_every(&self, n: u64) {
        with(&self.switches.failing, |f| *f = Failing { every: n, asked: 0 });
    }

    /// From now on requests are said to have taken this long, without waiting; with
    /// `None`, as long as they took.
    pub fn pretend(&self, took: Option<Duration>) {
        with(&self.switches.took, |t| *t = took);
    }

    /// Keeps requests in flight, or lets them go.
    pub fn hold(&self, held: bool) {
        self.switches.held.send_replace(held);
    }
}

#[cfg(test)]
mod tests {
    use super::client::{ask, send, value};
    use super::*;
    use std::io::Write;

    fn metrics(shop: &Shop) -> Result<String> {
        Ok(ask(shop.addr(), "GET", "/metrics")?.body)
    }

    fn requests(text: &str, route: Route, status: Class) -> Option<f64> {
        let (route, status) = (route.label(), status.label());
        let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
        value(text, &format!("http_requests_total{labels}"))
    }

    /// Lines that are samples: each is a time series of its own.
    fn series(text: &str) -> usize {
        text.lines().filter(|line| !line.starts_with('#')).count()
    }

    /// Asks for the gauge until it says so; `false` after ten seconds.
    fn in_flight_becomes(shop: &Shop, wanted: f64) -> Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if value(&metrics(shop)?, "http_requests_in_flight") == Some(wanted) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(false)
    }

    #[test]
    fn the_counters_say_what_was_sent() -> Result<()> {
        let shop = Shop::start()?;
        shop.fail_every(4);
        let mut failed = 0;
        for _ in 0..22 {
            failed +=
                u32::from(ask(shop.addr(), "POST", "/checkout")?.status == 500);
        }
        for id in 0..7 {
            ask(shop.addr(), "GET", &format!("/products/{id}"))?;
        }
        // The wrong method is the client's mistake, on a route that is known.
        assert_eq!(ask(shop.addr(), "GET", "/checkout")?.status, 405);
        let text = metrics(&shop)?;
        let counted = Route::ALL.map(|route| {
            Class::ALL.map(|class| requests(&text, route, class).unwrap_or(-1.0))
        });
        assert_eq!(failed, 5);
        assert_eq!(counted, [[17.0, 1.0, 5.0], [7.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
        Ok(())
    }

    #[test]
    fn every_series_is_there_before_the_first_request() -> Result<()> {
        let text = metrics(&Shop::start()?)?;
        for route in Route::ALL {
            for class in Class::ALL {
                assert_eq!(requests(&text, route, class), Some(0.0));
            }
        }
        Ok(())
    }

    #[test]
    fn a_bucket_counts_all_that_was_as_fast_or_faster() -> Result<()> {
        let shop = Shop::start()?;
        let mut rng = fastrand::Rng::with_seed(7);
        let took: Vec<u64> = (0..200).map(|_| rng.u64(0..4_000)).collect();
        for &ms in &took {
            shop.pretend(Some(Duration::from_millis(ms)));
            ask(shop.addr(), "POST", "/checkout")?;
        }
        let text = metrics(&shop)?;
        let bucket = |le: &str| {
            let name = "http_request_duration_seconds_bucket";
            value(&text, &format!("{name}{{le=\"{le}\",route=\"/checkout\"}}"))
        };
        let mut last = 0.0;
        for bound in BUCKETS {
            let slow = |ms: &&u64| **ms as f64 / 1000.0 <= bound;
            let counted = bucket(&format!("{bound:?}")).context("no bucket")?;
            assert_eq!(counted, took.iter().filter(slow).count() as f64, "{bound}");
            assert!(counted >= last);
            last = counted;
        }
        assert!(last < 200.0, "some were slower than the last bound");
        assert_eq!(bucket("+Inf"), Some(200.0));
        let labels = "{route=\"/checkout\"}";
        let count = format!("http_request_duration_seconds_count{labels}");
        assert_eq!(value(&text, &count), Some(200.0));
        Ok(())
    }

    #[test]
    fn without_a_pretended_time_the_clock_is_asked() -> Result<()> {
        let shop = Shop::start()?;
        ask(shop.addr(), "POST", "/checkout")?;
        let sum = "http_request_duration_seconds_sum{route=\"/checkout\"}";
        assert!(value(&metrics(&shop)?, sum).is_some_and(|sum| sum > 0.0));
        Ok(())
    }

    #[test]
    fn the_content_type_and_the_last_line_are_those_of_openmetrics() -> Result<()> {
        let shop = Shop::start()?;
        let answer = ask(shop.addr(), "GET", "/metrics")?;
        assert_eq!(answer.header("content-type"), Some(CONTENT_TYPE));
        assert!(answer.body.ends_with("\n# EOF\n"));
        assert!(answer.body.contains("# TYPE http_requests counter\n"));
        assert!(
            answer.body.contains("# UNIT http_request_duration_seconds seconds")
        );
        Ok(())
    }

    #[test]
    fn random_paths_make_no_new_series() -> Result<()> {
        let shop = Shop::start()?;
        let before = series(&metrics(&shop)?);
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let path: String = (0..12).map(|_| rng.alphanumeric()).collect();
            ask(shop.addr(), "GET", &format!("/{path}"))?;
            ask(shop.addr(), "GET", &format!("/products/{path}"))?;
        }
        let text = metrics(&shop)?;
        assert_eq!(series(&text), before);
        let unknown = requests(&text, Route::Unknown, Class::ClientError);
        assert_eq!(unknown, Some(200.0));
        Ok(())
    }

    #[test]
    fn being_scraped_is_not_counted_as_traffic() -> Result<()> {
        let shop = Shop::start()?;
        let first = metrics(&shop)?;
        let mut lines: [Vec<String>; 2] = Default::default();
        for (text, lines) in [first, metrics(&shop)?].iter().zip(&mut lines) {
            lines.extend(text.lines().map(str::to_owned));
            lines.sort(); // a family's series come in no order
        }
        assert_eq!(lines[0], lines[1]);
        Ok(())
    }

    #[test]
    fn the_gauge_counts_requests_that_are_worked_on() -> Result<()> {
        let shop = Shop::start()?;
        shop.hold(true);
        let addr = shop.addr();
        let clients: Vec<_> = (0..3)
            .map(|_| std::thread::spawn(move || ask(addr, "POST", "/checkout")))
            .collect();
        assert!(in_flight_becomes(&shop, 3.0)?);
        let text = metrics(&shop)?;
        assert_eq!(requests(&text, Route::Checkout, Class::Success), Some(0.0));
        shop.hold(false);
        for client in clients {
            let Ok(answer) = client.join() else { anyhow::bail!("a client died") };
            assert_eq!(answer?.status, 200);
        }
        assert!(in_flight_becomes(&shop, 0.0)?);
        Ok(())
    }

    #[test]
    fn a_client_that_hangs_up_does_not_stay_in_flight() -> Result<()> {
        let shop = Shop::start()?;
        shop.hold(true);
        let mut client = send(shop.addr(), "POST", "/checkout")?;
        client.flush()?;
        assert!(in_flight_becomes(&shop, 1.0)?);
        drop(client);
        assert!(in_flight_becomes(&shop, 0.0)?);
        // Nor is it counted as answered: a counter of answers does not see it.
        let text = metrics(&shop)?;
        assert_eq!(requests(&text, Route::Checkout, Class::Success), Some(0.0));
        Ok(())
    }
}
