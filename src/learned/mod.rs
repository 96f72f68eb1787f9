//! Learned secrets: exact values, found wherever they stand, however they are spelled.
//!
//! A value is learned line by line and found as it is, percent-encoded, behind backslashes, and within base64 at any of its
//! three shifts. Nothing here knows where values come from (`cmd` reads them), nor what becomes of them.
//!
//! Invariants:
//! - What holds a value or parts of one is wiped when dropped, and no `Debug` shows it. Who is told of a value is told its
//!   name.
//! - What is found depends on the text alone, not on where the caller began or ended.
//!
//! Text without a candidate is passed over once for values as they are, by groups of four bytes at as large a step as the
//! shortest value allows, and once for `\` and `%`. Only around those that can spell a byte of a value, a `Skeleton` of the
//! text is made and looked at for values that are spelled otherwise.

mod base64;
mod filter;
mod guard;
mod spelling;

use std::ops::Range;

use zeroize::Zeroizing;

use filter::{Filter, GRAM};
use spelling::{Room, Skeleton};

pub use guard::{Refused, Why};

/// The least bytes of a value that is learned, when nothing is said.
pub const LEAST: usize = 8;
/// The least that may be said. In base64, one byte less makes a value hard to tell from others.
pub const LEAST_LEAST: usize = 6;
/// The most bytes of a value.
pub const MOST: usize = 64 << 10;
/// So many bytes of a value tell it from all others; beyond, it is followed as far as it goes.
const TELLING: usize = 1 << 10;
/// Groups that begin at so many of a value's first bytes are looked for in skeletons.
const REACH: usize = 40;
/// So many bytes more than before a group in a value may stand before it in a text.
const SLACK: usize = 4;

/// No escape has more bytes behind its backslashes or percent sign.
const LONG_ESCAPE: usize = 16;

/// A value and what it is called: a variable or a file, never the value itself.
#[derive(Clone)]
pub struct Named {
    /// What to call it.
    pub name: String,
    /// The value, or several, a line each.
    pub value: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where a learned value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Its first byte.
    pub start: usize,
    /// One past its last.
    pub end: usize,
    /// Which value it is.
    pub value: u32,
}

/// All values that were learned, ready to be looked for.
#[derive(Debug)]
pub struct Learned {
    values: Vec<Secret>,
    needles: Vec<Needle>,
    /// Groups of the needles themselves.
    plain: Filter,
    /// Groups of their skeletons.
    folded: Filter,
    /// The most bytes of a needle.
    longest: usize,
    /// Which bytes behind backslashes may spell one of a needle.
    escapes: [bool; 256],
    /// Which bytes may be of one when they are decoded, or of an escape within it.
    coded: [bool; 256],
    refused: Vec<Refused>,
}

/// Bytes that are wiped when dropped.
struct Secret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What is looked for.
#[derive(Debug)]
struct Needle {
    bytes: Secret,
    value: u32,
    /// So many of its bytes have to be there.
    decides: usize,
    /// Whether letters of base64 before and behind it hold bits of the value.
    before: bool,
    behind: bool,
    /// It is a spelling that the skeleton of another needle has, too.
    is_plain_only: bool,
    /// Its own bytes read as an escape together with what stands beside it: no group of it need be in a skeleton.
    is_escape_like: bool,
}

/// Memory between calls.
#[derive(Debug, Default)]
pub struct Work {
    found: Vec<Match>,
    skeleton: Skeleton,
    room: Room,
    /// Where each needle was tried last.
    tried: Vec<Range<usize>>,
}

impl Work {
    /// What was found last.
    pub fn found(&self) -> &[Match] {
        &self.found
    }

    /// Takes what was found last.
    pub(crate) fn take(&mut self) -> Vec<Match> {
        std::mem::take(&mut self.found)
    }

    /// Gives the list back, for the next time.
    pub(crate) fn put_back(&mut self, found: Vec<Match>) {
        self.found = found;
    }

    /// Gives back memory that only unusual text has needed.
    pub fn shrink(&mut self, most: usize) {
        self.found.clear();
        self.found.shrink_to(most);
        self.skeleton.shrink(most);
    }
}

