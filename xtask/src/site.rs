//! Builds the whole site: every page, with its diagrams drawn in.
//!
//! A site is written beside its destination and swapped in when it is complete, so a failed
//! build leaves the last good output as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mdbook_html::HtmlHandlebars;
use mdbook_renderer::{RenderContext, Renderer};

use crate::assets::Assets;
use crate::code::Blocks;
use crate::contents::Contents;
use crate::figures::{self, Drawings};
use crate::files::{address, files_below};
use crate::meta::Meta;
use crate::{book, check, labs, meta, offline, search, tables};

/// A file that every site built here holds, by which `swap_in` knows what it may replace.
const MARK: &str = ".system-design-notes";

/// The style sheet that `book.toml` names for the stock `mdbook` command alone.
const STOCK_STYLE: &str = "assets/stock.css";

/// What a build made.
pub struct Report {
    /// Pages written, the print page and the 404 page among them.
    pub pages: usize,
    /// Diagrams drawn or taken over from an earlier build.
    pub diagrams: usize,
    /// How long it took.
    pub took: Duration,
}

/// Who a site is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Readers, who may keep the book for reading without a network.
    Publish,
    /// Somebody who writes it and looks at each change.
    Serve,
}

/// What one build made that the next can take over.
#[derive(Default)]
pub struct Made {
    drawings: Drawings,
    blocks: Blocks,
    search: search::Read,
    modules: labs::Modules,
}

/// Renders the book of `root` into the empty folder `dest`, making what `made` does not hold yet.
///
/// # Errors
/// Everything that would leave a page wrong: a missing include or anchor, a diagram that does
/// not parse, a chapter without a file. Each is named with its file and line.
pub fn render(root: &Path, dest: &Path, purpose: Purpose, made: &mut Made) -> Result<Report> {
    let start = Instant::now();
    check::refuse_unbuildable(root)?;
    let prepared = book::prepare(root)?;
    let html = prepared.config.html_config().unwrap_or_default();
    let styles: Vec<PathBuf> = html
        .additional_css
        .into_iter()
        .filter(|style| style != Path::new(STOCK_STYLE))
        .collect();
    let mut assets = Assets::load(root, &styles)?;
    if prepared.has_labs {
        made.modules.add_to(&mut assets)?;
    }
    let contents = Contents::of(&prepared.book);
    let heads = Meta::of(&prepared.config, &prepared.book)?;
    let site_path = html.site_url.as_deref().unwrap_or("/");
    let mut context = RenderContext::new(root, prepared.book, prepared.config.clone(), dest);
    context.chapter_titles.extend(prepared.chapter_titles);
    HtmlHandlebars::new()
        .render(&context)
        .context("mdBook could not write the pages")?;
    remove_theme_files(dest, &root.join(&prepared.config.book.src))?;
    let mut pages = Vec::new();
    for path in files_below(dest)? {
        if path.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        let page =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let address = address(&path, dest)?;
        // The page for an unknown address is shown at any depth, so it names the root whole.
        let root_from_page = match address.as_str() {
            "404.html" => site_path.to_owned(),
            _ => "../".repeat(address.matches('/').count()),
        };
        let page = heads.put_into(&page, &address);
        let page = offline::put_into(&page, &root_from_page, purpose == Purpose::Publish);
        let page = contents.put_into(&page, &address, &root_from_page);
        let page = meta::put_pdf_link(&page)?;
        let page = made.blocks.finish(&page);
        let page = labs::put_into(&page, &root_from_page, &assets, address == "print.html")
            .with_context(|| address.clone())?;
        let page = tables::plain_corners(&page);
        let html = figures::draw_into(&page, &prepared.diagrams, &mut made.drawings)?;
        pages.push(search::Page {
            path: address,
            html,
        });
    }
    let chapters: Vec<_> = contents
        .addresses()
        .filter_map(|address| pages.iter().find(|page| page.path == address))
        .collect();
    made.search.add_index(&chapters, &mut assets)?;
    for page in &pages {
        let path = dest.join(&page.path);
        fs::write(&path, assets.name_in(&page.html)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    assets.write(dest)?;
    if let Some(sitemap) = heads.sitemap() {
        let path = dest.join("sitemap.xml");
        fs::write(&path, sitemap).with_context(|| format!("cannot write {}", path.display()))?;
    }
    made.blocks.forget_unused();
    made.drawings.retain(|(id, source), _| {
        prepared
            .diagrams
            .iter()
            .any(|diagram| diagram.id == *id && diagram.source == *source)
    });
    fs::write(
        dest.join(MARK),
        "Built by `cargo xtask build`, which replaces this folder whole.\n",
    )
    .with_context(|| format!("cannot write to {}", dest.display()))?;
    if purpose == Purpose::Publish {
        offline::write(dest)?;
    }
    Ok(Report {
        pages: pages.len(),
        diagrams: prepared.diagrams.len(),
        took: start.elapsed(),
    })
}

/// Removes what mdBook's theme brings and no page here asks for: its scripts, styles and fonts.
/// What lies in the book's own source folder stays.
fn remove_theme_files(dest: &Path, src: &Path) -> Result<()> {
    for path in files_below(dest)? {
        let name = path.strip_prefix(dest)?;
        let is_page = path
            .extension()
            .is_some_and(|extension| extension == "html");
        let stays = is_page && name != Path::new("toc.html")
            || matches!(name.to_str(), Some(".nojekyll" | "CNAME"))
            || src.join(name).exists();
        if !stays {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    for folder in ["css", "fonts", "assets"] {
        // A folder that still holds something of the book's stays.
        let _ = fs::remove_dir(dest.join(folder));
    }
    Ok(())
}

/// Builds the site into `dest`, replacing an earlier site there only once the new one is whole.
///
/// # Errors
/// As for [`render`]; also when `dest` holds anything that is not an earlier site, which is then
/// left alone.
pub fn build(root: &Path, dest: &Path) -> Result<Report> {
    refuse_foreign(dest)?;
    let parent = match dest.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let beside = tempfile::Builder::new()
        .prefix(".site-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write beside {}", dest.display()))?;
    let fresh = beside.path().join("new");
    fs::create_dir(&fresh)?;
    let report = render(root, &fresh, Purpose::Publish, &mut Made::default())?;
    if dest.exists() {
        fs::rename(dest, beside.path().join("old"))
            .with_context(|| format!("cannot move the earlier {} aside", dest.display()))?;
    }
    fs::rename(&fresh, dest)
        .with_context(|| format!("cannot put the site at {}", dest.display()))?;
    Ok(report)
}

fn refuse_foreign(dest: &Path) -> Result<()> {
    if !dest.exists() {
        return Ok(());
    }
    if !dest.is_dir() {
        bail!("{} is a file: name a folder with --dest", dest.display());
    }
    let empty = fs::read_dir(dest)
        .with_context(|| format!("cannot read {}", dest.display()))?
        .next()
        .is_none();
    if empty || dest.join(MARK).exists() {
        return Ok(());
    }
    bail!(
        "{} holds files that no earlier build wrote: remove it or name another folder with --dest",
        dest.display()
    );
}
