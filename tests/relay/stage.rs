//! A sidecar with its upstream, and the look for leaks at the end.

use super::client::{Answer, Ask, Client, Wire};
use super::holds;
use super::sidecar::{At, Sidecar};
use super::upstream::{Behaviour, Upstream};

/// What all secrets that tests plant begin with.
pub(crate) const PLANTED: &str = "hunterCanary";

/// A secret that was never alive.
pub(crate) fn secret(number: usize) -> String {
    format!("{PLANTED}7dead{number}")
}

/// Whether something planted is in a text: as it is, in hexadecimal, in percent signs, or in base64, where it could begin at
/// any of three places.
pub(crate) fn is_leak(text: &[u8]) -> bool {
    let disguises = [
        "%68%75%6e%74%65%72%43%61%6e%61%72%79",
        "%68%75%6E%74%65%72%43%61%6E%61%72%79",
        PLANTED,
        "68756e74657243616e617279",
        "68756E74657243616E617279",
        "aHVudGVyQ2FuYXJ5",
        "h1bnRlckNhbmFye",
        "odW50ZXJDYW5hcn",
    ];
    disguises.iter().any(|disguise| holds(text, disguise.as_bytes()))
}

/// What the sidecar speaks with its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Grpc,
    Http,
}

impl Spoken {
    pub(crate) const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// What the option of the command line calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// A sidecar and its upstream.
pub(crate) struct Stage {
    pub(crate) upstream: Upstream,
    pub(crate) sidecar: Sidecar,
}

impl Stage {
    /// An upstream that behaves so, and a sidecar in front of it.
    pub(crate) async fn new(spoken: Spoken, behaviour: Behaviour, options: &[&str]) -> Self {
        Self::with(Upstream::start(behaviour).await, spoken, options).await
    }

    /// A sidecar in front of an upstream.
    pub(crate) async fn with(upstream: Upstream, spoken: Spoken, options: &[&str]) -> Self {
        let url = upstream.url();
        let own = ["--upstream", &url, "--upstream-protocol", spoken.name()];
        let sidecar = Sidecar::start(&[&own, options].concat()).await;
        Self { upstream, sidecar }
    }

    /// Where clients of a protocol go.
    pub(crate) fn at(&self, wire: Wire) -> &At {
        if wire == Wire::Grpc { &self.sidecar.grpc } else { &self.sidecar.http }
    }

    pub(crate) async fn connect(&self, wire: Wire) -> Client {
        Client::connect(wire, self.at(wire)).await.expect("a connection")
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        self.connect(ask.wire).await.send(ask).await.expect("an answer")
    }

    /// Looks for what was planted in everything that came out, and for panics.
    pub(crate) async fn close(self) {
        let metrics = self.sidecar.metrics().await;
        assert!(!is_leak(metrics.as_bytes()), "in metrics: {metrics}");
        assert!(metrics.contains("kasm_scrub_events_total{what=\"panicked\"} 0"), "{metrics}");
        self.close_ended();
    }

    /// The same without metrics, for a sidecar that has ended.
    pub(crate) fn close_ended(self) {
        let log = self.sidecar.log();
        assert!(!is_leak(log.as_bytes()), "in the log: {log}");
        assert!(!log.contains("panicked at"), "{log}");
        self.upstream.has_no_leak();
    }
}
