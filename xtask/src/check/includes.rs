//! `{{#include}}`, `{{#rustdoc_include}}` and `{{#playground}}`: missing files and anchors, line
//! numbers where an anchor belongs, and anchors that a program opens and does not close.
//!
//! mdBook only logs such an error and goes on, so the page would show the directive as it was
//! typed. What counts as a directive is mdBook's own expression (the `links` preprocessor), which
//! looks at the raw text: in code, in comments, everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::similar::{nearest, nearest_path, normal, relative};
use super::site::{Site, Tree};
use super::{Finding, slashed};
use crate::record::PACKAGES;

/// How deep mdBook follows includes in included files.
const DEPTH_MAX: usize = 10;

/// The most lines of code that one part of a program may put on a page: what is read in one go.
const SHOWN_LINES_MAX: usize = 60;

/// The directives that bring in a file.
const NAMES: [&str; 4] = ["include", "rustdoc_include", "playground", "playpen"];

/// What a directive does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Puts the text in.
    Include,
    /// Puts the whole program in and hides what is outside the anchor.
    Rustdoc,
    /// Puts a whole Rust block in.
    Playground,
    /// Sets the title of the browser tab.
    Title,
}

/// The part of the file that a directive names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// All of it.
    Whole,
    /// What stands between two anchor comments.
    Anchor(&'a str),
    /// Lines by their numbers.
    Lines,
}

/// A directive that brings in a file.
#[derive(Debug)]
pub(crate) struct Directive<'a> {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// What it does.
    pub(crate) kind: Kind,
    /// The file, relative to the folder of the page.
    pub(crate) path: &'a str,
    /// The part of the file.
    pub(crate) part: Part<'a>,
    /// The words after the file.
    pub(crate) words: Vec<&'a str>,
}

/// Something that is, or looks like, a directive.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// One that mdBook carries out.
    Directive(Directive<'a>),
    /// `\{{#…}}`, of which mdBook takes the backslash away.
    Escaped(Range<usize>),
    /// One of an unknown name, which mdBook leaves alone.
    Unknown(usize, &'a str),
    /// One without its closing braces, which mdBook leaves alone.
    Open(usize, &'a str),
}

/// Finds the directives in a text.
pub(crate) fn scan(text: &str) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("{{").map(|start| at + start) {
        at = start + 2;
        if text[..start].ends_with('\\') && text[at..].starts_with('#') {
            // Greedy, as mdBook's expression is: to the last braces of the line.
            let line = text[start..].lines().next().unwrap_or_default();
            if let Some(end) = line.rfind("}}") {
                found.push(Found::Escaped(start - 1..start + end + 2));
                at = start + end + 2;
                continue;
            }
        }
        let Some(rest) = text[at..].trim_start().strip_prefix('#') else {
            continue;
        };
        let name_end = rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(name_end);
        let inside = rest.find('}').unwrap_or(rest.len());
        let arguments = &rest[..inside];
        if name.is_empty() || !arguments.starts_with(char::is_whitespace) {
            continue;
        }
        if !rest[inside..].starts_with("}}") {
            if NAMES.contains(&name) {
                found.push(Found::Open(start, name));
            }
            continue;
        }
        at = text.len() - rest.len() + inside + 2;
        match directive(start..at, name, arguments) {
            Some(directive) => found.push(Found::Directive(directive)),
            None => found.push(Found::Unknown(start, name)),
        }
    }
    found
}

fn directive<'a>(range: Range<usize>, name: &str, arguments: &'a str) -> Option<Directive<'a>> {
    let mut words = arguments.split_whitespace();
    let first = words.next()?;
    let (kind, path, part) = match name {
        "title" => (Kind::Title, first, Part::Whole),
        "playground" | "playpen" => (Kind::Playground, first, Part::Whole),
        "include" | "rustdoc_include" => {
            let kind = if name == "include" {
                Kind::Include
            } else {
                Kind::Rustdoc
            };
            match first.split_once(':') {
                Some((path, rest)) => (kind, path, part(rest)),
                None => (kind, first, Part::Whole),
            }
        }
        _ => return None,
    };
    Some(Directive {
        range,
        kind,
        path,
        part,
        words: words.collect(),
    })
}

/// What stands after the file's name and its colon.
fn part(rest: &str) -> Part<'_> {
    let is_number = |word: &str| word.parse::<usize>().is_ok();
    let (first, rest) = rest.split_once(':').unwrap_or((rest, ""));
    let second = rest.split(':').next().unwrap_or_default();
    match first {
        "" if is_number(second) => Part::Lines,
        "" => Part::Whole,
        _ if is_number(first) => Part::Lines,
        anchor => Part::Anchor(anchor),
    }
}

/// The file that a directive in `folder` names.
pub(crate) fn target(folder: &Path, directive: &Directive) -> PathBuf {
    normal(&folder.join(directive.path))
}

