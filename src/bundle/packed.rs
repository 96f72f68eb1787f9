//! Compressed streams, read: gzip with all its members, zstd with all its frames.
//!
//! What follows the last member or frame and is neither one nor padding is damage: it would be lost otherwise, or would
//! go on unseen.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::form;

/// The most that a decoder of zstd looks back: what the zstd program takes without being asked to.
const WINDOW: u64 = 128 << 20;

/// All members of a gzip file, one behind the other.
pub(super) struct Members<R: Read> {
    /// `None`: all is read, or reading failed.
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Members<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { member: Some(GzDecoder::new(BufReader::with_capacity(64 << 10, inner))) }
    }

    /// The first member's header, if it has one. To be asked before anything is read.
    pub(super) fn header(&self) -> Option<&flate2::GzHeader> {
        self.member.as_ref()?.header()
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let len = member.read(buffer)?;
            if len > 0 || buffer.is_empty() {
                return Ok(len);
            }
            let Some(member) = self.member.take() else { break };
            let mut rest = member.into_inner();
            let next = rest.fill_buf()?;
            if next.first() == Some(&0x1F) {
                self.member = Some(GzDecoder::new(rest));
            } else {
                is_padding(&mut rest)?;
            }
        }
        Ok(0)
    }
}

/// Reads to the end; there may be nothing but zeros.
fn is_padding(rest: &mut impl BufRead) -> io::Result<()> {
    loop {
        let some = rest.fill_buf()?;
        let len = some.len();
        match len {
            0 => return Ok(()),
            _ if some.iter().any(|&byte| byte != 0) => return Err(ErrorKind::InvalidData.into()),
            _ => rest.consume(len),
        }
    }
}

/// All frames of a zstd file, one behind the other. Those to be skipped are.
pub(super) struct Frames<R: Read> {
    state: FrameState<R>,
}

enum FrameState<R: Read> {
    Between(Front<R>),
    In(Box<StreamingDecoder<Front<R>, FrameDecoder>>),
    Over,
}

/// A reader with bytes put back in front of it.
struct Front<R: Read> {
    front: Vec<u8>,
    inner: BufReader<R>,
}

impl<R: Read> Read for Front<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.front.is_empty() {
            return self.inner.read(buffer);
        }
        let len = self.front.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.front[..len]);
        self.front.drain(..len);
        Ok(len)
    }
}

impl<R: Read> Frames<R> {
    pub(super) fn new(inner: R) -> Self {
        let inner = BufReader::with_capacity(64 << 10, inner);
        Self { state: FrameState::Between(Front { front: Vec::new(), inner }) }
    }

    /// Goes to the next frame, or to the end.
    fn next(mut rest: Front<R>) -> io::Result<FrameState<R>> {
        loop {
            let mut magic = Vec::new();
            rest.by_ref().take(8).read_to_end(&mut magic)?;
            if magic.is_empty() {
                return Ok(FrameState::Over);
            }
            if !form::is_zstd(&magic) || magic.len() < 8 {
                return Err(ErrorKind::InvalidData.into());
            }
            if magic[0] == 0x28 {
                rest.front = magic;
                let mut frames = FrameDecoder::new();
                frames.set_max_window_size(WINDOW);
                let source = StreamingDecoder::new_with_decoder(rest, frames);
                return source
                    .map(|decoder| FrameState::In(Box::new(decoder)))
                    .map_err(|_| ErrorKind::InvalidData.into());
            }
            let len = u64::from(u32::from_le_bytes([magic[4], magic[5], magic[6], magic[7]]));
            if io::copy(&mut rest.by_ref().take(len), &mut io::sink())? != len {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, FrameState::Over) {
                FrameState::Over => return Ok(0),
                FrameState::Between(rest) => self.state = Self::next(rest)?,
                FrameState::In(mut decoder) => {
                    let len = decoder.read(buffer).map_err(|_| ErrorKind::InvalidData)?;
                    if len > 0 || buffer.is_empty() {
                        self.state = FrameState::In(decoder);
                        return Ok(len);
                    }
                    let (rest, frames) = decoder.into_parts();
                    // The decoder leaves comparing to us.
                    let written = frames.get_checksum_from_data();
                    if written.is_some() && written != frames.get_calculated_checksum() {
                        return Err(ErrorKind::InvalidData.into());
                    }
                    self.state = FrameState::Between(rest);
                }
            }
        }
    }
}
