//! What the storage chapter says of SQLite, PostgreSQL, Redis and an object store.

use ::redis::cmd;
use anyhow::{ensure, Context, Result};
use real::launch::Launch;
use real::program::{skip_if_missing, REDIS};
use real::storage_kinds::key_value::KeyValue;
use real::storage_kinds::objects::Objects;
use real::storage_kinds::postgresql::PostgreSql;
use real::storage_kinds::sqlite::Sqlite;
use real::storage_kinds::wrong::{
    full, half_a_sale, killed, read_then_write, renew_key, renew_row, report,
    scan_for_orders, second_writer, Busy, ACKNOWLEDGED, AS_DELIVERED, EACH_WRITE,
    ROLE,
};
use real::storage_kinds::{ask, shops, Shop, BUYERS, SESSION_S};
use real::wait_until;
use rusqlite::TransactionBehavior::{Deferred, Immediate};
use std::time::Duration;

#[test]
fn all_four_stores_give_the_same_five_answers() -> Result<()> {
    let Some(shops) = skip_if_missing(shops())? else { return Ok(()) };
    for mut shop in shops {
        let name = shop.name();
        let answers = ask(&mut *shop)?.map(|answer| answer.text);
        let expected = [
            "customer 1: pen x5, mug x1",
            "104, 103, 101",
            "mug 4, pen 18",
            "105 sold, 106 sold out",
            "1000 bytes from 27; 1799 s: here, 1800 s: gone",
        ];
        ensure!(answers == expected, "{name}: {answers:?}");
        ensure!(shop.stock()? == 0, "{name}");
        // The lamp went together with its order, and to nobody else.
        ensure!(shop.order(BUYERS[0].0)?.lines == [("lamp".into(), 1)], "{name}");
        ensure!(shop.order(BUYERS[1].0).is_err(), "{name}: sold twice");
        ensure!(shop.orders_of(1)? == [105, 104, 103, 101], "{name}");
        ensure!(shop.units_sold()?.get("lamp") == Some(&1), "{name}");
    }
    Ok(())
}

#[test]
fn a_store_without_an_index_reads_every_order_for_one_customer() -> Result<()> {
    let mut shop = Objects::open()?;
    let before = shop.requests_answered();
    for question in ["orders", "units"] {
        shop.take_calls();
        match question {
            "orders" => drop(shop.orders_of(1)?),
            _ => drop(shop.units_sold()?),
        }
        ensure!(shop.take_calls() == 5, "a LIST and four GETs");
    }
    // The server has seen as many as the client has counted.
    ensure!(shop.requests_answered() - before == 10);
    Ok(())
}

#[test]
fn redis_answers_in_one_call_what_its_writer_wrote_and_else_looks_at_every_key(
) -> Result<()> {
    let Some(mut shop) = skip_if_missing(KeyValue::open(&[]))? else {
        return Ok(());
    };
    let keys: usize = cmd("DBSIZE").query(&mut shop.server().connect()?)?;
    let (found, looked_at) = scan_for_orders(&mut shop)?;
    ensure!(looked_at == keys + 1_000, "{looked_at} of {keys}");
    shop.take_calls();
    ensure!(shop.orders_of(1)? == found);
    ensure!(shop.take_calls() == 1);
    Ok(())
}

#[test]
fn every_store_sells_one_lamp_twice_to_buyers_who_do_not_look_again() -> Result<()> {
    let Some(shops) = skip_if_missing(shops())? else { return Ok(()) };
    for mut shop in shops {
        let sold = shop.sell_without_looking_again()?;
        ensure!(sold == 2 && shop.stock()? == 0, "{}: {sold}", shop.name());
    }
    Ok(())
}

#[test]
fn a_buyer_who_dies_leaves_half_a_sale_in_an_object_store_and_nowhere_else(
) -> Result<()> {
    let Some(shops) = skip_if_missing(shops())? else { return Ok(()) };
    for mut shop in shops {
        let (lamps, order) = half_a_sale(&mut *shop)?;
        let left = if shop.name() == "S3" { 0 } else { 1 };
        ensure!(lamps == left && !order, "{}: {lamps}, {order}", shop.name());
    }
    Ok(())
}

#[test]
fn an_object_store_refuses_the_second_of_two_conditional_puts() -> Result<()> {
    let mut shop = Objects::open()?;
    let second = shop.sell_in_one_object()?.err().context("sold twice")?;
    ensure!(second.to_string() == "412 PreconditionFailed", "{second}");
    // The lamp and its sale are one object: both changed.
    ensure!((shop.stock()?, shop.sales_in_object()?) == (0, 1));
    Ok(())
}

#[test]
fn a_changed_byte_sends_the_whole_object() -> Result<()> {
    let mut shop = Objects::open()?;
    let before = shop.photo_part(0..2)?;
    ensure!(shop.change_one_byte()? == 100_000);
    let after = shop.photo_part(0..2)?;
    ensure!(after == [before[0].wrapping_add(1), before[1]]);
    Ok(())
}

#[test]
fn a_second_sqlite_writer_is_refused_unless_it_waits() -> Result<()> {
    let shop = Sqlite::open()?;
    let refused = second_writer(&shop, Duration::ZERO)?;
    let text = "database is locked".to_owned();
    let expected = Busy { text, has_read_old: false };
    ensure!(refused.as_ref() == Some(&expected), "{refused:?}");
    ensure!(second_writer(&shop, Duration::from_secs(20))?.is_none());
    Ok(())
}

