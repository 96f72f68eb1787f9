//! Text on its way through the engine, from any reader to any writer, with as many threads as there are to spare.

use std::io::{self, BufWriter, Read, Write};

use super::counts::Counts;
use super::mixture::{Judge, Verdict};
use crate::finding::Finding;
use crate::parallel::{self, Source, Target};
use crate::sanitize::Sanitizer;
use crate::stream::{Out, Scrubber};

/// How much is collected before it is written.
const COLLECTED: usize = 64 << 10;

/// How scrubbing of a text went.
#[derive(Debug)]
pub(super) struct Scrubbed {
    /// Bytes read.
    pub(super) bytes: u64,
    pub(super) counts: Counts,
    /// What went wrong with a read: it was the last.
    pub(super) unread: Option<io::Error>,
    /// What went wrong with a write.
    pub(super) unwritten: Option<io::Error>,
    /// What it has turned out to be.
    pub(super) verdict: Verdict,
}

/// Scrubs all of `input` to `out`. Where it `allows` something else in a text, that does not end it.
pub(super) fn scrub(
    sanitizer: &Sanitizer,
    threads: usize,
    input: &mut (dyn Read + Send),
    out: &mut (dyn Write + Send),
    allows_all: bool,
) -> Scrubbed {
    let mut feed = Feed { input, bytes: 0, error: None, allows_all, judge: Judge::new() };
    let mut drain = Drain::new(sanitizer, out);
    parallel::scrub(sanitizer, threads, &mut feed, &mut drain, &|| {});
    let Feed { bytes, error, mut judge, .. } = feed;
    let (counts, unwritten) = drain.finish();
    Scrubbed { bytes, counts, unread: error, unwritten, verdict: judge.end() }
}

/// Scrubs a text that is there: the same without what it takes to get threads and blocks ready.
pub(super) fn scrub_little(sanitizer: &Sanitizer, text: &[u8], out: &mut (dyn Write + Send)) -> Scrubbed {
    let mut drain = Drain::new(sanitizer, out);
    let mut scrubber = Scrubber::new(sanitizer);
    scrubber.push(text, &mut drain);
    scrubber.finish(&mut drain);
    let (counts, unwritten) = drain.finish();
    let mut judge = Judge::new();
    judge.push(text);
    Scrubbed { bytes: text.len() as u64, counts, unread: None, unwritten, verdict: judge.end() }
}

struct Feed<'i> {
    input: &'i mut (dyn Read + Send),
    bytes: u64,
    error: Option<io::Error>,
    allows_all: bool,
    judge: Judge,
}

impl Source for Feed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            match self.input.read(buffer) {
                Ok(len) => {
                    self.bytes += len as u64;
                    self.judge.push(&buffer[..len]);
                    let goes_on = self.allows_all || self.judge.verdict() == Verdict::Text;
                    return if goes_on { len } else { 0 };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    return 0;
                }
            }
        }
    }
}

/// Writes clean bytes and counts findings. After a failed write it takes no more.
struct Drain<'o> {
    sanitizer: &'o Sanitizer,
    out: BufWriter<&'o mut (dyn Write + Send)>,
    error: Option<io::Error>,
    counts: Counts,
}

impl<'o> Drain<'o> {
    fn new(sanitizer: &'o Sanitizer, out: &'o mut (dyn Write + Send)) -> Self {
        Self {
            sanitizer,
            out: BufWriter::with_capacity(COLLECTED, out),
            error: None,
            counts: Counts::default(),
        }
    }

    fn finish(mut self) -> (Counts, Option<io::Error>) {
        if self.error.is_none() {
            self.error = self.out.flush().err();
        }
        // What could not be written is not tried again.
        let _ = self.out.into_parts();
        (self.counts, self.error)
    }
}

impl Out for Drain<'_> {
    fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.out.write_all(bytes).err();
        }
    }

    fn replaced(&mut self, finding: &Finding, marker: &[u8]) {
        self.counts.add(finding.rule);
        if let Some(pseudonym) = self.sanitizer.pseudonym(finding.rule, marker) {
            self.counts.name(finding.rule, pseudonym);
        }
    }
}

impl Target for Drain<'_> {
    fn end_block(&mut self) -> bool {
        self.error.is_none()
    }
}
