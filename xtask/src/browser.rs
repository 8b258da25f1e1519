//! Tries the built site in a headless Chromium: builds it as GitHub Pages would serve it, installs
//! the node packages that `browser/` pins, and runs the tests there.
//!
//! Knows how to start the suite, and of no page and no check: those are `browser/`'s.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::chromium;

/// The path that the tried site is built for: below a folder, as a project's GitHub Pages are, so
/// that an address which only works at the root of a host is found.
const SITE_URL: &str = "/notes/";
/// The scheme and host that the tried site is built for. Nothing is ever asked of it.
const SITE_ORIGIN: &str = "https://notes.example";
/// The repository that the tried pages link to. Nothing is ever asked of it.
const REPOSITORY: &str = "https://forge.example/owner/notes";

/// The oldest node whose test runner the suite fits, major and minor.
const NODE_MIN: (u32, u32) = (18, 19);

/// What the caller wants of the suite.
pub struct Options {
    /// Only tests whose name, such as `load: glossary.html`, holds this text.
    pub only: Option<String>,
    /// Keep the built site, and a picture of every page that a test opened.
    pub keep: bool,
    /// Another build of the book to weigh beside this one.
    pub compare: Option<PathBuf>,
}

/// Builds the site of `root` and runs the suite on it. The results lie in `target/browser/`.
///
/// # Errors
/// When a tool is missing, with the package that brings it; when the site does not build. That a
/// test fails is no error but the code that is returned.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let chromium = chromium::find()?;
    let node = node()?;
    let npm = on_path("npm").context("npm is missing: apt-get install npm")?;
    let out = root.join("target/browser");
    let packages = out.join("packages");
    install(&npm, &root.join("browser"), &packages)?;
    let failures = out.join("failures");
    if failures.exists() {
        fs::remove_dir_all(&failures)
            .with_context(|| format!("cannot remove {}", failures.display()))?;
    }
    let xtask = env::current_exe().context("cannot tell where this program lies")?;
    let site = out.join("site");
    // A process of its own, because mdBook takes the site's address from the environment.
    let mut build = Command::new(&xtask);
    build.arg("--root").arg(root).arg("build").arg("--dest");
    build.arg(&site).stdin(Stdio::null());
    let address = [
        ("SITE_ORIGIN", SITE_ORIGIN.to_owned()),
        ("MDBOOK_OUTPUT__HTML__SITE_URL", SITE_URL.to_owned()),
        (
            "MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL",
            REPOSITORY.to_owned(),
        ),
        (
            "MDBOOK_OUTPUT__HTML__EDIT_URL_TEMPLATE",
            format!("{REPOSITORY}/edit/main/{{path}}"),
        ),
    ];
    build.envs(address.clone());
    if !build.status().context("cannot build the site")?.success() {
        bail!("the site does not build");
    }
    let compare = options
        .compare
        .as_deref()
        .map(std::path::absolute)
        .transpose()?;
    let trace = out.join("trace");
    fs::write(&trace, traced()).with_context(|| format!("cannot write {}", trace.display()))?;
    let status = Command::new(&node)
        .args(["--test", "--test-reporter=spec"])
        .arg(root.join("browser/suite.test.js"))
        .current_dir(root)
        .stdin(Stdio::null())
        .envs(address)
        .env("BOOK_ROOT", root)
        .env("BOOK_SITE", &site)
        .env("BOOK_SITE_URL", SITE_URL)
        .env("BOOK_SITE_ORIGIN", SITE_ORIGIN)
        .env("BOOK_OUT", &out)
        .env("BOOK_TRACE", &trace)
        .env("BOOK_PACKAGES", &packages)
        .env("BOOK_CHROMIUM", &chromium)
        .env("BOOK_XTASK", &xtask)
        .env("BOOK_ONLY", options.only.as_deref().unwrap_or_default())
        .env("BOOK_KEEP", if options.keep { "1" } else { "0" })
        .env("BOOK_COMPARE", compare.unwrap_or_default())
        .status()
        .with_context(|| format!("{} does not start", node.display()))?;
    if !options.keep {
        fs::remove_dir_all(&site).with_context(|| format!("cannot remove {}", site.display()))?;
    }
    if !status.success() && failures.exists() {
        println!(
            "failing pages, with what they showed: {}",
            failures.display()
        );
    }
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What every figure shows natively, a run a line, and for each a way to one of its goals.
fn traced() -> String {
    let mut lines = String::new();
    for entry in labs::all() {
        if let Some(way) = labs::way::to_a_goal(entry) {
            lines.push_str(&way.line(entry));
            lines.push('\n');
        }
        for run in labs::trace::runs(entry.about) {
            lines.push_str(&labs::trace::line(entry, &run));
            lines.push('\n');
        }
    }
    lines
}

/// The program `name` on the caller's path.
fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Node, if it is recent enough.
fn node() -> Result<PathBuf> {
    let node = on_path("node").context("node is missing: apt-get install nodejs npm")?;
    let told = Command::new(&node)
        .arg("--version")
        .output()
        .with_context(|| format!("{} does not start", node.display()))?;
    let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    let (major, minor) = NODE_MIN;
    if version(&told).is_none_or(|found| found < NODE_MIN) {
        bail!(
            "node {major}.{minor} or newer is needed, and {told} is installed: apt-get install nodejs npm"
        );
    }
    Ok(node)
}

/// Major and minor of what `node --version` prints, such as `v20.20.2`.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Installs the packages that `from` pins into `into`, unless they are there already.
fn install(npm: &Path, from: &Path, into: &Path) -> Result<()> {
    let lock = from.join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    // Written last, so that it stands only beside whole packages.
    let done = into.join("installed.json");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(from.join(name), into.join(name))
            .with_context(|| format!("cannot copy {name} to {}", into.display()))?;
    }
    println!("installing the node packages that browser/package-lock.json pins …");
    let status = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--no-update-notifier", "--loglevel", "error"])
        .current_dir(into)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{} does not start", npm.display()))?;
    if !status.success() {
        bail!("npm could not install what browser/package-lock.json pins");
    }
    fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))
}

#[cfg(test)]
mod tests {
    use super::{NODE_MIN, version};

    #[test]
    fn an_old_node_is_told_from_a_recent_one() {
        assert!(version("v18.13.0") < Some(NODE_MIN));
        assert!(version("v18.19.1") >= Some(NODE_MIN));
        assert!(version("v20.20.2") >= Some(NODE_MIN));
        assert_eq!(version("not a version"), None);
    }
}
