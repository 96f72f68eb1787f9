//! Texts that come whole, with a beginning and an end of their own: a datagram, a frame, a label. Each is scrubbed by itself,
//! as one record whatever newlines are in it, and a panic is held.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::{Batch, Details};
use super::house::House;
use crate::finding::RuleIndex;
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::scan::Work;
use crate::stream::AHEAD;

/// What stands for a text in which scrubbing panicked.
const UNDECIDED: &[u8] = b"[REDACTED:undecided]";

/// A text that comes whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Piece<'t> {
    /// What stood in front of it, with a colon and a blank between: what it makes of the text counts as well, as it would in
    /// one line.
    pub head: &'t [u8],
    /// The text.
    pub text: &'t [u8],
    /// It is one line of several that belong together: what one has left open (a private key) counts for the next.
    pub goes_on: bool,
    /// More of it came and was dropped. What cannot be decided without that is dropped, too.
    pub is_cut: bool,
}

impl<'t> Piece<'t> {
    /// A text and nothing more.
    pub fn of(text: &'t [u8]) -> Self {
        Self { text, ..Self::default() }
    }
}

/// Scrubs texts one after the other. What was in one matters to no other, but where a piece says so.
#[derive(Debug)]
pub struct Whole {
    sanitizer: Arc<Sanitizer>,
    work: Work,
    found: Vec<RuleIndex>,
    named: Vec<(RuleIndex, Pseudonym)>,
}

impl Whole {
    /// By the rules in use.
    pub fn new(sanitizer: Arc<Sanitizer>) -> Self {
        Self { sanitizer, work: Work::default(), found: Vec::new(), named: Vec::new() }
    }

    /// The rules that it works by.
    pub fn sanitizer(&self) -> &Arc<Sanitizer> {
        &self.sanitizer
    }

    /// Goes over to the rules in use. What it has left open is forgotten.
    pub fn follow(&mut self, house: &House) {
        let sanitizer = house.sanitizer();
        if !Arc::ptr_eq(&sanitizer, &self.sanitizer) {
            *self = Self::new(sanitizer);
        }
    }

    /// Whether nothing that was in a text before can still make a finding.
    pub fn is_settled(&self) -> bool {
        self.work.is_settled()
    }

    /// Adds a text to `batch` as a record.
    pub fn push(&mut self, piece: Piece<'_>, details: Details, batch: &mut Batch, house: &House) {
        self.found.clear();
        self.named.clear();
        let Piece { head, text, .. } = piece;
        let clean = match self.clean(text, piece, house) {
            // A document has keys of its own.
            Some(clean) if head.is_empty() || clean.starts_with(b"{") => Some(clean),
            Some(clean) => self.clean_behind(head, clean, house),
            None => None,
        };
        let text = clean.as_deref().unwrap_or(UNDECIDED);
        batch.push_record(text, &self.found, &self.named, details);
    }

    /// A label's value. What is no UTF-8 in it becomes U+FFFD.
    pub fn label(&mut self, text: &[u8], house: &House) -> String {
        self.found.clear();
        let clean = self.clean(text, Piece::of(text), house);
        String::from_utf8_lossy(clean.as_deref().unwrap_or(UNDECIDED)).into_owned()
    }

    fn clean_behind(&mut self, head: &[u8], text: Vec<u8>, house: &House) -> Option<Vec<u8>> {
        let joined = [head, b": ", &text].concat();
        let from = head.len() + 2;
        let before = self.found.len();
        let mut first = usize::MAX;
        let starts = |start| first = first.min(start);
        let clean = self.clean_with(&joined, Piece::of(&joined), house, starts)?;
        if self.found.len() == before {
            return Some(text);
        }
        // What begins in the head may end anywhere: then the head stays with the text.
        Some(if first < from { clean } else { clean[from..].to_vec() })
    }

    fn clean(&mut self, text: &[u8], piece: Piece<'_>, house: &House) -> Option<Vec<u8>> {
        self.clean_with(text, piece, house, |_| {})
    }

    fn clean_with(
        &mut self,
        text: &[u8],
        piece: Piece<'_>,
        house: &House,
        mut starts: impl FnMut(usize),
    ) -> Option<Vec<u8>> {
        let Self { sanitizer, work, found, named } = self;
        let before = named.len();
        let worked = catch_unwind(AssertUnwindSafe(|| {
            let ended;
            let (text, findings) = if piece.goes_on {
                ended = [text, b"\n"].concat();
                (&ended[..], sanitizer.scan_block(&ended, work))
            } else {
                (text, sanitizer.scanner().scan_keyed(b"", text, work))
            };
            let end = text.len() - usize::from(piece.goes_on);
            let sure = if piece.is_cut { end.saturating_sub(AHEAD) } else { end };
            // A finding that reaches into what is not sure goes with it.
            let over = findings.iter().find(|finding| finding.start < sure && finding.end > sure);
            let until = over.map_or(sure, |finding| if piece.is_cut { finding.start } else { end });
            let sure = findings.partition_point(|finding| finding.start < until);
            let findings = &findings[..sure];
            let mut out = Vec::with_capacity(until);
            let note = &mut |rule, pseudonym| named.push((rule, pseudonym));
            sanitizer.write_noting(&text[..until], findings, &mut |bytes| out.extend_from_slice(bytes), note);
            found.extend(findings.iter().map(|finding| finding.rule));
            findings.iter().for_each(|finding| starts(finding.start));
            out
        }));
        if worked.is_err() {
            house.event("panicked");
            self.work = Work::default();
            self.named.truncate(before);
        }
        worked.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::batch::Origin;
    use crate::pod::house::{Counts, Output, Stopped, Stopping};

    struct Nothing;

    impl Output for Nothing {
        fn deliver(&self, _: &Batch, _: &Stopping) -> Result<(), Stopped> {
            Ok(())
        }
    }

    impl Counts for Nothing {
        fn delivered(&self, _: &Batch) {}
        fn event(&self, _: &'static str) {}
    }

    fn check(head: &str, text: &str, want: &str) {
        let sanitizer = Arc::new(Sanitizer::builtin());
        let house = House::new(sanitizer.clone(), Box::new(Nothing), Box::new(Nothing));
        let origin = Arc::new(Origin { input: "syslog", labels: Vec::new() });
        let mut batch = Batch::new(origin, sanitizer.clone());
        let piece = Piece { head: head.as_bytes(), ..Piece::of(text.as_bytes()) };
        Whole::new(sanitizer).push(piece, Details::default(), &mut batch, &house);
        let got: Vec<_> = batch.records().map(|(_, text)| String::from_utf8_lossy(text)).collect();
        assert_eq!(got, [want], "{head:?} {text:?}");
    }

    #[test]
    fn a_text_is_one_record_and_its_head_counts() {
        check("", "one\ntwo\n", "one\ntwo\n");
        check(
            "",
            "Traceback\n  password=deadBeefdead1\nend",
            "Traceback\n  password=[REDACTED:password]\nend",
        );
        check("app", "session opened", "session opened");
        check("password", "deadBeefdead1", "[REDACTED:password]");
        check("password", "deadBeefdead1 is wrong", "[REDACTED:password] is wrong");
        check("app", "{\"password\": 123456789}", "{\"password\": \"[REDACTED:password]\"}");
        check("", "", "");
    }
}
