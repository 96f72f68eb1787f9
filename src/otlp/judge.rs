//! Which leaves change, and to what.
//!
//! First all leaves of a portion that were not seen before are written into one buffer, a line each with the key in front, and the
//! scanner's prefilter passes over it once. Only where it stops, or where a rule knows the key, is a leaf scanned, as a
//! record of its own.

use std::collections::BTreeMap;
use std::ops::Range;

use super::composite::{Composites, Noted, View};
use super::leaves::{Form, Fresh, Leaf, Leaves, NONE, What};
use super::opaque;
use super::refused::Refused;
use super::seen::{As, Hash, Seen};
use super::wire;
use crate::finding::{Finding, RuleIndex};
use crate::learned::Learned;
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::scan::{Ask, LineStarts, Scanner, Work};

/// How much of the batch is passed over at once.
const BATCH: usize = 64 << 10;
/// Bytes of text, and entries of other kinds, that room is kept for.
const KEPT_TEXT: usize = 2 * BATCH;
const KEPT: usize = 4 << 10;

/// What becomes of a leaf.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) leaf: usize,
    /// The new text, in [`Judge::text`]; `None`: the field goes.
    pub(super) text: Option<Range<usize>>,
}

/// Decides about leaves; remembers what was clean.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) work: Work,
    batch: Vec<u8>,
    /// Which leaf a part of the batch is of, by where it starts.
    marks: Vec<(u32, u32)>,
    /// The leaves to be scanned.
    suspects: Vec<u32>,
    findings: Vec<Finding>,
    number: Vec<u8>,
    composites: Composites,
    written: Vec<u8>,
    pub(super) verdicts: Vec<Verdict>,
    /// What was found in the request.
    pub(super) found: Vec<RuleIndex>,
    /// The pseudonyms that were written.
    pub(super) named: Vec<(RuleIndex, Pseudonym)>,
    /// How many unknown fields go.
    pub(super) removed: usize,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

impl Judge {
    /// Ends early from now on once `ask` says so; `None`: not.
    pub(super) fn stop_when(&mut self, ask: Option<Ask>) {
        self.work.stop_when(ask);
    }

    /// Decides about all leaves of a portion. `strict`: unknown fields go, whatever is in them.
    /// # Errors
    /// It was stopped: nothing is decided, and nothing is remembered as clean.
    pub(super) fn judge(
        &mut self,
        sanitizer: &Sanitizer,
        starts: &LineStarts,
        strict: bool,
        body: &[u8],
        leaves: &mut Leaves,
        seen: &mut Seen,
    ) -> Result<(), Refused> {
        self.verdicts.clear();
        self.written.clear();
        if self.work.should_stop() {
            return Err(Refused::Stopped);
        }
        let scanner = sanitizer.scanner();
        self.keys(scanner, starts, body, leaves, seen);
        self.lines(scanner, starts, body, leaves, seen);
        self.pass(scanner);
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.sort_unstable();
        suspects.dedup();
        for &suspect in &suspects {
            if self.work.is_stopped() {
                break;
            }
            self.scan(sanitizer, strict, body, leaves, suspect);
        }
        suspects.clear();
        self.suspects = suspects;
        if !leaves.shapes.composites.is_empty() {
            self.look_at_composites(sanitizer, body, leaves);
        }
        // Something was not looked at to its end; which leaves are clean is not known.
        if self.work.is_stopped() {
            return Err(Refused::Stopped);
        }
        self.remember(body, leaves, seen);
        Ok(())
    }

    /// Passes over the batch; its leaves with a hit are suspects.
    fn pass(&mut self, scanner: &Scanner) {
        let Self { work, batch, marks, suspects, .. } = self;
        let mut suspect = |at, next: &mut usize| {
            *next += marks[*next..].partition_point(|&(start, _)| start as usize <= at);
            if let Some(&(_, leaf)) = next.checked_sub(1).and_then(|last| marks.get(last))
                && suspects.last() != Some(&leaf)
            {
                suspects.push(leaf);
            }
        };
        let (mut next, mut next_learned) = (0, 0);
        scanner.places(batch, work, |at| suspect(at, &mut next));
        scanner.learned_places(batch, work, |at| suspect(at, &mut next_learned));
        batch.clear();
        marks.clear();
    }

