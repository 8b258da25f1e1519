//! Starts a chapter: its file from the template, and its line in SUMMARY.md.
//!
//! The template holds a line that the check refuses for everything that is still to be written,
//! so the check leads a contributor through the chapter.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const TEMPLATE: &str = include_str!("new_chapter/template.md");

/// The parts of the book in their order: folder below `src/` and heading in SUMMARY.md.
const PARTS: [(&str, &str); 5] = [
    ("computer-architecture", "Part I · Computer architecture"),
    ("production", "Part II · Production app architecture"),
    ("good-design", "Part III · What is good design?"),
    ("data", "Part IV · Data"),
    ("building-blocks", "Part V · Building blocks"),
];

/// Writes `src/PART/TITLE.md` and its line at the end of the part in SUMMARY.md. Returns the
/// chapter's path relative to `root`.
///
/// # Errors
/// When the part is unknown, the title names no file, or the chapter exists already; nothing is
/// written then.
pub fn run(root: &Path, title: &str, part: &str) -> Result<PathBuf> {
    let title = title.trim();
    let Some((_, heading)) = PARTS.iter().find(|(folder, _)| *folder == part) else {
        let folders: Vec<&str> = PARTS.iter().map(|(folder, _)| *folder).collect();
        bail!(
            "the book has no part \"{part}\" (there are: {})",
            folders.join(", ")
        );
    };
    let slug = slug(title);
    if slug.is_empty() || title.contains(['[', ']', '\n']) {
        bail!("\"{title}\" is no title: use letters and digits, no brackets");
    }
    let summary_path = root.join("src/SUMMARY.md");
    let summary = fs::read_to_string(&summary_path)
        .with_context(|| format!("cannot read {}", summary_path.display()))?;
    let relative = PathBuf::from("src").join(part).join(format!("{slug}.md"));
    let path = root.join(&relative);
    if path.exists() {
        bail!("{} exists already", relative.display());
    }
    let line = format!("- [{title}]({part}/{slug}.md)");
    let summary = with_line(&summary, heading, &line);
    fs::create_dir_all(root.join("src").join(part))?;
    fs::write(&path, TEMPLATE.replace("{{title}}", title))
        .with_context(|| format!("cannot write {}", path.display()))?;
    fs::write(&summary_path, summary)
        .with_context(|| format!("cannot write {}", summary_path.display()))?;
    Ok(relative)
}

/// A title as the name of a file: "CI/CD and you" becomes "ci-cd-and-you".
fn slug(title: &str) -> String {
    let lower = title.to_lowercase();
    let words: Vec<&str> = lower
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("-")
}

/// SUMMARY.md with `line` after the last chapter of its part; the part's heading is added, in
/// the book's order, where no chapter of the part is there yet.
fn with_line(summary: &str, heading: &str, line: &str) -> String {
    let mut lines: Vec<&str> = summary.lines().collect();
    let own = format!("# {heading}");
    let position = |wanted: &str| lines.iter().position(|line| line.trim_end() == wanted);
    let end_of = |start: usize| {
        let part = &lines[start + 1..];
        let length = part
            .iter()
            .position(|line| {
                line.starts_with("# ") || line.starts_with("---") || line.starts_with('[')
            })
            .unwrap_or(part.len());
        let last = part[..length]
            .iter()
            .rposition(|line| !line.trim().is_empty());
        start + 1 + last.map_or(0, |last| last + 1)
    };
    match position(&own) {
        Some(start) => {
            let at = end_of(start);
            if at == start + 1 {
                lines.insert(at, "");
                lines.insert(at + 1, line);
            } else {
                lines.insert(at, line);
            }
        }
        None => {
            let before = PARTS
                .iter()
                .take_while(|(_, part)| *part != heading)
                .filter_map(|(_, part)| position(&format!("# {part}")))
                .last();
            let at = match before {
                Some(start) => end_of(start),
                None => lines
                    .iter()
                    .position(|line| line.starts_with("# Part") || line.starts_with("---"))
                    .unwrap_or(lines.len()),
            };
            let block: &[&str] = match before {
                Some(_) => &["", &own, "", line],
                None => &[&own, "", line, ""],
            };
            lines.splice(at..at, block.iter().copied());
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "# Summary\n\n[Introduction](introduction.md)\n\n# Part II · Production app \
         architecture\n\n- [CI/CD](production/ci-cd.md)\n\n# Part V · Building blocks\n\n\
         - [Caching](building-blocks/caching.md)\n\n---\n\n[Glossary](glossary.md)\n";

    #[test]
    fn a_chapter_comes_last_in_its_part() {
        let summary = with_line(SUMMARY, PARTS[1].1, "- [Storage](production/storage.md)");
        assert!(
            summary.contains(
                "- [CI/CD](production/ci-cd.md)\n- [Storage](production/storage.md)\n\n# Part V"
            ),
            "{summary}"
        );
        let summary = with_line(SUMMARY, PARTS[4].1, "- [CDN](building-blocks/cdn.md)");
        assert!(
            summary.contains("caching.md)\n- [CDN](building-blocks/cdn.md)\n\n---"),
            "{summary}"
        );
    }

    #[test]
    fn a_part_without_chapters_gets_its_heading_in_the_books_order() {
        let summary = with_line(SUMMARY, PARTS[3].1, "- [ACID](data/acid.md)");
        assert!(
            summary.contains("ci-cd.md)\n\n# Part IV · Data\n\n- [ACID](data/acid.md)\n\n# Part V"),
            "{summary}"
        );
        let summary = with_line(SUMMARY, PARTS[0].1, "- [CPU](computer-architecture/cpu.md)");
        assert!(
            summary.contains(
                "introduction.md)\n\n# Part I · Computer architecture\n\n\
                 - [CPU](computer-architecture/cpu.md)\n\n# Part II"
            ),
            "{summary}"
        );
    }

    #[test]
    fn nothing_is_written_for_a_part_that_the_book_lacks_or_a_chapter_that_exists() {
        let book = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(book.path().join("src/data")).expect("a folder");
        fs::write(book.path().join("src/SUMMARY.md"), SUMMARY).expect("a file");
        let error = run(book.path(), "ACID", "date").expect_err("no such part");
        assert_eq!(
            error.to_string(),
            "the book has no part \"date\" (there are: computer-architecture, production, \
             good-design, data, building-blocks)"
        );
        let path = run(book.path(), "CAP theorem", "data").expect("a new chapter");
        assert_eq!(path, Path::new("src/data/cap-theorem.md"));
        let error = run(book.path(), "CAP theorem", "data").expect_err("it is there");
        assert_eq!(error.to_string(), "src/data/cap-theorem.md exists already");
        let summary = fs::read_to_string(book.path().join("src/SUMMARY.md")).expect("a file");
        assert_eq!(summary.matches("cap-theorem.md").count(), 1);
        assert!(run(book.path(), "!!", "data").is_err());
    }
}
