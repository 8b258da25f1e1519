//! The effect: one account in a SQLite file, and what a consumer remembers beside it.

use anyhow::{Context, Result};
use rusqlite::{params, Connection};
use std::path::Path;
use std::time::Duration;

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
        file.execute_batch(
            "create table if not exists account(balance integer not null);
             create table if not exists done(message text primary key);
             insert into account select 0 where not exists (select * from account);",
        )?;
        Ok(Account { file })
    }

    /// What is in it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn balance(&self) -> Result<i64> {
        Ok(self
            .file
            .query_row("select balance from account", [], |row| row.get(0))?)
    }

    /// Adds `amount`, however often it is asked to.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, amount: i64) -> Result<()> {
        self.file.execute("update account set balance = balance + ?", [amount])?;
        Ok(())
    }

    /// Adds `amount` unless it did so for the message of this name before. The name
    /// and the new balance are one transaction: a crash leaves both or neither.
    /// Returns whether it added.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_once(&mut self, message: &str, amount: i64) -> Result<bool> {
        let transaction = self.file.transaction()?;
        let new = transaction
            .execute("insert or ignore into done values (?)", params![message])?;
        if new == 1 {
            transaction
                .execute("update account set balance = balance + ?", [amount])?;
        }
        transaction.commit()?;
        Ok(new == 1)
    }
}
