//! What has become of files since they were looked at last: renamed, replaced, emptied, copied, deleted; and which are new.
//!
//! A file that looks like a copy of one that is being read waits: if that one is emptied, the copy is where the rest of it is,
//! and is read from there. If it is not emptied, the copy is a file like others.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flow;
use super::generation::{self, Fate, Generation};
use super::identity::{HEAD, Inode, read_at};
use super::keeper::Kept;
use super::listing::{Found, Listing, Rotated};
use super::naming::{self, Origin, rotated_from};
use super::order;
use super::reach::Reach;
use super::removal;
use super::settings::{Format, TailSettings};
use super::source::Source;
use super::sources::{Id, Sources};
use crate::pod::house::House;

/// How long a file that looks like a copy waits after it has grown last.
const WAITS: Duration = Duration::from_secs(5);
/// How long it waits at most.
const WAITS_AT_MOST: Duration = Duration::from_secs(60);

/// Which files are read from where when they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the very first start: named ones from their beginning, or from their last line.
    First { from_start: bool },
    /// Later: whatever is new, from its beginning.
    Later,
}

/// A file that looks like a copy.
#[derive(Debug)]
pub(super) struct Waiting {
    of: Id,
    path: PathBuf,
    file: File,
    size: u64,
    met: Instant,
    /// When it grew last.
    since: Instant,
    /// Whether it began like the other when it was found.
    is_alike: bool,
}

/// What is known of files that are not read.
#[derive(Debug)]
pub(super) struct Rotation {
    reach: Arc<Reach>,
    waiting: HashMap<Inode, Waiting>,
    /// How long a file that was rotated away or deleted is known after it has been read.
    lingers: Duration,
    format: Format,
    /// Whether those that were rotated away are removed then.
    removes: bool,
    /// From when the checkpoint is.
    pub(super) saved: Option<Instant>,
    has_complained: bool,
}

/// A listing, to be asked by file and by path.
struct There<'l> {
    files: &'l [Found],
    paths: HashMap<&'l Path, usize>,
    inodes: HashMap<Inode, usize>,
}

impl<'l> There<'l> {
    fn new(files: &'l [Found]) -> Self {
        let mut inodes = HashMap::new();
        for (i, found) in files.iter().enumerate() {
            inodes.entry(found.inode).or_insert(i);
        }
        Self {
            files,
            paths: files.iter().enumerate().map(|(i, found)| (found.path.as_path(), i)).collect(),
            inodes,
        }
    }

    /// Where a file is: at the path where it was, if it is there still.
    fn find(&self, path: &Path, inode: Inode) -> Option<&'l Found> {
        let same = self.paths.get(path).map(|&i| &self.files[i]).filter(|found| found.inode == inode);
        same.or_else(|| self.inodes.get(&inode).map(|&i| &self.files[i]))
    }
}

impl Rotation {
    pub(super) fn new(reach: Arc<Reach>, settings: &TailSettings) -> Self {
        Self {
            reach,
            waiting: HashMap::new(),
            lingers: settings.lingers,
            format: settings.format,
            removes: settings.remove_rotated,
            saved: None,
            has_complained: false,
        }
    }

    /// Whether files wait.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The files that are known, and how long they were when they were looked at last.
    pub(super) fn known<'s>(&'s self, sources: &'s Sources) -> impl Iterator<Item = (Inode, u64)> + 's {
        let passed =
            sources.all.values().flat_map(|source| &source.passed).map(|(inode, _)| (*inode, u64::MAX));
        let waiting = self.waiting.iter().map(|(inode, waiting)| (*inode, waiting.size));
        let generations = sources.all.values().flat_map(|source| &source.generations);
        let own = generations.map(|generation| (generation.inode, generation.size));
        passed.chain(waiting).chain(own)
    }

