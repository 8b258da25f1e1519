//! The chapter's questions to an object store: its own, and a server that speaks S3.
//!
//! Look at the lines on which the two differ. Some are the server's files showing
//! through, some are what it does not have. In the last line two clients create the
//! same key on the condition that it is absent, and one of them is slow.
//!
//! Simplified: server and client are in one process.

use anyhow::Result;
use s3::object_storage::{S3S, both, race, start};
use std::process::ExitCode;

fn line(step: &str, ours: &str, theirs: &str) {
    println!("{step:<27}{ours:<23}{theirs}");
}

fn run() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[S3S])?);
    let running = start()?;
    line("", "ours", "S3 server");
    for (step, ours, theirs) in both(&running.server)? {
        line(step, &ours, &theirs);
    }
    let (first, second, _) = race(&running.server)?;
    line("two PUTs if absent at once", "200, 412", &format!("{first}, {second}"));
    Ok(())
}

fn main() -> ExitCode {
    s3::object_storage::exit_code(run())
}
