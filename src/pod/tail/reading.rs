//! One turn of a source: a block of its oldest unread bytes, scrubbed, delivered, and only then forgotten.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cri;
use super::flow::{CUT, Flow, clean_origin};
use super::generation::{BLOCK, Fate, Generation, Look};
use super::identity::Inode;
use super::reach::Reach;
use super::settings::{Format, TailSettings};
use super::source::Source;
use crate::pod::batch::{Batch, Origin};
use crate::pod::house::{Gauges, House, Stopped};
use crate::sanitize::Sanitizer;

/// What a turn has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more.
    More,
    /// There is nothing more now.
    Idle,
    /// A line without an end holds up what comes after it, for a while.
    Waits,
    /// The generation with this number was emptied.
    Emptied(usize),
    /// A file is not where it was.
    Moved,
    /// A file cannot be read.
    Failed,
}

/// What turns are taken with.
pub(super) struct Reading {
    pub(super) house: Arc<House>,
    reach: Arc<Reach>,
    pub(super) format: Format,
    quiet: Duration,
    unfinished: Duration,
    pub(super) gauges: Arc<Gauges>,
    /// Counted up when a batch is given to the output, and when it is taken.
    pub(super) turns: Arc<AtomicU64>,
    /// Whether only that is still read which was there when this was said.
    pub(super) is_late: bool,
    /// The files that were opened by the last turns.
    pub(super) opened: Vec<Inode>,
    /// Whether something is to be written into the checkpoint.
    pub(super) has_changed: bool,
    buffer: Vec<u8>,
    batch: Option<Batch>,
    /// A flow that nobody needs: as good as new.
    spare: Option<Flow>,
    origin: Option<(PathBuf, Arc<Sanitizer>, Arc<Origin>)>,
}

impl Reading {
    pub(super) fn new(house: Arc<House>, reach: Arc<Reach>, settings: &TailSettings) -> Self {
        Self {
            gauges: house.gauges(settings.format.input()),
            house,
            reach,
            format: settings.format,
            quiet: settings.quiet,
            unfinished: settings.unfinished,
            turns: Arc::default(),
            is_late: false,
            opened: Vec::new(),
            has_changed: false,
            buffer: Vec::new(),
            batch: None,
            spare: None,
            origin: None,
        }
    }

    /// A turn. While ending, lines and records that have begun are delivered as they are.
    pub(super) fn turn(&mut self, source: &mut Source, is_ending: bool) -> Result<Turn, Stopped> {
        for i in 0..source.generations.len() {
            let is_within = source.flow.as_ref().is_some_and(Flow::is_within_line);
            let is_last = i + 1 == source.generations.len();
            let generation = &mut source.generations[i];
            if !(generation.is_stirred || generation.has_begun || is_last && is_within) {
                continue;
            }
            if self.is_late && generation.until.is_none() {
                continue;
            }
            let was_open = generation.file.is_some();
            match generation.open(&self.reach).map(|file| file.is_some()) {
                Ok(true) if was_open => {}
                Ok(true) => self.opened.push(generation.inode),
                Ok(false) => return Ok(Turn::Moved),
                Err(error) => return Ok(self.failed(source, &error)),
            }
            let look = match generation.look(&mut self.buffer) {
                Ok(look) => look,
                Err(error) => {
                    generation.file = None;
                    return Ok(self.failed(source, &error));
                }
            };
            source.failing = None;
            let begun = match look {
                Look::Emptied => return Ok(Turn::Emptied(i)),
                Look::Bytes(from, to) => {
                    self.take(source, i, from, to)?;
                    return Ok(Turn::More);
                }
                Look::Begun(from) => Some(from),
                Look::Nothing if is_last && is_within => Some(self.buffer.len()),
                Look::Nothing => None,
            };
            generation.is_stirred = false;
            let Some(from) = begun else { continue };
            if generation.is_copy && !is_last {
                self.take(source, i, from, self.buffer.len())?;
                continue;
            }
            if is_last && generation.fate == Fate::Here && !is_ending {
                // It may go on: then it comes once more, whole, and must be seen as if it had not come before.
                let is_settled = !is_within && source.flow.as_ref().is_none_or(Flow::is_settled);
                if is_settled && generation.last.elapsed() >= self.unfinished {
                    self.end_line(source, i, from)?;
                    source.flow = None;
                }
                break;
            }
            if !is_ending && generation.last.elapsed() < self.quiet {
                return Ok(Turn::Waits);
            }
            self.end_line(source, i, from)?;
        }
        self.rest(source, is_ending)
    }

