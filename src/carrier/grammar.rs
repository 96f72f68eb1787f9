//! Which part of a key's value is the secret.

use std::ops::Range;

use super::key::Key;
use super::line::Line;
use super::placeholder::{holds_marker, is_placeholder, marker_at};
use super::quote::{self, Quote};
use super::tie::{self, Shape, Tie};
use super::words::Words;
use crate::finding::{Link, Reason};
use crate::rules::Values;

/// Schemes of HTTP authentication (IANA registry, and common ones outside it) that one credential follows.
static SCHEMES: Words = Words::new(&[
    b"bearer",
    b"basic",
    b"token",
    b"negotiate",
    b"ntlm",
    b"apikey",
    b"api-key",
    b"key",
    b"ssws",
    b"jwt",
    b"dpop",
    b"gnap",
    b"privatetoken",
    b"splunk",
    b"geniekey",
    b"kerberos",
    b"zoho-oauthtoken",
]);
/// The most bytes a scheme's name is read for.
const MAX_SCHEME: usize = 64;
/// Schemes that parameters follow.
static PARAMETER_SCHEMES: Words = Words::new(&[
    b"digest",
    b"aws4-hmac-sha256",
    b"aws4-ecdsa-p256-sha256",
    b"oauth",
    b"hawk",
    b"signature",
    b"mac",
    b"scram-sha-256",
    b"hmac-sha256",
]);
/// Parameters that are secret, or that let a password be guessed offline.
static SECRET_PARAMETERS: Words = Words::new(&[
    b"response",
    b"nonce",
    b"cnonce",
    b"opaque",
    b"credential",
    b"signature",
    b"oauth_token",
    b"oauth_signature",
    b"oauth_nonce",
    b"oauth_consumer_key",
    b"mac",
    b"data",
    b"hash",
    b"id",
    b"token",
    b"rspauth",
    b"sid",
]);
/// What a cookie is followed by that is no cookie (RFC 6265, section 4.1).
static COOKIE_ATTRIBUTES: Words = Words::new(&[
    b"path",
    b"expires",
    b"max-age",
    b"domain",
    b"samesite",
    b"httponly",
    b"secure",
    b"priority",
    b"partitioned",
    b"version",
]);
/// Words that follow "password:" in a sentence about passwords.
static PROSE: Words = Words::new(&[
    b"is",
    b"was",
    b"not",
    b"must",
    b"the",
    b"a",
    b"an",
    b"too",
    b"invalid",
    b"incorrect",
    b"required",
    b"expired",
    b"missing",
    b"failed",
    b"failure",
    b"wrong",
    b"does",
    b"has",
    b"have",
    b"for",
    b"from",
    b"and",
    b"or",
    b"with",
    b"in",
    b"to",
    b"of",
    b"error",
    b"cannot",
    b"can",
    b"should",
    b"will",
    b"may",
    b"user",
    b"no",
    b"changed",
    b"accepted",
    b"authentication",
]);

/// Calls `found` with each secret in the value of `tie`; tells why if there is none.
pub fn secrets(
    line: &Line<'_>,
    key: &Key,
    tie: Tie,
    values: Values,
    found: &mut dyn FnMut(Range<usize>),
) -> Result<(), Reason> {
    if tie.shape == Shape::Array {
        let mut any = Err(Reason::Placeholder);
        tie::elements(line, Some(key), tie.start, |element| {
            if element.shape == Shape::Array {
                return;
            }
            // A scalar without quotes ends where the element does.
            let is_open =
                matches!(values, Values::Line | Values::Words | Values::Authorization | Values::Cookies);
            let values = if element.shape == Shape::Bare && is_open { Values::Secret } else { values };
            let one = secrets(line, key, element, values, found);
            if any.is_err() {
                any = one;
            }
        });
        return any;
    }
    if let Some(end) = exported(line, tie) {
        let tie = Tie { shape: Shape::Element, start: tie.start + STR.len(), end, ..tie };
        return secrets(line, key, tie, values, found);
    }
    match values {
        Values::Secret => one(line, without_scheme(line, tie), tie, is_prose_word, found),
        Values::Token => one(line, without_scheme(line, tie), tie, is_no_token, found),
        Values::Number => one(line, tie.range(), tie, is_no_number, found),
        Values::Line => one(line, to_string_end(line, key, tie, false), tie, |_, _, _| false, found),
        Values::Words => one(line, to_field_end(line, key, tie), tie, is_prose_word, found),
        Values::Authorization => authorization(line, key, tie, found),
        Values::Cookies => cookies(line, key, tie, found),
    }
}

