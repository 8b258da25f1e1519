//! One price feed, and four ways to bring it to a client: the protocols of the
//! chapter "Moving data" with the libraries that people use.
//!
//! | module | what it does | what it may know of |
//! |---|---|---|
//! | [`feed`] | the ticks, and when each is there | nothing of this crate |
//! | [`meter`] | counts connections and bytes of a client | nothing of this crate |
//! | [`http`] | polling, long polling and server-sent events | `feed`, `meter` |
//! | [`websocket`] | the same ticks in WebSocket frames | `feed`, `meter` |
//! | [`grpc`] | the same ticks as a gRPC service | `feed`, `meter` |
//! | [`ways`] | the comparison: each way brings 100 ticks | all of the above |
//! | [`orders`] | one order in three formats | nothing of this crate |
//!
//! What is counted are the bytes that a client writes into and reads from its TCP
//! connections: no TLS, no TCP and IP headers. No port number is among them, so the
//! counts are the same on every run.

pub mod feed;
pub mod grpc;
pub mod http;
pub mod meter;
pub mod orders;
pub mod ways;
pub mod websocket;

use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// What the clients call the server: its address has a port, which differs.
pub const HOST: &str = "prices.example";

/// Generated from `proto/`.
pub mod prices_v1 {
    tonic::include_proto!("prices.v1");
}

/// Generated from `proto/`.
pub mod orders_v1 {
    tonic::include_proto!("orders.v1");
}

/// A listener on a free port of the loopback interface, and its address.
async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}
