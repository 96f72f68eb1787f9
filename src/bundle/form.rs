//! What a file is, told from its first bytes. Its name decides nothing but whether zeros alone are an empty tar.
//!
//! What is neither text nor a form that is read is binary: it is never taken for text because it might be. What looks
//! like text in part is told apart from it, since that part should have been scrubbed.

use super::fault::Why;
use super::mixture::{self, WINDOW, Zeros};

/// How many of the first bytes are looked at.
pub(super) const HEAD: usize = 64 << 10;
/// Of so many first ones it depends whether zeros make a binary, or a text with something in it.
const SNIFFED: usize = 8 << 10;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// UTF-16 with or without its mark, the high byte first or last.
    Utf16 {
        high_first: bool,
        has_mark: bool,
    },
    Gzip,
    Zstd,
    Tar,
    Zip,
    /// None of these.
    Other(Why),
}

/// First bytes of what is not read, where a zero byte may not be among the first.
const OTHERS: &[&[u8]] = &[
    b"BZh",
    b"\xFD7zXZ\0",
    b"7z\xBC\xAF\x27\x1C",
    b"Rar!\x1A\x07",
    b"\x04\x22\x4D\x18",
    b"\x02\x21\x4C\x18",
    b"\x1F\x9D",
    b"\x1F\xA0",
    b"\x5D\0\0",
    b"LZIP",
    b"MSCF",
    b"070701",
    b"070707",
    b"!<arch>\n",
    b"\xED\xAB\xEE\xDB",
];
/// The same of what is no archive.
const BINARIES: &[&[u8]] = &[
    b"\x7FELF",
    b"%PDF-",
    b"\xFF\xD8\xFF",
    b"GIF8",
    b"\x89PNG",
    b"\xD0\xCF\x11\xE0",
    b"Obj\x01",
    b"PAR1",
    b"LPKSHHRH",
    b"SQLite format 3",
    b"\xFF\xFE\0\0",
    b"\0\0\xFE\xFF",
];

/// What begins with `head`, which is all of it if it is shorter than [`HEAD`].
pub(super) fn of(head: &[u8], name: &[u8]) -> Form {
    let starts = |magic: &&[u8]| head.starts_with(magic);
    if head.starts_with(b"\x1F\x8B") {
        Form::Gzip
    } else if is_zstd(head) {
        Form::Zstd
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Form::Zip
    } else if is_tar(head) || (is_empty_tar(head) && name.to_ascii_lowercase().ends_with(b".tar")) {
        Form::Tar
    } else if OTHERS.iter().any(starts) {
        Form::Other(Why::OtherForm)
    } else if BINARIES.iter().any(starts) {
        Form::Other(Why::Binary)
    } else if head.starts_with(b"\xFE\xFF") || head.starts_with(b"\xFF\xFE") {
        Form::Utf16 { high_first: head[0] == 0xFE, has_mark: true }
    } else {
        text_or_not(head)
    }
}

/// What has none of the first bytes that tell a form.
fn text_or_not(head: &[u8]) -> Form {
    // A log that was emptied while it was written to begins with a hole.
    let hole = head.iter().position(|&byte| byte != 0).unwrap_or(head.len());
    if hole == head.len() && (1..HEAD).contains(&hole) {
        return Form::Other(Why::Binary);
    }
    let text = &head[hole..];
    let binary = Form::Other(if begins_as_text(text) { Why::Mixed } else { Why::Binary });
    if mixture::is_noise(&text[..text.len().min(WINDOW)]) {
        return binary;
    }
    if let Some(high_first) = is_utf16(head) {
        return Form::Utf16 { high_first, has_mark: false };
    }
    let text = &text[..text.len().min(SNIFFED)];
    let mut zeros = Zeros::default();
    zeros.push(text);
    zeros.end();
    if zeros.short + zeros.holes <= mixture::HANDFUL {
        return Form::Text;
    }
    // A table of records has more zeros than anything else, or numbers.
    let is_table = memchr::memchr_iter(0, text).count() > text.len() / 2;
    let has_numbers = mixture::odd(text) > text.len() / 128;
    if is_table || has_numbers { binary } else { Form::Other(Why::Mixed) }
}

/// Whether there is a line of text before anything else. Some binaries begin with a very short one.
fn begins_as_text(head: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', head).unwrap_or(0);
    end >= 8
        && !head[..end].contains(&0)
        && mixture::odd(&head[..end]) == 0
        && std::str::from_utf8(&head[..end]).is_ok()
}

