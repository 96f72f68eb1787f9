//! Which anchors are looked for, each once, and who asked for it.

use super::Owner;
use crate::rules::anchor::AnchorRef;
use crate::rules::anchors::{Anchors, Gathered};

/// Anchors while they are asked for.
pub(super) struct Wanted {
    anchors: Gathered,
    owners: Vec<(u32, Owner)>,
}

impl Wanted {
    /// Room for about so many.
    pub(super) fn with_room(count: usize) -> Self {
        Self { anchors: Gathered::with_room(count), owners: Vec::with_capacity(count) }
    }

    /// Where an anchor stands in the match is its owner's business.
    pub(super) fn add(&mut self, anchor: AnchorRef<'_>, owner: Owner) {
        self.owners.push((self.anchors.add(anchor), owner));
    }

    /// The anchors, and whose they are.
    pub(super) fn finish(self) -> (Anchors, Owners) {
        let Self { anchors, owners: mut owned } = self;
        let anchors = anchors.finish();
        owned.sort_by_key(|&(anchor, _)| anchor);
        let mut owners =
            Owners { list: Vec::with_capacity(owned.len()), starts: Vec::with_capacity(anchors.count() + 1) };
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
    use crate::rules::anchor::Anchor;

    #[test]
    fn what_several_ask_for_is_looked_for_once() {
        let [ab, abc] = ["ab", "abc"].map(|text| Anchor::caseless(text.as_bytes()));
        let [one, two] = [0, 1].map(|i| Owner::Inside(RuleIndex(i)));
        let mut wanted = Wanted::with_room(0);
        for (anchor, owner) in [(&ab, one), (&abc, two), (&ab, two), (&ab, one)] {
            wanted.add(anchor.as_ref(), owner);
        }
        let (anchors, owners) = wanted.finish();
        assert_eq!(anchors.count(), 2);
        assert_eq!([0, 1].map(|i| owners.of(i)), [&[one, two][..], &[two]]);
    }
}
