//! The power goes while real SQLite takes orders: what is left afterwards?
//!
//! SQLite runs once per setting on a simulated disk, which logs every write and
//! every sync. Then the power is cut after each entry of that log, several times
//! with other luck; SQLite opens what is left, repairs it, and we count. Look at
//! "lost": orders that were acknowledged and are gone. Look at "damaged": SQLite
//! finds its own file broken, or an order is half there. The last line is a disk
//! that says "synced" and has not done it.
//!
//! Simplified: pages of 1,024 bytes and a checkpoint every 20 of them, so that six
//! orders are enough to see one; see `disk.rs` for the disk. `vfs.rs` is how SQLite
//! gets at it. SQLite 3.46, 3.50 and 3.53 print the same; a version that writes in
//! another order may print other percentages.

mod disk;
mod vfs;

use disk::{Disk, Event};
use rusqlite::{Connection, OpenFlags};
use vfs::Machine;

const ORDERS: i64 = 6;
const LINES_PER_ORDER: i64 = 3;
/// What part of the unsynced sectors reaches the disk: a cut for each of these.
const LUCK: [f64; 4] = [0.0, 0.5, 0.9, 0.9];

#[derive(Clone, Copy)]
struct Setting {
    journal: &'static str,
    synchronous: &'static str,
    checkpoint_pages: u32,
    disk_lies: bool,
}

const fn setting(journal: &'static str, synchronous: &'static str) -> Setting {
    Setting {
        journal,
        synchronous,
        checkpoint_pages: 20,
        disk_lies: false,
    }
}

const SETTINGS: [Setting; 8] = [
    setting("DELETE", "OFF"),
    setting("DELETE", "NORMAL"),
    setting("DELETE", "FULL"),
    setting("DELETE", "EXTRA"),
    setting("WAL", "OFF"),
    setting("WAL", "NORMAL"),
    setting("WAL", "FULL"),
    Setting {
        disk_lies: true,
        ..setting("WAL", "FULL")
    },
];

fn open(vfs: &str, setting: Setting) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let db = Connection::open_with_flags_and_vfs("shop.db", flags, vfs)?;
    if setting.journal == "WAL" {
        db.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    }
    db.execute_batch(&format!(
        "PRAGMA page_size = 1024;
         PRAGMA journal_mode = {};
         PRAGMA synchronous = {};
         PRAGMA wal_autocheckpoint = {};",
        setting.journal, setting.synchronous, setting.checkpoint_pages
    ))?;
    Ok(db)
}

fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE orders(id INTEGER PRIMARY KEY);
         CREATE TABLE lines(order_id INT, item TEXT);
         CREATE INDEX lines_by_item ON lines(item);",
    )
}

// ANCHOR: order
fn place_order(db: &mut Connection, id: i64) -> rusqlite::Result<()> {
    let order = db.transaction()?;
    order.execute("INSERT INTO orders VALUES (?1)", [id])?;
    for line in 0..LINES_PER_ORDER {
        let item = format!("{line}-{id}-{}", "x".repeat(200));
        order.execute("INSERT INTO lines VALUES (?1, ?2)", (id, item))?;
    }
    order.commit()
}
// ANCHOR_END: order

/// The disk before the first order, and all that happens to it then.
fn record(
    vfs: &str,
    machine: &Machine,
    setting: Setting,
) -> rusqlite::Result<(Disk, Vec<Event>)> {
    machine.start(std::iter::empty());
    let mut db = open(vfs, setting)?;
    create(&db)?;
    let mut before = Disk::default();
    for event in machine.files().log.drain(..) {
        before.take(&event);
    }
    for id in 1..=ORDERS {
        place_order(&mut db, id)?;
        machine.files().log.push(Event::Acknowledged);
    }
    let log = std::mem::take(&mut machine.files().log);
    Ok((before.settled(), log))
}

/// Starts SQLite on what the power cut left: how many of the acknowledged orders
/// are there? None if SQLite finds its file broken or an order is half there.
fn inspect(vfs: &str, setting: Setting, acknowledged: i64) -> Option<i64> {
    let found = || -> rusqlite::Result<Option<i64>> {
        let db = open(vfs, setting)?;
        let check: String =
            db.query_row("PRAGMA integrity_check", [], |r| r.get(0))?;
        let number = |sql: &str| db.query_row(sql, [], |r| r.get::<_, i64>(0));
        let there = number(&format!(
            "SELECT count(*) FROM orders WHERE id <= {acknowledged}"
        ))?;
        let half = number(&format!(
            "SELECT count(*) FROM (
                 SELECT id FROM orders UNION SELECT order_id FROM lines) AS o
             WHERE (SELECT count(*) FROM orders WHERE id = o.id) != 1
                OR (SELECT count(*) FROM lines WHERE order_id = o.id)
                   != {LINES_PER_ORDER}"
        ))?;
        Ok((check == "ok" && half == 0).then_some(there))
    };
    found().unwrap_or(None) // an error here: SQLite cannot read its file
}

#[derive(Debug, Default)]
struct Report {
    syncs: usize,
    cuts: usize,
    lost_most: i64,
    /// The log's entry before each cut that left a broken file.
    damaged: Vec<Event>,
}

