//! The rules as a table: each case names the section that it holds the cache to.
//!
//! A step is (second, request, what the origin answers, what the client gets).
//! Where the origin's part is empty, it must not be asked; `down` means that it
//! cannot be reached. `@60` is the date at second 60. The client's part is the
//! status, the `Cache-Status` and further headers; `>` marks one that the origin
//! must see in the request.

use super::cache::*;

type At = (u64, &'static str, &'static str, &'static str);
pub struct Case {
    pub section: &'static str,
    pub rule: &'static str,
    config: fn() -> Config,
    steps: &'static [At],
}

const SITE: &str = "https://site.example";
pub const START: Seconds = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT
const ONE_H: &str = "200 | cache-control: max-age=3600";

const fn case(
    section: &'static str,
    rule: &'static str,
    steps: &'static [At],
) -> Case {
    Case {
        section,
        rule,
        config: Config::shared,
        steps,
    }
}

const fn browser(
    section: &'static str,
    rule: &'static str,
    steps: &'static [At],
) -> Case {
    Case {
        section,
        rule,
        config: Config::private,
        steps,
    }
}

pub const CASES: &[Case] = &[
    case("9111 3", "a fresh response is stored and used again", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (59, "", "", "200 hit; ttl=1 | age: 59"),
    ]),
    case("9111 4.2", "at its lifetime it is stale, not one second later", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (60, "", "200", "200 fwd=stale; stored; ttl=0"),
    ]),
    case("9111 3", "another URI is another response", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "GET /other", "404", "404 fwd=uri-miss; stored; ttl=0"),
    ]),
    case("9111 5.2.2.5", "no-store beats max-age", &[
        (0, "", "200 | cache-control: no-store, max-age=60", "200 fwd=uri-miss"),
        (1, "", "200 | cache-control: no-store", "200 fwd=uri-miss"),
    ]),
    case("9111 5.2", "a quote after a backslash does not hide what follows", &[
        (
            0,
            "",
            r#"200 | cache-control: max-age=60, x="\", ", no-store"#,
            "200 fwd=uri-miss",
        ),
    ]),
    case("9111 5.2", "what stands inside quotes is no directive", &[
        (
            0,
            "",
            r#"200 | cache-control: max-age=60, x="a, no-store, b""#,
            "200 fwd=uri-miss; stored; ttl=60",
        ),
    ]),
    case("9111 5.2", "a directive in capitals, a number in quotes", &[
        (0, "", "200 | cache-control: No-Store, max-age=60", "200 fwd=uri-miss"),
        (
            1,
            "",
            r#"200 | cache-control: Max-Age="60""#,
            "200 fwd=uri-miss; stored; ttl=60",
        ),
    ]),
    case("9111 5.2.2.7", "private for one field counts for all", &[
        (
            0,
            "",
            r#"200 | cache-control: max-age=60, private="a, b""#,
            "200 fwd=uri-miss",
        ),
    ]),
    case("9111 5.2.2.7", "private is not for a shared cache", &[
        (0, "", "200 | cache-control: private, max-age=60", "200 fwd=uri-miss"),
        (1, "", "200 | cache-control: private", "200 fwd=uri-miss"),
    ]),
    browser("9111 5.2.2.7", "private is for a browser", &[
        (
            0,
            "",
            "200 | cache-control: private, max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (1, "", "", "200 hit; ttl=59"),
    ]),
    case("9111 3.5", "Authorization keeps a response out of a shared cache", &[
        (0, "| authorization: Basic YQ==", ONE_H, "200 fwd=uri-miss"),
    ]),
    case("9111 3.5", "unless it says public", &[
        (0, "| authorization: Basic YQ==", "200 | cache-control: public, max-age=9",
            "200 fwd=uri-miss; stored; ttl=9"),
        (1, "", "", "200 hit; ttl=8"),
    ]),
    case("9111 3.5", "or s-maxage", &[
        (0, "| authorization: Basic YQ==", "200 | cache-control: s-maxage=9",
            "200 fwd=uri-miss; stored; ttl=9"),
    ]),
    case("9111 3.5", "or must-revalidate", &[
        (0, "| authorization: Basic YQ==",
            "200 | cache-control: max-age=9, must-revalidate",
            "200 fwd=uri-miss; stored; ttl=9"),
    ]),
    browser("9111 3.5", "a browser may store it anyway", &[
        (
            0,
            "| authorization: Basic YQ==",
            ONE_H,
            "200 fwd=uri-miss; stored; ttl=3600",
        ),
    ]),
    case("9111 7.3", "Set-Cookie does not keep a response out", &[
        (0, "", "200 | cache-control: max-age=60 | set-cookie: id=ann",
            "200 fwd=uri-miss; stored; ttl=60"),
        (1, "", "", "200 hit; ttl=59 | set-cookie: id=ann"),
    ]),
    case("9111 3", "404 may be stored without a word", &[
        (0, "", "404 | last-modified: @-100", "404 fwd=uri-miss; stored; ttl=10"),
        (1, "", "", "404 hit; ttl=9"),
    ]),
    case("9111 3", "500 may not", &[
        (0, "", "500", "500 fwd=uri-miss"),
    ]),
    case("9111 3", "500 may if it says so", &[
        (0, "", "500 | cache-control: max-age=5", "500 fwd=uri-miss; stored; ttl=5"),
        (1, "", "", "500 hit; ttl=4"),
    ]),
    case("9111 3", "302 is not heuristically cacheable", &[
        (0, "", "302 | last-modified: @-100", "302 fwd=uri-miss"),
    ]),
    case("9111 3", "it may be stored if it names an end", &[
        (
            0,
            "",
            "302 | date: @0 | expires: @60",
            "302 fwd=uri-miss; stored; ttl=60",
        ),
    ]),
    case("9111 3", "or if it says s-maxage", &[
        (
            0,
            "",
            "302 | cache-control: s-maxage=5",
            "302 fwd=uri-miss; stored; ttl=5",
        ),
    ]),
    case("9111 4.2.2", "or public, and then the heuristic is allowed", &[
        (
            0,
            "",
            "302 | cache-control: public | last-modified: @-100",
            "302 fwd=uri-miss; stored; ttl=10",
        ),
    ]),
    browser("9111 3", "private allows a browser to store it", &[
        (0, "", "302 | cache-control: private", "302 fwd=uri-miss; stored; ttl=0"),
    ]),
    case("9111 3.3", "206 is not stored by a cache without ranges", &[
        (
            0,
            "| range: bytes=0-1",
            "206 | cache-control: max-age=60",
            "206 fwd=bypass",
        ),
        (1, "", "206 | cache-control: max-age=60", "206 fwd=uri-miss"),
    ]),
    case("9110 13.1", "an answer to a condition or a range is for one request", &[
        (
            0,
            "| if-match: \"7\"",
            "412 | cache-control: max-age=60",
            "412 fwd=uri-miss",
        ),
        (
            1,
            "| range: bytes=9-",
            "416 | cache-control: max-age=60",
            "416 fwd=bypass",
        ),
        (2, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
    ]),
    case("9111 5.2.2.3", "must-understand overrules no-store for a known status", &[
        (0, "", "200 | cache-control: max-age=60, must-understand, no-store",
            "200 fwd=uri-miss; stored; ttl=60"),
    ]),
    case("9111 5.2.2.3", "and keeps an unknown status out", &[
        (
            0,
            "",
            "299 | cache-control: max-age=60, must-understand",
            "299 fwd=uri-miss",
        ),
    ]),
    case("9111 3.1", "connection fields are not stored", &[
        (0, "", "200 | cache-control: max-age=60 | connection: x-hop | x-hop: 1 \
            | x-end: 1",
            "200 fwd=uri-miss; stored; ttl=60 | x-hop: | connection: | x-end: 1"),
        (1, "", "", "200 hit; ttl=59 | x-hop: | x-end: 1"),
    ]),
    case("9111 4.2.1", "s-maxage beats max-age in a shared cache", &[
        (
            0,
            "",
            "200 | cache-control: max-age=5, s-maxage=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
    ]),
    browser("9111 4.2.1", "and means nothing in a private one", &[
        (
            0,
            "",
            "200 | cache-control: max-age=5, s-maxage=60",
            "200 fwd=uri-miss; stored; ttl=5",
        ),
    ]),
    case("9111 5.3", "max-age beats Expires", &[
        (0, "", "200 | cache-control: max-age=5 | date: @0 | expires: @60",
            "200 fwd=uri-miss; stored; ttl=5"),
    ]),
    case("9111 4.2.1", "Expires counts from Date, by the origin's clock", &[
        (
            0,
            "",
            "200 | date: @1000 | expires: @1060",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
    ]),
    case("9111 5.3", "Expires: 0 has expired", &[
        (
            0,
            "",
            "200 | expires: 0 | last-modified: @-1000",
            "200 fwd=uri-miss; stored; ttl=0",
        ),
    ]),
    case("9111 4.2.1", "a max-age that is no number is stale", &[
        (
            0,
            "",
            "200 | cache-control: max-age=soon | last-modified: @-1000",
            "200 fwd=uri-miss; stored; ttl=0",
        ),
    ]),
    case("9111 4.2.1", "of two the first counts", &[
        (
            0,
            "",
            "200 | cache-control: max-age=5, max-age=60",
            "200 fwd=uri-miss; stored; ttl=5",
        ),
    ]),
    case("9111 1.2.2", "too large a number is 2^31", &[
        (0, "", "200 | cache-control: max-age=99999999999999999999",
            "200 fwd=uri-miss; stored; ttl=2147483648"),
    ]),
    case("9111 4.2.2", "the heuristic: a tenth of the time since it changed", &[
        (
            0,
            "",
            "200 | date: @0 | last-modified: @-1000",
            "200 fwd=uri-miss; stored; ttl=100",
        ),
        (99, "", "", "200 hit; ttl=1"),
    ]),
    case("9111 4.2.2", "no heuristic where an expiry is given", &[
        (0, "", "200 | cache-control: max-age=0 | last-modified: @-1000",
            "200 fwd=uri-miss; stored; ttl=0"),
    ]),
    case("9111 4.2.3", "the Age that it came with counts", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | age: 50",
            "200 fwd=uri-miss; stored; ttl=10 | age: 50",
        ),
        (9, "", "", "200 hit; ttl=1 | age: 59"),
        (10, "", "200", "200 fwd=stale; stored; ttl=0"),
    ]),
    case("9111 4.2.3", "the time on the way counts: delay 7 s", &[
        (
            0,
            "",
            "+7 200 | cache-control: max-age=60 | age: 50",
            "200 fwd=uri-miss; stored; ttl=3",
        ),
    ]),
    case("9111 4.2.3", "but not twice", &[
        (
            0,
            "",
            "+7 200 | cache-control: max-age=60 | date: @0",
            "200 fwd=uri-miss; stored; ttl=53",
        ),
    ]),
    case("9111 5.1", "of two ages the first counts", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | age: 50, 3",
            "200 fwd=uri-miss; stored; ttl=10",
        ),
    ]),
    case("9111 4.2.3", "an old Date counts, if it gives the greater age", &[
        (0, "", "200 | cache-control: max-age=60 | date: @-20 | age: 5",
            "200 fwd=uri-miss; stored; ttl=40 | age: 20"),
    ]),
    case("9111 5.1", "an invalid Age is ignored", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | age: old",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
    ]),
    case("9111 1.2.2", "an Age that is too large is not young", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | age: 99999999999999999999",
            "200 fwd=uri-miss; stored; ttl=-2147483588",
        ),
    ]),
    case("9111 4.3.1", "a stale copy is validated by its ETag and its date", &[
        (0, "", "200 | cache-control: max-age=9 | etag: \"1\" | last-modified: @-9",
            "200 fwd=uri-miss; stored; ttl=9"),
        (20, "", "304 | etag: \"1\"", "200 fwd=stale; fwd-status=304; stored; ttl=9 \
            | > if-none-match: \"1\" | > if-modified-since: @-9"),
    ]),
    case("9111 4.3.1", "the client's own condition is not sent on", &[
        (0, "| if-none-match: \"9\"", ONE_H,
            "200 fwd=uri-miss; stored; ttl=3600 | > if-none-match:"),
    ]),
    case("9111 4.3.2", "unless the cache takes no part in the request", &[
        (0, "| range: bytes=0-1 | if-none-match: \"9\"", "206",
            "206 fwd=bypass | > if-none-match: \"9\""),
    ]),
    case("9111 4.3", "a stale copy does not make HEAD conditional", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (20, "HEAD /", "200", "200 fwd=stale | > if-none-match:"),
    ]),
    case("9111 4.3.4", "304 renews the age and replaces headers, not the length", &[
        (0, "", "200 | cache-control: max-age=9 | etag: \"1\" | x: old \
            | content-length: 4",
            "200 fwd=uri-miss; stored; ttl=9"),
        (20, "", "304 | etag: \"1\" | cache-control: max-age=60 | x: new \
            | content-length: 0",
            "200 fwd=stale; fwd-status=304; stored; ttl=60 | x: new \
                | content-length: 4"),
        (30, "", "", "200 hit; ttl=50 | x: new | age: 10 | content-length: 4"),
    ]),
    case("9111 4.3.4", "after 304 the age is that of the 304", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | etag: \"1\" | age: 5",
            "200 fwd=uri-miss; stored; ttl=4",
        ),
        (
            20,
            "",
            "304 | etag: \"1\"",
            "200 fwd=stale; fwd-status=304; stored; ttl=9 | age:",
        ),
        (
            40,
            "",
            "304 | etag: \"1\" | age: 2",
            "200 fwd=stale; fwd-status=304; stored; ttl=7 | age: 2",
        ),
    ]),
    case("9111 3.2", "304 may bring a no-store", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (20, "", "304 | etag: \"1\" | cache-control: no-store",
            "200 fwd=stale; fwd-status=304; ttl=0"),
        (21, "| cache-control: max-stale", "200", "200 fwd=uri-miss; stored; ttl=0"),
    ]),
    case("9111 4.3.4", "304 with an unknown ETag renews nothing", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (20, "", "304 | etag: \"2\"", "502 fwd=stale"),
        (21, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
    ]),
    case("9111 4.3.4", "nor does a strong ETag renew a copy with a weak one", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | etag: W/\"1\"",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (
            20,
            "",
            "304 | etag: W/\"1\"",
            "200 fwd=stale; fwd-status=304; stored; ttl=9",
        ),
        (40, "", "304 | etag: \"1\"", "502 fwd=stale"),
    ]),
    case("9111 4.3.4", "but a weak one a copy with a strong one", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (
            20,
            "",
            "304 | etag: W/\"1\"",
            "200 fwd=stale; fwd-status=304; stored; ttl=9",
        ),
    ]),
    case("9111 4.3.4", "without a tag the date decides", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | last-modified: @-9",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (
            20,
            "",
            "304 | last-modified: @-9",
            "200 fwd=stale; fwd-status=304; stored; ttl=9",
        ),
        (40, "", "304 | last-modified: @-5", "502 fwd=stale"),
    ]),
    case("9111 4.3.3", "a full response replaces the copy", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9 | x: old",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (
            20,
            "",
            "200 | cache-control: max-age=9 | x: new",
            "200 fwd=stale; stored; ttl=9 | x: new",
        ),
        (21, "", "", "200 hit; ttl=8 | x: new"),
    ]),
    case("9111 4.3.3", "a full response that may not be stored removes the copy", &[
        (0, "", "200 | cache-control: max-age=9", "200 fwd=uri-miss; stored; ttl=9"),
        (20, "", "200 | cache-control: no-store", "200 fwd=stale"),
        (21, "| cache-control: max-stale", "200", "200 fwd=uri-miss; stored; ttl=0"),
    ]),
    case("9111 4.3.2", "a client that has this copy gets 304 from the cache", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (1, "| if-none-match: W/\"1\", \"7\"", "", "304 hit; ttl=59"),
        (1, "| if-none-match: \"7\"", "", "200 hit; ttl=59"),
        (1, "| if-none-match: *", "", "304 hit; ttl=59"),
    ]),
    case("9111 4.3.2", "by date if it has no tag", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | last-modified: @-50",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (1, "| if-modified-since: @-50", "", "304 hit; ttl=59"),
        (1, "| if-modified-since: @-51", "", "200 hit; ttl=59"),
        (
            1,
            "| if-modified-since: @-50 | if-modified-since: @-50",
            "",
            "200 hit; ttl=59",
        ),
    ]),
    case("9111 4.3.2", "by Date if it has not even that", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | date: @0",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (1, "| if-modified-since: @0", "", "304 hit; ttl=59"),
    ]),
    case("9111 4.3.2", "but only 200 becomes 304", &[
        (
            0,
            "",
            "404 | cache-control: max-age=60 | etag: \"1\"",
            "404 fwd=uri-miss; stored; ttl=60",
        ),
        (1, "| if-none-match: \"1\"", "", "404 hit; ttl=59"),
    ]),
    case("9111 5.2.2.4", "no-cache is stored and asked about each time", &[
        (0, "", "200 | cache-control: no-cache, max-age=60 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=60"),
        (
            1,
            "",
            "304",
            "200 fwd=stale; fwd-status=304; stored; ttl=60 | > if-none-match: \"1\"",
        ),
        (2, "", "down", "504"),
    ]),
    case("9111 5.2.2.2", "must-revalidate: no stale answer, even offline", &[
        (0, "", "200 | cache-control: max-age=9, must-revalidate, stale-if-error=99",
            "200 fwd=uri-miss; stored; ttl=9"),
        (8, "", "", "200 hit; ttl=1"),
        (20, "| cache-control: max-stale", "down", "504"),
    ]),
    case("9111 5.2.2.10", "s-maxage forbids stale answers in a shared cache", &[
        (0, "", "200 | cache-control: s-maxage=9, stale-while-revalidate=99",
            "200 fwd=uri-miss; stored; ttl=9"),
        (20, "", "200", "200 fwd=stale; stored; ttl=0"),
    ]),
    browser("9111 5.2.2.8", "proxy-revalidate does not bind a browser", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9, proxy-revalidate",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (20, "| cache-control: max-stale", "", "200 hit; ttl=-11"),
    ]),
    case("9111 5.2.2.8", "but a shared cache", &[
        (
            0,
            "",
            "200 | cache-control: max-age=9, proxy-revalidate",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (20, "| cache-control: max-stale", "200", "200 fwd=stale; stored; ttl=0"),
    ]),
    case("9111 4.1", "Vary: another language is another response", &[
        (0, "| accept-language: de", "200 | cache-control: max-age=60 \
            | vary: Accept-Language | x: de",
            "200 fwd=uri-miss; stored; ttl=60"),
        (1, "| accept-language: en", "200 | cache-control: max-age=60 \
            | vary: accept-language | x: en",
            "200 fwd=vary-miss; stored; ttl=60"),
        (2, "| accept-language: de", "", "200 hit; ttl=58 | x: de"),
        (2, "| accept-language: en", "", "200 hit; ttl=59 | x: en"),
    ]),
    case("9111 4.1", "absent matches only absent", &[
        (0, "", "200 | cache-control: max-age=60 | vary: accept-language",
            "200 fwd=uri-miss; stored; ttl=60"),
        (
            1,
            "| accept-language: de",
            "200 | cache-control: no-store",
            "200 fwd=vary-miss",
        ),
        (2, "", "", "200 hit; ttl=58"),
    ]),
    case("9111 4.1", "spaces, case and order of codings do not matter", &[
        (0, "| accept-encoding: gzip, br", "200 | cache-control: max-age=60 \
            | vary: accept-encoding",
            "200 fwd=uri-miss; stored; ttl=60"),
        (1, "| accept-encoding: BR,gzip", "", "200 hit; ttl=59"),
        (1, "| accept-encoding: br | accept-encoding: gzip", "", "200 hit; ttl=59"),
    ]),
    case("9111 4.1", "Vary: * never matches", &[
        (0, "", "200 | cache-control: max-age=60 | vary: *", "200 fwd=uri-miss"),
        (1, "", "200", "200 fwd=uri-miss; stored; ttl=0"),
    ]),
    case("9111 4.1", "of a field that is no known list, spaces matter", &[
        (0, "| x-user: Doe, Ann", "200 | cache-control: max-age=60 | vary: x-user",
            "200 fwd=uri-miss; stored; ttl=60"),
        (1, "| x-user: Doe,Ann", "200", "200 fwd=vary-miss; stored; ttl=0"),
    ]),
    case("9111 4.1", "a Vary that a 304 brings counts from then on", &[
        (
            0,
            "| a: 1",
            "200 | cache-control: max-age=9 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=9",
        ),
        (20, "| a: 1", "304 | etag: \"1\" | cache-control: max-age=60 | vary: a",
            "200 fwd=stale; fwd-status=304; stored; ttl=60"),
        (21, "| a: 2", "200 | cache-control: no-store", "200 fwd=vary-miss"),
        (22, "| a: 1", "", "200 hit; ttl=58"),
    ]),
    case("9111 4", "of several that fit, the newest by Date", &[
        (0, "| a: 1", "200 | cache-control: max-age=60 | vary: a | date: @0 \
            | x: first",
            "200 fwd=uri-miss; stored; ttl=60"),
        (0, "| a: 2 | b: 2", "200 | cache-control: max-age=60 | vary: b \
            | date: @-9 | x: older",
            "200 fwd=vary-miss; stored; ttl=51"),
        (1, "| a: 1 | b: 2", "", "200 hit; ttl=59 | x: first"),
    ]),
    case("9111 4.1", "but one with Vary before one without", &[
        (0, "| a: 1", "200 | cache-control: max-age=60 | vary: a | x: first",
            "200 fwd=uri-miss; stored; ttl=60"),
        (1, "| a: 2", "200 | cache-control: max-age=60 | x: newer",
            "200 fwd=vary-miss; stored; ttl=60"),
        (2, "| a: 1", "", "200 hit; ttl=58 | x: first"),
        (2, "| a: 3", "", "200 hit; ttl=59 | x: newer"),
    ]),
    case("9111 4", "HEAD is answered from what GET stored", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "HEAD /", "", "200 hit; ttl=3599"),
    ]),
    case("9111 5.2.1.1", "a request's max-age: nothing older", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (5, "| cache-control: max-age=5", "", "200 hit; ttl=3595"),
        (
            6,
            "| cache-control: max-age=5",
            ONE_H,
            "200 fwd=request; stored; ttl=3600",
        ),
    ]),
    case("9111 5.2.1.3", "min-fresh: fresh for that much longer", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (50, "| cache-control: min-fresh=10", "", "200 hit; ttl=10"),
        (
            51,
            "| cache-control: min-fresh=10",
            ONE_H,
            "200 fwd=request; stored; ttl=3600",
        ),
    ]),
    case("9111 5.2.1.2", "max-stale=10: up to ten seconds late", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (70, "| cache-control: max-stale=10", "", "200 hit; ttl=-10"),
        (
            71,
            "| cache-control: max-stale=10",
            ONE_H,
            "200 fwd=stale; stored; ttl=3600",
        ),
    ]),
    case("9111 5.2.1.2", "max-stale alone: however late", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (9000, "| cache-control: max-stale", "", "200 hit; ttl=-8940"),
    ]),
    case("9111 5.2.1.4", "a request's no-cache asks the origin", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60 | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (
            1,
            "| cache-control: no-cache",
            "304",
            "200 fwd=request; fwd-status=304; stored; ttl=60",
        ),
    ]),
    case("9111 5.2.1.5", "a request's no-store stores nothing, and may be a hit", &[
        (0, "| cache-control: no-store", ONE_H, "200 fwd=uri-miss"),
        (1, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (2, "| cache-control: no-store", "", "200 hit; ttl=3599"),
    ]),
    case("9111 5.2.1.7", "only-if-cached: the copy or 504", &[
        (0, "| cache-control: only-if-cached", "", "504"),
        (
            1,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (2, "| cache-control: only-if-cached", "", "200 hit; ttl=59"),
        (
            3,
            "| cache-control: only-if-cached | range: bytes=0-1",
            "",
            "200 hit; ttl=58",
        ),
        (90, "| cache-control: only-if-cached", "", "504"),
    ]),
    case("9111 4.4", "a successful POST removes the page", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "POST /", "200", "200 fwd=method"),
        (2, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
    ]),
    case("9111 4.4", "a failed one does not", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "POST /", "403", "403 fwd=method"),
        (2, "", "", "200 hit; ttl=3598"),
    ]),
    case("9111 4.4", "a method that nobody knows does", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "MOVE /", "200", "200 fwd=method"),
        (2, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
    ]),
    case("9111 4.4", "Location names another page to remove, on this site", &[
        (0, "GET /list", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "POST /add", "303 | location: /list", "303 fwd=method"),
        (2, "GET /list", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (
            3,
            "POST /add",
            "303 | location: https://evil.example/list",
            "303 fwd=method",
        ),
        (4, "GET /list", "", "200 hit; ttl=3598"),
    ]),
    case("9111 4.4", "but no page of another site", &[
        (
            0,
            "GET https://other.example/list",
            ONE_H,
            "200 fwd=uri-miss; stored; ttl=3600",
        ),
        (
            1,
            "POST /add",
            "303 | location: https://other.example/list",
            "303 fwd=method",
        ),
        (2, "GET https://other.example/list", "", "200 hit; ttl=3598"),
    ]),
    case("9110 9.2.1", "OPTIONS is safe and removes nothing", &[
        (0, "", ONE_H, "200 fwd=uri-miss; stored; ttl=3600"),
        (1, "OPTIONS /", "200", "200 fwd=method"),
        (2, "", "", "200 hit; ttl=3598"),
    ]),
    case("5861 3", "stale-while-revalidate: the stale copy now, one question", &[
        (0, "", "200 | cache-control: max-age=60, stale-while-revalidate=30 \
            | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=60"),
        (70, "", "304", "200 hit; ttl=-10 | age: 70"),
        (71, "", "", "200 hit; ttl=59 | age: 1"),
    ]),
    case("5861 3", "an error behind the client's back leaves the copy; ask again", &[
        (0, "", "200 | cache-control: max-age=60, stale-while-revalidate=30 \
            | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=60"),
        (70, "", "503", "200 hit; ttl=-10"),
        (71, "", "304", "200 hit; ttl=-11"),
        (72, "", "", "200 hit; ttl=59"),
    ]),
    case("5861 3", "what HEAD sets off behind the client's back is a GET", &[
        (0, "", "200 | cache-control: max-age=60, stale-while-revalidate=30 \
            | etag: \"1\"",
            "200 fwd=uri-miss; stored; ttl=60"),
        (70, "HEAD /", "304", "200 hit; ttl=-10 | > if-none-match: \"1\""),
        (71, "", "", "200 hit; ttl=59"),
    ]),
    case("9111 5.2.1.7", "only-if-cached sets nothing off", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60, stale-while-revalidate=30",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (70, "| cache-control: only-if-cached", "", "200 hit; ttl=-10"),
    ]),
    case("5861 3", "a request's max-age wants nothing stale", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60, stale-while-revalidate=30",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (
            70,
            "| cache-control: max-age=100",
            "200",
            "200 fwd=stale; stored; ttl=0",
        ),
    ]),
    case("5861 3", "after the window the client waits", &[
        (0, "", "200 | cache-control: max-age=60, stale-while-revalidate=30",
            "200 fwd=uri-miss; stored; ttl=60"),
        (90, "", "200", "200 fwd=stale; stored; ttl=0"),
    ]),
    case("5861 4", "stale-if-error: the stale copy instead of 503", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60, stale-if-error=300",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (100, "", "503", "200 fwd=stale; fwd-status=503; ttl=-40 | age: 100"),
        (101, "", "down", "200 hit; ttl=-41 | age: 101"),
        (101, "", "504", "200 fwd=stale; fwd-status=504; ttl=-41"),
        (102, "", "404", "404 fwd=stale; stored; ttl=0"),
    ]),
    case("5861 4", "after the window the error", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60, stale-if-error=300",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (360, "", "503", "503 fwd=stale"),
        (361, "", "down", "504"),
    ]),
    case("5861 4", "the request can ask for it too", &[
        (
            0,
            "",
            "200 | cache-control: max-age=60",
            "200 fwd=uri-miss; stored; ttl=60",
        ),
        (
            100,
            "| cache-control: stale-if-error=99",
            "500",
            "200 fwd=stale; fwd-status=500; ttl=-40",
        ),
    ]),
    case("9213 2.2", "CDN-Cache-Control beats Cache-Control and Expires", &[
        (0, "", "200 | cdn-cache-control: max-age=60 | cache-control: no-store \
            | expires: 0",
            "200 fwd=uri-miss; stored; ttl=60 | cache-control: no-store"),
    ]),
    case("9213 2.2", "Expires does not count beside it", &[(
        0,
        "",
        "200 | cdn-cache-control: public | date: @0 | expires: @60",
        "200 fwd=uri-miss; stored; ttl=0",
    )]),
    case("9213 2.1", "an empty one counts as absent", &[
        (
            0,
            "",
            "200 | cdn-cache-control: | cache-control: max-age=5",
            "200 fwd=uri-miss; stored; ttl=5",
        ),
    ]),
    browser("9213 2.2", "and means nothing to a browser", &[
        (0, "", "200 | cdn-cache-control: max-age=60 | cache-control: max-age=5",
            "200 fwd=uri-miss; stored; ttl=5"),
    ]),
    case("9211 2", "caches nearer to the origin stand first", &[
        (0, "", "200 | cache-control: max-age=60 | cache-status: Shield; hit",
            "200 fwd=uri-miss; stored; ttl=60 \
                | cache-status: Shield; hit, Edge; fwd=uri-miss; stored; ttl=60"),
    ]),
];

