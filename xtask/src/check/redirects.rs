//! The redirects of book.toml: the old address of a page, and the page that took its place.
//!
//! mdBook writes a page at each old address without looking at where it leads. Here every redirect
//! has to lead, at once and on a site under any path, to something that the site has. Knows the
//! chapters and book.toml; which addresses need a redirect is the subject of `gone`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::links::{decoded, missing_fragment, terms};
use super::page::Page;
use super::similar::{nearest_path, normal, relative};
use super::site::Site;
use super::{Finding, slashed, summary};

/// mdBook's configuration.
pub(crate) const BOOK: &str = "book.toml";

/// The pages that the build writes beside the chapters.
const BUILT: [&str; 4] = ["index.html", "print.html", "404.html", "toc.html"];

/// The table `[output.html.redirect]`.
pub(crate) struct Redirects {
    /// The redirects, in the order of their sources.
    redirects: Vec<Redirect>,
    /// The line of the table's head, counted from 1, if there is one.
    pub(crate) head: Option<usize>,
}

/// One line of the table.
struct Redirect {
    /// Its line in book.toml.
    line: usize,
    /// The old address from the site's root, such as `/data/acid.html`, and perhaps `#part`.
    from: String,
    /// Where it leads, as written: relative to the old page.
    to: String,
}

impl Redirect {
    /// The old page, relative to the site's root, and the fragment, if the old address has one.
    fn source(&self) -> (PathBuf, Option<&str>) {
        let (path, fragment) = match self.from.split_once('#') {
            Some((path, fragment)) => (path, Some(fragment)),
            None => (self.from.as_str(), None),
        };
        (normal(Path::new(path.trim_start_matches('/'))), fragment)
    }

    /// The file that it leads to, relative to the site's root, and the fragment in it.
    fn target(&self) -> (PathBuf, &str) {
        let (path, fragment) = self.to.split_once('#').unwrap_or((&self.to, ""));
        let (source, _) = self.source();
        if path.is_empty() {
            return (source, fragment);
        }
        let folder = source.parent().unwrap_or(Path::new(""));
        let mut target = normal(&folder.join(decoded(path)));
        if path.ends_with('/') || target.as_os_str().is_empty() {
            target.push("index.html");
        }
        (target, fragment)
    }
}

impl Redirects {
    /// Reads the table. Without the file there is none; what cannot be read is a finding.
    pub(crate) fn read(site: &Site, findings: &mut Vec<Finding>) -> Self {
        let mut read = Self {
            redirects: Vec::new(),
            head: None,
        };
        let Some(text) = site.tree.text(Path::new(BOOK)) else {
            return read;
        };
        let line = |at: usize| 1 + text[..at].matches('\n').count();
        let mut say = |at, message: String| {
            findings.push(Finding::new(Path::new(BOOK), line(at), message));
        };
        let book = match DeTable::parse(&text) {
            Ok(book) => book,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                say(at, format!("no valid TOML: {}", error.message()));
                return read;
            }
        };
        let mut table = book.get_ref();
        for name in ["output", "html", "redirect"] {
            let Some(inner) = table.get(name) else {
                return read;
            };
            let DeValue::Table(inside) = inner.get_ref() else {
                say(inner.span().start, format!("{name} is no table"));
                return read;
            };
            read.head = (name == "redirect").then(|| line(inner.span().start));
            table = inside;
        }
        for (from, to) in table {
            match to.get_ref() {
                DeValue::String(to) => read.redirects.push(Redirect {
                    line: line(from.span().start),
                    from: from.get_ref().to_string(),
                    to: to.to_string(),
                }),
                _ => say(
                    from.span().start,
                    format!("redirect of {}: write its target in quotes", from.get_ref()),
                ),
            }
        }
        read
    }

    /// Whether the old page, relative to the site's root, is led on.
    pub(crate) fn has(&self, page: &Path) -> bool {
        self.whole().contains_key(page)
    }

    /// The redirects of whole pages, by the old page.
    fn whole(&self) -> BTreeMap<PathBuf, &Redirect> {
        let sources = self.redirects.iter().filter_map(|redirect| {
            let (page, fragment) = redirect.source();
            fragment.is_none().then_some((page, redirect))
        });
        sources.collect()
    }
}

/// What the site has: each file relative to its root, with the chapter that it is made of, if any.
struct Built<'a>(BTreeMap<PathBuf, Option<&'a Page>>);

impl<'a> Built<'a> {
    fn new(site: &'a Site) -> Self {
        let files = site.tree.all.iter().filter_map(|path| {
            let is_markdown = path.extension().is_some_and(|extension| extension == "md");
            let path = path.strip_prefix("src").ok()?;
            (!is_markdown).then(|| (path.to_path_buf(), None))
        });
        let own = BUILT.iter().map(|name| (PathBuf::from(name), None));
        let mut built: BTreeMap<_, _> = files.chain(own).collect();
        for entry in summary::entries(site) {
            if let Some(page) = site.page(&entry.path) {
                built.extend(address(&page.path).map(|address| (address, Some(page))));
            }
        }
        Self(built)
    }
}

