//! Puts each diagram of a chapter in a figure with its caption.
//!
//! A diagram is a `mermaid` block; its caption is the paragraph right after it, wholly in
//! emphasis. In the chapter that goes to mdBook a placeholder stands where the drawing belongs
//! (so that the search index holds the book's words, not the drawing's), and `draw_into` puts
//! the drawings into the finished pages.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result};
use mdbook_driver::book::Chapter;
use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use crate::diagrams;

/// What stands around the id of a diagram where its drawing belongs.
const PLACEHOLDER: &str = "<span data-diagram=\"";
const PLACEHOLDER_END: &str = "\"></span>";

/// A diagram whose place in a page is marked.
pub struct Diagram {
    /// Its id in the site: the chapter's name and the diagram's number in it.
    pub id: String,
    /// The mermaid source.
    pub source: String,
    /// The chapter's file below `src/`, for error messages.
    pub chapter: String,
}

/// Drawings made before, by id and source, so that a rebuild draws only what changed.
pub type Drawings = HashMap<(String, String), String>;

/// A diagram's block and its caption's paragraph in the text of a chapter.
struct Place {
    block: Range<usize>,
    source: String,
    caption: Option<Range<usize>>,
}

/// Replaces each mermaid block of `chapter` by a figure with a placeholder, and appends what
/// the placeholders stand for to `diagrams`.
///
/// # Errors
/// Never today; the signature leaves room for a figure that cannot be placed.
pub fn mark(chapter: &mut Chapter, diagrams: &mut Vec<Diagram>) -> Result<()> {
    let file = chapter
        .source_path
        .as_deref()
        .and_then(|path| path.to_str())
        .unwrap_or(&chapter.name)
        .to_owned();
    let slug = file.trim_end_matches(".md").replace(['/', '\\', '.'], "-");
    let text = &chapter.content;
    let mut marked = String::with_capacity(text.len());
    let mut copied = 0;
    for (index, place) in places(text).into_iter().enumerate() {
        let id = format!("{slug}-diagram-{}", index + 1);
        marked.push_str(&text[copied..place.block.start]);
        let indent = continuation_indent(text, place.block.start);
        marked.push_str(&format!("<figure class=\"diagram\">{}", placeholder(&id)));
        copied = place.block.end;
        if let Some(caption) = place.caption {
            // Blank lines end the HTML block, so that the caption stays Markdown.
            marked.push_str(&format!(
                "\n{indent}<figcaption id=\"{id}-caption\">\n{indent}\n{indent}{}\n{indent}\n\
                 {indent}</figcaption>",
                text[caption.clone()].trim_end(),
            ));
            copied = caption.end;
        }
        marked.push_str(&format!("\n{indent}</figure>\n{indent}\n{indent}"));
        diagrams.push(Diagram {
            id,
            source: place.source,
            chapter: file.clone(),
        });
    }
    marked.push_str(&text[copied..]);
    chapter.content = marked;
    Ok(())
}

/// Puts the drawings into a finished page.
///
/// # Errors
/// When a diagram that the page shows does not parse.
pub fn draw_into(page: &str, diagrams: &[Diagram], drawings: &mut Drawings) -> Result<String> {
    let mut drawn = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(PLACEHOLDER) {
        drawn.push_str(before);
        let found = after
            .split_once(PLACEHOLDER_END)
            .and_then(|(id, after)| Some((diagrams.iter().find(|one| one.id == id)?, after)));
        let Some((diagram, after)) = found else {
            drawn.push_str(PLACEHOLDER);
            rest = after;
            continue;
        };
        let key = (diagram.id.clone(), diagram.source.clone());
        if !drawings.contains_key(&key) {
            let caption = format!("{}-caption", diagram.id);
            let svg = diagrams::draw_for_page(&diagram.source, &diagram.id, &caption)
                .with_context(|| format!("src/{}: {}", diagram.chapter, diagram.id))?;
            drawings.insert(key.clone(), svg);
        }
        drawn.push_str(&drawings[&key]);
        rest = after;
    }
    drawn.push_str(rest);
    Ok(drawn)
}

