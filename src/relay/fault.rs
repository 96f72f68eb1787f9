//! Why a request was not forwarded, or its answer did not come: what the client is told in gRPC and in HTTP.
//!
//! What is permanent must not look as if it could be tried again, or the client sends the same bytes for ever; what may
//! go well the next time must, or it throws them away. Texts are fixed: none holds a byte of a request or an answer.

use std::time::Duration;

use hyper::StatusCode;

use crate::otlp::Refused;

/// A status of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const OK: Self = Self(0);
    pub(super) const CANCELLED: Self = Self(1);
    pub(super) const UNKNOWN: Self = Self(2);
    pub(super) const INVALID_ARGUMENT: Self = Self(3);
    pub(super) const DEADLINE_EXCEEDED: Self = Self(4);
    pub(super) const PERMISSION_DENIED: Self = Self(7);
    pub(super) const RESOURCE_EXHAUSTED: Self = Self(8);
    pub(super) const ABORTED: Self = Self(10);
    pub(super) const OUT_OF_RANGE: Self = Self(11);
    pub(super) const UNIMPLEMENTED: Self = Self(12);
    pub(super) const INTERNAL: Self = Self(13);
    pub(super) const UNAVAILABLE: Self = Self(14);
    pub(super) const DATA_LOSS: Self = Self(15);
    pub(super) const UNAUTHENTICATED: Self = Self(16);
}

/// Why a request was not forwarded, or its answer did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It could not be scrubbed.
    Refused(Refused),
    /// Its message has more bytes than this.
    TooLarge { most: usize },
    /// The frame or the compression around the message.
    Malformed(&'static str),
    /// A compression that is not known here.
    Compression,
    /// A content type that is not OTLP's.
    ContentType,
    /// No path of OTLP.
    NotFound,
    /// Not POST.
    Method,
    /// HTTP/1.1 where gRPC is spoken.
    NotGrpc,
    /// Profiles.
    Profiles,
    /// No token, or none of those that are taken.
    Unauthenticated,
    /// Too many requests are under way, or too many bytes of them.
    Overloaded,
    /// The audit trail cannot be written.
    Unaudited,
    /// The client did not send its request in time.
    ReadTimeout,
    /// The client went away, or broke the rules of HTTP.
    ReadBroken,
    /// The client's own deadline came before the request could be sent.
    Late,
    /// A panic. The same bytes would lead to it again.
    Internal,
    /// No connection to the upstream.
    Unreachable,
    /// The upstream's connection broke before its answer was whole.
    UpstreamBroken,
    /// No answer in time.
    UpstreamTimeout,
    /// The upstream sends clients elsewhere. Those would go there with what was not scrubbed.
    Redirected,
    /// The upstream's answer is none of the protocol, or too large: what was taken of the request is not known.
    BadAnswer,
}

/// After how long a client should try again when there is no room.
const BUSY: Duration = Duration::from_secs(1);

impl Fault {
    /// The words for counters of faults that say something of the relay or its upstream.
    pub(super) const OFTEN: [&'static str; 10] = [
        "malformed",
        "too_large",
        "too_slow",
        "overloaded",
        "internal",
        "unreachable",
        "upstream_broken",
        "upstream_timeout",
        "redirected",
        "bad_answer",
    ];

