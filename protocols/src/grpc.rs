//! The ticks as a gRPC service, with tonic.

use crate::feed::{Feed, Tick};
use crate::meter::Meter;
use crate::prices_v1::prices_client::PricesClient;
use crate::prices_v1::prices_server::{Prices, PricesServer};
use crate::prices_v1::{self as v1, GetRequest, SubscribeRequest};
use crate::HOST;
use anyhow::{Context, Result};
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

struct Service(Feed);

#[tonic::async_trait]
impl Prices for Service {
    async fn get(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<v1::Tick>, Status> {
        let tick = self.0.tick(request.into_inner().id).await;
        Ok(Response::new(tick.into()))
    }

    type SubscribeStream = BoxStream<'static, Result<v1::Tick, Status>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let after = request.into_inner().after.unwrap_or(self.0.newest());
        let ticks =
            stream::unfold((self.0.clone(), after + 1), |(feed, id)| async move {
                let tick = feed.tick(id).await;
                Some((Ok(tick.into()), (feed, id + 1)))
            });
        Ok(Response::new(ticks.boxed()))
    }
}

impl From<Tick> for v1::Tick {
    fn from(Tick { id, symbol, cents }: Tick) -> v1::Tick {
        v1::Tick { id, symbol, cents }
    }
}

impl From<v1::Tick> for Tick {
    fn from(v1::Tick { id, symbol, cents }: v1::Tick) -> Tick {
        Tick { id, symbol, cents }
    }
}

/// # Errors
/// When no port is free.
pub async fn serve(feed: Feed) -> std::io::Result<SocketAddr> {
    let (listener, addr) = crate::listen().await?;
    // The only service, so no router is needed to choose between several.
    let service = PricesServer::new(Service(feed));
    let serving = Server::builder()
        .serve_with_incoming(service, TcpListenerStream::new(listener));
    tokio::spawn(serving);
    Ok(addr)
}

/// One connection. Clones share it, and may call at the same time.
#[derive(Clone)]
pub struct Client(PricesClient<Channel>);

impl Client {
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(meter: &Meter, addr: SocketAddr) -> Result<Client> {
        let meter = meter.clone();
        let connector = tower::service_fn(move |_| {
            let meter = meter.clone();
            async move { meter.connect(addr).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_shared(format!("http://{HOST}"))?
            .connect_with_connector(connector)
            .await?;
        Ok(Client(PricesClient::new(channel)))
    }

    /// # Errors
    /// When the call fails.
    pub async fn get(&mut self, id: u64) -> Result<Tick> {
        Ok(self.0.get(GetRequest { id }).await?.into_inner().into())
    }

    /// # Errors
    /// When the call fails.
    pub async fn subscribe(&mut self, after: Option<u64>) -> Result<Subscription> {
        let ticks = self.0.subscribe(SubscribeRequest { after }).await?;
        Ok(Subscription(ticks.into_inner()))
    }
}

pub struct Subscription(Streaming<v1::Tick>);

impl Subscription {
    /// # Errors
    /// When the call fails or ends.
    pub async fn next(&mut self) -> Result<Tick> {
        let tick = self.0.message().await?;
        Ok(tick.context("the stream has ended")?.into())
    }
}
