//! An old client meets a new server: which changes of an interface break it?
//!
//! A response is written by the new server and read by the old client; a request
//! is written by the old client and read by the new server. Each row changes the
//! schema of a message, and each column says whether the old client still works.
//! Look at the rows with one `ok`: the same change, harmless in one direction.
//!
//! The table is not typed in: it is tried on random messages. Simplified: fields
//! are numbers or one of a few words, and messages do not nest.

use std::collections::{BTreeMap, BTreeSet};

// ANCHOR: schema
#[derive(Clone, Debug, PartialEq, Eq)]
enum Type {
    Number,
    OneOf(BTreeSet<&'static str>),
}

/// What a message may contain: each field, its type, and whether it must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Schema {
    fields: BTreeMap<&'static str, (Type, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(i64),
    Word(&'static str),
}

type Message = BTreeMap<&'static str, Value>;

/// How a reader takes a field that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Tolerant, // leaves it alone
    Strict,   // refuses the message
}

impl Schema {
    /// Can a program that was written for this schema read `message`?
    fn read(&self, message: &Message, reader: Reader) -> Result<(), String> {
        for (name, (kind, required)) in &self.fields {
            match (message.get(name), kind) {
                (None, _) if *required => {
                    return Err(format!("`{name}` is missing"))
                }
                (None, _) | (Some(Value::Number(_)), Type::Number) => {}
                (Some(Value::Word(word)), Type::OneOf(words))
                    if words.contains(word) => {}
                (Some(value), _) => return Err(format!("`{name}` is {value:?}")),
            }
        }
        let unknown = message.keys().find(|name| !self.fields.contains_key(*name));
        match (unknown, reader) {
            (Some(name), Reader::Strict) => Err(format!("`{name}` is not known")),
            _ => Ok(()),
        }
    }

    /// Some message that a program written for this schema may write.
    fn write(&self, rng: &mut fastrand::Rng) -> Message {
        let mut message = Message::new();
        for (name, (kind, required)) in &self.fields {
            if *required || rng.bool() {
                let value = match kind {
                    Type::Number => Value::Number(rng.i64(0..1_000)),
                    Type::OneOf(words) => {
                        let nth = rng.usize(0..words.len());
                        Value::Word(words.iter().nth(nth).copied().unwrap_or(""))
                    }
                };
                message.insert(name, value);
            }
        }
        message
    }
}
// ANCHOR_END: schema

fn order() -> Schema {
    let state = Type::OneOf(BTreeSet::from(["paid", "sent"]));
    Schema {
        fields: BTreeMap::from([
            ("id", (Type::Number, true)),
            ("state", (state, true)),
            ("total", (Type::Number, true)),
            ("note", (Type::Number, false)),
        ]),
    }
}

type Change = (&'static str, fn(&mut Schema));

// ANCHOR: changes
const CHANGES: [Change; 10] = [
    ("nothing", |_| {}),
    ("add an optional field", |s| {
        put(s, "gift", Type::Number, false)
    }),
    ("add a required field", |s| {
        put(s, "gift", Type::Number, true)
    }),
    ("remove an optional field", |s| {
        drop(s.fields.remove("note"))
    }),
    ("remove a required field", |s| {
        drop(s.fields.remove("total"))
    }),
    ("rename a required field", |s| {
        s.fields.remove("total");
        put(s, "sum", Type::Number, true);
    }),
    ("rename an optional field", |s| {
        s.fields.remove("note");
        put(s, "text", Type::Number, false);
    }),
    ("require what was optional", |s| {
        put(s, "note", Type::Number, true)
    }),
    ("allow one more word", |s| put(s, "state", words(3), true)),
    ("allow one word less", |s| put(s, "state", words(1), true)),
];
// ANCHOR_END: changes

fn put(schema: &mut Schema, name: &'static str, kind: Type, required: bool) {
    schema.fields.insert(name, (kind, required));
}

fn words(count: usize) -> Type {
    Type::OneOf(["paid", "sent", "lost"].into_iter().take(count).collect())
}

// ANCHOR: verdict
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Response, // new server writes, old client reads
    Request,  // old client writes, new server reads
}

/// Tries many messages of the writer on the reader: `Err` is what the first that
/// failed was refused for.
fn tried(
    change: fn(&mut Schema),
    direction: Direction,
    reader: Reader,
) -> Result<(), String> {
    let (old, mut new) = (order(), order());
    change(&mut new);
    let (writes, reads) = match direction {
        Direction::Response => (new, old),
        Direction::Request => (old, new),
    };
    let mut rng = fastrand::Rng::with_seed(7);
    (0..1_000).try_for_each(|_| reads.read(&writes.write(&mut rng), reader))
}
// ANCHOR_END: verdict

