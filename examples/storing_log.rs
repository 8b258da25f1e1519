//! A key-value store that is one append-only log, and its last write cut everywhere.
//!
//! Look for the column `neither`: how often the store comes back with something
//! that was never its state. Then see what compaction saves, and that a power cut
//! at any byte of it changes nothing.
//!
//! Simplified: one writer, one log, all keys in memory, checksums looked at only
//! after a restart, and a disk that keeps whatever was appended before the cut. A
//! real one needs `fsync`: of the file before a write is acknowledged, and of the
//! directory after a rename. And a torn value that contains a whole record looks
//! like damage: the store then refuses to open, which is the safe side.

use std::collections::BTreeMap;

const HEADER_BYTES: usize = 10; // checksum 4, length of key 2, length of value 4
const KEY_BYTES_MAX: usize = 255;
const VALUE_BYTES_MAX: usize = 1 << 20;
const TOMBSTONE: u32 = u32::MAX; // stands for the value's length: deleted

#[derive(Debug, PartialEq)]
enum Error {
    PowerCut,
    TooLong,
    Damaged { at: usize }, // a bad record, and good ones behind it
}

#[derive(Clone, Copy, PartialEq)]
enum Check {
    LengthOnly, // what a first version does
    Crc,
}

type Place = std::ops::Range<usize>;

// ANCHOR: disk
/// A directory of files. Power can fail after any byte; a rename is all or nothing.
struct Disk {
    files: BTreeMap<&'static str, Vec<u8>>,
    power: usize, // how many more bytes can be written
}

impl Disk {
    fn append(&mut self, file: &'static str, bytes: &[u8]) -> Result<(), Error> {
        let written = self.power.min(bytes.len());
        self.power -= written;
        let content = self.files.entry(file).or_default();
        content.extend(&bytes[..written]);
        if written < bytes.len() {
            return Err(Error::PowerCut);
        }
        Ok(())
    }

    fn rename(&mut self, from: &'static str, to: &'static str) -> Result<(), Error> {
        self.power = self.power.checked_sub(1).ok_or(Error::PowerCut)?;
        let content = self.files.remove(from).unwrap_or_default();
        self.files.insert(to, content);
        Ok(())
    }
}
// ANCHOR_END: disk

// ANCHOR: crc
/// CRC-32 as in Ethernet, zip and PNG, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _bit in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (carry * 0xEDB8_8320);
        }
    }
    !crc
}
// ANCHOR_END: crc

// ANCHOR: record
/// checksum of the rest | length of key | length of value | key | value
fn encode(key: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let text = value.unwrap_or_default();
    if key.len() > KEY_BYTES_MAX || text.len() > VALUE_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let value_len = value.map_or(TOMBSTONE, |value| value.len() as u32);
    let mut rest = (key.len() as u16).to_le_bytes().to_vec();
    rest.extend(value_len.to_le_bytes());
    rest.extend([key, text].concat());
    Ok([&crc32(&rest).to_le_bytes()[..], &rest].concat())
}

struct Record {
    key: Vec<u8>,
    value: Option<Place>, // None: the key is deleted
    end: usize,
}

/// The record that begins at `at`, if it is whole and passes the check.
fn decode(log: &[u8], at: usize, check: Check) -> Option<Record> {
    let header = log.get(at..at + HEADER_BYTES)?;
    let crc = u32::from_le_bytes(header[..4].try_into().ok()?);
    let key_len = u16::from_le_bytes(header[4..6].try_into().ok()?);
    let value_len = u32::from_le_bytes(header[6..].try_into().ok()?);
    let deleted = value_len == TOMBSTONE;
    let value_at = at + HEADER_BYTES + usize::from(key_len);
    let end = value_at.checked_add(if deleted { 0 } else { value_len as usize })?;
    let rest = log.get(at + 4..end)?;
    if check == Check::Crc && crc32(rest) != crc {
        return None;
    }
    let key = log[at + HEADER_BYTES..value_at].to_vec();
    let value = (!deleted).then_some(value_at..end);
    Some(Record { key, value, end })
}
// ANCHOR_END: record

