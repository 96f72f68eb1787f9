//! Named checks that a rule may demand of its secret (`validate = ["luhn"]`).
//!
//! A regex says what a secret looks like; a validator says whether it can be one: check digits,
//! structure, assigned ranges, randomness. What is not here: entropy (a number of its own in a
//! rule) and anything that would ask a server.
//!
//! What always holds: a validator takes any bytes, cannot panic, does not allocate, and ends
//! after one pass. It sees the secret only, never its surroundings.

mod address;
mod checksum;
mod national;
mod randomness;
mod token;

pub use randomness::reads_as_word;

/// A named check a rule may demand of its secret.
pub struct Validator {
    /// The name rule files use.
    pub name: &'static str,
    /// What a secret must be to pass, for `rules` listings and error messages.
    pub about: &'static str,
    /// Whether these bytes pass.
    pub check: fn(&[u8]) -> bool,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Validator").field(&self.name).finish()
    }
}

const fn v(name: &'static str, about: &'static str, check: fn(&[u8]) -> bool) -> Validator {
    Validator { name, about, check }
}

/// Every validator there is, sorted by name.
#[rustfmt::skip]
pub const VALIDATORS: &[Validator] = &[
    v("aadhaar", "12 digits, the first 2 to 9, with a right Verhoeff digit", national::aadhaar),
    v("aba", "9 digits with the check digit of a US bank routing number", checksum::aba),
    v("age-bech32", "an age secret key with a right bech32 checksum", token::age_bech32),
    v("ahv", "13 digits from 756 with a right EAN-13 digit (Swiss AHV/AVS)", national::ahv),
    v("aws-secret", "40 base64 characters with upper case, lower case and a digit, not all hex", token::aws_secret),
    v("base64", "standard base64, padded or not, without stray bits", token::base64),
    v("basic-credentials", "base64 of printable user:password text", token::basic_credentials),
    v("bsn", "8 or 9 digits that pass the eleven test (Dutch BSN)", national::bsn),
    v("card", "payment card: an issuer's prefix with its length, usual grouping, Luhn digit", checksum::card),
    v("cnpj", "14 characters with right check digits (Brazilian CNPJ)", national::cnpj),
    v("codice-fiscale", "16 characters with a right check letter (Italian codice fiscale)", national::codice_fiscale),
    v("cpf", "11 digits with right check digits (Brazilian CPF)", national::cpf),
    v("curp", "18 characters with a right check digit (Mexican CURP)", national::curp),
    v("dni", "Spanish DNI or NIE with a right check letter", national::dni),
    v("e164", "telephone number: +, an assigned country code, 8 to 15 digits", address::e164),
    v("email", "e-mail address with a domain name; not a file, unit, package or SSH algorithm", address::email),
    v("github-crc32", "GitHub or npm token whose last six characters are its CRC-32", token::github_crc32),
    v("grafana-crc32", "Grafana service account token whose last eight characters are its CRC-32", token::grafana_crc32),
    v("iban", "IBAN of its country's length with right check digits", checksum::iban),
    v("imei", "15 digits with a right Luhn digit", checksum::imei),
    v("ipv4", "four octets without leading zeros", address::ipv4),
    v("ipv6", "IPv6 address in any spelling, with or without a zone", address::ipv6),
    v("jwe", "five parts whose first is a JSON object with \"enc\"", token::jwe),
    v("jwt", "three parts whose first is a JSON object with \"alg\"", token::jwt),
    v("luhn", "digits, perhaps grouped, with a right Luhn digit", checksum::luhn),
    v("mac", "six octets in hex with one kind of separator", address::mac),
    v("mixed", "at least one letter and one digit", randomness::mixed),
    v("nhs", "10 digits with a right modulus 11 digit (NHS number)", national::nhs),
    v("nir", "15 characters with a right key (French NIR)", national::nir),
    v("not-hex", "not a hex string", randomness::not_hex),
    v("not-uuid", "not a UUID", randomness::not_uuid),
    v("pesel", "11 digits with a date and a right check digit (Polish PESEL)", national::pesel),
    v("random", "made by a generator rather than of words", randomness::random),
    v("segwit", "Bitcoin bech32 address with a right checksum", token::segwit),
    v("sin", "9 digits with a right Luhn digit (Canadian SIN)", national::sin),
    v("ssn", "9 digits in ranges that US social security numbers have", national::ssn),
    v("steuer-id", "11 digits with a right check digit (German tax number)", national::steuer_id),
    v("verhoeff", "digits with a right Verhoeff digit", checksum::verhoeff),
    v("vin", "17 characters of a vehicle identification number", national::vin),
];

