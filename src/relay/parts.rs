//! A request that scrubbing has made longer, and that is then more than the upstream takes, goes on in parts: each no
//! longer than the client's request was. An upstream that would have taken that takes each of them.
//!
//! They go one after the other, and the client has one answer. The upstream has said that it took nothing of the whole, and
//! each record is in one part, so none is there twice; but where a part has to be tried again, the client sends all of it
//! again. (Of `RESOURCE_EXHAUSTED` without a delay it is an assumption that nothing was taken: it may be a quota.)

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Answered, Clean, Said};
use super::budget::{Budget, Share};
use super::compression::{self, Compression, Undone};
use super::crew::Kind;
use super::exchange::{Exchange, LARGE, LARGE_ANSWER};
use super::fault::{Code, Fault};
use super::head::Head;
use super::message::{self, take};
use super::patience::{LONG, Patience};
use super::upstream::{Incoming, Outgoing, Upstream};
use crate::otlp::{self, Encoding, Parts};

/// The most parts of a request: who waits for more of them has given up.
const MOST_PARTS: usize = 64;
/// How many times as long as the request they may be together: what resources and scopes hold is in each.
const MOST_TIMES: usize = 4;
/// The most bytes of what upstreams say of parts, put together.
const MOST_TEXT: usize = 4 << 10;

/// A request that has grown, kept until the upstream has answered.
pub(super) struct Grown {
    encoding: Encoding,
    headers: HeaderMap,
    /// As it went on; it holds the request's share of memory.
    message: Bytes,
    compression: Compression,
    until: Option<Instant>,
    /// How long it was before it was scrubbed, and is, not compressed.
    was: usize,
    is: usize,
}

impl std::fmt::Debug for Grown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grown").field("was", &self.was).field("is", &self.is).finish_non_exhaustive()
    }
}

impl Grown {
    /// Keeps what goes out, and room for that and its headers.
    pub(super) fn keep(
        outgoing: &mut Outgoing,
        (was, is): (usize, usize),
        headers: usize,
        budget: &Budget,
    ) -> Self {
        let mut share = std::mem::replace(&mut outgoing.share, budget.share());
        share.give_back_to(outgoing.message.len() + headers);
        outgoing.message = share.hold(std::mem::take(&mut outgoing.message));
        let Outgoing { encoding, ref headers, ref message, compression, until, .. } = *outgoing;
        Self { encoding, headers: headers.clone(), message: message.clone(), compression, until, was, is }
    }
}

/// A request, as it is being divided.
struct Divided {
    parts: Parts<Bytes>,
    /// How long the largest part is.
    largest: usize,
    /// For the request, and for a part that is being made.
    _share: Share,
}

/// A part, as it goes on.
struct Made {
    message: Bytes,
    share: Share,
    records: u64,
}

