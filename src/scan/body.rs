//! The body of a private key in a line that may hold some of it: runs of base64 that nothing else looks like, or what
//! stands where the body stood in the line before.
//!
//! In a document of JSON the body stands in strings, never in the key of an object.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use crate::carrier::escape::sequence_end;
use crate::carrier::json::{self, Content, Scalar};
use crate::carrier::placeholder::holds_marker;

/// A run of base64 that is body wherever it stands in a line.
const SURE_RUN: usize = 40;
/// A run that is body right behind the first line.
const FIRST_RUN: usize = 16;
/// How deep in each other documents are looked into.
const MAX_DEPTH: u8 = 8;

/// Where the body began in the line before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The line before is the first one.
    First,
    /// It had none.
    Nowhere,
    /// So many bytes into the line.
    Line(usize),
    /// So many bytes into a string of a document, told by a hash of the keys that lead to it.
    Value(u64, usize),
}

/// Calls `found` with the body of a key in `line`, of which what stands before `end` belongs to the key. Gives where
/// the body starts.
pub(super) fn body_in(
    line: &[u8],
    column: Column,
    end: Option<&[u8]>,
    found: &mut dyn FnMut(Range<usize>),
) -> Option<Column> {
    let mut record = Record { column, end, pieces: Vec::new(), is_over: false };
    if record.read(line, 0, 0) {
        let is_sure = record.pieces.iter().any(|piece| piece.is_sure);
        if !is_sure && holds_marker(line) {
            return None;
        }
        let mut pieces = record.pieces.into_iter().filter(|piece| piece.is_sure == is_sure);
        let first = pieces.next()?;
        found(first.range);
        pieces.for_each(|piece| found(piece.range));
        return Some(first.column);
    }
    let own = end.and_then(|end| memchr::memmem::find(line, end)).map_or(line, |at| &line[..at]);
    let column = if end.is_some() { Column::Line(0) } else { column };
    in_text(own, column, found).map(Column::Line)
}

/// The body in a line that is no document.
fn in_text(line: &[u8], column: Column, found: &mut dyn FnMut(Range<usize>)) -> Option<usize> {
    let mut first = None;
    sure_runs(line, |run| {
        if !is_key(line, run.end) {
            first = first.or(Some(run.start));
            found(run);
        }
    });
    // Where a marker stands the body was, and is no more.
    if first.is_some() || holds_marker(line) {
        return first;
    }
    let run = match column {
        // Whatever the line ends with, if it can be body.
        Column::First => {
            let text = trim(line, 0..line.len());
            let len = line[text.clone()].iter().rev().take_while(|&&b| is_body_byte(b)).count();
            let run = sequence_end(line, text.end - len).min(text.end)..text.end;
            (run.len() >= FIRST_RUN && !is_words(&line[run.clone()])).then_some(run)
        }
        Column::Line(column) => in_column(line, column),
        Column::Nowhere | Column::Value(..) => None,
    }?;
    let start = run.start;
    found(run);
    Some(start)
}

/// What stands in `column`, if it can be body: it starts there and ends with the line, the string or a blank.
fn in_column(line: &[u8], column: usize) -> Option<Range<usize>> {
    let rest = line.get(column..)?;
    if column > 0 && is_body_byte(line[column - 1]) && sequence_end(line, column - 1) != column {
        return None;
    }
    let run = &rest[..rest.iter().take_while(|&&b| is_body_byte(b)).count()];
    let is_body = match rest.get(run.len()) {
        None | Some(b'\r' | b'\n' | 0x1B) => !run.is_empty(),
        Some(b'"' | b'\\' | b'\'' | b'<') => {
            !run.is_empty() && !is_words(run) && !is_key(line, column + run.len())
        }
        // Something else in the line: what it follows must look like a body by itself.
        Some(b' ' | b';' | b',') => run.len() >= 8 && is_mixed(run) && !is_words(run),
        Some(_) => false,
    };
    is_body.then(|| column..column + run.len())
}

/// Body in a document of JSON.
struct Record<'e> {
    column: Column,
    end: Option<&'e [u8]>,
    pieces: Vec<Piece>,
    /// The end was seen.
    is_over: bool,
}

/// A run that may be body.
struct Piece {
    range: Range<usize>,
    column: Column,
    is_sure: bool,
}

