//! Upstreams: servers in the test's own process that keep every request as it came, and answer as they are told.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::client::Stream;
use super::replies::{Broken, Reply};
use super::requests::unpack;
use super::stage::is_leak;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn is_grpc(&self) -> bool {
        self.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
    }

    /// A header; empty: there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Its message, without frame and compression.
    pub(crate) fn message(&self) -> Vec<u8> {
        if !self.is_grpc() {
            return unpack(self.header("content-encoding"), &self.body);
        }
        let (prefix, message) = self.body.split_at(5);
        let len = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes"));
        assert_eq!(len as usize, message.len(), "one message");
        unpack(if prefix[0] == 1 { self.header("grpc-encoding") } else { "" }, message)
    }
}

/// What an upstream answers to a request.
pub(crate) type Behaviour = Arc<dyn Fn(Seen) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// Requests that have begun.
    begun: AtomicUsize,
    /// Requests that were given up by the other side.
    cancelled: AtomicUsize,
    /// Connections that had a certificate.
    certified: AtomicUsize,
    connections: AtomicUsize,
}

/// A server that runs until it is dropped.
pub(crate) struct Upstream {
    shared: Arc<Shared>,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Upstream {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), behaviour).await
    }

    pub(crate) async fn start_at(address: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        Self::serve(Socket::Tcp(listener), url, None, behaviour)
    }

    pub(crate) fn start_unix(path: &Path, behaviour: Behaviour) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        Self::serve(Socket::Unix(listener), format!("unix:{}", path.display()), None, behaviour)
    }

    pub(crate) async fn start_tls(config: Arc<ServerConfig>, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        Self::serve(Socket::Tcp(listener), url, Some(config), behaviour)
    }

    /// One that reads a little of each connection, writes these bytes, and says no more.
    pub(crate) async fn start_raw(answer: &'static [u8]) -> Self {
        Self::start_by(move |mut stream| async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
            // What was not read would break the connection before the other side has read all.
            while stream.read(&mut [0; 1024]).await.is_ok_and(|len| len > 0) {}
        })
        .await
    }

    /// One that reads a little of each connection, writes these bytes, and closes whatever else there is to read.
    pub(crate) async fn start_hasty(answer: &'static [u8]) -> Self {
        Self::start_by(move |mut stream| async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer).await;
        })
        .await
    }

    /// One that takes connections and never reads.
    pub(crate) async fn start_deaf() -> Self {
        Self::start_by(|stream| async move {
            let () = std::future::pending().await;
            drop(stream);
        })
        .await
    }

    /// One that does this with each connection.
    async fn start_by<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(each(stream));
            }
        });
        Self { shared: Arc::default(), url, server }
    }

    fn serve(socket: Socket, url: String, tls: Option<Arc<ServerConfig>>, behaviour: Behaviour) -> Self {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        let server = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            loop {
                let stream: Box<dyn Stream> = match &socket {
                    Socket::Tcp(listener) => Box::new(listener.accept().await.expect("a connection").0),
                    Socket::Unix(listener) => Box::new(listener.accept().await.expect("a connection").0),
                };
                own.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connection(stream, tls.clone(), own.clone(), behaviour.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { shared, url, server }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().expect("an address")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.url.trim_start_matches("unix:").into()
    }

    /// All requests that came whole.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }

    pub(crate) fn begun(&self) -> usize {
        self.shared.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.shared.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn certified(&self) -> usize {
        self.shared.certified.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Ends it; its port is free then.
    pub(crate) async fn stop(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Nothing that was planted is in what came.
    pub(crate) fn has_no_leak(&self) {
        for seen in self.seen() {
            let message = seen.message();
            let head = format!("{} {:?}", seen.path, seen.headers);
            let is_clean = !is_leak(&seen.body) && !is_leak(&message) && !is_leak(head.as_bytes());
            assert!(is_clean, "{} {:?} {}", seen.path, seen.headers, message.escape_ascii());
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn connection(
    stream: Box<dyn Stream>,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
    behaviour: Behaviour,
) {
    let Some(config) = tls else { return requests(stream, shared, behaviour).await };
    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
        if stream.get_ref().1.peer_certificates().is_some() {
            shared.certified.fetch_add(1, Ordering::Relaxed);
        }
        requests(stream, shared, behaviour).await;
    }
}

async fn requests(stream: impl Stream, shared: Arc<Shared>, behaviour: Behaviour) {
    let service = service_fn(|request| answer(request, shared.clone(), behaviour.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().initial_stream_window_size(8 << 20).initial_connection_window_size(8 << 20);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>, behaviour: Behaviour) -> Reply {
    shared.begun.fetch_add(1, Ordering::Relaxed);
    let mut under_way = UnderWay { shared: shared.clone(), is_done: false };
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let seen = Seen { path: parts.uri.path().to_owned(), headers: parts.headers, body };
    shared.seen.lock().unwrap().push(seen.clone());
    let reply = behaviour(seen).await;
    under_way.is_done = true;
    reply
}

/// Dropped before the answer: the other side has given up.
struct UnderWay {
    shared: Arc<Shared>,
    is_done: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shared.cancelled.fetch_add(usize::from(!self.is_done), Ordering::Relaxed);
    }
}
