//! The way to an upstream: a request out, its answer back, whole. Nothing is tried a second time: that is the client's
//! to decide, who knows what it has sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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
use super::connect::{Connector, Sinks};
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
/// The most bytes of an answer's headers, and of its trailers.
const HEADERS: u32 = 64 << 10;
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
    /// When the client stops waiting, if it says so.
    pub(super) until: Option<Instant>,
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
    client: RwLock<Client<Connector, Whole>>,
    connector: Connector,
    tls: Option<Arc<Reread<ClientConfig>>>,
    /// It has said that it takes zstd.
    takes_zstd: AtomicBool,
    state: Mutex<State>,
}

/// Whether an upstream answers.
#[derive(Debug)]
struct State {
    is_up: bool,
    /// What our log said last, and when.
    was_up: bool,
    said: Option<Instant>,
}

/// An upstream that comes and goes is told about this often.
const SAID_EVERY: Duration = Duration::from_secs(10);

impl Upstream {
    /// The upstream of a signal. With `sink`, connections lead there and to no socket.
    pub(super) fn new(settings: &Settings, signal: Signal, sink: Option<Sinks>) -> Result<Self, BadUpstream> {
        let is_grpc = settings.protocol == UpstreamProtocol::Grpc;
        let is_tls = matches!(settings.place, Place::Tcp { tls: true, .. }) && sink.is_none();
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
        let connector = Connector::new(settings.place.clone(), tls.clone(), sink, settings.timeout);
        Ok(Self {
            settings: settings.clone(),
            uri,
            host,
            client: RwLock::new(client(is_grpc, connector.clone())),
            connector,
            tls,
            takes_zstd: AtomicBool::new(false),
            state: Mutex::new(State { is_up: true, was_up: true, said: None }),
        })
    }

    /// Reads certificates again. New ones are for new connections, so all are made anew.
    pub(super) fn reread(&self) -> Result<(), BadTls> {
        if let Some(tls) = &self.tls {
            tls.reread()?;
            let new = client(self.protocol() == UpstreamProtocol::Grpc, self.connector.clone());
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
        Ok(())
    }

    /// Whether it answered the last time, or was not asked yet.
    pub(super) fn is_up(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_up
    }

    /// What it was told to be.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn protocol(&self) -> UpstreamProtocol {
        self.settings.protocol
    }

    /// How a message that came with this compression goes on.
    pub(super) fn compression(&self, came: Compression) -> Compression {
        let takes_zstd = self.takes_zstd.load(Ordering::Relaxed);
        match self.settings.compression {
            UpstreamCompression::Always(compression) => compression,
            UpstreamCompression::AsCame if came == Compression::Zstd && !takes_zstd => Compression::Gzip,
            UpstreamCompression::AsCame => came,
        }
    }

    /// One of several upstreams behind a name does not take zstd, though another does. `true`: it is not sent again, and
    /// the request can be tried once more.
    pub(super) fn forget_zstd(&self, sent: Compression) -> bool {
        let is_ours = sent == Compression::Zstd && self.settings.compression == UpstreamCompression::AsCame;
        if is_ours {
            self.takes_zstd.store(false, Ordering::Relaxed);
        }
        is_ours
    }