    /// Forgets the request, and gives back memory that only an unusual one has needed.
    pub(super) fn shrink(&mut self) {
        let Self { work, batch, marks, suspects, findings, number, composites, written, .. } = self;
        let Self { verdicts, found, named, removed, .. } = self;
        fn cut<T>(list: &mut Vec<T>, most: usize) {
            list.clear();
            list.shrink_to(most);
        }
        work.shrink(KEPT);
        cut(batch, KEPT_TEXT);
        cut(marks, KEPT);
        cut(suspects, KEPT);
        cut(findings, KEPT);
        cut(number, KEPT);
        cut(written, KEPT_TEXT);
        composites.shrink(KEPT);
        cut(verdicts, KEPT);
        cut(found, KEPT);
        cut(named, KEPT);
        *removed = 0;
    }

    /// A new text.
    pub(super) fn text(&self, range: Range<usize>) -> &[u8] {
        &self.written[range]
    }

    /// Looks at keys: which are known, and which hold something themselves.
    fn keys(
        &mut self,
        scanner: &Scanner,
        starts: &LineStarts,
        body: &[u8],
        leaves: &mut Leaves,
        seen: &Seen,
    ) {
        for index in 0..leaves.list.len() {
            let Leaf { what: What::Key, text, pair, .. } = leaves.list[index] else { continue };
            let text = leaves.text(body, text);
            let hash = Hash::of(As::Key, text);
            if seen.has(As::Key, hash, text) {
                continue;
            }
            self.line(scanner, starts, index, b"", text);
            if scanner.knows_key(text) {
                leaves.set_known(pair);
            } else {
                leaves.fresh.push(Fresh { leaf: index as u32, kind: As::Key, hash });
            }
        }
        leaves.name_pairs(body, |name| scanner.knows_key(name));
    }

    /// Looks at all else.
    fn lines(
        &mut self,
        scanner: &Scanner,
        starts: &LineStarts,
        body: &[u8],
        leaves: &mut Leaves,
        seen: &Seen,
    ) {
        let mut fresh = std::mem::take(&mut leaves.fresh);
        let has_numbers = scanner.learned().is_some_and(Learned::may_be_numbers);
        for (index, leaf) in leaves.list.iter().enumerate() {
            let suspect = index as u32;
            match leaf.what {
                What::Key => {}
                What::Number(form) => {
                    let raw = leaves.text(body, leaf.text);
                    if leaves.is_known(leaf.pair) || has_numbers && self.is_learned(scanner, form, raw) {
                        self.suspects.push(suspect);
                    }
                }
                What::Unknown | What::Member => self.suspects.push(suspect),
                What::Text | What::Bytes | What::Hex if leaves.is_known(leaf.pair) => {
                    self.suspects.push(suspect)
                }
                What::Text | What::Bytes | What::Hex => {
                    let text = leaves.text(body, leaf.text);
                    let mut keys = leaves.keys_of(body, leaf.pair);
                    let key = keys.next().unwrap_or_default();
                    let more = keys.next();
                    let from = self.batch.len();
                    Scanner::join(key, text, &mut self.batch);
                    // A unit remembers what it holds; what is in none, as in JSON, is remembered here. A quote in a key
                    // would leave open where it ends, and without a key a line is a text.
                    let is_line = leaf.unit == NONE && !key.is_empty() && more.is_none();
                    if is_line && !key.contains(&b'"') {
                        let line = &self.batch[from..];
                        let hash = Hash::of(As::Line, line);
                        if seen.has(As::Line, hash, line) {
                            self.batch.truncate(from);
                            continue;
                        }
                        fresh.push(Fresh { leaf: suspect, kind: As::Line, hash });
                    }
                    self.mark(scanner, starts, from, index, key, text);
                    for key in more.into_iter().chain(keys) {
                        self.line(scanner, starts, index, key, text);
                    }
                }
            }
        }
        leaves.fresh = fresh;
    }

    /// Whether a number holds a learned value.
    fn is_learned(&mut self, scanner: &Scanner, form: Form, raw: &[u8]) -> bool {
        self.number.clear();
        write_number(form, raw, &mut self.number);
        scanner.is_learned_number(&self.number, &mut self.work)
    }

    /// Writes a line of the batch.
    fn line(&mut self, scanner: &Scanner, starts: &LineStarts, leaf: usize, key: &[u8], text: &[u8]) {
        let from = self.batch.len();
        Scanner::join(key, text, &mut self.batch);
        self.mark(scanner, starts, from, leaf, key, text);
    }

    /// Ends a line of the batch that starts at `from`.
    fn mark(
        &mut self,
        scanner: &Scanner,
        starts: &LineStarts,
        from: usize,
        leaf: usize,
        key: &[u8],
        text: &[u8],
    ) {
        if scanner.looks_at_all() || starts.holds(scanner, key, text) {
            self.suspects.push(leaf as u32);
        }
        self.marks.push((from as u32, leaf as u32));
        self.batch.push(b'\n');
        if self.batch.len() >= BATCH {
            self.pass(scanner);
        }
    }

