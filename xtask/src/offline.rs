//! Reading without a network: the service worker (`page/sw.js`) with the list of what it stores.
//!
//! Knows of the files of a finished site; a part of the build that writes a file does not have to
//! know of this one. `serve` leaves it out: what a reader sees there is the newest build always.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{assets, files};

/// What the template has in place of the attribute that makes a page ask for the service worker.
const PLACE: &str = "@offline()";

/// The script's name. It has no hash in it: a browser asks for it by the same name for ever.
const SCRIPT: &str = "sw.js";

/// What is not stored: large files that a reader asks for once, and files that only machines read.
/// Of the search's index all but the excerpts from code is stored: what stands only in code is
/// found without them.
fn is_stored(name: &str) -> bool {
    if let Some(name) = name.strip_prefix("search/") {
        return !name.starts_with("code-");
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !name.starts_with('.')
        && !matches!(extension, Some("pdf" | "xml" | "txt"))
        && !matches!(name, "print.html" | "CNAME" | SCRIPT)
        && !name.starts_with("social")
}

/// The page as it goes to readers who may keep the book (`kept`), or as `serve` shows it. `root`
/// leads from the page to the site's root.
pub fn put_into(page: &str, root: &str, kept: bool) -> String {
    let attribute = if kept {
        format!(" data-offline=\"{root}{SCRIPT}\"")
    } else {
        String::new()
    };
    page.replacen(PLACE, &attribute, 1)
}

/// Writes the service worker of the site in `dest`. To be called when every other file is written.
///
/// # Errors
/// When a file cannot be read or written, with its path, or `page/sw.js` has lost its two marks.
pub fn write(dest: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for path in files::files_below(dest)? {
        let name = files::address(&path, dest)?;
        if !is_stored(&name) {
            continue;
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.insert(name, hex(&Sha256::digest(&bytes)[..8]));
    }
    let files = serde_json::to_string_pretty(&files)?;
    let template = assets::folder().join(SCRIPT);
    let script = fs::read_to_string(&template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    let build = hex(&Sha256::digest(format!("{files}{script}").as_bytes())[..8]);
    if !script.contains("@files()") || !script.contains("@build()") {
        bail!("page/sw.js has no place for the list of files (@files()) and its hash (@build())");
    }
    let script = script
        .replace("@files()", &files)
        .replace("@build()", &build);
    let path = dest.join(SCRIPT);
    fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> String {
        let site = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = site.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        write(site.path()).expect("the site is whole");
        fs::read_to_string(site.path().join(SCRIPT)).expect("the script")
    }

    #[test]
    fn a_site_is_stored_whole_but_for_what_is_read_once() {
        let script = written(&[
            ("index.html", "abc"),
            ("print.html", "large"),
            ("book.pdf", "larger"),
            ("sitemap.xml", "for machines"),
        ]);
        // The SHA-256 of "abc" begins so (FIPS 180-2, appendix B.1).
        assert!(
            script.contains("\"index.html\": \"ba7816bf8f01cfea\""),
            "{script}"
        );
        for not_stored in ["print.html\":", "book.pdf", "sitemap.xml", "sw.js\":"] {
            assert!(!script.contains(not_stored), "{not_stored}: {script}");
        }
    }

    #[test]
    fn the_search_works_without_a_network_but_for_excerpts_from_code() {
        let script = written(&[
            ("search/index-1.json", "list"),
            ("search/terms-0-1.txt", "terms"),
            ("search/prose-one-1.json", "prose"),
            ("search/code-one-1.json", "code"),
        ]);
        for stored in ["index-1.json", "terms-0-1.txt", "prose-one-1.json"] {
            assert!(
                script.contains(&format!("\"search/{stored}\":")),
                "{script}"
            );
        }
        assert!(!script.contains("search/code-one-1.json"), "{script}");
    }

    #[test]
    fn a_changed_file_is_another_build_and_the_same_files_are_the_same() {
        let build = |script: &str| {
            let (_, rest) = script.split_once("const BUILD = \"").expect("a build");
            rest.split('"').next().map(str::to_owned)
        };
        let one = written(&[("index.html", "one")]);
        assert_eq!(one, written(&[("index.html", "one")]));
        assert_ne!(build(&one), build(&written(&[("index.html", "two")])));
    }

    #[test]
    fn only_a_page_that_may_be_kept_asks_for_the_service_worker() {
        let page = "<body@offline()>";
        assert_eq!(
            put_into(page, "../", true),
            "<body data-offline=\"../sw.js\">"
        );
        assert_eq!(put_into(page, "../", false), "<body>");
    }
}
