//! What is clean goes on as it came: the frame, the compression, the metadata. What belongs to one connection does not.

use kasm_scrub::otlp::Signal;

use super::client::{Ask, Wire};
use super::replies::{Pieces, answering, response, taken, taking};
use super::requests::{Pack, clean, dirty, frame};
use super::stage::{Spoken, Stage, secret};
use super::{SIGNALS, holds};
use crate::otlp::payload::{self, Dice};
use crate::otlp::tree::{self, Holds};

#[tokio::test]
async fn clean_frames_of_grpc_go_on_untouched() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let mut client = stage.connect(Wire::Grpc).await;
    let mut dice = Dice(7);
    for signal in SIGNALS {
        for pack in [Pack::None, Pack::Gzip] {
            for size in [500, 20_000, 400_000] {
                let ask =
                    Ask::new(Wire::Grpc, signal, pack, &payload::request(signal, size, None, &mut dice));
                let answer = client.send(&ask).await.expect("an answer");
                assert!(answer.is_taken(Wire::Grpc), "{answer:?}");
                let came = stage.upstream.last();
                assert!(came.body == ask.body, "{signal:?} {pack:?} {size}");
                assert_eq!(came.path, ask.path);
                assert_eq!(came.header("grpc-encoding"), if pack == Pack::Gzip { "gzip" } else { "" });
                assert_eq!(came.header("content-type"), "application/grpc");
            }
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn clean_bodies_of_http_go_on_untouched() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for wire in [Wire::Protobuf, Wire::Json] {
        let mut client = stage.connect(wire).await;
        for signal in SIGNALS {
            for pack in [Pack::None, Pack::Gzip] {
                let ask = Ask::new(wire, signal, pack, &clean(wire, signal, "container is healthy"));
                let answer = client.send(&ask).await.expect("an answer");
                assert!(answer.is_taken(wire), "{answer:?}");
                let came = stage.upstream.last();
                assert!(came.body == ask.body, "{wire:?} {signal:?} {pack:?}");
                assert_eq!(came.path, ask.path);
                for name in ["content-type", "content-encoding"] {
                    assert_eq!(came.headers.get(name), ask.headers.get(name), "{wire:?} {signal:?} {pack:?}");
                }
                assert_eq!(came.header("content-length"), ask.body.len().to_string());
            }
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn a_changed_request_stays_compressed() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for (pack, want) in [(Pack::None, ""), (Pack::Gzip, "gzip"), (Pack::Zstd, "gzip")] {
        let message = dirty(Wire::Protobuf, Signal::Logs, "login of zone", &secret(1));
        let answer = stage.send(&Ask::new(Wire::Protobuf, Signal::Logs, pack, &message)).await;
        assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
        // Not everyone takes zstd, and this one has not said so.
        assert_eq!(stage.upstream.last().header("content-encoding"), want, "{pack:?}");
        assert!(holds(&stage.upstream.last().message(), b"harmless zone 7"));
    }
    stage.close().await;
}

#[tokio::test]
async fn zstd_goes_on_to_one_that_takes_it() {
    let accepting = answering(|_| {
        let body = Pieces::one(frame(b"", false)).with_trailers(&[("grpc-status", "0")]);
        let headers =
            [("content-type", "application/grpc"), ("grpc-accept-encoding", "identity, gzip, zstd")];
        Ok(response(200, &headers, body))
    });
    let stage = Stage::new(Spoken::Grpc, accepting, &[]).await;
    let message = clean(Wire::Grpc, Signal::Traces, "GET /api/get_zones");
    let ask = Ask::new(Wire::Grpc, Signal::Traces, Pack::Zstd, &message);
    for want in ["gzip", "zstd"] {
        assert!(stage.send(&ask).await.is_taken(Wire::Grpc));
        let came = stage.upstream.last();
        assert_eq!((came.header("grpc-encoding"), came.message()), (want, message.clone()));
    }
    assert!(stage.upstream.last().body == ask.body);
    stage.close().await;
}

#[tokio::test]
async fn an_option_says_how_an_upstream_wants_it() {
    for how in [Pack::None, Pack::Gzip, Pack::Zstd] {
        let name = if how == Pack::None { "none" } else { how.name() };
        let stage = Stage::new(Spoken::Http, taking(), &["--upstream-compression", name]).await;
        for pack in Pack::ALL {
            let message = clean(Wire::Protobuf, Signal::Metrics, "open sessions");
            let answer = stage.send(&Ask::new(Wire::Protobuf, Signal::Metrics, pack, &message)).await;
            assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
            let came = stage.upstream.last();
            let want = if how == Pack::None { "" } else { name };
            assert_eq!((came.header("content-encoding"), came.message()), (want, message));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn metadata_goes_on_and_what_is_of_the_connection_does_not() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &[]).await;
        for wire in Wire::BOTH {
            let ask =
                Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "image is present"))
                    .with("authorization", "Bearer DeadDeadDeadDeadDead")
                    .with("x-tenant", "kasm")
                    .with("x-scope-orgid", "7")
                    .with("user-agent", "otel-sdk/1.27")
                    .with("proxy-authorization", "Basic DeadDeadDead");
            // HTTP/2 has no such headers.
            let ask = match wire {
                Wire::Grpc => ask.with("grpc-timeout", "20S").with("grpc-accept-encoding", "gzip"),
                _ => ask
                    .with("connection", "keep-alive, x-hop")
                    .with("keep-alive", "timeout=5")
                    .with("x-hop", "1"),
            };
            assert!(stage.send(&ask).await.is_taken(wire), "{spoken:?} {wire:?}");
            let came = stage.upstream.last();
            for name in ["authorization", "x-tenant", "x-scope-orgid", "user-agent"] {
                assert_eq!(came.headers.get(name), ask.headers.get(name), "{spoken:?} {wire:?} {name}");
            }
            for name in ["proxy-authorization", "keep-alive", "x-hop"] {
                assert_eq!(came.header(name), "", "{spoken:?} {wire:?} {name}");
            }
            assert!(!came.header("connection").contains("x-hop"));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn headers_told_for_the_upstream_beat_those_of_clients() {
    let upstream = super::upstream::Upstream::start(answering(|seen| Ok(taken(seen)))).await;
    let url = upstream.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20DeadUpstreamDead,x-cluster=blue"),
        ("RUST_LOG", "trace"),
    ];
    let sidecar = super::sidecar::Sidecar::start_with(&["--upstream", &url], &variables).await;
    let stage = Stage { upstream, sidecar };
    let ask =
        Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &clean(Wire::Grpc, Signal::Logs, "image is present"));
    assert!(stage.send(&ask.with("authorization", "Bearer DeadClientDead")).await.is_taken(Wire::Grpc));
    let came = stage.upstream.last();
    assert_eq!((came.header("authorization"), came.header("x-cluster")), ("Bearer DeadUpstreamDead", "blue"));
    assert!(!stage.sidecar.log().contains("DeadUpstreamDead"));
    stage.close().await;
}

/// A request with a field that the protocol does not have.
fn with_unknown(words: &str) -> Vec<u8> {
    let future = tree::Field {
        number: 500,
        name: String::new(),
        is_repeated: false,
        holds: Holds::Text(words.to_owned()),
    };
    [clean(Wire::Protobuf, Signal::Logs, "image is present"), tree::wire(&[future])].concat()
}

#[tokio::test]
async fn unknown_fields_go_on_if_they_are_clean_and_may() {
    for (options, words, stays) in [
        (&[][..], "of tomorrow".to_owned(), true),
        (&[][..], format!("password={}", secret(1)), false),
        (&["--strict-fields"][..], "of tomorrow".to_owned(), false),
    ] {
        let stage = Stage::new(Spoken::Http, taking(), options).await;
        let message = with_unknown(&words);
        let answer = stage.send(&Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &message)).await;
        assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
        let want = if stays { message } else { clean(Wire::Protobuf, Signal::Logs, "image is present") };
        assert_eq!(stage.upstream.last().message(), want, "{options:?} {words}");
        let removed = stage.sidecar.count("kasm_scrub_unknown_fields_removed_total{signal=\"logs\"}").await;
        assert_eq!(removed, u64::from(!stays));
        stage.close().await;
    }
}
