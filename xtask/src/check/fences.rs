//! Code fences: a known language, only words that the tests and the site understand, programs
//! that are whole, lines that a phone shows without scrolling.

use super::Finding;
use super::page::{Block, Kind, Page, bared};
use super::similar::nearest;
use super::site::{Site, Tree};

/// The languages a block may be in; `text`, `console` and `mermaid` have rules of their own.
const LANGUAGES: &[&str] = &[
    "rust",
    "text",
    "console",
    "mermaid",
    "asm",
    "bash",
    "c",
    "cpp",
    "css",
    "csv",
    "diff",
    "dockerfile",
    "go",
    "graphql",
    "haproxy",
    "html",
    "http",
    "ini",
    "java",
    "javascript",
    "json",
    "lua",
    "makefile",
    "markdown",
    "nginx",
    "promql",
    "protobuf",
    "python",
    "sql",
    "toml",
    "vcl",
    "xml",
    "yaml",
];

/// What people write in place of a language of the table.
const ALIASES: &[(&str, &str)] = &[
    ("rs", "rust"),
    ("sh", "console"),
    ("shell", "console"),
    ("terminal", "console"),
    ("output", "text"),
    ("out", "text"),
    ("txt", "text"),
    ("plain", "text"),
    ("plaintext", "text"),
    ("yml", "yaml"),
    ("js", "javascript"),
    ("md", "markdown"),
    ("py", "python"),
    ("proto", "protobuf"),
];

/// The words that may stand after `rust`.
const RUST_WORDS: [&str; 4] = ["editable", "noplayground", "should_panic", "compile_fail"];

/// The widest line of Rust that does not scroll.
const COLUMNS_MAX: usize = 85;

/// Finds what the fences and the Rust in them get wrong.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    for page in &site.pages {
        for block in &page.blocks {
            let mut say = |line, message| findings.push(Finding::new(&page.path, line, message));
            check_words(block, |message| say(block.line, message));
            if block.is_rust() {
                check_main(&site.tree, page, block, |message| say(block.line, message));
                if page.kind == Kind::Chapter {
                    check_width(block, say);
                }
            }
        }
    }
    for (path, file) in site.tree.texts("examples", "rs") {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(message) = too_wide(line) {
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
}

fn check_words(block: &Block, mut say: impl FnMut(String)) {
    let Some((language, words)) = block.words.split_first() else {
        say(match block.fenced {
            true => "code block without a language: say which after the fence \
                     (rust, console, toml, …)"
                .to_owned(),
            false => "indented code block: fence it with ``` and say which language".to_owned(),
        });
        return;
    };
    if language != "rust" {
        if !LANGUAGES.contains(&language.as_str()) {
            let alias = ALIASES
                .iter()
                .find(|(alias, _)| alias == language)
                .map(|(_, name)| *name);
            say(
                match alias.or_else(|| nearest(language, LANGUAGES.iter().copied())) {
                    Some(near) => format!("unknown language \"{language}\": did you mean {near}?"),
                    None => format!(
                        "unknown language \"{language}\": use one of the table LANGUAGES in \
                     xtask/src/check/fences.rs, or add it there"
                    ),
                },
            );
        }
        if !words.is_empty() {
            let words = words.join(",");
            say(format!(
                "\"{words}\" after {language} does nothing: take it away"
            ));
        }
        return;
    }
    for word in words {
        match word.as_str() {
            word if RUST_WORDS.contains(&word) => {}
            "ignore" => say("`ignore` hides a block from the tests: make it run, \
                 or use compile_fail if it is there to be refused"
                .to_owned()),
            "no_run" => say(
                "`no_run` keeps a block from being run: make it end by itself, \
                 with noplayground if the playground cannot run it"
                    .to_owned(),
            ),
            word if word.starts_with("edition") => say(format!(
                "`{word}` is not for one block to choose: the book is edition 2021, take it away"
            )),
            word => {
                // Not a slip of the finger but of the tool: rustdoc's own word is refused too.
                let near = if word == "norun" {
                    Some("noplayground")
                } else {
                    nearest(word, RUST_WORDS)
                };
                let mend = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("after rust stand only {}", RUST_WORDS.join(", ")),
                };
                say(format!("unknown fence word \"{word}\": {mend}"));
            }
        }
    }
}

fn check_main(tree: &Tree, page: &Page, block: &Block, mut say: impl FnMut(String)) {
    let program = block.program(tree, page.folder());
    // What an include that failed would have brought is not known.
    if program.iter().any(|(_, line)| is_directive(line)) {
        return;
    }
    let code: Vec<&str> = program.iter().map(|(_, line)| line.as_str()).collect();
    let code = code.join("\n");
    let has_main = match syn::parse_file(&code) {
        Ok(file) => file
            .items
            .iter()
            .any(|item| matches!(item, syn::Item::Fn(function) if function.sig.ident == "main")),
        // A compile_fail block need not parse.
        Err(_) => code.contains("fn main"),
    };
    if !has_main {
        say(
            "Rust block without fn main: every block is compiled alone, \
             so wrap it in `fn main() { … }`"
                .to_owned(),
        );
    }
}

fn check_width(block: &Block, mut say: impl FnMut(usize, String)) {
    for (number, line) in &block.lines {
        let (is_hidden, code) = bared(line);
        if !is_hidden
            && !is_directive(line)
            && let Some(message) = too_wide(&code)
        {
            say(*number, message);
        }
    }
}

/// A line that something else comes in place of.
fn is_directive(line: &str) -> bool {
    line.trim_start().starts_with("{{#")
}

fn too_wide(line: &str) -> Option<String> {
    let columns = line.chars().count();
    let message = format!("{columns} columns wide, {COLUMNS_MAX} fit: break the line");
    (columns > COLUMNS_MAX).then_some(message)
}
