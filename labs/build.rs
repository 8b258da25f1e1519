//! Makes a module of each program that a figure runs, with the figure's own file as a child of it.
//!
//! A program's items are private, as they should be on a page; a child module may use them. So the
//! module is the program's file, unchanged but for its inner comments (which may not stand in an
//! included file) and the paths of its own modules, and at its end stands the figure. The file under
//! `src/figures/` says in its first line which program it drives: `//! Program: NAME`. With several
//! names, each program is a child of the one named after it, and the figure may use the items of all.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

fn main() {
    if let Err(error) = run() {
        eprintln!("labs: {error}");
        process::exit(1);
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=src/figures");
    let home = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?);
    let mut figures: Vec<PathBuf> = fs::read_dir(home.join("src/figures"))
        .map_err(|error| format!("src/figures: {error}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    figures.sort();
    let mut modules = String::new();
    let mut all = String::new();
    for path in &figures {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = read(path)?;
        let programs: Vec<&str> = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("//! Program: "))
            .ok_or_else(|| {
                format!(
                    "{}:1: the first line has to be `//! Program: NAME`, the program that it drives",
                    path.display()
                )
            })?
            .split(',')
            .map(str::trim)
            .collect();
        let mut child = format!("#[path = {path:?}]\npub mod figure;");
        let mut module = PathBuf::new();
        for (depth, program) in programs.iter().enumerate() {
            module = match depth + 1 == programs.len() {
                true => out.join(format!("{name}.rs")),
                false => out.join(format!("{name}-{program}.rs")),
            };
            let source = program_with(&home, program, &child)?;
            fs::write(&module, source).map_err(|error| format!("{}: {error}", module.display()))?;
            child = format!("#[path = {module:?}]\npub mod {program};\npub use {program}::figure;");
        }
        let program = programs.join(", ");
        writeln!(
            modules,
            "#[path = {:?}]\n#[allow(dead_code, unused_imports, clippy::all)]\nmod {name};",
            module
        )
        .map_err(|e| e.to_string())?;
        writeln!(
            all,
            "    entry::<{name}::figure::Lab>({name:?}, {program:?}),"
        )
        .map_err(|e| e.to_string())?;
    }
    let list = format!(
        "{modules}\n/// Every figure of the book, by name.\n#[cfg(not(target_family = \"wasm\"))]\n\
         static ALL: &[Entry] = &[\n{all}];\n\n/// The figures, for the modules that export them.\n\
         pub mod figures {{\n{}}}\n",
        figures
            .iter()
            .map(|path| {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                format!("    pub use super::{name}::figure::Lab as {name};\n")
            })
            .collect::<String>()
    );
    fs::write(out.join("figures.rs"), list).map_err(|error| format!("figures.rs: {error}"))
}

/// The program's text as a module, with another module in it.
fn program_with(home: &Path, program: &str, child: &str) -> Result<String, String> {
    let examples = home.join("../examples");
    let file = examples.join(format!("{program}.rs"));
    let (file, folder) = if file.exists() {
        (file, None)
    } else {
        let folder = examples.join(program);
        (folder.join("main.rs"), Some(folder))
    };
    println!(
        "cargo::rerun-if-changed={}",
        folder.as_ref().unwrap_or(&file).display()
    );
    let mut source = String::new();
    let mut names_its_file = false;
    for line in read(&file)?.lines() {
        // A module that says where its file is: from the program's own place.
        if let Some(path) = line
            .strip_prefix("#[path = \"")
            .and_then(|line| line.strip_suffix("\"]"))
        {
            let file = file.with_file_name(path);
            println!("cargo::rerun-if-changed={}", file.display());
            writeln!(source, "#[path = {file:?}]").map_err(|e| e.to_string())?;
            names_its_file = true;
            continue;
        }
        let folder = folder.as_ref().filter(|_| !names_its_file);
        names_its_file = false;
        let own_module = folder.and_then(|folder| {
            let name = line
                .trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')?;
            let file = folder.join(format!("{name}.rs"));
            let file = if file.exists() {
                file
            } else {
                folder.join(name).join("mod.rs")
            };
            Some(format!("#[path = {file:?}]\n"))
        });
        source.push_str(&own_module.unwrap_or_default());
        match line.strip_prefix("//!") {
            Some(comment) => source.push_str(&format!("//{comment}")),
            // The program's tests run where the program is.
            None if line == "#[cfg(test)]" => source.push_str("#[cfg(any())]"),
            None => source.push_str(line),
        }
        source.push('\n');
    }
    writeln!(source, "\n{child}").map_err(|e| e.to_string())?;
    Ok(source)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
