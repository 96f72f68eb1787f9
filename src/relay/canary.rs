//! The canary: every so often a request with a made-up secret goes the way of all requests, to a sink of our own in the
//! upstream's place. If the secret arrives, or nothing does, the relay is not ready.
//!
//! It enters behind the sockets (no certificate or token is asked of it) and takes all else that a request takes: HTTP,
//! frames, decompression, the rules in use, the client for upstreams.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sha2::{Digest, Sha256};
use tokio::io::duplex;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::admin::Readiness;
use super::answer::Protocol;
use super::body::Whole;
use super::engine::Engine;
use super::exchange::Port;
use super::listen::Listener;
use super::metrics::{Event, Metrics};
use super::settings::UpstreamProtocol;
use super::{grpc, http};
use crate::otlp::{self, Encoding, Signal};

/// How long one request of the canary may take.
const PATIENCE: Duration = Duration::from_secs(10);
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

/// How a secret is dressed: text of a record or span, and an attribute.
type Dress = fn(&str) -> (String, String, String);

/// Ways that secrets come in. Those that the rules find when the relay starts are the canary's.
const DRESSES: [Dress; 4] = [
    |secret| (format!("login failed password={secret} from canary"), "canary.note".into(), "none".into()),
    |secret| ("canary".into(), "db.password".into(), secret.into()),
    |secret| ("canary".into(), "url.full".into(), format!("https://canary.invalid/?token={secret}")),
    |secret| ("canary".into(), "http.request.header.authorization".into(), format!("Bearer {secret}")),
];

/// What the sink was sent, by the mark of a request.
#[derive(Debug, Default)]
pub(super) struct Sink {
    bodies: Mutex<HashMap<String, Vec<u8>>>,
}

/// The head that tells requests of the canary apart at the sink.
const MARK: &str = "kasm-scrub-canary";

impl Sink {
    /// Answers requests at `listener` as an upstream would.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, spoken: UpstreamProtocol) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            let sink = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let sink = sink.clone();
                    async move {
                        let mark = request
                            .headers()
                            .get(MARK)
                            .and_then(|mark| mark.to_str().ok().map(str::to_owned));
                        let body = request.into_body().collect().await.map(|body| body.to_bytes());
                        if let (Some(mark), Ok(body)) = (mark, body) {
                            let mut bodies = sink.bodies.lock().unwrap_or_else(PoisonError::into_inner);
                            // Only what is waited for: others on this machine may send here, too.
                            if let Some(kept) = bodies.get_mut(&mark) {
                                *kept = body.to_vec();
                            }
                        }
                        Ok::<_, Infallible>(taken(spoken))
                    }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    fn expect(&self, mark: &str) {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).insert(mark.to_owned(), Vec::new());
    }

    fn take(&self, mark: &str) -> Vec<u8> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).remove(mark).unwrap_or_default()
    }
}

/// The answer of an upstream that has taken everything.
fn taken(spoken: UpstreamProtocol) -> Response<Whole> {
    match spoken {
        UpstreamProtocol::Grpc => {
            let body = Whole::new(grpc::prefix(0, false), Bytes::new());
            let trailers = grpc::trailers(super::fault::Code::OK, b"", None);
            let mut response = Response::new(body.with_trailers(trailers));
            response.headers_mut().insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
            response
        }
        UpstreamProtocol::Http => Response::new(Whole::default()),
    }
}

/// Sends the canary.
#[derive(Debug)]
pub(super) struct Canary {
    /// A listener with the same handler as the real one, but the sink for an upstream; for each port.
    pub(super) ports: Vec<(Port, Listener)>,
    pub(super) sink: Arc<Sink>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    /// Which dresses are worn.
    pub(super) dresses: Vec<usize>,
}

/// The ways of bringing secrets in that the rules find now; none: there can be no canary.
pub(super) fn dresses(engine: &Engine) -> Vec<usize> {
    let secret = secret(0);
    let is_found = |&dress: &usize| {
        SIGNALS.iter().all(|&signal| {
            let body = request(signal, DRESSES[dress](&secret));
            let scrubbed = engine.scrub(signal, Encoding::Json, body.as_bytes());
            scrubbed.is_ok_and(|outcome| outcome.changed.is_some_and(|body| !holds(&body, secret.as_bytes())))
        })
    };
    (0..DRESSES.len()).filter(is_found).collect()
}

