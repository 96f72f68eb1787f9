//! Properties of a YAML node (YAML 1.2, section 6.9): `!tag` and `&anchor` in front of the value.

use super::key::{KEY_BYTES, Key};
use super::line::Line;
use super::quote;
use super::tie::{Shape, Tie, blanks, plain_value_at};
use crate::finding::Link;

/// The most bytes of a property, and of a name behind it.
const MAX_PROPERTY: usize = 256;

/// The tags that YAML itself knows.
const KNOWN: [&[u8]; 14] = [
    b"!!str",
    b"!!binary",
    b"!!int",
    b"!!float",
    b"!!bool",
    b"!!null",
    b"!!seq",
    b"!!map",
    b"!!set",
    b"!!omap",
    b"!!pairs",
    b"!!timestamp",
    b"!!merge",
    b"!!value",
];

/// A property that a value follows.
struct Property {
    /// Where the value, or another property, starts.
    node: usize,
    /// It can be nothing else. A tag or an anchor of one's own may as well be a password with a word behind it.
    is_known: bool,
}

/// A value at `at` that may be a YAML node with so many properties.
pub(super) fn node_at(line: &Line<'_>, at: usize, link: Link, key: Option<&Key>, most: usize) -> Option<Tie> {
    let property = if most > 0 { self::at(line, at) } else { None };
    let node = property.as_ref().and_then(|property| node_at(line, property.node, link, key, most - 1));
    match (property, node) {
        (Some(property), Some(node)) if property.is_known => Some(node),
        // A password may begin as properties do: both go.
        (Some(_), Some(node)) => {
            let closing = match node.shape {
                Shape::Quoted(open) if quote::at(line, node.end) == Some(open) => open.width(),
                _ => 0,
            };
            Some(Tie { link, shape: Shape::Bare, start: at, end: node.end + closing, is_prose: false })
        }
        _ => plain_value_at(line, at, link, key),
    }
}

/// The property at `at`, if a value may follow it.
fn at(line: &Line<'_>, at: usize) -> Option<Property> {
    let rest = line.get(at..)?;
    let is_verbatim = rest.starts_with(b"!<tag:") || rest.starts_with(b"!<!");
    if !matches!(rest, [b'!' | b'&', ..]) {
        return None;
    }
    let in_property = |byte: &&u8| {
        let is_outside =
            || matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'[' | b']' | b'{' | b'}' | b'<' | b'>');
        byte.is_ascii_graphic() && !is_outside() && (is_verbatim || **byte != b',')
    };
    let from = if is_verbatim { 2 } else { 1 };
    let name = rest[from..].iter().take(MAX_PROPERTY).take_while(in_property).count();
    let end = at + from + name + usize::from(is_verbatim);
    if is_verbatim && line.get(end - 1) != Some(&b'>') {
        return None;
    }
    let is_known = is_verbatim || KNOWN.contains(&&line[at..end]) || &line[at..end] == b"!";
    let node = end + blanks(line, end);
    let is_node = node > end
        && !matches!(line.get(node), None | Some(b'|' | b'>' | b'#' | b',' | b']' | b'}' | b'\r'))
        && (is_known || !is_field(line, node));
    is_node.then_some(Property { node, is_known })
}

/// Whether what is at `at` is the next field rather than a value: `name: ` or `name=a`.
fn is_field(line: &[u8], at: usize) -> bool {
    let is_name = |byte: &&u8| KEY_BYTES.has(**byte);
    let end = at + line[at..].iter().take(MAX_PROPERTY).take_while(is_name).count();
    let then = line.get(end + 1);
    match line.get(end) {
        Some(b'=') => !matches!(then, None | Some(b' ' | b'\t' | b'\r' | b'=' | b'"' | b'\'' | b',')),
        Some(b':') => then.is_none_or(u8::is_ascii_whitespace),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{key, tie};
    use super::*;

    fn check(line: &str, want: &str) {
        let word = line.find("password").expect("key");
        let tie = key::around(line.as_bytes(), word..word + 8)
            .and_then(|key| tie::value_of(&Line::new(line.as_bytes()), &key));
        assert_eq!(tie.map(|tie| &line[tie.range()]), Some(want), "{line}");
    }

    #[test]
    fn properties_of_yaml() {
        check("password: !!binary aFg5", "aFg5");
        check("password: !!str hunter2", "hunter2");
        check("password: !!str 'it is'", "it is");
        check("password: !<tag:yaml.org,2002:str> hunter2", "hunter2");
        check("password: ! hunter2", "hunter2");
        check("password: !!str &a \"it is\" x", "&a \"it is\"");
        check("password: &a hunter2", "&a hunter2");
        check("password: &a !!str hunter2", "&a !!str hunter2");
        check("\"password\": !vault hunter2", "!vault hunter2");
        check("{db_password: !Ref hunter2, user: x}", "!Ref hunter2");
        // Passwords.
        check("password: !hunter2", "!hunter2");
        check("password: &hunter2", "&hunter2");
        check("password: !!str", "!!str");
        check("password: !hunter2 next=1", "!hunter2");
        check("password: !hunter2 host: a", "!hunter2");
        check("password: !hunter2, host: a", "!hunter2");
        check("password: !vault |", "!vault");
        check("password=!hunter2 next", "!hunter2");
        check("password=&hunter2 next", "&hunter2");
    }
}