/// `text` with its includes carried out as mdBook does; what cannot be is left as it stands.
pub(crate) fn expand(tree: &Tree, text: &str, folder: &Path) -> String {
    expand_to(tree, text, folder, 0)
}

fn expand_to(tree: &Tree, text: &str, folder: &Path, depth: usize) -> String {
    let mut out = String::new();
    let mut copied = 0;
    for found in scan(text) {
        match found {
            Found::Escaped(range) => {
                out.push_str(&text[copied..range.start]);
                out.push_str(&text[range.start + 1..range.end]);
                copied = range.end;
            }
            Found::Directive(directive) if depth < DEPTH_MAX => {
                let path = target(folder, &directive);
                let content = match directive.kind {
                    Kind::Title => Some(String::new()),
                    _ => tree.text(&path).map(|text| taken(&text, &directive)),
                };
                if let Some(content) = content {
                    out.push_str(&text[copied..directive.range.start]);
                    let folder = path.parent().unwrap_or(Path::new(""));
                    out.push_str(&expand_to(tree, &content, folder, depth + 1));
                    copied = directive.range.end;
                }
            }
            _ => {}
        }
    }
    out + &text[copied..]
}

/// The part of a file that a directive takes.
fn taken(text: &str, directive: &Directive) -> String {
    if directive.kind == Kind::Playground {
        let words = directive.words.join(",");
        let comma = if words.is_empty() { "" } else { "," };
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        return format!("```rust{comma}{words}\n{text}{newline}```\n");
    }
    let Part::Anchor(wanted) = directive.part else {
        // By line numbers is refused, so it does not matter which ones.
        return text.lines().collect::<Vec<_>>().join("\n");
    };
    let hides = directive.kind == Kind::Rustdoc;
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let (opens, closes) = (anchor(line, "ANCHOR:"), anchor(line, "ANCHOR_END:"));
        if inside && closes == Some(wanted) {
            inside = false;
            if !hides {
                break;
            }
        } else if !inside && opens == Some(wanted) {
            inside = true;
        } else if opens.is_none() && closes.is_none() {
            if inside {
                lines.push(line.to_owned());
            } else if hides {
                lines.push(format!("# {line}"));
            }
        }
    }
    lines.join("\n")
}

/// The name of the anchor that a line opens (`ANCHOR:`) or closes (`ANCHOR_END:`).
fn anchor<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.match_indices(mark).find_map(|(at, _)| {
        let name = line[at + mark.len()..].trim_start();
        let end = name
            .find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '-'))
            .unwrap_or(name.len());
        (end > 0).then_some(&name[..end])
    })
}

/// Finds what the includes of the chapters and the anchors of the programs get wrong.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let mut included: BTreeSet<PathBuf> = BTreeSet::new();
    for page in site.chapters() {
        for found in scan(&page.text) {
            let (at, message) = match found {
                Found::Escaped(_) => continue,
                Found::Open(at, name) => {
                    (at, format!("{{{{#{name} is never closed: end it with }}}}"))
                }
                Found::Unknown(at, name) if NAMES.contains(&name) => (
                    at,
                    format!("{{{{#{name}}}}} names no file: write the file's path after it"),
                ),
                Found::Unknown(at, name) => match nearest(name, NAMES) {
                    Some(near) => (
                        at,
                        format!("{{{{#{name}}}}} is not known: did you mean {{{{#{near}}}}}?"),
                    ),
                    None => continue,
                },
                Found::Directive(directive) if directive.kind == Kind::Title => continue,
                Found::Directive(directive) => {
                    let path = target(page.folder(), &directive);
                    let message = wrong(&site.tree, page.folder(), &directive, &path);
                    included.insert(path);
                    match message {
                        Some(message) => (directive.range.start, message),
                        None => continue,
                    }
                }
            };
            findings.push(Finding::new(&page.path, page.line(at), message));
        }
    }
    let programs = std::iter::once("examples")
        .chain(PACKAGES)
        .flat_map(|folder| site.tree.texts(folder, "rs"));
    included.extend(programs.map(|(path, _)| path.clone()));
    for path in included {
        if let Some(text) = site.tree.text(&path) {
            check_anchors(&path, &text, findings);
        }
    }
}

/// What is wrong with a directive, if anything.
fn wrong(tree: &Tree, folder: &Path, directive: &Directive, path: &Path) -> Option<String> {
    let Some(text) = tree.text(path) else {
        let near = nearest_path(path, &tree.all).map_or_else(String::new, |near| {
            format!(" (nearest: {})", relative(folder, near))
        });
        return Some(format!(
            "included file {} does not exist{near}",
            slashed(path)
        ));
    };
    match directive.part {
        Part::Whole => None,
        Part::Lines => Some(format!(
            "include by line number, which moves with every edit: use an anchor of {} ({})",
            slashed(path),
            has(&text)
        )),
        Part::Anchor(wanted) => {
            let known = text
                .lines()
                .any(|line| anchor(line, "ANCHOR:") == Some(wanted));
            if !known {
                return Some(format!(
                    "anchor \"{wanted}\" not found in {} ({})",
                    slashed(path),
                    has(&text)
                ));
            }
            let lines = code_lines(&text, wanted);
            (directive.kind == Kind::Rustdoc && lines > SHOWN_LINES_MAX).then(|| {
                format!(
                    "part \"{wanted}\" of {} has {lines} lines of code, more than \
                     {SHOWN_LINES_MAX}: show a shorter part, or two",
                    slashed(path)
                )
            })
        }
    }
}

