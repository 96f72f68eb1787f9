//! Where to look: one pass over a block that finds every place where an anchor stands.
//!
//! Every byte is read once, for the kinds of bytes: letters, digits, what tokens are made of, what may follow a key
//! (`kind`). They come as words of bits, and a few operations on those tell 64 places at a time where words and tokens
//! begin, where keys end, where numbers and rare signs stand (`gate`). A few bytes at each such place are looked up in a
//! table of what anchors begin or end with (`window`); it says no nearly always. Where it does not, the bytes nearby must
//! look like one of those anchors (`look`); some of them tell which (`tree`), and those are compared with the
//! text. Anchors that stand in no such place are looked for by three of their bytes (`rare`).
//!
//! Nothing depends on what is found until the places are noted, so the processor can run ahead. Only reading has more
//! than one way to be done: portably, or with the vectors of the processor at hand.
//!
//! The hits are exactly the places where anchors stand: no place is lost, and none is reported that is not there.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod gate;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod halves;
mod kind;
mod look;
#[cfg(target_arch = "aarch64")]
mod neon;
mod rare;
mod reader;
#[cfg(target_arch = "x86_64")]
mod sse;
mod tree;
mod window;

use crate::carrier::escape::{MAX_SEQUENCE, any_sequence_len, ends_before};
use crate::rules::anchors::Anchors;
use crate::rules::gate::{FOLD, Key};
use gate::{LISTS, List};
use kind::{Bits, KINDS, Kind, SEEN, WORD, WORDS};
use look::NEAR;
use reader::Reader;
use window::{BEYOND, Table, Tables, Window};

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
    anchors: Anchors,
    tables: Tables,
    reader: Reader,
}

impl std::fmt::Debug for Prefilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefilter").field("anchors", &self.anchors.count()).finish_non_exhaustive()
    }
}

impl Prefilter {
    /// A prefilter for these anchors, which must not be empty of sets.
    pub fn new(anchors: Anchors) -> Self {
        Self {
            tables: Tables::new(&anchors),
            anchors,
            reader: Reader::all().next().unwrap_or(Reader::Portable),
        }
    }

    /// The anchors it looks for; a hit names one by its number.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Whether `anchor` stands at `at`, an escape in front of it being no part of its word.
    #[inline]
    pub fn stands_at(&self, anchor: u32, text: &[u8], at: usize) -> bool {
        let sets = self.anchors.sets();
        let has = |set: u32, byte: u8| sets[set as usize].has(byte);
        // Asked first: inside a long run of digits all bytes agree, and only what stands in front does not.
        let is_free =
            || at.checked_sub(1).zip(self.anchors.before(anchor)).is_none_or(|(i, set)| has(set, text[i]));
        if !is_free() && !ends_before(text, at) {
            return false;
        }
        let numbers = self.anchors.numbers(anchor);
        let end = at + numbers.len();
        // From the end: what anchors begin with is what they have been looked up by.
        let has = |(&set, &byte): (&u32, &u8)| has(set, byte);
        text.get(at..end).is_some_and(|bytes| numbers.iter().zip(bytes).rev().all(has))
            && self.anchors.reach(anchor).is_none_or(|reach| reach.leads(&text[end..]))
    }

    /// Appends every place in `text` where an anchor stands, in order.
    pub fn scan(&self, text: &[u8], hits: &mut Vec<Hit>) {
        self.scan_by(self.reader, text, hits);
    }

    /// For tests: what each way of reading text finds that the processor at hand has, by its name.
    pub fn scan_in_each_way(&self, text: &[u8]) -> Vec<(String, Vec<Hit>)> {
        let scan = |reader| {
            let mut hits = Vec::new();
            self.scan_by(reader, text, &mut hits);
            (format!("{reader:?}"), hits)
        };
        Reader::all().map(scan).collect()
    }

