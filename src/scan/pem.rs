//! Private keys in PEM form (RFC 7468) and their kin: on one line, over lines, each line behind its own log prefix.
//! PuTTY's key file has no labels but a line that says how many lines follow.
//!
//! The labels stay, the body goes. Over lines nothing is held back: each line is decided when it is complete, by what
//! the lines before it said, and only for so many lines.

use std::ops::Range;

use super::body::{Column, body_in, is_body_byte, trim};
use crate::carrier::placeholder::holds_marker;
use crate::rules::Block;
use crate::rules::pattern::Match;

/// The most lines a key may have; the largest in use (RSA 16384, PGP with subkeys) have under a thousand.
const MAX_LINES: u32 = 4096;
/// How many lines of something else may stand between the lines of a key.
const MAX_STRANGERS: u32 = 64;

/// A key whose last line has not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    block: Block,
    /// How many more lines the key may have: any in PEM, of body in PuTTY's form.
    lines: u32,
    strangers: u32,
    column: Column,
}

/// What a line with a first line of a key in it holds.
pub(super) enum Begin {
    /// Body on the same line.
    Body(Range<usize>),
    /// No body: it is on the lines that follow.
    Open(Open),
    /// Words about a key, or a key left out.
    Nothing,
}

/// What follows the first line's `label`.
pub(super) fn begin(block: Block, line: &[u8], label: Match) -> Begin {
    match block {
        Block::Pem => begin_pem(line, label.end),
        Block::Ppk => begin_ppk(line, label),
    }
}

/// A first line that says how many lines there are, and nothing behind it.
fn begin_ppk(line: &[u8], label: Match) -> Begin {
    let digits = &line[label.secret_start..label.secret_end];
    let lines = digits.iter().try_fold(0, |n: u32, b| {
        b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u32::from(b - b'0')))
    });
    match lines {
        Some(lines @ 1..) if line[label.end..].iter().all(u8::is_ascii_whitespace) => {
            Begin::Open(Open::new(Block::Ppk, lines.min(MAX_LINES)))
        }
        _ => Begin::Nothing,
    }
}

fn begin_pem(line: &[u8], from: usize) -> Begin {
    let rest = &line[from..];
    // The next key in the line looks for an end of its own.
    let next = memchr::memmem::find(rest, b"-----BEGIN");
    let rest = &rest[..next.unwrap_or(rest.len())];
    if let Some(end) = memchr::memmem::find(rest, b"-----END") {
        let body = trim(line, from..from + end);
        if !body.is_empty() {
            return Begin::Body(from..from + end);
        }
        return Begin::Nothing;
    }
    // Cut off or without its last line: up to the end of the string it is in.
    let end = memchr::memchr3(b'"', b'\'', b'<', rest).unwrap_or(rest.len());
    let end = end - crate::carrier::quote::backslashes_before(&rest[..end], end);
    let body = trim(line, from..from + end);
    if body.is_empty() && next.is_none() {
        Begin::Open(Open::new(Block::Pem, MAX_LINES))
    } else if line[body.clone()].split(|b| !is_body_byte(*b)).any(|run| run.len() >= 16) {
        Begin::Body(body)
    } else if next.is_none() && !holds_marker(&line[body]) {
        // A sentence about keys, or what a log puts behind each line: the next lines tell, if they are sure.
        Begin::Open(Open { strangers: 1, column: Column::Nowhere, ..Open::new(Block::Pem, MAX_LINES) })
    } else {
        Begin::Nothing
    }
}

impl Open {
    fn new(block: Block, lines: u32) -> Self {
        Self { block, lines, strangers: MAX_STRANGERS, column: Column::First }
    }

    /// Calls `found` with the body in the next line; gives what is open after it.
    pub(super) fn next(self, line: &[u8], found: &mut dyn FnMut(Range<usize>)) -> Option<Self> {
        if self.lines == 0 {
            return None;
        }
        let end = self.block.end();
        if memchr::memmem::find(line, end).is_some() {
            body_in(line, self.column, Some(end), found);
            return None;
        }
        if memchr::memmem::find(line, Block::Pem.start()).is_some() {
            return None;
        }
        let body = body_in(line, self.column, None, found);
        let is_counted = self.block == Block::Pem || body.is_some();
        let next = Self { lines: self.lines - u32::from(is_counted), ..self };
        match body {
            Some(column) => Some(Self { column, strangers: MAX_STRANGERS, ..next }),
            None if self.strangers == 0 => None,
            None => {
                let column = if self.column == Column::First { Column::Nowhere } else { self.column };
                Some(Self { strangers: self.strangers - 1, column, ..next })
            }
        }
    }
}
