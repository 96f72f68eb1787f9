//! From a key to the values tied to it.
//!
//! A tie is found from the bytes around the key alone: the same in a JSON line, in JSON inside a JSON string, in a
//! Python `repr`, a URL, a header dump or a log message, and the same when the line is cut off.

use std::ops::Range;

use super::element::{self, opens_tag};
use super::key::{KEY_BYTES, Key};
use super::line::Line;
use super::pair::{buffer_bytes, is_value_name, pair};
use super::property;
use super::quote::{self, Quote};
use crate::finding::Link;
use crate::rules::byte_set::ByteSet;

/// The most bytes between the parts of a tie.
pub(super) const GAP: usize = 64;
/// How far back the start of the string around a key is looked for.
const STRING_GAP: usize = 512;
/// The most elements of an array that are taken as values.
const MAX_ELEMENTS: usize = 4096;
/// What an element counts for, beside its bytes.
const ELEMENT: usize = 32;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Between quotes.
    Quoted(Quote),
    /// Without quotes.
    Bare,
    /// Between tags: `<key>v</key>`.
    Element,
    /// Elements of an array, each with its own shape.
    Array,
}

/// A value and how it is tied to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The way.
    pub link: Link,
    /// How the value is written.
    pub shape: Shape,
    /// The value's first byte, quotes left out.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// A word of prose may follow a colon: the operator was `: ` with no quotes on either side.
    pub is_prose: bool,
}

