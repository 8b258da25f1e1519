//! The stock `mdbook` command draws the book's diagrams too, with mdbook-mermaid's script.

use std::path::Path;

use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;
use mdbook_driver::config::Config;
use mdbook_mermaid::Mermaid;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

#[test]
fn mdbook_mermaid_finds_every_diagram_of_the_book() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let config = Config::from_disk(root.join("book.toml")).expect("book.toml is valid");
    let mut plain = config.clone();
    let none = serde_json::json!({});
    plain.set("preprocessor", &none).expect("a table");
    plain.set("output", &none).expect("a table");
    let book = MDBook::load_with_config(&root, plain)
        .expect("the book loads")
        .book;
    let count = |book: &mdbook_driver::book::Book, mark: &str| -> usize {
        book.iter()
            .map(|item| match item {
                BookItem::Chapter(chapter) => chapter.content.matches(mark).count(),
                _ => 0,
            })
            .sum()
    };
    let written = count(&book, "```mermaid\n");
    let context = PreprocessorContext::new(root, config, "html".to_owned());
    let drawn = Mermaid.run(&context, book).expect("the plugin runs");
    assert!(written > 0, "the book has diagrams");
    assert_eq!(count(&drawn, "<pre class=\"mermaid\">"), written);
}
