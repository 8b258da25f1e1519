//! The ticks in WebSocket frames, with tungstenite.

use crate::feed::{Feed, Tick};
use crate::meter::{Meter, Metered};
use crate::HOST;
use anyhow::{bail, Context, Result};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async, WebSocketStream};

/// Sends every tick from now on, until the client is gone.
///
/// # Errors
/// When no port is free.
pub async fn serve(feed: Feed) -> std::io::Result<SocketAddr> {
    let (listener, addr) = crate::listen().await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let feed = feed.clone();
            let next = feed.newest() + 1; // before the client learns that it is in
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                for id in next.. {
                    let tick = feed.tick(id).await;
                    let text = Message::text(crate::http::json(&tick));
                    if socket.send(text).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(addr)
}

pub struct Client(WebSocketStream<Metered>);

impl Client {
    /// # Errors
    /// When nobody listens there, or not for WebSocket.
    pub async fn connect(meter: &Meter, addr: SocketAddr) -> Result<Client> {
        let stream = meter.connect(addr).await?;
        let (socket, _) = client_async(format!("ws://{HOST}/"), stream).await?;
        Ok(Client(socket))
    }

    /// # Errors
    /// When the connection ends or a message is no tick.
    pub async fn next(&mut self) -> Result<Tick> {
        match self.0.next().await.context("the stream has ended")?? {
            Message::Text(text) => Ok(serde_json::from_str(&text)?),
            other => bail!("not a tick: {other:?}"),
        }
    }

    /// The client may speak at any time; this server does not listen.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        Ok(self.0.send(Message::text(text)).await?)
    }
}
