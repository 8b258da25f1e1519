//! The chapter on maintainability, applied to this repository: no package and no module of the
//! tools needs itself by a detour.
//!
//! Knows the workspace by `cargo metadata`, and modules by the `crate::` paths in their files. The
//! finder is the chapter's own program.

#[rustfmt::skip]
#[allow(dead_code)] // its `main` and what only that calls
#[path = "../examples/maintainability_cycles.rs"]
mod maintainability_cycles;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use maintainability_cycles::Graph;

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

/// The modules directly below the crate's root, each with the others that its files name.
fn modules(source: &Path) -> Graph {
    let files = rust_files(source);
    let module_of = |file: &Path| {
        let inside = file.strip_prefix(source).expect("it was found there");
        let first = inside.components().next().expect("a file has a name");
        let first = Path::new(first.as_os_str()).file_stem();
        first.unwrap_or_default().to_string_lossy().into_owned()
    };
    let names: Vec<String> = files.iter().map(|file| module_of(file)).collect();
    let mut graph = Graph::default();
    for (file, module) in files.iter().zip(&names) {
        let text = fs::read_to_string(file).expect("a readable file");
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for path in line.split("crate::").skip(1) {
                for used in first_names(path) {
                    if used != module && names.iter().any(|name| name == used) {
                        graph.add(module, used);
                    }
                }
            }
        }
    }
    graph
}

/// The names with which a path behind `crate::` begins: one, or those in its braces.
fn first_names(path: &str) -> impl Iterator<Item = &str> {
    let paths = match path.strip_prefix('{') {
        Some(inside) => inside.split('}').next().unwrap_or_default(),
        None => path.split(',').next().unwrap_or_default(),
    };
    paths.split(',').map(|path| {
        let path = path.trim();
        let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        &path[..end.unwrap_or(path.len())]
    })
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
    println!("{layers:?}");
    assert!(layers.len() > 1, "the packages that share code were seen");
}

#[test]
fn no_module_of_a_package_is_on_a_cycle() {
    let mut dependencies = 0;
    for (name, folder, _) in packages() {
        let graph = modules(&folder.join("src"));
        dependencies += graph.uses.values().map(|used| used.len()).sum::<usize>();
        let layers = graph
            .layers()
            .unwrap_or_else(|cycle| panic!("{name}: {cycle}"));
        println!("{name}: {layers:?}");
    }
    assert!(dependencies > 20, "{dependencies} dependencies were seen");
}
