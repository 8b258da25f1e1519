//! HAProxy, with `real/config/load_balancer/haproxy.cfg`.
//!
//! May know of the launcher and of HAProxy.

use super::{in_front_of, Balancer, PATIENCE};
use crate::backend::Backend;
use crate::http::Response;
use crate::launch::{Launch, Server};
use crate::program::HAPROXY;
use crate::wait_until;
use anyhow::{ensure, Context, Result};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

struct HaProxy(Server);

/// Three in `backend backends` and three in `backend sessions`.
const CHECKED_SERVERS: usize = 6;

/// Starts HAProxy and waits until it has checked every server.
///
/// # Errors
/// As [`Launch::start`], and when it does not check its servers.
pub fn start(backends: &[Backend; 3]) -> Result<Box<dyn Balancer>> {
    let config = include_str!("../../config/load_balancer/haproxy.cfg");
    let launch = Launch::new(HAPROXY).file("haproxy.cfg", config).args([
        "-db",
        "-f",
        "${FOLDER}/haproxy.cfg",
    ]);
    let haproxy = HaProxy(in_front_of(backends, launch)?);
    // Before its first check, a single failed one would be enough to call a server
    // dead.
    let checked =
        || haproxy.statistics().matches(",L7OK,").count() == CHECKED_SERVERS;
    ensure!(wait_until(PATIENCE, checked), "HAProxy does not check its servers");
    Ok(Box::new(haproxy))
}

impl HaProxy {
    /// Gives a command to its runtime API and returns the answer.
    fn command(&self, command: &str) -> Result<String> {
        let socket = self.0.folder().join("haproxy.sock");
        let mut socket =
            UnixStream::connect(socket).context("HAProxy's runtime API")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A line for each server; nothing while HAProxy does not answer.
    fn statistics(&self) -> String {
        self.command("show stat").unwrap_or_default()
    }

    fn calls_dead(&self, backend: &Backend) -> bool {
        let server = format!("backends,{},", backend.name());
        let statistics = self.statistics();
        let mut lines = statistics.lines();
        lines.any(|line| line.starts_with(&server) && line.contains(",DOWN,"))
    }
}

impl Balancer for HaProxy {
    fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    fn retried(&self, response: &Response) -> bool {
        response.header("x-retries").is_some_and(|count| count != "0")
    }

    fn wait_without_requests(&self, dead: &Backend) -> Result<()> {
        ensure!(
            wait_until(PATIENCE, || self.calls_dead(dead)),
            "HAProxy noticed nothing"
        );
        Ok(())
    }

    fn drain(&mut self, backend: &Backend) -> Result<()> {
        let answer = self.command(&format!(
            "set server backends/{} state drain",
            backend.name()
        ))?;
        ensure!(answer.trim().is_empty(), "HAProxy: {answer}");
        Ok(())
    }
}
