//! Pipes: reading and writing file descriptors in large pieces, without copies in between.
//!
//! A line leaves at the end of the block that brought its newline. Signals and short writes are waited out.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::audit::Stream;
use crate::finding::Finding;
use crate::parallel::{Source, Target};
use crate::report::Tally;
use crate::stream::Out;

/// Small pieces are collected up to this many bytes.
const COLLECTED: usize = 64 << 10;
/// Pieces from this size on are written as they are.
const BIG: usize = 16 << 10;
/// How many pieces are written at once.
const PIECES: usize = 256;
/// How long to wait for a descriptor that someone made non-blocking.
const WAIT: Duration = Duration::from_millis(1);

/// A file that is the same open file as `fd`.
pub(super) fn duplicate(fd: impl AsFd) -> io::Result<File> {
    fd.as_fd().try_clone_to_owned().map(File::from)
}

/// Reads a file and counts what it reads.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    stopped: Option<PipeReader>,
    /// The last byte.
    last: u8,
    /// Not counted unless that was asked for.
    newlines: Option<u64>,
    pub(super) bytes: u64,
    /// What went wrong with a read: it was the last.
    pub(super) error: Option<io::Error>,
}

/// Ends a read of an [`Input`] that waits.
#[derive(Debug)]
pub(super) struct Stop(Mutex<Option<PipeWriter>>);

impl Input {
    pub(super) fn new(file: File, counts_lines: bool) -> Self {
        let newlines = counts_lines.then_some(0);
        Self { file, stopped: None, last: b'\n', newlines, bytes: 0, error: None }
    }

    /// The same for a reader that waits beside other threads.
    pub(super) fn stoppable(self) -> io::Result<(Self, Stop)> {
        let (stopped, stop) = io::pipe()?;
        Ok((Self { stopped: Some(stopped), ..self }, Stop(Mutex::new(Some(stop)))))
    }

    /// How many lines there were, if they were counted; a last one without a newline is one.
    pub(super) fn lines(&self) -> u64 {
        self.newlines.map_or(0, |newlines| newlines + u64::from(self.last != b'\n'))
    }

    /// Reads what there is, at least one byte; 0 at the end, or once there is a stop.
    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(stopped) = &self.stopped {
                let mut ends = [PollFd::new(&self.file, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
                match poll(&mut ends, None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                    Ok(_) if !ends[1].revents().is_empty() => return Ok(0),
                    Ok(_) => {}
                }
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(WAIT),
                other => return other,
            }
        }
    }
}

impl Source for Input {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        match self.read_some(buffer) {
            Ok(0) => 0,
            Ok(len) => {
                self.bytes += len as u64;
                if let Some(newlines) = &mut self.newlines {
                    *newlines += memchr::memchr_iter(b'\n', &buffer[..len]).count() as u64;
                }
                self.last = buffer[len - 1];
                len
            }
            Err(error) => {
                self.error = Some(error);
                0
            }
        }
    }
}

impl Stop {
    /// The other end of the pipe sees that this one is closed.
    pub(super) fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Writes clean bytes to a file and counts findings. After a failed write it takes no more.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    collected: Vec<u8>,
    error: Option<io::Error>,
    audit: Option<Stream>,
    /// It takes no more because the audit trail cannot be written.
    pub(super) is_held: bool,
    pub(super) tally: Tally,
}

impl Sink {
    pub(super) fn new(file: File, rules: usize) -> Self {
        let (collected, tally) = (Vec::with_capacity(COLLECTED), Tally::new(rules));
        Self { file, collected, error: None, audit: None, is_held: false, tally }
    }

    /// A sink whose findings are noted. While they cannot be, nothing is written.
    pub(super) fn with_audit(mut self, audit: Option<Stream>) -> Self {
        self.audit = audit;
        self
    }

    /// Writes what was collected.
    fn flush(&mut self) {
        let collected = std::mem::take(&mut self.collected);
        self.put(&collected);
        self.collected = collected;
        self.collected.clear();
    }

    /// What went wrong with a write.
    pub(super) fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.put_all(&mut [IoSlice::new(bytes)]);
    }

    /// Writes pieces from where they are.
    fn put_all(&mut self, mut pieces: &mut [IoSlice<'_>]) {
        // Pieces that are empty are passed over: a write of nothing is no failure.
        IoSlice::advance_slices(&mut pieces, 0);
        self.is_held |= self.audit.as_ref().is_some_and(|audit| audit.pass().is_err());
        while !pieces.is_empty() && self.error.is_none() && !self.is_held {
            match self.file.write_vectored(pieces) {
                Ok(0) => self.error = Some(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.tally.bytes_out += written as u64;
                    IoSlice::advance_slices(&mut pieces, written);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(WAIT),
                Err(error) => self.error = Some(error),
            }
        }
    }
}

impl Out for Sink {
    fn write(&mut self, bytes: &[u8]) {
        if self.collected.len() + bytes.len() > COLLECTED {
            self.flush();
        }
        if bytes.len() < BIG {
            self.collected.extend_from_slice(bytes);
        } else {
            self.flush();
            self.put(bytes);
        }
    }

    fn replaced(&mut self, finding: &Finding, marker: &[u8]) {
        self.tally.count(finding);
        if let Some(audit) = &mut self.audit {
            audit.replaced(finding, marker);
        }
    }
}

impl Target for Sink {
    fn write_pieces<'p>(&mut self, mut pieces: impl Iterator<Item = &'p [u8]>) {
        self.flush();
        loop {
            let mut some = [IoSlice::new(&[]); PIECES];
            let taken = some.iter_mut().zip(&mut pieces).map(|(slot, piece)| *slot = IoSlice::new(piece));
            match taken.count() {
                0 => return,
                count => self.put_all(&mut some[..count]),
            }
        }
    }

    fn end_block(&mut self) -> bool {
        self.flush();
        if let Some(audit) = &mut self.audit {
            audit.end_block();
        }
        self.error.is_none() && !self.is_held
    }
}

/// What was collected is clean: it leaves also when the engine fails on what came after it.
impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
        if let Some(audit) = &mut self.audit {
            audit.end_block();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clean_leaves_before_a_failure() {
        let output = tempfile::NamedTempFile::new().expect("file");
        let file = output.reopen().expect("file");
        let failed = std::panic::catch_unwind(|| {
            let mut sink = Sink::new(file, 0);
            sink.write(b"clean\n");
            panic!("as the engine might");
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(output.path()).expect("file"), b"clean\n");
    }

    #[test]
    fn pieces_leave_in_order() {
        let output = tempfile::NamedTempFile::new().expect("file");
        let pieces: Vec<String> = (0..3 * PIECES + 1).map(|i| format!("{i} ")).collect();
        let mut sink = Sink::new(output.reopen().expect("file"), 0);
        sink.write(b"before ");
        sink.write_pieces(pieces.iter().map(|piece| piece.as_bytes()));
        sink.write(b"behind");
        assert!(sink.end_block());
        let want = format!("before {}behind", pieces.concat());
        assert_eq!(std::fs::read_to_string(output.path()).expect("file"), want);
        assert_eq!(sink.tally.bytes_out, want.len() as u64);
    }
}
