//! What was found clean before: keys, attributes, resources, names. In telemetry most strings are the same over and
//! over, and comparing costs a fraction of looking.
//!
//! Nothing is taken for seen that is not equal byte by byte; a hash only says where to compare. Memory is fixed: a new
//! entry takes the place of an old one. What is met for the first time only leaves a few bits of its hash: most of it
//! never comes again.
//!
//! Attributes mostly come in the order they came in before. So each knows which one followed it, and that one is compared
//! first: where it follows again, nothing has to be hashed.

use super::wire;

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
const SMALL: usize = 116;
const LARGE_SLOTS: usize = 128;
const LARGE: usize = 4096;

/// Bytes that are clean, up to as many as it has room for.
pub(super) struct Seen {
    /// Bits of the hash of what was met last.
    met: Box<[u32]>,
    /// Bits of the hashes of what is in the slots of a set: small enough to stay in the first cache, which what was never
    /// seen would otherwise miss.
    tags: Box<[[u32; WAYS]]>,
    /// The sets, one after the other. The newer one of a set comes first.
    small: Box<[Slot]>,
    large: Box<[Vec<u8>]>,
    /// The slot of the attribute that came last.
    last: u16,
    /// Whether a number may be secret though its key says nothing: then it is looked at each time.
    looks_at_numbers: bool,
}

/// Two lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    hash: u64,
    /// Where the attribute is that followed this one; or was, for it may have gone.
    next: u16,
    len: u8,
    kind: u8,
    bytes: [u8; SMALL],
}

impl Slot {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(SMALL)]
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

impl Default for Seen {
    fn default() -> Self {
        let empty = Slot { hash: 0, next: 0, len: 0, kind: 0, bytes: [0; SMALL] };
        Self {
            met: vec![0; SETS * WAYS].into(),
            tags: vec![[0; WAYS]; SETS].into(),
            small: vec![empty; SETS * WAYS].into(),
            large: vec![Vec::new(); LARGE_SLOTS].into(),
            last: 0,
            looks_at_numbers: false,
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
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        if let Some(last) = bytes.last_chunk::<16>() {
            // The last ones are taken apart, with as many of those before them as there is room for.
            let (pieces, _) = bytes[..bytes.len() - 1].as_chunks::<16>();
            for [low, high] in pieces.iter().chain([last]).map(halves) {
                hash = mix(hash ^ low, two ^ high);
            }
            return Self(hash);
        }
        let short = |at: usize| {
            bytes
                .get(at..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |word| u64::from(u32::from_le_bytes(*word)))
        };
        let (low, high) = match bytes.len() {
            8.. => (bytes.first_chunk().map_or(0, word), bytes.last_chunk().map_or(0, word)),
            4.. => (short(0), short(bytes.len() - 4)),
            _ => (bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)), 0),
        };
        Self(mix(mix(hash ^ low, two ^ high), one))
    }
}

/// Sixteen bytes as two words.
#[inline]
fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*bytes);
    [both as u64, (both >> 64) as u64]
}

