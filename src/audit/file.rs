//! The files of a trail: opened, gone on with after a crash, written, rotated.
//!
//! Invariants:
//! - What a call writes is behind all that was written before, or is not there for the next call: after a failed write the
//!   file is cut back first.
//! - One process writes a trail: the file is locked.
//! - A file that is not the trail's, or was changed by others, is not written to, nor counted or removed as a full one.
//! - Which file is the oldest that was kept is known from what was signed, not from what lies in the folder: who removes
//!   files there cannot have it signed that they were not kept.
//!
//! A full file ends with a `rotate` entry and becomes `FILE.<number of its first entry>`; the new one begins with a
//! `continue` entry. A crash anywhere in between is gone on from.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::chain::{Hash, Key};
use super::entry::{Id, Kind, MOST_LINE};
use super::tail::{self, First, Last, Tail, Unfit};

/// How much of a file's end is read at first.
const END: u64 = 64 << 10;
/// Digits of the number in a full file's name: names sort as entries do.
const DIGITS: usize = 12;

/// Sizes and numbers of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file of this many bytes is full. It may hold one write more.
    pub max_size: u64,
    /// How many full files are kept.
    pub keep: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_size: 64 << 20, keep: 15 }
    }
}

/// Why a trail cannot be kept.
#[derive(Debug)]
pub enum CannotOpen {
    /// A file or folder; what the system says.
    File(PathBuf, io::Error),
    /// It is no file: a folder, a pipe, a device.
    NotAFile(PathBuf),
    /// Another process writes it.
    InUse(PathBuf),
    /// Its end is no trail, or one that was changed.
    Unfit(PathBuf, &'static str),
    /// The system.
    System(io::Error),
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "cannot write the audit trail {}: {error}", path.display()),
            Self::NotAFile(path) => {
                write!(
                    f,
                    "audit trail {}: is no regular file; name one, in a folder of its own",
                    path.display()
                )
            }
            Self::InUse(path) => write!(
                f,
                "audit trail {}: another process is writing it; give each process a file of its own",
                path.display()
            ),
            Self::Unfit(path, why) => write!(
                f,
                "audit trail {}: {why}; look at it with `kasm-scrub audit verify`, then move it away to begin a new one",
                path.display()
            ),
            Self::System(error) => write!(f, "cannot start the audit trail: {error}"),
        }
    }
}

impl std::error::Error for CannotOpen {}

/// Writes a trail.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    key: Key,
    limits: Limits,
    file: File,
    /// How much of the file is written and good.
    len: u64,
    /// There may be more behind that, of a write that failed.
    is_dirty: bool,
    /// The file ends with `rotate`.
    is_full: bool,
    trail: Id,
    /// The number of its first entry.
    first: u64,
    /// The number of the next entry, and the hash before it.
    seq: u64,
    head: Hash,
    /// The first entry of the oldest file that is kept, as it was signed last.
    oldest: u64,
    /// Entries of files that were found missing, until somebody is told.
    lost: Option<(u64, u64)>,
    lines: Vec<u8>,
}

/// The trail, and the last entry that is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Which trail it is.
    pub trail: Id,
    /// The number of the last entry; `None`: the trail begins now.
    pub seq: Option<u64>,
    /// Its hash.
    pub head: Hash,
}

