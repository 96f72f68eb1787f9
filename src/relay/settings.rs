//! What a relay is told: where it listens, where requests go, and its limits.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;

use super::address::{Address, Place, Url};
use super::compression::Compression;
use super::engine::Scrubbing;
use crate::audit::Trail;
use crate::otlp::{Policy, Signal};

/// Everything that a relay is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where OTLP/gRPC is taken.
    pub grpc: Vec<Address>,
    /// Where OTLP/HTTP is taken.
    pub http: Vec<Address>,
    /// Where `/livez`, `/readyz` and `/metrics` are; none: nowhere.
    pub admin: Option<Address>,
    /// Who may connect to Unix sockets of these, as the mode of a file.
    pub socket_mode: u32,
    /// Certificate and key of the listeners for OTLP; none: no TLS.
    pub tls: Option<ServerTls>,
    /// A file with the bearer tokens that are taken, one a line; none: anyone may send.
    pub tokens: Option<PathBuf>,
    /// Where requests of each signal go; none: no request is taken, and no port for them is open.
    pub upstreams: Option<PerSignal<Upstream>>,
    /// Limits.
    pub limits: Limits,
    /// What may be in a request.
    pub policy: Policy,
    /// How often the canary is sent; none: never.
    pub canary: Option<Duration>,
    /// How long requests under way may take after SIGTERM.
    pub drain: Duration,
    /// How many threads move requests; scrubbing of large ones has as many of its own.
    pub threads: usize,
    /// Where what was found is noted; none: nowhere.
    pub audit: Option<Arc<Trail>>,
    /// Whether requests are scrubbed.
    pub scrubbing: Scrubbing,
}

impl Settings {
    /// The listener that an upstream leads back to, if one does: requests would go round until there is no room.
    pub(super) fn loops(&self) -> Option<&Address> {
        let leads_to = |address: &&Address| {
            self.upstreams.iter().flat_map(PerSignal::all).any(|upstream| match (&upstream.place, address) {
                (Place::Unix(there), Address::Unix(here)) => there == here,
                (Place::Tcp { host, port, .. }, Address::Tcp(here)) => {
                    let (own, own_port) = here.rsplit_once(':').unwrap_or((here, ""));
                    let own = own.trim_matches(['[', ']']);
                    let is_near = |host: &str| {
                        host == "localhost" || host.parse().is_ok_and(|at: IpAddr| at.is_loopback())
                    };
                    own_port == port.to_string()
                        && (own == host || (is_near(host) && (is_near(own) || is_any(own))))
                }
                _ => false,
            })
        };
        self.grpc.iter().chain(&self.http).find(leads_to)
    }
}

fn is_any(host: &str) -> bool {
    host.parse().is_ok_and(|at: IpAddr| at.is_unspecified())
}

/// One thing for each signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerSignal<T> {
    /// For traces.
    pub traces: T,
    /// For logs.
    pub logs: T,
    /// For metrics.
    pub metrics: T,
}

impl<T> PerSignal<T> {
    /// Makes one for each signal.
    /// # Errors
    /// The first that cannot be made.
    pub fn try_new<E>(mut make: impl FnMut(Signal) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { traces: make(Signal::Traces)?, logs: make(Signal::Logs)?, metrics: make(Signal::Metrics)? })
    }

    /// The one for a signal; profiles have none.
    pub(super) fn get(&self, signal: Signal) -> Option<&T> {
        match signal {
            Signal::Traces => Some(&self.traces),
            Signal::Logs => Some(&self.logs),
            Signal::Metrics => Some(&self.metrics),
            Signal::Profiles => None,
        }
    }

    /// Makes one for each signal of those that there are.
    pub(super) fn try_map<U, E>(
        &self,
        mut make: impl FnMut(Signal, &T) -> Result<U, E>,
    ) -> Result<PerSignal<U>, E> {
        let Self { traces, logs, metrics } = self;
        Ok(PerSignal {
            traces: make(Signal::Traces, traces)?,
            logs: make(Signal::Logs, logs)?,
            metrics: make(Signal::Metrics, metrics)?,
        })
    }

    /// All of them.
    pub(super) fn all(&self) -> [&T; 3] {
        let Self { traces, logs, metrics } = self;
        [traces, logs, metrics]
    }
}

/// Certificates of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The chain, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// Who may sign certificates of clients, in PEM; none: clients need none.
    pub client_ca: Option<PathBuf>,
}

/// Certificates of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientTls {
    /// Who may sign the upstream's certificate, in PEM; none: who the system trusts.
    pub ca: Option<PathBuf>,
    /// Our own chain and key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What is spoken with an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP: JSON that comes as such goes on as such, all else as protobuf.
    Http,
}

/// How bodies for an upstream are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UpstreamCompression {
    /// As they came; zstd becomes gzip until the upstream has said that it takes zstd.
    #[default]
    AsCame,
    /// Always so.
    Always(Compression),
}

/// An upstream.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    /// How it is reached.
    pub place: Place,
    /// The path of the signal's requests with OTLP/HTTP.
    pub path: String,
    /// What is spoken with it.
    pub protocol: UpstreamProtocol,
    /// How bodies are compressed.
    pub compression: UpstreamCompression,
    /// What is added to the headers of every request; it beats what the client sent.
    pub headers: HeaderMap,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Certificates.
    pub tls: ClientTls,
}

impl Upstream {
    /// The upstream for a signal at a URL that stands for all signals.
    pub fn at(url: &Url, signal: Signal, protocol: UpstreamProtocol) -> Self {
        Self {
            place: url.place.clone(),
            path: format!("{}{}", url.path.trim_end_matches('/'), super::http::path(signal)),
            protocol,
            compression: UpstreamCompression::default(),
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            tls: ClientTls::default(),
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { place, path, protocol, compression, headers, timeout, tls } = self;
        // Values of headers are credentials.
        let names: Vec<_> = headers.keys().collect();
        let mut shown = f.debug_struct("Upstream");
        shown.field("place", place).field("path", path).field("protocol", protocol);
        shown.field("compression", compression).field("headers", &names);
        shown.field("timeout", timeout).field("tls", tls).finish()
    }
}

/// Limits on clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way.
    pub in_flight: usize,
    /// Bytes that requests under way may hold together. One request needs what it has compressed and decompressed.
    pub memory: usize,
    /// Connections.
    pub connections: usize,
    /// Requests on one connection of HTTP/2.
    pub streams: u32,
    /// How long a TLS handshake, the first bytes of a connection, a head of HTTP/1.1 or a piece of a body may take.
    pub head: Duration,
    /// How long a whole request may take to arrive.
    pub read: Duration,
    /// How much of the processor's time the scrubbing of one request may take. Beyond it the request is refused for good.
    pub scrub: Duration,
    /// How long a connection of HTTP/1.1 may have no request, and nothing of the next one.
    pub idle: Duration,
    /// After how long without a word a connection is asked whether it is still there.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 256,
            memory: 256 << 20,
            connections: 16 << 10,
            streams: 128,
            head: Duration::from_secs(10),
            read: Duration::from_secs(60),
            // Some times what the largest takes of which half is secrets.
            scrub: Duration::from_secs(10),
            // Longer than what exporters wait from one export to the next: 60 s, most often.
            idle: Duration::from_secs(180),
            keep_alive: Duration::from_secs(20),
        }
    }
}
