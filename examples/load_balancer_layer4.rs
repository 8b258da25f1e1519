//! A working layer-4 (TCP) load balancer on the loopback interface.
//!
//! It chooses a server when a connection arrives, then copies bytes both ways
//! and never reads them. Look in the output at what that allows (a refused
//! connect goes to the next server and no client notices) and at what it does
//! not: a connection whose server dies is lost.
//!
//! Simplified: two blocking threads a connection, where a real one serves many
//! thousands from one thread with epoll, or forwards packets in the kernel. One
//! silent direction ends a connection, where a real one waits for both. The active
//! check runs when `tick` is called, not every two seconds.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CONNECTIONS_MAX: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30); // of either direction
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const FALL: u32 = 3; // failures in a row that take a server out
const RISE: u32 = 2; // successes in a row that put it back

struct Backend {
    name: char,
    addr: SocketAddr,
    up: bool,
    against: u32, // checks in a row that contradict `up`
    draining: bool,
    open: usize, // connections
}

impl Backend {
    fn report(&mut self, ok: bool) {
        self.against = if ok == self.up { 0 } else { self.against + 1 };
        if self.against == if self.up { FALL } else { RISE } {
            (self.up, self.against) = (!self.up, 0);
        }
    }
}

#[derive(Default)]
struct Balancer {
    backends: Mutex<Vec<Backend>>,
    closed: Condvar, // some connection ended
    turn: AtomicUsize,
    clients: AtomicUsize,
}

impl Balancer {
    fn backends(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> String {
        let backends = self.backends();
        backends.iter().filter(|b| b.up).map(|b| b.name).collect()
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.clients.load(SeqCst) == CONNECTIONS_MAX {
                continue; // dropping the stream closes it
            }
            self.clients.fetch_add(1, SeqCst);
            let balancer = Arc::clone(self);
            thread::spawn(move || {
                if let Some((i, server)) = balancer.connect() {
                    relay(client, server);
                    balancer.backends()[i].open -= 1;
                }
                balancer.clients.fetch_sub(1, SeqCst);
                balancer.closed.notify_all();
            });
        }
    }

    // ANCHOR: connect
    /// The next server in turn that is up and not draining.
    fn reserve(&self) -> Option<(usize, SocketAddr)> {
        let mut backends = self.backends();
        for _ in 0..backends.len() {
            let i = self.turn.fetch_add(1, SeqCst) % backends.len();
            if backends[i].up && !backends[i].draining {
                backends[i].open += 1;
                return Some((i, backends[i].addr));
            }
        }
        None
    }

    /// No byte has been sent yet, so going on to the next server is safe.
    fn connect(&self) -> Option<(usize, TcpStream)> {
        let attempts = self.backends().len();
        for _ in 0..attempts {
            let (i, addr) = self.reserve()?;
            let server = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT);
            let backend = &mut self.backends()[i];
            backend.report(server.is_ok()); // the passive check
            match server {
                Ok(server) => return Some((i, server)),
                Err(_) => backend.open -= 1,
            }
        }
        None
    }
    // ANCHOR_END: connect

    // ANCHOR: tick
    /// One round of active checks: can a connection be opened?
    fn tick(&self) {
        let addrs: Vec<_> = self.backends().iter().map(|b| b.addr).collect();
        for (i, addr) in addrs.iter().enumerate() {
            let ok = TcpStream::connect_timeout(addr, CONNECT_TIMEOUT).is_ok();
            self.backends()[i].report(ok);
        }
    }

    /// From now on no new connection goes there.
    fn drain(&self, i: usize) {
        self.backends()[i].draining = true;
    }

    /// Waits for the open ones, but not for ever: how many are left?
    fn drained(&self, i: usize) -> usize {
        let busy = |all: &mut Vec<Backend>| all[i].open > 0;
        let all = self.backends();
        let waited = self.closed.wait_timeout_while(all, DRAIN_TIMEOUT, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0[i].open
    }
    // ANCHOR_END: tick
}

