//! Small services as one would write them with the crates of production.
//!
//! May know of those crates and of 127.0.0.1; the programs in `src/bin/` print.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod shop;
