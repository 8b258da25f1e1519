//! What the cache reads and writes: headers, requests, responses, directives and
//! dates. Section numbers are RFC 9110's unless another one is named.

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
    /// Commas inside quotes do not separate: `private="a, b", max-age=5`.
    pub fn parse(text: &str) -> Directives {
        let mut quoted = false;
        let comma = |c: char| {
            quoted ^= c == '"';
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
    /// number counts as 0, which is stale (RFC 9111, 4.2.1); one that is too
    /// large counts as 2^31 (1.2.2).
    pub fn seconds(&self, name: &str) -> Option<Seconds> {
        let digits = self.argument(name)?.unwrap_or("");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Some(0);
        }
        Some(digits.parse().unwrap_or(INFINITE_S).min(INFINITE_S))
    }
}

/// What stands for "too large a number of seconds" (RFC 9111, 1.2.2): 68 years.
pub const INFINITE_S: Seconds = 1 << 31;

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
        year += if year < 70 { 2000 } else { 1900 }; // RFC 850: two digits
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
