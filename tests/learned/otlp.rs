//! Learned values in requests of OTLP, in both encodings: in every kind of value, in keys, and below any key.

use std::sync::Arc;

use kasm_scrub::otlp::{Encoding, Policy, Scrubbed, Scrubber, Signal};
use kasm_scrub::scan::Format;
use kasm_scrub::{Action, Profile, Ruleset};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use proptest::test_runner::Config;
use prost::Message;
use serde_json::json;

use super::spelling::{MARKER, holds, spelling, value, with};

fn scrubber(values: &[&[u8]]) -> Scrubber {
    let rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
    Scrubber::new(Arc::new(with(rules, values, Action::Replace, Format::Auto)), Policy::default())
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(text: &str) -> Option<AnyValue> {
    any(Value::StringValue(text.to_owned()))
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn request(body: Option<AnyValue>, attributes: Vec<KeyValue>) -> Vec<u8> {
    let log_records = vec![LogRecord { body, attributes, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn record(request: &[u8]) -> LogRecord {
    let mut request = ExportLogsServiceRequest::decode(request).expect("a request");
    request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0)
}

/// What is to be forwarded.
fn forwarded(scrubber: &mut Scrubber, encoding: Encoding, body: &[u8]) -> Vec<u8> {
    match scrubber.scrub(Signal::Logs, encoding, body).expect("a request") {
        Scrubbed::Clean => body.to_vec(),
        Scrubbed::Changed(changed) => changed.body,
    }
}

#[test]
fn every_kind_of_value() {
    let mut scrubber = scrubber(&[b"4f2e9a7c-dead-4bee-8f00-0123456789ab", b"471100471100"]);
    let secret = "4f2e9a7c-dead-4bee-8f00-0123456789ab";
    let harmless = "4f2e9a7c-dead-4bee-8f00-0123456789ac";
    let attributes = vec![
        pair("a", text(&format!("x {secret}"))),
        pair("b", any(Value::BytesValue([b"\xff", secret.as_bytes()].concat()))),
        pair("c", any(Value::IntValue(471_100_471_100))),
        pair("d", any(Value::IntValue(471_100_471_101))),
        pair("e", any(Value::DoubleValue(471_100_471_100.0))),
        pair(secret, text(harmless)),
        pair("http.target", text(&format!("GET /{}", secret.replace('-', "%2D")))),
    ];
    let out = forwarded(&mut scrubber, Encoding::Protobuf, &request(text(harmless), attributes));
    let record = record(&out);
    assert_eq!(record.body, text(harmless));
    let want = [
        pair("a", text(&format!("x {MARKER}"))),
        pair("b", any(Value::BytesValue([b"\xff", MARKER.as_bytes()].concat()))),
        pair("c", text(MARKER)),
        pair("d", any(Value::IntValue(471_100_471_101))),
        pair("e", text(MARKER)),
        pair(MARKER, text(harmless)),
        pair("http.target", text(&format!("GET /{MARKER}"))),
    ];
    assert_eq!(record.attributes, want);
}

#[test]
fn numbers_in_json() {
    let mut scrubber = scrubber(&[b"471100471100"]);
    let body = |value: serde_json::Value| {
        json!({"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"n","value":value}]}]}]}]})
            .to_string()
    };
    for value in [
        json!({"intValue": "471100471100"}),
        json!({"intValue": 471_100_471_100_u64}),
        json!({"doubleValue": 471_100_471_100.0}),
    ] {
        let out = forwarded(&mut scrubber, Encoding::Json, body(value.clone()).as_bytes());
        assert_eq!(String::from_utf8_lossy(&out), body(json!({"stringValue": MARKER})), "{value}");
    }
    let other = body(json!({"intValue": "471100471101"}));
    assert_eq!(forwarded(&mut scrubber, Encoding::Json, other.as_bytes()), other.as_bytes());
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, cases: 60, max_global_rejects: u32::MAX, ..Config::default() })]

    #[test]
    fn each_spelling_in_both_encodings(value in value(), spelling in spelling(), key in "[a-z.]{1,8}") {
        let mut scrubber = scrubber(&[value.as_bytes()]);
        let [before, core, after] = spelling.write(&value, "at ", " ok");
        let line = format!("{before}{core}{after}");
        let clean = request(text("nothing"), vec![pair(&key, text("nothing"))]);
        let wire = request(text(&line), vec![pair(&key, text(&line)), pair("z", text(&core))]);
        // What was seen clean before makes no difference.
        for body in [&clean, &wire, &wire] {
            let out = forwarded(&mut scrubber, Encoding::Protobuf, body);
            prop_assert!(!holds(&out, core.as_bytes()) && !holds(&out, value.as_bytes()), "{}", line);
            let count = String::from_utf8_lossy(&out).matches("REDACTED:learned-secret").count();
            prop_assert_eq!(count, if body == &clean { 0 } else { 3 }, "{}", line);
            prop_assert_eq!(&forwarded(&mut scrubber, Encoding::Protobuf, &out), &out);
        }
        let json = json!({"resourceLogs":[{"scopeLogs":[{"logRecords":[{
            "body":{"stringValue":line.clone()},
            "attributes":[{"key":key,"value":{"stringValue":line.clone()}},{"key":"z","value":{"stringValue":core}}],
        }]}]}]});
        let out = forwarded(&mut scrubber, Encoding::Json, json.to_string().as_bytes());
        let read: serde_json::Value = serde_json::from_slice(&out).expect("a document");
        prop_assert_eq!(read.to_string().matches("REDACTED:learned-secret").count(), 3, "{}", read);
        prop_assert!(!holds(read.to_string().as_bytes(), value.as_bytes()), "{}", line);
    }
}
