//! One order as XML, JSON and Protocol Buffers, with quick-xml, serde_json, prost.
//!
//! A type for each format, filled before a clock starts: what is measured is the
//! format, not the copying from one type to another.

use crate::orders_v1 as pb;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct JsonOrder {
    pub id: u64,
    pub customer: String,
    pub paid: bool,
    pub lines: Vec<Line>,
}

/// XML has no lists: an element is there as often as needed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename = "order")]
pub struct XmlOrder {
    pub id: u64,
    pub customer: String,
    pub paid: bool,
    #[serde(default)]
    pub line: Vec<Line>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    pub sku: String,
    pub quantity: u32,
    pub price_cents: i32,
}

impl From<&pb::Order> for JsonOrder {
    fn from(order: &pb::Order) -> JsonOrder {
        let line = |line: &pb::Line| Line {
            sku: line.sku.clone(),
            quantity: line.quantity,
            price_cents: line.price_cents,
        };
        JsonOrder {
            id: order.id,
            customer: order.customer.clone(),
            paid: order.paid,
            lines: order.lines.iter().map(line).collect(),
        }
    }
}

impl From<&pb::Order> for XmlOrder {
    fn from(order: &pb::Order) -> XmlOrder {
        let JsonOrder { id, customer, paid, lines } = order.into();
        XmlOrder { id, customer, paid, line: lines }
    }
}

/// The order of `examples/moving_formats.rs`.
pub fn example() -> pb::Order {
    let line = |sku: &str, quantity, price_cents| pb::Line {
        sku: sku.to_owned(),
        quantity,
        price_cents,
    };
    pb::Order {
        id: 9_007_199_254_740_993,
        customer: "Ada & Sons".to_owned(),
        paid: true,
        lines: vec![line("tea", 2, 450), line("gift", 1, -500)],
    }
}

/// Orders that differ as real ones do: ids that follow each other, a few hundred
/// customers, a small assortment, and prices.
pub fn thousand() -> Vec<pb::Order> {
    let mut rng = fastrand::Rng::with_seed(1);
    let skus = ["tea", "gift", "coffee", "teapot", "cup", "filter", "sugar"];
    let mut line = |_| pb::Line {
        sku: skus[rng.usize(..skus.len())].to_owned(),
        quantity: rng.u32(1..10),
        price_cents: rng.i32(100..5_000),
    };
    let lines: Vec<Vec<pb::Line>> =
        (0..1000).map(|i| (0..1 + i % 4).map(&mut line).collect()).collect();
    let order = |(i, lines): (u64, Vec<pb::Line>)| pb::Order {
        id: 9_007_199_254_740_993 + i,
        customer: format!("customer-{}", i * 7_919 % 311),
        paid: i % 8 != 0,
        lines,
    };
    (0..).zip(lines).map(order).collect()
}
