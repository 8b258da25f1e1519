//! Compiles and runs the blocks of the book for `cargo xtask serve`, so that the page's Run
//! button needs no internet.
//!
//! Knows of rustc, of the crates that blocks may use (`crates`), of how a program is confined
//! (`confine`) and of the limits; knows nothing of HTTP or of pages.

pub mod confine;
mod crates;
pub mod limits;
mod process;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot, watch};
use tokio::time::timeout;

use confine::{Bounds, Ended, Job, Means, Witness};
use crates::{Crates, Declared};
use limits::Limit;
use process::{Output, Wanted, text};

/// The variables of the server's environment that compiling needs: where programs are, and what
/// linkers on macOS and Windows ask for.
const COMPILER_VARIABLES: [&str; 12] = [
    "PATH",
    "DEVELOPER_DIR",
    "SDKROOT",
    "INCLUDE",
    "LIB",
    "PATHEXT",
    "ProgramData",
    "ProgramFiles",
    "ProgramFiles(x86)",
    "SystemDrive",
    "SystemRoot",
    "windir",
];

/// Those that a program needs to start at all on Windows.
const PROGRAM_VARIABLES: [&str; 2] = ["SystemDrive", "SystemRoot"];

/// A program to run, in the terms of the public playground's `POST /execute`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Only checked.
    #[serde(default, rename = "channel")]
    _channel: Channel,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    edition: Edition,
    #[serde(default)]
    crate_type: CrateType,
    #[serde(default)]
    tests: bool,
    #[serde(default)]
    backtrace: bool,
    code: String,
}

/// The toolchain; the local one is the only one here.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Channel {
    #[default]
    Stable,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Debug,
    Release,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum Edition {
    #[serde(rename = "2015")]
    E2015,
    #[serde(rename = "2018")]
    E2018,
    #[default]
    #[serde(rename = "2021", alias = "")]
    E2021,
    #[serde(rename = "2024")]
    E2024,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CrateType {
    #[default]
    Bin,
    Lib,
}

/// How the program did, in the terms of the public playground and one more.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    success: bool,
    exit_detail: String,
    stdout: String,
    stderr: String,
    /// The limit for which it was stopped, which the public playground does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Limit>,
}

/// Why a program was not even compiled.
#[derive(Debug)]
pub enum Refusal {
    /// The code is longer than the limit.
    TooLong,
    /// As many programs as allowed are running and waiting.
    TooMany,
    /// The block uses a crate that is not there, or nothing can be compiled here.
    Unavailable(String),
    /// It could not be confined or started.
    Failed(String),
    /// Whoever asked is gone, or the server ends.
    Gone,
}

/// Runs programs, a few at once.
pub struct Runner {
    state: Arc<State>,
    /// Says that the server ends.
    stopping: watch::Sender<bool>,
    /// Held, as a copy, by all that has to end before the server does.
    busy: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// What running programs share.
struct State {
    slots: Semaphore,
    waiting: AtomicUsize,
    compiler: watch::Receiver<Known<Compiler>>,
    crates: watch::Receiver<Known<Blocks>>,
}

/// Something that is found out while the server already serves: nothing until then.
type Known<T> = Option<Result<Arc<T>, String>>;

/// How blocks are compiled and confined here.
struct Compiler {
    rustc: PathBuf,
    means: Means,
}

/// The crates that blocks may use.
struct Blocks {
    names: BTreeSet<String>,
    compiled: watch::Receiver<Known<Crates>>,
}

/// The way to a runner for those who ask for runs.
#[derive(Clone)]
pub struct Handle {
    state: Arc<State>,
    stopping: watch::Receiver<bool>,
    busy: mpsc::Sender<()>,
}

impl Runner {
    /// Begins to find out what can be run and enforced here, and to compile the crates that blocks
    /// use. Each outcome is one line in the terminal.
    pub fn start(root: &Path) -> Runner {
        let (stopping, _) = watch::channel(false);
        let (busy, ended) = mpsc::channel(1);
        let (tell_compiler, compiler) = watch::channel(None);
        let (tell_crates, crates) = watch::channel(None);
        let root = root.to_path_buf();
        let mut wanted = Wanted {
            asker: None,
            stopping: stopping.subscribe(),
        };
        let held = busy.clone();
        tokio::spawn(async move {
            let _held = held;
            tell_compiler.send_replace(Some(find_out(&root, &mut wanted).await));
            prepare_crates(&root, &mut wanted, &tell_crates).await;
        });
        let state = State {
            slots: Semaphore::new(limits::RUNS),
            waiting: AtomicUsize::new(0),
            compiler,
            crates,
        };
        Runner {
            state: Arc::new(state),
            stopping,
            busy,
            ended,
        }
    }

