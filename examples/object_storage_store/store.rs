//! What a client may ask of an object store, and one that answers from memory.
//! Contents are stored under their SHA-256, once each; a key is only a name for a
//! list of them.
//!
//! Simplified: one bucket and no users. While versions are not kept, a PUT
//! replaces. Parts need 5 KiB where S3 wants 5 MiB.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, Range};

pub type Answer<T> = Result<T, Refusal>;

/// An HTTP status, and the word with which S3 says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

/// Names one content of one key. Compare it; do not compute with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

#[derive(Clone, Copy, Debug)]
pub enum When<'a> {
    Always,
    Absent,              // If-None-Match: *
    Unchanged(&'a ETag), // If-Match
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub status: u16, // 200, or 206 for a part of it
    pub etag: ETag,
    pub bytes: Vec<u8>,
}

/// One answer to a LIST: keys, and what stands for all keys behind a slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    pub prefixes: Vec<String>,
    pub next: Option<String>, // hand it back for the next page
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    pub key: String,
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub id: String,
    pub is_marker: bool,
}

// ANCHOR: client
pub trait Client {
    fn put(&mut self, key: &str, bytes: &[u8], when: When) -> Answer<ETag>;
    /// `range` is the header's text; empty for the whole object.
    fn get(&mut self, key: &str, range: &str) -> Answer<Body>;
    fn delete(&mut self, key: &str) -> Answer<()>;
    fn copy(&mut self, from: &str, to: &str) -> Answer<ETag>;
    /// Keys in order, those with a `/` behind `prefix` rolled up.
    fn list(&mut self, prefix: &str, next: Option<&str>, max: usize)
        -> Answer<Page>;

    /// The least that every part but the last must have.
    fn part_bytes_min(&self) -> usize;
    fn begin(&mut self, key: &str) -> Answer<Upload>;
    fn put_part(&mut self, to: &Upload, number: u32, bytes: &[u8]) -> Answer<ETag>;
    fn complete(&mut self, upload: &Upload, parts: &[(u32, ETag)]) -> Answer<ETag>;
    fn abort(&mut self, upload: &Upload) -> Answer<()>;

    fn keep_versions(&mut self) -> Answer<()>;
    /// Newest first.
    fn versions(&mut self, key: &str) -> Answer<Vec<Version>>;
    fn delete_version(&mut self, key: &str, id: &str) -> Answer<()>;
}
// ANCHOR_END: client

/// As RFC 1321 has it: short, not fast. MD5 is broken as a defence against somebody
/// who means harm; here it only makes ETags.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    const TURNS: [[u32; 4]; 4] = [
        [7, 12, 17, 22],
        [5, 9, 14, 20],
        [4, 11, 16, 23],
        [6, 10, 15, 21],
    ];
    let sine = |i: u32| (f64::from(i + 1).sin().abs() * 4_294_967_296.0) as u32;
    let sines: Vec<u32> = (0..64).map(sine).collect();
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((bytes.len() as u64 * 8).to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let word = |i: usize| {
            let bytes = block[4 * i..4 * i + 4].iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
        };
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (mixed, at) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), 7 * i % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(sines[i]);
            let turned =
                sum.wrapping_add(word(at)).rotate_left(TURNS[i / 16][i % 4]);
            (a, b, c, d) = (d, b.wrapping_add(turned), b, c);
        }
        for (sum, new) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(new);
        }
    }
    let mut digest = [0; 16];
    for (four, word) in digest.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

impl ETag {
    /// Of an object that came in one piece.
    pub fn of(bytes: &[u8]) -> ETag {
        ETag(hex(&md5(bytes)))
    }
}

// ANCHOR: etag
/// The ETag of an upload in parts: the MD5 of the parts' MD5s, and their number.
pub fn etag_of_parts(parts: &[&[u8]]) -> ETag {
    let sums: Vec<u8> = parts.iter().flat_map(|part| md5(part)).collect();
    ETag(format!("{}-{}", hex(&md5(&sums)), parts.len()))
}
// ANCHOR_END: etag

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A 1,024th of what S3 asks for, so that the example is quick.
pub const PART_BYTES_MIN: usize = 5 << 10;
/// As in S3.
pub const PART_NUMBER_MAX: u32 = 10_000;

type Digest = [u8; 32];

struct Blob {
    bytes: Vec<u8>,
    references: u32,
}

