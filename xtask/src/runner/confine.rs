//! What stands between this tool and a reader's program: `xtask confine`, a hidden command of
//! the tool itself, which takes away what the program must not have and then becomes it. So no
//! code runs between a fork and an exec, and the server itself gives nothing up.
//!
//! The server starts a supervisor, which ends with the server's end of its standard input:
//! however the server ends, nothing survives it. The supervisor starts the program, on Linux by
//! way of two more stages (see [`linux`]), watches what it uses and clears up behind it.
//!
//! Knows of the limits and the operating system; knows nothing of the book, the server or Rust.

#[cfg(target_os = "linux")]
mod linux;

use std::fs::{self, File};
#[cfg(not(target_os = "linux"))]
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
#[cfg(not(target_os = "linux"))]
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::runner::limits::{Limit, Use};

/// The hidden command's name.
pub const COMMAND: &str = "confine";

/// How often the supervisor looks whether the program has ended.
const POLL: Duration = Duration::from_millis(4);

/// How often the supervisor adds up what the program uses.
const WATCH: Duration = Duration::from_millis(40);

/// What one stage is told to do.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    /// The program that is to run in the end, and its arguments.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// The folder in which the program starts.
    pub work: PathBuf,
    /// What it is kept from; nothing when there is none.
    pub bounds: Option<Bounds>,
}

/// What a program is kept from, and by which means.
#[derive(Clone, Serialize, Deserialize)]
pub struct Bounds {
    /// The run's own folder. It holds `work`, the only folder that the program may write to, and
    /// what the stages tell the server. A supervisor that outlives its server removes it.
    pub folder: PathBuf,
    pub limits: Use,
    pub means: Means,
    /// Whether the program may change modes, owners and times of files: a linker has to.
    pub metadata: bool,
}

/// The means that keep a program in its bounds. What a system lacks is left out.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Means {
    /// Namespaces of its own for users, network, processes and IPC.
    pub namespaces: bool,
    /// A mount namespace in which all but its folder is read-only.
    pub read_only: bool,
    /// Landlock: no writing below any other folder.
    pub landlock: bool,
    /// A seccomp filter: no calls that lead around the rest.
    pub seccomp: bool,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It was stopped because it reached a limit.
    Stopped(Limit),
}

/// What a confined witness could do, to tell what the means are worth here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// It reached a socket of the machine.
    pub network: bool,
    /// It reached a socket of its own on 127.0.0.1.
    pub loopback: bool,
    /// It wrote to a file outside its folder, made one, or changed the mode of one.
    pub writes: bool,
}

/// One stage of the way to the program, as the hidden command's argument names it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Supervise(Job),
    /// The first process of a PID namespace.
    Init(Job),
    /// Gives everything up and becomes the program.
    Become(Job),
    /// Tries what it must not be able to do.
    Witness {
        address: SocketAddr,
        outside: PathBuf,
    },
}

impl Bounds {
    /// Where a stage says how the program ended.
    fn ended(&self) -> PathBuf {
        self.folder.join("ended")
    }

    /// Where a stage says why the program could not be started.
    fn failure(&self) -> PathBuf {
        self.folder.join("failure")
    }

    /// How the program ended, once its supervisor has.
    ///
    /// # Errors
    /// Why a stage could not start the program. `printed` is what the supervisor, or the program,
    /// wrote to standard error.
    pub fn outcome(&self, supervisor: ExitStatus, printed: &str) -> Result<Ended> {
        if let Ok(failure) = fs::read_to_string(self.failure())
            && !failure.is_empty()
        {
            bail!("{failure}");
        }
        match fs::read(self.ended()) {
            Ok(told) if !told.is_empty() => Ok(serde_json::from_slice(&told)?),
            _ => bail!(
                "the program's supervisor ended with {supervisor}: {}",
                printed.trim()
            ),
        }
    }
}

/// The command that supervises a job. It is to be given a pipe as its standard input, whose other
/// end is closed to stop the job.
///
/// # Errors
/// When a path of the job is not UTF-8, or this program's own path is not known.
pub fn supervise(job: Job) -> Result<Command> {
    stage(&Stage::Supervise(job))
}

/// The job that tries what a program with these bounds must not be able to do, and prints a
/// [`Witness`] as JSON. It tries to reach `address` and to write into the folder `outside`.
///
/// # Errors
/// When a path is not UTF-8.
pub fn witness(
    work: PathBuf,
    bounds: Bounds,
    address: SocketAddr,
    outside: PathBuf,
) -> Result<Job> {
    let stage = Stage::Witness { address, outside };
    Ok(Job {
        program: this_program()?,
        arguments: vec![COMMAND.to_owned(), serde_json::to_string(&stage)?],
        work,
        bounds: Some(bounds),
    })
}

/// Carries out the stage that the hidden command's argument describes.
pub fn run(stage: &str) -> ExitCode {
    let outcome = serde_json::from_str(stage)
        .context("the argument is for this tool's own use")
        .and_then(|stage| match stage {
            Stage::Supervise(job) => told(&job, supervised),
            #[cfg(target_os = "linux")]
            Stage::Init(job) => told(&job, |job| linux::init(job, stage_after_init(job)?)),
            #[cfg(target_os = "linux")]
            Stage::Become(job) => told(&job, linux::become_program),
            #[cfg(not(target_os = "linux"))]
            Stage::Init(_) | Stage::Become(_) => bail!("this system has no such stage"),
            Stage::Witness { address, outside } => {
                let seen = serde_json::to_string(&try_everything(address, &outside))?;
                println!("{seen}");
                Ok(ExitCode::SUCCESS)
            }
        });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a stage and leaves its error where the server looks for it.
fn told(job: &Job, stage: impl FnOnce(&Job) -> Result<ExitCode>) -> Result<ExitCode> {
    // Opened first: the stage may give up the right to.
    let failure = match &job.bounds {
        Some(bounds) => File::options()
            .create(true)
            .append(true)
            .open(bounds.failure())
            .ok(),
        None => None,
    };
    let outcome = stage(job);
    if let (Err(error), Some(mut failure)) = (&outcome, failure) {
        use std::io::Write;
        // The error is printed as well.
        let _ = write!(failure, "{error:#}");
    }
    outcome
}

/// This program, even if its file was replaced since it was started.
fn this_program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("this program's own path is not known")
}

