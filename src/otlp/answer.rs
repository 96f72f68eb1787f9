//! What an upstream answers: a response to a request, or a status. Both may quote what was sent, so both are scrubbed before
//! the client gets them; and a client may have asked in another encoding than the upstream answers in.

use super::json::{self, text};
use super::refused::Refused;
use super::schema::{Message, Role, message};
use super::status::{self, Status};
use super::types::Type;
use super::wire::{for_each_field, put_varint, varint_len};
use super::{Encoding, MOST_BYTES, Scrubbed, Scrubber, Signal, Unknown};

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `Export…ServiceResponse` of a signal.
    Export(Signal),
    /// `google.rpc.Status`: in the trailers of gRPC, and the body of a refusal in HTTP.
    Status,
}

impl Answer {
    /// The message that an answer is.
    pub(super) fn message(self) -> Option<&'static Message> {
        match self {
            Self::Export(Signal::Traces) => Some(&TRACES),
            Self::Export(Signal::Logs) => Some(&LOGS),
            Self::Export(Signal::Metrics) => Some(&METRICS),
            Self::Export(Signal::Profiles) => None,
            Self::Status => Some(&STATUS),
        }
    }
}

// As in the protocol's files; the status as in googleapis.

static TRACES: Message = message(Role::Plain, &[(1, "partial_success", Type::Message(&PARTIAL_TRACES))]);

static PARTIAL_TRACES: Message =
    message(Role::Plain, &[(1, "rejected_spans", Type::Int64), (2, "error_message", Type::Text)]);

static LOGS: Message = message(Role::Plain, &[(1, "partial_success", Type::Message(&PARTIAL_LOGS))]);

static PARTIAL_LOGS: Message =
    message(Role::Plain, &[(1, "rejected_log_records", Type::Int64), (2, "error_message", Type::Text)]);

static METRICS: Message = message(Role::Plain, &[(1, "partial_success", Type::Message(&PARTIAL_METRICS))]);

static PARTIAL_METRICS: Message =
    message(Role::Plain, &[(1, "rejected_data_points", Type::Int64), (2, "error_message", Type::Text)]);

static STATUS: Message = message(
    Role::Plain,
    &[(1, "code", Type::Int32), (2, "message", Type::Text), (3, "details", Type::Messages(&ANY))],
);

/// A message of any kind in bytes. There is no room for a marker in those, so they are a field that is not known: it is
/// looked at, and goes if something is found. In JSON the fields of the message stand in its place.
static ANY: Message = message(Role::Plain, &[(1, "type_url", Type::Text), (2, "value", Type::Unknown)]);

impl Scrubber {
    /// Scrubs an answer, which is not compressed. Fields that are not known are looked at, whatever the policy says of
    /// those of requests: an answer that lost some would not be the upstream's. The delay after which to try again
    /// stays.
    /// # Errors
    /// What cannot be read for certain is refused, as in requests. The client must not get it then.
    pub fn scrub_answer(
        &mut self,
        answer: Answer,
        encoding: Encoding,
        body: &[u8],
    ) -> Result<Scrubbed, Refused> {
        let root = answer.message().ok_or(Refused::Profiles)?;
        self.scrub_message(root, encoding, Unknown::Scan, body)
    }
}

/// An answer in protobuf as OTLP's JSON, for a client that asked in it. Of the details of a status the delay after which to
/// try again is kept; what the protocol does not have, and what of its strings is no UTF-8, is not.
/// # Errors
/// What cannot be read for certain is refused.
pub fn answer_to_json(answer: Answer, body: &[u8]) -> Result<Vec<u8>, Refused> {
    if body.len() > MOST_BYTES {
        return Err(Refused::TooLarge { most: MOST_BYTES });
    }
    let rejected = match answer {
        Answer::Export(Signal::Traces) => "rejectedSpans",
        Answer::Export(Signal::Logs) => "rejectedLogRecords",
        Answer::Export(Signal::Metrics) => "rejectedDataPoints",
        Answer::Export(Signal::Profiles) => return Err(Refused::Profiles),
        Answer::Status => {
            let Status { code, message, retry } = status::read(body)?;
            return Ok(status::to_json(code.map(i64::from), message, retry));
        }
    };
    let mut out = b"{".to_vec();
    if let Some(partial) = read_partial(body)? {
        out.extend_from_slice(b"\"partialSuccess\":{");
        if let Some(count) = partial.rejected {
            out.extend_from_slice(format!("\"{rejected}\":\"{count}\"").as_bytes());
        }
        if let Some(message) = partial.message {
            if partial.rejected.is_some() {
                out.push(b',');
            }
            out.extend_from_slice(b"\"errorMessage\":\"");
            text::escape(String::from_utf8_lossy(message).as_bytes(), &mut out);
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.push(b'}');
    Ok(out)
}

/// An answer in OTLP's JSON as protobuf, for a client that asked in it. Of the details of a status the delay after which to
/// try again is kept; what the protocol does not have is not.
/// # Errors
/// What cannot be read for certain is refused.
pub fn answer_to_protobuf(answer: Answer, body: &[u8]) -> Result<Vec<u8>, Refused> {
    match answer {
        Answer::Status => status::to_protobuf(body),
        Answer::Export(_) => json::to_wire(body, answer.message().ok_or(Refused::Profiles)?),
    }
}

/// How many items the response to a request says were not taken, and why, as it stands there. `None`: it says nothing of
/// that, or cannot be read.
pub fn partial_success(response: &[u8]) -> Option<(i64, &[u8])> {
    let partial = read_partial(response).ok()??;
    Some((partial.rejected.unwrap_or_default(), partial.message.unwrap_or_default()))
}

/// The response to a request, in protobuf, that says how many items were not taken, and why; it is the same for all
/// signals. Empty: all were taken, and there is nothing to say of that.
pub fn write_partial_success(rejected: u64, why: &str) -> Vec<u8> {
    let mut partial = Vec::with_capacity(why.len() + 24);
    if rejected > 0 {
        partial.push(1 << 3);
        put_varint(rejected, &mut partial);
    }
    if !why.is_empty() {
        partial.push(2 << 3 | 2);
        put_varint(why.len() as u64, &mut partial);
        partial.extend_from_slice(why.as_bytes());
    }
    if partial.is_empty() {
        return partial;
    }
    let mut out = Vec::with_capacity(1 + varint_len(partial.len() as u64) + partial.len());
    out.push(1 << 3 | 2);
    put_varint(partial.len() as u64, &mut out);
    out.append(&mut partial);
    out
}

/// What was not taken, and why.
#[derive(Default)]
struct Partial<'b> {
    rejected: Option<i64>,
    message: Option<&'b [u8]>,
}

/// What a response has to say of a request; of a field given twice, the last.
fn read_partial(body: &[u8]) -> Result<Option<Partial<'_>>, Refused> {
    let mut all: Option<Partial<'_>> = None;
    for_each_field(body, 0..body.len(), |part| {
        if part.number != 1 {
            return Ok(());
        }
        let range = part.text()?;
        let partial = all.get_or_insert_default();
        for_each_field(body, range, |part| {
            match part.number {
                1 => partial.rejected = Some(part.varint(body)? as i64),
                2 => partial.message = Some(&body[part.text()?]),
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok(all)
}
