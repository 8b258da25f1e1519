//! Links and images: files that do not exist, `#fragments` that nothing has, plain `http://`,
//! paths that work here and not on the site, reference links to nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use super::ids::id_from_content;
use super::page::{Kind, Page};
use super::similar::{nearest_path, normal, relative, similar_ids};
use super::site::{GLOSSARY, SUMMARY, Site};
use super::{Finding, slashed, summary};

/// How many of a page's ids a message lists when none looks like the wanted one.
const LISTED_MAX: usize = 8;

/// Where a destination leads.
enum Target<'a> {
    /// To another site or program: `https:`, `mailto:` and so on.
    Elsewhere,
    /// To a file, a folder or a part of a page: the path as written, and the fragment.
    Here(&'a str, &'a str),
}

/// Finds what the links of the pages get wrong.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let terms = terms(site);
    for page in &site.pages {
        for link in &page.links {
            let mut say = |message| findings.push(Finding::new(&page.path, link.line, message));
            if link.destination.starts_with("http://") {
                say(format!("plain link {}: use https://", link.destination));
            }
            match target(&link.destination) {
                Target::Elsewhere => {}
                Target::Here("", "") if !link.destination.starts_with('#') => {
                    say("link without a destination: write one, or take the brackets away".into());
                }
                Target::Here("", fragment) => {
                    if let Some(message) = missing_fragment(page, fragment, &terms) {
                        say(message);
                    }
                }
                Target::Here(written, fragment) => {
                    if let Some(message) = wrong_path(site, page, written) {
                        say(message);
                        continue;
                    }
                    let path = resolved(page, written);
                    if let Some(other) = site.page(&path)
                        && let Some(message) = missing_fragment(other, fragment, &terms)
                    {
                        say(message);
                    }
                }
            }
        }
        bare_addresses(page, findings);
        for (line, label) in page.undefined_references() {
            let mend = format!("add a line `[{label}]: https://…`, or put the text in backticks");
            let message = format!("reference [{label}] is not defined: {mend}");
            findings.push(Finding::new(&page.path, line, message));
        }
    }
}

/// Tells links to other sites from links to files, and a path from its fragment.
fn target(destination: &str) -> Target<'_> {
    let scheme = destination.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'))
    };
    if scheme.is_some_and(is_scheme) || destination.starts_with("//") {
        return Target::Elsewhere;
    }
    let (path, fragment) = destination.split_once('#').unwrap_or((destination, ""));
    Target::Here(path.split('?').next().unwrap_or_default(), fragment)
}

/// The path, relative to the root, that a page means.
fn resolved(page: &Page, written: &str) -> PathBuf {
    let decoded = decoded(written);
    match decoded.strip_prefix('/') {
        Some(from_root) => normal(Path::new(from_root)),
        None => normal(&page.folder().join(decoded)),
    }
}

/// What is wrong with a path, if anything.
fn wrong_path(site: &Site, page: &Page, written: &str) -> Option<String> {
    let path = resolved(page, written);
    if page.kind == Kind::Chapter && written.starts_with('/') {
        return Some(format!(
            "link to {written} breaks on a site that is not at the root of its host: \
             write the path relative to this file"
        ));
    }
    let is_listed_glossary = || {
        path == Path::new(GLOSSARY)
            && summary::entries(site)
                .iter()
                .any(|entry| entry.path == path)
    };
    if !site.tree.exists(&path) && !is_listed_glossary() {
        // Only a page of the book can be linked to from the book.
        let reachable = site.tree.all.iter().filter(|known| {
            page.kind == Kind::Guide || (known.starts_with("src") && known != &Path::new(SUMMARY))
        });
        return Some(match nearest_path(&path, reachable) {
            Some(near) => {
                let near = relative(page.folder(), near);
                format!("link to {written}: no such file, nearest is {near}")
            }
            None => format!("link to {written}: no such file, create it or mend the path"),
        });
    }
    if page.kind == Kind::Chapter && !path.starts_with("src") {
        return Some(format!(
            "link to {written} leaves src/, and the site does not have the file: \
             include it, or link to it in the repository with https://"
        ));
    }
    None
}

/// Says so if nothing on the page has the id.
pub(crate) fn missing_fragment(
    page: &Page,
    fragment: &str,
    terms: &BTreeSet<String>,
) -> Option<String> {
    let wanted = decoded(fragment);
    let is_glossary = page.path == Path::new(GLOSSARY);
    let from_terms = terms.iter().filter(|_| is_glossary).map(String::as_str);
    let known: Vec<&str> = page
        .targets
        .iter()
        .map(String::as_str)
        .chain(from_terms)
        .collect();
    if wanted.is_empty() || known.contains(&wanted.as_str()) {
        return None;
    }
    let similar = similar_ids(&wanted, known.iter().copied());
    let hint = match (similar.as_slice(), known.as_slice()) {
        ([], []) => "it has none".to_owned(),
        ([], _) => {
            let more = if known.len() > LISTED_MAX {
                ", …"
            } else {
                ""
            };
            format!(
                "has: {}{more}",
                known[..known.len().min(LISTED_MAX)].join(", ")
            )
        }
        (similar, _) => format!("similar: {}", similar.join(", ")),
    };
    Some(format!(
        "fragment #{wanted} not found in {} ({hint})",
        slashed(&page.path)
    ))
}

/// The ids that the glossary page gets from the terms of all chapters.
pub(crate) fn terms(site: &Site) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for page in site.chapters() {
        let mut in_terms = false;
        let mut heading = false;
        let mut text: Option<String> = None;
        for (event, _) in &page.events {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    heading = *level <= HeadingLevel::H2;
                    text = heading.then(String::new);
                }
                Event::Start(Tag::DefinitionListTitle) if in_terms => text = Some(String::new()),
                Event::Text(part) | Event::Code(part) => {
                    if let Some(text) = &mut text {
                        text.push_str(part);
                    }
                }
                Event::End(TagEnd::Heading(_)) if heading => {
                    in_terms = text.take().is_some_and(|text| text == "Terms");
                    heading = false;
                }
                Event::End(TagEnd::DefinitionListTitle) => {
                    terms.extend(text.take().map(|text| id_from_content(&text)));
                }
                _ => {}
            }
        }
    }
    terms
}

/// Finds `http://` addresses that stand in the prose without being links.
fn bare_addresses(page: &Page, findings: &mut Vec<Finding>) {
    let mut passed: usize = 0;
    for (event, range) in &page.events {
        match event {
            // What a link says is no second fault beside where it leads.
            Event::Start(Tag::CodeBlock(_) | Tag::Link { .. } | Tag::HtmlBlock) => passed += 1,
            Event::End(TagEnd::CodeBlock | TagEnd::Link | TagEnd::HtmlBlock) => passed -= 1,
            Event::Text(text) if passed == 0 => {
                for (at, _) in text.match_indices("http://") {
                    let address = text[at..]
                        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '>' | ')' | ','))
                        .next()
                        .unwrap_or_default()
                        .trim_end_matches('.');
                    let line = page.line(range.start + at);
                    let message = format!("plain address {address}: use https://");
                    findings.push(Finding::new(&page.path, line, message));
                }
            }
            _ => {}
        }
    }
}

/// `text` with its `%20` and the like decoded.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high)
                    .zip(digit(low))
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
            }
            _ => None,
        };
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
