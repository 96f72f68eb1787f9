//! A request with some of its leaves replaced. Bytes outside of these stay, but for the lengths of the messages they are
//! in.

use std::ops::Range;

use super::judge::{Judge, Verdict};
use super::leaves::{Leaves, What};
use super::refused::Refused;
use super::schema::{Kind, Message, STRING_VALUE};
use super::wire::{self, put_varint, varint_len};

/// How many leaves of a request may change.
const MOST_LEAVES: usize = 1 << 20;
/// How many lengths of messages may change with them: two for each leaf, where it may have a hundred of its own.
const MOST_LENGTHS: usize = 2 << 20;

/// Bytes of the request, and what stands in their place.
struct Edit {
    range: Range<usize>,
    /// Of the new texts.
    text: Range<usize>,
}

/// An edit that changes a key.
struct NewKey {
    edit: usize,
    /// The key, in the new texts; on the wire its length is in front.
    text: Range<usize>,
}

/// What is to be changed in a request, in the order of its bytes. No two overlap.
#[derive(Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
    texts: Vec<u8>,
    keys: Vec<NewKey>,
}

impl Edits {
    /// Adds one; `write` writes the new text.
    pub(super) fn push(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.texts.len();
        write(&mut self.texts);
        self.list.push(Edit { range, text: from..self.texts.len() });
    }

    /// Notes that the last one is of a key, which takes so many of its last bytes; all of them: `None`.
    pub(super) fn is_key(&mut self, len: Option<usize>) {
        let Some(last) = self.list.last() else { return };
        let start = len.map_or(last.text.start, |len| last.text.end - len);
        self.keys.push(NewKey { edit: self.list.len() - 1, text: start..last.text.end });
    }

    /// Whether keys change.
    pub(super) fn have_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The new key in place of the one at `at`.
    pub(super) fn key_at(&self, at: usize) -> Option<usize> {
        self.keys.binary_search_by_key(&at, |key| self.list[key.edit].range.start).ok()
    }

    /// Whether a key changes in this range.
    pub(super) fn has_key_in(&self, range: &Range<usize>) -> bool {
        let first = self.keys.partition_point(|key| self.list[key.edit].range.start < range.start);
        self.keys.get(first).is_some_and(|key| self.list[key.edit].range.start < range.end)
    }

