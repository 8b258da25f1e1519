//! A real SQLite, in memory.

use crate::shop::{Bill, Order, Seen, Shop, Store, Told, LAMP};
use rusqlite::{Connection, Params, Result as Sql, Row, StatementStatus};
use std::collections::BTreeMap;

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
