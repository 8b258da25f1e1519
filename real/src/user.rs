//! Whom a server runs as that refuses to be root, as in a container or in CI.
//!
//! May know of the user database and of file owners, not of what a server is.

use anyhow::{Context, Result};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Tried in this order: Debian's package `postgresql` makes the first, every system
/// has the second.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// A user that is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    id: u32,
    group: u32,
}

impl User {
    /// Whom to be where this process is root; `None` where it is not.
    ///
    /// # Errors
    /// When this process is root and `/etc/passwd` names nobody else to be.
    pub fn instead_of_root() -> Result<Option<User>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users =
            std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        let user = NAMES
            .iter()
            .find_map(|name| named(&users, name))
            .context("/etc/passwd has neither postgres nor nobody")?;
        Ok(Some(user))
    }

    /// Makes `command` run as this user.
    pub fn run(&self, command: &mut Command) {
        command.uid(self.id).gid(self.group);
    }

    /// Gives a file or folder to this user.
    ///
    /// # Errors
    /// When this process may not.
    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.id), Some(self.group))
            .with_context(|| format!("give {} to its user", path.display()))
    }
}

/// The user `name` in a text like that of `/etc/passwd`.
fn named(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let id = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(User { id, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\npost:x:7:7:::\n\
                     postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(named(users, "postgres"), Some(User { id: 101, group: 104 }));
        assert_eq!(named(users, "postgre"), None);
        assert_eq!(named("postgres:x:none:1", "postgres"), None);
    }
}
