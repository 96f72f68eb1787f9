//! How the bytes of a value may be spelled in text: as they are, percent-encoded, or behind backslashes, and each of these
//! inside another.
//!
//! [`end_of`] reads a value from one place on and takes every way to spell each of its bytes: how it was encoded need not be
//! known. Where to try is what a [`Skeleton`] says: text in which nearly every spelling of a value
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
/// the rest is read as far as it goes. What stands before and behind does not count, even if an escape goes over the edge:
/// then all but one byte of the value is there, and that is reason enough.
pub(super) fn end_of(text: &[u8], at: usize, value: &[u8], decides: usize, room: &mut Room) -> Option<usize> {
    let (&byte, &first) = (text.get(at)?, value.first()?);
    let may_begin = byte == first || matches!(byte, b'%' | b'\\') || byte == b'+' && first == b' ';
    if !may_begin {
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

/// The byte that is spelled at `at`, as deep as it goes, and where it ends. A character that is more than a byte is none.
pub(super) fn unit(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut end = at;
    while let Some(next) = first_end(text, end, b'\\') {
        end = next;
    }
    match if end > at { coded(text, end) } else { None } {
        Some((Code::Byte(byte), end)) => Some((byte, end)),
        Some((Code::Char(code), end)) => Some((u8::try_from(code).ok()?, end)),
        None => decoded(text, end, LEVELS).filter(|&(byte, _)| end == at || is_mark(byte)),
    }
}

/// Calls `found` with every way the first byte of `value`, or its first character, may be spelled at `at`: how many bytes of
/// the value it is, and where it ends.
fn step(text: &[u8], at: usize, value: &[u8], found: &mut dyn FnMut(usize, usize)) {
    let want = value[0];
    // Backslashes of a value are doubled together.
    let own = value.iter().take_while(|&&byte| byte == b'\\').count();
    if own == 0 {
        read(text, at, want, LEVELS, &mut |end| found(1, end));
    }
    if want == b' ' {
        read(text, at, b'+', LEVELS, &mut |end| found(1, end));
    }
    if !matches!(text.get(at), Some(b'%' | b'\\')) {
        return;
    }
    let (mut end, mut count) = (at, 0_usize);
    while count < MOST_BACKSLASHES * own.max(1)
        // Some of them as they are and some percent-encoded are not of one text.
        && text.get(end) == text.get(at)
        && let Some(next) = first_end(text, end, b'\\')
    {
        end = next;
        count += 1;
        // Each string around it doubles a backslash.
        if own > 0 && count.is_multiple_of(own) && (count / own).is_power_of_two() {
            found(own, end);
        }
    }
    if count == 0 {
        return;
    }
    if is_mark(want) && want != b'\\' {
        read(text, end, want, LEVELS, &mut |end| found(1, end));
    }
    if let Some(letter) = letter_of(want)
        && let Some((byte, end)) = decoded(text, end, LEVELS)
        && byte == letter
    {
        found(1, end);
    }
    if let Some((code, end)) = coded(text, end) {
        let is_form = want == b' ' && code.is('+');
        if code == Code::Byte(want) || is_form {
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
    let (letter, at) = decoded(text, at, LEVELS)?;
    match letter {
        b'x' => number(text, at, 2).map(|(code, end)| (Code::Byte(code as u8), end)),
        b'U' => number(text, at, 8).map(|(code, end)| (Code::Char(code), end)),
        b'u' => {
            if let Some((b'{', start)) = decoded(text, at, LEVELS) {
                return braced(text, start).map(|(code, end)| (Code::Char(code), end));
            }
            let (high, end) = number(text, at, 4)?;
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
fn low_half(text: &[u8], mut at: usize) -> Option<(u32, usize)> {
    let start = at;
    while let Some(end) = first_end(text, at, b'\\') {
        at = end;
    }
    let (b'u', at) = decoded(text, at, LEVELS).filter(|_| at > start)? else { return None };
    number(text, at, 4).filter(|(low, _)| (0xDC00..0xE000).contains(low))
}

/// So many hex digits.
fn number(text: &[u8], mut at: usize, digits: usize) -> Option<(u32, usize)> {
    let mut number = 0;
    for _ in 0..digits {
        let (byte, end) = decoded(text, at, LEVELS)?;
        number = number << 4 | char::from(byte).to_digit(16)?;
        at = end;
    }
    Some((number, at))
}

/// Hex digits up to a brace.
fn braced(text: &[u8], mut at: usize) -> Option<(u32, usize)> {
    let mut number = 0;
    for digits in 0..7 {
        let (byte, end) = decoded(text, at, LEVELS)?;
        at = end;
        if byte == b'}' {
            return (digits > 0).then_some((number, at));
        }
        number = number << 4 | char::from(byte).to_digit(16)?;
    }
    None
}

/// The byte at `at`, percent-encoding undone as deep as it goes, and where it ends.
fn decoded(text: &[u8], at: usize, levels: u8) -> Option<(u8, usize)> {
    let (mut byte, mut end) = (*text.get(at)?, at + 1);
    while byte == b'%'
        && let Some(deeper) = levels.checked_sub(1)
        && let Some((high, next)) = decoded(text, end, deeper)
        && let Some((low, next)) = decoded(text, next, deeper)
        && let Some(code) = hex(&[high, low])
    {
        (byte, end) = (code as u8, next);
    }
    Some((byte, end))
}

/// The byte that is percent-encoded at `at`.
pub(super) fn percent(text: &[u8], at: usize) -> Option<u8> {
    hex(text.get(at + 1..at + 3)?).map(|code| code as u8)
}

/// Whether a number is written behind backslashes, from its letter at `at` on.
pub(super) fn is_coded(text: &[u8], at: usize) -> bool {
    coded(text, at).is_some()
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &byte| Some(value << 4 | char::from(byte).to_digit(16)?))
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
            let has_percent = self.undo_percent();
            if !self.undo_numbers() && !has_percent {
                break;
            }
        }
        self.fold();
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

    /// Undoes numbers behind backslashes.
    fn undo_numbers(&mut self) -> bool {
        let Self { text, origin } = self;
        let Some(first) = memchr::memchr(b'\\', text) else { return false };
        let (mut from, mut to) = (first, first);
        while from < text.len() {
            let run = text[from..].iter().take_while(|&&byte| byte == b'\\').count();
            let mut buffer = [0; 4];
            let code = if run > 0 { coded(text, from + run) } else { None };
            let (len, end) = match code {
                Some((Code::Byte(byte), end)) => {
                    buffer[0] = byte;
                    (1, end)
                }
                Some((Code::Char(code), end)) => {
                    (char::from_u32(code).unwrap_or('\u{FFFD}').encode_utf8(&mut buffer).len(), end)
                }
                None => {
                    let end = from + run.max(1);
                    text.copy_within(from..end, to);
                    origin.copy_within(from..end, to);
                    to += end - from;
                    from = end;
                    continue;
                }
            };
            text[to..to + len].copy_from_slice(&buffer[..len]);
            let source = origin[from];
            origin[to..to + len].fill(source);
            to += len;
            from = end;
        }
        text.truncate(to);
        origin.truncate(to);
        to < from
    }

    /// Leaves backslashes out, and takes one byte for those that may stand for each other.
    fn fold(&mut self) {
        let Self { text, origin } = self;
        let (mut from, mut to) = (0, 0);
        while from < text.len() {
            let source = origin[from];
            from += text[from..].iter().take_while(|&&byte| byte == b'\\').count();
            let Some(&byte) = text.get(from) else { break };
            text[to] = letter_of(byte).unwrap_or(if byte == b'+' { b' ' } else { byte });
            origin[to] = source;
            (from, to) = (from + 1, to + 1);
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
    fn percent_encoded_backslashes() {
        check("a%5C%75%30062x", "abx", Some(14));
        check("%255cud83d%5C%5cude%30%30x", "😀x", Some(26));
        check("a%5C%6eb", "a\nb", Some(8));
        check("a1%25%35%63%75%30%30%36%32%25%35%63%75%30%30%36%31aada", "a1baaada", Some(54));
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
        check("a1%25%35%63%75%30%30%36%32%25%35%63%75%30%30%36%31aada", "a1baaada");
        check(r"\ud83d\ude00\ud83d", "😀\u{FFFD}");
        check("100% %4", "100% %4");
    }
}
