//! Elements of markup: the tag that opens one, and the value that is its content.

use super::line::Line;
use super::quote;
use super::tie::{GAP, Shape, Tie, blanks, value_at};
use crate::finding::Link;

/// The most bytes of attributes in a tag.
const MAX_ATTRIBUTES: usize = 512;

/// The value of the element whose tag has its attributes, if there are any, from `from` on.
pub(super) fn of_tag(line: &Line<'_>, from: usize) -> Option<Tie> {
    let tag = tag_end(line, from)?;
    // What reads as words in angle brackets is a tag where another closes it.
    element(line, tag.end).filter(|tie| !tag.is_words || line[tie.end..].starts_with(b"</"))
}

/// Whether the name at `start` is that of a tag.
pub(super) fn opens_tag(line: &[u8], start: usize) -> bool {
    let prefix = line[..start]
        .iter()
        .rev()
        .take(40)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-'));
    let at = start - prefix.count();
    at > 0 && line[at - 1] == b'<'
}

/// The end of a tag that opens an element.
struct TagEnd {
    /// One past its bracket.
    end: usize,
    /// There are attributes without values: they are words like others.
    is_words: bool,
}

/// Where the tag ends whose attributes, if it has any, begin at `from`.
fn tag_end(line: &[u8], from: usize) -> Option<TagEnd> {
    let reach = &line[..line.len().min(from + MAX_ATTRIBUTES)];
    let (mut at, mut is_words) = (from, false);
    let in_attribute = |b: &&u8| !matches!(b, b' ' | b'\t' | b'<' | b'>');
    let end = loop {
        at += blanks(reach, at);
        if reach.get(at) == Some(&b'>') {
            break Some(at);
        }
        let name = attribute_name(reach, at);
        let equals = at + name + blanks(reach, at + name);
        at += name;
        if name == 0 {
            break None;
        } else if reach.get(equals) != Some(&b'=') {
            is_words = true;
            continue;
        }
        at = equals + 1 + blanks(reach, equals + 1);
        at = match quote::at(reach, at) {
            Some(open) => quote::content_end(reach, at + open.width(), open) + open.width(),
            None => at + reach.get(at..).unwrap_or_default().iter().take_while(in_attribute).count(),
        };
    };
    // Attributes that are not well formed: the first bracket ends the tag.
    let end = end.or_else(|| {
        let is_attribute = reach.get(from + attribute_name(reach, from)) == Some(&b'=');
        let bracket = memchr::memchr2(b'<', b'>', &reach[from..]).map(|i| from + i)?;
        (is_attribute && reach[bracket] == b'>').then_some(bracket)
    })?;
    (reach[end - 1] != b'/').then_some(TagEnd { end: end + 1, is_words })
}

/// How many bytes the name of an attribute at `at` has.
fn attribute_name(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default().iter().take(GAP);
    rest.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':')).count()
}

/// The element whose content begins at `from`.
fn element(line: &Line<'_>, from: usize) -> Option<Tie> {
    if line[from..].starts_with(b"<![CDATA[") {
        return value_at(line, from, Link::Xml, None);
    }
    let close = memchr::memchr(b'<', &line[from..]);
    line.read(close.unwrap_or(line.len() - from));
    let end = match close {
        Some(close) => from + close,
        // What the tag is in ends right behind it.
        None if quote::at(line, from).is_some() => return None,
        // Cut off before its closing tag; with blanks in it, it is rather a sentence about a tag.
        None if line[from..].iter().take_while(|b| **b != b'"').any(u8::is_ascii_whitespace) => return None,
        None => line.len(),
    };
    Some(Tie { link: Link::Xml, shape: Shape::Element, start: from, end, is_prose: false })
}
