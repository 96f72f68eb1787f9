//! The scanner: where secrets are in a block of lines.
//!
//! prefilter (where to look) → confirm (rule by rule, in one line) → resolve overlaps. A finding lies within one line
//! and depends on that line alone, except for what a line before it has left open: the body of a private key, and the
//! value of a name.
//!
//! Scanning cannot fail, and on text without candidates it neither allocates nor looks at a line twice.

mod again;
mod body;
mod confirm;
mod cost;
mod keyed;
mod learned;
mod open;
mod pem;
mod prefilter;
mod resolve;
mod stop;
mod structure;
mod wanted;

use std::ops::Range;
use std::time::Duration;

use crate::carrier::escape::View;
use crate::carrier::key;
use crate::carrier::names::{KeyIndex, argument_anchors};
use crate::finding::{Finding, Left, RuleIndex};
use crate::learned::{self as values, Learned, Match};
use crate::rules::allow::Allowlist;
use crate::rules::anchor::Anchor;
use crate::rules::byte_set::ByteSet;
use crate::rules::{Detect, Rule, Ruleset};

pub use cost::{Cost, Costs};
pub use keyed::LineStarts;
pub use prefilter::{Hit, Prefilter};
pub use stop::Ask;
use wanted::{Owners, Wanted};

/// What records are taken to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line that is a JSON document is JSON, any other is text.
    #[default]
    Auto,
    /// Every line is text: a bare number is replaced by a bare marker.
    Text,
    /// Every line is JSON, also where it is cut off.
    Json,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Text, Self::Json];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Who asked for an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A rule; the anchor stands this far behind the start of its match.
    Prefix(RuleIndex, u32),
    /// A rule; the anchor stands somewhere in its match.
    Inside(RuleIndex),
    /// The first line of a private key.
    Lines(RuleIndex),
    /// The end of a sensitive key, with so many bytes behind it.
    Key(u32),
    /// The start of an argument: a flag or a tag that may be a sensitive key.
    Argument,
    /// `%41` and the like.
    Percent,
    /// `\u0041`, `\x41`, `\/`, a terminal colour.
    Line,
}

/// All rules, ready to scan with.
#[derive(Debug)]
pub struct Scanner {
    rules: Ruleset,
    keys: KeyIndex,
    prefilter: Prefilter,
    owners: Owners,
    /// Rules without anchors: they run on every line.
    everywhere: Vec<RuleIndex>,
    /// What the configuration allows, and for which rules (none: for all).
    allow: Vec<(Vec<RuleIndex>, Allowlist)>,
    format: Format,
    /// The values that were learned, and the rule they are found by.
    learned: Option<(RuleIndex, Learned)>,
}

/// The scanner's memory between calls: buffers, and what the last line has left open.
#[derive(Debug, Default)]
pub struct Work {
    hits: Vec<Hit>,
    findings: Vec<Finding>,
    line: LineWork,
    open: open::Open,
    left: Option<Vec<Left>>,
    /// Where learned values are in the last block.
    learned: values::Work,
    /// A value behind its key, and what was found in the value alone.
    joined: Vec<u8>,
    apart: Vec<Finding>,
}

/// What is needed for one line.
#[derive(Debug, Default)]
struct LineWork {
    found: Vec<Finding>,
    /// What the prefilter says of the line once more.
    hits: Vec<Hit>,
    buffers: Buffers,
    pieces: structure::Buffers,
    again: again::Buffers,
}

/// What is needed for one look at a line.
#[derive(Debug, Default)]
struct Buffers {
    candidates: Vec<(RuleIndex, usize, bool)>,
    rules: Vec<RuleIndex>,
    view: View,
    view_hits: Vec<Hit>,
    /// A match was refused because something in it had been cleaned before.
    is_over_marker: bool,
    costs: Option<Costs>,
    stop: stop::Stop,
}

impl Work {
    /// Working memory that also keeps near misses, for explaining.
    pub fn explaining() -> Self {
        Self { left: Some(Vec::new()), ..Self::default() }
    }