fn placeholder(id: &str) -> String {
    format!("{PLACEHOLDER}{id}{PLACEHOLDER_END}")
}

/// Every mermaid block of a chapter, in order, with the caption that follows it.
fn places(text: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut open: Option<String> = None;
    let mut events = new_cmark_parser(text, &MarkdownOptions::default())
        .into_offset_iter()
        .peekable();
    while let Some((event, range)) = events.next() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(word))) if &*word == "mermaid" => {
                open = Some(String::new());
            }
            Event::Text(line) => {
                if let Some(source) = &mut open {
                    source.push_str(&line);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some(source) = open.take() else { continue };
                let caption = match events.peek() {
                    Some((Event::Start(Tag::Paragraph), caption)) => Some(caption.clone()),
                    _ => None,
                };
                let caption = caption.filter(|caption| {
                    let words = text[caption.clone()].trim();
                    words.len() > 2 && words.starts_with('*') && words.ends_with('*')
                });
                places.push(Place {
                    block: range,
                    source,
                    caption,
                });
            }
            _ => {}
        }
    }
    places
}

/// What must stand before the further lines of a block that starts at `start`, so that they
/// stay in the same list item or quotation.
fn continuation_indent(text: &str, start: usize) -> String {
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    text[line_start..start]
        .chars()
        .map(|letter| if letter == '>' { '>' } else { ' ' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdbook_markdown::pulldown_cmark::html;

    fn marked(text: &str) -> (String, Vec<Diagram>) {
        let mut chapter = Chapter::new("One", text.to_owned(), "part/one.md", Vec::new());
        let mut diagrams = Vec::new();
        mark(&mut chapter, &mut diagrams).expect("no diagram is misplaced");
        let mut page = String::new();
        html::push_html(
            &mut page,
            new_cmark_parser(&chapter.content, &MarkdownOptions::default()),
        );
        (page, diagrams)
    }

    #[test]
    fn a_diagram_becomes_a_figure_with_its_caption() {
        let (page, diagrams) = marked(
            "Before.\n\n```mermaid\nflowchart TD\n  A --> B\n```\n\n*A asks B.*\n\nAfter.\n",
        );
        assert_eq!(diagrams.len(), 1);
        assert_eq!(diagrams[0].source, "flowchart TD\n  A --> B\n");
        assert_eq!(diagrams[0].id, "part-one-diagram-1");
        let figure = page.split("<figure").nth(1).expect("a figure");
        assert!(figure.contains("<em>A asks B.</em>"), "{page}");
        let (inside, after) = figure.split_once("</figure>").expect("it ends");
        assert!(
            inside.contains(r#"id="part-one-diagram-1-caption""#),
            "{page}"
        );
        assert!(after.contains("<p>After.</p>"), "{page}");
    }

    #[test]
    fn a_diagram_in_a_list_stays_in_the_list() {
        let (page, diagrams) = marked(
            "1. First\n\n   ```mermaid\n   flowchart TD\n     A --> B\n   ```\n\n   *A asks B.*\n\n\
             2. Second\n",
        );
        assert_eq!(diagrams[0].source, "flowchart TD\n  A --> B\n");
        assert_eq!(page.matches("<ol>").count(), 1, "{page}");
        let (list, _) = page.split_once("</ol>").expect("the list ends");
        assert!(
            list.contains("</figure>") && list.contains("<em>A asks B.</em>"),
            "{page}"
        );
        assert!(list.find("</figure>") < list.find("Second"), "{page}");
    }

    #[test]
    fn a_diagram_without_a_caption_takes_no_other_paragraph_for_one() {
        let (page, _) = marked("```mermaid\nflowchart TD\n A --> B\n```\n\nOrdinary words.\n");
        assert!(!page.contains("figcaption"), "{page}");
        assert!(page.contains("<p>Ordinary words.</p>"), "{page}");
    }
}
