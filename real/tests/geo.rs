//! What the chapter on geo-routing says of PowerDNS, its GeoIP backend and its
//! health checks.

use anyhow::{ensure, Result};
use real::dns::Subnet;
use real::geo::{americans, europeans, told, Region, World};
use real::pdns::{CHECKED, FIXED, TTL_S};
use real::program::{skip_if_missing, Program};

fn world() -> Result<Option<World>> {
    skip_if_missing(World::start())
}

#[test]
fn two_client_subnets_are_answered_differently() -> Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    for (subnet, region) in [(europeans(), Region::Eu), (americans(), Region::Us)] {
        let [fixed, checked] =
            [world.fixed(Some(subnet))?, world.checked(Some(subnet))?];
        ensure!([fixed.region, checked.region] == [region, region], "{subnet}");
        ensure!([fixed.ttl_s, checked.ttl_s] == [TTL_S, TTL_S], "{subnet}");
    }
    Ok(())
}

#[test]
fn without_a_client_subnet_or_with_one_too_coarse_users_get_the_default(
) -> Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    for subnet in [None, Some(Subnet::new([203, 0, 0, 0], 16))] {
        ensure!(world.fixed(subnet)?.region == Region::Us, "{subnet:?}");
    }
    Ok(())
}

#[test]
fn a_server_that_ignores_the_option_answers_everybody_alike_and_names_no_scope(
) -> Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let deaf = world.name_server(false)?;
    for subnet in [europeans(), americans()] {
        let told = told(&deaf, FIXED, Some(subnet))?;
        ensure!((told.region, told.scope) == (Region::Us, None), "{told:?}");
    }
    Ok(())
}

#[test]
fn the_scope_of_a_listed_network_is_its_own_and_that_of_lua_is_as_long_as_was_asked(
) -> Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let user = |bits| Some(Subnet::new([203, 0, 113, 7], bits));
    for bits in [24, 28, 32] {
        ensure!(world.fixed(user(bits))?.scope == Some(24), "fixed /{bits}");
        ensure!(world.checked(user(bits))?.scope == Some(bits), "checked /{bits}");
    }
    Ok(())
}

#[test]
fn users_leave_a_dead_region_and_return_and_the_unchecked_name_keeps_sending_them(
) -> Result<()> {
    let Some(mut world) = world()? else { return Ok(()) };
    for (dead, other) in [(Region::Eu, Region::Us), (Region::Us, Region::Eu)] {
        let users = if dead == Region::Eu { europeans() } else { americans() };
        world.kill(dead);
        let told = world.settle(users, other)?;
        ensure!(told.ttl_s == TTL_S, "a resolver keeps it as long as ever");
        ensure!(world.fixed(Some(users))?.region == dead, "it knows of no health");
        world.revive(dead)?;
        world.settle(users, dead)?;
    }
    Ok(())
}

#[test]
fn with_no_region_up_users_are_sent_somewhere_all_the_same() -> Result<()> {
    let Some(mut world) = world()? else { return Ok(()) };
    world.kill(Region::Eu);
    world.kill(Region::Us);
    world.see(europeans(), Region::Us, Region::Eu)?;
    world.revive(Region::Us)?;
    world.settle(europeans(), Region::Us)?;
    Ok(())
}

#[test]
fn a_name_server_that_has_seen_no_check_yet_answers_and_soon_rightly() -> Result<()>
{
    let Some(world) = world()? else { return Ok(()) };
    let new = world.name_server(true)?;
    // The first answer comes at once, from no check at all.
    told(&new, CHECKED, Some(europeans()))?;
    let right = real::wait_until(std::time::Duration::from_secs(30), || {
        let ask = || told(&new, CHECKED, Some(europeans()));
        (0..30).all(|_| ask().is_ok_and(|told| told.region == Region::Eu))
    });
    ensure!(right, "it never saw that the region is up");
    Ok(())
}

#[test]
fn a_missing_backend_is_named_with_its_package() {
    let missing =
        Program::new("no-such-backend.so", real::program::PDNS_GEOIP.package());
    let error = missing.path().expect_err("there is no such file").to_string();
    assert!(error.ends_with("sudo apt-get install pdns-backend-geoip"), "{error}");
}