    /// Working memory that also counts what each of so many rules costs, by a clock that tells the time since some start.
    pub fn counting(rules: usize, clock: fn() -> Duration) -> Self {
        let mut work = Self::default();
        work.line.buffers.costs = Some(Costs::new(rules, clock));
        work
    }

    /// What rules have cost; nothing unless made to count.
    pub fn costs(&self) -> Option<&Costs> {
        self.line.buffers.costs.as_ref()
    }

    /// The findings of the last block.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The near misses of the last block; empty unless made to explain.
    pub fn left(&self) -> &[Left] {
        self.left.as_deref().unwrap_or_default()
    }

    /// Forgets what is open: the next block has nothing to do with the last.
    pub fn forget(&mut self) {
        self.open = open::Open::default();
    }

    /// New working memory that has the same open.
    #[cfg(feature = "pod")]
    pub(crate) fn beside(&self) -> Self {
        Self { open: self.open.clone(), ..Self::default() }
    }

    /// Whether nothing is open: the next block gives the same whatever came before it.
    pub fn is_settled(&self) -> bool {
        self.open.is_nothing()
    }

    /// Gives back memory that only unusual text has needed. `most`: entries of a list, and bytes of a text, that room is
    /// kept for.
    pub fn shrink(&mut self, most: usize) {
        let Self { hits, findings, line, open: _, left: _, learned, joined, apart } = self;
        let LineWork { found, hits: line_hits, buffers, pieces, again } = line;
        let Buffers { candidates, rules, view, view_hits, is_over_marker: _, costs: _, stop: _ } = buffers;
        for hits in [hits, line_hits, view_hits] {
            hits.clear();
            hits.shrink_to(most);
        }
        for findings in [findings, found, apart] {
            findings.clear();
            findings.shrink_to(most);
        }
        candidates.clear();
        candidates.shrink_to(most);
        rules.clear();
        rules.shrink_to(most);
        joined.shrink_to(most);
        learned.shrink(most);
        // Where they are needed, there is more to do than to make them.
        *view = View::default();
        *pieces = structure::Buffers::default();
        *again = again::Buffers::default();
    }

    /// Takes what `other` has left open, in place of what was open here: the next block is scanned as if `other` had
    /// scanned it.
    pub fn go_on_from(&mut self, other: &mut Self) {
        self.open = std::mem::take(&mut other.open);
    }
}

impl Scanner {
    /// A scanner for `rules`. `allow`: what else is to be left, and by which rules (none: by all).
    pub fn new(rules: Ruleset, allow: Vec<(Vec<RuleIndex>, Allowlist)>, format: Format) -> Self {
        let keys = KeyIndex::new(&rules);
        let about = |rule: &Rule| match &rule.detect {
            Detect::Regex { anchors, .. } => anchors.len(),
            Detect::Keys(keyed) => 2 * keyed.names.len(),
            Detect::Lines { .. } => 1,
            Detect::Learned => 0,
        };
        let mut wanted = Wanted::with_room(rules.rules().iter().map(about).sum());
        let mut everywhere = Vec::new();
        for (i, rule) in rules.rules().iter().enumerate() {
            let index = RuleIndex(i as u32);
            match &rule.detect {
                Detect::Regex { anchors, .. } => {
                    if anchors.is_empty() {
                        everywhere.push(index);
                    }
                    // Starts are known only if every anchor knows its own.
                    let all_known = anchors.iter().all(|a| a.offset.is_some());
                    for anchor in anchors {
                        let owner = match anchor.offset {
                            Some(offset) if all_known => Owner::Prefix(index, offset as u32),
                            _ => Owner::Inside(index),
                        };
                        wanted.add(anchor.as_ref(), owner);
                    }
                }
                Detect::Lines { block, .. } => {
                    wanted.add(Anchor::caseless(block.start()).as_ref(), Owner::Lines(index));
                }
                Detect::Keys(_) | Detect::Learned => {}
            }
        }
        let mut has_names = false;
        KeyIndex::anchors(&rules, |anchor, behind| {
            has_names = true;
            wanted.add(anchor, Owner::Key(behind as u32));
        });
        if has_names {
            argument_anchors().iter().for_each(|anchor| wanted.add(anchor.as_ref(), Owner::Argument));
        }
        escape_anchors().into_iter().for_each(|(anchor, owner)| wanted.add(anchor.as_ref(), owner));
        let (anchors, owners) = wanted.finish();
        let prefilter = Prefilter::new(anchors);
        Self { rules, keys, prefilter, owners, everywhere, allow, format, learned: None }
    }

