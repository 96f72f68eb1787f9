//! The trail that adapters hold: takes what was found, from any thread, and has it written once a second.
//!
//! Invariants:
//! - Taking findings waits for no file. What is held is bounded: beyond [`MOST_KINDS`] and [`MOST_NAMED`] counts are joined.
//! - What could not be written stays and is written later; no count is lost while the process lives.
//! - After a failed write [`Trail::pass`] says no, unless it was set to go on.

use std::fmt;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::chain::Key;
use super::entry::Kind;
use super::file::{Anchor, CannotOpen, Limits, Writer};
use super::found::Found;
use super::pending::Pending;
use crate::sanitize::Sanitizer;

/// How long findings wait to be written with others.
const PERIOD: Duration = Duration::from_secs(1);
/// How long nothing is written before a checkpoint says that the trail is still kept.
const IDLE: Duration = Duration::from_secs(300);
/// How often it is said again that nothing can be written.
const REMIND: Duration = Duration::from_secs(60);
/// How long a write may take before it counts as failed, as far as records are concerned: a disk that hangs says nothing.
const STALLED: Duration = Duration::from_secs(10);
/// The stack of the thread that writes.
const STACK: usize = 512 << 10;

/// What happens to records while the trail cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// None pass.
    #[default]
    Stop,
    /// They pass. What was found is counted, and written if that becomes possible.
    Continue,
}

/// What becomes of a trail while it is kept.
#[derive(Clone, Copy, Debug)]
pub enum Told<'t> {
    /// It cannot be written; why.
    Failed(&'t str),
    /// It can be written again.
    Recovered,
    /// Files of it were removed by someone else, with entries from this one to that one.
    Lost(u64, u64),
    /// It was opened. What is told is the last entry that was there: who notes it elsewhere can tell later whether the end
    /// was cut off, or another trail put in its place.
    Opened(Anchor),
    /// It was closed, with this entry.
    Closed(Anchor),
}

/// What to tell the user. Nothing that was scanned is in it.
impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Recovered => f.write_str("the audit trail can be written again"),
            Self::Lost(from, to) => write!(
                f,
                "audit: files were removed by someone else: of entries {from} to {to} some or all are gone"
            ),
            Self::Opened(Anchor { trail, seq: None, .. }) => write!(f, "audit: new trail {trail}"),
            Self::Opened(Anchor { trail, seq: Some(seq), head }) => {
                write!(f, "audit: trail {trail} went on at entry {seq}, head {head}")
            }
            Self::Closed(Anchor { trail, seq, head }) => {
                write!(f, "audit: trail {trail} closed at entry {}, head {head}", seq.unwrap_or_default())
            }
        }
    }
}

