//! Reading text 16 bytes at a time, with SSSE3. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
    _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi16,
};

use super::halves::{Halves, LANE, UPPER, from_each, reader};
use super::kind::{KINDS, Kind, SEEN, WORD, Word};

/// 16 bytes as a vector.
#[target_feature(enable = "ssse3")]
#[inline]
fn load(bytes: &[u8; LANE]) -> __m128i {
    let [a, b] = std::array::from_fn(|i| i64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    _mm_set_epi64x(b, a)
}

/// A table as a vector.
#[target_feature(enable = "ssse3")]
#[inline]
fn table(bytes: &[u8; LANE]) -> __m128i {
    load(bytes)
}

/// The lower halves of bytes.
#[target_feature(enable = "ssse3")]
#[inline]
fn lower(bytes: __m128i) -> __m128i {
    _mm_and_si128(bytes, _mm_set1_epi8(15))
}

/// Their upper halves.
#[target_feature(enable = "ssse3")]
#[inline]
fn upper(bytes: __m128i) -> __m128i {
    lower(_mm_srli_epi16::<4>(bytes))
}

/// What a table has for halves.
#[target_feature(enable = "ssse3")]
#[inline]
fn pick(table: __m128i, halves: __m128i) -> __m128i {
    _mm_shuffle_epi8(table, halves)
}

/// The bits that both have.
#[target_feature(enable = "ssse3")]
#[inline]
fn both(a: __m128i, b: __m128i) -> __m128i {
    _mm_and_si128(a, b)
}

/// Which of 64 bytes are zero.
#[target_feature(enable = "ssse3")]
#[inline]
fn zero(vectors: [__m128i; 4]) -> [u32; 2] {
    let [a, b, c, d] =
        vectors.map(|vector| _mm_movemask_epi8(_mm_cmpeq_epi8(vector, _mm_setzero_si128())).cast_unsigned());
    [a | b << LANE, c | d << LANE]
}

reader!("ssse3", 16);
