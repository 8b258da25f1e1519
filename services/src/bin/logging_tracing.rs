//! `tracing` writes JSON lines through this book's own rotating file.
//!
//! Look at the two lines: each carries the fields of the span it happened in, so that
//! the request's id stands in every line without anybody repeating it. The debug line
//! is gone: two levels are set, one for this program and one for the libraries it
//! uses. Then four threads log at once, across rotations, and each line is counted.
//!
//! Simplified: the clock is a counter, so that every run prints the same; the file lies
//! in a folder that is removed at the end.

use anyhow::{Context, Result, ensure};
use folder::Folder;
use rotating::{Limits, Rotating, Shared};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher, info, info_span, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;

#[rustfmt::skip]
#[path = "../../../examples/logging_rotation/folder.rs"]
mod folder;
#[rustfmt::skip]
#[path = "../../../examples/logging_rotation/rotating.rs"]
mod rotating;

const THREADS: u64 = 4;
const EVENTS: u64 = 500;
const LIMITS: Limits = Limits { file_bytes_max: 16_384, files_max: 40 };

/// A clock for the printed lines: a millisecond passes with each of them.
#[derive(Default)]
struct Ticks(AtomicU64);

impl FormatTime for Ticks {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let ms = self.0.fetch_add(1, Ordering::Relaxed);
        write!(w, "2026-11-24T08:00:00.{ms:03}Z")
    }
}

// ANCHOR: subscriber
fn subscriber(folder: &Path) -> Result<Dispatch> {
    let file = Rotating::open(Folder(folder.to_owned()), "shop.log", LIMITS)?;
    let file = Shared::new(file);
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true) // fields beside the level, not below "fields"
        .with_current_span(true)
        .with_span_list(false)
        .with_timer(Ticks::default())
        .with_writer(move || file.clone()); // one event is one write
    let levels = Targets::new()
        .with_default(LevelFilter::WARN) // libraries
        .with_target("logging_tracing", LevelFilter::INFO); // this program
    Ok(Dispatch::new(tracing_subscriber::registry().with(levels).with(json)))
}
// ANCHOR_END: subscriber

// ANCHOR: handle
fn handle(request: u64, user: &str) {
    let span = info_span!("request", request, route = "/orders");
    let _entered = span.enter();
    tracing::debug!(user, "looking for the basket"); // below this program's level
    info!(target: "some_library", "connected"); // below the libraries' level
    if request.is_multiple_of(2) {
        warn!(user, took_ms = 412, "slow answer");
    } else {
        info!(user, status = 201, "answered");
    }
}
// ANCHOR_END: handle

/// The log's lines, from the newest file to the oldest, and how many files.
fn read(folder: &Path) -> Result<(Vec<String>, usize)> {
    let mut lines = vec![];
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        ensure!(text.len() as u64 <= LIMITS.file_bytes_max, "a file is too long");
        lines.extend(text.lines().map(str::to_owned));
        files += 1;
    }
    Ok((lines, files))
}

/// How often each request is in the log; fails on a line that is not whole JSON.
fn requests(lines: &[String]) -> Result<BTreeMap<u64, usize>> {
    let mut seen = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).context("a line is torn")?;
        let request = line["span"]["request"].as_u64().context("no request")?;
        *seen.entry(request).or_default() += 1;
    }
    Ok(seen)
}

fn log_from_threads(folder: &Path) -> Result<()> {
    let log = subscriber(folder)?;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                dispatcher::with_default(log, || {
                    (0..EVENTS).for_each(|n| handle(thread * EVENTS + n, "ann"));
                });
            });
        }
    });
    Ok(())
}

/// For the page: breaks a line behind commas.
fn fold(line: &str) -> String {
    let (mut folded, mut width) = (String::new(), 0);
    for part in line.split_inclusive(',') {
        let long = width + part.chars().count() > 68;
        folded += if long && width > 0 { "\n    " } else { "" };
        width = if long { 4 } else { width } + part.chars().count();
        folded += part;
    }
    folded
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    dispatcher::with_default(&subscriber(folder.path())?, || {
        handle(1, "ann");
        handle(2, "x\n{\"level\":\"INFO\"}");
    });
    for line in read(folder.path())?.0 {
        println!("{}", fold(&line));
    }

    let folder = tempfile::tempdir()?;
    log_from_threads(folder.path())?;
    let (lines, files) = read(folder.path())?;
    let seen = requests(&lines)?;
    println!("\n{THREADS} threads, {EVENTS} requests each");
    println!("lines in the files: {}", lines.len());
    println!("requests found:     {}", seen.len());
    println!("found twice:        {}", seen.values().filter(|n| **n > 1).count());
    println!("more than one file: {}", files > 1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_four_threads_every_event_is_in_the_files_once_and_whole() -> Result<()>
    {
        for _ in 0..5 {
            let folder = tempfile::tempdir()?;
            log_from_threads(folder.path())?;
            let (lines, files) = read(folder.path())?;
            let seen = requests(&lines)?;
            assert!(files > 10, "rotated {files} times");
            assert!(seen.keys().copied().eq(0..THREADS * EVENTS));
            assert!(seen.values().all(|n| *n == 1));
        }
        Ok(())
    }

    #[test]
    fn every_line_carries_the_fields_of_its_span() -> Result<()> {
        let folder = tempfile::tempdir()?;
        dispatcher::with_default(&subscriber(folder.path())?, || handle(7, "ann"));
        let (lines, _) = read(folder.path())?;
        let line: Value = serde_json::from_str(&lines[0])?;
        assert_eq!(line["span"]["request"], 7);
        assert_eq!(line["span"]["route"], "/orders");
        assert_eq!(line["user"], "ann");
        Ok(())
    }

    #[test]
    fn what_is_below_the_level_of_its_target_is_not_written() -> Result<()> {
        let folder = tempfile::tempdir()?;
        dispatcher::with_default(&subscriber(folder.path())?, || handle(7, "ann"));
        let (lines, _) = read(folder.path())?;
        assert_eq!(lines.len(), 1, "neither the debug line nor the library's");
        Ok(())
    }

    #[test]
    fn a_line_break_in_a_field_makes_no_second_line() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let typed = "x\n{\"level\":\"INFO\"}";
        dispatcher::with_default(&subscriber(folder.path())?, || handle(1, typed));
        let (lines, _) = read(folder.path())?;
        assert_eq!(lines.len(), 1);
        assert_eq!(serde_json::from_str::<Value>(&lines[0])?["user"], typed);
        Ok(())
    }
}
