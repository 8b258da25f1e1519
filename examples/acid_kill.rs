//! `kill -9` at every step of taking orders: no half order, no lost one.
//!
//! The program starts itself as a child. The child writes orders into a SQLite
//! file and says what it is about to do; the parent kills it there, opens the
//! file and counts. Look at the first line, without transactions, to see that the
//! test can fail. Then look at OFF: it passes too, and that is the lesson. What a
//! process has handed to the operating system outlives the process, so this test
//! says nothing about a power cut. `acid_power_cut` does.
//!
//! Simplified: one client. For "between steps" the child waits until it is told
//! to go on, so that every step is hit; for "running" it is killed as it goes.

use rusqlite::Connection;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ORDERS: i64 = 2;
const LINES_PER_ORDER: i64 = 3;
/// begin, the order, its lines, commit, acknowledged
const STEPS: usize = ORDERS as usize * (LINES_PER_ORDER as usize + 4);
/// Little memory and long lines: SQLite has to write to the file before it
/// knows whether the transaction will be committed.
const CACHE_PAGES: i64 = 3;
const LINE_BYTES: usize = 3_500;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Clone, Copy)]
struct Shop {
    transactions: bool,
    synchronous: &'static str,
}

// ANCHOR: shop
/// Takes orders. Before each step it says what comes next.
fn take_orders(
    shop: Shop,
    path: &Path,
    next: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let db = open(path, shop.synchronous)?;
    let [begin, commit] = match shop.transactions {
        true => ["BEGIN", "COMMIT"],
        false => ["", ""], // each statement is a transaction of its own
    };
    for order in 1..=ORDERS {
        next("begin")?;
        db.execute_batch(begin)?;
        next("insert the order")?;
        db.execute("INSERT INTO orders VALUES (?1)", [order])?;
        for line in 1..=LINES_PER_ORDER {
            next("insert a line")?;
            let item = "x".repeat(LINE_BYTES);
            db.execute(
                "INSERT INTO lines VALUES (?1, ?2, ?3)",
                (order, line, item),
            )?;
        }
        next("commit")?;
        db.execute_batch(commit)?;
        next("acknowledged")?;
    }
    Ok(())
}
// ANCHOR_END: shop

fn open(path: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA cache_size = {CACHE_PAGES};
         CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY) STRICT;
         CREATE TABLE IF NOT EXISTS lines(order_id INT, line INT, item TEXT) STRICT;"
    ))?;
    Ok(db)
}

/// The child: tells its parent what comes next, and may be made to wait for it.
fn be_the_child(shop: Shop, path: &Path) -> Result<()> {
    let mut answers = io::stdin().lines();
    take_orders(shop, path, &mut |what| {
        writeln!(io::stdout(), "{what}")?; // a line is written out at its end
        answers.next().ok_or("the parent is gone")??;
        Ok(())
    })
}

/// Never leaves its process behind.
struct Victim(Child);

impl Victim {
    fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?; // SIGKILL on Unix: no handler runs, nothing is flushed
        self.0.wait().map(drop)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.kill(); // it may be dead already
    }
}

// ANCHOR: kill
/// Kills a new child at its `last` step; returns how many orders it acknowledged.
fn kill_at(last: usize, waits: bool, shop: Shop, path: &Path) -> Result<i64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([shop.transactions.to_string().as_str(), shop.synchronous]);
    command
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = Victim(command.spawn()?);
    let mut answers = child.0.stdin.take().ok_or("no stdin")?;
    let stdout = BufReader::new(child.0.stdout.take().ok_or("no stdout")?);
    let mut acknowledged = 0;
    for (step, what) in stdout.lines().enumerate() {
        acknowledged += i64::from(what? == "acknowledged");
        if step < last || !waits {
            writeln!(answers)?; // go on
        }
        if step == last {
            child.kill()?;
            return Ok(acknowledged);
        }
    }
    Err("the child ended before it could be killed".into())
}
// ANCHOR_END: kill

#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    kills: usize,
    lost: i64,
    half: i64,
}

