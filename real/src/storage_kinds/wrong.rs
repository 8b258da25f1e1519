//! Each store used as it should not be, and then as it should. A function does either,
//! by its argument, and tells what came of it.

use super::key_value::KeyValue;
use super::postgresql::PostgreSql;
use super::sqlite::Sqlite;
use super::{document, parsed, sql, Shop, LAMP, SESSION, SESSION_S};
use crate::redis::{info, Redis};
use ::redis::{cmd, Connection};
use anyhow::{ensure, Context, Result};
use rusqlite::{ErrorCode, TransactionBehavior};
use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long a writer has its transaction open while another begins.
const WRITES_FOR: Duration = Duration::from_millis(100);
/// How long one thread waits for a word of the other.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a session is renewed.
pub const RENEWALS: i64 = 1_000;
/// How often what the session holds is repeated, so that it is worth keeping once.
const SESSION_TIMES: usize = 50;
/// How many orders Redis acknowledges before it is killed.
pub const ACKNOWLEDGED: usize = 100;
/// What a Redis may use beside what it has already.
const ROOM_BYTES: u64 = 1_000_000;
/// Pages that are put into it: each, and all, which is much more.
const PAGE_BYTES: usize = 10_000;
const PAGES: usize = 2_000;
/// How many keys there are that are no orders.
const OTHER_KEYS: usize = 1_000;

/// Two SQLite connections write at the same time. What the second is told, if it is
/// refused; it waits this long for the first. SQLite's own default is not at all.
///
/// # Errors
/// When something else fails.
// ANCHOR: sqlite
pub fn second_writer(shop: &Sqlite, waits: Duration) -> Result<Option<Busy>> {
    let (first, second) = (shop.connect()?, shop.connect()?);
    second.busy_timeout(waits)?;
    first.execute_batch("begin immediate")?;
    thread::scope(|scope| {
        let second = scope
            .spawn(move || busy(second.execute_batch("begin immediate; commit")));
        thread::sleep(WRITES_FOR);
        first.execute_batch("commit")?;
        second.join().ok().context("the second writer panicked")?
    })
}
// ANCHOR_END: sqlite

/// Two SQLite transactions, both begun like this, read the stock; then both write it.
/// What the second is told, if it is refused. Each waits for the other for up to 5 s.
///
/// # Errors
/// When something else fails.
pub fn read_then_write(
    shop: &Sqlite,
    begin: TransactionBehavior,
) -> Result<Option<Busy>> {
    let add_one = "update products set stock = stock + 1 where id = $1";
    let read = |connection: &rusqlite::Connection| {
        connection.query_row(sql::STOCK, [LAMP], |row| row.get::<_, i32>(0))
    };
    let (mut first, mut second) = (shop.connect()?, shop.connect()?);
    let first = first.transaction_with_behavior(begin)?;
    read(&first)?;
    let (has_read, reads) = channel();
    let (goes_on, go) = channel();
    thread::scope(|scope| {
        let second = scope.spawn(move || {
            let transaction = second.transaction_with_behavior(begin);
            busy(transaction.and_then(|transaction| {
                read(&transaction)?;
                has_read.send(()).ok();
                go.recv_timeout(PATIENCE).ok();
                transaction.execute(add_one, [LAMP])?;
                transaction.commit()
            }))
        });
        // One that begins with the right to write cannot read before the first ends.
        let waits = matches!(begin, TransactionBehavior::Immediate);
        reads.recv_timeout(if waits { WRITES_FOR } else { PATIENCE }).ok();
        first.execute(add_one, [LAMP])?;
        first.commit()?;
        goes_on.send(()).ok();
        second.join().ok().context("the second writer panicked")?
    })
}

/// How SQLite says that somebody else writes, or has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Its text.
    pub text: String,
    /// Whoever is told so has read what is out of date by now; to wait does not help.
    pub has_read_old: bool,
}

