//! A file that rotates: `app.log`, and before it `app.log.1` to `app.log.n`, the oldest last.
//!
//! The file is put aside first, as `app.log.rotating`, and then becomes `app.log.1`; what was put aside is never lost, whenever
//! that ends. Who else moves or deletes the file makes it begin anew. It may become larger than told by one batch. A batch is
//! delivered when it is written, which a loss of power may undo; with `sync` it is delivered when the disk has it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::patient::{Broken, write_all};
use super::{Format, line};
use crate::pod::batch::Batch;
use crate::pod::house::{Output, Stopped, Stopping};
use crate::pod::metrics::Metrics;
use crate::pod::time::now;

/// So many older files are named for those who must not read them.
const MOST_NAMED: u32 = 100;

/// What an output file is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes it may have before it is rotated; none: it never is.
    pub max_size: Option<u64>,
    /// How many older files are kept; at least one.
    pub keep: u32,
    /// How records are written.
    pub format: Format,
    /// Whether a batch is delivered only when the disk has it.
    pub sync: bool,
}

impl FileSettings {
    /// The usual: 100 MiB, five older files, JSON, no waiting for the disk.
    pub fn at(path: PathBuf) -> Self {
        Self { path, max_size: Some(100 << 20), keep: 5, format: Format::Json, sync: false }
    }

    /// The files that it becomes.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let older = (1..=self.keep.clamp(1, MOST_NAMED)).map(|number| numbered(&self.path, number));
        [self.path.clone(), aside(&self.path)].into_iter().chain(older).collect()
    }
}

/// An output file.
#[derive(Debug)]
pub struct File {
    settings: FileSettings,
    name: String,
    metrics: Metrics,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    len: u64,
    text: Vec<u8>,
    has_said: bool,
    /// The time was over before all was written: nothing may stand behind half a record.
    is_over: bool,
}

impl File {
    /// Opens it, or makes it. A line that was cut off before is ended.
    /// # Errors
    /// It cannot be opened.
    pub fn open(settings: FileSettings, metrics: Metrics) -> io::Result<Self> {
        if let Err(error) = finish(&settings) {
            metrics.event("rotation_failed");
            tracing::error!(output = %settings.path.display(), %error, "what was rotated before stays as it is");
        }
        let open = Mutex::new(Open::at(&settings.path)?);
        let name = settings.path.display().to_string();
        Ok(Self { settings, name, metrics, open })
    }

    /// Writes lines that end with newlines.
    pub(super) fn write(&self, stopping: &Stopping, lines: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stopped> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_over {
            return Err(Stopped);
        }
        self.follow(&mut open);
        lines(&mut open.text);
        let is_full = |most| open.len > 0 && open.len + open.text.len() as u64 > most;
        if self.settings.max_size.is_some_and(is_full) {
            self.rotate(&mut open);
        }
        let Open { file, len, text, .. } = &mut *open;
        let written = write_all(&*file, &self.name, text, stopping, &self.metrics);
        *len += text.len() as u64;
        text.clear();
        match written {
            Ok(()) => {}
            Err(Broken::Stopped) => {
                open.is_over = true;
                return Err(Stopped);
            }
            Err(Broken::Gone(error)) => {
                tracing::error!(output = self.name, %error, "cannot write any more; ending");
                stopping.give_up();
                return Err(Stopped);
            }
        }
        if self.settings.sync
            && let Err(error) = file.sync_data()
        {
            // What the disk has lost cannot be known any more; whoever reads again writes again.
            tracing::error!(output = self.name, %error, "the disk has not kept what was written; ending");
            stopping.give_up();
            return Err(Stopped);
        }
        Ok(())
    }

