//! Checksums and encodings that real tokens and numbers carry: base62 CRC-32, Luhn, IBAN, bech32, base64.
//!
//! Written apart from the engine's own checks on purpose: a mistake there must not be repeated here.

use super::random::{BASE64, BASE64_URL};

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The six base62 digits that end GitHub and npm tokens: CRC-32 of the random part.
pub(crate) fn base62_crc32(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|&b| char::from(b)).collect()
}

/// The eight hex digits that end a Grafana service account token: CRC-32 of all before the last `_`,
/// least significant byte first.
pub(crate) fn grafana_crc32(key: &str) -> String {
    crc32fast::hash(key.as_bytes()).to_le_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

/// The digit that makes `digits` followed by it pass the Luhn check.
pub(crate) fn luhn_digit(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            match place % 2 {
                0 if digit > 4 => digit * 2 - 9,
                0 => digit * 2,
                _ => digit,
            }
        })
        .sum();
    char::from(b'0' + ((10 - sum % 10) % 10) as u8)
}

/// The two check digits of an IBAN (ISO 7064 mod 97-10).
pub(crate) fn iban_check(country: &str, account: &str) -> String {
    let mut rest = 0u32;
    for byte in account.bytes().chain(country.bytes()).chain(*b"00") {
        rest = match byte {
            b'0'..=b'9' => rest * 10 + u32::from(byte - b'0'),
            _ => rest * 100 + u32::from(byte - b'A') + 10,
        } % 97;
    }
    format!("{:02}", 98 - rest)
}

/// A bech32 string (BIP 173) in upper case: age secret keys.
pub(crate) fn bech32_upper(prefix: &str, data: &[u8]) -> String {
    const LETTERS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let prefix = prefix.to_ascii_lowercase();
    let mut words: Vec<u8> = prefix.bytes().map(|b| b >> 5).collect();
    words.push(0);
    words.extend(prefix.bytes().map(|b| b & 31));
    words.extend(data.iter().map(|d| d & 31));
    words.extend([0; 6]);
    let check = bech32_polymod(&words) ^ 1;
    let checks = (0..6).map(|i| ((check >> (5 * (5 - i))) & 31) as u8);
    let body = data.iter().map(|d| d & 31).chain(checks).map(|d| char::from(LETTERS[usize::from(d)]));
    format!("{prefix}1{}", body.collect::<String>()).to_ascii_uppercase()
}

fn bech32_polymod(words: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    words.iter().fold(1u32, |sum, &word| {
        let top = sum >> 25;
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(word);
        (0..5).filter(|i| (top >> i) & 1 == 1).fold(shifted, |sum, i| sum ^ GENERATOR[i])
    })
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = base64_digits(bytes, BASE64);
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// URL-safe base64 without padding, as in a JWT.
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    base64_digits(bytes, BASE64_URL)
}

fn base64_digits(bytes: &[u8], alphabet: &str) -> String {
    let letters = alphabet.as_bytes();
    let mut out = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &b| (word << 8) | u32::from(b)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(letters[((word >> (18 - 6 * place)) & 63) as usize]));
        }
    }
    out
}

#[test]
fn checksums_agree_with_published_values() {
    // crc32("123456789") = cbf43926, the check value of every CRC catalogue.
    assert_eq!(grafana_crc32("123456789"), "2639f4cb");
    assert_eq!(base62_crc32("123456789"), "3jZRME");
    assert_eq!(luhn_digit("7992739871"), '3');
    assert_eq!(luhn_digit("411111111111111"), '1');
    assert_eq!(iban_check("GB", "WEST12345698765432"), "82");
    assert_eq!(iban_check("DE", "370400440532013000"), "89");
    // BIP 173's shortest valid string.
    assert_eq!(bech32_upper("a", &[]), "A12UEL5L");
    assert_eq!(base64(b"user:pass"), "dXNlcjpwYXNz");
    assert_eq!(base64(b"a"), "YQ==");
    assert_eq!(base64_url(br#"{"alg":"none"}"#), "eyJhbGciOiJub25lIn0");
}
