//! OTLP as an output: what the upstream answers, and what becomes of records then.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use rustix::process::Signal;

use super::lines::{clean, line};
use super::process::{Process, Start, records, until};
use crate::relay::replies::{
    self, Broken, Pieces, answering, grpc, grpc_message, http, response, taken, taking,
};
use crate::relay::requests::{partial, status};
use crate::relay::stage::is_leak;
use crate::relay::upstream::{Behaviour, Seen, Upstream};

/// The texts of all records of a request, and the labels of its resource.
fn texts(seen: &Seen) -> (Vec<String>, BTreeMap<String, String>) {
    let request = ExportLogsServiceRequest::decode(&*seen.message()).expect("a request");
    let text = |value: &Option<Value>| match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BytesValue(bytes)) => format!("bytes {}", bytes.escape_ascii()),
        other => panic!("{other:?}"),
    };
    let mut all = Vec::new();
    let mut labels = BTreeMap::new();
    for logs in &request.resource_logs {
        for pair in &logs.resource.as_ref().expect("a resource").attributes {
            labels.insert(pair.key.clone(), text(&pair.value.clone().and_then(|value| value.value)));
        }
        for record in logs.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            assert!(record.observed_time_unix_nano > 0);
            all.push(text(&record.body.clone().and_then(|body| body.value)));
        }
    }
    (all, labels)
}

/// An upstream on threads of its own.
pub(super) struct Stage {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) upstream: Option<Upstream>,
    url: String,
    protocol: &'static str,
}

