//! What was found clean before: keys, attributes, resources, names. In telemetry most strings are the same over and
//! over, and comparing costs a fraction of looking.
//!
//! Nothing is taken for seen that is not equal byte by byte; a hash only says where to compare. Memory is fixed: a new
//! entry takes the place of an old one. What is met for the first time only leaves a few bits of its hash: most of it
//! never comes again.

/// What kind of thing was clean: the same bytes may be clean as one and not as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum As {
    /// A text without a key.
    Text = 1,
    /// A key that no rule knows.
    Key,
    /// A whole `KeyValue`, as it was sent.
    Pair,
    /// A whole resource, as it was sent.
    Resource,
    /// A whole scope.
    Scope,
    /// A whole list of pairs.
    List,
    /// A value behind its key, as one line.
    Line,
}

const SETS: usize = 2048;
const WAYS: usize = 2;
const SMALL: usize = 118;
const LARGE_SLOTS: usize = 128;
const LARGE: usize = 4096;

/// Bytes that are clean, up to as many as it has room for.
pub(super) struct Seen {
    /// Bits of the hash of what was met last.
    met: Box<[u32]>,
    /// Bits of the hashes of what is in the slots of a set: small enough to stay in the first cache, which what was never
    /// seen would otherwise miss.
    tags: Box<[[u32; WAYS]]>,
    /// The newer one of a set comes first.
    small: Box<[[Slot; WAYS]]>,
    large: Box<[Vec<u8>]>,
}

/// Two lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    hash: u64,
    len: u8,
    kind: u8,
    bytes: [u8; SMALL],
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

impl Default for Seen {
    fn default() -> Self {
        let empty = Slot { hash: 0, len: 0, kind: 0, bytes: [0; SMALL] };
        Self {
            met: vec![0; SETS * WAYS].into(),
            tags: vec![[0; WAYS]; SETS].into(),
            small: vec![[empty; WAYS]; SETS].into(),
            large: vec![Vec::new(); LARGE_SLOTS].into(),
        }
    }
}

/// The hash of bytes of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hash(u64);

impl Hash {
    /// Some of its bits, never none.
    fn tag(self) -> u32 {
        (self.0 >> 32) as u32 | 1
    }

    #[inline]
    pub(super) fn of(kind: As, bytes: &[u8]) -> Self {
        let (one, two) = (0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93);
        let mut hash = (bytes.len() as u64) << 8 ^ kind as u64 ^ one;
        let word = |at: usize| {
            bytes
                .get(at..)
                .and_then(|rest| rest.first_chunk::<8>())
                .map_or(0, |word| u64::from_le_bytes(*word))
        };
        if bytes.len() >= 16 {
            let mut at = 0;
            while at + 16 < bytes.len() {
                hash = mix(hash ^ word(at), two ^ word(at + 8));
                at += 16;
            }
            let at = bytes.len() - 16;
            return Self(mix(hash ^ word(at), two ^ word(at + 8)));
        }
        let (low, high) = if bytes.len() >= 8 {
            (word(0), word(bytes.len() - 8))
        } else {
            (bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)), 0)
        };
        Self(mix(mix(hash ^ low, two ^ high), one))
    }
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Seen {
    /// Whether just these bytes were found clean, as this kind.
    #[inline]
    pub(super) fn has(&self, kind: As, hash: Hash, bytes: &[u8]) -> bool {
        if bytes.len() <= SMALL {
            let set = hash.0 as usize % SETS;
            (0..WAYS).any(|way| {
                self.tags[set][way] == hash.tag() && {
                    let slot = &self.small[set][way];
                    slot.hash == hash.0
                        && slot.kind == kind as u8
                        && usize::from(slot.len) == bytes.len()
                        && slot.bytes[..bytes.len()] == *bytes
                }
            })
        } else {
            let slot = &self.large[hash.0 as usize % LARGE_SLOTS];
            slot.first() == Some(&(kind as u8)) && slot[1..] == *bytes
        }
    }

    /// Notes that these bytes are clean. They are remembered from the second time on.
    pub(super) fn add(&mut self, kind: As, hash: Hash, bytes: &[u8]) {
        let met = &mut self.met[hash.0 as usize % (SETS * WAYS)];
        if *met != hash.tag() {
            *met = hash.tag();
            return;
        }
        if bytes.len() <= SMALL {
            let set = hash.0 as usize % SETS;
            self.tags[set] = [hash.tag(), self.tags[set][0]];
            let slots = &mut self.small[set];
            slots.swap(0, 1);
            let slot = &mut slots[0];
            slot.hash = hash.0;
            slot.kind = kind as u8;
            slot.len = bytes.len() as u8;
            slot.bytes[..bytes.len()].copy_from_slice(bytes);
        } else if bytes.len() <= LARGE {
            let slot = &mut self.large[hash.0 as usize % LARGE_SLOTS];
            slot.clear();
            slot.push(kind as u8);
            slot.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_second_time_on_and_only_the_same() {
        let mut seen = Seen::default();
        for len in [0, 1, 7, 8, 15, 16, 17, 40, SMALL, SMALL + 1, LARGE] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let hash = Hash::of(As::Pair, &bytes);
            assert!(!seen.has(As::Pair, hash, &bytes));
            seen.add(As::Pair, hash, &bytes);
            assert!(!seen.has(As::Pair, hash, &bytes), "{len}");
            seen.add(As::Pair, hash, &bytes);
            assert!(seen.has(As::Pair, hash, &bytes), "{len}");
            // Whatever the hash says.
            assert!(!seen.has(As::Key, hash, &bytes));
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert!(!seen.has(As::Pair, hash, &other));
                assert_ne!(Hash::of(As::Pair, &other), hash, "{len} {at}");
            }
        }
    }

    #[test]
    fn room_is_bounded() {
        let mut seen = Seen::default();
        let large = vec![7; LARGE + 1];
        for _ in 0..3 {
            seen.add(As::Text, Hash::of(As::Text, &large), &large);
        }
        assert!(!seen.has(As::Text, Hash::of(As::Text, &large), &large));
    }
}
