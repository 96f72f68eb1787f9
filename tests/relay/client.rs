//! Clients: gRPC with its frames made here, HTTP/1.1 with protobuf and JSON, and plain connections for bytes that no client
//! would send.

use std::io;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kasm_scrub::otlp::Signal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::PATIENCE;
use super::requests::{Pack, frame, grpc_path, http_path, unbase64};
use super::sidecar::At;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Grpc,
    Protobuf,
    Json,
}

impl Wire {
    pub(crate) const ALL: [Self; 3] = [Self::Grpc, Self::Protobuf, Self::Json];
    /// One for each way of answering.
    pub(crate) const BOTH: [Self; 2] = [Self::Grpc, Self::Protobuf];
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

pub(crate) async fn open(at: &At) -> io::Result<Box<dyn Stream>> {
    Ok(match at {
        At::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        At::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

/// A request, as it is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) wire: Wire,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    /// A request with a message, written as the wire has it.
    pub(crate) fn new(wire: Wire, signal: Signal, pack: Pack, message: &[u8]) -> Self {
        let packed = pack.pack(message);
        let (path, content_type, encoding, body) = match wire {
            Wire::Grpc => {
                (grpc_path(signal), "application/grpc", "grpc-encoding", frame(&packed, pack != Pack::None))
            }
            Wire::Protobuf => (http_path(signal), "application/x-protobuf", "content-encoding", packed),
            Wire::Json => (http_path(signal), "application/json", "content-encoding", packed),
        };
        let ask = Self {
            wire,
            method: Method::POST,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        let ask = ask.with(CONTENT_TYPE.as_str(), content_type);
        let ask = if wire == Wire::Grpc { ask.with("te", "trailers") } else { ask };
        if pack == Pack::None { ask } else { ask.with(encoding, pack.name()) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        self
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// A header or trailer; empty: there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.trailers.get(name).or_else(|| self.headers.get(name));
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// What gRPC says.
    pub(crate) fn code(&self) -> Option<u32> {
        self.header("grpc-status").parse().ok()
    }

    /// What `grpc-status-details-bin` holds.
    pub(crate) fn details(&self) -> Vec<u8> {
        unbase64(self.header("grpc-status-details-bin"))
    }

    /// gRPC's code, or HTTP's status where it is spoken alone.
    pub(crate) fn says(&self, wire: Wire) -> u32 {
        match wire {
            Wire::Grpc => self.code().unwrap_or_else(|| panic!("no grpc-status: {self:?}")),
            Wire::Protobuf | Wire::Json => u32::from(self.status.as_u16()),
        }
    }

    pub(crate) fn is_taken(&self, wire: Wire) -> bool {
        self.status == StatusCode::OK && (wire != Wire::Grpc || self.code() == Some(0))
    }

    /// Everything in it as text, to look for leaks; what is in base64 as it is and undone.
    pub(crate) fn all(&self) -> Vec<u8> {
        let mut all = format!("{:?} {:?}\n", self.headers, self.trailers).into_bytes();
        all.extend(&self.body);
        all.extend(self.details());
        all
    }
}

/// Says what was answered if it is not this: a code of gRPC, and a status of HTTP.
#[track_caller]
pub(crate) fn check(what: &str, wire: Wire, answer: &Answer, (code, status): (u32, u32)) {
    let want = if wire == Wire::Grpc { code } else { status };
    assert_eq!(answer.says(wire), want, "{what} {wire:?}: {answer:?}");
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

/// A connection of a client.
pub(crate) struct Client {
    sender: Sender,
    connection: tokio::task::JoinHandle<()>,
}

impl Client {
    pub(crate) async fn connect(
        wire: Wire,
        at: &At,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self::over(wire, open(at).await?).await?)
    }

    /// Speaks over what is connected already.
    pub(crate) async fn over(wire: Wire, stream: impl Stream) -> Result<Self, hyper::Error> {
        let io = TokioIo::new(stream);
        if wire == Wire::Grpc {
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(8 << 20).initial_connection_window_size(8 << 20);
            let (sender, connection) = builder.handshake(io).await?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            return Ok(Self { sender: Sender::Http2(sender), connection });
        }
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender: Sender::Http1(sender), connection })
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn send(&mut self, ask: &Ask) -> Result<Answer, hyper::Error> {
        timeout(PATIENCE, self.send_and_wait(ask)).await.expect("an answer or an error")
    }

    async fn send_and_wait(&mut self, ask: &Ask) -> Result<Answer, hyper::Error> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.headers_mut() = ask.headers.clone();
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
                *request.uri_mut() = ask.path.parse().expect("a path");
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = format!("http://localhost{}", ask.path).parse().expect("a path");
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A GET of HTTP/1.1 on a connection of its own.
pub(crate) async fn get(at: &At, path: &str) -> Answer {
    let ask = Ask {
        wire: Wire::Json,
        method: Method::GET,
        path: path.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let mut client = Client::connect(Wire::Json, at).await.expect("a connection");
    client.send(&ask).await.expect("an answer")
}
