//! A log cut into files of a bounded size: four ways that fail, and one that holds.
//!
//! Look at `lost` and `torn`. Four writers take turns to write 2,000 lines of 20
//! bytes. There is room for 12 files of 4,000 bytes, so nothing has to be thrown
//! away: what is lost is the fault of the rotation. The last table gives the
//! right way less room, and shows that the disk stays bounded.
//!
//! The ways are in `ways.rs`, the mechanism in `rotating.rs`, the disks in
//! `model.rs` and, for the tests, `folder.rs`: there eight threads write to a real
//! folder at once. Simplified: in the first row, three lines arrive between the
//! end of the copy and the truncation.

#[cfg(test)]
mod folder;
mod model;
mod rotating;
mod ways;

use model::Model;
use rotating::Limits;
use std::io;
use ways::{number, one_owner, FILE_BYTES_MAX, LIMITS, LINES, WAYS};

struct Report {
    lost: usize,
    torn: usize,
    largest: usize, // bytes of the largest file, with a name or without
    named: usize,   // bytes to which a name leads
}

fn report(way: impl Fn(&mut Model) -> io::Result<()>) -> io::Result<Report> {
    let mut disk = Model::default();
    way(&mut disk)?;
    let (lines, named) = disk.named();
    let whole = lines.iter().filter_map(|line| number(line)).count();
    Ok(Report {
        lost: LINES as usize - whole,
        torn: lines.len() - whole,
        largest: disk.files.iter().map(Vec::len).max().unwrap_or(0),
        named,
    })
}

