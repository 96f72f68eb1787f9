//! What ties lines of an audit trail together: each line's hash covers the hash of the line before it and all of the line
//! in front of the hash; where a line has an HMAC, that covers the same, under the key.
//!
//! Knows bytes only: what a line says is `entry`'s.
//!
//! A line ends `,"hash":"<64 hex>"}`, or `,"mac":"<64 hex>","hash":"<64 hex>"}`. What is hashed is what was written, byte by
//! byte, so nothing depends on how JSON may be written otherwise.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::BadKey;

/// In front of everything that is hashed: an HMAC under the same key elsewhere is none here.
const DOMAIN: &[u8] = b"kasm-scrub audit 1\n";
const HEX: usize = 64;
const HASH: &[u8] = b",\"hash\":\"";
const MAC: &[u8] = b",\"mac\":\"";
const END: &[u8] = b"\"}";

/// The hash of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(pub(super) [u8; 32]);

impl Hash {
    /// Reads 64 hex digits, in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }

    /// The hash of a line with this in front of its hash, behind a line with the hash `self`.
    fn of_next(&self, content: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.0);
        hash.update(content);
        Self(hash.finalize().into())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hex(&self.0, f)
    }
}

/// Reads so many bytes as hex digits, in lower case.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Writes bytes as hex digits.
pub(super) fn hex(bytes: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// The key of checkpoints, and the name that tells it from the ones before and after it.
pub struct Key {
    id: Box<str>,
    bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Key {
    /// A key from its bytes (a line end after them is not part of it).
    /// # Errors
    /// Too short a key, or an id that is not 1 to 32 of `A-Za-z0-9_-`.
    pub fn new(id: &str, bytes: &[u8]) -> Result<Self, BadKey> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if id.is_empty() || id.len() > 32 || !id.bytes().all(fits) {
            return Err(BadKey::BadId);
        }
        let bytes = bytes.trim_ascii_end();
        if bytes.len() < 16 {
            return Err(BadKey::TooShort);
        }
        Ok(Self { id: id.into(), bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// The name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The HMAC of a line with this in front of its HMAC, behind a line with that hash.
    fn mac(&self, before: &Hash, body: &[u8]) -> Hash {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.bytes) else { return Hash::default() };
        mac.update(DOMAIN);
        mac.update(&before.0);
        mac.update(body);
        Hash(mac.finalize().into_bytes().into())
    }
}

/// Ends a line whose start is in `lines` from `from` on: all but its HMAC, its hash and the bracket. Its hash.
pub(super) fn seal(lines: &mut Vec<u8>, from: usize, before: &Hash, key: Option<&Key>) -> Hash {
    if let Some(key) = key {
        let mac = key.mac(before, &lines[from..]);
        lines.extend_from_slice(MAC);
        lines.extend_from_slice(format!("{mac}\"").as_bytes());
    }
    let hash = before.of_next(&lines[from..]);
    lines.extend_from_slice(HASH);
    lines.extend_from_slice(format!("{hash}\"}}\n").as_bytes());
    hash
}

/// A line, taken apart from its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed<'l> {
    /// All in front of the hash.
    content: &'l [u8],
    /// All in front of the HMAC, and the HMAC.
    keyed: Option<(&'l [u8], Hash)>,
    /// What the line says its hash is.
    pub(super) hash: Hash,
}

impl<'l> Sealed<'l> {
    /// Takes a line apart, which has no newline. `None`: it does not end as lines do.
    pub(super) fn of(line: &'l [u8]) -> Option<Self> {
        let (content, hash) = hex_behind(line.strip_suffix(END)?, HASH)?;
        let keyed = content.strip_suffix(b"\"").and_then(|rest| hex_behind(rest, MAC));
        Some(Self { content, keyed, hash })
    }

    /// Whether the line is what it was when it was written behind a line with that hash.
    pub(super) fn follows(&self, before: &Hash) -> bool {
        before.of_next(self.content) == self.hash
    }

    /// Whether the line has an HMAC.
    pub(super) fn is_keyed(&self) -> bool {
        self.keyed.is_some()
    }

    /// Whether the line has an HMAC that was made with the key.
    pub(super) fn is_by(&self, key: &Key, before: &Hash) -> bool {
        self.keyed.is_some_and(|(body, mac)| {
            // No secret is compared: who has the file sees the HMAC.
            key.mac(before, body) == mac
        })
    }
}

/// What is in front of `name`, which 64 hex digits follow to the end.
fn hex_behind<'l>(text: &'l [u8], name: &[u8]) -> Option<(&'l [u8], Hash)> {
    let (front, hex) = text.split_at_checked(text.len().checked_sub(HEX)?)?;
    let hash = Hash::parse(std::str::from_utf8(hex).ok()?)?;
    Some((front.strip_suffix(name)?, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_as_it_was_sealed() {
        let key = Key::new("a1", b"0123456789abcdef\n").expect("a key");
        let other = Key::new("a1", b"0123456789abcdeF").expect("a key");
        let before = Hash([7; 32]);
        for with in [None, Some(&key)] {
            let mut lines = b"earlier\n{\"seq\":1".to_vec();
            let hash = seal(&mut lines, 8, &before, with);
            let line = lines[8..].strip_suffix(b"\n").expect("a newline");
            let sealed = Sealed::of(line).expect("a line");
            assert_eq!(sealed.hash, hash);
            assert!(sealed.follows(&before) && !sealed.follows(&Hash::default()));
            assert_eq!(sealed.is_keyed(), with.is_some());
            assert_eq!(sealed.is_by(&key, &before), with.is_some());
            assert!(!sealed.is_by(&other, &before) && !sealed.is_by(&key, &Hash::default()));
        }
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        assert_eq!(Key::new("a1", b"0123456789abcde\n").err(), Some(BadKey::TooShort));
        assert_eq!(Key::new("a 1", b"0123456789abcdef").err(), Some(BadKey::BadId));
        assert_eq!(
            format!("{:?}", Key::new("a1", b"0123456789abcdef").expect("a key")),
            "Key { id: \"a1\", .. }"
        );
    }
}