    /// Nothing more is to be taken now.
    fn rest(&mut self, source: &mut Source, is_ending: bool) -> Result<Turn, Stopped> {
        let is_within = source.flow.as_ref().is_some_and(Flow::is_within_record);
        let is_over = source
            .generations
            .last()
            .is_none_or(|last| last.fate != Fate::Here && last.last.elapsed() >= self.quiet);
        let is_silent = !is_over && !is_ending && self.is_silent(source);
        if is_within && (is_over || is_ending || is_silent) {
            self.end_records(source, !is_over)?;
            // Reading must still start where the record has begun, unless there is nothing to be read.
            if is_over {
                self.settle(source);
            }
            // It may go on: then it is read again from there.
            if is_silent {
                source.flow = None;
                source.generations.iter_mut().for_each(Generation::rewind);
            }
        }
        if let Some(flow) = source.flow.take_if(|flow| flow.is_as_new()) {
            self.spare = Some(flow);
        }
        Ok(if is_within && !is_over { Turn::Waits } else { Turn::Idle })
    }

    /// Whether nothing has come for so long that what has begun of records is delivered.
    fn is_silent(&self, source: &Source) -> bool {
        let Some((last, before)) = source.generations.split_last() else { return false };
        last.last.elapsed() >= self.unfinished && !before.iter().any(Generation::is_needed)
    }

    /// Delivers records of which no end has come, unless that was done before.
    fn end_records(&mut self, source: &mut Source, may_go_on: bool) -> Result<(), Stopped> {
        let last = source.generations.last();
        let was_recorded = last.is_some_and(|last| last.recorded == Some(last.taken.offset));
        self.with_muted(source, was_recorded, |flow, batch, house| {
            let before = batch.count();
            flow.end_records(may_go_on, batch, house);
            if may_go_on {
                mark_continued(batch, before);
            }
        })?;
        if let Some(last) = source.generations.last_mut() {
            last.recorded = Some(last.taken.offset);
        }
        self.has_changed = true;
        Ok(())
    }

