//! Keys of one map that have become alike: two that each held a secret may be one marker now, and a receiver would keep one of
//! the two attributes. So what was distinct before stays distinct, by an ending: `[REDACTED:jwt]`, `[REDACTED:jwt]#2`.
//!
//! A map is what one message holds: the attributes of a span, the pairs of a list. It is looked at only where one of its keys
//! has changed, with all its other keys, whatever was known of them: no new key may be what another one is. Of those only
//! the few are kept that a new one could be.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::refused::Refused;
use super::rewrite::Edits;
use super::schema::{Kind, Message, Role};
use super::wire::{self, Wire};

/// A key of a map: where it stands, and which new key stands there, if it has changed.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) text: Range<usize>,
    pub(super) edit: Option<usize>,
}

/// What a key is that stands so in a request.
pub(super) type Read = fn(&[u8]) -> Cow<'_, [u8]>;

/// Gives endings to keys.
pub(super) struct Distinct<'d> {
    pub(super) body: &'d [u8],
    pub(super) edits: &'d mut Edits,
    /// What an edit writes is read in the same way.
    read: Read,
    /// What keys of the request become.
    names: BTreeSet<Vec<u8>>,
    /// Whether a key would stay as it is, if it was looked at again in place of the other.
    stays: &'d mut dyn FnMut(&[u8], &[u8]) -> bool,
}

impl<'d> Distinct<'d> {
    /// `stays`: whether a key would stay as it is, if it was looked at again in place of the other.
    pub(super) fn new(
        body: &'d [u8],
        edits: &'d mut Edits,
        read: Read,
        stays: &'d mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Self {
        let names = edits.new_keys().map(|key| read(key).into_owned()).collect();
        Self { body, edits, read, names, stays }
    }

    /// Notes a key, if it is a new one or may be what a new one is; its place, or where it is missing, an empty one.
    pub(super) fn note(&self, text: Range<usize>, edit: Option<usize>, keys: &mut Vec<Key>) {
        if edit.is_some() || self.is_near(&(self.read)(&self.body[text.clone()])) {
            keys.push(Key { text, edit });
        }
    }

    /// Whether a key is what a new one may be: with an ending, or without.
    fn is_near(&self, key: &[u8]) -> bool {
        let number = key.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let name = key[..key.len() - number].strip_suffix(b"#").filter(|_| number > 0);
        self.names.contains(key) || name.is_some_and(|name| self.names.contains(name))
    }

    /// Looks at a message of the wire and all in it.
    pub(super) fn message(&mut self, message: &'static Message, range: Range<usize>) -> Result<(), Refused> {
        let body = self.body;
        let mut keys: Vec<Key> = Vec::new();
        // As deep as the walk has gone.
        wire::for_each_field(body, range, |part| {
            let Kind::Message(inner) = message.field(part.number) else { return Ok(()) };
            if part.wire != Wire::Len {
                return Ok(());
            }
            if inner.role == Role::Pair {
                self.pair(inner, part.start..part.end, &mut keys)?;
            }
            if self.edits.has_key_in(&(part.start..part.end)) {
                self.message(inner, part.start..part.end)?;
            }
            Ok(())
        })?;
        self.map(&keys);
        Ok(())
    }

    /// Notes the keys of a pair of the wire; it should have one.
    fn pair(&self, pair: &'static Message, range: Range<usize>, keys: &mut Vec<Key>) -> Result<(), Refused> {
        let mut has_key = false;
        wire::for_each_field(self.body, range.clone(), |part| {
            if let (Kind::Key, Wire::Len) = (pair.field(part.number), part.wire) {
                has_key = true;
                self.note(part.start..part.end, self.edits.key_at(part.head), keys);
            }
            Ok(())
        })?;
        if !has_key {
            self.note(range.start..range.start, None, keys);
        }
        Ok(())
    }

    /// Keeps the keys of a map apart.
    pub(super) fn map(&mut self, keys: &[Key]) {
        if keys.iter().all(|key| key.edit.is_none()) {
            return;
        }
        let (body, read) = (self.body, self.read);
        let old = |key: &Key| read(&body[key.text.clone()]);
        // What keys are now, and what they were.
        let mut taken: BTreeMap<Cow<'_, [u8]>, Cow<'_, [u8]>> =
            keys.iter().filter(|key| key.edit.is_none()).map(|key| (old(key), old(key))).collect();
        // The next number of a name, and those that were given, by name and what it was.
        let mut next: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let mut given: BTreeMap<(Vec<u8>, Cow<'_, [u8]>), u32> = BTreeMap::new();
        for key in keys {
            let Some(edit) = key.edit else { continue };
            let (old, new) = (old(key), read(self.edits.key(edit)).into_owned());
            if taken.get(&new[..]).is_none_or(|other| *other == old) {
                taken.insert(new.into(), old);
                continue;
            }
            // The same key once more gets the same ending.
            let number = *given.entry((new.clone(), old)).or_insert_with_key(|(new, old)| {
                let number = next.entry(new.clone()).or_insert(1);
                loop {
                    *number += 1;
                    if let Entry::Vacant(free) = taken.entry(ended(new, *number).into()) {
                        free.insert(old.clone());
                        return *number;
                    }
                }
            });
            let name = ended(&new, number);
            if (self.stays)(&name, &new) {
                self.edits.end_key(edit, &name[new.len()..]);
            }
        }
    }
}

/// A key with its ending.
fn ended(key: &[u8], number: u32) -> Vec<u8> {
    [key, b"#", number.to_string().as_bytes()].concat()
}