/// `@60` becomes the date at second 60.
fn dates(text: &str) -> String {
    let Some((before, after)) = text.split_once('@') else {
        return text.to_string();
    };
    let second: i64 = after.trim().parse().unwrap_or(0);
    before.to_string() + &http_date(START.saturating_add_signed(second))
}

fn fields(text: &str) -> Vec<(String, String)> {
    let parts = text.split('|').skip(1).map(dates);
    let pair = |part: String| {
        let (name, value) = part.split_once(':').unwrap_or((&part, ""));
        (name.trim().to_string(), value.trim().to_string())
    };
    parts.map(pair).collect()
}

impl Case {
    /// What went wrong, if anything did.
    pub fn run(&self) -> Result<(), String> {
        let mut cache = Cache::new((self.config)());
        for step in self.steps {
            run_step(&mut cache, step).map_err(|wrong| {
                format!("{} {}, second {}: {wrong}", self.section, self.rule, step.0)
            })?;
        }
        Ok(())
    }
}

fn run_step(
    cache: &mut Cache,
    &(second, asks, says, gets): &At,
) -> Result<(), String> {
    let now = START + second;
    let (method, path) = match asks.split('|').next().unwrap_or("").trim() {
        "" => ("GET", "/"),
        line => line.split_once(' ').unwrap_or((line, "/")),
    };
    let site = if path.starts_with('/') { SITE } else { "" };
    let mut request = Request::new(method, &format!("{site}{path}"));
    for (name, value) in fields(asks) {
        request.headers.add(&name, &value);
    }
    let mut sent = None;
    let answer = match cache.request(&request, now) {
        Step::Answer(answer) => answer,
        Step::Forward(fetch) => {
            sent = Some(fetch.request.clone());
            origin(cache, fetch, says, now)?
        }
        Step::AnswerAndForward(answer, fetch) => {
            sent = Some(fetch.request.clone());
            origin(cache, fetch, says, now)?;
            answer
        }
    };
    if sent.is_none() && !says.is_empty() {
        return Err("the origin was not asked".to_string());
    }
    let none = method == "HEAD" || [304, 502, 504].contains(&answer.status);
    if none != answer.body.is_empty() {
        return Err(format!("{}, body {:?}", answer.status, answer.body));
    }
    let status = answer.headers.get("cache-status").unwrap_or("");
    let own = status.rsplit(", ").next().unwrap_or("");
    let own = own.split_once("; ").map_or("", |(_, rest)| rest);
    let got = format!("{} {own}", answer.status);
    if got.trim() != gets.split('|').next().unwrap_or("").trim() {
        return Err(format!("got {got:?}, not {gets:?}"));
    }
    for (name, value) in fields(gets) {
        let got = match name.strip_prefix('>') {
            Some(name) => sent.as_ref().and_then(|s| s.headers.list(name.trim())),
            None => answer.headers.list(&name),
        };
        if got.clone().unwrap_or_default() != value {
            return Err(format!("{name}: got {got:?}, not {value:?}"));
        }
    }
    Ok(())
}

fn origin(
    cache: &mut Cache,
    fetch: Fetch,
    says: &str,
    now: Seconds,
) -> Result<Response, String> {
    if says.is_empty() {
        return Err(format!("the origin was asked: {:?}", fetch.why));
    }
    if says == "down" {
        return Ok(cache.failed(fetch, now));
    }
    let mut words = says.split_whitespace().peekable();
    let delay = words.next_if(|word| word.starts_with('+'));
    let delay: Seconds = delay
        .map_or(Ok(0), str::parse)
        .map_err(|e| format!("{e}"))?;
    let status = words
        .next()
        .unwrap_or("")
        .parse()
        .map_err(|e| format!("{e}"))?;
    let none = status == 304 || fetch.request.method == "HEAD";
    let mut response = Response::new(status, if none { "" } else { "body" });
    for (name, value) in fields(says) {
        response.headers.add(&name, &value);
    }
    Ok(cache.received(fetch, response, now + delay))
}

#[cfg(test)]
pub fn wrong_case(wanted: &'static str) -> Case {
    let says = "200 | cache-control: max-age=60";
    let steps = Box::leak(Box::new([(0, "", says, wanted)]));
    case("none", "of the test", steps)
}
