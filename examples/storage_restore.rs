//! Back to a minute before the mistake: a base backup and an archive of the log.
//!
//! A SQLite shop in WAL mode takes an order a minute. A base backup is copied
//! while it does, and whatever each commit appends to the log goes to an archive.
//! At minute 8 somebody forgets the WHERE. Look at the restored shops: each
//! is compared, row by row, with what the shop held at that minute. Then look
//! at what is gone when the archive is sent away less often.
//!
//! Simplified: one thread, time is a number of minutes. There is no checkpoint
//! after the base: that would begin the log anew, and the archive with it. Who
//! archives would be a process of its own: to close a file takes the locks away
//! that SQLite holds on it in the same process.

use rusqlite::{Connection, Result as Sql};
use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const FOLDERS_MAX: u32 = 100;
const PAGE_BYTES: usize = 4096;
const MISTAKE_MIN: u64 = 8;
const LAST_MIN: u64 = 10;

/// A folder that is gone when the program is done with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let name = format!("storage-restore-{}", std::process::id());
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

type Rows = Vec<(i64, String, i64)>; // order, product, cents

fn rows(db: &Connection) -> Sql<Rows> {
    let mut orders =
        db.prepare("SELECT id, product, cents FROM orders ORDER BY id")?;
    let orders = orders.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    orders.collect()
}

struct Shop {
    db: Connection,
    file: PathBuf,
}

impl Shop {
    fn open(folder: &Path) -> Sql<Self> {
        let file = folder.join("shop.db");
        let db = Connection::open(&file)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0")?;
        Ok(Self { db, file })
    }

    fn log(&self) -> PathBuf {
        self.file.with_extension("db-wal")
    }

    fn happens(&self, minute: u64) -> Sql<()> {
        if minute == MISTAKE_MIN {
            return self.db.execute_batch("UPDATE orders SET cents = 0"); // no WHERE
        }
        let cents = 100 * (minute as i64 + 1);
        let order = "INSERT INTO orders(product, cents) VALUES (?1, ?2)";
        self.db.execute(order, (format!("lamp {minute}"), cents))?;
        Ok(())
    }
}

// ANCHOR: archive
/// What lies elsewhere: a copy of the file, and of the log since then.
struct Archive {
    base: Vec<u8>,
    log: Vec<u8>,
    commits: Vec<(u64, usize)>, // minute, length of the log behind its commit
}

impl Archive {
    /// From here on the file itself must not change, only its log may. So
    /// whatever is sold `meanwhile`, the pages still to be read are the old ones.
    fn begin(shop: &Shop, meanwhile: impl FnOnce() -> Sql<()>) -> Result<Self> {
        shop.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let (mut file, mut base) = (File::open(&shop.file)?, vec![0; PAGE_BYTES]);
        file.read_exact(&mut base)?;
        meanwhile()?;
        file.read_to_end(&mut base)?;
        Ok(Self {
            base,
            log: vec![],
            commits: vec![],
        })
    }

    /// Fetches what has been appended to the log since the last time.
    fn follow(&mut self, shop: &Shop, minute: u64) -> Result<()> {
        let log = fs::read(shop.log())?;
        if !log.starts_with(&self.log) {
            return Err("the log was begun anew: take a new base backup".into());
        }
        self.log = log;
        self.commits.push((minute, self.log.len()));
        Ok(())
    }
}
// ANCHOR_END: archive

// ANCHOR: restore
/// Puts back the base and so much of the log; SQLite does the rest.
fn restore(base: &[u8], log: &[u8]) -> Result<Rows> {
    let folder = Folder::new()?;
    let file = folder.0.join("restored.db");
    fs::write(&file, base)?;
    fs::write(file.with_extension("db-wal"), log)?;
    let db = Connection::open(&file)?;
    let check: String =
        db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(check.into());
    }
    Ok(rows(&db)?)
}

impl Archive {
    /// The shop as it was at the end of this minute.
    fn restore_to(&self, minute: u64) -> Result<Rows> {
        let before = |commit: &&(u64, usize)| commit.0 <= minute;
        let last = self.commits.iter().rfind(before);
        restore(&self.base, &self.log[..last.map_or(0, |commit| commit.1)])
    }
}
// ANCHOR_END: restore

/// The archive, and what the shop held at the end of each minute.
fn a_day() -> Result<(Archive, Vec<Rows>)> {
    let folder = Folder::new()?;
    let shop = Shop::open(&folder.0)?;
    shop.db.execute_batch(
        "CREATE TABLE orders(
             id INTEGER PRIMARY KEY, product TEXT, cents INT) STRICT",
    )?;
    shop.happens(0)?;
    let mut history = vec![rows(&shop.db)?];
    let mut archive = Archive::begin(&shop, || shop.happens(1))?;
    for minute in 1..=LAST_MIN {
        if minute > 1 {
            shop.happens(minute)?;
        }
        archive.follow(&shop, minute)?;
        history.push(rows(&shop.db)?);
    }
    if fs::read(&shop.file)? != archive.base {
        return Err("the file has changed since the base backup".into());
    }
    Ok((archive, history))
}

