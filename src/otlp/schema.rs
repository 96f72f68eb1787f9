//! What the messages of OTLP are made of (opentelemetry-proto 1.8): every field, and what is in it.
//!
//! A field that is missing here is an unknown one and treated as such; a test compares this file with the descriptors of
//! the protocol, so that a field of a new version does not go unseen.

use super::types::{SEVERITY, SPAN_KIND, STATUS_CODE, TEMPORALITY, Type};
use super::wire::{FIXED32, FIXED64, LEN, VARINT};

/// One past the highest number of any field.
pub(super) const FIELDS: usize = 17;

/// What a field holds. Repeated ones are as others: each occurrence is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Nothing that is known.
    Unknown,
    /// A string.
    Text,
    /// The string that names a `KeyValue`.
    Key,
    /// Bytes that may be text.
    Bytes,
    /// The id of a trace or span, of so many bytes.
    Id(u8),
    /// A message.
    Message(&'static Message),
    /// A number of a variable length, `bool` or an `enum`.
    Varint,
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// Numbers of variable lengths, packed or each for itself.
    Varints,
    /// Numbers of eight bytes, packed or each for itself.
    Fixed64s,
}

/// What is done with a message beside looking at its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// A resource. It is often the same, as are those that follow: what was clean once need not be looked at again.
    Resource,
    /// A scope.
    Scope,
    /// A list of values: what stands beside one may tell what it is.
    Array,
    /// A list of pairs, one of which may name another: `name: DB_PASSWORD`, `value: …`.
    List,
    /// A pair; its key belongs to all values in it that have no key of their own.
    Pair,
    /// A value of one of several kinds.
    Value,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name in the protocol's files.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) role: Role,
    fields: [Field; FIELDS],
    /// Beside the fields: walks over the wire have no use for it.
    types: [Type; FIELDS],
    /// By the first byte of a field.
    skips: [Skip; 256],
}

/// What of a field tells how long it is, if nothing in it has to be looked at.
#[derive(Clone, Copy, Debug)]
struct Skip {
    /// How long all of it is, if its second byte has these bits of those of the mask; 0: it has to be read.
    len: u8,
    mask: u8,
    bits: u8,
}

impl Skip {
    const NEVER: Self = Self { len: 0, mask: 0, bits: 0 };

    /// Of a field with this number; and its first byte.
    const fn of(number: usize, kind: Kind, role: Role) -> (usize, Self) {
        let (wire, len, mask, bits) = match kind {
            Kind::Fixed64 if !matches!(role, Role::Value) => (FIXED64, 8, 0, 0),
            Kind::Fixed32 => (FIXED32, 4, 0, 0),
            // It ends where it begins.
            Kind::Varint if !matches!(role, Role::Value) => (VARINT, 1, 0x80, 0),
            Kind::Id(len) => (LEN, 1 + len, 0xFF, len),
            _ => return (0, Self::NEVER),
        };
        let first = number << 3 | wire as usize;
        if number < 16 {
            return (first, Self { len: 1 + len, mask, bits });
        }
        // The number goes on in the second byte, and nothing is known of a third one.
        let len = if mask == 0 { 2 + len } else { 0 };
        (first & 0x7F | 0x80, Self { len, mask: 0xFF, bits: (number >> 4) as u8 })
    }
}

impl Message {
    /// The field with this number.
    #[inline]
    pub(super) fn field(&self, number: u32) -> Kind {
        self.fields.get(number as usize).map_or(Kind::Unknown, |field| field.kind)
    }

    /// How long the field is that `rest` begins with, if a few bytes tell and nothing has to be looked at: a number, the
    /// id of a trace or span.
    #[inline(always)]
    pub(super) fn skip(&self, rest: &[u8]) -> Option<usize> {
        let &[first, second, ..] = rest else { return None };
        let Skip { len, mask, bits } = self.skips[usize::from(first)];
        let len = usize::from(len);
        (len != 0 && second & mask == bits && len <= rest.len()).then_some(len)
    }

