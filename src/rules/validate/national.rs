//! Numbers that states give their people, companies and vehicles.
//!
//! Each passes by its own arithmetic only. Many are a tenth or a hundredth of all numbers of their
//! length, so a rule uses them behind a key, not alone.

use super::checksum::{luhn_holds, verhoeff_holds};
use super::{Digits, all_same, alnum, weighted};

/// US social security number: no area 000, 666 or 9xx, no group 00, no serial 0000.
pub(super) fn ssn(text: &[u8]) -> bool {
    Digits::<9>::exact(text, b" -.").is_some_and(|d| {
        let area = &d[..3];
        area != [0, 0, 0]
            && area != [6, 6, 6]
            && d[0] != 9
            && d[3..5] != [0, 0]
            && d[5..] != [0, 0, 0, 0]
            && !all_same(&d)
    })
}

/// Indian Aadhaar.
pub(super) fn aadhaar(text: &[u8]) -> bool {
    Digits::<12>::exact(text, b" -").is_some_and(|d| d[0] >= 2 && !all_same(&d) && verhoeff_holds(&d))
}

/// Brazilian CPF: two digits modulo 11.
pub(super) fn cpf(text: &[u8]) -> bool {
    Digits::<11>::exact(text, b".-").is_some_and(|d| {
        !all_same(&d)
            && mod11_digit(weighted(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == d[9]
            && mod11_digit(weighted(&d[..10], &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == d[10]
    })
}

/// Brazilian CNPJ, whose first twelve characters may be letters since 2026.
pub(super) fn cnpj(text: &[u8]) -> bool {
    alnum::<14>(text, b"./-").is_some_and(|chars| {
        // A letter counts as its code less 48, so that `A` is 17.
        let d = chars.map(|c| c.saturating_sub(b'0'));
        chars[12..].iter().all(u8::is_ascii_digit)
            && !all_same(&d)
            && mod11_digit(weighted(&d[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == d[12]
            && mod11_digit(weighted(&d[..13], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == d[13]
    })
}

/// 11 less the remainder, where 10 and 11 stand for 0.
fn mod11_digit(sum: u32) -> u8 {
    match sum % 11 {
        0 | 1 => 0,
        rest => (11 - rest) as u8,
    }
}

/// Dutch BSN: the eleven test; eight digits are nine with a zero in front.
pub(super) fn bsn(text: &[u8]) -> bool {
    Digits::<9>::read(text, b" .-").is_some_and(|read| {
        let mut d = [0; 9];
        let digits = read.as_slice();
        if !matches!(digits.len(), 8 | 9) || all_same(digits) {
            return false;
        }
        d[9 - digits.len()..].copy_from_slice(digits);
        // The last digit counts -1, which is 10 modulo 11.
        weighted(&d, &[9, 8, 7, 6, 5, 4, 3, 2, 10]).is_multiple_of(11)
    })
}

/// Polish PESEL: a birth date whose month carries the century, and a check digit.
pub(super) fn pesel(text: &[u8]) -> bool {
    Digits::<11>::exact(text, b"").is_some_and(|d| {
        let month = (d[2] * 10 + d[3]) % 20;
        let day = d[4] * 10 + d[5];
        (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && weighted(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
    })
}

/// French NIR with its key: sex, birth year and month, department (2A and 2B in Corsica).
pub(super) fn nir(text: &[u8]) -> bool {
    alnum::<15>(text, b" .-").is_some_and(|mut c| {
        let corsica = match (c[5], c[6]) {
            (b'2', b'A') => 1_000_000,
            (b'2', b'B') => 2_000_000,
            _ => 0,
        };
        if corsica > 0 {
            c[6] = b'0';
        }
        if !c.iter().all(u8::is_ascii_digit) || !matches!(c[0], b'1'..=b'4' | b'7' | b'8') {
            return false;
        }
        let number = |part: &[u8]| part.iter().fold(0_u64, |n, &d| n * 10 + u64::from(d - b'0'));
        let month = number(&c[3..5]);
        // 2A counts as 19 and 2B as 18, which is 20 less one or two millions.
        let body = number(&c[..13]).saturating_sub(corsica);
        matches!(month, 1..=12 | 20..=42 | 50..=99) && 97 - body % 97 == number(&c[13..])
    })
}

/// NHS number of England, Wales and the Isle of Man: modulus 11.
pub(super) fn nhs(text: &[u8]) -> bool {
    Digits::<10>::exact(text, b" -")
        .is_some_and(|d| !all_same(&d) && weighted(&d, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11))
}

/// Canadian SIN: Luhn; none begins with 0 or 8.
pub(super) fn sin(text: &[u8]) -> bool {
    Digits::<9>::exact(text, b" -").is_some_and(|d| !matches!(d[0], 0 | 8) && !all_same(&d) && luhn_holds(&d))
}

/// Mexican CURP.
pub(super) fn curp(text: &[u8]) -> bool {
    alnum::<18>(text, b"").is_some_and(|c| {
        let shaped = c[..4].iter().all(u8::is_ascii_uppercase)
            && c[4..10].iter().all(u8::is_ascii_digit)
            && matches!(c[10], b'H' | b'M' | b'X')
            && c[11..16].iter().all(u8::is_ascii_uppercase)
            && c[17].is_ascii_digit();
        // The alphabet has Ñ after N, so letters from O count one more.
        let value = |c: u8| match c {
            b'0'..=b'9' => u32::from(c - b'0'),
            b'A'..=b'N' => u32::from(c - b'A') + 10,
            _ => u32::from(c.saturating_sub(b'A')) + 11,
        };
        let sum: u32 = c.iter().take(17).zip((2..=18).rev()).map(|(&c, weight)| value(c) * weight).sum();
        shaped && (10 - sum % 10) % 10 == value(c[17])
    })
}

/// Spanish DNI (eight digits and a letter) or NIE (X, Y or Z in place of the first digit).
pub(super) fn dni(text: &[u8]) -> bool {
    alnum::<9>(text, b"-. ").is_some_and(|mut c| {
        const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
        c[0] = match c[0] {
            b'X' => b'0',
            b'Y' => b'1',
            b'Z' => b'2',
            other => other,
        };
        if !c[..8].iter().all(u8::is_ascii_digit) {
            return false;
        }
        let number = c[..8].iter().fold(0_usize, |n, &d| n * 10 + usize::from(d - b'0'));
        LETTERS.get(number % 23) == Some(&c[8])
    })
}

/// Italian codice fiscale; digits may be letters where two people would share a code.
pub(super) fn codice_fiscale(text: &[u8]) -> bool {
    alnum::<16>(text, b" ").is_some_and(|c| {
        let digit = |c: u8| c.is_ascii_digit() || matches!(c, b'L'..=b'N' | b'P'..=b'V');
        let shaped = c[..6].iter().all(u8::is_ascii_uppercase)
            && digit(c[6])
            && digit(c[7])
            && b"ABCDEHLMPRST".contains(&c[8])
            && digit(c[9])
            && digit(c[10])
            && c[11].is_ascii_uppercase()
            && c[12..15].iter().all(|&c| digit(c))
            && c[15].is_ascii_uppercase();
        let sum: u32 = c[..15].iter().enumerate().map(|(i, &c)| fiscal_value(i, c)).sum();
        shaped && sum % 26 == u32::from(c[15] - b'A')
    })
}

/// What a character of the codice fiscale counts at its place; the first place is odd.
fn fiscal_value(at: usize, c: u8) -> u32 {
    const ODD: [u8; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let index = match c {
        b'0'..=b'9' => c - b'0',
        _ => c.saturating_sub(b'A') % 26,
    };
    match at % 2 {
        0 => u32::from(ODD[usize::from(index)]),
        _ => u32::from(index),
    }
}

/// German tax identification number: one of its first ten digits twice or three times, all
/// others at most once; check digit of ISO 7064 mod 11,10.
pub(super) fn steuer_id(text: &[u8]) -> bool {
    Digits::<11>::exact(text, b" ").is_some_and(|d| {
        let mut seen = [0_u8; 10];
        for &digit in &d[..10] {
            seen[usize::from(digit % 10)] += 1;
        }
        let repeated = seen.iter().filter(|&&n| n > 1).count();
        let most = seen.iter().copied().max().unwrap_or_default();
        let rest = d[..10].iter().fold(10_u32, |product, &digit| {
            let sum = (product + u32::from(digit)) % 10;
            (if sum == 0 { 10 } else { sum }) * 2 % 11
        });
        d[0] != 0 && repeated == 1 && most <= 3 && (11 - rest) % 10 == u32::from(d[10])
    })
}

/// Swiss AHV/AVS number: an EAN-13 of the country 756.
pub(super) fn ahv(text: &[u8]) -> bool {
    Digits::<13>::exact(text, b". ").is_some_and(|d| {
        d[..3] == [7, 5, 6] && weighted(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
    })
}

/// Vehicle identification number: 17 characters without I, O and Q, letters and digits, digits
/// at the end. The check digit is not asked for: only North America has one.
pub(super) fn vin(text: &[u8]) -> bool {
    alnum::<17>(text, b"").is_some_and(|c| {
        !c.iter().any(|c| matches!(c, b'I' | b'O' | b'Q'))
            && c.iter().any(u8::is_ascii_uppercase)
            && c[13..].iter().all(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(f: fn(&[u8]) -> bool, text: &str, want: bool) {
        assert_eq!(f(text.as_bytes()), want, "{text}");
    }

    #[test]
    fn ssn_ranges() {
        check(ssn, "123-45-6789", true);
        check(ssn, "123456789", true);
        check(ssn, "123 45 6789", true);
        check(ssn, "000-45-6789", false);
        check(ssn, "666-45-6789", false);
        check(ssn, "912-45-6789", false);
        check(ssn, "123-00-6789", false);
        check(ssn, "123-45-0000", false);
        check(ssn, "12-345-678", false);
        check(ssn, "1234567890", false);
    }

    #[test]
    fn south_america() {
        check(cpf, "111.444.777-35", true);
        check(cpf, "11144477735", true);
        check(cpf, "11144477736", false);
        check(cpf, "11111111111", false);
        check(cnpj, "11.444.777/0001-61", true);
        check(cnpj, "11444777000161", true);
        check(cnpj, "11444777000162", false);
        check(cnpj, "12.ABC.345/01DE-35", true);
        check(cnpj, "12ABC34501DE3X", false);
        check(curp, "HEGG560427MVZRRL04", true);
        check(curp, "HEGG560427MVZRRL05", false);
        check(curp, "HEGG560427ZVZRRL04", false);
    }

    #[test]
    fn europe_digits() {
        check(bsn, "111222333", true);
        check(bsn, "123456782", true);
        check(bsn, "123456789", false);
        check(bsn, "000000000", false);
        check(bsn, "1112223", false);
        check(pesel, "44051401359", true);
        check(pesel, "44051401358", false);
        check(pesel, "00000000000", false);
        check(nhs, "943 476 5919", true);
        check(nhs, "9434765919", true);
        check(nhs, "9434765918", false);
        check(nhs, "0000000000", false);
        check(steuer_id, "86095742719", true);
        check(steuer_id, "86 095 742 719", true);
        check(steuer_id, "86095742718", false);
        check(steuer_id, "01234567899", false);
        check(ahv, "756.9217.0769.85", true);
        check(ahv, "7569217076985", true);
        check(ahv, "7569217076986", false);
        check(ahv, "7579217076985", false);
    }

    #[test]
    fn europe_letters() {
        check(nir, "2 55 08 14 168 025 38", true);
        check(nir, "255081416802538", true);
        check(nir, "255081416802539", false);
        check(nir, "955081416802538", false);
        check(nir, "255131416802538", false);
        check(dni, "12345678Z", true);
        check(dni, "12.345.678-Z", true);
        check(dni, "12345678A", false);
        check(dni, "X1234567L", true);
        check(dni, "X1234567A", false);
        check(dni, "ABCDEFGHZ", false);
        check(codice_fiscale, "RSSMRA85T10A562S", true);
        check(codice_fiscale, "rssmra85t10a562s", true);
        check(codice_fiscale, "RSSMRA85T10A562T", false);
        check(codice_fiscale, "RSSMRA85Z10A562S", false);
    }

    #[test]
    fn nir_of_corsica() {
        for (department, stands_for) in [("2A", 19_u64), ("2B", 18)] {
            let body: u64 = format!("18502{stands_for}004001").parse().unwrap_or_default();
            check(nir, &format!("18502{department}004001{:02}", 97 - body % 97), true);
            check(nir, &format!("18502{department}004001{:02}", 98 - body % 97), false);
        }
    }

    #[test]
    fn others() {
        check(aadhaar, "1234 5678 9012", false);
        let valid = (0..10).filter(|d| aadhaar(format!("2345 6789 012{d}").as_bytes())).count();
        assert_eq!(valid, 1);
        check(sin, "046 454 286", false);
        check(sin, "130 692 544", true);
        check(sin, "130-692-545", false);
        check(vin, "1HGCM82633A004352", true);
        check(vin, "WVWZZZ1JZ3W386752", true);
        check(vin, "1HGCM82633A00435O", false);
        check(vin, "12345678901234567", false);
        check(vin, "1HGCM82633A00435", false);
    }
}
