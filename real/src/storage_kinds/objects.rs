//! The shop in an object store that speaks S3: a server that keeps whole objects under
//! names.
//!
//! An order is an object. There is no index but the names, and nothing can change
//! together but what is in one object.

use super::{
    document, parsed, photo, Counted, Order, Sale, Shop, BUYERS, LAMP, ORDERS,
    PRODUCTS, SALE_AT_S, SESSION, SESSION_S,
};
use anyhow::{anyhow, bail, ensure, Context, Result};
use s3::object_storage::store::{Client, ETag, Refusal, When};
use s3::object_storage::{start, Remote, Running};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// How many names one LIST may bring; more need another LIST.
const NAMES_MAX: usize = 1_000;

/// The shop. Both buyers use its client: each request has a connection of its own.
pub struct Objects {
    shop: Counted<Remote>,
    running: Running,
}

impl Objects {
    /// The shop, filled, in a new server.
    ///
    /// # Errors
    /// As [`start`]; when the server refuses a request.
    pub fn open() -> Result<Objects> {
        let running = start()?;
        let shop = Counted::new(Remote::new(&running.server));
        let mut objects = Objects { shop, running };
        for (id, name, price, stock) in PRODUCTS {
            let product =
                json!({ "name": name, "price_cents": price, "stock": stock });
            objects.put(&product_key(id), product.to_string())?;
        }
        for (order, customer, at_s, lines) in ORDERS {
            objects.put(&order_key(order), document(customer, at_s, lines))?;
        }
        objects.put("photos/lamp.jpg", photo())?;
        let session = json!({ "value": SESSION, "expires_at_s": SESSION_S });
        objects.put("sessions/ada", session.to_string())?;
        objects.take_calls();
        Ok(objects)
    }

    /// How many signed requests the server has let in, those that filled it too.
    pub fn requests_answered(&self) -> u64 {
        self.running.server.answered()
    }

    fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        let body = self.shop.call().get(key, "").map_err(refused)?;
        Ok(body.bytes)
    }

    fn put(&mut self, key: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.put_when(key, bytes, When::Always)?.map_err(refused)
    }

    /// The inner refusal is that of the condition.
    fn put_when(
        &mut self,
        key: &str,
        bytes: impl AsRef<[u8]>,
        when: When,
    ) -> Result<Result<(), Refusal>> {
        match self.shop.call().put(key, bytes.as_ref(), when) {
            Ok(_) => Ok(Ok(())),
            Err(refusal) if refusal.status == 412 => Ok(Err(refusal)),
            Err(refusal) => Err(refused(refusal)),
        }
    }

    /// Every order there is: a LIST, and a GET for each name that it brought.
    fn all_orders(&mut self) -> Result<Vec<(i32, Order, i32)>> {
        let page = self.shop.call().list("orders/", None, NAMES_MAX);
        let page = page.map_err(refused)?;
        ensure!(page.next.is_none(), "more than {NAMES_MAX} orders");
        let mut orders = Vec::new();
        for key in page.keys {
            let number = key.trim_start_matches("orders/").parse()?;
            let (order, at_s) = parsed(&self.get(&key)?)?;
            orders.push((number, order, at_s));
        }
        Ok(orders)
    }

    // ANCHOR: sale
    /// The lamp as it is, and the tag of exactly this content.
    fn look(&mut self) -> Result<(Value, ETag)> {
        let body = self.shop.call().get(&product_key(LAMP), "").map_err(refused)?;
        Ok((serde_json::from_slice(&body.bytes)?, body.etag))
    }

    /// Takes the lamp on the condition that it is as the buyer saw it, then writes the
    /// order: two requests, and whoever dies between them leaves half of a sale.
    fn sell(
        &mut self,
        (mut lamp, seen): (Value, ETag),
        (order, customer): (i32, i32),
    ) -> Result<Sale> {
        take_one(&mut lamp)?;
        let when = When::Unchanged(&seen); // If-Match
        let taken = self.put_when(&product_key(LAMP), lamp.to_string(), when)?;
        if taken.is_err() {
            return Ok(Sale::SoldOut); // 412: it is not as it was
        }
        let text = document(customer, SALE_AT_S, &[(LAMP, 1)]);
        self.put(&order_key(order), text)?;
        Ok(Sale::Sold)
    }
    // ANCHOR_END: sale

    // ANCHOR: one_object
    /// A sale in one object: whoever takes the lamp writes into it to whom it went, all
    /// in one request. Both buyers have looked before; the answer to the second.
    ///
    /// # Errors
    /// When the store fails, there is no lamp, or the first does not get it.
    pub fn sell_in_one_object(&mut self) -> Result<Result<(), Refusal>> {
        let [first, second] = [self.look()?, self.look()?];
        let mut sell = |(mut lamp, seen): (Value, ETag), (order, customer)| {
            take_one(&mut lamp)?;
            lamp["sold"] = json!([{ "order": order, "customer": customer }]);
            let when = When::Unchanged(&seen);
            self.put_when(&product_key(LAMP), lamp.to_string(), when)
        };
        sell(first, BUYERS[0])?.map_err(refused)?;
        sell(second, BUYERS[1])
    }
    // ANCHOR_END: one_object

    /// How many sales the lamp's own object lists.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sales_in_object(&mut self) -> Result<usize> {
        Ok(self.look()?.0["sold"].as_array().map_or(0, Vec::len))
    }

    /// Changes one byte of the photo. How many bytes that sends: an object is replaced
    /// as a whole.
    ///
    /// # Errors
    /// When the store fails.
    pub fn change_one_byte(&mut self) -> Result<usize> {
        let mut photo = self.get("photos/lamp.jpg")?;
        let byte = photo.first_mut().context("the photo is empty")?;
        *byte = byte.wrapping_add(1);
        self.put("photos/lamp.jpg", &photo)?;
        Ok(photo.len())
    }
}

