//! Requests of gRPC over a Unix socket whose `:authority` is the path of the socket, as gRPC's own libraries write it
//! (`tmp%2Fotlp.sock`, or `/tmp/otlp.sock`). That is no authority of HTTP, and the library that speaks HTTP/2 here resets such
//! a request before anybody sees it (h2's pull request 487). So on these sockets `%` and `/` in authorities become `-`.
//!
//! Nothing is decoded for that: a header block of HPACK (RFC 7541) says of each field where it ends, `:authority` is the first
//! name of the static table (or written out, as gRPC's C core does), and in Huffman's code, too, the three have the same
//! length. No length changes. What is no HTTP/2, or goes over the end of a frame, stays as it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// The name `:authority` in the static table, written out, and in Huffman's code.
const AUTHORITY: u64 = 1;
const WRITTEN: &[u8] = b":authority";
const CODED: &[u8] = b"\xB8\x3B\x53\x39\xEC\x32\x7D\x7F";
/// The longest authority that is looked at: more than the path of a socket can have, each byte written as three.
const LONGEST: u64 = 1 << 10;

/// A stream whose requests have authorities that HTTP knows.
#[derive(Debug)]
pub(super) struct Authorities<S> {
    inner: S,
    frames: Frames,
    /// What was read, and how much of it was given on.
    read: Vec<u8>,
    given: usize,
}

impl<S> Authorities<S> {
    pub(super) fn of(inner: S) -> Self {
        Self { inner, frames: Frames::default(), read: Vec::new(), given: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Authorities<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, frames, read, given } = self.get_mut();
        loop {
            if *given < read.len() {
                let len = buf.remaining().min(read.len() - *given);
                buf.put_slice(&read[*given..*given + len]);
                *given += len;
                return Poll::Ready(Ok(()));
            }
            read.clear();
            *given = 0;
            // What is no head is read to where it is wanted.
            if let Some(most) = frames.passes() {
                let most = usize::try_from(most).map_or(buf.remaining(), |most| most.min(buf.remaining()));
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
                ready!(Pin::new(&mut *inner).poll_read(cx, &mut part))?;
                let len = part.filled().len();
                buf.advance(len);
                frames.passed(len as u64);
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 1 << 10];
            let mut some = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *inner).poll_read(cx, &mut some))?;
            let is_end = some.filled().is_empty();
            some.filled().iter().for_each(|&byte| frames.push(byte, read));
            if is_end {
                frames.release(read);
                if read.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Authorities<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
    }
}

/// Frames of HTTP/2, one byte after the other.
#[derive(Debug, Default)]
struct Frames {
    at: At,
    block: Block,
    /// An authority that has begun: it is given on when it is whole.
    held: Vec<u8>,
}

/// Where the next byte stands.
#[derive(Debug)]
enum At {
    /// In the preface, of which so many bytes have come.
    Preface(usize),
    /// In what is no HTTP/2.
    Other,
    /// In the head of a frame.
    Head([u8; 9], usize),
    /// In a frame that is none of a request's head, which has so many more bytes.
    Passed(u64),
    /// In a part of a request's head.
    Part { left: u64, has_padding: bool, skip: u64, padding: u64 },
}

impl Default for At {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Frames {
    /// How many bytes may go on unseen. `None`: the next one counts.
    fn passes(&self) -> Option<u64> {
        match self.at {
            At::Other => Some(u64::MAX),
            At::Passed(left) => Some(left),
            _ => None,
        }
    }

