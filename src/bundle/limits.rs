//! What may come out of one input file, however it is packed: how much in all, how many times its size, how deep.
//!
//! Every layer that unpacks is measured by itself, so that a small bomb in a large archive is one, too. What all layers
//! of one input file give together has a limit as well. Both are told by the bytes alone, not by time or threads.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::Why;

/// Below this much no ratio is asked after: short texts repeat themselves.
pub(super) const FREE: u64 = 64 << 20;

/// The limits of one input file, and how much of them is used.
#[derive(Debug)]
pub(super) struct Limits {
    most: u64,
    ratio: u64,
    out: AtomicU64,
    /// Which of them was hit first: 0 none, 1 the ratio, 2 the size.
    hit: AtomicU64,
}

impl Limits {
    pub(super) fn new(most: u64, ratio: u64) -> Self {
        Self { most, ratio, out: AtomicU64::new(0), hit: AtomicU64::new(0) }
    }

    /// More has come out of a layer, of which so much has been read.
    fn take(&self, len: u64, layer: u64, read: u64) -> io::Result<()> {
        let out = self.out.fetch_add(len, Ordering::Relaxed) + len;
        if out > self.most {
            self.hit.fetch_max(2, Ordering::Relaxed);
        } else if layer > FREE && layer / self.ratio > read {
            self.hit.fetch_max(1, Ordering::Relaxed);
            return Err(io::ErrorKind::InvalidData.into());
        }
        if out > self.most { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    /// What a failed read of something unpacked means.
    pub(super) fn why(&self) -> Why {
        match self.hit.load(Ordering::Relaxed) {
            0 => Why::Damaged,
            1 => Why::Bomb,
            _ => Why::TooLarge,
        }
    }

    /// The same, for what is decided about the entry alone: later ones begin anew, unless all is used up.
    pub(super) fn why_and_go_on(&self) -> Why {
        let why = self.why();
        let _ = self.hit.compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed);
        why
    }

    /// Whether nothing more may come out.
    pub(super) fn is_used_up(&self) -> bool {
        self.hit.load(Ordering::Relaxed) > 1
    }
}

/// Counts what is read of a packed layer.
#[derive(Debug)]
pub(super) struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// The reader, and its count.
    pub(super) fn new(inner: R) -> (Self, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        (Self { inner, read: read.clone() }, read)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// Measures what comes out of a layer.
#[derive(Debug)]
pub(super) struct Metered<R> {
    inner: R,
    limits: Arc<Limits>,
    read: Arc<AtomicU64>,
    out: u64,
}

impl<R> Metered<R> {
    /// `read` is how much of the layer has been read so far.
    pub(super) fn new(inner: R, limits: Arc<Limits>, read: Arc<AtomicU64>) -> Self {
        Self { inner, limits, read, out: 0 }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.out += len as u64;
        self.limits.take(len as u64, self.out, self.read.load(Ordering::Relaxed))?;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads so many bytes of a layer of which `packed` have been read.
    fn check(most: u64, len: u64, packed: u64, want: Option<Why>) {
        let limits = Arc::new(Limits::new(most, 100));
        let mut layer =
            Metered::new(io::repeat(0).take(len), limits.clone(), Arc::new(AtomicU64::new(packed)));
        let read = io::copy(&mut layer, &mut io::sink());
        assert_eq!(read.err().map(|_| limits.why()), want, "{len} of {packed}, at most {most}");
    }

    #[test]
    fn layers_end_at_their_limits() {
        check(FREE * 9, FREE, 1, None);
        check(FREE * 9, FREE * 2, 1, Some(Why::Bomb));
        check(FREE * 9, FREE * 2, FREE / 40, None);
        check(FREE, FREE + 1, FREE, Some(Why::TooLarge));
    }
}
