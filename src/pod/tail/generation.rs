//! One file at a path, and how far it has been read. Rotation puts another in its place; this one is read to its end first.
//!
//! Only whole lines are taken out of it, unless one is longer than a block: a line that has only begun stays in the file and
//! is looked at again. Before bytes are taken it is made sure that the file still holds what it held.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::identity::{HEAD, Head, Inode, NEAR, Place, born, read_at};
use super::reach::Reach;

/// The most that is taken of a file before others have their turn.
pub(super) const BLOCK: usize = 256 << 10;
/// A line that has only begun is remembered up to this length, for the case that the file is emptied.
const TAIL: usize = 16 << 10;

/// So much is read of the end of a file to know what it has left open: more than any private key takes.
const FARTHEST: u64 = 1 << 20;

/// Where a file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// At the path of its source.
    Here,
    /// At another.
    Renamed,
    /// Nowhere; it is still there for who has it open.
    Gone,
}

/// One file at a path.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) inode: Inode,
    pub(super) born: Option<u64>,
    /// Where it was seen last.
    pub(super) path: PathBuf,
    pub(super) fate: Fate,
    pub(super) head: Head,
    /// Up to where it has been taken.
    pub(super) taken: Place,
    /// Where its line begins, if it is in the midst of one.
    pub(super) line: u64,
    /// From where reading can start anew.
    pub(super) safe: Place,
    /// Up to where its records have been delivered: what is read once more before that is not delivered again.
    pub(super) delivered: u64,
    /// A line without a newline, up to here, was delivered as a record.
    pub(super) ended: Option<u64>,
    /// Up to here records had come of which no end had; they were delivered as they are.
    pub(super) recorded: Option<u64>,
    /// The line that has begun behind `taken`, if it is short.
    pub(super) tail: Vec<u8>,
    /// How long it was when it was looked at last.
    pub(super) size: u64,
    /// Whether a line has begun behind `taken` that has neither ended nor been delivered as it is.
    pub(super) has_begun: bool,
    /// Whether there may be more in it than was seen.
    pub(super) is_stirred: bool,
    /// Whether it is a copy of what the next one held: their lines are one text.
    pub(super) is_copy: bool,
    /// Nothing behind this is taken any more: it came too late.
    pub(super) until: Option<u64>,
    /// Whether it was emptied: it may begin with a hole.
    pub(super) was_emptied: bool,
    /// When something last happened to it.
    pub(super) last: Instant,
    pub(super) file: Option<File>,
}

/// What a look at a file brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Bytes to be taken: those of the buffer from here to there.
    Bytes(usize, usize),
    /// A line has begun and not ended: the bytes of the buffer from here on.
    Begun(usize),
    /// Nothing new.
    Nothing,
    /// It is shorter than it was, or holds something else: what was not taken of it is no longer there.
    Emptied,
}

impl Generation {
    pub(super) fn new(inode: Inode, born: Option<u64>, path: PathBuf, fate: Fate) -> Self {
        Self {
            inode,
            born,
            path,
            fate,
            head: Head::default(),
            taken: Place::default(),
            line: 0,
            safe: Place::default(),
            delivered: 0,
            ended: None,
            recorded: None,
            tail: Vec::new(),
            size: 0,
            has_begun: false,
            is_stirred: true,
            is_copy: false,
            until: None,
            was_emptied: false,
            last: Instant::now(),
            file: None,
        }
    }

    /// Opens what is at its path, if that is this file. What was read before is made sure of later. `None`: it is not there.
    pub(super) fn open(&mut self, reach: &Reach) -> io::Result<Option<&File>> {
        if self.file.is_none() {
            let Some(file) = reach.open(&self.path)? else { return Ok(None) };
            if Inode::of(&file.metadata()?) != self.inode {
                return Ok(None);
            }
            self.file = Some(file);
        }
        Ok(self.file.as_ref())
    }

    /// Whether what is at `path` holds what this file held, as far as is known.
    pub(super) fn is_like(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        // The same short text may begin two files.
        let is_other = !self.head.is_whole() && self.born.is_some() && self.born != born(&metadata);
        Ok(!is_other
            && metadata.len() >= self.taken.offset
            && self.head.is_of(file)?
            && self.taken.is_in(file)?)
    }

