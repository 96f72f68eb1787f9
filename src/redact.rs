//! Findings and bytes → bytes: what is written in place of a secret.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::carrier::escape::{Percent, View};
use crate::carrier::surroundings::{self, Surroundings};
use crate::finding::{Finding, Place};
use crate::rules::{Action, Rule};
use crate::scan::Format;

/// How many hex digits of the HMAC a pseudonym has: 96 bits.
const DIGITS: usize = 24;

/// The digits of a pseudonym: they tell secrets apart, and without the key they tell nothing of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym([u8; DIGITS]);

impl Pseudonym {
    /// Of what was written in place of a finding with the action `hash`, in whatever carrier.
    pub(crate) fn of(marker: &[u8]) -> Option<Self> {
        let quotes = marker.iter().rev().take_while(|&&b| b == b'\\' || crate::carrier::quote::is_mark(b));
        let marker = &marker[..marker.len() - quotes.count()];
        let inside = marker.strip_suffix(b"]").or_else(|| marker.strip_suffix(b"%5D"))?;
        let digits = *inside.last_chunk()?;
        digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }
}

impl std::fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|&digit| write!(f, "{}", char::from(digit)))
    }
}

impl std::fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pseudonym({self})")
    }
}

/// The key of pseudonyms, and the name that tells it from the ones before and after it.
#[derive(Clone)]
pub struct HashKey {
    id: Box<str>,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// Under 16 bytes: it could be guessed.
    TooShort,
    /// The id is not 1 to 32 of `A-Za-z0-9_-`.
    BadId,
}

impl std::fmt::Display for BadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooShort => {
                "the hash key has under 16 bytes; make one with `head -c 32 /dev/urandom | base64`"
            }
            Self::BadId => "a key id is 1 to 32 letters, digits, `-` or `_`",
        })
    }
}

impl std::error::Error for BadKey {}

impl HashKey {
    /// A key from its bytes (a line end after them is not part of it).
    /// # Errors
    /// Too short a key, or an id that does not fit a pseudonym.
    pub fn new(id: &str, key: &[u8]) -> Result<Self, BadKey> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if id.is_empty() || id.len() > 32 || !id.bytes().all(fits) {
            return Err(BadKey::BadId);
        }
        let key = Zeroizing::new(key.trim_ascii_end().to_vec());
        if key.len() < 16 {
            return Err(BadKey::TooShort);
        }
        let mac = Hmac::new_from_slice(&key).map_err(|_| BadKey::TooShort)?;
        Ok(Self { id: id.into(), mac })
    }

    /// The name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The pseudonym's digits for a secret, its escapes undone: the same in every carrier.
    fn digits(&self, secret: &[u8], view: &mut View) -> [u8; DIGITS] {
        let mut mac = self.mac.clone();
        view.decode(secret, Percent::All);
        let mut rest = view.text();
        // Backslashes in front of a quote are the carrier's.
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let run = rest[at..].iter().take_while(|&&b| b == b'\\').count();
            let escapes_quote = rest.get(at + run).is_some_and(|&b| crate::carrier::quote::is_mark(b));
            mac.update(&rest[..if escapes_quote { at } else { at + 1 }]);
            rest = &rest[at + run..];
        }
        mac.update(rest);
        let tag = mac.finalize().into_bytes();
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(tag.iter()) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        digits
    }
}

/// What becomes of a finding.
pub(crate) struct Replacement<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) action: Action,
    pub(crate) key: Option<&'a HashKey>,
    pub(crate) format: Format,
    /// The secret itself, however it is spelled there, if it was learned.
    pub(crate) learned: Option<&'a [u8]>,
}

/// Writes what stands in place of a finding, which lies at `range` of `line`, and in its document at `place`.
pub(crate) fn write(
    line: &[u8],
    range: Range<usize>,
    place: Place,
    what: &Replacement<'_>,
    view: &mut View,
    out: &mut Vec<u8>,
) {
    let &Replacement { rule, action, key, format, learned } = what;
    let around = match (surroundings::of(line, range.clone(), place), format) {
        (Surroundings::Number(_), Format::Text) => Surroundings::Text,
        (around, _) => around,
    };
    if let Surroundings::Number(quote) = around {
        out.extend(std::iter::repeat_n(b'\\', quote.escapes));
        out.push(quote.mark);
    }
    let (open, close): (&[u8], &[u8]) =
        if around == Surroundings::Url { (b"%5B", b"%5D") } else { (b"[", b"]") };
    match (action, key) {
        (Action::Remove, _) => {}
        (Action::Mask { keep }, _) => {
            out.extend_from_slice(b"****");
            // Of a secret that is known to be in use nothing stays.
            if learned.is_none() {
                out.extend_from_slice(tail(&line[range], keep.min(4)));
            }
        }
        (Action::Hash, Some(key)) => {
            out.extend_from_slice(open);
            out.extend_from_slice(rule.id.as_bytes());
            out.push(b':');
            out.extend_from_slice(key.id.as_bytes());
            out.push(b':');
            out.extend_from_slice(&key.digits(learned.unwrap_or(&line[range]), view));
            if learned.is_some() {
                view.wipe();
            }
            out.extend_from_slice(close);
        }
        // Without a key there is no pseudonym; building a Sanitizer makes sure there is one.
        (Action::Replace, _) | (Action::Hash, None) => {
            out.extend_from_slice(open);
            out.extend_from_slice(b"REDACTED:");
            out.extend_from_slice(rule.id.as_bytes());
            out.extend_from_slice(close);
        }
    }
    if let Surroundings::Number(quote) = around {
        out.extend(std::iter::repeat_n(b'\\', quote.escapes));
        out.push(quote.mark);
    }
}

/// The last bytes of a secret that may stay: at most `keep`, at most a quarter, letters and digits only.
fn tail(secret: &[u8], keep: u8) -> &[u8] {
    let keep = usize::from(keep).min(secret.len() / 4);
    let kept = &secret[secret.len() - keep..];
    let plain = kept.iter().rev().take_while(|b| b.is_ascii_alphanumeric()).count();
    &kept[keep - plain..]
}

/// The line of `block` that holds `finding`, and the finding's place in it. `known` is the line of the finding before
/// it in this block: a line may have many.
pub(crate) fn line_of<'b>(
    block: &'b [u8],
    finding: &Finding,
    known: &mut Range<usize>,
) -> (&'b [u8], Range<usize>) {
    if finding.start < known.start || known.end < finding.end {
        let start = memchr::memrchr(b'\n', &block[..finding.start]).map_or(0, |i| i + 1);
        let end = memchr::memchr(b'\n', &block[finding.end..]).map_or(block.len(), |i| finding.end + i);
        *known = start..end;
    }
    (&block[known.clone()], finding.start - known.start..finding.end - known.start)
}
