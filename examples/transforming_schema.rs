//! Old code reads new data, new code reads old data: ten changes to one record
//! type, in three formats, each tried in both directions.
//!
//! Look for WRONG, the value that arrives without an error and is not the one
//! that was sent. Compare the three formats row by row.
//!
//! Simplified: two types (whole numbers and text) and one record. The tagged
//! format is the wire format of Protocol Buffers; like its C++ parser, ours takes
//! a known number with an unexpected wire type for an unknown field.

use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(u64),
    Text(String),
}

#[derive(Clone, Debug)]
struct Field {
    number: u64,            // the key in tagged data
    name: &'static str,     // the key in JSON
    means: &'static str,    // what people agreed on; no format carries it
    example: Value,         // what code with this schema writes
    default: Option<Value>, // None: required
}

type Schema = Vec<Field>;
type Read = BTreeMap<&'static str, Value>; // by meaning

#[derive(Debug)]
struct Refused;

fn int(i: u64) -> Value {
    Value::Int(i)
}

fn text(s: &str) -> Value {
    Value::Text(s.to_string())
}

impl Field {
    fn parse(&self, s: &str) -> Result<Value, Refused> {
        match self.example {
            Value::Text(_) => Ok(text(s)),
            Value::Int(_) => s.parse().map(Value::Int).map_err(|_| Refused),
        }
    }

    fn or_default(&self, found: Option<Value>) -> Result<Value, Refused> {
        found.or(self.default.clone()).ok_or(Refused)
    }
}

struct Format {
    name: &'static str,
    write: fn(&Schema) -> Vec<u8>,
    read: fn(&Schema, &[u8]) -> Result<Read, Refused>,
}

const FORMATS: [Format; 3] = [
    Format {
        name: "by position",
        write: write_row,
        read: read_row,
    },
    Format {
        name: "by name",
        write: write_json,
        read: read_json,
    },
    Format {
        name: "by number",
        write: write_tagged,
        read: read_tagged,
    },
];

/// `7,Ada,1250,ring twice`: like a CSV row without its header.
fn write_row(schema: &Schema) -> Vec<u8> {
    let cell = |field: &Field| match &field.example {
        Value::Int(i) => i.to_string(),
        Value::Text(s) => s.clone(),
    };
    let cells: Vec<String> = schema.iter().map(cell).collect();
    cells.join(",").into_bytes()
}

fn read_row(schema: &Schema, bytes: &[u8]) -> Result<Read, Refused> {
    let row = std::str::from_utf8(bytes).map_err(|_| Refused)?;
    let mut cells = row.split(',');
    let mut read = Read::new();
    for field in schema {
        let found = cells.next().map(|cell| field.parse(cell)).transpose()?;
        read.insert(field.means, field.or_default(found)?);
    }
    Ok(read) // cells that are left over are ignored
}

/// `{"id":7,"customer":"Ada","cents":1250,"note":"ring twice"}`
fn write_json(schema: &Schema) -> Vec<u8> {
    let member = |field: &Field| match &field.example {
        Value::Int(i) => (field.name.to_string(), Json::from(*i)),
        Value::Text(s) => (field.name.to_string(), Json::from(s.clone())),
    };
    let object: Map<String, Json> = schema.iter().map(member).collect();
    Json::from(object).to_string().into_bytes()
}

fn read_json(schema: &Schema, bytes: &[u8]) -> Result<Read, Refused> {
    let json: Json = serde_json::from_slice(bytes).map_err(|_| Refused)?;
    let mut read = Read::new();
    for field in schema {
        let found = match (json.get(field.name), &field.example) {
            (None, _) => None,
            (Some(Json::String(s)), Value::Text(_)) => Some(text(s)),
            (Some(n), Value::Int(_)) => Some(int(n.as_u64().ok_or(Refused)?)),
            _ => return Err(Refused),
        };
        read.insert(field.means, field.or_default(found)?);
    }
    Ok(read) // names that nobody asked for are ignored
}

