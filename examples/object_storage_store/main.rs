//! An object store, asked what one would ask of S3.
//!
//! Look at the ETags: of a PUT it is the MD5 of the content, of an upload in parts
//! it is something else for the same bytes. Then at the lost updates. The last lines
//! show what forty keys share.
//!
//! The questions are in `scenario.rs`, the store with its simplifications in
//! `store.rs`. The same questions go to a real server in the package `s3`.

mod scenario;
mod store;

use scenario::scenario;
use store::{Answer, Client, ETag, Store, When, PART_BYTES_MIN};

fn main() -> Result<(), String> {
    let mut store = Store::default();
    for (step, answer) in scenario(&mut store) {
        println!("{step:<28}{answer}");
    }
    shared().map_err(|refusal| refusal.to_string())
}

/// One content under many names, and in uploads cut differently.
fn shared() -> Answer<()> {
    let mut store = Store::default();
    let photo: Vec<u8> = (0..3 * PART_BYTES_MIN).map(|i| (i / 7) as u8).collect();
    for n in 0..40 {
        store.put(&format!("user-{n}/cat.jpg"), &photo, When::Always)?;
    }
    let (blobs, bytes) = (store.blobs(), store.bytes_stored());
    print!("\n40 keys, {blobs} blob: {bytes} bytes");
    for n in 0..40 {
        store.delete(&format!("user-{n}/cat.jpg"))?;
    }
    print!(", all deleted: {}", store.bytes_stored());
    store.sweep();
    println!(", swept: {}", store.bytes_stored());
    if store.miscounted() > 0 {
        println!("a blob has a wrong count");
    }
    let ETag(whole) = store.put("cat.jpg", &photo, When::Always)?;
    let ETag(parts) = upload(&mut store, &photo, PART_BYTES_MIN)?;
    println!("ETag of the photo, PUT:         {whole}");
    println!("ETag of the photo, three parts: {parts}");
    Ok(())
}

