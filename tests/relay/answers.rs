//! What the upstream answers comes back: as it was, or in the client's protocol with the same meaning, and scrubbed.

use kasm_scrub::otlp::{self, Signal};

use super::client::{Answer, Ask, Wire, check};
use super::replies::{Pieces, answering, grpc, grpc_message, http, response};
use super::requests::{Pack, base64, clean, frame, partial, quoting_status, status};
use super::stage::{Spoken, Stage, is_leak, secret};
use super::upstream::Seen;
use super::{SIGNALS, holds};

/// An upstream that is told what to answer by a header of the request.
async fn told(spoken: Spoken, answer: fn(&str) -> super::replies::Reply) -> Stage {
    Stage::new(spoken, answering(move |seen: &Seen| answer(seen.header("x-want"))), &[]).await
}

async fn send(stage: &Stage, wire: Wire, want: &str) -> Answer {
    let message = clean(wire, Signal::Logs, "session is created");
    stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message).with("x-want", want)).await
}

/// What clients of OTLP try again.
fn is_retryable(wire: Wire, answer: &Answer) -> bool {
    match (wire, answer.says(wire)) {
        (Wire::Grpc, 8) => holds(&answer.details(), b"google.rpc.RetryInfo"),
        (Wire::Grpc, code) => [1, 4, 10, 11, 14, 15].contains(&code),
        (_, status) => [429, 502, 503, 504].contains(&status),
    }
}

