//! The effect: one account in a SQLite file, and what a consumer remembers beside it.
//!
//! What is done to the account is the chapter's own source. This knows of the file.

use anyhow::{Context, Result};
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

#[allow(dead_code)] // the chapter's program uses all of it
#[path = "../../../examples/message_queues_delivery/consumer.rs"]
mod chapter;

/// How long a file may be locked by somebody else.
const LOCKED_AT_MOST: Duration = Duration::from_secs(5);

/// An account, in a file that outlives the process that changes it.
pub struct Account {
    file: Connection,
}

impl Account {
    /// Opens the account in `file`, an empty one if there is none.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(file: &Path) -> Result<Account> {
        let file = Connection::open(file)
            .with_context(|| format!("open {}", file.display()))?;
        file.busy_timeout(LOCKED_AT_MOST)?;
        file.execute_batch(chapter::SCHEMA)?;
        Ok(Account { file })
    }

    /// What is in it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn balance(&self) -> Result<i64> {
        Ok(chapter::balance(&self.file)?)
    }

    /// Adds `amount`, however often it is asked to.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, amount: i64) -> Result<()> {
        Ok(chapter::add(&self.file, amount)?)
    }

    /// Adds `amount` unless it did so for the message of this name before. The name
    /// and the new balance are one transaction: a crash leaves both or neither.
    /// Returns whether it added.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_once(&mut self, message: &str, amount: i64) -> Result<bool> {
        Ok(chapter::add_once(&mut self.file, message, amount)?)
    }
}
