//! The shop in PostgreSQL, a server.

use super::{
    photo, sql, Counted, Order, Sale, Shop, BUYERS, CUSTOMERS, LAMP, ORDERS,
    PRODUCTS, SALE_AT_S, SESSION, SESSION_S,
};
use crate::postgres::Postgres;
use crate::wait_until;
use anyhow::{bail, ensure, Context, Result};
use postgres::Client;
use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;
use std::time::Duration;

/// How long a buyer may wait for another: then something is wrong with this program.
const LOCK_TIMEOUT: &str = "10s";
/// How long until the server says that somebody waits.
const WAITS_WITHIN: Duration = Duration::from_secs(10);
/// The name of the second buyer's connection.
const SECOND: &str = "second buyer";

/// The shop, and the connections of the two buyers.
pub struct PostgreSql {
    shop: Counted<Client>,
    buyers: [Counted<Client>; 2],
    server: Postgres,
}

impl PostgreSql {
    /// The shop, filled, in a new server.
    ///
    /// # Errors
    /// As [`Postgres::start`]; when the server refuses a statement.
    pub fn open() -> Result<PostgreSql> {
        // Who counts dead rows wants nobody to clean up behind their back.
        let server = Postgres::start(&["fsync=off", "autovacuum=off"])?;
        let mut shop = server.connect("shop")?;
        fill(&mut shop)?;
        let mut buyers = [server.connect("first buyer")?, server.connect(SECOND)?];
        for buyer in &mut buyers {
            buyer.batch_execute(&format!("set lock_timeout = '{LOCK_TIMEOUT}'"))?;
        }
        Ok(PostgreSql {
            shop: Counted::new(shop),
            buyers: buyers.map(Counted::new),
            server,
        })
    }

    /// The server.
    pub fn server(&self) -> &Postgres {
        &self.server
    }
}

fn fill(shop: &mut Client) -> Result<()> {
    shop.batch_execute(&sql::SCHEMA.replace("blob", sql::BYTEA))?;
    for (id, name) in CUSTOMERS {
        shop.execute(sql::ADD_CUSTOMER, &[&id, &name])?;
    }
    for (id, name, price, stock) in PRODUCTS {
        shop.execute(sql::ADD_PRODUCT, &[&id, &name, &price, &stock])?;
    }
    for (order, customer, at_s, lines) in ORDERS {
        shop.execute(sql::ADD_ORDER, &[&order, &customer, &at_s])?;
        for (line, (product, units)) in (1..).zip(lines) {
            let line: i32 = line;
            shop.execute(sql::ADD_LINE, &[&order, &line, product, units])?;
        }
    }
    shop.execute(sql::ADD_PHOTO, &[&"lamp.jpg", &photo()])?;
    shop.execute(sql::ADD_SESSION, &[&"ada", &SESSION, &SESSION_S])?;
    Ok(())
}

fn stock(client: &mut Counted<Client>) -> Result<i32> {
    Ok(client.call().query_one(sql::STOCK, &[&LAMP])?.get(0))
}

// ANCHOR: sale
/// Takes the lamp, if there is one. Nobody else sees that yet; whoever wants the same
/// row has to wait until this transaction ends.
fn take(buyer: &mut Counted<Client>) -> Result<bool> {
    buyer.call().batch_execute("begin")?;
    Ok(buyer.call().execute(sql::TAKE_ONE, &[&LAMP])? == 1)
}

/// Writes the order, and makes both seen at once.
fn finish(
    buyer: &mut Counted<Client>,
    taken: bool,
    (order, customer): (i32, i32),
) -> Result<Sale> {
    if !taken {
        buyer.call().batch_execute("rollback")?;
        return Ok(Sale::SoldOut);
    }
    buyer.call().execute(sql::ADD_ORDER, &[&order, &customer, &SALE_AT_S])?;
    buyer.call().execute(sql::ADD_LINE, &[&order, &1, &LAMP, &1])?;
    buyer.call().batch_execute("commit")?;
    Ok(Sale::Sold)
}
// ANCHOR_END: sale

/// Until the second buyer waits for a lock, as the server sees it.
fn wait_for_second(shop: &mut Client) -> Result<()> {
    let query = "select count(*) from pg_stat_activity
        where application_name = $1 and wait_event_type = 'Lock'";
    let waits = wait_until(WAITS_WITHIN, || {
        let row = shop.query_one(query, &[&SECOND]);
        row.is_ok_and(|row| row.get::<_, i64>(0) == 1)
    });
    ensure!(waits, "the second buyer does not wait for the first");
    Ok(())
}

impl Shop for PostgreSql {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn order(&mut self, number: i32) -> Result<Order> {
        let rows = self.shop.call().query(sql::ORDER, &[&number])?;
        let first = rows.first().with_context(|| format!("no {number}"))?;
        let lines = rows.iter().map(|row| (row.get(1), row.get(2)));
        Ok(Order { customer: first.get(0), lines: lines.collect() })
    }

    fn orders_of(&mut self, customer: i32) -> Result<Vec<i32>> {
        let rows = self.shop.call().query(sql::ORDERS_OF, &[&customer])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn units_sold(&mut self) -> Result<BTreeMap<String, i64>> {
        let rows = self.shop.call().query(sql::UNITS_SOLD, &[])?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Both at once: the second orders while the first has taken the lamp and not yet
    /// committed.
    fn sell_last_lamp(&mut self) -> Result<[Sale; 2]> {
        for buyer in &mut self.buyers {
            ensure!(stock(buyer)? == 1, "there is not one lamp");
        }
        let [first, second] = &mut self.buyers;
        let watch = &mut self.shop.connection;
        let taken = take(first)?;
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let taken = take(second)?;
                finish(second, taken, BUYERS[1])
            });
            let waits = wait_for_second(watch);
            let first = finish(first, taken, BUYERS[0])?; // or the second waits on
            let Ok(second) = second.join() else { bail!("a buyer panicked") };
            waits?;
            Ok([first, second?])
        })
    }

    fn photo_part(&mut self, part: Range<usize>) -> Result<Vec<u8>> {
        let (from, len) = (part.start as i32 + 1, part.len() as i32);
        let row = self.shop.call().query_one(sql::PHOTO_PART, &[&from, &len])?;
        Ok(row.get(0))
    }

    fn session_after(&mut self, seconds: i32) -> Result<Option<String>> {
        let row = self.shop.call().query_opt(sql::SESSION, &[&seconds])?;
        Ok(row.map(|row| row.get(0)))
    }

    fn stock(&mut self) -> Result<i32> {
        stock(&mut self.shop)
    }

    fn sell_without_looking_again(&mut self) -> Result<u32> {
        for buyer in &mut self.buyers {
            ensure!(stock(buyer)? == 1, "there is not one lamp");
        }
        let mut sold = 0;
        for buyer in &mut self.buyers {
            sold += buyer.call().execute(sql::NONE_LEFT, &[&LAMP])? as u32;
        }
        Ok(sold)
    }

    fn die_between_lamp_and_order(&mut self) -> Result<()> {
        let mut dying = Counted::new(self.server.connect("dying")?);
        ensure!(take(&mut dying)?, "there is no lamp");
        Ok(()) // closed with its transaction open
    }

    fn sessions_stored(&mut self) -> Result<i64> {
        Ok(self.shop.call().query_one(sql::SESSIONS, &[])?.get(0))
    }

    fn take_calls(&mut self) -> u64 {
        let buyers = self.buyers.iter_mut().map(Counted::take).sum::<u64>();
        self.shop.take() + buyers
    }
}