impl Exchange {
    /// Sends a request in parts that the upstream says is too large. `None`: it cannot be divided, and nothing was sent.
    pub(super) async fn in_parts(
        self: &Arc<Self>,
        head: Head,
        grown: Grown,
        upstream: &Arc<Upstream>,
    ) -> Result<Option<Answered>, Fault> {
        let Grown { encoding, headers, message, compression, until, was, is } = grown;
        let is_large = is >= LARGE;
        let exchange = self.clone();
        // As protobuf, JSON is scrubbed once more.
        let is_scrubbed = encoding == Encoding::Json;
        let (patience, _waiting) = Patience::while_waiting(self.limits.scrub.min(LONG));
        let work = move || exchange.divide(head, encoding, &message, compression, (was, is), &patience);
        let Some(mut divided) = self.work(is_large || is_scrubbed, until, work).await? else {
            return Ok(None);
        };
        // What was found in it may be what could not be written.
        self.pass()?;
        self.metrics.split(head.signal);
        let mut joined = Joined::default();
        loop {
            let exchange = self.clone();
            let work = move || {
                let made = exchange.make(&mut divided, compression)?;
                Ok((divided, made))
            };
            let (rest, made) = self.work(is_large, until, work).await?;
            divided = rest;
            let Some(Made { message, share, records }) = made else { break };
            // The client has gone; it sends all of it again.
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(Fault::Late);
            }
            let outgoing = Outgoing {
                encoding: Encoding::Protobuf,
                headers: headers.clone(),
                message,
                compression,
                frame: None,
                until,
                share,
            };
            let incoming = self.send(head, upstream, outgoing).await?;
            let clean = self.read_answer(head, upstream, incoming).await?;
            if clean.code() == Code::UNIMPLEMENTED && upstream.forget_zstd(compression) {
                return Err(Fault::UpstreamBroken);
            }
            if let Some(again) = joined.take(clean, records) {
                return joined.found_in(again.answered_in(head.protocol)).map(Some);
            }
        }
        joined.answered(head).map(Some)
    }

    /// Makes ready to divide a request; it cannot be that always.
    fn divide(
        &self,
        head: Head,
        encoding: Encoding,
        message: &Bytes,
        compression: Compression,
        (was, is): (usize, usize),
        patience: &Patience,
    ) -> Result<Option<Divided>, Fault> {
        let mut share = self.budget.share();
        let plain: Bytes = match compression {
            Compression::None => message.clone(),
            how => match compression::decompress(how, message, is, &mut share) {
                Ok(plain) => plain.bytes.into(),
                Err(Undone::NoRoom) => return Err(Fault::Overloaded),
                Err(Undone::Malformed | Undone::TooLarge | Undone::Window) => return Err(Fault::Internal),
            },
        };
        let is_json = encoding == Encoding::Json;
        let body = if is_json {
            let Some(body) = self.to_protobuf(head, &plain, patience, &mut share)? else { return Ok(None) };
            body
        } else {
            plain
        };
        let len = body.len();
        let Ok(parts) = Parts::new(head.signal, body, was) else { return Ok(None) };
        let Ok(sizes) = parts.sizes() else { return Ok(None) };
        // One part of protobuf is what was refused.
        let is_divided = sizes.count > 1 || is_json;
        if !is_divided || sizes.count > MOST_PARTS || sizes.total > MOST_TIMES * len {
            return Ok(None);
        }
        take(&mut share, sizes.largest)?;
        Ok(Some(Divided { parts, largest: sizes.largest, _share: share }))
    }

    /// A scrubbed request of JSON as protobuf, which is what parts are. What is looked at is what is sent, so it is
    /// scrubbed as that, too. `None`: it is none.
    fn to_protobuf(
        &self,
        head: Head,
        json: &[u8],
        patience: &Patience,
        share: &mut Share,
    ) -> Result<Option<Bytes>, Fault> {
        take(share, json.len())?;
        let Ok(body) = otlp::to_protobuf(head.signal, json) else { return Ok(None) };
        take(share, body.len().saturating_sub(json.len()))?;
        let Self { engine, metrics, audit, .. } = self;
        let stop = patience.ask();
        let audit = audit.as_deref();
        let changed = message::changed(head.signal, Encoding::Protobuf, &body, engine, metrics, audit, &stop);
        let changed = match changed {
            Err(Fault::Refused(_)) => return Ok(None),
            changed => changed?,
        };
        take(share, changed.as_ref().map_or(0, Vec::len))?;
        Ok(Some(changed.unwrap_or(body).into()))
    }

    /// Makes the next part, if there is one.
    fn make(&self, divided: &mut Divided, compression: Compression) -> Result<Option<Made>, Fault> {
        let mut share = self.budget.share();
        take(&mut share, divided.largest)?;
        // It was walked over to its end before.
        let Some(part) = divided.parts.next_part().map_err(|_| Fault::Internal)? else { return Ok(None) };
        let message: Bytes = match compression {
            Compression::None => part.body.into(),
            how => compression::compress(how, &part.body).into(),
        };
        if compression != Compression::None {
            take(&mut share, message.len())?;
        }
        Ok(Some(Made { message, share, records: part.records }))
    }

    /// Does what takes a while where large messages are scrubbed, and not for longer than a client waits.
    async fn work<T: Send + 'static>(
        &self,
        is_large: bool,
        until: Option<Instant>,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let work = || message::held(work);
        if !is_large {
            return work();
        }
        let work = self.crew.work(Kind::Answer, work);
        let done = match until {
            Some(until) => timeout_at(until, work).await.map_err(|_| Fault::Late)?,
            None => work.await,
        };
        done.ok_or(Fault::Internal)?
    }

    /// Reads what an upstream has answered.
    pub(super) async fn read_answer(
        self: &Arc<Self>,
        head: Head,
        upstream: &Upstream,
        incoming: Incoming,
    ) -> Result<Clean, Fault> {
        let is_large = incoming.body.len() >= LARGE_ANSWER;
        let (exchange, spoken) = (self.clone(), upstream.protocol());
        self.work(is_large, None, move || answer::read(&exchange.engine, incoming, spoken, head.signal)).await
    }
}

/// What was said of the parts so far.
#[derive(Default)]
struct Joined {
    is_taken: bool,
    /// Records that were not taken, and what was said of that.
    rejected: u64,
    why: String,
    /// The first part's that was refused.
    refusal: Option<Clean>,
    found: usize,
}

impl Joined {
    /// Takes what was said of a part with so many records; gives it back if it has to be tried again, and so all of them.
    fn take(&mut self, clean: Clean, records: u64) -> Option<Clean> {
        match clean.said() {
            Said::Again => return Some(clean),
            Said::Taken { rejected, why } => {
                self.is_taken = true;
                self.reject(rejected, &why);
            }
            Said::Refused { why } => {
                self.reject(records, &why);
                if self.refusal.is_none() {
                    self.refusal = Some(clean);
                    return None;
                }
            }
        }
        self.found += clean.found();
        None
    }

    fn reject(&mut self, rejected: u64, why: &str) {
        self.rejected = self.rejected.saturating_add(rejected);
        if why.is_empty() || self.why.split(BETWEEN).any(|said| said == why) {
            return;
        }
        let between = if self.why.is_empty() { "" } else { BETWEEN };
        if self.why.len() + between.len() + why.len() <= MOST_TEXT {
            self.why.push_str(between);
            self.why.push_str(why);
        }
    }

    /// What the client gets when the last part was answered for good.
    fn answered(mut self, head: Head) -> Result<Answered, Fault> {
        match self.refusal.take() {
            Some(refusal) if !self.is_taken => self.found_in(refusal.for_good().answered_in(head.protocol)),
            refusal => {
                self.found += refusal.map_or(0, |refusal| refusal.found());
                self.found_in(answer::taken(head.signal, self.rejected, &self.why, head.protocol))
            }
        }
    }

    /// With what was found in the answers before.
    fn found_in(&self, answered: Result<Answered, Fault>) -> Result<Answered, Fault> {
        answered.map(|answered| Answered { found: answered.found + self.found, ..answered })
    }
}

/// What stands between two texts.
const BETWEEN: &str = "; ";
