//! Slow clients, and those that say nothing: each is answered or closed in bounded time, nothing of them goes on, and others
//! are served meanwhile.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kasm_scrub::otlp::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep, timeout};

use super::certificates::Authority;
use super::client::{Ask, Wire, open};
use super::replies::{Broken, taking};
use super::requests::{Pack, clean, grpc_path, http_path};
use super::sidecar::At;
use super::stage::{Spoken, Stage, is_leak, secret};
use super::until;

const QUICK: [&str; 8] =
    ["--head-timeout", "1s", "--read-timeout", "2s", "--idle-timeout", "1s", "--keep-alive", "1s"];
/// Longer than any of these, and than an unwanted body is read; shorter than what is usual.
const SOON: Duration = Duration::from_secs(14);
const DRIP: Duration = Duration::from_millis(100);

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

/// Others are served while these go on; the upstream sees nothing of these.
async fn meanwhile(stage: &Stage, mut slow: JoinSet<()>) {
    let mut served = 0;
    while !slow.is_empty() {
        for wire in Wire::BOTH {
            assert!(stage.send(&ask(wire)).await.is_taken(wire), "others are served");
            served += 1;
        }
        sleep(Duration::from_millis(200)).await;
        while let Some(ended) = slow.try_join_next() {
            ended.expect("no panic");
        }
    }
    assert_eq!(stage.upstream.begun(), served);
    let idle = async || stage.sidecar.count("kasm_scrub_requests_in_flight").await == 0;
    until("nothing is under way", idle).await;
    assert_eq!(stage.sidecar.count("kasm_scrub_in_flight_bytes").await, 0);
}

/// Writes some bytes, then others one by one, again and again; waits for the end of the connection: what was read until
/// then.
async fn written(at: At, first: &[u8], drip: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = tokio::io::split(open(&at).await.expect("a connection"));
    to.write_all(first).await.expect("room");
    let dripping = async {
        for byte in drip.iter().cycle() {
            if to.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(DRIP).await;
        }
        std::future::pending().await
    };
    let mut said = Vec::new();
    let ended = async {
        tokio::select! {
            // Closed or reset.
            _ = from.read_to_end(&mut said) => {}
            () = dripping => {}
        }
    };
    timeout(SOON, ended).await.unwrap_or_else(|_| panic!("is still open: {}", first.escape_ascii()));
    said
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const HALF: &[u8] = b"POST /v1/logs HTTP/1.1\r\nhost: localhost\r\nx-note: hunterCanary";

#[tokio::test]
async fn slow_heads() {
    let stage = Stage::new(Spoken::Http, taking(), &QUICK).await;
    let mut slow = JoinSet::new();
    for at in [&stage.sidecar.grpc, &stage.sidecar.http] {
        for (first, drip) in [
            (&b""[..], &b""[..]),
            (b"P", b""),
            (b"", PREFACE),
            (b"", HALF),
            (HALF, b""),
            (HALF, b"x"),
            (&HALF[..20], b""),
            (&PREFACE[..18], b""),
        ] {
            let at = at.clone();
            slow.spawn(async move {
                let said = written(at, first, drip).await;
                let is_taken = said.starts_with(b"HTTP/1.1 200");
                assert!(!is_taken && !is_leak(&said), "{}", said.escape_ascii());
            });
        }
    }
    meanwhile(&stage, slow).await;
    stage.close().await;
}

/// A connection may have nothing to say for long, but not half a head.
#[tokio::test]
async fn slow_heads_are_not_idle_connections() {
    let options = ["--head-timeout", "1s", "--idle-timeout", "1h"];
    let stage = Stage::new(Spoken::Http, taking(), &options).await;
    let mut slow = JoinSet::new();
    for (first, drip) in [(HALF, &b""[..]), (HALF, b"x"), (b"", HALF)] {
        let at = stage.sidecar.http.clone();
        slow.spawn(async move { drop(written(at, first, drip).await) });
    }
    let ask = ask(Wire::Protobuf);
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        ask.body.len()
    );
    let whole = [head.as_bytes(), &ask.body].concat();
    let mut stream = open(&stage.sidecar.http).await.expect("a connection");
    for _ in 0..3 {
        stream.write_all(&whole).await.expect("it is open");
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(stream.read_u8().await.expect("an answer"));
        }
        assert!(said.starts_with(b"HTTP/1.1 200"), "{}", said.escape_ascii());
        sleep(Duration::from_secs(2)).await;
    }
    let mut said = Vec::new();
    for half in HALF.chunks(HALF.len() / 2) {
        stream.write_all(half).await.expect("it is open");
        sleep(DRIP).await;
    }
    let ended = timeout(SOON, stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok() && !said.starts_with(b"HTTP/1.1 200"), "{}", said.escape_ascii());
    assert_eq!(stage.upstream.begun(), 3);
    while let Some(ended) = slow.join_next().await {
        ended.expect("no panic");
    }
    stage.close().await;
}

