//! The whole book as one PDF, printed from the site's page that holds all chapters.
//!
//! The page is made fit for paper first: a title page and a table of contents, answers open,
//! addresses of other sites in words, nothing that only a screen needs. Chromium then prints it and
//! makes a bookmark of every heading. Knows of finished pages and of the PDF that Chromium writes;
//! the look on paper is `page/style.css` and `page/pdf.css`.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::site::{self, Made, Purpose};
use crate::{assets, book, chromium};

/// How long Chromium may print. Hundreds of pages take about a minute on two cores.
const PRINTING_MAX: Duration = Duration::from_secs(900);

/// What was printed.
pub struct Report {
    /// Sheets.
    pub pages: usize,
    /// Bookmarks: one for each heading.
    pub bookmarks: usize,
    /// Links that jump to a place in the PDF.
    pub jumps: usize,
    /// Links to other sites.
    pub links: usize,
    /// The size of the file.
    pub bytes: usize,
    /// How long it took, the site's build included.
    pub took: Duration,
}

/// Prints the book of `root` into the file `dest`, replacing an earlier one only once the new one
/// is whole.
///
/// # Errors
/// When there is no Chromium, with the package to install; when the book does not build; when a
/// link leads to no place in the PDF; when what was printed lacks a bookmark.
pub fn run(root: &Path, dest: &Path) -> Result<Report> {
    let start = Instant::now();
    let browser = chromium::find()?;
    let parent = match dest.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let beside = tempfile::Builder::new()
        .prefix(".pdf-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write beside {}", dest.display()))?;
    let folder = beside.path().join("site");
    fs::create_dir(&folder)?;
    site::render(root, &folder, Purpose::Serve, &mut Made::default())?;
    let config = book::config(root)?;
    let title = config.book.title.as_deref().unwrap_or_default();
    let front = Front {
        title,
        subtitle: config.book.description.as_deref().unwrap_or_default(),
        authors: config.book.authors.join(", "),
        language: config.book.language.as_deref().unwrap_or("en"),
    };
    let printed = fs::read_to_string(folder.join("print.html"))
        .context("the site has no page that holds all chapters: book.toml turns it off")?;
    let page = front.page(&printed)?;
    let headings = refuse_loose_links(&page)?;
    let source = folder.join("pdf.html");
    fs::write(&source, &page).with_context(|| format!("cannot write {}", source.display()))?;
    let target = beside.path().join("new.pdf");
    print(&browser, &source, &target, beside.path())?;
    let bytes = fs::read(&target).context("the browser printed nothing")?;
    let found = Found::in_pdf(&bytes)?;
    ensure!(
        found.bookmarks >= headings,
        "the browser made {} bookmarks of {headings} headings: Chromium 131 or newer is needed",
        found.bookmarks
    );
    fs::rename(&target, dest)
        .with_context(|| format!("cannot put the PDF at {}", dest.display()))?;
    Ok(Report {
        pages: found.pages,
        bookmarks: found.bookmarks,
        jumps: found.jumps,
        links: found.links,
        bytes: bytes.len(),
        took: start.elapsed(),
    })
}

/// What stands before the first chapter.
struct Front<'a> {
    title: &'a str,
    subtitle: &'a str,
    authors: String,
    language: &'a str,
}

