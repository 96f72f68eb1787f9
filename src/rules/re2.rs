//! Regexes as files write them → [`Pattern`]s, for rule files and configurations alike.
//!
//! They are written for RE2 (Go's `regexp`, gitleaks). It takes some bytes as letters that our parser takes as syntax:
//! a brace that opens no repetition, brackets and doubled operators inside a class. Those are escaped here; all else
//! is left to the parser.

use std::borrow::Cow;

use super::anchor::Anchor;
use super::derived;
use super::pattern::{BadPattern, MAX_GROUPS, Pattern};

/// Patterns with more states than a few thousand are compiled when loaded, to be sure that they can be.
const COMPILE_EAGERLY_ABOVE: usize = 4096;

/// A pattern that was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) pattern: Pattern,
    /// As [`Pattern::parse`] derives them.
    pub(crate) anchors: Option<Vec<Anchor>>,
    /// There were too many groups: they are not told apart, and the whole match is the secret.
    pub(crate) is_whole: bool,
}

/// Reads a regex; `group` is the secret (`None`: the first group, if there is one). `is_tested`: it is known to
/// compile. The error is what a fault says.
pub(crate) fn read(source: &str, group: Option<usize>, is_tested: bool) -> Result<Read, String> {
    // What is known of built-in regexes is known of them as they are read in the end.
    if let Some(facts) = derived::of(source).filter(|_| is_tested) {
        let (pattern, anchors) = Pattern::with(source, group, facts).map_err(refused)?;
        return Ok(Read { pattern, anchors, is_whole: false });
    }
    let mut text = as_letters(source);
    let is_whole = group.is_none_or(|group| group == 0) && groups(&text) > MAX_GROUPS;
    if is_whole {
        text = without_groups(&text).into();
    }
    let known = if is_tested { derived::of(&text) } else { None };
    let pattern = match known {
        Some(facts) => Pattern::with(&text, group, facts),
        None => Pattern::parse(&text, group),
    };
    let (pattern, anchors) = pattern.map_err(refused)?;
    if !is_tested && pattern.states() > COMPILE_EAGERLY_ABOVE && !pattern.is_compilable() {
        return Err("the regex is too large to compile; shorten its repeats".to_owned());
    }
    Ok(Read { pattern, anchors, is_whole })
}

fn refused(BadPattern(why): BadPattern) -> String {
    format!("the regex cannot be used: {why}")
}

/// A place in a regex where it is not read as it stands.
enum Spot {
    /// A byte that needs a backslash to be the letter RE2 takes it for.
    Letter,
    /// What opens a group that is told apart, so many bytes long.
    Group(usize),
}

/// `source` with backslashes where RE2 reads letters.
fn as_letters(source: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    spots(source, |at, spot| {
        if matches!(spot, Spot::Letter) {
            out.push_str(&source[done..at]);
            out.push('\\');
            done = at;
        }
    });
    if done == 0 && out.is_empty() {
        return Cow::Borrowed(source);
    }
    out.push_str(&source[done..]);
    Cow::Owned(out)
}

fn groups(source: &str) -> usize {
    let mut count = 0;
    spots(source, |_, spot| count += usize::from(matches!(spot, Spot::Group(_))));
    count
}

fn without_groups(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut done = 0;
    spots(source, |at, spot| {
        if let Spot::Group(len) = spot {
            out.push_str(&source[done..at]);
            out.push_str("(?:");
            done = at + len;
        }
    });
    out + &source[done..]
}

fn spots(source: &str, mut found: impl FnMut(usize, Spot)) {
    let bytes = source.as_bytes();
    let mut in_class = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let mut len = 1;
        match (byte, in_class) {
            (b'\\', _) => len = escape_len(rest),
            (b'[', false) => {
                in_class = true;
                // A bracket that comes first closes nothing.
                len += usize::from(rest.get(1) == Some(&b'^'));
                len += usize::from(rest.get(len) == Some(&b']'));
            }
            // `[:alpha:]`
            (b'[', true) if rest.get(1) == Some(&b':') => {
                len = memchr::memmem::find(rest, b":]").map_or(1, |end| end + 2);
            }
            (b'[', true) => found(at, Spot::Letter),
            (b']', true) => in_class = false,
            (b'&' | b'-' | b'~', true) if rest.get(1) == Some(&byte) => {
                found(at + 1, Spot::Letter);
                len = 2;
            }
            (b'{', false) if !is_repetition(rest) => found(at, Spot::Letter),
            (b'(', false) => {
                if let Some(opening) = group_len(rest) {
                    found(at, Spot::Group(opening));
                    len = opening;
                }
            }
            _ => {}
        }
        at += len;
    }
}

/// `\x{41}`, `\p{Greek}`: their braces belong to them.
fn escape_len(rest: &[u8]) -> usize {
    match rest {
        [_, b'x' | b'p' | b'P', b'{', name @ ..] => {
            name.iter().position(|&b| b == b'}').map_or(rest.len(), |end| 3 + end + 1)
        }
        _ => 2,
    }
}

/// `{3}`, `{3,}`, `{3,5}`.
fn is_repetition(rest: &[u8]) -> bool {
    let inside = rest[1..].iter().position(|&b| b == b'}').map_or(&rest[..0], |end| &rest[1..=end]);
    let (least, most) = match inside.iter().position(|&b| b == b',') {
        Some(comma) => (&inside[..comma], &inside[comma + 1..]),
        None => (inside, &inside[..0]),
    };
    !least.is_empty() && least.iter().chain(most).all(u8::is_ascii_digit)
}

/// How long what opens a group is that is told apart: `(`, `(?P<name>`, `(?<name>`.
fn group_len(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'(', b'?', b'P', b'<', ..] | [b'(', b'?', b'<', ..] => {
            rest.iter().position(|&b| b == b'>').map(|end| end + 1)
        }
        [b'(', b'?', ..] => None,
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, text: &str, secret: &str) {
        let read = read(source, None, false).expect(source);
        let found = read.pattern.find(text.as_bytes(), 0, text.len());
        assert_eq!(found.map(|m| &text[m.secret_start..m.secret_end]), Some(secret), "{source}");
    }

    #[test]
    fn braces_that_repeat_nothing_are_letters() {
        check(r"^\$(?:\d+|{\d+})$", "${12}", "${12}");
        check(r"^\${(?:[A-Z_]+|[a-z_]+)}$", "${AB}", "${AB}");
        check(r"x{,2}y", "x{,2}y", "x{,2}y");
        check(r"x{2}y{1,}z{1,2}", "xxyyzz", "xxyyzz");
        check(r"\x{41}\pL\p{Greek}", "Aaα", "Aaα");
        check(r"[{}]\{", "}{", "}{");
    }

    #[test]
    fn classes_have_no_classes_and_operators_inside() {
        check(r"a[[]b", "a[b", "a[b");
        check(r"[+--]+", ",", ",");
        check(r"[a&&b]+", "a&b", "a&b");
        check(r"[[:digit:]x]+", "1x", "1x");
        check(r"[]a[]+", "]a[", "]a[");
    }

    #[test]
    fn groups_beyond_the_most_are_not_told_apart() {
        let most = "(a)".repeat(MAX_GROUPS);
        check(&most, &"a".repeat(MAX_GROUPS), "a");
        let more = most + "(?P<x>b)";
        assert!(read(&more, None, false).expect("pattern").is_whole);
        assert!(read(&more, Some(3), false).is_err());
        let text = "a".repeat(MAX_GROUPS) + "b";
        check(&more, &text, &text);
    }
}