/// The validator of that name.
pub fn by_name(name: &str) -> Option<&'static Validator> {
    let at = VALIDATORS.binary_search_by(|v| v.name.cmp(name)).ok()?;
    VALIDATORS.get(at)
}

/// Up to `N` digits, none of them more than one separator away from the next.
struct Digits<const N: usize> {
    value: [u8; N],
    len: usize,
}

impl<const N: usize> Digits<N> {
    /// `None` when there are more than `N` digits, another byte, or a separator that does not
    /// stand between two digits.
    fn read(text: &[u8], separators: &[u8]) -> Option<Self> {
        let mut digits = Self { value: [0; N], len: 0 };
        let mut after_digit = false;
        for &byte in text {
            if byte.is_ascii_digit() {
                *digits.value.get_mut(digits.len)? = byte - b'0';
                digits.len += 1;
                after_digit = true;
            } else if after_digit && separators.contains(&byte) {
                after_digit = false;
            } else {
                return None;
            }
        }
        after_digit.then_some(digits)
    }

    /// As `read`, and exactly `N` of them.
    fn exact(text: &[u8], separators: &[u8]) -> Option<[u8; N]> {
        let digits = Self::read(text, separators)?;
        (digits.len == N).then_some(digits.value)
    }

    fn as_slice(&self) -> &[u8] {
        self.value.get(..self.len).unwrap_or_default()
    }
}

/// Up to `N` letters and digits, letters in upper case, separators left out.
/// `None` when there are more, fewer or others.
fn alnum<const N: usize>(text: &[u8], separators: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut len = 0;
    let mut after_alnum = false;
    for &byte in text {
        if byte.is_ascii_alphanumeric() {
            *out.get_mut(len)? = byte.to_ascii_uppercase();
            len += 1;
            after_alnum = true;
        } else if after_alnum && separators.contains(&byte) {
            after_alnum = false;
        } else {
            return None;
        }
    }
    (len == N && after_alnum).then_some(out)
}

/// Whether all items are the same, as in a number someone made up.
fn all_same(digits: &[u8]) -> bool {
    digits.windows(2).all(|w| matches!(w, [a, b] if a == b))
}

/// The sum of digits times weights, pair by pair.
fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(&d, &w)| u32::from(d) * w).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        assert!(VALIDATORS.windows(2).all(|w| w[0].name < w[1].name));
        for v in VALIDATORS {
            assert_eq!(by_name(v.name).map(|v| v.name), Some(v.name));
            assert!(!v.about.is_empty() && !(v.check)(b"") || v.name.starts_with("not-"));
        }
        assert!(by_name("").is_none());
        assert!(by_name("Luhn").is_none());
    }

    /// Bytes that validators care for, so that the loops get past the first look.
    const LIKELY: &[u8] =
        b"0123456789012345678901234567890123456789abcdefXYZ.:-+/= @_()%eyJ\"{}\xc3\xa9\xff\0";

    #[test]
    fn any_bytes_are_taken() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as usize
        };
        for round in 0..20_000 {
            let len = next() % 90;
            let bytes: Vec<u8> = (0..len)
                .map(|_| if round % 4 == 0 { next() as u8 } else { LIKELY[next() % LIKELY.len()] })
                .collect();
            for v in VALIDATORS {
                (v.check)(&bytes);
            }
        }
    }

    #[test]
    fn edges_are_taken() {
        let shapes: &[&[u8]] = &[
            b"0", b"4", b"1 ", b" 1", b".", b"..", b"....", b":", b"::", b"@", b"a@", b"@a", b"+", b"=",
            b"==", b"====", b"%",
        ];
        for unit in shapes {
            for times in [1, 2, 3, 9, 16, 40, 64, 74, 4096] {
                let bytes = unit.repeat(times);
                for v in VALIDATORS {
                    (v.check)(&bytes);
                }
            }
        }
    }

    #[test]
    fn huge_inputs_end_soon() {
        for byte in [b'0', b'4', b'a', b'.', b':', b'-', b'=', b'@', 0xff] {
            let bytes = vec![byte; 1 << 20];
            for v in VALIDATORS {
                (v.check)(&bytes);
            }
        }
    }
}
