//! A stream of bytes, cleaned line by line: push chunks, get clean bytes. No input or output of its own.
//!
//! Invariants:
//! - What comes out depends on the bytes that went in, not on how they were cut into chunks.
//! - A line is out when the `push` that brought its newline returns.
//! - Memory stays below [`MAX_HELD`] and a small multiple of the largest chunk.
//!
//! A line longer than [`SEGMENT`] is cleaned in segments at fixed places, each with the bytes before it as context
//! and bytes after it to look ahead. What begins in a segment and is still going on at the end of the look-ahead
//! cannot be decided: a marker takes its place, and all that follows without a break is dropped.

use std::ops::Deref;

use crate::finding::Finding;
use crate::sanitize::{Pen, Sanitizer};
use crate::scan::Work;

/// A long line is decided in steps of this many bytes.
pub const SEGMENT: usize = 256 << 10;
/// How far a decision looks ahead.
pub const AHEAD: usize = 32 << 10;
/// How far it looks back.
const CONTEXT: usize = 4 << 10;
/// So many bytes at the end of a line that was cut off are not told, and what they are the end of without a break.
#[cfg(feature = "pod")]
const CUT: usize = 64;
/// What stands for bytes of which nobody knows what they would have become.
#[cfg(feature = "pod")]
pub(crate) const UNDECIDED: &[u8] = b"[REDACTED:undecided]";
/// The most bytes of the input that are held.
pub const MAX_HELD: usize = CONTEXT + SEGMENT + AHEAD;

/// Where clean bytes go.
pub trait Out {
    /// Takes clean bytes, in order.
    fn write(&mut self, bytes: &[u8]);

    /// Learns of a finding: what was found, not what it was.
    fn found(&mut self, finding: &Finding) {
        let _ = finding;
    }

    /// Learns of a finding and of what was written in its place, for who has to know its pseudonym
    /// ([`Sanitizer::pseudonym`]). What is written may hold the end of a secret (the action `mask`): it is not to be kept.
    fn replaced(&mut self, finding: &Finding, marker: &[u8]) {
        let _ = marker;
        self.found(finding);
    }
}

impl Out for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Cleans one stream. Holds its sanitizer by reference or by `Arc`.
#[derive(Debug)]
pub struct Scrubber<S: Deref<Target = Sanitizer>> {
    sanitizer: S,
    work: Work,
    /// The start of a line whose newline has not come; in a long line, its context before that.
    held: Vec<u8>,
    /// How many bytes of `held` are context: decided and written.
    context: usize,
    /// A secret has been cut off at the end of the look-ahead: what goes on without a break is part of it.
    swallowing: bool,
    pen: Pen,
}

impl<S: Deref<Target = Sanitizer>> Scrubber<S> {
    /// A scrubber for a new stream.
    pub fn new(sanitizer: S) -> Self {
        Self {
            sanitizer,
            work: Work::default(),
            held: Vec::new(),
            context: 0,
            swallowing: false,
            pen: Pen::default(),
        }
    }

    /// Takes the next bytes of the stream; writes all lines that are now complete.
    pub fn push(&mut self, mut chunk: &[u8], out: &mut impl Out) {
        if !self.held.is_empty() || self.swallowing {
            match memchr::memchr(b'\n', chunk) {
                Some(newline) => {
                    let (line_end, rest) = chunk.split_at(newline + 1);
                    self.hold(line_end, out);
                    self.end_line(out);
                    chunk = rest;
                }
                None => return self.hold(chunk, out),
            }
        }
        // Whole lines are cleaned where they are, none of them longer than what a segment may hold.
        let whole = memchr::memrchr(b'\n', chunk).map_or(0, |i| i + 1);
        let mut lines = &chunk[..whole];
        while !lines.is_empty() {
            let short = short_lines(lines);
            if short > 0 {
                let (block, rest) = lines.split_at(short);
                self.clean(block, 0, block.len(), out);
                lines = rest;
            } else {
                let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |i| i + 1);
                let (line, rest) = lines.split_at(end);
                self.hold(line, out);
                self.end_line(out);
                lines = rest;
            }
        }
        self.hold(&chunk[whole..], out);
    }

    /// Whether the stream could as well begin here: no line has begun and nothing is open.
    pub fn is_settled(&self) -> bool {
        self.held.is_empty() && !self.swallowing && self.work.is_settled()
    }

    /// Goes on behind whole lines that were scanned with other working memory.
    pub(crate) fn go_on_from(&mut self, work: &mut Work) {
        self.work.go_on_from(work);
    }

    /// A scrubber for the line behind the last whole one, with what those before it have left open; of a line that has
    /// begun it knows nothing.
    #[cfg(feature = "pod")]
    pub(crate) fn behind_lines(&self) -> Self
    where
        S: Clone,
    {
        Self { work: self.work.beside(), ..Self::new(self.sanitizer.clone()) }
    }

    /// The line that has begun is cut off here: half a secret has no shape to be known by, so a marker takes the place of its
    /// last bytes. It is written behind what is found before it, as a value that holds a marker counts as scrubbed. The line
    /// still has to be ended.
    #[cfg(feature = "pod")]
    pub(crate) fn cut(&mut self, out: &mut impl Out) {
        if self.held.len() > self.context {
            let sure = sure(&self.held).max(self.context);
            self.held.truncate(sure);
            self.end_line(out);
            out.write(UNDECIDED);
        }
    }

    /// Ends the stream: writes what is left.
    pub fn finish(mut self, out: &mut impl Out) {
        self.end_line(out);
    }

    /// Takes bytes of one line; decides segments as they fill up.
    fn hold(&mut self, mut bytes: &[u8], out: &mut impl Out) {
        while !bytes.is_empty() {
            if self.swallowing {
                let going_on = bytes.iter().take_while(|&&b| !is_break(b)).count();
                bytes = &bytes[going_on..];
                if bytes.is_empty() {
                    return;
                }
                self.swallowing = false;
            }
            // The newline itself never makes a segment full: a line that just fits is decided whole.
            let room = self.context + SEGMENT + AHEAD - self.held.len() + usize::from(bytes == b"\n");
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.held.extend_from_slice(taken);
            bytes = rest;
            if self.held.len() == self.context + SEGMENT + AHEAD && bytes != b"\n" && !bytes.is_empty() {
                self.decide_segment(out);
            }
        }
    }

    /// Decides the first [`SEGMENT`] bytes after the context.
    fn decide_segment(&mut self, out: &mut impl Out) {
        let held = std::mem::take(&mut self.held);
        let cut = self.clean(&held, self.context, self.context + SEGMENT, out);
        self.held = held;
        if cut == self.held.len() {
            // The last finding goes on beyond what can be seen.
            self.held.clear();
            self.context = 0;
            self.swallowing = true;
        } else {
            let from = cut.saturating_sub(CONTEXT);
            self.held.drain(..from);
            self.context = cut - from;
        }
    }

    fn end_line(&mut self, out: &mut impl Out) {
        let held = std::mem::take(&mut self.held);
        if held.len() > self.context {
            self.clean(&held, self.context, held.len(), out);
        }
        self.held = held;
        self.held.clear();
        self.held.shrink_to(SEGMENT);
        self.context = 0;
        self.swallowing = false;
    }

    /// Cleans `text` and writes it from `from` to `to`, or to the end of a finding that reaches beyond `to`.
    /// Returns where it stopped.
    fn clean(&mut self, text: &[u8], from: usize, to: usize, out: &mut impl Out) -> usize {
        let findings = self.sanitizer.scan_block(text, &mut self.work);
        let mut done = from;
        self.pen.turn();
        for finding in findings {
            if finding.end <= done {
                continue;
            }
            if finding.start >= to {
                break;
            }
            if finding.start > done {
                out.write(&text[done..finding.start]);
            }
            let marker = self.sanitizer.replacement(text, finding, &mut self.pen);
            out.write(marker);
            out.replaced(finding, marker);
            done = finding.end;
        }
        if done < to {
            out.write(&text[done..to]);
            done = to;
        }
        done
    }
}

