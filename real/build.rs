//! Makes the book's own balancer, `examples/load_balancer_layer7.rs`, a module of
//! this crate, so that one source is what the chapter shows and what is compared.
//!
//! A program's items are private, and `mod` with a `path` would hide them from the
//! code that starts the balancer. `include!` does not, but it refuses the `//!`
//! lines at the head of a file: so this copies the program and makes them plain
//! comments.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

const PROGRAM: &str = "load_balancer_layer7.rs";

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = env::var("CARGO_MANIFEST_DIR")?;
    let source = Path::new(&crate_folder).join("../examples").join(PROGRAM);
    println!("cargo::rerun-if-changed={}", source.display());
    let text = fs::read_to_string(&source)
        .map_err(|error| format!("{}: {error}", source.display()))?;
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("//!").map_or(line, |_| ""))
        .collect();
    fs::write(Path::new(&env::var("OUT_DIR")?).join(PROGRAM), lines.join("\n"))?;
    Ok(())
}
