//! A FIFO that programs write their logs into: made if it is not there, and held open, so that a writer neither waits for a
//! reader nor is ended by SIGPIPE. One that is removed is made anew, and the old one read until its writers are gone; where
//! something else stands in its place, apps write past us, so the input fails.
//!
//! Only its end for reading is held: so it is known when the last writer has gone, and a line that it has not ended ends there.
//! What is open over lines (a private key) stays open: a shell may open the FIFO for each line.
//!
//! One that was there before us and has writers may be in the middle of a line, or of a private key, whose beginning another
//! reader has taken: what comes first is not told.
//!
//! Writes of up to `PIPE_BUF` (4096) bytes of several writers do not mix. When nobody reads (the sidecar is down), a writer that
//! has it open gets SIGPIPE or EPIPE, one that opens it waits, and what was in the pipe is gone with the last who held it.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, fchmod, flock, mkfifoat};
use rustix::io::Errno;

use super::batch::{Batch, Origin};
use super::house::House;
use super::inputs::Unfinished;
use super::lines::Lines;
use super::whole::Whole;
use crate::stream::UNDECIDED;

/// What a FIFO is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FifoSettings {
    /// Where it is.
    pub path: PathBuf,
    /// Who may read and write it, if we make it.
    pub mode: u32,
}

impl FifoSettings {
    /// One that everybody may write to: containers of a pod have users of their own.
    pub fn at(path: PathBuf) -> Self {
        Self { path, mode: 0o622 }
    }
}

/// How much a pipe is to hold while the output is slow, where the system allows it.
const ROOM: usize = 1 << 20;
/// What is read at once.
const CHUNK: usize = 64 << 10;
/// How long it is waited for something.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// How often it is looked whether the path still leads here.
const AROUND: Duration = Duration::from_secs(1);

/// A FIFO that is open.
#[derive(Debug)]
pub struct Fifo {
    settings: FifoSettings,
    ends: Ends,
    is_ours: bool,
}

/// The ends of a FIFO that we hold, both for reading.
#[derive(Debug)]
struct Ends {
    /// What is read.
    reader: fs::File,
    /// What has the lock of the one reader, for as long as the FIFO is ours: a reader is opened anew for its next writer.
    _lock: fs::File,
}

/// One that is read: the one at the path, or one that was there before and still has writers.
struct Open {
    ends: Ends,
    lines: Lines,
    batch: Batch,
    /// A line has begun and not ended.
    is_in_line: bool,
    /// Nobody knows what was read of its first line before.
    is_unknown: bool,
    has_writer: bool,
}

/// What reading has given.
enum Came {
    Bytes(usize),
    Nothing,
    /// No writer has it open.
    End,
}

impl Fifo {
    /// Makes it if it is not there, and opens it.
    /// # Errors
    /// It is something else than a FIFO, or cannot be made or opened.
    pub fn open(settings: FifoSettings) -> Result<Self, String> {
        let (ends, is_ours) = open(&settings).map_err(|error| settings.said(&error))?;
        Ok(Self { settings, ends, is_ours })
    }

    /// Reads it until it is told to end, and then until its writers are gone.
    /// # Errors
    /// The time to drain is over, it cannot be read, or something else stands in its place.
    pub fn run(self, house: &House) -> Result<(), Unfinished> {
        let Self { settings, ends, is_ours } = self;
        let failed = |error: io::Error| Unfinished::Failed(settings.said(&error));
        let mut chunk = vec![0; CHUNK];
        let mut all = vec![Open::new(ends, &settings, house)];
        if !is_ours {
            all[0].begin(&mut chunk, &settings, house)?;
        }
        let (mut looked, mut has_said) = (Instant::now(), false);
        let is_left = loop {
            // By the clock: a busy writer of the old one says nothing of new ones.
            if looked.elapsed() >= AROUND && !house.stopping.is_draining() {
                looked = Instant::now();
                if look_around(&settings, &mut all, &mut has_said, house).map_err(failed)?
                    && let Some(open) = all.last_mut()
                {
                    open.begin(&mut chunk, &settings, house)?;
                }
            }
            let hung = hung(&all).map_err(failed)?;
            let mut has_come = false;
            for (open, is_hung) in all.iter_mut().zip(hung) {
                has_come |= open.read(&mut chunk, is_hung, &settings, house)?;
            }
            let current = all.len() - 1;
            let mut at = 0;
            all.retain_mut(|open| {
                at += 1;
                at > current || open.has_writer
            });
            if house.stopping.is_late() {
                break has_come;
            }
            if house.stopping.is_draining() && !all.iter().any(|open| open.has_writer) {
                break false;
            }
        };
        for open in &mut all {
            if open.is_in_line && open.is_unknown {
                open.lines.push(UNDECIDED, &mut open.batch, house);
            } else if open.is_in_line && open.has_writer {
                // The next reader gets the rest.
                open.lines.cut(&mut open.batch, house);
                house.event("record_cut");
            }
            open.lines.finish(&mut open.batch, house);
            house.deliver(&mut open.batch)?;
        }
        // Who writes faster than it can be delivered until the end has lines in the pipe that nobody reads.
        if is_left { Err(Unfinished::Stopped) } else { Ok(()) }
    }
}