impl Tie {
    /// The value's bytes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// The value tied to `key` in `line`.
pub fn value_of(line: &Line<'_>, key: &Key) -> Option<Tie> {
    let closing = quote::at(line, key.end);
    let mut at = key.end + closing.map_or(0, Quote::width);
    // `user[password]`, `params["password"]`
    let bracket = quote::backslashes_before(&line[..at], at);
    if bracket == 0 && line.get(at) == Some(&b']') {
        at += 1;
    }
    let blank = blanks(line, at);
    let after = at + blank;
    let is_quoted = closing.is_some();
    let opened = |at: usize| byte_before(line, at);
    match line.get(after..)? {
        [b'=', ..] => {
            let doubled = usize::from(matches!(line.get(after + 1), Some(b'>' | b'=')));
            let link = match opened(key.start) {
                _ if key.is_flag => Link::Flag,
                Some(b'?' | b'&' | b'#') if doubled == 0 && !is_quoted => Link::Query,
                // `&amp;` in XML.
                Some(b';') if line[..key.start].ends_with(b"&amp;") => Link::Query,
                _ => Link::Assign,
            };
            let tie = value_at(line, after + 1 + doubled, link, Some(key))?;
            // The first field of a form body has no `&` in front of it, but one behind.
            let is_form =
                tie.shape == Shape::Bare && line.get(tie.end) == Some(&b'&') && link == Link::Assign;
            Some(Tie { link: if is_form { Link::Query } else { link }, ..tie })
        }
        [b':', b':' | b'/', ..] => None,
        [b':', next, ..] => {
            let defines = usize::from(*next == b'=');
            if is_quoted {
                // A blank in a form is a plus.
                let from = after + 1 + defines;
                let plus = usize::from(line.get(from) == Some(&b'+') && quote::at(line, from + 1).is_some());
                return value_at(line, from + plus, Link::Json, Some(key));
            }
            // `https://x-access-token:…@host`: a user name, which rules for URLs look at.
            if line[..key.start].ends_with(b"//") && !next.is_ascii_whitespace() {
                return None;
            }
            let link = if is_header_place(line, key) { Link::Header } else { Link::Assign };
            let tie = value_at(line, after + 1 + defines, link, Some(key))?;
            Some(Tie { is_prose: tie.shape == Shape::Bare && defines == 0 && matches!(next, b' '), ..tie })
        }
        [b'-', b'>', ..] => value_at(line, after + 2, Link::Assign, Some(key)),
        // FULLWIDTH COLON
        [0xEF, 0xBC, 0x9A, ..] => value_at(line, after + 3, Link::Assign, Some(key)),
        [byte, ..] if !is_quoted && opens_tag(line, key.start) && (blank > 0 || *byte == b'>') => {
            element::of_tag(line, after)
        }
        [b',', ..] if is_quoted => {
            let link = if key.is_flag { Link::Flag } else { Link::Pair };
            let tie = (key.is_flag || is_in_list(line, key))
                .then(|| value_at(line, after + 1, link, Some(key)))
                .flatten();
            tie.filter(|tie| matches!(tie.shape, Shape::Quoted(_))).or_else(|| pair(line, key, closing?))
        }
        _ if is_quoted => pair(line, key, closing?),
        [byte, ..] if key.is_flag && blank > 0 && *byte != b'-' => {
            value_at(line, after, Link::Flag, Some(key))
        }
        _ => None,
    }
}

/// The quote of kind `mark` that opened the string a key is in, if one did right before it or a little further back.
fn opened_around(line: &Line<'_>, key: &Key, mark: u8) -> Option<Quote> {
    let floor = key.start.saturating_sub(STRING_GAP);
    let at = floor + line[floor..key.start].iter().rposition(|&b| b == mark)?;
    let escapes = quote::backslashes_before(line, at);
    let before = line[..at - escapes].trim_ascii_end().last();
    matches!(before, Some(b'[' | b'{' | b',' | b':' | b'(')).then_some(Quote { mark, escapes })
}

/// Whether `quote`, found behind the operator of a key without quotes, ends the string that the key is in.
fn ends_around(line: &Line<'_>, key: &Key, quote: Quote) -> bool {
    quote::at(line, key.end).is_none() && opened_around(line, key, quote.mark) == Some(quote)
}

/// Where a double-quoted string ends that a single-quoted value stands in.
fn string_end_around(line: &Line<'_>, key: &Key, start: usize, value: Quote) -> usize {
    if value.mark == b'"' {
        return line.len();
    }
    opened_around(line, key, b'"').map_or(line.len(), |open| content_end(line, start, open))
}

/// [`quote::content_end`], counted.
pub(super) fn content_end(line: &Line<'_>, from: usize, open: Quote) -> usize {
    let end = quote::content_end(line, from, open);
    line.read(end - from.min(end));
    end
}

/// Whether the quoted key is the first of a list or tuple.
fn is_in_list(line: &Line<'_>, key: &Key) -> bool {
    let Some(open) = quote::before(line, key.start) else { return false };
    let at = key.start - open.width();
    let prefixed = usize::from(matches!(byte_before(line, at), Some(b'b' | b'u')));
    matches!(byte_before_blanks(line, at - prefixed), Some(b'[' | b'('))
}

/// A value that starts at or (after blanks) behind `from`.
pub(super) fn value_at(line: &Line<'_>, from: usize, link: Link, key: Option<&Key>) -> Option<Tie> {
    let at = from + blanks(line, from);
    if at > from && line[from - 1] == b':' {
        return property::node_at(line, at, link, key, 2);
    }
    plain_value_at(line, from, link, key)
}

/// As [`value_at`], of a value that has no properties.
pub(super) fn plain_value_at(line: &Line<'_>, from: usize, link: Link, key: Option<&Key>) -> Option<Tie> {
    let mut at = from + blanks(line, from);
    if line.is_spent() && at < line.len() {
        return Some(Tie { link, shape: Shape::Bare, start: at, end: line.rest(at), is_prose: false });
    }
    // b'…', u'…', N'…', rb'…'
    let prefix = line
        .get(at..)?
        .iter()
        .take(2)
        .take_while(|b| matches!(b.to_ascii_lowercase(), b'b' | b'u' | b'r' | b'n'));
    let prefix = prefix.count();
    for skipped in (0..=prefix).rev() {
        if let Some(open) = quote::at(line, at + skipped) {
            if key.is_some_and(|key| ends_around(line, key, open)) {
                return None;
            }
            let tie = quoted(line, at + skipped, open, link);
            let end = key.map_or(tie.end, |key| tie.end.min(string_end_around(line, key, tie.start, open)));
            return Some(Tie { end, ..tie });
        }
    }
    let byte = *line.get(at)?;
    match byte {
        b'[' | b'(' if super::placeholder::marker_at(line, at).is_none() && is_array(line, at) => {
            let end = array_end(line, key, at);
            return Some(Tie { link, shape: Shape::Array, start: at, end, is_prose: false });
        }
        b'{' if link == Link::Json => return wrapped(line, at, link),
        // An array of objects or arrays: their keys speak for themselves.
        b'[' if link == Link::Json && super::placeholder::marker_at(line, at).is_none() => return None,
        b'<' if line[at..].starts_with(b"<![CDATA[") => {
            at += b"<![CDATA[".len();
            let end = memchr::memmem::find(&line[at..], b"]]>").map_or(line.len(), |i| at + i);
            line.read(end - at);
            return Some(Tie { link, shape: Shape::Element, start: at, end, is_prose: false });
        }
        _ => {}
    }
    // Secret('…'), ObjectId("…")
    let call = run(&line[at..line.len().min(at + 40)], &IN_CALL);
    if call > 0 && line.get(at + call) == Some(&b'(') {
        let inside = at + call + 1;
        let prefixed = usize::from(matches!(line.get(inside), Some(b'b' | b'u')));
        for skipped in (0..=prefixed).rev() {
            if let Some(open) = quote::at(line, inside + skipped) {
                return Some(quoted(line, inside + skipped, open, link));
            }
        }
    }
    // `password= next=1`: a blank, and then another field.
    if at > from
        && key.is_some()
        && matches!(link, Link::Assign | Link::Query)
        && line[from - 1] == b'='
        && is_assigned(line, at)
    {
        return None;
    }
    let end = bare_end_behind(line, at, at + call, link);
    Some(Tie { link, shape: Shape::Bare, start: at, end, is_prose: false })
}

fn quoted(line: &Line<'_>, at: usize, open: Quote, link: Link) -> Tie {
    let start = at + open.width();
    let end = content_end(line, start, open);
    Tie { link, shape: Shape::Quoted(open), start, end, is_prose: false }
}

/// `{"stringValue": "v"}` and the like: an object that only wraps one value.
fn wrapped(line: &Line<'_>, at: usize, link: Link) -> Option<Tie> {
    let from = at + 1 + blanks(line, at + 1);
    let open = quote::at(line, from)?;
    let name = from + open.width();
    let end = content_end(line, name, open);
    let colon = end + open.width() + blanks(line, end + open.width());
    if line.get(colon) != Some(&b':') {
        return None;
    }
    if let Some(list) = buffer_bytes(line, &line[name..end], colon + 1, open) {
        return value_at(line, list, link, None).filter(|tie| tie.shape == Shape::Array);
    }
    if !is_value_name(&line[name..end]) {
        return None;
    }
    value_at(line, colon + 1, link, None).filter(|tie| tie.shape != Shape::Array)
}

fn is_header_place(line: &[u8], key: &Key) -> bool {
    match byte_before(line, key.start) {
        None => true,
        Some(b'"' | b'\'' | b'`') => true,
        Some(b'n' | b'r') => key.start >= 2 && line[key.start - 2] == b'\\',
        Some(b' ') => key.start >= 2 && matches!(line[key.start - 2], b'>' | b'<'),
        _ => false,
    }
}

fn byte_before(line: &[u8], at: usize) -> Option<u8> {
    at.checked_sub(1).map(|i| line[i])
}

fn byte_before_blanks(line: &[u8], at: usize) -> Option<u8> {
    byte_before(line, at - blanks_before(line, at))
}

/// How many bytes of blanks (spaces, tabs, terminal colours) start at `at`; at most [`GAP`].
pub(super) fn blanks(line: &[u8], at: usize) -> usize {
    let mut end = at;
    while end - at < GAP {
        match line.get(end..).unwrap_or_default() {
            [b' ' | b'\t', ..] => end += 1,
            rest @ [0x1B | b'\\', ..] => match super::escape::any_sequence_len(rest) {
                Some(len) => end += len,
                None => break,
            },
            _ => break,
        }
    }
    end - at
}

pub(super) fn blanks_before(line: &[u8], at: usize) -> usize {
    line[..at].iter().rev().take(GAP).take_while(|&&b| matches!(b, b' ' | b'\t')).count()
}

/// How many bytes of a kind `text` starts with.
#[inline]
fn run(text: &[u8], kind: &[bool; 256]) -> usize {
    text.iter().position(|&byte| !kind[usize::from(byte)]).unwrap_or(text.len())
}

/// What the name of a function is made of.
/// All of it goes on as a value does.
static IN_CALL: [bool; 256] = KEY_BYTES.without(b'-').table();

/// What neither ends a value without quotes nor opens what must be closed again in it.
static GOES_ON: [bool; 256] = ByteSet::of_each(b" \t\r\x0B\x0C\x1B\0\"'`<>\\&,;|()[]{}").complement().table();

/// Where a value without quotes ends.
pub(super) fn bare_end(line: &Line<'_>, start: usize, link: Link) -> usize {
    bare_end_behind(line, start, start, link)
}

/// As [`bare_end`], of a value that is known to go on up to `at`.
fn bare_end_behind(line: &Line<'_>, start: usize, mut at: usize, link: Link) -> usize {
    // Brackets that were opened and not closed since the start, by kind.
    let mut open = [0isize; 3];
    let mut in_tag = false;
    loop {
        let rest = line.get(at..).unwrap_or_default();
        at += run(rest, &GOES_ON);
        let Some(&byte) = line.get(at) else { break };
        match byte {
            b'(' => open[0] += 1,
            b'[' => open[1] += 1,
            b'{' => open[2] += 1,
            _ => {}
        }
        let mut closes = |kind: usize| {
            open[kind] -= 1;
            open[kind] < 0 && ends_group(line, at + 1)
        };
        let ends = match byte {
            b' ' | b'\t' | b'\r' | 0x0B | 0x0C | 0x1B | 0 => true,
            // Inside a word it is a letter of a password.
            b'"' | b'\'' => !line.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
            b'`' => ends_group(line, at + 1),
            b'<' => at > start,
            b'>' => !in_tag,
            b'\\' => match escape_len(line, at) {
                Some(len) => {
                    at += len - 1;
                    false
                }
                None => true,
            },
            b'&' => {
                // A password may begin with it: then only a field right behind it is one.
                let is_field = if at > start { is_field } else { is_assigned };
                link == Link::Query || is_field(line, at + 1) || line[at + 1..].starts_with(b"amp;")
            }
            b',' | b';' => ends_item(line, at + 1, link),
            b')' => closes(0),
            b']' => closes(1),
            b'}' => closes(2),
            b'|' => ends_item(line, at + 1, link),
            _ => false,
        };
        if ends {
            break;
        }
        in_tag |= byte == b'<';
        at += 1;
    }
    line.read(at - start);
    // A full stop or the like at the end belongs to the sentence.
    while at > start + 1
        && matches!(line[at - 1], b'.' | b',' | b';' | b':')
        && line.get(at).is_none_or(|b| b.is_ascii_whitespace())
    {
        at -= 1;
    }
    at
}

/// How many backslashes start at `at`, unless they start an escape that ends a bare value: an escaped quote or line end.
fn escape_len(line: &[u8], at: usize) -> Option<usize> {
    let run = line[at..].iter().take_while(|&&b| b == b'\\').count();
    match line.get(at + run) {
        None => None,
        Some(&b) if quote::is_mark(b) || matches!(b, b'n' | b'r' | b't') => None,
        Some(_) if super::escape::any_sequence_len(&line[at + run - 1..]).is_some() => None,
        Some(_) => Some(run),
    }
}

/// Whether a `,`, `;` or `|` before `at` ends an item: blanks, the end or another field follow.
fn ends_item(line: &[u8], at: usize, link: Link) -> bool {
    match line.get(at) {
        None => true,
        Some(b) if b.is_ascii_whitespace() => true,
        // What was cleaned may have been part of the value.
        Some(b'[') => super::placeholder::marker_at(line, at).is_none(),
        Some(b) if quote::is_mark(*b) || matches!(b, b'{' | b'\\') => true,
        Some(_) if link == Link::Json => true,
        Some(_) => is_field(line, at),
    }
}

/// Whether `name=` or `name:` starts at `at`.
fn is_field(line: &[u8], at: usize) -> bool {
    let rest = line.get(at..).unwrap_or_default();
    let name = rest.iter().take(64).take_while(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ' | b'%' | b'[' | b']')
    });
    let len = name.count();
    len > 0 && matches!(rest.get(len), Some(b'=' | b':'))
}

