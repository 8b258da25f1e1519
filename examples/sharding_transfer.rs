//! Two shards, two databases: each keeps its own promises, nobody keeps a joint
//! one.
//!
//! First, an e-mail address that must be unique. Then a transfer: Ann's account
//! is on shard 0, Bob's on shard 1, 100 on each. The program that moves 50 from
//! Ann to Bob crashes after so many steps and starts again from the beginning.
//! The right end is 50 + 150. `at crash` is what a report sees at that moment.
//! All the time, each shard enforces every constraint that it has.
//!
//! Simplified: a shard is an in-memory SQLite that survives the crash of the
//! program, and there is one transfer.

use rusqlite::{params, Connection, Result};

type Cents = i64;

const AMOUNT: Cents = 50;
const TRANSFER: &str = "transfer-1";
const SCHEMA: &str = "
    CREATE TABLE account (name TEXT PRIMARY KEY, cents INTEGER NOT NULL
                          CHECK (cents >= 0));
    CREATE TABLE user    (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
    CREATE TABLE outbox  (transfer TEXT PRIMARY KEY, payee TEXT, cents INTEGER,
                          sent INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE inbox   (transfer TEXT PRIMARY KEY);
";
const CHANGE: &str = "UPDATE account SET cents = cents + ?1 WHERE name = ?2";

fn shards() -> Result<[Connection; 2]> {
    let shards = [Connection::open_in_memory()?, Connection::open_in_memory()?];
    for (shard, name) in shards.iter().zip(["ann", "bob"]) {
        shard.execute_batch(SCHEMA)?;
        shard.execute("INSERT INTO account VALUES (?1, 100)", [name])?;
    }
    Ok(shards)
}

// ANCHOR: naive
/// Two local transactions, one after the other. `steps` says how far the
/// program gets before it crashes.
fn naive(shards: &mut [Connection; 2], steps: u32) -> Result<()> {
    if steps >= 1 {
        shards[0].execute(CHANGE, params![-AMOUNT, "ann"])?;
    }
    if steps >= 2 {
        shards[1].execute(CHANGE, params![AMOUNT, "bob"])?;
    }
    Ok(())
}
// ANCHOR_END: naive

// ANCHOR: outbox
/// Each step is one local transaction, and does nothing the second time.
fn with_outbox(shards: &mut [Connection; 2], steps: u32) -> Result<()> {
    let [from, to] = shards;
    if steps >= 1 {
        let tx = from.transaction()?; // the debit, and a note of it beside it
        let note = "INSERT OR IGNORE INTO outbox VALUES (?1, 'bob', ?2, 0)";
        if tx.execute(note, params![TRANSFER, AMOUNT])? == 1 {
            tx.execute(CHANGE, params![-AMOUNT, "ann"])?;
        }
        tx.commit()?;
    }
    if steps >= 2 {
        let tx = to.transaction()?; // the credit, and the transfer's name
        let name = "INSERT OR IGNORE INTO inbox VALUES (?1)";
        for (transfer, payee, cents) in unsent(from)? {
            if tx.execute(name, [transfer])? == 1 {
                tx.execute(CHANGE, params![cents, payee])?;
            }
        }
        tx.commit()?;
    }
    if steps >= 3 {
        let sent = "UPDATE outbox SET sent = 1 WHERE transfer = ?1";
        from.execute(sent, [TRANSFER])?;
    }
    Ok(())
}
// ANCHOR_END: outbox

fn unsent(shard: &Connection) -> Result<Vec<(String, String, Cents)>> {
    let sql = "SELECT transfer, payee, cents FROM outbox WHERE sent = 0";
    let mut query = shard.prepare(sql)?;
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    rows.collect()
}

fn balances(shards: &[Connection; 2]) -> Result<(Cents, Cents)> {
    let sum = "SELECT sum(cents) FROM account";
    let cents = |shard: &Connection| shard.query_row(sum, [], |row| row.get(0));
    Ok((cents(&shards[0])?, cents(&shards[1])?))
}

type Transfer = fn(&mut [Connection; 2], u32) -> Result<()>;

/// Crash after `steps`, then start again from the beginning. What a reader of
/// both shards sees: at the crash, and in the end.
fn crash_and_restart(transfer: Transfer, steps: u32) -> Result<[(Cents, Cents); 2]> {
    let mut shards = shards()?;
    transfer(&mut shards, steps)?;
    let at_the_crash = balances(&shards)?;
    transfer(&mut shards, u32::MAX)?;
    Ok([at_the_crash, balances(&shards)?])
}

// ANCHOR: unique
/// Users are sharded by id; the address is UNIQUE on each shard.
fn insert_user(shards: &[Connection; 2], id: usize, email: &str) -> Result<usize> {
    let insert = "INSERT INTO user VALUES (?1, ?2)";
    shards[id % 2].execute(insert, params![id as i64, email])
}
// ANCHOR_END: unique

fn main() -> Result<()> {
    let two = shards()?;
    for id in [1, 2, 3] {
        let shard = id % 2;
        let outcome = match insert_user(&two, id, "ann@example.org") {
            Ok(_) => "stored".to_string(),
            Err(error) => error.to_string(),
        };
        println!("user {id}, ann@example.org on shard {shard}: {outcome}");
    }
    println!("\n50 from Ann (100) to Bob (100); who has how much");
    println!("crash     two local transactions    with outbox and inbox");
    println!("after     at crash    restarted     at crash    restarted\n");
    for steps in 0..=3 {
        print!("{steps} steps");
        for transfer in [naive as Transfer, with_outbox] {
            for (ann, bob) in crash_and_restart(transfer, steps)? {
                print!("{:>13}", format!("{ann} + {bob}"));
            }
        }
        println!();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_constraint_holds_on_each_shard_and_not_across_them() -> Result<()> {
        let shards = shards()?;
        insert_user(&shards, 1, "ann@example.org")?;
        assert!(insert_user(&shards, 2, "ann@example.org").is_ok());
        assert!(insert_user(&shards, 3, "ann@example.org").is_err());
        Ok(())
    }

    #[test]
    fn two_local_transactions_lose_the_money_or_send_it_twice() -> Result<()> {
        assert_eq!(crash_and_restart(naive, 1)?, [(50, 100), (0, 150)]);
        assert_eq!(crash_and_restart(naive, 2)?, [(50, 150), (0, 200)]);
        Ok(())
    }

    #[test]
    fn with_outbox_and_inbox_every_crash_ends_in_one_transfer() -> Result<()> {
        for first in 0..=3 {
            for second in 0..=3 {
                let mut shards = shards()?;
                with_outbox(&mut shards, first)?;
                with_outbox(&mut shards, second)?;
                with_outbox(&mut shards, 3)?;
                assert_eq!(balances(&shards)?, (50, 150), "{first} {second}");
                assert!(unsent(&shards[0])?.is_empty());
            }
        }
        Ok(())
    }

    #[test]
    fn between_the_steps_the_outbox_holds_what_a_reader_misses() -> Result<()> {
        let mut shards = shards()?;
        with_outbox(&mut shards, 1)?;
        let (ann, bob) = balances(&shards)?;
        let in_transit: Cents = unsent(&shards[0])?.iter().map(|t| t.2).sum();
        assert_eq!((ann + bob, in_transit), (150, 50));
        Ok(())
    }

    #[test]
    fn what_ann_does_not_have_is_not_sent() -> Result<()> {
        let mut shards = shards()?;
        shards[0].execute(CHANGE, params![-80, "ann"])?;
        assert!(with_outbox(&mut shards, 3).is_err()); // CHECK (cents >= 0)
        assert_eq!(balances(&shards)?, (20, 100));
        assert!(
            unsent(&shards[0])?.is_empty(),
            "the note was rolled back too"
        );
        Ok(())
    }
}
