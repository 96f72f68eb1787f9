//! How the bytes of a value may be spelled in text: as they are, percent-encoded, or behind backslashes, and each of these
//! inside another.
//!
//! [`end_of`] reads a value from one place on and takes every way to spell each of its bytes, so what stands in front of
//! the place cannot mislead it. Where to try is what a [`Skeleton`] says: text in which nearly every spelling of a value
//! reads alike.

use zeroize::Zeroizing;

/// How often percent-encoded text may have been encoded again.
const LEVELS: u8 = 4;
/// The most backslashes in front of an escape: six strings in each other.
const MOST_BACKSLASHES: usize = 64;

/// Places in a text that a value may have been read up to.
#[derive(Debug, Default)]
pub(super) struct Room {
    now: Vec<usize>,
    next: Vec<usize>,
    /// Those of bytes further on: how much of the value is read, and up to where.
    later: Vec<(usize, usize)>,
}

/// Where a spelling of `value` that starts at `at` ends; of several, the last. Its first `decides` bytes have to be there,
/// the rest is read as far as it goes.
pub(super) fn end_of(text: &[u8], at: usize, value: &[u8], decides: usize, room: &mut Room) -> Option<usize> {
    let (&byte, &first) = (text.get(at)?, value.first()?);
    if byte != first && !matches!(byte, b'%' | b'\\') && !(byte == b'+' && first == b' ') {
        return None;
    }
    let Room { now, next, later } = room;
    now.clear();
    now.push(at);
    later.clear();
    let mut end = None;
    for index in 0..value.len() {
        if index >= decides {
            end = now.iter().copied().max().max(end);
        }
        if now.is_empty() && later.is_empty() {
            return end;
        }
        next.clear();
        for &at in now.iter() {
            step(text, at, &value[index..], &mut |width, end| match width {
                1 => next.push(end),
                _ => later.push((index + width, end)),
            });
        }
        later.retain(|&(read, end)| {
            if read == index + 1 {
                next.push(end);
            }
            read > index + 1
        });
        next.sort_unstable();
        next.dedup();
        std::mem::swap(now, next);
    }
    now.iter().copied().max().max(end)
}

/// Calls `found` with every way the first byte of `value`, or its first character, may be spelled at `at`: how many bytes of
/// the value it is, and where it ends.
fn step(text: &[u8], at: usize, value: &[u8], found: &mut dyn FnMut(usize, usize)) {
    let want = value[0];
    read(text, at, want, LEVELS, &mut |end| found(1, end));
    if want == b' ' {
        read(text, at, b'+', LEVELS, &mut |end| found(1, end));
    }
    if !matches!(text.get(at), Some(b'%' | b'\\')) {
        return;
    }
    let (mut end, mut count) = (at, 0_usize);
    while count < MOST_BACKSLASHES
        && let Some(next) = first_end(text, end, b'\\')
    {
        end = next;
        count += 1;
        // Each string around it doubles a backslash.
        if want == b'\\' && count > 1 && count.is_power_of_two() {
            found(1, end);
        }
    }
    if count == 0 {
        return;
    }
    if is_mark(want) && want != b'\\' {
        read(text, end, want, LEVELS, &mut |end| found(1, end));
    }
    if letter_of(want).is_some_and(|letter| text.get(end) == Some(&letter)) {
        found(1, end + 1);
    }
    if let Some((code, end)) = coded(text, end) {
        if code == Code::Byte(want) {
            found(1, end);
        }
        if let Some(char) = first_char(value)
            && code.is(char)
        {
            found(char.len_utf8(), end);
        }
    }
}

/// Calls `end` with where the byte `want` ends that may stand at `at`, as it is or percent-encoded up to so many times.
fn read(text: &[u8], at: usize, want: u8, levels: u8, end: &mut dyn FnMut(usize)) {
    let Some(&byte) = text.get(at) else { return };
    if byte == want {
        end(at + 1);
    }
    if byte == b'%' && levels > 0 {
        read(text, at, b'%', levels - 1, &mut |at| {
            digit(text, at, want >> 4, levels - 1, &mut |at| digit(text, at, want & 15, levels - 1, end));
        });
    }
}

fn digit(text: &[u8], at: usize, value: u8, levels: u8, end: &mut dyn FnMut(usize)) {
    let lower = b"0123456789abcdef"[usize::from(value)];
    read(text, at, lower, levels, end);
    if lower.is_ascii_alphabetic() {
        read(text, at, lower.to_ascii_uppercase(), levels, end);
    }
}

