//! The HTTP side of running blocks: who may ask this server for what.
//!
//! Any site that a reader has open can send requests to this machine, and may have its own name
//! point here (DNS rebinding). So no request is answered that names another host, and a program is
//! run only for a page that this server sent: it has to come from the server's own origin and
//! carry the token of such a page.
//!
//! Knows of HTTP and of the runner's requests and answers; knows nothing of how they are run.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::runner::{self, Refusal, limits};

/// Where a page sends a program.
pub const PATH: &str = "/__xtask/execute";

/// The header in which a page proves that this server sent it.
const TOKEN_HEADER: &str = "x-book-token";

/// The length of a token, in bytes of chance.
const TOKEN_BYTES: usize = 32;

/// Who may ask this server.
pub struct Gate {
    /// The values of `Host` that name this server.
    hosts: Vec<String>,
    /// In hexadecimal.
    token: String,
    runner: runner::Handle,
}

/// Why a request is refused, and with which status.
type Refused = (StatusCode, String);

impl Gate {
    /// The gate of a server on this port, with a new token.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(port: u16, runner: runner::Handle) -> Result<Gate> {
        let mut chance = [0; TOKEN_BYTES];
        getrandom::fill(&mut chance).context("the system gives no random numbers")?;
        let mut token = String::new();
        for byte in chance {
            write!(token, "{byte:02x}")?;
        }
        let names = ["127.0.0.1", "localhost", "[::1]"];
        let mut hosts: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names.map(str::to_owned));
        }
        Ok(Gate {
            hosts,
            token,
            runner,
        })
    }

    /// The page with what its Run buttons need to know.
    pub fn announced_on(&self, page: &str) -> String {
        let meta = format!(
            "<head><meta name=\"book-run\" content=\"{PATH}\" data-token=\"{}\">",
            self.token
        );
        page.replacen("<head>", &meta, 1)
    }

    /// The host that a request names, if it is this server.
    fn host<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let host = only(headers, &header::HOST)?.to_str().ok()?;
        self.hosts.iter().any(|own| own == host).then_some(host)
    }

    /// Whether a page of this server asks to run a program.
    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
        let refuse = |status, why: &str| Err((status, why.to_owned()));
        if method != Method::POST {
            return refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "a program is sent with POST",
            );
        }
        let site = HeaderName::from_static("sec-fetch-site");
        if headers.contains_key(&site) && only(headers, &site) != Some(&text("same-origin")) {
            return refuse(
                StatusCode::FORBIDDEN,
                "only this server's own pages may run programs",
            );
        }
        let own = self.host(headers).map(|host| format!("http://{host}"));
        let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.to_str().ok());
        if origin.is_none() || origin != own.as_deref() {
            return refuse(
                StatusCode::FORBIDDEN,
                "the Origin has to be this server's own: only its own pages may run programs",
            );
        }
        let token = only(headers, &HeaderName::from_static(TOKEN_HEADER));
        let token = token.map_or(b"".as_slice(), HeaderValue::as_bytes);
        if !constant_time_eq::constant_time_eq(token, self.token.as_bytes()) {
            return refuse(
                StatusCode::FORBIDDEN,
                "this page is not from the server that runs now: load it again",
            );
        }
        let kind = only(headers, &header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .map(str::trim);
        if kind.is_none_or(|kind| !kind.eq_ignore_ascii_case("application/json")) {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a program is sent as application/json",
            );
        }
        Ok(())
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn text(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

/// Answers no request that names another host, and tells browsers not to show these pages inside
/// other sites, nor to tell other sites where a reader comes from.
pub async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    // A request for a whole address, as to a proxy, names its host there as well.
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let host = gate.host(request.headers());
    let mut response = if host.is_some() && (authority.is_none() || authority == host) {
        next.run(request).await
    } else {
        let why = "this server answers only to its own address".to_owned();
        refusal((StatusCode::FORBIDDEN, why))
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, text(value));
    }
    response
}

/// Compiles and runs a program for a page of this server.
pub async fn execute(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    match executed(&gate, request).await {
        Ok(answer) => answer,
        Err(refused) => refusal(refused),
    }
}

async fn executed(gate: &Gate, request: Request) -> Result<Response, Refused> {
    gate.admit(request.method(), request.headers())?;
    let too_long = || {
        let most = limits::CODE_BYTES >> 10;
        let why = format!("the program is longer than {most} KiB");
        (StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let body = axum::body::to_bytes(request.into_body(), limits::REQUEST_BYTES)
        .await
        .map_err(|_| too_long())?;
    let request: runner::Request = serde_json::from_slice(&body).map_err(|error| {
        let why = format!("Unable to deserialize request: {error}");
        (StatusCode::BAD_REQUEST, why)
    })?;
    let answer = gate
        .runner
        .execute(request)
        .await
        .map_err(|refusal| match refusal {
            Refusal::TooLong => too_long(),
            Refusal::TooMany => {
                let why = "other programs are still running: try again when one has ended";
                (StatusCode::TOO_MANY_REQUESTS, why.to_owned())
            }
            Refusal::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
            Refusal::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why),
            Refusal::Gone => {
                let why = "the server ends".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, why)
            }
        })?;
    Ok(as_json(StatusCode::OK, json!(answer)))
}

fn refusal((status, why): Refused) -> Response {
    let mut response = as_json(status, json!({ "error": why }));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, text("POST"));
    }
    response
}

fn as_json(status: StatusCode, value: serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, text("application/json")),
        (header::CACHE_CONTROL, text("no-store")),
    ];
    (status, headers, Body::from(value.to_string())).into_response()
}
