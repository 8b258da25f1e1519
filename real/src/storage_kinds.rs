//! The storage chapter's shop in four stores: a SQLite file, PostgreSQL, Redis and an
//! object store that speaks S3. Each is asked the same five questions.
//!
//! The two relational stores get the same SQL, word for word: [`sql`].
//!
//! [`wrong`] uses each store as it should not be used, and then as it should.
//!
//! May know of `postgres`, `redis` and the package `s3`; prints nothing.

pub mod key_value;
pub mod objects;
pub mod postgresql;
pub mod sql;
pub mod sqlite;
pub mod wrong;

use crate::program::{POSTGRES, REDIS};
use anyhow::{ensure, Result};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// What is for sale: number, name, price in cents, how many there are.
pub const PRODUCTS: [(i32, &str, i32, i32); 3] =
    [(1, "mug", 900, 5), (LAMP, "lamp", 4_500, 1), (3, "pen", 150, 40)];
/// The product of which there is one.
pub const LAMP: i32 = 2;
/// Who buys: number and name.
pub const CUSTOMERS: [(i32, &str); 2] = [(1, "Ada"), (2, "Bram")];
/// The lines of an order: which product and how many of it.
pub type Lines = &'static [(i32, i32)];
/// What was bought: the number of the order, of its customer, when, in seconds, and
/// its lines.
pub const ORDERS: [(i32, i32, i32, Lines); 4] = [
    (101, 1, 1_000, &[(1, 2), (3, 10)]),
    (102, 2, 2_000, &[(1, 1)]),
    (103, 1, 3_000, &[(3, 5), (1, 1)]),
    (104, 1, 4_000, &[(3, 3)]),
];
/// Two customers who want the last lamp, each with the number of the order to be.
pub const BUYERS: [(i32, i32); 2] = [(105, 1), (106, 2)];
/// When they order.
pub const SALE_AT_S: i32 = 5_000;
/// How long the session lives.
pub const SESSION_S: i32 = 1_800;
/// What it holds.
pub const SESSION: &str = "basket=2";
/// The part of the photo that is asked for.
pub const PART: Range<usize> = 1_000..2_000;

/// The photo of the lamp: 100,000 bytes.
pub fn photo() -> Vec<u8> {
    (0..100_000_usize).map(|i| ((i * 31 + i / 256) % 256) as u8).collect()
}

/// The name of a product.
pub fn product(number: i32) -> &'static str {
    let found = PRODUCTS.iter().find(|(id, ..)| *id == number);
    found.map_or("unknown", |(_, name, ..)| name)
}

/// An order as it is printed on a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who ordered.
    pub customer: i32,
    /// Which products, and how many.
    pub lines: Vec<(String, i32)>,
}

/// The order as a document, for the stores that have no tables. It holds the names of
/// the products, so that one read is enough.
pub fn document(customer: i32, at_s: i32, lines: &[(i32, i32)]) -> String {
    let lines: Vec<_> = lines.iter().map(|(id, n)| (product(*id), n)).collect();
    json!({ "customer": customer, "at_s": at_s, "lines": lines }).to_string()
}

/// A document that was read back. Also when it was ordered.
///
/// # Errors
/// When it is no such document.
pub fn parsed(document: &[u8]) -> Result<(Order, i32)> {
    let value: Value = serde_json::from_slice(document)?;
    let [customer, at_s, lines] =
        ["customer", "at_s", "lines"].map(|name| value[name].clone());
    let order = Order {
        customer: serde_json::from_value(customer)?,
        lines: serde_json::from_value(lines)?,
    };
    Ok((order, serde_json::from_value(at_s)?))
}

/// How a buyer fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sale {
    /// The lamp is theirs.
    Sold,
    /// It was gone.
    SoldOut,
}

impl fmt::Display for Sale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sale::Sold => "sold",
            Sale::SoldOut => "sold out",
        })
    }
}

/// The shop in one of the stores. Each call that waits for an answer of the store is
/// counted.
pub trait Shop {
    /// What the store is called.
    fn name(&self) -> &'static str;

    /// Question 1: the whole order.
    ///
    /// # Errors
    /// When there is no such order, or the store fails; the others likewise.
    fn order(&mut self, number: i32) -> Result<Order>;

    /// Question 2: the numbers of this customer's orders, newest first.
    ///
    /// # Errors
    /// When the store fails.
    fn orders_of(&mut self, customer: i32) -> Result<Vec<i32>>;

    /// Question 3: how many of each product were sold.
    ///
    /// # Errors
    /// When the store fails.
    fn units_sold(&mut self) -> Result<BTreeMap<String, i64>>;

    /// Question 4: both [`BUYERS`] have seen that there is one lamp; now both order it.
    /// The lamp goes and the order comes together, if the store can do that.
    ///
    /// # Errors
    /// When the store fails, or there is not one lamp.
    fn sell_last_lamp(&mut self) -> Result<[Sale; 2]>;

    /// Question 5: some bytes of the photo.
    ///
    /// # Errors
    /// When the store fails.
    fn photo_part(&mut self, part: Range<usize>) -> Result<Vec<u8>>;

