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
/// Numbers with fewer digits are counts and sizes.
const LEAST_DIGITS: usize = 9;
/// With something between the digits, fewer are times, dates, versions and addresses.
const LEAST_DIGITS_APART: usize = 12;

/// Numbers, times, dates, versions and addresses: a few digits, and what stands between them.
fn is_number(line: &[u8]) -> bool {
    let digits = line.iter().filter(|byte| byte.is_ascii_digit()).count();
    let least = if digits == line.len() { LEAST_DIGITS } else { LEAST_DIGITS_APART };
    digits < least
        && digits > 0
        && line.iter().all(|&byte| byte.is_ascii_digit() || b".,:;+-_/ TZ".contains(&byte))
}

/// A word; names of what runs here, however they are joined; hosts, and paths made of words. Other words that somebody has
/// joined, to each other or to a year, are how people make passwords.
fn is_common(line: &[u8]) -> bool {
    let is_separator = |byte: &u8| b"-_./:@ ,=+".contains(byte);
    let mut parts = line.split(is_separator).filter(|part| !part.is_empty()).peekable();
    let Some(first) = parts.next() else { return false };
    if !line.iter().any(u8::is_ascii_alphabetic) {
        return false;
    }
    if parts.peek().is_none() {
        return is_known(first, 4) || is_word(first);
    }
    let port = line.rsplit(|&byte| byte == b':').next().filter(|port| port.len() < line.len());
    let mut all = std::iter::once(first).chain(parts);
    if line.starts_with(b"/") || is_host(line) {
        return all.all(|part| is_known(part, 4) || is_word(part) || is_digits(part, 5));
    }
    all.all(|part| is_known(part, 3) || is_digits(part, 3) || Some(part) == port && is_digits(part, 5))
}

/// Whether a line is in the form of a host's name, in a domain that hosts are in.
fn is_host(line: &[u8]) -> bool {
    let host = line.split(|&byte| byte == b':' || byte == b'/').next().unwrap_or_default();
    let domain = host.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    domain.len() < host.len()
        && DOMAINS.iter().any(|known| domain == known.as_bytes())
        && host
            .iter()
            .all(|&byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
}

fn is_digits(part: &[u8], most: usize) -> bool {
    part.len() <= most && part.iter().all(u8::is_ascii_digit)
}

/// Whether a part is a name that is known here, with at most so many digits behind it.
fn is_known(part: &[u8], digits: usize) -> bool {
    let letters = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (word, number) = part.split_at(letters);
    is_digits(number, digits) && COMMON.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

fn is_word(part: &[u8]) -> bool {
    // Upper case within a word is not how words are written.
    let is_written =
        part.iter().skip(1).all(u8::is_ascii_lowercase) || part.iter().all(u8::is_ascii_uppercase);
    is_written && part.iter().all(u8::is_ascii_alphabetic) && (part.len() < 4 || reads_as_word(part))
}

/// What the names of hosts end with.
const DOMAINS: [&str; 11] =
    ["cluster", "com", "default", "example", "internal", "io", "lan", "local", "net", "org", "svc"];

/// Words that are in the logs and settings of what is looked after here, or are taken for passwords by many.
const COMMON: [&str; 98] = [
    "admin",
    "administrator",
    "agent",
    "api",
    "app",
    "application",
    "bearer",
    "changeme",
    "changeit",
    "cluster",
    "conf",
    "config",
    "connection",
    "container",
    "data",
    "database",
    "db",
    "default",
    "dev",
    "development",
    "disabled",
    "docker",
    "enabled",
    "error",
    "example",
    "false",
    "frontend",
    "guac",
    "guacamole",
    "guest",
    "host",
    "html",
    "http",
    "https",
    "info",
    "internal",
    "job",
    "json",
    "kasm",
    "kasmweb",
    "kasmvnc",
    "kasmuser",
    "kubernetes",
    "letmein",
    "local",
    "localhost",
    "log",
    "main",
    "manager",
    "monkey",
    "namespace",
    "net",
    "nginx",
    "node",
    "none",
    "null",
    "passwd",
    "password",
    "plain",
    "pod",
    "port",
    "postgres",
    "postgresql",
    "prod",
    "production",
    "proxy",
    "public",
    "qwerty",
    "redis",
    "root",
    "secret",
    "secrets",
    "server",
    "service",
    "session",
    "share",
    "sql",
    "ssl",
    "stage",
    "staging",
    "static",
    "svc",
    "system",
    "test",
    "text",
    "tls",
    "token",
    "true",
    "unknown",
    "user",
    "users",
    "web",
    "worker",
    "workspace",
    "workspaces",
    "www",
    "xml",
    "zone",
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
            "text/plain",
            "redis:6379",
            "kasm-db-0",
            "db.corp.example.com",
            "https://api.kasm.local/",
            "development",
        ] {
            check(value, Some(Why::Common));
        }
    }

    #[test]
    fn short_numbers_and_the_like() {
        for value in [
            "123456",
            "84930217",
            "849302175",
            "12345678901",
            "10.0.0.1",
            "2026-11-20",
            "2026-11-20T1:2",
            "1.19.0",
            "192.168.1.254:443",
        ] {
            let digits = value.bytes().filter(u8::is_ascii_digit).count();
            let least = if digits == value.len() { 9 } else { 12 };
            check(value, if digits < least { Some(Why::Number) } else { None });
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
            "Winter-2024",
            "kasm-admin-2024",
            "kasm-admin2024",
            "Autumn.Rain",
            "summer-time",
            "summer time",
            "dbuser/dbpass",
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