/// Where the byte `want` ends, which is no `%` and so has one end at most.
pub(super) fn first_end(text: &[u8], at: usize, want: u8) -> Option<usize> {
    let mut found = None;
    read(text, at, want, LEVELS, &mut |end| found = found.or(Some(end)));
    found
}

/// Whether a backslash in front of this byte may be an escape that means the byte itself.
pub(super) fn is_mark(byte: u8) -> bool {
    byte.is_ascii_punctuation() || byte == b' '
}

/// The letter that stands behind a backslash for a control character.
pub(super) fn letter_of(byte: u8) -> Option<u8> {
    Some(match byte {
        0x07 => b'a',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0B => b'v',
        0x0C => b'f',
        b'\r' => b'r',
        0x1B => b'e',
        _ => return None,
    })
}

/// What a number behind a backslash means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// `\x41`: a byte, or the character of that number.
    Byte(u8),
    /// `\u0041`, `\u{41}`, `\U00000041`, or two halves of a pair.
    Char(u32),
}

impl Code {
    fn is(self, char: char) -> bool {
        match self {
            Self::Byte(byte) => u32::from(byte) == u32::from(char),
            Self::Char(code) => code == u32::from(char),
        }
    }
}

/// The number that is written behind backslashes, from its letter on, and where it ends.
fn coded(text: &[u8], at: usize) -> Option<(Code, usize)> {
    let rest = text.get(at + 1..)?;
    match text[at] {
        b'x' => Some((Code::Byte(hex(rest.get(..2)?)? as u8), at + 3)),
        b'U' => Some((Code::Char(hex(rest.get(..8)?)?), at + 9)),
        b'u' if rest.first() == Some(&b'{') => {
            let len = rest.iter().take(8).position(|&byte| byte == b'}')?;
            Some((Code::Char(hex(&rest[1..len])?), at + 2 + len))
        }
        b'u' => {
            let (high, end) = (hex(rest.get(..4)?)?, at + 5);
            if (0xD800..0xDC00).contains(&high)
                && let Some((low, end)) = low_half(text, end)
            {
                return Some((Code::Char(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), end));
            }
            Some((Code::Char(high), end))
        }
        _ => None,
    }
}

/// The second half of a pair of UTF-16, with its own backslashes.
fn low_half(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let run = text[at..].iter().take(MOST_BACKSLASHES).take_while(|&&byte| byte == b'\\').count();
    let at = at + run;
    let low = hex(text.get(at + 1..at + 5)?)?;
    (run > 0 && text[at] == b'u' && (0xDC00..0xE000).contains(&low)).then_some((low, at + 5))
}

/// Whether a number is written behind backslashes, from its letter at `at` on.
pub(super) fn is_coded(text: &[u8], at: usize) -> bool {
    at < text.len() && coded(text, at).is_some()
}

