//! Text folded to classes of bytes: letters without case, digits, what stands between words, operators and quotes, signs,
//! the rest.

use crate::rules::byte_set::ByteSet;

/// How much text is folded at once: small enough to stay in the first cache beside the tables.
pub(super) const CHUNK: usize = 2048;
/// The bytes of a window.
pub(super) const WINDOW: usize = 8;
/// How many bytes in front of a window are compared by their classes before its anchor is, and how many in all.
pub(super) const BACK: usize = 8;
pub(super) const NEAR: usize = 16;
/// The bytes that are folded in front of a chunk and behind it.
pub(super) const AROUND: usize = NEAR;
/// Classes of bytes, and pairs of them.
pub(super) const CLASSES: usize = 32;
pub(super) const PAIRS: usize = CLASSES * CLASSES;

/// The class of a byte. Written so that the compiler makes vector instructions of it: comparisons of bytes, and masks.
#[inline(always)]
pub(super) const fn class(byte: u8) -> u8 {
    const fn mask(is: bool) -> u8 {
        (is as u8).wrapping_neg()
    }
    let is_letter = mask((byte | 0x20).wrapping_sub(b'a') < 26);
    let is_digit = mask(byte.wrapping_sub(b'0') < 10);
    let is_between = mask(byte.wrapping_sub(b'-') < 3) | mask(byte == b' ') | mask(byte == b'_');
    let is_operator = mask(byte.wrapping_sub(b':') < 5)
        | mask(byte == b']')
        | mask(byte == b'"')
        | mask(byte == b'\'')
        | mask(byte == b'`');
    let is_sign = mask(byte.wrapping_sub(b'$') < 2) | mask(byte == b'\\') | mask(byte == 0x1B);
    let is_rare = mask(byte == b'@') | mask(byte == b'+');
    (byte & 31 & is_letter)
        | (27 & is_digit)
        | (28 & is_between)
        | (29 & is_operator)
        | (30 & is_sign)
        | (31 & is_rare)
}

/// The bytes of each class.
pub(super) static OF_CLASS: [ByteSet; CLASSES] = {
    let mut sets = [ByteSet::NONE; CLASSES];
    let mut byte = 0;
    while byte < 256 {
        let class = class(byte as u8) as usize;
        sets[class] = sets[class].with(byte as u8);
        byte += 1;
    }
    sets
};

/// Classes as bits.
pub(super) type ClassSet = u32;

/// The classes that numbers and times are made of.
pub(super) const DIGITS: ClassSet = 1 << class(b'0');
pub(super) const BETWEEN: ClassSet = 1 << class(b'-');

pub(super) fn bits(mut set: ClassSet) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let bit = set.trailing_zeros() as u8;
            set &= set - 1;
            bit
        })
    })
}

/// A chunk of text, folded.
pub(super) struct Folded {
    pub(super) classes: [u8; AROUND + CHUNK + AROUND],
    /// For each byte of the chunk and a few more: its class and the next one's.
    pub(super) pairs: [u16; CHUNK + WINDOW],
}

impl Default for Folded {
    fn default() -> Self {
        Self { classes: [0; AROUND + CHUNK + AROUND], pairs: [0; CHUNK + WINDOW] }
    }
}

impl Folded {
    /// Folds the chunk of `text` that starts at `from`, and what is around it; nothing stands beyond the text.
    pub(super) fn fold(&mut self, text: &[u8], from: usize) {
        let front = from.min(AROUND);
        let text = &text[from - front..text.len().min(from + CHUNK + AROUND)];
        let at = AROUND - front;
        for (class_of, &byte) in self.classes[at..].iter_mut().zip(text) {
            *class_of = class(byte);
        }
        self.classes[..at].fill(0);
        // As much of nothing as a window may reach into.
        let end = at + text.len();
        let reach = self.classes.len().min(end + AROUND);
        self.classes[end..reach].fill(0);
        let pairs = &mut self.pairs[..(end - AROUND + WINDOW).min(CHUNK + WINDOW)];
        let (left, right) = (&self.classes[AROUND..], &self.classes[AROUND + 1..]);
        for ((pair, &left), &right) in pairs.iter_mut().zip(left).zip(right) {
            *pair = u16::from(left) | u16::from(right) << 5;
        }
    }

    /// The classes near a place, from [`BACK`] bytes in front of it on, the first in the lowest byte.
    pub(super) fn near(&self, place: usize) -> u128 {
        let from = AROUND + place - BACK;
        self.classes[from..].first_chunk().map_or(0, |near| u128::from_le_bytes(*near))
    }
}
