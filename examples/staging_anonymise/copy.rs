//! What stands in the place of a person's name, address or number; a rule for each
//! column; and the copy that obeys the rules.

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{params_from_iter, types::Value, Connection};
use sha2::Sha256;
use std::collections::BTreeMap;

pub type Failure = Box<dyn std::error::Error>;

pub const TABLES: [&str; 3] = ["customer", "purchase", "ticket"];

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

    /// With a 0 after the country: a German or Austrian number loses its 0 there, so
    /// nobody has this one. Italy's keep theirs. So another country gets no number
    /// until somebody has looked up which of its numbers nobody has.
    pub fn phone(&self, phone: &str) -> Option<String> {
        let country = ["+49", "+43"].into_iter().find(|c| phone.starts_with(c))?;
        let number = self.number("phone", phone) % 100_000_000;
        Some(format!("{country}0{number:08}"))
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

// ANCHOR: rules
#[derive(Clone, Copy)]
pub enum Rule {
    /// A number for a number, the same wherever this kind of key stands.
    Key(&'static str),
    Name,
    Email,
    Phone,
    /// All days of one customer move by the same amount: intervals stay.
    ShiftDays {
        customer: &'static str,
    },
    /// Up to 5 % (or 1 cent) more or less, a different part for each row.
    Jitter {
        row: &'static str,
    },
    /// As many words of as many letters, and none of the old ones.
    Filler,
    /// As it is, and why that is right.
    Keep(&'static str),
}

pub const RULES: [(&str, &str, Rule); 12] = [
    ("customer", "id", Rule::Key("customer")),
    ("customer", "name", Rule::Name),
    ("customer", "email", Rule::Email),
    ("customer", "phone", Rule::Phone),
    (
        "customer",
        "city",
        Rule::Keep("query plans follow its skew"),
    ),
    ("purchase", "id", Rule::Key("purchase")),
    ("purchase", "customer", Rule::Key("customer")),
    (
        "purchase",
        "day",
        Rule::ShiftDays {
            customer: "customer",
        },
    ),
    ("purchase", "cents", Rule::Jitter { row: "id" }),
    ("ticket", "id", Rule::Key("ticket")),
    ("ticket", "email", Rule::Email), // joins customer; no constraint says so
    ("ticket", "body", Rule::Filler),
];
// ANCHOR_END: rules

const SHIFT_DAYS_MAX: u64 = 180;
/// 15 digits are exact even where a language has only floating point.
const KEY_MAX: u64 = 1_000_000_000_000_000;

pub type Row = BTreeMap<String, Value>;

pub fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Integer(number)) => number.to_string(),
        _ => String::new(),
    }
}

// ANCHOR: apply
pub fn apply(rule: Rule, key: &Key, value: &Value, row: &Row) -> Value {
    let text = plain(Some(value));
    let by = |kind: &str, column: &str| key.number(kind, &plain(row.get(column)));
    match (rule, value) {
        (_, Value::Null) | (Rule::Keep(_), _) => value.clone(),
        (Rule::Key(kind), _) => {
            Value::Integer((key.number(kind, &text) % KEY_MAX) as i64)
        }
        (Rule::Name, _) => Value::Text(key.name(&text)),
        (Rule::Email, _) => Value::Text(key.email(&text)),
        (Rule::Phone, _) => key.phone(&text).map_or(Value::Null, Value::Text),
        (Rule::ShiftDays { customer }, Value::Integer(day)) => {
            let days = 1 + by("shift", customer) % SHIFT_DAYS_MAX; // never 0
            Value::Integer(day - days as i64)
        }
        (Rule::Jitter { row }, Value::Integer(cents)) => {
            let thousandths = (1 + by("jitter", row) % 50) as i64;
            let change = (cents * thousandths / 1_000).max(1); // never 0
            let more = by("sign", row) % 2 == 0 || change > *cents;
            Value::Integer(if more { cents + change } else { cents - change })
        }
        (Rule::Filler, _) => {
            let lengths = text.split(' ').map(|word| word.chars().count());
            let lengths: Vec<usize> = lengths.collect();
            Value::Text(key.words("filler", &text, &lengths))
        }
        // Not a number where the rule wants one: nothing goes through unseen.
        (Rule::ShiftDays { .. } | Rule::Jitter { .. }, _) => Value::Null,
    }
}
// ANCHOR_END: apply

fn rules(table: &str, columns: &[String]) -> Result<Vec<Rule>, Failure> {
    let rule = |column: &String| {
        let of = |rule: &&(&str, &str, Rule)| rule.0 == table && rule.1 == column;
        let missing = || format!("no rule for {table}.{column}: nothing copied");
        Ok(RULES.iter().find(of).ok_or_else(missing)?.2)
    };
    columns.iter().map(rule).collect()
}

// ANCHOR: copy
/// All or nothing. A column that somebody added last week has no rule yet, and
/// stops the copy: to forget one is to leak it.
pub fn copy(from: &Connection, to: &Connection, key: &Key) -> Result<(), Failure> {
    let tx = to.unchecked_transaction()?;
    for table in TABLES {
        let mut select = from.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = select.column_names().into_iter();
        let columns: Vec<String> = columns.map(String::from).collect();
        let rules = rules(table, &columns)?;
        let marks = vec!["?"; columns.len()].join(", ");
        let mut insert =
            tx.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let mut old = Row::new();
            for (i, column) in columns.iter().enumerate() {
                old.insert(column.clone(), row.get(i)?);
            }
            let new = columns.iter().zip(&rules);
            let new =
                new.map(|(column, rule)| apply(*rule, key, &old[column], &old));
            insert.execute(params_from_iter(new))?;
        }
    }
    tx.commit()?;
    Ok(())
}
// ANCHOR_END: copy

/// Every cell of a database, with the name of its column.
pub fn cells(db: &Connection) -> Result<Vec<(String, String)>, Failure> {
    let mut cells = Vec::new();
    for table in TABLES {
        let mut select = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1"))?;
        let names = select.column_names().into_iter();
        let names: Vec<String> = names.map(|n| format!("{table}.{n}")).collect();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for (i, name) in names.iter().enumerate() {
                cells.push((name.clone(), plain(Some(&row.get(i)?))));
            }
        }
    }
    Ok(cells)
}
