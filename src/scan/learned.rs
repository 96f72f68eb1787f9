//! Learned values among the findings of a line: where they stand, `learned` says; what is left all the same, is said here.

use super::{Scanner, Work, values};
use crate::carrier::line::whole_characters;
use crate::carrier::placeholder::touches_marker;
use crate::finding::{Finding, Place, RuleIndex, Via};
use crate::learned::{Learned, Match};
use crate::rules::{Detect, Rule};

impl Scanner {
    /// This scanner, which also finds learned values if one of its rules is for those.
    pub fn with_learned(mut self, learned: Learned) -> Self {
        let is_for_them = |(_, rule): &(u32, &Rule)| matches!(rule.detect, Detect::Learned);
        let rule = (0..).zip(self.rules.rules()).find(is_for_them).map(|(i, _)| RuleIndex(i));
        self.learned = rule.map(|rule| (rule, learned));
        self
    }

    /// The values that it looks for.
    pub fn learned(&self) -> Option<&Learned> {
        self.learned.as_ref().map(|(_, learned)| learned)
    }

    /// Calls `found` with where each learned value of a block starts, in order.
    pub fn learned_places(&self, block: &[u8], work: &mut Work, found: impl FnMut(usize)) {
        let known = self.find_learned(block, &mut work.learned);
        known.iter().map(|learned| learned.start).for_each(found);
        work.learned.put_back(known);
    }

    /// Whether a number, as it is written, holds a learned value.
    pub fn is_learned_number(&self, number: &[u8], work: &mut Work) -> bool {
        self.learned().is_some_and(|learned| !learned.scan(number, &mut work.learned).is_empty())
    }

    /// All learned values in a block. The list is to be put back.
    pub(super) fn find_learned(&self, block: &[u8], work: &mut values::Work) -> Vec<Match> {
        let Some(learned) = self.learned() else { return Vec::new() };
        learned.scan(block, work);
        work.take()
    }

    /// Adds the learned values of a line, which starts at `base` of its block. No rule's idea of what only stands for a secret
    /// counts; what is allowed has to name this rule.
    pub(super) fn add_learned(&self, line: &[u8], base: usize, known: &[Match], found: &mut Vec<Finding>) {
        let Some((rule, learned)) = &self.learned else { return };
        for &Match { start, end, value } in known {
            let whole = whole_characters(line, start - base..end - base);
            // A letter at the edge may be the end of a marker, percent-encoded.
            let inner = whole.start + 1..whole.end - 1;
            let Some(range) = [whole.clone(), inner.start..whole.end, whole.start..inner.end, inner]
                .into_iter()
                .find(|range| !range.is_empty() && !touches_marker(line, range.clone()))
            else {
                continue;
            };
            let text = &line[range.clone()];
            let is_allowed = self.allow.iter().any(|(rules, list)| {
                rules.contains(rule)
                    && [text, learned.value(value)]
                        .into_iter()
                        .any(|secret| list.covers(line, secret, secret))
            });
            if !is_allowed {
                let via = Via::Learned(value);
                found.push(Finding {
                    rule: *rule,
                    start: range.start,
                    end: range.end,
                    via,
                    place: Place::Line,
                });
            }
        }
    }
}
