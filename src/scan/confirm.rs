//! From candidates to findings, in one line.

use std::ops::Range;

use super::open::{Name, Open};
use super::stop::Stop;
use super::{Buffers, Costs, Hit, Owner, Scanner, pem};
use crate::carrier::escape::{self, Percent, ends_before, sequence_end};
use crate::carrier::key::{self, Key};
use crate::carrier::line::{Line, whole_characters};
use crate::carrier::placeholder::{holds_marker, touches_marker};
use crate::carrier::tie::{self, Tie};
use crate::carrier::{grammar, identifier, json};
use crate::finding::{Finding, Left, Place, Reason, RuleIndex, Via};
use crate::rules::allow::{Allowlist, contains_caseless};
use crate::rules::entropy::shannon;
use crate::rules::pattern::{Match, Pattern};
use crate::rules::{Detect, Rule};

/// A regex whose matches are longer than this is run on the whole line rather than around its anchors.
const MAX_WINDOW: usize = 8192;

/// How often a regex of unbounded length may be tried in vain at places of one line.
const MAX_FAILED: usize = 32;

/// Matches of at most this length are searched for inside a refused match, too.
const SHORT: usize = 64;

pub(super) fn pem_finding(rule: RuleIndex, body: Range<usize>) -> Finding {
    Finding { rule, start: body.start, end: body.end, via: Via::Pem, place: Place::Line }
}

/// What a look at a line needs beside the line.
pub(super) struct Looker<'w> {
    pub(super) scanner: &'w Scanner,
    pub(super) buffers: &'w mut Buffers,
    /// Takes what was left.
    pub(super) left: &'w mut dyn FnMut(Left),
}

impl Looker<'_> {
    /// Adds what is found in `line` to `found`; `hits` are places in a text where the line starts at `base`. Gives
    /// what the line leaves open.
    pub(super) fn look(self, line: &[u8], base: usize, hits: &[Hit], found: &mut Vec<Finding>) -> Open {
        let Self { scanner, buffers, left } = self;
        let Buffers { candidates, rules, view, view_hits, is_over_marker, costs, stop } = buffers;
        *is_over_marker = false;
        let mut lane =
            Lane { scanner, candidates, rules, opened: Open::default(), is_over_marker, costs, stop };
        let before = found.len();
        let escapes = lane.look(line, base, hits, found, left);
        if escapes.line && memchr::memchr(0x1B, line).is_some() {
            // A colour's last letter reads as part of the word behind it.
            for finding in &mut found[before..] {
                finding.start = sequence_end(line, finding.start).min(finding.end);
            }
            found.retain(|finding| finding.start < finding.end);
        }
        let opened = std::mem::take(&mut lane.opened);
        let raw = before..found.len();
        // The same once more for what escapes may hide, level by level: what ends a value on one level is a part of it
        // on the one above.
        let mut view_region = |region: Range<usize>, percent: Percent| {
            let mut is_new = view.decode_once(&line[region.clone()], percent);
            for _ in 0..escape::PASSES {
                if !is_new {
                    break;
                }
                view_hits.clear();
                scanner.prefilter.scan(view.text(), view_hits);
                let from = found.len();
                lane.look(view.text(), 0, view_hits, found, &mut |_| {});
                for finding in &mut found[from..] {
                    let source = view.source_range(finding.range());
                    finding.start = region.start + source.start;
                    finding.end = region.start + source.end;
                }
                is_new = view.decode_again(percent);
            }
        };
        if escapes.line {
            view_region(0..line.len(), Percent::No);
        }
        if escapes.percent {
            let mut done = 0;
            for hit in hits {
                let Some(at) = hit.at.checked_sub(base) else { continue };
                if at >= done
                    && scanner.owners.of(hit.anchor).contains(&Owner::Percent)
                    && !is_of_marker(line, at)
                {
                    let region = url_around(line, at, done);
                    done = region.end;
                    view_region(region.clone(), Percent::Unreserved);
                    view_region(region, Percent::All);
                }
            }
        }
        if escapes.line && json::is_record(line) {
            drop_misread(line, found, raw);
        }
        for finding in &mut found[before..] {
            let whole = whole_characters(line, finding.range());
            (finding.start, finding.end) = (whole.start, whole.end);
        }
        opened
    }
}

