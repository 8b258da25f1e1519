//! What a client may ask of an object store, and a list of things worth asking.
//!
//! `store.rs` answers, and so can a real server: neither is known here.

use md5::{Digest, Md5};
use std::fmt;

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
    Absent,            // If-None-Match: *
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
    fn list(&mut self, prefix: &str, next: Option<&str>, max: usize) -> Answer<Page>;

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

pub fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

// ANCHOR: etag
/// The ETag of an upload in parts: the MD5 of the parts' MD5s, and their number.
pub fn etag_of_parts(parts: &[&[u8]]) -> ETag {
    let sums: Vec<u8> = parts.iter().flat_map(|part| Md5::digest(part)).collect();
    ETag(format!("{}-{}", md5(&sums), parts.len()))
}
// ANCHOR_END: etag

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was asked, and what was answered.
pub type Row = (&'static str, String);

fn said<T>(answer: Answer<T>, ok: impl FnOnce(T) -> String) -> String {
    answer.map_or_else(|refusal| refusal.to_string(), ok)
}

fn body(answer: Answer<Body>) -> String {
    said(answer, |body| {
        let text = String::from_utf8_lossy(&body.bytes).into_owned();
        format!("{} {text}", body.status)
    })
}

fn page(answer: Answer<Page>) -> String {
    said(answer, |page| {
        let more = if page.next.is_some() { " ..." } else { "" };
        [page.keys, page.prefixes].concat().join(" ") + more
    })
}

/// The questions. Every store gets the same, in the same order.
pub fn scenario(store: &mut impl Client) -> Vec<Row> {
    let mut rows = objects(store);
    rows.extend(uploads(store));
    rows.extend(conditions(store));
    rows.extend(versions(store));
    rows
}

fn objects(store: &mut impl Client) -> Vec<Row> {
    let digits = b"0123456789";
    let put = store.put("digits", digits, When::Always);
    let is_md5 = |etag: ETag| format!("200 ETag {} MD5", is(etag.0 == md5(digits)));
    let mut rows = vec![("PUT", said(put, is_md5))];
    for (step, range) in [
        ("GET bytes=2-4", "bytes=2-4"),
        ("GET bytes=-2", "bytes=-2"),
        ("GET bytes=10-", "bytes=10-"),
        ("GET bytes=4-2", "bytes=4-2"),
    ] {
        rows.push((step, body(store.get("digits", range))));
    }
    for key in ["a/1", "a/b/2", "a/b/3", "a/c"] {
        rows.extend(store.put(key, b"x", When::Always).err().map(|e| (key, e.to_string())));
    }
    let first = store.list("a/", None, 2);
    let next = first.as_ref().ok().and_then(|page| page.next.clone());
    rows.push(("LIST a/, two at a time", page(first)));
    rows.push(("LIST, the next page", page(store.list("a/", next.as_deref(), 2))));
    let halfway = store.copy("a/c", "a/d").and_then(|_| store.list("a/", None, 9));
    rows.push(("rename a/c to a/d, halfway", page(halfway)));
    let renamed = store.delete("a/c").and_then(|()| store.get("a/d", ""));
    rows.push(("  and then", body(renamed)));
    let beside = store.put("a/b", b"x", When::Always);
    rows.push(("PUT a/b, beside a/b/2", said(beside, |_| "200".into())));
    rows
}

fn is(yes: bool) -> &'static str {
    if yes { "is" } else { "is not" }
}

