//! A code block of a finished page: its bar with the buttons, and its words marked.
//!
//! Knows of the HTML that mdBook writes for a block, and of what the page's scripts look for. The
//! buttons do nothing without a script, so the style sheet shows them only with one.

use std::collections::HashMap;
use std::ops::Range;

use crate::highlight;

/// Blocks finished before, by their HTML: a chapter's block stands on its own page and on the
/// print page, and a rebuild changes few of them.
#[derive(Default)]
pub struct Blocks {
    done: HashMap<String, String>,
    used: HashMap<String, String>,
}

impl Blocks {
    /// The page with each code block finished.
    pub fn finish(&mut self, page: &str) -> String {
        let mut finished = String::with_capacity(page.len() * 5 / 4);
        let mut rest = page;
        while let Some((before, block, after)) = next_block(rest) {
            finished.push_str(before);
            match self.used.get(block.whole) {
                Some(done) => finished.push_str(done),
                None => {
                    let done = self
                        .done
                        .remove(block.whole)
                        .unwrap_or_else(|| block.finished());
                    finished.push_str(&done);
                    self.used.insert(block.whole.to_owned(), done);
                }
            }
            rest = after;
        }
        finished.push_str(rest);
        finished
    }

    /// Forgets the blocks that no page since the last call held.
    pub fn forget_unused(&mut self) {
        self.done = std::mem::take(&mut self.used);
    }
}

/// A block as mdBook wrote it.
struct Block<'a> {
    whole: &'a str,
    /// The words of the fence: the language, `should_panic`, `noplayground`, the edition.
    words: Vec<&'a str>,
    code: &'a str,
}

/// The first block of a page, with what stands before and after it.
fn next_block(page: &str) -> Option<(&str, Block<'_>, &str)> {
    const END: &str = "</code></pre>";
    let mut from = 0;
    loop {
        let start = from + page[from..].find("<pre")?;
        let open = &page[start..];
        let block = open
            .strip_prefix("<pre class=\"playground\"><code")
            .or_else(|| open.strip_prefix("<pre><code"))
            .and_then(|after_name| {
                let (attributes, code_and_rest) = after_name.split_once('>')?;
                let words = attributes
                    .trim()
                    .strip_prefix("class=\"")
                    .and_then(|words| words.strip_suffix('"'))
                    .unwrap_or("language-text");
                let (code, _) = code_and_rest.split_once(END)?;
                let length = open.len() - code_and_rest.len() + code.len() + END.len();
                let (whole, after) = open.split_at(length);
                let words = words.split_whitespace().collect();
                Some((Block { whole, words, code }, after))
            });
        match block {
            Some((block, after)) => return Some((&page[..start], block, after)),
            None => from = start + "<pre".len(),
        }
    }
}

impl Block<'_> {
    fn finished(&self) -> String {
        let language = self
            .words
            .iter()
            .find_map(|word| word.strip_prefix("language-"))
            .unwrap_or("text");
        let says = |word: &str| self.words.contains(&word);
        let (code, hidden) = plain(self.code);
        let marked = marked(language, &code, &hidden);
        let name = match language {
            "rust" => "Rust",
            "text" => "Output",
            "console" => "Terminal",
            "asm" => "Assembly",
            "sql" => "SQL",
            "json" => "JSON",
            "yaml" => "YAML",
            "toml" => "TOML",
            "vcl" => "VCL",
            "ini" => "Settings",
            "nginx" => "NGINX",
            "haproxy" => "HAProxy",
            "javascript" => "JavaScript",
            "protobuf" => "Protocol Buffers",
            other => other,
        };
        let mut attributes = String::new();
        let mut note = String::new();
        let mut buttons = String::new();
        if language == "rust" {
            let local = says("noplayground");
            let place = if local { "local" } else { "playground" };
            attributes.push_str(&format!(" data-run=\"{place}\""));
            if says("should_panic") {
                attributes.push_str(" data-expect=\"panic\"");
                note.push_str(", panics");
            } else if says("compile_fail") {
                attributes.push_str(" data-expect=\"compile-error\"");
                note.push_str(", does not compile");
            }
            if local {
                note.push_str(", runs on your machine");
            }
            buttons.push_str(
                "<button type=\"button\" class=\"run\">Run</button>\
                 <button type=\"button\" class=\"edit\">Edit</button>\
                 <button type=\"button\" class=\"reset\" hidden>Reset</button>",
            );
            if !hidden.is_empty() {
                buttons.push_str(
                    "<button type=\"button\" class=\"lines\" aria-pressed=\"false\">\
                     Whole program</button>",
                );
            }
        }
        let class = if language == "text" {
            "code output"
        } else {
            "code"
        };
        if language != "text" {
            buttons.push_str("<button type=\"button\" class=\"copy\">Copy</button>");
        }
        format!(
            "<div class=\"{class}\" data-name=\"{name}\"{attributes}><div class=\"code-bar\">\
             <span>{name}{note}</span>{buttons}</div>\
             <pre><code class=\"language-{language}\">{marked}</code></pre></div>"
        )
    }
}

