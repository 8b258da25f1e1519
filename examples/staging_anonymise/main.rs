//! A copy of production's database that works like it and shows nobody's values.
//!
//! Look at the two rows first, then at the counts: what the application joins,
//! groups and measures is the same before and after. Amounts are within 5 %. Last
//! comes what was tried first on free text, and how often it overlooks a person.
//!
//! The pseudonyms, the rules and the copy are in `copy.rs`.
//! Simplified: SQLite in memory, three tables, people invented. Two customers could
//! get the same pseudonym by chance; then a UNIQUE constraint stops the copy. By
//! chance, too, a made-up word can be somebody's name; that discloses nothing.

mod copy;
mod invented;

use copy::{cells, copy, plain, Failure, Key, Rule, RULES};
use invented::{empty, production};
use rusqlite::Connection;

// ANCHOR: counts
/// What the application depends on, as questions with the same answer.
const COUNTS: [(&str, &str); 6] = [
    (
        "purchases joined by key",
        "SELECT count(*) FROM purchase p JOIN customer c ON c.id = p.customer",
    ),
    (
        "tickets joined by e-mail",
        "SELECT count(*) FROM ticket JOIN customer USING (email)",
    ),
    (
        "largest customer's purchases",
        "SELECT max(n) FROM (SELECT count(*) AS n FROM purchase GROUP BY customer)",
    ),
    (
        "purchases by city",
        "SELECT group_concat(n, ' ') FROM (SELECT count(*) AS n FROM purchase p
         JOIN customer c ON c.id = p.customer GROUP BY city ORDER BY n)",
    ),
    (
        "customers by mail domain",
        "SELECT group_concat(n, ' ') FROM (SELECT count(*) AS n FROM customer
         GROUP BY substr(email, instr(email, '@')) ORDER BY n)",
    ),
    (
        "days from first to last, sum",
        "SELECT sum(d) FROM (SELECT max(day) - min(day) AS d FROM purchase
         GROUP BY customer)",
    ),
];
// ANCHOR_END: counts

fn ask(db: &Connection, query: &str) -> Result<String, Failure> {
    Ok(plain(Some(&db.query_row(query, [], |row| row.get(0))?)))
}

/// The amount that `percent` of the purchases do not exceed.
fn quantile(db: &Connection, percent: u32) -> Result<i64, Failure> {
    let query = "SELECT cents FROM purchase ORDER BY cents LIMIT 1 OFFSET
        (SELECT (count(*) - 1) * ?1 / 100 FROM purchase)";
    Ok(db.query_row(query, [percent], |row| row.get(0))?)
}

// ANCHOR: scrub
/// What was tried first on free text: strike out each value that a table knows.
fn scrub(body: &str, known: &[String]) -> String {
    known.iter().fold(body.into(), |text: String, value| {
        text.replace(value, "[...]")
    })
}
// ANCHOR_END: scrub

/// Everything in the tables that points at one person.
fn identifying(db: &Connection) -> Result<Vec<String>, Failure> {
    let columns = [
        "customer.id",
        "customer.name",
        "customer.email",
        "customer.phone",
    ];
    let of = |(column, value): (String, String)| {
        columns.contains(&column.as_str()).then_some(value)
    };
    Ok(cells(db)?.into_iter().filter_map(of).collect())
}

/// Does this text still say who wrote it: by a name or part of one, in any case, by
/// an address, or by a number, also one that no table knows?
fn points_at_somebody(text: &str, known: &[String]) -> bool {
    let text = text.to_lowercase();
    let words = |text: &str| -> Vec<String> {
        let letters = |c: char| !c.is_alphanumeric();
        text.to_lowercase()
            .split(letters)
            .map(String::from)
            .collect()
    };
    let names = known.iter().filter(|value| value.contains(' '));
    let parts: Vec<String> = names.flat_map(|name| words(name)).collect();
    let named = |word: &String| {
        word.len() >= 3 && parts.iter().any(|part| part.starts_with(word))
    };
    known
        .iter()
        .any(|value| text.contains(&value.to_lowercase()))
        || words(&text).iter().any(named)
        || text.contains("0316-555")
}

fn bodies(db: &Connection) -> Result<Vec<String>, Failure> {
    let of =
        |(column, body): (String, String)| (column == "ticket.body").then_some(body);
    Ok(cells(db)?.into_iter().filter_map(of).collect())
}

