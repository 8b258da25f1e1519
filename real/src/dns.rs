//! The smallest DNS client: one question for an IPv4 address, with or without the
//! network of the user for whom a resolver asks (EDNS client subnet, RFC 7871).
//!
//! A message is made and read by hand, so that the option can be seen: 12 bytes of
//! header, the question, and in the additional section an OPT record that holds it.
//! Lengths in an answer are never trusted.
//!
//! May know of nothing in this crate.

use anyhow::{bail, ensure, Context, Result};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const TYPE_A: u16 = 1;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
/// EDNS's option code for a client subnet, and its address family for IPv4.
const CLIENT_SUBNET: u16 = 8;
const FAMILY_IPV4: u16 = 1;
/// The answer that we have room for, in bytes.
const UDP_BYTES_MAX: u16 = 1_232;
/// UDP may lose a message, on loopback too.
const TRIES_MAX: usize = 5;
const TRY_WITHIN: Duration = Duration::from_secs(2);

/// A user's network, as much of it as a resolver tells: `203.0.113.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: Ipv4Addr,
    bits: u8,
}

impl Subnet {
    /// The network of `address` with a prefix of `bits`; what lies behind the prefix
    /// is cut off, since the server must not learn it.
    ///
    /// # Panics
    /// When `bits` is more than 32.
    pub fn new(address: [u8; 4], bits: u8) -> Subnet {
        assert!(bits <= 32, "an IPv4 prefix has at most 32 bits");
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let address = Ipv4Addr::from(u32::from_be_bytes(address) & mask);
        Subnet { address, bits }
    }

    /// As many bytes of the address as the prefix needs.
    fn bytes(self) -> Vec<u8> {
        let used = usize::from(self.bits).div_ceil(8);
        self.address.octets()[..used].to_vec()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.address, self.bits))
    }
}

/// What a name server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, each with the seconds for which it may be kept.
    pub addresses: Vec<(Ipv4Addr, u32)>,
    /// The scope: for users of how long a prefix the answer holds. `None` when the
    /// server did not take part.
    pub scope: Option<u8>,
}

/// Asks `server` for the IPv4 addresses of `name`.
///
/// # Errors
/// When no answer comes within 10 seconds, or one that is no answer to the question.
pub fn ask(
    server: SocketAddr,
    name: &str,
    subnet: Option<Subnet>,
) -> Result<Answer> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("bind")?;
    socket.connect(server).context("connect")?;
    socket.set_read_timeout(Some(TRY_WITHIN)).context("set a timeout")?;
    let mut buffer = [0; UDP_BYTES_MAX as usize];
    for id in 1..=TRIES_MAX as u16 {
        let query = query(id, name, subnet)?;
        // A server that restarts refuses; the next try may find it.
        if socket.send(&query).is_err() {
            continue;
        }
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        // A late answer to an earlier try has another number.
        if buffer[..2] == id.to_be_bytes() {
            return read(&buffer[..length], id)
                .with_context(|| format!("ask {server} for {name}"));
        }
    }
    bail!("{server} does not answer a question for {name}")
}

/// A question for the IPv4 addresses of `name`.
fn query(id: u16, name: &str, subnet: Option<Subnet>) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    // No flags; one question, no answer, no authority, one additional record.
    for field in [id, 0, 1, 0, 0, 1] {
        message.extend(field.to_be_bytes());
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|n| (1..64).contains(n));
        message.push(length.with_context(|| format!("{name} is no name"))?);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([TYPE_A.to_be_bytes(), CLASS_IN.to_be_bytes()].concat());

    let mut option = Vec::new();
    if let Some(subnet) = subnet {
        let address = subnet.bytes();
        option.extend(CLIENT_SUBNET.to_be_bytes());
        option.extend((4 + address.len() as u16).to_be_bytes());
        option.extend(FAMILY_IPV4.to_be_bytes());
        option.extend([subnet.bits, 0]); // the scope is the server's to say
        option.extend(address);
    }
    message.push(0); // the root: an OPT record has no name
    message.extend(TYPE_OPT.to_be_bytes());
    message.extend(UDP_BYTES_MAX.to_be_bytes());
    message.extend([0; 4]);
    message.extend((option.len() as u16).to_be_bytes());
    message.extend(option);
    Ok(message)
}

