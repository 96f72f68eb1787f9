//! The tokens of JSON (RFC 8259). What is none is refused: two parsers could read it differently.

use std::ops::Range;

use crate::otlp::refused::{Malformed, Refused};
use crate::otlp::wire::malformed;

/// How deep objects and arrays may be nested.
pub(super) const MOST_DEPTH: usize = 2 * crate::otlp::walk::MOST_DEPTH;

pub(super) fn no_json(at: usize) -> Refused {
    malformed(at, Malformed::Json)
}

#[inline]
pub(super) fn blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// What stands between the quotes of the string at `at`.
pub(super) fn string(text: &[u8], at: usize) -> Result<Range<usize>, Refused> {
    if text.get(at) != Some(&b'"') {
        return Err(no_json(at));
    }
    let start = at + 1;
    let mut at = start;
    loop {
        let rest = &text[at..];
        let Some(end) = rest.iter().position(|&byte| STOPS[usize::from(byte)]) else {
            return Err(no_json(text.len()));
        };
        at += end;
        match text[at..] {
            [b'"', ..] => return Ok(start..at),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at += 2,
            [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => at += 6,
            _ => return Err(no_json(at)),
        }
    }
}

/// What ends a run of plain bytes in a string: the quote, an escape, and what must be escaped.
static STOPS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// A value without brackets and quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    Null,
    Boolean,
    Number,
}

/// What stands at `at`, and where it ends.
pub(super) fn bare(text: &[u8], at: usize) -> Result<(Bare, usize), Refused> {
    let rest = &text[at..];
    for (word, kind) in [(&b"null"[..], Bare::Null), (b"true", Bare::Boolean), (b"false", Bare::Boolean)] {
        if rest.starts_with(word) {
            return Ok((kind, at + word.len()));
        }
    }
    let len = rest.iter().take_while(|byte| is_of_number(byte)).count();
    if is_number(&rest[..len]) { Ok((Bare::Number, at + len)) } else { Err(no_json(at)) }
}

fn is_of_number(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether all of it is a number.
pub(super) fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(behind) = rest.strip_prefix(b".") {
        let part = digits(behind);
        if part == 0 {
            return false;
        }
        rest = &behind[part..];
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        let behind = behind.strip_prefix(b"+").or_else(|| behind.strip_prefix(b"-")).unwrap_or(behind);
        let part = digits(behind);
        return part > 0 && part == behind.len();
    }
    rest.is_empty()
}

/// Where the value at `at` ends, whatever it is.
pub(super) fn skip(text: &[u8], mut at: usize) -> Result<usize, Refused> {
    // What closes the brackets that are open.
    let mut open: Vec<u8> = Vec::new();
    loop {
        at = blanks(text, at);
        let mut is_open = false;
        match text.get(at) {
            Some(b'"') => at = string(text, at)?.end + 1,
            Some(&bracket @ (b'{' | b'[')) => {
                if open.len() == MOST_DEPTH {
                    return Err(Refused::TooDeep { most: MOST_DEPTH });
                }
                at = blanks(text, at + 1);
                if text.get(at) == Some(&(bracket + 2)) {
                    at += 1;
                } else {
                    open.push(bracket + 2);
                    is_open = true;
                }
            }
            Some(_) => at = bare(text, at)?.1,
            None => return Err(no_json(at)),
        }
        loop {
            if is_open {
                break;
            }
            let Some(&close) = open.last() else { return Ok(at) };
            at = blanks(text, at);
            match text.get(at) {
                Some(b',') => {
                    at = blanks(text, at + 1);
                    break;
                }
                Some(byte) if *byte == close => {
                    open.pop();
                    at += 1;
                }
                _ => return Err(no_json(at)),
            }
        }
        if open.last() == Some(&b'}') {
            at = name(text, at)?.1;
        }
    }
}

/// The name of the member at `at`, and where its value is.
pub(super) fn name(text: &[u8], at: usize) -> Result<(Range<usize>, usize), Refused> {
    let name = string(text, at)?;
    let colon = blanks(text, name.end + 1);
    if text.get(colon) != Some(&b':') {
        return Err(no_json(colon));
    }
    Ok((name, blanks(text, colon + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for text in [
            "{}",
            "[]",
            "[[],{}]",
            r#"{"a":[1,-2.5e+3,true,null,"x\"\u00e9"],"b":{"c":"d"}}"#,
            " \n1",
            "0.5",
            "\"\"",
        ] {
            assert_eq!(skip(text.as_bytes(), 0), Ok(text.len()), "{text}");
        }
        for text in [
            "",
            "{",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1 2]",
            "01",
            "1.",
            "-",
            "+1",
            "NaN",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "[}",
            "tru",
        ] {
            assert!(skip(text.as_bytes(), 0).is_err(), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(skip(deep.as_bytes(), 0), Err(Refused::TooDeep { most: MOST_DEPTH }));
    }
}
