//! Four bytes wherever they stand, for anchors that no gate leads to: masks by the halves of each byte, eight buckets at
//! once (Teddy's idea, from Hyperscan).

use super::kind::WORD;
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::{DIGITS, FOLD};

/// The bytes of a window.
pub(super) const BYTES: usize = 4;
const BUCKETS: usize = 8;
/// How many parts the windows are split into before they are put together again.
const MOST: usize = 48;

/// In which buckets a window has a byte, by the byte's place and by its lower and its upper half.
#[derive(Clone, Debug)]
pub(super) struct Rare {
    pub(super) low: [[u8; 16]; BYTES],
    pub(super) high: [[u8; 16]; BYTES],
}

impl Rare {
    /// Masks for windows of four sets of folded bytes each; `None` if there are no windows.
    pub(super) fn new(windows: &[[ByteSet; BYTES]]) -> Option<Self> {
        if windows.is_empty() {
            return None;
        }
        let mut masks = Self { low: [[0; 16]; BYTES], high: [[0; 16]; BYTES] };
        for (bucket, halves) in buckets(windows).iter().enumerate() {
            for (i, [low, high]) in halves.0.iter().enumerate() {
                for half in 0..16 {
                    masks.low[i][half] |= u8::from(low >> half & 1 == 1) << bucket;
                    masks.high[i][half] |= u8::from(high >> half & 1 == 1) << bucket;
                }
            }
        }
        Some(masks)
    }

    /// Where windows may stand that begin in the first 64 bytes of `block`.
    pub(super) fn read_portable(&self, block: &[u8; WORD + BYTES]) -> u64 {
        let is_rare = |i: usize| {
            let buckets = (0..BYTES).fold(u8::MAX, |buckets, j| {
                let byte = usize::from(block[i + j]);
                buckets & self.low[j][byte & 15] & self.high[j][byte >> 4]
            });
            u64::from(buckets != 0) << i
        };
        (0..WORD).map(is_rare).sum()
    }
}

/// For each byte of some windows, which lower and which upper halves it may have.
#[derive(Clone, Copy)]
struct Halves([[u16; 2]; BYTES]);

impl Halves {
    fn of(window: &[ByteSet; BYTES]) -> Self {
        let mut halves = Self([[0; 2]; BYTES]);
        for ([low, high], set) in halves.0.iter_mut().zip(window) {
            for byte in set.iter().flat_map(|byte| [byte, byte & !FOLD]) {
                *low |= 1 << (byte & 15);
                *high |= 1 << (byte >> 4);
            }
        }
        halves
    }

    fn union(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| std::array::from_fn(|j| self.0[i][j] | other.0[i][j])))
    }

    /// How often text has such bytes. Where there is one digit there are more.
    fn rate(&self) -> f32 {
        let mut rate = 1.0;
        let mut behind = 0;
        for [low, high] in self.0 {
            let set = ByteSet::of_halves(low, high);
            let digits = set.intersection(DIGITS).len();
            let likelier = if behind > 0 { 0.08 * digits as f32 } else { 0.0 };
            rate *= set.frequency().max(likelier).min(1.0);
            behind = digits;
        }
        rate
    }
}

/// Windows put together to as few as there are buckets. A bucket takes every first byte with every other, so those go
/// together that make it the least oftener to do so.
fn buckets(windows: &[[ByteSet; BYTES]]) -> Vec<Halves> {
    let mut order: Vec<&[ByteSet; BYTES]> = windows.iter().collect();
    order.sort_by_key(|sets| sets.iter().map(|set| (set.len(), *set)).collect::<Vec<_>>());
    let parts = order.chunks(windows.len().div_ceil(MOST));
    let together = |part: &[&[ByteSet; BYTES]]| {
        part.iter().map(|window| Halves::of(window)).reduce(|all, halves| all.union(&halves))
    };
    let mut buckets: Vec<(Halves, f32)> =
        parts.filter_map(together).map(|halves| (halves, halves.rate())).collect();
    let price = |a: &(Halves, f32), b: &(Halves, f32)| a.0.union(&b.0).rate() - a.1 - b.1;
    let mut prices: Vec<Vec<f32>> =
        (0..buckets.len()).map(|i| (0..i).map(|j| price(&buckets[i], &buckets[j])).collect()).collect();
    while buckets.len() > BUCKETS {
        let pairs = prices
            .iter()
            .enumerate()
            .flat_map(|(i, row)| row.iter().enumerate().map(move |(j, p)| (*p, i, j)));
        let Some((_, i, j)) = pairs.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        // The last one takes the place of the one that goes.
        let halves = buckets[i].0.union(&buckets[j].0);
        buckets[j] = (halves, halves.rate());
        let last = buckets.len() - 1;
        buckets.swap_remove(i);
        prices.pop();
        for at in [i, j].into_iter().filter(|&at| at < last) {
            for other in (0..last).filter(|&other| other != at) {
                prices[at.max(other)][at.min(other)] = price(&buckets[at], &buckets[other]);
            }
        }
    }
    buckets.into_iter().map(|(halves, _)| halves).collect()
}