fn busy<T>(outcome: rusqlite::Result<T>) -> Result<Option<Busy>> {
    match outcome {
        Ok(_) => Ok(None),
        Err(rusqlite::Error::SqliteFailure(error, Some(text)))
            if error.code == ErrorCode::DatabaseBusy =>
        {
            let code = error.extended_code;
            let has_read_old = code == rusqlite::ffi::SQLITE_BUSY_SNAPSHOT;
            Ok(Some(Busy { text, has_read_old }))
        }
        Err(error) => Err(error.into()),
    }
}

/// A role of PostgreSQL that may log in and read the orders, and nothing else.
// ANCHOR: grant
pub const ROLE: &str = "
create role report login;
grant select on orders to report;
";
/// It reads what it is for, then two things that it is not for.
pub const REPORT: [&str; 3] = [
    "select count(*) from orders",
    "update orders set customer = 1",
    "select name from customers",
];
// ANCHOR_END: grant

/// What this user is told at each statement of [`REPORT`], if it is refused.
///
/// # Errors
/// When something else fails.
pub fn report(shop: &PostgreSql, user: &str) -> Result<[Option<String>; 3]> {
    let mut client = shop.server().connect_as(user, "report")?;
    let mut outcomes = Vec::new();
    for statement in REPORT {
        outcomes.push(match client.execute(statement, &[]) {
            Ok(_) => None,
            Err(error) => {
                let refused = error.as_db_error().map(|e| e.message().to_owned());
                Some(refused.with_context(|| format!("{statement}: {error}"))?)
            }
        });
    }
    outcomes.try_into().ok().context("three statements, three outcomes")
}

/// One session in a new table of PostgreSQL, renewed [`RENEWALS`] times: how many
/// bytes the table and its indexes take before and after. If there is a reader, their
/// transaction began before, and they may still ask for what was then. Nobody
/// vacuums.
///
/// # Errors
/// When a statement fails.
// ANCHOR: renewals
pub fn renew_row(shop: &PostgreSql, reader: bool) -> Result<[i64; 2]> {
    let mut client = shop.server().connect("sessions")?;
    client.batch_execute(
        "drop table if exists kept;
        create table kept(value text, expires_at_s int);
        create index on kept(expires_at_s)",
    )?;
    let session = SESSION.repeat(SESSION_TIMES);
    client.execute("insert into kept values ($1, 0)", &[&session])?;
    let mut open = shop.server().connect("report")?;
    if reader {
        open.batch_execute("begin isolation level repeatable read")?;
        open.execute("select count(*) from orders", &[])?;
    }
    let bytes = "select pg_relation_size('kept') + pg_indexes_size('kept')";
    let before = client.query_one(bytes, &[])?.get(0);
    for _ in 0..RENEWALS {
        client.execute("update kept set expires_at_s = expires_at_s + 1", &[])?;
    }
    Ok([before, client.query_one(bytes, &[])?.get(0)])
}
// ANCHOR_END: renewals

/// The same on Redis: how many bytes the key takes before and after.
///
/// # Errors
/// When a command fails.
pub fn renew_key(shop: &mut KeyValue) -> Result<[i64; 2]> {
    let mut connection = shop.server().connect()?;
    let session = SESSION.repeat(SESSION_TIMES);
    cmd("SET").arg("session:bram").arg(session).exec(&mut connection)?;
    let renew = |connection: &mut Connection, seconds: i64| -> Result<i64> {
        cmd("EXPIRE").arg("session:bram").arg(seconds).exec(connection)?;
        let usage = &["USAGE", "session:bram"];
        Ok(cmd("MEMORY").arg(usage).query(connection)?)
    };
    let life_s = i64::from(SESSION_S);
    let before = renew(&mut connection, life_s)?;
    for renewal in 1..RENEWALS {
        renew(&mut connection, life_s + renewal)?;
    }
    Ok([before, renew(&mut connection, life_s + RENEWALS)?])
}

/// As Redis 7 writes to disk if nothing else is asked for: now and then, all of it.
pub const AS_DELIVERED: [(&str, &str); 2] =
    [("save", "3600 1 300 100 60 10000"), ("appendonly", "no")];
/// Every write is on the disk before it is acknowledged.
pub const EACH_WRITE: [(&str, &str); 2] =
    [("appendonly", "yes"), ("appendfsync", "always")];

