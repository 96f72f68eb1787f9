//! How vectors read text, and what they look bytes up in: a byte's lower half picks from one table, its upper half from
//! another, sixteen at a time and more.

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

/// The function that reads 64 bytes with the vectors of one processor, as [`super::kind::read_portable`] does. `$lanes` is
/// how many bytes a vector has; the module where it is used says what is done with vectors:
/// `load` takes so many bytes, `table` a table for every 16 of them, `lower` and `upper` give the halves of bytes, `pick`
/// what a table has for each of them, `both` the bits that two vectors share, and `zero` which of 64 bytes are zero.
macro_rules! reader {
    ($feature:literal, $lanes:literal) => {
        /// As the portable reader.
        #[target_feature(enable = $feature)]
        #[inline]
        pub(super) fn read(kinds: &Halves, block: &[u8; SEEN]) -> Word {
            let each = std::array::from_fn::<usize, { WORD / $lanes }, _>(|i| i);
            let halves = |block: &[u8; WORD]| {
                let (lanes, _) = block.as_chunks::<$lanes>();
                each.map(|i| {
                    let bytes = load(&lanes[i]);
                    [lower(bytes), upper(bytes)]
                })
            };
            let all = from_each(block).map(halves);
            let here = all[0];
            let groups = here.map(|[_, upper]| pick(table(&UPPER), upper));
            let mut word = [[0; 2]; KINDS];
            for (without, bits) in kinds.without.iter().zip(&mut word) {
                let without = table(without);
                *bits = zero(each.map(|i| both(pick(without, here[i][0]), groups[i])));
            }
            let buckets = |i: usize| {
                let of_half =
                    |byte: usize, half: usize| pick(table(&kinds.rare[byte][half]), all[byte][i][half]);
                let of_byte = |byte: usize| both(of_half(byte, 0), of_half(byte, 1));
                both(both(of_byte(0), of_byte(1)), of_byte(2))
            };
            word[Kind::Rare as usize] = zero(each.map(buckets)).map(|bits| !bits);
            word
        }
    };
}
pub(super) use reader;
