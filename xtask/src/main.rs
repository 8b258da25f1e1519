//! The book's own tool: `cargo xtask serve | build | check | pdf | browser | new-chapter | record | ci | bench`.
//!
//! Each module is named after what it does for its user. It may know of the whole tree (the
//! chapters under `src/`, the programs under `examples/` and `real/`), and no chapter or program
//! may know of it: the stock `mdbook build` works without this crate.

mod assets;
mod bench;
mod book;
mod browser;
mod check;
mod chromium;
mod ci;
mod code;
mod contents;
mod diagrams;
mod figures;
mod files;
mod glossary;
mod highlight;
mod labs;
mod meta;
mod new_chapter;
mod offline;
mod pdf;
mod record;
mod runner;
mod search;
mod serve;
mod site;
mod tables;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Builds, serves and checks the System Design Notes.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// The folder that holds book.toml
    #[arg(long, global = true, default_value_os_t = repository(), hide_default_value = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the book on 127.0.0.1 and reload the page when a file changes
    Serve {
        /// The port to serve on
        #[arg(long, default_value_t = 3000)]
        port: u16,
        /// Open the book in a browser
        #[arg(long)]
        open: bool,
    },
    /// Build the whole site into a folder
    Build {
        /// Where the site goes; an earlier site there is replaced once the new one is whole
        #[arg(long, value_name = "DIR")]
        dest: Option<PathBuf>,
    },
    /// What a pull request must pass, without running code
    Check {
        /// Also follow the links to other sites
        #[arg(long)]
        external: bool,
    },
    /// Print the whole book into one PDF, with the Chromium of this machine
    Pdf {
        /// The file to write; an earlier one is replaced once the new one is whole
        #[arg(long, value_name = "FILE")]
        dest: Option<PathBuf>,
    },
    /// Try the built site in a headless Chromium, as a reader meets it
    Browser {
        /// Run only the tests whose name, such as "load: glossary.html", holds this text
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
        /// Keep the built site, and a picture of every page, under target/browser/
        #[arg(long)]
        keep: bool,
        /// Weigh the pages of another build of the book beside this one's
        #[arg(long, value_name = "DIR")]
        compare: Option<PathBuf>,
    },
    /// Start a chapter: its file from the template and its line in SUMMARY.md
    NewChapter {
        /// The chapter's title
        title: String,
        /// The folder of its part below src/
        #[arg(long)]
        part: String,
    },
    /// Record what programs print, for the chapters that show it
    Record {
        /// The programs; all under examples/ when none is named
        names: Vec<String>,
    },
    /// Everything that a pull request's checks run, in their order
    Ci,
    /// Measure builds, and the bytes of each page
    Bench,
    /// One stage of the way to a reader's program, for this tool's own use
    #[command(name = runner::confine::COMMAND, hide = true)]
    Confine { stage: String },
}

/// The folder of this repository: the parent of the tool's own package.
fn repository() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map_or(package.clone(), PathBuf::from)
}

/// Prints what a command found. That somebody reads only its beginning, with `| head`, is fine.
///
/// # Errors
/// When it cannot be printed for any other reason.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot print"),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let root = std::path::absolute(&cli.root)?;
    match cli.command {
        Command::Serve { port, open } => serve::run(&root, port, open)?,
        Command::Build { dest } => {
            let dest = dest.unwrap_or_else(|| root.join("book"));
            let report = site::build(&root, &dest)?;
            println!(
                "built {} pages with {} diagrams in {:.2} s: {}",
                report.pages,
                report.diagrams,
                report.took.as_secs_f64(),
                dest.join("index.html").display()
            );
        }
        Command::Check { external } => return check::run(&root, external),
        Command::Pdf { dest } => {
            let dest = dest.unwrap_or_else(|| root.join("target/system-design-notes.pdf"));
            let report = pdf::run(&root, &std::path::absolute(&dest)?)?;
            println!(
                "printed {} pages with {} bookmarks, {} jumps and {} links to other sites \
                 ({:.1} MB) in {:.1} s: {}",
                report.pages,
                report.bookmarks,
                report.jumps,
                report.links,
                report.bytes as f64 / 1e6,
                report.took.as_secs_f64(),
                dest.display()
            );
        }
        Command::Browser {
            only,
            keep,
            compare,
        } => {
            let options = browser::Options {
                only,
                keep,
                compare,
            };
            return browser::run(&root, &options);
        }
        Command::NewChapter { title, part } => {
            let path = new_chapter::run(&root, &title, &part)?;
            println!(
                "{} and its line in src/SUMMARY.md are there; cargo xtask check says what is left",
                path.display()
            );
        }
        Command::Record { names } => record::run(&root, &names)?,
        Command::Ci => ci::run(&root)?,
        Command::Bench => bench::run(&root)?,
        Command::Confine { stage } => return Ok(runner::confine::run(&stage)),
    }
    Ok(ExitCode::SUCCESS)
}
