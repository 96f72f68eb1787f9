//! Messages of syslog in a stream (RFC 6587): counted ones (`12 <13>message…`), ones that end with a newline, or ones that end
//! with a NUL and may have newlines inside (Python's handlers). The first message tells which of these a stream has. Memory
//! has a limit, whatever a client sends.
//!
//! A wrong count would cut a message in two, and half a secret has no shape to be known by. So what stands behind a counted
//! message must be the beginning of another one before it is given, or nothing for a while; where it is neither, there is no
//! count.

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
    /// A counted message was given, or skipped, before it was known what stands behind it.
    was_given_early: bool,
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
    /// Each ends with a newline.
    Lines,
    /// Each ends with a NUL.
    Nul,
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

    /// Whether a message is whole that was not given: it is waited for what stands behind it.
    pub(super) fn is_waiting(&self) -> bool {
        self.skips == Skips::Nothing
            && matches!(self.next(&self.held), Next::Counted { head, len } if self.held.len() == head + len)
    }

    /// Nothing stands behind a message that is whole: gives it.
    pub(super) fn settle(&mut self, each: impl FnOnce(Frame<'_>)) {
        if self.is_waiting() {
            self.finish(each);
            (self.framing, self.was_given_early) = (Framing::Counted, true);
        }
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
                self.was_given_early = left == skipped;
                self.skipped += skipped as u64;
                return skipped;
            }
            Skips::ToItsEnd => {
                let end = self.end(held);
                let taken = match end {
                    Some((end, framing)) => {
                        (self.framing, self.skips) = (framing, Skips::Nothing);
                        end + 1
                    }
                    None => held.len() - self.undecided(held),
                };
                self.skipped += end.map_or(taken, |(end, _)| end) as u64;
                return taken;
            }
        }
        if std::mem::take(&mut self.was_given_early) {
            match begins(held) {
                Some(true) => {}
                Some(false) => {
                    // The rest of it. What was given may be half of what it said.
                    (self.framing, self.skips) = (Framing::Lines, Skips::ToItsEnd);
                    each(Frame { text: b"", is_cut: true, is_counted: true });
                    return self.take(held, each);
                }
                None => {
                    self.was_given_early = true;
                    return 0;
                }
            }
        }
        match self.next(held) {
            Next::Unknown => 0,
            Next::Counted { head, len } => {
                let most = len.min(MOST);
                let Some(text) = held[head..].get(..most) else { return 0 };
                let is_cut = len > most;
                match begins(&held[head + most..]) {
                    _ if is_cut => {}
                    Some(true) => {}
                    // Its end is to be looked for.
                    Some(false) => {
                        self.framing = Framing::Lines;
                        return head;
                    }
                    None => return 0,
                }
                self.framing = Framing::Counted;
                self.skip(len - most);
                each(Frame { text, is_cut, is_counted: true });
                head + most
            }
            // What some write behind counted messages, too.
            Next::Ended if matches!(held[0], b'\n' | 0) => 1,
            Next::Ended => match self.end(held) {
                Some((end, framing)) if end <= MOST => {
                    self.framing = framing;
                    each(Frame { text: &held[..end], is_cut: false, is_counted: false });
                    end + 1
                }
                None if held.len() <= MOST => 0,
                _ => {
                    if self.framing != Framing::Nul {
                        self.framing = Framing::Lines;
                    }
                    self.skips = Skips::ToItsEnd;
                    each(Frame { text: &held[..MOST], is_cut: true, is_counted: false });
                    MOST
                }
            },
        }
    }

    /// Where a message ends that has no count, and how messages are told apart from there on.
    fn end(&self, held: &[u8]) -> Option<(usize, Framing)> {
        let end = memchr::memchr2(b'\n', 0, held)?;
        let is_in_lines = self.framing != Framing::Nul && held[end] == b'\n';
        // The first one of a stream may have newlines inside; then its end is there already, or it is taken for lines.
        let is_first = matches!(self.framing, Framing::Unknown | Framing::Counted);
        let is_inside =
            is_first && is_priority(&held[end + 1..]) == Some(false) && memchr::memchr(0, held).is_some();
        if is_in_lines && !is_inside {
            return Some((end, Framing::Lines));
        }
        let ends = memchr::memchr2_iter(b'\n', 0, &held[end..]).map(|at| end + at);
        ends.map_while(|at| match held[at] {
            0 => Some(Some((at, Framing::Nul))),
            _ => is_priority(&held[at + 1..]).map(|is_next| is_next.then_some((at, Framing::Lines))),
        })
        .flatten()
        .next()
    }

    /// How many bytes at the end may be the end of a message and the beginning of the next.
    fn undecided(&self, held: &[u8]) -> usize {
        let last = held.len().saturating_sub(PRIORITY + 1);
        let newline = memchr::memrchr(b'\n', &held[last..]).filter(|_| self.framing == Framing::Nul);
        newline
            .filter(|at| is_priority(&held[last + at + 1..]).is_none())
            .map_or(0, |at| held.len() - last - at)
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
            _ => {
                if self.framing != Framing::Nul {
                    self.framing = Framing::Lines;
                }
                self.skips = Skips::ToItsEnd;
            }
        }
        self.held = Vec::new();
    }

    /// The stream has ended: gives what has come of a message that was torn off. `true`: there was one.
    pub(super) fn finish(&mut self, each: impl FnOnce(Frame<'_>)) -> bool {
        let torn = self.torn(&self.next(&self.held));
        let is_torn = torn.is_some_and(|torn| torn.is_cut);
        if let Some(frame) = torn {
            each(frame);
        }
        self.held = Vec::new();
        is_torn
    }

    /// What has come of a message that has begun and that `next` tells of.
    fn torn(&self, next: &Next) -> Option<Frame<'_>> {
        let (head, is_counted, is_cut) = match next {
            Next::Counted { head, len } => (*head, true, self.held.len() < head + len),
            _ => (0, false, true),
        };
        let frame = Frame { text: &self.held[head..], is_cut, is_counted };
        self.is_in_message().then_some(frame)
    }

    fn next(&self, held: &[u8]) -> Next {
        match self.framing {
            Framing::Lines | Framing::Nul => Next::Ended,
            Framing::Unknown | Framing::Counted => next(held),
        }
    }
}

