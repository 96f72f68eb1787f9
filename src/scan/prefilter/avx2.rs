//! Reading text 32 bytes at a time, with AVX2. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m256i, _mm_set_epi64x, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16,
};

use super::halves::{Halves, LANE, UPPER, from_each, reader};
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

/// The lower halves of bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn lower(bytes: __m256i) -> __m256i {
    _mm256_and_si256(bytes, _mm256_set1_epi8(15))
}

/// Their upper halves.
#[target_feature(enable = "avx2")]
#[inline]
fn upper(bytes: __m256i) -> __m256i {
    lower(_mm256_srli_epi16::<4>(bytes))
}

/// What a table has for halves.
#[target_feature(enable = "avx2")]
#[inline]
fn pick(table: __m256i, halves: __m256i) -> __m256i {
    _mm256_shuffle_epi8(table, halves)
}

/// The bits that both have.
#[target_feature(enable = "avx2")]
#[inline]
fn both(a: __m256i, b: __m256i) -> __m256i {
    _mm256_and_si256(a, b)
}

/// Which of 64 bytes are zero.
#[target_feature(enable = "avx2")]
#[inline]
fn zero(vectors: [__m256i; 2]) -> [u32; 2] {
    vectors
        .map(|vector| _mm256_movemask_epi8(_mm256_cmpeq_epi8(vector, _mm256_setzero_si256())).cast_unsigned())
}

reader!("avx2", 32);
