//! A request in OTLP's JSON as protobuf, for an upstream that takes no JSON.
//!
//! It is read as [`super::walk`] reads it: with the same tokens, names and escapes, so that what was looked at is what is
//! written. What receivers of JSON are to refuse is refused here; what they are to leave out is left out.

use super::number;
use super::text;
use super::token::{self, Bare, MOST_DEPTH, blanks, no_json};
use crate::otlp::MOST_BYTES;
use crate::otlp::refused::{Malformed, Refused};
use crate::otlp::rewrite::Edits;
use crate::otlp::schema::Message;
use crate::otlp::types::Type;
use crate::otlp::walk;
use crate::otlp::wire::{malformed, put_varint, varint_len};

/// An object or array that is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    holds: Holds,
    /// Nothing of it has been read.
    is_new: bool,
    /// Where its length is to be written, if it has one.
    head: Option<usize>,
    /// How many bytes the lengths in it take more than what was left for them.
    more: usize,
}

#[derive(Clone, Copy, Debug)]
enum Holds {
    /// The fields of a message.
    Fields(&'static Message),
    /// Values of a repeated field, with its number.
    Values(u32, Type),
}

/// A field that a value is for.
#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u32,
    of: Type,
    /// It is one of many.
    is_element: bool,
}

/// Writes what is a message of this kind in JSON as protobuf. Takes memory of a few times `body`, and time in proportion to
/// it.
pub(in crate::otlp) fn to_wire(body: &[u8], root: &'static Message) -> Result<Vec<u8>, Refused> {
    if body.len() > MOST_BYTES {
        return Err(Refused::TooLarge { most: MOST_BYTES });
    }
    let mut at = blanks(body, 0);
    if body.get(at) != Some(&b'{') {
        return Err(no_json(at));
    }
    at += 1;
    let mut writer = Writer {
        body,
        out: Vec::with_capacity(body.len() / 2),
        lengths: Vec::new(),
        stack: Vec::with_capacity(32),
        depth: 0,
        plain: Vec::new(),
        decoded: Vec::new(),
    };
    writer.stack.push(Frame { holds: Holds::Fields(root), is_new: true, head: None, more: 0 });
    while let Some(frame) = writer.stack.last_mut() {
        let is_new = std::mem::replace(&mut frame.is_new, false);
        let holds = frame.holds;
        let close = if let Holds::Fields(_) = holds { b'}' } else { b']' };
        at = blanks(body, at);
        if body.get(at) == Some(&close) {
            writer.close();
            at += 1;
            continue;
        }
        if !is_new {
            if body.get(at) != Some(&b',') {
                return Err(no_json(at));
            }
            at = blanks(body, at + 1);
        }
        at = match holds {
            Holds::Fields(message) => writer.member(message, at)?,
            Holds::Values(number, of) => writer.value(Slot { number, of, is_element: true }, at)?,
        };
        if writer.out.len() > MOST_BYTES {
            return Err(Refused::TooLarge { most: MOST_BYTES });
        }
    }
    let end = blanks(body, at);
    if end < body.len() { Err(no_json(end)) } else { Ok(writer.finish()) }
}

struct Writer<'b> {
    body: &'b [u8],
    /// What is written, with one byte for each length.
    out: Vec<u8>,
    /// The lengths that take more than a byte, and where they are to stand.
    lengths: Vec<(usize, usize)>,
    stack: Vec<Frame>,
    /// How many messages are open in the outermost.
    depth: usize,
    /// A string without its escapes.
    plain: Vec<u8>,
    /// What it stands for.
    decoded: Vec<u8>,
}

