//! One line of a container runtime: CRI's, or Docker's `json-file`. Bytes stay bytes: what a container wrote need not be
//! UTF-8.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Where the text was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
    /// A line that is none of a runtime.
    None,
}

impl Stream {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Out),
            b"stderr" => Some(Self::Err),
            _ => None,
        }
    }
}

/// A line of CRI.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CriLine<'l> {
    pub(super) time: Option<u64>,
    pub(super) stream: Stream,
    /// Whether the container's line ends here.
    pub(super) is_whole: bool,
    pub(super) text: &'l [u8],
}

/// Reads a line of CRI, without its newline.
pub(super) fn cri(line: &[u8]) -> Option<CriLine<'_>> {
    let mut words = line.splitn(4, |&byte| byte == b' ');
    let (time, stream, tags) = (words.next()?, words.next()?, words.next()?);
    // An empty line may come without the last blank.
    let text = words.next().unwrap_or_default();
    let is_whole = match tags.split(|&byte| byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(CriLine { time: Some(rfc3339(time)?), stream: Stream::of(stream)?, is_whole, text })
}

/// A line of Docker's: where its text ends with a newline, so does the container's line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DockerLine<'l> {
    pub(super) time: Option<u64>,
    pub(super) stream: Stream,
    pub(super) text: Cow<'l, [u8]>,
}

/// Reads a line of Docker's `json-file`, without its newline.
pub(super) fn docker(line: &[u8]) -> Option<DockerLine<'_>> {
    #[derive(Deserialize)]
    struct Entry<'e> {
        #[serde(borrow)]
        log: Bytes<'e>,
        #[serde(borrow)]
        stream: Bytes<'e>,
        #[serde(borrow, default)]
        time: Bytes<'e>,
    }
    if !line.starts_with(b"{") {
        return None;
    }
    let Entry { log, stream, time } = serde_json::from_slice(line).ok()?;
    Some(DockerLine { time: rfc3339(&time.0), stream: Stream::of(&stream.0)?, text: log.0 })
}

/// A string of JSON as bytes: it may hold what is no UTF-8.
#[derive(Default)]
struct Bytes<'b>(Cow<'b, [u8]>);

impl<'de: 'b, 'b> Deserialize<'de> for Bytes<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Bytes<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Borrowed(bytes)))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Owned(bytes.to_vec())))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Borrowed(text.as_bytes())))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Owned(text.as_bytes().to_vec())))
            }
        }
        deserializer.deserialize_bytes(Any)
    }
}

/// Nanoseconds since 1970 of a time as RFC 3339 writes it. None before 1970, and none of the year 2554 and later.
fn rfc3339(text: &[u8]) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let is = |at: usize, bytes: &[u8]| text.get(at).is_some_and(|byte| bytes.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if is(at, b".") {
        let digits = text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        // What is finer than a nanosecond is left.
        let fine = digits.min(9);
        nanos = number(20, 20 + fine)? * 10_i64.pow(9 - fine as u32);
        at = 20 + digits;
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 && is(at + 3, b":") => {
            let minutes = number(at + 1, at + 3)? * 60 + number(at + 4, at + 6)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(nanos as u64)
}

/// Days since 1970-01-01 in the Gregorian calendar. Years begin in March here, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, want: Option<u64>| assert_eq!(rfc3339(text.as_bytes()), want, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2024-02-29T10:15:00.123456789Z", Some(1_709_201_700_123_456_789));
        check("2024-02-29T12:15:00.5+02:00", Some(1_709_201_700_500_000_000));
        check("2024-02-29T08:45:00-01:30", Some(1_709_201_700_000_000_000));
        check("2000-12-31T23:59:59.9999999999Z", Some(978_307_199_999_999_999));
        for wrong in
            ["", "2024-02-29", "2024-02-29 10:15:00Z", "2024-13-29T10:15:00Z", "2024-02-29T10:15:00", "x"]
        {
            check(wrong, None);
        }
        check("2024-02-29T10:15:00.Z", None);
        check("1969-12-31T23:59:59Z", None);
        check("9999-12-31T23:59:59Z", None);
    }

    const TIME: &str = "2024-02-29T10:15:00Z";

    #[test]
    fn lines_of_cri() {
        let check = |rest: &[u8], want: Option<(Stream, bool, &[u8])>| {
            let line = [TIME.as_bytes(), rest].concat();
            let got = cri(&line).map(|line| (line.stream, line.is_whole, line.text));
            assert_eq!(got, want, "{rest:?}");
        };
        check(b" stdout F text of it", Some((Stream::Out, true, b"text of it")));
        check(b" stderr P  text ", Some((Stream::Err, false, b" text ")));
        check(b" stdout F:tag \xff", Some((Stream::Out, true, b"\xff")));
        check(b" stdout P:x:y t", Some((Stream::Out, false, b"t")));
        check(b" stdout F", Some((Stream::Out, true, b"")));
        check(b" stdin F text", None);
        check(b" stdout X text", None);
        check(b"  stdout F text", None);
        check(b"", None);
    }

    #[test]
    fn lines_of_docker() {
        let check = |line: &[u8], want: Option<(Stream, &[u8])>| {
            let got = docker(line);
            assert_eq!(got.as_ref().map(|line| (line.stream, &line.text[..])), want, "{line:?}");
        };
        check(
            br#"{"log":"a \"b\"\n","stream":"stdout","time":"2024-02-29T10:15:00Z"}"#,
            Some((Stream::Out, b"a \"b\"\n")),
        );
        check(
            br#"{"stream":"stderr","log":"\u00e9\ud83d\ude00","attrs":{"a":[1]}}"#,
            Some((Stream::Err, "é😀".as_bytes())),
        );
        check(b"{\"log\":\"\xff\\n\",\"stream\":\"stdout\"}", Some((Stream::Out, b"\xff\n")));
        check(br#"{"log":"half \ud83d","stream":"stdout"}"#, Some((Stream::Out, b"half \xed\xa0\xbd")));
        check(br#"{"log":"a","stream":"else"}"#, None);
        check(br#"{"log":1,"stream":"stdout"}"#, None);
        check(br#"{"log":"a","stream":"stdout""#, None);
        check(b"[]", None);
    }
}
