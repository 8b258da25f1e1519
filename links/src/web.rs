//! Asks other sites for addresses, with a limit on everything.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use linkcheck2::validation::head;
use mdbook_linkcheck2::{Config, HashedRegex};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long one request may take, unless told otherwise.
pub const SECONDS: u64 = 20;

/// How many hosts are asked at a time.
const HOSTS_MAX: usize = 16;

/// How many requests to one host may run into their limit before the rest of its addresses are
/// given up.
const TIMEOUTS_MAX: usize = 2;

/// How long the whole run may take: addresses that have not been asked for by then are findings.
const RUN: Duration = Duration::from_secs(600);

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_secs(2);

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    request: Duration,
    run: Duration,
    pause: Duration,
}

impl Limits {
    /// The usual limits, with requests of at most that many seconds.
    pub fn of_seconds(seconds: u64) -> Self {
        Self {
            request: Duration::from_secs(seconds),
            run: RUN,
            pause: PAUSE,
        }
    }
}

/// How an address answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is there.
    Fine,
    /// It says that it is asked too often.
    Busy,
    /// It answers that something is wrong; `at` is the address it led to, if another.
    Status { status: StatusCode, at: Option<Url> },
    /// Nothing answers, and why.
    Unreachable(String),
}

/// Asks for every address once; the answers are in the same order.
///
/// # Errors
/// When the settings or this machine's certificates are unusable.
pub fn ask(
    addresses: &[String],
    settings: &Config,
    limits: Limits,
) -> Result<Vec<(String, Answer)>> {
    let client = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(limits.request.min(Duration::from_secs(10)))
        .timeout(limits.request)
        .build()
        .context("cannot set up an HTTP client")?;
    let asker = Arc::new(Asker {
        client,
        headers: headers(settings),
        limits,
    });

    let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
    let mut hosts: BTreeMap<String, Vec<(usize, Url)>> = BTreeMap::new();
    for (index, address) in addresses.iter().enumerate() {
        match Url::parse(address) {
            Ok(url) => {
                let host = format!("{:?}:{:?}", url.host_str(), url.port_or_known_default());
                hosts.entry(host).or_default().push((index, url));
            }
            Err(error) => {
                answers.insert(index, Answer::Unreachable(error.to_string()));
            }
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let places = Arc::new(Semaphore::new(HOSTS_MAX));
        let end = Instant::now() + limits.run;
        let mut tasks = JoinSet::new();
        for urls in hosts.into_values() {
            let (asker, places) = (Arc::clone(&asker), Arc::clone(&places));
            tasks.spawn(async move {
                let _place = places.acquire().await;
                asker.ask_host(urls, end).await
            });
        }
        while let Some(of_host) = tasks.join_next().await {
            answers.extend(of_host.into_iter().flatten());
        }
    });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    let no_answer = || Answer::Unreachable("the request was lost".to_owned());
    let asked = addresses.iter().enumerate();
    Ok(asked
        .map(|(index, address)| {
            (
                address.clone(),
                answers.remove(&index).unwrap_or_else(no_answer),
            )
        })
        .collect())
}

/// What every request needs.
struct Asker {
    client: Client,
    headers: Vec<(HashedRegex, HeaderName, HeaderValue)>,
    limits: Limits,
}

/// An answer, and what it says of the other addresses of its host.
struct Told {
    answer: Answer,
    host_is_down: bool,
    ran_out: bool,
    ask_again: bool,
}

impl Asker {
    /// Asks for the addresses of one host, one after the other.
    async fn ask_host(&self, urls: Vec<(usize, Url)>, end: Instant) -> Vec<(usize, Answer)> {
        let mut answers = Vec::new();
        let mut given_up: Option<Answer> = None;
        let mut timeouts = 0;
        for (index, url) in urls {
            if given_up.is_none() && Instant::now() >= end {
                let seconds = self.limits.run.as_secs();
                let why = format!("the run's {seconds} s were over before it was asked for");
                given_up = Some(Answer::Unreachable(why));
            }
            if let Some(answer) = &given_up {
                answers.push((index, answer.clone()));
                continue;
            }
            let told = self.ask_twice(&url).await;
            timeouts += usize::from(told.ran_out);
            if told.host_is_down || timeouts >= TIMEOUTS_MAX {
                given_up = Some(told.answer.clone());
            }
            answers.push((index, told.answer));
        }
        answers
    }

    async fn ask_twice(&self, url: &Url) -> Told {
        let headers = self.headers_for(url);
        let told = self.told(url, head(&self.client, url.clone(), headers.clone()).await);
        if told.answer == Answer::Fine {
            return told;
        }
        if told.ask_again {
            tokio::time::sleep(self.limits.pause).await;
        }
        // Not every site that has a page answers HEAD for it.
        let response = self.client.get(url.clone()).headers(headers).send().await;
        self.told(
            url,
            response
                .and_then(|response| response.error_for_status())
                .map(drop),
        )
    }

    fn told(&self, url: &Url, result: Result<(), reqwest::Error>) -> Told {
        let mut told = Told {
            answer: Answer::Fine,
            host_is_down: false,
            ran_out: false,
            ask_again: false,
        };
        let Err(error) = result else { return told };
        match error.status() {
            Some(StatusCode::TOO_MANY_REQUESTS) => {
                told.answer = Answer::Busy;
                told.ask_again = true;
            }
            Some(status) => {
                let at = error.url().filter(|at| *at != url).cloned();
                told.answer = Answer::Status { status, at };
                told.ask_again = status.is_server_error();
            }
            None => {
                told.ran_out = error.is_timeout();
                told.host_is_down = error.is_connect();
                told.ask_again = true;
                told.answer = Answer::Unreachable(match told.ran_out {
                    true => format!("no answer in {} s", self.limits.request.as_secs()),
                    false => cause(&error),
                });
            }
        }
        told
    }

    /// The headers that the settings give to an address.
    fn headers_for(&self, url: &Url) -> HeaderMap {
        self.headers
            .iter()
            .filter(|(pattern, ..)| pattern.is_match(url.as_str()))
            .map(|(_, name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// The innermost cause of an error: the others only say that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.source().is_none() {
        error.to_string()
    } else {
        cause.to_string()
    }
}

/// The settings' `http-headers`, with `$NAME` replaced by that environment variable. A header
/// whose variable is not set is not sent.
fn headers(settings: &Config) -> Vec<(HashedRegex, HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (pattern, of_pattern) in &settings.http_headers {
        for header in of_pattern {
            match with_variables(&header.value).and_then(|value| value.parse().ok()) {
                Some(value) => headers.push((pattern.clone(), header.name.clone(), value)),
                None => eprintln!("note: the header {} is not sent: no value", header.name),
            }
        }
    }
    headers
}

/// `text` with `$NAME` replaced; `\$` stays a dollar sign.
fn with_variables(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let name = &rest[at + 1..];
        let end = name
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(name.len());
        if let Some(before) = rest[..at].strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            rest = name;
        } else {
            out.push_str(&rest[..at]);
            out.push_str(&std::env::var(&name[..end]).ok()?);
            rest = &name[end..];
        }
    }
    Some(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_takes_its_secret_from_the_environment() {
        let path = std::env::var("PATH").expect("a path");
        assert_eq!(with_variables("a $PATH b"), Some(format!("a {path} b")));
        assert_eq!(with_variables(r"costs \$5"), Some("costs $5".to_owned()));
        assert_eq!(with_variables("$NO_SUCH_VARIABLE"), None);
    }
}
