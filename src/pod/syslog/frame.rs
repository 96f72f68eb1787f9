//! Messages of syslog in a stream (RFC 6587): counted ones (`12 <13>message…`) and ones that end with a newline or a NUL, told
//! apart each time. Memory has a limit, whatever a client sends.

/// The most bytes of a message; what is longer is cut there.
pub(super) const MOST: usize = 1 << 20;
/// The most digits of a count.
const DIGITS: usize = 10;

/// What has come of a stream and is no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: Vec<u8>,
    skips: Skips,
}

/// What is left of a message that was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Skips {
    #[default]
    Nothing,
    Bytes(u64),
    ToItsEnd,
}

/// A message as it was found in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'f> {
    pub(super) text: &'f [u8],
    /// It was longer, and the rest of it is dropped.
    pub(super) is_cut: bool,
    /// It says how long it is: newlines in it are its own.
    pub(super) is_counted: bool,
}

/// What the bytes at a place are the start of.
enum Next {
    /// It cannot be told yet.
    Unknown,
    /// A message of so many bytes, so far behind.
    Counted { head: usize, len: u64 },
    /// A message with an end of its own.
    Ended,
}

impl Frames {
    /// Takes the next bytes; gives each message that is whole then.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut at = 0;
        while at < held.len() {
            match self.take(&held[at..], &mut each) {
                0 => break,
                taken => at += taken,
            }
        }
        held.drain(..at);
        held.shrink_to(MOST / 8);
        self.held = held;
    }

    /// Takes one message, or a part of what is skipped; gives how many bytes that were.
    fn take(&mut self, held: &[u8], each: &mut impl FnMut(Frame<'_>)) -> usize {
        match self.skips {
            Skips::Nothing => {}
            Skips::Bytes(left) => {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(held.len());
                let left = left - skipped as u64;
                self.skips = if left == 0 { Skips::Nothing } else { Skips::Bytes(left) };
                return skipped;
            }
            Skips::ToItsEnd => {
                let end = memchr::memchr2(b'\n', 0, held);
                self.skips = if end.is_some() { Skips::Nothing } else { Skips::ToItsEnd };
                return end.map_or(held.len(), |end| end + 1);
            }
        }
        match next(held) {
            Next::Unknown => 0,
            Next::Counted { head, len } => {
                let most = usize::try_from(len).unwrap_or(usize::MAX).min(MOST);
                let Some(text) = held[head..].get(..most) else { return 0 };
                let left = len - most as u64;
                self.skips = if left == 0 { Skips::Nothing } else { Skips::Bytes(left) };
                each(Frame { text, is_cut: left > 0, is_counted: true });
                head + most
            }
            Next::Ended => match memchr::memchr2(b'\n', 0, held) {
                Some(end) if end <= MOST => {
                    if end > 0 {
                        each(Frame { text: &held[..end], is_cut: false, is_counted: false });
                    }
                    end + 1
                }
                None if held.len() <= MOST => 0,
                _ => {
                    self.skips = Skips::ToItsEnd;
                    each(Frame { text: &held[..MOST], is_cut: true, is_counted: false });
                    MOST
                }
            },
        }
    }

    /// The stream has ended: gives what has come of a message that was torn off. `true`: there was one.
    pub(super) fn finish(&mut self, each: impl FnOnce(Frame<'_>)) -> bool {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() || self.skips != Skips::Nothing {
            return false;
        }
        let (head, is_counted) = match next(&held) {
            Next::Counted { head, .. } => (head, true),
            _ => (0, false),
        };
        each(Frame { text: &held[head..], is_cut: false, is_counted });
        true
    }
}

fn next(held: &[u8]) -> Next {
    let digits = held.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > DIGITS || held[0] == b'0' {
        return Next::Ended;
    }
    // A text may begin with a number, too; a counted message begins with its priority.
    match held[digits..] {
        [b' ', b'<', ..] => {
            let len = held[..digits].iter().fold(0, |len, digit| len * 10 + u64::from(digit - b'0'));
            Next::Counted { head: digits + 1, len }
        }
        [] | [b' '] => Next::Unknown,
        _ => Next::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages of a stream that comes in pieces of `size`, and the torn one at its end.
    fn messages(stream: &[u8], size: usize) -> Vec<String> {
        let mut frames = Frames::default();
        let mut got = Vec::new();
        let show = |frame: Frame<'_>| {
            let cut = if frame.is_cut { "…" } else { "" };
            format!("{}{cut}", frame.text.escape_ascii())
        };
        for piece in stream.chunks(size) {
            frames.push(piece, |frame| got.push(show(frame)));
        }
        frames.finish(|frame| got.push(format!("torn {}", show(frame))));
        got
    }

    fn check(stream: &[u8], want: &[&str]) {
        for size in [1, 2, 3, 7, 4096] {
            assert_eq!(messages(stream, size), want, "{} in {size}", stream.escape_ascii());
        }
    }

    #[test]
    fn framings_are_told_apart_each_time() {
        check(b"<1>a\n<2>b\n", &["<1>a", "<2>b"]);
        check(b"<1>a\0<2>b\0", &["<1>a", "<2>b"]);
        check(b"4 <1>a6 <2>b\nc<3>d\n4 <4>e", &["<1>a", "<2>b\\nc", "<3>d", "<4>e"]);
        check(b"12 monkeys\n2026-10-11 text\n", &["12 monkeys", "2026-10-11 text"]);
        check(b"\n\n<1>a\r\n\n", &["<1>a\\r"]);
        check(b"0 <1>a\n", &["0 <1>a"]);
        check(b"99999999999 <1>a\n", &["99999999999 <1>a"]);
    }

    #[test]
    fn what_is_torn_off_is_not_lost() {
        check(b"<1>a\n<2>b", &["<1>a", "torn <2>b"]);
        check(b"9 <1>abc", &["torn <1>abc"]);
        check(b"12", &["torn 12"]);
    }

    #[test]
    fn memory_has_a_limit() {
        let long = [&b"<1>"[..], &vec![b'a'; 3 * MOST], b"\n<2>b\n"].concat();
        let counted = [format!("{} <1>", 3 * MOST + 3).as_bytes(), &vec![b'a'; 3 * MOST], b"<2>b\n"].concat();
        for stream in [long, counted] {
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in stream.chunks(60_000) {
                frames.push(piece, |frame| got.push((frame.text.len(), frame.is_cut)));
                assert!(frames.held.len() <= MOST + 60_000);
            }
            assert_eq!(got, [(MOST, true), (4, false)]);
        }
        // A count that nothing can hold.
        let mut frames = Frames::default();
        frames.push(b"9999999999 <1>a", |_| panic!("no message"));
    }
}
