//! Each program of `examples/` prints what is recorded beside it, and passes its own tests.
//!
//! Knows where programs and recorded outputs lie; knows nothing of what any of them shows.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that runs longer than this hangs.
const RUN_SECONDS_MAX: u64 = 60;

#[test]
fn each_program_prints_what_is_recorded_beside_it() {
    let built = cargo(&["build", "--examples"]);
    assert!(built.status.success(), "{}", text(&built.stderr));
    let mut wrong = Vec::new();
    for name in programs() {
        let recorded = examples().join(format!("{name}.out"));
        let verdict = match fs::read_to_string(&recorded) {
            Ok(recorded) => run(&name).and_then(|printed| same(&recorded, &printed)),
            Err(error) => Err(format!("examples/{name}.out cannot be read: {error}")),
        };
        if let Err(cause) = verdict {
            wrong.push(format!(
                "examples/{name}.rs: {cause}\n  if the new output is right: cargo xtask record {name}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_program_passes_its_own_tests() {
    let tested = cargo(&["test", "--examples", "--no-fail-fast"]);
    let report = format!("{}{}", text(&tested.stdout), text(&tested.stderr));
    assert!(tested.status.success(), "{report}");
    print!("{report}");
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The names of all programs: `examples/NAME.rs` and `examples/NAME/main.rs`.
fn programs() -> Vec<String> {
    let entries = fs::read_dir(examples()).expect("the book has programs");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.expect("a readable folder").path();
            let program =
                path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").exists();
            program.then(|| {
                path.file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            })
        })
        .collect();
    names.sort();
    names
}

/// The folder of this build: `target/debug` or its like. This test lies in its `deps`.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    test.ancestors()
        .nth(2)
        .expect("target/PROFILE/deps/TEST")
        .to_path_buf()
}

/// Runs cargo on this package, in the same target folder and profile as this test.
fn cargo(arguments: &[&str]) -> std::process::Output {
    let folder = build_folder();
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    Command::new(env!("CARGO"))
        .args(arguments)
        .args([
            "--quiet",
            "--package",
            env!("CARGO_PKG_NAME"),
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(folder.parent().expect("a profile lies in a target folder"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts")
}

/// What a program prints, if it ends well and in time.
fn run(name: &str) -> Result<String, String> {
    let program = build_folder().join("examples").join(name);
    let mut child = Command::new(program)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("does not start: {error}"))?;
    let deadline = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
    // Recorded outputs are far smaller than a pipe's buffer, so a program never waits for us.
    while child
        .try_wait()
        .map_err(|error| error.to_string())?
        .is_none()
    {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("still runs after {RUN_SECONDS_MAX} s"));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "ends with {}: {}",
            output.status,
            text(&output.stderr)
        ));
    }
    Ok(text(&output.stdout))
}

/// The first line in which two outputs differ, if they do.
fn same(recorded: &str, printed: &str) -> Result<(), String> {
    let (mut old, mut new) = (recorded.lines(), printed.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                let end = "(no more lines)";
                return Err(format!(
                    "line {number} of its output is not as recorded\n  recorded: {}\n  printed:  {}",
                    a.unwrap_or(end),
                    b.unwrap_or(end)
                ));
            }
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
