//! The power goes while a program writes its log: after every call, many times.

use crate::disk::{Disk, Fault, FileId};
use crate::log::{append, recover, Check, File};

const RECORDS: usize = 12;
/// Three records share a sync: group commit.
const GROUP: usize = 3;
/// What part of the dirty pages reaches the medium: cuts for each of these.
const LUCK: [f64; 8] = [0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0];

#[derive(Clone, Copy, PartialEq)]
pub enum Failure {
    Never,
    ThenRetry,
    ThenRestart,
    ThenCopy,
    ThenStop,
}

#[derive(Clone, Copy)]
pub struct Setting {
    pub acknowledges_early: bool,
    pub check: Check,
    pub syncs_directory: bool,
    pub failure: Failure,
    pub lies: bool,
}

pub const RIGHT: Setting = Setting {
    acknowledges_early: false,
    check: Check::Checksum,
    syncs_directory: true,
    failure: Failure::Never,
    lies: false,
};

const fn fails(failure: Failure) -> Setting {
    Setting { failure, ..RIGHT }
}

#[rustfmt::skip] // one line each
pub const SETTINGS: [(&str, Setting); 9] = [
    ("right", RIGHT),
    ("acknowledges before sync", Setting { acknowledges_early: true, ..RIGHT }),
    ("no checksum", Setting { check: Check::Length, ..RIGHT }),
    ("no sync of the directory", Setting { syncs_directory: false, ..RIGHT }),
    ("sync fails, is retried", fails(Failure::ThenRetry)),
    ("sync fails, restart", fails(Failure::ThenRestart)),
    ("sync fails, log is copied", fails(Failure::ThenCopy)),
    ("sync fails, log stops", fails(Failure::ThenStop)),
    ("right, and a lying device", Setting { lies: true, ..RIGHT }),
];

struct OpenFile<'a>(&'a mut Disk, FileId);

impl File for OpenFile<'_> {
    type Error = Fault;

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.0.write(self.1, bytes)
    }
}

/// Writes the records in groups; notes which of them it has acknowledged.
fn write_all(
    setting: Setting,
    disk: &mut Disk,
    records: &[Vec<u8>],
    acknowledged: &mut Vec<usize>,
) -> Result<(), Fault> {
    let mut log = disk.create("log")?;
    if setting.syncs_directory {
        disk.sync_directory()?;
    }
    for group in 0..RECORDS / GROUP {
        let group = group * GROUP..(group + 1) * GROUP;
        for record in &records[group.clone()] {
            append(&mut OpenFile(disk, log), record)?;
        }
        if setting.acknowledges_early {
            acknowledged.extend(group);
            continue;
        }
        match disk.sync(log) {
            Ok(()) => acknowledged.extend(group),
            Err(Fault::PowerCut) => return Err(Fault::PowerCut),
            Err(Fault::NotWritten) => match setting.failure {
                Failure::ThenRetry => {
                    disk.sync(log)?; // this time it succeeds
                    acknowledged.extend(group);
                }
                // Dies, starts again, finds the log whole, goes on behind it.
                Failure::ThenRestart => {}
                Failure::ThenCopy => {
                    log = copy(disk, log)?;
                    acknowledged.extend(group);
                }
                Failure::ThenStop | Failure::Never => return Ok(()),
            },
        }
    }
    Ok(())
}

/// Writes what can still be read to a new file, and puts that in the log's place.
fn copy(disk: &mut Disk, log: FileId) -> Result<FileId, Fault> {
    let (records, _) = recover(disk.read(log), Check::Checksum);
    let new = disk.create("new")?;
    for record in &records {
        append(&mut OpenFile(disk, new), record)?;
    }
    disk.sync(new)?; // before the rename: the name must not outrun the data
    disk.rename("new", "log")?;
    disk.sync_directory()?; // after it: now the new name is on the medium
    Ok(new)
}

