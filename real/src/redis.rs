//! Redis on loopback: an empty store that keeps nothing on disk.
//!
//! May know of `launch`, `program` and the client crate `redis`; not of what a chapter
//! asks of it.
//!
//! Deliberately absent: a password. It listens on 127.0.0.1 only, for as long as the
//! program runs.

use crate::launch::{Launch, Server};
use crate::program::REDIS;
use ::redis::{cmd, Client, Connection, ConnectionAddr, IntoConnectionInfo};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a connection, and the answer to one command, may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What every server of ours has: nothing is written to disk.
const SETTINGS: [(&str, &str); 2] = [("save", ""), ("appendonly", "no")];

/// A running Redis server.
pub struct Redis {
    server: Server,
}

impl Redis {
    /// A new, empty server with `settings` (each a name and a value of `redis.conf`)
    /// on top of the defaults.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start(settings: &[(&str, &str)]) -> Result<Redis> {
        let mut args: Vec<String> =
            ["--bind", "127.0.0.1", "--port", "${PORT}", "--dir", "${FOLDER}"]
                .map(str::to_owned)
                .to_vec();
        for (name, value) in SETTINGS.iter().chain(settings) {
            args.extend([format!("--{name}"), value.to_string()]);
        }
        let server = Launch::new(REDIS).args(args).ready(answers).start()?;
        Ok(Redis { server })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn connect(&self) -> Result<Connection> {
        connect(self.addr()).context("connect to Redis")
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

/// The number behind `name:` in what the server says of itself, such as
/// `used_memory`.
///
/// # Errors
/// When the server does not answer or has no such number.
pub fn info(connection: &mut Connection, name: &str) -> Result<u64> {
    let text: String = cmd("INFO").query(connection).context("ask for INFO")?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
        .with_context(|| format!("INFO has no number {name}"))
}

fn answers(addr: SocketAddr) -> bool {
    let ping = |mut connection| cmd("PING").query::<String>(&mut connection);
    connect(addr).and_then(ping).is_ok()
}

fn connect(addr: SocketAddr) -> ::redis::RedisResult<Connection> {
    let addr = ConnectionAddr::Tcp(addr.ip().to_string(), addr.port());
    let client = Client::open(addr.into_connection_info()?)?;
    let connection = client.get_connection_with_timeout(ANSWER_WITHIN)?;
    connection.set_read_timeout(Some(ANSWER_WITHIN))?;
    connection.set_write_timeout(Some(ANSWER_WITHIN))?;
    Ok(connection)
}