    /// Brings sources in line with what there is. How many bytes are there that were not delivered.
    pub(super) fn reconcile(
        &mut self,
        sources: &mut Sources,
        listing: Listing,
        kept: Vec<Kept>,
        start: Start,
        house: &House,
    ) -> u64 {
        let Listing { mut files, rotated, .. } = listing;
        let reach = self.reach.clone();
        let named: HashSet<&Path> = files.iter().map(|found| found.path.as_path()).collect();
        // A name that only rotation gives is enough: a file may have got it before it was ever seen under its own.
        let is_ours = |rotated: &Rotated| {
            rotated.found.origin == Origin::Behind
                || sources.of_name(&rotated.before).is_some()
                || named.contains(&*rotated.before)
        };
        let ours = rotated.into_iter().filter(is_ours);
        let rotated: HashMap<Inode, (Found, PathBuf)> =
            ours.map(|Rotated { found, before }| (found.inode, (found, before))).collect();
        let befores: HashMap<Inode, PathBuf> =
            rotated.iter().map(|(&inode, (_, before))| (inode, before.clone())).collect();
        files.extend(rotated.into_values().map(|(found, _)| found));
        let there = There::new(&files);
        locate(sources, &there, &reach, house);
        // What came and went meanwhile came before what is there.
        for Kept { found, name, file } in kept {
            if !there.inodes.contains_key(&found.inode) && sources.of_file(found.inode).is_none() {
                let mut generation = Generation::new(found.inode, found.born, found.path, Fate::Gone);
                generation.file = Some(file);
                house.event("rotated");
                let id = sources.named(&name);
                sources.adopt(id, generation);
            }
        }
        // Names first of those that are new, so that what was rotated away finds its source.
        let new = files.iter().filter(|found| sources.of_file(found.inode).is_none());
        let before_of = |found: &Found| befores.get(&found.inode).cloned().or_else(|| before(&found.path));
        let new = new.map(|found| (before_of(found), found));
        let (named, mut rotated): (Vec<_>, Vec<_>) = new.partition(|(_, found)| found.is_named());
        order::sort(
            &mut rotated,
            |(before, found)| (before.as_deref().unwrap_or(&found.path), found),
            |before| numbers(sources, before),
        );
        let mut seen = HashSet::new();
        for (before, found) in rotated.into_iter().chain(named) {
            if seen.insert(found.inode) {
                self.meet(sources, found, before, start, house);
            }
        }
        if start != Start::Later {
            for source in sources.all.values_mut() {
                self.begin_behind(source, &there, house);
            }
        }
        // One that waits may have been deleted meanwhile; it is still what it was.
        self.waiting
            .retain(|inode, waiting| there.inodes.contains_key(inode) || waiting.since.elapsed() < WAITS);
        sources.forget(|source, i| {
            let found = there.inodes.get(&source.generations[i].inode).map(|&i| &there.files[i]);
            self.is_over(source, i, found, house)
        });
        for source in sources.all.values_mut() {
            source.passed.retain(|(inode, _)| there.inodes.contains_key(inode));
        }
        sources.index();
        let generations = sources.all.values().flat_map(|source| &source.generations);
        let lags = generations.map(|generation| {
            let size =
                there.find(&generation.path, generation.inode).map_or(generation.size, |found| found.size);
            size.saturating_sub(generation.kept())
        });
        lags.sum()
    }

    /// A file that belongs to no source yet.
    fn meet(
        &mut self,
        sources: &mut Sources,
        found: &Found,
        before: Option<PathBuf>,
        start: Start,
        house: &House,
    ) {
        let of = before.as_deref().and_then(|before| sources.of_name(before));
        if let Some(id) = of {
            let is_passed =
                sources.all.get(&id).is_some_and(|source| source.passed.contains(&(found.inode, found.born)));
            if is_passed && !found.is_named() {
                return;
            }
            if self.waits(sources, id, found) {
                return;
            }
        }
        let waiting = self.waiting.remove(&found.inode);
        let mut generation = Generation::new(found.inode, found.born, found.path.clone(), Fate::Here);
        let is_first = start != Start::Later;
        if found.is_named() {
            if start == (Start::First { from_start: false })
                && let Ok(Some(file)) = self.reach.open(&found.path)
                && let Err(error) = generation.skip_to_last_line(&file)
            {
                tracing::warn!(path = %found.path.display(), %error, "cannot be read; it is read from its beginning");
            }
            let id = sources.named(&found.path);
            if sources.all.get(&id).is_some_and(|source| !source.generations.is_empty()) {
                house.event("rotated");
            }
            sources.adopt(id, generation);
            return;
        }
        // Of what rotation has renamed, what was there before us is not asked for, and neither is a copy of what is there.
        let Some(id) = of.or_else(|| before.map(|before| sources.named(&before))) else { return };
        let is_copy = waiting.is_some_and(|waiting| {
            let current = sources.all.get(&id).and_then(Source::current);
            current.is_some_and(|current| is_alike(&waiting.file, current, &self.reach))
        });
        // Another file may be called `app-2.log` as well. If it was ours it would be known.
        let is_other = found.origin == Origin::Within;
        if is_first || is_copy || is_other {
            if let Some(source) = sources.all.get_mut(&id) {
                source.passed.push((found.inode, found.born));
            }
        } else {
            house.event("rotated");
            sources.adopt(id, generation);
        }
    }

