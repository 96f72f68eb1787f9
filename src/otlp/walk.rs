//! From the bytes of a request to its leaves: a walk over the wire format by the schema.
//!
//! Every field of every message is visited, every occurrence of it, but for messages that were found clean before. The
//! walk keeps a stack of its own, of bounded depth.

use super::leaves::{Form, Leaves, NONE, Unit, What};
use super::portion::Portions;
use super::refused::{Malformed, Refused};
use super::schema::{Kind, Message, NUMBERS, Role, STRING_VALUE};
use super::seen::{As, Hash, Seen};
use super::shapes::Shape;
use super::wire::{self, LEN, Part, Wire, malformed};

/// How deep messages may be nested: as deep as the usual parsers of protobuf go.
pub(super) const MOST_DEPTH: usize = 100;

/// A message that is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    message: &'static Message,
    end: usize,
    pair: u32,
    unit: u32,
    /// The list that it is, or that its pair is in.
    list: u32,
    /// It is noted as part of a value that holds others.
    is_shape: bool,
}

/// Room for the messages around the one that is being read.
#[derive(Debug, Default)]
pub(super) struct Stack(Vec<Frame>);

/// Notes the leaves of a request that is a message of this kind. `strict`: every unknown field is one.
pub(super) fn walk(
    body: &[u8],
    root: &'static Message,
    strict: bool,
    room: &mut Stack,
    seen: &mut Seen,
    leaves: &mut Leaves,
    portions: &mut Portions<'_>,
) -> Result<(), Refused> {
    let mut stack = std::mem::take(&mut room.0);
    stack.clear();
    let mut frame =
        Frame { message: root, end: body.len(), pair: NONE, unit: NONE, list: NONE, is_shape: false };
    let mut at = 0;
    loop {
        while at == frame.end {
            let Some(outer) = stack.pop() else {
                room.0 = stack;
                return Ok(());
            };
            if frame.is_shape {
                leaves.shapes.close();
            }
            frame = outer;
        }
        let rest = &body[at..frame.end];
        if let Some(len) = frame.message.skip(rest).or_else(|| seen_attribute(rest, &frame, seen)) {
            at += len;
            continue;
        }
        // Pairs and lists are in units, or in what is looked at as a whole.
        let is_within = frame.unit != NONE || leaves.shapes.is_open();
        portions.check(is_within, leaves, seen)?;
        let part = wire::part(body, at, frame.end)?;
        let kind = frame.message.field(part.number);
        if let Kind::Message(message) = kind
            && part.wire == Wire::Len
        {
            let is_text = message.role == Role::Value && stack.len() < MOST_DEPTH;
            if is_text && let Some(text) = only_string(body, &part) {
                push_text(body, What::Text, &text, &frame, seen, leaves);
            } else if let Some(inner) = enter(body, message, &frame, part.start..part.end, seen, leaves) {
                if stack.len() == MOST_DEPTH {
                    return Err(Refused::TooDeep { most: MOST_DEPTH });
                }
                stack.push(frame);
                frame = inner;
                at = part.start;
                continue;
            }
            at = part.end;
            continue;
        }
        let is_known = if part.wire == Wire::Len {
            long_field(body, kind, &part, at, &frame, seen, leaves)?
        } else {
            number_field(kind, &part, at, &frame, strict, leaves)
        };
        if !is_known {
            return Err(malformed(at, Malformed::WireType));
        }
        at = part.end;
    }
}

/// How long the field is that `rest` begins with, if it is an attribute that was seen before and is not long.
#[inline(always)]
fn seen_attribute(rest: &[u8], frame: &Frame, seen: &mut Seen) -> Option<usize> {
    let (&tag @ ..0x80, attribute) = rest.split_first()? else { return None };
    match frame.message.field(u32::from(tag >> 3)) {
        Kind::Message(message) if message.role == Role::Pair && tag & 7 == LEN && frame.list == NONE => {
            let (&len @ ..0x80, rest) = attribute.split_first()? else { return None };
            let len = usize::from(len);
            seen.has_attribute(rest.get(..len)?).then_some(2 + len)
        }
        _ => None,
    }
}

/// The string that a value is, if it is all of it.
#[inline]
fn only_string(body: &[u8], value: &Part) -> Option<Part> {
    if value.start == value.end || body[value.start] != STRING_VALUE {
        return None;
    }
    wire::part(body, value.start, value.end).ok().filter(|part| part.end == value.end)
}

/// A string, or bytes.
#[inline]
fn push_text(body: &[u8], what: What, part: &Part, frame: &Frame, seen: &Seen, leaves: &mut Leaves) {
    let &Part { head, start, end, .. } = part;
    leaves.push_text(seen, body, (what, Leaves::place(start..end)), head..end, frame.pair, frame.unit);
}