    /// Scrubs bytes of the buffer and delivers their records, unless that was done before.
    fn take(&mut self, source: &mut Source, i: usize, from: usize, to: usize) -> Result<(), Stopped> {
        let generation = &source.generations[i];
        let was_delivered = generation.taken.offset < generation.delivered;
        let buffer = std::mem::take(&mut self.buffer);
        let delivered = self.with_muted(source, was_delivered, |flow, batch, house| {
            flow.take(&buffer[from..to], batch, house)
        });
        self.buffer = buffer;
        delivered?;
        let is_within = source.flow.as_ref().is_some_and(Flow::is_within_line);
        let is_end = to == self.buffer.len() && to < BLOCK;
        let generation = &mut source.generations[i];
        if let Err(error) = generation.take(&self.buffer, from, to, is_within) {
            // It is looked at again, and said then if it stays so.
            tracing::debug!(%error, "what was read cannot be read again");
        }
        generation.is_stirred &= !is_end;
        let before = generation.kept();
        if !is_within {
            generation.delivered = generation.delivered.max(generation.taken.offset);
        }
        let kept = generation.kept() - before;
        // What has come since files were listed is not in it.
        let _ = self
            .gauges
            .lag
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lag| Some(lag.saturating_sub(kept)));
        source.note_open();
        self.settle(source);
        Ok(())
    }

    /// Delivers a line that has begun as it is.
    fn end_line(&mut self, source: &mut Source, i: usize, from: usize) -> Result<(), Stopped> {
        let line = self.buffer[from..].to_vec();
        let end = source.generations[i].taken.offset + line.len() as u64;
        let may_go_on = source.generations[i].fate == Fate::Here;
        self.with(source, |flow, batch, house| {
            let before = batch.count();
            flow.end_line(&line, may_go_on, batch, house);
            if may_go_on {
                mark_continued(batch, before);
            }
        })?;
        source.generations[i].end_line(end);
        self.settle(source);
        Ok(())
    }

    /// A file was emptied whose line had begun, and no copy of it is there. The line goes on with what is written next, unless
    /// that is known to be another file (`is_other`); one of a container runtime is whole or lost.
    pub(super) fn go_on_without(
        &mut self,
        source: &mut Source,
        tail: &[u8],
        is_other: bool,
    ) -> Result<(), Stopped> {
        let mut line = tail.to_vec();
        let is_within = source.flow.as_ref().is_some_and(Flow::is_within_line);
        if (is_other || self.format == Format::Cri) && (is_within || !tail.is_empty()) {
            line.push(b'\n');
        }
        if line.is_empty() {
            return Ok(());
        }
        self.with(source, |flow, batch, house| flow.take(&line, batch, house))
    }

    fn settle(&mut self, source: &mut Source) {
        if source.flow.as_ref().is_none_or(Flow::is_settled) {
            source.settle();
        }
        self.has_changed = true;
    }

    fn with(
        &mut self,
        source: &mut Source,
        work: impl FnOnce(&mut Flow, &mut Batch, &House),
    ) -> Result<(), Stopped> {
        self.with_muted(source, false, work)
    }

    fn with_muted(
        &mut self,
        source: &mut Source,
        was_delivered: bool,
        work: impl FnOnce(&mut Flow, &mut Batch, &House),
    ) -> Result<(), Stopped> {
        let (house, format) = (self.house.clone(), self.format);
        let spare = &mut self.spare;
        let is_new = source.flow.is_none();
        let flow =
            source.flow.get_or_insert_with(|| spare.take().unwrap_or_else(|| Flow::new(format, &house)));
        flow.follow(&house);
        let origin = origin(&mut self.origin, format, &source.name, flow.sanitizer());
        let batch = self.batch.get_or_insert_with(|| Batch::new(origin.clone(), flow.sanitizer().clone()));
        if is_new {
            flow.begin_unknown(source.lost, &origin, &house);
        }
        batch.origin = origin;
        batch.sanitizer = flow.sanitizer().clone();
        work(flow, batch, &house);
        if was_delivered {
            batch.clear();
        }
        source.note_open();
        self.turns.fetch_add(1, Ordering::Relaxed);
        let delivered = house.deliver(batch);
        self.turns.fetch_add(1, Ordering::Relaxed);
        delivered
    }

    fn failed(&mut self, source: &mut Source, error: &io::Error) -> Turn {
        if source.failing.replace(error.kind()).is_none() {
            self.house.event("unreadable");
            tracing::warn!(path = %source.name.display(), %error, "cannot be read; tried again");
        }
        Turn::Failed
    }
}

/// Records that may go on are told apart from whole ones.
fn mark_continued(batch: &mut Batch, from: usize) {
    for details in batch.details_mut(from) {
        if !details.labels.iter().any(|(name, _)| name == CUT.0) {
            details.labels.push((CUT.0.into(), CUT.1.to_owned()));
        }
    }
}

/// The origin of a source, its labels scrubbed by the rules that its records are scrubbed by.
fn origin(
    last: &mut Option<(PathBuf, Arc<Sanitizer>, Arc<Origin>)>,
    format: Format,
    path: &std::path::Path,
    sanitizer: &Arc<Sanitizer>,
) -> Arc<Origin> {
    if let Some((last_path, by, origin)) = last
        && last_path == path
        && Arc::ptr_eq(by, sanitizer)
    {
        return origin.clone();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut labels = vec![("log.file.path", path.to_string_lossy().into_owned()), ("log.file.name", name)];
    if format == Format::Cri {
        labels.extend(cri::labels_of(path));
    }
    let origin = clean_origin(format.input(), labels, sanitizer);
    *last = Some((path.to_owned(), sanitizer.clone(), origin.clone()));
    origin
}
