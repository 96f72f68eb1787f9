//! A secret in every shape of a value, in every signal, on every wire, under every compression: none comes through, and
//! what is beside it does.

use super::client::{Ask, Wire};
use super::replies::taking;
use super::requests::{Pack, request, shapes, text, written};
use super::stage::{PLANTED, Spoken, Stage, secret};
use super::{SIGNALS, holds};

async fn check(spoken: Spoken, wires: &[Wire]) {
    let stage = Stage::new(spoken, taking(), &[]).await;
    let mut number = 0;
    for &wire in wires {
        let mut client = stage.connect(wire).await;
        for signal in SIGNALS {
            for shape in 0..shapes("").len() {
                number += 1;
                let secret = secret(number);
                let attributes = vec![
                    ("db.password", shapes(&secret)[shape].clone()),
                    ("zone.name", text("harmless zone 7")),
                ];
                let words = format!("login {number} of zone password={secret}");
                let message = written(wire, &request(signal, &words, attributes));
                for pack in Pack::ALL {
                    let what = format!("{wire:?} {signal:?} {shape} {pack:?}");
                    let answer = client.send(&Ask::new(wire, signal, pack, &message)).await.expect(&what);
                    assert!(answer.is_taken(wire), "{what}: {answer:?}");
                    let came = stage.upstream.last().message();
                    let has_rest = holds(&came, b"harmless zone 7")
                        && holds(&came, format!("login {number} of zone password=[REDACTED:").as_bytes());
                    assert!(has_rest && !holds(&came, PLANTED.as_bytes()), "{what}: {}", came.escape_ascii());
                }
            }
        }
    }
    let findings = stage.sidecar.count("kasm_scrub_findings_total{rule=\"password\",signal=\"logs\"}").await;
    assert!(findings >= 30, "{findings}");
    stage.close().await;
}

#[tokio::test]
async fn nothing_planted_reaches_an_upstream_of_http() {
    check(Spoken::Http, &Wire::ALL).await;
}

#[tokio::test]
async fn nothing_planted_reaches_an_upstream_of_grpc() {
    check(Spoken::Grpc, &Wire::BOTH).await;
}

#[tokio::test]
async fn nothing_planted_in_json_reaches_an_upstream_of_grpc() {
    check(Spoken::Grpc, &[Wire::Json]).await;
}
