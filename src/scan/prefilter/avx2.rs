//! Reading text 32 bytes at a time, with AVX2. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m256i, _mm_set_epi64x, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16,
};

use super::halves::{Halves, LANE, UPPER, from_each};
use super::kind::{KINDS, Kind, SEEN, WORD, Word};

/// 32 bytes as a vector.
#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; 32]) -> __m256i {
    let [a, b, c, d] = std::array::from_fn(|i| i64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    _mm256_set_epi64x(d, c, b, a)
}

/// The same table in both halves of a vector.
#[target_feature(enable = "avx2")]
#[inline]
fn table(bytes: &[u8; LANE]) -> __m256i {
    let [a, b] = std::array::from_fn(|i| i64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    _mm256_broadcastsi128_si256(_mm_set_epi64x(b, a))
}

/// Which bytes are zero.
#[target_feature(enable = "avx2")]
#[inline]
fn zero(vector: __m256i) -> u32 {
    _mm256_movemask_epi8(_mm256_cmpeq_epi8(vector, _mm256_setzero_si256())).cast_unsigned()
}

/// As [`super::kind::read_portable`].
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn read(kinds: &Halves, block: &[u8; SEEN]) -> Word {
    let mut word = [[0; 2]; KINDS];
    let [here, second, third] = from_each(block);
    let halves = |block: &[u8; WORD]| {
        let (halves, _) = block.as_chunks::<32>();
        [0, 1].map(|i| {
            let bytes = load(&halves[i]);
            let half = |vector| _mm256_and_si256(vector, _mm256_set1_epi8(15));
            [half(bytes), half(_mm256_srli_epi16::<4>(bytes))]
        })
    };
    let here = halves(here);
    let upper = here.map(|[_, upper]| _mm256_shuffle_epi8(table(&UPPER), upper));
    for (without, bits) in kinds.without.iter().zip(&mut word) {
        let without = table(without);
        let of_kind = |i: usize| zero(_mm256_and_si256(_mm256_shuffle_epi8(without, here[i][0]), upper[i]));
        *bits = [of_kind(0), of_kind(1)];
    }
    let all = [here, halves(second), halves(third)];
    let buckets = |i: usize| {
        let buckets = |byte: usize, half: usize| {
            _mm256_shuffle_epi8(table(&kinds.rare[byte][half]), all[byte][i][half])
        };
        let of_byte = |byte: usize| _mm256_and_si256(buckets(byte, 0), buckets(byte, 1));
        _mm256_and_si256(_mm256_and_si256(of_byte(0), of_byte(1)), of_byte(2))
    };
    word[Kind::Rare as usize] = [!zero(buckets(0)), !zero(buckets(1))];
    word
}
