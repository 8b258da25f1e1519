//! The chapter's presigned URLs, and what a thief might make of them, shown to the
//! chapter's own check and to a server that speaks S3.
//!
//! Look at the first and the last line: the server accepts what our code signed.
//! Then at the line before the last, on which the two differ.

use anyhow::Result;
use s3::object_storage::presigned::{attempts, presign, verify};
use s3::object_storage::{CREDENTIALS, S3S, now, request, send, signed, start};
use std::process::ExitCode;

fn run() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[S3S])?);
    let running = start()?;
    let addr = running.server.addr();
    signed(request(addr, "PUT", "report.pdf", &[]), &[], b"the report")?;
    let now = now()?;
    let get = request(addr, "GET", "report.pdf", &[]);
    let url = presign(get, &CREDENTIALS, now, 3_600);
    println!("{:<24}{:<23}S3 server", "", "ours");
    for (what, request) in attempts(&url, &CREDENTIALS, now) {
        let ours = match verify(&request, &CREDENTIALS, now) {
            Ok(()) => "accepted".to_owned(),
            Err(refusal) => format!("{refusal:?}"),
        };
        let answer = send(&request, &[], &[])?;
        let code = answer.first("Code").unwrap_or_default();
        let theirs = if answer.status == 200 { "accepted".to_owned() } else { code };
        println!("{what:<24}{ours:<23}{theirs}");
    }
    Ok(())
}

fn main() -> ExitCode {
    s3::object_storage::exit_code(run())
}
