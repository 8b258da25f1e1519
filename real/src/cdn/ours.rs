//! The chapter's own cache, `examples/cdn_http_cache/cache.rs`, as it stands.
//!
//! It opens no socket and reads no clock: here it is given the origin's answers,
//! and a number of seconds that grows when somebody waits.
//!
//! May know of that file's types.

use super::cases::CASES;
use super::{Answer, Did, Edge};
use crate::http;
use crate::origin::Origin;
use anyhow::Result;
use cache::{Cache, Config, Fetch, Seconds, Step};
use std::net::SocketAddr;

/// The chapter's file; what it does on its own is not all used here.
#[allow(dead_code)]
#[rustfmt::skip] // formatted as an example is
#[path = "../../../examples/cdn_http_cache/cache.rs"]
mod cache;

/// The site, as the cache knows it.
const SITE: &str = "https://site.example";

/// Plays all cases, a new cache each.
///
/// # Errors
/// When the origin cannot be started, or the cache does what no cache should.
pub fn play() -> Result<Vec<Did>> {
    let origin = Origin::start()?;
    CASES
        .iter()
        .enumerate()
        .map(|(number, case)| {
            case.play(number, &mut Ours::in_front_of(&origin), &origin)
        })
        .collect()
}

struct Ours {
    cache: Cache,
    now: Seconds,
    origin: SocketAddr,
}

impl Ours {
    fn in_front_of(origin: &Origin) -> Ours {
        let cache = Cache::new(Config::shared());
        Ours { cache, now: 1_000_000, origin: origin.addr() }
    }

    fn fetch(&mut self, fetch: Fetch) -> cache::Response {
        let request = &fetch.request;
        let path = request.uri.strip_prefix(SITE).unwrap_or(&request.uri);
        let headers: Vec<(&str, &str)> = request.headers.iter().collect();
        match http::send(self.origin, &request.method, path, &headers) {
            Ok(answer) => {
                let plain = cache::Response::new(answer.status, &answer.body);
                let response =
                    answer.headers.iter().fold(plain, |response, (name, value)| {
                        response.with(name, value)
                    });
                self.cache.received(fetch, response, self.now)
            }
            // The origin closed the connection.
            Err(_) => self.cache.failed(fetch, self.now),
        }
    }
}

impl Edge for Ours {
    fn ask(&mut self, request: &http::Request) -> Result<Answer> {
        let uri = format!("{SITE}{}", request.path);
        let plain = cache::Request::new(&request.method, &uri);
        let request = request
            .headers
            .iter()
            .fold(plain, |request, (name, value)| request.with(name, value));
        let response = match self.cache.request(&request, self.now) {
            Step::Answer(response) => response,
            Step::Forward(fetch) => self.fetch(fetch),
            Step::AnswerAndForward(response, fetch) => {
                self.fetch(fetch);
                response
            }
        };
        let status = response.headers.get("cache-status").unwrap_or_default();
        // A page may be too old when it arrives: then it is stored, and new.
        let stale = status.contains("ttl=-") && !status.contains("stored");
        let headers = response.headers.iter();
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let cache::Response { status, body, .. } = response;
        Ok(Answer { response: http::Response { status, headers, body }, stale })
    }

    fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }
}
