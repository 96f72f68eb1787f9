//! A FIFO that programs write their logs into: made if it is not there, and held open, so that a writer neither waits for a
//! reader nor is ended by SIGPIPE.
//!
//! Writes of up to `PIPE_BUF` (4096) bytes of several writers do not mix. When nobody reads (the sidecar is down), a writer that
//! has it open gets SIGPIPE or EPIPE, one that opens it waits, and what was in the pipe is gone with the last who held it.

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::Errno;

use super::batch::{Batch, Origin};
use super::house::House;
use super::inputs::Unfinished;
use super::lines::Lines;
use super::whole::Whole;

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
/// How long nothing may come before it is looked around.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A FIFO that is open.
#[derive(Debug)]
pub struct Fifo {
    settings: FifoSettings,
    reader: fs::File,
    /// Our own end for writing: as long as it is open, there is no end of file.
    writer: Option<fs::File>,
    has_said: bool,
}

impl Fifo {
    /// Makes it if it is not there, and opens it.
    /// # Errors
    /// It is something else than a FIFO, or cannot be made or opened.
    pub fn open(settings: FifoSettings) -> Result<Self, String> {
        let path = settings.path.clone();
        open(&settings)
            .map(|(reader, writer)| Self { settings, reader, writer: Some(writer), has_said: false })
            .map_err(|error| format!("fifo {}: {error}", path.display()))
    }

    /// Reads it until it is told to end, and then until its writers are gone.
    /// # Errors
    /// The time to drain is over, or it cannot be read.
    pub fn run(mut self, house: &House) -> Result<(), Unfinished> {
        let mut lines = Lines::new(house);
        let mut batch = self.batch(&lines, house);
        let mut chunk = vec![0; CHUNK];
        let mut is_left = false;
        loop {
            if house.stopping.is_draining() {
                self.writer = None;
            }
            match self.read(&mut chunk).map_err(|error| self.failed(&error))? {
                Some(0) => break,
                Some(len) => {
                    lines.follow(house);
                    if !Arc::ptr_eq(lines.sanitizer(), &batch.sanitizer) {
                        batch = self.batch(&lines, house);
                    }
                    lines.push(&chunk[..len], &mut batch, house);
                    house.deliver(&mut batch)?;
                    is_left = house.stopping.is_late();
                }
                None if house.stopping.is_late() => break,
                None => self.look_around(house),
            }
            if is_left {
                break;
            }
        }
        lines.finish(&mut batch, house);
        house.deliver(&mut batch)?;
        // Who writes faster than it can be delivered until the end has lines in the pipe that nobody reads.
        if is_left { Err(Unfinished::Stopped) } else { Ok(()) }
    }

    fn failed(&self, error: &io::Error) -> Unfinished {
        Unfinished::Failed(format!("fifo {}: cannot read it: {error}", self.settings.path.display()))
    }

    /// Some bytes; 0: all writers are gone; `None`: there are none now.
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        let mut polled = [PollFd::new(&self.reader, PollFlags::IN)];
        match poll(&mut polled, Some(&LOOK)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match self.reader.read(chunk) {
            // Without a writer, and with our own still open, there is no end.
            Ok(0) if self.writer.is_some() => Ok(None),
            Ok(len) => Ok(Some(len)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the path still leads here: one who has removed it has cut new writers off.
    fn look_around(&mut self, house: &House) {
        let here = self.reader.metadata().map(|file| (file.dev(), file.ino())).ok();
        let there = fs::metadata(&self.settings.path).map(|file| (file.dev(), file.ino())).ok();
        if here != there && !self.has_said && !house.stopping.is_draining() {
            self.has_said = true;
            house.event("fifo_lost");
            tracing::error!(
                fifo = %self.settings.path.display(),
                "somebody has removed or replaced the FIFO; new writers do not reach this process. Start it anew"
            );
        }
    }

    /// A batch by the rules of `lines`, and labels that these have scrubbed.
    fn batch(&self, lines: &Lines, house: &House) -> Batch {
        let mut whole = Whole::new(lines.sanitizer().clone());
        let path = whole.label(self.settings.path.as_os_str().as_encoded_bytes(), house);
        let origin = Origin { input: "fifo", labels: vec![("log.file.path".into(), path)] };
        Batch::new(Arc::new(origin), lines.sanitizer().clone())
    }
}

/// Both ends of a FIFO. That for reading is opened first: it is there at once, and that for writing then is, too.
fn open(settings: &FifoSettings) -> io::Result<(fs::File, fs::File)> {
    let FifoSettings { path, mode } = settings;
    match mkfifoat(CWD, path, Mode::from_raw_mode(*mode)) {
        // The mask of this process says nothing of who writes logs.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(*mode))?,
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    is_fifo(&fs::metadata(path)?)?;
    let nonblocking = OFlags::NONBLOCK.bits() as i32;
    let reader = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    // What was opened, not what stood there before.
    is_fifo(&reader.metadata()?)?;
    let writer = own_end(path, nonblocking)?;
    // As much as it holds already, then.
    let _ = rustix::pipe::fcntl_setpipe_size(reader.as_fd(), ROOM);
    Ok((reader, writer))
}

fn own_end(path: &Path, nonblocking: i32) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(path)
}

fn is_fifo(file: &fs::Metadata) -> io::Result<()> {
    if file.file_type().is_fifo() {
        Ok(())
    } else {
        Err(io::Error::other("it is there and is no FIFO; remove it, or give another path"))
    }
}
