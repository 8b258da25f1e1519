//! The log: one record after the other, nothing ever changed in place.

pub const PAYLOAD_BYTES_MAX: usize = 1 << 16;
const HEADER_BYTES: usize = 8; // length 4, checksum 4

/// Where the bytes go: a real file, or the simulated disk.
pub trait File {
    type Error;
    /// Appends. The bytes are on their way, not more.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

// ANCHOR: record
/// length | checksum of length and payload | payload, in two writes
pub fn append<F: File>(file: &mut F, payload: &[u8]) -> Result<(), F::Error> {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "the caller's mistake");
    let length = (payload.len() as u32).to_le_bytes();
    let checksum = crc32(&[&length, payload]).to_le_bytes();
    file.write(&[length, checksum].concat())?;
    file.write(payload)
}

/// CRC-32 over several pieces, bit by bit.
pub fn crc32(pieces: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in pieces.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _bit in 0..8 {
            crc = (crc >> 1) ^ ((crc & 1) * 0xEDB8_8320);
        }
    }
    !crc
}
// ANCHOR_END: record

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Length, // what a first version does
    Checksum,
}

// ANCHOR: recover
/// The records up to the first that is not whole, and where they end. What
/// stands behind was never acknowledged: cut it off before you append.
pub fn recover(bytes: &[u8], check: Check) -> (Vec<Vec<u8>>, usize) {
    let (mut records, mut end) = (Vec::new(), 0);
    while let Some(payload) = decode(&bytes[end..], check) {
        end += HEADER_BYTES + payload.len();
        records.push(payload.to_vec());
    }
    (records, end)
}

fn decode(bytes: &[u8], check: Check) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let payload_bytes = u32::from_le_bytes(*length) as usize;
    if payload_bytes > PAYLOAD_BYTES_MAX {
        return None; // do not believe a length before you have checked it
    }
    let payload = rest.get(..payload_bytes)?;
    let is_whole = match check {
        Check::Length => payload_bytes > 0,
        Check::Checksum => {
            crc32(&[length, payload]) == u32::from_le_bytes(*checksum)
        }
    };
    is_whole.then_some(payload)
}
// ANCHOR_END: recover

#[cfg(test)]
mod tests {
    use super::*;

    impl File for Vec<u8> {
        type Error = std::convert::Infallible;
        fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
            self.extend(bytes);
            Ok(())
        }
    }

    fn log(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for payload in payloads {
            let Ok(()) = append(&mut file, payload);
        }
        file
    }

    fn payloads(rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
        let bytes = |rng: &mut fastrand::Rng| {
            let length = rng.usize(0..40);
            (0..length).map(|_| rng.u8(..)).collect()
        };
        (0..rng.usize(0..6)).map(|_| bytes(rng)).collect()
    }

    #[test]
    fn the_checksum_is_the_usual_crc_32() {
        assert_eq!(crc32(&[b"12345", b"6789"]), 0xCBF4_3926);
    }

    #[test]
    fn a_log_cut_after_any_byte_yields_the_records_before_the_cut() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..50 {
            let payloads = payloads(&mut rng);
            let bytes = log(&payloads);
            for cut in 0..=bytes.len() {
                let (found, end) = recover(&bytes[..cut], Check::Checksum);
                assert_eq!(found, payloads[..found.len()]);
                assert_eq!(bytes[..end], log(&found));
                let next = payloads.get(found.len());
                assert!(next.is_none_or(|n| end + HEADER_BYTES + n.len() > cut));
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_never_returned_as_data() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..20 {
            let payloads = payloads(&mut rng);
            let bytes = log(&payloads);
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let (found, _) = recover(&bytes, Check::Checksum);
                assert!(found.len() < payloads.len());
                assert_eq!(found, payloads[..found.len()]);
            }
        }
    }

    #[test]
    fn a_length_above_the_limit_is_not_believed_though_all_is_there() {
        let payload = vec![1; PAYLOAD_BYTES_MAX + 1];
        let length = (payload.len() as u32).to_le_bytes();
        let checksum = crc32(&[&length, &payload]).to_le_bytes();
        let mut bytes = [&length[..], &checksum, &payload].concat();
        assert_eq!(recover(&bytes, Check::Checksum).1, 0);
        bytes = log(&[payload[1..].to_vec()]); // one byte less: at the limit
        assert_eq!(recover(&bytes, Check::Checksum).1, bytes.len());
    }

    #[test]
    fn what_was_cut_off_comes_back_if_the_truncation_is_not_synced() {
        let old = log(&[b"one".into(), b"two".into(), b"three".into()]);
        let mut holed = old.clone();
        let two = log(&[b"one".into()]).len();
        holed[two..two + 4].fill(0); // the power cut left a hole
        let (found, end) = recover(&holed, Check::Checksum);
        assert_eq!((found.len(), end), (1, two));
        let new = log(&[b"TWO".into()]);
        for (truncated, records) in [(true, 2), (false, 3)] {
            let mut medium = holed.clone();
            if truncated {
                medium.truncate(end);
            }
            medium.resize(medium.len().max(end + new.len()), 0);
            medium[end..end + new.len()].copy_from_slice(&new);
            let found = recover(&medium, Check::Checksum).0;
            assert_eq!((found.len(), &found[1][..]), (records, &b"TWO"[..]));
        }
    }

    /// The checksum of nothing is 0: without the length in it, a hole full of
    /// zeros would be a row of empty records.
    #[test]
    fn zeros_are_not_a_record() {
        assert_eq!(crc32(&[b""]), 0);
        assert_eq!(recover(&[0; 64], Check::Checksum), (vec![], 0));
        let empty = log(&[vec![]]);
        assert_eq!(recover(&empty, Check::Checksum), (vec![vec![]], 8));
    }
}
