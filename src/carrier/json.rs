//! The tokens of a JSON line, so that a replacement never touches its structure (RFC 8259).
//!
//! This is a lexer, not a parser: what is valid JSON keeps its brackets, keys and order whatever is replaced inside
//! its scalars, and what is not valid is none of our business.

use std::ops::Range;

use crate::rules::byte_set::ByteSet;

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

/// Whether the line is a document of JSON, and nothing else. What only looks like one, such as a log message between
/// brackets, has no structure to keep.
pub fn is_record(line: &[u8]) -> bool {
    record(line, |_, _| {})
}

/// As [`is_record`]; calls `found` with every scalar of the document, in order. If it turns out to be none, what it was
/// called with means nothing.
pub fn record(line: &[u8], mut found: impl FnMut(Range<usize>, Scalar)) -> bool {
    let text = without_mark(line).trim_ascii_start();
    let base = line.len() - text.len();
    looks_like_record(line)
        && document(text.trim_ascii_end(), |scalar, kind| found(base + scalar.start..base + scalar.end, kind))
}

/// Whether the line begins and ends as a document does.
pub fn looks_like_record(line: &[u8]) -> bool {
    matches!(without_mark(line).trim_ascii(), [b'{', .., b'}'] | [b'[', .., b']'])
}

/// A line without the mark of byte order that a file may begin with.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
}

/// Bytes that stand outside of a document's strings: brackets, operators, blanks, numbers, words, the mark of byte order.
const OUTSIDE_STRINGS: ByteSet =
    ByteSet::of_each(b"{}[]:, \t\r\n\x0C+-.eE\"truefalsenullNaNInfinity\xEF\xBB\xBF").with_range(b'0', b'9');
/// How far back the start of a plain string is looked for, and how long what stands in it may be.
const PLAIN_REACH: usize = 512;

/// If `line` is a document and `range` plain text in one of its strings, whether a document in it could not hold it, so
/// that cutting it at tokens would leave it as it is. `is_value`: it is no key of an object.
///
/// Nothing is said of other ranges: `false` is no answer.
pub fn is_plain_text(line: &[u8], range: Range<usize>, is_value: bool) -> bool {
    let text = &line[range.clone()];
    // What no number or word has and nothing outside of strings, and no quote that would end the string: it is in one.
    if text.len() > PLAIN_REACH
        || memchr::memchr2(b'"', b'\\', text).is_some()
        || text.iter().all(|&byte| OUTSIDE_STRINGS.has(byte))
    {
        return false;
    }
    // Without an escape between it and the quote the string begins with: no document in the string has a quote there.
    let floor = range.start.saturating_sub(PLAIN_REACH);
    let Some(open) = memchr::memrchr2(b'"', b'\\', &line[floor..range.start]).map(|at| floor + at) else {
        return false;
    };
    let begins = line[open] == b'"' && (open == 0 || line[open - 1] != b'\\');
    let rest = &line[range.end..];
    // A key is a string with a colon behind it.
    let is_all =
        || rest.first() == Some(&b'"') && !matches!(rest[1..].trim_ascii_start().first(), Some(b':'));
    begins && (!is_value || open + 1 < range.start || is_all())
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

#[inline]
fn string_end(line: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at = quote_or_escape(line, at);
        match line.get(at) {
            None => return line.len(),
            Some(b'"') => return at,
            Some(_) => at = (at + 2).min(line.len()),
        }
    }
}

