//! Names and values side by side: `"name": "key", "value": "v"` in either order, in JSON, Python or XML attributes; on
//! two lines, as YAML has them; in a sentence; as arguments in an audit log.

use std::ops::Range;

use super::key::{self, Key};
use super::line::Line;
use super::quote::{self, Quote};
use super::tie::{GAP, Shape, Tie, blanks, blanks_before, value_at};
use super::words::Words;
use crate::finding::Link;

/// The most bytes between the two halves of a pair.
const PAIR_GAP: usize = 512;

/// The furthest right that a name on a line of its own may stand.
const MAX_COLUMN: usize = 256;

/// Names that other names are values of, and names of the values they are paired with.
static NAME_NAMES: Words = Words::new(&[
    b"name",
    b"key",
    b"k",
    b"field",
    b"param",
    b"parameter",
    b"header",
    b"variable",
    b"env",
    b"attribute",
    b"id",
    b"label",
    b"option",
    b"property",
    b"setting",
    b"n",
    b"headername",
]);
static VALUE_NAMES: Words = Words::new(&[
    b"value",
    b"val",
    b"v",
    b"content",
    b"data",
    b"stringvalue",
    b"string_value",
    b"text",
    b"s",
    b"currentvalue",
    b"current_value",
    b"defaultvalue",
    b"intvalue",
    b"bytesvalue",
    b"newvalue",
    b"plaintext",
]);

/// Whether a value is named so, rather than by what it is for.
pub fn is_value_name(name: &[u8]) -> bool {
    VALUE_NAMES.has(name)
}

/// Whether what is named so is the name of something else.
pub fn is_name_name(name: &[u8]) -> bool {
    NAME_NAMES.has(name)
}

/// Where the list of bytes is in `{"type":"Buffer","data":[…]}`, as Node.js writes bytes. What is at `from` follows the
/// `name` of the object's first field and its colon; both names are between quotes as `open`.
pub(super) fn buffer_bytes(line: &[u8], name: &[u8], from: usize, open: Quote) -> Option<usize> {
    let behind_word = |at: usize, word: &[u8]| {
        let start = at + blanks(line, at);
        let end = start + open.width() + word.len();
        let is_word = quote::at(line, start) == Some(open)
            && line.get(start + open.width()..end) == Some(word)
            && quote::at(line, end) == Some(open);
        is_word.then(|| end + open.width() + blanks(line, end + open.width()))
    };
    if name != b"type" {
        return None;
    }
    let comma = behind_word(from, b"Buffer").filter(|&at| line.get(at) == Some(&b','))?;
    let colon = behind_word(comma + 1, b"data").filter(|&at| line.get(at) == Some(&b':'))?;
    let list = colon + 1 + blanks(line, colon + 1);
    (line.get(list) == Some(&b'[')).then_some(list)
}

/// The value tied to a quoted key by neither an operator nor brackets.
pub(super) fn pair(line: &Line<'_>, key: &Key, closing: Quote) -> Option<Tie> {
    let from = key.end + closing.width();
    if key.is_flag
        && let Some(tie) = next_argument(line, from)
    {
        return Some(tie);
    }
    let open_mark = quote_start(line, key.start, closing)?;
    match name_before(line, open_mark) {
        Some(named) => pair_with(line, named, from, closing),
        None => told(line, open_mark, from),
    }
}

/// `a1="--key" a2="v"`: arguments as the Linux audit log writes them.
fn next_argument(line: &Line<'_>, from: usize) -> Option<Tie> {
    let at = from + blanks(line, from);
    let digits = line.get(at + 1..)?.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
    let equals = at + 1 + digits;
    let is_argument = at > from && line[at] == b'a' && digits > 0 && line.get(equals) == Some(&b'=');
    is_argument.then(|| value_at(line, equals + 1, Link::Flag, None)).flatten()
}

/// `key 'k' … with value 'v'`: a sentence.
fn told(line: &Line<'_>, open_mark: usize, from: usize) -> Option<Tie> {
    const WORD: &[u8] = b"value ";
    let before = &line[..open_mark - blanks_before(line, open_mark)];
    let len = before.iter().rev().take(16).take_while(|b| b.is_ascii_alphabetic()).count();
    let name = &before[before.len() - len..];
    if !NAME_NAMES.has(name) {
        return None;
    }
    let reach = &line[from..line.len().min(from + PAIR_GAP)];
    let at = memchr::memmem::find_iter(reach, WORD)
        .map(|at| from + at + WORD.len())
        .find(|&at| quote::at(line, at + blanks(line, at)).is_some())?;
    value_at(line, at, Link::Pair, None)
}

/// Where the name in front of `key` starts, if the two are a line of their own, but for what a list or an object opens
/// with: `- name: KEY`.
pub fn named_at_end(line: &[u8], key: &Key) -> Option<usize> {
    let closing = quote::at(line, key.end);
    let width = closing.map_or(0, Quote::width);
    let rest = &line[(key.end + width).min(line.len())..];
    let is_end = rest.len() <= GAP && matches!(rest.trim_ascii_end(), b"" | b",");
    let start = key.start.checked_sub(width).filter(|_| is_end)?;
    let open = closing.and(quote::before(line, key.start));
    let colon = start
        .checked_sub(1 + blanks_before(line, start))
        .filter(|&at| line[at] == b':' && open == closing)?;
    let end = colon - quote::before(line, colon).map_or(0, Quote::width);
    let len = line[..end].iter().rev().take(16).take_while(|b| b.is_ascii_alphabetic()).count();
    let name = end - len;
    let is_first = name <= MAX_COLUMN
        && line[..name].iter().all(|b| matches!(b, b' ' | b'\t' | b'-' | b'{' | b'[' | b'"' | b'\''));
    (is_first && NAME_NAMES.has(&line[name..end])).then_some(name)
}

