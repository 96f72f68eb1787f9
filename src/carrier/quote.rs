//! Quotes under any number of escapings.
//!
//! A quote inside a JSON string inside a JSON string is written `\"`, one level deeper `\\\"`, and so on: at depth d
//! it stands behind 2^d - 1 backslashes. A quote that closes its string stands behind as many backslashes as the one
//! that opened it, or behind that many and a whole number of escaped backslashes.

/// A quotation mark and the backslashes in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// `"`, `'` or a backtick.
    pub mark: u8,
    /// How many backslashes stand in front of it.
    pub escapes: usize,
}

impl Quote {
    /// How many bytes it takes.
    pub fn width(self) -> usize {
        self.escapes + 1
    }
}

/// Whether `byte` is a quotation mark.
pub fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// The quote that starts at `at`.
pub fn at(text: &[u8], at: usize) -> Option<Quote> {
    let escapes = text.get(at..)?.iter().take_while(|&&b| b == b'\\').count();
    let mark = *text.get(at + escapes)?;
    is_mark(mark).then_some(Quote { mark, escapes })
}

/// The quote that ends right before `end`.
pub fn before(text: &[u8], end: usize) -> Option<Quote> {
    let mark = *text.get(end.checked_sub(1)?)?;
    is_mark(mark).then(|| Quote { mark, escapes: backslashes_before(text, end - 1) })
}

/// How many backslashes stand right before `at`.
pub fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at].iter().rev().take_while(|&&b| b == b'\\').count()
}

/// Where the string that `open` opened ends: the offset of its closing quote (of the first backslash), or the end of
/// `text` if it is cut off. `from` is the first byte of the string's content.
pub fn content_end(text: &[u8], from: usize, open: Quote) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memchr(open.mark, &text[at..]) {
        let mark = at + found;
        let escapes = backslashes_before(&text[from..], mark - from);
        // Fewer backslashes than it was opened with: a string around this one ends, so this one was cut off.
        if escapes < open.escapes || escapes % (2 * (open.escapes + 1)) == open.escapes {
            return mark - escapes.min(open.escapes);
        }
        at = mark + 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let open = at(text.as_bytes(), 0).expect("quote");
        let end = content_end(text.as_bytes(), open.width(), open);
        assert_eq!(&text[open.width()..end], want, "{text}");
    }

    #[test]
    fn closing_quotes_are_found_at_any_depth() {
        check(r#""abc" d"#, "abc");
        check(r#""a\"c" d"#, r#"a\"c"#);
        check(r#""a\\" d"#, r"a\\");
        check(r#"\"abc\" d"#, "abc");
        check(r#"\"a\\\"c\" d"#, r#"a\\\"c"#);
        check(r#"\"a\\\\\" d"#, r"a\\\\");
        check(r#"\\\"abc\\\",\\\"d"#, "abc");
        check(r#"\"abc" d"#, "abc");
        check("'it is' d", "it is");
        check(r#""cut off"#, "cut off");
    }
}
