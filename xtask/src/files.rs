//! The files of a folder, such as a finished site. Knows of nothing else in the tool.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file's address below the site's root `dest`, with `/` between folders.
///
/// # Errors
/// When the file is not below `dest`.
pub fn address(path: &Path, dest: &Path) -> Result<String> {
    Ok(path
        .strip_prefix(dest)?
        .to_string_lossy()
        .replace('\\', "/"))
}

/// Every file below `folder`, in order of its path.
///
/// # Errors
/// When a folder cannot be read, with its path.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
