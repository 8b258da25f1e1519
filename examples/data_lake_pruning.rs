//! One question to a lake, in four layouts, and a store that counts every
//! request and every byte it hands out.
//!
//! Look at the bytes: folders by day skip whole objects, columns skip what the
//! question does not name, and min/max skips row groups. Then look at the rows
//! that are shuffled: the same file, the same min/max, nothing skipped. In the
//! second table min/max works for the column that sorts the rows, and for no
//! other.
//!
//! Simplified: our file is shaped like a Parquet file in PLAIN encoding. It
//! leaves out compression, the other encodings, definition and repetition
//! levels (so no nulls, no nesting), pages with their index, and Bloom filters.
//! Its footer is JSON; Parquet's is Thrift. A LIST costs requests, no bytes.

use fastrand::Rng;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

const DAYS: usize = 7;
const EVENTS_PER_DAY: usize = 1_600;
const ROWS_PER_GROUP: usize = 100; // far fewer than a real file has
const KEYS_PER_LIST: usize = 1_000; // one answer holds no more, as in S3
const MAGIC: [u8; 4] = *b"LAKE"; // Parquet writes PAR1
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Firefox/143.0";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

// ANCHOR: store
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bill {
    requests: usize,
    bytes: usize,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Vec<u8>>, // a "folder" is only part of a key
    bill: Cell<Bill>,
}

impl Store {
    fn list(&self, prefix: &str) -> Vec<(&str, usize)> {
        let from = self.objects.range(prefix.to_string()..);
        let ours = from.take_while(|(key, _)| key.starts_with(prefix));
        let found: Vec<_> = ours.map(|(key, o)| (key.as_str(), o.len())).collect();
        self.charge(found.len().div_ceil(KEYS_PER_LIST).max(1), 0);
        found
    }

    fn get(&self, key: &str, range: Range<usize>) -> Result<&[u8]> {
        let object = self.objects.get(key).ok_or("no such key")?;
        let part = object.get(range).ok_or("no such range")?;
        self.charge(1, part.len());
        Ok(part)
    }

    fn charge(&self, requests: usize, bytes: usize) {
        let mut bill = self.bill.get();
        bill.requests += requests;
        bill.bytes += bytes;
        self.bill.set(bill);
    }
}
// ANCHOR_END: store

const COLUMNS: [&str; 4] = ["time_s", "user", "cents", "agent"];

struct Event {
    day: usize,
    numbers: [u32; 3], // seconds since midnight, user, cents
}

/// A day's events in order of time.
fn events(day: usize) -> Vec<Event> {
    let mut rng = Rng::with_seed(day as u64);
    let mut event = |i: usize| {
        let time_s = (i * 86_400 / EVENTS_PER_DAY) as u32;
        [time_s, rng.u32(..1_000), rng.u32(..10_000)]
    };
    let numbers = (0..EVENTS_PER_DAY).map(&mut event);
    numbers.map(|numbers| Event { day, numbers }).collect()
}

fn json_lines(rows: &[Event]) -> Vec<u8> {
    let line = |row: &Event| {
        let (day, [time_s, user, cents]) = (row.day, row.numbers);
        format!(
            "{{\"day\":{day},\"time_s\":{time_s},\"user\":{user},\
             \"cents\":{cents},\"agent\":\"{AGENT}\"}}\n"
        )
    };
    rows.iter().map(line).collect::<String>().into_bytes()
}

// ANCHOR: write
/// Offset, length, and for numbers the smallest and the largest.
type Chunk = (usize, usize, Option<(u32, u32)>);
/// Names of the columns; for each row group a chunk a column.
type Footer = (Vec<String>, Vec<Vec<Chunk>>);

