//! A folder with files, a tail that reads them, and what it delivers.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kasm_scrub::Sanitizer;
use kasm_scrub::pod::tail::{CannotStart, Format, Tail, TailSettings};
use kasm_scrub::pod::{Batch, Counts, Details, Gauges, House, Origin, Output, Stopped, Stopping};
use tempfile::TempDir;

/// How long something may take that comes for sure.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A record as it was delivered.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) text: Vec<u8>,
    pub(super) origin: Arc<Origin>,
    pub(super) details: Details,
}

/// What was delivered and what has happened.
#[derive(Default)]
pub(super) struct Sink {
    records: Mutex<Vec<Kept>>,
    events: Mutex<Vec<&'static str>>,
    pub(super) gauges: Arc<Gauges>,
    has_come: Condvar,
    /// Whether the output takes nothing.
    is_shut: AtomicBool,
}

struct Shared(Arc<Sink>);

impl Output for Shared {
    fn deliver(&self, batch: &Batch, stopping: &Stopping) -> Result<(), Stopped> {
        while self.0.is_shut.load(Ordering::SeqCst) {
            if stopping.is_over() {
                return Err(Stopped);
            }
            thread::sleep(Duration::from_millis(2));
        }
        let kept = |(record, text): (&kasm_scrub::pod::Record, &[u8])| Kept {
            text: text.to_vec(),
            origin: batch.origin.clone(),
            details: record.details.clone(),
        };
        self.0.records.lock().unwrap().extend(batch.records().map(kept));
        self.0.has_come.notify_all();
        Ok(())
    }
}

impl Counts for Shared {
    fn delivered(&self, _: &Batch) {}

    fn gauges(&self, _: &'static str) -> Arc<Gauges> {
        self.0.gauges.clone()
    }

    fn event(&self, what: &'static str) {
        self.0.events.lock().unwrap().push(what);
        self.0.has_come.notify_all();
    }
}

impl Sink {
    pub(super) fn shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::SeqCst);
    }

    pub(super) fn records(&self) -> Vec<Kept> {
        self.records.lock().unwrap().clone()
    }

    /// What was delivered, as text.
    pub(super) fn texts(&self) -> Vec<String> {
        self.records().iter().map(|kept| String::from_utf8_lossy(&kept.text).into_owned()).collect()
    }

    pub(super) fn events(&self) -> Vec<&'static str> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until so many records have come.
    pub(super) fn wait_for(&self, count: usize) {
        let mut records = self.records.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        while records.len() < count {
            assert!(Instant::now() < end, "{} of {count} records", records.len());
            records = self.has_come.wait_timeout(records, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// Waits until this record has come.
    pub(super) fn wait_for_text(&self, text: &str) {
        let mut count = 1;
        while !self.texts().iter().any(|own| own == text) {
            self.wait_for(count);
            count = self.records().len() + 1;
        }
    }

    /// Waits until something has happened.
    pub(super) fn wait_for_event(&self, what: &str) {
        let mut events = self.events.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        while !events.contains(&what) {
            assert!(Instant::now() < end, "no {what} among {events:?}");
            events = self.has_come.wait_timeout(events, Duration::from_millis(100)).unwrap().0;
        }
    }
}

/// A folder, and how its files are read.
pub(super) struct Stage {
    folder: TempDir,
    pub(super) settings: TailSettings,
}

impl Stage {
    /// Files by a pattern below the folder.
    pub(super) fn new(pattern: &str) -> Self {
        Self::of(pattern, Format::Lines)
    }

    pub(super) fn of(pattern: &str, format: Format) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("logs")).unwrap();
        let mut settings = TailSettings::new(
            vec![path("logs").join(pattern).display().to_string()],
            format,
            path("state/checkpoint"),
        );
        settings.poll = Duration::from_millis(200);
        settings.quiet = Duration::from_millis(300);
        settings.lingers = Duration::from_millis(600);
        Self { folder, settings }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    /// A file to be written on.
    pub(super) fn file(&self, name: &str) -> File {
        append(&self.path(name))
    }

    /// Writes at the end of a file.
    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.file(name).write_all(text.as_ref()).unwrap();
    }

    /// Whoever reads it may keep a checkpoint there.
    pub(super) fn open_to_all(&self) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn start(&self) -> Tailing {
        self.start_with(Arc::default())
    }

    pub(super) fn start_with(&self, sink: Arc<Sink>) -> Tailing {
        Tailing::start(self.settings.clone(), sink, Sanitizer::builtin())
    }
}

pub(super) fn append(path: &Path) -> File {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// A tail that runs.
pub(super) struct Tailing {
    pub(super) house: Arc<House>,
    pub(super) sink: Arc<Sink>,
    thread: JoinHandle<Result<(), CannotStart>>,
}

impl Tailing {
    fn start(settings: TailSettings, sink: Arc<Sink>, sanitizer: Sanitizer) -> Self {
        let house =
            House::new(Arc::new(sanitizer), Box::new(Shared(sink.clone())), Box::new(Shared(sink.clone())));
        let house = Arc::new(house);
        let own = house.clone();
        let checkpoint = settings.checkpoint.clone();
        let thread = thread::spawn(move || Tail::open(settings, own).map(Tail::run));
        // What a test does from here on, it does to files that were looked at.
        while !checkpoint.exists() && !thread.is_finished() && sink.events().is_empty() {
            thread::sleep(Duration::from_millis(2));
        }
        Self { house, sink, thread }
    }

    /// Drains it; what it has delivered.
    pub(super) fn stop(self) -> Arc<Sink> {
        self.stop_in(PATIENCE)
    }

    /// Drains it in so long; what it has delivered.
    pub(super) fn stop_in(self, most: Duration) -> Arc<Sink> {
        self.house.stopping.start(most);
        self.thread.join().unwrap().unwrap();
        self.sink
    }

    /// Ends it without draining.
    pub(super) fn cut_off(self) -> Arc<Sink> {
        self.house.stopping.start(Duration::ZERO);
        self.thread.join().unwrap().unwrap();
        self.sink
    }

    /// Why it did not start.
    pub(super) fn refusal(self) -> CannotStart {
        self.thread.join().unwrap().unwrap_err()
    }
}

/// Waits until something is so.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "did not happen: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Numbered lines.
pub(super) fn numbered(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("line {number}\n")).collect()
}

/// Whether all these lines have come, each once and in order.
#[track_caller]
pub(super) fn check_numbered(sink: &Sink, count: usize) {
    let texts = sink.texts();
    let wrong = texts.iter().enumerate().find(|(i, text)| **text != format!("line {i}"));
    let around = wrong.map(|(i, _)| &texts[i.saturating_sub(3)..texts.len().min(i + 4)]);
    assert!(wrong.is_none(), "at {:?} of {}: {around:?}", wrong, texts.len());
    assert_eq!(texts.len(), count);
}
