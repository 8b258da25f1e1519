//! `cargo xtask check` as a contributor meets it: a small book that is fine, one thing in it
//! broken, and every line that is printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const ACID: &str = "src/data/acid.md";
const BASE: &str = "src/data/base.md";
const PROGRAM: &str = "examples/acid_transfer.rs";

/// The files of a book in which nothing is wrong.
const FINE: [(&str, &str); 13] = [
    ("book.toml", "[book]\ntitle = \"Small\"\n"),
    (
        "README.md",
        "# Small\n\nRead the [book](src/introduction.md), or [its parts](src/data/).\n",
    ),
    (
        "src/SUMMARY.md",
        "# Summary\n\n[Introduction](introduction.md)\n\n# Part I\n\n- [ACID](data/acid.md)\n\
         - [BASE](data/base.md)\n\n---\n\n[Glossary](glossary.md)\n",
    ),
    ("src/introduction.md", "# Introduction\n\nHello.\n"),
    (
        "src/glossary.md",
        "# Glossary\n\n<!-- The build adds the terms. -->\n",
    ),
    (
        ACID,
        "# ACID\n\
         \n\
         See [BASE](base.md#what-base-gives-up) and the [quorum](../glossary.md#quorum).\n\
         \n\
         ```mermaid\n\
         flowchart TD\n\
         \x20 A[Client] --> B[Store]\n\
         ```\n\
         \n\
         *A client asks the store.*\n\
         \n\
         ```rust\n\
         {{#rustdoc_include ../../examples/acid_transfer.rs:commit}}\n\
         ```\n\
         \n\
         ```console\n\
         $ cargo run --example acid_transfer\n\
         ```\n\
         \n\
         ```text\n\
         {{#include ../../examples/acid_transfer.out}}\n\
         ```\n\
         \n\
         ```rust,noplayground\n\
         use axum::Router;\n\
         \n\
         fn main() {\n\
         \x20   let _: Option<Router> = None;\n\
         }\n\
         ```\n\
         \n\
         ## Terms\n\
         \n\
         quorum\n\
         : More than half of the votes.\n\
         \n\
         ## Sources\n\
         \n\
         - paper: <https://doi.org/10.1145/289.291>\n",
    ),
    (
        BASE,
        "# BASE\n\nIt is not [ACID](acid.md).\n\n## What BASE gives up\n\n```text\n\
         {{#include ../../real/src/bin/serve.out}}\n```\n\n## Terms\n\nbase\n: Soft state.\n\n\
         ## Sources\n\n- spec\n",
    ),
    (
        PROGRAM,
        "//! A transfer.\n\n// ANCHOR: open\nstruct Account;\n// ANCHOR_END: open\n\n\
         // ANCHOR: commit\nfn main() {\n    let _ = Account;\n    println!(\"done\");\n}\n\
         // ANCHOR_END: commit\n",
    ),
    ("examples/acid_transfer.out", "done\n"),
    (
        "real/src/bin/serve.rs",
        "fn main() {\n    println!(\"up\");\n}\n",
    ),
    ("real/src/bin/serve.out", "up\n"),
    (
        "snippets/Cargo.toml",
        "[package]\nname = \"snippets\"\n\n[dependencies]\naxum = \"0.8\"\nfastrand = \"2\"\n",
    ),
    ("theme/book.css", "main {}\n"),
];

/// A book in a folder of its own.
struct Book {
    folder: TempDir,
}

/// Git as it is on a machine where nobody has set anything, but with an author.
fn git() -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
        .args(["-c", "protocol.file.allow=always"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    git
}

/// What the command printed and how it ended.
struct Outcome {
    findings: String,
    summary: String,
    status: Option<i32>,
}

/// The check of the book in `folder`, with these variables set.
fn check(folder: &Path, variables: &[(&str, &str)]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--root")
        .arg(folder)
        .arg("check")
        .env("RUST_BACKTRACE", "1")
        .env_remove("CI")
        .envs(variables.iter().copied())
        .output()
        .expect("xtask");
    Outcome {
        findings: String::from_utf8(output.stdout).expect("UTF-8"),
        summary: String::from_utf8(output.stderr).expect("UTF-8"),
        status: output.status.code(),
    }
}

impl Book {
    /// The book in which nothing is wrong.
    fn fine() -> Self {
        let book = Self {
            folder: TempDir::new().expect("a folder"),
        };
        for (path, text) in FINE {
            book.write(path, text);
        }
        book.git(&["init", "--quiet"]);
        book
    }

    /// Runs git in the book's folder, apart from what this machine's user has set.
    fn git(&self, arguments: &[&str]) {
        let output = git()
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .expect("git starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
    }

    /// Commits all of the book as it is now.
    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "book: change it"]);
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder above it")).expect("the folder");
        fs::write(path, text).expect("the file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("the file")
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).expect("the file");
    }

    /// Puts `new` in place of the one `old` of a file.
    fn replace(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {path}");
        self.write(path, text.replace(old, new));
    }

    /// Adds lines to the end of ACID, after a blank one: they begin with line 41.
    fn add(&self, text: &str) {
        self.write(ACID, format!("{}\n{text}\n", self.read(ACID)));
    }

    fn check(&self) -> Outcome {
        check(self.folder.path(), &[])
    }

    /// Asserts that the check finds these lines and nothing else.
    #[track_caller]
    fn finds(&self, expected: &[&str]) {
        let Outcome {
            findings,
            summary,
            status,
        } = self.check();
        assert_eq!(findings.lines().collect::<Vec<_>>(), expected, "{summary}");
        let count = match expected.len() {
            1 => "1 finding".to_owned(),
            number => format!("{number} findings"),
        };
        assert!(summary.ends_with(&format!(", {count}\n")), "{summary}");
        assert_eq!(summary.lines().count(), 1, "{summary}");
        assert_eq!(status, Some(1));
    }

    #[track_caller]
    fn is_fine(&self) {
        let Outcome {
            findings,
            summary,
            status,
        } = self.check();
        assert_eq!(findings, "");
        assert!(summary.ends_with(", nothing wrong\n"), "{summary}");
        assert_eq!(status, Some(0));
    }
}

#[test]
fn a_book_with_nothing_wrong_passes_in_one_line() {
    let Outcome {
        findings,
        summary,
        status,
    } = Book::fine().check();
    assert_eq!(findings, "");
    assert_eq!(
        summary,
        "check: 4 chapters, 6 blocks, 6 links, nothing wrong\n"
    );
    assert_eq!(status, Some(0));
}

#[test]
fn everything_is_reported_in_one_run_by_file_and_line() {
    let book = Book::fine();
    book.add("[gone](gone.md)\n\n![](../theme/x.svg)\n\n```rust,norun\nfn main() {}\n```");
    book.replace(PROGRAM, "// ANCHOR_END: open\n", "");
    book.write(
        "src/data/cap.md",
        "# CAP\n\nTODO: say it.\n\n## Terms\n\n## Sources\n",
    );
    book.finds(&[
        "examples/acid_transfer.rs:3: anchor \"open\" is never closed: add \
         `// ANCHOR_END: open` after its part",
        "src/data/acid.md:41: link to gone.md: no such file, create it or mend the path",
        "src/data/acid.md:43: image without words: say what it shows, ![…](../theme/x.svg)",
        "src/data/acid.md:43: link to ../theme/x.svg: no such file, create it or mend the path",
        "src/data/acid.md:45: unknown fence word \"norun\": did you mean noplayground?",
        "src/data/cap.md:1: not in src/SUMMARY.md: add the line `- [CAP](data/cap.md)` to it",
        "src/data/cap.md:3: TODO left: say it.",
    ]);
}

