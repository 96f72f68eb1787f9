//! The way to an upstream: a request out, its answer back, whole. Nothing is tried a second time: that is the client's
//! to decide, who knows what it has sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, TE, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, http};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::address::{BadAddress, Place};
use super::body::{self, Bounds, Unread, Whole};
use super::budget::{Budget, Share};
use super::compression::{self, Compression};
use super::connect::Connector;
use super::fault::Fault;
use super::grpc;
use super::http as otlp_http;
use super::settings::{Upstream as Settings, UpstreamCompression, UpstreamProtocol};
use super::tls::{self, BadTls, Reread};
use crate::otlp::{Encoding, Signal};

/// The most bytes of an answer, as OTLP 1.11 recommends.
pub(super) const MOST_ANSWER: usize = 4 << 20;
/// What an upstream may send ahead on a connection of HTTP/2.
const WINDOW: u32 = 1 << 20;
/// Idle connections that are kept.
const IDLE: usize = 32;

/// What goes to an upstream.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) encoding: Encoding,
    /// Headers of the client that go on.
    pub(super) headers: HeaderMap,
    /// The message, compressed as said.
    pub(super) message: Bytes,
    pub(super) compression: Compression,
    /// The message in its frame of gRPC, if it came in one and has not changed.
    pub(super) frame: Option<Bytes>,
    /// How long the client waits, if it says so.
    pub(super) timeout: Option<Duration>,
    /// What is held of memory until it is sent.
    pub(super) share: Share,
}

/// What an upstream answered: whole, but as it came. Not scrubbed.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// Why there is no such upstream.
#[derive(Debug)]
pub(super) enum BadUpstream {
    Tls(BadTls),
    Address(BadAddress),
}

/// An upstream for one signal.
#[derive(Debug)]
pub(super) struct Upstream {
    settings: Settings,
    uri: Uri,
    host: HeaderValue,
    client: Client<Connector, Whole>,
    tls: Option<Arc<Reread<ClientConfig>>>,
    /// It has said that it takes zstd.
    takes_zstd: AtomicBool,
    /// It answered the last time, or was not asked yet.
    is_up: AtomicBool,
}

impl Upstream {
    pub(super) fn new(settings: &Settings, signal: Signal) -> Result<Self, BadUpstream> {
        let is_grpc = settings.protocol == UpstreamProtocol::Grpc;
        let is_tls = matches!(settings.place, Place::Tcp { tls: true, .. });
        let files = settings.tls.clone();
        let protocols: &[&str] = if is_grpc { &["h2"] } else { &["http/1.1"] };
        let tls = if is_tls {
            Some(Arc::new(Reread::new(move || tls::client(&files, protocols)).map_err(BadUpstream::Tls)?))
        } else {
            None
        };
        let path = if is_grpc { grpc::path(signal) } else { settings.path.as_str() };
        let uri = settings.place.uri(path).map_err(BadUpstream::Address)?;
        let host = HeaderValue::from_str(&settings.place.authority())
            .map_err(|_| BadUpstream::Address(BadAddress("the host has letters that HTTP does not allow")))?;
        let mut client = Client::builder(TokioExecutor::new());
        client.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        client.pool_max_idle_per_host(IDLE).http2_only(is_grpc).set_host(false);
        client.http2_initial_stream_window_size(WINDOW).http2_initial_connection_window_size(WINDOW);
        client
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        let client = client.build(Connector::new(settings.place.clone(), tls.clone()));
        let (takes_zstd, is_up) = (AtomicBool::new(false), AtomicBool::new(true));
        Ok(Self { settings: settings.clone(), uri, host, client, tls, takes_zstd, is_up })
    }

