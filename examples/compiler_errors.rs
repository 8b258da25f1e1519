//! Four mistakes that three phases find in one run, each with its place.
//!
//! Look at line 2: it starts with a tab, and a euro sign has three bytes. The carets
//! stand below what they are about all the same. Nothing is said about `tax` being
//! no number: an unknown name has an unknown type.
//!
//! Simplified: rustc also gives codes, notes and suggestions.

#[path = "compiler/phases.rs"]
mod phases;

use phases::analyse;
use phases::diagnostics::Source;

// ANCHOR: text
const TEXT: &str = "fn main() {
\tlet cost = 5€ + tax;
    if cost {
        print(1 + );
    }
}
";
// ANCHOR_END: text

fn main() {
    let source = Source::new("till.mini", TEXT);
    let errors = analyse(&source).err().unwrap_or_default();
    for error in &errors {
        println!("{}", source.render(error));
    }
    println!("{} errors", errors.len());
}