/// In a JSON line `\u0041` is an escape, whatever else it could be in text. Where a value holds one, and the same rule
/// has found less in it once it was decoded, that is how the value reads.
fn drop_misread(line: &[u8], found: &mut Vec<Finding>, raw: Range<usize>) {
    let is_read_raw = |f: &Finding| {
        matches!(f.via, Via::Key(_)) && memchr::memmem::find(&line[f.range()], b"\\u00").is_some()
    };
    if !found[raw.clone()].iter().any(is_read_raw) {
        return;
    }
    let mut decoded: Vec<Finding> = found[raw.end..].to_vec();
    decoded.sort_unstable_by_key(|f| f.start);
    let reads_otherwise = |f: &Finding| {
        let inside = decoded[decoded.partition_point(|d| d.start < f.start)..].iter();
        let mut inside = inside.take_while(|d| d.start < f.end);
        inside.any(|d| d.rule == f.rule && d.end <= f.end && d.range() != f.range())
    };
    let mut index = 0;
    found.retain(|f| {
        index += 1;
        !(raw.contains(&(index - 1)) && is_read_raw(f) && reads_otherwise(f))
    });
}

/// Whether the percent-encoded byte at `at` is one of a marker of ours, which hides nothing.
fn is_of_marker(line: &[u8], at: usize) -> bool {
    let is_bracket_or_colon = matches!(line[at..], [b'%', b'5', b'B' | b'D', ..] | [b'%', b'3', b'A', ..]);
    is_bracket_or_colon && touches_marker(line, at..at + 1)
}

