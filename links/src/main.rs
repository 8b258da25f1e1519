//! Finds the links of the book, and of the pages at the repository's root, that lead nowhere.
//!
//! `cargo xtask check --external` runs it after its own rules. Finding the links, the settings and
//! the check of files are mdbook-linkcheck2's; asking other sites (`web`) is done here, because
//! that library's client waits for ever.

mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use codespan::{ByteIndex, FileId, Files};
use linkcheck2::validation::{Cache, Reason};
use mdbook_driver::MDBook;
use mdbook_linkcheck2::{Config, extract_links, load_files_into_memory, validate};
use mdbook_markdown::pulldown_cmark::{Event, Tag};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use web::{Answer, Limits};

/// Finds links that lead nowhere, in the book and in the Markdown at the repository's root.
///
/// Each address of another site is asked for once, however often it is linked to: first with HEAD;
/// where a site refuses that, with GET. An address that does not answer, or answers 5xx or 429
/// (too many requests), is asked for a second time after a pause. One that answers 429 twice is
/// there, so that is a note and no finding. The addresses of one host are asked for one after the
/// other, those of 16 hosts at a time; of a host that cannot be connected to, none is asked for
/// again. Every request, and the whole run, has a time limit.
///
/// `[output.linkcheck]` (or linkcheck2) in book.toml is read if it is there: `exclude`,
/// `user-agent`, `http-headers`, `traverse-parent-directories`, `require-md-extension`,
/// `latex-support`.
#[derive(Parser)]
#[command(name = "links")]
struct Cli {
    /// The folder that holds book.toml
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Leave links to files to `cargo xtask check`
    #[arg(long)]
    web_only: bool,
    /// How long one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = web::SECONDS)]
    seconds: u64,
}

/// One link that leads nowhere.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    message: String,
}

/// The pages, as mdbook-linkcheck2 wants them.
struct Pages {
    files: Files<String>,
    /// The chapters.
    book: Vec<FileId>,
    /// The Markdown files at the root.
    root: Vec<FileId>,
    /// The folder of the chapters, relative to the root.
    src: PathBuf,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let (pages, settings) = read(&cli.root)?;
    let mut findings = BTreeSet::new();
    if !cli.web_only {
        check_files(&cli.root, &pages, &settings, &mut findings)?;
    }
    let addresses = addresses(&pages, &settings);
    let limits = Limits::of_seconds(cli.seconds);
    let asked: Vec<String> = addresses.keys().cloned().collect();
    for (address, answer) in web::ask(&asked, &settings, limits)? {
        let Some(message) = judged(&address, answer) else {
            continue;
        };
        for (file, line) in &addresses[&address] {
            let (file, line, message) = (file.clone(), *line, message.clone());
            findings.insert(Finding {
                file,
                line,
                message,
            });
        }
    }
    for Finding {
        file,
        line,
        message,
    } in &findings
    {
        println!("{file}:{line}: {message}");
    }
    let outcome = match findings.len() {
        0 => "nothing wrong".to_owned(),
        1 => "1 finding".to_owned(),
        number => format!("{number} findings"),
    };
    let plural = if addresses.len() == 1 { "" } else { "es" };
    eprintln!(
        "links: {} address{plural} of other sites asked for, {outcome}",
        addresses.len()
    );
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads the book, without running any preprocessor, and the Markdown at the root.
fn read(root: &Path) -> Result<(Pages, Config)> {
    use mdbook_driver::config::Config as BookConfig;
    let path = root.join("book.toml");
    let mut config =
        BookConfig::from_disk(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let settings = match config.get("output.linkcheck2")? {
        Some(settings) => settings,
        None => config.get("output.linkcheck")?.unwrap_or_default(),
    };
    // A check writes nothing, and mdBook's default is to create what SUMMARY.md names.
    config.build.create_missing = false;
    let src = config.book.src.clone();
    let book = MDBook::load_with_config(root, config)?.book;

    let mut files = Files::new();
    let (_, chapters) = load_files_into_memory(&book, &mut files, |_| true);
    let mut guides = Vec::new();
    let entries = fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "md")
            && let Ok(text) = fs::read_to_string(&path)
        {
            guides.push(files.add(entry.file_name(), text));
        }
    }
    Ok((
        Pages {
            files,
            book: chapters,
            root: guides,
            src,
        },
        settings,
    ))
}

