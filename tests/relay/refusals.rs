//! What is refused for good: broken frames, broken compression, broken messages, and what is none of the protocol. None
//! of it reaches the upstream, and no byte of it comes back.

use hyper::Method;
use kasm_scrub::otlp::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Ask, Wire, check, open};
use super::holds;
use super::replies::taking;
use super::requests::{Pack, clean, dirty, frame, grpc_path, http_path};
use super::stage::{PLANTED, Spoken, Stage, is_leak, secret};

/// Each of these bodies leads to these answers, and none of them goes on.
async fn refused(asks: Vec<(&str, Ask)>, want: (u32, u32)) {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for (what, ask) in asks {
        let answer = stage.send(&ask).await;
        check(what, ask.wire, &answer, want);
        assert!(!is_leak(&answer.all()), "{what}: {answer:?}");
        if ask.wire == Wire::Grpc {
            assert_ne!(answer.header("grpc-message"), "", "{what}: it says why");
        }
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

fn message() -> Vec<u8> {
    dirty(Wire::Protobuf, Signal::Logs, "login of zone", &secret(1))
}

#[tokio::test]
async fn broken_frames() {
    let whole = frame(&message(), false);
    let cut = whole[..whole.len() - 1].to_vec();
    let marked = [&[2], &whole[1..]].concat();
    let ask = |body: Vec<u8>| Ask::new(Wire::Grpc, Signal::Logs, Pack::None, b"").body(body);
    let asks = vec![
        ("nothing", ask(vec![])),
        ("half a prefix", ask(whole[..3].to_vec())),
        ("a byte is missing", ask(cut)),
        ("a byte too many", ask([&whole[..], b"x"].concat())),
        ("two messages", ask([&whole[..], &whole].concat())),
        ("an unknown flag", ask(marked)),
        ("all of four GiB", ask([&[0, 255, 255, 255, 255][..], &message()].concat())),
        ("compressed, but how", ask(frame(&Pack::Gzip.pack(&message()), true))),
    ];
    refused(asks, (3, 400)).await;
}

#[tokio::test]
async fn broken_compression() {
    let mut asks = Vec::new();
    for pack in [Pack::Gzip, Pack::Zstd] {
        let whole = pack.pack(&message());
        let behind = [&whole[..], PLANTED.as_bytes()].concat();
        // In the checksum: gzip has its length behind it.
        let mut flipped = whole.clone();
        let at = flipped.len() - if pack == Pack::Gzip { 6 } else { 1 };
        flipped[at] ^= 0xFF;
        for wire in Wire::ALL {
            let ask = |body: &[u8]| {
                let body = if wire == Wire::Grpc { frame(body, true) } else { body.to_vec() };
                Ask::new(wire, Signal::Logs, pack, b"").body(body)
            };
            asks.push(("cut off", ask(&whole[..whole.len() - 1])));
            asks.push(("bytes behind", ask(&behind)));
            asks.push(("not compressed", ask(&message())));
            asks.push(("nothing", ask(b"")));
            asks.push(("the checksum is another one", ask(&flipped)));
        }
    }
    refused(asks, (3, 400)).await;
}

#[tokio::test]
async fn broken_messages() {
    let mut asks = Vec::new();
    for pack in Pack::ALL {
        for wire in Wire::BOTH {
            let ask = |message: &[u8]| Ask::new(wire, Signal::Logs, pack, message);
            asks.push(("cut off", ask(&message()[..message().len() - 1])));
            asks.push(("text", ask(format!("password={}", secret(2)).as_bytes())));
            asks.push(("a group", ask(b"\x0b\x0c")));
            asks.push(("a length beyond the end", ask(b"\x0a\xff\xff\xff\xff\x0f")));
        }
        let json = clean(Wire::Json, Signal::Logs, &secret(3));
        let ask = |message: &[u8]| Ask::new(Wire::Json, Signal::Logs, pack, message);
        asks.push(("JSON, cut off", ask(&json[..json.len() - 1])));
        asks.push(("two documents", ask(&[&json[..], &json].concat())));
        asks.push(("no object", ask(format!("[\"{}\"]", secret(4)).as_bytes())));
        asks.push(("protobuf as JSON", ask(&message())));
        asks.push(("nothing", ask(b"")));
    }
    refused(asks, (3, 400)).await;
}

#[tokio::test]
async fn too_deep_messages() {
    let json = format!("{}{}", "{\"x\":".repeat(10_000), secret(1));
    let mut deep = vec![];
    for _ in 0..2000 {
        // A list in a list of values.
        let mut list = vec![0x0a];
        crate::otlp::tree::varint(deep.len() as u64, 0, &mut list);
        list.extend(&deep);
        deep = vec![0x2a];
        crate::otlp::tree::varint(list.len() as u64, 0, &mut deep);
        deep.extend(&list);
    }
    let mut message = deep;
    // A body, a record, a scope, a resource.
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        let mut outer = vec![tag];
        crate::otlp::tree::varint(message.len() as u64, 0, &mut outer);
        outer.extend(&message);
        message = outer;
    }
    let asks = vec![
        ("JSON", Ask::new(Wire::Json, Signal::Logs, Pack::None, json.as_bytes())),
        ("protobuf", Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &message)),
        ("protobuf", Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &message)),
    ];
    refused(asks, (3, 400)).await;
}

