//! A model of a document store.

use crate::shop::{
    newest_first, sum, Bill, Order, Seen, Shop, Store, Told, SESSION_S,
};
use serde_json::{json, Value};
use std::collections::BTreeMap;

const SWEEP_S: i64 = 60; // how often it looks for what has expired

/// Trees of fields in collections; the store looks into them, and a change of
/// one document is atomic.
pub struct Documents {
    orders: BTreeMap<i64, Value>,
    lamp: Value,
    session: Value,
    photo: Vec<u8>,
    bill: Bill,
}

impl Documents {
    pub fn new(shop: &Shop) -> Self {
        let orders = shop.orders.iter().map(|order| (order.id, order.to_json()));
        Self {
            orders: orders.collect(),
            lamp: json!({"stock": 1}),
            session: json!({"data": "basket=2", "expires_s": SESSION_S}),
            photo: shop.photo.clone(),
            bill: Bill::default(),
        }
    }

    fn sent(&mut self, records: usize, bytes: usize) {
        self.bill.requests += 1;
        self.bill.records += records as u64;
        self.bill.bytes += bytes as u64;
    }
}

impl Store for Documents {
    fn order(&mut self, id: i64) -> Option<Order> {
        let doc = self.orders.get(&id)?.clone();
        self.sent(1, doc.to_string().len());
        Order::from_json(&doc)
    }

    // ANCHOR: documents
    fn orders_of(&mut self, customer: i64) -> Vec<i64> {
        // The store filters and sorts; without an index it reads every document.
        let all = self.orders.values().filter_map(Order::from_json).collect();
        let ids = newest_first(all, customer);
        self.sent(self.orders.len(), 8 * ids.len());
        ids
    }

    fn sell(&mut self, order: &Order, _seen: &Seen, writes: usize) -> Told {
        let stock = self.look().stock; // one atomic change, if stock >= 1
        if stock == 0 {
            return Told::SoldOut;
        }
        self.lamp["stock"] = json!(stock - 1);
        if writes < 2 {
            return Told::Nothing; // a second document, a second change
        }
        self.orders.insert(order.id, order.to_json());
        self.sent(0, 0);
        Told::Sold
    }
    // ANCHOR_END: documents

    fn sold(&mut self) -> BTreeMap<String, i64> {
        let all: Vec<Order> =
            self.orders.values().filter_map(Order::from_json).collect();
        let sold = sum(&all);
        self.sent(all.len(), sold.keys().map(|name| name.len() + 8).sum());
        sold
    }

    fn look(&mut self) -> Seen {
        self.sent(1, 8);
        Seen {
            stock: self.lamp["stock"].as_i64().unwrap_or(0),
            version: 0,
        }
    }

    fn photo(&mut self, from: usize, len: usize) -> Vec<u8> {
        self.sent(1, self.photo.len()); // a field comes whole
        self.photo[from..from + len].to_vec()
    }

    fn session(&mut self, now_s: i64) -> Option<String> {
        self.sent(1, 8);
        let last_sweep_s = (now_s - SWEEP_S / 2) / SWEEP_S * SWEEP_S + SWEEP_S / 2;
        if self.session["expires_s"].as_i64()? <= last_sweep_s {
            return None;
        }
        self.session["data"].as_str().map(str::to_owned)
    }

    fn bill(&mut self) -> &mut Bill {
        &mut self.bill
    }
}
