//! NGINX, with `real/config/load_balancer/nginx.conf`.
//!
//! May know of the launcher and of NGINX.

use super::{in_front_of, Balancer};
use crate::backend::Backend;
use crate::http::Response;
use crate::launch::{Launch, Server};
use crate::program::NGINX;
use anyhow::Result;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::Duration;

/// What HAProxy needs at most to notice a death: `fall * inter`.
const PAUSE: Duration = Duration::from_millis(1500);

struct Nginx(Server);

/// Starts NGINX with two worker processes.
///
/// # Errors
/// As [`Launch::start`].
pub fn start(backends: &[Backend; 3]) -> Result<Box<dyn Balancer>> {
    let config = include_str!("../../config/load_balancer/nginx.conf");
    let mut global = "daemon off;".to_owned();
    if rustix::process::geteuid().is_root() {
        // Else its workers become `nobody`, who may not enter the temporary folder.
        global.push_str(" user root;");
    }
    let launch = Launch::new(NGINX)
        .file("nginx.conf", config)
        .args([
            "-e",
            "stderr",
            "-p",
            "${FOLDER}",
            "-c",
            "${FOLDER}/nginx.conf",
            "-g",
        ])
        .args([global]);
    Ok(Box::new(Nginx(in_front_of(backends, launch)?)))
}

impl Balancer for Nginx {
    fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    fn retried(&self, response: &Response) -> bool {
        response.header("x-upstreams").is_some_and(|servers| servers.contains(','))
    }

    /// It has no way to notice, so this is a pause as long as HAProxy's would be.
    fn wait_without_requests(&self, _dead: &Backend) -> Result<()> {
        std::thread::sleep(PAUSE);
        Ok(())
    }

    fn drain(&mut self, backend: &Backend) -> Result<()> {
        let down = format!("{} down", backend.addr());
        self.0.reload(&backend.name().to_uppercase(), down, Signal::HUP)
    }
}
