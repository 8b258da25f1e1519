//! HTTP servers in threads of this process, to put behind a balancer.
//!
//! A backend answers each request with its name, or with what the function given to
//! [`Backend::answering`] says. `GET /health` is answered too, and not counted. A request whose path ends in `/hold` is kept waiting until
//! [`Backend::release`], so that a test can kill a backend *while* it works, without
//! a sleep. Killing closes the listener and every open connection at once, which is
//! what a balancer sees of a crash; the port stays reserved, so nobody else can
//! answer there.
//!
//! Simplified: one thread and one request a connection.
//!
//! May know of `port` and of the types of `http`.

use crate::http::{Request, Response};
use crate::port::{hang_up, Port};
use anyhow::{ensure, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a backend waits for the rest of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line of a request that is read, in bytes.
const LINE_BYTES_MAX: u64 = 8 << 10;
/// The most header lines of a request.
const HEADERS_MAX: usize = 100;

/// What answers a request; `None` closes the connection without an answer.
type Answer = dyn Fn(&Request) -> Option<Response> + Send + Sync;

/// One HTTP server.
pub struct Backend {
    name: &'static str,
    answer: Arc<Answer>,
    port: Port,
    counts: Arc<Mutex<Counts>>,
    life: Option<Life>,
}

/// What survives a restart.
#[derive(Default)]
struct Counts {
    served: usize,
    holding: usize,
}

/// From a start to a kill.
struct Life {
    shared: Arc<Shared>,
    listener: Arc<TcpListener>,
    acceptor: JoinHandle<()>,
}

struct Shared {
    answer: Arc<Answer>,
    counts: Arc<Mutex<Counts>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    dead: bool,
    /// How often held requests were let go.
    releases: usize,
    connections: Vec<TcpStream>,
}

impl Backend {
    /// Starts a backend on a free port.
    ///
    /// # Errors
    /// When the kernel gives no port.
    pub fn start(name: &'static str) -> Result<Backend> {
        let content_type = ("content-type".to_owned(), "text/plain".to_owned());
        Backend::answering(name, move |_| {
            let headers = vec![content_type.clone()];
            Some(Response { status: 200, headers, body: name.to_owned() })
        })
    }

    /// [`Backend::start`] with another answer; `None` closes the connection without
    /// one. The length of the body and `Connection: close` are added.
    ///
    /// # Errors
    /// When the kernel gives no port.
    pub fn answering(
        name: &'static str,
        answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Result<Backend> {
        let (answer, port) = (Arc::new(answer), Port::reserve()?);
        let mut backend =
            Backend { name, answer, port, counts: Arc::default(), life: None };
        backend.restart()?;
        Ok(backend)
    }

    /// Its name, which is the body of its answers unless it has others.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens. A restart keeps it.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// How many requests it has begun to work on, health checks not counted.
    pub fn served(&self) -> usize {
        lock(&self.counts).served
    }

    /// How many requests it keeps waiting now.
    pub fn holding(&self) -> usize {
        lock(&self.counts).holding
    }

    /// Answers every request that is kept waiting now.
    pub fn release(&self) {
        if let Some(life) = &self.life {
            lock(&life.shared.state).releases += 1;
            life.shared.changed.notify_all();
        }
    }

    /// Dies at once: open connections are closed without an answer, new ones
    /// refused.
    pub fn kill(&mut self) {
        let Some(life) = self.life.take() else { return };
        let mut state = lock(&life.shared.state);
        state.dead = true;
        hang_up(&life.listener);
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        life.shared.changed.notify_all();
        // On Linux `hang_up` woke the thread that waits in `accept`; elsewhere a
        // connection does.
        let _ = TcpStream::connect_timeout(&self.addr(), PATIENCE);
        let _ = life.acceptor.join();
    }

    /// Comes back on the same port; killed first if it runs.
    ///
    /// # Errors
    /// When it cannot listen on its port again.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let listener = Arc::new(self.port.listen()?);
        let shared = Arc::new(Shared {
            answer: Arc::clone(&self.answer),
            counts: Arc::clone(&self.counts),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (socket, for_thread) = (Arc::clone(&listener), Arc::clone(&shared));
        let acceptor = thread::spawn(move || accept(&socket, &for_thread));
        self.life = Some(Life { shared, listener, acceptor });
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A lock that a panicking thread left behind is still good: each change is one
/// step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        let mut state = lock(&shared.state);
        if state.dead {
            return;
        }
        // A connection that failed at once is its client's loss, not ours.
        let Ok(connection) = connection else { continue };
        let Ok(handle) = connection.try_clone() else {
            continue;
        };
        state.connections.push(handle);
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let me = connection.peer_addr();
            // An error is a client that went away or a kill: nobody is left to tell.
            let _ = serve(&connection, &shared);
            // The list holds a copy of the socket: without this it would stay open.
            let _ = connection.shutdown(Shutdown::Both);
            if let Ok(me) = me {
                let other =
                    |c: &TcpStream| c.peer_addr().is_ok_and(|addr| addr != me);
                lock(&shared.state).connections.retain(other);
            }
        });
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let request = read_request(connection)?;
    if request.path != "/health" {
        lock(&shared.counts).served += 1;
        if request.path.ends_with("/hold") {
            hold(shared);
        }
    }
    let Some(answer) = (shared.answer)(&request) else { return Ok(()) };
    let text = text(&request, &answer);
    let mut connection = connection;
    // Together with `kill`: the answer of a dead backend must not get out.
    ensure!(!lock(&shared.state).dead, "killed");
    connection.write_all(text.as_bytes())?;
    Ok(())
}

/// The answer as it is sent. One to a HEAD has the length of the body, not the body;
/// a 304 has neither.
fn text(request: &Request, answer: &Response) -> String {
    let Response { status, headers, body } = answer;
    let mut text = format!("HTTP/1.1 {status} \r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if *status != 304 {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("Connection: close\r\n\r\n");
    if *status != 304 && request.method != "HEAD" {
        text.push_str(body);
    }
    text
}

/// Reads a request to the end of its body.
fn read_request(connection: &TcpStream) -> Result<Request> {
    let mut reader = BufReader::new(connection);
    let line = |reader: &mut BufReader<&TcpStream>| -> Result<String> {
        let mut line = String::new();
        reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the request ended early");
        Ok(line.trim_end().to_owned())
    };
    let first = line(&mut reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    let mut request = Request {
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        headers: Vec::new(),
    };
    let mut length = 0;
    for _ in 0..HEADERS_MAX {
        let header = line(&mut reader)?;
        if header.is_empty() {
            std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
            return Ok(request);
        }
        if let Some((name, value)) = header.split_once(':') {
            let (name, value) = (name.to_ascii_lowercase(), value.trim());
            if name == "content-length" {
                length = value.parse()?;
            }
            request.headers.push((name, value.to_owned()));
        }
    }
    anyhow::bail!("more than {HEADERS_MAX} headers")
}

fn hold(shared: &Shared) {
    let mut state = lock(&shared.state);
    let seen = state.releases;
    // Counted under the lock: whoever sees it and then releases, releases this one
    // too.
    lock(&shared.counts).holding += 1;
    while !state.dead && state.releases == seen {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    lock(&shared.counts).holding -= 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http, wait_until};

    #[test]
    fn a_backend_answers_dies_and_comes_back_on_its_port() -> Result<()> {
        let mut backend = Backend::start("a")?;
        let addr = backend.addr();
        assert_eq!(http::get(addr, "/")?.body, "a");
        assert_eq!(http::get(addr, "/health")?.body, "a");
        backend.kill();
        assert!(http::get(addr, "/").is_err());
        backend.restart()?;
        assert_eq!(http::get(addr, "/")?.body, "a");
        assert_eq!((backend.addr(), backend.served()), (addr, 2));
        Ok(())
    }

    #[test]
    fn a_request_in_its_hands_is_answered_on_release_and_lost_on_a_kill(
    ) -> Result<()> {
        for released in [true, false] {
            let mut backend = Backend::start("a")?;
            let addr = backend.addr();
            let client =
                thread::spawn(move || http::send(addr, "POST", "/hold", &[]));
            assert!(wait_until(PATIENCE, || backend.holding() == 1));
            if released {
                backend.release();
            } else {
                backend.kill();
            }
            let answer = client.join().expect("the client does not panic");
            assert_eq!(answer.is_ok(), released);
            assert!(wait_until(PATIENCE, || backend.holding() == 0));
        }
        Ok(())
    }
}
