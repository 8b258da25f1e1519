//! The law of the chapter on scalability, from its own program.

#[rustfmt::skip]
#[allow(missing_docs, dead_code)] // its `main` and what only that calls
#[path = "../../examples/scalability_usl.rs"]
mod scalability_usl;

pub use scalability_usl::Law;
