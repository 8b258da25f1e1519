//! Reads an architecture diagram in Mermaid's text form and names every part
//! whose loss alone stops a client.
//!
//! Look at `orders` first: it is at the end of every path, so no path breaks
//! behind it, and it is still a single point of failure. Then `the only rack`:
//! every part is doubled, and one frame holds them all.
//!
//! The two diagrams are those of the chapter; a test compares them. Give the
//! program a Markdown file and it reads the flowcharts in there instead:
//!
//!     cargo run --example spof_finder -- my-architecture.md
//!
//! Simplified: it understands boxes, arrows and frames. A part is up or down,
//! copies hold the same, and whoever can use two copies finds the one that is
//! up. One working copy is enough: it knows no majority, and no load that takes
//! two. It cannot see what the diagram leaves out.

use std::collections::BTreeSet;
use std::fmt;

const TODAY: &str = r#"flowchart TD
    C(["client"]) --> D("DNS")
    C --> B("balancer")
    B --> A1("app<br/>copy 1") & A2("app<br/>copy 2")
    A1 & A2 --> O[("orders")]
    A1 & A2 -.-> K("cache")
"#;

const TWO_RACKS: &str = r#"flowchart TD
    C(["client"]) --> D("DNS ×2")
    subgraph R2["rack 2"]
        B2("balancer<br/>copy 2")
        A2("app<br/>copy 2")
        O2[("orders<br/>copy 2")]
    end
    subgraph R1["rack 1"]
        B1("balancer<br/>copy 1")
        A1("app<br/>copy 1")
        O1[("orders<br/>copy 1")]
    end
    C --> B1 & B2
    B1 & B2 --> A1 & A2
    A1 & A2 --> O1 & O2
"#;

const BOXES_MAX: usize = 200; // losing each can take the cube of their number
const FRAMES_MAX: usize = 50;

// ANCHOR: types
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BoxId(usize);

#[derive(Clone, Debug)]
struct Part {
    name: String,  // before the brackets: B1
    label: String, // in the brackets, on one line: balancer copy 1
    thing: String, // first line of the label without ×2: balancer
    doubled: bool, // the label says ×2 or more
    needs: Vec<BoxId>,
    is_client: bool, // no arrow points at it
}

#[derive(Clone, Debug, Default)]
struct Diagram {
    parts: Vec<Part>,
    frames: Vec<(String, BTreeSet<BoxId>)>,
    frame_names: BTreeSet<String>, // no arrow may lead to one
}
// ANCHOR_END: types

// ANCHOR: works
impl Diagram {
    /// Of each thing that the box needs, one working copy is enough.
    fn has_what_it_needs(&self, part: &Part, working: &[bool]) -> bool {
        part.needs.iter().all(|needed| {
            let thing = &self.parts[needed.0].thing;
            let mut copies = part.needs.iter();
            copies.any(|c| working[c.0] && self.parts[c.0].thing == *thing)
        })
    }

    /// What still works without the lost boxes: takes away whatever lacks
    /// something, until nothing more falls.
    fn working_without(&self, lost: &BTreeSet<BoxId>) -> Vec<bool> {
        let boxes = 0..self.parts.len();
        let mut working: Vec<bool> =
            boxes.map(|id| !lost.contains(&BoxId(id))).collect();
        loop {
            let falls = self.parts.iter().enumerate().find(|(id, part)| {
                working[*id] && !self.has_what_it_needs(part, &working)
            });
            match falls {
                Some((id, _)) => working[id] = false,
                None => return working,
            }
        }
    }
}
// ANCHOR_END: works

// ANCHOR: find
impl Diagram {
    /// What one cause can take: a box, or all that stands in a frame.
    fn suspects(&self) -> Vec<(&str, BTreeSet<BoxId>)> {
        let mut suspects: Vec<(&str, BTreeSet<BoxId>)> = Vec::new();
        for (id, part) in self.parts.iter().enumerate() {
            if !part.doubled {
                suspects.push((&part.label, BTreeSet::from([BoxId(id)])));
            }
        }
        for (title, boxes) in &self.frames {
            suspects.push((title, boxes.clone()));
        }
        suspects.retain_mut(|(_, lost)| {
            lost.retain(|id| !self.parts[id.0].is_client);
            !lost.is_empty()
        });
        suspects
    }