impl Stage {
    pub(super) fn new(protocol: &'static str, behaviour: Behaviour) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let upstream = runtime.block_on(Upstream::start(behaviour));
        let url = upstream.url();
        Self { runtime, upstream: Some(upstream), url, protocol }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    fn seen(&self) -> Vec<Seen> {
        self.upstream.as_ref().expect("an upstream").seen()
    }

    /// The texts of all records that came.
    pub(super) fn texts(&self) -> Vec<String> {
        self.seen().iter().flat_map(|seen| texts(seen).0).collect()
    }

    /// A sidecar that sends there what a FIFO brings.
    fn start(&self, more: &[&str]) -> Process {
        let options = ["--fifo", "@in", "--output", "otlp", "--upstream", &self.url];
        let protocol = ["--upstream-protocol", self.protocol];
        Start::with(&[&options[..], &protocol, more].concat()).start()
    }

    pub(super) fn has_no_leak(&self) {
        assert!(!self.seen().iter().any(|seen| is_leak(&seen.body) || is_leak(&seen.message())));
    }
}

fn write(process: &Process, numbers: std::ops::Range<usize>) {
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    for number in numbers {
        fifo.write_all(line(number).as_bytes()).expect("a reader");
    }
}

fn wanted(count: usize) -> Vec<String> {
    (0..count).map(clean).collect()
}

#[test]
fn records_arrive_by_both_protocols() {
    for protocol in ["grpc", "http/protobuf"] {
        for compression in ["as-came", "gzip"] {
            let stage = Stage::new(protocol, taking());
            let mut process = stage.start(&["--upstream-compression", compression]);
            write(&process, 0..3000);
            let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
            fifo.write_all(b"\xff\xfe no text\n").expect("a reader");
            drop(fifo);
            process.end(0);
            let mut want = wanted(3000);
            want.push("bytes \\xff\\xfe no text".to_owned());
            assert_eq!(stage.texts(), want, "{protocol}");
            let (_, labels) = texts(&stage.seen()[0]);
            assert_eq!(labels["kasm_scrub.input"], "fifo");
            assert!(labels["log.file.path"].ends_with("/in"), "{labels:?}");
            stage.has_no_leak();
        }
    }
}

#[test]
fn what_is_not_taken_now_is_sent_again_until_it_is() {
    let delay = status(8, "busy", Some(0));
    let answers: [(&'static str, Vec<Reply>); 2] = [
        (
            "grpc",
            vec![|| grpc(14, "away", b""), || grpc(4, "late", b""), || grpc(16, "no token", b""), || {
                grpc_message(b"\x0a\xff")
            }],
        ),
        (
            "http/protobuf",
            vec![|| http(503, "", b""), || http(429, "", b""), || http(401, "", b""), || {
                http(200, "text/html", b"<form>")
            }],
        ),
    ];
    type Reply = fn() -> hyper::Response<replies::Pieces>;
    for (protocol, refusals) in answers {
        let (count, delay) = (AtomicUsize::new(0), delay.clone());
        let all = refusals.len();
        let behaviour = answering(move |seen| {
            let at = count.fetch_add(1, Ordering::Relaxed);
            match refusals.get(at) {
                Some(refusal) => Ok(refusal()),
                None if at == all => Err(Broken),
                None if at == all + 1 && seen.is_grpc() => Ok(grpc(8, "busy", &delay)),
                None => Ok(taken(seen)),
            }
        });
        let stage = Stage::new(protocol, behaviour);
        let mut process = stage.start(&[]);
        write(&process, 0..1);
        let tries = all + if protocol == "grpc" { 3 } else { 2 };
        until("it is taken", || stage.seen().len() == tries);
        process.says("the upstream takes records again");
        process.counts("kasm_scrub_input_events_total{what=\"output_retried\"}", tries as u64 - 1);
        process.counts("kasm_scrub_events_total{what=\"bad_answer\"}", 1);
        assert_eq!(process.log().matches("the upstream does not take records").count(), 1);
        process.end(0);
        let texts = stage.texts();
        assert!(texts.iter().all(|text| *text == clean(0)), "{texts:?}");
        stage.has_no_leak();
    }
}

#[test]
fn an_upstream_that_is_away_is_waited_for() {
    let mut stage = Stage::new("grpc", taking());
    let address = stage.upstream.as_ref().expect("an upstream").address();
    let upstream = stage.upstream.take().expect("an upstream");
    stage.runtime.block_on(upstream.stop());
    let mut process = stage.start(&[]);
    write(&process, 0..500);
    process.counts("kasm_scrub_input_events_total{what=\"output_retried\"}", 3);
    assert_eq!(process.count("kasm_scrub_input_records_total{input=\"fifo\"}"), 0);
    stage.upstream = Some(stage.runtime.block_on(Upstream::start_at(address, taking())));
    until("all are there", || stage.texts().len() == 500);
    assert_eq!(stage.texts(), wanted(500));
    process.end(0);
}

#[test]
fn an_upstream_that_is_away_at_the_end_is_said_with_2() {
    let mut stage = Stage::new("grpc", taking());
    let upstream = stage.upstream.take().expect("an upstream");
    stage.runtime.block_on(upstream.stop());
    let mut process = stage.start(&["--drain", "2s"]);
    write(&process, 0..5);
    process.says("the upstream does not take records");
    process.end(2);
    assert!(process.log().contains("records were still undelivered"), "{}", process.log());
}

#[test]
fn an_upstream_that_is_back_while_draining_gets_what_there_is() {
    let is_back = Arc::new(AtomicBool::new(false));
    let own = is_back.clone();
    let behaviour = answering(move |seen| match own.load(Ordering::Relaxed) {
        true => Ok(taken(seen)),
        // Longer than there is time.
        false => Ok(response(503, &[("retry-after", "20")], Pieces::one(""))),
    });
    let stage = Stage::new("http/protobuf", behaviour);
    let mut process = stage.start(&["--drain", "15s"]);
    write(&process, 0..5);
    process.says("the upstream does not take records");
    process.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(1500));
    is_back.store(true, Ordering::Relaxed);
    assert_eq!(process.ended(), Some(0), "{}", process.log());
    // Each try has brought all of them.
    assert_eq!(stage.texts().rchunks(5).next(), Some(&wanted(5)[..]));
}

#[test]
fn what_is_refused_for_good_is_kept_in_a_file_or_said_to_be_lost() {
    let refusing = || {
        answering(|seen: &Seen| {
            let is_bad = texts(seen).0.iter().any(|text| text.contains("line 3 "));
            Ok(match (is_bad, seen.is_grpc()) {
                (false, _) => taken(seen),
                (true, true) => grpc(3, "wrong: password=hunterCanary7dead3", b""),
                (true, false) => http(400, "text/plain", b"wrong: password=hunterCanary7dead3"),
            })
        })
    };
    for protocol in ["grpc", "http/protobuf"] {
        for has_file in [true, false] {
            let stage = Stage::new(protocol, refusing());
            let folder = Arc::new(tempfile::tempdir().expect("a folder"));
            let own = format!("{}/", folder.path().display());
            let dead_letter = if has_file { ", dead_letter: @dead.log" } else { "" };
            let config = format!(
                "inputs: [{{fifo: {{path: @in}}}}]\noutput: {{otlp: {{url: '${{UPSTREAM}}'{dead_letter}}}}}\n"
            );
            fs::write(folder.path().join("scrub.yaml"), config.replace('@', &own)).expect("a file");
            let start = Start::with(&["--config", "@scrub.yaml", "--upstream-protocol", protocol]);
            let start = start.in_folder(folder.clone()).variable("UPSTREAM", &stage.url);
            let mut process = start.start();
            for number in 0..6 {
                write(&process, number..number + 1);
                until("it was asked", || stage.seen().len() == number + 1);
            }
            process.counts("kasm_scrub_input_events_total{what=\"output_refused\"}", 1);
            let dropped = process.count("kasm_scrub_input_events_total{what=\"output_dropped\"}");
            assert_eq!(dropped, u64::from(!has_file));
            assert!(process.log().contains("the upstream refuses records for good"), "{}", process.log());
            process.end(0);
            if has_file {
                let dead = records(&fs::read(folder.path().join("dead.log")).expect("a file"));
                assert_eq!(dead.len(), 1);
                assert_eq!(dead[0]["message"], clean(3));
            }
        }
    }
}

#[test]
fn what_is_too_large_is_sent_in_parts() {
    let behaviour = answering(|seen: &Seen| {
        let is_large = texts(seen).0.len() > 10;
        Ok(match (is_large, seen.is_grpc()) {
            (false, _) => taken(seen),
            (true, true) => grpc(8, "too large", b""),
            (true, false) => http(413, "", b""),
        })
    });
    for protocol in ["grpc", "http/protobuf"] {
        let stage = Stage::new(protocol, behaviour.clone());
        let mut process = stage.start(&[]);
        write(&process, 0..100);
        process.counts("kasm_scrub_input_records_total{input=\"fifo\"}", 100);
        process.end(0);
        let small = stage.seen().into_iter().map(|seen| texts(&seen).0).filter(|texts| texts.len() <= 10);
        assert_eq!(small.flatten().collect::<Vec<_>>(), wanted(100));
    }
}

#[test]
fn what_the_upstream_rejects_of_a_request_is_said_and_counted() {
    let behaviour = answering(|seen: &Seen| {
        let message = partial(2, "too old: password=hunterCanary7dead1");
        Ok(if seen.is_grpc() {
            replies::grpc_message(&message)
        } else {
            http(200, "application/x-protobuf", &message)
        })
    });
    for protocol in ["grpc", "http/protobuf"] {
        let stage = Stage::new(protocol, behaviour.clone());
        let mut process = stage.start(&[]);
        write(&process, 0..1);
        process.counts("kasm_scrub_input_events_total{what=\"output_rejected\"}", 2);
        process.says("too old: password=[REDACTED:password]");
        process.end(0);
    }
}

#[test]
fn one_that_does_not_know_what_is_wrong_is_asked_until_it_does() {
    let of = |protocol: &'static str| {
        let count = AtomicUsize::new(0);
        let behaviour = answering(move |seen: &Seen| {
            let at = count.fetch_add(1, Ordering::Relaxed);
            Ok(match (at < 6, seen.is_grpc()) {
                (false, _) => taken(seen),
                (true, true) => grpc(if at.is_multiple_of(2) { 13 } else { 2 }, "", b""),
                (true, false) => http(if at.is_multiple_of(2) { 500 } else { 408 }, "", b""),
            })
        });
        let stage = Stage::new(protocol, behaviour);
        let mut process = stage.start(&[]);
        write(&process, 0..1);
        process.counts("kasm_scrub_input_records_total{input=\"fifo\"}", 1);
        assert_eq!(stage.seen().len(), 7);
        assert_eq!(process.count("kasm_scrub_input_events_total{what=\"output_dropped\"}"), 0);
        process.end(0);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| of("grpc"));
        of("http/protobuf");
    });
}

