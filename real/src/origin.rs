//! An origin that follows a script: what it answers below each path, and what it
//! was asked.
//!
//! Every whole answer has a number of its own in the header [`NUMBER`], so a client
//! can tell a stored answer from a new one, whatever a cache says of it. Its body
//! names whose request it answers, by the cookie. A request whose `If-None-Match`
//! is the page's `ETag` is answered with 304.
//!
//! May know of `backend` and of the types of `http`.

use crate::backend::Backend;
use crate::http::{Request, Response};
use anyhow::Result;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The header with the number of an answer, counted up from 1 over all pages.
pub const NUMBER: &str = "x-answer";

/// What the origin does with a request for a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    #[default]
    Well,
    /// It answers 503 without any header.
    Answers503,
    /// It closes the connection without an answer.
    Closes,
}

/// What the origin was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The request.
    pub request: Request,
    /// The status of its answer; 0 where it had none.
    pub status: u16,
}

/// The origin. It ends when it is dropped.
pub struct Origin {
    backend: Backend,
    site: Arc<Mutex<Site>>,
}

#[derive(Default)]
struct Site {
    /// By path without its query.
    pages: HashMap<String, Page>,
    answers: usize,
    seen: Vec<Seen>,
}

#[derive(Default)]
struct Page {
    headers: Vec<(String, String)>,
    health: Health,
}

impl Origin {
    /// Starts an origin without any page: it answers 404.
    ///
    /// # Errors
    /// When the kernel gives no port.
    pub fn start() -> Result<Origin> {
        let site = Arc::new(Mutex::new(Site::default()));
        let for_threads = Arc::clone(&site);
        let answer = move |request: &Request| lock(&for_threads).answer(request);
        Ok(Origin { backend: Backend::answering("origin", answer)?, site })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.backend.addr()
    }

    /// From now on a page at `path`, with any query, whose answers have `headers`.
    /// A page whose path ends in `/hold` is answered on [`Origin::release`].
    pub fn page(&self, path: &str, headers: &[(&str, &str)]) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
            .collect();
        let page = Page { headers, health: Health::Well };
        lock(&self.site).pages.insert(path.to_owned(), page);
    }

    /// Makes one page fail, or not any more.
    pub fn health(&self, path: &str, health: Health) {
        if let Some(page) = lock(&self.site).pages.get_mut(path) {
            page.health = health;
        }
    }

    /// All requests for `path`, with any query, in the order of their coming.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let site = lock(&self.site);
        let of_page = |seen: &&Seen| without_query(&seen.request.path) == path;
        site.seen.iter().filter(of_page).cloned().collect()
    }

    /// How many whole answers it has given: the highest number so far.
    pub fn answers(&self) -> usize {
        lock(&self.site).answers
    }

    /// How many requests it keeps waiting now.
    pub fn holding(&self) -> usize {
        self.backend.holding()
    }

    /// Answers every request that is kept waiting now.
    pub fn release(&self) {
        self.backend.release();
    }
}

impl Site {
    fn answer(&mut self, request: &Request) -> Option<Response> {
        let answer = self.page(request);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        self.seen.push(Seen { request: request.clone(), status });
        answer
    }

    fn page(&mut self, request: &Request) -> Option<Response> {
        let without =
            |status| Response { status, headers: Vec::new(), body: String::new() };
        let Some(page) = self.pages.get(without_query(&request.path)) else {
            return Some(without(404));
        };
        match page.health {
            Health::Well => {}
            Health::Answers503 => return Some(without(503)),
            Health::Closes => return None,
        }
        let mut headers = page.headers.clone();
        let etag = headers.iter().find(|(name, _)| name == "etag");
        let known = request.header("if-none-match");
        if etag.is_some_and(|(_, etag)| known == Some(etag)) {
            return Some(Response { status: 304, headers, body: String::new() });
        }
        self.answers += 1;
        let whom = request.header("cookie").unwrap_or("anybody");
        let body = format!("for {whom}");
        headers.push((NUMBER.to_owned(), self.answers.to_string()));
        Some(Response { status: 200, headers, body })
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// A lock that a panicking thread left behind is still good: each change is one
/// step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn a_page_is_answered_with_304_when_its_etag_is_known() -> Result<()> {
        let origin = Origin::start()?;
        origin.page("/a", &[("ETag", "\"1\"")]);
        let ask = |etag| {
            http::send(origin.addr(), "GET", "/a?b", &[("If-None-Match", etag)])
        };
        let (old, known) = (ask("\"0\"")?, ask("\"1\"")?);
        assert_eq!((old.status, old.body.as_str()), (200, "for anybody"));
        assert_eq!((old.header(NUMBER), known.header(NUMBER)), (Some("1"), None));
        assert_eq!((known.status, known.body.as_str()), (304, ""));
        assert_eq!(known.header("etag"), Some("\"1\""));
        let statuses: Vec<u16> =
            origin.seen("/a").iter().map(|seen| seen.status).collect();
        assert_eq!((statuses, origin.seen("/b").len()), (vec![200, 304], 0));
        Ok(())
    }

    #[test]
    fn a_page_fails_as_it_is_told_to() -> Result<()> {
        let origin = Origin::start()?;
        origin.page("/a", &[]);
        origin.health("/a", Health::Answers503);
        assert_eq!(http::get(origin.addr(), "/a")?.status, 503);
        origin.health("/a", Health::Closes);
        assert!(http::get(origin.addr(), "/a").is_err());
        origin.health("/a", Health::Well);
        assert_eq!(http::get(origin.addr(), "/a")?.body, "for anybody");
        assert_eq!(http::get(origin.addr(), "/b")?.status, 404);
        assert_eq!(origin.seen("/a").len(), 3);
        Ok(())
    }
}
