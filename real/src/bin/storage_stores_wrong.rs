//! Each of the four stores used as it should not be, and below that, further in, as it
//! should.
//!
//! Look at the second of SQLite's: no waiting helps whoever has read what is out of
//! date. At Redis: every lost order was acknowledged. At S3: two requests are two
//! chances to die between them.
//!
//! Simplified: a process is killed, not a machine without power, against which
//! `appendfsync always` is meant. Nothing cleans up in PostgreSQL meanwhile. What
//! stands behind `~` varies between versions.

use anyhow::{ensure, Result};
use real::storage_kinds::key_value::KeyValue;
use real::storage_kinds::objects::Objects;
use real::storage_kinds::postgresql::PostgreSql;
use real::storage_kinds::sqlite::Sqlite;
use real::storage_kinds::wrong::{
    full, half_a_sale, killed, read_then_write, renew_key, renew_row, report,
    scan_for_orders, second_writer, Busy, Full, ACKNOWLEDGED, AS_DELIVERED,
    EACH_WRITE, RENEWALS, ROLE,
};
use real::storage_kinds::{measured_on, shops, Shop};
use rusqlite::TransactionBehavior::{Deferred, Immediate};
use std::process::ExitCode;
use std::time::Duration;

/// How long the second writer waits if it does.
const WAITS: Duration = Duration::from_secs(5);

fn row(use_of_it: &str, came_of_it: &str) {
    println!("{use_of_it:<34}{came_of_it}");
}

fn sqlite() -> Result<()> {
    println!("SQLite");
    let shop = Sqlite::open()?;
    let told = |refused: Option<Busy>| {
        refused.map_or("both have written".into(), |busy| busy.text)
    };
    row("  two writers at once", &told(second_writer(&shop, Duration::ZERO)?));
    row("    the second waits, 5 s", &told(second_writer(&shop, WAITS)?));
    row("  both wait, read, then write", &told(read_then_write(&shop, Deferred)?));
    row("    begin immediate", &told(read_then_write(&shop, Immediate)?));
    Ok(())
}

fn postgresql(shop: &mut PostgreSql, redis: &mut KeyValue) -> Result<()> {
    println!("PostgreSQL");
    let kept = [renew_row(shop, true)?, renew_row(shop, false)?];
    let [open, alone] = kept.map(|[before, after]| {
        format!("~{} kB, before ~{} kB", after / 1_024, before / 1_024)
    });
    row(&format!("  1 session, renewed {RENEWALS} times"), &alone);
    row("    while a report stays open", &open);
    let [before, after] = renew_key(redis)?;
    row("    as a key of Redis", &format!("~{after} bytes, before ~{before} bytes"));

    let allowed = report(shop, real::postgres::SUPERUSER)?;
    ensure!(allowed == [None, None, None], "{allowed:?}");
    row("  a report as the owner", "reads customers, has changed orders");
    shop.server().connect("owner")?.batch_execute(ROLE)?;
    let [orders, change, customers] = report(shop, "report")?;
    ensure!(orders.is_none(), "{orders:?}");
    row("    as a role: change orders", &change.unwrap_or("done".into()));
    row("    as a role: read customers", &customers.unwrap_or("done".into()));
    Ok(())
}

fn redis(shop: &mut KeyValue) -> Result<()> {
    println!("Redis");
    let of = |left| format!("{left} of {ACKNOWLEDGED} acknowledged orders left");
    row("  killed, as delivered", &of(killed(&AS_DELIVERED)?));
    row("    appendfsync always", &of(killed(&EACH_WRITE)?));
    for (name, policy) in [
        ("  too small, allkeys-lru", "allkeys-lru"),
        ("    volatile-lru", "volatile-lru"),
        ("    noeviction", "noeviction"),
    ] {
        let Full { has_order, refused, .. } = full(policy)?;
        let order = if has_order { "order there" } else { "order gone" };
        // The rest of the text names the setting.
        let refused = refused.unwrap_or("no write refused".into());
        let refused = refused.split(" when").next().unwrap_or_default();
        row(name, &format!("{order}; {refused}"));
    }
    let (found, keys) = scan_for_orders(shop)?;
    row("  question 2 without an index", &format!("{keys} keys looked at"));
    shop.take_calls();
    ensure!(shop.orders_of(1)? == found, "another answer");
    row("    with one", &format!("{} call", shop.take_calls()));
    Ok(())
}

fn s3() -> Result<()> {
    println!("S3");
    let mut shop = Objects::open()?;
    let (lamps, order) = half_a_sale(&mut shop)?;
    let order = if order { "its order" } else { "no order" };
    row("  dies between the two PUTs", &format!("{lamps} lamps, {order}"));
    let mut shop = Objects::open()?;
    let second = shop.sell_in_one_object()?;
    let second = second.err().map_or("sold too".into(), |e| e.to_string());
    let (lamps, orders) = (shop.stock()?, shop.sales_in_object()?);
    row("    one object, one PUT", &format!("{lamps} lamps, {orders} order in it"));
    row("    If-Match: the second buyer", &second);
    row("  one byte changed", &format!("{} bytes sent", shop.change_one_byte()?));
    Ok(())
}

fn run() -> Result<()> {
    let mut sold = Vec::new();
    for mut shop in shops()? {
        sold.push(format!("{} {}", shop.name(), shop.sell_without_looking_again()?));
    }
    println!("{}\n", measured_on()?);
    println!("both saw 1 lamp, both write 0; lamps sold:");
    println!("  {}", sold.join(", "));
    sqlite()?;
    let (mut relational, mut key_value) =
        (PostgreSql::open()?, KeyValue::open(&[])?);
    postgresql(&mut relational, &mut key_value)?;
    redis(&mut key_value)?;
    s3()
}

fn main() -> ExitCode {
    real::exit_code(run())
}
