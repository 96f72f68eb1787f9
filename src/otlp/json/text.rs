//! How JSON writes text and bytes: escapes and base64, both ways.

/// Writes what a string holds. `origin` takes for each byte of it where in `source` it comes from, and the end.
pub(super) fn unescape(source: &[u8], out: &mut Vec<u8>, mut origin: Option<&mut Vec<u32>>) {
    let mut at = 0;
    let mut note = |from: usize, count: usize, is_run: bool| {
        if let Some(origin) = origin.as_deref_mut() {
            origin.extend((0..count).map(|i| (if is_run { from + i } else { from }) as u32));
        }
    };
    while at < source.len() {
        let run = memchr::memchr(b'\\', &source[at..]).unwrap_or(source.len() - at);
        out.extend_from_slice(&source[at..at + run]);
        note(at, run, true);
        at += run;
        let Some(&letter) = source.get(at + 1) else { break };
        let (character, len) = match letter {
            b'u' => escaped_unit(source, at),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            other => (char::from(other), 2),
        };
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        out.extend_from_slice(bytes);
        note(at, bytes.len(), false);
        at += len;
    }
    note(source.len(), 1, true);
}

/// The character of `\uXXXX` or of a pair of them.
fn escaped_unit(source: &[u8], at: usize) -> (char, usize) {
    let unit = |at: usize| {
        let digits = source.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match (unit(at), unit(at + 6)) {
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        (Some(code), _) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        (None, _) => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// Writes text as it stands in a string.
pub(in crate::otlp) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// Writes a new text in place of the one that `source` holds: what both begin and end with stays as it was written.
pub(super) fn replace(source: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let (mut old, mut origin) = (Vec::with_capacity(source.len()), Vec::with_capacity(source.len() + 1));
    unescape(source, &mut old, Some(&mut origin));
    let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
    let mut head = old.iter().zip(new).take_while(same).count();
    while head > 0 && matches!(old.get(head).or(new.get(head)), Some(0x80..=0xBF)) {
        head -= 1;
    }
    let most = old.len().min(new.len()) - head;
    let mut tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(same).count();
    while tail > 0 && matches!(old[old.len() - tail], 0x80..=0xBF) {
        tail -= 1;
    }
    out.extend_from_slice(&source[..origin[head] as usize]);
    escape(&new[head..new.len() - tail], out);
    out.extend_from_slice(&source[origin[old.len() - tail] as usize..]);
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes bytes as base64.
pub(in crate::otlp) fn to_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { digit } else { b'=' });
        }
    }
}

/// Writes the bytes that base64 stands for, in either alphabet, padded or not; whether it is any.
pub(in crate::otlp) fn from_base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = &text[..text.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return false;
    }
    for chunk in digits.chunks(4) {
        let mut word = 0;
        for &digit in chunk {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return false,
            };
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    true
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes bytes in hexadecimal.
pub(in crate::otlp) fn to_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    );
}

/// Writes the bytes that hexadecimal digits stand for; whether they are any.
pub(super) fn from_hex(text: &[u8], out: &mut Vec<u8>) -> bool {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let all = text.chunks(2).map(|pair| match *pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    });
    for byte in all {
        let Some(byte) = byte else { return false };
        out.push(byte);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(source: &str) -> String {
        let mut out = Vec::new();
        unescape(source.as_bytes(), &mut out, None);
        String::from_utf8(out).expect("a string")
    }

    #[test]
    fn escapes() {
        let cases = [
            (r"a\n\t\/\\\u0041\u00e9", "a\n\t/\\Aé"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83d!", "\u{FFFD}!"),
            ("é😀", "é😀"),
        ];
        for (source, want) in cases {
            assert_eq!(unescaped(source), want);
            let mut out = Vec::new();
            escape(want.as_bytes(), &mut out);
            assert_eq!(unescaped(std::str::from_utf8(&out).expect("text")), want);
        }
        let mut out = Vec::new();
        escape(b"\x01\x1f\"", &mut out);
        assert_eq!(out, br#"\u0001\u001f\""#);
    }

    #[test]
    fn replacing_keeps_what_stands_around() {
        let check = |source: &str, new: &str, want: &str| {
            let mut out = Vec::new();
            replace(source.as_bytes(), new.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), want);
        };
        check(r"a\/b secret \u0041", "a/b [X] A", r"a\/b [X] \u0041");
        check(r"\u00e9\u00e8", "é\"", r#"\u00e9\""#);
        check("same", "same", "same");
        check("aa", "a", "a");
        check("x", "", "");
        check("é", "è", "è");
    }

    #[test]
    fn hexadecimal() {
        let (mut coded, mut back) = (Vec::new(), Vec::new());
        to_hex(b"\x00\xA9z", &mut coded);
        assert_eq!(coded, b"00a97a");
        assert!(from_hex(b"00A97a", &mut back) && back == b"\x00\xA9z");
        assert!(!from_hex(b"0", &mut back) && !from_hex(b"0g", &mut back));
    }

    #[test]
    fn base64() {
        for text in ["", "a", "ab", "abc", "abcd", "\u{fffd}\u{fffd}~"] {
            let (mut coded, mut back) = (Vec::new(), Vec::new());
            to_base64(text.as_bytes(), &mut coded);
            assert!(from_base64(&coded, &mut back));
            assert_eq!(back, text.as_bytes());
        }
        let mut out = Vec::new();
        assert!(from_base64(b"-_8", &mut out) && out == [0xFB, 0xFF]);
        for text in [&b"a"[..], b"ab=", b"a===", b"a b=", b"ab=c"] {
            assert!(!from_base64(text, &mut Vec::new()));
        }
    }
}