/// Before each value its key: the field's number times 8, plus 0 if a varint
/// follows, 2 if a length and so many bytes do.
fn write_tagged(schema: &Schema) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in schema {
        match &field.example {
            Value::Int(i) => {
                varint(field.number << 3, &mut bytes);
                varint(*i, &mut bytes);
            }
            Value::Text(s) => {
                varint(field.number << 3 | 2, &mut bytes);
                varint(s.len() as u64, &mut bytes);
                bytes.extend(s.as_bytes());
            }
        }
    }
    bytes
}

// ANCHOR: number
/// Each value has its key in front: the field's number times 8, plus 0 if a
/// varint follows, 2 if a length and so many bytes do.
fn read_tagged(schema: &Schema, mut bytes: &[u8]) -> Result<Read, Refused> {
    let mut found = BTreeMap::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let number = take_varint(&mut bytes)?; // the value or its length
        let value = match key & 7 {
            0 => int(number),
            2 => {
                let len = usize::try_from(number).map_err(|_| Refused)?;
                let (s, rest) = bytes.split_at_checked(len).ok_or(Refused)?;
                bytes = rest;
                text(std::str::from_utf8(s).map_err(|_| Refused)?)
            }
            _ => return Err(Refused),
        };
        found.insert(key, value); // the wire type tells how far to skip
    }
    let mut read = Read::new();
    for field in schema {
        let wire_type = u64::from(matches!(field.example, Value::Text(_))) * 2;
        let found = found.remove(&(field.number << 3 | wire_type));
        read.insert(field.means, field.or_default(found)?);
    }
    Ok(read) // numbers that nobody asked for are ignored
}
// ANCHOR_END: number

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(mut i: u64, bytes: &mut Vec<u8>) {
    while i > 127 {
        bytes.push(i as u8 | 128);
        i >>= 7;
    }
    bytes.push(i as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, Refused> {
    let mut i = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Refused)?;
        *bytes = rest;
        i |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok(i);
        }
    }
    Err(Refused)
}

// ANCHOR: judge
/// The reader must get what the writer meant, or its default where the writer's
/// schema has nothing of that meaning.
fn judge(format: &Format, writer: &Schema, reader: &Schema) -> &'static str {
    let Ok(read) = (format.read)(reader, &(format.write)(writer)) else {
        return "error";
    };
    let right = |field: &Field| {
        let sent = writer.iter().any(|w| w.means == field.means);
        let nothing = field.default.clone().filter(|_| !sent);
        read[field.means] == nothing.unwrap_or(field.example.clone())
    };
    ["WRONG", "ok"][usize::from(reader.iter().all(right))]
}
// ANCHOR_END: judge

/// A new field: what it means is what its first name says.
fn field(
    number: u64,
    name: &'static str,
    example: Value,
    default: Option<Value>,
) -> Field {
    Field {
        number,
        name,
        means: name,
        example,
        default,
    }
}

fn version_1() -> Schema {
    vec![
        field(1, "id", int(7), None),
        field(2, "customer", text("Ada"), None),
        field(3, "cents", int(1250), Some(int(0))),
        field(4, "note", text("ring twice"), Some(text(""))),
    ]
}

