//! What the program `cdn` claims of Varnish and of the chapter's own cache.

use anyhow::{anyhow, Context, Result};
use real::cdn::cases::CASES;
use real::cdn::scenes::{self, Crowd, Forgotten, Order, CROWD};
use real::cdn::Did::{self, Failed, Fetched, Hit, Revalidated, Stale};
use real::http;
use real::origin::Origin;
use real::program::{skip_if_missing, VARNISH};
use real::varnish::{Varnish, BUILT_IN, CAREFUL, LEAKY};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

type Column = OnceLock<Result<Vec<Did>, String>>;

/// What one cache did with a case; each cache plays all of them once, for all
/// tests.
fn played(
    column: &Column,
    play: impl FnOnce() -> Result<Vec<Did>>,
    case: &str,
) -> Result<Did> {
    let column = column.get_or_init(|| play().map_err(|error| format!("{error:#}")));
    let column = column.as_ref().map_err(|error| anyhow!("{error}"))?;
    let row = CASES.iter().position(|known| known.name == case);
    let row = row.with_context(|| format!("there is no case {case}"))?;
    column.get(row).copied().with_context(|| format!("{case} was not played"))
}

/// Holds what the chapter's cache did with a case.
fn ours(case: &str, did: Did) -> Result<()> {
    static COLUMN: Column = OnceLock::new();
    assert_eq!(played(&COLUMN, real::cdn::ours::play, case)?, did, "{case}");
    Ok(())
}

/// Holds what Varnish did with a case: with its built-in VCL, and with ours added.
fn varnish(case: &str, built_in: Did, careful: Did) -> Result<()> {
    static BUILT_IN_COLUMN: Column = OnceLock::new();
    static CAREFUL_COLUMN: Column = OnceLock::new();
    if skip_if_missing(VARNISH.path().map_err(Into::into))?.is_none() {
        return Ok(());
    }
    let did = played(&BUILT_IN_COLUMN, || scenes::varnish(BUILT_IN), case)?;
    assert_eq!(did, built_in, "{case}, built-in VCL");
    let did = played(&CAREFUL_COLUMN, || scenes::varnish(CAREFUL), case)?;
    assert_eq!(did, careful, "{case}, careful VCL");
    Ok(())
}

#[test]
fn a_fresh_page_is_a_hit_and_a_head_too() -> Result<()> {
    for case in ["fresh", "fresh, HEAD after GET"] {
        ours(case, Hit)?;
        varnish(case, Hit, Hit)?;
    }
    Ok(())
}

#[test]
fn a_page_that_arrives_too_old_is_stored_to_be_validated_but_not_by_varnish(
) -> Result<()> {
    ours("max-age=60, came with Age: 61", Revalidated)?;
    varnish("max-age=60, came with Age: 61", Fetched, Fetched)
}

#[test]
fn another_order_of_the_query_or_another_language_is_another_page() -> Result<()> {
    for case in ["query in another order", "Vary, another language"] {
        ours(case, Fetched)?;
        varnish(case, Fetched, Fetched)?;
    }
    Ok(())
}

#[test]
fn no_store_and_private_are_not_stored() -> Result<()> {
    for case in ["no-store", "private"] {
        ours(case, Fetched)?;
        varnish(case, Fetched, Fetched)?;
    }
    Ok(())
}

#[test]
fn no_cache_is_stored_to_be_validated_but_not_by_varnish() -> Result<()> {
    ours("no-cache", Revalidated)?;
    varnish("no-cache", Fetched, Fetched)
}

#[test]
fn varnish_gives_a_lifetime_to_a_page_that_names_none() -> Result<()> {
    ours("no lifetime named", Revalidated)?;
    varnish("no lifetime named", Hit, Hit)
}

#[test]
fn varnish_serves_an_expired_page_in_its_grace_even_against_must_revalidate(
) -> Result<()> {
    ours("expired", Revalidated)?;
    varnish("expired", Stale, Stale)?;
    ours("expired, must-revalidate", Revalidated)?;
    varnish("expired, must-revalidate", Stale, Revalidated)
}

#[test]
fn stale_while_revalidate_is_served_stale_by_both() -> Result<()> {
    ours("expired, stale-while-revalidate=60", Stale)?;
    varnish("expired, stale-while-revalidate=60", Stale, Stale)
}

#[test]
fn s_maxage_beats_max_age_and_forbids_stale_answers_but_not_to_varnish() -> Result<()>
{
    ours("the same, s-maxage=1, max-age=60", Revalidated)?;
    varnish("the same, s-maxage=1, max-age=60", Stale, Stale)
}

#[test]
fn varnish_forgets_a_page_after_its_grace_unless_told_to_keep_it() -> Result<()> {
    ours("stale-while-revalidate=1, and over", Revalidated)?;
    varnish("stale-while-revalidate=1, and over", Fetched, Revalidated)
}

#[test]
fn a_503_behind_the_clients_back_replaces_the_stale_page_unless_it_is_abandoned(
) -> Result<()> {
    ours("expired, stale-if-error=60, 503", Stale)?;
    varnish("expired, stale-if-error=60, 503", Failed, Stale)
}

#[test]
fn an_origin_that_does_not_answer_replaces_nothing() -> Result<()> {
    ours("the same, origin closes", Stale)?;
    varnish("the same, origin closes", Stale, Stale)
}

#[test]
fn an_answer_to_authorization_is_stored_if_public_but_not_by_varnish() -> Result<()>
{
    ours("request with Authorization", Fetched)?;
    varnish("request with Authorization", Fetched, Fetched)?;
    ours("the same, answer with public", Hit)?;
    varnish("the same, answer with public", Fetched, Fetched)
}