    /// So many have.
    fn passed(&mut self, len: u64) {
        if let At::Passed(left) = &mut self.at {
            *left -= len;
            if *left == 0 {
                self.at = At::Head([0; 9], 0);
            }
        }
    }

    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        match &mut self.at {
            At::Preface(len) => {
                out.push(byte);
                *len += 1;
                if PREFACE[*len - 1] != byte {
                    self.at = At::Other;
                } else if *len == PREFACE.len() {
                    self.at = At::Head([0; 9], 0);
                }
            }
            At::Other => out.push(byte),
            At::Head(head, len) => {
                out.push(byte);
                head[*len] = byte;
                *len += 1;
                if *len == head.len() {
                    self.at = self.frame();
                }
            }
            At::Passed(_) => {
                out.push(byte);
                self.passed(1);
            }
            At::Part { left, has_padding, skip, padding } => {
                *left -= 1;
                if std::mem::take(has_padding) {
                    *padding = byte.into();
                    out.push(byte);
                } else if *skip > 0 {
                    *skip -= 1;
                    out.push(byte);
                } else if *left < *padding {
                    out.push(byte);
                } else {
                    self.block.push(byte, &mut self.held, out);
                }
                if *left <= *padding {
                    // The rest of an authority is in another frame.
                    self.block.give_up(&mut self.held, out);
                }
                if let At::Part { left: 0, .. } = self.at {
                    self.at = At::Head([0; 9], 0);
                }
            }
        }
    }

    /// What is in the frame whose head has come.
    fn frame(&mut self) -> At {
        let At::Head([a, b, c, kind, flags, ..], _) = self.at else { return At::Other };
        let left = u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c);
        let has = |flag: u8| kind == HEADERS && flags & flag != 0;
        if kind == HEADERS {
            self.block = Block::default();
        }
        match kind {
            _ if left == 0 => At::Head([0; 9], 0),
            HEADERS | CONTINUATION => At::Part {
                left,
                has_padding: has(PADDED),
                skip: if has(PRIORITY) { 5 } else { 0 },
                padding: 0,
            },
            _ => At::Passed(left),
        }
    }

    /// Gives on what is held: nothing follows it.
    fn release(&mut self, out: &mut Vec<u8>) {
        self.block.give_up(&mut self.held, out);
    }
}

/// A header block, one byte after the other.
#[derive(Debug, Default)]
struct Block {
    next: Next,
    /// The number that is being read, and how far.
    number: u64,
    shift: u32,
    /// The name's place in the tables; none: it is written out.
    name: u64,
    /// How `:authority` would be written out, and how much of the name is that so far.
    wanted: &'static [u8],
    matched: usize,
    is_huffman: bool,
    is_held: bool,
}

/// What comes next in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Field,
    /// The rest of the number with which a field begins that has no more than that.
    Short,
    /// The rest of the place of a field's name.
    Place,
    NameLength,
    NameLengthRest,
    Name(u64),
    ValueLength,
    ValueLengthRest,
    Value(u64),
}

impl Block {
    fn push(&mut self, byte: u8, held: &mut Vec<u8>, out: &mut Vec<u8>) {
        let is_held = self.is_held;
        let next = self.next;
        self.next = match next {
            Next::Field => match byte {
                0x80.. => self.begin(byte, 7, Next::Short, Next::Field),
                0x40..0x80 => self.begin_literal(byte, 6),
                0x20..0x40 => self.begin(byte, 5, Next::Short, Next::Field),
                _ => self.begin_literal(byte, 4),
            },
            Next::Short if self.goes_on(byte) => Next::Short,
            Next::Short => Next::Field,
            Next::Place if self.goes_on(byte) => Next::Place,
            Next::Place => self.named(),
            Next::NameLength => {
                self.wanted = if byte & 0x80 == 0 { WRITTEN } else { CODED };
                match self.begin(byte, 7, Next::NameLengthRest, Next::Name(0)) {
                    Next::Name(_) => self.name(),
                    rest => rest,
                }
            }
            Next::NameLengthRest if self.goes_on(byte) => Next::NameLengthRest,
            Next::NameLengthRest => self.name(),
            Next::Name(left) => {
                let is_next = self.wanted.get(self.matched) == Some(&byte);
                self.matched = if is_next { self.matched + 1 } else { usize::MAX };
                if left == 1 && self.matched == self.wanted.len() {
                    self.name = AUTHORITY;
                }
                if left > 1 { Next::Name(left - 1) } else { Next::ValueLength }
            }
            Next::ValueLength => {
                self.is_huffman = byte & 0x80 != 0;
                match self.begin(byte, 7, Next::ValueLengthRest, Next::Value(0)) {
                    Next::Value(_) => self.value(),
                    rest => rest,
                }
            }
            Next::ValueLengthRest if self.goes_on(byte) => Next::ValueLengthRest,
            Next::ValueLengthRest => self.value(),
            Next::Value(left) if left > 1 => Next::Value(left - 1),
            Next::Value(_) => Next::Field,
        };
        if !is_held {
            out.push(byte);
            return;
        }
        held.push(byte);
        if self.next == Next::Field {
            if self.is_huffman {
                amend_huffman(held)
            } else {
                held.iter_mut().for_each(amend)
            }
            self.give_up(held, out);
        }
    }

