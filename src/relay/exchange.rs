//! One request, from its head to its answer: told apart, let in, read, scrubbed, forwarded, answered.
//!
//! The client has its answer when the upstream has given one, not before: what it was told is taken is upstream.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, EXPECT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, Version};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Answered, Protocol};
use super::auth::Tokens;
use super::body::{self, Bounds, SaidLen, Unread, Whole};
use super::budget::{Budget, Share};
use super::compression::Compression;
use super::crew::{Crew, Kind};
use super::engine::Engine;
use super::fault::{Code, Fault};
use super::grpc;
use super::head::{self, Head, Port};
use super::message::{self, Message};
use super::metrics::{Event, Metrics, signal_name};
use super::parts::Grown;
use super::patience::{LONG, Patience, SHORT};
use super::settings::{Limits, PerSignal, UpstreamProtocol};
use super::upstream::{self, Outgoing, Upstream};
use crate::audit::{Held, Trail};
use crate::otlp::Refused;

/// Messages from this size on are scrubbed on a thread of their own, so that others need not wait for them.
pub(super) const LARGE: usize = 128 << 10;
/// So are answers, which are rarely more than a few bytes; compressed ones may be many times as large.
pub(super) const LARGE_ANSWER: usize = 8 << 10;
/// The source of what is found in headers, in an audit trail.
const HEADERS: &str = "otlp/headers";
/// What a request counts for before its bytes are there.
const LEAST: usize = 4 << 10;
/// What a header takes beside its name and value.
const HEADER: usize = 100;
/// How long a client of HTTP/1.1 may take to send what is not wanted any more.
const UNWANTED: Duration = Duration::from_secs(5);

/// What all requests share.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) engine: Arc<Engine>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Option<Arc<Trail>>,
    pub(super) upstreams: PerSignal<Arc<Upstream>>,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    /// Places for requests that were read.
    pub(super) in_flight: Arc<Semaphore>,
    /// Who scrubs large messages,
    pub(super) crew: Crew,
    /// and those that take longer than large ones do.
    pub(super) slow: Crew,
}

impl Exchange {
    /// Answers a request.
    pub(super) async fn answer(self: Arc<Self>, port: Port, request: Request<Incoming>) -> Response<Whole> {
        let start = Instant::now();
        let (parts, mut body) = request.into_parts();
        // It has not asked for a word before it sends its body, so it sends it now.
        let sends = parts.version < Version::HTTP_2 && !parts.headers.contains_key(EXPECT);
        let response = match head::read(port, &parts) {
            Ok(head) => self.counted(head, parts, &mut body, start).await,
            Err(fault) => {
                self.metrics.refused(None, &fault);
                answer::fault(&fault, head::spoken(port, &parts))
            }
        };
        if sends && !response.status().is_success() {
            body::drain(&mut body, 2 * self.engine.most_bytes(), Instant::now() + UNWANTED).await;
        }
        response
    }

    /// Answers a request and counts what became of it.
    async fn counted(
        self: &Arc<Self>,
        head: Head,
        parts: Parts,
        body: &mut Incoming,
        start: Instant,
    ) -> Response<Whole> {
        let mut counted = Counted::new(&self.metrics, head, start);
        let (response, outcome) = match self.exchange(head, parts, body, start).await {
            Ok((answered, has_changed)) => {
                self.metrics.found_in_answer(answered.found);
                let outcome = match (answered.code, has_changed) {
                    (Code::OK, true) => "changed",
                    (Code::OK, false) => "clean",
                    _ => "rejected",
                };
                (answered.response, outcome)
            }
            Err(fault) => {
                match fault {
                    Fault::Internal => self.metrics.event(Event::Panicked),
                    Fault::BadAnswer => self.metrics.event(Event::BadAnswer),
                    Fault::Refused(Refused::Stopped) => tracing::warn!(
                        signal = signal_name(head.signal),
                        "scrubbing a request took too long, so it was refused for good; if it is one of yours, let \
                         --scrub-timeout be longer or batches smaller"
                    ),
                    _ => {}
                }
                self.metrics.refused(Some(head.signal), &fault);
                tracing::debug!(reason = fault.reason(), "request not forwarded");
                let outcome = if fault.is_of_upstream() { "unanswered" } else { "refused" };
                (answer::fault(&fault, head.protocol), outcome)
            }
        };
        counted.outcome = outcome;
        response
    }

