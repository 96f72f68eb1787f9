//! The keys of maps in JSON, to be kept apart: the same messages by the same table, read again where keys have changed.

use std::borrow::Cow;

use super::text;
use super::token::{self, MOST_DEPTH, blanks};
use crate::otlp::distinct::{Distinct, Key};
use crate::otlp::refused::Refused;
use crate::otlp::schema::{Kind, Message, Role};

/// What a string holds.
pub(in crate::otlp) fn read(source: &[u8]) -> Cow<'_, [u8]> {
    if !source.contains(&b'\\') {
        return Cow::Borrowed(source);
    }
    let mut plain = Vec::with_capacity(source.len());
    text::unescape(source, &mut plain, None);
    Cow::Owned(plain)
}

/// Looks at a request that is a message of this kind.
pub(in crate::otlp) fn keep_apart(
    distinct: &mut Distinct<'_>,
    root: &'static Message,
) -> Result<(), Refused> {
    let at = blanks(distinct.body, 0);
    value(distinct, Kind::Message(root), at, 0, &mut Vec::new())?;
    Ok(())
}

/// Looks at a value; gives where it ends. `around`: the keys of the map that it is in, or that it is a pair of.
fn value(
    distinct: &mut Distinct<'_>,
    kind: Kind,
    at: usize,
    depth: usize,
    around: &mut Vec<Key>,
) -> Result<usize, Refused> {
    let body = distinct.body;
    // The walk has gone no deeper.
    if depth > MOST_DEPTH {
        return Err(Refused::TooDeep { most: MOST_DEPTH });
    }
    let Kind::Message(message) = kind else { return token::skip(body, at) };
    match body.get(at) {
        Some(b'{') => object(distinct, message, at, depth, around),
        Some(b'[') => {
            let mut at = blanks(body, at + 1);
            while body.get(at) != Some(&b']') {
                at = value(distinct, kind, at, depth + 1, around)?;
                at = behind_comma(body, at);
            }
            Ok(at + 1)
        }
        _ => token::skip(body, at),
    }
}

fn object(
    distinct: &mut Distinct<'_>,
    message: &'static Message,
    at: usize,
    depth: usize,
    around: &mut Vec<Key>,
) -> Result<usize, Refused> {
    let body = distinct.body;
    let (mut own, mut has_key) = (Vec::new(), false);
    let start = at;
    let mut at = blanks(body, at + 1);
    while body.get(at) != Some(&b'}') {
        let (name, from) = token::name(body, at)?;
        let (_, kind) = message.named(&read(&body[name]));
        at = match kind {
            Kind::Key if body.get(from) == Some(&b'"') => {
                let text = token::string(body, from)?;
                let end = text.end + 1;
                has_key = true;
                distinct.note(text.clone(), distinct.edits.key_at(text.start), around);
                end
            }
            kind => value(distinct, kind, from, depth + 1, &mut own)?,
        };
        at = behind_comma(body, at);
    }
    if message.role == Role::Pair && !has_key {
        distinct.note(start..start, None, around);
    }
    distinct.map(&own);
    Ok(at + 1)
}

/// What follows an element: the next one, or what closes.
fn behind_comma(body: &[u8], at: usize) -> usize {
    let at = blanks(body, at);
    if body.get(at) == Some(&b',') { blanks(body, at + 1) } else { at }
}
