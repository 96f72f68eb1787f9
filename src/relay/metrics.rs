//! What the relay counts, for Prometheus. Labels are rule ids, signals, protocols and reasons: few, and never text of a
//! request.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::fault::Fault;
use crate::Sanitizer;
use crate::audit::Trail;
use crate::otlp::Signal;

/// A signal's name in labels.
pub(super) fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Logs => "logs",
        Signal::Metrics => "metrics",
        Signal::Profiles => "profiles",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BySignal {
    signal: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    signal: &'static str,
    protocol: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    signal: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByRule {
    rule: String,
    signal: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByWhat {
    what: &'static str,
}

/// What an event that happens to a whole relay was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Rules were read again and are in use.
    Reloaded,
    /// Rules or certificates were read again and are not in use: something is wrong with them.
    ReloadFailed,
    /// A connection was turned away: there are too many.
    ConnectionRefused,
    /// A client's TLS handshake failed.
    HandshakeFailed,
    /// The canary was scrubbed.
    CanaryScrubbed,
    /// The canary came out, or did not arrive.
    CanaryFailed,
    /// Scrubbing panicked.
    Panicked,
    /// An upstream's answer could not be read.
    BadAnswer,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Reloaded => "reloaded",
            Self::ReloadFailed => "reload_failed",
            Self::ConnectionRefused => "connection_refused",
            Self::HandshakeFailed => "handshake_failed",
            Self::CanaryScrubbed => "canary_scrubbed",
            Self::CanaryFailed => "canary_failed",
            Self::Panicked => "panicked",
            Self::BadAnswer => "bad_answer",
        }
    }

    const ALL: [Self; 8] = [
        Self::Reloaded,
        Self::ReloadFailed,
        Self::ConnectionRefused,
        Self::HandshakeFailed,
        Self::CanaryScrubbed,
        Self::CanaryFailed,
        Self::Panicked,
        Self::BadAnswer,
    ];
}

type Seconds = Family<BySignal, Histogram, fn() -> Histogram>;

/// All counts.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<ByOutcome, Counter>,
    refused: Family<ByReason, Counter>,
    findings: Family<ByRule, Counter>,
    removed: Family<BySignal, Counter>,
    split: Family<BySignal, Counter>,
    answer_findings: Counter,
    bytes_in: Family<BySignal, Counter>,
    bytes_out: Family<BySignal, Counter>,
    total_seconds: Seconds,
    scrub_seconds: Seconds,
    upstream_seconds: Seconds,
    events: Family<ByWhat, Counter>,
    upstream_up: Family<BySignal, Gauge>,
    pub(super) in_flight: Gauge,
    pub(super) in_flight_bytes: Gauge,
    pub(super) connections: Gauge,
    ready: Gauge,
    rules: Gauge<u64, AtomicU64>,
    audit_failing: Gauge,
    audit_entries: Counter,
    audit_failures: Counter,
    audit_seq: Gauge<u64, AtomicU64>,
    learned: Gauge<u64, AtomicU64>,
    not_learned: Gauge<u64, AtomicU64>,
}

/// From 100 µs to 13 s.
fn histogram() -> Histogram {
    Histogram::new((0..18).map(|i| 1e-4 * f64::from(1 << i)))
}

