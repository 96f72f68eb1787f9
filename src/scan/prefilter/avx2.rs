//! Reading text 32 bytes at a time, with AVX2. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m256i, _mm_set_epi64x, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16,
};

use super::kind::{KINDS, WORD, Word};
use crate::rules::byte_set::ByteSet;

/// What half of a vector holds.
const LANE: usize = 16;

/// The bytes of each kind by their halves.
pub(super) struct Halves {
    /// For each lower half of a byte: the upper halves, 0 to 7, with which it is of the kind.
    ascii: [[u8; LANE]; KINDS],
    /// All ones for a kind that bytes beyond ASCII may be of: it has all of them then.
    beyond: [u64; KINDS],
}

impl Halves {
    pub(super) fn new(sets: &[ByteSet; KINDS]) -> Self {
        let upper =
            |set: &ByteSet, low: u8| (0..8).map(|high| u8::from(set.has(high << 4 | low)) << high).sum();
        Self {
            ascii: sets.map(|set| std::array::from_fn(|low| upper(&set, low as u8))),
            beyond: sets.map(|set| if (0x80..=0xFF).any(|byte| set.has(byte)) { u64::MAX } else { 0 }),
        }
    }
}

/// The bit of each upper half; bytes beyond ASCII have none.
const UPPER: [u8; LANE] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

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

/// Which bytes are not zero.
#[target_feature(enable = "avx2")]
#[inline]
fn not_zero(vector: __m256i) -> u32 {
    !_mm256_movemask_epi8(_mm256_cmpeq_epi8(vector, _mm256_setzero_si256())).cast_unsigned()
}

/// The upper half of each byte.
#[target_feature(enable = "avx2")]
#[inline]
fn upper(vector: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_srli_epi16::<4>(vector), _mm256_set1_epi8(15))
}

/// As [`super::kind::read_portable`], but that a kind that has some bytes beyond ASCII has all of them.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn read(kinds: &Halves, block: &[u8; WORD]) -> Word {
    let [low, high] = block.as_chunks::<32>().0 else { return [0; KINDS] };
    let (low, high) = (load(low), load(high));
    let upper = [low, high].map(|bytes| _mm256_shuffle_epi8(table(&UPPER), upper(bytes)));
    let beyond = both(_mm256_movemask_epi8(low).cast_unsigned(), _mm256_movemask_epi8(high).cast_unsigned());
    let mut word = [0; KINDS];
    for (kind, bits) in word.iter_mut().enumerate() {
        // Beyond ASCII the shuffle gives zero.
        let halves = table(&kinds.ascii[kind]);
        let low = not_zero(_mm256_and_si256(_mm256_shuffle_epi8(halves, low), upper[0]));
        let high = not_zero(_mm256_and_si256(_mm256_shuffle_epi8(halves, high), upper[1]));
        *bits = both(low, high) | beyond & kinds.beyond[kind];
    }
    word
}

/// The bits of 64 bytes.
fn both(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
