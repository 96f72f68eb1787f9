//! A request with some of its leaves replaced. Bytes outside of these stay, but for the lengths of the messages they are
//! in.

use std::ops::Range;

use super::judge::Judge;
use super::leaves::{Leaves, What};
use super::refused::Refused;
use super::schema::{Kind, Message, STRING_VALUE};
use super::wire::{self, put_varint, varint_len};

/// Bytes of the request, and what stands in their place.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    /// Of the new texts.
    pub(super) text: Range<usize>,
}

/// Writes `body` with edits, which are in order and do not overlap.
pub(super) fn splice(body: &[u8], edits: &[Edit], texts: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + texts.len());
    let mut done = 0;
    for edit in edits {
        out.extend_from_slice(&body[done..edit.range.start]);
        out.extend_from_slice(&texts[edit.text.clone()]);
        done = edit.range.end;
    }
    out.extend_from_slice(&body[done..]);
    out
}

/// A request of the wire with what was judged.
pub(super) fn protobuf(
    body: &[u8],
    root: &'static Message,
    leaves: &Leaves,
    judge: &Judge,
) -> Result<Vec<u8>, Refused> {
    let (mut edits, mut texts) = (Vec::with_capacity(judge.verdicts.len()), Vec::new());
    for verdict in &judge.verdicts {
        let leaf = &leaves.list[verdict.leaf];
        let from = texts.len();
        if let Some(text) = verdict.text.clone() {
            if let What::Number(_) = leaf.what {
                texts.push(STRING_VALUE);
            }
            put_varint(text.len() as u64, &mut texts);
            texts.extend_from_slice(judge.text(text));
        }
        edits.push(Edit { range: leaf.range(), text: from..texts.len() });
    }
    edits.sort_unstable_by_key(|edit| edit.range.start);
    lengths(body, root, &mut edits, &mut texts)?;
    edits.sort_unstable_by_key(|edit| edit.range.start);
    Ok(splice(body, &edits, &texts))
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
fn lengths(
    body: &[u8],
    root: &'static Message,
    edits: &mut Vec<Edit>,
    texts: &mut Vec<u8>,
) -> Result<(), Refused> {
    let mut stack: Vec<Frame> = Vec::new();
    let mut frame = Frame { message: root, head: 0..0, start: 0, end: body.len(), more: 0, less: 0 };
    let count = edits.len();
    let (mut next, mut at) = (0, 0);
    loop {
        // Nothing more is of interest in this message: go on behind it.
        if edits[..count].get(next).is_none_or(|edit| edit.range.start >= frame.end) {
            let Some(mut outer) = stack.pop() else { return Ok(()) };
            let len = frame.end - frame.start + frame.more - frame.less;
            let from = texts.len();
            put_varint(len as u64, texts);
            outer.more += frame.more + varint_len(len as u64);
            outer.less += frame.less + frame.head.len();
            edits.push(Edit { range: frame.head, text: from..texts.len() });
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