fn upload(store: &mut Store, bytes: &[u8], part_bytes: usize) -> Answer<ETag> {
    let upload = store.begin("cat.jpg")?;
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(bytes.chunks(part_bytes)) {
        parts.push((number, store.put_part(&upload, number, part)?));
    }
    store.complete(&upload, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenario::lost_updates;
    use std::collections::BTreeMap;
    use store::{etag_of_parts, md5, Page, Refusal};

    fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> (u16, String) {
        let Refusal { status, code } = answer.expect_err("a refusal");
        (status, code)
    }

    fn keys(store: &mut Store) -> Vec<String> {
        store.list("", None, 1_000).expect("a list").keys
    }

    #[test]
    fn our_md5_passes_the_test_suite_of_rfc_1321() {
        let digits = "1234567890".repeat(8);
        let small = "abcdefghijklmnopqrstuvwxyz";
        let letters = format!("{}{small}0123456789", small.to_uppercase());
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (small, "c3fcd3d76192e4007dfb496cca67e13b"),
            (&letters, "d174ab98d277d9f5a5611c2c9f419d9f"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(ETag::of(text.as_bytes()).0, digest, "{text}");
        }
        // The suite has no text whose length is just below, at or above a limit of
        // the padding. So the sums of all lengths to 199, joined and summed up; the
        // expected value is from Python's hashlib.
        let bytes = |len: u8| (0..len).map(|i| i.wrapping_mul(37)).collect();
        let sums: Vec<u8> = (0..200)
            .flat_map(|len| md5(&bytes(len) as &Vec<u8>))
            .collect();
        assert_eq!(ETag::of(&sums).0, "d80fdf99c5ff444241611defdfc426e8");
    }

    #[test]
    fn it_answers_as_a_map_does_and_counts_references_right() {
        let mut rng = fastrand::Rng::with_seed(1);
        for kept in [false, true] {
            let (mut store, mut model) = (Store::default(), BTreeMap::new());
            if kept {
                store.keep_versions().expect("it can");
            }
            for _ in 0..3_000 {
                let key = format!("k{}", rng.u8(..6));
                let bytes = vec![rng.u8(..4); 3];
                let old = model
                    .get(&key)
                    .map_or(ETag(String::new()), |b: &Vec<u8>| ETag::of(b));
                match rng.u8(..7) {
                    0 => {
                        store.delete(&key).expect("always");
                        model.remove(&key);
                    }
                    1 => {
                        let put = store.put(&key, &bytes, When::Absent);
                        assert_eq!(put.is_ok(), !model.contains_key(&key));
                        model.entry(key).or_insert(bytes);
                    }
                    2 => {
                        let put = store.put(&key, &bytes, When::Unchanged(&old));
                        assert_eq!(put.is_ok(), model.contains_key(&key));
                        model.entry(key).and_modify(|b| *b = bytes);
                    }
                    3 => {
                        let copied = store.copy(&key, "k0");
                        assert_eq!(copied.is_ok(), model.contains_key(&key));
                        if let Some(bytes) = model.get(&key).cloned() {
                            model.insert("k0".into(), bytes);
                        }
                    }
                    4 => {
                        store.sweep();
                    }
                    _ => {
                        store.put(&key, &bytes, When::Always).expect("always");
                        model.insert(key, bytes);
                    }
                }
                assert_eq!(store.miscounted(), 0);
                assert_eq!(
                    keys(&mut store),
                    model.keys().cloned().collect::<Vec<_>>()
                );
                for (key, bytes) in &model {
                    assert_eq!(
                        &store.get(key, "").expect("it is there").bytes,
                        bytes
                    );
                }
            }
        }
    }

    #[test]
    fn equal_contents_are_stored_once_and_swept_when_the_last_name_is_gone() {
        let mut store = Store::default();
        for key in ["a", "b", "c"] {
            store.put(key, b"the same", When::Always).expect("always");
        }
        store.copy("a", "d").expect("a is there");
        assert_eq!((store.blobs(), store.bytes_stored()), (1, 8));
        for key in ["a", "b", "c"] {
            store.delete(key).expect("always");
            assert_eq!(store.sweep(), 0);
        }
        store.put("d", b"another", When::Always).expect("always");
        assert_eq!((store.sweep(), store.blobs()), (8, 1));
    }

    #[test]
    fn pages_together_are_what_grouping_all_keys_gives() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..300 {
            let mut store = Store::default();
            for _ in 0..rng.usize(..20) {
                let letter = |_| ["a", "b", "/", "0", "."][rng.usize(..5)];
                let key: String = (0..6).map(letter).collect();
                store.put(&key, b"x", When::Always).expect("always");
            }
            let all = store.list("", None, 0).expect("a list"); // at most none
            assert_eq!(all.keys.len() + all.prefixes.len(), 0);
            let prefix = ["", "a", "a/", "/"][rng.usize(..4)];
            let mut expected = Page::default();
            for key in every_key(&mut store) {
                let Some(rest) = key.strip_prefix(prefix) else {
                    continue;
                };
                match rest.find('/') {
                    None => expected.keys.push(key),
                    Some(at) => {
                        expected.prefixes.push(key[..=prefix.len() + at].into())
                    }
                }
            }
            expected.prefixes.dedup();
            let (mut found, mut next) = (Page::default(), None::<String>);
            loop {
                let page = store.list(prefix, next.as_deref(), 2).expect("a page");
                assert!(page.keys.len() + page.prefixes.len() <= 2);
                found.keys.extend(page.keys);
                found.prefixes.extend(page.prefixes);
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{prefix}");
        }
    }

    /// By asking for each folder in turn, as a file browser would.
    fn every_key(store: &mut Store) -> Vec<String> {
        let (mut keys, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let page = store.list(&folder, None, 1_000).expect("a page");
            keys.extend(page.keys);
            folders.extend(page.prefixes);
        }
        keys.sort();
        keys
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let bytes = b"0123456789";
        let unsatisfiable = Err(Refusal {
            status: 416,
            code: "InvalidRange".into(),
        });
        for first in 0..12_usize {
            let open = store::range(&format!("bytes={first}-"), 10);
            let inside = first < 10;
            let whole = Ok(Some(first..10));
            assert_eq!(open, if inside { whole } else { unsatisfiable.clone() });
            for last in 0..12_usize {
                let part = store::range(&format!("bytes={first}-{last}"), 10);
                let expected = match () {
                    () if last < first => Ok(None), // no sense: ignored
                    () if !inside => unsatisfiable.clone(),
                    () => Ok(Some(first..(last + 1).min(10))),
                };
                assert_eq!(part, expected, "{first}-{last} of {bytes:?}");
            }
            let suffix = store::range(&format!("bytes=-{first}"), 10);
            let last = Ok(Some(10_usize.saturating_sub(first)..10));
            assert_eq!(
                suffix,
                if first > 0 {
                    last
                } else {
                    unsatisfiable.clone()
                }
            );
        }
        for nonsense in [
            "",
            "bytes",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "lines=0-1",
        ] {
            assert_eq!(store::range(nonsense, 10), Ok(None), "{nonsense}");
        }
        assert_eq!(
            store::range("bytes=0-1,4-5", 10),
            Ok(None),
            "one range only"
        );
        assert_eq!(store::range("bytes=0-", 0), unsatisfiable);
        assert_eq!(store::range("bytes=-5", 0), Ok(None));
    }

    #[test]
    fn parts_come_in_any_order_and_may_be_sent_again() {
        let parts: Vec<Vec<u8>> = (0..3).map(|n| vec![n; PART_BYTES_MIN]).collect();
        for order in [
            [1, 2, 3],
            [1, 3, 2],
            [2, 1, 3],
            [2, 3, 1],
            [3, 1, 2],
            [3, 2, 1],
        ] {
            let mut store = Store::default();
            let upload = store.begin("big").expect("always");
            store.put_part(&upload, 2, b"wrong bytes").expect("open");
            let mut named = Vec::new();
            for number in order {
                let bytes = &parts[number as usize - 1];
                named.push((
                    number,
                    store.put_part(&upload, number, bytes).expect("open"),
                ));
            }
            assert_eq!(refused(store.get("big", "")), (404, "NoSuchKey".into()));
            named.sort_by_key(|(number, _)| *number);
            let etag = store.complete(&upload, &named).expect("complete");
            let pieces: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            assert_eq!(etag, etag_of_parts(&pieces));
            assert_eq!(store.get("big", "").expect("whole").bytes, parts.concat());
            assert_eq!((store.sweep(), store.miscounted()), (11, 0));
        }
    }

    #[test]
    fn an_aborted_upload_leaves_nothing() {
        let mut store = Store::default();
        let upload = store.begin("big").expect("always");
        let etag = store.put_part(&upload, 1, b"only part").expect("open");
        store.abort(&upload).expect("open");
        assert_eq!(
            (store.sweep(), store.blobs(), store.miscounted()),
            (9, 0, 0)
        );
        let completed = store.complete(&upload, &[(1, etag)]);
        assert_eq!(refused(completed), (404, "NoSuchUpload".into()));
        assert!(keys(&mut store).is_empty());
    }

    #[test]
    fn only_parts_1_to_10_000_exist_and_all_but_the_last_have_a_minimum() {
        let mut store = Store::default();
        let upload = store.begin("big").expect("always");
        for (number, fine) in
            [(0, false), (1, true), (10_000, true), (10_001, false)]
        {
            assert_eq!(
                store.put_part(&upload, number, b"x").is_ok(),
                fine,
                "{number}"
            );
        }
        let x = ETag::of(b"x");
        let both = [(1, x.clone()), (10_000, x.clone())];
        let small = store.complete(&upload, &both);
        assert_eq!(refused(small), (400, "EntityTooSmall".into()));
        for parts in [&[][..], &[(2, x.clone())], &[(1, ETag("other".into()))]] {
            let completed = store.complete(&upload, parts);
            assert_eq!(refused(completed), (400, "InvalidPart".into()));
        }
        for numbers in [[10_000, 1], [1, 1]] {
            let parts = numbers.map(|number| (number, x.clone()));
            let completed = store.complete(&upload, &parts);
            assert_eq!(refused(completed), (400, "InvalidPartOrder".into()));
        }
        assert!(
            store.complete(&upload, &both[1..]).is_ok(),
            "the last may be small"
        );
        assert_eq!(store.miscounted(), 0, "part 1 was not named, and is let go");
        for (bytes, fine) in [(PART_BYTES_MIN - 1, false), (PART_BYTES_MIN, true)] {
            let upload = store.begin("big").expect("always");
            let first = store.put_part(&upload, 1, &vec![7; bytes]).expect("open");
            let last = store.put_part(&upload, 2, b"x").expect("open");
            let completed = store.complete(&upload, &[(1, first), (2, last)]);
            assert_eq!(completed.is_ok(), fine, "{bytes}");
        }
    }

    #[test]
    fn the_same_bytes_have_another_etag_for_each_way_to_cut_them() {
        let bytes = vec![7; 4 * PART_BYTES_MIN];
        let mut store = Store::default();
        let whole = store.put("k", &bytes, When::Always).expect("always");
        let two = upload(&mut store, &bytes, 2 * PART_BYTES_MIN).expect("complete");
        let four = upload(&mut store, &bytes, PART_BYTES_MIN).expect("complete");
        assert_eq!(whole, ETag::of(&bytes));
        assert!(two.0.ends_with("-2") && four.0.ends_with("-4"));
        assert!(two.0[..32] != four.0[..32] && two.0[..32] != whole.0);
    }

    #[test]
    fn a_deleted_object_comes_back_when_its_marker_is_deleted() {
        let mut store = Store::default();
        store.keep_versions().expect("it can");
        store.put("k", b"one", When::Always).expect("always");
        store.put("k", b"two", When::Always).expect("always");
        store.delete("k").expect("always");
        assert_eq!(refused(store.get("k", "")), (404, "NoSuchKey".into()));
        assert!(keys(&mut store).is_empty());
        assert_eq!(store.sweep(), 0, "a marker frees nothing");
        let versions = store.versions("k").expect("a list");
        let markers: Vec<bool> = versions.iter().map(|v| v.is_marker).collect();
        assert_eq!(markers, [true, false, false]);
        store.delete_version("k", &versions[0].id).expect("always");
        assert_eq!(store.get("k", "").expect("back").bytes, b"two");
        store.delete_version("k", &versions[1].id).expect("always");
        assert_eq!(store.get("k", "").expect("older").bytes, b"one");
        assert_eq!(store.sweep(), 3, "and that one is gone for good");
    }

    #[test]
    fn four_of_six_orders_lose_an_update_and_none_with_if_match() {
        let mut store = Store::default();
        assert_eq!(lost_updates(&mut store, false), Ok((4, 6)));
        assert_eq!(lost_updates(&mut store, true), Ok((0, 6)));
    }

    #[test]
    fn if_match_cannot_tell_that_a_content_went_and_came_back() {
        let mut store = Store::default();
        let seen = store.put("k", b"A", When::Always).expect("always");
        store.put("k", b"B", When::Always).expect("always");
        store.put("k", b"A", When::Always).expect("always");
        assert!(store.put("k", b"C", When::Unchanged(&seen)).is_ok());
    }

    #[test]
    fn a_rename_shows_both_names_and_if_it_stops_keeps_both() {
        let mut store = Store::default();
        store.put("old", b"x", When::Always).expect("always");
        store.copy("old", "new").expect("old is there");
        assert_eq!(keys(&mut store), ["new", "old"]);
        store.delete("old").expect("always");
        assert_eq!(keys(&mut store), ["new"]);
    }
}
