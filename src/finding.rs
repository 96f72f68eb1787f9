//! What was found and where: a rule and a byte range, never the bytes themselves.
//!
//! A finding can be logged, counted and shown. It must not be able to leak, so it holds no text.

use std::ops::Range;

/// The place of a rule in its [`Ruleset`](crate::Ruleset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

/// A match: which rule, and which bytes of the scanned text are the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The rule that names the finding.
    pub rule: RuleIndex,
    /// First byte of the secret, as an offset into the scanned text.
    pub start: usize,
    /// One past the last byte of the secret.
    pub end: usize,
    /// What gave it away.
    pub via: Via,
    /// Where it stands in a document of JSON.
    pub place: Place,
}

/// Where a finding stands in a document of JSON: it says which quotes its replacement needs or must not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// The line is no document.
    #[default]
    Line,
    /// In a string of a document that is itself in this many strings.
    String(u8),
    /// A number, `true`, `false` or `null` of a document that is in this many strings.
    Bare(u8),
}

/// What gave a finding away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// Its own shape.
    Shape,
    /// The key it belongs to, and how it is tied to it.
    Key(Link),
    /// A private key's first line.
    Pem,
    /// A key in a line that was too costly to read on: all that follows.
    Rest,
    /// It is a value that was learned: which one, by number.
    Learned(u32),
}

/// How a value is tied to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Link {
    /// `"key": "v"`, at any depth of escaping, and Python's `'key': 'v'`.
    Json,
    /// `key=v`, `key: v`, `key => v`, `key := v`.
    Assign,
    /// `?key=v`, `&key=v`.
    Query,
    /// `Key: v` at the start of a line or string.
    Header,
    /// `--key v`, `--key=v`.
    Flag,
    /// `<key>v</key>`, `<x key="v">`.
    Xml,
    /// `"name": "key", "value": "v"` in either order, `("key", "v")`.
    Pair,
}

impl Link {
    /// All ways, in the order of the documentation.
    pub const ALL: [Self; 7] =
        [Self::Json, Self::Assign, Self::Query, Self::Header, Self::Flag, Self::Xml, Self::Pair];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Assign => "assign",
            Self::Query => "query",
            Self::Header => "header",
            Self::Flag => "flag",
            Self::Xml => "xml",
            Self::Pair => "pair",
        }
    }
}

impl Finding {
    /// The bytes of the secret, as a range of the scanned text.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Why bytes that looked like a secret were left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A named check of the rule said no.
    Failed(&'static str),
    /// Less random than the rule asks for.
    LowEntropy,
    /// An allowlist of the rule, of the rule file or of the configuration covers it.
    Allowed,
    /// `null`, a boolean, `***`, `${X}`, one of our own markers, or nothing at all.
    Placeholder,
    /// Under a sensitive key, but too short, a small number or a plain word.
    Unlikely,
    /// Under a sensitive key, but tied to it in a way this rule does not take.
    Carrier,
    /// The value under the key does not have the shape that the rule asks for.
    Shape,
    /// It has the shape of a secret, but its key says that it is a trace, a span or a time.
    Identifier,
    /// None of the rule's keywords is in the line.
    NoKeyword,
}

/// A near miss: a rule looked at these bytes and left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// The rule that looked.
    pub rule: RuleIndex,
    /// First byte it looked at.
    pub start: usize,
    /// One past the last byte it looked at.
    pub end: usize,
    /// Why it left them.
    pub reason: Reason,
}
