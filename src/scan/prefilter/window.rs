//! Windows: the eight bytes of an anchor by which it is looked for.

use super::fold::{BACK, BETWEEN, ClassSet, DIGITS, NEAR, OF_CLASS, WINDOW, bits, class};
use crate::rules::anchor::shares;
use crate::rules::byte_set::ByteSet;

/// How many ways are too many.
pub(super) const MAX_READINGS: usize = 256;

/// What the prefilter knows of a set.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) classes: ClassSet,
    /// All bytes of these classes.
    pub(super) bytes: ByteSet,
}

impl Kind {
    pub(super) fn of(set: ByteSet) -> Self {
        let classes = set.iter().fold(0, |all, byte| all | 1 << class(byte));
        Self {
            classes,
            bytes: bits(classes).fold(ByteSet::NONE, |all, class| all.union(OF_CLASS[usize::from(class)])),
        }
    }
}

/// A window of an anchor, and what it may read.
pub(super) struct Cut {
    pub(super) anchor: u32,
    /// From [`BACK`] bytes in front of the window on.
    pub(super) classes: [ClassSet; NEAR],
    /// How far behind the anchor's start the window starts.
    pub(super) offset: u8,
}

impl Cut {
    /// The rarest window of an anchor.
    pub(super) fn of(anchor: u32, kinds: &[Kind]) -> Self {
        let bytes: Vec<ByteSet> = kinds.iter().map(|kind| kind.bytes).collect();
        let shares = shares(&bytes);
        let mut best = (f32::INFINITY, 0);
        // A window may reach beyond the end of the anchor.
        for at in 0..kinds.len() {
            let to = kinds.len().min(at + WINDOW);
            let share = shares[at..to].iter().product::<f32>();
            if share < best.0 {
                // What reads in many ways is compared more often than it need be, and so is what is not all near.
                let readings =
                    kinds[at..to.min(at + 4)].iter().map(|kind| kind.classes.count_ones() as usize);
                let is_vague =
                    readings.product::<usize>() << (5 * (at + 4).saturating_sub(to)) > MAX_READINGS;
                let hidden = at.saturating_sub(BACK) + kinds.len().saturating_sub(at + NEAR - BACK);
                let rate = share.max(common(&kinds[at..to]))
                    * if is_vague { 10.0 } else { 1.0 + 0.1 * hidden as f32 };
                if rate < best.0 {
                    best = (rate, at);
                }
            }
        }
        let at = best.1;
        Self {
            anchor,
            classes: std::array::from_fn(|i| {
                let kind = (at + i).checked_sub(BACK).and_then(|i| kinds.get(i));
                kind.map_or(ClassSet::MAX, |kind| kind.classes)
            }),
            offset: at as u8,
        }
    }

    /// In how many ways the first four bytes of the window may read.
    pub(super) fn readings(&self) -> usize {
        self.classes[BACK..BACK + 4].iter().map(|classes| classes.count_ones() as usize).product()
    }

    pub(super) fn each_reading(&self, found: &mut impl FnMut(u32)) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| self.classes[BACK + i]);
        for a in bits(a) {
            for b in bits(b) {
                for c in bits(c) {
                    for d in bits(d) {
                        found(u32::from_le_bytes([a, b, c, d]));
                    }
                }
            }
        }
    }

    /// Which windows go together: those that are vague in the same places, of these those that have digits (which logs
    /// are full of) in the same places, and of these those that begin alike. `end`: those that end alike.
    pub(super) fn order(&self, end: bool) -> (u64, u64) {
        let place = |i: usize| self.classes[BACK + if end { WINDOW - 1 - i } else { i }];
        let kind = |classes: ClassSet| match classes.count_ones() {
            9.. => 2,
            _ if classes & (DIGITS | BETWEEN) != 0 => 1,
            _ => 0,
        };
        let likeness =
            |classes: ClassSet| classes.trailing_zeros() as u8 | (classes.count_ones().min(7) as u8) << 5;
        let kinds = u64::from_be_bytes(std::array::from_fn(|i| kind(place(i))));
        (kinds, u64::from_be_bytes(std::array::from_fn(|i| likeness(place(i)))))
    }

    pub(super) fn window(&self) -> Window {
        let (mut near, mut mask) = (0, 0);
        for (i, &classes) in self.classes.iter().enumerate() {
            if classes.count_ones() == 1 {
                near |= u128::from(classes.trailing_zeros()) << (8 * i);
                mask |= 0xFF << (8 * i);
            }
        }
        Window { near, mask, anchor: self.anchor, offset: self.offset }
    }
}

/// An anchor, as it is compared before its bytes are.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// The classes near the window's first byte, and which of them count: those that can be one only.
    pub(super) near: u128,
    pub(super) mask: u128,
    pub(super) anchor: u32,
    /// How far behind the anchor's start the window starts.
    pub(super) offset: u8,
}

/// Windows by how they read.
pub(super) struct Readings {
    /// For each hash of a key: where its windows start in `list`; one more for the end.
    starts: Vec<u32>,
    list: Vec<Window>,
}

impl Readings {
    const HASHES: u32 = 13;

    pub(super) fn new(mut list: Vec<(u32, Window)>) -> Self {
        list.sort_by_cached_key(|(key, _)| Self::hash(*key));
        let mut starts = vec![0; (1 << Self::HASHES) + 1];
        for (key, _) in &list {
            starts[Self::hash(*key) + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        Self { starts, list: list.into_iter().map(|(_, window)| window).collect() }
    }

    /// Fibonacci hashing (Knuth, volume 3, section 6.4): the high bits of a product.
    pub(super) fn hash(key: u32) -> usize {
        (key.wrapping_mul(0x9E37_79B1) >> (32 - Self::HASHES)) as usize
    }

    /// The windows that read so, and others.
    pub(super) fn of(&self, key: u32) -> &[Window] {
        let hash = Self::hash(key);
        &self.list[self.starts[hash] as usize..self.starts[hash + 1] as usize]
    }
}

/// Words that logs are full of.
pub(super) const COMMON: &str = "connection connected session service server username user node information info error warning \
    debug authentication authorization password client request response received data block version status state system \
    kernel process thread manager master worker task container application message event started starting stopped \
    opened closed failed failure invalid unknown check root administrator admin login http https www com org java \
    exception class file path port host address timestamp time date from with for and the not key value type size \
    length count total index main default config update create created delete getting post proxy packet remote local \
    source destination device driver memory register interface network cluster running hadoop name number";

/// How often a window turns up for being part of such a word.
fn common(window: &[Kind]) -> f32 {
    let mut letters = [0; WINDOW];
    for (letter, kind) in letters.iter_mut().zip(window) {
        let class = kind.classes.trailing_zeros() as u8;
        if kind.classes.count_ones() != 1 || !(1..=26).contains(&class) {
            return 0.0;
        }
        *letter = b'a' - 1 + class;
    }
    let is_common = window.len() == WINDOW && memchr::memmem::find(COMMON.as_bytes(), &letters).is_some();
    if is_common { 0.0005 } else { 0.0 }
}
