//! How log lines carry a value: one function per way, each taking a secret and giving the whole record.
//!
//! A carrier encodes the value as its format demands (JSON escapes, percent-encoding, quotes …) and sets it
//! among harmless neighbours, which must come through. Which values a carrier can hold at all is said by
//! `Carrier::holds`: a value with a space has no unquoted `key=value` form.
//! Full records with their own fixed shape are not here: `templates`.

mod fields;
mod json;
mod plain;
mod program;
mod web;

use super::random::Random;
use super::text::{Text, keep};

pub(crate) use web::percent;

/// Where a family's values can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fits {
    /// In every carrier that can hold the characters.
    Any,
    /// As `Any`, and it is a bearer token: `Authorization: Bearer …`.
    Bearer,
    /// It is the whole value of an HTTP header.
    Header,
    /// Only in a query string or form body.
    Query,
    /// A statement or a block: only where free text stands (messages, JSON strings, Python strings).
    Prose,
}

/// A value with the key it goes by.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) family: &'static str,
    /// A key name in snake case or, for headers, as headers are written.
    pub(crate) key: String,
    pub(crate) value: Text,
    /// True if nothing but the key tells that the value is a secret.
    pub(crate) needs_key: bool,
    pub(crate) fits: Fits,
}

/// One way to carry a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carrier {
    pub(crate) name: &'static str,
    /// The column of the short table.
    pub(crate) group: &'static str,
    /// True if every line of the record is a JSON document.
    pub(crate) json: bool,
    /// What the carrier can hold.
    holds: fn(&Secret, &str) -> bool,
    carry: fn(&mut Random, &Secret) -> Text,
}

impl Carrier {
    /// True if the carrier can hold this very value.
    pub(crate) fn holds(&self, secret: &Secret) -> bool {
        let shown = secret.value.shown();
        (self.holds)(secret, &shown)
    }

    pub(crate) fn carry(&self, random: &mut Random, secret: &Secret) -> Text {
        (self.carry)(random, secret)
    }
}

/// Every carrier, in the order of the table.
pub(crate) fn carriers() -> Vec<Carrier> {
    [plain::CARRIERS, json::CARRIERS, program::CARRIERS, web::CARRIERS].concat()
}

// What carriers ask of a value. All take the secret and its characters.

/// Neither a statement nor bound to a header or query.
fn free(secret: &Secret, _: &str) -> bool {
    matches!(secret.fits, Fits::Any | Fits::Bearer)
}

/// Can stand without quotes: nothing in it ends or opens a value.
fn bare(secret: &Secret, shown: &str) -> bool {
    free(secret, shown) && shown.chars().all(|c| c.is_alphanumeric() || "-._~+/=@!$^*%:#?".contains(c))
}

/// As `bare`, and needs no key.
fn bare_keyless(secret: &Secret, shown: &str) -> bool {
    !secret.needs_key && bare(secret, shown)
}

/// One line without quotes or backslashes, whatever it is.
fn quotable(secret: &Secret, shown: &str) -> bool {
    secret.fits != Fits::Query && !shown.contains(['"', '\'', '`', '\\', '\n', '\r'])
}

/// What a string with escapes can hold: all but what belongs in a query.
fn escapable(secret: &Secret, _: &str) -> bool {
    secret.fits != Fits::Query
}

/// One line.
fn one_line(secret: &Secret, shown: &str) -> bool {
    secret.fits != Fits::Query && !shown.contains(['\n', '\r'])
}

// Key spelling.

/// How a key is spelled.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Snake,
    Camel,
    Kebab,
    Upper,
    Title,
}

impl Spelling {
    fn any(random: &mut Random) -> Self {
        random.pick(&[
            Self::Snake,
            Self::Snake,
            Self::Snake,
            Self::Camel,
            Self::Kebab,
            Self::Upper,
            Self::Title,
        ])
    }

    fn spell(self, key: &str) -> String {
        let words: Vec<String> = key.split(['_', '-', '.']).map(str::to_ascii_lowercase).collect();
        let title = |word: &String| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        };
        match self {
            Self::Snake => words.join("_"),
            Self::Kebab => words.join("-"),
            Self::Upper => words.join("_").to_ascii_uppercase(),
            Self::Title => words.iter().map(title).collect::<Vec<_>>().join("-"),
            Self::Camel => words[0].clone() + &words[1..].iter().map(title).collect::<String>(),
        }
    }
}

