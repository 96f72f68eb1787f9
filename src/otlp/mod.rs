//! OTLP: requests with traces, logs or metrics, and what is answered to them, scrubbed in the encoding they come in.
//!
//! A pure function: bytes → clean, changed, or refused. There is no network here and no compression. What is clean is to be
//! forwarded as it came; what is refused is not to be forwarded.
//!
//! A request is not decoded. It is read where it stands, by a table of the protocol's messages, for every string in it;
//! each is scanned as a record of its own, below the key it belongs to. What is found is replaced there, and lengths are
//! put right.
//!
//! What an upstream answers may quote what was sent, so it is scrubbed as well ([`Scrubber::scrub_answer`]). Where client and
//! upstream speak different encodings, [`to_protobuf`] turns a request into the upstream's, and [`answer_to_json`] or
//! [`answer_to_protobuf`] an answer into the client's.
//!
//! ```
//! use std::sync::Arc;
//!
//! use kasm_scrub::Sanitizer;
//! use kasm_scrub::otlp::{Encoding, Policy, Scrubbed, Scrubber, Signal};
//!
//! let mut scrubber = Scrubber::new(Arc::new(Sanitizer::builtin()), Policy::default());
//! let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"password=hunter2"}}]}]}]}"#;
//! let Ok(Scrubbed::Changed(changed)) = scrubber.scrub(Signal::Logs, Encoding::Json, body) else { panic!() };
//! assert!(changed.body.windows(29).any(|text| text == b"\"password=[REDACTED:password]"));
//! ```

mod answer;
mod composite;
mod distinct;
mod json;
mod judge;
mod leaves;
mod opaque;
mod portion;
mod records;
mod refused;
mod rewrite;
mod schema;
mod seen;
mod shapes;
mod split;
mod status;
mod types;
mod walk;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use crate::finding::RuleIndex;
use crate::learned::Learned;
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::scan::{Ask, LineStarts, Scanner, Work};

pub use answer::{Answer, answer_to_json, answer_to_protobuf, partial_success, write_partial_success};
pub use records::{LogRecord, Records, severity_text};
pub use refused::{Malformed, Refused};
pub use split::{Part, Parts, Sizes};
pub use status::{retry_delay, status_message, status_with_code, write_status, write_status_json};

use distinct::Distinct;
use judge::Judge;
use leaves::Leaves;
use portion::{PORTION, Portions};
use rewrite::Edits;
use schema::Message;
use seen::Seen;

/// The most bytes of a request, when it is not said: what OTLP 1.11 recommends.
pub const MOST_BYTES: usize = 64 << 20;

