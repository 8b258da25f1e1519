//! Which server programs there are, and where they are installed.
//!
//! May know of the file system and the environment; starts nothing but `<server>
//! -v`.

use anyhow::{Context, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// NGINX, the web server and HTTP balancer.
pub const NGINX: Program = Program::new("nginx", "nginx");
/// HAProxy, the TCP and HTTP balancer.
pub const HAPROXY: Program = Program::new("haproxy", "haproxy");

/// PostgreSQL, the relational database.
pub const POSTGRES: Program =
    Program::new("postgres", "postgresql").version_argument("--version");
/// PostgreSQL's tool that creates an empty database cluster.
pub const INITDB: Program =
    Program::new("initdb", "postgresql").version_argument("--version");
/// PostgreSQL's tool that copies a running primary, to start a replica from.
pub const PG_BASEBACKUP: Program =
    Program::new("pg_basebackup", "postgresql").version_argument("--version");
/// etcd, the replicated key-value store.
pub const ETCD: Program =
    Program::new("etcd", "etcd-server").version_argument("--version");

/// Redis, the in-memory store.
pub const REDIS: Program =
    Program::new("redis-server", "redis-server").version_argument("--version");
/// Varnish, the HTTP cache.
pub const VARNISH: Program =
    Program::new("varnishd", "varnish").version_argument("-V");
/// NATS, the message broker.
pub const NATS: Program = Program::new("nats-server", "nats-server");
/// Prometheus, which collects metrics and evaluates alert rules.
pub const PROMETHEUS: Program =
    Program::new("prometheus", "prometheus").version_argument("--version");
/// PowerDNS, the authoritative DNS server; its GeoIP backend is a package of its own,
/// `pdns-backend-geoip`.
pub const PDNS: Program =
    Program::new("pdns_server", "pdns-server").version_argument("--version");
/// PowerDNS's GeoIP backend: not a program, but a library that the server loads.
pub const PDNS_GEOIP: Program =
    Program::new("libgeoipbackend.so", "pdns-backend-geoip");

/// Where Debian puts servers; not in every user's `PATH`.
const SERVER_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// Where Debian puts PowerDNS's libraries: a folder a processor, with `pdns` in it.
const LIBRARIES: &str = "/usr/lib";
/// Where Debian puts PostgreSQL: a folder a major version, with `bin` in it.
const POSTGRESQL_VERSIONS: &str = "/usr/lib/postgresql";

/// A server program and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    package: &'static str,
    version_argument: &'static str,
}

impl Program {
    /// A program file `name` that comes with the Debian package `package`.
    pub const fn new(name: &'static str, package: &'static str) -> Program {
        Program { name, package, version_argument: "-v" }
    }

    /// The argument that makes it print its version, where it is not `-v`.
    pub const fn version_argument(self, version_argument: &'static str) -> Program {
        Program { version_argument, ..self }
    }

    /// The name of the program file.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The Debian package that brings it.
    pub fn package(&self) -> &'static str {
        self.package
    }

    /// The program file, looked for in `PATH`, `/usr/sbin`, `/usr/local/sbin`, the
    /// folder of Debian's newest PostgreSQL and that of PowerDNS's libraries.
    ///
    /// # Errors
    /// [`NotInstalled`] when it is in none of them.
    pub fn path(&self) -> Result<PathBuf, NotInstalled> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(SERVER_FOLDERS.iter().map(PathBuf::from))
            .chain(newest_version(Path::new(POSTGRESQL_VERSIONS)))
            .chain(powerdns_libraries())
            .map(|folder| folder.join(self.name))
            .find(|file| file.is_file())
            .ok_or(NotInstalled { name: self.name, package: self.package })
    }

    /// The version it prints of itself, such as `1.22.1`: the first digits and dots.
    ///
    /// # Errors
    /// When it is not installed, cannot be run, or prints no version.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(self.path()?)
            .arg(self.version_argument)
            .stdin(Stdio::null())
            .output()
            .with_context(|| {
                format!("run {} {}", self.name, self.version_argument)
            })?;
        // NGINX prints it on standard error, HAProxy on standard output.
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        first_version(&printed).with_context(|| {
            format!("no version in what {} printed: {printed}", self.name)
        })
    }
}

