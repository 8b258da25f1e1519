//! The table of contents: chapters that it lacks, lines that lead nowhere or twice to the same
//! file, and whatever mdBook's own parser refuses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::similar::{nearest_path, normal, relative};
use super::site::{SUMMARY, Site};
use super::{Finding, slashed};

/// A line of the table of contents.
pub(crate) struct Entry {
    /// Its line in SUMMARY.md.
    line: usize,
    /// The file it names, relative to the root; empty for a draft.
    pub(crate) path: PathBuf,
    /// The chapter's title there, as plain text.
    pub(crate) title: String,
}

/// The chapters that the table of contents names.
pub(crate) fn entries(site: &Site) -> Vec<Entry> {
    let text = site.tree.text(Path::new(SUMMARY));
    text.map(|text| entries_of(&text)).unwrap_or_default()
}

/// The chapters that a table of contents of this text names.
pub(crate) fn entries_of(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut in_link = false;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => {
                let line = 1 + text[..range.start].matches('\n').count();
                let path = match &*dest_url {
                    "" => PathBuf::new(),
                    file => normal(&Path::new("src").join(file.replace("%20", " "))),
                };
                let title = String::new();
                entries.push(Entry { line, path, title });
                in_link = true;
            }
            Event::End(TagEnd::Link) => in_link = false,
            Event::Text(part) | Event::Code(part) if in_link => {
                if let Some(entry) = entries.last_mut() {
                    entry.title.push_str(&part);
                }
            }
            _ => {}
        }
    }
    entries
}

/// Finds what SUMMARY.md gets wrong.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let summary = Path::new(SUMMARY);
    let mut say = |line, message: String| findings.push(Finding::new(summary, line, message));
    let Some(text) = site.tree.text(summary) else {
        if !site.tree.unreadable.iter().any(|(path, _)| path == summary) {
            say(
                1,
                "no such file: create it and list the chapters in it".to_owned(),
            );
        }
        return;
    };
    if let Err(error) = mdbook_summary::parse_summary(&text) {
        let cause = error.root_cause().to_string();
        // The parser stops at the first file that is there twice; all of them are found below.
        if !cause.starts_with("Duplicate file") {
            let (line, cause) = placed(&cause);
            say(line, cause.to_owned());
        }
    }
    let mut seen: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for Entry { line, path, .. } in entries(site) {
        if path.as_os_str().is_empty() {
            say(
                line,
                "draft chapter: name its file, or remove the line".to_owned(),
            );
        } else if let Some(first) = seen.get(&path) {
            let message = format!(
                "{} is listed already on line {first}: remove one",
                slashed(&path)
            );
            say(line, message);
        } else {
            if !site.tree.root.join(&path).is_file() {
                let near = nearest_path(&path, site.chapters().map(|page| &page.path));
                let mend = match near {
                    Some(near) => format!("nearest is {}", relative(Path::new("src"), near)),
                    None => "create it, or remove the line".to_owned(),
                };
                say(line, format!("no file {}: {mend}", slashed(&path)));
            }
            seen.insert(path, line);
        }
    }
    for page in site.chapters() {
        if !seen.contains_key(&page.path) {
            let file = relative(Path::new("src"), &page.path);
            let stem = page.path.file_stem().unwrap_or_default().to_string_lossy();
            let title = page.title().unwrap_or(&stem);
            // Only the chapters of a part are numbered, and so stand in a list.
            let dash = if file.contains('/') { "- " } else { "" };
            let message = format!("not in {SUMMARY}: add the line `{dash}[{title}]({file})` to it");
            findings.push(Finding::new(&page.path, 1, message));
        }
    }
}

/// The line that a message of the parser names, and the rest of the message.
fn placed(cause: &str) -> (usize, &str) {
    let parsed = cause
        .strip_prefix("failed to parse SUMMARY.md line ")
        .and_then(|rest| {
            let (line, rest) = rest.split_once(", column ")?;
            let (_, message) = rest.split_once(": ")?;
            Some((line.parse().ok()?, message))
        });
    parsed.unwrap_or((1, cause))
}
