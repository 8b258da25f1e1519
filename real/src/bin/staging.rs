//! Shadow traffic by NGINX's `mirror`: what does it cost the users, and what does it
//! do twice?
//!
//! An old and a new version stand behind NGINX, which sends the new one a copy of
//! each request. Look at the charges: a copy of a POST is a POST. And at the last
//! lines: the user has the answer, but the connection is not free before the
//! shadow is done.
//!
//! Simplified: both versions are threads of this program that answer with their
//! name. The configuration is `real/config/staging/nginx.conf`.

use anyhow::{ensure, Context, Result};
use real::backend::Backend;
use real::http::{self, Request, Response};
use real::launch::{http_answers, Launch, Server};
use real::program::NGINX;
use real::{machine, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer that does not come is waited for.
const SILENCE: Duration = Duration::from_millis(300);

/// Two versions behind NGINX, and the charges that both made.
struct Stage {
    nginx: Server,
    old: Backend,
    new: Backend,
    counts: Arc<Counts>,
}

/// What both versions did.
#[derive(Default)]
struct Counts {
    charges: AtomicUsize,
    handled: AtomicUsize,
}

/// A version that charges for each POST, unless it is told that this is a rehearsal.
fn version(name: &'static str, counts: &Arc<Counts>) -> Result<Backend> {
    let counts = Arc::clone(counts);
    Backend::answering(name, move |request: &Request| {
        if request.method == "POST" && request.header("x-shadow").is_none() {
            counts.charges.fetch_add(1, Ordering::SeqCst);
        }
        counts.handled.fetch_add(1, Ordering::SeqCst);
        Some(Response { status: 200, headers: vec![], body: name.to_owned() })
    })
}

impl Stage {
    fn start() -> Result<Stage> {
        let counts = Arc::default();
        let (old, new) = (version("old", &counts)?, version("new", &counts)?);
        let mut global = "daemon off;".to_owned();
        if rustix::process::geteuid().is_root() {
            // Else its workers become `nobody`, who may not enter the folder.
            global.push_str(" user root;");
        }
        let config = include_str!("../../config/staging/nginx.conf");
        let nginx = Launch::new(NGINX)
            .file("nginx.conf", config)
            .set("OLD", old.addr())
            .set("NEW", new.addr())
            .args(["-e", "stderr", "-p", "${FOLDER}"])
            .args(["-c", "${FOLDER}/nginx.conf", "-g"])
            .args([global])
            .ready(http_answers("/ready"))
            .start()?;
        Ok(Stage { nginx, old, new, counts })
    }

    /// Sends so many requests; returns how many the old version answered.
    fn send(&self, method: &str, path: &str, count: usize) -> usize {
        let one = |_: &usize| {
            let answer = http::send(self.nginx.addr(), method, path, &[]);
            answer.is_ok_and(|answer| answer.status == 200 && answer.body == "old")
        };
        (0..count).filter(one).count()
    }

    /// Whether both versions have done so many requests each.
    fn both_have_done(&self, count: usize) -> bool {
        let handled = || self.counts.handled.load(Ordering::SeqCst);
        wait_until(PATIENCE, || handled() >= 2 * count)
    }
}

/// How many users the old version answered, and how many copies the new one got.
fn copies() -> Result<(usize, usize)> {
    let stage = Stage::start()?;
    let answered = stage.send("GET", "/", 20);
    ensure!(stage.both_have_done(20), "copies are missing");
    Ok((answered, stage.new.served()))
}

/// How many users are answered while the new version is dead.
fn dead_shadow() -> Result<usize> {
    let mut stage = Stage::start()?;
    stage.new.kill();
    Ok(stage.send("GET", "/", 20))
}

/// The charges for ten POSTs.
fn charges(path: &str) -> Result<usize> {
    let stage = Stage::start()?;
    ensure!(stage.send("POST", path, 10) == 10, "a POST failed");
    ensure!(stage.both_have_done(10), "copies are missing");
    ensure!(stage.old.served() == 10, "the old version missed a POST");
    Ok(stage.counts.charges.load(Ordering::SeqCst))
}

/// Whether the answer comes while the shadow hangs, and whether a second request on
/// the same connection is answered before and after the shadow is released.
fn hanging_shadow() -> Result<[bool; 3]> {
    let stage = Stage::start()?;
    let mut user = TcpStream::connect(stage.nginx.addr())?;
    let first = ask(&mut user, "/hangs", PATIENCE)?;
    ensure!(wait_until(PATIENCE, || stage.new.holding() == 1), "no copy hangs");
    let second = ask(&mut user, "/", SILENCE)?;
    stage.new.release();
    let third = second || hears(&mut user, PATIENCE)?;
    Ok([first, second, third])
}

/// Whether the second request is answered when NGINX stops waiting for the shadow.
fn shadow_given_up() -> Result<bool> {
    let stage = Stage::start()?;
    let mut user = TcpStream::connect(stage.nginx.addr())?;
    ensure!(ask(&mut user, "/given-up", PATIENCE)?, "no answer");
    ensure!(wait_until(PATIENCE, || stage.new.holding() == 1), "no copy hangs");
    ask(&mut user, "/", PATIENCE) // nobody releases the shadow
}

/// Asks on a connection that stays open; whether an answer comes in time.
fn ask(user: &mut TcpStream, path: &str, within: Duration) -> Result<bool> {
    write!(user, "GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    hears(user, within)
}

fn hears(user: &mut TcpStream, within: Duration) -> Result<bool> {
    user.set_read_timeout(Some(within))?;
    let (mut heard, mut bytes) = (Vec::new(), [0; 4096]);
    while !heard.ends_with(b"\r\n\r\nold") {
        match user.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => heard.extend_from_slice(&bytes[..count]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e).context("read the answer"),
        }
    }
    Ok(true)
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[NGINX])?);
    let (answered, copied) = copies()?;
    println!("20 GETs: answered by the old version   {answered:>6}");
    println!("  copies that reached the new one      {copied:>6}");
    println!("20 GETs, the new one is dead: answered {:>6}", dead_shadow()?);
    println!("10 POSTs, copies not marked: charges   {:>6}", charges("/unmarked")?);
    println!("10 POSTs, copies marked: charges       {:>6}", charges("/")?);
    let [first, second, third] = hanging_shadow()?;
    let word = |yes: bool| if yes { "yes" } else { "no" };
    println!("the shadow hangs: is the user answered {:>6}", word(first));
    println!("  the next request on this connection  {:>6}", word(second));
    println!("  the same, once the shadow is done    {:>6}", word(third));
    let given_up = word(shadow_given_up()?);
    println!("  with proxy_read_timeout 500ms        {given_up:>6}");
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_get_the_old_versions_answer_whatever_happens_to_the_copy() -> Result<()>
    {
        assert_eq!(copies()?, (20, 20));
        assert_eq!(dead_shadow()?, 20);
        Ok(())
    }

    #[test]
    fn an_unmarked_copy_of_a_post_charges_again_and_a_marked_one_does_not(
    ) -> Result<()> {
        assert_eq!((charges("/unmarked")?, charges("/")?), (20, 10));
        Ok(())
    }

    #[test]
    fn a_hanging_shadow_keeps_the_connection_but_not_the_answer() -> Result<()> {
        assert_eq!(hanging_shadow()?, [true, false, true]);
        assert!(shadow_given_up()?);
        Ok(())
    }
}