    /// The reader must be one of [`Reader::all`].
    fn scan_by(&self, reader: Reader, text: &[u8], hits: &mut Vec<Hit>) {
        match reader {
            Reader::Portable => {
                self.scan_with(text, hits, |block| kind::read_portable(&self.tables.kinds, block));
            }
            // SAFETY: `Reader::all` has asked the processor for AVX-512 (F and BW), AVX2, BMI and POPCNT, which the function was compiled for.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Reader::Avx512 => unsafe { self.scan_avx512(text, hits) },
            // SAFETY: `Reader::all` has asked the processor for AVX2, BMI and POPCNT, which the function was compiled for.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Reader::Avx2 => unsafe { self.scan_avx2(text, hits) },
            // SAFETY: `Reader::all` has asked the processor for SSSE3 and POPCNT, which the function was compiled for.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Reader::Sse => unsafe { self.scan_sse(text, hits) },
            // SAFETY: `Reader::all` has asked the processor for NEON, which the function was compiled for.
            #[cfg(target_arch = "aarch64")]
            #[allow(unsafe_code)]
            Reader::Neon => unsafe { self.scan_neon(text, hits) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512bw,avx2,bmi1,bmi2,popcnt")]
    fn scan_avx512(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let halves = &self.tables.kinds.halves;
        self.scan_with(text, hits, |block| avx512::read(halves, block));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    fn scan_avx2(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let halves = &self.tables.kinds.halves;
        self.scan_with(text, hits, |block| avx2::read(halves, block));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "ssse3,popcnt")]
    fn scan_sse(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let halves = &self.tables.kinds.halves;
        self.scan_with(text, hits, |block| sse::read(halves, block));
    }

    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn scan_neon(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let halves = &self.tables.kinds.halves;
        self.scan_with(text, hits, |block| neon::read(halves, block));
    }

    /// `read` reads 64 bytes; all else is the same for every processor.
    #[inline(always)]
    fn scan_with(&self, text: &[u8], hits: &mut Vec<Hit>, read: impl Fn(&[u8; SEEN]) -> kind::Word) {
        // Of lines there are many, and room must be cleared: they get less.
        const FEW: usize = 8;
        let before = hits.len();
        if text.len() <= FEW * WORD {
            self.scan_chunks::<{ FEW + 2 }, { (FEW + 1) * WORD }>(text, hits, read);
        } else {
            self.scan_chunks::<{ WORDS + 2 }, { (WORDS + 1) * WORD }>(text, hits, read);
        }
        // What ends at the very start of the text may have its place one byte in front of it.
        let (threes, key) = (&self.tables.threes, word_at(text, -1) & THREE);
        if threes.knows(key) {
            self.look(threes, key, text, -1, hits);
        }
        for window in &self.tables.everywhere {
            (0..text.len()).for_each(|at| self.compare(window, text, at as isize, hits));
        }
        hits[before..].sort_unstable();
        debug_assert!(hits[before..].windows(2).all(|pair| pair[0] != pair[1]), "a place is looked at once");
    }

    /// Scans the text in chunks of `N` words less two. With a word more, as far as any look-up reaches, a chunk has
    /// `BYTES`.
    #[inline(always)]
    fn scan_chunks<const N: usize, const BYTES: usize>(
        &self,
        text: &[u8],
        hits: &mut Vec<Hit>,
        read: impl Fn(&[u8; SEEN]) -> kind::Word,
    ) {
        const { assert!(BYTES == (N - 1) * WORD) };
        let (mut words, mut lists) = ([[[0; 8]; N]; KINDS], [[0; N]; LISTS]);
        let mut places = Places { list: [0; BYTES], count: 0 };
        let mut end = [BEYOND; BYTES];
        let Tables { starts, threes, signs, shapes, begins, runs, .. } = &self.tables;
        for from in (0..text.len()).step_by((N - 2) * WORD) {
            let count = kind::read_chunk(text, from, &mut words, &read);
            mark_colours(text, from, count, &mut words[Kind::Escape as usize]);
            gate::open(&words, count, &mut lists);
            let bytes = text[from..].first_chunk().unwrap_or_else(|| {
                let (rest, beyond) = end.split_at_mut(text.len() - from);
                rest.copy_from_slice(&text[from..]);
                beyond.fill(BEYOND);
                &end
            });
            let chunk = Chunk { text, from, bytes };
            let list = |list: List| &lists[list as usize][..count];
            self.look_at_each::<6, _>(chunk, list(List::Starts), &mut places, starts, hits, |at| {
                chunk.word_at(at)
            });
            self.look_at_each::<5, _>(chunk, list(List::Threes), &mut places, threes, hits, |at| {
                chunk.word_at(at) & THREE
            });
            self.look_at_each::<1, _>(chunk, list(List::Signs), &mut places, signs, hits, |at| {
                chunk.word_at(at) & SIGN
            });
            let digits = &words[Kind::Digit as usize];
            // None at once: of the word behind the chunk's last one, shapes cannot be told.
            self.look_at_each::<0, _>(chunk, list(List::Numbers), &mut places, shapes, hits, |at| {
                shape_at(digits, at)
            });
            for (windows, places) in [(begins, List::Begins), (runs, List::Runs)] {
                if !windows.is_empty() {
                    for (i, &bits) in list(places).iter().enumerate() {
                        self.compare_all(windows, text, from + WORD * i, bits, hits);
                    }
                }
            }
        }
    }

    /// Looks closer at those places of a list that have a key of the table. At least `AT_ONCE` of a word's places are
    /// asked for at once.
    #[inline(always)]
    fn look_at_each<const AT_ONCE: usize, const BYTES: usize>(
        &self,
        chunk: Chunk<'_, BYTES>,
        list: &[u64],
        places: &mut Places<BYTES>,
        table: &Table,
        hits: &mut Vec<Hit>,
        key_at: impl Fn(u16) -> Key,
    ) {
        places.count = 0;
        for (i, &bits) in list.iter().enumerate() {
            places.note::<AT_ONCE>(i, bits, |at| table.knows(key_at(at)));
        }
        places.keep(|at| table.may_be(key_at(at), near(chunk.text, chunk.place(at), table.back)));
        for &at in places.all() {
            self.look(table, key_at(at), chunk.text, chunk.place(at), hits);
        }
    }

    /// Compares the anchors of these windows at each place of a word.
    fn compare_all(&self, windows: &[Window], text: &[u8], from: usize, mut bits: u64, hits: &mut Vec<Hit>) {
        while bits != 0 {
            let at = (from + bits.trailing_zeros() as usize) as isize;
            windows.iter().for_each(|window| self.compare(window, text, at, hits));
            bits &= bits - 1;
        }
    }

    /// Compares the anchors with a key with the text at a place.
    #[inline(always)]
    fn look(&self, table: &Table, key: Key, text: &[u8], place: isize, hits: &mut Vec<Hit>) {
        for window in table.of(key, near(text, place, table.back)) {
            self.compare(window, text, place, hits);
        }
    }

    /// Compares the anchors of a window with the text, where the window stands at a place.
    fn compare(&self, window: &Window, text: &[u8], place: isize, hits: &mut Vec<Hit>) {
        if let Ok(at) = usize::try_from(place - window.place as isize)
            && at < text.len()
        {
            let standing = window.anchors.iter().filter(|&&anchor| self.stands_at(anchor, text, at));
            hits.extend(standing.map(|&anchor| Hit { at, anchor }));
        }
    }
}

/// Where a terminal colour ends, an escape of two bytes does for the gates.
fn mark_colours<const N: usize>(text: &[u8], from: usize, count: usize, escapes: &mut Bits<N>) {
    const { assert!(MAX_SEQUENCE < WORD) };
    for i in 0..=count {
        let mut bits = kind::word(escapes, i);
        while bits != 0 {
            // The first word is of what stands in front of the chunk.
            let at = from + i * WORD + bits.trailing_zeros() as usize - WORD;
            bits &= bits - 1;
            // Of many backslashes the last one is enough.
            let is_one = text.get(at).is_some_and(|byte| matches!(byte, 0x1B | b'\\'));
            if !is_one || text[at..].starts_with(br"\\") {
                continue;
            }
            let end = any_sequence_len(&text[at..]).map(|len| at + len);
            if let Some(bit) = end.and_then(|end| (end + WORD - 2).checked_sub(from)) {
                escapes[bit / WORD][bit % WORD / 8] |= 1 << (bit % 8);
            }
        }
    }
}

/// A chunk of a text.
#[derive(Clone, Copy)]
struct Chunk<'t, const BYTES: usize> {
    text: &'t [u8],
    /// Where it starts.
    from: usize,
    /// Its bytes and those of a word more.
    bytes: &'t [u8; BYTES],
}

impl<const BYTES: usize> Chunk<'_, BYTES> {
    /// The four bytes at a place, folded.
    #[inline(always)]
    fn word_at(self, at: u16) -> Key {
        // Tells the compiler that no place is beyond the chunk, whose length is a power of two.
        let at = usize::from(at) % (BYTES - WORD);
        let bytes: [u8; 4] = std::array::from_fn(|i| self.bytes[at + i]);
        Key::from_le_bytes(bytes) | Key::from_le_bytes([FOLD; 4])
    }

    /// A place of the chunk as one of the text.
    #[inline(always)]
    fn place(self, at: u16) -> isize {
        (self.from + usize::from(at)) as isize
    }
}

/// Which of sixteen bytes from a place on are digits; they stand in `digits`, from one word in front of the chunk on.
#[inline(always)]
fn shape_at(digits: &[[u8; 8]], at: u16) -> Key {
    let digits = |i: usize| u128::from(kind::word(digits, i));
    let word = usize::from(at) / WORD + 1;
    Key::from(((digits(word) | digits(word + 1) << WORD) >> (usize::from(at) % WORD)) as u16)
}

/// Places of a chunk.
struct Places<const BYTES: usize> {
    /// With room for a word more than the chunk has.
    list: [u16; BYTES],
    count: usize,
}

impl<const BYTES: usize> Places<BYTES> {
    /// Notes those places of a word that `is_kept` says; no branch, for it cannot be foretold. At least `AT_ONCE` are
    /// asked for, more than are there mostly, for it is quicker than to know when to stop: so `is_kept` is asked about a
    /// place one word on, too.
    #[inline(always)]
    fn note<const AT_ONCE: usize>(&mut self, word: usize, mut bits: u64, is_kept: impl Fn(u16) -> bool) {
        let base = (word * WORD) as u16;
        let count = bits.count_ones() as usize;
        // Always there: of each word before, no more were kept than it has places.
        let Some(free) = self.list.get_mut(self.count..self.count + WORD) else { return };
        let mut kept = 0;
        let mut note = || {
            let place = base + bits.trailing_zeros() as u16;
            free[kept % WORD] = place;
            kept += usize::from(bits != 0) & usize::from(is_kept(place));
            bits &= bits.wrapping_sub(1);
        };
        (0..AT_ONCE).for_each(|_| note());
        if count > AT_ONCE {
            (AT_ONCE..count).for_each(|_| note());
        }
        self.count += kept;
    }

