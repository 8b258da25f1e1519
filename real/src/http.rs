//! The smallest HTTP client that the comparisons need: one request a connection, the
//! answer read to its end. No TLS, no chunked answers, no redirects.
//!
//! The types stand for what a server sees of it too: [`Request`] in, [`Response`] out.
//!
//! May know of nothing else in this crate.

use anyhow::{ensure, Context, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a connection, a write or a read may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code, such as 200.
    pub status: u16,
    /// Names in lower case, in the order of their coming.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Response {
    /// The value of the first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case, in the order of their coming.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of the first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// GETs `path`.
///
/// # Errors
/// As [`send`].
pub fn get(addr: SocketAddr, path: &str) -> Result<Response> {
    send(addr, "GET", path, &[])
}

/// Sends one request without a body and reads the answer.
///
/// # Errors
/// When the server refuses, is slower than [`PATIENCE`], closes early or answers
/// something that is not HTTP/1.
pub fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Response> {
    send_within(PATIENCE, addr, method, path, headers)
}

/// GETs `path` as HTTP/1.0, from a server that would send a long answer chunked.
///
/// # Errors
/// As [`send`].
pub fn get_whole(addr: SocketAddr, path: &str) -> Result<Response> {
    exchange(PATIENCE, "1.0", addr, "GET", path, &[], "")
}

/// POSTs a JSON text, as HTTP/1.0: a server sends no chunked answer to that.
///
/// # Errors
/// As [`send`].
pub fn post_json(addr: SocketAddr, path: &str, json: &str) -> Result<Response> {
    let headers = [("Content-Type", "application/json")];
    exchange(PATIENCE, "1.0", addr, "POST", path, &headers, json)
}

/// [`send`] with another limit for the connection, each write and each read.
///
/// # Errors
/// As [`send`].
pub fn send_within(
    patience: Duration,
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Response> {
    exchange(patience, "1.1", addr, method, path, headers, "")
}

fn exchange(
    patience: Duration,
    version: &str,
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&addr, patience)
        .with_context(|| format!("connect to {addr}"))?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut request = format!("{method} {path} HTTP/{version}\r\nHost: {addr}\r\n");
    request.push_str(&format!(
        "Connection: close\r\nContent-Length: {}\r\n",
        body.len()
    ));
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).context("send the request")?;
    let mut answer = Vec::new();
    let mut stream = stream.take(ANSWER_BYTES_MAX);
    stream.read_to_end(&mut answer).context("read the answer")?;
    parse(method, &String::from_utf8_lossy(&answer))
        .with_context(|| format!("{method} {path} at {addr}"))
}

/// The answer to a request with `method`: to a HEAD it has no body, whatever length it
/// names.
fn parse(method: &str, answer: &str) -> Result<Response> {
    let (head, body) =
        answer.split_once("\r\n\r\n").context("no complete answer")?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    ensure!(first.starts_with("HTTP/1."), "not an HTTP/1 answer: {first}");
    let status = first.split(' ').nth(1).unwrap_or_default();
    let status = status.parse().with_context(|| format!("no status in: {first}"))?;
    let header = |line: &str| -> Result<(String, String)> {
        let (name, value) =
            line.split_once(':').with_context(|| format!("header {line}"))?;
        Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.map(header).collect::<Result<Vec<_>>>()?;
    let response = Response { status, headers, body: body.to_owned() };
    ensure!(
        response.header("transfer-encoding").is_none(),
        "chunked answers are not read"
    );
    if method == "HEAD" {
        ensure!(body.is_empty(), "the answer to a HEAD has a body");
    } else if let Some(length) = response.header("content-length") {
        let length: usize =
            length.parse().with_context(|| format!("length {length}"))?;
        ensure!(body.len() == length, "{} of {length} bytes came", body.len());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            "HTTP/1.1 200 OK\r\nSet-Cookie: SERVER=a\r\nContent-Length: 2\r\n\r\nhi";
        let response = parse("GET", answer).expect("a complete answer");
        assert_eq!((response.status, response.body.as_str()), (200, "hi"));
        assert_eq!(response.header("set-cookie"), Some("SERVER=a"));
    }

    #[test]
    fn half_an_answer_is_an_error() {
        assert!(parse("GET", "").is_err());
        assert!(
            parse("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh").is_err()
        );
        assert!(parse("GET", "HTTP/1.1 OK\r\n\r\n").is_err());
        assert!(parse("GET", "SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn the_answer_to_a_head_names_a_length_and_has_no_body() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert!(parse("GET", head).is_err());
        assert!(parse("HEAD", head).is_ok());
        assert!(parse("HEAD", &format!("{head}hi")).is_err());
    }
}
