//! Which anchors are looked for, each once, and who asked for it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::Owner;
use crate::rules::anchor::Anchor;
use crate::rules::byte_set::SetHasher;

/// Anchors while they are asked for.
pub(super) struct Wanted {
    anchors: Vec<Anchor>,
    owners: Vec<(u32, Owner)>,
    /// The anchor of each hash; of those few that hash alike, the first.
    known: HashMap<u64, u32, BuildHasherDefault<SetHasher>>,
}

impl Wanted {
    /// Room for about so many: what grows is moved to memory that was not touched before, and that is slow to come by.
    pub(super) fn with_room(count: usize) -> Self {
        Self {
            anchors: Vec::with_capacity(count),
            owners: Vec::with_capacity(count),
            known: HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default()),
        }
    }

    /// Where an anchor stands in the match is its owner's business.
    pub(super) fn add(&mut self, anchor: Cow<'_, Anchor>, owner: Owner) {
        let Self { anchors, owners, known } = self;
        let next = anchors.len() as u32;
        let first = *known.entry(hash(&anchor)).or_insert(next);
        let is_known = anchors.get(first as usize).is_some_and(|first| is_same(first, &anchor));
        owners.push((if is_known { first } else { next }, owner));
        if !is_known {
            anchors.push(Anchor { offset: None, ..anchor.into_owned() });
        }
    }

    /// The anchors, and whose they are.
    pub(super) fn finish(self) -> (Vec<Anchor>, Owners) {
        let Self { anchors, owners: mut owned, .. } = self;
        owned.sort_by_key(|&(anchor, _)| anchor);
        let mut owners =
            Owners { list: Vec::with_capacity(owned.len()), starts: Vec::with_capacity(anchors.len() + 1) };
        for same in owned.chunk_by(|one, other| one.0 == other.0) {
            let start = owners.list.len();
            owners.starts.push(start as u32);
            for &(_, owner) in same {
                if !owners.list[start..].contains(&owner) {
                    owners.list.push(owner);
                }
            }
        }
        owners.starts.push(owners.list.len() as u32);
        (anchors, owners)
    }
}

fn is_same(one: &Anchor, other: &Anchor) -> bool {
    one.sets == other.sets && one.before == other.before && one.reach == other.reach
}

fn hash(anchor: &Anchor) -> u64 {
    let mut hasher = SetHasher::default();
    let reach = anchor.reach.as_deref().map(|reach| [reach.over, reach.to, reach.then[0]]);
    for set in anchor.sets.iter().chain(&anchor.before).chain(reach.iter().flatten()) {
        set.hash(&mut hasher);
    }
    hasher.finish()
}

/// Who asked for each anchor.
#[derive(Debug)]
pub(super) struct Owners {
    /// Anchor by anchor.
    list: Vec<Owner>,
    /// Where those of each anchor start.
    starts: Vec<u32>,
}

impl Owners {
    #[inline]
    pub(super) fn of(&self, anchor: u32) -> &[Owner] {
        let [start, end] = [0, 1].map(|i| self.starts[anchor as usize + i] as usize);
        &self.list[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::RuleIndex;
    use crate::rules::byte_set::ByteSet;

    #[test]
    fn what_several_ask_for_is_looked_for_once() {
        let anchor = |text: &str, offset| Anchor { offset, ..Anchor::caseless(text.as_bytes()) };
        let behind = |anchor| Anchor { before: Some(ByteSet::of(b'x')), ..anchor };
        let [one, two] = [0, 1].map(|i| Owner::Inside(RuleIndex(i)));
        let mut wanted = Wanted::with_room(0);
        for (anchor, owner) in [
            (anchor("ab", Some(1)), one),
            (behind(anchor("ab", None)), one),
            (anchor("ab", None), two),
            (anchor("ab", None), one),
            (anchor("abc", None), two),
        ] {
            wanted.add(Cow::Owned(anchor), owner);
        }
        let (anchors, owners) = wanted.finish();
        assert_eq!(anchors, [anchor("ab", None), behind(anchor("ab", None)), anchor("abc", None)]);
        assert_eq!([0, 1, 2].map(|i| owners.of(i)), [&[one, two][..], &[one], &[two]]);
    }
}
