//! PowerDNS with its GeoIP backend, for two regions, each with a health check.
//!
//! The zone (`real/config/geo/zone.yml`) has two names. `fixed.geo.example` has
//! addresses that depend on the user's network alone. `checked.geo.example` has Lua
//! records: PowerDNS asks a URL of each region every second and answers with one
//! that is up. No GeoIP database is needed: the zone lists the networks.
//!
//! May know of `launch` and `program`.

use crate::launch::{Launch, Server};
use crate::program::{PDNS, PDNS_GEOIP};
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};

/// How long a resolver may keep an answer, in seconds.
pub const TTL_S: u32 = 30;
/// The address that stands for the European region (RFC 5737: nobody's).
pub const EU: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The address that stands for the American region.
pub const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The name whose answers depend on the user's network alone.
pub const FIXED: &str = "fixed.geo.example";
/// The name whose answers depend on health checks too.
pub const CHECKED: &str = "checked.geo.example";

/// A PowerDNS that runs. It ends when it is dropped.
pub struct Pdns {
    server: Server,
}

impl Pdns {
    /// Starts PowerDNS. `checks` are where the European and the American region
    /// tell their health; `subnets` says whether it regards the user's network that
    /// a resolver sends along.
    ///
    /// # Errors
    /// As [`Launch::start`], and
    /// [`NotInstalled`](crate::program::NotInstalled) when the GeoIP backend is
    /// missing.
    pub fn start(checks: [SocketAddr; 2], subnets: bool) -> Result<Pdns> {
        PDNS.path()?;
        let backend = PDNS_GEOIP.path()?;
        let modules = backend.parent().context("a file has a folder")?;
        let [eu, us] = checks;
        let server = Launch::new(PDNS)
            .file("pdns.conf", include_str!("../config/geo/pdns.conf"))
            .file("zone.yml", include_str!("../config/geo/zone.yml"))
            .set("MODULES", modules.display())
            .set("SUBNETS", if subnets { "yes" } else { "no" })
            .set("TTL", TTL_S)
            .set("EU", EU)
            .set("US", US)
            .set("EU_CHECK", eu)
            .set("US_CHECK", us)
            .args(["--config-dir=${FOLDER}"])
            .start()?;
        Ok(Pdns { server })
    }

    /// Where it listens, for UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }
}
