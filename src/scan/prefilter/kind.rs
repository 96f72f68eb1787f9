//! Kinds of bytes, and where in a chunk of text bytes of each kind stand: 64 bytes to a word, a bit for each byte.
//!
//! This is all that reads every byte of the text. What is made of it is told one way only, whoever reads: the portable
//! reader here, or one that uses the processor's vectors.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::{
    AFTER_BLANK, AFTER_KEY, BLANK, COLON, DIGITS, ESCAPES, LETTERS, NUMBER, SIGNS, TOKEN,
};

/// The bytes of a word.
pub(super) const WORD: usize = 64;
/// The words of a chunk of a long text: few enough that all that is known of it stays in the first cache.
pub(super) const WORDS: usize = 64;

/// What a byte is looked at as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    Letter,
    Digit,
    /// What tokens are made of.
    Token,
    /// What numbers are written with.
    Number,
    /// What may follow a key.
    AfterKey,
    /// What says little behind a key.
    Blank,
    /// What may follow that.
    AfterBlank,
    /// Signs that are seldom in logs.
    Sign,
    Colon,
    /// What escapes begin with.
    Escape,
    /// What the bytes of anchors may be that no gate leads to (`rare`).
    RareFirst,
    RareSecond,
    RareThird,
}

pub(super) const KINDS: usize = FIXED + RARE;
/// Kinds whose bytes are always the same.
const FIXED: usize = 10;
/// Kinds whose bytes depend on the anchors.
pub(super) const RARE: usize = 3;

/// For each kind, which of 64 bytes are of it.
pub(super) type Word = [u64; KINDS];

/// The bytes of each kind, ready to be looked up.
pub(super) struct Kinds {
    /// The kinds of each byte, a bit for each.
    of: Box<[u16; 256]>,
    #[cfg(target_arch = "x86_64")]
    pub(super) halves: avx2::Halves,
}

/// The bytes of each kind.
const fn sets(rare: [ByteSet; RARE]) -> [ByteSet; KINDS] {
    let [first, second, third] = rare;
    [
        LETTERS,
        DIGITS,
        TOKEN,
        NUMBER,
        AFTER_KEY,
        BLANK,
        AFTER_BLANK,
        SIGNS,
        COLON,
        ESCAPES,
        first,
        second,
        third,
    ]
}

/// A kind has all bytes beyond ASCII if it has one, and of the first 32 bytes both with the same lower half: told by
/// their halves, a byte has room for no more. Gates may be open where nothing stands, and such bytes are seldom.
fn rounded(set: ByteSet) -> ByteSet {
    let twins = set.iter().filter(|&byte| byte < 0x20).fold(set, |set, byte| set.with(byte ^ 0x10));
    if set.iter().any(|byte| byte >= 0x80) { twins.with_range(0x80, 0xFF) } else { twins }
}

impl Kinds {
    pub(super) fn new(rare: [ByteSet; RARE]) -> Self {
        let sets = sets(rare).map(rounded);
        let kinds_of = |byte| sets.iter().zip(0..).map(|(set, kind)| u16::from(set.has(byte)) << kind).sum();
        Self {
            #[cfg(target_arch = "x86_64")]
            halves: avx2::Halves::new(&sets),
            of: Box::new(std::array::from_fn(|byte| kinds_of(byte as u8))),
        }
    }
}

/// Reads the chunk of `text` that starts at `from`: the first of the words of each kind is of what stands in front of it,
/// the last of what stands behind it; beyond the text are bytes of zero, which are of no kind, but for rare ones that may
/// be anything. `read` is what reads 64 bytes. Tells how many words
/// of the chunk have text.
#[inline(always)]
pub(super) fn read_chunk<const N: usize>(
    text: &[u8],
    from: usize,
    words: &mut [[u64; N]; KINDS],
    read: impl Fn(&[u8; WORD]) -> Word,
) -> usize {
    let count = (text.len() - from).div_ceil(WORD).min(N - 2);
    let mut note = |at: usize, word: Word| {
        words.iter_mut().zip(word).for_each(|(words, bits)| words[at] = bits);
    };
    note(0, from.checked_sub(WORD).and_then(|at| text[at..].first_chunk()).map_or([0; KINDS], &read));
    let (full, rest) = text[from..text.len().min(from + (N - 1) * WORD)].as_chunks::<WORD>();
    for (i, block) in full.iter().enumerate().take(N - 1) {
        note(1 + i, read(block));
    }
    let mut next = full.len() + 1;
    if !rest.is_empty() && next < N {
        let mut block = [0; WORD];
        block[..rest.len()].copy_from_slice(rest);
        note(next, read(&block));
        next += 1;
    }
    if next <= count + 1 {
        note(count + 1, read(&[0; WORD]));
    }
    count
}

/// Reads 64 bytes on any processor: the kinds of eight bytes are gathered to a byte for each kind by a multiplication.
pub(super) fn read_portable(kinds: &Kinds, block: &[u8; WORD]) -> Word {
    let mut word = [0; KINDS];
    for (i, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let of = eight.map(|byte| kinds.of[usize::from(byte)]);
        let halves = [0, 8].map(|shift| u64::from_le_bytes(of.map(|kinds| (kinds >> shift) as u8)));
        for (kind, bits) in word.iter_mut().enumerate() {
            let ones = halves[kind / 8] >> (kind % 8) & 0x0101_0101_0101_0101;
            *bits |= (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_of_its_kinds() {
        let rare = [ByteSet::of(0), ByteSet::ANY, ByteSet::of(b'y')];
        let (kinds, sets) = (Kinds::new(rare), sets(rare).map(rounded));
        for first in (0..=255).step_by(WORD) {
            let block: [u8; WORD] = std::array::from_fn(|i| (first + i) as u8);
            let word = read_portable(&kinds, &block);
            for (i, &byte) in block.iter().enumerate() {
                for kind in 0..KINDS {
                    assert_eq!(word[kind] >> i & 1 == 1, sets[kind].has(byte), "{byte:#x} {kind}");
                }
            }
        }
        assert!(sets[..FIXED].iter().all(|set| !set.has(0)));
        assert_eq!(rounded(ByteSet::of_each(b"\ta")), ByteSet::of_each(b"\t\x19a"));
        assert_eq!(rounded(ByteSet::of(0xC3)), ByteSet::NONE.with_range(0x80, 0xFF));
    }
}
