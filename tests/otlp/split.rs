//! Requests in parts: nothing is lost, nothing is in two of them, and each is a request with all that its records stand in.

use kasm_scrub::otlp::{Part, Parts, Signal, Sizes};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;

use super::SIGNALS;
use super::differential::request;
use super::payload::{self, Dice};
use super::tree;

/// Fields of a message: number, all of it, and its value if that has a length.
type Fields<'b> = Vec<(u32, &'b [u8], Option<&'b [u8]>)>;

fn fields(mut bytes: &[u8]) -> Fields<'_> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let whole = bytes;
        let tag = varint(&mut bytes);
        let len = match tag & 7 {
            0 => {
                varint(&mut bytes);
                0
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            _ => panic!("no wire type"),
        };
        let value = &bytes[..len];
        bytes = &bytes[len..];
        let field = &whole[..whole.len() - bytes.len()];
        all.push(((tag >> 3) as u32, field, (tag & 7 == 2).then_some(value)));
    }
    all
}

const DATA: [u32; 5] = [5, 7, 9, 10, 11];

/// Which fields of a message at this depth hold records, or what holds them.
fn is_child(signal: Signal, depth: usize, number: u32) -> bool {
    match depth {
        0 | 4 => number == 1,
        1 | 2 => number == 2,
        _ => signal == Signal::Metrics && DATA.contains(&number),
    }
}

/// A record, or what could hold some and does not, and what stands beside it in all that it is in.
#[derive(Clone, Debug, PartialEq)]
struct Unit {
    around: Vec<Vec<u8>>,
    field: Vec<u8>,
}

fn units(signal: Signal, message: &[u8]) -> Vec<Unit> {
    let mut all = Vec::new();
    collect(signal, message, &mut Vec::new(), &mut all);
    all
}

fn collect(signal: Signal, message: &[u8], around: &mut Vec<Vec<u8>>, all: &mut Vec<Unit>) -> bool {
    let depth = around.len();
    let fields = fields(message);
    let (inner, shared): (Vec<_>, Vec<_>) =
        fields.into_iter().partition(|(number, ..)| is_child(signal, depth, *number));
    if inner.is_empty() || depth == 3 && inner.len() > 1 {
        return false;
    }
    around.push(shared.iter().flat_map(|(_, field, _)| field.to_vec()).collect());
    for (_, field, value) in inner {
        let most = if signal == Signal::Metrics { 4 } else { 2 };
        if depth == most || !collect(signal, value.expect("a message"), around, all) {
            all.push(Unit { around: around.clone(), field: field.to_vec() });
        }
    }
    around.pop();
    true
}

fn split(signal: Signal, message: &[u8], most: usize) -> Vec<Part> {
    let mut parts = Parts::new(signal, message, most).expect("a request");
    let sizes = parts.sizes().expect("a request");
    let all: Vec<Part> = std::iter::from_fn(|| parts.next_part().expect("a request")).collect();
    let lens = all.iter().map(|part| part.body.len());
    let (largest, total) = (lens.clone().max().unwrap_or(0), lens.sum());
    assert_eq!(sizes, Sizes { count: all.len(), largest, total });
    assert_eq!(parts.next_part(), Ok(None));
    all
}

/// How many records a request has, as its receivers count them.
fn count(signal: Signal, message: &[u8]) -> u64 {
    let of = |all: Fields<'_>, numbers: &[u32]| -> Vec<Vec<u8>> {
        let found = all.into_iter().filter(|(number, ..)| numbers.contains(number));
        found.map(|(_, _, value)| value.expect("a message").to_vec()).collect()
    };
    let mut level = vec![message.to_vec()];
    let steps: &[&[u32]] = match signal {
        Signal::Metrics => &[&[1], &[2], &[2], &DATA, &[1]],
        _ => &[&[1], &[2], &[2]],
    };
    for numbers in steps {
        level = level.iter().flat_map(|message| of(fields(message), numbers)).collect();
    }
    level.len() as u64
}

fn check(signal: Signal, message: &[u8], most: usize) -> Vec<Part> {
    let parts = split(signal, message, most);
    let (whole, mut rest) = (units(signal, message), Vec::new());
    for part in &parts {
        let own = units(signal, &part.body);
        assert!(part.body.len() <= most || own.len() <= 1, "{} of {most}", part.body.len());
        assert!(!own.is_empty() || whole.is_empty(), "a part with nothing in it");
        assert_eq!(part.records, count(signal, &part.body));
        rest.extend(own);
    }
    assert_eq!(rest, whole);
    assert!(!parts.is_empty());
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn parts_are_the_whole(
        tape in prop::collection::vec(any::<u16>(), 0..600), signal in 0..3_usize, most in 0..3000_usize, padding in 0..4_usize,
    ) {
        let signal = SIGNALS[signal];
        let mut message = Vec::new();
        tree::to_wire(&request(signal, &tape, false), padding, &mut message);
        check(signal, &message, most);
        // Of parts nothing is lost again.
        for part in check(signal, &message, message.len() / 2) {
            prop_assert_eq!(check(signal, &part.body, message.len() / 2).len(), 1);
        }
    }

    #[test]
    fn what_is_malformed_has_an_end(
        tape in prop::collection::vec(any::<u16>(), 0..200), signal in 0..3_usize, most in 0..300_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let signal = SIGNALS[signal];
        let mut message = tree::wire(&request(signal, &tape, false));
        for (at, byte) in changes {
            if !message.is_empty() {
                let at = at.index(message.len());
                message[at] = byte;
            }
        }
        let Ok(mut parts) = Parts::new(signal, &message[..], most) else { return Ok(()) };
        let is_whole = parts.sizes().is_ok();
        let mut count = 0;
        let end = loop {
            match parts.next_part() {
                Ok(Some(_)) => count += 1,
                end => break end.is_ok(),
            }
        };
        prop_assert_eq!(end, is_whole);
        prop_assert!(count <= message.len() + 1);
    }
}

