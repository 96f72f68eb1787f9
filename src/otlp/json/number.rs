//! The numbers of JSON, as the types of protobuf: whole ones whatever they are written as (`1`, `1.0`, `1e3`), and none that
//! does not fit its field.

use super::token;
use crate::otlp::schema::Kind;
use crate::otlp::types::Type;
use crate::otlp::wire::put_varint;

/// How the values of a type are written on the wire, as the lowest bits of a tag. `None`: they are no numbers.
pub(super) fn wire_type(of: Type) -> Option<u32> {
    match of {
        Type::Bool | Type::Enum(_) | Type::Int32 | Type::Int64 => Some(0),
        Type::Uint32 | Type::Uint64 | Type::Sint32 => Some(0),
        Type::Fixed64 | Type::Sfixed64 | Type::Double => Some(1),
        Type::Fixed32 => Some(5),
        _ => None,
    }
}

/// Writes a number as a value of this type; whether it is one.
pub(super) fn write(of: Type, text: &[u8], out: &mut Vec<u8>) -> bool {
    match (wire_type(of), value(of, text)) {
        (Some(0), Some(value)) => put_varint(value, out),
        (Some(1), Some(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Some(5), Some(value)) => out.extend_from_slice(&(value as u32).to_le_bytes()),
        _ => return false,
    }
    true
}

/// The bits of a number as a value of this type.
fn value(of: Type, text: &[u8]) -> Option<u64> {
    if let Type::Double = of {
        return double(text).map(f64::to_bits);
    }
    let number = whole(text)?;
    Some(match of {
        Type::Enum(_) | Type::Int32 => i64::from(i32::try_from(number).ok()?) as u64,
        Type::Sint32 => {
            let number = i32::try_from(number).ok()?;
            u64::from((number << 1 ^ number >> 31) as u32)
        }
        Type::Int64 | Type::Sfixed64 => i64::try_from(number).ok()? as u64,
        Type::Uint32 | Type::Fixed32 => u64::from(u32::try_from(number).ok()?),
        Type::Uint64 | Type::Fixed64 => u64::try_from(number).ok()?,
        _ => return None,
    })
}

/// A number of an attribute as it is read, if that may differ from how it is written: `4711` of `4711.0` and of `4.711e3`.
/// `None`: as it is written, or too long to be worth looking at.
pub(super) fn as_read(kind: Kind, text: &[u8]) -> Option<String> {
    if !text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return None;
    }
    let read = match kind {
        Kind::Varint => whole(text)?.to_string(),
        _ => double(text)?.to_string(),
    };
    // A few letters may stand for hundreds of digits.
    (read.len() <= MOST_DIGITS).then_some(read)
}

const MOST_DIGITS: usize = 40;

/// A whole number of at most 20 digits.
fn whole(text: &[u8]) -> Option<i128> {
    if !token::is_number(text) {
        return None;
    }
    let (is_negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let end = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
    let point = text[..end].iter().position(|&byte| byte == b'.').unwrap_or(end);
    let part = text[..end].get(point + 1..).unwrap_or_default();
    let exponent = text.get(end + 1..).map_or(0, exponent);
    // How many digits it has in front of the point: what is 0 may have any exponent.
    let len = (point as i64).saturating_add(exponent);
    let mut value: i128 = 0;
    for (&digit, i) in text[..point].iter().chain(part).zip(1i64..) {
        let digit = i128::from(digit - b'0');
        if i > len && digit > 0 {
            return None;
        }
        if i <= len {
            value = value * 10 + digit;
        }
        if value > MOST {
            return None;
        }
    }
    let digits = (point + part.len()) as i64;
    for _ in digits..len {
        if value == 0 {
            break;
        }
        value *= 10;
        if value > MOST {
            return None;
        }
    }
    Some(if is_negative { -value } else { value })
}

/// No field has a larger number.
const MOST: i128 = u64::MAX as i128;

/// What stands behind the `e`.
fn exponent(text: &[u8]) -> i64 {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let value = digits
        .iter()
        .fold(0i64, |value, &digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if is_negative { -value } else { value }
}

/// A double, or the name of one that is no number.
fn double(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ if token::is_number(text) => {
            std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        for (text, want) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e-5", 0),
            ("7", 7),
            ("-12.00", -12),
            ("1e3", 1000),
            ("1.5E+1", 15),
            ("1500e-2", 15),
            ("0.0012e4", 12),
            ("0e99999999999999999999", 0),
            ("18446744073709551615", u64::MAX.into()),
            ("-9223372036854775808", i64::MIN.into()),
            ("1.8446744073709551615e19", u64::MAX.into()),
        ] {
            assert_eq!(whole(text.as_bytes()), Some(want), "{text}");
        }
        for text in [
            "",
            "-",
            "1.5",
            "15e-2",
            "1e20",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "01",
            "+1",
            " 1",
            "0x1",
            "NaN",
            "18446744073709551616",
            "1_0",
        ] {
            assert_eq!(whole(text.as_bytes()), None, "{text}");
        }
        let long = |digit: char| digit.to_string().repeat(100_000);
        assert_eq!(whole(format!("1{}", long('0')).as_bytes()), None);
        assert_eq!(whole(format!("1.{}", long('0')).as_bytes()), Some(1));
        assert_eq!(whole(format!("1{}e-100000", long('0')).as_bytes()), Some(1));
        assert_eq!(whole(format!("0.{}1e100001", long('0')).as_bytes()), Some(1));
    }

    #[test]
    fn values_fit_their_types() {
        let check = |of: Type, text: &str, want: Option<&[u8]>| {
            let mut out = Vec::new();
            assert_eq!(write(of, text.as_bytes(), &mut out), want.is_some(), "{text}");
            assert_eq!(out, want.unwrap_or_default(), "{text}");
        };
        const MINUS_ONE: &[u8] = &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        check(Type::Int32, "-1", Some(MINUS_ONE));
        check(Type::Int64, "-1.0", Some(MINUS_ONE));
        check(Type::Uint64, "18446744073709551615", Some(MINUS_ONE));
        check(Type::Int32, "2147483648", None);
        check(Type::Int64, "9223372036854775808", None);
        check(Type::Uint32, "4294967295", Some(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]));
        check(Type::Uint32, "4294967296", None);
        check(Type::Uint32, "-1", None);
        check(Type::Sint32, "-1", Some(&[1]));
        check(Type::Sint32, "1", Some(&[2]));
        check(Type::Sint32, "-2147483648", Some(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]));
        check(Type::Enum(&[]), "300", Some(&[0xAC, 2]));
        check(Type::Fixed32, "257", Some(&[1, 1, 0, 0]));
        check(Type::Fixed64, "257", Some(&[1, 1, 0, 0, 0, 0, 0, 0]));
        check(Type::Fixed64, "-1", None);
        check(Type::Sfixed64, "-2", Some(&[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]));
        check(Type::Double, "-2", Some(&(-2f64).to_le_bytes()));
        check(Type::Double, "1e-400", Some(&[0; 8]));
        check(Type::Double, "-Infinity", Some(&f64::NEG_INFINITY.to_le_bytes()));
        for text in ["1e400", "inf", "nan", "+Infinity", "1.", ".5", ""] {
            check(Type::Double, text, None);
        }
        check(Type::Text, "1", None);
    }
}
