//! Five models of stores. Each counts what it is asked, reads and sends.

use crate::shop::{Bill, Order, Seen, Shop, Store, Told, LAMP, SESSION_S};
use rusqlite::{Connection, Params, Result as Sql, Row, StatementStatus};
use serde_json::{json, Value};
use std::collections::BTreeMap;

const SCAN_KEYS: usize = 100; // as one would tell Redis: SCAN … COUNT 100
const LIST_KEYS: usize = 1_000; // as S3's LIST
const SWEEP_S: i64 = 60; // how often the document store looks for what expired

/// Rows in tables, indexes, transactions.
pub struct Relational {
    db: Connection,
    bill: Bill,
}

impl Relational {
    pub fn new(shop: &Shop) -> Sql<Self> {
        let mut db = Connection::open_in_memory()?;
        db.execute_batch(
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INT, at_s INT);
             CREATE INDEX by_customer ON orders(customer, at_s);
             CREATE TABLE lines(
                 order_id INT REFERENCES orders, product TEXT, count INT,
                 PRIMARY KEY (order_id, product));
             CREATE TABLE products(
                 name TEXT PRIMARY KEY, stock INT CHECK (stock >= 0));
             CREATE TABLE photos(product TEXT PRIMARY KEY, bytes BLOB);
             CREATE TABLE sessions(id TEXT PRIMARY KEY, data TEXT, expires_s INT);
             INSERT INTO products VALUES ('mug', 5), ('lamp', 1), ('pen', 40);
             INSERT INTO sessions VALUES ('ada', 'basket=2', 1800);",
        )?;
        db.execute("INSERT INTO photos VALUES (?1, ?2)", (LAMP, &shop.photo))?;
        let tx = db.transaction()?;
        for order in &shop.orders {
            insert(&tx, order)?;
        }
        tx.commit()?;
        Ok(Self {
            db,
            bill: Bill::default(),
        })
    }

    fn ask<T>(
        &mut self,
        sql: &str,
        params: impl Params,
        mut take: impl FnMut(&Row) -> Sql<T>,
    ) -> Sql<Vec<T>> {
        let mut question = self.db.prepare(sql)?;
        let columns = question.column_count();
        let mut bytes = 0;
        let answers = question.query_map(params, |row| {
            for i in 0..columns {
                use rusqlite::types::ValueRef as V;
                bytes += match row.get_ref(i)? {
                    V::Text(bytes) | V::Blob(bytes) => bytes.len() as u64,
                    _ => 8,
                };
            }
            take(row)
        })?;
        let answers = answers.collect::<Sql<Vec<T>>>()?;
        // Steps of a scan without an index; with one, the rows of the answer.
        let scanned = question.get_status(StatementStatus::FullscanStep);
        self.bill.requests += 1;
        self.bill.records +=
            u64::from(scanned.unsigned_abs()).max(answers.len() as u64);
        self.bill.bytes += bytes;
        Ok(answers)
    }
}

fn insert(db: &Connection, order: &Order) -> Sql<()> {
    let values = (order.id, order.customer, order.at_s);
    db.execute("INSERT INTO orders VALUES (?1, ?2, ?3)", values)?;
    for (product, count) in &order.lines {
        let values = (order.id, product, count);
        db.execute("INSERT INTO lines VALUES (?1, ?2, ?3)", values)?;
    }
    Ok(())
}

impl Store for Relational {
    // ANCHOR: sql
    fn orders_of(&mut self, customer: i64) -> Vec<i64> {
        let sql = "SELECT id FROM orders WHERE customer = ?1 ORDER BY at_s DESC";
        self.ask(sql, [customer], |row| row.get(0))
            .unwrap_or_default()
    }

    fn sold(&mut self) -> BTreeMap<String, i64> {
        let sql = "SELECT product, sum(count) FROM lines GROUP BY product";
        let sold = self.ask(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        sold.unwrap_or_default().into_iter().collect()
    }
    // ANCHOR_END: sql

    fn order(&mut self, id: i64) -> Option<Order> {
        let sql = "SELECT customer, at_s, product, count
                   FROM orders JOIN lines ON order_id = id WHERE id = ?1";
        let rows = self.ask(sql, [id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let mut rows = rows.ok()?.into_iter();
        let (customer, at_s, product, count): (_, _, String, _) = rows.next()?;
        let mut order = Order::new(id, customer, at_s, &[(&product, count)]);
        order
            .lines
            .extend(rows.map(|(_, _, product, count)| (product, count)));
        Some(order)
    }

    fn look(&mut self) -> Seen {
        let sql = "SELECT stock FROM products WHERE name = 'lamp'";
        let stock = self.ask(sql, [], |row| row.get(0)).unwrap_or_default();
        Seen {
            stock: stock[0],
            version: 0,
        }
    }

    // ANCHOR: relational
    fn sell(&mut self, order: &Order, _seen: &Seen, writes: usize) -> Told {
        self.bill.requests += 4; // begin, update, insert, commit
        let mut work = || -> Sql<Told> {
            let tx = self.db.transaction()?;
            let sql = "UPDATE products SET stock = stock - 1
                       WHERE name = 'lamp' AND stock >= 1";
            if tx.execute(sql, [])? == 0 {
                return Ok(Told::SoldOut); // what was seen is old, and no matter
            }
            if writes < 2 {
                return Ok(Told::Nothing); // dropped: the database rolls back
            }
            insert(&tx, order)?;
            tx.commit()?;
            Ok(Told::Sold)
        };
        work().unwrap_or(Told::Nothing)
    }
    // ANCHOR_END: relational

    fn photo(&mut self, from: usize, len: usize) -> Vec<u8> {
        let sql = "SELECT substr(bytes, ?1 + 1, ?2) FROM photos";
        let bytes = self.ask(sql, (from as i64, len as i64), |row| row.get(0));
        bytes
            .ok()
            .and_then(|mut bytes| bytes.pop())
            .unwrap_or_default()
    }

    fn session(&mut self, now_s: i64) -> Option<String> {
        let sql = "SELECT data FROM sessions WHERE id = 'ada' AND expires_s > ?1";
        self.ask(sql, [now_s], |row| row.get(0)).ok()?.pop()
    }

    fn bill(&mut self) -> &mut Bill {
        &mut self.bill
    }
}

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

fn newest_first(mut orders: Vec<Order>, customer: i64) -> Vec<i64> {
    orders.retain(|order| order.customer == customer);
    orders.sort_by_key(|order| std::cmp::Reverse(order.at_s));
    orders.iter().map(|order| order.id).collect()
}

fn sum(orders: &[Order]) -> BTreeMap<String, i64> {
    let mut sold = BTreeMap::new();
    for (product, count) in orders.iter().flat_map(|order| &order.lines) {
        *sold.entry(product.clone()).or_default() += count;
    }
    sold
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
