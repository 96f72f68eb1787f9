//! Text whose secret parts are known: what generators build and carriers wrap.
//!
//! A `Text` is a list of pieces, each `Keep` (must survive), `Soft` (may go with the secret, may stay) or
//! `Secret` (must not survive). Wrapping it in JSON, percent-encoding and so on re-encodes every piece by
//! itself, so the exact byte ranges of the secrets are known at the end however deep the nesting.
//! Encodings that mix neighbouring bytes (base64) cannot go piece by piece; those make one new secret
//! piece that remembers what it hides.

use super::Record;

/// What may happen to a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Keep,
    Soft,
    Secret,
}

#[derive(Clone, Debug)]
struct Piece {
    part: Part,
    /// As carried: escaped and encoded.
    carried: String,
    /// The secret before any encoding; empty unless `part` is `Secret`.
    plain: Vec<String>,
}

/// Text made of kept, soft and secret pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pieces: Vec<Piece>,
}

pub(crate) fn keep(text: impl Into<String>) -> Text {
    Text::of(Part::Keep, text.into(), Vec::new())
}

pub(crate) fn soft(text: impl Into<String>) -> Text {
    Text::of(Part::Soft, text.into(), Vec::new())
}

pub(crate) fn secret(text: impl Into<String>) -> Text {
    let text = text.into();
    Text::of(Part::Secret, text.clone(), vec![text])
}

/// A secret that is carried in another form, with the values that the form hides.
pub(crate) fn encoded_secret(carried: impl Into<String>, hidden: &[&str]) -> Text {
    let carried = carried.into();
    let mut plain = vec![carried.clone()];
    plain.extend(hidden.iter().map(|&s| s.to_owned()));
    Text::of(Part::Secret, carried, plain)
}

impl Text {
    fn of(part: Part, carried: String, plain: Vec<String>) -> Self {
        Self { pieces: vec![Piece { part, carried, plain }] }
    }

    /// This text followed by another.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }

    /// This text followed by text that must survive.
    pub(crate) fn and(self, text: &str) -> Self {
        self.then(keep(text))
    }

    /// This text between two that must survive.
    pub(crate) fn within(self, before: &str, after: &str) -> Self {
        keep(before).then(self).and(after)
    }

    /// Every piece encoded by `encode`. Pieces are encoded one by one.
    pub(crate) fn map(mut self, mut encode: impl FnMut(&str) -> String) -> Self {
        for piece in &mut self.pieces {
            piece.carried = encode(&piece.carried);
        }
        self
    }

    /// The same characters, all kept pieces turned into one part.
    pub(crate) fn all(self, part: Part) -> Self {
        match part {
            Part::Keep => keep(self.shown()),
            Part::Soft => Self {
                pieces: self
                    .pieces
                    .into_iter()
                    .map(|piece| if piece.part == Part::Keep { Piece { part, ..piece } } else { piece })
                    .collect(),
            },
            Part::Secret if self.has_secret() => self,
            Part::Secret => secret(self.shown()),
        }
    }

    pub(crate) fn has_secret(&self) -> bool {
        self.pieces.iter().any(|piece| piece.part == Part::Secret)
    }

    /// True if the whole text is one secret.
    pub(crate) fn is_one_secret(&self) -> bool {
        matches!(self.pieces.as_slice(), [piece] if piece.part == Part::Secret)
    }

    /// The characters as carried.
    pub(crate) fn shown(&self) -> String {
        self.pieces.iter().map(|piece| piece.carried.as_str()).collect()
    }

    /// The finished record. U+FFFD stands for a byte that is not UTF-8.
    pub(crate) fn record(self, family: &'static str, carrier: &'static str, json: bool) -> Record {
        let mut record = Record {
            family,
            carrier,
            bytes: Vec::new(),
            secrets: Vec::new(),
            plain: Vec::new(),
            soft: Vec::new(),
            json,
        };
        for piece in self.pieces.into_iter().filter(|piece| !piece.carried.is_empty()) {
            let start = record.bytes.len();
            for (index, run) in piece.carried.split('\u{fffd}').enumerate() {
                if index > 0 {
                    record.bytes.push(0xff);
                }
                record.bytes.extend_from_slice(run.as_bytes());
            }
            let range = start..record.bytes.len();
            match piece.part {
                Part::Keep => {}
                Part::Soft => record.soft.push(range),
                Part::Secret => {
                    record.secrets.push(range);
                    record.plain.push(piece.plain.into_iter().map(String::into_bytes).collect());
                }
            }
        }
        record
    }
}
