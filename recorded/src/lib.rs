//! For packages whose programs run on real servers or large libraries: the line that
//! says where a run was made, and the test that a program still prints what was
//! recorded beside it.
//!
//! Knows that programs lie in `src/bin/<name>.rs` and recorded runs in
//! `src/bin/<name>.out`; nothing of what they show.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod machine;

pub use machine::{RUSTC, measured_on};

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the book's page can show on a phone.
const COLUMNS_MAX: usize = 72;
const LINES_MAX: usize = 30;
/// What a number stands before that differs from run to run.
const MEASURED_UNITS: [&str; 4] = ["ms", "µs", "ns", "GB/s"];

/// Runs each program of the package in `folder` (its `CARGO_MANIFEST_DIR`) that has a
/// recorded run, and compares the two, apart from what differs between machines: on a
/// line that begins with `measured on:` the cores, the system, versions and dates; on
/// others what was measured: each number before ` ms`, ` µs`, ` ns` or ` GB/s`, each ratio
/// such as `1.7x` (with one digit or more behind the point, which a count has not), each
/// number that a program marks as inexact, such as `~43`, and, on a line with one of these,
/// each bar of `#`. To be called from a test in `tests/`. Says
/// `skipped` where a server is missing, unless `CI=true` is set.
///
/// # Errors
/// One text that names each recorded run that is wrong, what is wrong with it and how
/// to record it anew.
pub fn check_all(folder: &Path) -> Result<(), String> {
    let recorded = recorded_runs(folder)?;
    if recorded.is_empty() {
        return Err(format!("no .out file in {}/src/bin", folder.display()));
    }
    let faults: Vec<String> = recorded
        .iter()
        .filter_map(|out| {
            let fault = check(out).err()?;
            Some(format!("{}: {fault}", out.display()))
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("\n{}\n", faults.join("\n\n")))
    }
}

/// The `.out` files in `src/bin`, sorted.
fn recorded_runs(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = folder.join("src/bin");
    let entries = fs::read_dir(&folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("read {}: {e}", folder.display()))?;
    let mut runs: Vec<PathBuf> = entries
        .iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "out"))
        .collect();
    runs.sort();
    Ok(runs)
}

fn check(out: &Path) -> Result<(), String> {
    let name =
        out.file_stem().and_then(|n| n.to_str()).ok_or("not a program's name")?;
    if !out.with_extension("rs").is_file() {
        return Err(format!("there is no program {name}.rs"));
    }
    let recorded = fs::read_to_string(out).map_err(|e| e.to_string())?;
    if recorded.lines().count() > LINES_MAX {
        return Err(format!("more than {LINES_MAX} lines"));
    }
    if let Some(line) =
        recorded.lines().find(|line| line.chars().count() > COLUMNS_MAX)
    {
        return Err(format!("more than {COLUMNS_MAX} columns: {line}"));
    }

    let run = Command::new(program(name)?)
        .output()
        .map_err(|e| format!("run {name}: {e}"))?;
    let said = String::from_utf8_lossy(&run.stderr);
    if !run.status.success() {
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        if said.contains("is not installed: sudo apt-get install") && !in_ci {
            // Not eprintln!: the test harness swallows that when a test passes.
            use std::io::Write;
            let _ =
                writeln!(std::io::stderr(), "skipped {name}: {}", said.trim_end());
            return Ok(());
        }
        return Err(format!("{name} failed ({}):\n{said}", run.status));
    }
    compare(&recorded, &String::from_utf8_lossy(&run.stdout)).map_err(|difference| {
        format!(
            "{name} prints something else now:\n{difference}\nIf that is right: \
             cargo xtask record {name}"
        )
    })
}

/// Cargo puts the package's programs one folder above its tests.
fn program(name: &str) -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder =
        test.parent().and_then(Path::parent).ok_or("a test has no folder")?;
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("cargo built no {}", program.display()))
    }
}

