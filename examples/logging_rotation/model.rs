//! A disk in memory, as in POSIX: a name leads to a file, and can be moved or
//! removed while somebody still writes to the file.
//!
//! Simplified: a step that was done stays done. So it is after a crash of the
//! program; a power cut can also undo steps that were not synced to the disk.

use crate::rotating::Disk;
use std::collections::BTreeMap;
use std::io;

/// Which file a handle or a name means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Inode(pub usize);

#[derive(Default)]
pub struct Model {
    names: BTreeMap<String, Inode>,
    pub files: Vec<Vec<u8>>,
    /// How many steps until the program crashes; for the tests.
    pub steps_left: Option<usize>,
}

impl Model {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.steps_left {
            Some(0) => return Err(io::Error::other("crashed")),
            Some(steps) => *steps -= 1,
            None => {}
        }
        Ok(())
    }

    /// The lines to which a name still leads, and the bytes of those files.
    pub fn named(&self) -> (Vec<String>, usize) {
        let files = self.names.values().map(|inode| &self.files[inode.0]);
        let bytes = files.clone().map(Vec::len).sum();
        let text = files.map(|file| String::from_utf8_lossy(file).into_owned());
        let lines =
            text.flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>());
        (lines.collect(), bytes)
    }
}

impl Disk for &mut Model {
    type Handle = Inode;

    fn open(&mut self, name: &str) -> io::Result<(Inode, u64)> {
        self.step()?;
        let next = Inode(self.files.len());
        let inode = *self.names.entry(name.to_owned()).or_insert(next);
        if inode == next {
            self.files.push(vec![]);
        }
        Ok((inode, self.files[inode.0].len() as u64))
    }

    fn append(&mut self, file: &mut Inode, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.files[file.0].extend_from_slice(bytes);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        if let Some(inode) = self.names.remove(from) {
            self.names.insert(to.to_owned(), inode);
        }
        Ok(())
    }
}
