//! The chapter on data structures promises mechanisms of at most 60 lines: lines of
//! code, without blank ones and those that hold only a comment.

use std::fs;
use std::path::Path;

const LINES_MAX: usize = 60;

#[test]
fn each_mechanism_has_at_most_60_lines_of_code() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut mechanisms = 0;
    for entry in fs::read_dir(examples).expect("there are examples") {
        let path = entry.expect("a readable folder").path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if !name.starts_with("dsa_") || !name.ends_with(".rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable program");
        for part in text.split("// ANCHOR: ").skip(1) {
            let (anchor, rest) = part.split_once('\n').expect("a line");
            let end = rest.find("// ANCHOR_END: ").expect("an end");
            let code = rest[..end].lines().map(str::trim);
            let code = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
            let lines = code.count();
            assert!(lines <= LINES_MAX, "{name}, {anchor}: {lines} lines");
            mechanisms += 1;
        }
    }
    assert!(mechanisms >= 13, "only {mechanisms} mechanisms found");
}