fn main() -> io::Result<()> {
    println!("2,000 lines, 12 files of 4,000 bytes\n");
    println!("                          lost  torn  largest file");
    for (name, way) in WAYS {
        let r = report(way)?;
        println!("{name:<24} {:>5} {:>5} {:>13}", r.lost, r.torn, r.largest);
    }
    println!("\none owner, fewer files    kept  bytes on disk  bound");
    for files_max in [12, 6, 3, 2] {
        let limits = Limits {
            files_max,
            ..LIMITS
        };
        let r = report(|disk| one_owner(disk, limits))?;
        let bound = files_max * FILE_BYTES_MAX;
        let kept = LINES as usize - r.lost;
        println!("{files_max:>8} files {kept:>14} {:>14} {bound:>6}", r.named);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use folder::Folder;
    use rotating::{Rotating, Shared};
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::path::PathBuf;
    use std::{fs, thread};
    use ways::{line, LINE_BYTES};

    fn way(name: &str) -> Report {
        let way = WAYS.into_iter().find(|(n, _)| *n == name);
        report(way.expect("a way of that name").1).expect("no crash")
    }

    #[test]
    fn a_copy_and_a_truncation_lose_what_is_written_between_them() {
        assert_eq!(way("copy, then truncate").lost, 10 * 3);
    }

    #[test]
    fn whoever_writes_on_after_a_rename_fills_a_file_that_no_limit_sees() {
        let report = way("rename, go on writing");
        assert_eq!(report.largest, LINES as usize * LINE_BYTES);
        assert_eq!(report.lost, LINES as usize, "its name was rotated away");
    }

    #[test]
    fn writers_that_rotate_each_for_itself_throw_away_files_too_early() {
        assert_eq!(way("each writer rotates").lost, 200, "a whole file");
        let mut disk = Model::default();
        let each_rotates = WAYS[2].1;
        each_rotates(&mut disk).expect("no crash");
        let needed = (LINES as usize * LINE_BYTES).div_ceil(FILE_BYTES_MAX);
        assert_eq!((disk.files.len(), needed), (13, 10));
    }

    #[test]
    fn a_line_in_two_writes_is_torn_by_another_writer() {
        assert_eq!(way("a line in two writes").torn, 2_000);
    }

    #[test]
    fn one_owner_keeps_every_line_once_whole_and_in_order() {
        let mut disk = Model::default();
        one_owner(&mut disk, LIMITS).expect("no crash");
        let mut numbers: Vec<u32> =
            disk.named().0.iter().filter_map(|l| number(l)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..LINES).collect::<Vec<_>>());
    }

    #[test]
    fn the_disk_never_holds_more_than_its_bound_and_always_the_newest_lines() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let files_max = rng.usize(2..7);
            let file_bytes_max = rng.u64(20..300);
            let bound = file_bytes_max as usize * files_max;
            let mut disk = Model::default();
            let mut written = vec![];
            for n in 0..100 {
                let limits = Limits {
                    file_bytes_max,
                    files_max,
                };
                // Opened anew for each line: as after a restart.
                let mut log =
                    Rotating::open(&mut disk, "log", limits).expect("open");
                let line = format!("{n} {}", "x".repeat(rng.usize(..15)));
                log.write_line(format!("{line}\n").as_bytes())
                    .expect("write");
                written.push(line);
                let (lines, bytes) = disk.named();
                assert!(bytes <= bound, "{bytes} of {bound}");
                let kept: BTreeSet<_> = lines.iter().collect();
                let newest = &written[written.len() - lines.len()..];
                assert_eq!(kept, newest.iter().collect());
            }
        }
    }

    #[test]
    fn one_file_is_refused_since_it_could_not_be_emptied_without_a_loss() {
        let limits = Limits {
            file_bytes_max: 60,
            files_max: 1,
        };
        let mut disk = Model::default();
        assert!(Rotating::open(&mut disk, "log", limits).is_err());
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_is_refused() {
        let mut disk = Model::default();
        let limits = Limits {
            file_bytes_max: 10,
            files_max: 2,
        };
        let mut log = Rotating::open(&mut disk, "log", limits).expect("open");
        assert!(log.write_line(b"12345678901\n").is_err());
        assert!(log.write_line(b"123456789\n").is_ok());
    }

    #[test]
    fn a_line_that_cannot_be_written_is_an_error_to_its_writer() {
        let mut disk = Model::default();
        disk.steps_left = Some(2); // to open the file, and one line
        let log = Rotating::open(&mut disk, "log", LIMITS).expect("open");
        let mut log = Shared::new(log);
        assert!(log.write_all(&line(0)).is_ok());
        assert!(log.write_all(&line(1)).is_err());
    }

    #[test]
    fn a_crash_between_any_two_steps_loses_no_line_that_was_written() {
        for steps in 0..60 {
            let limits = Limits {
                file_bytes_max: 60,
                files_max: 9,
            };
            let mut disk = Model::default();
            disk.steps_left = Some(steps);
            let mut done = 0;
            if let Ok(mut log) = Rotating::open(&mut disk, "log", limits) {
                while done < 20 && log.write_line(&line(done)).is_ok() {
                    done += 1;
                }
            }
            disk.steps_left = None;
            let mut log = Rotating::open(&mut disk, "log", limits).expect("restart");
            log.write_line(&line(done)).expect("restart");
            let mut kept: Vec<u32> =
                disk.named().0.iter().filter_map(|l| number(l)).collect();
            kept.sort_unstable();
            assert_eq!(kept, (0..=done).collect::<Vec<_>>(), "cut after {steps}");
        }
    }

    /// A folder of its own, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("logging-rotation-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn eight_threads_on_a_real_disk_lose_nothing_through_39_rotations() {
        const THREADS: u32 = 8;
        const EACH: u32 = 400;
        let scratch = Scratch::new("threads");
        let limits = Limits {
            file_bytes_max: 1_600,
            files_max: 50,
        };
        let log = Rotating::open(Folder(scratch.0.clone()), "log", limits);
        let log = Shared::new(log.expect("open"));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let mut log = log.clone();
                scope.spawn(move || {
                    for n in 0..EACH {
                        log.write_all(&line(thread * EACH + n)).expect("disk");
                    }
                });
            }
        });
        let mut files: Vec<_> = fs::read_dir(&scratch.0)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(files.len(), 40, "8 × 400 × 20 bytes in files of 1,600");
        // From the oldest to the newest: log.39, …, log.1, log.
        let age = |path: &PathBuf| {
            let suffix = path.extension().and_then(|e| e.to_str());
            suffix.and_then(|e| e.parse().ok()).unwrap_or(0)
        };
        files.sort_by_key(|path| std::cmp::Reverse(age(path)));
        let mut seen = vec![];
        for file in files {
            let text = fs::read_to_string(file).expect("text");
            assert!(text.len() <= 1_600 && text.ends_with('\n'));
            seen.extend(text.lines().map(|l| number(l).expect("a whole line")));
        }
        for thread in 0..THREADS {
            let of_one = seen.iter().filter(|n| **n / EACH == thread);
            let expected = thread * EACH..(thread + 1) * EACH;
            assert!(of_one.copied().eq(expected), "all, once, in order");
        }
        assert_eq!(seen.len(), (THREADS * EACH) as usize);
    }
}
