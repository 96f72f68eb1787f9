//! Sets of byte values, and how often their bytes turn up in logs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A set of byte values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSet([u64; 4]);

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByteSet({})", self.len())
    }
}

impl Hash for ByteSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|&word| state.write_u64(word));
    }
}

/// A map by sets.
pub type BySet<T> = HashMap<ByteSet, T, BuildHasherDefault<SetHasher>>;

/// Hashes sets, quickly. They come from rules, so nobody has a reason to make them hash alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetHasher(u64);

impl Hasher for SetHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|&word| self.write_u64(u64::from_le_bytes(word)));
        rest.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        // The high bits of a product are the good ones, and a map takes the low ones, too.
        self.0 ^ self.0 >> 32
    }
}

impl ByteSet {
    /// No byte.
    pub const NONE: Self = Self([0; 4]);
    /// Every byte.
    pub const ANY: Self = Self([u64::MAX; 4]);

    /// Only `byte`.
    pub const fn of(byte: u8) -> Self {
        Self::NONE.with(byte)
    }

    /// These bytes.
    pub const fn of_each(bytes: &[u8]) -> Self {
        let mut set = Self::NONE;
        let mut i = 0;
        while i < bytes.len() {
            set = set.with(bytes[i]);
            i += 1;
        }
        set
    }

    /// This set and `byte`.
    pub const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// This set and every byte from `first` to `last`.
    pub const fn with_range(mut self, first: u8, last: u8) -> Self {
        let mut byte = first;
        loop {
            self = self.with(byte);
            if byte >= last {
                return self;
            }
            byte += 1;
        }
    }

    /// This set without `byte`.
    pub const fn without(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] &= !(1 << (byte & 63));
        self
    }

    /// `byte` in both cases, if it is a letter.
    pub const fn caseless(byte: u8) -> Self {
        Self::of(byte.to_ascii_lowercase()).with(byte.to_ascii_uppercase())
    }

    /// Whether `byte` is in the set.
    #[inline]
    pub const fn has(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// For every byte whether it is in the set: for long runs, a look-up is quicker than a test.
    pub const fn table(self) -> [bool; 256] {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = self.has(byte as u8);
            byte += 1;
        }
        table
    }

    /// What is in either set.
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// What is in both sets.
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// The bytes of the set, each with the bit that makes a letter a small one.
    pub const fn folded(self) -> Self {
        let [a, b, c, d] = self.0;
        // In each word, the upper 32 bytes are the lower ones with that bit.
        Self([
            (a | a << 32) >> 32 << 32,
            (b | b << 32) >> 32 << 32,
            (c | c << 32) >> 32 << 32,
            (d | d << 32) >> 32 << 32,
        ])
    }

    /// Every byte that is not in the set.
    pub const fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// A bit for each byte, the lowest of the first word for the byte 0.
    pub const fn words(&self) -> [u64; 4] {
        self.0
    }

    /// How many bytes are in the set.
    pub const fn len(&self) -> u32 {
        let [a, b, c, d] = self.0;
        a.count_ones() + b.count_ones() + c.count_ones() + d.count_ones()
    }

    /// Whether no byte is in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The byte of the set, if there is one only.
    pub fn only(self) -> Option<u8> {
        let mut words = self.0.iter().zip(0u8..).filter(|(word, _)| **word != 0);
        let (word, i) = words.next()?;
        (word.is_power_of_two() && words.next().is_none()).then(|| 64 * i + word.trailing_zeros() as u8)
    }

    /// The bytes of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..4u8).flat_map(move |word| {
            let mut bits = self.0[word as usize];
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros() as u8;
                    bits &= bits - 1;
                    word * 64 + bit
                })
            })
        })
    }

    /// The set as 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|word| format!("{word:016x}")).collect()
    }

    /// A set that [`to_hex`](Self::to_hex) wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut words = [0; 4];
        for (i, word) in words.iter_mut().enumerate() {
            *word = u64::from_str_radix(text.get(16 * i..16 * (i + 1))?, 16).ok()?;
        }
        Some(Self(words))
    }

    /// How often a byte of the set turns up in logs, between 0 and 1.
    pub fn frequency(&self) -> f32 {
        let mut sum = 0.0;
        for (&word, eights) in self.0.iter().zip(&EIGHTS) {
            let mut bits = word;
            while bits != 0 {
                let first = bits.trailing_zeros() as usize / 8;
                sum += eights[first][usize::from(word.to_le_bytes()[first])];
                bits &= !(0xFF << (8 * first));
            }
        }
        sum
    }
}

/// How often a byte turns up in logs whose lower half is one of `low` and whose upper half is one of `high`, a bit for
/// each.
pub fn frequency_of_halves(low: u16, high: u16) -> f32 {
    let [first, second] = low.to_le_bytes().map(usize::from);
    let rows = EIGHTS.as_flattened().as_chunks::<2>().0.iter().zip(0..);
    rows.filter(|&(_, half)| high >> half & 1 == 1).map(|([a, b], _)| a[first] + b[second]).sum()
}

/// The shares of every set of eight neighbouring bytes, by word and byte of a [`ByteSet`].
static EIGHTS: [[[f32; 256]; 8]; 4] = {
    let mut eights = [[[0.0; 256]; 8]; 4];
    let mut i = 0;
    while i < 32 {
        let mut bits = 1;
        while bits < 256 {
            let lowest = (bits as u32).trailing_zeros() as usize;
            eights[i / 8][i % 8][bits] = eights[i / 8][i % 8][bits & (bits - 1)] + FREQUENCY[8 * i + lowest];
            bits += 1;
        }
        i += 1;
    }
    eights
};

/// A rough share of each byte in log text. Only the choice of anchors rests on it, never what is found.
static FREQUENCY: [f32; 256] = {
    let mut table = [0.0002; 256];
    let order = b"etaoinsrhldcumfpgwybvkxjqz";
    let mut i = 0;
    while i < order.len() {
        table[order[i] as usize] = 0.055 - 0.002 * i as f32;
        table[(order[i] - 32) as usize] = 0.009 - 0.0003 * i as f32;
        i += 1;
    }
    i = b'0' as usize;
    while i <= b'9' as usize {
        table[i] = 0.025;
        i += 1;
    }
    table[b' ' as usize] = 0.1;
    table[b'.' as usize] = 0.03;
    table[b':' as usize] = 0.025;
    table[b'-' as usize] = 0.02;
    table[b'"' as usize] = 0.03;
    table[b'/' as usize] = 0.02;
    table[b'_' as usize] = 0.012;
    table[b'=' as usize] = 0.008;
    table[b',' as usize] = 0.012;
    table[b'\n' as usize] = 0.008;
    let often = b"[]()|>;'{}";
    i = 0;
    while i < often.len() {
        table[often[i] as usize] = 0.004;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_turn_up_as_often_as_their_bytes() {
        for (low, high) in [(0, 0), (0xFFFF, 0xFFFF), (1, 0x0004), (0x03FF, 0x0008), (0xFFFE, 0x00F0)] {
            let is_one = |byte: &u8| low >> (byte & 15) & high >> (byte >> 4) & 1 == 1;
            let set = (0..=255).filter(is_one).fold(ByteSet::NONE, ByteSet::with);
            assert!((frequency_of_halves(low, high) - set.frequency()).abs() < 1e-5, "{low:x} {high:x}");
        }
    }
}