// ANCHOR: open
/// Every key in memory, each with the place of its newest value in the log.
struct Store {
    disk: Disk,
    index: BTreeMap<Vec<u8>, Place>,
}

impl Store {
    /// Rebuilds the index from the log, and cuts off a torn last record.
    fn open(mut disk: Disk, check: Check) -> Result<Store, Error> {
        disk.files.remove("new"); // of a compaction that did not finish
        let log = disk.files.entry("log").or_default();
        let (mut index, mut at) = (BTreeMap::new(), 0);
        while let Some(record) = decode(log, at, check) {
            match record.value {
                Some(place) => index.insert(record.key, place),
                None => index.remove(&record.key),
            };
            at = record.end;
        }
        // A torn write is the last thing in the log. Is there a good record behind?
        let good = |at| decode(log, at, Check::Crc).is_some();
        if (at + 1..log.len()).any(good) {
            return Err(Error::Damaged { at });
        }
        log.truncate(at);
        Ok(Store { disk, index })
    }
}
// ANCHOR_END: open

// ANCHOR: set
impl Store {
    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let place = self.index.get(key)?.clone();
        Some(&self.disk.files["log"][place])
    }

    /// Sets a key to a value, or deletes it.
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        self.disk.append("log", &encode(key, value)?)?; // a real one: and fsync
        let end = self.disk.files["log"].len();
        match value {
            Some(v) => self.index.insert(key.to_vec(), end - v.len()..end),
            None => self.index.remove(key),
        };
        Ok(())
    }
}
// ANCHOR_END: set

// ANCHOR: compact
impl Store {
    /// Copies what is live to a new file, then puts that in the log's place.
    fn compact(&mut self) -> Result<(), Error> {
        self.disk.files.remove("new");
        let mut moved = BTreeMap::new();
        for (key, place) in &self.index {
            let value = self.disk.files["log"][place.clone()].to_vec();
            self.disk.append("new", &encode(key, Some(&value))?)?;
            let end = self.disk.files["new"].len();
            moved.insert(key.clone(), end - value.len()..end);
        }
        // A real one: fsync "new" here, and the directory after the rename.
        self.disk.rename("new", "log")?;
        self.index = moved;
        Ok(())
    }
}
// ANCHOR_END: compact

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn state(store: &Store) -> State {
    let pair = |key: &Vec<u8>| Some((key.clone(), store.get(key)?.to_vec()));
    store.index.keys().filter_map(pair).collect()
}

fn disk(log: Vec<u8>, power: usize) -> Disk {
    let files = [("log", log)].into();
    Disk { files, power }
}

/// Three users, one of them gone, and 20 changes of alice's balance.
fn example() -> Result<Store, Error> {
    let mut store = Store::open(disk(vec![], usize::MAX), Check::Crc)?;
    store.set(b"bob", Some(b"250 EUR"))?;
    store.set(b"mallory", Some(b"1 EUR"))?;
    for euros in 980..=999 {
        store.set(b"alice", Some(format!("0{euros} EUR").as_bytes()))?;
    }
    store.set(b"mallory", None)?;
    Ok(store)
}

const TEARS: [&str; 3] = ["file ends there", "zeros from there", "one bit flipped"];

// ANCHOR: tears
/// Tears the last write in one way everywhere. What does the store find: how
/// often the whole old state, the whole new one, something else?
fn torn(tear: &str, check: Check) -> Result<[usize; 3], Error> {
    let mut store = example()?;
    let (start, old) = (store.disk.files["log"].len(), state(&store));
    store.set(b"alice", Some(b"1000 EUR"))?;
    let (log, new) = (&store.disk.files["log"], state(&store));
    let places = match tear {
        "one bit flipped" => start * 8..log.len() * 8,
        _ => start..log.len() + 1,
    };
    let mut tally = [0; 3];
    for place in places {
        let mut log = log.clone();
        match tear {
            "file ends there" => log.truncate(place),
            "zeros from there" => log[place..].fill(0),
            _ => log[place / 8] ^= 1 << (place % 8),
        }
        let found = state(&Store::open(disk(log, 0), check)?);
        let kind = [&old, &new].iter().position(|whole| **whole == found);
        tally[kind.unwrap_or(2)] += 1;
    }
    Ok(tally)
}
// ANCHOR_END: tears

