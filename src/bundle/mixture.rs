//! Whether all of a text is text: logs get other things appended, in another encoding or packed, that would go on unseen.
//!
//! Judged in windows at fixed places of the text, so that the verdict does not depend on how it is read.

use super::form::is_text;

/// How much is judged at once.
pub(super) const WINDOW: usize = 1 << 10;
/// The most control characters that no log holds, in one window.
const MOST_ODD: usize = WINDOW / 32;
/// The same behind what begins or ends an archive.
const MOST_ODD_PACKED: usize = 1;
/// A hole that a crash or a rotation left has at least so many zeros. Fewer are UTF-16, UTF-32, or numbers.
const HOLE: u64 = 16;
/// The most runs of zeros that are no holes.
pub(super) const HANDFUL: u64 = 4;
/// How many bytes of the window before are kept, for what stands over a seam.
const SEAM: usize = 8;

/// What begins an archive or a compression, and what ends a zip archive.
const PACKED: &[&[u8]] = &[b"PK\x03\x04", b"PK\x05\x06", b"\x1F\x8B\x08", b"\x28\xB5\x2F\xFD", b"\xFD7zXZ\0"];

/// How many control characters there are that no log holds. Zeros are counted elsewhere.
pub(super) fn odd(bytes: &[u8]) -> usize {
    bytes.chunks(128).map(|some| some.iter().map(|&byte| u8::from(!is_text(byte))).sum::<u8>() as usize).sum()
}

/// Whether so much of a text is none.
pub(super) fn is_noise(window: &[u8]) -> bool {
    odd(window) > MOST_ODD
}

/// Runs of zeros, and how many of them are no holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Zeros {
    run: u64,
    pub(super) short: u64,
    pub(super) holes: u64,
}

impl Zeros {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.run == 0 {
                let Some(at) = memchr::memchr(0, rest) else { return };
                rest = &rest[at..];
            }
            let len = rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len());
            self.run += len as u64;
            rest = &rest[len..];
            if !rest.is_empty() {
                self.end();
            }
        }
    }

    /// No zero follows.
    pub(super) fn end(&mut self) {
        match std::mem::take(&mut self.run) {
            0 => {}
            1..HOLE => self.short += 1,
            _ => self.holes += 1,
        }
    }
}

/// What a text has turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Text,
    /// It has more zeros than a text has.
    Zeros,
    /// Something in it is no text.
    Noise,
}

/// Judges a text, piece by piece.
#[derive(Debug)]
pub(super) struct Judge {
    /// A window that is not full yet, behind the end of the one before.
    held: Vec<u8>,
    seam: usize,
    zeros: Zeros,
    /// Something in the window before begins or ends what is packed: how many odd characters are behind it.
    packed: Option<usize>,
    /// The window before has what may be the start of that.
    is_suspect: bool,
    is_noise: bool,
}

impl Judge {
    pub(super) fn new() -> Self {
        let held = Vec::with_capacity(SEAM + WINDOW);
        Self { held, seam: 0, zeros: Zeros::default(), packed: None, is_suspect: false, is_noise: false }
    }

    /// Takes more of the text.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.zeros.push(bytes);
        while !bytes.is_empty() {
            let len = bytes.len().min(self.seam + WINDOW - self.held.len());
            self.held.extend_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            if self.held.len() == self.seam + WINDOW {
                self.window();
            }
        }
    }

    /// The text is over.
    pub(super) fn end(&mut self) -> Verdict {
        self.zeros.end();
        self.window();
        self.verdict()
    }

    /// What it is so far. Once it is not text, it never is.
    pub(super) fn verdict(&self) -> Verdict {
        match self.zeros.short {
            _ if self.is_noise => Verdict::Noise,
            ..=HANDFUL => Verdict::Text,
            _ => Verdict::Zeros,
        }
    }

    fn window(&mut self) {
        let window = &self.held[self.seam..];
        let found = odd(window);
        self.is_noise |= found > MOST_ODD;
        if let Some(before) = self.packed.take() {
            self.is_noise |= before + found > MOST_ODD_PACKED;
        }
        // All of these have an odd character or a byte that is none in UTF-8.
        let is_suspect = found > 0 || memchr::memchr(0xFD, window).is_some();
        if is_suspect || self.is_suspect {
            let at = PACKED.iter().filter_map(|magic| memchr::memmem::find(&self.held, magic)).min();
            self.packed = at.map(|at| odd(&self.held[at..]));
            self.is_noise |= self.packed.is_some_and(|odd| odd > MOST_ODD_PACKED);
        }
        self.is_suspect = is_suspect;
        let kept = self.held.len().min(SEAM);
        self.held.drain(..self.held.len() - kept);
        self.seam = kept;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(chunks: impl IntoIterator<Item = Vec<u8>>) -> Verdict {
        let mut judge = Judge::new();
        chunks.into_iter().for_each(|chunk| judge.push(&chunk));
        judge.end()
    }

    fn check(parts: &[&[u8]], want: Verdict) {
        assert_eq!(judged([parts.concat()]), want);
        assert_eq!(judged(parts.concat().chunks(7).map(<[u8]>::to_vec)), want);
    }

    fn noise(len: usize) -> Vec<u8> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8).collect()
    }

    #[test]
    fn what_is_appended_to_a_text_is_told() {
        for len in [0, 1, 500, 1000, 1020, 1021, 1022, 1023, 1024, 8190, 65_536, 300_000] {
            let log = b"2026-01-01 a line of a log\r\n".repeat(len / 28 + 1);
            let log = &log[log.len() - len..];
            check(&[log, &noise(3000)], Verdict::Noise);
            let wide: Vec<u8> = "a line\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
            check(&[log, &wide], Verdict::Zeros);
            let wide: Vec<u8> = "a line\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
            check(&[log, &wide, log], Verdict::Zeros);
            check(&[log, &[0; 5000], log, &[0; 16], log], Verdict::Text);
            check(&[log, b"PK\x05\x06", &[0; 18]], Verdict::Noise);
            check(&[log, b"\x1F\x8B\x08\0\0\0\0\0\0\x03"], Verdict::Noise);
            check(&[log, b"\x28\xB5\x2F\xFD\x04", &noise(60)], Verdict::Noise);
            check(&[log, b"\xFD7zXZ\0", &noise(60)], Verdict::Noise);
        }
    }

    #[test]
    fn text_is_text() {
        let log = b"\x1B[1m2026-01-01\x1B[0m a line of a log\r\n".repeat(300);
        check(&[&log, b"a\x01b\x02c\n", &log, b"a\0b\0\n"], Verdict::Text);
        check(&[], Verdict::Text);
        check(&["gr\u{fc}n PK \u{fffd}\n".repeat(999).as_bytes(), b"\x28\xB5\x2F\xFD\n"], Verdict::Text);
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_chunks(
            parts in proptest::collection::vec(prop_oneof![
                (0..3000usize).prop_map(|len| b"a line\n".repeat(len / 7)),
                (0..200usize).prop_map(noise),
                (0..40usize).prop_map(|len| vec![0; len]),
                (0..PACKED.len()).prop_map(|i| PACKED[i].to_vec()),
                Just(b"a\0b".to_vec()),
                Just(b"\x01".to_vec()),
            ], 0..8),
            len in 1..5000usize,
        ) {
            let text = parts.concat();
            prop_assert_eq!(judged([text.clone()]), judged(text.chunks(len).map(<[u8]>::to_vec)));
            prop_assert_eq!(judged([text]), judged(parts));
        }
    }
}