impl FifoSettings {
    fn said(&self, error: &io::Error) -> String {
        format!("fifo {}: {error}", self.path.display())
    }

    /// A batch by the rules of `lines`, and labels that these have scrubbed.
    fn batch(&self, lines: &Lines, house: &House) -> Batch {
        let mut whole = Whole::new(lines.sanitizer().clone());
        let path = whole.label(self.path.as_os_str().as_encoded_bytes(), house);
        let origin = Origin { input: "fifo", labels: vec![("log.file.path".into(), path)] };
        Batch::new(Arc::new(origin), lines.sanitizer().clone())
    }
}

impl Open {
    fn new(ends: Ends, settings: &FifoSettings, house: &House) -> Self {
        let lines = Lines::new(house);
        let batch = settings.batch(&lines, house);
        Self { ends, lines, batch, is_in_line: false, is_unknown: false, has_writer: true }
    }

    /// Reads for the first time of one that was there before us. If it has a writer, it is not known where that is.
    fn begin(&mut self, chunk: &mut [u8], settings: &FifoSettings, house: &House) -> Result<(), Unfinished> {
        self.is_unknown = true;
        self.read(chunk, false, settings, house)?;
        self.is_unknown &= self.has_writer;
        Ok(())
    }

    /// Reads once and delivers that; gives whether there was something.
    fn read(
        &mut self,
        chunk: &mut [u8],
        is_hung: bool,
        settings: &FifoSettings,
        house: &House,
    ) -> Result<bool, Unfinished> {
        let came = self.came(chunk).map_err(|error| Unfinished::Failed(settings.said(&error)))?;
        self.has_writer = !matches!(came, Came::End);
        match came {
            Came::Bytes(len) => {
                self.is_in_line = chunk[len - 1] != b'\n';
                self.take(&chunk[..len], settings, house)?;
                return Ok(true);
            }
            Came::Nothing => {}
            Came::End => {
                // The next writer's line is another one.
                if std::mem::take(&mut self.is_in_line) {
                    self.take(b"\n", settings, house)?;
                }
                if is_hung {
                    self.renew();
                }
            }
        }
        Ok(false)
    }

    fn came(&mut self, chunk: &mut [u8]) -> io::Result<Came> {
        match self.ends.reader.read(chunk) {
            Ok(0) => Ok(Came::End),
            Ok(len) => Ok(Came::Bytes(len)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Came::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, bytes: &[u8], settings: &FifoSettings, house: &House) -> Result<(), Unfinished> {
        self.lines.follow(house);
        if !Arc::ptr_eq(self.lines.sanitizer(), &self.batch.sanitizer) {
            self.batch = settings.batch(&self.lines, house);
        }
        let bytes = if self.is_unknown { self.known(bytes, house) } else { bytes };
        self.lines.push(bytes, &mut self.batch, house);
        Ok(house.deliver(&mut self.batch)?)
    }

    /// What of these bytes stands behind the end of the first line.
    fn known<'b>(&mut self, bytes: &'b [u8], house: &House) -> &'b [u8] {
        let Some(newline) = memchr::memchr(b'\n', bytes) else { return &[] };
        self.is_unknown = false;
        house.event("record_cut");
        self.lines.push(&[UNDECIDED, b"\n"].concat(), &mut self.batch, house);
        self.lines.begin_unknown(&self.batch.origin, house);
        &bytes[newline + 1..]
    }

