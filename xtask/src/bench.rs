//! Measures what a contributor waits for and what a reader's browser loads. The figures hold for
//! the machine they are measured on; compare two runs on one machine, not two machines.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::site::{Made, Purpose};
use crate::{files, serve, site};

/// Rebuilds measured for the median.
const REBUILDS: usize = 9;

/// Prints the time of a first build, the median time of a rebuild after a one-word edit, and
/// the bytes of each page with everything that it loads from the site.
///
/// # Errors
/// When the book does not build.
pub fn run(root: &Path) -> Result<()> {
    let copy = tempfile::tempdir()?;
    let folder = tempfile::tempdir()?;
    let book = copy.path();
    for name in serve::watched() {
        copy_tree(&root.join(name), &book.join(name))?;
    }
    let mut made = Made::default();
    let first = build(book, folder.path(), &mut made)?;
    let mut report = String::new();
    writeln!(report, "first build              {first:>7.0} ms")?;

    let edited = book.join("src/introduction.md");
    let text = fs::read_to_string(&edited).context("the book has an introduction")?;
    let mut rebuilds = Vec::new();
    for edit in 0..REBUILDS {
        fs::write(&edited, format!("{text}\nword{edit}\n"))?;
        rebuilds.push(build(book, folder.path(), &mut made)?);
    }
    rebuilds.sort_by(f64::total_cmp);
    writeln!(
        report,
        "rebuild after one word   {:>7.0} ms (median of {REBUILDS})",
        rebuilds[REBUILDS / 2]
    )?;

    writeln!(
        report,
        "\n{:<44} {:>9} {:>9} {:>6}",
        "page, with all it loads", "bytes", "gzip", "files"
    )?;
    let all = files::files_below(folder.path())?;
    let pages = all
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "html"));
    for page in pages {
        let (mut bytes, mut gzip) = (0, 0);
        let files = loaded(folder.path(), page)?;
        for file in &files {
            let content = fs::read(file)?;
            bytes += content.len();
            gzip += gzipped(file, &content)?;
        }
        let name = page
            .strip_prefix(folder.path())
            .unwrap_or(page)
            .display()
            .to_string();
        writeln!(report, "{name:<44} {bytes:>9} {gzip:>9} {:>6}", files.len())?;
    }
    crate::print(&report)
}

fn build(root: &Path, dest: &Path, made: &mut Made) -> Result<f64> {
    let start = Instant::now();
    site::render(root, dest, Purpose::Serve, made)?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// The page and each script, style, image and font of the site that it names, directly or
/// through a style sheet. A browser leaves out the fonts for letters that the page does not use,
/// so it fetches at most this.
fn loaded(site: &Path, page: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![page.to_path_buf()];
    let mut next = 0;
    while next < files.len() {
        let file = files[next].clone();
        next += 1;
        let folder = file.parent().unwrap_or(site).to_path_buf();
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let is_page = file == page;
        let named: Vec<&str> = if is_page {
            text.split(['"', '\'']).collect()
        } else if file.extension().is_some_and(|extension| extension == "css") {
            text.split(['(', ')', '"', '\'']).collect()
        } else {
            Vec::new()
        };
        for name in named {
            let resource = [".js", ".css", ".woff2", ".svg", ".png"]
                .iter()
                .any(|ending| name.ends_with(ending));
            if !resource || name.len() > 300 || name.contains("://") {
                continue;
            }
            let path = folder.join(name);
            if path.is_file() && !files.contains(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn gzipped(file: &Path, content: &[u8]) -> Result<usize> {
    let packed_already = file
        .extension()
        .is_some_and(|extension| extension == "woff2" || extension == "png");
    if packed_already {
        return Ok(content.len());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.len())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    } else if from.is_dir() {
        for file in files::files_below(from)? {
            let Ok(below) = file.strip_prefix(from) else {
                bail!("{} is not below {}", file.display(), from.display());
            };
            let target = to.join(below);
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            fs::copy(&file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    Ok(())
}
