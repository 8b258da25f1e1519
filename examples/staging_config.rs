//! Staging's nightly clean-up runs with production's credentials. Who notices?
//!
//! Settings come in three layers: defaults, a file, environment variables. Each
//! value remembers where it came from. Look at the matrix: a row is a way in which
//! staging comes to hold production's settings, a column is a guard, and a number
//! is what the job did to customers who exist: rows deleted + mails sent. A dash
//! is a job that started and met staging's own data only. A guard stops what it
//! can see, so each column stops one row more. No guard stops the last row: it
//! believes the environment's name, and that was copied too.
//!
//! Simplified: the secrets here are invented and printed in the source. Real ones
//! come from a secret store. A database is a line that says whose it is.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// A value that no log shows: `Debug` prints asterisks, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

// ANCHOR: secret
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// The one door, with a name that a reviewer can search for.
    fn expose(&self) -> &str {
        &self.0
    }

    /// `prod:mail:4f8c…`: for which environment, for what, and the random part.
    fn label(&self) -> &str {
        self.0.split(':').next().unwrap_or("")
    }

    /// Of the random part alone, so that a new label changes nothing. A plain hash
    /// will do for 128 random bits, and would not for a word that people choose.
    fn fingerprint(&self) -> String {
        let random = self.0.rsplit(':').next().unwrap_or("").trim();
        let hash = Sha256::digest(random.as_bytes());
        hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
// ANCHOR_END: secret

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(u32),
    Secret(Secret),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    File { name: String, line: usize },
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "variable {name}"),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number { max: u32 },
    Secret,
}

const POOL_CONNECTIONS_MAX: u32 = 100;
const KEYS: [(&str, Kind); 5] = [
    ("environment", Kind::Text),
    ("db.host", Kind::Text),
    ("db.password", Kind::Secret),
    ("mail.key", Kind::Secret),
    (
        "pool.size",
        Kind::Number {
            max: POOL_CONNECTIONS_MAX,
        },
    ),
];

type Config = BTreeMap<&'static str, (Value, Origin)>;

// ANCHOR: layers
/// Later layers win. Every mistake is reported, not only the first. None repeats
/// what a secret is set to, or a line that may be one.
fn load(
    defaults: &[(&str, &str)],
    (file, text): (&str, &str),
    variables: &[(&str, &str)],
) -> Result<Config, Vec<String>> {
    let (mut config, mut errors) = (Config::new(), Vec::new());
    let mut set = |key: &str, raw: &str, origin: Origin| match parse(key, raw) {
        Ok((key, value)) => drop(config.insert(key, (value, origin))),
        Err(why) => errors.push(format!("{origin}: {key}: {why}")),
    };
    for (key, raw) in defaults {
        set(key, raw, Origin::Default);
    }
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        let origin = Origin::File {
            name: file.into(),
            line: number + 1,
        };
        match line.split_once('=') {
            Some((key, raw)) => set(key.trim(), raw.trim(), origin),
            None if line.is_empty() => (),
            None => set("a line without =", "", origin),
        }
    }
    for (name, raw) in variables {
        if let Some(key) = name.strip_prefix("APP_") {
            let key = key.to_lowercase().replace('_', ".");
            set(&key, raw, Origin::Variable((*name).into()));
        }
    }
    for (key, _) in KEYS {
        if !config.contains_key(key) {
            errors.push(format!("{key}: set by no layer"));
        }
    }
    if errors.is_empty() {
        Ok(config)
    } else {
        Err(errors)
    }
}
// ANCHOR_END: layers