/// Whether all of `head` is UTF-16 without its mark, mostly of characters that are ASCII, too; whether the high byte is
/// first.
fn is_utf16(head: &[u8]) -> Option<bool> {
    memchr::memchr(0, head)?;
    let (units, count) = (head.chunks_exact(2), head.len() / 2);
    let high_first = *head.first()? == 0;
    let mut ascii = 0;
    for unit in units {
        let (high, low) = if high_first { (unit[0], unit[1]) } else { (unit[1], unit[0]) };
        match (high, low) {
            (0, 0) => return None,
            (0, low) if is_text(low) => ascii += 1,
            (0, _) => return None,
            _ => {}
        }
    }
    (count > 1 && head.len().is_multiple_of(2) && 4 * ascii > 3 * count).then_some(high_first)
}

/// Whether a byte may stand in a log: no control character, or a line end, a tab, a form feed, a bell, a backspace or an
/// escape. Zeros are what holes are made of.
pub(super) fn is_text(byte: u8) -> bool {
    // Written so that many are asked at once.
    !((byte.wrapping_sub(1) < 6) | (byte.wrapping_sub(14) < 13) | (byte.wrapping_sub(28) < 4))
}

/// A frame, or one to be skipped.
pub(super) fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(b"\x28\xB5\x2F\xFD")
        || (head.len() > 4 && head[0] & 0xF0 == 0x50 && head[1..4] == *b"\x2A\x4D\x18")
}

/// The first block has the sum of its bytes where headers have it.
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else { return false };
    let sum = super::tarball::sum(block);
    super::tarball::number(&block[148..156]) == Some(sum)
}

fn is_empty_tar(head: &[u8]) -> bool {
    head.len() >= 512 && head.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], want: Form) {
        assert_eq!(of(head, b"name"), want, "{head:?}");
    }

    #[test]
    fn forms_are_told_by_their_first_bytes() {
        check(b"", Form::Text);
        check(b"a line\n", Form::Text);
        check(b"\x1B[1mcolour\x1B[0m\r\n", Form::Text);
        check("grün\n".as_bytes(), Form::Text);
        check(b"gr\xFCn\n", Form::Text);
        check(b"a\0b\n", Form::Text);
        check(b"\x1F\x8B\x08", Form::Gzip);
        check(b"\x28\xB5\x2F\xFD\x00", Form::Zstd);
        check(b"PK\x03\x04", Form::Zip);
        check(b"BZh91AY", Form::Other(Why::OtherForm));
        check(b"%PDF-1.7", Form::Other(Why::Binary));
        check(b"\xFF\xFEa\0", Form::Utf16 { high_first: false, has_mark: true });
        check(b"\xFF\xFE\0\0a\0\0\0", Form::Other(Why::Binary));
        check(&[0; 1024], Form::Other(Why::Binary));
        assert_eq!(of(&[0; 1024], b"empty.TAR"), Form::Tar);
    }

    #[test]
    fn zeros_make_a_hole_a_mixture_or_a_binary() {
        let log = b"2026-01-01 a line of a log\n".repeat(20);
        let wide = |swap: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "a line in UTF-16, gr\u{fc}n \u{1F600}\n".encode_utf16().flat_map(swap).collect()
        };
        let (low, high) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
        check(&[&[0; 3000][..], &log].concat(), Form::Text);
        check(&[&log[..], &[0; 300], &log].concat(), Form::Text);
        check(&[0; HEAD], Form::Text);
        check(&low, Form::Utf16 { high_first: false, has_mark: false });
        check(&high, Form::Utf16 { high_first: true, has_mark: false });
        check(&[&log[..], &low].concat(), Form::Other(Why::Mixed));
        check(&[&log[..], &high].concat(), Form::Other(Why::Mixed));
        check(&[&low[..], &log].concat(), Form::Other(Why::Mixed));
        check(&[&[0; 3000][..], &log, &low].concat(), Form::Other(Why::Mixed));
        let records: Vec<u8> =
            (0..20u8).flat_map(|i| [&[7, 0, 0, 0, i, 4, 0, 0][..], b"pts/0", &[0; 40]].concat()).collect();
        check(&records, Form::Other(Why::Binary));
        check(&[b"#!/bin/sh\n", &records[..]].concat(), Form::Other(Why::Mixed));
        let numbers: Vec<u8> = (0..900u32).flat_map(|i| [b'a', (i % 29) as u8, b'b', 0]).collect();
        check(&numbers, Form::Other(Why::Binary));
    }

    #[test]
    fn noise_is_no_text() {
        let noise: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8 | 1).collect();
        check(&noise, Form::Other(Why::Binary));
        check(&b"2026-01-01 a line of a log\r\n".repeat(300), Form::Text);
        for byte in 0..=255u8 {
            let control = byte != 0 && byte < 32 && !matches!(byte, 7..=13 | 27);
            assert_eq!(is_text(byte), !control, "{byte}");
        }
    }
}
