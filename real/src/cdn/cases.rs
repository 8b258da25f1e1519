//! The table's rows: an origin's answer, a few requests for it, and what became of
//! the last of them.
//!
//! Lifetimes are long (60 s) where an answer must be fresh, so that no stall makes
//! it stale, and 1 s where it must be stale, after a wait of 2 s. Each case has a
//! page of its own, so that all can be played at once.
//!
//! May know of [`Edge`], of no cache.

use super::{ask, ask_until_the_origin_is_asked, Did, Edge};
use crate::http::Request;
use crate::origin::{Health, Origin};
use anyhow::{Context, Result};

type Headers = &'static [(&'static str, &'static str)];

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    /// The headers of the origin's answers, apart from the `ETag`.
    answer: Headers,
    /// What happens, in this order. The last of it is what the row tells.
    steps: &'static [Step],
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request: method, query, headers.
    Ask(&'static str, &'static str, Headers),
    /// Requests until the origin has been asked twice.
    AskTwice,
    /// Seconds pass.
    Wait(u64),
    /// The origin falls ill.
    Origin(Health),
}

use Step::{Ask, AskTwice, Wait};

const GET: Step = Ask("GET", "", &[]);
const ILL: Step = Step::Origin(Health::Answers503);
const GONE: Step = Step::Origin(Health::Closes);
const LOGIN: Step = Ask("GET", "", &[("Authorization", "Basic YWxpY2U6")]);
/// Of every page: so each cache that has stored it may ask whether it has changed.
const ETAG: (&str, &str) = ("ETag", "\"1\"");
const MINUTE: (&str, &str) = ("Cache-Control", "max-age=60");

const fn case(name: &'static str, answer: Headers, steps: &'static [Step]) -> Case {
    Case { name, answer, steps }
}

/// All rows, in the order of the table.
pub const CASES: &[Case] = &[
    case("fresh", &[MINUTE], &[GET, GET]),
    case("fresh, HEAD after GET", &[MINUTE], &[GET, Ask("HEAD", "", &[])]),
    case("max-age=60, came with Age: 61", &[MINUTE, ("Age", "61")], &[GET, GET]),
    case(
        "query in another order",
        &[MINUTE],
        &[Ask("GET", "?a=1&b=2", &[]), Ask("GET", "?b=2&a=1", &[])],
    ),
    case(
        "Vary, another language",
        &[MINUTE, ("Vary", "Accept-Language")],
        &[
            Ask("GET", "", &[("Accept-Language", "en")]),
            Ask("GET", "", &[("Accept-Language", "de")]),
        ],
    ),
    case("no-store", &[("Cache-Control", "no-store")], &[GET, GET]),
    case("private", &[("Cache-Control", "private, max-age=60")], &[GET, GET]),
    case("no-cache", &[("Cache-Control", "no-cache")], &[GET, GET]),
    case("no lifetime named", &[], &[GET, GET]),
    case("expired", &[("Cache-Control", "max-age=1")], &[GET, Wait(2), GET]),
    case(
        "expired, must-revalidate",
        &[("Cache-Control", "max-age=1, must-revalidate")],
        &[GET, Wait(2), GET],
    ),
    case(
        "expired, stale-while-revalidate=60",
        &[("Cache-Control", "max-age=1, stale-while-revalidate=60")],
        &[GET, Wait(2), GET],
    ),
    case(
        "the same, s-maxage=1, max-age=60",
        &[("Cache-Control", "s-maxage=1, max-age=60, stale-while-revalidate=60")],
        &[GET, Wait(2), GET],
    ),
    case(
        "stale-while-revalidate=1, and over",
        &[("Cache-Control", "max-age=1, stale-while-revalidate=1")],
        &[GET, Wait(4), GET],
    ),
    case(
        "expired, stale-if-error=60, 503",
        &[("Cache-Control", "max-age=1, stale-if-error=60")],
        &[GET, Wait(2), ILL, AskTwice],
    ),
    case(
        "the same, origin closes",
        &[("Cache-Control", "max-age=1, stale-if-error=60")],
        &[GET, Wait(2), GONE, AskTwice],
    ),
    case("request with Authorization", &[MINUTE], &[LOGIN, LOGIN]),
    case(
        "the same, answer with public",
        &[("Cache-Control", "public, max-age=60")],
        &[LOGIN, LOGIN],
    ),
    case(
        "request with Cookie",
        &[MINUTE],
        &[GET, Ask("GET", "", &[("Cookie", "theme=dark")])],
    ),
    case("answer with Set-Cookie", &[MINUTE, ("Set-Cookie", "seen=1")], &[GET, GET]),
    case(
        "request with no-cache",
        &[MINUTE],
        &[GET, Ask("GET", "", &[("Cache-Control", "no-cache")])],
    ),
    case(
        "after a POST to the same URL",
        &[MINUTE],
        &[GET, Ask("POST", "", &[]), GET],
    ),
];

impl Case {
    /// What the cache did with the last request. `number` sets this case's page
    /// apart from those of others.
    ///
    /// # Errors
    /// When the cache does what no cache should.
    pub fn play(
        &self,
        number: usize,
        edge: &mut dyn Edge,
        origin: &Origin,
    ) -> Result<Did> {
        let path = format!("/case-{number}");
        origin.page(&path, &[self.answer, &[ETAG]].concat());
        let mut last = None;
        for step in self.steps {
            match step {
                Ask(method, query, headers) => {
                    let request =
                        request(method, &format!("{path}{query}"), headers);
                    last = Some(ask(edge, origin, &request)?);
                }
                AskTwice => {
                    let request = request("GET", &path, &[]);
                    let did =
                        ask_until_the_origin_is_asked(edge, origin, &request, 2)?;
                    last = Some(did);
                }
                Wait(seconds) => edge.wait(*seconds),
                Step::Origin(health) => origin.health(&path, *health),
            }
        }
        last.with_context(|| format!("nothing was asked: {}", self.name))
    }
}

pub(super) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Request {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
        .collect();
    Request { method: method.to_owned(), path: path.to_owned(), headers }
}