impl Metrics {
    /// All at nothing; `others` adds counts of what runs beside the relay.
    pub(super) fn new(others: impl FnOnce(&mut Registry)) -> Self {
        let seconds = || Seconds::new_with_constructor(histogram);
        let mut metrics = Self {
            registry: Registry::with_prefix("kasm_scrub"),
            requests: Family::default(),
            refused: Family::default(),
            findings: Family::default(),
            removed: Family::default(),
            split: Family::default(),
            answer_findings: Counter::default(),
            bytes_in: Family::default(),
            bytes_out: Family::default(),
            total_seconds: seconds(),
            scrub_seconds: seconds(),
            upstream_seconds: seconds(),
            events: Family::default(),
            upstream_up: Family::default(),
            in_flight: Gauge::default(),
            in_flight_bytes: Gauge::default(),
            connections: Gauge::default(),
            ready: Gauge::default(),
            rules: Gauge::default(),
            audit_failing: Gauge::default(),
            audit_entries: Counter::default(),
            audit_failures: Counter::default(),
            audit_seq: Gauge::default(),
            learned: Gauge::default(),
            not_learned: Gauge::default(),
        };
        metrics.register();
        others(&mut metrics.registry);
        // What has not happened yet is 0, not absent: a rate of it can be alerted on.
        for event in Event::ALL {
            drop(metrics.events.get_or_create(&ByWhat { what: event.name() }));
        }
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics].map(signal_name) {
            metrics.upstream_up.get_or_create(&BySignal { signal }).set(1);
            drop(metrics.split.get_or_create(&BySignal { signal }));
            for reason in Fault::OFTEN {
                drop(metrics.refused.get_or_create(&ByReason { signal, reason }));
            }
        }
        metrics
    }

    fn register(&mut self) {
        let Self { registry: r, .. } = self;
        r.register(
            "requests",
            "Requests by what became of them: clean, changed, rejected by the upstream, unanswered by it, refused here, \
             abandoned by the client",
            self.requests.clone(),
        );
        r.register(
            "refused",
            "Requests that were not forwarded or not answered, by reason",
            self.refused.clone(),
        );
        r.register("findings", "Findings in requests, by rule", self.findings.clone());
        r.register("unknown_fields_removed", "Unknown fields that were removed", self.removed.clone());
        r.register(
            "requests_split",
            "Requests that went on in parts: scrubbing had made them longer than the upstream takes",
            self.split.clone(),
        );
        r.register("answer_findings", "Findings in answers of the upstream", self.answer_findings.clone());
        r.register_with_unit(
            "received",
            "Bytes of requests, as they came",
            Unit::Bytes,
            self.bytes_in.clone(),
        );
        r.register_with_unit(
            "sent",
            "Bytes of requests that were answered, as they went on",
            Unit::Bytes,
            self.bytes_out.clone(),
        );
        r.register_with_unit(
            "request_duration",
            "From the head of a request to its answer",
            Unit::Seconds,
            self.total_seconds.clone(),
        );
        r.register_with_unit(
            "scrub_duration",
            "Decompressing, scrubbing and compressing",
            Unit::Seconds,
            self.scrub_seconds.clone(),
        );
        r.register_with_unit(
            "upstream_duration",
            "From sending a request to the upstream's whole answer",
            Unit::Seconds,
            self.upstream_seconds.clone(),
        );
        r.register("events", "What has happened to the relay as a whole", self.events.clone());
        r.register(
            "upstream_up",
            "Whether the upstream answered the last time; 1 before it is asked",
            self.upstream_up.clone(),
        );
        r.register("requests_in_flight", "Requests under way", self.in_flight.clone());
        r.register_with_unit(
            "in_flight",
            "Memory that requests under way hold",
            Unit::Bytes,
            self.in_flight_bytes.clone(),
        );
        r.register("connections", "Connections of clients", self.connections.clone());
        r.register("ready", "Whether /readyz says yes", self.ready.clone());
        r.register("rules", "Rules in use", self.rules.clone());
        r.register("audit_failing", "Whether the audit trail cannot be written", self.audit_failing.clone());
        r.register("audit_entries", "Entries written to the audit trail", self.audit_entries.clone());
        r.register("audit_failures", "Writes to the audit trail that failed", self.audit_failures.clone());
        let what = "Number of the last entry of the audit trail: what --expect-seq of audit verify asks for";
        r.register("audit_seq", what, self.audit_seq.clone());
        r.register("learned_values", "Values that were learned", self.learned.clone());
        let what = "Values that were to be learned, but would be found all over";
        r.register("not_learned_values", what, self.not_learned.clone());
    }

    pub(super) fn answered(
        &self,
        signal: Signal,
        protocol: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let signal = signal_name(signal);
        self.requests.get_or_create(&ByOutcome { signal, protocol, outcome }).inc();
        self.total_seconds.get_or_create(&BySignal { signal }).observe(took.as_secs_f64());
    }

    /// `None`: what was asked for is no signal.
    pub(super) fn refused(&self, signal: Option<Signal>, fault: &Fault) {
        let signal = signal.map_or("none", signal_name);
        self.refused.get_or_create(&ByReason { signal, reason: fault.reason() }).inc();
    }

    pub(super) fn found(&self, rule: &str, signal: Signal, count: u64) {
        let labels = ByRule { rule: rule.to_owned(), signal: signal_name(signal) };
        self.findings.get_or_create(&labels).inc_by(count);
    }

    /// Once for each finding.
    pub(super) fn found_in_header(&self, rule: &str) {
        self.findings.get_or_create(&ByRule { rule: rule.to_owned(), signal: "headers" }).inc();
    }

    pub(super) fn removed(&self, signal: Signal, count: usize) {
        self.removed.get_or_create(&BySignal { signal: signal_name(signal) }).inc_by(count as u64);
    }

    pub(super) fn split(&self, signal: Signal) {
        self.split.get_or_create(&BySignal { signal: signal_name(signal) }).inc();
    }

    pub(super) fn found_in_answer(&self, count: usize) {
        self.answer_findings.inc_by(count as u64);
    }

    pub(super) fn received(&self, signal: Signal, bytes: usize) {
        self.bytes_in.get_or_create(&BySignal { signal: signal_name(signal) }).inc_by(bytes as u64);
    }

    pub(super) fn sent(&self, signal: Signal, bytes: usize) {
        self.bytes_out.get_or_create(&BySignal { signal: signal_name(signal) }).inc_by(bytes as u64);
    }

    pub(super) fn scrubbed(&self, signal: Signal, took: Duration) {
        let labels = BySignal { signal: signal_name(signal) };
        self.scrub_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Whether the upstream answered; how long it took.
    pub(super) fn upstream(&self, signal: Signal, is_up: bool, took: Duration) {
        let labels = BySignal { signal: signal_name(signal) };
        self.upstream_up.get_or_create(&labels).set(i64::from(is_up));
        self.upstream_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(super) fn event(&self, event: Event) {
        self.events.get_or_create(&ByWhat { what: event.name() }).inc();
    }

    /// What is in use now.
    pub(super) fn rules(&self, sanitizer: &Sanitizer) {
        self.rules.set(sanitizer.rules().rules().len() as u64);
        let learned = sanitizer.scanner().learned();
        self.learned.set(learned.map_or(0, |learned| learned.count() as u64));
        self.not_learned.set(learned.map_or(0, |learned| learned.refused().len() as u64));
    }

    /// How an audit trail stands.
    pub(super) fn audited(&self, trail: &Trail) {
        let (entries, failures) = trail.counts();
        self.audit_failing.set(i64::from(trail.is_failing()));
        self.audit_entries.inner().store(entries, Ordering::Relaxed);
        self.audit_failures.inner().store(failures, Ordering::Relaxed);
        self.audit_seq.set(trail.seq());
    }

    /// All counts as Prometheus reads them.
    pub(super) fn text(&self, is_ready: bool) -> String {
        self.ready.set(i64::from(is_ready));
        let mut out = String::new();
        if encode(&mut out, &self.registry).is_err() {
            let _ = writeln!(out, "# incomplete");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_prometheus_has_them() {
        let metrics = Metrics::new(|_| {});
        metrics.found("password", Signal::Logs, 2);
        metrics.received(Signal::Traces, 10);
        metrics.scrubbed(Signal::Traces, Duration::from_millis(1));
        let text = metrics.text(true);
        for line in [
            "kasm_scrub_findings_total{rule=\"password\",signal=\"logs\"} 2",
            "kasm_scrub_received_bytes_total{signal=\"traces\"} 10",
            "kasm_scrub_scrub_duration_seconds_count{signal=\"traces\"} 1",
            "kasm_scrub_events_total{what=\"reload_failed\"} 0",
            "kasm_scrub_ready 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