    /// Delivers what begins with the last line. Some of what stands before it is read, too, for what it has left open.
    pub(super) fn skip_to_last_line(&mut self, file: &File) -> io::Result<()> {
        let (base, bytes) = last_lines(file)?;
        let mut head = [0; HEAD];
        let len = HEAD.min((base + bytes.len() as u64) as usize);
        let there = read_at(file, 0, &mut head[..len])?;
        self.head = Head::of(&head[..there]);
        self.delivered = base + bytes.len() as u64;
        self.taken = Place { offset: base, near: None };
        (self.safe, self.line) = (self.taken, base);
        Ok(())
    }

    /// Looks whether there is something to take. The file must be open. `is_within`: it is in the midst of a line.
    pub(super) fn look(&mut self, buffer: &mut Vec<u8>) -> io::Result<Look> {
        let Some(file) = &self.file else { return Ok(Look::Nothing) };
        if self.was_emptied && self.taken.offset == 0 {
            self.taken.offset = first_data(file)?;
            (self.line, self.safe, self.delivered) = (self.taken.offset, self.taken, self.taken.offset);
        }
        let context = if self.taken.near.is_some() { self.taken.context() } else { 0 };
        buffer.resize(context + BLOCK, 0);
        let there = read_at(file, self.taken.offset - context as u64, &mut buffer[..])?;
        let metadata = file.metadata()?;
        let size = metadata.len();
        let known = self.taken.offset + self.tail.len() as u64;
        let is_other = !self.head.is_whole() && self.born.is_some() && self.born != born(&metadata);
        if is_other
            || size < self.size
            || size < known
            || there < context
            || !self.holds(&buffer[..there], context)?
        {
            return Ok(Look::Emptied);
        }
        if self.size != size || there - context > self.tail.len() {
            self.last = Instant::now();
        }
        self.size = size;
        buffer.truncate(there);
        Ok(self.weigh(buffer, context))
    }

    /// Whether the bytes before `taken`, those after it, and those at the beginning are what they were.
    fn holds(&self, bytes: &[u8], context: usize) -> io::Result<bool> {
        let is_near = self.taken.near.is_none_or(|near| near == super::identity::hash(&bytes[..context]));
        let Some(file) = &self.file else { return Ok(false) };
        Ok(is_near && bytes[context..].starts_with(&self.tail) && self.head.is_of(file)?)
    }

    fn weigh(&mut self, buffer: &[u8], context: usize) -> Look {
        let mut end = buffer.len();
        // What was delivered before ends at a line, and is not mixed with what was not.
        if self.taken.offset < self.delivered {
            end = end.min(context + (self.delivered - self.taken.offset) as usize);
        }
        let last = self.until.map(|until| context + until.saturating_sub(self.taken.offset) as usize);
        let is_late = last.is_some_and(|last| last < end);
        end = end.min(last.unwrap_or(end));
        let bytes = &buffer[context..end];
        if let Some(newline) = memchr::memrchr(b'\n', bytes) {
            return Look::Bytes(context, context + newline + 1);
        }
        // A line that goes on behind what is still read is left for the next start.
        if is_late {
            self.has_begun = false;
            return Look::Nothing;
        }
        if bytes.len() >= BLOCK || (!bytes.is_empty() && end < buffer.len()) {
            return Look::Bytes(context, end);
        }
        if bytes.len() <= TAIL && self.tail.len() < bytes.len() {
            self.tail = bytes.to_vec();
        } else if bytes.len() > TAIL {
            self.tail = Vec::new();
        }
        let is_new = !bytes.is_empty() && self.ended != Some(self.taken.offset + bytes.len() as u64);
        self.has_begun = is_new;
        if is_new { Look::Begun(context) } else { Look::Nothing }
    }

    /// The bytes of the buffer from `from` to `to` have been taken. `is_within`: they end in the midst of a line.
    pub(super) fn take(&mut self, buffer: &[u8], from: usize, to: usize, is_within: bool) -> io::Result<()> {
        let base = self.taken.offset - from as u64;
        let old = self.taken.offset;
        let bytes = &buffer[..to];
        self.taken = Place::behind(base, bytes);
        if self.taken.near.is_none() {
            // Short, and what stands before it was not read.
            self.taken.near = self.hash_before(self.taken.offset)?;
        }
        if !is_within {
            self.line = self.taken.offset;
        } else if let Some(newline) = memchr::memrchr(b'\n', &bytes[from..]) {
            self.line = old + newline as u64 + 1;
        }
        if !self.head.is_whole() {
            if base == 0 {
                self.head = Head::of(bytes);
            } else if let Some(file) = &self.file {
                let mut head = [0; HEAD];
                let len = HEAD.min(self.taken.offset as usize);
                let there = read_at(file, 0, &mut head[..len])?;
                self.head = Head::of(&head[..there]);
            }
        }
        self.tail = Vec::new();
        self.ended = None;
        self.has_begun = false;
        Ok(())
    }