    /// The field with this name in JSON: as in the protocol's files, or in lower camel case.
    pub(super) fn named(&self, name: &[u8]) -> (u32, Kind) {
        let is_named =
            |(_, field): &(u32, &Field)| !field.name.is_empty() && is_spelled(field.name.as_bytes(), name);
        let found = (0..).zip(&self.fields).find(is_named);
        found.map_or((0, Kind::Unknown), |(number, field)| (number, field.kind))
    }

    /// What the field with this number is.
    pub(super) fn type_of(&self, number: u32) -> Type {
        self.types.get(number as usize).copied().unwrap_or(Type::Unknown)
    }

    /// All fields that there are, with their numbers.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &Field)> {
        (0..).zip(&self.fields).filter(|(_, field)| !field.name.is_empty())
    }
}

fn is_spelled(known: &[u8], name: &[u8]) -> bool {
    if known == name {
        return true;
    }
    let mut rest = name.iter();
    let mut after_gap = false;
    for &letter in known {
        if letter == b'_' {
            after_gap = true;
            continue;
        }
        let want = if after_gap { letter.to_ascii_uppercase() } else { letter };
        after_gap = false;
        if rest.next() != Some(&want) {
            return false;
        }
    }
    rest.next().is_none()
}

const NONE: Field = Field { name: "", kind: Kind::Unknown };

