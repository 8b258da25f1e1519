//! One small shop in five kinds of store, and the same five questions to each.
//!
//! Look at the tables: all stores give the same answers, and the price differs
//! a thousandfold. `requests` is what you wait for, `records` what the store has
//! to read, `bytes` what crosses the network. Then look at the last lamp, which
//! two buyers want, and which a program is selling when it dies.
//!
//! Simplified: the relational store is a real SQLite, the others are models of
//! what their kind promises. For `kv+index` the program keeps an index of its
//! own, for `if-match` it makes its PUTs conditional. Real stores blur the
//! borders: the chapter says how.

mod documents;
mod key_value;
mod objects;
mod relational;
mod shop;

use documents::Documents;
use key_value::KeyValue;
use objects::Objects;
use relational::Relational;
use shop::{Bill, Order, Shop, Store, Told, LAMP, SESSION_S};
use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ORDERS: i64 = 1_000;
const NAMES: [&str; 6] = [
    "relation",
    "key-value",
    "kv+index",
    "document",
    "object",
    "if-match",
];

fn stores(shop: &Shop) -> Result<[Box<dyn Store>; 6]> {
    Ok([
        Box::new(Relational::new(shop)?),
        Box::new(KeyValue::new(shop, false)),
        Box::new(KeyValue::new(shop, true)),
        Box::new(Documents::new(shop)),
        Box::new(Objects::new(shop, false)),
        Box::new(Objects::new(shop, true)),
    ])
}

fn bill(store: &mut dyn Store, question: fn(&mut dyn Store)) -> Bill {
    *store.bill() = Bill::default();
    question(store);
    *store.bill()
}

// ANCHOR: last_lamp
/// Two buyers look, then both buy.
fn two_buyers(store: &mut dyn Store) -> &'static str {
    let orders = [105, 106].map(|id| Order::new(id, 3, 5_000, &[(LAMP, 1)]));
    let seen = [store.look(), store.look()];
    let told = [0, 1].map(|i| store.sell(&orders[i], &seen[i], usize::MAX));
    match told.iter().filter(|told| **told == Told::Sold).count() {
        1 => "once",
        2 => "TWICE",
        _ => "never",
    }
}

/// One buyer, and the program dies after `writes` writes.
fn crash(store: &mut dyn Store, writes: usize) -> &'static str {
    let order = Order::new(105, 3, 5_000, &[(LAMP, 1)]);
    let seen = store.look();
    store.sell(&order, &seen, writes);
    let listed = store.orders_of(3).contains(&105);
    match (store.look().stock, store.order(105).is_some(), listed) {
        (1, false, false) => "nothing",
        (0, true, true) => "whole",
        (0, true, false) => "UNLISTED",
        _ => "HALF",
    }
}
// ANCHOR_END: last_lamp

