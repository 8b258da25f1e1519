//! What the chapter says of presigned URLs and of the S3 server.

use anyhow::{Context, Result, ensure};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use s3::object_storage::presigned::{Request, presign, verify};
use s3::object_storage::store::{Client, ETag, When, etag_of_parts};
use s3::object_storage::{
    CREDENTIALS, Remote, Running, S3S, now, race, request, send, signed, start,
};
use s3::{BUCKET, Server};
use std::time::Duration;

/// The client that people use.
fn object_store(server: &Server) -> Result<AmazonS3> {
    Ok(AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", server.addr()))
        .with_allow_http(true)
        .with_region(CREDENTIALS.region)
        .with_bucket_name(BUCKET)
        .with_access_key_id(CREDENTIALS.access_key)
        .with_secret_access_key(CREDENTIALS.secret_key)
        .build()?)
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(threads.context("start")?.block_on(work))
}

/// A server with one object, and a URL that reads it for an hour.
fn report() -> Result<(Running, Request)> {
    let running = start()?;
    let addr = running.server.addr();
    let stored = signed(request(addr, "PUT", "report.pdf", &[]), &[], b"figures")?;
    ensure!(stored.status == 200, "{stored:?}");
    let url = presign(
        request(addr, "GET", "report.pdf", &[]),
        &CREDENTIALS,
        now()?,
        3_600,
    );
    Ok((running, url))
}

#[test]
fn our_presigned_url_is_that_of_object_store_to_the_byte() -> Result<()> {
    let running = start()?;
    let store = object_store(&running.server)?;
    let path = Path::from("a folder/+&=.txt");
    let lifetime = Duration::from_secs(3_600);
    for _ in 0..10 {
        let before = now()?;
        let theirs =
            block_on(store.signed_url(http::Method::GET, &path, lifetime))??;
        if now()? != before {
            continue; // the second changed meanwhile
        }
        let theirs = theirs.to_string();
        let ours = request(running.server.addr(), "GET", "a folder/+&=.txt", &[]);
        let ours = presign(ours, &CREDENTIALS, before, 3_600);
        ensure!(theirs == format!("http://{ours}"), "{theirs} {ours}");
        return Ok(());
    }
    anyhow::bail!("ten times the second changed")
}

#[test]
fn the_server_accepts_our_url_twice_and_refuses_every_change() -> Result<()> {
    let (_running, url) = report()?;
    for _ in 0..2 {
        let read = send(&url, &[], &[])?;
        ensure!(read.status == 200 && read.body == b"figures");
    }
    for i in 0..url.query.len() {
        for at in 0..url.query[i].1.len() {
            let old = url.query[i].1.as_bytes()[at];
            let other_case = old.is_ascii_alphabetic().then_some(old ^ 0x20);
            let other = if old == b'1' { b'2' } else { b'1' };
            for new in other_case.into_iter().chain([other]) {
                let mut changed = url.clone();
                let mut value = changed.query[i].1.clone().into_bytes();
                value[at] = new;
                changed.query[i].1 = String::from_utf8(value)?;
                let status = send(&changed, &[], &[])?.status;
                ensure!((400..=501).contains(&status), "{status}: {changed}");
                ensure!(verify(&changed, &CREDENTIALS, now()?).is_err());
            }
        }
    }
    for method in ["PUT", "DELETE", "HEAD"] {
        let changed = Request { method: method.into(), ..url.clone() };
        ensure!(send(&changed, &[], b"")?.status == 403, "{method}");
    }
    let read = send(&url, &[], &[])?;
    ensure!(read.body == b"figures", "nothing has changed");
    Ok(())
}

#[test]
fn keys_with_any_characters_are_signed_right() -> Result<()> {
    let running = start()?;
    let mut store = Remote::new(&running.server);
    for key in ["a key", "ü", "1+1=2&3?", "%41", "~_-.", "#", "日本"] {
        store
            .put(key, key.as_bytes(), When::Always)
            .map_err(|e| anyhow::anyhow!("{key}: {e}"))?;
        let body = store.get(key, "").map_err(|e| anyhow::anyhow!("{key}: {e}"))?;
        ensure!(body.bytes == key.as_bytes());
    }
    Ok(())
}