    /// All new keys, as they are written.
    pub(super) fn new_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &self.texts[key.text.clone()])
    }

    /// A new key, as it is written.
    pub(super) fn key(&self, key: usize) -> &[u8] {
        &self.texts[self.keys[key].text.clone()]
    }

    /// Gives a new key an ending.
    pub(super) fn end_key(&mut self, key: usize, ending: &[u8]) {
        let NewKey { edit, text } = &mut self.keys[key];
        let edit = &mut self.list[*edit];
        let has_length = edit.text.start < text.start;
        let from = self.texts.len();
        if has_length {
            put_varint((text.len() + ending.len()) as u64, &mut self.texts);
        }
        let start = self.texts.len();
        self.texts.extend_from_within(text.clone());
        self.texts.extend_from_slice(ending);
        *text = start..self.texts.len();
        edit.text = from..self.texts.len();
    }

    /// Refuses more than there is room for.
    pub(super) fn check(&self) -> Result<(), Refused> {
        if self.list.len() > MOST_LEAVES { Err(Refused::TooMany { most: MOST_LEAVES }) } else { Ok(()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where the last one ends.
    pub(super) fn end(&self) -> Option<usize> {
        self.list.last().map(|edit| edit.range.end)
    }

    /// Writes `body` with the edits.
    pub(super) fn splice(&self, body: &[u8]) -> Vec<u8> {
        self.splice_with(body, &[], body.len() + self.texts.len())
    }

    /// Writes `body` with the edits and other lengths, which are in order as well. `len`: how long it gets at most.
    fn splice_with(&self, body: &[u8], lengths: &[Length], len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len);
        let (mut edits, mut lengths) = (self.list.iter().peekable(), lengths.iter().peekable());
        let mut done = 0;
        loop {
            let start = edits.peek().map_or(body.len(), |edit| edit.range.start);
            if let Some(length) = lengths.next_if(|length| length.at < start) {
                out.extend_from_slice(&body[done..length.at]);
                put_varint(length.new, &mut out);
                done = length.at + usize::from(length.old_len);
            } else if let Some(edit) = edits.next() {
                out.extend_from_slice(&body[done..edit.range.start]);
                out.extend_from_slice(&self.texts[edit.text.clone()]);
                done = edit.range.end;
            } else {
                out.extend_from_slice(&body[done..]);
                return out;
            }
        }
    }
}

/// Notes what is to be changed in a request of the wire by what was judged of a portion.
pub(super) fn note(leaves: &Leaves, judge: &Judge, edits: &mut Edits) {
    for Verdict { leaf, text } in &judge.verdicts {
        let leaf = &leaves.list[*leaf];
        edits.push(leaf.range(), |texts| {
            let Some(text) = text.clone() else { return };
            if let What::Number(_) = leaf.what {
                texts.push(STRING_VALUE);
            }
            put_varint(text.len() as u64, texts);
            texts.extend_from_slice(judge.text(text));
        });
        if let (What::Key, Some(text)) = (leaf.what, text) {
            edits.is_key(Some(text.len()));
        }
    }
}

/// A request of the wire with its edits.
pub(super) fn protobuf(body: &[u8], root: &'static Message, edits: &Edits) -> Result<Vec<u8>, Refused> {
    let (lengths, len) = lengths(body, root, edits)?;
    Ok(edits.splice_with(body, &lengths, len))
}

/// The length of a message that holds edits.
struct Length {
    at: usize,
    new: u64,
    /// How many bytes it takes now.
    old_len: u8,
}

/// A message that holds edits.
struct Frame {
    message: &'static Message,
    /// Which of the lengths is its own; the request has none.
    length: usize,
    start: usize,
    end: usize,
    /// How much longer it gets, and shorter.
    more: usize,
    less: usize,
}

/// The new lengths of all messages that hold edits, in the order of their places, and that of the request.
fn lengths(
    body: &[u8],
    root: &'static Message,
    Edits { list: edits, .. }: &Edits,
) -> Result<(Vec<Length>, usize), Refused> {
    let mut lengths: Vec<Length> = Vec::new();
    let mut stack: Vec<Frame> = Vec::new();
    let mut frame = Frame { message: root, length: usize::MAX, start: 0, end: body.len(), more: 0, less: 0 };
    let (mut next, mut at) = (0, 0);
    loop {
        // Nothing more is of interest in this message: go on behind it.
        if edits.get(next).is_none_or(|edit| edit.range.start >= frame.end) {
            let len = frame.end - frame.start + frame.more - frame.less;
            let Some(mut outer) = stack.pop() else { return Ok((lengths, len)) };
            if let Some(length) = lengths.get_mut(frame.length) {
                length.new = len as u64;
                outer.more += frame.more + varint_len(length.new);
                outer.less += frame.less + usize::from(length.old_len);
            }
            at = frame.end;
            frame = outer;
            continue;
        }
        let part = wire::part(body, at, frame.end)?;
        let edit = &edits[next];
        if edit.range.start >= part.end {
            at = part.end;
        } else if edit.range.start == at || edit.range.start == part.head {
            frame.more += edit.text.len();
            frame.less += edit.range.len();
            next += 1;
            at = part.end;
        } else if let Kind::Message(message) = frame.message.field(part.number) {
            if lengths.len() == MOST_LENGTHS {
                return Err(Refused::TooMany { most: MOST_LENGTHS });
            }
            let inner =
                Frame { message, length: lengths.len(), start: part.start, end: part.end, more: 0, less: 0 };
            lengths.push(Length { at: part.head, new: 0, old_len: (part.start - part.head) as u8 });
            stack.push(std::mem::replace(&mut frame, inner));
            at = part.start;
        } else {
            // An edit lies at the start of a field or of its value.
            at = part.end;
        }
    }
}
