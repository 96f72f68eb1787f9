//! The engine against its definition: for every line, for every match of the rule that passes its checks, a finding.
//!
//! Rules are toys over a small alphabet, so that matches, near matches and overlaps are frequent.

use std::ops::Range;

use kasm_scrub::rules::entropy::shannon;
use kasm_scrub::rules::pattern::Pattern;
use kasm_scrub::sanitize::Parts;
use kasm_scrub::{Format, RuleFile, Ruleset, Sanitizer, Work};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::{show, times};

/// Inside a match that was left, matches of at most this length are searched for, too.
const SHORT: usize = 64;

/// How often a line is looked at again.
const ROUNDS: usize = 4;
/// How far from a marker it looks at least, and how long a marker is then.
const BEYOND: usize = 256;
const MARKER: usize = "[REDACTED:x]".len();

/// A part of a regex over the alphabet of [`toy_text`].
fn part() -> BoxedStrategy<String> {
    let words = ["qz", "tok_", "zq-7", "Kx", "7.q", "abc", "q", "z7z7"];
    let classes =
        ["[a-c]", "[0-9]", "[A-Z]", "[qz7]", ".", r"\w", r"\s", r"\b", "^", "$", "(?i:kx)", "[^q]", r"\.?"];
    let leaf = prop_oneof![
        5 => select(words.to_vec()).prop_map(|word| word.replace('.', r"\.")),
        4 => select(classes.to_vec()).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let repeat = select(&["", "?", "*", "+", "{2}", "{1,3}", "{2,}", "+?", "{0,40}"][..]);
        prop_oneof![
            4 => vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => (inner.clone(), repeat).prop_map(|(part, repeat)| format!("(?:{part}){repeat}")),
            1 => inner.prop_map(|part| format!("({part})")),
        ]
    })
    .boxed()
}

/// A random regex; it may be one that rules refuse.
pub(crate) fn regex() -> BoxedStrategy<String> {
    vec(part(), 1..5).prop_map(|parts| parts.concat()).boxed()
}

fn toy_text() -> BoxedStrategy<String> {
    let pieces = [
        "qz",
        "tok_",
        "zq-7",
        "Kx",
        "kx",
        "7.q",
        "abc",
        "q",
        "z7z7",
        "a",
        "b",
        "c",
        "7",
        "0",
        "X",
        "-",
        "_",
        ".",
        " ",
        "\n",
        "\t",
        "aaaaaaaaaaaaaaaaaaaa",
        "key",
        "stop",
        "\u{e9}",
        "                                        ",
    ];
    vec(select(pieces.to_vec()), 0..24).prop_map(|parts| parts.concat()).boxed()
}

/// What a toy rule asks beside its regex.
#[derive(Clone, Debug)]
struct Asks {
    entropy: Option<f64>,
    keyword: Option<&'static str>,
    stopword: Option<&'static str>,
    allowed: Option<&'static str>,
}

fn asks() -> impl Strategy<Value = Asks> {
    (
        option::weighted(0.2, select(&[1.0, 1.9, 2.5][..])),
        option::weighted(0.2, select(&["key", "qz", "kx"][..])),
        option::weighted(0.2, select(&["stop", "abc"][..])),
        option::weighted(0.2, select(&["^a", "7$", "q.z"][..])),
    )
        .prop_map(|(entropy, keyword, stopword, allowed)| Asks { entropy, keyword, stopword, allowed })
}

fn toml(regex: &str, asks: &Asks) -> String {
    let mut file = format!("[[rules]]\nid = \"toy\"\ndescription = \"toy\"\nregex = '''{regex}'''\n");
    if let Some(bits) = asks.entropy {
        file += &format!("entropy = {bits:?}\n");
    }
    if let Some(word) = asks.keyword {
        file += &format!("keywords = [\"{word}\"]\n");
    }
    if let Some(word) = asks.stopword {
        file += &format!("[[rules.allowlists]]\nstopwords = [\"{word}\"]\n");
    }
    if let Some(regex) = asks.allowed {
        file += &format!("[[rules.allowlists]]\nregexes = ['''{regex}''']\n");
    }
    file
}

