//! One stream, cleaned by several threads: each takes the next block, cleans it, and writes it when its turn comes.
//!
//! Invariants:
//! - What comes out is what one [`Scrubber`] writes, whatever the number of threads.
//! - A line is out when the read that brought its newline has returned and those before it are out. No block waits to be
//!   filled.
//! - As many blocks are held as there are threads.
//! - If a thread fails, nothing of the blocks behind its own is written; of its own, no more than what was clean before.
//!
//! A block is whole lines. It is cleaned as if nothing were open before it, which is nearly always so. Where it was not
//! so, and where a line does not fit a block, what the thread has made is left, and the bytes go through the one
//! scrubber that knows what came before, when it is their turn.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::sanitize::{Pen, Sanitizer};
use crate::scan::Work;
use crate::stream::{Out, SEGMENT, Scrubber, short_lines};

/// The most bytes that are read at once.
pub const BLOCK: usize = 256 << 10;
/// Pieces are many if there is a finding in so many bytes.
const DENSE: usize = 512;
/// The stack of a thread: as much as a program's first thread commonly has.
const STACK: usize = 8 << 20;

/// Where a stream comes from.
pub trait Source: Send {
    /// Reads what there is, at least one byte; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> usize;
}

/// Where a stream goes.
pub trait Target: Out + Send {
    /// Takes the pieces of a block, in order, each as [`write`](Out::write) would.
    fn write_pieces<'p>(&mut self, pieces: impl Iterator<Item = &'p [u8]>) {
        pieces.for_each(|piece| self.write(piece));
    }

    /// A block is over: what was written must leave. Whether more is wanted.
    fn end_block(&mut self) -> bool;
}

impl Target for Vec<u8> {
    fn end_block(&mut self) -> bool {
        true
    }
}

/// Cleans all of `source` into `target` with `threads` threads, this one among them. If no more can be started, fewer do
/// the same.
///
/// `stop` is called when nothing more is wanted while another thread may be waiting in a read: the read should return.
/// # Panics
/// If the source, the target or the engine does; what came before is written.
pub fn scrub(
    sanitizer: &Sanitizer,
    threads: usize,
    source: &mut impl Source,
    target: &mut impl Target,
    stop: &(dyn Fn() + Sync),
) {
    let stream = Stream::new(sanitizer, source, target, stop);
    thread::scope(|scope| {
        let start = |_| {
            let thread = thread::Builder::new().name("scrub".to_owned()).stack_size(STACK);
            thread.spawn_scoped(scope, || stream.work()).ok()
        };
        let others: Vec<_> = (1..threads).map_while(start).collect();
        stream.work();
        for other in others {
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
    let Turn { end, scrubber, target, .. } = stream.turn.into_inner().unwrap_or_else(PoisonError::into_inner);
    if end == u64::MAX {
        scrubber.finish(target);
        target.end_block();
    }
}

/// What the threads share.
struct Stream<'s, S, T> {
    sanitizer: &'s Sanitizer,
    feed: Mutex<Feed<'s, S>>,
    turn: Mutex<Turn<'s, T>>,
    /// A turn is over, or the stream is.
    turned: Condvar,
    /// Nothing more is to be read.
    is_stopped: AtomicBool,
    stop: &'s (dyn Fn() + Sync),
}

impl<'s, S: Source, T: Target> Stream<'s, S, T> {
    fn new(
        sanitizer: &'s Sanitizer,
        source: &'s mut S,
        target: &'s mut T,
        stop: &'s (dyn Fn() + Sync),
    ) -> Self {
        let feed = Feed { source, rest: Vec::new(), next: 0, is_in_line: false, is_over: false };
        let turn = Turn { next: 0, end: u64::MAX, scrubber: Scrubber::new(sanitizer), target };
        let (feed, turn, turned) = (Mutex::new(feed), Mutex::new(turn), Condvar::new());
        Self { sanitizer, feed, turn, turned, is_stopped: AtomicBool::new(false), stop }
    }

    /// Block after block, as long as there are any.
    fn work(&self) {
        let mut block = Block::default();
        let mut draft = Draft::default();
        while let Some(number) = self.next(&mut block) {
            let failing = Failing { stream: self, number };
            if block.is_whole {
                draft.make(self.sanitizer, block.bytes());
            }
            let goes_on = self.write(number, &block, &mut draft);
            drop(failing);
            if !goes_on {
                return;
            }
        }
    }

    /// Fills `block` with what comes next; its number, unless nothing does.
    fn next(&self, block: &mut Block) -> Option<u64> {
        // A source that has failed is not read again.
        let mut feed = self.feed.lock().ok()?;
        if self.is_stopped.load(Ordering::Relaxed) { None } else { feed.next(block) }
    }

    /// Writes a block in its turn. Whether the stream goes on.
    fn write(&self, number: u64, block: &Block, draft: &mut Draft) -> bool {
        let mut turn = self.lock();
        while turn.next < number && number < turn.end {
            turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if number >= turn.end {
            return false;
        }
        let Turn { scrubber, target, .. } = &mut *turn;
        if block.is_whole && scrubber.is_settled() {
            draft.write(block.bytes(), *target);
            scrubber.go_on_from(&mut draft.work);
        } else {
            scrubber.push(block.bytes(), *target);
        }
        let goes_on = target.end_block();
        turn.next = number + 1;
        drop(turn);
        if goes_on {
            self.turned.notify_all();
        } else {
            self.end_at(number + 1);
        }
        goes_on
    }

    /// No block from this one on will be written.
    fn end_at(&self, number: u64) {
        let mut turn = self.lock();
        turn.end = turn.end.min(number);
        drop(turn);
        self.is_stopped.store(true, Ordering::Relaxed);
        self.turned.notify_all();
        (self.stop)();
    }

    /// A thread that failed in its turn has ended the stream there: others may still look.
    fn lock(&self) -> MutexGuard<'_, Turn<'s, T>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is done in the order of the blocks.
struct Turn<'s, T> {
    /// The number of the block that is written next.
    next: u64,
    /// The number of the first that will not be.
    end: u64,
    /// What the stream has left open so far.
    scrubber: Scrubber<&'s Sanitizer>,
    target: &'s mut T,
}

/// Ends the stream before a block if its thread fails.
struct Failing<'t, 's, S: Source, T: Target> {
    stream: &'t Stream<'s, S, T>,
    number: u64,
}

impl<S: Source, T: Target> Drop for Failing<'_, '_, S, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.stream.end_at(self.number);
        }
    }
}