fn product_key(product: i32) -> String {
    format!("products/{product}")
}

fn order_key(order: i32) -> String {
    format!("orders/{order}")
}

fn stock_of(product: &Value) -> Result<i32> {
    let stock = product["stock"].as_i64().context("a product without a stock")?;
    Ok(stock.try_into()?)
}

fn take_one(product: &mut Value) -> Result<()> {
    let stock = stock_of(product)?;
    ensure!(stock >= 1, "there is none left");
    product["stock"] = (stock - 1).into();
    Ok(())
}

fn refused(refusal: Refusal) -> anyhow::Error {
    anyhow!("the object store answers {refusal}")
}

impl Shop for Objects {
    fn name(&self) -> &'static str {
        "S3"
    }

    fn order(&mut self, number: i32) -> Result<Order> {
        Ok(parsed(&self.get(&order_key(number))?)?.0)
    }

    // ANCHOR: scan
    /// Nothing finds the orders of a customer but to read every order.
    fn orders_of(&mut self, customer: i32) -> Result<Vec<i32>> {
        let mut orders = self.all_orders()?;
        orders.retain(|(_, order, _)| order.customer == customer);
        orders.sort_by_key(|(.., at_s)| -at_s);
        Ok(orders.into_iter().map(|(number, ..)| number).collect())
    }
    // ANCHOR_END: scan

    fn units_sold(&mut self) -> Result<BTreeMap<String, i64>> {
        let mut sold = BTreeMap::new();
        for (_, order, _) in self.all_orders()? {
            for (product, units) in order.lines {
                *sold.entry(product).or_default() += i64::from(units);
            }
        }
        Ok(sold)
    }

    fn sell_last_lamp(&mut self) -> Result<[Sale; 2]> {
        let [first, second] = [self.look()?, self.look()?];
        let sales = [self.sell(first, BUYERS[0])?, self.sell(second, BUYERS[1])?];
        // "It is not as it was" is not yet "sold out".
        ensure!(self.stock()? == 0, "the second could try again");
        Ok(sales)
    }

    fn photo_part(&mut self, part: Range<usize>) -> Result<Vec<u8>> {
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        let body = self.shop.call().get("photos/lamp.jpg", &range);
        let body = body.map_err(refused)?;
        ensure!(body.status == 206, "the whole photo came");
        Ok(body.bytes)
    }

    fn session_after(&mut self, seconds: i32) -> Result<Option<String>> {
        let session: Value = serde_json::from_slice(&self.get("sessions/ada")?)?;
        let end = session["expires_at_s"].as_i64().context("it has no end")?;
        let value = session["value"].as_str().context("it has no value")?;
        Ok((end > i64::from(seconds)).then(|| value.to_owned()))
    }

    fn stock(&mut self) -> Result<i32> {
        stock_of(&self.look()?.0)
    }

    fn sell_without_looking_again(&mut self) -> Result<u32> {
        let mut sold = 0;
        for (mut lamp, _) in [self.look()?, self.look()?] {
            take_one(&mut lamp)?;
            self.put(&product_key(LAMP), lamp.to_string())?;
            sold += 1;
        }
        Ok(sold)
    }

    fn die_between_lamp_and_order(&mut self) -> Result<()> {
        let (mut lamp, seen) = self.look()?;
        take_one(&mut lamp)?;
        let when = When::Unchanged(&seen);
        match self.put_when(&product_key(LAMP), lamp.to_string(), when)? {
            Ok(()) => Ok(()), // and no second request
            Err(refusal) => bail!("nobody else buys: {refusal}"),
        }
    }

    fn sessions_stored(&mut self) -> Result<i64> {
        let page = self.shop.call().list("sessions/", None, NAMES_MAX);
        Ok(page.map_err(refused)?.keys.len() as i64)
    }

    fn take_calls(&mut self) -> u64 {
        self.shop.take()
    }
}
