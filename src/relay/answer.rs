//! From what an upstream answered to what the client gets: scrubbed, in the client's protocol, with the same meaning.
//!
//! Texts of backends quote what they were sent. What cannot be read for certain of a refusal is left out; the status stays.
//! A success that cannot be read is none: it may say of records that they were not taken.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Response, StatusCode};

use super::body::Whole;
use super::companion::Verdict;
use super::compression::ACCEPTED;
use super::engine::Engine;
use super::fault::{Code, Fault};
use super::settings::UpstreamProtocol;
use super::upstream::{Incoming, plain};
use super::{grpc, http};
use crate::otlp::{self, Answer, Encoding, Signal};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http(Encoding),
}

impl Protocol {
    /// Its name in labels.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http(Encoding::Protobuf) => "http_protobuf",
            Self::Http(Encoding::Json) => "http_json",
        }
    }

    /// How its messages are written.
    pub(super) fn encoding(self) -> Encoding {
        match self {
            Self::Grpc => Encoding::Protobuf,
            Self::Http(encoding) => encoding,
        }
    }
}

/// What a client gets, and what there is to count.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) response: Response<Whole>,
    /// What the upstream said, in gRPC's words.
    pub(super) code: Code,
    /// How much was found in the answer.
    pub(super) found: usize,
}

/// An answer's parts, scrubbed.
#[derive(Debug)]
pub(super) struct Clean {
    /// What HTTP says, if the upstream speaks it.
    status: Option<StatusCode>,
    code: Code,
    /// What `grpc-message` says.
    text: Vec<u8>,
    headers: HeaderMap,
    /// An export response or a `google.rpc.Status`, in this encoding.
    message: Option<(Answer, Encoding, Bytes)>,
    /// A body of another content type.
    other: Option<Bytes>,
    delay: Option<Duration>,
    found: usize,
}

/// What a client gets for what an upstream answered.
pub(super) fn answer(
    engine: &Engine,
    incoming: Incoming,
    spoken: UpstreamProtocol,
    signal: Signal,
    client: Protocol,
) -> Result<Answered, Fault> {
    read(engine, incoming, spoken, signal)?.answered(client)
}

/// What an upstream answered, scrubbed.
pub(super) fn read(
    engine: &Engine,
    incoming: Incoming,
    spoken: UpstreamProtocol,
    signal: Signal,
) -> Result<Clean, Fault> {
    match spoken {
        UpstreamProtocol::Grpc => from_grpc(engine, incoming, signal),
        UpstreamProtocol::Http => from_http(engine, incoming, signal),
    }
}

/// What servers in Go say of a body that is too large; the Collector says it with 400.
const BODY_TOO_LARGE: &[u8] = b"request body too large";

/// Whether an upstream says that a request is larger than it takes: none of it was taken then. `OUT_OF_RANGE` is what tonic
/// says of it, though OTLP has it tried again.
pub(super) fn is_too_large(incoming: &Incoming, spoken: UpstreamProtocol) -> bool {
    let Incoming { status, headers, body, trailers } = incoming;
    if *status != StatusCode::OK || spoken == UpstreamProtocol::Http {
        return match *status {
            StatusCode::PAYLOAD_TOO_LARGE => true,
            StatusCode::BAD_REQUEST => memchr::memmem::find(body, BODY_TOO_LARGE).is_some(),
            _ => false,
        };
    }
    let said = trailers.as_ref().unwrap_or(headers);
    match grpc_code(said) {
        Some(Code::RESOURCE_EXHAUSTED) => {
            let details = said.get(grpc::DETAILS).and_then(grpc::details);
            details.is_none_or(|details| otlp::retry_delay(&details).is_none())
        }
        code => code == Some(Code::OUT_OF_RANGE),
    }
}

/// What trailers say.
fn grpc_code(trailers: &HeaderMap) -> Option<Code> {
    trailers.get(grpc::STATUS).and_then(|value| value.to_str().ok()?.parse().ok()).map(Code)
}

/// What became of a part of a request.
#[derive(Debug)]
pub(super) enum Said {
    /// It is there, but for so many records.
    Taken { rejected: u64, why: String },
    /// It may be taken later.
    Again,
    /// It will not be taken.
    Refused { why: String },
}

