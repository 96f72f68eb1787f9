//! Faults of the upstream, of clients and of what is between: what can go well the next time is said to, and nothing is
//! said to be taken that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Response;
use hyper::body::Bytes;
use kasm_scrub::otlp::Signal;
use tokio::io::AsyncWriteExt;

use super::client::{Ask, Wire, check, open};
use super::replies::{Broken, Pieces, answering, grpc_message, http, never, response, taken, taking};
use super::requests::{Pack, clean, dirty, frame, sized};
use super::stage::{Spoken, Stage, secret};
use super::upstream::{Seen, Upstream};
use super::{holds, until};

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

#[tokio::test]
async fn an_upstream_that_is_down_is_waited_for_by_clients() {
    for spoken in Spoken::ALL {
        let upstream = Upstream::start(taking()).await;
        let address = upstream.address();
        upstream.stop().await;
        let nowhere = Upstream::start(taking()).await;
        let url = format!("http://{address}");
        let options = ["--upstream", &url, "--upstream-protocol", spoken.name()];
        let sidecar = super::sidecar::Sidecar::start(&options).await;
        let mut stage = Stage { upstream: nowhere, sidecar };
        for wire in Wire::BOTH {
            check("down", wire, &stage.send(&ask(wire)).await, (14, 503));
        }
        assert_eq!(stage.sidecar.count("kasm_scrub_upstream_up{signal=\"logs\"}").await, 0);
        assert_eq!(stage.sidecar.admin("/readyz").await.status, 200, "it is not we who are not ready");
        stage.upstream = Upstream::start_at(address, taking()).await;
        for wire in Wire::BOTH {
            assert!(stage.send(&ask(wire)).await.is_taken(wire), "{spoken:?}: up again");
        }
        assert_eq!(stage.sidecar.count("kasm_scrub_upstream_up{signal=\"logs\"}").await, 1);
        // Down and up again, with connections that were open in between.
        let Stage { upstream, sidecar } = stage;
        upstream.stop().await;
        let stage = Stage { upstream: Upstream::start_at(address, taking()).await, sidecar };
        until("it is taken again", async || stage.send(&ask(Wire::Grpc)).await.is_taken(Wire::Grpc)).await;
        stage.close().await;
    }
}