    /// Sends a request and waits for the whole answer. Says so when the upstream goes away, and when it is back.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<Incoming, Fault> {
        let until = Instant::now() + self.settings.timeout;
        let is_clients = outgoing.until.is_some_and(|own| own < until);
        let sent = self.exchange(outgoing, until).await;
        // A client that does not wait says nothing of the upstream.
        if !(is_clients && sent.as_ref().err() == Some(&Fault::UpstreamTimeout)) {
            self.tell(sent.as_ref().err());
        }
        sent
    }

    /// Tells of a change, but not of every one of many.
    fn tell(&self, fault: Option<&Fault>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_up = fault.is_none();
        let is_quiet = state.said.is_none_or(|said| said.elapsed() > SAID_EVERY);
        if state.was_up == state.is_up || !is_quiet {
            return;
        }
        (state.was_up, state.said) = (state.is_up, Some(Instant::now()));
        match fault {
            Some(fault) => {
                tracing::warn!(upstream = %self.settings.place, reason = fault.reason(), "the upstream does not answer");
            }
            None => tracing::info!(upstream = %self.settings.place, "the upstream answers again"),
        }
    }

    async fn exchange(&self, outgoing: Outgoing, until: Instant) -> Result<Incoming, Fault> {
        let until = outgoing.until.map_or(until, |own| own.min(until));
        let request = self.request(outgoing, until)?;
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let response = match tokio::time::timeout_at(until, client.request(request)).await {
            Err(_) => return Err(Fault::UpstreamTimeout),
            Ok(Err(error)) if error.is_connect() => return Err(Fault::Unreachable),
            Ok(Err(_)) => return Err(Fault::UpstreamBroken),
            Ok(Ok(response)) => response,
        };
        let (parts, body) = response.into_parts();
        let bounds = Bounds { most: MOST_ANSWER, piece: self.settings.timeout, until, said: |_| None };
        // Answers are few bytes and bounded each: they are not counted with requests.
        let read = match body::read(body, bounds, &mut Budget::new(2 * MOST_ANSWER).share()).await {
            Ok(read) => read,
            // The status counts also where there is too much of a body, or the end of it is missing.
            Err(Unread::TooLarge | Unread::NoRoom | Unread::Broken) if !parts.status.is_success() => {
                body::Read::default()
            }
            Err(Unread::TooLarge | Unread::NoRoom) => return Err(Fault::BadAnswer),
            Err(Unread::Late) => return Err(Fault::UpstreamTimeout),
            Err(Unread::Broken) => return Err(Fault::UpstreamBroken),
        };
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

    fn request(&self, outgoing: Outgoing, until: Instant) -> Result<Request<Whole>, Fault> {
        let Outgoing { encoding, mut headers, message, compression, frame, until: _, share } = outgoing;
        let is_compressed = compression != Compression::None;
        let name = HeaderValue::from_static(compression.name());
        let (body, version) = match self.settings.protocol {
            UpstreamProtocol::Grpc => {
                headers.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
                headers.insert(TE, HeaderValue::from_static("trailers"));
                headers.insert(grpc::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                headers.insert(grpc::TIMEOUT, grpc::timeout_value(until - Instant::now()));
                if is_compressed {
                    headers.insert(grpc::ENCODING, name);
                }
                let body = match frame {
                    Some(frame) => Whole::new(Bytes::new(), share.hold(frame)),
                    None => Whole::new(grpc::prefix(message.len(), is_compressed), share.hold(message)),
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
                (Whole::new(Bytes::new(), share.hold(message)), http::Version::HTTP_11)
            }
        };
        if !headers.contains_key(USER_AGENT) {
            headers.insert(
                USER_AGENT,
                HeaderValue::from_static(concat!("kasm-scrub/", env!("CARGO_PKG_VERSION"))),
            );
        }
        for name in self.settings.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.settings.headers {
            headers.append(name, value.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// A client of HTTP with connections of its own.
fn client(is_grpc: bool, connector: Connector) -> Client<Connector, Whole> {
    let mut client = Client::builder(TokioExecutor::new());
    client.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
    client.pool_max_idle_per_host(IDLE).http2_only(is_grpc).set_host(false);
    client.http2_initial_stream_window_size(WINDOW).http2_initial_connection_window_size(WINDOW);
    client
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    client.http2_max_header_list_size(HEADERS);
    client.build(connector)
}

/// An answer's body without its compression.
pub(super) fn plain(body: Bytes, compression: Option<&HeaderValue>) -> Result<Bytes, Fault> {
    if body.is_empty() {
        return Ok(body);
    }
    let name = compression.map_or("", |value| value.to_str().unwrap_or("?")).to_ascii_lowercase();
    match Compression::by_name(name.trim()).ok_or(Fault::BadAnswer)? {
        Compression::None => Ok(body),
        how => {
            let mut share = Budget::new(3 * MOST_ANSWER).share();
            let plain = compression::decompress(how, &body, MOST_ANSWER, &mut share);
            plain.map(|plain| plain.bytes.into()).map_err(|_| Fault::BadAnswer)
        }
    }
}
