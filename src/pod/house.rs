//! What all inputs are given: the rules in use, the output, the word to stop, and where things are counted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::batch::{Batch, Details};
use crate::audit::{Found, Trail};
use crate::sanitize::Sanitizer;

/// How often it is looked whether the audit trail can be written again.
const HOLD: Duration = Duration::from_millis(100);

/// The output takes nothing more: the time to drain is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Where records go.
pub trait Output: Send + Sync {
    /// Takes all records of a batch: returns when they are where they are kept (written, or acknowledged by who is
    /// upstream). What fails meanwhile is tried again, said and counted; that may take long, and holds the input up.
    /// # Errors
    /// The time to drain is over (`stopping`), and not all of it is kept.
    fn deliver(&self, batch: &Batch, stopping: &Stopping) -> Result<(), Stopped>;
}

/// How an input of files stands.
#[derive(Debug, Default)]
pub struct Gauges {
    /// How many bytes it knows of and has not delivered yet.
    pub lag: AtomicU64,
    /// How many files it cannot read.
    pub unreadable: AtomicU64,
    /// How full the fullest volume is that its files are on, in millionths.
    pub fullest: AtomicU64,
}

/// What is counted of inputs and outputs. Labels are few, and never text of a record.
pub trait Counts: Send + Sync {
    /// A batch is given to the output. Until [`Self::delivered`] or [`Self::left`] it waits.
    fn given(&self, batch: &Batch) {
        let _ = batch;
    }

    /// A batch was delivered.
    fn delivered(&self, batch: &Batch);

    /// A batch was not delivered, and will not be.
    fn left(&self, batch: &Batch) {
        let _ = batch;
    }

    /// Where an input of this kind says how it stands. Each has its own.
    fn gauges(&self, input: &'static str) -> Arc<Gauges> {
        let _ = input;
        Arc::default()
    }

    /// An event happened so many times.
    fn events(&self, what: &'static str, count: u64) {
        (0..count).for_each(|_| self.event(what));
    }

    /// Something happened to an input or output as a whole: a word of our own, such as `rotated` or `output_failed`.
    fn event(&self, what: &'static str);
}

/// The most that the last part of the time to drain is long, in thousandths of a second.
const MOST_LAST: u64 = 5000;

/// The word to stop: inputs take what is there and end, until the deadline at the latest.
#[derive(Debug, Default)]
pub struct Stopping {
    deadline: Mutex<Option<Instant>>,
    /// From when on nothing new is to be read, in thousandths of a second before the deadline.
    last: AtomicU64,
    said: Condvar,
}

impl Stopping {
    /// Says the word; what is not done in `most` is left.
    pub fn start(&self, most: Duration) {
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        let last = u64::try_from(most.as_millis() / 4).unwrap_or(u64::MAX).min(MOST_LAST);
        if deadline.is_none() {
            self.last.store(last, Ordering::Relaxed);
        }
        deadline.get_or_insert(Instant::now() + most);
        self.said.notify_all();
    }

    /// Ends the time to drain now: nothing can be delivered any more.
    pub fn give_up(&self) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.said.notify_all();
    }

