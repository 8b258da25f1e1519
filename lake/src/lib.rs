//! The book's tables in files, on object storage, asked with SQL.
//!
//! A chapter explains a mechanism with a program of its own. This crate puts the
//! same question to software that people run, all of it inside this process: the
//! query engine DataFusion and its distributed engine Ballista, on the S3 server of the
//! package `s3`.
//!
//! | module | what it does | what it may know of |
//! |---|---|---|
//! | [`events`] | a week of events in a bucket, and what a question of them costs | `s3`, `datafusion` |
//! | [`orders`] | messy orders as text, and the SQL that transforms them | `datafusion` |
//! | [`cluster`] | a scheduler and executors, and what became of a query there | `ballista` |
//!
//! Deliberately absent: no fixed port, no path outside a temporary folder, no global
//! state, no `unsafe`, no clock or chance in what is stored or answered.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod cluster;
pub mod events;
pub mod orders;

use anyhow::{Context, Result};
use std::process::ExitCode;

/// Query plans are deep, and what walks through them is compiled without
/// optimisation: a thread's default of 2 MiB of stack is not enough.
const STACK_BYTES: usize = 16 << 20;

/// Runs `work` to its end on threads of its own.
///
/// # Errors
/// That of `work`; or when the threads cannot be had.
pub fn block_on<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .context("start the threads")?;
    // On one of them: this thread's stack is its caller's choice.
    runtime.block_on(runtime.spawn(work)).context("the work panicked")?
}

/// What a program's `main` returns: an error becomes one line on standard error, its
/// causes behind it, and exit code 1.
pub fn exit_code(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
