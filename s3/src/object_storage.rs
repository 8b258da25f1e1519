//! The object storage chapter's questions, put to a server that speaks S3.
//!
//! The questions, the chapter's own store and the signing of URLs are the chapter's
//! own files; here the questions get another store. Every request to it is a
//! presigned URL of the chapter's own making, over a connection of its own: whatever
//! the server answers, it has checked our signature first.
//!
//! May know of those files and of HTTP; prints nothing.

use crate::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};
use anyhow::{Context, Result, bail, ensure};
use presigned::{Credentials, Request, Seconds, presign};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::{Answer, Body, Client, ETag, Page, Refusal, Upload, Version, When};
use tokio::runtime::Runtime;

#[allow(missing_docs)]
#[rustfmt::skip]
#[path = "../../examples/object_storage_store/scenario.rs"]
pub mod scenario;

#[allow(missing_docs)]
#[rustfmt::skip]
#[path = "../../examples/object_storage_store/store.rs"]
pub mod store;

#[allow(missing_docs, dead_code)]
#[rustfmt::skip]
#[path = "../../examples/object_storage_presigned.rs"]
pub mod presigned;

/// The version of the server, as in `Cargo.lock`.
pub const S3S: (&str, &str) = ("s3s", "0.14.1");

/// What the server knows, and whoever signs.
pub const CREDENTIALS: Credentials<'static> = Credentials {
    access_key: ACCESS_KEY,
    secret_key: SECRET_KEY,
    region: "us-east-1",
};

/// How long to wait for a server in the same process.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, and the threads on which it runs.
pub struct Running {
    /// Dropped first: it ends its tasks.
    pub server: Server,
    _threads: Runtime,
}

/// Starts a server for programs that wait for each answer.
///
/// # Errors
/// When there are no threads, or no server, to be had.
pub fn start() -> Result<Running> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let threads = threads.enable_all().build().context("start the threads")?;
    let server = threads.block_on(Server::start())?;
    Ok(Running { server, _threads: threads })
}

/// The time now.
///
/// # Errors
/// When the clock is before 1970.
pub fn now() -> Result<Seconds> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since.context("the clock is before 1970")?.as_secs())
}

/// A request for this key of the bucket, not yet signed.
pub fn request(
    addr: SocketAddr,
    method: &str,
    key: &str,
    query: &[(&str, &str)],
) -> Request {
    let own = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    Request {
        method: method.into(),
        host: addr.to_string(),
        path: format!("/{BUCKET}/{key}"),
        query: query.iter().map(own).collect(),
    }
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    head: String,
    /// What came after the head.
    pub body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn etag(&self) -> ETag {
        ETag(self.header("etag").unwrap_or_default().trim_matches('"').to_owned())
    }

    /// Each text between `<name>` and `</name>`. For the few answers that are read
    /// here, that is all the XML there is.
    fn all(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body);
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = text.split(&open).skip(1);
        let parts = parts.filter_map(|part| part.split(&close).next());
        parts.map(|part| part.replace("&quot;", "\"")).collect()
    }

    /// The first of them, if there is one.
    pub fn first(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }
}

/// A connection on which a request has been begun.
pub struct Begun(TcpStream);

/// Sends the head and as much of the body as there is already. `len` is that of the
/// whole body.
///
/// # Errors
/// When nobody listens there.
pub fn begin(
    request: &Request,
    headers: &[(&str, &str)],
    body: &[u8],
    len: usize,
) -> Result<Begun> {
    let host = &request.host;
    let mut stream = TcpStream::connect(host.as_str()).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE)).context("set a limit")?;
    let url = request.to_string();
    let target = url.strip_prefix(host).unwrap_or(&url);
    let mut head =
        format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n", request.method);
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {len}\r\nConnection: close\r\n\r\n");
    // In one piece: a server that refuses has then read what it refuses.
    stream.write_all(&[head.as_bytes(), body].concat()).context("send")?;
    Ok(Begun(stream))
}

impl Begun {
    /// Sends the rest of the body and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is not HTTP.
    pub fn finish(mut self, rest: &[u8]) -> Result<Response> {
        self.0.write_all(rest).context("send the rest")?;
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).context("read the answer")?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.context("the answer has no end of its head")?;
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).context("the head is not text")?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut response =
            Response { status: status.context("no status")?, head, body };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = unchunked(&response.body)?;
        }
        Ok(response)
    }
}

