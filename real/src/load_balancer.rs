//! The parts of the comparison that the program `load_balancer` prints: balancers
//! that all stand in front of the same three [`Backend`]s, and the scenes played to
//! each.
//!
//! - [`nginx`], [`haproxy`], [`ours`]: how each is started, asked and told;
//! - [`client`]: what a client sees of a balancer;
//! - [`scenes`]: one function a question, the same for every balancer.
//!
//! May know of the launcher and the backends. A scene may not know which balancer it
//! plays with: what differs between them is in the trait [`Balancer`].

pub mod client;
pub mod haproxy;
pub mod nginx;
pub mod ours;
pub mod scenes;

use crate::backend::Backend;
use crate::http::Response;
use crate::launch::{http_answers, Launch, Server};
use anyhow::Result;
use std::net::SocketAddr;
use std::time::Duration;

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A balancer in front of three backends. It ends when it is dropped.
pub trait Balancer {
    /// Where clients find it.
    fn addr(&self) -> SocketAddr;

    /// Whether it sent the request of this answer to more than one server.
    fn retried(&self, response: &Response) -> bool;

    /// How many of its health checks have begun or ended, where a check during a
    /// burst of requests would change what the burst shows: a scene in which this
    /// changes is played again.
    fn checks(&self) -> usize {
        0
    }

    /// Returns right after such a check.
    ///
    /// # Errors
    /// When there are no more checks.
    fn wait_for_a_check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns when it has had the time to notice a death without any request.
    ///
    /// # Errors
    /// When it should have noticed and has not.
    fn wait_without_requests(&self, dead: &Backend) -> Result<()>;

    /// Tells it to send no new request to `backend`. It may take a moment to comply.
    ///
    /// # Errors
    /// When the order cannot be given.
    fn drain(&mut self, backend: &Backend) -> Result<()>;
}

/// Puts a new balancer in front of three backends and waits until it answers.
pub type Start = fn(&[Backend; 3]) -> Result<Box<dyn Balancer>>;

/// A balancer that is compared.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Its name in the table.
    pub name: &'static str,
    /// How to start it.
    pub start: Start,
    /// Below which path it sends requests to the server with the fewest connections.
    pub least_busy: Option<&'static str>,
}

/// All that are compared, in the order of the table's columns.
pub const CONTENDERS: [Contender; 3] = [
    Contender {
        name: "nginx",
        start: nginx::start,
        least_busy: Some("/least-busy/"),
    },
    Contender {
        name: "haproxy",
        start: haproxy::start,
        least_busy: Some("/least-busy/"),
    },
    Contender { name: "ours", start: ours::start, least_busy: None },
];

/// Starts `launch` with `${A}`, `${B}` and `${C}` set to the backends' addresses.
fn in_front_of(backends: &[Backend; 3], launch: Launch) -> Result<Server> {
    backends
        .iter()
        .fold(launch, |launch, b| launch.set(&b.name().to_uppercase(), b.addr()))
        .ready(http_answers("/ready"))
        .start()
}

/// Backends called a, b and c.
fn three_backends() -> Result<[Backend; 3]> {
    Ok([Backend::start("a")?, Backend::start("b")?, Backend::start("c")?])
}
