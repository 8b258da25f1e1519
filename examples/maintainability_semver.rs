//! What a version number promises: order, and which versions may replace which.
//!
//! Semantic Versioning 2.0.0 orders versions (its section 11), and Cargo reads a
//! requirement such as `1.2.3` as "compatible with 1.2.3". Look at the columns
//! for 0.x: there the second number promises what the first does later.
//!
//! Simplified: no build metadata, no other requirement than Cargo's default one.

use std::cmp::Ordering;
use std::fmt;

// ANCHOR: version
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3], // major, minor, patch
    pre: Vec<Part>,    // of a pre-release, such as `beta.2`
}

/// A part of a pre-release. Numbers come before words: the order of these two
/// lines is the specification's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, false) => Ordering::Greater, // a release, after its pre-releases
            (false, true) => Ordering::Less,
            _ => self.pre.cmp(&other.pre), // part by part, then by length
        })
    }
}
// ANCHOR_END: version

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// ANCHOR: parse
impl Version {
    /// Reads `1.2.3` or `1.2.3-beta.2`.
    fn parse(text: &str) -> Result<Version, String> {
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (text, None),
        };
        let parts: Vec<&str> = numbers.split('.').collect();
        let [major, minor, patch] = parts[..] else {
            return Err(format!("`{text}`: not three numbers"));
        };
        let number = |part: &str| {
            number(part).ok_or_else(|| format!("`{text}`: `{part}` is no number"))
        };
        let numbers = [number(major)?, number(minor)?, number(patch)?];
        let pre =
            pre.map_or(Ok(Vec::new()), |pre| pre.split('.').map(part).collect());
        Ok(Version {
            numbers,
            pre: pre.map_err(|e| format!("`{text}`: {e}"))?,
        })
    }
}

/// Digits without a leading zero.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    (digits && plain).then(|| text.parse().ok()).flatten()
}

fn part(text: &str) -> Result<Part, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match (text.is_empty() || !letters, digits, number(text)) {
        (true, ..) => Err(format!("`{text}` is no part of a pre-release")),
        (_, true, Some(number)) => Ok(Part::Number(number)),
        (_, true, None) => Err(format!("`{text}` is no number")),
        _ => Ok(Part::Word(text.to_owned())),
    }
}
// ANCHOR_END: parse

// ANCHOR: compatible
impl Version {
    /// May Cargo use `self` where a manifest asks for `wanted`? It may if the
    /// first number that is not 0 is the same, and nothing goes back. A
    /// pre-release is used only where one of the same release was asked for.
    fn satisfies(&self, wanted: &Version) -> bool {
        let significant = wanted.numbers.iter().position(|n| *n > 0).unwrap_or(2);
        let promised =
            self.numbers[..=significant] == wanted.numbers[..=significant];
        let asked = !wanted.pre.is_empty() && self.numbers == wanted.numbers;
        promised && self >= wanted && (self.pre.is_empty() || asked)
    }
}
// ANCHOR_END: compatible

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        for (nth, part) in self.pre.iter().enumerate() {
            let dot = if nth == 0 { "-" } else { "." };
            match part {
                Part::Number(number) => write!(f, "{dot}{number}")?,
                Part::Word(word) => write!(f, "{dot}{word}")?,
            }
        }
        Ok(())
    }
}

const WANTED: [&str; 4] = ["1.2.3", "0.2.3", "0.0.3", "2.0.0-beta.2"];
const OFFERED: [&str; 12] = [
    "0.0.3",
    "0.0.4",
    "0.2.2",
    "0.2.3",
    "0.2.9",
    "0.3.0",
    "1.2.2",
    "1.2.3",
    "1.9.0",
    "2.0.0-beta.2",
    "2.0.0-beta.11",
    "2.0.0",
];

fn main() -> Result<(), String> {
    let wanted: Vec<Version> = WANTED
        .into_iter()
        .map(Version::parse)
        .collect::<Result<_, _>>()?;
    print!("{:16}", "asked for");
    wanted.iter().for_each(|w| print!("{:8}", w.to_string()));
    println!();
    for offered in OFFERED {
        let offered = Version::parse(offered)?;
        let cells =
            wanted
                .iter()
                .map(|w| if offered.satisfies(w) { "yes" } else { "." });
        let row: Vec<String> = cells.map(|cell| format!("{cell:8}")).collect();
        println!("{:16}{}", offered.to_string(), row.concat().trim_end());
    }
    let mut names = ["1.10.0", "1.9.0", "1.9.0-rc.1"];
    names.sort();
    println!("\nsorted as words:    {}", names.join(", "));
    let mut versions: Vec<Version> = names
        .into_iter()
        .map(Version::parse)
        .collect::<Result<_, _>>()?;
    versions.sort();
    let sorted: Vec<String> = versions.iter().map(Version::to_string).collect();
    println!("sorted as versions: {}", sorted.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The example of the specification's section 11.
    const ORDER: [&str; 8] = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ];

    #[test]
    fn versions_are_in_the_specifications_order() {
        let after = ["2.0.0", "2.1.0", "2.1.1", "2.1.10"];
        let all: Vec<_> = ORDER.into_iter().chain(after).map(version).collect();
        for (i, one) in all.iter().enumerate() {
            for (j, other) in all.iter().enumerate() {
                assert_eq!(one.cmp(other), i.cmp(&j), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_first_number_that_is_not_zero_is_the_promise() {
        for (wanted, offered, may) in [
            ("1.2.3", "1.9.0", true),
            ("1.2.3", "1.2.2", false),
            ("1.2.3", "2.0.0", false),
            ("0.2.3", "0.2.9", true),
            ("0.2.3", "0.3.0", false),
            ("0.0.3", "0.0.4", false),
            ("0.0.0", "0.0.0", true),
            ("0.0.0", "0.0.1", false),
        ] {
            let found = version(offered).satisfies(&version(wanted));
            assert_eq!(found, may, "{wanted} {offered}");
        }
    }

    #[test]
    fn a_pre_release_is_used_only_by_whoever_asked_for_one_of_that_release() {
        assert!(!version("1.3.0-rc.1").satisfies(&version("1.2.3")));
        assert!(version("2.0.0-beta.11").satisfies(&version("2.0.0-beta.2")));
        assert!(!version("2.1.0-beta.1").satisfies(&version("2.0.0-beta.2")));
        for release in ["2.0.0", "2.1.0"] {
            assert!(version(release).satisfies(&version("2.0.0-beta.2")));
        }
    }

    #[test]
    fn what_is_no_version_is_refused_and_what_is_one_is_printed_as_it_was() {
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.02.3",
            "1.2.x",
            "1.2.3-",
            "1.2.3-a..b",
        ] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
        assert!(Version::parse("1.0.0-beta.02").is_err());
        assert!(Version::parse("1.0.0-bêta").is_err());
        assert!(Version::parse("99999999999999999999.0.0").is_err());
        for good in ORDER.into_iter().chain(OFFERED).chain(["1.0.0-rc-1"]) {
            assert_eq!(version(good).to_string(), good);
        }
    }
}