impl Secret {
    /// The key as it would be written in any format; header names stay as they are.
    fn spelled(&self, random: &mut Random) -> String {
        if self.fits == Fits::Header {
            return if random.chance(50) { self.key.clone() } else { self.key.to_ascii_lowercase() };
        }
        Spelling::any(random).spell(&self.key)
    }

    /// The key as a header name, with the value as the header has it.
    fn as_header(&self, random: &mut Random) -> (String, Text) {
        let name = match self.fits {
            Fits::Header => self.key.clone(),
            Fits::Bearer if random.chance(50) => {
                return ("Authorization".into(), self.value.clone().within("Bearer ", ""));
            }
            Fits::Bearer => random.pick(&["X-Api-Key", "X-Auth-Token", "Private-Token"]).to_owned(),
            Fits::Any | Fits::Query | Fits::Prose => format!("X-{}", Spelling::Title.spell(&self.key)),
        };
        let name = if random.chance(30) { name.to_ascii_lowercase() } else { name };
        (name, self.value.clone())
    }
}

// Encodings. Each is applied piece by piece.

/// How a JSON writer escapes what it need not escape.
#[derive(Clone, Copy, Debug)]
enum JsonEscape {
    /// Only what JSON demands.
    Least,
    /// All beyond ASCII as `\uXXXX` (Python's default).
    Ascii,
    /// As `Least`, and `/` as `\/` (PHP's default).
    Slash,
}

impl JsonEscape {
    fn any(random: &mut Random) -> Self {
        random.pick(&[Self::Least, Self::Least, Self::Ascii, Self::Slash])
    }

    fn escape(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '/' if matches!(self, Self::Slash) => out.push_str("\\/"),
                c if (c as u32) < 0x20 => unicode_escape(c, &mut out),
                c if !c.is_ascii() && matches!(self, Self::Ascii) => unicode_escape(c, &mut out),
                c => out.push(c),
            }
        }
        out
    }
}

fn unicode_escape(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

/// A JSON string around a text.
fn json_string(random: &mut Random, text: Text) -> Text {
    let escape = JsonEscape::any(random);
    text.map(|piece| escape.escape(piece)).within("\"", "\"")
}

/// Backslash escapes of `quote` and the backslash, and `\n` for a newline: what loggers do to values.
fn backslashed(text: Text, quote: char) -> Text {
    text.map(|piece| {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                c => {
                    if c == quote || c == '\\' {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
        }
        out
    })
}

/// The text as a Python literal: `repr` of a string or of bytes.
fn python_repr(text: Text, bytes: bool) -> Text {
    let shown = text.shown();
    let quote = if shown.contains('\'') && !shown.contains('"') { '"' } else { '\'' };
    let literal = backslashed(text, quote);
    let literal = if bytes {
        literal.map(|piece| {
            let mut out = String::new();
            for c in piece.chars() {
                match c {
                    c if c.is_ascii() => out.push(c),
                    c => {
                        c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push_str(&format!("\\x{b:02x}")))
                    }
                }
            }
            out
        })
    } else {
        literal
    };
    let open = if bytes { format!("b{quote}") } else { quote.to_string() };
    literal.within(&open, &quote.to_string())
}

/// Texts put together with a separator.
fn join(texts: Vec<Text>, separator: &str) -> Text {
    let mut out = Text::default();
    for (index, text) in texts.into_iter().enumerate() {
        out = if index == 0 { text } else { out.and(separator).then(text) };
    }
    out
}

/// `texts` with `text` at a random place.
fn mix(random: &mut Random, mut texts: Vec<Text>, text: Text) -> Vec<Text> {
    let at = random.below(texts.len() + 1);
    texts.insert(at, text);
    texts
}

/// Harmless strings as texts.
fn kept(strings: Vec<String>) -> Vec<Text> {
    strings.into_iter().map(keep).collect()
}

#[test]
fn keys_are_spelled() {
    assert_eq!(Spelling::Camel.spell("api_key_secret"), "apiKeySecret");
    assert_eq!(Spelling::Title.spell("api_key"), "Api-Key");
    assert_eq!(Spelling::Upper.spell("vnc_pw"), "VNC_PW");
}
