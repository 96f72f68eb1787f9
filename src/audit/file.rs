//! The files of a trail: opened, gone on with after a crash, written, rotated.
//!
//! Invariants:
//! - What a call writes is behind all that was written before, or is not there for the next call: after a failed write the
//!   file is cut back first.
//! - One process writes a trail: the file is locked.
//! - A file that is not the trail's, or was changed by others, is not written to.
//!
//! A full file ends with a `rotate` entry and becomes `FILE.<number of its first entry>`; the new one begins with a
//! `continue` entry. A crash anywhere in between is gone on from.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::chain::{Hash, Key};
use super::entry::{Kind, MOST_LINE};
use super::tail::{self, Last, Tail, Unfit};

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
    /// The number of its first entry.
    first: u64,
    /// The number and the hash before the next entry.
    seq: u64,
    head: Hash,
    /// The first entry of the oldest file that is kept.
    oldest: u64,
    lines: Vec<u8>,
}

impl Writer {
    /// Opens a trail, makes sure of its end, and says in it that it goes on.
    pub(super) fn open(path: &Path, key: Key, limits: Limits) -> Result<Self, CannotOpen> {
        let cannot = |error| CannotOpen::File(path.to_owned(), error);
        if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
            return Err(CannotOpen::NotAFile(path.to_owned()));
        }
        let file = create(OpenOptions::new().create(true), path).map_err(cannot)?;
        lock(&file, path)?;
        let Tail { torn, last } = end_of(&file, path, &key)?;
        let full = full_files(path).map_err(cannot)?;
        let len = file.metadata().map_err(cannot)?.len() - torn;
        let oldest = full.first().map(|(seq, _)| *seq);
        let mut own = Self {
            path: path.to_owned(),
            key,
            limits,
            file,
            len,
            is_dirty: torn > 0,
            is_full: false,
            first: 0,
            seq: 0,
            head: Hash::default(),
            oldest: oldest.unwrap_or(0),
            lines: Vec::new(),
        };
        let kind = own.find_end(last, torn, full.last())?;
        own.write(kind.as_slice()).map_err(|error| CannotOpen::File(path.to_owned(), error))?;
        Ok(own)
    }

    /// Where to go on, and what to say of it.
    fn find_end(
        &mut self,
        last: Option<Last>,
        torn: u64,
        full: Option<&(u64, PathBuf)>,
    ) -> Result<Option<Kind>, CannotOpen> {
        let unfit = |why| CannotOpen::Unfit(self.path.clone(), why);
        let (last, is_here) = match (last, full) {
            (Some(last), _) => {
                let mut start = vec![0; MOST_LINE];
                let read = self.file.read_at(&mut start, 0).map_err(CannotOpen::System)?;
                self.first =
                    tail::first_seq(&start[..read]).ok_or_else(|| unfit("its first line is no entry"))?;
                (last, true)
            }
            // The crash came between two files.
            (None, Some((_, path))) => {
                let cannot = |error| CannotOpen::File(path.clone(), error);
                let before = File::open(path).map_err(cannot)?;
                let Tail { last, .. } = end_of(&before, path, &self.key)?;
                let last = last.filter(|last| last.kind == Kind::Rotate).ok_or_else(|| {
                    CannotOpen::Unfit(path.clone(), "it does not end as a full file of a trail does")
                })?;
                self.first = last.seq + 1;
                (last, false)
            }
            (None, None) => return Ok((torn > 0).then_some(Kind::Resume { torn, unkeyed: 0 })),
        };
        let Last { seq, hash, kind, unkeyed, .. } = last;
        (self.seq, self.head) = (seq + 1, hash);
        self.is_full = is_here && kind == Kind::Rotate;
        Ok(Some(match kind {
            Kind::Close if torn == 0 => Kind::Open,
            _ => Kind::Resume { torn, unkeyed },
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
        let first = (self.len == 0).then(|| match self.seq {
            0 => Kind::Start { version: env!("CARGO_PKG_VERSION").to_owned() },
            _ => Kind::Continue { head: self.head, oldest: self.oldest },
        });
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
        Ok(count)
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
        self.prune();
        File::open(folder(&self.path))?.sync_all()
    }

    /// Removes the oldest files beyond those that are kept. What cannot be removed stays, and counts as kept.
    fn prune(&mut self) {
        let full = full_files(&self.path).unwrap_or_default();
        let excess = full.len().saturating_sub(self.limits.keep);
        let left: Vec<u64> = full
            .iter()
            .enumerate()
            .filter(|(i, (_, path))| *i >= excess || fs::remove_file(path).is_err())
            .map(|(_, (seq, _))| *seq)
            .collect();
        self.oldest = left.first().copied().unwrap_or(self.seq);
    }
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

/// The full files of a trail, with the numbers of their first entries, oldest first.
fn full_files(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut full = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let there = entry?.path();
        let Some(digits) = there.extension().and_then(|digits| digits.to_str()) else { continue };
        if there.file_stem() == path.file_name()
            && digits.len() >= DIGITS
            && digits.bytes().all(|b| b.is_ascii_digit())
            && let Ok(first) = digits.parse()
        {
            full.push((first, there));
        }
    }
    full.sort_unstable();
    Ok(full)
}
