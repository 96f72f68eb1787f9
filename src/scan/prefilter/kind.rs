//! Kinds of bytes, and where in a chunk of text bytes of each kind stand: 64 bytes to a word, a bit for each byte.
//!
//! This is all that reads every byte of the text. What is made of it is told one way only, whoever reads: the portable
//! reader here, or one that uses the processor's vectors.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::halves::Halves;
use super::rare;
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::{AFTER_BLANK, AFTER_KEY, BLANK, COLON, DIGITS, ESCAPES, LETTERS, SIGNS, TOKEN};

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
    /// Three bytes of anchors that no gate leads to begin here (`rare`).
    Rare,
}

pub(super) const KINDS: usize = FIXED + 1;
/// Kinds that a byte is of by itself.
pub(super) const FIXED: usize = 9;
/// The bytes that are read for a word: those behind it are of what begins in it.
pub(super) const SEEN: usize = WORD + rare::BYTES - 1;

/// For each kind, which of 64 bytes are of it: a bit for each byte, those of the first 32 first.
pub(super) type Word = [[u32; 2]; KINDS];

/// Which bytes are of a kind, 64 to a word as it lies in memory: halves are written as they are read, and words are read
/// from them.
pub(super) type Bits<const N: usize> = [[u8; 8]; N];

/// One word of them.
#[inline(always)]
pub(super) fn word(bits: &[[u8; 8]], i: usize) -> u64 {
    u64::from_le_bytes(bits[i])
}

/// The bytes of each kind, ready to be looked up.
pub(super) struct Kinds {
    /// The kinds of each byte, a bit for each.
    of: Box<[u16; 256]>,
    /// For each of three bytes, the buckets of rare ones that it may belong to, a bit for each.
    rare: Box<[[u8; 256]; rare::BYTES]>,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(super) halves: Halves,
}

/// The bytes of each kind that a byte is of by itself.
const SETS: [ByteSet; FIXED] = [LETTERS, DIGITS, TOKEN, AFTER_KEY, BLANK, AFTER_BLANK, SIGNS, COLON, ESCAPES];

/// A kind has all bytes beyond ASCII if it has one, and of the first 32 bytes both with the same lower half: told by
/// their halves, a byte has room for no more. Gates may be open where nothing stands, and such bytes are seldom.
fn rounded(set: ByteSet) -> ByteSet {
    let twins = set.iter().filter(|&byte| byte < 0x20).fold(set, |set, byte| set.with(byte ^ 0x10));
    if set.iter().any(|byte| byte >= 0x80) { twins.with_range(0x80, 0xFF) } else { twins }
}

impl Kinds {
    pub(super) fn new(rare: rare::Tables) -> Self {
        let sets = SETS.map(rounded);
        let kinds_of = |byte| sets.iter().zip(0..).map(|(set, kind)| u16::from(set.has(byte)) << kind).sum();
        Self {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            halves: Halves::new(&sets, rare),
            of: Box::new(std::array::from_fn(|byte| kinds_of(byte as u8))),
            rare: Box::new(
                rare.map(|[low, high]| std::array::from_fn(|byte| low[byte & 15] & high[byte >> 4])),
            ),
        }
    }
}

/// Reads the chunk of `text` that starts at `from`: the first of the words of each kind is of what stands in front of it,
/// the last of what stands behind it; beyond the text are bytes of zero, which are of no kind, but for rare ones that may
/// be anything. `read` is what reads 64 bytes, and looks at some behind them. Tells how many words of the chunk have text.
#[inline(always)]
pub(super) fn read_chunk<const N: usize>(
    text: &[u8],
    from: usize,
    words: &mut [Bits<N>; KINDS],
    read: impl Fn(&[u8; SEEN]) -> Word,
) -> usize {
    let count = (text.len() - from).div_ceil(WORD).min(N - 2);
    let mut note = |i: usize, word: Word| {
        for (words, [low, high]) in words.iter_mut().zip(word) {
            let (first, last) = words[i].split_at_mut(4);
            first.copy_from_slice(&low.to_le_bytes());
            last.copy_from_slice(&high.to_le_bytes());
        }
    };
    let mut next = 0;
    if from == 0 {
        note(0, [[0; 2]; KINDS]);
        next = 1;
    }
    let place = |i: usize| from + i * WORD - WORD;
    while next < count + 2
        && let Some(block) = text.get(place(next)..).and_then(<[u8]>::first_chunk)
    {
        note(next, read(block));
        next += 1;
    }
    (next..count + 2).for_each(|i| note(i, read(&last_block(text, place(i)))));
    count
}

/// What there is of a text from `at` on, then zeros.
#[cold]
fn last_block(text: &[u8], at: usize) -> [u8; SEEN] {
    std::array::from_fn(|i| text.get(at + i).copied().unwrap_or(0))
}

/// Reads 64 bytes on any processor: the kinds of eight bytes are gathered to a byte for each kind by a multiplication.
pub(super) fn read_portable(kinds: &Kinds, block: &[u8; SEEN]) -> Word {
    let mut word = [[0; 2]; KINDS];
    for (i, eight) in block[..WORD].as_chunks::<8>().0.iter().enumerate() {
        let of = eight.map(|byte| kinds.of[usize::from(byte)]);
        let halves = [0, 8].map(|shift| u64::from_le_bytes(of.map(|kinds| (kinds >> shift) as u8)));
        for (kind, bits) in word[..FIXED].iter_mut().enumerate() {
            let ones = halves[kind / 8] >> (kind % 8) & 0x0101_0101_0101_0101;
            bits[i / 4] |= ((ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32) << (8 * (i % 4));
        }
    }
    for (i, three) in block.windows(rare::BYTES).enumerate() {
        let buckets = kinds.rare.iter().zip(three).fold(0xFF, |all, (of, &byte)| all & of[usize::from(byte)]);
        word[Kind::Rare as usize][i / 32] |= u32::from(buckets != 0) << (i % 32);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_of_its_kinds() {
        let (kinds, sets) = (Kinds::new([[[0; 16]; 2]; rare::BYTES]), SETS.map(rounded));
        for first in (0..=255).step_by(WORD) {
            let block: [u8; SEEN] = std::array::from_fn(|i| (first + i) as u8);
            let word = read_portable(&kinds, &block);
            for (i, &byte) in block[..WORD].iter().enumerate() {
                for kind in 0..FIXED {
                    assert_eq!(
                        word[kind][i / 32] >> (i % 32) & 1 == 1,
                        sets[kind].has(byte),
                        "{byte:#x} {kind}"
                    );
                }
            }
        }
        assert!(sets.iter().all(|set| !set.has(0)));
        assert_eq!(rounded(ByteSet::of_each(b"\ta")), ByteSet::of_each(b"\t\x19a"));
        assert_eq!(rounded(ByteSet::of(0xC3)), ByteSet::NONE.with_range(0x80, 0xFF));
    }
}