#[test]
fn a_folder_without_a_book_is_one_plain_error() {
    let folder = TempDir::new().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--root")
        .arg(folder.path())
        .arg("check")
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("xtask");
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    let expected = format!(
        "error: no book at {}: it has no folder src\n",
        folder.path().display()
    );
    assert_eq!(error, expected);
    assert_eq!(output.status.code(), Some(1));
}

// ---- links

#[test]
fn a_link_to_a_missing_file_names_the_nearest() {
    let book = Book::fine();
    book.add(
        "[a](bace.md) and [b][ref], ![a picture](pictures/acid.svg)\n\n\
         <a href=\"../data/acids.md\">raw</a>\n\n\
         <div>\n<img alt='x'\nsrc=\"shot.png\">\n</div>\n\n\
         [ref]: ../introductoin.md 'title'",
    );
    book.finds(&[
        "src/data/acid.md:41: link to bace.md: no such file, nearest is base.md",
        "src/data/acid.md:41: link to pictures/acid.svg: no such file, \
         create it or mend the path",
        "src/data/acid.md:43: link to ../data/acids.md: no such file, nearest is acid.md",
        "src/data/acid.md:46: link to shot.png: no such file, create it or mend the path",
        "src/data/acid.md:50: link to ../introductoin.md: no such file, \
         nearest is ../introduction.md",
    ]);
}

#[test]
fn a_link_must_lead_to_something_that_the_site_has() {
    let book = Book::fine();
    book.add("[program](../../examples/acid_transfer.rs) [root](/data/base.md) [empty]()");
    book.finds(&[
        "src/data/acid.md:41: link to ../../examples/acid_transfer.rs leaves src/, and the site \
         does not have the file: include it, or link to it in the repository with https://",
        "src/data/acid.md:41: link to /data/base.md breaks on a site that is not at the root of \
         its host: write the path relative to this file",
        "src/data/acid.md:41: link without a destination: write one, or take the brackets away",
    ]);
}

#[test]
fn a_missing_fragment_names_similar_ids() {
    let book = Book::fine();
    book.add(
        "[a](#termz) [b](base.md#what-base-gives-away) [c](../glossary.md#quorums) \
         [d](base.md#zzz) <a href='#sorces'>e</a>",
    );
    book.finds(&[
        "src/data/acid.md:41: fragment #quorums not found in src/glossary.md (similar: quorum)",
        "src/data/acid.md:41: fragment #sorces not found in src/data/acid.md (similar: sources)",
        "src/data/acid.md:41: fragment #termz not found in src/data/acid.md (similar: terms)",
        "src/data/acid.md:41: fragment #what-base-gives-away not found in src/data/base.md \
         (similar: what-base-gives-up)",
        "src/data/acid.md:41: fragment #zzz not found in src/data/base.md \
         (has: base, what-base-gives-up, terms, base-1, sources)",
    ]);
}

#[test]
fn a_reference_to_nothing_is_found() {
    let book = Book::fine();
    book.add("The [paper][gray] and the [manual][], not \\[this][one] and not `a[i][j]`.");
    book.finds(&[
        "src/data/acid.md:41: reference [gray] is not defined: \
         add a line `[gray]: https://…`, or put the text in backticks",
        "src/data/acid.md:41: reference [manual] is not defined: \
         add a line `[manual]: https://…`, or put the text in backticks",
    ]);
}

#[test]
fn a_plain_http_address_is_found_wherever_a_reader_meets_it() {
    let book = Book::fine();
    book.add(
        "[a](http://example.org/a) <http://example.org/b> and http://example.org/c, see\n\
         <a href=\"http://example.org/d\">d</a>.\n\n\
         Not in `http://example.org/e`, not in\n\n```console\n$ curl http://127.0.0.1:80/\n```\n\n\
         [f]: http://example.org/f",
    );
    book.finds(&[
        "src/data/acid.md:41: plain address http://example.org/c: use https://",
        "src/data/acid.md:41: plain link http://example.org/a: use https://",
        "src/data/acid.md:41: plain link http://example.org/b: use https://",
        "src/data/acid.md:42: plain link http://example.org/d: use https://",
        "src/data/acid.md:50: plain link http://example.org/f: use https://",
    ]);
}

// ---- includes

#[test]
fn a_missing_include_names_the_nearest_file_or_the_anchors() {
    let book = Book::fine();
    book.add(
        "```rust\n{{#rustdoc_include ../../examples/acid_transfer.rs:transfer}}\n```\n\n\
         ```rust\n{{#include ../../examples/acid_tranfser.rs}}\n```\n\n\
         {{#playground ../../examples/gone_for_good.rs editable}}\n\n\
         ```toml\n{{#include ../../snippets/Cargo.toml:deps}}\n```",
    );
    book.finds(&[
        "src/data/acid.md:42: anchor \"transfer\" not found in examples/acid_transfer.rs \
         (has: commit, open)",
        "src/data/acid.md:46: included file examples/acid_tranfser.rs does not exist \
         (nearest: ../../examples/acid_transfer.rs)",
        "src/data/acid.md:49: included file examples/gone_for_good.rs does not exist",
        "src/data/acid.md:52: anchor \"deps\" not found in snippets/Cargo.toml (it has none)",
    ]);
}

#[test]
fn an_include_by_line_number_is_refused() {
    let book = Book::fine();
    book.add(
        "```rust\n{{#rustdoc_include ../../examples/acid_transfer.rs:2:9}}\n```\n\n\
         ```rust\n{{#include ../../examples/acid_transfer.rs::11}}\n```",
    );
    let message = "include by line number, which moves with every edit: use an anchor of \
                   examples/acid_transfer.rs (has: commit, open)";
    book.finds(&[
        &format!("src/data/acid.md:42: {message}"),
        &format!("src/data/acid.md:46: {message}"),
    ]);
}

#[test]
fn a_part_too_long_to_be_read_in_one_go_is_refused() {
    let book = Book::fine();
    let part = |statements: usize| {
        let code = "    let _ = 1;\n".repeat(statements);
        format!(
            "// ANCHOR: open\n// ANCHOR_END: open\n// ANCHOR: commit\nfn main() {{\n    \
             // a comment is no line of code\n\n{code}}}\n// ANCHOR_END: commit\n"
        )
    };
    book.write(PROGRAM, part(58));
    book.add("```rust\n{{#rustdoc_include ../../examples/acid_transfer.rs:commit}}\n```");
    book.is_fine();
    book.write(PROGRAM, part(59));
    let message = "part \"commit\" of examples/acid_transfer.rs has 61 lines of code, more than \
                   60: show a shorter part, or two";
    book.finds(&[
        &format!("src/data/acid.md:13: {message}"),
        &format!("src/data/acid.md:42: {message}"),
    ]);
}

