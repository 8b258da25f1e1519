//! One Markdown page, parsed once as mdBook parses it: its blocks, links, tags and ids, each with
//! the line of the source file.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{
    BrokenLink, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd,
};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use super::html;
use super::ids::{self, Id};
use super::includes;
use super::site::Tree;

/// An event of the Markdown parser and the bytes of the source that it stands for.
pub(crate) type Spanned = (Event<'static>, Range<usize>);

/// What a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A page of the book, under `src/`.
    Chapter,
    /// A page at the root that GitHub shows: README.md and its like.
    Guide,
}

/// A Markdown page.
pub(crate) struct Page {
    /// Its file, relative to the root.
    pub(crate) path: PathBuf,
    /// What it belongs to.
    pub(crate) kind: Kind,
    /// Its source.
    pub(crate) text: String,
    /// What the parser makes of it.
    pub(crate) events: Vec<Spanned>,
    /// Its code blocks, in order.
    pub(crate) blocks: Vec<Block>,
    /// Its links and images, in order.
    pub(crate) links: Vec<Link>,
    /// The tags of its raw HTML, and the line of each.
    pub(crate) tags: Vec<(html::Tag, usize)>,
    /// The ids of its elements as they stand in the source.
    pub(crate) ids: Vec<Id>,
    /// The ids a link may name: those of `ids` and of what the page includes.
    pub(crate) targets: Vec<String>,
    /// Where each line begins.
    starts: Vec<usize>,
}

/// A code block.
pub(crate) struct Block {
    /// The line of its fence.
    pub(crate) line: usize,
    /// The words after the fence, the language first.
    pub(crate) words: Vec<String>,
    /// Whether it has a fence; an indented one has none.
    pub(crate) fenced: bool,
    /// Its lines with their numbers in the file.
    pub(crate) lines: Vec<(usize, String)>,
    /// The place of its end among the page's events; none for a `{{#playground}}`.
    pub(crate) end: Option<usize>,
}

/// A destination that the page names.
pub(crate) struct Link {
    /// The line it stands on.
    pub(crate) line: usize,
    /// Where it leads.
    pub(crate) destination: String,
}

impl Page {
    /// Parses a page.
    pub(crate) fn new(tree: &Tree, path: &Path, kind: Kind, text: &str) -> Self {
        let mut page = Self {
            path: path.to_path_buf(),
            kind,
            text: text.to_owned(),
            events: parse(text),
            blocks: Vec::new(),
            links: Vec::new(),
            tags: Vec::new(),
            ids: Vec::new(),
            targets: Vec::new(),
            starts: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
        };
        page.blocks = page.find_blocks();
        page.tags = tags(&page.events, |at| page.line(at));
        page.links = page.find_links();
        page.ids = ids::ids(&page.events, &page.tags, |at| page.line(at));
        page.targets = if kind == Kind::Chapter && text.contains("{{#") {
            page.add_playgrounds();
            let events = parse(&includes::expand(tree, text, page.folder()));
            let tags = tags(&events, |at| at);
            ids::targets(&events, &tags)
        } else {
            ids::targets(&page.events, &page.tags)
        };
        page
    }

    /// The number of the line that holds byte `at`.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// The folder of its file.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The first `#` title, as plain text.
    pub(crate) fn title(&self) -> Option<&str> {
        let title = self.ids.iter().find(|id| id.level == Some(1));
        title.map(|title| title.label.as_str())
    }

    /// Whether byte `at` is inside a code block.
    pub(crate) fn in_block(&self, at: usize) -> bool {
        self.events.iter().any(|(event, range)| {
            matches!(event, Event::Start(Tag::CodeBlock(_))) && range.contains(&at)
        })
    }

