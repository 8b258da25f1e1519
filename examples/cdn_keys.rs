//! The cache key: what it leaves out leaks, what it needlessly holds costs hits.
//!
//! Look at `leaks` first: answers that show one user what was made for another.
//! Each mistake is followed by its cure on the same requests. The second table
//! serves the same 10,000 requests with different keys; `copies` is how many
//! responses the cache holds for 100 pages.
//!
//! Simplified: nothing expires, a site decides by five inputs only, and the `Vary`
//! of a URL's first answer counts for all of them.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
struct Request {
    path: String,
    query: Vec<(String, String)>,
    cookie: Option<&'static str>, // the user who is logged in
    language: &'static str,
    forwarded_host: Option<&'static str>, // X-Forwarded-Host
    user_agent: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Response {
    body: String,
    /// For whose eyes: `None` is everybody.
    user: Option<&'static str>,
    private: bool,
    vary: &'static [&'static str],
    content_type: &'static str,
}

/// What the operator of the cache writes.
struct Rules {
    key: fn(&Request) -> String,
    /// May the answer to this request be stored, whatever the site says?
    store: fn(&Request, &Response) -> bool,
    /// Removes inputs before the site sees them.
    clean: fn(&mut Request),
}

// ANCHOR: cache
struct Cache {
    rules: Rules,
    stored: BTreeMap<String, (&'static [&'static str], Vec<Variant>)>,
    asked: usize, // how often the site was asked
}

type Variant = (Vec<String>, Response);

impl Cache {
    fn get(
        &mut self,
        mut request: Request,
        site: fn(&Request) -> Response,
    ) -> Response {
        (self.rules.clean)(&mut request);
        let key = (self.rules.key)(&request);
        if let Some((vary, variants)) = self.stored.get(&key) {
            let seen = values(&request, vary);
            if let Some((_, response)) = variants.iter().find(|(v, _)| *v == seen) {
                return response.clone();
            }
        }
        self.asked += 1;
        let response = site(&request);
        if (self.rules.store)(&request, &response) {
            let new = || (response.vary, Vec::new());
            let (vary, variants) = self.stored.entry(key).or_insert_with(new);
            variants.push((values(&request, vary), response.clone()));
        }
        response
    }
}
// ANCHOR_END: cache

impl Cache {
    fn new(rules: Rules) -> Cache {
        Cache {
            rules,
            stored: BTreeMap::new(),
            asked: 0,
        }
    }

    fn copies(&self) -> usize {
        self.stored
            .values()
            .map(|(_, variants)| variants.len())
            .sum()
    }
}

/// The request's values of the fields that `Vary` names.
fn values(request: &Request, vary: &[&str]) -> Vec<String> {
    let value = |name: &&str| match *name {
        "accept-language" => request.language.to_string(),
        "user-agent" => request.user_agent.clone(),
        "cookie" => request.cookie.unwrap_or("").to_string(),
        _ => String::new(),
    };
    vary.iter().map(value).collect()
}

// ANCHOR: keys
fn url(request: &Request) -> String {
    let pair = |(name, value): &(String, String)| format!("&{name}={value}");
    let query: String = request.query.iter().map(pair).collect();
    format!("{}?{query}", request.path)
}

/// The order of parameters and what only the advertiser reads do not count.
fn sorted_url(request: &Request) -> String {
    let mut request = request.clone();
    request.query.retain(|(name, _)| !name.starts_with("utm_"));
    request.query.sort();
    url(&request)
}
// ANCHOR_END: keys

fn always(_: &Request, _: &Response) -> bool {
    true
}

fn unless_private(_: &Request, response: &Response) -> bool {
    !response.private
}

fn keep(_: &mut Request) {}

fn drop_forwarded_host(request: &mut Request) {
    request.forwarded_host = None;
}

const STATIC: [&str; 4] = [".css", ".js", ".png", ".jpg"];