    fn hash_before(&self, offset: u64) -> io::Result<Option<super::identity::Hash>> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut near = [0; NEAR];
        let near = &mut near[..offset.min(NEAR as u64) as usize];
        let there = read_at(file, offset - near.len() as u64, near)?;
        Ok((there == near.len()).then(|| super::identity::hash(near)))
    }

    /// The line that has begun was delivered as it is. If it goes on, it is read again from its beginning.
    pub(super) fn end_line(&mut self, end: u64) {
        self.ended = Some(end);
        self.has_begun = false;
        self.tail = Vec::new();
        if self.taken.offset != self.line {
            self.taken = Place { offset: self.line, near: None };
        }
    }

    /// The stream of its source could begin anew behind what was taken.
    pub(super) fn settle(&mut self) {
        self.safe = self.taken;
    }

    /// It begins anew: what it held is no longer there.
    pub(super) fn empty(&mut self) {
        self.head = Head::default();
        (self.taken, self.safe) = (Place::default(), Place::default());
        (self.line, self.delivered, self.size) = (0, 0, 0);
        (self.ended, self.recorded) = (None, None);
        self.tail = Vec::new();
        (self.is_stirred, self.was_emptied, self.has_begun) = (true, true, false);
        self.last = Instant::now();
        let metadata = self.file.as_ref().and_then(|file| file.metadata().ok());
        self.born = metadata.as_ref().and_then(born);
    }

    /// Up to where the output has it, lines that were delivered as they are included.
    pub(super) fn kept(&self) -> u64 {
        self.delivered.max(self.safe.offset).max(self.ended.unwrap_or(0))
    }

    /// All of it is read again from where reading can start anew; what was delivered is not delivered again.
    pub(super) fn rewind(&mut self) {
        (self.taken, self.line) = (self.safe, self.safe.offset);
        self.tail = Vec::new();
        (self.is_stirred, self.has_begun) = (false, false);
    }

    /// Whether reading would start in it.
    pub(super) fn is_needed(&self) -> bool {
        self.safe.offset < self.taken.offset
    }

    /// Whether something of it would have to be read again after a restart.
    pub(super) fn is_wanted(&self) -> bool {
        self.safe.offset < self.taken.offset.max(self.delivered)
    }

    /// Whether nothing is lost if it is closed and cannot be opened again.
    pub(super) fn is_done(&self) -> bool {
        let is_grown = || {
            let file = self.file.as_ref();
            file.and_then(|file| file.metadata().ok()).is_some_and(|metadata| metadata.len() > self.size)
        };
        self.is_read() && !self.is_needed() && !is_grown()
    }

    /// Whether it has been read to the end that was seen.
    pub(super) fn is_read(&self) -> bool {
        !self.is_stirred && !self.has_begun && self.ended.unwrap_or(self.taken.offset) >= self.size
    }
}

/// The last whole lines of a file, up to [`FARTHEST`] bytes of them, and where they begin.
pub(super) fn last_lines(file: &File) -> io::Result<(u64, Vec<u8>)> {
    let size = file.metadata()?.len();
    let base = size.saturating_sub(FARTHEST);
    let mut bytes = vec![0; (size - base) as usize];
    let there = read_at(file, base, &mut bytes)?;
    bytes.truncate(there);
    bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |i| i + 1));
    let begun = if base == 0 { 0 } else { memchr::memchr(b'\n', &bytes).map_or(0, |i| i + 1) };
    bytes.drain(..begun);
    Ok((base + begun as u64, bytes))
}

/// Where a file begins in which someone wrote on behind a hole: an emptied file, whose writer did not go back.
fn first_data(file: &File) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    let found = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(0));
    // Nothing but a hole, or a file system that does not know.
    #[cfg(target_os = "linux")]
    let mut at = found.unwrap_or_default();
    #[cfg(not(target_os = "linux"))]
    let mut at = 0;
    let mut bytes = [0; 4096];
    loop {
        let there = read_at(file, at, &mut bytes)?;
        let zeros = bytes[..there].iter().take_while(|&&byte| byte == 0).count();
        at += zeros as u64;
        if zeros < bytes.len() {
            return Ok(at);
        }
    }
}