/// The `bin` of the folder with the highest number as its name, if there is one.
fn newest_version(versions: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(versions).ok()?;
    let number = |name: &std::ffi::OsStr| name.to_str()?.parse::<u32>().ok();
    let newest =
        folders.flatten().filter_map(|folder| number(&folder.file_name())).max()?;
    Some(versions.join(newest.to_string()).join("bin"))
}

/// The folders `pdns` in those of Debian's processor architectures.
fn powerdns_libraries() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(LIBRARIES).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("pdns")).collect()
}

/// The first run of digits and dots in `text` that has a dot between two digits.
fn first_version(text: &str) -> Option<String> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .map(|word| word.trim_matches('.'))
        .find(|word| word.contains('.'))
        .map(str::to_owned)
}

/// A server is missing on this machine. Its text is one line that says what to type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInstalled {
    name: &'static str,
    package: &'static str,
}

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotInstalled { name, package } = self;
        write!(f, "{name} is not installed: sudo apt-get install {package}")
    }
}

impl std::error::Error for NotInstalled {}

/// For tests: turns "this server is missing" into `None`, after saying so, on a
/// reader's machine, and leaves it an error where `CI=true` is set. Other errors
/// stay errors.
///
/// ```no_run
/// # use real::{launch::Launch, program::{skip_if_missing, NGINX}};
/// # fn test() -> anyhow::Result<()> {
/// let Some(nginx) = skip_if_missing(Launch::new(NGINX).start())? else {
///     return Ok(());
/// };
/// # Ok(()) }
/// ```
///
/// # Errors
/// Every error but a missing server outside CI.
pub fn skip_if_missing<T>(outcome: Result<T>) -> Result<Option<T>> {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    // Not eprintln!: the test harness swallows that when a test passes.
    skip_unless(in_ci, outcome, &mut std::io::stderr().lock())
}

/// [`skip_if_missing`] with its surroundings as arguments.
fn skip_unless<T>(
    in_ci: bool,
    outcome: Result<T>,
    say: &mut dyn std::io::Write,
) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if !in_ci && error.is::<NotInstalled>() => {
            writeln!(say, "skipped: {error}")
                .context("say that a test was skipped")?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: Program = Program::new("no-such-server", "no-such-package");
    const LINE: &str =
        "no-such-server is not installed: sudo apt-get install no-such-package";

    #[test]
    fn a_missing_server_names_its_package_in_one_line() {
        let error = MISSING.path().expect_err("there is no such server");
        assert_eq!(error.to_string(), LINE);
        let error = MISSING.version().expect_err("there is no such server");
        assert_eq!(format!("{error:?}").lines().next(), Some(LINE));
    }

    #[test]
    fn a_missing_server_skips_a_test_aloud_and_fails_it_in_ci() {
        let missing = || MISSING.path().map_err(anyhow::Error::from);
        let mut said = Vec::new();
        let outcome =
            skip_unless(false, missing(), &mut said).expect("skipped, not failed");
        assert_eq!(outcome, None);
        assert_eq!(String::from_utf8_lossy(&said), format!("skipped: {LINE}\n"));

        let mut said = Vec::new();
        let error =
            skip_unless(true, missing(), &mut said).expect_err("CI must fail");
        assert_eq!((error.to_string().as_str(), said.len()), (LINE, 0));
    }

    #[test]
    fn of_several_versions_the_newest_is_taken() -> Result<()> {
        let versions = tempfile::tempdir()?;
        for version in ["9", "15", "old"] {
            std::fs::create_dir(versions.path().join(version))?;
        }
        let newest = versions.path().join("15").join("bin");
        assert_eq!(newest_version(versions.path()), Some(newest));
        assert_eq!(newest_version(&versions.path().join("none")), None);
        Ok(())
    }

    #[test]
    fn other_errors_are_never_skipped() {
        let broken: Result<()> = Err(anyhow::anyhow!("broken configuration"));
        assert!(skip_unless(false, broken, &mut Vec::new()).is_err());
    }

    #[test]
    fn the_version_is_found_in_what_servers_print() {
        let version = |text| first_version(text).unwrap_or_default();
        assert_eq!(version("nginx version: nginx/1.22.1"), "1.22.1");
        assert_eq!(
            version("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - ..."),
            "2.6.12"
        );
        assert_eq!(version("no digits. None."), "");
    }
}
