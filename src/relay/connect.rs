//! Connections to upstreams: TCP, TLS and Unix sockets, for the HTTP client.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::address::Place;
use super::punctual::Punctual;
use super::socket::Stream;
use super::tls::Reread;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to an upstream.
pub(super) type Upward = TokioIo<Punctual<Box<dyn Stream>>>;

/// Where the other ends of connections go that are no sockets.
pub(super) type Sinks = mpsc::Sender<DuplexStream>;

/// What such a connection holds each way.
const DUPLEX: usize = 64 << 10;

/// Makes connections to one place.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    place: Place,
    tls: Option<Arc<Reread<ClientConfig>>>,
    sink: Option<Sinks>,
    /// How long a write may make no progress.
    stall: Duration,
}

impl Connector {
    /// `tls` is for a place with TLS. With `sink`, connections lead there in place of the place.
    /// Writes that make no progress for `stall` end a connection.
    pub(super) fn new(
        place: Place,
        tls: Option<Arc<Reread<ClientConfig>>>,
        sink: Option<Sinks>,
        stall: Duration,
    ) -> Self {
        Self { place, tls, sink, stall }
    }

    async fn connect(self) -> io::Result<Upward> {
        if let Some(sink) = &self.sink {
            let (ours, theirs) = duplex(DUPLEX);
            sink.send(theirs).await.map_err(io::Error::other)?;
            return Ok(self.upward(Box::new(ours)));
        }
        let stream: Box<dyn Stream> = match &self.place {
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Place::Tcp { host, port, .. } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                match &self.tls {
                    None => Box::new(stream),
                    Some(tls) => {
                        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                        Box::new(TlsConnector::from(tls.get()).connect(name, stream).await?)
                    }
                }
            }
        };
        Ok(self.upward(stream))
    }

    fn upward(&self, stream: Box<dyn Stream>) -> Upward {
        TokioIo::new(Punctual::upward(stream, self.stall))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Upward;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Upward>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            tokio::time::timeout(PATIENCE, connector.connect()).await.map_err(late)?
        })
    }
}
