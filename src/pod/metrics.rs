//! What is counted of inputs and outputs, for Prometheus, on the relay's `/metrics`. Labels are kinds of inputs, rule ids
//! and words of our own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::batch::Batch;
use super::house::{Counts, Gauges};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByInput {
    input: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByRule {
    rule: String,
    input: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByWhat {
    what: &'static str,
}

/// All counts of inputs and outputs. Cheap to clone: clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    records: Family<ByInput, Counter>,
    bytes: Family<ByInput, Counter>,
    findings: Family<ByRule, Counter>,
    events: Family<ByWhat, Counter>,
    standing: Arc<Standing>,
    waiting: Arc<Waiting>,
}

/// What happens to inputs and outputs that alerts may ask for: it is there from the start, as 0.
const EVENTS: [&str; 25] = [
    "panicked",
    "input_failed",
    "unreadable",
    "lost",
    "listing_failed",
    "link_refused",
    "fifo_lost",
    "checkpoint_failed",
    "checkpoint_unreadable",
    "rotation_failed",
    "output_moved",
    "output_waiting",
    "output_retried",
    "output_refused",
    "output_rejected",
    "output_dropped",
    "output_gone",
    "syslog_dropped",
    "syslog_refused",
    "syslog_torn",
    "syslog_closed",
    "record_cut",
    "truncated",
    "rotated",
    "removal_failed",
];

impl Metrics {
    /// Adds them to those of the process.
    pub fn register(&self, registry: &mut Registry) {
        for what in EVENTS {
            drop(self.events.get_or_create(&ByWhat { what }));
        }
        registry.register(
            "input_records",
            "Records that an input has read and the output has kept",
            self.records.clone(),
        );
        registry.register_with_unit(
            "input_delivered",
            "Bytes of the text of those records",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register("input_findings", "Findings in records, by rule", self.findings.clone());
        registry.register("input_events", "What has happened to inputs and outputs", self.events.clone());
        registry.register_collector(Box::new(self.standing.clone()));
        registry.register_collector(Box::new(self.waiting.clone()));
    }

    /// Counts an event.
    pub fn event(&self, what: &'static str) {
        self.events(what, 1);
    }

    /// Counts an event so many times.
    pub fn events(&self, what: &'static str, count: u64) {
        debug_assert!(EVENTS.contains(&what), "{what} is not there before it happens");
        self.events.get_or_create(&ByWhat { what }).inc_by(count);
    }
}

/// Where a batch is told apart by: it stays where it is while it waits.
fn place(batch: &Batch) -> usize {
    std::ptr::from_ref(batch).addr()
}

impl Counts for Metrics {
    fn given(&self, batch: &Batch) {
        self.waiting.lock().insert(place(batch), (batch.origin.input, Instant::now()));
    }

    fn delivered(&self, batch: &Batch) {
        self.left(batch);
        let input = batch.origin.input;
        self.records.get_or_create(&ByInput { input }).inc_by(batch.records().count() as u64);
        self.bytes.get_or_create(&ByInput { input }).inc_by(batch.len() as u64);
        let rules = batch.sanitizer.rules();
        for &rule in batch.found() {
            self.findings.get_or_create(&ByRule { rule: rules[rule].id.to_string(), input }).inc();
        }
    }

    fn left(&self, batch: &Batch) {
        self.waiting.lock().remove(&place(batch));
    }

    fn gauges(&self, input: &'static str) -> Arc<Gauges> {
        let own = Arc::default();
        self.standing.0.lock().unwrap_or_else(PoisonError::into_inner).push((input, Arc::clone(&own)));
        own
    }

    fn events(&self, what: &'static str, count: u64) {
        Metrics::events(self, what, count);
    }

    fn event(&self, what: &'static str) {
        Metrics::event(self, what);
    }
}

/// Batches that the output has not taken yet, and since when.
#[derive(Default)]
struct Waiting(Mutex<BTreeMap<usize, (&'static str, Instant)>>);

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, (&'static str, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Collector for Waiting {
    /// Asked when counts are read: how long the oldest batch of each kind of input has waited.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut oldest: BTreeMap<&'static str, f64> = BTreeMap::new();
        for (input, since) in self.lock().values() {
            let waited = since.elapsed().as_secs_f64();
            let most = oldest.entry(input).or_default();
            *most = most.max(waited);
        }
        let mut metric = encoder.encode_descriptor(
            "input_oldest",
            "How long the oldest records that the output has not kept yet have waited for it",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (input, waited) in oldest {
            ConstGauge::new(waited).encode(metric.encode_family(&[("input", input)])?)?;
        }
        Ok(())
    }
}

/// How each input of files stands.
#[derive(Debug, Default)]
struct Standing(Mutex<Vec<(&'static str, Arc<Gauges>)>>);

impl Standing {
    /// Of all inputs of a kind: what one is asked for, put together.
    fn by_input(
        &self,
        one: fn(&Gauges) -> &AtomicU64,
        both: fn(u64, u64) -> u64,
    ) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (input, gauges) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let value = all.entry(*input).or_default();
            *value = both(*value, one(gauges).load(Ordering::Relaxed));
        }
        all
    }
}

impl Collector for Standing {
    /// Asked when counts are read.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name, help, unit: Option<&Unit>, values: BTreeMap<&'static str, f64>| {
            let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            values.into_iter().try_for_each(|(input, value)| {
                ConstGauge::new(value).encode(metric.encode_family(&[("input", input)])?)
            })
        };
        let real = |values: BTreeMap<&'static str, u64>, of: f64| {
            values.into_iter().map(|(input, value)| (input, value as f64 / of)).collect()
        };
        let lag = self.by_input(|gauges| &gauges.lag, u64::saturating_add);
        gauge(
            "input_lag",
            "Bytes that an input knows of and has not delivered",
            Some(&Unit::Bytes),
            real(lag, 1.0),
        )?;
        let unreadable = self.by_input(|gauges| &gauges.unreadable, u64::saturating_add);
        gauge("input_unreadable_files", "Files that an input cannot read", None, real(unreadable, 1.0))?;
        let fullest = self.by_input(|gauges| &gauges.fullest, u64::max);
        let help = "How full the fullest volume is that an input's files are on, 0 to 1";
        gauge("input_volume_used", help, Some(&Unit::Other("ratio".to_owned())), real(fullest, 1e6))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::pod::batch::Origin;
    use crate::sanitize::Sanitizer;
    use crate::stream::{Out, Scrubber};

    #[test]
    fn batches_are_counted_and_how_long_they_wait() {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("kasm_scrub");
        metrics.register(&mut registry);
        let sanitizer = Arc::new(Sanitizer::builtin());
        let origin = Arc::new(Origin { input: "fifo", labels: Vec::new() });
        let mut batch = Batch::new(origin, sanitizer.clone());
        Scrubber::new(&*sanitizer).push(b"password=deadBeefdead1\nclean\n", &mut batch);
        batch.write(b"");
        let standing = [metrics.gauges("file"), metrics.clone().gauges("file"), metrics.gauges("cri")];
        for (gauges, bytes) in standing.iter().zip([3, 4, 5]) {
            gauges.lag.store(bytes, Ordering::Relaxed);
            gauges.unreadable.store(bytes, Ordering::Relaxed);
            gauges.fullest.store(bytes * 100_000, Ordering::Relaxed);
        }
        metrics.given(&batch);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).expect("memory");
            text
        };
        assert!(text().contains("kasm_scrub_input_oldest_seconds{input=\"fifo\"} "), "{}", text());
        metrics.delivered(&batch);
        let text = text();
        assert!(!text.contains("kasm_scrub_input_oldest_seconds{"), "{text}");
        for line in [
            "kasm_scrub_input_records_total{input=\"fifo\"} 2",
            "kasm_scrub_input_lag_bytes{input=\"file\"} 7.0",
            "kasm_scrub_input_lag_bytes{input=\"cri\"} 5.0",
            "kasm_scrub_input_unreadable_files{input=\"file\"} 7.0",
            "kasm_scrub_input_volume_used_ratio{input=\"file\"} 0.4",
            "kasm_scrub_input_findings_total{rule=\"password\",input=\"fifo\"} 1",
            "kasm_scrub_input_events_total{what=\"output_refused\"} 0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }
}