/// The answer to a request that went on in parts, some of which were taken.
pub(super) fn taken(signal: Signal, rejected: u64, why: &str, client: Protocol) -> Result<Answered, Fault> {
    let mut clean = Clean::new(Code::OK, (HeaderMap::new(), 0));
    let body = otlp::write_partial_success(rejected, why);
    clean.message = Some((Answer::Export(signal), Encoding::Protobuf, body.into()));
    clean.answered(client)
}

/// What became of a request of logs that has no client, by OTLP's table of what is tried again. What the table calls
/// permanent but says nothing of the request (credentials, a path that is not there) is tried again all the same: an operator
/// can mend it, and the records have nobody else who keeps them.
pub(super) fn verdict(
    engine: &Engine,
    incoming: Incoming,
    spoken: UpstreamProtocol,
) -> Result<Verdict, Fault> {
    // Says that the request came too slowly, not that it is wrong.
    let is_timeout = incoming.status == StatusCode::REQUEST_TIMEOUT;
    let clean = read(engine, incoming, spoken, Signal::Logs)?;
    let Clean { code, ref text, delay, .. } = clean;
    let why = String::from_utf8_lossy(text).into_owned();
    Ok(match code {
        Code::OK => {
            let (rejected, why) = clean.partial_success();
            Verdict::Taken { rejected, why }
        }
        Code::RESOURCE_EXHAUSTED if delay.is_none() => Verdict::TooLarge,
        Code::INVALID_ARGUMENT => Verdict::Refused { why },
        Code::UNKNOWN | Code::INTERNAL if !is_timeout => Verdict::Doubtful { why },
        _ => Verdict::Again { after: delay, why },
    })
}

fn from_grpc(engine: &Engine, incoming: Incoming, signal: Signal) -> Result<Clean, Fault> {
    let Incoming { status, headers, body, trailers } = incoming;
    if status != StatusCode::OK {
        return not_from_grpc(engine, status, &headers);
    }
    // Without a body, the trailers are in the head.
    let said = trailers.as_ref().unwrap_or(&headers);
    // A stream that ends without a status was cut off.
    let code = grpc_code(said).ok_or(Fault::UpstreamBroken)?;
    let mut clean = Clean::new(code, scrub_headers(engine, &headers));
    if let Some(trailers) = &trailers {
        let (more, found) = scrub_headers(engine, trailers);
        clean.headers.extend(more);
        clean.found += found;
    }
    if let Some(text) = said.get(grpc::MESSAGE).map(grpc::message_text) {
        let scrubbed = engine.scrub_text(b"", &text).unwrap_or_default();
        clean.found += usize::from(scrubbed != text);
        clean.text = cut(scrubbed);
    }
    if let Some(details) = said.get(grpc::DETAILS).and_then(grpc::details) {
        clean.keep(engine, Answer::Status, Encoding::Protobuf, details.into());
    }
    if code == Code::OK {
        let (message, is_compressed) = grpc::message(&body).map_err(|_| Fault::BadAnswer)?;
        let message = if is_compressed { plain(message, headers.get(grpc::ENCODING))? } else { message };
        clean.take(engine, signal, Encoding::Protobuf, message)?;
    }
    if let Some((Answer::Status, _, status)) = &clean.message {
        clean.delay = otlp::retry_delay(status);
    }
    Ok(clean)
}

/// What something in front of an upstream of gRPC says, or one that speaks something else: nothing was taken.
fn not_from_grpc(engine: &Engine, status: StatusCode, headers: &HeaderMap) -> Result<Clean, Fault> {
    if status.is_redirection() || status.is_informational() {
        return Err(Fault::Redirected);
    }
    let code = http::to_code(status);
    if code == Code::OK {
        return Err(Fault::UpstreamBroken);
    }
    let mut clean = Clean::new(code, scrub_headers(engine, headers));
    clean.delay = delay_of(headers);
    clean.text = text_of(status);
    Ok(clean)
}

/// What `Retry-After` says.
fn delay_of(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER).and_then(|value| http::retry_after(value, SystemTime::now()))
}

/// What a status of HTTP is in words of gRPC.
fn text_of(status: StatusCode) -> Vec<u8> {
    format!("the upstream answered with HTTP status {}", status.as_u16()).into_bytes()
}

