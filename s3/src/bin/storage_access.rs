//! Who may do what with which objects: a list of what is allowed, and nothing else.
//!
//! Look at the last column, the server's status. 403 is both
//! "who are you?" and "you may not"; the access rules are asked only about those
//! whose signature is good. A rule that nobody wrote allows nothing.
//!
//! Simplified: three rules in the program. In production they are policies that
//! somebody other than the program's author reviews.

use anyhow::{Context, Result, ensure};
use s3::BUCKET;
use s3::Server;
use s3::object_storage::presigned::{Credentials, presign};
use s3::object_storage::{S3S, now, request, send};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

// ANCHOR: rules
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Get,
    Put,
}

struct Rule {
    who: &'static str,
    may: Operation,
    under: &'static str,
}

const RULES: [Rule; 3] = [
    Rule { who: "shop", may: Operation::Put, under: "photos/" },
    Rule { who: "shop", may: Operation::Get, under: "photos/" },
    Rule { who: "website", may: Operation::Get, under: "photos/" },
];

/// Deny by default: whatever no rule allows, and whatever is not understood.
fn allowed(who: &str, operation: &str, key: &str) -> bool {
    let operation = match operation {
        "GetObject" => Operation::Get,
        "PutObject" => Operation::Put,
        _ => return false, // DeleteObject, and all that will be invented
    };
    RULES.iter().any(|rule| {
        rule.who == who && rule.may == operation && key.starts_with(rule.under)
    })
}
// ANCHOR_END: rules

// ANCHOR: hook
struct ByRules;

#[async_trait::async_trait]
impl S3Access for ByRules {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let (Some(who), S3Path::Object { bucket, key }) =
            (request.credentials(), request.s3_path())
        else {
            return Err(s3_error!(AccessDenied));
        };
        let operation = request.s3_op().name();
        if &**bucket == BUCKET && allowed(&who.access_key, operation, key) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied))
    }
}
// ANCHOR_END: hook

const USERS: [(&str, &str); 3] = [
    ("shop", "secret of shop"),
    ("website", "secret of website"),
    ("ops", "secret"),
];

struct Attempt {
    who: &'static str,
    secret: &'static str,
    method: &'static str,
    key: &'static str,
}

const fn attempt(user: usize, method: &'static str, key: &'static str) -> Attempt {
    Attempt { who: USERS[user].0, secret: USERS[user].1, method, key }
}

const ATTEMPTS: [(Attempt, u16); 8] = [
    (attempt(0, "PUT", "photos/lamp.jpg"), 200),
    (attempt(1, "GET", "photos/lamp.jpg"), 200),
    (attempt(1, "PUT", "photos/lamp.jpg"), 403),
    (attempt(1, "GET", "invoices/7.pdf"), 403),
    (attempt(0, "DELETE", "photos/lamp.jpg"), 403),
    (attempt(2, "GET", "photos/lamp.jpg"), 403),
    (
        Attempt {
            who: "shop",
            secret: "guessed",
            ..attempt(0, "GET", "photos/lamp.jpg")
        },
        403,
    ),
    (attempt(1, "GET", ""), 403), // LIST
];

/// The server, and the threads that it lives on.
fn start() -> Result<(Server, Runtime)> {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.context("start the threads")?;
    let mut auth = SimpleAuth::new();
    for (who, secret) in USERS {
        auth.register(who.to_owned(), secret.into());
    }
    let server =
        threads.block_on(Server::start_with(auth, ByRules, Arc::default()))?;
    Ok((server, threads))
}

fn run() -> Result<Vec<u16>> {
    let (server, _threads) = start()?;
    let mut statuses = Vec::new();
    for (attempt, _) in &ATTEMPTS {
        let credentials = Credentials {
            access_key: attempt.who,
            secret_key: attempt.secret,
            region: "us-east-1",
        };
        let url = request(server.addr(), attempt.method, attempt.key, &[]);
        let url = presign(url, &credentials, now()?, 60);
        statuses.push(send(&url, &[], b"picture")?.status);
    }
    let photo = server.folder().join(BUCKET).join("photos/lamp.jpg");
    ensure!(std::fs::read(photo)? == b"picture", "still there, as the shop put it");
    Ok(statuses)
}

fn report() -> Result<()> {
    println!("{}\n", recorded::measured_on(&[S3S])?);
    for (i, status) in run()?.into_iter().enumerate() {
        let Attempt { who, secret, method, key } = &ATTEMPTS[i].0;
        let who = if *secret == "guessed" { "shop?" } else { who };
        let key = if key.is_empty() { "(list)" } else { key };
        println!("{who:<9}{method:<8}{key:<17}{status}");
    }
    Ok(())
}

fn main() -> ExitCode {
    s3::object_storage::exit_code(report())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_answers_each_attempt_as_the_rules_say() -> Result<()> {
        let wanted: Vec<u16> = ATTEMPTS.iter().map(|(_, status)| *status).collect();
        ensure!(run()? == wanted);
        Ok(())
    }

    #[test]
    fn the_rules_are_for_one_bucket() -> Result<()> {
        let (server, _threads) = start()?;
        std::fs::create_dir(server.folder().join("backups"))?;
        let credentials = Credentials {
            access_key: "shop",
            secret_key: "secret of shop",
            region: "us-east-1",
        };
        for (bucket, status) in [("backups", 403), (BUCKET, 200)] {
            let mut url = request(server.addr(), "PUT", "", &[]);
            url.path = format!("/{bucket}/photos/lamp.jpg");
            let url = presign(url, &credentials, now()?, 60);
            ensure!(send(&url, &[], b"picture")?.status == status, "{bucket}");
        }
        Ok(())
    }

    #[test]
    fn what_no_rule_names_is_denied() {
        for who in ["ops", "", "Shop", "shop "] {
            assert!(!allowed(who, "GetObject", "photos/lamp.jpg"), "{who}");
        }
        for operation in ["DeleteObject", "ListObjectsV2", "getobject", ""] {
            assert!(!allowed("shop", operation, "photos/lamp.jpg"), "{operation}");
        }
        for key in ["photo", "invoices/photos/", "", "Photos/lamp.jpg"] {
            assert!(!allowed("shop", "GetObject", key), "{key}");
        }
    }
}