impl Writer {
    /// Opens a trail, makes sure of its end, and says in it that it goes on. Where that was comes with it.
    pub(super) fn open(path: &Path, key: Key, limits: Limits) -> Result<(Self, Anchor), CannotOpen> {
        let cannot = |error| CannotOpen::File(path.to_owned(), error);
        if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
            return Err(CannotOpen::NotAFile(path.to_owned()));
        }
        let file = create(OpenOptions::new().create(true), path).map_err(cannot)?;
        lock(&file, path)?;
        let Tail { torn, last } = end_of(&file, path, &key)?;
        let len = file.metadata().map_err(cannot)?.len() - torn;
        let mut own = Self {
            // Full files stand beside the file itself, not beside a link to it.
            path: fs::canonicalize(path).map_err(cannot)?,
            key,
            limits,
            file,
            len,
            is_dirty: torn > 0,
            is_full: false,
            trail: Id::default(),
            first: 0,
            seq: 0,
            head: Hash::default(),
            oldest: 0,
            lost: None,
            lines: Vec::new(),
        };
        let kind = own.find_end(last, torn)?;
        let anchor = own.anchor();
        own.write(kind.as_slice()).map_err(|error| CannotOpen::File(path.to_owned(), error))?;
        Ok((own, anchor))
    }

    /// The trail, and the last entry that was written.
    pub(super) fn anchor(&self) -> Anchor {
        Anchor { trail: self.trail, seq: self.seq.checked_sub(1), head: self.head }
    }

    /// Entries of files that were found missing, the first time that it is asked.
    pub(super) fn take_lost(&mut self) -> Option<(u64, u64)> {
        self.lost.take()
    }

    /// Where to go on, and what to say of it.
    fn find_end(&mut self, last: Option<Last>, torn: u64) -> Result<Option<Kind>, CannotOpen> {
        let (first, last, is_here) = if let Some(last) = last {
            let first = first_of(&self.file, &self.key).map_err(CannotOpen::System)?;
            let why = "its first line is not one that a trail under this key begins with";
            (first.ok_or_else(|| CannotOpen::Unfit(self.path.clone(), why))?, last, true)
        } else {
            let cannot = |error| CannotOpen::File(self.path.clone(), error);
            let full = full_files(&self.path, &self.key, None).map_err(cannot)?;
            let Some(Full { first, last, .. }) = full.into_iter().next_back() else {
                self.trail = Id(random().map_err(CannotOpen::System)?);
                let trail = self.trail;
                return Ok((torn > 0).then_some(Kind::Resume { trail, torn, unkeyed: 0 }));
            };
            // The crash came between two files.
            (first, last, false)
        };
        let Last { seq, hash, kind, unkeyed, .. } = last;
        let First { trail, oldest, .. } = first;
        (self.trail, self.oldest, self.seq, self.head) = (trail, oldest, seq + 1, hash);
        self.first = if is_here { first.seq } else { self.seq };
        self.is_full = is_here && kind == Kind::Rotate;
        Ok(Some(match kind {
            Kind::Close if torn == 0 => Kind::Open { trail },
            _ => Kind::Resume { trail, torn, unkeyed },
        }))
    }

    /// Writes entries, and a checkpoint behind them if they need one; a new file first if this one is full. How many were
    /// written.
    pub(super) fn write(&mut self, kinds: &[Kind]) -> io::Result<u64> {
        if self.is_full || self.len >= self.limits.max_size {
            self.rotate()?;
        }
        self.append(kinds)
    }

    fn append(&mut self, kinds: &[Kind]) -> io::Result<u64> {
        let (first, excess) = match (self.len, self.seq) {
            (1.., _) => (None, Vec::new()),
            (0, 0) => {
                let version = env!("CARGO_PKG_VERSION").to_owned();
                (Some(Kind::Start { version, trail: self.trail }), Vec::new())
            }
            _ => {
                let Kept { oldest, lost, excess } = self.kept()?;
                (Some(Kind::Continue { trail: self.trail, head: self.head, oldest, lost }), excess)
            }
        };
        let last = kinds.last().is_some_and(|kind| !kind.is_keyed()).then_some(Kind::Checkpoint);
        let time = super::now();
        let (mut seq, mut head) = (self.seq, self.head);
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for kind in first.iter().chain(kinds).chain(&last) {
            head = kind.write(seq, time, &head, &self.key, &mut lines);
            seq += 1;
        }
        let put = self.put(&lines);
        self.lines = lines;
        put?;
        let count = seq - self.seq;
        (self.seq, self.head) = (seq, head);
        if let Some(Kind::Continue { oldest, lost, .. }) = first {
            (self.oldest, self.lost) = (oldest, lost.or(self.lost));
            // Only now that it is signed. What cannot be removed is tried again the next time.
            excess.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        Ok(count)
    }

    /// Which full files are kept beside the file that begins now.
    fn kept(&self) -> io::Result<Kept> {
        let full = full_files(&self.path, &self.key, Some((self.trail, self.first)))?;
        // Of the entries that were kept, those that are in no file.
        let mut next = self.oldest;
        let mut lost: Option<(u64, u64)> = None;
        let bounds = full.iter().map(|full| (full.first.seq, full.last.seq));
        for (first, last) in
            bounds.chain([(self.first, self.first)]).filter(|(first, _)| *first >= self.oldest)
        {
            if next < first {
                lost = Some((lost.map_or(next, |(from, _)| from), first - 1));
            }
            next = last + 1;
        }
        let split = full.len().saturating_sub(self.limits.keep);
        let oldest = full.get(split).map_or(self.first, |full| full.first.seq);
        // What is lost is said once: what was before it counts no more.
        let oldest = oldest.max(self.oldest).max(lost.map_or(0, |(_, to)| to + 1));
        let excess = full.into_iter().take(split).map(|full| full.path).collect();
        Ok(Kept { oldest, lost, excess })
    }

    /// Writes behind what is there, and makes sure that it is on its way to the disk.
    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        if !self.is_at_path()? {
            return Err(io::Error::other("the file was moved or removed by someone else"));
        }
        if self.is_dirty {
            self.file.set_len(self.len)?;
        } else if self.file.metadata()?.len() != self.len {
            return Err(io::Error::other("the file was changed by someone else"));
        }
        self.is_dirty = true;
        self.file.write_all_at(lines, self.len)?;
        self.file.sync_data()?;
        self.is_dirty = false;
        self.len += lines.len() as u64;
        Ok(())
    }

    /// Whether the path still leads to the file.
    fn is_at_path(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(there) => {
                let here = self.file.metadata()?;
                Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes over to a new file. Each step that was taken is not taken again if a later one fails.
    fn rotate(&mut self) -> io::Result<()> {
        if !self.is_full {
            self.append(&[Kind::Rotate])?;
            self.is_full = true;
        }
        if self.is_at_path()? {
            let full = full_name(&self.path, self.first);
            if full.try_exists()? {
                return Err(io::Error::new(
                    ErrorKind::AlreadyExists,
                    format!("{} is in the way", full.display()),
                ));
            }
            fs::rename(&self.path, full)?;
        }
        let file = create(OpenOptions::new().create_new(true), &self.path)?;
        file.try_lock().map_err(io::Error::from)?;
        self.file = file;
        (self.len, self.is_dirty, self.is_full, self.first) = (0, false, false, self.seq);
        File::open(folder(&self.path))?.sync_all()
    }
}

/// What is said of full files when a new one begins.
struct Kept {
    /// The first entry of the oldest that is kept.
    oldest: u64,
    /// Entries of files that were kept and are gone, from the first of them to the last.
    lost: Option<(u64, u64)>,
    /// The files that are not kept any more.
    excess: Vec<PathBuf>,
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The first entry of a file, if it is one of a trail.
fn first_of(file: &File, key: &Key) -> io::Result<Option<First>> {
    let mut start = vec![0; MOST_LINE];
    let read = file.read_at(&mut start, 0)?;
    Ok(tail::first(&start[..read], key))
}

fn create(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.read(true).write(true).mode(0o600).open(path)
}

fn lock(file: &File, path: &Path) -> Result<(), CannotOpen> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(CannotOpen::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(CannotOpen::File(path.to_owned(), error)),
    }
}

/// Reads as much of a file's end as it takes to tell what it is.
fn end_of(file: &File, path: &Path, key: &Key) -> Result<Tail, CannotOpen> {
    let cannot = |error| CannotOpen::File(path.to_owned(), error);
    let len = file.metadata().map_err(cannot)?.len();
    let mut size = END;
    loop {
        let from = len.saturating_sub(size);
        let mut end = vec![0; (len - from) as usize];
        file.read_exact_at(&mut end, from).map_err(cannot)?;
        let why = match tail::read(&end, from == 0, key) {
            Ok(tail) => return Ok(tail),
            Err(Unfit::Short) if from > 0 => {
                size *= 4;
                continue;
            }
            Err(Unfit::Short | Unfit::NoTrail) => "it is no audit trail",
            Err(Unfit::Changed) => "its last entries do not follow from each other",
            Err(Unfit::OtherKey) => "its last checkpoint was not made with this key",
        };
        return Err(CannotOpen::Unfit(path.to_owned(), why));
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of a full file whose first entry has this number.
fn full_name(path: &Path, first: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{first:0DIGITS$}"));
    PathBuf::from(name)
}

/// A full file.
struct Full {
    first: First,
    last: Last,
    path: PathBuf,
}

/// The full files of a trail before an entry, or of the trail whose file is the newest there; oldest first. A file that
/// only has such a name is none, nor is one that another overlaps.
fn full_files(path: &Path, key: &Key, of: Option<(Id, u64)>) -> io::Result<Vec<Full>> {
    let mut named = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let there = entry?.path();
        let Some(digits) = there.extension().and_then(|digits| digits.to_str()) else { continue };
        if there.file_stem() == path.file_name()
            && digits.len() >= DIGITS
            && digits.bytes().all(|b| b.is_ascii_digit())
            && let Ok(first) = digits.parse()
        {
            named.push((first, there));
        }
    }
    named.sort_unstable();
    let (mut trail, mut before) = (of.map(|(trail, _)| trail), of.map_or(u64::MAX, |(_, before)| before));
    let mut full = Vec::new();
    for (seq, path) in named.into_iter().rev() {
        let Some((first, last)) = full_file(&path, key)? else { continue };
        if first.seq == seq && last.seq < before && *trail.get_or_insert(first.trail) == first.trail {
            before = seq;
            full.push(Full { first, last, path });
        }
    }
    full.reverse();
    Ok(full)
}

/// The first and the last entry of a full file, if it is one.
fn full_file(path: &Path, key: &Key) -> io::Result<Option<(First, Last)>> {
    // Nothing that waits for a writer is opened.
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = File::open(path)?;
    let Some(first) = first_of(&file, key)? else { return Ok(None) };
    let last = match end_of(&file, path, key) {
        Ok(Tail { torn: 0, last }) => last,
        Ok(_) | Err(CannotOpen::Unfit(..)) => None,
        Err(CannotOpen::File(_, error)) => return Err(error),
        Err(other) => return Err(io::Error::other(other)),
    };
    Ok(last.filter(|last| last.kind == Kind::Rotate && last.seq >= first.seq).map(|last| (first, last)))
}