    /// A way to ask for runs.
    pub fn handle(&self) -> Handle {
        Handle {
            state: self.state.clone(),
            stopping: self.stopping.subscribe(),
            busy: self.busy.clone(),
        }
    }

    /// Ends whatever runs and waits until it is gone, with the folders that it had.
    pub async fn stop(self) {
        let Runner {
            stopping,
            busy,
            mut ended,
            ..
        } = self;
        stopping.send_replace(true);
        drop(busy);
        // Each job ends within this time, or is past helping.
        let _ = timeout(2 * limits::GRACE, ended.recv()).await;
    }
}

impl Handle {
    /// Compiles a program and runs it. When this is no longer awaited, both end.
    ///
    /// # Errors
    /// Why the program was not compiled. What the compiler or the program says is no error.
    pub async fn execute(&self, request: Request) -> Result<Answer, Refusal> {
        if request.code.len() > limits::CODE_BYTES {
            return Err(Refusal::TooLong);
        }
        // Dropped together with this future.
        let (_stays, asker) = oneshot::channel();
        let mut wanted = Wanted {
            asker: Some(asker),
            stopping: self.stopping.clone(),
        };
        let (state, held) = (self.state.clone(), self.busy.clone());
        // A task of its own, which sees to the end of what it started whoever goes away.
        let task = tokio::spawn(async move {
            let _held = held;
            state.execute(request, &mut wanted).await
        });
        task.await
            .unwrap_or_else(|error| Err(Refusal::Failed(error.to_string())))
    }
}

impl State {
    async fn execute(&self, request: Request, wanted: &mut Wanted) -> Result<Answer, Refusal> {
        let compiler = known(self.compiler.clone(), wanted).await?;
        let crates = if request.code_names_a_crate(&self.crates, wanted).await? {
            let blocks = known(self.crates.clone(), wanted).await?;
            let compiled = known(blocks.compiled.clone(), wanted);
            match timeout(limits::CRATES_WAIT, compiled).await {
                Ok(crates) => Some(crates?),
                Err(_) => {
                    let wait = "the crates are still being compiled: try again in a while";
                    return Err(Refusal::Unavailable(wait.to_owned()));
                }
            }
        } else {
            None
        };
        let _slot = self.slot(wanted).await?;
        compiler
            .compile_and_run(&request, crates.as_deref(), wanted)
            .await
            .map_err(|error| Refusal::Failed(format!("{error:#}")))?
            .ok_or(Refusal::Gone)
    }

    /// A place among the few that run, if not too many wait for one.
    async fn slot(&self, wanted: &mut Wanted) -> Result<SemaphorePermit<'_>, Refusal> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let room = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < limits::WAITING).then_some(waiting + 1)
            });
        if room.is_err() {
            return Err(Refusal::TooMany);
        }
        let slot = tokio::select! {
            slot = self.slots.acquire() => slot.map_err(|_| Refusal::Gone),
            () = wanted.gone() => Err(Refusal::Gone),
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        slot
    }
}

/// Waits until something is found out.
async fn known<T>(
    mut channel: watch::Receiver<Known<T>>,
    wanted: &mut Wanted,
) -> Result<Arc<T>, Refusal> {
    let found = tokio::select! {
        found = channel.wait_for(Option::is_some) => found.map_err(|_| Refusal::Gone)?.clone(),
        () = wanted.gone() => return Err(Refusal::Gone),
    };
    found.ok_or(Refusal::Gone)?.map_err(Refusal::Unavailable)
}

