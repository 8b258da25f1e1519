//! What stands in the place of a person's name, address or number.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

// ANCHOR: number
/// It stays outside staging. Who has it can tell whose row is whose.
pub struct Key<'a>(pub &'a [u8]);

impl Key<'_> {
    /// A number that only the holder of the key can compute. `kind` keeps customer
    /// 7000123 apart from order 7000123.
    pub fn number(&self, kind: &str, value: &str) -> u64 {
        let mac = Hmac::<Sha256>::new_from_slice(self.0);
        let mut mac = mac.expect("a key of any length will do");
        mac.update(kind.as_bytes());
        mac.update(&[0]); // so that "ab" + "c" is not "a" + "bc"
        mac.update(value.as_bytes());
        let hash = mac.finalize().into_bytes();
        hash[..8]
            .iter()
            .fold(0, |n, byte| n << 8 | u64::from(*byte))
    }
}
// ANCHOR_END: number

impl Key<'_> {
    // ANCHOR: contact
    /// `.test` is reserved: no mail to it reaches anybody. Equal domains stay equal,
    /// so that grouping by domain counts the same.
    pub fn email(&self, email: &str) -> String {
        let (_, domain) = email.split_once('@').unwrap_or((email, ""));
        let (user, domain) = (self.number("email", email), self.number("@", domain));
        format!("u{user:016x}@d{:06x}.test", domain >> 40)
    }

    /// As long as the old one, and with a 0 after the country, which no number in
    /// use has: it cannot be dialled.
    pub fn phone(&self, phone: &str) -> String {
        let country = phone.get(..3).unwrap_or("+00");
        format!("{country}0{:08}", self.number("phone", phone) % 100_000_000)
    }
    // ANCHOR_END: contact

    /// Words of these lengths: a vowel, a consonant, a vowel and so on.
    pub fn words(&self, kind: &str, value: &str, lengths: &[usize]) -> String {
        let mut rng = fastrand::Rng::with_seed(self.number(kind, value));
        let letters: [&[u8]; 2] = [b"aeiou", b"bdfgklmnprstvz"];
        let mut letter = |i: usize| {
            let letters = letters[i % 2];
            char::from(letters[rng.usize(..letters.len())])
        };
        let mut word = |length: &usize| (0..*length).map(&mut letter).collect();
        let words: Vec<String> = lengths.iter().map(&mut word).collect();
        words.join(" ")
    }

    pub fn name(&self, name: &str) -> String {
        let words = self.words("name", name, &[4, 6]);
        let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
        words.split(' ').map(upper).collect::<Vec<_>>().join(" ")
    }
}