    /// The rules scanned with.
    pub fn rules(&self) -> &Ruleset {
        &self.rules
    }

    /// What records are taken to be.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Finds all secrets in a block of whole lines (the last may lack its newline), in order.
    pub fn scan_block<'w>(&self, block: &[u8], work: &'w mut Work) -> &'w [Finding] {
        let Work { hits, line, .. } = &mut *work;
        hits.clear();
        Costs::first_pass(&mut line.buffers.costs, || self.prefilter.scan(block, hits));
        self.scan_hits(block, work)
    }

    /// As [`scan_block`](Self::scan_block), without the prefilter: every anchor is compared at every byte. For tests.
    pub fn scan_block_unfiltered<'w>(&self, block: &[u8], work: &'w mut Work) -> &'w [Finding] {
        work.hits.clear();
        for at in 0..block.len() {
            for anchor in 0..self.prefilter.anchors().count() as u32 {
                if self.prefilter.stands_at(anchor, block, at) {
                    work.hits.push(Hit { at, anchor });
                }
            }
        }
        self.scan_hits(block, work)
    }

    fn scan_hits<'w>(&self, block: &[u8], work: &'w mut Work) -> &'w [Finding] {
        work.findings.clear();
        if let Some(left) = &mut work.left {
            left.clear();
        }
        let hits = std::mem::take(&mut work.hits);
        let known = self.find_learned(block, &mut work.learned);
        let (mut next_hit, mut next_known) = (0, 0);
        let mut at = 0;
        while at < block.len() && !work.line.buffers.stop.is_told() {
            // What is open or a rule without anchors must see every line; else the next line with a hit is next.
            if work.open.is_nothing() && self.everywhere.is_empty() {
                let hit = hits.get(next_hit);
                if hit.is_some_and(|hit| !self.counts(block, hit)) {
                    next_hit += 1;
                    continue;
                }
                let learned = known.get(next_known).map(|learned| learned.start);
                let Some(next) = hit.map(|hit| hit.at).into_iter().chain(learned).min() else { break };
                at = at.max(next);
                at = memchr::memrchr(b'\n', &block[..at]).map_or(0, |i| i + 1);
            }
            let end = memchr::memchr(b'\n', &block[at..]).map_or(block.len(), |i| at + i);
            let first_hit = next_hit;
            // Hits are in the order of their windows: a line's hits come before the next line's, but for anchors
            // that reach over the end of a line, which cannot be part of a match.
            while hits.get(next_hit).is_some_and(|hit| hit.at < end) {
                next_hit += 1;
            }
            let first_known = next_known;
            next_known += known[next_known..].partition_point(|learned| learned.start < end);
            let known = &known[first_known..next_known];
            self.scan_line(block, at..end, &hits[first_hit..next_hit], known, work);
            while hits.get(next_hit).is_some_and(|hit| hit.at <= end) {
                next_hit += 1;
            }
            at = end + 1;
        }
        work.hits = hits;
        work.learned.put_back(known);
        &work.findings
    }

    /// Whether a hit is a reason to look at its line. No match is where the anchor goes on behind the end of the line. One
    /// that only says that an argument begins is none unless the argument has a name that a rule knows: most are of no
    /// interest.
    fn counts(&self, text: &[u8], hit: &Hit) -> bool {
        let inner = self.prefilter.anchors().numbers(hit.anchor).len() - 1;
        !text[hit.at..hit.at + inner.max(1)].contains(&b'\n')
            && (self.owners.of(hit.anchor).iter().any(|&owner| owner != Owner::Argument)
                || self.is_named(text, hit.at))
    }

    /// Whether a rule knows the name of the argument that begins at `at`.
    fn is_named(&self, text: &[u8], at: usize) -> bool {
        key::argument(text, at).any(|word| {
            let len = word.len();
            let mut is_known = false;
            if let Some(key) = key::around(text, word) {
                self.keys.rules_for(text, &key, len, |_| is_known = true);
            }
            is_known
        })
    }

    fn scan_line(&self, block: &[u8], place: Range<usize>, hits: &[Hit], known: &[Match], work: &mut Work) {
        let line = &block[place.clone()];
        work.line.found.clear();
        let Work { line: LineWork { found, buffers, .. }, left, open, .. } = work;
        open.next(self, line, found);
        let mut left = |entry: Left| {
            if let Some(left) = left.as_mut() {
                left.push(Left { start: entry.start + place.start, end: entry.end + place.start, ..entry });
            }
        };
        Costs::line(&mut buffers.costs);
        let looker = confirm::Looker { scanner: self, buffers, left: &mut left };
        open.add(looker.look(line, place.start, hits, found));
        resolve::end_at_users(line, &mut work.line.found);
        self.add_learned(line, place.start, known, &mut work.line.found);
        if work.line.found.is_empty() {
            return;
        }
        let LineWork { found, pieces, .. } = &mut work.line;
        let is_json = match self.format {
            Format::Text => Some(false),
            Format::Auto => structure::keep_if_record(line, found, pieces),
            Format::Json => {
                structure::keep(line, found, pieces);
                Some(true)
            }
        };
        resolve::resolve(&self.rules, found);
        again::look_again(self, line, is_json, &mut work.line);
        let moved = work.line.found.iter().map(|f| Finding {
            start: f.start + place.start,
            end: f.end + place.start,
            ..*f
        });
        work.findings.extend(moved);
    }

    /// Sorts findings of one value and unites those that overlap.
    pub fn resolve(&self, findings: &mut Vec<Finding>) {
        resolve::resolve(&self.rules, findings);
    }
}

