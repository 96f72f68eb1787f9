//! Reading text 64 bytes at a time, with AVX-512. What it gives is what the portable reader gives.

use std::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_set_epi64, _mm512_set1_epi8,
    _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_testn_epi8_mask,
};

use super::halves::{Halves, LANE, UPPER, from_each, reader};
use super::kind::{KINDS, Kind, SEEN, WORD, Word};

/// 64 bytes as a vector.
#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; WORD]) -> __m512i {
    let [a, b, c, d, e, f, g, h] =
        std::array::from_fn(|i| i64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    _mm512_set_epi64(h, g, f, e, d, c, b, a)
}

/// The same table in every quarter of a vector.
#[target_feature(enable = "avx512f")]
#[inline]
fn table(bytes: &[u8; LANE]) -> __m512i {
    let [a, b] = std::array::from_fn(|i| i64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    _mm512_broadcast_i32x4(_mm_set_epi64x(b, a))
}

/// The lower halves of bytes.
#[target_feature(enable = "avx512f")]
#[inline]
fn lower(bytes: __m512i) -> __m512i {
    _mm512_and_si512(bytes, _mm512_set1_epi8(15))
}

/// Their upper halves.
#[target_feature(enable = "avx512bw")]
#[inline]
fn upper(bytes: __m512i) -> __m512i {
    lower(_mm512_srli_epi16::<4>(bytes))
}

/// What a table has for halves.
#[target_feature(enable = "avx512bw")]
#[inline]
fn pick(table: __m512i, halves: __m512i) -> __m512i {
    _mm512_shuffle_epi8(table, halves)
}

/// The bits that both have.
#[target_feature(enable = "avx512f")]
#[inline]
fn both(a: __m512i, b: __m512i) -> __m512i {
    _mm512_and_si512(a, b)
}

/// Which of 64 bytes are zero.
#[target_feature(enable = "avx512bw")]
#[inline]
fn zero([vector]: [__m512i; 1]) -> [u32; 2] {
    let bits = _mm512_testn_epi8_mask(vector, vector);
    [bits as u32, (bits >> 32) as u32]
}

reader!("avx512bw", 64);