/// A field with a length that is no message; whether it may have one.
#[inline(always)]
fn long_field(
    body: &[u8],
    kind: Kind,
    part: &Part,
    at: usize,
    frame: &Frame,
    seen: &Seen,
    leaves: &mut Leaves,
) -> Result<bool, Refused> {
    let &Part { head, start, end, .. } = part;
    let text = Leaves::place(start..end);
    match kind {
        Kind::Text => push_text(body, What::Text, part, frame, seen, leaves),
        Kind::Id(len) => {
            // What is no id is no reason to let text through.
            if end - start != usize::from(len) {
                leaves.push_text(seen, body, (What::Bytes, text), head..end, NONE, frame.unit);
            }
        }
        Kind::Key => {
            leaves.add_key(frame.pair, text, start)?;
            if start < end {
                leaves.push(What::Key, text, head..end, frame.pair, frame.unit);
            }
        }
        Kind::Bytes => push_text(body, What::Bytes, part, frame, seen, leaves),
        Kind::Varints if wire::are_varints(&body[start..end]) => {}
        Kind::Fixed64s if (end - start).is_multiple_of(8) => {}
        Kind::Varints | Kind::Fixed64s => return Err(malformed(start, Malformed::Packed)),
        Kind::Unknown => leaves.push(What::Unknown, text, at..end, frame.pair, frame.unit),
        Kind::Message(_) | Kind::Varint | Kind::Fixed32 | Kind::Fixed64 => return Ok(false),
    }
    Ok(true)
}

/// A field without a length; whether it is written as it must be.
#[inline(always)]
fn number_field(
    kind: Kind,
    part: &Part,
    at: usize,
    frame: &Frame,
    strict: bool,
    leaves: &mut Leaves,
) -> bool {
    let &Part { wire, start, end, .. } = part;
    let text = Leaves::place(start..end);
    match kind {
        Kind::Varint | Kind::Fixed64 => {
            if frame.message.role == Role::Value && frame.pair != NONE {
                let form = match NUMBERS.iter().position(|&number| number == part.number) {
                    Some(0) => Some(Form::Bool),
                    Some(1) => Some(Form::Int),
                    Some(2) => Some(Form::Double),
                    _ => None,
                };
                if let Some(form) = form {
                    leaves.push(What::Number(form), text, at..end, frame.pair, frame.unit);
                }
            }
            wire == if let Kind::Varint = kind { Wire::Varint } else { Wire::Fixed64 }
        }
        Kind::Fixed32 => wire == Wire::Fixed32,
        Kind::Varints => wire == Wire::Varint,
        Kind::Fixed64s => wire == Wire::Fixed64,
        Kind::Unknown => {
            if strict {
                leaves.push(What::Unknown, text, at..end, frame.pair, frame.unit);
            }
            true
        }
        Kind::Text | Kind::Key | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => false,
    }
}

/// The frame of a message that has to be read.
#[inline]
fn enter(
    body: &[u8],
    message: &'static Message,
    outer: &Frame,
    range: std::ops::Range<usize>,
    seen: &mut Seen,
    leaves: &mut Leaves,
) -> Option<Frame> {
    let Frame { pair, unit, .. } = *outer;
    let shape = Shape::of(message.role, outer.list != NONE);
    let is_shape = shape.is_some();
    let mut frame = Frame { message, end: range.end, pair, unit, list: NONE, is_shape };
    let open = |leaves: &mut Leaves| shape.into_iter().for_each(|shape| leaves.shapes.open(shape, pair));
    let kind = match message.role {
        Role::Plain | Role::Value | Role::Array => {
            open(leaves);
            return Some(frame);
        }
        // Its neighbours may name it.
        Role::Pair if outer.list != NONE => {
            open(leaves);
            frame.pair = leaves.new_pair(outer.list);
            return Some(frame);
        }
        // What is around it counts: it is not by itself what it was elsewhere.
        Role::List if pair != NONE || leaves.shapes.is_open() => {
            open(leaves);
            frame.list = leaves.new_list();
            return Some(frame);
        }
        Role::Pair => As::Pair,
        Role::Resource => As::Resource,
        Role::Scope => As::Scope,
        Role::List => As::List,
    };
    let bytes = &body[range.clone()];
    let hash = Hash::of(kind, bytes);
    let is_seen = match kind {
        // Of shorter ones that is known already.
        As::Pair => bytes.len() >= 0x80 && seen.has_attribute(bytes),
        _ => seen.has(kind, hash, bytes),
    };
    if is_seen {
        return None;
    }
    leaves.units.push(Unit {
        start: range.start as u32,
        end: range.end as u32,
        kind,
        hash,
        parent: outer.unit,
        is_changed: false,
    });
    open(leaves);
    frame.unit = leaves.units.len() as u32 - 1;
    match message.role {
        Role::Pair => frame.pair = leaves.new_pair(NONE),
        Role::List => frame.list = leaves.new_list(),
        _ => frame.pair = NONE,
    }
    Some(frame)
}