fn parse(key: &str, raw: &str) -> Result<(&'static str, Value), String> {
    let known = KEYS.into_iter().find(|(name, _)| *name == key);
    let (key, kind) = known.ok_or("no such setting")?;
    let value = match kind {
        _ if raw.is_empty() => return Err("has no value".into()),
        Kind::Text => Value::Text(raw.into()),
        Kind::Secret => Value::Secret(Secret(raw.into())),
        Kind::Number { max } => match raw.parse() {
            Ok(number) if number <= max => Value::Number(number),
            Ok(number) => return Err(format!("{number} is more than {max}")),
            Err(_) => return Err(format!("`{raw}` is not a whole number")),
        },
    };
    Ok((key, value))
}

fn text<'a>(config: &'a Config, key: &str) -> &'a str {
    match config.get(key) {
        Some((Value::Text(text), _)) => text,
        Some((Value::Secret(secret), _)) => secret.expose(),
        _ => "",
    }
}

/// What exists outside: hosts, and whose database answers there.
struct World {
    hosts: Vec<(&'static str, &'static str)>,
    rows_deleted: u32,
    mails_sent: u32,
}

const ROWS: u32 = 120;
const REMINDERS: u32 = 40;
const PROD_MAIL: &str = "prod:mail:4f8c1d20a97be635";
const PROD_DB: &str = "prod:db:91d2e07f5ab34c68";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Guard {
    None,
    Label,
    Fingerprint,
    Marker,
}

// ANCHOR: guard
/// Runs before the first connection, except for the last question, which only the
/// database itself can answer.
fn guard(config: &Config, guard: Guard, world: &World) -> Result<(), Vec<String>> {
    let here = text(config, "environment");
    let mut reasons = Vec::new();
    for (key, (value, origin)) in config {
        let Value::Secret(secret) = value else {
            continue;
        };
        let label = secret.label();
        let known = PRODUCTION.contains(&secret.fingerprint().as_str());
        if guard >= Guard::Label && label != short(here) {
            reasons.push(format!("{key} ({origin}) is labelled `{label}`"));
        } else if guard >= Guard::Fingerprint && known && here != "production" {
            reasons.push(format!("{key} ({origin}) is one of production's"));
        }
    }
    if guard >= Guard::Marker && reasons.is_empty() {
        let host = text(config, "db.host");
        let says = world.hosts.iter().find(|(name, _)| *name == host);
        let says = says.map_or("nothing", |(_, environment)| environment);
        if says != here {
            reasons.push(format!("the database at {host} says `{says}`"));
        }
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(reasons)
    }
}
// ANCHOR_END: guard

/// Fingerprints of production's credentials, as a file in the repository has them.
const PRODUCTION: [&str; 2] = ["5105fcc4a942d9e3", "bac29fdd680ece52"];

fn short(environment: &str) -> &str {
    environment.get(..4).unwrap_or(environment)
}

/// Deletes rows older than a month and reminds their owners.
fn nightly_job(config: &Config, world: &mut World) {
    let host = text(config, "db.host");
    if world.hosts.contains(&(host, "production")) {
        world.rows_deleted += ROWS;
    }
    if text(config, "mail.key").ends_with("4f8c1d20a97be635") {
        world.mails_sent += REMINDERS;
    }
}

const UNSAFE_DEFAULTS: &[(&str, &str)] = &[
    ("db.host", "db.prod.example"),
    ("db.password", PROD_DB),
    ("mail.key", PROD_MAIL),
    ("pool.size", "10"),
];
const DEFAULTS: &[(&str, &str)] = &[("pool.size", "10")];
const GOOD: &str = "environment = staging
db.host     = db.stag.example
db.password = stag:db:77aa01c3e95d2b40
mail.key    = stag:mail:c0ffee5512ab9d31
";