    /// At the first start: of the youngest file that rotation has renamed nothing is delivered, but it may have left something
    /// open for the one that is read.
    fn begin_behind(&self, source: &mut Source, there: &There<'_>, house: &House) {
        let passed = source.passed.iter().rev();
        let mut passed = passed.filter_map(|(inode, _)| there.inodes.get(inode).map(|&i| &there.files[i]));
        let Some(found) = passed.find(|found| found.origin == Origin::Behind) else { return };
        let read = || {
            let Some(file) = self.reach.open(&found.path)? else { return Ok(Vec::new()) };
            generation::last_lines(&file).map(|(_, bytes)| bytes)
        };
        match read() {
            Ok(bytes) => source.open = flow::left_open(self.format, &bytes, house),
            Err(error) => {
                let error: std::io::Error = error;
                tracing::warn!(path = %found.path.display(), %error, "cannot be read; what it has left open is not known");
                source.open = u8::MAX;
            }
        }
        source.lost = source.open;
    }

    /// Whether a new file waits, since it looks like a copy of what source `id` reads.
    fn waits(&mut self, sources: &Sources, id: Id, found: &Found) -> bool {
        let Some(current) = sources.all.get(&id).and_then(Source::current) else { return false };
        if let Some(waiting) = self.waiting.get_mut(&found.inode) {
            if waiting.size != found.size {
                (waiting.size, waiting.since) = (found.size, Instant::now());
                waiting.is_alike |= is_alike(&waiting.file, current, &self.reach);
            }
            let is_candidate = found.size == 0 || waiting.is_alike || is_copy(&waiting.file, current);
            return is_candidate && waiting.since.elapsed() < WAITS && waiting.met.elapsed() < WAITS_AT_MOST;
        }
        let Ok(Some(file)) = self.reach.open(&found.path) else { return false };
        let is_alike = is_alike(&file, current, &self.reach);
        // An empty one may be about to become a copy.
        let is_candidate = found.size == 0 || is_alike || is_copy(&file, current);
        if is_candidate {
            let (path, size, now) = (found.path.clone(), found.size, Instant::now());
            self.waiting
                .insert(found.inode, Waiting { of: id, path, file, size, met: now, since: now, is_alike });
        }
        is_candidate
    }

    /// A generation was emptied: where the rest of it is, if a copy was made.
    pub(super) fn copy_of(&mut self, sources: &Sources, id: Id, emptied: usize) -> Option<Generation> {
        let source = sources.all.get(&id)?;
        let generation = source.generations.get(emptied)?;
        let mut copies: Vec<(PathBuf, File)> = Vec::new();
        let waiting: Vec<Inode> =
            self.waiting.iter().filter(|(_, waiting)| waiting.of == id).map(|(&i, _)| i).collect();
        for inode in waiting {
            let waiting = &self.waiting[&inode];
            let is_its = if generation.taken.offset == 0 {
                waiting.is_alike
            } else {
                is_copy(&waiting.file, generation)
            };
            if is_its && let Some(waiting) = self.waiting.remove(&inode) {
                copies.push((waiting.path, waiting.file));
            }
        }
        if copies.is_empty() && generation.taken.offset > 0 {
            copies = beside(&generation.path, sources, source, &self.reach)
                .into_iter()
                .filter(|(_, file)| is_copy(file, generation))
                .collect();
        }
        // Of several that begin alike, the one made last.
        let made = |file: &File| file.metadata().and_then(|metadata| metadata.modified()).ok();
        let (path, file) = copies.into_iter().max_by_key(|(_, file)| made(file))?;
        let metadata = file.metadata().ok()?;
        let fate = Fate::Renamed;
        let mut copy = Generation::new(Inode::of(&metadata), super::identity::born(&metadata), path, fate);
        (copy.head, copy.taken, copy.line) = (generation.head, generation.taken, generation.line);
        (copy.safe, copy.delivered, copy.ended) = (generation.safe, generation.delivered, generation.ended);
        (copy.is_copy, copy.file) = (true, Some(file));
        Some(copy)
    }

