//! Encrypted before it leaves the program: the server keeps what it cannot read.
//!
//! Each photo has a data key of its own, made for this one content. The data key
//! is encrypted too ("wrapped"), with a key that never leaves the program, and lies
//! in a small object beside the photo. Look at who notices what: a wrong key is named, a
//! changed byte and a swapped object are refused, and a new key-encryption key
//! rewrites a few bytes instead of all photos.
//!
//! Simplified: the key-encryption keys are in the program's memory; a key service
//! would keep them and do the wrapping. Two objects are not written in one step.
//! An old photo put back with its old key is not noticed.

use aes_gcm::aead::{Aead, Generate, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::{Result, anyhow, bail};
use s3::object_storage::store::{Client, When};
use s3::object_storage::{Remote, S3S, start};
use s3::sealed::{DataKey, Kek, Keyring, Objects, Sealed};
use std::path::Path;
use std::process::ExitCode;

/// Where they come from in the story; in production from a key service.
const LAST_YEAR: [u8; 32] = [1; 32];
const THIS_YEAR: [u8; 32] = [2; 32];

/// A store of the chapter on object storage, for whom an object is its bytes.
struct Plain<'a>(&'a mut dyn Client);

impl Objects for Plain<'_> {
    fn read(&mut self, key: &str) -> Result<Vec<u8>> {
        let body = self.0.get(key, "");
        Ok(body.map_err(|refusal| anyhow!("{key}: {refusal}"))?.bytes)
    }

    fn write(&mut self, key: &str, bytes: &[u8]) -> Result<()> {
        let put = self.0.put(key, bytes, When::Always);
        put.map(drop).map_err(|refusal| anyhow!("{key}: {refusal}"))
    }
}

/// Whether any file of the server contains these bytes.
fn on_disk(folder: &Path, wanted: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = match path.is_dir() {
            true => on_disk(&path, wanted)?,
            false => {
                std::fs::read(&path)?.windows(wanted.len()).any(|w| w == wanted)
            }
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn photo(seed: usize) -> Vec<u8> {
    let text = format!("photo {seed} of a lamp, which nobody else may see. ");
    text.into_bytes().into_iter().cycle().take(100_000).collect()
}

fn said<T>(result: Result<T>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "opened".to_owned())
}

// ANCHOR: twice
/// What two messages under one key and one nonce give away without the key.
fn same_nonce(one: &[u8], two: &[u8]) -> Result<Vec<u8>> {
    let (key, nonce) = (DataKey::generate(), Nonce::generate());
    let sealed = [one, two].map(|plain| Aes256Gcm::new(&key).encrypt(&nonce, plain));
    let [Ok(one), Ok(two)] = sealed else { bail!("too long") };
    Ok(one.iter().zip(&two).map(|(one, two)| one ^ two).collect())
}
// ANCHOR_END: twice

fn run() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[S3S])?);
    let running = start()?;
    let mut remote = Remote::new(&running.server);
    let keys = Keyring(vec![Kek::new(LAST_YEAR.into())?]);
    let mut shop = Sealed { store: Plain(&mut remote), keys };
    shop.put("a.jpg", &photo(1))?;
    shop.put("b.jpg", &photo(2))?;
    let (body, key) = (shop.store.read("a.jpg")?, shop.store.read("a.jpg.key")?);
    println!("{} bytes became {} and {}", photo(1).len(), body.len(), key.len());
    let there = on_disk(running.server.folder(), &photo(1)[..40])?;
    println!("a piece of the photo in a file of the server: {there}\n");

    println!("as it was written:    {}", said(shop.get("a.jpg")));
    let mut changed = body;
    changed[50_000] ^= 1;
    shop.store.write("a.jpg", &changed)?;
    println!("one bit changed:      {}", said(shop.get("a.jpg")));
    for end in ["", ".key"] {
        let other = shop.store.read(&format!("b.jpg{end}"))?;
        shop.store.write(&format!("a.jpg{end}"), &other)?;
    }
    println!("b.jpg in its place:   {}\n", said(shop.get("a.jpg")));

    let old = std::mem::replace(&mut shop.keys.0[0], Kek::new(THIS_YEAR.into())?);
    println!("another key:          {}", said(shop.get("b.jpg")));
    shop.keys.0.push(old);
    let written = shop.rewrap("b.jpg")?;
    println!("new key, old at hand: {written} bytes written");
    shop.keys.0.truncate(1);
    println!("old key thrown away:  {}\n", said(shop.get("b.jpg")));

    let (one, two) = (b"pay Ada 100", b"pay Bob 900");
    let leak = same_nonce(one, two)?;
    let equal = |byte: &u8| if *byte == 0 { '=' } else { '?' };
    let leak: String = leak[..one.len()].iter().map(equal).collect();
    println!("one nonce for two messages, where they are equal: {leak}");
    Ok(())
}

