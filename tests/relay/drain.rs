//! The end of a sidecar, told or not: what was acknowledged is upstream, and what is under way is answered if it can be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kasm_scrub::otlp::Signal;
use rustix::process::Signal as Process;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::client::{Ask, Client, Wire, get, open};
use super::replies::{answering, never, taken, taking, waiting};
use super::requests::{Pack, clean};
use super::sidecar::{At, Sidecar};
use super::stage::{Spoken, Stage};
use super::{holds, until};

fn ask(wire: Wire, words: &str) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, words))
}

#[tokio::test]
async fn requests_under_way_are_answered_before_the_end() {
    for spoken in Spoken::ALL {
        let gate = Arc::new(Semaphore::new(0));
        let mut stage = Stage::new(spoken, waiting(gate.clone()), &[]).await;
        let mut clients = Vec::new();
        for number in 0..8 {
            let wire = Wire::BOTH[number % 2];
            let mut client = stage.connect(wire).await;
            let send = async move {
                client.send(&ask(wire, "session is created")).await.map(|answer| (wire, answer))
            };
            clients.push(tokio::spawn(send));
        }
        until("all are upstream", async || stage.upstream.seen().len() == 8).await;
        stage.sidecar.signal(Process::TERM);
        stage.sidecar.says("\"draining\"", 1).await;
        until("it is not ready", async || stage.sidecar.admin("/readyz").await.status == 503).await;
        assert_eq!(stage.sidecar.admin("/livez").await.status, 200);
        until("no one else is let in", async || open(&stage.sidecar.http).await.is_err()).await;
        assert!(clients.iter().all(|client| !client.is_finished()));
        gate.add_permits(8);
        for client in clients {
            let (wire, answer) = client.await.expect("no panic").expect("an answer");
            assert!(answer.is_taken(wire), "{answer:?}");
        }
        assert_eq!(stage.sidecar.ended().await, Some(0));
        stage.close_ended();
    }
}

#[tokio::test]
async fn idle_connections_hold_up_no_end() {
    let mut stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let mut clients = Vec::new();
    for wire in Wire::BOTH {
        let mut client = stage.connect(wire).await;
        assert!(client.send(&ask(wire, "session is created")).await.expect("an answer").is_taken(wire));
        clients.push(client);
    }
    // One that has said nothing yet.
    let silent = [
        open(&stage.sidecar.grpc).await.expect("a connection"),
        open(&stage.sidecar.http).await.expect("one"),
    ];
    let start = std::time::Instant::now();
    stage.sidecar.signal(Process::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(0));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    drop((clients, silent));
    stage.close_ended();
}

#[tokio::test]
async fn half_a_head_holds_up_no_end() {
    let mut stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let mut open_ones = Vec::new();
    for at in [&stage.sidecar.grpc, &stage.sidecar.http] {
        for half in [
            &b"POST /v1/logs HTTP/1.1\r\nhost: localhost\r\nx-note: "[..],
            b"PRI * HTTP",
            // All of the preface, and a frame of a head that is not the last.
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x83",
        ] {
            let mut stream = open(at).await.expect("a connection");
            stream.write_all(half).await.expect("half a head");
            open_ones.push(stream);
        }
    }
    let all = open_ones.len() as u64;
    stage.sidecar.counts("kasm_scrub_connections", all).await;
    let start = std::time::Instant::now();
    stage.sidecar.signal(Process::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(open_ones);
    stage.close_ended();
}

#[tokio::test]
async fn a_stuck_upstream_holds_up_no_end() {
    let mut stage = Stage::new(Spoken::Grpc, never(), &["--drain", "1s", "--timeout", "1h"]).await;
    let mut client = stage.connect(Wire::Grpc).await;
    let waiting = tokio::spawn(async move { client.send(&ask(Wire::Grpc, "session is created")).await });
    until("it is upstream", async || stage.upstream.seen().len() == 1).await;
    stage.sidecar.signal(Process::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(2));
    stage.sidecar.says("--drain", 1).await;
    let answer = waiting.await.expect("no panic");
    assert!(answer.is_err(), "nothing says that it was taken: {answer:?}");
    stage.close_ended();
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut stage = Stage::new(Spoken::Grpc, never(), &["--drain", "1h", "--timeout", "1h"]).await;
    let mut client = stage.connect(Wire::Grpc).await;
    tokio::spawn(async move { drop(client.send(&ask(Wire::Grpc, "session is created")).await) });
    until("it is upstream", async || stage.upstream.seen().len() == 1).await;
    stage.sidecar.signal(Process::TERM);
    stage.sidecar.says("\"draining\"", 1).await;
    stage.sidecar.signal(Process::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(2));
    stage.sidecar.says("ended by a second signal", 1).await;
    stage.close_ended();
}

#[tokio::test]
async fn it_starts_and_ends_without_a_request() {
    for signal in [Process::TERM, Process::INT] {
        let mut stage = Stage::new(Spoken::Http, taking(), &[]).await;
        stage.sidecar.signal(signal);
        assert_eq!(stage.sidecar.ended().await, Some(0));
        stage.close_ended();
    }
}

/// What clients have sent and what they were told, by record.
#[derive(Default)]
struct Ledger {
    attempts: Mutex<HashMap<String, usize>>,
    acknowledged: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// A client that sends a record after the other, each until it is taken.
fn load(ledger: Arc<Ledger>, client: usize, wire: Wire, at: At) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connection = None;
        for number in 0.. {
            let record = format!("record {client} {number} is here");
            loop {
                if ledger.is_over.load(Ordering::Relaxed) {
                    return;
                }
                if connection.is_none() {
                    connection = Client::connect(wire, &at).await.ok();
                }
                let Some(open) = &mut connection else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                *ledger.attempts.lock().unwrap().entry(record.clone()).or_default() += 1;
                match open.send(&ask(wire, &record)).await {
                    Ok(answer) if answer.is_taken(wire) => {
                        break ledger.acknowledged.lock().unwrap().push(record);
                    }
                    Ok(_) => {}
                    Err(_) => connection = None,
                }
            }
        }
    })
}