    /// Reads certificates again.
    pub(super) fn reread(&self) -> Result<(), BadTls> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reread())
    }

    pub(super) fn protocol(&self) -> UpstreamProtocol {
        self.settings.protocol
    }

    /// How a message that came with this compression goes on.
    pub(super) fn compression(&self, came: Compression) -> Compression {
        match self.settings.compression {
            UpstreamCompression::Always(compression) => compression,
            UpstreamCompression::AsCame
                if came == Compression::Zstd && !self.takes_zstd.load(Ordering::Relaxed) =>
            {
                Compression::Gzip
            }
            UpstreamCompression::AsCame => came,
        }
    }

    /// Sends a request and waits for the whole answer. Says so when the upstream goes away, and when it is back.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<Incoming, Fault> {
        let sent = self.exchange(outgoing).await;
        let was_up = self.is_up.swap(sent.is_ok(), Ordering::Relaxed);
        match &sent {
            Err(fault) if was_up => {
                tracing::warn!(upstream = %self.settings.place, reason = fault.reason(), "the upstream does not answer");
            }
            Ok(_) if !was_up => tracing::info!(upstream = %self.settings.place, "the upstream answers again"),
            _ => {}
        }
        sent
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<Incoming, Fault> {
        let timeout =
            outgoing.timeout.map_or(self.settings.timeout, |timeout| timeout.min(self.settings.timeout));
        let until = Instant::now() + timeout;
        let request = self.request(outgoing)?;
        let response = match tokio::time::timeout_at(until, self.client.request(request)).await {
            Err(_) => return Err(Fault::UpstreamTimeout),
            Ok(Err(error)) if error.is_connect() => return Err(Fault::Unreachable),
            Ok(Err(_)) => return Err(Fault::UpstreamBroken),
            Ok(Ok(response)) => response,
        };
        let (parts, body) = response.into_parts();
        let bounds = Bounds { most: MOST_ANSWER, piece: timeout, until };
        // Answers are few bytes and bounded each: they are not counted with requests.
        let read = body::read(body, bounds, &mut Budget::new(2 * MOST_ANSWER).share()).await;
        let read = read.map_err(|unread| match unread {
            Unread::TooLarge | Unread::NoRoom => Fault::BadAnswer,
            Unread::Late => Fault::UpstreamTimeout,
            Unread::Broken => Fault::UpstreamBroken,
        })?;
        if let Some(accepted) = parts.headers.get(grpc::ACCEPT_ENCODING) {
            let takes_zstd =
                accepted.to_str().is_ok_and(|names| names.split(',').any(|name| name.trim() == "zstd"));
            self.takes_zstd.store(takes_zstd, Ordering::Relaxed);
        }
        Ok(Incoming {
            status: parts.status,
            headers: parts.headers,
            body: read.bytes,
            trailers: read.trailers,
        })
    }

    fn request(&self, outgoing: Outgoing) -> Result<Request<Whole>, Fault> {
        let Outgoing { encoding, mut headers, message, compression, frame, timeout: _, share } = outgoing;
        let is_compressed = compression != Compression::None;
        let name = HeaderValue::from_static(compression.name());
        let (body, version) = match self.settings.protocol {
            UpstreamProtocol::Grpc => {
                headers.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
                headers.insert(TE, HeaderValue::from_static("trailers"));
                headers.insert(grpc::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                if is_compressed {
                    headers.insert(grpc::ENCODING, name);
                }
                let body = match frame {
                    Some(frame) => Whole::new(Bytes::new(), frame),
                    None => Whole::new(grpc::prefix(message.len(), is_compressed), message),
                };
                (body, http::Version::HTTP_2)
            }
            UpstreamProtocol::Http => {
                headers.insert(CONTENT_TYPE, otlp_http::content_type(encoding));
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                headers.insert(HOST, self.host.clone());
                if is_compressed {
                    headers.insert(CONTENT_ENCODING, name);
                }
                (Whole::new(Bytes::new(), message), http::Version::HTTP_11)
            }
        };
        if !headers.contains_key(USER_AGENT) {
            headers.insert(
                USER_AGENT,
                HeaderValue::from_static(concat!("kasm-scrub/", env!("CARGO_PKG_VERSION"))),
            );
        }
        for (name, value) in &self.settings.headers {
            headers.insert(name, value.clone());
        }
        let mut request = Request::new(body.holding(share));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// An answer's body without its compression.
pub(super) fn plain(body: Bytes, compression: Option<&HeaderValue>) -> Result<Bytes, Fault> {
    let name = compression.map_or("", |value| value.to_str().unwrap_or("?"));
    match Compression::by_name(name).ok_or(Fault::BadAnswer)? {
        Compression::None => Ok(body),
        _ if body.is_empty() => Ok(body),
        how => {
            let mut share = Budget::new(3 * MOST_ANSWER).share();
            let plain = compression::decompress(how, &body, MOST_ANSWER, &mut share);
            plain.map(|plain| plain.bytes.into()).map_err(|_| Fault::BadAnswer)
        }
    }
}