impl Learned {
    /// Learns values of at least `least` bytes ([`LEAST_LEAST`] or more); those that would be found all over are refused.
    pub fn new(named: impl IntoIterator<Item = Named>, least: usize) -> Self {
        let least = least.max(LEAST_LEAST);
        let mut values: Vec<Secret> = Vec::new();
        let mut refused = Vec::new();
        for Named { name, value } in named {
            for line in guard::lines(&name, &value, least, &mut refused) {
                if values.iter().all(|known| *known.0 != line) {
                    values.push(Secret(copy(line)));
                }
            }
        }
        let needles: Vec<Needle> = (0..).zip(&values).flat_map(|(i, value)| needles(i, &value.0)).collect();
        let numbered = || (0..).zip(&needles);
        let shortest = needles.iter().map(|needle| needle.decides).min().unwrap_or(GRAM);
        let step = shortest - GRAM + 1;
        let plain =
            Filter::new(step, step, numbered().map(|(i, needle)| (i, &needle.bytes.0[..needle.decides])));
        let (mut escapes, mut coded) = ([false; 256], [false; 256]);
        // What encodes one byte may be encoded itself, each of its own: all of that belongs together.
        let of_escapes = b"%\\+uUx{}0123456789abcdefABCDEF";
        of_escapes.iter().for_each(|&byte| coded[usize::from(byte)] = true);
        needles
            .iter()
            .flat_map(|needle| needle.bytes.0.iter())
            .for_each(|&byte| coded[usize::from(byte)] = true);
        needles.iter().flat_map(|needle| needle.bytes.0.iter()).for_each(|&byte| {
            match spelling::letter_of(byte) {
                Some(letter) => escapes[usize::from(letter)] = true,
                None if byte == b'\\' => escapes = [true; 256],
                None => escapes[usize::from(byte)] |= spelling::is_mark(byte),
            }
        });
        let folded: Vec<(u32, Zeroizing<Vec<u8>>)> = numbered()
            .filter(|(_, needle)| !needle.is_plain_only)
            .map(|(i, needle)| (i, guard::folded(&needle.bytes.0[..needle.decides])))
            .collect();
        let folded = Filter::new(1, REACH, folded.iter().map(|(i, bytes)| (*i, &bytes[..])));
        let longest = needles.iter().map(|needle| needle.bytes.0.len()).max().unwrap_or(0);
        Self { values, needles, plain, folded, longest, escapes, coded, refused }
    }

    /// How many values were learned.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// What was not learned, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// A value.
    pub(crate) fn value(&self, index: u32) -> &[u8] {
        self.values.get(index as usize).map_or(&[], |value| &value.0)
    }

    /// Whether a value could be a number of a document: all of it digits and what else numbers have.
    pub fn may_be_numbers(&self) -> bool {
        let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
        self.values.iter().any(|value| value.0.iter().all(is_number))
    }