    /// The lines and labels of `[text][label]` and `[label][]` whose label is nowhere defined.
    pub(crate) fn undefined_references(&self) -> Vec<(usize, String)> {
        // mdBook's own options, which its crate does not hand out together with this callback.
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_HEADING_ATTRIBUTES
            | Options::ENABLE_DEFINITION_LIST
            | Options::ENABLE_GFM;
        let found = RefCell::new(Vec::new());
        let note = |link: BrokenLink| {
            if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
                found
                    .borrow_mut()
                    .push((self.line(link.span.start), link.reference.to_string()));
            }
            None
        };
        Parser::new_with_broken_link_callback(&self.text, options, Some(note)).for_each(drop);
        found.into_inner()
    }

    fn find_blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        // The line being put together, which the parser may hand out in parts.
        let mut current: Option<(usize, String)> = None;
        for (index, (event, range)) in self.events.iter().enumerate() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let (fenced, words) = match kind {
                        CodeBlockKind::Fenced(info) => (true, words(info)),
                        CodeBlockKind::Indented => (false, Vec::new()),
                    };
                    let line = self.line(range.start);
                    open = Some(Block {
                        line,
                        words,
                        fenced,
                        lines: Vec::new(),
                        end: None,
                    });
                }
                Event::Text(text) => {
                    let Some(block) = &mut open else { continue };
                    for (offset, piece) in text.split_inclusive('\n').enumerate() {
                        let number = self.line(range.start) + offset;
                        let line = current.get_or_insert((number, String::new()));
                        line.1.push_str(piece.trim_end_matches(['\n', '\r']));
                        if piece.ends_with('\n') {
                            block.lines.extend(current.take());
                        }
                    }
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some(mut block) = open.take() {
                        block.lines.extend(current.take());
                        block.end = Some(index);
                        blocks.push(block);
                    }
                }
                _ => {}
            }
        }
        blocks
    }

    /// `{{#playground file.rs editable}}` stands for a whole Rust block.
    fn add_playgrounds(&mut self) {
        let mut found = Vec::new();
        for directive in includes::scan(&self.text) {
            let includes::Found::Directive(directive) = directive else {
                continue;
            };
            if directive.kind == includes::Kind::Playground && !self.in_block(directive.range.start)
            {
                let line = self.line(directive.range.start);
                let include = format!("{{{{#include {}}}}}", directive.path);
                let words = std::iter::once("rust")
                    .chain(directive.words)
                    .map(str::to_owned);
                found.push(Block {
                    line,
                    words: words.collect(),
                    fenced: true,
                    lines: vec![(line, include)],
                    end: None,
                });
            }
        }
        self.blocks.extend(found);
        self.blocks.sort_by_key(|block| block.line);
    }

    fn find_links(&self) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        let mut add = |at: usize, destination: &str| {
            links.push(Link {
                line: self.line(at),
                destination: destination.to_owned(),
            });
        };
        for (event, range) in &self.events {
            let (Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            })
            | Event::Start(Tag::Image {
                link_type,
                dest_url,
                ..
            })) = event
            else {
                continue;
            };
            // A reference is mended where it is defined, so that is the line to name.
            let elsewhere = matches!(
                link_type,
                LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut | LinkType::Email
            );
            if !elsewhere {
                add(range.start, dest_url);
            }
        }
        let parser = new_cmark_parser(&self.text, &MarkdownOptions::default());
        for (_, definition) in parser.reference_definitions().iter() {
            add(definition.span.start, &definition.dest);
        }
        for (tag, line) in &self.tags {
            for name in ["href", "src", "xlink:href", "poster"] {
                if let Some(destination) = tag.attribute(name) {
                    let destination = destination.to_owned();
                    links.push(Link {
                        line: *line,
                        destination,
                    });
                }
            }
        }
        links.sort_by_key(|link| link.line);
        links
    }
}

impl Block {
    /// Its language, if it names one.
    pub(crate) fn language(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether it is a Rust program.
    pub(crate) fn is_rust(&self) -> bool {
        self.language() == "rust"
    }

    /// Whether `word` stands after its language.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().skip(1).any(|found| found == word)
    }

    /// The lines of the program it stands for, includes expanded and hidden lines bared, each with
    /// the number of the line in the page that it comes from.
    pub(crate) fn program(&self, tree: &Tree, folder: &Path) -> Vec<(usize, String)> {
        let mut program = Vec::new();
        for (number, line) in &self.lines {
            let expanded = includes::expand(tree, line, folder);
            program.extend(expanded.lines().map(|line| (*number, bared(line).1)));
            if expanded.is_empty() {
                program.push((*number, String::new()));
            }
        }
        program
    }
}

/// A line of a Rust block as the compiler sees it, and whether mdBook hides it from the reader.
pub(crate) fn bared(line: &str) -> (bool, String) {
    let code = line.trim_start();
    let indent = &line[..line.len() - code.len()];
    match code.strip_prefix('#') {
        Some("") => (true, indent.to_owned()),
        Some(rest) if rest.starts_with(' ') => (true, format!("{indent}{}", &rest[1..])),
        Some(rest) if rest.starts_with('#') => (false, format!("{indent}{rest}")),
        _ => (false, line.to_owned()),
    }
}

/// The words after a fence, split as mdBook splits them.
fn words(info: &str) -> Vec<String> {
    info.split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The start tags of the raw HTML among the events, each with its line.
pub(crate) fn tags(events: &[Spanned], line: impl Fn(usize) -> usize) -> Vec<(html::Tag, usize)> {
    let mut tags = Vec::new();
    // A block of HTML arrives in lines, and a tag may span them.
    let mut block: Option<(String, Vec<(usize, usize)>)> = None;
    for (event, range) in events {
        match event {
            Event::Start(Tag::HtmlBlock) => block = Some(Default::default()),
            Event::Html(html) | Event::Text(html) if block.is_some() => {
                if let Some((text, places)) = &mut block {
                    places.push((text.len(), range.start));
                    text.push_str(html);
                }
            }
            Event::End(TagEnd::HtmlBlock) => {
                let (text, places) = block.take().unwrap_or_default();
                for tag in html::tags(&text) {
                    let piece = places.partition_point(|(at, _)| *at <= tag.at);
                    let (from, source) = places[piece.saturating_sub(1)];
                    let line = line(source + tag.at - from);
                    tags.push((tag, line));
                }
            }
            Event::InlineHtml(html) => {
                for tag in html::tags(html) {
                    let line = line(range.start + tag.at);
                    tags.push((tag, line));
                }
            }
            _ => {}
        }
    }
    tags
}

/// What mdBook's parser makes of a text.
pub(crate) fn parse(text: &str) -> Vec<Spanned> {
    new_cmark_parser(text, &MarkdownOptions::default())
        .into_offset_iter()
        .map(|(event, range)| (event.into_static(), range))
        .collect()
}