#[test]
fn a_directive_that_mdbook_would_leave_as_it_stands_is_found() {
    let book = Book::fine();
    book.add("{{#inclde x.rs}}\n\n`{{#include ../../examples/acid_transfer.out}`\n\n{{#if a}}");
    book.finds(&[
        "src/data/acid.md:41: {{#inclde}} is not known: did you mean {{#include}}?",
        "src/data/acid.md:43: {{#include is never closed: end it with }}",
    ]);
}

#[test]
fn anchors_come_in_pairs_and_once() {
    let book = Book::fine();
    book.write(
        PROGRAM,
        "// ANCHOR: commit\nfn main() {}\n// ANCHOR_END: commit\n// ANCHOR: commit\n\
         // ANCHOR_END: commit\n// ANCHOR_END: lone\n// ANCHOR: open\n",
    );
    book.finds(&[
        "examples/acid_transfer.rs:4: anchor \"commit\" is there twice (first on line 1): \
         rename one",
        "examples/acid_transfer.rs:6: ANCHOR_END of \"lone\" without its beginning: \
         add `// ANCHOR: lone` above",
        "examples/acid_transfer.rs:7: anchor \"open\" is never closed: \
         add `// ANCHOR_END: open` after its part",
    ]);
}

#[test]
fn an_anchor_in_a_workflow_is_mended_by_a_comment_of_yaml() {
    let book = Book::fine();
    book.write(
        ".github/workflows/ci.yml",
        "# ANCHOR: jobs\njobs: {}\n# ANCHOR_END: lone\n",
    );
    book.add("```yaml\n{{#include ../../.github/workflows/ci.yml:jobs}}\n```");
    book.finds(&[
        ".github/workflows/ci.yml:1: anchor \"jobs\" is never closed: \
         add `# ANCHOR_END: jobs` after its part",
        ".github/workflows/ci.yml:3: ANCHOR_END of \"lone\" without its beginning: \
         add `# ANCHOR: lone` above",
    ]);
}

// ---- fences and the Rust in them

#[test]
fn a_word_after_a_fence_must_be_known() {
    let book = Book::fine();
    book.add(
        "```rust,shouldpanic\nfn main() {}\n```\n\n```rust,norun,fast\nfn main() {}\n```\n\n\
         ```toml editable\na = 1\n```\n\n```sh\n$ ls\n```\n\n```yamll\na: 1\n```\n\n\
         ```brainfuck\n+\n```\n\n> ```\n> x\n> ```\n\n- item\n\n      indented\n",
    );
    book.finds(&[
        "src/data/acid.md:41: unknown fence word \"shouldpanic\": did you mean should_panic?",
        "src/data/acid.md:45: unknown fence word \"fast\": after rust stand only editable, \
         noplayground, should_panic, compile_fail",
        "src/data/acid.md:45: unknown fence word \"norun\": did you mean noplayground?",
        "src/data/acid.md:49: \"editable\" after toml does nothing: take it away",
        "src/data/acid.md:53: unknown language \"sh\": did you mean console?",
        "src/data/acid.md:57: unknown language \"yamll\": did you mean yaml?",
        "src/data/acid.md:61: unknown language \"brainfuck\": use one of the table LANGUAGES in \
         xtask/src/check/fences.rs, or add it there",
        "src/data/acid.md:65: code block without a language: say which after the fence \
         (rust, console, toml, …)",
        "src/data/acid.md:71: indented code block: fence it with ``` and say which language",
    ]);
}

#[test]
fn a_rust_block_may_not_hide_from_the_tests() {
    let book = Book::fine();
    book.add(
        "```rust,ignore\nfn main() {}\n```\n\n```rust,no_run\nfn main() {}\n```\n\n\
         ```rust,edition2018\nfn main() {}\n```",
    );
    book.finds(&[
        "src/data/acid.md:41: `ignore` hides a block from the tests: make it run, \
         or use compile_fail if it is there to be refused",
        "src/data/acid.md:45: `no_run` keeps a block from being run: make it end by itself, \
         with noplayground if the playground cannot run it",
        "src/data/acid.md:49: `edition2018` is not for one block to choose: \
         the book is edition 2021, take it away",
    ]);
}

#[test]
fn a_rust_block_is_a_whole_program() {
    let book = Book::fine();
    book.add(
        "```rust\nlet x = 1;\n```\n\n```rust,compile_fail\nlet x: u8 = 256;\n```\n\n\
         ```rust\n// fn main\n```\n\n```rust\n# fn main() {\nassert!(true);\n# }\n```",
    );
    let message = "Rust block without fn main: every block is compiled alone, \
                   so wrap it in `fn main() { … }`";
    book.finds(&[
        &format!("src/data/acid.md:41: {message}"),
        &format!("src/data/acid.md:45: {message}"),
        &format!("src/data/acid.md:49: {message}"),
    ]);
}

#[test]
fn a_wide_line_of_rust_is_found_in_blocks_and_programs() {
    let book = Book::fine();
    let wide = format!("// {}", "x".repeat(83));
    let fits = format!("// {}", "é".repeat(82));
    book.add(&format!(
        "- ```rust\n  fn main() {{}}\n  {wide}\n  {fits}\n  # {wide}\n  ```"
    ));
    book.replace(
        PROGRAM,
        "//! A transfer.\n",
        &format!("//! A transfer.\n{wide}\n{fits}\n"),
    );
    book.finds(&[
        "examples/acid_transfer.rs:2: 86 columns wide, 85 fit: break the line",
        "src/data/acid.md:43: 86 columns wide, 85 fit: break the line",
    ]);
}

// ---- the playground

#[test]
fn a_block_with_a_run_button_uses_only_what_the_playground_has() {
    let book = Book::fine();
    book.add(
        "```rust\nuse std::{fmt, io};\nuse {axum::Router, fastrand as random};\n\n\
         fn main() {}\n```\n\n\
         ```rust\nextern crate moka;\n\n#[derive(Clone)]\nstruct A;\n\nfn main() {\n    \
         println!(\"{}\", axum::VERSION);\n    ::redb::open();\n}\n```\n\n\
         ```rust,editable\nuse Colour::*;\nuse shapes::Round;\n\nenum Colour { Red }\n\n\
         mod shapes { pub struct Round; }\n\nfn main() {\n    let _ = (Red, Round, \
         fastrand::bool());\n}\n```",
    );
    let mend = "is not in the public playground: add `noplayground` and the \
                `cargo run --example` line";
    book.finds(&[
        &format!("src/data/acid.md:43: crate axum {mend}"),
        &format!("src/data/acid.md:49: crate moka {mend}"),
        &format!("src/data/acid.md:55: crate axum {mend}"),
        &format!("src/data/acid.md:56: crate redb {mend}"),
    ]);
}

