//! Guesses what was meant: the nearest of some known words, ids or paths.

use std::path::{Path, PathBuf};

use super::slashed;

/// The number of letters to insert, remove or replace to turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other_letter) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other_letter);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// How many typing errors a word of this length may hold and still be recognised.
fn tolerance(word: &str) -> usize {
    (word.chars().count() / 3).clamp(1, 4)
}

/// The known word that `word` is a slip of, if any; `_` and `-` do not count.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace(['_', '-'], "");
    let wanted = plain(word);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= tolerance(&wanted))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Up to three ids that look like `id` or share its first word.
pub(crate) fn similar_ids<'a>(id: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let first = |id: &str| id.split('-').next().unwrap_or_default().to_owned();
    // A short word is in many ids by chance.
    let is_most_of =
        |part: &str, whole: &str| whole.contains(part) && part.len() * 2 >= whole.len();
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .filter_map(|candidate| {
            let distance = distance(id, candidate);
            let near = distance <= tolerance(id)
                || is_most_of(id, candidate)
                || is_most_of(candidate, id)
                || (first(id).len() > 3 && first(id) == first(candidate));
            near.then_some((distance, candidate))
        })
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored
        .into_iter()
        .take(3)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// The existing file that `missing` most likely means: of the same name in another folder, or of
/// nearly the same name.
pub(crate) fn nearest_path<'a>(
    missing: &Path,
    known: impl IntoIterator<Item = &'a PathBuf>,
) -> Option<&'a PathBuf> {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let wanted = name(missing)?;
    known
        .into_iter()
        .filter_map(|candidate| {
            let by_name = distance(&wanted, &name(candidate)?);
            let by_path = distance(&slashed(missing), &slashed(candidate));
            (by_name <= tolerance(&wanted)).then_some((by_name, by_path, candidate))
        })
        .min()
        .map(|(_, _, candidate)| candidate)
}

/// `to` as it is written in a file of the folder `from`; both are relative to the root.
pub(crate) fn relative(from: &Path, to: &Path) -> String {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().count() - common;
    let down: PathBuf = to.components().skip(common).collect();
    format!("{}{}", "../".repeat(up), slashed(&down))
}

/// `path` with its `.` and `..` resolved by name alone.
pub(crate) fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
