//! The crates that a block may use, compiled: the dependencies of `snippets/` alone, without
//! what that package needs to find and test blocks.
//!
//! Knows of cargo and of where `snippets/` lies. Cargo compiles a package of no code that has the
//! same dependencies and the workspace's lock file, in a target folder of its own, and says which
//! files came of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runner::confine::{Ended, Job};
use crate::runner::process::{self, Wanted, text};

/// Where the crates are compiled, below the repository.
const FOLDER: &str = "target/run";

/// How long cargo may take to fetch and compile them.
const TIME: Duration = Duration::from_secs(30 * 60);

/// How much cargo may say, in bytes: it describes every file that it makes.
const SAID: usize = 64 << 20;

/// What rustc has to be told of the crates.
pub struct Crates {
    /// `--extern` and `-L` with their values.
    pub arguments: Vec<String>,
}

/// A dependency, as `cargo metadata` describes it.
#[derive(Deserialize)]
struct Dependency {
    name: String,
    req: String,
    source: Option<String>,
    kind: Option<String>,
    rename: Option<String>,
    optional: bool,
    uses_default_features: bool,
    features: Vec<String>,
    path: Option<PathBuf>,
}

/// The declared dependencies of `snippets/`.
pub struct Declared {
    dependencies: Vec<Dependency>,
}

impl Declared {
    /// Reads them; there are none where there is no `snippets/`.
    ///
    /// # Errors
    /// When cargo cannot read the manifest.
    pub async fn read(root: &Path, wanted: &mut Wanted) -> Result<Declared> {
        let manifest = root.join("snippets/Cargo.toml");
        if !manifest.exists() {
            return Ok(Declared {
                dependencies: Vec::new(),
            });
        }
        let arguments = [
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ];
        let said = cargo(root, &manifest, &arguments, wanted).await?;
        let metadata: Value = serde_json::from_slice(&said)?;
        let package = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["name"] == "snippets")
            .context("cargo does not know the package snippets")?;
        let all: Vec<Dependency> = serde_json::from_value(package["dependencies"].clone())?;
        let dependencies = all
            .into_iter()
            .filter(|dependency| dependency.kind.is_none() && !dependency.optional)
            .collect();
        Ok(Declared { dependencies })
    }

    /// Their names, as code writes them.
    pub fn names(&self) -> BTreeSet<String> {
        let name = |dependency: &Dependency| dependency.name().replace('-', "_");
        self.dependencies.iter().map(name).collect()
    }

    /// Compiles them, without asking the network if everything is there.
    ///
    /// # Errors
    /// What cargo says when it cannot fetch or compile one.
    pub async fn compile(&self, root: &Path, wanted: &mut Wanted) -> Result<Crates> {
        if self.dependencies.is_empty() {
            return Ok(Crates {
                arguments: Vec::new(),
            });
        }
        let target = root.join(FOLDER);
        let package = target.join("package");
        fs::create_dir_all(package.join("src"))
            .with_context(|| format!("cannot make {}", package.display()))?;
        let manifest = package.join("Cargo.toml");
        fs::write(&manifest, self.manifest()?)?;
        fs::write(package.join("src/lib.rs"), "")?;
        fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock"))
            .context("cannot copy Cargo.lock")?;
        let target = target.to_str().context("the path is not UTF-8")?;
        let mut build = vec!["build", "--message-format=json", "--target-dir", target];
        build.push("--offline");
        let said = match cargo(root, &manifest, &build, wanted).await {
            Ok(said) => said,
            Err(_) => {
                build.pop();
                cargo(root, &manifest, &build, wanted).await?
            }
        };
        let arguments = ["metadata", "--offline", "--format-version", "1"];
        let metadata = cargo(root, &manifest, &arguments, wanted).await?;
        arguments_for(&text(&said), &serde_json::from_slice(&metadata)?)
    }

    /// The manifest of the package of no code. A string and a list in JSON are the same in TOML.
    fn manifest(&self) -> Result<String> {
        let mut manifest = String::from(
            "# Written by cargo xtask serve, from snippets/Cargo.toml.\n[package]\n\
             name = \"blocks\"\nversion = \"0.0.0\"\nedition = \"2021\"\npublish = false\n\n\
             [workspace]\n\n[profile.dev]\ndebug = false\n\n[dependencies]\n",
        );
        for dependency in &self.dependencies {
            let place = match (&dependency.path, dependency.source.as_deref()) {
                (Some(path), _) => format!("path = {}, ", json!(path)),
                (None, Some(source)) if source.starts_with("registry+") => String::new(),
                (None, source) => bail!("{}: cannot use {source:?}", dependency.name),
            };
            manifest += &format!(
                "{} = {{ {place}package = {}, version = {}, default-features = {}, features = {} }}\n",
                json!(dependency.name()),
                json!(dependency.name),
                json!(dependency.req),
                dependency.uses_default_features,
                json!(dependency.features),
            );
        }
        Ok(manifest)
    }
}

