//! `links` against a server of this machine: every line that it prints, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that answers by the path it is asked for, and counts how often it is asked.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            let flaky = AtomicUsize::new(0);
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let _gone = answer(stream, &flaky);
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Answers one request; each has a connection of its own.
fn answer(mut stream: TcpStream, flaky: &AtomicUsize) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut agent = false;
    let mut token = false;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        agent |= header == "user-agent: book-check";
        token |= header == "x-token: secret";
        if header.is_empty() {
            break;
        }
    }
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let path = path.split(' ').next().unwrap_or_default();
    let (status, location) = match path {
        "/ok" => ("200 OK", ""),
        "/agent" if agent => ("200 OK", ""),
        "/token" if token => ("200 OK", ""),
        "/moved" => ("301 Moved Permanently", "/ok"),
        "/astray" => ("302 Found", "/gone"),
        "/circle" => ("302 Found", "/circle"),
        "/busy" => ("429 Too Many Requests", ""),
        "/down" => ("503 Service Unavailable", ""),
        "/private" => ("403 Forbidden", ""),
        "/flaky" if flaky.fetch_add(1, Ordering::SeqCst) > 0 => ("200 OK", ""),
        "/flaky" => ("500 Internal Server Error", ""),
        "/getonly" if method == "GET" => ("200 OK", ""),
        "/getonly" => ("405 Method Not Allowed", ""),
        _ => ("404 Not Found", ""),
    };
    let location = match location {
        "" => String::new(),
        location => format!("Location: {location}\r\n"),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// A port that nothing listens on: reserved for a service that nobody runs, so that no
/// other test is given it, as happens with a port that was free a moment ago.
const CLOSED_PORT: u16 = 1;

/// A book of one chapter, below whose title `chapter` stands from line 3 on.
fn book(settings: &str, chapter: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("src")).expect("src");
    let write = |path: &str, text: &str| {
        fs::write(folder.path().join(path), text).expect("a file");
    };
    write(
        "book.toml",
        &format!("[book]\ntitle = \"Small\"\n\n[output.html]\n\n{settings}"),
    );
    write("src/SUMMARY.md", "- [One](one.md)\n");
    write("src/one.md", &format!("# One\n\n{chapter}"));
    folder
}

struct Outcome {
    findings: Vec<String>,
    notes: Vec<String>,
    status: Option<i32>,
}

fn links(folder: &TempDir, arguments: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_links"))
        .arg("--root")
        .arg(folder.path())
        .args(arguments)
        .env("NO_PROXY", "*")
        .env("LINKS_TEST_TOKEN", "secret")
        .output()
        .expect("links");
    let lines = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .expect("UTF-8")
            .lines()
            .map(str::to_owned)
            .collect()
    };
    Outcome {
        findings: lines(output.stdout),
        notes: lines(output.stderr),
        status: output.status.code(),
    }
}

#[test]
fn addresses_that_answer_are_fine() {
    let server = Server::start();
    let at = format!("http://127.0.0.1:{}", server.port);
    let folder = book(
        "",
        &format!(
            "[a]({at}/ok) [b]({at}/ok#part) [c]({at}/moved) <{at}/getonly> [d]({at}/flaky)\n\n\
             | [in a table]({at}/ok) |\n|--|\n\nNot `[code]({at}/gone)`, not <!-- [x]({at}/gone) -->.\n"
        ),
    );
    let outcome = links(&folder, &[]);
    assert_eq!(outcome.findings, Vec::<String>::new());
    assert_eq!(
        outcome.notes,
        ["links: 4 addresses of other sites asked for, nothing wrong"]
    );
    assert_eq!(outcome.status, Some(0));
}

#[test]
fn each_dead_link_is_named_with_its_file_and_line() {
    let server = Server::start();
    let at = format!("http://127.0.0.1:{}", server.port);
    let folder = book(
        "",
        &format!(
            "[a]({at}/gone)\nand [ref], [a]({at}/astray), ![x]({at}/private) [x]({at}/down)\n\n\
             > <a\n> href=\"{at}/gone\">raw</a> <!-- <a href=\"{at}/lost\"> -->\n\n\
             [c]({at}/circle)\n\n[ref]: {at}/gone\n"
        ),
    );
    fs::write(
        folder.path().join("README.md"),
        format!("# Read\n\nMe <{at}/gone>.\n"),
    )
    .expect("a readme");
    let outcome = links(&folder, &["--web-only"]);
    assert_eq!(
        outcome.findings,
        [
            format!("README.md:3: {at}/gone answers 404 Not Found: mend the link"),
            format!("src/one.md:3: {at}/gone answers 404 Not Found: mend the link"),
            format!(
                "src/one.md:4: {at}/astray leads to {at}/gone, which answers 404 Not Found: \
                 mend the link"
            ),
            format!(
                "src/one.md:4: {at}/down answers 503 Service Unavailable: \
                 try again later, or mend the link"
            ),
            format!("src/one.md:4: {at}/gone answers 404 Not Found: mend the link"),
            format!(
                "src/one.md:4: {at}/private answers 403 Forbidden: open it by hand, \
                 and if it is there add it to `exclude` of [output.linkcheck] in book.toml"
            ),
            format!("src/one.md:7: {at}/gone answers 404 Not Found: mend the link"),
            format!(
                "src/one.md:9: {at}/circle could not be reached (too many redirects): \
                 mend the link, or try again"
            ),
        ]
    );
    assert_eq!(
        outcome.notes,
        ["links: 5 addresses of other sites asked for, 8 findings"]
    );
    assert_eq!(outcome.status, Some(1));
}

