//! An HTTP cache as a state machine. It opens no socket and reads no clock: you
//! give it a request and the time, and it says what to answer or what to ask the
//! origin. Section numbers are RFC 9111's unless another one is named.
//!
//! Left out: parts of a response (`Range`, 206), storing what `HEAD` or `POST`
//! return or learning from `HEAD` (4.3.5), `no-cache` and `private` for single
//! fields (treated as if they named none, which 5.2.2.4 and 5.2.2.7 call common),
//! validating several variants in one request, joining requests that arrive while
//! the first is on its way, and dropping an answer that a POST has overtaken
//! (`cdn_purge.rs` shows why). `CDN-Cache-Control` is read like `Cache-Control`,
//! not as a structured field. An asked-for 304 that does not fit what is stored
//! becomes 502; a real cache would ask again, without a condition.

use std::collections::BTreeMap;

/// What the one who runs the cache decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name in the `Cache-Status` field (RFC 9211).
    pub name: &'static str,
    /// Serves many users, as a CDN does; otherwise one, as a browser does.
    pub shared: bool,
    /// Fields that are asked before `Cache-Control` (RFC 9213, 2.2).
    pub targeted: &'static [&'static str],
    /// Whether the requests' own `Cache-Control` counts (5.2.1: it may).
    pub obey_requests: bool,
    /// How long after it became stale a response may be served when the origin
    /// cannot be reached, whatever it says of stale-if-error (4.2.4).
    pub disconnected_s: Seconds,
    /// Percent of the time since `Last-Modified` (4.2.2); 0 for no heuristic.
    pub heuristic_percent: u64,
    /// How many responses it keeps. The one that was used least recently goes.
    pub entries_max: usize,
}

impl Config {
    pub fn shared() -> Config {
        Config {
            name: "Edge",
            shared: true,
            targeted: &["cdn-cache-control"],
            obey_requests: true,
            disconnected_s: 0,
            heuristic_percent: 10,
            entries_max: 1_000,
        }
    }

    pub fn private() -> Config {
        let (name, targeted) = ("Browser", &[][..]);
        Config {
            name,
            shared: false,
            targeted,
            ..Config::shared()
        }
    }
}

/// A field's value in the form in which `Vary` compares it (4.1). In these lists
/// spaces around commas mean nothing; of other fields we do not know. Codings are
/// case-insensitive and their order means nothing (RFC 9110, 8.4.1 and 12.5.3).
pub fn normalise(name: &str, value: &str) -> String {
    if !["accept-encoding", "accept-language"].contains(&name) {
        return value.to_string();
    }
    let mut parts: Vec<String> = value
        .split(',')
        .map(|part| part.trim().to_string())
        .collect();
    if name == "accept-encoding" {
        parts = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
        parts.sort();
    }
    parts.join(",")
}

/// Why a request went on towards the origin: RFC 9211's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    /// Something fresh is stored, and the request does not take it.
    Request,
    Stale,
}

/// What you have to do now.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send this to the client.
    Answer(Response),
    /// Send `fetch.request` to the origin, then call `received` or `failed`.
    Forward(Fetch),
    /// Both: the client does not wait for the origin.
    AnswerAndForward(Response, Fetch),
}

/// A request on its way to the origin.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// What to send: the client's request, made conditional if we have a copy.
    pub request: Request,
    pub why: Why,
    /// Nobody waits for the answer.
    pub background: bool,
    client: Request,
    sent_at: Seconds,
    entry: Option<Box<Entry>>, // what it validates, as it was then
}

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    /// The fields that `Vary` names, as the first request had them.
    vary: Vec<(String, Option<String>)>,
    response: Response,
    initial_age: Seconds,
    received_at: Seconds,
    /// The origin is being asked whether it is still good.
    asked: bool,
    used: u64,
}

#[derive(Clone, Debug)]
pub struct Cache {
    pub config: Config,
    /// By URI: one response, or several that `Vary` sets apart.
    stored: BTreeMap<String, Vec<Entry>>,
    ids: u64,
}

/// Not to be stored or passed on (3.1; RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
];

/// Answers to a condition or a range of one request. 3 forbids to store the first
/// two here; the others would be wrong for everybody else.
const OF_ONE_REQUEST: [u16; 4] = [206, 304, 412, 416];

/// RFC 9110, 15.1; without 206, which this cache does not understand.
const HEURISTIC: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