/// Redis acknowledges [`ACKNOWLEDGED`] orders, is killed and started again: how many
/// there are then.
///
/// # Errors
/// As [`Redis::start`]; when a command fails.
// ANCHOR: killed
pub fn killed(settings: &[(&str, &str)]) -> Result<usize> {
    let mut server = Redis::start(settings)?;
    let mut connection = server.connect()?;
    for order in 0..ACKNOWLEDGED {
        let answer: String = cmd("SET")
            .arg(format!("order:{order}"))
            .arg(document(1, 0, &[(LAMP, 1)]))
            .query(&mut connection)?;
        ensure!(answer == "OK", "not acknowledged: {answer}");
    }
    server.server().kill();
    server.server().restart()?;
    Ok(cmd("DBSIZE").query(&mut server.connect()?)?)
}
// ANCHOR_END: killed

/// What a Redis that is full did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Order 101, which has no time to live, is still there.
    pub has_order: bool,
    /// What the first write that was refused was told.
    pub refused: Option<String>,
    /// It threw away something.
    pub evicted: bool,
}

/// The shop's Redis is also used as a cache of pages, which live for an hour; there
/// are more of them than it has room for.
///
/// # Errors
/// When a command fails otherwise.
pub fn full(policy: &str) -> Result<Full> {
    let mut shop = KeyValue::open(&[("maxmemory-policy", policy)])?;
    let mut connection = shop.server().connect()?;
    let limit = info(&mut connection, "used_memory")? + ROOM_BYTES;
    let limit = ["SET".to_owned(), "maxmemory".to_owned(), limit.to_string()];
    cmd("CONFIG").arg(&limit).exec(&mut connection)?;
    let mut refused = None;
    for page in 0..PAGES {
        let written = cmd("SET")
            .arg(format!("page:{page}"))
            .arg(vec![b'x'; PAGE_BYTES])
            .arg("EX")
            .arg(3_600)
            .exec(&mut connection);
        match written {
            Ok(()) => {}
            Err(error) if error.code() == Some("OOM") => {
                let text = error.detail().unwrap_or_default();
                refused = Some(format!("OOM {text}"));
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Full {
        has_order: cmd("EXISTS").arg("order:101").query(&mut connection)?,
        refused,
        evicted: info(&mut connection, "evicted_keys")? > 0,
    })
}

/// Question 2 without what was written for it. The orders that were found, newest
/// first, and how many keys were looked at.
///
/// # Errors
/// When a command fails.
// ANCHOR: scan
pub fn scan_for_orders(shop: &mut KeyValue) -> Result<(Vec<i32>, usize)> {
    let mut connection = shop.server().connect()?;
    for key in 0..OTHER_KEYS {
        cmd("SET").arg(format!("page:{key}")).arg("").exec(&mut connection)?;
    }
    let (mut cursor, mut seen, mut found) = (0_u64, BTreeSet::new(), Vec::new());
    loop {
        let part: (u64, Vec<String>) =
            cmd("SCAN").arg(cursor).query(&mut connection)?;
        for key in part.1 {
            let number = key.strip_prefix("order:").map(str::parse);
            if !seen.insert(key.clone()) {
                continue; // SCAN may show a key twice
            }
            let Some(number) = number else { continue };
            let text: Vec<u8> = cmd("GET").arg(key).query(&mut connection)?;
            let (order, at_s) = parsed(&text)?;
            if order.customer == 1 {
                found.push((at_s, number?));
            }
        }
        cursor = part.0;
        if cursor == 0 {
            break;
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok((found.into_iter().map(|(_, number)| number).collect(), seen.len()))
}
// ANCHOR_END: scan

/// A buyer takes the lamp and dies before the order is written. How many lamps there
/// are then, and whether there is an order.
///
/// # Errors
/// When the store fails.
pub fn half_a_sale(shop: &mut dyn Shop) -> Result<(i32, bool)> {
    shop.die_between_lamp_and_order()?;
    Ok((shop.stock()?, shop.order(super::BUYERS[0].0).is_ok()))
}
