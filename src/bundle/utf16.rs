//! Text in UTF-16, as some Windows services write their logs: to UTF-8 for the engine, and back.
//!
//! Only what comes back as it was goes through: a lone surrogate or half a unit is an error, both ways. So is a line of
//! ASCII among it, which would be taken for rare characters.

use std::io::{self, ErrorKind, Read, Write};

/// So many units in a row that are two characters of ASCII each are ASCII.
const ASCII_UNITS: u32 = 12;

/// Reads UTF-16 behind its mark as UTF-8.
pub(super) struct Decoded<R> {
    inner: R,
    high_first: bool,
    /// Bytes that were read and not decoded: part of a unit or pair.
    rest: Vec<u8>,
    /// What was decoded, from `at` on.
    text: String,
    at: usize,
    /// How many of the last units are two characters of ASCII.
    ascii: u32,
    /// What was read is no UTF-16.
    pub(super) is_bad: bool,
}

impl<R: Read> Decoded<R> {
    /// `inner` is behind the mark.
    pub(super) fn new(inner: R, high_first: bool) -> Self {
        Self { inner, high_first, rest: Vec::new(), text: String::new(), at: 0, ascii: 0, is_bad: false }
    }

    /// Decodes some more; whether there is any.
    fn fill(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.at = 0;
        while self.text.is_empty() {
            let mut some = [0; 16 << 10];
            let len = self.inner.read(&mut some)?;
            if len == 0 {
                // Half a unit or pair is left.
                self.is_bad = !self.rest.is_empty();
                return if self.is_bad { Err(ErrorKind::InvalidData.into()) } else { Ok(false) };
            }
            self.rest.extend_from_slice(&some[..len]);
            let mut units: Vec<u16> = self
                .rest
                .chunks_exact(2)
                .map(|pair| if self.high_first { [pair[0], pair[1]] } else { [pair[1], pair[0]] })
                .map(u16::from_be_bytes)
                .collect();
            if units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit)) {
                units.pop();
            }
            let text = String::from_utf16(&units).ok().filter(|_| !self.has_ascii(&units));
            self.is_bad = text.is_none();
            self.text = text.ok_or(ErrorKind::InvalidData)?;
            self.rest.drain(..2 * units.len());
        }
        Ok(true)
    }

    fn has_ascii(&mut self, units: &[u16]) -> bool {
        let is_text = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        units.iter().any(|unit| {
            let is_ascii = unit.to_be_bytes().into_iter().all(is_text);
            self.ascii = if is_ascii { self.ascii + 1 } else { 0 };
            self.ascii >= ASCII_UNITS
        })
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() && !self.fill()? {
            return Ok(0);
        }
        let left = &self.text.as_bytes()[self.at..];
        let len = left.len().min(buffer.len());
        buffer[..len].copy_from_slice(&left[..len]);
        self.at += len;
        Ok(len)
    }
}

/// Writes UTF-8 as UTF-16.
pub(super) struct Encoded<W> {
    out: W,
    high_first: bool,
    /// The start of a character whose end has not come.
    rest: Vec<u8>,
    /// What was written is no UTF-8.
    pub(super) is_bad: bool,
}

impl<W: Write> Encoded<W> {
    pub(super) fn new(out: W, high_first: bool) -> Self {
        Self { out, high_first, rest: Vec::new(), is_bad: false }
    }

    /// Whether all that was written has gone on.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<W: Write> Write for Encoded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let valid = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => {
                self.is_bad = true;
                return Err(ErrorKind::InvalidData.into());
            }
        };
        let text = std::str::from_utf8(&self.rest[..valid]).unwrap_or_default();
        let swap = |unit: u16| if self.high_first { unit.to_be_bytes() } else { unit.to_le_bytes() };
        let units: Vec<u8> = text.encode_utf16().flat_map(swap).collect();
        self.rest.drain(..valid);
        self.out.write_all(&units)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There and back.
    fn check(bytes: &[u8], high_first: bool, is_good: bool) {
        let mut text = Vec::new();
        let read = Decoded::new(bytes, high_first).read_to_end(&mut text);
        assert_eq!(read.is_ok(), is_good, "{bytes:?}");
        if is_good {
            let mut back = Vec::new();
            let mut encoded = Encoded::new(&mut back, high_first);
            // A byte at a time.
            text.chunks(1).for_each(|byte| encoded.write_all(byte).expect("written"));
            assert!(encoded.is_whole());
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn text_comes_back_as_it_was() {
        check(b"a\0\n\0", false, true);
        check(b"\0a\0\n", true, true);
        check(b"\x3D\xD8\x00\xDE", false, true);
        check(b"\x3D\xD8", false, false);
        check(b"\x00\xDE", false, false);
        check(b"a\0b", false, false);
        check(b"a\0\n\0password=hunter2 and more\n", false, false);
        check(b"\0a\0\npassword=hunter2 and more\r\n", true, false);
        let long: Vec<u8> =
            "gr\u{fc}n \u{1F600}\n".repeat(9999).encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&long, false, true);
    }
}
