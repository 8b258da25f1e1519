//! Running blocks under `cargo xtask serve`, over real HTTP: what a reader's program does, who may
//! ask for one to be run, what a program cannot do, and that nothing outlives the server.
//!
//! Where the system cannot enforce something the server says so, and that part of a test is left
//! out; but never where `CI=true` on Linux. Waits are bounded so that a hang fails; no assertion
//! is about speed.

#[expect(dead_code, reason = "the tests of other commands use the rest of it")]
mod small_book;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use small_book::SmallBook;
use tempfile::TempDir;

/// Longer than compiling and running may take.
const WAIT: Duration = Duration::from_secs(120);

/// How long the crates may take to be compiled.
const CRATES_WAIT: Duration = Duration::from_secs(600);

const PATH: &str = "/__xtask/execute";

/// A running server that ends with the test.
struct Server {
    child: Child,
    address: String,
    /// The first line of what it says about running blocks: what it enforces.
    enforces: String,
    /// Its lines after that.
    lines: Receiver<String>,
    /// Where it and its programs make temporary folders.
    temporary: TempDir,
}

impl Server {
    fn start(book: &SmallBook) -> Server {
        Server::start_with(book, &[])
    }

    /// With these variables in its environment.
    fn start_with(book: &SmallBook, variables: &[(&str, &str)]) -> Server {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let mut child = book
            .command()
            .args(["serve", "--port", "0"])
            .env("TMPDIR", temporary.path())
            .env("TMP", temporary.path())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the tool starts");
        let (tell, lines) = channel();
        let output = child.stdout.take().expect("a pipe");
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The test may have seen all that it wanted.
                let _ = tell.send(line);
            }
        });
        let (mut address, mut enforces) = (None, None);
        while address.is_none() || enforces.is_none() {
            let line: String = lines.recv_timeout(WAIT).expect("the server starts");
            if let Some(rest) = line.strip_prefix("serving http://") {
                address = rest.split('/').next().map(str::to_owned);
            } else if line.starts_with("Run: ") && enforces.is_none() {
                enforces = Some(line);
            }
        }
        Server {
            child,
            address: address.expect("it was just found"),
            enforces: enforces.expect("it was just found"),
            lines,
            temporary,
        }
    }

    /// Whether the server says that it enforces something. It has to on Linux in CI.
    fn enforces(&self, what: &str) -> bool {
        let enforced = self.enforces.contains(what);
        let must = cfg!(target_os = "linux") && std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(enforced || !must, "{what}: {}", self.enforces);
        enforced
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap_or_default()
    }

    /// The token of a page that this server sends.
    fn token(&self) -> String {
        let page = Question::new("GET", "/")
            .header("Host", &self.address)
            .ask(self);
        let (_, rest) = page
            .body
            .split_once("<meta name=\"book-run\" content=\"/__xtask/execute\" data-token=\"")
            .expect("the page says where to run programs");
        rest.split('"').next().expect("a token").to_owned()
    }

    /// The question of one of this server's own pages.
    fn question(&self, body: &str) -> Question {
        Question::new("POST", PATH)
            .header("Host", &self.address)
            .header("Origin", &format!("http://{}", self.address))
            .header("Sec-Fetch-Site", "same-origin")
            .header("Content-Type", "application/json")
            .header("X-Book-Token", &self.token())
            .body(body)
    }

    /// What a reader sees of a program.
    fn run(&self, code: &str) -> Value {
        self.run_as(code, json!({}))
    }

    /// The same with other values than the page's in the request.
    fn run_as(&self, code: &str, others: Value) -> Value {
        let reply = self.question(&request(code, others)).ask(self);
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str(&reply.body).expect("JSON")
    }

    /// The command lines of the programs and supervisors that this server started.
    #[cfg(target_os = "linux")]
    fn processes(&self) -> Vec<String> {
        let mine = self.temporary.path().to_string_lossy().into_owned();
        fs::read_dir("/proc")
            .expect("processes")
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .filter(|line| line.contains(&mine))
            .collect()
    }

    /// Waits until as many programs run.
    #[cfg(target_os = "linux")]
    fn wait_for_programs(&self, number: usize) {
        until(|| {
            let processes = self.processes();
            let programs = processes
                .iter()
                .filter(|line| line.starts_with('/') && line.contains("/work/playground"));
            programs.filter(|line| !line.contains("confine")).count() == number
        });
    }

    /// Waits until the folders of all runs are gone.
    fn wait_until_empty(&self) {
        let entries = || -> Vec<PathBuf> {
            let folder = fs::read_dir(self.temporary.path()).expect("a folder");
            folder.flatten().map(|entry| entry.path()).collect()
        };
        until(|| entries().is_empty());
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        rustix::process::kill_process(pid, signal).expect("the server is there");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
fn until(mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < WAIT, "it is not so in time");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An HTTP request, header by header.
#[derive(Clone)]
struct Question {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// An HTTP response.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Question {
    fn new(method: &str, path: &str) -> Question {
        Question {
            line: format!("{method} {path} HTTP/1.1"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// With a header, instead of the one of that name.
    fn header(mut self, name: &str, value: &str) -> Question {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Question {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn body(mut self, body: &str) -> Question {
        self.body = body.to_owned();
        self
    }

    fn send(&self, server: &Server) -> TcpStream {
        let mut stream = TcpStream::connect(&server.address).expect("the server listens");
        stream.set_read_timeout(Some(WAIT)).expect("a time-out");
        let mut text = format!("{}\r\nConnection: close\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        // A server that refuses a long request may not read to its end.
        let _ = stream.write_all(text.as_bytes());
        stream
    }

    fn ask(&self, server: &Server) -> Reply {
        reply(self.send(server))
    }
}

fn reply(mut stream: TcpStream) -> Reply {
    let mut text = Vec::new();
    // A refused request that was not read to its end is followed by a reset.
    let read = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no response: {text} {read:?}"));
    let status = head.split(' ').nth(1).expect("a status");
    Reply {
        status: status.parse().expect("a number"),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// The request of a page, with some of its values replaced.
fn request(code: &str, others: Value) -> String {
    let mut request = json!({
        "channel": "stable", "mode": "debug", "edition": "2021", "crateType": "bin",
        "tests": false, "code": code,
    });
    for (name, value) in others.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request.to_string()
}

fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field}: {answer}"))
}

const ENDLESS: &str = "fn main() { loop { std::thread::park(); } }";

#[test]
fn a_reader_sees_what_a_program_prints_and_how_it_ends() {
    let server = Server::start(&SmallBook::new());
    let good = server.run("fn main() { println!(\"out\"); eprintln!(\"err\"); }");
    assert_eq!(good["success"], true, "{good}");
    assert_eq!(text(&good, "exitDetail"), "Exited with status 0");
    assert_eq!(text(&good, "stdout"), "out\n");
    let (before, own) = text(&good, "stderr")
        .split_once("     Running `playground`\n")
        .expect("the line after which the program's own output begins");
    assert!(before.contains("Compiling playground"), "{before}");
    assert_eq!(own, "err\n");

    let wrong = server.run("fn main() { let number: u8 = \"text\"; }");
    assert_eq!(wrong["success"], false);
    assert!(text(&wrong, "stderr").contains("error[E0308]"), "{wrong}");
    assert!(
        text(&wrong, "stderr").contains("error: could not compile"),
        "{wrong}"
    );
    assert!(!text(&wrong, "stderr").contains("Running"), "{wrong}");

    // A block that is to panic is run as any other.
    let panics = server.run("fn main() {\n    panic!(\"too small\");\n}");
    assert_eq!(panics["success"], false);
    assert_eq!(text(&panics, "exitDetail"), "Exited with status 101");
    let message = "panicked at src/main.rs:2:5:\ntoo small\n";
    assert!(text(&panics, "stderr").contains(message), "{panics}");

    let warned = server.run("fn main() { let unused = 1; }");
    assert_eq!(warned["success"], true);
    assert!(
        text(&warned, "stderr").contains("warning: unused variable"),
        "{warned}"
    );

    let exits = server.run("fn main() { std::process::exit(3) }");
    assert_eq!(text(&exits, "exitDetail"), "Exited with status 3");
    server.wait_until_empty();
}

#[test]
fn a_request_says_how_to_compile() {
    let server = Server::start(&SmallBook::new());
    let tests = "pub fn one() -> u8 { 1 }\n#[test] fn passes() { assert_eq!(one(), 1) }\n\
                 #[test] fn fails() { assert_eq!(one(), 2) }\n";
    let tested = server.run_as(tests, json!({ "crateType": "lib", "tests": true }));
    assert_eq!(tested["success"], false);
    assert!(
        text(&tested, "stdout").contains("1 passed; 1 failed"),
        "{tested}"
    );
    let built = server.run_as(tests, json!({ "crateType": "lib" }));
    assert_eq!(built["success"], true, "{built}");
    assert_eq!(text(&built, "stdout"), "");

    let mode = "fn main() { println!(\"{}\", cfg!(debug_assertions)); }";
    assert_eq!(text(&server.run(mode), "stdout"), "true\n");
    let release = server.run_as(mode, json!({ "mode": "release" }));
    assert_eq!(text(&release, "stdout"), "false\n");

    let newer = "fn main() { let gen = 1; println!(\"{gen}\"); }";
    let without_edition = json!({ "edition": "" });
    assert_eq!(server.run_as(newer, without_edition)["success"], true);
    let newest = server.run_as(newer, json!({ "edition": "2024" }));
    assert!(
        text(&newest, "stderr").contains("reserved keyword"),
        "{newest}"
    );

    let panics = "fn main() { panic!() }";
    let trace = server.run_as(panics, json!({ "backtrace": true }));
    assert!(
        text(&trace, "stderr").contains("stack backtrace:"),
        "{trace}"
    );
    assert!(!text(&server.run(panics), "stderr").contains("stack backtrace:"));
}

#[test]
fn threads_run_and_a_program_may_write_into_its_own_folder() {
    let server = Server::start(&SmallBook::new());
    let threads = "fn main() {\n    let all: Vec<_> = (0..100u64)\n        \
        .map(|n| std::thread::spawn(move || n)).collect();\n    \
        println!(\"{}\", all.into_iter().map(|t| t.join().unwrap()).sum::<u64>());\n}";
    assert_eq!(text(&server.run(threads), "stdout"), "4950\n");
    let writes = "use std::fs;\nfn main() {\n    fs::write(\"here\", \"a\").unwrap();\n    \
        let there = std::env::temp_dir().join(\"there\");\n    fs::copy(\"here\", &there).unwrap();\n    \
        println!(\"{}\", fs::read_to_string(there).unwrap());\n}";
    let answer = server.run(writes);
    if server.enforces.contains("read-only mounts") || cfg!(not(target_os = "linux")) {
        assert_eq!(text(&answer, "stdout"), "a\n", "{answer}");
    } else {
        // Copying sets the copy's mode, which cannot be told from setting any file's.
        let plain = writes.replace("fs::copy(\"here\", &there)", "fs::write(&there, \"a\")");
        assert_eq!(text(&server.run(&plain), "stdout"), "a\n");
    }
    server.wait_until_empty();
}

#[test]
fn sockets_on_the_loopback_work_where_a_program_has_one_of_its_own() {
    let server = Server::start(&SmallBook::new());
    let sockets = "use std::io::{Read, Write};\nuse std::net::*;\nfn main() {\n    \
        let listener = match TcpListener::bind(\"127.0.0.1:0\") {\n        Ok(listener) => listener,\n        \
        Err(error) => return println!(\"{:?}\", error.kind()),\n    };\n    \
        let mut one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();\n    \
        one.write_all(b\"x\").unwrap();\n    let mut byte = [0];\n    \
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();\n    \
        println!(\"{}\", byte[0] as char);\n}";
    let answer = server.run(sockets);
    let expected = if server.enforces.contains("no sockets") {
        "PermissionDenied\n"
    } else {
        "x\n"
    };
    assert_eq!(text(&answer, "stdout"), expected, "{answer}");
}

#[test]
fn a_block_may_use_the_crates_of_the_books_tests_and_no_others() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a folder");
    let manifest = fs::read_to_string(repository.join("snippets/Cargo.toml")).expect("a file");
    let (_, rest) = manifest.split_once("[dependencies]").expect("dependencies");
    let dependencies = rest.split("\n[").next().unwrap_or_default();
    let book = SmallBook::new();
    book.write(
        "snippets/Cargo.toml",
        &format!("[package]\nname = \"snippets\"\n\n[workspace]\n\n[dependencies]{dependencies}"),
    );
    book.write("snippets/src/lib.rs", "");
    let lock = fs::read_to_string(repository.join("Cargo.lock")).expect("a file");
    book.write("Cargo.lock", &lock);
    // Compiled once for all test runs: where a reader of the repository has them, too.
    #[cfg(unix)]
    {
        let folder = repository.join("target/run");
        fs::create_dir_all(&folder).expect("a folder");
        fs::create_dir(book.root().join("target")).expect("a folder");
        std::os::unix::fs::symlink(folder, book.root().join("target/run")).expect("a link");
    }
    let server = Server::start(&book);
    // This one does not wait for them.
    assert_eq!(
        text(&server.run("fn main() { println!(\"now\") }"), "stdout"),
        "now\n"
    );
    let ready = |line: &String| line.contains("crates that blocks use are ready");
    let start = Instant::now();
    while !ready(&server.lines.recv_timeout(CRATES_WAIT).expect("the crates")) {
        assert!(start.elapsed() < CRATES_WAIT);
    }
    let answer = server.run(
        "use rusqlite::Connection;\nfn main() {\n    let base = Connection::open(\"a.db\").unwrap();\n    \
         base.execute_batch(\"create table t (n); insert into t values (1), (2)\").unwrap();\n    \
         let sum: i64 = base.query_row(\"select sum(n) from t\", [], |row| row.get(0)).unwrap();\n    \
         println!(\"{}\", serde_json::json!({ \"sum\": sum }));\n}",
    );
    assert_eq!(text(&answer, "stdout"), "{\"sum\":3}\n", "{answer}");
    let other = server.run("use libsqlite3_sys::sqlite3;\nfn main() {}");
    assert!(
        text(&other, "stderr").contains("unresolved import"),
        "{other}"
    );
}

#[test]
fn crates_that_cannot_be_compiled_are_named_and_other_blocks_run() {
    let book = SmallBook::new();
    book.write(
        "snippets/Cargo.toml",
        "[package]\nname = \"snippets\"\n\n[workspace]\n\n[dependencies]\nserde_json = \"=99.0.0\"\n",
    );
    book.write("snippets/src/lib.rs", "");
    book.write("Cargo.lock", "version = 4\n");
    // A reader without internet who has not downloaded it.
    let server = Server::start_with(&book, &[("CARGO_NET_OFFLINE", "true")]);
    assert_eq!(server.run("fn main() {}")["success"], true);
    let question = server.question(&request("use serde_json::Value;\nfn main() {}", json!({})));
    let reply = question.ask(&server);
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(reply.body.contains("serde_json"), "{}", reply.body);
    let told = |line: String| line.contains("blocks that use crates cannot be run");
    assert!(
        told(server.lines.recv_timeout(WAIT).expect("a line"))
            || told(server.lines.recv_timeout(WAIT).expect("a line"))
    );
}

#[test]
fn whoever_is_not_a_page_of_this_server_runs_nothing() {
    let server = Server::start(&SmallBook::new());
    let good = server.question(&request("fn main() {}", json!({})));
    assert_eq!(
        good.ask(&server).status,
        200,
        "without which the rest shows nothing"
    );
    let port = server.port();
    let token = server.token();
    let (other_port, truncated) = (format!("127.0.0.1:1{port}"), &token[1..]);
    let cases = [
        (
            403,
            "a name that was pointed here",
            good.clone().header("Host", &format!("evil.example:{port}")),
        ),
        (
            403,
            "another port",
            good.clone().header("Host", &other_port),
        ),
        (403, "two hosts", {
            let mut two = good.clone();
            two.headers
                .push(("Host".to_owned(), "evil.example".to_owned()));
            two
        }),
        (
            403,
            "another site",
            good.clone().header("Origin", "https://evil.example"),
        ),
        (
            403,
            "another port of this machine",
            good.clone().header("Origin", "http://127.0.0.1:1"),
        ),
        (
            403,
            "a page without an address",
            good.clone().header("Origin", "null"),
        ),
        (
            403,
            "another scheme",
            good.clone()
                .header("Origin", &format!("https://{}", server.address)),
        ),
        (
            403,
            "another of this server's names",
            good.clone()
                .header("Origin", &format!("http://localhost:{port}")),
        ),
        (403, "no origin", good.clone().without("Origin")),
        (
            403,
            "a browser that says cross-site",
            good.clone().header("Sec-Fetch-Site", "cross-site"),
        ),
        (
            403,
            "a browser that says same-site",
            good.clone().header("Sec-Fetch-Site", "same-site"),
        ),
        (
            403,
            "a typed address",
            good.clone().header("Sec-Fetch-Site", "none"),
        ),
        (403, "no token", good.clone().without("X-Book-Token")),
        (
            403,
            "an empty token",
            good.clone().header("X-Book-Token", ""),
        ),
        (
            403,
            "the beginning of a token",
            good.clone().header("X-Book-Token", truncated),
        ),
        (
            403,
            "a wrong token",
            good.clone()
                .header("X-Book-Token", &"0".repeat(token.len())),
        ),
        (
            415,
            "a form",
            good.clone().header("Content-Type", "text/plain"),
        ),
        (415, "no type", good.clone().without("Content-Type")),
        (
            405,
            "GET",
            Question {
                line: format!("GET {PATH} HTTP/1.1"),
                ..good.clone()
            },
        ),
        (
            405,
            "a preflight",
            Question {
                line: format!("OPTIONS {PATH} HTTP/1.1"),
                ..good.clone()
            },
        ),
        (
            405,
            "PUT",
            Question {
                line: format!("PUT {PATH} HTTP/1.1"),
                ..good.clone()
            },
        ),
        (
            413,
            "too large a body",
            good.clone().body(&request(&" ".repeat(1 << 20), json!({}))),
        ),
        (
            413,
            "too long a program",
            good.clone()
                .body(&request(&" ".repeat((256 << 10) + 1), json!({}))),
        ),
        (400, "no JSON", good.clone().body("fn main() {}")),
        (
            400,
            "no code",
            good.clone().body("{\"channel\": \"stable\"}"),
        ),
        (
            400,
            "several files",
            good.clone().body(&request("", json!({ "code": [] }))),
        ),
        (
            400,
            "another toolchain",
            good.clone()
                .body(&request("", json!({ "channel": "nightly" }))),
        ),
        (
            400,
            "another kind",
            good.clone()
                .body(&request("", json!({ "crateType": "proc-macro" }))),
        ),
        (
            400,
            "an option in the edition",
            good.clone()
                .body(&request("", json!({ "edition": "2021 -Clinker=x" }))),
        ),
    ];
    for (status, who, question) in cases {
        let reply = question.ask(&server);
        assert_eq!(reply.status, status, "{who}: {}", reply.body);
        let error: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert!(!text(&error, "error").is_empty(), "{who}");
        assert!(
            !reply.head.contains("access-control"),
            "{who}: {}",
            reply.head
        );
        assert!(!reply.body.contains(&token), "{who} learns the token");
    }
    // Under each of its own names it is the same server.
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        let host = format!("{name}:{port}");
        let own = good
            .clone()
            .header("Host", &host)
            .header("Origin", &format!("http://{host}"));
        assert_eq!(own.ask(&server).status, 200, "{name}");
    }
}

#[test]
fn a_page_is_for_this_servers_own_address_and_in_no_other_sites_frame() {
    let server = Server::start(&SmallBook::new());
    let token = server.token();
    for path in ["/", "/part/one.html", "/nothing.html", "/__xtask/builds"] {
        let rebound = Question::new("GET", path).header("Host", "evil.example");
        let reply = rebound.ask(&server);
        assert_eq!(reply.status, 403, "{path}");
        assert!(!reply.body.contains(&token), "{path}");
        let nobody = Question::new("GET", path).ask(&server);
        assert!([400, 403].contains(&nobody.status), "{path}");
        let proxied = Question::new("GET", &format!("http://evil.example{path}"))
            .header("Host", &server.address);
        assert_eq!(proxied.ask(&server).status, 403, "{path}");
    }
    for path in ["/", "/part/one.html", "/nothing.html"] {
        let reply = Question::new("GET", path)
            .header("Host", &server.address)
            .ask(&server);
        for header in [
            "x-frame-options: deny",
            "content-security-policy: frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(reply.head.contains(header), "{path}: {}", reply.head);
        }
        assert!(
            !reply.head.contains("access-control"),
            "{path}: {}",
            reply.head
        );
        assert_eq!(reply.body.matches(&token).count(), 1, "{path}");
    }
    let other = Server::start(&SmallBook::new());
    assert_ne!(other.token(), token, "each server has a token of its own");
}

#[test]
fn a_program_reaches_nothing_on_the_network() {
    let server = Server::start(&SmallBook::new());
    if !server.enforces("no network") {
        return;
    }
    let machine = TcpListener::bind("127.0.0.1:0").expect("a socket");
    machine.set_nonblocking(true).expect("a socket");
    let code = "use std::net::*;\nuse std::time::Duration;\nfn main() {\n    \
        for address in [\"MACHINE\", \"SERVER\", \"192.0.2.1:80\", \"[2001:db8::1]:80\"] {\n        \
        let address = address.parse().unwrap();\n        \
        println!(\"{}\", TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok());\n    }\n    \
        println!(\"{}\", UdpSocket::bind(\"0.0.0.0:0\").and_then(|udp| udp.send_to(b\"x\", \"192.0.2.1:53\")).is_ok());\n}";
    let machines = machine.local_addr().expect("an address").to_string();
    let code = code
        .replace("MACHINE", &machines)
        .replace("SERVER", &server.address);
    let answer = server.run(&code);
    assert_eq!(text(&answer, "stdout"), "false\n".repeat(5), "{answer}");
    assert!(machine.accept().is_err(), "somebody came");
}

#[test]
#[cfg(unix)]
fn a_program_reaches_no_daemon_through_a_file() {
    use std::os::unix::net::UnixListener;
    let server = Server::start(&SmallBook::new());
    if !server.enforces("seccomp") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("daemon");
    let daemon = UnixListener::bind(&path).expect("a socket");
    daemon.set_nonblocking(true).expect("a socket");
    let code = format!(
        "use std::os::unix::net::*;\nfn main() {{\n    let path = {path:?};\n    \
         println!(\"{{}} {{}} {{}}\", UnixStream::connect(path).is_ok(), \
         UnixDatagram::unbound().is_ok(), UnixDatagram::pair().is_ok());\n    \
         println!(\"{{}}\", UnixStream::pair().is_ok());\n}}"
    );
    let answer = server.run(&code);
    assert_eq!(
        text(&answer, "stdout"),
        "false false false\ntrue\n",
        "{answer}"
    );
    assert!(daemon.accept().is_err(), "somebody came");
}

#[test]
fn neither_a_program_nor_its_compilation_writes_outside_its_folder() {
    let server = Server::start(&SmallBook::new());
    if !server.enforces("no writing outside") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "kept").expect("a file");
    let before = fs::metadata(&file).expect("a file").permissions();
    let code = "use std::fs;\nfn main() {\n    let folder = std::path::Path::new(FOLDER);\n    \
        let file = folder.join(\"file\");\n    \
        println!(\"{}\", fs::write(folder.join(\"new\"), \"x\").is_ok());\n    \
        println!(\"{}\", fs::write(&file, \"changed\").is_ok());\n    \
        println!(\"{}\", fs::remove_file(&file).is_ok());\n    \
        println!(\"{}\", fs::rename(&file, \"mine\").is_ok());\n    \
        println!(\"{}\", fs::create_dir(folder.join(\"sub\")).is_ok());\n    \
        let mut modes = fs::metadata(&file).unwrap().permissions();\n    modes.set_readonly(true);\n    \
        println!(\"{}\", fs::set_permissions(&file, modes).is_ok());\n    \
        println!(\"{}\", fs::write(\"../ended\", \"x\").is_ok());\n    \
        println!(\"{}\", fs::read_to_string(&file).unwrap());\n}";
    let code = code.replace("FOLDER", &format!("{:?}", folder.path()));
    let answer = server.run(&code);
    let expected = "false\n".repeat(7) + "kept\n";
    assert_eq!(text(&answer, "stdout"), expected, "{answer}");
    // A block can name files to the compiler: it may read them, and write nowhere.
    let linked = "#![crate_type = \"bin\"]\n#[link(name = \"absent\", kind = \"static\")]\nextern \"C\" {}\n\
        const READ: &str = include_str!(FILE);\nfn main() { println!(\"{READ}\") }";
    let linked = linked.replace("FILE", &format!("{file:?}"));
    let answer = server.run(&linked);
    assert_eq!(answer["success"], false, "{answer}");
    let reads =
        "fn main() { println!(\"{}\", include_str!(FILE)) }".replace("FILE", &format!("{file:?}"));
    assert_eq!(text(&server.run(&reads), "stdout"), "kept\n");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "kept");
    assert_eq!(fs::metadata(&file).expect("a file").permissions(), before);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_has_no_rights_no_foreign_files_and_no_foreign_environment() {
    let server = Server::start(&SmallBook::new());
    if !server.enforces("seccomp") {
        return;
    }
    let code = "use std::fs;\nfn main() {\n    \
        let status = fs::read_to_string(\"/proc/self/status\").unwrap();\n    \
        for line in status.lines().filter(|l| l.starts_with(\"CapEff\") || l.starts_with(\"CapBnd\") || l.starts_with(\"NoNewPrivs\")) {\n        \
        println!(\"{line}\");\n    }\n    \
        let mut files: Vec<_> = fs::read_dir(\"/proc/self/fd\").unwrap().map(|e| e.unwrap().file_name()).collect();\n    \
        files.sort();\n    println!(\"{files:?}\");\n    \
        for (name, _) in std::env::vars() { println!(\"{name}\"); }\n}";
    let answer = server.run(code);
    let lines: Vec<&str> = text(&answer, "stdout").lines().collect();
    let user = rustix::process::getuid().is_root() || server.enforces.contains("user namespace");
    assert!(lines.len() > 4, "{answer}");
    assert_eq!(lines[0], "CapEff:\t0000000000000000");
    if user {
        assert_eq!(lines[1], "CapBnd:\t0000000000000000");
    }
    assert_eq!(lines[2], "NoNewPrivs:\t1");
    // The last one is the listing's own.
    assert_eq!(lines[3], "[\"0\", \"1\", \"2\", \"3\"]");
    let mut names = lines[4..].to_vec();
    names.sort_unstable();
    assert_eq!(
        names,
        ["HOME", "PATH", "RUST_BACKTRACE", "TEMP", "TMP", "TMPDIR"]
    );
}

#[test]
fn a_program_that_does_not_end_is_stopped() {
    let server = Server::start(&SmallBook::new());
    let code = "fn main() { println!(\"before\"); loop { std::hint::spin_loop() } }";
    let answer = server.run(code);
    assert_eq!(answer["success"], false);
    assert_eq!(answer["stopped"], "time");
    assert_eq!(
        text(&answer, "stdout"),
        "before\n",
        "what it printed is shown"
    );
    assert!(
        text(&answer, "stderr").contains("took longer than 10 s"),
        "{answer}"
    );
    server.wait_until_empty();
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_wants_too_much_memory_is_stopped() {
    let server = Server::start(&SmallBook::new());
    let bit_by_bit =
        "fn main() { let mut all = Vec::new(); loop { all.push(vec![1u8; 1 << 20]); } }";
    let answer = server.run(bit_by_bit);
    assert_eq!(answer["stopped"], "memory", "{answer}");
    let at_once = "fn main() { println!(\"{}\", vec![1u8; 8 << 30].len()) }";
    let answer = server.run(at_once);
    assert_eq!(answer["success"], false);
    assert!(
        text(&answer, "stderr").contains("memory allocation of"),
        "{answer}"
    );
    // Several processes share one limit.
    let shared = "fn main() {\n    let again = std::env::current_exe().unwrap();\n    \
        if std::env::args().count() == 1 {\n        for _ in 0..4 { std::process::Command::new(&again).arg(\"x\").spawn().unwrap(); }\n    }\n    \
        let held = vec![1u8; 160 << 20];\n    loop { std::thread::park(); if held[0] == 0 { break } }\n}";
    assert_eq!(server.run(shared)["stopped"], "memory");
    server.wait_until_empty();
}

#[test]
fn a_program_that_prints_too_much_is_stopped_and_its_beginning_shown() {
    let server = Server::start(&SmallBook::new());
    let answer = server.run("fn main() { loop { println!(\"flood\"); } }");
    assert_eq!(answer["stopped"], "output", "{answer}");
    let printed = text(&answer, "stdout");
    assert!(printed.starts_with("flood\nflood\n"));
    assert_eq!(printed.len(), 512 << 10);
    assert!(text(&answer, "stderr").contains("the rest is cut off"));
    assert!(!text(&answer, "stderr").contains("Broken pipe"), "{answer}");
    let errors = server.run("fn main() { loop { eprintln!(\"flood\"); } }");
    assert_eq!(errors["stopped"], "output");
}

#[test]
#[cfg(target_os = "linux")]
fn a_flood_of_processes_or_threads_is_stopped_and_none_is_left() {
    let server = Server::start(&SmallBook::new());
    let bomb = "fn main() { let again = std::env::current_exe().unwrap(); \
        loop { let _ = std::process::Command::new(&again).spawn(); } }";
    let answer = server.run(bomb);
    assert_eq!(answer["stopped"], "tasks", "{answer}");
    let threads = "fn main() { loop { let _ = std::thread::Builder::new().stack_size(1 << 16)\
        .spawn(|| loop { std::thread::park() }); } }";
    let answer = server.run(threads);
    assert_eq!(answer["stopped"], "tasks", "{answer}");
    until(|| server.processes().is_empty());
    server.wait_until_empty();
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_program_leaves_running_ends_with_it() {
    let server = Server::start(&SmallBook::new());
    let code = "use std::process::{Command, Stdio};\nfn main() {\n    if std::env::args().count() > 1 { loop { std::thread::park() } }\n    \
        for _ in 0..3 { Command::new(std::env::current_exe().unwrap()).arg(\"x\").stdout(Stdio::null()).spawn().unwrap(); }\n    \
        println!(\"done\");\n}";
    let answer = server.run(code);
    assert_eq!(text(&answer, "stdout"), "done\n");
    assert_eq!(answer["success"], true, "{answer}");
    until(|| server.processes().is_empty());
    server.wait_until_empty();
}

#[test]
fn a_file_that_grows_too_long_ends_its_program() {
    let server = Server::start(&SmallBook::new());
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let code = "use std::io::Write;\nfn main() {\n    let mut file = std::fs::File::create(\"long\").unwrap();\n    \
        for _ in 0..100 { file.write_all(&[0; 1 << 20]).unwrap(); }\n}";
    let answer = server.run(code);
    assert_eq!(answer["success"], false);
    // Whoever started the server may have had the signal ignored; then it is an error.
    let ended = text(&answer, "exitDetail") == "Exited with signal 25 (SIGXFSZ)";
    assert!(
        ended || text(&answer, "stderr").contains("FileTooLarge"),
        "{answer}"
    );
    server.wait_until_empty();
}

#[test]
#[cfg(target_os = "linux")]
fn a_few_run_a_few_wait_and_more_are_refused() {
    let server = Server::start(&SmallBook::new());
    let question = server.question(&request(ENDLESS, json!({})));
    let first: Vec<TcpStream> = (0..2).map(|_| question.send(&server)).collect();
    server.wait_for_programs(2);
    // Of three more, two wait and one is refused; which one is not said.
    let (tell, refused) = channel();
    let waiting: Vec<TcpStream> = (0..3).map(|_| question.send(&server)).collect();
    for stream in &waiting {
        let (stream, tell) = (stream.try_clone().expect("a stream"), tell.clone());
        thread::spawn(move || {
            // The others end with the test.
            if let Ok(reply) = std::panic::catch_unwind(|| reply(stream)) {
                let _ = tell.send(reply);
            }
        });
    }
    let reply = refused.recv_timeout(WAIT).expect("one is refused");
    assert_eq!(reply.status, 429, "{}", reply.body);
    assert!(
        reply.body.contains("other programs are still running"),
        "{}",
        reply.body
    );
    // The places of those who go away are free again.
    for stream in first.iter().chain(&waiting) {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    assert_eq!(server.run("fn main() {}")["success"], true);
    until(|| server.processes().is_empty());
    server.wait_until_empty();
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_ends_when_its_reader_goes_away() {
    let server = Server::start(&SmallBook::new());
    let stream = server.question(&request(ENDLESS, json!({}))).send(&server);
    server.wait_for_programs(1);
    drop(stream);
    until(|| server.processes().is_empty());
    server.wait_until_empty();
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_outlives_the_server_however_it_ends() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        let mut server = Server::start(&SmallBook::new());
        let children = "use std::process::Command;\nfn main() {\n    if std::env::args().count() == 1 { \
            Command::new(std::env::current_exe().unwrap()).arg(\"x\").spawn().unwrap(); }\n    \
            loop { std::thread::park() }\n}";
        let _stream = server.question(&request(children, json!({}))).send(&server);
        server.wait_for_programs(2);
        server.signal(signal);
        let status = server.child.wait().expect("the server ends");
        if signal == Signal::KILL {
            // The supervisors notice, end what they started and remove its folder.
            until(|| server.processes().is_empty());
            server.wait_until_empty();
        } else {
            assert!(status.success(), "{signal:?}: {status}");
            assert_eq!(server.processes(), [""; 0], "{signal:?}");
            let left = fs::read_dir(server.temporary.path())
                .expect("a folder")
                .count();
            assert_eq!(left, 0, "{signal:?} leaves a folder");
        }
    }
}
