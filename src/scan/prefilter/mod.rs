//! Where to look: one pass over a block that finds every place where an anchor stands.
//!
//! Bytes are folded to 32 classes (letters without case, digits, what stands between words, operators and quotes, the
//! rest). Each anchor is known by its rarest window of eight bytes, and windows are spread over 64 buckets. A table tells
//! for every pair of classes in which buckets it may be the first, second, third and fourth pair of a window; the AND of
//! four look-ups is zero nearly everywhere in clean text. Where it is not, the place is noted, and afterwards the
//! anchors whose windows read like the text are compared with it byte by byte. (The buckets are Teddy's idea, from
//! Hyperscan; pairs of classes replace its nibble masks.)
//!
//! Nothing depends on what is found until the places are noted, so the processor can run ahead; folding is written so
//! that the compiler makes vector instructions of it; the tables stay in the first cache.
//!
//! The hits are exactly the places where anchors stand: no place is lost, and none is reported that is not there.

mod bucket;
mod fold;
mod window;

use std::collections::HashMap;

use crate::carrier::escape::ends_before;
use crate::rules::anchor::Anchor;
use crate::rules::byte_set::ByteSet;
use bucket::{Pairs, Shares, split};
use fold::{BACK, CHUNK, Folded, PAIRS, WINDOW};
use window::{Cut, Kind, MAX_READINGS, Readings, Window};

const BUCKETS: usize = 64;
/// The buckets of windows that could read in too many ways to be looked up by how they read.
const VAGUE: usize = 8;
/// A bucket with fewer windows is gone through.
const FEW: usize = 12;

/// An anchor that stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The anchor's first byte.
    pub at: usize,
    /// Which of the anchors the prefilter was made of.
    pub anchor: u32,
}

/// The anchors of all rules, ready to be looked for.
pub struct Prefilter {
    anchors: Vec<Anchor>,
    /// Every set once, the sets of all anchors one after the other, and where each anchor's start: together small enough
    /// to stay in the cache.
    sets: Vec<ByteSet>,
    places: Vec<u32>,
    starts: Vec<u32>,
    /// For each pair of classes: the buckets in which it may be the first, second, third and fourth of a window.
    buckets: Box<[[u64; WINDOW / 2]; PAIRS]>,
    /// The same once more with other buckets: what passes one by chance does not pass both.
    again: Box<[[u64; WINDOW / 2]; PAIRS]>,
    /// Windows by how their first four bytes read.
    readings: Readings,
    /// The other windows, by bucket, and which buckets have such.
    listed: [Vec<Window>; BUCKETS],
    is_listed: u64,
}

impl std::fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefilter").field("anchors", &self.anchors.len()).finish_non_exhaustive()
    }
}

