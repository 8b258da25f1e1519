//! Serves the book on this machine and reloads the page when a file changes.
//!
//! The last good pages stay up while a build fails; the error then stands in the terminal and on
//! every open page until it is mended. Pages are held in memory: a server that is killed leaves
//! nothing behind. Blocks of the pages are run here, too: see [`run`](mod@run).

mod run;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::middleware;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use notify_debouncer_full::notify::{EventKind, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

use crate::files;
use crate::record::PACKAGES;
use crate::runner::Runner;
use crate::site::{self, Purpose};

/// How long the tree must be quiet before a rebuild: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(40);

/// What pages are made of; a change anywhere else rebuilds nothing.
pub fn watched() -> impl Iterator<Item = &'static str> {
    const OTHERS: [&str; 6] = [
        "src",
        "examples",
        "page",
        "assets",
        "book.toml",
        ".github", // a chapter shows the workflows
    ];
    OTHERS.into_iter().chain(PACKAGES)
}

/// What a page listens to, and what it does when it hears of a build.
const RELOAD_PATH: &str = "/__xtask/builds";
const RELOAD_SCRIPT: &str = include_str!("serve/reload.js");

/// The files of a build, by their path below the site's root with `/` between folders.
type Files = HashMap<String, Bytes>;

/// The state that requests and the builder share.
struct Served {
    /// The last good pages and the number of their build. A request holds on to them until it
    /// is answered.
    pages: Mutex<Option<(u64, Arc<Files>)>>,
    /// The outcome of the newest build.
    builds: watch::Sender<Build>,
    gate: Arc<run::Gate>,
}

/// The outcome of a build, as a page hears of it.
#[derive(Clone)]
struct Build {
    number: u64,
    error: Option<String>,
}

/// Builds the book, serves it on 127.0.0.1 and rebuilds it until the process is stopped.
///
/// # Errors
/// When the port is taken, or the tree cannot be watched. A book that does not build is no
/// error: its error is shown until it is mended.
pub fn run(root: &Path, port: u16, open: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(root, port, open))
}

async fn serve(root: &Path, port: u16, open: bool) -> Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| {
            format!("cannot serve on 127.0.0.1:{port}: name another port with --port")
        })?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}/");
    println!("building the book …");
    let runner = Runner::start(root);
    let gate = Arc::new(run::Gate::new(address.port(), runner.handle())?);
    let (builds, _) = watch::channel(Build {
        number: 0,
        error: None,
    });
    let served = Arc::new(Served {
        pages: Mutex::new(None),
        builds,
        gate: gate.clone(),
    });
    let mut builder = Builder {
        root: root.to_path_buf(),
        served: served.clone(),
        made: site::Made::default(),
    };
    let (changes, changed) = mpsc::channel();
    // Watching begins before the first build, so that no change falls between the two.
    let mut debouncer = new_debouncer(QUIET, None, move |events: DebounceEventResult| {
        // The receiver lives as long as the process.
        let _ = changes.send(events);
    })?;
    for name in watched() {
        let path = root.join(name);
        if path.is_dir() {
            debouncer.watch(&path, RecursiveMode::Recursive)
        } else if path.exists() {
            // Editors replace a file by another: its folder has to be watched instead.
            debouncer.watch(root, RecursiveMode::NonRecursive)
        } else {
            continue;
        }
        .with_context(|| format!("cannot watch {}", path.display()))?;
    }
    builder.build("built");
    println!("serving {url} (Ctrl-C stops it)");
    thread::spawn(move || builder.rebuild_on(&changed));
    if open && let Err(error) = open::that_detached(&url) {
        eprintln!("no browser could be opened ({error}): open {url} yourself");
    }
    let app = Router::new()
        .route(RELOAD_PATH, get(listen))
        .fallback(page)
        .with_state(served.clone())
        .route(run::PATH, any(run::execute).with_state(gate.clone()))
        .layer(middleware::from_fn_with_state(gate, run::guard));
    let ended = tokio::select! {
        ended = axum::serve(listener, app) => ended.context("the server stopped"),
        asked = asked_to_stop() => asked.context("cannot listen for signals"),
    };
    runner.stop().await;
    ended
}

/// Returns when the reader presses Ctrl-C, closes the terminal, or the system asks to stop.
async fn asked_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut hang_up) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        );
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
            _ = hang_up.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Builds on its own thread, one build at a time.
struct Builder {
    root: PathBuf,
    served: Arc<Served>,
    made: site::Made,
}

impl Builder {
    fn rebuild_on(mut self, changed: &mpsc::Receiver<DebounceEventResult>) {
        while let Ok(first) = changed.recv() {
            let mut paths = Vec::new();
            for events in std::iter::once(first).chain(changed.try_iter()) {
                paths.extend(self.relevant(events));
            }
            paths.sort();
            paths.dedup();
            match paths.as_slice() {
                [] => {}
                [one] => self.build(&format!("{} changed: rebuilt", one.display())),
                [one, others @ ..] => self.build(&format!(
                    "{} and {} more changed: rebuilt",
                    one.display(),
                    others.len()
                )),
            }
        }
    }

