//! Many connections, and more than there may be: those who send get their answers all the same.

use kasm_scrub::otlp::Signal;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Ask, Wire, open};
use super::replies::taking;
use super::requests::{Pack, clean};
use super::stage::{Spoken, Stage};
use super::{PATIENCE, until};

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

#[tokio::test]
async fn ten_thousand_idle_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("its own limit");
    // Both ends count: here, and in the sidecar, which has the same limit. Other tests need some, too.
    let count = limit.maximum.map_or(10_000, |most| (most as usize).saturating_sub(1500).min(10_000));
    assert!(count >= 1000, "only {count} connections are allowed");
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let before = (stage.sidecar.resident(), stage.sidecar.descriptors());
    let mut idle = Vec::new();
    for number in 0..count {
        let wire = Wire::BOTH[number % 2];
        let mut stream = open(stage.at(wire)).await.expect("a connection");
        // Some have begun to speak.
        if number % 10 == 0 {
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await
                .expect("a preface");
        }
        idle.push(stream);
    }
    // Counted before those who said nothing are turned away.
    for wire in Wire::BOTH {
        assert!(stage.send(&ask(wire)).await.is_taken(wire));
    }
    let (memory, open) = (stage.sidecar.resident(), stage.sidecar.descriptors() - before.1);
    assert!(open > count / 2, "{open} of {count}");
    let each = (memory - before.0) * 1024 / open as u64;
    assert!(each < 48 << 10, "{each} bytes for each of {open} connections");
    drop(idle);
    until("all are closed", async || stage.sidecar.descriptors() < before.1 + 16).await;
    assert!(stage.send(&ask(Wire::Grpc)).await.is_taken(Wire::Grpc));
    stage.close().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let stage = Stage::new(Spoken::Grpc, taking(), &["--max-connections", "4"]).await;
    let mut clients = Vec::new();
    for number in 0..4 {
        let wire = Wire::BOTH[number % 2];
        let mut client = stage.connect(wire).await;
        assert!(client.send(&ask(wire)).await.expect("an answer").is_taken(wire));
        clients.push(client);
    }
    for wire in Wire::BOTH {
        let mut fifth = open(stage.at(wire)).await.expect("the system takes it");
        let read = tokio::time::timeout(PATIENCE, fifth.read(&mut [0; 16])).await.expect("it is closed");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    assert_eq!(stage.sidecar.count("kasm_scrub_events_total{what=\"connection_refused\"}").await, 2);
    assert_eq!(stage.sidecar.admin("/readyz").await.status, 200, "who asks how it is has other places");
    let mut first = clients.remove(0);
    assert!(first.send(&ask(Wire::Grpc)).await.expect("an answer").is_taken(Wire::Grpc));
    drop(clients.pop());
    until("there is a place", async || {
        let mut client = stage.connect(Wire::Protobuf).await;
        client.send(&ask(Wire::Protobuf)).await.is_ok_and(|answer| answer.is_taken(Wire::Protobuf))
    })
    .await;
    stage.close().await;
}

#[tokio::test]
async fn connections_of_clients_are_counted_and_no_others() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let client = stage.connect(Wire::Grpc).await;
    let idle = open(&stage.sidecar.http).await.expect("a connection");
    assert_eq!(stage.sidecar.count("kasm_scrub_connections").await, 2);
    drop((client, idle));
    until("both are gone", async || stage.sidecar.count("kasm_scrub_connections").await == 0).await;
    stage.close().await;
}

#[tokio::test]
async fn many_requests_on_one_connection() {
    let stage = Stage::new(Spoken::Grpc, taking(), &["--threads", "2"]).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let mut client = stage.connect(Wire::Grpc).await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                let answer = client.send(&ask(Wire::Grpc)).await.expect("an answer");
                assert!(answer.is_taken(Wire::Grpc), "{answer:?}");
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(stage.upstream.seen().len(), 200);
    stage.close().await;
}

/// What is answered to bytes on the HTTP port, up to the end of the connection.
async fn spoken(stage: &Stage, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = open(&stage.sidecar.http).await.expect("a connection");
    let mut said = Vec::new();
    for piece in pieces {
        stream.write_all(piece).await.expect("a piece");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("an end").expect("an answer");
    said
}

#[tokio::test]
async fn bodies_in_chunks_and_bytes_one_by_one() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let message = clean(Wire::Protobuf, Signal::Logs, "session is created");
    let head =
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n";
    let (first, second) = message.split_at(10);
    let size = |part: &[u8]| format!("{:x}\r\n", part.len()).into_bytes();
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let (one, two) = (size(first), size(second));
    let said =
        spoken(&stage, &[chunked.as_bytes(), &one, first, b"\r\n", &two, second, b"\r\n0\r\n\r\n"]).await;
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", said.escape_ascii());
    let sized = format!("{head}content-length: {}\r\n\r\n", message.len());
    let whole = [sized.as_bytes(), &message].concat();
    let bytes: Vec<&[u8]> = whole.chunks(7).collect();
    let said = spoken(&stage, &bytes).await;
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", said.escape_ascii());
    for seen in stage.upstream.seen() {
        assert_eq!((seen.header("transfer-encoding"), &seen.body[..]), ("", &message[..]));
    }
    assert_eq!(stage.upstream.seen().len(), 2);
    stage.close().await;
}

#[tokio::test]
async fn clients_that_ask_before_they_send() {
    let stage = Stage::new(Spoken::Http, taking(), &["--max-request", "1"]).await;
    let message = clean(Wire::Protobuf, Signal::Logs, "session is created");
    let head = |len: usize| {
        format!(
            "POST /v1/logs HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {len}\r\n\r\n"
        )
    };
    let mut stream = open(&stage.sidecar.http).await.expect("a connection");
    stream.write_all(head(message.len()).as_bytes()).await.expect("a head");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&message).await.expect("a body");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("an answer");
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", said.escape_ascii());
    // What would be refused is not asked for.
    let said = spoken(&stage, &[head(2 << 20).as_bytes()]).await;
    assert!(said.starts_with(b"HTTP/1.1 413"), "{}", said.escape_ascii());
    assert_eq!(stage.upstream.last().header("expect"), "");
    stage.close().await;
}

#[tokio::test]
async fn http_2_on_the_port_of_http() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for wire in [Wire::Protobuf, Wire::Json] {
        let stream = open(&stage.sidecar.http).await.expect("a connection");
        let mut client = super::client::Client::over(Wire::Grpc, stream).await.expect("HTTP/2");
        let answer = client.send(&ask(wire)).await.expect("an answer");
        assert!(answer.is_taken(wire), "{answer:?}");
        assert_eq!(stage.upstream.last().body, ask(wire).body);
    }
    stage.close().await;
}

#[tokio::test]
async fn large_heads_are_refused() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let long = "x".repeat(600 << 10);
    let mut stream = open(&stage.sidecar.http).await.expect("a connection");
    let head =
        format!("POST /v1/logs HTTP/1.1\r\nhost: localhost\r\nx-long: {long}\r\ncontent-length: 0\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    // It may have been closed before all was written.
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an end");
    assert!(read.is_err() || &answer == b"HTTP/1.1 431", "{}", answer.escape_ascii());
    let mut client = stage.connect(Wire::Grpc).await;
    let long = ask(Wire::Grpc).with("x-long", &"x".repeat(64 << 10));
    let answer = client.send(&long).await;
    assert!(answer.as_ref().is_ok_and(|answer| answer.status == 431) || answer.is_err(), "{answer:?}");
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}