// ANCHOR: cuts
/// Cuts the power after every entry of the log, with less and with more luck.
fn report(
    (name, machine): (&str, &Machine),
    setting: Setting,
    luck: &[f64],
) -> rusqlite::Result<Report> {
    let (mut disk, log) = record(name, machine, setting)?;
    let mut report = Report::default();
    let (mut acknowledged, mut rng) = (0, fastrand::Rng::with_seed(8));
    for event in &log {
        let is_sync = matches!(event, Event::Sync(_) | Event::SyncDirectory);
        report.syncs += usize::from(is_sync);
        acknowledged += i64::from(matches!(event, Event::Acknowledged));
        if !(is_sync && setting.disk_lies) {
            disk.take(event);
        }
        for kept in luck {
            let left = disk.clone().after_power_cut(*kept, &mut rng);
            machine.start(left.files());
            report.cuts += 1;
            match inspect(name, setting, acknowledged) {
                Some(there) => {
                    report.lost_most = report.lost_most.max(acknowledged - there);
                }
                None => report.damaged.push(event.clone()),
            }
        }
    }
    Ok(report)
}
// ANCHOR_END: cuts

fn main() -> rusqlite::Result<()> {
    let name = "simulated";
    let machine = Machine::register(c"simulated");
    println!("{ORDERS} orders, the power cut at every moment\n");
    println!("journal  synchronous      syncs  lost at most  damaged");
    for setting in SETTINGS {
        let found = report((name, machine), setting, &LUCK)?;
        let damaged = match found.damaged.len() * 100 / found.cuts {
            _ if found.damaged.is_empty() => "never".to_owned(),
            0 => "under 1 %".to_owned(),
            percent => format!("{percent} %"),
        };
        let lies = if setting.disk_lies { ", disk lies" } else { "" };
        let Setting { journal, .. } = setting;
        let synchronous = format!("{}{lies}", setting.synchronous);
        let (syncs, lost) = (found.syncs, found.lost_most);
        println!(
            "{journal:<8} {synchronous:<16} {syncs:>5} {lost:>13}  {damaged:>9}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(vfs: &'static std::ffi::CStr, setting: Setting, luck: &[f64]) -> Report {
        let name = vfs.to_str().expect("a name in ASCII");
        report((name, Machine::register(vfs)), setting, luck).expect("SQLite runs")
    }

    #[test]
    fn wal_with_full_loses_nothing_and_needs_one_sync_an_order() {
        let found = run(c"wal-full", setting("WAL", "FULL"), &LUCK);
        assert_eq!((found.lost_most, found.damaged.len()), (0, 0));
        let without = run(c"wal-normal", setting("WAL", "NORMAL"), &LUCK);
        assert_eq!((found.syncs - without.syncs) as i64, ORDERS);
    }

    #[test]
    fn wal_with_normal_loses_orders_and_damages_nothing() {
        let found = run(c"wal-normal-2", setting("WAL", "NORMAL"), &LUCK);
        assert!(found.lost_most > 1 && found.damaged.is_empty(), "{found:?}");
        let default = Setting {
            checkpoint_pages: 1_000,
            ..setting("WAL", "NORMAL")
        };
        let found = run(c"wal-normal-3", default, &[0.0]);
        assert_eq!((found.syncs, found.lost_most), (0, ORDERS));
    }

    #[test]
    fn delete_with_full_can_lose_the_last_order_and_extra_cannot() {
        let full = run(c"delete-full", setting("DELETE", "FULL"), &LUCK);
        assert_eq!((full.lost_most, full.damaged.len()), (1, 0));
        let extra = run(c"delete-extra", setting("DELETE", "EXTRA"), &LUCK);
        assert_eq!((extra.lost_most, extra.damaged.len()), (0, 0));
    }

    #[test]
    fn delete_with_normal_is_damaged_in_under_one_percent_of_cuts() {
        let found = run(c"delete-normal", setting("DELETE", "NORMAL"), &[0.9; 8]);
        let share = found.damaged.len() as f64 / found.cuts as f64;
        assert!(share > 0.0 && share < 0.01, "{found:?}");
        // And all of them when the journal's header waits for the sync: the mark
        // of a journal, 8 bytes, and how many old pages it holds, 4.
        let header = |e: &Event| matches!(e, Event::Write(_, 0, b) if b.len() == 12);
        assert!(found.damaged.iter().all(header), "{found:?}");
    }

    #[test]
    fn without_syncs_or_with_a_lying_disk_orders_are_lost_and_files_damaged() {
        let lies = SETTINGS.into_iter().find(|s| s.disk_lies);
        let settings = [
            (c"off", setting("WAL", "OFF")),
            (c"delete-off", setting("DELETE", "OFF")),
            (c"lies", lies.expect("a disk that lies")),
        ];
        for (vfs, setting) in settings {
            let found = run(vfs, setting, &LUCK);
            assert_eq!(found.lost_most, ORDERS);
            assert!(found.damaged.len() > found.cuts / 5, "{found:?}");
        }
    }

    #[test]
    fn power_that_goes_with_everything_written_out_loses_nothing() {
        for (vfs, mode) in [(c"calm", "WAL"), (c"calm-delete", "DELETE")] {
            let found = run(vfs, setting(mode, "OFF"), &[1.0]);
            assert_eq!((found.lost_most, found.damaged.len()), (0, 0), "{mode}");
        }
    }

    #[test]
    fn a_sync_saves_its_own_file_and_no_other() {
        let (mut disk, mut rng) = (Disk::default(), fastrand::Rng::with_seed(1));
        for (name, id) in [("a", disk::FileId(0)), ("b", disk::FileId(1))] {
            disk.take(&Event::Create(name.to_owned(), id));
            disk.take(&Event::Write(id, 0, b"new".to_vec()));
        }
        disk.take(&Event::SyncDirectory);
        disk.take(&Event::Sync(disk::FileId(0)));
        let left = disk.after_power_cut(0.0, &mut rng);
        let found: Vec<&[u8]> = left.files().map(|(_, bytes)| bytes).collect();
        assert_eq!(found, [&b"new"[..], b""]);
    }
}