/// How many bytes of `lines` are lines that fit a segment: they are cleaned where they are, in one piece.
pub(crate) fn short_lines(lines: &[u8]) -> usize {
    if lines.len() <= SEGMENT + AHEAD {
        return lines.len();
    }
    let mut at = 0;
    while at < lines.len() {
        // The last newline within reach; none: a long line starts here.
        let reach = lines.len().min(at + SEGMENT + AHEAD + 1);
        match memchr::memrchr(b'\n', &lines[at..reach]) {
            Some(newline) => at += newline + 1,
            None => break,
        }
    }
    at
}

/// How many bytes of the beginning of a line are what they seem, wherever the rest of it was cut off.
#[cfg(feature = "pod")]
fn sure(line: &[u8]) -> usize {
    let most = line.len().saturating_sub(CUT);
    line[..most].iter().rposition(u8::is_ascii_whitespace).map_or(0, |blank| blank + 1)
}

/// Whether a secret that is too long to be decided ends before `byte`.
fn is_break(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b',' | b';' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line in one piece, and its newline by itself.
    fn check(length: usize) {
        let sanitizer = Sanitizer::builtin();
        let line = [&b"a".repeat(length)[..], b"\n"].concat();
        for pieces in [vec![&line[..]], vec![&line[..length], b"\n"]] {
            let mut out = Vec::new();
            let mut scrubber = Scrubber::new(&sanitizer);
            pieces.into_iter().for_each(|piece| scrubber.push(piece, &mut out));
            scrubber.finish(&mut out);
            assert!(out == line, "{length} bytes");
        }
    }

    #[cfg(feature = "pod")]
    #[test]
    fn a_line_that_is_cut_off_loses_its_end() {
        let check = |line: &str, want: &str| {
            let sanitizer = Sanitizer::builtin();
            let mut scrubber = Scrubber::new(&sanitizer);
            let mut out = Vec::new();
            line.as_bytes().chunks(7).for_each(|chunk| scrubber.push(chunk, &mut out));
            scrubber.cut(&mut out);
            scrubber.push(b"\nnext\n", &mut out);
            assert_eq!(String::from_utf8_lossy(&out), format!("{want}\nnext\n"), "{line}");
        };
        check("", "");
        check("glpat-Ab3dEf", "[REDACTED:undecided]");
        let words = "a word and another ".repeat(10);
        let kept = &words[..words[..words.len() - CUT].rfind(' ').expect("a blank") + 1];
        check(&words, &format!("{kept}[REDACTED:undecided]"));
        let run = "r".repeat(3 * CUT);
        check(&format!("before {run}"), "before [REDACTED:undecided]");
        // A value that has begun before goes with it.
        let value = "[REDACTED:password] [REDACTED:undecided]";
        check(&format!("password=\"dead {words}"), &format!("password=\"{value}"));
        check(&format!("{{\"password\": \"dead {words}"), &format!("{{\"password\": \"{value}"));
    }

    #[test]
    fn lines_end_where_a_segment_is_full() {
        for segments in 1..4 {
            for length in 0..3 {
                check(segments * SEGMENT + AHEAD + length - 1);
                check(segments * SEGMENT + AHEAD + CONTEXT + length - 1);
            }
        }
    }
}
