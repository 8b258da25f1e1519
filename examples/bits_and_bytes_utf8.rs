//! UTF-8 by hand, and how to cut a string without breaking it.
//!
//! What it shows: the encoder of RFC 3629 in four arms. A code point is spread
//! over one to four bytes; the first byte says how many follow, and each of
//! those begins with the bits 10. The tests compare it with the standard
//! library's `char::encode_utf8` for every value from 0 to 0x10FFFF.
//!
//! What to look for in the output: ASCII (the first 128 code points) stays one
//! byte with the top bit 0; and the same eight-byte limit keeps a different
//! number of characters of each text.
//!
//! What is simplified: code points, not what a person calls a character. "é"
//! may be one code point or two, and one family emoji can be seven.

use std::fmt;

/// The largest code point of Unicode.
const CODE_POINT_MAX: u32 = 0x10_FFFF;

/// One code point as one to four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Encoded {
    bytes: [u8; 4],
    len: usize,
}

impl Encoded {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A number that is not a Unicode scalar value and so has no encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NotACharacter {
    /// 0xD800 to 0xDFFF are reserved for UTF-16.
    Surrogate(u32),
    /// Beyond [`CODE_POINT_MAX`].
    TooLarge(u32),
}

// ANCHOR: encode
/// The table of RFC 3629, section 3: how many bits fit in how many bytes.
fn encode(code: u32) -> Result<Encoded, NotACharacter> {
    // A following byte: the bits 10, then six bits of the code point.
    let tail = |shift: u32| 0b1000_0000 | (code >> shift & 0b0011_1111) as u8;
    let (bytes, len) = match code {
        // 7 bits: 0xxxxxxx, the same byte as ASCII
        0..=0x7F => ([code as u8, 0, 0, 0], 1),
        // 11 bits: 110xxxxx 10xxxxxx
        0x80..=0x7FF => ([0b1100_0000 | (code >> 6) as u8, tail(0), 0, 0], 2),
        0xD800..=0xDFFF => return Err(NotACharacter::Surrogate(code)),
        // 16 bits: 1110xxxx 10xxxxxx 10xxxxxx
        0x800..=0xFFFF => {
            let lead = 0b1110_0000 | (code >> 12) as u8;
            ([lead, tail(6), tail(0), 0], 3)
        }
        // 21 bits: 11110xxx 10xxxxxx 10xxxxxx 10xxxxxx
        0x1_0000..=CODE_POINT_MAX => {
            let lead = 0b1111_0000 | (code >> 18) as u8;
            ([lead, tail(12), tail(6), tail(0)], 4)
        }
        _ => return Err(NotACharacter::TooLarge(code)),
    };
    Ok(Encoded { bytes, len })
}
// ANCHOR_END: encode

// ANCHOR: truncate
/// The longest beginning of `text` that fits in `bytes_max` bytes.
///
/// A following byte looks like 10xxxxxx, so you walk back (three bytes at
/// most) until the cut no longer stands in front of one.
fn truncate(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut cut = bytes_max;
    while text.as_bytes()[cut] & 0b1100_0000 == 0b1000_0000 {
        cut -= 1;
    }
    &text[..cut]
}
// ANCHOR_END: truncate

/// Bytes in hexadecimal and in binary, as the output shows them.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |form: fn(&u8) -> String| -> String {
            let each: Vec<String> = self.0.iter().map(form).collect();
            each.join(" ")
        };
        let hex = all(|byte| format!("{byte:02x}"));
        let binary = all(|byte| format!("{byte:08b}"));
        write!(f, "{hex:<11}  {binary}")
    }
}

/// How many code points take 1, 2, 3 and 4 bytes, and how many take none.
fn census() -> ([u32; 4], u32) {
    let (mut by_len, mut refused) = ([0; 4], 0);
    for code in 0..=CODE_POINT_MAX {
        match encode(code) {
            Ok(encoded) => by_len[encoded.len - 1] += 1,
            Err(_) => refused += 1,
        }
    }
    (by_len, refused)
}

fn main() -> Result<(), NotACharacter> {
    println!("code     bytes        bits");
    for c in ['A', 'é', '€', '世', '😀'] {
        let code = c as u32;
        let encoded = encode(code)?;
        println!("U+{code:05X}  {}  {c}", Shown(encoded.as_bytes()));
    }

    let (by_len, refused) = census();
    println!("\nbytes   code points");
    for (i, count) in by_len.iter().enumerate() {
        println!("{}  {count:>16}", i + 1);
    }
    println!("total {:>13}", by_len.iter().sum::<u32>());
    println!("refused {refused:>11}  (surrogates)");

    println!("\nat most 8 bytes of");
    let texts = ["password", "naïveté", "Grüße!!!", "世界你好", "😀😀😀"];
    for text in texts {
        let kept = truncate(text, 8);
        let (chars, bytes) = (kept.chars().count(), kept.len());
        println!("  {chars} code points in {bytes} bytes  {kept}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_agrees_with_the_standard_library_on_every_char() {
        for code in 0..=CODE_POINT_MAX {
            match char::from_u32(code) {
                Some(c) => {
                    let mut buffer = [0; 4];
                    let expected = c.encode_utf8(&mut buffer).as_bytes();
                    let ours = encode(code).expect("a char has an encoding");
                    assert_eq!(ours.as_bytes(), expected, "U+{code:04X}");
                }
                None => {
                    let surrogate = NotACharacter::Surrogate(code);
                    assert_eq!(encode(code), Err(surrogate));
                }
            }
        }
        let beyond = CODE_POINT_MAX + 1;
        assert_eq!(encode(beyond), Err(NotACharacter::TooLarge(beyond)));
    }

    #[test]
    fn the_examples_of_rfc_3629_section_7_come_out() {
        // A, NOT IDENTICAL TO, GREEK CAPITAL LETTER ALPHA, full stop
        let codes = [0x41, 0x2262, 0x391, 0x2E];
        let bytes: Vec<u8> = codes
            .iter()
            .flat_map(|&code| encode(code).expect("valid").as_bytes().to_vec())
            .collect();
        assert_eq!(bytes, [0x41, 0xE2, 0x89, 0xA2, 0xCE, 0x91, 0x2E]);
    }

    #[test]
    fn the_first_128_code_points_are_ascii_and_nothing_else_uses_their_bytes() {
        let (by_len, refused) = census();
        assert_eq!(by_len, [128, 1_920, 61_440, 1_048_576]);
        assert_eq!(refused, 2_048);
        for code in 0x80..=CODE_POINT_MAX {
            if let Ok(encoded) = encode(code) {
                assert!(encoded.as_bytes().iter().all(|&byte| byte >= 0x80));
            }
        }
    }

    #[test]
    fn truncating_never_splits_a_character_and_never_gives_up_too_much() {
        let text = "aé世😀".repeat(50);
        for bytes_max in 0..=text.len() + 1 {
            let kept = truncate(&text, bytes_max);
            assert!(kept.len() <= bytes_max && text.starts_with(kept));
            let next = text[kept.len()..].chars().next();
            assert!(next.is_none_or(|c| kept.len() + c.len_utf8() > bytes_max));
        }
    }
}
