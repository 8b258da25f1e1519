//! Clients of a balancer, and what they see of it.
//!
//! May know of HTTP and of the trait `Balancer`, not of any one balancer.

use super::Balancer;
use crate::backend::Backend;
use crate::http;
use std::time::Instant;

/// What a client saw of one request.
pub struct Seen {
    /// Whose answer it was; `None` if the request failed.
    pub by: Option<String>,
    /// It was sent to one server and then to another.
    pub retried: bool,
    /// When the answer was there.
    pub at: Instant,
}

/// A client that keeps its cookies.
#[derive(Clone, Default)]
pub struct Client {
    cookies: Vec<(String, String)>,
}

impl Client {
    /// A client that carries the cookie `session=<name>`, which is its
    /// application's, not a balancer's.
    pub fn with_session(name: &str) -> Client {
        Client { cookies: vec![("session".to_owned(), name.to_owned())] }
    }

    /// One GET of `path`. A failure is an answer too: see [`Seen::by`].
    pub fn get(&mut self, balancer: &dyn Balancer, path: &str) -> Seen {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![];
        if !cookies.is_empty() {
            headers.push(("Cookie", cookies.as_str()));
        }
        let response = http::send(balancer.addr(), "GET", path, &headers);
        let at = Instant::now();
        let Ok(response) = response else {
            return Seen { by: None, retried: false, at };
        };
        if let Some((name, rest)) =
            response.header("set-cookie").and_then(|c| c.split_once('='))
        {
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let retried = balancer.retried(&response);
        Seen { by: (response.status == 200).then_some(response.body), retried, at }
    }
}

/// One GET of `path` by a client that nobody knows.
pub fn get(balancer: &dyn Balancer, path: &str) -> Seen {
    Client::default().get(balancer, path)
}

/// How many of them failed.
pub fn failed(seen: &[Seen]) -> usize {
    seen.iter().filter(|s| s.by.is_none()).count()
}

/// How many of them met one server and were answered by another.
pub fn retried(seen: &[Seen]) -> usize {
    seen.iter().filter(|s| s.retried).count()
}

/// How many of them `backend` answered.
pub fn answered_by(seen: &[Seen], backend: &Backend) -> usize {
    seen.iter().filter(|s| s.by.as_deref() == Some(backend.name())).count()
}
