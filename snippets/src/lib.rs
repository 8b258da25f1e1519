//! The Rust blocks of the book as doctests: `cargo test --doc` runs all of them in
//! seconds and judges `should_panic` and `compile_fail`. `tests/alone.rs` runs each ordinary
//! block alone, as a reader would paste it.
//!
//! Its `[dependencies]` are the crates that a block may use. It knows nothing of how the site is
//! built.

#[cfg(doctest)]
include!(concat!(env!("OUT_DIR"), "/pages.rs"));