fn from_http(engine: &Engine, incoming: Incoming, signal: Signal) -> Result<Clean, Fault> {
    let Incoming { status, headers, body, trailers: _ } = incoming;
    if status.is_redirection() || status.is_informational() {
        return Err(Fault::Redirected);
    }
    let code = http::to_code(status);
    // The status counts also where the body cannot be read.
    let body = match plain(body, headers.get(CONTENT_ENCODING)) {
        Err(_) if code != Code::OK => Bytes::new(),
        plain => plain?,
    };
    let mut clean = Clean::new(code, scrub_headers(engine, &headers));
    clean.status = Some(status);
    clean.delay = delay_of(&headers);
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    match http::answer_encoding(content_type) {
        // Nothing is said but the status; of a success: everything was taken.
        _ if body.is_empty() => {}
        // Some backends say it in words.
        None if code == Code::OK && http::is_plain_text(content_type) => {}
        Some(encoding) if code == Code::OK => clean.take(engine, signal, encoding, body)?,
        // The page of a login, say, in front of an upstream that has seen nothing.
        None if code == Code::OK => return Err(Fault::BadAnswer),
        Some(encoding) => {
            clean.keep(engine, Answer::Status, encoding, body);
            if clean.message.is_none() {
                clean.say_in_words(status);
            }
        }
        None if !http::is_readable(content_type, &body) => {
            clean.found += 1;
            clean.say_in_words(status);
        }
        None => {
            let scrubbed = engine.scrub_lines(&body);
            clean.found += usize::from(scrubbed != body);
            if http::is_plain_text(content_type) {
                clean.text = cut(scrubbed.trim_ascii().to_vec());
            }
            clean.other = Some(scrubbed);
        }
    }
    if let Some((Answer::Status, encoding, message)) = &clean.message {
        let status = match encoding {
            Encoding::Protobuf => Cow::Borrowed(&message[..]),
            Encoding::Json => {
                Cow::Owned(otlp::answer_to_protobuf(Answer::Status, message).unwrap_or_default())
            }
        };
        clean.text = cut(otlp::status_message(&status).unwrap_or_default().to_vec());
        clean.delay = clean.delay.or_else(|| otlp::retry_delay(&status));
    }
    if clean.code != Code::OK && clean.text.is_empty() {
        clean.text = text_of(status);
    }
    Ok(clean)
}

impl Clean {
    fn new(code: Code, (headers, found): (HeaderMap, usize)) -> Self {
        let (text, message, other, delay) = (Vec::new(), None, None, None);
        Self { status: None, code, text, headers, message, other, delay, found }
    }

    /// In place of a body that cannot be told: what the status is in words.
    fn say_in_words(&mut self, status: StatusCode) {
        self.other = Some(text_of(status).into());
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }

    /// What a client gets.
    pub(super) fn answered(self, client: Protocol) -> Result<Answered, Fault> {
        let (code, found) = (self.code, self.found);
        let response = match client {
            Protocol::Grpc => to_grpc(self)?,
            Protocol::Http(encoding) => to_http(self, encoding)?,
        };
        Ok(Answered { response, code, found })
    }

    /// What a client gets whose request went on as protobuf to an upstream of HTTP: in the encoding that it came in.
    pub(super) fn answered_in(mut self, client: Protocol) -> Result<Answered, Fault> {
        if self.status.is_some()
            && client.encoding() == Encoding::Json
            && let Some((answer, Encoding::Protobuf, body)) = &self.message
        {
            let json = otlp::answer_to_json(*answer, body).map_err(|_| Fault::BadAnswer)?;
            self.message = Some((*answer, Encoding::Json, json.into()));
        }
        self.answered(client)
    }

    /// What the upstream said, in gRPC's words.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// How much was found in it.
    pub(super) fn found(&self) -> usize {
        self.found
    }

    /// What is said of a request, or a part of it, that will be too large each time: `OUT_OF_RANGE` would have it tried for
    /// ever.
    pub(super) fn for_good(mut self) -> Self {
        if self.status.is_none() && self.code == Code::OUT_OF_RANGE {
            (self.code, self.delay) = (Code::RESOURCE_EXHAUSTED, None);
            let details = self.message.take().and_then(|(_, _, body)| {
                let is_sooner = otlp::retry_delay(&body).is_some();
                otlp::status_with_code(body.into(), self.code.0).filter(|_| !is_sooner)
            });
            self.message = details.map(|body| (Answer::Status, Encoding::Protobuf, body.into()));
        }
        self
    }

