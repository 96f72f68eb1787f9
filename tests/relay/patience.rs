//! Requests that take long to scrub: that ends when their time is over, or when nobody waits for them. Nothing of them goes
//! on, and others are served.

use kasm_scrub::otlp::Signal;
use tokio::task::JoinHandle;

use super::client::{Ask, Client, Wire, check};
use super::replies::taking;
use super::requests::{Pack, clean, sized};
use super::stage::{Spoken, Stage, secret};
use super::{holds, until};

const MIB: usize = 1 << 20;
const TOO_SLOW: &str = "kasm_scrub_refused_total{signal=\"logs\",reason=\"too_slow\"}";

/// Texts of which every word is looked at closely, in one line and in many; behind them is a secret.
fn slow(wire: Wire, len: usize, behind: &str) -> Ask {
    let unit = format!("\"name\":\"password\",{behind}");
    let text = format!("{} password={}", unit.repeat(len / unit.len()), secret(1));
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, &text))
}

#[tokio::test]
async fn what_takes_too_long_is_refused_for_good() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &["--scrub-timeout", "50ms"]).await;
        for wire in Wire::ALL {
            for behind in ["", "\n"] {
                let answer = stage.send(&slow(wire, 12 * MIB, behind)).await;
                check("slow", wire, &answer, (3, 400));
                assert!(!holds(&answer.details(), b"RetryInfo"), "{answer:?}");
                assert_eq!(answer.header("retry-after"), "", "{answer:?}");
            }
        }
        assert_eq!((stage.sidecar.count(TOO_SLOW).await, stage.upstream.begun()), (6, 0));
        stage.sidecar.says("scrubbing a request took too long", 6).await;
        let answer = stage.send(&Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &sized(64 << 10))).await;
        assert!(answer.is_taken(Wire::Grpc), "{answer:?}");
        stage.close().await;
    }
}

/// One that is slow though it is small does not hold up the thread that all share; what becomes of it is the same.
#[tokio::test]
async fn what_is_small_and_slow_is_scrubbed_like_others() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for wire in Wire::ALL {
        for behind in ["", "\n"] {
            let answer = stage.send(&slow(wire, 100 << 10, behind)).await;
            assert!(answer.is_taken(wire), "{answer:?}");
            assert!(holds(&stage.upstream.last().message(), b"[REDACTED:password]"));
        }
    }
    let requests = "kasm_scrub_scrub_duration_seconds_count{signal=\"logs\"}";
    assert_eq!(stage.sidecar.count(requests).await, 6);
    stage.close().await;
}

/// More than anybody would wait for.
const LONG: usize = 60 * MIB;

/// Sends one and waits until it is read.
async fn begin(stage: &Stage, ask: Ask) -> JoinHandle<()> {
    let at = stage.sidecar.http.clone();
    let sent = tokio::spawn(async move {
        let mut client = Client::connect(Wire::Protobuf, &at).await.expect("a connection");
        drop(client.send(&ask).await);
    });
    let read = "kasm_scrub_received_bytes_total{signal=\"logs\"}";
    stage.sidecar.counts(read, (LONG - MIB) as u64).await;
    sent
}

/// A large one is taken.
async fn is_served(stage: &Stage) {
    let answer = stage.send(&Ask::new(Wire::Protobuf, Signal::Logs, Pack::None, &sized(MIB))).await;
    assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
    assert_eq!((stage.sidecar.count(TOO_SLOW).await, stage.upstream.begun()), (0, 1));
}

/// Nothing is under way.
async fn is_over(stage: &Stage) {
    until("memory is given back", async || stage.sidecar.count("kasm_scrub_in_flight_bytes").await == 0)
        .await;
}

#[tokio::test]
async fn what_is_slow_ends_with_its_client_and_holds_nothing_up() {
    let stage = Stage::new(Spoken::Http, taking(), &["--scrub-timeout", "24h"]).await;
    let sent = begin(&stage, slow(Wire::Protobuf, LONG, "")).await;
    is_served(&stage).await;
    assert!(!sent.is_finished() && stage.sidecar.count("kasm_scrub_requests_in_flight").await == 1);
    sent.abort();
    is_over(&stage).await;
    stage.close().await;
}

#[tokio::test]
async fn what_is_too_late_ends() {
    let stage = Stage::new(Spoken::Http, taking(), &["--scrub-timeout", "24h"]).await;
    let answer = stage.send(&slow(Wire::Grpc, LONG, "").with("grpc-timeout", "4S")).await;
    check("late", Wire::Grpc, &answer, (4, 504));
    is_over(&stage).await;
    is_served(&stage).await;
    stage.close().await;
}
