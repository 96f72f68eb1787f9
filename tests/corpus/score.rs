//! Scoring: what a scrubber left of each secret, and what it did to the rest.
//!
//! A record is *leaked* if a run of eight bytes of a secret, as carried or as it really reads, comes out,
//! unless the run also stands in the record's harmless text; a secret shorter than eight counts as a whole.
//! It is *broken* if its JSON no longer parses or has other keys, *lost* if lines are missing, *damaged* if
//! text outside the secrets did not come through in order, and *unstable* if scrubbing the result again
//! changes it. What a scrubber calls a finding does not matter here.

use std::collections::HashSet;

use super::Record;
use super::shape::shape;
use super::table::Table;

/// The least run of a secret's bytes that counts as a leak.
pub(crate) const RUN: usize = 8;

/// What became of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) leaked: bool,
    pub(crate) broken_json: bool,
    pub(crate) lost: bool,
    pub(crate) context_damaged: bool,
    pub(crate) unstable: bool,
}

impl Outcome {
    pub(crate) fn is_clean(self) -> bool {
        self == Self::default()
    }
}

/// Scrubs and judges every record.
pub(crate) fn score(records: &[Record], scrub: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> Table {
    let mut table = Table::default();
    for (index, record) in records.iter().enumerate() {
        let out = scrub(&record.bytes);
        let mut outcome = judge(record, &out);
        outcome.unstable = scrub(&out) != out;
        table.add(index, record, outcome);
    }
    table
}

/// Judges one result, all but its stability.
pub(crate) fn judge(record: &Record, out: &[u8]) -> Outcome {
    // A scrubber of streams may end the last line.
    let out = match out.strip_suffix(b"\n") {
        Some(rest) if !record.bytes.ends_with(b"\n") => rest,
        _ => out,
    };
    Outcome {
        leaked: leaked(record, out),
        broken_json: record.json && shape(out).is_none_or(|events| Some(events) != shape(&record.bytes)),
        lost: lost(record, out),
        context_damaged: context_damaged(record, out),
        unstable: false,
    }
}

fn leaked(record: &Record, out: &[u8]) -> bool {
    // The id in a marker may hold the name that a token begins with.
    let out = &without_markers(out);
    let harmless = record.harmless();
    let known: HashSet<&[u8]> = harmless.iter().flat_map(|text| text.windows(RUN)).collect();
    let shown: HashSet<&[u8]> = out.windows(RUN).collect();
    let forms = record.secrets.iter().zip(&record.plain).flat_map(|(range, plain)| {
        std::iter::once(&record.bytes[range.clone()]).chain(plain.iter().map(Vec::as_slice))
    });
    forms.into_iter().any(|form| {
        if form.len() < RUN {
            count(out, form) > harmless.iter().map(|text| count(text, form)).sum()
        } else {
            form.windows(RUN).any(|run| tells(run) && shown.contains(run) && !known.contains(run))
        }
    })
}

fn without_markers(out: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(out.len());
    let mut rest = out;
    while let Some(at) = find(rest, b"REDACTED:") {
        kept.extend_from_slice(&rest[..at]);
        let end = rest[at..].iter().position(|b| matches!(b, b']' | b'%')).map_or(rest.len(), |len| at + len);
        rest = &rest[end..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// Deep nesting makes long runs of backslashes of its own; those say nothing of the secret.
fn tells(run: &[u8]) -> bool {
    run.iter().filter(|&&b| b != b'\\').count() >= 3
}

fn count(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|window| *window == word).count()
}

fn lost(record: &Record, out: &[u8]) -> bool {
    let newlines = |text: &[u8]| text.iter().filter(|&&b| b == b'\n').count();
    let due: usize = record.context().iter().map(|text| newlines(text)).sum();
    out.is_empty() != record.bytes.is_empty() || newlines(out) < due
}

/// Kept text must come out in order, the first at the start and the last at the end.
fn context_damaged(record: &Record, out: &[u8]) -> bool {
    let ranges = record.context_ranges();
    let mut at = 0;
    for range in &ranges {
        let text = &record.bytes[range.clone()];
        let found = if range.end == record.bytes.len() {
            out.ends_with(text).then(|| out.len() - text.len()).filter(|&start| start >= at)
        } else if range.start == 0 {
            out.starts_with(text).then_some(0)
        } else {
            find(&out[at..], text).map(|start| at + start)
        };
        match found {
            Some(start) if range.start > 0 || start == 0 => at = start + text.len(),
            _ => return true,
        }
    }
    false
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

/// The negatives that a scrubber changed: their indexes.
pub(crate) fn changed(negatives: &[Record], scrub: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> Vec<usize> {
    let changes = |record: &Record, scrub: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
        let out = scrub(&record.bytes);
        out != record.bytes
    };
    (0..negatives.len()).filter(|&index| changes(&negatives[index], scrub)).collect()
}
