//! The wire format of protobuf: fields, one after the other, and how numbers and lengths are written.
//!
//! Reading is exact: what two parsers could take for different things is refused. Numbers may be written longer than
//! they need (some senders leave room for lengths that way), as all parsers allow.

use std::ops::Range;

use super::refused::{Malformed, Refused};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Len = 2,
    Fixed32 = 5,
}

pub(super) const VARINT: u8 = Wire::Varint as u8;
pub(super) const FIXED64: u8 = Wire::Fixed64 as u8;
pub(super) const LEN: u8 = Wire::Len as u8;
pub(super) const FIXED32: u8 = Wire::Fixed32 as u8;

/// A field of a message, by where its parts are in the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) wire: Wire,
    /// Where the length of the value is, or the value if it has none.
    pub(super) head: usize,
    /// The value.
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) fn malformed(at: usize, what: Malformed) -> Refused {
    Refused::Malformed { at, what }
}

/// The number at `at`, and where it ends.
#[inline(always)]
pub(super) fn varint(bytes: &[u8], at: usize, end: usize) -> Result<(u64, usize), Refused> {
    match bytes[at..end] {
        [byte @ ..0x80, ..] => Ok((u64::from(byte), at + 1)),
        [low, high @ ..0x80, ..] => Ok((u64::from(low & 0x7F) | u64::from(high) << 7, at + 2)),
        _ => long_varint(bytes, at, end),
    }
}

#[cold]
fn long_varint(bytes: &[u8], at: usize, end: usize) -> Result<(u64, usize), Refused> {
    let mut value = 0;
    for (i, &byte) in bytes[at..end].iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if i == 9 && byte > 1 {
            return Err(malformed(at, Malformed::Number));
        }
        value |= bits << (7 * i);
        if byte < 0x80 {
            return Ok((value, at + i + 1));
        }
    }
    Err(malformed(at, if end - at < 10 { Malformed::Length } else { Malformed::Number }))
}

/// The field at `at` of a message that ends at `end`.
#[inline(always)]
pub(super) fn part(bytes: &[u8], at: usize, end: usize) -> Result<Part, Refused> {
    let (tag, head) = varint(bytes, at, end)?;
    let tag = u32::try_from(tag).map_err(|_| malformed(at, Malformed::Number))?;
    let number = tag >> 3;
    if number == 0 {
        return Err(malformed(at, Malformed::FieldZero));
    }
    let within = |start: usize, len: u64| match usize::try_from(len) {
        Ok(len) if len <= end - start => Ok(start + len),
        _ => Err(malformed(head, Malformed::Length)),
    };
    // Most fields have a length.
    if tag & 7 == 2 {
        let (len, start) = varint(bytes, head, end)?;
        return Ok(Part { number, wire: Wire::Len, head, start, end: within(start, len)? });
    }
    let (wire, value_end) = match tag & 7 {
        0 => (Wire::Varint, varint(bytes, head, end)?.1),
        1 => (Wire::Fixed64, within(head, 8)?),
        5 => (Wire::Fixed32, within(head, 4)?),
        _ => return Err(malformed(at, Malformed::Group)),
    };
    Ok(Part { number, wire, head, start: head, end: value_end })
}

impl Part {
    /// Where the text or message is that it holds.
    pub(super) fn text(&self) -> Result<Range<usize>, Refused> {
        match self.wire {
            Wire::Len => Ok(self.start..self.end),
            _ => Err(malformed(self.head, Malformed::WireType)),
        }
    }

    /// The number of a variable length that it holds.
    pub(super) fn varint(&self, bytes: &[u8]) -> Result<u64, Refused> {
        match self.wire {
            Wire::Varint => Ok(varint(bytes, self.start, self.end)?.0),
            _ => Err(malformed(self.head, Malformed::WireType)),
        }
    }
}

/// Calls `found` with each field of the message that is in `range`.
pub(super) fn for_each_field(
    bytes: &[u8],
    range: Range<usize>,
    mut found: impl FnMut(&Part) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let mut at = range.start;
    while at < range.end {
        let part = part(bytes, at, range.end)?;
        found(&part)?;
        at = part.end;
    }
    Ok(())
}