fn main() -> Result<(), Failure> {
    let (from, to) = (production(300, 1)?, empty()?);
    let key = Key(b"a key that stays outside staging");
    copy(&from, &to, &key)?;

    let one = "SELECT concat_ws('|', customer.id, name, email, phone, body) FROM
        customer JOIN ticket USING (email) WHERE customer.id = ";
    let id = 7_000_000 + 10;
    let new = key.number("customer", &id.to_string()) % 1_000_000_000_000_000;
    let (old, new) = (
        ask(&from, &format!("{one}{id}")),
        ask(&to, &format!("{one}{new}")),
    );
    for (field, (old, new)) in old?.split('|').zip(new?.split('|')).enumerate() {
        let field = ["id", "name", "e-mail", "phone", "ticket"][field];
        println!("{field:<7} {old}\n     -> {new}");
    }
    for (table, column, rule) in RULES {
        if let Rule::Keep(because) = rule {
            println!("kept: {table}.{column} ({because})");
        }
    }
    println!("\n{:<30} {:>12} {:>12}", "", "production", "staging");
    for (question, query) in COUNTS {
        let (old, new) = (ask(&from, query)?, ask(&to, query)?);
        println!("{question:<30} {old:>12} {new:>12}");
    }
    for percent in [50, 90] {
        let (old, new) = (quantile(&from, percent)?, quantile(&to, percent)?);
        println!("cents, {percent} % are below {:>20} {new:>12}", old);
    }
    let (known, tickets) = (identifying(&from)?, bodies(&from)?);
    let telling = |texts: &[String]| {
        let telling = texts.iter().filter(|text| points_at_somebody(text, &known));
        telling.count()
    };
    let scrubbed: Vec<_> = tickets.iter().map(|body| scrub(body, &known)).collect();
    println!("\ntickets that tell who wrote them");
    println!("  as written {:>28}", telling(&tickets));
    println!("  known values struck out {:>15}", telling(&scrubbed));
    println!("  filler {:>32}", telling(&bodies(&to)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use copy::{apply, Row};
    use rusqlite::types::Value;
    use std::collections::BTreeSet;

    const KEY: Key = Key(b"one key");

    fn pair(seed: u64, key: &Key) -> (Connection, Connection) {
        let customers = 20 + (seed % 30) as i64;
        let from = production(customers, seed).expect("a database");
        let to = empty().expect("a database");
        copy(&from, &to, key).expect("a copy");
        (from, to)
    }

    #[test]
    fn no_original_value_survives_in_any_column_that_is_not_kept_on_purpose() {
        for seed in 0..25 {
            let (from, to) = pair(seed, &KEY);
            let known = identifying(&from).expect("cells");
            for (column, cell) in cells(&to).expect("cells") {
                if column != "customer.city" {
                    assert!(!points_at_somebody(&cell, &known), "{column}: {cell}");
                    assert!(!known.contains(&cell), "{column}: {cell}");
                }
            }
            let [old, new] = [&from, &to].map(|db| cells(db).expect("cells"));
            // Days and amounts move a little, so one may land on another's.
            let little = ["customer.city", "purchase.day", "purchase.cents"];
            let old: BTreeSet<_> = old.into_iter().map(|(_, cell)| cell).collect();
            for (column, cell) in new {
                let survives = old.contains(&cell);
                assert!(
                    little.contains(&column.as_str()) || !survives,
                    "{column}: {cell}"
                );
            }
        }
        let kept = |rule: &&(&str, &str, Rule)| matches!(rule.2, Rule::Keep(_));
        assert_eq!(RULES.iter().filter(kept).count(), 1);
    }

    #[test]
    fn every_day_and_every_amount_changes_and_an_amount_by_at_most_5_percent() {
        let mut rng = fastrand::Rng::with_seed(7);
        for id in 0..2_000 {
            let row = Row::from([("id".into(), Value::Integer(id))]);
            let cents = rng.i64(0..if id % 2 == 0 { 5 } else { 100_000 });
            let rule = Rule::Jitter { row: "id" };
            let new = apply(rule, &KEY, &Value::Integer(cents), &row);
            let Value::Integer(new) = new else {
                panic!("no number: {new:?}")
            };
            assert!(new != cents && new >= 0, "{cents} -> {new}");
            assert!(
                (new - cents).abs() <= (cents / 20).max(1),
                "{cents} -> {new}"
            );
            let rule = Rule::ShiftDays { customer: "id" };
            assert_ne!(
                apply(rule, &KEY, &Value::Integer(9), &row),
                Value::Integer(9)
            );
        }
    }

    #[test]
    fn joins_groups_and_intervals_count_the_same() {
        for seed in 0..25 {
            let (from, to) = pair(seed, &KEY);
            for (question, query) in COUNTS {
                let [old, new] =
                    [&from, &to].map(|db| ask(db, query).expect("rows"));
                assert_eq!(old, new, "seed {seed}: {question}");
            }
            let broken = "SELECT count(*) FROM pragma_foreign_key_check";
            assert_eq!(ask(&to, broken).expect("a count"), "0");
        }
    }

    #[test]
    fn every_quantile_of_the_amounts_stays_within_5_percent() {
        let (from, to) = pair(29, &KEY);
        for percent in (0..=100).step_by(10) {
            let [old, new] =
                [&from, &to].map(|db| quantile(db, percent).expect("one"));
            assert!((new - old).abs() * 20 <= old, "{percent} %: {old} -> {new}");
        }
    }

    #[test]
    fn the_same_input_and_key_give_the_same_output_and_another_key_none_of_it() {
        let [(_, one), (_, same)] = [pair(3, &KEY), pair(3, &KEY)];
        let [one, same] = [one, same].map(|db| cells(&db).expect("cells"));
        assert_eq!(one, same);
        let (_, other) = pair(3, &Key(b"another key"));
        let other = identifying(&other).expect("cells");
        let of_one = one.iter().map(|(_, cell)| cell);
        assert_eq!(of_one.filter(|cell| other.contains(cell)).count(), 0);
    }

    #[test]
    fn pseudonyms_pass_the_checks_of_the_application() {
        let (_, to) = pair(5, &KEY);
        for (column, cell) in cells(&to).expect("cells") {
            let valid = match column.as_str() {
                "customer.id" => cell.parse::<u64>().is_ok_and(|id| id < 1 << 53),
                "customer.email" => cell.matches('@').count() == 1,
                "customer.phone" => {
                    let digits = cell.strip_prefix('+').unwrap_or("");
                    digits.len() == 11 && digits.bytes().all(|b| b.is_ascii_digit())
                }
                "customer.name" => cell.len() == 11 && cell.contains(' '),
                _ => true,
            };
            assert!(valid, "{column}: {cell}");
        }
    }

    #[test]
    fn what_differed_before_differs_after_also_two_mail_domains() {
        let (from, to) = (production(400, 8).expect("one"), empty().expect("one"));
        copy(&from, &to, &KEY).expect("a copy");
        for column in ["id", "name", "email", "phone"] {
            let query = format!("SELECT count(DISTINCT {column}) FROM customer");
            let [old, new] = [&from, &to].map(|db| ask(db, &query).expect("one"));
            assert_eq!(old, new, "{column}");
        }
        let [old, new] = [&from, &to].map(|db| bodies(db).expect("bodies"));
        let different = |texts: Vec<String>| BTreeSet::from_iter(texts).len();
        assert_eq!(different(old), different(new));
        let domains = (0..100).map(|n| KEY.email(&format!("a@{n}.example")));
        let domains = domains.map(|email| email.split('@').skip(1).collect());
        assert_eq!(different(domains.collect()), 100);
    }

    #[test]
    fn kinds_are_kept_apart_also_where_their_ends_meet() {
        assert_ne!(KEY.number("customer", "7"), KEY.number("purchase", "7"));
        assert_ne!(KEY.number("ab", "c"), KEY.number("a", "bc"));
    }

    #[test]
    fn pseudonyms_of_addresses_and_numbers_are_such_as_nobody_has() {
        let (_, to) = pair(5, &KEY);
        for (column, cell) in cells(&to).expect("cells") {
            let nobodys = match column.as_str() {
                "customer.email" | "ticket.email" => cell.ends_with(".test"),
                "customer.phone" => ["+490", "+430"].contains(&&cell[..4]),
                _ => true,
            };
            assert!(nobodys, "{column}: {cell}");
        }
    }

    #[test]
    fn a_number_of_a_country_that_nobody_looked_up_stops_the_copy() {
        let (from, to) = (production(9, 1).expect("one"), empty().expect("one"));
        let move_one = "UPDATE customer SET phone = '+39061234567'
            WHERE id = (SELECT max(id) FROM customer)";
        from.execute_batch(move_one).expect("a Roman number");
        assert!(copy(&from, &to, &KEY).is_err());
        assert_eq!(cells(&to).expect("cells"), []);
    }

    #[test]
    fn a_column_without_a_rule_stops_the_copy_and_nothing_is_copied() {
        let (from, to) = (production(9, 1).expect("one"), empty().expect("one"));
        let add = "ALTER TABLE ticket ADD COLUMN iban TEXT";
        from.execute_batch(add).expect("a column");
        let refused = copy(&from, &to, &KEY).expect_err("no rule");
        assert_eq!(
            refused.to_string(),
            "no rule for ticket.iban: nothing copied"
        );
        assert_eq!(cells(&to).expect("cells"), []);
    }

    #[test]
    fn a_pseudonym_that_is_taken_stops_the_copy() {
        let (from, to) = (production(9, 1).expect("one"), empty().expect("one"));
        let taken =
            KEY.email(&ask(&from, "SELECT email FROM customer").expect("one"));
        let insert = "INSERT INTO customer VALUES (1, 'n', ?1, 'p', 'c')";
        to.execute(insert, [taken]).expect("a row");
        assert!(copy(&from, &to, &KEY).is_err());
    }

    #[test]
    fn striking_out_known_values_overlooks_people_and_filler_does_not() {
        let (from, to) = pair(29, &KEY);
        let known = identifying(&from).expect("cells");
        let written = bodies(&from).expect("bodies");
        let tells = |body: &String| points_at_somebody(body, &known);
        assert!(written.iter().all(tells));
        let scrubbed = written.iter().map(|body| scrub(body, &known));
        assert!(scrubbed.filter(tells).count() * 2 > written.len());
        assert!(!bodies(&to).expect("bodies").iter().any(tells));
    }
}
