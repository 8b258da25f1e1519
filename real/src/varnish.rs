//! Varnish in front of one server, with a program in its own language (VCL).
//!
//! Varnish turns VCL into C and calls `cc`, so a start takes about half a second;
//! Debian's package brings a compiler. Everything that it writes lies in the
//! server's folder, its shared memory too (`-n`). It changes to no other user (`-j
//! none`): where this process is root, the launcher has made it somebody else
//! already. It takes no orders while it runs (`-T none`); what a client may ask of
//! it, its VCL says.
//!
//! Each VCL begins with `real/config/cdn/marks.vcl`, which makes it tell what it
//! did.
//!
//! May know of `launch` and `http`.

use crate::http;
use crate::launch::{http_answers, Launch, Server};
use crate::program::VARNISH;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Nothing but marks: each decision is the built-in VCL's.
pub const BUILT_IN: &str = "";
/// What a site may add to it.
pub const CAREFUL: &str = include_str!("../config/cdn/careful.vcl");
/// What a site must not do to it.
pub const LEAKY: &str = include_str!("../config/cdn/leaky.vcl");

const MARKS: &str = include_str!("../config/cdn/marks.vcl");
/// How much Varnish may store, and how much of a log it keeps in shared memory; 100
/// MB and 80 MB where nothing is said.
const STORAGE: &str = "malloc,8m";
const LOG_SPACE: &str = "vsl_space=2m";
/// One pool of worker threads is enough; see [`Varnish::parked`].
const POOLS: &str = "thread_pools=1";
/// Its working directory, inside the server's folder.
const FOLDER: &str = "varnish";

/// A Varnish that runs. It ends when it is dropped.
pub struct Varnish {
    server: Server,
}

impl Varnish {
    /// Starts Varnish in front of the server at `origin`. What `vcl` leaves open,
    /// the built-in VCL decides.
    ///
    /// # Errors
    /// As [`Launch::start`]; when `vcl` does not compile, the text says where.
    pub fn start(vcl: &str, origin: SocketAddr) -> Result<Varnish> {
        let server = Launch::new(VARNISH)
            .file("edge.vcl", &format!("{MARKS}\n{vcl}"))
            .set("ORIGIN_PORT", origin.port())
            .args([
                "-F", "-j", "none", "-T", "none", "-s", STORAGE, "-p", LOG_SPACE,
                "-p", POOLS,
            ])
            .args(["-n", &format!("${{FOLDER}}/{FOLDER}")])
            .args(["-a", "127.0.0.1:${PORT}", "-f", "${FOLDER}/edge.vcl"])
            .not_root()
            .ready(http_answers("/ready"))
            .start()?;
        Ok(Varnish { server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The server, to look at its processes and its folder.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How many times a request was parked because the same object was being
    /// fetched.
    ///
    /// # Errors
    /// When `varnishstat`, which comes with Varnish, does not tell.
    pub fn parked(&self) -> Result<usize> {
        const COUNTER: &str = "MAIN.busy_sleep";
        // A worker thread hands its counts in when it has worked, unless another is
        // about to: this one request brings in whatever was left.
        http::get(self.addr(), "/ready")?;
        let folder: PathBuf = self.server.folder().join(FOLDER);
        let output = Command::new("varnishstat")
            .arg("-n")
            .arg(folder)
            .args(["-1", "-f", COUNTER])
            .stdin(Stdio::null())
            .output()
            .context("run varnishstat")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let mut words = printed.split_whitespace();
        let value = words.find(|word| *word == COUNTER).and(words.next());
        value
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("varnishstat printed no {COUNTER}: {printed}"))
    }
}
