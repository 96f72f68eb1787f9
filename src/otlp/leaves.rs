//! What a request holds that may be secret: its leaves, the keys they belong to, and the messages they are in. Places and
//! kinds only; the text stays in the request.

use std::ops::Range;

use super::refused::{Malformed, Refused};
use super::seen::{As, Hash, Seen};
use super::shapes::Shapes;
use super::wire::malformed;
use crate::carrier::pair;

/// No pair, no unit, no comma.
pub(super) const NONE: u32 = u32::MAX;
/// How many keys one attribute may have. It should have one; parsers take the last, or the first.
const MOST_KEYS: u8 = 8;
/// Entries of each kind, and bytes of decoded text, that room is kept for.
const KEPT: usize = 4 << 10;
const KEPT_DECODED: usize = 64 << 10;

/// Where a text is: in the request, or decoded beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: u32,
    end: u32,
    is_decoded: bool,
}

/// How a leaf holds its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// As a string.
    Text,
    /// As bytes.
    Bytes,
    /// As bytes that JSON writes in hexadecimal.
    Hex,
    /// As the key of a pair.
    Key,
    /// As a number or a boolean that may become a string.
    Number(Form),
    /// In a field that is not known.
    Unknown,
    /// In a member of an object of JSON that is not known.
    Member,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In letters and digits.
    Written,
    /// A boolean of the wire.
    Bool,
    /// An integer of the wire.
    Int,
    /// A double of the wire.
    Double,
}

/// A leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) what: What,
    /// The text to be looked at.
    pub(super) text: Place,
    /// What of the request is replaced if the text changes.
    start: u32,
    end: u32,
    /// The pair it belongs to.
    pub(super) pair: u32,
    /// The innermost unit it is in.
    pub(super) unit: u32,
}

impl Leaf {
    /// What of the request is replaced if the text changes.
    pub(super) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A key, and the one before it in the same pair.
#[derive(Clone, Copy, Debug)]
struct Key {
    text: Place,
    next: u32,
}

/// A `KeyValue`.
#[derive(Clone, Copy, Debug)]
struct Pair {
    last: u32,
    count: u8,
    /// A rule knows one of its keys.
    is_known: bool,
    /// The list it is in, if one of its other pairs may name this one.
    list: u32,
}

/// A message that need not be looked at again if it is clean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: As,
    pub(super) hash: Hash,
    /// The one around it.
    pub(super) parent: u32,
    pub(super) is_changed: bool,
}

/// A leaf that was not seen before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    pub(super) leaf: u32,
    pub(super) kind: As,
    pub(super) hash: Hash,
}

/// An unknown member of an object of JSON, with the commas around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Which leaf it is.
    pub(super) leaf: u32,
    /// The comma in front of it.
    pub(super) comma: u32,
    /// What follows the comma behind it.
    pub(super) next: u32,
}

/// The leaves of a portion of a request, in the order of their places.
#[derive(Default)]
pub(super) struct Leaves {
    pub(super) list: Vec<Leaf>,
    keys: Vec<Key>,
    pairs: Vec<Pair>,
    pub(super) units: Vec<Unit>,
    /// Those that are remembered if they are clean.
    pub(super) fresh: Vec<Fresh>,
    pub(super) members: Vec<Member>,
    decoded: Vec<u8>,
    /// How many lists there are.
    lists: u32,
    /// What values that hold values are made of.
    pub(super) shapes: Shapes,
}

impl std::fmt::Debug for Leaves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaves").field("len", &self.list.len()).finish_non_exhaustive()
    }
}

impl Leaves {
    pub(super) fn clear(&mut self) {
        let Self { list, keys, pairs, units, fresh, members, decoded, lists, shapes } = self;
        *lists = 0;
        list.clear();
        keys.clear();
        pairs.clear();
        units.clear();
        fresh.clear();
        members.clear();
        decoded.clear();
        shapes.clear();
    }

    /// Forgets all, and gives back memory that only an unusual request has needed.
    pub(super) fn shrink(&mut self) {
        self.clear();
        let Self { list, keys, pairs, units, fresh, members, decoded, lists: _, shapes } = self;
        list.shrink_to(KEPT);
        keys.shrink_to(KEPT);
        pairs.shrink_to(KEPT);
        units.shrink_to(KEPT);
        fresh.shrink_to(KEPT);
        members.shrink_to(KEPT);
        decoded.shrink_to(KEPT_DECODED);
        shapes.shrink();
    }

