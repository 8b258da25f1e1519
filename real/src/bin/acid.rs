//! The chapter's interleavings on PostgreSQL, beside the chapter's own engine.
//!
//! Look at the first column: PostgreSQL has no dirty reads even where the standard
//! would allow them. Then at the last two rows: at Serializable it refuses the write
//! skew and lets the harmless overlap pass, which our cruder check refuses.
//!
//! Simplified: one step at a time, so a write that would wait is given up after a
//! fifth of a second.

use anyhow::Result;
use real::acid::{ours, scripts, verdicts, LEVELS};
use real::machine;
use real::postgres::Postgres;
use real::program::POSTGRES;
use std::process::ExitCode;

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[POSTGRES])?);
    let server = Postgres::start(&[])?;
    let rows = verdicts(&server)?;
    let heads = LEVELS.map(|level| level.trim_start_matches("read "));
    let heads = heads.map(|head| head.trim_end_matches(" read"));
    println!("{}", scripts::table(&heads, &rows));
    println!("\ndifferent from the book's engine:");
    for ((name, ours), row) in ours()?.iter().zip(&rows) {
        for ((level, ours), theirs) in LEVELS.iter().zip(ours).zip(row) {
            let theirs = theirs.to_string();
            if *ours != theirs {
                println!("  {name}, {level}: {theirs}, ours {ours}");
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}
