//! Requests in OTLP's JSON: the same walk over the same messages, by the names of their fields.
//!
//! Names may be written in lower camel case or as in the protocol's files, ids are in hexadecimal, bytes in base64, and
//! integers may be strings. Strings without escapes are looked at where they stand.

mod keys;
mod number;
pub(super) mod text;
mod token;
mod transcode;

use std::ops::Range;

use super::judge::{Judge, Verdict};
use super::leaves::{Form, Leaves, Member, NONE, Place, What};
use super::portion::Portions;
use super::refused::{Malformed, Refused};
use super::rewrite::Edits;
use super::schema::{Kind, Message, NUMBERS, Role};
use super::seen::Seen;
use super::shapes::Shape;
use super::wire::malformed;
pub(super) use keys::{keep_apart, read};
use token::{Bare, MOST_DEPTH, blanks, no_json};
pub(super) use transcode::to_wire;

/// An object or array that is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    holds: Holds,
    pair: u32,
    list: u32,
    /// Nothing of it has been read.
    is_new: bool,
    /// It is noted as part of a value that holds others.
    is_shape: bool,
}

#[derive(Clone, Copy, Debug)]
enum Holds {
    /// The fields of a message.
    Fields(&'static Message),
    /// Values of a repeated field.
    Values(Kind),
}

/// A member of an object, or an element of an array.
#[derive(Clone, Copy, Debug)]
struct Slot {
    kind: Kind,
    pair: u32,
    list: u32,
    /// It is a number that an `AnyValue` may have; where its name starts.
    name: Option<usize>,
}

/// Notes the leaves of a request that is a message of this kind.
pub(super) fn walk(
    body: &[u8],
    root: &'static Message,
    seen: &mut Seen,
    leaves: &mut Leaves,
    portions: &mut Portions<'_>,
) -> Result<(), Refused> {
    let mut reader = Reader { body, seen, leaves, stack: Vec::with_capacity(32), plain: Vec::new() };
    let at = blanks(body, 0);
    let slot = Slot { kind: Kind::Message(root), pair: NONE, list: NONE, name: None };
    if body.get(at) != Some(&b'{') {
        return Err(no_json(at));
    }
    let mut at = reader.value(slot, at)?;
    while let Some(frame) = reader.stack.last_mut() {
        let is_new = std::mem::replace(&mut frame.is_new, false);
        let Frame { holds, pair, list, .. } = *frame;
        let is_within = pair != NONE || list != NONE || reader.leaves.shapes.is_open();
        portions.check(is_within, reader.leaves, reader.seen)?;
        let close = if let Holds::Fields(_) = holds { b'}' } else { b']' };
        at = blanks(body, at);
        if body.get(at) == Some(&close) {
            if reader.stack.pop().is_some_and(|frame| frame.is_shape) {
                reader.leaves.shapes.close();
            }
            at += 1;
            continue;
        }
        let comma = if is_new { NONE } else { at as u32 };
        if !is_new {
            if body.get(at) != Some(&b',') {
                return Err(no_json(at));
            }
            at = blanks(body, at + 1);
        }
        at = match holds {
            Holds::Fields(message) => reader.member(message, pair, list, comma, at)?,
            Holds::Values(kind) => reader.value(Slot { kind, pair, list, name: None }, at)?,
        };
    }
    let end = blanks(body, at);
    if end < body.len() { Err(no_json(end)) } else { Ok(()) }
}

struct Reader<'r> {
    body: &'r [u8],
    seen: &'r mut Seen,
    leaves: &'r mut Leaves,
    stack: Vec<Frame>,
    /// A string without its escapes.
    plain: Vec<u8>,
}

