//! One price, from a server to a client, in four wrappings: the bytes of each.
//!
//! Look at what stands around the message. An HTTP answer repeats its header every
//! time and needs a question first. An event, a WebSocket frame and a gRPC message
//! follow each other on a stream that was opened once, and cost a few bytes.
//!
//! Simplified: the shortest headers that work (a browser's are hundreds of bytes),
//! one gRPC message in one HTTP/2 frame, and no TLS, which would add its own record
//! around each of these. Opening the connections is not counted here.

const HOST: &str = "prices.example";
const DATE: &str = "Sun, 22 Nov 2026 09:00:00 GMT"; // always 29 characters

struct Tick {
    id: u64,
    symbol: &'static str,
    cents: i64,
}

impl Tick {
    fn json(&self) -> String {
        let Tick { id, symbol, cents } = self;
        format!(r#"{{"id":{id},"symbol":"{symbol}","cents":{cents}}}"#)
    }

    /// uint64 id = 1; string symbol = 2; sint64 cents = 3;
    fn protobuf(&self) -> Vec<u8> {
        let mut out = vec![1 << 3];
        varint(self.id, &mut out);
        out.extend([2 << 3 | 2, self.symbol.len() as u8]);
        out.extend(self.symbol.bytes());
        out.push(3 << 3);
        varint((self.cents << 1 ^ self.cents >> 63) as u64, &mut out);
        out
    }
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

// ANCHOR: http
/// The client asks, every time.
fn question(id: u64) -> String {
    format!("GET /ticks/{id} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
         content-length: {}\r\ndate: {DATE}\r\n\r\n{body}",
        body.len()
    )
}

/// A server-sent event: lines of `field: value`, ended by an empty one. It is a
/// piece of one endless answer, and HTTP/1.1 writes its length before each piece.
fn event(id: u64, data: &str) -> String {
    let event = format!("id: {id}\ndata: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}
// ANCHOR_END: http

// ANCHOR: websocket
const TEXT: u8 = 1;
const LAST_FRAGMENT: u8 = 0x80;

/// A frame goes in either direction; only a client's is masked.
fn frame(kind: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    let mut out = vec![LAST_FRAGMENT | kind];
    match payload.len() {
        n @ 0..=125 => out.push(mask_bit | n as u8),
        n @ 126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(mask_bit | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default(); // XOR with zeros changes nothing
    out.extend(mask.iter().flatten());
    out.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, k)| byte ^ k),
    );
    out
}
// ANCHOR_END: websocket

// ANCHOR: grpc
/// gRPC writes five bytes before a message, HTTP/2 nine before that. The stream's
/// number is why many calls can share one connection.
fn grpc(stream: u32, message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    let frame_length = (message.len() as u32 + 5).to_be_bytes();
    let mut out = frame_length[1..].to_vec(); // 24 bits
    out.extend([0, 0]); // a frame of data, no flags
    out.extend(stream.to_be_bytes());
    out.push(0); // not compressed
    out.extend(length);
    out.extend(message);
    out
}
// ANCHOR_END: grpc

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    bytes.join(" ")
}

fn main() {
    let tick = Tick {
        id: 42,
        symbol: "RUST",
        cents: 10_054,
    };
    let (json, protobuf) = (tick.json(), tick.protobuf());
    println!("{json}");
    println!(
        "{} bytes as JSON, {} as Protocol Buffers\n",
        json.len(),
        protobuf.len()
    );
    println!("                          to the server  to the client");
    let row = |what: &str, up: usize, down: usize| {
        println!("{what:<25} {up:>13} {down:>14}");
    };
    row(
        "HTTP, asked each time",
        question(42).len(),
        answer(&json).len(),
    );
    row("server-sent event", 0, event(42, &json).len());
    let (to_client, mask) = (frame(TEXT, json.as_bytes(), None), [7, 1, 8, 2]);
    let to_server = frame(TEXT, json.as_bytes(), Some(mask));
    row("WebSocket, from server", 0, to_client.len());
    row("WebSocket, from client", to_server.len(), 0);
    let message = grpc(1, &protobuf);
    row("gRPC, from server", 0, message.len());

    println!("\nWebSocket frame, header: {}", hex(&to_client[..2]));
    println!("the same from a client:  {}", hex(&to_server[..6]));
    println!("gRPC message, HTTP/2:    {}", hex(&message[..9]));
    println!("  its prefix:            {}", hex(&message[9..14]));
    println!("  the price:             {}", hex(&message[14..]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_frame_is_the_one_of_rfc_6455() {
        // The examples of section 5.7.
        let hello = frame(TEXT, b"Hello", None);
        assert_eq!(hex(&hello), "81 05 48 65 6c 6c 6f");
        let masked = frame(TEXT, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(hex(&masked), "81 85 37 fa 21 3d 7f 9f 4d 51 58");
        assert_eq!(frame(2, &[0; 256], None)[..4], [0x82, 0x7e, 1, 0]);
        let large = frame(2, &[0; 65_536], None);
        assert_eq!(large[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_websocket_header_takes_2_to_14_bytes() {
        let header = |n: usize, mask| frame(TEXT, &vec![0; n], mask).len() - n;
        let sizes = [0, 125, 126, 65_535, 65_536];
        assert_eq!(sizes.map(|n| header(n, None)), [2, 2, 4, 4, 10]);
        assert_eq!(sizes.map(|n| header(n, Some([1; 4]))), [6, 6, 8, 8, 14]);
    }

    #[test]
    fn masking_twice_gives_the_payload_back() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let key: [u8; 4] = std::array::from_fn(|_| rng.u8(..));
            let payload: Vec<u8> =
                (0..rng.usize(..126)).map(|_| rng.u8(..)).collect();
            let sent = frame(TEXT, &payload, Some(key));
            let read = frame(TEXT, &sent[6..], Some(key));
            assert_eq!(read[6..], payload, "seed {seed}");
        }
    }

    #[test]
    fn an_event_ends_with_an_empty_line_and_a_grpc_message_has_its_length_twice() {
        assert_eq!(event(7, "x"), "f\r\nid: 7\ndata: x\n\n\r\n"); // f is 15
        let message = "00 00 07 00 00 00 00 00 03 00 00 00 00 02 68 69";
        assert_eq!(hex(&grpc(3, b"hi")), message);
    }

    #[test]
    fn what_surrounds_a_message_shrinks_from_poll_to_event_to_frame() {
        for id in [1, 42, 1_000_000] {
            let json = r#"{"id":1,"symbol":"RUST","cents":10150}"#;
            let poll = question(id).len() + answer(json).len();
            let event = event(id, json).len();
            let frame = frame(TEXT, json.as_bytes(), None).len();
            assert!(poll > 3 * event && event > frame);
        }
    }
}
