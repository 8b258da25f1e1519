//! What differs between staging and production, and which of it matters?
//!
//! First a line-by-line comparison of the two: it lists everything, so that nobody
//! reads it. Then the report. A difference is expected if a rule with a reason says
//! so, until a date. What must *differ* is checked too: equal credentials are a
//! finding. So are a rule that has run out, and one that nothing needs any more.
//!
//! Simplified: versions, settings and flags are a list here; a real collector asks
//! the machines. Schemas and row counts are read from two SQLite databases.

use rusqlite::{Connection, Result};
use std::collections::{BTreeMap, BTreeSet};

type Snapshot = BTreeMap<String, String>;
type Day = u32;

// ANCHOR: expect
/// One rule of the allowlist. The first rule that fits a name decides.
struct Expect {
    /// A name, or the start of names if it ends in `*`.
    what: &'static str,
    how: How,
    because: &'static str,
    until: Day,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// May differ, or be missing on one side.
    MayDiffer,
    /// Has to: a credential that both sides share opens production from staging.
    MustDiffer,
    /// Numbers: staging has at least this part of production's, in percent.
    AtLeastPercent(u64),
}

impl Expect {
    fn fits(&self, name: &str) -> bool {
        match self.what.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.what,
        }
    }

    /// Why this is a finding after all; `None` if the rule is content.
    fn objects(&self, left: Option<&str>, right: Option<&str>) -> Option<String> {
        match self.how {
            How::MayDiffer => None,
            How::MustDiffer => (left == right).then(|| "equal, must differ".into()),
            How::AtLeastPercent(least) => {
                let number = |side: Option<&str>| side?.parse::<u64>().ok();
                let (Some(staging), Some(production)) =
                    (number(left), number(right))
                else {
                    return Some("not two numbers".into());
                };
                let percent = staging * 100 / production.max(1);
                (percent < least).then(|| format!("{percent} %, want {least} %"))
            }
        }
    }
}
// ANCHOR_END: expect

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Drift { name: String, what: String },
    Expired { name: String, because: &'static str },
    Unused { rule: &'static str },
}

// ANCHOR: report
/// Sorted, so that two reports of two days can be compared.
fn report(
    staging: &Snapshot,
    production: &Snapshot,
    rules: &[Expect],
    today: Day,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    let names: BTreeSet<&String> = staging.keys().chain(production.keys()).collect();
    for name in names {
        let [left, right] =
            [staging, production].map(|side| side.get(name).map(String::as_str));
        let rule = rules.iter().find(|rule| rule.fits(name));
        let differs = left != right;
        let what = match rule {
            Some(rule) if differs || rule.how == How::MustDiffer => {
                used.insert(rule.what);
                let objection = rule.objects(left, right);
                if objection.is_none() && today > rule.until {
                    let (name, because) = (name.clone(), rule.because);
                    findings.push(Finding::Expired { name, because });
                }
                objection
            }
            None if differs => Some(match (left, right) {
                (None, _) => "only in production".into(),
                (_, None) => "only in staging".into(),
                (Some(left), Some(right)) => format!("{left}, production {right}"),
            }),
            _ => None,
        };
        let drift = |what| Finding::Drift {
            name: name.clone(),
            what,
        };
        findings.extend(what.map(drift));
    }
    let unused = rules.iter().filter(|rule| !used.contains(rule.what));
    findings.extend(unused.map(|rule| Finding::Unused { rule: rule.what }));
    findings.sort();
    findings
}
// ANCHOR_END: report

// ANCHOR: schema
/// Tables, columns, indexes and row counts, asked of the database itself: what the
/// migrations should have done is another question.
fn schema(db: &Connection) -> Result<Snapshot> {
    let mut found = Snapshot::new();
    let query = "SELECT m.name || '.' || c.name, c.type || CASE c.\"notnull\"
        WHEN 1 THEN ' not null' ELSE '' END
        FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'
        UNION ALL SELECT tbl_name || '.' || name, 'index' FROM sqlite_schema
        WHERE type = 'index' AND sql IS NOT NULL";
    let mut select = db.prepare(query)?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let (name, kind): (String, String) = row?;
        found.insert(format!("schema.{name}"), kind);
    }
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut select = db.prepare(tables)?;
    for table in select.query_map([], |row| row.get(0))? {
        let table: String = table?;
        let query = format!("SELECT count(*) FROM \"{table}\"");
        let count: i64 = db.query_row(&query, [], |row| row.get(0))?;
        found.insert(format!("rows.{table}"), count.to_string());
    }
    Ok(found)
}
// ANCHOR_END: schema

