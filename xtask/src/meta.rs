//! What search engines, other sites and a browser's list of apps learn of a page: its own address,
//! its first words, a picture, the list of all pages, the book as one file.
//!
//! Knows of finished pages and of the addresses the book is published under. A page that is on no
//! site yet has no address: what needs one is left out unless SITE_ORIGIN is set.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use mdbook_driver::book::{Book, BookItem};
use mdbook_driver::config::Config;

/// What the template has in place of what this module knows.
const PLACE: &str = "@meta()";

/// What the template of a redirect has in place of the name of the page that it leads to.
const TITLE: &str = "@title()";

/// The variable that names the scheme and host of the published site.
const ORIGIN: &str = "SITE_ORIGIN";

/// The variable that names the published PDF: its file name at the site's root.
const PDF: &str = "SITE_PDF";

/// What the template has in place of the link to the PDF.
const PDF_PLACE: &str = "@pdf()";

/// How long a description may be, in characters. Search engines show about so much.
const DESCRIPTION_MAX: usize = 160;

/// A first paragraph shorter than this, in characters, is followed by the next one.
const DESCRIPTION_MIN: usize = 60;

/// The pages that are no chapters.
const NOT_LISTED: [&str; 2] = ["404.html", "print.html"];

/// The book, as far as its pages' heads tell of it.
pub struct Meta {
    /// The address of the site's root, with `/` at its end, if it is known.
    site: Option<String>,
    title: String,
    description: String,
    /// The names of the chapters by their addresses below the site's root.
    chapters: BTreeMap<String, String>,
    /// The address of the first chapter, which is the site's front page as well.
    first: Option<String>,
    /// Where each old address leads.
    redirects: BTreeMap<String, String>,
}

impl Meta {
    /// Reads what the book, its configuration and the environment tell.
    ///
    /// # Errors
    /// When SITE_ORIGIN is set and is no scheme and host, or the site's path begins with no `/`.
    pub fn of(config: &Config, book: &Book) -> Result<Self> {
        let html = config.html_config().unwrap_or_default();
        let origin = std::env::var(ORIGIN).unwrap_or_default();
        let path = html.site_url.as_deref().unwrap_or("/");
        let mut chapters = BTreeMap::new();
        let mut first = None;
        for item in book.iter() {
            if let BookItem::Chapter(chapter) = item
                && let Some(path) = &chapter.path
            {
                let path = path
                    .with_extension("html")
                    .to_string_lossy()
                    .replace('\\', "/");
                first.get_or_insert_with(|| path.clone());
                chapters.insert(path, chapter.name.clone());
            }
        }
        let redirects = html.redirect.into_iter();
        Ok(Self {
            site: site(&origin, path)?,
            title: config.book.title.clone().unwrap_or_default(),
            description: config.book.description.clone().unwrap_or_default(),
            chapters,
            first,
            redirects: redirects
                .map(|(from, to)| (from.trim_start_matches('/').to_owned(), to))
                .collect(),
        })
    }

    /// The page at `address` (below the site's root, with `/`) with its head filled.
    pub fn put_into(&self, page: &str, address: &str) -> String {
        if let Some(to) = self.redirects.get(address) {
            return self.lead_on(page, address, to);
        }
        let Some((before, after)) = page.split_once(PLACE) else {
            return page.to_owned();
        };
        format!("{before}{}{after}", self.tags(address, after))
    }

