//! One request, from its head to its answer: told apart, let in, read, decompressed, scrubbed, forwarded, answered.
//!
//! The client has its answer when the upstream has given one, not before: what it was told is taken is upstream.

use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, Version};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{self, Answered, Protocol};
use super::auth::Tokens;
use super::body::{self, Bounds, Unread, Whole};
use super::budget::{Budget, Share};
use super::compression::{self, Compression, Undone};
use super::engine::Engine;
use super::fault::Fault;
use super::metrics::{Event, Metrics};
use super::settings::{Limits, PerSignal, UpstreamProtocol};
use super::upstream::{Outgoing, Upstream};
use super::{grpc, http};
use crate::otlp::{self, Encoding, Signal};

/// What is spoken at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Grpc,
    Http,
}

/// Bodies from this size on are scrubbed on a thread of their own, so that others need not wait for them.
const LARGE: usize = 128 << 10;
/// Compressed ones from this size on.
const LARGE_COMPRESSED: usize = 16 << 10;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) engine: Arc<Engine>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) upstreams: PerSignal<Arc<Upstream>>,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) in_flight: Arc<Semaphore>,
}

/// What a request's head says.
#[derive(Clone, Copy, Debug)]
struct Head {
    signal: Signal,
    protocol: Protocol,
    compression: Compression,
}

/// A message that may go on.
struct Scrubbed {
    encoding: Encoding,
    message: Bytes,
    compression: Compression,
    frame: Option<Bytes>,
    has_changed: bool,
}

impl Exchange {
    /// Answers a request.
    pub(super) async fn answer(self: Arc<Self>, port: Port, request: Request<Incoming>) -> Response<Whole> {
        let start = Instant::now();
        let (parts, body) = request.into_parts();
        let spoken = spoken(port, &parts);
        let head = match head(port, &parts) {
            Ok(head) => head,
            Err(fault) => {
                self.metrics.refused(None, &fault);
                return answer::fault(&fault, spoken);
            }
        };
        self.metrics.in_flight.inc();
        // Also when the client goes away and this future is dropped.
        let _under_way = Dropped(|| {
            self.metrics.in_flight.dec();
        });
        let answered = self.exchange(head, parts, body).await;
        let (response, outcome) = match answered {
            Ok((answered, has_changed)) => {
                self.metrics.found_in_answer(answered.found);
                let outcome = match (answered.is_ok, has_changed) {
                    (false, _) => "failed",
                    (true, true) => "changed",
                    (true, false) => "clean",
                };
                (answered.response, outcome)
            }
            Err(fault) => {
                if fault == Fault::Internal {
                    self.metrics.event(Event::Panicked);
                }
                self.metrics.refused(Some(head.signal), &fault);
                tracing::debug!(reason = fault.reason(), "request not forwarded");
                (answer::fault(&fault, head.protocol), "refused")
            }
        };
        self.metrics.answered(head.signal, head.protocol.name(), outcome, start.elapsed());
        response
    }

