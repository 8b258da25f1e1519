//! Backup, destroy, restore, verify: six backup jobs, all of which report success.
//!
//! A shop's database (SQLite, with a write-ahead log) is backed up by each job while
//! the shop is open. Then its folder is deleted and the backup is restored. Look at
//! what "it opens" and SQLite's own integrity check say of the backups that are
//! incomplete: only the counts and checksums noted at the time of the backup tell.
//!
//! Simplified: the encryption is a toy (a key stream of SHA-256), and the off-site
//! place is a second folder.

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ORDERS: i64 = 2_000;
const TABLES: [&str; 3] = ["orders", "customers", "refunds"];
/// The job that lists its tables was written before there were refunds.
const TABLES_THEN: [&str; 2] = ["orders", "customers"];

/// A folder of this program's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Folder> {
        let unique = format!("reliability-{}-{name}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(unique));
        fs::create_dir_all(&folder.0)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // it may be gone already
    }
}

/// Opens the shop. The connection stays open: the shop sells on during the backup.
fn shop(folder: &Path) -> Result<Connection> {
    let db = Connection::open(folder.join("shop.db"))?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
         PRAGMA wal_autocheckpoint = 0;
         CREATE TABLE orders(id INTEGER PRIMARY KEY, cents INT) STRICT;
         CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT) STRICT;
         CREATE TABLE refunds(id INTEGER PRIMARY KEY, cents INT) STRICT;",
    )?;
    let sell = |from: i64, to: i64| -> Result<()> {
        let mut order =
            db.prepare("INSERT INTO orders VALUES (?1, ?1 * 7 % 1000)")?;
        let mut customer =
            db.prepare("INSERT INTO customers VALUES (?1, 'c' || ?1)")?;
        let mut refund =
            db.prepare("INSERT INTO refunds VALUES (?1, ?1 * 7 % 1000)")?;
        for id in from..to {
            order.execute([id])?;
            if id % 4 == 0 {
                customer.execute([id])?;
            }
            if id % 20 == 0 {
                refund.execute([id])?;
            }
        }
        Ok(())
    };
    db.execute_batch("BEGIN")?;
    sell(0, ORDERS * 3 / 4)?;
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE); BEGIN")?;
    sell(ORDERS * 3 / 4, ORDERS)?; // the last quarter is only in the log so far
    db.execute_batch("COMMIT")?;
    Ok(db)
}

// ANCHOR: manifest
/// What must be there after a restore: rows and a checksum for each table.
type Manifest = Vec<(String, i64, String)>;

fn manifest(db: &Connection) -> Result<Manifest> {
    let mut all = Manifest::new();
    for table in TABLES {
        let mut hash = Sha256::new();
        let mut count = 0;
        let sql = format!("SELECT * FROM {table} ORDER BY id");
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            hash.update(format!("{:?}|{:?};", row.get_ref(0)?, row.get_ref(1)?));
            count += 1;
        }
        let hash = hash.finalize();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        all.push((table.to_owned(), count, hex));
    }
    Ok(all)
}
// ANCHOR_END: manifest

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    CopyFile,
    WrongPath,
    DiskFull,
    TablesByName,
    Encrypted,
    VacuumInto,
}

const JOBS: [(&str, Job); 6] = [
    ("copy the file", Job::CopyFile),
    ("job with an old path", Job::WrongPath),
    ("disk full, exit 0", Job::DiskFull),
    ("tables by name", Job::TablesByName),
    ("encrypted", Job::Encrypted),
    ("VACUUM INTO", Job::VacuumInto),
];

// ANCHOR: jobs
fn back_up(job: Job, db: &Connection, site: &Path, backup: &Path) -> Result<()> {
    let vacuum = |db: &Connection, to: &Path| {
        db.execute("VACUUM INTO ?1", [to.display().to_string()])
    };
    match job {
        Job::CopyFile => {
            fs::copy(site.join("shop.db"), backup)?; // and not shop.db-wal
        }
        Job::WrongPath => {
            let empty = Connection::open(site.join("shop_v1.db"))?; // makes it
            vacuum(&empty, backup)?;
        }
        Job::DiskFull => {
            vacuum(db, backup)?;
            let bytes = fs::read(backup)?;
            fs::write(backup, &bytes[..bytes.len() / 2])?;
        }
        Job::TablesByName => {
            let to = backup.display().to_string();
            db.execute("ATTACH ?1 AS copy", [to])?;
            for table in TABLES_THEN {
                db.execute_batch(&format!(
                    "CREATE TABLE copy.{table} AS SELECT * FROM main.{table}"
                ))?;
            }
            db.execute_batch("DETACH copy")?;
        }
        Job::Encrypted => {
            fs::write(site.join("backup.key"), "correct horse")?; // on the site
            vacuum(db, backup)?;
            fs::write(backup, encrypt(&fs::read(backup)?, b"correct horse"))?;
        }
        Job::VacuumInto => {
            vacuum(db, backup)?;
        }
    }
    Ok(())
}
// ANCHOR_END: jobs

