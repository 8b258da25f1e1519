//! Copies of a database file that is written to while it is copied.
//!
//! A shop sells lamps: each sale adds an order and takes one from the stock, in
//! one transaction. One sale is acknowledged before the copy begins, another
//! comes after the first, second, third … page has been read. Look at the last
//! two columns: what `integrity_check` refuses, and, worse, what it accepts
//! although no such state ever was. Then look at the last line.
//!
//! Simplified: one thread with two connections, so that each moment is hit
//! once; `cp` reads one page at a time; nothing is synced, as no power fails.

use rusqlite::{Connection, Result as Sql};
use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const FOLDERS_MAX: u32 = 100;
const PAGE_BYTES: usize = 4096;
const ORDERS: i64 = 60;
const LAMPS: i64 = 100; // in stock and sold together

/// A folder that is gone when the program is done with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let name = format!("storage-backup-{}", std::process::id());
        for n in 0..FOLDERS_MAX {
            let path = std::env::temp_dir().join(format!("{name}-{n}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err("too many folders".into())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// What the shop holds: lamps in stock, and all orders.
#[derive(Clone, Debug, PartialEq)]
struct State {
    stock: i64,
    orders: Vec<(i64, String)>,
}

fn state(db: &Connection) -> Sql<State> {
    let stock = db.query_row("SELECT pieces FROM stock", [], |row| row.get(0))?;
    let mut orders = db.prepare("SELECT id, buyer FROM orders ORDER BY id")?;
    let orders = orders.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(State {
        stock,
        orders: orders.collect::<Sql<_>>()?,
    })
}

fn open(path: &Path, journal: &str) -> Sql<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", journal)?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0")?;
    Ok(db)
}

fn new_shop(path: &Path) -> Result<()> {
    let db = open(path, "DELETE")?;
    db.execute_batch(
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, buyer TEXT) STRICT;
         CREATE TABLE stock(pieces INT) STRICT;
         CREATE INDEX by_buyer ON orders(buyer);
         BEGIN;",
    )?;
    db.execute("INSERT INTO stock VALUES (?1)", [LAMPS - ORDERS])?;
    for id in 0..ORDERS {
        let buyer = format!("{:0400}", id * 37 % ORDERS); // long, and in any order
        db.execute("INSERT INTO orders VALUES (?1, ?2)", (id, buyer))?;
    }
    Ok(db.execute_batch("COMMIT")?)
}

// ANCHOR: sale
const SALE: [&str; 4] = [
    "BEGIN",
    "INSERT INTO orders
         SELECT max(id) + 1, printf('%0400d', max(id) * 37 % 60) FROM orders",
    "UPDATE stock SET pieces = pieces - 1",
    "COMMIT",
];
// ANCHOR_END: sale

fn sell(db: &Connection) -> Sql<()> {
    db.execute_batch(&SALE.join(";"))
}

// ANCHOR: naive
/// Copies as `cp` does, page by page until the file ends. After `pages` pages
/// it loses the processor, and somebody else does `meanwhile`.
fn cp(
    from: &Path,
    to: &Path,
    pages: usize,
    meanwhile: &mut dyn FnMut() -> Sql<()>,
) -> Result<usize> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let (mut page, mut copied) = ([0; PAGE_BYTES], 0);
    loop {
        if copied == pages {
            meanwhile()?;
        }
        let read = from.read(&mut page)?;
        if read == 0 {
            return Ok(copied);
        }
        to.write_all(&page[..read])?;
        copied += 1;
    }
}
// ANCHOR_END: naive

/// `states[0]` was before the acknowledged sale, `states[1]` after it, and
/// what follows came during the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    OrderLost,
    Refused,
    SilentlyWrong { lamps: i64 }, // in stock and sold together
}

// ANCHOR: judge
fn judge(copy: &Path, states: &[State]) -> Verdict {
    let read = || -> Sql<(String, State)> {
        let db = Connection::open(copy)?;
        let check = "PRAGMA integrity_check(1)";
        Ok((db.query_row(check, [], |row| row.get(0))?, state(&db)?))
    };
    match read() {
        Err(_) => Verdict::Refused,
        Ok((check, _)) if check != "ok" => Verdict::Refused,
        Ok((_, found)) => match states.iter().position(|s| *s == found) {
            Some(0) => Verdict::OrderLost,
            Some(_) => Verdict::Good,
            None => Verdict::SilentlyWrong {
                lamps: found.stock + found.orders.len() as i64,
            },
        },
    }
}
// ANCHOR_END: judge

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Cp {
        journal: &'static str,
        also_log: bool,
        checkpoint: bool,
    },
    VacuumInto,
}

/// One copy, during which a sale comes at moment `at`. None: too late for it.
fn attempt(base: &Path, method: Method, at: usize) -> Result<Option<Verdict>> {
    let folder = Folder::new()?;
    let [file, log, copy, copy_log] =
        ["shop.db", "shop.db-wal", "copy.db", "copy.db-wal"]
            .map(|n| folder.0.join(n));
    fs::copy(base, &file)?;
    let journal = match method {
        Method::Cp { journal, .. } => journal,
        Method::VacuumInto => "WAL",
    };
    let db = open(&file, journal)?;
    let mut states = vec![state(&db)?];
    sell(&db)?; // "Thank you for your order!"
    states.push(state(&db)?);
    match method {
        Method::Cp {
            also_log,
            checkpoint,
            ..
        } => {
            let pages = cp(&file, &copy, at, &mut || {
                sell(&db)?;
                states.push(state(&db)?);
                if checkpoint {
                    // The log is put into the file, and begun anew.
                    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
                    sell(&db)?;
                    states.push(state(&db)?);
                }
                Ok(())
            })?;
            if at > pages {
                return Ok(None);
            }
            if also_log && log.exists() {
                fs::copy(&log, &copy_log)?;
            }
        }
        Method::VacuumInto => {
            let reader = open(&file, "WAL")?;
            if at > SALE.len() {
                return Ok(None);
            }
            db.execute_batch(&SALE[..at].join(";"))?;
            vacuum_into(&reader, &copy)?;
            db.execute_batch(&SALE[at..].join(";"))?;
            states.push(state(&db)?);
        }
    }
    Ok(Some(judge(&copy, &states)))
}

