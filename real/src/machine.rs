//! The line that says where a recorded run was made, and with which servers.
//!
//! May know of `program`.

use crate::program::Program;
use anyhow::Result;

/// `measured on: 2 cores, Linux, nginx 1.22.1, haproxy 2.6.12, 2026-11-21`: the
/// cores that this process may use, the system, each server's version, the day in
/// UTC.
///
/// # Errors
/// When a server is not installed or prints no version, or the clock is before 1970.
pub fn measured_on(programs: &[Program]) -> Result<String> {
    let versions: Vec<String> =
        programs.iter().map(Program::version).collect::<Result<_>>()?;
    let parts: Vec<(&str, &str)> = programs
        .iter()
        .map(Program::name)
        .zip(versions.iter().map(String::as_str))
        .collect();
    recorded::measured_on(&parts)
}