    async fn exchange(
        self: &Arc<Self>,
        head: Head,
        parts: Parts,
        body: Incoming,
    ) -> Result<(Answered, bool), Fault> {
        if let Some(tokens) = &self.tokens
            && !tokens.take(parts.headers.get(AUTHORIZATION))
        {
            return Err(Fault::Unauthenticated);
        }
        let upstream = self.upstreams.get(head.signal).ok_or(Fault::Profiles)?;
        let _permit = self.in_flight.try_acquire().map_err(|_| Fault::Overloaded)?;
        let mut share = self.budget.share();
        let bytes = self.read(head, body, &mut share).await?;
        self.metrics.received(head.signal, bytes.len());
        let large = if head.compression == Compression::None { LARGE } else { LARGE_COMPRESSED };
        let (scrubbed, share) = if bytes.len() < large {
            self.scrub(head, bytes, upstream, share)?
        } else {
            let (exchange, upstream) = (self.clone(), upstream.clone());
            let work = move || exchange.scrub(head, bytes, &upstream, share);
            tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Internal)??
        };
        self.metrics.sent(head.signal, scrubbed.message.len());
        let outgoing = Outgoing {
            encoding: scrubbed.encoding,
            headers: self.forwarded(&parts.headers),
            message: scrubbed.message,
            compression: scrubbed.compression,
            frame: scrubbed.frame,
            timeout: parts.headers.get(grpc::TIMEOUT).and_then(grpc::timeout),
            share,
        };
        let sent = Instant::now();
        let incoming = upstream.send(outgoing).await;
        self.metrics.upstream(head.signal, incoming.is_ok(), sent.elapsed());
        let answered =
            answer::answer(&self.engine, incoming?, upstream.protocol(), head.signal, head.protocol)?;
        Ok((answered, scrubbed.has_changed))
    }

    async fn read(&self, head: Head, body: Incoming, share: &mut Share) -> Result<Bytes, Fault> {
        let framing = if head.protocol == Protocol::Grpc { grpc::PREFIX } else { 0 };
        let most = self.engine.most_bytes();
        let Limits { head: piece, read, .. } = self.limits;
        let bounds = Bounds { most: most + framing, piece, until: Instant::now() + read };
        body::read(body, bounds, share).await.map(|read| read.bytes).map_err(|unread| match unread {
            Unread::TooLarge => Fault::TooLarge { most },
            Unread::NoRoom => Fault::Overloaded,
            Unread::Late => Fault::ReadTimeout,
            Unread::Broken => Fault::ReadBroken,
        })
    }

    /// From the bytes of a body to what may go on: no waiting, so that it can run on any thread.
    fn scrub(
        &self,
        head: Head,
        body: Bytes,
        upstream: &Upstream,
        mut share: Share,
    ) -> Result<(Scrubbed, Share), Fault> {
        let start = Instant::now();
        let (came, is_compressed) = match head.protocol {
            Protocol::Grpc => grpc::message(&body)?,
            Protocol::Http(_) => (body.clone(), head.compression != Compression::None),
        };
        if is_compressed && head.compression == Compression::None {
            return Err(Fault::Malformed("the message is compressed, but no compression is named"));
        }
        let compression = if is_compressed { head.compression } else { Compression::None };
        let most = self.engine.most_bytes();
        let plain = if is_compressed {
            compression::decompress(compression, &came, most, &mut share).map(Some).map_err(|undone| {
                match undone {
                    Undone::Malformed => Fault::Malformed("the compression is broken"),
                    Undone::TooLarge => Fault::TooLarge { most },
                    Undone::NoRoom => Fault::Overloaded,
                }
            })?
        } else {
            None
        };
        let mut encoding = head.protocol.encoding();
        let needs_protobuf = upstream.protocol() == UpstreamProtocol::Grpc && encoding == Encoding::Json;
        let mut text = plain.as_ref().map_or(&came[..], |plain| &plain.bytes);
        // What is looked at is what is sent.
        let protobuf;
        if needs_protobuf {
            protobuf = otlp::to_protobuf(head.signal, text)?;
            (encoding, text) = (Encoding::Protobuf, &protobuf);
        }
        let outcome = self.engine.scrub(head.signal, encoding, text)?;
        for (rule, count) in &outcome.findings {
            self.metrics.found(rule, head.signal, *count);
        }
        if outcome.removed > 0 {
            self.metrics.removed(head.signal, outcome.removed);
        }
        let has_changed = outcome.changed.is_some();
        let upward = upstream.compression(compression);
        let goes_as_it_came = !has_changed
            && !needs_protobuf
            && compression == upward
            && plain.as_ref().is_none_or(|plain| plain.is_all);
        let scrubbed = if goes_as_it_came {
            let frame = (head.protocol == Protocol::Grpc).then_some(body);
            Scrubbed { encoding, message: came, compression, frame, has_changed }
        } else {
            let text = outcome.changed.as_deref().unwrap_or(text);
            let message = compression::compress(upward, text).into();
            Scrubbed { encoding, message, compression: upward, frame: None, has_changed }
        };
        self.metrics.scrubbed(head.signal, start.elapsed());
        Ok((scrubbed, share))
    }

    /// The headers of a client that go on: all but those of this one connection and those that are made anew. A token for
    /// us is not for the upstream.
    fn forwarded(&self, headers: &HeaderMap) -> HeaderMap {
        let mut forwarded = HeaderMap::with_capacity(headers.len());
        let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|names| names.split(',')).map(str::trim).collect();
        for (name, value) in headers {
            let is_own = OWN.contains(name)
                || name.as_str().starts_with("proxy-")
                || named.iter().any(|own| name.as_str().eq_ignore_ascii_case(own))
                || (*name == AUTHORIZATION && self.tokens.is_some());
            if !is_own {
                forwarded.append(name, value.clone());
            }
        }
        forwarded
    }
}

const OWN: [HeaderName; 15] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    grpc::ENCODING,
    grpc::ACCEPT_ENCODING,
    grpc::TIMEOUT,
    HeaderName::from_static("keep-alive"),
];

/// Does something when it is dropped.
struct Dropped<F: FnMut()>(F);

impl<F: FnMut()> Drop for Dropped<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// In what a client is told of a request that cannot be told apart.
fn spoken(port: Port, parts: &Parts) -> Protocol {
    let content_type = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    match port {
        Port::Grpc if parts.version == Version::HTTP_2 && grpc::is_content_type(content_type) => {
            Protocol::Grpc
        }
        _ => Protocol::Http(http::encoding(content_type).unwrap_or(Encoding::Json)),
    }
}

fn head(port: Port, parts: &Parts) -> Result<Head, Fault> {
    let header = |name: HeaderName| parts.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let path = parts.uri.path();
    if port == Port::Grpc && parts.version != Version::HTTP_2 {
        return Err(Fault::NotGrpc);
    }
    let signal = match port {
        Port::Grpc => grpc::signal(path),
        Port::Http => http::signal(path),
    };
    let signal = signal.ok_or(Fault::NotFound)?;
    if parts.method != Method::POST {
        return Err(Fault::Method);
    }
    let (protocol, name) = match port {
        Port::Grpc if grpc::is_content_type(header(CONTENT_TYPE)) => (Protocol::Grpc, header(grpc::ENCODING)),
        Port::Grpc => return Err(Fault::ContentType),
        Port::Http => {
            let encoding = http::encoding(header(CONTENT_TYPE)).ok_or(Fault::ContentType)?;
            (Protocol::Http(encoding), header(CONTENT_ENCODING))
        }
    };
    if signal == Signal::Profiles {
        return Err(Fault::Profiles);
    }
    let name = std::str::from_utf8(name).unwrap_or("?").trim().to_ascii_lowercase();
    let compression = Compression::by_name(&name).ok_or(Fault::Compression)?;
    Ok(Head { signal, protocol, compression })
}