/// Where the value ends that the Collector's debug exporter prints as `     -> key: Str(value)`.
fn exported(line: &[u8], tie: Tie) -> Option<usize> {
    let is_value = tie.shape == Shape::Bare && line[tie.start..].starts_with(STR);
    let is_line = is_value && line.trim_ascii_start().starts_with(b"-> ");
    line.trim_ascii_end()
        .strip_suffix(b")")
        .map(<[u8]>::len)
        .filter(|&end| is_line && end >= tie.start + STR.len())
}

const STR: &[u8] = b"Str(";

fn one(
    line: &Line<'_>,
    range: Range<usize>,
    tie: Tie,
    is_unlikely: fn(&[u8], Range<usize>, Tie) -> bool,
    found: &mut dyn FnMut(Range<usize>),
) -> Result<(), Reason> {
    let range = trimmed(line, range);
    if is_no_secret(line, range.clone()) {
        return Err(Reason::Placeholder);
    }
    if is_unlikely(line, range.clone(), tie) {
        return Err(Reason::Unlikely);
    }
    found(range);
    Ok(())
}

/// Whether a value has been cleaned, or only stands for a secret.
fn is_no_secret(line: &Line<'_>, range: Range<usize>) -> bool {
    let value = &line[range.clone()];
    (line.touches_marker(range) && holds_marker(value)) || is_placeholder(value)
}

fn trimmed(line: &[u8], range: Range<usize>) -> Range<usize> {
    let value = &line[range.clone()];
    let start = range.start + (value.len() - value.trim_ascii_start().len());
    start..(range.start + value.trim_ascii_end().len()).max(start)
}

fn is_prose_word(line: &[u8], range: Range<usize>, tie: Tie) -> bool {
    let value = &line[range.clone()];
    let word = value.strip_suffix(b",").unwrap_or(value);
    // A line may read `Password: must`; it is a sentence only if it goes on.
    let goes_on =
        || matches!(line[range.end..], [b' ', next, ..] if next.is_ascii_alphanumeric() || next == b'`');
    tie.is_prose && PROSE.has(word) && (tie.link != Link::Header || goes_on())
}

fn is_no_number(line: &[u8], range: Range<usize>, _: Tie) -> bool {
    let value = &line[range];
    !(Values::LEAST_NUMBER..=19).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit)
}

fn is_no_token(line: &[u8], range: Range<usize>, tie: Tie) -> bool {
    let value = &line[range];
    if value.len() < Values::LEAST_TOKEN
        || (value.len() <= 12 && value.iter().all(|b| b.is_ascii_digit() || *b == b'.'))
    {
        return true;
    }
    // Outside quotes, words and names made of words are no tokens: `token: expired`, `secret=kasm-secrets`.
    let is_quoted = matches!(tie.shape, Shape::Quoted(_));
    !is_quoted && tie.link != Link::Query && is_wordy(value)
}

/// Letters only, in parts of one case (but for a capital first letter) that are short enough for words. A path may
/// have small numbers among them. The names that Java prints of objects are no tokens either.
fn is_wordy(value: &[u8]) -> bool {
    let is_path = value.contains(&b'/');
    if let Some(at) = memchr::memchr2(b'@', b'{', value)
        && at > 0
        && (4..=8).contains(&(value.len() - at - 1))
        && value[at + 1..].iter().all(u8::is_ascii_hexdigit)
    {
        return is_wordy(&value[..at])
            || value[..at].iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'$'));
    }
    value.split(|b| matches!(b, b'-' | b'_' | b'.' | b'/' | b':')).all(|part| {
        let tail = part.get(1..).unwrap_or_default();
        if is_path && part.len() <= 5 && part.iter().all(u8::is_ascii_digit) {
            return true;
        }
        part.len() <= 16
            && part.iter().all(u8::is_ascii_alphabetic)
            && (tail.iter().all(u8::is_ascii_lowercase) || part.iter().all(u8::is_ascii_uppercase))
    })
}

