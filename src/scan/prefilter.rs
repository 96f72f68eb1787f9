//! Where to look: one pass over a block that finds every place where an anchor stands.
//!
//! Each anchor is known by its rarest window of up to four bytes. The windows are spread over 64 buckets; four tables
//! give, for each byte value, the buckets in which it may be the first, second, third or fourth byte of a window. The
//! AND of four look-ups is zero nearly everywhere in clean text. Where it is not, the anchors of the buckets left are
//! compared whole. (The scheme is Teddy's, from Hyperscan, with full tables in place of nibble masks.)
//!
//! The hits are exactly the places where anchors stand: no window is lost, and none is reported that is not there.

use crate::rules::anchor::{Anchor, ByteSet, WINDOW};

const BUCKETS: usize = 64;

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
    /// Per position in the window and byte: the buckets that take it.
    tables: Box<[[u64; 256]; WINDOW]>,
    /// Per position in the window: the buckets with anchors that end before it.
    past_end: [u64; WINDOW],
    buckets: Vec<Vec<Entry>>,
}

struct Entry {
    anchor: u32,
    /// Where the window starts in the anchor.
    window: usize,
    sets: Box<[ByteSet]>,
}

impl std::fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let anchors: usize = self.buckets.iter().map(Vec::len).sum();
        f.debug_struct("Prefilter").field("anchors", &anchors).finish_non_exhaustive()
    }
}

impl Prefilter {
    /// A prefilter for these anchors, which must not be empty of sets.
    pub fn new(anchors: &[Anchor]) -> Self {
        let mut entries: Vec<Entry> = anchors
            .iter()
            .enumerate()
            .map(|(i, anchor)| Entry {
                anchor: i as u32,
                window: anchor.rarest_window(),
                sets: anchor.sets.clone().into(),
            })
            .collect();
        // Windows that begin alike go together: a bucket then takes few bytes at each position.
        entries.sort_by(|a, b| a.sets[a.window..].cmp(&b.sets[b.window..]));
        let per_bucket = entries.len().div_ceil(BUCKETS).max(1);
        let mut filter =
            Self { tables: Box::new([[0; 256]; WINDOW]), past_end: [0; WINDOW], buckets: Vec::new() };
        while !entries.is_empty() {
            let rest = entries.split_off(per_bucket.min(entries.len()));
            let bit = 1u64 << filter.buckets.len();
            for entry in &entries {
                for position in 0..WINDOW {
                    match entry.sets.get(entry.window + position) {
                        Some(set) => set.iter().for_each(|b| filter.tables[position][b as usize] |= bit),
                        None => {
                            filter.tables[position].iter_mut().for_each(|buckets| *buckets |= bit);
                            filter.past_end[position] |= bit;
                        }
                    }
                }
            }
            filter.buckets.push(entries);
            entries = rest;
        }
        filter
    }

    /// Appends every place in `text` where an anchor stands, in the order of the anchors' windows.
    pub fn scan(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let [first, second, third, fourth] = &*self.tables;
        for (at, window) in text.windows(WINDOW).enumerate() {
            let buckets = first[window[0] as usize]
                & second[window[1] as usize]
                & third[window[2] as usize]
                & fourth[window[3] as usize];
            if buckets != 0 {
                self.compare(text, at, buckets, hits);
            }
        }
        for at in text.len().saturating_sub(WINDOW - 1)..text.len() {
            let mut buckets = u64::MAX;
            for position in 0..WINDOW {
                buckets &= match text.get(at + position) {
                    Some(&byte) => self.tables[position][byte as usize],
                    None => self.past_end[position],
                };
            }
            if buckets != 0 {
                self.compare(text, at, buckets, hits);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, mut buckets: u64, hits: &mut Vec<Hit>) {
        while buckets != 0 {
            let bucket = buckets.trailing_zeros() as usize;
            buckets &= buckets - 1;
            for entry in &self.buckets[bucket] {
                let Some(start) = at.checked_sub(entry.window) else { continue };
                let stands = text.len() - start >= entry.sets.len()
                    && entry.sets.iter().zip(&text[start..]).all(|(set, &byte)| set.has(byte));
                if stands {
                    hits.push(Hit { at: start, anchor: entry.anchor });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(anchors: &[&str], text: &str) {
        let anchors: Vec<Anchor> = anchors.iter().map(|a| Anchor::caseless(a.as_bytes())).collect();
        let mut got = Vec::new();
        Prefilter::new(&anchors).scan(text.as_bytes(), &mut got);
        got.sort_unstable();
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
    }
}