/// Reads an answer from front to back.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        ensure!(bytes <= self.0.len(), "the message ends early");
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// Skips a name: labels, up to an empty one or a pointer to the rest.
    fn skip_name(&mut self) -> Result<()> {
        loop {
            match self.byte()? {
                0 => return Ok(()),
                pointer if pointer >= 0xc0 => return self.take(1).map(|_| ()),
                length => self.take(usize::from(length)).map(|_| ())?,
            }
        }
    }
}

fn read(message: &[u8], id: u16) -> Result<Answer> {
    let mut reader = Reader(message);
    ensure!(reader.u16()? == id, "an answer to another question");
    let flags = reader.u16()?;
    ensure!(flags & 0x8000 != 0, "a question, not an answer");
    ensure!(flags & 0x0200 == 0, "the answer was cut short");
    ensure!(flags & 0xf == 0, "the server says: error {}", flags & 0xf);
    let questions = reader.u16()?;
    let records = u32::from(reader.u16()?)
        + u32::from(reader.u16()?)
        + u32::from(reader.u16()?);
    for _ in 0..questions {
        reader.skip_name()?;
        reader.take(4)?;
    }
    let mut answer = Answer { addresses: Vec::new(), scope: None };
    for _ in 0..records {
        reader.skip_name()?;
        let (kind, _class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let length = reader.u16()?;
        let data = reader.take(usize::from(length))?;
        match (kind, data) {
            (TYPE_A, &[a, b, c, d]) => {
                answer.addresses.push((Ipv4Addr::new(a, b, c, d), ttl));
            }
            (TYPE_A, _) => bail!("an address of {length} bytes"),
            (TYPE_OPT, options) => answer.scope = scope(options)?,
            _ => (),
        }
    }
    Ok(answer)
}

/// The scope in the options of an OPT record, if there is one.
fn scope(options: &[u8]) -> Result<Option<u8>> {
    let mut reader = Reader(options);
    let mut scope = None;
    while !reader.0.is_empty() {
        let (code, length) = (reader.u16()?, reader.u16()?);
        let data = reader.take(usize::from(length))?;
        if code == CLIENT_SUBNET {
            scope = Some(*data.get(3).context("a client subnet without a scope")?);
        }
    }
    Ok(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u16 = 7;

    /// An answer as a server gives it: the name is a pointer to the question's.
    fn reply(scope: u8) -> Vec<u8> {
        let mut reply = query(ID, "www.geo.example", None).expect("a name");
        let opt = reply.split_off(reply.len() - 11);
        reply[2..8].copy_from_slice(&[0x84, 0, 0, 1, 0, 1]);
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1]);
        reply.extend(&opt[..9]);
        reply.extend([0, 11, 0, 8, 0, 7, 0, 1, 24, scope, 203, 0, 113]);
        reply
    }

    #[test]
    fn a_query_carries_the_prefix_and_not_a_bit_more_of_the_user() {
        let subnet = Subnet::new([203, 0, 113, 77], 20);
        assert_eq!(subnet.to_string(), "203.0.112.0/20");
        let query = query(ID, "a.example", Some(subnet)).expect("a name");
        let option = [0, 8, 0, 7, 0, 1, 20, 0, 203, 0, 112];
        assert!(query.ends_with(&option), "{query:?}");
        assert!(Subnet::new([203, 0, 113, 77], 0).bytes().is_empty());
    }

    #[test]
    fn an_answer_tells_its_address_ttl_and_scope() {
        let answer = read(&reply(16), ID).expect("an answer");
        let address = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(answer.addresses, [(address, 30)]);
        assert_eq!(answer.scope, Some(16));
    }

    #[test]
    fn an_answer_that_is_cut_or_somebody_elses_is_an_error_and_never_a_panic() {
        let whole = reply(24);
        for length in 0..whole.len() {
            assert!(read(&whole[..length], ID).is_err(), "{length} bytes");
        }
        assert!(read(&whole, ID + 1).is_err());
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut broken = whole.clone();
            let place = rng.usize(2..broken.len());
            broken[place] = rng.u8(..);
            let _ = read(&broken, ID);
        }
    }

    #[test]
    fn an_error_of_the_server_is_an_error_here() {
        let mut refused = reply(24);
        refused[3] = 5;
        let error = read(&refused, ID).expect_err("refused");
        assert_eq!(error.to_string(), "the server says: error 5");
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        for name in ["", "a..b", &"x".repeat(64)] {
            assert!(query(ID, name, None).is_err(), "{name}");
        }
    }
}