/// The matches in one line that are findings. `markers`: where findings were before; they are none again.
fn in_line(pattern: &Pattern, asks: &Asks, line: &[u8], markers: &[Range<usize>]) -> Vec<Range<usize>> {
    let allowed = asks.allowed.map(|source| Pattern::parse(source, None).expect("toy").0);
    let contains = |text: &[u8], word: &str| {
        text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    let mut want = Vec::new();
    let has_keyword = asks.keyword.is_none_or(|word| contains(line, word));
    let mut from = 0;
    while has_keyword && let Some(found) = pattern.find(line, from, line.len()) {
        let place = found.secret_start..found.secret_end;
        let secret = &line[place.clone()];
        let is_left = secret.is_empty()
            || markers.iter().any(|marker| marker.start < place.end && place.start < marker.end)
            || asks.entropy.is_some_and(|least| shannon(secret) < least)
            || asks.stopword.is_some_and(|word| contains(secret, word))
            || allowed.as_ref().is_some_and(|regex| regex.find(secret, 0, secret.len()).is_some());
        // What is left may hide a match that starts inside it; looked for where matches are short.
        let is_short = pattern.max_len().is_some_and(|len| len <= SHORT);
        from = if is_left && is_short { found.start + 1 } else { found.end };
        if !is_left {
            want.push(place);
        }
    }
    want
}

/// The findings as they are defined, one regex and one line at a time. `None`: the engine looks again within so many bytes
/// of a marker, and there are more.
fn model(pattern: &Pattern, asks: &Asks, text: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut want = Vec::new();
    let mut base = 0;
    for line in text.split(|&byte| byte == b'\n') {
        let mut found = whole(line, in_line(pattern, asks, line, &[]));
        let mut new = found.clone();
        // Beside a new finding the engine looks again, as if all findings were their markers.
        for _ in 0..ROUNDS {
            if !new.iter().any(|found| has_neighbour(line, found)) {
                break;
            }
            if line.len() + MARKER * found.len() > BEYOND {
                return None;
            }
            new = whole(line, again(pattern, asks, line, &found));
            found.extend_from_slice(&new);
            found = whole(line, found);
        }
        want.extend(found.into_iter().map(|found| base + found.start..base + found.end));
        base += line.len() + 1;
    }
    Some(want)
}

/// Findings that cut no character in two; those that overlap then are one.
fn whole(line: &[u8], mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|found| found.start);
    let text = std::str::from_utf8(line).expect("toys are written in UTF-8");
    let mut all: Vec<Range<usize>> = Vec::new();
    for mut next in found {
        while !text.is_char_boundary(next.start) {
            next.start -= 1;
        }
        while !text.is_char_boundary(next.end) {
            next.end += 1;
        }
        match all.last_mut() {
            Some(last) if next.start < last.end => last.end = last.end.max(next.end),
            _ => all.push(next),
        }
    }
    all
}

/// Whether something stands right beside a finding that may become a word of its own.
fn has_neighbour(line: &[u8], found: &Range<usize>) -> bool {
    let before = found.start.checked_sub(1).map(|at| line[at]);
    let behind = line.get(found.end);
    line[found.clone()].iter().any(|b| b"\"'".contains(b))
        || b"[{,:(".contains(&line[found.end - 1])
        || before.is_some_and(|b| b.is_ascii_alphanumeric() || b"_]".contains(&b))
        || behind.is_some_and(|b| !b.is_ascii_whitespace() && !b"\"'&,;)]}<>\\".contains(b))
}

/// What is found in a line once there are markers in place of findings.
fn again(pattern: &Pattern, asks: &Asks, line: &[u8], found: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut marked = Vec::new();
    let mut markers = Vec::new();
    let mut done = 0;
    for found in found {
        marked.extend_from_slice(&line[done..found.start]);
        let start = marked.len();
        marked.extend_from_slice(b"[REDACTED:x]");
        markers.push(start..marked.len());
        done = found.end;
    }
    marked.extend_from_slice(&line[done..]);
    let more = in_line(pattern, asks, &marked, &markers);
    more.into_iter()
        .map(|more| {
            let behind = markers.iter().rposition(|marker| marker.end <= more.start);
            let moved = |at: usize| behind.map_or(at, |i| at - markers[i].end + found[i].end);
            moved(more.start)..moved(more.end)
        })
        .collect()
}

fn check(regex: &str, asks: &Asks, text: &str) -> Result<(), TestCaseError> {
    let Ok((pattern, _)) = Pattern::parse(regex, None) else { return Ok(()) };
    let file = toml(regex, asks);
    let rules = Ruleset::load(false, &[RuleFile { name: "toy.toml", text: &file }]);
    let rules = rules.map_err(|faults| TestCaseError::fail(format!("{faults}")))?;
    let parts = Parts { rules, format: Format::Text, ..Parts::default() };
    let sanitizer = Sanitizer::new(parts).expect("the toy does not hash");
    let mut work = Work::default();
    let got: Vec<_> =
        sanitizer.scan_block(text.as_bytes(), &mut work).iter().map(|found| found.range()).collect();
    let Some(want) = model(&pattern, asks, text.as_bytes()) else { return Ok(()) };
    prop_assert_eq!(got, want, "regex {} text {}", regex, show(text.as_bytes()));
    Ok(())
}

proptest! {
    #![proptest_config(times(6000))]

    #[test]
    fn a_rule_finds_what_its_regex_matches(regex in regex(), asks in asks(), text in toy_text()) {
        check(&regex, &asks, &text)?;
    }

    #[test]
    fn a_drawn_match_is_found(regex in regex(), seed in any::<u64>(), before in toy_text(), after in toy_text()) {
        if Pattern::parse(&regex, None).is_err() {
            return Ok(());
        }
        let hir = super::sample::parse(&regex);
        let mut drawn = Vec::new();
        super::sample::sample(&hir, &mut super::sample::Draw(seed), &mut drawn);
        drawn.retain(|byte| !matches!(byte, b'%' | b'\\' | b'['));
        let text = format!("{before}{}{after}", String::from_utf8_lossy(&drawn));
        let asks = Asks { entropy: None, keyword: None, stopword: None, allowed: None };
        check(&regex, &asks, &text)?;
    }
}
