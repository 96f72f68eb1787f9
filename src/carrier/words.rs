//! Lists of words that names and values are held against, ignoring case.

use crate::rules::byte_set::ByteSet;

/// A list of words. Most of what is asked for is none of them: its length or its first letter tells.
pub(super) struct Words {
    words: &'static [&'static [u8]],
    /// A bit for the length of each.
    lengths: u64,
    firsts: ByteSet,
    /// The length of the longest.
    pub(super) longest: usize,
}

impl Words {
    /// The list of these words, each of 1 to 63 bytes.
    pub(super) const fn new(words: &'static [&'static [u8]]) -> Self {
        let mut list = Self { words, lengths: 0, firsts: ByteSet::NONE, longest: 0 };
        let mut i = 0;
        while i < words.len() {
            let word = words[i];
            list.lengths |= 1 << word.len();
            list.firsts = list.firsts.with(word[0].to_ascii_lowercase()).with(word[0].to_ascii_uppercase());
            if word.len() > list.longest {
                list.longest = word.len();
            }
            i += 1;
        }
        list
    }

    /// The bytes of `text` in front of the first `end`, if they are one of them.
    #[inline]
    pub(super) fn first_of<'t>(&self, text: &'t [u8], end: u8) -> Option<&'t [u8]> {
        text.first().filter(|&&first| self.firsts.has(first))?;
        let reach = &text[..text.len().min(self.longest + 1)];
        let word = reach.iter().position(|&byte| byte == end).map_or(reach, |len| &reach[..len]);
        self.has(word).then_some(word)
    }

    /// Whether `text` is one of them.
    #[inline]
    pub(super) fn has(&self, text: &[u8]) -> bool {
        let Some(&first) = text.first() else { return false };
        text.len() <= self.longest
            && self.lengths >> text.len() & 1 == 1
            && self.firsts.has(first)
            && self.words.iter().any(|word| word.len() == text.len() && word.eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case() {
        const LIST: Words = Words::new(&[b"bearer", b"api-key", b"n/a"]);
        for word in ["bearer", "Bearer", "API-Key", "n/a"] {
            assert!(LIST.has(word.as_bytes()), "{word}");
        }
        assert_eq!(LIST.first_of(b"Bearer abc", b' '), Some(&b"Bearer"[..]));
        assert_eq!(LIST.first_of(b"bearer", b' '), Some(&b"bearer"[..]));
        assert_eq!(LIST.first_of(b"bearerbearer x", b' '), None);
        for word in ["", "b", "bearers", "basic1", "napier", "n-a"] {
            assert!(!LIST.has(word.as_bytes()), "{word}");
        }
    }
}
