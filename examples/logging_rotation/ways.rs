//! Writers fill a log on a disk in memory: four ways that fail, and one that holds.

use crate::model::Model;
use crate::rotating::{Disk, Limits, Rotating, Shared};
use std::io::{self, Write};

pub const LINES: u32 = 2_000;
pub const LINE_BYTES: usize = 20;
const WRITERS: usize = 4;
pub const LIMITS: Limits = Limits {
    file_bytes_max: 4_000,
    files_max: 12,
};
pub const FILE_BYTES_MAX: usize = LIMITS.file_bytes_max as usize;

pub fn line(n: u32) -> Vec<u8> {
    format!("line {n:<14}\n").into_bytes()
}

fn shift(mut disk: &mut Model, from: usize) -> io::Result<()> {
    for i in (from..LIMITS.files_max).rev() {
        let newer = if i == 1 {
            "log".into()
        } else {
            format!("log.{}", i - 1)
        };
        disk.rename(&newer, &format!("log.{i}"))?;
    }
    Ok(())
}

/// Another program copies the file, then empties it.
fn copy_then_truncate(mut disk: &mut Model) -> io::Result<()> {
    let (mut file, _) = disk.open("log")?;
    let mut copied = None;
    for n in 0..LINES {
        disk.append(&mut file, &line(n))?;
        if n % 200 == 196 {
            copied = Some(disk.files[file.0].clone()); // read to the end
        }
        if n % 200 == 199 {
            if let Some(copy) = copied.take() {
                shift(disk, 2)?; // log.1 and older
                let (mut to, _) = disk.open("log.1")?;
                disk.append(&mut to, &copy)?;
                disk.files[file.0].clear(); // with what came meanwhile
            }
        }
    }
    Ok(())
}

/// Another program renames the file by the clock, and nobody tells the writers.
fn rename_only(mut disk: &mut Model) -> io::Result<()> {
    let (mut file, _) = disk.open("log")?;
    for n in 0..LINES {
        if n % 150 == 149 {
            shift(disk, 1)?;
            disk.open("log")?; // a new file, to which nobody writes
        }
        disk.append(&mut file, &line(n))?;
    }
    Ok(())
}

/// Each writer has its own handle, and rotates when its own file is full.
fn each_rotates(mut disk: &mut Model) -> io::Result<()> {
    let mut files = vec![];
    for _ in 0..WRITERS {
        files.push(disk.open("log")?.0);
    }
    for n in 0..LINES {
        let file = &mut files[n as usize % WRITERS];
        if disk.files[file.0].len() + LINE_BYTES > FILE_BYTES_MAX {
            shift(disk, 1)?;
            *file = disk.open("log")?.0;
        }
        disk.append(file, &line(n))?;
    }
    Ok(())
}

/// Two writers, one file, no lock; a line and its end are two writes.
fn two_writes(mut disk: &mut Model) -> io::Result<()> {
    let (mut file, _) = disk.open("log")?;
    for n in (0..LINES).step_by(2) {
        let (a, b) = (line(n), line(n + 1));
        for part in [&a[..19], &b[..19], &a[19..], &b[19..]] {
            disk.append(&mut file, part)?;
        }
    }
    Ok(())
}

pub fn one_owner(disk: &mut Model, limits: Limits) -> io::Result<()> {
    let log = Rotating::open(disk, "log", limits)?;
    let mut writers = vec![Shared::new(log); WRITERS];
    for n in 0..LINES {
        writers[n as usize % WRITERS].write_all(&line(n))?;
    }
    Ok(())
}

/// The number of a line that is whole.
pub fn number(line: &str) -> Option<u32> {
    let digits = line.strip_prefix("line ").filter(|n| n.len() == 14)?;
    digits.trim_end().parse().ok()
}

pub type Way = (&'static str, fn(&mut Model) -> io::Result<()>);
pub const WAYS: [Way; 5] = [
    ("copy, then truncate", copy_then_truncate),
    ("rename, go on writing", rename_only),
    ("each writer rotates", each_rotates),
    ("a line in two writes", two_writes),
    ("one owner, one lock", |disk| one_owner(disk, LIMITS)),
];
