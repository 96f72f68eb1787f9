//! Values that stand apart from their keys, as in attributes: found is what would be if they stood in one line of JSON.

use super::{Scanner, Work};
use crate::carrier::key;
use crate::carrier::line::Line;
use crate::carrier::quote::Quote;
use crate::carrier::tie::{Shape, Tie};
use crate::carrier::{identifier, json, placeholder};
use crate::finding::{Finding, Link, Via};
use crate::rules::Detect;

/// How much of a name is written in front of a value, from its end: more than is read of a key.
const KEPT: usize = 128;
/// What stands in front of a value in its line, beside its key.
const AROUND: usize = br#""":""#.len();

impl Scanner {
    /// Whether a rule knows this key, so that its value must be looked at whatever it is.
    pub fn knows_key(&self, name: &[u8]) -> bool {
        let Some(key) = whole(name) else { return false };
        let mut is_known = false;
        self.keys.rules_for(name, &key, usize::MAX, |rule| {
            is_known |=
                matches!(&self.rules[rule].detect, Detect::Keys(keyed) if keyed.carriers.has(Link::Json));
        });
        is_known
    }

    /// Whether every line must be looked at, since a rule has no anchors.
    pub fn looks_at_all(&self) -> bool {
        !self.everywhere.is_empty()
    }

    /// Calls `found` with every place of a block whose line must be looked at, in order.
    pub fn places(&self, block: &[u8], work: &mut Work, mut found: impl FnMut(usize)) {
        let Work { hits, line, .. } = work;
        hits.clear();
        self.prefilter.scan(block, hits);
        for hit in hits {
            if line.buffers.stop.is_told() {
                return;
            }
            if self.counts(block, hit) {
                found(hit.at);
            }
        }
    }

