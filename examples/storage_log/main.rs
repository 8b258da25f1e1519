//! One append-only log, and two faults that lose different things.
//!
//! First a real process is killed at every step of writing a real file. Then the
//! power is cut after every call to a simulated disk. Look at the columns "lost at
//! most" and "torn": a killed process loses what was still in its own buffer, a
//! power cut all that was not yet on the medium. The last lines are a sync that
//! fails, which is not the end of the story, and a device that lies.
//!
//! Simplified: one log, one writer, pages and sectors an eighth of the usual size,
//! and a sync that fails completely or not at all. `log.rs` is the format, `kill.rs`
//! the first fault, `power.rs` the second, `disk.rs` what it happens to.

mod disk;
mod kill;
mod log;
mod power;

use power::{cut_everywhere, SETTINGS};

fn main() -> std::io::Result<()> {
    if let Ok(job) = std::env::var(kill::JOB) {
        return kill::be_the_child(&job);
    }
    kill::print()?;

    println!("\npower cut after any call    cuts  lost at most  torn returned");
    for (name, setting) in SETTINGS {
        let report = cut_everywhere(setting);
        let (cuts, lost, torn) = (report.cuts, report.lost_most, report.torn);
        println!("{name:<26} {cuts:>5} {lost:>13} {torn:>14}");
    }
    Ok(())
}
