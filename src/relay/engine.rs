//! The scrubbers that requests share, and the rules that they work by: replaced as a whole, while requests go on.
//!
//! A panic is held here. The request it came from is not forwarded, and its scrubber is not used again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hyper::body::Bytes;

use super::fault::Fault;
use crate::audit::{Found, Trail};
use crate::finding::RuleIndex;
use crate::otlp::{Answer, Encoding, Policy, Scrubbed, Scrubber, Signal};
use crate::sanitize::{Key, Sanitizer};
use crate::scan::{Ask, Work};
use crate::stream;

/// Scrubbers that are kept for the next requests.
const KEPT: usize = 8;

/// One set of rules, and the scrubbers made of it.
#[derive(Debug)]
struct Generation {
    sanitizer: Arc<Sanitizer>,
    idle: Mutex<Vec<Scrubber>>,
}

impl Generation {
    fn new(sanitizer: Arc<Sanitizer>) -> Arc<Self> {
        Arc::new(Self { sanitizer, idle: Mutex::default() })
    }
}

/// Whether requests are scrubbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scrubbing {
    /// They are.
    #[default]
    On,
    /// They are forwarded raw, to measure what scrubbing costs. No option of the command line leads here.
    OffForMeasuring,
}

/// What has become of a request's message.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The new message, if it changed.
    pub(super) changed: Option<Vec<u8>>,
    /// The rules that found something, and how often.
    pub(super) findings: Vec<(String, u64)>,
    /// How many unknown fields were removed.
    pub(super) removed: usize,
    /// The findings for an audit trail, and whose rules they are.
    found: Found,
    sanitizer: Arc<Sanitizer>,
}

/// What an audit trail calls the rule by which unknown fields go.
const UNKNOWN_FIELD: &str = "unknown-field";

impl Outcome {
    /// Notes in an audit trail what was found.
    pub(super) fn note(&mut self, trail: &Trail, source: &str) {
        let Self { removed, found, sanitizer, .. } = self;
        trail.take(source, sanitizer, found);
        if *removed > 0 {
            trail.note(source, UNKNOWN_FIELD, sanitizer.digest(), None, *removed as u64);
        }
    }
}

/// Scrubs requests and answers, from any thread.
#[derive(Debug)]
pub(super) struct Engine {
    policy: Policy,
    scrubbing: Scrubbing,
    current: RwLock<Arc<Generation>>,
}

impl Engine {
    pub(super) fn new(sanitizer: Arc<Sanitizer>, policy: Policy, scrubbing: Scrubbing) -> Self {
        Self { policy, scrubbing, current: RwLock::new(Generation::new(sanitizer)) }
    }

    /// Goes over to other rules. Requests that are being scrubbed end by the old ones.
    pub(super) fn replace(&self, sanitizer: Arc<Sanitizer>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Generation::new(sanitizer);
    }

    fn current(&self) -> Arc<Generation> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rules in use.
    pub(super) fn sanitizer(&self) -> Arc<Sanitizer> {
        self.current().sanitizer.clone()
    }

    /// The most bytes of a message.
    pub(super) fn most_bytes(&self) -> usize {
        self.policy.most_bytes
    }