/// What a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportLogsServiceRequest`.
    Logs,
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportProfilesServiceRequest`: refused.
    Profiles,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The wire format of protobuf.
    Protobuf,
    /// OTLP's JSON.
    Json,
}

/// What becomes of fields that the protocol, as it is known here, does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are looked at as text, and go if anything is found in them.
    #[default]
    Scan,
    /// They go.
    Remove,
}

/// What may be taken and how it is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Unknown fields.
    pub unknown: Unknown,
    /// The most bytes of a request; at most [`MOST_BYTES`].
    pub most_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { unknown: Unknown::Scan, most_bytes: MOST_BYTES }
    }
}

/// A request, scrubbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scrubbed {
    /// Nothing was found: it is to be forwarded as it came.
    Clean,
    /// This is to be forwarded in its place.
    Changed(Changed),
}

/// What has become of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Changed {
    /// The new request.
    pub body: Vec<u8>,
    /// The rules that found something, one for each finding.
    pub findings: Vec<RuleIndex>,
    /// The pseudonyms of those that got one.
    pub pseudonyms: Vec<(RuleIndex, Pseudonym)>,
    /// How many unknown fields were removed.
    pub removed: usize,
}

impl std::fmt::Debug for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { body, findings, pseudonyms: _, removed } = self;
        let mut shown = f.debug_struct("Changed");
        shown.field("len", &body.len()).field("findings", findings).field("removed", removed).finish()
    }
}

/// Scrubs requests, one after the other. What one request leaves behind for the next is only what was clean in it: the
/// outcome is the same without it.
#[derive(Debug)]
pub struct Scrubber {
    sanitizer: Arc<Sanitizer>,
    policy: Policy,
    starts: LineStarts,
    stack: walk::Stack,
    seen: Seen,
    leaves: Leaves,
    judge: Judge,
    /// How much of a request is judged at once.
    portion: usize,
}

impl Scrubber {
    /// A scrubber by these rules.
    pub fn new(sanitizer: Arc<Sanitizer>, policy: Policy) -> Self {
        let starts = sanitizer.scanner().line_starts();
        let looks_at_numbers = sanitizer.scanner().learned().is_some_and(Learned::may_be_numbers);
        Self {
            sanitizer,
            policy,
            starts,
            stack: walk::Stack::default(),
            seen: Seen::new(looks_at_numbers),
            leaves: Leaves::default(),
            judge: Judge::default(),
            portion: PORTION,
        }
    }

    /// Scrubs a request, which is not compressed.
    /// # Errors
    /// What cannot be read for certain is refused.
    pub fn scrub(&mut self, signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Scrubbed, Refused> {
        let root = root(signal).ok_or(Refused::Profiles)?;
        self.scrub_message(root, encoding, self.policy.unknown, body)
    }

    /// As [`scrub`](Self::scrub), but it is stopped once `stop` says so. That is asked often, within long texts as well, so it
    /// has to answer soon. Nothing is kept of a request that was stopped.
    /// # Errors
    /// As [`scrub`](Self::scrub), and [`Refused::Stopped`].
    pub fn scrub_until(
        &mut self,
        signal: Signal,
        encoding: Encoding,
        body: &[u8],
        stop: Ask,
    ) -> Result<Scrubbed, Refused> {
        self.judge.stop_when(Some(stop));
        let outcome = self.scrub(signal, encoding, body);
        self.judge.stop_when(None);
        outcome
    }

    /// Scrubs what is a message of this kind.
    fn scrub_message(
        &mut self,
        root: &'static Message,
        encoding: Encoding,
        unknown: Unknown,
        body: &[u8],
    ) -> Result<Scrubbed, Refused> {
        let most = self.policy.most_bytes.min(MOST_BYTES);
        if body.len() > most {
            return Err(Refused::TooLarge { most });
        }
        let outcome = self.scrub_portions(root, encoding, unknown == Unknown::Remove, body);
        // Also of what was refused nothing is kept.
        self.leaves.shrink();
        self.judge.shrink();
        outcome
    }

    fn scrub_portions(
        &mut self,
        root: &'static Message,
        encoding: Encoding,
        strict: bool,
        body: &[u8],
    ) -> Result<Scrubbed, Refused> {
        let Self { sanitizer, starts, stack, seen, leaves, judge, portion, .. } = self;
        let mut edits = Edits::default();
        let mut decide = |leaves: &mut Leaves, seen: &mut Seen| {
            judge.judge(sanitizer, starts, strict, body, leaves, seen)?;
            match encoding {
                Encoding::Protobuf => rewrite::note(leaves, judge, &mut edits),
                Encoding::Json => json::note(body, leaves, judge, &mut edits),
            }
            leaves.clear();
            edits.check()
        };
        let mut portions = Portions { size: *portion, judge: &mut decide };
        match encoding {
            Encoding::Protobuf => walk::walk(body, root, strict, stack, seen, leaves, &mut portions)?,
            Encoding::Json => json::walk(body, root, seen, leaves, &mut portions)?,
        }
        decide(leaves, seen)?;
        if edits.is_empty() {
            return Ok(Scrubbed::Clean);
        }
        if edits.have_keys() {
            keep_apart(sanitizer.scanner(), &mut judge.work, root, encoding, body, &mut edits)?;
        }
        let body = match encoding {
            Encoding::Protobuf => rewrite::protobuf(body, root, &edits)?,
            Encoding::Json => edits.splice(body),
        };
        let (findings, pseudonyms) = (std::mem::take(&mut judge.found), std::mem::take(&mut judge.named));
        Ok(Scrubbed::Changed(Changed { body, findings, pseudonyms, removed: judge.removed }))
    }
}

/// Keeps keys of one map apart that have become alike.
fn keep_apart(
    scanner: &Scanner,
    work: &mut Work,
    root: &'static Message,
    encoding: Encoding,
    body: &[u8],
    edits: &mut Edits,
) -> Result<(), Refused> {
    let stays = &mut |key: &[u8], other: &[u8]| {
        scanner.scan_keyed(b"", key, work).is_empty() && scanner.knows_key(key) == scanner.knows_key(other)
    };
    match encoding {
        Encoding::Protobuf => {
            Distinct::new(body, edits, |key| Cow::Borrowed(key), stays).message(root, 0..body.len())
        }
        Encoding::Json => json::keep_apart(&mut Distinct::new(body, edits, json::read, stays), root),
    }?;
    // What was decided then counts for nothing.
    if work.should_stop() { Err(Refused::Stopped) } else { Ok(()) }
}

/// The bytes that base64 stands for, as headers hold it. `None`: it is none.
#[cfg(feature = "otlp")]
pub(crate) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    json::text::from_base64(text, &mut bytes).then_some(bytes)
}

/// Bytes as base64, with padding.
#[cfg(feature = "otlp")]
pub(crate) fn to_base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() / 3 * 4 + 4);
    json::text::to_base64(bytes, &mut text);
    text
}

/// A request in JSON as protobuf, for an upstream that takes no JSON. What comes out is what is to be scrubbed: nothing else
/// is sent.
///
/// Unknown members are left out, and so is what is `null`. Of strings, what is no UTF-8 and halves of pairs of surrogates
/// become U+FFFD. Names may be spelled in both ways, an `enum` may be a number or a name.
/// # Errors
/// What cannot be read for certain is refused, and so are numbers that have no room in their fields, and requests that
/// have over [`MOST_BYTES`] in either encoding.
pub fn to_protobuf(signal: Signal, json: &[u8]) -> Result<Vec<u8>, Refused> {
    json::to_wire(json, root(signal).ok_or(Refused::Profiles)?)
}

/// The message that a request of a signal is.
fn root(signal: Signal) -> Option<&'static Message> {
    match signal {
        Signal::Traces => Some(&schema::TRACES),
        Signal::Logs => Some(&schema::LOGS),
        Signal::Metrics => Some(&schema::METRICS),
        Signal::Profiles => None,
    }
}
