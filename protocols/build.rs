//! Compiles the `.proto` files, and notes which compiler was used: a time that is
//! printed needs it beside it.

use std::env;
use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["prices.proto", "orders.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;

    let rustc = env::var_os("RUSTC").ok_or("cargo names no rustc")?;
    let version = Command::new(rustc).arg("--version").output()?;
    let version = String::from_utf8(version.stdout)?;
    let number = version.split(' ').nth(1).ok_or("rustc prints no version")?;
    println!("cargo::rustc-env=RUSTC_VERSION={number}");
    Ok(())
}
