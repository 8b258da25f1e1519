//! Links between the members of a cluster that can be cut: each member is reached by
//! the others through a port of this process, which passes the bytes on, or does not.
//!
//! It needs no root, unlike a firewall rule or a network namespace. A link knows who
//! is reached; who calls, it reads from a header that the caller's program sends,
//! for etcd `X-Server-From`. A caller that has not said who it is counts as cut off
//! too, as soon as there is a cut: it calls again.
//!
//! May know of `port`, of nothing else in this crate.

use crate::port::hang_up;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many bytes are passed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A member's place in the list of members.
pub type Member = usize;

/// All links of a cluster.
pub struct Network {
    listeners: Vec<Arc<TcpListener>>,
    shared: Arc<Shared>,
}

struct Shared {
    header: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cut: Option<Member>,
    /// What each member calls itself in the header, once that is known.
    names: Vec<String>,
    connections: Vec<Connection>,
}

struct Connection {
    from: Option<String>,
    to: Member,
    ends: [TcpStream; 2],
}

impl Network {
    /// A link to each of `targets`. Callers say who they are in the header `header`.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(targets: &[SocketAddr], header: &'static str) -> Result<Network> {
        let shared =
            Arc::new(Shared { header, state: Mutex::new(State::default()) });
        let mut listeners = Vec::new();
        for (to, target) in targets.iter().copied().enumerate() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .context("listen for a link")?;
            let listener = Arc::new(listener);
            listeners.push(Arc::clone(&listener));
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // Ends when the network is dropped: then nobody listens any more.
                while let Ok((caller, _)) = listener.accept() {
                    shared.pass_on(caller, to, target);
                }
            });
        }
        Ok(Network { listeners, shared })
    }

    /// Where member `member` is to be reached by the others.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn addr(&self, member: Member) -> Result<SocketAddr> {
        self.listeners[member].local_addr().context("a link has an address")
    }

    /// What each member calls itself in the header.
    pub fn set_names(&self, names: Vec<String>) {
        self.shared.lock().names = names;
    }

    /// Cuts every link from and to `member`, and all that are open.
    pub fn cut(&self, member: Member) {
        let mut state = self.shared.lock();
        state.cut = Some(member);
        let connections = std::mem::take(&mut state.connections);
        let (cut, kept) =
            connections.into_iter().partition(|link| state.is_cut(link));
        state.connections = kept;
        drop(state);
        close(cut);
    }

    /// Ends the cut.
    pub fn mend(&self) {
        self.shared.lock().cut = None;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.listeners.iter().for_each(|listener| hang_up(listener));
        close(std::mem::take(&mut self.shared.lock().connections));
    }
}

impl State {
    fn is_cut(&self, connection: &Connection) -> bool {
        let Some(cut) = self.cut else { return false };
        match &connection.from {
            _ if connection.to == cut => true,
            Some(from) => self.names.get(cut) == Some(from),
            None => true,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects a caller with the member it calls, unless that is cut off.
    fn pass_on(
        self: &Arc<Shared>,
        caller: TcpStream,
        to: Member,
        target: SocketAddr,
    ) {
        if self.lock().cut == Some(to) {
            return;
        }
        let Ok(called) = TcpStream::connect(target) else { return };
        let (Ok(up), Ok(down)) = (pair(&caller, &called), pair(&called, &caller))
        else {
            return;
        };
        let _ = caller.set_nodelay(true);
        let _ = called.set_nodelay(true);
        let (addr, shared) = (caller.peer_addr(), Arc::clone(self));
        let connection = Connection { from: None, to, ends: [caller, called] };
        self.lock().connections.push(connection);
        thread::spawn(move || {
            copy(up, |bytes| match (header(bytes, shared.header), &addr) {
                (Some(from), Ok(addr)) => shared.identify(*addr, from),
                _ => true,
            });
        });
        thread::spawn(move || copy(down, |_| true));
    }

    /// Notes who calls from `addr`. Returns whether it may.
    fn identify(&self, addr: SocketAddr, from: String) -> bool {
        let mut state = self.lock();
        let found = state
            .connections
            .iter()
            .position(|c| c.ends[0].peer_addr().is_ok_and(|peer| peer == addr));
        let Some(i) = found else { return false };
        state.connections[i].from = Some(from);
        if state.is_cut(&state.connections[i]) {
            let connection = state.connections.swap_remove(i);
            drop(state);
            close(vec![connection]);
            return false;
        }
        true
    }
}

fn pair(a: &TcpStream, b: &TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    Ok((a.try_clone()?, b.try_clone()?))
}

/// Passes bytes on until one side closes, or `look` says no.
fn copy((mut from, mut to): (TcpStream, TcpStream), look: impl Fn(&[u8]) -> bool) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if !look(&chunk[..length]) || to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    close_both([&from, &to]);
}

fn close(connections: Vec<Connection>) {
    for connection in connections {
        let [caller, called] = &connection.ends;
        close_both([caller, called]);
    }
}

fn close_both(ends: [&TcpStream; 2]) {
    for end in ends {
        // An error means that it is closed already.
        let _ = end.shutdown(Shutdown::Both);
    }
}

/// The value of header `name` in a piece of an HTTP request.
fn header(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;
    use std::time::Duration;

    /// A member that sends back what it is sent.
    fn echo() -> SocketAddr {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(back) = stream.try_clone() else { continue };
                thread::spawn(move || copy((stream, back), |_| true));
            }
        });
        addr
    }

    fn answers(network: &Network, from: &str, to: Member) -> bool {
        let ask = || -> Result<bool> {
            let mut stream = TcpStream::connect(network.addr(to)?)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(format!("GET /\r\nFrom: {from}\r\n").as_bytes())?;
            Ok(matches!(stream.read(&mut [0; 8]), Ok(1..)))
        };
        ask().unwrap_or(false)
    }

    #[test]
    fn a_cut_member_reaches_nobody_and_nobody_reaches_it_until_it_is_mended() {
        let targets = [echo(), echo(), echo()];
        let network = Network::start(&targets, "From").expect("free ports");
        network.set_names(["a", "b", "c"].map(str::to_owned).to_vec());
        let reachable = |from, to| answers(&network, from, to);
        assert!(reachable("c", 0) && reachable("a", 2));

        network.cut(2);
        assert!(!reachable("c", 0) && !reachable("c", 1));
        assert!(!reachable("a", 2) && !reachable("b", 2));
        assert!(reachable("a", 1) && reachable("b", 0));

        network.mend();
        assert!(reachable("c", 0) && reachable("a", 2));
    }

    #[test]
    fn a_cut_ends_what_is_open() {
        let network = Network::start(&[echo(), echo()], "From").expect("free ports");
        network.set_names(vec!["a".to_owned(), "b".to_owned()]);
        let addr = network.addr(1).expect("an address");
        let mut open = TcpStream::connect(addr).expect("not cut yet");
        open.write_all(b"From: a\r\n").expect("it is open");
        let mut bytes = [0; 9];
        open.read_exact(&mut bytes).expect("it comes back");
        network.cut(1);
        let ended = wait_until(Duration::from_secs(5), || {
            matches!(open.read(&mut bytes), Ok(0) | Err(_))
        });
        assert!(ended);
    }
}
