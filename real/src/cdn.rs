//! The parts of the comparison that the program `cdn` prints: the same questions
//! put to a cache that people run and to the chapter's own.
//!
//! - [`cases`]: what is asked, a row of the table each;
//! - [`ours`]: the chapter's cache, `examples/cdn_http_cache/cache.rs`, as it is;
//! - [`scenes`]: what only Varnish is asked.
//!
//! What a cache did is told by the origin's own list of what it was asked and by
//! the number in each whole answer; a cache's own word is asked for one thing,
//! whether an answer that it had stored was still fresh, and for what the scenes
//! print.
//!
//! May know of the origin and of Varnish.

pub mod cases;
pub mod ours;
pub mod scenes;

use crate::http::{self, Request, Response};
use crate::origin::{Origin, NUMBER};
use crate::varnish::Varnish;
use crate::wait_until;
use anyhow::{bail, ensure, Context, Result};
use std::fmt;
use std::time::Duration;

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It gave an answer that it had stored, and the origin was not asked.
    Hit,
    /// It gave an answer that it had stored and that was not fresh any more. The
    /// origin was asked later, or in vain.
    Stale,
    /// The origin was asked whether the stored answer is still good, and said so.
    Revalidated,
    /// The origin sent a whole answer.
    Fetched,
    /// The client was given an error.
    Failed,
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Did::Hit => "hit",
            Did::Stale => "stale",
            Did::Revalidated => "revalidated",
            Did::Fetched => "fetched",
            Did::Failed => "failed",
        })
    }
}

/// An answer, and whether the cache calls it stale.
pub struct Answer {
    /// What the client was given.
    pub response: Response,
    /// A stored answer that was not fresh any more.
    pub stale: bool,
}

/// A cache between a client and an [`Origin`].
pub trait Edge {
    /// Sends it a request.
    ///
    /// # Errors
    /// When it gives no answer at all.
    fn ask(&mut self, request: &Request) -> Result<Answer>;

    /// Lets seconds pass.
    fn wait(&mut self, seconds: u64);
}

impl Edge for &Varnish {
    fn ask(&mut self, request: &Request) -> Result<Answer> {
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let response =
            http::send(self.addr(), &request.method, &request.path, &headers)?;
        let stale = response.header("x-did") == Some("stale");
        Ok(Answer { response, stale })
    }

    fn wait(&mut self, seconds: u64) {
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

/// Sends a request and says what the cache did.
///
/// # Errors
/// When the cache gives no answer, or one that fits none of [`Did`].
pub fn ask(edge: &mut dyn Edge, origin: &Origin, request: &Request) -> Result<Did> {
    let path = without_query(request);
    let (asked, answers) = (origin.seen(path).len(), origin.answers());
    let answer = edge.ask(request)?;
    let seen: Vec<u16> =
        origin.seen(path)[asked..].iter().map(|seen| seen.status).collect();
    let number = answer.response.header(NUMBER).and_then(|n| n.parse().ok());
    let stored = number.is_some_and(|number: usize| number <= answers);
    did(&answer, stored, &seen).with_context(|| {
        format!("{} {}: {:?}", request.method, request.path, answer.response)
    })
}

/// `stored`: the origin had given this answer before the client asked; `seen`: the
/// statuses of what it gave until the client had its answer.
fn did(answer: &Answer, stored: bool, seen: &[u16]) -> Result<Did> {
    let did = match (stored, seen) {
        _ if answer.response.status >= 500 => Did::Failed,
        // The origin may have been asked behind the client's back by now.
        (true, _) if answer.stale => return Ok(Did::Stale),
        (true, []) => Did::Hit,
        (true, [304]) => Did::Revalidated,
        (false, [200]) => Did::Fetched,
        _ => bail!("stored: {stored}, the origin gave {seen:?}"),
    };
    ensure!(!answer.stale, "{did}, and called stale");
    Ok(did)
}

/// Asks again and again until the origin has been asked `times` more, and says what
/// the last client saw: a cache that asks behind a client's back shows only to the
/// next one what it has learned. For a page of which a stale answer is stored.
///
/// # Errors
/// As [`ask`], and when the origin is not asked.
pub fn ask_until_the_origin_is_asked(
    edge: &mut dyn Edge,
    origin: &Origin,
    request: &Request,
    times: usize,
) -> Result<Did> {
    let path = without_query(request);
    let goal = origin.seen(path).len() + times;
    let mut last = Ok(Did::Hit);
    let enough = wait_until(PATIENCE, || {
        last = ask(edge, origin, request);
        last.is_err() || origin.seen(path).len() >= goal
    });
    let last = last?;
    ensure!(enough, "the origin was not asked, and the client saw: {last}");
    Ok(last)
}

fn without_query(request: &Request) -> &str {
    request.path.split('?').next().unwrap_or_default()
}
