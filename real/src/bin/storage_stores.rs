//! The chapter's shop in four stores, each asked the same five questions.
//!
//! Look at the answers first: they are the same four times. Then at the calls of the
//! store's client: where a store has no index, a question reads everything. What a
//! buyer who dies leaves of question 4 is in `storage_stores_wrong`.
//!
//! Simplified: four orders. A call of SQLite crosses no network, and one of
//! PostgreSQL's client may cross it twice, to prepare a statement and to execute it.

use anyhow::Result;
use real::storage_kinds::{ask, measured_on, shops, QUESTIONS};
use std::process::ExitCode;

fn run() -> Result<()> {
    let (mut rows, mut kept) = (Vec::new(), Vec::new());
    for mut shop in shops()? {
        rows.push((shop.name(), ask(&mut *shop)?));
        kept.push(format!("{} {}", shop.name(), shop.sessions_stored()?));
    }
    println!("{}\n\n{:>72}", measured_on()?, "calls");
    for (i, question) in QUESTIONS.iter().enumerate() {
        println!("{}. {question}", i + 1);
        for (name, answers) in &rows {
            let answer = &answers[i];
            println!("   {name:<13}{:<48}{:>8}", answer.text, answer.calls);
        }
    }
    println!("   ended sessions still stored: {}", kept.join(", "));
    Ok(())
}

fn main() -> ExitCode {
    real::exit_code(run())
}
