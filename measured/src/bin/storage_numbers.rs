//! The ladder of storage, measured on your machine: a load from each cache and from memory, a
//! system call, a round trip over loopback, a write that is on the disk.
//!
//! A load is measured by chasing: each line of 64 bytes holds the number of the next, in a random
//! order that visits all of them, so that no load can begin before the last has ended, and none
//! can be guessed. Look at where the time jumps as the working set grows: there a cache ends.
//!
//! Simplified: with pages of 4 KiB, large working sets also pay for address translation. The
//! fastest of a few rounds is a quiet machine's number; calls are medians. Cache sizes are the
//! system's own (`/sys`) or, where it does not tell, read off the curve. The file that is synced
//! lies beside the program; the kind of file system goes to standard error, where it is known: on a
//! tmpfs, which is memory, a sync costs nothing and keeps nothing.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const LINE_BYTES: usize = 64;
/// Larger than the caches of most machines; a few servers have still larger ones.
const MEMORY_BYTES: usize = 256 * MIB;
const CURVE_BYTES: [usize; 8] =
    [16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, MEMORY_BYTES];
const LOADS: usize = 50_000;
/// Many short ones: one that nothing disturbs is likely to be among them.
const ROUNDS: u32 = 30;
const CALLS: usize = 100_000;
const ROUND_TRIPS: usize = 2_000;
const SYNCS: usize = 50;
const SYNC_BYTES: usize = 4 * KIB;

/// Where the numbers of the column "elsewhere" come from; the chapter has the links. The write there
/// is of 8 KiB, the round trip carries 32.
const ELSEWHERE: [[&str; 4]; 5] = [
    ["elsewhere", "hardware", "date", "source"],
    ["L1, L2, memory", "Google's, not named", "by 2009", "Dean"],
    ["L3", "Xeon 5500", "2009", "Intel"],
    [
        "system call, write, sync",
        "Xeon 6985P-C, virtual",
        "March 2026",
        "napkin-math",
    ],
    ["TCP round trip", "not stated", "rounded", "napkin-math"],
];

/// A `Duration` has no tenths of a nanosecond, and a load takes a few of them.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Nanos(f64);

impl Nanos {
    fn each(whole: Duration, pieces: usize) -> Nanos {
        Nanos(whole.as_secs_f64() * 1e9 / pieces as f64)
    }

    fn median(mut times: Vec<Duration>) -> Nanos {
        times.sort_unstable();
        Nanos::each(times.get(times.len() / 2).copied().unwrap_or_default(), 1)
    }
}

// ANCHOR: chase
/// As large as a cache line, and at its beginning.
#[derive(Clone)]
#[repr(align(64))]
struct Line {
    next: u32,
}

/// A cycle through `bytes` of memory, in random order.
fn cycle(bytes: usize) -> Vec<Line> {
    let mut order: Vec<u32> = (0..(bytes / LINE_BYTES) as u32).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut order);
    let mut lines = vec![Line { next: 0 }; order.len()];
    for i in 0..order.len() {
        lines[order[i] as usize].next = order[(i + 1) % order.len()];
    }
    lines
}

/// The time of one load when the working set is so large.
fn load(bytes: usize) -> Nanos {
    let lines = cycle(bytes);
    let mut at = 0;
    let mut chase = || {
        for _ in 0..LOADS {
            at = lines[at].next as usize; // the address of the next load
        }
        black_box(at);
    };
    let [whole] = measured::fastest(ROUNDS, [&mut chase]);
    Nanos::each(whole, LOADS)
}
// ANCHOR_END: chase

/// The sizes of the caches that the system tells, smallest first.
fn caches_by_system() -> Option<[usize; 3]> {
    let folder = Path::new("/sys/devices/system/cpu/cpu0/cache");
    let mut caches = Vec::new();
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let read = |name| fs::read_to_string(entry.path().join(name));
        let (Ok(kind), Ok(size)) = (read("type"), read("size")) else { continue };
        if kind.trim() != "Instruction" {
            caches.push(size.trim().strip_suffix('K')?.parse::<usize>().ok()? * KIB);
        }
    }
    caches.retain(|bytes| *bytes >= 4 * KIB); // a virtual machine may say 0
    caches.sort_unstable();
    match caches[..] {
        [first, second] => Some([first, second, second]),
        [first, second, third, ..] => Some([first, second, third]),
        _ => None,
    }
}

/// The last sizes before the three steepest rises of the curve.
fn caches_by_curve(curve: &[(usize, Nanos)]) -> [usize; 3] {
    let mut rises: Vec<(f64, usize)> = curve
        .windows(2)
        .map(|pair| (pair[1].1.0 / pair[0].1.0, pair[0].0))
        .collect();
    rises.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut sizes = [rises[0].1, rises[1].1, rises[2].1];
    sizes.sort_unstable();
    sizes
}

