//! A log file that is cut into files of a bounded size, by its only owner.
//!
//! Knows of no disk: `folder.rs` has a real one, `model.rs` one in memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What rotation needs of a disk. A handle stays with its file, whatever
/// happens to the name.
pub trait Disk {
    type Handle;
    /// Opens the file for appending, creates it if needed; and its length.
    fn open(&mut self, name: &str) -> io::Result<(Self::Handle, u64)>;
    fn append(&mut self, file: &mut Self::Handle, bytes: &[u8]) -> io::Result<()>;
    /// It is no error if there is no such file.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
}

// ANCHOR: rotating
#[derive(Clone, Copy)]
pub struct Limits {
    pub file_bytes_max: u64,
    pub files_max: usize, // the one being written to is one of them
}

/// The only owner of `name`, `name.1`, … up to `name.(files_max - 1)`.
pub struct Rotating<D: Disk> {
    disk: D,
    name: String,
    limits: Limits,
    file: D::Handle,
    bytes: u64,
}

impl<D: Disk> Rotating<D> {
    pub fn open(mut disk: D, name: &str, limits: Limits) -> io::Result<Self> {
        if limits.files_max < 2 {
            return Err(io::Error::other("rotation needs a second file"));
        }
        let (file, bytes) = disk.open(name)?; // goes on where it left off
        let name = name.to_owned();
        Ok(Self {
            disk,
            name,
            limits,
            file,
            bytes,
        })
    }

    /// `line` ends in its own line break and goes to one file, in one write.
    pub fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = line.len() as u64;
        if bytes > self.limits.file_bytes_max {
            return Err(io::Error::other("the line is longer than a file may be"));
        }
        if self.bytes + bytes > self.limits.file_bytes_max {
            self.rotate()?;
        }
        self.disk.append(&mut self.file, line)?;
        self.bytes += bytes;
        Ok(())
    }

    /// The oldest first, so that no name is overwritten but the last one, and
    /// a crash between two steps leaves a gap in the numbers and no loss.
    fn rotate(&mut self) -> io::Result<()> {
        for i in (1..self.limits.files_max).rev() {
            let newer = match i {
                1 => self.name.clone(),
                _ => format!("{}.{}", self.name, i - 1),
            };
            self.disk.rename(&newer, &format!("{}.{i}", self.name))?;
        }
        (self.file, self.bytes) = self.disk.open(&self.name)?;
        Ok(())
    }
}
// ANCHOR_END: rotating

// ANCHOR: shared
/// What many threads hold. The lock covers the size, the rotation and the write.
pub struct Shared<D: Disk>(Arc<Mutex<Rotating<D>>>);

impl<D: Disk> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Disk> Write for Shared<D> {
    /// One call is one line. It is written whole or not at all.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.write_line(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
// ANCHOR_END: shared

impl<D: Disk> Shared<D> {
    pub fn new(log: Rotating<D>) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }
}
