//! Examples: a rule's own tests, `text → want`.
//!
//! Bodies of tokens are generated from placeholders, so that no rule file holds anything that looks alive.
//! The same placeholder gives the same bytes every time, on every machine.

use std::ops::Deref;
use std::sync::OnceLock;

use toml::de::DeValue;

/// A rule's examples as they are written, placeholders not yet filled in.
#[derive(Default)]
pub struct Examples {
    /// An array of strings that is parsed when it is asked for.
    written: Option<&'static str>,
    read: OnceLock<Vec<Box<str>>>,
}

impl Examples {
    pub(super) fn of(read: Vec<Box<str>>) -> Self {
        Self { written: None, read: read.into() }
    }

    /// Those of a built-in rule. They are half of all text there, and few ever ask for them.
    pub(super) fn later(written: &'static str) -> Self {
        Self { written: Some(written), read: OnceLock::new() }
    }
}

impl Deref for Examples {
    type Target = [Box<str>];

    fn deref(&self) -> &Self::Target {
        self.read.get_or_init(|| {
            let array = self.written.and_then(|written| DeValue::parse(written).ok());
            let strings =
                array.iter().filter_map(|array| array.get_ref().as_array()).flat_map(|array| array.iter());
            strings.filter_map(|string| string.get_ref().as_str()).map(Into::into).collect()
        })
    }
}

impl std::fmt::Debug for Examples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

/// What a text must become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What goes in.
    pub text: String,
    /// What must come out; the same as `text` for a near miss.
    pub want: String,
}

/// Why an example cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExample(pub String);

impl Example {
    /// Reads `text → want`, or `text` alone for what must stay; fills in placeholders.
    /// # Errors
    /// A placeholder with a length or kind that does not exist.
    pub fn parse(written: &str) -> Result<Self, BadExample> {
        let filled = fill(written)?;
        let (text, want) = filled.split_once(" → ").unwrap_or((&filled, &filled));
        Ok(Self { text: text.to_owned(), want: want.to_owned() })
    }

    /// Whether the text must stay as it is.
    pub fn is_near_miss(&self) -> bool {
        self.text == self.want
    }
}

