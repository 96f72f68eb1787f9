//! Where to look: one pass over a block that finds every place where an anchor stands.
//!
//! Each anchor is known by its rarest window of up to four bytes. Bytes are folded to 64 classes (letters without case,
//! digits, the punctuation of logs, the rest), windows are spread over 64 buckets, and two tables give for each pair of
//! classes the buckets in which it may be the first or the second half of a window. The AND of two look-ups is zero
//! nearly everywhere in clean text. Where it is not, the windows of the buckets left are compared as one number each,
//! and then the anchor whole. (The buckets are Teddy's idea, from Hyperscan; the pairs replace its nibble masks.)
//!
//! The hits are exactly the places where anchors stand: no window is lost, and none is reported that is not there.

use crate::rules::anchor::{Anchor, ByteSet, WINDOW};

const BUCKETS: usize = 64;
/// A place in a window that takes more classes than this is vague.
const VAGUE: u32 = 4;
/// Classes of bytes, and pairs of them.
const CLASSES: usize = 64;
const PAIRS: usize = CLASSES * CLASSES;

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
    /// Per pair of classes: the buckets with windows whose first half it may be.
    first: Box<[u64; PAIRS]>,
    /// The same for the second half.
    second: Box<[u64; PAIRS]>,
    buckets: Vec<Vec<Entry>>,
    /// Entries with windows shorter than four bytes, which the end of a text may hold, too.
    short: Vec<u32>,
    anchors: Vec<Anchor>,
}

/// One anchor in its bucket.
#[derive(Clone, Copy)]
struct Entry {
    anchor: u32,
    /// Where the window starts in the anchor.
    window: u32,
    /// The window as a number of four classes, and which of its bits count.
    code: u32,
    mask: u32,
}

impl std::fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefilter").field("anchors", &self.anchors.len()).finish_non_exhaustive()
    }
}

/// The class of each byte; 0 is the class of all that have none of their own.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut next = 1;
    let mut i = 0;
    while i < 26 {
        class[b'a' as usize + i] = next;
        class[b'A' as usize + i] = next;
        next += 1;
        i += 1;
    }
    i = 0;
    while i < 10 {
        class[b'0' as usize + i] = next;
        next += 1;
        i += 1;
    }
    let own = b" _-.:/=\"@%\\+$'[{<,;&?(\n\x1B";
    i = 0;
    while i < own.len() {
        class[own[i] as usize] = next;
        next += 1;
        i += 1;
    }
    assert!(next as usize <= CLASSES);
    class
};

fn class(byte: u8) -> usize {
    CLASS[byte as usize] as usize
}

impl Prefilter {
    /// A prefilter for these anchors, which must not be empty of sets.
    pub fn new(anchors: Vec<Anchor>) -> Self {
        let mut entries: Vec<(Entry, [u64; WINDOW])> = anchors.iter().enumerate().map(entry).collect();
        // Windows that begin alike go together: a bucket then has few first halves. Vague ones go with those that are
        // vague in the same way, since a bucket takes every first half with every second half of its windows.
        let vague = |classes: &[u64; WINDOW]| classes.map(|c| if c.count_ones() > VAGUE { c } else { 0 });
        entries.sort_by_key(|(entry, classes)| (vague(classes), entry.code));
        let clear = entries.partition_point(|(_, classes)| vague(classes) == [0; WINDOW]);
        let mut groups: Vec<&[(Entry, [u64; WINDOW])]> =
            entries[clear..].chunk_by(|a, b| vague(&a.1) == vague(&b.1)).collect();
        // More ways of being vague than there is room for: the last ones share a bucket.
        if groups.len() > BUCKETS / 2 {
            let kept: usize = groups[..BUCKETS / 2 - 1].iter().map(|group| group.len()).sum();
            groups.truncate(BUCKETS / 2 - 1);
            groups.push(&entries[clear + kept..]);
        }
        groups.extend(entries[..clear].chunks(clear.div_ceil(BUCKETS - groups.len()).max(1)));
        let table =
            || vec![0u64; PAIRS].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; PAIRS]));
        let mut filter = Self {
            first: table(),
            second: table(),
            buckets: Vec::new(),
            short: (0..anchors.len() as u32).filter(|&i| anchors[i as usize].sets.len() < WINDOW).collect(),
            anchors,
        };
        for (bucket, entries) in groups.into_iter().enumerate() {
            for (_, classes) in entries {
                for (table, halves) in [(&mut filter.first, [0, 1]), (&mut filter.second, [2, 3])] {
                    for one in bits(classes[halves[0]]) {
                        for other in bits(classes[halves[1]]) {
                            table[one * CLASSES + other] |= 1 << bucket;
                        }
                    }
                }
            }
            filter.buckets.push(entries.iter().map(|(entry, _)| *entry).collect());
        }
        filter
    }

    /// The anchors it looks for; a hit names one by its place here.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Appends every place in `text` where an anchor stands, in the order of the anchors' windows.
    pub fn scan(&self, text: &[u8], hits: &mut Vec<Hit>) {
        for (at, window) in text.windows(WINDOW).enumerate() {
            let code = window.iter().fold(0, |code, &byte| code << 6 | u32::from(CLASS[byte as usize]));
            let buckets =
                self.first[(code >> 12) as usize & (PAIRS - 1)] & self.second[code as usize & (PAIRS - 1)];
            if buckets != 0 {
                self.compare(text, at, code, buckets, hits);
            }
        }
        // What is shorter than a window may stand in the last bytes.
        for at in text.len().saturating_sub(WINDOW - 1)..text.len() {
            for &short in &self.short {
                let anchor = &self.anchors[short as usize];
                if anchor.stands_at(text, at) {
                    hits.push(Hit { at, anchor: short });
                }
            }
        }
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, code: u32, mut buckets: u64, hits: &mut Vec<Hit>) {
        while buckets != 0 {
            let bucket = buckets.trailing_zeros() as usize;
            buckets &= buckets - 1;
            for entry in &self.buckets[bucket] {
                if code & entry.mask == entry.code
                    && let Some(start) = at.checked_sub(entry.window as usize)
                    && self.anchors[entry.anchor as usize].stands_at(text, start)
                {
                    hits.push(Hit { at: start, anchor: entry.anchor });
                }
            }
        }
    }
}

/// An anchor's entry, and the classes that each byte of its window may have, as bits.
fn entry((index, anchor): (usize, &Anchor)) -> (Entry, [u64; WINDOW]) {
    let window = anchor.rarest_window();
    let classes: [u64; WINDOW] = std::array::from_fn(|position| match anchor.sets.get(window + position) {
        Some(&ByteSet::ANY) | None => u64::MAX,
        Some(set) => set.iter().fold(0, |classes, byte| classes | 1 << class(byte)),
    });
    let (mut code, mut mask) = (0, 0);
    for classes in classes {
        let is_one = classes.count_ones() == 1;
        code = code << 6 | if is_one { classes.trailing_zeros() } else { 0 };
        mask = mask << 6 | if is_one { 63 } else { 0 };
    }
    (Entry { anchor: index as u32, window: window as u32, code, mask }, classes)
}

fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let bit = set.trailing_zeros() as usize;
            set &= set - 1;
            bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(anchors: &[&str], text: &str) {
        let anchors: Vec<Anchor> = anchors.iter().map(|a| Anchor::caseless(a.as_bytes())).collect();
        let mut got = Vec::new();
        Prefilter::new(anchors.clone()).scan(text.as_bytes(), &mut got);
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
