//! Orders as XML, JSON and Protocol Buffers, with the libraries that people use:
//! sizes, sizes after compression, and times.
//!
//! Look at how far compression closes the gap between the formats, and compare the
//! times with each other only: they are one run on one machine, of three libraries
//! as much as of three formats.
//!
//! Simplified: one size of message, no schema check, everything in memory.

use anyhow::Result;
use miniz_oxide::deflate::compress_to_vec;
use prost::Message;
use protocols::orders::{example, thousand, JsonOrder, XmlOrder};
use protocols::orders_v1::Order;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The fastest of these rounds counts: the others were disturbed.
const ROUNDS: u32 = 5;
const TIMES_A_ROUND: u32 = 10_000;
/// What is printed: the time that this many take at that speed.
const TIMES: u32 = 1_000_000;

/// gzip's usual level.
const LEVEL: u8 = 6;
/// gzip's header and trailer around the compressed bytes (RFC 1952).
const FRAME_BYTES: usize = 10 + 8;

/// The size as gzip. The compressor is named, and not left to `flate2`, which takes
/// another one, with other sizes, where any crate of the build asks for that.
fn gzip(bytes: &[u8]) -> usize {
    FRAME_BYTES + compress_to_vec(bytes, LEVEL).len()
}

/// XML, JSON and Protocol Buffers, each as its bytes.
fn encode(order: &Order) -> Result<[Vec<u8>; 3]> {
    Ok([
        quick_xml::se::to_string(&XmlOrder::from(order))?.into_bytes(),
        serde_json::to_vec(&JsonOrder::from(order))?,
        order.encode_to_vec(),
    ])
}

/// A stream of messages in one file: XML and JSON by line, Protocol Buffers with a
/// length before each.
fn encode_all(orders: &[Order]) -> Result<[Vec<u8>; 3]> {
    let mut all: [Vec<u8>; 3] = Default::default();
    for order in orders {
        let [xml, json, _] = encode(order)?;
        for (to, text) in all.iter_mut().zip([xml, json]) {
            to.extend(text);
            to.push(b'\n');
        }
        order.encode_length_delimited(&mut all[2])?;
    }
    Ok(all)
}

fn time<T>(mut work: impl FnMut() -> Result<T>) -> Result<u128> {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..TIMES_A_ROUND {
            black_box(work()?);
        }
        fastest = fastest.min(start.elapsed());
    }
    Ok((fastest * (TIMES / TIMES_A_ROUND)).as_millis())
}

fn main() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[recorded::RUSTC])?);
    let row = |what: &str, [xml, json, protobuf]: [String; 3]| {
        println!("{what:<24}{xml:>12}{json:>12}{protobuf:>18}");
    };
    row("", ["XML", "JSON", "Protocol Buffers"].map(str::to_owned));
    let sizes = |all: &[Vec<u8>; 3]| all.each_ref().map(|b| b.len().to_string());
    let order = example();
    let one = encode(&order)?;
    row("one order, bytes", sizes(&one));
    let noted = Order { customer: "x".repeat(1000), ..order.clone() };
    row("  1,000-letter customer", sizes(&encode(&noted)?));
    let thousand = encode_all(&thousand())?;
    row("1,000 orders", sizes(&thousand));
    let [xml, json, protobuf] = &thousand;
    row(
        "  gzip",
        [gzip(xml), gzip(json), gzip(protobuf)].map(|size| size.to_string()),
    );

    let ms = |times: [u128; 3]| times.map(|time| format!("{time} ms"));
    let (as_xml, as_json) = (XmlOrder::from(&order), JsonOrder::from(&order));
    let encoding = [
        time(|| Ok(quick_xml::se::to_string(black_box(&as_xml))?))?,
        time(|| Ok(serde_json::to_vec(black_box(&as_json))?))?,
        time(|| Ok(black_box(&order).encode_to_vec()))?,
    ];
    row("write 1,000,000", ms(encoding));
    let [xml, json, protobuf] = one.each_ref().map(Vec::as_slice);
    let decoding = [
        time(|| Ok(quick_xml::de::from_reader::<_, XmlOrder>(black_box(xml))?))?,
        time(|| Ok(serde_json::from_slice::<JsonOrder>(black_box(json))?))?,
        time(|| Ok(Order::decode(black_box(protobuf))?))?,
    ];
    row("read 1,000,000", ms(decoding));
    Ok(())
}
