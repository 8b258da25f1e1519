//! A model of an object store.

use crate::shop::{newest_first, sum, Bill, Order, Seen, Shop, Store, Told};
use serde_json::Value;
use std::collections::BTreeMap;

const LIST_KEYS: usize = 1_000; // as S3's LIST

/// Bytes under keys: PUT whole, GET whole or a range, LIST.
pub struct Objects {
    objects: BTreeMap<String, (Vec<u8>, i64)>, // content, version
    if_match: bool, // does the program PUT only what has not changed since?
    bill: Bill,
}

impl Objects {
    pub fn new(shop: &Shop, if_match: bool) -> Self {
        let mut store = Self {
            objects: BTreeMap::new(),
            if_match,
            bill: Bill::default(),
        };
        store.put("stock/lamp", b"1");
        store.put("photos/lamp.jpg", &shop.photo);
        store.put("sessions/ada", b"basket=2");
        for order in &shop.orders {
            let value = order.to_json().to_string().into_bytes();
            store.put(&format!("orders/{}.json", order.id), &value);
        }
        store.bill = Bill::default();
        store
    }

    fn put(&mut self, key: &str, bytes: &[u8]) {
        self.bill.requests += 1;
        let version = self.objects.get(key).map_or(1, |(_, version)| version + 1);
        self.objects
            .insert(key.to_owned(), (bytes.to_vec(), version));
    }

    fn get(&mut self, key: &str) -> Option<(Vec<u8>, i64)> {
        self.bill.requests += 1;
        let object = self.objects.get(key)?.clone();
        self.bill.records += 1;
        self.bill.bytes += object.0.len() as u64;
        Some(object)
    }

    fn all_orders(&mut self) -> Vec<Order> {
        let keys: Vec<String> = self.objects.keys().cloned().collect();
        let keys: Vec<&String> = keys
            .iter()
            .filter(|key| key.starts_with("orders/"))
            .collect();
        self.bill.requests += keys.len().div_ceil(LIST_KEYS) as u64;
        let docs = keys.into_iter().filter_map(|key| self.get(key));
        let docs = docs.filter_map(|(bytes, _)| serde_json::from_slice(&bytes).ok());
        docs.filter_map(|doc: Value| Order::from_json(&doc))
            .collect()
    }
}

impl Store for Objects {
    fn order(&mut self, id: i64) -> Option<Order> {
        let (bytes, _) = self.get(&format!("orders/{id}.json"))?;
        Order::from_json(&serde_json::from_slice(&bytes).ok()?)
    }

    fn orders_of(&mut self, customer: i64) -> Vec<i64> {
        newest_first(self.all_orders(), customer)
    }

    fn sold(&mut self) -> BTreeMap<String, i64> {
        sum(&self.all_orders())
    }

    fn look(&mut self) -> Seen {
        let (stock, version) = self.get("stock/lamp").unwrap_or_default();
        let stock = String::from_utf8_lossy(&stock).parse().unwrap_or(0);
        Seen { stock, version }
    }

    // ANCHOR: objects
    fn sell(&mut self, order: &Order, seen: &Seen, writes: usize) -> Told {
        let (_, version) = self.objects["stock/lamp"];
        if self.if_match && version != seen.version {
            self.bill.requests += 1;
            return Told::SoldOut; // 412: after looking again, there is none
        }
        if seen.stock == 0 {
            return Told::SoldOut;
        }
        let left = (seen.stock - 1).to_string(); // of what was seen
        self.put("stock/lamp", left.as_bytes());
        if writes < 2 {
            return Told::Nothing;
        }
        let value = order.to_json().to_string().into_bytes();
        self.put(&format!("orders/{}.json", order.id), &value);
        Told::Sold
    }
    // ANCHOR_END: objects

    fn photo(&mut self, from: usize, len: usize) -> Vec<u8> {
        self.bill.requests += 1; // GET with Range
        self.bill.records += 1;
        self.bill.bytes += len as u64;
        self.objects["photos/lamp.jpg"].0[from..from + len].to_vec()
    }

    fn session(&mut self, _now_s: i64) -> Option<String> {
        let (bytes, _) = self.get("sessions/ada")?; // until somebody deletes it
        String::from_utf8(bytes).ok()
    }

    fn bill(&mut self) -> &mut Bill {
        &mut self.bill
    }
}
