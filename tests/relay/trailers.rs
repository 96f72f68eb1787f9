//! Answers of an upstream with more in them than clients take in their trailers, or than can be read: what they say stays.

use kasm_scrub::otlp::Signal;

use super::client::{Answer, Ask, Wire, check};
use super::holds;
use super::replies::{Pieces, answering, grpc, http, map, response};
use super::requests::{Pack, clean, frame, status};
use super::stage::{Spoken, Stage};

async fn send(stage: &Stage, wire: Wire) -> Answer {
    let message = clean(wire, Signal::Logs, "session is created");
    stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await
}

/// What `grpc-message` says.
fn said(answer: &Answer) -> String {
    let value = percent_encoding::percent_decode_str(answer.header("grpc-message"));
    value.decode_utf8().expect("whole characters").into_owned()
}

/// Three seconds in a duration in an info.
fn has_delay(answer: &Answer) -> bool {
    let details = answer.details();
    holds(&details, b"google.rpc.RetryInfo") && holds(&details, b"\x0a\x02\x08\x03")
}

/// A status with a text of 100 KB and a delay, from an upstream of HTTP with these headers more, to a client of gRPC.
async fn is_cut(letter: &str, headers: &'static [(&str, &str)]) {
    let text = letter.repeat((100 << 10) / letter.len());
    let body = status(14, &text, Some(3));
    let answer = move |_: &_| {
        let mut reply = http(503, "application/x-protobuf", &body);
        reply.headers_mut().extend(map(headers));
        Ok(reply)
    };
    let stage = Stage::new(Spoken::Http, answering(answer), &[]).await;
    let answer = send(&stage, Wire::Grpc).await;
    assert_eq!(answer.code(), Some(14), "{answer:?}");
    let said = said(&answer);
    assert!(!said.is_empty() && said.len() <= 1 << 10 && text.starts_with(&said), "{}", said.len());
    assert!(has_delay(&answer), "{letter}: {}", answer.details().escape_ascii());
    stage.close().await;
}

#[tokio::test]
async fn a_long_text_of_http_is_cut_for_grpc() {
    for letter in ["n", "é", "€", "🔑"] {
        is_cut(letter, &[("retry-after", "3")]).await;
    }
}

#[tokio::test]
async fn a_delay_that_only_the_body_of_http_tells_is_one_of_grpc() {
    is_cut("n", &[]).await;
}

#[tokio::test]
async fn a_permanent_code_in_long_trailers_arrives() {
    let long = "zone is full ".repeat(20_000 / 13);
    let in_head = long.clone();
    let answers: [super::upstream::Behaviour; 3] = [
        answering(move |_| Ok(grpc(3, &in_head, b""))),
        answering(|_| Ok(grpc(3, "", &status(3, &"zone is full ".repeat(1100), None)))),
        answering(move |_| {
            let body = Pieces::one(&b""[..]);
            let body = body.with_trailers(&[("grpc-status", "3"), ("grpc-message", &long)]);
            Ok(response(200, &[("content-type", "application/grpc")], body))
        }),
    ];
    for behaviour in answers {
        let stage = Stage::new(Spoken::Grpc, behaviour, &[]).await;
        for wire in Wire::ALL {
            check("permanent", wire, &send(&stage, wire).await, (3, 400));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_status_with_a_body_that_cannot_be_read_is_one() {
    let brotli = || response(503, &[("content-encoding", "br")], Pieces::one(&b"\x0b\x02\x80zone\x03"[..]));
    let broken = || response(503, &[("content-encoding", "gzip")], Pieces::one(&b"zone is full"[..]));
    let large = || http(503, "application/x-protobuf", &vec![0; 5 << 20]);
    for (what, make) in [("br", brotli as fn() -> _), ("broken gzip", broken), ("5 MiB", large)] {
        let stage = Stage::new(Spoken::Http, answering(move |_| Ok(make())), &[]).await;
        for wire in Wire::ALL {
            let answer = send(&stage, wire).await;
            check(what, wire, &answer, (14, 503));
            assert!(answer.body.len() <= 4 << 20, "{what}: {}", answer.body.len());
            assert_eq!(answer.header("content-encoding"), "", "{what}: {answer:?}");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_not_taken() {
    let head = [("content-type", "application/grpc"), ("grpc-encoding", "br")];
    let packed = move |_: &_| {
        let body = Pieces::one(frame(b"\x0b\x02\x80zone\x03", true)).with_trailers(&[("grpc-status", "0")]);
        Ok(response(200, &head, body))
    };
    let stage = Stage::new(Spoken::Grpc, answering(packed), &[]).await;
    for wire in Wire::ALL {
        check("br", wire, &send(&stage, wire).await, (14, 503));
    }
    stage.close().await;
}
