//! The chapter's Reed–Solomon code beside a crate that one would use.
//!
//! Look at the ratios. Ours multiplies byte by byte and bit by bit, which is right and
//! slow; `reed-solomon-simd` uses another algorithm and the processor's vector
//! instructions. Then look at SHA-256: to check the shards costs time, too.
//!
//! Simplified: one thread, shards in memory, one object again and again.

use anyhow::{Context, Result, ensure};
use coding::Code;
use measured::fastest;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

#[allow(dead_code)]
#[rustfmt::skip]
#[path = "../../../examples/object_storage_coding.rs"]
mod coding;

/// Of the crate, as in `Cargo.lock`.
const CRATE: (&str, &str) = ("reed-solomon-simd", "3.1.0");
const ROUNDS: u32 = 5;
const SHARD_BYTES: usize = 64 << 10;

fn times(time: Duration, unit: Duration) -> String {
    format!("{:.1}x", time.as_secs_f64() / unit.as_secs_f64())
}

fn row(data: u8, parity: u8) -> Result<String> {
    let code = Code { data, parity };
    let (k, m) = (usize::from(data), usize::from(parity));
    let object: Vec<u8> =
        (0..k * SHARD_BYTES).map(|i| ((i * 31) >> 3) as u8).collect();
    let shards: Vec<&[u8]> = object.chunks(SHARD_BYTES).collect();
    let whole = code.encode(&object);
    ensure!(whole.len() == k + m);
    // The crate, too, gives back what is missing.
    let theirs = reed_solomon_simd::encode(k, m, &shards)?;
    let kept = shards.iter().enumerate().skip(m);
    let back = reed_solomon_simd::decode(k, m, kept, theirs.iter().enumerate())?;
    ensure!(back.get(&0).context("shard 0 is missing")? == shards[0]);

    let mut lost: Vec<_> = whole.iter().cloned().map(Some).collect();
    lost[0] = None;
    let mut failed = None;
    let [encode, repair, simd, hash] = fastest(
        ROUNDS,
        [
            &mut || drop(black_box(code.encode(black_box(&object)))),
            &mut || drop(black_box(code.repair(black_box(&lost)))),
            &mut || {
                let encoded = reed_solomon_simd::encode(k, m, black_box(&shards));
                failed = encoded.err();
            },
            &mut || {
                for shard in &whole {
                    black_box(Sha256::digest(shard));
                }
            },
        ],
    );
    if let Some(error) = failed {
        return Err(error.into());
    }
    let name = format!("RS({data},{parity})");
    let [ours, mend, sums] = [encode, repair, hash].map(|time| times(time, simd));
    let micros = simd.as_secs_f64() * 1e6;
    Ok(format!("{name:<10}{micros:>9.0} µs{ours:>12}{mend:>12}{sums:>12}"))
}

fn run() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[CRATE])?);
    println!("shards of 64 KiB{:>18}{:>12}{:>12}", "ours,", "ours,", "SHA-256 of");
    print!("{:<10}{:>12}{:>12}", "", "simd encodes", "encodes");
    println!("{:>12}{:>12}", "mends one", "all shards");
    for (data, parity) in [(6, 3), (10, 4), (17, 3)] {
        println!("{}", row(data, parity)?);
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
