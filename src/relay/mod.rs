//! The relay: takes OTLP over gRPC and HTTP, scrubs it, and forwards it; a synchronous hop.
//!
//! A client's request is answered with what the upstream has answered, so nothing is held that a client believes to be
//! safe, and nothing is sent twice. What is clean goes on as it came, compressed as it came. What cannot be scrubbed is
//! refused for good.
//!
//! The path of a request: `listen` takes the connection; `exchange` tells what it is (`head`), lets it in, reads it (`body`,
//! `budget`), has it taken out of its compression and scrubbed (`message`, `compression`, `engine`) and sends it on
//! (`upstream`); `answer` makes the client's answer of the upstream's. What has grown too large for the upstream goes on in
//! `parts`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sockets, certificates and clocks are dealt with here"
)]

mod address;
mod admin;
mod answer;
mod auth;
mod authority;
mod body;
mod budget;
mod canary;
mod companion;
mod compression;
mod connect;
mod crew;
mod early;
mod engine;
mod exchange;
mod fault;
mod grpc;
mod head;
mod headtime;
mod http;
mod listen;
mod message;
mod metrics;
mod parts;
mod patience;
mod punctual;
mod reload;
mod settings;
mod sink;
mod socket;
mod stall;
mod tls;
mod upstream;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};

pub use address::{Address, BadAddress, Place, Url};
pub use companion::{Companion, Ended, Ending, Host, LogsUpstream, Verdict};
pub use compression::Compression;
pub use engine::Scrubbing;
pub use reload::{Watch, watch_files};
pub use settings::{
    ClientTls, Limits, PerSignal, ServerTls, Settings, Upstream, UpstreamCompression, UpstreamProtocol,
};
#[cfg(feature = "pod")]
pub(crate) use socket::Bound;
pub use socket::SOCKET_MODE;
pub use tls::BadTls;

use crate::sanitize::Sanitizer;
use admin::Readiness;
use auth::Tokens;
use budget::Budget;
use canary::Canary;
use companion::Beside;
use crew::Crew;
use engine::Engine;
use exchange::Exchange;
use head::Port;
use listen::{Handler, Listener};
use metrics::Metrics;
use reload::Reload;
use sink::Sink;
use socket::Socket;
use tls::Listeners;
use upstream::BadUpstream;

/// Where rules come from.
pub trait Rules: Send + Sync {
    /// Reads them.
    /// # Errors
    /// What is wrong with them, by file, line and item; nothing that was scanned.
    fn load(&self) -> Result<Arc<Sanitizer>, String>;

    /// Reads them again.
    fn reload(&self) -> Reloaded {
        match self.load() {
            Ok(sanitizer) => Reloaded { sanitizer: Some(sanitizer), ..Reloaded::default() },
            Err(why) => Reloaded { wrong: vec![why], ..Reloaded::default() },
        }
    }

    /// Reads at once, when a file has changed, what a program may write as soon as it is there: values that are learned. They
    /// come on top of what is in use. `None`: there are none. What is wrong is not told: all is read again once nothing is
    /// half written any more.
    fn learn_more(&self) -> Option<Arc<Sanitizer>> {
        None
    }

    /// The files that they are in.
    fn files(&self) -> Vec<PathBuf>;

    /// After how long they are to be read again though no file changes.
    fn due(&self) -> Option<Duration> {
        None
    }
}

/// What came of reading rules again.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// What is used from now on; `None`: what was.
    pub sanitizer: Option<Arc<Sanitizer>>,
    /// What is wrong, by file, line and item; of that, what was read before stays in use.
    pub wrong: Vec<String>,
    /// What is to be said beside that.
    pub notes: Vec<String>,
    /// Secrets may have changed that are not found: they could not be read.
    pub is_behind: bool,
}

