//! Program: bits_and_bytes_readings
//!
//! One row of bits that the reader flips, with all its readings below. A step adds one.

use std::num::FpCategory;

use fastrand::Rng;

use super::{decode, Bits, NotText};
use crate::figure::{About, Action, Control, Figure, Kind, Setup};
use crate::scene::{Scene, Shape, Tone};

const WIDTHS: [u32; 3] = [8, 16, 32];
/// The places of the actions.
const FLIP: usize = 0;
const NEGATE: usize = 1;
const SHIFT: usize = 2;
const LEFT: f64 = 58.0;
const BIT: f64 = 31.0;
const ROW: f64 = 34.0;

/// The bits, and what happened to them last.
pub struct Lab {
    bits: Bits,
    before: Option<(What, Bits)>,
    reached: [bool; 4],
}

#[derive(Clone, Copy)]
enum What {
    Flipped(u32),
    AddedOne { carry: u32 },
    Negated,
    Shifted,
}

impl Lab {
    fn happened(&mut self, what: What, bits: Bits) {
        let old = std::mem::replace(&mut self.bits, bits);
        self.before = Some((what, old));
        let wrapped = matches!(what, What::AddedOne { .. }) && bits.signed() < old.signed();
        let text = decode(&bits.bytes());
        let now = [
            wrapped,
            matches!(what, What::Flipped(_)) && decode(&old.bytes()).is_ok() && text.is_err(),
            text.is_ok_and(|text| !text.is_ascii()),
            bits.float().is_some_and(f32::is_nan),
        ];
        for (reached, now) in self.reached.iter_mut().zip(now) {
            *reached |= now;
        }
    }

    fn float(&self) -> String {
        match self.bits.float() {
            Some(float) if float.is_nan() => "not a number".to_owned(),
            Some(float) if float.is_infinite() && float > 0.0 => "infinity".to_owned(),
            Some(float) if float.is_infinite() => "-infinity".to_owned(),
            Some(float) => format!("{float:?}"),
            None => "takes 32 bits".to_owned(),
        }
    }

    fn text(&self) -> Result<String, String> {
        match decode(&self.bits.bytes()) {
            Ok(text) => Ok(format!("\u{201c}{}\u{201d}", shown(&text))),
            Err(error) => Err(match error {
                NotText::NoBeginning(at) => format!("byte {} begins no character", at + 1),
                NotText::CutOff(at) => format!("byte {} needs more after it", at + 1),
                NotText::TooLong(at) => format!("byte {} begins too long a form", at + 1),
                NotText::NoCodePoint(at) => format!("byte {} begins no code point", at + 1),
            }),
        }
    }
}

