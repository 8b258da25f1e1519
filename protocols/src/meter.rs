//! Counts what a client sends and receives, on the stream below its library.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Connections opened, bytes to the server, bytes to the client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub connections: u64,
    pub up: u64,
    pub down: u64,
}

impl std::ops::Sub for Counts {
    type Output = Counts;

    fn sub(self, earlier: Counts) -> Counts {
        Counts {
            connections: self.connections - earlier.connections,
            up: self.up - earlier.up,
            down: self.down - earlier.down,
        }
    }
}

/// Opens connections and counts. Clones share the counts.
#[derive(Clone, Default)]
pub struct Meter(Arc<Cells>);

#[derive(Default)]
struct Cells {
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

impl Meter {
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(&self, addr: SocketAddr) -> io::Result<Metered> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?; // small messages that must not wait for others
        self.0.connections.fetch_add(1, Relaxed);
        Ok(Metered { stream, cells: Arc::clone(&self.0) })
    }

    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.0.connections.load(Relaxed),
            up: self.0.up.load(Relaxed),
            down: self.0.down.load(Relaxed),
        }
    }
}

/// A TCP stream whose bytes are counted.
pub struct Metered {
    stream: TcpStream,
    cells: Arc<Cells>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.cells.down.fetch_add(read as u64, Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.cells.up.fetch_add(written as u64, Relaxed);
        }
        polled
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
