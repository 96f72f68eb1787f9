//! One stream, scrubbed with panics held: what could not be decided is replaced by a marker, and the stream goes on.
//!
//! Invariants:
//! - Of lines in which scrubbing panicked nothing is written; the newline stays, so no line is lost.
//! - Lines beside them come out as ever: after a panic the lines of a chunk are tried one by one, each with what those
//!   before it have left open.
//! - A line whose beginning could not be decided is left out up to its newline: its end alone could read as clean.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sanitize::Sanitizer;
use crate::stream::{Out, Scrubber, UNDECIDED};

/// Where scrubbed bytes go, until they are known to be wanted.
pub trait Draft: Out {
    /// A place in it.
    type Mark;

    /// Where it ends now.
    fn mark(&self) -> Self::Mark;

    /// Forgets what came behind a mark.
    fn undo(&mut self, mark: Self::Mark);
}

/// One stream.
#[derive(Debug)]
pub struct Guard {
    sanitizer: Arc<Sanitizer>,
    scrubber: Scrubber<Arc<Sanitizer>>,
    /// The stream stands within a line.
    is_in_line: bool,
    /// The beginning of that line could not be decided.
    is_skipping: bool,
}

impl Guard {
    /// A new stream.
    pub fn new(sanitizer: Arc<Sanitizer>) -> Self {
        let scrubber = Scrubber::new(sanitizer.clone());
        Self { sanitizer, scrubber, is_in_line: false, is_skipping: false }
    }

    /// The rules that it is scrubbed by.
    pub fn sanitizer(&self) -> &Arc<Sanitizer> {
        &self.sanitizer
    }

    /// Whether the stream could as well begin here: no line has begun, and nothing that a line before has opened can still
    /// make a finding.
    pub fn is_settled(&self) -> bool {
        !self.is_skipping && self.scrubber.is_settled()
    }

    /// Scrubs the next bytes; lines that are whole now are in `draft`. Whether all of it could be decided.
    pub fn push(&mut self, chunk: &[u8], draft: &mut impl Draft) -> bool {
        let chunk = self.skip(chunk, draft);
        let Some(last) = chunk.last() else { return true };
        let before = self.scrubber.behind_lines();
        let is_decided = self.attempt(before, draft, |scrubber, draft| scrubber.push(chunk, draft));
        if !is_decided {
            self.one_by_one(chunk, draft);
        }
        self.is_in_line = *last != b'\n';
        is_decided
    }

    /// The line that has begun is cut off: a marker takes the place of its last bytes. It still has to be ended. Whether what
    /// is before it could be decided.
    pub fn cut(&mut self, draft: &mut impl Draft) -> bool {
        let before = self.scrubber.behind_lines();
        let is_decided = self.attempt(before, draft, |scrubber, draft| scrubber.cut(draft));
        if !is_decided {
            draft.write(UNDECIDED);
            self.is_skipping = true;
        }
        is_decided
    }

    /// Ends the stream; what is left of its last line is in `draft`, too. It can begin again. Whether all of it could be
    /// decided.
    pub fn finish(&mut self, draft: &mut impl Draft) -> bool {
        let fresh = Scrubber::new(self.sanitizer.clone());
        let ended = mem::replace(&mut self.scrubber, Scrubber::new(self.sanitizer.clone()));
        let is_decided = self.attempt(fresh, draft, |_, draft| ended.finish(draft));
        if !is_decided {
            draft.write(UNDECIDED);
        }
        (self.is_in_line, self.is_skipping) = (false, false);
        is_decided
    }