/// The run of bytes around `at` that a percent-encoded text can be made of.
fn url_around(line: &[u8], at: usize, floor: usize) -> Range<usize> {
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`' | 0x1B);
    let start = line[floor..at].iter().rposition(ends).map_or(floor, |i| floor + i + 1);
    let end = line[at..].iter().position(ends).map_or(line.len(), |i| at + i);
    start..end
}

#[derive(Default)]
struct Escapes {
    /// `%41` and the like: they matter in the URL they are in.
    percent: bool,
    /// Others: they matter in the whole line.
    line: bool,
}

struct Lane<'s> {
    scanner: &'s Scanner,
    candidates: &'s mut Vec<(RuleIndex, usize, bool)>,
    rules: &'s mut Vec<RuleIndex>,
    opened: Open,
    is_over_marker: &'s mut bool,
    costs: &'s mut Option<Costs>,
    stop: &'s mut Stop,
}

impl Lane<'_> {
    fn look(
        &mut self,
        line: &[u8],
        base: usize,
        hits: &[Hit],
        found: &mut Vec<Finding>,
        left: &mut dyn FnMut(Left),
    ) -> Escapes {
        let scanner = self.scanner;
        let mut escapes = Escapes::default();
        let from = found.len();
        let text = Line::new(line);
        self.candidates.clear();
        for hit in hits {
            // An anchor that began in the line before reaches over its end: no match does.
            let Some(at) = hit.at.checked_sub(base) else { continue };
            if self.stop.is_told() {
                break;
            }
            for &owner in scanner.owners.of(hit.anchor) {
                match owner {
                    Owner::Prefix(rule, offset) => {
                        self.candidates
                            .extend(at.checked_sub(offset as usize).map(|start| (rule, start, true)));
                    }
                    Owner::Inside(rule) => self.candidates.push((rule, at, false)),
                    Owner::Lines(rule) => {
                        Costs::hit(self.costs, rule);
                        self.lines(line, rule, at, found);
                    }
                    Owner::Key(behind) => {
                        let len = scanner.prefilter.anchors().numbers(hit.anchor).len() - behind as usize;
                        escapes.line |= escape::stands_beside(line, at, at + len);
                        self.key(&text, at..at + len, from, found, left);
                    }
                    Owner::Argument if !scanner.is_named(line, at) => {}
                    Owner::Argument => {
                        escapes.line |= escape::stands_beside(line, at, key::argument_end(line, at));
                        for word in key::argument(line, at) {
                            self.key(&text, word, from, found, left);
                        }
                    }
                    Owner::Percent => escapes.percent = true,
                    Owner::Line => escapes.line = true,
                }
            }
        }
        // Where a match starts whose anchor is inside it is not known, so neither is whether a `\n` hides it.
        let is_hidden = |&(_, at, is_prefix): &(RuleIndex, usize, bool)| {
            !is_prefix && at < line.len() && !text.touches_marker(at..at + 1)
        };
        escapes.line = escapes.line
            || (self.candidates.iter().any(|candidate| !candidate.2)
                && memchr::memchr(b'\\', line).is_some()
                && self.candidates.iter().any(is_hidden));
        self.candidates.extend(scanner.everywhere.iter().map(|&rule| (rule, 0, false)));
        self.candidates.sort_unstable();
        let mut rest = &self.candidates[..];
        while let Some(&(rule, _, is_prefix)) = rest.first() {
            let (own, others) = rest.split_at(rest.partition_point(|c| c.0 == rule));
            rest = others;
            own.iter().for_each(|_| Costs::hit(self.costs, rule));
            if let Detect::Regex { pattern, anchors, by_keyword } = &scanner.rules[rule].detect {
                let (is_over_marker, stop) = (&mut *self.is_over_marker, &mut *self.stop);
                let mut confirm =
                    Confirm { scanner, line: &text, rule, pattern, found, left, is_over_marker, stop };
                Costs::confirm(self.costs, rule, || {
                    if !confirm.has_keyword() {
                        return;
                    }
                    if is_prefix {
                        confirm.at_each(own);
                    } else if anchors.is_empty() || *by_keyword {
                        confirm.within(0..line.len());
                    } else {
                        confirm.around_each(own);
                    }
                });
            }
        }
        escapes
    }

    fn lines(&mut self, line: &[u8], rule: RuleIndex, at: usize, found: &mut Vec<Finding>) {
        let Detect::Lines { pattern, block } = &self.scanner.rules[rule].detect else { return };
        let Some(label) = pattern.find_at(line, at, line.len()) else { return };
        match pem::begin(*block, line, label) {
            pem::Begin::Body(body) => {
                if !holds_marker(&line[body.clone()]) {
                    found.push(pem_finding(rule, body));
                }
            }
            pem::Begin::Open(open) => self.opened.key = Some((rule, open)),
            pem::Begin::Nothing => {}
        }
    }

    /// Looks at the key that ends with `word`. `from`: what was found before that is not of this look, nor in terms of
    /// this line.
    fn key(
        &mut self,
        line: &Line<'_>,
        word: Range<usize>,
        from: usize,
        found: &mut Vec<Finding>,
        left: &mut dyn FnMut(Left),
    ) {
        if word.end > line.len() {
            return;
        }
        let anchor_len = word.len();
        let Some(key) = key::around(line, word) else { return };
        // Where all that follows is taken, nothing needs a look of its own. Inside any other value it does: in a
        // document the value may yet be cut.
        if found[from..]
            .last()
            .is_some_and(|f| f.via == Via::Rest && f.start <= key.start && key.end <= f.end)
        {
            return;
        }
        let Some(tie) = tie::value_of(line, &key) else {
            if let Some(name) = Name::at_end(line, key) {
                self.opened.name = Some(name);
            }
            return;
        };
        // A rule's id in a marker of ours is no key.
        if line.touches_marker(key.start..key.end) {
            return;
        }
        self.rules.clear();
        let rules = &mut *self.rules;
        self.scanner.keys.rules_for(line, &key, anchor_len, |rule| {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        });
        for &rule in self.rules.iter() {
            Costs::hit(self.costs, rule);
            Costs::confirm(self.costs, rule, || {
                keyed(self.scanner, line, &key, tie, rule, &mut |finding| found.push(finding), left);
            });
        }
    }
}

/// What `rule` finds in the value that `tie` ties to `key`.
pub(super) fn keyed(
    scanner: &Scanner,
    line: &Line<'_>,
    key: &Key,
    tie: Tie,
    rule: RuleIndex,
    found: &mut dyn FnMut(Finding),
    left: &mut dyn FnMut(Left),
) {
    let known = &scanner.rules[rule];
    let Detect::Keys(keyed) = &known.detect else { return };
    let (start, end) = (tie.start, tie.end);
    if line.is_spent() {
        // Too much has been read to read on: all that follows goes.
        let end = line.rest(start).max(start);
        if start < end {
            found(Finding { rule, start, end, via: Via::Rest, place: Place::Line });
        }
        return;
    }
    if !keyed.carriers.has(tie.link) {
        return left(Left { rule, start, end, reason: Reason::Carrier });
    }
    let mut nothing = None;
    let mut value = |range: Range<usize>| {
        let (secret, whole) = match &keyed.pattern {
            None => (range.clone(), range),
            Some(pattern) => match pattern.find(line, range.start, range.end) {
                Some(m) => (m.secret_start..m.secret_end, m.start..m.end),
                None => {
                    nothing = Some(Left { rule, start: range.start, end: range.end, reason: Reason::Shape });
                    return;
                }
            },
        };
        match accepts(scanner, rule, known, line, whole, secret.clone()) {
            Ok(()) => {
                let via = Via::Key(tie.link);
                found(Finding { rule, start: secret.start, end: secret.end, via, place: Place::Line });
            }
            Err(reason) => nothing = Some(Left { rule, start: secret.start, end: secret.end, reason }),
        }
    };
    if let Err(reason) = grammar::secrets(line, key, tie, keyed.values, &mut value) {
        nothing = Some(Left { rule, start, end, reason });
    }
    if let Some(entry) = nothing {
        left(entry);
    }
}

/// Whether a match is a finding: what the rule asks of its secret, and what is allowed.
fn accepts(
    scanner: &Scanner,
    index: RuleIndex,
    rule: &Rule,
    line: &Line<'_>,
    whole: Range<usize>,
    secret: Range<usize>,
) -> Result<(), Reason> {
    let is_cleaned = line.touches_marker(secret.clone());
    let (whole, secret) = (&line[whole], &line[secret]);
    if secret.is_empty() || is_cleaned {
        return Err(Reason::Placeholder);
    }
    if rule.entropy.is_some_and(|least| shannon(secret) < least) {
        return Err(Reason::LowEntropy);
    }
    if let Some(failed) = rule.validate.iter().find(|validator| !(validator.check)(secret)) {
        return Err(Reason::Failed(failed.name));
    }
    let covers = |list: &Allowlist| list.covers(line, whole, secret);
    let is_configured = |(rules, list): &(Vec<RuleIndex>, Allowlist)| {
        (rules.is_empty() || rules.contains(&index)) && covers(list)
    };
    if rule.allow.iter().any(covers)
        || rule.file_allow.iter().any(covers)
        || scanner.allow.iter().any(is_configured)
    {
        return Err(Reason::Allowed);
    }
    Ok(())
}

/// One regex rule on one line.
struct Confirm<'a> {
    scanner: &'a Scanner,
    line: &'a Line<'a>,
    rule: RuleIndex,
    pattern: &'a Pattern,
    found: &'a mut Vec<Finding>,
    left: &'a mut dyn FnMut(Left),
    is_over_marker: &'a mut bool,
    stop: &'a mut Stop,
}

impl Confirm<'_> {
    fn has_keyword(&mut self) -> bool {
        let keywords = &self.scanner.rules[self.rule].keywords;
        keywords.is_empty() || keywords.iter().any(|word| contains_caseless(self.line, word))
    }

    /// Matches start at the candidates.
    fn at_each(&mut self, candidates: &[(RuleIndex, usize, bool)]) {
        let mut done = 0;
        let is_bounded = self.pattern.max_len().is_some_and(|len| len <= MAX_WINDOW);
        let mut failed = 0;
        for &(_, start, _) in candidates {
            if start < done {
                continue;
            }
            if self.stop.is_told() {
                return;
            }
            let is_first = ends_before(self.line, start);
            // Each try may read to the end of the line. After some, all that is left is searched at once.
            if failed >= MAX_FAILED && !is_bounded && !is_first {
                if failed == MAX_FAILED {
                    self.within(start..self.line.len());
                    failed += 1;
                }
                continue;
            }
            let found = self.pattern.find_at(self.line, start, self.line.len()).or_else(|| {
                // The letter before it ends an escape: to the rule, that is where the text starts.
                let rest = is_first.then(|| &self.line[start..])?;
                let m = self.pattern.find_at(rest, 0, rest.len())?;
                Some(Match {
                    start: m.start + start,
                    end: m.end + start,
                    secret_start: m.secret_start + start,
                    secret_end: m.secret_end + start,
                })
            });
            match found {
                Some(m) => done = self.after(m),
                None if failed < MAX_FAILED => failed += 1,
                None => {}
            }
        }
    }

    /// Matches hold one of the candidates: they lie within a match's length of it.
    fn around_each(&mut self, candidates: &[(RuleIndex, usize, bool)]) {
        let Some(reach) = self.pattern.max_len().filter(|&len| len <= MAX_WINDOW) else {
            return self.within(0..self.line.len());
        };
        let mut window = 0..0;
        for &(_, at, _) in candidates {
            let next = at.saturating_sub(reach)..self.line.len().min(at + reach + 1);
            if next.start <= window.end && !window.is_empty() {
                window.end = next.end;
            } else {
                self.within(std::mem::replace(&mut window, next));
            }
        }
        self.within(window);
    }

    fn within(&mut self, window: Range<usize>) {
        let mut from = window.start;
        while from < window.end
            && !self.stop.is_told()
            && let Some(m) = self.pattern.find(self.line, from, window.end)
        {
            from = self.after(m).max(from + 1);
        }
    }

    /// Judges a match; tells from where to search on. What was refused may hide a match that starts inside it, which
    /// is looked for where a match's length bounds the work.
    fn after(&mut self, m: Match) -> usize {
        let accepted = self.judge(m);
        if accepted || self.pattern.max_len().is_none_or(|len| len > SHORT) { m.end } else { m.start + 1 }
    }

    fn judge(&mut self, m: Match) -> bool {
        let Match { start, end, secret_start, secret_end } = m;
        let rule = &self.scanner.rules[self.rule];
        let accepted =
            accepts(self.scanner, self.rule, rule, self.line, start..end, secret_start..secret_end).and_then(
                |()| match identifier::is_named(self.line, secret_start..secret_end) {
                    true => Err(Reason::Identifier),
                    false => Ok(()),
                },
            );
        match accepted {
            Ok(()) => {
                self.found.push(Finding {
                    rule: self.rule,
                    start: secret_start,
                    end: secret_end,
                    via: Via::Shape,
                    place: Place::Line,
                });
                true
            }
            Err(reason) => {
                *self.is_over_marker |= reason == Reason::Placeholder && secret_start < secret_end;
                (self.left)(Left { rule: self.rule, start: secret_start, end: secret_end, reason });
                false
            }
        }
    }
}
