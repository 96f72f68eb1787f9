//! Bytes whose meaning is not known: a field that a newer protocol has. They are looked at as text, and as far as they read
//! as messages, field by field, since the edge of a field is no edge of a text.

use std::ops::Range;

use super::wire::{self, Part, Wire};
use crate::scan::{Scanner, Work};

/// How deep messages are looked into. What goes deeper is not taken for clean.
const MOST_DEPTH: usize = 24;

/// A message that is being looked into.
struct Level {
    /// Where its next field is, and where it ends.
    at: usize,
    end: usize,
    /// What its fields may belong to.
    key: Range<usize>,
}

/// Whether nothing is found in `bytes`.
pub(super) fn is_clean(scanner: &Scanner, bytes: &[u8], work: &mut Work) -> bool {
    let mut levels: Vec<Level> = Vec::new();
    let (mut piece, mut key) = (0..bytes.len(), 0..0);
    loop {
        if !scanner.scan_keyed(&bytes[key.clone()], &bytes[piece.clone()], work).is_empty() {
            return false;
        }
        if let Some(own) = first_field(bytes, piece.clone()) {
            if levels.len() == MOST_DEPTH {
                return false;
            }
            // The first field of an attribute is its key.
            let key = own.filter(|own| scanner.knows_key(&bytes[own.clone()])).unwrap_or(key);
            levels.push(Level { at: piece.start, end: piece.end, key });
        }
        loop {
            let Some(level) = levels.last_mut() else { return true };
            // That it is a message is known.
            let Ok(part) = wire::part(bytes, level.at, level.end) else {
                levels.pop();
                continue;
            };
            level.at = part.end;
            if has_text(&part) {
                (piece, key) = (part.start..part.end, level.key.clone());
                break;
            }
        }
    }
}

/// Whether a field holds what may be text; numbers are left out.
fn has_text(part: &Part) -> bool {
    part.wire == Wire::Len && part.start < part.end
}

/// What is in the field 1 of a message, if there is text in it; of several, in the first. `None`: it is no message.
fn first_field(bytes: &[u8], range: Range<usize>) -> Option<Option<Range<usize>>> {
    let mut own = None;
    let mut at = range.start;
    if range.is_empty() {
        return None;
    }
    while at < range.end {
        let part = wire::part(bytes, at, range.end).ok()?;
        if part.number == 1 && own.is_none() && has_text(&part) {
            own = Some(part.start..part.end);
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
