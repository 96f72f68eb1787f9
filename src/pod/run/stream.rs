//! One stream of the program, from its pipe to our own: read, scrubbed, written, in order, on a thread of its own.
//!
//! A line is written when the read that brought its newline has returned. What is clean is written from where it was read
//! to. A block is written when all of it was scrubbed, so that nothing of it is out if that panics.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::outlet::{Closed, Outlet, Writer};
use super::patience::Patience;
use super::{Event, Name, Rules, Watch};
use crate::finding::{Finding, RuleIndex};
use crate::pod::{Draft, Guard};
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::stream::Out;

/// How much is read ahead of a line's end.
const BLOCK: usize = 256 << 10;
/// A read of so much was likely not the last: the next one is tried without asking whether there is something.
const MUCH: usize = 32 << 10;
/// After so many of those it is asked for all the same, since the stream may have to end.
const AHEAD: u8 = 16;
/// Shorter pieces are copied: a piece of its own costs more.
const SHORT: usize = 512;
/// How often it is asked whether what may not be written now may be.
const HOLD: Duration = Duration::from_millis(100);
/// How many pieces are written at once.
const PIECES: usize = 256;
/// How much a terminal holds.
const TERMINAL: usize = 64 << 10;

/// Reads what the program writes.
#[derive(Debug)]
pub(super) struct Inlet {
    file: File,
    /// Readable when the stream is to end, whoever still has its other end.
    stop: Arc<OwnedFd>,
    /// There may be more to read at once: this many reads more are tried without asking.
    ahead: u8,
    /// Once it is to end: how much may still be read.
    left: Option<usize>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nobody has its other end.
    Over,
    /// Somebody has.
    Cut,
}

impl Inlet {
    /// `file` must not wait when it is read.
    pub(super) fn new(file: File, stop: Arc<OwnedFd>) -> Self {
        Self { file, stop, ahead: 0, left: None }
    }

    /// Reads what there is, at least one byte, unless the stream has ended.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, End> {
        loop {
            if self.ahead == 0 && self.left.is_none() {
                self.wait();
            }
            let most = self.left.map_or(buffer.len(), |left| left.min(buffer.len()));
            if most == 0 {
                return Err(End::Cut);
            }
            match self.file.read(&mut buffer[..most]) {
                Ok(0) => return Err(End::Over),
                Ok(len) => {
                    self.ahead = match len {
                        MUCH.. if self.ahead > 0 => self.ahead - 1,
                        MUCH.. => AHEAD,
                        _ => 0,
                    };
                    self.left = self.left.map(|left| left - len);
                    return Ok(len);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ahead = 0;
                    if self.left.is_some() {
                        return Err(End::Cut);
                    }
                }
                // A terminal whose other end is closed says so; of a pipe there is nothing else to fail.
                Err(_) => return Err(End::Over),
            }
        }
    }

    /// Waits until there is something to read. If the stream is to end, what its pipe holds now is read, no more.
    fn wait(&mut self) {
        let mut ends = [PollFd::new(&self.file, PollFlags::IN), PollFd::new(&*self.stop, PollFlags::IN)];
        if poll(&mut ends, None).is_ok() && !ends[1].revents().is_empty() {
            self.left = Some(rustix::pipe::fcntl_getpipe_size(&self.file).unwrap_or(TERMINAL));
        }
    }
}

/// What a block becomes.
#[derive(Debug, Default)]
struct Written {
    /// Where the block is, by the addresses of its bytes.
    block: (usize, usize),
    pieces: Vec<Piece>,
    made: Vec<u8>,
    found: Vec<RuleIndex>,
    named: Vec<(RuleIndex, Pseudonym)>,
    sanitizer: Option<Arc<Sanitizer>>,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    /// Bytes of the block.
    Block(usize, usize),
    /// Bytes that were made, or copied.
    Made(usize, usize),
}

impl Written {
    /// Forgets all; what is written next is made of `block`.
    fn begin(&mut self, block: &[u8]) {
        self.pieces.clear();
        self.made.clear();
        self.found.clear();
        self.named.clear();
        let start = block.as_ptr() as usize;
        self.block = (start, start + block.len());
    }

    fn ends_line(&self, block: &[u8]) -> bool {
        match self.pieces.last() {
            Some(&Piece::Block(_, end)) => block[end - 1] == b'\n',
            Some(&Piece::Made(_, end)) => self.made[end - 1] == b'\n',
            None => true,
        }
    }