    /// Question 5: the session, this long after it began.
    ///
    /// # Errors
    /// When the store fails.
    fn session_after(&mut self, seconds: i32) -> Result<Option<String>>;

    /// How many lamps there are.
    ///
    /// # Errors
    /// When the store fails.
    fn stock(&mut self) -> Result<i32>;

    /// The wrong way to sell: both buyers have seen that there is one lamp; each
    /// writes down that there is none left and takes it. How many were sold.
    ///
    /// # Errors
    /// When the store fails, or there is not one lamp.
    fn sell_without_looking_again(&mut self) -> Result<u32>;

    /// A buyer takes the lamp as in question 4 and dies before the order is written.
    ///
    /// # Errors
    /// When the store fails.
    fn die_between_lamp_and_order(&mut self) -> Result<()>;

    /// How many sessions lie in the store, dead ones too.
    ///
    /// # Errors
    /// When the store fails.
    fn sessions_stored(&mut self) -> Result<i64>;

    /// How often its client library was called since this was asked last.
    fn take_calls(&mut self) -> u64;
}

/// A connection that counts how often it is used.
pub struct Counted<C> {
    connection: C,
    calls: u64,
}

impl<C> Counted<C> {
    /// Nothing counted yet.
    pub fn new(connection: C) -> Counted<C> {
        Counted { connection, calls: 0 }
    }

    /// For one call.
    pub fn call(&mut self) -> &mut C {
        self.calls += 1;
        &mut self.connection
    }

    /// The calls since this was asked last.
    pub fn take(&mut self) -> u64 {
        std::mem::take(&mut self.calls)
    }
}

/// All four, filled and not asked anything yet.
///
/// # Errors
/// As [`Launch::start`](crate::launch::Launch::start).
pub fn shops() -> Result<Vec<Box<dyn Shop>>> {
    // First whether all servers are there, before one is started.
    POSTGRES.path()?;
    REDIS.path()?;
    Ok(vec![
        Box::new(sqlite::Sqlite::open()?),
        Box::new(postgresql::PostgreSql::open()?),
        Box::new(key_value::KeyValue::open(&[])?),
        Box::new(objects::Objects::open()?),
    ])
}

/// What is asked, in the order of [`ask`]'s answers.
pub const QUESTIONS: [&str; 5] = [
    "order 103",
    "the orders of customer 1, newest first",
    "units sold of each product",
    "two buyers, one lamp",
    "bytes 1000 to 2000 of the photo; the session after half an hour",
];

/// An answer, and the calls that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As it is printed.
    pub text: String,
    /// How often the store was waited for.
    pub calls: u64,
}

/// Puts the five questions to a store.
///
/// # Errors
/// When it fails at one.
pub fn ask(shop: &mut dyn Shop) -> Result<[Answer; 5]> {
    shop.take_calls();
    let answer =
        |shop: &mut dyn Shop, text| Answer { text, calls: shop.take_calls() };

    let order = shop.order(103)?;
    let one = answer(
        shop,
        format!("customer {}: {}", order.customer, list(&order.lines, " x")),
    );

    let orders = shop.orders_of(1)?.iter().map(i32::to_string).collect::<Vec<_>>();
    let two = answer(shop, orders.join(", "));

    let sold: Vec<_> = shop.units_sold()?.into_iter().collect();
    let three = answer(shop, list(&sold, " "));

    let sales = shop.sell_last_lamp()?;
    let sales = BUYERS.iter().zip(sales).map(|((order, _), sale)| (order, sale));
    let four = answer(shop, list(&sales.collect::<Vec<_>>(), " "));

    let part = shop.photo_part(PART)?;
    ensure!(part == photo()[PART], "{} shows another photo", shop.name());
    let sessions = [SESSION_S - 1, SESSION_S].map(|after_s| {
        let found = shop.session_after(after_s)?;
        ensure!(found.is_none() || found.as_deref() == Some(SESSION), "{found:?}");
        Ok(if found.is_some() { "here" } else { "gone" })
    });
    let [before, after] = sessions;
    let text = format!(
        "{} bytes from {}; {} s: {}, {SESSION_S} s: {}",
        part.len(),
        part[0],
        SESSION_S - 1,
        before?,
        after?
    );
    let five = answer(shop, text);
    Ok([one, two, three, four, five])
}

fn list<A: fmt::Display, B: fmt::Display>(
    pairs: &[(A, B)],
    between: &str,
) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(a, b)| format!("{a}{between}{b}")).collect();
    pairs.join(", ")
}

/// Where this was run, in two lines: what was started, and what is in this process.
///
/// # Errors
/// As [`measured_on`](crate::machine::measured_on).
pub fn measured_on() -> Result<String> {
    let servers = [("postgres", POSTGRES.version()?), ("redis", REDIS.version()?)];
    let servers =
        servers.each_ref().map(|(name, version)| (*name, version.as_str()));
    let (s3s, version) = s3::object_storage::S3S;
    Ok(format!(
        "{}\nmeasured on: SQLite {} and {s3s} {version}, both within the program",
        recorded::measured_on(&servers)?,
        rusqlite::version()
    ))
}