/// Within a head of HTTP/2, nothing else may be sent: not even an answer to the question whether the client is there.
#[tokio::test]
async fn slow_heads_of_http2() {
    let options = ["--head-timeout", "1h", "--idle-timeout", "1h", "--keep-alive", "1s"];
    let stage = Stage::new(Spoken::Http, taking(), &options).await;
    let before = [PREFACE, SETTINGS].concat();
    // A head of one frame, and one of two. Neither is the last, and most of it is still to come: fields of the static table.
    let one = [&before[..], b"\0\x40\0\x01\0\0\0\0\x01\x83"].concat();
    let two = [&before[..], b"\0\0\x01\x01\0\0\0\0\x01\x83", b"\0\x40\0\x09\0\0\0\0\x01"].concat();
    // Frames of one field each.
    let many = [&before[..], b"\0\0\x01\x01\0\0\0\0\x01\x83"].concat();
    let mut slow = JoinSet::new();
    for at in [&stage.sidecar.grpc, &stage.sidecar.http] {
        for (first, drip) in [
            (&one, &b"\x86"[..]),
            (&two, b"\x86"),
            (&many, b"\0\0\x01\x09\0\0\0\0\x01\x86"),
            (&before, b"\0"),
        ] {
            let (at, first) = (at.clone(), first.clone());
            slow.spawn(async move { drop(written(at, &first, drip).await) });
        }
    }
    meanwhile(&stage, slow).await;
    stage.close().await;
}

#[tokio::test]
async fn connections_that_have_nothing_more_to_say() {
    let stage = Stage::new(Spoken::Http, taking(), &QUICK).await;
    let ask = ask(Wire::Protobuf);
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        ask.body.len()
    );
    let whole = [head.as_bytes(), &ask.body].concat();
    for more in [&b""[..], HALF] {
        let said = written(stage.sidecar.http.clone(), &[&whole[..], more].concat(), b"").await;
        assert!(said.starts_with(b"HTTP/1.1 200"), "{}", said.escape_ascii());
    }
    assert_eq!(stage.upstream.begun(), 2);
    // One that answers when it is asked whether it is there may stay.
    let mut client = stage.connect(Wire::Grpc).await;
    sleep(Duration::from_secs(4)).await;
    assert!(client.send(&self::ask(Wire::Grpc)).await.expect("it is open").is_taken(Wire::Grpc));
    stage.close().await;
}

#[tokio::test]
async fn clients_that_lost_their_power() {
    let stage = Stage::new(Spoken::Http, taking(), &QUICK).await;
    let mut slow = JoinSet::new();
    // A head of HTTP/2 that goes on and on: one frame of it, without the flag of the last one.
    let half = [PREFACE, SETTINGS, b"\0\0\x01\x01\0\0\0\0\x01\x83"].concat();
    for at in [&stage.sidecar.grpc, &stage.sidecar.http] {
        for first in [[PREFACE, SETTINGS].concat(), half.clone()] {
            let at = at.clone();
            slow.spawn(async move {
                let said = written(at, &first, b"").await;
                // It was asked: a frame of type 6, of 8 bytes.
                assert!(super::holds(&said, b"\0\0\x08\x06\0"), "{}", said.escape_ascii());
            });
        }
    }
    meanwhile(&stage, slow).await;
    stage.close().await;
}

