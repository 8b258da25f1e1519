//! Is a hash of an e-mail address or a phone number a pseudonym? Count.
//!
//! 2,000 invented customers. An attacker gets the staging database, knows which
//! method made it, and hashes every address and number that people could have.
//! Look at `found`: how many customers' originals he holds afterwards, and at
//! `tries`: the hashes that he computed for all of them together.
//!
//! Simplified: names from two short lists, four mail providers, one country's
//! numbers with 5,000 in use. Real lists are longer, real attackers have graphics
//! cards. SHA-256 is not broken here: the input is guessed, not the hash undone.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

const CUSTOMERS: usize = 2_000;
const NUMBERS: usize = 5_000;
const FIRST: [&str; 20] = [
    "anna", "ben", "clara", "david", "emma", "felix", "greta", "hans", "ida", "jan",
    "karl", "lena", "max", "nora", "otto", "paul", "rosa", "simon", "tina", "ute",
];
const LAST: [&str; 20] = [
    "adler", "bauer", "conrad", "dietz", "engel", "fuchs", "gruber", "huber",
    "imhof", "jung", "koch", "lang", "maier", "neumann", "ott", "pohl", "reiter",
    "sommer", "thoma", "vogel",
];
const PROVIDERS: [&str; 4] = ["mail", "post", "web", "box"];

type Pseudonym = [u8; 8];

fn cut(hash: &[u8]) -> Pseudonym {
    let mut cut = [0; 8];
    cut.copy_from_slice(&hash[..8]);
    cut
}

// ANCHOR: methods
#[derive(Clone, Copy)]
enum Method<'a> {
    /// `sha256(value)`
    Plain,
    /// `sha256(salt + value)`, with one salt for all, stored beside the data:
    /// equal values must stay equal, or no join would work.
    Salted(&'a str),
    /// `hmac(key, value)`, with a key that stays outside staging.
    Keyed(&'a [u8]),
}

fn pseudonym(method: Method, value: &str) -> Pseudonym {
    match method {
        Method::Plain => cut(&Sha256::digest(value)),
        Method::Salted(salt) => cut(&Sha256::digest(format!("{salt}{value}"))),
        Method::Keyed(key) => {
            let mac = Hmac::<Sha256>::new_from_slice(key);
            let mut mac = mac.expect("a key of any length will do");
            mac.update(value.as_bytes());
            cut(&mac.finalize().into_bytes())
        }
    }
}
// ANCHOR_END: methods

fn email(first: usize, last: usize, provider: usize) -> String {
    let (first, last) = (FIRST[first], LAST[last]);
    format!("{first}.{last}@{}.example", PROVIDERS[provider])
}

fn phone(number: usize) -> String {
    format!("+49301{number:06}")
}

/// One in ten has an address that nobody guesses.
fn customers() -> Vec<(String, String)> {
    let mut rng = fastrand::Rng::with_seed(280);
    let mut all = Vec::new();
    for n in 0..CUSTOMERS {
        let (first, last) = (rng.usize(..FIRST.len()), rng.usize(..LAST.len()));
        let address = match n % 10 {
            0 => format!("x{:016x}@box.example", rng.u64(..)),
            _ => email(first, last, rng.usize(..PROVIDERS.len())),
        };
        all.push((address, phone(rng.usize(..NUMBERS))));
    }
    all
}

// ANCHOR: attack
/// Everything that people could have, hashed the same way. Staging's table needs
/// no more than one look-up a row.
fn attack(stolen: &BTreeSet<Pseudonym>, guess: Method) -> (BTreeSet<String>, usize) {
    let mut found = BTreeSet::new();
    let mut dictionary: BTreeMap<Pseudonym, String> = BTreeMap::new();
    let mut add = |value: String| {
        dictionary.insert(pseudonym(guess, &value), value);
    };
    for first in 0..FIRST.len() {
        for last in 0..LAST.len() {
            (0..PROVIDERS.len()).for_each(|p| add(email(first, last, p)));
        }
    }
    (0..NUMBERS).for_each(|number| add(phone(number)));
    for row in stolen {
        found.extend(dictionary.get(row).cloned());
    }
    (found, dictionary.len())
}
// ANCHOR_END: attack

struct Outcome {
    emails: usize,
    phones: usize,
    tries: usize,
}

/// `made` is how staging's data was made, `guess` what the attacker computes.
fn outcome(made: Method, guess: Method) -> Outcome {
    let all = customers();
    let both = |(email, phone): &(String, String)| {
        [pseudonym(made, email), pseudonym(made, phone)]
    };
    let stolen = all.iter().flat_map(both).collect();
    let (found, tries) = attack(&stolen, guess);
    let emails = all
        .iter()
        .filter(|(email, _)| found.contains(email))
        .count();
    let phones = all
        .iter()
        .filter(|(_, phone)| found.contains(phone))
        .count();
    Outcome {
        emails,
        phones,
        tries,
    }
}

const KEY: &[u8] = b"a key that never enters staging";
const ROWS: [(&str, Method, Method); 4] = [
    ("SHA-256", Method::Plain, Method::Plain),
    (
        "SHA-256, one salt",
        Method::Salted("s7"),
        Method::Salted("s7"),
    ),
    (
        "HMAC, key unknown",
        Method::Keyed(KEY),
        Method::Keyed(b"a wrong guess"),
    ),
    ("HMAC, key leaked", Method::Keyed(KEY), Method::Keyed(KEY)),
];

fn main() {
    println!("{CUSTOMERS} customers      e-mails found  phones found   tries\n");
    for (name, made, guess) in ROWS {
        let Outcome {
            emails,
            phones,
            tries,
        } = outcome(made, guess);
        println!("{name:<18} {emails:>14} {phones:>13} {tries:>7}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_hash_gives_back_every_phone_and_nine_of_ten_addresses() {
        let plain = outcome(Method::Plain, Method::Plain);
        assert_eq!((plain.phones, plain.emails), (2_000, 1_800));
    }

    #[test]
    fn one_salt_beside_the_data_costs_the_attacker_no_extra_try() {
        let [plain, salted] = [ROWS[0], ROWS[1]].map(|row| outcome(row.1, row.2));
        assert_eq!(plain.tries, salted.tries);
        assert_eq!(plain.emails, salted.emails);
    }

    #[test]
    fn without_the_key_nothing_is_found_and_with_it_as_much_as_without_a_key() {
        let [unknown, leaked] = [ROWS[2], ROWS[3]].map(|row| outcome(row.1, row.2));
        assert_eq!((unknown.emails, unknown.phones), (0, 0));
        assert_eq!((leaked.emails, leaked.phones), (1_800, 2_000));
    }

    #[test]
    fn hmac_has_the_published_test_value() {
        // RFC 4231, test case 2, the first eight bytes.
        let data = "what do ya want for nothing?";
        let expected = 0x5bdc_c146_bf60_754e_u64.to_be_bytes();
        assert_eq!(pseudonym(Method::Keyed(b"Jefe"), data), expected);
    }
}
