//! A production database of people who do not exist.

use crate::copy::Failure;
use rusqlite::Connection;

const SCHEMA: &str = "
    PRAGMA foreign_keys = ON;
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL,
        email TEXT NOT NULL UNIQUE, phone TEXT NOT NULL UNIQUE, city TEXT);
    CREATE TABLE purchase (id INTEGER PRIMARY KEY, day INTEGER NOT NULL,
        customer INTEGER NOT NULL REFERENCES customer(id), cents INTEGER NOT NULL);
    CREATE TABLE ticket (id INTEGER PRIMARY KEY, email TEXT NOT NULL,
        body TEXT NOT NULL);
";
const FIRST: [&str; 8] = [
    "Ann", "Ben", "Clara", "Doris", "Ernst", "Frank", "Gerd", "Hans",
];
const LAST: [&str; 8] = [
    "Gruber", "Wirth", "Lang", "Pohl", "Steiner", "Fuchs", "Schulz", "Brandt",
];

pub fn empty() -> Result<Connection, Failure> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(SCHEMA)?;
    Ok(db)
}

/// Some customers buy nothing and few a lot; one in three writes a ticket, and
/// names in it what the tables know, or what no table knows.
pub fn production(customers: i64, seed: u64) -> Result<Connection, Failure> {
    let (db, mut rng) = (empty()?, fastrand::Rng::with_seed(seed));
    let mut purchase = 5_000_000;
    for n in 0..customers {
        let id = 7_000_000 + n;
        let name = format!("{} {}", FIRST[rng.usize(..8)], LAST[rng.usize(..8)]);
        let host = ["mail", "mail", "mail", "post"][rng.usize(..4)];
        let email = format!("{}.{n}@{host}.example", name.replace(' ', "."));
        let phone = format!("{}{}", ["+49", "+43"][rng.usize(..2)], 301_000_000 + n);
        let city = ["Berlin", "Berlin", "Berlin", "Graz", "Linz"][rng.usize(..5)];
        db.execute(
            "INSERT INTO customer VALUES (?1, ?2, ?3, ?4, ?5)",
            (id, &name, &email, &phone, city),
        )?;
        for _ in 0..rng.i64(0..4) * rng.i64(0..4) {
            let (day, cents) = (rng.i64(18_000..20_000), rng.i64(500..20_000));
            purchase += 1;
            db.execute(
                "INSERT INTO purchase VALUES (?1, ?2, ?3, ?4)",
                (purchase, day, id, cents),
            )?;
        }
        if rng.i64(0..3) == 0 {
            let nick = &name[..3];
            let bodies = [
                format!("I am {name}, call {phone} about {purchase}"),
                format!("{} here, write to {email}", name.to_uppercase()),
                format!("{nick} again. Ring my mother, 0316-555{n:03}"),
            ];
            let body = &bodies[rng.usize(..3)];
            let ticket = 9_000_000 + n;
            let insert = "INSERT INTO ticket VALUES (?1, ?2, ?3)";
            db.execute(insert, (ticket, &email, body))?;
        }
    }
    Ok(db)
}