    /// The tags of a page's head. `text` is the page after them.
    fn tags(&self, address: &str, text: &str) -> String {
        let is_front = address == "index.html" || self.first.as_deref() == Some(address);
        let is_listed = !NOT_LISTED.contains(&address);
        let first = first_words(text);
        let description = match (is_front, is_listed) {
            (true, _) => shortened(&format!("{} {first}", self.description)),
            (_, true) => shortened(&first),
            _ => self.description.clone(),
        };
        let mut tags = String::new();
        let mut meta = |kind: &str, name: &str, content: &str| {
            if !content.is_empty() {
                let content = escaped(content);
                tags.push_str(&format!("<meta {kind}=\"{name}\" content=\"{content}\">\n"));
            }
        };
        meta("name", "description", &description);
        if !is_listed {
            meta("name", "robots", "noindex");
            return tags.trim_end().to_owned();
        }
        let chapter = self.chapters.get(address).filter(|_| !is_front);
        let title = chapter.unwrap_or(&self.title);
        let kind = if is_front { "website" } else { "article" };
        meta("property", "og:site_name", &self.title);
        meta("property", "og:type", kind);
        meta("property", "og:title", title);
        meta("property", "og:description", &description);
        meta("name", "twitter:title", title);
        meta("name", "twitter:description", &description);
        if let Some(site) = &self.site {
            let url = format!("{site}{}", self.canonical(address));
            let picture = format!("{site}@asset(social.png)");
            let alt = format!("{}: {}", self.title, self.description);
            meta("property", "og:url", &url);
            for (name, content) in [
                ("", picture.as_str()),
                (":type", "image/png"),
                (":width", "1200"),
                (":height", "630"),
                (":alt", &alt),
            ] {
                meta("property", &format!("og:image{name}"), content);
            }
            meta("name", "twitter:card", "summary_large_image");
            meta("name", "twitter:image", &picture);
            meta("name", "twitter:image:alt", &alt);
            tags.push_str(&format!(
                "<link rel=\"canonical\" href=\"{}\">\n",
                escaped(&url)
            ));
            // The name of the picture is filled in later, with those of the template.
            tags = tags.replace("&#64;asset(social.png)", "@asset(social.png)");
        } else {
            meta("name", "twitter:card", "summary");
        }
        tags.trim_end().to_owned()
    }

    /// A redirect that says the name of the page that it leads to, and its whole address.
    fn lead_on(&self, page: &str, address: &str, to: &str) -> String {
        let (path, fragment) = to.split_once('#').unwrap_or((to, ""));
        let target = below(address, path);
        let name = self.chapters.get(&target).map_or(to, String::as_str);
        let page = page.replacen(TITLE, &escaped(name), 1);
        let (Some(site), false) = (&self.site, to.contains("://")) else {
            return page;
        };
        let mut whole = format!("{site}{}", self.canonical(&target));
        if !fragment.is_empty() {
            whole.push_str(&format!("#{fragment}"));
        }
        // The template's first address is that of the canonical link.
        let Some((before, rest)) = page.split_once("<link rel=\"canonical\" href=\"") else {
            return page;
        };
        let after = rest.split_once('"').map_or(rest, |(_, after)| after);
        let whole = escaped(&whole);
        format!("{before}<link rel=\"canonical\" href=\"{whole}\"{after}")
    }

    /// The address below the site's root under which a page is to be known: a folder's for its
    /// index, and the root's for the first chapter, which stands there twice.
    fn canonical(&self, address: &str) -> String {
        if self.first.as_deref() == Some(address) {
            return String::new();
        }
        let folder = address.strip_suffix("index.html");
        let folder = folder.filter(|folder| folder.is_empty() || folder.ends_with('/'));
        encoded(folder.unwrap_or(address))
    }

    /// The list of all pages for search engines (<https://www.sitemaps.org/protocol.html>), if the
    /// site's address is known.
    pub fn sitemap(&self) -> Option<String> {
        let site = self.site.as_ref()?;
        let pages: BTreeSet<String> = self
            .chapters
            .keys()
            .map(|address| escaped(&format!("{site}{}", self.canonical(address))))
            .collect();
        let urls: String = pages
            .iter()
            .map(|page| format!("<url><loc>{page}</loc></url>\n"))
            .collect();
        Some(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{urls}</urlset>\n"
        ))
    }
}

