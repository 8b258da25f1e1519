//! Many connections of which few are busy: a thread for each, or a task for each?
//!
//! A server that waits in `read` needs a thread for each connection; tokio waits for all of
//! them with a few threads, and keeps for each a task, which is the part of its state that
//! outlives the wait. Look at the memory of an idle connection, and at the address space, which
//! is reserved and not used. The last row, the time for the busy connections, moves from run to
//! run and says nothing in general: what async buys is the idle ones.
//!
//! Simplified: Linux only; both sides are on this machine, the clients in a process of their
//! own. The kernel's memory is not counted: that of a socket is the same for both, but each
//! thread has a stack in the kernel, too. The number of connections is scaled down where a
//! process may open fewer files.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONNECTIONS_MAX: usize = 1_000;
/// Files that the server needs beside its connections, and some to spare.
const OTHER_FILES: usize = 100;
const BUSY: usize = 4;
const MESSAGE_LEN: usize = 64;
const MESSAGES: usize = if cfg!(debug_assertions) { 200 } else { 4_000 };
const ROUNDS: usize = if cfg!(debug_assertions) { 1 } else { 5 };
const PATIENCE: Duration = Duration::from_secs(20);

// ANCHOR: threads
/// A thread for each connection: its stack is where the connection's state is.
fn serve_with_threads(listener: &TcpListener) -> Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().spawn(move || {
            let mut message = [0; MESSAGE_LEN];
            while stream.read_exact(&mut message).is_ok() {
                if stream.write_all(&message).is_err() {
                    return;
                }
            }
        })?;
    }
}

// ANCHOR_END: threads

/// A task for each connection, on as many worker threads as there are cores.
async fn serve_with_tasks(listener: TcpListener) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut message = [0; MESSAGE_LEN];
            while stream.read_exact(&mut message).await.is_ok() {
                if stream.write_all(&message).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The program as a server: says where it listens, and serves until it is killed.
fn serve(kind: &str) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen")?;
    println!("{}", listener.local_addr()?);
    if kind == "threads" {
        return serve_with_threads(&listener);
    }
    listener.set_nonblocking(true)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_with_tasks(listener))
}

/// A server in a process of its own, killed when the value is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind])
            .stdout(Stdio::piped())
            .spawn()
            .context("start the server")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the server has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the server's address")?;
        Ok(Self { child, address })
    }
    /// A line of the kernel's account of the process, such as `VmRSS:  1234 kB`.
    fn status(&self, name: &str) -> Result<u64> {
        number_in(&format!("/proc/{}/status", self.child.id()), name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first number on the line that begins with `name`.
fn number_in(file: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("read {file}: this program needs Linux"))?;
    number_of(&text, name).with_context(|| format!("{file} has no {name}"))
}

fn number_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().find_map(|word| word.parse().ok())
}

/// How many connections the limit on open files allows.
fn connections() -> Result<usize> {
    let files = number_in("/proc/self/limits", "Max open files")? as usize;
    Ok(CONNECTIONS_MAX.min(files.saturating_sub(OTHER_FILES)))
}

fn exchange(stream: &mut TcpStream, messages: usize) -> Result<()> {
    let mut message = [7; MESSAGE_LEN];
    for _ in 0..messages {
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
    }
    Ok(())
}

struct Outcome {
    threads: u64,
    kb: f64,         // of memory in use, a connection
    address_kb: f64, // of address space, a connection
    a_message: Duration,
}

fn measure(kind: &str, connections: usize) -> Result<Outcome> {
    let server = Server::start(kind)?;
    let mut streams = Vec::new();
    let mut connect = |count: usize| -> Result<Vec<TcpStream>> {
        for _ in 0..count {
            let mut stream =
                TcpStream::connect(server.address).context("connect")?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(&mut stream, 1)?; // so that it is served, and then idle
            streams.push(stream);
        }
        streams[..BUSY].iter().map(|s| Ok(s.try_clone()?)).collect()
    };
    let mut busy = connect(BUSY)?;
    let before = (server.status("VmRSS:")?, server.status("VmSize:")?);
    connect(connections - BUSY)?;
    let per = |after: u64, before: u64| {
        after.saturating_sub(before) as f64 / (connections - BUSY) as f64
    };
    let kb = per(server.status("VmRSS:")?, before.0);
    let address_kb = per(server.status("VmSize:")?, before.1);
    let mut a_message = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        thread::scope(|scope| {
            let workers: Vec<_> = busy
                .iter_mut()
                .map(|stream| scope.spawn(|| exchange(stream, MESSAGES)))
                .collect();
            workers
                .into_iter()
                .try_for_each(|w| w.join().expect("a client does not panic"))
        })?;
        let messages = (BUSY * MESSAGES) as u32;
        a_message = a_message.min(start.elapsed() / messages);
    }
    Ok(Outcome { threads: server.status("Threads:")?, kb, address_kb, a_message })
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve_word, kind] = &arguments[..] {
        if serve_word != "serve" {
            bail!("no arguments are needed");
        }
        return serve(kind);
    }
    let connections = connections()?;
    let versions = [recorded::RUSTC, ("tokio", env!("TOKIO_VERSION"))];
    println!("{}\n", recorded::measured_on(&versions)?);
    println!("~{connections} connections, {BUSY} of them busy\n");
    let [threads, tasks] =
        ["threads", "tasks"].map(|kind| measure(kind, connections));
    let (threads, tasks) = (threads?, tasks?);
    println!("{:<36}{:>12}{:>12}", "", "a thread", "a task");
    println!("{:<36}{:>12}{:>12}", "", "each", "each");
    let row = |name: &str, of: &dyn Fn(&Outcome) -> String| {
        println!("{name:<36}{:>12}{:>12}", of(&threads), of(&tasks));
    };
    row("the server's threads", &|o| format!("~{}", o.threads));
    row("memory, kB an idle connection", &|o| format!("~{:.1}", o.kb));
    row("address space, kB a connection", &|o| format!("~{:.0}", o.address_kb));
    row("busy: time for the same messages", &|o| {
        format!(
            "{:.2}x",
            o.a_message.as_secs_f64() / threads.a_message.as_secs_f64()
        )
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_the_name_at_the_start_of_its_line() {
        let status =
            "Name:\tVmRSS: 7\nVmSize:\t  2048 kB\nVmRSS:\t 512 kB\nThreads:\t3\n";
        assert_eq!(number_of(status, "VmRSS:"), Some(512));
        assert_eq!(number_of(status, "Threads:"), Some(3));
        assert_eq!(number_of(status, "VmSwap:"), None);
    }
}
