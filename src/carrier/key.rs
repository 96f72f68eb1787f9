//! Keys: where the name around a sensitive word starts and ends.

use std::ops::Range;

use super::escape;
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::BLANK;

/// A key as written may have at most this many bytes; longer ones are read from their end.
pub(super) const MAX_KEY: usize = 96;
/// What may follow the [`BLANK`] behind a key's last word, or it is none: a blank alone parts an argument from its value, a
/// flag or a tag, and those are looked for from where they begin.
pub(super) const AFTER_BLANK: ByteSet = ByteSet::of_each(b" \t\r\n\x1B=:->\xEF");

/// A key in a line.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where the key's own token starts: no spaces, dashes of a flag left out.
    pub start: usize,
    /// One past the key, digits at its end left out.
    pub name_end: usize,
    /// One past the key.
    pub end: usize,
    /// The token starts with one or two dashes.
    pub is_flag: bool,
}

impl Key {
    /// How far back the key and words before it may reach.
    pub(super) fn floor(&self) -> usize {
        self.name_end.saturating_sub(MAX_KEY)
    }

    /// The bytes of `line` that the key is made of, and the key in them.
    pub fn alone(self, line: &[u8]) -> (Box<[u8]>, Self) {
        let floor = self.floor();
        let key = Self {
            start: self.start - floor,
            name_end: self.name_end - floor,
            end: self.end - floor,
            ..self
        };
        (line[floor..self.name_end].into(), key)
    }
}

/// Where the name of the flag or tag ends that begins at `at`.
pub fn argument_end(line: &[u8], at: usize) -> usize {
    let is_tag = line[at] == b'<';
    let reach = line[at + 1..].iter().take(MAX_KEY);
    at + 1 + reach.take_while(|&&byte| is_key_byte(byte) || (is_tag && byte == b':')).count()
}

/// The last word of the flag or tag that begins at `at`, with and without digits at its end, if nothing but a blank
/// follows it: no other anchor stands there.
pub fn argument(line: &[u8], at: usize) -> impl Iterator<Item = Range<usize>> {
    let end = argument_end(line, at);
    let follows = |at: usize, set: ByteSet| line.get(at).is_some_and(|&byte| set.has(byte));
    let is_blank = follows(end, BLANK) && !follows(end + 1, AFTER_BLANK);
    let digits = line[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let ends = [Some(end), (1..=4).contains(&digits).then(|| end - digits)];
    ends.into_iter().flatten().filter(move |_| is_blank).filter_map(move |end| {
        let letters = line[at + 1..end].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        (letters > 0).then_some(end - letters..end)
    })
}

/// The key whose last word ends at `word_end`, or `None` if no key ends there.
pub fn around(line: &[u8], word: Range<usize>) -> Option<Key> {
    let name_end = word.end;
    let mut end = name_end;
    while line.get(end).is_some_and(u8::is_ascii_digit) && end - name_end < 4 {
        end += 1;
    }
    match line.get(end) {
        Some(b) if b.is_ascii_alphanumeric() || *b == b'_' => return None,
        Some(b'-') if line.get(end + 1) != Some(&b'>') => return None,
        _ => {}
    }
    let floor = word.end.saturating_sub(MAX_KEY);
    let mut start = word.start;
    while start > floor && is_key_byte(line[start - 1]) {
        start -= 1;
    }
    // `\n` or `\t` in front of a key are an escape, not its first letter. (`\a` is rather one in a path.)
    if start > 0
        && line[start - 1] == b'\\'
        && matches!(line[start], b'n' | b'r' | b't' | b'b' | b'f')
        && start < word.start
    {
        start += 1;
    }
    // Nor are the last letters of a colour that is written out.
    if start > 0 && matches!(line[start - 1], b'[' | b';' | b':') {
        let end = escape::any_sequence_end(line, start);
        start = if end <= word.start { end } else { start };
    }
    let dashes = line[start..word.end].iter().take_while(|&&b| b == b'-').count();
    let is_flag = dashes > 0;
    while start < word.start && matches!(line[start], b'-' | b'.') {
        start += 1;
    }
    let key = Key { start, name_end, end, is_flag };
    let has_letter = line[start..name_end].iter().rev().any(|&byte| letter(byte) != Letter::None);
    (has_letter || word_before(line, start, key.floor()).is_some()).then_some(key)
}

/// The letters in front of the space right before `at`, if they start behind `floor`.
pub(super) fn word_before(line: &[u8], at: usize, floor: usize) -> Option<Range<usize>> {
    let space = at.checked_sub(1).filter(|&i| line[i] == b' ')?;
    let letters = line.get(floor..space)?.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let first = space - letters;
    (first < space && first > floor).then_some(first..space)
}

/// What a byte is to the words of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Letter {
    None,
    Lower,
    Upper,
    Digit,
}

pub(super) fn letter(byte: u8) -> Letter {
    LETTER[usize::from(byte)]
}

static LETTER: [Letter; 256] = {
    let mut table = [Letter::None; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => Letter::Lower,
            b'A'..=b'Z' => Letter::Upper,
            b'0'..=b'9' => Letter::Digit,
            _ => Letter::None,
        };
        byte += 1;
    }
    table
};

fn is_key_byte(byte: u8) -> bool {
    IN_KEY[usize::from(byte)]
}

static IN_KEY: [bool; 256] = KEY_BYTES.table();

/// What the token of a key is made of.
pub(super) const KEY_BYTES: ByteSet =
    ByteSet::of_each(b"_-.").with_range(b'a', b'z').with_range(b'A', b'Z').with_range(b'0', b'9');
