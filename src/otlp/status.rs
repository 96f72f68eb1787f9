//! `google.rpc.Status`: what a server says when it does not take a request, and when to try again.

use std::time::Duration;

use super::json::{self, text};
use super::refused::Refused;
use super::schema::{Message, Role, message};
use super::types::Type;
use super::wire::{for_each_field, put_varint};

/// What the details of a status say of trying again.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// The most seconds of a `google.protobuf.Duration`: ten thousand years.
const MOST_SECONDS: u64 = 315_576_000_000;

/// A status as it was read.
#[derive(Default)]
pub(super) struct Status<'b> {
    pub(super) code: Option<i32>,
    pub(super) message: Option<&'b [u8]>,
    pub(super) retry: Option<Duration>,
}

/// The delay after which to try again, in a protobuf `google.rpc.Status`: that of its first `RetryInfo`; zero if that one
/// has none. `None`: the status has no such detail, or cannot be read, or the delay is less than zero or more than a
/// `google.protobuf.Duration` may be.
pub fn retry_delay(status: &[u8]) -> Option<Duration> {
    read(status).ok()?.retry
}

/// What a protobuf `google.rpc.Status` says, as it stands there. `None`: nothing, or the status cannot be read.
pub fn status_message(status: &[u8]) -> Option<&[u8]> {
    read(status).ok()?.message
}

/// A protobuf `google.rpc.Status` with this code, whatever code it had: clients of gRPC take a status for broken that says
/// something else than its trailers. `None`: it says nothing, or cannot be read.
pub fn status_with_code(mut status: Vec<u8>, code: u32) -> Option<Vec<u8>> {
    let read = read(&status).ok()?;
    if status.is_empty() {
        return None;
    }
    if read.code != Some(code as i32) {
        // Of a field given twice, the last counts.
        number(1, i64::from(code as i32) as u64, &mut status);
    }
    Some(status)
}

/// Reads a status; of a field given twice the last counts, as with all parsers.
pub(super) fn read(body: &[u8]) -> Result<Status<'_>, Refused> {
    read_with(body, |info| read_retry_info(info).ok().flatten())
}

