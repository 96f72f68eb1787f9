//! Where the canary flies to: an upstream inside this process that keeps the last thing it was sent, as any receiver would
//! read it. There is no socket that leads here.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::Receiver;

use super::body::Whole;
use super::fault::Code;
use super::grpc;
use super::settings::UpstreamProtocol;
use super::upstream::plain;

/// The header that tells requests of the canary apart.
pub(super) const MARK: &str = "kasm-scrub-canary";

/// What arrived last.
#[derive(Debug, Default)]
pub(super) struct Sink(Mutex<Option<Arrived>>);

#[derive(Debug)]
struct Arrived {
    mark: u64,
    /// The message as it can be read; `None`: it cannot.
    message: Option<Bytes>,
}

impl Sink {
    /// Answers what comes over these connections, as an upstream would.
    pub(super) async fn run(
        self: Arc<Self>,
        mut connections: Receiver<DuplexStream>,
        spoken: UpstreamProtocol,
    ) {
        while let Some(stream) = connections.recv().await {
            let sink = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let sink = sink.clone();
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes());
                        let mark = parts.headers.get(MARK).and_then(|mark| mark.to_str().ok()?.parse().ok());
                        if let (Some(mark), Ok(body)) = (mark, body) {
                            let message = message(spoken, &parts.headers, body);
                            *sink.0.lock().unwrap_or_else(PoisonError::into_inner) =
                                Some(Arrived { mark, message });
                        }
                        Ok::<_, Infallible>(taken(spoken))
                    }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                // A connection that breaks is a canary that does not arrive.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    /// What arrived with this mark; in it `None`: something that cannot be read.
    pub(super) fn take(&self, mark: u64) -> Option<Option<Bytes>> {
        let arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (arrived.mark == mark).then_some(arrived.message)
    }
}

/// A message as a receiver reads it.
fn message(spoken: UpstreamProtocol, headers: &HeaderMap, body: Bytes) -> Option<Bytes> {
    match spoken {
        UpstreamProtocol::Grpc => match grpc::message(&body).ok()? {
            (message, true) => plain(message, headers.get(grpc::ENCODING)).ok(),
            (message, false) => Some(message),
        },
        UpstreamProtocol::Http => plain(body, headers.get(CONTENT_ENCODING)).ok(),
    }
}

/// The answer of an upstream that has taken everything.
fn taken(spoken: UpstreamProtocol) -> Response<Whole> {
    match spoken {
        UpstreamProtocol::Grpc => {
            let body = Whole::new(grpc::prefix(0, false), Bytes::new());
            let mut response = Response::new(body.with_trailers(grpc::trailers(Code::OK, b"", None)));
            response.headers_mut().insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
            response
        }
        UpstreamProtocol::Http => Response::new(Whole::default()),
    }
}
