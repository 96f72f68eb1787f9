//! Windows: the bytes of an anchor by which it is looked up, and the tables they are looked up in.

use super::rare::Rare;
use crate::rules::anchor::Anchor;
use crate::rules::gate::{By, Key, Sets, Way, Where, byte_at};

/// How many bytes in front of a place are compared before an anchor is, and how many in all.
pub(super) const BACK: usize = 6;
pub(super) const NEAR: usize = 16;
/// What stands beyond the text: an anchor may ask for anything there, but for nothing in particular.
pub(super) const BEYOND: u8 = b'\n';

/// An anchor, as it is compared before its bytes are.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// The folded bytes near the place, and which of them count: those that can be one only.
    pub(super) near: u128,
    pub(super) mask: u128,
    pub(super) anchor: u32,
    /// How far behind the anchor's start the place is.
    pub(super) place: i32,
}

impl Window {
    fn of(index: u32, anchor: &Anchor, place: isize) -> Self {
        let (mut near, mut mask) = (0, 0);
        // In front of an anchor an escape may end: that is no byte in particular.
        for (set, i) in anchor.sets.iter().zip(BACK as isize - place..) {
            if (0..NEAR as isize).contains(&i)
                && let Some(byte) = set.folded().only()
            {
                near |= u128::from(byte) << (8 * i);
                mask |= 0xFF << (8 * i);
            }
        }
        Self { near, mask, anchor: index, place: place as i32 }
    }
}

/// A mask of the bytes that are the same in both.
fn same_bytes(a: u128, b: u128) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    u128::from_le_bytes(std::array::from_fn(|i| if a[i] == b[i] { 0xFF } else { 0 }))
}

/// What a table is made of: windows, and which of them each key leads to.
#[derive(Default)]
struct Entries {
    windows: Vec<Window>,
    keys: Vec<(Key, u16)>,
}

/// Anchors by the bytes they are looked up by.
pub(super) struct Table {
    /// A bit for each hash of a key that an anchor has. Few keys have short hashes, so that what is asked all the time
    /// stays in the first cache.
    known: Box<[u64; (1 << Table::MOST) / 64]>,
    shift: u32,
    /// For each shorter hash: which of the slots it has.
    slots: Box<[u16; 1 << Table::HASHES]>,
    slot: Vec<Slot>,
    list: Vec<(Key, u16)>,
    windows: Vec<Window>,
}

/// The windows whose keys hash alike.
struct Slot {
    /// What they have in common: folded bytes and which of them count.
    near: u128,
    mask: u128,
    /// Where they start in the list, and where they end.
    start: u32,
    end: u32,
}

impl Table {
    /// The bits of the longest hash, and of those that name slots.
    const MOST: u32 = 16;
    const HASHES: u32 = 14;
    /// How many bits there are for a key.
    const SPARSE: usize = 16;

    fn new(entries: Entries) -> Self {
        let Entries { windows, keys } = entries;
        let as_number = |(key, window): (Key, u16)| {
            (Self::short_hash(key) as u64) << 48 | u64::from(key) << 16 | u64::from(window)
        };
        let mut order: Vec<u64> = keys.into_iter().map(as_number).collect();
        order.sort_unstable();
        order.dedup();
        let list: Vec<(Key, u16)> =
            order.into_iter().map(|number| ((number >> 16) as Key, number as u16)).collect();
        let mut known = Box::new([0; _]);
        let bits = (list.len() * Self::SPARSE).max(1 << 9).ilog2().min(Self::MOST);
        let shift = Key::BITS - bits;
        for &(key, _) in &list {
            let hash = Self::hash(key, shift);
            known[hash / 64] |= 1 << (hash % 64);
        }
        let mut slots = Box::new([0; _]);
        // The first slot is of those that have no windows: nothing may be there.
        let mut slot = vec![Slot { near: u128::MAX, mask: 0, start: 0, end: 0 }];
        let mut start = 0;
        for part in list.chunk_by(|a, b| Self::short_hash(a.0) == Self::short_hash(b.0)) {
            let mut windows = part.iter().map(|&(_, window)| &windows[usize::from(window)]);
            let first = windows.next().map_or((0, 0), |window| (window.near, window.mask));
            let (near, mask) = windows.fold(first, |(near, mask), window| {
                let mask = mask & window.mask & same_bytes(near, window.near);
                (near & mask, mask)
            });
            let end = start + part.len() as u32;
            // There are fewer hashes than numbers.
            slots[Self::short_hash(part[0].0)] = slot.len() as u16;
            slot.push(Slot { near, mask, start, end });
            start = end;
        }
        Self { known, shift, slots, slot, list, windows }
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

    /// Whether a window with this key, or one that hashes like it, may stand where these bytes are near.
    #[inline(always)]
    pub(super) fn may_be(&self, key: Key, seen: u128) -> bool {
        let slot = self.slot(key);
        seen & slot.mask == slot.near
    }

    /// The windows with this key.
    #[inline]
    pub(super) fn of(&self, key: Key) -> impl Iterator<Item = &Window> {
        let slot = self.slot(key);
        let same =
            self.list[slot.start as usize..slot.end as usize].iter().filter(move |(other, _)| *other == key);
        same.map(|&(_, window)| &self.windows[usize::from(window)])
    }
}

/// All anchors, by how they are looked for.
pub(super) struct Tables {
    pub(super) starts: Table,
    pub(super) ends: Table,
    pub(super) shorts: Table,
    pub(super) signs: Table,
    pub(super) shapes: Table,
    pub(super) runs: Vec<Window>,
    pub(super) everywhere: Vec<Window>,
    pub(super) rare: Option<Rare>,
}

impl Tables {
    pub(super) fn new(anchors: &[Anchor]) -> Self {
        let mut parts: [Entries; 5] = Default::default();
        let (mut runs, mut everywhere, mut rare) = (Vec::new(), Vec::new(), Vec::new());
        let mut sets = Sets::default();
        for (anchor, index) in anchors.iter().zip(0..) {
            let way = Way::best(anchor, BACK, NEAR - BACK, &mut sets);
            let window = Window::of(index, anchor, way.place);
            let part = match way.by() {
                Some(By::Start) => 0,
                Some(By::End) => 1,
                Some(By::Short) => 2,
                Some(By::Sign) => 3,
                Some(By::Shape) => 4,
                Some(By::Nothing) => {
                    runs.push(window);
                    continue;
                }
                None => {
                    everywhere.push(window);
                    continue;
                }
            };
            let Entries { windows, keys } = &mut parts[part];
            let Ok(number) = u16::try_from(windows.len()) else {
                // No room to name it.
                everywhere.push(window);
                continue;
            };
            if way.at == Where::Rare {
                rare.push(std::array::from_fn(|i| byte_at(anchor, way.place + i as isize).folded()));
            }
            way.each_key(anchor, &mut |key| keys.push((key, number)));
            windows.push(window);
        }
        let [starts, ends, shorts, signs, shapes] = parts.map(Table::new);
        Self { starts, ends, shorts, signs, shapes, runs, everywhere, rare: Rare::new(&rare) }
    }
}
