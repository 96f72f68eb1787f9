//! What scrubbing has made longer than the upstream takes goes on in parts, and the client has one answer for all.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kasm_scrub::otlp::{self, Signal};

use super::client::{Answer, Ask, Client, Wire, check};
use super::replies::{Broken, Reply, answering, grpc, grpc_message, http, response, taken};
use super::requests::{Pack, partial, request, status, text, written};
use super::stage::{Spoken, Stage, is_leak, secret};
use super::upstream::{Behaviour, Seen};
use super::{SIGNALS, holds};
use crate::otlp::planted::pair;
use crate::otlp::tree::{self, Field, Holds};

/// How many records a request has.
const RECORDS: usize = 12;

/// The words of a record, which no other has.
fn words(number: usize) -> String {
    format!("session {number} is created")
}

/// A request with a record for each of these counts of PINs. A PIN is shorter than what stands in its place.
fn request_of(signal: Signal, pins: &[usize]) -> Vec<Field> {
    let each = pins.iter().enumerate().map(|(number, &count)| {
        let mut attributes = vec![("zone.name", text("harmless zone 7"))];
        attributes.resize(1 + count, ("pin", text("4711")));
        if count > 0 {
            attributes.push(("db.password", text(&secret(number))));
        }
        request(signal, &words(number), attributes)
    });
    fn scope(request: &mut [Field]) -> &mut Vec<Field> {
        let Holds::Fields(resource) = &mut request[0].holds else { panic!("a resource") };
        let Holds::Fields(scope) = &mut resource[0].holds else { panic!("a scope") };
        scope
    }
    each.reduce(|mut all, mut one| {
        let records = std::mem::take(scope(&mut one));
        scope(&mut all).extend(records);
        all
    })
    .expect("a record")
}

fn growing(signal: Signal) -> Vec<Field> {
    request_of(signal, &[20; RECORDS])
}

/// How long a request is as an upstream gets it, if nothing is scrubbed.
fn len_upstream(spoken: Spoken, wire: Wire, request: &[Field]) -> usize {
    let wire = if spoken == Spoken::Grpc { Wire::Grpc } else { wire };
    written(wire, request).len()
}

/// The records that are in a message.
fn records(message: &[u8]) -> Vec<usize> {
    (0..RECORDS).filter(|&number| holds(message, words(number).as_bytes())).collect()
}

fn too_large(seen: &Seen) -> Reply {
    Ok(if seen.is_grpc() {
        grpc(8, "message larger than max", b"")
    } else {
        http(413, "text/plain", b"too large")
    })
}

/// An upstream that takes no more than so many bytes, and says this of what it takes.
fn limited(most: usize, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Behaviour {
    answering(move |seen| if seen.message().len() > most { too_large(seen) } else { answer(seen) })
}

/// What an upstream says for good.
fn refusal(seen: &Seen, words: &str) -> Reply {
    Ok(if seen.is_grpc() {
        grpc(3, words, b"")
    } else {
        http(400, "application/x-protobuf", &status(3, words, None))
    })
}

fn partly(seen: &Seen, rejected: u64, words: &str) -> Reply {
    let said = partial(rejected, words);
    Ok(if seen.is_grpc() { grpc_message(&said) } else { http(200, "application/x-protobuf", &said) })
}

/// How many records a success says were not taken, and why.
fn rejected(wire: Wire, answer: &Answer) -> Option<(i64, String)> {
    assert!(answer.is_taken(wire), "{answer:?}");
    let json;
    let body = match wire {
        Wire::Grpc => &answer.body[5..],
        Wire::Protobuf => &answer.body[..],
        Wire::Json => {
            assert_eq!(answer.header("content-type"), "application/json");
            let export = otlp::Answer::Export(Signal::Logs);
            json = otlp::answer_to_protobuf(export, &answer.body).expect("a response");
            &json
        }
    };
    otlp::partial_success(body).map(|(count, why)| (count, String::from_utf8_lossy(why).into_owned()))
}

/// Sends a request that grows to an upstream that takes what came and no more, and says this of parts.
async fn send(
    spoken: Spoken,
    wire: Wire,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Stage, Answer) {
    let request = growing(Signal::Logs);
    let stage = Stage::new(spoken, limited(len_upstream(spoken, wire, &request), answer), &[]).await;
    let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &written(wire, &request))).await;
    assert!(!is_leak(&answer.all()), "{answer:?}");
    (stage, answer)
}