/// A body that was sent in chunks, each behind a line with its length.
fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n");
        let line = line.context("a chunk has no length")?;
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..line])?, 16)?;
        let chunk = rest.get(line + 2..line + 2 + len).context("a chunk is cut")?;
        if len == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(chunk);
        rest = rest.get(line + 4 + len..).context("a chunk is cut")?;
    }
}

/// Sends a request as it is.
///
/// # Errors
/// Those of [`begin`] and [`Begun::finish`].
pub fn send(
    request: &Request,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    begin(request, headers, body, body.len())?.finish(&[])
}

/// Signs, for a minute, and sends.
///
/// # Errors
/// Those of [`send`].
pub fn signed(
    request: Request,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    send(&presign(request, &CREDENTIALS, now()?, 60), headers, body)
}

/// Two clients create the same key, each on the condition that it is absent. The
/// first has sent the head of its request when the second comes and goes. Returns
/// both statuses, and whose bytes are there in the end.
///
/// # Errors
/// When a request fails otherwise than by a refusal.
pub fn race(server: &Server) -> Result<(u16, u16, String)> {
    let put = request(server.addr(), "PUT", "raced", &[]);
    let put = presign(put, &CREDENTIALS, now()?, 60);
    let absent = [("If-None-Match", "*")];
    let first = begin(&put, &absent, b"fi", 5)?;
    wait_for_open_file(server)?;
    let second = send(&put, &absent, b"second")?;
    let first = first.finish(b"rst")?;
    // It does know the condition: one after the other, nobody overwrites.
    let third = send(&put, &absent, b"third")?.status;
    ensure!(third == 412, "the condition is ignored: {third}");
    let stored = signed(request(server.addr(), "GET", "raced", &[]), &[], &[])?;
    let stored = String::from_utf8_lossy(&stored.body).into_owned();
    Ok((first.status, second.status, stored))
}

