//! The same three log-ins as lines of text and as JSON objects, one a line.
//!
//! Look at the third line of each half: a user typed a line break into the name
//! field, and the text file says that root has logged in. The JSON file keeps it
//! inside a string. Then count what one question finds in each, and what each
//! level costs in a day.
//!
//! Simplified: time is given to each call, not read from a clock; the sink is a
//! vector of lines; a real logger also names the service, the host and the trace.

use serde_json::Value;
use std::fmt;

/// Milliseconds since midnight (UTC) of the one day on which all this happens.
#[derive(Clone, Copy)]
struct DayMs(u64);

impl fmt::Display for DayMs {
    /// RFC 3339 in UTC: sorts as text, and every tool reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.0 / 1_000, self.0 % 1_000);
        let (h, m, s) = (s / 3_600, s / 60 % 60, s % 60);
        write!(f, "2026-11-24T{h:02}:{m:02}:{s:02}.{ms:03}Z")
    }
}

// ANCHOR: level
/// In order: a logger that lets `Info` pass also lets `Warn` and `Error` pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Debug, // for whoever changes the code; off in production
    Info,  // an event that one may want to count
    Warn,  // went well, but look at it before it goes wrong
    Error, // an operation failed, and somebody should know
}
// ANCHOR_END: level

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

// ANCHOR: secret
/// `{:?}` does not print what is in here, `{}` does not compile, and it does not
/// become a log field. To use it you have to write `expose`.
struct Secret<T>(T);

impl<T> Secret<T> {
    fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
// ANCHOR_END: secret

// ANCHOR: json
/// No field is longer, so that no caller can fill the disk with one line.
const VALUE_CHARS_MAX: usize = 200;
const RESERVED: [&str; 3] = ["time", "level", "event"];

struct Json {
    least: Level,
    lines: Vec<String>,
}

impl Json {
    fn event(&mut self, at: DayMs, level: Level, name: &str, fields: &[Field]) {
        if level < self.least {
            return; // before anything is formatted: off must be cheap
        }
        let mut line = format!(
            r#"{{"time":"{at}","level":"{}","event":{}"#,
            level.name(),
            Value::from(name)
        );
        for (key, value) in fields {
            assert!(!RESERVED.contains(key), "{key} is the logger's own");
            let value = match value {
                Value::String(text) => text
                    .chars()
                    .take(VALUE_CHARS_MAX)
                    .collect::<String>()
                    .into(),
                other => other.clone(),
            };
            line += &format!(",{}:{value}", Value::from(*key));
        }
        self.lines.push(line + "}");
    }
}
// ANCHOR_END: json

const EIGHT: u64 = 8 * 3_600_000; // in the morning

type Field<'a> = (&'a str, Value);

// ANCHOR: text
struct Text {
    file: String,
}

impl Text {
    fn event(&mut self, at: DayMs, level: Level, message: &str) {
        self.file += &format!("{at} {} {message}\n", level.name());
    }
}
// ANCHOR_END: text

/// What a log-in tells both loggers.
fn login(text: &mut Text, json: &mut Json, request: u64, user: &str, ok: bool) {
    let at = DayMs(EIGHT + request * 7);
    let password = Secret("hunter2");
    let _checked = password.expose().len();
    let level = if ok { Level::Info } else { Level::Warn };
    let outcome = if ok { "ok" } else { "failed" };
    text.event(at, level, &format!("login {outcome} user={user}"));
    let fields = [
        ("request", request.into()),
        ("user", user.into()),
        ("password", format!("{password:?}").into()),
        ("ok", ok.into()),
    ];
    json.event(at, level, "login", &fields);
}

/// Who failed to log in as `user`, asked of each file.
fn failures(text: &Text, json: &Json, user: &str) -> (usize, usize) {
    let grep = |line: &&str| {
        line.contains("login failed") && line.contains(&format!("user={user}"))
    };
    let exact = |line: &&String| {
        let object: Value = serde_json::from_str(line).unwrap_or_default();
        object["event"] == "login" && object["ok"] == false && object["user"] == user
    };
    let found = text.file.lines().filter(grep).count();
    (found, json.lines.iter().filter(exact).count())
}

/// Lines and bytes of one request at each level: 1 error in 1,000 requests,
/// 1 warning in 50, one INFO and twelve DEBUG lines each.
fn cost_of(least: Level, requests: u64) -> (usize, usize) {
    let mut json = Json {
        least,
        lines: vec![],
    };
    for request in 0..requests {
        let at = DayMs(EIGHT + request);
        let mut say = |level, name: &str, value: Value| {
            json.event(
                at,
                level,
                name,
                &[("request", request.into()), ("v", value)],
            );
        };
        for step in 0..12 {
            say(Level::Debug, "step", step.into());
        }
        say(Level::Info, "answered", 200.into());
        if request % 50 == 0 {
            say(Level::Warn, "slow query", "412 ms".into());
        }
        if request % 1_000 == 0 {
            say(Level::Error, "answered", 500.into());
        }
    }
    let bytes = json.lines.iter().map(|line| line.len() + 1).sum();
    (json.lines.len(), bytes)
}