#[tokio::test]
async fn every_record_is_upstream_once() {
    for spoken in Spoken::ALL {
        for signal in SIGNALS {
            for wire in Wire::ALL {
                let request = growing(signal);
                let most = len_upstream(spoken, wire, &request);
                let stage = Stage::new(spoken, limited(most, |seen| Ok(taken(seen))), &[]).await;
                for pack in Pack::ALL {
                    let what = format!("{spoken:?} {signal:?} {wire:?} {pack:?}");
                    let before = stage.upstream.seen().len();
                    let answer = stage.send(&Ask::new(wire, signal, pack, &written(wire, &request))).await;
                    assert!(answer.is_taken(wire), "{what}: {answer:?}");
                    let want: &[u8] = match wire {
                        Wire::Grpc => &[0; 5],
                        Wire::Protobuf => b"",
                        Wire::Json => b"{}",
                    };
                    assert_eq!(answer.body, want, "{what}");
                    let seen = stage.upstream.seen().split_off(before);
                    let (whole, parts) = seen.split_first().expect("a request");
                    assert!(whole.message().len() > most, "{what}");
                    let least = if spoken == Spoken::Http && wire == Wire::Json { 1 } else { 2 };
                    assert!(parts.len() >= least, "{what}: {} parts", parts.len());
                    let mut there = Vec::new();
                    for part in parts {
                        assert!(part.message().len() <= most, "{what}");
                        there.extend(records(&part.message()));
                        assert_eq!(part.path, whole.path, "{what}");
                        for name in ["content-encoding", "grpc-encoding"] {
                            assert_eq!(part.header(name), whole.header(name), "{what}");
                        }
                        let is_protobuf =
                            part.is_grpc() || part.header("content-type") == "application/x-protobuf";
                        assert!(is_protobuf, "{what}: {:?}", part.headers);
                        assert!(!holds(&part.message(), b"4711"), "{what}");
                    }
                    assert_eq!(there, Vec::from_iter(0..RECORDS), "{what}");
                }
                let metrics = stage.sidecar.metrics().await;
                let name = ["traces", "logs", "metrics"][signal as usize % 3];
                let line = format!("kasm_scrub_requests_split_total{{signal=\"{name}\"}} 3");
                assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
                stage.close().await;
            }
        }
    }
}

/// tonic's limit, and the Collector's.
#[tokio::test]
async fn what_upstreams_say_of_their_limits_is_that_too() {
    for spoken in Spoken::ALL {
        let request = growing(Signal::Logs);
        let most = len_upstream(spoken, Wire::Grpc, &request);
        let behaviour = answering(move |seen: &Seen| {
            if seen.message().len() <= most {
                return Ok(taken(seen));
            }
            let said = status(3, "http: request body too large", None);
            Ok(if seen.is_grpc() {
                grpc(11, "decoded message length too large", b"")
            } else {
                http(400, "application/x-protobuf", &said)
            })
        });
        let stage = Stage::new(spoken, behaviour, &[]).await;
        let message = written(Wire::Grpc, &request);
        let answer = stage.send(&Ask::new(Wire::Grpc, Signal::Logs, Pack::Gzip, &message)).await;
        assert!(answer.is_taken(Wire::Grpc), "{answer:?}");
        let there: Vec<_> =
            stage.upstream.seen()[1..].iter().flat_map(|part| records(&part.message())).collect();
        assert_eq!(there, Vec::from_iter(0..RECORDS));
        stage.close().await;
    }
}

