//! Deadlines: what the upstream is told of them, and what those of impatient clients say of the upstream: nothing.

use std::time::Duration;

use kasm_scrub::otlp::Signal;

use super::client::{Ask, Wire, check};
use super::replies::{never, taking};
use super::requests::{Pack, clean};
use super::stage::{Spoken, Stage};
use super::until;
use super::upstream::Seen;

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

/// How long an upstream was told that it is waited for.
fn told(seen: &Seen) -> Duration {
    let value = seen.header("grpc-timeout");
    let (digits, unit) = value.split_at(value.len() - 1);
    assert!((1..=8).contains(&digits.len()), "{value}");
    let count = digits.parse().expect("a number");
    match unit {
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => panic!("{value}"),
    }
}

#[tokio::test]
async fn an_upstream_is_told_the_shorter_of_both() {
    let stage = Stage::new(Spoken::Grpc, taking(), &["--timeout", "20s"]).await;
    for (own, most) in [("", 20), ("15S", 15), ("15000m", 15), ("1H", 20), ("99999999H", 20), ("soon", 20)] {
        let ask = if own.is_empty() { ask(Wire::Grpc) } else { ask(Wire::Grpc).with("grpc-timeout", own) };
        assert!(stage.send(&ask).await.is_taken(Wire::Grpc), "{own}");
        let told = told(&stage.upstream.last());
        assert!(told > Duration::ZERO && told <= Duration::from_secs(most), "{own}: {told:?}");
    }
    assert!(stage.send(&ask(Wire::Protobuf)).await.is_taken(Wire::Protobuf));
    assert!(told(&stage.upstream.last()) <= Duration::from_secs(20));
    stage.close().await;
}

#[tokio::test]
async fn an_upstream_of_http_is_told_none() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    assert!(stage.send(&ask(Wire::Grpc).with("grpc-timeout", "15S")).await.is_taken(Wire::Grpc));
    assert_eq!(stage.upstream.last().header("grpc-timeout"), "");
    stage.close().await;
}

#[tokio::test]
async fn what_came_too_late_is_not_sent() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for late in ["0m", "1n"] {
        let answer = stage.send(&ask(Wire::Grpc).with("grpc-timeout", late)).await;
        check(late, Wire::Grpc, &answer, (4, 0));
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    stage.close().await;
}

const UP: &str = "kasm_scrub_upstream_up{signal=\"logs\"}";

/// One that has answered once, and then lets three impatient clients wait.
async fn impatient() -> Stage {
    let answer = |seen: Seen| -> std::pin::Pin<Box<dyn Future<Output = super::replies::Reply> + Send>> {
        if seen.header("x-wait").is_empty() {
            return Box::pin(std::future::ready(Ok(super::replies::taken(&seen))));
        }
        Box::pin(std::future::pending())
    };
    let stage = Stage::new(Spoken::Grpc, std::sync::Arc::new(answer), &[]).await;
    assert!(stage.send(&ask(Wire::Grpc)).await.is_taken(Wire::Grpc));
    assert_eq!(stage.sidecar.count(UP).await, 1);
    for _ in 0..3 {
        let ask = ask(Wire::Grpc).with("x-wait", "1").with("grpc-timeout", "100m");
        check("impatient", Wire::Grpc, &stage.send(&ask).await, (4, 0));
    }
    stage
}

#[tokio::test]
async fn an_impatient_client_is_nothing_to_tell_of_the_upstream() {
    let stage = impatient().await;
    assert!(!stage.sidecar.log().contains("does not answer"), "{}", stage.sidecar.log());
    stage.close().await;
}

#[tokio::test]
async fn an_impatient_client_does_not_count_the_upstream_as_down() {
    let stage = impatient().await;
    assert_eq!(stage.sidecar.count(UP).await, 1);
    stage.close().await;
}

#[tokio::test]
async fn our_own_deadline_is_told() {
    let stage = Stage::new(Spoken::Grpc, never(), &["--timeout", "100ms"]).await;
    // The client would wait for longer.
    let answer = stage.send(&ask(Wire::Grpc).with("grpc-timeout", "1H")).await;
    check("slow", Wire::Grpc, &answer, (4, 0));
    stage.sidecar.says("does not answer", 1).await;
    until("it counts as down", async || stage.sidecar.count(UP).await == 0).await;
    stage.close().await;
}