/// Replaces every `{{kind:argument}}` by what it stands for; other braces stay.
fn fill(written: &str) -> Result<String, BadExample> {
    let mut out = String::with_capacity(written.len() * 2);
    let mut rest = written;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        let inner = &rest[open + 2..];
        match inner.find("}}").map(|close| (&inner[..close], &inner[close + 2..])) {
            Some((body, after)) if generate(body).is_some() => {
                out.push_str(&generate(body).unwrap_or_default());
                rest = after;
            }
            Some((body, _)) if body.split(['#', ':']).next().is_some_and(|kind| KINDS.contains(&kind)) => {
                return Err(BadExample(format!("cannot read the placeholder {{{{{body}}}}}")));
            }
            _ => {
                out.push_str("{{");
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

const KINDS: [&str; 21] = [
    "alnum", "alpha", "upper", "lower", "hex", "HEX", "digits", "b32", "b64", "b64url", "uuid", "jwt", "jwe",
    "github", "npm", "grafana", "pem", "pem1", "card", "iban", "base64",
];
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";

fn generate(placeholder: &str) -> Option<String> {
    let body = placeholder.split('#').next()?;
    let (kind, argument) = body.split_once(':').unwrap_or((body, ""));
    let mut dice = Dice::new(placeholder);
    let letters = [UPPER, LOWER].concat();
    let alnum = [UPPER, LOWER, DIGITS].concat();
    let charset = match kind {
        "alnum" => alnum.clone(),
        "alpha" => letters,
        "upper" => [UPPER, DIGITS].concat(),
        "lower" => [LOWER, DIGITS].concat(),
        "hex" => "0123456789abcdef".to_owned(),
        "HEX" => "0123456789ABCDEF".to_owned(),
        "digits" => DIGITS.to_owned(),
        "b32" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".to_owned(),
        "b64" => alnum.clone() + "+/",
        "b64url" => alnum.clone() + "_-",
        _ => String::new(),
    };
    if !charset.is_empty() {
        let len = argument.parse().ok().filter(|len| (1..=5000).contains(len))?;
        return Some(dice.text(&charset, len));
    }
    let url = alnum.clone() + "_-";
    Some(match kind {
        "uuid" => {
            let hex = dice.text("0123456789abcdef", 30);
            format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
        }
        "jwt" => {
            let header = base64(br#"{"alg":"RS256","typ":"JWT"}"#).replace('=', "");
            let claims =
                base64(format!(r#"{{"sub":"{}"}}"#, dice.text(DIGITS, 12)).as_bytes()).replace('=', "");
            format!("{header}.{claims}.{}", dice.text(&url, 86))
        }
        "jwe" => {
            let header = base64(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#).replace('=', "");
            let parts = [86, 16, 40, 22].map(|len| dice.text(&url, len));
            format!("{header}.{}", parts.join("."))
        }
        "github" => {
            let body = dice.text(&alnum, 30);
            format!("{argument}{body}{}", base62(crc32fast::hash(body.as_bytes())))
        }
        "npm" => {
            let body = dice.text(&alnum, 30);
            format!("npm_{body}{}", base62(crc32fast::hash(body.as_bytes())))
        }
        "grafana" => {
            let body = format!("glsa_{}", dice.text(&alnum, 32));
            format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()).swap_bytes())
        }
        "pem" | "pem1" => {
            let mut lines = vec![format!("-----BEGIN {argument}-----")];
            lines.extend((0..4).map(|_| dice.text(&(alnum.clone() + "+/"), 64)));
            lines.push(format!("-----END {argument}-----"));
            lines.join(if kind == "pem" { "\n" } else { "\\n" })
        }
        "card" => {
            let (prefix, len) = argument.split_once(':')?;
            let len: usize = len.parse().ok().filter(|&len| len > prefix.len() && len < 20)?;
            let digits = prefix.to_owned() + &dice.text(DIGITS, len - prefix.len() - 1);
            let sum: u32 = digits
                .bytes()
                .rev()
                .enumerate()
                .map(|(i, b)| {
                    let digit = u32::from(b - b'0') * if i % 2 == 0 { 2 } else { 1 };
                    digit / 10 + digit % 10
                })
                .sum();
            format!("{digits}{}", (10 - sum % 10) % 10)
        }
        "iban" => {
            let (letters, digits) = match argument {
                "DE" | "ES" => (0, if argument == "DE" { 18 } else { 20 }),
                "FR" => (0, 23),
                "GB" => (4, 14),
                "NL" => (4, 10),
                _ => return None,
            };
            let account = dice.text(UPPER, letters) + &dice.text(DIGITS, digits);
            let rest = format!("{account}{argument}00").bytes().fold(0u64, |rest, b| match b {
                b'0'..=b'9' => (rest * 10 + u64::from(b - b'0')) % 97,
                _ => (rest * 100 + u64::from(b - b'A') + 10) % 97,
            });
            format!("{argument}{:02}{account}", 98 - rest)
        }
        "base64" => base64(argument.as_bytes()),
        _ => return None,
    })
}

fn base62(mut number: u32) -> String {
    let digits = [DIGITS, UPPER, LOWER].concat();
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        *place = digits.as_bytes()[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn base64(bytes: &[u8]) -> String {
    let digits = [UPPER, LOWER, DIGITS, "+/"].concat();
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &b| bits << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            out.push(if i > group.len() {
                '='
            } else {
                digits.as_bytes()[(bits >> (18 - 6 * i) & 63) as usize] as char
            });
        }
    }
    out
}

/// SplitMix64 (G. Steele, D. Lea, C. Flood, 2014), seeded by the placeholder's text.
struct Dice(u64);

impl Dice {
    fn new(seed: &str) -> Self {
        Self(
            seed.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn text(&mut self, charset: &str, len: usize) -> String {
        let charset = charset.as_bytes();
        let mut pick = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            charset[((z ^ z >> 31) % charset.len() as u64) as usize] as char
        };
        (0..len).map(|_| pick()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_alike_on_both_sides() {
        let example = Example::parse("a {{hex:8}} b → a {{hex:8}} {{ x }}").expect("example");
        assert_eq!(example.text.len(), 12);
        assert_eq!(&example.text[2..10], &example.want[2..10]);
        assert!(example.want.ends_with("{{ x }}"));
        assert_ne!(fill("{{hex:8}}"), fill("{{hex:8#2}}"));
    }

    #[test]
    fn bad_placeholders_are_refused() {
        assert!(Example::parse("{{hex:many}}").is_err());
        assert!(Example::parse("{{iban:XX}}").is_err());
    }

    #[test]
    fn base64_is_standard() {
        assert_eq!(base64(b"user:pw"), "dXNlcjpwdw==");
    }
}
