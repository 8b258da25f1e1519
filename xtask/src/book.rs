//! The book as mdBook sees it: its configuration, its chapters with every include expanded, and
//! the site's own two additions (drawn diagrams, the collected glossary).
//!
//! Knows of mdBook's libraries; knows nothing of where pages are written or how they are served.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdbook_driver::MDBook;
use mdbook_driver::book::{Book, BookItem, Chapter};
use mdbook_driver::builtin_preprocessors::{IndexPreprocessor, LinkPreprocessor};
use mdbook_driver::config::Config;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::{assets, figures, glossary, labs};

/// Everything that the HTML renderer needs.
pub struct Prepared {
    /// The configuration of `book.toml` with the environment's `MDBOOK_…` settings applied.
    pub config: Config,
    /// The chapters, with a placeholder where each diagram belongs.
    pub book: Book,
    /// Titles that chapters set for their own browser tab.
    pub chapter_titles: std::collections::HashMap<PathBuf, String>,
    /// The diagrams that the placeholders stand for.
    pub diagrams: Vec<figures::Diagram>,
    /// Whether a chapter places an interactive figure.
    pub has_labs: bool,
}

/// Reads `root/book.toml` and the environment, without the plugins that only the stock `mdbook`
/// command starts: this tool does their work in process.
///
/// # Errors
/// When the file is missing or is not valid, with its path.
pub fn config(root: &Path) -> Result<Config> {
    let path = root.join("book.toml");
    let mut config =
        Config::from_disk(&path).with_context(|| format!("cannot read {}", path.display()))?;
    config
        .update_from_env()
        .context("an MDBOOK_… environment variable is not valid")?;
    config
        .html_config()
        .with_context(|| format!("{}: [output.html] is not valid", path.display()))?;
    let serde_json::Value::Object(tables) = serde_json::to_value(&config)? else {
        unreachable!("a configuration is a table");
    };
    let html = tables
        .get("output")
        .and_then(|output| output.get("html"))
        .cloned();
    config.set("output", serde_json::json!({ "html": html }))?;
    // The pages are the tool's own: mdBook's search and theme are not theirs, nor are scripts for
    // the stock command, such as those that `mdbook-mermaid install` adds.
    config.set("output.html.additional-js", serde_json::json!([]))?;
    config.set("output.html.theme", assets::folder())?;
    config.set("output.html.search.enable", false)?;
    config.set("preprocessor", serde_json::json!({}))?;
    Ok(config)
}

/// Loads the book and brings it to the state in which it is rendered.
///
/// # Errors
/// When a file that SUMMARY.md names is missing, or a chapter cannot be expanded.
pub fn prepare(root: &Path) -> Result<Prepared> {
    let config = config(root)?;
    let loaded = MDBook::load_with_config(root, config.clone())?;
    let context = PreprocessorContext::new(root.to_path_buf(), config.clone(), "html".to_owned());
    let book = LinkPreprocessor::new().run(&context, loaded.book)?;
    let mut book = IndexPreprocessor::new().run(&context, book)?;
    glossary::collect(&mut book);
    let mut diagrams = Vec::new();
    let mut has_labs = false;
    for_each_chapter(&mut book, |chapter| {
        has_labs |= chapter.content.contains(labs::PLACE);
        figures::mark(chapter, &mut diagrams)
    })?;
    let chapter_titles = context.chapter_titles.borrow_mut().drain().collect();
    Ok(Prepared {
        config,
        book,
        chapter_titles,
        diagrams,
        has_labs,
    })
}

/// Calls `change` for each chapter that has a file.
///
/// # Errors
/// The first error of `change`; no chapter after it is visited.
pub fn for_each_chapter(
    book: &mut Book,
    mut change: impl FnMut(&mut Chapter) -> Result<()>,
) -> Result<()> {
    let mut outcome = Ok(());
    book.for_each_mut(|item| {
        if let BookItem::Chapter(chapter) = item
            && outcome.is_ok()
            && !chapter.is_draft_chapter()
        {
            outcome = change(chapter);
        }
    });
    outcome
}
