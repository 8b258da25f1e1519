//! A disk behind a kernel, and what a power cut leaves of both.
//!
//! A write changes the kernel's copy of a file, page by page, and marks the pages
//! dirty. A sync puts the dirty pages on the medium. The power cut keeps what is on
//! the medium, and of the dirty pages whichever it likes, in any order, one of
//! them only to the middle: a page is many sectors, and a sector is all or nothing.

use std::collections::{BTreeMap, BTreeSet};

/// An eighth of the usual 4,096 and 512, so that small records span pages.
pub const PAGE_BYTES: usize = 512;
const SECTOR_BYTES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileId(usize);

#[derive(Debug, PartialEq)]
pub enum Fault {
    PowerCut,
    /// What `fsync` reports as EIO.
    NotWritten,
}

#[derive(Clone, Default)]
struct Content {
    kernel: Vec<u8>, // what every program sees
    dirty: BTreeSet<usize>,
    medium: Vec<u8>,
}

#[derive(Clone, Default)]
pub struct Disk {
    files: Vec<Content>,
    names: BTreeMap<&'static str, FileId>, // the directory, as the kernel has it
    names_on_medium: BTreeMap<&'static str, FileId>,
    /// How many more calls succeed before the power goes.
    pub power: usize,
    pub syncs: usize,
    /// The number of the sync that fails.
    pub bad_sync: Option<usize>,
    /// Says "synced" as soon as the data is in its own volatile cache.
    pub lies: bool,
}

impl Disk {
    fn spend(&mut self) -> Result<(), Fault> {
        self.power = self.power.checked_sub(1).ok_or(Fault::PowerCut)?;
        Ok(())
    }

    pub fn create(&mut self, name: &'static str) -> Result<FileId, Fault> {
        self.spend()?;
        self.files.push(Content::default());
        let id = FileId(self.files.len() - 1);
        self.names.insert(name, id);
        Ok(id)
    }

    pub fn rename(&mut self, from: &str, to: &'static str) -> Result<(), Fault> {
        self.spend()?;
        if let Some(id) = self.names.remove(from) {
            self.names.insert(to, id);
        }
        Ok(())
    }

    pub fn sync_directory(&mut self) -> Result<(), Fault> {
        self.spend()?;
        self.names_on_medium = self.names.clone();
        Ok(())
    }

    // ANCHOR: sync
    /// `fsync` of a file's contents.
    pub fn sync(&mut self, id: FileId) -> Result<(), Fault> {
        self.spend()?;
        let fails = self.bad_sync == Some(self.syncs);
        self.syncs += 1;
        let file = &mut self.files[id.0];
        if self.lies {
            return Ok(()); // it is still only on its way
        }
        let dirty = std::mem::take(&mut file.dirty); // clean from here on,
        if fails {
            return Err(Fault::NotWritten); // whether it was written or not
        }
        for page in dirty {
            file.keep(page * PAGE_BYTES..(page + 1) * PAGE_BYTES);
        }
        file.medium.resize(file.kernel.len(), 0);
        Ok(())
    }
    // ANCHOR_END: sync

    /// What a program reads: the kernel's copy, written or not.
    pub fn read(&self, id: FileId) -> &[u8] {
        &self.files[id.0].kernel
    }

    /// Appends.
    pub fn write(&mut self, id: FileId, bytes: &[u8]) -> Result<(), Fault> {
        self.spend()?;
        let file = &mut self.files[id.0];
        let first = file.kernel.len() / PAGE_BYTES;
        file.kernel.extend(bytes);
        let end = file.kernel.len().div_ceil(PAGE_BYTES);
        file.dirty.extend(first..end);
        Ok(())
    }

    // ANCHOR: cut
    /// The power goes. What stands under this name when the machine is up again?
    /// `luck` is the chance that a change which nobody synced is on the medium.
    pub fn after_power_cut(
        mut self,
        name: &str,
        luck: f64,
        rng: &mut fastrand::Rng,
    ) -> Option<Vec<u8>> {
        let names = match rng.f64() < luck {
            true => self.names,
            false => self.names_on_medium,
        };
        let file = &mut self.files[names.get(name)?.0];
        let dirty = std::mem::take(&mut file.dirty);
        let torn = rng.choice(dirty.iter().copied()).filter(|_| luck < 1.0);
        for page in dirty {
            let start = page * PAGE_BYTES;
            if Some(page) == torn {
                let sectors = rng.usize(0..PAGE_BYTES / SECTOR_BYTES);
                file.keep(start..start + sectors * SECTOR_BYTES);
            } else if rng.f64() < luck {
                file.keep(start..start + PAGE_BYTES);
            }
        }
        Some(std::mem::take(&mut file.medium))
    }
    // ANCHOR_END: cut
}

impl Content {
    /// Puts a part of the kernel's copy on the medium, a hole before it if need be.
    fn keep(&mut self, part: std::ops::Range<usize>) {
        let end = part.end.min(self.kernel.len());
        if part.start < end {
            let bytes = &self.kernel[part.start..end];
            self.medium.resize(self.medium.len().max(end), 0);
            self.medium[part.start..end].copy_from_slice(bytes);
        }
    }
}