    /// Does some work; if it panics, nothing of it is in `draft`, and the stream goes on with the scrubber `before`.
    fn attempt<D: Draft>(
        &mut self,
        before: Scrubber<Arc<Sanitizer>>,
        draft: &mut D,
        work: impl FnOnce(&mut Scrubber<Arc<Sanitizer>>, &mut D),
    ) -> bool {
        let mark = draft.mark();
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut self.scrubber, &mut *draft)));
        if worked.is_err() {
            draft.undo(mark);
            self.scrubber = before;
        }
        worked.is_ok()
    }

    /// What is behind the line that is left out.
    fn skip<'c>(&mut self, chunk: &'c [u8], draft: &mut impl Draft) -> &'c [u8] {
        if !self.is_skipping {
            return chunk;
        }
        let Some(newline) = memchr::memchr(b'\n', chunk) else { return &[] };
        draft.write(b"\n");
        (self.is_in_line, self.is_skipping) = (false, false);
        &chunk[newline + 1..]
    }

    /// Tries again what a panic has ended. The beginning of a line that came before `chunk` is gone.
    fn one_by_one(&mut self, chunk: &[u8], draft: &mut impl Draft) {
        let mut lines = chunk;
        if self.is_in_line {
            draft.write(UNDECIDED);
            self.is_skipping = true;
            lines = self.skip(chunk, draft);
        }
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let before = self.scrubber.behind_lines();
            if !self.attempt(before, draft, |scrubber, draft| scrubber.push(line, draft)) {
                draft.write(UNDECIDED);
                self.is_skipping = true;
                self.skip(line, draft);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;

    /// Fails where it reads a word, as the engine might.
    #[derive(Default)]
    struct Failing {
        text: Vec<u8>,
        found: usize,
    }

    impl Out for Failing {
        fn write(&mut self, bytes: &[u8]) {
            self.text.extend_from_slice(bytes);
            assert!(memchr::memmem::find(bytes, b"trap").is_none());
        }

        fn found(&mut self, _: &Finding) {
            self.found += 1;
        }
    }

    impl Draft for Failing {
        type Mark = (usize, usize);

        fn mark(&self) -> Self::Mark {
            (self.text.len(), self.found)
        }

        fn undo(&mut self, (text, found): Self::Mark) {
            self.text.truncate(text);
            self.found = found;
        }
    }

    fn check(chunks: &[&str], want: &str, found: usize) {
        let mut guard = Guard::new(Arc::new(Sanitizer::builtin()));
        let mut draft = Failing::default();
        let mut is_decided = true;
        for chunk in chunks {
            is_decided &= guard.push(chunk.as_bytes(), &mut draft);
        }
        is_decided &= guard.finish(&mut draft);
        assert_eq!(String::from_utf8_lossy(&draft.text), want, "{chunks:?}");
        assert_eq!((draft.found, is_decided), (found, !chunks.concat().contains("trap")), "{chunks:?}");
    }

    #[test]
    fn the_lines_beside_a_panic_stay() {
        check(&["a\nb", "c\nd"], "a\nbc\nd", 0);
        check(
            &["a\npassword=hunter2\na trap\nb\n", "c\n"],
            "a\npassword=[REDACTED:password]\n[REDACTED:undecided]\nb\nc\n",
            1,
        );
        check(&["a\nb trap"], "a\n[REDACTED:undecided]", 0);
        check(&["a\ntrap\ntrap\n\nb"], "a\n[REDACTED:undecided]\n[REDACTED:undecided]\n\nb", 0);
    }

    #[test]
    fn a_line_that_has_begun_is_left_out() {
        // Which line it was is not known when the beginning of one is gone.
        check(&["a\npassword=", "hunter2 trap\nb\n"], "a\n[REDACTED:undecided]\nb\n", 0);
        check(&["one ", "two\ntrap\nb\n"], "[REDACTED:undecided]\n[REDACTED:undecided]\nb\n", 0);
        let long = "x".repeat(crate::stream::MAX_HELD);
        let (piece, end) = (format!("{long}trap "), format!("{long}password=hunter2\nb\n"));
        let mut guard = Guard::new(Arc::new(Sanitizer::builtin()));
        let mut draft = Failing::default();
        for chunk in [&*piece, &*end, "c"] {
            guard.push(chunk.as_bytes(), &mut draft);
        }
        guard.finish(&mut draft);
        let text = String::from_utf8_lossy(&draft.text);
        assert!(text.ends_with("[REDACTED:undecided]\nb\nc") && !text.contains("hunter2"));
    }

    #[test]
    fn what_is_open_stays_open_over_a_panic() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let key = "-----BEGIN PRIVATE KEY-----";
        let mut guard = Guard::new(Arc::new(Sanitizer::builtin()));
        let mut draft = Failing::default();
        for chunk in [format!("{key}\n"), format!("{body}\ntrap\n{body}\n"), format!("{body}\n")] {
            guard.push(chunk.as_bytes(), &mut draft);
        }
        let text = String::from_utf8_lossy(&draft.text);
        assert!(!text.contains(body) && text.lines().count() == 5, "{text}");
    }
}