/// The page with the template's place for the PDF filled: a link on the page that is to be
/// printed, if the site is published with a PDF, and nothing elsewhere.
///
/// # Errors
/// When the variable SITE_PDF names no PDF at the site's root.
pub fn put_pdf_link(page: &str) -> Result<String> {
    // What stands in a chapter is the chapter's.
    let template = page.find("<main").map_or(page, |main| &page[..main]);
    let Some(at) = template.find(PDF_PLACE) else {
        return Ok(page.to_owned());
    };
    let (before, after) = (&page[..at], &page[at + PDF_PLACE.len()..]);
    let name = std::env::var(PDF).unwrap_or_default();
    if name.is_empty() {
        return Ok(format!("{before}{after}"));
    }
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    ensure!(
        name.ends_with(".pdf") && name.chars().all(is_plain),
        "{PDF} is \"{name}\": it names a file at the site's root, such as book.pdf"
    );
    let link = "<p class=\"pdf\">The whole book on one page, to print. \
                It is there as a file, too: <a href=\"";
    Ok(format!("{before}{link}{name}\">{name}</a></p>{after}"))
}

/// The address of the site's root, with `/` at its end; none without an origin.
fn site(origin: &str, path: &str) -> Result<Option<String>> {
    if origin.is_empty() {
        return Ok(None);
    }
    let host = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    let is_host = |host: &str| {
        let (name, port) = host.split_once(':').unwrap_or((host, "1"));
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        name.split('.').all(is_label) && port.parse::<u16>().is_ok()
    };
    host.filter(|host| is_host(host)).with_context(|| {
        format!(
            "{ORIGIN} is \"{origin}\": it is a scheme and a host with nothing after it, such as \
             https://owner.github.io"
        )
    })?;
    ensure!(
        path.starts_with('/') && !path.starts_with("//"),
        "MDBOOK_OUTPUT__HTML__SITE_URL is \"{path}\": it is the path below {ORIGIN}, such as \
         /notes/"
    );
    let path = path.trim_end_matches('/');
    // A host has no case (RFC 3986, section 3.2.2); an owner's name may have been written with one.
    Ok(Some(format!("{}{path}/", origin.to_ascii_lowercase())))
}

/// The address that `path` means on the page at `address`; both are below the site's root.
fn below(address: &str, path: &str) -> String {
    let mut parts: Vec<&str> = address.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The first words of a page's text: its first paragraph, and the next if that is a short one.
fn first_words(page: &str) -> String {
    let text = page.split_once("<main").map_or(page, |(_, text)| text);
    let mut words = String::new();
    let mut passed = 0;
    for (at, _) in text.match_indices("<p>") {
        let before = &text[passed..at];
        let is_inside = ["blockquote", "details", "figure", "li"]
            .iter()
            .any(|name| {
                before.matches(&format!("<{name}>")).count()
                    + before.matches(&format!("<{name} ")).count()
                    > before.matches(&format!("</{name}>")).count()
            });
        if is_inside {
            continue;
        }
        passed = at;
        let Some((paragraph, _)) = text[at + "<p>".len()..].split_once("</p>") else {
            break;
        };
        for word in plain(paragraph).split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        if words.chars().count() >= DESCRIPTION_MIN {
            break;
        }
    }
    // A colon leads to the block that follows on the page.
    match words.strip_suffix(':') {
        Some(words) => format!("{words}."),
        None => words,
    }
}

/// The text of a piece of HTML, without its tags.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    for (entity, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    text
}

/// At most [`DESCRIPTION_MAX`] characters of a text: whole sentences if they fill half of that,
/// else whole words and `…`.
fn shortened(text: &str) -> String {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(DESCRIPTION_MAX) else {
        return text.to_owned();
    };
    let start = &text[..end];
    let sentences = [". ", "? ", "! "]
        .iter()
        .filter_map(|stop| start.rfind(stop))
        .max();
    if let Some(at) = sentences
        && start[..at].chars().count() >= DESCRIPTION_MAX / 2
    {
        return start[..=at].to_owned();
    }
    // The `…` takes the place of the last character, so a word that just fits gives way.
    let cut = start.rfind(' ').map_or(start, |at| &start[..at]);
    let cut = cut.trim_end_matches(|c: char| !c.is_alphanumeric() && !")\"’”".contains(c));
    format!("{cut}…")
}