impl Record<'_> {
    /// Takes what may be body in the strings of `text`; whether it is a document.
    fn read(&mut self, text: &[u8], outer: u64, depth: u8) -> bool {
        let mut key = outer;
        let mut nth = 0;
        let before = self.pieces.len();
        let was_over = self.is_over;
        let is_document = json::record(text, |scalar, kind| match kind {
            Scalar::Key => {
                key = hash(outer, &text[scalar]);
                nth = 0;
            }
            Scalar::Text => {
                nth += 1;
                self.string(text, scalar, hash(key, &[nth]), depth);
            }
            Scalar::Bare => {}
        });
        if !is_document {
            self.pieces.truncate(before);
            self.is_over = was_over;
        }
        is_document
    }

    fn string(&mut self, text: &[u8], scalar: Range<usize>, key: u64, depth: u8) {
        if self.is_over || scalar.is_empty() {
            return;
        }
        let content = Content::of(&text[scalar.clone()]);
        let before = self.pieces.len();
        if depth == MAX_DEPTH || !self.read(content.text(), key, depth + 1) {
            self.body(content.text(), key);
        }
        for piece in &mut self.pieces[before..] {
            let source = content.source_range(piece.range.clone());
            piece.range = scalar.start + source.start..scalar.start + source.end;
        }
    }

    fn body(&mut self, text: &[u8], key: u64) {
        let end = self.end.and_then(|end| memchr::memmem::find(text, end));
        self.is_over = end.is_some();
        let own = &text[..end.unwrap_or(text.len())];
        let before = self.pieces.len();
        sure_runs(own, |range| {
            let column = Column::Value(key, range.start);
            self.pieces.push(Piece { range, column, is_sure: true });
        });
        if self.pieces.len() > before {
            return;
        }
        let column = match self.column {
            _ if end.is_some() => 0,
            Column::Value(of, column) if of == key => column,
            _ => return,
        };
        if let Some(range) = in_column(own, column)
            && is_ending(&own[range.clone()])
            && !is_words(&own[range.clone()])
        {
            self.pieces.push(Piece { range, column: Column::Value(key, column), is_sure: false });
        }
    }
}

fn hash(outer: u64, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (outer, name).hash(&mut hasher);
    hasher.finish()
}

/// Calls `found` with the runs of base64 that are neither short nor a path nor a name.
fn sure_runs(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        let len = text[at..].iter().take_while(|&&b| is_body_byte(b)).count();
        if len >= SURE_RUN {
            let start = sequence_end(text, at).min(at + len);
            let run = &text[start..at + len];
            if run.len() >= SURE_RUN && is_mixed(run) && !is_path(run) {
                found(start..at + len);
            }
        }
        at += len + 1;
    }
}

/// Whether a quote and a colon stand at `end`: what is before them is the key of an object.
fn is_key(line: &[u8], end: usize) -> bool {
    let rest = line.get(end..).unwrap_or_default();
    let slashes = rest.iter().take(256).take_while(|&&b| b == b'\\').count();
    match &rest[slashes..] {
        [b'"' | b'\'', rest @ ..] => {
            let blanks = rest.iter().take(16).take_while(|b| b.is_ascii_whitespace()).count();
            rest.get(blanks) == Some(&b':')
        }
        _ => false,
    }
}

/// Whether little is left of a run without the words between its slashes, as in a path, or the words of a long name.
fn is_path(run: &[u8]) -> bool {
    let others = || run.split(|&b| b == b'/').filter(|piece| piece.len() < 3 || !is_wordy(piece, 5));
    let left: usize = others().map(<[u8]>::len).sum();
    let has = |is: fn(&u8) -> bool| others().flatten().any(is);
    left < SURE_RUN / 2 || !has(u8::is_ascii_uppercase) || !has(u8::is_ascii_lowercase)
}

/// Nothing but words, with slashes between them.
fn is_words(run: &[u8]) -> bool {
    run.iter().all(|b| b.is_ascii_alphabetic() || *b == b'/')
        && run.split(|&b| b == b'/').all(|piece| is_wordy(piece, 9))
        && run.iter().any(u8::is_ascii_lowercase)
}

/// Whether one kind of letter follows another at most once in so many letters; a word may begin with a capital.
fn is_wordy(piece: &[u8], letters: usize) -> bool {
    let kind = |b: u8| (b.is_ascii_uppercase(), b.is_ascii_lowercase(), b.is_ascii_digit());
    let changes = (1..piece.len())
        .filter(|&i| {
            let is_capital = piece[i - 1].is_ascii_uppercase()
                && piece[i].is_ascii_lowercase()
                && !(i > 1 && piece[i - 2].is_ascii_uppercase());
            kind(piece[i - 1]) != kind(piece[i]) && !is_capital
        })
        .count();
    changes * letters <= piece.len()
}

/// Whether a run can be a line of a body: groups of four letters, or the checksum of PGP's form.
fn is_ending(run: &[u8]) -> bool {
    run.len().is_multiple_of(4) || matches!(run, [b'=', sum @ ..] if sum.len() == 4)
}

/// Upper and lower case: base64, and neither hex digits nor a word.
fn is_mixed(run: &[u8]) -> bool {
    run.iter().any(u8::is_ascii_uppercase) && run.iter().any(u8::is_ascii_lowercase)
}

pub(super) fn is_body_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// `range` without blanks, quotes and written-out line ends at its edges.
pub(super) fn trim(line: &[u8], range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start, range.end);
    while start < end {
        match &line[start..end] {
            [b'\\', b'n' | b'r' | b't', ..] => start += 2,
            [b'\\' | b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b',' | b'|' | b'>', ..] => start += 1,
            _ => break,
        }
    }
    while start < end {
        match &line[start..end] {
            [.., b'\\', b'n' | b'r' | b't'] => end -= 2,
            [.., b'\\' | b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b','] => end -= 1,
            _ => break,
        }
    }
    start..end
}
