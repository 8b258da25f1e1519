//! Two buyers, one seat, every order in which their statements can meet.
//!
//! Two connections to one SQLite database follow the same recipe. The program
//! runs all interleavings of their statements and counts how often the seat is
//! sold twice. Look at the first line, then at "busy": what the two recipes with
//! transactions pay. The last line needs neither a transaction nor a wait.
//!
//! Simplified: a database in memory (SQLite's VFS `memdb`; a test compares it
//! with a file, which has one more kind of lock and says "busy" a little less). A
//! buyer who is told "busy" at BEGIN or COMMIT asks again at the next turn; one who
//! is told so in the middle has to roll back and start over.

use rusqlite::{Connection, ErrorCode, OpenFlags, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statement {
    Begin,
    BeginImmediate,
    /// SELECT: is the seat free? If not, the buyer gives up.
    Look,
    /// UPDATE: the seat is mine.
    Take,
    /// UPDATE, if nobody has it.
    TakeIfFree,
    Commit,
}
use Statement::{Begin, BeginImmediate, Commit, Look, Take, TakeIfFree};

// ANCHOR: recipes
const RECIPES: [(&str, &[Statement]); 4] = [
    ("look, then take", &[Look, Take]),
    ("the same, BEGIN", &[Begin, Look, Take, Commit]),
    ("BEGIN IMMEDIATE", &[BeginImmediate, Look, Take, Commit]),
    ("take if free", &[TakeIfFree]),
];
// ANCHOR_END: recipes

struct Buyer<'a> {
    name: &'static str,
    db: &'a Connection,
    recipe: &'a [Statement],
    next: usize,
    /// What the shop's code believes: it prints the ticket.
    has_ticket: bool,
    busy: u32,
}

impl Buyer<'_> {
    // ANCHOR: buyer
    fn step(&mut self) -> Result<()> {
        let Some(&statement) = self.recipe.get(self.next) else {
            return Ok(()); // done
        };
        match self.execute(statement) {
            Ok(true) => self.next += 1,
            Ok(false) => self.give_up()?, // somebody else has the seat
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                self.busy += 1;
                if statement == Take {
                    self.give_up()?; // who holds the lock waits for us
                    self.next = 0;
                }
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// False if the seat is not to be had.
    fn execute(&mut self, statement: Statement) -> Result<bool> {
        let db = self.db;
        match statement {
            Begin => db.execute_batch("BEGIN")?,
            BeginImmediate => db.execute_batch("BEGIN IMMEDIATE")?,
            Commit => db.execute_batch("COMMIT")?,
            Look => {
                let free = "SELECT buyer IS NULL FROM seats WHERE seat = '1A'";
                return db.query_row(free, [], |row| row.get(0));
            }
            Take => {
                let take = "UPDATE seats SET buyer = ?1 WHERE seat = '1A'";
                self.has_ticket = db.execute(take, [self.name])? == 1;
            }
            TakeIfFree => {
                let take = "UPDATE seats SET buyer = ?1
                            WHERE seat = '1A' AND buyer IS NULL";
                self.has_ticket = db.execute(take, [self.name])? == 1;
            }
        }
        Ok(true)
    }
    // ANCHOR_END: buyer

    fn give_up(&mut self) -> Result<()> {
        self.has_ticket = false;
        self.next = self.recipe.len();
        match self.db.is_autocommit() {
            true => Ok(()), // no transaction is open
            false => self.db.execute_batch("ROLLBACK"),
        }
    }

    fn is_done(&self) -> bool {
        self.next == self.recipe.len()
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    orders: u32,
    twice: u32,
    once: u32,
    busy: u32,
}

fn connect(path: &str) -> Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::default())?;
    db.busy_timeout(std::time::Duration::ZERO)?; // the schedule decides, no clock
    db.execute_batch("PRAGMA synchronous = OFF")?; // this is about I, not D
    Ok(db)
}

/// All the ways to deal `n` turns to each of two buyers.
fn turns(n: usize) -> impl Iterator<Item = Vec<usize>> {
    let all =
        (0_u32..1 << (2 * n)).filter(move |bits| bits.count_ones() as usize == n);
    all.map(move |bits| (0..2 * n).map(|i| (bits >> i & 1) as usize).collect())
}