/// LAKE, all chunks, the footer, its length in four bytes, LAKE.
fn column_file(rows: &[Event]) -> Result<Vec<u8>> {
    let mut file = MAGIC.to_vec();
    let mut footer: Footer = (COLUMNS.map(String::from).to_vec(), Vec::new());
    for group in rows.chunks(ROWS_PER_GROUP) {
        let mut chunks = Vec::new();
        for column in 0..COLUMNS.len() {
            let at = file.len();
            for row in group {
                match row.numbers.get(column) {
                    Some(number) => file.extend(number.to_le_bytes()),
                    None => {
                        file.extend((AGENT.len() as u32).to_le_bytes());
                        file.extend(AGENT.as_bytes());
                    }
                }
            }
            let numbers = || group.iter().filter_map(|row| row.numbers.get(column));
            let min_max = numbers().copied().min().zip(numbers().copied().max());
            chunks.push((at, file.len() - at, min_max));
        }
        footer.1.push(chunks);
    }
    let footer = serde_json::to_vec(&footer)?;
    file.extend(&footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(MAGIC);
    Ok(file)
}
// ANCHOR_END: write

/// `SELECT SUM(cents) WHERE day = 5 AND column BETWEEN … AND …`
type Question = (&'static str, RangeInclusive<u32>);
const DAY: usize = 5;
const NOON: Question = ("time_s", 43_200..=46_799);
const USER: Question = ("user", 500..=500);

// ANCHOR: json
fn ask_json(lake: &Store, prefix: &str, (column, wanted): &Question) -> Result<u64> {
    let mut sum = 0;
    for (key, size) in lake.list(prefix) {
        let body = lake.get(key, 0..size)?; // all of it, to find one number a line
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let row: serde_json::Value = serde_json::from_slice(line)?;
            let number = |name: &str| row[name].as_u64().ok_or("not a number");
            let value = number(column)? as u32;
            if number("day")? == DAY as u64 && wanted.contains(&value) {
                sum += number("cents")?;
            }
        }
    }
    Ok(sum)
}
// ANCHOR_END: json

// ANCHOR: read
fn ask_columns(lake: &Store, question: &Question, min_max: bool) -> Result<u64> {
    let ((column, wanted), mut sum) = (question, 0);
    for (key, size) in lake.list("columns/day=5/") {
        let end = size.checked_sub(8).ok_or("too short")?;
        let (length, magic) = lake.get(key, end..size)?.split_at(4);
        let length = numbers(length).next().filter(|_| magic == MAGIC);
        let start = end.checked_sub(length.ok_or("not our format")? as usize);
        let footer = lake.get(key, start.ok_or("footer too long")?..end)?;
        let (names, groups): Footer = serde_json::from_slice(footer)?;
        let place = |column: &str| names.iter().position(|name| name == column);
        let filter = place(column).ok_or("no such column")?;
        let cents = place("cents").ok_or("no such column")?;
        for chunks in groups {
            if min_max && cannot_hold(chunks[filter], wanted) {
                continue;
            }
            let chunk = |(at, length, _)| lake.get(key, at..at + length);
            let (filter, cents) = (chunk(chunks[filter])?, chunk(chunks[cents])?);
            let rows = numbers(filter).zip(numbers(cents));
            let ours = rows.filter(|(value, _)| wanted.contains(value));
            sum += ours.map(|(_, cents)| u64::from(cents)).sum::<u64>();
        }
    }
    Ok(sum)
}

/// Without a smallest and a largest the chunk may hold anything.
fn cannot_hold((_, _, min_max): Chunk, wanted: &RangeInclusive<u32>) -> bool {
    min_max.is_some_and(|(min, max)| max < *wanted.start() || *wanted.end() < min)
}
// ANCHOR_END: read

fn numbers(chunk: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let four = chunk.chunks_exact(4);
    four.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

type Sort = fn(&mut [Event]);
const BY_TIME: Sort = |rows| rows.sort_by_key(|row| row.numbers[0]);
const BY_USER: Sort = |rows| rows.sort_by_key(|row| row.numbers[1]);
const SHUFFLE: Sort = |rows| Rng::with_seed(1).shuffle(rows);

/// The pile is in order of arrival. Phones send late, so every object in it
/// has rows of every day.
fn lake(sort: Sort) -> Result<Store> {
    let (mut lake, mut pile) = (Store::default(), Vec::new());
    for day in 1..=DAYS {
        let mut rows = events(day);
        sort(&mut rows);
        let key = |layout| format!("{layout}/day={day}/part-0");
        lake.objects.insert(key("json"), json_lines(&rows));
        lake.objects.insert(key("columns"), column_file(&rows)?);
        pile.extend(rows);
    }
    SHUFFLE(&mut pile);
    for (i, rows) in pile.chunks(EVENTS_PER_DAY).enumerate() {
        let key = format!("pile/{i:06}");
        lake.objects.insert(key, json_lines(rows));
    }
    Ok(lake)
}

/// LIST and the footer are three requests; every group read adds two.
fn groups_skipped(lake: &Store, q: &Question) -> Result<usize> {
    lake.bill.take();
    ask_columns(lake, q, true)?;
    let read = (lake.bill.take().requests - 3) / 2;
    Ok(EVENTS_PER_DAY / ROWS_PER_GROUP - read)
}

fn main() -> Result<()> {
    let [time, user, shuffled] = [lake(BY_TIME)?, lake(BY_USER)?, lake(SHUFFLE)?];
    println!("cents spent on day 5 from 12:00 to 13:00, out of {DAYS} days\n");
    println!("layout                          requests       bytes    answer");
    let row = |name: &str, lake: &Store, answer: u64| {
        let Bill { requests, bytes } = lake.bill.take();
        println!("{name:<31} {requests:>8} {bytes:>11} {answer:>9}");
    };
    let sum = ask_json(&time, "pile/", &NOON)?;
    row("JSON, one pile", &time, sum);
    let sum = ask_json(&time, "json/day=5/", &NOON)?;
    row("JSON, a folder a day", &time, sum);
    let sum = ask_columns(&time, &NOON, false)?;
    row("columns, a folder a day", &time, sum);
    let sum = ask_columns(&time, &NOON, true)?;
    row("  with min/max, rows by time", &time, sum);
    let sum = ask_columns(&shuffled, &NOON, true)?;
    row("  with min/max, rows shuffled", &shuffled, sum);

    println!("\nof 16 row groups, min/max lets the reader skip\n");
    println!("rows in order of     for one hour     for one user");
    for (name, lake) in [("time", time), ("user", user), ("nothing", shuffled)] {
        let hour = groups_skipped(&lake, &NOON)?;
        let user = groups_skipped(&lake, &USER)?;
        println!("{name:<16} {hour:>16} {user:>16}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_gives_the_same_answer() -> Result<()> {
        let lake = lake(BY_USER)?;
        for q in [NOON, USER] {
            let sum = ask_json(&lake, "pile/", &q)?;
            assert!(sum > 0);
            assert_eq!(ask_json(&lake, "json/day=5/", &q)?, sum);
            assert_eq!(ask_columns(&lake, &q, false)?, sum);
            assert_eq!(ask_columns(&lake, &q, true)?, sum);
        }
        Ok(())
    }

    #[test]
    fn folders_save_7_fold_columns_13_fold_and_all_three_570_fold() -> Result<()> {
        let lake = lake(BY_TIME)?;
        ask_json(&lake, "pile/", &NOON)?;
        let pile = lake.bill.take().bytes;
        ask_json(&lake, "json/day=5/", &NOON)?;
        let folder = lake.bill.take().bytes;
        ask_columns(&lake, &NOON, false)?;
        let columns = lake.bill.take().bytes;
        ask_columns(&lake, &NOON, true)?;
        let min_max = lake.bill.take().bytes;
        let pairs = [(pile, folder), (folder, columns), (pile, min_max)];
        assert_eq!(pairs.map(|(a, b)| (a + b / 2) / b), [7, 13, 570]); // rounded
        Ok(())
    }

    #[test]
    fn a_folder_a_day_reads_that_days_object_and_nothing_else() -> Result<()> {
        let lake = lake(BY_TIME)?;
        ask_json(&lake, "json/day=5/", &NOON)?;
        let bytes = lake.objects["json/day=5/part-0"].len();
        assert_eq!(lake.bill.take(), Bill { requests: 2, bytes });
        Ok(())
    }

    #[test]
    fn projection_reads_two_columns_the_footer_and_eight_bytes() -> Result<()> {
        let lake = lake(BY_TIME)?;
        ask_columns(&lake, &NOON, false)?;
        let [.., a, b, c, d, b'L', b'A', b'K', b'E'] =
            lake.objects["columns/day=5/part-0"][..]
        else {
            return Err("no length".into());
        };
        let footer = u32::from_le_bytes([a, b, c, d]) as usize;
        assert_eq!(lake.bill.take().bytes, 2 * 4 * EVENTS_PER_DAY + footer + 8);
        Ok(())
    }

    #[test]
    fn min_max_skips_only_by_the_column_that_sorts_the_rows() -> Result<()> {
        let skipped = |sort| -> Result<_> {
            let lake = lake(sort)?;
            Ok((groups_skipped(&lake, &NOON)?, groups_skipped(&lake, &USER)?))
        };
        assert_eq!(skipped(BY_TIME)?, (15, 0));
        assert_eq!(skipped(BY_USER)?, (0, 15));
        assert_eq!(skipped(SHUFFLE)?, (0, 0));
        Ok(())
    }

    #[test]
    fn a_group_that_is_skipped_holds_nothing_that_is_wanted() -> Result<()> {
        let lake = lake(BY_TIME)?;
        for group in events(DAY).chunks(ROWS_PER_GROUP) {
            for edge in [&group[0], &group[ROWS_PER_GROUP - 1]] {
                let q = ("time_s", edge.numbers[0]..=edge.numbers[0]);
                assert_eq!(
                    ask_columns(&lake, &q, true)?,
                    u64::from(edge.numbers[2])
                );
            }
        }
        Ok(())
    }

    #[test]
    fn a_file_without_our_magic_bytes_is_refused() -> Result<()> {
        let (mut lake, mut file) = (Store::default(), column_file(&events(DAY))?);
        file.splice(file.len() - 4.., *b"PAR1");
        lake.objects.insert("columns/day=5/part-0".into(), file);
        assert!(ask_columns(&lake, &NOON, true).is_err());
        Ok(())
    }
}
