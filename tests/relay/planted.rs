//! A canary in every field of every message and in every shape of a value, in every signal, on every wire, under every
//! compression, both ways: none comes through. What reads them here is known to see them: where nothing is looked for, all of
//! them come through.

use std::collections::BTreeSet;

use kasm_scrub::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use super::client::{Ask, Wire, check};
use super::holds;
use super::replies::taking;
use super::requests::{Pack, request, text, unbase64, written};
use super::stage::{PLANTED, Spoken, Stage, is_leak};
use super::upstream::Seen;
use crate::otlp::planted::{Planted, in_fields, in_values};
use crate::otlp::tree::Field;

/// Rules that find none of this.
pub(super) const BLIND: [&str; 3] = ["--no-builtin", "--rules", "tests/data/team.toml"];

/// Makes canaries that tell where they were planted.
#[derive(Default)]
pub(super) struct Canaries(pub(super) usize);

impl Canaries {
    pub(super) fn next(&mut self) -> String {
        self.0 += 1;
        format!("{PLANTED}7dead{:04}", self.0)
    }
}

/// Adds the numbers of the canaries in a text.
fn add_numbers(text: &[u8], all: &mut BTreeSet<usize>) {
    let begin = format!("{PLANTED}7dead");
    for at in memchr::memmem::find_iter(text, begin.as_bytes()) {
        let digits = text.get(at + begin.len()..at + begin.len() + 4);
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        // One of which a part was cut off is one.
        all.insert(number.unwrap_or_default());
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

/// What a text is if it was written in percent signs.
fn unpercent(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

/// Everything that a text may say: itself, and what it is in base64, hexadecimal or percent signs.
pub(super) fn readings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![text.to_vec(), unpercent(text)];
    if let Ok(text) = std::str::from_utf8(text) {
        all.extend(unhex(text));
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        if text.bytes().all(is_base64) {
            all.push(unbase64(text));
        }
    }
    all
}

/// The same of all strings of a document of JSON.
pub(super) fn readings_of_json(value: &serde_json::Value) -> Vec<Vec<u8>> {
    match value {
        serde_json::Value::String(text) => readings(text.as_bytes()),
        serde_json::Value::Array(list) => list.iter().flat_map(readings_of_json).collect(),
        serde_json::Value::Object(members) => {
            let names = members.keys().flat_map(|name| readings(name.as_bytes()));
            names.chain(members.values().flat_map(readings_of_json)).collect()
        }
        _ => Vec::new(),
    }
}

/// The canaries in these readings; also of one of which only a part is there.
pub(super) fn canaries(readings: &[Vec<u8>]) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    readings.iter().for_each(|text| add_numbers(text, &mut all));
    if all.is_empty() && readings.iter().any(|text| is_leak(text)) {
        all.insert(0);
    }
    all
}

fn is_json(seen: &Seen) -> bool {
    seen.header("content-type") == "application/json"
}

/// The canaries in a request as it came: its head, its body, and what it says to who reads it.
fn arrived(seen: &Seen) -> BTreeSet<usize> {
    let message = seen.message();
    let mut all = vec![seen.body.to_vec(), seen.path.clone().into_bytes()];
    for (name, value) in &seen.headers {
        all.extend(readings(name.as_str().as_bytes()));
        all.extend(readings(value.as_bytes()));
    }
    if is_json(seen) {
        all.extend(readings_of_json(&serde_json::from_slice(&message).expect("JSON")));
    }
    all.push(message);
    canaries(&all)
}

/// How many spans, records and points are in a request.
fn records(signal: Signal, is_json: bool, message: &[u8]) -> usize {
    fn in_json(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(list) => list.iter().map(in_json).sum(),
            serde_json::Value::Object(members) => members
                .iter()
                .map(|(name, value)| match (name.as_str(), value) {
                    ("spans" | "logRecords" | "dataPoints", serde_json::Value::Array(list)) => list.len(),
                    (_, value) => in_json(value),
                })
                .sum(),
            _ => 0,
        }
    }
    if is_json {
        return in_json(&serde_json::from_slice(message).expect("JSON"));
    }
    match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(message).expect("a request");
            request.resource_spans.iter().flat_map(|all| &all.scope_spans).map(|some| some.spans.len()).sum()
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(message).expect("a request");
            let scopes = request.resource_logs.iter().flat_map(|all| &all.scope_logs);
            scopes.map(|some| some.log_records.len()).sum()
        }
        _ => {
            let request = ExportMetricsServiceRequest::decode(message).expect("a request");
            let scopes = request.resource_metrics.iter().flat_map(|all| &all.scope_metrics);
            let points = scopes.flat_map(|some| &some.metrics).map(|metric| match &metric.data {
                Some(Data::Gauge(data)) => data.data_points.len(),
                Some(Data::Sum(data)) => data.data_points.len(),
                Some(Data::Histogram(data)) => data.data_points.len(),
                Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
                Some(Data::Summary(data)) => data.data_points.len(),
                None => 0,
            });
            points.sum()
        }
    }
}

/// Requests, and which canaries each holds.
struct Batch {
    signal: Signal,
    fields: Vec<Field>,
    planted: BTreeSet<usize>,
}

