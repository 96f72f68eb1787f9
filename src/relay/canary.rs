//! The canary: every so often requests with made-up secrets go the way of all requests, to a sink of our own in the
//! upstream's place. If a secret arrives, or nothing does, the relay is not ready.
//!
//! They enter behind the sockets (no certificate or token is asked of them) and take all else that a request takes: HTTP,
//! frames, compression, the rules in use, the client for upstreams.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha2::{Digest, Sha256};
use tokio::io::duplex;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::admin::Readiness;
use super::answer::Protocol;
use super::body::Whole;
use super::compression::{Compression, compress};
use super::engine::Engine;
use super::head::Port;
use super::listen::Listener;
use super::metrics::{Event, Metrics};
use super::sink::{MARK, Sink};
use super::tls::Replaced;
use super::{grpc, http};
use crate::otlp::{self, Encoding, Signal};

/// How long one request of the canary may take.
const PATIENCE: Duration = Duration::from_secs(10);
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

/// How a secret is dressed: text of a record or span, and an attribute.
type Dress = fn(&str) -> (String, String, String);

/// What is in every request of the canary and must arrive.
const HARMLESS: &str = "canary";

/// Ways that secrets come in. Those that the rules find when the relay starts are the canary's.
const DRESSES: [Dress; 4] = [
    |secret| (format!("login failed password={secret} from canary"), "canary.note".into(), "none".into()),
    |secret| ("canary".into(), "db.password".into(), secret.into()),
    |secret| ("canary".into(), "url.full".into(), format!("https://canary.invalid/?token={secret}")),
    |secret| ("canary".into(), "http.request.header.authorization".into(), format!("Bearer {secret}")),
];

/// Sends the canary.
#[derive(Debug)]
pub(super) struct Canary {
    /// A listener with the same handler as the real one, but the sink for an upstream; for each port.
    pub(super) ports: Vec<(Port, Listener)>,
    /// Becomes `true` when the relay ends. Its own listeners do not hear of it: a flight under way arrives.
    pub(super) draining: watch::Receiver<bool>,
    /// Held, so that they hear nothing.
    pub(super) _never: watch::Sender<bool>,
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

/// One request of the canary.
#[derive(Clone, Copy, Debug)]
struct Flight {
    protocol: Protocol,
    compression: Compression,
    signal: Signal,
    dress: usize,
}

/// All ways in at a port: each encoding it takes, each compression, each signal, each dress.
fn flights(port: Port, dresses: &[usize]) -> impl Iterator<Item = Flight> {
    let protocols: &[Protocol] = match port {
        Port::Grpc => &[Protocol::Grpc],
        Port::Http => &[Protocol::Http(Encoding::Protobuf), Protocol::Http(Encoding::Json)],
    };
    let packed =
        protocols.iter().flat_map(|&protocol| Compression::ALL.map(|compression| (protocol, compression)));
    let signals =
        packed.flat_map(|(protocol, compression)| SIGNALS.map(|signal| (protocol, compression, signal)));
    signals.flat_map(move |(protocol, compression, signal)| {
        dresses.iter().map(move |&dress| Flight { protocol, compression, signal, dress })
    })
}

impl Canary {
    /// Sends the canary again and again, until the relay ends.
    pub(super) async fn run(self, every: Duration) {
        let mut draining = self.draining.clone();
        tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => {}
            () = self.fly_for_ever(every) => {}
        }
    }

    async fn fly_for_ever(&self, every: Duration) {
        let mut count = 0;
        loop {
            let failed = self.round(&mut count).await.err();
            let had_failed = self.readiness.canary_failed.swap(failed.is_some(), Ordering::Relaxed);
            self.readiness.started.store(true, Ordering::Relaxed);
            self.metrics.event(if failed.is_some() { Event::CanaryFailed } else { Event::CanaryScrubbed });
            match failed {
                Some((why, flight)) => tracing::error!(
                    why,
                    ?flight,
                    "the canary failed, so this is not ready; if rules were taken out on purpose, start it anew"
                ),
                None if had_failed => tracing::info!("the canary is scrubbed again; ready"),
                None => {}
            }
            sleep(every).await;
        }
    }

    /// One canary for each way in.
    async fn round(&self, count: &mut u64) -> Result<(), (&'static str, Flight)> {
        for (port, listener) in &self.ports {
            for flight in flights(*port, &self.dresses) {
                *count += 1;
                let flown = timeout(PATIENCE, self.fly(listener, flight, *count)).await;
                flown.unwrap_or(Err("it did not arrive in time")).map_err(|why| (why, flight))?;
            }
        }
        Ok(())
    }

    async fn fly(&self, listener: &Listener, flight: Flight, count: u64) -> Result<(), &'static str> {
        let Flight { protocol, compression, signal, dress } = flight;
        let secret = secret(count);
        let json = request(signal, DRESSES[dress](&secret)).into_bytes();
        let body = match protocol.encoding() {
            Encoding::Json => json,
            Encoding::Protobuf => otlp::to_protobuf(signal, &json).map_err(|_| "it could not be written")?,
        };
        let body: Bytes = compress(compression, &body).into();
        let is_compressed = compression != Compression::None;
        let (path, content_type, prefix) = match protocol {
            Protocol::Grpc => {
                (grpc::path(signal), grpc::CONTENT_TYPE, grpc::prefix(body.len(), is_compressed))
            }
            Protocol::Http(encoding) => (http::path(signal), http::content_type(encoding), Bytes::new()),
        };
        let whole = Whole::new(prefix, body);
        let mut request =
            Request::post(format!("http://localhost{path}")).body(whole).map_err(|_| "no request")?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(MARK, HeaderValue::from(count));
        if is_compressed {
            let name = if protocol == Protocol::Grpc { grpc::ENCODING } else { CONTENT_ENCODING };
            headers.insert(name, HeaderValue::from_static(compression.name()));
        }
        self.send(listener, protocol, request).await?;
        let arrived = self.sink.take(count).ok_or("it did not arrive")?;
        match arrived {
            None => Err("it arrived in a form that cannot be read"),
            Some(body) if holds(&body, secret.as_bytes()) => Err("it came out"),
            Some(body) if holds(&body, HARMLESS.as_bytes()) => Ok(()),
            Some(_) => Err("what is harmless in it did not arrive"),
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
        let server = tokio::spawn(async move { listener.serve(theirs, Replaced::never()).await });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_is_flown() {
        for (port, protocols) in [
            (Port::Grpc, &[Protocol::Grpc][..]),
            (Port::Http, &[Protocol::Http(Encoding::Protobuf), Protocol::Http(Encoding::Json)]),
        ] {
            let flown: Vec<Flight> = flights(port, &[0, 2]).collect();
            assert_eq!(flown.len(), protocols.len() * 3 * 3 * 2);
            for &protocol in protocols {
                for name in ["identity", "gzip", "zstd"] {
                    let compression = Compression::by_name(name).expect("it is taken");
                    for signal in SIGNALS {
                        for dress in [0, 2] {
                            let is_it = |flight: &&Flight| {
                                (flight.protocol, flight.compression, flight.signal, flight.dress)
                                    == (protocol, compression, signal, dress)
                            };
                            assert_eq!(
                                flown.iter().filter(is_it).count(),
                                1,
                                "{protocol:?} {name} {signal:?}"
                            );
                        }
                    }
                }
            }
        }
        // A compression that is taken is flown.
        let taken: Vec<&str> = super::super::compression::ACCEPTED.split(',').collect();
        assert_eq!(Compression::ALL.map(Compression::name).to_vec(), taken);
    }
}
