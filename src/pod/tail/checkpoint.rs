//! How far each file has been delivered, in a file: written whole and then put in place, so that it is the old one or the new.
//!
//! What it says was delivered, was. What was delivered after it was written comes again after a kill. It holds paths, numbers
//! and hashes, and nothing that was read.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::generation::{Fate, Generation};
use super::identity::{Hash, Head, Inode, Place};
use super::settings::CannotStart;
use super::sources::Sources;
use crate::pod::house::House;

const VERSION: u32 = 1;
/// It is written no more often than this,
const EVERY: Duration = Duration::from_secs(1);
/// but sooner at first: who is killed again and again must get on.
const AT_FIRST: Duration = Duration::from_millis(50);
/// and no more often than so many times as long as writing takes.
const RATIO: u32 = 20;

/// The file, held against other processes.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    /// `None`: there is no room for it.
    _lock: Option<File>,
    last: Option<Instant>,
    /// From when what it holds is.
    saved: Option<Instant>,
    wait: Duration,
    has_failed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Whole {
    version: u32,
    sources: Vec<SourceEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SourceEntry {
    name: PathBuf,
    files: Vec<FileEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passed: Vec<(u64, u64, Option<u64>)>,
    /// The streams that had something open where records were delivered to, a bit each.
    #[serde(default, skip_serializing_if = "is_none")]
    open: u8,
    /// Those of them of which what has opened it cannot be read again.
    #[serde(default, skip_serializing_if = "is_none")]
    lost: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_none(streams: &u8) -> bool {
    *streams == 0
}

#[derive(Debug, Serialize, Deserialize)]
struct FileEntry {
    path: PathBuf,
    device: u64,
    inode: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u64>,
    head_length: u16,
    head: Hex,
    /// Where reading starts.
    offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    near: Option<Hex>,
    /// Up to where records were delivered.
    delivered: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_copy: bool,
}

/// A hash in hexadecimal digits.
#[derive(Debug)]
struct Hex(Hash);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("no hash");
        let mut hash = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong());
        }
        for (i, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl Checkpoint {
    /// Takes hold of the file.
    pub(super) fn open(path: &Path, house: &House) -> Result<Self, CannotStart> {
        let cannot = |error| CannotStart::Checkpoint(path.to_owned(), error);
        if path.is_dir() {
            return Err(cannot(io::Error::new(ErrorKind::IsADirectory, "is a folder")));
        }
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(beside(path, "lock"));
        let lock = match lock {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => Some(lock),
                Err(TryLockError::WouldBlock) => return Err(CannotStart::Held(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            },
            Err(error) if is_full(&error) => {
                house.event("checkpoint_failed");
                tracing::warn!(path = %path.display(), %error, "the checkpoint is not locked");
                None
            }
            Err(error) => return Err(cannot(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            last: None,
            saved: None,
            wait: AT_FIRST,
            has_failed: false,
        })
    }

    /// Reads the file. `None`: there is none, or none of ours; then all files are read from their beginning.
    pub(super) fn read(&self, house: &House) -> Result<Option<Sources>, CannotStart> {
        let cannot = |error| CannotStart::Checkpoint(self.path.clone(), error);
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        match serde_json::from_slice::<Whole>(&text) {
            Ok(whole) if whole.version == VERSION => Ok(Some(whole.into_sources())),
            _ => {
                let aside = beside(&self.path, "unreadable");
                house.event("checkpoint_unreadable");
                tracing::error!(
                    path = %self.path.display(), aside = %aside.display(),
                    "the checkpoint cannot be read and is put aside; all files are read from their beginning"
                );
                // If it stays where it is, the next one takes its place.
                let _ = fs::rename(&self.path, aside);
                Ok(Some(Sources::default()))
            }
        }
    }

    /// Whether it may be written again.
    pub(super) fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= self.wait)
    }

    /// From when what it holds is, if it has been written.
    pub(super) fn saved(&self) -> Option<Instant> {
        self.saved
    }

    /// Writes how far all files have been delivered. Whether it is written; if not, that is said and counted.
    pub(super) fn write(&mut self, sources: &Sources, house: &House) -> bool {
        let start = Instant::now();
        let written = self.put(&Whole::of(sources));
        self.last = Some(Instant::now());
        self.wait = EVERY.min(self.wait * 2).max(start.elapsed() * RATIO);
        match &written {
            Ok(()) if self.has_failed => tracing::info!("the checkpoint is written again"),
            Ok(()) => {}
            Err(error) => {
                house.event("checkpoint_failed");
                if !self.has_failed {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "the checkpoint cannot be written; tried again every second");
                }
            }
        }
        if written.is_ok() {
            self.saved = Some(start);
        }
        self.has_failed = written.is_err();
        written.is_ok()
    }

    fn put(&self, whole: &Whole) -> io::Result<()> {
        let new = beside(&self.path, "new");
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        let mut writer = BufWriter::with_capacity(64 << 10, file);
        serde_json::to_writer(&mut writer, whole)?;
        writer.flush()?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&new, &self.path)?;
        let folder = self.path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

/// The files that a checkpoint becomes.
pub fn files_of_checkpoint(path: &Path) -> Vec<PathBuf> {
    let others = ["lock", "new", "unreadable"].map(|ending| beside(path, ending));
    [path.to_owned()].into_iter().chain(others).collect()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Whole {
    fn of(sources: &Sources) -> Self {
        let file = |generation: &Generation| FileEntry {
            path: text(&generation.path),
            device: generation.inode.device,
            inode: generation.inode.number,
            born: generation.born,
            head_length: generation.head.len,
            head: Hex(generation.head.hash),
            offset: generation.safe.offset,
            near: generation.safe.near.map(Hex),
            delivered: generation.delivered.max(generation.safe.offset),
            ended: generation.ended,
            recorded: generation.recorded,
            is_copy: generation.is_copy,
        };
        let sources = sources.all.values().map(|source| SourceEntry {
            name: text(&source.name),
            files: source.generations.iter().map(file).collect(),
            passed: source.passed.iter().map(|(inode, born)| (inode.device, inode.number, *born)).collect(),
            open: source.open,
            lost: source.lost,
        });
        Self { version: VERSION, sources: sources.collect() }
    }

    fn into_sources(self) -> Sources {
        let mut sources = Sources::default();
        for entry in self.sources {
            let id = sources.named(&entry.name);
            if let Some(source) = sources.all.get_mut(&id) {
                (source.open, source.lost) = (entry.open, entry.lost);
                let passed = entry.passed.into_iter();
                source.passed =
                    passed.map(|(device, number, born)| (Inode { device, number }, born)).collect();
            }
            for file in entry.files {
                sources.adopt(id, file.into_generation());
            }
        }
        sources
    }
}

impl FileEntry {
    fn into_generation(self) -> Generation {
        let mut inode = Inode { device: self.device, number: self.inode };
        // Devices may have other numbers after a restart of the machine.
        let there = fs::metadata(&self.path).ok().map(|metadata| Inode::of(&metadata));
        inode = there.filter(|there| there.number == inode.number).unwrap_or(inode);
        let mut generation = Generation::new(inode, self.born, self.path, Fate::Renamed);
        generation.head = Head { len: self.head_length, hash: self.head.0 };
        generation.taken = Place { offset: self.offset, near: self.near.map(|near| near.0) };
        (generation.safe, generation.line) = (generation.taken, self.offset);
        (generation.delivered, generation.ended) = (self.delivered, self.ended);
        generation.recorded = self.recorded;
        generation.size = self.offset.max(self.delivered).max(self.ended.unwrap_or(0));
        generation.is_copy = self.is_copy;
        generation
    }
}

/// JSON has no place for other names. A file with one is found by its inode.
fn text(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().into_owned())
}
