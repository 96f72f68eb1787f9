//! What is not learned, since it would be found all over, or could not be found for certain.

use zeroize::Zeroizing;

use super::MOST;
use super::filter::GRAM;
use super::spelling::Skeleton;
use crate::carrier::placeholder::holds_marker;
use crate::rules::validate::reads_as_word;

/// Why a value is not learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is nothing in it.
    Empty,
    /// It has fewer bytes than this.
    Short(usize),
    /// It has more bytes than are taken.
    Large,
    /// It holds a zero byte.
    Nul,
    /// A word or name that stands in texts for other reasons.
    Common,
    /// A number, a date, an address.
    Number,
    /// Few different bytes.
    Uniform,
    /// It holds a marker that stands in place of a secret.
    Marker,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Short(least) => write!(f, "it has under {least} bytes"),
            Self::Large => write!(f, "it has over {} KiB", MOST >> 10),
            Self::Nul => f.write_str("it holds a zero byte"),
            Self::Common => f.write_str("it is a common word or name, which would be found all over"),
            Self::Number => {
                f.write_str("it is a short number, a date or an address, which would be found all over")
            }
            Self::Uniform => f.write_str("it has too few different bytes"),
            Self::Marker => f.write_str("it holds a marker of ours"),
        }
    }
}

/// A value that is not learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it is called.
    pub name: String,
    /// The line, from 1, of a value that has several.
    pub line: Option<usize>,
    /// Why.
    pub why: Why,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if let Some(line) = self.line {
            write!(f, ", line {line},")?;
        }
        write!(f, " is not learned: {}", self.why)
    }
}

/// The lines of a value that can be learned; notes those that cannot. First and last lines of keys in PEM are no secret.
pub(super) fn lines<'v>(
    name: &str,
    value: &'v [u8],
    least: usize,
    refused: &mut Vec<Refused>,
) -> Vec<&'v [u8]> {
    let mut refuse = |line, why| refused.push(Refused { name: name.to_owned(), line, why });
    let whole = match value {
        _ if value.len() > MOST => Err(Why::Large),
        _ if value.contains(&0) => Err(Why::Nul),
        _ if value.trim_ascii().is_empty() => Err(Why::Empty),
        _ => Ok(value.trim_ascii()),
    };
    let whole = match whole {
        Ok(whole) => whole,
        Err(why) => {
            refuse(None, why);
            return Vec::new();
        }
    };
    let is_label = |line: &[u8]| line.starts_with(b"-----BEGIN ") || line.starts_with(b"-----END ");
    let has_lines = whole.contains(&b'\n');
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(whole.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        if has_lines && (line.is_empty() || is_label(line)) {
            continue;
        }
        match why_not(line, least) {
            Some(why) => refuse(has_lines.then_some(number), why),
            None => lines.push(line),
        }
    }
    lines
}

/// Why a line is not learned.
fn why_not(line: &[u8], least: usize) -> Option<Why> {
    if line.len() < least {
        return Some(Why::Short(least));
    }
    if holds_marker(line) {
        return Some(Why::Marker);
    }
    if is_number(line) {
        return Some(Why::Number);
    }
    if is_common(line) {
        return Some(Why::Common);
    }
    // What is left of it in a skeleton must tell it from others, too.
    let is_uniform = |bytes: &[u8]| {
        let mut seen = [false; 256];
        bytes.iter().for_each(|&byte| seen[usize::from(byte)] = true);
        seen.iter().filter(|&&is_seen| is_seen).count() < LEAST_DIFFERENT
    };
    let folded = folded(line);
    (is_uniform(line) || folded.len() < GRAM + 1 || is_uniform(&folded)).then_some(Why::Uniform)
}

/// Fewer different bytes than this make rulers, masks and fillers.
const LEAST_DIFFERENT: usize = 4;
/// Numbers with fewer digits are counts, times, and ids of all kinds.
const LEAST_DIGITS: usize = 12;
/// So many words joined make a phrase that nobody else writes.
const PHRASE: usize = 4;

/// Numbers, times, dates, versions and addresses: a few digits, and what stands between them.
fn is_number(line: &[u8]) -> bool {
    let digits = line.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits < LEAST_DIGITS
        && digits > 0
        && line.iter().all(|&byte| byte.is_ascii_digit() || b".,:;+-_/ TZ".contains(&byte))
}

/// Words, few of them; names of hosts and paths made of words, however many.
fn is_common(line: &[u8]) -> bool {
    let is_separator = |byte: &u8| b"-_./:@ ,=+".contains(byte);
    let mut parts = line.split(is_separator).filter(|part| !part.is_empty());
    let count = parts.clone().count();
    let is_place = line.starts_with(b"/") || line.contains(&b'.') && !line.contains(&b' ');
    (count < PHRASE || is_place) && line.iter().any(u8::is_ascii_alphabetic) && parts.all(is_common_part)
}

