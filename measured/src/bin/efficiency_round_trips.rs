//! The same requests over one TCP connection on this machine, sent in five ways.
//!
//! Look at the waits: how often the client has nothing to do but wait for the other side. One
//! at a time waits for each answer; a pipeline sends all requests and waits once; one message
//! also saves the calls into the operating system. Then at the row `two halves`: each request
//! is written in two pieces, and the connection has TCP's defaults. Nagle's algorithm holds the
//! second piece until the first is acknowledged, and the other side delays the acknowledgement
//! in the hope of an answer to send along. `TCP_NODELAY` turns the first of the two off, and a
//! buffer needs neither.
//!
//! Simplified: a wire of no length. Between two cities a wait takes a thousand times as long
//! and a call takes what it takes here. The pipeline is small enough for the socket's buffers:
//! a client that writes without end and does not read can block a server that does the same.

use anyhow::{Context, Result, ensure};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const REQUEST_LEN: usize = 16;
const REQUESTS: usize = 1_000;
const HALVED: usize = 10; // requests of the slow row: it waits 40 ms for each
const ROUNDS: usize = if cfg!(debug_assertions) { 1 } else { 15 };

/// A connection that counts what its user does.
struct Client {
    stream: TcpStream,
    writes: usize,
    waits: usize, // an answer is read, and nothing else is left to do
}

impl Client {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writes += 1;
        self.stream.write_all(bytes).context("send")
    }
    fn wait(&mut self, answers: usize) -> Result<()> {
        self.waits += 1;
        let mut bytes = vec![0; answers * REQUEST_LEN];
        self.stream.read_exact(&mut bytes).context("receive")?;
        let expected = (0..answers).all(|i| bytes[i * REQUEST_LEN] == b'A');
        ensure!(expected, "not an answer");
        Ok(())
    }
}

// ANCHOR: ways
fn one_by_one(client: &mut Client, requests: usize) -> Result<()> {
    for _ in 0..requests {
        client.write(&[b'Q'; REQUEST_LEN])?;
        client.wait(1)?;
    }
    Ok(())
}

fn pipelined(client: &mut Client, requests: usize) -> Result<()> {
    for _ in 0..requests {
        client.write(&[b'Q'; REQUEST_LEN])?;
    }
    client.wait(requests)
}

fn one_message(client: &mut Client, requests: usize) -> Result<()> {
    client.write(&vec![b'Q'; requests * REQUEST_LEN])?;
    client.wait(requests)
}

fn two_halves(client: &mut Client, requests: usize) -> Result<()> {
    let request = [b'Q'; REQUEST_LEN];
    let (head, body) = request.split_at(REQUEST_LEN / 2);
    for _ in 0..requests {
        client.write(head)?;
        client.write(body)?; // held back until the head is acknowledged
        client.wait(1)?;
    }
    Ok(())
}
// ANCHOR_END: ways

/// Answers each request when it is complete, until the client is gone.
fn serve(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut request = [0; REQUEST_LEN];
    loop {
        match reader.read_exact(&mut request) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        writer.write_all(&[b'A'; REQUEST_LEN])?;
    }
}

type Way = fn(&mut Client, usize) -> Result<()>;

/// One connection, used in one way: (time a request, writes, waits).
fn run(
    way: Way,
    requests: usize,
    is_nodelay: bool,
) -> Result<(Duration, usize, usize)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen")?;
    let stream = TcpStream::connect(listener.local_addr()?).context("connect")?;
    stream.set_nodelay(is_nodelay)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (server, _) = listener.accept().context("accept")?;
    let server = thread::spawn(move || serve(server));
    let mut client = Client { stream, writes: 0, waits: 0 };
    // The first segments of a connection are acknowledged at once: let them pass.
    one_by_one(&mut client, 50)?;
    (client.writes, client.waits) = (0, 0);
    let start = Instant::now();
    way(&mut client, requests)?;
    let took = start.elapsed() / requests as u32;
    let counts = (took, client.writes, client.waits);
    drop(client);
    server.join().expect("the server does not panic")?;
    Ok(counts)
}

/// Each request on a connection of its own.
fn connect_each(requests: usize) -> Result<(Duration, usize, usize)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..requests {
            serve(listener.accept()?.0)?;
        }
        Ok(())
    });
    let (mut writes, mut waits) = (0, 0);
    let start = Instant::now();
    for _ in 0..requests {
        let stream = TcpStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream, writes: 0, waits: 1 }; // the handshake
        one_by_one(&mut client, 1)?;
        (writes, waits) = (writes + client.writes, waits + client.waits);
    }
    let took = start.elapsed() / requests as u32;
    server.join().expect("the server does not panic")?;
    Ok((took, writes, waits))
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[])?);
    let rows = [
        "a connection each",
        "one by one",
        "pipelined",
        "one message",
        "two halves, NODELAY",
        "two halves",
    ];
    let mut best = [(Duration::MAX, 0, 0); 6];
    for _ in 0..ROUNDS {
        let outcomes = [
            connect_each(REQUESTS)?,
            run(one_by_one, REQUESTS, true)?,
            run(pipelined, REQUESTS, true)?,
            run(one_message, REQUESTS, true)?,
            run(two_halves, REQUESTS, true)?,
            run(two_halves, HALVED, false)?,
        ];
        for (best, outcome) in best.iter_mut().zip(outcomes) {
            *best = outcome.min(*best);
        }
    }
    let one = best[1].0.as_secs_f64();
    println!("{:<21}requests  writes   waits     a request   times", "");
    for (row, (took, writes, waits)) in rows.into_iter().zip(best) {
        let requests = if row == "two halves" { HALVED } else { REQUESTS };
        let (us, times) = (took.as_secs_f64() * 1e6, took.as_secs_f64() / one);
        println!(
            "{row:<21}{requests:>8} {writes:>7} {waits:>7} {us:>10.1} µs {times:>8.2}x"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(way: Way) -> (usize, usize) {
        let (_, writes, waits) = run(way, 200, true).expect("loopback works");
        (writes, waits)
    }

    #[test]
    fn one_by_one_waits_for_each_request_and_a_pipeline_once() {
        assert_eq!(counts(one_by_one), (200, 200));
        assert_eq!(counts(pipelined), (200, 1));
    }

    #[test]
    fn one_message_is_one_write() {
        assert_eq!(counts(one_message), (1, 1));
    }

    #[test]
    fn a_connection_each_waits_for_its_handshake_too() {
        let (_, writes, waits) = connect_each(20).expect("loopback works");
        assert_eq!((writes, waits), (20, 40));
    }
}
