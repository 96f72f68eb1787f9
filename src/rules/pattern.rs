//! A rule's regex: checked and measured when the rule loads, compiled when first needed.
//!
//! Regexes are read as Go's RE2 reads them where the two differ for bytes: `\w`, `\d`, `\s` and `\b` are ASCII.
//! A pattern that names Unicode classes is read with Unicode on.

use std::sync::OnceLock;

use regex_automata::meta;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::anchor::Anchor;
use super::derive;
use super::needs::Needs;

/// The most states a pattern may need. About 16 MiB when compiled; gitleaks' largest needs a third of it.
pub const MAX_STATES: usize = 200_000;
/// Patterns with anchors more frequent than this (per byte of log text) are taken to have none.
const TELLING: f32 = 0.002;
/// How many groups a pattern may have.
pub(super) const MAX_GROUPS: usize = 15;
/// Room for the groups of one match, and for all of it.
const SLOTS: usize = 2 * MAX_GROUPS + 2;

/// A byte regex and the group that is the secret.
pub struct Pattern {
    source: Box<str>,
    unicode: bool,
    group: usize,
    min_len: usize,
    max_len: Option<usize>,
    states: usize,
    needs: OnceLock<Needs>,
    regex: OnceLock<Option<meta::Regex>>,
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pattern")
            .field("source", &self.source)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// One match: all of it, and the secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where the whole match starts.
    pub start: usize,
    /// One past the whole match.
    pub end: usize,
    /// Where the secret starts; as `start` where its group took no part in the match.
    pub secret_start: usize,
    /// One past the secret.
    pub secret_end: usize,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl Pattern {
    /// Reads a pattern; the second value is its anchors, if it has telling ones.
    pub fn parse(source: &str, group: Option<usize>) -> Result<(Self, Option<Vec<Anchor>>), BadPattern> {
        Self::with(source, group, Facts::of(source)?)
    }

    /// A pattern of which all is known.
    pub(super) fn with(
        source: &str,
        group: Option<usize>,
        facts: Facts,
    ) -> Result<(Self, Option<Vec<Anchor>>), BadPattern> {
        let Facts { unicode, groups, min_len, max_len, states, anchors } = facts;
        let group = group.unwrap_or(usize::from(groups > 0));
        if group > groups {
            return Err(BadPattern(format!("has {groups} groups, so group {group} cannot be the secret")));
        }
        let (needs, regex) = (OnceLock::new(), OnceLock::new());
        Ok((Self { source: source.into(), unicode, group, min_len, max_len, states, needs, regex }, anchors))
    }

    /// The regex as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The group that is the secret; 0 is the whole match.
    pub fn group(&self) -> usize {
        self.group
    }

    /// The least bytes that a match has.
    pub fn min_len(&self) -> usize {
        self.min_len
    }

    /// The most bytes a match can have, if there is a bound.
    pub fn max_len(&self) -> Option<usize> {
        self.max_len
    }

    /// About how many automaton states the regex compiles to.
    pub fn states(&self) -> usize {
        self.states
    }

    /// The next match that starts at or after `from` and ends at or before `to`.
    /// Look-around (`\b`, `^`, `$`) sees all of `text`.
    pub fn find(&self, text: &[u8], from: usize, to: usize) -> Option<Match> {
        // Nearly all searches find nothing, and most of these for want of a byte that is quickly looked for.
        self.needs().allow_in(&text[from..to]).then(|| self.search(Input::new(text).range(from..to)))?
    }

    /// Whether a match is in `text`.
    #[inline]
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.needs().allow_in(text) && self.is_match(text)
    }

    #[inline(never)]
    fn is_match(&self, text: &[u8]) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    /// The match that starts at exactly `at` and ends at or before `to`.
    pub fn find_at(&self, text: &[u8], at: usize, to: usize) -> Option<Match> {
        // No further than a match can go, so that many tries on one line read no more than their matches could.
        let end = self.max_len.map_or(to, |len| to.min(at.saturating_add(len)));
        let input = || Input::new(text).range(at..to).anchored(Anchored::Yes);
        self.needs().allow_at(&text[at..end]).then(|| self.search(input()))?
    }

    #[inline]
    fn needs(&self) -> &Needs {
        self.needs.get_or_init(|| {
            hir(&self.source, self.unicode).map_or_else(|_| Needs::nothing(), |hir| Needs::of(&hir))
        })
    }

    fn regex(&self) -> Option<&meta::Regex> {
        self.regex.get_or_init(|| compile(&self.source, self.unicode)).as_ref()
    }

    fn search(&self, input: Input<'_>) -> Option<Match> {
        let regex = self.regex()?;
        if self.group == 0 {
            let found = regex.search(&input)?;
            return Some(Match {
                start: found.start(),
                end: found.end(),
                secret_start: found.start(),
                secret_end: found.end(),
            });
        }
        let mut slots = [None; SLOTS];
        let wanted = self.group * 2 + 2;
        regex.search_slots(&input, &mut slots[..wanted])?;
        let at = |slot: usize| slots[slot].map(|offset| offset.get());
        let (start, end) = (at(0)?, at(1)?);
        let (secret_start, secret_end) = match (at(wanted - 2), at(wanted - 1)) {
            (Some(secret_start), Some(secret_end)) => (secret_start, secret_end),
            // The group took no part: the whole match is the secret, as the careful reading.
            _ => (start, end),
        };
        Some(Match { start, end, secret_start, secret_end })
    }

