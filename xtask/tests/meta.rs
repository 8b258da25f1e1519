//! What the built pages tell search engines, other sites and a browser of themselves, and how a
//! page that has moved leads on.

mod small_book;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use small_book::SmallBook;

/// A book of three chapters, with two old addresses.
fn book() -> SmallBook {
    let book = SmallBook::new();
    book.edit(
        "book.toml",
        "title = \"Small\"\n",
        "title = \"Small & fine\"\ndescription = \"It runs.\"\n",
    );
    book.edit(
        "book.toml",
        "[output.html]\n",
        "[output.html]\n[output.html.redirect]\n\"/part/old.html\" = \"two.html#terms\"\n\
         \"/older.html\" = \"where.html\"\n\"/older.html#a\" = \"where.html#b\"\n\
         \"/part/two.html#gone\" = \"one.html#terms\"\n",
    );
    book.write(
        "src/SUMMARY.md",
        "# Summary\n\n[Introduction](introduction.md)\n\n# Part\n\n- [One](part/one.md)\n\
         - [Two & \"more\"](part/two.md)\n",
    );
    book.write(
        "src/introduction.md",
        "# Introduction\n\nHello, this is short.\n",
    );
    book.write(
        "src/part/two.md",
        "# Two\n\nA *long* paragraph with `code < 1` in it, mail@example.org, a \
         [link](one.md) & more words than a list of results shows, so that somewhere behind this \
         word it is rather abruptly cut off.\n\n## Terms\n\n## Sources\n",
    );
    // What a browser ends on says where it is.
    book.write(
        "src/where.html",
        "<!DOCTYPE html><title>x</title><body><script>document.body.textContent = location.href</script>",
    );
    book
}

fn build(book: &SmallBook, variables: &[(&str, &str)]) -> Output {
    book.command()
        .arg("build")
        .env_remove("SITE_ORIGIN")
        .envs(variables.iter().copied())
        .output()
        .expect("the tool starts")
}

const PUBLISHED: [(&str, &str); 2] = [
    ("SITE_ORIGIN", "https://owner.example"),
    ("MDBOOK_OUTPUT__HTML__SITE_URL", "/notes/"),
];

fn published() -> SmallBook {
    let book = book();
    let output = build(&book, &PUBLISHED);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    book
}

/// The values of an attribute in the tags of a page that begin so.
fn values<'a>(page: &'a str, tag: &str, attribute: &str) -> Vec<&'a str> {
    page.split(tag)
        .skip(1)
        .filter_map(|rest| {
            let (tag, _) = rest.split_once('>')?;
            let (_, value) = tag.split_once(&format!("{attribute}=\""))?;
            value.split('"').next()
        })
        .collect()
}

fn content<'a>(page: &'a str, name: &str) -> &'a str {
    let kind = if name.starts_with("og:") {
        "property"
    } else {
        "name"
    };
    let found = values(page, &format!("<meta {kind}=\"{name}\""), "content");
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0]
}

#[test]
fn a_page_tells_its_own_address_and_first_words() {
    let book = published();
    let two = book.read("book/part/two.html");
    let url = "https://owner.example/notes/part/two.html";
    assert_eq!(values(&two, "<link rel=\"canonical\"", "href"), [url]);
    assert_eq!(content(&two, "og:url"), url);
    assert_eq!(content(&two, "og:title"), "Two &amp; &quot;more&quot;");
    assert_eq!(content(&two, "og:type"), "article");
    assert_eq!(content(&two, "og:site_name"), "Small &amp; fine");
    let description = "A long paragraph with code &lt; 1 in it, mail&#64;example.org, a link &amp; \
                       more words than a list of results shows, so that somewhere behind this \
                       word it is rather…";
    for name in ["description", "og:description", "twitter:description"] {
        assert_eq!(content(&two, name), description);
    }
    assert_eq!(content(&two, "twitter:card"), "summary_large_image");
    let picture = content(&two, "og:image");
    let file = picture
        .strip_prefix("https://owner.example/notes/")
        .expect("below the site's root");
    let png = fs::read(book.root().join("book").join(file)).expect("the picture");
    // Width and height stand at the head of a PNG file (PNG, third edition, section 11.2.1).
    let sides = [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().expect("4 bytes")));
    assert_eq!(sides, [1200, 630]);
    assert_eq!(content(&two, "og:image:width"), "1200");
    assert_eq!(content(&two, "og:image:height"), "630");
    assert_eq!(content(&two, "og:image:alt"), "Small &amp; fine: It runs.");
    assert!(!two.contains("noindex"));
}

#[test]
fn the_first_chapter_and_the_front_page_are_known_as_one() {
    let book = published();
    for page in ["book/index.html", "book/introduction.html"] {
        let page = book.read(page);
        let root = "https://owner.example/notes/";
        assert_eq!(values(&page, "<link rel=\"canonical\"", "href"), [root]);
        assert_eq!(content(&page, "og:url"), root);
        assert_eq!(content(&page, "og:type"), "website");
        assert_eq!(content(&page, "og:title"), "Small &amp; fine");
        assert_eq!(
            content(&page, "description"),
            "It runs. Hello, this is short."
        );
    }
}

#[test]
fn the_sitemap_names_each_page_once_and_search_engines_leave_the_others_out() {
    let book = published();
    let sitemap = book.read("book/sitemap.xml");
    let named: Vec<&str> = sitemap
        .split("<loc>")
        .skip(1)
        .filter_map(|rest| rest.split("</loc>").next())
        .collect();
    assert_eq!(
        named,
        [
            "https://owner.example/notes/",
            "https://owner.example/notes/part/one.html",
            "https://owner.example/notes/part/two.html"
        ]
    );
    for page in ["print.html", "404.html", "part/old.html", "older.html"] {
        let page = book.read(&format!("book/{page}"));
        assert_eq!(content(&page, "robots"), "noindex");
        assert!(!page.contains("og:url"), "{page}");
    }
}

