//! Messages, and what is around them: paths, frames, compression, base64.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use kasm_scrub::otlp::Signal;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::client::Wire;
use crate::otlp::planted::pair;
pub(crate) use crate::otlp::planted::{shapes, text};
use crate::otlp::tree::{self, Field, Holds, Style};

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pack {
    None,
    Gzip,
    Zstd,
}

impl Pack {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    pub(crate) fn pack(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::None => message.to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(message).expect("memory");
                encoder.finish().expect("memory")
            }
            Self::Zstd => compress_to_vec(message, CompressionLevel::Fastest),
        }
    }
}

/// What was compressed.
pub(crate) fn unpack(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match name {
        "" | "identity" => out.extend(bytes),
        "gzip" => drop(MultiGzDecoder::new(bytes).read_to_end(&mut out).expect("gzip")),
        "zstd" => drop(StreamingDecoder::new(bytes).expect("zstd").read_to_end(&mut out).expect("zstd")),
        _ => panic!("no compression: {name}"),
    }
    out
}

/// A message in its frame of gRPC.
pub(crate) fn frame(message: &[u8], is_compressed: bool) -> Vec<u8> {
    let len = u32::try_from(message.len()).expect("fits").to_be_bytes();
    [&[u8::from(is_compressed)], &len[..], message].concat()
}

pub(crate) fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}

pub(crate) fn http_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
        Signal::Metrics => "/v1/metrics",
        Signal::Profiles => "/v1development/profiles",
    }
}

/// A request with one span, record or metric that has this text and these attributes.
pub(crate) fn request(signal: Signal, words: &str, attributes: Vec<(&str, Vec<Field>)>) -> Vec<Field> {
    let (package, steps) = match signal {
        Signal::Traces => ("trace", ["resourceSpans", "scopeSpans", "spans"]),
        Signal::Logs => ("logs", ["resourceLogs", "scopeLogs", "logRecords"]),
        _ => ("metrics", ["resourceMetrics", "scopeMetrics", "metrics"]),
    };
    let of = |name: &str| format!(".opentelemetry.proto.{package}.v1.{name}");
    let field = |message: &str, name: &str, fields| tree::named(&of(message), name, Holds::Fields(fields));
    let word = |message: &str, name: &str| tree::named(&of(message), name, Holds::Text(words.to_owned()));
    let pairs = |message: &str| {
        attributes
            .iter()
            .map(|(key, value)| field(message, "attributes", pair(key, value.clone())))
            .collect::<Vec<_>>()
    };
    let (names, inner) = match signal {
        Signal::Traces => {
            (["ResourceSpans", "ScopeSpans"], [vec![word("Span", "name")], pairs("Span")].concat())
        }
        Signal::Logs => {
            let body = field("LogRecord", "body", text(words));
            (["ResourceLogs", "ScopeLogs"], [vec![body], pairs("LogRecord")].concat())
        }
        _ => {
            let gauge = vec![field("Gauge", "dataPoints", pairs("NumberDataPoint"))];
            let inner = vec![word("Metric", "description"), field("Metric", "gauge", gauge)];
            (["ResourceMetrics", "ScopeMetrics"], inner)
        }
    };
    let scope = field(names[1], steps[2], inner);
    let resource = field(names[0], steps[1], vec![scope]);
    vec![tree::named(tree::root(signal), steps[0], Holds::Fields(vec![resource]))]
}

/// A request as it is written on a wire.
pub(crate) fn written(wire: Wire, request: &[Field]) -> Vec<u8> {
    match wire {
        Wire::Grpc | Wire::Protobuf => tree::wire(request),
        Wire::Json => tree::json(request, Style::default()),
    }
}

/// A request without anything to find; the text is in it.
pub(crate) fn clean(wire: Wire, signal: Signal, words: &str) -> Vec<u8> {
    written(wire, &request(signal, words, vec![("zone.name", text("harmless zone 7"))]))
}

/// A request that holds a secret, and the text beside it.
pub(crate) fn dirty(wire: Wire, signal: Signal, words: &str, secret: &str) -> Vec<u8> {
    let attributes = vec![("db.password", text(secret)), ("zone.name", text("harmless zone 7"))];
    written(wire, &request(signal, words, attributes))
}

/// A request for logs of exactly so many bytes on the wire, with nothing to find.
pub(crate) fn sized(len: usize) -> Vec<u8> {
    let filler = "image is present on the agent, zone default is healthy\n";
    let words = |len: usize| filler.repeat(len / filler.len() + 1)[..len].to_owned();
    let made = |words: String| clean(Wire::Protobuf, Signal::Logs, &words);
    let around = made(words(len - 200)).len() - (len - 200);
    let request = made(words(len - around));
    assert_eq!(request.len(), len);
    request
}

fn numbered(number: u32, holds: Holds) -> Field {
    Field { number, name: String::new(), is_repeated: false, holds }
}

fn any(kind: &str, fields: Vec<Field>) -> Field {
    let name = Holds::Text(format!("type.googleapis.com/google.rpc.{kind}"));
    numbered(3, Holds::Fields(vec![numbered(1, name), numbered(2, Holds::Bytes(tree::wire(&fields)))]))
}

/// A `google.rpc.Status`; with a delay, it has a RetryInfo.
pub(crate) fn status(code: u32, message: &str, delay: Option<u64>) -> Vec<u8> {
    let mut fields =
        vec![numbered(1, Holds::Varint(u64::from(code))), numbered(2, Holds::Text(message.to_owned()))];
    if let Some(seconds) = delay {
        let duration = Holds::Fields(vec![numbered(1, Holds::Varint(seconds))]);
        fields.push(any("RetryInfo", vec![numbered(1, duration)]));
    }
    tree::wire(&fields)
}

/// A `google.rpc.Status` with a detail that quotes something.
pub(crate) fn quoting_status(code: u32, quoted: &str) -> Vec<u8> {
    let info = vec![numbered(2, Holds::Text(quoted.to_owned()))];
    let fields = vec![
        numbered(1, Holds::Varint(u64::from(code))),
        numbered(2, Holds::Text(quoted.to_owned())),
        any("DebugInfo", info),
    ];
    tree::wire(&fields)
}

/// An answer that says that some records were not taken.
pub(crate) fn partial(rejected: u64, message: &str) -> Vec<u8> {
    let inner = vec![numbered(1, Holds::Varint(rejected)), numbered(2, Holds::Text(message.to_owned()))];
    tree::wire(&[numbered(1, Holds::Fields(inner))])
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 without padding, as gRPC has it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit =
        |six: &[u8]| six.iter().chain([0; 6].iter()).take(6).fold(0, |sum, bit| sum << 1 | usize::from(*bit));
    bits.chunks(6).map(|six| char::from(ALPHABET[digit(six)])).collect()
}

/// What base64 stands for, with padding or without.
pub(crate) fn unbase64(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter(|&byte| byte != b'=');
    let digits = digits.map(|byte| ALPHABET.iter().position(|&own| own == byte).expect("base64"));
    let bits: Vec<u8> =
        digits.flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit & 1) as u8)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

#[test]
fn base64_is_undone() {
    for bytes in [&b""[..], b"a", b"ab", b"abc", b"\xff\x00\xfe"] {
        assert_eq!(unbase64(&base64(bytes)), bytes);
    }
    assert_eq!((base64(b"hunter2").as_str(), unbase64("aHVudGVyMg==")), ("aHVudGVyMg", b"hunter2".to_vec()));
}