    /// What it says of a part of a request. A part is no larger than the client's request was, or a single record: what is
    /// too large still, will be.
    pub(super) fn said(&self) -> Said {
        let is_again = match (self.status, self.code) {
            (_, Code::OK) => {
                let (rejected, why) = self.partial_success();
                return Said::Taken { rejected, why };
            }
            (Some(status), _) => matches!(status.as_u16(), 429 | 502..=504),
            (None, Code::RESOURCE_EXHAUSTED) => self.delay.is_some(),
            (None, code) => {
                [Code::CANCELLED, Code::DEADLINE_EXCEEDED, Code::ABORTED, Code::UNAVAILABLE, Code::DATA_LOSS]
                    .contains(&code)
            }
        };
        if is_again {
            return Said::Again;
        }
        Said::Refused { why: String::from_utf8_lossy(&self.text).into_owned() }
    }

    /// How many records a success says were not taken, and why.
    fn partial_success(&self) -> (u64, String) {
        let body = self.message.as_ref().and_then(|(answer, encoding, body)| match encoding {
            Encoding::Protobuf => Some(body.clone()),
            Encoding::Json => otlp::answer_to_protobuf(*answer, body).ok().map(Bytes::from),
        });
        let (rejected, text) = body.as_deref().and_then(otlp::partial_success).unwrap_or((0, &[]));
        let why = String::from_utf8_lossy(&cut(text.to_vec())).into_owned();
        (rejected.try_into().unwrap_or_default(), why)
    }

    /// Takes a message, scrubbed; one that cannot be read is left out.
    fn keep(&mut self, engine: &Engine, answer: Answer, encoding: Encoding, body: Bytes) {
        match engine.scrub_answer(answer, encoding, &body) {
            Some((scrubbed, found)) => {
                self.found += found;
                self.message = Some((answer, encoding, scrubbed));
            }
            None => self.found += 1,
        }
    }