/// A path as an address writes it.
fn encoded(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'.')
        .remove(b'-')
        .remove(b'_')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}

/// Text as an attribute holds it. An `@` would be taken for one of the template's places.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('@', "&#64;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let fine = |origin, path| site(origin, path).expect("an origin");
        assert_eq!(fine("", "anything"), None);
        let root = fine("https://Owner.github.io", "/notes/");
        assert_eq!(root.as_deref(), Some("https://owner.github.io/notes/"));
        let root = fine("http://127.0.0.1:3000", "/");
        assert_eq!(root.as_deref(), Some("http://127.0.0.1:3000/"));
        let root = fine("https://book.example", "/notes");
        assert_eq!(root.as_deref(), Some("https://book.example/notes/"));
        for wrong in [
            "owner.github.io",
            "https://",
            "https://owner.github.io/",
            "https://owner.github.io/notes",
            "https://a b.example",
            "https://owner..io",
            "https://user@owner.io",
            "https://owner.io?x",
            "https://owner.io:port",
            "ftp://owner.io",
            "//owner.io",
        ] {
            let error = site(wrong, "/").expect_err(wrong).to_string();
            assert!(
                error.starts_with(&format!("SITE_ORIGIN is \"{wrong}\"")),
                "{error}"
            );
        }
        for wrong in ["notes/", "https://owner.io/notes/", "//notes/"] {
            let error = site("https://owner.io", wrong)
                .expect_err(wrong)
                .to_string();
            assert!(
                error.starts_with("MDBOOK_OUTPUT__HTML__SITE_URL is"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_description_is_the_first_paragraph_without_its_marks() {
        let words = |page: &str| first_words(page);
        assert_eq!(
            words(
                "<nav><p>Not this.</p></nav><main id=\"content\"><h1>T</h1>\n<blockquote>\n<p>Nor \
                 this.</p>\n</blockquote><figure class=\"x\"><figcaption><p>Nor \
                 that.</p></figcaption></figure>\n<p>Take <code>a &lt; b</code> &amp;\n<em>all</em> \
                 of it, for a paragraph that is long enough:</p><p>Not needed.</p>"
            ),
            "Take a < b & all of it, for a paragraph that is long enough."
        );
        assert_eq!(
            words("<main><p>Short.</p><ul><li><p>No.</p></li></ul><p>So more.</p>"),
            "Short. So more."
        );
        assert_eq!(words("<main><h1>Only a title</h1></main>"), "");
    }

    #[test]
    fn a_long_description_ends_with_a_sentence_or_a_word() {
        assert_eq!(shortened(" Short. "), "Short.");
        let exactly = "x".repeat(DESCRIPTION_MAX);
        assert_eq!(shortened(&exactly), exactly);
        let sentence = "ä".repeat(100) + "." + &" word".repeat(30);
        assert_eq!(shortened(&sentence), "ä".repeat(100) + ".");
        let words = shortened(&"wört, ".repeat(60));
        assert!(words.ends_with("wört…"), "{words}");
        assert!(
            (150..=DESCRIPTION_MAX).contains(&words.chars().count()),
            "{words}"
        );
    }

    #[test]
    fn a_path_is_taken_from_the_folder_of_its_page() {
        assert_eq!(below("data/old.html", "new.html"), "data/new.html");
        assert_eq!(below("data/old.html", "../index.html"), "index.html");
        assert_eq!(below("old.html", "./data/new.html"), "data/new.html");
    }
}