    /// Writes the line that a value and its key would stand in, without the quote behind the value.
    /// Where nothing is found by [`places`](Self::places) in it, and [`LineStarts::holds`] neither of the value nor of the
    /// key, [`scan_keyed`](Self::scan_keyed) finds nothing either, unless [`knows_key`](Self::knows_key).
    pub fn join(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        if !name.is_empty() {
            out.push(b'"');
            out.extend_from_slice(end_of(name));
            out.extend_from_slice(br#"":""#);
        }
        out.extend_from_slice(value);
    }

    /// The secrets in a value that belongs to the key `name` (empty: to none), in order, none overlapping. Nothing that
    /// came before matters to it, and nothing stays open behind it.
    pub fn scan_keyed<'w>(&self, name: &[u8], text: &[u8], work: &'w mut Work) -> &'w [Finding] {
        work.forget();
        self.scan_block(text, work);
        work.forget();
        if name.is_empty() {
            return &work.findings;
        }
        let mut found = std::mem::take(&mut work.apart);
        found.clear();
        let mut joined = std::mem::take(&mut work.joined);
        joined.clear();
        let first_line = memchr::memchr(b'\n', text).unwrap_or(text.len());
        Self::join(name, &text[..first_line], &mut joined);
        joined.push(b'"');
        let from = end_of(name).len() + AROUND;
        let is_identifier = |finding: &Finding| {
            finding.via == Via::Shape
                && finding.end <= first_line
                && identifier::is_named(&joined, finding.start + from..finding.end + from)
        };
        found.extend(work.findings.iter().filter(|finding| !is_identifier(finding)));
        self.scan_value(name, text, |finding| found.push(finding));
        // What a regex finds that reads over the key. A document has keys of its own.
        if !name.contains(&b'\n') && !json::looks_like_record(text) {
            self.scan_block(&joined, work);
            work.forget();
            for finding in &work.findings {
                let is_inside = finding.start >= from && finding.end <= from + first_line;
                // What was learned is known already, but may be united with what a regex found.
                let is_learned = matches!(finding.via, Via::Learned(_));
                if (finding.via == Via::Shape || is_learned) && is_inside {
                    let moved = Finding { start: finding.start - from, end: finding.end - from, ..*finding };
                    let is_beside = |known: &Finding| known.end <= moved.start || moved.end <= known.start;
                    if is_learned || found.iter().all(is_beside) {
                        found.push(moved);
                    }
                }
            }
        }
        self.resolve(&mut found);
        work.apart = std::mem::replace(&mut work.findings, found);
        // Nothing of the text is kept where it could be shown.
        joined.clear();
        work.joined = joined;
        &work.findings
    }

    /// The secrets that rules for keys find in a value that belongs to the key `name`.
    fn scan_value(&self, name: &[u8], value: &[u8], mut found: impl FnMut(Finding)) {
        let Some(key) = whole(name) else { return };
        let tie = Tie {
            link: Link::Json,
            shape: Shape::Quoted(Quote { mark: b'"', escapes: 0 }),
            start: 0,
            end: value.len(),
            is_prose: false,
        };
        let line = Line::new(value);
        self.keys.rules_for(name, &key, usize::MAX, |rule| {
            super::confirm::keyed(self, &line, &key, tie, rule, &mut |finding| found(finding), &mut |_| {});
        });
    }

    /// The anchors that a line which [`join`](Self::join) writes may hide.
    pub fn line_starts(&self) -> LineStarts {
        LineStarts { named: self.starts_behind(b'"'), alone: self.starts_behind(b'\n') }
    }

    /// The anchors that ask for the start of a text where `front` stands in front.
    fn starts_behind(&self, front: u8) -> Starts {
        let all = self.prefilter.anchors();
        let asks = |&anchor: &u32| all.before(anchor).is_some_and(|set| !all.sets()[set as usize].has(front));
        let anchors: Vec<u32> = (0..all.count() as u32).filter(asks).collect();
        let words = anchors.len().div_ceil(64);
        let mut may_have = vec![0; PLACES * BYTES * words];
        for (i, &anchor) in anchors.iter().enumerate() {
            let sets = all.numbers(anchor);
            for place in 0..PLACES {
                for byte in 0..BYTES {
                    // Behind the end of an anchor anything may stand.
                    let is_allowed = match (sets.get(place), u8::try_from(byte)) {
                        (None, _) => true,
                        (Some(&set), Ok(byte)) => all.sets()[set as usize].has(byte),
                        (Some(_), Err(_)) => false,
                    };
                    may_have[(place * BYTES + byte) * words + i / 64] |= u64::from(is_allowed) << (i % 64);
                }
            }
        }
        Starts { anchors, words, may_have }
    }
}

/// How many bytes tell most anchors apart: many begin with a dozen of any kind.
const PLACES: usize = 14;
/// Every byte, and the end of the text.
const BYTES: usize = 257;

/// Anchors that a line which [`Scanner::join`] writes may hide: those that ask for the start of the text.
pub struct LineStarts {
    /// Behind a name.
    named: Starts,
    /// Without one. There a line starts, and that is nearly always what they ask for.
    alone: Starts,
}

/// Anchors, and what they begin with.
struct Starts {
    anchors: Vec<u32>,
    /// For each place and each byte there, a bit for each anchor that may have it there, in so many words.
    words: usize,
    may_have: Vec<u64>,
}

impl std::fmt::Debug for LineStarts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineStarts").field("anchors", &self.named.anchors.len()).finish_non_exhaustive()
    }
}

impl LineStarts {
    /// Whether one of them stands at the start of `text`, which belongs to the key `name` (empty: to none).
    pub fn holds(&self, scanner: &Scanner, name: &[u8], text: &[u8]) -> bool {
        let Starts { anchors, words, may_have } = if name.is_empty() { &self.alone } else { &self.named };
        // Where many have any byte at first, they have a certain one at last.
        let places = || std::iter::once(0).chain((1..PLACES).rev());
        (0..*words).any(|word| {
            let mut may_be = u64::MAX;
            for place in places() {
                let byte = text.get(place).map_or(BYTES - 1, |&byte| usize::from(byte));
                may_be &= may_have[(place * BYTES + byte) * words + word];
                if may_be == 0 {
                    return false;
                }
            }
            let mut bits = may_be;
            while bits != 0 {
                let anchor = anchors[64 * word + bits.trailing_zeros() as usize];
                if scanner.prefilter.stands_at(anchor, text, 0) {
                    return true;
                }
                bits &= bits - 1;
            }
            false
        })
    }
}

