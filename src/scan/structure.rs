//! Findings of a JSON line, cut at its structure: what is replaced lies inside strings or is a whole scalar.
//!
//! A string that holds a document of its own keeps that one's structure, too, unless all of it is a secret.

use std::ops::Range;

use crate::carrier::json::{self, Scalar};
use crate::carrier::surroundings;
use crate::finding::{Finding, Place, Via};

/// How deep in each other documents are looked into. Each level doubles the backslashes of the one before.
const MAX_DEPTH: u8 = 8;

/// Cuts findings at the tokens of `line`, each on its own: what one loses at the end of a string another may have.
pub(super) fn keep(line: &[u8], found: &mut Vec<Finding>, buffers: &mut Buffers) {
    found.sort_unstable_by_key(|finding| finding.start);
    let mut cutter = Cutter::new(line, found, 0, std::mem::take(buffers));
    json::scalars(line, |scalar, kind| cutter.scalar(scalar, kind));
    *buffers = cutter.buffers;
    std::mem::swap(found, &mut buffers.pieces);
}

/// As [`keep`], if all of `line` is a document; whether it is. `None`: it may be one, which makes no difference to
/// what was found.
pub(super) fn keep_if_record(line: &[u8], found: &mut Vec<Finding>, buffers: &mut Buffers) -> Option<bool> {
    if !json::looks_like_record(line) {
        return Some(false);
    }
    let is_kept_anyway = |finding: &Finding| {
        let is_value = matches!(finding.via, Via::Key(_) | Via::Rest);
        json::is_plain_text(line, finding.range(), is_value)
            && !surroundings::may_be_number(line, finding.range())
    };
    if found.iter().all(is_kept_anyway) {
        return None;
    }
    found.sort_unstable_by_key(|finding| finding.start);
    let mut cutter = Cutter::new(line, found, 0, std::mem::take(buffers));
    let is_record = json::record(line, |scalar, kind| cutter.scalar(scalar, kind));
    *buffers = cutter.buffers;
    if is_record {
        std::mem::swap(found, &mut buffers.pieces);
    }
    Some(is_record)
}

/// What findings are cut with.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pieces: Vec<Finding>,
    /// The findings that a scalar may be part of, and whether a piece was cut from them.
    active: Vec<(Finding, bool)>,
    /// For the document in a string, if there was one.
    inner: Option<Box<Inner>>,
}

/// What findings in a document in a string are cut with.
#[derive(Debug, Default)]
struct Inner {
    content: json::Content,
    /// The findings, by where they are in the content.
    found: Vec<Finding>,
    buffers: Buffers,
}

/// Cuts findings, which are in the order of their starts, scalar by scalar.
struct Cutter<'t> {
    line: &'t [u8],
    found: &'t [Finding],
    depth: u8,
    next: usize,
    buffers: Buffers,
}

impl<'t> Cutter<'t> {
    fn new(line: &'t [u8], found: &'t [Finding], depth: u8, mut buffers: Buffers) -> Self {
        buffers.pieces.clear();
        buffers.active.clear();
        Self { line, found, depth, next: 0, buffers }
    }

    #[inline]
    fn scalar(&mut self, scalar: Range<usize>, kind: Scalar) {
        let begins = |finding: &Finding| finding.start < scalar.end;
        if !self.buffers.active.is_empty() || self.found.get(self.next).is_some_and(begins) {
            self.cut(scalar, kind);
        }
    }

    fn cut(&mut self, scalar: Range<usize>, kind: Scalar) {
        let &mut Self { line, found, depth, .. } = self;
        let Buffers { pieces, active, inner } = &mut self.buffers;
        active.retain(|(finding, _)| finding.end > scalar.start);
        while let Some(&finding) = found.get(self.next).filter(|finding| finding.start < scalar.end) {
            if finding.end > scalar.start {
                active.push((finding, false));
            }
            self.next += 1;
        }
        let first = pieces.len();
        for (finding, was_cut) in active {
            let began_before = finding.start < scalar.start;
            // What begins inside an earlier scalar ended there, but for the body of a key, which may be a list of
            // lines, and for numbers that are a secret together.
            let is_list = match finding.via {
                Via::Pem | Via::Rest | Via::Learned(_) => true,
                Via::Shape => kind == Scalar::Bare,
                Via::Key(_) => false,
            };
            if began_before && *was_cut && !is_list {
                continue;
            }
            // A key of an object is no part of what begins before it, nor all of it the value of another key.
            let is_value = matches!(finding.via, Via::Key(_) | Via::Rest) && finding.start == scalar.start;
            if kind == Scalar::Key && (began_before || is_value) {
                continue;
            }
            let (start, end) = (finding.start.max(scalar.start), finding.end.min(scalar.end));
            if start >= end {
                continue;
            }
            let (piece, place) = match kind {
                Scalar::Key | Scalar::Text => {
                    (json::whole_escapes(line, scalar.clone(), start..end), Place::String(depth))
                }
                Scalar::Bare => (scalar.clone(), Place::Bare(depth)),
            };
            *was_cut = true;
            pieces.push(Finding { start: piece.start, end: piece.end, place, ..*finding });
        }
        if kind == Scalar::Text && first < pieces.len() && depth < MAX_DEPTH {
            let content = &line[scalar.clone()];
            pieces[first..].sort_unstable_by_key(|piece| piece.start);
            if is_document(content, scalar.start, &pieces[first..]) {
                let inner = inner.get_or_insert_default();
                if inner.cut(content, scalar.start, &pieces[first..], depth + 1) {
                    pieces.truncate(first);
                    pieces.append(&mut inner.buffers.pieces);
                }
            }
        }
    }
}

/// Whether the content of a string, which starts at `base` of its line, may be a document that is not a secret as a
/// whole.
fn is_document(content: &[u8], base: usize, found: &[Finding]) -> bool {
    let trimmed = content.trim_ascii();
    let start = base + content.len() - content.trim_ascii_start().len();
    matches!(trimmed, [b'{', .., b'}'] | [b'[', .., b']'])
        && !found.iter().any(|finding| finding.start <= start && finding.end >= start + trimmed.len())
}

impl Inner {
    /// Cuts findings in the content of a string, which starts at `base` of its line, at the tokens of the document in
    /// it. The pieces are in the buffers; `false`: there is no document.
    fn cut(&mut self, source: &[u8], base: usize, outer: &[Finding], depth: u8) -> bool {
        let Self { content, found, buffers } = self;
        content.read(source);
        found.clear();
        found.extend(outer.iter().map(|finding| {
            let range = content.range_of(finding.start - base..finding.end - base);
            Finding { start: range.start, end: range.end, ..*finding }
        }));
        let mut cutter = Cutter::new(content.text(), found, depth, std::mem::take(buffers));
        let is_document = json::document(content.text(), |scalar, kind| cutter.scalar(scalar, kind));
        *buffers = cutter.buffers;
        if is_document {
            for piece in &mut buffers.pieces {
                let source = content.source_range(piece.range());
                (piece.start, piece.end) = (base + source.start, base + source.end);
            }
        }
        is_document
    }
}
