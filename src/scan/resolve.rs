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

/// Drops findings that begin inside a URL's password and go on behind the `@` that ends it. With the password's own
/// escapes undone, its end and the host behind it read as an e-mail address.
pub(super) fn end_at_users(line: &[u8], findings: &mut Vec<Finding>) {
    if findings.len() < 2 {
        return;
    }
    findings.sort_unstable_by_key(|f| (f.start, f.end, f.rule));
    let mut password = 0..0;
    findings.retain(|finding| {
        let begins_inside = password.start < finding.start && finding.start < password.end;
        if begins_inside && finding.end > password.end {
            return false;
        }
        if finding.end > password.end && is_url_password(line, finding) {
            password = finding.range();
        }
        true
    });
}

/// Whether a finding stands between `//user:` and `@`, both of which may be percent-encoded.
fn is_url_password(line: &[u8], finding: &Finding) -> bool {
    let mut rest = &line[finding.end..];
    if let [b'%', encoded @ ..] = rest {
        rest = encoded;
        while let [b'2', b'5', deeper @ ..] = rest {
            rest = deeper;
        }
    }
    let is_end = rest.starts_with(b"@") || (rest.starts_with(b"40") && rest.len() < line.len() - finding.end);
    if !is_end {
        return false;
    }
    let head = &line[finding.start.saturating_sub(URL_REACH)..finding.start];
    let word = head.iter().rposition(|b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>'));
    let head = &head[word.map_or(0, |i| i + 1)..];
    let is_behind_user = matches!(head, [.., b':'] | [.., b'3', b'A' | b'a']);
    let slashes =
        [&b"//"[..], b"/\\/", b"2F%2F", b"2f%2f", b"2F%252F", b"2f%252f", b"2F%25252F", b"2f%25252f"];
    is_behind_user && slashes.iter().any(|slashes| memchr::memmem::find(head, slashes).is_some())
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
        check("amqp://bruno:v91@dead0@mq.example.com/vhost", &["v91@dead0"]);
        check("GET /a?b=amqp%3A%2F%2Fapp%3Av91%2540dead0%40mq.example.com HTTP/1.1", &["v91%2540dead0"]);
        check("mail bruno:dead0@fjord.example.com", &["dead0@fjord.example.com"]);
    }
}