/// Of one key. An object without pieces is empty; a marker says "deleted".
struct Stored {
    id: u64,
    content: Option<(ETag, Vec<Digest>)>,
}

// ANCHOR: store
#[derive(Default)]
pub struct Store {
    blobs: BTreeMap<Digest, Blob>,
    keys: BTreeMap<String, Vec<Stored>>, // oldest version first
    uploads: BTreeMap<Upload, BTreeMap<u32, (ETag, Digest)>>,
    keeps_versions: bool,
    last_id: u64,
}
// ANCHOR_END: store

fn refuse<T>(status: u16, code: &str) -> Answer<T> {
    Err(Refusal {
        status,
        code: code.to_owned(),
    })
}

// ANCHOR: blobs
impl Store {
    /// Stores the bytes unless they are there, and refers to them once more.
    fn keep(&mut self, bytes: &[u8]) -> Digest {
        let digest = Sha256::digest(bytes).into();
        let new = || Blob {
            bytes: bytes.to_vec(),
            references: 0,
        };
        self.blobs.entry(digest).or_insert_with(new).references += 1;
        digest
    }

    fn let_go(&mut self, digests: impl IntoIterator<Item = Digest>) {
        for digest in digests {
            if let Some(blob) = self.blobs.get_mut(&digest) {
                blob.references -= 1; // the sweep takes it, not the request
            }
        }
    }

    /// Removes what nothing refers to; returns the bytes won.
    pub fn sweep(&mut self) -> usize {
        let before = self.bytes_stored();
        self.blobs.retain(|_, blob| blob.references > 0);
        before - self.bytes_stored()
    }
}
// ANCHOR_END: blobs

impl Store {
    pub fn bytes_stored(&self) -> usize {
        self.blobs.values().map(|blob| blob.bytes.len()).sum()
    }

    pub fn blobs(&self) -> usize {
        self.blobs.len()
    }

    /// The newest version's content, unless that is a marker.
    fn current(&self, key: &str) -> Answer<&(ETag, Vec<Digest>)> {
        let newest = self.keys.get(key).and_then(|versions| versions.last());
        match newest.and_then(|version| version.content.as_ref()) {
            Some(content) => Ok(content),
            None => refuse(404, "NoSuchKey"),
        }
    }

    // ANCHOR: add
    /// Makes this the newest version of the key, and the only one if none are kept.
    fn add(&mut self, key: &str, content: Option<(ETag, Vec<Digest>)>) {
        self.last_id += 1;
        let version = Stored {
            id: self.last_id,
            content,
        };
        let versions = self.keys.entry(key.to_owned()).or_default();
        let mut replaced = Vec::new();
        if !self.keeps_versions {
            replaced.append(versions);
        }
        versions.push(version);
        let digests = replaced.into_iter().filter_map(|old| old.content);
        self.let_go(digests.flat_map(|(_, digests)| digests).collect::<Vec<_>>());
    }
    // ANCHOR_END: add
}

// ANCHOR: range
/// RFC 9110, section 14: what a `Range` header asks for. `Ok(None)` is everything: a
/// header that makes no sense is ignored. An error is one that does, and asks for
/// bytes that are not there.
pub fn range(header: &str, len: usize) -> Answer<Option<Range<usize>>> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<usize>().ok().filter(|_| digits)
    };
    let spec = header
        .strip_prefix("bytes=")
        .and_then(|set| set.split_once('-'));
    let Some((first, last)) = spec else {
        return Ok(None);
    };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => refuse(416, "InvalidRange"),
        ("", _, _, Some(_)) if len == 0 => Ok(None),
        ("", _, _, Some(n)) => Ok(Some(len.saturating_sub(n)..len)), // the last n
        (_, Some(first), _, Some(last)) if last < first => Ok(None),
        (_, Some(first), "", _) | (_, Some(first), _, Some(_)) if first >= len => {
            refuse(416, "InvalidRange")
        }
        (_, Some(first), "", _) => Ok(Some(first..len)),
        (_, Some(first), _, Some(last)) => {
            Ok(Some(first..len.min(last.saturating_add(1))))
        }
        _ => Ok(None),
    }
}
// ANCHOR_END: range

