//! What vectors look bytes up in: a byte's lower half picks from one table, its upper half from another, sixteen at a
//! time and more.

use super::kind::{FIXED, SEEN, WORD};
use super::rare;
use crate::rules::byte_set::ByteSet;

/// How many halves there are.
pub(super) const LANE: usize = 16;

/// A bit for each upper half of a byte, one for the first two, and one for all beyond ASCII.
pub(super) const UPPER: [u8; LANE] = [1, 1, 2, 4, 8, 16, 32, 64, 128, 128, 128, 128, 128, 128, 128, 128];

/// The tables of kinds and of rare bytes.
pub(super) struct Halves {
    /// For each kind and each lower half of a byte: the [`UPPER`] halves with which it is *not* of the kind.
    pub(super) without: [[u8; LANE]; FIXED],
    pub(super) rare: rare::Tables,
}

impl Halves {
    /// The sets must be rounded (`kind`): they have what `UPPER` does not tell apart together or not at all.
    pub(super) fn new(sets: &[ByteSet; FIXED], rare: rare::Tables) -> Self {
        let without = |set: &ByteSet, low: u8| {
            (0..LANE as u8)
                .filter(|high| !set.has(high << 4 | low))
                .fold(0, |bits, high| bits | UPPER[usize::from(high)])
        };
        Self { without: sets.map(|set| std::array::from_fn(|low| without(&set, low as u8))), rare }
    }
}

/// The bytes of a word from each of the rare ones on.
#[inline]
pub(super) fn from_each(block: &[u8; SEEN]) -> [&[u8; WORD]; rare::BYTES] {
    // As many bytes as are asked for at the last of them are there.
    std::array::from_fn(|from| block[from..].first_chunk().unwrap_or(&[0; WORD]))
}
