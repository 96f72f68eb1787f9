//! What operators see and set: health, counts, tokens of clients, variables of the environment, and our own log.

use kasm_scrub::otlp::Signal;
use tempfile::TempDir;

use super::certificates::write;
use super::client::{Answer, Ask, Wire, check};
use super::replies::taking;
use super::requests::{Pack, clean, dirty, http_path};
use super::sidecar::Sidecar;
use super::stage::{Spoken, Stage, secret};
use super::upstream::Upstream;
use super::{SIGNALS, holds, until};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

#[tokio::test]
async fn health_and_counts_are_told() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    let check = async |path: &str, status: u16, want: &str| {
        let answer = stage.sidecar.admin(path).await;
        assert!(answer.status == status && holds(&answer.body, want.as_bytes()), "{path}: {answer:?}");
        answer
    };
    check("/livez", 200, "alive").await;
    check("/readyz", 200, "ready").await;
    check("/", 404, "/metrics").await;
    check("/v1/logs", 404, "/metrics").await;
    let metrics = check("/metrics", 200, "kasm_scrub_ready 1\n").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"), "{metrics:?}");
    assert!(metrics.body.ends_with(b"# EOF\n"));
    stage.close().await;
}

#[tokio::test]
async fn requests_are_counted_by_what_became_of_them() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for signal in SIGNALS {
        for wire in Wire::ALL {
            let plain = clean(wire, signal, "session is created");
            let secret = dirty(wire, signal, "login of zone", &secret(1));
            for message in [&plain, &plain, &secret, &b"\xff".to_vec()] {
                stage.send(&Ask::new(wire, signal, Pack::None, message)).await;
            }
        }
    }
    let metrics = stage.sidecar.metrics().await;
    let has = |line: &str| assert!(metrics.lines().any(|have| have == line), "{line} is not in\n{metrics}");
    for signal in ["traces", "logs", "metrics"] {
        for protocol in ["grpc", "http_protobuf", "http_json"] {
            for (outcome, count) in [("clean", 2), ("changed", 1), ("refused", 1)] {
                has(&format!(
                    "kasm_scrub_requests_total{{signal=\"{signal}\",protocol=\"{protocol}\",outcome=\"{outcome}\"}} {count}"
                ));
            }
        }
        has(&format!("kasm_scrub_refused_total{{signal=\"{signal}\",reason=\"malformed\"}} 3"));
        has(&format!("kasm_scrub_findings_total{{rule=\"password\",signal=\"{signal}\"}} 3"));
        has(&format!("kasm_scrub_request_duration_seconds_count{{signal=\"{signal}\"}} 12"));
        has(&format!("kasm_scrub_upstream_up{{signal=\"{signal}\"}} 1"));
    }
    has("kasm_scrub_requests_in_flight 0");
    has("kasm_scrub_in_flight_bytes 0");
    stage.close().await;
}

const OLD: &str = "DeadDeadDeadDeadOld";
const NEW: &str = "DeadDeadDeadDeadNew";

fn with_token(wire: Wire, token: &str) -> Ask {
    ask(wire).with("authorization", &format!("Bearer {token}")).with("x-tenant", "kasm")
}

#[tokio::test]
async fn clients_need_a_token_where_there_are_some() {
    let folder = folder();
    let file = write(folder.path(), "tokens", &format!("{OLD}\n"));
    for spoken in Spoken::ALL {
        std::fs::write(&file, OLD).expect("a file");
        let stage = Stage::new(spoken, taking(), &["--bearer-tokens", &file]).await;
        for wire in Wire::BOTH {
            check("none", wire, &stage.send(&ask(wire)).await, (16, 401));
            check("wrong", wire, &stage.send(&with_token(wire, NEW)).await, (16, 401));
            check("cut off", wire, &stage.send(&with_token(wire, &OLD[1..])).await, (16, 401));
            let basic = ask(wire).with("authorization", &format!("Basic {OLD}"));
            check("another scheme", wire, &stage.send(&basic).await, (16, 401));
        }
        assert_eq!(stage.upstream.begun(), 0);
        for wire in Wire::BOTH {
            let answer = stage.send(&with_token(wire, OLD)).await;
            assert!(answer.is_taken(wire), "{answer:?}");
            let came = stage.upstream.last();
            assert_eq!((came.header("authorization"), came.header("x-tenant")), ("", "kasm"));
        }
        assert_eq!(
            stage.sidecar.count("kasm_scrub_refused_total{signal=\"logs\",reason=\"unauthenticated\"}").await,
            8
        );
        // Who asks how it is needs none.
        assert_eq!(stage.sidecar.admin("/readyz").await.status, 200);
        let log = stage.sidecar.log();
        assert!(!log.contains(OLD) && !log.contains(NEW), "{log}");
        stage.close().await;
    }
}

