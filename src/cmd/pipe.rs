//! Pipes: reading and writing file descriptors in large pieces, without copies in between.
//!
//! A line leaves with the `flush` after the push that brought its newline. Signals and short writes are waited out.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::finding::Finding;
use crate::report::Tally;
use crate::stream::Out;

/// How much is read at once.
pub(super) const READ: usize = 256 << 10;
/// Small pieces are collected up to this many bytes.
const COLLECTED: usize = 64 << 10;
/// Pieces from this size on are written as they are.
const BIG: usize = 16 << 10;
/// How long to wait for a descriptor that someone made non-blocking.
const WAIT: Duration = Duration::from_millis(1);

/// A file that is the same open file as `fd`.
pub(super) fn duplicate(fd: impl AsFd) -> io::Result<File> {
    fd.as_fd().try_clone_to_owned().map(File::from)
}

/// Reads what there is, at least one byte; 0 at the end.
pub(super) fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(WAIT),
            other => return other,
        }
    }
}

/// Writes clean bytes to a file and counts findings. After a failed write it takes no more.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    collected: Vec<u8>,
    error: Option<io::Error>,
    pub(super) tally: Tally,
}

impl Sink {
    pub(super) fn new(file: File, rules: usize) -> Self {
        Self { file, collected: Vec::with_capacity(COLLECTED), error: None, tally: Tally::new(rules) }
    }

    /// Writes what was collected.
    pub(super) fn flush(&mut self) {
        let collected = std::mem::take(&mut self.collected);
        self.put(&collected);
        self.collected = collected;
        self.collected.clear();
    }

    /// What went wrong with a write.
    pub(super) fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.error.is_none() {
            match self.file.write(bytes) {
                Ok(0) => self.error = Some(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.tally.bytes_out += written as u64;
                    bytes = &bytes[written..];
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

    fn found(&mut self, finding: &Finding) {
        self.tally.count(finding);
    }
}

/// What was collected is clean: it leaves also when the engine fails on what came after it.
impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
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
}
