//! Diagrams and images: sources that the site can draw, words beside every picture.

use std::panic;

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};

use super::page::{Block, Kind, Page, Spanned};
use super::site::Site;
use super::{Finding, includes};

/// The kinds of diagram that the site can draw.
const KINDS: &str =
    "flowchart, sequenceDiagram, stateDiagram-v2, classDiagram, erDiagram and xychart-beta";

/// The longest diagram that is drawn once for each of its lines to find the one at fault.
const LINES_TRIED_MAX: usize = 60;

/// Finds diagrams that cannot be drawn, and pictures without words.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    for page in &site.pages {
        let mut say = |line, message: String| {
            findings.push(Finding::new(&page.path, line, message));
        };
        for block in page
            .blocks
            .iter()
            .filter(|block| block.language() == "mermaid")
        {
            if page.kind == Kind::Chapter {
                check_source(site, page, block, &mut say);
            }
            check_caption(page, block, &mut say);
        }
        check_images(page, &mut say);
    }
}

fn check_source(site: &Site, page: &Page, block: &Block, say: &mut impl FnMut(usize, String)) {
    for (number, line) in &block.lines {
        if line.trim_start().starts_with("%%{") {
            let message = "diagram brings its own settings: take the `%%{…}` line out, \
                           the site sets the theme";
            say(*number, message.to_owned());
            return;
        }
    }
    let lines: Vec<String> = block
        .lines
        .iter()
        .map(|(_, line)| includes::expand(&site.tree, line, page.folder()))
        .collect();
    let Err(cause) = draw(&lines.join("\n")) else {
        return;
    };
    let cause = in_our_words(&cause);
    match culprit(&lines).and_then(|index| block.lines.get(index)) {
        Some((number, _)) => {
            say(
                *number,
                format!("diagram cannot be drawn, mend this line of it: {cause}"),
            );
        }
        None => say(
            block.line,
            format!("diagram cannot be drawn, mend its source: {cause}"),
        ),
    }
}

/// The parser's cause without what only its own developers need.
fn in_our_words(cause: &str) -> String {
    if let Some(rest) = cause.strip_prefix("Unsupported diagram type: ") {
        let kind = rest.split(';').next().unwrap_or(rest);
        return format!("the site draws {KINDS}, and no {kind}");
    }
    if cause == "No Mermaid diagram type detected" {
        return format!("its first line names no kind of diagram (the site draws {KINDS})");
    }
    match cause
        .strip_prefix("Diagram parse error (")
        .and_then(|rest| rest.split_once("): "))
    {
        Some((_, cause)) => cause.to_owned(),
        None => cause.to_owned(),
    }
}

/// The one line without which the diagram could be drawn. The parser seldom says where it stopped.
fn culprit(lines: &[String]) -> Option<usize> {
    if lines.len() > LINES_TRIED_MAX {
        return None;
    }
    let mut healing = (0..lines.len()).filter(|left_out| {
        let rest: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(index, _)| index != left_out)
            .map(|(_, line)| line.as_str())
            .collect();
        draw(&rest.join("\n")).is_ok()
    });
    let first = healing.next()?;
    healing.next().is_none().then_some(first)
}

/// Draws a diagram; that the drawing library falls over is the diagram's fault too, and is told
/// without a backtrace.
fn draw(source: &str) -> Result<(), String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let drawn = panic::catch_unwind(|| crate::diagrams::draw(source));
    panic::set_hook(hook);
    drawn.unwrap_or_else(|_| Err("the drawing library gives up on it".to_owned()))
}

fn check_caption(page: &Page, block: &Block, say: &mut impl FnMut(usize, String)) {
    let Some(end) = block.end else { return };
    match caption(&page.events[end + 1..]) {
        Caption::Whole => {}
        Caption::Nested(at) => {
            let message = "caption has *emphasis* inside its emphasis: take the inner stars away";
            say(page.line(at), message.to_owned());
        }
        Caption::Missing => {
            let message = "diagram without a caption: right below the block, say in words what it \
                           shows, in one paragraph wholly in `*…*`";
            say(block.line, message.to_owned());
        }
    }
}

/// What follows a diagram.
enum Caption {
    /// A paragraph wholly in emphasis.
    Whole,
    /// The same, with more emphasis inside, which begins at this byte.
    Nested(usize),
    /// Something else.
    Missing,
}

fn caption(after: &[Spanned]) -> Caption {
    // In a list without blank lines between its items, a paragraph is not marked as one.
    let (marked, after) = match after {
        [(Event::Start(Tag::Paragraph), _), rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let [(Event::Start(Tag::Emphasis), _), rest @ ..] = after else {
        return Caption::Missing;
    };
    let mut depth = 1;
    let mut nested = None;
    for (index, (event, range)) in rest.iter().enumerate() {
        match event {
            Event::Start(Tag::Emphasis) => {
                depth += 1;
                nested = nested.or(Some(range.start));
            }
            Event::End(TagEnd::Emphasis) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let next = rest.get(index + 1).map(|(event, _)| event);
            let ends = match next {
                Some(Event::End(TagEnd::Paragraph)) => true,
                _ if marked => false,
                None | Some(Event::End(_)) => true,
                Some(Event::Start(tag)) => is_block(tag),
                _ => false,
            };
            return match nested {
                _ if !ends => Caption::Missing,
                Some(at) => Caption::Nested(at),
                None => Caption::Whole,
            };
        }
    }
    Caption::Missing
}

/// Whether a tag begins a block, and so ends the words before it.
fn is_block(tag: &Tag) -> bool {
    matches!(
        tag,
        Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::List(_)
            | Tag::Item
            | Tag::Table(_)
            | Tag::DefinitionList
    )
}

fn check_images(page: &Page, say: &mut impl FnMut(usize, String)) {
    let mut open: Option<(usize, String, String)> = None;
    for (event, range) in &page.events {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                open = Some((page.line(range.start), dest_url.to_string(), String::new()));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, _, alt)) = &mut open {
                    alt.push_str(text);
                }
            }
            Event::End(TagEnd::Image) => {
                if let Some((line, file, alt)) = open.take()
                    && alt.trim().is_empty()
                {
                    say(
                        line,
                        format!("image without words: say what it shows, ![…]({file})"),
                    );
                }
            }
            _ => {}
        }
    }
    for (tag, line) in &page.tags {
        let is_silent = tag.attribute("alt").is_none_or(|alt| alt.trim().is_empty());
        if tag.name == "img" && is_silent {
            let message = "image without words: say what it shows in an attribute alt=\"…\"";
            say(*line, message.to_owned());
        }
    }
}
