//! A sidecar's audit trail: what was found in requests, and what happens while it cannot be written.

use kasm_scrub::audit::Wanted;
use kasm_scrub::otlp::Signal;

use super::client::{Ask, Wire};
use super::replies::taking;
use super::requests::{Pack, clean, request, written};
use super::stage::{Spoken, Stage, is_leak, secret};
use super::until;
use crate::trail::{KEY, verify};

fn ask(number: usize) -> Ask {
    let words = format!("login password={}", secret(number));
    let message = written(Wire::Json, &request(Signal::Logs, &words, vec![]));
    Ask::new(Wire::Json, Signal::Logs, Pack::None, &message)
}

#[tokio::test]
async fn a_sidecar_keeps_a_trail_and_refuses_while_it_cannot() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(file("key"), KEY).expect("a key");
    let options = ["--canary", "60s", "--audit", &file("audit.jsonl"), "--audit-key", &file("key")];
    let mut stage = Stage::new(Spoken::Http, taking(), &options).await;
    assert!(stage.send(&ask(1)).await.is_taken(Wire::Json));
    stage.sidecar.counts("kasm_scrub_audit_entries_total", 2).await;
    std::fs::rename(file("audit.jsonl"), file("away")).expect("rename");
    assert!(stage.send(&ask(2)).await.is_taken(Wire::Json), "it does not know yet");
    stage.sidecar.counts("kasm_scrub_audit_failing", 1).await;
    let before = stage.upstream.seen().len();
    let refused = stage.send(&ask(3)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(stage.upstream.seen().len(), before);
    std::fs::rename(file("away"), file("audit.jsonl")).expect("rename");
    until("the trail is written again", async || stage.send(&ask(4)).await.is_taken(Wire::Json)).await;
    stage.sidecar.signal(rustix::process::Signal::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(0));
    let trail = std::fs::read(file("audit.jsonl")).expect("a trail");
    assert!(!is_leak(&trail), "{}", trail.escape_ascii());
    let summary = verify(&[&trail], Wanted::default()).expect("a whole trail");
    // Those of the canary are not among them.
    assert_eq!((summary.findings, summary.gaps, summary.resumed), (3, 1, 0));
    stage.close_ended();
}

#[tokio::test]
async fn what_is_found_in_headers_is_noted() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(file("key"), KEY).expect("a key");
    let options = ["--audit", &file("audit.jsonl"), "--audit-key", &file("key")];
    let mut stage = Stage::new(Spoken::Http, taking(), &options).await;
    let message = clean(Wire::Json, Signal::Logs, "session is created");
    let ask = Ask::new(Wire::Json, Signal::Logs, Pack::None, &message);
    let cookie = format!("theme=dark; session_token={}", secret(1));
    assert!(stage.send(&ask.with("cookie", &cookie)).await.is_taken(Wire::Json));
    let metrics = stage.sidecar.metrics().await;
    assert!(
        metrics.lines().any(|line| line.contains("findings_total{") && line.contains("signal=\"headers\"")),
        "{metrics}"
    );
    stage.sidecar.signal(rustix::process::Signal::TERM);
    assert_eq!(stage.sidecar.ended().await, Some(0));
    let trail = std::fs::read_to_string(file("audit.jsonl")).expect("a trail");
    assert!(trail.contains("\"source\":\"otlp/headers\""), "{trail}");
    stage.close_ended();
}