    /// Takes the response to a request, scrubbed; one that cannot be read must not pass for one that says nothing.
    fn take(
        &mut self,
        engine: &Engine,
        signal: Signal,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<(), Fault> {
        let answer = Answer::Export(signal);
        self.keep(engine, answer, encoding, body);
        let is_read = match &self.message {
            Some((Answer::Export(_), Encoding::Protobuf, _)) => true,
            // Its shape is right; its values may be none.
            Some((Answer::Export(_), Encoding::Json, body)) => otlp::answer_to_protobuf(answer, body).is_ok(),
            _ => false,
        };
        if is_read { Ok(()) } else { Err(Fault::BadAnswer) }
    }
}

fn to_grpc(clean: Clean) -> Result<Response<Whole>, Fault> {
    let Clean { status: _, code, text, headers, message, other: _, delay, found: _ } = clean;
    let as_protobuf = |(answer, encoding, body): (Answer, Encoding, Bytes)| match encoding {
        Encoding::Protobuf => Ok(body),
        Encoding::Json => {
            otlp::answer_to_protobuf(answer, &body).map(Bytes::from).map_err(|_| Fault::BadAnswer)
        }
    };
    let mut response = match (code, message) {
        (Code::OK, message) => {
            let body = message.map(as_protobuf).transpose()?.unwrap_or_default();
            let whole = Whole::new(grpc::prefix(body.len(), false), body);
            Response::new(whole.with_trailers(grpc::trailers(code, &text, None)))
        }
        (_, message) => {
            let details = match message {
                Some((Answer::Status, Encoding::Protobuf, body))
                    if otlp::retry_delay(&body) == delay && body.len() <= MOST_DETAILS =>
                {
                    otlp::status_with_code(body.into(), code.0)
                }
                _ if delay.is_some() => {
                    Some(otlp::write_status(code.0, &String::from_utf8_lossy(&text), delay))
                }
                _ => None,
            };
            let mut response = Response::new(Whole::default());
            *response.headers_mut() = grpc::trailers(code, &text, details.as_deref());
            response
        }
    };
    let own = response.headers_mut();
    for (name, value) in &headers {
        if !own.contains_key(name) {
            own.append(name, value.clone());
        }
    }
    own.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
    own.insert(grpc::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    Ok(response)
}

fn to_http(clean: Clean, encoding: Encoding) -> Result<Response<Whole>, Fault> {
    let Clean { status, code, text, headers, message, other, delay, found: _ } = clean;
    let own = http::content_type(encoding);
    let (content_type, body) = match (status, message, other) {
        // As the upstream wrote it.
        (Some(_), Some((_, encoding, body)), _) => (Some(http::content_type(encoding)), body),
        (Some(_), None, Some(body)) => (headers.get(CONTENT_TYPE).cloned(), body),
        (Some(_), None, None) => (headers.get(CONTENT_TYPE).cloned(), Bytes::new()),
        (None, Some((_, _, body)), _) if encoding == Encoding::Protobuf => (Some(own), body),
        (None, Some((answer, _, body)), _) => {
            let json = otlp::answer_to_json(answer, &body).map_err(|_| Fault::BadAnswer)?;
            (Some(own), json.into())
        }
        (None, None, _) => (Some(own), status_body(encoding, code, &String::from_utf8_lossy(&text), delay)),
    };
    let mut response = Response::new(Whole::new(Bytes::new(), body));
    *response.status_mut() = status.unwrap_or_else(|| http::from_code(code, delay.is_some()));
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if let (None, Some(delay)) = (status, delay) {
        headers.insert(RETRY_AFTER, http::retry_after_value(delay));
    }
    Ok(response)
}

/// A `google.rpc.Status`.
fn status_body(encoding: Encoding, code: Code, text: &str, delay: Option<Duration>) -> Bytes {
    match encoding {
        Encoding::Protobuf => otlp::write_status(code.0, text, delay).into(),
        Encoding::Json => otlp::write_status_json(code.0, text, delay).into(),
    }
}

/// What a client gets for a fault of ours, or of its request.
pub(super) fn fault(fault: &Fault, client: Protocol) -> Response<Whole> {
    let (code, text, delay) = (fault.code(), fault.message(), fault.retry());
    let mut response;
    match client {
        Protocol::Grpc => {
            let details = delay.map(|delay| otlp::write_status(code.0, &text, Some(delay)));
            response = Response::new(Whole::default());
            *response.headers_mut() = grpc::trailers(code, text.as_bytes(), details.as_deref());
            response.headers_mut().insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
            response.headers_mut().insert(grpc::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        }
        Protocol::Http(encoding) => {
            response = Response::new(Whole::new(Bytes::new(), status_body(encoding, code, &text, delay)));
            *response.status_mut() = fault.status();
            response.headers_mut().insert(CONTENT_TYPE, http::content_type(encoding));
            if let Some(delay) = delay {
                response.headers_mut().insert(RETRY_AFTER, http::retry_after_value(delay));
            }
            let more = match fault {
                Fault::Method => Some((ALLOW, "POST")),
                Fault::Unauthenticated => Some((WWW_AUTHENTICATE, "Bearer")),
                Fault::Compression => Some((ACCEPT_ENCODING, ACCEPTED)),
                _ => None,
            };
            response.headers_mut().extend(more.map(|(name, value)| (name, HeaderValue::from_static(value))));
        }
    }
    response
}

/// The headers of an upstream that go on; others may lead a client around us, or say what is not true of us.
const PASSED: [HeaderName; 4] =
    [CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, HeaderName::from_static("grpc-retry-pushback-ms")];

/// The headers of an answer that go on, scrubbed, and in how many something was found.
fn scrub_headers(engine: &Engine, headers: &HeaderMap) -> (HeaderMap, usize) {
    let mut clean = HeaderMap::new();
    let mut found = 0;
    for name in &PASSED {
        for value in headers.get_all(name) {
            let scrubbed = engine.scrub_text(name.as_str().as_bytes(), value.as_bytes());
            found += usize::from(scrubbed.as_deref() != Some(value.as_bytes()));
            if let Some(value) = scrubbed.and_then(|scrubbed| HeaderValue::from_bytes(&scrubbed).ok()) {
                clean.append(name, value);
            }
        }
    }
    (clean, found)
}

/// The most bytes of a text, and of details, in trailers: clients take no more than some KiB of them all.
const MOST_TEXT: usize = 1 << 10;
const MOST_DETAILS: usize = 3 << 10;

/// A text as long as trailers may hold it.
fn cut(mut text: Vec<u8>) -> Vec<u8> {
    if text.len() > MOST_TEXT {
        let is_inside = |at: &usize| matches!(text[*at], 0x80..=0xBF);
        let end = (MOST_TEXT - 3..=MOST_TEXT).rev().find(|at| !is_inside(at)).unwrap_or(MOST_TEXT);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        for (text, len) in [("a".repeat(2000), 1024), ("é".repeat(1000), 1024), ("€".repeat(1000), 1023)] {
            let cut = String::from_utf8(cut(text.into_bytes())).expect("whole characters");
            assert_eq!(cut.len(), len);
        }
        assert_eq!(cut(b"short".to_vec()), b"short");
    }
}