#[test]
fn without_an_origin_no_address_is_made_up() {
    let book = book();
    assert!(build(&book, &[]).status.success());
    let two = book.read("book/part/two.html");
    assert!(content(&two, "og:description").starts_with("A long paragraph"));
    for absolute in ["canonical", "og:url", "og:image", "twitter:image"] {
        assert!(!two.contains(absolute), "{absolute}");
    }
    assert!(!book.root().join("book/sitemap.xml").exists());
}

#[test]
fn what_is_no_origin_is_refused_by_its_name() {
    let book = book();
    let output = build(&book, &[("SITE_ORIGIN", "https://owner.example/notes/")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: SITE_ORIGIN is \"https://owner.example/notes/\": it is a scheme and a host with \
         nothing after it, such as https://owner.github.io\n"
    );
}

#[test]
fn a_browser_can_install_the_book_and_every_icon_is_there() {
    let book = published();
    let one = book.read("book/part/one.html");
    let manifest = values(&one, "<link rel=\"manifest\"", "href");
    let name = manifest[0].strip_prefix("../").expect("from the root");
    let manifest: serde_json::Value =
        serde_json::from_str(&book.read(&format!("book/{name}"))).expect("JSON");
    assert_eq!(manifest["display"], "standalone");
    // Relative to the manifest, which lies at the site's root.
    assert_eq!(manifest["start_url"], "./");
    assert_eq!(manifest["scope"], "./");
    let icons = manifest["icons"].as_array().expect("icons");
    for icon in icons {
        let file = book
            .root()
            .join("book")
            .join(icon["src"].as_str().expect("a name"));
        let bytes = fs::read(&file).unwrap_or_else(|_| panic!("no {}", file.display()));
        if icon["type"] == "image/png" {
            let width = u32::from_be_bytes(bytes[16..20].try_into().expect("4 bytes"));
            assert_eq!(icon["sizes"], format!("{width}x{width}"));
        }
    }
    let sizes: Vec<_> = icons.iter().map(|icon| icon["sizes"].as_str()).collect();
    assert_eq!(sizes, [Some("any"), Some("192x192"), Some("512x512")]);
}

#[test]
fn the_manifest_names_the_book_as_its_configuration_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    let manifest: serde_json::Value =
        serde_json::from_str(&read("page/manifest.webmanifest")).expect("JSON");
    for (name, key) in [("name", "title"), ("description", "description")] {
        let line = format!("{key} = {}", manifest[name]);
        assert!(
            read("book.toml").lines().any(|other| other == line),
            "{line}"
        );
    }
}

#[test]
fn the_page_for_an_unknown_address_is_right_at_any_depth() {
    let book = published();
    let page = book.read("book/404.html");
    assert!(!page.contains("<base"), "it would bend #fragments");
    for tag in ["<a ", "<link ", "<script type"] {
        let attribute = if tag.starts_with("<s") { "src" } else { "href" };
        for address in values(&page, tag, attribute) {
            assert!(
                address.starts_with("/notes/") || address.starts_with('#'),
                "{address}"
            );
            if let Some(file) = address.strip_prefix("/notes/") {
                assert!(book.root().join("book").join(file).exists(), "{address}");
            }
        }
    }
    let text = &page[page.find("<main").expect("a text")..];
    assert!(text.contains("<h1>Page not found</h1>"), "{text}");
    assert!(text.contains("<a href=\"/notes/index.html\">"), "{text}");
    for wanted in [
        "id=\"search-button\"",
        "/notes/part/two.html",
        "data-root=\"/notes/\"",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn a_page_that_has_moved_says_where_to() {
    let book = published();
    let old = book.read("book/part/old.html");
    assert_eq!(
        values(&old, "<link rel=\"canonical\"", "href"),
        ["https://owner.example/notes/part/two.html#terms"]
    );
    let words = "It is now at <a href=\"two.html#terms\">Two &amp; &quot;more&quot;</a>.";
    assert!(old.contains(words), "{old}");
    assert!(
        old.contains("<noscript><meta http-equiv=\"refresh\" content=\"0; url=two.html#terms\">"),
        "{old}"
    );
    assert!(!old.contains("@"), "{old}");
    // Without an origin the link is relative, and still there.
    assert!(build(&book, &[]).status.success());
    let old = book.read("book/part/old.html");
    assert_eq!(
        values(&old, "<link rel=\"canonical\"", "href"),
        ["two.html#terms"]
    );
}

#[test]
fn a_browser_is_led_on_with_its_fragment() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty());
    let browser = named.map(std::path::PathBuf::from).or_else(|| {
        [
            "chromium",
            "google-chrome",
            "google-chrome-stable",
            "chromium-browser",
        ]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
    });
    let Some(browser) = browser else {
        let mend = "chromium is missing: apt-get install chromium fonts-liberation";
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!in_ci, "{mend}");
        eprintln!("skipped: {mend}");
        return;
    };
    let book = book();
    assert!(book.run(&["build"]).status.success());
    let site = format!("file://{}/book", book.root().display());
    for (old, new) in [
        ("older.html", "where.html"),
        ("older.html#part", "where.html#part"),
        ("older.html?q=1#part", "where.html?q=1#part"),
        ("older.html#a", "where.html#b"),
    ] {
        let profile = tempfile::tempdir().expect("a folder");
        let output = Command::new(&browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("{site}/{old}"))
            .output()
            .expect("the browser starts");
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(
            page.contains(&format!("<body>{site}/{new}</body>")),
            "{old}: {page}"
        );
    }
}
