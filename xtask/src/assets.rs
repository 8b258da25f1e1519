//! The page's own files (`page/`): the style sheet and the scripts, each written once to the site
//! under a name that holds a hash of its bytes, so that a browser never meets an old one.
//!
//! Knows of files and names; knows nothing of chapters. A template names a file as
//! `@asset(page.js)` and takes a short script whole with `@inline(early.js)`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Files of `page/` that are sources of others, or are written by a part of the build that knows
/// more of them than their bytes.
const NOT_ASSETS: [&str; 3] = ["lab.css", "pdf.css", "sw.js"];

/// Files that pages hold whole, so that the site needs no copy of them.
const INLINE: [&str; 1] = ["early.js"];

/// The folder of the template, the styles and the scripts. It belongs to the tool rather than to
/// the book that it builds.
pub fn folder() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .map_or_else(|| package.join("page"), |root| root.join("page"))
}

/// What pages name: the bytes of each file, and its name in the site.
#[derive(Default)]
pub struct Assets {
    files: BTreeMap<String, (String, Vec<u8>)>,
}

impl Assets {
    /// Reads every style sheet and script of `page/`. `styles` are the book's own style sheets,
    /// appended in order to `style.css`, so that a page asks for one.
    ///
    /// # Errors
    /// When a file cannot be read, with its path.
    pub fn load(root: &Path, styles: &[PathBuf]) -> Result<Assets> {
        let mut assets = Assets::default();
        // Files that name others, whose names have to be known by then.
        let mut naming = Vec::new();
        let folder = folder();
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let wanted = matches!(
                path.extension().and_then(|extension| extension.to_str()),
                Some("css" | "js" | "png" | "svg" | "webmanifest")
            );
            if !wanted || NOT_ASSETS.contains(&name.as_ref()) {
                continue;
            }
            let mut bytes = read(&path)?;
            if name.ends_with(".webmanifest") {
                naming.push((name.into_owned(), bytes));
                continue;
            }
            if name.ends_with(".js") {
                bytes = without_comment_lines(&bytes);
            }
            if name == "style.css" {
                let figures = folder.join("lab.css");
                for style in styles.iter().map(|style| root.join(style)).chain([figures]) {
                    bytes.push(b'\n');
                    bytes.extend(read(&style)?);
                }
            }
            assets.add(&name, bytes);
        }
        for (name, bytes) in naming {
            let text =
                String::from_utf8(bytes).with_context(|| format!("page/{name} is not UTF-8"))?;
            let named = assets.replaced(&text)?;
            assets.add(&name, named.into_bytes());
        }
        Ok(assets)
    }

    /// Adds a file that a part of the build made, and returns its name in the site.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) -> String {
        let hash = Sha256::digest(&bytes);
        let short: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let hashed = match name.rsplit_once('.') {
            Some((stem, extension)) => format!("{stem}-{short}.{extension}"),
            None => format!("{name}-{short}"),
        };
        self.files.insert(name.to_owned(), (hashed.clone(), bytes));
        hashed
    }

    /// A file's name in the site, if there is such a file.
    pub fn name_of(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(|(hashed, _)| hashed.as_str())
    }

    /// The page with every `@asset(…)` and `@inline(…)` of the template replaced. Only the
    /// template is looked at: what stands between the `<main …>` tags is the chapter's.
    ///
    /// # Errors
    /// When the template names a file that `page/` does not hold.
    pub fn name_in(&self, page: &str) -> Result<String> {
        let (before, chapter, after) = match (page.find("<main"), page.rfind("</main>")) {
            (Some(start), Some(end)) if start < end => {
                (&page[..start], &page[start..end], &page[end..])
            }
            _ => (page, "", ""),
        };
        let mut named = self.replaced(before)?;
        named.push_str(chapter);
        named.push_str(&self.replaced(after)?);
        Ok(named)
    }

    fn replaced(&self, template: &str) -> Result<String> {
        let mut done = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(at) = rest.find('@') {
            done.push_str(&rest[..at]);
            rest = &rest[at..];
            let call = ["@asset(", "@inline("].into_iter().find_map(|call| {
                let (name, after) = rest.strip_prefix(call)?.split_once(')')?;
                Some((call, name, after))
            });
            let Some((call, name, after)) = call else {
                done.push('@');
                rest = &rest[1..];
                continue;
            };
            let Some((hashed, bytes)) = self.files.get(name) else {
                bail!("page/index.hbs names {name}, which is not in page/");
            };
            match call {
                "@asset(" => done.push_str(hashed),
                _ => done.push_str(
                    std::str::from_utf8(bytes)
                        .with_context(|| format!("page/{name} is not UTF-8"))?,
                ),
            }
            rest = after;
        }
        done.push_str(rest);
        Ok(done)
    }

    /// Every file by the name that the template has for it.
    #[cfg(test)]
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.files.iter();
        files.map(|(name, (_, bytes))| (name.as_str(), bytes.as_slice()))
    }

    /// Writes every file to the site.
    ///
    /// # Errors
    /// When a file cannot be written, with its path.
    pub fn write(&self, dest: &Path) -> Result<()> {
        for (name, (hashed, bytes)) in &self.files {
            if INLINE.contains(&name.as_str()) {
                continue;
            }
            let path = dest.join(hashed);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
            }
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// A script without the lines that are a comment: they speak to who changes the script, and a
/// reader's browser would load them with every first visit. A string of several lines in which one
/// starts with `//` would lose that line; a script of `page/` has none.
fn without_comment_lines(script: &[u8]) -> Vec<u8> {
    script
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii_start().starts_with(b"//"))
        .flatten()
        .copied()
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_name_and_the_template_names_it() {
        let mut assets = Assets::default();
        let one = assets.add("page.js", b"one".to_vec());
        assert!(
            one.starts_with("page-")
                && one.ends_with(".js")
                && one.len() == "page-12345678.js".len(),
            "{one}"
        );
        let named =
            assets.name_in("a@b.example <script src=\"../@asset(page.js)\">@inline(page.js)");
        assert_eq!(
            named.expect("both are there"),
            format!("a@b.example <script src=\"../{one}\">one")
        );
        assert_ne!(one, assets.add("page.js", b"two".to_vec()));
    }

    #[test]
    fn a_script_is_sent_without_its_comment_lines_and_otherwise_as_it_is() {
        let script = b"// What it does.\nconst a = \"// b\"; // c\n  // Why.\n\n  d();";
        assert_eq!(
            without_comment_lines(script),
            b"const a = \"// b\"; // c\n\n  d();"
        );
    }

    #[test]
    fn a_chapter_may_say_what_the_template_says() {
        let page = "<main id=\"content\">@asset(none.js)</main>";
        assert_eq!(Assets::default().name_in(page).expect("untouched"), page);
        let error = Assets::default()
            .name_in("@asset(none.js)")
            .expect_err("no such file");
        assert_eq!(
            error.to_string(),
            "page/index.hbs names none.js, which is not in page/"
        );
    }
}
