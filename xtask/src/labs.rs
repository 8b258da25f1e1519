//! Interactive figures: builds their WebAssembly modules and puts each figure, with its still picture,
//! its words and its goals, where a chapter has `<lab-figure name="NAME"></lab-figure>`.
//!
//! Knows of the crate `labs` and of finished pages. Without the WebAssembly target the still pictures
//! stand alone, and the build says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use labs::Entry;
use labs::figure::Setup;

use crate::assets::Assets;
use crate::files;

/// How a chapter places a figure: this, the name, and [`PLACE_END`], on a line of their own.
pub const PLACE: &str = "<lab-figure name=\"";
/// See [`PLACE`].
pub const PLACE_END: &str = "\"></lab-figure>";

const TARGET: &str = "wasm32-unknown-unknown";

/// Where Debian's packages rustc-web, cargo-web and rust-web-src put their tools.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The figure of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    labs::all().iter().find(|entry| entry.name == name)
}

/// The modules of an earlier build, for as long as no source of theirs has changed.
#[derive(Default)]
pub struct Modules {
    made: Option<SystemTime>,
    bytes: BTreeMap<String, Vec<u8>>,
    told: bool,
}

impl Modules {
    /// Builds the modules if a source is newer than the last build, and adds those of the figures
    /// that `pages` place to `assets`.
    ///
    /// # Errors
    /// When they do not compile; and with `CI=true` when the target is missing.
    pub fn add_to(&mut self, assets: &mut Assets) -> Result<()> {
        let home = repository();
        let newest = newest(&[home.join("labs"), home.join("examples")])?;
        if self.made.is_none_or(|made| made < newest) {
            match build(&home)? {
                Ok(bytes) => self.bytes = bytes,
                Err(why) if std::env::var_os("CI").is_some_and(|ci| ci == "true") => bail!(why),
                Err(why) if !self.told => {
                    eprintln!("figures stand still: {why}");
                    self.told = true;
                }
                Err(_) => {}
            }
            self.made = Some(newest);
        }
        for (name, bytes) in &self.bytes {
            assets.add(&format!("{name}.wasm"), bytes.clone());
        }
        Ok(())
    }
}

fn repository() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map_or(package.clone(), PathBuf::from)
}

fn newest(folders: &[PathBuf]) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for folder in folders {
        for path in files::files_below(folder)? {
            newest = newest.max(fs::metadata(&path)?.modified()?);
        }
    }
    Ok(newest)
}

/// Compiles every figure. The inner error says which tool is missing and how to get it.
fn build(home: &Path) -> Result<std::result::Result<BTreeMap<String, Vec<u8>>, String>> {
    let target_dir = home.join("target/labs");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = if has_target("rustc", home)? {
        Command::new(cargo)
    } else if Path::new(DEBIAN_CARGO).exists()
        && Path::new("/usr/lib/rustlib/src/rust/library/std").exists()
    {
        // Debian has the library's source rather than the library: cargo compiles it.
        let mut command = Command::new(DEBIAN_CARGO);
        command
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", linker(home)?)
            .args(["-Zbuild-std=std,panic_abort"]);
        command
    } else {
        return Ok(Err(format!(
            "the target {TARGET} is missing: rustup target add {TARGET}, or on Debian apt-get \
             install rustc-web cargo-web rust-web-src lld"
        )));
    };
    let output = command
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "labs",
            "--examples",
        ])
        .args(["--profile", "wasm", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(home)
        .env_remove("RUSTUP_TOOLCHAIN")
        .stdin(Stdio::null())
        .output()
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!(
            "the figures do not compile:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    let mut modules = BTreeMap::new();
    for entry in labs::all() {
        let path = target_dir.join(format!("{TARGET}/wasm/examples/{}.wasm", entry.name));
        let bytes = fs::read(&path).with_context(|| {
            format!(
                "cannot read {}: labs/Cargo.toml has no [[example]] named {}",
                path.display(),
                entry.name
            )
        })?;
        modules.insert(entry.name.to_owned(), bytes);
    }
    Ok(Ok(modules))
}

fn has_target(rustc: &str, home: &Path) -> Result<bool> {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(home)
        .output()
        .context("rustc does not start")?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Debian's compiler brings no linker for WebAssembly: rustup's toolchain has one, and so has lld.
fn linker(home: &Path) -> Result<String> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(home)
        .output()
        .context("rustc does not start")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let ours = sysroot.join(format!("lib/rustlib/{host}/bin/rust-lld"));
    let linker = if ours.exists() {
        ours.display().to_string()
    } else {
        "wasm-ld".to_owned()
    };
    Ok(format!("-Clinker={linker} -Clinker-flavor=wasm-ld"))
}

/// The page with its figures. `root` leads from the page to the site's root; on the print page
/// (`still`) no figure moves.
///
/// # Errors
/// When a page places a figure that is not there.
pub fn put_into(page: &str, root: &str, assets: &Assets, still: bool) -> Result<String> {
    let mut done = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(PLACE) {
        let Some((name, after)) = after.split_once(PLACE_END) else {
            bail!(
                "a figure is placed in a way that the build does not know: {PLACE}NAME{PLACE_END}"
            );
        };
        let entry = find(name).with_context(|| format!("there is no figure {name}"))?;
        // Markdown takes the line for a paragraph, in which a figure may not stand.
        done.push_str(before.strip_suffix("<p>").unwrap_or(before));
        let after = after.strip_prefix("</p>").unwrap_or(after);
        let (caption, after) = caption(after);
        let module = if still {
            None
        } else {
            assets.name_of(&format!("{name}.wasm"))
        };
        done.push_str(&figure(
            entry,
            module.map(|module| format!("{root}{module}")),
            caption,
        ));
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

/// The paragraph wholly in emphasis that follows a figure, and what follows it.
fn caption(after: &str) -> (&str, &str) {
    after
        .trim_start()
        .strip_prefix("<p><em>")
        .and_then(|text| text.split_once("</em></p>"))
        .filter(|(caption, _)| !caption.contains("</p>"))
        .unwrap_or(("", after))
}

fn figure(entry: &Entry, module: Option<String>, caption: &str) -> String {
    let name = entry.name;
    let mut run = entry.start(&Setup::new(1));
    for (action, value) in entry.about.still_acts {
        run.act(*action, *value);
    }
    for _ in 0..entry.about.still_steps {
        run.step();
    }
    let goals: String = entry
        .about
        .goals
        .iter()
        .map(|goal| format!("<li data-goal=\"{goal}\">{goal}</li>"))
        .collect();
    let module = module.map_or(String::new(), |module| format!(" data-module=\"{module}\""));
    format!(
        "<lab-figure id=\"figure-{name}\"{module}><figure aria-labelledby=\"figure-{name}-title\">\
         <p class=\"lab-title\" id=\"figure-{name}-title\">{}</p>\
         <div class=\"lab-stage\">{}</div><p class=\"lab-words\">{}</p>\
         <ol class=\"lab-goals\">{goals}</ol><figcaption><em>{caption}</em></figcaption></figure>\
         </lab-figure>",
        entry.about.title,
        run.still(),
        run.words(),
    )
}
