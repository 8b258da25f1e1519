//! Headings and ids: one title, no level skipped, no id twice, and the two sections that every
//! chapter of a part ends with.

use super::Finding;
use super::ids::Id;
use super::page::{Kind, Page};
use super::site::Site;

/// The sections that a chapter of a part must have, and what goes into each.
const SECTIONS: [(&str, &str); 2] = [
    ("Terms", "the definitions that the glossary collects"),
    ("Sources", "what the chapter's claims rest on"),
];

/// Finds what the headings of the pages get wrong.
pub(crate) fn check(site: &Site, findings: &mut Vec<Finding>) {
    for page in &site.pages {
        check_levels(page, findings);
        check_ids(page, findings);
        // introduction.md and glossary.md stand in no part.
        let in_a_part = page.path.components().count() > 2;
        if page.kind == Kind::Chapter && in_a_part {
            check_sections(page, findings);
        }
    }
}

fn check_levels(page: &Page, findings: &mut Vec<Finding>) {
    let mut say = |line, message| findings.push(Finding::new(&page.path, line, message));
    let headings: Vec<(u8, &Id)> = page
        .ids
        .iter()
        .filter_map(|id| Some((id.level?, id)))
        .collect();
    let mut title: Option<usize> = None;
    // A page without a title is told so once, and not again at its first section.
    let has_title = headings.iter().any(|(level, _)| *level == 1);
    let mut above = if has_title { 0 } else { 1 };
    if !has_title {
        say(1, "no title: begin the page with a line `# …`".to_owned());
    }
    for (level, heading) in headings {
        let label = &heading.label;
        if level == 1 {
            match title {
                Some(first) => say(
                    heading.line,
                    format!("second title \"{label}\" (the first is on line {first}): make it ##"),
                ),
                None => title = Some(heading.line),
            }
        }
        if level > above + 1 {
            let wanted = "#".repeat(usize::from(above) + 1);
            let message = match above {
                0 => format!("heading \"{label}\" stands above the title: put the title first"),
                _ => format!("heading \"{label}\" skips a level: make it {wanted}"),
            };
            say(heading.line, message);
        }
        above = level;
    }
}

fn check_ids(page: &Page, findings: &mut Vec<Finding>) {
    for (index, id) in page.ids.iter().enumerate() {
        let is_same = |earlier: &&Id| {
            let same_text = id.natural.as_ref().is_some_and(|id| !id.is_empty())
                && id.natural == earlier.natural;
            // mdBook tells a term from a heading of the same name by a number, and the glossary
            // is what is linked to, so those two may meet.
            (!id.id.is_empty() && id.id == earlier.id) || (same_text && id.term == earlier.term)
        };
        let Some(earlier) = page.ids[..index].iter().find(is_same) else {
            continue;
        };
        let message = match (id.term, &id.natural) {
            (true, _) => format!(
                "term \"{}\" is defined on line {} already: keep one",
                id.label, earlier.line
            ),
            (false, natural) => {
                let name = natural.as_ref().unwrap_or(&id.id);
                let mend = match page.kind {
                    _ if id.label.starts_with('<') => "give one another id",
                    Kind::Chapter => "give one {#other-id}",
                    // GitHub would show the braces.
                    Kind::Guide => "change the words of one",
                };
                format!("id \"{name}\" is on line {} already: {mend}", earlier.line)
            }
        };
        findings.push(Finding::new(&page.path, id.line, message));
    }
}

fn check_sections(page: &Page, findings: &mut Vec<Finding>) {
    for (section, content) in SECTIONS {
        let is_there = page
            .ids
            .iter()
            .any(|id| id.level == Some(2) && id.label == section);
        if !is_there {
            let message = format!("no section `## {section}`: add it with {content}");
            findings.push(Finding::new(&page.path, 1, message));
        }
    }
}
