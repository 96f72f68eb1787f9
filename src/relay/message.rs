//! From the bytes of a body to the message that may go on: out of its frame and its compression, scrubbed, and back. No
//! waiting, so that it can run on any thread. A panic is held here, too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;

use super::answer::Protocol;
use super::budget::Share;
use super::compression::{self, Compression, Plain, Undone};
use super::engine::Engine;
use super::fault::Fault;
use super::grpc;
use super::head::Head;
use super::metrics::Metrics;
use super::patience::Patience;
use super::settings::UpstreamProtocol;
use super::upstream::Upstream;
use crate::audit::Trail;
use crate::otlp::{self, Encoding, Refused, Signal};
use crate::scan::Ask;

/// A message that may go on.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) encoding: Encoding,
    pub(super) bytes: Bytes,
    pub(super) compression: Compression,
    /// The message in the frame of gRPC that it came in, if it goes on as it came.
    pub(super) frame: Option<Bytes>,
    pub(super) has_changed: bool,
    /// How long it was before it was scrubbed and compressed, and is, if scrubbing has made it longer.
    pub(super) grown: Option<(usize, usize)>,
}

/// A message that may not go on yet.
pub(super) struct Opened {
    body: Bytes,
    came: Bytes,
    compression: Compression,
    plain: Option<Plain>,
    stop: Ask,
}

/// Text of fewer bytes takes no longer than a few milliseconds, whatever it is: asking the system for the time would take some
/// of what scrubbing the usual text of that length takes.
const QUICK: usize = 4 << 10;
const WINDOW: &str = "the window of zstd is over 8 MiB; let the exporter take a smaller one or gzip";

/// Takes a message out of its frame and its compression, if it has no more than `most` bytes then. `None`: it has. From now
/// on its time counts.
pub(super) fn open(
    head: Head,
    body: &Bytes,
    most: usize,
    patience: &Patience,
    share: &mut Share,
) -> Result<Option<Opened>, Fault> {
    let is_quick = body.len() < QUICK && head.compression == Compression::None;
    let stop = if is_quick { Arc::new(|| false) } else { patience.ask() };
    held(|| {
        let (came, is_compressed) = match head.protocol {
            Protocol::Grpc => grpc::message(body)?,
            Protocol::Http(_) => (body.clone(), head.compression != Compression::None),
        };
        if is_compressed && head.compression == Compression::None {
            return Err(Fault::Malformed("the message is compressed, but no compression is named"));
        }
        let compression = if is_compressed { head.compression } else { Compression::None };
        let plain = match compression {
            Compression::None if came.len() > most => return Ok(None),
            Compression::None => None,
            how => match compression::decompress(how, &came, most, share) {
                Ok(plain) => Some(plain),
                Err(Undone::TooLarge) => return Ok(None),
                Err(Undone::Malformed) => return Err(Fault::Malformed("the compression is broken")),
                Err(Undone::Window) => return Err(Fault::Malformed(WINDOW)),
                Err(Undone::NoRoom) => return Err(Fault::Overloaded),
            },
        };
        Ok(Some(Opened { body: body.clone(), came, compression, plain, stop }))
    })
}

/// Scrubs a message for an upstream.
pub(super) fn scrub(
    head: Head,
    opened: Opened,
    engine: &Engine,
    metrics: &Metrics,
    audit: Option<&Trail>,
    upstream: &Upstream,
    share: &mut Share,
) -> Result<Message, Fault> {
    let start = Instant::now();
    let message = held(|| scrub_opened(head, opened, engine, metrics, audit, upstream, share));
    // What was stopped is refused, or begun anew elsewhere.
    if !matches!(message, Err(Fault::Refused(Refused::Stopped))) {
        metrics.scrubbed(head.signal, start.elapsed());
    }
    message
}

fn scrub_opened(
    head: Head,
    opened: Opened,
    engine: &Engine,
    metrics: &Metrics,
    audit: Option<&Trail>,
    upstream: &Upstream,
    share: &mut Share,
) -> Result<Message, Fault> {
    let Opened { body, came, compression, plain, stop } = opened;
    let mut encoding = head.protocol.encoding();
    let needs_protobuf = upstream.protocol() == UpstreamProtocol::Grpc && encoding == Encoding::Json;
    let mut text = plain.as_ref().map_or(&came[..], |plain| &plain.bytes);
    // What is looked at is what is sent.
    let protobuf;
    if needs_protobuf {
        protobuf = otlp::to_protobuf(head.signal, text)?;
        take(share, protobuf.len())?;
        (encoding, text) = (Encoding::Protobuf, &protobuf);
    }
    let changed = changed(head.signal, encoding, text, engine, metrics, audit, &stop)?;
    let has_changed = changed.is_some();
    let grown = changed.as_ref().map(|changed| (text.len(), changed.len())).filter(|(was, is)| is > was);
    let upward = upstream.compression(compression);
    let goes_as_it_came = !has_changed
        && !needs_protobuf
        && compression == upward
        && plain.as_ref().is_none_or(|plain| plain.is_all);
    if goes_as_it_came {
        let frame = (head.protocol == Protocol::Grpc).then_some(body);
        return Ok(Message { encoding, bytes: came, compression, frame, has_changed, grown });
    }
    let bytes: Bytes = match (upward, changed) {
        (Compression::None, Some(changed)) => changed.into(),
        (how, changed) => compression::compress(how, changed.as_deref().unwrap_or(text)).into(),
    };
    take(share, bytes.len())?;
    Ok(Message { encoding, bytes, compression: upward, frame: None, has_changed, grown })
}

/// What a message becomes, if anything was found in it; that is counted and noted.
pub(super) fn changed(
    signal: Signal,
    encoding: Encoding,
    text: &[u8],
    engine: &Engine,
    metrics: &Metrics,
    audit: Option<&Trail>,
    stop: &Ask,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut outcome = engine.scrub_until(signal, encoding, text, stop)?;
    if let Some(trail) = audit {
        outcome.note(trail, source(signal));
    }
    for (rule, count) in &outcome.findings {
        metrics.found(rule, signal, *count);
    }
    if outcome.removed > 0 {
        metrics.removed(signal, outcome.removed);
    }
    Ok(outcome.changed)
}

/// What an audit trail calls requests of a signal.
fn source(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "otlp/traces",
        Signal::Logs => "otlp/logs",
        Signal::Metrics => "otlp/metrics",
        Signal::Profiles => "otlp/profiles",
    }
}

pub(super) fn take(share: &mut Share, more: usize) -> Result<(), Fault> {
    if share.grow(more) { Ok(()) } else { Err(Fault::Overloaded) }
}

/// What `work` gives; a panic is a fault that the same bytes would lead to again.
pub(super) fn held<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Internal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_for_good() {
        let work = || if true { panic!("as the engine might, with hunterCanary") } else { Ok(()) };
        assert_eq!(held(work), Err(Fault::Internal));
        assert_eq!(held(|| Ok(1)), Ok(1));
    }
}
