//! Clean records on their way from an input to an output, and where they come from.

use std::borrow::Cow;
use std::sync::Arc;

use super::guard::Draft;
use crate::finding::{Finding, RuleIndex};
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::stream::Out;

/// A source of records, as its records are labelled. Labels are clean: whoever makes an origin has them scrubbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The kind of input: `file`, `fifo`, `syslog`, `cri`.
    pub input: &'static str,
    /// Names and values: `file.path`, `k8s.pod.name` … as the semantic conventions of OpenTelemetry have them.
    pub labels: Vec<(Cow<'static, str>, String)>,
}

impl Origin {
    /// What an audit trail calls it: the input, and what its first label says.
    pub fn source(&self) -> Cow<'static, str> {
        match self.labels.first() {
            Some((_, value)) => format!("{}:{value}", self.input).into(),
            None => self.input.into(),
        }
    }
}

/// What is known of a record beside its text. Clean, as the text is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// When it was made, in nanoseconds since 1970, if its carrier says so.
    pub time: Option<u64>,
    /// How severe it is: a number of OTLP's `SeverityNumber`, 0 where nothing is said.
    pub severity: u8,
    /// Labels of this record alone.
    pub labels: Vec<(Cow<'static, str>, String)>,
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its text ends in the text of the batch; it begins where the one before it ends.
    pub end: usize,
    /// What else is known of it.
    pub details: Details,
}

/// Records of one origin, scrubbed, in order.
#[derive(Debug)]
pub struct Batch {
    /// Where they come from.
    pub origin: Arc<Origin>,
    /// Whose rules the findings are.
    pub sanitizer: Arc<Sanitizer>,
    text: Vec<u8>,
    records: Vec<Record>,
    /// What the labels of its records take, when they ended.
    labels: usize,
    found: Vec<RuleIndex>,
    named: Vec<(RuleIndex, Pseudonym)>,
}

/// About how much memory labels take.
fn weight(details: &Details) -> usize {
    let one = |(name, value): &(Cow<'static, str>, String)| {
        size_of::<(Cow<'static, str>, String)>() + name.len() + value.len()
    };
    details.labels.iter().map(one).sum()
}

impl Batch {
    /// A batch of nothing yet.
    pub fn new(origin: Arc<Origin>, sanitizer: Arc<Sanitizer>) -> Self {
        Self {
            origin,
            sanitizer,
            text: Vec::new(),
            records: Vec::new(),
            labels: 0,
            found: Vec::new(),
            named: Vec::new(),
        }
    }

    /// Whether there is nothing in it: no record, and none that has begun.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.records.is_empty()
    }

    /// How many bytes of text it holds.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// About how much memory it takes: whoever fills it gives it away before that is much. Not only texts count: a record may
    /// be all labels, and millions of empty ones are much, too.
    pub fn weight(&self) -> usize {
        let Self { origin: _, sanitizer: _, text, records, labels, found, named } = self;
        text.len() + size_of_val(&records[..]) + labels + size_of_val(&found[..]) + size_of_val(&named[..])
    }

    /// Its records and their texts, without newlines at their ends.
    pub fn records(&self) -> impl Iterator<Item = (&Record, &[u8])> {
        let mut start = 0;
        self.records.iter().map(move |record| {
            let text = &self.text[start..record.end];
            start = record.end;
            (record, text)
        })
    }

    /// The rules that found something, once for each finding, in order.
    pub fn found(&self) -> &[RuleIndex] {
        &self.found
    }

    /// The pseudonyms of those that got one.
    pub fn named(&self) -> &[(RuleIndex, Pseudonym)] {
        &self.named
    }

    /// Ends the record that has begun, even if it is empty.
    pub fn end_record(&mut self, details: Details) {
        self.labels += weight(&details);
        self.records.push(Record { end: self.text.len(), details });
    }

    /// Adds a whole record; newlines in its text do not end it. None may have begun.
    pub fn push_record(
        &mut self,
        text: &[u8],
        found: &[RuleIndex],
        named: &[(RuleIndex, Pseudonym)],
        details: Details,
    ) {
        self.text.extend_from_slice(text);
        self.found.extend_from_slice(found);
        self.named.extend_from_slice(named);
        self.end_record(details);
    }

    /// Whether the text of a record has begun and not ended.
    pub fn is_in_record(&self) -> bool {
        self.records.last().map_or(0, |record| record.end) < self.text.len()
    }

    /// How many records have ended.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// What is known of the records from the one with this number on, to be filled in.
    pub fn details_mut(&mut self, from: usize) -> impl ExactSizeIterator<Item = &mut Details> {
        let from = from.min(self.records.len());
        self.records[from..].iter_mut().map(|record| &mut record.details)
    }

    /// Forgets its records; origin and rules stay, and so does what has begun of a record.
    pub fn clear(&mut self) {
        let begun = self.records.last().map_or(0, |record| record.end);
        self.text.drain(..begun);
        self.records.clear();
        self.labels = 0;
        self.found.clear();
        self.named.clear();
    }

    /// How many bytes a record has that has begun and not ended.
    pub fn begun(&self) -> usize {
        self.text.len() - self.records.last().map_or(0, |record| record.end)
    }
}