/// Whether they are equal. They are short: calling the function that compares any bytes would cost more than to compare.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let word = |bytes: &[u8; 16]| u128::from_le_bytes(*bytes);
    match (a.last_chunk(), b.last_chunk()) {
        _ if a.len() != b.len() => false,
        (Some(last_a), Some(last_b)) => {
            let (all_a, all_b) = (a.as_chunks().0, b.as_chunks().0);
            all_a.iter().zip(all_b).all(|(a, b)| word(a) == word(b)) && word(last_a) == word(last_b)
        }
        _ => a == b,
    }
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Seen {
    /// Nothing was seen. `looks_at_numbers`: a number may be secret though its key says nothing.
    pub(super) fn new(looks_at_numbers: bool) -> Self {
        Self { looks_at_numbers, ..Self::default() }
    }

    /// Whether just these bytes were found clean, as this kind.
    #[inline]
    pub(super) fn has(&self, kind: As, hash: Hash, bytes: &[u8]) -> bool {
        if bytes.len() <= SMALL {
            return self.slot_of(kind, hash, bytes).is_some();
        }
        let slot = &self.large[hash.0 as usize % LARGE_SLOTS];
        slot.first() == Some(&(kind as u8)) && slot[1..] == *bytes
    }

    /// The slot with these bytes, which are few enough for one.
    #[inline]
    fn slot_of(&self, kind: As, hash: Hash, bytes: &[u8]) -> Option<usize> {
        let set = hash.0 as usize % SETS;
        let way = self.tags[set].iter().position(|&tag| tag == hash.tag())?;
        let place = WAYS * set + way;
        let slot = &self.small[place];
        (slot.hash == hash.0 && slot.kind == kind as u8 && is_same(slot.bytes(), bytes)).then_some(place)
    }

    /// Whether just this attribute was found clean, or its key, below which numbers stay: they differ, their keys do not.
    #[inline]
    pub(super) fn has_attribute(&mut self, pair: &[u8]) -> bool {
        let next = self.small[usize::from(self.last)].next;
        let slot = &self.small[usize::from(next)];
        let follows = if slot.kind == As::Pair as u8 {
            is_same(slot.bytes(), pair)
        } else {
            slot.kind == As::Key as u8 && self.key_of_number(pair) == Some(slot.bytes())
        };
        if follows {
            self.last = next;
            return true;
        }
        self.has_other(As::Pair, pair)
            || self.key_of_number(pair).is_some_and(|key| self.has_other(As::Key, key))
    }

    /// The key of an attribute whose value is a number that nothing but its key can make a secret.
    #[inline]
    fn key_of_number<'p>(&self, pair: &'p [u8]) -> Option<&'p [u8]> {
        if self.looks_at_numbers { None } else { wire::key_of_number(pair) }
    }

    /// Whether this attribute, or key of one, was found clean, though it is not the one that followed before.
    fn has_other(&mut self, kind: As, bytes: &[u8]) -> bool {
        let hash = Hash::of(kind, bytes);
        if bytes.len() > SMALL {
            return self.has(kind, hash, bytes);
        }
        let Some(slot) = self.slot_of(kind, hash, bytes) else { return false };
        self.small[usize::from(self.last)].next = slot as u16;
        self.last = slot as u16;
        true
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
            // It may have come more than once in a request.
            if self.tags[set].contains(&hash.tag()) {
                return;
            }
            self.tags[set] = [hash.tag(), self.tags[set][0]];
            self.small.swap(WAYS * set, WAYS * set + 1);
            let slot = &mut self.small[WAYS * set];
            slot.hash = hash.0;
            slot.kind = kind as u8;
            slot.len = bytes.len() as u8;
            slot.bytes[..bytes.len()].copy_from_slice(bytes);
        } else if bytes.len() <= LARGE {
            let slot = &mut self.large[hash.0 as usize % LARGE_SLOTS];
            slot.clear();
            // No room for what never comes.
            slot.reserve_exact(1 + bytes.len());
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
    fn attributes_in_the_order_they_came_in() {
        let mut seen = Seen::default();
        let number = |key: &str, number: u8| [b"\x0a\x04", key.as_bytes(), &[0x12, 2, 0x18, number]].concat();
        let text = |text: &str| [b"\x0a\x03abc\x12\x06\x0a\x04", text.as_bytes()].concat();
        let all = [text("same"), text("some"), number("port", 1), number("size", 1)];
        for _ in 0..2 {
            for (kind, bytes) in [(As::Pair, &all[0][..]), (As::Pair, &all[1][..]), (As::Key, b"port")] {
                seen.add(kind, Hash::of(kind, bytes), bytes);
            }
        }
        for _ in 0..3 {
            assert_eq!([0, 1, 2, 3].map(|i| seen.has_attribute(&all[i])), [true, true, true, false]);
        }
        // Where each is expected, another comes.
        for other in [text("sane"), number("part", 1), number("port", 0x80), text("port"), Vec::new()] {
            for known in &all[..3] {
                assert!(seen.has_attribute(known));
                assert!(!seen.has_attribute(&other));
            }
        }
        assert!(seen.has_attribute(&number("port", 2)));
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
