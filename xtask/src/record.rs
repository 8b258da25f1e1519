//! Records what programs print, beside them: the outputs that chapters show.
//!
//! Knows of `examples/` and of the packages whose programs need more than cargo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The packages whose programs need a server or a library, or measure. Each has its programs and their
/// recorded runs in `src/bin/`.
pub const PACKAGES: [&str; 6] = ["real", "protocols", "s3", "lake", "measured", "services"];

/// Those of them that measure: what they print is recorded of an optimised build.
const OPTIMISED: [&str; 2] = ["protocols", "measured"];

/// A program and the file that its output is recorded in.
struct Program {
    name: String,
    recorded: PathBuf,
    /// The words after `cargo` that run it.
    cargo: Vec<String>,
}

/// Runs the named programs, or all under `examples/` when none is named, and records what they
/// print. A program that fails leaves its recorded output as it was.
///
/// # Errors
/// When a name is no program's, or a program fails.
pub fn run(root: &Path, names: &[String]) -> Result<()> {
    let (examples, others) = (examples(root)?, of_packages(root)?);
    let chosen: Vec<&Program> = if names.is_empty() {
        examples.iter().collect()
    } else {
        names
            .iter()
            .map(|name| {
                examples
                    .iter()
                    .chain(&others)
                    .find(|program| program.name == *name)
                    .with_context(|| {
                        let known: Vec<&str> = examples
                            .iter()
                            .chain(&others)
                            .map(|program| program.name.as_str())
                            .collect();
                        format!(
                            "no program is called {name} (there are: {})",
                            known.join(", ")
                        )
                    })
            })
            .collect::<Result<_>>()?
    };
    for program in chosen {
        record(root, program)?;
    }
    Ok(())
}

fn record(root: &Path, program: &Program) -> Result<()> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(&program.cargo)
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!(
            "{} ends with {}: nothing recorded",
            program.name,
            output.status
        );
    }
    let printed = String::from_utf8(output.stdout)
        .with_context(|| format!("{} prints bytes that are not UTF-8", program.name))?;
    let shown = program
        .recorded
        .strip_prefix(root)
        .unwrap_or(&program.recorded)
        .display();
    if fs::read_to_string(&program.recorded).is_ok_and(|recorded| recorded == printed) {
        println!("{shown}: as recorded");
        return Ok(());
    }
    fs::write(&program.recorded, &printed).with_context(|| format!("cannot write {shown}"))?;
    println!("{shown}: recorded {} lines", printed.lines().count());
    Ok(())
}

/// The programs of `examples/`: `NAME.rs` or `NAME/main.rs`.
fn examples(root: &Path) -> Result<Vec<Program>> {
    let folder = root.join("examples");
    programs(&folder, |name| {
        ["run", "--quiet", "--example", name]
            .map(str::to_owned)
            .to_vec()
    })
}

/// The programs of [`PACKAGES`].
fn of_packages(root: &Path) -> Result<Vec<Program>> {
    let mut found = Vec::new();
    for package in PACKAGES {
        let folder = root.join(package).join("src/bin");
        if folder.is_dir() {
            found.extend(programs(&folder, |name| {
                let mut cargo = ["run", "--quiet", "--package", package, "--bin", name]
                    .map(str::to_owned)
                    .to_vec();
                if OPTIMISED.contains(&package) {
                    cargo.push("--release".to_owned());
                }
                cargo
            })?);
        }
    }
    Ok(found)
}

fn programs(folder: &Path, cargo: impl Fn(&str) -> Vec<String>) -> Result<Vec<Program>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        let is_program = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").exists();
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        if let (true, Some(name)) = (is_program, name) {
            let recorded = folder.join(format!("{name}.out"));
            let cargo = cargo(&name);
            found.push(Program {
                name,
                recorded,
                cargo,
            });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