/// Whether `name=` starts at `at`.
fn is_assigned(line: &[u8], at: usize) -> bool {
    let name = line[at..]
        .iter()
        .take(64)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .count();
    name > 0 && line.get(at + name) == Some(&b'=') && line.get(at + name + 1) != Some(&b'=')
}

/// Whether a closing bracket before `at` is the end of something around the value.
fn ends_group(line: &[u8], at: usize) -> bool {
    match line.get(at) {
        None => true,
        Some(b) => {
            !(b.is_ascii_alphanumeric()
                || matches!(b, b'_' | b'@' | b'!' | b'%' | b'+' | b'/' | b'$' | b'^' | b'*'))
        }
    }
}

/// Whether the bracket at `at` opens an array of quoted strings or numbers.
fn is_array(line: &[u8], at: usize) -> bool {
    let first = at + 1 + blanks(line, at + 1);
    let prefixed = usize::from(matches!(line.get(first), Some(b'b' | b'u')));
    quote::at(line, first).is_some()
        || quote::at(line, first + prefixed).is_some()
        || line.get(first).is_some_and(|b| b.is_ascii_digit() || *b == b'-')
        || [&b"null"[..], b"true", b"false", b"None", b"True", b"False"].iter().any(|word| {
            line[first.min(line.len())..].starts_with(word)
                && matches!(line.get(first + word.len()), Some(b',' | b']' | b' '))
        })
}

