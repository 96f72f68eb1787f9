//! Reading text 16 bytes at a time, with NEON. What it gives is what the portable reader gives.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqzq_u8, vcombine_u8, vcreate_u8, vdupq_n_u8, vgetq_lane_u64, vpaddq_u8,
    vqtbl1q_u8, vreinterpretq_u64_u8, vshrq_n_u8,
};

use super::halves::{Halves, LANE, UPPER, from_each};
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

/// As [`super::kind::read_portable`].
#[target_feature(enable = "neon")]
#[inline]
pub(super) fn read(kinds: &Halves, block: &[u8; SEEN]) -> Word {
    let mut word = [[0; 2]; KINDS];
    let [here, second, third] = from_each(block);
    let halves = |block: &[u8; WORD]| {
        let (lanes, _) = block.as_chunks::<LANE>();
        [0, 1, 2, 3].map(|i| {
            let bytes = load(&lanes[i]);
            [vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes)]
        })
    };
    let here = halves(here);
    let upper = here.map(|[_, upper]| vqtbl1q_u8(load(&UPPER), upper));
    for (without, bits) in kinds.without.iter().zip(&mut word) {
        let without = load(without);
        *bits = zero([0, 1, 2, 3].map(|i: usize| vandq_u8(vqtbl1q_u8(without, here[i][0]), upper[i])));
    }
    let all = [here, halves(second), halves(third)];
    let buckets = |i: usize| {
        let buckets =
            |byte: usize, half: usize| vqtbl1q_u8(load(&kinds.rare[byte][half]), all[byte][i][half]);
        let of_byte = |byte: usize| vandq_u8(buckets(byte, 0), buckets(byte, 1));
        vandq_u8(vandq_u8(of_byte(0), of_byte(1)), of_byte(2))
    };
    word[Kind::Rare as usize] = zero([0, 1, 2, 3].map(buckets)).map(|bits| !bits);
    word
}