    /// A number of so many bits begins; it may be all of it.
    fn begin(&mut self, byte: u8, bits: u32, rest: Next, whole: Next) -> Next {
        let most = (1_u8 << bits) - 1;
        self.number = u64::from(byte & most);
        self.shift = 0;
        if byte & most == most { rest } else { whole }
    }

    /// Reads a further byte of a number; whether it goes on.
    fn goes_on(&mut self, byte: u8) -> bool {
        // What is longer is refused by who reads it.
        let more = u64::from(byte & 0x7F).checked_shl(self.shift).unwrap_or(u64::MAX);
        self.number = self.number.saturating_add(more);
        self.shift = self.shift.saturating_add(7);
        byte & 0x80 != 0
    }

    fn begin_literal(&mut self, byte: u8, bits: u32) -> Next {
        match self.begin(byte, bits, Next::Place, Next::Field) {
            Next::Field => self.named(),
            rest => rest,
        }
    }

    fn named(&mut self) -> Next {
        self.name = self.number;
        if self.name == 0 { Next::NameLength } else { Next::ValueLength }
    }

    fn name(&mut self) -> Next {
        self.matched = 0;
        if self.number == 0 { Next::ValueLength } else { Next::Name(self.number) }
    }

    fn value(&mut self) -> Next {
        self.is_held = self.name == AUTHORITY && (1..=LONGEST).contains(&self.number);
        if self.number == 0 { Next::Field } else { Next::Value(self.number) }
    }

    fn give_up(&mut self, held: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.append(held);
        self.is_held = false;
    }
}

fn amend(byte: &mut u8) {
    if matches!(byte, b'%' | b'/') {
        *byte = b'-';
    }
}

