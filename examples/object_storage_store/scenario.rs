//! A list of questions worth asking an object store, and what is answered.
//!
//! `store.rs` answers, and so can a real server: nothing here knows which it is.

use super::store::{etag_of_parts, Answer, Body, Client, ETag, Page};
use super::store::{Upload, Version, When};

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
    let is_md5 =
        |etag: ETag| format!("200 ETag {} MD5", is(etag == ETag::of(digits)));
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
        let refused = store.put(key, b"x", When::Always).err();
        rows.extend(refused.map(|refusal| (key, refusal.to_string())));
    }
    let first = store.list("a/", None, 2);
    let next = first.as_ref().ok().and_then(|page| page.next.clone());
    rows.push(("LIST a/, two at a time", page(first)));
    rows.push((
        "LIST, the next page",
        page(store.list("a/", next.as_deref(), 2)),
    ));
    let halfway = store
        .copy("a/c", "a/d")
        .and_then(|_| store.list("a/", None, 9));
    rows.push(("rename a/c to a/d, halfway", page(halfway)));
    let renamed = store.delete("a/c").and_then(|()| store.get("a/d", ""));
    rows.push(("  and then", body(renamed)));
    let beside = store.put("a/b", b"x", When::Always);
    rows.push(("PUT a/b, beside a/b/2", said(beside, |_| "200".into())));
    rows
}

fn is(yes: bool) -> &'static str {
    if yes {
        "is"
    } else {
        "is not"
    }
}

fn uploads(store: &mut impl Client) -> Vec<Row> {
    let ok = |_: ETag| "200".to_owned();
    let least = store.part_bytes_min();
    let (one, two) = (vec![b'1'; least], vec![b'2'; 10]);
    /// What became of an upload, and what was sent.
    struct Tried {
        answer: Answer<ETag>,
        upload: Upload,
        named: Vec<(u32, ETag)>,
    }
    let upload = |store: &mut dyn Client, parts: &[(u32, &[u8])], order: &[u32]| {
        let upload = store.begin("big")?;
        let mut done = Vec::new();
        for (number, bytes) in parts {
            done.push((*number, store.put_part(&upload, *number, bytes)?));
        }
        let find = |number: &u32| done.iter().find(|(n, _)| n == number).cloned();
        let named: Vec<_> = order.iter().filter_map(find).collect();
        Ok(Tried {
            answer: store.complete(&upload, &named),
            upload,
            named,
        })
    };
    let completed = |tried: Answer<Tried>| tried.and_then(|tried| tried.answer);
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
    if let Ok(Tried {
        answer,
        upload,
        named,
    }) = short
    {
        rows.push(("part 1 a byte too small", said(answer, ok)));
        let rest = store.complete(&upload, &named[1..]);
        rows.push(("  completed without it", said(rest, ok)));
    }
    if let Ok(upload) = store.begin("big") {
        let beyond = store.put_part(&upload, 10_001, &two);
        rows.push(("part 10,001", said(beyond, ok)));
        let part = (1, ETag::of(&two));
        let aborted = store.abort(&upload);
        let aborted = aborted.and_then(|()| store.complete(&upload, &[part]));
        rows.push(("abort, then complete", said(aborted, ok)));
    }
    rows
}

fn conditions(store: &mut impl Client) -> Vec<Row> {
    let ok = |_: ETag| "200".to_owned();
    let old = ETag::of(b"0123456789");
    let exists = store.put("digits", b"x", When::Absent);
    let mut rows = vec![("PUT if absent: it exists", said(exists, ok))];
    let gone = store.put("nil", b"x", When::Unchanged(&old));
    rows.push(("PUT if unchanged: no key", said(gone, ok)));
    for (step, when) in [
        ("lost updates, plain PUT", false),
        ("lost updates, If-Match", true),
    ] {
        let lost = lost_updates(store, when);
        let count = |(lost, orders)| format!("in {lost} of {orders}");
        rows.push((step, said(lost, count)));
    }
    rows
}

/// How often a client that is refused reads again.
const TRIES_MAX: u32 = 9;

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
            for _ in 0..TRIES_MAX {
                let always = When::Always;
                let when = if check {
                    When::Unchanged(&etag)
                } else {
                    always
                };
                let next = (count + 1).to_string();
                match store.put("counter", next.as_bytes(), when) {
                    Err(refusal) if refusal.status == 412 => {} // not ours any more
                    Err(refusal) => return Err(refusal),
                    Ok(_) => break,
                }
                (count, etag) = counter(store)?; // so read again, then write
            }
        }
        tried += 1;
        lost += u32::from(counter(store)?.0 != 2);
    }
    Ok((lost, tried))
}

fn counter(store: &mut dyn Client) -> Answer<(u32, ETag)> {
    let body = store.get("counter", "")?;
    let count = String::from_utf8_lossy(&body.bytes).parse().unwrap_or(0);
    Ok((count, body.etag))
}

fn versions(store: &mut impl Client) -> Vec<Row> {
    let kept = said(store.keep_versions(), |()| "200".into());
    let mut rows = vec![("keep versions from now on", kept)];
    let gone = store
        .delete("digits")
        .and_then(|()| store.get("digits", ""));
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
        let back = back.and_then(|()| store.get("digits", ""));
        rows.push(("DELETE the marker, GET", body(back)));
    }
    rows
}