// ANCHOR: deception
/// "What ends in .css is static": decided by the name, not by the answer.
fn by_extension(request: &Request, response: &Response) -> bool {
    let is_static = STATIC.iter().any(|end| request.path.ends_with(end));
    is_static || !response.private
}

/// The name may widen nothing: `private` holds, and the type has to fit too.
fn by_extension_and_answer(request: &Request, response: &Response) -> bool {
    let named_css = request.path.ends_with(".css");
    !response.private && (!named_css || response.content_type == "text/css")
}
// ANCHOR_END: deception

fn careful() -> Rules {
    Rules {
        key: sorted_url,
        store: unless_private,
        clean: drop_forwarded_host,
    }
}

fn page(body: String, user: Option<&'static str>) -> Response {
    let content_type = "text/html";
    Response {
        body,
        user,
        private: user.is_some(),
        vary: &[],
        content_type,
    }
}

/// Marks what depends on the user as private, also where it says "nobody".
/// Ignores what follows `/account`: frameworks take it for a parameter.
fn account(request: &Request) -> Response {
    let private = request.path.starts_with("/account");
    let user = request.cookie.filter(|_| private);
    let body = format!("account of {}", user.unwrap_or("nobody"));
    let page = page(body, user);
    Response { private, ..page }
}

/// Greets by cookie, and marks nothing.
fn forgetful(request: &Request) -> Response {
    Response {
        private: false,
        ..account(request)
    }
}

fn greeting(request: &Request) -> Response {
    page(format!("hello in {}", request.language), None)
}

fn greeting_with_vary(request: &Request) -> Response {
    Response {
        vary: &["accept-language"],
        ..greeting(request)
    }
}

/// Builds the address of its script from a header.
fn script(request: &Request) -> Response {
    let host = request.forwarded_host.unwrap_or("site.example");
    page(format!("<script src=//{host}/app.js>"), None)
}

fn get(path: &str) -> Request {
    Request {
        path: path.to_string(),
        language: "en",
        ..Request::default()
    }
}