    /// Scrubs a message of ours.
    pub(super) fn scrub(&self, signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Outcome, Fault> {
        let never: Ask = Arc::new(|| false);
        self.scrub_until(signal, encoding, body, &never)
    }

    /// Scrubs the message of a request, unless it is stopped.
    pub(super) fn scrub_until(
        &self,
        signal: Signal,
        encoding: Encoding,
        body: &[u8],
        stop: &Ask,
    ) -> Result<Outcome, Fault> {
        let generation = self.current();
        let sanitizer = generation.sanitizer.clone();
        let clean =
            Outcome { changed: None, findings: Vec::new(), removed: 0, found: Found::default(), sanitizer };
        if self.scrubbing == Scrubbing::OffForMeasuring {
            return Ok(clean);
        }
        let scrub = |scrubber: &mut Scrubber| scrubber.scrub_until(signal, encoding, body, stop.clone());
        match self.with_scrubber(&generation, scrub)?? {
            Scrubbed::Clean => Ok(clean),
            Scrubbed::Changed(mut changed) => {
                let found = Found::of(&changed.findings, &changed.pseudonyms);
                changed.findings.sort_unstable();
                let rules = generation.sanitizer.rules();
                let findings = changed.findings.chunk_by(|a, b| a == b);
                let findings =
                    findings.filter_map(|run| Some((rules[*run.first()?].id.to_string(), run.len() as u64)));
                Ok(Outcome {
                    findings: findings.collect(),
                    removed: changed.removed,
                    changed: Some(changed.body),
                    found,
                    ..clean
                })
            }
        }
    }

    /// What the client gets to see of an answer, and how much was found in it. `None`: it cannot be read for certain.
    pub(super) fn scrub_answer(
        &self,
        answer: Answer,
        encoding: Encoding,
        body: &Bytes,
    ) -> Option<(Bytes, usize)> {
        let scrub = |scrubber: &mut Scrubber| scrubber.scrub_answer(answer, encoding, body);
        match self.with_scrubber(&self.current(), scrub).ok()?.ok()? {
            Scrubbed::Clean => Some((body.clone(), 0)),
            Scrubbed::Changed(changed) => {
                let count = changed.findings.len() + changed.removed;
                Some((changed.body.into(), count))
            }
        }
    }

    /// What the client gets to see of a text, a line of something else than a request. `None`: it cannot be told.
    pub(super) fn scrub_text(&self, key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let sanitizer = self.sanitizer();
        let key = if key.is_empty() { Key::None } else { Key::Name(key) };
        let clean = || sanitizer.clean(key, text, &mut Work::default()).into_owned();
        catch_unwind(AssertUnwindSafe(clean)).ok()
    }

    /// For values of one request's headers.
    pub(super) fn values(&self) -> Values {
        let sanitizer = self.sanitizer();
        Values { sanitizer, work: Work::default(), rules: Vec::new(), found: Found::default() }
    }

    /// What the client gets to see of lines of text.
    pub(super) fn scrub_lines(&self, text: &[u8]) -> Bytes {
        let sanitizer = self.sanitizer();
        let clean = || {
            let mut out = Vec::with_capacity(text.len());
            let mut scrubber = stream::Scrubber::new(sanitizer.clone());
            scrubber.push(text, &mut out);
            scrubber.finish(&mut out);
            out
        };
        catch_unwind(AssertUnwindSafe(clean)).map(Bytes::from).unwrap_or_default()
    }

    fn with_scrubber<T>(
        &self,
        generation: &Generation,
        work: impl FnOnce(&mut Scrubber) -> T,
    ) -> Result<T, Fault> {
        let idle = || generation.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut scrubber = taken.unwrap_or_else(|| Scrubber::new(generation.sanitizer.clone(), self.policy));
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut scrubber))).map_err(|_| Fault::Internal)?;
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(scrubber);
        }
        Ok(done)
    }
}

/// Scrubs single values, all by the same rules, and keeps in mind what was found.
pub(super) struct Values {
    sanitizer: Arc<Sanitizer>,
    work: Work,
    rules: Vec<RuleIndex>,
    found: Found,
}

impl Values {
    /// What goes on of a value that has this name. `None`: it cannot be told.
    pub(super) fn scrub(&mut self, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let Self { sanitizer, work, .. } = self;
        let scrub = || {
            let findings = sanitizer.scanner().scan_keyed(name, value, work);
            let rules: Vec<RuleIndex> = findings.iter().map(|finding| finding.rule).collect();
            let (mut out, mut named) = (Vec::with_capacity(value.len()), Vec::new());
            sanitizer.write_noting(
                value,
                findings,
                &mut |bytes| out.extend_from_slice(bytes),
                &mut |rule, name| {
                    named.push((rule, name));
                },
            );
            (out, rules, named)
        };
        let Ok((out, rules, named)) = catch_unwind(AssertUnwindSafe(scrub)) else {
            self.work = Work::default();
            return None;
        };
        for &(rule, name) in &named {
            self.found.named(rule, name);
        }
        let plain = rules.iter().filter(|rule| !named.iter().any(|(named, _)| named == *rule));
        plain.for_each(|&rule| self.found.found(rule));
        self.rules.extend(rules);
        Some(out)
    }

    /// The ids of the rules that found something, once for each finding.
    pub(super) fn findings(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|&rule| &*self.sanitizer.rules()[rule].id)
    }

    /// Notes in an audit trail what was found.
    pub(super) fn note(mut self, trail: &Trail, source: &str) {
        trail.take(source, &self.sanitizer, &mut self.found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrubber_that_panicked_is_not_used_again() {
        let engine = Engine::new(Arc::new(Sanitizer::builtin()), Policy::default(), Scrubbing::On);
        let generation = engine.current();
        let idle = || generation.idle.lock().expect("no panic holds it").len();
        assert!(engine.with_scrubber(&generation, |_| ()).is_ok());
        assert_eq!(idle(), 1);
        let panicked = engine.with_scrubber(&generation, |_| {
            if true {
                panic!("as the engine might")
            }
        });
        assert_eq!((panicked, idle()), (Err(Fault::Internal), 0));
        let outcome = engine.scrub(Signal::Logs, Encoding::Json, br#"{"resourceLogs":[]}"#);
        assert!(outcome.is_ok_and(|outcome| outcome.changed.is_none()));
    }
}