/// For the page: breaks a line behind commas.
fn fold(line: &str) -> String {
    let (mut folded, mut width) = (String::new(), 0);
    for part in line.split_inclusive(',') {
        let long = width + part.chars().count() > 68;
        folded += if long && width > 0 { "\n    " } else { "" };
        width = if long { 4 } else { width } + part.chars().count();
        folded += part;
    }
    folded
}

fn main() {
    let mut text = Text {
        file: String::new(),
    };
    let mut json = Json {
        least: Level::Info,
        lines: vec![],
    };
    login(&mut text, &mut json, 1, "bob", false);
    login(&mut text, &mut json, 2, "bobby", false);
    let typed = "x\n2026-11-24T08:00:00.022Z INFO login ok user=root";
    login(&mut text, &mut json, 3, typed, false);

    println!("text, 3 events:");
    print!("{}", text.file);
    println!("\nJSON, 3 lines (folded for this page):");
    json.lines
        .iter()
        .for_each(|line| println!("{}", fold(line)));
    let (grep, exact) = failures(&text, &json, "bob");
    println!("\nfailed log-ins of bob: text {grep}, JSON {exact}");

    println!("\nat 100 requests/s     lines/day      GB/day");
    for least in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
        let (lines, bytes) = cost_of(least, 1_000);
        let day = |n: usize| n * 100 * 86_400 / 1_000; // measured: 1,000 requests
        let (lines, gb) = (day(lines), day(bytes) as f64 / 1e9);
        println!("{:<17} {:>13} {:>11.3}", least.name(), lines, gb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (Text, Json) {
        let json = Json {
            least: Level::Debug,
            lines: vec![],
        };
        (
            Text {
                file: String::new(),
            },
            json,
        )
    }

    #[test]
    fn a_line_break_in_a_name_forges_a_line_of_text_and_none_of_json() {
        let (mut text, mut json) = both();
        let typed = "x\n2026-11-24T08:00:00.022Z INFO login ok user=root";
        login(&mut text, &mut json, 3, typed, false);
        let last = text.file.lines().last().unwrap_or_default();
        assert!(last.ends_with("INFO login ok user=root"));
        assert_eq!((text.file.lines().count(), json.lines.len()), (2, 1));
        assert!(!json.lines[0].contains('\n'));
    }

    #[test]
    fn whatever_a_user_types_stays_one_line_and_comes_back_as_typed() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..500 {
            let length = rng.usize(..40);
            let pool = ['\n', '\r', '\u{1b}', '\0', '"', '\\', 'a', 'é', '\t'];
            let typed: String = (0..length).map(|_| pool[rng.usize(..9)]).collect();
            let (_, mut json) = both();
            let fields = [("user", typed.clone().into())];
            json.event(DayMs(0), Level::Info, "login", &fields);
            assert!(!json.lines[0].chars().any(|c| c.is_ascii_control()));
            let back: Value = serde_json::from_str(&json.lines[0]).expect("JSON");
            assert_eq!(back["user"], typed.as_str());
        }
    }

    #[test]
    #[should_panic(expected = "level is the logger's own")]
    fn a_field_cannot_pass_for_the_level() {
        let fields = [("level", "DEBUG".into())];
        both().1.event(DayMs(0), Level::Error, "boom", &fields);
    }

    #[test]
    fn a_search_in_text_finds_bobby_too_and_a_query_of_a_field_does_not() {
        let (mut text, mut json) = both();
        login(&mut text, &mut json, 1, "bob", false);
        login(&mut text, &mut json, 2, "bobby", false);
        assert_eq!(failures(&text, &json, "bob"), (2, 1));
    }

    #[test]
    fn a_secret_is_printed_by_no_format() {
        let secret = Secret("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "[redacted] [redacted]");
        let (mut text, mut json) = both();
        login(&mut text, &mut json, 1, "bob", true);
        assert!(
            !json.lines[0].contains("hunter2") && !text.file.contains("hunter2")
        );
    }

    #[test]
    fn each_level_lets_itself_and_what_is_worse_pass() {
        let lines = |least| cost_of(least, 1_000).0;
        assert_eq!(lines(Level::Debug), 12_000 + 1_000 + 20 + 1);
        assert_eq!(lines(Level::Info), 1_000 + 20 + 1);
        assert_eq!(lines(Level::Warn), 20 + 1);
        assert_eq!(lines(Level::Error), 1);
    }

    #[test]
    fn no_value_is_longer_than_its_limit() {
        let (_, mut json) = both();
        let long = "é".repeat(10_000);
        json.event(DayMs(0), Level::Info, "x", &[("user", long.into())]);
        assert!(json.lines[0].chars().count() < VALUE_CHARS_MAX + 100);
    }

    #[test]
    fn time_stamps_sort_as_text_in_the_order_of_time() {
        assert_eq!(DayMs(0).to_string(), "2026-11-24T00:00:00.000Z");
        assert_eq!(DayMs(86_399_999).to_string(), "2026-11-24T23:59:59.999Z");
        let steps = (0..86_400_000)
            .step_by(61_007)
            .map(|ms| DayMs(ms).to_string());
        let times: Vec<String> = steps.collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