fn hex(digits: &[u8]) -> Option<u32> {
    let add = |value: u32, &byte: &u8| Some(value << 4 | char::from(byte).to_digit(16)?);
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

fn first_char(value: &[u8]) -> Option<char> {
    let chunk = value.get(..4.min(value.len()))?.utf8_chunks().next()?;
    chunk.valid().chars().next()
}

/// A text in which spellings read alike: percent-encoding and numbered escapes undone as deep as they go, backslashes left
/// out, `+` read as a blank and control characters as their letters. Where each byte came from is kept.
///
/// What stands in front of a value may run into its first bytes, and what stands behind it into its last; those between
/// are the same whatever the spelling.
#[derive(Default)]
pub(super) struct Skeleton {
    text: Vec<u8>,
    origin: Vec<u32>,
}

impl std::fmt::Debug for Skeleton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skeleton").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

impl Skeleton {
    pub(super) fn make(&mut self, source: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(source);
        self.origin.clear();
        self.origin.extend(0..source.len() as u32);
        for _ in 0..LEVELS {
            if !self.undo_percent() {
                break;
            }
        }
        self.undo_backslashes();
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where a byte came from.
    pub(super) fn origin(&self, at: usize) -> usize {
        self.origin[at] as usize
    }

    fn undo_percent(&mut self) -> bool {
        let Self { text, origin } = self;
        let Some(first) = memchr::memchr(b'%', text) else { return false };
        let (mut from, mut to) = (first, first);
        while from < text.len() {
            let decoded = match text[from] {
                b'%' => text.get(from + 1..from + 3).and_then(hex),
                _ => None,
            };
            (text[to], origin[to]) = (decoded.map_or(text[from], |code| code as u8), origin[from]);
            from += if decoded.is_some() { 3 } else { 1 };
            to += 1;
        }
        text.truncate(to);
        origin.truncate(to);
        to < from
    }

    fn undo_backslashes(&mut self) {
        let Self { text, origin } = self;
        let (mut from, mut to) = (0, 0);
        while from < text.len() {
            let source = origin[from];
            from += text[from..].iter().take_while(|&&byte| byte == b'\\').count();
            let Some(&byte) = text.get(from) else { break };
            let mut buffer = [byte, 0, 0, 0];
            let is_escaped = from > 0 && text[from - 1] == b'\\';
            let (len, end) = match if is_escaped { coded(text, from) } else { None } {
                Some((Code::Byte(code), end)) => {
                    buffer[0] = code;
                    (1, end)
                }
                Some((Code::Char(code), end)) => {
                    (char::from_u32(code).unwrap_or('\u{FFFD}').encode_utf8(&mut buffer).len(), end)
                }
                None => (1, from + 1),
            };
            for &byte in &buffer[..len] {
                text[to] = letter_of(byte).unwrap_or(if byte == b'+' { b' ' } else { byte });
                origin[to] = source;
                to += 1;
            }
            from = end;
        }
        text.truncate(to);
        origin.truncate(to);
    }

    /// The text alone, wiped when dropped: for the skeleton of a secret.
    pub(super) fn into_secret(self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.text)
    }

    /// Gives back memory that only unusual text has needed.
    pub(super) fn shrink(&mut self, most: usize) {
        *self = Self::default();
        self.text.reserve(most.min(1 << 10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, value: &str, want: Option<usize>) {
        let at = text.find('|').map_or(0, |at| at + 1);
        let end = end_of(text.as_bytes(), at, value.as_bytes(), value.len(), &mut Room::default());
        assert_eq!(end, want.map(|len| at + len), "{value} in {text}");
    }

    #[test]
    fn as_it_is_and_percent_encoded() {
        check("DeadBeef", "DeadBeef", Some(8));
        check("DeadBee", "DeadBeef", None);
        check("D%65ad%42eef", "DeadBeef", Some(12));
        check("%44%2565%25%361d", "Dead", Some(16));
        check("%44%2565%25%36%31d", "Dead", Some(18));
        check("%44%2565%25%36%3d", "Dead", None);
        check("a+b%20c%2Bd", "a b c d", Some(11));
        check("a%c3%A9", "aé", Some(7));
        check("%25%2525%", "%%%", Some(9));
        check("%|41Beef", "41Beef", Some(6));
    }

    #[test]
    fn behind_backslashes() {
        check(r#"a\"b"#, r#"a"b"#, Some(4));
        check(r#"a\\\\\\\"b"#, r#"a"b"#, Some(10));
        check(r"a\\b", r"a\b", Some(4));
        check(r#"a\\\\\"b"#, r#"a\"b"#, Some(8));
        check(r#"a\\""#, r"a\", Some(3));
        check(r"a\u0062\x63\u{64}", "abcd", Some(17));
        check(r"a\\u0062", "ab", Some(8));
        check(r"\ud83d\ude00x", "😀x", Some(13));
        check(r"\\ud83d\\ude00x", "😀x", Some(15));
        check(r"a\tb", "a\tb", Some(4));
        check(r"a\u0009b", "a\tb", Some(8));
        check("a%5C%22b", r#"a"b"#, Some(8));
        check(r"\|nabc", "nabc", Some(4));
        check(r"a\bc", "abc", None);
    }

    #[test]
    fn skeletons_of_spellings_are_alike() {
        let check = |spelling: &str, want: &str| {
            let mut skeleton = Skeleton::default();
            skeleton.make(spelling.as_bytes());
            assert_eq!(String::from_utf8_lossy(skeleton.text()), want, "{spelling}");
            assert_eq!(skeleton.origin.len(), skeleton.text.len());
        };
        check(r"a\u0041\\\x42%2543\/\n\t%5C%22", "aABC/nt\"");
        check("a+b%20c\td\\", "a b ctd");
        check(r"\ud83d\ude00\ud83d", "😀\u{FFFD}");
        check("100% %4", "100% %4");
    }
}