impl Config {
    /// What a request's `Cache-Control` asks, if that counts (5.2.1).
    fn asks(&self, request: &Request) -> Directives {
        let text = request.headers.list("cache-control");
        let text = text.filter(|_| self.obey_requests);
        Directives::parse(&text.unwrap_or_default())
    }

    /// The directives that count for this cache, and whether `Expires` does.
    fn policy(&self, response: &Response) -> (Directives, bool) {
        for name in self.targeted {
            let text = response.headers.list(name).unwrap_or_default();
            let directives = Directives::parse(&text);
            if !directives.is_empty() {
                return (directives, false); // RFC 9213, 2.2
            }
        }
        let text = response.headers.list("cache-control");
        (Directives::parse(&text.unwrap_or_default()), true)
    }

    // ANCHOR: store
    /// May the response to this request be stored? (3)
    pub fn storable(&self, request: &Request, response: &Response) -> bool {
        let (says, expires_counts) = self.policy(response);
        let status = response.status;
        let understood = HEURISTIC.contains(&status) || status == 302;
        let must_understand = says.has("must-understand");
        let vary = response.headers.list("vary").unwrap_or_default();
        if request.method != "GET" || status < 200 {
            return false;
        }
        if OF_ONE_REQUEST.contains(&status) {
            return false; // 206, 304, 412, 416
        }
        if self.asks(request).has("no-store") {
            return false; // 5.2.1.5
        }
        if must_understand && !understood {
            return false; // 5.2.2.3
        }
        if vary.split(',').any(|name| name.trim() == "*") {
            return false; // 4.1: it could never be chosen
        }
        if says.has("no-store") && !must_understand {
            return false; // 5.2.2.5
        }
        if self.shared && says.has("private") {
            return false; // 5.2.2.7
        }
        let allowed = ["public", "must-revalidate", "s-maxage"];
        if self.shared
            && request.headers.get("authorization").is_some()
            && !allowed.iter().any(|name| says.has(name))
        {
            return false; // 3.5
        }
        says.has("public")
            || says.has("max-age")
            || (self.shared && says.has("s-maxage"))
            || (!self.shared && says.has("private"))
            || (expires_counts && response.headers.get("expires").is_some())
            || HEURISTIC.contains(&status)
    }
    // ANCHOR_END: store

    // ANCHOR: lifetime
    /// For how many seconds after its birth a response is fresh (4.2.1).
    pub fn lifetime(&self, response: &Response, received_at: Seconds) -> Seconds {
        let (says, expires_counts) = self.policy(response);
        let date = response.headers.get("date").and_then(parse_date);
        let date = date.unwrap_or(received_at);
        if let (true, Some(age)) = (self.shared, says.seconds("s-maxage")) {
            return age;
        }
        if let Some(age) = says.seconds("max-age") {
            return age;
        }
        if let (true, Some(text)) = (expires_counts, response.headers.get("expires"))
        {
            let expires = parse_date(text).unwrap_or(0); // no date: it is past (5.3)
            return expires.saturating_sub(date).min(INFINITE_S);
        }
        if HEURISTIC.contains(&response.status) || says.has("public") {
            let changed = response.headers.get("last-modified").and_then(parse_date);
            let quiet = date.saturating_sub(changed.unwrap_or(date));
            return quiet * self.heuristic_percent / 100; // 4.2.2
        }
        0
    }
    // ANCHOR_END: lifetime

    /// Is it forbidden to serve it stale, even without an origin? (4.2.4)
    fn never_stale(&self, says: &Directives) -> bool {
        let shared = ["proxy-revalidate", "s-maxage"];
        says.has("no-cache")
            || says.has("must-revalidate")
            || self.shared && shared.iter().any(|name| says.has(name))
    }
}

/// The age that a response had when it arrived (4.2.3).
pub fn initial_age(
    response: &Response,
    sent_at: Seconds,
    received_at: Seconds,
) -> Seconds {
    let date = response.headers.get("date").and_then(parse_date);
    let apparent = received_at.saturating_sub(date.unwrap_or(received_at));
    let first = response
        .headers
        .get("age")
        .and_then(|age| age.split(',').next());
    let age = first.and_then(delta_seconds).unwrap_or(0); // invalid: ignored (5.1)
    let delay = received_at.saturating_sub(sent_at);
    apparent.max(age + delay)
}

impl Entry {
    fn age(&self, now: Seconds) -> Seconds {
        self.initial_age + now.saturating_sub(self.received_at)
    }
}

