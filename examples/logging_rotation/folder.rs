//! A real folder, for a log that rotates.

use super::rotating::Disk;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// The folder's path.
pub struct Folder(pub PathBuf);

impl Disk for Folder {
    type Handle = File;

    fn open(&mut self, name: &str) -> io::Result<(File, u64)> {
        let path = self.0.join(name);
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    }

    fn append(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        match fs::rename(self.0.join(from), self.0.join(to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}
