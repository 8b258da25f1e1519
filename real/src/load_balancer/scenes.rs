//! One function a question; the answers are numbers that do not depend on the
//! machine, except where a field is a time.
//!
//! Each scene starts its own backends and its own balancer, so no scene can spoil
//! another. No scene hopes that a pause was long enough: a backend holds a request
//! until it is told otherwise, and where a number is true only of requests that come
//! quickly, the scene is repeated when they did not.
//!
//! May know of backends, clients and the trait `Balancer`, not of any one balancer.

use super::client::{answered_by, failed, get, retried, Client, Seen};
use super::{three_backends, Balancer, Start, PATIENCE};
use crate::backend::Backend;
use crate::{http, wait_until};
use anyhow::{bail, ensure, Context, Result};
use std::thread;
use std::time::{Duration, Instant};

/// Divisible by three, so that "a third each" can be exact.
pub const ROUND_ROBIN_REQUESTS: usize = 300;
/// How many requests come at once in the scenes that count them.
pub const BURST_REQUESTS: usize = 30;
/// HAProxy calls a server dead after `(fall - 1) * inter` = 1000 ms at the earliest
/// and NGINX asks a dead one again after 2000 ms. A burst that took longer says
/// nothing.
const BURST_WITHIN: Duration = Duration::from_millis(900);
/// How often a scene is played again because the machine stalled in a burst.
const STALLS_MAX: usize = 10;
/// So many requests in a row that did not meet a server: the balancer avoids it.
const QUIET_REQUESTS: usize = 12;
/// How many clients with a session there are.
const SESSIONS: usize = 30;

/// How many of [`ROUND_ROBIN_REQUESTS`] each server answers.
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn round_robin(start: Start) -> Result<[usize; 3]> {
    let backends = three_backends()?;
    let balancer = start(&backends)?;
    let seen: Vec<Seen> =
        (0..ROUND_ROBIN_REQUESTS).map(|_| get(&*balancer, "/")).collect();
    Ok([0, 1, 2].map(|i| answered_by(&seen, &backends[i])))
}

/// How many of [`BURST_REQUESTS`] go to a server that works on two slow ones, while
/// the others are idle.
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn busy_server(start: Start, path: &str) -> Result<usize> {
    let backends = three_backends()?;
    let balancer = start(&backends)?;
    let addr = balancer.addr();
    let slow = format!("{path}hold");
    let holding = || backends.iter().map(Backend::holding).sum::<usize>();
    thread::scope(|scope| {
        let mut clients = vec![];
        for held in 1..=4 {
            clients.push(scope.spawn(|| http::get(addr, &slow)));
            ensure!(
                wait_until(PATIENCE, || holding() == held),
                "no backend got the request"
            );
        }
        let busy =
            backends.iter().max_by_key(|b| b.holding()).context("three backends")?;
        for idle in backends.iter().filter(|b| b.name() != busy.name()) {
            idle.release();
        }
        let finished =
            || clients.iter().filter(|client| client.is_finished()).count();
        ensure!(
            wait_until(PATIENCE, || finished() == 2),
            "released requests are answered"
        );
        let seen: Vec<Seen> =
            (0..BURST_REQUESTS).map(|_| get(&*balancer, path)).collect();
        busy.release();
        Ok(answered_by(&seen, busy))
    })
}

/// What [`failover`] measures.
pub struct Failover {
    /// Of the burst right after the death: requests the client saw fail.
    pub failed: usize,
    /// Of the same: requests that met the dead server and were sent to another one.
    pub met_the_dead: usize,
    /// From the death to the last request that met the dead server.
    pub last_met_after: Duration,
    /// From the return to the first answer of the server that was dead.
    pub used_again_after: Duration,
    /// Requests that failed after the burst.
    pub failed_later: usize,
}

