//! Values, ways to spell them, and sanitizers that have learned them.

use kasm_scrub::learned::{Learned, Named};
use kasm_scrub::sanitize::Parts;
use kasm_scrub::scan::Format;
use kasm_scrub::{Action, HashKey, Ruleset, Sanitizer, Scrubber};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) const MARKER: &str = "[REDACTED:learned-secret]";

pub(crate) fn named(name: &str, value: &[u8]) -> Named {
    Named { name: name.to_owned(), value: value.to_vec().into() }
}

pub(crate) fn learn(values: &[&[u8]]) -> Learned {
    Learned::new(values.iter().map(|value| named("variable X", value)), 6)
}

/// A sanitizer with these rules beside the learned ones.
pub(crate) fn with(mut rules: Ruleset, values: &[&[u8]], action: Action, format: Format) -> Sanitizer {
    rules.add_learned();
    let actions = vec![Some(action); rules.rules().len()];
    let key = HashKey::new("k1", b"0123456789abcdef").ok();
    Sanitizer::new(Parts { rules, actions, key, format, learned: Some(learn(values)), ..Parts::default() })
        .expect("a key is given")
}

/// A sanitizer that knows these values and nothing else.
pub(crate) fn only(values: &[&[u8]], action: Action, format: Format) -> Sanitizer {
    with(Ruleset::default(), values, action, format)
}

pub(crate) fn clean_pieces<'t>(sanitizer: &Sanitizer, pieces: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(sanitizer);
    pieces.into_iter().for_each(|piece| scrubber.push(piece, &mut out));
    scrubber.finish(&mut out);
    out
}

pub(crate) fn clean(sanitizer: &Sanitizer, text: &[u8]) -> Vec<u8> {
    clean_pieces(sanitizer, [text])
}

/// A text with its markers as they are written outside of URLs.
pub(crate) fn plain_markers(text: &[u8]) -> String {
    text.escape_ascii().to_string().replace("%5BREDACTED:learned-secret%5D", MARKER)
}

pub(crate) fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A value that can be learned.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let any = prop_oneof![
        3 => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        3 => "[A-Za-z0-9]{8,24}",
        3 => "[!-~][ -~]{6,22}[!-~]",
        2 => "[a-z0-9\"\\\\/+%éß😀\t]{8,16}",
        1 => "[0-9a-f]{8}",
        1 => "[\"\\\\nu0%25a]{8,12}",
    ];
    any.prop_filter("can be learned", |value| {
        value.trim() == value && learn(&[value.as_bytes()]).refused().is_empty()
    })
}

/// One way to encode text. Each bit of a number says whether a letter that need not be encoded is, and how.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    Percent {
        which: u64,
        case: u64,
        has_plus: bool,
    },
    Json {
        which: u64,
    },
    /// As `Json`; letters and digits may be encoded, too. Nobody does so to what is encoded already.
    JsonLetters {
        which: u64,
    },
}

impl Layer {
    pub(crate) fn apply(&self, text: &str) -> String {
        let bit = |bits: u64, at: usize| bits >> (at % 64) & 1 == 1;
        match *self {
            Self::Percent { which, case, has_plus } => {
                let encode = |(at, byte): (usize, u8)| match byte {
                    b' ' if has_plus => "+".to_owned(),
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
                        if !bit(which, at) =>
                    {
                        char::from(byte).to_string()
                    }
                    _ if bit(case, at) => format!("%{byte:02X}"),
                    _ => format!("%{byte:02x}"),
                };
                text.bytes().enumerate().map(encode).collect()
            }
            Self::Json { which } | Self::JsonLetters { which } => {
                let has_letters = matches!(self, Self::JsonLetters { .. });
                let units = |char: char| {
                    let mut units = [0; 2];
                    let units = char.encode_utf16(&mut units);
                    units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
                };
                let encode = |(at, char): (usize, char)| match char {
                    '"' => "\\\"".to_owned(),
                    '\\' => "\\\\".to_owned(),
                    '\t' => "\\t".to_owned(),
                    '/' if bit(which, at) => "\\/".to_owned(),
                    _ if bit(which, at) && (has_letters || !char.is_ascii_alphanumeric() && char != '%') => {
                        units(char)
                    }
                    _ => char.to_string(),
                };
                text.chars().enumerate().map(encode).collect()
            }
        }
    }
}

/// How a value is spelled: perhaps within base64, and then encoded in so many ways, one around the other.
#[derive(Clone, Debug)]
pub(crate) struct Spelling {
    pub(crate) base64: Option<(Vec<u8>, Vec<u8>, bool)>,
    pub(crate) layers: Vec<Layer>,
}

pub(crate) fn layer() -> impl Strategy<Value = Layer> {
    // Few letters, many or all of them.
    let bits =
        || prop_oneof![Just(0), any::<u64>(), any::<(u64, u64)>().prop_map(|(a, b)| a & b), Just(u64::MAX)];
    prop_oneof![
        (bits(), any::<u64>(), any::<bool>()).prop_map(|(which, case, has_plus)| Layer::Percent {
            which,
            case,
            has_plus
        }),
        bits().prop_map(|which| Layer::Json { which }),
    ]
}

pub(crate) fn spelling() -> impl Strategy<Value = Spelling> {
    let bytes = || vec(any::<u8>(), 0..7);
    let base64 = proptest::option::weighted(0.3, (bytes(), bytes(), any::<bool>()));
    let first = proptest::option::weighted(0.2, any::<u64>().prop_map(|which| Layer::JsonLetters { which }));
    (base64, first, vec(layer(), 0..4)).prop_map(|(base64, first, layers)| Spelling {
        base64,
        layers: first.into_iter().chain(layers).collect(),
    })
}

impl Spelling {
    /// What stands in front of the value, what holds any of it, and what stands behind it, within text of their own.
    pub(crate) fn write(&self, value: &str, front: &str, behind: &str) -> [String; 3] {
        // What reads as an escape itself, and has letters that are written as numbers, may be read in too many ways.
        let has_escapes = self.base64.is_none() && value.contains(['%', '\\']);
        let mut parts = match &self.base64 {
            None => [front.to_owned(), value.to_owned(), behind.to_owned()],
            Some((before, after, is_url)) => {
                let all = base64(&[before, value.as_bytes(), after].concat(), *is_url);
                let (start, end) = (8 * before.len() / 6, (8 * (before.len() + value.len())).div_ceil(6));
                [
                    format!("{front}{}", &all[..start]),
                    all[start..end].to_owned(),
                    format!("{}{behind}", &all[end..]),
                ]
            }
        };
        let fits = |layer: &&Layer| !(has_escapes && matches!(layer, Layer::JsonLetters { .. }));
        for layer in self.layers.iter().filter(fits) {
            parts = parts.map(|part| layer.apply(&part));
        }
        parts
    }
}

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8], is_url: bool) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(if is_url { ['-', '_'] } else { ['+', '/'] })
        .collect();
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for letter in 0..4 {
            let is_there = letter <= group.len();
            text.push(if is_there { alphabet[(bits >> (18 - 6 * letter)) as usize & 63] } else { '=' });
        }
    }
    text
}