    /// The changed files that pages are made of, relative to the book's folder.
    fn relevant(&self, events: DebounceEventResult) -> Vec<PathBuf> {
        let events = match events {
            Ok(events) => events,
            Err(errors) => {
                for error in errors {
                    eprintln!("watching the book's files: {error}");
                }
                return Vec::new();
            }
        };
        events
            .iter()
            .filter(|event| !matches!(event.kind, EventKind::Access(_)))
            .flat_map(|event| &event.paths)
            .filter_map(|path| path.strip_prefix(&self.root).ok())
            .filter(|path| watched().any(|watched| path.starts_with(watched)))
            .map(Path::to_path_buf)
            .collect()
    }

    fn build(&mut self, done: &str) {
        let start = Instant::now();
        let number = self.served.builds.borrow().number + 1;
        let outcome = tempfile::Builder::new()
            .prefix("system-design-notes-")
            .tempdir()
            .context("cannot make a temporary folder")
            .and_then(|folder| {
                let report =
                    site::render(&self.root, folder.path(), Purpose::Serve, &mut self.made)?;
                Ok((files_below(folder.path())?, report))
            });
        let error = match outcome {
            Ok((files, report)) => {
                let mut pages = self
                    .served
                    .pages
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *pages = Some((number, Arc::new(files)));
                println!(
                    "{done} {} pages with {} diagrams in {:.2} s",
                    report.pages,
                    report.diagrams,
                    start.elapsed().as_secs_f64()
                );
                None
            }
            Err(error) => {
                let error = format!("{error:#}");
                eprintln!("error: {error}\nthe last good pages stay up until this is mended");
                Some(error)
            }
        };
        self.served.builds.send_replace(Build { number, error });
    }
}

/// Tells a page of the newest build and of each one after it.
async fn listen(
    State(served): State<Arc<Served>>,
) -> Sse<impl tokio_stream::Stream<Item = Result<Event, Infallible>>> {
    let builds = WatchStream::new(served.builds.subscribe()).map(|build| {
        let told = serde_json::json!({ "number": build.number, "error": build.error });
        Ok(Event::default().data(told.to_string()))
    });
    Sse::new(builds).keep_alive(KeepAlive::default())
}

/// Answers with a file of the last good pages.
async fn page(State(served): State<Arc<Served>>, uri: Uri) -> Response {
    let pages = served
        .pages
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some((number, pages)) = pages else {
        let nothing = "<!DOCTYPE html><title>The book does not build</title>\
                       <h1>The book does not build yet</h1></body>";
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Html(with_reload(nothing, 0)),
        )
            .into_response();
    };
    match find(&pages, uri.path()) {
        Some((path, bytes)) => answer(&served, StatusCode::OK, &path, bytes, number),
        None => match find(&pages, "/404.html") {
            Some((path, bytes)) => answer(&served, StatusCode::NOT_FOUND, &path, bytes, number),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for path in files::files_below(folder)? {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path
            .strip_prefix(folder)?
            .to_string_lossy()
            .replace('\\', "/");
        files.insert(name, bytes.into());
    }
    Ok(files)
}

/// The file that a request names, or nothing if there is none.
fn find(files: &Files, request: &str) -> Option<(String, Bytes)> {
    let decoded = percent_encoding::percent_decode_str(request)
        .decode_utf8()
        .ok()?;
    let name = decoded.trim_start_matches('/');
    let index = format!("{}/index.html", name.trim_end_matches('/'));
    [name, index.trim_start_matches('/')]
        .into_iter()
        .find_map(|name| Some((name.to_owned(), files.get(name)?.clone())))
}

fn answer(served: &Served, status: StatusCode, path: &str, bytes: Bytes, number: u64) -> Response {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let body = match std::str::from_utf8(&bytes) {
        Ok(page) if kind == mime_guess::mime::TEXT_HTML => {
            Body::from(served.gate.announced_on(&with_reload(page, number)))
        }
        _ => Body::from(bytes),
    };
    let kind = match kind.type_() {
        mime_guess::mime::TEXT => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    };
    (
        status,
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ],
        body,
    )
        .into_response()
}

/// The page with the script that reloads it. `number` is the build that the page came from.
fn with_reload(page: &str, number: u64) -> String {
    let script = format!(
        "<script>{}</script></body>",
        RELOAD_SCRIPT
            .replace("PAGE_BUILD", &number.to_string())
            .replace("RELOAD_PATH", RELOAD_PATH)
    );
    match page.rfind("</body>") {
        Some(end) => format!("{}{script}{}", &page[..end], &page[end + "</body>".len()..]),
        None => format!("{page}{script}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_finds_a_page_or_the_index_of_its_folder_and_nothing_else() {
        let files: Files = ["index.html", "part/index.html", "part/one page.html"]
            .map(|name| (name.to_owned(), Bytes::from_static(b"x")))
            .into();
        let found = |request| find(&files, request).map(|(name, _)| name);
        assert_eq!(found("/").as_deref(), Some("index.html"));
        assert_eq!(found("/part").as_deref(), Some("part/index.html"));
        assert_eq!(found("/part/").as_deref(), Some("part/index.html"));
        assert_eq!(
            found("/part/one%20page.html").as_deref(),
            Some("part/one page.html")
        );
        for other in [
            "/none.html",
            "/../index.html",
            "/%2e%2e/index.html",
            "/part/../index.html",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn the_reload_script_stands_at_the_end_of_the_page_and_knows_its_build() {
        let page = with_reload("<body><p>x</p></body></html>", 7);
        assert!(page.starts_with("<body><p>x</p><script>"), "{page}");
        assert!(page.ends_with("</script></body></html>"), "{page}");
        assert!(page.contains("= 7;"), "{page}");
    }
}
