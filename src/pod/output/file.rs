//! A file that rotates: `app.log`, and before it `app.log.1` to `app.log.n`, the oldest last.
//!
//! Nobody else is to move it. It may become larger than told by one batch. A batch is delivered when it is written, which a
//! loss of power may undo; with `sync` it is delivered when the disk has it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::patient::{Broken, write_all};
use super::{Format, line};
use crate::pod::batch::Batch;
use crate::pod::house::{Output, Stopped, Stopping};
use crate::pod::metrics::Metrics;
use crate::pod::time::now;

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
}

impl File {
    /// Opens it, or makes it. A line that was cut off before is ended.
    /// # Errors
    /// It cannot be opened.
    pub fn open(settings: FileSettings, metrics: Metrics) -> io::Result<Self> {
        let (file, mut len) = open(&settings.path)?;
        let mut text = Vec::new();
        if is_cut_off(&settings.path, len)? {
            text.push(b'\n');
            len += 1;
        }
        let name = settings.path.display().to_string();
        let open = Mutex::new(Open { file, len, text, has_said: false });
        Ok(Self { settings, name, metrics, open })
    }

    /// Writes lines that end with newlines.
    pub(super) fn write(&self, stopping: &Stopping, lines: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stopped> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { file, len, text, has_said } = &mut *open;
        lines(text);
        let is_full = |most| *len > 0 && *len + text.len() as u64 > most;
        if self.settings.max_size.is_some_and(is_full) {
            match self.rotate(file) {
                Ok(new) => (*file, *len, *has_said) = (new, 0, false),
                Err(error) => {
                    self.metrics.event("rotation_failed");
                    if !std::mem::replace(has_said, true) {
                        tracing::error!(output = self.name, %error, "cannot rotate; going on in the same file");
                    }
                }
            }
        }
        let written = write_all(&*file, &self.name, text, stopping, &self.metrics);
        *len += text.len() as u64;
        text.clear();
        match written {
            Ok(()) => {}
            Err(Broken::Stopped) => return Err(Stopped),
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

    fn rotate(&self, file: &fs::File) -> io::Result<fs::File> {
        let FileSettings { path, keep, sync, .. } = &self.settings;
        if *sync {
            file.sync_data()?;
        }
        for number in (1..(*keep).max(1)).rev() {
            match fs::rename(numbered(path, number), numbered(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, numbered(path, 1))?;
        open(path).map(|(file, _)| file)
    }
}

/// The older file of a number.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn open(path: &Path) -> io::Result<(fs::File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
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
