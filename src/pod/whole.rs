//! Texts that come whole, with a beginning and an end of their own: a datagram, a frame, a label. Each is scrubbed by itself,
//! as one record whatever newlines are in it, and a panic is held.
//!
//! Invariant: what is found in the line that a text stood in comes out of none of the parts that the line is told in. Where a
//! part alone does not say as much, the line stays one text.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::{Batch, Details};
use super::house::House;
use crate::finding::{Finding, RuleIndex};
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::scan::Work;
use crate::stream::{AHEAD, UNDECIDED};

/// A text that comes whole.
#[derive(Clone, Debug, Default)]
pub struct Piece<'t> {
    /// The line that it stands in.
    pub line: &'t [u8],
    /// Where in the line it is.
    pub text: Range<usize>,
    /// What else there is in the line, and is to be a label.
    pub fields: Vec<(&'static str, Range<usize>)>,
    /// The field that is its key if it were one line with it, a colon and a blank: what that makes of the text counts as well.
    pub head: Range<usize>,
    /// It is one line of several that belong together: what one has left open (a private key) counts for the next.
    pub goes_on: bool,
    /// More of it is missing. What cannot be decided without that is dropped, too.
    pub is_cut: bool,
}

impl<'t> Piece<'t> {
    /// A text and nothing more.
    pub fn of(text: &'t [u8]) -> Self {
        Self { line: text, text: 0..text.len(), ..Self::default() }
    }

    /// The parts that come out of it: labels and the text.
    fn parts(&self) -> impl Iterator<Item = &Range<usize>> {
        self.fields.iter().map(|(_, field)| field).chain([&self.text])
    }
}

