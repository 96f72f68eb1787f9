//! What each rule costs: how often the prefilter leads to it, how often it is tried, and how long that takes. Only working
//! memory that was made to count does so.

use std::time::Duration;

use crate::finding::RuleIndex;

/// What a rule has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How often one of its anchors, or a key with one of its names, stood in the text.
    pub hits: u64,
    /// How often it was tried there: one try takes all hits of a line, or one value of a key.
    pub confirms: u64,
    /// How long that took.
    pub time: Duration,
}

/// What all rules have cost.
#[derive(Debug)]
pub struct Costs {
    rules: Vec<Cost>,
    prefilter: Duration,
    lines: u64,
    /// The time since some start. The scanner has no clock of its own.
    clock: fn() -> Duration,
}

impl Costs {
    pub(super) fn new(rules: usize, clock: fn() -> Duration) -> Self {
        Self { rules: vec![Cost::default(); rules], prefilter: Duration::ZERO, lines: 0, clock }
    }

    /// The costs of each rule, by its index.
    pub fn rules(&self) -> &[Cost] {
        &self.rules
    }

    /// How long the first pass over the text took, for all rules together.
    pub fn prefilter(&self) -> Duration {
        self.prefilter
    }

    /// How many lines did not leave after the prefilter.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Counts the time of the first pass.
    pub(super) fn first_pass(costs: &mut Option<Self>, pass: impl FnOnce()) {
        let Some(costs) = costs else { return pass() };
        let start = (costs.clock)();
        pass();
        costs.prefilter += (costs.clock)().saturating_sub(start);
    }

    /// Counts a line that is looked at.
    pub(super) fn line(costs: &mut Option<Self>) {
        if let Some(costs) = costs {
            costs.lines += 1;
        }
    }

    /// Counts a hit of `rule`.
    pub(super) fn hit(costs: &mut Option<Self>, rule: RuleIndex) {
        if let Some(costs) = costs {
            costs.rules[rule.0 as usize].hits += 1;
        }
    }

    /// Counts what `try_rule` does as a try of `rule`.
    pub(super) fn confirm<T>(costs: &mut Option<Self>, rule: RuleIndex, try_rule: impl FnOnce() -> T) -> T {
        let Some(costs) = costs else { return try_rule() };
        let start = (costs.clock)();
        let result = try_rule();
        let cost = &mut costs.rules[rule.0 as usize];
        cost.confirms += 1;
        cost.time += (costs.clock)().saturating_sub(start);
        result
    }
}
