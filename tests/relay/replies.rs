//! What upstreams of the tests answer.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::Semaphore;

use super::requests::{base64, frame};
use super::upstream::{Behaviour, Seen};

/// A connection that is to break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken as told")
    }
}

impl std::error::Error for Broken {}

/// An answer, or none.
pub(crate) type Reply = Result<Response<Pieces>, Broken>;

/// A body in pieces, which may break off, or go on for ever.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pieces: VecDeque<Result<Frame<Bytes>, Broken>>,
    is_stalled: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.pieces.pop_front() {
            None if self.is_stalled => Poll::Pending,
            piece => Poll::Ready(piece),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.is_stalled
    }
}

impl Pieces {
    pub(crate) fn one(bytes: impl Into<Bytes>) -> Self {
        let bytes: Bytes = bytes.into();
        let pieces =
            if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([Ok(Frame::data(bytes))]) };
        Self { pieces, is_stalled: false }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn with_trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.pieces.push_back(Ok(Frame::trailers(map(trailers))));
        self
    }

    /// Never ends, and has nothing more to say.
    pub(crate) fn stalled(self) -> Self {
        Self { is_stalled: true, ..self }
    }

    /// Breaks off here.
    pub(crate) fn broken(mut self) -> Self {
        self.pieces.push_back(Err(Broken));
        self
    }
}

pub(crate) fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let parsed = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
    };
    headers.iter().map(parsed).collect()
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: Pieces) -> Response<Pieces> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    *response.headers_mut() = map(headers);
    response
}

/// An answer of gRPC without a message.
pub(crate) fn grpc(code: u32, message: &str, details: &[u8]) -> Response<Pieces> {
    let (code, details) = (code.to_string(), base64(details));
    let mut headers = vec![("content-type", "application/grpc"), ("grpc-status", code.as_str())];
    if !message.is_empty() {
        headers.push(("grpc-message", message));
    }
    if !details.is_empty() {
        headers.push(("grpc-status-details-bin", &details));
    }
    response(200, &headers, Pieces::default())
}

/// An answer of gRPC with a message.
pub(crate) fn grpc_message(message: &[u8]) -> Response<Pieces> {
    let body = Pieces::one(frame(message, false)).with_trailers(&[("grpc-status", "0")]);
    response(200, &[("content-type", "application/grpc")], body)
}

/// An answer of HTTP.
pub(crate) fn http(status: u16, content_type: &str, body: &[u8]) -> Response<Pieces> {
    let headers: &[_] = if content_type.is_empty() { &[] } else { &[("content-type", content_type)] };
    response(status, headers, Pieces::one(body.to_vec()))
}

/// That everything was taken, in the protocol of the request.
pub(crate) fn taken(seen: &Seen) -> Response<Pieces> {
    if seen.is_grpc() {
        return grpc_message(b"");
    }
    let json = seen.headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    if json { http(200, "application/json", b"{}") } else { http(200, "application/x-protobuf", b"") }
}

/// An upstream that answers at once.
pub(crate) fn answering(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Behaviour {
    Arc::new(move |seen| Box::pin(std::future::ready(answer(&seen))))
}

/// An upstream that takes everything.
pub(crate) fn taking() -> Behaviour {
    answering(|seen| Ok(taken(seen)))
}

/// An upstream that takes a request for each permit.
pub(crate) fn waiting(gate: Arc<Semaphore>) -> Behaviour {
    Arc::new(move |seen| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.acquire().await.map_err(|_| Broken)?.forget();
            Ok(taken(&seen))
        })
    })
}

/// An upstream that never answers.
pub(crate) fn never() -> Behaviour {
    Arc::new(|_| {
        Box::pin(async {
            let never: Infallible = std::future::pending().await;
            match never {}
        })
    })
}
