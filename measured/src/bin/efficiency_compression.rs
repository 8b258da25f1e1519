//! Compression buys room on the wire with work of the CPU. For which data, and on which wires?
//!
//! Deflate is what gzip, zip and PNG use. Look at the sizes first: with these versions they are
//! the same in every run. Records in JSON shrink to a fraction; random bytes and what is
//! compressed already get a little larger. Then at what a
//! higher level costs beside what it saves. The last column is the verdict: on a slower wire
//! than this it is quicker to compress, send and decompress than to send; on a faster one not.
//!
//! Simplified: the three steps happen one after another and on one core. A stream overlaps
//! them, and then only the slowest counts; a wire that is paid by the byte has other sums.

use anyhow::{Context, Result, anyhow, ensure};
use measured::fastest;
use miniz_oxide::{deflate, inflate};
use std::hint::black_box;
use std::time::Duration;

const LEN: usize = 128 * 1024;
const ROUNDS: u32 = if cfg!(debug_assertions) { 1 } else { 6 };
const SEED: u64 = 1;

#[derive(Clone, Copy, Debug)]
enum Codec {
    Deflate(u8),
    Zstd(i32),
}

const CODECS: [Codec; 6] = [
    Codec::Deflate(1),
    Codec::Deflate(6),
    Codec::Deflate(9),
    Codec::Zstd(1),
    Codec::Zstd(3),
    Codec::Zstd(19),
];

impl Codec {
    fn name(self) -> String {
        match self {
            Self::Deflate(level) => format!("deflate {level}"),
            Self::Zstd(level) => format!("zstd {level}"),
        }
    }
    fn compress(self, data: &[u8]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Deflate(level) => deflate::compress_to_vec(data, level),
            Self::Zstd(level) => zstd::encode_all(data, level)?,
        })
    }
    fn decompress(self, data: &[u8]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Deflate(_) => inflate::decompress_to_vec(data)
                .map_err(|error| anyhow!("inflate: {:?}", error.status))?,
            Self::Zstd(_) => zstd::decode_all(data)?,
        })
    }
}

/// Orders, a JSON object a line, cut off at `LEN` bytes.
fn json() -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut text = String::new();
    for id in 0.. {
        if text.len() >= LEN {
            break;
        }
        let city = ["Oslo", "Lagos", "Lima", "Osaka"][rng.usize(0..4)];
        let (customer, cents) = (rng.u32(0..5_000), rng.u32(100..99_999));
        text.push_str(&format!(
            "{{\"order\":{id},\"customer\":{customer},\"city\":\"{city}\",\
             \"cents\":{cents},\"is_paid\":{}}}\n",
            rng.bool()
        ));
    }
    text.truncate(LEN);
    text.into_bytes()
}

fn random() -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(SEED);
    (0..LEN).map(|_| rng.u8(..)).collect()
}

fn data() -> Result<[(&'static str, Vec<u8>); 3]> {
    let compressed = Codec::Deflate(6).compress(&json())?;
    Ok([("JSON", json()), ("deflated JSON", compressed), ("random", random())])
}

// ANCHOR: break_even
/// The wire, in bits per ns (which is Gbit/s), on which sending `len` bytes takes as long as
/// compressing them, sending `packed` and decompressing. `None`: nothing is saved.
fn break_even(len: usize, packed: usize, cpu: Duration) -> Option<f64> {
    let saved_bits = 8 * len.checked_sub(packed).filter(|saved| *saved > 0)?;
    Some(saved_bits as f64 / cpu.as_nanos() as f64)
}
// ANCHOR_END: break_even

fn main() -> Result<()> {
    let crates = [
        ("miniz_oxide", env!("MINIZ_OXIDE_VERSION")),
        ("zstd", zstd::zstd_safe::version_string()),
    ];
    println!("{}\n", recorded::measured_on(&crates)?);
    println!("                  size  of the         ns a byte      pays on a wire");
    println!("                 bytes  original     in        out      slower than");
    for (name, data) in data()? {
        println!("{name}, {} bytes", data.len());
        for codec in CODECS {
            let packed = codec.compress(&data)?;
            let unpacked = codec.decompress(&packed).context("decompress")?;
            ensure!(unpacked == data, "what comes out is not what went in");
            let [into, out] = fastest(
                ROUNDS,
                [&mut || _ = black_box(codec.compress(&data)), &mut || {
                    _ = black_box(codec.decompress(&packed))
                }],
            );
            let share = 100.0 * packed.len() as f64 / data.len() as f64;
            let per_byte =
                |time: Duration| time.as_nanos() as f64 / data.len() as f64;
            print!("  {:<8} {:>11} {share:>7.1} %", codec.name(), packed.len());
            print!(" {:>7.1} ns {:>7.1} ns", per_byte(into), per_byte(out));
            match break_even(data.len(), packed.len(), into + out) {
                Some(gbit) => {
                    let mbit = format!("~{:.0}", 1_000.0 * gbit);
                    println!(" {mbit:>8} Mbit/s");
                }
                None => println!("    never"),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_what_went_in() -> Result<()> {
        for (name, data) in data()? {
            for codec in CODECS {
                let unpacked = codec.decompress(&codec.compress(&data)?)?;
                assert!(unpacked == data, "{name} {codec:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn records_shrink_to_a_quarter_and_random_bytes_grow() -> Result<()> {
        let len =
            |codec: Codec, data: &[u8]| codec.compress(data).map(|out| out.len());
        for codec in CODECS {
            assert!(len(codec, &json())? < LEN / 4, "{codec:?}");
            assert!(len(codec, &random())? > LEN, "{codec:?}");
        }
        Ok(())
    }

    #[test]
    fn a_higher_level_is_smaller_but_the_second_step_saves_less() -> Result<()> {
        let [fast, usual, best] = [1, 6, 9].map(|level| {
            Codec::Deflate(level).compress(&json()).map(|out| out.len())
        });
        let (fast, usual, best) = (fast?, usual?, best?);
        assert!(best <= usual && usual < fast);
        assert!(usual - best < fast - usual);
        Ok(())
    }

    #[test]
    fn what_is_compressed_already_saves_next_to_nothing() -> Result<()> {
        let packed = Codec::Deflate(6).compress(&json())?;
        for codec in CODECS {
            let twice = codec.compress(&packed)?.len();
            assert!(twice * 100 > packed.len() * 97, "{codec:?}");
        }
        Ok(())
    }

    #[test]
    fn on_the_break_even_wire_both_take_the_same_time() {
        let cpu = Duration::from_nanos(6_000);
        let wire = break_even(1_000, 250, cpu).expect("something is saved");
        assert_eq!(wire, 1.0); // 6,000 bits saved for 6,000 ns
        let send_ns = |bytes: f64| bytes * 8.0 / wire;
        assert_eq!(send_ns(1_000.0), 6_000.0 + send_ns(250.0));
        assert_eq!(break_even(1_000, 1_000, cpu), None);
        assert_eq!(break_even(1_000, 1_001, cpu), None);
    }
}
