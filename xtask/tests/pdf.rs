//! `cargo xtask pdf`: what a reader finds in the file, read back by a library that shares no code
//! with the tool; and what it refuses, leaving an earlier file as it was.
//!
//! What has to be printed needs a Chromium. Where there is none such a test says so and is skipped;
//! with CI=true it fails.

#![cfg(unix)]

mod small_book;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use lopdf::{Dictionary, Document, Object};
use small_book::SmallBook;

/// A book of three chapters that lead to each other and to other sites.
fn book() -> SmallBook {
    let book = SmallBook::new();
    book.edit(
        "book.toml",
        "title = \"Small\"\n",
        "title = \"Small & <whole>\"\nauthors = [\"Ada\"]\ndescription = \"Three chapters.\"\n",
    );
    book.write(
        "src/SUMMARY.md",
        "# Summary\n\n# Part\n\n- [One](part/one.md)\n- [Two](part/two.md)\n\n---\n\n\
         [Glossary](glossary.md)\n",
    );
    book.write(
        "src/part/two.md",
        "# Two\n\nSee [one](one.md), [its terms](one.md#terms), [ours](#terms) and \
         [the client](../glossary.md#client).\n\n<details>\n<summary>Answer</summary>\n\n\
         Fortytwo.\n\n</details>\n\n```rust\n# // Nobodyreads\n# fn main() {\nlet shown = 1;\n# let _ = shown;\n# }\n```\n\n\
         ## Terms\n\nserver\n: Who answers.\n\n## Sources\n\n\
         - [spec](https://www.rfc-editor.org/rfc/rfc9111)\n- <https://example.org/plain>\n",
    );
    book.write("src/glossary.md", "# Glossary\n\nLastwords.\n");
    book
}