// ANCHOR: changes
type Change = (&'static str, fn(&mut Schema));
const CHANGES: [Change; 10] = [
    ("add at the end, default", |s| {
        s.push(city(5, Some(text(""))))
    }),
    ("add at the end, required", |s| s.push(city(5, None))),
    ("add before the last", |s| {
        s.insert(3, city(5, Some(text(""))))
    }),
    ("remove, had a default", |s| drop(s.pop())),
    ("remove, was required", |s| drop(s.remove(1))),
    ("swap two places", |s| s.swap(1, 3)),
    ("rename", |s| s[3].name = "comment"),
    ("use an old number again", |s| {
        s[3] = city(4, Some(text("")))
    }),
    ("number becomes text", |s| {
        s[2].example = text("1250");
        s[2].default = Some(text("0"));
    }),
    ("cents become euros", |s| {
        s[2].means = "price in euros";
        s[2].example = int(12);
    }),
];
// ANCHOR_END: changes

fn city(number: u64, default: Option<Value>) -> Field {
    field(number, "city", text("Bern"), default)
}

/// Backward: new code reads old data. Forward: old code reads new data.
fn both_ways(format: &Format, change: fn(&mut Schema)) -> [&'static str; 2] {
    let (old, mut new) = (version_1(), version_1());
    change(&mut new);
    [judge(format, &old, &new), judge(format, &new, &old)]
}

fn main() {
    let heading = FORMATS.map(|format| format!("{:<14}", format.name));
    println!("{:<26}{}", "", heading.concat().trim_end());
    println!(
        "{:<26}{}",
        "",
        "back.  forw.  ".repeat(FORMATS.len()).trim_end()
    );
    for (name, change) in CHANGES {
        let cells = FORMATS.map(|format| both_ways(&format, change));
        let cells = cells
            .concat()
            .iter()
            .map(|cell| format!("{cell:<7}"))
            .collect::<String>();
        println!("{name:<26}{}", cells.trim_end());
    }
    println!();
    for format in FORMATS {
        println!(
            "{:<12} {:>2} bytes",
            format.name,
            (format.write)(&version_1()).len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(change: &str) -> Vec<&'static str> {
        let found = CHANGES.iter().find(|(name, _)| *name == change);
        let (_, change) = found.expect("the change is in the table");
        FORMATS.map(|format| both_ways(&format, *change)).concat()
    }

    #[test]
    fn without_a_change_every_format_works() {
        for format in FORMATS {
            assert_eq!(both_ways(&format, |_| ()), ["ok", "ok"]);
        }
    }

    #[test]
    fn a_new_field_with_a_default_at_the_end_is_safe_everywhere() {
        assert!(row("add at the end, default")
            .iter()
            .all(|cell| *cell == "ok"));
    }

    #[test]
    fn a_new_required_field_breaks_new_code_on_old_data_only() {
        let cells = row("add at the end, required");
        assert_eq!(cells, ["error", "ok", "error", "ok", "error", "ok"]);
    }

    #[test]
    fn each_format_is_silently_wrong_where_its_own_key_moves() {
        let wrong = |change| {
            let cells = row(change);
            let wrong = cells.chunks(2).map(|both| both == ["WRONG", "WRONG"]);
            wrong.collect::<Vec<_>>()
        };
        assert_eq!(wrong("swap two places"), [true, false, false]);
        assert_eq!(wrong("rename"), [false, true, false]);
        assert_eq!(wrong("use an old number again"), [true, false, true]);
        assert_eq!(wrong("cents become euros"), [true, true, true]);
    }

    #[test]
    fn tagged_bytes_are_those_of_protocol_buffers() {
        let schema = vec![field(1, "a", int(150), None)];
        assert_eq!(write_tagged(&schema), [0x08, 0x96, 0x01]);
        let schema = vec![field(2, "b", text("testing"), None)];
        assert_eq!(write_tagged(&schema), b"\x12\x07testing");
        let schema = vec![field(3, "c", int(300), None)];
        assert_eq!(write_tagged(&schema), [0x18, 0xAC, 0x02]);
    }

    #[test]
    fn a_number_with_another_type_is_an_unknown_field() {
        let mut new = version_1();
        new[2] = field(3, "cents", text("1250"), Some(text("0")));
        let read = read_tagged(&new, &write_tagged(&version_1()));
        assert_eq!(read.expect("it is skipped")["cents"], text("0"));
    }

    #[test]
    fn no_cut_and_no_flipped_bit_makes_a_reader_panic() {
        for format in FORMATS {
            let good = (format.write)(&version_1());
            for i in 0..good.len() * 8 {
                let _ = (format.read)(&version_1(), &good[..i / 8]);
                let mut bad = good.clone();
                bad[i / 8] ^= 1 << (i % 8);
                let _ = (format.read)(&version_1(), &bad);
            }
        }
    }
}