impl Reader<'_> {
    /// Reads a member of an object; gives where it ends, or where what it holds begins.
    fn member(
        &mut self,
        message: &'static Message,
        pair: u32,
        list: u32,
        comma: u32,
        at: usize,
    ) -> Result<usize, Refused> {
        let body = self.body;
        let (name, value) = token::name(body, at)?;
        let spelled = &body[name.clone()];
        let (number, kind) = if spelled.contains(&b'\\') {
            self.plain.clear();
            text::unescape(spelled, &mut self.plain, None);
            message.named(&self.plain)
        } else {
            message.named(spelled)
        };
        if let Kind::Unknown = kind {
            return self.unknown(at..token::skip(body, value)?, comma, pair);
        }
        let is_value = message.role == Role::Value && NUMBERS.contains(&number);
        self.value(Slot { kind, pair, list, name: is_value.then_some(name.start) }, value)
    }

    fn unknown(&mut self, range: Range<usize>, comma: u32, pair: u32) -> Result<usize, Refused> {
        let source = &self.body[range.clone()];
        // On one line, whatever it stands on: line ends are no part of any string.
        let text = self.leaves.decode(|out| {
            out.push(b'{');
            out.extend(source.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
            out.push(b'}');
        });
        let behind = blanks(self.body, range.end);
        let next = if self.body.get(behind) == Some(&b',') { behind as u32 + 1 } else { NONE };
        self.leaves.members.push(Member { leaf: self.leaves.list.len() as u32, comma, next });
        self.leaves.push(What::Member, text, range.clone(), pair, NONE);
        Ok(range.end)
    }

    /// Reads a value; gives where it ends, or where what it holds begins.
    fn value(&mut self, slot: Slot, at: usize) -> Result<usize, Refused> {
        match self.body.get(at) {
            Some(b'"') => self.string(slot, at),
            Some(b'{') => {
                let Kind::Message(message) = slot.kind else {
                    return Err(malformed(at, Malformed::JsonKind));
                };
                let (pair, list) = match message.role {
                    Role::Pair => (self.leaves.new_pair(slot.list), NONE),
                    Role::Resource | Role::Scope => (NONE, NONE),
                    Role::List => (slot.pair, self.leaves.new_list()),
                    Role::Plain | Role::Value | Role::Array => (slot.pair, NONE),
                };
                let shape = Shape::of(message.role, slot.list != NONE);
                let is_shape = shape.is_some();
                self.open(Frame { holds: Holds::Fields(message), pair, list, is_new: true, is_shape })?;
                if let Some(shape) = shape {
                    self.leaves.shapes.open(shape, slot.pair);
                }
                Ok(at + 1)
            }
            Some(b'[') => {
                let is_repeated =
                    matches!(slot.kind, Kind::Message(_) | Kind::Text | Kind::Varints | Kind::Fixed64s);
                let is_inner = self.stack.last().is_none_or(|frame| matches!(frame.holds, Holds::Values(_)));
                if !is_repeated || is_inner {
                    return Err(malformed(at, Malformed::JsonKind));
                }
                let Slot { kind, pair, list, .. } = slot;
                self.open(Frame { holds: Holds::Values(kind), pair, list, is_new: true, is_shape: false })?;
                Ok(at + 1)
            }
            _ => {
                let (bare, end) = token::bare(self.body, at)?;
                match (bare, slot.kind) {
                    (Bare::Null, _) => {}
                    (Bare::Boolean, Kind::Varint) => self.number(slot, at..end, Leaves::place(at..end)),
                    (Bare::Number, kind) if is_numeric(kind) => {
                        self.number(slot, at..end, Leaves::place(at..end));
                    }
                    _ => return Err(malformed(at, Malformed::JsonKind)),
                }
                Ok(end)
            }
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), Refused> {
        if self.stack.len() == MOST_DEPTH {
            return Err(Refused::TooDeep { most: MOST_DEPTH });
        }
        self.stack.push(frame);
        Ok(())
    }

    /// A number that an attribute may have.
    fn number(&mut self, slot: Slot, range: Range<usize>, mut text: Place) {
        if let Some(name) = slot.name
            && slot.pair != NONE
        {
            if let Some(read) = number::as_read(slot.kind, self.leaves.text(self.body, text)) {
                text = self.leaves.decode(|out| out.extend_from_slice(read.as_bytes()));
            }
            self.leaves.push(What::Number(Form::Written), text, name..range.end, slot.pair, NONE);
        }
    }

    fn string(&mut self, slot: Slot, at: usize) -> Result<usize, Refused> {
        let range = token::string(self.body, at)?;
        let end = range.end + 1;
        let mut source = &self.body[range.clone()];
        let mut text = Leaves::place(range.clone());
        if source.contains(&b'\\') {
            text = self.leaves.decode(|out| text::unescape(source, out, None));
            self.plain.clear();
            self.plain.extend_from_slice(self.leaves.text(self.body, text));
            source = &self.plain;
        }
        let (what, text, pair) = match slot.kind {
            Kind::Text => (What::Text, text, slot.pair),
            Kind::Key => {
                self.leaves.add_key(slot.pair, text, range.start)?;
                if !source.is_empty() {
                    self.leaves.push(What::Key, text, range, slot.pair, NONE);
                }
                return Ok(end);
            }
            Kind::Bytes => {
                let mut is_base64 = false;
                let decoded = self.leaves.decode(|out| is_base64 = text::from_base64(source, out));
                if !is_base64 {
                    return Err(malformed(range.start, Malformed::Base64));
                }
                (What::Bytes, decoded, slot.pair)
            }
            Kind::Id(len) => {
                if source.len() == 2 * usize::from(len) && source.iter().all(u8::is_ascii_hexdigit) {
                    return Ok(end);
                }
                // What is no id is no reason to let text through.
                let mut is_hex = false;
                let decoded = self.leaves.decode(|out| is_hex = text::from_hex(source, out));
                if !is_hex {
                    return Err(malformed(range.start, Malformed::Hex));
                }
                (What::Hex, decoded, NONE)
            }
            kind if is_numeric(kind) => {
                if token::is_number(source) {
                    self.number(slot, range.start..end, text);
                    return Ok(end);
                }
                // The name of an `enum`, or what should be none.
                (What::Text, text, slot.pair)
            }
            _ => return Err(malformed(at, Malformed::JsonKind)),
        };
        self.leaves.push_text(self.seen, self.body, (what, text), range, pair, NONE);
        Ok(end)
    }
}

fn is_numeric(kind: Kind) -> bool {
    matches!(kind, Kind::Varint | Kind::Fixed32 | Kind::Fixed64 | Kind::Varints | Kind::Fixed64s)
}

/// Notes what is to be changed by what was judged of a portion.
pub(super) fn note(body: &[u8], leaves: &Leaves, judge: &Judge, edits: &mut Edits) {
    let mut from = 0;
    for Verdict { leaf: index, text } in &judge.verdicts {
        let leaf = &leaves.list[*index];
        let range = leaf.range();
        let Some(new) = text.clone().map(|text| judge.text(text)) else {
            from += leaves.members[from..].partition_point(|member| (member.leaf as usize) < *index);
            let member = leaves.members.get(from);
            edits.push(member.map_or(range.clone(), |member| with_comma(member, range, edits)), |_| ());
            continue;
        };
        edits.push(range.clone(), |texts| match leaf.what {
            What::Bytes => text::to_base64(new, texts),
            What::Hex => text::to_hex(new, texts),
            What::Number(_) => {
                texts.extend_from_slice(br#"stringValue":""#);
                text::escape(new, texts);
                texts.push(b'"');
            }
            _ => text::replace(&body[range], new, texts),
        });
        if leaf.what == What::Key {
            edits.is_key(None);
        }
    }
}

/// A member that goes, with a comma: behind a first member the one behind it, behind others the one in front.
fn with_comma(member: &Member, range: Range<usize>, edits: &Edits) -> Range<usize> {
    let &Member { comma, next, .. } = member;
    // All in front of it has gone, with the comma.
    let is_first = comma == NONE || edits.end() == Some(comma as usize + 1);
    match (is_first, next) {
        (true, NONE) => range,
        (true, next) => range.start..next as usize,
        (false, _) => comma as usize..range.end,
    }
}