    /// Opens the same FIFO once more in place of the reader: the system says of a reader that a writer has gone until it is
    /// closed, and of a new one only when another has come and gone. What is in the pipe stays: one of both is always open.
    fn renew(&mut self) {
        match again(&self.ends.reader) {
            Ok(reader) => self.ends.reader = reader,
            // It is asked again, not too often.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Waits until there is something to read, but not for long. Of which the last writer has gone.
fn hung(all: &[Open]) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = all.iter().map(|open| PollFd::new(&open.ends.reader, PollFlags::IN)).collect();
    match poll(&mut polled, Some(&LOOK)) {
        Ok(_) | Err(Errno::INTR) => {
            Ok(polled.iter().map(|polled| polled.revents().contains(PollFlags::HUP)).collect())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the path still leads to the last of these. If not, it is made anew, or the new one opened. `true`: that was there.
/// # Errors
/// Something else is there: what apps write there is not scrubbed, and this must not look as if it were.
fn look_around(
    settings: &FifoSettings,
    all: &mut Vec<Open>,
    has_said: &mut bool,
    house: &House,
) -> io::Result<bool> {
    let id = |file: fs::Metadata| (file.dev(), file.ino());
    let here = all.last().and_then(|open| open.ends.reader.metadata().ok()).map(id);
    let there = fs::metadata(&settings.path);
    if let Ok(there) = &there {
        is_fifo(there).inspect_err(|_| house.event("fifo_lost"))?;
    }
    if here == there.ok().map(id) {
        return Ok(false);
    }
    let fifo = settings.path.display();
    match open(settings) {
        Ok((ends, is_ours)) => {
            *has_said = false;
            house.event("fifo_lost");
            tracing::error!(
                %fifo,
                "somebody has removed or replaced the FIFO; it is there anew, and the old one is read until its writers \
                 are gone"
            );
            all.push(Open::new(ends, settings, house));
            return Ok(!is_ours);
        }
        Err(error) if fs::metadata(&settings.path).is_ok_and(|there| is_fifo(&there).is_err()) => {
            house.event("fifo_lost");
            return Err(error);
        }
        Err(error) => {
            if !std::mem::replace(has_said, true) {
                house.event("fifo_lost");
                tracing::error!(%fifo, %error, "somebody has removed the FIFO, and it cannot be made anew; trying again");
            }
        }
    }
    Ok(false)
}

/// A FIFO's ends for reading: there at once, whether it has writers or not. Whether it was made.
fn open(settings: &FifoSettings) -> io::Result<(Ends, bool)> {
    let FifoSettings { path, mode } = settings;
    let is_ours = match mkfifoat(CWD, path, Mode::from_raw_mode(*mode)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    is_fifo(&fs::metadata(path)?)?;
    // What we have made is no link; what was there may be one to where it is.
    let lock = nonblocking(path, if is_ours { OFlags::NOFOLLOW } else { OFlags::empty() })?;
    // What was opened, not what stood there before.
    is_fifo(&lock.metadata()?)?;
    // Two readers would tear lines apart.
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => {
            io::Error::other("another input or process reads it; give each a FIFO of its own")
        }
        error => error.into(),
    })?;
    if is_ours {
        // The mask of this process says nothing of who writes logs.
        fchmod(&lock, Mode::from_raw_mode(*mode))?;
    }
    // As much as it holds already, then.
    let _ = rustix::pipe::fcntl_setpipe_size(lock.as_fd(), ROOM);
    Ok((Ends { reader: again(&lock)?, _lock: lock }, is_ours))
}

fn nonblocking(path: &Path, flags: OFlags) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).custom_flags((OFlags::NONBLOCK | flags).bits() as i32).open(path)
}

/// One more end of the same FIFO.
fn again(end: &fs::File) -> io::Result<fs::File> {
    nonblocking(Path::new(&format!("/proc/self/fd/{}", end.as_raw_fd())), OFlags::empty())
}

fn is_fifo(file: &fs::Metadata) -> io::Result<()> {
    let kind = file.file_type();
    let (what, size) = match () {
        () if kind.is_fifo() => return Ok(()),
        () if kind.is_file() => ("a file", format!(" of {} bytes", file.len())),
        () if kind.is_dir() => ("a folder", String::new()),
        () => ("a socket or a device", String::new()),
    };
    Err(io::Error::other(format!(
        "it is there and is no FIFO, but {what}{size}, in which what apps write is not scrubbed; stop them, remove it (it may \
         hold secrets), and start again, or give another path"
    )))
}