type Leak = (
    &'static str,
    &'static [(&'static str, &'static str)],
    String,
);
fn leaks() -> Vec<Leak> {
    let relabelled = PROD_MAIL.replace("prod:", "stag:");
    vec![
        ("none", DEFAULTS, GOOD.into()),
        (
            "defaults are production's",
            UNSAFE_DEFAULTS,
            GOOD[..22].into(),
        ),
        ("key copied, label changed", DEFAULTS, {
            GOOD.replace("stag:mail:c0ffee5512ab9d31", &relabelled)
        }),
        ("host points elsewhere", DEFAULTS, {
            GOOD.replace("db.stag.example", "db-copy.example")
        }),
        ("all copied, the name too", DEFAULTS, {
            let all = [
                ("environment", "production"),
                ("db.host", "db.prod.example"),
                ("db.password", PROD_DB),
                ("mail.key", PROD_MAIL),
            ];
            all.map(|(key, value)| format!("{key} = {value}\n"))
                .concat()
        }),
    ]
}

fn attempt(leak: &Leak, which: Guard) -> (Result<(), Vec<String>>, World) {
    let hosts = vec![
        ("db.stag.example", "staging"),
        ("db.prod.example", "production"),
        ("db-copy.example", "production"), // promoted last week
    ];
    let mut world = World {
        hosts,
        rows_deleted: 0,
        mails_sent: 0,
    };
    let config = load(leak.1, ("staging.conf", &leak.2), &[]);
    let verdict = config.and_then(|config| {
        guard(&config, which, &world)?;
        nightly_job(&config, &mut world);
        Ok(())
    });
    (verdict, world)
}