fn uploads(store: &mut impl Client) -> Vec<Row> {
    let ok = |_: ETag| "200".to_owned();
    let least = store.part_bytes_min();
    let (one, two) = (vec![b'1'; least], vec![b'2'; 10]);
    let upload = |store: &mut dyn Client, parts: &[(u32, &[u8])], order: &[u32]| {
        let upload = store.begin("big")?;
        let mut done = Vec::new();
        for (number, bytes) in parts {
            done.push((*number, store.put_part(&upload, *number, bytes)?));
        }
        let find = |number: &u32| done.iter().find(|(n, _)| n == number).cloned();
        let named: Vec<_> = order.iter().filter_map(find).collect();
        Ok((store.complete(&upload, &named), upload, named))
    };
    let completed = |answer: Answer<(Answer<ETag>, Upload, Vec<(u32, ETag)>)>| {
        answer.and_then(|(completed, ..)| completed)
    };
    let mut rows = Vec::new();
    let backwards = completed(upload(store, &[(2, &two), (1, &one)], &[1, 2]));
    let rule = etag_of_parts(&[&one, &two]);
    let by_rule = |etag| format!("200 {} by the rule", is(etag == rule));
    rows.push(("part 2, part 1, complete", said(backwards, by_rule)));
    let across = format!("bytes={}-{}", least - 2, least + 1);
    rows.push(("GET across the parts", body(store.get("big", &across))));
    let gap = completed(upload(store, &[(1, &one), (3, &two)], &[1, 3]));
    rows.push(("parts 1 and 3", said(gap, ok)));
    let wrong = completed(upload(store, &[(1, &one), (2, &two)], &[2, 1]));
    rows.push(("parts named 2, 1", said(wrong, ok)));
    let short = upload(store, &[(1, &one[1..]), (2, &two)], &[1, 2]);
    if let Ok((answer, upload, parts)) = short {
        rows.push(("part 1 a byte too small", said(answer, ok)));
        let rest = store.complete(&upload, &parts[1..]);
        rows.push(("  completed without it", said(rest, ok)));
    }
    if let Ok(upload) = store.begin("big") {
        let beyond = store.put_part(&upload, 10_001, &two);
        rows.push(("part 10,001", said(beyond, ok)));
        let part = (1, ETag(md5(&two)));
        let aborted = store.abort(&upload);
        let aborted = aborted.and_then(|()| store.complete(&upload, &[part]));
        rows.push(("abort, then complete", said(aborted, ok)));
    }
    rows
}

fn conditions(store: &mut impl Client) -> Vec<Row> {
    let ok = |_: ETag| "200".to_owned();
    let old = ETag(md5(b"0123456789"));
    let exists = store.put("digits", b"x", When::Absent);
    let mut rows = vec![("PUT if absent: it exists", said(exists, ok))];
    let gone = store.put("nil", b"x", When::Unchanged(&old));
    rows.push(("PUT if unchanged: no key", said(gone, ok)));
    for (step, when) in
        [("lost updates, plain PUT", false), ("lost updates, If-Match", true)]
    {
        let lost = lost_updates(store, when);
        rows.push((step, said(lost, |(lost, orders)| format!("in {lost} of {orders}"))));
    }
    rows
}

// ANCHOR: lost
/// Two clients each read a counter and write it back plus one, in every order of
/// their four requests. In how many is the sum not 2?
pub fn lost_updates(store: &mut dyn Client, check: bool) -> Answer<(u32, u32)> {
    let orders = (0..16_u32).filter(|order| order.count_ones() == 2);
    let (mut lost, mut tried) = (0, 0);
    for order in orders {
        store.put("counter", b"0", When::Always)?;
        let mut read = [None, None];
        for step in 0..4 {
            let who = (order >> step & 1) as usize;
            let Some((count, etag)) = read[who].take() else {
                read[who] = Some(counter(store)?);
                continue;
            };
            let (mut count, mut etag): (u32, ETag) = (count, etag);
            loop {
                let when = if check { When::Unchanged(&etag) } else { When::Always };
                let next = (count + 1).to_string();
                match store.put("counter", next.as_bytes(), when) {
                    Err(refusal) if refusal.status == 412 => {} // somebody was faster
                    answer => break drop(answer?),
                };
                (count, etag) = counter(store)?; // so read again, then write
            }
        }
        tried += 1;
        lost += u32::from(counter(store)?.0 != 2);
    }
    Ok((lost, tried))
}
// ANCHOR_END: lost

fn counter(store: &mut dyn Client) -> Answer<(u32, ETag)> {
    let body = store.get("counter", "")?;
    let count = String::from_utf8_lossy(&body.bytes).parse().unwrap_or(0);
    Ok((count, body.etag))
}

fn versions(store: &mut impl Client) -> Vec<Row> {
    let mut rows = vec![("keep versions from now on", said(store.keep_versions(), |()| "200".into()))];
    let gone = store.delete("digits").and_then(|()| store.get("digits", ""));
    rows.push(("DELETE, GET", body(gone)));
    let list = |versions: Vec<Version>| {
        let word = |v: &Version| if v.is_marker { "marker" } else { "object" };
        versions.iter().map(word).collect::<Vec<_>>().join(", ")
    };
    let all = store.versions("digits");
    let marker = all.as_ref().ok().and_then(|all| all.first().cloned());
    rows.push(("LIST its versions", said(all, list)));
    if let Some(marker) = marker {
        let back = store.delete_version("digits", &marker.id);
        rows.push(("DELETE the marker, GET", body(back.and_then(|()| store.get("digits", "")))));
    }
    rows
}