/// How many lines an anchor holds, without blank ones, those that are only a comment, and other
/// anchors' marks.
fn code_lines(text: &str, wanted: &str) -> usize {
    text.lines()
        .skip_while(|line| anchor(line, "ANCHOR:") != Some(wanted))
        .take_while(|line| anchor(line, "ANCHOR_END:") != Some(wanted))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

/// The anchors of a file, for a message.
fn has(text: &str) -> String {
    let names: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| anchor(line, "ANCHOR:"))
        .collect();
    match names.is_empty() {
        true => "it has none".to_owned(),
        false => format!("has: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// What begins a comment in a file, for a message that says what to write there.
fn comment(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default();
    match ["yml", "yaml", "toml", "sh"]
        .iter()
        .any(|one| extension == *one)
    {
        true => "#",
        false => "//",
    }
}

/// Finds anchors that are not closed, not opened, or there twice.
fn check_anchors(path: &Path, text: &str, findings: &mut Vec<Finding>) {
    let comment = comment(path);
    let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
    let mut closed: BTreeSet<&str> = BTreeSet::new();
    let mut say = |line, message| findings.push(Finding::new(path, line, message));
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(name) = anchor(line, "ANCHOR:") {
            match opened.get(name) {
                Some(first) => say(
                    number,
                    format!("anchor \"{name}\" is there twice (first on line {first}): rename one"),
                ),
                None => {
                    opened.insert(name, number);
                }
            }
        }
        if let Some(name) = anchor(line, "ANCHOR_END:") {
            if !opened.contains_key(name) {
                say(
                    number,
                    format!(
                        "ANCHOR_END of \"{name}\" without its beginning: \
                         add `{comment} ANCHOR: {name}` above"
                    ),
                );
            }
            closed.insert(name);
        }
    }
    for (name, number) in opened {
        if !closed.contains(name) {
            say(
                number,
                format!(
                    "anchor \"{name}\" is never closed: \
                     add `{comment} ANCHOR_END: {name}` after its part"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mdbook_driver::MDBook;
    use mdbook_driver::book::BookItem;
    use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
    use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

    use super::*;

    const PROGRAM: &str = "//! Head.\n// ANCHOR: all\nfn a() {}\n// ANCHOR: b-1\n\nfn b() {}\n    \
         /* ANCHOR_END: b-1 */\nfn c() {}\n// ANCHOR_END: all\n// ANCHOR: b-1\nfn d() {}\n\
         // ANCHOR_END: b-1\nfn main() {}\n";

    const PAGE: &str = "# Page\n\nWhole: {{#include ../../examples/p.rs}} |\n\
         {{#include ../../examples/p.rs:}} {{#include ../../examples/p.rs::}}\n\
         ```rust\n{{#rustdoc_include ../../examples/p.rs:b-1}}\n```\n\
         - {{ #include   ../../examples/p.rs:all }}\n\
         {{#playground ../../examples/p.rs editable should_panic}}\n{{#playpen ../../examples/p.rs}}\n\
         Escaped \\{{#include ../../examples/p.rs}} twice }} and\n\\{{#include x\n}}\n\
         {{#title Other}}{{#include ../part/other.md}}\n\
         Left alone: {{#unknown x}} {{#include}} {{#include gone.rs}} {{include x}} {{#include x}\n\
         {{#include ../../examples/p.rs:none}} `{{#include\n../../examples/p.rs:b-1}}` {{{ }} {{\n";

    #[test]
    fn includes_are_carried_out_as_mdbook_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write("src/SUMMARY.md", "- [Page](part/page.md)\n");
        write("src/part/page.md", PAGE);
        write(
            "src/part/other.md",
            "Nested {{#include ../../examples/p.rs:b-1}}.\n",
        );
        write("examples/p.rs", PROGRAM);
        let loaded = MDBook::load(folder.path()).expect("a book");
        let (root, config) = (loaded.root.clone(), loaded.config.clone());
        let context = PreprocessorContext::new(root, config, "html".to_owned());
        let book = LinkPreprocessor::new()
            .run(&context, loaded.book)
            .expect("includes");
        let Some(BookItem::Chapter(chapter)) = book.iter().next() else {
            panic!("no chapter")
        };

        let tree = Site::read(folder.path()).expect("a site").tree;
        let ours = expand(&tree, PAGE, Path::new("src/part"));
        assert_eq!(ours, chapter.content);
    }
}
