//! The shop in Redis, a server that keeps keys and values in memory.
//!
//! An order is a document. Whatever else shall be found by, its writer has to write
//! too: the orders of a customer, and the units that were sold.

use super::{
    document, parsed, photo, Counted, Order, Sale, Shop, BUYERS, LAMP, ORDERS,
    PRODUCTS, SALE_AT_S, SESSION, SESSION_S,
};
use crate::redis::Redis;
use ::redis::{cmd, pipe, Connection, Pipeline};
use anyhow::{ensure, Context, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// The shop, and the connections of the two buyers.
pub struct KeyValue {
    shop: Counted<Connection>,
    buyers: [Counted<Connection>; 2],
    server: Redis,
}

impl KeyValue {
    /// The shop, filled, in a new server with these settings.
    ///
    /// # Errors
    /// As [`Redis::start`]; when the server refuses a command.
    pub fn open(settings: &[(&str, &str)]) -> Result<KeyValue> {
        let server = Redis::start(settings)?;
        let mut shop = server.connect()?;
        fill(&mut shop)?;
        let buyers = [server.connect()?, server.connect()?];
        Ok(KeyValue {
            shop: Counted::new(shop),
            buyers: buyers.map(Counted::new),
            server,
        })
    }

    /// The server: to kill it, and start it again.
    pub fn server(&mut self) -> &mut Redis {
        &mut self.server
    }
}

fn fill(shop: &mut Connection) -> Result<()> {
    for (id, _, _, stock) in PRODUCTS {
        cmd("SET").arg(stock_key(id)).arg(stock).exec(shop)?;
    }
    for (order, customer, at_s, lines) in ORDERS {
        let mut together = pipe();
        add_order(together.atomic(), order, customer, at_s, lines);
        together.exec(shop)?;
    }
    cmd("SET").arg("photo:lamp").arg(photo()).exec(shop)?;
    let session = ["session:ada", SESSION, "EX"];
    Ok(cmd("SET").arg(&session).arg(SESSION_S).exec(shop)?)
}

fn stock_key(product: i32) -> String {
    format!("stock:{product}")
}

// ANCHOR: sale
/// The order, and both answers that will be asked for: Redis keeps no index itself.
fn add_order(
    together: &mut Pipeline,
    order: i32,
    customer: i32,
    at_s: i32,
    lines: &[(i32, i32)],
) {
    let text = document(customer, at_s, lines);
    together.cmd("SET").arg(format!("order:{order}")).arg(text).ignore();
    let of_customer = format!("orders-of:{customer}");
    together.cmd("ZADD").arg(of_customer).arg(at_s).arg(order).ignore();
    for (product, units) in lines {
        let name = super::product(*product);
        together.cmd("HINCRBY").arg("sold").arg(name).arg(*units).ignore();
    }
}

/// Looks how many there are; [`sell`] fails if that is written to from now on.
fn watch(buyer: &mut Counted<Connection>) -> Result<i32> {
    cmd("WATCH").arg(stock_key(LAMP)).exec(buyer.call())?;
    Ok(cmd("GET").arg(stock_key(LAMP)).query(buyer.call())?)
}

/// All of it between MULTI and EXEC, or nothing if somebody was quicker.
fn sell(
    buyer: &mut Counted<Connection>,
    (order, customer): (i32, i32),
) -> Result<Sale> {
    let mut together = pipe();
    together.atomic().cmd("DECR").arg(stock_key(LAMP)).ignore();
    add_order(&mut together, order, customer, SALE_AT_S, &[(LAMP, 1)]);
    let done: Option<()> = together.query(buyer.call())?;
    Ok(if done.is_some() { Sale::Sold } else { Sale::SoldOut })
}
// ANCHOR_END: sale

fn stock(connection: &mut Counted<Connection>) -> Result<i32> {
    Ok(cmd("GET").arg(stock_key(LAMP)).query(connection.call())?)
}

impl Shop for KeyValue {
    fn name(&self) -> &'static str {
        "Redis"
    }

    // ANCHOR: questions
    fn order(&mut self, number: i32) -> Result<Order> {
        let key = format!("order:{number}");
        let text: Option<Vec<u8>> = cmd("GET").arg(key).query(self.shop.call())?;
        let text = text.with_context(|| format!("no {number}"))?;
        Ok(parsed(&text)?.0)
    }

    fn orders_of(&mut self, customer: i32) -> Result<Vec<i32>> {
        let mut query = cmd("ZRANGE");
        query.arg(format!("orders-of:{customer}")).arg(0).arg(-1).arg("REV");
        Ok(query.query(self.shop.call())?)
    }

    fn units_sold(&mut self) -> Result<BTreeMap<String, i64>> {
        Ok(cmd("HGETALL").arg("sold").query(self.shop.call())?)
    }
    // ANCHOR_END: questions

    fn sell_last_lamp(&mut self) -> Result<[Sale; 2]> {
        for buyer in &mut self.buyers {
            ensure!(watch(buyer)? == 1, "there is not one lamp");
        }
        let [first, second] = &mut self.buyers;
        let sales = [sell(first, BUYERS[0])?, sell(second, BUYERS[1])?];
        // "Somebody was quicker" is not yet "sold out".
        ensure!(stock(second)? == 0, "the second could try again");
        Ok(sales)
    }

    fn photo_part(&mut self, part: Range<usize>) -> Result<Vec<u8>> {
        let mut query = cmd("GETRANGE");
        query.arg("photo:lamp").arg(part.start).arg(part.end - 1);
        Ok(query.query(self.shop.call())?)
    }

    // ANCHOR: session
    /// Nobody waits half an hour here: Redis is told how much of it is left.
    fn session_after(&mut self, seconds: i32) -> Result<Option<String>> {
        let mut together = pipe();
        together.atomic();
        let left_s = SESSION_S - seconds;
        together.cmd("EXPIRE").arg("session:ada").arg(left_s).ignore();
        together.cmd("GET").arg("session:ada");
        let (found,) = together.query(self.shop.call())?;
        Ok(found)
    }
    // ANCHOR_END: session

    fn stock(&mut self) -> Result<i32> {
        stock(&mut self.shop)
    }

    fn sell_without_looking_again(&mut self) -> Result<u32> {
        for buyer in &mut self.buyers {
            ensure!(stock(buyer)? == 1, "there is not one lamp");
        }
        let mut sold = 0;
        for buyer in &mut self.buyers {
            let done: String =
                cmd("SET").arg(stock_key(LAMP)).arg(0).query(buyer.call())?;
            sold += u32::from(done == "OK");
        }
        Ok(sold)
    }

    fn die_between_lamp_and_order(&mut self) -> Result<()> {
        let mut dying = self.server.connect()?;
        cmd("MULTI").exec(&mut dying)?;
        let queued: String = cmd("DECR").arg(stock_key(LAMP)).query(&mut dying)?;
        ensure!(queued == "QUEUED", "{queued}");
        Ok(()) // closed without its EXEC
    }

    fn sessions_stored(&mut self) -> Result<i64> {
        Ok(cmd("EXISTS").arg("session:ada").query(self.shop.call())?)
    }

    fn take_calls(&mut self) -> u64 {
        let buyers = self.buyers.iter_mut().map(Counted::take).sum::<u64>();
        self.shop.take() + buyers
    }
}