fn stage(stage: &Stage) -> Result<Command> {
    let mut command = Command::new(this_program()?);
    command.arg(COMMAND).arg(serde_json::to_string(stage)?);
    Ok(command)
}

#[cfg(target_os = "linux")]
fn stage_after_init(job: &Job) -> Result<Command> {
    let mut command = stage(&Stage::Become(job.clone()))?;
    command.stdin(Stdio::null());
    Ok(command)
}

/// The job's own program, for a system or a job without stages of its own.
fn program(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(&job.arguments).current_dir(&job.work);
    command.stdin(Stdio::null());
    command
}

/// What the supervisor starts. Its standard input stays open as long as the supervisor lives.
fn first(job: &Job) -> Result<Command> {
    #[cfg(target_os = "linux")]
    {
        linux::enter(job)?;
        if let Some(bounds) = &job.bounds {
            return if bounds.means.namespaces {
                let mut command = stage(&Stage::Init(job.clone()))?;
                command.stdin(Stdio::piped());
                Ok(command)
            } else {
                stage_after_init(job)
            };
        }
    }
    Ok(program(job))
}

/// Runs the job until it ends, reaches a limit, or the server closes the pipe. How a job without
/// bounds ended is the supervisor's own status.
fn supervised(job: &Job) -> Result<ExitCode> {
    let mut command = first(job)?;
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .spawn()
        .with_context(|| format!("{} does not start", job.program.display()))?;
    let server = Server::new();
    let mut looked = Instant::now();
    let ended: Option<Ended> = loop {
        if let Some(status) = child.try_wait()? {
            break Some(ended(status));
        }
        if server.gone_within(POLL) {
            break None;
        }
        if looked.elapsed() >= WATCH {
            looked = Instant::now();
            if let Some(limit) = exceeded(job, &child) {
                break Some(Ended::Stopped(limit));
            }
        }
    };
    clear_up(job, &mut child);
    match (ended, &job.bounds) {
        (Some(Ended::Exited(status)), None) => {
            return Ok(u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from));
        }
        (_, None) => return Ok(ExitCode::FAILURE),
        // A first process of a namespace has told how the program itself ended, unless it was
        // killed before it could.
        (Some(Ended::Exited(0)), Some(bounds)) if bounds.means.namespaces => {}
        (Some(ended), Some(bounds)) => fs::write(bounds.ended(), serde_json::to_vec(&ended)?)?,
        (None, Some(bounds)) => fs::remove_dir_all(&bounds.folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The server's end of the supervisor's standard input. Nothing is ever sent on it: it is closed
/// when the server wants the end, or has ended.
struct Server {
    #[cfg(not(target_os = "linux"))]
    open: std::sync::mpsc::Receiver<()>,
}

#[cfg(target_os = "linux")]
impl Server {
    fn new() -> Server {
        Server {}
    }

    /// Waits that long, unless it is gone before. A supervisor that has asked for a PID namespace
    /// can start no thread that would wait for it.
    fn gone_within(&self, time: Duration) -> bool {
        linux::input_ended_within(time)
    }
}

#[cfg(not(target_os = "linux"))]
impl Server {
    fn new() -> Server {
        let (alive, open) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            drop(alive);
        });
        Server { open }
    }

    fn gone_within(&self, time: Duration) -> bool {
        use std::sync::mpsc::RecvTimeoutError;
        self.open.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Kills whatever the job started and is still there, and waits until it is gone.
fn clear_up(job: &Job, child: &mut Child) {
    #[cfg(target_os = "linux")]
    linux::clear_up(job, child);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = job;
        #[cfg(unix)]
        if let Some(group) = i32::try_from(child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // It fails only when nobody is left in the group.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        // It fails only when the child has ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(target_os = "linux")]
fn exceeded(job: &Job, child: &Child) -> Option<Limit> {
    let bounds = job.bounds.as_ref()?;
    linux::exceeded(bounds, child.id())
}

#[cfg(not(target_os = "linux"))]
fn exceeded(_: &Job, _: &Child) -> Option<Limit> {
    None
}

/// How a process ended that was not stopped for a limit.
fn ended(status: ExitStatus) -> Ended {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Ended::Signalled(signal);
    }
    Ended::Exited(status.code().unwrap_or(-1))
}

/// Tries what a confined program must not be able to do.
fn try_everything(address: SocketAddr, outside: &Path) -> Witness {
    let wait = Duration::from_secs(1);
    let network = TcpStream::connect_timeout(&address, wait).is_ok();
    let loopback = TcpListener::bind((address.ip(), 0))
        .and_then(|listener| TcpStream::connect_timeout(&listener.local_addr()?, wait))
        .is_ok();
    let file = outside.join("file");
    let writes = File::options().append(true).open(&file).is_ok()
        || File::create(outside.join("another")).is_ok()
        || fs::metadata(&file)
            .and_then(|metadata| fs::set_permissions(&file, metadata.permissions()))
            .is_ok();
    Witness {
        network,
        loopback,
        writes,
    }
}
