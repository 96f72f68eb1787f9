//! What is said of compression, both ways, and an upstream that changes its mind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kasm_scrub::otlp::Signal;

use super::client::{Ask, Wire, check};
use super::replies::{Pieces, answering, grpc, map, response, taken};
use super::requests::{Pack, clean, frame};
use super::stage::{Spoken, Stage};
use super::upstream::Seen;

const TAKES: &str = "identity,gzip,zstd";

fn ask(wire: Wire, pack: Pack) -> Ask {
    Ask::new(wire, Signal::Logs, pack, &clean(wire, Signal::Logs, "session is created"))
}

#[tokio::test]
async fn what_we_take_is_said_whatever_the_upstream_takes() {
    for spoken in Spoken::ALL {
        for said in ["", "identity", "gzip", "identity, br, hunter2dead"] {
            for code in [0, 3, 14] {
                let answer = move |seen: &Seen| {
                    let mut reply = match (seen.is_grpc(), code) {
                        (_, 0) => taken(seen),
                        (true, _) => grpc(code, "zone is full", b""),
                        (false, _) => response(503, &[], Pieces::default()),
                    };
                    if !said.is_empty() {
                        reply.headers_mut().extend(map(&[("grpc-accept-encoding", said)]));
                    }
                    Ok(reply)
                };
                let stage = Stage::new(spoken, answering(answer), &[]).await;
                let answer = stage.send(&ask(Wire::Grpc, Pack::None)).await;
                assert_eq!(answer.header("grpc-accept-encoding"), TAKES, "{said} {code}: {answer:?}");
                let all = answer.headers.get_all("grpc-accept-encoding").iter().count()
                    + answer.trailers.get_all("grpc-accept-encoding").iter().count();
                assert_eq!(all, 1, "it is said once: {answer:?}");
                stage.close().await;
            }
        }
    }
    // And where it is we who answer.
    let stage = Stage::new(Spoken::Grpc, answering(|seen| Ok(taken(seen))), &[]).await;
    let answer = stage.send(&ask(Wire::Grpc, Pack::None).body(frame(b"\xff", false))).await;
    check("malformed", Wire::Grpc, &answer, (3, 0));
    assert_eq!(answer.header("grpc-accept-encoding"), TAKES);
    stage.close().await;
}

/// One that says that it takes zstd, takes none once, and then says nothing of it. `says`: what it says that it takes when
/// it does not.
async fn forgets(says: &'static str) {
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |seen: &Seen| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let (mut reply, says) = match number {
            0 => (taken(seen), TAKES),
            1 => (grpc(12, "grpc: Decompressor is not installed for grpc-encoding", b""), says),
            _ => (taken(seen), ""),
        };
        if !says.is_empty() {
            reply.headers_mut().extend(map(&[("grpc-accept-encoding", says)]));
        }
        Ok(reply)
    };
    let stage = Stage::new(Spoken::Grpc, answering(answer), &[]).await;
    for (code, want) in [(0, "gzip"), (14, "zstd"), (0, "gzip"), (0, "gzip")] {
        let answer = stage.send(&ask(Wire::Grpc, Pack::Zstd)).await;
        let came = stage.upstream.last();
        assert_eq!((answer.code(), came.header("grpc-encoding")), (Some(code), want), "{says}: {answer:?}");
    }
    assert_eq!(stage.upstream.seen().len(), 4, "nothing is sent twice");
    stage.close().await;
}

#[tokio::test]
async fn one_of_several_upstreams_that_takes_no_zstd_gets_gzip_the_next_time() {
    forgets("").await;
}

#[tokio::test]
async fn an_upstream_that_says_that_it_takes_no_zstd_any_more_gets_gzip_the_next_time() {
    forgets("identity,gzip").await;
}

#[tokio::test]
async fn what_an_upstream_does_not_take_for_another_reason_stays_so() {
    let answer = |_: &Seen| Ok(grpc(12, "unknown service", b""));
    let stage = Stage::new(Spoken::Grpc, answering(answer), &[]).await;
    for pack in Pack::ALL {
        check("unknown service", Wire::Grpc, &stage.send(&ask(Wire::Grpc, pack)).await, (12, 0));
    }
    stage.close().await;
    // The option says zstd, so it is zstd.
    let stage = Stage::new(Spoken::Grpc, answering(answer), &["--upstream-compression", "zstd"]).await;
    for _ in 0..2 {
        check("no zstd", Wire::Grpc, &stage.send(&ask(Wire::Grpc, Pack::Gzip)).await, (12, 0));
        assert_eq!(stage.upstream.last().header("grpc-encoding"), "zstd");
    }
    stage.close().await;
}

#[tokio::test]
async fn as_many_members_as_senders_write_are_read_and_no_more() {
    let stage = Stage::new(Spoken::Http, answering(|seen| Ok(taken(seen))), &[]).await;
    for wire in Wire::ALL {
        let message = clean(wire, Signal::Logs, "session is created");
        for pack in [Pack::Gzip, Pack::Zstd] {
            for (members, want) in [(2, true), (16, true), (17, false), (1000, false)] {
                // Some of them are empty, as are those that a sender writes when it flushes.
                let mut parts = vec![pack.pack(&message)];
                parts.resize(members, pack.pack(b""));
                let packed = parts.concat();
                let body = if wire == Wire::Grpc { frame(&packed, true) } else { packed };
                let answer = stage.send(&ask(wire, pack).body(body)).await;
                let what = format!("{members} of {pack:?}");
                if want {
                    assert!(answer.is_taken(wire), "{what} {wire:?}: {answer:?}");
                    assert_eq!(stage.upstream.last().message(), message, "{what} {wire:?}");
                } else {
                    check(&what, wire, &answer, (3, 400));
                }
            }
        }
    }
    assert_eq!(stage.upstream.seen().len(), 12);
    stage.close().await;
}
