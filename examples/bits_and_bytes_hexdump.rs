//! The same record in two byte orders, seen through a hex dump.
//!
//! What it shows: a number longer than one byte has to be laid out in some
//! order. Big-endian puts the most significant byte first (as the headers of
//! IP and TCP do), little-endian the least significant (as the memory of x86
//! does). A reader must use the writer's order; nothing in the bytes says
//! which one it was.
//!
//! What to look for in the output: text looks the same in both dumps, numbers
//! do not; and a length of 12 that the wrong order reads as 201,326,592.
//!
//! What is simplified: one record, no checksum, no version field.

use std::fmt::Write;

const MAGIC: [u8; 4] = *b"SDN1";
const HEADER_BYTES: usize = 12;
/// A limit on what a reader believes, whatever the length field says.
const BODY_BYTES_MAX: u32 = 64 * 1024;
const DUMP_BYTES_PER_ROW: usize = 8;

// ANCHOR: order
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    BigEndian,
    LittleEndian,
}

impl Order {
    /// The four bytes of a number, in the order in which they are stored.
    fn store(self, number: u32) -> [u8; 4] {
        let byte_at = |shift: u32| (number >> shift) as u8;
        match self {
            Order::BigEndian => [24, 16, 8, 0].map(byte_at),
            Order::LittleEndian => [0, 8, 16, 24].map(byte_at),
        }
    }

    fn load(self, stored: [u8; 4]) -> u32 {
        let push = |number: u32, byte: u8| number << 8 | u32::from(byte);
        match self {
            Order::BigEndian => stored.into_iter().fold(0, push),
            Order::LittleEndian => stored.into_iter().rev().fold(0, push),
        }
    }
}
// ANCHOR_END: order

/// A sensor's note: four bytes of magic, four of length, four of temperature
/// (an f32), then the text.
#[derive(Clone, PartialEq, Debug)]
struct Note {
    celsius: f32,
    body: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum ReadError {
    TooShort,
    BadMagic,
    BodyTooLong { bytes: u32 },
    BodyNotUtf8,
}

impl Note {
    /// None when the body is longer than a reader would accept.
    fn write(&self, order: Order) -> Option<Vec<u8>> {
        let body_bytes = u32::try_from(self.body.len()).ok()?;
        if body_bytes > BODY_BYTES_MAX {
            return None;
        }
        let mut out = MAGIC.to_vec();
        out.extend(order.store(body_bytes));
        out.extend(order.store(self.celsius.to_bits()));
        out.extend(self.body.as_bytes());
        Some(out)
    }

    // ANCHOR: read
    /// Checks every field before it trusts the next one.
    fn read(bytes: &[u8], order: Order) -> Result<Note, ReadError> {
        let four = |at: usize| -> Result<[u8; 4], ReadError> {
            let field = bytes.get(at..at + 4).ok_or(ReadError::TooShort)?;
            field.try_into().map_err(|_| ReadError::TooShort)
        };
        if four(0)? != MAGIC {
            return Err(ReadError::BadMagic);
        }
        let body_bytes = order.load(four(4)?);
        if body_bytes > BODY_BYTES_MAX {
            return Err(ReadError::BodyTooLong { bytes: body_bytes });
        }
        let celsius = f32::from_bits(order.load(four(8)?));
        let end = HEADER_BYTES + body_bytes as usize;
        let body = bytes.get(HEADER_BYTES..end).ok_or(ReadError::TooShort)?;
        let body = String::from_utf8(body.to_vec());
        Ok(Note {
            celsius,
            body: body.map_err(|_| ReadError::BodyNotUtf8)?,
        })
    }
    // ANCHOR_END: read
}

/// Offset, bytes in hexadecimal, and the printable ASCII among them.
fn hex_dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (row, chunk) in bytes.chunks(DUMP_BYTES_PER_ROW).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|b| format!("{b:02x}")).collect();
        let printable = |b: &u8| match b {
            0x20..=0x7E => char::from(*b),
            _ => '.',
        };
        let text: String = chunk.iter().map(printable).collect();
        let (offset, hex) = (row * DUMP_BYTES_PER_ROW, hex.join(" "));
        let width = DUMP_BYTES_PER_ROW * 3 - 1;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{offset:08x}  {hex:<width$}  |{text}|");
    }
    out
}

fn main() {
    let note = Note {
        celsius: 21.5,
        body: "Grüße, 世".to_string(),
    };
    for order in [Order::BigEndian, Order::LittleEndian] {
        let Some(bytes) = note.write(order) else {
            println!("the body is longer than {BODY_BYTES_MAX} bytes");
            return;
        };
        println!("written {order:?}, {} bytes", bytes.len());
        print!("{}", hex_dump(&bytes));
        for reader in [Order::BigEndian, Order::LittleEndian] {
            match Note::read(&bytes, reader) {
                Ok(note) => println!("read {reader:?}: {note:?}"),
                Err(error) => println!("read {reader:?}: {error:?}"),
            }
        }
        println!();
    }
    println!("addi x1, x2, 5 in memory, little-endian as RISC-V has it:");
    print!("{}", hex_dump(&Order::LittleEndian.store(0x0051_0093)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let (celsius, body) = (21.5, "Grüße, 世".to_string());
        Note { celsius, body }
    }

    #[test]
    fn both_orders_agree_with_the_standard_library() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..10_000 {
            let number = random.u32(..);
            assert_eq!(Order::BigEndian.store(number), number.to_be_bytes());
            assert_eq!(Order::LittleEndian.store(number), number.to_le_bytes());
            for order in [Order::BigEndian, Order::LittleEndian] {
                assert_eq!(order.load(order.store(number)), number);
            }
        }
    }

    #[test]
    fn a_record_reads_back_in_the_order_it_was_written() {
        for order in [Order::BigEndian, Order::LittleEndian] {
            let bytes = note().write(order).expect("short enough");
            assert_eq!(Note::read(&bytes, order), Ok(note()));
        }
    }

    #[test]
    fn the_wrong_order_turns_a_length_of_12_into_192_mebibytes() {
        let bytes = note().write(Order::BigEndian).expect("short enough");
        let error = ReadError::BodyTooLong { bytes: 12 << 24 };
        assert_eq!(Note::read(&bytes, Order::LittleEndian), Err(error));
        assert_eq!(12 << 24, 192 * 1024 * 1024);
    }

    #[test]
    fn a_reader_survives_every_truncation_and_every_damaged_byte() {
        let bytes = note().write(Order::BigEndian).expect("short enough");
        for len in 0..bytes.len() {
            assert!(Note::read(&bytes[..len], Order::BigEndian).is_err());
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            // Any answer will do, a panic will not.
            let _ = Note::read(&damaged, Order::BigEndian);
        }
    }

    #[test]
    fn a_dump_row_shows_offset_bytes_and_text() {
        let dump = hex_dump(b"bits and\n");
        let rows: Vec<&str> = dump.lines().collect();
        let first = "00000000  62 69 74 73 20 61 6e 64  |bits and|";
        assert_eq!(rows[0], first);
        assert_eq!(rows[1], "00000008  0a                       |.|");
    }
}
