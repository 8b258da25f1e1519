//! A disk as a log of what was asked of it, and what a power cut leaves.
//!
//! A write goes into memory first and reaches the disk some time later, in no
//! order, sector by sector. Only a sync promises that it is there. So a power cut
//! at any moment keeps everything synced, and of the rest whatever it likes.

use std::collections::BTreeMap;

// ANCHOR: log
pub const SECTOR_BYTES: usize = 512;

/// A file's contents. Its name is another matter: the directory knows that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(pub usize);

#[derive(Clone, Debug)]
pub enum Event {
    Create(String, FileId),
    Write(FileId, usize, Vec<u8>),
    Truncate(FileId, usize),
    Sync(FileId),
    Delete(String),
    SyncDirectory,
    /// The program was told that its transaction is committed.
    Acknowledged,
}
// ANCHOR_END: log

pub type Names = BTreeMap<String, FileId>;

/// What is on the disk for certain, and what is only on its way.
#[derive(Clone, Default)]
pub struct Disk {
    names: Names,
    contents: Vec<Vec<u8>>,
    unsynced: Vec<Event>,
}

// ANCHOR: cut
impl Disk {
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Sync(id) => self.settle(|e| e.file() == Some(*id)),
            Event::SyncDirectory => self.settle(|e| e.file().is_none()),
            Event::Acknowledged => {} // nothing of this is on the disk
            change => self.unsynced.push(change.clone()),
        }
    }

    /// A sync: what waited for it is on the disk.
    fn settle(&mut self, is_synced: impl Fn(&Event) -> bool) {
        for event in std::mem::take(&mut self.unsynced) {
            match is_synced(&event) {
                true => self.apply(&event, |_| true),
                false => self.unsynced.push(event),
            }
        }
    }

    /// The power goes. Every unsynced sector is there or not; of the changes
    /// to the directory the first few are, as on a journaling file system.
    pub fn after_power_cut(mut self, kept: f64, rng: &mut fastrand::Rng) -> Disk {
        let mut directory_is_written = true;
        for event in std::mem::take(&mut self.unsynced) {
            let mut survives = || rng.f64() < kept;
            if event.file().is_some() {
                self.apply(&event, |_| survives());
            } else {
                directory_is_written = directory_is_written && survives();
                if directory_is_written {
                    self.apply(&event, |_| true);
                }
            }
        }
        self
    }
}
// ANCHOR_END: cut

impl Event {
    /// The file whose contents it changes; none if it changes the directory.
    fn file(&self) -> Option<FileId> {
        match self {
            Event::Write(id, ..) | Event::Truncate(id, _) | Event::Sync(id) => {
                Some(*id)
            }
            _ => None,
        }
    }
}

impl Disk {
    /// The same disk when everything has been written out, as after a long wait.
    pub fn settled(mut self) -> Disk {
        self.settle(|_| true);
        self
    }

    /// The files by name, as the machine finds them when it starts again.
    pub fn files(&self) -> impl Iterator<Item = (&String, &[u8])> {
        let contents = |id: &FileId| self.contents.get(id.0).map_or(&[][..], |c| c);
        self.names
            .iter()
            .map(move |(name, id)| (name, contents(id)))
    }

    fn apply(
        &mut self,
        event: &Event,
        mut sector_survives: impl FnMut(usize) -> bool,
    ) {
        match event {
            Event::Create(name, id) => {
                self.names.insert(name.clone(), *id);
            }
            Event::Delete(name) => {
                self.names.remove(name);
            }
            Event::Write(id, at, bytes) => {
                let file = self.contents_of(*id);
                let (mut at, mut rest) = (*at, &bytes[..]);
                while !rest.is_empty() {
                    let room = SECTOR_BYTES - at % SECTOR_BYTES;
                    let (sector, later) = rest.split_at(room.min(rest.len()));
                    if sector_survives(at / SECTOR_BYTES) {
                        overwrite(file, at, sector);
                    }
                    (at, rest) = (at + sector.len(), later);
                }
            }
            Event::Truncate(id, len) => {
                if sector_survives(len / SECTOR_BYTES) {
                    self.contents_of(*id).resize(*len, 0);
                }
            }
            Event::Sync(_) | Event::SyncDirectory | Event::Acknowledged => {}
        }
    }

    fn contents_of(&mut self, FileId(id): FileId) -> &mut Vec<u8> {
        if self.contents.len() <= id {
            self.contents.resize_with(id + 1, Vec::new);
        }
        &mut self.contents[id]
    }
}

pub fn overwrite(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
