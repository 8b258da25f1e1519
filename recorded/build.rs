//! Notes which compiler builds the programs: a time that is printed needs it beside it.

use std::env;
use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").ok_or("cargo names no rustc")?;
    let version = Command::new(rustc).arg("--version").output()?;
    let version = String::from_utf8(version.stdout)?;
    let number = version.split(' ').nth(1).ok_or("rustc prints no version")?;
    println!("cargo::rustc-env=RUSTC_VERSION={number}");
    Ok(())
}