/// What comes out of a piece.
struct Scrubbed {
    text: Vec<u8>,
    labels: Vec<(&'static str, String)>,
}

/// Scrubs texts one after the other. What was in one matters to no other, but where a piece says so.
#[derive(Debug)]
pub struct Whole {
    sanitizer: Arc<Sanitizer>,
    work: Work,
    /// For looks at a text, or at what is around it, that leave nothing open for the next.
    beside: Work,
    found: Vec<RuleIndex>,
    named: Vec<(RuleIndex, Pseudonym)>,
}

impl Whole {
    /// By the rules in use.
    pub fn new(sanitizer: Arc<Sanitizer>) -> Self {
        Self {
            sanitizer,
            work: Work::default(),
            beside: Work::default(),
            found: Vec::new(),
            named: Vec::new(),
        }
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

    /// Adds a text to `batch` as a record, with its fields as labels.
    pub fn push(&mut self, piece: &Piece<'_>, mut details: Details, batch: &mut Batch, house: &House) {
        let scrubbed = self.scrub(piece, house);
        let text = match &scrubbed {
            Some(Scrubbed { text, .. }) => text,
            None => UNDECIDED,
        };
        let labels = scrubbed.iter().flat_map(|scrubbed| &scrubbed.labels);
        details.labels.extend(labels.map(|(name, value)| ((*name).into(), value.clone())));
        batch.push_record(text, &self.found, &self.named, details);
    }

    /// A label's value. What is no UTF-8 in it becomes U+FFFD.
    pub fn label(&mut self, text: &[u8], house: &House) -> String {
        let scrubbed = self.scrub(&Piece::of(text), house);
        let text = scrubbed.map(|scrubbed| scrubbed.text);
        String::from_utf8_lossy(text.as_deref().unwrap_or(UNDECIDED)).into_owned()
    }

    /// `None`: it panicked.
    fn scrub(&mut self, piece: &Piece<'_>, house: &House) -> Option<Scrubbed> {
        self.found.clear();
        self.named.clear();
        let scrubbed = catch_unwind(AssertUnwindSafe(|| self.attempt(piece)));
        if scrubbed.is_err() {
            house.event("panicked");
            *self = Self::new(self.sanitizer.clone());
        }
        scrubbed.ok()
    }

    fn attempt(&mut self, piece: &Piece<'_>) -> Scrubbed {
        let Piece { line, text, fields, is_cut, .. } = piece;
        let of_line = self.find_in_line(piece);
        let (of_head, mut of_parts) = self.find_behind_head(piece);
        of_parts.extend(self.find_in_parts(piece));
        self.sanitizer.scanner().resolve(&mut of_parts);
        let mut all = [of_line, of_head].concat();

        let sure = if *is_cut { line.len().saturating_sub(AHEAD) } else { line.len() };
        // A finding that reaches into what is not sure goes with it.
        let over = of_parts.iter().chain(&all).filter(|found| found.start < sure && found.end > sure);
        let until = over.map(|found| found.start).min().unwrap_or(sure);
        for found in [&mut of_parts, &mut all] {
            found.retain(|found| found.start < until);
            found.iter_mut().for_each(|found| found.end = found.end.min(until));
        }

        let is_said =
            |found: &Finding| piece.parts().all(|part| covers(&of_parts, common(&found.range(), part)));
        let mut scrubbed = if text.start <= until && all.iter().all(is_said) {
            let mut label = |(name, field): &(&'static str, Range<usize>)| {
                let value = self.write(line, field, &of_parts);
                (*name, String::from_utf8_lossy(&value).into_owned())
            };
            let labels = fields.iter().map(&mut label).collect();
            Scrubbed { labels, text: self.write(line, &(text.start..text.end.min(until)), &of_parts) }
        } else {
            all.append(&mut of_parts);
            self.sanitizer.scanner().resolve(&mut all);
            Scrubbed { labels: Vec::new(), text: self.write(line, &(0..until), &all) }
        };
        if *is_cut {
            scrubbed.text.extend_from_slice(UNDECIDED);
        }
        scrubbed
    }

    /// What is found in the whole line, where the text is not all of it.
    fn find_in_line(&mut self, piece: &Piece<'_>) -> Vec<Finding> {
        let Self { sanitizer, work, beside, .. } = self;
        if piece.line.len() == piece.text.len() {
            return Vec::new();
        }
        // The text is what leaves something open for the next.
        beside.go_on_from(&mut work.beside());
        find(sanitizer, piece.line, piece.goes_on, beside)
    }

    /// What is found in the text and in each field, each by itself, as places in the line.
    fn find_in_parts(&mut self, piece: &Piece<'_>) -> Vec<Finding> {
        let Self { sanitizer, work, beside, .. } = self;
        let Piece { line, text, fields, goes_on, .. } = piece;
        let mut all = find(sanitizer, &line[text.clone()], *goes_on, work);
        all.iter_mut().for_each(|found| *found = moved(found, 0, text.start));
        for (_, field) in fields {
            let found = find(sanitizer, &line[field.clone()], false, beside);
            all.extend(found.iter().map(|found| moved(found, 0, field.start)));
        }
        all
    }

    /// What is found in the text if it stands behind its head and a colon: in the head, and in the text.
    fn find_behind_head(&mut self, piece: &Piece<'_>) -> (Vec<Finding>, Vec<Finding>) {
        let Self { sanitizer, beside, .. } = self;
        let (head, text) = (&piece.line[piece.head.clone()], &piece.line[piece.text.clone()]);
        // A document has keys of its own.
        if head.is_empty() || text.starts_with(b"{") {
            return (Vec::new(), Vec::new());
        }
        let joined = [head, b": ", text].concat();
        let from = joined.len() - text.len();
        let all = find(sanitizer, &joined, false, beside);
        let within = |place: Range<usize>, to: usize| -> Vec<Finding> {
            let parts = all.iter().map(|found| (found, common(&found.range(), &place)));
            let there = parts.filter(|(_, part)| !part.is_empty());
            let part = |(found, part): (&Finding, Range<usize>)| Finding {
                start: part.start,
                end: part.end,
                ..*found
            };
            there.map(part).map(|found| moved(&found, place.start, to)).collect()
        };
        (within(0..head.len(), piece.head.start), within(from..joined.len(), piece.text.start))
    }

    /// Writes a part of a line, with what was found in it replaced, and notes that.
    fn write(&mut self, line: &[u8], part: &Range<usize>, findings: &[Finding]) -> Vec<u8> {
        let Self { sanitizer, found, named, .. } = self;
        let inside = findings.iter().filter(|found| part.contains(&found.start));
        let inside: Vec<Finding> = inside.map(|found| moved(found, part.start, 0)).collect();
        found.extend(inside.iter().map(|finding| finding.rule));
        let mut out = Vec::with_capacity(part.len());
        let note = &mut |rule, pseudonym| named.push((rule, pseudonym));
        sanitizer.write_noting(&line[part.clone()], &inside, &mut |bytes| out.extend_from_slice(bytes), note);
        out
    }
}

/// What is found in a text; `goes_on`: it is a line, and what was left open counts for it.
fn find(sanitizer: &Sanitizer, text: &[u8], goes_on: bool, work: &mut Work) -> Vec<Finding> {
    if !goes_on {
        return sanitizer.scanner().scan_keyed(b"", text, work).to_vec();
    }
    let ended = [text, b"\n"].concat();
    let all = sanitizer.scan_block(&ended, work).iter();
    let all = all.map(|found| Finding { end: found.end.min(text.len()), ..*found });
    all.filter(|found| found.start < found.end).collect()
}

/// A finding in a part that begins at `from`, where it begins at `to`.
fn moved(found: &Finding, from: usize, to: usize) -> Finding {
    Finding { start: found.start - from + to, end: found.end - from + to, ..*found }
}

/// What two ranges have in common.
fn common(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

/// Whether findings, in order and none overlapping, leave nothing of a range.
fn covers(findings: &[Finding], range: Range<usize>) -> bool {
    let first = findings.partition_point(|found| found.end <= range.start);
    let mut at = range.start;
    for found in &findings[first..] {
        if at >= range.end || found.start > at {
            break;
        }
        at = found.end;
    }
    at >= range.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::batch::Origin;
    use crate::pod::house::Everything;

    fn check(head: &str, text: &str, want: &str) {
        let sanitizer = Arc::new(Sanitizer::builtin());
        let house = House::new(sanitizer.clone(), Box::new(Everything), Box::new(Everything));
        let origin = Arc::new(Origin { input: "syslog", labels: Vec::new() });
        let mut batch = Batch::new(origin, sanitizer.clone());
        // A process stands between them.
        let line = if head.is_empty() { text.to_owned() } else { format!("{head}[7]: {text}") };
        let piece = Piece {
            line: line.as_bytes(),
            text: line.len() - text.len()..line.len(),
            head: 0..head.len(),
            ..Piece::default()
        };
        Whole::new(sanitizer).push(&piece, Details::default(), &mut batch, &house);
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
