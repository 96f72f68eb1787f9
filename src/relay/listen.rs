//! Connections of clients: TLS, HTTP/1.1 and HTTP/2, limits, and the end of it all.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::Whole;
use super::headtime::HeadTime;
use super::metrics::{Event, Metrics};
use super::punctual::Punctual;
use super::settings::Limits;
use super::socket::{Socket, Stream};
use super::tls::{Listeners, Replaced};

/// What answers requests.
pub(super) type Handler =
    Arc<dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Whole>> + Send>> + Send + Sync>;

/// Takes connections and serves them.
#[derive(Clone)]
pub(super) struct Listener {
    /// What it is called in our log.
    pub(super) name: &'static str,
    pub(super) handler: Handler,
    pub(super) tls: Option<Arc<Listeners>>,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    /// Places for connections.
    pub(super) places: Arc<Semaphore>,
    /// Becomes `true` when it is to end.
    pub(super) draining: watch::Receiver<bool>,
    /// Held as long as anything is under way.
    pub(super) _alive: tokio::sync::mpsc::Sender<Infallible>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How long to wait when the system has no descriptor for a connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

impl Listener {
    /// Takes connections until it is to end.
    pub(super) async fn run(self, socket: Socket) {
        let mut draining = self.draining.clone();
        let mut was_short = false;
        loop {
            let accepted = tokio::select! {
                _ = draining.wait_for(|draining| *draining) => return,
                accepted = socket.accept(self.limits.keep_alive) => accepted,
            };
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) if is_of_connection(&error) => continue,
                Err(error) => {
                    if !was_short {
                        tracing::warn!(listener = self.name, %error, "cannot take a connection; waiting for others to end");
                    }
                    was_short = true;
                    sleep(NO_DESCRIPTOR).await;
                    continue;
                }
            };
            was_short = false;
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                self.metrics.event(Event::ConnectionRefused);
                continue;
            };
            let listener = self.clone();
            let counted = Counted::new(&self.metrics);
            tokio::spawn(async move {
                listener.connection(stream).await;
                drop((place, counted));
            });
        }
    }

    async fn connection(&self, stream: Box<dyn Stream>) {
        let Some(tls) = &self.tls else { return self.serve(stream, Replaced::never()).await };
        let (config, replaced) = tls.get();
        let accepted = timeout(self.limits.head, TlsAcceptor::from(config).accept(stream)).await;
        match accepted {
            Ok(Ok(stream)) => self.serve(stream, replaced).await,
            failed => {
                self.metrics.event(Event::HandshakeFailed);
                let why = failed
                    .ok()
                    .and_then(Result::err)
                    .map_or_else(|| "it took too long".to_owned(), |error| error.to_string());
                tracing::debug!(listener = self.name, %why, "a connection was turned away in TLS's handshake");
            }
        }
    }

    /// Serves one connection to its end: its client's, or ours, or that of the certificates that it was let in by.
    pub(super) async fn serve(&self, stream: impl Stream, replaced: Replaced) {
        let Limits { head, read, idle, keep_alive, streams, .. } = self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let head_time = HeadTime::new(head);
        // Of these, it is the timer that tells a head that has begun from an idle connection.
        builder.http1().timer(head_time.clone()).header_read_timeout(idle).max_buf_size(HEAD);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(keep_alive)
            .keep_alive_timeout(keep_alive)
            .max_concurrent_streams(streams)
            .max_header_list_size(HEADERS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME);
        let service = service_fn(|request| {
            head_time.is_whole();
            let answer = (self.handler)(request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let io = TokioIo::new(Punctual::downward(stream, head, read, head_time.clone()));
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut draining = self.draining.clone();
        // How a connection ends is its client's affair; requests have their own counts.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = draining.wait_for(|draining| *draining) => {}
            () = replaced.wait() => {}
        }
        // What is under way is answered; what is next comes on another connection.
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// The most bytes of a request's headers.
const HEADERS: u32 = 32 << 10;
/// What a client may send ahead on a connection of HTTP/2.
const WINDOW: u32 = 1 << 20;
/// The largest frame of HTTP/2: fewer pieces to put together, each held until it is whole.
const FRAME: u32 = 64 << 10;
/// The most bytes of a head of HTTP/1.1, and what is read of a body at once.
const HEAD: usize = 64 << 10;

/// A connection, as long as it is counted.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self(metrics.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Errors of `accept` that are of the one connection, which is gone.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
