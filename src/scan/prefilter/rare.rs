//! Three bytes wherever they stand, for anchors that no gate leads to. Such anchors are put into a few buckets, and each
//! bucket has one set for each of the three bytes, so that looking for them costs the same however many they are. A set
//! is the halves its bytes may have: any lower one of some with any upper one of some. Which bytes of an anchor are looked
//! for, and with which others it shares a bucket, is chosen so that in text few places pass.

use crate::rules::anchor::AnchorRef;
use crate::rules::anchors::Anchors;
use crate::rules::byte_set::{ByteSet, frequency_of_halves};
use crate::rules::gate::byte_at;
use crate::rules::way::Way;

/// How many bytes are looked for.
pub(super) const BYTES: usize = 3;
/// How many buckets there are: a bit of a byte for each.
const BUCKETS: usize = 8;
/// How often the choice is gone over.
const ROUNDS: usize = 2;
/// How many places of an anchor are weighed: those that are rarest by themselves.
const PLACES: usize = 6;

/// Which halves a byte may have, a bit for each: the lower ones and the upper ones.
type Halves = [u16; 2];
/// What each of the three bytes may be.
type Bucket = [Halves; BYTES];

/// For each of the three bytes and each half, lower and upper: the buckets that it may belong to, a bit for each.
pub(super) type Tables = [[[u8; 16]; 2]; BYTES];

/// Moves the places of anchors with their ways to where together they are the rarest. Gives the tables they share.
pub(super) fn choose(anchors: &Anchors, rare: &mut [(u32, Way)]) -> Tables {
    // What each anchor may be looked for by: a place, and what the bytes there may be.
    let mut room = Vec::new();
    let ways: Vec<Vec<(isize, Bucket)>> =
        rare.iter().map(|&(anchor, way)| ways(anchors.get(anchor, &mut room), way)).collect();
    let mut chosen: Vec<Option<(usize, isize, Bucket)>> = vec![None; rare.len()];
    for _ in 0..ROUNDS {
        for (i, ways) in ways.iter().enumerate() {
            chosen[i] = None;
            let buckets = united(chosen.iter().flatten()).map(|of| Rated { of, shares: of.map(share) });
            let more = |bucket: usize, of: &Bucket| buckets[bucket].rate_with(of) - buckets[bucket].rate();
            let all =
                ways.iter().flat_map(|&(place, of)| (0..BUCKETS).map(move |bucket| (bucket, place, of)));
            chosen[i] = all.min_by(|a, b| more(a.0, &a.2).total_cmp(&more(b.0, &b.2)));
        }
    }
    for ((_, way), chosen) in rare.iter_mut().zip(&chosen) {
        way.place = chosen.map_or(way.place, |(_, place, _)| place);
    }
    let mut tables = [[[0; 16]; 2]; BYTES];
    for (bucket, of) in united(chosen.iter().flatten()).iter().enumerate() {
        for (tables, halves) in tables.iter_mut().zip(of) {
            for (table, bits) in tables.iter_mut().zip(halves) {
                (0..16).filter(|half| bits >> half & 1 == 1).for_each(|half| table[half] |= 1 << bucket);
            }
        }
    }
    tables
}

/// The rarest places of an anchor, and what its bytes may be there.
fn ways(anchor: AnchorRef<'_>, way: Way) -> Vec<(isize, Bucket)> {
    let last = (anchor.sets.len() as isize - BYTES as isize).max(0);
    let possible = (0..=last).filter(|&place| Way { place, ..way }.is_possible(anchor));
    // Behind the end of an anchor, anything.
    let bucket = |place: isize| std::array::from_fn(|i| halves(byte_at(anchor, place + i as isize)));
    let mut ways: Vec<(isize, Bucket)> = possible.map(|place| (place, bucket(place))).collect();
    ways.sort_by(|a, b| rate(&a.1).total_cmp(&rate(&b.1)));
    ways.truncate(PLACES);
    // What was chosen without regard to others is possible.
    if ways.is_empty() { vec![(way.place, bucket(way.place))] } else { ways }
}

fn halves(set: ByteSet) -> Halves {
    set.iter().fold([0; 2], |[low, high], byte| [low | 1 << (byte & 15), high | 1 << (byte >> 4)])
}

fn union(a: &Bucket, b: &Bucket) -> Bucket {
    std::array::from_fn(|i| [a[i][0] | b[i][0], a[i][1] | b[i][1]])
}

/// What the buckets hold.
fn united<'c>(chosen: impl Iterator<Item = &'c (usize, isize, Bucket)>) -> [Bucket; BUCKETS] {
    let mut buckets = [[[0; 2]; BYTES]; BUCKETS];
    chosen.for_each(|(bucket, _, of)| buckets[*bucket] = union(&buckets[*bucket], of));
    buckets
}

/// How often such bytes follow each other in text, about.
fn rate(bucket: &Bucket) -> f32 {
    bucket.iter().copied().map(share).product()
}

/// How many of all bytes in text are such, about.
fn share([low, high]: Halves) -> f32 {
    frequency_of_halves(low, high)
}

/// A bucket, and the share of each of its bytes.
struct Rated {
    of: Bucket,
    shares: [f32; BYTES],
}

impl Rated {
    fn rate(&self) -> f32 {
        self.shares.iter().product()
    }

    /// What it would be if these were in it, too: mostly they are, or nearly.
    fn rate_with(&self, more: &Bucket) -> f32 {
        let all = union(&self.of, more);
        let share_of = |i: usize| if all[i] == self.of[i] { self.shares[i] } else { share(all[i]) };
        (0..BYTES).map(share_of).product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::anchor::Anchor;
    use crate::rules::way::Where;

    #[test]
    fn anchors_that_look_alike_share_a_bucket() {
        let way = Way { at: Where::Rare, place: 0, cost: 0.0 };
        let anchors =
            ["QZXe", "eQZX", "eeQZXe"].map(|text| Anchor::new(text.bytes().map(ByteSet::of).collect()));
        let anchors: Anchors = anchors.iter().map(Anchor::as_ref).collect();
        let mut rare = [0, 1, 2].map(|anchor| (anchor, way));
        let tables = choose(&anchors, &mut rare);
        assert_eq!(rare.map(|(_, way)| way.place), [0, 1, 2]);
        let passes = |text: &[u8]| {
            let bits = |(tables, byte): (&[[u8; 16]; 2], &u8)| {
                tables[0][usize::from(byte & 15)] & tables[1][usize::from(byte >> 4)]
            };
            tables.iter().zip(text).map(bits).fold(0xFF, |all, bits| all & bits) != 0
        };
        assert!(passes(b"QZX"));
        assert!(!passes(b"QZx") && !passes(b"XZQ") && !passes(b"\xD1ZX"));
        assert_eq!(choose(&anchors, &mut []), [[[0; 16]; 2]; BYTES]);
    }
}