impl Client for Store {
    // ANCHOR: put
    fn put(&mut self, key: &str, bytes: &[u8], when: When) -> Answer<ETag> {
        let current = self.current(key).map(|(etag, _)| etag);
        match (when, current) {
            (When::Absent, Ok(_)) => return refuse(412, "PreconditionFailed"),
            (When::Unchanged(_), Err(missing)) => return Err(missing),
            (When::Unchanged(etag), Ok(now)) if now != etag => {
                return refuse(412, "PreconditionFailed")
            }
            _ => {}
        }
        // `&mut self`: between that check and this write there is nobody else.
        let digest = self.keep(bytes);
        let etag = ETag::of(bytes);
        self.add(key, Some((etag.clone(), vec![digest])));
        Ok(etag)
    }
    // ANCHOR_END: put

    fn get(&mut self, key: &str, header: &str) -> Answer<Body> {
        let (etag, digests) = self.current(key)?;
        let pieces = digests.iter().filter_map(|digest| self.blobs.get(digest));
        let bytes = pieces.flat_map(|blob| &blob.bytes).copied();
        let len = digests.iter().map(|d| self.blobs[d].bytes.len()).sum();
        let part = range(header, len)?;
        let status = if part.is_some() { 206 } else { 200 };
        let part = part.unwrap_or(0..len);
        let bytes = bytes.skip(part.start).take(part.len()).collect();
        Ok(Body {
            status,
            etag: etag.clone(),
            bytes,
        })
    }

    // ANCHOR: delete
    fn delete(&mut self, key: &str) -> Answer<()> {
        if self.keeps_versions {
            self.add(key, None); // hides what is there, and removes nothing
        } else {
            let versions = self.keys.remove(key).unwrap_or_default();
            let contents = versions.into_iter().filter_map(|old| old.content);
            self.let_go(
                contents
                    .flat_map(|(_, digests)| digests)
                    .collect::<Vec<_>>(),
            );
        }
        Ok(())
    }
    // ANCHOR_END: delete

    /// Another name for the same content: no bytes move, however many there are.
    fn copy(&mut self, from: &str, to: &str) -> Answer<ETag> {
        let (etag, digests) = self.current(from)?.clone();
        for digest in &digests {
            if let Some(blob) = self.blobs.get_mut(digest) {
                blob.references += 1;
            }
        }
        self.add(to, Some((etag.clone(), digests)));
        Ok(etag)
    }

    // ANCHOR: list
    fn list(
        &mut self,
        prefix: &str,
        next: Option<&str>,
        max: usize,
    ) -> Answer<Page> {
        // `a/b/` and everything in it, if a slash follows the prefix.
        let rolled_up = |key: &str| {
            let slash = key.strip_prefix(prefix)?.find('/')?;
            Some(key[..=prefix.len() + slash].to_owned())
        };
        let mut page = Page::default();
        let mut from = match next {
            None => Bound::Included(prefix.to_owned()),
            Some(last) if rolled_up(last).as_deref() == Some(last) => behind(last),
            Some(last) => Bound::Excluded(last.to_owned()),
        };
        let mut last = None;
        loop {
            let keys = self.keys.range::<String, _>((from, Bound::Unbounded));
            let mut keys = keys.map(|(key, _)| key);
            let Some(key) = keys.find(|key| self.current(key).is_ok()) else {
                break;
            };
            if !key.starts_with(prefix) {
                break;
            }
            if page.keys.len() + page.prefixes.len() == max {
                page.next = last; // there is more: go on behind this
                break;
            }
            match rolled_up(key) {
                Some(folder) => {
                    from = behind(&folder); // not key by key: jump over all of it
                    last = Some(folder.clone());
                    page.prefixes.push(folder);
                }
                None => {
                    from = Bound::Excluded(key.clone());
                    last = Some(key.clone());
                    page.keys.push(key.clone());
                }
            }
        }
        Ok(page)
    }
    // ANCHOR_END: list

    fn part_bytes_min(&self) -> usize {
        PART_BYTES_MIN
    }

    fn begin(&mut self, key: &str) -> Answer<Upload> {
        self.last_id += 1;
        let upload = Upload {
            key: key.to_owned(),
            id: self.last_id.to_string(),
        };
        self.uploads.insert(upload.clone(), BTreeMap::new());
        Ok(upload)
    }