/// Where the first quote or backslash from `at` on is, or the end. Most strings are short: a few words of eight bytes
/// are compared before a search that has to be set up.
#[inline]
fn quote_or_escape(line: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    for _ in 0..4 {
        let Some(&bytes) = line.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(bytes);
        // The lowest bit is that of the first; bits above it may be wrong.
        let found = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', &line[at..]).map_or(line.len(), |found| at + found)
}

/// The content of a string, its escapes undone, with the offset in the source of the escape or byte that gave each
/// byte. `\u` escapes of half a character give a question mark: they are no structure.
#[derive(Default)]
pub struct Content {
    text: Vec<u8>,
    /// One more entry for the end.
    origin: Vec<u32>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

impl Content {
    /// The content between a string's quotes.
    pub fn of(source: &[u8]) -> Self {
        let mut content = Self::default();
        content.read(source);
        content
    }

    /// Takes the content between another string's quotes.
    pub fn read(&mut self, source: &[u8]) {
        let Self { text, origin } = self;
        text.clear();
        text.reserve(source.len());
        origin.clear();
        origin.reserve(source.len() + 1);
        let mut at = 0;
        while at < source.len() {
            let run = memchr::memchr(b'\\', &source[at..]).unwrap_or(source.len() - at);
            text.extend_from_slice(&source[at..at + run]);
            origin.extend(at as u32..(at + run) as u32);
            at += run;
            let Some(&letter) = source.get(at + 1) else { break };
            let (len, byte) = match letter {
                b'n' => (2, b'\n'),
                b'r' => (2, b'\r'),
                b't' => (2, b'\t'),
                b'b' | b'f' => (2, b'?'),
                b'u' => {
                    let digits =
                        source.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
                    let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    (6, code.filter(u8::is_ascii).unwrap_or(b'?'))
                }
                other => (2, other),
            };
            text.push(byte);
            origin.push(at as u32);
            at += len;
        }
        origin.push(source.len() as u32);
    }

    /// What the string holds.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where a range of the source is in the text.
    pub fn range_of(&self, source: Range<usize>) -> Range<usize> {
        let start = self.origin.partition_point(|&at| (at as usize) <= source.start).saturating_sub(1);
        let end = self.origin.partition_point(|&at| (at as usize) < source.end);
        start..end.min(self.text.len())
    }

    /// Where a range of the text came from.
    pub fn source_range(&self, range: Range<usize>) -> Range<usize> {
        self.origin[range.start] as usize..self.origin[range.end] as usize
    }
}

/// The brackets that are open, a bit for each: whether it is that of an object.
#[derive(Default)]
struct Open {
    depth: usize,
    /// The innermost 64.
    last: u64,
    rest: Vec<u64>,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.rest.push(self.last);
        }
        self.last = self.last << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.last >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.last = self.rest.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost is that of an object.
    fn is_object(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.last & 1 == 1)
    }
}

/// Whether `text` is an object or array of JSON, and nothing else; calls `found` with its scalars, as [`record`].
pub fn document(text: &[u8], mut found: impl FnMut(Range<usize>, Scalar)) -> bool {
    let mut open = Open::default();
    let mut at = skip_blanks(text, 0);
    if !matches!(text.get(at), Some(b'{' | b'[')) {
        return false;
    }
    loop {
        // A value, behind a key in an object.
        let end = match text.get(at) {
            Some(&bracket @ (b'{' | b'[')) => {
                let inside = skip_blanks(text, at + 1);
                if text.get(inside) == Some(&(bracket + 2)) {
                    inside + 1
                } else {
                    let is_object = bracket == b'{';
                    open.push(is_object);
                    let Some(value) = value_start(text, inside, is_object, &mut found) else { return false };
                    at = value;
                    continue;
                }
            }
            Some(b'"') => {
                let end = string_end(text, at + 1);
                found(at + 1..end, Scalar::Text);
                end + 1
            }
            _ => match bare_len(text, at) {
                0 => return false,
                len => {
                    found(at..at + len, Scalar::Bare);
                    at + len
                }
            },
        };
        // What closes behind it, then the next.
        at = skip_blanks(text, end);
        loop {
            let Some(is_object) = open.is_object() else { return at == text.len() };
            match text.get(at) {
                Some(b'}') if is_object => {}
                Some(b']') if !is_object => {}
                Some(b',') => {
                    let next = skip_blanks(text, at + 1);
                    let Some(value) = value_start(text, next, is_object, &mut found) else { return false };
                    at = value;
                    break;
                }
                _ => return false,
            }
            open.pop();
            at = skip_blanks(text, at + 1);
        }
    }
}

