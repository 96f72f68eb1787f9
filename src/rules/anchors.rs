//! Many anchors, each once. They are made of few different sets, so each set is kept once as well, and anchors as numbers
//! of sets: those of all rules take a tenth of the memory, and stay in the cache.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::anchor::{AnchorRef, Reach};
use super::byte_set::{BySet, ByteSet, SetHasher};

/// Anchors by their numbers.
#[derive(Debug, Default)]
pub struct Anchors {
    sets: Vec<ByteSet>,
    /// The numbers of the sets of all anchors, one anchor after the other.
    spelled: Vec<u32>,
    list: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    /// Where its sets are in `spelled`.
    start: u32,
    end: u32,
    /// The number of a set.
    before: Option<u32>,
    reach: Option<Box<Reach>>,
}

impl Anchors {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Every set that one of them has.
    pub fn sets(&self) -> &[ByteSet] {
        &self.sets
    }

    /// The numbers of an anchor's sets.
    #[inline]
    pub fn numbers(&self, anchor: u32) -> &[u32] {
        let Listed { start, end, .. } = self.list[anchor as usize];
        &self.spelled[start as usize..end as usize]
    }

    /// The number of what may stand in front of an anchor.
    #[inline]
    pub fn before(&self, anchor: u32) -> Option<u32> {
        self.list[anchor as usize].before
    }

    /// What follows an anchor.
    #[inline]
    pub fn reach(&self, anchor: u32) -> Option<&Reach> {
        self.list[anchor as usize].reach.as_deref()
    }

    /// An anchor with its sets; they are put into `room`.
    pub fn get<'a>(&'a self, anchor: u32, room: &'a mut Vec<ByteSet>) -> AnchorRef<'a> {
        let set = |&number: &u32| self.sets[number as usize];
        room.clear();
        room.extend(self.numbers(anchor).iter().map(set));
        AnchorRef { sets: room, before: self.before(anchor).as_ref().map(set), reach: self.reach(anchor) }
    }
}

impl<'a> FromIterator<AnchorRef<'a>> for Anchors {
    fn from_iter<T: IntoIterator<Item = AnchorRef<'a>>>(anchors: T) -> Self {
        let mut gathered = Gathered::default();
        for anchor in anchors {
            gathered.add(anchor);
        }
        gathered.finish()
    }
}

/// Anchors while they are gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    anchors: Anchors,
    /// The number of each set.
    numbers: BySet<u32>,
    /// The anchor of each hash; of those few that hash alike, the first.
    known: HashMap<u64, u32, BuildHasherDefault<SetHasher>>,
}

impl Gathered {
    /// Room for about so many: what grows is moved to memory that was not touched before, and that is slow to come by.
    pub fn with_room(count: usize) -> Self {
        let known = HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default());
        let list = Vec::with_capacity(count);
        Self { anchors: Anchors { list, ..Anchors::default() }, known, ..Self::default() }
    }

    /// Adds an anchor, if it is new. Gives its number.
    pub fn add(&mut self, anchor: AnchorRef<'_>) -> u32 {
        let start = self.anchors.spelled.len();
        let mut last = None;
        for &set in anchor.sets {
            // Most are the same as the one before.
            let number = match last {
                Some((same, number)) if same == set => number,
                _ => self.number(set),
            };
            last = Some((set, number));
            self.anchors.spelled.push(number);
        }
        let before = anchor.before.map(|set| self.number(set));
        let next = self.anchors.list.len() as u32;
        let first =
            *self.known.entry(hash(&self.anchors.spelled[start..], before, anchor.reach)).or_insert(next);
        let is_known = first != next
            && self.anchors.numbers(first) == &self.anchors.spelled[start..]
            && self.anchors.before(first) == before
            && self.anchors.reach(first) == anchor.reach;
        if is_known {
            self.anchors.spelled.truncate(start);
            return first;
        }
        let (start, end) = (start as u32, self.anchors.spelled.len() as u32);
        self.anchors.list.push(Listed { start, end, before, reach: anchor.reach.copied().map(Box::new) });
        next
    }

    fn number(&mut self, set: ByteSet) -> u32 {
        *self.numbers.entry(set).or_insert_with(|| {
            self.anchors.sets.push(set);
            self.anchors.sets.len() as u32 - 1
        })
    }

    /// All of them.
    pub fn finish(self) -> Anchors {
        self.anchors
    }
}

fn hash(numbers: &[u32], before: Option<u32>, reach: Option<&Reach>) -> u64 {
    let mut hasher = SetHasher::default();
    numbers.iter().for_each(|&number| hasher.write_u64(number.into()));
    hasher.write_u64(before.map_or(u64::MAX, u64::from));
    reach
        .iter()
        .flat_map(|reach| [reach.over, reach.to, reach.then[0]])
        .for_each(|set| set.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::anchor::Anchor;

    #[test]
    fn each_anchor_is_kept_once() {
        let word = Anchor::caseless(b"aab");
        let behind = Anchor { before: Some(ByteSet::of(b'x')), ..word.clone() };
        let to = |end| Some(Box::new(Reach::new(ByteSet::of(b'-'), ByteSet::of(end))));
        let reaching = [b'.', b','].map(|end| Anchor { reach: to(end), ..word.clone() });
        let all = [&word, &behind, &reaching[0], &reaching[1]].map(Anchor::as_ref);
        let mut gathered = Gathered::with_room(1);
        for _ in 0..2 {
            assert_eq!(all.map(|anchor| gathered.add(anchor)), [0, 1, 2, 3]);
        }
        let anchors = gathered.finish();
        assert_eq!((anchors.count(), anchors.sets().len()), (4, 3));
        for (anchor, number) in all.into_iter().zip(0..) {
            assert_eq!(anchors.get(number, &mut Vec::new()), anchor);
        }
    }
}
