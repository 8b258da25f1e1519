//! Polling, long polling and server-sent events over HTTP/1.1, with hyper.
//!
//! | path | answer |
//! |---|---|
//! | `/ticks/42` | the tick, or 204 No Content if it is not there yet |
//! | `/await/42` | the tick, when it is there |
//! | `/events` | every tick from now on, or after that in `Last-Event-ID` |

use crate::feed::{Feed, Tick};
use crate::meter::{Meter, Metered};
use crate::HOST;
use anyhow::{bail, Context, Result};
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;

/// A client stops at an event that is longer; a server could send without end.
const EVENT_BYTES_MAX: usize = 64 * 1024;

type Body = BoxBody<Bytes, Infallible>;

/// # Errors
/// When no port is free.
pub async fn serve(feed: Feed) -> std::io::Result<SocketAddr> {
    let (listener, addr) = crate::listen().await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let feed = feed.clone();
            let service = service_fn(move |request| {
                let feed = feed.clone();
                async move { Ok::<_, Infallible>(answer(&feed, request).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving); // ends with the connection
        }
    });
    Ok(addr)
}

async fn answer(feed: &Feed, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let id_after = |prefix: &str| -> Option<u64> {
        path.strip_prefix(prefix).and_then(|id| id.parse().ok())
    };
    if path == "/events" {
        let seen = request.headers().get("last-event-id");
        let seen = seen.and_then(|id| id.to_str().ok()?.parse().ok());
        return events(feed, seen.unwrap_or(feed.newest()));
    }
    let tick = match (id_after("/await/"), id_after("/ticks/")) {
        (Some(id), _) => feed.tick(id).await,
        (_, Some(id)) if id <= feed.newest() => Tick::new(id),
        (_, Some(_)) => return empty(StatusCode::NO_CONTENT),
        _ => return empty(StatusCode::NOT_FOUND),
    };
    let mut response = Response::new(Full::new(Bytes::from(json(&tick))).boxed());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// One answer without end: a piece for each tick.
fn events(feed: &Feed, after: u64) -> Response<Body> {
    let ticks = stream::unfold((feed.clone(), after + 1), |(feed, id)| async move {
        let tick = feed.tick(id).await;
        let event = format!("id: {id}\ndata: {}\n\n", json(&tick));
        Some((Ok(Frame::data(Bytes::from(event))), (feed, id + 1)))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(ticks)));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().boxed());
    *response.status_mut() = status;
    response
}

pub(crate) fn json(tick: &Tick) -> String {
    let Tick { id, symbol, cents } = tick;
    serde_json::json!({"id": id, "symbol": symbol, "cents": cents}).to_string()
}

/// One connection; a second request waits for the first one's answer.
pub struct Client(SendRequest<Empty<Bytes>>);

impl Client {
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(meter: &Meter, addr: SocketAddr) -> Result<Client> {
        let stream: TokioIo<Metered> = TokioIo::new(meter.connect(addr).await?);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Client(sender))
    }

    async fn send(
        &mut self,
        path: &str,
        last_event: Option<u64>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::get(path).header("host", HOST);
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        self.0.ready().await?;
        Ok(self.0.send_request(request.body(Empty::new())?).await?)
    }

    /// The tick at that path, or `None` if it is not there yet.
    ///
    /// # Errors
    /// When the connection fails or the answer is no tick.
    pub async fn get(&mut self, path: &str) -> Result<Option<Tick>> {
        let response = self.send(path, None).await?;
        match response.status() {
            StatusCode::OK => {
                let body = response.into_body().collect().await?.to_bytes();
                Ok(Some(serde_json::from_slice(&body)?))
            }
            StatusCode::NO_CONTENT => Ok(None),
            status => bail!("{path} answers {status}"),
        }
    }

    /// Opens the stream of events; after a cut, with the last one that was seen.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn events(mut self, last_event: Option<u64>) -> Result<Events> {
        let response = self.send("/events", last_event).await?;
        Ok(Events { body: response.into_body(), text: String::new(), _client: self })
    }
}

/// A stream of server-sent events, as a client reads it.
pub struct Events {
    body: Incoming,
    text: String, // what came of the next event so far
    _client: Client,
}

impl Events {
    /// The next tick, whose number is the event's id.
    ///
    /// # Errors
    /// When the connection ends or an event is no tick.
    pub async fn next(&mut self) -> Result<Tick> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data =
                    event.lines().find_map(|line| line.strip_prefix("data: "));
                let tick =
                    serde_json::from_str(data.context("an event without data")?)?;
                self.text = rest.to_owned();
                return Ok(tick);
            }
            if self.text.len() > EVENT_BYTES_MAX {
                bail!("an event of more than {EVENT_BYTES_MAX} bytes");
            }
            let frame =
                self.body.frame().await.context("the stream has ended")??;
            let bytes = frame.into_data().unwrap_or_default();
            self.text.push_str(std::str::from_utf8(&bytes)?);
        }
    }
}