#[test]
fn a_host_that_cannot_be_connected_to_is_tried_for_one_address() {
    let refused = TcpStream::connect(("127.0.0.1", CLOSED_PORT)).expect_err("nothing listens");
    let at = format!("http://127.0.0.1:{CLOSED_PORT}");
    let addresses: String = (0..20)
        .map(|number| format!("[x]({at}/{number:02})\n"))
        .collect();
    let begin = Instant::now();
    let outcome = links(&book("", &addresses), &[]);
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    let expected: Vec<String> = (0..20)
        .map(|number| {
            format!(
                "src/one.md:{}: {at}/{number:02} could not be reached \
                 ({refused}): mend the link, or try again",
                number + 3
            )
        })
        .collect();
    assert_eq!(outcome.findings, expected);
    assert_eq!(outcome.status, Some(1));
}

#[test]
fn a_name_that_leads_nowhere_is_told_in_bounded_time() {
    // No name below .invalid exists (RFC 6761).
    let begin = Instant::now();
    let outcome = links(
        &book("", "[x](https://nowhere.invalid/)\n"),
        &["--seconds", "3"],
    );
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
    let [finding] = outcome.findings.as_slice() else {
        panic!("{:?}", outcome.findings)
    };
    let start = "src/one.md:3: https://nowhere.invalid/ could not be reached (";
    assert!(finding.starts_with(start), "{finding}");
    assert_eq!(outcome.status, Some(1));
}

#[test]
fn a_server_that_never_answers_is_left_after_its_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = format!(
        "http://127.0.0.1:{}",
        listener.local_addr().expect("an address").port()
    );
    let addresses: String = (0..20)
        .map(|number| format!("[x]({at}/{number:02})\n"))
        .collect();
    let begin = Instant::now();
    let outcome = links(&book("", &addresses), &["--seconds", "1"]);
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(outcome.findings.len(), 20);
    assert_eq!(
        outcome.findings[0],
        format!(
            "src/one.md:3: {at}/00 could not be reached (no answer in 1 s): \
             mend the link, or try again"
        )
    );
    assert_eq!(outcome.status, Some(1));
    drop(listener);
}

#[test]
fn a_site_that_is_asked_too_often_is_a_note_and_no_finding() {
    let server = Server::start();
    let at = format!("http://127.0.0.1:{}", server.port);
    let outcome = links(&book("", &format!("[x]({at}/busy)\n")), &[]);
    assert_eq!(outcome.findings, Vec::<String>::new());
    assert_eq!(
        outcome.notes,
        [
            format!("note: {at}/busy answers 429 Too Many Requests: it is there, no more is known"),
            "links: 1 address of other sites asked for, nothing wrong".to_owned(),
        ]
    );
    assert_eq!(outcome.status, Some(0));
    assert_eq!(server.asked(), 2);
}

#[test]
fn the_settings_of_the_book_are_followed() {
    let server = Server::start();
    let at = format!("http://127.0.0.1:{}", server.port);
    let settings = "[output.linkcheck]\nexclude = ['/left$']\nuser-agent = \"book-check\"\n\n\
                    [output.linkcheck.http-headers]\n'/token' = [\"X-Token: $LINKS_TEST_TOKEN\"]\n";
    let chapter = format!("[x]({at}/left) [x]({at}/agent) [x]({at}/token) [x]({at}/right)\n");
    let outcome = links(&book(settings, &chapter), &[]);
    assert_eq!(
        outcome.findings,
        [format!(
            "src/one.md:3: {at}/right answers 404 Not Found: mend the link"
        )]
    );
    let outcome = links(&book("", &chapter), &[]);
    assert_eq!(outcome.findings.len(), 4, "{:?}", outcome.findings);
}

#[test]
fn an_address_is_asked_for_once_however_often_it_is_linked_to() {
    let server = Server::start();
    let at = format!("http://127.0.0.1:{}", server.port);
    let outcome = links(&book("", &format!("[x]({at}/ok)\n").repeat(30)), &[]);
    assert_eq!(
        outcome.notes,
        ["links: 1 address of other sites asked for, nothing wrong"]
    );
    assert_eq!(server.asked(), 1);
}

#[test]
fn links_to_files_are_checked_unless_only_the_web_is_asked_for() {
    let chapter = "[x](two.md) [y](one.md)\n\n[up](../book.toml)\n\n[draft](draft.md)\n";
    let folder = book("", chapter);
    fs::write(folder.path().join("src/draft.md"), "# Draft\n").expect("a chapter");
    let outcome = links(&folder, &[]);
    assert_eq!(
        outcome.findings,
        [
            "src/one.md:3: link to two.md: no such file, mend the path",
            "src/one.md:5: link to ../book.toml: it leaves the book, mend the path",
            "src/one.md:7: link to draft.md: It looks like \"draft.md\" wasn't included in \
             SUMMARY.md, mend the path",
        ]
    );
    assert_eq!(outcome.status, Some(1));
    let outcome = links(&folder, &["--web-only"]);
    assert_eq!(outcome.findings, Vec::<String>::new());
    assert_eq!(outcome.status, Some(0));
}

#[test]
fn a_folder_without_a_book_is_one_plain_error_and_nothing_is_written() {
    let folder = TempDir::new().expect("a folder");
    let outcome = links(&folder, &[]);
    assert_eq!(outcome.status, Some(1));
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
    assert!(
        outcome.notes[0].starts_with("error: cannot read "),
        "{:?}",
        outcome.notes
    );

    let folder = book("", "x\n");
    fs::write(
        folder.path().join("src/SUMMARY.md"),
        "- [One](one.md)\n- [Two](two.md)\n",
    )
    .expect("a summary");
    let outcome = links(&folder, &[]);
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
    assert!(
        outcome.notes[0].starts_with("error: failed to read chapter"),
        "{:?}",
        outcome.notes
    );
    assert!(!folder.path().join("src/two.md").exists());
}