fn try_all(path: &str, recipe: &[Statement]) -> Result<Count> {
    let [a, b] = [connect(path)?, connect(path)?];
    a.execute_batch(
        "CREATE TABLE seats(seat TEXT PRIMARY KEY, buyer TEXT) STRICT;
         INSERT INTO seats VALUES ('1A', NULL);",
    )?;
    let mut count = Count::default();
    for turns in turns(recipe.len()) {
        a.execute("UPDATE seats SET buyer = NULL", [])?;
        let mut buyers = [("Ada", &a), ("Bob", &b)].map(|(name, db)| Buyer {
            name,
            db,
            recipe,
            next: 0,
            has_ticket: false,
            busy: 0,
        });
        for turn in turns {
            buyers[turn].step()?;
        }
        while buyers.iter().any(|b| !b.is_done()) {
            for buyer in &mut buyers {
                buyer.step()?; // who had to wait goes on
            }
        }
        count.orders += 1;
        match buyers.iter().filter(|b| b.has_ticket).count() {
            1 => count.once += 1,
            2 => count.twice += 1,
            _ => {}
        }
        count.busy += buyers.iter().map(|b| b.busy).sum::<u32>();
    }
    Ok(count)
}

fn main() -> Result<()> {
    println!("recipe           interleavings  sold twice  sold once  busy");
    for (i, (name, recipe)) in RECIPES.iter().enumerate() {
        let count = try_all(&format!("file:/seats{i}?vfs=memdb"), recipe)?;
        let Count { twice, once, .. } = count;
        let (orders, busy) = (count.orders, count.busy);
        println!("{name:<15} {orders:>14} {twice:>11} {once:>10} {busy:>5}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, recipe: &[Statement]) -> Count {
        try_all(path, recipe).expect("SQLite runs")
    }

    #[test]
    fn looking_before_taking_sells_the_seat_twice_in_four_of_six_interleavings() {
        let found = count("file:/naive?vfs=memdb", &[Look, Take]);
        assert_eq!((found.orders, found.twice), (6, 4));
    }

    #[test]
    fn transactions_and_the_conditional_update_sell_it_once_in_all() {
        for (i, (name, recipe)) in RECIPES.iter().enumerate().skip(1) {
            let found = count(&format!("file:/once{i}?vfs=memdb"), recipe);
            assert_eq!(found.once, found.orders, "{name}");
            assert_eq!(found.busy == 0, *name == "take if free");
        }
    }

    /// The same recipes on a file; says which errors a plain BEGIN meets.
    fn on_a_file(journal: &str) -> ([Count; 4], i32) {
        let name = format!("acid-seat-{}-{journal}.db", std::process::id());
        let path = std::env::temp_dir().join(name);
        let path_str = path.to_str().expect("a path in Unicode");
        let switch = format!("PRAGMA journal_mode = {journal}");
        let set =
            |db: &Connection| db.execute_batch(&switch).expect("the mode is set");
        set(&connect(path_str).expect("a file"));
        let counts = RECIPES.map(|(_, recipe)| {
            let found = count(path_str, recipe);
            let db = connect(path_str).expect("a file");
            db.execute_batch("DROP TABLE seats").expect("a table");
            found
        });
        let [a, b] = [(); 2].map(|()| connect(path_str).expect("a file"));
        let all = "CREATE TABLE t(x); BEGIN; SELECT count(*) FROM t";
        a.execute_batch(all).expect("a reads");
        let stale = match b.execute_batch("INSERT INTO t VALUES (1)") {
            Ok(()) => a.execute_batch("INSERT INTO t VALUES (2)"),
            Err(busy) => Err(busy),
        };
        let error = stale.expect_err("one is refused");
        let code = error.sqlite_error().map_or(0, |e| e.extended_code);
        drop((a, b));
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(format!("{path_str}{end}"));
        }
        (counts, code)
    }

    #[test]
    fn files_sell_what_memdb_sells_and_wal_refuses_a_stale_snapshot() {
        let sold = |c: &Count| (c.orders, c.twice, c.once);
        let memory = |(i, (_, recipe)): (usize, &(_, &[Statement]))| {
            sold(&count(&format!("file:/memory{i}?vfs=memdb"), recipe))
        };
        let memory: Vec<_> = RECIPES.iter().enumerate().map(memory).collect();
        let (delete, code) = on_a_file("DELETE");
        assert_eq!(delete.each_ref().map(sold).as_slice(), memory);
        assert_eq!(code, rusqlite::ffi::SQLITE_BUSY);
        let (wal, code) = on_a_file("WAL");
        assert_eq!(wal.each_ref().map(sold).as_slice(), memory);
        assert_eq!(code, rusqlite::ffi::SQLITE_BUSY_SNAPSHOT);
    }
}