#[test]
fn an_included_program_is_looked_at_whole_for_the_playground() {
    let book = Book::fine();
    book.replace(
        PROGRAM,
        "struct Account;",
        "struct Account;\nuse axum::Router;",
    );
    book.finds(&[
        "src/data/acid.md:13: crate axum is not in the public playground: \
                  add `noplayground` and the `cargo run --example` line",
    ]);
}

// ---- diagrams and images

#[test]
fn a_diagram_that_does_not_parse_says_why_and_where() {
    let book = Book::fine();
    book.add(
        "```mermaid\nflowchart TD\n  A --> [\n  A --> B\n```\n\n*A caption.*\n\n\
         - ```mermaid\n  sequenceDiagram\n    A->>B: asks\n    loop always\n    B->>A answers\n  \
         \x20 end\n  ```\n  *A caption.*\n\n\
         ```mermaid\npie\n  \"a\": 1\n```\n\n*A caption.*\n\n```mermaid\nchart\n```\n\n*A caption.*",
    );
    let kinds =
        "flowchart, sequenceDiagram, stateDiagram-v2, classDiagram, erDiagram and xychart-beta";
    book.finds(&[
        "src/data/acid.md:43: diagram cannot be drawn, mend this line of it: \
         Unterminated node label (missing `]`)",
        "src/data/acid.md:53: diagram cannot be drawn, mend this line of it: \
         unexpected statement separator; expected text",
        &format!(
            "src/data/acid.md:58: diagram cannot be drawn, mend its source: \
             the site draws {kinds}, and no pie"
        ),
        &format!(
            "src/data/acid.md:65: diagram cannot be drawn, mend its source: \
             its first line names no kind of diagram (the site draws {kinds})"
        ),
    ]);

    let book = Book::fine();
    book.add("```mermaid\n%%{init: {'theme': 'dark'}}%%\nflowchart TD\n  A --> B\n```\n\n*Yes.*");
    book.finds(&["src/data/acid.md:42: diagram brings its own settings: \
                  take the `%%{…}` line out, the site sets the theme"]);
}

#[test]
fn a_diagram_has_its_caption_right_below() {
    let diagram = "```mermaid\nflowchart TD\n  A --> B\n```\n";
    let missing = "diagram without a caption: right below the block, say in words what it shows, \
                   in one paragraph wholly in `*…*`";
    for below in [
        "",
        "\nPlain words.\n",
        "\n*Half* a caption.\n",
        "\nHalf *a caption.*\n",
        "\nText.\n\n*Too far.*\n",
        "\n**Strong.**\n",
    ] {
        let book = Book::fine();
        book.add(&format!("{diagram}{below}"));
        book.finds(&[&format!("src/data/acid.md:41: {missing}")]);
    }
    let in_list = diagram
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<String>();
    for below in ["", "  words\n", "  *Half* of it\n", "- *Next item.*\n"] {
        let book = Book::fine();
        book.add(&format!("Tight:\n\n- item\n{in_list}{below}"));
        book.finds(&[&format!("src/data/acid.md:44: {missing}")]);
    }
    let book = Book::fine();
    book.add(&format!("{diagram}\n*One *two* three.*"));
    book.finds(&[
        "src/data/acid.md:46: caption has *emphasis* inside its emphasis: \
                  take the inner stars away",
    ]);
}

#[test]
fn a_caption_is_found_in_tight_and_loose_lists_and_quotes() {
    let book = Book::fine();
    book.add(
        "Tight:\n\n- item\n  ```mermaid\n  flowchart TD\n    A --> B\n  ```\n  *Tight.*\n  - nested\n- next\n\n\
         1. item\n\n   ```mermaid\n   flowchart TD\n     A --> B\n   ```\n\n   *Loose `code`,\n   \
         two lines.*\n\n> ```mermaid\n> flowchart TD\n>   A --> B\n> ```\n> _Quoted._",
    );
    book.is_fine();
}

#[test]
fn an_image_has_words() {
    let book = Book::fine();
    book.write("src/data/x.svg", "<svg/>");
    book.add("![](x.svg) ![ok](x.svg)\n\n![ ][x] <img src=\"x.svg\"> <img src=x.svg alt=x>\n\n[x]: x.svg");
    book.finds(&[
        "src/data/acid.md:41: image without words: say what it shows, ![…](x.svg)",
        "src/data/acid.md:43: image without words: say what it shows in an attribute alt=\"…\"",
        "src/data/acid.md:43: image without words: say what it shows, ![…](x.svg)",
    ]);
}

// ---- interactive figures

#[test]
fn a_figure_is_one_that_exists_on_a_line_of_its_own_with_a_caption_once() {
    let figure = "<lab-figure name=\"cache_eviction\"></lab-figure>";
    let book = Book::fine();
    book.add(&format!("{figure}\n\n*Five policies.*"));
    book.is_fine();
    book.add(&format!("{figure}\n\n*The same again.*"));
    book.finds(&[
        "src/data/acid.md:45: figure cache_eviction stands at src/data/acid.md:41 already: \
         link there instead",
    ]);
    let book = Book::fine();
    book.add(&format!("See {figure} here.\n\nNo caption."));
    book.finds(&[
        "src/data/acid.md:41: a figure stands on a line of its own, as \
         <lab-figure name=\"cache_eviction\"></lab-figure>",
        "src/data/acid.md:41: figure cache_eviction has no caption: add a paragraph wholly in \
         emphasis after it that says in words what it shows",
    ]);
    let book = Book::fine();
    book.add("<lab-figure name=\"cache_evicton\"></lab-figure>\n\n*x*");
    let output = book.check().findings;
    assert!(
        output.contains(
            "src/data/acid.md:41: there is no figure \"cache_evicton\" in labs/src/figures (has: "
        ),
        "{output}"
    );
}

// ---- the table of contents

#[test]
fn a_chapter_outside_the_summary_is_given_its_line() {
    let book = Book::fine();
    book.write(
        "src/data/cap.md",
        "# The `CAP` theorem\n\nx\n\n## Terms\n\n## Sources\n",
    );
    book.write("src/preface.md", "# Preface\n\nx\n");
    book.finds(&[
        "src/data/cap.md:1: not in src/SUMMARY.md: \
         add the line `- [The CAP theorem](data/cap.md)` to it",
        "src/preface.md:1: not in src/SUMMARY.md: add the line `[Preface](preface.md)` to it",
    ]);
}

#[test]
fn a_line_of_the_summary_leads_to_one_file_once() {
    let book = Book::fine();
    book.replace(
        "src/SUMMARY.md",
        "- [BASE](data/base.md)\n",
        "- [BASE](data/bsae.md)\n- [Draft]()\n- [Again](data/acid.md)\n- [CAP](data/theorem.md)\n",
    );
    book.finds(&[
        "src/SUMMARY.md:8: no file src/data/bsae.md: nearest is data/base.md",
        "src/SUMMARY.md:9: draft chapter: name its file, or remove the line",
        "src/SUMMARY.md:10: src/data/acid.md is listed already on line 7: remove one",
        "src/SUMMARY.md:11: no file src/data/theorem.md: create it, or remove the line",
        "src/data/base.md:1: not in src/SUMMARY.md: add the line `- [BASE](data/base.md)` to it",
    ]);
}