fn is_common_part(part: &[u8]) -> bool {
    let letters = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (word, number) = part.split_at(letters);
    if !number.iter().all(u8::is_ascii_digit) || number.len() > 4 {
        return false;
    }
    let is_known = COMMON.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    // Upper case within a word is not how words are written.
    let is_written =
        word.iter().skip(1).all(u8::is_ascii_lowercase) || word.iter().all(u8::is_ascii_uppercase);
    let is_word = is_written && (word.len() < 4 || reads_as_word(word));
    is_known || (is_word && number.is_empty()) || word.is_empty()
}

/// Words that are in the logs and settings of what is looked after here, or are taken for passwords by many.
const COMMON: [&str; 56] = [
    "admin",
    "administrator",
    "agent",
    "api",
    "bearer",
    "changeme",
    "changeit",
    "cluster",
    "config",
    "connection",
    "container",
    "database",
    "default",
    "development",
    "disabled",
    "docker",
    "enabled",
    "error",
    "example",
    "false",
    "guac",
    "guacamole",
    "guest",
    "http",
    "https",
    "info",
    "internal",
    "kasm",
    "kasmweb",
    "kasmvnc",
    "kasmuser",
    "kubernetes",
    "letmein",
    "localhost",
    "manager",
    "monkey",
    "namespace",
    "none",
    "null",
    "passwd",
    "password",
    "postgres",
    "postgresql",
    "production",
    "qwerty",
    "redis",
    "root",
    "secret",
    "server",
    "service",
    "session",
    "test",
    "token",
    "true",
    "unknown",
    "workspaces",
];

/// The skeleton of a value.
pub(super) fn folded(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut skeleton = Skeleton::default();
    skeleton.make(value);
    skeleton.into_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, want: Option<Why>) {
        assert_eq!(why_not(value.as_bytes(), 6), want, "{value}");
    }

    #[test]
    fn words_and_names_are_common() {
        for value in [
            "password",
            "Password",
            "PASSWORD",
            "postgres",
            "kasmweb",
            "localhost",
            "workspaces",
            "default",
            "disabled",
            "kasm-api",
            "kasm_db",
            "kasm_manager_service",
            "postgres15",
            "password123",
            "admin1234",
            "db.kasm.svc.cluster.local",
            "kasm-guac.kasm.svc",
            "/var/run/secrets",
            "/opt/kasm/current/conf",
            "https://localhost:8443",
            "kasm@localhost",
            "unknown error",
            "connection",
            "namespace",
            "application/json",
            "redis:6379",
            "development",
        ] {
            check(value, Some(Why::Common));
        }
    }

    #[test]
    fn short_numbers_and_the_like() {
        for value in [
            "123456",
            "12345678901",
            "10.0.0.1",
            "2026-11-20",
            "2026-11-20T1:2",
            "1.19.0",
            "192.168.1.254:443",
        ] {
            let digits = value.bytes().filter(u8::is_ascii_digit).count();
            check(value, if digits < 12 { Some(Why::Number) } else { None });
        }
        check("aaaaaaaaaaab", Some(Why::Uniform));
        check("********", Some(Why::Uniform));
        check("%41%42%43", Some(Why::Uniform));
        check("abcde", Some(Why::Short(6)));
        check("x[REDACTED:password]x", Some(Why::Marker));
    }

    #[test]
    fn secrets_are_learned() {
        for value in [
            "4f2e9a7c-dead-4bee-8f00-0123456789ab",
            "hunter2",
            "Summer2024",
            "DeadBeef",
            "deadbeef01",
            "xkqjzvwp",
            "correct horse battery staple",
            "correct-horse-battery-staple",
            "p@ssw0rd!",
            "Tr0ub4dor&3",
            "123456789012",
            "pässwörter",
            "a\"b\\c/d",
            "%41%42%43%44%45",
            "kasm%2Dpass99",
            "MIIEvQIBADANBgkqhkiG9w0BAQ",
        ] {
            check(value, None);
        }
    }

    #[test]
    fn lines_of_a_key() {
        let mut refused = Vec::new();
        let pem = b"-----BEGIN PRIVATE KEY-----\r\nDeadBeefDeadBeef0001\r\nDeadBeef==\r\nxyz=\r\n-----END PRIVATE KEY-----\r\n";
        let got = lines("file k", pem, 8, &mut refused);
        assert_eq!(got, [&b"DeadBeefDeadBeef0001"[..], b"DeadBeef=="]);
        let said: Vec<String> = refused.iter().map(Refused::to_string).collect();
        assert_eq!(said, ["file k, line 4, is not learned: it has under 8 bytes"]);
        for (value, why) in
            [(&b"\n"[..], Why::Empty), (b"Dead\0Beef", Why::Nul), (&[b'x'; MOST + 1], Why::Large)]
        {
            let mut refused = Vec::new();
            assert!(lines("X", value, 8, &mut refused).is_empty());
            assert_eq!(refused, [Refused { name: "X".to_owned(), line: None, why }]);
        }
    }
}
