//! A working layer-7 (HTTP/1.1) load balancer on the loopback interface.
//!
//! It reads every request. So it can choose by path, pin a client to a server
//! with a cookie, and send two requests of one connection to two servers. The
//! price: it parses what strangers send, so every length has a limit and every
//! doubt about where a message ends is refused.
//!
//! Simplified: GET and POST only, whole messages in memory, no chunked bodies,
//! every answer must state its length, no TLS, one blocking thread a connection,
//! one request a server connection.
//! A timeout bounds each read, where a real one bounds the whole head. The active
//! check runs when `check` is called, not every few seconds.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{thread, time::Duration};

const CONNECTIONS_MAX: usize = 64;
const REQUESTS_PER_CONNECTION_MAX: usize = 100;
const HEAD_BYTES_MAX: u64 = 8 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const IO_TIMEOUT: Duration = Duration::from_secs(30);
const FALL: usize = 3; // failures in a row that take a server out
const RISE: usize = 2; // successes in a row that put it back
const FORWARDED_FOR: &str = "x-forwarded-for";
const LENGTH: &str = "content-length";
const OF_THIS_HOP: &str = "connection keep-alive te upgrade expect content-length";

type Status = &'static str;
const BAD: Status = "400 Bad Request";
const TOO_LARGE: Status = "413 Content Too Large";
const HEAD_TOO_LARGE: Status = "431 Request Header Fields Too Large";
const NOT_IMPLEMENTED: Status = "501 Not Implemented";

struct Message {
    start: String, // "GET / HTTP/1.1" or "HTTP/1.1 200 OK"
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn new(start: &str, fields: &[(&str, &str)], body: &str) -> Message {
        let fields = fields.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        Message {
            start: start.to_string(),
            fields: fields.collect(),
            body: body.into(),
        }
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(n, _)| n == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The server that this client was given before, if any.
    fn pinned(&self) -> Option<&str> {
        let mut cookies = self.all("cookie").flat_map(|all| all.split(';'));
        cookies.find_map(|cookie| cookie.trim().strip_prefix("lb="))
    }

    /// Drops what was meant for this hop, and what only we can know.
    fn prepare(&mut self, client: IpAddr) {
        let named: Vec<&str> = self.all("connection").collect();
        let named = named.join(",").to_ascii_lowercase();
        let of_this_hop = |n: &str| named.split(',').any(|d| d.trim() == n);
        self.fields
            .retain(|(n, _)| n != FORWARDED_FOR && !of_this_hop(n));
        let client = (FORWARDED_FOR.to_string(), client.to_string());
        self.fields.push(client);
    }

    // ANCHOR: read
    /// Ok(None): the connection ended between two messages.
    fn read(from: &mut impl BufRead) -> Result<Option<Message>, Status> {
        let mut head = Vec::new();
        let mut limited = from.by_ref().take(HEAD_BYTES_MAX);
        while !head.ends_with(b"\r\n\r\n") {
            match limited.read_until(b'\n', &mut head) {
                Ok(0) if head.is_empty() => return Ok(None),
                Ok(0) if limited.limit() == 0 => return Err(HEAD_TOO_LARGE),
                Ok(0) | Err(_) => return Err(BAD),
                Ok(_) => {}
            }
        }
        let head = String::from_utf8(head).or(Err(BAD))?;
        if head.replace("\r\n", "").contains(char::is_control) {
            return Err(BAD); // a lone line feed: does it end a line or not?
        }
        let mut lines = head.trim_end().split("\r\n");
        let mut message = Message::new(lines.next().unwrap_or(""), &[], "");
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(BAD)?;
            if name.is_empty() || !name.bytes().all(may_name_a_field) {
                return Err(BAD); // "name :" or a folded line
            }
            let field = (name.to_ascii_lowercase(), value.trim().to_string());
            message.fields.push(field);
        }
        message.body.resize(message.body_length()?, 0);
        from.read_exact(&mut message.body).or(Err(BAD))?;
        Ok(Some(message))
    }
    // ANCHOR_END: read

    // ANCHOR: length
    /// If the server sees another end of the message than we do, what follows
    /// is a request that we have not checked: that is request smuggling.
    fn body_length(&self) -> Result<usize, Status> {
        if self.all("transfer-encoding").next().is_some() {
            return Err(NOT_IMPLEMENTED);
        }
        let length = match self.all(LENGTH).collect::<Vec<_>>()[..] {
            [] => Ok(0),
            [n] if n.bytes().all(|b| b.is_ascii_digit()) => n.parse().or(Err(BAD)),
            _ => Err(BAD), // more than one, or not a plain number
        };
        length.and_then(|n| (n <= BODY_BYTES_MAX).then_some(n).ok_or(TOO_LARGE))
    }
    // ANCHOR_END: length

