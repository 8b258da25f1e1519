//! Object storage: a server that speaks the S3 protocol on 127.0.0.1, and a client
//! that counts what it reads.
//!
//! The server is [`s3s`] with its file system behind it, the client is the one that
//! the query engine uses for Amazon S3. Between the two is HTTP with signed requests.
//!
//! [`object_storage`] asks that server what the book's own object store is asked.
//!
//! [`sealed`] encrypts what a client puts there.
//!
//! May know of `s3s` and `object_store`; prints nothing.

pub mod object_storage;
pub mod sealed;

use anyhow::{Context, Result};
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result as StoreResult,
};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The one bucket of the server.
pub const BUCKET: &str = "lake";
const ACCESS_KEY: &str = "reader";
const SECRET_KEY: &str = "not-a-secret-on-loopback";

/// A server with one empty bucket, in a temporary folder. It ends, and the folder
/// with it, when this is dropped.
pub struct Server {
    addr: SocketAddr,
    answered: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
    folder: TempDir,
}

impl Server {
    /// Starts it on a free port. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// When there is no temporary folder or no free port to be had.
    pub async fn start() -> Result<Server> {
        let answered = Arc::new(AtomicU64::new(0));
        let auth = SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY);
        let access = SignedOnly { answered: answered.clone() };
        Server::start_with(auth, access, answered).await
    }

    /// One that knows these keys, and lets in whom `access` does, which counts them
    /// in `answered` if it likes.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub async fn start_with(
        auth: SimpleAuth,
        access: impl S3Access,
        answered: Arc<AtomicU64>,
    ) -> Result<Server> {
        let folder = tempfile::tempdir().context("make a folder for the bucket")?;
        std::fs::create_dir(folder.path().join(BUCKET))
            .context("make the bucket")?;
        let files = s3s_fs::FileSystem::new(folder.path())
            .map_err(|e| anyhow::anyhow!("open the bucket's folder: {e:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(auth);
        service.set_access(access);
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let addr = listener.local_addr().context("ask for the port")?;
        let accepting = tokio::spawn(serve(listener, service.build()));
        Ok(Server { addr, answered, accepting, folder })
    }

    /// A client of it that counts what it reads, from zero.
    ///
    /// # Errors
    /// When the client refuses its settings.
    pub fn client(&self) -> Result<Arc<Counting>> {
        let inner = AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", self.addr))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .build()
            .context("set up the S3 client")?;
        Ok(Arc::new(Counting { inner, requests: 0.into(), bytes: Arc::default() }))
    }

    /// How many signed requests of all kinds it has let in.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let http = Builder::new(TokioExecutor::new());
    while let Ok((socket, _)) = listener.accept().await {
        // Small answers at once, instead of waiting for more to send along.
        socket.set_nodelay(true).ok();
        let connection =
            http.serve_connection(TokioIo::new(socket), service.clone());
        let connection = connection.into_owned();
        // A client that hangs up in the middle is no fault of the server's.
        tokio::spawn(async move { connection.await.ok() });
    }
}

/// Lets in whoever signed with a key that the server knows, and counts.
struct SignedOnly {
    answered: Arc<AtomicU64>,
}

#[async_trait]
impl S3Access for SignedOnly {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// What reading has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// GET, HEAD and LIST requests. A LIST is one request for each 1,000 keys; there
    /// are fewer here.
    pub requests: u64,
    /// Bytes of objects that arrived. A LIST's answer is not counted.
    pub bytes: u64,
}

/// An S3 client that counts what is read through it. Ranges that are asked for at
/// once it merges as every client of this library does: two that are at most
/// 1 MiB apart become one request, and the gap is read too.
#[derive(Debug)]
pub struct Counting {
    inner: AmazonS3,
    requests: AtomicU64,
    bytes: Arc<AtomicU64>,
}

impl Counting {
    /// The bill since the last time it was taken.
    pub fn take_bill(&self) -> Bill {
        Bill {
            requests: self.requests.swap(0, Ordering::SeqCst),
            bytes: self.bytes.swap(0, Ordering::SeqCst),
        }
    }

    fn request(&self) {
        self.requests.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counting {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> StoreResult<GetResult> {
        self.request();
        let mut result = self.inner.get_opts(location, options).await?;
        // Counted as they come: a reader may stop early. A HEAD has no body.
        if let GetResultPayload::Stream(body) = result.payload {
            let bytes = self.bytes.clone();
            let body = body.inspect_ok(move |part| {
                bytes.fetch_add(part.len() as u64, Ordering::SeqCst);
            });
            result.payload = GetResultPayload::Stream(body.boxed());
        }
        Ok(result)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.request();
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&Path>,
    ) -> StoreResult<ListResult> {
        self.request();
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
