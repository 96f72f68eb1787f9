//! How bodies are compressed, both ways, with a hard limit on what comes out.
//!
//! A body that is clean goes on as it came, so what is read here must be all that any receiver could read in it: bytes
//! behind the end, blocks to be skipped and names in headers are refused or lead to a new compression.

use std::io::{Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::budget::Share;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// All names, as servers list what they take.
pub(super) const ACCEPTED: &str = "identity,gzip,zstd";

impl Compression {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// By its name in HTTP and gRPC.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "" | "identity" | "none" => Some(Self::None),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name in HTTP and gRPC.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Why a body was not decompressed. None of its bytes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// It is not what it says it is, or has more than one receiver would read.
    Malformed,
    /// More comes out of it than is allowed.
    TooLarge,
    /// Its decoder would have to look back further than [`WINDOW`].
    Window,
    /// There is no room for it now.
    NoRoom,
}

fn undone(error: FrameDecoderError) -> Undone {
    match error {
        FrameDecoderError::WindowSizeTooBig { .. } => Undone::Window,
        _ => Undone::Malformed,
    }
}

/// What was compressed.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// Whether there is nothing in the compressed body beside these bytes: it may go on as it came.
    pub(super) is_all: bool,
}

/// How much is decompressed at once; room is taken for as much.
const STEP: usize = 64 << 10;
/// The most that a decoder of zstd looks back, as RFC 8878 recommends.
const WINDOW: u64 = 8 << 20;
/// More members or frames than any sender writes: each costs more than its bytes say.
const MOST_MEMBERS: usize = 16;
/// Flags in the header of gzip: only that it is text.
const GZIP_PLAIN: u8 = 1;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Decompresses a body to at most `most` bytes. Room for them is taken of `share`.
pub(super) fn decompress(
    how: Compression,
    body: &[u8],
    most: usize,
    share: &mut Share,
) -> Result<Plain, Undone> {
    let mut bytes = Vec::new();
    let mut rest = body;
    let mut is_all = true;
    let mut members = 0;
    while !rest.is_empty() {
        members += 1;
        if members > MOST_MEMBERS {
            return Err(Undone::Malformed);
        }
        match how {
            Compression::None => return Err(Undone::Malformed),
            Compression::Gzip => {
                is_all &= rest.get(3).is_some_and(|flags| flags & !GZIP_PLAIN == 0);
                let mut decoder = GzDecoder::new(rest);
                read_all(&mut decoder, most, share, &mut bytes)?;
                rest = decoder.into_inner();
            }
            Compression::Zstd => {
                // Blocks to be skipped would go on unseen.
                if !rest.starts_with(&ZSTD_MAGIC) {
                    return Err(Undone::Malformed);
                }
                let mut frames = FrameDecoder::new();
                // Encoders that stream say how far they may look back before they know how little comes: libzstd 2 MiB.
                frames.set_max_window_size(WINDOW);
                let mut decoder = StreamingDecoder::new_with_decoder(rest, frames).map_err(undone)?;
                read_all(&mut decoder, most, share, &mut bytes)?;
                let frames;
                (rest, frames) = decoder.into_parts();
                // The decoder leaves comparing to us.
                let written = frames.get_checksum_from_data();
                if written.is_some() && written != frames.get_calculated_checksum() {
                    return Err(Undone::Malformed);
                }
            }
        }
    }
    if members == 0 {
        return Err(Undone::Malformed);
    }
    Ok(Plain { bytes, is_all: is_all && members == 1 })
}

/// Reads to the end, a step at a time.
fn read_all(from: &mut dyn Read, most: usize, share: &mut Share, bytes: &mut Vec<u8>) -> Result<(), Undone> {
    loop {
        let len = bytes.len();
        if len == bytes.capacity() {
            // Doubling, so that bytes are moved a bounded number of times; never beyond the limit and one byte more.
            let more = len.clamp(STEP, most.saturating_sub(len).max(STEP));
            if !share.grow(more) {
                return Err(Undone::NoRoom);
            }
            bytes.reserve_exact(more);
        }
        let room = (bytes.capacity() - len).min(STEP);
        bytes.resize(len + room, 0);
        let read = from.read(&mut bytes[len..]);
        let read = match read {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
            Err(_) => return Err(Undone::Malformed),
            Ok(0) => {
                bytes.truncate(len);
                return Ok(());
            }
            Ok(read) => read,
        };
        bytes.truncate(len + read);
        if bytes.len() > most {
            return Err(Undone::TooLarge);
        }
    }
}

