//! TLS on both sides: who is trusted, who must show a certificate, and certificates that change while it runs.

use std::io;
use std::sync::Arc;

use kasm_scrub::otlp::Signal;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, write};
use super::client::{Answer, Ask, Client, Stream, Wire, check, open};
use super::replies::{taking, waiting};
use super::requests::{Pack, clean, dirty};
use super::stage::{Spoken, Stage, secret};
use super::until;
use super::upstream::Upstream;

const FAILED: &str = "kasm_scrub_events_total{what=\"handshake_failed\"}";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::Gzip, &dirty(wire, Signal::Logs, "login of zone", &secret(1)))
}

fn protocol(wire: Wire) -> &'static str {
    if wire == Wire::Grpc { "h2" } else { "http/1.1" }
}

async fn handshake(
    stage: &Stage,
    wire: Wire,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<Box<dyn Stream>>> {
    let stream = open(stage.at(wire)).await?;
    TlsConnector::from(config).connect(ServerName::try_from("127.0.0.1").expect("a name"), stream).await
}

/// A request over TLS; `None`: there is no connection.
async fn send(stage: &Stage, wire: Wire, config: Arc<ClientConfig>) -> Option<Answer> {
    let stream = handshake(stage, wire, config).await.ok()?;
    Client::over(wire, stream).await.ok()?.send(&ask(wire)).await.ok()
}

#[tokio::test]
async fn clients_come_over_tls() {
    let (authority, other, folder) = (Authority::new("ours"), Authority::new("other"), folder());
    let [cert, key] = authority.issue().write(folder.path(), "server");
    let stage = Stage::new(Spoken::Grpc, taking(), &["--tls-cert", &cert, "--tls-key", &key]).await;
    for wire in Wire::BOTH {
        let config = authority.client(None, protocol(wire));
        let answer = send(&stage, wire, config).await.expect("an answer");
        assert!(answer.is_taken(wire), "{answer:?}");
        assert!(
            send(&stage, wire, other.client(None, protocol(wire))).await.is_none(),
            "who it is is not trusted"
        );
        let plain = stage.connect(wire).await.send(&ask(wire)).await;
        assert!(plain.is_err(), "no TLS, no answer: {plain:?}");
    }
    assert_eq!(stage.upstream.seen().len(), 2);
    stage.sidecar.counts(FAILED, 4).await;
    // Who asks how it is needs no certificates.
    assert_eq!(stage.sidecar.admin("/readyz").await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn clients_without_a_certificate_are_turned_away() {
    let (authority, other, folder) = (Authority::new("ours"), Authority::new("other"), folder());
    let [cert, key] = authority.issue().write(folder.path(), "server");
    let ca = write(folder.path(), "ca.crt", &authority.pem());
    let options = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca];
    let stage = Stage::new(Spoken::Grpc, taking(), &options).await;
    let (own, foreign) = (authority.issue(), other.issue());
    for wire in Wire::BOTH {
        let answer =
            send(&stage, wire, authority.client(Some(&own), protocol(wire))).await.expect("an answer");
        assert!(answer.is_taken(wire), "{answer:?}");
        for identity in [None, Some(&foreign)] {
            assert!(send(&stage, wire, authority.client(identity, protocol(wire))).await.is_none());
        }
    }
    assert_eq!(stage.upstream.seen().len(), 2);
    stage.sidecar.counts(FAILED, 4).await;
    stage.close().await;
}

#[tokio::test]
async fn the_upstream_is_reached_over_tls() {
    let (authority, folder) = (Authority::new("ours"), folder());
    let ca = write(folder.path(), "ca.crt", &authority.pem());
    let [cert, key] = authority.issue().write(folder.path(), "client");
    for spoken in Spoken::ALL {
        let server = authority.server(&authority.issue(), true);
        let upstream = Upstream::start_tls(server, taking()).await;
        let options = ["--upstream-ca", &ca, "--upstream-cert", &cert, "--upstream-key", &key];
        let stage = Stage::with(upstream, spoken, &options).await;
        for wire in Wire::BOTH {
            let answer = stage.send(&ask(wire)).await;
            assert!(answer.is_taken(wire), "{spoken:?} {answer:?}");
        }
        assert!(stage.upstream.certified() >= 1);
        stage.close().await;
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_trusted_gets_nothing() {
    let (authority, other, folder) = (Authority::new("ours"), Authority::new("other"), folder());
    let ca = write(folder.path(), "ca.crt", &authority.pem());
    for spoken in Spoken::ALL {
        // One of another authority, and one that wants a certificate of ours.
        for server in [other.server(&other.issue(), false), authority.server(&authority.issue(), true)] {
            let upstream = Upstream::start_tls(server, taking()).await;
            let stage = Stage::with(upstream, spoken, &["--upstream-ca", &ca]).await;
            for wire in Wire::BOTH {
                check("not trusted", wire, &stage.send(&ask(wire)).await, (14, 503));
            }
            assert_eq!(stage.upstream.begun(), 0);
            stage.close().await;
        }
    }
}

async fn shown(stage: &Stage, config: &Arc<ClientConfig>) -> CertificateDer<'static> {
    let stream = handshake(stage, Wire::Grpc, config.clone()).await.expect("a connection");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned()
}

#[tokio::test]
async fn certificates_change_while_it_runs() {
    let (authority, folder) = (Authority::new("ours"), folder());
    let (first, second) = (authority.issue(), authority.issue());
    let [cert, key] = first.write(folder.path(), "server");
    let stage = Stage::new(Spoken::Grpc, taking(), &["--tls-cert", &cert, "--tls-key", &key]).await;
    let config = authority.client(None, "h2");
    let mut old = Client::over(Wire::Grpc, handshake(&stage, Wire::Grpc, config.clone()).await.expect("TLS"))
        .await
        .expect("HTTP/2");
    assert_eq!(shown(&stage, &config).await, first.der());
    second.write(folder.path(), "server");
    until("the new one is shown", async || shown(&stage, &config).await == second.der()).await;
    until("who is there already comes anew", async || old.send(&ask(Wire::Grpc)).await.is_err()).await;
    // What is wrong leaves the old one in use.
    let failed = "kasm_scrub_events_total{what=\"reload_failed\"}";
    let before = stage.sidecar.count(failed).await;
    for wrong in
        ["-----BEGIN CERTIFICATE-----\nhunterCanary\n-----END CERTIFICATE-----\n", "", &first.certificate]
    {
        let before = stage.sidecar.count(failed).await;
        std::fs::write(&cert, wrong).expect("a file");
        stage.sidecar.counts(failed, before + 1).await;
        assert_eq!(shown(&stage, &config).await, second.der());
    }
    assert!(stage.sidecar.count(failed).await >= before + 3);
    stage.sidecar.says("server.crt", 1).await;
    std::fs::write(&cert, &second.certificate).expect("a file");
    stage.sidecar.counts("kasm_scrub_events_total{what=\"reloaded\"}", 2).await;
    stage.close().await;
}

#[tokio::test]
async fn who_signs_certificates_of_clients_changes_while_it_runs() {
    let (authority, next, folder) = (Authority::new("ours"), Authority::new("next"), folder());
    let [cert, key] = authority.issue().write(folder.path(), "server");
    let ca = write(folder.path(), "ca.crt", &authority.pem());
    let options = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca];
    let stage = Stage::new(Spoken::Grpc, taking(), &options).await;
    let (old, new) = (authority.issue(), next.issue());
    assert!(send(&stage, Wire::Grpc, authority.client(Some(&old), "h2")).await.is_some());
    assert!(send(&stage, Wire::Grpc, authority.client(Some(&new), "h2")).await.is_none());
    std::fs::write(&ca, next.pem()).expect("a file");
    let is_in =
        async |identity| send(&stage, Wire::Grpc, authority.client(Some(identity), "h2")).await.is_some();
    until("the new one is let in", async || is_in(&new).await).await;
    assert!(!is_in(&old).await);
    stage.close().await;
}

/// Who was let in by an authority that is not trusted any more: what is under way is answered, and nothing more is taken.
#[tokio::test]
async fn open_connections_end_when_certificates_change() {
    let (authority, next, folder) = (Authority::new("ours"), Authority::new("next"), folder());
    let [cert, key] = authority.issue().write(folder.path(), "server");
    let ca = write(folder.path(), "ca.crt", &authority.pem());
    let options = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca];
    let gate = Arc::new(Semaphore::new(0));
    let stage = Stage::new(Spoken::Grpc, waiting(gate.clone()), &options).await;
    let (old, new) = (authority.issue(), next.issue());
    let mut clients = Vec::new();
    for wire in Wire::BOTH {
        // One that has nothing under way, and one that has.
        for _ in 0..2 {
            let stream = handshake(&stage, wire, authority.client(Some(&old), protocol(wire))).await;
            clients.push((wire, Client::over(wire, stream.expect("TLS")).await.expect("a connection")));
        }
    }
    gate.add_permits(2 * clients.len());
    let reloaded = "kasm_scrub_events_total{what=\"reloaded\"}";
    stage.sidecar.signal(rustix::process::Signal::HUP);
    stage.sidecar.counts(reloaded, 1).await;
    for (wire, client) in &mut clients {
        for _ in 0..2 {
            let answer = client.send(&ask(*wire)).await.expect("it is open: nothing has changed");
            assert!(answer.is_taken(*wire), "{answer:?}");
        }
    }
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    for (number, (wire, mut client)) in clients.into_iter().enumerate() {
        if number % 2 == 0 {
            idle.push((wire, client));
        } else {
            busy.push(tokio::spawn(async move {
                let answer = client.send(&ask(wire)).await.expect("an answer");
                assert!(answer.is_taken(wire), "{answer:?}");
                (wire, client)
            }));
        }
    }
    let taken = stage.upstream.seen().len();
    until("they are under way", async || stage.upstream.begun() == taken + busy.len()).await;
    std::fs::write(&ca, next.pem()).expect("a file");
    stage.sidecar.counts(reloaded, 2).await;
    let connections = "kasm_scrub_connections";
    let left = busy.len() as u64;
    until("the others are closed", async || stage.sidecar.count(connections).await == left).await;
    gate.add_permits(busy.len());
    for busy in busy {
        idle.push(busy.await.expect("no panic"));
    }
    until("all are closed", async || stage.sidecar.count(connections).await == 0).await;
    for (wire, mut client) in idle {
        assert!(client.send(&ask(wire)).await.is_err());
        gate.add_permits(1);
        assert!(send(&stage, wire, authority.client(Some(&old), protocol(wire))).await.is_none());
        assert!(send(&stage, wire, authority.client(Some(&new), protocol(wire))).await.is_some());
    }
    stage.close().await;
}

#[tokio::test]
async fn the_certificate_for_the_upstream_changes_while_it_runs() {
    let (authority, next, folder) = (Authority::new("ours"), Authority::new("next"), folder());
    let ca = write(folder.path(), "ca.crt", &next.pem());
    let upstream = Upstream::start_tls(authority.server(&authority.issue(), false), taking()).await;
    let stage = Stage::with(upstream, Spoken::Http, &["--upstream-ca", &ca]).await;
    let clean = Ask::new(
        Wire::Protobuf,
        Signal::Logs,
        Pack::None,
        &clean(Wire::Protobuf, Signal::Logs, "image is present"),
    );
    check("not trusted", Wire::Protobuf, &stage.send(&clean).await, (0, 503));
    std::fs::write(&ca, authority.pem()).expect("a file");
    until("it is trusted", async || stage.send(&clean).await.is_taken(Wire::Protobuf)).await;
    stage.close().await;
}