/// Until the server has looked at the condition and opened a file for the body.
fn wait_for_open_file(server: &Server) -> Result<()> {
    let start = Instant::now();
    loop {
        for entry in std::fs::read_dir(server.folder()).context("list the files")? {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with(".tmp.") {
                return Ok(());
            }
        }
        ensure!(start.elapsed() < PATIENCE, "the server opens no file");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The server as a store.
pub struct Remote {
    addr: SocketAddr,
}

impl Remote {
    /// Of this server.
    pub fn new(server: &Server) -> Remote {
        Remote { addr: server.addr() }
    }

    fn ask(
        &self,
        method: &str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer<Response> {
        match signed(request(self.addr, method, key, query), headers, body) {
            Err(error) => Err(Refusal { status: 0, code: format!("{error:#}") }),
            Ok(response) if response.status < 300 => Ok(response),
            Ok(response) => {
                let code = response.first("Code").unwrap_or_default();
                Err(Refusal { status: response.status, code })
            }
        }
    }
}

impl Client for Remote {
    fn put(&mut self, key: &str, bytes: &[u8], when: When) -> Answer<ETag> {
        let quoted;
        let headers = match when {
            When::Always => None,
            When::Absent => Some(("If-None-Match", "*")),
            When::Unchanged(ETag(etag)) => {
                quoted = format!("\"{etag}\"");
                Some(("If-Match", quoted.as_str()))
            }
        };
        Ok(self.ask("PUT", key, &[], headers.as_slice(), bytes)?.etag())
    }

    fn get(&mut self, key: &str, range: &str) -> Answer<Body> {
        let headers = [("Range", range)];
        let headers = if range.is_empty() { &[][..] } else { &headers[..] };
        let response = self.ask("GET", key, &[], headers, &[])?;
        let (status, etag) = (response.status, response.etag());
        Ok(Body { status, etag, bytes: response.body })
    }

    fn delete(&mut self, key: &str) -> Answer<()> {
        self.ask("DELETE", key, &[], &[], &[]).map(drop)
    }

    fn copy(&mut self, from: &str, to: &str) -> Answer<ETag> {
        let source = format!("/{BUCKET}/{from}");
        let headers = [("x-amz-copy-source", source.as_str())];
        let response = self.ask("PUT", to, &[], &headers, &[])?;
        let etag = response.first("ETag").unwrap_or_default();
        Ok(ETag(etag.trim_matches('"').to_owned()))
    }

    fn list(
        &mut self,
        prefix: &str,
        next: Option<&str>,
        max: usize,
    ) -> Answer<Page> {
        let max = max.to_string();
        let mut query = vec![
            ("list-type", "2"),
            ("delimiter", "/"),
            ("prefix", prefix),
            ("max-keys", &max),
        ];
        query.extend(next.map(|token| ("continuation-token", token)));
        let response = self.ask("GET", "", &query, &[], &[])?;
        // The first <Prefix> is the one that was asked for.
        let is_asked = |found: &String| found == prefix;
        let mut prefixes = response.all("Prefix");
        if prefixes.first().is_some_and(is_asked) {
            prefixes.remove(0);
        }
        let next = response.first("NextContinuationToken");
        Ok(Page { keys: response.all("Key"), prefixes, next })
    }

    fn part_bytes_min(&self) -> usize {
        5 << 20
    }

    fn begin(&mut self, key: &str) -> Answer<Upload> {
        let response = self.ask("POST", key, &[("uploads", "")], &[], &[])?;
        let id = response.first("UploadId").unwrap_or_default();
        Ok(Upload { key: key.to_owned(), id })
    }

    fn put_part(&mut self, to: &Upload, number: u32, bytes: &[u8]) -> Answer<ETag> {
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", &to.id)];
        Ok(self.ask("PUT", &to.key, &query, &[], bytes)?.etag())
    }

    fn complete(&mut self, upload: &Upload, parts: &[(u32, ETag)]) -> Answer<ETag> {
        let part = |(number, ETag(etag)): &(u32, ETag)| {
            let number = format!("<PartNumber>{number}</PartNumber>");
            format!("<Part>{number}<ETag>\"{etag}\"</ETag></Part>")
        };
        let parts: String = parts.iter().map(part).collect();
        let body =
            format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let query = [("uploadId", upload.id.as_str())];
        let response =
            self.ask("POST", &upload.key, &query, &[], body.as_bytes())?;
        let etag = response.first("ETag").unwrap_or_default();
        Ok(ETag(etag.trim_matches('"').to_owned()))
    }

    fn abort(&mut self, upload: &Upload) -> Answer<()> {
        let query = [("uploadId", upload.id.as_str())];
        self.ask("DELETE", &upload.key, &query, &[], &[]).map(drop)
    }

    fn keep_versions(&mut self) -> Answer<()> {
        let body = "<VersioningConfiguration><Status>Enabled</Status>\
                    </VersioningConfiguration>";
        self.ask("PUT", "", &[("versioning", "")], &[], body.as_bytes()).map(drop)
    }

    fn versions(&mut self, key: &str) -> Answer<Vec<Version>> {
        let query = [("versions", ""), ("prefix", key)];
        let response = self.ask("GET", "", &query, &[], &[])?;
        let id = |id| Version { id, is_marker: false };
        Ok(response.all("VersionId").into_iter().map(id).collect())
    }

    fn delete_version(&mut self, key: &str, id: &str) -> Answer<()> {
        self.ask("DELETE", key, &[("versionId", id)], &[], &[]).map(drop)
    }
}

/// The questions, and both answers.
///
/// # Errors
/// When a question has no answer.
pub fn both(server: &Server) -> Result<Vec<(&'static str, String, String)>> {
    let ours = scenario::scenario(&mut store::Store::default());
    let theirs = scenario::scenario(&mut Remote::new(server));
    let mut rows = Vec::new();
    let mut rest = theirs.as_slice();
    for (step, ours) in ours {
        match rest {
            [(same, theirs), more @ ..] if *same == step => {
                rows.push((step, ours, theirs.clone()));
                rest = more;
            }
            _ => rows.push((step, ours, "-".to_owned())), // led to by another step
        }
    }
    if let Some((step, answer)) = rest.first() {
        bail!("only the server was asked: {step}: {answer}");
    }
    Ok(rows)
}

/// What a program's `main` returns: an error becomes one line on standard error, its
/// causes behind it, and exit code 1.
pub fn exit_code(outcome: Result<()>) -> std::process::ExitCode {
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
