//! The ids of a page's elements, as mdBook 0.5.4 makes them.
//!
//! mdBook keeps the two functions private (`id_from_content` and `unique_id` in mdbook-html's
//! utils.rs, called in html/tree.rs), so their few lines stand here again; the test at the end
//! renders a chapter with mdBook itself and compares.

use std::collections::{HashMap, HashSet};

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};

use super::html;
use super::page::Spanned;

/// An element with an id.
#[derive(Debug)]
pub(crate) struct Id {
    /// The id in the page.
    pub(crate) id: String,
    /// The id before a number was added to make it the only one; none if it was given by hand.
    pub(crate) natural: Option<String>,
    /// Its text, for messages.
    pub(crate) label: String,
    /// The heading's level; none for other elements.
    pub(crate) level: Option<u8>,
    /// Whether it is a term of a definition list.
    pub(crate) term: bool,
    /// Its line.
    pub(crate) line: usize,
}

/// The id of a heading or term that reads `text`.
pub(crate) fn id_from_content(text: &str) -> String {
    text.trim()
        .to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            _ if letter.is_alphanumeric() || letter == '_' || letter == '-' => Some(letter),
            _ if letter.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// `id`, with a number after it if the page has it already.
fn unique_id(id: &str, used: &mut HashSet<String>) -> String {
    let mut candidate = id.to_owned();
    let mut counter: u32 = 1;
    while !used.insert(candidate.clone()) {
        candidate = format!("{id}-{counter}");
        counter += 1;
    }
    candidate
}

/// The headings, terms and raw tags with an id, in the order of the page. Raw headings are listed
/// for their level even when they have none.
pub(crate) fn ids(
    events: &[Spanned],
    tags: &[(html::Tag, usize)],
    line: impl Fn(usize) -> usize,
) -> Vec<Id> {
    let mut found = marked_up(events, line);
    for (tag, line) in tags {
        let level = match tag.name.as_bytes() {
            [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
            _ => None,
        };
        let id = tag.attribute("id").unwrap_or_default();
        if level.is_some() || !id.is_empty() {
            found.push(Id {
                id: id.to_owned(),
                natural: None,
                label: format!("<{}>", tag.name),
                level,
                term: false,
                line: *line,
            });
        }
    }
    found.sort_by_key(|id| id.line);
    found
}

/// Every id of a page that a link may name.
pub(crate) fn targets(events: &[Spanned], tags: &[(html::Tag, usize)]) -> Vec<String> {
    let mut targets: Vec<String> = ids(events, tags, |at| at)
        .into_iter()
        .map(|id| id.id)
        .collect();
    // Browsers follow these too, though mdBook does not make them.
    let names = tags.iter().filter(|(tag, _)| tag.name == "a");
    targets.extend(
        names
            .filter_map(|(tag, _)| tag.attribute("name"))
            .map(str::to_owned),
    );
    let mut notes: HashMap<&str, usize> = HashMap::new();
    for (event, _) in events {
        if let Event::FootnoteReference(name) = event {
            let count = notes.entry(name).or_default();
            *count += 1;
            targets.push(format!("fr-{name}-{count}"));
            if *count == 1 {
                targets.push(format!("footnote-{name}"));
            }
        }
    }
    targets.retain(|id| !id.is_empty());
    targets
}

/// The headings and terms that are written in Markdown.
fn marked_up(events: &[Spanned], line: impl Fn(usize) -> usize) -> Vec<Id> {
    let mut found: Vec<Id> = Vec::new();
    let mut used = HashSet::new();
    let mut open: Option<Id> = None;
    let mut images: usize = 0;
    let mut notes: HashMap<&str, usize> = HashMap::new();
    for (event, range) in events {
        match event {
            Event::Start(Tag::Heading {
                level, id, attrs, ..
            }) => {
                let attribute = attrs.iter().rev().find(|(name, _)| &**name == "id");
                let attribute = attribute.and_then(|(_, value)| value.as_deref());
                let by_hand = id.as_deref().or(attribute);
                open = Some(Id {
                    id: by_hand.unwrap_or_default().to_owned(),
                    natural: by_hand.is_none().then(String::new),
                    label: String::new(),
                    level: Some(*level as u8),
                    term: false,
                    line: line(range.start),
                });
            }
            Event::Start(Tag::DefinitionListTitle) => {
                open = Some(Id {
                    id: String::new(),
                    natural: Some(String::new()),
                    label: String::new(),
                    level: None,
                    term: true,
                    line: line(range.start),
                });
            }
            Event::End(TagEnd::Heading(_) | TagEnd::DefinitionListTitle) => {
                let Some(mut id) = open.take() else { continue };
                if id.natural.is_some() {
                    let natural = id_from_content(&id.label);
                    id.id = unique_id(&natural, &mut used);
                    id.natural = Some(natural);
                }
                id.label = id.label.trim().to_owned();
                found.push(id);
            }
            Event::Start(Tag::Image { .. }) => images += 1,
            Event::End(TagEnd::Image) => images -= 1,
            Event::FootnoteReference(name) => {
                let next = notes.len() + 1;
                let number = *notes.entry(name).or_insert(next);
                if let Some(id) = &mut open {
                    id.label.push_str(&number.to_string());
                }
            }
            Event::Text(text) | Event::Code(text) if images == 0 => {
                if let Some(id) = &mut open {
                    id.label.push_str(text);
                }
            }
            Event::SoftBreak => {
                if let Some(id) = &mut open {
                    id.label.push('\n');
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use mdbook_driver::MDBook;

    use super::super::page;
    use super::*;

    /// Every kind of id that mdBook makes, and what looks like one and is none.
    const PAGE: &str = r##"# Bits & bytes: *what* `u8` holds

Some[^one] notes[^two], again[^one], <span id="raw-inline" class='x'>raw</span>.

## Same
## Same
## Same-1
## Given {#by-hand .wide}
## By attribute {id=attribute data-x=y}
## Über 10 % — «quoted» "smart" -- text...
## With [a link](https://example.org) and ![picture](x.svg) <b id="in-heading">raw</b> note[^one]

Setext over
two lines
---------

### `code::path<T>`
### 中文標題 _it_ ~~struck~~
###
## A hard  \
break &amp; entity

> [!NOTE]
> ## In an admonition
>
> <p
>    id="in-quote">x</p>

- item
  ## In a list

  Term in a list
  : Definition

bit
: The smallest unit.

Load *balancer* `L7`
: One definition.
: Another.

Same
: A term that reads like a heading.

<h2>No id, raw</h2>
<h3 id="raw-heading">Raw</h3>
<!-- <i id="commented"></i> -->
<details id="folded"><summary>More</summary>

## Inside the fold

</details>

<script>const x = "<b id='scripted'>";</script>

```html
<p id="in-code">
```

[^one]: First.
[^two]: Second,

    ## In a footnote
[^unused]: Never mentioned.
"##;

    /// The ids inside `<main>` of a page that mdBook has rendered.
    fn rendered(html: &str) -> BTreeSet<String> {
        let main = html.split_once("<main>").expect("a main element").1;
        let main = main.split_once("</main>").expect("its end").0;
        let tags = html::tags(main);
        tags.iter()
            .filter_map(|tag| tag.attribute("id"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_ids_are_the_ones_that_mdbook_renders() {
        let dir = tempfile::tempdir().expect("a folder");
        let src = dir.path().join("src");
        fs::create_dir(&src).expect("src");
        fs::write(
            src.join("SUMMARY.md"),
            "- [First](first.md)\n- [Page](page.md)\n",
        )
        .expect("it");
        fs::write(src.join("first.md"), "# First\n").expect("first");
        fs::write(src.join("page.md"), PAGE).expect("page");
        MDBook::load(dir.path())
            .expect("a book")
            .build()
            .expect("a site");
        let html = fs::read_to_string(dir.path().join("book/page.html")).expect("the page");

        let events = page::parse(PAGE);
        let tags = page::tags(&events, |at| at);
        let ours: BTreeSet<String> = targets(&events, &tags).into_iter().collect();
        let mut theirs = rendered(&html);
        assert!(
            theirs.remove(""),
            "the heading without words has an id that no link can name"
        );
        assert_eq!(ours, theirs);
        for id in [
            "same", "same-1", "same-1-1", "by-hand", "fr-one-3", "in-quote", "folded",
        ] {
            assert!(ours.contains(id), "{id} is missing from {ours:?}");
        }
        for id in ["commented", "scripted", "in-code", "footnote-unused"] {
            assert!(!ours.contains(id), "{id} is in {ours:?}");
        }
    }
}
