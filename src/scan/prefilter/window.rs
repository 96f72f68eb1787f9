//! Windows: the bytes of an anchor by which it is looked up, and the tables they are looked up in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

use super::kind::Kinds;
use super::look::{Look, Looks, NEAR, Shared};
use super::rare;
use super::tree::{Node, Residues, Trees, residues};
use crate::rules::anchors::Anchors;
use crate::rules::byte_set::SetHasher;
use crate::rules::gate::{By, FOLD, Gate, Key};
use crate::rules::way::{Bytes, Known, Way, Where};

/// How many of the bytes near a place stand in front of it, about: each table has its own number.
const BACK: usize = 6;
/// What stands beyond the text: an anchor may ask for anything there, but for nothing in particular.
pub(super) const BEYOND: u8 = b'\n';

/// What anchors look like near a place, and those that look so.
pub(super) struct Window {
    look: Look,
    /// How far behind an anchor's start the place is.
    pub(super) place: i32,
    pub(super) anchors: Vec<u32>,
}

impl Window {
    /// An anchor that is compared at all of its places, whatever they look like.
    fn unseen(index: u32, place: isize) -> Self {
        Self { look: Look::ANYTHING, place: place as i32, anchors: vec![index] }
    }
}

/// What is known of the bytes near a place with `back` bytes in front of it, which stands `place` bytes behind an anchor's
/// start: `bytes` of the anchor's, `nothing` of the others. In front of an anchor an escape may end, which is no byte in
/// particular.
fn near<T: Copy>(bytes: impl Iterator<Item = T>, place: isize, back: usize, nothing: T) -> [T; NEAR] {
    let mut near = [nothing; NEAR];
    for (byte, i) in bytes.zip(back as isize - place..) {
        if let Some(here) = usize::try_from(i).ok().and_then(|i| near.get_mut(i)) {
            *here = byte;
        }
    }
    near
}

/// What a table is made of: windows, and which of them each key leads to.
#[derive(Default)]
struct Entries {
    windows: Vec<Window>,
    residues: Vec<Residues>,
    keys: Vec<(Key, u16)>,
    /// Which window looks like this.
    known: HashMap<(Look, i32), u16, BuildHasherDefault<SetHasher>>,
}

impl Entries {
    /// Adds a window, or its anchor to one that looks alike. Gives its number, if there is room for one more.
    fn add(&mut self, window: Window, residues: Residues) -> Option<u16> {
        let next = u16::try_from(self.windows.len()).ok().filter(|&next| next < u16::MAX);
        match self.known.entry((window.look, window.place)) {
            Entry::Occupied(number) => {
                let number = *number.get();
                self.windows[usize::from(number)].anchors.extend(window.anchors);
                let all = &mut self.residues[usize::from(number)];
                *all = all.union(&residues);
                Some(number)
            }
            Entry::Vacant(place) => {
                place.insert(next?);
                self.windows.push(window);
                self.residues.push(residues);
                next
            }
        }
    }

    /// The keys with their windows, each pair once, in the order of their short hashes.
    fn take_sorted(&mut self) -> Vec<(Key, u16)> {
        // Counted first: there are many keys, and few of each hash.
        let mut ends = vec![0u32; 1 << Table::HASHES];
        self.keys.iter().for_each(|&(key, _)| ends[Table::short_hash(key)] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut sorted = vec![(0, 0); self.keys.len()];
        for entry in std::mem::take(&mut self.keys) {
            let end = &mut ends[Table::short_hash(entry.0)];
            sorted[*end as usize] = entry;
            *end += 1;
        }
        for same in sorted.chunk_by_mut(|a, b| Table::short_hash(a.0) == Table::short_hash(b.0)) {
            same.sort_unstable_by_key(|&(key, window)| (window, key));
        }
        sorted.dedup();
        sorted
    }
}

/// Anchors by the bytes they are looked up by.
pub(super) struct Table {
    /// How many bytes in front of a place are compared.
    pub(super) back: usize,
    /// A bit for each hash of a key that an anchor has. Few keys have short hashes, so that what is asked all the time
    /// stays in the first cache.
    known: Box<[u64; (1 << Table::MOST) / 64]>,
    shift: u32,
    /// For each shorter hash: which of the slots it has.
    slots: Box<[u16; 1 << Table::HASHES]>,
    slot: Vec<Slot>,
    trees: Trees,
    windows: Vec<Window>,
}

/// The windows whose keys hash alike.
struct Slot {
    /// What all of them look like, with their keys.
    looks: Looks,
    /// What tells the windows apart.
    first: Node,
}

impl Table {
    /// The bits of the longest hash, and of those that name slots.
    const MOST: u32 = 16;
    const HASHES: u32 = 14;
    /// How many bits there are for a key.
    const SPARSE: usize = 16;

