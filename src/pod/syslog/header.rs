//! What stands in front of a message of syslog: RFC 5424, RFC 3164 and what passes for it. Nothing is scrubbed here, and
//! nothing is lost: what does not read as a header is part of the message.

use std::ops::Range;

use crate::pod::time::{parse_rfc3164, parse_rfc3339};

/// A message and what its header says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Message<'m> {
    /// All that stands behind the priority: what follows is of it.
    pub(super) line: &'m [u8],
    /// What kind of program it is of.
    pub(super) facility: Option<&'static str>,
    /// A number of OTLP's `SeverityNumber`; 0: nothing is said.
    pub(super) severity: u8,
    /// When it was made, in nanoseconds since 1970.
    pub(super) time: Option<u64>,
    /// Empty: nothing is said. So with all that follow.
    pub(super) host: &'m [u8],
    pub(super) app: &'m [u8],
    pub(super) process: &'m [u8],
    pub(super) id: &'m [u8],
    /// Structured data as it came, brackets included.
    pub(super) structured: &'m [u8],
    pub(super) text: &'m [u8],
    /// The text stands behind the name of the program and a colon.
    pub(super) is_behind_app: bool,
}

impl Message<'_> {
    /// Where in the line a part of it stands.
    pub(super) fn place(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr().wrapping_sub(self.line.as_ptr().addr());
        // One of nothing is anywhere.
        if part.is_empty() { self.line.len()..self.line.len() } else { start..start + part.len() }
    }
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// From emergency to debug, as the data model of OpenTelemetry has it.
const SEVERITIES: [u8; 8] = [21, 19, 18, 17, 13, 10, 9, 5];

/// The byte order mark that stands in front of a text in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The most bytes of the name of a program and of a host.
const MOST_NAME: usize = 255;

/// Reads one message, without what its frame has added. `now` tells the year where there is none.
pub(super) fn read(message: &[u8], now: u64) -> Message<'_> {
    let message = trimmed(message);
    let Some((priority, rest)) = priority(message) else {
        let text = unmarked(message);
        return Message { line: text, text, ..Message::default() };
    };
    let facility = FACILITIES.get(usize::from(priority / 8)).copied();
    let severity = SEVERITIES[usize::from(priority % 8)];
    match rfc5424(rest).or_else(|| rfc3164(rest, now)) {
        Some(read) => Message { line: rest, facility, severity, ..read },
        None => {
            Message { line: unmarked(rest), facility, severity, text: unmarked(rest), ..Message::default() }
        }
    }
}

/// Without the NUL that Python's handler adds, and a newline at the end.
fn trimmed(mut message: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = message {
        message = rest;
    }
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    message.strip_suffix(b"\r").unwrap_or(message)
}

fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// `<0>` to `<191>`.
fn priority(message: &[u8]) -> Option<(u8, &[u8])> {
    let rest = message.strip_prefix(b"<")?;
    let len = rest.iter().take(4).position(|&byte| byte == b'>')?;
    let (digits, rest) = (&rest[..len], &rest[len + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    u8::try_from(number).ok().filter(|&priority| priority < 192).map(|priority| (priority, rest))
}

/// A word up to a blank, and what is behind that.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = memchr::memchr(b' ', text)?;
    Some((&text[..len], &text[len + 1..]))
}

/// A word of a header of RFC 5424: printable, and `-` for nothing.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = word(text)?;
    let is_one = !word.is_empty() && word.len() <= MOST_NAME && word.iter().all(u8::is_ascii_graphic);
    is_one.then_some((if word == b"-" { &word[..0] } else { word }, rest))
}

fn rfc5424(text: &[u8]) -> Option<Message<'_>> {
    let rest = text.strip_prefix(b"1 ")?;
    let (time, rest) = field(rest)?;
    let time = if time.is_empty() { None } else { Some(parse_rfc3339(time)?) };
    let (host, rest) = field(rest)?;
    let (app, rest) = field(rest)?;
    let (process, rest) = field(rest)?;
    let (id, rest) = field(rest)?;
    let len = structured(rest)?;
    let (structured, rest) = rest.split_at(len);
    let structured = if structured == b"-" { &structured[..0] } else { structured };
    let text = match rest {
        [] => rest,
        [b' ', text @ ..] => unmarked(text),
        _ => return None,
    };
    Some(Message { time, host, app, process, id, structured, text, ..Message::default() })
}

/// How long the structured data is that a text begins with: `-`, or elements in brackets. A bracket in quotes ends none.
fn structured(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&b'-') {
        return Some(1);
    }
    let (mut is_open, mut is_quoted, mut is_escaped) = (false, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' if is_open => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'[' if !is_open => is_open = true,
            b']' if is_open => is_open = false,
            _ if is_open => {}
            _ => return (at > 0).then_some(at),
        }
    }
    (!text.is_empty() && !is_open).then_some(text.len())
}

