//! What a file is, told from its first bytes. Its name decides nothing but whether zeros alone are an empty tar.
//!
//! What is neither text nor a form that is read is binary: it is never taken for text because it might be.

use super::fault::Why;

/// How many of the first bytes are looked at.
pub(super) const HEAD: usize = 64 << 10;
/// A zero byte among so many first ones makes a binary.
const SNIFFED: usize = 8 << 10;
/// Less than this is too little to tell by how many of its bytes are no text.
const LITTLE: usize = 1 << 10;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// UTF-16 with its mark, the high byte first or last.
    Utf16 {
        high_first: bool,
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
        Form::Utf16 { high_first: head[0] == 0xFE }
    } else if memchr::memchr(0, &head[..head.len().min(SNIFFED)]).is_some() || is_noise(head) {
        Form::Other(Why::Binary)
    } else {
        Form::Text
    }
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

/// Whether some bytes of a text are none: too many are control characters that no log holds. Zeros do not count, they
/// are what a crash leaves in a log.
pub(super) fn is_noise(bytes: &[u8]) -> bool {
    // Line ends, tabs, form feeds, backspaces and escapes are text.
    const TEXT: u32 = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 27 | 1;
    let is_odd = |byte: &u8| *byte < 32 && TEXT >> *byte & 1 == 0;
    if bytes.len() < LITTLE {
        return false;
    }
    // Nearly all blocks have none: finding that out is what must be quick.
    let low: usize =
        bytes.chunks(128).map(|some| some.iter().map(|b| u8::from(*b < 32)).sum::<u8>() as usize).sum();
    low > bytes.len() / 32 && bytes.iter().filter(|byte| is_odd(byte)).count() > bytes.len() / 32
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
        check(b"a\0b", Form::Other(Why::Binary));
        check(b"\x1F\x8B\x08", Form::Gzip);
        check(b"\x28\xB5\x2F\xFD\x00", Form::Zstd);
        check(b"PK\x03\x04", Form::Zip);
        check(b"BZh91AY", Form::Other(Why::OtherForm));
        check(b"%PDF-1.7", Form::Other(Why::Binary));
        check(b"\xFF\xFEa\0", Form::Utf16 { high_first: false });
        check(b"\xFF\xFE\0\0a\0\0\0", Form::Other(Why::Binary));
        check(&[0; 1024], Form::Other(Why::Binary));
        assert_eq!(of(&[0; 1024], b"empty.TAR"), Form::Tar);
    }

    #[test]
    fn noise_is_no_text() {
        let noise: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8 | 1).collect();
        assert!(is_noise(&noise));
        assert!(!is_noise(&b"2026-01-01 a line of a log\r\n".repeat(300)));
        assert!(!is_noise(&[0; 8192]));
    }
}
