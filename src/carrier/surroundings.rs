//! What stands around a finding decides how its replacement must be written.

use std::ops::Range;

use super::quote::{self, Quote};
use crate::finding::Place;

/// How far back the start of a URL is looked for.
const URL_REACH: usize = 2048;
/// How far back the string is looked for that a number stands behind.
const NUMBER_REACH: usize = 512;

/// How a replacement has to be written to be right where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// As it is. Markers are made of bytes that need no escape in strings of JSON, XML, YAML or a shell.
    Text,
    /// In a URL or a form body: `[` and `]` percent-encoded (RFC 3986, section 2.2).
    Url,
    /// In place of a JSON number (or Python's): between quotes.
    Number(Quote),
}

/// What stands around `range` of `line`, which is at `place` of its document.
pub fn of(line: &[u8], range: Range<usize>, place: Place) -> Surroundings {
    let quote = match place {
        Place::Bare(depth) => Some(Quote { mark: b'"', escapes: (1 << depth) - 1 }),
        // In a string there may be Python's numbers, or a document that is cut off: never with the quotes of the
        // string itself or of one around it.
        Place::String(depth) => number_quote(line, range.clone())
            .filter(|quote| quote.mark == b'\'' || quote.escapes + 1 >= 2 << depth),
        Place::Line => number_quote(line, range.clone()),
    };
    if let Some(quote) = quote {
        Surroundings::Number(quote)
    } else if is_in_url(line, range) {
        Surroundings::Url
    } else {
        Surroundings::Text
    }
}

/// Whether what follows `range` lets it be a number.
pub fn may_be_number(line: &[u8], range: Range<usize>) -> bool {
    matches!(line[range.end..].trim_ascii_start().first(), None | Some(b',' | b']' | b'}' | b')'))
}

/// The quote to write around the replacement of a bare scalar: the one its neighbours have.
fn number_quote(line: &[u8], range: Range<usize>) -> Option<Quote> {
    let floor = range.start.saturating_sub(NUMBER_REACH);
    if !may_be_number(line, range.clone()) {
        return None;
    }
    let before = line[floor..range.start].trim_ascii_end();
    let value = &line[range];
    let is_number = || {
        [&b"null"[..], b"true", b"false"].contains(&value)
            || value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'))
    };
    match before.last()? {
        b':' => {
            let key_end = floor + before[..before.len() - 1].trim_ascii_end().len();
            quote::before(line, key_end).filter(|q| q.mark != b'`')
        }
        b'[' | b',' if is_number() => {
            // Behind a string that has ended, so not inside one.
            let Some(mark) = before.iter().rposition(|&b| b == b'"') else {
                // A document of numbers.
                let is_document = floor == 0
                    && before.first().is_some_and(|b| matches!(b, b'[' | b'{'))
                    && before.iter().all(|b| b.is_ascii_digit() || b"[]{}, .-+eEnultrfas".contains(b));
                return is_document.then_some(Quote { mark: b'"', escapes: 0 });
            };
            let next = before[mark + 1..].trim_ascii_start().first();
            let quote = quote::before(line, floor + mark + 1)?;
            let between = &before[mark + 1..];
            // Or in a document of numbers that is itself a string.
            let is_inner = between.starts_with(b"[")
                && between.iter().all(|b| {
                    b.is_ascii_digit()
                        || matches!(b, b'[' | b']' | b'{' | b'}' | b',' | b' ' | b'.' | b'-')
                        || b"nultrefas".contains(b)
                });
            if is_inner {
                return Some(Quote { escapes: 2 * quote.escapes + 1, ..quote });
            }
            matches!(next, Some(b':' | b',' | b']' | b'}')).then_some(quote)
        }
        _ => None,
    }
}

fn is_in_url(line: &[u8], range: Range<usize>) -> bool {
    let floor = range.start.saturating_sub(URL_REACH);
    let head = &line[floor..range.start];
    let mut has_sign = line.get(range.end) == Some(&b'&');
    let mut start = head.len();
    while let Some(before) = start.checked_sub(1) {
        match PART[usize::from(head[before])] {
            Part::End => break,
            part => has_sign |= part == Part::Sign,
        }
        start = before;
    }
    if !has_sign {
        return false;
    }
    let head = &head[start..];
    let is_scheme = |at: usize| head[at..].starts_with(b"://") || head[at..].starts_with(b":\\/\\/");
    if memchr::memchr_iter(b':', head).any(is_scheme) {
        return true;
    }
    if let Some(query) = memchr::memchr(b'?', head)
        && memchr::memchr(b'=', &head[query..]).is_some()
    {
        return true;
    }
    // A form body: fields joined by `&`.
    let in_form = |text: &[u8]| {
        memchr::memchr(b'&', text).is_some_and(|i| text.get(i + 1).is_some_and(u8::is_ascii_alphabetic))
    };
    let is_field = memchr::memchr(b'=', head).is_some();
    let tail = &line[range.end..];
    is_field && (in_form(head) || (tail.first() == Some(&b'&') && in_form(&tail[..tail.len().min(8)])))
        || memchr::memchr_iter(b'%', head).any(|at| matches!(head[at..], [_, b'3', b'D' | b'd', ..]))
}

/// What a byte is to a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Inside,
    /// One of these is in every URL.
    Sign,
    End,
}

static PART: [Part; 256] = {
    let mut table = [Part::Inside; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b':' | b'?' | b'&' | b'%' => Part::Sign,
            b'"' | b'\'' | b'<' | b'>' | b'`' | b'{' | b'}' | 0x1B => Part::End,
            other if other.is_ascii_whitespace() => Part::End,
            _ => Part::Inside,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: Surroundings) {
        let start = line.find("4111").expect("value");
        assert_eq!(of(line.as_bytes(), start..start + 4, Place::Line), want, "{line}");
    }

    #[test]
    fn numbers_get_the_quotes_of_their_keys() {
        let plain = Surroundings::Number(Quote { mark: b'"', escapes: 0 });
        check(r#"{"pan":4111,"x":1}"#, plain);
        check(r#"{"pan": 4111}"#, plain);
        check(r#"{"pan":[1, 4111]}"#, plain);
        check(r#"{"m":"{\"pan\":4111}"}"#, Surroundings::Number(Quote { mark: b'"', escapes: 1 }));
        check("{'pan': 4111}", Surroundings::Number(Quote { mark: b'\'', escapes: 0 }));
        check(r#"{"m":"pan [4111]"}"#, Surroundings::Text);
        check("pan: 4111, x", Surroundings::Text);
    }

    #[test]
    fn urls_and_forms() {
        check("GET /a?b=4111 HTTP/1.1", Surroundings::Url);
        check("https://u:4111@h/", Surroundings::Url);
        check("a=1&b=4111", Surroundings::Url);
        check("a=4111&b=1", Surroundings::Url);
        check("a=4111 b=1", Surroundings::Text);
        check("what? 4111", Surroundings::Text);
    }
}