impl Front<'_> {
    /// The page that is printed, made of the site's page that holds all chapters.
    fn page(&self, printed: &str) -> Result<String> {
        let style = between(printed, "<link rel=\"stylesheet\" href=\"", "\"")
            .context("the print page has no style sheet")?;
        let (_, chapters) = printed
            .split_once("<main")
            .and_then(|(_, rest)| rest.split_once('>'))
            .context("the print page has no text")?;
        let chapters = chapters
            .rsplit_once("</main>")
            .map_or(chapters, |(text, _)| text);
        let contents = between(printed, "<nav id=\"contents\"", "</nav>")
            .and_then(|contents| contents.split_once('>'))
            .map(|(_, contents)| contents)
            .context("the print page has no contents")?;
        let contents = jumps(contents, chapters)?;
        let chapters = for_paper(chapters);
        let own = fs::read_to_string(assets::folder().join("pdf.css"))
            .context("cannot read page/pdf.css")?;
        let lines: String = [self.subtitle, &self.authors]
            .into_iter()
            .filter(|line| !line.is_empty())
            .map(|line| format!("<p>{}</p>\n", escaped(line)))
            .collect();
        let title = escaped(self.title);
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"UTF-8\">\n\
             <title>{title}</title>\n<link rel=\"stylesheet\" href=\"{style}\">\n\
             <style>\n{own}</style>\n</head>\n<body>\n\
             <header class=\"front\">\n<p class=\"name\">{title}</p>\n{lines}</header>\n\
             <nav class=\"front-contents\">\n<h1 id=\"front-contents\">Contents</h1>\n{contents}\n\
             </nav>\n<div class=\"page\">\n<main>\n{chapters}\n</main>\n</div>\n</body>\n</html>\n",
            language = escaped(self.language),
        ))
    }
}

/// The table of contents with each chapter's address replaced by its place on the page: the
/// chapters stand there in the same order, and each begins with its one title.
fn jumps(contents: &str, chapters: &str) -> Result<String> {
    let mut titles = chapters
        .split("<h1 id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let mut done = String::new();
    let mut rest = contents;
    while let Some((before, after)) = rest.split_once("<a href=\"") {
        let (address, after) = after
            .split_once('"')
            .context("a link in the contents has no end")?;
        let id = titles
            .next()
            .with_context(|| format!("{address} has no title on the print page"))?;
        done.push_str(&format!("{before}<a href=\"#{id}\""));
        rest = after;
    }
    let left = titles.count();
    ensure!(
        left == 0,
        "{left} titles on the print page belong to no chapter: a chapter has one # title"
    );
    done.push_str(rest);
    Ok(done)
}

/// The chapters without what only a screen needs, answers open, and addresses in words.
fn for_paper(chapters: &str) -> String {
    let shown = without_hidden_lines(chapters);
    let open = shown.replace("<details>", "<details open>");
    with_addresses(&open)
}

/// Takes away the lines of programs that a page shows only when asked. They are not printed, and
/// are two thirds of what the browser would have to read.
fn without_hidden_lines(page: &str) -> String {
    const HIDDEN: &str = "<span class=\"boring\">";
    let mut done = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, mut inside)) = rest.split_once(HIDDEN) {
        done.push_str(before);
        let mut depth = 1;
        while depth > 0 {
            let (Some(end), open) = (inside.find("</span>"), inside.find("<span")) else {
                break;
            };
            match open {
                Some(open) if open < end => {
                    depth += 1;
                    inside = &inside[open + "<span".len()..];
                }
                _ => {
                    depth -= 1;
                    inside = &inside[end + "</span>".len()..];
                }
            }
        }
        rest = inside;
    }
    done.push_str(rest);
    done
}

/// Takes the links away by which a heading leads to itself, and writes the address of another site
/// behind each link to it, unless that is what the link says.
fn with_addresses(page: &str) -> String {
    let mut done = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("<a ") {
        done.push_str(before);
        let parts = after.split_once('>').and_then(|(attributes, after)| {
            let (text, after) = after.split_once("</a>")?;
            Some((attributes, text, after))
        });
        let Some((attributes, text, after)) = parts else {
            done.push_str("<a ");
            rest = after;
            continue;
        };
        let address = between(attributes, "href=\"", "\"").unwrap_or_default();
        if attributes.contains("class=\"header\"") {
            done.push_str(text);
        } else {
            done.push_str(&format!("<a {attributes}>{text}</a>"));
            let said = address.strip_prefix("https://");
            if said.is_some_and(|said| !text.contains(said.trim_end_matches('/'))) {
                done.push_str(&format!(" <span class=\"address\">{address}</span>"));
            }
        }
        rest = after;
    }
    done.push_str(rest);
    done
}