/// Hears what becomes of a trail: what is told holds nothing that was scanned.
pub type Listener = Box<dyn Fn(Told<'_>) + Send + Sync>;

/// What a trail is opened with.
#[derive(Debug)]
pub struct Options {
    /// The file that is written now; full ones stand beside it.
    pub path: PathBuf,
    /// The key of checkpoints.
    pub key: Key,
    /// Sizes and numbers of files.
    pub limits: Limits,
    /// What happens while it cannot be written.
    pub when_full: WhenFull,
}

/// Nothing may pass: what is found could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held;

/// An audit trail that is kept. All adapters of a process share one.
pub struct Trail {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// What the thread that writes shares with those who note.
struct Shared {
    path: PathBuf,
    when_full: WhenFull,
    listener: Listener,
    pending: Mutex<Pending>,
    /// What is noted has no room for more pseudonyms, until it is written.
    is_full: AtomicBool,
    /// There is something to write, or the trail ends.
    woken: Condvar,
    writing: Mutex<Writing>,
    is_failing: AtomicBool,
    is_ending: AtomicBool,
    /// When it was opened, and how many milliseconds later a write began that has not ended; 0: none.
    opened: Instant,
    began: AtomicU64,
    written: AtomicU64,
    failures: AtomicU64,
    /// The number of the last entry.
    seq: AtomicU64,
}

/// The file, and since when it cannot be written.
struct Writing {
    writer: Writer,
    failing: Option<Failing>,
    is_closed: bool,
}

struct Failing {
    since: super::Time,
    why: String,
    said: Instant,
}

impl Trail {
    /// Opens a trail, or goes on with the one that is there.
    /// # Errors
    /// The file cannot be written, is in use, or does not end as a trail under this key does.
    pub fn open(options: Options, listener: Listener) -> Result<Self, CannotOpen> {
        let Options { path, key, limits, when_full } = options;
        let (mut writer, anchor) = Writer::open(&path, key, limits)?;
        listener(Told::Opened(anchor));
        if let Some((from, to)) = writer.take_lost() {
            listener(Told::Lost(from, to));
        }
        let seq = writer.anchor().seq.unwrap_or_default();
        let shared = Arc::new(Shared {
            path,
            when_full,
            listener,
            pending: Mutex::default(),
            is_full: AtomicBool::new(false),
            woken: Condvar::new(),
            writing: Mutex::new(Writing { writer, failing: None, is_closed: false }),
            is_failing: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            opened: Instant::now(),
            began: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            seq: AtomicU64::new(seq),
        });
        let own = shared.clone();
        let thread = thread::Builder::new().name("audit".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || own.run()).map_err(CannotOpen::System)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes what was found in a source by the rules of a sanitizer, and empties it. `source` is a label, clean as labels
    /// are: `stdin`, `otlp/logs`, `file:/var/log/app.log`.
    pub fn take(&self, source: &str, sanitizer: &Sanitizer, found: &mut Found) {
        if found.is_empty() {
            return;
        }
        let was_empty = {
            let mut pending = self.shared.pending();
            let was_empty = pending.is_empty();
            pending.take(source, sanitizer, found);
            self.shared.is_full.store(pending.is_full(), Ordering::Relaxed);
            was_empty
        };
        found.clear();
        if was_empty {
            self.shared.woken.notify_all();
        }
    }

    /// Notes findings of one rule, by its id and [`Sanitizer::digest`]. `pseudonym` is one as it is spelled in text.
    pub fn note(&self, source: &str, rule: &str, rules: &[u8; 32], pseudonym: Option<&str>, count: u64) {
        if count > 0 {
            self.shared.pending().note(source, rules, rule, pseudonym, count);
            self.shared.woken.notify_all();
        }
    }

    /// Whether pseudonyms are counted without until the next write: there are too many. A hint, which saves reading them.
    pub(super) fn is_full(&self) -> bool {
        self.shared.is_full.load(Ordering::Relaxed)
    }

    /// Whether records may pass.
    /// # Errors
    /// They may not: what is found could not be written, and the trail was not set to go on without.
    pub fn pass(&self) -> Result<(), Held> {
        let shared = &*self.shared;
        let is_held = shared.when_full == WhenFull::Stop
            && (shared.is_failing.load(Ordering::Relaxed) || shared.is_stalled());
        if is_held { Err(Held) } else { Ok(()) }
    }

    /// Writes what was noted, now.
    /// # Errors
    /// It could not be written, and stays.
    pub fn flush(&self) -> Result<(), Held> {
        self.shared.write(&[])
    }

    /// Why nothing can be written, if so; what to tell the user.
    pub fn fault(&self) -> Option<String> {
        let writing = self.shared.writing();
        writing.failing.as_ref().map(|failing| self.shared.cannot(&failing.why))
    }

    /// Entries of this process that were written, and writes that failed.
    pub fn counts(&self) -> (u64, u64) {
        let Shared { written, failures, .. } = &*self.shared;
        (written.load(Ordering::Relaxed), failures.load(Ordering::Relaxed))
    }

    /// The number of the last entry that was written.
    pub fn seq(&self) -> u64 {
        self.shared.seq.load(Ordering::Relaxed)
    }

    /// Whether the last write failed.
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing.load(Ordering::Relaxed)
    }

    /// Writes what was noted and that the trail ends. What is noted later is lost; later calls do nothing.
    /// # Errors
    /// It could not be written: [`Trail::fault`] says why.
    pub fn close(&self) -> Result<(), Held> {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        // The thread looks at the word with the lock held.
        drop(self.shared.pending());
        self.shared.woken.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It panics only where a listener does.
            let _ = thread.join();
        }
        self.shared.write(&[Kind::Close])
    }
}

/// A trail that nobody has closed is closed here, also when the engine has failed.
impl Drop for Trail {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.close();
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    /// Whether a write takes too long.
    fn is_stalled(&self) -> bool {
        let began = self.began.load(Ordering::Relaxed);
        began > 0 && self.millis() > began + STALLED.as_millis() as u64
    }

    fn cannot(&self, why: &str) -> String {
        format!("cannot write the audit trail {}: {why}", self.path.display())
    }

    /// Writes once a period while there is something to write, until the trail ends.
    fn run(&self) {
        let mut last = Instant::now();
        loop {
            let mut pending = self.pending();
            loop {
                if self.is_ending.load(Ordering::Relaxed) {
                    return;
                }
                let is_idle = pending.is_empty() && !self.is_failing.load(Ordering::Relaxed);
                let left = if is_idle { IDLE } else { PERIOD }.saturating_sub(last.elapsed());
                if left.is_zero() {
                    break;
                }
                pending = self.woken.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            let nothing = pending.is_empty();
            drop(pending);
            // What fails is said, and tried again.
            let _ = self.write(if nothing { &[Kind::Checkpoint] } else { &[] });
            last = Instant::now();
        }
    }

    /// Writes what was noted and `more` behind it.
    fn write(&self, more: &[Kind]) -> Result<(), Held> {
        let mut writing = self.writing();
        if writing.is_closed {
            return Ok(());
        }
        let taken = {
            let mut pending = self.pending();
            self.is_full.store(false, Ordering::Relaxed);
            mem::take(&mut *pending)
        };
        let mut kinds = Vec::new();
        if let Some(Failing { since, why, .. }) = &writing.failing {
            kinds.push(Kind::Gap { since: *since, why: why.clone() });
        }
        kinds.extend(taken.kinds());
        kinds.extend_from_slice(more);
        if kinds.is_empty() {
            return Ok(());
        }
        self.began.store(self.millis().max(1), Ordering::Relaxed);
        let wrote = writing.writer.write(&kinds);
        self.began.store(0, Ordering::Relaxed);
        match wrote {
            Ok(count) => {
                writing.is_closed = more.contains(&Kind::Close);
                if let Some((from, to)) = writing.writer.take_lost() {
                    (self.listener)(Told::Lost(from, to));
                }
                let anchor = writing.writer.anchor();
                self.seq.store(anchor.seq.unwrap_or_default(), Ordering::Relaxed);
                self.written.fetch_add(count, Ordering::Relaxed);
                self.is_failing.store(false, Ordering::Relaxed);
                if writing.failing.take().is_some() {
                    (self.listener)(Told::Recovered);
                }
                if writing.is_closed {
                    (self.listener)(Told::Closed(anchor));
                }
                Ok(())
            }
            Err(error) => {
                self.pending().merge(taken);
                self.failed(&mut writing, &error);
                Err(Held)
            }
        }
    }

    fn failed(&self, writing: &mut Writing, error: &io::Error) {
        self.is_failing.store(true, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let why = error.to_string();
        let is_old = writing.failing.as_ref().is_some_and(|failing| now < failing.said + REMIND);
        if !is_old {
            (self.listener)(Told::Failed(&self.cannot(&why)));
        }
        let failing = writing.failing.get_or_insert_with(|| Failing {
            since: super::now(),
            why: String::new(),
            said: now,
        });
        failing.why = why;
        if !is_old {
            failing.said = now;
        }
    }
}