/// Cuts what is read into blocks.
struct Feed<'s, S> {
    source: &'s mut S,
    /// The start of the line that the last block did not hold.
    rest: Vec<u8>,
    /// The number of the next block.
    next: u64,
    /// The last block ended within a line.
    is_in_line: bool,
    is_over: bool,
}

impl<S: Source> Feed<'_, S> {
    /// The whole lines that are there after a read; of a line that is too long, whatever is there.
    fn next(&mut self, block: &mut Block) -> Option<u64> {
        block.begin(&mut self.rest);
        while !self.is_over {
            let read = self.source.read(block.room());
            if read == 0 {
                self.is_over = true;
                break;
            }
            let from = block.len;
            block.len += read;
            let newline = memchr::memrchr(b'\n', &block.bytes()[from..]);
            if let Some(newline) = newline {
                let end = from + newline + 1;
                self.rest.extend_from_slice(&block.bytes()[end..]);
                block.len = end;
            }
            if newline.is_some() || self.is_in_line || block.len >= SEGMENT {
                let begins_in_line = std::mem::replace(&mut self.is_in_line, newline.is_none());
                let is_whole = !begins_in_line && newline.is_some();
                block.is_whole = is_whole && short_lines(block.bytes()) == block.len;
                return Some(self.number());
            }
        }
        // The last line has no newline.
        (block.len > 0).then(|| self.number())
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

/// Some bytes of the stream.
#[derive(Default)]
struct Block {
    /// Of these, `len` are the block.
    buffer: Vec<u8>,
    len: usize,
    /// It is whole lines, and none of them is long.
    is_whole: bool,
}

impl Block {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// A new block that starts with `rest`, which is empty afterwards.
    fn begin(&mut self, rest: &mut Vec<u8>) {
        (self.len, self.is_whole) = (0, false);
        self.room()[..rest.len()].copy_from_slice(rest);
        self.len = rest.len();
        rest.clear();
    }

    /// Room for a read behind the block.
    fn room(&mut self) -> &mut [u8] {
        let end = self.len + BLOCK;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        &mut self.buffer[self.len..end]
    }
}

/// What becomes of a block if nothing is open before it.
#[derive(Default)]
struct Draft {
    work: Work,
    pen: Pen,
    /// What stands in place of the findings, one behind the other, and where each begins.
    replacements: Vec<u8>,
    begins: Vec<usize>,
}

impl Draft {
    fn make(&mut self, sanitizer: &Sanitizer, block: &[u8]) {
        let Self { work, pen, replacements, begins } = self;
        work.forget();
        pen.turn();
        replacements.clear();
        begins.clear();
        for finding in sanitizer.scan_block(block, work) {
            begins.push(replacements.len());
            replacements.extend_from_slice(sanitizer.replacement(block, finding, pen));
        }
    }

    /// Clean runs leave from where they were read to, unless there are many short ones: those cost less to copy.
    fn write(&self, block: &[u8], out: &mut impl Target) {
        let findings = self.work.findings();
        let mut done = 0;
        let replacement = |i: usize| {
            let end = self.begins.get(i + 1).copied().unwrap_or(self.replacements.len());
            &self.replacements[self.begins[i]..end]
        };
        let pieces = findings.iter().enumerate().flat_map(|(i, finding)| {
            let clean = &block[std::mem::replace(&mut done, finding.end)..finding.start];
            [clean, replacement(i)]
        });
        let last = &block[findings.last().map_or(0, |finding| finding.end)..];
        let pieces = pieces.chain([last]).filter(|piece| !piece.is_empty());
        if findings.len() * DENSE > block.len() {
            pieces.for_each(|piece| out.write(piece));
        } else {
            out.write_pieces(pieces);
        }
        findings.iter().enumerate().for_each(|(i, finding)| out.replaced(finding, replacement(i)));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Hands over one piece a read, and fails behind the last if it is to.
    struct Pieces {
        left: Vec<&'static str>,
        fails: bool,
    }

    impl Source for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> usize {
            match self.left.pop() {
                Some(piece) => {
                    buffer[..piece.len()].copy_from_slice(piece.as_bytes());
                    piece.len()
                }
                None if self.fails => panic!("as a source might"),
                None => 0,
            }
        }
    }

    fn pieces(fails: bool) -> Pieces {
        Pieces { left: vec!["e\n", "password=hun", "c\nd\n", "b\n", "a\n"], fails }
    }

    /// Takes so many blocks; fails at the next if it is to, else wants no more.
    struct Few {
        text: Vec<u8>,
        blocks: usize,
        fails: bool,
    }

    impl Out for Few {
        fn write(&mut self, bytes: &[u8]) {
            assert!(self.blocks > 0 || !self.fails, "as a target might");
            self.text.extend_from_slice(bytes);
        }
    }

    impl Target for Few {
        fn end_block(&mut self) -> bool {
            self.blocks = self.blocks.saturating_sub(1);
            self.blocks > 0 || self.fails
        }
    }

    #[test]
    fn what_came_before_a_failure_is_written() {
        let sanitizer = Sanitizer::builtin();
        for threads in 1..5 {
            let stopped = AtomicBool::new(false);
            let stop = || stopped.store(true, Ordering::Relaxed);
            let mut target = Few { text: Vec::new(), blocks: 2, fails: true };
            let run = || scrub(&sanitizer, threads, &mut pieces(false), &mut target, &stop);
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
            assert_eq!(target.text, b"a\nb\n");
            assert!(stopped.load(Ordering::Relaxed));
            let mut target = Few { text: Vec::new(), blocks: 9, fails: true };
            let run = || scrub(&sanitizer, threads, &mut pieces(true), &mut target, &stop);
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
            assert_eq!(target.text, b"a\nb\nc\nd\npassword=[REDACTED:password]\n");
        }
    }

    #[test]
    fn nothing_more_is_written_once_nothing_is_wanted() {
        let sanitizer = Sanitizer::builtin();
        for threads in 1..5 {
            let stopped = AtomicBool::new(false);
            let stop = || stopped.store(true, Ordering::Relaxed);
            let mut target = Few { text: Vec::new(), blocks: 3, fails: false };
            scrub(&sanitizer, threads, &mut pieces(false), &mut target, &stop);
            assert_eq!(target.text, b"a\nb\nc\nd\n");
            assert!(stopped.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn what_follows_a_failed_block_is_not_written() {
        let sanitizer = Sanitizer::builtin();
        let (mut source, mut target) = (pieces(false), Vec::new());
        let stream = Stream::new(&sanitizer, &mut source, &mut target, &|| {});
        thread::scope(|scope| {
            let mut block = Block::default();
            let number = stream.next(&mut block).expect("a block");
            let others = [0; 2].map(|_| scope.spawn(|| stream.work()));
            let failing = Failing { stream: &stream, number };
            let failing = scope.spawn(move || {
                let _failing = failing;
                panic!("as the engine might");
            });
            assert!(failing.join().is_err());
            assert!(others.into_iter().all(|other| other.join().is_ok()));
        });
        assert!(target.is_empty());
    }
}