/// A sidecar with a dead-letter file, `dead.log`; `more`: what else its output is told.
fn with_dead_letter(stage: &Stage, more: &str) -> Process {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let own = format!("{}/", folder.path().display());
    let config = format!(
        "inputs: [{{fifo: {{path: @in}}}}]\noutput: {{otlp: {{url: '${{UPSTREAM}}', dead_letter: @dead.log{more}}}}}\n"
    );
    fs::write(folder.path().join("scrub.yaml"), config.replace('@', &own)).expect("a file");
    let start = Start::with(&["--config", "@scrub.yaml", "--upstream-protocol", stage.protocol]);
    start.in_folder(folder).variable("UPSTREAM", &stage.url).start()
}

fn dead(process: &Process) -> Vec<serde_json::Value> {
    records(&fs::read(process.path("dead.log")).expect("a file"))
}

#[test]
fn only_the_record_at_fault_is_given_up() {
    let behaviour = answering(|seen: &Seen| {
        let is_bad = texts(seen).0.iter().any(|text| text.contains("line 3 "));
        Ok(if is_bad { http(500, "", b"") } else { taken(seen) })
    });
    let stage = Stage::new("http/protobuf", behaviour);
    let mut process = with_dead_letter(&stage, ", give_up_after: 0s");
    write(&process, 0..100);
    process.counts("kasm_scrub_input_records_total{input=\"fifo\"}", 100);
    process.counts("kasm_scrub_input_events_total{what=\"output_refused\"}", 1);
    process.end(0);
    assert_eq!(dead(&process).iter().map(|record| &record["message"]).collect::<Vec<_>>(), [&clean(3)]);
    let is_good = |texts: &Vec<String>| !texts.contains(&clean(3));
    let taken: Vec<_> = stage.seen().iter().map(|seen| texts(seen).0).filter(is_good).flatten().collect();
    let want: Vec<_> = wanted(100).into_iter().filter(|text| *text != clean(3)).collect();
    assert_eq!(taken, want);
}