/// Every record that was acknowledged is upstream, and none more often than it was sent.
fn check_ledger(ledger: &Ledger, stage: &Stage, least: usize) {
    let mut came: HashMap<String, usize> = HashMap::new();
    for seen in stage.upstream.seen() {
        let message = seen.message();
        let start = memchr::memmem::find(&message, b"record ").expect("a record");
        let end = start + memchr::memmem::find(&message[start..], b" is here").expect("a record") + 8;
        *came.entry(String::from_utf8_lossy(&message[start..end]).into_owned()).or_default() += 1;
    }
    let acknowledged = ledger.acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= least, "{}", acknowledged.len());
    for record in &*acknowledged {
        assert!(came.contains_key(record), "{record} was acknowledged and is not upstream");
    }
    let attempts = ledger.attempts.lock().unwrap();
    for (record, times) in &came {
        assert!(
            times <= &attempts[record],
            "{record} is upstream {times} times, sent {} times",
            attempts[record]
        );
    }
}

#[tokio::test]
async fn the_end_under_load_loses_nothing_that_was_acknowledged() {
    let slow = Arc::new(|seen| -> std::pin::Pin<Box<dyn Future<Output = super::replies::Reply> + Send>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(taken(&seen))
        })
    });
    let mut stage = Stage::new(Spoken::Grpc, slow, &[]).await;
    let ledger = Arc::new(Ledger::default());
    let start = |client: usize| {
        let wire = Wire::BOTH[client % 2];
        load(ledger.clone(), client, wire, stage.at(wire).clone())
    };
    let clients: Vec<_> = (0..8).map(start).collect();
    until("there is some load", async || stage.upstream.seen().len() > 50).await;
    stage.sidecar.signal(Process::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(0));
    ledger.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no panic");
    }
    check_ledger(&ledger, &stage, 40);
    stage.close_ended();
}

#[tokio::test]
async fn a_crash_under_load_loses_nothing_that_was_acknowledged() {
    let mut stage = Stage::new(Spoken::Http, answering(|seen| Ok(taken(seen))), &[]).await;
    let ledger = Arc::new(Ledger::default());
    let start = |client: usize| {
        let wire = Wire::BOTH[client % 2];
        load(ledger.clone(), client, wire, stage.at(wire).clone())
    };
    let clients: Vec<_> = (0..8).map(start).collect();
    for _ in 0..3 {
        let seen = stage.upstream.seen().len();
        until("there is some load", async || stage.upstream.seen().len() > seen + 100).await;
        let (grpc, http, url) =
            (stage.sidecar.grpc.to_string(), stage.sidecar.http.to_string(), stage.upstream.url());
        stage.sidecar.kill();
        let options = [
            "--upstream",
            &url,
            "--upstream-protocol",
            "http/protobuf",
            "--otlp-grpc",
            &grpc,
            "--otlp-http",
            &http,
        ];
        stage.sidecar = Sidecar::start(&options).await;
    }
    let seen = stage.upstream.seen().len();
    until("there is load again", async || stage.upstream.seen().len() > seen + 100).await;
    ledger.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no panic");
    }
    check_ledger(&ledger, &stage, 300);
    assert!(holds(&get(&stage.sidecar.admin, "/readyz").await.body, b"ready"));
    stage.close().await;
}