/// The value without an authentication scheme in front of it.
fn without_scheme(line: &Line<'_>, tie: Tie) -> Range<usize> {
    let value = &line[tie.range()];
    let Some(word) = SCHEMES.first_of(value, b' ').map(<[u8]>::len) else { return tie.range() };
    match tie.shape {
        Shape::Bare if line.get(tie.end) == Some(&b' ') => {
            let start = tie.end + 1;
            let end = tie::bare_end(line, start, tie.link);
            if end > start { start..end } else { tie.range() }
        }
        // All that can be seen is the scheme.
        Shape::Bare if tie.end == line.len() => tie.end..tie.end,
        Shape::Bare => tie.range(),
        _ if word < value.len() => tie.start + word + 1..tie.end,
        _ => tie.range(),
    }
}

/// A bare value goes on to the end of its line or of the string around it; an escaped line end ends it, too.
/// `has_strings`: it may hold strings, behind equals signs.
fn to_string_end(line: &Line<'_>, key: &Key, tie: Tie, has_strings: bool) -> Range<usize> {
    if tie.shape != Shape::Bare {
        return tie.range();
    }
    let around = quote::before(line, key.start).map(|open| tie::content_end(line, tie.start, open));
    let limit = around.unwrap_or(line.len()).max(tie.start);
    let mut at = tie.start;
    let end = loop {
        let Some(found) = memchr::memchr2(b'\\', b'"', &line[at..limit]) else { break limit };
        at += found;
        let run = line[at..limit].iter().take_while(|&&b| b == b'\\').count();
        match line[..limit].get(at + run) {
            Some(b'"') if around.is_none() => {
                let open = Quote { mark: b'"', escapes: run };
                let start = at + open.width();
                let end = tie::content_end(line, start, open).min(limit);
                if !has_strings || line[at - 1] != b'=' || quote::at(line, end) != Some(open) {
                    break at;
                }
                at = end + open.width();
            }
            Some(b'n' | b'r') if run > 0 => break at,
            _ => at += run.max(1),
        }
    };
    line.read(end - tie.start);
    tie.start..end
}

/// A bare value goes on to the end of its line or string, or to the next `name=`.
fn to_field_end(line: &Line<'_>, key: &Key, tie: Tie) -> Range<usize> {
    if tie.shape != Shape::Bare || tie.link == Link::Query || tie.link == Link::Flag {
        return tie.range();
    }
    let all = to_string_end(line, key, tie, false);
    let value = &line[all.clone()];
    let end = match memchr::memchr3(b'=', b',', b';', value) {
        Some(at) if value[at] == b'=' => {
            let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            at - value[..at].iter().rev().take_while(is_name).count()
        }
        Some(at) => at,
        None => value.len(),
    };
    all.start..all.start + end.max(tie.end - tie.start)
}

