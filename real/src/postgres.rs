//! PostgreSQL on loopback: a primary, and replicas that stream its log.
//!
//! May know of `launch`, `program` and the client crate `postgres`; not of what a
//! chapter asks of it.
//!
//! Deliberately absent: a password. It listens on 127.0.0.1 only, for as long as the
//! program runs.

use crate::launch::{Launch, Server};
use crate::program::{INITDB, PG_BASEBACKUP, POSTGRES};
use anyhow::{Context, Result};
use postgres::{Client, Config, NoTls};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// The superuser that `initdb` is told to make.
pub const SUPERUSER: &str = "reader";
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// What every server of ours has: no sockets in the file system, no shared memory
/// that outlives a kill, and no file of ours in a system folder.
const SETTINGS: [&str; 4] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "dynamic_shared_memory_type=mmap",
    "shared_buffers=16MB",
];

/// A running PostgreSQL server.
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// A new, empty server with `settings` (each `name=value`) on top of the
    /// defaults.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start(settings: &[&str]) -> Result<Postgres> {
        let launch = Launch::new(POSTGRES).prepare(
            INITDB,
            [
                "--pgdata=${FOLDER}/data",
                "--username=reader",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        Postgres::run(launch, settings)
    }

    /// A replica of `primary`: starts as a copy of it and streams its log from then
    /// on, under the name `name`, by which the primary's `synchronous_standby_names`
    /// knows it.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn replica(
        primary: &Postgres,
        name: &str,
        settings: &[&str],
    ) -> Result<Postgres> {
        let addr = primary.addr();
        let source = format!(
            "host={} port={} user={SUPERUSER} application_name={name}",
            addr.ip(),
            addr.port()
        );
        let launch = Launch::new(POSTGRES).prepare(
            PG_BASEBACKUP,
            [
                "--pgdata=${FOLDER}/data",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                &format!("--dbname={source}"),
            ],
        );
        Postgres::run(launch, settings)
    }

    fn run(launch: Launch, settings: &[&str]) -> Result<Postgres> {
        let mut args = vec![
            "-D".to_owned(),
            "${FOLDER}/data".into(),
            "-p".into(),
            "${PORT}".into(),
        ];
        for setting in SETTINGS.iter().chain(settings) {
            args.extend(["-c".to_owned(), setting.to_string()]);
        }
        let server = launch
            .args(args)
            .not_root()
            .stop_signal(Signal::INT) // ends its clients instead of waiting for them
            .ready(|addr| connect(addr, SUPERUSER, "probe").is_ok())
            .start()?;
        Ok(Postgres { server })
    }

    /// A connection of its own, called `name` in the server's tables.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn connect(&self, name: &str) -> Result<Client> {
        self.connect_as(SUPERUSER, name)
    }

    /// The same for a user who is not the superuser, and exists already.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn connect_as(&self, user: &str, name: &str) -> Result<Client> {
        connect(self.addr(), user, name)
            .with_context(|| format!("connect to PostgreSQL as {name}"))
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

/// A server that was killed leaves a block of shared memory, 56 bytes of System V's
/// kind, which tells whether its processes still live. Its next start would remove it.
impl Drop for Postgres {
    fn drop(&mut self) {
        let notes = self.server.folder().join("data/postmaster.pid");
        self.server.stop();
        let notes = std::fs::read_to_string(notes).unwrap_or_default();
        if let Some(block) = shared_memory(&notes) {
            let _ = Command::new("ipcrm").args(["-m", block]).output();
        }
    }
}

/// The number of the shared memory in `postmaster.pid`, which a server removes when it
/// ends as it should: the second word of the seventh line.
fn shared_memory(notes: &str) -> Option<&str> {
    notes.lines().nth(6)?.split_whitespace().nth(1)
}

fn connect(
    addr: SocketAddr,
    user: &str,
    name: &str,
) -> Result<Client, postgres::Error> {
    Config::new()
        .host(&addr.ip().to_string())
        .port(addr.port())
        .user(user)
        .dbname("postgres")
        .application_name(name)
        .connect_timeout(CONNECT_WITHIN)
        .connect(NoTls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_memory_is_read_from_the_server_s_notes() {
        let notes = "123\n/tmp/data\n1763770000\n5432\n\n127.0.0.1\n  10052671   32827\nready   \n";
        assert_eq!(shared_memory(notes), Some("32827"));
        assert_eq!(shared_memory("123\n"), None);
    }
}