/// The text with a sign for each letter that cannot be seen.
fn shown(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\0'..='\u{1f}' => char::from_u32(0x2400 + letter as u32).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

impl Figure for Lab {
    const ABOUT: &'static About = &About {
        title: "The same bits as two integers, a float and text",
        controls: &[
            Control {
                key: "width",
                label: "Bits",
                kind: Kind::Choice {
                    options: &["8", "16", "32"],
                    value: 2,
                },
            },
            Control {
                key: "start",
                label: "Begin with",
                kind: Kind::Choice {
                    options: &[
                        "the text Rust",
                        "zero",
                        "the largest signed number",
                        "random bits",
                    ],
                    value: 0,
                },
            },
        ],
        actions: &[
            Action {
                label: "Flip a bit",
                button: false,
            },
            Action {
                label: "Negate",
                button: true,
            },
            Action {
                label: "Shift left",
                button: true,
            },
        ],
        goals: &[
            "Add one (a step) and make the signed number smaller.",
            "Flip one bit of a text so that it is no UTF-8 any more.",
            "Make text that is not ASCII.",
            "Make a float that is not a number (NaN).",
        ],
        pace_ms: 500,
        still_acts: &[],
        still_steps: 0,
        steps_max: 2_000,
    };

    fn new(setup: &Setup) -> Self {
        let number = |key| setup.number(Self::ABOUT, key) as usize;
        let width = WIDTHS[number("width")];
        let row = match number("start") {
            0 => u32::from_be_bytes(*b"Rust") >> (32 - width),
            1 => 0,
            2 => u32::MAX >> (33 - width),
            _ => Rng::with_seed(setup.seed).u32(..),
        };
        Lab {
            bits: Bits::new(row, width),
            before: None,
            reached: [false; 4],
        }
    }

    fn step(&mut self) -> bool {
        let (sum, carry) = self.bits.add(Bits::new(1, self.bits.width));
        self.happened(What::AddedOne { carry }, sum);
        true
    }

    fn act(&mut self, action: usize, value: i64) {
        match (action, u32::try_from(value)) {
            (FLIP, Ok(place)) if place < self.bits.width => {
                self.happened(What::Flipped(place), self.bits.flip(place));
            }
            (NEGATE, _) => self.happened(What::Negated, self.bits.negate()),
            (SHIFT, _) => self.happened(What::Shifted, self.bits.shift_left()),
            _ => {}
        }
    }

    fn draw(&self, scene: &mut Scene) {
        let Bits { width, .. } = self.bits;
        let bytes = self.bits.bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let y = index as f64 * ROW;
            let words = format!("byte {}", index + 1);
            scene.add(Shape::words(format!("byte-{index}"), 0.0, y + 7.0, words).small());
            let hex = format!("{byte:02X} hex");
            scene.add(
                Shape::words(format!("hex-{index}"), 0.0, y + 20.0, hex)
                    .small()
                    .strong(),
            );
            for column in 0..8 {
                let place = width - 1 - (8 * index as u32 + column);
                let set = self.bits.at(place) == 1;
                let changed = self
                    .before
                    .is_some_and(|(_, old)| old.at(place) != self.bits.at(place));
                let tone = match (set, changed) {
                    (_, true) => Tone::C,
                    (true, false) => Tone::A,
                    (false, false) => Tone::Plain,
                };
                let digit = if set { "1" } else { "0" };
                let mut bit = Shape::rect(
                    format!("bit-{place}"),
                    LEFT + f64::from(column) * BIT,
                    y,
                    BIT - 4.0,
                    26.0,
                )
                .tone(tone)
                .label(digit)
                .tap(
                    FLIP,
                    place.into(),
                    format!("Bit {place} is {digit}, flip it"),
                );
                if set {
                    bit = bit.strong();
                }
                scene.add(bit);
            }
        }
        let mut y = bytes.len() as f64 * ROW + 4.0;
        if width == 32 {
            // The fields of a float under the bits: sign, exponent, fraction.
            let under = |row: u32| f64::from(row) * ROW + 29.0;
            let from = |column: u32| LEFT + f64::from(column) * BIT;
            let to = |column: u32| from(column) + BIT - 4.0;
            let pieces = [
                (Tone::D, 0, 0, 0),
                (Tone::B, 0, 1, 7),
                (Tone::B, 1, 0, 0),
                (Tone::C, 1, 1, 7),
                (Tone::C, 2, 0, 7),
                (Tone::C, 3, 0, 7),
            ];
            for (tone, row, first, last) in pieces {
                let key = format!("field-{row}-{first}");
                let line = Shape::line(key, from(first), under(row), to(last), under(row));
                scene.add(line.tone(tone).strong());
            }
        }
        let (unsigned, signed) = (self.bits.unsigned(), self.bits.signed());
        let differ = unsigned as i64 != signed;
        let text = self.text();
        let float = self.bits.float().map(f32::classify);
        let readings = [
            ("unsigned", unsigned.to_string(), Tone::Plain),
            (
                "signed",
                signed.to_string(),
                if differ { Tone::B } else { Tone::Plain },
            ),
            (
                "float",
                self.float(),
                match float {
                    None => Tone::Faint,
                    Some(FpCategory::Nan) => Tone::Bad,
                    Some(_) => Tone::Plain,
                },
            ),
            (
                "text",
                text.clone()
                    .unwrap_or_else(|wrong| format!("none: {wrong}")),
                if text.is_ok() { Tone::Good } else { Tone::Bad },
            ),
        ];
        for (name, value, tone) in readings {
            scene.add(Shape::words(format!("name-{name}"), 0.0, y + 12.0, name).small());
            let space = 8.0 * BIT - 4.0;
            scene.add(
                Shape::rect(format!("reading-{name}"), LEFT, y, space, 24.0)
                    .tone(tone)
                    .label(value),
            );
            y += 30.0;
            if name == "float" && width == 32 {
                let (sign, exponent, _) = self.bits.fields();
                let keys = [
                    (Tone::D, LEFT, format!("sign {sign}")),
                    (Tone::B, LEFT + 66.0, format!("exponent {exponent}")),
                    (Tone::C, LEFT + 166.0, "fraction".to_owned()),
                ];
                for (place, (tone, x, words)) in keys.into_iter().enumerate() {
                    let line =
                        Shape::line(format!("legend-{place}"), x, y + 2.0, x + 16.0, y + 2.0);
                    scene.add(line.tone(tone).strong());
                    scene.add(
                        Shape::words(format!("legend-words-{place}"), x + 20.0, y + 2.0, words)
                            .small(),
                    );
                }
                y += 15.0;
            }
        }
        scene.height(y);
        let what = match self.before {
            None => String::new(),
            Some((What::Flipped(place), _)) => {
                format!("Bit {place} is {} now. ", self.bits.at(place))
            }
            Some((What::AddedOne { carry }, old)) => {
                let lost = if carry == 1 {
                    ", and the carry had no place to go"
                } else {
                    ""
                };
                let wrapped = if signed < old.signed() {
                    format!(": as signed, {} became {signed}", old.signed())
                } else {
                    String::new()
                };
                format!("One more{wrapped}{lost}. ")
            }
            Some((What::Negated, _)) => "All bits were flipped and one was added. ".to_owned(),
            Some((What::Shifted, old)) => {
                format!(
                    "Shifted left; the {} at the top is lost. ",
                    old.at(width - 1)
                )
            }
        };
        let integers = if differ {
            format!("Unsigned {unsigned}, signed {signed}")
        } else {
            format!("Unsigned and signed {unsigned}")
        };
        let float = if width == 32 {
            format!(", float {}", self.float())
        } else {
            String::new()
        };
        let text = match text {
            Ok(text) => format!("text {text}"),
            Err(wrong) => format!("no text, since {wrong}"),
        };
        scene.say(format!("{what}{integers}{float}, {text}."));
    }

    fn reached(&self) -> Vec<bool> {
        self.reached.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(width: &str) -> Lab {
        Lab::new(&Setup::new(1).with("width", width))
    }

    fn flip(lab: &mut Lab, places: &[i64]) {
        for place in places {
            lab.act(FLIP, *place);
        }
    }

    #[test]
    fn one_more_than_the_largest_signed_number_is_smaller() {
        let mut lab = lab("0");
        assert_eq!(lab.bits.row, u32::from(b'R'));
        flip(&mut lab, &[0, 2, 3, 5]);
        assert_eq!((lab.bits.signed(), lab.reached[0]), (127, false));
        lab.step();
        assert_eq!((lab.bits.signed(), lab.bits.unsigned()), (-128, 128));
        assert!(lab.reached[0]);
    }

    #[test]
    fn negating_or_shifting_does_not_pass_for_adding_one() {
        let mut lab = lab("0");
        lab.act(NEGATE, 0);
        lab.act(SHIFT, 0);
        flip(&mut lab, &[7]);
        assert!(!lab.reached[0]);
    }

    #[test]
    fn the_top_bit_of_a_letter_breaks_the_text_and_a_following_byte_mends_it() {
        let mut lab = lab("1");
        flip(&mut lab, &[15]);
        assert_eq!(lab.reached, [false, true, false, false]);
        // 11010010 10110101: a letter of Cyrillic
        flip(&mut lab, &[7, 6]);
        assert_eq!(lab.text(), Ok("\u{201c}\u{4b5}\u{201d}".to_owned()));
        assert!(lab.reached[2]);
    }

    #[test]
    fn a_float_whose_exponent_is_all_ones_is_not_a_number() {
        let mut lab = lab("2");
        flip(&mut lab, &[29, 27, 26, 24]);
        assert!(!lab.reached[3]);
        flip(&mut lab, &[23]);
        assert_eq!(
            (lab.bits.fields().1, lab.float()),
            (255, "not a number".to_owned())
        );
        assert!(lab.reached[3]);
    }

    #[test]
    fn counting_from_the_first_bits_reaches_nothing() {
        let mut lab = lab("2");
        for _ in 0..100 {
            lab.step();
        }
        assert_eq!(lab.bits.row, u32::from_be_bytes(*b"Rust") + 100);
        assert_eq!(lab.reached, [false; 4]);
    }

    #[test]
    fn the_picture_shows_the_readings_that_the_program_gives() {
        let mut lab = lab("2");
        for place in [31, 30, 4, 12] {
            flip(&mut lab, &[place]);
            let mut scene = Scene::default();
            lab.draw(&mut scene);
            let svg = scene.still("");
            for reading in [
                lab.bits.unsigned().to_string(),
                lab.bits.signed().to_string(),
                lab.float(),
            ] {
                assert!(svg.contains(&format!(">{reading}<")), "{reading}: {svg}");
            }
            let ones = svg.matches(">1<").count();
            assert_eq!(ones as u32, lab.bits.row.count_ones());
        }
    }

    #[test]
    fn letters_that_cannot_be_seen_get_a_sign() {
        assert_eq!(
            shown("a\n\u{7f}\u{85}\u{e9}"),
            "a\u{240a}\u{2421}\u{fffd}\u{e9}"
        );
    }
}