fn authorization(
    line: &Line<'_>,
    key: &Key,
    tie: Tie,
    found: &mut dyn FnMut(Range<usize>),
) -> Result<(), Reason> {
    let mut region = trimmed(line, to_string_end(line, key, tie, false));
    // Go prints a header as `Authorization:[Bearer …]`.
    if line[region.clone()].starts_with(b"[") && marker_at(line, region.start).is_none() {
        region.start += 1;
        region.end = memchr::memchr(b']', &line[region.clone()]).map_or(region.end, |i| region.start + i);
    }
    if tie.shape == Shape::Bare && matches!(tie.link, Link::Query | Link::Flag) {
        region = tie.range();
    }
    let value = &line[region.clone()];
    let scheme = value.iter().take(MAX_SCHEME).take_while(|&&b| !b.is_ascii_whitespace()).count();
    if PARAMETER_SCHEMES.has(&value[..scheme]) {
        // Parameters hold quotes of their own: read on to the end of the line.
        let from = region.start + scheme;
        line.read(line.len() - from);
        return parameters(line, from..line.len(), found);
    }
    let blank = value[scheme..].iter().take_while(|&&b| b == b' ').count();
    let rest = region.start + scheme + blank;
    if blank > 0 && marker_at(line, rest).is_some() {
        return Err(Reason::Placeholder);
    }
    let next = &value[(scheme + blank).min(value.len())..];
    let next = next[..next.len().min(MAX_SCHEME)].split(|&b| b == b' ').next().unwrap_or_default();
    // A scheme nobody knows: a name, and what is no word behind it.
    let is_named = blank > 0
        && value[..scheme].iter().all(|b| b.is_ascii_alphabetic() || *b == b'-')
        && next.len() >= 8
        && next.iter().any(u8::is_ascii_digit);
    let is_known = is_named || SCHEMES.has(&value[..scheme]);
    let credentials = if is_known && blank > 0 && rest < region.end {
        let end = if tie.shape == Shape::Bare {
            tie::bare_end(line, rest, Link::Assign).min(region.end)
        } else {
            region.end
        };
        rest..end
    } else if is_known {
        return Err(Reason::Placeholder);
    } else {
        // No scheme that is known: all of a quoted value, one word of a bare one.
        let end = if tie.shape == Shape::Bare {
            tie::bare_end(line, region.start, tie.link).min(region.end)
        } else {
            region.end
        };
        region.start..end.max(region.start)
    };
    let is_prose: fn(&[u8], Range<usize>, Tie) -> bool = if is_known {
        |line, range, tie| tie.shape == Shape::Bare && PROSE.has(&line[range])
    } else {
        |line, range, tie| tie.shape == Shape::Bare && is_wordy(&line[range])
    };
    one(line, credentials, tie, is_prose, found)
}

/// `name="value", …` of Digest and its kind: the values of secret names.
fn parameters(
    line: &Line<'_>,
    range: Range<usize>,
    found: &mut dyn FnMut(Range<usize>),
) -> Result<(), Reason> {
    let mut any = Err(Reason::Placeholder);
    let mut at = range.start;
    while let Some(equals) = memchr::memchr(b'=', &line[at..range.end]).map(|i| at + i) {
        let name = line[range.start..equals]
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
            .count();
        let name = &line[equals - name..equals];
        let open = quote::at(line, equals + 1);
        let start = equals + 1 + open.map_or(0, quote::Quote::width);
        let end = match open {
            Some(open) => tie::content_end(line, start, open),
            None => {
                start
                    + line[start..range.end]
                        .iter()
                        .take_while(|b| !matches!(b, b',' | b' ' | b'"' | b'\'' | b'\\' | b'\r' | b'\t'))
                        .count()
            }
        };
        if SECRET_PARAMETERS.has(name) && !is_no_secret(line, start..end) {
            found(start..end);
            any = Ok(());
        }
        at = end.max(equals + 1);
    }
    any
}

/// How many brackets at the end of `value` close what was opened in front of it.
fn closed_around(value: &[u8]) -> usize {
    let closing = value.iter().rev().take_while(|&&b| b == b']').count();
    let count = |byte: u8| value.iter().filter(|&&b| b == byte).count();
    closing.min(count(b']').saturating_sub(count(b'[')))
}

