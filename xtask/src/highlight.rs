//! Marks the words of code for the style sheet: what is a keyword, a type, a text, a comment.
//!
//! Knows of source text only. Rust is cut into words by the compiler's own lexer; the few other
//! languages of the book have their comments and texts marked, by rules that fit all of them.

use std::ops::Range;

use ra_ap_rustc_lexer::{FrontmatterAllowed, LiteralKind, TokenKind, tokenize};

/// What a word is: the class that its `<span>` carries in a page.
pub type Class = &'static str;

const KEYWORD: Class = "k";
const TYPE: Class = "t";
const TEXT: Class = "s";
const NUMBER: Class = "n";
const COMMENT: Class = "c";
const MACRO: Class = "m";
const FUNCTION: Class = "f";

/// Rust's keywords (The Rust Reference, *Keywords*: strict and in use up to edition 2021), with
/// the two truth values.
const KEYWORDS: [&str; 39] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
    "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "type", "union",
    "unsafe", "use", "where", "while",
];

/// The primitive types of Rust.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16",
    "u32", "u64", "u8", "usize",
];

/// The words of `code` that carry a mark, in order and without overlap.
pub fn words(language: &str, code: &str) -> Vec<(Range<usize>, Class)> {
    match language {
        "rust" => rust(code),
        "console" => console(code),
        "text" => Vec::new(),
        "sql" => lines_with(code, "--"),
        "json" | "javascript" | "protobuf" | "vcl" => lines_with(code, "//"),
        _ => lines_with(code, "#"),
    }
}

fn rust(code: &str) -> Vec<(Range<usize>, Class)> {
    let mut words: Vec<(Range<usize>, Class)> = Vec::new();
    let mut start = 0;
    // The last word that was neither space nor comment, and whether it was `fn`.
    let mut after_fn = false;
    // An attribute is marked whole: where it began and how many brackets are open.
    let mut attribute: Option<(usize, usize)> = None;
    let tokens: Vec<_> = tokenize(code, FrontmatterAllowed::No).collect();
    for (index, token) in tokens.iter().enumerate() {
        let range = start..start + token.len as usize;
        start = range.end;
        let word = &code[range.clone()];
        if let Some((began, open)) = attribute {
            let open = match token.kind {
                TokenKind::OpenBracket => open + 1,
                TokenKind::CloseBracket => open.saturating_sub(1),
                _ => open,
            };
            let ended = token.kind == TokenKind::CloseBracket && open == 0;
            attribute = if ended { None } else { Some((began, open)) };
            if ended {
                words.push((began..range.end, MACRO));
            }
            continue;
        }
        let next = tokens[index + 1..]
            .iter()
            .map(|token| token.kind)
            .find(|kind| !matches!(kind, TokenKind::Whitespace));
        let class = match token.kind {
            TokenKind::LineComment { .. } | TokenKind::BlockComment { .. } => Some(COMMENT),
            TokenKind::Whitespace => continue,
            TokenKind::Pound if matches!(next, Some(TokenKind::OpenBracket | TokenKind::Bang)) => {
                attribute = Some((range.start, 0));
                None
            }
            TokenKind::Literal { kind, .. } => Some(match kind {
                LiteralKind::Int { .. } | LiteralKind::Float { .. } => NUMBER,
                _ => TEXT,
            }),
            TokenKind::Lifetime { .. } => Some(TYPE),
            TokenKind::Ident if after_fn => Some(FUNCTION),
            TokenKind::Ident if KEYWORDS.contains(&word) => Some(KEYWORD),
            TokenKind::Ident if PRIMITIVES.contains(&word) => Some(TYPE),
            TokenKind::Ident if next == Some(TokenKind::Bang) && calls(code, range.end) => {
                Some(MACRO)
            }
            TokenKind::Ident if word.starts_with(char::is_uppercase) => Some(TYPE),
            _ => None,
        };
        if class != Some(COMMENT) {
            after_fn = word == "fn";
        }
        words.extend(class.map(|class| (range, class)));
    }
    words
}

