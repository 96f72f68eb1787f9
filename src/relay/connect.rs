//! Connections to upstreams: TCP, TLS and Unix sockets, for the HTTP client.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::address::Place;
use super::listen::Stream;
use super::tls::Reread;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to an upstream.
pub(super) struct Upward(TokioIo<Box<dyn Stream>>);

impl Connection for Upward {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Upward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Upward {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, pieces)
    }
}

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
}

impl Connector {
    /// `tls` is for a place with TLS. With `sink`, connections lead there in place of the place.
    pub(super) fn new(place: Place, tls: Option<Arc<Reread<ClientConfig>>>, sink: Option<Sinks>) -> Self {
        Self { place, tls, sink }
    }

    async fn connect(self) -> io::Result<Upward> {
        if let Some(sink) = &self.sink {
            let (ours, theirs) = duplex(DUPLEX);
            sink.send(theirs).await.map_err(io::Error::other)?;
            return Ok(Upward(TokioIo::new(Box::new(ours))));
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
        Ok(Upward(TokioIo::new(stream)))
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
