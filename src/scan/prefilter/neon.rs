//! Reading text 16 bytes at a time, with NEON. What it gives is what the portable reader gives.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqzq_u8, vcombine_u8, vcreate_u8, vdupq_n_u8, vgetq_lane_u64, vpaddq_u8,
    vqtbl1q_u8, vreinterpretq_u64_u8, vshrq_n_u8,
};

use super::halves::{Halves, LANE, UPPER, from_each, reader};
use super::kind::{KINDS, Kind, SEEN, WORD, Word};

/// 16 bytes as a vector.
#[target_feature(enable = "neon")]
#[inline]
fn load(bytes: &[u8; LANE]) -> uint8x16_t {
    let [a, b] = std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|j| bytes[8 * i + j])));
    vcombine_u8(vcreate_u8(a), vcreate_u8(b))
}

/// Which of 64 bytes are zero: a bit is left of each, and neighbours are added until eight bytes remain.
#[target_feature(enable = "neon")]
#[inline]
fn zero(vectors: [uint8x16_t; 4]) -> [u32; 2] {
    let bit = load(&[1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]);
    let [a, b, c, d] = vectors.map(|vector| vandq_u8(vceqzq_u8(vector), bit));
    let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    let bits = vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)));
    [bits as u32, (bits >> 32) as u32]
}

/// A table as a vector.
#[target_feature(enable = "neon")]
#[inline]
fn table(bytes: &[u8; LANE]) -> uint8x16_t {
    load(bytes)
}

/// The lower halves of bytes.
#[target_feature(enable = "neon")]
#[inline]
fn lower(bytes: uint8x16_t) -> uint8x16_t {
    vandq_u8(bytes, vdupq_n_u8(15))
}

/// Their upper halves.
#[target_feature(enable = "neon")]
#[inline]
fn upper(bytes: uint8x16_t) -> uint8x16_t {
    vshrq_n_u8::<4>(bytes)
}

/// What a table has for halves.
#[target_feature(enable = "neon")]
#[inline]
fn pick(table: uint8x16_t, halves: uint8x16_t) -> uint8x16_t {
    vqtbl1q_u8(table, halves)
}

/// The bits that both have.
#[target_feature(enable = "neon")]
#[inline]
fn both(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vandq_u8(a, b)
}

reader!("neon", 16);