    fn piece<'w>(&'w self, piece: Piece, block: &'w [u8]) -> &'w [u8] {
        match piece {
            Piece::Block(start, end) => &block[start..end],
            Piece::Made(start, end) => &self.made[start..end],
        }
    }
}

/// A slice of the block is kept as its place, all else is copied.
impl Out for Written {
    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = bytes.as_ptr() as usize;
        let end = start + bytes.len();
        if bytes.len() >= SHORT && self.block.0 <= start && end <= self.block.1 {
            self.pieces.push(Piece::Block(start - self.block.0, end - self.block.0));
            return;
        }
        let from = self.made.len();
        self.made.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Piece::Made(_, end)) => *end = self.made.len(),
            _ => self.pieces.push(Piece::Made(from, self.made.len())),
        }
    }

    fn replaced(&mut self, finding: &Finding, marker: &[u8]) {
        self.found.push(finding.rule);
        let named = self.sanitizer.as_ref().and_then(|sanitizer| sanitizer.pseudonym(finding.rule, marker));
        self.named.extend(named.map(|named| (finding.rule, named)));
    }
}

impl Draft for Written {
    /// Its last piece with where that ends, and how much there is of pieces, made bytes, findings and
    /// pseudonyms.
    type Mark = (Option<Piece>, [usize; 4]);

    fn mark(&self) -> Self::Mark {
        (
            self.pieces.last().copied(),
            [self.pieces.len(), self.made.len(), self.found.len(), self.named.len()],
        )
    }

    fn undo(&mut self, (last, [pieces, made, found, named]): Self::Mark) {
        self.pieces.truncate(pieces);
        if let (Some(grown), Some(was)) = (self.pieces.last_mut(), last) {
            *grown = was;
        }
        self.made.truncate(made);
        self.found.truncate(found);
        self.named.truncate(named);
    }
}

/// A stream, ready to run.
pub(super) struct Stream {
    pub(super) name: Name,
    pub(super) inlet: Inlet,
    pub(super) outlet: Arc<Outlet>,
    /// Where things are said.
    pub(super) voice: Arc<Outlet>,
    pub(super) rules: Arc<Rules>,
    pub(super) watch: Arc<dyn Watch>,
    pub(super) patience: Arc<Patience>,
}

impl Stream {
    /// Runs until the stream has ended or nobody reads what comes out. Then its other end breaks, too.
    pub(super) fn run(mut self) {
        let mut work = Working::by(self.rules.sanitizer());
        let mut buffer = vec![0; BLOCK];
        // The buffer begins with so many bytes of a line that has not ended.
        let mut rest = 0;
        let ended = loop {
            let read = match self.inlet.read(&mut buffer[rest..]) {
                Ok(read) => read,
                Err(end) => break self.end(&mut work, &buffer[..rest]).map(|()| end),
            };
            let len = rest + read;
            let whole = match memchr::memrchr(b'\n', &buffer[rest..len]) {
                Some(newline) => rest + newline + 1,
                // A line that is longer than the buffer goes on in pieces.
                None if len == buffer.len() => len,
                None => 0,
            };
            if whole > 0
                && let Err(closed) = self.pass(&mut work, &buffer[..whole])
            {
                if closed == Closed::GivenUp {
                    self.count_lost(len - whole);
                }
                break Err(closed);
            }
            buffer.copy_within(whole..len, 0);
            rest = len - whole;
        };
        if ended == Ok(End::Cut) {
            self.tell(&mut work, Event::LeftOpen(self.name));
        }
    }

    /// Counts what was read behind a block that could not be written, and what is in the pipe now.
    fn count_lost(&self, read: usize) {
        let unread = rustix::io::ioctl_fionread(&self.inlet.file).unwrap_or(0);
        self.patience.add(self.name, read as u64 + unread);
    }

    /// Scrubs and writes a block.
    fn pass(&self, work: &mut Working, block: &[u8]) -> Result<(), Closed> {
        work.follow(self.rules.sanitizer());
        work.written.begin(block);
        if !work.guard.push(block, &mut work.written) {
            self.tell(work, Event::Undecided(self.name));
        }
        self.put(work, block)
    }

    /// Scrubs and writes the last line, which has no newline.
    fn end(&self, work: &mut Working, block: &[u8]) -> Result<(), Closed> {
        self.pass(work, block)?;
        work.written.begin(&[]);
        if !work.guard.finish(&mut work.written) {
            self.tell(work, Event::Undecided(self.name));
        }
        self.put(work, &[])
    }