/// Where the page of a chapter's file is, relative to the site's root; none for what is no chapter.
pub(crate) fn address(chapter: &Path) -> Option<PathBuf> {
    let path = chapter.strip_prefix("src").ok()?;
    let is_index = path.file_stem()?.eq_ignore_ascii_case("readme");
    let is_markdown = path.extension()? == "md";
    is_markdown.then(|| match is_index {
        true => path.with_file_name("index.html"),
        false => path.with_extension("html"),
    })
}

/// Finds what is wrong with the redirects.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let read = Redirects::read(site, findings);
    let built = Built::new(site);
    let terms = terms(site);
    for redirect in &read.redirects {
        let wrong = wrong_source(redirect, &read, &built, &terms)
            .or_else(|| wrong_target(redirect, &read, &built, &terms));
        if let Some(wrong) = wrong {
            let message = format!("redirect of {}: {wrong}", redirect.from);
            findings.push(Finding::new(Path::new(BOOK), redirect.line, message));
        }
    }
}

/// What is wrong with the old address, if anything.
fn wrong_source(
    redirect: &Redirect,
    read: &Redirects,
    built: &Built,
    terms: &BTreeSet<String>,
) -> Option<String> {
    let from = redirect.from.as_str();
    let (source, fragment) = redirect.source();
    if from.split('/').any(|part| matches!(part, "." | "..")) {
        return Some("write it without . and ..".to_owned());
    }
    if !from.starts_with('/') {
        return Some(format!("write it from the site's root, \"/{from}\""));
    }
    if source
        .extension()
        .is_none_or(|extension| extension != "html")
    {
        return Some("only a page can lead on: end it in .html".to_owned());
    }
    let Some(page) = built.0.get(&source) else {
        return (fragment.is_some() && !read.has(&source)).then(|| {
            let page = slashed(&source);
            format!("the page itself leads nowhere: add a line for \"/{page}\", too")
        });
    };
    match (fragment, page) {
        (None, Some(page)) => Some(format!(
            "it hides {}: remove the line, or the chapter",
            slashed(&page.path)
        )),
        (None, None) => Some("it hides what the site has there: remove the line".to_owned()),
        (Some(fragment), Some(page)) if missing_fragment(page, fragment, terms).is_none() => {
            let page = slashed(&page.path);
            Some(format!("{page} has #{fragment}: remove the line"))
        }
        (Some(_), _) => None,
    }
}

/// What is wrong with where it leads, if anything.
fn wrong_target(
    redirect: &Redirect,
    read: &Redirects,
    built: &Built,
    terms: &BTreeSet<String>,
) -> Option<String> {
    let to = redirect.to.as_str();
    if to.starts_with("https://") {
        return None;
    }
    if to.contains("://") || to.starts_with("//") {
        return Some(format!("{to} is no https:// address"));
    }
    let (source, _) = redirect.source();
    let folder = source.parent().unwrap_or(Path::new(""));
    if let Some(from_root) = to.strip_prefix('/') {
        let mend = relative(folder, Path::new(from_root));
        return Some(format!(
            "{to} breaks on a site that is not at the root of its host: write \"{mend}\""
        ));
    }
    let (target, fragment) = redirect.target();
    if let Some(page) = built.0.get(&target) {
        return page.and_then(|page| missing_fragment(page, fragment, terms));
    }
    let whole = read.whole();
    if let Some(next) = whole.get(&target) {
        let end = end(next, &whole);
        let is_end = end.as_ref().filter(|end| built.0.contains_key(*end));
        return Some(match (&end, is_end) {
            (None, _) => format!("{to} leads round in a circle: lead it to a page"),
            (_, Some(end)) => {
                let mend = relative(folder, end);
                format!("{to} leads on itself: write \"{mend}\", where it ends")
            }
            (_, None) => format!("{to} leads on itself: lead it to a page"),
        });
    }
    // A link in a chapter names the Markdown file; here it is the page that is meant.
    let meant = match target.extension() {
        Some(extension) if extension == "md" => target.with_extension("html"),
        _ => target,
    };
    Some(match nearest_path(&meant, built.0.keys()) {
        Some(near) => format!("no page {to}, nearest is {}", relative(folder, near)),
        None => format!("no page {to}: lead it to one that the site has"),
    })
}

/// Where a chain of redirects ends; none if it goes round in a circle.
fn end(first: &Redirect, whole: &BTreeMap<PathBuf, &Redirect>) -> Option<PathBuf> {
    let mut passed = BTreeSet::from([first.source().0]);
    let mut last = first.target().0;
    while let Some(next) = whole.get(&last) {
        if !passed.insert(last) {
            return None;
        }
        last = next.target().0;
    }
    Some(last)
}
