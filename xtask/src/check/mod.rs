//! Everything a pull request must pass that needs no code to run.
//!
//! The tree is read once (`site`, `page`); each other module is one subject of rules. A rule looks
//! at the site and says what is wrong, where, and the mend, in one line. Nothing here compiles or
//! executes what it reads, and no rule depends on another having passed.

mod diagrams;
mod fences;
mod gone;
mod headings;
mod html;
mod ids;
mod includes;
mod lab;
mod links;
mod outputs;
mod page;
mod playground;
mod redirects;
mod similar;
mod site;
mod summary;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use site::Site;

/// One thing that is wrong, with its mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root.
    pub file: PathBuf,
    /// The line in it, counted from 1.
    pub line: usize,
    /// What is wrong and how to mend it, on one line.
    pub message: String,
}

impl Finding {
    fn new(file: &Path, line: usize, message: impl Into<String>) -> Self {
        // A parser's cause may have several lines; a finding has one.
        let message: String = message.into();
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            file: file.to_path_buf(),
            line,
            message,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}:{}: {}",
            slashed(&self.file),
            self.line,
            self.message
        )
    }
}

/// A subject of rules.
type Rule = fn(&Site, &mut Vec<Finding>);

/// Every subject, in the order in which a contributor meets them.
const RULES: [Rule; 11] = [
    text::check,
    summary::check,
    headings::check,
    links::check,
    includes::check,
    fences::check,
    playground::check,
    diagrams::check,
    lab::check,
    outputs::check,
    redirects::check,
];

/// Prints every finding and a summary; with `external`, goes on to ask other sites.
///
/// # Errors
/// When there is no book at `root`, or the checker of other sites cannot be started.
pub fn run(root: &Path, external: bool) -> Result<ExitCode> {
    let site = Site::read(root)?;
    let mut findings = judge(&site, &RULES);
    match gone::published(root) {
        Ok(published) => gone::check(&site, &published, &mut findings),
        Err(why) => {
            let message = format!("whether a published page is gone was not checked: {why}");
            if std::env::var("CI").is_ok_and(|value| value == "true") {
                findings.push(Finding::new(Path::new(site::SUMMARY), 1, message));
            } else {
                eprintln!("check: {message}");
            }
        }
    }
    findings.sort();
    let lines: String = findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    crate::print(&lines)?;
    eprintln!(
        "check: {}, {}, {}, {}",
        counted(site.chapters().count(), "chapter"),
        counted(
            site.pages.iter().map(|page| page.blocks.len()).sum(),
            "block"
        ),
        counted(site.pages.iter().map(|page| page.links.len()).sum(), "link"),
        match findings.len() {
            0 => "nothing wrong".to_owned(),
            number => counted(number, "finding"),
        }
    );
    let others_are_fine = !external || other_sites_answer(root)?;
    Ok(if findings.is_empty() && others_are_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Refuses a tree of which no good pages can be made: a chapter or an include that is missing, a
/// diagram that does not parse or has no words. mdBook itself logs some of these and goes on.
///
/// # Errors
/// Every such finding, a line each; also when there is no book at `root`.
pub fn refuse_unbuildable(root: &Path) -> Result<()> {
    let findings = judge(
        &Site::read(root)?,
        &[summary::check, includes::check, diagrams::check, lab::check],
    );
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    bail!("the book cannot be built\n{}", lines.join("\n"));
}

fn judge(site: &Site, rules: &[Rule]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules {
        rule(site, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Runs the `links` package, which is kept apart so that this tool need not compile an HTTP stack.
fn other_sites_answer(root: &Path) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(&cargo)
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(crate::repository().join("links").join("Cargo.toml"))
        .args(["--", "--web-only", "--root"])
        .arg(root)
        .status()
        .with_context(|| format!("cannot start {}", cargo.to_string_lossy()))?;
    Ok(status.success())
}

/// `1 chapter`, `2 chapters`.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A path as it is written in links and messages on every system.
fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