impl Prefilter {
    /// A prefilter for these anchors, which must not be empty of sets.
    pub fn new(anchors: Vec<Anchor>) -> Self {
        let mut known: HashMap<ByteSet, u32> = HashMap::new();
        let (mut sets, mut places, mut starts) = (Vec::new(), Vec::new(), vec![0]);
        for anchor in &anchors {
            for (i, &set) in anchor.sets.iter().enumerate() {
                // Most are the same as the one before.
                let last = places.last().copied().filter(|_| i > 0 && anchor.sets[i - 1] == set);
                places.push(last.unwrap_or_else(|| {
                    *known.entry(set).or_insert_with(|| {
                        sets.push(set);
                        sets.len() as u32 - 1
                    })
                }));
            }
            starts.push(places.len() as u32);
        }
        let kinds: Vec<Kind> = sets.iter().map(|&set| Kind::of(set)).collect();
        let cuts: Vec<Cut> = starts
            .windows(2)
            .zip(0u32..)
            .map(|(w, anchor)| {
                let places = &places[w[0] as usize..w[1] as usize];
                Cut::of(anchor, &places.iter().map(|&set| kinds[set as usize]).collect::<Vec<Kind>>())
            })
            .collect();
        let mut buckets = Box::new([[0; WINDOW / 2]; PAIRS]);
        let (mut clear, mut unclear): (Vec<u32>, Vec<u32>) =
            (0..cuts.len() as u32).partition(|&i| cuts[i as usize].readings() <= MAX_READINGS);
        let order = |list: &mut [u32]| list.sort_by_cached_key(|&i| cuts[i as usize].order(false));
        order(&mut clear);
        order(&mut unclear);
        let pairs: Vec<Pairs> = cuts.iter().map(Pairs::of).collect();
        let shares = Shares::new();
        // The same windows once more, grouped by how they end.
        let mut again = Box::new([[0; WINDOW / 2]; PAIRS]);
        let mut all: Vec<u32> = (0..cuts.len() as u32).collect();
        all.sort_by_cached_key(|&i| cuts[i as usize].order(true));
        for (bucket, list) in split(&all, &pairs, &shares, BUCKETS).into_iter().enumerate() {
            list.iter().for_each(|&i| pairs[i as usize].add(&mut again, bucket));
        }
        let mut listed = std::array::from_fn(|_| Vec::new());
        let mut is_listed = 0;
        let mut by_reading = Vec::new();
        let parts = split(&unclear, &pairs, &shares, VAGUE).into_iter();
        let others = split(&clear, &pairs, &shares, BUCKETS - VAGUE).into_iter();
        for (bucket, list) in parts.chain(others).enumerate() {
            let is_few = list.len() < FEW;
            for &i in list {
                let cut = &cuts[i as usize];
                pairs[i as usize].add(&mut buckets, bucket);
                if is_few || cut.readings() > MAX_READINGS {
                    listed[bucket].push(cut.window());
                    is_listed |= 1 << bucket;
                } else {
                    cut.each_reading(&mut |key| by_reading.push((key, cut.window())));
                }
            }
        }
        Self {
            readings: Readings::new(by_reading),
            anchors,
            sets,
            places,
            starts,
            buckets,
            again,
            listed,
            is_listed,
        }
    }

    /// The anchors it looks for; a hit names one by its place here.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Whether `anchor` stands at `at`, an escape in front of it being no part of its word.
    #[inline]
    pub fn stands_at(&self, anchor: u32, text: &[u8], at: usize) -> bool {
        let (from, to) = (self.starts[anchor as usize] as usize, self.starts[anchor as usize + 1] as usize);
        let known = &self.anchors[anchor as usize];
        // Asked first: inside a long run of digits all bytes agree, and only what stands in front does not.
        if !known.is_free_at(text, at) && !ends_before(text, at) {
            return false;
        }
        let sets = &self.places[from..to];
        text.len() - at.min(text.len()) >= sets.len()
            && sets.iter().zip(&text[at..]).all(|(&set, &byte)| self.sets[set as usize].has(byte))
    }

    /// Appends every place in `text` where an anchor stands, in order.
    pub fn scan(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let before = hits.len();
        let mut folded = Folded::default();
        let mut noted = [0; CHUNK];
        for from in (0..text.len()).step_by(CHUNK) {
            let len = (text.len() - from).min(CHUNK);
            folded.fold(text, from);
            let count = self.note(&folded, len, &mut noted);
            let count = self.note_again(&folded, &mut noted, count);
            for &place in &noted[..count] {
                if usize::from(place) < len {
                    self.look(&folded, usize::from(place), text, from, hits);
                }
            }
        }
        hits[before..].sort_unstable();
    }