fn main() -> ExitCode {
    s3::object_storage::exit_code(run())
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3::object_storage::store::Store;
    use s3::sealed::{ID_BYTES, NONCE_BYTES, open, seal};

    fn ring(bytes: &[u8]) -> Keyring {
        Keyring(bytes.iter().map(|b| Kek::new([*b; 32].into()).unwrap()).collect())
    }

    fn sealed(store: &mut Store) -> Sealed<Plain<'_>> {
        let mut shop = Sealed { store: Plain(store), keys: ring(&[1]) };
        shop.put("a", b"the plans").unwrap();
        shop.put("b", b"the bills").unwrap();
        shop
    }

    fn refused<T>(result: Result<T>) -> String {
        result.err().expect("to be refused").to_string()
    }

    #[test]
    fn a_wrong_key_is_an_error_that_names_the_right_one() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        shop.keys = ring(&[2]);
        let id = ring(&[1]).0.remove(0).id;
        let wanted = format!("a: needs key {id}, not in the keyring");
        assert_eq!(refused(shop.get("a")), wanted);
    }

    #[test]
    fn each_changed_bit_of_a_photo_and_of_its_key_is_refused() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        for key in ["a", "a.key"] {
            let good = shop.store.read(key).unwrap();
            for bit in 0..8 * good.len() {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                shop.store.write(key, &bad).unwrap();
                assert!(shop.get("a").is_err(), "{key} bit {bit}");
            }
            for len in 0..good.len() {
                shop.store.write(key, &good[..len]).unwrap();
                assert!(shop.get("a").is_err(), "{key} cut to {len}");
            }
            shop.store.write(key, &good).unwrap();
        }
        assert_eq!(shop.get("a").unwrap(), b"the plans");
    }

    #[test]
    fn an_object_with_its_key_in_the_place_of_another_is_refused() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        for (from, to) in [("b", "a"), ("b.key", "a.key")] {
            let other = shop.store.read(from).unwrap();
            shop.store.write(to, &other).unwrap();
        }
        assert!(refused(shop.get("a")).contains("changed"));
    }

    #[test]
    fn an_old_photo_with_its_old_key_is_not_noticed() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        let old = ["a", "a.key"].map(|key| (key, shop.store.read(key).unwrap()));
        shop.put("a", b"new plans").unwrap();
        for (key, bytes) in old {
            shop.store.write(key, &bytes).unwrap();
        }
        assert_eq!(shop.get("a").unwrap(), b"the plans");
    }

    #[test]
    fn a_new_key_encryption_key_rewrites_68_bytes_and_no_photo() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        let before = shop.store.read("a").unwrap();
        shop.keys = ring(&[2, 1]);
        assert_eq!(shop.rewrap("a").unwrap(), ID_BYTES + NONCE_BYTES + 32 + 16);
        assert_eq!(shop.store.read("a").unwrap(), before);
        shop.keys = ring(&[2]);
        assert_eq!(shop.get("a").unwrap(), b"the plans");
        assert!(refused(shop.get("b")).contains("not in the keyring"));
    }

    #[test]
    fn a_crash_between_the_two_writes_is_an_error_and_not_a_wrong_photo() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        let old = shop.store.read("a.key").unwrap();
        shop.put("a", b"new plans").unwrap();
        shop.store.write("a.key", &old).unwrap(); // as if it had not been written
        assert!(refused(shop.get("a")).contains("changed"));
    }

    #[test]
    fn one_nonce_twice_gives_away_the_xor_of_both_messages() {
        let (one, two) = (b"pay Ada 100", b"pay Bob 999");
        let leak = same_nonce(one, two).unwrap();
        assert!((0..one.len()).all(|i| leak[i] == one[i] ^ two[i]));
    }

    #[test]
    fn one_key_never_encrypts_twice_with_the_same_nonce() {
        let key = DataKey::generate();
        let nonces = (0..10_000).map(|_| {
            let sealed = seal(&key, "a", b"x").unwrap();
            sealed[..NONCE_BYTES].to_vec()
        });
        let nonces: std::collections::HashSet<_> = nonces.collect();
        assert_eq!(nonces.len(), 10_000);
    }

    #[test]
    fn the_same_photo_never_has_the_same_bytes() {
        let mut store = Store::default();
        let mut shop = sealed(&mut store);
        shop.put("b", b"the plans").unwrap();
        assert_ne!(shop.store.read("a").unwrap(), shop.store.read("b").unwrap());
    }

    #[test]
    fn the_server_has_no_file_with_the_plaintext_and_one_with_the_ciphertext() {
        let running = start().unwrap();
        let mut remote = Remote::new(&running.server);
        let mut shop = Sealed { store: Plain(&mut remote), keys: ring(&[1]) };
        shop.put("a.jpg", &photo(1)).unwrap();
        let ciphertext = shop.store.read("a.jpg").unwrap();
        shop.store.write("open.jpg", b"seen by all").unwrap();
        let folder = running.server.folder();
        assert!(!on_disk(folder, &photo(1)[..20]).unwrap());
        assert!(on_disk(folder, &ciphertext[500..540]).unwrap());
        assert!(on_disk(folder, b"seen by all").unwrap());
    }

    #[test]
    fn whoever_can_open_has_the_right_key_and_the_right_name() -> Result<()> {
        let key = DataKey::generate();
        let sealed = seal(&key, "a", b"x")?;
        assert_eq!(open(&key, "a", &sealed)?, b"x");
        assert!(open(&key, "b", &sealed).is_err());
        assert!(open(&DataKey::generate(), "a", &sealed).is_err());
        Ok(())
    }
}
