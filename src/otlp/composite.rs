//! Values that hold values: what stands beside a secret may be what tells it, as in `["--password", "…"]` or
//! `{"credentials": {"value": "…"}}`. So each such value is also looked at as a whole, as the line of JSON that it would be in
//! a log, and what is found in the line is found in the leaves that it stands in.
//!
//! That is done with the leaves as they came, since what tells a secret may be replaced itself; then with the leaves as they
//! have been judged, and again until nothing is found: so twice is once.

use std::collections::BTreeMap;
use std::ops::Range;

use super::judge::write_number;
use super::leaves::{Leaves, What};
use super::shapes::{Shape, Shaped};
use crate::carrier::placeholder::marker_at;
use crate::finding::{Finding, Place, RuleIndex};
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;
use crate::scan::Work;

/// How often a value is looked at. What is found after that takes whole leaves.
const MOST_LOOKS: usize = 4;

/// The leaves of a portion as they are now.
pub(super) struct View<'v> {
    pub(super) body: &'v [u8],
    pub(super) leaves: &'v Leaves,
    /// What has become of a leaf by itself, if it has changed.
    pub(super) judged: &'v dyn Fn(u32) -> Option<&'v [u8]>,
    /// The leaves that have changed here, and what they are now.
    pub(super) texts: BTreeMap<u32, Vec<u8>>,
    /// All are seen as they came.
    pub(super) is_raw: bool,
}

/// What a leaf is now.
struct Present<'t> {
    text: &'t [u8],
    /// A number stays one unless it has changed.
    is_number: bool,
}

impl View<'_> {
    /// What has become of a leaf, if it has changed.
    fn changed(&self, leaf: u32) -> Option<&[u8]> {
        self.texts.get(&leaf).map(Vec::as_slice).or_else(|| (self.judged)(leaf))
    }

    /// What a leaf is now; a number is written to `number`.
    fn leaf<'t>(&'t self, leaf: u32, number: &'t mut Vec<u8>) -> Present<'t> {
        if let Some(text) = self.changed(leaf).filter(|_| !self.is_raw) {
            return Present { text, is_number: false };
        }
        let held = &self.leaves.list[leaf as usize];
        let raw = self.leaves.text(self.body, held.text);
        let What::Number(form) = held.what else { return Present { text: raw, is_number: false } };
        number.clear();
        write_number(form, raw, number);
        Present { text: number, is_number: true }
    }
}

/// Looks at values that hold values.
#[derive(Default)]
pub(super) struct Composites {
    line: Vec<u8>,
    /// Which leaf is where in the line, in order.
    parts: Vec<(Range<usize>, u32)>,
    number: Vec<u8>,
}

/// Where is noted what was found.
pub(super) struct Noted<'n> {
    pub(super) found: &'n mut Vec<RuleIndex>,
    pub(super) named: &'n mut Vec<(RuleIndex, Pseudonym)>,
}

impl Composites {
    /// Looks at all of a portion; the leaves that change are in the view then.
    pub(super) fn look(
        &mut self,
        sanitizer: &Sanitizer,
        view: &mut View<'_>,
        work: &mut Work,
        noted: &mut Noted<'_>,
    ) {
        for &(first, pair) in &view.leaves.shapes.composites {
            view.is_raw = true;
            self.write_line(view, first as usize, pair);
            let findings = sanitizer.scanner().scan_keyed(b"", &self.line, work);
            let has_changed = self.replace(sanitizer, view, findings, false, noted);
            view.is_raw = false;
            if !has_changed && self.parts.iter().all(|(_, leaf)| view.changed(*leaf).is_none()) {
                continue;
            }
            for look in 0..=MOST_LOOKS {
                if work.is_stopped() {
                    break;
                }
                self.write_line(view, first as usize, pair);
                let findings = sanitizer.scanner().scan_keyed(b"", &self.line, work);
                let is_last = look == MOST_LOOKS;
                if !self.replace(sanitizer, view, findings, is_last, noted) {
                    break;
                }
            }
        }
    }

    /// Gives back memory that only an unusual request has needed.
    pub(super) fn shrink(&mut self, most: usize) {
        self.line.clear();
        self.line.shrink_to(most);
        self.parts.clear();
        self.parts.shrink_to(most);
        self.number.shrink_to(most);
    }

    /// Writes a value as JSON, behind its key if it has one.
    fn write_line(&mut self, view: &View<'_>, first: usize, pair: u32) {
        self.line.clear();
        self.parts.clear();
        let key = view.leaves.keys_of(view.body, pair).next().filter(|key| !key.is_empty());
        if let Some(key) = key {
            self.line.extend_from_slice(b"{\"");
            escape(key, &mut self.line);
            self.line.extend_from_slice(b"\": ");
        }
        self.value(view, first);
        if key.is_some() {
            self.line.push(b'}');
        }
    }

    /// Writes what begins at a shape. As deep as the walk goes.
    fn value(&mut self, view: &View<'_>, at: usize) {
        let Shaped { shape, end } = view.leaves.shapes.all[at];
        let (open, close) = match shape {
            Shape::Leaf(leaf) => return self.leaf(view, leaf),
            Shape::Pair => return self.pair(view, at),
            Shape::Array => (b'[', b']'),
            Shape::Object => (b'{', b'}'),
        };
        self.line.push(open);
        let mut inner = at + 1;
        while inner < end as usize {
            if inner > at + 1 {
                self.line.extend_from_slice(b", ");
            }
            self.value(view, inner);
            inner = view.leaves.shapes.all[inner].end as usize;
        }
        self.line.push(close);
    }