    fn write(&self, mut to: &TcpStream) -> io::Result<()> {
        let mut text = self.start.clone();
        for (name, value) in &self.fields {
            if OF_THIS_HOP.split(' ').all(|hop| hop != name) {
                text += &format!("\r\n{name}: {value}");
            }
        }
        text += &format!("\r\n{LENGTH}: {}\r\n\r\n", self.body.len());
        to.write_all(&[text.as_bytes(), &self.body].concat())
    }
}

fn may_name_a_field(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn reply(status: &str, body: &str) -> Message {
    Message::new(&format!("HTTP/1.1 {status}"), &[], body)
}

fn get(path: &str, cookie: &str) -> Message {
    let fields = [("host", "example.org"), ("cookie", cookie)];
    Message::new(&format!("GET {path} HTTP/1.1"), &fields, "")
}

fn exchange(server: &TcpStream, request: &Message) -> Option<Message> {
    server.set_read_timeout(Some(IO_TIMEOUT)).ok()?;
    server.set_write_timeout(Some(IO_TIMEOUT)).ok()?;
    request.write(server).ok()?;
    let answer = Message::read(&mut BufReader::new(server)).ok()??;
    answer.all(LENGTH).next()?; // without it, the end would be a guess
    Some(answer)
}

#[derive(Clone)]
struct Backend {
    name: &'static str, // also its value in the cookie
    prefix: &'static str,
    addr: SocketAddr,
    up: bool,
    against: usize, // checks in a row that contradict `up`
    draining: bool,
}

#[derive(Default)]
struct Balancer {
    backends: Mutex<Vec<Backend>>,
    turn: AtomicUsize,
    clients: AtomicUsize,
}

impl Balancer {
    fn backends(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, name: &str, ok: bool) {
        for b in self.backends().iter_mut().filter(|b| b.name == name) {
            b.against = if ok == b.up { 0 } else { b.against + 1 };
            if b.against == if b.up { FALL } else { RISE } {
                (b.up, b.against) = (!b.up, 0);
            }
        }
    }

    // ANCHOR: choose
    /// The longest matching path, then the cookie, then whose turn it is.
    fn choose(&self, request: &Message, tried: &[&str]) -> Option<Backend> {
        let mut pool = self.backends().clone();
        let path = request.start.split(' ').nth(1)?;
        pool.retain(|b| path.starts_with(b.prefix));
        let longest = pool.iter().map(|b| b.prefix.len()).max()?;
        pool.retain(|b| b.prefix.len() == longest);
        pool.retain(|b| b.up && !tried.contains(&b.name));
        if let Some(b) = pool.iter().find(|b| Some(b.name) == request.pinned()) {
            return Some(b.clone()); // even while it drains
        }
        pool.retain(|b| !b.draining);
        let turn = self.turn.fetch_add(1, SeqCst);
        pool.get(turn % pool.len().max(1)).cloned()
    }
    // ANCHOR_END: choose

    // ANCHOR: forward
    fn forward(&self, mut request: Message, client: SocketAddr) -> Message {
        request.prepare(client.ip());
        let mut tried = Vec::new();
        while let Some(Backend { name, addr, .. }) = self.choose(&request, &tried) {
            let connected = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT);
            let Ok(server) = connected else {
                self.report(name, false); // the passive check
                tried.push(name); // nothing was sent: another server is safe
                continue;
            };
            let Some(mut answer) = exchange(&server, &request) else {
                self.report(name, false); // this too counts against it
                return reply("502 Bad Gateway", ""); // it may have run: no retry
            };
            if request.pinned() != Some(name) {
                let cookie = format!("lb={name}; Path=/; HttpOnly; SameSite=Lax");
                answer.fields.push(("set-cookie".into(), cookie));
            }
            return answer;
        }
        reply("503 Service Unavailable", "")
    }
    // ANCHOR_END: forward

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(IO_TIMEOUT))?;
        client.set_write_timeout(Some(IO_TIMEOUT))?;
        let (peer, mut reader) = (client.peer_addr()?, BufReader::new(client));
        for _ in 0..REQUESTS_PER_CONNECTION_MAX {
            let request = match Message::read(&mut reader) {
                Ok(Some(request)) => request,
                Ok(None) => break,
                Err(status) => return reply(status, "").write(client),
            };
            let close = |wish: &str| wish.eq_ignore_ascii_case("close");
            let last = request.all("connection").any(close);
            let answer = match request.start.split(' ').collect::<Vec<_>>()[..] {
                _ if request.all("host").count() != 1 => reply(BAD, ""),
                ["GET" | "POST", p, "HTTP/1.1"] if p.starts_with('/') => {
                    self.forward(request, peer)
                }
                _ => reply(NOT_IMPLEMENTED, ""),
            };
            answer.write(client)?;
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Rounds of active checks: does the server say that it is well?
    fn check(&self, rounds: usize) {
        let all = vec![self.backends().clone(); rounds].concat();
        for Backend { name, addr, .. } in all {
            let server = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT).ok();
            let answer = server.and_then(|s| exchange(&s, &get("/health", "")));
            self.report(name, answer.is_some_and(|a| a.start.contains(" 200 ")));
        }
    }
}