    /// `back`: how many bytes in front of a place are compared. `key_bytes`: how many bytes from there on are known from the
    /// key.
    fn new(mut entries: Entries, back: usize, key_bytes: u32) -> Self {
        let keys = entries.take_sorted();
        let Entries { mut windows, residues, .. } = entries;
        windows.shrink_to_fit();
        let mut known = Box::new([0; _]);
        let bits = (keys.len() * Self::SPARSE).max(1 << 9).ilog2().min(Self::MOST);
        let shift = Key::BITS - bits;
        for &(key, _) in &keys {
            let hash = Self::hash(key, shift);
            known[hash / 64] |= 1 << (hash % 64);
        }
        let mut slots = Box::new([0; _]);
        // The first slot is of those that have no windows: nothing leads on from there.
        let parts = || keys.chunk_by(|a, b| Self::short_hash(a.0) == Self::short_hash(b.0));
        let mut slot = Vec::with_capacity(1 + parts().count());
        slot.push(Slot { looks: Looks::NOTHING, first: Node::NOWHERE });
        let mut trees = Trees::default();
        let asked = ((1 << key_bytes) - 1) << back;
        for part in parts() {
            let mut list: Vec<u16> = part.iter().map(|&(_, window)| window).collect();
            // It may be here by more than one key.
            list.dedup();
            let key = part[0].0;
            let looks = Looks::of(list.iter().map(|&window| windows[usize::from(window)].look));
            let mut near = [Shared::NOTHING; NEAR];
            for (byte, shared) in near[back..][..key_bytes as usize].iter_mut().enumerate() {
                let folded = part.iter().map(|&(key, _)| (key >> (8 * byte)) as u8);
                *shared = Shared::of_each(folded.flat_map(|byte| [byte, byte & !FOLD]));
            }
            let looks = looks.and(Look::of(near));
            // There are fewer hashes than numbers.
            slots[Self::short_hash(key)] = slot.len() as u16;
            slot.push(Slot { looks, first: trees.plant(&residues, &list, asked) });
        }
        Self { back, known, shift, slots, slot, trees, windows }
    }

    /// Fibonacci hashing (Knuth, volume 3, section 6.4): the high bits of a product.
    #[inline(always)]
    fn hash(key: Key, shift: u32) -> usize {
        usize::from((key.wrapping_mul(0x9E37_79B1) >> shift) as u16)
    }

    #[inline(always)]
    fn short_hash(key: Key) -> usize {
        Self::hash(key, Key::BITS - Self::HASHES)
    }

    /// Whether there may be windows with this key.
    #[inline(always)]
    pub(super) fn knows(&self, key: Key) -> bool {
        let hash = Self::hash(key, self.shift);
        self.known[hash / 64] >> (hash % 64) & 1 == 1
    }

    #[inline(always)]
    fn slot(&self, key: Key) -> &Slot {
        &self.slot[usize::from(self.slots[Self::short_hash(key)])]
    }

    /// Whether a window with this key, or one that hashes like it, may stand at a place. `near`: the bytes near it, from
    /// [`back`](Self::back) bytes in front of it on, the first in the lowest bits.
    #[inline(always)]
    pub(super) fn may_be(&self, key: Key, near: u128) -> bool {
        self.slot(key).looks.fit(near)
    }

