//! What a consumer does with a message, and what it remembers of it: an amount is
//! added to one account. It knows of no broker.

use rusqlite::{Connection, Result};

/// Creates what is missing; run it at every start.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS account (balance INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS done (message TEXT PRIMARY KEY);
    INSERT INTO account SELECT 0 WHERE NOT EXISTS (SELECT * FROM account);
";

const ADD: &str = "UPDATE account SET balance = balance + ?1";
const REMEMBER: &str = "INSERT OR IGNORE INTO done VALUES (?1)";

// ANCHOR: add
/// Adds `amount` as often as it is asked to.
pub fn add(db: &Connection, amount: i64) -> Result<()> {
    db.execute(ADD, [amount]).map(|_| ())
}

/// Adds `amount` unless it did so for this message before. The message's name and
/// the effect are one transaction: a crash leaves both or neither. Returns whether
/// it added.
pub fn add_once(db: &mut Connection, message: &str, amount: i64) -> Result<bool> {
    let tx = db.transaction()?;
    let is_new = tx.execute(REMEMBER, [message])? == 1;
    if is_new {
        tx.execute(ADD, [amount])?;
    }
    tx.commit()?; // what comes before this line vanishes in a crash
    Ok(is_new)
}
// ANCHOR_END: add

/// Remembers a message, and says whether it is new: half of [`add_once`], for
/// those who want to see why it must not stand alone.
pub fn remember(db: &Connection, message: &str) -> Result<bool> {
    Ok(db.execute(REMEMBER, [message])? == 1)
}

/// Whether a message is remembered.
pub fn is_done(db: &Connection, message: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT * FROM done WHERE message = ?1)";
    db.query_row(sql, [message], |row| row.get(0))
}

/// What is in the account.
pub fn balance(db: &Connection) -> Result<i64> {
    db.query_row("SELECT balance FROM account", [], |row| row.get(0))
}