impl Request {
    /// Whether the code holds the name of a crate that has to be compiled first. A program that
    /// uses the name for something else only waits in vain.
    async fn code_names_a_crate(
        &self,
        blocks: &watch::Receiver<Known<Blocks>>,
        wanted: &mut Wanted,
    ) -> Result<bool, Refusal> {
        match known(blocks.clone(), wanted).await {
            Ok(blocks) => Ok(words(&self.code).any(|word| blocks.names.contains(word))),
            // Which crates there would be is not known: rustc says what it misses.
            Err(Refusal::Unavailable(_)) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    fn rustc_arguments(&self, program: &str, crates: Option<&Crates>) -> Vec<String> {
        let edition = match self.edition {
            Edition::E2015 => "2015",
            Edition::E2018 => "2018",
            Edition::E2021 => "2021",
            Edition::E2024 => "2024",
        };
        let kind = match (self.tests, self.crate_type) {
            (true, _) => "--test",
            (false, CrateType::Bin) => "--crate-type=bin",
            (false, CrateType::Lib) => "--crate-type=lib",
        };
        let quality = match self.mode {
            Mode::Debug => "-Cdebuginfo=line-tables-only",
            Mode::Release => "-Copt-level=3",
        };
        let fixed = ["--crate-name=playground", "--color=never", SOURCE, "-o"];
        let mut arguments: Vec<String> = [kind, quality]
            .iter()
            .chain(&fixed)
            .map(|&word| word.to_owned())
            .collect();
        arguments.push(program.to_owned());
        arguments.push(format!("--edition={edition}"));
        arguments.extend(crates.iter().flat_map(|crates| crates.arguments.clone()));
        arguments
    }
}

/// The words of a program that could be names.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !(character.is_alphanumeric() || character == '_'))
}

/// Where the program lies below its folder: where panics and errors say it does, as on the public
/// playground.
const SOURCE: &str = "src/main.rs";

impl Compiler {
    /// Nothing when nobody wants the answer any longer.
    async fn compile_and_run(
        &self,
        request: &Request,
        crates: Option<&Crates>,
        wanted: &mut Wanted,
    ) -> Result<Option<Answer>> {
        let folder = Folder::new()?;
        let work = folder.work();
        std::fs::create_dir(work.join("src"))?;
        std::fs::write(work.join(SOURCE), &request.code)?;
        let program = format!("playground{}", std::env::consts::EXE_SUFFIX);
        let compile = Job {
            program: self.rustc.clone(),
            arguments: request.rustc_arguments(&program, crates),
            work: work.clone(),
            bounds: Some(folder.bounds(limits::COMPILE, self.means, true)),
        };
        let environment = environment(&COMPILER_VARIABLES, &work, &[])?;
        let compiled = process::run(
            compile,
            Some(&environment),
            limits::COMPILE_TIME,
            limits::OUTPUT_BYTES,
            wanted,
        )
        .await
        .context("the compiler could not be run")?;
        let Some(ended) = compiled.ended else {
            return Ok(None);
        };
        let messages = format!("   Compiling playground\n{}", text(&compiled.stderr));
        if ended != Ended::Exited(0) {
            return Ok(Some(not_compiled(ended, messages)));
        }
        if request.crate_type == CrateType::Lib && !request.tests {
            return Ok(Some(Answer {
                success: true,
                exit_detail: "Exited with status 0".to_owned(),
                stdout: String::new(),
                stderr: messages + "    Finished\n",
                stopped: None,
            }));
        }
        let run = Job {
            program: work.join(&program),
            arguments: Vec::new(),
            work: work.clone(),
            bounds: Some(folder.bounds(limits::RUN, self.means, false)),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let backtrace = if request.backtrace { "1" } else { "0" };
        let own = [("PATH", path.as_str()), ("RUST_BACKTRACE", backtrace)];
        let environment = self::environment(&PROGRAM_VARIABLES, &work, &own)?;
        let output = process::run(
            run,
            Some(&environment),
            limits::RUN_TIME,
            limits::OUTPUT_BYTES,
            wanted,
        )
        .await
        .context("the program could not be run")?;
        let messages = format!("{messages}    Finished\n     Running `{program}`\n");
        Ok(answer(output, messages))
    }
}

/// The answer of a program that was not compiled, as cargo on the public playground ends then.
fn not_compiled(ended: Ended, mut messages: String) -> Answer {
    let (exit_detail, stopped) = match ended {
        Ended::Stopped(limit) => (detail(ended, "Compiling"), Some(limit)),
        Ended::Exited(_) => (detail(Ended::Exited(101), ""), None),
        Ended::Signalled(_) => (detail(ended, ""), None),
    };
    messages += "error: could not compile `playground`\n";
    Answer {
        success: false,
        exit_detail,
        stdout: String::new(),
        stderr: messages,
        stopped,
    }
}

fn answer(output: Output, messages: String) -> Option<Answer> {
    let ended = output.ended?;
    let stopped = match ended {
        Ended::Stopped(limit) => Some(limit),
        Ended::Exited(_) | Ended::Signalled(_) => None,
    };
    let exit_detail = detail(ended, "The program");
    let mut stderr = messages + &text(&output.stderr);
    if stopped.is_some() {
        if !stderr.ends_with('\n') {
            stderr.push('\n');
        }
        stderr += &format!("{exit_detail}\n");
    }
    Some(Answer {
        success: ended == Ended::Exited(0),
        exit_detail,
        stdout: text(&output.stdout),
        stderr,
        stopped,
    })
}

/// What the answer says of the end, in the public playground's words where it has them.
fn detail(ended: Ended, what: &str) -> String {
    let (time, used) = match what {
        "Compiling" => (limits::COMPILE_TIME, limits::COMPILE),
        _ => (limits::RUN_TIME, limits::RUN),
    };
    match ended {
        Ended::Exited(status) => format!("Exited with status {status}"),
        Ended::Signalled(signal) => match signal_name(signal) {
            Some(name) => format!("Exited with signal {signal} ({name})"),
            None => format!("Exited with signal {signal}"),
        },
        Ended::Stopped(Limit::Time) => {
            format!(
                "{what} was stopped: it took longer than {} s",
                time.as_secs()
            )
        }
        Ended::Stopped(Limit::Memory) => format!(
            "{what} was stopped: it used more than {} MiB of memory",
            used.memory >> 20
        ),
        Ended::Stopped(Limit::Tasks) => format!(
            "{what} was stopped: it had more than {} processes and threads",
            used.tasks
        ),
        Ended::Stopped(Limit::Output) => format!(
            "{what} was stopped: it printed more than {} KiB, the rest is cut off",
            limits::OUTPUT_BYTES >> 10
        ),
    }
}

/// The names of the signals that end programs, with the numbers that Linux and macOS share.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        25 if cfg!(target_os = "linux") => "SIGXFSZ",
        31 if cfg!(target_os = "linux") => "SIGSYS",
        _ => return None,
    })
}