    /// The windows that may stand where these bytes are near; all those with this key that do are among them.
    #[inline]
    pub(super) fn of(&self, key: Key, near: u128) -> impl Iterator<Item = &Window> {
        let bytes = near.to_le_bytes();
        let windows = self.trees.windows(self.slot(key).first, |at| bytes[usize::from(at) % NEAR]);
        let windows = windows.iter().map(|&window| &self.windows[usize::from(window)]);
        windows.filter(move |window| window.look.fits(near))
    }
}

/// All anchors, by how they are looked for.
pub(super) struct Tables {
    pub(super) starts: Table,
    pub(super) threes: Table,
    pub(super) signs: Table,
    pub(super) shapes: Table,
    pub(super) begins: Vec<Window>,
    pub(super) runs: Vec<Window>,
    pub(super) everywhere: Vec<Window>,
    pub(super) kinds: Kinds,
}

impl Tables {
    pub(super) fn new(anchors: &Anchors) -> Self {
        let known: Vec<Known> = anchors.sets().iter().map(|&set| Known::of(set)).collect();
        let shared: Vec<Shared> = anchors.sets().iter().map(|&set| Shared::of(set)).collect();
        let residues: Vec<u32> = anchors.sets().iter().map(|&set| residues(set)).collect();
        let known = |number: &u32| known[*number as usize];
        let mut bytes = Bytes::default();
        let all = 0..anchors.count() as u32;
        let mut ways: Vec<Way> = all
            .clone()
            .map(|anchor| {
                let before = anchors.before(anchor).as_ref().map(known);
                bytes.read(before, anchors.numbers(anchor).iter().map(known));
                Way::best(&bytes, BACK, NEAR - BACK)
            })
            .collect();
        let mut rare: Vec<(u32, Way)> =
            all.clone().zip(ways.iter().copied()).filter(|(_, way)| way.at == Where::Rare).collect();
        let kinds = Kinds::new(rare::choose(anchors, &mut rare));
        rare.into_iter().for_each(|(anchor, way)| ways[anchor as usize] = way);

        let unseen = |at: Where| -> Vec<Window> {
            let there = all.clone().zip(&ways).filter(|(_, way)| way.at == at);
            there.map(|(index, way)| Window::unseen(index, way.place)).collect()
        };
        let mut everywhere = unseen(Where::Everywhere);
        let mut room = Vec::new();
        // One after the other: what they are made of takes more room than they do. What begins at a place is told by the
        // bytes that follow, what ends there by those before. Keys have as many bytes as `Way::readings` gives.
        let mut table = |by: By, back: usize, key_bytes: u32| {
            let mut entries = Entries::default();
            for (index, way) in all.clone().zip(&ways).filter(|(_, way)| way.by() == Some(by)) {
                let sets = || anchors.numbers(index).iter().map(|&number| number as usize);
                let look = Look::of(near(sets().map(|set| shared[set]), way.place, back, Shared::NOTHING));
                let residues = near(sets().map(|set| residues[set]), way.place, back, u32::MAX);
                let window = Window { look, ..Window::unseen(index, way.place) };
                match entries.add(window, Residues::new(residues)) {
                    Some(number) => {
                        let anchor = anchors.get(index, &mut room);
                        way.each_key(anchor, &mut |key| entries.keys.push((key, number)));
                    }
                    // No room to name it. Where it is compared, its place is its start.
                    None => everywhere.push(Window::unseen(index, 0)),
                }
            }
            Table::new(entries, back, key_bytes)
        };
        Self {
            starts: table(By::Start, 2, 4),
            threes: table(By::Three, 10, 3),
            signs: table(By::Sign, 6, 2),
            shapes: table(By::Shape, 2, 0),
            begins: unseen(Where::Gate(Gate::Begin)),
            runs: unseen(Where::Gate(Gate::Run)),
            everywhere,
            kinds,
        }
    }
}