#[derive(Debug, Default, PartialEq)]
pub struct Report {
    pub cuts: usize,
    /// The most acknowledged records that one cut took.
    pub lost_most: usize,
    /// Cuts after which something was returned that nobody had written.
    pub torn: usize,
    pub syncs: usize,
}

pub fn cut_everywhere(setting: Setting) -> Report {
    let mut rng = fastrand::Rng::with_seed(4);
    let records: Vec<Vec<u8>> = (0..RECORDS)
        .map(|i| vec![b'a' + i as u8; rng.usize(120..360)])
        .collect();
    let mut report = Report::default();
    for power in 0.. {
        let mut disk = Disk::default();
        disk.power = power;
        disk.lies = setting.lies;
        disk.bad_sync = (setting.failure != Failure::Never).then_some(1);
        let mut acknowledged = Vec::new();
        let ended = write_all(setting, &mut disk, &records, &mut acknowledged);
        for luck in LUCK {
            let bytes = disk.clone().after_power_cut("log", luck, &mut rng);
            let found = recover(&bytes.unwrap_or_default(), setting.check).0;
            let lost = |i: &&usize| found.get(**i) != Some(&records[**i]);
            let lost = acknowledged.iter().filter(lost).count();
            let torn = found.iter().zip(&records).any(|(f, r)| f != r);
            report.cuts += 1;
            report.lost_most = report.lost_most.max(lost);
            report.torn += usize::from(torn || found.len() > records.len());
        }
        report.syncs = disk.syncs;
        if ended != Err(Fault::PowerCut) {
            break; // there was power enough for all of it
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(change: impl FnOnce(&mut Setting)) -> Report {
        let mut setting = RIGHT;
        change(&mut setting);
        cut_everywhere(setting)
    }

    #[test]
    fn a_log_that_syncs_before_it_acknowledges_keeps_every_record() {
        let report = cut_everywhere(RIGHT);
        assert_eq!((report.lost_most, report.torn), (0, 0));
        assert_eq!(report.syncs, RECORDS / GROUP, "one for each group");
        assert!(report.cuts > 200);
    }

    #[test]
    fn acknowledging_before_the_sync_loses_all_of_it() {
        let report = cut(|s| s.acknowledges_early = true);
        assert_eq!((report.lost_most, report.torn), (RECORDS, 0));
    }

    #[test]
    fn without_a_checksum_a_torn_record_is_returned() {
        let report = cut(|s| s.check = Check::Length);
        assert_eq!(report.lost_most, 0);
        assert!(report.torn > 0, "{report:?}");
    }

    #[test]
    fn a_file_whose_directory_is_not_synced_can_vanish_with_all_its_data() {
        let report = cut(|s| s.syncs_directory = false);
        assert_eq!((report.lost_most, report.torn), (RECORDS, 0));
    }

    #[test]
    fn a_sync_that_failed_and_is_retried_succeeds_and_has_written_nothing() {
        let report = cut(|s| s.failure = Failure::ThenRetry);
        let behind_the_hole = RECORDS - GROUP; // all but the first group
        assert_eq!((report.lost_most, report.torn), (behind_the_hole, 0));
    }

    #[test]
    fn after_a_failed_sync_a_restart_believes_the_kernels_copy_and_loses_more() {
        let report = cut(|s| s.failure = Failure::ThenRestart);
        // Not the group that failed: nobody had acknowledged that one.
        let later = RECORDS - 2 * GROUP;
        assert_eq!((report.lost_most, report.torn), (later, 0));
    }

    #[test]
    fn after_a_failed_sync_a_copy_or_a_stop_keeps_every_record() {
        for failure in [Failure::ThenCopy, Failure::ThenStop] {
            let report = cut(|s| s.failure = failure);
            assert_eq!((report.lost_most, report.torn), (0, 0));
        }
    }

    #[test]
    fn a_device_that_lies_makes_the_right_program_lose_everything() {
        let report = cut(|s| s.lies = true);
        assert_eq!((report.lost_most, report.torn), (RECORDS, 0));
    }
}
