//! The shop in a file, by SQLite, a library within this process.

use super::{
    photo, sql, Counted, Order, Sale, Shop, BUYERS, CUSTOMERS, LAMP, ORDERS,
    PRODUCTS, SALE_AT_S, SESSION, SESSION_S,
};
use anyhow::{ensure, Context, Result};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use tempfile::TempDir;

/// The file's name in its folder.
const FILE: &str = "shop.sqlite";

/// The shop, and the connections of the two buyers.
pub struct Sqlite {
    shop: Counted<Connection>,
    buyers: [Counted<Connection>; 2],
    folder: TempDir,
}

impl Sqlite {
    /// The shop, filled, in a new file.
    ///
    /// # Errors
    /// When there is no temporary folder to be had, or SQLite fails.
    pub fn open() -> Result<Sqlite> {
        let folder = tempfile::tempdir().context("make a folder for SQLite")?;
        let shop = connect(folder.path())?;
        shop.pragma_update(None, "journal_mode", "wal")?;
        shop.execute_batch("begin")?;
        fill(&shop)?;
        shop.execute_batch("commit")?;
        let buyers = [connect(folder.path())?, connect(folder.path())?];
        Ok(Sqlite {
            shop: Counted::new(shop),
            buyers: buyers.map(Counted::new),
            folder,
        })
    }

    /// Another connection to the same file, with the settings that a connection of
    /// this library has: it waits for a writer for up to 5 s.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn connect(&self) -> Result<Connection> {
        connect(self.folder.path())
    }
}

fn connect(folder: &Path) -> Result<Connection> {
    Connection::open(folder.join(FILE)).context("open the SQLite file")
}

fn fill(shop: &Connection) -> Result<()> {
    shop.execute_batch(sql::SCHEMA)?;
    for customer in CUSTOMERS {
        shop.execute(sql::ADD_CUSTOMER, customer)?;
    }
    for product in PRODUCTS {
        shop.execute(sql::ADD_PRODUCT, product)?;
    }
    for (order, customer, at_s, lines) in ORDERS {
        shop.execute(sql::ADD_ORDER, (order, customer, at_s))?;
        for (line, (product, units)) in (1..).zip(lines) {
            shop.execute(sql::ADD_LINE, (order, line, product, units))?;
        }
    }
    shop.execute(sql::ADD_PHOTO, ("lamp.jpg", photo()))?;
    shop.execute(sql::ADD_SESSION, ("ada", SESSION, SESSION_S))?;
    Ok(())
}

fn stock(connection: &mut Counted<Connection>) -> Result<i32> {
    Ok(connection.call().query_row(sql::STOCK, [LAMP], |row| row.get(0))?)
}

// ANCHOR: sale
fn sell(
    buyer: &mut Counted<Connection>,
    (order, customer): (i32, i32),
) -> Result<Sale> {
    // Takes the one right to write at once, or waits for it.
    buyer.call().execute_batch("begin immediate")?;
    if buyer.call().execute(sql::TAKE_ONE, [LAMP])? == 0 {
        buyer.call().execute_batch("rollback")?;
        return Ok(Sale::SoldOut);
    }
    buyer.call().execute(sql::ADD_ORDER, (order, customer, SALE_AT_S))?;
    buyer.call().execute(sql::ADD_LINE, (order, 1, LAMP, 1))?;
    buyer.call().execute_batch("commit")?;
    Ok(Sale::Sold)
}
// ANCHOR_END: sale

impl Shop for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn order(&mut self, number: i32) -> Result<Order> {
        let mut query = self.shop.call().prepare(sql::ORDER)?;
        let rows = query.query_map([number], |row| {
            Ok((row.get::<_, i32>(0)?, (row.get(1)?, row.get(2)?)))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        let (customer, _) = rows.first().with_context(|| format!("no {number}"))?;
        let customer = *customer;
        Ok(Order { customer, lines: rows.into_iter().map(|row| row.1).collect() })
    }

    fn orders_of(&mut self, customer: i32) -> Result<Vec<i32>> {
        let mut query = self.shop.call().prepare(sql::ORDERS_OF)?;
        let rows = query.query_map([customer], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn units_sold(&mut self) -> Result<BTreeMap<String, i64>> {
        let mut query = self.shop.call().prepare(sql::UNITS_SOLD)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn sell_last_lamp(&mut self) -> Result<[Sale; 2]> {
        for buyer in &mut self.buyers {
            ensure!(stock(buyer)? == 1, "there is not one lamp");
        }
        let [first, second] = &mut self.buyers;
        Ok([sell(first, BUYERS[0])?, sell(second, BUYERS[1])?])
    }

    fn photo_part(&mut self, part: Range<usize>) -> Result<Vec<u8>> {
        let (from, len) = (part.start as i32 + 1, part.len() as i32);
        let row = |row: &rusqlite::Row| row.get(0);
        Ok(self.shop.call().query_row(sql::PHOTO_PART, [from, len], row)?)
    }

    fn session_after(&mut self, seconds: i32) -> Result<Option<String>> {
        let row = |row: &rusqlite::Row| row.get(0);
        let found = self.shop.call().query_row(sql::SESSION, [seconds], row);
        Ok(found.optional()?)
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
            sold += buyer.call().execute(sql::NONE_LEFT, [LAMP])? as u32;
        }
        Ok(sold)
    }

    fn die_between_lamp_and_order(&mut self) -> Result<()> {
        let dying = self.connect()?;
        dying.execute_batch("begin immediate")?;
        ensure!(dying.execute(sql::TAKE_ONE, [LAMP])? == 1, "there is no lamp");
        Ok(()) // closed with its transaction open
    }

    fn sessions_stored(&mut self) -> Result<i64> {
        Ok(self.shop.call().query_row(sql::SESSIONS, [], |row| row.get(0))?)
    }

    fn take_calls(&mut self) -> u64 {
        let buyers = self.buyers.iter_mut().map(Counted::take).sum::<u64>();
        self.shop.take() + buyers
    }
}
