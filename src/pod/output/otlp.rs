//! OTLP upstream: a batch as requests of logs, through the relay's client. It is delivered when the upstream has
//! acknowledged all of it.
//!
//! What the upstream refuses for good goes to the dead-letter file if there is one; else it is dropped, said and counted:
//! a record that nobody will ever take must not hold up all that come behind it. Where the upstream does not say whether the
//! request is at fault or itself, nothing is dropped: it is tried again, for good where there is no dead-letter file, else for
//! minutes, and then in halves, so that only the record at fault goes there.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::file::{File, FileSettings};
use super::{Format, line};
use crate::otlp::{LogRecord, Records};
use crate::pod::batch::{Batch, Record};
use crate::pod::house::{Output, Stopped, Stopping};
use crate::pod::metrics::Metrics;
use crate::pod::time::now;
use crate::relay::{LogsUpstream, Verdict};

/// The most bytes of records in a request; one record may be longer.
const MOST_BYTES: usize = 1 << 20;
/// The most records in a request.
const MOST_RECORDS: usize = 8 << 10;
/// How often a record is tried, at least, of which the upstream does not say whether it is at fault.
const DOUBTS: u32 = 5;
/// How long a request is tried of which the upstream does not say whether it is at fault, before it is halved.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long to wait at most while draining, whatever the upstream wishes: what is not delivered then may be lost.
const WHILE_DRAINING: Duration = Duration::from_secs(1);

/// What the output is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// Where records are written that the upstream refuses for good.
    pub dead_letter: Option<PathBuf>,
    /// How long a request is tried of which the upstream does not say whether it is at fault, before what is at fault is
    /// looked for and written to `dead_letter`. Without that it is tried for good.
    pub patience: Duration,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self { dead_letter: None, patience: PATIENCE }
    }
}

/// OTLP upstream.
#[derive(Debug)]
pub struct Otlp {
    upstream: LogsUpstream,
    dead_letter: Option<File>,
    patience: Duration,
    metrics: Metrics,
    /// Our log has said that the upstream does not take anything.
    has_said: AtomicBool,
}

type Part<'b> = (&'b Record, &'b [u8]);

impl Otlp {
    /// Sends there.
    /// # Errors
    /// The dead-letter file cannot be opened.
    pub fn new(settings: OtlpSettings, upstream: LogsUpstream, metrics: Metrics) -> io::Result<Self> {
        let open =
            |path| File::open(FileSettings { max_size: None, ..FileSettings::at(path) }, metrics.clone());
        let dead_letter = settings.dead_letter.map(open).transpose()?;
        let patience = settings.patience;
        Ok(Self { upstream, dead_letter, patience, metrics, has_said: AtomicBool::new(false) })
    }