impl Writer<'_> {
    /// Writes a member of an object; gives where it ends, or where what it holds begins.
    fn member(&mut self, message: &'static Message, at: usize) -> Result<usize, Refused> {
        let (name, value) = token::name(self.body, at)?;
        let spelled = &self.body[name];
        let number = if spelled.contains(&b'\\') {
            self.plain.clear();
            text::unescape(spelled, &mut self.plain, None);
            message.named(&self.plain).0
        } else {
            message.named(spelled).0
        };
        match message.type_of(number) {
            Type::Unknown => token::skip(self.body, value),
            of => self.value(Slot { number, of, is_element: false }, value),
        }
    }

    /// Writes a value; gives where it ends, or where what it holds begins.
    fn value(&mut self, slot: Slot, at: usize) -> Result<usize, Refused> {
        let wrong = || malformed(at, Malformed::JsonKind);
        match self.body.get(at) {
            Some(b'"') => self.string(slot, at),
            Some(b'{') => {
                let Type::Message(message) = slot.of else { return Err(wrong()) };
                if self.depth == walk::MOST_DEPTH {
                    return Err(Refused::TooDeep { most: walk::MOST_DEPTH });
                }
                self.depth += 1;
                self.open(slot.number, Holds::Fields(message), true)?;
                Ok(at + 1)
            }
            Some(b'[') => {
                let of = slot.of.element().ok_or_else(wrong)?;
                self.open(slot.number, Holds::Values(slot.number, of), number::wire_type(of).is_some())?;
                Ok(at + 1)
            }
            _ => {
                let (bare, end) = token::bare(self.body, at)?;
                let is_written = match bare {
                    Bare::Null => !slot.is_element,
                    Bare::Boolean => {
                        let is_bool = matches!(slot.of, Type::Bool);
                        if is_bool {
                            self.tag(slot.number, 0);
                            self.out.push(u8::from(self.body[at] == b't'));
                        }
                        is_bool
                    }
                    Bare::Number => {
                        if number::wire_type(slot.of).is_none() || matches!(slot.of, Type::Bool) {
                            return Err(wrong());
                        }
                        if !self.number(slot, at, end) {
                            return Err(malformed(at, Malformed::JsonNumber));
                        }
                        true
                    }
                };
                if is_written { Ok(end) } else { Err(wrong()) }
            }
        }
    }

    fn number(&mut self, slot: Slot, at: usize, end: usize) -> bool {
        let body = self.body;
        self.tag_of(slot);
        number::write(slot.of, &body[at..end], &mut self.out)
    }

    /// Writes the tag of a number; packed ones have none.
    fn tag_of(&mut self, slot: Slot) {
        if let (Some(wire), false) = (number::wire_type(slot.of), slot.is_element) {
            self.tag(slot.number, wire);
        }
    }

    fn tag(&mut self, number: u32, wire: u32) {
        put_varint(u64::from(number << 3 | wire), &mut self.out);
    }

    fn open(&mut self, number: u32, holds: Holds, has_length: bool) -> Result<(), Refused> {
        if self.stack.len() == MOST_DEPTH {
            return Err(Refused::TooDeep { most: MOST_DEPTH });
        }
        let mut head = None;
        if has_length {
            self.tag(number, LEN);
            head = Some(self.out.len());
            self.out.push(0);
        }
        self.stack.push(Frame { holds, is_new: true, head, more: 0 });
        Ok(())
    }

    fn close(&mut self) {
        let Some(Frame { holds, head, mut more, .. }) = self.stack.pop() else { return };
        if let Holds::Fields(_) = holds {
            self.depth = self.depth.saturating_sub(1);
        }
        if let Some(head) = head {
            let len = self.out.len() - head - 1 + more;
            if len < 0x80 {
                self.out[head] = len as u8;
            } else {
                self.lengths.push((head, len));
                more += varint_len(len as u64) - 1;
            }
        }
        if let Some(outer) = self.stack.last_mut() {
            outer.more += more;
        }
    }

    fn string(&mut self, slot: Slot, at: usize) -> Result<usize, Refused> {
        let body = self.body;
        let range = token::string(body, at)?;
        let (start, end) = (range.start, range.end + 1);
        let mut source = &body[range];
        let mut plain = std::mem::take(&mut self.plain);
        if source.contains(&b'\\') {
            plain.clear();
            text::unescape(source, &mut plain, None);
            source = &plain;
        }
        let result = self.text(slot, source);
        self.plain = plain;
        result.map_err(|what| malformed(start, what))?;
        Ok(end)
    }

    /// Writes what a string stands for.
    fn text(&mut self, slot: Slot, source: &[u8]) -> Result<(), Malformed> {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        match slot.of {
            Type::Text | Type::Key => match std::str::from_utf8(source) {
                Ok(_) => self.bytes(slot.number, source),
                Err(_) => {
                    for chunk in source.utf8_chunks() {
                        decoded.extend_from_slice(chunk.valid().as_bytes());
                        if !chunk.invalid().is_empty() {
                            decoded.extend_from_slice("\u{FFFD}".as_bytes());
                        }
                    }
                    self.bytes(slot.number, &decoded);
                }
            },
            Type::Bytes => {
                if !text::from_base64(source, &mut decoded) {
                    return Err(Malformed::Base64);
                }
                self.bytes(slot.number, &decoded);
            }
            Type::Id(_) => {
                if !text::from_hex(source, &mut decoded) {
                    return Err(Malformed::Hex);
                }
                self.bytes(slot.number, &decoded);
            }
            Type::Enum(names) if !token::is_number(source) => {
                let value = names.iter().position(|name| name.as_bytes() == source);
                let value = value.ok_or(Malformed::EnumName)?;
                self.tag_of(slot);
                put_varint(value as u64, &mut self.out);
            }
            Type::Bool => return Err(Malformed::JsonKind),
            of => {
                if number::wire_type(of).is_none() {
                    return Err(Malformed::JsonKind);
                }
                self.tag_of(slot);
                if !number::write(of, source, &mut self.out) {
                    return Err(Malformed::JsonNumber);
                }
            }
        }
        self.decoded = decoded;
        Ok(())
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.tag(number, LEN);
        put_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
    }

    /// What was written, with all lengths.
    fn finish(self) -> Vec<u8> {
        let Self { out, mut lengths, .. } = self;
        if lengths.is_empty() {
            return out;
        }
        lengths.sort_unstable_by_key(|&(head, _)| head);
        let mut edits = Edits::default();
        for (head, len) in lengths {
            edits.push(head..head + 1, |texts| put_varint(len as u64, texts));
        }
        edits.splice(&out)
    }
}

/// What has a length, as the lowest bits of a tag.
const LEN: u32 = 2;