fn main() {
    let guards = [Guard::None, Guard::Label, Guard::Fingerprint, Guard::Marker];
    println!("rows + mails              no guard    label  fingerpr.   marker\n");
    for leak in leaks() {
        print!("{:<25}", leak.0);
        for which in guards {
            let (verdict, world) = attempt(&leak, which);
            let harm = (world.rows_deleted, world.mails_sent);
            let cell = match (verdict, harm) {
                (Err(_), _) => "refused".into(),
                (Ok(()), (0, 0)) => "-".into(),
                (Ok(()), (rows, mails)) => format!("{rows} + {mails}"),
            };
            print!(" {cell:>9}");
        }
        println!();
    }
    println!("\nWhat a refusal says:\n");
    for leak in leaks() {
        for reason in attempt(&leak, Guard::Marker).0.err().into_iter().flatten() {
            println!("  {reason}");
        }
    }
    println!("\nWhat a mistake says:\n");
    let wrong = format!("{GOOD}db.hots = x\npool.size = ten\nmail.key =\n");
    let variables = [("APP_POOL_SIZE", "500")];
    let errors = load(DEFAULTS, ("staging.conf", &wrong), &variables);
    for error in errors.err().into_iter().flatten() {
        println!("  {error}");
    }
    println!("\nWhat is in force:\n");
    let config = load(DEFAULTS, ("staging.conf", GOOD), &[("APP_POOL_SIZE", "20")]);
    for (key, (value, origin)) in config.unwrap_or_default() {
        let value = match value {
            Value::Text(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Secret(secret) => format!("{secret:?}"),
        };
        println!("  {key:<12} {value:<16} {origin}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(variables: &[(&str, &str)]) -> Config {
        load(DEFAULTS, ("staging.conf", GOOD), variables).expect("a good file")
    }

    #[test]
    fn a_later_layer_wins_and_the_value_remembers_which() {
        let size = |config: Config| config["pool.size"].clone();
        assert_eq!(size(good(&[])), (Value::Number(10), Origin::Default));
        let with_file = format!("{GOOD}pool.size = 15 # more\n");
        let file = load(DEFAULTS, ("staging.conf", &with_file), &[]);
        let origin = Origin::File {
            name: "staging.conf".into(),
            line: 5,
        };
        assert_eq!(size(file.expect("good")), (Value::Number(15), origin));
        let name = "APP_POOL_SIZE";
        let both = load(DEFAULTS, ("staging.conf", &with_file), &[(name, "20")]);
        let origin = Origin::Variable(name.into());
        assert_eq!(size(both.expect("good")), (Value::Number(20), origin));
    }

    #[test]
    fn an_error_names_key_layer_and_line_and_all_come_at_once() {
        let wrong = "db.hots = x\n\npool.size = ten\nmail.key =\n";
        let errors = load(&[], ("s.conf", wrong), &[("APP_POOL_SIZE", "101")]);
        let errors = errors.expect_err("four mistakes");
        assert_eq!(errors[0], "s.conf:1: db.hots: no such setting");
        assert_eq!(
            errors[1],
            "s.conf:3: pool.size: `ten` is not a whole number"
        );
        assert_eq!(errors[2], "s.conf:4: mail.key: has no value");
        let variable = "variable APP_POOL_SIZE: pool.size: 101 is more than 100";
        assert_eq!(errors[3], variable);
        assert!(errors.contains(&"db.host: set by no layer".into()));
    }

    #[test]
    fn a_secret_is_printed_as_asterisks_wherever_it_stands() {
        let printed = format!("{:?}", good(&[]));
        assert!(printed.contains("***"));
        assert!(!printed.contains("c0ffee") && !printed.contains("77aa01"));
    }

    #[test]
    fn no_error_repeats_a_secret_not_even_where_the_equals_sign_is_missing() {
        for wrong in ["mail.key stag:mail:c0ffee", "db.password = c0ffee\nx"] {
            let errors = load(&[], ("s.conf", wrong), &[]).expect_err("mistakes");
            assert!(!errors.concat().contains("c0ffee"), "{errors:?}");
            assert!(errors
                .concat()
                .contains("a line without =: no such setting"));
        }
    }

    #[test]
    fn the_unguarded_job_deletes_rows_and_mails_customers_of_production() {
        let (verdict, world) = attempt(&leaks()[1], Guard::None);
        assert_eq!(verdict, Ok(()));
        assert_eq!((world.rows_deleted, world.mails_sent), (ROWS, REMINDERS));
    }

    #[test]
    fn each_guard_stops_one_leak_more_and_none_stops_the_good_file_or_a_false_name()
    {
        let stopped = |which| {
            let refused = |leak: &Leak| attempt(leak, which).0.is_err();
            leaks().iter().map(refused).collect::<Vec<bool>>()
        };
        assert_eq!(stopped(Guard::None), [false; 5]);
        assert_eq!(stopped(Guard::Label), [false, true, false, false, false]);
        assert_eq!(
            stopped(Guard::Fingerprint),
            [false, true, true, false, false]
        );
        assert_eq!(stopped(Guard::Marker), [false, true, true, true, false]);
        let (_, world) = attempt(&leaks()[4], Guard::Marker);
        assert_eq!((world.rows_deleted, world.mails_sent), (ROWS, REMINDERS));
    }

    #[test]
    fn a_new_label_and_a_space_do_not_hide_a_known_credential() {
        let known = Secret(PROD_MAIL.into()).fingerprint();
        let random = PROD_MAIL.rsplit(':').next().expect("a random part");
        for disguise in ["stag:mail:", "test:", ""] {
            let secret = Secret(format!("{disguise}{random} "));
            assert_eq!(secret.fingerprint(), known);
        }
        assert!(PRODUCTION.contains(&known.as_str()));
        assert!(PRODUCTION.contains(&Secret(PROD_DB.into()).fingerprint().as_str()));
    }

    #[test]
    fn a_key_that_is_encoded_differently_is_not_recognised() {
        let upper = PROD_MAIL.to_uppercase();
        assert_ne!(
            Secret(upper).fingerprint(),
            Secret(PROD_MAIL.into()).fingerprint()
        );
    }

    #[test]
    fn production_may_use_its_own_credentials() {
        let file = GOOD
            .replace("staging", "production")
            .replace("stag", "prod");
        let file = file.replace("c0ffee5512ab9d31", "4f8c1d20a97be635");
        let leak: Leak = ("production", DEFAULTS, file);
        assert_eq!(attempt(&leak, Guard::Marker).0, Ok(()));
    }
}
