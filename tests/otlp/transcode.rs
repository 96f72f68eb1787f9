//! Requests and answers from JSON to protobuf: what comes out says what went in.

use std::time::Duration;

use kasm_scrub::otlp::{
    Answer, Encoding, Malformed, Refused, Scrubbed, Signal, answer_to_json, answer_to_protobuf, to_protobuf,
    write_status, write_status_json,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;

use super::differential::{decoded, request, signal, tape};
use super::traps::{len, varint};
use super::tree::{self, Field, Holds, Style};
use super::{SIGNALS, forwarded, scrubber};

/// A request with this log record.
fn log(record: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#)
}

/// The bytes of the record of such a request.
fn record(json: &str) -> Result<Vec<u8>, Refused> {
    let out = to_protobuf(Signal::Logs, log(json).as_bytes())?;
    let mut request = ExportLogsServiceRequest::decode(&*out).expect("protobuf");
    Ok(request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0).encode_to_vec())
}

#[track_caller]
fn becomes(json: &str, want: &[u8]) {
    let want = LogRecord::decode(want).expect("protobuf").encode_to_vec();
    let got = record(json).expect(json);
    assert!(got == want, "{json} {}\nwant {}", got.escape_ascii(), want.escape_ascii());
}

#[track_caller]
fn refused(json: &str, want: Malformed) {
    match record(json) {
        Err(Refused::Malformed { what, .. }) => assert_eq!(what, want, "{json}"),
        other => panic!("{json} {other:?}"),
    }
}

/// What is given twice, once: JSON has one member of a name.
fn once(fields: &[Field]) -> Vec<Field> {
    let mut kept: Vec<Field> = Vec::new();
    for field in fields {
        if !field.is_repeated && kept.iter().any(|other| other.number == field.number) {
            continue;
        }
        let mut field = field.clone();
        if let Holds::Fields(inner) = &field.holds {
            field.holds = Holds::Fields(once(inner));
        }
        kept.push(field);
    }
    kept
}