#[test]
fn waiting_does_not_help_a_sqlite_transaction_that_read_before_it_writes(
) -> Result<()> {
    let mut shop = Sqlite::open()?;
    let refused = read_then_write(&shop, Deferred)?;
    let text = "database is locked".to_owned();
    let expected = Busy { text, has_read_old: true };
    ensure!(refused.as_ref() == Some(&expected), "{refused:?}");
    ensure!(shop.stock()? == 2, "the first has written");
    ensure!(read_then_write(&shop, Immediate)?.is_none());
    ensure!(shop.stock()? == 4, "neither write was lost");
    Ok(())
}

#[test]
fn a_role_with_select_on_one_table_reads_it_and_nothing_else() -> Result<()> {
    let Some(shop) = skip_if_missing(PostgreSql::open())? else { return Ok(()) };
    let mut owner = shop.server().connect("owner")?;
    owner.batch_execute(ROLE)?;
    let refused = report(&shop, "report")?;
    let expected = [
        None,
        Some("permission denied for table orders".to_owned()),
        Some("permission denied for table customers".to_owned()),
    ];
    ensure!(refused == expected, "{refused:?}");
    let customers: i64 =
        owner.query_one("select count(distinct customer) from orders", &[])?.get(0);
    ensure!(customers == 2, "the report has changed orders");
    ensure!(report(&shop, real::postgres::SUPERUSER)? == [None, None, None]);
    Ok(())
}

#[test]
fn a_renewed_row_grows_its_table_more_while_somebody_reads_and_a_key_does_not(
) -> Result<()> {
    let Some(shop) = skip_if_missing(PostgreSql::open())? else { return Ok(()) };
    let Some(mut redis) = skip_if_missing(KeyValue::open(&[]))? else {
        return Ok(());
    };
    let [before, alone] = renew_row(&shop, false)?;
    let [_, with_reader] = renew_row(&shop, true)?;
    let seen = format!("{before}, {alone}, {with_reader}");
    println!("{seen}");
    ensure!(alone >= 2 * before, "{seen}");
    ensure!(with_reader >= 3 * alone, "{seen}");
    let [before, after] = renew_key(&mut redis)?;
    ensure!(before == after, "{before}, {after}");
    Ok(())
}

#[test]
fn an_ended_session_stays_until_somebody_deletes_it_except_in_redis() -> Result<()> {
    let Some(shops) = skip_if_missing(shops())? else { return Ok(()) };
    for mut shop in shops {
        let name = shop.name();
        ensure!(shop.session_after(SESSION_S - 1)?.is_some(), "{name}");
        ensure!(shop.session_after(SESSION_S)?.is_none(), "{name}");
        let left = if name == "Redis" { 0 } else { 1 };
        ensure!(shop.sessions_stored()? == left, "{name}");
    }
    Ok(())
}

#[test]
fn a_redis_key_counts_its_time_to_live_and_goes_by_itself() -> Result<()> {
    let Some(mut shop) = skip_if_missing(KeyValue::open(&[]))? else {
        return Ok(());
    };
    let mut connection = shop.server().connect()?;
    let left: i32 = cmd("TTL").arg("session:ada").query(&mut connection)?;
    // A stalled machine may have taken a while to come here.
    ensure!((SESSION_S - 60..=SESSION_S).contains(&left), "{left}");
    cmd("PEXPIRE").arg(&["session:ada", "30"]).exec(&mut connection)?;
    let gone = wait_until(Duration::from_secs(10), || {
        cmd("EXISTS")
            .arg("session:ada")
            .query(&mut connection)
            .is_ok_and(|n: i32| n == 0)
    });
    ensure!(gone, "it is still there");
    Ok(())
}

#[test]
fn a_killed_redis_forgets_what_it_acknowledged_unless_each_write_is_on_disk(
) -> Result<()> {
    // One that is told nothing of how to write to disk.
    let launch = Launch::new(REDIS).args([
        "--bind",
        "127.0.0.1",
        "--port",
        "${PORT}",
        "--dir",
        "${FOLDER}",
    ]);
    let Some(server) = skip_if_missing(launch.start())? else { return Ok(()) };
    let mut client = ::redis::Client::open(format!("redis://{}/", server.addr()))?;
    for (name, value) in AS_DELIVERED {
        let begins: (String, String) =
            cmd("CONFIG").arg(&["GET", name]).query(&mut client)?;
        ensure!(begins.1 == value, "{begins:?}");
    }
    ensure!(killed(&AS_DELIVERED)? == 0);
    ensure!(killed(&EACH_WRITE)? == ACKNOWLEDGED);
    Ok(())
}

#[test]
fn a_full_redis_evicts_orders_or_only_what_has_a_time_to_live_or_refuses(
) -> Result<()> {
    let Some(all) = skip_if_missing(full("allkeys-lru"))? else { return Ok(()) };
    ensure!(!all.has_order && all.refused.is_none() && all.evicted, "{all:?}");
    let volatile = full("volatile-lru")?;
    ensure!(volatile.has_order && volatile.refused.is_none(), "{volatile:?}");
    ensure!(volatile.evicted, "{volatile:?}");
    let none = full("noeviction")?;
    ensure!(none.has_order && !none.evicted, "{none:?}");
    let refused = none.refused.context("written")?;
    ensure!(refused.starts_with("OOM command not allowed"), "{refused}");
    Ok(())
}