/// The text of a block's HTML, and the ranges of it that are hidden lines.
fn plain(html: &str) -> (String, Vec<Range<usize>>) {
    const HIDDEN: &str = "<span class=\"boring\">";
    const SHOWN: &str = "</span>";
    let mut text = String::with_capacity(html.len());
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix(HIDDEN) {
            match hidden.last_mut() {
                // Hidden lines in a row are one piece.
                Some(last) if last.end == text.len() => last.end = usize::MAX,
                _ => hidden.push(text.len()..usize::MAX),
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix(SHOWN) {
            if let Some(last) = hidden.last_mut() {
                last.end = text.len();
            }
            rest = after;
        } else {
            const NAMES: [(&str, char); 5] = [
                ("&lt;", '<'),
                ("&gt;", '>'),
                ("&amp;", '&'),
                ("&quot;", '"'),
                ("&#39;", '\''),
            ];
            let (letter, after) = NAMES
                .iter()
                .find_map(|(name, letter)| Some((*letter, rest.strip_prefix(name)?)))
                .unwrap_or_else(|| (if rest.starts_with('<') { '<' } else { '&' }, &rest[1..]));
            text.push(letter);
            rest = after;
        }
    }
    text.push_str(rest);
    (text, hidden)
}

/// The HTML of `code` with its words marked and its hidden lines in spans of their own.
fn marked(language: &str, code: &str, hidden: &[Range<usize>]) -> String {
    let words = highlight::words(language, code);
    let mut html = String::with_capacity(code.len() * 2);
    let mut words = words.into_iter().peekable();
    let mut at = 0;
    let mut hidden = hidden.iter().peekable();
    while at < code.len() {
        // A piece is all hidden or all shown.
        let (end, is_hidden) = match hidden.peek() {
            Some(range) if range.start <= at => (range.end.min(code.len()), true),
            Some(range) => (range.start, false),
            None => (code.len(), false),
        };
        if is_hidden {
            hidden.next();
            html.push_str("<span class=\"boring\">");
        }
        while at < end {
            match words.peek() {
                Some((word, _)) if word.end <= at => {
                    words.next();
                }
                // A comment or a text may run from one piece into the next.
                Some((word, class)) if word.start < end => {
                    push_escaped(&mut html, &code[at..word.start.max(at)]);
                    let stop = word.end.min(end);
                    html.push_str(&format!("<span class=\"{class}\">"));
                    push_escaped(&mut html, &code[word.start.max(at)..stop]);
                    html.push_str("</span>");
                    at = stop;
                }
                _ => {
                    push_escaped(&mut html, &code[at..end]);
                    at = end;
                }
            }
        }
        if is_hidden {
            html.push_str("</span>");
        }
    }
    html
}

fn push_escaped(html: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            _ => html.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of HTML, as a browser's `textContent` gives it.
    fn text_of(html: &str) -> String {
        let mut text = String::new();
        let mut in_tag = false;
        for letter in html.chars() {
            match letter {
                '<' => in_tag = true,
                '>' => in_tag = false,
                _ if !in_tag => text.push(letter),
                _ => {}
            }
        }
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    #[test]
    fn the_program_of_a_block_is_the_text_of_its_code_with_the_hidden_lines() {
        let page = "<p>x</p><pre class=\"playground\"><code class=\"language-rust should_panic \
                    edition2021\"><span class=\"boring\">/* a\n</span><span class=\"boring\">b\n\
                    </span>c */ let x = a &lt; b &amp;&amp; \"&amp;lt;\";\n</code></pre><p>y</p>";
        let done = Blocks::default().finish(page);
        let code = done
            .split("<code class=\"language-rust\">")
            .nth(1)
            .expect("code");
        let code = code.split("</code>").next().expect("its end");
        assert_eq!(text_of(code), "/* a\nb\nc */ let x = a < b && \"&lt;\";\n");
        assert_eq!(done.matches("class=\"boring\"").count(), 1, "{done}");
        assert!(done.contains("<span class=\"c\">c */</span>"), "{done}");
        assert!(
            done.contains("data-run=\"playground\" data-expect=\"panic\""),
            "{done}"
        );
        assert!(done.starts_with("<p>x</p><div class=\"code\""), "{done}");
        assert!(done.ends_with("</div><p>y</p>"), "{done}");
    }

    #[test]
    fn only_rust_runs_and_an_output_is_told_from_code() {
        let page = "<pre><code class=\"language-text\">a &lt; b\n</code></pre>\
                    <pre><code class=\"language-rust noplayground\">fn main() {}\n</code></pre>\
                    <pre>no code</pre>";
        let done = Blocks::default().finish(page);
        assert_eq!(done.matches("class=\"run\"").count(), 1, "{done}");
        assert!(done.contains("class=\"code output\""), "{done}");
        assert!(done.contains("data-run=\"local\""), "{done}");
        assert!(
            done.contains("<span>Rust, runs on your machine</span>"),
            "{done}"
        );
        assert!(done.ends_with("<pre>no code</pre>"), "{done}");
    }

    #[test]
    fn a_block_is_finished_once_and_forgotten_when_no_page_holds_it() {
        let page = "<pre><code class=\"language-text\">a\n</code></pre>";
        let mut blocks = Blocks::default();
        assert_eq!(blocks.finish(page), blocks.finish(page));
        blocks.forget_unused();
        assert_eq!(blocks.done.len(), 1);
        blocks.finish("<p>none</p>");
        blocks.forget_unused();
        assert_eq!(blocks.done.len(), 0);
    }
}