/// A server dies between two requests and comes back.
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn failover(start: Start) -> Result<Failover> {
    unless_stalled(|| {
        let mut backends = three_backends()?;
        let balancer = start(&backends)?;
        for _ in 0..backends.len() {
            ensure!(get(&*balancer, "/").by.is_some(), "all servers live");
        }
        balancer.wait_for_a_check()?;
        let checks = balancer.checks();
        backends[1].kill();
        let death = Instant::now();
        let burst: Vec<Seen> =
            (0..BURST_REQUESTS).map(|_| get(&*balancer, "/")).collect();
        if death.elapsed() > BURST_WITHIN || balancer.checks() != checks {
            return Ok(None);
        }
        let later = until_quiet(&*balancer, |seen| seen.retried)?;
        let last_met =
            burst.iter().chain(&later).filter(|s| s.retried).map(|s| s.at).max();

        backends[1].restart()?;
        let back = Instant::now();
        let mut failed_later = failed(&later);
        let used_again = loop {
            let seen = get(&*balancer, "/");
            match seen.by.as_deref() {
                Some("b") => break seen.at,
                Some(_) => {}
                None => failed_later += 1,
            }
            ensure!(
                back.elapsed() < PATIENCE,
                "the server that came back is not used"
            );
            thread::sleep(Duration::from_millis(5));
        };
        Ok(Some(Failover {
            failed: failed(&burst),
            met_the_dead: retried(&burst),
            last_met_after: last_met.map_or(Duration::ZERO, |at| at - death),
            used_again_after: used_again - back,
            failed_later,
        }))
    })
}

/// A server dies while nobody asks for anything: how many requests of a later burst
/// meet it? And how many fail?
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn unnoticed_death(start: Start) -> Result<(usize, usize)> {
    unless_stalled(|| {
        let mut backends = three_backends()?;
        let balancer = start(&backends)?;
        backends[1].kill();
        balancer.wait_without_requests(&backends[1])?;
        let begin = Instant::now();
        let burst: Vec<Seen> =
            (0..BURST_REQUESTS).map(|_| get(&*balancer, "/")).collect();
        let in_time = begin.elapsed() <= BURST_WITHIN;
        Ok(in_time.then(|| (retried(&burst), failed(&burst))))
    })
}

/// A server dies with a request in its hands: the status that the client gets, and
/// how many servers began to work on the request.
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn death_in_flight(start: Start, method: &'static str) -> Result<(u16, usize)> {
    let mut backends = three_backends()?;
    let balancer = start(&backends)?;
    let addr = balancer.addr();
    let client = thread::spawn(move || http::send(addr, method, "/hold", &[]));
    let victim = holder(&backends)?;
    backends[victim].kill();
    let answered = wait_until(PATIENCE, || {
        backends.iter().for_each(Backend::release);
        client.is_finished()
    });
    ensure!(answered, "the client got no answer");
    let Ok(response) = client.join() else { bail!("the client panicked") };
    Ok((response?.status, backends.iter().map(Backend::served).sum()))
}

/// What [`sticky_sessions`] counts.
pub struct Sessions {
    /// Requests that failed, and requests that left their session's server, while
    /// all servers lived.
    pub unsteady: usize,
    /// Requests that failed after the death.
    pub failed: usize,
    /// Sessions of living servers that moved.
    pub bystanders_moved: usize,
    /// Sessions of the dead server.
    pub orphans: usize,
    /// Of those: how many had one new server and stayed there.
    pub orphans_settled: usize,
    /// Of those: how many were on the old server again after it had come back.
    pub orphans_returned: usize,
}