    async fn exchange(
        self: &Arc<Self>,
        head: Head,
        parts: Parts,
        body: &mut Incoming,
        start: Instant,
    ) -> Result<(Answered, bool), Fault> {
        if let Some(tokens) = &self.tokens
            && !tokens.take(parts.headers.get(AUTHORIZATION))
        {
            return Err(Fault::Unauthenticated);
        }
        let upstream = self.upstreams.get(head.signal).ok_or(Fault::Profiles)?;
        self.pass()?;
        // From when it came, as the client counts.
        let until =
            parts.headers.get(grpc::TIMEOUT).and_then(grpc::timeout).and_then(|wait| start.checked_add(wait));
        let mut share = self.budget.share();
        let held = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER).sum();
        let bytes = self.read(head, body, held, &mut share).await?;
        let _permit = self.in_flight.try_acquire().map_err(|_| Fault::Overloaded)?;
        self.metrics.received(head.signal, bytes.len());
        let scrubbed = self.scrub(head, bytes, upstream, share);
        let (message, share) = match until {
            // The client has gone by then; its message is not sent to be thrown away.
            Some(until) => timeout_at(until, scrubbed).await.map_err(|_| Fault::Late)??,
            None => scrubbed.await?,
        };
        // What was found in it may be what could not be written.
        self.pass()?;
        // The client has gone; what is asked too late is not sent.
        if until.is_some_and(|until| until <= Instant::now()) {
            return Err(Fault::Late);
        }
        let Message { encoding, bytes: message, compression, frame, has_changed, grown } = message;
        let headers = self.headers(&parts.headers);
        // Nor what was found in these.
        self.pass()?;
        let mut outgoing = Outgoing { encoding, headers, message, compression, frame, until, share };
        let grown = grown.map(|lens| Grown::keep(&mut outgoing, lens, LEAST + held, &self.budget));
        let incoming = self.send(head, upstream, outgoing).await?;
        if let Some(grown) = grown
            && answer::is_too_large(&incoming, upstream.protocol())
        {
            let answered = match self.in_parts(head, grown, upstream).await? {
                Some(answered) => answered,
                None => {
                    self.read_answer(head, upstream, incoming).await?.for_good().answered(head.protocol)?
                }
            };
            return Ok((answered, has_changed));
        }
        let answered = self.answered(incoming, upstream.protocol(), head).await?;
        if answered.code == Code::UNIMPLEMENTED && upstream.forget_zstd(compression) {
            return Err(Fault::UpstreamBroken);
        }
        Ok((answered, has_changed))
    }

    /// Sends a message and waits for the upstream's answer.
    pub(super) async fn send(
        &self,
        head: Head,
        upstream: &Upstream,
        outgoing: Outgoing,
    ) -> Result<upstream::Incoming, Fault> {
        let (len, sent) = (outgoing.message.len(), Instant::now());
        let incoming = upstream.send(outgoing).await;
        self.metrics.upstream(head.signal, upstream.is_up(), sent.elapsed());
        let incoming = incoming?;
        self.metrics.sent(head.signal, len);
        Ok(incoming)
    }

    /// The headers that go on, scrubbed; what is found in them is counted and noted.
    fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut values = self.engine.values();
        let headers = head::forwarded(headers, self.tokens.is_some(), &mut values);
        values.findings().for_each(|rule| self.metrics.found_in_header(rule));
        if let Some(trail) = &self.audit {
            values.note(trail, HEADERS);
        }
        headers
    }

    /// Nothing passes while what is found cannot be written to the audit trail.
    pub(super) fn pass(&self) -> Result<(), Fault> {
        let passed = self.audit.as_ref().map_or(Ok(()), |trail| trail.pass());
        passed.map_err(|Held| Fault::Unaudited)
    }

    /// Makes the client's answer of the upstream's; of a large one, where large messages are scrubbed.
    async fn answered(
        self: &Arc<Self>,
        incoming: upstream::Incoming,
        spoken: UpstreamProtocol,
        head: Head,
    ) -> Result<Answered, Fault> {
        let is_large = incoming.body.len() >= LARGE_ANSWER;
        let exchange = self.clone();
        let work = move || {
            message::held(|| answer::answer(&exchange.engine, incoming, spoken, head.signal, head.protocol))
        };
        if is_large { self.crew.work(Kind::Answer, work).await.ok_or(Fault::Internal)? } else { work() }
    }

    async fn read(
        &self,
        head: Head,
        body: &mut Incoming,
        headers: usize,
        share: &mut Share,
    ) -> Result<Bytes, Fault> {
        if !share.grow(LEAST + headers) {
            return Err(Fault::Overloaded);
        }
        let most = self.engine.most_bytes();
        // What does not compress is a little longer compressed.
        let more = if head.compression == Compression::None { 0 } else { most / 64 + 1024 };
        let Limits { head: piece, read, .. } = self.limits;
        let (framing, said): (usize, SaidLen) = match head.protocol {
            Protocol::Grpc => (grpc::PREFIX, grpc::frame_len),
            Protocol::Http(_) => (0, |_| None),
        };
        let bounds = Bounds { most: most + more + framing, piece, until: Instant::now() + read, said };
        body::read(body, bounds, share).await.map(|read| read.bytes).map_err(|unread| match unread {
            Unread::TooLarge => Fault::TooLarge { most },
            Unread::NoRoom => Fault::Overloaded,
            Unread::Late => Fault::ReadTimeout,
            Unread::Broken => Fault::ReadBroken,
        })
    }

    /// Scrubs a message, a large or slow one on a thread of its own.
    async fn scrub(
        self: &Arc<Self>,
        head: Head,
        bytes: Bytes,
        upstream: &Arc<Upstream>,
        mut share: Share,
    ) -> Result<(Message, Share), Fault> {
        let (most, held) = (self.limits.scrub, share.held());
        if bytes.len() < LARGE
            && let Some(opened) =
                message::open(head, &bytes, LARGE, &Patience::new(most.min(SHORT)), &mut share)?
        {
            let Self { engine, metrics, audit, .. } = &**self;
            match message::scrub(head, opened, engine, metrics, audit.as_deref(), upstream, &mut share) {
                // It takes longer than its size tells.
                Err(Fault::Refused(Refused::Stopped)) => {}
                scrubbed => return Ok((scrubbed?, share)),
            }
        }
        share.give_back_to(held);
        let first = (&self.crew, most.min(LONG));
        let (scrubbed, mut share) = self.hand_over(first, head, &bytes, upstream, share).await?;
        match scrubbed {
            // One that is slow makes way for others, and waits for those that are slow as well.
            Err(Fault::Refused(Refused::Stopped)) if most > LONG => {}
            scrubbed => return Ok((scrubbed?, share)),
        }
        share.give_back_to(held);
        let (scrubbed, share) = self.hand_over((&self.slow, most), head, &bytes, upstream, share).await?;
        Ok((scrubbed?, share))
    }

    /// Has a message scrubbed on another thread, for so long at most.
    async fn hand_over(
        self: &Arc<Self>,
        (crew, most): (&Crew, Duration),
        head: Head,
        bytes: &Bytes,
        upstream: &Arc<Upstream>,
        mut share: Share,
    ) -> Result<(Result<Message, Fault>, Share), Fault> {
        let (patience, _waiting) = Patience::while_waiting(most);
        let (exchange, bytes, upstream) = (self.clone(), bytes.clone(), upstream.clone());
        let work = move || {
            let Exchange { engine, metrics, audit, .. } = &*exchange;
            let most = engine.most_bytes();
            let opened = message::open(head, &bytes, most, &patience, &mut share)
                .and_then(|opened| opened.ok_or(Fault::TooLarge { most }));
            let scrubbed = opened.and_then(|opened| {
                message::scrub(head, opened, engine, metrics, audit.as_deref(), &upstream, &mut share)
            });
            (scrubbed, share)
        };
        crew.work(Kind::Request, work).await.ok_or(Fault::Internal)
    }
}

/// A request, as long as it is under way; what became of it is counted then, also when its client has gone away.
struct Counted<'m> {
    metrics: &'m Metrics,
    head: Head,
    start: Instant,
    outcome: &'static str,
}

impl<'m> Counted<'m> {
    fn new(metrics: &'m Metrics, head: Head, start: Instant) -> Self {
        metrics.in_flight.inc();
        Self { metrics, head, start, outcome: "abandoned" }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Self { metrics, head, start, outcome } = self;
        metrics.in_flight.dec();
        metrics.answered(head.signal, head.protocol.name(), outcome, start.elapsed());
    }
}
