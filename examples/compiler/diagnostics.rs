//! Where in the source something stands, and how an error about it is shown.

use std::fmt::Write;

// ANCHOR: nothing
// ANCHOR_END: nothing

/// A piece of the source: bytes `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn to(self, last: Span) -> Span {
        let end = last.end.max(self.start);
        Span { end, ..self }
    }
}

pub struct Source {
    pub name: String,
    pub text: String,
    /// Where in the text each line starts.
    lines: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub span: Span,
    pub message: String,
}

impl Diagnostic {
    pub fn new(span: Span, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic { span, message }
    }
}

/// A tab is shown as this many spaces, because its width depends on the terminal.
const TAB_COLUMNS: usize = 4;

impl Source {
    pub fn new(name: &str, text: &str) -> Source {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(newlines).collect();
        let (name, text) = (name.to_string(), text.to_string());
        Source { name, text, lines }
    }

    /// The text before byte `at`; a position inside a character is moved back.
    fn before(&self, at: usize) -> &str {
        let mut places = (0..=at.min(self.text.len())).rev();
        places.find_map(|at| self.text.get(..at)).unwrap_or("")
    }

    /// The number of the line that has byte `at`, from 1.
    pub fn line(&self, at: usize) -> u32 {
        self.lines.partition_point(|start| *start <= at) as u32
    }

    /// Line and column of byte `at`. The column counts characters, from 1.
    pub fn place(&self, at: usize) -> (u32, usize) {
        (self.line(at), self.lead(at).chars().count() + 1)
    }

    /// What stands before byte `at` in its line.
    fn lead(&self, at: usize) -> &str {
        self.before(at).rsplit('\n').next().unwrap_or("")
    }

    // ANCHOR: render
    /// The error with its place, the line, and carets below what it is about.
    pub fn render(&self, error: &Diagnostic) -> String {
        let (number, column) = self.place(error.span.start);
        let line = self.text.lines().nth(number as usize - 1).unwrap_or("");
        let lead = self.lead(error.span.start);
        // What the error is about may go on below: mark only this line's part.
        let before = self.before(error.span.start).len();
        let about = self.before(error.span.end).get(before..);
        let about = about.and_then(|text| text.lines().next()).unwrap_or("");
        let margin = " ".repeat(number.to_string().len());
        let Diagnostic { message, .. } = error;
        let mut out = format!("error: {message}\n");
        let _ = writeln!(out, "{margin}--> {}:{number}:{column}", self.name);
        let _ = writeln!(out, "{margin} |");
        let _ = writeln!(out, "{number} | {}", expand_tabs(line));
        let carets = "^".repeat(columns(about).max(1));
        let _ = writeln!(out, "{margin} | {}{carets}", " ".repeat(columns(lead)));
        out
    }
    // ANCHOR_END: render
}

fn expand_tabs(text: &str) -> String {
    text.replace('\t', &" ".repeat(TAB_COLUMNS))
}

/// How many columns a terminal gives to a text: a byte is not a column, nor is a
/// character. These ranges are the frequent cases, not Unicode's whole table.
pub fn columns(text: &str) -> usize {
    let width = |c: char| match u32::from(c) {
        0x09 => TAB_COLUMNS,
        0x00..=0x1f | 0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 => 2,
        0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}