/// A temporary folder that holds a run's own folder and what the stages tell of it.
struct Folder {
    _removed_at_the_end: TempDir,
    /// Its path without links, as the kernel's lists write it.
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Folder> {
        let folder = tempfile::Builder::new()
            .prefix("system-design-notes-run-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let path = folder
            .path()
            .canonicalize()
            .context("cannot find the temporary folder")?;
        let folder = Folder {
            _removed_at_the_end: folder,
            path,
        };
        std::fs::create_dir(folder.work())?;
        Ok(folder)
    }

    fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    fn bounds(&self, limits: limits::Use, means: Means, metadata: bool) -> Bounds {
        Bounds {
            folder: self.path.clone(),
            limits,
            means,
            metadata,
        }
    }
}

/// The environment of a step: some of the server's variables, and folders below its own.
fn environment(
    passed: &[&str],
    work: &Path,
    own: &[(&str, &str)],
) -> Result<Vec<(String, String)>> {
    let work = work.to_str().context("the temporary folder is not UTF-8")?;
    let folders = [
        ("HOME", work),
        ("TMPDIR", work),
        ("TEMP", work),
        ("TMP", work),
    ];
    let passed = passed
        .iter()
        .filter_map(|&name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let own = folders
        .iter()
        .chain(own)
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Ok(passed.chain(own).collect())
}

/// Finds the compiler, and the means that work here, and says what they are worth.
async fn find_out(root: &Path, wanted: &mut Wanted) -> Result<Arc<Compiler>, String> {
    let found = async {
        let rustc = rustc(root, wanted).await?;
        let (means, witness, reasons) = means(wanted).await?;
        for line in lines(means, witness, &reasons) {
            println!("{line}");
        }
        anyhow::Ok(Arc::new(Compiler { rustc, means }))
    };
    found.await.map_err(|error| {
        let error = format!("no block can be run: {error:#}");
        println!("Run: {error}");
        error
    })
}

/// The compiler that cargo uses here: itself, not a proxy that has to find it each time.
async fn rustc(root: &Path, wanted: &mut Wanted) -> Result<PathBuf> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let job = Job {
        program: program.clone().into(),
        arguments: vec!["--print".to_owned(), "sysroot".to_owned()],
        work: root.to_path_buf(),
        bounds: None,
    };
    let output = process::run(
        job,
        None,
        limits::COMPILE_TIME,
        limits::OUTPUT_BYTES,
        wanted,
    )
    .await?;
    if output.ended != Some(Ended::Exited(0)) {
        bail!("rustc does not start: {}", text(&output.stderr).trim());
    }
    let name = format!("rustc{}", std::env::consts::EXE_SUFFIX);
    let itself = Path::new(text(&output.stdout).trim())
        .join("bin")
        .join(name);
    Ok(if itself.exists() {
        itself
    } else {
        program.into()
    })
}

/// The strictest means that work here, what a program can still do with them, and why stricter
/// ones do not work.
async fn means(wanted: &mut Wanted) -> Result<(Means, Witness, Vec<String>)> {
    let mut reasons = Vec::new();
    for means in candidates() {
        let folder = Folder::new()?;
        match tried(&folder, means, wanted).await {
            Ok(witness) => return Ok((means, witness, reasons)),
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    bail!("no program starts: {}", reasons.join("; "))
}

/// All that may work here, the strictest first.
fn candidates() -> Vec<Means> {
    if cfg!(not(target_os = "linux")) {
        return vec![Means::default()];
    }
    let mut candidates = Vec::new();
    for (namespaces, read_only) in [(true, true), (true, false), (false, false)] {
        for (landlock, seccomp) in [(true, true), (false, true), (true, false), (false, false)] {
            candidates.push(Means {
                namespaces,
                read_only,
                landlock,
                seccomp,
            });
        }
    }
    candidates
}

/// Runs a witness with these means.
async fn tried(folder: &Folder, means: Means, wanted: &mut Wanted) -> Result<Witness> {
    let outside = folder.path.join("outside");
    std::fs::create_dir(&outside)?;
    std::fs::write(outside.join("file"), "")?;
    let machine = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let job = confine::witness(
        folder.work(),
        folder.bounds(limits::RUN, means, false),
        machine.local_addr()?,
        outside,
    )?;
    let environment = environment(&PROGRAM_VARIABLES, &folder.work(), &[])?;
    let output = process::run(
        job,
        Some(&environment),
        limits::RUN_TIME,
        limits::OUTPUT_BYTES,
        wanted,
    )
    .await?;
    match output.ended {
        Some(Ended::Exited(0)) => Ok(serde_json::from_slice(&output.stdout)?),
        ended => bail!(
            "the trial ends with {ended:?}: {}",
            text(&output.stderr).trim()
        ),
    }
}

/// What the terminal says of it: one line of what is enforced, one for each thing that is not.
fn lines(means: Means, witness: Witness, reasons: &[String]) -> Vec<String> {
    let mut enforced = Vec::new();
    let mut lines = Vec::new();
    match (witness.network, witness.loopback) {
        (false, true) => enforced.push("no network but a loopback of its own"),
        (false, false) => enforced.push("no network, no sockets"),
        (true, _) => lines.push("Run: not enforced here: a program can use the network"),
    }
    if witness.writes {
        lines.push("Run: not enforced here: a program can write where you can write");
    } else {
        enforced.push("no writing outside its own folder");
    }
    if cfg!(target_os = "linux") {
        enforced.push("limits on time, output, memory and processes");
    } else {
        enforced.push("limits on time and output");
        lines.push(
            "Run: not enforced here: limits on memory and processes, and the end of processes \
             that a program starts in a session of their own",
        );
    }
    if cfg!(target_os = "linux") && !means.seccomp {
        lines.push("Run: not enforced here: a program can ask the machine's daemons for things");
    }
    let by: Vec<&str> = [
        (means.namespaces, "user namespace"),
        (means.read_only, "read-only mounts"),
        (means.landlock, "Landlock"),
        (means.seccomp, "seccomp"),
    ]
    .iter()
    .filter_map(|&(used, name)| used.then_some(name))
    .collect();
    let by = if by.is_empty() {
        String::new()
    } else {
        format!(" (by {})", by.join(", "))
    };
    let first = format!("Run: a block's program has {}{by}", enforced.join("; "));
    let mut lines: Vec<String> = std::iter::once(first)
        .chain(lines.into_iter().map(str::to_owned))
        .collect();
    if witness.network || witness.writes || !means.namespaces {
        lines.extend(reasons.first().map(|reason| {
            let reason = reason.trim().replace('\n', " ");
            format!("Run: stricter means do not work here: {reason}")
        }));
    }
    lines
}

/// Finds the crates that blocks use and compiles them; tells of each as soon as it is known.
async fn prepare_crates(root: &Path, wanted: &mut Wanted, tell: &watch::Sender<Known<Blocks>>) {
    let declared = match Declared::read(root, wanted).await {
        Ok(declared) => declared,
        Err(error) => {
            let error = format!("blocks that use crates cannot be run: {error:#}");
            println!("Run: {error}");
            tell.send_replace(Some(Err(error)));
            return;
        }
    };
    let (tell_compiled, compiled) = watch::channel(None);
    let names = declared.names();
    let count = names.len();
    tell.send_replace(Some(Ok(Arc::new(Blocks { names, compiled }))));
    let start = std::time::Instant::now();
    let outcome = declared.compile(root, wanted).await;
    if *wanted.stopping.borrow() {
        return;
    }
    match &outcome {
        Ok(_) if count > 0 => println!(
            "Run: the {count} crates that blocks use are ready, after {:.1} s",
            start.elapsed().as_secs_f64()
        ),
        Ok(_) => println!("Run: no snippets/Cargo.toml here, so blocks can use no crates"),
        Err(error) => println!("Run: blocks that use crates cannot be run: {error:#}"),
    }
    let outcome = outcome.map(Arc::new);
    tell_compiled.send_replace(Some(outcome.map_err(|error| {
        format!("the crates that blocks use could not be compiled: {error:#}")
    })));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_only_as_a_whole_word() {
        let named = |code| words(code).any(|word| word == "csv");
        for code in ["use csv::Reader;", "csv::Reader", "extern crate csv;"] {
            assert!(named(code), "{code}");
        }
        for code in ["use csvs;", "let my_csv = 1;", "// CSV"] {
            assert!(!named(code), "{code}");
        }
    }

    #[test]
    fn what_is_not_enforced_is_a_line_each_with_the_reason() {
        let open = Witness {
            network: true,
            loopback: true,
            writes: true,
        };
        let lines = lines(Means::default(), open, &["no user namespace".to_owned()]);
        for expected in [
            "a program can use the network",
            "a program can write where you can write",
            "stricter means do not work here: no user namespace",
        ] {
            let found = lines.iter().filter(|line| line.ends_with(expected)).count();
            assert_eq!(found, 1, "{expected} in {lines:?}");
        }
    }
}
