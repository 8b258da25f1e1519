//! Starts a server on loopback, waits until it answers, and always ends it.
//!
//! A server lives in a temporary folder: its configuration, log, pid file and data.
//! It listens on a port that the kernel chose. Invariants:
//!
//! - no wait is endless: [`READY_WITHIN`], [`STOP_WITHIN`];
//! - an error says what the server said: its last log lines are part of the text;
//! - a [`Server`] that is dropped, in a panic too, leaves no process and no folder,
//!   and one whose owner is killed is ended by its [`Guard`].
//!
//! May know of `program`, `port`, `guard`, `user` and, for a probe, `http`; not of any one
//! server.

use crate::guard::Guard;
use crate::port::Port;
use crate::program::Program;
use crate::user::User;
use crate::{http, wait_until};
use anyhow::{bail, ensure, Context, Result};
use rustix::process::{kill_process, Pid, Signal};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it answers. Generous: CI machines stall.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to end when it is asked to; then it is killed.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long one probe may take. Short: a server that hangs is asked again.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// How many ports are tried when somebody else was quicker.
const PORTS_MAX: usize = 4;
/// How much of a log an error shows.
const LOG_LINES_MAX: usize = 12;
/// The server's standard output and standard error, in its folder.
const LOG_FILE: &str = "server.log";

type Probe = Box<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// A probe: the server accepts a TCP connection.
pub fn tcp_answers() -> impl Fn(SocketAddr) -> bool + Send + Sync {
    |addr| TcpStream::connect_timeout(&addr, PROBE_WITHIN).is_ok()
}

/// A probe: the server answers a GET of `path` with a status below 400.
pub fn http_answers(
    path: &'static str,
) -> impl Fn(SocketAddr) -> bool + Send + Sync {
    move |addr| {
        http::send_within(PROBE_WITHIN, addr, "GET", path, &[])
            .is_ok_and(|response| response.status < 400)
    }
}

/// What to start and how. Files, arguments and values may hold `${PORT}` (the port's
/// number), `${FOLDER}` (the temporary folder) and every name given to
/// [`Launch::set`].
pub struct Launch {
    program: Program,
    files: Vec<(&'static str, String)>,
    args: Vec<String>,
    values: Vec<(String, String)>,
    preparations: Vec<(Program, Vec<String>)>,
    not_root: bool,
    ready: Probe,
    stop_signal: Signal,
}

impl Launch {
    /// A launch of `program` without files and arguments, ready when it accepts a
    /// TCP connection, asked to end by SIGTERM.
    pub fn new(program: Program) -> Launch {
        Launch {
            program,
            files: Vec::new(),
            args: Vec::new(),
            values: Vec::new(),
            preparations: Vec::new(),
            not_root: false,
            ready: Box::new(tcp_answers()),
            stop_signal: Signal::TERM,
        }
    }

    /// A file `name` in the server's folder, with `text` after its placeholders are
    /// filled in.
    pub fn file(mut self, name: &'static str, text: &str) -> Launch {
        self.files.push((name, text.to_owned()));
        self
    }

