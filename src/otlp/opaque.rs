//! Bytes whose meaning is not known: a field that a newer protocol has. They are looked at as text, and as far as they read
//! as messages, field by field, since the edge of a field is no edge of a text.

use std::ops::Range;

use super::wire::{self, Wire};
use crate::scan::{Scanner, Work};

/// How deep messages are looked into. What goes deeper is not taken for clean.
const MOST_DEPTH: u8 = 24;

/// A piece that is to be looked at, with the key it may belong to.
struct Piece {
    range: Range<usize>,
    key: Range<usize>,
    depth: u8,
}

/// Whether nothing is found in `bytes`.
pub(super) fn is_clean(scanner: &Scanner, bytes: &[u8], work: &mut Work) -> bool {
    let mut pieces = vec![Piece { range: 0..bytes.len(), key: 0..0, depth: 0 }];
    while let Some(Piece { range, key, depth }) = pieces.pop() {
        if !scanner.scan_keyed(&bytes[key.clone()], &bytes[range.clone()], work).is_empty() {
            return false;
        }
        let known = pieces.len();
        // The first field of an attribute is its key.
        let Some(own) =
            fields(bytes, range, |piece| pieces.push(Piece { range: piece, key: 0..0, depth: depth + 1 }))
        else {
            pieces.truncate(known);
            continue;
        };
        if depth == MOST_DEPTH {
            return false;
        }
        let key = own.filter(|own| scanner.knows_key(&bytes[own.clone()])).unwrap_or(key);
        pieces[known..].iter_mut().for_each(|piece| piece.key = key.clone());
    }
    true
}

/// Calls `found` with what is in the fields of a message, numbers left out; gives the first field, if it is the first and
/// has a length. `None`: it is no message.
fn fields(
    bytes: &[u8],
    range: Range<usize>,
    mut found: impl FnMut(Range<usize>),
) -> Option<Option<Range<usize>>> {
    let mut own = None;
    let mut at = range.start;
    if range.is_empty() {
        return None;
    }
    while at < range.end {
        let part = wire::part(bytes, at, range.end).ok()?;
        if part.wire == Wire::Len && part.start < part.end {
            if part.number == 1 && own.is_none() {
                own = Some(part.start..part.end);
            }
            found(part.start..part.end);
        }
        at = part.end;
    }
    Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sanitizer;

    fn check(bytes: &[u8], want: bool) {
        let sanitizer = Sanitizer::builtin();
        assert_eq!(
            is_clean(sanitizer.scanner(), bytes, &mut Work::default()),
            want,
            "{}",
            bytes.escape_ascii()
        );
    }

    #[test]
    fn text_and_messages() {
        check(b"", true);
        check(b"nothing to see", true);
        check(b"password=hunter2", false);
        check(b"\x0a\x08password\x12\x09\x0a\x07hunter2", false);
        check(b"\x0a\x08passport\x12\x09\x0a\x07hunter2", true);
        // A length that reads as a letter in front of a token.
        let token = format!("AKIA{}", "DEADDEADDEAD2345");
        check(&[b"\x0a\x30", format!("{token:<48}").as_bytes()].concat(), false);
        check(b"\x22\x0d\x1a\x0ba@deadbe.ef", false);
    }

    #[test]
    fn depth() {
        let mut bytes = b"x".to_vec();
        for _ in 0..60 {
            bytes = [&[0x0A, bytes.len() as u8][..], &bytes].concat();
        }
        check(&bytes, false);
    }
}