#[test]
fn varnish_passes_cookies_and_does_not_store_set_cookie() -> Result<()> {
    for case in ["request with Cookie", "answer with Set-Cookie"] {
        ours(case, Hit)?;
        varnish(case, Fetched, Fetched)?;
    }
    Ok(())
}

#[test]
fn varnish_does_not_obey_a_clients_no_cache() -> Result<()> {
    ours("request with no-cache", Revalidated)?;
    varnish("request with no-cache", Hit, Hit)
}

#[test]
fn varnish_does_not_forget_a_page_when_a_post_changes_it() -> Result<()> {
    ours("after a POST to the same URL", Fetched)?;
    varnish("after a POST to the same URL", Hit, Hit)
}

/// What alice and then bob are shown at `path`.
fn shown(vcl: &str, path: &str) -> Result<Option<[String; 2]>> {
    let pages = skip_if_missing(scenes::two_users(vcl, path))?;
    Ok(pages.map(|pages| pages.map(|page| page.body)))
}

#[test]
fn two_returns_too_many_show_bob_the_page_of_alice() -> Result<()> {
    let Some(leaked) = skip_if_missing(scenes::two_users(LEAKY, "/account"))? else {
        return Ok(());
    };
    let [alice, bob] = leaked;
    assert_eq!(alice.body, "for session=alice");
    assert_eq!(bob.body, "for session=alice");
    assert_eq!(bob.header("set-cookie"), Some("session=renewed"));
    Ok(())
}

#[test]
fn the_built_in_vcl_and_careful_additions_show_each_user_their_own_page(
) -> Result<()> {
    for vcl in [BUILT_IN, CAREFUL] {
        if let Some([alice, bob]) = shown(vcl, "/account")? {
            assert_eq!([alice, bob], ["for session=alice", "for session=bob"]);
        }
    }
    Ok(())
}

#[test]
fn a_logo_is_shared_by_all_cookies_where_the_vcl_says_that_it_is_static(
) -> Result<()> {
    if let Some([alice, bob]) = shown(BUILT_IN, "/static/logo")? {
        assert_ne!(alice, bob, "passed");
    }
    let Some(pages) = skip_if_missing(scenes::two_users(CAREFUL, "/static/logo"))?
    else {
        return Ok(());
    };
    for page in pages {
        assert_eq!(
            (page.body.as_str(), page.header("set-cookie")),
            ("for anybody", None)
        );
    }
    Ok(())
}

#[test]
fn a_crowd_that_asks_for_a_cold_page_costs_one_request_to_the_origin() -> Result<()>
{
    if let Some(crowd) = skip_if_missing(scenes::crowd(BUILT_IN, "max-age=60"))? {
        let one = Crowd { origin_requests: 1, at_first: 1, answered: CROWD };
        assert_eq!(crowd, one);
    }
    Ok(())
}

#[test]
fn a_crowd_that_asks_for_a_private_page_waits_for_one_answer_and_then_all_ask(
) -> Result<()> {
    if let Some(crowd) = skip_if_missing(scenes::crowd(BUILT_IN, "private"))? {
        let all = Crowd { origin_requests: CROWD, at_first: 1, answered: CROWD };
        assert_eq!(crowd, all);
    }
    Ok(())
}

#[test]
fn a_purge_forgets_all_variants_of_one_url_and_nothing_else() -> Result<()> {
    if let Some(stored) = skip_if_missing(scenes::forget(CAREFUL, Order::Purge))? {
        let others = Forgotten {
            page: [false, false],
            with_query: true,
            same_tag: true,
            other_tag: true,
        };
        assert_eq!(stored, others);
    }
    Ok(())
}

#[test]
fn a_ban_of_a_tag_forgets_every_page_that_has_it() -> Result<()> {
    if let Some(stored) = skip_if_missing(scenes::forget(CAREFUL, Order::Ban))? {
        let other = Forgotten {
            page: [false, false],
            with_query: false,
            same_tag: false,
            other_tag: true,
        };
        assert_eq!(stored, other);
    }
    Ok(())
}

/// The living processes of a process group.
fn living(group: u32) -> usize {
    let ps = Command::new("ps")
        .args(["-A", "-o", "pgid=,stat="])
        .output()
        .expect("ps runs");
    String::from_utf8_lossy(&ps.stdout)
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter(|(pgid, stat)| {
            *pgid == group.to_string() && !stat.trim_start().starts_with('Z')
        })
        .count()
}

#[test]
fn varnish_leaves_no_process_and_no_folder() -> Result<()> {
    let origin = Origin::start()?;
    let started = Varnish::start(BUILT_IN, origin.addr());
    let Some(varnish) = skip_if_missing(started)? else {
        return Ok(());
    };
    let group = varnish.server().group().context("it runs")?;
    let folder = varnish.server().folder().to_owned();
    assert_eq!(http::get(varnish.addr(), "/")?.status, 404);
    // The guard, the manager and its worker.
    assert!(real::wait_until(PATIENCE, || living(group) == 3), "{}", living(group));
    drop(varnish);
    assert_eq!((living(group), folder.exists()), (0, false));
    Ok(())
}

#[test]
fn a_vcl_that_does_not_compile_is_an_error_with_varnishs_own_words() -> Result<()> {
    let origin = Origin::start()?;
    let broken = "sub vcl_recv { return (chache); }";
    let error = match skip_if_missing(Varnish::start(broken, origin.addr())) {
        Ok(None) => return Ok(()),
        Ok(Some(_)) => panic!("Varnish accepted a broken VCL"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("sub vcl_recv { return (chache); }"), "{error}");
    Ok(())
}