fn main() {
    let columns = [
        (Direction::Response, Reader::Tolerant),
        (Direction::Request, Reader::Tolerant),
        (Direction::Response, Reader::Strict),
        (Direction::Request, Reader::Strict),
    ];
    println!("{:27}ignores unknown   refuses unknown", "");
    println!("{:27}response request  response request", "the new schema");
    for (name, change) in CHANGES {
        let cells = columns.map(|(direction, reader)| {
            if tried(change, direction, reader).is_ok() {
                "ok"
            } else {
                "breaks"
            }
        });
        let [a, b, c, d] = cells;
        println!("{name:27}{a:9}{b:9}{c:9}{d}");
    }

    println!("\nwhy, for a reader that ignores unknown fields");
    for (name, change) in CHANGES {
        for direction in [Direction::Response, Direction::Request] {
            if let Err(why) = tried(change, direction, Reader::Tolerant) {
                let direction = format!("{direction:?}").to_lowercase();
                println!("{name:27}{direction:9}{why}");
            }
        }
    }

    println!("\n`total` in euros instead of cents");
    println!(
        "the schema is the same; a 12.00 order is shown as {}",
        show(12)
    );
}

/// An old client: it was told that `total` is in cents.
fn show(total: i64) -> String {
    format!("{}.{:02}", total / 100, total % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Request, Response};
    use Reader::{Strict, Tolerant};

    fn change(name: &str) -> fn(&mut Schema) {
        let change = CHANGES.iter().find(|(n, _)| *n == name);
        change.unwrap_or_else(|| panic!("no change `{name}`")).1
    }

    fn works(name: &str, direction: Direction, reader: Reader) -> bool {
        tried(change(name), direction, reader).is_ok()
    }

    #[test]
    fn what_the_writer_promises_more_or_the_reader_asks_less_breaks_nothing() {
        assert!(works("add a required field", Response, Tolerant));
        assert!(works("require what was optional", Response, Tolerant));
        assert!(works("allow one word less", Response, Tolerant));
        assert!(works("allow one more word", Request, Tolerant));
        assert!(works("remove a required field", Request, Tolerant));
    }

    #[test]
    fn the_same_changes_break_the_other_direction() {
        assert!(!works("add a required field", Request, Tolerant));
        assert!(!works("require what was optional", Request, Tolerant));
        assert!(!works("allow one word less", Request, Tolerant));
        assert!(!works("allow one more word", Response, Tolerant));
        assert!(!works("remove a required field", Response, Tolerant));
    }

    #[test]
    fn only_a_rename_breaks_both_directions_of_a_tolerant_reader() {
        for (name, _) in CHANGES {
            let both =
                !works(name, Response, Tolerant) && !works(name, Request, Tolerant);
            assert_eq!(both, name == "rename a required field", "{name}");
        }
    }

    #[test]
    fn a_renamed_optional_field_passes_a_tolerant_reader_and_its_value_is_lost() {
        assert!(works("rename an optional field", Response, Tolerant));
        assert!(works("rename an optional field", Request, Tolerant));
        let mut new = order();
        change("rename an optional field")(&mut new);
        let mut rng = fastrand::Rng::with_seed(1);
        let written: Vec<Message> = (0..100).map(|_| new.write(&mut rng)).collect();
        assert!(written.iter().all(|message| !message.contains_key("note")));
        assert!(written.iter().any(|message| message.contains_key("text")));
    }

    #[test]
    fn optional_fields_may_come_and_go_if_readers_are_tolerant() {
        for direction in [Response, Request] {
            assert!(works("nothing", direction, Tolerant));
            assert!(works("add an optional field", direction, Tolerant));
            assert!(works("remove an optional field", direction, Tolerant));
        }
    }

    #[test]
    fn a_strict_reader_breaks_on_every_added_field() {
        assert!(!works("add an optional field", Response, Strict));
        assert!(works("add an optional field", Request, Strict));
        assert!(!works("remove an optional field", Request, Strict));
    }

    #[test]
    fn what_a_strict_reader_takes_a_tolerant_one_takes_too() {
        for (name, _) in CHANGES {
            for direction in [Response, Request] {
                let strict = works(name, direction, Strict);
                assert!(!strict || works(name, direction, Tolerant), "{name}");
            }
        }
    }

    #[test]
    fn a_change_of_meaning_passes_every_check_and_is_wrong() {
        let mut message = Message::new();
        for (name, value) in [("id", 1), ("total", 12)] {
            message.insert(name, Value::Number(value));
        }
        message.insert("state", Value::Word("paid"));
        assert_eq!(order().read(&message, Strict), Ok(()));
        assert_eq!((show(1_200), show(12)), ("12.00".into(), "0.12".into()));
    }
}
