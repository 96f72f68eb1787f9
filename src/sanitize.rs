//! The sanitizer: a scanner and what becomes of its findings. Every adapter holds one, and nothing else of the engine.
//!
//! It reads no file, no clock and no environment, and it cannot fail.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use crate::carrier::escape::View;
use crate::finding::{Finding, RuleIndex, Via};
use crate::learned::Learned;
use crate::redact::{self, HashKey, Pseudonym};
use crate::rules::allow::Allowlist;
use crate::rules::{Action, Ruleset};
use crate::scan::{Format, Scanner, Work};

/// The key that a value of structured data belongs to, if it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key<'k> {
    /// The value stands alone.
    #[default]
    None,
    /// The value of this attribute, field or parameter.
    Name(&'k [u8]),
}

/// Rules and actions, ready to clean with. Cheap to share, never changed.
#[derive(Debug)]
pub struct Sanitizer {
    scanner: Scanner,
    actions: Vec<Action>,
    key: Option<HashKey>,
    digest: OnceLock<[u8; 32]>,
}

/// What a [`Sanitizer`] is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// The rules.
    pub rules: Ruleset,
    /// What is to be left, and by which rules (none: by all).
    pub allow: Vec<(Vec<RuleIndex>, Allowlist)>,
    /// What records are taken to be.
    pub format: Format,
    /// What becomes of a rule's findings; beyond the end of the list: the rule's own action.
    pub actions: Vec<Option<Action>>,
    /// The key of pseudonyms.
    pub key: Option<HashKey>,
    /// Values that were learned, for the rule that [`Ruleset::add_learned`] adds.
    pub learned: Option<Learned>,
}

/// A rule hashes, but there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoHashKey {
    /// The rule's id.
    pub rule: String,
}

impl std::fmt::Display for NoHashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rule {} has the action hash, but no hash key is given; add --hash-key FILE", self.rule)
    }
}

impl std::error::Error for NoHashKey {}

impl Sanitizer {
    /// A sanitizer of these parts.
    /// # Errors
    /// An action that hashes, without a key.
    pub fn new(parts: Parts) -> Result<Self, NoHashKey> {
        let Parts { rules, allow, format, actions, key, learned } = parts;
        let actions: Vec<Action> = rules
            .rules()
            .iter()
            .enumerate()
            .map(|(i, rule)| actions.get(i).copied().flatten().or(rule.action).unwrap_or_default())
            .collect();
        if key.is_none()
            && let Some(hashing) = actions.iter().position(|&action| action == Action::Hash)
        {
            return Err(NoHashKey { rule: rules.rules()[hashing].id.to_string() });
        }
        let scanner = Scanner::new(rules, allow, format);
        let scanner = match learned {
            Some(learned) => scanner.with_learned(learned),
            None => scanner,
        };
        Ok(Self { scanner, actions, key, digest: OnceLock::new() })
    }

    /// The built-in rules of the default profile, each replaced by its marker.
    pub fn builtin() -> Self {
        let rules = Ruleset::builtin().into_profile(crate::Profile::Default, |_| true);
        let actions = vec![Action::Replace; rules.rules().len()];
        Self {
            scanner: Scanner::new(rules, Vec::new(), Format::Auto),
            actions,
            key: None,
            digest: OnceLock::new(),
        }
    }

    /// The rules it cleans by.
    pub fn rules(&self) -> &Ruleset {
        self.scanner.rules()
    }

    /// [`Ruleset::digest`] of its rules, which is made once.
    pub fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| self.rules().digest())
    }

    /// The pseudonym in `marker`, which was written in place of a finding of this rule. `None`: the rule's findings get
    /// none.
    pub fn pseudonym(&self, rule: RuleIndex, marker: &[u8]) -> Option<Pseudonym> {
        if self.has_pseudonyms(rule) { Pseudonym::of(marker) } else { None }
    }

    /// Whether findings of this rule become pseudonyms.
    pub fn has_pseudonyms(&self, rule: RuleIndex) -> bool {
        self.actions.get(rule.0 as usize) == Some(&Action::Hash)
    }

    /// A pseudonym as it stands in a line of text: `[rule:key:digits]`.
    pub fn spell(&self, rule: RuleIndex, pseudonym: Pseudonym) -> String {
        format!("[{}:{}:{pseudonym}]", self.rules()[rule].id, self.key.as_ref().map_or("", HashKey::id))
    }

    /// Whether any of its findings become pseudonyms.
    pub fn hashes(&self) -> bool {
        self.actions.contains(&Action::Hash)
    }

    /// The scanner inside.
    pub fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// One value, cleaned. `Borrowed` means untouched: nothing was allocated or copied.
    pub fn clean<'t>(&self, key: Key<'_>, text: &'t [u8], work: &mut Work) -> Cow<'t, [u8]> {
        let name = match key {
            Key::None => &[][..],
            Key::Name(name) => name,
        };
        let findings = self.scanner.scan_keyed(name, text, work);
        if findings.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        self.write(text, findings, &mut |bytes| out.extend_from_slice(bytes));
        Cow::Owned(out)
    }

    /// The findings of a block of whole lines (the last may lack its newline), in order, none overlapping.
    pub fn scan_block<'w>(&self, block: &[u8], work: &'w mut Work) -> &'w [Finding] {
        self.scanner.scan_block(block, work)
    }

    /// Writes `block` with its findings replaced: clean runs as slices of it, replacements between them.
    pub fn write(&self, block: &[u8], findings: &[Finding], out: &mut dyn FnMut(&[u8])) {
        self.write_noting(block, findings, out, &mut |_, _| {});
    }

    /// The same; `named` learns of the pseudonyms that were written.
    pub(crate) fn write_noting(
        &self,
        block: &[u8],
        findings: &[Finding],
        out: &mut dyn FnMut(&[u8]),
        named: &mut dyn FnMut(RuleIndex, Pseudonym),
    ) {
        let mut done = 0;
        let mut pen = Pen::default();
        for finding in findings {
            if finding.start > done {
                out(&block[done..finding.start]);
            }
            let marker = self.replacement(block, finding, &mut pen);
            out(marker);
            if let Some(pseudonym) = self.pseudonym(finding.rule, marker) {
                named(finding.rule, pseudonym);
            }
            done = finding.end;
        }
        if done < block.len() {
            out(&block[done..]);
        }
    }

    /// What stands in place of `finding` in `block`. The pen must be new to the block.
    pub(crate) fn replacement<'p>(&self, block: &[u8], finding: &Finding, pen: &'p mut Pen) -> &'p [u8] {
        let (line, range) = redact::line_of(block, finding, &mut pen.line);
        let rule = &self.rules()[finding.rule];
        let action = self.actions[finding.rule.0 as usize];
        let key = self.key.as_ref();
        let learned = match finding.via {
            Via::Learned(value) => self.scanner.learned().map(|learned| learned.value(value)),
            _ => None,
        };
        let what = redact::Replacement { rule, action, key, format: self.scanner.format(), learned };
        pen.marker.clear();
        redact::write(line, range, finding.place, &what, &mut pen.view, &mut pen.marker);
        &pen.marker
    }
}

/// What replacements are written with.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    /// The line of the last finding.
    line: Range<usize>,
    marker: Vec<u8>,
    view: View,
}

impl Pen {
    /// Forgets the block, keeps the buffers.
    pub(crate) fn turn(&mut self) {
        self.line = 0..0;
    }
}
