//! One order as XML, JSON and Protocol Buffers, the last written byte by byte.
//!
//! Look first at the sizes, then at what a reader without the schema finds in the
//! 56 bytes: numbers where XML and JSON have names. The last table asks when the
//! smallest format is not the smallest: short fractions, and negative numbers in
//! the wrong type.
//!
//! Simplified: of the wire format only what this message needs (no groups, no
//! maps), XML without declaration or attributes, and nothing is compressed.

use serde_json::{json, Value as Json};

struct Order {
    id: u64,                // field 1, uint64
    customer: &'static str, // field 2, string
    paid: bool,             // field 3, bool
    lines: Vec<Line>,       // field 4, repeated Line; new since last year
}

struct Line {
    sku: &'static str, // field 1, string
    quantity: u32,     // field 2, uint32
    price_cents: i32,  // field 3, int32
}

fn json(order: &Order) -> String {
    let line = |l: &Line| {
        let (sku, quantity, price) = (l.sku, l.quantity, l.price_cents);
        json!({"sku": sku, "quantity": quantity, "price_cents": price})
    };
    let lines: Vec<_> = order.lines.iter().map(line).collect();
    json!({"id": order.id, "customer": order.customer, "paid": order.paid,
           "lines": lines})
    .to_string()
}

fn xml(order: &Order) -> String {
    // Without this, the customer "Ada & Sons" makes the document malformed.
    let text = |s: &str| s.replace('&', "&amp;").replace('<', "&lt;");
    let line = |l: &Line| {
        let (sku, quantity, price) = (text(l.sku), l.quantity, l.price_cents);
        format!(
            "<line><sku>{sku}</sku><quantity>{quantity}</quantity>\
             <price_cents>{price}</price_cents></line>"
        )
    };
    let lines: String = order.lines.iter().map(line).collect();
    let (id, customer, paid) = (order.id, text(order.customer), order.paid);
    format!(
        "<order><id>{id}</id><customer>{customer}</customer>\
         <paid>{paid}</paid>{lines}</order>"
    )
}

// ANCHOR: write
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    /// Seven bits a byte, lowest first; the top bit says that more follow.
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    /// A tag (field number and wire type), then the value. Zero is the default
    /// and is left out.
    fn number(&mut self, field: u64, n: u64) {
        if n != 0 {
            self.varint(field << 3); // wire type 0: a varint follows
            self.varint(n);
        }
    }

    /// Text, a message in the message, or packed numbers: all have a length.
    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2); // wire type 2: a length, then the bytes
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}
// ANCHOR_END: write

// ANCHOR: order
impl Line {
    fn protobuf(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.bytes(1, self.sku.as_bytes());
        to.number(2, u64::from(self.quantity));
        to.number(3, self.price_cents as u64); // the sign fills all 64 bits
        to.0
    }
}

impl Order {
    fn protobuf(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.number(1, self.id);
        to.bytes(2, self.customer.as_bytes());
        to.number(3, u64::from(self.paid));
        for line in &self.lines {
            to.bytes(4, &line.protobuf());
        }
        to.0
    }
}
// ANCHOR_END: order

#[derive(Debug, PartialEq)]
struct Malformed;

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], Malformed> {
        let n = usize::try_from(n).map_err(|_| Malformed)?;
        let (head, rest) = self.0.split_at_checked(n).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut n = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            n |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Malformed) // 64 bits end within ten bytes
    }

    // ANCHOR: read
    /// The wire type alone says where a value ends, known field or not.
    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Bytes(self.take(4)?),
            _ => return Err(Malformed),
        };
        Ok((tag >> 3, value))
    }
}

/// Last year's program: an order had no lines then.
#[derive(Debug, Default, PartialEq)]
struct OldOrder {
    id: u64,
    customer: String,
    paid: bool,
}

impl OldOrder {
    fn read(bytes: &[u8]) -> Result<OldOrder, Malformed> {
        let (mut order, mut from) = (OldOrder::default(), Reader(bytes));
        while !from.0.is_empty() {
            match from.field()? {
                (1, Value::Number(id)) => order.id = id,
                (2, Value::Bytes(name)) => order.customer = text(name)?,
                (3, Value::Number(paid)) => order.paid = paid != 0,
                _ => {} // from a newer program: skipped, no error
            }
        }
        Ok(order)
    }
}
// ANCHOR_END: read

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

fn visible(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' {
        char::from(byte)
    } else {
        '.'
    }
}

/// What anyone can read out of a message without its schema.
fn print_fields(bytes: &[u8]) -> Result<(), Malformed> {
    let mut from = Reader(bytes);
    while !from.0.is_empty() {
        let before = from.0.len();
        let (number, value) = from.field()?;
        let took = before - from.0.len();
        let value = match value {
            Value::Number(n) => n.to_string(),
            Value::Bytes(bytes) => bytes.iter().map(|&b| visible(b)).collect(),
        };
        println!("{number:>7} {took:>6}   {value}");
    }
    Ok(())
}