/// All of a name as a key. A rule's id in a marker of ours is none.
fn whole(name: &[u8]) -> Option<key::Key> {
    let last = name.len().checked_sub(1)?;
    key::around(name, last..last + 1).filter(|key| !placeholder::touches_marker(name, key.start..key.end))
}

/// What is read of a long name: a longer one must not cost more wherever a value belongs to it.
fn end_of(name: &[u8]) -> &[u8] {
    &name[name.len().saturating_sub(KEPT)..]
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::rules::{Profile, Ruleset};
    use crate::scan::Format;

    static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
        Scanner::new(Ruleset::builtin().into_profile(Profile::Default, |_| true), Vec::new(), Format::Auto)
    });

    fn check(name: &str, value: &str, want: &[&str]) {
        let scanner = &*SCANNER;
        let mut work = Work::default();
        let found = scanner.scan_keyed(name.as_bytes(), value.as_bytes(), &mut work).to_vec();
        let got: Vec<_> = found.iter().map(|finding| &value[finding.range()]).collect();
        assert_eq!(got, want, "{name}: {value}");
        // What is found is looked for.
        let mut block = Vec::new();
        Scanner::join(name.as_bytes(), value.as_bytes(), &mut block);
        let mut is_seen = scanner.knows_key(name.as_bytes());
        is_seen |= scanner.line_starts().holds(scanner, name.as_bytes(), value.as_bytes());
        scanner.places(&block, &mut work, |_| is_seen = true);
        assert!(is_seen || want.is_empty(), "{name}: {value}");
    }

    #[test]
    fn values_of_keys() {
        check("password", "hunter2", &["hunter2"]);
        check("db.password", "hun\"ter2\nx", &["hun\"ter2\nx"]);
        check("http.request.header.authorization", "Bearer abcdef123456", &["abcdef123456"]);
        check("password_policy", "hunter2", &[]);
        check("", "password=hunter2 x", &["hunter2"]);
        check("message", "password=hunter2 x", &["hunter2"]);
        check("body", r#"{"pin":1234,"a":{"password":"x1"}}"#, &["1234", "x1"]);
        check("pin", "1234", &["1234"]);
        check("pin", "ok", &[]);
        check("user[password]", "hunter2", &["hunter2"]);
        check("a password=[REDACTED:password]", "hunter2", &[]);
    }

    #[test]
    fn identifiers_stay() {
        check("card", "4111111111111111", &["4111111111111111"]);
        check("dd.span_id", "4111111111111111", &[]);
        check("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-4111111111111111-01", &[]);
    }

    #[test]
    fn starts_of_lines() {
        let scanner = &*SCANNER;
        let starts = scanner.line_starts();
        let anchors = scanner.prefilter.anchors();
        let mut count = 0;
        for &anchor in &starts.named.anchors {
            let sets = anchors.numbers(anchor).iter().map(|&set| anchors.sets()[set as usize]);
            let least = sets.map(|set| (0..=u8::MAX).find(|&byte| set.has(byte)).expect("a byte"));
            let text: Vec<u8> = least.collect();
            let stands = |anchor: &u32| scanner.prefilter.stands_at(*anchor, &text, 0);
            count += usize::from(stands(&anchor));
            assert_eq!(starts.holds(scanner, b"name", &text), starts.named.anchors.iter().any(stands));
        }
        assert!(count > 0 && starts.named.anchors.len() > count / 2);
        let holds = |text: &[u8]| starts.holds(scanner, b"name", text);
        assert!(!holds(b"") && !holds(b"kasm-api") && holds(b"state=Dead1234&x=1"));
    }

    #[test]
    fn nothing_stays_open() {
        let mut work = Work::default();
        SCANNER.scan_keyed(b"a", b"-----BEGIN RSA PRIVATE KEY-----", &mut work);
        assert!(work.is_settled());
    }
}