/// Refuses a page with a link that would lead nowhere in the PDF, or out to this machine. Returns
/// how many headings there are.
fn refuse_loose_links(page: &str) -> Result<usize> {
    let ids: HashSet<&str> = values(page, " id=\"").collect();
    for address in values(page, "<a href=\"") {
        match address.strip_prefix('#') {
            Some(id) => ensure!(
                ids.contains(id),
                "a link leads to #{id}, which is no place in the whole book"
            ),
            None => ensure!(
                address.starts_with("https://") || address.starts_with("mailto:"),
                "a link leads to {address}, which is not in the PDF: link to it with https://"
            ),
        }
    }
    Ok((1..=6)
        .map(|level| page.matches(&format!("<h{level} ")).count())
        .sum())
}

/// Has the browser print the page `source` into the file `target`. Its own files go to `folder`.
fn print(browser: &Path, source: &Path, target: &Path, folder: &Path) -> Result<()> {
    let said = folder.join("said");
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--disable-gpu", "--hide-scrollbars"])
        .args(["--no-first-run", "--no-pdf-header-footer"])
        .arg("--generate-pdf-document-outline")
        .arg(format!(
            "--user-data-dir={}",
            folder.join("browser").display()
        ))
        .arg(format!("--print-to-pdf={}", target.display()));
    if is_superuser() {
        // Chromium's sandbox does not start for root; what it opens here is our own page.
        command.arg("--no-sandbox");
    }
    let mut child = command
        .arg(format!("file://{}", percent_encoded(source)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said)?)
        .spawn()
        .with_context(|| format!("{} does not start", browser.display()))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > PRINTING_MAX {
            child.kill().context("the browser cannot be stopped")?;
            child.wait()?;
            bail!(
                "the browser printed for {} s without an end",
                PRINTING_MAX.as_secs()
            );
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() || !target.exists() {
        let said = fs::read_to_string(&said).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        bail!(
            "{} printed nothing ({status}): {}",
            browser.display(),
            last.join(" | ")
        );
    }
    Ok(())
}

/// Whether this process runs as root.
fn is_superuser() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// A path as a `file:` address writes it.
fn percent_encoded(path: &Path) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'.')
        .remove(b'-')
        .remove(b'_');
    percent_encoding::utf8_percent_encode(&path.to_string_lossy(), KEPT).to_string()
}

/// What a PDF holds.
struct Found {
    pages: usize,
    bookmarks: usize,
    jumps: usize,
    links: usize,
}

impl Found {
    /// Counts in a PDF of Chromium, which writes its objects as plain text.
    fn in_pdf(bytes: &[u8]) -> Result<Self> {
        ensure!(
            bytes.starts_with(b"%PDF-") && bytes.trim_ascii_end().ends_with(b"%%EOF"),
            "what the browser printed is no whole PDF"
        );
        let mut found = Self {
            pages: 0,
            bookmarks: 0,
            jumps: 0,
            links: 0,
        };
        let mut lines = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            lines.push(line);
            if line == b"endobj" {
                found.count(&lines);
                lines.clear();
            }
        }
        Ok(found)
    }

    fn count(&mut self, object: &[&[u8]]) {
        let has = |start: &[u8]| {
            object
                .iter()
                .any(|line| line.trim_ascii_start().starts_with(start))
        };
        if has(b"<</Type /Page") && !has(b"<</Type /Pages") {
            self.pages += 1;
        } else if has(b"<</Title ") && has(b"/Dest ") {
            self.bookmarks += 1;
        } else if has(b"/Subtype /Link") {
            match has(b"/Dest ") {
                true => self.jumps += 1,
                false => self.links += 1,
            }
        }
    }
}

/// What stands between the first `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

/// Every value that stands between `start` and the next quotation mark.
fn values<'a>(page: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    page.split(start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
