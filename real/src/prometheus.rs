//! Prometheus on loopback, and the questions of its HTTP API that the book asks.
//!
//! It scrapes every 200 ms and evaluates its rules as often, so that seconds are
//! enough for what takes minutes in production; its data lies in the server's
//! folder. `real/config/monitoring/prometheus.yml` is the head of its
//! configuration; the targets are added to it here.
//!
//! May know of `launch`, `http` and `program`; not of what is scraped.
//!
//! Deliberately absent: an Alertmanager. What fires is read from Prometheus itself.

use crate::http;
use crate::launch::{http_answers, Launch, Server};
use crate::program::PROMETHEUS;
use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

const CONFIG: &str = include_str!("../config/monitoring/prometheus.yml");

/// What is scraped under one name.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The value of the label `job`.
    pub name: &'a str,
    /// Where `/metrics` is asked for; each is the value of a label `instance`.
    pub targets: &'a [SocketAddr],
    /// How many samples a scrape may bring; a longer answer is refused whole.
    pub samples_max: Option<usize>,
}

impl<'a> Job<'a> {
    /// A job without a limit of samples.
    pub fn new(name: &'a str, targets: &'a [SocketAddr]) -> Job<'a> {
        Job { name, targets, samples_max: None }
    }

    fn config(&self) -> String {
        let targets: Vec<String> =
            self.targets.iter().map(|addr| format!("\"{addr}\"")).collect();
        let limit = self
            .samples_max
            .map_or(String::new(), |max| format!("    sample_limit: {max}\n"));
        format!(
            "  - job_name: {}\n{limit}    static_configs: [{{targets: [{}]}}]\n",
            self.name,
            targets.join(", ")
        )
    }
}

/// The state of an alert rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its condition does not hold.
    Inactive,
    /// Its condition holds, not yet for as long as `for:` asks.
    Pending,
    /// It has held for so long: somebody is told.
    Firing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Inactive => "inactive",
            State::Pending => "pending",
            State::Firing => "firing",
        })
    }
}

impl State {
    fn parse(text: &str) -> Result<State> {
        let states = [State::Inactive, State::Pending, State::Firing];
        let mut states = states.into_iter().filter(|s| s.to_string() == text);
        states.next().with_context(|| format!("no state of an alert: {text}"))
    }
}

/// One time series in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels; its name is the label `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970 and values, in the order of time.
    pub samples: Vec<(f64, f64)>,
}

impl Series {
    /// The value of a label; empty when there is no such label, as in PromQL.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The rule's name.
    pub name: String,
    /// Never [`State::Inactive`].
    pub state: State,
    /// What it is about.
    pub labels: BTreeMap<String, String>,
    /// The text for a human, filled in.
    pub summary: String,
}

/// A target, as the scraper sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The value of the label `job`.
    pub job: String,
    /// The value of the label `instance`.
    pub instance: String,
    /// `unknown` before the first scrape, then `up` or `down`.
    pub health: String,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
}

/// A Prometheus that runs. It ends when it is dropped.
pub struct Prometheus {
    server: Server,
}

