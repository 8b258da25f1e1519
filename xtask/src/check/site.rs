//! Reads the tree once: the files that the rules look at, and the pages among them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::page::{Kind, Page};
use crate::record::PACKAGES;

/// The folders whose files are read, beside [`PACKAGES`].
const FOLDERS: [&str; 6] = ["src", "examples", "snippets", "theme", "assets", "xtask"];

/// What the names of the files end in that are read as text.
const TEXTS: [&str; 6] = ["md", "rs", "out", "toml", "css", "js"];

/// The pages at the root, beside the book, that follow most of its rules.
const GUIDES: [&str; 4] = [
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "STYLE.md",
];

/// The table of contents; no page of its own.
pub(crate) const SUMMARY: &str = "src/SUMMARY.md";

/// The page that the build adds every chapter's terms to.
pub(crate) const GLOSSARY: &str = "src/glossary.md";

/// A text file.
pub(crate) struct File {
    /// Its text without a byte order mark; bytes that are not UTF-8 are replaced.
    pub(crate) text: String,
    /// Whether it began with a byte order mark.
    pub(crate) marked: bool,
    /// Where the first byte stands that is not UTF-8, and the byte.
    pub(crate) broken: Option<(usize, u8)>,
}

/// The files, by their paths relative to the root.
pub(crate) struct Tree {
    /// The folder that holds book.toml.
    pub(crate) root: PathBuf,
    /// Every file there is, of any kind.
    pub(crate) all: BTreeSet<PathBuf>,
    /// The text files.
    pub(crate) files: BTreeMap<PathBuf, File>,
    /// The files that could not be read, and why.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
}

/// The files and the pages.
pub(crate) struct Site {
    /// The files.
    pub(crate) tree: Tree,
    /// The chapters under `src/`, then the guides at the root.
    pub(crate) pages: Vec<Page>,
}

impl Site {
    /// Reads everything below `root` that a rule looks at.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        if !root.join("src").is_dir() {
            bail!("no book at {}: it has no folder src", root.display());
        }
        let tree = Tree::read(root);
        let mut pages = Vec::new();
        for (path, file) in &tree.files {
            let is_markdown = path.extension().is_some_and(|extension| extension == "md");
            if is_markdown && path.starts_with("src") && path != Path::new(SUMMARY) {
                pages.push(Page::new(&tree, path, Kind::Chapter, &file.text));
            } else if GUIDES.iter().any(|guide| path == Path::new(guide)) {
                pages.push(Page::new(&tree, path, Kind::Guide, &file.text));
            }
        }
        pages.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
        Ok(Self { tree, pages })
    }

    /// The pages under `src/`.
    pub(crate) fn chapters(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(|page| page.kind == Kind::Chapter)
    }

    /// The page of that path.
    pub(crate) fn page(&self, path: &Path) -> Option<&Page> {
        self.pages.iter().find(|page| page.path == path)
    }
}

impl Tree {
    fn read(root: &Path) -> Self {
        let mut tree = Self {
            root: root.to_path_buf(),
            all: BTreeSet::new(),
            files: BTreeMap::new(),
            unreadable: Vec::new(),
        };
        tree.walk(Path::new(""), false);
        for folder in FOLDERS.into_iter().chain(PACKAGES) {
            if root.join(folder).is_dir() {
                tree.walk(Path::new(folder), true);
            }
        }
        tree
    }

    /// Takes in the files of a folder, and of those in it if `deep`.
    fn walk(&mut self, folder: &Path, deep: bool) {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable
                    .push((folder.to_path_buf(), error.to_string()));
                return;
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let path = folder.join(&name);
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            // A link to a folder is not followed: it could lead round in a circle.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    if deep && name != "target" {
                        self.walk(&path, true);
                    }
                }
                Ok(kind) if kind.is_symlink() && self.root.join(&path).is_dir() => {}
                _ => self.take(path, deep),
            }
        }
    }

    /// Takes in a file; at the root, only Markdown is read.
    fn take(&mut self, path: PathBuf, deep: bool) {
        self.all.insert(path.clone());
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !extension
            .is_some_and(|extension| TEXTS.contains(&extension) && (deep || extension == "md"))
        {
            return;
        }
        match fs::read(self.root.join(&path)) {
            Ok(bytes) => {
                self.files.insert(path, File::new(&bytes));
            }
            Err(error) => self.unreadable.push((path, error.to_string())),
        }
    }

    /// Whether a file or folder of that path exists.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        !path.starts_with("..") && self.root.join(path).exists()
    }

    /// The text of any file below the root.
    pub(crate) fn text(&self, path: &Path) -> Option<Cow<'_, str>> {
        if let Some(file) = self.files.get(path) {
            return Some(Cow::Borrowed(&file.text));
        }
        if path.starts_with("..") {
            return None;
        }
        let bytes = fs::read(self.root.join(path)).ok()?;
        Some(Cow::Owned(File::new(&bytes).text))
    }

    /// The text files in `folder` whose names end in `extension`.
    pub(crate) fn texts<'a>(
        &'a self,
        folder: impl AsRef<Path> + 'a,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a PathBuf, &'a File)> {
        self.files.iter().filter(move |(path, _)| {
            path.starts_with(&folder) && path.extension().is_some_and(|found| found == extension)
        })
    }
}

impl File {
    fn new(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let plain = text.strip_prefix('\u{feff}');
        Self {
            broken: std::str::from_utf8(bytes)
                .err()
                .map(|error| (error.valid_up_to(), bytes[error.valid_up_to()])),
            marked: plain.is_some(),
            text: plain.unwrap_or(&text).to_owned(),
        }
    }
}