    /// How much is noted.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.list.len() + self.keys.len() + self.pairs.len() + self.units.len() + self.shapes.count()
    }

    /// A text in the request.
    pub(super) fn place(range: Range<usize>) -> Place {
        Place { start: range.start as u32, end: range.end as u32, is_decoded: false }
    }

    /// A text that is not in the request as such.
    pub(super) fn decode(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let start = self.decoded.len() as u32;
        write(&mut self.decoded);
        Place { start, end: self.decoded.len() as u32, is_decoded: true }
    }

    /// A text.
    #[inline]
    pub(super) fn text<'t>(&'t self, body: &'t [u8], place: Place) -> &'t [u8] {
        let all = if place.is_decoded { &self.decoded } else { body };
        &all[place.start as usize..place.end as usize]
    }

    #[inline]
    pub(super) fn push(&mut self, what: What, text: Place, range: Range<usize>, pair: u32, unit: u32) {
        // What is not known is judged by itself.
        if !matches!(what, What::Unknown | What::Member) {
            self.shapes.leaf(self.list.len() as u32);
        }
        self.list.push(Leaf { what, text, start: range.start as u32, end: range.end as u32, pair, unit });
    }

    /// Notes a text, if there is any in it; one without a key unless it was seen before.
    #[inline]
    pub(super) fn push_text(
        &mut self,
        seen: &Seen,
        body: &[u8],
        (what, text): (What, Place),
        range: Range<usize>,
        pair: u32,
        unit: u32,
    ) {
        if text.start == text.end {
            return;
        }
        if pair == NONE && !self.shapes.is_open() {
            let bytes = self.text(body, text);
            let hash = Hash::of(As::Text, bytes);
            if seen.has(As::Text, hash, bytes) {
                return;
            }
            self.fresh.push(Fresh { leaf: self.list.len() as u32, kind: As::Text, hash });
        }
        self.push(what, text, range, pair, unit);
    }

    /// A new list of pairs.
    pub(super) fn new_list(&mut self) -> u32 {
        self.lists += 1;
        self.lists - 1
    }

    /// A new pair, without keys, of this list.
    pub(super) fn new_pair(&mut self, list: u32) -> u32 {
        self.pairs.push(Pair { last: NONE, count: 0, is_known: false, list });
        self.pairs.len() as u32 - 1
    }

    /// Gives a pair a key, which starts at `at`.
    pub(super) fn add_key(&mut self, pair: u32, text: Place, at: usize) -> Result<(), Refused> {
        let known = &mut self.pairs[pair as usize];
        known.count += 1;
        if known.count > MOST_KEYS {
            return Err(malformed(at, Malformed::Keys));
        }
        self.keys.push(Key { text, next: known.last });
        known.last = self.keys.len() as u32 - 1;
        Ok(())
    }

    /// The keys of a pair, the last first; none of no pair.
    pub(super) fn keys_of<'l>(&'l self, body: &'l [u8], pair: u32) -> impl Iterator<Item = &'l [u8]> {
        let mut next = self.pairs.get(pair as usize).map_or(NONE, |pair| pair.last);
        std::iter::from_fn(move || {
            let key = self.keys.get(next as usize)?;
            next = key.next;
            Some(self.text(body, key.text))
        })
    }

    /// Where one pair of a list names another, and `knows` the name, the other has the name as a further key.
    pub(super) fn name_pairs(&mut self, body: &[u8], knows: impl Fn(&[u8]) -> bool) {
        if self.lists == 0 {
            return;
        }
        let list_of = |pair: u32| self.pairs.get(pair as usize).map_or(NONE, |pair| pair.list);
        let names = self.list.iter().filter(|leaf| {
            leaf.what == What::Text
                && list_of(leaf.pair) != NONE
                && self.keys_of(body, leaf.pair).any(pair::is_name_name)
                && knows(self.text(body, leaf.text))
        });
        let mut names: Vec<(u32, Place)> = names.map(|leaf| (list_of(leaf.pair), leaf.text)).collect();
        names.sort_by_key(|&(list, _)| list);
        if names.is_empty() {
            return;
        }
        for pair in 0..self.pairs.len() as u32 {
            let list = self.pairs[pair as usize].list;
            let from = names.partition_point(|&(other, _)| other < list);
            let same = names[from..].iter().take_while(|&&(other, _)| other == list);
            if list == NONE || !self.keys_of(body, pair).any(pair::is_value_name) {
                continue;
            }
            // A few names are enough: rules know all of them.
            for &(_, name) in same.take(usize::from(MOST_KEYS)) {
                let known = &mut self.pairs[pair as usize];
                self.keys.push(Key { text: name, next: known.last });
                known.last = self.keys.len() as u32 - 1;
                known.is_known = true;
            }
        }
    }

    /// Whether a rule knows a key of the pair.
    pub(super) fn is_known(&self, pair: u32) -> bool {
        self.pairs.get(pair as usize).is_some_and(|pair| pair.is_known)
    }

    pub(super) fn set_known(&mut self, pair: u32) {
        if let Some(pair) = self.pairs.get_mut(pair as usize) {
            pair.is_known = true;
        }
    }

    /// Notes that something in a unit changes, and so in all around it.
    pub(super) fn set_changed(&mut self, mut unit: u32) {
        while let Some(known) = self.units.get_mut(unit as usize) {
            known.is_changed = true;
            unit = known.parent;
        }
    }
}
