//! Reading text 16 bytes at a time, with SSSE3. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
    _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi16,
};

use super::halves::{Halves, LANE, UPPER, from_each};
use super::kind::{KINDS, Kind, SEEN, WORD, Word};

/// 16 bytes as a vector.
#[target_feature(enable = "ssse3")]
#[inline]
fn load(bytes: &[u8; LANE]) -> __m128i {
    let [a, b] = std::array::from_fn(|i| i64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    _mm_set_epi64x(b, a)
}

/// Which bytes are zero.
#[target_feature(enable = "ssse3")]
#[inline]
fn zero(vector: __m128i) -> u32 {
    _mm_movemask_epi8(_mm_cmpeq_epi8(vector, _mm_setzero_si128())).cast_unsigned()
}

/// As [`super::kind::read_portable`].
#[target_feature(enable = "ssse3")]
#[inline]
pub(super) fn read(kinds: &Halves, block: &[u8; SEEN]) -> Word {
    let mut word = [[0; 2]; KINDS];
    let [here, second, third] = from_each(block);
    let halves = |block: &[u8; WORD]| {
        let (lanes, _) = block.as_chunks::<LANE>();
        [0, 1, 2, 3].map(|i| {
            let bytes = load(&lanes[i]);
            let half = |vector| _mm_and_si128(vector, _mm_set1_epi8(15));
            [half(bytes), half(_mm_srli_epi16::<4>(bytes))]
        })
    };
    let together = |bits: [u32; 4]| [bits[0] | bits[1] << LANE, bits[2] | bits[3] << LANE];
    let here = halves(here);
    let upper = here.map(|[_, upper]| _mm_shuffle_epi8(load(&UPPER), upper));
    for (without, bits) in kinds.without.iter().zip(&mut word) {
        let without = load(without);
        let of_kind = |i: usize| zero(_mm_and_si128(_mm_shuffle_epi8(without, here[i][0]), upper[i]));
        *bits = together([0, 1, 2, 3].map(of_kind));
    }
    let all = [here, halves(second), halves(third)];
    let buckets = |i: usize| {
        let buckets =
            |byte: usize, half: usize| _mm_shuffle_epi8(load(&kinds.rare[byte][half]), all[byte][i][half]);
        let of_byte = |byte: usize| _mm_and_si128(buckets(byte, 0), buckets(byte, 1));
        _mm_and_si128(_mm_and_si128(of_byte(0), of_byte(1)), of_byte(2))
    };
    word[Kind::Rare as usize] = together([0, 1, 2, 3].map(|i| zero(buckets(i)))).map(|bits| !bits);
    word
}
