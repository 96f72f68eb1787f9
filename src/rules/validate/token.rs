//! Tokens that prove themselves: checksums that issuers put in, and encodings with a structure
//! inside.
//!
//! Nothing here verifies a signature. Base64 is decoded byte by byte into a closure, so that
//! nothing is stored however long the input.

use memchr::{memchr, memchr_iter, memrchr};

/// GitHub and npm: `ghp_`, `npm_` and the like, 30 characters, and their CRC-32 in six base62
/// digits (0-9A-Za-z, zero padded).
pub(super) fn github_crc32(token: &[u8]) -> bool {
    let Some((prefix, rest)) = token.split_at_checked(4) else { return false };
    let Some((body, check)) = rest.split_at_checked(30) else { return false };
    let shaped = prefix.ends_with(b"_") && body.iter().all(u8::is_ascii_alphanumeric) && check.len() == 6;
    shaped && base62(crc32fast::hash(body)) == check
}

/// Six base62 digits hold any 32-bit number.
fn base62(mut n: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = [b'0'; 6];
    for slot in out.iter_mut().rev() {
        *slot = DIGITS[(n % 62) as usize];
        n /= 62;
    }
    out
}

/// Grafana: `glsa_`, 32 characters, `_`, then the CRC-32 of all before that underscore in eight
/// hex digits, lowest byte first.
pub(super) fn grafana_crc32(token: &[u8]) -> bool {
    let Some(at) = memrchr(b'_', token) else { return false };
    let (body, check) = token.split_at(at);
    if body.len() != 37 || !body.starts_with(b"glsa_") {
        return false;
    }
    let mut hex = [0; 8];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(crc32fast::hash(body).to_le_bytes()) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    check.get(1..).is_some_and(|check| check.eq_ignore_ascii_case(&hex))
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 15) - 10,
    }
}

/// JWT or JWS in compact form: `header.payload.signature`; the signature may be empty.
pub(super) fn jwt(token: &[u8]) -> bool {
    parts::<3>(token).is_some_and(|[header, payload, signature]| {
        !payload.is_empty()
            && is_base64url(payload)
            && is_base64url(signature)
            && object_has(header, b"\"alg\"")
    })
}

/// JWE in compact form: `header.key.iv.ciphertext.tag`; the key may be empty.
pub(super) fn jwe(token: &[u8]) -> bool {
    parts::<5>(token).is_some_and(|[header, key, iv, text, tag]| {
        !text.is_empty()
            && [key, iv, text, tag].into_iter().all(is_base64url)
            && object_has(header, b"\"enc\"")
    })
}

/// The `N` parts between dots.
fn parts<const N: usize>(token: &[u8]) -> Option<[&[u8]; N]> {
    if memchr_iter(b'.', token).take(N).count() + 1 != N {
        return None;
    }
    let mut split = token.split(|&b| b == b'.');
    let parts = [(); N].map(|()| split.next().unwrap_or_default());
    Some(parts)
}

fn is_base64url(part: &[u8]) -> bool {
    let end = part.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1);
    part.len() - end <= 2
        && part.iter().take(end).all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether base64url text is a JSON object in which the key (given with its quotes) occurs.
fn object_has(base64: &[u8], key: &[u8]) -> bool {
    let (mut first, mut last) = (0, 0);
    let (mut matched, mut found) = (0, false);
    let decoded = decode(base64, Alphabet::Url, |byte| {
        if byte.is_ascii_whitespace() {
            return;
        }
        if first == 0 {
            first = byte;
        }
        last = byte;
        // A key holds quotes only at its ends, so a mismatch restarts at most with this byte.
        found |= matched == key.len() && byte == b':';
        matched = match key.get(matched) {
            Some(&want) if want == byte => matched + 1,
            _ => usize::from(byte == b'"'),
        };
    });
    decoded.is_some() && (first, last) == (b'{', b'}') && found
}

/// Which characters stand for 62 and 63.
#[derive(Clone, Copy, PartialEq)]
enum Alphabet {
    /// `+/`
    Standard,
    /// `-_`
    Url,
    /// Both.
    Either,
}

/// Bits at the end of base64 that make up no byte. An encoder leaves them zero.
struct Stray(u32);