/// Where the value starts of what starts at `at` inside an object or an array.
#[inline]
fn value_start(
    text: &[u8],
    at: usize,
    is_object: bool,
    found: &mut impl FnMut(Range<usize>, Scalar),
) -> Option<usize> {
    if !is_object {
        return Some(at);
    }
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let end = string_end(text, at + 1);
    found(at + 1..end, Scalar::Key);
    let colon = skip_blanks(text, end + 1);
    (text.get(colon) == Some(&b':')).then(|| skip_blanks(text, colon + 1))
}

/// The length of the number, `true`, `false` or `null` at `at`; also of what Python writes for numbers that are none.
fn bare_len(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let words: &[&[u8]] = match rest {
        [b'0'..=b'9', ..] => &[],
        _ => &[b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity"],
    };
    if let Some(word) = words.iter().find(|word| rest.starts_with(word)) {
        return word.len();
    }
    rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count()
}

#[inline]
fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
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
    fn what_a_string_holds() {
        let source = br#"{\"a\":\"\u0041\\n\n\"}"#;
        let content = Content::of(source);
        assert_eq!(content.text(), b"{\"a\":\"A\\n\n\"}");
        assert_eq!(content.range_of(9..15), 6..7);
        assert_eq!(content.range_of(10..16), 6..8);
        assert_eq!(content.source_range(6..7), 9..15);
        assert_eq!(content.source_range(0..content.text().len()), 0..source.len());
    }

    #[test]
    fn whole_documents() {
        for text in [r#"{}"#, "[ ]", r#" {"a" : [1,-2.5e3,true,{"b":null}], "c":"d\"e"} "#, "[[[]]]"] {
            assert!(document(text.as_bytes(), |_, _| {}), "{text}");
        }
        for text in
            [r#"{"a"}"#, "[1,]", "{a:1}", "[1 2]", "{\"a\":1", "[]]", "1", "", "[\"a]", "{\"a\":}", "[}"]
        {
            assert!(!document(text.as_bytes(), |_, _| {}), "{text}");
        }
    }

    #[test]
    fn plain_text_of_a_document_stays() {
        let mut plain = 0;
        for line in [
            r#"{"go":"pq","k1":[1.5,"x y","e"],"m":"p=q, x"}"#,
            r#"{"m":"{\"g\":\"\\u0067o\",\"n\":[10,\"gg\"]}","o":{"q" : "true"}}"#,
            r#" ["[1,\"g\"] ","{g}", -2E5, "a\\g", "\u0041g", null ] "#,
            "\u{feff}[{},\"\",\"g:h\"]",
        ] {
            let line = line.as_bytes();
            let mut scalars = Vec::new();
            assert!(record(line, |scalar, kind| scalars.push((scalar, kind))));
            for (start, end) in
                (0..line.len()).flat_map(|start| (start + 1..=line.len()).map(move |end| (start, end)))
            {
                for is_value in [false, true] {
                    if !is_plain_text(line, start..end, is_value) {
                        continue;
                    }
                    plain += 1;
                    let holds = |scalar: &Range<usize>| scalar.start <= start && end <= scalar.end;
                    let (scalar, kind) =
                        scalars.iter().find(|(scalar, _)| holds(scalar)).expect("inside a scalar");
                    let is_key = *kind == Scalar::Key && is_value && scalar.start == start;
                    assert!(*kind != Scalar::Bare && !is_key, "{:?}", &line[start..end]);
                    assert_eq!(whole_escapes(line, scalar.clone(), start..end), start..end);
                    assert!(!document(Content::of(&line[scalar.clone()]).text(), |_, _| {}));
                }
            }
        }
        assert!(plain > 40, "{plain}");
    }

    #[test]
    fn documents() {
        assert!(is_record(br#" {"a":1} "#));
        assert!(is_record("\u{feff}[]".as_bytes()));
        assert!(is_record(b"[1, -2.5e3]"));
        assert!(is_record(b"[null]"));
        assert!(!is_record(b"[INFO] started"));
        assert!(!is_record(b"[2026-11-20] running ['a']"));
        assert!(!is_record(b"[2026-07-07 10:00:00] [1] argv ['--password', 'x']"));
        assert!(!is_record(b"[17] argv ['--password', 'x']"));
        assert!(!is_record(b"[nats-0] ready [1]"));
        assert!(!is_record(b"{cut"));
    }
}
