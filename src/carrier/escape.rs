//! The decoded view of text whose escapes can hide a secret or its key: `p\u0061ssword`, `%70assword`, `\/`, and
//! terminal colours, whose last letter would run into the word behind them.
//!
//! A view is only for looking: what is found in it is mapped back to the bytes that were there. Quotes keep their
//! backslashes in a view, since a key and its value are tied through them.

use std::ops::Range;

use zeroize::Zeroize;

use crate::rules::byte_set::ByteSet;
use crate::rules::gate::{ALPHANUMERIC, SHORT_ESCAPES};

pub(super) const ESC: u8 = 0x1B;
/// The most bytes of parameters in a control sequence: two true colours and some attributes.
const MAX_PARAMETERS: usize = 48;
/// The most bytes of a control sequence, its ESC written out behind one backslash. The prefilter looks back one word of
/// 64 bytes for the start of one.
pub const MAX_SEQUENCE: usize = b"\\u001b[m".len() + MAX_PARAMETERS;
/// How often escapes inside escapes are undone (`%2570` takes two).
pub const PASSES: usize = 4;

/// Which percent-encoded bytes are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percent {
    /// None: in a line, what they stand for is no part of the structure.
    No,
    /// Letters, digits and `-._~`, which mean the same either way (RFC 3986, section 2.3), at any depth. All that
    /// separates the fields of a URL stays as it is, so that an encoded `&` is known to be part of a value.
    Unreserved,
    /// All, and again what that brings to light: a URL within a URL.
    All,
}

/// Decoded text and where each of its bytes came from. Kept between lines for its buffers.
#[derive(Default)]
pub struct View {
    text: Vec<u8>,
    /// Offset in the source of the unit that gave each byte; one more entry for the end.
    origin: Vec<u32>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

impl View {
    /// Decodes `source` as deep as it goes; as [`decode_once`](Self::decode_once) otherwise.
    pub fn decode(&mut self, source: &[u8], percent: Percent) -> bool {
        let changed = self.decode_once(source, percent);
        for _ in 1..PASSES {
            if !changed || !self.decode_again(percent) {
                break;
            }
        }
        changed
    }

    /// Decodes one level of `source`; `false` if it holds no escape, and then the view is of no use.
    pub fn decode_once(&mut self, source: &[u8], percent: Percent) -> bool {
        self.text.clear();
        self.origin.clear();
        let mut changed = false;
        let mut at = 0;
        while at < source.len() {
            // Runs without escapes are copied whole.
            let run = memchr::memchr3(b'\\', b'%', ESC, &source[at..]).unwrap_or(source.len() - at);
            self.text.extend_from_slice(&source[at..at + run]);
            self.origin.extend(at as u32..(at + run) as u32);
            at += run;
            if at == source.len() {
                break;
            }
            let unit = unit_at(source, at, percent);
            changed |= unit.len > 1 && unit.decoded;
            self.text.extend_from_slice(unit.bytes());
            for i in 0..unit.out_len {
                // What is kept as it was keeps its offsets; what is decoded is one unit.
                self.origin.push((at + if unit.decoded { 0 } else { i }) as u32);
            }
            at += unit.len;
        }
        self.origin.push(source.len() as u32);
        changed
    }

    /// Undoes one more level in place; `false` if there was none.
    pub fn decode_again(&mut self, percent: Percent) -> bool {
        let end = self.text.len();
        let (mut from, mut to) = (0, 0);
        let mut changed = false;
        while from < end {
            let unit = unit_at(&self.text, from, percent);
            changed |= unit.decoded;
            for i in 0..unit.out_len {
                self.text[to] = unit.out[i];
                self.origin[to] = self.origin[from + if unit.decoded { 0 } else { i }];
                to += 1;
            }
            from += unit.len;
        }
        self.origin[to] = self.origin[end];
        self.text.truncate(to);
        self.origin.truncate(to + 1);
        changed
    }

    /// Overwrites the text.
    pub fn wipe(&mut self) {
        self.text.zeroize();
        self.origin.clear();
    }