fn cookies(line: &Line<'_>, key: &Key, tie: Tie, found: &mut dyn FnMut(Range<usize>)) -> Result<(), Reason> {
    let region = to_string_end(line, key, tie, true);
    let mut any = Err(Reason::Placeholder);
    let mut at = region.start;
    while at < region.end {
        let next = memchr::memchr(b';', &line[at..region.end]).map_or(region.end, |i| at + i);
        let part = trimmed(line, at..next);
        at = next + 1;
        let Some(equals) = memchr::memchr(b'=', &line[part.clone()]).map(|i| part.start + i) else {
            continue;
        };
        let name = line[part.start..equals].trim_ascii();
        // A cookie that was cleaned, and something else in the line behind it.
        if holds_marker(name) {
            continue;
        }
        let mut value = trimmed(line, equals + 1..part.end);
        if let Some(open) = quote::at(line, value.start) {
            let start = value.start + open.width();
            value = start..tie::content_end(line, start, open).min(part.end).max(start);
        } else if line[value.clone()].contains(&b' ') && marker_at(line, value.start).is_none() {
            // A cookie has no blanks: what follows the last one is something else in the line.
            value.end = value.start + line[value.clone()].iter().take_while(|&&b| b != b' ').count();
        }
        if line[region.start] == b'[' {
            value.end -= closed_around(&line[value.clone()]);
        }
        let is_attribute = COOKIE_ATTRIBUTES.has(name);
        if !is_attribute && !is_no_secret(line, value.clone()) {
            found(value);
            any = Ok(());
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::super::{key, tie};
    use super::*;

    fn check(values: Values, word: &str, line: &str, want: &[&str]) {
        let at = line.find(word).expect("key");
        let key = key::around(line.as_bytes(), at..at + word.len()).expect("key");
        let mut got = Vec::new();
        if let Some(tie) = tie::value_of(&Line::new(line.as_bytes()), &key) {
            let _ =
                secrets(&Line::new(line.as_bytes()), &key, tie, values, &mut |range| got.push(&line[range]));
        }
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn credentials_follow_a_scheme() {
        let check = |line, want| check(Values::Authorization, "Authorization", line, want);
        check("Authorization: Bearer abc.def", &["abc.def"]);
        check("> Authorization: Basic dTpw", &["dTpw"]);
        check(r#"{"Authorization":"Bearer abc"}"#, &["abc"]);
        check(r#"{"Authorization":["Bearer abc"]}"#, &["abc"]);
        check("curl -H 'Authorization: Bearer abc' https://x", &["abc"]);
        check("Authorization: abc123def", &["abc123def"]);
        check("Authorization: failed for user", &[]);
        check("Authorization=\rab12 x", &["ab12"]);
        check("Authorization: [ab12] x", &["ab12"]);
        check(r#"Authorization: Digest username="u", nonce="n1", uri="/", response="r1""#, &["n1", "r1"]);
        check(
            "Authorization: AWS4-HMAC-SHA256 Credential=AK/x, SignedHeaders=host, Signature=ab12",
            &["AK/x", "ab12"],
        );
    }

    #[test]
    fn cookie_values() {
        let check = |line, want| check(Values::Cookies, "Cookie", line, want);
        // As Go prints the header of a request.
        check("headers: map[Cookie:[sid=dead1]] next=1", &["dead1"]);
        check("map[Cookie:[sid=dead1; b=dead[2]] Host:[x]] next=1", &["dead1", "dead[2]"]);
        check("map[Cookie:[sid=dead1]]", &["dead1"]);
        check("Cookie: sid=dead1]", &["dead1]"]);
        check("Cookie: a=1x; b=2y", &["1x", "2y"]);
        check("Set-Cookie: sid=abc; Path=/; HttpOnly", &["abc"]);
        check("Cookie: username=\"bob\"; sid=abc1; x=def2", &["bob", "abc1", "def2"]);
        check(r#"{"m":"Cookie: a=\"b1\"; c=d2","z":"e"}"#, &["b1", "d2"]);
        check(r#"{"Cookie":"a=1x; b=2y","z":1}"#, &["1x", "2y"]);
        check(r#"headers: Cookie: a=1x\r\nHost: h"#, &["1x"]);
    }

    #[test]
    fn tokens_are_not_words() {
        let check = |line, want| check(Values::Token, "token", line, want);
        check("token=abcd1234", &["abcd1234"]);
        check("token: expired", &[]);
        check("token=42", &[]);
        check("token: Bearer abcd1234", &["abcd1234"]);
        check(r#"{"token":"abcdefgh"}"#, &["abcdefgh"]);
    }

    #[test]
    fn sentences_about_passwords() {
        let check = |line, want| check(Values::Secret, "password", line, want);
        check("password: must be at least 8 characters", &[]);
        check("form: password: must be set", &[]);
        check("password: must", &["must"]);
        check("password: musty", &["musty"]);
    }

    #[test]
    fn words_go_on() {
        let check = |line, want| check(Values::Words, "passphrase", line, want);
        check("passphrase: correct horse battery", &["correct horse battery"]);
        check("passphrase: correct horse next=1", &["correct horse"]);
        check(r#"{"m":"passphrase: correct horse","x":1}"#, &["correct horse"]);
    }
}