fn main() -> Result<(), Error> {
    println!("the last write, torn after every byte and in every bit\n");
    println!("record has    the tear            old   new  neither");
    let checks = [(Check::LengthOnly, "length"), (Check::Crc, "length, CRC")];
    for (check, has) in checks {
        for tear in TEARS {
            let [old, new, neither] = torn(tear, check)?;
            println!("{has:<13} {tear:<17} {old:>5} {new:>5} {neither:>8}");
        }
    }
    let mut store = example()?;
    let before = store.disk.files["log"].len();
    store.compact()?;
    let (after, keys) = (store.disk.files["log"].len(), store.index.len());
    println!("\ncompaction: {before} bytes become {after}, {keys} keys");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_write_torn_anywhere_is_wholly_there_or_wholly_not() {
        for tear in TEARS {
            let neither = torn(tear, Check::Crc).map(|tally| tally[2]);
            assert_eq!(neither, Ok(0), "{tear}");
        }
    }

    #[test]
    fn without_a_checksum_a_torn_write_is_read_back_as_data() {
        let torn = |tear| torn(tear, Check::LengthOnly);
        let neither = TEARS.map(|tear| torn(tear).map(|tally| tally[2]));
        assert_eq!(neither, [Ok(0), Ok(23), Ok(107)]); // 130 in all
        let restarts = TEARS.map(|tear| torn(tear).map(|tally| tally.iter().sum()));
        assert_eq!(restarts, [Ok(24), Ok(24), Ok(184)]); // of 232
    }

    #[test]
    fn power_can_fail_at_any_byte_of_compaction() -> Result<(), Error> {
        let whole = state(&example()?);
        for power in 0..=44 {
            let mut store = example()?;
            store.disk.power = power;
            assert_eq!(store.compact().is_ok(), power == 44); // 43 bytes, a rename
            let mut store = Store::open(store.disk, Check::Crc)?;
            assert_eq!(state(&store), whole, "power for {power} bytes");
            assert_eq!(store.disk.files.len(), 1, "what was half done is gone");
            store.disk.power = usize::MAX;
            store.compact()?; // and it can be done again
            let store = Store::open(store.disk, Check::Crc)?;
            assert_eq!(state(&store), whole);
        }
        Ok(())
    }

    #[test]
    fn a_write_after_recovery_survives_the_next_recovery() -> Result<(), Error> {
        let mut store = example()?;
        store.disk.power = 10;
        assert_eq!(store.set(b"bob", Some(b"1 EUR")), Err(Error::PowerCut));
        store.disk.power = 99;
        let mut store = Store::open(store.disk, Check::Crc)?;
        store.set(b"bob", Some(b"2 EUR"))?;
        let store = Store::open(store.disk, Check::Crc)?;
        assert_eq!(store.get(b"bob"), Some(&b"2 EUR"[..]));
        Ok(())
    }

    #[test]
    fn damage_in_the_middle_is_refused_not_hidden() -> Result<(), Error> {
        let log = &example()?.disk.files["log"];
        let last = encode(b"mallory", None)?.len();
        for bit in 0..(log.len() - last) * 8 {
            let mut log = log.clone();
            log[bit / 8] ^= 1 << (bit % 8);
            let opened = Store::open(disk(log, 0), Check::Crc).err();
            assert!(matches!(opened, Some(Error::Damaged { .. })), "bit {bit}");
        }
        Ok(())
    }
}
