//! One row of bits, read as an unsigned and a signed integer, a float and text.
//!
//! What it shows: the bits do not change, the reading does. One adder serves
//! both signs. Some rows of bits are no text at all, and for one of four reasons;
//! some floats are not a number.
//!
//! What to look for in the output: 127 and one more is -128, with the same bits as
//! 128; and the first byte of a character, which is no text alone.
//!
//! What is simplified: at most 32 bits, and the byte at the left is the first, as
//! in big-endian order.

use std::fmt;

/// 8, 16 or 32 bits; place 0 is the one at the right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bits {
    row: u32,
    width: u32,
}

// ANCHOR: integers
impl Bits {
    /// The lowest `width` bits of a row; those that do not fit are lost.
    fn new(row: u32, width: u32) -> Bits {
        let row = row & (u32::MAX >> (32 - width));
        Bits { row, width }
    }

    fn at(self, place: u32) -> u32 {
        self.row >> place & 1
    }

    /// Each bit is worth twice the one to its right.
    fn unsigned(self) -> u64 {
        (0..self.width)
            .map(|place| u64::from(self.at(place)) << place)
            .sum()
    }

    /// Two's complement: the same, but the top bit counts against the others.
    fn signed(self) -> i64 {
        let top = self.width - 1;
        let others = Bits::new(self.row, top).unsigned() as i64;
        others - (i64::from(self.at(top)) << top)
    }

    /// A row of one-bit adders: the sum, and the carry that has no place to go.
    fn add(self, other: Bits) -> (Bits, u32) {
        let (mut sum, mut carry) = (0, 0);
        for place in 0..self.width {
            let (x, y) = (self.at(place), other.at(place));
            sum |= (x ^ y ^ carry) << place;
            carry = (x & y) | (carry & (x ^ y));
        }
        (Bits::new(sum, self.width), carry)
    }

    /// Flip all, add one.
    fn negate(self) -> Bits {
        let one = Bits::new(1, self.width);
        Bits::new(!self.row, self.width).add(one).0
    }
}
// ANCHOR_END: integers

impl Bits {
    fn flip(self, place: u32) -> Bits {
        Bits::new(self.row ^ 1 << place, self.width)
    }

    fn shift_left(self) -> Bits {
        Bits::new(self.row << 1, self.width)
    }

    /// The bytes from left to right.
    fn bytes(self) -> Vec<u8> {
        let shifts = (0..self.width).step_by(8).rev();
        shifts.map(|shift| (self.row >> shift) as u8).collect()
    }

    /// None unless there are as many bits as an `f32` has.
    fn float(self) -> Option<f32> {
        (self.width == 32).then_some(f32::from_bits(self.row))
    }

    /// The fields of a float: sign, exponent and fraction.
    fn fields(self) -> (u32, u32, u32) {
        (self.row >> 31, self.row >> 23 & 0xFF, self.row & 0x7F_FFFF)
    }
}

/// Why bytes are no UTF-8, and at which byte a character goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NotText {
    /// 10xxxxxx or 11111xxx: no character begins so.
    NoBeginning(usize),
    /// Fewer following bytes than the first one says.
    CutOff(usize),
    /// Fits in fewer bytes, so it has to be written in fewer.
    TooLong(usize),
    /// Reserved for UTF-16, or beyond 0x10FFFF.
    NoCodePoint(usize),
}

// ANCHOR: decode
/// The first byte says how many follow; each of those begins with 10.
fn decode(bytes: &[u8]) -> Result<String, NotText> {
    let (mut text, mut at) = (String::new(), 0);
    while let Some(&first) = bytes.get(at) {
        let (following, bits, least) = match first {
            0b0000_0000..=0b0111_1111 => (0, first, 0),
            0b1100_0000..=0b1101_1111 => (1, first & 0b1_1111, 0x80),
            0b1110_0000..=0b1110_1111 => (2, first & 0b1111, 0x800),
            0b1111_0000..=0b1111_0111 => (3, first & 0b111, 0x1_0000),
            _ => return Err(NotText::NoBeginning(at)),
        };
        let mut code = u32::from(bits);
        for next in at + 1..=at + following {
            match bytes.get(next) {
                Some(&byte) if byte >> 6 == 0b10 => {
                    code = code << 6 | u32::from(byte & 0b11_1111);
                }
                _ => return Err(NotText::CutOff(at)),
            }
        }
        if code < least {
            return Err(NotText::TooLong(at));
        }
        text.push(char::from_u32(code).ok_or(NotText::NoCodePoint(at))?);
        at += 1 + following;
    }
    Ok(text)
}
// ANCHOR_END: decode