#[tokio::test]
async fn codes_of_grpc_come_back() {
    let stage = told(Spoken::Grpc, |want| Ok(grpc(want.parse().expect("a code"), "zone is full", b""))).await;
    for code in 1..=16 {
        let answer = send(&stage, Wire::Grpc, &code.to_string()).await;
        assert_eq!(
            (answer.code(), answer.header("grpc-message")),
            (Some(code), "zone is full"),
            "{answer:?}"
        );
        let is_grpc_retryable = is_retryable(Wire::Grpc, &answer);
        for wire in [Wire::Protobuf, Wire::Json] {
            let answer = send(&stage, wire, &code.to_string()).await;
            assert_eq!(is_retryable(wire, &answer), is_grpc_retryable, "{code}: {answer:?}");
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn statuses_of_http_come_back() {
    let stage =
        told(Spoken::Http, |want| Ok(http(want.parse().expect("a status"), "text/plain", b"zone is full")))
            .await;
    for status in [400, 401, 403, 404, 405, 413, 415, 429, 500, 501, 502, 503, 504] {
        for wire in [Wire::Protobuf, Wire::Json] {
            let answer = send(&stage, wire, &status.to_string()).await;
            assert_eq!((answer.says(wire), &answer.body[..]), (status, &b"zone is full"[..]), "{answer:?}");
        }
        let answer = send(&stage, Wire::Grpc, &status.to_string()).await;
        assert_ne!(answer.code(), Some(0), "{status}: {answer:?}");
        assert_eq!(
            is_retryable(Wire::Grpc, &answer),
            [429, 502, 503, 504].contains(&status),
            "{status}: {answer:?}"
        );
    }
    stage.close().await;
}

#[tokio::test]
async fn details_of_grpc_come_back_byte_by_byte() {
    let stage = told(Spoken::Grpc, |want| {
        let code = want.parse().expect("a code");
        Ok(grpc(code, "zone is full", &status(code, "zone is full", Some(3))))
    })
    .await;
    for code in [3, 8, 14] {
        let answer = send(&stage, Wire::Grpc, &code.to_string()).await;
        assert_eq!(answer.code(), Some(code));
        let want = status(code, "zone is full", Some(3));
        assert_eq!(answer.details(), want, "{answer:?}");
        assert_eq!(answer.header("grpc-status-details-bin"), base64(&want));
    }
    stage.close().await;
}

#[tokio::test]
async fn a_delay_of_grpc_is_one_of_http() {
    let stage = told(Spoken::Grpc, |want| {
        let code = want.parse().expect("a code");
        Ok(grpc(code, "zone is full", &status(code, "zone is full", Some(3))))
    })
    .await;
    for (code, want) in [(8, 429), (14, 503)] {
        let answer = send(&stage, Wire::Protobuf, &code.to_string()).await;
        assert_eq!((answer.says(Wire::Protobuf), answer.header("retry-after")), (want, "3"), "{answer:?}");
        assert_eq!(answer.body, status(code, "zone is full", Some(3)), "a status in the body");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_delay_of_http_comes_back() {
    for value in ["7", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        let answer = move |_: &Seen| Ok(response(503, &[("retry-after", value)], Pieces::default()));
        let stage = Stage::new(Spoken::Http, answering(answer), &[]).await;
        let answer = send(&stage, Wire::Protobuf, "").await;
        assert_eq!((answer.says(Wire::Protobuf), answer.header("retry-after")), (503, value), "{answer:?}");
        stage.close().await;
    }
}

#[tokio::test]
async fn a_delay_of_http_is_one_of_grpc() {
    let stage = told(Spoken::Http, |want| {
        Ok(response(want.parse().expect("a status"), &[("retry-after", "3")], Pieces::default()))
    })
    .await;
    for status in ["429", "503"] {
        let answer = send(&stage, Wire::Grpc, status).await;
        assert!(is_retryable(Wire::Grpc, &answer), "{answer:?}");
        let details = answer.details();
        // Three seconds in a duration in an info.
        let has_delay = holds(&details, b"google.rpc.RetryInfo") && holds(&details, b"\x0a\x02\x08\x03");
        assert!(has_delay, "{} {answer:?}", details.escape_ascii());
    }
    stage.close().await;
}

/// Clients of gRPC take a status for broken that says another code than its trailers, and throw their data away.
#[tokio::test]
async fn details_say_the_code_of_the_trailers() {
    let stage = told(Spoken::Http, |want| {
        let (code, body) = match want {
            "none" => (503, status(0, "zone is full", None)),
            "other" => (429, status(8, "zone is full", Some(3))),
            "empty" => (503, Vec::new()),
            _ => (400, status(9, "zone is full", None)),
        };
        let headers = [("content-type", "application/x-protobuf"), ("retry-after", "3")];
        Ok(response(code, &headers[..if code == 429 { 2 } else { 1 }], Pieces::one(body)))
    })
    .await;
    for (want, code) in [("none", 14), ("other", 14), ("empty", 14), ("bad", 3)] {
        let answer = send(&stage, Wire::Grpc, want).await;
        assert_eq!(answer.code(), Some(code), "{want}: {answer:?}");
        let details = answer.details();
        let right = otlp::status_with_code(details.clone(), code).unwrap_or_default();
        assert_eq!(details, right, "{want}: {answer:?}");
        assert_eq!(details.is_empty(), want == "empty", "{want}: {answer:?}");
        assert_eq!(otlp::retry_delay(&details).is_some(), want == "other", "{want}: {answer:?}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_delay_of_what_is_before_grpc_comes_back() {
    let stage = told(Spoken::Grpc, |want| {
        Ok(response(want.parse().expect("a status"), &[("retry-after", "3")], Pieces::default()))
    })
    .await;
    for status in ["429", "503"] {
        let answer = send(&stage, Wire::Grpc, status).await;
        assert_eq!(
            (answer.code(), otlp::retry_delay(&answer.details()).map(|delay| delay.as_secs())),
            (Some(14), Some(3))
        );
        let answer = send(&stage, Wire::Protobuf, status).await;
        assert_eq!((answer.says(Wire::Protobuf), answer.header("retry-after")), (503, "3"), "{answer:?}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_partial_success_comes_back() {
    let said = partial(7, "zone is full");
    let stage = told(Spoken::Grpc, |_| Ok(grpc_message(&partial(7, "zone is full")))).await;
    for wire in Wire::BOTH {
        let answer = send(&stage, wire, "").await;
        assert!(answer.is_taken(wire), "{answer:?}");
        let want = if wire == Wire::Grpc { frame(&said, false) } else { said.clone() };
        assert_eq!(answer.body, want, "{wire:?}");
    }
    stage.close().await;
    let stage =
        told(Spoken::Http, |_| Ok(http(200, "application/x-protobuf", &partial(7, "zone is full")))).await;
    for wire in Wire::BOTH {
        let answer = send(&stage, wire, "").await;
        assert!(answer.is_taken(wire), "{answer:?}");
        let want = if wire == Wire::Grpc { frame(&said, false) } else { said.clone() };
        assert_eq!(answer.body, want, "{wire:?}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_partial_success_is_written_in_json() {
    const SAID: &[u8] = br#"{"partialSuccess":{"rejectedLogRecords":"7","errorMessage":"zone is full"}}"#;
    let stage = told(Spoken::Http, |_| Ok(http(200, "application/json", SAID))).await;
    assert_eq!(send(&stage, Wire::Json, "").await.body, SAID);
    assert_eq!(send(&stage, Wire::Grpc, "").await.body, frame(&partial(7, "zone is full"), false));
    stage.close().await;
    let stage = told(Spoken::Grpc, |_| Ok(grpc_message(&partial(7, "zone is full")))).await;
    let answer = send(&stage, Wire::Json, "").await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let want: serde_json::Value = serde_json::from_slice(SAID).expect("JSON");
    assert_eq!((answer.header("content-type"), body), ("application/json", want));
    stage.close().await;
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let packed = frame(&Pack::Gzip.pack(&partial(7, "zone is full")), true);
    let answer = move |_: &Seen| {
        let body = Pieces::one(packed.clone()).with_trailers(&[("grpc-status", "0")]);
        Ok(response(200, &[("content-type", "application/grpc"), ("grpc-encoding", "gzip")], body))
    };
    let stage = Stage::new(Spoken::Grpc, answering(answer), &[]).await;
    assert_eq!(send(&stage, Wire::Grpc, "").await.body, frame(&partial(7, "zone is full"), false));
    stage.close().await;
    let answer = |_: &Seen| {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
        Ok(response(200, &headers, Pieces::one(Pack::Gzip.pack(&partial(7, "zone is full")))))
    };
    let stage = Stage::new(Spoken::Http, answering(answer), &[]).await;
    let answer = send(&stage, Wire::Protobuf, "").await;
    assert_eq!((answer.header("content-encoding"), &answer.body[..]), ("", &partial(7, "zone is full")[..]));
    stage.close().await;
}

/// An answer that cannot be read may say that nothing was taken, so nothing is said to be.
#[tokio::test]
async fn a_success_that_cannot_be_read_is_none() {
    let page = format!("<form>password={}</form>", secret(1)).into_bytes();
    let answers: [(&str, Vec<u8>); 11] = [
        ("text/html", page.clone()),
        ("text/html; charset=utf-8", page.clone()),
        ("", page.clone()),
        ("application/json", page.clone()),
        ("application/json", br#"{"partialSuccess":{"rejectedLogRecords":"7""#.to_vec()),
        ("application/json", br#"{"partialSuccess":{"rejectedLogRecords":"seven"}}"#.to_vec()),
        ("application/json", br#"{"partialSuccess":7}"#.to_vec()),
        ("application/json", b"[]".to_vec()),
        ("application/json", partial(7, "zone is full")),
        ("application/x-protobuf", page),
        ("application/x-protobuf", partial(7, "zone is full")[..9].to_vec()),
    ];
    for (content_type, body) in answers {
        let what = format!("{content_type} {}", body.escape_ascii());
        let answer = move |_: &Seen| Ok(http(200, content_type, &body));
        is_not_taken(&what, Stage::new(Spoken::Http, answering(answer), &[]).await).await;
    }
    for message in
        [&b"\x0a\xff"[..], b"\x08\x01", b"\x0a\x02\x0a\x00", b"\x0a\x07\x08\x01\x12\x7fzon", b"\x0b"]
    {
        let what = format!("{}", message.escape_ascii());
        let answer = move |_: &Seen| Ok(grpc_message(message));
        is_not_taken(&what, Stage::new(Spoken::Grpc, answering(answer), &[]).await).await;
    }
}

/// Clients of each protocol are told, in it, to send again.
async fn is_not_taken(what: &str, stage: Stage) {
    for wire in Wire::ALL {
        let answer = send(&stage, wire, "").await;
        check(what, wire, &answer, (14, 503));
        assert!(holds(&answer.all(), b"answer cannot be read"), "{what}: {answer:?}");
        assert!(!is_leak(&answer.all()), "{what}: {answer:?}");
        let content_type = answer.header("content-type");
        let own = ["application/grpc", "application/x-protobuf", "application/json"];
        assert_eq!(content_type, own[Wire::ALL.iter().position(|own| *own == wire).expect("one of all")]);
    }
    assert_eq!(stage.sidecar.count("kasm_scrub_events_total{what=\"bad_answer\"}").await, 3, "{what}");
    assert_eq!(
        stage.sidecar.count("kasm_scrub_refused_total{signal=\"logs\",reason=\"bad_answer\"}").await,
        3
    );
    stage.close().await;
}

#[tokio::test]
async fn a_success_in_words_is_one() {
    for content_type in ["text/plain", "Text/Plain; charset=utf-8", "application/protobuf"] {
        let body: &[u8] = if content_type == "application/protobuf" { b"\x0a\x00" } else { b"OK" };
        let stage =
            Stage::new(Spoken::Http, answering(move |_| Ok(http(200, content_type, body))), &[]).await;
        for wire in Wire::ALL {
            let answer = send(&stage, wire, "").await;
            check(content_type, wire, &answer, (0, 200));
            assert!(!holds(&answer.all(), b"OK"), "{answer:?}");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_success_without_a_body_is_one() {
    for (status, content_type) in
        [(200, "application/x-protobuf"), (200, "application/json"), (200, "text/html"), (202, ""), (204, "")]
    {
        let stage =
            Stage::new(Spoken::Http, answering(move |_| Ok(http(status, content_type, b""))), &[]).await;
        for wire in Wire::ALL {
            let answer = send(&stage, wire, "").await;
            check(content_type, wire, &answer, (0, u32::from(status)));
        }
        assert_eq!(stage.sidecar.count("kasm_scrub_events_total{what=\"bad_answer\"}").await, 0);
        stage.close().await;
    }
    // Compressed by what is not known here.
    let answer = |_: &Seen| Ok(response(200, &[("content-encoding", "br")], Pieces::default()));
    let stage = Stage::new(Spoken::Http, answering(answer), &[]).await;
    assert!(send(&stage, Wire::Protobuf, "").await.is_taken(Wire::Protobuf));
    stage.close().await;
}

/// A text of a backend that quotes what it was sent.
fn quoting() -> String {
    format!("cannot store password={} in zone", secret(1))
}

async fn has_no_leak(stage: &Stage, what: &str) {
    for signal in SIGNALS {
        for wire in Wire::BOTH {
            let message = clean(wire, signal, "session is created");
            let answer = stage.send(&Ask::new(wire, signal, Pack::None, &message).with("x-want", what)).await;
            assert!(!is_leak(&answer.all()), "{what} {wire:?} {signal:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn secrets_in_messages_of_grpc_do_not_come_back() {
    let stage = told(Spoken::Grpc, |_| Ok(grpc(3, &quoting(), b""))).await;
    has_no_leak(&stage, "grpc-message").await;
    let answer = send(&stage, Wire::Grpc, "").await;
    assert_eq!(answer.header("grpc-message"), "cannot store password=[REDACTED:password] in zone");
    stage.close().await;
    // Percent-encoded, letter by letter where it may be.
    let stage =
        told(Spoken::Grpc, |_| Ok(grpc(3, &quoting().replace('u', "%75").replace(' ', "%20"), b""))).await;
    has_no_leak(&stage, "grpc-message").await;
    stage.close().await;
}

#[tokio::test]
async fn secrets_in_details_do_not_come_back() {
    let stage = told(Spoken::Grpc, |_| Ok(grpc(14, "no", &quoting_status(14, &quoting())))).await;
    has_no_leak(&stage, "details").await;
    stage.close().await;
    let stage =
        told(Spoken::Http, |_| Ok(http(400, "application/x-protobuf", &quoting_status(3, &quoting())))).await;
    has_no_leak(&stage, "a status").await;
    stage.close().await;
    // Details that are no status.
    let stage = told(Spoken::Grpc, |_| Ok(grpc(14, "no", quoting().as_bytes()))).await;
    has_no_leak(&stage, "no details").await;
    stage.close().await;
}

#[tokio::test]
async fn secrets_in_partial_successes_do_not_come_back() {
    let stage = told(Spoken::Grpc, |_| Ok(grpc_message(&partial(1, &quoting())))).await;
    has_no_leak(&stage, "error_message").await;
    stage.close().await;
    let stage =
        told(Spoken::Http, |_| Ok(http(200, "application/x-protobuf", &partial(1, &quoting())))).await;
    has_no_leak(&stage, "error_message").await;
    stage.close().await;
    let stage = told(Spoken::Http, |_| {
        let json =
            format!(r#"{{"partialSuccess":{{"rejectedLogRecords":"1","errorMessage":"{}"}}}}"#, quoting());
        Ok(http(200, "application/json", json.as_bytes()))
    })
    .await;
    has_no_leak(&stage, "errorMessage").await;
    stage.close().await;
}

#[tokio::test]
async fn secrets_in_errors_of_http_do_not_come_back() {
    let texts: [(&str, String); 6] = [
        ("text/plain", quoting()),
        ("text/html", format!("<p>{}</p>", quoting())),
        (
            "application/json",
            format!(r#"{{"code":3,"message":"{}","details":[{{"x":"{}"}}]}}"#, quoting(), quoting()),
        ),
        ("application/json", format!(r#"{{"error":{{"password":"{}"}}}}"#, secret(2))),
        // Not what they say that they are.
        ("application/json", quoting()),
        ("application/x-protobuf", quoting()),
    ];
    for (content_type, text) in texts {
        let stage =
            Stage::new(Spoken::Http, answering(move |_| Ok(http(400, content_type, text.as_bytes()))), &[])
                .await;
        has_no_leak(&stage, content_type).await;
        stage.close().await;
    }
}

/// In other character sets secrets are not found, so nothing of such a text comes back.
#[tokio::test]
async fn errors_that_are_no_text_do_not_come_back() {
    let utf16: Vec<u8> = quoting().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: [(&str, Vec<u8>); 5] = [
        ("text/plain; charset=utf-16le", utf16.clone()),
        ("text/html", utf16),
        ("text/html; charset=utf-7", b"+AHAAYQBzAHM".to_vec()),
        ("application/octet-stream", b"\xff\xfehunter".to_vec()),
        ("", b"\0".to_vec()),
    ];
    for (content_type, text) in texts {
        let stage =
            Stage::new(Spoken::Http, answering(move |_| Ok(http(400, content_type, &text))), &[]).await;
        for wire in [Wire::Protobuf, Wire::Json] {
            let answer = send(&stage, wire, "").await;
            assert_eq!(&answer.body[..], b"the upstream answered with HTTP status 400", "{answer:?}");
            assert_eq!((answer.says(wire), answer.header("content-type")), (400, "text/plain"));
        }
        let answer = send(&stage, Wire::Grpc, "").await;
        assert_eq!(answer.header("grpc-message"), "the upstream answered with HTTP status 400");
        assert_eq!(stage.sidecar.count("kasm_scrub_answer_findings_total").await, 3);
        stage.close().await;
    }
}

#[tokio::test]
async fn secrets_in_headers_do_not_come_back() {
    for spoken in Spoken::ALL {
        let answer = move |seen: &Seen| {
            let mut reply = super::replies::taken(seen);
            let secret = secret(1);
            let binary = base64(quoting().as_bytes());
            let own = [
                ("x-note", quoting()),
                ("x-api-key", secret.clone()),
                ("set-cookie", format!("sessionid={secret}; Path=/")),
                ("location", format!("https://kasm.example.com/?token={secret}")),
                ("x-quoted-bin", binary),
            ];
            for (name, value) in own {
                reply.headers_mut().insert(name, value.parse().expect("a value"));
            }
            // One of those that go on.
            let challenge = format!("Bearer realm=\"kasm\", error=\"password={secret}\"");
            reply.headers_mut().insert("www-authenticate", challenge.parse().expect("a value"));
            Ok(reply)
        };
        let stage = Stage::new(spoken, answering(answer), &[]).await;
        has_no_leak(&stage, "headers").await;
        for wire in Wire::BOTH {
            let answer = send(&stage, wire, "").await;
            assert!(
                answer.is_taken(wire) && answer.header("www-authenticate").contains("realm"),
                "{answer:?}"
            );
            // It could lead a client around the sidecar.
            assert_eq!(answer.header("location"), "");
        }
        assert!(stage.sidecar.count("kasm_scrub_answer_findings_total").await > 0);
        stage.close().await;
    }
}

#[tokio::test]
async fn findings_in_answers_are_counted() {
    let stage = told(Spoken::Grpc, |_| Ok(grpc(3, &quoting(), b""))).await;
    send(&stage, Wire::Grpc, "").await;
    assert_eq!(stage.sidecar.count("kasm_scrub_answer_findings_total").await, 1);
    let failed = "kasm_scrub_requests_total{signal=\"logs\",protocol=\"grpc\",outcome=\"rejected\"}";
    assert_eq!(stage.sidecar.count(failed).await, 1);
    stage.close().await;
}