fn balance(backends: &[&Backend]) -> io::Result<(Arc<Balancer>, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (addr, balancer) = (listener.local_addr()?, Arc::<Balancer>::default());
    *balancer.backends() = backends.iter().map(|&b| b.clone()).collect();
    let shared = Arc::clone(&balancer);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if shared.clients.load(SeqCst) == CONNECTIONS_MAX {
                continue; // dropping the stream closes it
            }
            shared.clients.fetch_add(1, SeqCst);
            let balancer = Arc::clone(&shared);
            thread::spawn(move || {
                let _ = balancer.serve(&client);
                balancer.clients.fetch_sub(1, SeqCst)
            });
        }
    });
    Ok((balancer, addr))
}

/// How a server behaves at the moment.
type Mood = Arc<AtomicU8>;
const WELL: u8 = 0;
const UNWELL: u8 = 1; // answers 503 to health checks
const HANGS_UP: u8 = 2; // closes without an answer
const GONE: u8 = 3; // refuses connections

/// A server to balance: it answers with its name.
fn server(name: &'static str, prefix: &'static str) -> io::Result<(Backend, Mood)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (addr, mood) = (listener.local_addr()?, Mood::default());
    let now = Arc::clone(&mood);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mood = now.load(SeqCst);
            if mood == GONE {
                break; // this closes the listener
            }
            let request = Message::read(&mut BufReader::new(&stream));
            let start = request.ok().flatten().map_or(String::new(), |r| r.start);
            let unwell = mood == UNWELL && start.contains("/health");
            let status = if unwell { "503 Unwell" } else { "200 OK" };
            if mood != HANGS_UP {
                let _ = reply(status, name).write(&stream);
            }
        }
    });
    let backend = Backend {
        name,
        prefix,
        addr,
        up: true,
        against: 0,
        draining: false,
    };
    Ok((backend, mood))
}

/// What a client sees: the status or the server's name, and a new cookie.
fn ask(stream: &TcpStream, path: &str, cookie: &str) -> String {
    let Some(answer) = exchange(stream, &get(path, cookie)) else {
        return "closed".into();
    };
    if answer.start != "HTTP/1.1 200 OK" {
        return answer.start;
    }
    let cookies = answer.all("set-cookie").flat_map(|c| c.split(';').next());
    let set: String = cookies.map(|cookie| format!("  set {cookie}")).collect();
    String::from_utf8_lossy(&answer.body).into_owned() + &set
}

