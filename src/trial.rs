//! A rule's examples, tried in every way that must not matter: with the rule alone, with all rules of its profile,
//! without the prefilter, and cut into single bytes. Behind `rules test` and the tests of the built-in rules.
//!
//! The texts in a [`Failure`] come from a rule file, not from a log, and may be shown.

use std::sync::Arc;

use crate::HashKey;
use crate::rules::builtin::BUILTIN;
use crate::rules::example::{BadExample, Example};
use crate::rules::{Faults, Profile, Rule, RuleFile, Ruleset};
use crate::sanitize::{NoHashKey, Parts, Sanitizer};
use crate::scan::Work;
use crate::stream::Scrubber;

/// What the trial of some rules gave.
#[derive(Debug, Default)]
pub struct Trial {
    /// How many rules were tried.
    pub rules: usize,
    /// How many examples were tried.
    pub examples: usize,
    /// Rules without an example.
    pub bare: Vec<Place>,
    /// Examples that failed.
    pub failures: Vec<Failure>,
}

/// Where a rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The rule file.
    pub file: Arc<str>,
    /// The line its table starts on, from 1.
    pub line: u32,
    /// The rule's id.
    pub rule: Box<str>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// An example that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its rule.
    pub place: Place,
    /// Which of the rule's examples, from 1.
    pub example: usize,
    /// What was wrong.
    pub wrong: Wrong,
}

/// What was wrong with an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It cannot be read.
    Unreadable(String),
    /// It gave something else.
    Differs {
        /// How it was tried.
        way: Way,
        /// What went in.
        text: String,
        /// What should have come out.
        want: String,
        /// What came out.
        got: String,
    },
}

/// How an example is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With its rule alone.
    Alone,
    /// With all rules of its profile.
    Together,
    /// With all rules, every anchor compared at every byte.
    Unfiltered,
    /// With all rules, one byte at a time.
    Bytewise,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Alone => "with the rule alone",
            Self::Together => "with all rules of its profile",
            Self::Unfiltered => "without the prefilter",
            Self::Bytewise => "one byte at a time",
        })
    }
}

/// Tries the examples of the built-in rules.
/// # Errors
/// Every mistake in the rule files.
pub fn run_builtin() -> Result<Trial, Faults> {
    let files: Vec<RuleFile<'_>> = BUILTIN.iter().map(|&(name, text)| RuleFile { name, text }).collect();
    run(false, &files)
}

/// Tries the examples of the rules of `files`, beside the built-in rules if `builtin`.
/// # Errors
/// Every mistake in the rule files.
pub fn run(builtin: bool, files: &[RuleFile<'_>]) -> Result<Trial, Faults> {
    let rules = Ruleset::load(false, files)?;
    let mut trial = Trial { rules: rules.rules().len(), ..Trial::default() };
    for profile in Profile::ALL {
        if !rules.rules().iter().any(|rule| rule.profile == profile && !rule.examples.is_empty()) {
            continue;
        }
        let together = sanitizer(Ruleset::load(builtin, files)?.into_profile(profile, |_| true));
        for (i, rule) in rules.rules().iter().enumerate().filter(|(_, rule)| rule.profile == profile) {
            let alone = alone(files, rule, rules.rules().get(i + 1))?;
            trial.examples(rule, &alone, &together);
        }
    }
    trial.bare = rules.rules().iter().filter(|rule| rule.examples.is_empty()).map(place).collect();
    Ok(trial)
}

fn place(rule: &Rule) -> Place {
    Place { file: rule.origin.file.clone(), line: rule.origin.line, rule: rule.id.clone() }
}

impl Trial {
    fn examples(&mut self, rule: &Rule, alone: &Sanitizer, together: &Sanitizer) {
        for (i, written) in rule.examples.iter().enumerate() {
            self.examples += 1;
            let failure = |wrong| Failure { place: place(rule), example: i + 1, wrong };
            let Example { text, want } = match Example::parse(written) {
                Ok(example) => example,
                Err(BadExample(why)) => {
                    self.failures.push(failure(Wrong::Unreadable(why)));
                    continue;
                }
            };
            let tried = [
                (Way::Alone, blockwise(alone, &text)),
                (Way::Together, blockwise(together, &text)),
                (Way::Unfiltered, unfiltered(together, &text)),
                (Way::Bytewise, bytewise(together, &text)),
            ];
            let mut told: Vec<String> = Vec::new();
            for (way, got) in tried {
                // The same wrong answer is told once.
                if got != want && !told.contains(&got) {
                    told.push(got.clone());
                    let (text, want) = (text.clone(), want.clone());
                    self.failures.push(failure(Wrong::Differs { way, text, want, got }));
                }
            }
        }
    }
}

/// A sanitizer of one rule. Its table is cut out of its file: reading the whole file for every rule takes too long.
fn alone(files: &[RuleFile<'_>], rule: &Rule, next: Option<&Rule>) -> Result<Sanitizer, Faults> {
    let file = files.iter().find(|file| *file.name == *rule.origin.file);
    let Some(&RuleFile { name, text }) = file else { return Ok(sanitizer(Ruleset::default())) };
    if rule.file_allow.is_empty() {
        let last = next.filter(|next| next.origin.file == rule.origin.file).map(|next| next.origin.line);
        let cut = lines(text, rule.origin.line, last);
        if let Ok(rules) = Ruleset::load(false, &[RuleFile { name, text: cut }])
            && matches!(rules.rules(), [only] if only.id == rule.id)
        {
            return Ok(sanitizer(rules));
        }
    }
    let rules = Ruleset::load(false, &[RuleFile { name, text }])?;
    Ok(sanitizer(rules.into_profile(Profile::Strict, |other| other.id == rule.id)))
}

/// The lines of `text` from `first` up to, but without, `last`; both from 1.
fn lines(text: &str, first: u32, last: Option<u32>) -> &str {
    let start_of = |line: u32| match line.checked_sub(2) {
        Some(newlines) => {
            memchr::memchr_iter(b'\n', text.as_bytes()).nth(newlines as usize).map_or(text.len(), |i| i + 1)
        }
        None => 0,
    };
    let start = start_of(first);
    &text[start..last.map_or(text.len(), start_of).max(start)]
}

fn sanitizer(rules: Ruleset) -> Sanitizer {
    // Examples of rules that hash are written with this key.
    let key = HashKey::new("example", b"the key that examples are hashed with").ok();
    let parts = Parts { rules, key, ..Parts::default() };
    Sanitizer::new(parts).unwrap_or_else(|NoHashKey { .. }| Sanitizer::builtin())
}

fn blockwise(sanitizer: &Sanitizer, text: &str) -> String {
    let mut work = Work::default();
    sanitizer.scan_block(text.as_bytes(), &mut work);
    written(sanitizer, text, &work)
}

fn unfiltered(sanitizer: &Sanitizer, text: &str) -> String {
    let mut work = Work::default();
    sanitizer.scanner().scan_block_unfiltered(text.as_bytes(), &mut work);
    written(sanitizer, text, &work)
}

fn written(sanitizer: &Sanitizer, text: &str, work: &Work) -> String {
    let mut out = Vec::new();
    sanitizer.write(text.as_bytes(), work.findings(), &mut |bytes| out.extend_from_slice(bytes));
    String::from_utf8_lossy(&out).into_owned()
}

fn bytewise(sanitizer: &Sanitizer, text: &str) -> String {
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(sanitizer);
    for byte in text.as_bytes().chunks(1) {
        scrubber.push(byte, &mut out);
    }
    scrubber.finish(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