    /// More arguments.
    pub fn args<S: Into<String>>(
        mut self,
        args: impl IntoIterator<Item = S>,
    ) -> Launch {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// What `${name}` stands for. Capitals, digits and `_` only: a lower-case name
    /// is left alone, because NGINX writes its own variables so.
    pub fn set(mut self, name: &str, value: impl ToString) -> Launch {
        self.values.push((name.to_owned(), value.to_string()));
        self
    }

    /// A program that is run to its end before the server's first start, in its
    /// folder and as its user; not before a restart.
    pub fn prepare<S: Into<String>>(
        mut self,
        program: Program,
        args: impl IntoIterator<Item = S>,
    ) -> Launch {
        let args = args.into_iter().map(Into::into).collect();
        self.preparations.push((program, args));
        self
    }

    /// For a server that refuses to run as root, as PostgreSQL does: where this
    /// process is root, the server runs as somebody else and owns its folder.
    pub fn not_root(mut self) -> Launch {
        self.not_root = true;
        self
    }

    /// How to see that it answers; asked every few milliseconds.
    pub fn ready(
        mut self,
        probe: impl Fn(SocketAddr) -> bool + Send + Sync + 'static,
    ) -> Launch {
        self.ready = Box::new(probe);
        self
    }

    /// The signal that asks it to end, where that is not SIGTERM.
    pub fn stop_signal(mut self, signal: Signal) -> Launch {
        self.stop_signal = signal;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// [`NotInstalled`](crate::program::NotInstalled) when the program is missing;
    /// when a preparation fails; when a placeholder has no value; when the server ends or does not answer
    /// within [`READY_WITHIN`]: then the text ends with its last log lines.
    pub fn start(self) -> Result<Server> {
        self.start_on(Port::reserve)
    }

    /// [`Launch::start`] with the source of ports as an argument.
    fn start_on(
        self,
        mut next_port: impl FnMut() -> Result<Port>,
    ) -> Result<Server> {
        let binary = self.program.path()?;
        let user = if self.not_root { User::instead_of_root()? } else { None };
        let mut server = Server {
            folder: new_folder(self.program)?,
            port: next_port()?,
            launch: self,
            binary,
            user,
            prepared: false,
            process: None,
        };
        for _ in 1..PORTS_MAX {
            match server.run() {
                Err(_)
                    if server
                        .log()
                        .to_lowercase()
                        .contains("address already in use") =>
                {
                    server.port = next_port()?;
                    server.folder = new_folder(server.launch.program)?;
                    server.prepared = false;
                }
                outcome => return outcome.map(|()| server),
            }
        }
        server.run().map(|()| server)
    }
}

fn new_folder(program: Program) -> Result<TempDir> {
    let prefix = format!("real-{}-", program.name());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
    folder.context("make a temporary folder")
}

/// A server that was started. It ends when this value is dropped.
pub struct Server {
    launch: Launch,
    binary: PathBuf,
    /// Whom it runs as, where that is not who runs this.
    user: Option<User>,
    prepared: bool,
    port: Port,
    /// Before `folder`, so that the processes end before their files go.
    process: Option<Process>,
    folder: TempDir,
}

/// The server's first process, and the guard of all of them.
struct Process {
    child: Child,
    guard: Guard,
}

impl Server {
    /// Where it listens: 127.0.0.1 and its port. A restart keeps it.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Its temporary folder. A restart keeps it, so data survives a
    /// [`Server::kill`].
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of the process group that holds all its processes; `None` when it
    /// was killed or stopped.
    pub fn group(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.guard.group())
    }

    /// The last lines that it wrote to standard output and standard error.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder().join(LOG_FILE)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
    }

