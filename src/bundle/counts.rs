//! How many findings there were, by rule, and by pseudonym where they have one.

use std::collections::BTreeMap;

use crate::finding::RuleIndex;
use crate::redact::Pseudonym;

/// The most pseudonyms of one file; findings beyond are counted without.
const MOST_NAMED: usize = 1024;

/// How many findings there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    by_rule: BTreeMap<RuleIndex, u64>,
    /// Of these, those with a pseudonym.
    named: BTreeMap<(RuleIndex, Pseudonym), u64>,
}

impl Counts {
    /// Counts a finding.
    pub(super) fn add(&mut self, rule: RuleIndex) {
        *self.by_rule.entry(rule).or_default() += 1;
    }

    /// Notes that a finding which was counted has this pseudonym.
    pub(super) fn name(&mut self, rule: RuleIndex, pseudonym: Pseudonym) {
        if let Some(count) = self.named.get_mut(&(rule, pseudonym)) {
            *count += 1;
        } else if self.named.len() < MOST_NAMED {
            self.named.insert((rule, pseudonym), 1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_rule.is_empty()
    }

    /// All findings.
    pub(super) fn sum(&self) -> u64 {
        self.by_rule.values().sum()
    }

    /// By rule.
    pub(super) fn by_rule(&self) -> impl Iterator<Item = (RuleIndex, u64)> {
        self.by_rule.iter().map(|(&rule, &count)| (rule, count))
    }

    /// By pseudonym; `None`: those of the rule that have none, or none that was noted.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (RuleIndex, Option<Pseudonym>, u64)> {
        let with = self.named.iter().map(|(&(rule, pseudonym), &count)| (rule, Some(pseudonym), count));
        let without = self.by_rule().map(|(rule, count)| {
            let of_rule = self.named.iter().filter(|((other, _), _)| *other == rule);
            (rule, None, count.saturating_sub(of_rule.map(|(_, count)| count).sum()))
        });
        with.chain(without.filter(|(.., count)| *count > 0))
    }
}