fn cents(rows: &Rows) -> i64 {
    rows.iter().map(|row| row.2).sum()
}

fn main() -> Result<()> {
    let (archive, history) = a_day()?;
    println!(
        "the shop at minute {LAST_MIN}: {} cents",
        cents(&history[10])
    );
    println!("\nrestored to  orders  cents  the same rows as then");
    for minute in [0, 3, MISTAKE_MIN - 1, MISTAKE_MIN, LAST_MIN] {
        let found = archive.restore_to(minute)?;
        let same = if found == history[minute as usize] {
            "yes"
        } else {
            "NO"
        };
        let (orders, cents) = (found.len(), cents(&found));
        println!("minute {minute:<4}{orders:>8}{cents:>7}  {same}");
    }
    let cuts = (0..=archive.log.len()).step_by(CUT_BYTES);
    let cuts = cuts.map(|cut| restored_state(&archive, &history, cut));
    let cuts = cuts.collect::<Result<Vec<Option<usize>>>>()?;
    let whole = cuts.iter().filter(|state| state.is_some()).count();
    println!(
        "\nthe log cut at {} places: {whole} times the end of a minute",
        cuts.len()
    );
    println!("\nthe machine burns in minute 7; the log was sent away");
    for every in [1, 3, 5] {
        let sent = 7 / every * every;
        let found = archive.restore_to(sent)?;
        let lost = history[7].len() - found.len();
        println!("every {every} min: orders lost {lost}");
    }
    Ok(())
}

const CUT_BYTES: usize = 1_000;

/// Which minute the shop is in after only `cut` bytes of the log have arrived.
fn restored_state(
    archive: &Archive,
    history: &[Rows],
    cut: usize,
) -> Result<Option<usize>> {
    let found = restore(&archive.base, &archive.log[..cut])?;
    Ok(history.iter().position(|rows| *rows == found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_is_restored_row_by_row() {
        let (archive, history) = a_day().unwrap();
        for minute in 0..=LAST_MIN {
            let found = archive.restore_to(minute).unwrap();
            assert_eq!(found, history[minute as usize], "minute {minute}");
        }
    }

    #[test]
    fn the_base_has_none_of_what_was_sold_while_it_was_copied() {
        let (archive, history) = a_day().unwrap();
        assert!(
            archive.base.len() > PAGE_BYTES,
            "there is a page after the sale"
        );
        assert_eq!(restore(&archive.base, &[]).unwrap(), history[0]);
    }

    #[test]
    fn the_minute_before_the_mistake_has_what_the_mistake_destroyed() {
        let (archive, history) = a_day().unwrap();
        assert_eq!(cents(&history[MISTAKE_MIN as usize]), 0);
        let found = archive.restore_to(MISTAKE_MIN - 1).unwrap();
        assert_eq!(cents(&found), (1..=8).map(|n| n * 100).sum());
    }

    #[test]
    fn a_log_that_is_cut_anywhere_gives_the_last_whole_transaction() {
        let (archive, history) = a_day().unwrap();
        for cut in (0..=archive.log.len()).step_by(517) {
            let whole = archive.commits.iter().rfind(|commit| commit.1 <= cut);
            let minute = whole.map_or(0, |commit| commit.0 as usize);
            let found = restore(&archive.base, &archive.log[..cut]).unwrap();
            assert_eq!(found, history[minute], "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_in_the_log_ends_the_restore_before_it() {
        let (archive, history) = a_day().unwrap();
        let mut log = archive.log.clone();
        let (_, third) = archive.commits[2];
        log[third + 100] ^= 1;
        assert_eq!(restore(&archive.base, &log).unwrap(), history[3]);
    }

    #[test]
    fn a_log_left_beside_the_restored_file_is_replayed_into_it() {
        let (archive, history) = a_day().unwrap();
        let folder = Folder::new().unwrap();
        let shop = folder.0.join("shop.db");
        fs::write(shop.with_extension("db-wal"), &archive.log).unwrap(); // left over
        fs::write(&shop, &archive.base).unwrap(); // "restored to minute 0"
        let found = rows(&Connection::open(&shop).unwrap()).unwrap();
        assert_ne!(found, history[0]);
        assert_eq!(found, history[LAST_MIN as usize]);
    }

    #[test]
    fn after_a_checkpoint_the_archive_asks_for_a_new_base() {
        let folder = Folder::new().unwrap();
        let shop = Shop::open(&folder.0).unwrap();
        shop.db
            .execute_batch("CREATE TABLE orders(id, product, cents)")
            .unwrap();
        let mut archive = Archive::begin(&shop, || Ok(())).unwrap();
        shop.happens(1).unwrap();
        archive.follow(&shop, 1).unwrap();
        shop.db
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        shop.happens(2).unwrap();
        let refused = archive.follow(&shop, 2).unwrap_err().to_string();
        assert!(refused.contains("new base backup"), "{refused}");
    }
}
