//! The versions of the crates that are measured, out of `Cargo.lock`, for the line that
//! says what was measured.

use std::error::Error;
use std::{env, fs};

const CRATES: [&str; 4] = ["lru", "miniz_oxide", "moka", "tokio"];
const LOCK: &str = "../Cargo.lock";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK).map_err(|error| {
        format!("{LOCK} beside {}: {error}", env!("CARGO_PKG_NAME"))
    })?;
    for name in CRATES {
        let start = format!("name = \"{name}\"\nversion = \"");
        let version = lock
            .split_once(&start)
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(version, _)| version)
            .ok_or_else(|| format!("{LOCK} has no {name}"))?;
        println!("cargo::rustc-env={}_VERSION={version}", name.to_uppercase());
    }
    Ok(())
}