#[test]
fn what_mdbook_refuses_in_the_summary_is_passed_on() {
    let book = Book::fine();
    book.replace(
        "src/SUMMARY.md",
        "- [BASE](data/base.md)\n",
        "- [BASE](data/base.md)\n- plain\n",
    );
    book.finds(&[
        "src/SUMMARY.md:9: The link items for nested chapters must only contain \
                  a hyperlink",
    ]);
    book.remove("src/SUMMARY.md");
    let findings = book.check().findings;
    assert!(
        findings
            .starts_with("src/SUMMARY.md:1: no such file: create it and list the chapters in it\n"),
        "{findings}"
    );
}

// ---- programs and outputs

#[test]
fn a_program_is_recorded_and_shown() {
    let book = Book::fine();
    book.write("examples/acid_lost.rs", "fn main() {}\n");
    book.write("examples/acid_many/main.rs", "mod part;\nfn main() {}\n");
    book.write("examples/acid_many/part.rs", "\n");
    book.write("real/src/bin/watch.rs", "fn main() {}\n");
    book.finds(&[
        "examples/acid_lost.rs:1: no chapter includes this program: show a part of it with \
         `{{#rustdoc_include ../../examples/acid_lost.rs:ANCHOR}}`, or remove it",
        "examples/acid_lost.rs:1: no recorded output examples/acid_lost.out: \
         write it with `cargo xtask record acid_lost`",
        "examples/acid_many/main.rs:1: no chapter includes this program: show a part of it with \
         `{{#rustdoc_include ../../examples/acid_many/main.rs:ANCHOR}}`, or remove it",
        "examples/acid_many/main.rs:1: no recorded output examples/acid_many.out: \
         write it with `cargo xtask record acid_many`",
        "real/src/bin/watch.rs:1: no chapter shows what this program prints: include \
         ../../real/src/bin/watch.out in a ```text block, or remove it",
        "real/src/bin/watch.rs:1: no recorded output real/src/bin/watch.out: \
         write it with `cargo xtask record watch`",
    ]);
}

#[test]
fn a_recorded_output_has_its_program() {
    let book = Book::fine();
    book.write("examples/acid_gone.out", "x\n");
    book.write("real/src/bin/gone.out", "x\n");
    book.write("examples/acid_many/main.rs", "fn main() {}\n");
    book.write("examples/acid_many/main.out", "x\n");
    book.write("examples/acid_many.out", "x\n");
    book.add("```rust\n{{#include ../../examples/acid_many/main.rs}}\n```");
    book.finds(&[
        "examples/acid_gone.out:1: recorded output without its program: \
         add examples/acid_gone.rs, or remove it",
        "examples/acid_many/main.out:1: recorded output in the wrong place: \
         move it to examples/acid_many.out",
        "real/src/bin/gone.out:1: recorded output without its program: \
         add real/src/bin/gone.rs, or remove it",
    ]);
}

#[test]
fn shown_output_is_recorded_output() {
    let book = Book::fine();
    book.write("examples/README.out.md", "x\n");
    book.add(
        "```text\ndone\n```\n\n```text\n{{#include ../../examples/acid_transfer.out}}\nmore\n```\n\n\
         ```text\n{{#include ../../snippets/Cargo.toml}}\n```\n\n\
         ```text\n{{#rustdoc_include ../../examples/acid_transfer.out}}\n```\n\n```text\n```",
    );
    let message = "text block that no recorded output stands behind: \
                   its one line is `{{#include ../../examples/NAME.out}}`";
    book.finds(&[
        &format!("src/data/acid.md:41: {message}"),
        &format!("src/data/acid.md:45: {message}"),
        &format!("src/data/acid.md:50: {message}"),
        &format!("src/data/acid.md:54: {message}"),
        &format!("src/data/acid.md:58: {message}"),
    ]);
}

#[test]
fn a_console_block_holds_commands() {
    let book = Book::fine();
    book.add(
        "> ```console\n> $ curl \\\n>     -v localhost\n> HTTP/1.1 200 OK\n> $ ls\n> # ls\n> ```",
    );
    let message = "console line that is no command: begin it with `$ `; \
                   what a command prints goes into a text block";
    book.finds(&[
        &format!("src/data/acid.md:44: {message}"),
        &format!("src/data/acid.md:46: {message}"),
    ]);
}

// ---- headings

#[test]
fn headings_go_down_one_level_at_a_time_from_one_title() {
    let book = Book::fine();
    book.add("#### Deep\n\n# Second\n\n## Fine\n\n> ### Fine too\n\n<h5>Raw</h5>");
    book.replace(BASE, "# BASE\n\n", "");
    book.replace(
        "src/introduction.md",
        "# Introduction\n",
        "## Early\n\n# Introduction\n",
    );
    book.finds(&[
        "src/data/acid.md:41: heading \"Deep\" skips a level: make it ###",
        "src/data/acid.md:43: second title \"Second\" (the first is on line 1): make it ##",
        "src/data/acid.md:49: heading \"<h5>\" skips a level: make it ####",
        "src/data/base.md:1: no title: begin the page with a line `# …`",
        "src/introduction.md:1: heading \"Early\" stands above the title: put the title first",
    ]);
}

#[test]
fn an_id_stands_on_a_page_once() {
    let book = Book::fine();
    book.add(
        "## Same\n\n## Same\n\n## One {#two}\n\n## Two\n\n<b id=\"same\"></b>\n\n\
         quorum\n: Again.",
    );
    book.finds(&[
        "src/data/acid.md:43: id \"same\" is on line 41 already: give one {#other-id}",
        "src/data/acid.md:47: id \"two\" is on line 45 already: give one {#other-id}",
        "src/data/acid.md:49: id \"same\" is on line 41 already: give one another id",
        "src/data/acid.md:51: term \"quorum\" is defined on line 34 already: keep one",
    ]);
}

#[test]
fn a_chapter_of_a_part_ends_with_terms_and_sources() {
    let book = Book::fine();
    book.replace(ACID, "## Terms\n", "## Words\n");
    book.replace(BASE, "## Sources\n", "### Sources\n");
    book.replace(ACID, " and the [quorum](../glossary.md#quorum)", "");
    book.finds(&[
        "src/data/acid.md:1: no section `## Terms`: \
         add it with the definitions that the glossary collects",
        "src/data/base.md:1: no section `## Sources`: \
         add it with what the chapter's claims rest on",
    ]);
}

// ---- text