/// Reads a status of which `delay_of` reads the `RetryInfo`.
fn read_with(body: &[u8], delay_of: impl Fn(&[u8]) -> Option<Duration>) -> Result<Status<'_>, Refused> {
    let mut status = Status::default();
    let mut is_said = false;
    for_each_field(body, 0..body.len(), |part| {
        match part.number {
            1 => status.code = Some(part.varint(body)? as i32),
            2 => status.message = Some(&body[part.text()?]),
            3 => {
                let (mut name, mut value) = (0..0, 0..0);
                for_each_field(body, part.text()?, |part| {
                    match part.number {
                        1 => name = part.text()?,
                        // A field that is not known where it is scrubbed: of another wire type it says nothing.
                        2 => value = part.text().unwrap_or_default(),
                        _ => {}
                    }
                    Ok(())
                })?;
                if !is_said && is_retry_info(&body[name]) {
                    is_said = true;
                    // It is another message, and one that the status can do without.
                    status.retry = delay_of(&body[value]);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(status)
}

/// Whether this is the name of a `RetryInfo`, wherever it is described.
pub(super) fn is_retry_info(name: &[u8]) -> bool {
    name.rsplit(|&byte| byte == b'/').next() == Some(b"google.rpc.RetryInfo")
}

/// The delay that a `RetryInfo` holds.
fn read_retry_info(body: &[u8]) -> Result<Option<Duration>, Refused> {
    let (mut seconds, mut nanos) = (0, 0);
    for_each_field(body, 0..body.len(), |part| {
        if part.number != 1 {
            return Ok(());
        }
        for_each_field(body, part.text()?, |part| {
            match part.number {
                1 => seconds = part.varint(body)?,
                2 => nanos = part.varint(body)?,
                _ => {}
            }
            Ok(())
        })
    })?;
    // What is less than zero is a very large number here.
    Ok((seconds <= MOST_SECONDS && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos as u32)))
}

/// A `google.rpc.Status` in protobuf: a code of gRPC, a message, and the delay after which to try again, if that may help.
pub fn write_status(code: u32, message: &str, retry: Option<Duration>) -> Vec<u8> {
    // A code is an `int32`, and none is so large.
    write(code as i32, message.as_bytes(), retry)
}

fn write(code: i32, message: &[u8], retry: Option<Duration>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 80);
    number(1, i64::from(code) as u64, &mut out);
    bytes(2, message, &mut out);
    if let Some(retry) = retry {
        let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
        let retry = retry.min(Duration::from_secs(MOST_SECONDS));
        number(1, retry.as_secs(), &mut delay);
        number(2, u64::from(retry.subsec_nanos()), &mut delay);
        bytes(1, &delay, &mut info);
        bytes(1, RETRY_INFO.as_bytes(), &mut any);
        bytes(2, &info, &mut any);
        bytes(3, &any, &mut out);
    }
    out
}

/// What of a status in JSON is kept in protobuf. In place of a `RetryInfo` in bytes its delay is read, as a string.
static FROM_JSON: Message = message(
    Role::Plain,
    &[(1, "code", Type::Int32), (2, "message", Type::Text), (3, "details", Type::Messages(&DETAIL))],
);

static DETAIL: Message = message(Role::Plain, &[(1, "@type", Type::Text), (2, "retry_delay", Type::Text)]);

/// A status in JSON as protobuf, with its code, message and delay.
pub(super) fn to_protobuf(json: &[u8]) -> Result<Vec<u8>, Refused> {
    let body = json::to_wire(json, &FROM_JSON)?;
    let status = read_with(&body, read_delay)?;
    Ok(write(status.code.unwrap_or_default(), status.message.unwrap_or_default(), status.retry))
}

/// A delay as JSON has it: seconds, with at most nine digits behind the point.
fn read_delay(text: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('s')?;
    let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
    if !seconds.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) || part.len() > 9 {
        return None;
    }
    let seconds = seconds.parse().ok().filter(|&seconds| seconds <= MOST_SECONDS)?;
    Some(Duration::new(seconds, format!("{part:0<9}").parse().ok()?))
}

fn number(field: u8, value: u64, out: &mut Vec<u8>) {
    if value > 0 {
        out.push(field << 3);
        put_varint(value, out);
    }
}

fn bytes(field: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// The same in JSON: `{"code":14,"message":"…","details":[{"@type":"…/google.rpc.RetryInfo","retryDelay":"1.5s"}]}`.
pub fn write_status_json(code: u32, message: &str, retry: Option<Duration>) -> Vec<u8> {
    to_json(Some(i64::from(code)), Some(message.as_bytes()), retry)
}

/// A status in JSON, without what it does not have. What of the message is no UTF-8 becomes U+FFFD.
pub(super) fn to_json(code: Option<i64>, message: Option<&[u8]>, retry: Option<Duration>) -> Vec<u8> {
    let mut out = b"{".to_vec();
    let next = |out: &mut Vec<u8>| {
        if out.len() > 1 {
            out.push(b',');
        }
    };
    if let Some(code) = code {
        out.extend_from_slice(format!("\"code\":{code}").as_bytes());
    }
    if let Some(message) = message {
        next(&mut out);
        out.extend_from_slice(b"\"message\":\"");
        text::escape(String::from_utf8_lossy(message).as_bytes(), &mut out);
        out.push(b'"');
    }
    if let Some(retry) = retry {
        next(&mut out);
        let delay = delay(retry);
        out.extend_from_slice(
            format!("\"details\":[{{\"@type\":\"{RETRY_INFO}\",\"retryDelay\":\"{delay}\"}}]").as_bytes(),
        );
    }
    out.push(b'}');
    out
}

/// A duration as JSON has it: seconds, with as many digits behind the point as it needs.
fn delay(of: Duration) -> String {
    let of = of.min(Duration::from_secs(MOST_SECONDS));
    let seconds = of.as_secs();
    let part = format!("{:09}", of.subsec_nanos());
    match part.trim_end_matches('0') {
        "" => format!("{seconds}s"),
        part => format!("{seconds}.{part}s"),
    }
}