#[tokio::test]
async fn tokens_change_while_it_runs() {
    let folder = folder();
    let file = write(folder.path(), "tokens", OLD);
    let stage = Stage::new(Spoken::Grpc, taking(), &["--bearer-tokens", &file]).await;
    let is_taken = async |token| stage.send(&with_token(Wire::Grpc, token)).await.is_taken(Wire::Grpc);
    assert!(is_taken(OLD).await && !is_taken(NEW).await);
    std::fs::write(&file, format!("{OLD}\n{NEW}\n")).expect("a file");
    until("the new one is taken", async || is_taken(NEW).await).await;
    assert!(is_taken(OLD).await);
    std::fs::write(&file, NEW).expect("a file");
    until("the old one is not", async || !is_taken(OLD).await).await;
    assert!(is_taken(NEW).await);
    // A file that is wrong lets in who was let in, and no one else.
    for wrong in ["", "short"] {
        let failed = "kasm_scrub_events_total{what=\"reload_failed\"}";
        let before = stage.sidecar.count(failed).await;
        std::fs::write(&file, wrong).expect("a file");
        stage.sidecar.counts(failed, before + 1).await;
        assert!(is_taken(NEW).await && !is_taken(OLD).await && !is_taken(wrong).await);
    }
    stage.close().await;
}

#[tokio::test]
async fn variables_of_exporters_say_where_the_upstream_is() {
    let (all, traces) = (Upstream::start(taking()).await, Upstream::start(taking()).await);
    let (all_url, traces_url) = (format!("{}/base", all.url()), format!("{}/own/path", traces.url()));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", all_url.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces_url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=kasm,x-note=a%20b"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-tenant=traces"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let sidecar = Sidecar::start_with(&[], &variables).await;
    let stage = Stage { upstream: all, sidecar };
    for signal in SIGNALS {
        let message = clean(Wire::Grpc, signal, "session is created");
        let answer = stage.send(&Ask::new(Wire::Grpc, signal, Pack::None, &message)).await;
        assert!(answer.is_taken(Wire::Grpc), "{answer:?}");
        let (came, path, tenant) = match signal {
            Signal::Traces => (traces.last(), "/own/path".to_owned(), "traces"),
            _ => (stage.upstream.last(), format!("/base{}", http_path(signal)), "kasm"),
        };
        assert_eq!(
            (&came.path, came.header("x-tenant"), came.header("content-encoding")),
            (&path, tenant, "gzip")
        );
    }
    assert_eq!((stage.upstream.seen().len(), traces.seen().len()), (2, 1));
    stage.close().await;
}

#[tokio::test]
async fn the_time_of_a_variable_counts() {
    let upstream = Upstream::start(super::replies::never()).await;
    let url = upstream.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
    let stage = Stage { upstream, sidecar: Sidecar::start_with(&[], &variables).await };
    for wire in Wire::BOTH {
        let answer: Answer = stage.send(&ask(wire)).await;
        check("slow", wire, &answer, (4, 504));
    }
    stage.close().await;
}

#[tokio::test]
async fn it_does_not_start_with_what_is_wrong() {
    let folder = folder();
    let bad_rules = write(folder.path(), "rules.toml", "[[rules]]\nid = \"x\"\nregex = '''('''\n");
    let no_tokens = write(folder.path(), "tokens", "\n");
    let own_rules = write(folder.path(), "own.toml", super::reload::RULES);
    let missing = folder.path().join("missing").display().to_string();
    let up = ["--upstream", "http://127.0.0.1:1", "--otlp-grpc", "127.0.0.1:0", "--admin", "none"];
    for (options, want) in [
        (vec!["--rules", &bad_rules], "rules.toml:3"),
        (vec!["--rules", &missing], "missing"),
        (vec!["--bearer-tokens", &no_tokens], "has no token"),
        (vec!["--tls-cert", &bad_rules, "--tls-key", &bad_rules], "rules.toml"),
        (vec!["--canary", "1s", "--no-builtin", "--rules", &own_rules], "--canary"),
        (vec!["--otlp-http", "127.0.0.1:99999"], "HOST:PORT"),
    ] {
        let (code, said) = Sidecar::refuses(&[&up[..], &options].concat());
        assert!(code == Some(2) && said.contains(want), "{options:?}: {code:?} {said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    // Why it ends is said, however little is to be told otherwise.
    for (options, want) in
        [(vec!["--bearer-tokens", &missing], "missing"), (vec!["--otlp-http", &at], "cannot listen")]
    {
        let all = [&up[..], &["--log-level", "error", "--log-format", "json"], &options].concat();
        let (code, said) = Sidecar::refuses(&all);
        let is_told = said.contains(want) && said.contains(r#""level":"ERROR""#);
        assert!(code == Some(2) && is_told, "{options:?}: {code:?} {said}");
    }
    // Its own port as the upstream: requests would go round.
    for upstream in ["http://localhost:4319", "http://127.0.0.1:4319", "http://[::1]:4319"] {
        let (code, said) =
            Sidecar::refuses(&["--upstream", upstream, "--otlp-grpc", "0.0.0.0:4319", "--admin", "none"]);
        assert!(code == Some(2) && said.contains("go round"), "{code:?} {said}");
    }
    // A port that is none is not taken for the usual one.
    for upstream in ["http://127.0.0.1:99999", "https://127.0.0.1:0"] {
        let (code, said) = Sidecar::refuses(&["--upstream", upstream, "--otlp-grpc", "127.0.0.1:0"]);
        assert!(code == Some(2) && said.contains("from 1 to 65535"), "{code:?} {said}");
    }
    // A port that is taken.
    let (code, said) =
        Sidecar::refuses(&["--upstream", "http://127.0.0.1:1", "--otlp-grpc", &at, "--admin", "none"]);
    assert!(code == Some(2) && said.contains(&at), "{code:?} {said}");
}
