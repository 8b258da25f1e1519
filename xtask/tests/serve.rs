//! `cargo xtask serve`: pages, reloads, and what a reader sees while a build fails.
//!
//! Waits are bounded so that a hang fails; no assertion is about speed.

mod small_book;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use small_book::SmallBook;

const WAIT: Duration = Duration::from_secs(60);

/// A change that takes more builds than this is one that the server answers for ever.
const BUILDS_MAX: usize = 20;

/// A running server that ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(book: &SmallBook) -> Server {
        let mut child = book
            .command()
            .args(["serve", "--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tool starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines
                .next()
                .expect("the server says where it is")
                .expect("UTF-8");
            if let Some(rest) = line.strip_prefix("serving http://") {
                break rest.split('/').next().unwrap_or_default().to_owned();
            }
        };
        // The server goes on printing: somebody has to read it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, address }
    }

    fn connect(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(WAIT)).expect("a time-out");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )
        .expect("a request");
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        self.connect(path)
            .read_to_string(&mut answer)
            .expect("an answer");
        answer
    }

    /// What a page hears of builds: the number of each and its error, if it failed.
    fn builds(&self) -> impl Iterator<Item = (u64, Option<String>)> + use<> {
        BufReader::new(self.connect("/__xtask/builds"))
            .lines()
            .map(|line| line.expect("a build is told of in time"))
            .filter_map(|line| {
                let build: serde_json::Value =
                    serde_json::from_str(line.strip_prefix("data: ")?).expect("JSON");
                let number = build["number"].as_u64().expect("a number");
                Some((number, build["error"].as_str().map(str::to_owned)))
            })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on until a build after `earlier` is as wanted, and returns its number. One change may
/// take the server more than one build, when the machine is busy.
fn wait(
    builds: &mut impl Iterator<Item = (u64, Option<String>)>,
    earlier: u64,
    wanted: impl Fn(&Option<String>) -> bool,
) -> u64 {
    builds
        .take(BUILDS_MAX)
        .find(|(number, error)| *number > earlier && wanted(error))
        .expect("such a build is told of before the connection ends")
        .0
}

#[test]
fn a_change_is_told_to_the_page_and_is_on_it() {
    let book = SmallBook::new();
    book.write(".github/workflows/ci.yml", "jobs: {}\n");
    let shown = "```yaml\n{{#include ../../.github/workflows/ci.yml}}\n```\n\n## Terms";
    book.edit("src/part/one.md", "## Terms", shown);
    let server = Server::start(&book);
    assert!(server.get("/part/one.html").contains("Good words."));
    let mut builds = server.builds();
    let first = wait(&mut builds, 0, Option::is_none);
    book.edit("src/part/one.md", "Good words.", "Better words.");
    let second = wait(&mut builds, first, Option::is_none);
    assert!(server.get("/part/one.html").contains("Better words."));
    // A program that a chapter shows is a part of the page too.
    book.edit("examples/one_program.rs", "\"one\"", "\"another\"");
    let third = wait(&mut builds, second, Option::is_none);
    assert!(server.get("/part/one.html").contains("another"));
    // So is a workflow.
    book.edit(".github/workflows/ci.yml", "jobs: {}", "jobs: [test]");
    wait(&mut builds, third, Option::is_none);
    assert!(server.get("/part/one.html").contains("jobs: [test]"));
}

#[test]
fn while_a_build_fails_the_last_good_pages_stay_and_the_page_hears_the_error() {
    let book = SmallBook::new();
    let server = Server::start(&book);
    let mut builds = server.builds();
    let first = wait(&mut builds, 0, Option::is_none);
    let (good, bad) = ("one_program.rs:claim", "one_program.rs:clam");
    book.edit("src/part/one.md", good, bad);
    let second = wait(&mut builds, first, |error| {
        error
            .as_ref()
            .is_some_and(|error| error.contains("src/part/one.md:13: anchor \"clam\" not found"))
    });
    assert!(
        server.get("/part/one.html").contains("Good words."),
        "the last good page is gone"
    );
    book.edit("src/part/one.md", bad, good);
    wait(&mut builds, second, Option::is_none);
}

#[test]
fn a_book_that_never_built_says_so_and_shows_its_pages_once_it_does() {
    let book = SmallBook::new();
    let (good, bad) = ("one_program.rs:claim", "one_program.rs:clam");
    book.edit("src/part/one.md", good, bad);
    let server = Server::start(&book);
    let page = server.get("/");
    assert!(page.starts_with("HTTP/1.1 503"), "{page}");
    assert!(
        page.contains("/__xtask/builds"),
        "the page does not wait for the mend"
    );
    let mut builds = server.builds();
    let first = wait(&mut builds, 0, Option::is_some);
    book.edit("src/part/one.md", bad, good);
    wait(&mut builds, first, Option::is_none);
    assert!(server.get("/").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_page_that_is_not_there_is_404_and_a_taken_port_is_a_clear_error() {
    let book = SmallBook::new();
    let server = Server::start(&book);
    assert!(server.get("/nothing.html").starts_with("HTTP/1.1 404"));
    let port = server.address.rsplit(':').next().unwrap_or_default();
    let second = book.run(&["serve", "--port", port]);
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    let expected =
        format!("error: cannot serve on 127.0.0.1:{port}: name another port with --port: ");
    assert!(error.starts_with(&expected), "{error}");
}
