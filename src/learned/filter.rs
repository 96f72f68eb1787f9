//! Which places of a text may belong to a needle: those where four bytes stand that are in one.
//!
//! Of a text, only each so-manieth place is looked at: a needle covers one of them with its first few groups of four bytes.
//! Their hashes are looked up in bits, few of which are set; then the four bytes themselves in a sorted list.

use zeroize::Zeroizing;

/// The bytes of a group.
pub(super) const GRAM: usize = 4;
/// Words of bits: little enough for the nearest cache, and of some hundred values one bit in a hundred is set.
const WORDS: usize = 2048;
/// What is left of a hash.
const SHIFT: u32 = u32::BITS - (64 * WORDS).trailing_zeros();

/// The groups of all needles. They are parts of secrets, and wiped like those.
pub(super) struct Filter {
    bits: Box<Zeroizing<[u64; WORDS]>>,
    /// A group, the needle it is of, and where it stands in that.
    grams: Zeroizing<Vec<[u32; 3]>>,
    step: usize,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("grams", &self.grams.len()).finish_non_exhaustive()
    }
}

impl Filter {
    /// Looks at each `step`th place for the groups that start at the first `reach` bytes of each needle.
    pub(super) fn new<'n>(step: usize, reach: usize, needles: impl Iterator<Item = (u32, &'n [u8])>) -> Self {
        let of_needle = |(needle, bytes): (u32, &'n [u8])| {
            let grams = bytes.windows(GRAM).take(reach).enumerate();
            grams.map(move |(offset, bytes)| [gram(bytes), needle, offset as u32])
        };
        let mut grams = Zeroizing::new(Vec::new());
        for gram in needles.flat_map(of_needle) {
            if grams.len() == grams.capacity() {
                // What a list leaves behind when it grows is wiped as well.
                let mut larger = Zeroizing::new(Vec::with_capacity(2 * grams.len() + 64));
                larger.extend_from_slice(&grams);
                grams = larger;
            }
            grams.push(gram);
        }
        grams.sort_unstable();
        let mut bits = Box::new(Zeroizing::new([0_u64; WORDS]));
        for &[gram, ..] in grams.iter() {
            let hash = hash(gram);
            bits[hash / 64] |= 1 << (hash % 64);
        }
        Self { bits, grams, step }
    }

    /// Calls `found` with each place where a group stands, the needle, and where it stands in the needle.
    #[inline]
    pub(super) fn each(&self, text: &[u8], mut found: impl FnMut(usize, u32, usize)) {
        if self.grams.is_empty() {
            return;
        }
        let step = self.step;
        let mut at = 0;
        // Four places at once: nearly always none of them is known.
        while let Some(part) = text.get(at..at + 3 * step + GRAM) {
            let is_known = |place: usize| self.may_know(&part[place * step..]);
            if is_known(0) || is_known(1) || is_known(2) || is_known(3) {
                (0..4).for_each(|place| self.look_up(text, at + place * step, &mut found));
            }
            at += 4 * step;
        }
        while at + GRAM <= text.len() {
            self.look_up(text, at, &mut found);
            at += step;
        }
    }

    /// Whether the group at the start of `part` may be known.
    #[inline(always)]
    fn may_know(&self, part: &[u8]) -> bool {
        let hash = hash(gram(part));
        self.bits[hash / 64] & 1 << (hash % 64) != 0
    }

    #[cold]
    fn look_up(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize, u32, usize)) {
        if !self.may_know(&text[at..]) {
            return;
        }
        let gram = gram(&text[at..]);
        let from = self.grams.partition_point(|known| known[0] < gram);
        for &[_, needle, offset] in self.grams[from..].iter().take_while(|known| known[0] == gram) {
            found(at, needle, offset as usize);
        }
    }
}

#[inline(always)]
fn gram(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<GRAM>().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline(always)]
fn hash(gram: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_needle_is_met_once_wherever_it_stands() {
        let needle = b"DeadBeef1234";
        for step in 1..=needle.len() - GRAM + 1 {
            let filter = Filter::new(step, step, [(7, &needle[..])].into_iter());
            for front in 0..40 {
                let text = [&vec![b'x'; front][..], needle, b"yyyyy"].concat();
                let mut starts = Vec::new();
                filter.each(&text, |at, needle, offset| starts.push((needle, at - offset)));
                assert_eq!(starts, [(7, front)], "{step} {front}");
            }
        }
        assert!(!format!("{:?}", Filter::new(1, 9, [(0, &needle[..])].into_iter())).contains("Dead"));
    }

    #[test]
    fn no_needles_and_short_texts() {
        Filter::new(3, 3, std::iter::empty()).each(b"some text", |_, _, _| panic!("nothing is known"));
        let filter = Filter::new(3, 3, [(0, &b"DeadBe"[..])].into_iter());
        for len in 0..6 {
            filter.each(&b"xxxxxx"[..len], |_, _, _| panic!("nothing is there"));
        }
    }
}
