//! One line of a container runtime: CRI's, or Docker's `json-file`. Bytes stay bytes: what a container wrote need not be
//! UTF-8.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::pod::time::parse_rfc3339;

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
    Some(CriLine { time: Some(parse_rfc3339(time)?), stream: Stream::of(stream)?, is_whole, text })
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
    Some(DockerLine { time: parse_rfc3339(&time.0), stream: Stream::of(&stream.0)?, text: log.0 })
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

#[cfg(test)]
mod tests {
    use super::*;

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
