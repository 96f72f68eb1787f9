//! The canary, which tells when rules no longer work, and readiness, which follows it.

use rustix::process::Signal as Process;
use tempfile::TempDir;

use super::certificates::write;
use super::replies::taking;
use super::sidecar::Sidecar;
use super::stage::{Spoken, Stage};
use super::{holds, until};

const SCRUBBED: &str = "kasm_scrub_events_total{what=\"canary_scrubbed\"}";
const FAILED: &str = "kasm_scrub_events_total{what=\"canary_failed\"}";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Rules are lost and come back: so does readiness. How the upstream is spoken with is said by options and variables.
async fn tells(options: &[&str], variables: &[(&str, &str)]) {
    let folder = folder();
    let config = write(folder.path(), "scrub.yaml", "profile: default\n");
    for spoken in Spoken::ALL {
        std::fs::write(&config, "profile: default\n").expect("a file");
        let upstream = super::upstream::Upstream::start(taking()).await;
        let url = upstream.url();
        let own = ["--upstream", &url, "--upstream-protocol", spoken.name()];
        let all = [&own, &["--config", &config, "--canary", "1s"], options].concat();
        let stage = Stage { upstream, sidecar: Sidecar::start_with(&all, variables).await };
        let is_ready = async || stage.sidecar.admin("/readyz").await.status == 200;
        stage.sidecar.counts(SCRUBBED, 1).await;
        assert!(is_ready().await);
        std::fs::write(&config, "profile: default\ndisable: [password]\n").expect("a file");
        until("it is not ready", async || !is_ready().await).await;
        assert!(stage.sidecar.count(FAILED).await >= 1);
        assert_eq!(stage.sidecar.count("kasm_scrub_ready").await, 0);
        stage.sidecar.says("the canary failed", 1).await;
        // It was read, and what should not have come out did.
        stage.sidecar.says("it came out", 1).await;
        std::fs::write(&config, "profile: default\n").expect("a file");
        until("it is ready", is_ready).await;
        // It goes to no upstream, and is none of the requests of clients.
        assert_eq!(stage.upstream.begun(), 0);
        assert!(!stage.sidecar.metrics().await.contains("kasm_scrub_requests_total{"));
        stage.close().await;
    }
}

#[tokio::test]
async fn it_tells_when_rules_no_longer_work() {
    tells(&[], &[]).await;
}

#[tokio::test]
async fn it_tells_when_an_option_says_compressed() {
    tells(&["--upstream-compression", "gzip"], &[]).await;
}

#[tokio::test]
async fn it_tells_when_a_variable_says_compressed() {
    tells(&[], &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]).await;
}

#[tokio::test]
async fn it_needs_no_token_and_no_upstream() {
    let folder = folder();
    let tokens = write(folder.path(), "tokens", "DeadDeadDeadDeadDead\n");
    let options = ["--upstream", "http://127.0.0.1:1", "--bearer-tokens", &tokens, "--canary", "1s"];
    let sidecar = Sidecar::start(&options).await;
    sidecar.counts(SCRUBBED, 2).await;
    assert_eq!(sidecar.count(FAILED).await, 0);
    assert_eq!(sidecar.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn it_has_flown_before_anything_is_ready() {
    for _ in 0..3 {
        let stage = Stage::new(Spoken::Grpc, taking(), &["--canary", "1h"]).await;
        until("it is ready", async || {
            let answer = stage.sidecar.admin("/readyz").await;
            match answer.status.as_u16() {
                200 => true,
                _ => {
                    assert!(holds(&answer.body, b"starting"), "{answer:?}");
                    false
                }
            }
        })
        .await;
        assert_eq!((stage.sidecar.count(SCRUBBED).await, stage.sidecar.count(FAILED).await), (1, 0));
        stage.close().await;
    }
}

#[tokio::test]
async fn the_end_is_not_a_failure_of_it() {
    for rounds in 0..5 {
        // It is nearly always under way.
        let mut stage = Stage::new(Spoken::Http, taking(), &["--canary", "1ms"]).await;
        stage.sidecar.counts(SCRUBBED, rounds).await;
        stage.sidecar.signal(Process::TERM);
        assert_eq!(stage.sidecar.ended().await, Some(0));
        stage.sidecar.says("\"ended\"", 1).await;
        assert!(!stage.sidecar.log().contains("the canary failed"), "{}", stage.sidecar.log());
        stage.close_ended();
    }
}