    /// Scans a leaf as a record of its own, under each of its keys.
    fn scan(&mut self, sanitizer: &Sanitizer, strict: bool, body: &[u8], leaves: &mut Leaves, index: u32) {
        let scanner = sanitizer.scanner();
        let leaf = leaves.list[index as usize];
        let Self { work, findings, number, written, found, named, .. } = self;
        let raw = leaves.text(body, leaf.text);
        // What stands below a key that a rule knows is secret, however it is written.
        let goes = strict || leaves.is_known(leaf.pair);
        let is_unknown = match leaf.what {
            What::Unknown => Some(goes || !opaque::is_clean(scanner, raw, work)),
            What::Member => Some(goes || !scanner.scan_keyed(b"", raw, work).is_empty()),
            _ => None,
        };
        if let Some(goes) = is_unknown {
            if goes {
                self.removed += 1;
                self.verdicts.push(Verdict { leaf: index as usize, text: None });
                leaves.set_changed(leaf.unit);
            }
            return;
        }
        let text = match leaf.what {
            What::Number(form) => {
                number.clear();
                write_number(form, raw, number);
                number
            }
            _ => raw,
        };
        findings.clear();
        let pair = if leaf.what == What::Key { NONE } else { leaf.pair };
        let mut has_key = false;
        for key in leaves.keys_of(body, pair) {
            has_key = true;
            findings.extend_from_slice(scanner.scan_keyed(key, text, work));
        }
        if has_key {
            scanner.resolve(findings);
        } else {
            findings.extend_from_slice(scanner.scan_keyed(b"", text, work));
        }
        if findings.is_empty() {
            return;
        }
        let start = written.len();
        let note = &mut |rule, pseudonym| named.push((rule, pseudonym));
        sanitizer.write_noting(text, findings, &mut |bytes| written.extend_from_slice(bytes), note);
        found.extend(findings.iter().map(|finding| finding.rule));
        self.verdicts.push(Verdict { leaf: index as usize, text: Some(start..written.len()) });
        leaves.set_changed(leaf.unit);
    }

    /// Looks at values that hold values, with their leaves as they are now.
    fn look_at_composites(&mut self, sanitizer: &Sanitizer, body: &[u8], leaves: &mut Leaves) {
        let Self { work, written, verdicts, found, named, composites, .. } = self;
        let judged = |leaf: u32| {
            let at = verdicts.binary_search_by_key(&(leaf as usize), |verdict| verdict.leaf).ok()?;
            verdicts[at].text.clone().map(|text| &written[text])
        };
        let mut view = View { body, leaves, judged: &judged, texts: BTreeMap::new(), is_raw: false };
        composites.look(sanitizer, &mut view, work, &mut Noted { found, named });
        for (leaf, text) in view.texts {
            let start = written.len();
            written.extend_from_slice(&text);
            let verdict = Verdict { leaf: leaf as usize, text: Some(start..written.len()) };
            match verdicts.binary_search_by_key(&verdict.leaf, |known| known.leaf) {
                Ok(at) => verdicts[at] = verdict,
                Err(at) => verdicts.insert(at, verdict),
            }
            leaves.set_changed(leaves.list[leaf as usize].unit);
        }
    }

    /// Notes what was clean.
    fn remember(&mut self, body: &[u8], leaves: &Leaves, seen: &mut Seen) {
        for unit in leaves.units.iter().filter(|unit| !unit.is_changed) {
            seen.add(unit.kind, unit.hash, &body[unit.start as usize..unit.end as usize]);
        }
        let mut line = Vec::new();
        for &Fresh { leaf: index, kind, hash } in &leaves.fresh {
            if self.verdicts.binary_search_by_key(&(index as usize), |verdict| verdict.leaf).is_ok() {
                continue;
            }
            let leaf = &leaves.list[index as usize];
            let text = leaves.text(body, leaf.text);
            if kind == As::Line {
                line.clear();
                let key = leaves.keys_of(body, leaf.pair).next().unwrap_or_default();
                Scanner::join(key, text, &mut line);
                seen.add(kind, hash, &line);
            } else {
                seen.add(kind, hash, text);
            }
        }
    }
}

/// Writes a number of the wire as text.
pub(super) fn write_number(form: Form, raw: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;

    let varint = || wire::varint(raw, 0, raw.len()).map_or(0, |(value, _)| value);
    // Writing to memory does not fail.
    let _ = match form {
        Form::Written => out.write_all(raw),
        Form::Bool => write!(out, "{}", varint() != 0),
        Form::Int => write!(out, "{}", varint() as i64),
        Form::Double => write!(out, "{}", raw.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes))),
    };
}
