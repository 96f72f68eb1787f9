//! Findings of one line that overlap become one finding.
//!
//! The range is the union, so that no byte any rule found is left behind; the rule that names it is the most specific
//! one, then the one that found more, then the one that comes first.

use crate::finding::Finding;
use crate::rules::Ruleset;

/// How far back the start of a URL is looked for, from its password.
const URL_REACH: usize = 192;

/// Sorts `findings` by their place and unites those that overlap.
pub(super) fn resolve(rules: &Ruleset, findings: &mut Vec<Finding>) {
    if findings.len() < 2 {
        return;
    }
    findings.sort_unstable_by_key(|f| (f.start, f.end, f.rule));
    let mut kept = 0;
    let mut named_len = findings[0].end - findings[0].start;
    for next in 1..findings.len() {
        let (last, finding) = (findings[kept], findings[next]);
        if finding.start < last.end {
            let len = finding.end - finding.start;
            let rank = |f: &Finding, len: usize| (rules[f.rule].precedence, len, std::cmp::Reverse(f.rule));
            let wins = rank(&finding, len) > rank(&last, named_len);
            if wins {
                named_len = len;
            }
            let named = if wins { finding } else { last };
            findings[kept] = Finding { start: last.start, end: last.end.max(finding.end), ..named };
        } else {
            kept += 1;
            named_len = finding.end - finding.start;
            findings[kept] = finding;
        }
    }
    findings.truncate(kept + 1);
}

/// Drops findings that begin inside a URL's password and go on over the `@` that ends it and a host. With the password's
/// own escapes undone, its end and the host behind it read as an e-mail address.
pub(super) fn end_at_users(line: &[u8], findings: &mut Vec<Finding>) {
    if findings.len() < 2 {
        return;
    }
    findings.sort_unstable_by_key(|f| (f.start, f.end, f.rule));
    let mut password = 0..0;
    findings.retain(|finding| {
        if is_url_password(line, finding) {
            if finding.end > password.end {
                password = finding.range();
            }
            return true;
        }
        let begins_inside = password.start <= finding.start && finding.start < password.end;
        !(begins_inside && finding.end > password.end && is_host(&line[password.end..finding.end]))
    });
}

/// An `@`, perhaps percent-encoded, and the name of a host, perhaps with escapes in it.
fn is_host(text: &[u8]) -> bool {
    behind_at(text).is_some_and(|host| {
        host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'\\'))
    })
}

/// What follows the `@`, perhaps percent-encoded, that `text` starts with.
fn behind_at(text: &[u8]) -> Option<&[u8]> {
    if let [b'@', rest @ ..] = text {
        return Some(rest);
    }
    let mut rest = text.strip_prefix(b"%")?;
    while let [b'2', b'5', deeper @ ..] = rest {
        rest = deeper;
    }
    rest.strip_prefix(b"40")
}

/// Whether a finding stands between `//user:` and `@`, all of which may be escaped.
fn is_url_password(line: &[u8], finding: &Finding) -> bool {
    if behind_at(&line[finding.end..]).is_none() {
        return false;
    }
    let head = &line[finding.start.saturating_sub(URL_REACH)..finding.start];
    let word = head.iter().rposition(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>'));
    let head = &head[word.map_or(0, |i| i + 1)..];
    let is_behind_user = matches!(head, [.., b':'] | [.., b'3', b'A' | b'a']);
    is_behind_user && memchr::memchr2_iter(b'/', b'%', head).any(|at| starts_authority(&head[at..]))
}

/// `//`, `/\/`, `%2F%2F`, `%252F%252F`, at any depth.
fn starts_authority(text: &[u8]) -> bool {
    let slash = |text: &[u8]| -> Option<usize> {
        let escapes = text.iter().take_while(|&&b| b == b'\\').count();
        match &text[escapes..] {
            [b'/', ..] => Some(escapes + 1),
            [b'%', rest @ ..] if escapes == 0 => {
                let deeper = rest.chunks(2).take_while(|pair| *pair == b"25").count() * 2;
                matches!(rest[deeper..], [b'2', b'F' | b'f', ..]).then_some(deeper + 3)
            }
            _ => None,
        }
    };
    slash(text).is_some_and(|len| slash(&text[len..]).is_some())
}

#[cfg(test)]
mod tests {
    use crate::rules::{Profile, Ruleset};
    use crate::scan::{Format, Scanner, Work};

    fn check(line: &str, want: &[&str]) {
        let rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
        let scanner = Scanner::new(rules, Vec::new(), Format::Auto);
        let mut work = Work::default();
        let found = scanner.scan_block(line.as_bytes(), &mut work);
        let got: Vec<&str> = found.iter().map(|finding| &line[finding.range()]).collect();
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn the_host_behind_a_password_is_no_part_of_an_address() {
        check("https://bruno:v91%40q%23dead0@fjord.example.com/repo", &["v91%40q%23dead0"]);
        check("https://bruno:v91%40dead0@fjord.example.com/repo", &["v91%40dead0"]);
        check("amqp://bruno:v91@dead0@mq.example.com/vhost", &["v91@dead0"]);
        check("GET /a?b=amqp%3A%2F%2Fapp%3Av91%2540dead0%40mq.example.com HTTP/1.1", &["v91%2540dead0"]);
        check("GET /a?b=amqp%3a%2f%2fapp%3adeadDEAD0%40mq.example.com HTTP/1.1", &["deadDEAD0"]);
        check(r#"{"m":"{\"u\":\"https:\\/\\/bruno:dead0@fjord.example.com\\/\"}"}"#, &["dead0"]);
        check("mail bruno:dead0@fjord.example.com", &["dead0@fjord.example.com"]);
    }
}