/// The value of a line that reads `value: v` from `column` on or further right, and the key that names it.
pub fn value_of_line(line: &Line<'_>, column: usize) -> Option<(Key, Tie)> {
    let blank = line.iter().take(MAX_COLUMN).take_while(|b| matches!(b, b' ' | b'\t')).count();
    let name = blank + quote::at(line, blank).map_or(0, Quote::width);
    let len = line[name..].iter().take(16).take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
    let key = key::around(line, name..name + len).filter(|_| len > 0 && name >= column)?;
    let tie = value_named_at(line, name)?;
    // What opens a block or stands for a value elsewhere.
    let is_yaml = tie.shape == Shape::Bare
        && matches!(line[tie.range()].first(), Some(b'|' | b'>' | b'&' | b'*' | b'!'));
    (!is_yaml).then_some((key, tie))
}

/// `"name": "key", "value": "v"` and `"value": "v", "name": "key"`, as JSON, Python or XML attributes. `from`: where
/// the key ends, its quote left out.
fn pair_with(line: &Line<'_>, named: Range<usize>, from: usize, closing: Quote) -> Option<Tie> {
    if !NAME_NAMES.has(&line[named.clone()]) {
        return None;
    }
    // Forwards to the end of the object, then backwards to its start.
    let to = line.len().min(from + PAIR_GAP);
    let mut at = from;
    let mut depth = 0usize;
    while at < to {
        match line[at] {
            b'{' | b'}' | b'<' | b'>' if is_structure(line, at, closing) => match line[at] {
                // An object beside the value is skipped.
                b'{' => depth += 1,
                b'}' if depth > 0 => depth -= 1,
                _ => break,
            },
            b'{' if line[at..].starts_with(b"{}") => at += 1,
            _ if depth == 0 && begins_word(line, at) => {
                if let Some(tie) = value_named_at(line, at) {
                    return Some(tie);
                }
            }
            _ => {}
        }
        at += 1;
    }
    let floor = named.start.saturating_sub(PAIR_GAP);
    // An object of JSON or a tag of XML: the other's opening bracket may be part of a value.
    let opening = if quote::before(line, named.start).is_some() { b'{' } else { b'<' };
    let mut at = named.start;
    while at > floor {
        at -= 1;
        if line[at] == opening && is_structure(line, at, closing) {
            break;
        }
        if begins_word(line, at)
            && let Some(tie) = value_named_at(line, at).filter(|tie| tie.end < named.start)
        {
            return Some(tie);
        }
    }
    None
}

/// Whether a word begins at `at`. Asked of every byte between two halves.
#[inline]
fn begins_word(line: &[u8], at: usize) -> bool {
    let is_word = |at: usize| line.get(at).is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_');
    is_word(at) && !at.checked_sub(1).is_some_and(is_word)
}

/// Where the string that ends with the key was opened: right before the key, or a few words before it.
fn quote_start(line: &[u8], start: usize, closing: Quote) -> Option<usize> {
    let floor = start.saturating_sub(GAP);
    let mark = line[floor..start].iter().rposition(|&b| b == closing.mark)? + floor;
    let open = quote::before(line, mark + 1)?;
    (open == closing).then_some(mark + 1 - open.width())
}

/// The name in front of `= "…` or `": "…`, where the quote starts at `at`.
fn name_before(line: &[u8], at: usize) -> Option<Range<usize>> {
    let mut end = at - blanks_before(line, at);
    if end > 0 && matches!(line[end - 1], b'b' | b'u') && blanks_before(line, at) == 0 {
        end -= 1;
        end -= blanks_before(line, end);
    }
    end = end.checked_sub(1).filter(|&i| matches!(line[i], b':' | b'='))?;
    end -= blanks_before(line, end);
    if let Some(closing) = quote::before(line, end) {
        end -= closing.width();
    }
    let len =
        line[..end].iter().rev().take(16).take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
    (len > 0).then(|| end - len..end)
}

/// `value": "…` or `value="…` whose name starts at `at`.
fn value_named_at(line: &Line<'_>, at: usize) -> Option<Tie> {
    if !begins_word(line, at) {
        return None;
    }
    let len = line[at..].iter().take(16).take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
    let name = &line[at..at + len];
    if len == 0 || !is_value_name(name) {
        return None;
    }
    let mut end = at + len;
    let closing = quote::at(line, end);
    end += closing.map_or(0, Quote::width);
    end += blanks(line, end);
    if !matches!(line.get(end), Some(b':' | b'=')) {
        return None;
    }
    let link = if closing.is_some() { Link::Json } else { Link::Pair };
    let tie = value_at(line, end + 1, link, None)?;
    Some(Tie { link: Link::Pair, ..tie })
}

/// Whether the bracket at `at` is one of structure rather than part of a value: quotes that belong to it follow.
fn is_structure(line: &[u8], at: usize, level: Quote) -> bool {
    let next = at + 1 + blanks(line, at + 1);
    match line[at] {
        b'{' => quote::at(line, next) == Some(level),
        b'}' => matches!(line.get(next), None | Some(b',' | b'}' | b']' | b'"' | b'\\' | b'\'')),
        b'<' => line.get(at + 1).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'/'),
        b'>' => matches!(line.get(next), None | Some(b'<' | b'\\' | b'"')),
        _ => false,
    }
}
