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

/// What the protocol's own files say of fields.
#[cfg(test)]
pub(super) mod described {
    use std::collections::BTreeMap;

    use prost::Message as _;
    use prost_types::field_descriptor_proto::{Label, Type as Is};
    use prost_types::{FieldDescriptorProto, FileDescriptorSet};

    use super::Type;

    /// The names of the values of all `enum`s, by theirs.
    fn enums() -> BTreeMap<String, Vec<String>> {
        let set = FileDescriptorSet::decode(opentelemetry_proto::DESCRIPTORS).expect("descriptors");
        let mut all = BTreeMap::new();
        for file in set.file {
            let package = format!(".{}", file.package());
            let inner = file.message_type.iter().flat_map(|message| {
                message.enum_type.iter().map(|one| (format!("{package}.{}", message.name()), one))
            });
            for (around, one) in file.enum_type.iter().map(|one| (package.clone(), one)).chain(inner) {
                // Those that count from 0 on; others are of bits.
                let names = one
                    .value
                    .iter()
                    .zip(0..)
                    .map(|(value, i)| (value.number() == i).then(|| value.name().to_owned()));
                let Some(names) = names.collect() else { continue };
                all.insert(format!("{around}.{}", one.name()), names);
            }
        }
        all
    }

    /// Whether a field is what the protocol's files say.
    pub(in crate::otlp) fn is_as_described(is: Type, of: &FieldDescriptorProto) -> bool {
        let element = is.element();
        if (of.label() == Label::Repeated) != element.is_some() {
            return false;
        }
        match (element.unwrap_or(is), of.r#type()) {
            (Type::Text, Is::String) => of.name() != "key",
            (Type::Key, Is::String) => of.name() == "key",
            (Type::Bytes, Is::Bytes) => !of.name().ends_with("_id"),
            (Type::Id(16), Is::Bytes) => of.name() == "trace_id",
            (Type::Id(8), Is::Bytes) => of.name().ends_with("span_id"),
            (Type::Enum(names), Is::Enum) => enums()[of.type_name()] == names,
            (Type::Message(_), Is::Message) | (Type::Bool, Is::Bool) | (Type::Double, Is::Double) => true,
            (Type::Int32, Is::Int32) | (Type::Int64, Is::Int64) | (Type::Sint32, Is::Sint32) => true,
            (Type::Uint32, Is::Uint32) | (Type::Uint64, Is::Uint64) | (Type::Fixed32, Is::Fixed32) => true,
            (Type::Fixed64, Is::Fixed64) | (Type::Sfixed64, Is::Sfixed64) => true,
            _ => false,
        }
    }
}