    /// The decoded text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The bytes of the source that a range of the view came from, whole units only.
    pub fn source_range(&self, range: Range<usize>) -> Range<usize> {
        let start = self.origin[range.start] as usize;
        let last = self.origin[range.end.saturating_sub(1).max(range.start)];
        let end = self.origin[range.end..].iter().copied().find(|&o| o > last).unwrap_or(last);
        start..(end as usize).max(start)
    }
}

/// One escape, or bytes that are none.
struct Unit {
    len: usize,
    out: [u8; 4],
    out_len: usize,
    decoded: bool,
}

impl Unit {
    fn plain(byte: u8) -> Self {
        Self { len: 1, out: [byte, 0, 0, 0], out_len: 1, decoded: false }
    }

    fn bytes(&self) -> &[u8] {
        &self.out[..self.out_len]
    }
}

fn unit_at(text: &[u8], at: usize, percent: Percent) -> Unit {
    match text[at] {
        b'%' if percent == Percent::Unreserved => {
            // Each level of encoding writes `%25` for the `%` of the one before.
            let levels = text[at + 1..].chunks(2).take(PASSES).take_while(|pair| *pair == b"25").count();
            let digits = at + 1 + 2 * levels;
            match hex(text, digits, 2).map(|value| value as u8) {
                Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                    Unit { len: digits + 2 - at, out: [byte, 0, 0, 0], out_len: 1, decoded: true }
                }
                _ => Unit::plain(b'%'),
            }
        }
        b'%' if percent == Percent::All => match hex(text, at + 1, 2) {
            // A blank stays one value with what is around it, as `+` does in a form.
            Some(0x20) => Unit { len: 3, out: [b'+', 0, 0, 0], out_len: 1, decoded: true },
            // Angle brackets in a URL are part of a value, while in text they end one.
            Some(0x3C | 0x3E) => Unit::plain(b'%'),
            Some(value) => Unit { len: 3, out: [value as u8, 0, 0, 0], out_len: 1, decoded: true },
            None => Unit::plain(b'%'),
        },
        b'\\' => {
            // Any number of backslashes: each level of nesting doubles them.
            let run = text[at..].iter().take(64).take_while(|&&b| b == b'\\').count();
            let next = at + run;
            let decoded = match text.get(next) {
                Some(b'/') => Some((1, '/')),
                Some(b'e') => Some((1, '\x1b')),
                Some(b'0') if text[next..].starts_with(b"033") => Some((3, '\x1b')),
                // A line end between words: a blank is enough to tell them apart.
                Some(&byte) if SHORT_ESCAPES.has(byte) => Some((1, ' ')),
                Some(b'u') => {
                    hex(text, next + 1, 4).map(|code| (5, char::from_u32(code).unwrap_or('\u{FFFD}')))
                }
                Some(b'x') => hex(text, next + 1, 2).map(|code| (3, char::from(code as u8))),
                _ => None,
            };
            match decoded {
                // A quote in a string stays one level deeper than the string's own.
                Some((len, char @ ('"' | '\''))) => {
                    Unit { len: run + len, out: [b'\\', char as u8, 0, 0], out_len: 2, decoded: true }
                }
                Some((len, char)) => {
                    let mut out = [0; 4];
                    let out_len = if char.is_ascii() || len == 3 {
                        out[0] = char as u32 as u8;
                        1
                    } else {
                        char.encode_utf8(&mut out).len()
                    };
                    Unit { len: run + len, out, out_len, decoded: true }
                }
                None => Unit::plain(b'\\'),
            }
        }
        ESC => match sequence_len(&text[at..]) {
            Some(len) => Unit { len, out: [b' ', 0, 0, 0], out_len: 1, decoded: true },
            None => Unit::plain(ESC),
        },
        byte => Unit::plain(byte),
    }
}

/// The length of the control sequence (ECMA-48, section 5.4) at the start of `text`, as terminals get them from logs:
/// quotes, slashes and brackets would be part of one, too, but belong to the text around it.
pub fn sequence_len(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&ESC) { Some(1 + parameters_len(text, 1)?) } else { None }
}

