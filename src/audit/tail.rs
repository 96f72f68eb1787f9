//! The end of a trail's file, read to go on behind it: what a crash has left there, and whether the rest is ours.

use super::chain::{Hash, Key, Sealed};
use super::entry::{Entry, Id, Kind, MOST_LINE};

/// What all lines begin with.
const START: &[u8] = b"{\"seq\":";

/// The end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Bytes behind the last whole line: one that was not written whole, or zeros where the file system had made room for
    /// it and no more.
    pub(super) torn: u64,
    /// The last whole line, if there is one.
    pub(super) last: Option<Last>,
}

/// The last entry of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) kind: Kind,
    /// Entries at the end that no HMAC covers.
    pub(super) unkeyed: u64,
    /// Whether one covers the entries before those.
    is_covered: bool,
}

/// Why nothing is written behind an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// More of the file is needed to tell.
    Short,
    /// It is no trail.
    NoTrail,
    /// Its last entries do not follow from each other.
    Changed,
    /// It is under another key of the same name.
    OtherKey,
}

/// The first entry of a file, which says which trail it is of and which files were kept before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    pub(super) seq: u64,
    pub(super) trail: Id,
    pub(super) oldest: u64,
}

/// Reads the start of a file. `None`: it is not how a file of a trail under this key begins.
pub(super) fn first(start: &[u8], key: &Key) -> Option<First> {
    let line = &start[..memchr::memchr(b'\n', start)?];
    let Entry { seq, kind, key: id, .. } = Entry::read(line).ok()?;
    let (trail, oldest, before) = match kind {
        Kind::Start { trail, .. } if seq == 0 => (trail, 0, Hash::default()),
        Kind::Continue { trail, head, oldest, lost: _ } if seq > 0 && oldest <= seq => (trail, oldest, head),
        _ => return None,
    };
    let sealed = Sealed::of(line)?;
    let is_ours = sealed.follows(&before) && (id.as_deref() != Some(key.id()) || sealed.is_by(key, &before));
    is_ours.then_some(First { seq, trail, oldest })
}

/// Reads the end of a file; `is_all`: there is nothing before it.
pub(super) fn read(end: &[u8], is_all: bool, key: &Key) -> Result<Tail, Unfit> {
    let whole = memchr::memrchr(b'\n', end).map_or(0, |at| at + 1);
    let torn = &end[whole..];
    let text = &torn[..torn.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1)];
    // Behind a line of ours whatever else is there was to be one; alone it must read as one.
    let start = text.len().min(START.len());
    let is_alone = whole == 0 && is_all;
    if text.len() > MOST_LINE || is_alone && (text[..start] != START[..start] || torn.len() > MOST_LINE) {
        return Err(Unfit::NoTrail);
    }
    let torn = torn.len() as u64;
    let mut lines = &end[..whole];
    if !is_all {
        // The first may not be whole.
        let newline = memchr::memchr(b'\n', lines).ok_or(Unfit::Short)?;
        lines = &lines[newline + 1..];
    }
    if lines.is_empty() {
        return if is_all { Ok(Tail { torn, last: None }) } else { Err(Unfit::Short) };
    }
    let mut lines = lines.split_inclusive(|&b| b == b'\n').map(|line| &line[..line.len() - 1]).peekable();
    // From the first line whose line before is known.
    let before = match lines.peek().map(|line| Entry::read(line)) {
        Some(Ok(Entry { kind: Kind::Start { .. }, .. })) if is_all => Hash::default(),
        Some(Ok(Entry { kind: Kind::Continue { head, .. }, .. })) if is_all => head,
        Some(Ok(_)) if !is_all => match lines.next().and_then(Sealed::of) {
            Some(sealed) => sealed.hash,
            None => return Err(Unfit::NoTrail),
        },
        _ => return Err(Unfit::NoTrail),
    };
    let last = follow(lines, before, key)?;
    // A file begins with a line that has an HMAC, so there is one further up.
    let last = last.filter(|last| last.is_covered).ok_or(Unfit::Short)?;
    Ok(Tail { torn, last: Some(last) })
}

/// Follows the chain to the last line.
fn follow<'l>(
    lines: impl Iterator<Item = &'l [u8]>,
    mut before: Hash,
    key: &Key,
) -> Result<Option<Last>, Unfit> {
    let mut last: Option<Last> = None;
    for line in lines {
        let entry = Entry::read(line).map_err(|_| Unfit::NoTrail)?;
        let sealed = Sealed::of(line).ok_or(Unfit::NoTrail)?;
        let is_next = last.as_ref().is_none_or(|last| last.seq + 1 == entry.seq);
        if !is_next || !sealed.follows(&before) {
            return Err(Unfit::Changed);
        }
        // Under a key of another name it was written before keys changed: whoever verifies it has both.
        if entry.key.is_some_and(|id| id == key.id()) && !sealed.is_by(key, &before) {
            return Err(Unfit::OtherKey);
        }
        let (unkeyed, is_covered) = match last {
            _ if entry.kind.is_keyed() => (0, true),
            Some(last) => (last.unkeyed + 1, last.is_covered),
            None => (1, false),
        };
        before = sealed.hash;
        last = Some(Last { seq: entry.seq, hash: sealed.hash, kind: entry.kind, unkeyed, is_covered });
    }
    Ok(last)
}
