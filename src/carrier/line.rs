//! A line, and how much looking at it may still cost.
//!
//! What one key is tied to is found by reading on from it, as far as the value goes. A line may have a key every few
//! bytes and values that all go on to its end, so the reading is counted: what a line allows is a small multiple of its
//! length. When that is used up, a key takes all that follows it, which costs nothing more and lets nothing through.

use std::cell::Cell;
use std::ops::{Deref, Range};

use super::placeholder::{self, first_marker};

/// How often the bytes of a line may be read,
const READINGS: usize = 16;
/// and how many bytes may be read of any line, however short.
const LEAST: usize = 16 << 10;

/// The bytes of a line.
pub struct Line<'t> {
    text: &'t [u8],
    left: Cell<usize>,
    /// Where the first of our markers starts, or the end of the line; not known until it is asked for.
    first_marker: Cell<Option<usize>>,
    /// The last answer of [`rest`](Self::rest): from where, up to where.
    rest: Cell<(usize, usize)>,
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

impl Deref for Line<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.text
    }
}

impl<'t> Line<'t> {
    /// A line that nothing has been read of.
    pub fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            left: Cell::new(READINGS * text.len() + LEAST),
            first_marker: Cell::new(None),
            rest: Cell::new((1, 0)),
        }
    }

    /// Counts bytes that were read.
    pub(super) fn read(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_sub(bytes));
    }

    /// Whether nothing more may be read.
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// As [`placeholder::touches_marker`]; most lines hold none at all.
    pub fn touches_marker(&self, range: Range<usize>) -> bool {
        let first = self.first_marker.get().unwrap_or_else(|| {
            let first = first_marker(self.text, 0..self.text.len()).unwrap_or(self.text.len());
            self.first_marker.set(Some(first));
            first
        });
        first < range.end && placeholder::touches_marker(self.text, range)
    }

    /// Where all that follows `at` ends: at the end of the line, or where something has been cleaned.
    pub fn rest(&self, at: usize) -> usize {
        let (from, known) = self.rest.get();
        if from <= at && at <= known {
            return known;
        }
        let end = first_marker(self.text, at..self.text.len()).unwrap_or(self.text.len());
        self.rest.set((at, end));
        end
    }
}

/// Widens `range` so that it cuts no character (UTF-8) in two.
pub fn whole_characters(text: &[u8], range: Range<usize>) -> Range<usize> {
    let start = character_over(text, range.start).map_or(range.start, |character| character.start);
    let end = character_over(text, range.end).map_or(range.end, |character| character.end);
    start..end
}

/// The character that `at` is strictly inside of.
fn character_over(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !matches!(text.get(at), Some(0x80..=0xBF)) {
        return None;
    }
    let start = (at.saturating_sub(3)..at).rev().find(|&i| text[i] >= 0xC0)?;
    let end = start + if text[start] < 0xE0 { 2 } else { 3 + usize::from(text[start] >= 0xF0) };
    let is_character = std::str::from_utf8(text.get(start..end)?).is_ok();
    (at < end && is_character).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_ends_where_something_was_cleaned() {
        let line = Line::new(b"a [b] [REDACTED:x] c");
        assert_eq!(line.rest(0), 6);
        assert_eq!(line.rest(3), 6);
        assert_eq!(line.rest(7), 20);
        assert_eq!(line.rest(6), 6);
    }

    #[test]
    fn characters_stay_whole() {
        let text = "aé€😀b".as_bytes();
        assert_eq!(whole_characters(text, 2..5), 1..6);
        assert_eq!(whole_characters(text, 7..9), 6..10);
        assert_eq!(whole_characters(text, 1..10), 1..10);
        assert_eq!(whole_characters(b"a\xe2\x82b", 2..3), 2..3);
    }
}