impl Cache {
    pub fn new(config: Config) -> Cache {
        Cache {
            config,
            stored: BTreeMap::new(),
            ids: 0,
        }
    }

    /// How many responses are stored.
    pub fn len(&self) -> usize {
        self.stored.values().map(Vec::len).sum()
    }

    fn lifetime(&self, entry: &Entry) -> Seconds {
        self.config.lifetime(&entry.response, entry.received_at)
    }

    /// The request's fields that a response's `Vary` names.
    fn nominated(
        &self,
        vary: &str,
        request: &Request,
    ) -> Vec<(String, Option<String>)> {
        let mut names: Vec<String> = vary
            .split(',')
            .map(|n| n.trim().to_ascii_lowercase())
            .collect();
        names.retain(|name| !name.is_empty());
        let value = |name: &String| {
            let list = request.headers.list(name);
            list.map(|value| normalise(name, &value))
        };
        names
            .into_iter()
            .map(|name| (name.clone(), value(&name)))
            .collect()
    }

    /// The newest stored response that fits the request, and whether there is
    /// anything for its URI (4, 4.1).
    fn select(&self, request: &Request) -> (Option<&Entry>, bool) {
        let variants = self.stored.get(&request.uri);
        let variants = variants.map_or(&[][..], Vec::as_slice);
        let fits = |entry: &&Entry| {
            entry.vary.iter().all(|(name, value)| {
                let now = self.nominated(name, request).pop();
                now == Some((name.clone(), value.clone()))
            })
        };
        let date = |entry: &&Entry| {
            let date = entry.response.headers.get("date").and_then(parse_date);
            (!entry.vary.is_empty(), date, entry.id)
        };
        (
            variants.iter().filter(fits).max_by_key(date),
            !variants.is_empty(),
        )
    }

    // ANCHOR: judge
    /// May this stored response be the answer? (4)
    fn judge(&self, entry: &Entry, asks: &Directives, now: Seconds) -> Use {
        let says = self.config.policy(&entry.response).0;
        let (age, lifetime) = (entry.age(now), self.lifetime(entry));
        let fresh = lifetime > age && !says.has("no-cache");
        let no = Use::No(if fresh { Why::Request } else { Why::Stale });
        let too_old = asks.seconds("max-age").is_some_and(|max| age > max);
        let left = lifetime.saturating_sub(age);
        if asks.has("no-cache")
            || too_old
            || asks.seconds("min-fresh").is_some_and(|min| left < min)
        {
            return no; // 5.2.1
        }
        if fresh {
            return Use::Serve;
        }
        if self.config.never_stale(&says) {
            return no;
        }
        let late_s = age - lifetime;
        match asks.argument("max-stale") {
            Some(None) => return Use::Serve, // however stale
            Some(_) if asks.seconds("max-stale") >= Some(late_s) => {
                return Use::Serve;
            }
            _ => {}
        }
        let window_s = says.seconds("stale-while-revalidate").unwrap_or(0);
        if late_s < window_s && !asks.has("max-age") {
            return Use::ServeAndAsk; // RFC 5861, 3
        }
        no
    }
    // ANCHOR_END: judge

    /// A client asks.
    pub fn request(&mut self, request: &Request, now: Seconds) -> Step {
        if !["GET", "HEAD"].contains(&request.method.as_str()) {
            return Step::Forward(self.fetch(request, Why::Method, None, now));
        }
        let asks = self.config.asks(request);
        let only_stored = asks.has("only-if-cached");
        if request.headers.get("range").is_some() && !only_stored {
            return Step::Forward(self.fetch(request, Why::Bypass, None, now));
        }
        let (entry, known) = self.select(request);
        let entry = entry.cloned();
        let mut why = if known { Why::VaryMiss } else { Why::UriMiss };
        if let Some(entry) = &entry {
            match self.judge(entry, &asks, now) {
                Use::Serve => {
                    return Step::Answer(self.hit(entry, request, now));
                }
                Use::ServeAndAsk => {
                    let answer = self.hit(entry, request, now);
                    if entry.asked || only_stored {
                        return Step::Answer(answer); // one question is enough
                    }
                    self.with_entry(entry.id, |entry| entry.asked = true);
                    let mut get = request.clone();
                    get.method = "GET".to_string();
                    let mut fetch = self.fetch(&get, Why::Stale, Some(entry), now);
                    fetch.background = true;
                    return Step::AnswerAndForward(answer, fetch);
                }
                Use::No(reason) => why = reason,
            }
        }
        if only_stored {
            return Step::Answer(Response::new(504, "")); // 5.2.1.7
        }
        Step::Forward(self.fetch(request, why, entry.as_ref(), now))
    }