    /// Kills all its processes at once, as a crash does. Its port refuses
    /// connections from then on. Nothing happens when it does not run.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.guard.kill_all();
            let _ = process.child.wait();
            // Dropping the guard waits for the processes that the server had
            // started.
        }
    }

    /// Asks it to end, waits at most [`STOP_WITHIN`], then kills whatever is left.
    /// Nothing happens when it does not run.
    pub fn stop(&mut self) {
        if let Some(process) = &mut self.process {
            // Not reaped yet, so the number cannot belong to anybody else.
            let _ = kill_process(
                Pid::from_child(&process.child),
                self.launch.stop_signal,
            );
            wait_until(STOP_WITHIN, || {
                !matches!(process.child.try_wait(), Ok(None))
            });
        }
        self.kill();
    }

    /// Stops it if it runs, and starts it again on the same port and in the same
    /// folder.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.run()
    }

    /// Gives `${name}` a new value, writes the files again and sends `signal` to the
    /// server's first process: SIGHUP makes most servers read their files again.
    /// What the server makes of it is for the caller to see.
    ///
    /// # Errors
    /// When a file cannot be written or the server does not run.
    pub fn reload(
        &mut self,
        name: &str,
        value: impl ToString,
        signal: Signal,
    ) -> Result<()> {
        let value = value.to_string();
        match self.launch.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.launch.values.push((name.to_owned(), value)),
        }
        self.write_files()?;
        let name = self.launch.program.name();
        let process =
            self.process.as_mut().with_context(|| format!("{name} does not run"))?;
        ensure!(matches!(process.child.try_wait(), Ok(None)), "{name} has ended");
        kill_process(Pid::from_child(&process.child), signal)
            .with_context(|| format!("send a signal to {name}"))
    }

    fn fill(&self, text: &str) -> Result<String> {
        let port = self.port.number().to_string();
        let folder = self.folder().display().to_string();
        fill(text, |name| match name {
            "PORT" => Some(port.clone()),
            "FOLDER" => Some(folder.clone()),
            _ => self
                .launch
                .values
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone()),
        })
    }

    fn write_files(&self) -> Result<()> {
        for (name, text) in &self.launch.files {
            let text = self.fill(text).with_context(|| format!("fill in {name}"))?;
            let file = self.folder().join(name);
            fs::write(&file, text).with_context(|| format!("write {name}"))?;
            if let Some(user) = &self.user {
                user.own(&file)?;
            }
        }
        Ok(())
    }

    /// What the server needs before its first start.
    fn prepare(&mut self) -> Result<()> {
        if let Some(user) = &self.user {
            user.own(self.folder())?;
        }
        for (program, args) in &self.launch.preparations {
            let name = program.name();
            let args: Result<Vec<String>> =
                args.iter().map(|arg| self.fill(arg)).collect();
            let mut command = Command::new(program.path()?);
            if let Some(user) = &self.user {
                user.run(&mut command);
            }
            let output =
                command
                    .args(args.with_context(|| {
                        format!("fill in the arguments of {name}")
                    })?)
                    .current_dir(self.folder())
                    .env("LC_ALL", "C")
                    .stdin(Stdio::null())
                    .output()
                    .with_context(|| format!("start {name}"))?;
            ensure!(
                output.status.success(),
                "{name} failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        self.prepared = true;
        Ok(())
    }

    /// Starts the process and waits until it answers.
    fn run(&mut self) -> Result<()> {
        let name = self.launch.program.name();
        if !self.prepared {
            self.prepare()?;
        }
        self.write_files()?;
        let args: Result<Vec<String>> =
            self.launch.args.iter().map(|a| self.fill(a)).collect();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder().join(LOG_FILE))
            .with_context(|| format!("open the log of {name}"))?;

        let guard = Guard::start(self.folder())?;
        let mut command = Command::new(&self.binary);
        guard.join(&mut command);
        if let Some(user) = &self.user {
            user.run(&mut command);
        }
        let child = command
            .args(args.with_context(|| format!("fill in the arguments of {name}"))?)
            .current_dir(self.folder())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        self.process = Some(Process { child, guard });

        let outcome = self.wait_until_ready();
        if outcome.is_err() {
            self.kill();
        }
        outcome
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let name = self.launch.program.name();
        let addr = self.addr();
        let start = Instant::now();
        loop {
            let child = &mut self.process.as_mut().context("just started")?.child;
            // First whether it lives: else somebody else's answer would count as its
            // own.
            if let Some(status) =
                child.try_wait().with_context(|| format!("wait for {name}"))?
            {
                bail!("{name} ended at once ({status}); its log:\n{}", self.log());
            }
            if (self.launch.ready)(addr) {
                return Ok(());
            }
            if start.elapsed() > READY_WITHIN {
                let seconds = READY_WITHIN.as_secs();
                bail!(
                    "{name} did not answer within {seconds} s; its log:\n{}",
                    self.log()
                );
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Replaces each `${NAME}` in `text` by what `value` says.
fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let (name, behind) = after.split_once('}').context("a ${ without its }")?;
        let ours =
            |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if name.chars().all(ours) {
            filled.push_str(
                &value(name).with_context(|| format!("${{{name}}} has no value"))?,
            );
        } else {
            filled.push_str(&format!("${{{name}}}"));
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{skip_if_missing, HAPROXY};
    use std::net::TcpListener;

    #[test]
    fn capitals_are_filled_in_and_lower_case_is_left_alone() {
        let value = |name: &str| (name == "PORT").then(|| "80".to_owned());
        let filled =
            fill("listen ${PORT}; log ${host};", value).expect("PORT is known");
        assert_eq!(filled, "listen 80; log ${host};");
        let error = fill("listen ${PRT};", value).expect_err("PRT is unknown");
        assert_eq!(error.to_string(), "${PRT} has no value");
        assert!(fill("listen ${PORT", value).is_err());
    }

    #[test]
    fn a_port_that_somebody_else_took_is_given_up_for_another() -> Result<()> {
        let taken = Port::reserve()?;
        let _somebody_else = TcpListener::bind(taken.addr())?;
        let taken_number = taken.number();
        let mut ports = vec![Port::reserve()?, taken];
        let launch = Launch::new(HAPROXY)
            .file(
                "haproxy.cfg",
                "defaults
                    mode http
                    timeout connect 1s
                    timeout client 1s
                    timeout server 1s
                listen all
                    bind 127.0.0.1:${PORT}
                    monitor-uri /\n",
            )
            .args(["-db", "-f", "${FOLDER}/haproxy.cfg"])
            .ready(http_answers("/"));
        let started = launch.start_on(|| ports.pop().context("no more ports"));
        let Some(server) = skip_if_missing(started)? else {
            return Ok(());
        };
        assert_ne!(server.port.number(), taken_number);
        assert!(ports.is_empty(), "both ports were tried");
        Ok(())
    }
}