/// As [`sequence_len`], also of one whose ESC is written out behind a backslash: `\x1b[0m`, `\u001b[0m`, `\033[0m`,
/// `\e[0m`.
pub fn any_sequence_len(text: &[u8]) -> Option<usize> {
    // Each level of nesting doubles the backslashes.
    let run = text.iter().take(64).take_while(|&&b| b == b'\\').count();
    if run == 0 {
        return sequence_len(text);
    }
    let rest = &text[run..];
    let written = WRITTEN_ESC
        .iter()
        .find(|written| rest.get(..written.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(written)))?;
    let start = run + written.len();
    Some(start + parameters_len(text, start)?)
}

/// ESC, as it is written behind a backslash.
const WRITTEN_ESC: [&[u8]; 4] = [b"x1b", b"u001b", b"033", b"e"];

/// The length of a control sequence's bracket, parameters and last letter, which begin at `at`.
fn parameters_len(text: &[u8], at: usize) -> Option<usize> {
    // Behind a stray ESC, one of our own markers is one.
    if text.get(at) != Some(&b'[') || super::placeholder::marker_at(text, at).is_some() {
        return None;
    }
    let is_parameter = |b: &&u8| b.is_ascii_digit() || matches!(b, b';' | b':' | b'?');
    let parameters = text[at + 1..].iter().take(MAX_PARAMETERS).take_while(is_parameter).count();
    text.get(at + 1 + parameters).is_some_and(u8::is_ascii_alphabetic).then_some(2 + parameters)
}

/// One past the control sequence that `at` is inside of, or `at`.
pub fn sequence_end(text: &[u8], at: usize) -> usize {
    end_around(text, at, |before| memchr::memrchr(ESC, before), sequence_len)
}

/// As [`sequence_end`], also of one whose ESC is written out.
pub fn any_sequence_end(text: &[u8], at: usize) -> usize {
    end_around(text, at, |before| memchr::memrchr2(ESC, b'\\', before), any_sequence_len)
}

/// One past the sequence around `at`, or `at`: `start` finds where the last one before it begins, `len` measures it.
fn end_around(
    text: &[u8],
    at: usize,
    start: impl Fn(&[u8]) -> Option<usize>,
    len: impl Fn(&[u8]) -> Option<usize>,
) -> usize {
    let from = at.saturating_sub(MAX_SEQUENCE - 1);
    let end = start(&text[from..at]).and_then(|start| Some(from + start + len(&text[from + start..])?));
    end.map_or(at, |end| end.max(at))
}

/// What follows the backslashes of an escape.
const OF_ESCAPES: ByteSet = SHORT_ESCAPES.with(b'u').with(b'x');

/// Whether an escape stands beside a key, the end of which is at `start..end`, that may hide what belongs to it: behind it,
/// where `\u003d` and `\t` are operators and blanks, or among the words in front of it, where a letter of the escape would
/// be one of a word.
pub fn stands_beside(text: &[u8], start: usize, end: usize) -> bool {
    const REACH: usize = 64;
    const BEHIND: ByteSet = ByteSet::of_each(b" \t\\\"'`=:->,[](){}").with_range(b'0', b'9');
    const IN_FRONT: ByteSet = ALPHANUMERIC.with(b'_').with(b'-').with(b'.').with(b' ').with(b'\\');
    let is_escape = |byte: u8, next: u8| byte == b'\\' && OF_ESCAPES.has(next);
    let behind = &text[end.min(text.len())..];
    let behind = behind.iter().zip(behind.iter().skip(1)).take(REACH);
    let front = &text[..start.min(text.len())];
    let front = front[front.len().saturating_sub(REACH)..].rsplit(|&byte| !IN_FRONT.has(byte)).next();
    behind.take_while(|&(&byte, _)| BEHIND.has(byte)).any(|(&byte, &next)| is_escape(byte, next))
        || front.unwrap_or_default().windows(2).any(|pair| is_escape(pair[0], pair[1]))
}

