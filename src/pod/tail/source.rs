//! What is written at one path: its generations, oldest first, as one stream.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::flow::Flow;
use super::generation::{Fate, Generation};
use super::identity::Inode;

/// What is written at one path.
#[derive(Debug)]
pub(super) struct Source {
    /// The path, as a pattern named it.
    pub(super) name: PathBuf,
    /// Where it leads, if it is a link.
    pub(super) real: Option<PathBuf>,
    /// Oldest first; the last is the one at the path, if one is.
    pub(super) generations: Vec<Generation>,
    /// What its text has left open, while there is any or it is being read.
    pub(super) flow: Option<Flow>,
    /// Its streams that had something open behind what was delivered, a bit each: it is known after a restart, too.
    pub(super) open: u8,
    /// Those of them of which what has opened it cannot be read again.
    pub(super) lost: u8,
    /// Rotated files that are none of ours, or no longer, and when they were made.
    pub(super) passed: Vec<(Inode, Option<u64>)>,
    /// Whether it waits for its turn.
    pub(super) is_queued: bool,
    /// Why it could not be read when that was tried last; it was said then.
    pub(super) failing: Option<ErrorKind>,
}

impl Source {
    pub(super) fn new(name: PathBuf) -> Self {
        Self {
            real: real(&name),
            name,
            generations: Vec::new(),
            flow: None,
            open: 0,
            lost: 0,
            passed: Vec::new(),
            is_queued: false,
            failing: None,
        }
    }

    /// Another file is, or has been, at the path.
    pub(super) fn add(&mut self, mut generation: Generation) {
        if generation.fate != Fate::Gone {
            generation.fate = if generation.path == self.name { Fate::Here } else { Fate::Renamed };
        }
        self.real = real(&self.name);
        let at = match self.generations.last() {
            Some(last) if last.fate == Fate::Here && generation.fate != Fate::Here => {
                self.generations.len() - 1
            }
            _ => self.generations.len(),
        };
        self.generations.insert(at, generation);
    }

    /// The file at the path.
    pub(super) fn current(&self) -> Option<&Generation> {
        self.generations.last().filter(|last| last.fate == Fate::Here)
    }

    /// All that was taken is settled: reading can start anew behind it.
    pub(super) fn settle(&mut self) {
        self.generations.iter_mut().for_each(Generation::settle);
    }

    /// Notes what is open. While lines are read again it is not known yet what is open where they were delivered to.
    pub(super) fn note_open(&mut self) {
        let Some(flow) = &self.flow else { return };
        let is_behind = self.generations.iter().any(|own| own.taken.offset < own.delivered);
        self.open = flow.open() | if is_behind { self.open } else { 0 };
        self.lost &= self.open;
    }

    /// Something was lost that would have to be read again to know what is open.
    pub(super) fn lose(&mut self) {
        self.lost |= self.open;
    }

    /// Whether there is something to do for it.
    pub(super) fn is_stirred(&self) -> bool {
        self.generations.iter().any(|generation| generation.is_stirred || generation.has_begun)
            || self.flow.is_some()
    }
}

fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|real| real != path && path.is_symlink())
}