#[test]
fn a_file_is_utf_8_with_plain_line_ends() {
    let book = Book::fine();
    book.write(
        BASE,
        [book.read(BASE).as_bytes(), b"\ncaf\xE9\n\n[x](gone.md)\n"].concat(),
    );
    book.write("theme/book.css", b"main {}\n/* \xFF */\n");
    book.write("examples/acid_transfer.out", "\u{feff}done\r\nmore\r\n");
    book.write("src/introduction.md", "# Introduction\n\nHello.\r\n");
    book.finds(&[
        "examples/acid_transfer.out:1: CRLF line ends (2 of them): save it with LF",
        "examples/acid_transfer.out:1: begins with a byte order mark: \
         save it as UTF-8 without one",
        "src/data/base.md:20: not UTF-8 (byte 0xE9 at offset 167): save it as UTF-8",
        "src/data/base.md:22: link to gone.md: no such file, create it or mend the path",
        "src/introduction.md:3: CRLF line ends (1 of them): save it with LF",
        "theme/book.css:2: not UTF-8 (byte 0xFF at offset 11): save it as UTF-8",
    ]);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_rest() {
    let book = Book::fine();
    std::os::unix::fs::symlink("nowhere.md", book.path("src/data/cap.md")).expect("a link");
    book.add("[gone](gone.md)");
    book.finds(&[
        "src/data/acid.md:41: link to gone.md: no such file, create it or mend the path",
        "src/data/cap.md:1: cannot be read (No such file or directory (os error 2)): \
         mend its permissions, or remove it",
    ]);
}

#[test]
fn a_chapter_is_not_empty() {
    let book = Book::fine();
    book.write(
        "src/introduction.md",
        "# Introduction\n\n<!-- later\n\n-->\n\n## *Soon*\n",
    );
    book.finds(&["src/introduction.md:1: empty chapter: write it, \
                  or take it out of src/SUMMARY.md"]);
}

#[test]
fn merge_markers_and_unfinished_work_are_found() {
    let book = Book::fine();
    book.add(
        "<<<<<<< ours\n||||||| base\n\n=======\n\n>>>>>>> theirs\n\n\
         TODO: say what breaks. <!-- FIXME(me) the number -->\n\n<b>XXX</b>\n\n\
         ```rust\nfn main() {} // FIXME: gap\n```\n\n\
         Fine: `TODO` in backticks, TODOs, a_TODO, 5XXX, ======.",
    );
    book.replace(
        PROGRAM,
        "//! A transfer.\n",
        "//! A transfer. TODO\n=======\n",
    );
    book.replace("README.md", "Read", "TODO: more\n\nRead");
    book.write("real/src/lib.rs", "// FIXME: later\n");
    let marker = "merge marker left over: choose one side and remove the marker";
    book.finds(&[
        "README.md:3: TODO left: more",
        "examples/acid_transfer.rs:1: TODO left: write what belongs here, then remove the mark",
        &format!("examples/acid_transfer.rs:2: {marker}"),
        "real/src/lib.rs:1: FIXME left: later",
        &format!("src/data/acid.md:41: {marker}"),
        &format!("src/data/acid.md:42: {marker}"),
        &format!("src/data/acid.md:44: {marker}"),
        &format!("src/data/acid.md:46: {marker}"),
        "src/data/acid.md:48: TODO left: say what breaks. <!-- FIXME(me) the number",
        "src/data/acid.md:50: XXX left: write what belongs here, then remove the mark",
        "src/data/acid.md:53: FIXME left: gap",
    ]);
}

// ---- the pages at the root

#[test]
fn the_pages_at_the_root_follow_the_rules_that_fit_them() {
    let book = Book::fine();
    book.write(
        "CONTRIBUTING.md",
        "# Contributing\n\n[a](src/introductio.md) [b](#hwo) [c](README.md#smal)\n\n### How\n\n\
         ```rust,ignore\nlet x = 1;\n```\n\n```shell\nx\n```\n\n![](src/data)\n\n\
         ```mermaid\nnonsense\n```\n\n## How\n\nhttp://example.org/\n\nTODO\n\n\
         ```console\nls\n```\n\n```text\nThis is free: {{#include gone.rs}}\n```\n\n\
         [The root](/examples/acid_transfer.rs)\n",
    );
    book.write("CHANGELOG.md", b"## Any shape\n\n[x](gone.md) TODO: \xFF\n");
    book.finds(&[
        "CHANGELOG.md:3: TODO left: \u{fffd}",
        "CHANGELOG.md:3: not UTF-8 (byte 0xFF at offset 33): save it as UTF-8",
        "CONTRIBUTING.md:3: fragment #hwo not found in CONTRIBUTING.md \
         (has: contributing, how, how-1)",
        "CONTRIBUTING.md:3: fragment #smal not found in README.md (similar: small)",
        "CONTRIBUTING.md:3: link to src/introductio.md: no such file, \
         nearest is src/introduction.md",
        "CONTRIBUTING.md:5: heading \"How\" skips a level: make it ##",
        "CONTRIBUTING.md:7: Rust block without fn main: every block is compiled alone, \
         so wrap it in `fn main() { … }`",
        "CONTRIBUTING.md:7: `ignore` hides a block from the tests: make it run, \
         or use compile_fail if it is there to be refused",
        "CONTRIBUTING.md:11: unknown language \"shell\": did you mean console?",
        "CONTRIBUTING.md:15: image without words: say what it shows, ![…](src/data)",
        "CONTRIBUTING.md:17: diagram without a caption: right below the block, say in words what \
         it shows, in one paragraph wholly in `*…*`",
        "CONTRIBUTING.md:21: id \"how\" is on line 5 already: change the words of one",
        "CONTRIBUTING.md:23: plain address http://example.org/: use https://",
        "CONTRIBUTING.md:25: TODO left: write what belongs here, then remove the mark",
        "CONTRIBUTING.md:28: console line that is no command: begin it with `$ `; \
         what a command prints goes into a text block",
    ]);
}

// ---- what is no fault

#[test]
fn what_only_looks_wrong_is_left_alone() {
    let book = Book::fine();
    book.write(
        "src/data/two words.md",
        "# Two words\n\nx\n\n## Terms\n\n## Sources\n",
    );
    book.replace(
        "src/SUMMARY.md",
        "- [BASE](data/base.md)\n",
        "- [BASE](data/base.md)\n  - [Two](data/two%20words.md)\n",
    );
    book.add(
        "## Load balancer\n\nLoad balancer\n: A term that reads like its heading.\n\n\
         Escaped: \\{{#include gone.rs}}, and \\{{#rustdoc_include gone.rs:x}} too.\n\n\
         A note[^one], [titled](base.md \"with title\"), [spaced](two%20words.md#%74wo-words), \
         [mail](mailto:a@example.org), <a@example.org>, [folder](../data/), [top](#), \
         [query](base.md?x=1#base), [note](#footnote-one), [back](#fr-one-1), \
         [raw](#Raw), [named](#named), [self][], [Load][load BALANCER].\n\n\
         `[code](gone.md)`, `http://example.org`, <!-- [comment](gone.md) http://example.org -->\n\n\
         <!--\n<a href=\"gone.md\"><img src=\"gone.png\">\n-->\n\n\
         <details id=\"Raw\"><summary>More <a name=\"named\"></a></summary>\n\n### Inside\n\n\
         </details>\n\n\
         <script>const x = '<a href=\"gone.md\">';</script>\n\n\
         - in a list\n\n  ```rust\n  {{#rustdoc_include ../../examples/acid_transfer.rs:commit}}\n  \
         ```\n\n  ```toml\n  # [link](gone.md)\n  ```\n\n\
         > [!WARNING]\n> ```rust,editable,should_panic\n> # #![allow(unused)]\n> #[derive(Debug)]\n\
         > struct A;\n> fn main() {\n>     panic!(\"http://example.org\");\n> }\n> ```\n\n\
         ````markdown\n```text\n[x](gone.md)\n```\n````\n\n\
         {{#playground ../../examples/acid_transfer.rs editable}}\n\n\
         ~~~rust\n{{#include ../../examples/acid_transfer.rs}}\n~~~\n\n\
         ```rust\nuse fastrand::Rng;\nuse std::fmt;\nuse inner::Thing as Other;\n\n\
         mod inner {\n    pub struct Thing;\n    pub mod axum { pub fn f() {} }\n}\n\n\
         fn main() {\n    use inner::axum;\n    axum::f();\n    let _ = (Rng::with_seed(1), Other);\n\
         \x20   let _ = fmt::Error;\n}\n```\n\n\
         ```console\n$ curl --verbose \\\n    http://127.0.0.1:8080/\n$ ls\n```\n\n\
         [^one]: The note, with a [link](base.md).\n\n\
         [self]: #load-balancer\n[load balancer]: #load-balancer",
    );
    book.is_fine();
}

#[test]
fn ids_that_an_included_page_brings_can_be_linked_to() {
    let book = Book::fine();
    book.write("snippets/part.md", "## Brought in\n");
    book.add("{{#include ../../snippets/part.md}}\n\n[there](#brought-in)");
    book.is_fine();
}

#[test]
fn a_glossary_that_the_summary_lists_may_be_linked_to_before_it_is_there() {
    let book = Book::fine();
    book.remove("src/glossary.md");
    book.finds(&["src/SUMMARY.md:12: no file src/glossary.md: create it, or remove the line"]);
}

// ---- other sites

/// A stand-in for cargo that notes how it was called and ends as told.
#[cfg(unix)]
fn fake_cargo(folder: &Path, status: i32) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = folder.join("cargo");
    let notes = folder.join("notes");
    let text = format!(
        "#!/bin/sh\necho \"$@\" > '{}'\necho 'src/x.md:1: https://example.org answers 404'\n\
         exit {status}\n",
        notes.display()
    );
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its rights");
    script
}

