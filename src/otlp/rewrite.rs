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
/// How many lengths of messages may change with them. Each leaf has a few messages of its own around it, or a hundred.
const MOST_LENGTHS: usize = 4 << 20;

/// Bytes of the request, and what stands in their place.
struct Edit {
    range: Range<usize>,
    /// Of the new texts.
    text: Range<usize>,
}

/// What is to be changed in a request, in the order of its bytes. No two overlap.
#[derive(Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
    texts: Vec<u8>,
}

impl Edits {
    /// Adds one; `write` writes the new text.
    pub(super) fn push(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.texts.len();
        write(&mut self.texts);
        self.list.push(Edit { range, text: from..self.texts.len() });
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
        let mut out = Vec::with_capacity(body.len() + self.texts.len());
        let mut done = 0;
        for edit in &self.list {
            out.extend_from_slice(&body[done..edit.range.start]);
            out.extend_from_slice(&self.texts[edit.text.clone()]);
            done = edit.range.end;
        }
        out.extend_from_slice(&body[done..]);
        out
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
    }
}

/// A request of the wire with its edits.
pub(super) fn protobuf(body: &[u8], root: &'static Message, mut edits: Edits) -> Result<Vec<u8>, Refused> {
    lengths(body, root, &mut edits)?;
    edits.list.sort_unstable_by_key(|edit| edit.range.start);
    Ok(edits.splice(body))
}

/// A message that holds edits.
struct Frame {
    message: &'static Message,
    /// Its length.
    head: Range<usize>,
    start: usize,
    end: usize,
    /// How much longer it gets, and shorter.
    more: usize,
    less: usize,
}

/// Adds the new lengths of all messages that hold edits.
fn lengths(body: &[u8], root: &'static Message, edits: &mut Edits) -> Result<(), Refused> {
    let mut stack: Vec<Frame> = Vec::new();
    let mut frame = Frame { message: root, head: 0..0, start: 0, end: body.len(), more: 0, less: 0 };
    let count = edits.list.len();
    let (mut next, mut at) = (0, 0);
    loop {
        // Nothing more is of interest in this message: go on behind it.
        if edits.list[..count].get(next).is_none_or(|edit| edit.range.start >= frame.end) {
            let Some(mut outer) = stack.pop() else { return Ok(()) };
            let len = frame.end - frame.start + frame.more - frame.less;
            outer.more += frame.more + varint_len(len as u64);
            outer.less += frame.less + frame.head.len();
            edits.push(frame.head, |texts| put_varint(len as u64, texts));
            if edits.list.len() - count > MOST_LENGTHS {
                return Err(Refused::TooMany { most: MOST_LENGTHS });
            }
            at = frame.end;
            frame = outer;
            continue;
        }
        let part = wire::part(body, at, frame.end)?;
        let edit = &edits.list[next];
        if edit.range.start >= part.end {
            at = part.end;
        } else if edit.range.start == at || edit.range.start == part.head {
            frame.more += edit.text.len();
            frame.less += edit.range.len();
            next += 1;
            at = part.end;
        } else if let Kind::Message(message) = frame.message.field(part.number) {
            let inner = Frame {
                message,
                head: part.head..part.start,
                start: part.start,
                end: part.end,
                more: 0,
                less: 0,
            };
            stack.push(std::mem::replace(&mut frame, inner));
            at = part.start;
        } else {
            // An edit lies at the start of a field or of its value.
            at = part.end;
        }
    }
}
