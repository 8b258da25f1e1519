//! The life of one page in an HTTP cache, and a table of rules as cases.
//!
//! Look at the last column, the `Cache-Status` that RFC 9211 defines: why the
//! origin was asked (`fwd`), what it answered if the client got something else
//! (`fwd-status`), and for how many seconds the answer is still fresh (`ttl`).
//!
//! The cache is in `cache.rs`, with what it leaves out, the rules in `cases.rs`.
//! Here the clock is a number and the origin a script: nothing is sent anywhere.

mod cache;
mod cases;

use cache::*;
use cases::{CASES, START};
use std::collections::BTreeMap;

const PAGE: &str = "https://site.example/news";

#[derive(Clone, Copy)]
enum Origin {
    Says(u16),
    Down,
}
use Origin::{Down, Says};

/// What the page says of itself.
fn page(status: u16) -> Response {
    let says = "max-age=60, stale-while-revalidate=30, stale-if-error=600";
    match status {
        200 | 304 => Response::new(status, "news")
            .with("cache-control", says)
            .with("etag", "\"v1\""),
        _ => Response::new(status, ""),
    }
}

/// One line of the story: asks the cache, and the origin if the cache wants it.
fn line(
    cache: &mut Cache,
    second: u64,
    request: &Request,
    origin: Origin,
) -> String {
    let now = START + second;
    let tell = |cache: &mut Cache, fetch: Fetch| match origin {
        Says(status) => cache.received(fetch, page(status), now),
        Down => cache.failed(fetch, now),
    };
    let said = match origin {
        Says(status) => status.to_string(),
        Down => "down".to_string(),
    };
    let (answer, asked) = match cache.request(request, now) {
        Step::Answer(answer) => (answer, String::new()),
        Step::Forward(fetch) => (tell(cache, fetch), said),
        Step::AnswerAndForward(answer, fetch) => {
            tell(cache, fetch);
            (answer, format!("{said} later"))
        }
    };
    let status = answer.headers.get("cache-status").unwrap_or("Edge");
    let status = status.trim_start_matches("Edge").trim_start_matches("; ");
    let wish = request.headers.iter().next().map_or("", |(_, value)| value);
    let asks = format!("{} {wish}", request.method);
    let got = answer.status;
    format!("{second:>4}  {asks:<14} {asked:<10} {got:>3}  {status}")
        .trim_end()
        .to_string()
}

fn story() -> Vec<String> {
    let mut cache = Cache::new(Config::shared());
    let get = || Request::get(PAGE);
    let wish = |text: &str| get().with("cache-control", text);
    let script = [
        (0, get(), Says(200)),
        (30, get(), Says(200)),
        (70, get(), Says(304)),
        (80, get(), Says(200)),
        (170, get(), Says(304)),
        (300, get(), Says(503)),
        (310, get(), Down),
        (320, get(), Says(304)),
        (325, wish("no-cache"), Says(304)),
        (330, wish("max-age=2"), Says(304)),
        (340, get().with("if-none-match", "\"v1\""), Says(200)),
        (350, Request::new("POST", PAGE), Says(200)),
        (360, wish("only-if-cached"), Says(200)),
        (370, get(), Down),
    ];
    script
        .iter()
        .map(|(second, request, origin)| line(&mut cache, *second, request, *origin))
        .collect()
}

