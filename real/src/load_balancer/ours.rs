//! The book's own layer-7 balancer, `examples/load_balancer_layer7.rs`, as it
//! stands.
//!
//! That program checks its servers when it is told to; here a thread tells it to, as
//! often as HAProxy's configuration says. Its listener ends with this process, not
//! with the [`Balancer`](super::Balancer): the program has no need of an end.
//!
//! May know of that program's types.

pub use layer7::adapter::start;

/// The program, copied by `build.rs`; what it does on its own is not used here.
mod layer7 {
    #![allow(dead_code)]

    include!(concat!(env!("OUT_DIR"), "/load_balancer_layer7.rs"));

    /// Inside, because a program's items are private.
    pub mod adapter {
        use super::{balance, Balancer};
        use crate::backend::Backend;
        use crate::http::Response;
        use crate::load_balancer::{self, Balancer as _, PATIENCE};
        use crate::wait_until;
        use anyhow::{ensure, Context, Result};
        use std::net::SocketAddr;
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::sync::mpsc::{self, RecvTimeoutError, Sender};
        use std::sync::Arc;
        use std::thread::{self, JoinHandle};
        use std::time::Duration;

        /// HAProxy's `inter` in `haproxy.cfg`.
        const INTER: Duration = Duration::from_millis(500);

        struct Ours {
            balancer: Arc<Balancer>,
            addr: SocketAddr,
            /// Its count of choices when the last request was looked at.
            choices_seen: AtomicUsize,
            /// Goes up when a round of health checks begins and when it ends, so it
            /// is even between two rounds.
            checks: Arc<AtomicUsize>,
            /// Dropped to end the checks; before `checker`, which is waited for.
            stop: Option<Sender<()>>,
            checker: Option<JoinHandle<()>>,
        }

        /// Starts the balancer, with a round of health checks every 500 ms.
        ///
        /// # Errors
        /// When it cannot listen, or does not check its servers.
        pub fn start(
            backends: &[Backend; 3],
        ) -> Result<Box<dyn load_balancer::Balancer>> {
            let servers = backends.each_ref().map(|b| super::Backend {
                name: b.name(),
                prefix: "/",
                addr: b.addr(),
                up: true,
                against: 0,
                draining: false,
            });
            let (balancer, addr) =
                balance(&servers.each_ref()).context("start the book's balancer")?;
            let checks = Arc::new(AtomicUsize::new(0));
            let (stop, stopped) = mpsc::channel();
            let (checked, counted) = (Arc::clone(&balancer), Arc::clone(&checks));
            let checker = thread::spawn(move || loop {
                counted.fetch_add(1, Ordering::SeqCst);
                checked.check(1);
                counted.fetch_add(1, Ordering::SeqCst);
                if stopped.recv_timeout(INTER) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            });
            let ours = Ours {
                balancer,
                addr,
                choices_seen: AtomicUsize::new(0),
                checks,
                stop: Some(stop),
                checker: Some(checker),
            };
            ours.wait_for_a_check()?;
            Ok(Box::new(ours))
        }

        impl load_balancer::Balancer for Ours {
            fn addr(&self) -> SocketAddr {
                self.addr
            }

            /// It counts how often it has chosen a server by turn: once a request,
            /// and once more for each server that refused. True of requests without
            /// a cookie that come one after the other.
            fn retried(&self, _response: &Response) -> bool {
                let choices = self.balancer.turn.load(Ordering::SeqCst);
                choices - self.choices_seen.swap(choices, Ordering::SeqCst) > 1
            }

            fn checks(&self) -> usize {
                self.checks.load(Ordering::SeqCst)
            }

            fn wait_for_a_check(&self) -> Result<()> {
                let before = self.checks();
                let checked = || {
                    let now = self.checks();
                    now > before && now.is_multiple_of(2)
                };
                ensure!(wait_until(PATIENCE, checked), "no more health checks");
                Ok(())
            }

            fn wait_without_requests(&self, dead: &Backend) -> Result<()> {
                let is_out = || {
                    let backends = self.balancer.backends();
                    backends.iter().any(|b| b.name == dead.name() && !b.up)
                };
                ensure!(wait_until(PATIENCE, is_out), "it noticed nothing");
                Ok(())
            }

            fn drain(&mut self, backend: &Backend) -> Result<()> {
                for b in self.balancer.backends().iter_mut() {
                    b.draining |= b.name == backend.name();
                }
                Ok(())
            }
        }

        impl Drop for Ours {
            fn drop(&mut self) {
                self.stop = None;
                if let Some(checker) = self.checker.take() {
                    let _ = checker.join();
                }
            }
        }
    }
}