/// A minute in which every client tries again and again: each is told to, the relay stays what it is, and each record is
/// taken once when the upstream is back.
#[tokio::test]
async fn an_upstream_may_be_down_for_a_minute() {
    let upstream = Upstream::start(taking()).await;
    let address = upstream.address();
    upstream.stop().await;
    let url = format!("http://{address}");
    let sidecar = super::sidecar::Sidecar::start(&["--upstream", &url]).await;
    let stage = Arc::new(Stage { upstream: Upstream::start(taking()).await, sidecar });
    let refused = Arc::new(AtomicUsize::new(0));
    let clients = (0..6).map(|number| {
        let (stage, refused) = (stage.clone(), refused.clone());
        tokio::spawn(async move {
            let wire = Wire::ALL[number % 3];
            let words = format!("record {number} of a minute");
            let ask =
                Ask::new(wire, Signal::Logs, Pack::None, &dirty(wire, Signal::Logs, &words, &secret(number)));
            loop {
                let answer = stage.send(&ask).await;
                if answer.is_taken(wire) {
                    return words;
                }
                check("down", wire, &answer, (14, 503));
                refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (resident, descriptors) = (stage.sidecar.resident(), stage.sidecar.descriptors());
    tokio::time::sleep(Duration::from_secs(55)).await;
    assert_eq!(stage.sidecar.admin("/readyz").await.status, 200, "it is not we who are not ready");
    assert!(stage.sidecar.resident() < resident + 8 * 1024, "memory does not grow with tries");
    assert!(stage.sidecar.descriptors() < descriptors + 20, "descriptors do not grow with tries");
    let back = Upstream::start_at(address, taking()).await;
    for client in clients {
        let words = client.await.expect("a client");
        let of_it = |seen: &Seen| holds(&seen.message(), words.as_bytes());
        assert_eq!(back.seen().iter().filter(|seen| of_it(seen)).count(), 1, "{words}");
    }
    back.has_no_leak();
    // Far more than one try each: nobody was made to wait by us.
    assert!(refused.load(Ordering::Relaxed) > 6 * 60, "{refused:?}");
    let stage = Arc::into_inner(stage).expect("the clients are done");
    stage.close().await;
}

#[tokio::test]
async fn a_slow_upstream_is_given_up() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, never(), &["--timeout", "200ms"]).await;
        for wire in Wire::BOTH {
            check("slow", wire, &stage.send(&ask(wire)).await, (4, 504));
        }
        until("upstream's requests end", async || stage.upstream.cancelled() == 2).await;
        stage.close().await;
    }
}

#[tokio::test]
async fn the_deadline_of_a_client_counts() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, never(), &[]).await;
        let start = std::time::Instant::now();
        check("slow", Wire::Grpc, &stage.send(&ask(Wire::Grpc).with("grpc-timeout", "200m")).await, (4, 0));
        // The sidecar's own would be ten seconds.
        assert!(start.elapsed().as_secs() < 9);
        until("upstream's request ends", async || stage.upstream.cancelled() == 1).await;
        stage.close().await;
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    for spoken in Spoken::ALL {
        let endless = |seen: &Seen| {
            let content_type = if seen.is_grpc() { "application/grpc" } else { "application/x-protobuf" };
            Ok(response(200, &[("content-type", content_type)], Pieces::one(&b"\0"[..]).stalled()))
        };
        let stage = Stage::new(spoken, answering(endless), &["--timeout", "300ms"]).await;
        for wire in Wire::BOTH {
            check("endless", wire, &stage.send(&ask(wire)).await, (4, 504));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_broken_answer_is_no_answer() {
    for spoken in Spoken::ALL {
        let broken = move |_: &Seen| {
            let content_type = [("content-type", "application/grpc"), ("content-length", "1000")];
            let body = Pieces::one(frame(b"half", false)).broken();
            Ok(response(
                200,
                if spoken == Spoken::Grpc { &content_type[..1] } else { &content_type[1..] },
                body,
            ))
        };
        let stage = Stage::new(spoken, answering(broken), &[]).await;
        for wire in Wire::BOTH {
            check("reset", wire, &stage.send(&ask(wire)).await, (14, 503));
        }
        stage.close().await;
        let stage = Stage::new(spoken, answering(|_| Err(Broken)), &[]).await;
        for wire in Wire::BOTH {
            check("closed", wire, &stage.send(&ask(wire)).await, (14, 503));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_is_no_answer() {
    for spoken in Spoken::ALL {
        let stage = Stage::with(Upstream::start_raw(b"").await, spoken, &[]).await;
        for wire in Wire::BOTH {
            check("closed", wire, &stage.send(&ask(wire)).await, (14, 503));
        }
        stage.close().await;
    }
}

/// It has answered, though it has not heard all: what it says is no worse for that.
#[tokio::test]
async fn an_upstream_may_answer_and_close_before_it_has_read_all() {
    for answer in [
        &b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"[..],
        b"HTTP/1.1 413 Payload Too Large\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\nzone is full",
        // Its end is that of the connection, which is reset.
        b"HTTP/1.1 413 Payload Too Large\r\ncontent-type: text/plain\r\n\r\nzone is full",
    ] {
        let stage = Stage::with(Upstream::start_hasty(answer).await, Spoken::Http, &[]).await;
        let message = sized(4 << 20);
        for number in 0..40 {
            let wire = Wire::BOTH[number % 2];
            let told = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
            check(&format!("{number} {}", answer.escape_ascii()), wire, &told, (8, 413));
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for spoken in Spoken::ALL {
        for garbage in [
            &b"hunterCanary hunterCanary hunterCanary\r\n\r\n"[..],
            b"HTTP/1.1 hunterCanary\r\n\r\n",
            b"\0\0\0\0",
        ] {
            let stage = Stage::with(Upstream::start_raw(garbage).await, spoken, &[]).await;
            for wire in Wire::BOTH {
                let answer = stage.send(&ask(wire)).await;
                assert!(!answer.is_taken(wire) && !super::stage::is_leak(&answer.all()), "{answer:?}");
            }
            stage.close().await;
        }
    }
}

/// Makes an answer.
type Make = Box<dyn Fn() -> Response<Pieces> + Send + Sync>;

#[tokio::test]
async fn an_upstream_that_breaks_the_rules_of_grpc_has_not_taken_it() {
    const HEAD: [(&str, &str); 2] = [("content-type", "application/grpc"), ("grpc-status", "ok")];
    let half = || Pieces::one(frame(b"half", false)[..7].to_vec()).with_trailers(&[("grpc-status", "0")]);
    let answers: [(&str, Make); 8] = [
        ("no status", Box::new(|| response(200, &HEAD[..1], Pieces::one(frame(b"", false))))),
        ("no number", Box::new(|| response(200, &HEAD, Pieces::default()))),
        ("half a message", Box::new(move || response(200, &HEAD[..1], half()))),
        ("another success", Box::new(|| response(202, &[], Pieces::default()))),
        ("no content", Box::new(|| response(204, &[], Pieces::default()))),
        ("created", Box::new(|| response(201, &HEAD[..1], Pieces::one(frame(b"", false))))),
        ("too large", Box::new(|| grpc_message(&vec![0; 5 << 20]))),
        ("a web page", Box::new(|| http(200, "text/html", b"<p>hunterCanary</p>"))),
    ];
    for (what, answer) in answers {
        let stage = Stage::new(Spoken::Grpc, answering(move |_| Ok(answer())), &[]).await;
        for wire in Wire::BOTH {
            let answer = stage.send(&ask(wire)).await;
            assert!(!answer.is_taken(wire), "{what}: {answer:?}");
            assert!(!super::stage::is_leak(&answer.all()), "{what}: {answer:?}");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_none() {
    let stage = Stage::new(
        Spoken::Http,
        answering(|_| Ok(http(200, "application/x-protobuf", &vec![0; 5 << 20]))),
        &[],
    )
    .await;
    for wire in Wire::BOTH {
        check("too large", wire, &stage.send(&ask(wire)).await, (14, 503));
    }
    stage.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_has_sent_nothing() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let body = dirty(Wire::Protobuf, Signal::Logs, "login of zone", &secret(1));
    for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
        let mut stream = open(&stage.sidecar.http).await.expect("a connection");
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n{framing}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a head");
        if framing.starts_with('t') {
            stream.write_all(format!("{:x}\r\n", body.len()).as_bytes()).await.expect("a chunk");
        }
        stream.write_all(&body).await.expect("some of a body");
        until("it is under way", async || stage.sidecar.count("kasm_scrub_requests_in_flight").await == 1)
            .await;
        drop(stream);
        until("it is over", async || stage.sidecar.count("kasm_scrub_requests_in_flight").await == 0).await;
    }
    // The same over HTTP/2: the stream is reset.
    let tcp = open(&stage.sidecar.grpc).await.expect("a connection");
    let executor = hyper_util::rt::TokioExecutor::new();
    let made = hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(tcp)).await;
    let (mut sender, connection) = made.expect("HTTP/2");
    tokio::spawn(connection);
    let mut request = hyper::Request::new(Pieces::one(Bytes::from(frame(&body, false))).stalled());
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() =
        format!("http://localhost{}", super::requests::grpc_path(Signal::Logs)).parse().expect("a path");
    request.headers_mut().insert("content-type", "application/grpc".parse().expect("a value"));
    let sent = tokio::spawn(sender.send_request(request));
    until("it is under way", async || stage.sidecar.count("kasm_scrub_requests_in_flight").await == 1).await;
    sent.abort();
    until("it is over", async || stage.sidecar.count("kasm_scrub_requests_in_flight").await == 0).await;
    assert_eq!(stage.upstream.begun(), 0);
    assert_eq!(stage.sidecar.count("kasm_scrub_in_flight_bytes").await, 0);
    stage.close().await;
}

async fn leaves_while_waiting(wire: Wire) {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, never(), &["--timeout", "1h"]).await;
        let mut client = stage.connect(wire).await;
        let waiting = tokio::spawn(async move { client.send(&ask(wire)).await.map(drop) });
        until("it is upstream", async || stage.upstream.seen().len() == 1).await;
        waiting.abort();
        until(&format!("{spoken:?}: the upstream's request ends"), async || stage.upstream.cancelled() == 1)
            .await;
        until("it is over", async || stage.sidecar.count("kasm_scrub_requests_in_flight").await == 0).await;
        stage.close().await;
    }
}

#[tokio::test]
async fn a_client_of_grpc_that_leaves_while_waiting_is_not_waited_for() {
    leaves_while_waiting(Wire::Grpc).await;
}

#[tokio::test]
async fn a_client_of_http_that_leaves_while_waiting_is_not_waited_for() {
    leaves_while_waiting(Wire::Protobuf).await;
}

#[tokio::test]
async fn one_bad_answer_spoils_no_other() {
    let count = Arc::new(AtomicUsize::new(0));
    let sporadic = answering(move |seen| match count.fetch_add(1, Ordering::Relaxed) % 4 {
        3 => Err(Broken),
        _ => Ok(taken(seen)),
    });
    let stage = Stage::new(Spoken::Grpc, sporadic, &[]).await;
    let mut client = stage.connect(Wire::Grpc).await;
    let mut taken = 0;
    for _ in 0..40 {
        let answer = client.send(&ask(Wire::Grpc)).await.expect("an answer");
        assert!([Some(0), Some(14)].contains(&answer.code()), "{answer:?}");
        taken += usize::from(answer.is_taken(Wire::Grpc));
    }
    assert_eq!((taken, stage.upstream.seen().len()), (30, 40));
    stage.close().await;
}
