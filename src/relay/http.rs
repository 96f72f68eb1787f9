//! OTLP over HTTP: paths, content types, and which status says what to clients of the other protocol.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::fault::Code;
use crate::otlp::{Encoding, Signal};

/// The path of a signal.
pub(super) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
        Signal::Metrics => "/v1/metrics",
        Signal::Profiles => "/v1development/profiles",
    }
}

/// The signal of a path.
pub(super) fn signal(of: &str) -> Option<Signal> {
    [Signal::Traces, Signal::Logs, Signal::Metrics, Signal::Profiles].into_iter().find(|&s| path(s) == of)
}

/// The encoding that a content type names.
pub(super) fn encoding(value: &[u8]) -> Option<Encoding> {
    if is_named(value, b"application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else if is_named(value, b"application/json") {
        Some(Encoding::Json)
    } else {
        None
    }
}

/// The encoding that the content type of an answer names: some backends leave out the `x-`.
pub(super) fn answer_encoding(value: &[u8]) -> Option<Encoding> {
    if is_named(value, b"application/protobuf") { Some(Encoding::Protobuf) } else { encoding(value) }
}

/// Whether a content type is that of plain text.
pub(super) fn is_plain_text(value: &[u8]) -> bool {
    is_named(value, b"text/plain")
}

/// Whether what this content type and body say can be read as it stands there: in another character set a text hides what it
/// quotes.
pub(super) fn is_readable(content_type: &[u8], body: &[u8]) -> bool {
    // UTF-16 of ASCII is valid UTF-8, with zeros.
    let is_text = std::str::from_utf8(body).is_ok() && !body.contains(&0);
    let charset = content_type.split(|&byte| byte == b';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(parameter.iter().position(|&byte| byte == b'=')?)?;
        let is_charset = name.trim_ascii().eq_ignore_ascii_case(b"charset");
        is_charset.then(|| value[1..].trim_ascii().to_ascii_lowercase())
    });
    let charset = charset.unwrap_or_default();
    is_text
        && match charset.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(&charset) {
            b"" | b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => true,
            // Supersets of ASCII; of the rest of them nothing is known.
            b"iso-8859-1" | b"latin1" | b"iso-8859-15" | b"windows-1252" => body.is_ascii(),
            _ => false,
        }
}

/// Whether this is the name of a content type, whatever parameters it has.
fn is_named(value: &[u8], name: &[u8]) -> bool {
    let own = value.split(|&byte| byte == b';').next().unwrap_or_default();
    own.trim_ascii().eq_ignore_ascii_case(name)
}

/// The content type of an encoding.
pub(super) fn content_type(encoding: Encoding) -> HeaderValue {
    match encoding {
        Encoding::Protobuf => HeaderValue::from_static("application/x-protobuf"),
        Encoding::Json => HeaderValue::from_static("application/json"),
    }
}

/// The delay that `Retry-After` asks for: seconds, or a date and how far it is from `now`.
pub(super) fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// What `Retry-After` says for a delay.
pub(super) fn retry_after_value(delay: Duration) -> HeaderValue {
    HeaderValue::from(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
}

/// The status of HTTP for one of gRPC. What OTLP's clients of gRPC try again is tried again, and nothing else:
/// `RESOURCE_EXHAUSTED` only with a delay.
pub(super) fn from_code(code: Code, has_delay: bool) -> StatusCode {
    match code {
        Code::OK => StatusCode::OK,
        Code::RESOURCE_EXHAUSTED if has_delay => StatusCode::TOO_MANY_REQUESTS,
        Code::RESOURCE_EXHAUSTED => StatusCode::PAYLOAD_TOO_LARGE,
        Code::DEADLINE_EXCEEDED => StatusCode::GATEWAY_TIMEOUT,
        Code::CANCELLED | Code::ABORTED | Code::OUT_OF_RANGE | Code::UNAVAILABLE | Code::DATA_LOSS => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::INVALID_ARGUMENT => StatusCode::BAD_REQUEST,
        Code::UNAUTHENTICATED => StatusCode::UNAUTHORIZED,
        Code::PERMISSION_DENIED => StatusCode::FORBIDDEN,
        Code::UNIMPLEMENTED => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of gRPC for one of HTTP: what is tried again stays so.
pub(super) fn to_code(status: StatusCode) -> Code {
    match status.as_u16() {
        200..=299 => Code::OK,
        400 | 415 | 422 => Code::INVALID_ARGUMENT,
        401 => Code::UNAUTHENTICATED,
        403 => Code::PERMISSION_DENIED,
        404 | 405 => Code::UNIMPLEMENTED,
        413 => Code::RESOURCE_EXHAUSTED,
        504 => Code::DEADLINE_EXCEEDED,
        429 | 502 | 503 => Code::UNAVAILABLE,
        500 | 501 => Code::INTERNAL,
        _ => Code::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_stays_so() {
        for code in 1..=16 {
            let retryable = [1, 4, 10, 11, 14, 15].contains(&code);
            let status = from_code(Code(code), false).as_u16();
            assert_eq!([429, 502, 503, 504].contains(&status), retryable, "{code}");
        }
        assert_eq!(from_code(Code::RESOURCE_EXHAUSTED, true), StatusCode::TOO_MANY_REQUESTS);
        for status in 300..600 {
            let Ok(known) = StatusCode::from_u16(status) else { continue };
            let code = to_code(known).0;
            assert_eq!(
                [1, 4, 10, 11, 14, 15].contains(&code),
                [429, 502, 503, 504].contains(&status),
                "{status}"
            );
        }
    }

    #[test]
    fn content_types() {
        assert_eq!(encoding(b"application/json; charset=utf-8"), Some(Encoding::Json));
        assert_eq!(encoding(b"Application/X-Protobuf"), Some(Encoding::Protobuf));
        assert_eq!(encoding(b"application/protobuf"), None);
        assert_eq!(encoding(b""), None);
    }

    #[test]
    fn texts() {
        let check = |content_type: &str, body: &[u8], want: bool| {
            assert_eq!(
                is_readable(content_type.as_bytes(), body),
                want,
                "{content_type} {}",
                body.escape_ascii()
            );
        };
        for readable in
            ["", "text/html", "text/html; charset=UTF-8", "text/html;boundary=x; Charset = \"utf-8\""]
        {
            check(readable, "no entry: zone \u{fc}ber".as_bytes(), true);
        }
        check("text/html;charset=iso-8859-1", b"no entry", true);
        check("text/html;charset=iso-8859-1", "\u{fc}ber".as_bytes(), false);
        check("text/html", b"\xfcber", false);
        check("text/plain", b"p\0a\0s\0s\0", false);
        check("text/plain; charset=utf-16le", b"no entry", false);
        check("text/plain; charset=utf-7", b"no entry", false);
        check("text/plain; charset=", b"no entry", true);
        check("text/plain; charset", b"no entry", true);
    }

    #[test]
    fn delays() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_792_567_600);
        let check = |text: &'static str, want: Option<u64>| {
            let got = retry_after(&HeaderValue::from_static(text), now);
            assert_eq!(got, want.map(Duration::from_secs), "{text}");
        };
        check(" 7", Some(7));
        check("Wed, 21 Oct 2026 07:28:00 GMT", Some(80));
        check("Wed, 21 Oct 2020 07:28:00 GMT", Some(0));
        check("soon", None);
        assert_eq!(retry_after_value(Duration::from_millis(1500)), HeaderValue::from(2));
    }
}