/// `lseek` to where the file already is: into the kernel and back, no work there.
fn system_call(mut file: File) -> Result<Nanos> {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(file.stream_position()?);
    }
    Ok(Nanos::each(start.elapsed(), CALLS))
}

/// One byte to another thread by TCP, and one back.
fn round_trip() -> Result<Nanos> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while server.read_exact(&mut byte).is_ok() && server.write_all(&byte).is_ok()
        {
        }
    });
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        client.write_all(&[1])?;
        client.read_exact(&mut [0])?;
        times.push(start.elapsed());
    }
    drop(client);
    echo.join().map_err(|_| anyhow!("the echo panicked"))?;
    Ok(Nanos::median(times))
}

// ANCHOR: sync
/// Appends, with and without waiting until the device says that it has the data.
fn append(file: &mut File, and_sync: bool) -> Result<Nanos> {
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[7; SYNC_BYTES])?;
        if and_sync {
            file.sync_data()?;
        }
        times.push(start.elapsed());
    }
    Ok(Nanos::median(times))
}
// ANCHOR_END: sync

/// The kind of the file system that holds `folder`, where `/proc/mounts` tells.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let of = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    mounts
        .lines()
        .filter_map(of)
        .filter(|(mounted, _)| folder.starts_with(mounted))
        .max_by_key(|(mounted, _)| mounted.len())
        .map(|(_, kind)| kind)
}

/// `1.2 ns`, `340 ns`: the unit is the row's, so that rows look alike on all machines.
fn show(Nanos(ns): Nanos, unit: &str) -> String {
    let number = if unit == "ns" { ns } else { ns / 1e3 };
    let digits = if number < 100.0 { 1 } else { 0 };
    format!("{number:.digits$} {unit}")
}

/// Two marks, and two more for each power of ten above a nanosecond.
fn bar(Nanos(ns): Nanos) -> String {
    let decades = ns.max(1.0).log10();
    "#".repeat(2 + (decades * 2.0).round() as usize)
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[recorded::RUSTC])?);
    println!("a load that waits for the one before it, by working set");
    let mut curve = Vec::new();
    for bytes in CURVE_BYTES {
        let time = load(bytes);
        let size = match bytes {
            _ if bytes < MIB => format!("{} KiB", bytes / KIB),
            _ => format!("{} MiB", bytes / MIB),
        };
        println!("{size:>9} {:>9}  {}", show(time, "ns"), bar(time));
        curve.push((bytes, time));
    }
    let memory = curve[curve.len() - 1].1;
    let caches = caches_by_system().unwrap_or_else(|| caches_by_curve(&curve));
    let [l1, l2, l3] = caches.map(|bytes| load(bytes / 2));

    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program lies in a folder")?;
    if let Some(kind) = file_system(folder) {
        eprintln!("the file that is synced lies on {kind}");
    }
    let path = folder.join(format!("storage_numbers-{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let times = append(&mut file, false)
        .and_then(|buffered| Ok((buffered, append(&mut file, true)?)));
    fs::remove_file(&path)?;
    let (buffered, synced) = times?;

    let [a, b, c] = caches.map(|bytes| format!("~{} KiB", bytes / KIB));
    println!("\ncaches of {a}, {b} and {c}");
    println!("                    here   elsewhere");
    for (name, time, unit, elsewhere) in [
        ("L1 cache", l1, "ns", "0.5 ns"),
        ("L2 cache", l2, "ns", "7 ns"),
        ("L3 cache", l3, "ns", "12-21 ns"),
        ("memory", memory, "ns", "100 ns"),
        ("system call", system_call(file)?, "ns", "300 ns"),
        ("write 4 KiB", buffered, "µs", "2 µs"),
        ("TCP round trip", round_trip()?, "µs", "50 µs"),
        ("write and sync", synced, "µs", "300 µs"),
    ] {
        let (time, bar) = (show(time, unit), bar(time));
        println!("{name:<15} {time:>8}  {elsewhere:>10}  {bar}");
    }
    println!();
    for [what, hardware, date, source] in ELSEWHERE {
        println!("{what:<24}  {hardware:<21}  {date:<10}  {source}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_same_unit_however_fast_the_machine_is() {
        let synced = [5e3, 300e3, 4e6].map(|ns| show(Nanos(ns), "µs"));
        assert_eq!(synced, ["5.0 µs", "300 µs", "4000 µs"]);
        let loads = [1.24, 725.0, 1_034.0].map(|ns| show(Nanos(ns), "ns"));
        assert_eq!(loads, ["1.2 ns", "725 ns", "1034 ns"]);
    }

    #[test]
    fn caches_end_before_the_three_steepest_rises_of_the_curve() {
        let times = [1.0, 4.0, 4.1, 4.2, 14.0, 15.0, 15.5, 90.0];
        let curve: Vec<(usize, Nanos)> =
            CURVE_BYTES.into_iter().zip(times.map(Nanos)).collect();
        assert_eq!(caches_by_curve(&curve), [16 * KIB, MIB, 64 * MIB]);
    }
}