fn array_end(line: &Line<'_>, key: Option<&Key>, at: usize) -> usize {
    let mut end = at;
    elements(line, key, at, |tie| end = end.max(tie.end));
    end
}

/// Every scalar of the array of `key` whose opening bracket is at `at`, up to the first thing that is none.
pub fn elements(line: &Line<'_>, key: Option<&Key>, at: usize, mut found: impl FnMut(Tie)) {
    let mut next = at + 1;
    let is_key = |at: usize| line.get(at + blanks(line, at)) == Some(&b':');
    for _ in 0..MAX_ELEMENTS {
        next += blanks(line, next);
        match line.get(next) {
            None | Some(b']' | b')' | b'}' | b'{') => return,
            Some(b',' | b'[' | b'(') => {
                next += 1;
                continue;
            }
            Some(_) => {}
        }
        // The quote may be the end of the string that the key is in.
        if let (Some(key), Some(quote)) = (key, quote::at(line, next))
            && ends_around(line, key, quote)
        {
            return;
        }
        let Some(tie) = value_at(line, next, Link::Json, None).filter(|t| t.shape != Shape::Array) else {
            return;
        };
        if let Shape::Quoted(open) = tie.shape
            && is_key(tie.end + open.width())
        {
            return;
        }
        // However short it is, an element is a value of its own to look at.
        line.read(ELEMENT);
        found(tie);
        let closing = match tie.shape {
            // Cut off by the end of a string around it: nothing of the array follows.
            Shape::Quoted(open) if quote::at(line, tie.end) != Some(open) => return,
            Shape::Quoted(open) => open.width(),
            _ => 0,
        };
        next = (tie.end + closing).max(next + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::*;

    fn check(line: &str, want: &str) {
        let word = line.find("password").expect("key");
        let got = key::around(line.as_bytes(), word..word + 8)
            .and_then(|key| value_of(&Line::new(line.as_bytes()), &key));
        assert_eq!(got.map(|tie| &line[tie.range()]), (want != "-").then_some(want), "{line}");
    }

    #[test]
    fn assignments() {
        check("password=hunter2 next=1", "hunter2");
        check("password = hunter2", "hunter2");
        check("password: hunter2.", "hunter2");
        check("password => hunter2", "hunter2");
        check("password := \"hunter2\"", "hunter2");
        check("password->hunter2", "hunter2");
        check("password=a,b;c d", "a,b;c");
        check("password=it's1 next", "it's1");
        check("password=a\"b1 next", "a\"b1");
        check("msg=\"password=abc\" next", "abc");
        check("<a href=\"/x?password=abc\"/>", "abc");
        check("run 'password=abc' next", "abc");
        check("password=abc, user=x", "abc");
        check("password=abc,user=x", "abc");
        check("connect(password=abc)", "abc");
        check("password='it is' x", "it is");
        check("user[password]=abc&x=1", "abc");
        check("\x1b[32mpassword\x1b[0m=\x1b[31mabc\x1b[0m x", "abc");
        check(r"\x1b[32mpassword\x1b[0m=\x1b[31mabc\x1b[0m x", "abc");
        check(r"\u001b[36mpassword=\u001b[0mabc x", "abc");
        check(r"\e[36mpassword=\e[0mabc x", "abc");
        check(r"\033[36mpassword=\\033[0mabc x", "abc");
        check(r"password=\x1b[0", r"\x1b[0");
        check("map[password:[abc]] next=1", "[abc]");
        check("map[user:[password=abc]] next=1", "abc");
        check("password: &hunter2 host: b", "&hunter2");
        check("password=&user=b", "");
        check("password：abc", "abc");
    }

    #[test]
    fn no_value() {
        check("Failed password for root", "-");
        check("password::new", "-");
        check("password://x", "-");
        check("password_policy=strict", "-");
        check("password-hash=abc", "-");
    }

    #[test]
    fn json_and_repr() {
        check(r#"{"password":"hunter2"}"#, "hunter2");
        check(r#"{"password" : "hun\"ter2"}"#, r#"hun\"ter2"#);
        check(r#"{"m":"{\"password\":\"hunter2\"}"}"#, "hunter2");
        check(r#"{"password":12345,"x":1}"#, "12345");
        check(r#"{"password":null}"#, "null");
        check("{'password': 'hunter2'}", "hunter2");
        check("{b'password': b'hunter2'}", "hunter2");
        check("password=SecretStr('hunter2')", "hunter2");
        check(r#"{"password":{"stringValue":"hunter2"}}"#, "hunter2");
        check(r#"{"password":["a","b"]}"#, r#"["a","b"#);
        check(r#"{"password":{"min":8}}"#, "-");
        check(r#"{"password":{"type":"Buffer","data":[104,117]}}"#, "[104,117");
        check(r#"{"m":"{\"password\": {\"type\": \"Buffer\", \"data\": [104,117]}}"}"#, "[104,117");
        check(r#"{"password":{"type":"Policy","data":[104,117]}}"#, "-");
    }

    #[test]
    fn pairs() {
        check(r#"{"name":"password","value":"hunter2"}"#, "hunter2");
        check(r#"{"value":"hunter2","name":"password"}"#, "hunter2");
        check(r#"{\"name\":\"db password\",\"value\":\"hunter2\"}"#, "hunter2");
        check(r#"<add key="password" value="hunter2"/>"#, "hunter2");
        check("('password', 'hunter2')", "hunter2");
        check(r#"{"type":"password","value":"x"}"#, "-");
    }

    #[test]
    fn flags_and_elements() {
        check("run --password hunter2 -v", "hunter2");
        check("run --password=hunter2 -v", "hunter2");
        check("run --password -v", "-");
        check(r#"["--password", "hunter2"]"#, "hunter2");
        check("<password>hunter2</password>", "hunter2");
        check("<ns:password>hunter2</ns:password>", "hunter2");
        check("<password><![CDATA[hunter2]]></password>", "hunter2");
        check("<w:password Type=\"a#b\" x='y'>hunter2</w:password>", "hunter2");
        check("<password type=\"x\"/>", "-");
        check("<password xsi:type=\"xsd:string\">hunter2</password>", "hunter2");
        check(r#"{"m":"<password xsi:type=\"a\">hunter2</password>"}"#, "hunter2");
        check("<ns:password a:b = 'x>y'\tc=1>hunter2</ns:password>", "hunter2");
        check("<password >hunter2</password>", "hunter2");
        check("<password nil>hunter2</password>", "hunter2");
        check("<password a=\"x>hunter2</password>", "hunter2");
        check("<password xsi:nil=\"true\" /> <a>x</a>", "-");
        check("<password /> <a>x</a>", "-");
        check("login <password file> [options] <url>", "-");
        check("login <password file>", "-");
    }
}