#[tokio::test]
async fn what_has_not_grown_goes_as_ever() {
    // Nothing is found; or what is found is longer than what stands in its place.
    let mut long = request_of(Signal::Logs, &[0; RECORDS]);
    let value = format!("{}{}", secret(1), "x".repeat(300));
    long.extend(request(Signal::Logs, "session", vec![("db.password", text(&value))]));
    for request in [request_of(Signal::Logs, &[0; RECORDS]), long] {
        for spoken in Spoken::ALL {
            for wire in Wire::BOTH {
                let stage = Stage::new(spoken, limited(500, |seen| Ok(taken(seen))), &[]).await;
                let message = written(wire, &request);
                let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
                check("too large", wire, &answer, (8, 413));
                assert_eq!(stage.upstream.seen().len(), 1);
                stage.close().await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_to_be_tried_again_is_not_divided() {
    for spoken in Spoken::ALL {
        for wire in Wire::BOTH {
            let behaviour = answering(|seen: &Seen| {
                let details = status(8, "zone is full", Some(3));
                Ok(if seen.is_grpc() { grpc(8, "zone is full", &details) } else { http(429, "", b"") })
            });
            let stage = Stage::new(spoken, behaviour, &[]).await;
            let message = written(wire, &growing(Signal::Logs));
            let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
            let code = if spoken == Spoken::Grpc { 8 } else { 14 };
            check("full", wire, &answer, (code, 429));
            assert_eq!(stage.upstream.seen().len(), 1);
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn refused_parts_are_a_partial_success() {
    for spoken in Spoken::ALL {
        for wire in Wire::ALL {
            let (stage, answer) = send(spoken, wire, |seen| {
                let is_first = records(&seen.message()).contains(&0);
                if is_first {
                    refusal(seen, &format!("bad: password={}", secret(3)))
                } else {
                    Ok(taken(seen))
                }
            })
            .await;
            let parts = stage.upstream.seen().split_off(1);
            let count = records(&parts[0].message()).len();
            if parts.len() == 1 {
                // JSON is longer than protobuf: all of it was in one part.
                check("refused", wire, &answer, (3, 400));
            } else {
                let (rejected, why) = rejected(wire, &answer).expect("a partial success");
                assert_eq!(rejected, count as i64, "{answer:?}");
                assert!(why.starts_with("bad: password=["), "{why}");
            }
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn when_all_parts_are_refused_the_first_refusal_is_the_answer() {
    for spoken in Spoken::ALL {
        for wire in Wire::ALL {
            let number = AtomicUsize::new(0);
            let (stage, answer) = send(spoken, wire, move |seen| {
                refusal(seen, &format!("zone {} is full", number.fetch_add(1, Ordering::Relaxed)))
            })
            .await;
            check("refused", wire, &answer, (3, 400));
            assert!(holds(&answer.all(), b"zone 0 is full"), "{answer:?}");
            if wire == Wire::Json {
                assert_eq!(answer.header("content-type"), "application/json");
                assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok(), "{answer:?}");
            }
            let there: Vec<_> =
                stage.upstream.seen()[1..].iter().flat_map(|part| records(&part.message())).collect();
            assert_eq!(there, Vec::from_iter(0..RECORDS), "a part is not sent again");
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn what_parts_say_was_not_taken_is_summed() {
    for spoken in Spoken::ALL {
        for wire in Wire::ALL {
            let (stage, answer) = send(spoken, wire, |seen| {
                let is_first = records(&seen.message()).contains(&0);
                partly(seen, 2, if is_first { "zone is full" } else { "quota" })
            })
            .await;
            let parts = stage.upstream.seen().len() - 1;
            let why = if parts > 1 { "zone is full; quota" } else { "zone is full" };
            assert_eq!(rejected(wire, &answer), Some((2 * parts as i64, why.to_owned())), "{answer:?}");
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn a_part_to_be_tried_again_is_the_answer() {
    for spoken in Spoken::ALL {
        for wire in Wire::BOTH {
            let (stage, answer) = send(spoken, wire, |seen| {
                if records(&seen.message()).contains(&0) {
                    return Ok(taken(seen));
                }
                let details = status(14, "zone is away", Some(3));
                Ok(if seen.is_grpc() {
                    grpc(14, "zone is away", &details)
                } else {
                    response(503, &[("retry-after", "3")], super::replies::Pieces::default())
                })
            })
            .await;
            check("away", wire, &answer, (14, 503));
            match wire {
                Wire::Grpc => assert!(otlp::retry_delay(&answer.details()).is_some(), "{answer:?}"),
                _ => assert_eq!(answer.header("retry-after"), "3", "{answer:?}"),
            }
            assert_eq!(stage.upstream.seen().len(), 3, "what comes after it is not sent");
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn an_upstream_that_dies_between_parts_leaves_it_to_the_client() {
    for spoken in Spoken::ALL {
        for wire in Wire::BOTH {
            let is_there = |seen: &Seen| records(&seen.message()).contains(&0);
            let (stage, answer) =
                send(spoken, wire, move |seen| if is_there(seen) { Ok(taken(seen)) } else { Err(Broken) })
                    .await;
            check("broken", wire, &answer, (14, 503));
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn the_deadline_of_a_client_holds_for_all_parts() {
    for spoken in Spoken::ALL {
        let request = growing(Signal::Logs);
        let most = len_upstream(spoken, Wire::Grpc, &request);
        let behaviour: Behaviour = Arc::new(move |seen: Seen| {
            Box::pin(async move {
                if seen.message().len() > most {
                    return too_large(&seen);
                }
                if !records(&seen.message()).contains(&0) {
                    let never: Infallible = std::future::pending().await;
                    match never {}
                }
                Ok(taken(&seen))
            })
        });
        let stage = Stage::new(spoken, behaviour, &["--timeout", "10m"]).await;
        let ask = Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &written(Wire::Grpc, &request));
        let mut client: Client = stage.connect(Wire::Grpc).await;
        let answer = client.send(&ask.with("grpc-timeout", "2S")).await.expect("an answer");
        assert_eq!(answer.code(), Some(4), "{answer:?}");
        assert_eq!(stage.upstream.seen().len(), 3);
        stage.close().await;
    }
}

/// One record alone may have become larger than all of the request was.
#[tokio::test]
async fn a_record_that_is_too_large_is_the_only_one_rejected() {
    for spoken in Spoken::ALL {
        for wire in Wire::BOTH {
            let mut pins = [0; RECORDS];
            pins[4] = 300;
            let request = request_of(Signal::Logs, &pins);
            let most = len_upstream(spoken, wire, &request);
            let stage = Stage::new(spoken, limited(most, |seen| Ok(taken(seen))), &[]).await;
            let message = written(wire, &request);
            let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
            let (rejected, why) = rejected(wire, &answer).expect("a partial success");
            assert_eq!(rejected, 1, "{answer:?}");
            assert!(!why.is_empty(), "{answer:?}");
            let there: Vec<_> =
                stage.upstream.seen()[1..].iter().map(|part| records(&part.message())).collect();
            assert_eq!(there, [Vec::from_iter(0..4), vec![4], Vec::from_iter(5..RECORDS)]);
            stage.close().await;
        }
    }
}

/// Large messages are scrubbed, and divided, beside others.
#[tokio::test]
async fn large_requests_are_divided_as_well() {
    for spoken in Spoken::ALL {
        for wire in Wire::ALL {
            let request = request_of(Signal::Logs, &[800; RECORDS]);
            let most = len_upstream(spoken, wire, &request);
            let message = written(wire, &request);
            assert!(message.len() > 128 << 10);
            let stage = Stage::new(spoken, limited(most, |seen| Ok(taken(seen))), &[]).await;
            for pack in [Pack::None, Pack::Gzip] {
                let before = stage.upstream.seen().len();
                let ask = Ask::new(wire, Signal::Logs, pack, &message).with("grpc-timeout", "1M");
                let answer = stage.send(&ask).await;
                assert!(answer.is_taken(wire), "{answer:?}");
                let parts = stage.upstream.seen().split_off(before + 1);
                let there: Vec<_> = parts.iter().flat_map(|part| records(&part.message())).collect();
                assert_eq!(there, Vec::from_iter(0..RECORDS), "{spoken:?} {wire:?} {pack:?}");
            }
            stage.close().await;
        }
    }
}

/// Each part has its resource; where that alone is too large, parts do not help.
#[tokio::test]
async fn what_cannot_be_divided_has_the_refusal() {
    for spoken in Spoken::ALL {
        for wire in Wire::BOTH {
            let mut request = request_of(Signal::Logs, &[0; RECORDS]);
            let attributes = vec![
                tree::named(
                    ".opentelemetry.proto.resource.v1.Resource",
                    "attributes",
                    Holds::Fields(pair("pin", text("4711"))),
                );
                400
            ];
            let Holds::Fields(resource) = &mut request[0].holds else { panic!("a resource") };
            resource.push(tree::named(
                ".opentelemetry.proto.logs.v1.ResourceLogs",
                "resource",
                Holds::Fields(attributes),
            ));
            let most = len_upstream(spoken, wire, &request);
            let stage = Stage::new(spoken, limited(most, |seen| Ok(taken(seen))), &[]).await;
            let message = written(wire, &request);
            let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
            check("too large", wire, &answer, (8, 413));
            assert_eq!(stage.upstream.seen().len(), 1);
            stage.close().await;
        }
    }
}

/// A request that grows and is too large however it goes is refused for good, also by who says so in words by which clients
/// try again. One that came too large has the answer it would have had.
#[tokio::test]
async fn what_stays_too_large_is_not_tried_for_ever() {
    let out_of_range = |_: &Seen| Ok(grpc(11, "message length too large", b""));
    for wire in Wire::ALL {
        for records in [1, 3] {
            let message = written(wire, &request_of(Signal::Logs, &vec![60; records]));
            let stage = Stage::new(Spoken::Grpc, answering(out_of_range), &[]).await;
            let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
            check("too large", wire, &answer, (8, 413));
            assert!(!holds(&answer.details(), b"RetryInfo"), "{answer:?}");
            let message = written(wire, &request_of(Signal::Logs, &[0; 3]));
            let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
            check("as it came", wire, &answer, (11, 503));
            stage.close().await;
        }
    }
}

/// Room for parts is taken before they are made; where there is none, the client tries again.
#[tokio::test]
async fn parts_count_as_memory() {
    let request = request_of(Signal::Logs, &[5600; RECORDS]);
    let message = written(Wire::Protobuf, &request);
    assert!((980_000..1 << 20).contains(&message.len()), "{}", message.len());
    let most = message.len();
    for (room, code) in [("16", 200), ("4", 503)] {
        let options = ["--max-request", "1", "--max-memory", room];
        let stage = Stage::new(Spoken::Http, limited(most, |seen| Ok(taken(seen))), &options).await;
        let answer = stage.send(&Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &message)).await;
        check("memory", Wire::Protobuf, &answer, (0, code));
        assert_eq!(stage.upstream.seen().len() > 1, code == 200, "{}", stage.upstream.seen().len());
        assert!(!stage.upstream.seen().is_empty(), "the whole had room");
        stage.close().await;
    }
}

/// What is kept of a request is given back.
#[tokio::test]
async fn memory_is_given_back() {
    let (stage, answer) = send(Spoken::Grpc, Wire::Grpc, |seen| Ok(taken(seen))).await;
    assert!(answer.is_taken(Wire::Grpc));
    super::until("all memory is given back", async || {
        stage.sidecar.metrics().await.contains("kasm_scrub_in_flight_bytes 0\n")
    })
    .await;
    stage.close().await;
}
