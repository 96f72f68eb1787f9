//! The labelled corpus in requests: what is found in a record is found in a leaf that holds it, and what must not change
//! does not.

use kasm_scrub::Work;
use kasm_scrub::otlp::{Encoding, Scrubbed, Scrubber, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use super::model::Model;
use super::{SANITIZER, forwarded, scrubber};
use crate::corpus;

/// Keys that values are put below: harmless ones, and those that some rule or regex asks for.
const KEYS: [&str; 8] =
    ["message", "exception.stacktrace", "url.full", "datadog_api", "password", "user", "discord token", "x"];

fn request(records: impl IntoIterator<Item = (Option<&'static str>, Vec<u8>)>) -> ExportLogsServiceRequest {
    let log_records = records
        .into_iter()
        .map(|(key, bytes)| {
            // What is no text is sent as bytes.
            let value = match String::from_utf8(bytes) {
                Ok(text) => Value::StringValue(text),
                Err(error) => Value::BytesValue(error.into_bytes()),
            };
            let value = Some(AnyValue { value: Some(value) });
            match key {
                None => LogRecord { body: value, ..LogRecord::default() },
                Some(key) => {
                    let attribute = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
                    LogRecord { attributes: vec![attribute], ..LogRecord::default() }
                }
            }
        })
        .collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

/// A record as it comes out of a request, in which it is the body.
fn through(scrubber: &mut Scrubber, bytes: &[u8]) -> Vec<u8> {
    let body = request([(None, bytes.to_vec())]).encode_to_vec();
    let out = forwarded(scrubber, Signal::Logs, Encoding::Protobuf, &body).expect("valid");
    let request = ExportLogsServiceRequest::decode(&*out).expect("valid");
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.as_bytes().to_vec(),
        Some(Value::BytesValue(bytes)) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_in_bodies() {
    let mut scrubber = scrubber();
    let records = corpus::records(2, 1);
    let table = corpus::score(&records, &mut |bytes| through(&mut scrubber, bytes));
    let total = table.total();
    assert!(total.leaked * 1000 <= total.records, "{table}");
    assert!(total.context_damaged * 1000 <= total.records, "{table}");
    assert_eq!((total.broken_json, total.unstable), (0, 0), "{table}");
}

#[test]
fn records_below_keys_are_scrubbed_one_by_one() {
    let mut scrubber = scrubber();
    let mut model = Model { sanitizer: &SANITIZER, work: Work::default(), is_whole: true };
    let records = corpus::records(3, 1);
    for (at, some) in records.chunks(100).enumerate() {
        let keyed =
            some.iter().zip(at..).map(|(record, i)| (Some(KEYS[i % KEYS.len()]), record.bytes.clone()));
        let mut want = request(keyed);
        let body = want.encode_to_vec();
        model.logs(&mut want);
        let out = forwarded(&mut scrubber, Signal::Logs, Encoding::Protobuf, &body).expect("valid");
        let got = ExportLogsServiceRequest::decode(&*out).expect("valid");
        let lists = [&got, &want].map(|request| &request.resource_logs[0].scope_logs[0].log_records);
        for (got, want) in lists[0].iter().zip(lists[1]) {
            assert_eq!(got, want);
        }
    }
}

#[test]
fn hard_negatives_stay() {
    let mut scrubber = scrubber();
    for key in [None, Some("message"), Some("kasm.detail")] {
        for record in corpus::negatives(1, 2) {
            let body = request([(key, record.bytes.clone())]).encode_to_vec();
            let outcome = scrubber.scrub(Signal::Logs, Encoding::Protobuf, &body);
            assert_eq!(outcome, Ok(Scrubbed::Clean), "{key:?} {}", record.bytes.escape_ascii());
        }
    }
}
