//! A model of a key-value store.

use crate::shop::{
    newest_first, sum, Bill, Order, Seen, Shop, Store, Told, SESSION_S,
};
use std::collections::BTreeMap;

const SCAN_KEYS: usize = 100; // as one would tell Redis: SCAN … COUNT 100

/// Values under keys, in memory; each command is atomic and knows one key.
pub struct KeyValue {
    values: BTreeMap<String, Vec<u8>>,
    expires_s: BTreeMap<String, i64>,
    own_index: bool, // does the program keep a list of each customer's orders?
    bill: Bill,
}

impl KeyValue {
    pub fn new(shop: &Shop, own_index: bool) -> Self {
        let bill = Bill::default();
        let (values, expires_s) = (BTreeMap::new(), BTreeMap::new());
        let mut store = Self {
            values,
            expires_s,
            own_index,
            bill,
        };
        let mut set = |key: &str, value: &[u8]| {
            store.values.insert(key.into(), value.into());
        };
        set("stock:lamp", b"1");
        set("photo:lamp", &shop.photo);
        set("session:ada", b"basket=2");
        store.expires_s.insert("session:ada".into(), SESSION_S);
        for order in &shop.orders {
            store.set_order(order);
            if own_index {
                store.append(order);
            }
        }
        store.bill = Bill::default();
        store
    }

    fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.bill.requests += 1;
        let value = self.values.get(key)?.clone();
        self.bill.records += 1;
        self.bill.bytes += value.len() as u64;
        Some(value)
    }

    fn set_order(&mut self, order: &Order) {
        self.bill.requests += 1;
        let value = order.to_json().to_string().into_bytes();
        self.values.insert(format!("order:{}", order.id), value);
    }

    /// To the program's own index.
    fn append(&mut self, order: &Order) {
        self.bill.requests += 1;
        let key = format!("orders-of:{}", order.customer);
        let list = self.values.entry(key).or_default();
        list.extend_from_slice(format!("{} ", order.id).as_bytes());
    }

    // ANCHOR: scan
    /// Nothing but the keys can be searched: fetch all, and look.
    fn all_orders(&mut self) -> Vec<Order> {
        let keys: Vec<String> = self.values.keys().cloned().collect();
        let mut orders = Vec::new();
        for page in keys.chunks(SCAN_KEYS) {
            self.bill.requests += 2; // SCAN, then MGET what looks like an order
            for key in page {
                self.bill.records += 1;
                self.bill.bytes += key.len() as u64;
                if key.starts_with("order:") {
                    let value = &self.values[key];
                    self.bill.bytes += value.len() as u64;
                    let doc = serde_json::from_slice(value).unwrap_or_default();
                    orders.extend(Order::from_json(&doc));
                }
            }
        }
        orders
    }
    // ANCHOR_END: scan
}

impl Store for KeyValue {
    fn order(&mut self, id: i64) -> Option<Order> {
        let value = self.get(&format!("order:{id}"))?;
        Order::from_json(&serde_json::from_slice(&value).ok()?)
    }

    fn orders_of(&mut self, customer: i64) -> Vec<i64> {
        if !self.own_index {
            return newest_first(self.all_orders(), customer);
        }
        let list = self
            .get(&format!("orders-of:{customer}"))
            .unwrap_or_default();
        let list = String::from_utf8_lossy(&list);
        let ids = list.split_whitespace().rev();
        ids.filter_map(|id| id.parse().ok()).collect()
    }

    fn sold(&mut self) -> BTreeMap<String, i64> {
        sum(&self.all_orders())
    }

    fn look(&mut self) -> Seen {
        let stock = self.get("stock:lamp").unwrap_or_default();
        let stock = String::from_utf8_lossy(&stock).parse().unwrap_or(0);
        Seen { stock, version: 0 }
    }

    // ANCHOR: key_value
    fn sell(&mut self, order: &Order, _seen: &Seen, writes: usize) -> Told {
        let stock = self.look().stock; // DECR: reads and writes in one command
        if stock == 0 {
            return Told::SoldOut;
        }
        let left = (stock - 1).to_string();
        self.values.insert("stock:lamp".into(), left.into());
        if writes < 2 {
            return Told::Nothing; // the lamp is gone, and nobody has it
        }
        self.set_order(order);
        if self.own_index && writes > 2 {
            self.append(order);
        }
        Told::Sold
    }
    // ANCHOR_END: key_value

    fn photo(&mut self, from: usize, len: usize) -> Vec<u8> {
        self.bill.requests += 1; // GETRANGE
        self.bill.records += 1;
        self.bill.bytes += len as u64;
        self.values["photo:lamp"][from..from + len].to_vec()
    }

    fn session(&mut self, now_s: i64) -> Option<String> {
        if self
            .expires_s
            .get("session:ada")
            .is_some_and(|end| *end <= now_s)
        {
            self.values.remove("session:ada");
        }
        let value = self.get("session:ada")?;
        String::from_utf8(value).ok()
    }

    fn bill(&mut self) -> &mut Bill {
        &mut self.bill
    }
}
