//! All sources, and how they are found: by name, by file, by where an event says something happened.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::generation::{Fate, Generation};
use super::identity::Inode;
use super::source::Source;

/// The number of a source.
pub(super) type Id = u64;

/// All sources.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) all: BTreeMap<Id, Source>,
    next: Id,
    names: HashMap<PathBuf, Id>,
    inodes: HashMap<Inode, Id>,
    /// Where events may say that something happened.
    paths: HashMap<PathBuf, Id>,
    /// Those that wait for their turn, each once.
    queue: VecDeque<Id>,
    /// Files held open, by when they were opened.
    opened: VecDeque<Inode>,
}

impl Sources {
    /// A new source, or the one of that name.
    pub(super) fn named(&mut self, name: &Path) -> Id {
        if let Some(&id) = self.names.get(name) {
            return id;
        }
        let id = self.next;
        self.next += 1;
        self.names.insert(name.to_owned(), id);
        self.all.insert(id, Source::new(name.to_owned()));
        id
    }

    /// The source of a name.
    pub(super) fn of_name(&self, name: &Path) -> Option<Id> {
        self.names.get(name).copied()
    }

    /// The source that a file belongs to.
    pub(super) fn of_file(&self, inode: Inode) -> Option<Id> {
        self.inodes.get(&inode).copied()
    }

    /// A file belongs to a source from now on.
    pub(super) fn adopt(&mut self, id: Id, generation: Generation) {
        let inode = generation.inode;
        if let Some(source) = self.all.get_mut(&id) {
            source.passed.retain(|(passed, _)| *passed != inode);
            if generation.file.is_some() {
                self.opened.push_back(inode);
            }
            self.inodes.insert(inode, id);
            source.add(generation);
        }
        self.stir(id);
    }

    /// A copy stands before the generation that it is of.
    pub(super) fn adopt_copy(&mut self, id: Id, before: usize, copy: Generation) {
        if let Some(source) = self.all.get_mut(&id) {
            self.opened.push_back(copy.inode);
            self.inodes.insert(copy.inode, id);
            source.generations.insert(before, copy);
        }
        self.stir(id);
    }

    /// A file is known no longer, though its generation is.
    pub(super) fn disown(&mut self, id: Id, inode: Inode) {
        if self.of_file(inode) == Some(id) {
            self.inodes.remove(&inode);
        }
    }

    /// Forgets the generations for which this says so, and sources that have none left.
    pub(super) fn forget(&mut self, mut is_over: impl FnMut(&mut Source, usize) -> bool) {
        let mut empty = Vec::new();
        for (&id, source) in &mut self.all {
            let mut i = 0;
            while i < source.generations.len() {
                if is_over(source, i) {
                    let gone = source.generations.remove(i);
                    // Another file of the same source may have got its inode.
                    let is_used = source.generations.iter().any(|other| other.inode == gone.inode);
                    if !is_used && self.inodes.get(&gone.inode) == Some(&id) {
                        self.inodes.remove(&gone.inode);
                    }
                } else {
                    i += 1;
                }
            }
            // Another file at the path may have the rest of a key.
            let is_known = source.flow.is_some() || !source.passed.is_empty() || source.lost != 0;
            if source.generations.is_empty() && !is_known {
                empty.push(id);
            }
        }
        for id in empty {
            if let Some(source) = self.all.remove(&id) {
                self.names.remove(&source.name);
            }
        }
    }

    /// A source is to have a turn.
    pub(super) fn stir(&mut self, id: Id) {
        if let Some(source) = self.all.get_mut(&id)
            && !std::mem::replace(&mut source.is_queued, true)
        {
            self.queue.push_back(id);
        }
    }

    /// The source whose turn it is.
    pub(super) fn next_turn(&mut self) -> Option<Id> {
        loop {
            let id = self.queue.pop_front()?;
            if let Some(source) = self.all.get_mut(&id) {
                source.is_queued = false;
                return Some(id);
            }
        }
    }

    pub(super) fn has_turns(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Something was written at a path. Whether it is known.
    pub(super) fn written(&mut self, path: &Path) -> bool {
        let Some(&id) = self.paths.get(path) else { return false };
        if let Some(source) = self.all.get_mut(&id) {
            let at = source.generations.iter().rposition(|generation| generation.path == path);
            let at = at.or(source.generations.len().checked_sub(1));
            if let Some(generation) = at.and_then(|at| source.generations.get_mut(at)) {
                generation.is_stirred = true;
            }
        }
        self.stir(id);
        true
    }

    /// Nothing is taken of any file behind where it ends now.
    pub(super) fn limit(&mut self) {
        for generation in self.all.values_mut().flat_map(|source| &mut source.generations) {
            let size = match &generation.file {
                Some(file) => file.metadata(),
                None => std::fs::metadata(&generation.path),
            };
            let size = size.map_or(generation.size, |metadata| metadata.len());
            generation.until = Some(size.max(generation.taken.offset));
        }
    }

    /// Whether a file could not be read to where it was known to go on, and that may change while it is waited for.
    pub(super) fn has_failed(&self) -> bool {
        self.all.values().any(|source| source.failing.is_some_and(|kind| kind != ErrorKind::PermissionDenied))
    }

    /// How many files could not be read to where they were known to go on.
    pub(super) fn unreadable(&self) -> u64 {
        self.all.values().filter(|source| source.failing.is_some()).count() as u64
    }

    /// Learns where all files are now.
    pub(super) fn index(&mut self) {
        self.paths.clear();
        for (&id, source) in &self.all {
            for generation in &source.generations {
                self.paths.insert(generation.path.clone(), id);
            }
            if let Some(real) = &source.real {
                self.paths.insert(real.clone(), id);
            }
        }
    }

    /// Closes files until no more than so many are open; those first that can be opened again and have nothing new, and last
    /// those that are gone and have been read.
    pub(super) fn close_beyond(&mut self, most: usize, opened: &mut Vec<Inode>) {
        self.opened.extend(opened.drain(..));
        for (is_urgent, is_last) in [(false, false), (true, false), (true, true)] {
            for _ in 0..self.opened.len() {
                if self.opened.len() <= most {
                    return;
                }
                let Some(inode) = self.opened.pop_front() else { return };
                let Some(id) = self.of_file(inode) else { continue };
                let generations =
                    self.all.get_mut(&id).into_iter().flat_map(|source| &mut source.generations);
                for generation in generations.filter(|generation| generation.inode == inode) {
                    let can_be = match generation.fate {
                        Fate::Gone => is_last && generation.is_done(),
                        Fate::Here | Fate::Renamed => is_urgent || !generation.is_stirred,
                    };
                    if can_be || generation.file.is_none() {
                        generation.file = None;
                    } else {
                        self.opened.push_back(inode);
                    }
                }
            }
        }
    }
}
