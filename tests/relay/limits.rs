//! Limits: on a request, on what comes out of its compression, on requests under way and on their memory. What is too
//! large is refused for good; what has no room now may be sent again.

use std::sync::Arc;

use kasm_scrub::otlp::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::client::{Answer, Ask, Client, Wire, check, open};
use super::replies::{taking, waiting};
use super::requests::{Pack, clean, sized};
use super::stage::{Spoken, Stage};
use super::{holds, until};

const MIB: usize = 1 << 20;

/// Not to be sent again.
fn is_permanent(what: &str, wire: Wire, answer: &Answer) {
    check(what, wire, answer, (8, 413));
    assert!(!holds(&answer.details(), b"RetryInfo"), "{what}: {answer:?}");
    assert_eq!(answer.header("retry-after"), "", "{what}: {answer:?}");
}

#[tokio::test]
async fn a_request_of_the_limit_is_taken_and_one_byte_more_is_not() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &["--max-request", "1"]).await;
        for wire in Wire::BOTH {
            for pack in Pack::ALL {
                let what = format!("{wire:?} {pack:?}");
                let answer = stage.send(&Ask::new(wire, Signal::Logs, pack, &sized(MIB))).await;
                assert!(answer.is_taken(wire), "{what}: {answer:?}");
                let answer = stage.send(&Ask::new(wire, Signal::Logs, pack, &sized(MIB + 1))).await;
                is_permanent(&what, wire, &answer);
            }
        }
        assert_eq!(stage.upstream.seen().len(), 6);
        let refused = "kasm_scrub_refused_total{signal=\"logs\",reason=\"too_large\"}";
        assert_eq!(stage.sidecar.count(refused).await, 6);
        stage.close().await;
    }
}

#[tokio::test]
async fn the_limit_is_64_mib_when_nothing_is_said() {
    let stage = Stage::new(Spoken::Grpc, taking(), &["--timeout", "60s"]).await;
    let largest = Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &sized(64 * MIB));
    let answer = stage.send(&largest).await;
    assert!(answer.is_taken(Wire::Grpc), "{answer:?}");
    assert!(stage.upstream.last().body == largest.body);
    let answer = stage.send(&Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &sized(64 * MIB + 1))).await;
    is_permanent("one byte more", Wire::Grpc, &answer);
    // Nothing is looked for in it here: it is large enough as it is.
    let Stage { upstream, sidecar } = stage;
    let memory = sidecar.resident();
    assert!(memory < 600 << 10, "{memory} KiB");
    drop(upstream);
}

#[tokio::test]
async fn what_a_head_says_is_too_large_is_not_read() {
    let stage = Stage::new(Spoken::Http, taking(), &["--max-request", "1"]).await;
    let mut stream = open(&stage.sidecar.http).await.expect("a connection");
    let head = "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 1048577\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("a head");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

#[tokio::test]
async fn what_heads_announce_takes_no_memory() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 60000000\r\n\r\n\n";
    let mut streams = Vec::new();
    for _ in 0..400 {
        let mut stream = open(&stage.sidecar.http).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a head and a byte");
        streams.push(stream);
    }
    let under_way = async || stage.sidecar.count("kasm_scrub_requests_in_flight").await;
    until("all are under way", async || under_way().await == 400).await;
    let held = async || stage.sidecar.count("kasm_scrub_in_flight_bytes").await;
    let before = held().await;
    for stream in &mut streams {
        stream.write_all(b"\n").await.expect("a byte more");
    }
    until("what came is held", async || held().await > before).await;
    for wire in Wire::ALL {
        let message = clean(wire, Signal::Logs, "image is present");
        let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
        assert!(answer.is_taken(wire), "{answer:?}");
    }
    let large = Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &sized(16 * MIB));
    let answer = stage.send(&large).await;
    assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
    let each = held().await / 400;
    assert!(under_way().await == 400 && each < 32 << 10, "{each}");
    stage.close().await;
}

/// Work of which nobody waits for the result is not done; what waits for it is.
#[tokio::test]
async fn what_nobody_waits_for_is_not_scrubbed() {
    let stage = Stage::new(Spoken::Http, taking(), &["--max-memory", "1024"]).await;
    let send = |message: &[u8]| {
        let ask = Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, message);
        let at = stage.sidecar.http.clone();
        tokio::spawn(async move {
            let mut client = Client::connect(Wire::Protobuf, &at).await.expect("a connection");
            client.send(&ask).await.expect("an answer")
        })
    };
    let under_way = async || stage.sidecar.count("kasm_scrub_requests_in_flight").await;
    let (large, small) = (sized(24 * MIB), sized(MIB / 4));
    let (mut busy, mut leaving) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        busy.push(send(&large));
    }
    let read = "kasm_scrub_received_bytes_total{signal=\"logs\"}";
    until("the large ones are read", async || stage.sidecar.count(read).await >= 6 * 24 * MIB as u64).await;
    for _ in 0..12 {
        leaving.push(send(&small));
    }
    let all = (6 * 24 * MIB + 12 * MIB / 4) as u64;
    until("the others are read", async || stage.sidecar.count(read).await >= all).await;
    let scrubs = "kasm_scrub_scrub_duration_seconds_count{signal=\"logs\"}";
    let done = stage.sidecar.count(scrubs).await;
    assert!(done < 6, "there is other work: {done}");
    leaving.iter().for_each(tokio::task::JoinHandle::abort);
    until("they are gone", async || under_way().await <= 6).await;
    for sent in busy {
        assert!(sent.await.expect("no panic").is_taken(Wire::Protobuf));
    }
    assert_eq!(stage.sidecar.count(scrubs).await, 6);
    assert_eq!(stage.upstream.begun(), 6);
    until("memory is given back", async || stage.sidecar.count("kasm_scrub_in_flight_bytes").await == 0)
        .await;
    stage.close().await;
}