    fn put(&self, work: &mut Working, block: &[u8]) -> Result<(), Closed> {
        let written = mem::take(&mut work.written);
        let ends_line = written.ends_line(block);
        let mut pieces = written.pieces.iter().map(|&piece| written.piece(piece, block)).peekable();
        let mut done = Ok(());
        let mut left: usize = written.pieces.iter().map(|&piece| written.piece(piece, block).len()).sum();
        self.patience.left(self.name, left as u64);
        while done.is_ok() && !self.watch.may_pass() {
            self.patience.hold(self.name, true);
            if self.patience.is_over() {
                done = Err(Closed::GivenUp);
            } else {
                thread::sleep(HOLD);
            }
        }
        while done.is_ok() && pieces.peek().is_some() {
            let mut some = [IoSlice::new(&[]); PIECES];
            let taken =
                some.iter_mut().zip(&mut pieces).map(|(slot, piece)| *slot = IoSlice::new(piece)).count();
            let is_last = pieces.peek().is_none();
            let bytes: usize = some[..taken].iter().map(|piece| piece.len()).sum();
            let mut writer = Writing { stream: self, work };
            done = self.outlet.write(&mut some[..taken], is_last && ends_line, &mut writer);
            if done.is_ok() {
                left -= bytes;
                self.patience.left(self.name, left as u64);
            }
        }
        if done != Err(Closed::GivenUp) {
            self.patience.hold(self.name, false);
            self.patience.left(self.name, 0);
        }
        if done.is_ok() && !written.found.is_empty() {
            self.watch.found(self.name, &written.found, &written.named);
        }
        drop(pieces);
        work.written = written;
        done
    }

    /// Says what happened, each kind of thing once.
    fn tell(&self, work: &mut Working, event: Event) {
        let said = match event {
            Event::Undecided(_) => &mut work.said[0],
            Event::Held(..) => &mut work.said[1],
            Event::LeftOpen(_) => &mut false,
        };
        self.watch.event(event);
        if !mem::replace(said, true) {
            self.voice.say(&event.to_string());
        }
    }
}

/// A stream while it writes.
struct Writing<'s> {
    stream: &'s Stream,
    work: &'s mut Working,
}

impl Writer for Writing<'_> {
    fn failed(&mut self, error: &io::Error) -> bool {
        let Self { stream, work } = self;
        stream.patience.hold(stream.name, true);
        stream.tell(work, Event::Held(stream.name, error.kind()));
        !stream.patience.is_over()
    }

    fn waits(&mut self) -> bool {
        !self.stream.patience.is_over()
    }
}

/// What a stream works with.
struct Working {
    guard: Guard,
    written: Written,
    /// That something could not be decided; that something could not be written.
    said: [bool; 2],
}

impl Working {
    fn by(sanitizer: Arc<Sanitizer>) -> Self {
        Self {
            guard: Guard::new(sanitizer.clone()),
            written: Written { sanitizer: Some(sanitizer), ..Written::default() },
            said: [false; 2],
        }
    }

    /// Goes over to other rules, if the stream is settled.
    fn follow(&mut self, sanitizer: Arc<Sanitizer>) {
        if !Arc::ptr_eq(&sanitizer, self.guard.sanitizer()) && self.guard.is_settled() {
            self.guard = Guard::new(sanitizer.clone());
            self.written.sanitizer = Some(sanitizer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &Written, block: &[u8]) -> String {
        let pieces = written.pieces.iter().map(|&piece| written.piece(piece, block));
        String::from_utf8_lossy(&pieces.collect::<Vec<_>>().concat()).into_owned()
    }

    #[test]
    fn slices_of_a_block_are_not_copied() {
        let block = "x".repeat(4 * SHORT);
        let mut written = Written::default();
        written.begin(block.as_bytes());
        written.write(&block.as_bytes()[..SHORT]);
        written.write(b"made");
        written.write(&block.as_bytes()[SHORT..SHORT + 4]);
        let mark = written.mark();
        written.write(b"undone");
        written.write(&block.as_bytes()[SHORT..]);
        written.undo(mark);
        written.write(b"\n");
        assert_eq!(text(&written, block.as_bytes()), format!("{}madexxxx\n", &block[..SHORT]));
        assert_eq!((written.pieces.len(), written.made.len()), (2, 9));
        assert!(written.ends_line(block.as_bytes()));
    }
}
