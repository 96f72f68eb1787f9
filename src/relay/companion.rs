//! What runs beside the relay, in the same process: it shares its signals, its rules, its admin port and its upstream. The
//! relay does not know what it is.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::answer;
use super::budget::Budget;
use super::compression;
use super::engine::Engine;
use super::fault::Fault;
use super::message;
use super::metrics::{Event, Metrics};
use super::upstream::{Outgoing, Upstream};
use crate::otlp::{Encoding, Signal};
use crate::sanitize::Sanitizer;

/// What runs beside the relay. It has threads of its own; nothing here may wait for long.
pub trait Companion: Send + Sync {
    /// Adds its counts to those of the process, before anything starts.
    fn register(&self, registry: &mut Registry);

    /// Starts it, once. It says how it ended through [`Host::ended`].
    /// # Errors
    /// Why it cannot start; nothing that was scanned.
    fn start(&self, host: Host) -> Result<(), String>;

    /// Goes over to other rules.
    fn replace(&self, sanitizer: Arc<Sanitizer>);

    /// Is told to end: what is there is dealt with, and what is not done in `most` is left.
    fn drain(&self, most: Duration);
}

/// How what runs beside the relay has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All that it took is where it is kept.
    Drained,
    /// Some of it is not.
    Undelivered,
    /// It cannot go on, and has said why.
    Failed,
}

/// What a companion is given.
#[derive(Debug)]
pub struct Host {
    /// The rules in use.
    pub sanitizer: Arc<Sanitizer>,
    /// The upstream of logs, if there is one.
    pub upstream: Option<LogsUpstream>,
    ended: Ended,
}

impl Host {
    fn new(sanitizer: Arc<Sanitizer>, upstream: Option<LogsUpstream>) -> (Self, oneshot::Receiver<Ending>) {
        let (say, said) = oneshot::channel();
        (Self { sanitizer, upstream, ended: Ended(Arc::new(Mutex::new(Some(say)))) }, said)
    }

    /// Where it says how it ended.
    pub fn ended(&self) -> Ended {
        self.ended.clone()
    }
}

/// Where a companion says how it ended. If it is gone before that was said, the companion has failed.
#[derive(Clone, Debug)]
pub struct Ended(Arc<Mutex<Option<oneshot::Sender<Ending>>>>);

impl Ended {
    /// Says it; only the first time counts.
    pub fn say(&self, ending: Ending) {
        if let Some(say) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The process may be ending.
            let _ = say.send(ending);
        }
    }
}

/// What runs beside the relay, as long as it does.
pub(super) struct Beside {
    companion: Option<Arc<dyn Companion>>,
    said: Option<oneshot::Receiver<Ending>>,
    ending: Option<Ending>,
}

/// How much longer than told a companion is waited for: it ends by itself then, and says what is left.
const LATE: Duration = Duration::from_secs(1);

impl Beside {
    /// Starts it, if there is one.
    pub(super) fn start(
        companion: Option<Arc<dyn Companion>>,
        sanitizer: Arc<Sanitizer>,
        upstream: Option<LogsUpstream>,
    ) -> Result<Self, String> {
        let Some(own) = &companion else { return Ok(Self { companion, said: None, ending: None }) };
        let (host, said) = Host::new(sanitizer, upstream);
        own.start(host)?;
        Ok(Self { companion, said: Some(said), ending: None })
    }

    /// Waits until it has ended; for ever, if there is none.
    pub(super) async fn ended(&mut self) {
        match &mut self.said {
            // Gone without a word: it has failed.
            Some(said) => self.ending = Some(said.await.unwrap_or(Ending::Failed)),
            None => std::future::pending().await,
        }
    }

    /// Tells it to end, and waits for that.
    pub(super) async fn drained(mut self, most: Duration) -> Ending {
        let Some(companion) = self.companion.clone() else { return Ending::Drained };
        companion.drain(most);
        if self.ending.is_none() && timeout(most + LATE, self.ended()).await.is_err() {
            return Ending::Undelivered;
        }
        self.ending.unwrap_or(Ending::Failed)
    }
}

/// What the upstream made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there, but for so many records, which it will not take.
    Taken {
        /// How many it rejected.
        rejected: u64,
        /// What it says of that: scrubbed, and short.
        why: String,
    },
    /// It may be taken later.
    Again {
        /// After how long, if the upstream says so.
        after: Option<Duration>,
        /// Why not now: scrubbed, and short.
        why: String,
    },
    /// It is too large. Parts of it may be taken.
    TooLarge,
    /// The upstream cannot say what is wrong: it may be the request, it may be the upstream.
    Doubtful {
        /// What it says: scrubbed, and short.
        why: String,
    },
    /// The request is wrong, and will be the next time.
    Refused {
        /// What it says: scrubbed, and short.
        why: String,
    },
}

/// The upstream of logs, for requests of what runs beside the relay. Nothing is scrubbed on this way: what is sent is clean.
#[derive(Clone)]
pub struct LogsUpstream {
    runtime: Handle,
    upstream: Arc<Upstream>,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for LogsUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogsUpstream").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// How often it is asked whether an answer is still waited for.
const LOOK: Duration = Duration::from_millis(100);

impl LogsUpstream {
    pub(super) fn new(
        runtime: Handle,
        upstream: Arc<Upstream>,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { runtime, upstream, engine, metrics }
    }

    /// Sends an `ExportLogsServiceRequest` in protobuf, once, and waits for the answer. `None`: it was given up, or the
    /// process ends. Not to be called from the relay's own threads.
    pub fn send(&self, request: &[u8], is_given_up: impl Fn() -> bool) -> Option<Verdict> {
        let how = self.upstream.compression(compression::Compression::None);
        let outgoing = Outgoing {
            encoding: Encoding::Protobuf,
            headers: HeaderMap::new(),
            message: compression::compress(how, request).into(),
            compression: how,
            frame: None,
            until: None,
            share: Budget::new(0).share(),
        };
        let (say, said) = channel();
        let this = self.clone();
        let task = self.runtime.spawn(async move {
            // Who asked may have given it up.
            let _ = say.send(this.exchange(outgoing).await);
        });
        loop {
            match said.recv_timeout(LOOK) {
                Ok(verdict) => return Some(verdict),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if is_given_up() => {
                    task.abort();
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    async fn exchange(&self, outgoing: Outgoing) -> Verdict {
        let sent = Instant::now();
        let incoming = self.upstream.send(outgoing).await;
        self.metrics.upstream(Signal::Logs, self.upstream.is_up(), sent.elapsed());
        let verdict = incoming.and_then(|incoming| {
            message::held(|| answer::verdict(&self.engine, incoming, self.upstream.protocol()))
        });
        if verdict.as_ref().err() == Some(&Fault::BadAnswer) {
            self.metrics.event(Event::BadAnswer);
        }
        // Where the upstream has no answer, or one that cannot be read, the request is still ours to keep.
        verdict.unwrap_or_else(|fault| Verdict::Again { after: None, why: fault.message() })
    }
}