impl Pages {
    /// The file, relative to the root, and the line of a byte.
    fn place(&self, file: FileId, at: usize) -> (String, usize) {
        let name = Path::new(self.files.name(file));
        let path = if self.root.contains(&file) {
            name.to_path_buf()
        } else {
            self.src.join(name)
        };
        let index = ByteIndex(u32::try_from(at).unwrap_or(u32::MAX));
        let line = self
            .files
            .location(file, index)
            .map_or(1, |place| place.line.number().to_usize());
        (path.to_string_lossy().replace('\\', "/"), line)
    }
}

/// Has mdbook-linkcheck2 check the chapters' links to files.
fn check_files(
    root: &Path,
    pages: &Pages,
    settings: &Config,
    findings: &mut BTreeSet<Finding>,
) -> Result<()> {
    let settings = Config {
        follow_web_links: false,
        ..settings.clone()
    };
    let src = fs::canonicalize(root.join(&pages.src))?;
    let (links, incomplete) = extract_links(&settings, pages.book.clone(), &pages.files);
    let outcome = validate(
        &links,
        &settings,
        &src,
        &mut Cache::default(),
        &pages.files,
        &[],
        &pages.book,
        incomplete,
    )?;
    for invalid in outcome.invalid_links {
        let link = &invalid.link;
        let (file, line) = pages.place(link.file, link.span.start().to_usize());
        let why = match &invalid.reason {
            reason if reason.file_not_found() => "no such file".to_owned(),
            Reason::TraversesParentDirectories => "it leaves the book".to_owned(),
            Reason::Io(error) => error.to_string(),
            reason => reason.to_string(),
        };
        let message = format!("link to {}: {why}, mend the path", link.href);
        findings.insert(Finding {
            file,
            line,
            message,
        });
    }
    Ok(())
}

/// The addresses of other sites, and the places that link to each.
fn addresses(pages: &Pages, settings: &Config) -> BTreeMap<String, Vec<(String, usize)>> {
    let all = pages.book.iter().chain(&pages.root).copied();
    let (links, _) = extract_links(settings, all.clone(), &pages.files);
    let links = links
        .into_iter()
        .map(|link| (link.file, link.span.start().to_usize(), link.href));
    let raw = all.flat_map(|file| {
        let found = raw_addresses(pages.files.source(file));
        found
            .into_iter()
            .map(move |(at, address)| (file, at, address))
    });
    let mut addresses: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for (file, at, address) in links.chain(raw) {
        let is_web = address.starts_with("https://") || address.starts_with("http://");
        if is_web && !settings.should_skip(&address) {
            // Sites are asked for pages; what is on a page they do not say.
            let page = address.split('#').next().unwrap_or_default().to_owned();
            addresses
                .entry(page)
                .or_default()
                .push(pages.place(file, at));
        }
    }
    addresses
}

/// The addresses in the `href` and `src` attributes of raw HTML, which mdbook-linkcheck2 passes
/// over, and where each stands.
fn raw_addresses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let parser = new_cmark_parser(text, &MarkdownOptions::default());
    for (event, range) in parser.into_offset_iter() {
        if !matches!(event, Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_)) {
            continue;
        }
        let html = &text[range.clone()];
        for mark in ["href=", "src="] {
            for (at, _) in html.match_indices(mark) {
                let in_comment = html[..at].rfind("<!--") > html[..at].rfind("-->");
                let value = &html[at + mark.len()..];
                let quote = value.starts_with(['"', '\'']);
                let value = value.trim_start_matches(['"', '\'']);
                let end = value
                    .find(|c| matches!(c, '"' | '\'' | '>') || (!quote && char::is_whitespace(c)))
                    .unwrap_or(value.len());
                if value.starts_with("http") && !in_comment {
                    found.push((range.start + at, value[..end].replace("&amp;", "&")));
                }
            }
        }
    }
    found
}

/// What an answer means for the links to its address.
fn judged(address: &str, answer: Answer) -> Option<String> {
    match answer {
        Answer::Fine => None,
        Answer::Busy => {
            eprintln!(
                "note: {address} answers 429 Too Many Requests: it is there, no more is known"
            );
            None
        }
        Answer::Status { status, at } => {
            let who = match at {
                Some(at) => format!("{address} leads to {at}, which"),
                None => address.to_owned(),
            };
            let mend = match status.as_u16() {
                401 | 403 => {
                    "open it by hand, and if it is there add it to `exclude` of \
                              [output.linkcheck] in book.toml"
                }
                500.. => "try again later, or mend the link",
                _ => "mend the link",
            };
            Some(format!("{who} answers {status}: {mend}"))
        }
        Answer::Unreachable(why) => Some(format!(
            "{address} could not be reached ({why}): mend the link, or try again"
        )),
    }
}