    fn put_part(&mut self, to: &Upload, number: u32, bytes: &[u8]) -> Answer<ETag> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return refuse(400, "InvalidArgument");
        }
        if !self.uploads.contains_key(to) {
            return refuse(404, "NoSuchUpload");
        }
        let (etag, digest) = (ETag::of(bytes), self.keep(bytes));
        let parts = self.uploads.entry(to.clone()).or_default();
        let replaced = parts.insert(number, (etag.clone(), digest));
        self.let_go(replaced.map(|(_, digest)| digest));
        Ok(etag)
    }

    // ANCHOR: complete
    fn complete(&mut self, upload: &Upload, parts: &[(u32, ETag)]) -> Answer<ETag> {
        let Some(sent) = self.uploads.get(upload) else {
            return refuse(404, "NoSuchUpload");
        };
        if parts.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return refuse(400, "InvalidPartOrder");
        }
        let find = |(number, etag): &(u32, ETag)| {
            let (_, digest) = sent.get(number).filter(|(sent, _)| sent == etag)?;
            Some((*digest, self.blobs.get(digest)?.bytes.as_slice()))
        };
        let found: Option<Vec<_>> = parts.iter().map(find).collect();
        let (digests, bytes): (Vec<_>, Vec<_>) = match found {
            Some(found) if !found.is_empty() => found.into_iter().unzip(),
            _ => return refuse(400, "InvalidPart"),
        };
        let but_last = &bytes[..bytes.len() - 1];
        if but_last.iter().any(|part| part.len() < PART_BYTES_MIN) {
            return refuse(400, "EntityTooSmall"); // the upload stays open
        }
        let etag = etag_of_parts(&bytes);
        let mut rest = self.uploads.remove(upload).unwrap_or_default();
        rest.retain(|number, _| parts.iter().all(|(named, _)| named != number));
        self.let_go(rest.into_values().map(|(_, digest)| digest));
        // The parts become the object as they are: nothing is copied together.
        self.add(&upload.key, Some((etag.clone(), digests)));
        Ok(etag)
    }
    // ANCHOR_END: complete

    fn abort(&mut self, upload: &Upload) -> Answer<()> {
        match self.uploads.remove(upload) {
            None => refuse(404, "NoSuchUpload"),
            Some(parts) => {
                self.let_go(parts.into_values().map(|(_, digest)| digest));
                Ok(())
            }
        }
    }

    fn keep_versions(&mut self) -> Answer<()> {
        self.keeps_versions = true;
        Ok(())
    }

    fn versions(&mut self, key: &str) -> Answer<Vec<Version>> {
        let versions = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let row = |stored: &Stored| Version {
            id: stored.id.to_string(),
            is_marker: stored.content.is_none(),
        };
        Ok(versions.iter().rev().map(row).collect())
    }

    /// This one is for good. Of a marker it is the undelete.
    fn delete_version(&mut self, key: &str, id: &str) -> Answer<()> {
        let versions = self.keys.get_mut(key);
        let gone = versions.and_then(|versions| {
            let at = versions
                .iter()
                .position(|stored| stored.id.to_string() == id)?;
            Some(versions.remove(at))
        });
        let content = gone.and_then(|stored| stored.content);
        self.let_go(content.into_iter().flat_map(|(_, digests)| digests));
        self.keys.retain(|_, versions| !versions.is_empty());
        Ok(())
    }
}

/// Where keys go on that do not start with `prefix`, which ends in a slash: `0`
/// comes after `/`.
fn behind(prefix: &str) -> Bound<String> {
    Bound::Included(format!("{}0", &prefix[..prefix.len() - 1]))
}

impl Store {
    /// Blobs whose count is not the number of references to them: a bug if any.
    pub fn miscounted(&self) -> usize {
        let mut counts: BTreeMap<Digest, u32> = BTreeMap::new();
        let stored = self.keys.values().flatten();
        let stored = stored.filter_map(|version| version.content.as_ref());
        let stored = stored.flat_map(|(_, digests)| digests);
        let parts = self.uploads.values().flat_map(BTreeMap::values);
        for digest in stored.chain(parts.map(|(_, digest)| digest)) {
            *counts.entry(*digest).or_insert(0) += 1;
        }
        let mut wrong = 0;
        for (digest, blob) in &self.blobs {
            let count = counts.remove(digest).unwrap_or(0);
            wrong += usize::from(count != blob.references);
        }
        wrong + counts.len() // the rest is referred to, and not there
    }
}
