//! Clean bytes whose number must be known before they go on: in memory, from some size on in a file without a name.
//!
//! Only what is scrubbed gets here, or what the user wants unscrubbed. The file is in the output's folder, which is where
//! there must be room for it anyway, and is gone when it is closed, however that happens.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

/// How much is held in memory.
const HELD: usize = 1 << 20;
/// How much is copied at once.
const PIECE: usize = 256 << 10;

/// Some bytes.
#[derive(Debug)]
pub(super) enum Spool {
    /// They are kept.
    Kept(SpooledTempFile),
    /// Nothing is to be written: they are only counted.
    Counted { at: u64, len: u64 },
}

impl Spool {
    /// A spool in this folder; `None`: nothing is kept.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        match folder {
            Some(folder) => Self::Kept(tempfile::spooled_tempfile_in(HELD, folder)),
            None => Self::Counted { at: 0, len: 0 },
        }
    }

    /// Goes back to the start; how many bytes there are.
    pub(super) fn rewind_all(&mut self) -> io::Result<u64> {
        let len = self.seek(SeekFrom::End(0))?;
        self.seek(SeekFrom::Start(0))?;
        Ok(len)
    }

    /// Writes all of it to `out`: as many bytes as there are, also where none are kept.
    pub(super) fn write_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Kept(file) => copy(file, out),
            Self::Counted { len, .. } => copy(&mut io::repeat(0).take(*len), out),
        }
    }
}

/// Copies all of it, in pieces as large as writing is quick with.
fn copy(from: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    io::copy(&mut BufReader::with_capacity(PIECE, from), out).map(|_| ())
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Kept(file) => file.write(bytes),
            Self::Counted { at, len } => {
                *at += bytes.len() as u64;
                *len = (*len).max(*at);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Kept(file) => file.seek(to),
            Self::Counted { at, len } => {
                let place = match to {
                    SeekFrom::Start(place) => Some(place),
                    SeekFrom::End(by) => len.checked_add_signed(by),
                    SeekFrom::Current(by) => at.checked_add_signed(by),
                };
                *at = place.ok_or(io::ErrorKind::InvalidInput)?;
                Ok(*at)
            }
        }
    }
}
