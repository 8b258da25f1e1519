//! What the launcher promises: no process and no folder is left behind, an error
//! says what the server said, and data and port survive a crash.

use anyhow::{Context, Result};
use real::http;
use real::launch::{http_answers, Launch, Server};
use real::program::{skip_if_missing, Program, HAPROXY, NGINX};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// NGINX with two workers that answers with the text of `${ANSWER}`.
fn nginx() -> Launch {
    let config = "worker_processes 2;
        pid ${FOLDER}/pid;
        events {}
        http {
            access_log off;
            client_body_temp_path ${FOLDER}/1;
            proxy_temp_path ${FOLDER}/2;
            fastcgi_temp_path ${FOLDER}/3;
            uwsgi_temp_path ${FOLDER}/4;
            scgi_temp_path ${FOLDER}/5;
            server {
                listen 127.0.0.1:${PORT};
                location / { return 200 ${ANSWER}; }
            }
        }";
    Launch::new(NGINX)
        .file("nginx.conf", config)
        .set("ANSWER", "hello")
        .args(["-e", "stderr", "-c", "${FOLDER}/nginx.conf", "-g", "daemon off;"])
        .ready(http_answers("/"))
}

/// The living processes of a process group; dead ones that nobody has reaped don't
/// count.
fn living(group: u32) -> usize {
    let ps = Command::new("ps")
        .args(["-A", "-o", "pgid=,stat="])
        .output()
        .expect("ps runs");
    String::from_utf8_lossy(&ps.stdout)
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter(|(pgid, stat)| {
            *pgid == group.to_string() && !stat.trim_start().starts_with('Z')
        })
        .count()
}

fn group(server: &Server) -> Result<u32> {
    server.group().context("the server runs")
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_folder() -> Result<()> {
    let Some(server) = skip_if_missing(nginx().start())? else {
        return Ok(());
    };
    let (group, folder) = (group(&server)?, server.folder().to_owned());
    assert_eq!(http::get(server.addr(), "/")?.body, "hello");
    // The guard, the master and its two workers.
    assert!(real::wait_until(PATIENCE, || living(group) == 4), "{}", living(group));
    drop(server);
    assert_eq!((living(group), folder.exists()), (0, false));
    Ok(())
}

#[test]
fn a_panic_leaves_no_process_and_no_folder() -> Result<()> {
    let Some(server) = skip_if_missing(nginx().start())? else {
        return Ok(());
    };
    let (group, folder) = (group(&server)?, server.folder().to_owned());
    let panicked = std::thread::spawn(move || {
        let _owned = server;
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    assert_eq!((living(group), folder.exists()), (0, false));
    Ok(())
}

const ROLE: &str = "REAL_TEST_ROLE";

/// Not a test of its own: what [`a_killed_test_leaves_no_process_and_no_folder`]
/// kills.
#[test]
fn the_process_that_is_killed() -> Result<()> {
    if std::env::var(ROLE).is_err() {
        return Ok(());
    }
    // Started by a thread that has ended long before its process does.
    let server = std::thread::spawn(|| nginx().start()).join().expect("no panic")?;
    println!("\nstarted {} {}", group(&server)?, server.folder().display());
    std::thread::sleep(PATIENCE * 3);
    Ok(())
}

#[test]
fn a_killed_test_leaves_no_process_and_no_folder() -> Result<()> {
    if skip_if_missing(NGINX.path().map_err(Into::into))?.is_none() {
        return Ok(());
    }
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(ROLE, "victim")
        .stdout(Stdio::piped())
        .spawn()?;
    let lines =
        BufReader::new(victim.stdout.take().context("its output is piped")?).lines();
    let mut started = None;
    for line in lines {
        if let Some(rest) = line?.strip_prefix("started ") {
            let (group, folder) =
                rest.split_once(' ').context("group and folder")?;
            started = Some((group.parse::<u32>()?, PathBuf::from(folder)));
            break;
        }
    }
    let (group, folder) = started.context("the victim started its server")?;
    assert!(real::wait_until(PATIENCE, || living(group) == 4), "{}", living(group));
    victim.kill()?; // SIGKILL: it has no chance to clean up
    victim.wait()?;
    assert!(real::wait_until(PATIENCE, || living(group) == 0), "{}", living(group));
    assert!(real::wait_until(PATIENCE, || !folder.exists()));
    Ok(())
}

#[test]
fn a_missing_server_is_one_line_that_says_what_to_type() {
    let missing = Program::new("no-such-server", "no-such-package");
    let error = Launch::new(missing).start().err().expect("there is no such server");
    assert_eq!(
        format!("{error:#}"),
        "no-such-server is not installed: sudo apt-get install no-such-package"
    );
}

#[test]
fn a_broken_configuration_is_an_error_with_the_servers_own_words() -> Result<()> {
    let broken = Launch::new(NGINX).file("nginx.conf", "evnets {}\n").args([
        "-e",
        "stderr",
        "-c",
        "${FOLDER}/nginx.conf",
        "-g",
        "daemon off;",
    ]);
    let error = match skip_if_missing(broken.start()) {
        Ok(None) => return Ok(()),
        Ok(Some(_)) => panic!("NGINX accepted a broken configuration"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.starts_with("nginx ended at once (exit status: 1); its log:\n"),
        "{error}"
    );
    assert!(error.contains("unknown directive \"evnets\""), "{error}");
    Ok(())
}

#[test]
fn a_broken_haproxy_configuration_is_an_error_with_its_own_words() -> Result<()> {
    let broken = Launch::new(HAPROXY)
        .file("haproxy.cfg", "listen x\n bnid 127.0.0.1:${PORT}\n")
        .args(["-db", "-f", "${FOLDER}/haproxy.cfg"]);
    let error = match skip_if_missing(broken.start()) {
        Ok(None) => return Ok(()),
        Ok(Some(_)) => panic!("HAProxy accepted a broken configuration"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("unknown keyword 'bnid'"), "{error}");
    Ok(())
}

#[test]
fn a_killed_server_comes_back_on_its_port_and_in_its_folder() -> Result<()> {
    let Some(mut server) = skip_if_missing(nginx().start())? else {
        return Ok(());
    };
    let (addr, before) = (server.addr(), group(&server)?);
    let data: &Path = &server.folder().join("data");
    std::fs::write(data, "kept")?;

    server.kill();
    assert!(http::get(addr, "/").is_err(), "a dead server refuses");
    assert_eq!((server.group(), living(before)), (None, 0));
    server.kill(); // nothing left to kill

    server.restart()?;
    assert_eq!(
        (server.addr(), http::get(addr, "/")?.body.as_str()),
        (addr, "hello")
    );
    assert_eq!(std::fs::read_to_string(data)?, "kept");

    server.stop();
    assert!(http::get(addr, "/").is_err(), "a stopped server refuses");
    Ok(())
}

#[test]
fn a_reload_reads_the_new_value() -> Result<()> {
    let Some(mut server) = skip_if_missing(nginx().start())? else {
        return Ok(());
    };
    let addr = server.addr();
    server.reload("ANSWER", "changed", Signal::HUP)?;
    let changed =
        || http::get(addr, "/").is_ok_and(|response| response.body == "changed");
    assert!(real::wait_until(PATIENCE, changed));
    server.stop();
    assert!(
        server.reload("ANSWER", "again", Signal::HUP).is_err(),
        "nobody is there"
    );
    Ok(())
}
