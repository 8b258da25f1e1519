//! A small book in a temporary folder, for the tests of what builds and serves books.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const BOOK_TOML: &str = "[book]\ntitle = \"Small\"\nlanguage = \"en\"\nsrc = \"src\"\n\n\
     [rust]\nedition = \"2021\"\n\n[preprocessor.mermaid]\ncommand = \"mdbook-mermaid\"\n\n\
     [output.html]\n\n[output.linkcheck]\ncommand = \"mdbook-linkcheck2\"\noptional = true\n";

const CHAPTER: &str = "# One\n\nGood words.\n\n```mermaid\nflowchart TD\n  A[Client] --> B[Server]\n```\n\n\
     *A client asks a server.*\n\n```rust\n{{#rustdoc_include ../../examples/one_program.rs:claim}}\n\
     ```\n\n```text\n{{#include ../../examples/one_program.out}}\n```\n\n## Terms\n\nclient\n\
     : Who asks.\n\n## Sources\n\n- [spec](https://www.rfc-editor.org/rfc/rfc9110)\n";

const PROGRAM: &str = "//! Shows one.\n\nfn main() {\n    // ANCHOR: claim\n    println!(\"one\");\n    \
     // ANCHOR_END: claim\n}\n";

/// A book with one chapter, one diagram and one program, in which nothing is wrong.
pub struct SmallBook {
    folder: TempDir,
}

impl SmallBook {
    pub fn new() -> SmallBook {
        let book = SmallBook {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        book.write("book.toml", BOOK_TOML);
        book.write(
            "src/SUMMARY.md",
            "# Summary\n\n# Part\n\n- [One](part/one.md)\n",
        );
        book.write("src/part/one.md", CHAPTER);
        book.write("examples/one_program.rs", PROGRAM);
        book.write("examples/one_program.out", "one\n");
        book
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file as editors do: beside, then moved into place, so that nobody sees half.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.root().join(file);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        let beside = self.root().join(".beside");
        fs::write(&beside, text).expect("a file");
        fs::rename(&beside, path).expect("a file");
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file)).expect("a file")
    }

    /// Replaces `old` in a file, which has to hold it.
    pub fn edit(&self, file: &str, old: &str, new: &str) {
        let text = self.read(file);
        assert!(text.contains(old), "{file} does not hold {old}");
        self.write(file, &text.replace(old, new));
    }

    /// The tool on this book.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.root());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command()
            .args(arguments)
            .output()
            .expect("the tool starts")
    }
}