fn example() -> Order {
    let line = |sku, quantity, price_cents| Line {
        sku,
        quantity,
        price_cents,
    };
    Order {
        id: 9_007_199_254_740_993, // 2^53 + 1
        customer: "Ada & Sons",
        paid: true,
        lines: vec![line("tea", 2, 450), line("gift", 1, -500)], // a voucher
    }
}

/// One field with 1,000 of a kind: what, bytes in JSON and in Protocol Buffers.
fn lists() -> [(&'static str, usize, usize); 5] {
    let list = |what, json: Json, packed: &dyn Fn(&mut Writer)| {
        let (mut values, mut message) = (Writer::default(), Writer::default());
        (0..1000).for_each(|_| packed(&mut values));
        message.bytes(1, &values.0);
        let json = json!({"values": json}).to_string();
        (what, json.len(), message.0.len())
    };
    let thousand = |n: Json| Json::from(vec![n; 1000]);
    let letters = json!("x".repeat(1000));
    [
        list("123456 as uint32", thousand(json!(123_456)), &|to| {
            to.varint(123_456)
        }),
        list("21.5 as double", thousand(json!(21.5)), &|to| {
            to.0.extend(21.5_f64.to_le_bytes()) // always eight
        }),
        list("-1 as int32", thousand(json!(-1)), &|to| {
            to.varint(-1_i64 as u64)
        }),
        list("-1 as sint32, zigzag", thousand(json!(-1)), &|to| {
            to.varint(1)
        }),
        list("letters of one text", letters, &|to| to.0.push(b'x')),
    ]
}

fn main() -> Result<(), Malformed> {
    let order = example();
    let message = order.protobuf();
    println!("one order              bytes");
    println!("  XML               {:>8}", xml(&order).len());
    println!("  JSON              {:>8}", json(&order).len());
    println!("  Protocol Buffers  {:>8}", message.len());

    println!("\n  field  bytes   found without the schema");
    print_fields(&message)?;
    println!("\nlast year's program reads of it");
    println!("  {:?}", OldOrder::read(&message)?);

    println!("\n1,000 of a kind         JSON  Protocol Buffers");
    for (what, json, protobuf) in lists() {
        println!("  {what:<20} {json:>5} {protobuf:>17}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_encoding_guide() {
        let mut message = Writer::default();
        message.number(1, 150);
        assert_eq!(message.0, [0x08, 0x96, 0x01]);
        let mut message = Writer::default();
        message.bytes(2, b"testing");
        assert_eq!(message.0, *b"\x12\x07testing");
    }

    #[test]
    fn the_bytes_are_those_of_a_real_library() {
        // The same constant stands beside that library in protocols/tests/claims.rs.
        let message = example().protobuf();
        let hex: String = message.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "088180808080808010120a41646120262053\
             6f6e731801220a0a03746561100218c20322130a0467696674\
             1001188cfcffffffffffffff01"
        );
    }

    #[test]
    fn a_reader_skips_whatever_fields_a_newer_program_adds() {
        let order = example().protobuf();
        let old = OldOrder {
            id: 9_007_199_254_740_993,
            customer: "Ada & Sons".to_owned(),
            paid: true,
        };
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut message = Writer::default();
            for part in [&[][..], &order, &[]] {
                message.0.extend(part);
                let field = rng.u64(5..1000);
                let (wire_type, fixed) = [(1, 8), (5, 4)][rng.usize(..2)];
                match rng.u8(..3) {
                    0 => message.number(field, rng.u64(1..)),
                    1 => message.bytes(field, &vec![7; rng.usize(..300)]),
                    _ => {
                        message.varint(field << 3 | wire_type);
                        message.0.extend(vec![0xff; fixed]);
                    }
                }
            }
            assert_eq!(OldOrder::read(&message.0).as_ref(), Ok(&old), "seed {seed}");
        }
    }

    #[test]
    fn a_cut_message_may_read_as_complete_because_it_has_no_end_mark() {
        let message = example().protobuf();
        let read = |n: &usize| OldOrder::read(&message[..*n]).is_ok();
        let complete: Vec<usize> = (0..message.len()).filter(read).collect();
        assert_eq!(complete, [0, 9, 21, 23, 35]); // cut between two fields
        let endless_varint = [&[0x08][..], &[0xff; 20]].concat();
        assert_eq!(OldOrder::read(&endless_varint), Err(Malformed));
        assert_eq!(OldOrder::read(&[0x12, 0xff, 0xff, 0x7f]), Err(Malformed));
    }

    #[test]
    fn protocol_buffers_beat_json_for_integers_and_names_not_for_everything() {
        let [integers, doubles, negative, zigzag, text] = lists();
        assert!(integers.2 * 2 < integers.1 && zigzag.2 * 2 < zigzag.1);
        assert!(doubles.1 < doubles.2, "a short fraction is shorter as text");
        assert!(negative.1 < negative.2);
        assert!(negative.2 > 10_000, "-1 as int32 takes ten bytes");
        assert!(text.1 * 100 < text.2 * 102, "text is text in any format");
    }
}
