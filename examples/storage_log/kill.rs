//! `SIGKILL` for a process that writes the log, at every boundary between two steps.

use crate::log::{append, recover, Check, File};
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const RECORDS: usize = 4;
/// What the parent tells its child: `way stop path`.
pub const JOB: &str = "STORAGE_LOG_CHILD";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Each write is a call of the kernel.
    Direct,
    /// Writes gather in the process; acknowledged when they are there.
    Buffered,
    /// The same, but what gathered goes to the kernel before it is acknowledged.
    BufferedFlushed,
}

const WAYS: [Way; 3] = [Way::Direct, Way::Buffered, Way::BufferedFlushed];

fn record(i: usize) -> Vec<u8> {
    format!("record {i} ").repeat(10 + i).into_bytes()
}

/// Writes to a file or a buffer, and stops at the boundary it was told to stop at.
struct Stepped<W: Write> {
    to: W,
    steps_left: usize,
}

impl<W: Write> Stepped<W> {
    fn boundary(&mut self) -> io::Result<()> {
        if self.steps_left == 0 {
            say("here")?;
            io::stdin().read_line(&mut String::new())?; // the parent never answers
            return Err(io::Error::other("the parent is gone"));
        }
        self.steps_left -= 1;
        Ok(())
    }
}

impl<W: Write> File for Stepped<W> {
    type Error = io::Error;

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.boundary()
    }
}

fn write_records<W: Write>(file: &mut Stepped<W>, flushes: bool) -> io::Result<()> {
    for i in 0..RECORDS {
        append(file, &record(i))?;
        if flushes {
            file.to.flush()?; // no fsync: nobody pulls the plug here
            file.boundary()?;
        }
        say("acknowledged")?;
        file.boundary()?;
    }
    Ok(())
}

fn say(what: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{what}")?;
    io::stdout().flush()
}

pub fn be_the_child(job: &str) -> io::Result<()> {
    let mut words = job.splitn(3, ' ');
    let mut word = || words.next().ok_or(io::Error::other("no such job"));
    let (way, stop, path) = (word()?, word()?, word()?);
    let steps_left = stop.parse().map_err(io::Error::other)?;
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if way == "Direct" {
        return write_records(
            &mut Stepped {
                to: file,
                steps_left,
            },
            false,
        );
    }
    let to = BufWriter::new(file);
    write_records(&mut Stepped { to, steps_left }, way == "BufferedFlushed")
}

/// Never leaves its process behind.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL on Unix; it may be dead already
        let _ = self.0.wait();
    }
}

/// How many records a child acknowledged before it was killed at its boundary
/// number `stop`; none if it came to its end first.
fn kill_at(way: Way, stop: usize, path: &Path) -> io::Result<Option<usize>> {
    let mut command = Command::new(std::env::current_exe()?);
    if cfg!(test) {
        command.args(["--exact", "kill::tests::child", "--nocapture"]);
    }
    let job = format!("{way:?} {stop} {}", path.display());
    command
        .env(JOB, job)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = Victim(command.spawn()?);
    let stdout = child.0.stdout.take().ok_or(io::Error::other("no stdout"))?;
    let mut acknowledged = 0;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        acknowledged += usize::from(line.ends_with("acknowledged"));
        if line.ends_with("here") {
            child.0.kill()?;
            let status = child.0.wait()?;
            if cfg!(unix) && status.code().is_some() {
                // Only a process that a signal ended has no exit code.
                return Err(io::Error::other("the child ended by itself"));
            }
            return Ok(Some(acknowledged));
        }
    }
    match child.0.wait()?.success() {
        true => Ok(None),
        false => Err(io::Error::other("the child failed")),
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct Report {
    pub kills: usize,
    pub lost_most: usize,
    /// After how many kills there was a torn record to cut off.
    pub tails: usize,
    pub wrong: usize,
}

/// A folder of our own, removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // at worst a file in /tmp stays
    }
}

pub fn kill_everywhere(way: Way) -> io::Result<Report> {
    let name = format!("storage-log-{}-{way:?}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    fs::create_dir_all(&scratch.0)?;
    let mut report = Report::default();
    for stop in 0.. {
        let path = scratch.0.join(format!("{stop}.log"));
        let Some(acknowledged) = kill_at(way, stop, &path)? else {
            break;
        };
        let bytes = fs::read(&path)?;
        let (found, end) = recover(&bytes, Check::Checksum);
        report.kills += 1;
        report.lost_most = report
            .lost_most
            .max(acknowledged.saturating_sub(found.len()));
        report.tails += usize::from(end < bytes.len());
        let written = (0..RECORDS).map(record);
        report.wrong += found.iter().zip(written).filter(|(f, w)| *f != w).count();
        report.wrong += usize::from(!goes_on(&path, end, found)?);
    }
    Ok(report)
}

/// Cuts the torn tail off, appends a record and reads everything again. Only kills
/// happen here: where the power can go, sync after the cut, before the append.
fn goes_on(path: &Path, end: usize, mut found: Vec<Vec<u8>>) -> io::Result<bool> {
    let to = OpenOptions::new().append(true).open(path)?;
    to.set_len(end as u64)?;
    append(&mut Stepped { to, steps_left: 2 }, b"after the crash")?;
    found.push(b"after the crash".to_vec());
    Ok(recover(&fs::read(path)?, Check::Checksum).0 == found)
}

pub fn print() -> io::Result<()> {
    println!("SIGKILL between two steps  kills  lost at most  torn, cut off");
    for way in WAYS {
        let report = kill_everywhere(way)?;
        let name = match way {
            Way::Direct => "each write to the kernel",
            Way::Buffered => "BufWriter",
            Way::BufferedFlushed => "BufWriter, then flush",
        };
        let Report {
            kills,
            lost_most,
            tails,
            ..
        } = report;
        println!("{name:<26} {kills:>5} {lost_most:>13} {tails:>14}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No test of its own: what a killed process runs.
    #[test]
    fn child() {
        if let Ok(job) = std::env::var(JOB) {
            be_the_child(&job).expect("the child writes");
        }
    }

    #[test]
    fn a_process_killed_between_any_two_writes_loses_no_acknowledged_record() {
        let report = kill_everywhere(Way::Direct).expect("children run");
        assert_eq!(report.kills, RECORDS * 3);
        assert_eq!((report.lost_most, report.wrong), (0, 0));
        assert_eq!(report.tails, RECORDS, "a header without its payload");
    }

    #[test]
    fn a_killed_process_loses_what_is_still_in_its_own_buffer() {
        let report = kill_everywhere(Way::Buffered).expect("children run");
        assert_eq!((report.lost_most, report.wrong), (RECORDS, 0));
    }

    #[test]
    fn a_buffer_flushed_before_the_acknowledgement_loses_nothing() {
        let report = kill_everywhere(Way::BufferedFlushed).expect("children run");
        assert_eq!(report.kills, RECORDS * 4);
        assert_eq!((report.lost_most, report.wrong), (0, 0));
    }
}
