//! Messages of syslog in a stream (RFC 6587): counted ones (`12 <13>message…`) or ones that end with a newline or a NUL. The
//! first message tells which of both a stream has. Memory has a limit, whatever a client sends.

/// The most bytes of a message; what is longer is cut there.
pub(super) const MOST: usize = 1 << 20;
/// The largest count that is taken for one: what is behind a wrong one is skipped.
const MOST_COUNT: usize = 8 << 20;
/// The most digits of a count.
const DIGITS: usize = 7;
/// The most bytes of a priority, `<191>`.
const PRIORITY: usize = 5;

/// What has come of a stream and is no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: Vec<u8>,
    framing: Framing,
    skips: Skips,
    /// How much was skipped of a message that was cut.
    skipped: u64,
}

/// How messages are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    /// No message was whole yet.
    #[default]
    Unknown,
    Counted,
    Ended,
}

/// What is left of a message that was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Skips {
    #[default]
    Nothing,
    Bytes(usize),
    ToItsEnd,
}

/// A message as it was found in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'f> {
    pub(super) text: &'f [u8],
    /// There is more of it that is missing: dropped, or never sent.
    pub(super) is_cut: bool,
    /// It says how long it is: newlines in it are its own.
    pub(super) is_counted: bool,
}

/// What the bytes at a place are the start of.
enum Next {
    /// It cannot be told yet.
    Unknown,
    /// A message of so many bytes, so far behind.
    Counted { head: usize, len: usize },
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
        // Many connections with room for a large message each would be much.
        if held.capacity() > 4 * held.len() {
            held.shrink_to(held.len());
        }
        self.held = held;
    }

    /// How much memory it takes.
    pub(super) fn weight(&self) -> usize {
        self.held.capacity()
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_in_message(&self) -> bool {
        !self.held.is_empty()
    }

    /// How much was skipped of a message that was cut, once it is over.
    pub(super) fn skipped(&mut self) -> Option<u64> {
        let is_over = self.skips == Skips::Nothing && self.skipped > 0;
        is_over.then(|| std::mem::take(&mut self.skipped))
    }

    /// Takes one message, or a part of what is skipped; gives how many bytes that were.
    fn take(&mut self, held: &[u8], each: &mut impl FnMut(Frame<'_>)) -> usize {
        match self.skips {
            Skips::Nothing => {}
            Skips::Bytes(left) => {
                let skipped = left.min(held.len());
                self.skip(left - skipped);
                self.skipped += skipped as u64;
                return skipped;
            }
            Skips::ToItsEnd => {
                let end = memchr::memchr2(b'\n', 0, held);
                self.skips = if end.is_some() { Skips::Nothing } else { Skips::ToItsEnd };
                self.skipped += end.unwrap_or(held.len()) as u64;
                return end.map_or(held.len(), |end| end + 1);
            }
        }
        match self.next(held) {
            Next::Unknown => 0,
            Next::Counted { head, len } => {
                let most = len.min(MOST);
                let Some(text) = held[head..].get(..most) else { return 0 };
                self.framing = Framing::Counted;
                self.skip(len - most);
                each(Frame { text, is_cut: len > most, is_counted: true });
                head + most
            }
            Next::Ended => match memchr::memchr2(b'\n', 0, held) {
                // What some write behind counted messages, too.
                Some(0) => 1,
                Some(end) if end <= MOST => {
                    self.framing = Framing::Ended;
                    each(Frame { text: &held[..end], is_cut: false, is_counted: false });
                    end + 1
                }
                None if held.len() <= MOST => 0,
                _ => {
                    self.framing = Framing::Ended;
                    self.skips = Skips::ToItsEnd;
                    each(Frame { text: &held[..MOST], is_cut: true, is_counted: false });
                    MOST
                }
            },
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.skips = if bytes == 0 { Skips::Nothing } else { Skips::Bytes(bytes) };
    }

    /// Gives what has come of the message that has begun, as one that is cut; the rest of it is skipped.
    pub(super) fn cut(&mut self, each: impl FnOnce(Frame<'_>)) {
        let next = self.next(&self.held);
        if let Some(frame) = self.torn(&next) {
            each(frame);
        }
        match next {
            Next::Counted { head, len } => {
                self.framing = Framing::Counted;
                self.skip(len - (self.held.len() - head));
            }
            _ => (self.framing, self.skips) = (Framing::Ended, Skips::ToItsEnd),
        }
        self.held = Vec::new();
    }

    /// The stream has ended: gives what has come of a message that was torn off. `true`: there was one.
    pub(super) fn finish(&mut self, each: impl FnOnce(Frame<'_>)) -> bool {
        let torn = self.torn(&self.next(&self.held));
        let is_torn = torn.is_some();
        if let Some(frame) = torn {
            each(frame);
        }
        self.held = Vec::new();
        is_torn
    }

    /// What has come of a message that has begun and that `next` tells of.
    fn torn(&self, next: &Next) -> Option<Frame<'_>> {
        let (head, is_counted) = match next {
            Next::Counted { head, .. } => (*head, true),
            _ => (0, false),
        };
        let frame = Frame { text: &self.held[head..], is_cut: true, is_counted };
        self.is_in_message().then_some(frame)
    }

    fn next(&self, held: &[u8]) -> Next {
        if self.framing == Framing::Ended { Next::Ended } else { next(held) }
    }
}

/// A text may begin with a number, too: a counted message begins with its priority.
fn next(held: &[u8]) -> Next {
    let digits = held.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > DIGITS || held[0] == b'0' {
        return Next::Ended;
    }
    let len = number(&held[..digits]);
    match &held[digits..] {
        [b' ', priority @ ..] if len <= MOST_COUNT => match is_priority(priority) {
            Some(true) => Next::Counted { head: digits + 1, len },
            Some(false) => Next::Ended,
            None => Next::Unknown,
        },
        [] => Next::Unknown,
        _ => Next::Ended,
    }
}

/// Whether a text begins with a priority, `<0>` to `<191>`; `None`: it is too short to tell.
fn is_priority(text: &[u8]) -> Option<bool> {
    let digits = text.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).take(PRIORITY - 1).count();
    match (text.first(), text.get(1 + digits)) {
        (None, _) => None,
        (Some(b'<'), None) if digits < PRIORITY - 1 => None,
        (Some(b'<'), Some(b'>')) => Some((1..=3).contains(&digits) && number(&text[1..=digits]) < 192),
        _ => Some(false),
    }
}

fn number(digits: &[u8]) -> usize {
    digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
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
    fn the_first_message_tells_how_messages_are_told_apart() {
        check(b"<1>a\n<2>b\n", &["<1>a", "<2>b"]);
        check(b"<1>a\0<2>b\0", &["<1>a", "<2>b"]);
        check(b"4 <1>a6 <2>b\nc4 <4>e\n4 <5>f\0", &["<1>a", "<2>b\\nc", "<4>e", "<5>f"]);
        // Lines that begin as a counted message would.
        check(b"<1>a\n404 <b>not found</b>\n9 <1>b\n", &["<1>a", "404 <b>not found</b>", "9 <1>b"]);
        check(b"404 <b>not found</b>\n<1>a\n", &["404 <b>not found</b>", "<1>a"]);
        check(b"9999999999 <b>\n<1>a\n", &["9999999999 <b>", "<1>a"]);
        check(b"9999999 <1>b\n<1>a\n", &["9999999 <1>b", "<1>a"]);
        check(b"9 <192>b\n9 <>b\n9 <1234>\n", &["9 <192>b", "9 <>b", "9 <1234>"]);
        // A count that is none: from there on, lines are.
        check(b"4 <1>a<3>d\n4 <4>e\n", &["<1>a", "<3>d", "4 <4>e"]);
        check(b"12 monkeys\n2026-10-11 text\n", &["12 monkeys", "2026-10-11 text"]);
        check(b"\n\n<1>a\r\n\n", &["<1>a\\r"]);
        check(b"0 <1>a\n", &["0 <1>a"]);
        check(b"99999999999 <1>a\n", &["99999999999 <1>a"]);
    }

    #[test]
    fn what_is_torn_off_is_not_lost() {
        check(b"<1>a\n<2>b", &["<1>a", "torn <2>b…"]);
        check(b"9 <1>abc", &["torn <1>abc…"]);
        check(b"12", &["torn 12…"]);
        check(b"12 <1", &["torn 12 <1…"]);
    }

    #[test]
    fn what_has_begun_can_be_cut_and_the_rest_is_skipped() {
        for (stream, rest) in [(&b"<1>abc"[..], &b"def\n<2>a\n"[..]), (b"9 <1>abc", b"def5 <2>ab")] {
            let mut frames = Frames::default();
            frames.push(stream, |_| panic!("no message"));
            assert!(frames.is_in_message());
            frames.cut(|frame| assert_eq!((frame.text, frame.is_cut), (&b"<1>abc"[..], true)));
            assert!(!frames.is_in_message() && frames.weight() == 0);
            let mut got = Vec::new();
            frames.push(rest, |frame| got.push(frame.text[..4].to_vec()));
            assert_eq!(got, [b"<2>a"]);
            assert_eq!((frames.skipped(), frames.skipped()), (Some(3), None));
        }
    }

    #[test]
    fn memory_has_a_limit() {
        let long = [&b"<1>"[..], &vec![b'a'; 3 * MOST], b"\n<2>b\n"].concat();
        let counted = [format!("{} <1>", 3 * MOST + 3).as_bytes(), &vec![b'a'; 3 * MOST], b"4 <2>b"].concat();
        for stream in [long, counted] {
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in stream.chunks(60_000) {
                frames.push(piece, |frame| got.push((frame.text.len(), frame.is_cut)));
                assert!(frames.held.len() <= MOST + 60_000);
            }
            assert_eq!(got, [(MOST, true), (4, false)]);
            assert_eq!(frames.skipped(), Some(2 * MOST as u64 + 3));
            assert!(frames.weight() < 1 << 10, "{}", frames.weight());
        }
    }
}
