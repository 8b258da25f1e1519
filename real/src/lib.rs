//! Real servers for the book: start one on loopback, use it, leave nothing behind.
//!
//! A chapter explains a mechanism with a program of its own. This crate puts the
//! same question to the servers that people run, and prints what they did.
//!
//! | module | what it does | what it may know of |
//! |---|---|---|
//! | [`program`] | finds an installed server | the file system |
//! | [`port`] | reserves a free port of 127.0.0.1 | the kernel |
//! | [`guard`] | ends a server when this process is gone | `sh`, process groups |
//! | [`launch`] | starts, stops, kills, restarts a server | these, and `user` |
//! | [`user`] | whom a server runs as that refuses to be root | `/etc/passwd` |
//! | [`postgres`] | PostgreSQL, a primary or a replica | `launch` |
//! | [`redis`] | Redis, empty, without a disk | `launch` |
//! | [`cut`] | links between members that can be cut | `port` |
//! | [`etcd`] | three etcd members, one of which can be cut off | `launch`, `cut` |
//! | [`nats`] | NATS with JetStream, and a client that waits | `launch` |
//! | [`http`] | the smallest HTTP client | nothing of this crate |
//! | [`backend`] | HTTP servers in threads, to put behind a balancer | `port`, `http` |
//! | [`origin`] | a scripted HTTP server, to put behind a cache | `backend` |
//! | [`varnish`] | Varnish in front of one server | `launch`, `http` |
//! | [`prometheus`] | Prometheus, and the questions of its HTTP API | `launch`, `http` |
//! | [`dns`] | one question to a name server, with a user's network | nothing of this crate |
//! | [`pdns`] | PowerDNS with its GeoIP backend, for two regions | `launch` |
//! | [`machine`] | the "measured on" line | `program` |
//! | [`load_balancer`] | the comparison for that chapter | all of the above |
//! | [`cdn`] | that chapter's cache and Varnish, asked the same | `origin`, `varnish` |
//! | [`acid`] | the chapter's interleavings on PostgreSQL | `postgres` |
//! | [`replication`] | a primary, a replica and what a write is worth | `postgres` |
//! | [`message_queues`] | consumers and a broker, killed in the middle | `nats`, `guard` |
//! | [`caching`] | the chapter's requests on Redis's evictions | `redis` |
//! | [`monitoring`] | a shop that fails, and what Prometheus says | `prometheus` |
//! | [`storage_kinds`] | one shop in four stores | `postgres`, `redis` |
//! | [`geo`] | two regions, a name server that checks them | `pdns`, `dns`, `backend` |
//!
//! Adding a server is one [`Program`](program::Program) constant and one
//! [`Launch`](launch::Launch):
//!
//! ```no_run
//! use real::launch::{http_answers, Launch};
//! use real::program::NGINX;
//!
//! # fn main() -> anyhow::Result<()> {
//! let nginx = Launch::new(NGINX)
//!     .file(
//!         "nginx.conf",
//!         "pid ${FOLDER}/pid; events {} http { server { listen 127.0.0.1:${PORT};
//!          location / { return 200 hello; } } }",
//!     )
//!     .args(["-c", "${FOLDER}/nginx.conf", "-g", "daemon off;"])
//!     .ready(http_answers("/"))
//!     .start()?;
//! println!("{}", real::http::get(nginx.addr(), "/")?.body);
//! # Ok(()) // the server ends here, with everything it started
//! # }
//! ```
//!
//! Deliberately absent: no fixed port, no path outside a temporary folder, no global
//! state, no `unsafe`, no wait without an end.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(not(unix))]
compile_error!(
    "these servers are started as Unix processes: use Linux, macOS or WSL"
);

pub mod acid;
pub mod backend;
pub mod caching;
pub mod cdn;
pub mod cut;
pub mod dns;
pub mod etcd;
pub mod geo;
pub mod guard;
pub mod http;
pub mod launch;
pub mod load_balancer;
pub mod machine;
pub mod message_queues;
pub mod monitoring;
pub mod nats;
pub mod origin;
pub mod pdns;
pub mod port;
pub mod postgres;
pub mod program;
pub mod prometheus;
pub mod redis;
pub mod replication;
pub mod storage_kinds;
pub mod user;
pub mod varnish;

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a program's `main` returns: an error becomes one line on standard error, its
/// causes behind it, and exit code 1.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Asks `done` again and again, every few milliseconds, until it says yes.
/// Returns whether it did before `at_most` had passed; it is asked at least once.
pub fn wait_until(at_most: Duration, mut done: impl FnMut() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(3);
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() >= at_most {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}