    /// What to send to the origin. If we have a copy, ask whether it is still
    /// good (4.3.1); if not, ask for the whole page, whatever the client has.
    fn fetch(
        &self,
        client: &Request,
        why: Why,
        entry: Option<&Entry>,
        now: Seconds,
    ) -> Fetch {
        let mut request = client.clone();
        let entry = entry.filter(|_| client.method == "GET");
        if client.method == "GET" && why != Why::Bypass {
            request.headers.remove("if-none-match");
            request.headers.remove("if-modified-since");
        }
        if let Some(Entry { response, .. }) = entry {
            if let Some(tag) = response.headers.get("etag") {
                request.headers.set("if-none-match", tag);
            }
            if let Some(date) = response.headers.get("last-modified") {
                request.headers.set("if-modified-since", date);
            }
        }
        let (client, entry) = (client.clone(), entry.cloned().map(Box::new));
        Fetch {
            request,
            why,
            background: false,
            client,
            sent_at: now,
            entry,
        }
    }

    /// The origin has answered. Returns what the client gets.
    pub fn received(
        &mut self,
        fetch: Fetch,
        mut response: Response,
        now: Seconds,
    ) -> Response {
        let status = response.status;
        remove_hop_by_hop(&mut response.headers);
        if response.headers.get("date").is_none() {
            response.headers.set("date", &http_date(now)); // RFC 9110, 6.6.1
        }
        if (200..400).contains(&status) && is_unsafe(&fetch.client.method) {
            self.invalidate_after(&fetch.client.uri, &response); // 4.4
        }
        if let Some(entry) = &fetch.entry {
            self.with_entry(entry.id, |entry| entry.asked = false);
            if status == 304 {
                return self.freshen(&fetch, entry, &response, now);
            }
            if [500, 502, 503, 504].contains(&status) {
                if let Some(answer) = self.despite(&fetch, Some(status), now) {
                    return answer;
                }
            } else {
                self.forget(entry.id); // a full answer: ours is not suitable
            }
        }
        let stored = self.config.storable(&fetch.client, &response);
        if !stored {
            return self.passed_on(&fetch, response);
        }
        let entry = self.store(&fetch, response, now);
        self.answer(&entry, &fetch.client, now, Some((fetch.why, status, true)))
    }

    /// The origin cannot be reached, or too late. Returns what the client gets.
    pub fn failed(&mut self, fetch: Fetch, now: Seconds) -> Response {
        if let Some(entry) = &fetch.entry {
            self.with_entry(entry.id, |entry| entry.asked = false);
        }
        let stale = self.despite(&fetch, None, now);
        stale.unwrap_or_else(|| Response::new(504, "")) // 5.2.2.2
    }

    /// A stale answer instead of an error, if that is allowed.
    fn despite(
        &mut self,
        fetch: &Fetch,
        status: Option<u16>,
        now: Seconds,
    ) -> Option<Response> {
        let entry = fetch.entry.as_deref()?;
        let says = self.config.policy(&entry.response).0;
        let asks = self.config.asks(&fetch.client);
        let late_s = entry.age(now).saturating_sub(self.lifetime(entry));
        let window = |who: &Directives| who.seconds("stale-if-error").unwrap_or(0);
        let mut window_s = window(&says).max(window(&asks)); // RFC 5861, 4
        if status.is_none() {
            window_s = window_s.max(self.config.disconnected_s); // 4.2.4
        }
        if self.config.never_stale(&says) || late_s >= window_s {
            return None;
        }
        let forward = status.map(|status| (fetch.why, status, false));
        let mut answer = self.answer(entry, &fetch.client, now, forward);
        answer.headers.set("age", &entry.age(now).to_string());
        Some(answer)
    }

