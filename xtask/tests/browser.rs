//! What `cargo xtask browser` needs of the machine, and how it says what is missing.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What it prints to standard error when only the programs in `path` are there. It must fail.
fn refusal(path: &Path, chromium: Option<&Path>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .arg("browser")
        .env("PATH", path)
        .env_remove("CHROMIUM");
    if let Some(chromium) = chromium {
        command.env("CHROMIUM", chromium);
    }
    let output = command.output().expect("xtask starts");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn program(folder: &Path, name: &str, prints: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\necho '{prints}'\n")).expect("a script is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script may run");
}

#[test]
fn a_missing_tool_is_named_with_the_package_that_brings_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    let told = refusal(path, None);
    assert!(
        told.contains("chromium is missing: apt-get install chromium"),
        "{told}"
    );
    let told = refusal(path, Some(&path.join("nowhere")));
    assert!(told.contains("which is no file"), "{told}");

    program(path, "chromium", "");
    let told = refusal(path, None);
    assert!(
        told.contains("node is missing: apt-get install nodejs npm"),
        "{told}"
    );

    program(path, "node", "v16.20.2");
    let told = refusal(path, None);
    assert!(
        told.contains("node 18.19 or newer is needed, and v16.20.2 is installed"),
        "{told}"
    );

    program(path, "node", "v20.20.2");
    let told = refusal(path, None);
    assert!(
        told.contains("npm is missing: apt-get install npm"),
        "{told}"
    );
}