#[test]
fn a_request_that_is_taken_in_part_is_kept() {
    let behaviour =
        answering(|_: &Seen| Ok(http(200, "application/x-protobuf", &partial(1, "one of them is too old"))));
    let stage = Stage::new("http/protobuf", behaviour);
    let mut process = with_dead_letter(&stage, "");
    write(&process, 0..3);
    process.counts("kasm_scrub_input_records_total{input=\"fifo\"}", 3);
    process.end(0);
    let dead: Vec<_> = dead(&process).iter().map(|record| record["message"].clone()).collect();
    assert_eq!(dead, wanted(3));
}

#[test]
fn ports_for_otlp_and_inputs_live_in_one_process() {
    let stage = Stage::new("http/protobuf", taking());
    let mut process = stage.start(&["--otlp-http", "127.0.0.1:0"]);
    let address = process.address("otlp-http").expect("a port");
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"by OTLP"}}]}]}]}"#;
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    let head = "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    stream
        .write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
        .expect("a server");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    write(&process, 0..10);
    process.end(0);
    assert_eq!(
        stage.seen().len() - 1,
        stage.seen().iter().filter(|seen| seen.body.starts_with(b"\n")).count()
    );
    assert!(stage.seen().iter().any(|seen| seen.body == body.as_bytes()));
}