    /// Whether a generation needs no more to be known.
    fn is_over(&mut self, source: &mut Source, i: usize, found: Option<&Found>, house: &House) -> bool {
        let generation = &mut source.generations[i];
        if generation.fate == Fate::Gone && generation.file.is_none() {
            if generation.is_wanted() {
                source.lose();
            }
            return true;
        }
        // What a pattern names is known for as long as it is there, so that it is not read again.
        if generation.fate == Fate::Here || found.is_some_and(Found::is_named) && !self.removes {
            return false;
        }
        let is_over =
            generation.is_read() && !generation.is_needed() && generation.last.elapsed() >= self.lingers;
        if is_over && generation.fate == Fate::Renamed {
            if self.removes && !self.has_left(generation, house) {
                return false;
            }
            if found.is_some_and(Found::is_named) {
                return false;
            }
            let file = (generation.inode, generation.born);
            source.passed.push(file);
        }
        is_over
    }

    /// Removes a file that was rotated away and has been delivered, once the checkpoint says so. It is held open for a while
    /// longer. Whether it is left where it is, since it cannot be removed.
    fn has_left(&mut self, generation: &mut Generation, house: &House) -> bool {
        if self.saved.is_none_or(|saved| saved <= generation.last) {
            return false;
        }
        let removed = match generation.open(&self.reach) {
            Ok(Some(_)) => removal::remove(&generation.path, generation.inode),
            // It has moved on; the next listing tells where it is.
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        match removed {
            Ok(true) => {
                (generation.fate, generation.last, generation.is_stirred) =
                    (Fate::Gone, Instant::now(), true);
            }
            Ok(false) => {}
            Err(error) => {
                house.event("removal_failed");
                if !std::mem::replace(&mut self.has_complained, true) {
                    let path = generation.path.display();
                    tracing::warn!(%path, %error, "cannot be removed after it was delivered; rotated files stay where they are");
                }
                return true;
            }
        }
        false
    }
}

/// Finds out where the files of all sources are.
fn locate(sources: &mut Sources, there: &There<'_>, reach: &Reach, house: &House) {
    let mut folders = HashMap::new();
    let mut stirred = Vec::new();
    let mut others = Vec::new();
    for (&id, source) in &mut sources.all {
        for i in 0..source.generations.len() {
            let name = &source.name;
            let generation = &mut source.generations[i];
            let found = there.find(&generation.path, generation.inode).cloned();
            let found =
                found.or_else(|| elsewhere(generation, name, source.real.as_deref(), reach, &mut folders));
            match found {
                Some(found) if found.path != generation.path && !is_still(generation, &found.path, reach) => {
                    // Another file has got its inode.
                    others.push((id, generation.inode));
                    vanished(generation, house);
                }
                Some(found) => {
                    let fate = if found.path == *name { Fate::Here } else { Fate::Renamed };
                    if found.path != generation.path || fate != generation.fate {
                        (generation.path, generation.fate) = (found.path, fate);
                        (generation.last, generation.is_stirred) = (Instant::now(), true);
                    }
                    generation.is_stirred |= found.size != generation.size || source.failing.is_some();
                }
                None => vanished(generation, house),
            }
        }
        // The one at the path comes last: those that were there before are read before it.
        source.generations.sort_by_key(|generation| generation.fate == Fate::Here);
        if source.is_stirred() {
            stirred.push(id);
        }
    }
    for (id, inode) in others {
        sources.disown(id, inode);
    }
    stirred.into_iter().for_each(|id| sources.stir(id));
}

/// Whether the file at a path is this one, and not another that has got its inode.
fn is_still(generation: &Generation, path: &Path, reach: &Reach) -> bool {
    // Whoever has it open keeps its inode from others.
    generation.file.is_some()
        || match reach.open(path) {
            Ok(Some(file)) => generation.is_like(&file).unwrap_or(true),
            // It cannot be known; it is looked at again when it is read.
            _ => true,
        }
}

/// Files by their inodes, of folders that were listed.
type Folders = HashMap<PathBuf, HashMap<Inode, Found>>;

/// Looks for a file that is not listed, in the folder where it was.
fn elsewhere(
    generation: &Generation,
    name: &Path,
    real: Option<&Path>,
    reach: &Reach,
    folders: &mut Folders,
) -> Option<Found> {
    if let Some(file) = &generation.file {
        let is_gone =
            file.metadata().is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) == 0);
        if is_gone {
            return None;
        }
    }
    let folder_of = |path: &Path| path.parent().map(Path::to_owned);
    let places = [folder_of(&generation.path), folder_of(name), real.and_then(folder_of)];
    places.into_iter().flatten().find_map(|folder| {
        let files = folders.entry(folder).or_insert_with_key(|folder| {
            let entries = fs::read_dir(if folder == Path::new("") { Path::new(".") } else { folder });
            let paths = entries.into_iter().flatten().flatten().map(|entry| folder.join(entry.file_name()));
            paths
                .filter_map(|path| reach.find(&path, Origin::Behind))
                .map(|found| (found.inode, found))
                .collect()
        });
        files.get(&generation.inode).cloned()
    })
}

