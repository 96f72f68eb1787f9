//! While the output takes nothing, or a disk is slow with the checkpoint, files that nobody knows yet are held open: rotation
//! goes on, and may delete them before they have their turn.
//!
//! A thread of its own, since the one that reads waits for these. It only looks and opens; what it has is taken over by
//! the next listing.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::identity::Inode;
use super::listing::{Found, Lister};
use super::order;
use crate::pod::house::Gauges;

/// How often it is looked whether the output takes something.
const LOOK: Duration = Duration::from_millis(100);
/// Listing takes no more than one part in so many of the time.
const RATIO: u32 = 10;

/// A file that is held.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) found: Found,
    /// The path that it was written at.
    pub(super) name: PathBuf,
    pub(super) file: File,
}

/// Holds files open.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Odd while a batch is with the output, or a checkpoint with the disk.
    turns: Arc<AtomicU64>,
    is_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Files that need not be held, and how long they were.
    known: HashMap<Inode, u64>,
    kept: Vec<Kept>,
    /// How many files were not held, for there were too many.
    missed: u64,
}

impl Keeper {
    /// Holds at most so many files that this finds.
    pub(super) fn start(lister: Lister, most: usize, gauges: Arc<Gauges>) -> Self {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let run = move || own.run(lister, most, &gauges.lag);
        // Without a thread it is as it is while the output takes something.
        let thread = thread::Builder::new().name("keeper".to_owned()).spawn(run).ok();
        Self { shared, thread }
    }

    /// To be counted up when a batch is given to the output or a checkpoint to the disk, and when it is taken.
    pub(super) fn turns(&self) -> Arc<AtomicU64> {
        self.shared.turns.clone()
    }

    /// The files that were held, oldest first, and how many could not be.
    pub(super) fn take(&self) -> (Vec<Kept>, u64) {
        let mut state = self.shared.state();
        (std::mem::take(&mut state.kept), std::mem::take(&mut state.missed))
    }

    /// These files are known now, and how long they are.
    pub(super) fn know(&self, known: HashMap<Inode, u64>) {
        self.shared.state().known = known;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut lister: Lister, most: usize, lag: &AtomicU64) {
        let (mut last, mut base, mut pause) = (0, 0, LOOK);
        while !self.is_over.load(Ordering::Relaxed) {
            thread::park_timeout(pause);
            let now = self.turns.load(Ordering::Relaxed);
            pause = LOOK;
            if now != last {
                (last, base) = (now, lag.load(Ordering::Relaxed));
            } else if now % 2 == 1 {
                let start = Instant::now();
                let grown = self.keep(&mut lister, most);
                if self.turns.load(Ordering::Relaxed) == now {
                    lag.store(base + grown, Ordering::Relaxed);
                }
                pause = LOOK.max(start.elapsed() * RATIO);
            }
        }
    }

    /// Opens what is new. How much files have grown.
    fn keep(&self, lister: &mut Lister, most: usize) -> u64 {
        let listing = lister.list(&mut |_| {});
        let rotated = listing.rotated.into_iter().map(|rotated| (rotated.found, rotated.before));
        let mut rotated: Vec<(Found, PathBuf)> = rotated.collect();
        order::sort(&mut rotated, |(found, before)| (before, found), |_| None);
        let named = listing.files.into_iter().map(|found| (found.clone(), found.path));
        let mut grown = 0;
        for (found, name) in rotated.into_iter().chain(named) {
            let mut state = self.state();
            let known = state.known.get(&found.inode).copied();
            grown += found.size.saturating_sub(known.unwrap_or(0));
            if known.is_some() || state.kept.iter().any(|kept| kept.found.inode == found.inode) {
                continue;
            }
            if state.kept.len() >= most {
                state.missed += 1;
                continue;
            }
            if let Ok(Some(file)) = lister.reach.open(&found.path)
                && file.metadata().is_ok_and(|metadata| Inode::of(&metadata) == found.inode)
            {
                state.kept.push(Kept { found, name, file });
            }
        }
        grown
    }
}