#[tokio::test]
async fn other_content_types() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for (wire, types) in [
        (
            Wire::Grpc,
            &["text/plain", "application/x-protobuf", "application/grpc-web", "application/grpc+json"][..],
        ),
        (Wire::Protobuf, &["text/plain", "application/protobuf", "application/grpc", "application/jsonx"]),
    ] {
        for content_type in types {
            let ask = Ask::new(wire, Signal::Logs, Pack::None, &message()).with("content-type", content_type);
            let answer = stage.send(&ask).await;
            assert_eq!(answer.status, 415, "{wire:?} {content_type}: {answer:?}");
        }
        let mut ask = Ask::new(wire, Signal::Logs, Pack::None, &message());
        ask.headers.remove("content-type");
        assert_eq!(stage.send(&ask).await.status, 415);
    }
    let ask = Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &message());
    let answer = stage.send(&ask.with("content-type", "Application/X-Protobuf; charset=x")).await;
    assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
    let ask = Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &message());
    assert!(stage.send(&ask.with("content-type", "application/grpc+proto")).await.is_taken(Wire::Grpc));
    assert_eq!(stage.upstream.begun(), 2);
    stage.close().await;
}

#[tokio::test]
async fn other_compressions() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for name in ["br", "deflate", "snappy", "lz4", "gzip, gzip", "hunterCanary"] {
        let ask = Ask::new(Wire::Grpc, Signal::Logs, Pack::None, b"").with("grpc-encoding", name);
        let answer = stage.send(&ask.body(frame(&message(), true))).await;
        check(name, Wire::Grpc, &answer, (12, 0));
        assert_eq!(answer.header("grpc-accept-encoding"), "identity,gzip,zstd", "{name}");
        let ask =
            Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &message()).with("content-encoding", name);
        let answer = stage.send(&ask).await;
        check(name, Wire::Protobuf, &answer, (0, 415));
        assert!(!is_leak(&answer.all()));
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

#[tokio::test]
async fn other_paths_and_methods() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let grpc = Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &message());
    for path in [
        "/",
        "/v1/logs",
        "/opentelemetry.proto.collector.logs.v1.LogsService/export",
        "/grpc.health.v1.Health/Check",
    ] {
        check(path, Wire::Grpc, &stage.send(&grpc.clone().path(path)).await, (12, 0));
    }
    for wire in [Wire::Protobuf, Wire::Json] {
        let ask = Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "image is present"));
        for path in ["/", "/v1/logs/", "/v1/LOGS", "/v1/../v1/logs", grpc_path(Signal::Logs), "/hunterCanary"]
        {
            let answer = stage.send(&ask.clone().path(path)).await;
            check(path, wire, &answer, (0, 404));
            assert!(!is_leak(&answer.all()));
        }
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
            check("method", wire, &stage.send(&Ask { method, ..ask.clone() }).await, (0, 405));
        }
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

#[tokio::test]
async fn a_query_does_not_hide_a_path() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let message = clean(Wire::Protobuf, Signal::Logs, "image is present");
    let ask = Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &message);
    let answer = stage.send(&ask.path(&format!("/v1/logs?token={}", secret(1)))).await;
    assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
    assert_eq!(stage.upstream.last().path, "/v1/logs");
    stage.close().await;
}

#[tokio::test]
async fn profiles() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for wire in Wire::ALL {
        let answer = stage.send(&Ask::new(wire, Signal::Profiles, Pack::None, &message())).await;
        check("profiles", wire, &answer, (12, 404));
    }
    assert_eq!(http_path(Signal::Profiles), "/v1development/profiles");
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

#[tokio::test]
async fn http_1_where_grpc_is_spoken() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for path in ["/v1/logs", grpc_path(Signal::Logs)] {
        let mut stream = open(&stage.sidecar.grpc).await.expect("a connection");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a head");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 505") && holds(&answer, b"gRPC"), "{}", answer.escape_ascii());
    }
    stage.close().await;
}

#[tokio::test]
async fn what_is_no_http_at_all() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let noises: [&[u8]; 5] = [
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hunterCanaryhunterCanary",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nhunterCanaryhunterCanary",
        b"hunterCanary hunterCanary hunterCanary\r\n\r\n",
        b"POST /v1/logs HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nxyzhunterCanary\r\n",
    ];
    for at in [&stage.sidecar.grpc, &stage.sidecar.http] {
        for noise in noises {
            let mut stream = open(at).await.expect("a connection");
            stream.write_all(noise).await.expect("noise");
            stream.shutdown().await.expect("no more");
            let mut answer = Vec::new();
            let _ =
                tokio::time::timeout(super::PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
            assert!(!is_leak(&answer) && !answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
        }
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}