#[tokio::test]
async fn bombs_are_refused_early() {
    let stage = Stage::new(Spoken::Grpc, taking(), &["--max-request", "1"]).await;
    let before = stage.sidecar.resident();
    let zeros = vec![0; 64 * MIB];
    for pack in [Pack::Gzip, Pack::Zstd] {
        let bomb = pack.pack(&zeros);
        assert!(bomb.len() < MIB, "{}", bomb.len());
        for wire in Wire::ALL {
            let ask = Ask::new(wire, Signal::Metrics, pack, b"");
            let body = if wire == Wire::Grpc { super::requests::frame(&bomb, true) } else { bomb.clone() };
            let answer = stage.send(&ask.body(body)).await;
            is_permanent(&format!("{pack:?}"), wire, &answer);
        }
    }
    assert_eq!(stage.upstream.begun(), 0);
    let more = stage.sidecar.resident().saturating_sub(before);
    assert!(more < 48 << 10, "{more} KiB more");
    stage.close().await;
}

/// There is no room now.
fn is_overload(wire: Wire, answer: &Answer) {
    check("overload", wire, answer, (14, 503));
    match wire {
        Wire::Grpc => assert!(holds(&answer.details(), b"google.rpc.RetryInfo"), "{answer:?}"),
        _ => assert_eq!(answer.header("retry-after"), "1", "{answer:?}"),
    }
}

async fn too_many(wire: Wire) {
    let gate = Arc::new(Semaphore::new(0));
    let stage = Stage::new(Spoken::Grpc, waiting(gate.clone()), &["--max-requests", "1"]).await;
    let ask = Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "image is present"));
    let mut first = stage.connect(wire).await;
    let own = ask.clone();
    let first = tokio::spawn(async move { first.send(&own).await.expect("an answer") });
    until("the first is upstream", async || stage.upstream.seen().len() == 1).await;
    let second = stage.send(&ask).await;
    gate.add_permits(2);
    assert!(first.await.expect("no panic").is_taken(wire));
    assert!(stage.send(&ask).await.is_taken(wire), "there is room again");
    assert_eq!(
        stage.sidecar.count("kasm_scrub_refused_total{signal=\"logs\",reason=\"overloaded\"}").await,
        1
    );
    is_overload(wire, &second);
    stage.close().await;
}

#[tokio::test]
async fn too_many_requests_of_http_are_told_to_come_again() {
    too_many(Wire::Protobuf).await;
}

#[tokio::test]
async fn too_many_requests_of_grpc_are_told_to_come_again() {
    too_many(Wire::Grpc).await;
}

/// Requests that would take more memory than there is; those that take it are not yet whole.
async fn too_much_memory(wire: Wire) {
    let stage = Stage::new(Spoken::Http, taking(), &["--max-request", "1", "--max-memory", "4"]).await;
    let message = sized(MIB);
    let head = "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 1048576\r\n\r\n";
    let mut streams = Vec::new();
    for count in 1..=3 {
        let mut stream = open(&stage.sidecar.http).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a head");
        stream.write_all(&message[..MIB - 1]).await.expect("most of a body");
        streams.push(stream);
        let taken = count * (MIB as u64 - 1);
        until("memory is taken", async || stage.sidecar.count("kasm_scrub_in_flight_bytes").await >= taken)
            .await;
    }
    is_overload(wire, &stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await);
    let small = clean(wire, Signal::Logs, "image is present");
    assert!(stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &small)).await.is_taken(wire));
    for mut stream in streams {
        stream.write_all(&message[MIB - 1..]).await.expect("the rest");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    assert!(
        stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await.is_taken(wire),
        "there is room again"
    );
    until("memory is given back", async || stage.sidecar.count("kasm_scrub_in_flight_bytes").await == 0)
        .await;
    stage.close().await;
}

#[tokio::test]
async fn too_much_memory_for_http_is_told_to_come_again() {
    too_much_memory(Wire::Protobuf).await;
}

#[tokio::test]
async fn too_much_memory_for_grpc_is_told_to_come_again() {
    too_much_memory(Wire::Grpc).await;
}