type Question = (&'static str, fn(&mut dyn Store));
const QUESTIONS: [Question; 4] = [
    ("order 103", |store| {
        store.order(103);
    }),
    ("of one buyer", |store| {
        store.orders_of(1);
    }),
    ("units sold", |store| {
        store.sold();
    }),
    ("1 kB of photo", |store| {
        store.photo(1_000, 1_000);
    }),
];

fn row(name: &str, cells: impl IntoIterator<Item = String>) {
    let cells = cells.into_iter().map(|cell| format!("{cell:>10}"));
    println!("{name:<12}{}", cells.collect::<String>());
}

fn main() -> Result<()> {
    let shop = Shop::with_orders(ORDERS);
    let mut large = stores(&shop)?;
    println!("with {ORDERS} orders");
    type Column = (&'static str, fn(&Bill) -> u64);
    let columns: [Column; 3] = [
        ("requests", |bill| bill.requests),
        ("records", |bill| bill.records),
        ("bytes", |bill| bill.bytes),
    ];
    for (unit, column) in columns {
        row(unit, NAMES[..5].iter().map(|name| (*name).to_owned()));
        for (name, question) in QUESTIONS {
            let cost = |store: &mut Box<dyn Store>| bill(&mut **store, question);
            row(
                name,
                large[..5].iter_mut().map(|s| column(&cost(s)).to_string()),
            );
        }
        println!();
    }
    type Work = fn(&mut dyn Store) -> &'static str;
    let rows: [(&str, Work); 5] = [
        ("two buyers", two_buyers),
        ("dies after 1", |store| crash(store, 1)),
        ("dies after 2", |store| crash(store, 2)),
        ("at 30 min", |store| session(store, SESSION_S)),
        ("at 31 min", |store| session(store, SESSION_S + 60)),
    ];
    row("last lamp", NAMES.map(str::to_owned));
    for (name, work) in rows {
        let shops = stores(&Shop::small())?;
        row(name, shops.map(|mut store| work(&mut *store).to_owned()));
    }
    Ok(())
}

fn session(store: &mut dyn Store, now_s: i64) -> &'static str {
    store.session(now_s).map_or("gone", |_| "THERE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn ask_all<T>(shop: &Shop, question: impl Fn(&mut dyn Store) -> T) -> [T; 6] {
        stores(shop).unwrap().map(|mut store| question(&mut *store))
    }

    #[test]
    fn all_stores_give_the_answers_of_the_small_shop() {
        let shop = Shop::small();
        let lines = [("mug", 1), ("pen", 5)];
        let order = Order::new(103, 1, 3_000, &lines);
        let found = ask_all(&shop, |store| store.order(103));
        assert!(found.iter().all(|found| found.as_ref() == Some(&order)));
        let found = ask_all(&shop, |store| store.orders_of(1));
        assert!(found.iter().all(|found| *found == [104, 103, 101]));
        let sold = BTreeMap::from([("mug".to_owned(), 4), ("pen".to_owned(), 18)]);
        assert!(ask_all(&shop, |store| store.sold())
            .iter()
            .all(|s| *s == sold));
        let photo = ask_all(&shop, |store| store.photo(1_000, 1_000));
        let wanted = &shop.photo[1_000..2_000];
        assert!(wanted[0] == 27 && photo.iter().all(|photo| photo == wanted));
        let there = ask_all(&shop, |store| store.session(SESSION_S - 1));
        assert!(there.iter().all(|data| data.as_deref() == Some("basket=2")));
    }

    #[test]
    fn all_stores_agree_about_many_random_shops() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..30 {
            let mut shop = Shop::small();
            for id in 200..200 + rng.i64(0..20) {
                let lines = [("mug", rng.i64(1..4)), ("fan", rng.i64(1..9))];
                let lines = &lines[rng.usize(0..2)..];
                shop.orders.push(Order::new(
                    id,
                    rng.i64(1..4),
                    10 * id + 3_000,
                    lines,
                ));
            }
            for customer in 1..4 {
                let newest = shop.orders.iter().rev();
                let ids = newest.filter(|order| order.customer == customer);
                let ids: Vec<i64> = ids.map(|order| order.id).collect();
                let found = ask_all(&shop, |store| store.orders_of(customer));
                assert!(
                    found.iter().all(|found| *found == ids),
                    "{found:?} {ids:?}"
                );
            }
            let sold = ask_all(&shop, |store| store.sold());
            assert!(sold.iter().all(|found| *found == sold[0]));
            let order = ask_all(&shop, |store| store.order(210));
            assert!(order.iter().all(|found| *found == order[0]));
        }
    }

    #[test]
    fn objects_are_fetched_one_by_one_and_a_table_is_asked_once() {
        let shop = Shop::with_orders(ORDERS);
        let bills = stores(&shop).unwrap().map(|mut store| {
            bill(&mut *store, |store| {
                store.orders_of(1);
            })
        });
        assert_eq!(
            bills[0],
            Bill {
                requests: 1,
                records: 3,
                bytes: 24
            }
        );
        assert_eq!(bills[2].requests, 1);
        assert_eq!((bills[3].requests, bills[3].records), (1, 1_000));
        assert_eq!(bills[4].requests, 1_001);
    }

    #[test]
    fn a_key_value_store_is_searched_whole_and_a_field_comes_whole() {
        let mut stores = stores(&Shop::with_orders(ORDERS)).unwrap();
        let search = bill(&mut *stores[1], |store| drop(store.orders_of(1)));
        // 1,003 keys in pages of 100, each a SCAN and an MGET.
        assert_eq!((search.requests, search.records), (22, 1_003));
        let part = bill(&mut *stores[3], |store| drop(store.photo(1_000, 1_000)));
        assert_eq!(part.bytes, 100_000);
    }

    #[test]
    fn only_an_unconditional_put_sells_the_last_lamp_twice() {
        let told = ask_all(&Shop::small(), two_buyers);
        assert_eq!(told, ["once", "once", "once", "once", "TWICE", "once"]);
    }

    #[test]
    fn the_second_buyer_is_told_that_the_lamp_is_sold_out() {
        let told = ask_all(&Shop::small(), |store| {
            let seen = [store.look(), store.look()];
            let order = |id| Order::new(id, 3, 5_000, &[(LAMP, 1)]);
            store.sell(&order(105), &seen[0], usize::MAX);
            store.sell(&order(106), &seen[1], usize::MAX)
        });
        assert_eq!(told[4], Told::Sold); // without a condition
        assert!([0, 1, 2, 3, 5].iter().all(|i| told[*i] == Told::SoldOut));
    }

    #[test]
    fn only_the_transaction_leaves_nothing_of_a_sale_that_died() {
        let left = ask_all(&Shop::small(), |store| crash(store, 1));
        assert_eq!(left[0], "nothing");
        assert!(left[1..].iter().all(|left| *left == "HALF"));
    }

    #[test]
    fn an_index_of_ones_own_misses_the_order_after_a_crash() {
        let left = ask_all(&Shop::small(), |store| crash(store, 2));
        assert_eq!(left[2], "UNLISTED");
        assert!([0, 1, 3, 4, 5].iter().all(|i| left[*i] == "whole"));
    }

    #[test]
    fn a_session_ends_on_the_second_a_minute_late_or_never() {
        let at = |now_s| ask_all(&Shop::small(), |store| session(store, now_s));
        assert_eq!(at(SESSION_S - 1), ["THERE"; 6]);
        assert_eq!(at(SESSION_S)[..3], ["gone"; 3]);
        assert_eq!(at(SESSION_S)[3..], ["THERE"; 3]);
        assert_eq!(at(SESSION_S + 60)[3..], ["gone", "THERE", "THERE"]);
    }
}
