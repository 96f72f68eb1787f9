//! Buckets: which windows are looked for together.

use super::fold::{BACK, BETWEEN, CLASSES, ClassSet, DIGITS, OF_CLASS, PAIRS, WINDOW, bits};
use super::window::Cut;

/// At how many places a list of windows may be split.
const SPLITS: usize = 8;

/// The pairs of classes that windows have, in each of their four places: bit `left` of row `right`.
#[derive(Clone)]
pub(super) struct Pairs([[ClassSet; CLASSES]; WINDOW / 2]);

impl Pairs {
    const NONE: Self = Self([[0; CLASSES]; WINDOW / 2]);

    pub(super) fn of(cut: &Cut) -> Self {
        let mut pairs = Self::NONE;
        for (table, pair) in pairs.0.iter_mut().zip(cut.classes[BACK..].chunks_exact(2)) {
            bits(pair[1]).for_each(|right| table[usize::from(right)] = pair[0]);
        }
        pairs
    }

    fn unite(&mut self, other: &Self) {
        for (table, other) in self.0.iter_mut().zip(&other.0) {
            table.iter_mut().zip(other).for_each(|(words, other)| *words |= other);
        }
    }

    /// How often the bucket of these windows would be looked at.
    fn rate(&self, shares: &Shares) -> f32 {
        self.0.iter().map(|table| shares.of(table).min(1.0)).product()
    }

    /// Notes that these pairs stand in a bucket.
    pub(super) fn add(&self, buckets: &mut [[u64; WINDOW / 2]; PAIRS], bucket: usize) {
        for (nth, table) in self.0.iter().enumerate() {
            for (right, &lefts) in table.iter().enumerate() {
                bits(lefts).for_each(|left| buckets[usize::from(left) | right << 5][nth] |= 1 << bucket);
            }
        }
    }
}

/// How often pairs of classes turn up in logs: for each right class, the sums over every set of eight left ones.
pub(super) struct Shares(Vec<[[f32; 256]; CLASSES / 8]>);

impl Shares {
    pub(super) fn new() -> Self {
        let kinds = OF_CLASS.map(|bytes| bytes.frequency());
        let is_number = |class: usize| (DIGITS | BETWEEN) >> class & 1 == 1;
        let share = |left: usize, right: usize| {
            let share = kinds[left] * kinds[right];
            if is_number(left) && is_number(right) {
                share.max(0.3)
            } else if (1..=26).contains(&left) && (1..=26).contains(&right) {
                2.0 * share
            } else {
                share
            }
        };
        let row = |right: usize| {
            std::array::from_fn(|eight| {
                let mut sums = [0.0; 256];
                for set in 1..256usize {
                    let lowest = set.trailing_zeros() as usize;
                    sums[set] = sums[set & (set - 1)] + share(8 * eight + lowest, right);
                }
                sums
            })
        };
        Self((0..CLASSES).map(row).collect())
    }

    fn of(&self, table: &[ClassSet; CLASSES]) -> f32 {
        let rows = self.0.iter().zip(table).filter(|(_, lefts)| **lefts != 0);
        rows.flat_map(|(row, lefts)| row.iter().zip(lefts.to_le_bytes()))
            .map(|(sums, set)| sums[usize::from(set)])
            .sum()
    }
}

/// Splits a sorted list into at most `most` parts, for a bucket each: a bucket takes every first pair with every second
/// and third of its windows, so the part that would be looked at most is split until there are enough.
pub(super) fn split<'l>(list: &'l [u32], pairs: &[Pairs], shares: &Shares, most: usize) -> Vec<&'l [u32]> {
    let mut parts = vec![(f32::INFINITY, list)];
    while parts.len() < most {
        let splittable = parts.iter().enumerate().filter(|(_, (_, part))| part.len() > 1);
        let Some((worst, _)) = splittable.max_by(|a, b| a.1.0.total_cmp(&b.1.0)) else { break };
        let (_, part) = parts.swap_remove(worst);
        // Of a few places to split it at, the best: the rates of what is before them, then of what is behind.
        let step = part.len().div_ceil(SPLITS);
        let mut places: Vec<(usize, f32, f32)> =
            (step..part.len()).step_by(step).map(|at| (at, 0.0, 0.0)).collect();
        let mut all = Pairs::NONE;
        let mut done = 0;
        for (at, before, _) in &mut places {
            part[done..*at].iter().for_each(|&i| all.unite(&pairs[i as usize]));
            (*before, done) = (all.rate(shares), *at);
        }
        all = Pairs::NONE;
        done = part.len();
        for (at, _, behind) in places.iter_mut().rev() {
            part[*at..done].iter().for_each(|&i| all.unite(&pairs[i as usize]));
            (*behind, done) = (all.rate(shares), *at);
        }
        if let Some((at, before, behind)) =
            places.into_iter().min_by(|a, b| (a.1 + a.2).total_cmp(&(b.1 + b.2)))
        {
            let (left, right) = part.split_at(at);
            parts.extend([(before, left), (behind, right)]);
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}
