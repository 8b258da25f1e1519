//! Finds the Chromium of this machine, for what only a browser can do.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Chromium under the names that systems give it. Ubuntu's `chromium-browser` may be a stub that
/// only names a snap, so it comes last.
const NAMES: [&str; 4] = [
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
];

/// The browser: what the variable CHROMIUM names, or the first of the usual names on the path.
///
/// # Errors
/// When there is none, with the package that brings it.
pub fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(named);
        }
        bail!("CHROMIUM names {}, which is no file", named.display());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    NAMES
        .into_iter()
        .find_map(|name| {
            let places = env::split_paths(&path).map(|folder| folder.join(name));
            places.into_iter().find(|place| place.is_file())
        })
        .context(
            "chromium is missing: apt-get install chromium fonts-liberation, or name a Chrome by \
             the variable CHROMIUM",
        )
}
