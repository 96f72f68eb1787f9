//! Buckets: which windows are looked for together.

use super::fold::{BETWEEN, CLASSES, DIGITS, OF_CLASS, PAIRS, bits};
use super::window::{BACK, Cut, WINDOW};

/// At how many places a list of windows may be split.
pub(super) const SPLITS: usize = 4;

/// The pairs of classes that windows have, in each of their three places.
#[derive(Clone)]
pub(super) struct Pairs([[u64; PAIRS / 64]; WINDOW / 2]);

impl Pairs {
    const NONE: Self = Self([[0; PAIRS / 64]; WINDOW / 2]);

    pub(super) fn of(cut: &Cut) -> Self {
        let mut pairs = Self::NONE;
        for (table, pair) in pairs.0.iter_mut().zip(cut.classes[BACK..].chunks_exact(2)) {
            for right in bits(pair[1]) {
                // The pairs with this right half are 32 bits in a row.
                table[usize::from(right) / 2] |= u64::from(pair[0]) << (32 * (right % 2));
            }
        }
        pairs
    }

    pub(super) fn unite(&mut self, other: &Self) {
        for (table, other) in self.0.iter_mut().zip(&other.0) {
            table.iter_mut().zip(other).for_each(|(words, other)| *words |= other);
        }
    }

    pub(super) fn each(table: &[u64; PAIRS / 64]) -> impl Iterator<Item = usize> {
        table.iter().enumerate().flat_map(|(i, &word)| {
            let halves = [word as u32, (word >> 32) as u32];
            halves.into_iter().enumerate().flat_map(move |(half, word)| {
                bits(word).map(move |bit| i * 64 + half * 32 + usize::from(bit))
            })
        })
    }

    /// How often the bucket of these windows would be looked at.
    pub(super) fn rate(&self, shares: &[f32; PAIRS]) -> f32 {
        self.0.iter().map(|table| Self::each(table).map(|pair| shares[pair]).sum::<f32>().min(1.0)).product()
    }

    pub(super) fn add(&self, buckets: &mut [[u64; WINDOW / 2]; PAIRS], bucket: usize) {
        for (nth, pairs) in self.0.iter().enumerate() {
            Self::each(pairs).for_each(|pair| buckets[pair][nth] |= 1 << bucket);
        }
    }
}

/// Splits a sorted list into at most `most` parts, for a bucket each: a bucket takes every first pair with every second
/// and third of its windows, so the part that would be looked at most is split until there are enough.
pub(super) fn split<'l>(list: &'l [u32], pairs: &[Pairs], most: usize) -> Vec<&'l [u32]> {
    let kinds = OF_CLASS.map(|bytes| bytes.frequency());
    let is_number = |class: usize| (DIGITS | BETWEEN) >> class & 1 == 1;
    let shares = std::array::from_fn(|pair| {
        let (left, right) = (pair % CLASSES, pair / CLASSES);
        let share = kinds[left] * kinds[right];
        let is_word = (1..=26).contains(&left) && (1..=26).contains(&right);
        if is_number(left) && is_number(right) {
            share.max(0.3)
        } else if is_word {
            2.0 * share
        } else {
            share
        }
    });
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
            (*before, done) = (all.rate(&shares), *at);
        }
        all = Pairs::NONE;
        done = part.len();
        for (at, _, behind) in places.iter_mut().rev() {
            part[*at..done].iter().for_each(|&i| all.unite(&pairs[i as usize]));
            (*behind, done) = (all.rate(&shares), *at);
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