// ANCHOR: right
/// One statement, one snapshot: of what was committed when it began.
fn vacuum_into(db: &Connection, copy: &Path) -> Result<()> {
    let copy = copy.to_str().ok_or("the path is not UTF-8")?;
    db.execute("VACUUM INTO ?1", [copy])?;
    Ok(())
}
// ANCHOR_END: right

const fn cp_with(journal: &'static str, also_log: bool, checkpoint: bool) -> Method {
    Method::Cp {
        journal,
        also_log,
        checkpoint,
    }
}

const METHODS: [(&str, Method); 5] = [
    ("cp, rollback journal", cp_with("DELETE", false, false)),
    ("cp, WAL, the file", cp_with("WAL", false, false)),
    ("cp, WAL, file, then log", cp_with("WAL", true, false)),
    ("  and a checkpoint", cp_with("WAL", true, true)),
    ("VACUUM INTO, WAL", Method::VacuumInto),
];

fn all_moments(method: Method) -> Result<Vec<Verdict>> {
    let folder = Folder::new()?;
    let base = folder.0.join("base.db");
    new_shop(&base)?;
    let mut verdicts = Vec::new();
    while let Some(verdict) = attempt(&base, method, verdicts.len())? {
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

fn main() -> Result<()> {
    println!(
        "{:<25}moments  good  order lost  refused  wrong",
        "copied with"
    );
    for (name, method) in METHODS {
        let verdicts = all_moments(method)?;
        let count = |wanted: fn(&Verdict) -> bool| {
            verdicts.iter().filter(|verdict| wanted(verdict)).count()
        };
        let good = count(|v| *v == Verdict::Good);
        let lost = count(|v| *v == Verdict::OrderLost);
        let refused = count(|v| *v == Verdict::Refused);
        let wrong = count(|v| matches!(v, Verdict::SilentlyWrong { .. }));
        let moments = verdicts.len();
        println!("{name:<25}{moments:>7}{good:>6}{lost:>12}{refused:>9}{wrong:>7}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(method: usize, wanted: Verdict) -> usize {
        let verdicts = all_moments(METHODS[method].1).unwrap();
        verdicts
            .iter()
            .filter(|verdict| **verdict == wanted)
            .count()
    }

    #[test]
    fn a_file_copied_during_a_sale_is_often_refused_and_sometimes_silently_wrong() {
        assert!(count(0, Verdict::Refused) > 0);
        // It passes the check, with one lamp more than there ever was.
        assert_eq!(count(0, Verdict::SilentlyWrong { lamps: LAMPS + 1 }), 1);
    }

    #[test]
    fn without_its_log_the_copy_lacks_the_acknowledged_order_and_passes_the_check() {
        let moments = all_moments(METHODS[1].1).unwrap().len();
        assert!(moments > 10);
        assert_eq!(count(1, Verdict::OrderLost), moments);
    }

    #[test]
    fn file_then_log_is_a_good_copy_only_as_long_as_no_checkpoint_comes() {
        let moments = all_moments(METHODS[2].1).unwrap().len();
        assert_eq!(count(2, Verdict::Good), moments);
        assert!(count(3, Verdict::Good) < moments);
    }

    #[test]
    fn vacuum_into_is_good_between_any_two_statements_of_a_writer() {
        assert_eq!(count(4, Verdict::Good), SALE.len() + 1);
    }

    #[test]
    fn an_undisturbed_copy_of_the_file_is_good() {
        let folder = Folder::new().unwrap();
        let [base, copy] = ["base.db", "copy.db"].map(|name| folder.0.join(name));
        new_shop(&base).unwrap();
        cp(&base, &copy, usize::MAX, &mut || Ok(())).unwrap();
        assert_eq!(fs::read(&base).unwrap(), fs::read(&copy).unwrap());
    }

    const SALES_MAX: u32 = 100_000;

    #[test]
    fn vacuum_into_is_one_snapshot_while_another_thread_sells_without_a_pause() {
        let folder = Folder::new().unwrap();
        let file = folder.0.join("shop.db");
        new_shop(&file).unwrap();
        let reader = open(&file, "WAL").unwrap();
        sell(&reader).unwrap(); // acknowledged before any copy begins
        let done = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::SeqCst;
        let copies = std::thread::scope(|threads| {
            threads.spawn(|| {
                let writer = open(&file, "WAL").unwrap();
                // A limit, so that a copy that never ends does not fill the disk.
                for _ in 0..SALES_MAX {
                    if done.load(order) || sell(&writer).is_err() {
                        break;
                    }
                }
            });
            let copies = (0..20).map(|i| {
                let copy = folder.0.join(format!("copy-{i}.db"));
                vacuum_into(&reader, &copy)?;
                Ok(state(&Connection::open(&copy)?)?)
            });
            let copies = copies.collect::<Result<Vec<State>>>();
            done.store(true, order);
            copies
        });
        for found in copies.unwrap() {
            // Every lamp is in stock or in an order, and no order is left out.
            let orders = found.orders.len() as i64;
            assert!(orders > ORDERS && found.stock + orders == LAMPS, "{orders}");
            let ids = found.orders.iter().map(|(id, _)| *id);
            assert!(ids.eq(0..orders));
        }
    }
}
