//! Files that grow: read as they are written, through rotation, restarts and kills.
//!
//! The path of a byte: `listing` says which files there are, `rotation` which of them are new, renamed, emptied or gone; each
//! belongs to a `source`, what is written at one path, as one of its `generation`s. `reading` takes a block, has it scrubbed
//! (`flow`, and `cri` for lines of container runtimes) and delivered, and only then moves on. The `checkpoint` says how far.
//!
//! Invariants:
//! - Where reading starts again, nothing is open: no line, no private key, no half record. What was delivered since is read
//!   again for what it opens, and not delivered again.
//! - Bytes are taken of a file only if it still holds what was taken before them.
//! - A file is known by its inode and what it holds, never by its name.
//! - Clocks that jump change nothing: time is only ever how long ago something was.
//! - Sources have their turns, a block each. One that is read to its end holds no more than where it is.

mod checkpoint;
mod cri;
mod flow;
mod generation;
mod identity;
mod keeper;
mod line;
mod listing;
mod naming;
mod order;
mod reach;
mod reading;
mod removal;
mod rotation;
mod settings;
mod source;
mod sources;
mod volumes;
mod wake;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub use checkpoint::files_of_checkpoint;
pub use listing::check;
pub use settings::{CannotStart, Format, TailSettings};

use super::house::{House, Stopped};
use checkpoint::Checkpoint;
use keeper::Keeper;
use listing::Lister;
use reading::{Reading, Turn};
use rotation::{Rotation, Start};
use sources::{Id, Sources};
use wake::Wake;

/// Events come in bursts; what is written within this time is read together.
const BURST: Duration = Duration::from_millis(5);
/// Listing takes no more than one part in so many of the time.
const RATIO: u32 = 50;
/// How often files are listed while something is about to happen: draining, a line without an end, a copy.
const SOON: Duration = Duration::from_millis(200);

/// Files that are read.
pub struct Tail {
    settings: TailSettings,
    house: Arc<House>,
    lister: Lister,
    checkpoint: Checkpoint,
    sources: Sources,
    rotation: Rotation,
    reading: Reading,
    wake: Wake,
    /// When files were listed last, and how long it took.
    listed: Instant,
    listing_took: Duration,
    is_listing_wanted: bool,
    /// Whether a folder or a file could not be looked at, and there may be more than is known.
    has_listing_failed: bool,
    /// The most files that are held open.
    descriptors: usize,
    keeper: Keeper,
}

/// So many files may be open; others of this process need some, too.
fn descriptors(told: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    let most = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    most.map_or(told, |most| told.min((most / 4).max(4)))
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").finish_non_exhaustive()
    }
}

impl Tail {
    /// Takes hold of the checkpoint, and learns which files are there: whatever comes from here on is read.
    /// # Errors
    /// What is wrong with the settings or the checkpoint.
    pub fn open(settings: TailSettings, house: Arc<House>) -> Result<Self, CannotStart> {
        let lister = Lister::new(&settings)?;
        let checkpoint = Checkpoint::open(&settings.checkpoint, &house)?;
        let known = checkpoint.read(&house)?;
        let start = match known {
            Some(_) => Start::Later,
            None => Start::First { from_start: settings.from_start },
        };
        let mut reading = Reading::new(house.clone(), lister.reach.clone(), &settings);
        let descriptors = descriptors(settings.descriptors);
        let keeper = Keeper::start(Lister::silent(&settings)?, descriptors, reading.gauges.clone());
        reading.turns = keeper.turns();
        let rotation = Rotation::new(lister.reach.clone(), &settings);
        let mut tail = Self {
            lister,
            checkpoint,
            reading,
            house,
            sources: known.unwrap_or_default(),
            rotation,
            wake: Wake::new(),
            listed: Instant::now(),
            listing_took: Duration::ZERO,
            is_listing_wanted: false,
            has_listing_failed: false,
            descriptors,
            keeper,
            settings,
        };
        tail.list(start);
        // What is there now is known from here on, even if we are killed.
        tail.reading.has_changed = true;
        tail.save();
        Ok(tail)
    }

    /// Reads until the word to stop is said, and drains them then. Blocks; give it a thread of its own.
    pub fn run(mut self) {
        // The time to drain was over: what was not delivered is not in the checkpoint, and comes again.
        let _: Result<(), Stopped> = self.follow();
        if self.has_listing_failed || self.sources.unreadable() > 0 {
            self.house.leave();
        }
        self.save();
    }

