//! Values that hold values: what a line of JSON would have told of them is found, too.

use kasm_scrub::otlp::{Encoding, Scrubbed, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::{SANITIZER, forwarded, holds, scrubber};

const SECRET: &str = "DeadBeef7712DeadBeef";

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(Any::BoolValue(*value)),
        Value::Number(value) => Some(Any::IntValue(value.as_i64().expect("an integer"))),
        Value::String(text) => Some(Any::StringValue(text.clone())),
        Value::Array(values) => {
            Some(Any::ArrayValue(ArrayValue { values: values.iter().map(any).collect() }))
        }
        Value::Object(members) => {
            let pair = |(key, value): (&String, &Value)| KeyValue {
                key: key.clone(),
                value: Some(any(value)),
                ..KeyValue::default()
            };
            Some(Any::KvlistValue(KeyValueList { values: members.iter().map(pair).collect() }))
        }
    };
    AnyValue { value }
}

/// The same in OTLP's JSON.
fn any_json(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(value) => json!({"intValue": value.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(values) => {
            json!({"arrayValue": {"values": values.iter().map(any_json).collect::<Vec<_>>()}})
        }
        Value::Object(members) => {
            let pair = |(key, value)| json!({"key": key, "value": any_json(value)});
            json!({"kvlistValue": {"values": members.iter().map(pair).collect::<Vec<_>>()}})
        }
    }
}

/// Requests with this as an attribute and as a body.
fn requests(key: &str, value: &Value) -> Vec<(Encoding, Vec<u8>)> {
    let attribute = KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() };
    let of = |record: LogRecord| {
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        ExportLogsServiceRequest { resource_logs }.encode_to_vec()
    };
    let body = json!({ key: value });
    let json = |record: Value| {
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string().into_bytes()
    };
    vec![
        (Encoding::Protobuf, of(LogRecord { attributes: vec![attribute], ..LogRecord::default() })),
        (Encoding::Protobuf, of(LogRecord { body: Some(any(&body)), ..LogRecord::default() })),
        (Encoding::Json, json(json!({"attributes": [{"key": key, "value": any_json(value)}]}))),
        (Encoding::Json, json(json!({"body": any_json(&body)}))),
    ]
}

/// What the pipe makes of the same as a line of JSON.
fn piped(key: &str, value: &Value) -> Vec<u8> {
    let line = format!("{}\n", json!({ key: value }));
    let mut out = Vec::new();
    let mut pipe = kasm_scrub::Scrubber::new(SANITIZER.clone());
    pipe.push(line.as_bytes(), &mut out);
    pipe.finish(&mut out);
    out
}

/// Whether it comes out of any request, and whether that is the same whatever was before.
fn leaks(key: &str, value: &Value) -> bool {
    let mut scrubber = scrubber();
    let mut leaks = false;
    for (encoding, request) in requests(key, value) {
        let first = forwarded(&mut scrubber, Signal::Logs, encoding, &request).expect("valid");
        for _ in 0..4 {
            let again = forwarded(&mut scrubber, Signal::Logs, encoding, &request).expect("valid");
            assert!(again == first, "{key} {value}: what was before counts");
        }
        let twice = scrubber.scrub(Signal::Logs, encoding, &first);
        assert_eq!(twice, Ok(Scrubbed::Clean), "{key} {value}: twice is not once");
        leaks |= holds(&first, SECRET.as_bytes());
    }
    leaks
}

#[test]
fn what_stands_beside_a_secret_tells_it() {
    let pem = "MIIEpAIBAAKCAQEAdeaddeaddeaddeaddeaddeaddeaddeaddeadDeadBeef7712DeadBeef";
    for (key, value) in [
        ("process.command_args", json!(["python", "app.py", "--password", SECRET])),
        ("process.command_args", json!(["curl", "-u", format!("admin:{SECRET}")])),
        ("args", json!(["--token", SECRET])),
        ("header", json!(["x-api-key", SECRET])),
        ("headers", json!([["accept", "*/*"], ["x-api-key", SECRET]])),
        ("credentials", json!({"value": SECRET})),
        ("api_key", json!({"data": SECRET})),
        ("password", json!([SECRET])),
        ("env", json!([{"name": "DB_PASSWORD", "value": SECRET}])),
        ("lines", json!(["-----BEGIN RSA PRIVATE KEY-----", pem, "-----END RSA PRIVATE KEY-----"])),
        ("a \"key\"\n", json!({"b\t": ["--password", SECRET]})),
        // Something else is found in it.
        ("args", json!(["--password", format!("{SECRET}:jane.doe@example.com")])),
        ("args", json!({"value": format!("{SECRET} https://u:pw@h/x"), "x-api-key": "password"})),
        // What tells it is a secret itself.
        ("args", json!({"value": SECRET, "x-api-key": "password"})),
    ] {
        if holds(&piped(key, &value), SECRET.as_bytes()) {
            panic!("the pipe does not know {key} {value}");
        }
        assert!(!leaks(key, &value), "{key} {value}");
    }
    assert!(leaks("k8s.pod.name", &json!(["DeadBeef7712DeadBeef", {"zone": "a"}])), "nothing tells it");
}

fn value() -> impl Strategy<Value = Value> {
    const TEXTS: [&str; 16] = [
        SECRET,
        SECRET,
        "--password",
        "-u",
        "curl",
        "password",
        "x-api-key",
        "name",
        "DB_PASSWORD",
        "value",
        "text",
        "--token=",
        "Authorization",
        "Bearer",
        "",
        "a \"quoted\" one\n",
    ];
    let text = prop::sample::select(&TEXTS[..]);
    let leaf = prop_oneof![6 => text.clone().prop_map(|text| json!(text)), 1 => Just(json!(1234)), 1 => Just(Value::Null)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let array = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array);
        let object = prop::collection::vec((text.clone(), inner), 0..4)
            .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
        prop_oneof![array, object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn what_the_pipe_finds_is_found(key in prop::sample::select(&["args", "password", "credentials", "env", "x"][..]), value in value()) {
        let is_found = !holds(&piped(key, &value), SECRET.as_bytes());
        prop_assert!(!leaks(key, &value) || !is_found, "{key} {value}");
    }
}