    /// Sends some records of a batch until they are taken, or refused for good. `patience`: how long it may be in doubt
    /// whether they are at fault.
    fn send(
        &self,
        batch: &Batch,
        part: &[Part<'_>],
        read: u64,
        patience: Duration,
        stopping: &Stopping,
    ) -> Result<(), Stopped> {
        let request = request(batch, part, read);
        let halves = |patience| {
            let (one, other) = part.split_at(part.len() / 2);
            self.send(batch, one, read, patience, stopping)?;
            self.send(batch, other, read, patience, stopping)
        };
        let mut backoff = Backoff::default();
        let mut doubted: Option<Instant> = None;
        loop {
            match self.upstream.send(&request, || stopping.is_over()).ok_or(Stopped)? {
                Verdict::Taken { rejected, why } => {
                    return self.taken(batch, part, read, rejected, &why, stopping);
                }
                Verdict::TooLarge if part.len() > 1 => return halves(patience),
                Verdict::TooLarge => return self.refused(batch, part, read, "it is too large", stopping),
                Verdict::Refused { why } => return self.refused(batch, part, read, &why, stopping),
                Verdict::Doubtful { why } => {
                    let doubted = doubted.get_or_insert_with(Instant::now);
                    let is_patient = self.dead_letter.is_none() || doubted.elapsed() < patience;
                    if !is_patient && part.len() > 1 {
                        return halves(Duration::ZERO);
                    }
                    if !is_patient && backoff.tries() + 1 >= DOUBTS {
                        return self.refused(batch, part, read, &why, stopping);
                    }
                    self.wait(backoff.next(None), &why, stopping)?;
                }
                Verdict::Again { after, why } => self.wait(backoff.next(after), &why, stopping)?,
            }
        }
    }

    /// A request was taken, but for so many of its records. Which of them the protocol does not say: where it is not all, all
    /// of them are kept.
    fn taken(
        &self,
        batch: &Batch,
        part: &[Part<'_>],
        read: u64,
        rejected: u64,
        why: &str,
        stopping: &Stopping,
    ) -> Result<(), Stopped> {
        if self.has_said.swap(false, Ordering::Relaxed) {
            tracing::info!("the upstream takes records again");
        }
        if rejected == 0 {
            return Ok(());
        }
        self.metrics.events("output_rejected", rejected);
        let Some(file) = &self.dead_letter else {
            tracing::warn!(
                rejected,
                why,
                "the upstream has taken a request but for some records; they are lost (dead_letter names a file for them)"
            );
            return Ok(());
        };
        tracing::warn!(
            rejected,
            of = part.len(),
            why,
            "the upstream has taken a request but for some records, and does not say which; all of it is in the \
             dead-letter file"
        );
        keep(file, batch, part, read, stopping)
    }

    fn wait(&self, wait: Duration, why: &str, stopping: &Stopping) -> Result<(), Stopped> {
        self.metrics.event("output_retried");
        if !self.has_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "the upstream does not take records; trying again, and holding inputs up");
        }
        stopping.wait(if stopping.is_draining() { wait.min(WHILE_DRAINING) } else { wait });
        if stopping.is_over() { Err(Stopped) } else { Ok(()) }
    }

    fn refused(
        &self,
        batch: &Batch,
        part: &[Part<'_>],
        read: u64,
        why: &str,
        stopping: &Stopping,
    ) -> Result<(), Stopped> {
        let records = part.len();
        self.metrics.events("output_refused", records as u64);
        let Some(file) = &self.dead_letter else {
            self.metrics.events("output_dropped", records as u64);
            tracing::error!(
                records,
                why,
                "the upstream refuses records for good; they are lost (dead_letter names a file for them)"
            );
            return Ok(());
        };
        tracing::error!(
            records,
            why,
            "the upstream refuses records for good; they are in the dead-letter file"
        );
        keep(file, batch, part, read, stopping)
    }
}

/// Writes records to the dead-letter file.
fn keep(
    file: &File,
    batch: &Batch,
    part: &[Part<'_>],
    read: u64,
    stopping: &Stopping,
) -> Result<(), Stopped> {
    file.write(stopping, |out| {
        for (record, text) in part {
            line::write_record(Format::Json, batch, &record.details, text, read, out);
        }
    })
}

/// Some records of a batch as a request.
fn request(batch: &Batch, part: &[Part<'_>], read: u64) -> Vec<u8> {
    let labels = batch.origin.labels.iter().map(|(name, value)| (&**name, value.as_str()));
    let mut records = Records::new([("kasm_scrub.input", batch.origin.input)].into_iter().chain(labels));
    for (record, text) in part {
        let details = &record.details;
        let log = LogRecord {
            time: details.time.unwrap_or_default(),
            observed: read,
            severity: details.severity,
            body: text,
        };
        records.push(&log, details.labels.iter().map(|(name, value)| (&**name, value.as_str())));
    }
    records.take()
}

/// How many of these records fit a request; at least one.
fn fitting(records: &[Part<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |(record, text): &&Part<'_>| {
        let labels: usize =
            record.details.labels.iter().map(|(name, value)| name.len() + value.len() + 12).sum();
        bytes += text.len() + labels + 48;
        bytes <= MOST_BYTES
    };
    records.iter().take(MOST_RECORDS).take_while(fits).count().max(1)
}

impl Output for Otlp {
    fn deliver(&self, batch: &Batch, stopping: &Stopping) -> Result<(), Stopped> {
        let read = now();
        let records: Vec<Part<'_>> = batch.records().collect();
        let mut left = &records[..];
        while !left.is_empty() {
            let (part, rest) = left.split_at(fitting(left));
            self.send(batch, part, read, self.patience, stopping)?;
            left = rest;
        }
        Ok(())
    }
}
