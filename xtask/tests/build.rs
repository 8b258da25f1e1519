//! `cargo xtask build`: what it writes, what it refuses, and what it leaves alone.

mod small_book;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use small_book::SmallBook;

/// Every file below a folder with its bytes.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .expect("below")
                    .display()
                    .to_string();
                files.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn the_same_book_gives_the_same_bytes() {
    let book = SmallBook::new();
    let (one, two) = (book.root().join("one"), book.root().join("two"));
    for dest in [&one, &two] {
        let output = book.run(&["build", "--dest", dest.to_str().expect("UTF-8")]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(tree(&one) == tree(&two), "two builds of one book differ");
}

#[test]
fn a_page_holds_its_diagram_as_an_image_with_its_caption_and_no_script_for_it() {
    let book = SmallBook::new();
    assert!(book.run(&["build"]).status.success());
    let page = book.read("book/part/one.html");
    assert!(
        page.contains(r#"role="img" aria-labelledby="part-one-diagram-1-caption""#),
        "{page}"
    );
    assert!(
        page.contains(r#"<figcaption id="part-one-diagram-1-caption">"#),
        "{page}"
    );
    assert!(page.contains("A client asks a server."), "{page}");
    assert!(!page.contains("data-diagram"), "a placeholder is left");
    let scripts: Vec<String> = tree(&book.root().join("book"))
        .into_keys()
        .filter(|name| name.contains("mermaid"))
        .collect();
    assert_eq!(scripts, [""; 0]);
}

#[test]
fn a_build_that_fails_leaves_the_last_good_site_and_names_file_and_line() {
    let book = SmallBook::new();
    assert!(book.run(&["build"]).status.success());
    let good = tree(&book.root().join("book"));
    let breaks = [
        (
            "one_program.rs:claim",
            "one_program.rs:clam",
            "src/part/one.md:13: anchor \"clam\" not found in examples/one_program.rs (has: claim)",
        ),
        (
            "one_program.out}}",
            "no_program.out}}",
            "src/part/one.md:17: ",
        ),
        ("A[Client] -->", "A[Client -->", "src/part/one.md:"),
    ];
    for (old, new, message) in breaks {
        book.edit("src/part/one.md", old, new);
        let output = book.run(&["build"]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("backtrace"), "{error}");
        assert!(
            tree(&book.root().join("book")) == good,
            "the last good site changed"
        );
        book.edit("src/part/one.md", new, old);
    }
    let left: Vec<_> = fs::read_dir(book.root())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with(".site-"))
        .collect();
    assert!(left.is_empty(), "half-built sites are left: {left:?}");
}

#[test]
fn a_folder_that_holds_anything_else_is_not_replaced() {
    let book = SmallBook::new();
    book.write("precious/letter.txt", "do not lose");
    let dest = book.root().join("precious");
    let output = book.run(&["build", "--dest", dest.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "error: {} holds files that no earlier build wrote: \
             remove it or name another folder with --dest\n",
            dest.display()
        )
    );
    assert_eq!(book.read("precious/letter.txt"), "do not lose");
}

#[test]
fn the_links_to_the_repository_come_from_the_environment() {
    let book = SmallBook::new();
    let output = book
        .command()
        .arg("build")
        .env(
            "MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL",
            "https://example.org/owner/book",
        )
        .env(
            "MDBOOK_OUTPUT__HTML__EDIT_URL_TEMPLATE",
            "https://example.org/owner/book/edit/{path}",
        )
        .output()
        .expect("the tool starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let page = book.read("book/part/one.html");
    assert!(
        page.contains("https://example.org/owner/book/edit/src/part/one.md"),
        "{page}"
    );
}

#[test]
fn no_script_is_shipped_but_the_pages_own() {
    let book = SmallBook::new();
    book.edit(
        "book.toml",
        "[output.html]\n",
        "[output.html]\nadditional-js = [\"mermaid.min.js\", \"mermaid-init.js\", \"own.js\"]\n",
    );
    for script in ["mermaid.min.js", "mermaid-init.js", "own.js"] {
        book.write(script, "// a script");
    }
    assert!(book.run(&["build"]).status.success());
    let scripts: Vec<String> = tree(&book.root().join("book"))
        .into_keys()
        .filter(|name| name.ends_with(".js"))
        .collect();
    assert!(!scripts.is_empty(), "the page has a script of its own");
    for script in scripts {
        assert!(
            ["page-", "run-", "search-", "lab-", "sw.js"]
                .iter()
                .any(|own| script.starts_with(own)),
            "{script} is shipped"
        );
    }
    let page = book.read("book/part/one.html");
    for stranger in [
        "mermaid-init",
        "mermaid.min",
        "own.js",
        "book.js",
        "highlight.js",
    ] {
        assert!(!page.contains(stranger), "{stranger}: {page}");
    }
}

#[test]
fn a_page_has_the_whole_table_of_contents_and_names_only_files_that_are_there() {
    let book = SmallBook::new();
    assert!(book.run(&["build"]).status.success());
    let files = tree(&book.root().join("book"));
    for page in files.keys().filter(|name| name.ends_with(".html")) {
        let html = book.read(&format!("book/{page}"));
        assert!(
            html.contains("part/one.html\""),
            "{page} lists no chapter: {html}"
        );
        assert!(
            !html.contains("@asset(") && !html.contains("@inline("),
            "{page}"
        );
        let folder = Path::new(page).parent().expect("a folder");
        for attribute in ["src=\"", "<link rel=\"stylesheet\" href=\""] {
            for name in html.split(attribute).skip(1) {
                let name = name.split('"').next().expect("its end");
                // The page for an unknown address is shown at any depth.
                let below = if page == "404.html" {
                    name.strip_prefix('/').expect("from the host's root")
                } else {
                    let depth = name.matches("../").count();
                    assert_eq!(depth, folder.components().count(), "{page}: {name}");
                    &name[depth * 3..]
                };
                assert!(files.contains_key(below), "{page}: {name} is missing");
            }
        }
    }
}

#[test]
fn a_page_names_the_files_of_the_search_and_loads_none_of_them() {
    let book = SmallBook::new();
    assert!(book.run(&["build"]).status.success());
    let files = tree(&book.root().join("book"));
    let html = book.read("book/part/one.html");
    for attribute in ["js", "css", "index"] {
        let named = format!("data-search-{attribute}=\"../");
        let (_, name) = html.split_once(&named).expect("the page names it");
        let name = name.split('"').next().expect("its end");
        assert!(files.contains_key(name), "{name} is missing");
        assert_eq!(html.matches(name).count(), 1, "{name} is loaded: {html}");
        if attribute != "index" {
            continue;
        }
        let list: serde_json::Value =
            serde_json::from_slice(&files[name]).expect("the list is JSON");
        let texts = list["pages"].as_array().expect("pages").iter();
        let texts = texts.flat_map(|page| [&page[2], &page[3]]);
        let terms = list["terms"].as_array().expect("terms").iter();
        let terms = terms.map(|terms| &terms[1]);
        for file in texts.chain(terms) {
            let file = file.as_str().expect("a name");
            assert!(files.contains_key(file), "{file} is missing");
        }
    }
}