pub(super) const fn message(role: Role, list: &[(usize, &'static str, Type)]) -> Message {
    let (mut fields, mut skips) = ([NONE; FIELDS], [Skip::NEVER; 256]);
    let mut types = [Type::Unknown; FIELDS];
    let mut i = 0;
    while i < list.len() {
        let (number, name, of) = list[i];
        let kind = of.kind();
        fields[number] = Field { name, kind };
        types[number] = of;
        let (first, skip) = Skip::of(number, kind, role);
        if skip.len > 0 {
            skips[first] = skip;
        }
        i += 1;
    }
    Message { role, fields, types, skips }
}

use Role::{Array, List, Pair, Plain, Resource, Scope, Value};
use Type::{Bool, Bytes, Double, Doubles, Fixed32, Fixed64, Fixed64s, Id, Int32, Int64, Key};
use Type::{Sfixed64, Sint32, Text, Texts, Uint32, Uint64s};

const fn of(message: &'static Message) -> Type {
    Type::Message(message)
}

const fn many(message: &'static Message) -> Type {
    Type::Messages(message)
}

const TRACE_ID: Type = Id(16);
const SPAN_ID: Type = Id(8);

/// A request with traces.
pub(super) static TRACES: Message = message(Plain, &[(1, "resource_spans", many(&RESOURCE_SPANS))]);

/// A request with logs.
pub(super) static LOGS: Message = message(Plain, &[(1, "resource_logs", many(&RESOURCE_LOGS))]);

/// A request with metrics.
pub(super) static METRICS: Message = message(Plain, &[(1, "resource_metrics", many(&RESOURCE_METRICS))]);

// common.proto

pub(super) static ANY_VALUE: Message = message(
    Value,
    &[
        (1, "string_value", Text),
        (2, "bool_value", Bool),
        (3, "int_value", Int64),
        (4, "double_value", Double),
        (5, "array_value", of(&ARRAY_VALUE)),
        (6, "kvlist_value", of(&KEY_VALUE_LIST)),
        (7, "bytes_value", Bytes),
        (8, "string_value_strindex", Int32),
    ],
);

/// The fields of an `AnyValue` with a boolean, an integer or a double: one that is secret becomes a string.
pub(super) const NUMBERS: [u32; 3] = [2, 3, 4];

/// The number of the string of an `AnyValue`, as a tag.
pub(super) const STRING_VALUE: u8 = 1 << 3 | 2;

static ARRAY_VALUE: Message = message(Array, &[(1, "values", many(&ANY_VALUE))]);

static KEY_VALUE_LIST: Message = message(List, &[(1, "values", many(&KEY_VALUE))]);

static KEY_VALUE: Message =
    message(Pair, &[(1, "key", Key), (2, "value", of(&ANY_VALUE)), (3, "key_strindex", Int32)]);

static SCOPE: Message = message(
    Scope,
    &[
        (1, "name", Text),
        (2, "version", Text),
        (3, "attributes", many(&KEY_VALUE)),
        (4, "dropped_attributes_count", Uint32),
    ],
);

static ENTITY_REF: Message = message(
    Plain,
    &[(1, "schema_url", Text), (2, "type", Text), (3, "id_keys", Texts), (4, "description_keys", Texts)],
);

// resource.proto

static RESOURCE: Message = message(
    Resource,
    &[
        (1, "attributes", many(&KEY_VALUE)),
        (2, "dropped_attributes_count", Uint32),
        (3, "entity_refs", many(&ENTITY_REF)),
    ],
);

// trace.proto

static RESOURCE_SPANS: Message = message(
    Plain,
    &[(1, "resource", of(&RESOURCE)), (2, "scope_spans", many(&SCOPE_SPANS)), (3, "schema_url", Text)],
);

static SCOPE_SPANS: Message =
    message(Plain, &[(1, "scope", of(&SCOPE)), (2, "spans", many(&SPAN)), (3, "schema_url", Text)]);

static SPAN: Message = message(
    Plain,
    &[
        (1, "trace_id", TRACE_ID),
        (2, "span_id", SPAN_ID),
        (3, "trace_state", Text),
        (4, "parent_span_id", SPAN_ID),
        (5, "name", Text),
        (6, "kind", SPAN_KIND),
        (7, "start_time_unix_nano", Fixed64),
        (8, "end_time_unix_nano", Fixed64),
        (9, "attributes", many(&KEY_VALUE)),
        (10, "dropped_attributes_count", Uint32),
        (11, "events", many(&EVENT)),
        (12, "dropped_events_count", Uint32),
        (13, "links", many(&LINK)),
        (14, "dropped_links_count", Uint32),
        (15, "status", of(&STATUS)),
        (16, "flags", Fixed32),
    ],
);

static EVENT: Message = message(
    Plain,
    &[
        (1, "time_unix_nano", Fixed64),
        (2, "name", Text),
        (3, "attributes", many(&KEY_VALUE)),
        (4, "dropped_attributes_count", Uint32),
    ],
);

static LINK: Message = message(
    Plain,
    &[
        (1, "trace_id", TRACE_ID),
        (2, "span_id", SPAN_ID),
        (3, "trace_state", Text),
        (4, "attributes", many(&KEY_VALUE)),
        (5, "dropped_attributes_count", Uint32),
        (6, "flags", Fixed32),
    ],
);

static STATUS: Message = message(Plain, &[(2, "message", Text), (3, "code", STATUS_CODE)]);

// logs.proto

static RESOURCE_LOGS: Message = message(
    Plain,
    &[(1, "resource", of(&RESOURCE)), (2, "scope_logs", many(&SCOPE_LOGS)), (3, "schema_url", Text)],
);

static SCOPE_LOGS: Message = message(
    Plain,
    &[(1, "scope", of(&SCOPE)), (2, "log_records", many(&LOG_RECORD)), (3, "schema_url", Text)],
);

static LOG_RECORD: Message = message(
    Plain,
    &[
        (1, "time_unix_nano", Fixed64),
        (2, "severity_number", SEVERITY),
        (3, "severity_text", Text),
        (5, "body", of(&ANY_VALUE)),
        (6, "attributes", many(&KEY_VALUE)),
        (7, "dropped_attributes_count", Uint32),
        (8, "flags", Fixed32),
        (9, "trace_id", TRACE_ID),
        (10, "span_id", SPAN_ID),
        (11, "observed_time_unix_nano", Fixed64),
        (12, "event_name", Text),
    ],
);

// metrics.proto

static RESOURCE_METRICS: Message = message(
    Plain,
    &[(1, "resource", of(&RESOURCE)), (2, "scope_metrics", many(&SCOPE_METRICS)), (3, "schema_url", Text)],
);

static SCOPE_METRICS: Message =
    message(Plain, &[(1, "scope", of(&SCOPE)), (2, "metrics", many(&METRIC)), (3, "schema_url", Text)]);

static METRIC: Message = message(
    Plain,
    &[
        (1, "name", Text),
        (2, "description", Text),
        (3, "unit", Text),
        (5, "gauge", of(&GAUGE)),
        (7, "sum", of(&SUM)),
        (9, "histogram", of(&HISTOGRAM)),
        (10, "exponential_histogram", of(&EXPONENTIAL_HISTOGRAM)),
        (11, "summary", of(&SUMMARY)),
        (12, "metadata", many(&KEY_VALUE)),
    ],
);

static GAUGE: Message = message(Plain, &[(1, "data_points", many(&NUMBER_DATA_POINT))]);

static SUM: Message = message(
    Plain,
    &[
        (1, "data_points", many(&NUMBER_DATA_POINT)),
        (2, "aggregation_temporality", TEMPORALITY),
        (3, "is_monotonic", Bool),
    ],
);

static HISTOGRAM: Message = message(
    Plain,
    &[(1, "data_points", many(&HISTOGRAM_DATA_POINT)), (2, "aggregation_temporality", TEMPORALITY)],
);

static EXPONENTIAL_HISTOGRAM: Message = message(
    Plain,
    &[
        (1, "data_points", many(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        (2, "aggregation_temporality", TEMPORALITY),
    ],
);

static SUMMARY: Message = message(Plain, &[(1, "data_points", many(&SUMMARY_DATA_POINT))]);

static NUMBER_DATA_POINT: Message = message(
    Plain,
    &[
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Fixed64),
        (4, "as_double", Double),
        (5, "exemplars", many(&EXEMPLAR)),
        (6, "as_int", Sfixed64),
        (7, "attributes", many(&KEY_VALUE)),
        (8, "flags", Uint32),
    ],
);

static HISTOGRAM_DATA_POINT: Message = message(
    Plain,
    &[
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Fixed64),
        (4, "count", Fixed64),
        (5, "sum", Double),
        (6, "bucket_counts", Fixed64s),
        (7, "explicit_bounds", Doubles),
        (8, "exemplars", many(&EXEMPLAR)),
        (9, "attributes", many(&KEY_VALUE)),
        (10, "flags", Uint32),
        (11, "min", Double),
        (12, "max", Double),
    ],
);

static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = message(
    Plain,
    &[
        (1, "attributes", many(&KEY_VALUE)),
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Fixed64),
        (4, "count", Fixed64),
        (5, "sum", Double),
        (6, "scale", Sint32),
        (7, "zero_count", Fixed64),
        (8, "positive", of(&BUCKETS)),
        (9, "negative", of(&BUCKETS)),
        (10, "flags", Uint32),
        (11, "exemplars", many(&EXEMPLAR)),
        (12, "min", Double),
        (13, "max", Double),
        (14, "zero_threshold", Double),
    ],
);

static BUCKETS: Message = message(Plain, &[(1, "offset", Sint32), (2, "bucket_counts", Uint64s)]);

static SUMMARY_DATA_POINT: Message = message(
    Plain,
    &[
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Fixed64),
        (4, "count", Fixed64),
        (5, "sum", Double),
        (6, "quantile_values", many(&VALUE_AT_QUANTILE)),
        (7, "attributes", many(&KEY_VALUE)),
        (8, "flags", Uint32),
    ],
);

