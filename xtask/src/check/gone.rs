//! Pages that were once published and are gone: readers and other sites still have their
//! addresses, so each has to lead on.
//!
//! Published is what src/SUMMARY.md linked at a commit of the branch that is checked out. Along a
//! merge only the branch that was merged into counts, for what a pull request tried on the way was
//! on no site. Knows git by its command, asked three times however long the history is.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::redirects::{BOOK, Redirects, address};
use super::similar::{nearest_path, relative};
use super::site::{SUMMARY, Site};
use super::summary::{Entry, entries, entries_of};
use super::{Finding, slashed};

/// Where each page that was published had its file, and its newest title.
pub(crate) type Published = BTreeMap<PathBuf, String>;

/// Finds pages that are gone without leading on.
pub(crate) fn check(site: &Site, published: &Published, findings: &mut Vec<Finding>) {
    // What is wrong with the table itself is said by its own rule.
    let redirects = Redirects::read(site, &mut Vec::new());
    let chapters = entries(site);
    for (file, title) in published {
        let Some(old) = address(file) else { continue };
        let is_listed = chapters.iter().any(|chapter| chapter.path == *file);
        // A file that is only not listed is found by the rules of SUMMARY.md.
        if is_listed || site.tree.all.contains(file) || redirects.has(&old) {
            continue;
        }
        let new = successor(file, title, &chapters);
        let folder = old.parent().unwrap_or(Path::new(""));
        let add = format!("`\"/{}\" = \"{}\"`", slashed(&old), relative(folder, &new));
        let (line, place) = match redirects.head {
            Some(head) => (
                head,
                format!("add the line {add} to [output.html.redirect]"),
            ),
            None => {
                let text = site.tree.text(Path::new(BOOK)).unwrap_or_default();
                let place = format!("add `[output.html.redirect]` and below it the line {add}");
                (text.lines().count().max(1), place)
            }
        };
        let message = format!(
            "{} was published and is gone: {place}, or name the page that took its place",
            slashed(file)
        );
        findings.push(Finding::new(Path::new(BOOK), line, message));
    }
}

/// The page that most likely took the place of a file, relative to the site's root: one of the
/// same title, else of a similar name, else the first.
fn successor(file: &Path, title: &str, chapters: &[Entry]) -> PathBuf {
    let same = chapters.iter().find(|chapter| chapter.title == title);
    let path = same.map(|chapter| &chapter.path);
    let path = path.or_else(|| nearest_path(file, chapters.iter().map(|chapter| &chapter.path)));
    path.and_then(|path| address(path))
        .unwrap_or_else(|| PathBuf::from("index.html"))
}

/// Every chapter that src/SUMMARY.md linked at a commit of the current branch.
///
/// # Errors
/// Why that cannot be told, and what to do about it, in words that follow a colon.
pub(crate) fn published(root: &Path) -> Result<Published, String> {
    let is_shallow = git(root, &["rev-parse", "--is-shallow-repository"], "")?;
    if text(&is_shallow).trim() == "true" {
        return Err("this clone has no history (run `git fetch --unshallow`)".to_owned());
    }
    let commits = run(
        root,
        &["rev-list", "--first-parent", "HEAD", "--", SUMMARY],
        "",
    )?;
    if !commits.status.success() {
        // A repository without a commit has no HEAD; nothing was ever published from it.
        return Ok(Published::new());
    }
    let versions: String = text(&commits)
        .lines()
        .map(|commit| format!("{commit}:./{SUMMARY}\n"))
        .collect();
    let versions = git(root, &["cat-file", "--batch"], &versions)?;
    let mut published = Published::new();
    let mut rest = versions.stdout.as_slice();
    // Each version is a line "HASH blob BYTES", its bytes and a line end; where the file was not
    // there yet, one line that ends in "missing". The newest comes first, and so does its title.
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]);
        rest = &rest[end + 1..];
        let bytes = head.rsplit_once(" blob ").map(|(_, bytes)| bytes.parse());
        let Some(Ok(bytes)) = bytes else { continue };
        let version = rest.get(..bytes).unwrap_or(rest);
        rest = rest.get(bytes + 1..).unwrap_or_default();
        for Entry { path, title, .. } in entries_of(&String::from_utf8_lossy(version)) {
            published.entry(path).or_insert(title);
        }
    }
    Ok(published)
}

/// Asks git, which has to answer.
fn git(root: &Path, arguments: &[&str], input: &str) -> Result<Output, String> {
    let output = run(root, arguments, input)?;
    if output.status.success() {
        return Ok(output);
    }
    let cause = String::from_utf8_lossy(&output.stderr);
    let cause = cause.lines().next().unwrap_or("it failed").to_owned();
    Err(format!(
        "git says \"{cause}\" (work in a clone of the repository)"
    ))
}

/// Starts git in `root`, whatever repository a hook that calls us works for.
fn run(root: &Path, arguments: &[&str], input: &str) -> Result<Output, String> {
    let started = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "git is not installed (install the package git)".to_owned(),
        _ => format!("git does not start: {error}"),
    })?;
    let stdin = child.stdin.take();
    // Git answers while it still reads, so both have to go on at once.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        child.wait_with_output()
    });
    output.map_err(|error| format!("git cannot be read: {error}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