/// Sticky sessions, and the death of a server that holds some of them.
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn sticky_sessions(start: Start) -> Result<Sessions> {
    const EACH: usize = 5;
    const PATH: &str = "/sessions/";
    let mut backends = three_backends()?;
    let balancer = start(&backends)?;
    let balancer = &*balancer;
    let servers_of = |client: &mut Client| -> Vec<Option<String>> {
        (0..EACH).map(|_| client.get(balancer, PATH).by).collect()
    };

    let mut clients: Vec<Client> =
        (0..SESSIONS).map(|n| Client::with_session(&format!("s{n}"))).collect();
    let before: Vec<_> = clients.iter_mut().map(servers_of).collect();
    let unsteady = before
        .iter()
        .flat_map(|b| b.iter().filter(|by| by.is_none() || **by != b[0]));
    let unsteady = unsteady.count();

    let home = before[0][0].clone().context("the first request failed")?;
    let dead = backends
        .iter()
        .position(|b| b.name() == home)
        .context("an unknown server")?;
    backends[dead].kill();
    let after: Vec<_> = clients.iter_mut().map(servers_of).collect();
    let was_home = |n: &usize| before[*n][0].as_deref() == Some(home.as_str());
    let (orphans, bystanders): (Vec<usize>, Vec<usize>) =
        (0..SESSIONS).partition(was_home);

    backends[dead].restart()?;
    let mut visitors = 0;
    let used_again = wait_until(PATIENCE, || {
        visitors += 1;
        let mut visitor = Client::with_session(&format!("v{visitors}"));
        visitor.get(balancer, PATH).by.as_deref() == Some(home.as_str())
    });
    ensure!(used_again, "the server that came back is not used");
    let returned =
        |n: &&usize| clients[**n].clone().get(balancer, PATH).by == before[**n][0];

    Ok(Sessions {
        unsteady,
        failed: after.iter().flatten().filter(|by| by.is_none()).count(),
        bystanders_moved: bystanders
            .iter()
            .filter(|n| after[**n] != before[**n])
            .count(),
        orphans: orphans.len(),
        orphans_settled: orphans
            .iter()
            .filter(|n| {
                after[**n][0].is_some()
                    && after[**n].iter().all(|by| *by == after[**n][0])
            })
            .count(),
        orphans_returned: orphans.iter().filter(returned).count(),
    })
}

/// What [`drain`] counts.
pub struct Drained {
    /// What the request got that the server worked on.
    pub status: u16,
    /// Of [`BURST_REQUESTS`] afterwards: how many the drained server got.
    pub sent_to_it: usize,
    /// Other requests that failed, from the order to the end.
    pub failed: usize,
}

/// A server is taken out on purpose while it works on a request.
///
/// # Errors
/// When the balancer does not start or a wait ends without success.
pub fn drain(start: Start) -> Result<Drained> {
    let backends = three_backends()?;
    let mut balancer = start(&backends)?;
    let addr = balancer.addr();
    let client = thread::spawn(move || http::get(addr, "/hold"));
    let leaving = &backends[holder(&backends)?];
    balancer.drain(leaving)?;
    let by_it = |seen: &Seen| seen.by.as_deref() == Some(leaving.name());
    let meanwhile = until_quiet(&*balancer, by_it)?;
    let burst: Vec<Seen> =
        (0..BURST_REQUESTS).map(|_| get(&*balancer, "/")).collect();
    leaving.release();
    let Ok(response) = client.join() else { bail!("the client panicked") };
    Ok(Drained {
        status: response?.status,
        sent_to_it: answered_by(&burst, leaving),
        failed: failed(&meanwhile) + failed(&burst),
    })
}

/// The backend that keeps a request waiting.
fn holder(backends: &[Backend; 3]) -> Result<usize> {
    let find = || backends.iter().position(|b| b.holding() > 0);
    ensure!(wait_until(PATIENCE, || find().is_some()), "no backend got the request");
    find().context("the request is still held")
}

/// Sends a request every 10 ms until [`QUIET_REQUESTS`] in a row were not `loud`.
fn until_quiet(
    balancer: &dyn Balancer,
    loud: impl Fn(&Seen) -> bool,
) -> Result<Vec<Seen>> {
    let begin = Instant::now();
    let mut all = vec![];
    let mut quiet = 0;
    while quiet < QUIET_REQUESTS {
        ensure!(begin.elapsed() < PATIENCE, "the balancer never avoids the server");
        let seen = get(balancer, "/");
        quiet = if loud(&seen) { 0 } else { quiet + 1 };
        all.push(seen);
        thread::sleep(Duration::from_millis(10));
    }
    Ok(all)
}

/// Plays a scene again that says `None`: its burst took too long to say anything.
fn unless_stalled<T>(scene: impl Fn() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..STALLS_MAX {
        if let Some(outcome) = scene()? {
            return Ok(outcome);
        }
    }
    bail!(
        "{BURST_REQUESTS} requests take too long here, {STALLS_MAX} times in a row"
    )
}