    /// One word for counters.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(Refused::Malformed { .. }) | Self::Malformed(_) => "malformed",
            Self::Refused(Refused::TooDeep { .. }) => "too_deep",
            Self::Refused(Refused::TooLarge { .. }) | Self::TooLarge { .. } => "too_large",
            Self::Refused(Refused::TooMany { .. }) => "too_many",
            Self::Refused(Refused::Stopped) => "too_slow",
            Self::Refused(Refused::Profiles) | Self::Profiles => "profiles",
            Self::Compression => "compression",
            Self::ContentType => "content_type",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::NotGrpc => "not_grpc",
            Self::Unauthenticated => "unauthenticated",
            Self::Overloaded => "overloaded",
            Self::Unaudited => "unaudited",
            Self::ReadTimeout => "read_timeout",
            Self::ReadBroken => "read_broken",
            Self::Late => "late",
            Self::Internal => "internal",
            Self::Unreachable => "unreachable",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Redirected => "redirected",
            Self::BadAnswer => "bad_answer",
        }
    }

    /// What gRPC calls it. Of these, `CANCELLED`, `DEADLINE_EXCEEDED` and `UNAVAILABLE` are tried again by clients of OTLP.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Refused(Refused::TooLarge { .. }) | Self::TooLarge { .. } => Code::RESOURCE_EXHAUSTED,
            Self::Refused(Refused::Profiles) | Self::Profiles | Self::Compression => Code::UNIMPLEMENTED,
            Self::NotFound | Self::Method | Self::NotGrpc => Code::UNIMPLEMENTED,
            Self::Refused(_) | Self::Malformed(_) | Self::ContentType => Code::INVALID_ARGUMENT,
            Self::Unauthenticated => Code::UNAUTHENTICATED,
            Self::Overloaded
            | Self::Unaudited
            | Self::Unreachable
            | Self::UpstreamBroken
            | Self::BadAnswer
            | Self::Redirected => Code::UNAVAILABLE,
            Self::ReadBroken => Code::CANCELLED,
            Self::ReadTimeout | Self::UpstreamTimeout | Self::Late => Code::DEADLINE_EXCEEDED,
            Self::Internal => Code::INTERNAL,
        }
    }

    /// What HTTP calls it. Of these, only 502, 503 and 504 are tried again by clients of OTLP.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Refused(Refused::TooLarge { .. }) | Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused(Refused::Profiles) | Self::Profiles | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Refused(_) | Self::Malformed(_) | Self::ReadBroken => StatusCode::BAD_REQUEST,
            Self::Compression | Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotGrpc => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded
            | Self::Unaudited
            | Self::ReadTimeout
            | Self::Unreachable
            | Self::UpstreamBroken
            | Self::BadAnswer => StatusCode::SERVICE_UNAVAILABLE,
            Self::Redirected => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout | Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whether the request was let in and scrubbed, and the upstream is why there is no answer.
    pub(super) fn is_of_upstream(&self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::UpstreamBroken
                | Self::UpstreamTimeout
                | Self::Redirected
                | Self::BadAnswer
        )
    }

    /// After how long the client should try again, if we know.
    pub(super) fn retry(&self) -> Option<Duration> {
        matches!(self, Self::Overloaded | Self::Unaudited).then_some(BUSY)
    }

    /// What the client is told.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Refused(Refused::Stopped) => "scrubbing the request took too long; do not send it again, let the exporter \
                 send smaller batches"
                .to_owned(),
            Self::Refused(refused) => refused.to_string(),
            Self::TooLarge { most } => Refused::TooLarge { most: *most }.to_string(),
            Self::Malformed(what) => format!("{what}; do not send it again, look at what made it"),
            Self::Compression => {
                "the compression is not supported; let the exporter use gzip, zstd or none".to_owned()
            }
            Self::ContentType => "the content type is not supported; send application/grpc to the gRPC port, \
                 application/x-protobuf or application/json to the HTTP port"
                .to_owned(),
            Self::NotFound => "nothing is taken here; send to /v1/traces, /v1/logs or /v1/metrics, or Export of \
                 the trace, logs or metrics service"
                .to_owned(),
            Self::Method => "only POST is taken".to_owned(),
            Self::NotGrpc => {
                "this port takes gRPC over HTTP/2; send OTLP/HTTP to the HTTP port, or let the exporter use grpc"
                    .to_owned()
            }
            Self::Profiles => Refused::Profiles.to_string(),
            Self::Unauthenticated => "the request has no valid bearer token; set the exporter's headers".to_owned(),
            Self::Overloaded => "too many requests are under way; try again".to_owned(),
            Self::Unaudited => "the audit trail cannot be written; try again".to_owned(),
            Self::ReadTimeout => "the request did not arrive in time".to_owned(),
            Self::ReadBroken => "the request did not arrive whole".to_owned(),
            Self::Late => "the deadline came before the request could be sent; give it more time".to_owned(),
            Self::Internal => "internal error while scrubbing; the request was not forwarded".to_owned(),
            Self::Unreachable => "the upstream cannot be reached; try again".to_owned(),
            Self::UpstreamBroken => "the upstream's connection broke; try again".to_owned(),
            Self::UpstreamTimeout => "the upstream did not answer in time; try again".to_owned(),
            Self::Redirected => "the upstream sends clients elsewhere; set --upstream to where it is".to_owned(),
            Self::BadAnswer => "the upstream's answer cannot be read, so what it has taken is not known; let --upstream \
                 be where OTLP is taken, and try again"
                .to_owned(),
        }
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Malformed;

    /// The tables of OTLP's specification.
    fn is_retryable(fault: &Fault) -> (bool, bool) {
        let code = matches!(fault.code(), Code(1 | 4 | 10 | 11 | 14 | 15));
        let status = matches!(fault.status().as_u16(), 429 | 502..=504);
        (code, status)
    }

    #[test]
    fn what_is_permanent_is_not_tried_again() {
        let malformed = Refused::Malformed { at: 1, what: Malformed::Json };
        for fault in [
            Fault::Refused(malformed),
            Fault::Refused(Refused::TooDeep { most: 1 }),
            Fault::Refused(Refused::TooMany { most: 1 }),
            // It would take as long again.
            Fault::Refused(Refused::Stopped),
            Fault::Refused(Refused::TooLarge { most: 1 }),
            Fault::Refused(Refused::Profiles),
            Fault::TooLarge { most: 1 },
            Fault::Malformed("x"),
            Fault::Compression,
            Fault::ContentType,
            Fault::NotFound,
            Fault::Method,
            Fault::NotGrpc,
            Fault::Profiles,
            Fault::Unauthenticated,
            Fault::Internal,
        ] {
            assert_eq!(is_retryable(&fault), (false, false), "{fault:?}");
        }
        for fault in [
            Fault::Overloaded,
            Fault::Unaudited,
            Fault::ReadTimeout,
            Fault::Late,
            Fault::Unreachable,
            Fault::UpstreamBroken,
            Fault::UpstreamTimeout,
            Fault::Redirected,
            Fault::BadAnswer,
        ] {
            assert_eq!(is_retryable(&fault), (true, true), "{fault:?}");
        }
    }
}