/// What says that escapes may hide something.
fn escape_anchors() -> Vec<(Anchor, Owner)> {
    let hex = ByteSet::NONE.with_range(b'0', b'9').with_range(b'a', b'f').with_range(b'A', b'F');
    let anchor = Anchor::of;
    let slash = ByteSet::of(b'\\');
    vec![
        (anchor(&[ByteSet::of(b'%'), hex, hex]), Owner::Percent),
        (anchor(&[slash, ByteSet::of(b'u'), ByteSet::of(b'0'), ByteSet::of(b'0'), hex, hex]), Owner::Line),
        (anchor(&[slash, ByteSet::of(b'x'), hex, hex]), Owner::Line),
        (anchor(&[slash, ByteSet::of(b'/')]), Owner::Line),
        (anchor(&[ByteSet::of(0x1B), ByteSet::of(b'[')]), Owner::Line),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::carrier::line::Line;
    use crate::rules::Profile;

    /// What stood behind every key before anchors said which of it the rules of a name can use.
    const AFTER_KEY: ByteSet = ByteSet::of_each(b"\r\n\x1B=:>]\"'`\\\xEF").with_range(b'0', b'9');
    const BLANK: ByteSet = ByteSet::of_each(b" \t-");
    const AFTER_BLANK: ByteSet = ByteSet::of_each(b" \t\r\n\x1B=:->\xEF");

    /// What `rules_for` every key of `line` find in its value.
    fn of_all_keys(scanner: &Scanner, text: &[u8]) -> Vec<Finding> {
        let line = Line::new(text);
        let mut found = Vec::new();
        for end in 1..text.len() {
            let next = text.get(end + 1).is_some_and(|&byte| AFTER_BLANK.has(byte));
            let letters = text[..end].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if letters == 0 || !(AFTER_KEY.has(text[end]) || (BLANK.has(text[end]) && next)) {
                continue;
            }
            let Some(key) = key::around(text, end - letters..end) else { continue };
            let Some(tie) = crate::carrier::tie::value_of(&line, &key) else { continue };
            if line.touches_marker(key.start..key.end) {
                continue;
            }
            scanner.keys.rules_for(text, &key, usize::MAX, |rule| {
                confirm::keyed(scanner, &line, &key, tie, rule, &mut |f| found.push(f), &mut |_| {});
            });
        }
        found
    }

    fn piece() -> impl Strategy<Value = String> {
        let names = vec![
            "state",
            "code",
            "sid",
            "session",
            "sessionid",
            "auth",
            "token",
            "policy",
            "session_state",
            "nonce",
            "sig",
            "otp",
            "pin",
            "jwt",
            "password",
            "a",
            "Session",
            "AUTH",
            "pwd",
            "cvv",
            "code2",
        ];
        let ties = vec![
            "=",
            ":",
            ": ",
            "= ",
            " = ",
            "\"",
            "\":",
            "\":\"",
            "\" : ",
            "\\\"",
            "\\\":\\\"",
            "'",
            "`",
            "]",
            "[",
            "(",
            "{",
            "<",
            ">",
            "</",
            "&",
            "?",
            "#",
            "&amp;",
            ";",
            ",",
            ", ",
            " ",
            "\t",
            "->",
            "=>",
            ":=",
            "==",
            "--",
            "-",
            "_",
            ".",
            "\x1B[0m",
            "\\x1b[0m",
            "\\n",
            "\\",
            "\r",
            "!",
            "+",
            "b'",
            "f('",
            "：",
            "\0",
        ];
        let values =
            vec!["0", "12", "404", "running", "key ", "token ", "null", "abcdef0123456789ABCDEF", "x"];
        let body = "[A-Za-z0-9]{1,40}".prop_map(|text| text);
        prop_oneof![
            4 => prop::sample::select(names).prop_map(str::to_owned),
            6 => prop::sample::select(ties).prop_map(str::to_owned),
            2 => prop::sample::select(values).prop_map(str::to_owned),
            2 => body,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Anchors of keys leave out places where no rule of the name can find anything, and no others.
        #[test]
        fn a_key_that_has_a_value_has_an_anchor(pieces in prop::collection::vec(piece(), 1..12)) {
            let scanner = &*SCANNER;
            let text = pieces.concat();
            let want = of_all_keys(scanner, text.as_bytes());
            let mut work = Work::default();
            let got = scanner.scan_block(text.as_bytes(), &mut work);
            for finding in want {
                let is_covered = |byte: usize| got.iter().any(|f| f.range().contains(&byte));
                // Structure and what ends around a finding may take a byte off its edges.
                prop_assert!(
                    finding.range().any(is_covered),
                    "{:?} of {} is not found: {got:?}", text, scanner.rules[finding.rule].id
                );
            }
        }
    }

    static SCANNER: std::sync::LazyLock<Scanner> = std::sync::LazyLock::new(|| {
        Scanner::new(Ruleset::builtin().into_profile(Profile::Strict, |_| true), Vec::new(), Format::Text)
    });

    #[test]
    fn arguments_count_by_their_names() {
        // In the strict profile there are rules that look at every line.
        let rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
        let scanner = Scanner::new(rules, Vec::new(), Format::Auto);
        let looked_at = |text: &str| {
            let mut work = Work::counting(scanner.rules().rules().len(), || Duration::ZERO);
            scanner.scan_block(text.as_bytes(), &mut work);
            work.costs().map_or(0, Costs::lines)
        };
        for text in [
            "run-parts --report /etc",
            "ls -l x",
            "<user clicked> the <close button>",
            "took <10 ms",
            "a -- b",
        ] {
            assert_eq!(looked_at(text), 0, "{text}");
        }
        for text in
            ["run --db-password x", "-pwd x", "<password a=\"b\">x", "<ns:password a=\"b\">x", "<2fa a>x"]
        {
            assert_eq!(looked_at(text), 1, "{text}");
        }
    }
}