/// A secret that was never alive, another one each time.
fn secret(count: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let hash = Sha256::digest(format!("{now} {count} {}", std::process::id()));
    hash[..12].iter().fold("Dead".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A request in JSON with a text and an attribute.
fn request(signal: Signal, (text, key, value): (String, String, String)) -> String {
    let attributes = format!(r#""attributes":[{{"key":"{key}","value":{{"stringValue":"{value}"}}}}]"#);
    let ids = r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#;
    match signal {
        Signal::Traces => format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{ids},"name":"{text}",{attributes}}}]}}]}}]}}"#
        ),
        Signal::Logs => format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{ids},"body":{{"stringValue":"{text}"}},{attributes}}}]}}]}}]}}"#
        ),
        Signal::Metrics | Signal::Profiles => format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"canary","description":"{text}","gauge":{{"dataPoints":[{{"asInt":"1",{attributes}}}]}}}}]}}]}}]}}"#
        ),
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Canary {
    /// Sends the canary again and again.
    pub(super) async fn run(self, every: Duration) {
        let mut count = 0;
        loop {
            let failed = self.round(&mut count).await.err();
            let had_failed = self.readiness.canary_failed.swap(failed.is_some(), Ordering::Relaxed);
            self.metrics.event(if failed.is_some() { Event::CanaryFailed } else { Event::CanaryScrubbed });
            match failed {
                Some(why) => tracing::error!(why, "the canary failed; not ready"),
                None if had_failed => tracing::info!("the canary is scrubbed again; ready"),
                None => {}
            }
            sleep(every).await;
        }
    }

    /// One canary for each signal, port and encoding.
    async fn round(&self, count: &mut u64) -> Result<(), &'static str> {
        for (port, listener) in &self.ports {
            let protocols: &[Protocol] = match port {
                Port::Grpc => &[Protocol::Grpc],
                Port::Http => &[Protocol::Http(Encoding::Protobuf), Protocol::Http(Encoding::Json)],
            };
            for &protocol in protocols {
                for signal in SIGNALS {
                    for &dress in &self.dresses {
                        *count += 1;
                        let flown =
                            timeout(PATIENCE, self.fly(listener, protocol, signal, dress, *count)).await;
                        flown.map_err(|_| "it did not arrive in time")??;
                    }
                }
            }
        }
        Ok(())
    }

    async fn fly(
        &self,
        listener: &Listener,
        protocol: Protocol,
        signal: Signal,
        dress: usize,
        count: u64,
    ) -> Result<(), &'static str> {
        let secret = secret(count);
        let mark = format!("{count}-{}", &secret[4..]);
        let mark =
            Sha256::digest(mark)[..8].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let json = request(signal, DRESSES[dress](&secret)).into_bytes();
        let body = match protocol.encoding() {
            Encoding::Json => json,
            Encoding::Protobuf => otlp::to_protobuf(signal, &json).map_err(|_| "it could not be written")?,
        };
        let (path, content_type, body) = match protocol {
            Protocol::Grpc => (
                grpc::path(signal),
                grpc::CONTENT_TYPE,
                Whole::new(grpc::prefix(body.len(), false), body.into()),
            ),
            Protocol::Http(encoding) => {
                (http::path(signal), http::content_type(encoding), Whole::new(Bytes::new(), body.into()))
            }
        };
        let mut request =
            Request::post(format!("http://localhost{path}")).body(body).map_err(|_| "no request")?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(MARK, HeaderValue::from_str(&mark).map_err(|_| "no mark")?);
        self.sink.expect(&mark);
        let sent = self.send(listener, protocol, request).await;
        let arrived = self.sink.take(&mark);
        sent?;
        if arrived.is_empty() {
            Err("it did not arrive")
        } else if holds(&arrived, secret.as_bytes()) {
            Err("it came out")
        } else {
            Ok(())
        }
    }

    /// Sends a request over a connection that is no socket.
    async fn send(
        &self,
        listener: &Listener,
        protocol: Protocol,
        mut request: Request<Whole>,
    ) -> Result<(), &'static str> {
        let (ours, theirs) = duplex(64 << 10);
        let listener = listener.clone();
        let server = tokio::spawn(async move { listener.serve(theirs).await });
        let broken = "its connection broke";
        let io = TokioIo::new(ours);
        let status = match protocol {
            Protocol::Grpc => {
                let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
                let (mut sender, connection) = made.map_err(|_| broken)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(|_| broken)?.status()
            }
            Protocol::Http(_) => {
                request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
                *request.uri_mut() = request.uri().path().parse().map_err(|_| "no request")?;
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(io).await.map_err(|_| broken)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(|_| broken)?.status()
            }
        };
        server.abort();
        if status.is_success() { Ok(()) } else { Err("it was refused") }
    }
}