/// Whether what stands behind a counted message is what may stand there: another one, or the end that some write, too. `None`: it
/// cannot be told yet.
fn begins(behind: &[u8]) -> Option<bool> {
    match behind.first() {
        None => None,
        Some(b'\n' | 0) => Some(true),
        Some(_) => match next(behind) {
            Next::Unknown => None,
            Next::Counted { .. } => Some(true),
            Next::Ended => Some(false),
        },
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
        check(b"4 <1>a<3>d\n4 <4>e\n", &["<1>a<3>d", "4 <4>e"]);
        check(b"4 <1>a4 <2>bcd\n4 <4>e\n", &["<1>a", "<2>bcd", "4 <4>e"]);
        check(b"9 <1>a\n<2>bcd\n<4>e\n", &["<1>a", "<2>bcd", "<4>e"]);
        check(b"12 monkeys\n2026-10-11 text\n", &["12 monkeys", "2026-10-11 text"]);
        check(b"\n\n<1>a\r\n\n", &["<1>a\\r"]);
        check(b"0 <1>a\n", &["0 <1>a"]);
        check(b"99999999999 <1>a\n", &["99999999999 <1>a"]);
    }

    #[test]
    fn messages_that_end_with_nul_have_newlines_inside() {
        check(b"<1>a\0<2>b\n  c\n\nd\0<3>e\0", &["<1>a", "<2>b\\n  c\\n\\nd", "<3>e"]);
        // Who writes lines after all.
        check(b"<1>a\0<2>b\n<3>c\nd\n", &["<1>a", "<2>b", "<3>c", "d"]);
        // The first one, as far as it is there at once.
        assert_eq!(messages(b"<1>a\n  b\0<2>c\n  d\0", 4096), ["<1>a\\n  b", "<2>c\\n  d"]);
        assert_eq!(messages(b"<1>a\n  b\0<2>c\n  d\0", 1), ["<1>a", "  b", "<2>c\\n  d"]);
        assert_eq!(messages(b"<1>a\n<2>b\0<3>c\n", 4096), ["<1>a", "<2>b", "torn <3>c\\n…"]);
    }

    #[test]
    fn a_counted_message_waits_for_what_stands_behind_it() {
        let mut frames = Frames::default();
        let mut got = Vec::new();
        let mut push = |frames: &mut Frames, bytes: &[u8]| {
            frames.push(bytes, |frame| got.push((frame.text.to_vec(), frame.is_cut)));
            frames.is_waiting()
        };
        assert!(!push(&mut frames, b"4 <1>"));
        assert!(push(&mut frames, b"a"));
        assert!(!push(&mut frames, b"4"), "it may be another one");
        assert!(push(&mut frames, b" <2>b"));
        let settled = |frames: &mut Frames| {
            let mut all = Vec::new();
            frames.settle(|frame| all.push((frame.text.to_vec(), frame.is_cut)));
            all
        };
        assert_eq!(settled(&mut frames), [(b"<2>b".to_vec(), false)]);
        assert_eq!(settled(&mut frames), []);
        assert!(push(&mut frames, b"4 <3>c"));
        assert_eq!(settled(&mut frames), [(b"<3>c".to_vec(), false)]);
        // There is more of it after all.
        assert!(!push(&mut frames, b"def\n<4>g\n"));
        assert_eq!(frames.skipped(), Some(3));
        let text = |text: &[u8], is_cut| (text.to_vec(), is_cut);
        assert_eq!(got, [text(b"<1>a", false), text(b"", true), text(b"<4>g", false)]);
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
            frames.finish(|frame| got.push(frame.text[..4].to_vec()));
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
            frames.finish(|frame| got.push((frame.text.len(), frame.is_cut)));
            assert_eq!(got, [(MOST, true), (4, false)]);
            assert_eq!(frames.skipped(), Some(2 * MOST as u64 + 3));
            assert!(frames.weight() < 1 << 10, "{}", frames.weight());
        }
    }
}