    /// 304: what we have is still good, and its headers are news (4.3.4, 3.2).
    fn freshen(
        &mut self,
        fetch: &Fetch,
        entry: &Entry,
        news: &Response,
        now: Seconds,
    ) -> Response {
        if !speaks_of(&news.headers, &entry.response.headers) {
            self.forget(entry.id); // the origin has something that we do not have
            return self.passed_on(fetch, Response::new(502, ""));
        }
        let mut entry = entry.clone();
        entry.initial_age = initial_age(news, fetch.sent_at, now);
        entry.received_at = now;
        entry.asked = false;
        entry.response.headers.remove("age"); // that of the news counts
        let mut replaced = Vec::new();
        for (name, value) in news.headers.iter() {
            if name == "content-length" {
                continue;
            }
            if !replaced.contains(&name) {
                entry.response.headers.remove(name);
                replaced.push(name);
            }
            entry.response.headers.add(name, value);
        }
        // A `Vary` that the news brought counts from now on.
        let vary = entry.response.headers.list("vary").unwrap_or_default();
        entry.vary = self.nominated(&vary, &fetch.client);
        let kept = self.config.storable(&fetch.client, &entry.response);
        let updated = entry.clone();
        self.with_entry(entry.id, |old| *old = updated);
        if !kept {
            self.forget(entry.id);
        }
        self.answer(&entry, &fetch.client, now, Some((fetch.why, 304, kept)))
    }

    fn store(&mut self, fetch: &Fetch, response: Response, now: Seconds) -> Entry {
        let vary = response.headers.list("vary").unwrap_or_default();
        self.ids += 1;
        let entry = Entry {
            id: self.ids,
            vary: self.nominated(&vary, &fetch.client),
            initial_age: initial_age(&response, fetch.sent_at, now),
            response,
            received_at: now,
            asked: false,
            used: self.ids,
        };
        let variants = self.stored.entry(fetch.client.uri.clone()).or_default();
        variants.retain(|old| old.vary != entry.vary);
        variants.push(entry.clone());
        while self.len() > self.config.entries_max {
            let all = self.stored.values().flatten();
            let oldest = all.min_by_key(|entry| entry.used).map(|entry| entry.id);
            self.forget(oldest.unwrap_or(0));
        }
        entry
    }

    fn hit(&mut self, entry: &Entry, client: &Request, now: Seconds) -> Response {
        self.ids += 1;
        let used = self.ids;
        self.with_entry(entry.id, |entry| entry.used = used);
        self.answer(entry, client, now, None)
    }

    /// An answer from a stored response; `forward` says what was asked for it:
    /// why, with which result, and whether that was stored.
    fn answer(
        &self,
        entry: &Entry,
        client: &Request,
        now: Seconds,
        forward: Option<(Why, u16, bool)>,
    ) -> Response {
        let (age, lifetime) = (entry.age(now), self.lifetime(entry));
        let mut response = entry.response.clone();
        if forward.is_none() || response.headers.get("age").is_some() {
            response.headers.set("age", &age.to_string()); // 4, 5.1
        }
        if response.status == 200 && not_modified(client, &response.headers) {
            response.status = 304; // 4.3.2
        }
        if client.method == "HEAD" || response.status == 304 {
            response.body.clear();
        }
        let ttl = lifetime as i64 - age as i64;
        let what = match forward {
            None => format!("hit; ttl={ttl}"),
            Some((why, status, stored)) => {
                let fwd = status_of(why, status, response.status);
                let stored = if stored { "; stored" } else { "" };
                format!("{fwd}{stored}; ttl={ttl}")
            }
        };
        let member = format!("{}; {what}", self.config.name);
        append(&mut response.headers, "cache-status", &member);
        response
    }

    fn passed_on(&self, fetch: &Fetch, mut response: Response) -> Response {
        let fwd = status_of(fetch.why, response.status, response.status);
        let member = format!("{}; {fwd}", self.config.name);
        append(&mut response.headers, "cache-status", &member);
        response
    }

    fn with_entry(&mut self, id: u64, change: impl FnOnce(&mut Entry)) {
        let mut all = self.stored.values_mut().flatten();
        if let Some(entry) = all.find(|entry| entry.id == id) {
            change(entry);
        }
    }

    fn forget(&mut self, id: u64) {
        self.stored.retain(|_, variants| {
            variants.retain(|entry| entry.id != id);
            !variants.is_empty()
        });
    }

    /// After a successful POST, PUT or DELETE (4.4): the page itself, and what
    /// the answer names, as long as it is on the same site.
    fn invalidate_after(&mut self, uri: &str, response: &Response) {
        self.stored.remove(uri); // all variants
        for name in ["location", "content-location"] {
            let Some(other) = response.headers.get(name) else {
                continue;
            };
            let other = match other.starts_with('/') {
                true => format!("{}{other}", origin(uri)),
                false => other.to_string(),
            };
            if origin(&other) == origin(uri) {
                self.stored.remove(&other);
            }
        }
    }
}

