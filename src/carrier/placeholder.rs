//! Values that only stand for a secret: masks, markers, variables, nothing.

use super::key::KEY_BYTES;
use super::words::Words;

/// Whether `text` holds one of our own markers, `[REDACTED:<rule-id>]` or `[<rule-id>:<key-id>:<24 hex>]`, also
/// with its brackets percent-encoded. What holds one has been cleaned already.
pub fn holds_marker(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'[', b'%', text).any(|at| marker_at(text, at).is_some())
}

/// Where the first of our markers starts that starts in `range`.
pub fn first_marker(line: &[u8], range: std::ops::Range<usize>) -> Option<usize> {
    memchr::memchr2_iter(b'[', b'%', &line[range.clone()])
        .map(|at| range.start + at)
        .find(|&at| marker_at(line, at).is_some())
}

/// Whether a byte of `range` belongs to one of our markers in `line`, its edges left out.
pub fn touches_marker(line: &[u8], range: std::ops::Range<usize>) -> bool {
    let from = range.start.saturating_sub(MAX_MARKER);
    memchr::memchr2_iter(b'[', b'%', &line[from..range.end])
        .any(|at| marker_at(line, from + at).is_some_and(|end| end > range.start))
}

/// The most bytes one of our markers has.
const MAX_MARKER: usize = 256;

/// What ids of rules and keys are made of.
static IN_WORD: [bool; 256] = KEY_BYTES.table();

/// One past the marker of ours that starts at `at`.
pub fn marker_at(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let (open, close): (usize, &[u8]) = match rest {
        [b'[', ..] => (1, b"]"),
        [b'%', b'5', b'B' | b'b', ..] => (3, b"%5"),
        _ => return None,
    };
    let body = &rest[open..];
    let word =
        |from: usize| body[from..].iter().take(101).take_while(|&&byte| IN_WORD[usize::from(byte)]).count();
    let first = word(0);
    let colon = |at: usize| match &body[at.min(body.len())..] {
        [b':', ..] => Some(1),
        [b'%', b'3', b'A' | b'a', ..] => Some(3),
        _ => None,
    };
    let mut end = first + colon(first)?;
    if first == 0 || first > 100 {
        return None;
    }
    let second = word(end);
    if second == 0 || second > 100 {
        return None;
    }
    end += second;
    if &body[..first] != b"REDACTED" {
        end += colon(end)?;
        let digest = body[end..].iter().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count();
        if digest != 24 {
            return None;
        }
        end += digest;
    }
    let closed = body[end..].starts_with(close);
    closed.then_some(at + open + end + if close.len() == 1 { 1 } else { 3 })
}

/// Whether a value under a sensitive key, which holds no marker of ours, only stands for a secret.
pub fn is_placeholder(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if value.is_empty() {
        return true;
    }
    // What opens a list or an object that cannot be seen.
    if matches!(value, b"[" | b"{" | b"(") || is_mask(value) {
        return true;
    }
    let inner = unwrap_brackets(value);
    if inner.len() < value.len() && is_mask(inner.trim_ascii()) {
        return true;
    }
    if STANDS_FOR_NOTHING.has(inner) {
        return true;
    }
    is_variable(value)
}

/// Words that a program writes where it has, or shows, no secret.
static STANDS_FOR_NOTHING: Words = Words::new(&[
    b"null",
    b"none",
    b"nil",
    b"undefined",
    b"true",
    b"false",
    b"yes",
    b"no",
    b"on",
    b"off",
    b"n/a",
    b"na",
    b"empty",
    b"unset",
    b"not set",
    b"redacted",
    b"hidden",
    b"masked",
    b"filtered",
    b"removed",
    b"omitted",
    b"sanitized",
    b"scrubbed",
    b"obfuscated",
    b"suppressed",
    b"sensitive",
    b"protected",
    b"sensitive value",
]);

fn unwrap_brackets(value: &[u8]) -> &[u8] {
    match value {
        [b'[', inner @ .., b']'] | [b'<', inner @ .., b'>'] | [b'(', inner @ .., b')'] => inner,
        [b'{', inner @ .., b'}'] if !inner.contains(&b':') => inner,
        _ => value,
    }
}

/// `****`, `xxxx`, `....`; also a mask with a few bytes kept at either end (`****1234`, `sk-…****`).
fn is_mask(value: &[u8]) -> bool {
    let Some(&first) = value.first() else { return true };
    if matches!(first, b'*' | b'x' | b'X' | b'.' | b'#' | b'-' | b'_' | b'?' | b'=')
        && value.iter().all(|&b| b == first)
        && (value.len() >= 3 || first == b'*')
    {
        return true;
    }
    // U+2022 BULLET and U+25CF BLACK CIRCLE, as password fields show them.
    if value.len() >= 3 && value.chunks(3).all(|c| c == "•".as_bytes() || c == "●".as_bytes()) {
        return true;
    }
    // At most four bytes are none.
    if !value.iter().take(5).any(|&b| b == b'*') {
        return false;
    }
    let stars = value.iter().filter(|&&b| b == b'*').count();
    stars >= 3 && value.len() - stars <= 4
}

/// `${X}`, `$X`, `$(cmd)`, `{{ x }}`, `%s`, `%(x)s`, `%X%`, `<x>`, `{}`, `{0}`, `{name}`.
fn is_variable(value: &[u8]) -> bool {
    let name = |text: &[u8]| {
        !text.is_empty()
            && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '))
    };
    match value {
        [b'$', b'{', .., b'}'] | [b'$', b'(', .., b')'] | [b'{', b'{', .., b'}', b'}'] => true,
        [b'{', b'}'] | [b'%', b's' | b'd' | b'v' | b'q' | b'r'] => true,
        [b'%', b'(', inner @ .., b')', b's'] => name(inner),
        [b'{', inner @ .., b'}'] | [b'<', inner @ .., b'>'] => name(inner) && inner.len() <= 40,
        [b'%', inner @ .., b'%'] => name(inner),
        [b'$', first, rest @ ..] if first.is_ascii_uppercase() || *first == b'_' => {
            rest.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders() {
        for text in [
            "",
            "****",
            "xxxxxx",
            "null",
            "None",
            "<redacted>",
            "[FILTERED]",
            "${DB_PASS}",
            "$DB_PASS",
            "{{ .x.y }}",
            "%s",
            "%(password)s",
            "<your password>",
            "[REDACTED:jwt]",
            "%5BREDACTED:jwt%5D",
            "%5BREDACTED%3Ajwt%5D",
            "[email:k1:0123456789abcdef01234567]",
            "****1234",
            "••••••",
            "Bearer [REDACTED:jwt]",
        ] {
            assert!(holds_marker(text.as_bytes()) || is_placeholder(text.as_bytes()), "{text}");
        }
        for text in
            ["hunter2", "x", "p**", "$2b$10$abc", "[a]b", "%41bc", "{iam:eu", "[REDACTED:]", "Passw0rd"]
        {
            assert!(!holds_marker(text.as_bytes()) && !is_placeholder(text.as_bytes()), "{text}");
        }
    }
}
