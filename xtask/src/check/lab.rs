//! Interactive figures: a chapter places one that exists, on a line of its own, with a caption, once.

use std::collections::BTreeMap;

use super::Finding;
use super::page::Kind;
use super::site::Site;
use crate::labs::{PLACE, PLACE_END, find};

/// Reports figures that could not be put into their page.
pub(super) fn check(site: &Site, findings: &mut Vec<Finding>) {
    let mut placed: BTreeMap<String, String> = BTreeMap::new();
    for page in site.pages.iter().filter(|page| page.kind == Kind::Chapter) {
        for (tag, line) in page.tags.iter().filter(|(tag, _)| tag.name == "lab-figure") {
            let name = tag.attribute("name").unwrap_or_default();
            let mut wrong = |message: String| {
                findings.push(Finding::new(&page.path, *line, message));
            };
            if find(name).is_none() {
                let all: Vec<&str> = labs::all().iter().map(|entry| entry.name).collect();
                wrong(format!(
                    "there is no figure {name:?} in labs/src/figures (has: {})",
                    all.join(", ")
                ));
                continue;
            }
            let mut lines = page.text.lines().skip(line.saturating_sub(1));
            let whole = format!("{PLACE}{name}{PLACE_END}");
            if lines.next().map(str::trim) != Some(whole.as_str()) {
                wrong(format!("a figure stands on a line of its own, as {whole}"));
            }
            let caption = lines.find(|line| !line.trim().is_empty()).unwrap_or("");
            if !caption.starts_with('*') || caption.starts_with("**") {
                wrong(format!(
                    "figure {name} has no caption: add a paragraph wholly in emphasis after it that \
                     says in words what it shows"
                ));
            }
            let here = format!("{}:{line}", super::slashed(&page.path));
            match placed.get(name) {
                Some(first) => wrong(format!(
                    "figure {name} stands at {first} already: link there instead"
                )),
                None => drop(placed.insert(name.to_owned(), here)),
            }
        }
    }
}