#[cfg(unix)]
#[test]
fn external_links_are_asked_for_after_the_rules_and_count_as_much() {
    for status in [0, 1] {
        let book = Book::fine();
        let helper = TempDir::new().expect("a folder");
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("--root")
            .arg(book.folder.path())
            .args(["check", "--external"])
            .env("CARGO", fake_cargo(helper.path(), status))
            .output()
            .expect("xtask");
        assert_eq!(output.status.code(), Some(status));
        let findings = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(findings, "src/x.md:1: https://example.org answers 404\n");
        let called = fs::read_to_string(helper.path().join("notes")).expect("the notes");
        let (start, end) = called
            .trim_end()
            .split_once(" --manifest-path ")
            .expect("a manifest");
        assert_eq!(start, "run --quiet --locked");
        let root = book.folder.path().display();
        assert!(
            end.ends_with(&format!("links/Cargo.toml -- --web-only --root {root}")),
            "{end}"
        );
    }
}

// ---- pages that are gone, and redirects

/// Takes BASE away, and every link to it.
fn without_base(book: &Book) {
    for path in [BASE, "real/src/bin/serve.rs", "real/src/bin/serve.out"] {
        book.remove(path);
    }
    book.replace("src/SUMMARY.md", "- [BASE](data/base.md)\n", "");
    book.replace(ACID, "See [BASE](base.md#what-base-gives-up) and", "See");
}

#[test]
fn a_page_that_was_published_and_is_gone_has_to_lead_on() {
    let book = Book::fine();
    book.commit();
    without_base(&book);
    let missing = "src/data/base.md was published and is gone: ";
    let line = "\"/data/base.html\" = \"../index.html\"";
    let or = "or name the page that took its place";
    book.finds(&[&format!(
        "book.toml:2: {missing}add `[output.html.redirect]` and below it the line `{line}`, {or}"
    )]);
    // Committed or not, it is as gone.
    book.commit();
    book.write(
        "book.toml",
        "[book]\ntitle = \"Small\"\n\n[output.html.redirect]\n",
    );
    book.finds(&[&format!(
        "book.toml:4: {missing}add the line `{line}` to [output.html.redirect], {or}"
    )]);
    book.write(
        "book.toml",
        format!("[book]\ntitle = \"Small\"\n\n[output.html.redirect]\n{line}\n"),
    );
    book.is_fine();
}

#[test]
fn each_name_that_a_renamed_page_ever_had_is_led_to_its_newest() {
    let book = Book::fine();
    book.commit();
    for (old, new) in [
        ("data/base", "data/soft-state"),
        ("data/soft-state", "x/so"),
    ] {
        fs::create_dir_all(book.path("src/x")).expect("a folder");
        fs::rename(
            book.path(&format!("src/{old}.md")),
            book.path(&format!("src/{new}.md")),
        )
        .expect("the file");
        book.replace("src/SUMMARY.md", &format!("{old}.md"), &format!("{new}.md"));
        book.commit();
    }
    book.replace(ACID, "(base.md#", "(../x/so.md#");
    book.replace("src/x/so.md", "(acid.md)", "(../data/acid.md)");
    let mend = |name: &str| {
        format!(
            "book.toml:2: src/data/{name}.md was published and is gone: add \
             `[output.html.redirect]` and below it the line \
             `\"/data/{name}.html\" = \"../x/so.html\"`, or name the page that took its place"
        )
    };
    book.finds(&[&mend("base"), &mend("soft-state")]);
}

#[test]
fn what_only_a_merged_branch_had_for_a_while_was_never_published() {
    let book = Book::fine();
    book.commit();
    // The branch calls its page one thing, then another, and is merged.
    book.git(&["checkout", "--quiet", "-b", "change"]);
    book.write(
        "src/data/tried.md",
        "# CAP\n\nPick.\n\n## Terms\n\n## Sources\n\n- spec\n",
    );
    book.replace("src/SUMMARY.md", "\n---", "- [CAP](data/tried.md)\n\n---");
    book.commit();
    fs::rename(book.path("src/data/tried.md"), book.path("src/data/cap.md")).expect("the file");
    book.replace("src/SUMMARY.md", "data/tried.md", "data/cap.md");
    book.commit();
    book.git(&["checkout", "--quiet", "-"]);
    book.git(&["merge", "--quiet", "--no-ff", "-m", "book: merge", "change"]);
    book.is_fine();
}

#[test]
fn a_page_that_is_only_not_listed_is_not_called_gone_as_well() {
    let book = Book::fine();
    book.commit();
    book.replace("src/SUMMARY.md", "- [BASE](data/base.md)\n", "");
    book.finds(&[
        "src/data/base.md:1: not in src/SUMMARY.md: add the line `- [BASE](data/base.md)` to it",
    ]);
}

