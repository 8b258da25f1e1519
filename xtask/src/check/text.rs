//! The files as bytes and lines: encoding, line ends, merge markers, marks of unfinished work,
//! empty chapters, files that cannot be read.

use std::path::Path;

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};

use super::page::{self, Page};
use super::site::{File, GLOSSARY, Site};
use super::{Finding, html};
use crate::record::PACKAGES;

/// The words that mark unfinished work.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Finds what is wrong with the files as text.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    for (path, why) in &site.tree.unreadable {
        let message = format!("cannot be read ({why}): mend its permissions, or remove it");
        findings.push(Finding::new(path, 1, message));
    }
    for (path, file) in &site.tree.files {
        check_encoding(path, file, findings);
        if path.starts_with("src") || path.starts_with("examples") {
            check_form(path, file, findings);
        }
        let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
        let in_root = path.components().count() == 1;
        if (path.starts_with("src") && is("md"))
            || (path.starts_with("examples") && is("rs"))
            || PACKAGES.iter().any(|package| path.starts_with(package))
            || (in_root && is("md"))
        {
            check_leftovers(path, &file.text, is("md"), findings);
        }
    }
    for page in site.chapters() {
        if page.path != Path::new(GLOSSARY) && is_empty(page) {
            let message = "empty chapter: write it, or take it out of src/SUMMARY.md";
            findings.push(Finding::new(&page.path, 1, message));
        }
    }
}

fn check_encoding(path: &Path, file: &File, findings: &mut Vec<Finding>) {
    let Some((offset, byte)) = file.broken else {
        return;
    };
    // The text before the byte is unharmed, but for the mark that was taken off it.
    let before = offset.saturating_sub(if file.marked { 3 } else { 0 });
    let line = 1 + file.text.as_bytes()[..before]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    let message = format!("not UTF-8 (byte 0x{byte:02X} at offset {offset}): save it as UTF-8");
    findings.push(Finding::new(path, line, message));
}

fn check_form(path: &Path, file: &File, findings: &mut Vec<Finding>) {
    if file.marked {
        let message = "begins with a byte order mark: save it as UTF-8 without one";
        findings.push(Finding::new(path, 1, message));
    }
    let ends: Vec<usize> = file
        .text
        .split('\n')
        .enumerate()
        .filter_map(|(index, line)| line.ends_with('\r').then_some(index + 1))
        .collect();
    if let Some(first) = ends.first() {
        let message = format!("CRLF line ends ({} of them): save it with LF", ends.len());
        findings.push(Finding::new(path, *first, message));
    }
}

fn check_leftovers(path: &Path, text: &str, is_markdown: bool, findings: &mut Vec<Finding>) {
    // In prose, a mark in backticks is spoken about and not left over.
    let spoken_of: Vec<_> = match is_markdown {
        true => page::parse(text)
            .into_iter()
            .filter(|(event, _)| matches!(event, Event::Code(_)))
            .map(|(_, range)| range)
            .collect(),
        false => Vec::new(),
    };
    let mut start = 0;
    for (index, line) in text.split('\n').enumerate() {
        let mut say = |message| findings.push(Finding::new(path, index + 1, message));
        if is_merge_marker(line.trim_end_matches('\r')) {
            say("merge marker left over: choose one side and remove the marker".to_owned());
        }
        if let Some((at, mark)) = mark(line)
            && !spoken_of.iter().any(|range| range.contains(&(start + at)))
        {
            let rest = &line[at + mark.len()..];
            let rest = rest.split("</").next().unwrap_or_default();
            let rest = rest.trim_start_matches([':', ' ']).trim_end_matches("-->");
            let rest = rest.trim_end_matches([' ', '\r', '|', '*']);
            say(match rest {
                "" => format!("{mark} left: write what belongs here, then remove the mark"),
                rest => format!("{mark} left: {rest}"),
            });
        }
        start += line.len() + 1;
    }
}

fn is_merge_marker(line: &str) -> bool {
    ["<<<<<<< ", ">>>>>>> ", "|||||||"]
        .iter()
        .any(|marker| line.starts_with(marker))
        || line == "======="
}

/// Where a mark of unfinished work stands as a word, and which.
fn mark(line: &str) -> Option<(usize, &'static str)> {
    let is_part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let places = MARKS.iter().flat_map(|mark| {
        let places = line.match_indices(mark).map(|(at, _)| (at, *mark));
        places.filter(move |(at, mark)| {
            !line[..*at].ends_with(is_part_of_word)
                && !line[at + mark.len()..].starts_with(is_part_of_word)
        })
    });
    places.min()
}

/// Whether a chapter holds nothing besides headings and comments.
fn is_empty(page: &Page) -> bool {
    let mut in_heading = false;
    let mut html = String::new();
    for (event, _) in &page.events {
        match event {
            Event::Start(Tag::Heading { .. }) => in_heading = true,
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            _ if in_heading => {}
            Event::Html(text) | Event::InlineHtml(text) => html.push_str(text),
            Event::Start(Tag::Paragraph | Tag::HtmlBlock)
            | Event::End(TagEnd::Paragraph | TagEnd::HtmlBlock)
            | Event::SoftBreak
            | Event::Rule => {}
            Event::Text(text) if text.trim().is_empty() => {}
            _ => return false,
        }
    }
    html::without_comments(&html).trim().is_empty()
}