    /// Goes on in the file at the path if another one is there now, or none.
    fn follow(&self, open: &mut Open) {
        let is_same = match (open.file.metadata(), fs::metadata(&self.settings.path)) {
            (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
            (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
            // Nothing is known of the one that is open.
            (Err(_), Ok(_)) => true,
        };
        if is_same {
            return;
        }
        match Open::at(&self.settings.path) {
            Ok(new) => {
                self.metrics.event("output_moved");
                tracing::warn!(
                    output = self.name,
                    "was moved or deleted by someone else; going on at its path"
                );
                open.go_on_in(new);
            }
            Err(error) => {
                self.failed(open, &error, "cannot be made anew; going on in the file that was moved")
            }
        }
    }

    /// Goes on in a new file, if there can be one.
    fn rotate(&self, open: &mut Open) {
        match self.put_aside(&open.file) {
            Ok(new) => {
                open.go_on_in(new);
                // What is aside waits for the next time.
                if let Err(error) = finish(&self.settings) {
                    self.failed(open, &error, "cannot move older files; what was rotated stays aside");
                }
            }
            Err(error) => self.failed(open, &error, "cannot rotate; going on in the same file"),
        }
    }

    fn put_aside(&self, file: &fs::File) -> io::Result<Open> {
        let path = &self.settings.path;
        if self.settings.sync {
            file.sync_data()?;
        }
        finish(&self.settings)?;
        let aside = aside(path);
        match fs::rename(path, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Open::at(path).or_else(|error| {
            fs::rename(&aside, path)?;
            Err(error)
        })
    }

    fn failed(&self, open: &mut Open, error: &io::Error, what: &str) {
        self.metrics.event("rotation_failed");
        if !std::mem::replace(&mut open.has_said, true) {
            tracing::error!(output = self.name, %error, "{what}");
        }
    }
}

impl Open {
    /// The file at a path, made if it is not there. A line that was cut off is ended.
    fn at(path: &Path) -> io::Result<Self> {
        // Whoever opens a FIFO waits for who reads it, who may be this process.
        let mut options = OpenOptions::new();
        options.append(true).create(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let not_a_file = || io::Error::new(ErrorKind::InvalidInput, "is not a file; name one");
        let file = options.open(path).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NXIO) => not_a_file(),
            _ => error,
        })?;
        let about = file.metadata()?;
        if !about.is_file() && !about.file_type().is_char_device() {
            return Err(not_a_file());
        }
        let mut len = about.len();
        let mut text = Vec::new();
        if is_cut_off(path, len)? {
            text.push(b'\n');
            len += 1;
        }
        Ok(Self { file, len, text, has_said: false, is_over: false })
    }

    /// Another file, into which goes what is to be written.
    fn go_on_in(&mut self, new: Self) {
        let Self { file, len, mut text, has_said, is_over } = new;
        text.append(&mut self.text);
        *self = Self { file, len, text, has_said, is_over };
    }
}

/// Gives the file that was put aside its number, if there is one. The older ones move as far as there is a gap among them, or
/// the oldest goes.
fn finish(settings: &FileSettings) -> io::Result<()> {
    let FileSettings { path, keep, .. } = settings;
    let aside = aside(path);
    if !aside.try_exists()? {
        return Ok(());
    }
    let mut last = 1;
    while last < *keep && numbered(path, last).try_exists()? {
        last += 1;
    }
    for number in (1..last).rev() {
        fs::rename(numbered(path, number), numbered(path, number + 1))?;
    }
    fs::rename(aside, numbered(path, 1))
}

/// The older file of a number.
fn numbered(path: &Path, number: u32) -> PathBuf {
    with_ending(path, &number.to_string())
}

/// Where the file is while others make room for it.
fn aside(path: &Path) -> PathBuf {
    with_ending(path, "rotating")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Whether a file ends in the middle of a line.
fn is_cut_off(path: &Path, len: u64) -> io::Result<bool> {
    if len == 0 || !fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    Ok(file.read(&mut last)? == 1 && last != *b"\n")
}

impl Output for File {
    fn deliver(&self, batch: &Batch, stopping: &Stopping) -> Result<(), Stopped> {
        self.write(stopping, |out| line::write(self.settings.format, batch, now(), out))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pod::batch::Origin;
    use crate::sanitize::Sanitizer;
    use crate::stream::Out;

    fn lines(file: &File, text: &str) {
        let origin = Arc::new(Origin { input: "file", labels: Vec::new() });
        let mut batch = Batch::new(origin, Arc::new(Sanitizer::builtin()));
        batch.write(text.as_bytes());
        file.deliver(&batch, &Stopping::default()).expect("there is time");
    }

    #[test]
    fn it_rotates_and_keeps_so_many() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.log");
        let settings = FileSettings {
            max_size: Some(10),
            keep: 2,
            format: Format::Raw,
            sync: true,
            ..FileSettings::at(path.clone())
        };
        let file = File::open(settings, Metrics::default()).expect("a file");
        for text in ["one\n", "two\n", "three\n", "four\nfive\n", "a line that is longer\n", "six\n"] {
            lines(&file, text);
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert_eq!(read("out.log"), "six\n");
        assert_eq!(read("out.log.1"), "a line that is longer\n");
        assert_eq!(read("out.log.2"), "four\nfive\n");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
    }

    fn settings(path: &Path) -> FileSettings {
        FileSettings { max_size: Some(10), keep: 3, format: Format::Raw, ..FileSettings::at(path.to_owned()) }
    }

    #[test]
    fn a_file_that_someone_moves_or_deletes_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.log");
        let file = File::open(settings(&path), Metrics::default()).expect("a file");
        for text in ["first 1\n", "first 2\n", "first 3\n"] {
            lines(&file, text);
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        fs::rename(&path, folder.path().join("moved")).expect("moved");
        for text in ["a\n", "b\n", "c\n"] {
            lines(&file, text);
        }
        assert_eq!((read("out.log"), read("moved")), ("a\nb\nc\n".to_owned(), "first 3\n".to_owned()));
        fs::remove_file(&path).expect("removed");
        lines(&file, "long enough\n");
        assert_eq!(
            ["out.log", "out.log.1", "out.log.2"].map(read),
            ["long enough\n", "first 2\n", "first 1\n"]
        );
        // Whatever happens, nothing older goes before its turn.
        lines(&file, "next\n");
        assert_eq!(
            ["out.log", "out.log.1", "out.log.2", "out.log.3"].map(read),
            ["next\n", "long enough\n", "first 2\n", "first 1\n"]
        );
    }

    #[test]
    fn a_rotation_that_was_cut_off_is_finished() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.log");
        // Two of three older files have been moved.
        for (name, text) in [("rotating", "4\n"), ("1", "3\n"), ("3", "2\n")] {
            fs::write(with_ending(&path, name), text).expect("a file");
        }
        lines(&File::open(settings(&path), Metrics::default()).expect("a file"), "5\n");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert_eq!(
            ["out.log", "out.log.1", "out.log.2", "out.log.3"].map(read),
            ["5\n", "4\n", "3\n", "2\n"]
        );
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 4);
    }

    #[test]
    fn a_line_that_was_cut_off_is_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.log");
        fs::write(&path, "half a li").expect("a file");
        let settings = FileSettings { format: Format::Raw, ..FileSettings::at(path.clone()) };
        lines(&File::open(settings.clone(), Metrics::default()).expect("a file"), "whole\n");
        lines(&File::open(settings, Metrics::default()).expect("a file"), "more\n");
        assert_eq!(fs::read_to_string(path).expect("a file"), "half a li\nwhole\nmore\n");
    }
}