/// `Oct 11 22:14:15 host app[7]: text`, and the ways it is written in: a time of RFC 3339, no host, no program. Without a time
/// there is no telling a header from a text.
fn rfc3164(text: &[u8], now: u64) -> Option<Message<'_>> {
    let (time, rest) = match text.get(..15).and_then(|time| parse_rfc3164(time, now)) {
        Some(time) => (time, text[15..].strip_prefix(b" ")?),
        None => {
            let (time, rest) = word(text)?;
            (parse_rfc3339(time)?, rest)
        }
    };
    let time = Some(time);
    if let Some((app, process, text)) = tag(rest) {
        return Some(Message { time, app, process, text, is_behind_app: true, ..Message::default() });
    }
    let is_host = |word: &&[u8]| {
        !word.is_empty()
            && word.len() <= MOST_NAME
            && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(byte))
    };
    let Some((host, rest)) = word(rest).filter(|(host, _)| is_host(host)) else {
        return Some(Message { time, text: unmarked(rest), ..Message::default() });
    };
    Some(match tag(rest) {
        Some((app, process, text)) => {
            Message { time, host, app, process, text, is_behind_app: true, ..Message::default() }
        }
        None => Message { time, host, text: unmarked(rest), ..Message::default() },
    })
}

/// `app: text` or `app[7]: text`: the program, its process, and the text.
fn tag(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/@".contains(byte);
    let len = text.iter().take(MOST_NAME).take_while(|byte| is_of_name(byte)).count();
    let (app, mut rest) = text.split_at(len);
    let mut process = &rest[..0];
    if let Some(inside) = rest.strip_prefix(b"[") {
        let len = inside.iter().take(MOST_NAME).position(|&byte| byte == b']')?;
        process = &inside[..len];
        rest = &inside[len + 1..];
    }
    let rest = rest.strip_prefix(b":")?;
    let text = rest.strip_prefix(b" ").or(rest.is_empty().then_some(rest))?;
    (!app.is_empty()).then_some((app, process, unmarked(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Severity, facility, host, app, process, id, structured data and text, as one line.
    fn shown(message: &Message<'_>) -> String {
        let texts =
            [message.host, message.app, message.process, message.id, message.structured, message.text];
        let texts = texts.map(|text| text.escape_ascii().to_string());
        let time = message.time.map_or(0, |time| time / 1_000_000_000);
        format!("{} {} {time} | {}", message.severity, message.facility.unwrap_or("-"), texts.join(" | "))
    }

    const NOW: u64 = 1_792_567_600_000_000_000; // 2026-10-21

    fn check(message: &[u8], want: &str) {
        assert_eq!(shown(&read(message, NOW)), want, "{}", message.escape_ascii());
    }

    #[test]
    fn rfc_5424() {
        check(
            b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xEF\xBB\xBF'su root' failed",
            "18 auth 1065910455 | mymachine.example.com | su |  | ID47 |  | \\'su root\\' failed",
        );
        check(
            b"<165>1 - h app 7 - [a@1 k=\"v]\\\"\" l=\"[\"][b@2] text [x]",
            "10 local4 0 | h | app | 7 |  | [a@1 k=\\\"v]\\\\\\\"\\\" l=\\\"[\\\"][b@2] | text [x]",
        );
        check(b"<165>1 - - - - - -", "10 local4 0 |  |  |  |  |  | ");
        // What is none of it is text.
        check(b"<165>1 soon h app 7 - - text", "10 local4 0 |  |  |  |  |  | 1 soon h app 7 - - text");
        check(
            b"<165>1 - h app 7 - [a@1 k=\"v text",
            "10 local4 0 |  |  |  |  |  | 1 - h app 7 - [a@1 k=\\\"v text",
        );
        check(b"<165>2 - h app 7 - - text", "10 local4 0 |  |  |  |  |  | 2 - h app 7 - - text");
    }

    #[test]
    fn rfc_3164() {
        check(
            b"<13>Oct 11 22:14:15 host su[42]: text: x\n",
            "10 user 1791756855 | host | su | 42 |  |  | text: x",
        );
        check(b"<13>Oct 11 22:14:15 su: text", "10 user 1791756855 |  | su |  |  |  | text");
        check(b"<13>Oct  1 22:14:15 host no tag", "10 user 1790892855 | host |  |  |  |  | no tag");
        check(
            b"<13>2026-10-11T22:14:15+00:00 fe80::1 a-b/c[x]: ",
            "10 user 1791756855 | fe80::1 | a-b/c | x |  |  | ",
        );
        check(b"<13>Oct 11 22:14:15 \"x\" y", "10 user 1791756855 |  |  |  |  |  | \\\"x\\\" y");
        check(
            b"<13>Oct 41 22:14:15 host su: text",
            "10 user 0 |  |  |  |  |  | Oct 41 22:14:15 host su: text",
        );
    }

    #[test]
    fn what_python_sends_and_what_is_no_header() {
        check(b"<14>Traceback:\n  File x\n\0", "9 user 0 |  |  |  |  |  | Traceback:\\n  File x");
        check(b"<15>{\"asctime\": \"x\"}\0", "5 user 0 |  |  |  |  |  | {\\\"asctime\\\": \\\"x\\\"}");
        check(b"<14>\xEF\xBB\xBFtext\0", "9 user 0 |  |  |  |  |  | text");
        check(b"<192>text", "0 - 0 |  |  |  |  |  | <192>text");
        check(b"<>text", "0 - 0 |  |  |  |  |  | <>text");
        check(b"<1234>text", "0 - 0 |  |  |  |  |  | <1234>text");
        check(b"text\r\n", "0 - 0 |  |  |  |  |  | text");
        check(b"", "0 - 0 |  |  |  |  |  | ");
        check(b"<0>", "21 kern 0 |  |  |  |  |  | ");
        check(b"\xFF\xFE\0\0", "0 - 0 |  |  |  |  |  | \\xff\\xfe");
    }
}
