//! Everything that a pull request's checks run, in their order, on this machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What each step is for, and the command that repeats it.
const STEPS: [(&str, &str); 14] = [
    ("formatting", "cargo fmt --all --check"),
    (
        "lints",
        "cargo clippy --workspace --all-targets --locked -- -D warnings",
    ),
    ("blocks, programs and tools", "cargo test --locked"),
    ("chapters", "cargo xtask check"),
    ("site", "cargo xtask build"),
    ("whole book as a PDF", "cargo xtask pdf"),
    ("pages in a browser", "cargo xtask browser"),
    (
        "link checker",
        "cargo test --locked --manifest-path links/Cargo.toml",
    ),
    (
        "formatting of the link checker",
        "cargo fmt --check --manifest-path links/Cargo.toml",
    ),
    (
        "lints of the link checker",
        "cargo clippy --all-targets --locked --manifest-path links/Cargo.toml -- -D warnings",
    ),
    (
        "programs on real servers",
        "cargo test --locked --package real --package recorded",
    ),
    (
        "programs on large libraries",
        "cargo test --locked --package protocols --package s3 --package lake --package measured --package services",
    ),
    (
        "documentation of the tools",
        "cargo doc --locked --no-deps --workspace --document-private-items",
    ),
    ("workflows", "bash .ci/lint-workflows"),
];

/// Runs every step and stops at the first that fails. `CI=true` is set for all of them, so a
/// missing tool or server is a failure, never a skip.
///
/// # Errors
/// The step that failed, with the command to repeat it.
pub fn run(root: &Path) -> Result<()> {
    let start = Instant::now();
    for (number, (what, command)) in STEPS.iter().enumerate() {
        println!("\n[{}/{}] {what}: {command}", number + 1, STEPS.len());
        let began = Instant::now();
        let mut words = command.split(' ');
        let program = words.next().context("a step names a command")?;
        let status = Command::new(program)
            .args(words)
            .current_dir(root)
            .env("CI", "true")
            .env("RUSTDOCFLAGS", "-D warnings")
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("{program} does not start"))?;
        if !status.success() {
            bail!("{what} failed; to repeat it: CI=true {command}");
        }
        println!(
            "[{}/{}] passed in {:.1} s",
            number + 1,
            STEPS.len(),
            began.elapsed().as_secs_f64()
        );
    }
    println!(
        "\nall {} steps passed in {:.0} s",
        STEPS.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