    fn stops_a_client(&self, lost: &BTreeSet<BoxId>) -> bool {
        let working = self.working_without(lost);
        let mut parts = self.parts.iter().zip(working);
        parts.any(|(part, works)| part.is_client && !works)
    }

    /// Every box and every frame whose loss alone stops a client.
    fn single_points(&self) -> Vec<String> {
        let suspects = self.suspects().into_iter();
        let single = suspects.filter(|(_, lost)| self.stops_a_client(lost));
        single.map(|(name, _)| name.to_string()).collect()
    }
}
// ANCHOR_END: find

impl Diagram {
    /// Those whose needs decide. A box that nothing points at and that needs
    /// nothing cannot be stopped.
    fn clients(&self) -> Vec<&str> {
        let parts = self.parts.iter();
        let clients = parts.filter(|p| p.is_client && !p.needs.is_empty());
        clients.map(|client| &client.label[..]).collect()
    }

    /// Adds a box that can stand in for another: it needs the same, whoever
    /// points at the one points at the other, and it is in no frame.
    fn add_copy(&mut self, label: &str) {
        let copy = BoxId(self.parts.len());
        let Some(id) = self.parts.iter().position(|p| p.label == label) else {
            return;
        };
        let mut part = self.parts[id].clone();
        part.label += " (new copy)";
        self.parts.push(part);
        for part in &mut self.parts {
            if part.needs.contains(&BoxId(id)) {
                part.needs.push(copy);
            }
        }
    }
}

/// A line that the reader does not understand, and why.
#[derive(Debug, PartialEq)]
struct DiagramError {
    line: usize,
    cause: String,
}

impl fmt::Display for DiagramError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "line {} of the diagram: {}", self.line, self.cause)
    }
}

impl std::error::Error for DiagramError {}

type Parsed<T> = Result<T, String>;

/// Reads the lines of a flowchart: boxes and arrows, frames, comments.
fn read(text: &str) -> Result<Diagram, DiagramError> {
    let mut diagram = Diagram::default();
    let mut open = Vec::new(); // frames, the innermost last
    let mut begun = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim().trim_end_matches(';');
        let words: Vec<&str> = line.split_whitespace().collect();
        let read = match words[..] {
            [] => Ok(()),
            [first, ..] if first.starts_with("%%") => Ok(()),
            _ if !begun => header(&words).map(|()| begun = true),
            ["subgraph", ..] => frame(line, &mut diagram, &mut open),
            ["end"] => match open.pop() {
                Some(_) => Ok(()),
                None => Err("`end`, but no frame is open".to_string()),
            },
            // How it looks, not what it needs.
            ["direction" | "style" | "linkStyle" | "classDef" | "class", ..] => {
                Ok(())
            }
            _ => statement(line, &mut diagram, &open),
        };
        read.map_err(|cause| DiagramError {
            line: index + 1,
            cause,
        })?;
    }
    let cause = match open.last() {
        Some(frame) => format!("frame {:?} has no `end`", diagram.frames[*frame].0),
        None if !diagram.clients().is_empty() => return Ok(diagram),
        None => "no client: a box that needs others, and no arrow to it".to_string(),
    };
    Err(DiagramError {
        line: text.lines().count(),
        cause,
    })
}

/// `A & B --> C -.-> D`: boxes, then arrows with boxes behind them.
fn statement(line: &str, diagram: &mut Diagram, open: &[usize]) -> Parsed<()> {
    let mut rest = line.trim();
    let mut from = boxes(&mut rest, diagram, open)?;
    while !rest.is_empty() {
        let needed = arrow(&mut rest)?;
        let to = boxes(&mut rest, diagram, open)?;
        for id in &to {
            diagram.parts[id.0].is_client = false;
        }
        for id in from {
            let new = to.iter().filter(|_| needed);
            diagram.parts[id.0].needs.extend(new);
        }
        from = to;
    }
    Ok(())
}

