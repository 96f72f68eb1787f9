//! Compressed output of several threads: text is cut into blocks of a fixed size, each becomes a member of gzip or a frame
//! of zstd of its own, and these are written in order. Both formats are lists of such parts, so every reader takes them.
//!
//! What comes out does not depend on the number of threads. What is held has a limit: two blocks for each thread.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use flate2::{Compression, GzBuilder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// How hard gzip and zip try: logs become a tenth larger than with 6, in half the time.
pub(super) const DEFLATE: Compression = Compression::new(3);

/// How a block is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    Gzip,
    Zstd,
}

impl Press {
    /// The bytes of a block: so many that what parts cost, and what they cannot know of each other, is under a percent.
    fn block(self) -> usize {
        match self {
            Self::Gzip => 1 << 20,
            Self::Zstd => 4 << 20,
        }
    }

    /// One part; its header, if it is of gzip.
    fn press(self, block: &[u8], header: GzBuilder) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut part = header.write(Vec::with_capacity(block.len() / 4), DEFLATE);
                part.write_all(block)?;
                part.finish()
            }
            Self::Zstd => Ok(compress_to_vec(block, CompressionLevel::Fastest)),
        }
    }
}

/// A block on its way to a thread, and where its part is to go.
struct Job {
    block: Vec<u8>,
    part: SyncSender<io::Result<Vec<u8>>>,
}

/// Threads that wait for blocks; dropped, they end.
struct Crew {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// So many threads, or as many as there can be.
    fn new(press: Press, threads: usize) -> Self {
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        let start = |_| {
            let queue = queue.clone();
            let work = move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { block, part }) = next else { return };
                    // Who has asked may have given up.
                    let _ = part.send(press.press(&block, GzBuilder::new()));
                }
            };
            Builder::new().name("compress".to_owned()).spawn(work).ok()
        };
        Self { jobs: Some(jobs), threads: (0..threads).map_while(start).collect() }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.jobs = None;
        self.threads.drain(..).for_each(|thread| {
            // A thread that has failed has told so by the part that did not come.
            let _ = thread.join();
        });
    }
}

/// Writes what is written to it compressed.
pub(super) struct BlockWriter<W: Write> {
    out: W,
    press: Press,
    threads: usize,
    crew: Option<Crew>,
    /// Of the first part.
    header: GzBuilder,
    held: Vec<u8>,
    /// The parts of blocks that are being compressed, in order.
    coming: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    /// No part has been made.
    is_new: bool,
}

impl<W: Write> BlockWriter<W> {
    /// Compresses with so many threads, which start when there is a second block.
    pub(super) fn new(out: W, press: Press, threads: usize) -> Self {
        let (header, held, coming) = (GzBuilder::new(), Vec::new(), VecDeque::new());
        Self { out, press, threads, crew: None, header, held, coming, is_new: true }
    }

    /// The header that the first part has, if it is of gzip.
    pub(super) fn with_header(self, header: GzBuilder) -> Self {
        Self { header, ..self }
    }

    /// Writes what is left. What is empty is one empty part.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.held.is_empty() || self.is_new {
            self.end_block()?;
        }
        while let Some(part) = self.coming.pop_front() {
            write_part(&mut self.out, &part)?;
        }
        Ok(self.out)
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.threads > 1 && self.crew.is_none() && !self.is_new {
            self.crew = Some(Crew::new(self.press, self.threads));
        }
        self.is_new = false;
        let jobs = self.crew.as_ref().filter(|crew| !crew.threads.is_empty());
        let Some(jobs) = jobs.and_then(|crew| crew.jobs.as_ref()) else {
            // The first part is always made here.
            let header = std::mem::take(&mut self.header);
            self.out.write_all(&self.press.press(&self.held, header)?)?;
            self.held.clear();
            return Ok(());
        };
        if self.coming.len() >= 2 * self.threads
            && let Some(part) = self.coming.pop_front()
        {
            write_part(&mut self.out, &part)?;
        }
        let (part, coming) = sync_channel(1);
        let block = std::mem::replace(&mut self.held, Vec::with_capacity(self.press.block()));
        jobs.send(Job { block, part }).map_err(|_| failed())?;
        self.coming.push_back(coming);
        Ok(())
    }
}

fn write_part(out: &mut impl Write, part: &Receiver<io::Result<Vec<u8>>>) -> io::Result<()> {
    out.write_all(&part.recv().map_err(|_| failed())??)
}

/// What a thread that has panicked leaves behind.
fn failed() -> io::Error {
    io::Error::other("a thread that compresses has failed")
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.press.block() - self.held.len());
        self.held.extend_from_slice(&bytes[..len]);
        if self.held.len() == self.press.block() {
            self.end_block()?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::packed::{Frames, Members};
    use super::*;

    fn pressed(press: Press, threads: usize, text: &[u8]) -> Vec<u8> {
        let mut writer = BlockWriter::new(Vec::new(), press, threads);
        // In pieces that do not fit blocks.
        text.chunks(333_333).for_each(|piece| writer.write_all(piece).expect("memory takes all"));
        writer.finish().expect("memory takes all")
    }

    #[test]
    fn all_of_it_comes_back_and_threads_do_not_show() {
        let text: Vec<u8> = (0_u32..3_000_000).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for press in [Press::Gzip, Press::Zstd] {
            let block = press.block();
            for len in [0, 1, block - 1, block, block + 1, 2 * block, text.len()] {
                let want = pressed(press, 1, &text[..len]);
                for threads in [2, 3, 8] {
                    assert!(pressed(press, threads, &text[..len]) == want, "{press:?} {len} {threads}");
                }
                let mut back = Vec::new();
                match press {
                    Press::Gzip => Members::new(&want[..]).read_to_end(&mut back).expect("gzip"),
                    Press::Zstd => Frames::new(&want[..]).read_to_end(&mut back).expect("zstd"),
                };
                assert!(back == text[..len], "{press:?} {len}");
            }
        }
    }

    /// Takes so many bytes and no more.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_is_full_is_told() {
        let text: Vec<u8> =
            (0_u32..4_000_000).flat_map(|i| i.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect();
        for threads in [1, 3] {
            let mut writer = BlockWriter::new(Full(3 << 20), Press::Gzip, threads);
            let written = writer.write_all(&text).and_then(|()| writer.finish().map(|_| ()));
            assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull), "{threads}");
        }
    }
}
