//! Writes the tests of every Rust block in the book: one Markdown file a block for skeptic, and
//! one documented item a chapter for rustdoc.
//!
//! Knows of mdBook (to expand includes as the pages do) and of where the book's files are.
//! Each block is named after the file and line at which a contributor finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;
use mdbook_driver::builtin_preprocessors::LinkPreprocessor;
use mdbook_driver::config::Config;
use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

/// Pages outside `src/` whose blocks are promises too.
const ROOT_PAGES: [&str; 2] = ["README.md", "CONTRIBUTING.md"];

/// What blocks have in common that are run once.
type Key = (Vec<String>, String);

/// A page: its path, its source, and its text with includes expanded.
type Page = (String, String, String);

/// A fenced block: the words after the fence and what stands in it.
struct Block {
    words: Vec<String>,
    code: String,
    line: usize,
}

fn main() -> Result<()> {
    let package = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let root = package
        .parent()
        .context("snippets/ lies in the repository")?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for watched in ["src", "examples", "book.toml"]
        .into_iter()
        .chain(ROOT_PAGES)
    {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }

    let folder = out.join("blocks");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let pages = pages(root)?;
    let places = places(&pages)?;
    let mut alone: Vec<PathBuf> = Vec::new();
    let mut names = BTreeSet::new();
    let mut merged = String::new();
    for (file, source, expanded) in pages {
        let mut docs = String::new();
        for (block, line) in rust_blocks(&file, &source, &expanded)? {
            let places = places.get(&block.key()).context("it was just put there")?;
            if places[0] != format!("{file}:{line}") {
                continue;
            }
            let at = places.join(", ");
            write_doc(&mut docs, &at, line, &block)?;
            // skeptic calls a block that does not compile a panic, and knows no compile_fail:
            // rustdoc is the judge of both.
            if block.judged().is_empty() {
                let name = format!("{}_line_{line}", file.replace(['/', '.', '-'], "_"));
                if !names.insert(name.clone()) {
                    bail!("two blocks are called {name}: rename {file}");
                }
                let path = folder.join(format!("{name}.md"));
                fs::write(&path, format!("````rust\n// {at}\n{}````\n", block.code))?;
                alone.push(path);
            }
        }
        if !docs.is_empty() {
            let page = file.replace(['/', '.', '-'], "_").to_lowercase();
            writeln!(merged, "pub mod {page} {{\n{docs}}}")?;
        }
    }
    fs::write(out.join("pages.rs"), merged)?;
    skeptic::generate_doc_tests(&alone);
    let generated = out.join("skeptic-tests.rs");
    let tests = if alone.is_empty() {
        String::new()
    } else {
        fs::read_to_string(&generated).context("skeptic wrote no tests")?
    };
    // The import would hide the runner of tests/alone.rs, which says where a block is.
    fs::write(
        out.join("alone.rs"),
        tests.replace("extern crate skeptic;\n", ""),
    )?;
    Ok(())
}

impl Block {
    /// Those of its words that say how it has to end.
    fn judged(&self) -> Vec<String> {
        let judges = |word: &&String| matches!(word.as_str(), "should_panic" | "compile_fail");
        self.words.iter().filter(judges).cloned().collect()
    }

    /// The same for blocks that are the same program and have to end the same way. A program that a page
    /// shows in five parts is five blocks, which differ in what they hide; it is run once.
    fn key(&self) -> Key {
        let lines = self.code.lines().map(|line| {
            let text = line.trim_start();
            let hidden = text.strip_prefix("# ");
            hidden.unwrap_or(if text == "#" { "" } else { line }).trim()
        });
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        (self.judged(), lines.join("\n"))
    }
}

/// Where each program stands: `file:line` of every block that is the same, in the book's order.
fn places(pages: &[Page]) -> Result<BTreeMap<Key, Vec<String>>> {
    let mut places = BTreeMap::<_, Vec<String>>::new();
    for (file, source, expanded) in pages {
        for (block, line) in rust_blocks(file, source, expanded)? {
            places
                .entry(block.key())
                .or_default()
                .push(format!("{file}:{line}"));
        }
    }
    Ok(places)
}

/// The Rust blocks of a page as they are once includes are expanded, each with its line in the
/// source.
fn rust_blocks(file: &str, source: &str, expanded: &str) -> Result<Vec<(Block, usize)>> {
    let blocks = blocks_in(expanded);
    let lines: Vec<usize> = blocks_in(source).iter().map(|block| block.line).collect();
    if blocks.len() != lines.len() {
        bail!(
            "{file}: {} code blocks, but {} once includes are expanded: \
             include code inside a fence, never a fence itself",
            lines.len(),
            blocks.len()
        );
    }
    Ok(blocks
        .into_iter()
        .zip(lines)
        .filter(|(block, _)| block.words.first().is_some_and(|word| word == "rust"))
        .collect())
}

/// Every page with Rust blocks: its path from the repository's root, its source, and its text
/// with includes expanded as on the site.
fn pages(root: &Path) -> Result<Vec<Page>> {
    let mut config = Config::from_disk(root.join("book.toml"))?;
    // No plugin is started, and none is needed: includes are expanded below.
    let none = BTreeMap::<String, String>::new();
    config.set("preprocessor", &none)?;
    config.set("output", &none)?;
    let book = MDBook::load_with_config(root, config.clone())?;
    let sources: Vec<(String, String)> = chapters(&book.book);
    let context = PreprocessorContext::new(root.to_path_buf(), config, "html".to_owned());
    let expanded = LinkPreprocessor::new().run(&context, book.book)?;
    let mut pages: Vec<Page> = sources
        .into_iter()
        .zip(chapters(&expanded))
        .map(|((file, source), (_, expanded))| (file, source, expanded))
        .collect();
    for file in ROOT_PAGES {
        let path = root.join(file);
        if path.exists() {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            pages.push((file.to_owned(), text.clone(), text));
        }
    }
    Ok(pages)
}

fn chapters(book: &mdbook_driver::book::Book) -> Vec<(String, String)> {
    book.iter()
        .filter_map(|item| match item {
            BookItem::Chapter(chapter) => {
                let path = chapter.source_path.as_ref()?;
                Some((format!("src/{}", path.display()), chapter.content.clone()))
            }
            _ => None,
        })
        .collect()
}

/// The fenced blocks of a page, in order.
fn blocks_in(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (event, range) in new_cmark_parser(text, &MarkdownOptions::default()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                open = Some(Block {
                    words: info
                        .split([',', ' '])
                        .map(|word| word.trim().to_owned())
                        .filter(|word| !word.is_empty())
                        .collect(),
                    code: String::new(),
                    line: text[..range.start].matches('\n').count() + 1,
                });
            }
            Event::Text(code) => {
                if let Some(block) = &mut open {
                    block.code.push_str(&code);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

/// One block as a doctest: an item named after its line, edition 2021 as on the page, and a
/// first line that says where it is.
fn write_doc(docs: &mut String, at: &str, line: usize, block: &Block) -> Result<()> {
    let judged: String = block
        .judged()
        .iter()
        .map(|word| format!(",{word}"))
        .collect();
    let code = &block.code;
    writeln!(
        docs,
        "#[doc = r####\"\n````rust,edition2021{judged}\n# // {at}\n{code}````\n\"####]\n\
         pub mod line_{line} {{}}"
    )?;
    Ok(())
}