fn header(words: &[&str]) -> Parsed<()> {
    match words {
        ["flowchart" | "graph", "TD" | "TB" | "BT" | "LR" | "RL"] => Ok(()),
        _ => Err(format!("{:?} is no flowchart", words.join(" "))),
    }
}

/// `subgraph R1["rack 1"]`, `subgraph "rack 1"` or `subgraph rack 1`.
fn frame(line: &str, to: &mut Diagram, open: &mut Vec<usize>) -> Parsed<()> {
    let line = line.strip_prefix("subgraph").unwrap_or(line).trim();
    let (name, title) = match line.split_once('[') {
        None => (line, line),
        Some((name, title)) => match title.strip_suffix(']') {
            Some(title) => (name.trim(), title),
            None => return Err("the frame's title has no `]`".to_string()),
        },
    };
    if title.is_empty() {
        return Err("a frame without a name".to_string());
    }
    if to.frames.len() == FRAMES_MAX {
        return Err(format!("more than {FRAMES_MAX} frames"));
    }
    if to.parts.iter().any(|part| part.name == name) {
        return Err(arrow_to_frame(name));
    }
    to.frame_names.insert(name.to_string());
    open.push(to.frames.len());
    let title = title.trim_matches('"').to_string();
    to.frames.push((title, BTreeSet::new()));
    Ok(())
}

fn arrow_to_frame(name: &str) -> String {
    format!("{name} is a frame: lead arrows to the boxes in it")
}

/// Takes `token` off the rest of the line, if it comes next.
fn eat(rest: &mut &str, token: &str) -> bool {
    match rest.trim_start().strip_prefix(token) {
        Some(after) => {
            *rest = after.trim_start();
            true
        }
        None => false,
    }
}

/// The rest of the line, for an error.
fn next(rest: &str) -> String {
    match rest.trim() {
        "" => "the end of the line".to_string(),
        rest => format!("`{rest}`"),
    }
}

/// Whether the arrow means "needs" (`-->`) or "can do without" (`-.->`).
fn arrow(rest: &mut &str) -> Parsed<bool> {
    let needed = eat(rest, "-->");
    if !needed && !eat(rest, "-.->") {
        return Err(format!("expected `-->` or `-.->`, found {}", next(rest)));
    }
    if eat(rest, "|") {
        let Some((_label, after)) = rest.split_once('|') else {
            return Err("the arrow's label has no second `|`".to_string());
        };
        *rest = after.trim_start();
    }
    Ok(needed)
}

/// `A & B["label"]`.
fn boxes(rest: &mut &str, to: &mut Diagram, open: &[usize]) -> Parsed<Vec<BoxId>> {
    let mut found = vec![one_box(rest, to, open)?];
    while eat(rest, "&") {
        found.push(one_box(rest, to, open)?);
    }
    Ok(found)
}

// Opening and closing brackets; the longer ones first.
const SHAPES: [(&str, &str); 7] = [
    ("([", "])"),
    ("[(", ")]"),
    ("[[", "]]"),
    ("((", "))"),
    ("[", "]"),
    ("(", ")"),
    ("{", "}"),
];

fn one_box(rest: &mut &str, to: &mut Diagram, open: &[usize]) -> Parsed<BoxId> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let length = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
    if length == 0 {
        return Err(format!("expected a box, found {}", next(rest)));
    }
    let (name, after) = rest.split_at(length);
    *rest = after;
    let mut label = None;
    for (left, right) in SHAPES {
        if label.is_none() && eat(rest, left) {
            let (left, right) = match eat(rest, "\"") {
                true => ("\"", format!("\"{right}")),
                false => (left, right.to_string()),
            };
            let Some((text, after)) = rest.split_once(&right) else {
                return Err(format!("box {name}: `{left}` has no `{right}`"));
            };
            label = Some(text);
            *rest = after.trim_start();
        }
    }
    place(name, label, to, open)
}

