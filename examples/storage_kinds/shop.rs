//! The shop's data, and what is asked of a store.

// ANCHOR: nothing
// ANCHOR_END: nothing
use serde_json::{json, Value};
use std::collections::BTreeMap;

pub const PHOTO_BYTES: usize = 100_000;
pub const SESSION_S: i64 = 1_800;
pub const LAMP: &str = "lamp";

#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub id: i64,
    pub customer: i64,
    pub at_s: i64,
    pub lines: BTreeMap<String, i64>,
}

impl Order {
    pub fn new(id: i64, customer: i64, at_s: i64, lines: &[(&str, i64)]) -> Self {
        let lines = lines.iter().map(|(name, n)| ((*name).to_owned(), *n));
        Self {
            id,
            customer,
            at_s,
            lines: lines.collect(),
        }
    }

    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "customer": self.customer,
            "at_s": self.at_s, "lines": self.lines,
        })
    }

    pub fn from_json(doc: &Value) -> Option<Self> {
        let lines = doc["lines"].as_object()?.iter();
        let lines = lines.map(|(name, n)| Some((name.clone(), n.as_i64()?)));
        Some(Self {
            id: doc["id"].as_i64()?,
            customer: doc["customer"].as_i64()?,
            at_s: doc["at_s"].as_i64()?,
            lines: lines.collect::<Option<_>>()?,
        })
    }
}

/// Four orders, one lamp in stock, a photo, and one session of 30 minutes.
pub struct Shop {
    pub orders: Vec<Order>,
    pub photo: Vec<u8>,
}

impl Shop {
    pub fn small() -> Self {
        let orders = vec![
            Order::new(101, 1, 1_000, &[("mug", 2), ("pen", 10)]),
            Order::new(102, 2, 2_000, &[("mug", 1)]),
            Order::new(103, 1, 3_000, &[("pen", 5), ("mug", 1)]),
            Order::new(104, 1, 4_000, &[("pen", 3)]),
        ];
        let photo = (0..PHOTO_BYTES).map(|i| (i * 31 + i / 256) as u8);
        Self {
            orders,
            photo: photo.collect(),
        }
    }

    /// The small shop, and orders of a hundred other customers.
    pub fn with_orders(count: i64) -> Self {
        let mut shop = Self::small();
        let mut rng = fastrand::Rng::with_seed(7);
        for id in 105..101 + count {
            let lines = [("mug", rng.i64(1..4)), ("pen", rng.i64(1..20))];
            shop.orders
                .push(Order::new(id, rng.i64(3..103), id * 40, &lines));
        }
        shop
    }
}

/// What a question has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    pub requests: u64,
    pub records: u64, // that the store had to read
    pub bytes: u64,   // that were sent to the program
}

// ANCHOR: store
/// The five questions.
pub trait Store {
    fn order(&mut self, id: i64) -> Option<Order>;
    /// Newest first.
    fn orders_of(&mut self, customer: i64) -> Vec<i64>;
    fn sold(&mut self) -> BTreeMap<String, i64>;
    /// First look at the stock of lamps, then sell one. A crash comes when
    /// `writes` have been made. Returns what the buyer is told.
    fn look(&mut self) -> Seen;
    fn sell(&mut self, order: &Order, seen: &Seen, writes: usize) -> Told;
    fn photo(&mut self, from: usize, len: usize) -> Vec<u8>;
    /// The session began at second 0.
    fn session(&mut self, now_s: i64) -> Option<String>;

    fn bill(&mut self) -> &mut Bill;
}

pub struct Seen {
    pub stock: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Sold,
    SoldOut,
    Nothing, // the program died
}
// ANCHOR_END: store

pub fn newest_first(mut orders: Vec<Order>, customer: i64) -> Vec<i64> {
    orders.retain(|order| order.customer == customer);
    orders.sort_by_key(|order| std::cmp::Reverse(order.at_s));
    orders.iter().map(|order| order.id).collect()
}

pub fn sum(orders: &[Order]) -> BTreeMap<String, i64> {
    let mut sold = BTreeMap::new();
    for (product, count) in orders.iter().flat_map(|order| &order.lines) {
        *sold.entry(product.clone()).or_default() += count;
    }
    sold
}
