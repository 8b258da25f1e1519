//! Ends a server when this process is gone, however it went.
//!
//! `Drop` covers a normal end and a panic, not SIGKILL, `abort` or `exit`. Linux's
//! `PR_SET_PDEATHSIG` covers those for one child only: NGINX's workers would live
//! on, and it follows the *thread* that started the child, which in a test ends
//! before the process does. So each server has a guard: a shell that leads the
//! server's process group and waits on a pipe whose other end is held here. When
//! this process ends, the kernel closes the pipe; the shell wakes, ends everything
//! in the group and removes the server's folder. It works on every Unix.
//!
//! May know of `sh` and of process groups, not of what a server is.

use anyhow::{Context, Result};
use rustix::process::{kill_process_group, test_kill_process_group, Pid, Signal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `$1` is the server's folder. The signals are ignored so that the guard outlives
/// the polite one that it sends to its own group (`kill … 0`).
const SCRIPT: &str = r#"
trap '' TERM INT HUP QUIT
read -r _
kill -s TERM 0
sleep 1
rm -rf -- "$1"
kill -s KILL 0
"#;

/// How long dead processes may take to disappear from their group.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// A process group with a guard in it. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    group: Pid,
}

impl Guard {
    /// Starts a guard that leads a new process group; `folder` is removed if this
    /// process dies before the guard is dropped.
    ///
    /// # Errors
    /// When `sh` cannot be started.
    pub fn start(folder: &Path) -> Result<Guard> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start sh, which guards the server")?;
        let group = Pid::from_child(&shell);
        Ok(Guard { shell, group })
    }

    /// Makes `command` start in this guard's group.
    pub fn join(&self, command: &mut Command) {
        command.process_group(self.group.as_raw_nonzero().get());
    }

    /// Kills the whole group at once, this guard with it.
    pub fn kill_all(&self) {
        // The shell is not reaped yet, so the number cannot belong to anybody else.
        // An error means that nobody is left, which is what we want.
        let _ = kill_process_group(self.group, Signal::KILL);
    }

    /// The number of the process group.
    pub fn group(&self) -> u32 {
        self.shell.id()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill_all();
        let _ = self.shell.wait();
        // Grandchildren are reaped by whoever adopts them: give that a moment, so
        // that their sockets are closed when we return.
        crate::wait_until(GONE_WITHIN, || {
            test_kill_process_group(self.group).is_err()
        });
    }
}