#[test]
fn strings_bytes_and_ids() {
    let text = |text: &[u8]| len(5, &len(1, text));
    becomes(r#"{"body":{"stringValue":"a\/b\n\u00e9\ud83d\ude00"}}"#, &text("a/b\né😀".as_bytes()));
    becomes(r#"{"body":{"stringValue":"\ud83d!"}}"#, &text("\u{FFFD}!".as_bytes()));
    becomes(r#"{"bod\u0079":{"string\u005fvalue":""}}"#, &text(b""));
    becomes(r#"{"body":{"stringValue":null},"eventName":null}"#, &len(5, b""));
    becomes(r#"{"body":{}}"#, &len(5, b""));
    becomes(r#"{"body":null,"future":[{"a":"b"}],"futur\u0065":1}"#, b"");
    let bytes = len(5, &len(7, b"\xFB\xFF\xFE"));
    for base64 in ["+//+", "-__-", "\\u002b\\/\\/\\u002B"] {
        becomes(&format!(r#"{{"body":{{"bytesValue":"{base64}"}}}}"#), &bytes);
    }
    becomes(r#"{"body":{"bytesValue":"-_8"}}"#, &len(5, &len(7, b"\xFB\xFF")));
    becomes(
        r#"{"traceId":"5B8EFFF798038103d269b633813FC60C","span_id":"","future":{}}"#,
        &len(9, b"\x5B\x8E\xFF\xF7\x98\x03\x81\x03\xD2\x69\xB6\x33\x81\x3F\xC6\x0C"),
    );
    becomes(r#"{"spanId":"00a9"}"#, &len(10, b"\x00\xA9"));
    // Receivers take strings of UTF-8 only.
    let mut odd = log(r#"{"eventName":"a?b?"}"#).into_bytes();
    odd.iter_mut().filter(|byte| **byte == b'?').for_each(|byte| *byte = 0xC3);
    let out = to_protobuf(Signal::Logs, &odd).expect("valid");
    let want = len(1, &len(2, &len(2, &len(12, "a\u{FFFD}b\u{FFFD}".as_bytes()))));
    assert_eq!(out, want);
    refused(r#"{"body":{"bytesValue":"?"}}"#, Malformed::Base64);
    refused(r#"{"traceId":"xyz"}"#, Malformed::Hex);
}

#[test]
fn numbers() {
    let int = |value: i64| len(5, &varint(3, value as u64));
    for text in ["12", "\"12\"", "12.0", "\"1.2e1\"", "120E-1"] {
        becomes(&format!(r#"{{"body":{{"intValue":{text}}}}}"#), &int(12));
    }
    becomes(r#"{"body":{"intValue":"-9223372036854775808"}}"#, &int(i64::MIN));
    becomes(r#"{"body":{"intValue":0}}"#, &int(0));
    let double = |value: f64| len(5, &[&[4 << 3 | 1][..], &value.to_le_bytes()].concat());
    for (text, value) in [
        ("1", 1.0),
        ("\"-1.5e300\"", -1.5e300),
        ("\"NaN\"", f64::NAN),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
        ("0.1", 0.1),
    ] {
        becomes(&format!(r#"{{"body":{{"doubleValue":{text}}}}}"#), &double(value));
    }
    becomes(r#"{"body":{"boolValue":false}}"#, &len(5, &varint(2, 0)));
    becomes(r#"{"severityNumber":"SEVERITY_NUMBER_FATAL4"}"#, &varint(2, 24));
    becomes(
        r#"{"severityNumber":99,"flags":"1"}"#,
        &[&varint(2, 99)[..], &[8 << 3 | 5, 1, 0, 0, 0]].concat(),
    );
    refused(r#"{"severityNumber":"SEVERITY_NUMBER_LOUD"}"#, Malformed::EnumName);
    for wrong in [
        r#"{"body":{"intValue":1.5}}"#,
        r#"{"body":{"intValue":""}}"#,
        r#"{"body":{"intValue":"9223372036854775808"}}"#,
        r#"{"body":{"intValue":1e99999999999}}"#,
        r#"{"body":{"intValue":"NaN"}}"#,
        r#"{"body":{"doubleValue":1e400}}"#,
        r#"{"body":{"doubleValue":"1.5 "}}"#,
        r#"{"flags":-1}"#,
        r#"{"flags":4294967296}"#,
        r#"{"timeUnixNano":-1}"#,
        r#"{"droppedAttributesCount":4294967296}"#,
        r#"{"severityNumber":2147483648}"#,
    ] {
        refused(wrong, Malformed::JsonNumber);
    }
    // The last one counts.
    becomes(r#"{"body":{"intValue":1,"intValue":2,"doubleValue":3,"intValue":"4"}}"#, &int(4));
}

#[test]
fn other_kinds_and_shapes_are_refused() {
    for wrong in [
        r#"{"body":{"stringValue":1}}"#,
        r#"{"body":{"boolValue":1}}"#,
        r#"{"body":{"boolValue":"true"}}"#,
        r#"{"body":{"intValue":true}}"#,
        r#"{"body":[{"intValue":1}]}"#,
        r#"{"body":"x"}"#,
        r#"{"attributes":{"key":"a"}}"#,
        r#"{"attributes":[null]}"#,
        r#"{"attributes":[[]]}"#,
        r#"{"attributes":["x"]}"#,
        r#"{"severityNumber":{}}"#,
        r#"{"eventName":["x"]}"#,
    ] {
        refused(wrong, Malformed::JsonKind);
    }
    for wrong in [r#"{"eventName":"x" "y":1}"#, r#"{"future":[}"#, "{\"a\":\"\u{1}\"}", "{\"flags\":01}"] {
        refused(wrong, Malformed::Json);
    }
    for wrong in ["", "[]", "{", "{}x", "null", "{\"resourceLogs\":[{]}"] {
        let result = to_protobuf(Signal::Logs, wrong.as_bytes());
        assert!(
            matches!(result, Err(Refused::Malformed { what: Malformed::Json, .. })),
            "{wrong} {result:?}"
        );
    }
    assert_eq!(to_protobuf(Signal::Profiles, b"{}"), Err(Refused::Profiles));
    let metric = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":$}]}}]}]}]}"#;
    for (counts, is_valid) in
        [("[1,\"2\",3.0]", true), ("[]", true), ("null", true), ("1", false), ("[null]", false)]
    {
        let result = to_protobuf(Signal::Metrics, metric.replace('$', counts).as_bytes());
        assert_eq!(result.is_ok(), is_valid, "{counts} {result:?}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        log(&format!(r#"{{"body":{open}{}}}"#, "]}}".repeat(levels)))
    };
    let out = to_protobuf(Signal::Logs, nested(48).as_bytes()).expect("as deep as receivers go");
    assert_eq!(scrubber().scrub(Signal::Logs, Encoding::Protobuf, &out), Ok(Scrubbed::Clean));
    ExportLogsServiceRequest::decode(&*out).expect("as deep as receivers go");
    for json in [nested(49), nested(3000), format!("{{\"x\":{}", "[".repeat(100_000))] {
        let result = to_protobuf(Signal::Logs, json.as_bytes());
        assert!(matches!(result, Err(Refused::TooDeep { .. })), "{result:?}");
    }
    // A few bytes of JSON are eight on the wire.
    let counts = "1,".repeat(9 << 20);
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{counts}1]}}]}}}}]}}]}}]}}"#
    );
    assert_eq!(to_protobuf(Signal::Metrics, json.as_bytes()), Err(Refused::TooLarge { most: 64 << 20 }));
}

#[test]
fn lengths_of_every_width() {
    for size in [0, 100, 108, 110, 112, 114, 116, 118, 120, 122, 124, 127, 128, 16_370, 16_384, 1 << 21] {
        let text = "x".repeat(size);
        let deep =
            |inner: String| format!(r#"{{"kvlistValue":{{"values":[{{"key":"k","value":{inner}}}]}}}}"#);
        let body = (0..9).fold(format!(r#"{{"stringValue":"{text}"}}"#), |inner, _| deep(inner));
        let deep = |inner: Vec<u8>| len(6, &len(1, &[len(1, b"k"), len(2, &inner)].concat()));
        let want = (0..9).fold(len(1, text.as_bytes()), |inner, _| deep(inner));
        let json = log(&format!(r#"{{"body":{body}}},{{"eventName":"x","body":{body}}}"#));
        let want = len(
            1,
            &len(2, &[len(2, &len(5, &want)), len(2, &[len(12, b"x"), len(5, &want)].concat())].concat()),
        );
        assert!(to_protobuf(Signal::Logs, json.as_bytes()) == Ok(want), "{size}");
    }
}

#[test]
fn answers_from_json() {
    let check = |answer, json: &str, want: &[u8]| {
        let got = answer_to_protobuf(answer, json.as_bytes()).expect(json);
        assert!(got == want, "{json} {}", got.escape_ascii());
    };
    check(Answer::Export(Signal::Traces), "{}", b"");
    let partial = len(1, &[varint(1, 7), len(2, b"late")].concat());
    check(
        Answer::Export(Signal::Logs),
        r#"{"partialSuccess":{"rejectedLogRecords":"7","error_message":"late","a":1}}"#,
        &partial,
    );
    for (delay, want) in [
        ("1.5s", Some(Duration::from_millis(1500))),
        ("0s", Some(Duration::ZERO)),
        ("3.000000001s", Some(Duration::new(3, 1))),
        ("-1s", None),
        ("1.5", None),
        ("1.0000000001s", None),
        ("+1s", None),
        ("s", None),
        ("315576000001s", None),
    ] {
        let json = format!(
            r#"{{"code":14,"message":"no\n","details":[{{"@type":"x/a.B","c":"d"}},{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}"#
        );
        check(Answer::Status, &json, &write_status(14, "no\n", want));
    }
    let status = write_status_json(8, "é\"", Some(Duration::from_secs(2)));
    let wire = write_status(8, "é\"", Some(Duration::from_secs(2)));
    assert_eq!(answer_to_protobuf(Answer::Status, &status), Ok(wire.clone()));
    assert_eq!(answer_to_json(Answer::Status, &wire), Ok(status));
    for wrong in ["", "[]", "{\"code\":\"x\"}", "{\"details\":{}}"] {
        assert!(answer_to_protobuf(Answer::Status, wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert_eq!(answer_to_protobuf(Answer::Export(Signal::Profiles), b"{}"), Err(Refused::Profiles));
}

/// The first data point of an exponential histogram.
fn point(json: &str) -> ExponentialHistogramDataPoint {
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"exponentialHistogram":{{"dataPoints":[{json}]}}}}]}}]}}]}}"#
    );
    let out = to_protobuf(Signal::Metrics, json.as_bytes()).expect("valid");
    let mut request = ExportMetricsServiceRequest::decode(&*out).expect("valid");
    let metric = request.resource_metrics.remove(0).scope_metrics.remove(0).metrics.remove(0);
    let Some(Data::ExponentialHistogram(mut histogram)) = metric.data else { panic!() };
    histogram.data_points.remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn json_says_what_the_wire_says(
        signal in signal(), tape in tape(), is_plain: bool, snake: bool, escapes: bool, blanks: bool,
    ) {
        let fields = once(&request(signal, &tape, is_plain));
        let json = tree::json(&fields, Style { snake, escapes, blanks });
        let out = to_protobuf(signal, &json).expect("valid");
        prop_assert_eq!(
            decoded(signal, &out, false),
            decoded(signal, &tree::wire(&fields), false),
            "{}", String::from_utf8_lossy(&json)
        );
    }

    #[test]
    fn nothing_is_found_in_what_was_scrubbed_as_json(signal in signal(), tape in tape(), escapes: bool) {
        let fields = once(&request(signal, &tape, true));
        let json = tree::json(&fields, Style { escapes, ..Style::default() });
        let mut scrubber = scrubber();
        let json = forwarded(&mut scrubber, signal, Encoding::Json, &json).expect("valid");
        let out = to_protobuf(signal, &json).expect("valid");
        prop_assert_eq!(
            scrubber.scrub(signal, Encoding::Protobuf, &out), Ok(Scrubbed::Clean),
            "{}", String::from_utf8_lossy(&json)
        );
    }

    #[test]
    fn numbers_keep_their_values(
        sum: f64, count: u64, scale: i32, flags: u32, counts in prop::collection::vec(any::<u64>(), 0..20), quoted: bool,
    ) {
        let quote = if quoted { "\"" } else { "" };
        let list: Vec<String> = counts.iter().map(|count| format!("{quote}{count}{quote}")).collect();
        let list = list.join(",");
        // Rust's names are not those of JSON.
        let sum = if sum.is_finite() { sum } else { 0.0 };
        let got = point(&format!(
            r#"{{"sum":{quote}{sum:e}{quote},"count":{quote}{count}{quote},"scale":{quote}{scale}{quote},"flags":{quote}{flags}{quote},"positive":{{"offset":{scale},"bucketCounts":[{list}]}}}}"#
        ));
        let positive = got.positive.unwrap_or_default();
        prop_assert_eq!((got.sum, got.count, got.scale, got.flags), (Some(sum), count, scale, flags));
        prop_assert_eq!((positive.offset, positive.bucket_counts), (scale, counts));
    }

    #[test]
    fn no_json_is_too_odd(
        signal in signal(), tape in tape(), cuts in prop::collection::vec((any::<u16>(), any::<u8>()), 0..5),
        insert in prop::sample::select(vec!["", "{", "[", "]", "}", "null", "1e999", "\"", "\\ud800", ",", "\"a\":[[]],"]),
    ) {
        let mut json = tree::json(&request(signal, &tape, true), Style::default());
        for (i, (at, byte)) in cuts.into_iter().enumerate() {
            let at = usize::from(at) % json.len();
            if i == 0 {
                json.splice(at..at, insert.bytes());
            } else {
                json[at] = byte;
            }
        }
        is_read_as_when_scrubbed(signal, &json)?;
    }

    #[test]
    fn no_bytes_are_too_odd(signal in signal(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        is_read_as_when_scrubbed(signal, &bytes)?;
        is_read_as_when_scrubbed(signal, &[b"{\"", &bytes[..]].concat())?;
    }
}

/// What is written is a request, and one that the scrubber takes in both encodings.
fn is_read_as_when_scrubbed(signal: Signal, json: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(out) = to_protobuf(signal, json) {
        decoded(signal, &out, false);
        let mut scrubber = scrubber();
        prop_assert!(scrubber.scrub(signal, Encoding::Protobuf, &out).is_ok());
        prop_assert!(scrubber.scrub(signal, Encoding::Json, json).is_ok());
    }
    for answer in SIGNALS.map(Answer::Export).into_iter().chain([Answer::Status]) {
        if let Ok(out) = answer_to_protobuf(answer, json) {
            prop_assert!(answer_to_json(answer, &out).is_ok());
        }
    }
    Ok(())
}