/// Compares line by line. A line with something masked in it may be spaced
/// differently, because a number of ms can be longer or shorter.
fn compare(recorded: &str, printed: &str) -> Result<(), String> {
    let (recorded, printed): (Vec<&str>, Vec<&str>) =
        (recorded.lines().collect(), printed.lines().collect());
    for i in 0..recorded.len().max(printed.len()) {
        let (old, new) = (recorded.get(i).copied(), printed.get(i).copied());
        let same = match (old, new) {
            (Some(old), Some(new)) => {
                old == new || mask(old).is_some() && mask(old) == mask(new)
            }
            _ => false,
        };
        if !same {
            let [old, new] = [old, new].map(|line| line.unwrap_or("(no such line)"));
            return Err(format!(
                "line {}:\n  recorded: {old}\n  printed:  {new}",
                i + 1
            ));
        }
    }
    Ok(())
}

/// The line's words with what differs between machines replaced by `#`, bars left out;
/// `None` if there is nothing of the kind in it.
fn mask(line: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_header = line.starts_with("measured on:");
    let is_whole =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let is_decimal = |word: &str| {
        word.split_once('.')
            .is_some_and(|(whole, rest)| is_whole(whole) && is_whole(rest))
    };
    let is_number = |word: &str| is_whole(word) || is_decimal(word);
    let masked: Vec<String> = (0..words.len())
        .map(|i| {
            let word = words[i];
            let bare = word.trim_end_matches(',');
            let unit = words.get(i + 1).map(|unit| unit.trim_end_matches(','));
            let is_time = is_number(word)
                && unit.is_some_and(|unit| MEASURED_UNITS.contains(&unit));
            let is_inexact = bare.strip_prefix('~').is_some_and(is_number);
            let is_ratio = bare.strip_suffix('x').is_some_and(is_decimal);
            let is_machine = is_header
                && (is_number(word)
                    || ["core", "cores", "Linux", "macOS"].contains(&bare)
                    || bare.starts_with(|c: char| c.is_ascii_digit()));
            if is_time || is_ratio || is_inexact || is_machine {
                word.replace(bare, "#")
            } else {
                word.to_owned()
            }
        })
        .collect();
    let is_bar = |word: &str| word.len() > 1 && word.chars().all(|c| c == '#');
    let is_measured = masked != words;
    is_measured.then(|| masked.into_iter().filter(|word| !is_bar(word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_versions_and_dates_are_masked_and_nothing_else() {
        let old = "measured on: 2 cores, Linux, nginx 1.22.1, haproxy 2.6.12, 2026-11-21\n\
               used again after     2100 ms    890 ms\n";
        let new = "measured on: 16 cores, Linux, nginx 1.24.0, haproxy 3.0.5, 2027-01-02\n\
               used again after      300 ms   1890 ms\n";
        assert_eq!(compare(old, new), Ok(()));
        for (from, to) in [("used", "never used"), ("ms", "s"), ("nginx", "caddy")] {
            assert!(
                compare(old, &new.replacen(from, to, 1)).is_err(),
                "{from} -> {to}"
            );
        }
        assert_eq!(compare("L1  1.2 ns  ##\n", "L1  11 ns  #####\n"), Ok(()));
        assert_eq!(compare("ours, 1.7x\n", "ours, 12.25x\n"), Ok(()));
        assert_eq!(compare("hits ~43 %\n", "hits ~44.5 %\n"), Ok(()));
        assert!(compare("hits 43 %\n", "hits 44 %\n").is_err());
        assert!(compare("copies 2x\n", "copies 3x\n").is_err());
        assert!(compare("load ###\n", "load ##\n").is_err());
        assert!(compare("1.2 apples\n", "1.3 apples\n").is_err());
        assert!(compare("failed   0\n", "failed   1\n").is_err());
        assert!(compare("failed   0\n", "failed  0\n").is_err());
        assert!(compare("failed   0\n", "").is_err());
        assert!(compare("", "failed   0\n").is_err());
    }
}
