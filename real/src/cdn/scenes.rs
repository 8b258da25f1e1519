//! What only Varnish is asked: what its operator adds to the built-in VCL, for
//! better and for worse.
//!
//! May know of Varnish and of the origin.

use super::cases::{request, Case, CASES};
use super::{ask, Did, Edge, PATIENCE};
use crate::http::{self, Response};
use crate::origin::Origin;
use crate::varnish::Varnish;
use crate::wait_until;
use anyhow::{bail, ensure, Context, Result};
use std::thread;

/// How many clients ask for the same page at once.
pub const CROWD: usize = 20;

/// Plays all cases at once to one Varnish with `vcl`.
///
/// # Errors
/// When Varnish does not start, or a case fails.
pub fn varnish(vcl: &str) -> Result<Vec<Did>> {
    let origin = Origin::start()?;
    let varnish = Varnish::start(vcl, origin.addr())?;
    thread::scope(|scope| {
        let play = |(number, case): (usize, &'static Case)| {
            let (varnish, origin) = (&varnish, &origin);
            scope.spawn(move || case.play(number, &mut { varnish }, origin))
        };
        let playing: Vec<_> = CASES.iter().enumerate().map(play).collect();
        playing
            .into_iter()
            .map(|case| match case.join() {
                Ok(did) => did,
                Err(_) => bail!("a case panicked"),
            })
            .collect()
    })
}

/// What two users see who ask for the same page, one after the other. The origin's
/// answer is for whom the cookie names, may be stored for 60 s, and sets a cookie.
///
/// # Errors
/// When Varnish does not start or answer.
pub fn two_users(vcl: &str, path: &str) -> Result<[Response; 2]> {
    let origin = Origin::start()?;
    origin.page(
        path,
        &[("Cache-Control", "max-age=60"), ("Set-Cookie", "session=renewed")],
    );
    let varnish = Varnish::start(vcl, origin.addr())?;
    let of = |user| http::send(varnish.addr(), "GET", path, &[("Cookie", user)]);
    Ok([of("session=alice")?, of("session=bob")?])
}

/// What a crowd that asks for a page which is not stored costs the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// How many requests the origin was asked.
    pub origin_requests: usize,
    /// How many of them while nobody had an answer yet.
    pub at_first: usize,
    /// How many clients had an answer.
    pub answered: usize,
}

/// [`CROWD`] clients ask at once for a page with this `Cache-Control`. The origin
/// answers nobody until Varnish has parked at least half of them.
///
/// # Errors
/// When Varnish does not start, answer, or park.
pub fn crowd(vcl: &str, cache_control: &str) -> Result<Crowd> {
    const PATH: &str = "/page/hold";
    let origin = Origin::start()?;
    origin.page(PATH, &[("Cache-Control", cache_control)]);
    let varnish = Varnish::start(vcl, origin.addr())?;
    thread::scope(|scope| {
        let client =
            || http::get(varnish.addr(), PATH).is_ok_and(|r| r.status == 200);
        let clients: Vec<_> = (0..CROWD).map(|_| scope.spawn(client)).collect();
        let mut parked = Ok(0);
        let waiting = wait_until(PATIENCE, || {
            parked = varnish.parked();
            let parked = parked.as_ref().map_or(CROWD, |parked| *parked);
            parked >= CROWD / 2 && origin.holding() > 0
        });
        let at_first = origin.holding();
        // Whatever is wrong, nobody may be left waiting.
        let done = wait_until(PATIENCE, || {
            origin.release();
            clients.iter().all(|client| client.is_finished())
        });
        ensure!(waiting && done, "parked {}, all answered: {done}", parked?);
        let answers = clients.into_iter().map(|client| client.join());
        let answered = answers.filter(|answer| matches!(answer, Ok(true))).count();
        Ok(Crowd { origin_requests: origin.seen(PATH).len(), at_first, answered })
    })
}

/// What is stored after an order to forget: `true` for each page that still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The page itself, in two languages.
    pub page: [bool; 2],
    /// The same path with a query.
    pub with_query: bool,
    /// Another page that has a tag in common with it.
    pub same_tag: bool,
    /// A page with tags that begin or end the same.
    pub other_tag: bool,
}

/// How to tell Varnish to forget a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `PURGE` of its URL.
    Purge,
    /// `BAN` of its tag.
    Ban,
}

/// Stores some pages, gives an order, and asks for all of them again.
///
/// # Errors
/// When Varnish does not start, answer or obey, or when the pages were not stored.
pub fn forget(vcl: &str, order: Order) -> Result<Forgotten> {
    const PAGES: [(&str, &str, &str); 5] = [
        ("/shoe", "en", "shoe-7"),
        ("/shoe", "de", "shoe-7"),
        ("/shoe?size=44", "en", "shoe-7"),
        ("/list", "en", "list,shoe-7"),
        ("/other", "en", "shoe-77,horseshoe-7"),
    ];
    let origin = Origin::start()?;
    for (path, _, tags) in PAGES {
        let path = path.split('?').next().unwrap_or(path);
        let headers = [
            ("Cache-Control", "max-age=60"),
            ("Vary", "Accept-Language"),
            ("X-Tags", tags),
        ];
        origin.page(path, &headers);
    }
    let varnish = Varnish::start(vcl, origin.addr())?;
    let mut edge = &varnish;
    let mut visit = || {
        PAGES
            .iter()
            .map(|(path, language, _)| {
                let request = request("GET", path, &[("Accept-Language", language)]);
                Ok(ask(&mut edge, &origin, &request)? == Did::Hit)
            })
            .collect::<Result<Vec<bool>>>()
    };
    ensure!(visit()? == [false; 5], "a page was stored too early");
    ensure!(visit()? == [true; 5], "a page was not stored");
    let order = match order {
        Order::Purge => request("PURGE", "/shoe", &[]),
        Order::Ban => request("BAN", "/", &[("X-Tag", "shoe-7")]),
    };
    let status = { &varnish }.ask(&order)?.response.status;
    ensure!(status == 200, "{}: {status}", order.method);
    let stored: [bool; 5] = visit()?.try_into().ok().context("five pages")?;
    let [english, german, with_query, same_tag, other_tag] = stored;
    Ok(Forgotten { page: [english, german], with_query, same_tag, other_tag })
}
