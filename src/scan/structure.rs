//! Findings of a JSON line, cut at its structure: what is replaced lies inside strings or is a whole scalar.
//!
//! A string that holds a document of its own keeps that one's structure, too, unless all of it is a secret.

use crate::carrier::json::{self, Scalar};
use crate::finding::{Finding, Place, Via};

/// How deep in each other documents are looked into. Each level doubles the backslashes of the one before.
const MAX_DEPTH: u8 = 8;

/// Cuts findings at the tokens of `line`, each on its own: what one loses at the end of a string another may have.
pub(super) fn keep(line: &[u8], found: &mut Vec<Finding>) {
    found.sort_unstable_by_key(|finding| finding.start);
    *found = cut(line, found, 0);
}

fn cut(line: &[u8], found: &[Finding], depth: u8) -> Vec<Finding> {
    let mut pieces: Vec<Finding> = Vec::with_capacity(found.len());
    let mut next = 0;
    // Those that the scalar may be part of, and whether a piece was cut from them.
    let mut active: Vec<(&Finding, bool)> = Vec::new();
    json::scalars(line, |scalar, kind| {
        active.retain(|(finding, _)| finding.end > scalar.start);
        while let Some(finding) = found.get(next).filter(|finding| finding.start < scalar.end) {
            if finding.end > scalar.start {
                active.push((finding, false));
            }
            next += 1;
        }
        let first = pieces.len();
        for (finding, was_cut) in &mut active {
            let began_before = finding.start < scalar.start;
            // What begins inside an earlier scalar ended there, but for the body of a key, which may be a list of
            // lines, and for numbers that are a secret together.
            let is_list = match finding.via {
                Via::Pem | Via::Rest => true,
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
            pieces.push(Finding { start: piece.start, end: piece.end, place, ..**finding });
        }
        if kind == Scalar::Text && first < pieces.len() && depth < MAX_DEPTH {
            let content = &line[scalar.clone()];
            pieces[first..].sort_unstable_by_key(|piece| piece.start);
            if let Some(cut) = cut_inner(content, scalar.start, &pieces[first..], depth + 1) {
                pieces.truncate(first);
                pieces.extend(cut);
            }
        }
    });
    pieces
}

/// Cuts findings in the content of a string, which starts at `base` of its line, at the tokens of the document in it.
/// `None`: there is none, or all of it is a secret.
fn cut_inner(content: &[u8], base: usize, found: &[Finding], depth: u8) -> Option<Vec<Finding>> {
    let trimmed = content.trim_ascii();
    let start = base + content.len() - content.trim_ascii_start().len();
    if !matches!(trimmed, [b'{', .., b'}'] | [b'[', .., b']'])
        || found.iter().any(|finding| finding.start <= start && finding.end >= start + trimmed.len())
    {
        return None;
    }
    let inner = json::Content::of(content);
    if !json::is_document(inner.text()) {
        return None;
    }
    let moved = |finding: &Finding| {
        let range = inner.range_of(finding.start - base..finding.end - base);
        Finding { start: range.start, end: range.end, ..*finding }
    };
    let moved: Vec<Finding> = found.iter().map(moved).collect();
    let mut pieces = cut(inner.text(), &moved, depth);
    for piece in &mut pieces {
        let source = inner.source_range(piece.range());
        (piece.start, piece.end) = (base + source.start, base + source.end);
    }
    Some(pieces)
}
