//! Numbers that carry check digits wherever they are issued: cards, bank accounts, devices.
//!
//! Numbers of one country's people are in `national`.

use super::{Digits, all_same, weighted};

/// Digits, perhaps grouped by single spaces or dashes, with a right Luhn digit.
pub(super) fn luhn(text: &[u8]) -> bool {
    Digits::<32>::read(text, b" -").is_some_and(|d| {
        let digits = d.as_slice();
        digits.len() >= 2 && !all_same(digits) && luhn_holds(digits)
    })
}

/// Luhn over digit values, the last being the check digit.
pub(super) fn luhn_holds(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| {
            let d = u32::from(d);
            match (i % 2, d) {
                (0, d) => d,
                (_, d @ 0..=4) => d * 2,
                (_, d) => d * 2 - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// IMEI: 15 digits, perhaps grouped, with a right Luhn digit.
pub(super) fn imei(text: &[u8]) -> bool {
    Digits::<15>::exact(text, b" -/").is_some_and(|d| !all_same(&d) && luhn_holds(&d))
}

/// US bank routing number: a Federal Reserve district and the weights 3, 7, 1.
pub(super) fn aba(text: &[u8]) -> bool {
    Digits::<9>::exact(text, b" -").is_some_and(|d| {
        let district = d[0] * 10 + d[1];
        matches!(district, 0..=12 | 21..=32 | 61..=72 | 80)
            && !all_same(&d)
            && weighted(&d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
    })
}

/// How a card number is written.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Bare,
    /// 4-4-4-4.
    Fours,
    /// 4-4-4-4-3, as on 19-digit cards.
    FoursAndThree,
    /// 4-6-5, American Express.
    FourSixFive,
    /// 4-6-4, Diners Club.
    FourSixFour,
}

/// A payment card number: an issuer's prefix with a length it uses, digits bare or in its usual
/// groups with one kind of separator, a right Luhn digit.
///
/// Bare digits are held to more: most 13- and 19-digit numbers in logs are times and record ids.
pub(super) fn card(text: &[u8]) -> bool {
    let Some((digits, layout)) = card_digits(text) else { return false };
    let digits = digits.as_slice();
    if all_same(digits) || !issuer_fits(digits, layout) {
        return false;
    }
    // A security code of three digits may follow a 16-digit number in groups.
    luhn_holds(digits) || layout == Layout::FoursAndThree && digits.get(..16).is_some_and(luhn_holds)
}

fn card_digits(text: &[u8]) -> Option<(Digits<19>, Layout)> {
    let digits = Digits::<19>::read(text, b" +-")?;
    let separator = text.iter().copied().find(|b| !b.is_ascii_digit());
    let Some(separator) = separator else { return Some((digits, Layout::Bare)) };
    let mut groups = [0_u8; 5];
    let mut group = 0;
    for &byte in text {
        if byte.is_ascii_digit() {
            *groups.get_mut(group)? += 1;
        } else if byte == separator {
            group += 1;
        } else {
            return None;
        }
    }
    let layout = match groups {
        [4, 4, 4, 4, 0] => Layout::Fours,
        [4, 4, 4, 4, 3] => Layout::FoursAndThree,
        [4, 6, 5, 0, 0] => Layout::FourSixFive,
        [4, 6, 4, 0, 0] => Layout::FourSixFour,
        _ => return None,
    };
    Some((digits, layout))
}

/// Whether an issuer gives out numbers of this prefix and length.
fn issuer_fits(digits: &[u8], layout: Layout) -> bool {
    let prefix = digits.iter().take(6).fold(0_u32, |n, &d| n * 10 + u32::from(d));
    let (six, four, two) = (prefix, prefix / 100, prefix / 10_000);
    let bare = layout == Layout::Bare;
    match digits.len() {
        // Maestro's own ranges; no other issuer is this short.
        12 => bare && maestro(four),
        13 => bare && (two / 10 == 4 || maestro(four)),
        14 => matches!(two, 36 | 38 | 39) || matches!(four, 3000..=3059 | 3095),
        15 => matches!(two, 34 | 37) || bare && maestro(four),
        16 => {
            two / 10 == 4                                        // Visa
                || matches!(six, 222_100..=272_099)              // Mastercard
                || matches!(two, 51..=55 | 62 | 65)              // Mastercard, UnionPay, Discover
                || matches!(four, 6011 | 6440..=6499)            // Discover
                || matches!(four, 3528..=3589)                   // JCB
                || matches!(four, 2200..=2204)                   // Mir
                || matches!(four, 3000..=3059 | 3095) || matches!(two, 36 | 38 | 39)
                || maestro(four)
                || !bare && matches!(two, 50 | 56..=61 | 63 | 64 | 66..=69)
        }
        17 | 18 => bare && (two == 62 || maestro(four)),
        19 => {
            two == 62
                || maestro(four)
                || !bare && (two / 10 == 4 || two == 65 || matches!(four, 6011 | 6440..=6499 | 3528..=3589))
        }
        _ => false,
    }
}

/// The ranges Maestro names as its own.
fn maestro(four: u32) -> bool {
    matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761 | 6762 | 6763)
}

/// Country and length of its IBANs, from the SWIFT IBAN registry, sorted.
#[rustfmt::skip]
const IBAN_LENGTHS: &[(&[u8; 2], u8)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];

/// IBAN: its country's length, check digits of ISO 7064 mod 97-10; bare, or in groups of four
/// with one kind of separator.
pub(super) fn iban(text: &[u8]) -> bool {
    // The longest is 33 characters and eight separators.
    if text.len() > 41 {
        return false;
    }
    let mut chars = [0_u8; 33];
    let mut len = 0_usize;
    let mut separator = None;
    for (at, &byte) in text.iter().enumerate() {
        if byte.is_ascii_alphanumeric() {
            let Some(slot) = chars.get_mut(len) else { return false };
            *slot = byte.to_ascii_uppercase();
            len += 1;
            continue;
        }
        // Position of a separator in a fully grouped number: after every fourth character.
        let grouped = at % 5 == 4 && len == (at / 5 + 1) * 4 && at + 1 < text.len();
        if !matches!(byte, b' ' | b'+' | b'-') || !grouped || *separator.get_or_insert(byte) != byte {
            return false;
        }
    }
    // Grouped means all of it: as many separators as full groups that something follows.
    if separator.is_some() && text.len() - len != len.saturating_sub(1) / 4 {
        return false;
    }
    let chars = chars.get(..len).unwrap_or_default();
    let [a, b, c, d, rest @ ..] = chars else { return false };
    let country = [*a, *b];
    let known =
        IBAN_LENGTHS.binary_search_by(|(cc, _)| (*cc).cmp(&country)).ok().and_then(|i| IBAN_LENGTHS.get(i));
    if known.is_none_or(|(_, n)| usize::from(*n) != len) || !c.is_ascii_digit() || !d.is_ascii_digit() {
        return false;
    }
    let moved = rest.iter().chain([a, b, c, d]);
    let remainder = moved.fold(0_u32, |n, &ch| match ch {
        b'0'..=b'9' => (n * 10 + u32::from(ch - b'0')) % 97,
        _ => (n * 100 + u32::from(ch.saturating_sub(b'A')) + 10) % 97,
    });
    // Check digits are 02 to 98: 00, 01 and 99 leave the same remainders.
    remainder == 1 && !matches!([*c, *d], [b'0', b'0' | b'1'] | [b'9', b'9'])
}

/// Digits with a right Verhoeff digit.
pub(super) fn verhoeff(text: &[u8]) -> bool {
    Digits::<32>::read(text, b" -").is_some_and(|d| d.len >= 2 && verhoeff_holds(d.as_slice()))
}

/// Verhoeff over digit values, the last being the check digit: arithmetic in the dihedral group
/// D5, with the permutation (1 5 8 9 4 2 7 0)(3 6) applied once per position.
pub(super) fn verhoeff_holds(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let sum = digits.iter().rev().enumerate().fold(0_u8, |sum, (position, &digit)| {
        let moved = (0..position % 8).fold(digit % 10, |d, _| PERMUTATION[usize::from(d)]);
        dihedral(sum, moved)
    });
    sum == 0
}

/// The product of two elements of D5: 0 to 4 are rotations, 5 to 9 reflections.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(f: fn(&[u8]) -> bool, text: &str, want: bool) {
        assert_eq!(f(text.as_bytes()), want, "{text}");
    }

    #[test]
    fn luhn_digit() {
        check(luhn, "79927398713", true);
        check(luhn, "79927398710", false);
        check(luhn, "7992-7398-713", true);
        check(luhn, "4111 1111 1111 1111", true);
        check(luhn, "4111  1111 1111 1111", false);
        check(luhn, "4111 1111 1111 1111 ", false);
        check(luhn, "0000000000", false);
        check(luhn, "0", false);
        check(luhn, "", false);
        check(luhn, "18x", false);
        check(luhn, "000000000000000000000000000000000000000018", false);
    }

    #[test]
    fn cards_of_each_issuer() {
        check(card, "4111111111111111", true);
        check(card, "4012888888881881", true);
        check(card, "4222222222222", true);
        check(card, "5555555555554444", true);
        check(card, "2223003122003222", true);
        check(card, "2720990000000007", true);
        check(card, "378282246310005", true);
        check(card, "6011111111111117", true);
        check(card, "30569309025904", true);
        check(card, "3530111333300000", true);
        check(card, "6200000000000005", true);
        check(card, "6759649826438453", true);
        check(card, "2200000000000004", true);
    }

    #[test]
    fn cards_in_groups() {
        check(card, "4111 1111 1111 1111", true);
        check(card, "4111-1111-1111-1111", true);
        check(card, "3782 822463 10005", true);
        check(card, "3782-822463-10005", true);
        check(card, "3056 930902 5904", true);
        check(card, "4111-1111 1111-1111", false);
        check(card, "41111 111 1111 1111", false);
        check(card, "411111 1111111111", false);
        check(card, "4111.1111.1111.1111", false);
        check(card, " 4111111111111111", false);
        check(card, "4111111111111111-", false);
    }

    #[test]
    fn group_of_three_after_sixteen() {
        check(card, "6200 0000 0000 0005 123", true);
        check(card, "6200 0000 0000 0006 123", false);
    }

    #[test]
    fn not_cards() {
        check(card, "4111111111111112", false);
        check(card, "1700000000004", false);
        check(card, "1111111111111111", false);
        check(card, "4444444444444444", false);
        check(card, "0000000000000000", false);
        check(card, "2021000000000001", false);
        check(card, "2721000000000004", false);
        check(card, "9999000000000004", false);
        check(card, "41111111111111111111", false);
        check(card, "411111111117", false);
        check(card, "", false);
    }

    #[test]
    fn epoch_milliseconds_are_no_cards() {
        for ms in (1_000_000_000_000_u64..1_999_999_999_999).step_by(7_654_321_123) {
            check(card, &ms.to_string(), false);
        }
    }

    #[test]
    fn nineteen_bare_digits_are_ids_unless_unionpay() {
        check(card, "4000000000000000006", false);
        check(card, "4000 0000 0000 0000 006", true);
        check(card, "6200000000000000000", true);
    }

    #[test]
    fn iban_by_country() {
        check(iban, "DE89370400440532013000", true);
        check(iban, "DE89 3704 0044 0532 0130 00", true);
        check(iban, "de89370400440532013000", true);
        check(iban, "GB82WEST12345698765432", true);
        check(iban, "GB82 WEST 1234 5698 7654 32", true);
        check(iban, "FR1420041010050500013M02606", true);
        check(iban, "NL91ABNA0417164300", true);
        check(iban, "NO9386011117947", true);
        check(iban, "AT61 1904 3002 3457 3201", true);
        check(iban, "MT84MALT011000012345MTLCAST001S", true);
        check(iban, "BE68-5390-0754-7034", true);
        check(iban, "CH9300762011623852957", true);
    }

    #[test]
    fn not_ibans() {
        check(iban, "DE88370400440532013000", false);
        check(iban, "DE8937040044053201300", false);
        check(iban, "DE893704004405320130000", false);
        check(iban, "XX89370400440532013000", false);
        check(iban, "DE89 37040044 0532 0130 00", false);
        check(iban, "DE8 93704 0044 0532 0130 00", false);
        check(iban, "DE89 3704-0044 0532-0130 00", false);
        check(iban, "AT61 1904 3002 3457 3201 ", false);
        check(iban, " AT61 1904 3002 3457 3201", false);
        check(iban, "DEAA370400440532013000", false);
        check(iban, "DE", false);
        check(iban, "", false);
    }

    #[test]
    fn iban_table_is_sorted() {
        assert!(IBAN_LENGTHS.windows(2).all(|w| w[0].0 < w[1].0));
        assert!(IBAN_LENGTHS.iter().all(|(_, n)| (15..=33).contains(n)));
    }

    #[test]
    fn verhoeff_digit() {
        check(verhoeff, "2363", true);
        check(verhoeff, "123451", true);
        check(verhoeff, "123452", false);
        check(verhoeff, "2", false);
        check(verhoeff, "", false);
    }

    #[test]
    fn verhoeff_finds_swaps() {
        for n in 10_u32..2000 {
            let Some(digit) = (0..10).find(|d| verhoeff(format!("{n}{d}").as_bytes())) else { panic!("{n}") };
            let mut bytes = format!("{n}{digit}").into_bytes();
            let last = bytes.len() - 1;
            bytes.swap(last, last - 1);
            assert_eq!(verhoeff(&bytes), bytes[last] == bytes[last - 1], "{n}");
        }
    }

    #[test]
    fn imei_digit() {
        check(imei, "490154203237518", true);
        check(imei, "49-015420-323751-8", true);
        check(imei, "490154203237519", false);
        check(imei, "000000000000000", false);
        check(imei, "49015420323751", false);
    }

    #[test]
    fn routing_number() {
        check(aba, "021000021", true);
        check(aba, "011401533", true);
        check(aba, "021000022", false);
        check(aba, "991000021", false);
        check(aba, "000000000", false);
    }
}