fn main() -> io::Result<()> {
    let (web1, _) = server("web1", "/")?;
    let (web2, web2_mood) = server("web2", "/")?;
    let (api1, api1_mood) = server("api1", "/api/")?;
    let (api2, api2_mood) = server("api2", "/api/")?;
    let (balancer, addr) = balance(&[&web1, &web2, &api1, &api2])?;
    let stream = TcpStream::connect(addr)?;
    let show = |path, cookies: &[&str]| {
        for cookie in cookies {
            println!("  {path:<6} {cookie:<8} {}", ask(&stream, path, cookie));
        }
    };
    println!("one connection, no cookie: every request is balanced");
    show("/", &["", ""]);
    show("/api/", &["", ""]);
    println!("with its cookie a client stays");
    show("/", &["lb=web2", "lb=web2"]);

    web2_mood.store(UNWELL, SeqCst);
    balancer.check(FALL);
    println!("web2 failed {FALL} checks: its client moves");
    show("/", &["lb=web2"]);
    web2_mood.store(WELL, SeqCst);
    balancer.check(RISE);
    balancer.backends()[1].draining = true;
    println!("web2 is well again but drains: old clients only");
    show("/", &["lb=web2", "", ""]);

    api1_mood.store(GONE, SeqCst);
    while TcpStream::connect(api1.addr).is_ok() {
        thread::sleep(Duration::from_millis(1)); // until its port refuses
    }
    println!("api1 refuses connections: nobody notices");
    show("/api/", &["lb=api1", "lb=api1"]);
    api2_mood.store(HANGS_UP, SeqCst);
    println!("api2 hangs up: too late to try elsewhere");
    show("/api/", &["lb=api2"]);
    balancer.check(FALL);
    println!("both are out");
    show("/api/", &["lb=api2"]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> Status {
        match Message::read(&mut request.as_bytes()) {
            Ok(_) => "fine",
            Err(status) => status,
        }
    }

    #[test]
    fn what_strangers_send_is_bounded_and_never_ambiguous() {
        let start = "POST / HTTP/1.1\r\nHost: x\r\n";
        let rest = |fields: &str| status(&format!("{start}{fields}\r\n\r\n"));
        assert_eq!(rest("Content-Length: 0"), "fine");
        assert_eq!(rest("Content-Length: 0\r\nContent-Length: 5"), BAD);
        assert_eq!(rest("Content-Length: +0"), BAD);
        assert_eq!(rest("Content-Length : 5"), BAD);
        assert_eq!(rest(" folded: 5"), BAD);
        assert_eq!(rest("X: 1\nContent-Length: 5"), BAD, "lone line feed");
        assert_eq!(rest("Content-Length: 999999"), TOO_LARGE);
        assert_eq!(rest("Transfer-Encoding: chunked"), NOT_IMPLEMENTED);
        assert_eq!(rest(&"x".repeat(9000)), HEAD_TOO_LARGE);
        assert_eq!(status("GET / HTTP/1.1\r\nHos"), BAD, "cut short");
        assert_eq!(status("GET /\nX: HTTP/1.1\r\n\r\n"), BAD, "in the path");
    }

    #[test]
    fn a_client_cannot_forge_the_address_that_servers_see() {
        for hop in ["close", FORWARDED_FOR] {
            let forged = [(FORWARDED_FOR, "192.0.2.66"), ("connection", hop)];
            let mut request = Message::new("GET / HTTP/1.1", &forged, "");
            request.prepare(IpAddr::from([127, 0, 0, 1]));
            assert!(request.all(FORWARDED_FOR).eq(["127.0.0.1"]));
        }
    }

    #[test]
    fn a_cookie_for_a_server_of_another_path_is_ignored() {
        let (web, _) = server("web", "/").expect("loopback");
        let (api, _) = server("api", "/api/").expect("loopback");
        let (_, addr) = balance(&[&web, &api]).expect("loopback");
        let stream = TcpStream::connect(addr).expect("loopback");
        assert_eq!(ask(&stream, "/api/", "lb=web"), "api  set lb=api");
        assert_eq!(ask(&stream, "/api/", "x=1; lb=api"), "api");
    }

    #[test]
    fn a_server_that_takes_connections_but_fails_its_checks_is_taken_out() {
        let (sick, mood) = server("sick", "/").expect("loopback");
        let (balancer, addr) = balance(&[&sick]).expect("loopback");
        let stream = TcpStream::connect(addr).expect("loopback");
        mood.store(UNWELL, SeqCst);
        for _ in 0..FALL {
            assert_eq!(ask(&stream, "/", "lb=sick"), "sick", "traffic between");
            balancer.check(1);
        }
        assert!(ask(&stream, "/", "lb=sick").contains("503"));
    }

    #[test]
    fn an_answer_whose_end_would_be_a_guess_is_not_passed_on() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let addr = listener.local_addr().expect("loopback");
        let server = TcpStream::connect(addr).expect("loopback");
        let (mut end, _) = listener.accept().expect("loopback");
        let no_length = b"HTTP/1.1 200 OK\r\n\r\nhalf of ";
        end.write_all(no_length).expect("loopback");
        assert!(exchange(&server, &get("/", "")).is_none());
    }
}