    /// Finds all values in `text`, in the order of their starts; they may overlap. None goes over the end of a line.
    pub fn scan<'w>(&self, text: &[u8], work: &'w mut Work) -> &'w [Match] {
        work.found.clear();
        if self.values.is_empty() {
            return &work.found;
        }
        let found = &mut work.found;
        self.plain.each(text, |at, needle, offset| {
            let Some(rest) = at.checked_sub(offset).map(|start| &text[start..]) else { return };
            let needle = &self.needles[needle as usize];
            let same = rest.iter().zip(needle.bytes.0.iter()).take_while(|(a, b)| a == b).count();
            if same >= needle.decides {
                found.push(needle.found(text, at - offset..at - offset + same, same));
            }
        });
        self.spelled(text, work);
        work.found.sort_unstable();
        work.found.dedup();
        &work.found
    }

    /// Looks around each escape that may spell a byte of a value.
    fn spelled(&self, text: &[u8], work: &mut Work) {
        // The first such escape and the end of the last one, and up to where another belongs to them.
        let mut region: Option<Range<usize>> = None;
        let mut from = 0;
        while let Some(next) = memchr::memchr2(b'\\', b'%', &text[from..]) {
            let at = from + next;
            let (end, counts) = self.escape(text, at);
            from = end;
            if !counts {
                continue;
            }
            match &mut region {
                Some(region) if at <= region.end + LONG_ESCAPE + 2 * self.longest => region.end = end,
                _ => {
                    if let Some(region) = region.replace(at..end) {
                        self.region(text, region, work);
                    }
                }
            }
        }
        if let Some(region) = region {
            self.region(text, region, work);
        }
    }

    /// Where the escape at `at` ends, or the run of backslashes it begins with, and whether it may spell a byte of a value.
    #[inline]
    fn escape(&self, text: &[u8], at: usize) -> (usize, bool) {
        if text[at] == b'%' {
            let counts = spelling::percent(text, at).is_some_and(|byte| self.coded[usize::from(byte)]);
            return (at + 1, counts);
        }
        let end = at + text[at..].iter().take_while(|&&byte| byte == b'\\').count();
        let Some(&byte) = text.get(end) else { return (end, self.escapes[usize::from(b'\\')]) };
        let counts = self.escapes[usize::from(byte)]
            || self.escapes[usize::from(b'\\')]
            || matches!(byte, b'u' | b'x' | b'U') && spelling::is_coded(text, end);
        (end, counts)
    }

    /// Looks around escapes, which stand in `escapes`, as far as a value goes that holds one.
    fn region(&self, text: &[u8], escapes: Range<usize>, work: &mut Work) {
        let Work { found, skeleton, room, tried } = work;
        let floor = escapes.start.saturating_sub(LONG_ESCAPE + self.longest);
        let start = memchr::memrchr(b'\n', &text[floor..escapes.start]).map_or(floor, |i| floor + i + 1);
        // Behind the last one, up to what is a part of it.
        let ceiling = text.len().min(escapes.end + LONG_ESCAPE + self.longest);
        let end = memchr::memchr(b'\n', &text[escapes.end..ceiling]).map_or(ceiling, |i| escapes.end + i);
        skeleton.make(&text[start..end]);
        tried.clear();
        tried.resize(self.needles.len(), 0..0);
        self.folded.each(skeleton.text(), |at, index, offset| {
            let needle = &self.needles[index as usize];
            let tried = &mut tried[index as usize];
            let first = start + skeleton.origin(at.saturating_sub(offset + SLACK));
            let last = start + skeleton.origin(at);
            for place in (first..=last).filter(|place| !tried.contains(place)) {
                let end = spelling::end_of(text, place, &needle.bytes.0, needle.decides, room);
                found.extend(end.map(|end| needle.found(text, place..end, 0)));
            }
            let is_beside = first <= tried.end && tried.start <= last + 1;
            *tried =
                if is_beside { tried.start.min(first)..tried.end.max(last + 1) } else { first..last + 1 };
        });
        for needle in self.needles.iter().filter(|needle| needle.is_escape_like) {
            for place in start..end {
                let end = spelling::end_of(text, place, &needle.bytes.0, needle.decides, room);
                found.extend(end.map(|end| needle.found(text, place..end, 0)));
            }
        }
    }
}

impl Needle {
    /// What was found, with the letters at its edges that hold bits of the value. `read`: how much of the needle is there, if
    /// that is known.
    fn found(&self, text: &[u8], range: Range<usize>, read: usize) -> Match {
        let is_cut = read > 0 && read < self.bytes.0.len();
        let start = if self.before { base64::letter_start(text, range.start) } else { range.start };
        let end = if self.behind && !is_cut { base64::letter_end(text, range.end) } else { range.end };
        Match { start, end, value: self.value }
    }
}

/// What a value is looked for as.
fn needles(index: u32, value: &[u8]) -> Vec<Needle> {
    let needle = |bytes: Zeroizing<Vec<u8>>, before, behind, is_plain_only: bool| {
        let decides = bytes.len().min(TELLING);
        let is_escape_like = !is_plain_only && bytes.iter().any(|byte| matches!(byte, b'%' | b'\\'));
        Needle { bytes: Secret(bytes), value: index, decides, before, behind, is_plain_only, is_escape_like }
    };
    let mut needles = vec![needle(copy(value), false, false, false)];
    if value.contains(&b' ') {
        let mut form = copy(value);
        form.iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'+');
        needles.push(needle(form, false, false, true));
    }
    for front in 0..3 {
        let letters = base64::letters(value, front);
        needles.extend(letters.map(|letters| needle(letters.text, letters.before, letters.behind, false)));
    }
    needles
}

/// A copy in memory of just its size: a list that grows would leave parts behind.
fn copy(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut copy = Zeroizing::new(Vec::with_capacity(bytes.len()));
    copy.extend_from_slice(bytes);
    copy
}

#[cfg(test)]
mod tests;