    /// Compiles now rather than at the first candidate; `false` if the engine refuses.
    pub fn is_compilable(&self) -> bool {
        self.regex().is_some()
    }
}

/// What parsing a regex tells.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) unicode: bool,
    pub(super) groups: usize,
    pub(super) min_len: usize,
    pub(super) max_len: Option<usize>,
    pub(super) states: usize,
    /// As [`anchor::derive`] gives them.
    pub(super) anchors: Option<Vec<Anchor>>,
}

impl Facts {
    pub(super) fn of(source: &str) -> Result<Self, BadPattern> {
        let (hir, unicode) = match hir(source, false) {
            Ok(hir) => (hir, false),
            Err(error) => (hir(source, true).map_err(|_| BadPattern(error))?, true),
        };
        let states = states(&hir, 0);
        if states > MAX_STATES {
            return Err(BadPattern(format!(
                "needs about {states} states when compiled, more than the {MAX_STATES} allowed; shorten its repeats"
            )));
        }
        let groups = hir.properties().explicit_captures_len();
        if groups > MAX_GROUPS {
            return Err(BadPattern(format!(
                "has {groups} groups, more than the {MAX_GROUPS} allowed; use (?:…) for the others"
            )));
        }
        if hir.properties().minimum_len() == Some(0) {
            return Err(BadPattern("matches the empty string; make a part of it required".to_owned()));
        }
        let anchors = derive::anchors(&hir, TELLING);
        let (min_len, max_len) =
            (hir.properties().minimum_len().unwrap_or(0), hir.properties().maximum_len());
        Ok(Self { unicode, groups, min_len, max_len, states, anchors })
    }
}

fn hir(source: &str, unicode: bool) -> Result<Hir, String> {
    regex_syntax::ParserBuilder::new().unicode(unicode).utf8(false).build().parse(source).map_err(|error| {
        match error {
            regex_syntax::Error::Parse(e) => e.kind().to_string(),
            regex_syntax::Error::Translate(e) => e.kind().to_string(),
            other => other.to_string(),
        }
    })
}

fn compile(source: &str, unicode: bool) -> Option<meta::Regex> {
    meta::Regex::builder()
        .syntax(syntax::Config::new().unicode(unicode).utf8(false))
        .configure(
            meta::Config::new()
                .utf8_empty(false)
                .nfa_size_limit(Some(64 << 20))
                .onepass_size_limit(Some(64 << 10))
                .hybrid_cache_capacity(1 << 20)
                .dfa(false),
        )
        .build(source)
        .ok()
}

/// About how many automaton states a regex compiles to.
fn states(hir: &Hir, depth: u32) -> usize {
    if depth > 200 {
        return MAX_STATES + 1;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Class(Class::Unicode(class)) => 2 + class.ranges().len(),
        HirKind::Capture(capture) => 2 + states(&capture.sub, depth + 1),
        HirKind::Repetition(r) => {
            let copies = r.max.unwrap_or(r.min.saturating_add(1)).max(1) as usize;
            (states(&r.sub, depth + 1) + 1).saturating_mul(copies)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum: usize, part| sum.saturating_add(states(part, depth + 1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_the_first_group_unless_named() {
        let (pattern, _) = Pattern::parse("key=([a-z]+)", None).expect("pattern");
        let found = pattern.find(b"a key=abc b", 0, 11).expect("match");
        assert_eq!((found.start, found.end, found.secret_start, found.secret_end), (2, 9, 6, 9));
    }

    #[test]
    fn what_a_match_needs_is_in_it() {
        for (source, text, want) in [
            (r"^(?:<set|a+)$", "x", false),
            (r"^<set$", "<set", true),
            (r"^\S{1,40}\.(?:pem|key)$", "a.key", true),
            (r"^\S{1,40}\.(?:pem|key)$", "a.keys", false),
            (r"(?:^a|b)c?", "xb", true),
            (r"(?:b$|c)", "cx", true),
            (r"(?i:k[é€]?)", "x k", true),
            (r"(?:x|y\d)z?", "..y1", true),
            (r"(?:a|b|c|d)\w", "..d.", false),
            (r"a\s?=\s?\{[a=]\}", "a = {=}", true),
            (r"(?:a=|b-)c?(?:,|;|\.|!)", "b-!", true),
            (r"(?m:^ab$)", "c\nab\nd", true),
            (r"\bab", "-ab", true),
        ] {
            let (pattern, _) = Pattern::parse(source, None).expect("pattern");
            let text = text.as_bytes();
            let unasked = pattern.search(Input::new(text)).is_some();
            let asked = pattern.find(text, 0, text.len()).is_some();
            assert_eq!((unasked, asked, pattern.is_in(text)), (want, want, want), "{source}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (source, want) in [
            ("a(", "unclosed group"),
            ("a*", "empty string"),
            ("(?:a{1000}){1000}", "states"),
            ("(?=a)b", "look-around"),
        ] {
            let Err(BadPattern(why)) = Pattern::parse(source, None) else { panic!("{source} was taken") };
            assert!(why.contains(want), "{source}: {why}");
        }
    }

    #[test]
    fn what_is_parsed_compiles() {
        let (pattern, _) = Pattern::parse(r"(?:\w{1,100}\s){1,400}x", None).expect("pattern");
        assert!(pattern.is_compilable());
    }
}