    /// Keeps the places that `is_kept` says; no branch, for it cannot be foretold.
    #[inline(always)]
    fn keep(&mut self, is_kept: impl Fn(u16) -> bool) {
        let mut kept = 0;
        for i in 0..self.count.min(BYTES) {
            let place = self.list[i];
            // No more are kept than were read.
            self.list[kept.min(i)] = place;
            kept += usize::from(is_kept(place));
        }
        self.count = kept;
    }

    fn all(&self) -> &[u16] {
        &self.list[..self.count]
    }
}

/// Of four bytes the first three, and the first two.
const THREE: Key = 0x00FF_FFFF;
const SIGN: Key = 0x0000_FFFF;

/// The four bytes at a place, folded.
fn word_at(text: &[u8], at: isize) -> Key {
    let bytes = usize::try_from(at).ok().and_then(|at| text.get(at..at.checked_add(4)?)?.first_chunk());
    let bytes = bytes.copied().unwrap_or_else(|| beyond(text, at));
    Key::from_le_bytes(bytes) | Key::from_le_bytes([FOLD; 4])
}

/// The bytes near a place, from `back` bytes in front of it on, the first in the lowest bits.
#[inline(always)]
fn near(text: &[u8], place: isize, back: usize) -> u128 {
    let from = place - back as isize;
    let bytes =
        usize::try_from(from).ok().and_then(|from| text[from.min(text.len())..].first_chunk::<NEAR>());
    bytes.map_or_else(|| u128::from_le_bytes(beyond(text, from)), |bytes| u128::from_le_bytes(*bytes))
}

/// Bytes of which some are beyond the text.
#[cold]
#[inline(never)]
fn beyond<const N: usize>(text: &[u8], at: isize) -> [u8; N] {
    std::array::from_fn(|i| {
        let at = usize::try_from(at + i as isize).ok();
        at.and_then(|at| text.get(at)).copied().unwrap_or(BEYOND)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::anchor::{Anchor, Reach};
    use crate::rules::byte_set::ByteSet;

    /// The bytes of a chunk.
    const CHUNK: usize = WORDS * WORD;

    /// What comparing every anchor at every byte finds.
    fn compared(prefilter: &Prefilter, text: &[u8]) -> Vec<Hit> {
        let count = prefilter.anchors().count() as u32;
        let places = (0..text.len()).flat_map(|at| (0..count).map(move |anchor| Hit { at, anchor }));
        places.filter(|hit| prefilter.stands_at(hit.anchor, text, hit.at)).collect()
    }

    fn check_all(anchors: &[Anchor], text: &[u8]) {
        let prefilter = Prefilter::new(anchors.iter().map(Anchor::as_ref).collect());
        let want = compared(&prefilter, text);
        for (reader, got) in prefilter.scan_in_each_way(text) {
            assert_eq!(got, want, "{reader}: {anchors:?} in {:?}", String::from_utf8_lossy(text));
        }
    }

    fn check(anchors: &[&str], text: &str) {
        let anchors: Vec<Anchor> = anchors.iter().map(|a| Anchor::caseless(a.as_bytes())).collect();
        check_all(&anchors, text.as_bytes());
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

    #[test]
    fn an_anchor_may_be_looked_for_in_front_of_its_start() {
        let blank = ByteSet::NONE.with(b' ').with(b'\t');
        let anchor = Anchor { before: Some(ByteSet::of(b'\n')), ..Anchor::new(vec![blank, blank]) };
        for text in ["", " ", "  ", "a", "\n", "\n ", "\n  ", "x\n \t", "x\n"] {
            check_all(std::slice::from_ref(&anchor), text.as_bytes());
        }
    }

    #[test]
    fn anchors_whose_keys_hash_alike_are_all_found() {
        let mut dice = 1u64;
        let mut roll = |sides: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 33) as usize % sides
        };
        // Words of few letters: many share their key, and of keys there are one for every four hashes.
        let (mut anchors, mut text) = (Vec::new(), Vec::new());
        for i in 0..4000 {
            let word: Vec<u8> = (0..4 + roll(6)).map(|_| b'a' + roll(16) as u8).collect();
            let set = if roll(3) == 0 { ByteSet::of } else { ByteSet::caseless };
            let end = ByteSet::of_each(b"=:");
            anchors.push(Anchor::new(word.iter().map(|&byte| set(byte)).chain([end]).collect()));
            if i % 10 == 0 {
                text.extend(if roll(2) == 0 { word } else { word.to_ascii_uppercase() });
                text.extend([b"=:-"[roll(3)], b' ']);
            }
        }
        check_all(&anchors, &text);
    }

    #[test]
    fn anchors_that_no_table_has_room_for_are_found() {
        let word = |number: usize| {
            let letters = (0..9).map(|i| char::from(b'a' + (number / 26usize.pow(i) % 26) as u8));
            Anchor::caseless(format!("{}=", letters.collect::<String>()).as_bytes())
        };
        let many = (0..usize::from(u16::MAX) + 10).map(word);
        let all: Vec<Anchor> = many.chain([Anchor::caseless(b"zq=")]).collect();
        let prefilter = Prefilter::new(all.iter().map(Anchor::as_ref).collect());
        assert!(!prefilter.tables.everywhere.is_empty());
        for text in ["zq=1", " zq=1 zq= bbaaaaaaa=", "z"] {
            let want = compared(&prefilter, text.as_bytes());
            for (reader, got) in prefilter.scan_in_each_way(text.as_bytes()) {
                assert_eq!(got, want, "{reader}: {text}");
            }
        }
        check(&["zq="], "zq=1");
    }

    /// Sets as anchors have them: one letter in either case, kinds of bytes, anything.
    fn set() -> impl Strategy<Value = ByteSet> {
        let of = |bytes: &'static [u8]| bytes.iter().copied().fold(ByteSet::NONE, ByteSet::with);
        let digits = ByteSet::NONE.with_range(b'0', b'9');
        let letters = ByteSet::NONE.with_range(b'a', b'z').with_range(b'A', b'Z');
        prop_oneof![
            6 => prop::sample::select(&b"aabetyJ"[..]).prop_map(ByteSet::caseless),
            2 => prop::sample::select(&b"aBeTJ[{"[..]).prop_map(ByteSet::of),
            2 => prop::sample::select(&b"1:=_ -.%@\\/"[..]).prop_map(ByteSet::of),
            2 => prop::sample::select(vec![
                digits,
                letters,
                letters.union(digits),
                letters.union(digits).with(b'-').with(b'_'),
                of(b" =:\""),
                letters.complement(),
                ByteSet::ANY,
            ]),
        ]
    }

    fn anchor() -> impl Strategy<Value = Anchor> {
        let word =
            ByteSet::NONE.with_range(b'a', b'z').with_range(b'A', b'Z').with_range(b'0', b'9').with(b'_');
        let before =
            prop::option::weighted(0.4, prop::sample::select(vec![word.complement(), ByteSet::of(b'\n')]));
        let reach = Box::new(Reach::new(word, ByteSet::of(b'.')));
        let reach = prop::option::weighted(0.1, Just(reach));
        let sets = prop_oneof![
            prop::collection::vec(set(), 1..8),
            // A few bytes and a long run.
            (prop::collection::vec(set(), 1..5), set())
                .prop_map(|(head, tail)| [head, vec![tail; 12]].concat()),
            (set(), prop::collection::vec(set(), 1..5))
                .prop_map(|(head, tail)| [vec![head; 12], tail].concat()),
        ];
        (sets, before, reach).prop_map(|(sets, before, reach)| Anchor { before, reach, ..Anchor::new(sets) })
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => "[aabetyJ]{1,6}",
            1 => "[abetABETJj\\[{]{1,6}",
            2 => "[a-zA-Z0-9_-]{1,20}",
            2 => "[0-9 .-]{1,14}",
            4 => "[ =:@%/\"\\\\._\n-]",
            2 => prop::sample::select(vec![
                "\\n", "%4a", "\\u0022", "\x1b[1;31m", "\x1b[0m", "\x1b", "\x1b[38;2;255;100;100;48;2;10;20;30m", "\\v", "\\b", "\\033[0m", "\\u001b[38;2;255;100;100;48;2;10;20;30m", "é", "\u{ff1a}", "0123456789012345",
            ]).prop_map(str::to_owned),
        ];
        (0..80usize, prop::collection::vec(piece, 0..60))
            .prop_map(|(pad, pieces)| [" ".repeat(pad), pieces.concat()].concat().into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn anchors_are_found_where_they_stand(anchors in prop::collection::vec(anchor(), 1..12), text in text()) {
            check_all(&anchors, &text);
        }

        #[test]
        fn long_texts_are_read_in_chunks(anchor in anchor(), text in text(), pad in 0..200usize) {
            let pad = vec![b'-'; CHUNK - pad];
            check_all(&[anchor], &[&pad[..], &text].concat());
        }
    }
}