impl Prometheus {
    /// Starts Prometheus with the rules in `rules` (YAML).
    ///
    /// # Errors
    /// As [`Launch::start`]; when `rules` is wrong, the text says where.
    pub fn start(jobs: &[Job], rules: &str) -> Result<Prometheus> {
        let jobs: String = jobs.iter().map(Job::config).collect();
        let server = Launch::new(PROMETHEUS)
            .file("prometheus.yml", &format!("{CONFIG}{jobs}"))
            .file("rules.yml", rules)
            .args(["--config.file=${FOLDER}/prometheus.yml"])
            .args(["--storage.tsdb.path=${FOLDER}/data"])
            .args(["--web.listen-address=127.0.0.1:${PORT}"])
            .args(["--log.level=warn"])
            .ready(http_answers("/-/ready"))
            .start()?;
        Ok(Prometheus { server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The value of an expression now: a series each, with one sample, or with all
    /// samples of a range such as `up[1m]`.
    ///
    /// # Errors
    /// When the expression is wrong, in Prometheus's words.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>> {
        self.ask_for(expression, String::new())
    }

    /// [`Prometheus::query`] as of a time, in seconds since 1970.
    ///
    /// # Errors
    /// As [`Prometheus::query`].
    pub fn query_at(&self, expression: &str, at: f64) -> Result<Vec<Series>> {
        self.ask_for(expression, format!("&time={at:.3}"))
    }

    fn ask_for(&self, expression: &str, rest: String) -> Result<Vec<Series>> {
        let query = percent_encoded(expression);
        let data = self.get(&format!("/api/v1/query?query={query}{rest}"))?;
        series(&data).with_context(|| format!("the answer to {expression}"))
    }

    /// The one value that an expression has now; `None` when it has none.
    ///
    /// # Errors
    /// As [`Prometheus::query`], and when there are several.
    pub fn value(&self, expression: &str) -> Result<Option<f64>> {
        Ok(self.sample(expression)?.map(|(_, value)| value))
    }

    /// [`Prometheus::value`] with its time. The time of a bare series is when it is
    /// asked; `timestamp(…)` tells when the series was scraped.
    ///
    /// # Errors
    /// As [`Prometheus::value`].
    pub fn sample(&self, expression: &str) -> Result<Option<(f64, f64)>> {
        one(expression, &self.query(expression)?)
    }

    /// [`Prometheus::value`] as of a time, in seconds since 1970.
    ///
    /// # Errors
    /// As [`Prometheus::value`].
    pub fn value_at(&self, expression: &str, at: f64) -> Result<Option<f64>> {
        let found = one(expression, &self.query_at(expression, at)?)?;
        Ok(found.map(|(_, value)| value))
    }

    /// The alerts that are pending or firing.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub fn alerts(&self) -> Result<Vec<Alert>> {
        let data = self.get("/api/v1/alerts")?;
        list(&data, "alerts")?
            .iter()
            .map(|alert| {
                let labels = labels(&alert["labels"]);
                Ok(Alert {
                    name: labels.get("alertname").cloned().unwrap_or_default(),
                    state: State::parse(text(alert, "state"))?,
                    summary: text(&alert["annotations"], "summary").to_owned(),
                    labels,
                })
            })
            .collect()
    }

    /// The state of an alert rule: the worst of its alerts.
    ///
    /// # Errors
    /// When there is no such rule, or its evaluation failed.
    pub fn state(&self, name: &str) -> Result<State> {
        let data = self.get("/api/v1/rules?type=alert")?;
        let groups = list(&data, "groups")?;
        let mut rules =
            groups.iter().filter_map(|g| g["rules"].as_array()).flatten();
        let rule = rules.find(|rule| rule["name"] == name);
        let rule = rule.with_context(|| format!("there is no rule {name}"))?;
        let error = text(rule, "lastError");
        ensure!(error.is_empty(), "{name}: {error}");
        State::parse(text(rule, "state"))
    }

    /// The states that an alert has had since Prometheus started, as it has stored
    /// them in the series `ALERTS`, each change once. An inactive alert leaves no
    /// samples, so [`State::Inactive`] is not among them.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub fn history(&self, name: &str) -> Result<Vec<State>> {
        Ok(self.changes(name)?.into_iter().map(|(_, state)| state).collect())
    }

    /// [`Prometheus::history`] with the time of each change, in seconds since 1970.
    ///
    /// # Errors
    /// As [`Prometheus::history`].
    pub fn changes(&self, name: &str) -> Result<Vec<(f64, State)>> {
        let selector = format!("ALERTS{{alertname=\"{name}\"}}[1h]");
        let mut samples: Vec<(f64, State)> = Vec::new();
        for series in self.query(&selector)? {
            let state = State::parse(series.label("alertstate"))?;
            samples.extend(series.samples.iter().map(|&(at, _)| (at, state)));
        }
        samples.sort_by(|a, b| a.0.total_cmp(&b.0));
        samples.dedup_by_key(|(_, state)| *state);
        Ok(samples)
    }

