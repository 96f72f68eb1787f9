//! How often bytes and words turn up in logs, about. Anchors are chosen by it, and the ways to look for them; a wrong guess
//! costs time and nothing else.

use std::sync::LazyLock;

use super::anchor::Anchor;
use super::byte_set::ByteSet;
use super::gate::{DIGITS, LETTERS};

/// How often a byte of a set turns up.
#[derive(Clone, Copy, Debug)]
pub struct Frequency {
    share: f32,
    /// How many digits are in the set.
    digits: f32,
    is_digits: bool,
}

impl Frequency {
    /// Anything does.
    pub const ALWAYS: Self = Self { share: 1.0, digits: 10.0, is_digits: false };
    /// What nothing stands in front of.
    pub const NOTHING: Self = Self { share: 0.0, digits: 0.0, is_digits: false };

    /// That of `set`.
    pub fn of(set: &ByteSet) -> Self {
        let digits = set.intersection(DIGITS).len() as f32;
        let is_digits = set.len() <= 16 && 2.0 * digits >= set.len() as f32;
        Self { share: set.frequency(), digits, is_digits }
    }

    /// How often it does behind another. They are taken to be independent, but for digits: behind a digit there is
    /// mostly another.
    pub fn behind(self, last: Self) -> f32 {
        let share = if last.is_digits { self.share + 0.045 * self.digits } else { self.share };
        share.min(1.0)
    }
}

/// How often each byte of a sequence turns up.
pub fn shares(sets: &[ByteSet]) -> Vec<f32> {
    let mut last = Frequency::NOTHING;
    let share = |set: &ByteSet| {
        let next = Frequency::of(set);
        next.behind(std::mem::replace(&mut last, next))
    };
    sets.iter().map(share).collect()
}

/// Some letters of a word.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Its first four.
    Start,
    /// Its last three.
    End,
    /// Any three.
    Inside,
}

/// A bit for the hash of each part of the words that logs are full of. Another part may hash like it, which makes a
/// choice a little worse.
static COMMON_PARTS: LazyLock<[u64; 1024]> = LazyLock::new(|| {
    let mut known = [0; 1024];
    let mut learn = |part: Part, letters: &[u8]| {
        let hash = part.hash(letters);
        known[hash / 64] |= 1 << (hash % 64);
    };
    for word in COMMON.split_ascii_whitespace().map(str::as_bytes) {
        if word.len() >= 4 {
            learn(Part::Start, &word[..4]);
            learn(Part::End, &word[word.len() - 3..]);
        }
        word.windows(3).for_each(|letters| learn(Part::Inside, letters));
    }
    known
});

impl Part {
    fn hash(self, letters: &[u8]) -> usize {
        let key = letters.iter().fold(self as u32, |key, &letter| key << 8 ^ u32::from(letter));
        (key.wrapping_mul(0x9E37_79B1) >> 16) as usize
    }

    /// What looking for an anchor costs that has such a part of a common word, if these are its letters, as far as each
    /// can be one only.
    pub fn cost(self, here: impl Iterator<Item = Option<u8>>) -> f32 {
        let mut letters = [0; 4];
        let (len, cost) = match self {
            Self::Start => (4, 6e-4),
            Self::End => (3, 5e-4),
            Self::Inside => (3, 1e-3),
        };
        for (letter, only) in letters[..len].iter_mut().zip(here) {
            let Some(only) = only else { return 0.0 };
            *letter = only;
        }
        let hash = self.hash(&letters[..len]);
        if COMMON_PARTS[hash / 64] >> (hash % 64) & 1 == 1 { cost } else { 0.0 }
    }
}

/// Whether one of the words that logs are full of is such.
fn is_common(is: impl Fn(&[u8]) -> bool) -> bool {
    COMMON.split_ascii_whitespace().any(|word| is(word.as_bytes()))
}

/// About how often the words of an anchor turn up at a byte of log text, if they are common ones: oftener than their
/// letters would.
pub fn word_frequency(anchor: &Anchor) -> f32 {
    let sets: Vec<ByteSet> = anchor.sets.iter().map(|set| set.folded()).collect();
    let is_letter = |set: &ByteSet| set.len() == 1 && set.intersection(LETTERS) == *set;
    let words: Vec<Vec<u8>> = sets
        .split(|set| !is_letter(set))
        .map(|word| word.iter().filter_map(|set| set.iter().next()).collect())
        .filter(|word: &Vec<u8>| !word.is_empty())
        .collect();
    let is_alone = sets.iter().all(|set| is_letter(set) || set.has(b' '));
    let share = |letters: &Vec<u8>| match letters.len() {
        0..=3 if !is_alone => 0.0,
        0..=2 => 1e-3,
        3 => 2e-4,
        _ if is_common(|word| word.starts_with(letters) || word.ends_with(letters)) => 2e-4,
        _ => 0.0,
    };
    let Some(rarest) = words.iter().map(share).min_by(f32::total_cmp) else { return 0.0 };
    let others = sets.iter().filter(|set| !is_letter(set) && !set.has(b' '));
    // One word behind another is seldom.
    rarest * 0.02f32.powi(words.len() as i32 - 1) * others.map(ByteSet::frequency).product::<f32>()
}

/// Words that logs are full of.
const COMMON: &str = "connection connected session service server username user node information info error warning \
    debug authentication authorization password client request response received data blocked version status state \
    system kernel process thread manager master worker task container application message event started starting \
    stopped opened closed failed failure invalid unknown check root administrator admin login http https www org java \
    exception class file path port host address timestamp time date from with for and the not key value type size \
    length count total index main default config update create created delete getting post proxy packet remote local \
    source destination device driver memory register interface network cluster running hadoop name number internal \
    sending active change block account access token verify confirm result answer signature installation code \
    open unix core sent init initial application current temporary link base with new data";