/// Its own inverse. A toy: do not use it.
fn encrypt(bytes: &[u8], key: &[u8]) -> Vec<u8> {
    let block = |i: usize| {
        Sha256::new()
            .chain_update(key)
            .chain_update(i.to_le_bytes())
    };
    let chunks = bytes.chunks(32).enumerate();
    let mut out = Vec::with_capacity(bytes.len());
    for (i, chunk) in chunks {
        out.extend(chunk.iter().zip(block(i).finalize()).map(|(a, b)| a ^ b));
    }
    out
}

#[derive(Debug, PartialEq, Eq)]
struct Drill {
    opens: bool,
    integrity: bool,
    rows: Option<i64>, // of all tables, where they can be read
    passed: bool,
}

// ANCHOR: drill
/// Restores into an empty folder and compares with what was noted.
fn drill(job: Job, backup: &Path, site: &Path, noted: &Manifest) -> Result<Drill> {
    fs::create_dir_all(site)?;
    let restored = site.join("shop.db");
    let mut bytes = fs::read(backup)?;
    if job == Job::Encrypted {
        // The key lay beside what it was for.
        let key = fs::read(site.join("backup.key")).unwrap_or_default();
        bytes = encrypt(&bytes, &key);
    }
    fs::write(&restored, bytes)?;
    let db =
        Connection::open_with_flags(&restored, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0));
    let found = TABLES.iter().filter_map(|table| {
        let sql = format!("SELECT count(*) FROM {table}");
        db.query_row(&sql, [], |row| row.get::<_, i64>(0)).ok()
    });
    let opens = one("SELECT sqlite_version() FROM pragma_schema_version").is_ok();
    Ok(Drill {
        opens,
        integrity: one("PRAGMA integrity_check").is_ok_and(|said| said == "ok"),
        rows: opens.then(|| found.sum()),
        passed: manifest(&db).is_ok_and(|now| now == *noted),
    })
}
// ANCHOR_END: drill

/// One job from backup to verdict; also the rows that should be there.
fn run(name: &str, job: Job) -> Result<(i64, Drill)> {
    let off_site = Folder::new(&format!("off-{name}").replace(' ', "-"))?;
    let site = Folder::new(&format!("site-{name}").replace(' ', "-"))?;
    let backup = off_site.0.join("shop.backup");
    let db = shop(&site.0)?;
    let noted = manifest(&db)?;
    back_up(job, &db, &site.0, &backup)?;
    drop(db);
    fs::remove_dir_all(&site.0)?; // destroy
    let rows = noted.iter().map(|(_, rows, _)| rows).sum();
    Ok((rows, drill(job, &backup, &site.0, &noted)?))
}

fn main() -> Result<()> {
    println!("backup job            job says  opens  integrity   rows  drill");
    let word = |ok: bool| ["no", "ok"][usize::from(ok)];
    let mut expected = 0;
    for (name, job) in JOBS {
        let (rows, drill) = run(name, job)?;
        expected = rows;
        print!("{name:<22}ok      {:>7}", word(drill.opens));
        let found = drill.rows.map_or("-".to_owned(), |rows| rows.to_string());
        print!(" {:>10} {found:>6}", word(drill.integrity));
        println!("  {}", ["FAILED", "passed"][usize::from(drill.passed)]);
    }
    println!("\n{expected} rows were in the shop");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill_of(job: Job, test: &str) -> (i64, Drill) {
        run(&format!("{test}-{job:?}"), job).expect("the job reports success")
    }

    #[test]
    fn every_job_reports_success_and_one_drill_passes() {
        for (_, job) in JOBS {
            let (_, drill) = drill_of(job, "all");
            assert_eq!(drill.passed, job == Job::VacuumInto, "{job:?}");
        }
    }

    #[test]
    fn a_copied_file_without_its_log_is_sound_and_incomplete() {
        let (rows, drill) = drill_of(Job::CopyFile, "copy");
        assert!(drill.opens && drill.integrity);
        assert!(drill.rows.is_some_and(|found| found < rows && found > 0));
    }

    #[test]
    fn an_empty_backup_passes_the_integrity_check() {
        let (_, drill) = drill_of(Job::WrongPath, "empty");
        assert!(drill.integrity);
        assert_eq!(drill.rows, Some(0));
    }

    #[test]
    fn a_table_that_is_newer_than_the_job_is_missing() {
        let (_, drill) = drill_of(Job::TablesByName, "names");
        assert!(drill.integrity);
        assert_eq!(drill.rows, Some(ORDERS + ORDERS / 4));
    }

    #[test]
    fn one_changed_cent_fails_the_drill_though_all_counts_agree() -> Result<()> {
        let site = Folder::new("cent")?;
        let db = shop(&site.0)?;
        let noted = manifest(&db)?;
        db.execute("UPDATE orders SET cents = cents + 1 WHERE id = 7", [])?;
        let now = manifest(&db)?;
        let counts = |m: &Manifest| m.iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(counts(&now), counts(&noted));
        assert_ne!(now, noted);
        Ok(())
    }

    #[test]
    fn the_key_decrypts_what_it_encrypted_and_another_does_not() {
        let bytes: Vec<u8> = (0..100).collect();
        assert_eq!(encrypt(&encrypt(&bytes, b"k"), b"k"), bytes);
        assert_ne!(encrypt(&encrypt(&bytes, b"k"), b""), bytes);
    }
}
