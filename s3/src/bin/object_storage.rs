//! The chapter's questions to an object store: its own, and a server that speaks S3.
//!
//! Look at the lines on which the two differ. Some are the server's files showing
//! through, some are what it does not have. In the last line two clients create the
//! same key on the condition that it is absent. The first is slow: its body comes
//! when the second has been answered.
//!
//! Simplified: server and client are in one process.

use anyhow::Result;
use s3::object_storage::store::{Client, Store, When};
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
    // Ours gets a request when all of it is there, so the slow one comes last.
    let mut ours = Store::default();
    let [second, first] = ["second", "first"].map(|bytes| {
        let put = ours.put("raced", bytes.as_bytes(), When::Absent);
        put.map_or_else(|refusal| refusal.status, |_| 200)
    });
    let ours = format!("{first}, {second}");
    let (first, second, _) = race(&running.server)?;
    line("two PUTs if absent at once", &ours, &format!("{first}, {second}"));
    Ok(())
}

fn main() -> ExitCode {
    s3::object_storage::exit_code(run())
}
