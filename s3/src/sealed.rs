//! Envelope encryption on the client's side: a store gets what it cannot read.
//!
//! May know of the cipher and of [`Objects`], the least that a store can do; knows no
//! server.

use aes_gcm::aead::{Aead, Generate, Key, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::{Result, anyhow, bail};
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub type DataKey = Key<Aes256Gcm>;
/// What stands before a ciphertext.
pub const NONCE_BYTES: usize = 12;
/// What stands before a wrapped key: the name of the key that wrapped it.
pub const ID_BYTES: usize = 8;

/// A store of bytes under names.
pub trait Objects {
    fn read(&mut self, key: &str) -> Result<Vec<u8>>;
    fn write(&mut self, key: &str, bytes: &[u8]) -> Result<()>;
}

// ANCHOR: seal
/// A fresh nonce, then the ciphertext with its tag. `about` is not encrypted and not
/// stored, but whoever opens must know it.
pub fn seal(key: &DataKey, about: &str, plain: &[u8]) -> Result<Vec<u8>> {
    let nonce = Nonce::generate(); // never twice with the same key
    let payload = Payload { msg: plain, aad: about.as_bytes() };
    let sealed = Aes256Gcm::new(key).encrypt(&nonce, payload);
    let sealed = sealed.map_err(|_| anyhow!("{about}: too long to encrypt"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub fn open(key: &DataKey, about: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(|| anyhow!("{about}: too short"))?;
    let payload = Payload { msg: sealed, aad: about.as_bytes() };
    let plain = Aes256Gcm::new(key).decrypt(&(*nonce).into(), payload);
    plain.map_err(|_| anyhow!("{about}: changed since it was encrypted"))
}
// ANCHOR_END: seal

// ANCHOR: ring
/// A key-encryption key, and a name that follows from it and does not betray it.
pub struct Kek {
    key: DataKey,
    pub id: String,
}

impl Kek {
    pub fn new(key: DataKey) -> Result<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        mac.update(b"key id");
        let id = mac.finalize().into_bytes();
        Ok(Self {
            key,
            id: id[..ID_BYTES / 2].iter().map(|b| format!("{b:02x}")).collect(),
        })
    }
}

/// The first is the one for new objects.
pub struct Keyring(pub Vec<Kek>);

impl Keyring {
    fn wrap(&self, name: &str, data_key: &DataKey) -> Result<Vec<u8>> {
        let kek = self.0.first().ok_or_else(|| anyhow!("the keyring is empty"))?;
        let wrapped = seal(&kek.key, &format!("key of {name}"), data_key)?;
        Ok([kek.id.as_bytes(), &wrapped].concat())
    }

    fn unwrap(&self, name: &str, wrapped: &[u8]) -> Result<DataKey> {
        let (id, wrapped) = wrapped.split_at_checked(ID_BYTES).unwrap_or_default();
        let id = String::from_utf8_lossy(id);
        let Some(kek) = self.0.iter().find(|kek| kek.id == id) else {
            bail!("{name}: needs key {id}, not in the keyring");
        };
        let data_key = open(&kek.key, &format!("key of {name}"), wrapped)?;
        Ok(DataKey::try_from(data_key.as_slice())?)
    }
}
// ANCHOR_END: ring

// ANCHOR: store
/// Objects that only a program with the right keyring can read.
pub struct Sealed<S> {
    pub store: S,
    pub keys: Keyring,
}

impl<S: Objects> Sealed<S> {
    pub fn put(&mut self, name: &str, plain: &[u8]) -> Result<()> {
        let data_key = DataKey::generate(); // a new one for each content
        let wrapped = self.keys.wrap(name, &data_key)?;
        let body = seal(&data_key, name, plain)?;
        self.store.write(name, &body)?;
        self.store.write(&format!("{name}.key"), &wrapped)
    }

    pub fn get(&mut self, name: &str) -> Result<Vec<u8>> {
        let wrapped = self.store.read(&format!("{name}.key"))?;
        let data_key = self.keys.unwrap(name, &wrapped)?;
        open(&data_key, name, &self.store.read(name)?)
    }

    /// The same data key under the newest key-encryption key. Returns how many
    /// bytes were written: the photo itself stays where it is.
    pub fn rewrap(&mut self, name: &str) -> Result<usize> {
        let wrapped = self.store.read(&format!("{name}.key"))?;
        let data_key = self.keys.unwrap(name, &wrapped)?;
        let wrapped = self.keys.wrap(name, &data_key)?;
        self.store.write(&format!("{name}.key"), &wrapped)?;
        Ok(wrapped.len())
    }
}
// ANCHOR_END: store