type Visit = (Request, &'static str); // and what the visitor ought to see

fn visits(lesson: &str) -> Vec<Visit> {
    let at = |path, cookie| Request {
        cookie,
        ..get(path)
    };
    let spoken = |language| Request {
        language,
        ..get("/")
    };
    match lesson {
        "account" => vec![
            (at("/account", Some("ann")), "account of ann"),
            (at("/account", Some("bob")), "account of bob"),
            (at("/account", None), "account of nobody"),
        ],
        "language" => {
            vec![(spoken("de"), "hello in de"), (spoken("en"), "hello in en")]
        }
        "poison" => {
            let evil = Request {
                forwarded_host: Some("evil.example"),
                ..get("/")
            };
            let good = "<script src=//site.example/app.js>";
            vec![(evil, ""), (get("/"), good)]
        }
        _ => vec![
            // Ann follows a link in a mail; the sender looks up what it left.
            (at("/account/x.css", Some("ann")), "account of ann"),
            (at("/account/x.css", None), "account of nobody"),
        ],
    }
}

/// Answers that are not what the visitor ought to see.
fn leaks(lesson: &str, rules: Rules, site: fn(&Request) -> Response) -> usize {
    let mut cache = Cache::new(rules);
    let wrong = |(request, ought): Visit| {
        let body = cache.get(request, site).body;
        !ought.is_empty() && body != ought
    };
    visits(lesson)
        .into_iter()
        .map(wrong)
        .filter(|wrong| *wrong)
        .count()
}

type Line = (
    &'static str,
    &'static str,
    fn() -> Rules,
    fn(&Request) -> Response,
);
const LEAKS: [Line; 9] = [
    (
        "cookie not in the key, stored anyway",
        "account",
        || Rules {
            store: always,
            ..careful()
        },
        account,
    ),
    ("  site forgets private", "account", careful, forgetful),
    ("  cure: private, and obeyed", "account", careful, account),
    ("page by language, no Vary", "language", careful, greeting),
    (
        "  cure: Vary: Accept-Language",
        "language",
        careful,
        greeting_with_vary,
    ),
    (
        "site reads a header not in the key",
        "poison",
        || Rules {
            clean: keep,
            ..careful()
        },
        script,
    ),
    ("  cure: edge removes the header", "poison", careful, script),
    (
        "/account/x.css stored by its name",
        "deception",
        || Rules {
            store: by_extension,
            ..careful()
        },
        account,
    ),
    (
        "  cure: answer decides, type fits",
        "deception",
        || Rules {
            store: by_extension_and_answer,
            ..careful()
        },
        account,
    ),
];

const PAGES: usize = 100;
const REQUESTS: usize = 10_000;
const BROWSERS: usize = 200; // different User-Agent lines

fn catalogue(_: &Request) -> Response {
    page("catalogue".to_string(), None)
}

fn catalogue_by_browser(request: &Request) -> Response {
    Response {
        vary: &["user-agent"],
        ..catalogue(request)
    }
}

/// A shop's traffic: two parameters in either order, a third from campaigns.
fn traffic() -> Vec<Request> {
    let mut rng = fastrand::Rng::with_seed(42);
    let mut one = || {
        let mut request = get("/list");
        let item = rng.usize(..PAGES);
        let pair = |name: &str, value: usize| (name.to_string(), value.to_string());
        request.query = vec![pair("item", item), pair("size", item % 3)];
        if rng.bool() {
            request.query.reverse();
        }
        if rng.usize(..3) == 0 {
            request.query.push(pair("utm_id", rng.usize(..5_000)));
        }
        request.user_agent = format!("browser {}", rng.usize(..BROWSERS));
        request
    };
    (0..REQUESTS).map(|_| one()).collect()
}

/// Hit ratio in percent, and responses held.
fn measure(
    key: fn(&Request) -> String,
    site: fn(&Request) -> Response,
) -> (f64, usize) {
    let mut cache = Cache::new(Rules { key, ..careful() });
    for request in traffic() {
        cache.get(request, site);
    }
    let hits = REQUESTS - cache.asked;
    (100.0 * hits as f64 / REQUESTS as f64, cache.copies())
}

type Key = (
    &'static str,
    fn(&Request) -> String,
    fn(&Request) -> Response,
);
const KEYS: [Key; 4] = [
    ("URL as sent", url, catalogue),
    (
        "without utm_",
        |request| {
            let mut request = request.clone();
            request.query.retain(|(name, _)| !name.starts_with("utm_"));
            url(&request)
        },
        catalogue,
    ),
    ("without utm_, sorted", sorted_url, catalogue),
    (
        "the same, Vary: User-Agent",
        sorted_url,
        catalogue_by_browser,
    ),
];

fn main() {
    println!("{:<38} answers  leaks", "mistake and cure");
    for (name, lesson, rules, site) in LEAKS {
        let leaks = leaks(lesson, rules(), site);
        println!("{name:<38} {:>7} {leaks:>6}", visits(lesson).len());
    }
    println!("\n{:<30} hit ratio  copies", format!("key ({PAGES} pages)"));
    for (name, key, site) in KEYS {
        let (ratio, copies) = measure(key, site);
        println!("{name:<30} {ratio:>8.1}% {copies:>7}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_key_without_the_cookie_shows_ann_s_account_to_bob() {
        let rules = || Rules {
            store: always,
            ..careful()
        };
        let mut cache = Cache::new(rules());
        let of = |cookie| Request {
            cookie,
            ..get("/account")
        };
        cache.get(of(Some("ann")), account);
        let seen = cache.get(of(Some("bob")), account);
        assert_eq!(seen.body, "account of ann");
        assert_eq!(leaks("account", rules(), account), 2, "bob and nobody");
        assert_eq!(leaks("account", careful(), account), 0);
    }

    #[test]
    fn obeying_private_does_not_help_if_the_site_forgets_it() {
        assert_eq!(leaks("account", careful(), forgetful), 2);
    }

    #[test]
    fn the_page_for_nobody_must_be_private_too_or_ann_is_logged_out() {
        fn half(request: &Request) -> Response {
            Response {
                private: request.cookie.is_some(),
                ..account(request)
            }
        }
        let of = |cookie| Request {
            cookie,
            ..get("/account")
        };
        let mut cache = Cache::new(careful());
        cache.get(of(None), half);
        assert_eq!(cache.get(of(Some("ann")), half).body, "account of nobody");
        let mut cache = Cache::new(careful());
        cache.get(of(None), account);
        assert_eq!(cache.get(of(Some("ann")), account).body, "account of ann");
    }

    #[test]
    fn vary_on_the_cookie_mends_the_forgetful_site_at_a_copy_a_user() {
        fn varied(request: &Request) -> Response {
            Response {
                vary: &["cookie"],
                ..forgetful(request)
            }
        }
        assert_eq!(leaks("account", careful(), varied), 0);
    }

    #[test]
    fn a_missing_vary_shows_german_to_english_readers() {
        assert_eq!(leaks("language", careful(), greeting), 1);
        assert_eq!(leaks("language", careful(), greeting_with_vary), 0);
    }

    #[test]
    fn a_header_outside_the_key_poisons_the_page_for_everybody() {
        let rules = || Rules {
            clean: keep,
            ..careful()
        };
        let mut cache = Cache::new(rules());
        let evil = Request {
            forwarded_host: Some("evil.example"),
            ..get("/")
        };
        cache.get(evil, script);
        let seen = cache.get(get("/"), script);
        assert_eq!(seen.body, "<script src=//evil.example/app.js>");
        assert_eq!(leaks("poison", careful(), script), 0);
    }

    #[test]
    fn a_stylesheet_s_name_deceives_the_cache_into_storing_an_account() {
        let naive = Rules {
            store: by_extension,
            ..careful()
        };
        assert_eq!(leaks("deception", naive, account), 1);
        let mended = || Rules {
            store: by_extension_and_answer,
            ..careful()
        };
        assert_eq!(leaks("deception", mended(), account), 0);
        let type_alone = |request: &Request| Response {
            private: false,
            ..account(request)
        };
        let leaked = leaks("deception", mended(), type_alone);
        assert_eq!(leaked, 0, "HTML under a .css name is not stored");
        let theme = |request: &Request| Response {
            content_type: "text/css",
            ..account(request)
        };
        let leaked = leaks("deception", mended(), theme);
        assert_eq!(leaked, 0, "nor a stylesheet that is private");
    }

    #[test]
    fn no_stored_answer_of_the_careful_rules_belongs_to_a_user() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut cache = Cache::new(careful());
        for _ in 0..2_000 {
            let paths = ["/", "/account", "/account/x.css", "/list"];
            let path = paths[rng.usize(..paths.len())];
            let cookie = [None, Some("ann"), Some("bob")][rng.usize(..3)];
            let request = Request {
                cookie,
                ..get(path)
            };
            let alone = account(&request);
            assert_eq!(cache.get(request, account), alone);
        }
        let variants = cache.stored.values().flat_map(|(_, variants)| variants);
        let owners: BTreeSet<_> = variants.map(|(_, r)| r.user).collect();
        assert_eq!(owners, BTreeSet::from([None]));
    }

    #[test]
    fn order_campaigns_and_user_agents_each_cost_hits() {
        let ratio = |at: usize| measure(KEYS[at].1, KEYS[at].2);
        let (as_sent, plain) = (ratio(0), ratio(1));
        let (sorted, by_browser) = (ratio(2), ratio(3));
        assert!(as_sent.0 < plain.0 && plain.0 < sorted.0);
        assert_eq!(sorted.1, PAGES, "one copy a page");
        assert_eq!(plain.1, 2 * PAGES, "one for each order");
        assert!(by_browser.0 < 40.0 && sorted.0 > 98.0);
    }
}
