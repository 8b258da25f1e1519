//! Collects the terms that the chapters define into the glossary page.
//!
//! A chapter defines its terms in a definition list under its heading "Terms". `src/glossary.md`
//! holds only an introduction: a chapter that brings new terms needs no edit there.

use std::collections::BTreeMap;
use std::path::Path;

use mdbook_driver::book::{Book, BookItem, Chapter};
use mdbook_markdown::pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

/// The page that the terms are collected on, below `src/`.
const PAGE: &str = "glossary.md";

/// A term as a chapter defines it.
#[derive(Debug, PartialEq, Eq)]
struct Term {
    name: String,
    /// The definition in Markdown, without links: they would not lead anywhere from another page.
    definition: String,
}

/// Appends every chapter's terms to the glossary page, in alphabetical order, each with a link
/// to its chapter. Does nothing in a book without the page.
pub fn collect(book: &mut Book) {
    let mut entries: BTreeMap<(String, String), String> = BTreeMap::new();
    for item in book.iter() {
        let BookItem::Chapter(chapter) = item else {
            continue;
        };
        let Some(path) = &chapter.path else { continue };
        let url = path.to_string_lossy().replace('\\', "/");
        for term in terms(&chapter.content) {
            let entry = format!(
                "{}\n: {} ([{}]({url}#terms))\n\n",
                term.name, term.definition, chapter.name
            );
            entries.insert((term.name.to_lowercase(), url.clone()), entry);
        }
    }
    book.for_each_mut(|item| {
        if let BookItem::Chapter(chapter) = item
            && chapter.path.as_deref() == Some(Path::new(PAGE))
        {
            append(chapter, entries.values());
        }
    });
}

fn append<'a>(chapter: &mut Chapter, entries: impl Iterator<Item = &'a String>) {
    chapter.content.push_str("\n\n");
    for entry in entries {
        chapter.content.push_str(entry);
    }
}

/// The terms of one chapter: the definition lists under its heading "Terms".
fn terms(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut heading: Option<String> = None;
    let mut in_terms = false;
    // What is being read: nothing, a term's name or its definition.
    let mut name: Option<String> = None;
    let mut definition: Option<String> = None;
    let mut options = MarkdownOptions::default();
    options.smart_punctuation = false;
    for event in new_cmark_parser(text, &options) {
        match event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H1 | HeadingLevel::H2,
                ..
            }) => {
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(title) = heading.take() {
                    in_terms = title == "Terms";
                }
            }
            Event::Start(Tag::DefinitionListTitle) if in_terms => name = Some(String::new()),
            Event::Start(Tag::DefinitionListDefinition) if in_terms => {
                definition = Some(String::new());
            }
            Event::End(TagEnd::DefinitionList) => name = None,
            Event::End(TagEnd::DefinitionListDefinition) => {
                if let (Some(name), Some(definition)) = (&name, definition.take()) {
                    terms.push(Term {
                        name: name.clone(),
                        definition,
                    });
                }
            }
            Event::Text(words) => {
                let buffer = heading.as_mut().or(definition.as_mut()).or(name.as_mut());
                if let Some(buffer) = buffer {
                    buffer.push_str(&words);
                }
            }
            Event::Code(code) => {
                if let Some(buffer) = definition.as_mut().or(name.as_mut()) {
                    buffer.push_str(&format!("`{code}`"));
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(definition) = &mut definition {
                    definition.push(' ');
                }
            }
            _ => {}
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "# Bits\n\nNot this\n: a definition outside the terms\n\n## Terms\n\nIn the \
         [glossary](../glossary.md).\n\nbyte\n: Eight bits, see [RFC](https://example.org) and \
         `u8`.\n\nbit\n: One of two values,\n  0 or 1.\n\n## Sources\n\nx\n: y\n";

    #[test]
    fn the_terms_of_a_chapter_are_those_under_its_heading() {
        let found = terms(CHAPTER);
        assert_eq!(
            found,
            [
                Term {
                    name: "byte".into(),
                    definition: "Eight bits, see RFC and `u8`.".into()
                },
                Term {
                    name: "bit".into(),
                    definition: "One of two values, 0 or 1.".into()
                },
            ]
        );
    }

    #[test]
    fn the_glossary_page_holds_every_term_in_order_with_its_chapter() {
        let mut book = Book::new();
        book.push_item(Chapter::new(
            "Bits",
            CHAPTER.into(),
            "a/bits.md",
            Vec::new(),
        ));
        book.push_item(Chapter::new(
            "Glossary",
            "# Glossary".into(),
            PAGE,
            Vec::new(),
        ));
        collect(&mut book);
        let page = book
            .iter()
            .find_map(|item| match item {
                BookItem::Chapter(chapter) if chapter.name == "Glossary" => Some(&chapter.content),
                _ => None,
            })
            .expect("the page is there");
        assert_eq!(
            page,
            "# Glossary\n\n\
             bit\n: One of two values, 0 or 1. ([Bits](a/bits.md#terms))\n\n\
             byte\n: Eight bits, see RFC and `u8`. ([Bits](a/bits.md#terms))\n\n"
        );
    }
}