    /// A member of an object: its last key, which may stand behind its value, and all its values.
    fn pair(&mut self, view: &View<'_>, at: usize) {
        let leaves = view.leaves;
        let end = leaves.shapes.all[at].end as usize;
        let is_key =
            |shape: Shape| matches!(shape, Shape::Leaf(leaf) if leaves.list[leaf as usize].what == What::Key);
        let mut values = Vec::new();
        let mut key = None;
        let mut inner = at + 1;
        while inner < end {
            let Shaped { shape, end } = leaves.shapes.all[inner];
            if is_key(shape) {
                key = Some(inner);
            } else {
                values.push(inner);
            }
            inner = end as usize;
        }
        match key {
            Some(key) => self.value(view, key),
            None => self.line.extend_from_slice(b"\"\""),
        }
        self.line.extend_from_slice(b": ");
        let [one] = values[..] else {
            self.line.push(b'[');
            for (i, &value) in values.iter().enumerate() {
                if i > 0 {
                    self.line.extend_from_slice(b", ");
                }
                self.value(view, value);
            }
            self.line.push(b']');
            return;
        };
        self.value(view, one);
    }

    fn leaf(&mut self, view: &View<'_>, leaf: u32) {
        let Self { line, parts, number } = self;
        let Present { text, is_number } = view.leaf(leaf, number);
        let quote: &[u8] = if is_number { b"" } else { b"\"" };
        line.extend_from_slice(quote);
        let start = line.len();
        escape(text, line);
        parts.push((start..line.len(), leaf));
        line.extend_from_slice(quote);
    }

    /// Replaces what was found in a line in the leaves that it stands in; whether it stands in any.
    fn replace(
        &mut self,
        sanitizer: &Sanitizer,
        view: &mut View<'_>,
        findings: &[Finding],
        is_last: bool,
        noted: &mut Noted<'_>,
    ) -> bool {
        if findings.is_empty() {
            return false;
        }
        let Self { parts, number, .. } = self;
        let mut has_changed = false;
        let mut own = Vec::new();
        for (part, leaf) in parts {
            let from = findings.partition_point(|found| found.end <= part.start);
            let mut within = findings[from..].iter().take_while(|found| found.start < part.end).peekable();
            // One of which a part was judged goes if all of it is found; else it is looked at as it is now, later. One that
            // was judged as a whole is gone.
            let is_whole = |found: &&Finding| found.start <= part.start && part.end <= found.end;
            let judged = if view.is_raw { view.changed(*leaf) } else { None };
            if judged.is_some_and(|text| marker_at(text, 0) == Some(text.len())) {
                continue;
            }
            let is_seen = judged.is_none();
            if !within.peek().is_some_and(|first| is_seen || is_whole(first)) {
                continue;
            }
            let Present { text, is_number } = view.leaf(*leaf, number);
            own.clear();
            for found in within {
                let place = match is_last {
                    true => 0..text.len(),
                    false => unescaped(
                        text,
                        found.start.max(part.start) - part.start..found.end.min(part.end) - part.start,
                    ),
                };
                if place.is_empty() || own.last().is_some_and(|last: &Finding| last.end > place.start) {
                    continue;
                }
                // What was a number of the line is a text of its own now: it needs no quotes.
                let of = if is_number { Place::Line } else { found.place };
                own.push(Finding { start: place.start, end: place.end, place: of, ..*found });
            }
            if own.is_empty() {
                continue;
            }
            let mut new = Vec::with_capacity(text.len());
            let named = &mut *noted.named;
            let note = &mut |rule, pseudonym| named.push((rule, pseudonym));
            sanitizer.write_noting(text, &own, &mut |bytes| new.extend_from_slice(bytes), note);
            has_changed |= new != text;
            noted.found.extend(own.iter().map(|found| found.rule));
            view.texts.insert(*leaf, new);
        }
        has_changed
    }
}

/// Writes bytes as a string of JSON, without its quotes.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        let (written, len) = escaped(byte);
        out.extend_from_slice(&written[..len]);
    }
}

/// A byte as it is written in a string of JSON, and in how many bytes.
fn escaped(byte: u8) -> ([u8; 6], usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let short = |letter| ([b'\\', letter, 0, 0, 0, 0], 2);
    match byte {
        b'"' | b'\\' => short(byte),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        0..0x20 => {
            let digit = |shift: u8| DIGITS[usize::from(byte >> shift & 15)];
            ([b'\\', b'u', b'0', b'0', digit(4), digit(0)], 6)
        }
        _ => ([byte, 0, 0, 0, 0, 0], 1),
    }
}

/// Which bytes of a text are in this range of it as it is escaped.
fn unescaped(text: &[u8], range: Range<usize>) -> Range<usize> {
    let (mut start, mut end, mut at) = (text.len(), 0, 0);
    for (i, &byte) in text.iter().enumerate() {
        let next = at + escaped(byte).1;
        if next > range.start && at < range.end {
            start = start.min(i);
            end = i + 1;
        }
        at = next;
    }
    start.min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_escaped_text() {
        let text = b"a\n\"b\x01\xFF";
        let mut line = Vec::new();
        escape(text, &mut line);
        assert_eq!(line, b"a\\n\\\"b\\u0001\xFF");
        for (range, want) in
            [(0..1, 0..1), (2..3, 1..2), (1..5, 1..3), (0..13, 0..6), (6..7, 4..5), (5..5, 0..0)]
        {
            assert_eq!(unescaped(text, range.clone()), want, "{range:?}");
        }
    }
}
