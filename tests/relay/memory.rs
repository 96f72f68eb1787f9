//! Memory: what requests hold together stays within its limit, whatever they are made of and whoever does not read them.

use std::time::{Duration, Instant};

use kasm_scrub::otlp::Signal;
use tokio::task::JoinSet;

use super::client::{Ask, Wire};
use super::replies::taking;
use super::requests::{Pack, clean, sized};
use super::stage::{Spoken, Stage};
use super::until;
use super::upstream::Upstream;
use crate::otlp::tree;

const MIB: usize = 1 << 20;

/// More requests than there is room for, to an upstream that takes connections and never reads.
async fn does_not_fill_memory(spoken: Spoken) {
    let options = ["--max-memory", "32", "--max-request", "8", "--timeout", "3s"];
    let stage = Stage::with(Upstream::start_deaf().await, spoken, &options).await;
    let mut clients = JoinSet::new();
    let body = sized(8 * MIB);
    for number in 0..30 {
        let wire = Wire::BOTH[number % 2];
        let ask = Ask::new(wire, Signal::Logs, Pack::None, &body);
        let mut client = stage.connect(wire).await;
        clients.spawn(async move { (wire, client.send(&ask).await.expect("an answer")) });
    }
    let mut come_again = 0;
    while let Some(answered) = clients.join_next().await {
        let (wire, answer) = answered.expect("no panic");
        let says = answer.says(wire);
        assert!([4, 14, 503, 504].contains(&says), "{answer:?}");
        come_again += u64::from([14, 503].contains(&says));
    }
    assert!(come_again > 0, "there was no room for all");
    let overloaded = "kasm_scrub_refused_total{signal=\"logs\",reason=\"overloaded\"}";
    assert_eq!(stage.sidecar.count(overloaded).await, come_again);
    let peak = stage.sidecar.peak();
    assert!(peak < 140 << 10, "{peak} KiB");
    let free = async || stage.sidecar.count("kasm_scrub_in_flight_bytes").await == 0;
    until("memory is given back", free).await;
    stage.close().await;
}

#[tokio::test]
async fn an_upstream_of_grpc_that_does_not_read_does_not_fill_memory() {
    does_not_fill_memory(Spoken::Grpc).await;
}

#[tokio::test]
async fn an_upstream_of_http_that_does_not_read_does_not_fill_memory() {
    does_not_fill_memory(Spoken::Http).await;
}

/// A request for logs with one record, which holds these bytes again and again.
fn record(bytes: &[u8], len: usize) -> Vec<u8> {
    // A record, a scope, a resource.
    [0x12, 0x12, 0x0a].iter().fold(bytes.repeat(len / bytes.len()), |inner, &tag| {
        let mut outer = vec![tag];
        tree::varint(inner.len() as u64, 0, &mut outer);
        outer.extend(inner);
        outer
    })
}

/// A small request of which much comes: it takes no more memory than one that is large, and no one waits for it who asks
/// whether the sidecar lives.
async fn is_bounded(pack: Pack, message: &[u8]) {
    let stage = Stage::new(Spoken::Http, taking(), &["--timeout", "60s"]).await;
    let ask = Ask::new(Wire::Protobuf, Signal::Logs, pack, message);
    assert!(ask.body.len() < MIB, "{}", ask.body.len());
    let mut client = stage.connect(Wire::Protobuf).await;
    let sent = tokio::spawn(async move { client.send(&ask).await });
    let mut longest = Duration::ZERO;
    loop {
        let start = Instant::now();
        assert_eq!(stage.sidecar.admin("/livez").await.status, 200);
        longest = longest.max(start.elapsed());
        if sent.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = sent.await.expect("no panic").expect("an answer");
    // Taken, or refused for good.
    assert!([200, 400, 413].contains(&answer.says(Wire::Protobuf)), "{answer:?}");
    let peak = stage.sidecar.peak();
    assert!(peak < 250 << 10, "{peak} KiB");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let small = clean(Wire::Grpc, Signal::Logs, "session is created");
    assert!(stage.send(&Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &small)).await.is_taken(Wire::Grpc));
    stage.close().await;
}

#[tokio::test]
async fn many_empty_texts_take_little() {
    is_bounded(Pack::Zstd, &record(b"\x1a\0", 40 * MIB)).await;
}

#[tokio::test]
async fn many_empty_attributes_take_little() {
    is_bounded(Pack::Gzip, &record(b"\x32\0", 8 * MIB)).await;
}
