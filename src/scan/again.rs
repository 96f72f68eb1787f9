//! Looking again beside findings: once a finding is a marker, a word may begin where none did. Without this, cleaning
//! twice would not equal cleaning once.

use std::ops::Range;

use super::confirm::Looker;
use super::{LineWork, Scanner, structure};
use crate::carrier::json;
use crate::finding::Finding;
use crate::rules::byte_set::ByteSet;

/// How often a line is looked at again.
const ROUNDS: usize = 4;
/// How far from a new marker something may begin that was none before: to the next break, at most so far,
const TO_BREAK: usize = 4096;
/// and then so far again, for a key and what it is tied to,
const BEYOND: usize = 256;
/// or for a regex that reads over it from afar.
const SPAN: usize = 4096;

/// Looks again beside findings of `line` that stand without a break beside something else. `is_json`: whether the line
/// is a document, if it is known.
pub(super) fn look_again(scanner: &Scanner, line: &[u8], is_json: Option<bool>, work: &mut LineWork) {
    let LineWork { found, hits, buffers, pieces, again } = work;
    let Buffers { marked, before, more } = again;
    // What was refused for a marker in it may end sooner once there are more.
    let is_over_marker = buffers.is_over_marker;
    before.clear();
    for _ in 0..ROUNDS {
        let is_new = |finding: &Finding| {
            let place = before.partition_point(|old| old.start < finding.start);
            before.get(place).is_none_or(|old| old.range() != finding.range())
        };
        let is_due = |finding: &Finding| {
            (is_over_marker || is_tight(line, finding) || ends_spans(line, finding)) && is_new(finding)
        };
        if !found.iter().any(is_due) {
            return;
        }
        marked.mark(line, found, is_due);
        let Marked { text, runs, windows, .. } = &*marked;
        hits.clear();
        for window in windows {
            let first = hits.len();
            scanner.prefilter.scan(&text[window.clone()], hits);
            hits[first..].iter_mut().for_each(|hit| hit.at += window.start);
        }
        more.clear();
        Looker { scanner, buffers, left: &mut |_| {} }.look(text, 0, hits, more);
        before.clone_from(found);
        for finding in more.iter() {
            // Runs of the line itself, by where they stand in the text.
            let run = runs.partition_point(|&(at, _)| at <= finding.start);
            let Some(&(at, source)) = runs[..run].last() else { continue };
            let (start, end) = (finding.start - at + source, finding.end - at + source);
            let next = before.partition_point(|old| old.end <= start);
            if end <= line.len() && before.get(next).is_none_or(|old| old.start >= end) {
                found.push(Finding { start, end, ..*finding });
            }
        }
        if found.len() == before.len() {
            return;
        }
        if is_json.unwrap_or_else(|| json::is_record(line)) {
            structure::keep(line, found, pieces);
        }
        scanner.resolve(found);
    }
}

/// Bytes that the regexes of rules do not read over.
const SPAN_ENDS: ByteSet = ByteSet::of_each(b"|;&{}()<>");

/// Whether a finding holds such a byte: with a marker in its place, regexes may read on.
fn ends_spans(line: &[u8], finding: &Finding) -> bool {
    line[finding.range()].iter().any(|&byte| SPAN_ENDS.has(byte))
}

/// Whether what stands right before or behind a finding could become a word of its own.
fn is_tight(line: &[u8], finding: &Finding) -> bool {
    let before = finding.start.checked_sub(1).map(|i| line[i]);
    let after = line.get(finding.end);
    // A quote in a value, or one behind one of these, may have been taken for the start of a string.
    let opens = memchr::memchr3(b'"', b'\'', b'`', &line[finding.range()]).is_some()
        || line[..finding.end].last().is_some_and(|b| matches!(b, b'[' | b'{' | b',' | b':' | b'('));
    opens
        || before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b']'))
        || after.is_some_and(|b| {
            !b.is_ascii_whitespace()
                && !matches!(b, b'"' | b'\'' | b'&' | b',' | b';' | b')' | b']' | b'}' | b'<' | b'>' | b'\\')
        })
}

/// What is needed for looking again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    marked: Marked,
    /// What was found before, and what more.
    before: Vec<Finding>,
    more: Vec<Finding>,
}

/// A line with a marker in place of each finding.
#[derive(Default)]
struct Marked {
    text: Vec<u8>,
    /// Where the line's own runs stand: in the text, in the line.
    runs: Vec<(usize, usize)>,
    /// What stands around the markers of findings that are due, in order and none overlapping.
    windows: Vec<Range<usize>>,
    /// Where those markers start, and whether regexes now read over them.
    due: Vec<(usize, bool)>,
}

impl std::fmt::Debug for Marked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marked").field("len", &self.text.len()).finish_non_exhaustive()
    }
}

impl Marked {
    fn mark(&mut self, line: &[u8], found: &[Finding], is_due: impl Fn(&Finding) -> bool) {
        const MARKER: &[u8] = b"[REDACTED:x]";
        let Self { text, runs, windows, due } = self;
        text.clear();
        runs.clear();
        runs.push((0, 0));
        windows.clear();
        due.clear();
        let mut done = 0;
        for finding in found {
            text.extend_from_slice(&line[done..finding.start]);
            if is_due(finding) {
                due.push((text.len(), ends_spans(line, finding)));
            }
            text.extend_from_slice(MARKER);
            done = finding.end;
            runs.push((text.len(), done));
        }
        text.extend_from_slice(&line[done..]);
        for &(start, ends_spans) in due.iter() {
            let beyond = if ends_spans { SPAN } else { BEYOND };
            let floor = windows.last().map_or(0, |last| last.end);
            if start + MARKER.len() + beyond <= floor {
                continue;
            }
            let end = start + MARKER.len();
            let back = text[floor.min(start)..start].iter().rev().take(TO_BREAK);
            let from = start - back.take_while(|&&b| !is_break(b)).count();
            let ahead = text[end..].iter().take(TO_BREAK).take_while(|&&b| !is_break(b)).count();
            let window = from.saturating_sub(beyond)..text.len().min(end + ahead + beyond);
            match windows.last_mut() {
                Some(last) if window.start <= last.end => last.end = last.end.max(window.end),
                _ => windows.push(window),
            }
        }
    }
}

/// Whether no token goes on beyond `byte`.
fn is_break(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`')
}