/// Compresses a body, quickly rather than well.
pub(super) fn compress(how: Compression, body: &[u8]) -> Vec<u8> {
    match how {
        Compression::None => body.to_vec(),
        Compression::Gzip => {
            let out = Vec::with_capacity(body.len() / 4 + 64);
            let mut encoder = GzEncoder::new(out, flate2::Compression::fast());
            // Writing to memory does not fail.
            let _ = encoder.write_all(body);
            encoder.finish().unwrap_or_default()
        }
        Compression::Zstd => compress_to_vec(body, CompressionLevel::Fastest),
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::*;

    fn undo(how: Compression, body: &[u8], most: usize) -> Result<Plain, Undone> {
        decompress(how, body, most, &mut Budget::new(1 << 30).share())
    }

    #[test]
    fn there_and_back() {
        for how in [Compression::Gzip, Compression::Zstd] {
            for len in [0, 1, 1000, STEP, STEP + 1, 300_000] {
                let body: Vec<u8> = (0..len).map(|i| (i * i / 7) as u8).collect();
                let plain = undo(how, &compress(how, &body), 1 << 20).expect("is compressed");
                assert!(plain.bytes == body && plain.is_all, "{how:?} {len}");
            }
        }
    }

    #[test]
    fn bombs_and_limits() {
        for how in [Compression::Gzip, Compression::Zstd] {
            let bomb = compress(how, &vec![0; 32 << 20]);
            assert!(bomb.len() < 1 << 20);
            assert_eq!(undo(how, &bomb, (32 << 20) - 1).err(), Some(Undone::TooLarge));
            assert!(undo(how, &bomb, 32 << 20).is_ok());
            let mut share = Budget::new(1 << 20).share();
            assert_eq!(decompress(how, &bomb, 64 << 20, &mut share).err(), Some(Undone::NoRoom));
        }
    }

    #[test]
    fn windows_of_zstd_are_those_of_usual_encoders() {
        // A block as it is, behind a header that says how far one may look back: 2 to the power of 10 and this more.
        let streamed = |more: u8| [&ZSTD_MAGIC[..], &[0, more << 3, 5 << 3 | 1, 0, 0], b"bytes"].concat();
        for more in 0..=13 {
            let plain =
                undo(Compression::Zstd, &streamed(more), 100).expect("2 MiB are usual, 8 MiB recommended");
            assert_eq!(plain.bytes, b"bytes");
        }
        assert_eq!(undo(Compression::Zstd, &streamed(14), 64 << 20).err(), Some(Undone::Window));
    }

    #[test]
    fn what_a_receiver_could_read_otherwise() {
        for how in [Compression::Gzip, Compression::Zstd] {
            let one = compress(how, b"one ");
            let two = undo(how, &[&one[..], &compress(how, b"two")].concat(), 1 << 20).expect("two");
            assert!(two.bytes == b"one two" && !two.is_all, "{how:?}: both are read, and compressed anew");
            for bad in [&one[..one.len() - 1], &[&one[..], b"x"].concat(), b"", b"x"] {
                assert_eq!(undo(how, bad, 1 << 20).err(), Some(Undone::Malformed), "{how:?}");
            }
        }
        // A name in the header.
        let mut named = compress(Compression::Gzip, b"text");
        named[3] = 8;
        named.splice(10..10, *b"password=hunter2\0");
        let plain = undo(Compression::Gzip, &named, 1 << 20).expect("valid");
        assert!(plain.bytes == b"text" && !plain.is_all);
        // More members than anyone writes.
        let many = compress(Compression::Gzip, b"x").repeat(MOST_MEMBERS + 1);
        assert_eq!(undo(Compression::Gzip, &many, 1 << 20).err(), Some(Undone::Malformed));
        // A checksum of something else.
        let mut other = compress(Compression::Zstd, b"text");
        *other.last_mut().expect("a checksum") ^= 1;
        assert_eq!(undo(Compression::Zstd, &other, 1 << 20).err(), Some(Undone::Malformed));
        // A block to be skipped.
        let skipped =
            [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &compress(Compression::Zstd, b"x")];
        assert_eq!(undo(Compression::Zstd, &skipped.concat(), 1 << 20).err(), Some(Undone::Malformed));
    }
}