    /// Writes the checkpoint if there is something new. A disk may take its time for that, as the output may.
    fn save(&mut self) {
        if self.reading.has_changed {
            let turns = self.reading.turns.clone();
            turns.fetch_add(1, Ordering::Relaxed);
            self.reading.has_changed = !self.checkpoint.write(&self.sources, &self.house);
            turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn follow(&mut self) -> Result<(), Stopped> {
        let mut last_read = Instant::now();
        let mut is_draining = false;
        loop {
            if !is_draining && self.house.stopping.is_draining() {
                (is_draining, last_read) = (true, Instant::now());
                self.is_listing_wanted = true;
            }
            if self.house.stopping.is_over() {
                self.house.leave();
                return Err(Stopped);
            }
            // Files may go on growing: what comes from here on is left for the next start.
            if is_draining && !self.reading.is_late && self.house.stopping.is_late() {
                self.list(Start::Later);
                self.sources.limit();
                self.reading.is_late = true;
            }
            let woken = Instant::now();
            self.look();
            let is_busy = self.round(false)?;
            if is_busy {
                last_read = Instant::now();
            }
            if self.checkpoint.is_due() {
                self.save();
            }
            let is_quiet = self.reading.is_late || last_read.elapsed() >= self.settings.quiet;
            let can_end = !self.has_listing_failed && !self.sources.has_failed();
            if is_draining && !self.sources.has_turns() && is_quiet && can_end {
                return self.end();
            }
            if !self.sources.has_turns() {
                let most = if is_draining { SOON / 4 } else { self.next_listing() };
                self.wake.wait(most, &self.house.stopping);
                // Others may write beside our files all the time, too.
                self.house.stopping.wait(BURST.saturating_sub(woken.elapsed()));
            }
        }
    }

    /// Learns what has happened.
    fn look(&mut self) {
        let events = self.wake.events();
        for path in events.written {
            // Of others' files nothing need be known.
            self.sources.written(&path);
        }
        self.is_listing_wanted |= events.names_changed;
        if self.next_listing().is_zero() {
            self.list(Start::Later);
        }
    }

    /// How long it is until files are to be listed.
    fn next_listing(&self) -> Duration {
        let is_soon = self.rotation.is_waiting() || self.house.stopping.is_draining();
        let every = match (self.is_listing_wanted, is_soon) {
            (true, _) => BURST,
            (false, true) => SOON.min(self.settings.poll),
            (false, false) => self.settings.poll,
        };
        let ratio = if self.is_listing_wanted { RATIO / 10 } else { RATIO };
        every.max(self.listing_took * ratio).saturating_sub(self.listed.elapsed())
    }

    fn list(&mut self, start: Start) {
        let begun = Instant::now();
        self.is_listing_wanted = false;
        let wake = &mut self.wake;
        let listing = self.lister.list(&mut |folder| wake.watch(folder));
        self.has_listing_failed = listing.failed > 0;
        self.house.events("listing_failed", listing.failed);
        self.house.events("link_refused", listing.refused);
        let (kept, missed) = self.keeper.take();
        let sizes: Vec<_> = listing.files.iter().map(|found| (found.inode, found.size)).collect();
        if missed > 0 {
            self.house.events("lost", missed);
            tracing::warn!(
                missed,
                "more files came than can be held open while the output took nothing; lines may be lost"
            );
        }
        self.rotation.saved = self.checkpoint.saved();
        let lag = self.rotation.reconcile(&mut self.sources, listing, kept, start, &self.house);
        self.keeper.know(self.rotation.known(&self.sources).chain(sizes).collect());
        let gauges = &self.reading.gauges;
        gauges.lag.store(lag, Ordering::Relaxed);
        gauges.unreadable.store(self.sources.unreadable(), Ordering::Relaxed);
        let sources = self.sources.all.values();
        let named = sources.clone().filter_map(|source| source.name.parent());
        let real = sources.filter_map(|source| source.real.as_deref()?.parent());
        gauges.fullest.store(volumes::fullest(named.chain(real.clone())), Ordering::Relaxed);
        real.for_each(|folder| self.wake.watch(folder));
        self.listed = Instant::now();
        self.listing_took = begun.elapsed();
    }

    /// A turn for each source that waits for one, for as long as nothing else is due. Whether anything was read.
    fn round(&mut self, is_ending: bool) -> Result<bool, Stopped> {
        let mut is_busy = false;
        let start = Instant::now();
        while let Some(id) = self.sources.next_turn() {
            let Some(source) = self.sources.all.get_mut(&id) else { continue };
            match self.reading.turn(source, is_ending)? {
                Turn::More => {
                    is_busy = true;
                    self.sources.stir(id);
                }
                Turn::Emptied(generation) => {
                    is_busy = true;
                    self.emptied(id, generation)?;
                }
                Turn::Moved => self.is_listing_wanted = true,
                // They are stirred by the next listing.
                Turn::Idle | Turn::Waits | Turn::Failed => {}
            }
            self.sources.close_beyond(self.descriptors, &mut self.reading.opened);
            if start.elapsed() >= SOON || self.house.stopping.is_over() {
                break;
            }
        }
        Ok(is_busy)
    }

    /// A file holds something else than before.
    fn emptied(&mut self, id: Id, generation: usize) -> Result<(), Stopped> {
        let copy = self.rotation.copy_of(&self.sources, id, generation);
        let Some(source) = self.sources.all.get_mut(&id) else { return Ok(()) };
        let emptied = &mut source.generations[generation];
        // What was delivered already is no beginning of what comes.
        let was_ended = emptied.ended.is_some();
        let tail = Some(std::mem::take(&mut emptied.tail)).filter(|_| !was_ended).unwrap_or_default();
        let (born, was_read) = (emptied.born, emptied.taken.offset >= emptied.size);
        emptied.empty();
        if copy.is_none() {
            source.lose();
        }
        let emptied = &source.generations[generation];
        // Another file has got the name and the inode of one that was deleted.
        let is_other = born.is_some() && born != emptied.born;
        match copy {
            Some(copy) => {
                self.house.event("rotated");
                self.sources.adopt_copy(id, generation, copy);
            }
            None if is_other && was_read => {
                self.house.event("rotated");
                self.reading.go_on_without(source, &tail, is_other)?;
                self.sources.stir(id);
            }
            None => {
                self.house.event("truncated");
                tracing::warn!(
                    path = %source.name.display(),
                    "was emptied, and no copy of it is there; what was not read of it before is lost"
                );
                self.reading.go_on_without(source, &tail, is_other)?;
                self.sources.stir(id);
            }
        }
        self.reading.has_changed = true;
        Ok(())
    }

    /// Delivers lines that have begun as they are: nothing more comes.
    fn end(&mut self) -> Result<(), Stopped> {
        let ids: Vec<Id> = self.sources.all.keys().copied().collect();
        ids.into_iter().for_each(|id| self.sources.stir(id));
        while self.sources.has_turns() && !self.house.stopping.is_over() {
            self.round(true)?;
        }
        Ok(())
    }
}