/// Clean lines become records.
impl Out for Batch {
    fn write(&mut self, bytes: &[u8]) {
        let mut done = 0;
        for newline in memchr::memchr_iter(b'\n', bytes) {
            self.text.extend_from_slice(&bytes[done..newline]);
            self.end_record(Details::default());
            done = newline + 1;
        }
        self.text.extend_from_slice(&bytes[done..]);
    }

    fn replaced(&mut self, finding: &Finding, marker: &[u8]) {
        self.found.push(finding.rule);
        self.named.extend(self.sanitizer.pseudonym(finding.rule, marker).map(|named| (finding.rule, named)));
    }
}

/// A panic takes back the records that came with it.
impl Draft for Batch {
    /// How much there is of text, records, findings and pseudonyms.
    type Mark = [usize; 4];

    fn mark(&self) -> Self::Mark {
        [self.text.len(), self.records.len(), self.found.len(), self.named.len()]
    }

    fn undo(&mut self, [text, records, found, named]: Self::Mark) {
        self.text.truncate(text);
        self.labels -= self.records[records..].iter().map(|record| weight(&record.details)).sum::<usize>();
        self.records.truncate(records);
        self.found.truncate(found);
        self.named.truncate(named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_records() {
        let origin = Arc::new(Origin { input: "file", labels: Vec::new() });
        let mut batch = Batch::new(origin, Arc::new(Sanitizer::builtin()));
        for piece in ["one\n", "", "tw", "o\n\nthree"] {
            batch.write(piece.as_bytes());
        }
        assert!(batch.is_in_record());
        batch.end_record(Details { severity: 9, ..Details::default() });
        assert!(!batch.is_in_record());
        let got: Vec<(&[u8], u8)> =
            batch.records().map(|(record, text)| (text, record.details.severity)).collect();
        assert_eq!(got, [(&b"one"[..], 0), (b"two", 0), (b"", 0), (b"three", 9)]);
        batch.write(b"half of on");
        batch.clear();
        assert_eq!(batch.begun(), 10);
        batch.write(b"e\n");
        assert_eq!(batch.records().map(|(_, text)| text).collect::<Vec<_>>(), [b"half of one"]);
    }

    #[test]
    fn labels_and_empty_records_have_a_weight() {
        let origin = Arc::new(Origin { input: "file", labels: Vec::new() });
        let mut batch = Batch::new(origin, Arc::new(Sanitizer::builtin()));
        let mark = batch.mark();
        let labels = vec![("name".into(), "value".repeat(1000))];
        batch.end_record(Details { labels, ..Details::default() });
        assert!(batch.text.is_empty() && batch.weight() > 5000, "{}", batch.weight());
        batch.undo(mark);
        assert_eq!(batch.weight(), 0);
        (0..1000).for_each(|_| batch.end_record(Details::default()));
        assert!(batch.weight() > 10_000, "{}", batch.weight());
        batch.clear();
        assert_eq!(batch.weight(), 0);
    }
}