static VALUE_AT_QUANTILE: Message = message(Plain, &[(1, "quantile", Double), (2, "value", Double)]);

static EXEMPLAR: Message = message(
    Plain,
    &[
        (2, "time_unix_nano", Fixed64),
        (3, "as_double", Double),
        (4, "span_id", SPAN_ID),
        (5, "trace_id", TRACE_ID),
        (6, "as_int", Sfixed64),
        (7, "filtered_attributes", many(&KEY_VALUE)),
    ],
);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message as _;
    use prost_types::{DescriptorProto, FileDescriptorSet};

    use super::*;
    use crate::otlp::types::described::is_as_described;
    use crate::otlp::{Answer, Signal};

    /// All messages of the protocol, by their full names.
    fn descriptors() -> BTreeMap<String, DescriptorProto> {
        let set = FileDescriptorSet::decode(opentelemetry_proto::DESCRIPTORS).expect("descriptors");
        let mut all = BTreeMap::new();
        for file in set.file {
            let package = format!(".{}", file.package());
            let mut rest: Vec<_> =
                file.message_type.into_iter().map(|message| (package.clone(), message)).collect();
            while let Some((around, message)) = rest.pop() {
                let name = format!("{around}.{}", message.name());
                rest.extend(message.nested_type.iter().cloned().map(|inner| (name.clone(), inner)));
                all.insert(name, message);
            }
        }
        all
    }

    #[test]
    fn every_field_of_the_protocol_is_known() {
        let described = descriptors();
        let mut done = BTreeSet::new();
        let service = |signal: &str, name: &str| format!(".opentelemetry.proto.collector.{signal}.v1.{name}");
        let answer = |signal| Answer::Export(signal).message().expect("a signal with answers");
        let mut rest = vec![
            (service("trace", "ExportTraceServiceRequest"), &TRACES),
            (service("logs", "ExportLogsServiceRequest"), &LOGS),
            (service("metrics", "ExportMetricsServiceRequest"), &METRICS),
            (service("trace", "ExportTraceServiceResponse"), answer(Signal::Traces)),
            (service("logs", "ExportLogsServiceResponse"), answer(Signal::Logs)),
            (service("metrics", "ExportMetricsServiceResponse"), answer(Signal::Metrics)),
        ];
        while let Some((name, known)) = rest.pop() {
            if !done.insert(name.clone()) {
                continue;
            }
            let of = described.get(&name).unwrap_or_else(|| panic!("the protocol has no {name}"));
            assert_eq!(of.field.len(), known.all().count(), "{name}: fields that are described, and known");
            for (number, field) in known.all() {
                let described = of.field.iter().find(|of| of.number() == number as i32);
                let of = described.unwrap_or_else(|| panic!("{name} has no field {number}"));
                assert_eq!(of.name(), field.name, "{name}");
                assert!(is_as_described(known.type_of(number), of), "{name}.{}", field.name);
                assert_eq!(known.named(of.json_name().as_bytes()).0, number, "{name}.{}", of.json_name());
                if let Kind::Message(inner) = field.kind {
                    rest.push((of.type_name().to_owned(), inner));
                }
            }
        }
        assert_eq!(done.len(), 40, "messages of three signals");
    }

    #[test]
    fn what_need_not_be_looked_at_is_stepped_over() {
        fn check(message: &Message, field: &[u8], want: Option<usize>) {
            assert_eq!(message.skip(&[field, &[0x80; 20]].concat()), want, "{}", field.escape_ascii());
            let cut = want.map_or(field.len(), |len| len - 1);
            assert_eq!(message.skip(&[field, &[0x80; 20]].concat()[..cut]), None);
        }
        check(&SPAN, &[1 << 3 | LEN, 16], Some(18));
        check(&SPAN, &[1 << 3 | LEN, 8], None);
        check(&SPAN, &[5 << 3 | LEN, 16], None);
        check(&SPAN, &[6 << 3 | VARINT, 0x7F], Some(2));
        check(&SPAN, &[6 << 3 | VARINT, 0x80], None);
        check(&SPAN, &[7 << 3 | FIXED64], Some(9));
        check(&SPAN, &[7 << 3 | FIXED32], None);
        check(&SPAN, &[0x80 | FIXED32, 1], Some(6));
        check(&SPAN, &[0x80 | FIXED32, 2], None);
        check(&SPAN, &[0x88 | FIXED32, 1], None);
        check(&LOG_RECORD, &[8 << 3 | FIXED32], Some(5));
        check(&ANY_VALUE, &[3 << 3 | VARINT, 1], None);
        check(&ANY_VALUE, &[4 << 3 | FIXED64], None);
    }

    #[test]
    fn names_are_spelled_in_two_ways() {
        let number = |name: &[u8]| SPAN.named(name).0;
        assert_eq!(number(b"traceId"), 1);
        assert_eq!(number(b"trace_id"), 1);
        assert_eq!(number(b"startTimeUnixNano"), 7);
        for name in [&b"TraceId"[..], b"traceid", b"trace_Id", b"trace", b"traceIdx", b""] {
            assert_eq!(number(name), 0);
        }
    }
}