/// All readings in one line.
impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let (hex, unsigned) = (hex.join(" "), self.unsigned());
        write!(f, "{hex:<11} {unsigned:>10} {:>11}", self.signed())?;
        let float = self.float().map_or("-".to_owned(), |x| format!("{x:?}"));
        match decode(&bytes) {
            Ok(text) => write!(f, " {float:>14}  {text:?}"),
            Err(error) => write!(f, " {float:>14}  {error:?}"),
        }
    }
}

fn main() {
    println!("in hex        unsigned      signed          float  text, or why not");
    let rows = [
        (0x41, 8),
        (0xE2, 8),
        (0xC3A9, 16),
        (0xE282_AC21, 32),
        (0x5275_7374, 32),
        (0x3F80_0000, 32),
        (0x9300_5100, 32),
    ];
    for (row, width) in rows {
        println!("{}", Bits::new(row, width));
    }

    println!("\neight bits     unsigned  signed");
    let line = |name: &str, bits: Bits| {
        let (unsigned, signed) = (bits.unsigned(), bits.signed());
        println!("{:08b}  {name:<5} {unsigned:>7} {signed:>7}", bits.row);
    };
    for row in [0b0111_1111, 0b1111_1111] {
        let bits = Bits::new(row, 8);
        let (sum, carry) = bits.add(Bits::new(1, 8));
        line("", bits);
        line("+ 1", sum);
        println!("          carry {carry}");
    }
    line("", Bits::new(3, 8));
    line("* 2", Bits::new(3, 8).shift_left());
    line("* -1", Bits::new(3, 8).negate());

    println!("\na float, one bit flipped, another one\nsign  exponent  fraction");
    let mut bits = Bits::new(0x3F80_0000, 32);
    for flipped in [None, Some(30), Some(22)] {
        bits = flipped.map_or(bits, |place| bits.flip(place));
        let (sign, exponent, fraction) = bits.fields();
        let value = bits.float().unwrap_or_default();
        println!("{sign}     {exponent:08b}  {fraction:023b}  {value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_adder_serves_both_signs_on_all_pairs_of_bytes() {
        for (a, b) in (0..=u16::MAX).map(|pair| pair.to_be_bytes().into()) {
            let (x, y) = (Bits::new(u32::from(a), 8), Bits::new(u32::from(b), 8));
            let (sum, carry) = x.add(y);
            let (a, b): (u8, u8) = (a, b);
            assert_eq!((sum.row as u8, carry == 1), a.overflowing_add(b));
            assert_eq!(sum.signed(), i64::from((a as i8).wrapping_add(b as i8)));
            assert_eq!(x.negate().row as u8, a.wrapping_neg());
        }
    }

    #[test]
    fn integers_and_floats_read_as_the_types_of_rust_do() {
        let mut random = fastrand::Rng::with_seed(32);
        for row in (0..100_000).map(|_| random.u32(..)) {
            assert_eq!(Bits::new(row, 32).unsigned(), u64::from(row));
            assert_eq!(Bits::new(row, 32).signed(), i64::from(row as i32));
            assert_eq!(Bits::new(row, 16).signed(), i64::from(row as i16));
            let float = Bits::new(row, 32).float().expect("32 bits");
            assert_eq!(float.to_bits(), row);
            let (sign, exponent, fraction) = Bits::new(row, 32).fields();
            assert_eq!(sign == 1, float.is_sign_negative());
            assert_eq!(float.is_nan(), exponent == 255 && fraction != 0);
            assert_eq!(float.is_infinite(), exponent == 255 && fraction == 0);
        }
        assert_eq!(Bits::new(0, 16).float(), None);
    }

    #[test]
    fn the_decoder_agrees_with_the_standard_library() {
        let std = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        for row in 0..=0xFFFF {
            let bytes = Bits::new(row, 16).bytes();
            assert_eq!(decode(&bytes).ok(), std(&bytes), "{bytes:x?}");
        }
        // Bytes at random are hardly ever text: begin as a character does.
        let mut random = fastrand::Rng::with_seed(3629);
        for _ in 0..1_000_000 {
            let row = 0xC080_8080 | random.u32(..) & 0x3F7F_7F7F & random.u32(..);
            let bytes = Bits::new(row, 32).bytes();
            assert_eq!(decode(&bytes).ok(), std(&bytes), "{bytes:x?}");
        }
    }

    #[test]
    fn each_way_to_be_no_text_has_its_name() {
        let wrong = |bytes: &[u8]| decode(bytes).expect_err("no text");
        assert_eq!(wrong(&[0x41, 0x80]), NotText::NoBeginning(1));
        assert_eq!(wrong(&[0xE2, 0x82]), NotText::CutOff(0));
        assert_eq!(wrong(&[0xC1, 0x81]), NotText::TooLong(0)); // A, in two bytes
        assert_eq!(wrong(&[0xED, 0xA0, 0x80]), NotText::NoCodePoint(0));
        assert_eq!(wrong(&[0xF7, 0xBF, 0xBF, 0xBF]), NotText::NoCodePoint(0));
    }
}
