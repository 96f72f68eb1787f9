//! The types of fields, as the protocol's files have them. To look for text it is enough to know how a field is written
//! ([`Kind`]); to write it anew one has to know what it means.

use super::schema::{Kind, Message};

/// What a field is in the protocol's files. `…s`: repeated; numbers are packed then.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    /// Nothing that is known.
    Unknown,
    Text,
    Texts,
    /// The string that names a `KeyValue`.
    Key,
    Bytes,
    /// The id of a trace or span, of so many bytes.
    Id(u8),
    Message(&'static Message),
    Messages(&'static Message),
    Bool,
    /// The names of its values, from 0 on.
    Enum(&'static [&'static str]),
    Int32,
    Int64,
    Uint32,
    Uint64,
    Uint64s,
    Sint32,
    Fixed32,
    Fixed64,
    Fixed64s,
    Sfixed64,
    Double,
    Doubles,
}

impl Type {
    /// How it is written.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Text | Self::Texts => Kind::Text,
            Self::Key => Kind::Key,
            Self::Bytes => Kind::Bytes,
            Self::Id(len) => Kind::Id(len),
            Self::Message(message) | Self::Messages(message) => Kind::Message(message),
            Self::Bool | Self::Enum(_) | Self::Int32 | Self::Int64 => Kind::Varint,
            Self::Uint32 | Self::Uint64 | Self::Sint32 => Kind::Varint,
            Self::Uint64s => Kind::Varints,
            Self::Fixed32 => Kind::Fixed32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Kind::Fixed64,
            Self::Fixed64s | Self::Doubles => Kind::Fixed64s,
        }
    }

    /// What each value of a repeated field is; none of any other.
    pub(super) const fn element(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            Self::Messages(message) => Some(Self::Message(message)),
            Self::Uint64s => Some(Self::Uint64),
            Self::Fixed64s => Some(Self::Fixed64),
            Self::Doubles => Some(Self::Double),
            _ => None,
        }
    }
}

/// `Span.SpanKind`.
pub(super) const SPAN_KIND: Type = Type::Enum(&[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
]);

/// `Status.StatusCode`.
pub(super) const STATUS_CODE: Type =
    Type::Enum(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]);

/// `SeverityNumber`.
pub(super) const SEVERITY: Type = Type::Enum(&[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
]);

/// `AggregationTemporality`.
pub(super) const TEMPORALITY: Type = Type::Enum(&[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
]);