/// A body that has some bytes, and then one after the other, or nothing.
struct Slow {
    first: Bytes,
    drip: Option<Interval>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let Some(drip) = &mut self.drip else { return Poll::Pending };
        ready!(drip.poll_tick(context));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"\n")))))
    }
}

/// Sends a slow body: what was answered, as gRPC or HTTP says it.
async fn answered(at: At, wire: Wire, body: Slow) -> String {
    let io = TokioIo::new(open(&at).await.expect("a connection"));
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let response = if wire == Wire::Grpc {
        let path = format!("http://localhost{}", grpc_path(Signal::Logs));
        *request.uri_mut() = path.parse().expect("a path");
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = made.expect("HTTP/2");
        tokio::spawn(connection);
        timeout(SOON, sender.send_request(request)).await
    } else {
        *request.uri_mut() = http_path(Signal::Logs).parse().expect("a path");
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let made = hyper::client::conn::http1::handshake(io).await;
        let (mut sender, connection) = made.expect("HTTP/1.1");
        tokio::spawn(connection);
        timeout(SOON, sender.send_request(request)).await
    };
    let response = response.expect("an answer in time").expect("an answer");
    let code = response.headers().get("grpc-status").map_or("", |code| code.to_str().expect("a code"));
    format!("{} {code}", response.status().as_u16())
}

#[tokio::test]
async fn slow_bodies() {
    let stage = Stage::new(Spoken::Http, taking(), &QUICK).await;
    let mut slow = JoinSet::new();
    for (wire, want) in [(Wire::Grpc, "200 4"), (Wire::Protobuf, "503 ")] {
        for is_dripped in [false, true] {
            for first in [&b""[..], b"\0\0\0\xff\0hunterCanary"] {
                let at = stage.at(wire).clone();
                slow.spawn(async move {
                    let drip = is_dripped.then(|| interval(DRIP));
                    let body = Slow { first: Bytes::from_static(first), drip };
                    let answer = answered(at, wire, body).await;
                    assert_eq!(answer, want, "{wire:?} {is_dripped} {}", first.len());
                });
            }
        }
    }
    meanwhile(&stage, slow).await;
    let late = "kasm_scrub_refused_total{signal=\"logs\",reason=\"read_timeout\"}";
    assert_eq!(stage.sidecar.count(late).await, 8);
    stage.close().await;
}

#[tokio::test]
async fn many_slow_bodies_take_no_ones_place() {
    // As many as there may be requests under way, and some more; and those may take a minute.
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n";
    let mut slow = Vec::new();
    for number in 0..300 {
        let mut stream = open(&stage.sidecar.http).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a head");
        stream.write_all(secret(number).as_bytes()).await.expect("some of a body");
        slow.push(stream);
    }
    let under_way = async || stage.sidecar.count("kasm_scrub_requests_in_flight").await;
    until("all are under way", async || under_way().await == 300).await;
    for _ in 0..5 {
        for stream in &mut slow {
            stream.write_all(b"\n").await.expect("a byte more");
        }
        for wire in Wire::ALL {
            assert!(stage.send(&ask(wire)).await.is_taken(wire), "there is a place for it");
        }
    }
    assert_eq!((under_way().await, stage.upstream.begun()), (300, 15));
    drop(slow);
    until("they are gone", async || under_way().await == 0).await;
    assert_eq!(stage.sidecar.count("kasm_scrub_in_flight_bytes").await, 0);
    stage.close().await;
}

#[tokio::test]
async fn slow_handshakes() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().expect("a folder"));
    let [cert, key] = authority.issue().write(folder.path(), "server");
    let options = [&QUICK[..], &["--tls-cert", &cert, "--tls-key", &key]].concat();
    let stage = Stage::new(Spoken::Http, taking(), &options).await;
    let mut slow = JoinSet::new();
    for at in [&stage.sidecar.grpc, &stage.sidecar.http] {
        for (first, drip) in [
            (&b""[..], &b""[..]),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0"),
        ] {
            let at = at.clone();
            slow.spawn(async move { drop(written(at, first, drip).await) });
        }
    }
    while let Some(ended) = slow.join_next().await {
        ended.expect("no panic");
    }
    stage.sidecar.counts("kasm_scrub_events_total{what=\"handshake_failed\"}", 6).await;
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}
