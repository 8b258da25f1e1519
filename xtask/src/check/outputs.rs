//! Programs and what they print: every program recorded and shown, every output on a page taken
//! from a recorded file, commands that are commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::includes::{self, Found, Part};
use super::page::{Block, Kind, Page};
use super::similar::relative;
use super::site::Site;
use super::{Finding, slashed};
use crate::record::PACKAGES;

/// The folders that hold programs with recorded output.
fn folders() -> impl Iterator<Item = PathBuf> {
    let others = PACKAGES.map(|package| Path::new(package).join("src/bin"));
    std::iter::once(PathBuf::from("examples")).chain(others)
}

/// A program and its recorded output.
struct Program {
    /// Its file, or the `main.rs` of its folder.
    source: PathBuf,
    /// Where its output is recorded.
    output: PathBuf,
}

/// Finds programs without pages, pages without programs, and output that was typed.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let shown: BTreeSet<PathBuf> = site.chapters().flat_map(included).collect();
    for folder in folders() {
        let programs = programs(site, &folder);
        for program in &programs {
            check_program(site, &folder, program, &shown, findings);
        }
        for (path, _) in site.tree.texts(&folder, "out") {
            check_recorded(path, &folder, &programs, findings);
        }
    }
    for page in &site.pages {
        for block in &page.blocks {
            match block.language() {
                "console" => check_commands(page, block, findings),
                "text" if page.kind == Kind::Chapter => check_output(page, block, findings),
                _ => {}
            }
        }
    }
}

/// The files that a page includes.
fn included(page: &Page) -> Vec<PathBuf> {
    includes::scan(&page.text)
        .iter()
        .filter_map(|found| match found {
            Found::Directive(directive) => Some(includes::target(page.folder(), directive)),
            _ => None,
        })
        .collect()
}

/// The programs of a folder, in one file each or in a folder each.
fn programs(site: &Site, folder: &Path) -> Vec<Program> {
    let depth = folder.components().count();
    site.tree
        .texts(folder, "rs")
        .filter_map(|(path, _)| {
            let name = match path.components().count() - depth {
                1 => path.file_stem()?,
                2 if path.file_name()? == "main.rs" => path.parent()?.file_name()?,
                _ => return None,
            };
            let output = folder.join(name).with_extension("out");
            Some(Program {
                source: path.clone(),
                output,
            })
        })
        .collect()
}

fn check_program(
    site: &Site,
    folder: &Path,
    program: &Program,
    shown: &BTreeSet<PathBuf>,
    findings: &mut Vec<Finding>,
) {
    let mut say = |message| findings.push(Finding::new(&program.source, 1, message));
    let output = slashed(&program.output);
    if !site.tree.all.contains(&program.output) {
        let name = program
            .output
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        say(format!(
            "no recorded output {output}: write it with `cargo xtask record {name}`"
        ));
    }
    if folder == Path::new("examples") {
        // Of a program in several files, any of them may be the one that is shown.
        let is_shown = match program.source.file_name() {
            Some(name) if name == "main.rs" && program.source.components().count() > 2 => {
                let own = program.source.parent().unwrap_or(&program.source);
                shown.iter().any(|path| path.starts_with(own))
            }
            _ => shown.contains(&program.source),
        };
        if !is_shown {
            say(format!(
                "no chapter includes this program: show a part of it with \
                 `{{{{#rustdoc_include ../../{}:ANCHOR}}}}`, or remove it",
                slashed(&program.source)
            ));
        }
    } else if !shown.contains(&program.output) {
        say(format!(
            "no chapter shows what this program prints: include ../../{output} in a ```text block, \
             or remove it"
        ));
    }
}

fn check_recorded(path: &Path, folder: &Path, programs: &[Program], findings: &mut Vec<Finding>) {
    if programs.iter().any(|program| program.output == path) {
        return;
    }
    // One beside the `main.rs` of a program in several files belongs one folder up.
    let owner = programs
        .iter()
        .find(|program| program.source.parent() == path.parent() && path.parent() != Some(folder));
    let message = match owner {
        Some(program) => {
            format!(
                "recorded output in the wrong place: move it to {}",
                slashed(&program.output)
            )
        }
        None => format!(
            "recorded output without its program: add {}, or remove it",
            slashed(&path.with_extension("rs"))
        ),
    };
    findings.push(Finding::new(path, 1, message));
}

/// A `text` block is one recorded output and nothing else.
fn check_output(page: &Page, block: &Block, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = block.lines.iter().map(|(_, line)| line.trim()).collect();
    let is_recorded = |line: &str| match includes::scan(line).as_slice() {
        [Found::Directive(directive)] if directive.range == (0..line.len()) => {
            let path = includes::target(page.folder(), directive);
            directive.kind == includes::Kind::Include
                && directive.part == Part::Whole
                && path.extension().is_some_and(|extension| extension == "out")
                && folders().any(|folder| path.parent() == Some(&folder))
        }
        _ => false,
    };
    let is_fine = matches!(lines.as_slice(), [line] if is_recorded(line));
    if !is_fine {
        let example = relative(page.folder(), Path::new("examples/NAME.out"));
        let message = format!(
            "text block that no recorded output stands behind: \
             its one line is `{{{{#include {example}}}}}`"
        );
        findings.push(Finding::new(&page.path, block.line, message));
    }
}

/// A `console` block holds what the reader types.
fn check_commands(page: &Page, block: &Block, findings: &mut Vec<Finding>) {
    let mut continues = false;
    for (number, line) in &block.lines {
        if !continues && !line.starts_with("$ ") {
            let message = "console line that is no command: begin it with `$ `; \
                           what a command prints goes into a text block";
            findings.push(Finding::new(&page.path, *number, message));
        }
        continues = line.ends_with('\\');
    }
}