/// Writes `-` in place of `%` and `/` in Huffman's code, in which each has six bits. Longer codes than eight bits stand for what
/// no path has: there it ends.
fn amend_huffman(text: &mut [u8]) {
    const PERCENT: u32 = 0x15;
    const SLASH: u32 = 0x18;
    const DASH: u32 = 0x16;
    let bits = |text: &[u8], at: usize, len: usize| {
        (at..at + len).fold(0, |all, bit| all << 1 | u32::from(text[bit / 8] >> (7 - bit % 8) & 1))
    };
    let end = 8 * text.len();
    let mut at = 0;
    while at + 5 <= end {
        // The code is canonical: of each length, the greatest tells whether it is that long.
        let Some(len) = [(5, 0x09), (6, 0x2D), (7, 0x7B), (8, 0xFD)]
            .into_iter()
            .find_map(|(len, most)| (at + len <= end && bits(text, at, len) <= most).then_some(len))
        else {
            return;
        };
        if len == 6 && [PERCENT, SLASH].contains(&bits(text, at, len)) {
            for bit in 0..6 {
                let (byte, mask) = ((at + bit) / 8, 0x80 >> ((at + bit) % 8));
                let is_set = DASH >> (5 - bit) & 1 == 1;
                text[byte] = if is_set { text[byte] | mask } else { text[byte] & !mask };
            }
        }
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    const END_HEADERS: u8 = 4;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u32).to_be_bytes();
        [&len[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// What comes of bytes, however they are read.
    async fn check(bytes: &[u8], want: &[u8]) {
        for size in [1, 2, 7, 64, 4096] {
            let (mut ours, theirs) = tokio::io::duplex(size);
            let bytes = bytes.to_vec();
            let writing = tokio::spawn(async move {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut ours, &bytes).await;
            });
            let mut got = Vec::new();
            Authorities::of(theirs).read_to_end(&mut got).await.expect("bytes");
            writing.await.expect("all is written");
            assert_eq!(got.escape_ascii().to_string(), want.escape_ascii().to_string(), "{size}");
        }
    }

    /// `:method` POST, a size of the table, an authority, a name written out, a place of more than one byte.
    fn block(name: &[u8], authority: &[u8]) -> Vec<u8> {
        let more = b"\x00\x03a/b\x04%2F/\x7F\x05\x02/%\x40\x0A:authorite\x02/%";
        [&b"\x83\x3F\xE1\x1F"[..], name, authority, more].concat()
    }

    #[tokio::test]
    async fn authorities_are_amended_and_nothing_else_is() {
        let raw = [&b"\x11"[..], b"tmp%2Frun%2Fx.sock"].concat();
        let raw = [&[(raw.len() - 1) as u8][..], &raw[1..]].concat();
        let amended: Vec<u8> = raw.iter().map(|&byte| if byte == b'%' { b'-' } else { byte }).collect();
        // `/%a/%` and padding: 011000 010101 00011 011000 010101 111
        let huffman = [0x84, 0b0110_0001, 0b0101_0001, 0b1011_0000, 0b1010_1111];
        let dashes = [0x84, 0b0101_1001, 0b0110_0001, 0b1010_1100, 0b1011_0111];
        // `www.example.com`, as in the RFC.
        let example = b"\x8C\xF1\xE3\xC2\xE5\xF2\x3A\x6B\xA0\xAB\x90\xF4\xFF";
        let data = frame(0, 1, b"/%2F in data stays");
        let settings = frame(4, 0, b"\x00\x03\x00\x00\x00/");
        let names: [&[u8]; 5] = [
            b"\x41",
            b"\x01",
            b"\x40\x0A:authority",
            b"\x10\x0A:authority",
            b"\x40\x88\xB8\x3B\x53\x39\xEC\x32\x7D\x7F",
        ];
        let all = [(&raw[..], &amended[..]), (&huffman, &dashes), (example, example)];
        for (name, (authority, want)) in names.iter().flat_map(|name| all.map(|each| (*name, each))) {
            let request = |authority: &[u8]| {
                let block = block(name, authority);
                let padded = [&b"\x03/%/%/"[..], &block, b"///"].concat();
                let cut = block.len() - 3;
                [
                    PREFACE,
                    &settings,
                    &frame(HEADERS, END_HEADERS, &block),
                    &data,
                    &frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded),
                    &frame(HEADERS, 0, &block[..cut]),
                    &frame(CONTINUATION, END_HEADERS, &block[cut..]),
                ]
                .concat()
            };
            check(&request(authority), &request(want)).await;
        }
    }

    #[tokio::test]
    async fn all_else_stays() {
        let cut = [PREFACE, &frame(HEADERS, 0, b"\x41\x05/%"), &frame(CONTINUATION, END_HEADERS, b"/%/\x83")]
            .concat();
        let short = [PREFACE, &frame(HEADERS, 0, b"\x41\x05/%/%/")[..12]].concat();
        for bytes in [
            &b"POST /v1/logs HTTP/1.1\r\nhost: tmp%2Fx\r\n\r\n/%"[..],
            &cut,
            &short,
            b"PRI * HTTP/2.0\r\n/%",
            b"\x16\x03\x01/%",
            b"",
        ] {
            check(bytes, bytes).await;
        }
    }
}
