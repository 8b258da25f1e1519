//! The smallest HTTP client that asks the shop, and a reader of one line of its
//! `/metrics`.
//!
//! May know of nothing else in this crate.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a connection, a write or a read may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    head: String,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Sends a request without a body; the answer is still to be read.
///
/// # Errors
/// When nobody listens there.
pub fn send(addr: SocketAddr, method: &str, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)
        .with_context(|| format!("connect to {addr}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).context("send the request")?;
    Ok(stream)
}

/// Sends a request without a body and reads the answer.
///
/// # Errors
/// When nobody listens there, or what comes is no whole HTTP/1 answer.
pub fn ask(addr: SocketAddr, method: &str, path: &str) -> Result<Answer> {
    let mut bytes = Vec::new();
    let stream = send(addr, method, path)?;
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).context("read")?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("no whole answer")?;
    ensure!(head.starts_with("HTTP/1.1 "), "not an HTTP/1.1 answer: {head}");
    let status = head.split(' ').nth(1).context("no status")?;
    let status = status.parse().with_context(|| format!("status {status}"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The value of the series with exactly this name and these labels, as `/metrics`
/// writes them.
pub fn value(metrics: &str, series: &str) -> Option<f64> {
    let mut lines = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    lines.find(|(name, _)| *name == series)?.1.parse().ok()
}
