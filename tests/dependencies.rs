//! The chapter on maintainability, applied to this repository: no package needs itself by a detour,
//! and neither does a module of the tools, but for four files that are known.
//!
//! Knows the workspace by `cargo metadata`, and modules by the paths in their code that begin with
//! `crate`, `super` or `self`: in a `use`, however nested and however many lines long, and in the
//! middle of an expression; tests count, too. The finder is the chapter's own program.
//!
//! Compared are modules beside each other: two at the root, or two in one folder. A module and those
//! inside it may use each other, as `mod` and `super` have them do. Not seen are paths that a macro
//! builds, and names that a module above takes in with `pub use` and gives on.

#[rustfmt::skip]
#[allow(dead_code)] // its `main` and what only that calls
#[path = "../examples/maintainability_cycles.rs"]
mod maintainability_cycles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use maintainability_cycles::Graph;

/// Files of one module that know each other. Whoever mends them strikes them off; a fifth is
/// refused.
const KNOWN: [&str; 4] = [
    "xtask::check::ids",
    "xtask::check::includes",
    "xtask::check::page",
    "xtask::check::site",
];

/// Each package: its name, its folder, and the packages of this workspace that it uses.
fn packages() -> Vec<(String, PathBuf, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let folder = manifest
                .parent()
                .expect("a manifest is in a folder")
                .to_owned();
            let used = package["dependencies"].as_array().expect("a list");
            let local = used.iter().filter(|used| used["path"].is_string());
            let used = local.map(|used| text(&used["name"])).collect();
            (text(&package["name"]), folder, used)
        })
        .collect()
}

/// The modules of a crate by their paths, each with the modules beside it that its code names.
fn modules(source: &Path) -> Graph {
    let files = rust_files(source);
    let sources = files.iter().map(|file| {
        let text = fs::read_to_string(file).expect("a readable file");
        (
            module_of(file.strip_prefix(source).expect("found there")),
            text,
        )
    });
    graph(&sources.collect::<Vec<_>>())
}

/// `check/page.rs` is the module `check::page`, `check/mod.rs` is `check`, and `lib.rs` the root.
fn module_of(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    let mut parts: Vec<String> = parts.collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    parts
}

/// Two modules beside each other: the first, or one inside it, names the second or one inside it.
fn graph(sources: &[(Vec<String>, String)]) -> Graph {
    let mut graph = Graph::default();
    for (module, text) in sources {
        for (user, mut used) in paths(module, &tokens(text)) {
            let is_module = |path: &[String]| sources.iter().any(|(module, _)| module == path);
            while !used.is_empty() && !is_module(&used) {
                used.pop(); // an item, in a module or at the root
            }
            let shared = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if shared < user.len().min(used.len()) {
                let [user, used] = [user, used].map(|path| path[..=shared].join("::"));
                graph.add(&user, &used);
            }
        }
    }
    graph
}