/// Why a relay did not start.
#[derive(Debug)]
pub enum CannotStart {
    /// The rules.
    Rules(String),
    /// Certificates.
    Tls(BadTls),
    /// Tokens.
    Tokens(String),
    /// The URL of an upstream.
    Upstream(BadAddress),
    /// An address to listen at.
    Listen(Address, io::Error),
    /// An upstream that is this relay.
    Loop(Address),
    /// No rule finds the canary.
    Canary,
    /// What runs beside the relay.
    Companion(String),
    /// The system.
    System(io::Error),
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(why) | Self::Tokens(why) | Self::Companion(why) => f.write_str(why),
            Self::Tls(why) => why.fmt(f),
            Self::Upstream(why) => write!(f, "upstream: {why}"),
            Self::Listen(address, error) => write!(f, "cannot listen at {address}: {error}"),
            Self::Loop(address) => write!(
                f,
                "the upstream is where requests are taken ({address}), so they would go round; name another upstream \
                 (OTEL_EXPORTER_OTLP_ENDPOINT may be set for the whole pod) or another address to listen at"
            ),
            Self::Canary => f.write_str(
                "no rule finds the canary; keep the built-in rule password, or leave --canary out",
            ),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for CannotStart {}

impl From<BadUpstream> for CannotStart {
    fn from(bad: BadUpstream) -> Self {
        match bad {
            BadUpstream::Tls(bad) => Self::Tls(bad),
            BadUpstream::Address(bad) => Self::Upstream(bad),
        }
    }
}

impl From<BadTls> for CannotStart {
    fn from(bad: BadTls) -> Self {
        Self::Tls(bad)
    }
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All requests under way were answered.
    Drained,
    /// The deadline came first; clients of what was under way will try again.
    CutOff,
    /// A second signal came first.
    Interrupted,
    /// What runs beside the relay had not delivered everything at the deadline.
    Undelivered,
    /// What runs beside the relay could not go on, and has said why.
    Failed,
}

/// Runs a relay until SIGTERM or SIGINT, and drains it then; a second signal ends it at once. What runs beside it ends with
/// it, and ends it.
/// # Errors
/// What is wrong with the settings or the rules, before anything was taken.
pub fn run(
    settings: Settings,
    rules: impl Rules + 'static,
    companion: Option<Arc<dyn Companion>>,
) -> Result<End, CannotStart> {
    let mut builder = if settings.threads > 1 {
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(settings.threads);
        builder
    } else {
        runtime::Builder::new_current_thread()
    };
    // Files are read again there, and names looked up, by what may take long to answer.
    builder.enable_all().max_blocking_threads(8).thread_name("kasm-scrub");
    let runtime = builder.build().map_err(CannotStart::System)?;
    let end = runtime.block_on(serve(settings, Arc::new(rules), companion));
    // What is still being scrubbed is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    end
}

async fn serve(
    mut settings: Settings,
    rules: Arc<dyn Rules>,
    companion: Option<Arc<dyn Companion>>,
) -> Result<End, CannotStart> {
    // First: a signal that comes while starting is not lost, and neither is a change of a file.
    let mut signals = Signals::new().map_err(CannotStart::System)?;
    if let Some(address) = settings.loops() {
        return Err(CannotStart::Loop(address.clone()));
    }
    let others = files(&settings);
    let changed = Arc::new(Notify::new());
    let watch = reload::watch(reload::files(&*rules, &others), &changed);
    settings.limits.connections =
        settings.limits.connections.min(raise_descriptors(settings.limits.in_flight));
    let metrics = Arc::new(Metrics::new(|registry| companion.iter().for_each(|own| own.register(registry))));
    let sanitizer = rules.load().map_err(CannotStart::Rules)?;
    metrics.rules(&sanitizer);
    let engine = Arc::new(Engine::new(sanitizer, settings.policy, settings.scrubbing));
    let tokens = settings.tokens.as_deref().map(Tokens::read).transpose().map_err(CannotStart::Tokens)?;
    let tokens = tokens.map(Arc::new);
    let tls = settings.tls.as_ref().map(|told| Listeners::new(told, &["h2", "http/1.1"]));
    let tls = tls.transpose()?.map(Arc::new);
    let upstreams = settings.upstreams.as_ref().map(upstreams).transpose()?;
    let budget = Budget::new(settings.limits.memory);
    let readiness = Arc::new(Readiness::default());
    let (drain, draining) = watch::channel(false);
    let (alive, mut all_gone) = mpsc::channel(1);
    let listener = Listener {
        name: "admin",
        handler: admin::handler(metrics.clone(), readiness.clone(), budget.clone(), settings.audit.clone()),
        tls: None,
        limits: settings.limits,
        metrics: metrics.clone(),
        places: Arc::new(Semaphore::new(settings.limits.connections)),
        draining,
        _alive: alive,
    };
    // Held here, so that the admin port stays open while others drain: it has to say so.
    let (_never, always) = watch::channel(false);
    if let Some(address) = &settings.admin {
        admin_of(&listener, always).open(address, settings.socket_mode).await?;
    }
    let ports = ports(&settings);
    let mut canary = None;
    if let Some(upstreams) = upstreams.clone().filter(|_| !ports.is_empty()) {
        let exchange = Arc::new(Exchange {
            engine: engine.clone(),
            metrics: metrics.clone(),
            audit: settings.audit.clone(),
            upstreams,
            tokens: tokens.clone(),
            limits: settings.limits,
            budget,
            in_flight: Arc::new(Semaphore::new(settings.limits.in_flight)),
            crew: Crew::start(settings.threads.max(1)).map_err(CannotStart::System)?,
            slow: Crew::start(1).map_err(CannotStart::System)?,
        });
        for &(port, name, address) in &ports {
            let handler = handler(exchange.clone(), port);
            let listener = Listener { name, handler, tls: tls.clone(), ..listener.clone() };
            listener.open(address, settings.socket_mode).await?;
        }
        if let Some(every) = settings.canary {
            canary = Some((self::canary(&ports, &exchange, &readiness, &listener)?, every));
        }
    }
    // Last: it takes nothing before all else is open.
    let logs = upstreams.as_ref().map(|all| {
        LogsUpstream::new(runtime::Handle::current(), all.logs.clone(), engine.clone(), metrics.clone())
    });
    let beside =
        Beside::start(companion.clone(), engine.sanitizer(), logs).map_err(CannotStart::Companion)?;
    match canary {
        Some((canary, every)) => drop(tokio::spawn(canary.run(every))),
        None => readiness.started.store(true, Ordering::Relaxed),
    }
    drop(listener);
    let metrics_of_drain = metrics.clone();
    let reload = Reload {
        rules,
        others,
        engine,
        tls,
        tokens,
        upstreams,
        metrics,
        readiness: readiness.clone(),
        companion,
    };
    tokio::spawn(Arc::new(reload).run(changed.clone(), watch));
    let drained = async |most| {
        // All of them may have ended already.
        let _ = drain.send(true);
        drained(most, &metrics_of_drain, &mut all_gone).await
    };
    Ok(end(&mut signals, || changed.notify_one(), &readiness, beside, settings.drain, drained).await)
}

/// Waits for the end to be told, or for what runs beside to have ended; then for all to be drained.
async fn end(
    signals: &mut Signals,
    on_hang_up: impl Fn(),
    readiness: &Readiness,
    mut beside: Beside,
    most: Duration,
    drained: impl AsyncFnOnce(Duration) -> End,
) -> End {
    tokio::select! {
        () = signals.wait(on_hang_up) => {}
        () = beside.ended() => {}
    }
    tracing::info!("draining");
    readiness.draining.store(true, Ordering::Relaxed);
    let both = async { tokio::join!(drained(most), beside.drained(most)) };
    let end = tokio::select! {
        (relay, beside) = both => match beside {
            Ending::Drained => relay,
            Ending::Undelivered => End::Undelivered,
            Ending::Failed => End::Failed,
        },
        () = signals.wait(|| {}) => End::Interrupted,
    };
    tracing::info!(?end, "ended");
    end
}

/// An upstream for each signal.
fn upstreams(told: &PerSignal<Upstream>) -> Result<PerSignal<Arc<upstream::Upstream>>, CannotStart> {
    told.try_map(|signal, told| {
        upstream::Upstream::new(told, signal, None).map(Arc::new).map_err(CannotStart::from)
    })
}

/// Waits until all connections have ended, or at least all requests, for no longer than `most`. A client that says nothing,
/// or has sent half a head, has no request under way.
async fn drained(most: Duration, metrics: &Metrics, all_gone: &mut mpsc::Receiver<Infallible>) -> End {
    let start = Instant::now();
    loop {
        if timeout(LOOK, all_gone.recv()).await.is_ok() {
            return End::Drained;
        }
        let is_idle = metrics.in_flight.get() == 0;
        match start.elapsed() {
            elapsed if is_idle && elapsed >= GRACE.min(most) => return End::Drained,
            elapsed if elapsed >= most => return End::CutOff,
            _ => {}
        }
    }
}

/// How often it is looked whether requests are under way.
const LOOK: Duration = Duration::from_millis(50);
/// How long connections without a request are waited for: one may be about to come in.
const GRACE: Duration = Duration::from_secs(1);

/// The listener of the admin port: few connections, and none that says nothing for long.
fn admin_of(listener: &Listener, draining: watch::Receiver<bool>) -> Listener {
    let short = Duration::from_secs(5);
    let limits = Limits { head: short, read: short, idle: short, ..listener.limits };
    let (alive, _) = mpsc::channel(1);
    Listener {
        limits,
        // Its connections are not those of clients.
        metrics: Arc::new(Metrics::new(|_| {})),
        places: Arc::new(Semaphore::new(64)),
        draining,
        _alive: alive,
        ..listener.clone()
    }
}

fn ports(settings: &Settings) -> Vec<(Port, &'static str, &Address)> {
    let grpc = settings.grpc.iter().map(|address| (Port::Grpc, "otlp-grpc", address));
    grpc.chain(settings.http.iter().map(|address| (Port::Http, "otlp-http", address))).collect()
}

fn handler(exchange: Arc<Exchange>, port: Port) -> Handler {
    Arc::new(move |request| Box::pin(exchange.clone().answer(port, request)))
}

impl Listener {
    /// Listens at an address, and says so.
    async fn open(self, address: &Address, mode: u32) -> Result<(), CannotStart> {
        let cannot = |error| CannotStart::Listen(address.clone(), error);
        let socket = Socket::bind(address, mode).await.map_err(cannot)?;
        let at = socket.address().map_err(cannot)?;
        tracing::info!(listener = self.name, address = %at, tls = self.tls.is_some(), "listening");
        tokio::spawn(self.run(socket));
        Ok(())
    }
}

/// The canary, and the sink it flies to.
fn canary(
    ports: &[(Port, &'static str, &Address)],
    exchange: &Exchange,
    readiness: &Arc<Readiness>,
    listener: &Listener,
) -> Result<Canary, CannotStart> {
    let dresses = canary::dresses(&exchange.engine);
    if dresses.is_empty() {
        return Err(CannotStart::Canary);
    }
    let sink = Arc::new(Sink::default());
    let upstreams = exchange.upstreams.try_map(|signal, own| {
        let mut told = own.settings().clone();
        // Credentials are for the upstream alone.
        told.headers.clear();
        let (connections, taken) = mpsc::channel(1);
        tokio::spawn(sink.clone().run(taken, told.protocol));
        upstream::Upstream::new(&told, signal, Some(connections)).map(Arc::new).map_err(CannotStart::from)
    })?;
    // Its requests are not counted with those of clients, and have room when others have none.
    let own = Arc::new(Exchange {
        engine: exchange.engine.clone(),
        metrics: Arc::new(Metrics::new(|_| {})),
        audit: None,
        upstreams,
        tokens: None,
        limits: exchange.limits,
        budget: Budget::new(1 << 20),
        in_flight: Arc::new(Semaphore::new(1)),
        crew: exchange.crew.clone(),
        slow: exchange.slow.clone(),
    });
    let (alive, _) = mpsc::channel(1);
    let (never, always) = watch::channel(false);
    let listen = |port| Listener {
        name: "canary",
        draining: always.clone(),
        handler: handler(own.clone(), port),
        tls: None,
        metrics: own.metrics.clone(),
        _alive: alive.clone(),
        ..listener.clone()
    };
    let mut kinds: Vec<Port> = Vec::new();
    for &(port, ..) in ports {
        if !kinds.contains(&port) {
            kinds.push(port);
        }
    }
    Ok(Canary {
        ports: kinds.into_iter().map(|port| (port, listen(port))).collect(),
        draining: listener.draining.clone(),
        _never: never,
        sink,
        metrics: exchange.metrics.clone(),
        readiness: readiness.clone(),
        dresses,
    })
}

/// The files that are read again when they change, beside those of the rules.
fn files(settings: &Settings) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = settings.tokens.iter().cloned().collect();
    if let Some(ServerTls { cert, key, client_ca }) = &settings.tls {
        files.extend([cert.clone(), key.clone()]);
        files.extend(client_ca.clone());
    }
    for upstream in settings.upstreams.iter().flat_map(PerSignal::all) {
        let ClientTls { ca, identity } = &upstream.tls;
        files.extend(ca.clone());
        files.extend(identity.iter().flat_map(|(cert, key)| [cert.clone(), key.clone()]));
    }
    files
}

/// The signals that a relay knows.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the relay.
    async fn wait(&mut self, on_hang_up: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => on_hang_up(),
            }
        }
    }
}

/// Descriptors that are not for clients, beside one for each request under way: those of files, of the admin port, and of
/// connections to upstreams that are kept.
const OWN_DESCRIPTORS: usize = 192;

/// A connection is a descriptor, and the usual limit of 1024 is one of shells. How many connections there may be.
fn raise_descriptors(in_flight: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // As many as there were, then.
    let _ = setrlimit(Resource::Nofile, limit);
    let most = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| most as usize);
    most.saturating_sub(OWN_DESCRIPTORS + in_flight).max(1)
}
