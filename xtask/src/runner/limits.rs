//! What a reader's program may use up, each with its unit.
//!
//! Knows of nothing else: the other modules of the runner and the server read it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long compiling may take, in wall-clock time.
pub const COMPILE_TIME: Duration = Duration::from_secs(60);

/// How long a program may run, in wall-clock time; the public playground's limit for both
/// compiling and running.
pub const RUN_TIME: Duration = Duration::from_secs(10);

/// How long a block that uses a crate waits for the crates to be compiled.
pub const CRATES_WAIT: Duration = Duration::from_secs(300);

/// How long what was stopped may take to be gone before the server stops waiting for it.
pub const GRACE: Duration = Duration::from_secs(5);

/// How much of what is printed is kept, in bytes for each of standard output and standard error.
/// A program that prints more is stopped.
pub const OUTPUT_BYTES: usize = 512 * 1024;

/// The longest program that is compiled, in bytes of UTF-8.
pub const CODE_BYTES: usize = 256 * 1024;

/// The longest request that is read, in bytes: JSON may write a byte of code as two and more.
pub const REQUEST_BYTES: usize = 3 * CODE_BYTES;

/// How many programs are compiled or run at once.
pub const RUNS: usize = 2;

/// How many requests wait for one of them to end; more are refused.
pub const WAITING: usize = 2;

/// What one step, compiling or running, may use at once.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Use {
    /// Resident memory of all its processes together, in bytes.
    pub memory: u64,
    /// Address space of each of its processes, in bytes: what stops one huge allocation at once.
    pub address_space: u64,
    /// Processes and threads together.
    pub tasks: u64,
    /// The length of a file that it writes, in bytes.
    pub file: u64,
    /// Open files of each of its processes.
    pub open_files: u64,
    /// How much it stands back for others when processors are short: the nice value, from 0 to 19.
    /// It has to stand back for its own supervisor.
    pub nice: i32,
}

/// What the compiler may use, with the linker that it starts.
pub const COMPILE: Use = Use {
    memory: 3 << 30,
    address_space: 16 << 30,
    tasks: 256,
    file: 512 << 20,
    open_files: 1024,
    nice: 5,
};

/// What a program may use. Memory is as on the public playground; a thread takes 2 MiB of
/// address space for its stack alone.
pub const RUN: Use = Use {
    memory: 512 << 20,
    address_space: 4 << 30,
    tasks: 256,
    file: 64 << 20,
    open_files: 256,
    nice: 19,
};

/// The limit for which something was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// It took too long.
    Time,
    /// Its processes held too much memory together.
    Memory,
    /// It had too many processes and threads.
    Tasks,
    /// It printed too much.
    Output,
}