impl Dependency {
    /// The name that the package uses for it.
    fn name(&self) -> &str {
        self.rename.as_deref().unwrap_or(&self.name)
    }
}

/// Runs cargo on a manifest, from that manifest's folder, and returns what it prints. It ends with
/// the server.
async fn cargo(
    root: &Path,
    manifest: &Path,
    arguments: &[&str],
    wanted: &mut Wanted,
) -> Result<Vec<u8>> {
    let mut arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    arguments.push("--manifest-path".to_owned());
    let manifest = manifest.to_str().context("the path is not UTF-8")?;
    arguments.push(manifest.to_owned());
    let job = Job {
        program: std::env::var_os("CARGO")
            .unwrap_or_else(|| "cargo".into())
            .into(),
        arguments,
        work: root.to_path_buf(),
        bounds: None,
    };
    let output = process::run(job, None, TIME, SAID, wanted).await?;
    match output.ended {
        Some(Ended::Exited(0)) => Ok(output.stdout),
        None => bail!("the server ends"),
        Some(_) => {
            let errors = text(&output.stderr);
            let first = errors.find("error").unwrap_or_default();
            bail!("{}", errors[first..].trim().replace('\n', " "));
        }
    }
}

/// What rustc has to be told, from what cargo said as it built and from its dependency graph.
fn arguments_for(built: &str, metadata: &Value) -> Result<Crates> {
    let root = metadata["resolve"]["root"]
        .as_str()
        .context("cargo names no root package")?;
    let node = array(&metadata["resolve"]["nodes"])
        .find(|node| node["id"] == root)
        .context("cargo does not know the package it built")?;
    let messages: Vec<Value> = built
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut arguments = Vec::new();
    let mut folders = BTreeSet::new();
    for dependency in array(&node["deps"]) {
        let name = dependency["name"].as_str().unwrap_or_default();
        let file = messages
            .iter()
            .filter(|message| {
                message["reason"] == "compiler-artifact"
                    && message["package_id"] == dependency["pkg"]
                    && array(&message["target"]["kind"]).any(|kind| kind != "custom-build")
            })
            .flat_map(|message| array(&message["filenames"]))
            .filter_map(Value::as_str)
            .find(|file| {
                let endings = [".rlib", ".so", ".dylib", ".dll"];
                endings.iter().any(|ending| file.ends_with(ending))
            })
            .with_context(|| format!("cargo made no library of {name}"))?;
        arguments.extend(["--extern".to_owned(), format!("{name}={file}")]);
        let folder = Path::new(file).parent().context("a file has a folder")?;
        folders.insert(format!("dependency={}", folder.display()));
    }
    for message in &messages {
        if message["reason"] == "build-script-executed" {
            folders.extend(
                array(&message["linked_paths"])
                    .filter_map(Value::as_str)
                    .map(str::to_owned),
            );
        }
    }
    for folder in folders {
        arguments.extend(["-L".to_owned(), folder]);
    }
    Ok(Crates { arguments })
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direct_dependency_is_passed_even_if_another_version_of_it_was_built() {
        let metadata = json!({ "resolve": { "root": "blocks", "nodes": [
            { "id": "blocks", "deps": [{ "name": "sha2", "pkg": "sha2@0.11" }] },
            { "id": "sha2@0.10", "deps": [] },
        ]}});
        let artifact = |version: &str, kind: &str, file: &str| {
            json!({ "reason": "compiler-artifact", "package_id": format!("sha2@{version}"),
                    "target": { "kind": [kind] }, "filenames": [file] })
            .to_string()
        };
        let built = [
            artifact("0.10", "lib", "/t/deps/libsha2-1.rlib"),
            artifact("0.11", "custom-build", "/t/build/build-script-build.so"),
            artifact("0.11", "lib", "/t/deps/libsha2-2.rlib"),
            json!({ "reason": "build-script-executed", "linked_paths": ["native=/t/out"] })
                .to_string(),
        ]
        .join("\n");
        let crates = arguments_for(&built, &metadata).expect("both are there");
        let expected = [
            "--extern",
            "sha2=/t/deps/libsha2-2.rlib",
            "-L",
            "dependency=/t/deps",
            "-L",
            "native=/t/out",
        ];
        assert_eq!(crates.arguments, expected);
    }
}