fn environment(name: &str, rest: &[(&str, &str)], sql: &str) -> Result<Snapshot> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(sql)?;
    let mut snapshot = schema(&db)?;
    for service in ["shop", "mail", "search"] {
        let host = format!("{service}.{name}.example");
        snapshot.insert(format!("host.{service}"), host);
        // Of a credential only a fingerprint is collected.
        let print = format!("{:04x}", name.len() * 4_099 + service.len());
        snapshot.insert(format!("credential.{service}"), print);
    }
    for (key, value) in rest {
        snapshot.insert(key.to_string(), value.to_string());
    }
    Ok(snapshot)
}

fn staging() -> Result<Snapshot> {
    let rest = [
        ("credential.search", "9b1e"),
        ("flag.new_checkout", "on"),
        ("setting.db.timeout_s", "60"),
        ("setting.db.pool", "5"),
        ("version.postgres", "16.9"),
        ("version.shop", "412"),
    ];
    let sql = "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER,
            note TEXT);
        CREATE INDEX by_customer ON purchase (customer);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
        INSERT INTO purchase SELECT i, i, '' FROM n;";
    environment("staging", &rest, sql)
}

fn production() -> Result<Snapshot> {
    let rest = [
        ("credential.search", "9b1e"),
        ("flag.new_checkout", "off"),
        ("flag.sale", "on"),
        ("setting.db.timeout_s", "5"),
        ("setting.db.pool", "50"),
        ("version.postgres", "15.13"),
        ("version.shop", "411"),
    ];
    let sql = "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER,
            note TEXT NOT NULL);
        WITH RECURSIVE n(i) AS
            (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
        INSERT INTO purchase SELECT i, i, '' FROM n;";
    environment("production", &rest, sql)
}

const RULES: [Expect; 7] = [
    rule("host.*", How::MayDiffer, "own hosts", 999),
    rule("credential.*", How::MustDiffer, "own credentials", 999),
    rule(
        "version.shop",
        How::MayDiffer,
        "staging is one release ahead",
        999,
    ),
    rule(
        "setting.db.pool",
        How::MayDiffer,
        "a tenth of the machines",
        999,
    ),
    rule(
        "rows.*",
        How::AtLeastPercent(10),
        "plans depend on size",
        999,
    ),
    rule(
        "flag.new_checkout",
        How::MayDiffer,
        "trial, ends on day 120",
        120,
    ),
    rule("version.search", How::MayDiffer, "upgrade under way", 200),
];

const fn rule(
    what: &'static str,
    how: How,
    because: &'static str,
    until: Day,
) -> Expect {
    Expect {
        what,
        how,
        because,
        until,
    }
}

