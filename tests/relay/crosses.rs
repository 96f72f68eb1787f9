//! From every protocol to every other, over TCP and Unix sockets.

use std::os::unix::fs::PermissionsExt;

use kasm_scrub::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;

use super::SIGNALS;
use super::client::{Ask, Client, Wire};
use super::replies::taking;
use super::requests::{Pack, clean, dirty, grpc_path, http_path};
use super::sidecar::Sidecar;
use super::stage::{Spoken, Stage, secret};
use super::upstream::Upstream;

#[tokio::test]
async fn grpc_goes_on_as_http() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for signal in SIGNALS {
        for pack in [Pack::None, Pack::Gzip] {
            let message = clean(Wire::Grpc, signal, "session is created");
            let ask = Ask::new(Wire::Grpc, signal, pack, &message);
            assert!(stage.send(&ask).await.is_taken(Wire::Grpc));
            let came = stage.upstream.last();
            assert_eq!(came.path, http_path(signal));
            assert_eq!(came.header("content-type"), "application/x-protobuf");
            assert_eq!(came.header("grpc-encoding"), "");
            // Compressed as it came, without the frame.
            assert!(came.body == ask.body[5..], "{signal:?} {pack:?}");
            assert_eq!(came.message(), message);
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn protobuf_goes_on_as_grpc() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for signal in SIGNALS {
        for pack in [Pack::None, Pack::Gzip] {
            let message = clean(Wire::Protobuf, signal, "session is created");
            let ask = Ask::new(Wire::Protobuf, signal, pack, &message);
            let answer = stage.send(&ask).await;
            assert!(answer.is_taken(Wire::Protobuf), "{answer:?}");
            assert_eq!(answer.header("content-type"), "application/x-protobuf");
            let came = stage.upstream.last();
            assert_eq!(
                (came.path.as_str(), came.header("content-type")),
                (grpc_path(signal), "application/grpc")
            );
            assert_eq!((came.header("content-encoding"), came.header("te")), ("", "trailers"));
            assert!(came.body[5..] == ask.body, "{signal:?} {pack:?}");
            assert_eq!(came.message(), message);
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn json_goes_on_as_grpc() {
    let stage = Stage::new(Spoken::Grpc, taking(), &[]).await;
    for pack in Pack::ALL {
        let json = clean(Wire::Json, Signal::Logs, "session is created");
        let answer = stage.send(&Ask::new(Wire::Json, Signal::Logs, pack, &json)).await;
        assert!(answer.is_taken(Wire::Json), "{answer:?}");
        assert_eq!((answer.header("content-type"), &answer.body[..]), ("application/json", &b"{}"[..]));
        let came = ExportLogsServiceRequest::decode(&*stage.upstream.last().message()).expect("protobuf");
        let want =
            ExportLogsServiceRequest::decode(&*clean(Wire::Protobuf, Signal::Logs, "session is created"));
        assert_eq!(came, want.expect("protobuf"), "{pack:?}");
    }
    stage.close().await;
}

#[tokio::test]
async fn an_answer_of_http_is_in_the_encoding_of_the_request() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for (wire, content_type) in [(Wire::Protobuf, "application/x-protobuf"), (Wire::Json, "application/json")]
    {
        let message = clean(wire, Signal::Logs, "session is created");
        let answer = stage.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
        assert_eq!(answer.header("content-type"), content_type, "{answer:?}");
    }
    stage.close().await;
}

#[tokio::test]
async fn unix_sockets_on_both_sides() {
    for spoken in Spoken::ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| format!("unix:{}", folder.path().join(name).display());
        let upstream = Upstream::start_unix(&folder.path().join("upstream"), taking());
        assert!(upstream.path().exists());
        let (grpc, http) = (at("grpc"), at("http"));
        let stage = Stage::with(upstream, spoken, &["--otlp-grpc", &grpc, "--otlp-http", &http]).await;
        for wire in Wire::BOTH {
            let message = dirty(wire, Signal::Traces, "GET /api/get_zones", &secret(1));
            assert!(stage.send(&Ask::new(wire, Signal::Traces, Pack::Gzip, &message)).await.is_taken(wire));
        }
        assert_eq!(stage.upstream.seen().len(), 2);
        let Stage { upstream, mut sidecar } = stage;
        sidecar.signal(rustix::process::Signal::TERM);
        assert_eq!(sidecar.ended().await, Some(0), "{}", sidecar.log());
        assert!(!folder.path().join("grpc").exists() && !folder.path().join("http").exists());
        Stage { upstream, sidecar }.close_ended();
    }
}

#[tokio::test]
async fn who_may_connect_to_a_socket_can_be_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| format!("unix:{}", folder.path().join(name).display());
    for (more, want) in [(&[][..], 0o666), (&["--socket-mode", "0660"], 0o660)] {
        let (grpc, admin) = (at("grpc"), at("admin"));
        let options = [&["--otlp-grpc", &grpc, "--admin", &admin][..], more].concat();
        let stage = Stage::new(Spoken::Grpc, taking(), &options).await;
        for name in ["grpc", "admin"] {
            let file = std::fs::symlink_metadata(folder.path().join(name)).expect("a socket");
            assert_eq!(file.permissions().mode() & 0o7777, want, "{name}");
        }
        let message = clean(Wire::Grpc, Signal::Logs, "session is created");
        let ask = Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &message);
        assert!(stage.send(&ask).await.is_taken(Wire::Grpc));
        stage.close().await;
        // Killed: the next takes its place.
    }
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let grpc = format!("unix:{}", folder.path().join("grpc").display());
    let mut stage = Stage::new(Spoken::Grpc, taking(), &["--otlp-grpc", &grpc]).await;
    stage.sidecar.kill();
    assert!(folder.path().join("grpc").exists());
    let url = stage.upstream.url();
    stage.sidecar = Sidecar::start(&["--upstream", &url, "--otlp-grpc", &grpc]).await;
    let message = clean(Wire::Grpc, Signal::Logs, "session is created");
    assert!(stage.send(&Ask::new(Wire::Grpc, Signal::Logs, Pack::None, &message)).await.is_taken(Wire::Grpc));
    stage.close().await;
}

#[tokio::test]
async fn the_path_of_an_upstream_is_in_front() {
    let upstream = Upstream::start(taking()).await;
    let url = format!("{}/otlp/", upstream.url());
    let sidecar = Sidecar::start(&["--upstream", &url, "--upstream-protocol", "http/protobuf"]).await;
    let stage = Stage { upstream, sidecar };
    for signal in SIGNALS {
        let message = clean(Wire::Grpc, signal, "session is created");
        assert!(stage.send(&Ask::new(Wire::Grpc, signal, Pack::None, &message)).await.is_taken(Wire::Grpc));
        assert_eq!(stage.upstream.last().path, format!("/otlp{}", http_path(signal)));
    }
    stage.close().await;
}

#[tokio::test]
async fn connections_are_used_again() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &[]).await;
        for wire in Wire::BOTH {
            let mut client: Client = stage.connect(wire).await;
            let message = clean(wire, Signal::Logs, "session is created");
            for _ in 0..20 {
                let answer = client.send(&Ask::new(wire, Signal::Logs, Pack::None, &message)).await;
                assert!(answer.expect("an answer").is_taken(wire));
            }
        }
        assert!(stage.upstream.connections() <= 2, "{}", stage.upstream.connections());
        stage.close().await;
    }
}