/// Hands each decoded byte to `sink`. `None` for what is not base64: another character, padding
/// in the wrong place, a lone last character. By then some bytes have been handed out.
fn decode(text: &[u8], alphabet: Alphabet, mut sink: impl FnMut(u8)) -> Option<Stray> {
    let body = match text {
        [body @ .., b'=', b'='] | [body @ .., b'='] if text.len().is_multiple_of(4) => body,
        _ => text,
    };
    let (mut bits, mut have) = (0_u32, 0_u32);
    for &byte in body {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' if alphabet != Alphabet::Url => 62,
            b'/' if alphabet != Alphabet::Url => 63,
            b'-' if alphabet != Alphabet::Standard => 62,
            b'_' if alphabet != Alphabet::Standard => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        have += 6;
        if have >= 8 {
            have -= 8;
            sink((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    (have < 6).then_some(Stray(bits))
}

/// Standard base64, padded or not.
pub(super) fn base64(text: &[u8]) -> bool {
    !text.is_empty() && decode(text, Alphabet::Standard, |_| ()).is_some_and(|stray| stray.0 == 0)
}

/// The credentials of HTTP Basic authentication: base64 of printable text with a colon.
pub(super) fn basic_credentials(text: &[u8]) -> bool {
    let (mut colon, mut plain, mut alnum) = (false, true, 0_usize);
    // Bytes of a UTF-8 sequence still to come.
    let mut continuation = 0_u8;
    let decoded = decode(text, Alphabet::Either, |byte| {
        colon |= byte == b':';
        alnum += usize::from(byte.is_ascii_alphanumeric() || byte >= 0xc2);
        plain &= (byte & 0xc0 == 0x80) == (continuation > 0);
        continuation = match byte {
            0x20..=0x7e => 0,
            0x80..=0xbf => continuation.saturating_sub(1),
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            _ => {
                plain = false;
                0
            }
        };
    });
    decoded.is_some() && plain && continuation == 0 && colon && alnum >= 2
}

/// An age secret key: bech32 with a prefix of `AGE-SECRET-KEY-`, all in one case.
pub(super) fn age_bech32(key: &[u8]) -> bool {
    let prefix = b"age-secret-key-";
    key.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix))
        && bech32(key).is_some_and(|(data, sum)| data >= 52 && sum == Bech32::Classic)
}

/// A Bitcoin address of witness version 0 (bech32) or later (bech32m).
pub(super) fn segwit(address: &[u8]) -> bool {
    let known =
        [&b"bc1"[..], b"tb1"].iter().any(|p| address.get(..3).is_some_and(|a| a.eq_ignore_ascii_case(p)));
    let version = address.get(3).map(u8::to_ascii_lowercase);
    let want = if version == Some(b'q') { Bech32::Classic } else { Bech32::Modified };
    known && address.len() <= 90 && bech32(address).is_some_and(|(data, sum)| data >= 5 && sum == want)
}

/// Which constant a right checksum left.
#[derive(Debug, PartialEq)]
enum Bech32 {
    /// 1, BIP 173.
    Classic,
    /// 0x2bc830a3, BIP 350.
    Modified,
}

/// Length of the data without checksum, and the kind of checksum. The prefix ends at the last `1`.
fn bech32(text: &[u8]) -> Option<(usize, Bech32)> {
    const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let mixed = text.iter().any(u8::is_ascii_lowercase) && text.iter().any(u8::is_ascii_uppercase);
    if mixed || !text.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let (prefix, data) = text.split_at_checked(memrchr(b'1', text)?)?;
    let data = data.get(1..)?;
    let high = prefix.iter().map(|b| b.to_ascii_lowercase() >> 5);
    let low = prefix.iter().map(|b| b.to_ascii_lowercase() & 31);
    let mut sum = high.chain([0]).chain(low).fold(1, polymod);
    for &byte in data {
        sum = polymod(sum, memchr(byte.to_ascii_lowercase(), CHARSET)? as u8);
    }
    let kind = match sum {
        1 => Bech32::Classic,
        0x2bc8_30a3 => Bech32::Modified,
        _ => return None,
    };
    Some((data.len().checked_sub(6)?, kind))
}

/// One step of the BCH code of BIP 173.
fn polymod(sum: u32, value: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
    GENERATOR.iter().enumerate().filter(|(i, _)| top >> i & 1 == 1).fold(shifted, |sum, (_, g)| sum ^ g)
}

/// An AWS secret access key: 40 base64 characters of every kind. The kinds also keep hex out,
/// which has one case.
pub(super) fn aws_secret(text: &[u8]) -> bool {
    text.len() == 40
        && text.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+'))
        && text.iter().any(u8::is_ascii_uppercase)
        && text.iter().any(u8::is_ascii_lowercase)
        && text.iter().any(u8::is_ascii_digit)
        && !text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(f: fn(&[u8]) -> bool, text: &str, want: bool) {
        assert_eq!(f(text.as_bytes()), want, "{text}");
    }

    fn encode(bytes: &[u8], alphabet: Alphabet) -> String {
        let (c62, c63) = if alphabet == Alphabet::Url { ('-', '_') } else { ('+', '/') };
        let chars: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain([c62, c63]).collect();
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let n = chunk.iter().fold(0_u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
            (0..=chunk.len()).for_each(|i| out.push(chars[(n >> (18 - 6 * i)) as usize & 63]));
        }
        out
    }

    #[test]
    fn github_checksum() {
        let body = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ";
        let check_digits = String::from_utf8_lossy(&base62(crc32fast::hash(body.as_bytes()))).into_owned();
        // The checksum of the sample in GitHub's own announcement of the format.
        assert_eq!(check_digits, "0mLq17");
        for prefix in ["ghp", "gho", "npm"] {
            check(github_crc32, &format!("{prefix}_{body}{check_digits}"), true);
            check(github_crc32, &format!("{prefix}_{body}0mLq18"), false);
            check(github_crc32, &format!("{prefix}-{body}{check_digits}"), false);
        }
        check(github_crc32, &format!("ghp_{body}{check_digits}0"), false);
        check(github_crc32, "ghp_", false);
    }

    #[test]
    fn grafana_checksum() {
        let body = format!("glsa_{}", "HOruNAb7SOiCdshU9algkrq7FDsNSLAa");
        // The sample in Grafana's own documentation.
        check(grafana_crc32, &format!("{body}_54e2f8be"), true);
        check(grafana_crc32, &format!("{body}_54E2F8BE"), true);
        check(grafana_crc32, &format!("{body}_bef8e254"), false);
        check(grafana_crc32, &format!("{body}_54e2f8be0"), false);
        check(grafana_crc32, &body, false);
        check(grafana_crc32, "_", false);
    }

    #[test]
    fn jwt_header() {
        let header = |json: &str| encode(json.as_bytes(), Alphabet::Url);
        check(jwt, &format!("{}.{}.c2ln", header(r#"{"alg":"RS256","typ":"JWT"}"#), header("{}")), true);
        check(jwt, &format!("{}.{}.", header(r#"{"alg":"none"}"#), header("{}")), true);
        check(
            jwt,
            &format!("{}.{}.c2ln", header("{\r\n \"typ\" : \"JWT\",\n \"alg\" : \"ES256\"}"), header("{}")),
            true,
        );
        check(jwt, &format!("{}.{}.c2ln", header(r#"{"typ":"alg"}"#), header("{}")), false);
        check(jwt, &format!("{}.{}.c2ln", header(r#"{"k":1}"#), header("{}")), false);
        check(jwt, &format!("{}.{}.c2ln", header(r#"["alg":1]"#), header("{}")), false);
        check(jwt, &format!("{}..c2ln", header(r#"{"alg":"RS256"}"#)), false);
        check(jwt, &format!("{}.{}", header(r#"{"alg":"RS256"}"#), header("{}")), false);
        check(jwt, &format!("{}.a.b.c", header(r#"{"alg":"RS256"}"#)), false);
        check(jwt, &format!("{}.a b.c", header(r#"{"alg":"RS256"}"#)), false);
        check(jwt, "com.example.Class", false);
        check(jwt, "..", false);
    }

    #[test]
    fn jwt_header_of_any_length() {
        let chain = "A".repeat(100_000);
        let header = encode(format!(r#"{{"x5c":["{chain}"],"alg":"RS256"}}"#).as_bytes(), Alphabet::Url);
        check(jwt, &format!("{header}.e30.c2ln"), true);
    }

    #[test]
    fn jwe_header() {
        let header = encode(br#"{"alg":"dir","enc":"A256GCM"}"#, Alphabet::Url);
        check(jwe, &format!("{header}.a.b.c.d"), true);
        check(jwe, &format!("{header}..b.c.d"), true);
        check(jwe, &format!("{header}.a.b.c"), false);
        check(jwe, &format!("{header}.a.b.c.d.e"), false);
        check(jwe, &format!("{}.a.b.c.d", encode(br#"{"alg":"dir"}"#, Alphabet::Url)), false);
    }

    #[test]
    fn base64_form() {
        check(base64, "aGVsbG8=", true);
        check(base64, "aGVsbG8", true);
        check(base64, "aGVsbG8h", true);
        check(base64, "aGVsbG9=", false);
        check(base64, "aGVsbG8==", false);
        check(base64, "aGVsbG8=a", false);
        check(base64, "aGVsbG8-", false);
        check(base64, "a", false);
        check(base64, "=", false);
        check(base64, "", false);
    }

    #[test]
    fn base64_agrees_with_encoding() {
        for len in 0..200 {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 37 + len) as u8).collect();
            let mut out = Vec::new();
            let stray = decode(encode(&bytes, Alphabet::Url).as_bytes(), Alphabet::Url, |b| out.push(b));
            assert!(stray.is_some_and(|s| s.0 == 0) && out == bytes, "{len}");
        }
    }

    #[test]
    fn basic_user_and_password() {
        let encoded = |text: &str| encode(text.as_bytes(), Alphabet::Standard);
        check(basic_credentials, &encoded("user:pass"), true);
        check(basic_credentials, "dXNlcjpwYXNz", true);
        check(basic_credentials, "dXNlcjpwYXNzdw==", true);
        check(basic_credentials, &encoded("jürgen:größe"), true);
        check(basic_credentials, &encoded(":key42"), true);
        check(basic_credentials, &encoded("key42:"), true);
        check(basic_credentials, &encoded("no colon"), false);
        check(basic_credentials, &encoded("a:b\0"), false);
        check(basic_credentials, &encoded(":::"), false);
        check(basic_credentials, &encode(b"user:\xff\xfe", Alphabet::Standard), false);
        check(basic_credentials, &encode(b"user:\xc3", Alphabet::Standard), false);
        check(basic_credentials, "authentication", false);
        check(basic_credentials, "", false);
        check(basic_credentials, &encoded(&format!("AWS:{}", "x".repeat(3000))), true);
    }

    fn with_checksum(prefix: &str, data: &str) -> String {
        let charset = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let lower = prefix.to_lowercase();
        let high = lower.bytes().map(|b| b >> 5);
        let low = lower.bytes().map(|b| b & 31);
        let values = data.bytes().filter_map(|b| memchr(b, charset)).map(|v| v as u8);
        let sum = high.chain([0]).chain(low).chain(values).chain([0; 6]).fold(1, polymod) ^ 1;
        let check: String = (0..6).map(|i| charset[(sum >> (25 - 5 * i)) as usize & 31] as char).collect();
        format!("{lower}1{data}{check}")
    }

    #[test]
    fn age_checksum() {
        let key = with_checksum("age-secret-key-", &"qpzry9x8gf2tv".repeat(4)).to_uppercase();
        assert_eq!(key.len(), 74);
        check(age_bech32, &key, true);
        check(age_bech32, &key.to_lowercase(), true);
        check(age_bech32, &key.replace("AGE", "age"), false);
        check(age_bech32, &key[..73], false);
        check(age_bech32, &key.replacen('Q', "P", 1), false);
        check(age_bech32, &with_checksum("age-secret-key-", "qpzry9x8"), false);
        check(age_bech32, "AGE-SECRET-KEY-1", false);
        check(age_bech32, "1", false);
    }

    #[test]
    fn segwit_checksum() {
        check(segwit, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", true);
        check(segwit, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", true);
        check(segwit, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", false);
        check(segwit, "bc1", false);
        check(segwit, "bc1q", false);
    }

    #[test]
    fn aws_secret_key() {
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY".to_owned();
        check(aws_secret, &format!("{key}0123456789"), true);
        check(aws_secret, &format!("{key}012345678"), false);
        check(aws_secret, &format!("{key}012345678-"), false);
        check(aws_secret, &"0123456789".repeat(4), false);
        check(aws_secret, &"0123abcDEF".repeat(4), false);
        check(aws_secret, &"da39a3ee5e".repeat(4), false);
    }
}