/// The box of that name, new or known, in the frames that are open.
fn place(
    name: &str,
    label: Option<&str>,
    diagram: &mut Diagram,
    open: &[usize],
) -> Parsed<BoxId> {
    if diagram.frame_names.contains(name) {
        return Err(arrow_to_frame(name));
    }
    let known = diagram.parts.iter().position(|part| part.name == name);
    let id = known.unwrap_or(diagram.parts.len());
    if id == BOXES_MAX {
        return Err(format!("more than {BOXES_MAX} boxes"));
    }
    if known.is_none() {
        diagram.parts.push(Part {
            name: name.to_string(),
            label: String::new(),
            thing: String::new(),
            doubled: false,
            needs: Vec::new(),
            is_client: true,
        });
        diagram.parts[id].describe(name);
    }
    if let Some(label) = label {
        let part = &mut diagram.parts[id];
        let old = part.label.clone();
        part.describe(label);
        if old != part.name && old != part.label {
            return Err(format!("box {name} has two labels"));
        }
    }
    for (index, (title, boxes)) in diagram.frames.iter_mut().enumerate() {
        if open.contains(&index) {
            boxes.insert(BoxId(id));
        } else if !open.is_empty() && boxes.contains(&BoxId(id)) {
            return Err(format!("box {name} is in frame {title:?} already"));
        }
    }
    Ok(BoxId(id))
}

impl Part {
    fn describe(&mut self, label: &str) {
        let label = label.replace("<br>", "<br/>").replace("<br />", "<br/>");
        let lines: Vec<&str> = label.split("<br/>").map(str::trim).collect();
        let times = lines[0]
            .rsplit_once('×')
            .or_else(|| lines[0].rsplit_once(" x"));
        let doubled = times.filter(|(_, count)| {
            count.trim().parse::<u32>().is_ok_and(|count| count >= 2)
        });
        self.doubled = doubled.is_some();
        let thing = doubled.map_or(lines[0], |(thing, _)| thing);
        self.thing = thing.trim().to_string();
        self.label = lines.join(" ");
    }
}

/// The Mermaid diagrams in a Markdown text, and the line where each begins.
fn diagrams(markdown: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut in_diagram = false;
    for (index, line) in markdown.lines().enumerate() {
        match line.trim() {
            "```mermaid" => {
                in_diagram = true;
                found.push((index + 2, String::new()));
            }
            "```" => in_diagram = false,
            _ if in_diagram => {
                let (_, text) = found.last_mut().expect("a diagram has begun");
                *text += line;
                text.push('\n');
            }
            _ => {}
        }
    }
    found
}

/// The second diagram with one frame around what was in two.
fn in_one_rack() -> String {
    let between = "    end\n    subgraph R1[\"rack 1\"]\n";
    let one = TWO_RACKS.replace(between, "");
    one.replace("rack 2", "the only rack")
}

