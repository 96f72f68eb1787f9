//! Reading text 32 bytes at a time, with AVX2. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m256i, _mm_set_epi64x, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16,
};

use super::kind::{KINDS, SETS, WORD, Word};
use super::rare::{BYTES, Rare};

/// What half of a vector holds.
const LANE: usize = 16;

/// For each kind and each lower half of a byte: the upper halves, 0 to 7, with which it is of the kind.
const HALVES: [[u8; LANE]; KINDS] = {
    let mut halves = [[0; LANE]; KINDS];
    let mut kind = 0;
    while kind < KINDS {
        let mut byte = 0;
        while byte < 0x80 {
            if SETS[kind].has(byte) {
                halves[kind][(byte & 15) as usize] |= 1 << (byte >> 4);
            }
            byte += 1;
        }
        kind += 1;
    }
    halves
};

/// The bit of each upper half; bytes beyond ASCII have none.
const UPPER: [u8; LANE] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

/// The kinds that bytes beyond ASCII are of, all of them or none.
const BEYOND_ASCII: [bool; KINDS] = {
    let mut are = [false; KINDS];
    let mut kind = 0;
    while kind < KINDS {
        are[kind] = SETS[kind].has(0x80);
        let mut byte = 0x80;
        while byte < 0x100 {
            assert!(SETS[kind].has(byte as u8) == are[kind]);
            byte += 1;
        }
        kind += 1;
    }
    are
};

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

/// As [`super::kind::read_portable`].
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn read(block: &[u8; WORD]) -> Word {
    let [low, high] = block.as_chunks::<32>().0 else { return [0; KINDS] };
    let (low, high) = (load(low), load(high));
    let upper = [low, high].map(|bytes| _mm256_shuffle_epi8(table(&UPPER), upper(bytes)));
    let beyond = both(_mm256_movemask_epi8(low).cast_unsigned(), _mm256_movemask_epi8(high).cast_unsigned());
    let mut word = [0; KINDS];
    for (kind, bits) in word.iter_mut().enumerate() {
        // Beyond ASCII the shuffle gives zero.
        let halves = table(&HALVES[kind]);
        let low = not_zero(_mm256_and_si256(_mm256_shuffle_epi8(halves, low), upper[0]));
        let high = not_zero(_mm256_and_si256(_mm256_shuffle_epi8(halves, high), upper[1]));
        *bits = both(low, high) | if BEYOND_ASCII[kind] { beyond } else { 0 };
    }
    word
}

/// The bits of 64 bytes.
fn both(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// As [`Rare::read_portable`].
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn read_rare(rare: &Rare, block: &[u8; WORD + BYTES]) -> u64 {
    let mut found = 0;
    for i in [0, 32] {
        let mut buckets = _mm256_set1_epi8(-1);
        for (j, (low, high)) in rare.low.iter().zip(&rare.high).enumerate() {
            let Some(bytes) = block[i + j..].first_chunk() else { continue };
            let bytes = load(bytes);
            let low = _mm256_shuffle_epi8(table(low), _mm256_and_si256(bytes, _mm256_set1_epi8(15)));
            let high = _mm256_shuffle_epi8(table(high), upper(bytes));
            buckets = _mm256_and_si256(buckets, _mm256_and_si256(low, high));
        }
        found |= u64::from(not_zero(buckets)) << i;
    }
    found
}
