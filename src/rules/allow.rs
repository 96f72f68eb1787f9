//! Allowlists, in gitleaks' meaning: what a rule would find, but shall leave.

use super::pattern::Pattern;

/// What the regexes of an allowlist are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The secret.
    #[default]
    Secret,
    /// The whole match.
    Match,
    /// The whole line.
    Line,
}

/// A set of reasons to leave a match.
#[derive(Debug, Default)]
pub struct Allowlist {
    /// Regexes; one that matches the target is enough.
    pub regexes: Vec<Pattern>,
    /// What `regexes` look at.
    pub target: Target,
    /// Words; a secret that holds one of them (ignoring case) is left.
    pub stopwords: Vec<Box<[u8]>>,
    /// Both `regexes` and `stopwords` must agree, where both are given.
    pub all: bool,
}

impl Allowlist {
    /// Whether the list covers this match.
    #[inline]
    pub fn covers(&self, line: &[u8], whole: &[u8], secret: &[u8]) -> bool {
        let target = match self.target {
            Target::Secret => secret,
            Target::Match => whole,
            Target::Line => line,
        };
        let by_regex = self.regexes.iter().any(|regex| regex.is_in(target));
        if by_regex != (self.all && !self.regexes.is_empty() && !self.stopwords.is_empty()) {
            return by_regex;
        }
        self.stopwords.iter().any(|word| contains_caseless(secret, word))
    }
}

/// Whether `text` holds `word`, which is lower case, ignoring ASCII case.
pub fn contains_caseless(text: &[u8], word: &[u8]) -> bool {
    let Some(&first) = word.first() else { return true };
    if text.len() < word.len() {
        return false;
    }
    let starts = &text[..=text.len() - word.len()];
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), starts)
        .any(|at| text[at..at + word.len()].eq_ignore_ascii_case(word))
}