fn main() -> Result<()> {
    let (staging, production) = (staging()?, production()?);
    let names: BTreeSet<_> = staging.keys().chain(production.keys()).collect();
    let differ = names
        .iter()
        .filter(|n| staging.get(**n) != production.get(**n));
    let findings = report(&staging, &production, &RULES, 130);
    println!("compared {} values: {} differ", names.len(), differ.count());
    println!("with the allowlist: {} findings\n", findings.len());
    for finding in findings {
        match finding {
            Finding::Drift { name, what } => println!("drift   {name:<28} {what}"),
            Finding::Expired { name, because } => {
                println!("expired {name:<28} {because}");
            }
            Finding::Unused { rule } => println!("unused  {rule}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(values: &[(&str, &str)]) -> Snapshot {
        let owned = values.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        owned.collect()
    }

    #[test]
    fn two_equal_environments_have_no_drift() {
        let one = staging().expect("a snapshot");
        assert_eq!(report(&one, &one, &[], 0), []);
    }

    #[test]
    fn without_rules_every_difference_is_drift_and_the_report_is_sorted() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut side = || {
                let names = (0..20).filter(|_| rng.bool()).collect::<Vec<u32>>();
                let value = |n| (format!("k{n}"), rng.u32(..2).to_string());
                names.into_iter().map(value).collect::<Snapshot>()
            };
            let (one, other) = (side(), side());
            let differ = |n: &u32| {
                let name = format!("k{n}");
                one.get(&name) != other.get(&name)
            };
            let slow = (0..20).filter(differ).count();
            let findings = report(&one, &other, &[], 0);
            assert_eq!(findings.len(), slow);
            assert!(findings.is_sorted());
        }
    }

    #[test]
    fn an_expected_difference_is_silent_until_its_day_and_a_finding_after() {
        let (one, other) = (snapshot(&[("a", "1")]), snapshot(&[("a", "2")]));
        let rules = [rule("a", How::MayDiffer, "trial", 120)];
        assert_eq!(report(&one, &other, &rules, 120), []);
        let expired = Finding::Expired {
            name: "a".into(),
            because: "trial",
        };
        assert_eq!(report(&one, &other, &rules, 121), [expired]);
    }

    #[test]
    fn credentials_that_are_equal_are_drift() {
        let one = snapshot(&[("credential.db", "77aa")]);
        let rules = [rule("credential.*", How::MustDiffer, "own", 999)];
        let name = "credential.db".into();
        let what = "equal, must differ".into();
        assert_eq!(
            report(&one, &one, &rules, 0),
            [Finding::Drift { name, what }]
        );
    }

    #[test]
    fn too_few_rows_are_drift_and_enough_are_not() {
        let rules = [rule("rows.*", How::AtLeastPercent(10), "size", 999)];
        let of = |n| {
            report(
                &snapshot(&[("rows.t", n)]),
                &snapshot(&[("rows.t", "9000")]),
                &rules,
                0,
            )
        };
        assert_eq!((of("900").len(), of("899").len()), (0, 1));
    }

    #[test]
    fn a_count_that_one_side_lacks_is_drift() {
        let rules = [rule("rows.*", How::AtLeastPercent(10), "size", 999)];
        let one = snapshot(&[("rows.t", "9000")]);
        assert_eq!(report(&one, &snapshot(&[]), &rules, 0).len(), 1);
        assert_eq!(report(&snapshot(&[]), &one, &rules, 0).len(), 1);
    }

    #[test]
    fn the_first_rule_that_fits_decides_so_one_for_everything_silences_all() {
        let (one, other) = (staging().expect("one"), production().expect("one"));
        let all = || rule("*", How::MayDiffer, "too much noise", 999);
        assert_eq!(report(&one, &other, &[all()], 130), []);
        let credentials = rule("credential.*", How::MustDiffer, "own", 999);
        let found = report(&one, &other, &[credentials, all()], 130);
        let name = "credential.search".into();
        let what = "equal, must differ".into();
        assert_eq!(found, [Finding::Drift { name, what }]);
    }

    #[test]
    fn a_finding_says_which_side_has_what() {
        let one = snapshot(&[("a", "1"), ("here", "x")]);
        let other = snapshot(&[("a", "2"), ("there", "x")]);
        let drift = |name: &str, what: &str| Finding::Drift {
            name: name.into(),
            what: what.into(),
        };
        let expected = [
            drift("a", "1, production 2"),
            drift("here", "only in staging"),
            drift("there", "only in production"),
        ];
        assert_eq!(report(&one, &other, &[], 0), expected);
    }

    #[test]
    fn a_rule_that_nothing_needs_is_reported() {
        let one = snapshot(&[("a", "1")]);
        let rules = [rule("a", How::MayDiffer, "once", 999)];
        assert_eq!(
            report(&one, &one, &rules, 0),
            [Finding::Unused { rule: "a" }]
        );
    }

    #[test]
    fn an_index_made_by_hand_and_a_missing_constraint_are_found_in_sorted_order() {
        let (one, other) = (staging().expect("one"), production().expect("one"));
        let found = report(&one, &other, &RULES, 130);
        assert!(found.is_sorted());
        let names = ["schema.purchase.by_customer", "schema.purchase.note"];
        for wanted in names {
            let is = |finding: &Finding| match finding {
                Finding::Drift { name, .. } => name == wanted,
                _ => false,
            };
            assert!(found.iter().any(is), "{wanted}");
        }
    }
}
