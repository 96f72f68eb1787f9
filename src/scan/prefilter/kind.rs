//! Kinds of bytes, and where in a chunk of text bytes of each kind stand: 64 bytes to a word, a bit for each byte.
//!
//! This is all that reads every byte of the text. What is made of it is told one way only, whoever reads: the portable
//! reader here, or one that uses the processor's vectors.

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
}

pub(super) const KINDS: usize = 10;

/// The bytes of each kind.
pub(super) const SETS: [ByteSet; KINDS] =
    [LETTERS, DIGITS, TOKEN, NUMBER, AFTER_KEY, BLANK, AFTER_BLANK, SIGNS, COLON, ESCAPES];

/// For each kind, which of 64 bytes are of it.
pub(super) type Word = [u64; KINDS];

/// The kinds of each byte, a bit for each.
static KINDS_OF: [[u8; 2]; 256] = {
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut kind = 0;
        while kind < KINDS {
            if SETS[kind].has(byte as u8) {
                table[byte][kind / 8] |= 1 << (kind % 8);
            }
            kind += 1;
        }
        byte += 1;
    }
    table
};

/// Reads the chunk of `text` that starts at `from`: the first of the words of each kind is of what stands in front of it,
/// the last of what stands behind it; beyond the text nothing stands. `read` is what reads 64 bytes. Tells how many words
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
        // No kind has a byte of zero.
        let mut block = [0; WORD];
        block[..rest.len()].copy_from_slice(rest);
        note(next, read(&block));
        next += 1;
    }
    if next <= count + 1 {
        note(count + 1, [0; KINDS]);
    }
    count
}

/// Reads 64 bytes on any processor: the kinds of eight bytes are gathered to a byte for each kind by a multiplication.
pub(super) fn read_portable(block: &[u8; WORD]) -> Word {
    let mut word = [0; KINDS];
    for (i, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let kinds =
            [0, 1].map(|part| u64::from_le_bytes(eight.map(|byte| KINDS_OF[usize::from(byte)][part])));
        for (kind, bits) in word.iter_mut().enumerate() {
            let ones = kinds[kind / 8] >> (kind % 8) & 0x0101_0101_0101_0101;
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
        for first in (0..=255).step_by(WORD) {
            let block: [u8; WORD] = std::array::from_fn(|i| (first + i) as u8);
            let word = read_portable(&block);
            for (i, &byte) in block.iter().enumerate() {
                for kind in 0..KINDS {
                    assert_eq!(word[kind] >> i & 1 == 1, SETS[kind].has(byte), "{byte:#x} {kind}");
                }
            }
        }
        assert!(SETS.iter().all(|set| !set.has(0)));
    }
}