/// Everything that can be planted, in a request for each signal and shape, and where each canary is.
fn batches() -> (Vec<Batch>, Vec<String>) {
    let mut canaries = Canaries::default();
    let mut whats = vec!["a part of one".to_owned()];
    let mut batches: Vec<Batch> = Vec::new();
    let mut add = |all: Vec<Planted>, first: usize| {
        for (i, Planted { signal, what, fields }) in all.into_iter().enumerate() {
            // Shapes are told apart by the end of what they are.
            let name = |what: &str| what.rsplit_once(' ').map(|(_, shape)| shape.to_owned());
            let last = batches.iter_mut().find(|batch| {
                batch.signal == signal
                    && batch.planted.first().is_some_and(|&at| name(&whats[at]) == name(&what))
            });
            let batch = match last {
                Some(batch) => batch,
                None => {
                    let harmless = request(signal, "harmless", vec![("zone.name", text("harmless zone 7"))]);
                    batches.push(Batch { signal, fields: harmless, planted: BTreeSet::new() });
                    batches.last_mut().expect("one")
                }
            };
            batch.fields.extend(fields);
            batch.planted.insert(first + i);
            whats.push(what);
        }
    };
    add(in_fields(&mut || canaries.next()), 1);
    let first = canaries.0 + 1;
    add(in_values(&mut || canaries.next()), first);
    assert_eq!(whats.len(), canaries.0 + 1);
    (batches, whats)
}

/// In a header: not one of those in fields.
const IN_HEADER: usize = 9999;

/// Sends all of it over these wires; what is to arrive of the canaries: all or none.
async fn fly(spoken: Spoken, wires: &[Wire], options: &[&str], is_blind: bool) {
    let stage = Stage::new(spoken, taking(), options).await;
    let (batches, whats) = batches();
    assert!(whats.len() > 150 && batches.len() == 3 * 7, "{} in {}", whats.len(), batches.len());
    let baggage = format!("zone=default,password={PLANTED}7dead{IN_HEADER}");
    let mut sent = 0;
    for &wire in wires {
        let mut client = stage.connect(wire).await;
        for pack in Pack::ALL {
            for Batch { signal, fields, planted } in &batches {
                let message = written(wire, fields);
                let ask = Ask::new(wire, *signal, pack, &message).with("baggage", &baggage);
                let answer = client.send(&ask).await.expect("an answer");
                let what = format!("{wire:?} {signal:?} {pack:?}");
                assert!(answer.is_taken(wire), "{what}: {answer:?}");
                sent += 1;
                let seen = stage.upstream.seen();
                assert_eq!(seen.len(), sent, "{what}: one for each");
                let seen = seen.last().expect("one for each");
                let came = seen.message();
                let want = if is_blind { planted | &BTreeSet::from([IN_HEADER]) } else { BTreeSet::new() };
                let arrived = arrived(seen);
                let odd = arrived.symmetric_difference(&want).map(|&at| (at, whats.get(at)));
                let odd: Vec<_> = odd.collect();
                assert!(odd.is_empty(), "{what}: {odd:?}");
                let count = records(*signal, wire == Wire::Json, &message);
                assert!(count > 1, "{what}");
                assert_eq!(records(*signal, is_json(seen), &came), count, "{what}");
                assert!(holds(&came, b"harmless zone 7"), "{what}");
            }
        }
    }
    if !is_blind {
        stage.close().await;
    }
}

#[tokio::test]
async fn no_canary_reaches_an_upstream_of_grpc() {
    fly(Spoken::Grpc, &Wire::ALL, &[], false).await;
}

#[tokio::test]
async fn no_canary_reaches_an_upstream_of_http() {
    fly(Spoken::Http, &Wire::ALL, &[], false).await;
}

#[tokio::test]
async fn without_rules_every_canary_is_seen_by_the_upstream() {
    for spoken in Spoken::ALL {
        fly(spoken, &Wire::ALL, &BLIND, true).await;
    }
}

#[tokio::test]
async fn no_canary_is_let_through_in_profiles() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &[]).await;
        let (batches, _) = batches();
        for wire in Wire::ALL {
            for pack in Pack::ALL {
                for batch in &batches {
                    let ask = Ask::new(wire, Signal::Profiles, pack, &written(wire, &batch.fields));
                    let answer = stage.send(&ask).await;
                    check("profiles", wire, &answer, (12, 404));
                    assert!(!is_leak(&answer.all()), "{wire:?} {pack:?}: {answer:?}");
                }
            }
        }
        assert_eq!(stage.upstream.begun(), 0);
        stage.close().await;
    }
}

#[test]
fn a_canary_is_seen_in_each_disguise() {
    let canary = Canaries::default().next();
    let hex = |mark: &str| canary.bytes().map(|byte| format!("{mark}{byte:02x}")).collect::<String>();
    for around in ["", "a", "ab"] {
        let base64 = super::requests::base64(format!("{around}{canary}").as_bytes());
        assert!(is_leak(base64.as_bytes()), "{base64}");
        assert_eq!(canaries(&readings(base64.as_bytes())), BTreeSet::from([1]), "{base64}");
    }
    for text in [canary.clone(), hex(""), hex("").to_uppercase(), hex("%"), hex("%").to_uppercase()] {
        assert!(is_leak(text.as_bytes()), "{text}");
        assert_eq!(canaries(&readings(text.as_bytes())), BTreeSet::from([1]), "{text}");
    }
    let escaped =
        format!("{{\"a\":[\"{}\"]}}", canary.bytes().map(|b| format!("\\u{b:04x}")).collect::<String>());
    let json = serde_json::from_str(&escaped).expect("JSON");
    assert_eq!(canaries(&readings_of_json(&json)), BTreeSet::from([1]));
    assert!(canaries(&[b"harmless zone 7".to_vec()]).is_empty());
}