// ANCHOR: relay
/// Two directions, two copies: all that layer 4 does with your bytes.
fn relay(client: TcpStream, server: TcpStream) {
    for end in [&client, &server] {
        let _ = end.set_read_timeout(Some(IDLE_TIMEOUT));
        let _ = end.set_write_timeout(Some(IDLE_TIMEOUT));
    }
    thread::scope(|threads| {
        threads.spawn(|| copy(&client, &server));
        copy(&server, &client);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = match io::copy(&mut from, &mut to) {
        Ok(_) => to.shutdown(Shutdown::Write), // pass on "no more bytes"
        Err(_) => from
            .shutdown(Shutdown::Both)
            .and(to.shutdown(Shutdown::Both)),
    };
}
// ANCHOR_END: relay

fn balance(servers: &[&Server]) -> io::Result<(Arc<Balancer>, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let balancer = Arc::<Balancer>::default();
    let backends = servers.iter().map(|server| Backend {
        name: server.name,
        addr: server.addr,
        up: true,
        against: 0,
        draining: false,
        open: 0,
    });
    balancer.backends().extend(backends);
    let accepting = Arc::clone(&balancer);
    thread::spawn(move || accepting.accept(&listener));
    Ok((balancer, addr))
}

/// A server to balance: it answers every line with its name.
struct Server {
    name: char,
    addr: SocketAddr,
    dead: Arc<AtomicBool>,
    accepting: JoinHandle<Vec<TcpStream>>,
}

impl Server {
    fn start(name: char, addr: &str) -> io::Result<Server> {
        let listener = TcpListener::bind(addr)?;
        let (addr, dead) = (listener.local_addr()?, Arc::<AtomicBool>::default());
        let stop = Arc::clone(&dead);
        let accepting = thread::spawn(move || {
            let alive = |_: &TcpStream| !stop.load(SeqCst);
            let streams = listener.incoming().flatten().take_while(alive);
            streams
                .filter_map(|s| s.try_clone().ok().inspect(|_| serve(name, s)))
                .collect()
        });
        Ok(Server {
            name,
            addr,
            dead,
            accepting,
        })
    }

    /// Like a killed process: the port refuses, open connections break.
    fn kill(self) {
        self.dead.store(true, SeqCst);
        let _ = TcpStream::connect(self.addr); // wakes the accepting thread
        for stream in self.accepting.join().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(name: char, stream: TcpStream) {
    thread::spawn(move || {
        for _ in BufReader::new(&stream).lines().map_while(Result::ok) {
            let _ = (&stream).write_all(format!("{name}\n").as_bytes());
        }
        stream.shutdown(Shutdown::Both)
    });
}

/// One question on an open connection: which server answers?
fn ask(mut stream: &TcpStream) -> char {
    let mut answer = [0; 2];
    let asked = stream.write_all(b"who?\n");
    match asked.and_then(|()| stream.read_exact(&mut answer)) {
        Ok(()) => char::from(answer[0]),
        Err(_) => '-', // closed without an answer
    }
}

fn ask_new(times: usize, addr: SocketAddr) -> io::Result<String> {
    (0..times)
        .map(|_| Ok(ask(&TcpStream::connect(addr)?)))
        .collect()
}

fn main() -> io::Result<()> {
    let any = "127.0.0.1:0";
    let (a, b) = (Server::start('a', any)?, Server::start('b', any)?);
    let c = Server::start('c', any)?;
    let (balancer, addr) = balance(&[&a, &b, &c])?;
    println!("six connections are answered by   {}", ask_new(6, addr)?);
    let to_a = TcpStream::connect(addr)?;
    print!("two are kept open, to             {}", ask(&to_a));
    let to_b = TcpStream::connect(addr)?;
    println!("{}", ask(&to_b));

    let b_addr = b.addr.to_string();
    b.kill();
    println!("b dies; its open connection       {}", ask(&to_b));
    println!("nine new connections              {}", ask_new(9, addr)?);
    println!("up after b's third refusal        {}", balancer.up());
    let _b = Server::start('b', &b_addr)?;
    balancer.tick();
    println!("b returns; up after one check     {}", balancer.up());
    balancer.tick();
    println!("up after two checks               {}", balancer.up());
    println!("six new connections               {}", ask_new(6, addr)?);

    balancer.drain(0);
    println!("a drains; six new connections     {}", ask_new(6, addr)?);
    println!("a's open connection still says    {}", ask(&to_a));
    drop(to_a);
    println!("it closes; still open on a        {}", balancer.drained(0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_check_takes_a_dead_server_out_without_any_traffic() {
        let server = Server::start('s', "127.0.0.1:0").expect("loopback");
        let (balancer, _) = balance(&[&server]).expect("loopback");
        server.kill();
        let up = [1, 2, 3].map(|_| {
            balancer.tick();
            balancer.up()
        });
        assert_eq!(up, ["s", "s", ""], "out at the third failure");
    }

    #[test]
    fn connections_beyond_the_limit_are_closed_at_once() {
        let server = Server::start('s', "127.0.0.1:0").expect("loopback");
        let (_, addr) = balance(&[&server]).expect("loopback");
        let connect = |_| TcpStream::connect(addr).expect("loopback");
        let open = [0; CONNECTIONS_MAX].map(connect);
        assert!(open.iter().all(|stream| ask(stream) == 's'));
        assert_eq!(ask_new(1, addr).expect("loopback"), "-");
    }

    #[test]
    fn a_server_is_not_drained_while_a_connection_is_open() {
        let server = Server::start('s', "127.0.0.1:0").expect("loopback");
        let (balancer, addr) = balance(&[&server]).expect("loopback");
        let open = TcpStream::connect(addr).expect("loopback");
        assert_eq!(ask(&open), 's');
        balancer.drain(0);
        assert_eq!(balancer.backends()[0].open, 1);
        assert_eq!(ask_new(1, addr).expect("loopback"), "-", "nowhere to go");
        drop(open);
        assert_eq!(balancer.drained(0), 0);
    }
}