fn main() {
    println!("   s  request        origin     got  Cache-Status");
    for line in story() {
        println!("{line}");
    }
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for case in CASES {
        match case.run() {
            Ok(()) => {
                let rfc = case.section.split(' ').next().unwrap_or("");
                *held.entry(rfc).or_default() += 1;
            }
            Err(wrong) => println!("{wrong}"),
        }
    }
    println!("\ncases that hold");
    for (rfc, cases) in held {
        println!("RFC {rfc} {cases:>5}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_table_holds() {
        let wrong: Vec<_> =
            CASES.iter().filter_map(|case| case.run().err()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(CASES.len() >= 100);
    }

    #[test]
    fn a_case_that_expects_the_wrong_thing_is_reported() {
        let run = |wanted| cases::wrong_case(wanted).run();
        assert!(run("200 fwd=uri-miss; stored; ttl=60").is_ok());
        assert!(run("200 hit; ttl=60").is_err());
    }

    /// The origin counts its versions, one a second. Whatever the cache answers
    /// is at most as old as the page and the request allow.
    #[test]
    fn no_answer_is_older_than_page_and_request_allow() {
        let mut rng = fastrand::Rng::with_seed(9111);
        let (mut hits, mut stale) = (0, 0);
        for _ in 0..60 {
            let mut cache = Cache::new(Config::shared());
            let (max_age, window) = (rng.u64(0..40), rng.u64(0..20));
            let says = format!("max-age={max_age}, stale-while-revalidate={window}");
            let mut now = START;
            for _ in 0..60 {
                now += rng.u64(0..30);
                let wish = rng.u64(0..60);
                let wish = rng.bool().then_some(wish);
                let mut request = Request::get(PAGE);
                if let Some(age) = wish {
                    let text = format!("max-age={age}");
                    request.headers.add("cache-control", &text);
                }
                let reply = |at: u64| {
                    Response::new(200, &at.to_string()).with("cache-control", &says)
                };
                let answer = match cache.request(&request, now) {
                    Step::Answer(answer) => answer,
                    Step::Forward(fetch) => cache.received(fetch, reply(now), now),
                    Step::AnswerAndForward(answer, fetch) => {
                        cache.received(fetch, reply(now), now);
                        answer
                    }
                };
                let born: u64 = answer.body.parse().expect("a second");
                let age = now - born;
                let limit = wish.unwrap_or(max_age + window);
                assert!(age <= limit.min(max_age + window), "{age} {says}");
                if let Some(said) = answer.headers.get("age") {
                    assert_eq!(said, age.to_string());
                    hits += 1;
                    stale += usize::from(age >= max_age);
                }
            }
        }
        assert!(hits > 500 && stale > 50, "{hits} {stale}");
    }

    #[test]
    fn the_least_recently_used_response_leaves_first() {
        let config = Config {
            entries_max: 2,
            ..Config::shared()
        };
        let mut cache = Cache::new(config);
        let mut get = |path: &str| {
            let request = Request::get(&format!("https://site.example/{path}"));
            match cache.request(&request, START) {
                Step::Forward(fetch) => {
                    cache.received(fetch, page(200), START);
                    (false, cache.len())
                }
                _ => (true, cache.len()),
            }
        };
        assert_eq!(get("a"), (false, 1));
        assert_eq!(get("b"), (false, 2));
        assert_eq!(get("a"), (true, 2));
        assert_eq!(get("c"), (false, 2));
        assert_eq!(get("a"), (true, 2), "b was used least recently");
        assert_eq!(get("b"), (false, 2));
    }

    #[test]
    fn two_answers_to_one_variant_leave_one_copy() {
        let mut cache = Cache::new(Config::shared());
        let ask = |cache: &mut Cache, language| {
            let request = Request::get(PAGE).with("accept-language", language);
            let step = cache.request(&request, START);
            let Step::Forward(fetch) = step else {
                panic!("{step:?}")
            };
            fetch
        };
        let asked = ["de", "en", "de"].map(|language| ask(&mut cache, language));
        for fetch in asked {
            let news = page(200).with("vary", "accept-language");
            cache.received(fetch, news, START);
        }
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn a_disconnected_cache_serves_stale_answers_only_if_configured() {
        for (allowed, status) in [(0, 504), (100, 200)] {
            let mut config = Config::shared();
            config.disconnected_s = allowed;
            let mut cache = Cache::new(config);
            let plain = Response::new(200, "").with("cache-control", "max-age=9");
            for (second, want) in [(0, 200), (50, status)] {
                let now = START + second;
                let step = cache.request(&Request::get(PAGE), now);
                let Step::Forward(fetch) = step else {
                    panic!("{step:?}")
                };
                let answer = match second {
                    0 => cache.received(fetch, plain.clone(), now),
                    _ => cache.failed(fetch, now),
                };
                assert_eq!(answer.status, want);
            }
        }
    }

    #[test]
    fn a_cache_may_ignore_what_requests_ask_for() {
        for (obeys, hits) in [(true, 0), (false, 3)] {
            let mut config = Config::shared();
            config.obey_requests = obeys;
            let mut cache = Cache::new(config);
            let mut hit = |wish| {
                let request = Request::get(PAGE).with("cache-control", wish);
                match cache.request(&request, START + 1) {
                    Step::Forward(fetch) => {
                        cache.received(fetch, page(200), START + 1);
                        0
                    }
                    _ => 1,
                }
            };
            hit("no-store"); // stored only by the cache that ignores it
            let asked = ["no-store", "no-cache", "min-fresh=61"];
            assert_eq!(asked.map(&mut hit).iter().sum::<u32>(), hits);
        }
    }

    #[test]
    fn only_one_client_s_request_revalidates_a_stale_page() {
        let mut cache = Cache::new(Config::shared());
        let get = Request::get(PAGE);
        let step = cache.request(&get, START);
        let Step::Forward(fetch) = step else {
            panic!("{step:?}")
        };
        cache.received(fetch, page(200), START);
        let step = cache.request(&get, START + 70);
        let Step::AnswerAndForward(_, fetch) = step else {
            panic!("{step:?}")
        };
        for second in 71..80 {
            let step = cache.request(&get, START + second);
            assert!(matches!(step, Step::Answer(_)), "{step:?}");
        }
        cache.failed(fetch, START + 80); // the question is lost: ask again
        let step = cache.request(&get, START + 81);
        assert!(matches!(step, Step::AnswerAndForward(..)), "{step:?}");
    }

    #[test]
    fn the_three_formats_of_a_date_are_one_instant() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_date(text), Some(START), "{text}");
        }
        for text in ["0", "", "soon", "Sun, 06 Nov 1994 08:49:37 CET"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..1_000 {
            let time = rng.u64(0..4_000_000_000);
            assert_eq!(parse_date(&http_date(time)), Some(time));
        }
    }
}
