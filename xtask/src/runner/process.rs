//! Starts supervised jobs from the server: collects what they print, and ends them at their time,
//! when they print too much, or when nobody wants them any longer.
//!
//! Knows of the hidden command's jobs and of the limits; knows nothing of Rust or HTTP.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::runner::confine::{self, Ended, Job};
use crate::runner::limits::{GRACE, Limit};

/// What a job did.
pub struct Output {
    /// How it ended; nothing when it was given up because nobody wanted it any longer. A job
    /// without bounds has no limits, and ends as its supervisor does.
    pub ended: Option<Ended>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Tells a job that nobody wants it any longer: who asked for it is gone, or the server ends.
pub struct Wanted {
    /// Closed when whoever asked is gone; none for what the server itself asks for.
    pub asker: Option<oneshot::Receiver<()>>,
    /// True once the server ends.
    pub stopping: watch::Receiver<bool>,
}

impl Wanted {
    /// Returns when nobody wants it any longer.
    pub async fn gone(&mut self) {
        let asker = async {
            match &mut self.asker {
                Some(asker) => drop(asker.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = asker => {}
            // An error means that the server's state is gone, too.
            _ = self.stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// The variables of a job's environment; all of the server's own when there are none.
pub type Environment<'a> = Option<&'a [(String, String)]>;

/// Runs a job to its end.
///
/// # Errors
/// When it cannot be started or confined. How the program itself ends is no error.
pub async fn run(
    job: Job,
    environment: Environment<'_>,
    time: Duration,
    bytes: usize,
    wanted: &mut Wanted,
) -> Result<Output> {
    let bounds = job.bounds.clone();
    let mut command = confine::supervise(job)?;
    if let Some(variables) = environment {
        command.env_clear().envs(variables.iter().cloned());
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .context("cannot start the supervisor")?;
    let (full, mut overflow) = mpsc::channel(2);
    // Waiting would close this pipe, which tells the supervisor to end.
    let lifeline = child.stdin.take();
    let stdout = Collected::start(child.stdout.take(), bytes, full.clone());
    let stderr = Collected::start(child.stderr.take(), bytes, full);
    let mut stopped = None;
    let mut given_up = false;
    tokio::select! {
        _ = child.wait() => {}
        Some(()) = overflow.recv() => stopped = Some(Limit::Output),
        () = tokio::time::sleep(time) => stopped = Some(Limit::Time),
        () = wanted.gone() => given_up = true,
    }
    drop(lifeline);
    let status = end(&mut child).await?;
    let (stdout, stderr) = (stdout.end().await, stderr.end().await);
    let ended = match (stopped, given_up) {
        (_, true) => None,
        (Some(limit), _) => Some(Ended::Stopped(limit)),
        (None, false) => Some(match &bounds {
            Some(bounds) => match bounds.outcome(status, &text(&stderr)) {
                // It may have reached the limit just as it ended.
                Ok(_) if overflow.try_recv().is_ok() => Ended::Stopped(Limit::Output),
                outcome => outcome?,
            },
            None => Ended::Exited(status.code().unwrap_or(-1)),
        }),
    };
    Ok(Output {
        ended,
        stdout,
        stderr,
    })
}

/// Bytes that a program printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for a supervisor whose pipe is closed, and which therefore ends all that it started.
async fn end(child: &mut Child) -> Result<std::process::ExitStatus> {
    match timeout(GRACE, child.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            child.start_kill()?;
            Ok(child.wait().await?)
        }
    }
}

/// One stream of a program's output, up to a number of bytes.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Collected {
    fn start(
        stream: Option<impl AsyncRead + Unpin + Send + 'static>,
        most: usize,
        full: mpsc::Sender<()>,
    ) -> Collected {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = bytes.clone();
        let reader = tokio::spawn(async move {
            let Some(mut stream) = stream else { return };
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = most - kept.len();
                kept.extend_from_slice(&buffer[..length.min(room)]);
                if length > room {
                    // Read on: a closed pipe would only make it complain before it is stopped.
                    // Nobody listens when it has ended already.
                    let _ = full.try_send(());
                }
            }
        });
        Collected { bytes, reader }
    }

    /// What was read. Whoever still holds the other end is not waited for.
    async fn end(mut self) -> Vec<u8> {
        if timeout(GRACE, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