    /// Notes the first `len` places of a chunk where a window may stand; tells how many there are.
    fn note(&self, folded: &Folded, len: usize, noted: &mut [u16; CHUNK]) -> usize {
        let mut count = 0;
        // For the even and the odd places: the buckets whose windows go on after their first, second and third pair.
        let mut going_on = [[0; WINDOW / 2 - 1]; 2];
        // The last place is told by the pair six bytes behind it.
        let (pairs, _) =
            folded.pairs[..(len + len % 2 + WINDOW - 2).min(CHUNK + WINDOW - 2)].as_chunks::<2>();
        for (i, pairs) in pairs.iter().enumerate() {
            for (odd, (&pair, [first, second, third])) in pairs.iter().zip(&mut going_on).enumerate() {
                let [one, two, three, four] = self.buckets[usize::from(pair) & (PAIRS - 1)];
                let found = *third & four;
                (*first, *second, *third) = (one, *first & two, *second & three);
                // What is found at a pair started six bytes before.
                noted[count & (CHUNK - 1)] = (2 * i + odd).wrapping_sub(WINDOW - 2) as u16;
                count += usize::from(found != 0);
            }
        }
        count.min(CHUNK)
    }

    /// Keeps those of the noted places where a window may stand by the other buckets, too.
    fn note_again(&self, folded: &Folded, noted: &mut [u16; CHUNK], count: usize) -> usize {
        let mut kept = 0;
        for i in 0..count {
            let place = usize::from(noted[i]).min(CHUNK - 1);
            let pair = |nth: usize| self.again[usize::from(folded.pairs[place + 2 * nth]) & (PAIRS - 1)][nth];
            noted[kept] = noted[i];
            kept += usize::from(pair(0) & pair(1) & pair(2) & pair(3) != 0);
        }
        kept
    }

    /// Looks closer at a place of a chunk.
    fn look(&self, folded: &Folded, place: usize, text: &[u8], from: usize, hits: &mut Vec<Hit>) {
        let near = folded.near(place);
        let pairs = [0, 2, 4, 6].map(|i| self.buckets[usize::from(folded.pairs[place + i]) & (PAIRS - 1)]);
        let buckets = pairs[0][0] & pairs[1][1] & pairs[2][2] & pairs[3][3];
        if buckets & !self.is_listed != 0 {
            for window in self.readings.of((near >> (8 * BACK)) as u32) {
                if near & window.mask == window.near {
                    self.compare(window, text, from + place, hits);
                }
            }
        }
        let mut listed = buckets & self.is_listed;
        while listed != 0 {
            for window in &self.listed[listed.trailing_zeros() as usize] {
                if near & window.mask == window.near {
                    self.compare(window, text, from + place, hits);
                }
            }
            listed &= listed - 1;
        }
    }

    /// Compares the anchor of a window with the text, where the window stands at `at`.
    #[inline(never)]
    fn compare(&self, window: &Window, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
        if let Some(start) = at.checked_sub(usize::from(window.offset))
            && self.stands_at(window.anchor, text, start)
        {
            hits.push(Hit { at: start, anchor: window.anchor });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(anchors: &[&str], text: &str) {
        let anchors: Vec<Anchor> = anchors.iter().map(|a| Anchor::caseless(a.as_bytes())).collect();
        let mut got = Vec::new();
        Prefilter::new(anchors.clone()).scan(text.as_bytes(), &mut got);
        let mut want = Vec::new();
        for at in 0..text.len() {
            for (i, anchor) in anchors.iter().enumerate() {
                if anchor.stands_at(text.as_bytes(), at) {
                    want.push(Hit { at, anchor: i as u32 });
                }
            }
        }
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn every_anchor_is_found_where_it_stands() {
        check(&["password", "pass", "eyJ", "s."], "my PASSWORD eyJ s. pas");
        check(&["ab"], "ab");
        check(&["abc"], "ab");
        check(&["a"], "aaa");
        check(&["end"], "the end");
        check(&["x"], "");
        check(&["a", "aaaa", "aaaaaaaaaaaa"], &"a".repeat(3 * CHUNK + 7));
        for pad in 0..20 {
            let text = "-".repeat(pad) + "authentication 12-34 7z" + &"-".repeat(40 - pad);
            check(&["authentication", "auth", "cation", "12-3", "34 7", "7z", "z", "-"], &text);
            check(&["authentication 12-", "n "], &text.repeat(200));
        }
    }
}