#[test]
fn a_draft_or_a_line_in_a_comment_was_no_page() {
    let book = Book::fine();
    let summary = book.read("src/SUMMARY.md");
    let with = "- [Later]()\n\n<!--\n- [Hidden](data/hidden.md)\n-->\n\n---";
    book.write("src/SUMMARY.md", summary.replace("---", with));
    book.commit();
    book.write("src/SUMMARY.md", summary);
    book.is_fine();
}

#[test]
fn without_its_history_a_book_is_checked_but_for_that_and_ci_refuses() {
    let book = Book::fine();
    book.commit();
    book.add("More.");
    book.commit();
    let shallow = TempDir::new().expect("a folder");
    let cloned = git()
        .args(["clone", "--quiet", "--depth", "1"])
        .arg(format!("file://{}", book.folder.path().display()))
        .arg(shallow.path())
        .output()
        .expect("git starts");
    assert!(cloned.status.success(), "{cloned:?}");
    let plain = Book::fine();
    fs::remove_dir_all(plain.path(".git")).expect("the folder");
    let cases = [
        (
            shallow.path(),
            "this clone has no history (run `git fetch --unshallow`)",
        ),
        (
            plain.folder.path(),
            "git says \"fatal: not a git repository (or any of the parent directories): .git\" \
             (work in a clone of the repository)",
        ),
    ];
    for (folder, why) in cases {
        let what = "whether a published page is gone was not checked";
        // A folder above may be a repository; git is told not to look.
        let here = folder
            .parent()
            .expect("a folder above")
            .display()
            .to_string();
        let alone = ("GIT_CEILING_DIRECTORIES", here.as_str());
        let told = check(folder, &[alone]);
        assert_eq!(told.findings, "");
        assert_eq!(
            told.summary,
            format!("check: {what}: {why}\ncheck: 4 chapters, 6 blocks, 6 links, nothing wrong\n")
        );
        assert_eq!(told.status, Some(0));
        let refused = check(folder, &[alone, ("CI", "true")]);
        assert_eq!(
            refused.findings,
            format!("src/SUMMARY.md:1: {what}: {why}\n")
        );
        assert_eq!(refused.status, Some(1));
    }
}

#[test]
fn without_git_the_rest_is_checked() {
    let book = Book::fine();
    let nowhere = check(book.folder.path(), &[("PATH", "/nonexistent")]);
    assert_eq!(
        nowhere.summary,
        "check: whether a published page is gone was not checked: git is not installed (install \
         the package git)\ncheck: 4 chapters, 6 blocks, 6 links, nothing wrong\n"
    );
    assert_eq!(nowhere.status, Some(0));
}

#[test]
fn a_redirect_leads_at_once_to_something_that_the_site_has() {
    let book = Book::fine();
    book.write("src/data/table.csv", "1\n");
    let redirects = |lines: &str| {
        book.write(
            "book.toml",
            format!("[book]\ntitle = \"Small\"\n\n[output.html.redirect]\n{lines}"),
        );
    };
    redirects(
        "\"/old.html\" = \"data/acid.html#terms\"\n\
         \"/data/old.html\" = \"../glossary.html#quorum\"\n\
         \"/data/first.html\" = \"../index.html\"\n\
         \"/data/file.html\" = \"table.csv\"\n\
         \"/away.html\" = \"https://example.org/a.html\"\n\
         \"/away.html#part\" = \"data/base.html\"\n\
         \"/data/acid.html#was-here\" = \"base.html#what-base-gives-up\"\n\
         \"/data/acid.html#renamed\" = \"#terms\"\n",
    );
    book.is_fine();
    redirects(
        "\"/a.html\" = \"data/acids.html\"\n\
         \"/b.html\" = \"data/acid.html#none\"\n\
         \"/data/c.html\" = \"/data/acid.html\"\n\
         \"/d.html\" = \"http://example.org\"\n\
         \"/data/e.html\" = \"../f.html\"\n\
         \"/f.html\" = \"data/g.html\"\n\
         \"/data/g.html\" = \"acid.html\"\n\
         \"/h.html\" = \"i.html\"\n\
         \"/i.html\" = \"h.html\"\n\
         \"/j.html\" = \"j.html\"\n\
         \"/data/base.html\" = \"acid.html\"\n\
         \"/404.html\" = \"index.html\"\n\
         \"k.html\" = \"index.html\"\n\
         \"/../l.html\" = \"index.html\"\n\
         \"/m/\" = \"index.html\"\n\
         \"/n.html#part\" = \"index.html\"\n\
         \"/data/acid.html#terms\" = \"base.html\"\n\
         \"/o.html\" = 1\n\
         \"/p.html\" = \"qqqqqqqqqqqq.html\"\n\
         \"/q.html\" = \"data/base.md\"\n\
         \"/r.html\" = \"//example.org\"\n\
         \"/s.html\" = \"p.html\"\n",
    );
    book.finds(&[
        "book.toml:5: redirect of /a.html: no page data/acids.html, nearest is data/acid.html",
        "book.toml:6: redirect of /b.html: fragment #none not found in src/data/acid.md \
         (has: acid, terms, quorum, sources)",
        "book.toml:7: redirect of /data/c.html: /data/acid.html breaks on a site that is not at \
         the root of its host: write \"acid.html\"",
        "book.toml:8: redirect of /d.html: http://example.org is no https:// address",
        "book.toml:9: redirect of /data/e.html: ../f.html leads on itself: write \"acid.html\", \
         where it ends",
        "book.toml:10: redirect of /f.html: data/g.html leads on itself: write \
         \"data/acid.html\", where it ends",
        "book.toml:12: redirect of /h.html: i.html leads round in a circle: lead it to a page",
        "book.toml:13: redirect of /i.html: h.html leads round in a circle: lead it to a page",
        "book.toml:14: redirect of /j.html: j.html leads round in a circle: lead it to a page",
        "book.toml:15: redirect of /data/base.html: it hides src/data/base.md: remove the line, \
         or the chapter",
        "book.toml:16: redirect of /404.html: it hides what the site has there: remove the line",
        "book.toml:17: redirect of k.html: write it from the site's root, \"/k.html\"",
        "book.toml:18: redirect of /../l.html: write it without . and ..",
        "book.toml:19: redirect of /m/: only a page can lead on: end it in .html",
        "book.toml:20: redirect of /n.html#part: the page itself leads nowhere: add a line for \
         \"/n.html\", too",
        "book.toml:21: redirect of /data/acid.html#terms: src/data/acid.md has #terms: remove \
         the line",
        "book.toml:22: redirect of /o.html: write its target in quotes",
        "book.toml:23: redirect of /p.html: no page qqqqqqqqqqqq.html: lead it to one that the \
         site has",
        "book.toml:24: redirect of /q.html: no page data/base.md, nearest is data/base.html",
        "book.toml:25: redirect of /r.html: //example.org is no https:// address",
        "book.toml:26: redirect of /s.html: p.html leads on itself: lead it to a page",
    ]);
    redirects("\"/a.html\" = \"index.html\"\n\"/a.html\" = \"data/acid.html\"\n");
    book.finds(&["book.toml:6: no valid TOML: duplicate key"]);
}
