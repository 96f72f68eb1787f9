//! gRPC over HTTP/2, as far as one message each way needs it (grpc/doc/PROTOCOL-HTTP2.md): frames, status and deadlines.
//!
//! Frames are kept as they came, which no library of gRPC does: a clean one goes on untouched.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use super::fault::{Code, Fault};
use crate::otlp::{Signal, from_base64, to_base64};

/// The length of what stands in front of a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(super) const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(super) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// The path of a signal's service.
pub(super) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}

/// The signal of a path.
pub(super) fn signal(of: &str) -> Option<Signal> {
    [Signal::Traces, Signal::Logs, Signal::Metrics, Signal::Profiles].into_iter().find(|&s| path(s) == of)
}

/// Whether a content type is gRPC's with messages of protobuf.
pub(super) fn is_content_type(value: &[u8]) -> bool {
    let name = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"application/grpc") || name.eq_ignore_ascii_case(b"application/grpc+proto")
}

/// How long the frame is that a body begins with.
pub(super) fn frame_len(body: &[u8]) -> Option<usize> {
    let [_, a, b, c, d] = *body.first_chunk()?;
    Some(PREFIX + u32::from_be_bytes([a, b, c, d]) as usize)
}

/// The one message of a body, and whether it is compressed.
pub(super) fn message(body: &Bytes) -> Result<(Bytes, bool), Fault> {
    let Some((&[flag, a, b, c, d], rest)) = body.split_first_chunk() else {
        return Err(Fault::Malformed("the message of gRPC is cut off"));
    };
    if flag > 1 {
        return Err(Fault::Malformed("the frame of gRPC has unknown flags"));
    }
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    match rest.len() {
        have if have < len => Err(Fault::Malformed("the message of gRPC is cut off")),
        have if have > len => Err(Fault::Malformed("the body has more than one message of gRPC")),
        _ => Ok((body.slice(PREFIX..), flag == 1)),
    }
}

/// What stands in front of a message.
pub(super) fn prefix(len: usize, is_compressed: bool) -> Bytes {
    // Messages are no longer than OTLP's limit.
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    Bytes::copy_from_slice(&[u8::from(is_compressed), a, b, c, d])
}

/// How long the client waits: at most eight digits and a unit.
pub(super) fn timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// How long we wait, for a server: in milliseconds, or seconds where these have more than eight digits.
pub(super) fn timeout_value(wait: Duration) -> HeaderValue {
    let millis = wait.as_millis();
    let text = match millis {
        0..100_000_000 => format!("{millis}m"),
        _ => format!("{}S", wait.as_secs().min(99_999_999)),
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("10S"))
}

/// What must be escaped in `grpc-message`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The text of `grpc-message`.
pub(super) fn message_text(value: &HeaderValue) -> Vec<u8> {
    percent_decode(value.as_bytes()).collect()
}

/// A text for `grpc-message`.
pub(super) fn message_value(text: &[u8]) -> HeaderValue {
    let escaped = percent_encode(text, ESCAPED).to_string();
    HeaderValue::from_str(&escaped).unwrap_or(HeaderValue::from_static("error"))
}

/// What `grpc-status-details-bin` holds; `None`: it is no base64.
pub(super) fn details(value: &HeaderValue) -> Option<Vec<u8>> {
    from_base64(value.as_bytes())
}

/// The trailers of an answer.
pub(super) fn trailers(code: Code, message: &[u8], details: Option<&[u8]>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from(code.0));
    if !message.is_empty() {
        trailers.insert(MESSAGE, message_value(message));
    }
    if let Some(details) = details
        && let Ok(value) = HeaderValue::from_bytes(&to_base64(details))
    {
        trailers.insert(DETAILS, value);
    }
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let check = |body: &'static [u8], want: Option<(&'static [u8], bool)>| {
            let got = message(&Bytes::from_static(body)).ok();
            assert_eq!(got, want.map(|(message, flag)| (Bytes::from_static(message), flag)), "{body:?}");
        };
        check(b"\0\0\0\0\x02ab", Some((b"ab", false)));
        check(b"\x01\0\0\0\0", Some((b"", true)));
        check(b"", None);
        check(b"\0\0\0\0", None);
        check(b"\0\0\0\0\x02a", None);
        check(b"\0\0\0\0\x02abc", None);
        check(b"\x02\0\0\0\0", None);
        assert_eq!(prefix(258, true).as_ref(), [1, 0, 0, 1, 2]);
    }

    #[test]
    fn deadlines() {
        let check = |text: &'static str, want| {
            assert_eq!(timeout(&HeaderValue::from_static(text)), want, "{text}");
        };
        check("10S", Some(Duration::from_secs(10)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
        check("250m", Some(Duration::from_millis(250)));
        for wait in [0, 1, 99_999_999, 100_000_000] {
            let wait = Duration::from_millis(wait);
            assert_eq!(timeout(&timeout_value(wait)), Some(wait));
        }
        for bad in ["", "S", "10", "-1S", "+1S", "123456789S", "1x"] {
            check(bad, None);
        }
    }

    #[test]
    fn messages() {
        let text = "100 % gone\nüber";
        let value = message_value(text.as_bytes());
        assert_eq!(value, "100 %25 gone%0A%C3%BCber");
        assert_eq!(message_text(&value), text.as_bytes());
    }
}