#[test]
fn requests_of_the_field_are_divided_between_records() {
    for signal in SIGNALS {
        let message = payload::request(signal, 200_000, None, &mut Dice(7));
        let whole = check(signal, &message, message.len());
        assert_eq!(whole.len(), 1);
        assert!(whole[0].body == message, "{signal:?}: one part is the request");
        for pieces in [2, 3, 10] {
            let most = message.len().div_ceil(pieces);
            let parts = check(signal, &message, most);
            assert!((pieces..=pieces + 2).contains(&parts.len()), "{signal:?}: {} for {pieces}", parts.len());
            assert!(parts.iter().all(|part| part.body.len() <= most));
        }
    }
}

#[test]
fn receivers_read_the_same_records() {
    let message = payload::request(Signal::Logs, 50_000, Some(5), &mut Dice(3));
    let read = |body: &[u8]| {
        let request = ExportLogsServiceRequest::decode(body).expect("a request");
        let mut all = Vec::new();
        for logs in request.resource_logs {
            for scope in logs.scope_logs {
                let around = (logs.resource.clone(), logs.schema_url.clone(), scope.scope, scope.schema_url);
                all.extend(scope.log_records.into_iter().map(|record| (around.clone(), record)));
            }
        }
        all
    };
    let parts = check(Signal::Logs, &message, 9000);
    assert!(parts.len() > 5);
    let joined: Vec<_> = parts.iter().flat_map(|part| read(&part.body)).collect();
    assert_eq!(joined, read(&message));
}

/// One metric with many points is what an SDK sends that counts by user.
#[test]
fn a_metric_that_is_too_large_is_divided_between_its_points() {
    let message = payload::request(Signal::Metrics, 1, None, &mut Dice(1));
    let mut request = ExportMetricsServiceRequest::decode(&*message).expect("a request");
    let metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
    match metric.data.as_mut().expect("data") {
        Data::Sum(sum) => sum.data_points = vec![sum.data_points[0].clone(); 500],
        Data::Histogram(histogram) => histogram.data_points = vec![histogram.data_points[0].clone(); 500],
        other => panic!("{other:?}"),
    }
    let (metric, message) = (metric.clone(), request.encode_to_vec());
    let parts = check(Signal::Metrics, &message, 10_000);
    assert!(parts.len() > 3 && parts.iter().all(|part| part.body.len() <= 10_000), "{}", parts.len());
    assert_eq!(parts.iter().map(|part| part.records).sum::<u64>(), 500);
    for part in &parts {
        let own = ExportMetricsServiceRequest::decode(&*part.body).expect("a request");
        let own = &own.resource_metrics[0].scope_metrics[0].metrics[0];
        assert_eq!(
            (&own.name, &own.unit, &own.description),
            (&metric.name, &metric.unit, &metric.description)
        );
        match (&own.data, &metric.data) {
            (Some(Data::Sum(own)), Some(Data::Sum(whole))) => {
                assert_eq!(own.aggregation_temporality, whole.aggregation_temporality);
                assert_eq!(own.is_monotonic, whole.is_monotonic);
            }
            (Some(Data::Histogram(own)), Some(Data::Histogram(whole))) => {
                assert_eq!(own.aggregation_temporality, whole.aggregation_temporality);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_record_that_is_too_large_is_alone() {
    let message = payload::request(Signal::Logs, 3000, None, &mut Dice(5));
    let parts = check(Signal::Logs, &message, 10);
    assert!(parts.len() > 3 && parts.iter().all(|part| part.records == 1));
}

#[test]
fn what_holds_no_record_is_not_lost() {
    for message in [&b""[..], b"\x0a\x00", b"\x0a\x02\x12\x00\x0a\x00", b"\xc2\x02\x01x"] {
        let parts = check(Signal::Logs, message, 0);
        assert!(parts.iter().all(|part| part.records == 0), "{}", message.escape_ascii());
    }
    assert!(Parts::new(Signal::Profiles, b"", 1).is_err());
}