/// Whether an escape ends right before `at`: what follows is the start of a word, whatever letter the escape ends on.
pub fn ends_before(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    match before {
        [.., b'\\', byte] => SHORT_ESCAPES.has(*byte),
        [.., b'%', a, b] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()),
        [.., b'm'] => {
            let from = before.len().saturating_sub(MAX_SEQUENCE);
            memchr::memrchr2(ESC, b'\\', &before[from..])
                .is_some_and(|i| any_sequence_len(&before[from + i..]) == Some(before.len() - from - i))
        }
        _ => false,
    }
}

fn hex(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    text.get(at..at + digits)?.iter().try_fold(0, |value, &b| Some(value << 4 | char::from(b).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, want: &str) {
        let mut view = View::default();
        view.decode(source.as_bytes(), Percent::All);
        assert_eq!(String::from_utf8_lossy(view.text()), want, "{source}");
        assert_eq!(view.origin.len(), view.text.len() + 1);
        assert_eq!(view.source_range(0..view.text().len()), 0..source.len());
    }

    #[test]
    fn escapes_of_any_depth() {
        check(r"p\u0061ss", "pass");
        check(r"p\\\\u0061ss", "pass");
        check(r"https:\/\/a\\\/b", "https://a/b");
        check("p%61ss%3Dx", "pass=x");
        check("p%2561ss", "pass");
        check(r#"\"a\" 100% %zz \u12"#, r#"\"a\" 100% %zz \u12"#);
        check(r"\u00e9\xe9", "é\u{FFFD}");
        check("\x1b[1;31mred\x1b[0m", " red ");
        check(r"a\nb\\tc", "a b c");
        check(r"a\bb\fc\vd\ae\0f", "a b c d e f");
        check(r"a\033[0mb\e[1;31mc", "a b c");
        check("", "");
    }

    #[test]
    fn sequences_end_behind_what_is_inside_of_them() {
        assert_eq!(any_sequence_end(br"a\033[1;31mb", 8), 11);
        assert_eq!(any_sequence_end(b"a\x1b[1mb", 3), 5);
        assert_eq!(any_sequence_end(br"a\033[1mb", 9), 9);
    }

    #[test]
    fn words_start_behind_escapes() {
        let check =
            |before: &str, want| assert_eq!(ends_before(before.as_bytes(), before.len()), want, "{before}");
        for escape in [
            r"\n",
            r"\b",
            r"\f",
            r"\v",
            r"\a",
            r"\e",
            r"\0",
            "%3d",
            r"\u003d",
            "\x1b[0m",
            r"\033[0m",
            r"\\x1b[1m",
        ] {
            check(escape, true);
            check(&format!("x{escape}"), true);
        }
        let colours = "38;2;255;100;100;48;2;10;20;30";
        for esc in ["\x1b", r"\e", r"\033", r"\x1B", r"\u001b", r"\\\\u001b"] {
            check(&format!("x{esc}[{colours}m"), true);
            check(&format!("x{esc}[{colours}m", colours = &"1;".repeat(24)), true);
            check(&format!("x{esc}[{colours}m", colours = &"1;".repeat(25)), false);
        }
        for none in ["n", r"\c", r"\z", "0m", "[0m", r"\d[0m", "%3", r"\u00d"] {
            check(none, false);
        }
    }

    #[test]
    fn what_separates_fields_can_stay_encoded() {
        let mut view = View::default();
        assert!(view.decode(b"p%61ss=a%26%62%2561%2526%20%2", Percent::Unreserved));
        assert_eq!(view.text(), b"pass=a%26ba%2526%20%2");
        assert_eq!(view.source_range(9..11), 11..19);
        assert!(!view.decode(b"a%26b", Percent::Unreserved));
    }

    #[test]
    fn ranges_map_to_whole_units() {
        let mut view = View::default();
        assert!(view.decode(b"a%62c%64e", Percent::All));
        assert_eq!(view.text(), b"abcde");
        assert_eq!(view.source_range(1..2), 1..4);
        assert_eq!(view.source_range(2..4), 4..8);
    }
}
