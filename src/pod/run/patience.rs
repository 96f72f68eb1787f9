//! How long what cannot be written is tried again: as long as the program lives, and a while longer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Name;

/// How long a write that does not return is waited for when the word has been said: longer than between two tries.
const LAST: Duration = Duration::from_secs(3);

/// What both streams and their parent know of it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    is_over: AtomicBool,
    /// Of each stream: that it is being held up, and how many bytes of it have been read and not been written.
    streams: [(AtomicBool, AtomicU64); 2],
}

impl Patience {
    fn of(&self, stream: Name) -> &(AtomicBool, AtomicU64) {
        &self.streams[usize::from(stream == Name::Stderr)]
    }

    /// Whether nothing is to be tried again.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// A stream is held up, or not any more.
    pub(super) fn hold(&self, stream: Name, is_held: bool) {
        self.of(stream).0.store(is_held, Ordering::Relaxed);
    }

    /// So many bytes are about to be written; 0: they were.
    pub(super) fn left(&self, stream: Name, bytes: u64) {
        self.of(stream).1.store(bytes, Ordering::Relaxed);
    }

    /// So many bytes more will not be.
    pub(super) fn add(&self, stream: Name, bytes: u64) {
        self.of(stream).1.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes of the streams were not written.
    pub(super) fn lost(&self) -> u64 {
        self.streams.iter().map(|(_, left)| left.load(Ordering::Relaxed)).sum()
    }

    fn is_held(&self) -> bool {
        self.streams.iter().any(|(is_held, _)| is_held.load(Ordering::Relaxed))
    }
}

/// The parent's view, once the program has ended.
#[derive(Debug)]
pub(super) struct Waiting {
    drain: Duration,
    /// Since when a stream has been held up all the time.
    held: Option<Instant>,
    /// The word was said.
    is_over: bool,
    /// How much was left to write when it was looked last, and since when it has been that much.
    left: (u64, Instant),
}

impl Waiting {
    pub(super) fn new(drain: Duration) -> Self {
        Self { drain, held: None, is_over: false, left: (0, Instant::now()) }
    }

    /// Says the word: what cannot be written now is lost.
    pub(super) fn give_up(&mut self, patience: &Patience) {
        patience.is_over.store(true, Ordering::Relaxed);
        self.is_over = true;
    }

    /// Looks at the streams; whether they are not to be waited for any more.
    pub(super) fn is_over(&mut self, patience: &Patience) -> bool {
        let now = Instant::now();
        self.held = patience.is_held().then(|| self.held.unwrap_or(now));
        if self.held.is_some_and(|held| now >= held + self.drain) {
            self.give_up(patience);
        }
        // A write that waits for a reader cannot be told to end; one that only takes long goes on.
        let left = patience.lost();
        if left != self.left.0 || !self.is_over {
            self.left = (left, now);
        }
        left > 0 && now >= self.left.1 + LAST
    }
}
