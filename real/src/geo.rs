//! The parts that the program `geo` prints: two regions behind a name server that
//! looks at the user's network and at each region's health.
//!
//! May know of `pdns`, `dns` and `backend`.

use crate::backend::Backend;
use crate::dns::{self, Answer, Subnet};
use crate::pdns::{Pdns, CHECKED, EU, FIXED, US};
use crate::wait_until;
use anyhow::{bail, ensure, Context, Result};
use std::fmt;
use std::time::Duration;

/// Longer than a health check and what it takes to believe it.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many times the same answer is no chance: with no region up, PowerDNS picks at
/// random.
const SAME_ANSWERS: usize = 30;

/// A region: a server with a health check, and the address users are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Nearest to [`europeans`].
    Eu,
    /// Nearest to [`americans`], and for everybody else.
    Us,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Region::Eu => "eu",
            Region::Us => "us",
        })
    }
}

/// The network of the European users (RFC 5737: nobody's).
pub fn europeans() -> Subnet {
    Subnet::new([203, 0, 113, 0], 24)
}

/// The network of the American users.
pub fn americans() -> Subnet {
    Subnet::new([198, 51, 100, 0], 24)
}

/// What a user is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where to go.
    pub region: Region,
    /// How long a resolver may keep the answer.
    pub ttl_s: u32,
    /// For users of how long a prefix it holds.
    pub scope: Option<u8>,
}

/// Two regions and their name server.
pub struct World {
    pdns: Pdns,
    regions: [Backend; 2],
}

impl World {
    /// Starts both regions and the name server, and waits until it has seen that
    /// both are up.
    ///
    /// # Errors
    /// As [`Pdns::start`]; when it never sees them.
    pub fn start() -> Result<World> {
        let regions = [Backend::start("eu")?, Backend::start("us")?];
        let checks = [regions[0].addr(), regions[1].addr()];
        let world = World { pdns: Pdns::start(checks, true)?, regions };
        world.settle(europeans(), Region::Eu)?;
        world.settle(americans(), Region::Us)?;
        Ok(world)
    }

    /// A second name server for the same regions, with or without regard to the
    /// user's network.
    ///
    /// # Errors
    /// As [`Pdns::start`].
    pub fn name_server(&self, subnets: bool) -> Result<Pdns> {
        Pdns::start([self.regions[0].addr(), self.regions[1].addr()], subnets)
    }

    /// Asks for the name whose addresses are fixed.
    ///
    /// # Errors
    /// As [`told`].
    pub fn fixed(&self, subnet: Option<Subnet>) -> Result<Told> {
        told(&self.pdns, FIXED, subnet)
    }

    /// Asks for the name whose addresses are checked.
    ///
    /// # Errors
    /// As [`told`].
    pub fn checked(&self, subnet: Option<Subnet>) -> Result<Told> {
        told(&self.pdns, CHECKED, subnet)
    }

    fn region(&mut self, region: Region) -> &mut Backend {
        &mut self.regions[usize::from(region == Region::Us)]
    }

    /// A region dies: its server refuses connections.
    pub fn kill(&mut self, region: Region) {
        self.region(region).kill();
    }

    /// It comes back where it was.
    ///
    /// # Errors
    /// When it cannot listen again.
    pub fn revive(&mut self, region: Region) -> Result<()> {
        self.region(region).restart()
    }

    /// Asks until users of `subnet` are sent to `region`, again and again.
    ///
    /// # Errors
    /// When that does not happen, or the name server fails.
    pub fn settle(&self, subnet: Subnet, region: Region) -> Result<Told> {
        let mut last = self.checked(Some(subnet));
        let mut same = 0;
        let settled = wait_until(PATIENCE, || {
            last = self.checked(Some(subnet));
            let hit = last.as_ref().is_ok_and(|told| told.region == region);
            same = if hit { same + 1 } else { 0 };
            last.is_err() || same >= SAME_ANSWERS
        });
        let last = last?;
        ensure!(settled, "{subnet} is sent to {}, not to {region}", last.region);
        Ok(last)
    }

    /// Asks for users of `subnet` until they have been told `first` and then
    /// `second`.
    ///
    /// # Errors
    /// When that does not happen, or the name server fails.
    pub fn see(&self, subnet: Subnet, first: Region, second: Region) -> Result<()> {
        let mut outcome = Ok(());
        let mut wanted = [first, second].into_iter().peekable();
        let seen = wait_until(PATIENCE, || {
            match self.checked(Some(subnet)) {
                Ok(told) => {
                    wanted.next_if_eq(&told.region);
                }
                Err(error) => outcome = Err(error),
            }
            outcome.is_err() || wanted.peek().is_none()
        });
        outcome?;
        ensure!(seen, "{subnet} was not told {first} and then {second}");
        Ok(())
    }
}

/// Asks a name server for one of the two names.
///
/// # Errors
/// When it gives no answer, or one that is not one region's address.
pub fn told(pdns: &Pdns, name: &str, subnet: Option<Subnet>) -> Result<Told> {
    let answer = dns::ask(pdns.addr(), name, subnet)?;
    one_region(&answer).with_context(|| format!("{name} has {answer:?}"))
}

fn one_region(answer: &Answer) -> Result<Told> {
    let [(address, ttl_s)] = answer.addresses[..] else { bail!("not one address") };
    let region = match address {
        EU => Region::Eu,
        US => Region::Us,
        _ => bail!("an unknown address"),
    };
    Ok(Told { region, ttl_s, scope: answer.scope })
}