    /// What it scrapes.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub fn targets(&self) -> Result<Vec<Target>> {
        let data = self.get("/api/v1/targets?state=active")?;
        let targets = list(&data, "activeTargets")?.iter().map(|target| Target {
            job: text(&target["labels"], "job").to_owned(),
            instance: text(&target["labels"], "instance").to_owned(),
            health: text(target, "health").to_owned(),
            last_error: text(target, "lastError").to_owned(),
        });
        Ok(targets.collect())
    }

    /// The `data` of an answer.
    fn get(&self, path: &str) -> Result<Value> {
        let answer = http::get_whole(self.addr(), path)?;
        let json: Value = serde_json::from_str(&answer.body)
            .with_context(|| format!("not JSON: {}", answer.body))?;
        let (status, error) = (text(&json, "status"), text(&json, "error"));
        ensure!(status == "success", "Prometheus: {error}");
        Ok(json["data"].clone())
    }
}

fn one(expression: &str, found: &[Series]) -> Result<Option<(f64, f64)>> {
    ensure!(found.len() <= 1, "{expression} has {} values", found.len());
    Ok(found.first().and_then(|series| series.samples.last().copied()))
}

/// A text in JSON, empty when it is missing.
fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

fn list<'a>(json: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    json[key].as_array().with_context(|| format!("no {key} in {json}"))
}

fn labels(json: &Value) -> BTreeMap<String, String> {
    let labels = json.as_object().into_iter().flatten();
    labels
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A sample is a pair of a number and a text, because JSON has no NaN.
fn sample(json: &Value) -> Result<(f64, f64)> {
    let at = json[0].as_f64().context("a sample without a time")?;
    let value = json[1].as_str().context("a sample without a value")?;
    Ok((at, value.parse().with_context(|| format!("the value {value}"))?))
}

fn series(data: &Value) -> Result<Vec<Series>> {
    if data["resultType"] == "scalar" {
        let samples = vec![sample(&data["result"])?];
        return Ok(vec![Series { labels: BTreeMap::new(), samples }]);
    }
    list(data, "result")?
        .iter()
        .map(|series| {
            let samples = match series["values"].as_array() {
                Some(many) => many.iter().map(sample).collect::<Result<_>>()?,
                None => vec![sample(&series["value"])?],
            };
            Ok(Series { labels: labels(&series["metric"]), samples })
        })
        .collect()
}

/// For a value in a URL's query: each byte but letters and digits as `%` and two
/// hexadecimal digits.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_expression_is_safe_in_a_url() {
        assert_eq!(percent_encoded("a{b=\"é\"}"), "a%7Bb%3D%22%C3%A9%22%7D");
    }

    #[test]
    fn a_vector_a_range_and_a_scalar_are_read() -> Result<()> {
        let labels = json!({"job": "shop"});
        let vector = json!({"resultType": "vector",
            "result": [{"metric": labels, "value": [1.5, "NaN"]}]});
        let read = series(&vector)?;
        assert_eq!(read[0].label("job"), "shop");
        assert_eq!(read[0].label("none"), "");
        assert!(read[0].samples[0].1.is_nan());
        let range = json!({"resultType": "matrix",
            "result": [{"metric": labels, "values": [[1, "2"], [3, "+Inf"]]}]});
        assert_eq!(series(&range)?[0].samples, [(1.0, 2.0), (3.0, f64::INFINITY)]);
        let scalar = json!({"resultType": "scalar", "result": [1, "2"]});
        assert_eq!(series(&scalar)?[0].samples, [(1.0, 2.0)]);
        assert!(series(&json!({"resultType": "vector"})).is_err());
        Ok(())
    }
}
