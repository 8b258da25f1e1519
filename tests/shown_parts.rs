//! A part of a program that a page shows is short enough to be read in one go.
//!
//! Knows how a chapter includes a part; knows no chapter and no program.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code: without blank ones and those that hold only a comment.
const LINES_MAX: usize = 60;

#[test]
fn no_part_that_a_page_shows_has_more_than_60_lines_of_code() {
    let mut parts = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                for (program, anchor) in included(&path) {
                    let text = fs::read_to_string(&program).expect("a program");
                    let lines = lines_of_code(&text, &anchor);
                    let place = format!("{}, {anchor}", program.display());
                    assert!(lines > 0, "{place}: no such part");
                    assert!(lines <= LINES_MAX, "{place}: {lines} lines");
                    parts += 1;
                }
            }
        }
    }
    assert!(parts > 0, "the book shows parts of programs");
}

/// The programs and anchors that a chapter includes.
fn included(chapter: &Path) -> Vec<(PathBuf, String)> {
    let text = fs::read_to_string(chapter).expect("a readable chapter");
    let folder = chapter.parent().expect("a chapter lies in a folder");
    let includes = text.split("{{#rustdoc_include ").skip(1);
    let parts = includes.filter_map(|rest| rest.split_once("}}")?.0.split_once(':'));
    parts
        .map(|(program, anchor)| (folder.join(program), anchor.to_owned()))
        .collect()
}

fn lines_of_code(program: &str, anchor: &str) -> usize {
    let (begin, end) = (
        format!("// ANCHOR: {anchor}"),
        format!("// ANCHOR_END: {anchor}"),
    );
    program
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != begin)
        .take_while(|line| *line != end)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}
