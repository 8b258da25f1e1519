//! Two users ask PowerDNS for the same name, each through a resolver that tells
//! their network. Then a region dies.
//!
//! `fixed` is a name whose addresses depend on the network alone (the GeoIP
//! backend's `services`), `checked` one whose addresses depend on a health check
//! too (Lua's `ifurlextup`, a check a second). Look at the scope: for how large a
//! network a resolver may give the same answer to others. And at what the fixed
//! name says of the region that is dead.
//!
//! Simplified: a region is one server on loopback, and its address is one that
//! nobody has.

use anyhow::Result;
use real::dns::Subnet;
use real::geo::{americans, europeans, told, Region, Told, World};
use real::machine;
use real::pdns::FIXED;
use real::program::PDNS;
use std::process::ExitCode;

fn cell(told: Told) -> String {
    let scope = told.scope.map_or("none".to_owned(), |scope| format!("/{scope}"));
    format!("{:>8}{:>7}{:>4} s", told.region, scope, told.ttl_s)
}

fn networks(world: &World) -> Result<()> {
    println!("                            fixed  scope  ttl checked  scope  ttl");
    let rows = [
        ("a European network", Some(europeans())),
        ("an American one", Some(americans())),
        ("one user of the first", Some(Subnet::new([203, 0, 113, 7], 32))),
        ("too coarse a prefix", Some(Subnet::new([203, 0, 0, 0], 16))),
        ("a resolver that tells none", None),
    ];
    for (name, subnet) in rows {
        let [fixed, checked] = [world.fixed(subnet)?, world.checked(subnet)?];
        println!("{name:<26}{}{}", cell(fixed), cell(checked));
    }
    let deaf = told(&world.name_server(false)?, FIXED, Some(europeans()))?;
    println!("{:<26}{}", "European, option ignored", cell(deaf));
    Ok(())
}

fn outage(world: &mut World) -> Result<()> {
    let [eu, us] = [europeans(), americans()];
    println!(
        "\n                           checked: european american   fixed: european"
    );
    let line = |world: &World, what: &str, regions: [Region; 2]| -> Result<()> {
        let told = [world.settle(eu, regions[0])?, world.settle(us, regions[1])?];
        let fixed = world.fixed(Some(eu))?.region;
        let [first, second] = told.map(|told| told.region);
        println!("{what:<27}{first:>17}{second:>9}{fixed:>18}");
        Ok(())
    };
    line(world, "both regions are up", [Region::Eu, Region::Us])?;
    world.kill(Region::Eu);
    line(world, "the European one is dead", [Region::Us, Region::Us])?;
    world.revive(Region::Eu)?;
    line(world, "it is back", [Region::Eu, Region::Us])?;
    world.kill(Region::Eu);
    world.kill(Region::Us);
    // Answered at random: to see both is to see that it does not fall silent.
    world.see(eu, Region::Us, Region::Eu)?;
    println!("{:<27}{:>17}{:>9}{:>18}", "both are dead", "either", "either", "eu");
    Ok(())
}

fn run() -> Result<()> {
    println!("{}\n", machine::measured_on(&[PDNS])?);
    let mut world = World::start()?;
    networks(&world)?;
    outage(&mut world)
}

fn main() -> ExitCode {
    real::exit_code(run())
}