// ANCHOR: verify
/// Opens the file, upon which SQLite undoes what was not committed, and counts.
fn verify(path: &Path, acknowledged: i64, report: &mut Report) -> Result<()> {
    let db = Connection::open(path)?;
    db.execute_batch("PRAGMA synchronous = OFF")?; // nobody pulls the plug here
    let there = "SELECT count(*) FROM orders WHERE id <= ?1";
    let there: i64 = db.query_row(there, [acknowledged], |row| row.get(0))?;
    let half = "SELECT count(*) FROM (
            SELECT id FROM orders UNION SELECT order_id FROM lines) AS o
        WHERE (SELECT count(*) FROM orders WHERE id = o.id) != 1
           OR (SELECT count(*) FROM lines WHERE order_id = o.id) != ?1";
    let half: i64 = db.query_row(half, [LINES_PER_ORDER], |row| row.get(0))?;
    report.kills += 1;
    report.lost += acknowledged - there;
    report.half += half;
    Ok(())
}
// ANCHOR_END: verify

/// A directory of our own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> io::Result<Scratch> {
        let name = format!("acid-kill-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // at worst a file in /tmp stays
    }
}

fn kill_everywhere(shop: Shop, waits: bool) -> Result<Report> {
    let scratch = Scratch::new("run")?;
    let mut report = Report::default();
    for last in 0..STEPS {
        let path = scratch.0.join(format!("{last}.db"));
        drop(open(&path, "OFF")?); // the tables are there before the shop opens
        let acknowledged = kill_at(last, waits, shop, &path)?;
        verify(&path, acknowledged, &mut report)?;
    }
    Ok(report)
}

const fn shop(transactions: bool, synchronous: &'static str) -> Shop {
    Shop {
        transactions,
        synchronous,
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, transactions, synchronous, path] = &arguments[..] {
        let synchronous = if synchronous == "OFF" { "OFF" } else { "FULL" };
        return be_the_child(
            shop(transactions == "true", synchronous),
            Path::new(path),
        );
    }
    println!("transactions  synchronous  killed         kills  lost  half");
    for (shop, waits) in [
        (shop(false, "OFF"), true),
        (shop(true, "FULL"), true),
        (shop(true, "FULL"), false),
        (shop(true, "OFF"), true),
        (shop(true, "OFF"), false),
    ] {
        let Report { kills, lost, half } = kill_everywhere(shop, waits)?;
        let begin = if shop.transactions { "yes" } else { "no" };
        let killed = if waits { "between steps" } else { "running" };
        let sync = shop.synchronous;
        println!(
            "{begin:<12}  {sync:<11}  {killed:<13} {kills:>6} {lost:>5} {half:>5}"
        );
    }
    Ok(())
}

/// Without processes: a copy of the files, taken at a step, is what a kill leaves.
#[cfg(test)]
mod tests {
    use super::*;

    /// Also says at how many steps there was something in the file to be undone.
    fn copied_at_every_step(name: &str, shop: Shop) -> (Report, usize) {
        let scratch = Scratch::new(name).expect("a directory");
        let (path, copy) = (scratch.0.join("shop.db"), scratch.0.join("copy.db"));
        let (mut report, mut to_undo, mut acknowledged) = (Report::default(), 0, 0);
        let mut committed = Vec::new();
        take_orders(shop, &path, &mut |what| {
            acknowledged += i64::from(what == "acknowledged");
            let bytes = std::fs::read(&path)?;
            std::fs::write(&copy, &bytes)?;
            let journal = scratch.0.join("shop.db-journal");
            if journal.exists() {
                to_undo += usize::from(bytes != committed);
                std::fs::copy(journal, scratch.0.join("copy.db-journal"))?;
            } else {
                committed = bytes;
            }
            verify(&copy, acknowledged, &mut report)
        })
        .expect("the shop works");
        (report, to_undo)
    }

    const NOTHING: Report = Report {
        kills: STEPS,
        lost: 0,
        half: 0,
    };

    #[test]
    fn with_transactions_no_order_is_lost_and_none_is_half_there() {
        for synchronous in ["FULL", "OFF"] {
            let (report, to_undo) =
                copied_at_every_step(synchronous, shop(true, synchronous));
            assert_eq!(report, NOTHING);
            assert!(to_undo > 0, "nothing was ever written before its commit");
        }
    }

    #[test]
    fn without_transactions_orders_are_half_there() {
        let (report, _) = copied_at_every_step("none", shop(false, "OFF"));
        assert_eq!((report.lost, report.half), (0, ORDERS * LINES_PER_ORDER));
    }
}