    /// Whether the last part of the time to drain has begun: what was read must be delivered, and nothing new is to be read.
    pub fn is_late(&self) -> bool {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        let deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| deadline <= Instant::now() + last)
    }

    /// Whether the word was said.
    pub fn is_draining(&self) -> bool {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether the time to drain is over.
    pub fn is_over(&self) -> bool {
        let deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits for so long, less if the word is said meanwhile or the time to drain ends. While draining it waits no longer
    /// than to the deadline.
    pub fn wait(&self, most: Duration) {
        let until = Instant::now() + most;
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        let was_said = deadline.is_some();
        loop {
            let until = deadline.map_or(until, |deadline| deadline.min(until));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || deadline.is_some() != was_said {
                return;
            }
            deadline = self.said.wait_timeout(deadline, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The most bytes of a record that has not ended.
const MOST_BEGUN: usize = 1 << 20;

/// What all inputs are given.
pub struct House {
    sanitizer: RwLock<Arc<Sanitizer>>,
    output: Box<dyn Output>,
    counts: Box<dyn Counts>,
    audit: Option<Arc<Trail>>,
    /// Something was not delivered when the time to drain was over.
    has_left: AtomicBool,
    /// The word to stop.
    pub stopping: Stopping,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}

impl House {
    /// A house with these rules and this output.
    pub fn new(sanitizer: Arc<Sanitizer>, output: Box<dyn Output>, counts: Box<dyn Counts>) -> Self {
        Self {
            sanitizer: RwLock::new(sanitizer),
            output,
            counts,
            audit: None,
            has_left: AtomicBool::new(false),
            stopping: Stopping::default(),
        }
    }

    /// A house that keeps an audit trail.
    pub fn with_audit(self, audit: Option<Arc<Trail>>) -> Self {
        Self { audit, ..self }
    }

    /// The rules in use. An input asks for them again whenever its stream is settled.
    pub fn sanitizer(&self) -> Arc<Sanitizer> {
        self.sanitizer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes over to other rules.
    pub fn replace(&self, sanitizer: Arc<Sanitizer>) {
        *self.sanitizer.write().unwrap_or_else(PoisonError::into_inner) = sanitizer;
    }

    /// Gives the records of a batch to the output, counts it, and empties it. An empty one is nothing to do. What has begun of
    /// a record stays in it, up to a limit: a line without an end is cut there into several records.
    /// # Errors
    /// The time to drain is over; the batch stays as it is and was not delivered, or not known to be.
    pub fn deliver(&self, batch: &mut Batch) -> Result<(), Stopped> {
        if batch.begun() > MOST_BEGUN {
            self.counts.event("record_cut");
            let labels = vec![("log.line.continues".into(), "true".to_owned())];
            batch.end_record(Details { labels, ..Details::default() });
        }
        if batch.records().next().is_none() {
            return Ok(());
        }
        self.counts.given(batch);
        if let Err(stopped) = self.hold().and_then(|()| self.output.deliver(batch, &self.stopping)) {
            self.counts.left(batch);
            self.has_left.store(true, Ordering::Relaxed);
            return Err(stopped);
        }
        self.counts.delivered(batch);
        if let Some(trail) = &self.audit {
            let mut found = Found::of(batch.found(), batch.named());
            trail.take(&batch.origin.source(), &batch.sanitizer, &mut found);
        }
        batch.clear();
        Ok(())
    }

    /// Waits while what is found cannot be written to the audit trail.
    fn hold(&self) -> Result<(), Stopped> {
        let Some(trail) = &self.audit else { return Ok(()) };
        while trail.pass().is_err() {
            if self.stopping.is_over() {
                return Err(Stopped);
            }
            self.stopping.wait(HOLD);
        }
        Ok(())
    }

    /// Something is left that was not delivered.
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::Relaxed);
    }

    /// Whether something was not delivered when the time to drain was over.
    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    /// Where an input of a kind says how it stands.
    pub fn gauges(&self, input: &'static str) -> Arc<Gauges> {
        self.counts.gauges(input)
    }

    /// Counts an event so many times.
    pub fn events(&self, what: &'static str, count: u64) {
        self.counts.events(what, count);
    }

    /// Counts an event.
    pub fn event(&self, what: &'static str) {
        self.counts.event(what);
    }
}

/// For tests: takes everything and keeps nothing.
#[cfg(test)]
pub(super) struct Everything;

#[cfg(test)]
impl Output for Everything {
    fn deliver(&self, _: &Batch, _: &Stopping) -> Result<(), Stopped> {
        Ok(())
    }
}

#[cfg(test)]
impl Counts for Everything {
    fn delivered(&self, _: &Batch) {}
    fn event(&self, _: &'static str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scrubber;
    use crate::audit::{Key, Limits, Options, WhenFull};
    use crate::pod::Origin;

    #[test]
    fn what_was_delivered_is_noted_and_nothing_passes_that_cannot_be() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("audit.jsonl");
        let key = Key::new("a1", b"dead beef dead beef").expect("a key");
        let options =
            Options { path: path.clone(), key, limits: Limits::default(), when_full: WhenFull::Stop };
        let trail = Arc::new(Trail::open(options, Box::new(|_| {})).expect("a trail"));
        let sanitizer = Arc::new(Sanitizer::builtin());
        let house = House::new(sanitizer.clone(), Box::new(Everything), Box::new(Everything))
            .with_audit(Some(trail.clone()));
        let labels = vec![("file.path".into(), "/var/log/a.log".to_owned())];
        let mut batch = Batch::new(Arc::new(Origin { input: "file", labels }), sanitizer.clone());
        let fill = |batch: &mut Batch| {
            let mut scrubber = Scrubber::new(sanitizer.clone());
            scrubber.push(b"password=deadBeef1\npassword=deadBeef2\n", batch);
            scrubber.finish(batch);
        };
        fill(&mut batch);
        house.deliver(&mut batch).expect("delivered");
        trail.flush().expect("room");
        let text = std::fs::read_to_string(&path).expect("a trail");
        assert!(text.contains("\"source\":\"file:/var/log/a.log\",\"rule\":\"password\""), "{text}");
        assert!(text.contains("\"count\":2") && !text.contains("deadBeef"), "{text}");
        std::fs::remove_file(&path).expect("a file");
        fill(&mut batch);
        house.deliver(&mut batch).expect("it does not know yet");
        assert!(trail.flush().is_err());
        fill(&mut batch);
        house.stopping.start(Duration::ZERO);
        assert_eq!(house.deliver(&mut batch), Err(Stopped));
        assert_eq!(batch.records().count(), 2, "what was not delivered stays");
    }
}
