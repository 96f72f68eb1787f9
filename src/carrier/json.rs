//! The tokens of a JSON line, so that a replacement never touches its structure (RFC 8259).
//!
//! This is a lexer, not a parser: what is valid JSON keeps its brackets, keys and order whatever is replaced inside
//! its scalars, and what is not valid is none of our business.

use std::ops::Range;

/// A scalar of a JSON line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// What stands between the quotes of an object's key.
    Key,
    /// What stands between the quotes of a string.
    Text,
    /// A number, `true`, `false` or `null`.
    Bare,
}

/// Whether the line looks like a JSON document: its first byte that is not blank opens an object or an array of
/// something JSON has. `[2026-07-07 10:00:00] … [x]` is none.
pub fn looks_like(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    match line {
        [b'{', rest @ .., b'}'] => matches!(rest.trim_ascii_start().first(), None | Some(b'"')),
        [b'[', rest @ .., b']'] => {
            let rest = rest.trim_ascii_start();
            match rest.first() {
                None | Some(b'"' | b'{' | b'[') => true,
                // A number or a word, and then the end of the array or the next element.
                Some(b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => {
                    let is_part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
                    let len = rest.iter().take_while(is_part).count();
                    let is_scalar =
                        [&b"true"[..], b"false", b"null"].contains(&&rest[..len]) || is_number(&rest[..len]);
                    is_scalar && matches!(rest[len..].trim_ascii_start().first(), None | Some(b','))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// A number as JSON writes it; leading zeros pass.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(&text[at..]);
    at += whole;
    if text.get(at) == Some(&b'.') {
        at += 1 + digits(&text[at + 1..]);
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += digits(&text[at..]);
    }
    whole > 0 && at == text.len()
}

/// Calls `found` with every scalar of the line, in order.
pub fn scalars(line: &[u8], mut found: impl FnMut(Range<usize>, Scalar)) {
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => {
                let end = string_end(line, at + 1);
                let after = line.get(end + 1..).unwrap_or_default();
                let is_key = after.trim_ascii_start().first() == Some(&b':');
                found(at + 1..end, if is_key { Scalar::Key } else { Scalar::Text });
                at = end + 1;
            }
            b'{' | b'}' | b'[' | b']' | b':' | b',' | b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                let len = line[at..]
                    .iter()
                    .take_while(|b| {
                        !matches!(
                            b,
                            b'"' | b'{' | b'}' | b'[' | b']' | b':' | b',' | b' ' | b'\t' | b'\r' | b'\n'
                        )
                    })
                    .count();
                found(at..at + len, Scalar::Bare);
                at += len;
            }
        }
    }
}

fn string_end(line: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &line[at..]) {
        at += found;
        if line[at] == b'"' {
            return at;
        }
        at = (at + 2).min(line.len());
    }
    line.len()
}

/// Widens `range`, inside the string `content`, so that it cuts no escape in two.
pub fn whole_escapes(line: &[u8], content: Range<usize>, range: Range<usize>) -> Range<usize> {
    let mut start = range.start;
    let mut end = range.end;
    if let Some(escape) = escape_over(line, content.clone(), start) {
        start = escape.start;
    }
    if let Some(escape) = escape_over(line, content.clone(), end) {
        end = escape.end.min(content.end);
    }
    start..end
}

/// The escape that `at` is strictly inside of.
fn escape_over(line: &[u8], content: Range<usize>, at: usize) -> Option<Range<usize>> {
    // `\uXXXX`, entered behind its `u`.
    for back in 2..=5 {
        if let Some(start) = at.checked_sub(back).filter(|&s| s >= content.start)
            && line[start] == b'\\'
            && line.get(start + 1) == Some(&b'u')
            && is_escaping(line, content.start, start)
            && start + 6 <= content.end
        {
            return Some(start..start + 6);
        }
    }
    let start = at.checked_sub(1).filter(|&s| s >= content.start && line[s] == b'\\')?;
    let len = if line.get(at) == Some(&b'u') { 6 } else { 2 };
    is_escaping(line, content.start, start).then_some(start..start + len)
}

/// Whether the backslash at `at` starts an escape rather than being escaped itself.
fn is_escaping(line: &[u8], from: usize, at: usize) -> bool {
    line[from..at].iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: &[&str]) {
        let mut got = Vec::new();
        scalars(line.as_bytes(), |range, _| got.push(&line[range]));
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn scalars_in_order() {
        check(r#"{"a":"b","c":[1,-2.5e3,true]}"#, &["a", "b", "c", "1", "-2.5e3", "true"]);
        check(r#"{"a\"b" : "\\"}"#, &[r#"a\"b"#, r"\\"]);
        check(r#"{"cut":"o"#, &["cut", "o"]);
        check("{}", &[]);
    }

    #[test]
    fn escapes_stay_whole() {
        let line = br#""ab\u0041\\c""#;
        assert_eq!(whole_escapes(line, 1..12, 5..9), 3..9);
        assert_eq!(whole_escapes(line, 1..12, 1..10), 1..11);
        assert_eq!(whole_escapes(line, 1..12, 1..11), 1..11);
    }

    #[test]
    fn documents() {
        assert!(looks_like(br#" {"a":1} "#));
        assert!(looks_like(b"[]"));
        assert!(looks_like(b"[1, -2.5e3]"));
        assert!(looks_like(b"[null]"));
        assert!(!looks_like(b"[INFO] started"));
        assert!(!looks_like(b"[2026-07-07 10:00:00] [1] argv ['--password', 'x']"));
        assert!(!looks_like(b"[17] argv ['--password', 'x']"));
        assert!(!looks_like(b"[nats-0] ready [1]"));
        assert!(!looks_like(b"{cut"));
    }
}