fn report(title: &str, diagram: &Diagram) {
    let found = diagram.single_points();
    let found = match found.is_empty() {
        true => "none".to_string(),
        false => found.join(", "),
    };
    println!("{title:<32} {found}");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(path) = std::env::args().nth(1) {
        let found = diagrams(&std::fs::read_to_string(path)?);
        if found.is_empty() {
            println!("the file has no Mermaid diagram");
        }
        for (line, text) in found {
            println!("at line {line}");
            match read(&text) {
                Ok(diagram) => {
                    let clients = diagram.clients().join(", ");
                    println!("{:<32} {clients}", "  clients");
                    report("  single points of failure", &diagram);
                }
                Err(error) => println!("  {error}"),
            }
        }
        return Ok(());
    }
    println!("{:<32} single points of failure\n", "diagram");
    let mut diagram = read(TODAY)?;
    report("today", &diagram);
    for label in ["DNS", "balancer", "orders"] {
        diagram.add_copy(label);
        report(&format!("  and a copy of {label}"), &diagram);
    }
    report("all doubled, in one rack", &read(&in_one_rack())?);
    report("all doubled, in two racks", &read(TWO_RACKS)?);

    println!("\nwhat it does not understand, it says:\n");
    for wrong in ["C ==> B", "C --> B[\"balancer", "C --> "] {
        if let Err(error) = read(&format!("flowchart TD\n{wrong}\n")) {
            println!("{error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        read(text).expect("a diagram").single_points()
    }

    fn flow(lines: &str) -> String {
        format!("flowchart TD\n{lines}\n")
    }

    fn error(lines: &str) -> String {
        read(&flow(lines)).expect_err("no diagram").to_string()
    }

    #[test]
    fn the_diagrams_are_those_that_the_chapter_prints() {
        let root = env!("CARGO_MANIFEST_DIR");
        let chapter = format!("{root}/src/good-design/single-point-of-failure.md");
        let chapter = std::fs::read_to_string(chapter).expect("the chapter");
        let printed = diagrams(&chapter);
        let printed: Vec<&str> = printed.iter().map(|(_, text)| &text[..]).collect();
        assert_eq!(printed, [TODAY, TWO_RACKS]);
        assert_eq!(found(printed[0]), ["DNS", "balancer", "orders"]);
        assert!(found(printed[1]).is_empty());
        assert_eq!(found(&in_one_rack()), ["the only rack"]);
    }

    #[test]
    fn a_lone_end_point_is_a_single_point_of_failure() {
        assert_eq!(found(&flow("C --> DB")), ["DB"]);
    }

    #[test]
    fn a_copy_of_each_single_point_makes_the_finder_silent() {
        let mut diagram = read(TODAY).expect("a diagram");
        for left in (0..3).rev() {
            let first = diagram.single_points().remove(0);
            diagram.add_copy(&first);
            assert_eq!(diagram.single_points().len(), left);
        }
    }

    #[test]
    fn two_copies_in_one_frame_are_one_single_point() {
        let one =
            "subgraph rack\nA[\"db<br/>1\"]\nB[\"db<br/>2\"]\nend\nC --> A & B";
        assert_eq!(found(&flow(one)), ["rack"]);
        let nested = one
            .replace("A[", "subgraph shelf\nA[")
            .replace("\nB", "\nend\nB");
        assert_eq!(
            found(&flow(&nested)),
            ["rack"],
            "a shelf of one copy is none"
        );
    }

    #[test]
    fn a_frame_takes_down_a_box_that_says_times_two() {
        assert!(found(&flow("C --> D[\"db ×2\"]")).is_empty());
        let framed = "subgraph rack\nD[\"db ×2\"]\nend\nC --> D";
        assert_eq!(found(&flow(framed)), ["rack"]);
        assert_eq!(found(&flow("C --> D[\"db ×1\"]")), ["db ×1"]);
        assert!(found(&flow("C --> D[\"db x3\"]")).is_empty());
        assert_eq!(found(&flow("C --> D[\"matrix2\"]")), ["matrix2"]);
    }

    #[test]
    fn two_services_that_are_both_needed_are_no_copies_of_each_other() {
        let both = "C --> L[login] & P[prices]\nL & P --> D[\"db ×2\"]";
        assert_eq!(found(&flow(both)), ["login", "prices"]);
    }

    #[test]
    fn what_a_part_can_do_without_is_no_single_point() {
        assert_eq!(found(&flow("C --> A\nA -.-> K\nA --> D")), ["A", "D"]);
        assert_eq!(found(&flow("C --> A\nA -.-> K\nK --> S")), ["A"]);
    }

    #[test]
    fn a_majority_lost_with_a_frame_is_not_seen() {
        let voters = "subgraph rack\nA[\"vote<br/>1\"]\nB[\"vote<br/>2\"]\nend";
        let text = format!("{voters}\nC --> A & B & D[\"vote<br/>3\"]");
        assert!(found(&flow(&text)).is_empty(), "one is enough for it");
    }

    #[test]
    fn every_client_counts() {
        let two = "C --> A[\"app<br/>1\"] & B[\"app<br/>2\"]\nJ[job] --> B";
        assert_eq!(found(&flow(two)), ["app 2"]);
    }

    #[test]
    fn parts_that_need_each_other_work_while_both_are_up() {
        assert_eq!(found(&flow("C --> A\nA --> B\nB --> A")), ["A", "B"]);
    }

    #[test]
    fn chains_labels_and_comments_are_read() {
        let chain = "%% a comment\nC -->|\"asks\"| A -.->|may ask| K & L\n\nA --> D";
        assert_eq!(found(&flow(chain)), ["A", "D"]);
    }

    #[test]
    fn what_changes_only_the_look_changes_nothing() {
        let plain = "C --> A[\"app<br/>1\"] & B[\"app<br/>2\"]\nA & B --> D";
        assert_eq!(found(&flow(plain)), ["D"]);
        let breaks = plain.replace("br/>1", "br>1").replace("br/>2", "br />2");
        let look = "style D fill:#fff\nclass D big\nlinkStyle 0 stroke:#fff";
        let look = format!("%% shop\n\ngraph LR;\n{breaks};\n{look}\n");
        assert_eq!(found(&look), ["D"]);
        let named = "subgraph \"the rack\"\ndirection TB\nD\nend\nC --> D";
        assert_eq!(found(&flow(named)), ["D", "the rack"]);
    }

    #[test]
    fn the_clients_are_the_boxes_that_need_others_and_that_nothing_points_at() {
        let text = flow("C[shop] --> A --> D\nJ[job] --> D\nM -.-> A\nA -.-> K");
        let diagram = read(&text).expect("a diagram");
        assert_eq!(diagram.clients(), ["shop", "job"]);
    }

    #[test]
    fn a_markdown_file_gives_up_all_its_diagrams() {
        let text =
            "a\n```mermaid\ngraph\n```\n```text\nb\n```\n  ```mermaid\n  pie\n  ```";
        let expected = [(3, "graph\n".to_string()), (9, "  pie\n".to_string())];
        assert_eq!(diagrams(text), expected);
    }

    #[test]
    fn an_error_names_the_line_and_what_stands_there() {
        let start = |line| format!("line {line} of the diagram: ");
        let says = |lines: &str, line, part: &str| {
            let error = error(lines);
            assert!(error.starts_with(&start(line)), "{error}");
            assert!(error.contains(part), "{error}");
        };
        says("C --> A\nC ==> B", 3, "found `==> B`");
        says("C -- text --> A", 2, "found `-- text --> A`");
        says("C --> A[\"app", 2, "no `\"]`");
        says("C -->|asks A", 2, "second `|`");
        says("C -->", 2, "a box, found the end of the line");
        says("C --> A[app]\nA[shop]", 3, "two labels");
        says("subgraph rack\nC --> A", 3, "no `end`");
        says("C --> A\nend", 3, "no frame is open");
        says("C --> A --> C", 2, "no client");
        says("C -.-> A", 2, "no client");
        says("subgraph R[rack]\nA\nend\nC --> R", 5, "R is a frame");
        says("C --> R\nsubgraph R[rack]\nA\nend", 3, "R is a frame");
        says("subgraph R[rack", 2, "no `]`");
        says("subgraph", 2, "without a name");
        says(
            "subgraph x\nA\nend\nsubgraph y\nA\nend",
            6,
            "in frame \"x\"",
        );
        let many: String = (0..=BOXES_MAX).map(|n| format!("N{n}\n")).collect();
        says(&many, BOXES_MAX + 2, "more than 200 boxes");
        let frames = "subgraph x\nend\n".repeat(FRAMES_MAX + 1);
        says(&frames, 2 * FRAMES_MAX + 2, "more than 50 frames");
        let sequence = read("sequenceDiagram\nA->>B: hi").expect_err("no flowchart");
        assert!(sequence.to_string().contains("no flowchart"));
    }

    /// Up to nine boxes of up to four things; arrows only to later boxes.
    fn random(rng: &mut fastrand::Rng) -> Diagram {
        let mut text = String::from("flowchart TD\n");
        let count = rng.usize(2..=9);
        for id in 0..count {
            text += &format!("N{id}[\"t{}<br/>{id}\"]\n", rng.u32(0..4));
            for later in id + 1..count {
                // At least one box needs another.
                if (id, later) == (0, 1) || rng.u32(0..3) == 0 {
                    text += &format!("N{id} --> N{later}\n");
                }
            }
        }
        read(&text).expect("a diagram")
    }

    /// The rule as a recursion, which ends because arrows lead to later boxes.
    fn works(d: &Diagram, id: usize, lost: usize) -> bool {
        let needs = &d.parts[id].needs;
        let things: BTreeSet<_> =
            needs.iter().map(|n| &d.parts[n.0].thing).collect();
        let mut each = things.into_iter();
        let copy_works = |thing: &String| {
            let mut copies = needs.iter().filter(|n| d.parts[n.0].thing == *thing);
            copies.any(|copy| works(d, copy.0, lost))
        };
        id != lost && each.all(copy_works)
    }

    #[test]
    fn the_finder_agrees_with_the_rule_on_random_diagrams() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut singles = 0;
        for _ in 0..2_000 {
            let diagram = random(&mut rng);
            let parts = || diagram.parts.iter().enumerate();
            let stops = |lost: &usize| {
                parts()
                    .any(|(id, part)| part.is_client && !works(&diagram, id, *lost))
            };
            let expected: Vec<String> = parts()
                .filter(|(id, part)| !part.is_client && stops(id))
                .map(|(_, part)| part.label.clone())
                .collect();
            singles += expected.len();
            assert_eq!(diagram.single_points(), expected);
        }
        assert!(singles > 2_000, "{singles}");
    }

    #[test]
    fn after_a_copy_of_each_no_random_diagram_has_a_single_point() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..2_000 {
            let mut diagram = random(&mut rng);
            for label in diagram.single_points() {
                diagram.add_copy(&label);
            }
            assert_eq!(diagram.single_points(), Vec::<String>::new());
        }
    }

    #[test]
    fn where_all_arrows_of_a_box_lead_to_copies_the_loss_test_asks_for_a_path() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..1_000 {
            let mut text = String::from("flowchart TD\nL0N0[\"client\"]\n");
            let sizes = [1, rng.usize(1..4), rng.usize(1..4), rng.usize(1..4)];
            let mut arrows = Vec::new();
            for layer in 0..3 {
                for (i, j) in (0..sizes[layer])
                    .flat_map(|i| (0..sizes[layer + 1]).map(move |j| (i, j)))
                {
                    if j == i % sizes[layer + 1] || rng.bool() {
                        arrows.push(((layer, i), (layer + 1, j)));
                        text += &format!(
                            "L{layer}N{i} --> L{0}N{j}[\"t{0}<br/>{j}\"]\n",
                            layer + 1
                        );
                    }
                }
            }
            let path = |lost: (usize, usize)| {
                let mut seen = vec![(0, 0)];
                for (from, to) in &arrows {
                    if seen.contains(from) && *to != lost {
                        seen.push(*to);
                    }
                }
                seen.iter().any(|(layer, _)| *layer == 3)
            };
            let diagram = read(&text).expect("a diagram");
            for (id, part) in diagram.parts.iter().enumerate().skip(1) {
                let (layer, node) = part.name[1..].split_once('N').expect("LxNy");
                let lost = (layer.parse().expect("x"), node.parse().expect("y"));
                if part.is_client {
                    continue; // nothing points at it: it is not in use
                }
                let without = diagram.working_without(&BTreeSet::from([BoxId(id)]));
                assert_eq!(without[0], path(lost), "{text} without {}", part.name);
            }
        }
    }
}