/// Whether a Chromium is there, found as the tool finds it.
fn can_print() -> bool {
    let named = std::env::var_os("CHROMIUM").is_some_and(|named| !named.is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named
        || [
            "chromium",
            "google-chrome",
            "google-chrome-stable",
            "chromium-browser",
        ]
        .iter()
        .any(|name| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    if !found {
        let mend = "chromium is missing: apt-get install chromium fonts-liberation";
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!in_ci, "{mend}");
        eprintln!("skipped: {mend}");
    }
    found
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a name or a string of a PDF says.
fn said(object: &Object) -> String {
    match object {
        Object::Name(name) => String::from_utf8_lossy(name).into_owned(),
        other => lopdf::decode_text_string(other).expect("a text"),
    }
}

fn follow<'a>(pdf: &'a Document, inside: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    let object = inside.get(key).ok()?;
    Some(pdf.dereference(object).expect("what it refers to").1)
}

/// Each bookmark's title and the object number of the page that it leads to.
fn bookmarks(pdf: &Document, first: Option<&Object>, found: &mut Vec<(String, u32)>) {
    let mut next = first;
    while let Some(object) = next {
        let item = object.as_dict().expect("a bookmark");
        let title = said(item.get(b"Title").expect("a title"));
        let place = item
            .get(b"Dest")
            .and_then(Object::as_array)
            .expect("a place");
        found.push((title, place[0].as_reference().expect("a page").0));
        bookmarks(pdf, follow(pdf, item, b"First"), found);
        next = follow(pdf, item, b"Next");
    }
}

#[test]
fn one_file_has_every_chapter_with_bookmarks_and_links_that_stay_inside() {
    if !can_print() {
        return;
    }
    let book = book();
    let dest = book.root().join("out/book.pdf");
    let output = book.run(&["pdf", "--dest", dest.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", error(&output));
    let pdf = Document::load(&dest).expect("a PDF");
    let pages = pdf.get_pages();
    let ids: BTreeSet<u32> = pages.values().map(|id| id.0).collect();

    // A bookmark for each chapter and each section, in order, that leads to a page.
    let catalog = pdf.catalog().expect("a catalogue");
    let outlines = follow(&pdf, catalog, b"Outlines").expect("bookmarks");
    let mut found = Vec::new();
    let first = follow(&pdf, outlines.as_dict().expect("bookmarks"), b"First");
    bookmarks(&pdf, first, &mut found);
    let titles: Vec<&str> = found.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "Contents", "One", "Terms", "Sources", "Two", "Terms", "Sources", "Glossary"
        ]
    );
    assert!(
        found.iter().all(|(_, page)| ids.contains(page)),
        "{found:?}"
    );

    // A link inside leads to a place that there is; one outside to another site.
    let places = follow(&pdf, catalog, b"Dests").expect("places");
    let places = places.as_dict().expect("places");
    let mut jumps = Vec::new();
    let mut links = Vec::new();
    for id in pages.values() {
        for annotation in pdf.get_page_annotations(*id).expect("annotations") {
            match annotation.get(b"Dest") {
                Ok(place) => jumps.push(said(place)),
                Err(_) => {
                    let action = follow(&pdf, annotation, b"A").expect("an action");
                    let action = action.as_dict().expect("an action");
                    links.push(said(action.get(b"URI").expect("an address")));
                }
            }
        }
    }
    for jump in &jumps {
        let place = places.get(jump.as_bytes());
        let place = place.unwrap_or_else(|_| panic!("#{jump} is no place"));
        let page = place.as_array().expect("a place")[0].as_reference();
        assert!(ids.contains(&page.expect("a page").0), "#{jump}");
    }
    for wanted in ["one", "two", "glossary", "terms", "terms-1", "client-1"] {
        assert!(
            jumps.iter().any(|jump| jump == wanted),
            "{wanted}: {jumps:?}"
        );
    }
    assert_eq!(
        links,
        [
            "https://www.rfc-editor.org/rfc/rfc9110",
            "https://www.rfc-editor.org/rfc/rfc9111",
            "https://example.org/plain"
        ]
    );

    // The words: all chapters to the last, answers open, addresses readable, no hidden line.
    let numbers: Vec<u32> = pages.keys().copied().collect();
    let text = pdf.extract_text(&numbers).expect("text");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "Small & <whole>",
        "Three chapters.",
        "Ada",
        "Good words.",
        "Server",
        "Fortytwo.",
        "let shown",
        "https://www.rfc-editor.org/rfc/rfc9111",
        "Lastwords.",
    ] {
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
    assert_eq!(
        words.matches("https://example.org/plain").count(),
        1,
        "{words}"
    );
    assert!(!words.contains("Nobodyreads"), "{words}");
    let last = pdf.extract_text(&[numbers.len() as u32]).expect("text");
    assert!(last.contains("Lastwords."), "{last}");
    let number = numbers.len().to_string();
    assert!(last.lines().any(|line| line.trim() == number), "{last}");

    // A4, and the reader's window says what book it is.
    for id in pages.values() {
        let page = pdf.get_dictionary(*id).expect("a page");
        let size = page.get(b"MediaBox").and_then(Object::as_array);
        let size: Vec<f32> = size
            .expect("a size")
            .iter()
            .map(|side| side.as_float().expect("a number").round())
            .collect();
        assert_eq!(size, [0.0, 0.0, 595.0, 842.0]);
    }
    let about = follow(&pdf, &pdf.trailer, b"Info").expect("about");
    let title = about
        .as_dict()
        .expect("about")
        .get(b"Title")
        .expect("a title");
    assert_eq!(said(title), "Small & <whole>");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures = format!(
        "printed {} pages with 8 bookmarks, {} jumps and 3 links to other sites (",
        pages.len(),
        jumps.len()
    );
    assert!(told.starts_with(&figures), "{told}");
}

#[test]
fn what_cannot_be_printed_leaves_the_earlier_file_as_it_was() {
    let book = book();
    book.write("out/book.pdf", "the earlier one");
    let script = |lines: &str| {
        book.write("browser", &format!("#!/bin/sh\n{lines}\n"));
        let browser = book.root().join("browser");
        fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("permissions");
        browser
    };
    let refused = |browser: &std::path::Path, why: &str| {
        let output = book
            .command()
            .args(["pdf", "--dest"])
            .arg(book.root().join("out/book.pdf"))
            .env("CHROMIUM", browser)
            .output()
            .expect("the tool starts");
        assert_eq!(output.status.code(), Some(1), "{}", error(&output));
        assert!(error(&output).contains(why), "{}", error(&output));
        assert_eq!(book.read("out/book.pdf"), "the earlier one", "{why}");
        let left = fs::read_dir(book.root().join("out"))
            .expect("a folder")
            .count();
        assert_eq!(left, 1, "{why}: something is left beside the PDF");
    };
    let target = "for word; do case $word in --print-to-pdf=*) to=${word#*=};; esac; done\n";
    refused(&script("echo no display >&2; exit 3"), "no display");
    refused(&script("exit 0"), "printed nothing");
    refused(
        &script(&format!("{target}printf '%%PDF-1.4\\nhalf' >\"$to\"")),
        "no whole PDF",
    );
    refused(
        &script(&format!("{target}printf '%%PDF-1.4\\n%%%%EOF\\n' >\"$to\"")),
        "made 0 bookmarks of 8 headings",
    );
    let never = script(&format!(
        "{target}touch {}",
        book.root().join("ran").display()
    ));
    book.write("src/part/table.csv", "1\n");
    book.edit(
        "src/part/two.md",
        "See [one](one.md)",
        "See [data](table.csv)",
    );
    refused(
        &never,
        "a link leads to part/table.csv, which is not in the PDF",
    );
    book.edit(
        "src/part/two.md",
        "See [data](table.csv)",
        "See [x](#nowhere)",
    );
    refused(
        &never,
        "a link leads to #nowhere, which is no place in the whole book",
    );
    book.edit(
        "src/part/two.md",
        "See [x](#nowhere)",
        "{{#include none.md}}",
    );
    refused(&never, "src/part/two.md:3: ");
    assert!(!book.root().join("ran").exists(), "the browser was started");
}

#[test]
fn without_a_browser_one_line_names_the_package() {
    let book = SmallBook::new();
    let output = book
        .command()
        .arg("pdf")
        .env_remove("CHROMIUM")
        .env("PATH", "")
        .output()
        .expect("the tool starts");
    assert_eq!(
        error(&output),
        "error: chromium is missing: apt-get install chromium fonts-liberation, or name a Chrome \
         by the variable CHROMIUM\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_page_to_print_names_the_pdf_where_one_is_published() {
    let book = SmallBook::new();
    let build = |name: &str| {
        let mut command = book.command();
        command.arg("build").env("SITE_PDF", name);
        command.output().expect("the tool starts")
    };
    assert!(build("").status.success());
    assert!(!book.read("book/print.html").contains(".pdf"));
    assert!(build("small-book.pdf").status.success());
    let link = "<a href=\"small-book.pdf\">small-book.pdf</a>";
    assert!(book.read("book/print.html").contains(link));
    assert!(!book.read("book/part/one.html").contains(".pdf"));
    for name in [
        "../up.pdf",
        "book.html",
        "a b.pdf",
        "https://example.org/a.pdf",
    ] {
        let output = build(name);
        assert_eq!(output.status.code(), Some(1));
        assert!(error(&output).contains("SITE_PDF is"), "{}", error(&output));
    }
}
