//! Phase 1, lexical analysis: characters become tokens.

use super::diagnostics::{Diagnostic, Span};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Up to 2^31: the parser knows whether a minus stands before it.
    Number(u32),
    Name(String),
    Word(&'static str),
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub span: Span,
}

const WORDS: [&str; 12] = [
    "bool", "else", "extern", "false", "fn", "if", "int", "let", "print", "return",
    "true", "while",
];

/// `<=` stands before `<`: the longest that fits is taken.
const SYMBOLS: [&str; 23] = [
    "&&", "||", "==", "!=", "<=", ">=", "->", "+", "-", "*", "/", "%", "<", ">",
    "=", "!", "(", ")", "{", "}", ",", ";", ":",
];

// ANCHOR: lex
/// The tokens, with one `End` after the last. What is no token is reported and
/// skipped, so that the rest is looked at too.
pub fn lex(text: &str) -> (Vec<Token>, Vec<Diagnostic>) {
    let (mut tokens, mut errors) = (Vec::new(), Vec::new());
    let (mut start, mut rest) = (0, text);
    while let Some(first) = rest.chars().next() {
        let while_in = |is_in: fn(char) -> bool| {
            rest.split(|c| !is_in(c)).next().unwrap_or(rest)
        };
        let (mut kind, mut wrong) = (None, None);
        let len = if first.is_whitespace() {
            while_in(char::is_whitespace).len() // in bytes
        } else if rest.starts_with("//") {
            while_in(|c| c != '\n').len()
        } else if is_in_name(first) {
            let word = while_in(is_in_name);
            let (found, message) = word_or_number(word);
            kind = Some(found);
            wrong = message;
            word.len()
        } else if let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            kind = Some(Kind::Symbol(symbol));
            symbol.len()
        } else {
            let unknown = while_in(is_unknown);
            let short: String = unknown.chars().take(20).collect();
            wrong = Some(format!("`{short}` is not part of the language"));
            unknown.len()
        };
        let end = start + len;
        let span = Span { start, end };
        tokens.extend(kind.map(|kind| Token { kind, span }));
        errors.extend(wrong.map(|message| Diagnostic::new(span, message)));
        start = end;
        rest = text.get(start..).unwrap_or("");
    }
    let end = Span { start, end: start };
    let kind = Kind::End;
    tokens.push(Token { kind, span: end });
    (tokens, errors)
}
// ANCHOR_END: lex

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_unknown(c: char) -> bool {
    !c.is_whitespace() && !is_in_name(c) && !"+-*/%<>=!(){},;:".contains(c)
}

/// A wrong number is a number all the same, or the parser would complain too.
fn word_or_number(text: &str) -> (Kind, Option<String>) {
    if let Some(word) = WORDS.iter().find(|word| **word == text) {
        return (Kind::Word(word), None);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return (Kind::Name(text.to_string()), None);
    }
    let letter = text.chars().find(|c| !c.is_ascii_digit());
    let message = match (letter, text.parse()) {
        (None, Ok(number)) if number <= 1 << 31 => {
            return (Kind::Number(number), None);
        }
        (None, _) => "this number does not fit 32 bits".to_string(),
        (Some(letter), _) => format!("a number cannot have a `{letter}` in it"),
    };
    (Kind::Number(0), Some(message))
}

impl Kind {
    /// As a message names it.
    pub fn quoted(&self) -> String {
        match self {
            Kind::Number(number) => format!("`{number}`"),
            Kind::Name(name) => format!("`{name}`"),
            Kind::Word(text) | Kind::Symbol(text) => format!("`{text}`"),
            Kind::End => "the end of the file".to_string(),
        }
    }
}