enum Use {
    Serve,
    ServeAndAsk,
    No(Why),
}

fn is_unsafe(method: &str) -> bool {
    !["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method) // RFC 9110, 9.2.1
}

/// `https://site.example` of `https://site.example/a/b`.
fn origin(uri: &str) -> &str {
    let host = uri.find("://").map_or(0, |at| at + 3);
    let end = uri[host..].find(['/', '?', '#']);
    end.map_or(uri, |end| &uri[..host + end])
}

/// Weak comparison (RFC 9110, 8.8.3.2): `W/"a"` is `"a"`.
fn same_tag(one: &str, other: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_string();
    opaque(one) == opaque(other)
}

/// Is it our copy that a 304 calls good (4.3.4)? A strong tag has to be the same
/// strong tag, a weak one may match either. Without any validator it can only be
/// the copy that we asked about.
fn speaks_of(news: &Headers, ours: &Headers) -> bool {
    match (news.get("etag"), news.get("last-modified")) {
        (Some(tag), _) if tag.starts_with("W/") => {
            ours.get("etag").is_some_and(|our| same_tag(our, tag))
        }
        (Some(tag), _) => ours.get("etag") == Some(tag),
        (None, Some(date)) => ours.get("last-modified") == Some(date),
        (None, None) => true,
    }
}

/// Has the client this very response? (4.3.2; RFC 9110, 13.2.2)
fn not_modified(client: &Request, headers: &Headers) -> bool {
    if let Some(tags) = client.headers.list("if-none-match") {
        let ours = headers.get("etag");
        let same = |tag: &str| ours.is_some_and(|our| same_tag(our, tag));
        return tags.trim() == "*" || tags.split(',').any(same);
    }
    let since = client.headers.list("if-modified-since");
    let since = since.and_then(|date| parse_date(&date)); // two are none
    let changed = headers.get("last-modified").or_else(|| headers.get("date"));
    let changed = changed.and_then(parse_date);
    since.is_some() && changed.is_some() && changed <= since
}

fn remove_hop_by_hop(headers: &mut Headers) {
    let named = headers.list("connection").unwrap_or_default();
    for name in named.split(',').map(str::trim).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// `fwd-status` stands where it is not the status that the client gets.
fn status_of(why: Why, status: u16, sent: u16) -> String {
    let why = match why {
        Why::Bypass => "bypass",
        Why::Method => "method",
        Why::UriMiss => "uri-miss",
        Why::VaryMiss => "vary-miss",
        Why::Request => "request",
        Why::Stale => "stale",
    };
    match status == sent {
        true => format!("fwd={why}"),
        false => format!("fwd={why}; fwd-status={status}"),
    }
}

/// Caches nearer to the origin stand first (RFC 9211, 2).
fn append(headers: &mut Headers, name: &str, member: &str) {
    let before = headers.list(name).map(|list| list + ", ");
    headers.set(name, &format!("{}{member}", before.unwrap_or_default()));
}

// What the cache reads and writes: headers, requests, responses, directives and
// dates. From here on section numbers are RFC 9110's unless another is named.

/// Seconds since 1970-01-01 00:00:00 UTC, or a number of them.
pub type Seconds = u64;

/// Header fields in order. A name is kept in lower case (5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.iter();
        all.find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    /// Each line of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self
            .0
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The lines of that name as one list (5.3); `None` if there is no line.
    pub fn list(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> = self.all(name).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    pub fn add(&mut self, name: &str, value: &str) {
        self.0
            .push((name.to_ascii_lowercase(), value.trim().to_string()));
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Replaces all lines of that name by one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The whole URI, as `https://site.example/page?x=1`.
    pub uri: String,
    pub headers: Headers,
}

impl Request {
    pub fn new(method: &str, uri: &str) -> Request {
        let headers = Headers::default();
        Request {
            method: method.to_string(),
            uri: uri.to_string(),
            headers,
        }
    }

    pub fn get(uri: &str) -> Request {
        Request::new("GET", uri)
    }

    pub fn with(mut self, name: &str, value: &str) -> Request {
        self.headers.add(name, value);
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: String,
}

impl Response {
    pub fn new(status: u16, body: &str) -> Response {
        let headers = Headers::default();
        Response {
            status,
            headers,
            body: body.to_string(),
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Response {
        self.headers.add(name, value);
        self
    }
}

/// The directives of a `Cache-Control` field (RFC 9111, 5.2): name in lower case
/// and argument without its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    /// Commas inside quotes do not separate: `private="a, b", max-age=5`; nor does
    /// a quote after a backslash end them.
    pub fn parse(text: &str) -> Directives {
        let (mut quoted, mut escaped) = (false, false);
        let comma = |c: char| {
            quoted ^= c == '"' && !escaped;
            escaped = quoted && c == '\\' && !escaped;
            c == ',' && !quoted
        };
        let mut found = Vec::new();
        for part in text.split(comma).map(str::trim) {
            let (name, argument) = match part.split_once('=') {
                Some((name, argument)) => (name, Some(argument)),
                None => (part, None),
            };
            if !name.is_empty() {
                let argument = argument.map(|a| a.trim_matches('"').to_string());
                found.push((name.to_ascii_lowercase(), argument));
            }
        }
        Directives(found)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of that name: `Some(None)` is a directive without an argument.
    pub fn argument(&self, name: &str) -> Option<Option<&str>> {
        let first = self.0.iter().find(|(n, _)| n == name);
        first.map(|(_, argument)| argument.as_deref())
    }

    /// The first argument of that name as a number of seconds. One that is no
    /// number counts as 0, which is stale (RFC 9111, 4.2.1).
    pub fn seconds(&self, name: &str) -> Option<Seconds> {
        let digits = self.argument(name)?.unwrap_or("");
        Some(delta_seconds(digits).unwrap_or(0))
    }
}

/// What stands for "too large a number of seconds" (RFC 9111, 1.2.2): 68 years.
pub const INFINITE_S: Seconds = 1 << 31;

/// `None` if it is no number. One that is too large is taken for infinite.
fn delta_seconds(text: &str) -> Option<Seconds> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(INFINITE_S).min(INFINITE_S))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
    "Dec",
];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Days from 1970-01-01 to the first of a month (1 to 12) of a year.
fn days_to(year: u64, month: u64) -> u64 {
    let leap = |y: u64| {
        y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400))
    };
    let past = year - 1;
    let years = past * 365 + past / 4 - past / 100 + past / 400 - 719_162;
    let length = |m: u64| match m {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    years + (1..month).map(length).sum::<u64>()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: the format to send (5.6.7).
pub fn http_date(time: Seconds) -> String {
    let (days, second) = (time / 86_400, time % 86_400);
    let mut year = 1970 + days / 366; // at or before the right year
    while days_to(year + 1, 1) <= days {
        year += 1;
    }
    let in_year = |month: &u64| days_to(year, *month) <= days;
    let month = (1..=12).rev().find(in_year).unwrap_or(1);
    let day = days - days_to(year, month) + 1;
    let weekday = WEEKDAYS[(days % 7) as usize];
    let name = MONTHS[month as usize - 1];
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {name} {year} {h:02}:{m:02}:{s:02} GMT")
}

/// Reads the format above and the two obsolete ones; `None` if it is no date.
pub fn parse_date(text: &str) -> Option<Seconds> {
    let clean = text.replace([',', '-'], " ");
    let parts: Vec<&str> = clean.split_whitespace().collect();
    let (day, month, year, clock) = match parts[..] {
        [_, day, month, year, clock, zone] if zone.eq_ignore_ascii_case("GMT") => {
            (day, month, year, clock)
        }
        [_, month, day, clock, year] => (day, month, year, clock), // asctime
        _ => return None,
    };
    let month = MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(month))? as u64
        + 1;
    let mut year: u64 = year.parse().ok()?;
    if year < 100 {
        // RFC 850: two digits. The right century depends on the clock; a fixed
        // bound is simpler.
        year += if year < 70 { 2000 } else { 1900 };
    }
    let day: u64 = day.parse().ok()?;
    let clock: Result<Vec<u64>, _> = clock.split(':').map(str::parse).collect();
    let [h, m, s] = clock.ok()?[..] else {
        return None;
    };
    let sane = (1970..=9999).contains(&year) && (1..=31).contains(&day);
    if !sane || h > 23 || m > 59 || s > 60 {
        return None;
    }
    Some((days_to(year, month) + day - 1) * 86_400 + h * 3600 + m * 60 + s)
}
