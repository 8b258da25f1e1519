//! The ticks, and when each is there.
//!
//! No clock: a tick is there once the program publishes it. So a client can be made
//! to wait for each, and every run sends the same messages in the same order.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::watch;

/// A price, the message that is moved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tick {
    pub id: u64,
    pub symbol: String,
    pub cents: i64,
}

impl Tick {
    /// The tick with this number; prices stay at five digits.
    pub fn new(id: u64) -> Tick {
        let cents = 10_000 + (id * 37 % 500) as i64;
        Tick { id, symbol: "RUST".to_owned(), cents }
    }
}

/// Where the ticks come from. Clones share it.
#[derive(Clone)]
pub struct Feed(Arc<watch::Sender<u64>>);

impl Feed {
    /// No tick is there yet.
    pub fn start() -> Feed {
        Feed(Arc::new(watch::Sender::new(0)))
    }

    /// The number of the newest tick that is there; 0 is none.
    pub fn newest(&self) -> u64 {
        *self.0.borrow()
    }

    /// One more tick is there.
    pub fn publish(&self) {
        self.0.send_modify(|newest| *newest += 1);
    }

    /// Returns once someone waits for a tick.
    pub async fn awaited(&self) {
        while self.0.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// The tick, once it is there.
    pub async fn tick(&self, id: u64) -> Tick {
        let mut newest = self.0.subscribe();
        // An error means that the sender is gone, and `self` holds it.
        let _ = newest.wait_for(|newest| *newest >= id).await;
        Tick::new(id)
    }
}