/// The key of an attribute that is just that and a number, as the usual encoders write it.
#[inline]
pub(super) fn key_of_number(pair: &[u8]) -> Option<&[u8]> {
    let [0x0A, len, rest @ ..] = pair else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*len))?;
    let [0x12, value_len, value @ ..] = rest else { return None };
    let is_number = match *value {
        [BOOL | INT, ref number @ ..] => {
            matches!(number, [first @ .., last] if *last < 0x80 && first.len() < 9 && first.iter().all(|&byte| byte >= 0x80))
        }
        [DOUBLE, ref number @ ..] => number.len() == 8,
        _ => false,
    };
    (is_number && *len < 0x80 && usize::from(*value_len) == value.len()).then_some(key)
}

const BOOL: u8 = 2 << 3;
const INT: u8 = 3 << 3;
const DOUBLE: u8 = 4 << 3 | 1;

/// Whether packed numbers of variable lengths are whole.
pub(super) fn are_varints(bytes: &[u8]) -> bool {
    let mut run = 0;
    for &byte in bytes {
        run = if byte < 0x80 { 0 } else { run + 1 };
        if run == 10 {
            return false;
        }
    }
    run == 0
}

/// Writes a number.
pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes a number takes.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX] {
            let mut out = Vec::new();
            put_varint(value, &mut out);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(varint(&out, 0, out.len()), Ok((value, out.len())));
            assert!(varint(&out, 0, out.len() - 1).is_err());
        }
        // Longer than they need, and too long.
        assert_eq!(varint(&[0x81, 0x80, 0x00], 0, 3), Ok((1, 3)));
        let mut most = [0x80; 10];
        most[9] = 0;
        assert_eq!(varint(&most, 0, 10), Ok((0, 10)));
        most[9] = 2;
        assert_eq!(varint(&most, 0, 10), Err(malformed(0, Malformed::Number)));
        assert_eq!(varint(&[0x80; 11], 0, 11), Err(malformed(0, Malformed::Number)));
    }

    #[test]
    fn attributes_with_numbers() {
        for value in [&[0x10, 1][..], &[0x18, 0x80, 0x80, 1], &[0x21, 1, 2, 3, 4, 5, 6, 7, 8]] {
            let pair = [&b"\x0a\x03key\x12"[..], &[value.len() as u8], value].concat();
            assert_eq!(key_of_number(&pair), Some(&b"key"[..]));
            for cut in 0..pair.len() {
                assert_eq!(key_of_number(&pair[..cut]), None);
            }
            assert_eq!(key_of_number(&[&pair[..], &[0x18, 1]].concat()), None);
        }
        assert_eq!(key_of_number(b"\x0a\x03key\x12\x03\x0a\x01x"), None);
        assert_eq!(key_of_number(b"\x0a\x03key\x12\x04\x18\x01\x0a\x00"), None);
    }

    #[test]
    fn parts() {
        let refused = |bytes: &[u8]| match part(bytes, 0, bytes.len()) {
            Err(Refused::Malformed { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&[0x02, 0x00]), Malformed::FieldZero);
        assert_eq!(refused(&[0x0B]), Malformed::Group);
        assert_eq!(refused(&[0x0C]), Malformed::Group);
        assert_eq!(refused(&[0x0E]), Malformed::Group);
        assert_eq!(refused(&[0x0A, 0x02, 0x00]), Malformed::Length);
        assert_eq!(
            refused(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
            Malformed::Length
        );
        assert_eq!(refused(&[0x09, 0, 0, 0, 0, 0, 0, 0]), Malformed::Length);
        assert_eq!(refused(&[0x80, 0x80, 0x80, 0x80, 0x10, 0x00]), Malformed::Number);
        let field = part(&[0x8A, 0x00, 0x01, b'x'], 0, 4).expect("a tag may be long");
        assert_eq!((field.number, field.wire, field.head, field.start, field.end), (1, Wire::Len, 2, 3, 4));
    }
}