/// Whether the `!` at `at` calls a macro: `a != b` does not.
fn calls(code: &str, at: usize) -> bool {
    let rest = &code[at..];
    rest.starts_with('!') && !rest.starts_with("!=")
}

/// A terminal: the prompt is marked, so that what one types stands apart from the answer.
fn console(code: &str) -> Vec<(Range<usize>, Class)> {
    let mut words = Vec::new();
    let mut start = 0;
    for line in code.split_inclusive('\n') {
        if let Some(typed) = line.strip_prefix("$ ") {
            words.push((start..start + 1, COMMENT));
            let begin = start + 2;
            words.push((begin..begin + typed.trim_end().len(), KEYWORD));
        }
        start += line.len();
    }
    words
}

/// Comments that begin with `mark` at the start of a line or after a space, and texts in quotes.
fn lines_with(code: &str, mark: &str) -> Vec<(Range<usize>, Class)> {
    let mut words = Vec::new();
    let mut start = 0;
    for line in code.split_inclusive('\n') {
        let mut at = 0;
        while let Some(letter) = line[at..].chars().next() {
            let begins = at == 0 || line[..at].ends_with([' ', '\t', '{', ';']);
            if begins && line[at..].starts_with(mark) {
                words.push((start + at..start + line.trim_end().len(), COMMENT));
                break;
            }
            if matches!(letter, '"' | '\'')
                && let Some(length) = line[at + 1..].find(letter)
            {
                let end = at + 1 + length + 1;
                words.push((start + at..start + end, TEXT));
                at = end;
                continue;
            }
            at += letter.len_utf8();
        }
        start += line.len();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(language: &str, code: &str) -> Vec<(String, Class)> {
        words(language, code)
            .into_iter()
            .map(|(range, class)| (code[range].to_owned(), class))
            .collect()
    }

    #[test]
    fn rust_is_read_as_the_compiler_reads_it() {
        let code = "#[derive(Debug)]\nfn f<'a>(x: u8) -> Vec<&'a str> { // no \"text\"\n  \
                    assert!(x != 1_000); r#\"not // a comment\"# }";
        assert_eq!(
            marked("rust", code),
            [
                ("#[derive(Debug)]", MACRO),
                ("fn", KEYWORD),
                ("f", FUNCTION),
                ("'a", TYPE),
                ("u8", TYPE),
                ("Vec", TYPE),
                ("'a", TYPE),
                ("str", TYPE),
                ("// no \"text\"", COMMENT),
                ("assert", MACRO),
                ("1_000", NUMBER),
                ("r#\"not // a comment\"#", TEXT),
            ]
            .map(|(word, class)| (word.to_owned(), class))
        );
    }

    #[test]
    fn code_that_is_not_rust_is_marked_without_a_panic() {
        for code in [
            "#",
            "#[",
            "#![x",
            "\"open",
            "'",
            "fn",
            "é! 🦀 r#\"",
            "/* open",
        ] {
            for (range, _) in words("rust", code) {
                assert!(code.get(range).is_some(), "{code}");
            }
        }
    }

    #[test]
    fn other_languages_have_their_comments_and_texts() {
        assert_eq!(
            marked("sql", "SELECT '--' -- why\n"),
            [("'--'".to_owned(), TEXT), ("-- why".to_owned(), COMMENT)]
        );
        assert_eq!(
            marked("yaml", "a: \"#b\" # c\nurl: x#y\n"),
            [("\"#b\"".to_owned(), TEXT), ("# c".to_owned(), COMMENT)]
        );
        assert_eq!(
            marked("console", "$ cargo test\nok\n"),
            [
                ("$".to_owned(), COMMENT),
                ("cargo test".to_owned(), KEYWORD)
            ]
        );
    }
}