#[test]
fn parameters_are_signed_in_the_order_in_which_the_server_sorts_them() -> Result<()>
{
    let (running, _) = report()?;
    let query = [("b", "/ ="), ("a-b", "2"), ("a", "1")];
    let get = request(running.server.addr(), "GET", "report.pdf", &query);
    let read = signed(get, &[], &[])?;
    ensure!(read.status == 200 && read.body == b"figures", "{read:?}");
    Ok(())
}

#[test]
fn a_url_for_a_put_takes_any_content_and_one_for_a_get_any_range() -> Result<()> {
    let (running, url) = report()?;
    let part = send(&url, &[("Range", "bytes=0-2")], &[])?;
    ensure!(part.status == 206 && part.body == b"fig");
    let put = request(running.server.addr(), "PUT", "avatar.jpg", &[]);
    let put = presign(put, &CREDENTIALS, now()?, 60);
    for content in [&b"a picture"[..], b"<script>alert(1)</script>"] {
        ensure!(send(&put, &[], content)?.status == 200);
    }
    Ok(())
}

#[test]
fn on_this_server_two_clients_can_both_create_a_key_that_must_be_absent()
-> Result<()> {
    let running = start()?;
    let raced = race(&running.server)?;
    ensure!(raced == (200, 200, "first".to_owned()), "{raced:?}");
    Ok(())
}

#[test]
fn object_store_uploads_in_parts_with_the_etag_of_our_rule() -> Result<()> {
    let running = start()?;
    let store = object_store(&running.server)?;
    let (one, two) = (vec![1; 5 << 20], vec![2; 9]);
    let path = Path::from("big");
    let etag = block_on(async {
        let mut upload = store.put_multipart(&path).await?;
        upload.put_part(PutPayload::from(one.clone())).await?;
        upload.put_part(PutPayload::from(two.clone())).await?;
        upload.complete().await
    })??;
    let etag = etag.e_tag.context("an ETag")?;
    ensure!(etag.trim_matches('"') == etag_of_parts(&[&one, &two]).0, "{etag}");
    let whole = [one, two].concat();
    let mut ours = Remote::new(&running.server);
    let read = ours.get("big", "").map_err(|e| anyhow::anyhow!("{e}"))?;
    ensure!(read.bytes == whole && read.etag != ETag::of(&whole));
    Ok(())
}

#[test]
fn object_store_reads_what_our_client_wrote() -> Result<()> {
    let (running, _) = report()?;
    let store = object_store(&running.server)?;
    let bytes = block_on(async {
        store.get(&Path::from("report.pdf")).await?.bytes().await
    })??;
    ensure!(&bytes[..] == b"figures");
    Ok(())
}

#[test]
fn an_aborted_upload_leaves_no_file_on_the_server() -> Result<()> {
    let running = start()?;
    let mut store = Remote::new(&running.server);
    let files = || -> Result<usize> {
        let entries = std::fs::read_dir(running.server.folder())?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<Result<_>>()?;
        Ok(names
            .iter()
            .filter(|name| name.to_string_lossy().contains("upload"))
            .count())
    };
    let refused = |e| anyhow::anyhow!("{e}");
    let upload = store.begin("big").map_err(refused)?;
    store.put_part(&upload, 1, b"part").map_err(refused)?;
    ensure!(files()? > 0, "there is something to leave");
    store.abort(&upload).map_err(refused)?;
    ensure!(files()? == 0);
    Ok(())
}

#[test]
fn the_server_is_of_the_version_that_is_printed() -> Result<()> {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let lock = std::fs::read_to_string(lock).context("read Cargo.lock")?;
    let (name, version) = S3S;
    let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
    ensure!(lock.contains(&entry), "{entry}");
    Ok(())
}