/// A file is nowhere. Held open, it is still read to its end.
fn vanished(generation: &mut Generation, house: &House) {
    if let Some(file) = &generation.file {
        // Whoever has it open may write on.
        generation.is_stirred |= file.metadata().map_or(true, |metadata| metadata.len() != generation.size);
        if generation.fate != Fate::Gone {
            (generation.fate, generation.last, generation.is_stirred) = (Fate::Gone, Instant::now(), true);
        }
        return;
    }
    if generation.fate != Fate::Gone && !generation.is_read() {
        house.event("lost");
        tracing::warn!(path = %generation.path.display(), "was deleted before it was read to its end");
    }
    generation.fate = Fate::Gone;
    (generation.is_stirred, generation.has_begun) = (false, false);
}

/// The least and the greatest number in the names of what is known of a path.
fn numbers(sources: &Sources, path: &Path) -> Option<(i64, i64)> {
    let source = sources.of_name(path).and_then(|id| sources.all.get(&id))?;
    let gone = |generation: &&Generation| generation.fate == Fate::Renamed;
    let numbers = source.generations.iter().filter(gone).filter_map(|own| naming::number(&own.path));
    numbers.fold(None, |known, number| {
        let (least, most) = known.unwrap_or((number, number));
        Some((least.min(number), most.max(number)))
    })
}

/// The path that a file had before it was rotated, going by its name.
fn before(path: &Path) -> Option<PathBuf> {
    rotated_from(&path.file_name()?.to_string_lossy()).map(|(name, _)| path.with_file_name(name))
}

/// Files that no source knows, with names of rotated ones, beside one of a source and where it leads.
fn beside(path: &Path, sources: &Sources, source: &Source, reach: &Reach) -> Vec<(PathBuf, File)> {
    let places = [Some(path), source.real.as_deref().filter(|_| path == source.name)];
    let mut files = Vec::new();
    for path in places.into_iter().flatten() {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| path.with_file_name(entry.file_name()));
        let rotated = paths.filter(|other| before(other).as_deref() == Some(path));
        let found = rotated.filter_map(|path| reach.find(&path, Origin::Behind));
        let unknown = found.filter(|found| {
            sources.of_file(found.inode).is_none() && !source.passed.contains(&(found.inode, found.born))
        });
        files.extend(unknown.filter_map(|found| Some((found.path.clone(), reach.open(&found.path).ok()??))));
    }
    files
}

/// Whether a file holds what was taken of a generation, and may hold more.
fn is_copy(file: &File, generation: &Generation) -> bool {
    let is_long = file.metadata().is_ok_and(|metadata| metadata.len() >= generation.taken.offset);
    let is_same = || Ok::<_, std::io::Error>(generation.head.is_of(file)? && generation.taken.is_in(file)?);
    generation.taken.offset > 0 && is_long && is_same().unwrap_or(false)
}

/// Whether a file begins like what a generation holds now.
fn is_alike(file: &File, generation: &Generation, reach: &Reach) -> bool {
    let opened;
    let other = match &generation.file {
        Some(other) => other,
        None => match reach.open(&generation.path) {
            Ok(Some(other)) => {
                opened = other;
                &opened
            }
            _ => return false,
        },
    };
    let (mut one, mut two) = ([0; HEAD], [0; HEAD]);
    let Ok(there) = read_at(file, 0, &mut one) else { return false };
    there > 0
        && read_at(other, 0, &mut two[..there]).is_ok_and(|also| also == there)
        && one[..there] == two[..there]
}