/// Each path that begins with `crate`, `super` or `self`: the module that it stands in, and the
/// path from the root of the crate.
fn paths(module: &[String], tokens: &[String]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut found = Vec::new();
    let mut here = module.to_vec();
    let mut blocks = Vec::new(); // for each open brace, whether it opened a module
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut at = 0;
    while at < tokens.len() {
        match token(at) {
            "{" => {
                let opens = at > 1 && token(at - 2) == "mod";
                if opens {
                    here.push(token(at - 1).to_owned());
                }
                blocks.push(opens);
            }
            "}" if blocks.pop() == Some(true) => drop(here.pop()),
            "crate" | "super" | "self" if token(at + 1) == "::" => {
                let mut base = match token(at) {
                    "crate" => Vec::new(),
                    "super" => here[..here.len().saturating_sub(1)].to_vec(),
                    _ => here.clone(),
                };
                at += 2;
                while token(at) == "super" && token(at + 1) == "::" {
                    base.pop();
                    at += 2;
                }
                let mut used = Vec::new();
                at = tree(tokens, at, base, &mut used);
                found.extend(used.into_iter().map(|used| (here.clone(), used)));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads what follows a `::`, such as `a::{b, c::d}`; the answer is where it ends.
fn tree(
    tokens: &[String],
    mut at: usize,
    mut base: Vec<String>,
    used: &mut Vec<Vec<String>>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    loop {
        match token(at) {
            "{" => {
                at += 1;
                while !matches!(token(at), "}" | "") {
                    at = tree(tokens, at, base.clone(), used);
                    while !matches!(token(at), "," | "}" | "") {
                        at += 1; // `as other`
                    }
                    at += usize::from(token(at) == ",");
                }
                return at + 1;
            }
            name if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                base.push(name.to_owned());
                at += 1;
                if token(at) != "::" {
                    used.push(base);
                    return at;
                }
                at += 1;
            }
            _ => {
                used.push(base); // `*`, or the `<` of a type's arguments
                return at;
            }
        }
    }
}

/// Words, `::` and single signs; no comments, no text between quotes.
fn tokens(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), false)
        } else if let Some(length) = quoted(rest) {
            (length, false)
        } else if is_word(first) {
            (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (token, after) = rest.split_at(length);
        if kept {
            tokens.push(token.to_owned());
        }
        rest = after;
    }
    tokens
}

/// How long the string or the character is with which `text` begins. A lifetime is none.
fn quoted(text: &str) -> Option<usize> {
    let bare = text.trim_start_matches(['b', 'c']);
    let raw = bare.strip_prefix('r').unwrap_or(bare);
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw.len() < bare.len() && raw[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &raw[hashes + 1..];
        let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(text.len() - inside.len() + length);
    }
    let quote = bare.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (nth, (at, c)) in bare[1..].char_indices().enumerate() {
        match (escaped, c) {
            (false, c) if c == quote => return Some(text.len() - bare.len() + at + 2),
            (_, '\\') => escaped = !escaped,
            _ if quote == '\'' && nth == 1 && !bare.starts_with("'\\") => return None,
            _ => escaped = false,
        }
    }
    (quote == '"').then_some(text.len())
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        // Programs use the library; nothing can use them.
        if path.is_dir() && !path.ends_with("bin") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn no_package_of_the_workspace_is_on_a_cycle() {
    let mut graph = Graph::default();
    for (name, _, used) in packages() {
        for used in used {
            graph.add(&name, &used);
        }
    }
    let layers = graph.layers().unwrap_or_else(|cycle| panic!("{cycle}"));
    assert_eq!(
        layers[0],
        ["labs", "recorded"],
        "the tool draws figures, and all that print a measurement use the other"
    );
    assert!(graph.uses["real"].contains("s3"), "and one package another");
}

#[test]
fn no_module_is_on_a_cycle_but_those_that_are_known() {
    let mut dependencies = 0;
    let mut known = BTreeSet::new();
    for (name, folder, _) in packages() {
        let graph = modules(&folder.join("src"));
        dependencies += graph.uses.values().map(|used| used.len()).sum::<usize>();
        for (module, used) in &graph.uses {
            let users = graph.reach(module);
            if let Some(used) = used.iter().find(|used| users.contains(used.as_str())) {
                let full = format!("{name}::{module}");
                assert!(
                    KNOWN.contains(&full.as_str()),
                    "{full} uses {used}, which comes back to it: {:?}",
                    graph.layers()
                );
                known.insert(full);
            }
        }
    }
    assert!(dependencies > 100, "{dependencies} dependencies were seen");
    assert_eq!(known.len(), KNOWN.len(), "struck off one that is mended");
}

#[test]
fn a_circle_is_found_however_its_paths_are_written() {
    let circle = |folder: &[&str], code: &str| {
        let module = |name: &str| {
            let path = folder.iter().chain([&name]);
            path.map(|part| part.to_string()).collect::<Vec<_>>()
        };
        let sources = [
            (Vec::new(), String::new()),
            (
                folder.iter().map(|f| f.to_string()).collect(),
                String::new(),
            ),
            (module("a"), code.to_owned()),
            (module("b"), "use super::a::Thing;".to_owned()),
            (module("c"), String::new()),
        ];
        graph(&sources).layers().is_err()
    };
    for code in [
        "use crate::b;",
        "use crate::b::{self, Thing};",
        "use crate::{c, b};",
        "use crate::{c::{self, Thing as Other}, b::Thing};",
        "use crate::{\n    c::{\n        Thing,\n    },\n    b,\n};",
        "pub(crate) use crate::b::*;",
        "pub(super) use super::b;",
        "use self::super::b;",
        "use super::{c, b as other};",
        "fn f() { crate::b::g::<u8>() }",
        "fn f<'a>(x: &'a super::b::Thing) -> char { '\\'' }",
        "fn f(x: &'static super::b::Thing) -> char { 'c' }",
        "mod tests { use super::super::b; }",
        "mod tests { use super::*; use crate::b; }",
        "fn f() { let _ = \"// {\"; super::b::g() }",
        "const C: char = '\"'; use super::b;",
        "const C: &str = r#\" \" \"#; use super::b;",
        "mod inner { fn f() { if true {} } } use super::b;",
    ] {
        assert!(circle(&[], code), "at the root: {code}");
        let inside = code.replace("crate::b", "crate::x::b");
        let inside = inside.replace("crate::{", "crate::x::{");
        assert!(circle(&["x"], &inside), "in a folder: {inside}");
    }
    for code in [
        "// use crate::b;",
        "/* use crate::b;\n */",
        "const C: &str = \"\\\" crate::b;\";",
        "const C: &str = r#\"\" crate::b \"#;",
        "use crate::{c::Thing as b, c};",
        "use crate::c;",
        "use crate::better;",
        "use super::{c::b, Thing};",
        "pub(crate) fn b() {}",
        "mod tests { use super::b; }",
        "mod b { pub fn g() {} } use self::b::g;",
        "use std::b;",
    ] {
        assert!(!circle(&[], code), "no circle: {code}");
    }
}

#[test]
fn a_file_is_the_module_of_its_path() {
    for (file, module) in [
        ("lib.rs", ""),
        ("main.rs", ""),
        ("check/mod.rs", "check"),
        ("check/page.rs", "check::page"),
    ] {
        assert_eq!(module_of(Path::new(file)).join("::"), module, "{file}");
    }
}

#[test]
fn a_module_and_those_inside_it_may_use_each_other() {
    let module = |path: &[&str]| path.iter().map(|part| part.to_string()).collect();
    let root = (module(&[]), "use self::a::f; pub fn g() {}".to_owned());
    let a = (module(&["a"]), "use self::b::f; use crate::g;".to_owned());
    let b = (module(&["a", "b"]), "use super::f;".to_owned());
    assert_eq!(graph(&[root, a, b]), Graph::default());
}
