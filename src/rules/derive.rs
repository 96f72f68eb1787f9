//! Anchors of a regex: what every match of it holds, so that its author need not say.
//!
//! They are sound by construction: from the parts of a regex up, each says with what strings its matches begin and end,
//! and of which anchors every match holds one.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::anchor::{Anchor, MAX_REACH, MAX_SETS, Reach};
use super::byte_set::ByteSet;
use super::first_bytes::{all_bytes, byte_set, first_bytes};
use super::frequency::{shares, word_frequency};
use super::gate::ALPHANUMERIC;
use super::way::{Bytes, Way};

/// How many alternatives one part of a regex may spell out before it is left to its neighbours.
const MAX_ALTERNATIVES: usize = 48;
/// How many different starts or ends of it its neighbours see before they see one that could be any of them.
const MAX_EDGES: usize = 192;
/// How much seldomer an anchor is at most that must reach something: what leads there is not by chance.
const REACHES: f32 = 0.02;
/// How many bytes must be known of what stands in front of bytes that are only known one by one: these are parts of words,
/// and together oftener there than each by itself.
const FEW: usize = 3;
/// How much cheaper than the first stretch of a long run another must be.
const LATER: f32 = 1.1;
/// How many parts of a regex are read for what surely follows.
const AHEAD: usize = 8;
/// How many bytes at the edges of a part that is not spelled out are kept for its neighbours.
const EDGE: usize = 16;

/// Letters, digits and `_`: what `\b` tells from the rest.
const WORD: ByteSet = ALPHANUMERIC.with(b'_');

/// From what cost on an anchor is hard to find: most are found for far less.
const HARD: f32 = 1e-3;
/// How much more it costs to run a rule than to compare an anchor.
const CONFIRM: f32 = 30.0;

/// About how often the anchor turns up at a byte of log text, between 0 and 1, and what looking for it costs: how
/// often it is compared, and how often a rule is run for it.
fn frequency_and_cost(anchor: &Anchor) -> (f32, f32) {
    let shares = shares(&anchor.sets);
    let frequency = shares.iter().product::<f32>() * anchor.before.map_or(1.0, |before| before.frequency());
    let frequency = frequency.max(word_frequency(anchor)) * anchor.reach.as_deref().map_or(1.0, chance);
    (frequency, Way::best(&Bytes::of(anchor.as_ref()), 0, anchor.sets.len()).cost + CONFIRM * frequency)
}

/// About how often what is asked for is reached.
fn chance(reach: &Reach) -> f32 {
    let reaches = reach.to.frequency();
    let stops = reach.over.complement().frequency().max(reaches);
    let most = reach.most.map_or(MAX_REACH, usize::from);
    let goes_on = (1.0 - stops).max(0.0).powi(most as i32 + 1);
    let then: f32 = reach.then.iter().map(ByteSet::frequency).product();
    let too_long = if reach.most.is_none() { goes_on } else { 0.0 };
    ((1.0 - goes_on) * then * reaches / stops + too_long).clamp(REACHES, 1.0)
}

/// Where the rarest stretch that an anchor can keep of bytes with these `shares` starts; of what is in front of it one
/// byte is kept, too.
fn rarest(shares: &[f32]) -> usize {
    let rate = |from: usize| shares[from.saturating_sub(1)..from + MAX_SETS].iter().product::<f32>();
    (0..=shares.len() - MAX_SETS).min_by(|&a, &b| rate(a).total_cmp(&rate(b))).unwrap_or(0)
}

/// Anchors of a regex, or `None` where no part of it is telling enough (`limit` is the highest frequency taken).
pub(super) fn anchors(hir: &Hir, limit: f32) -> Option<Vec<Anchor>> {
    let mut walk = describe(hir, &[], 0);
    walk.offer_exact();
    let best = walk.best.filter(|best| best.frequency <= limit)?;
    let known = first_bytes([hir]);
    Some(best.anchors.into_iter().map(|anchor| longer(anchor, &known)).collect())
}

/// An anchor with what every match may have behind it, if it is easier to find so: `known` is what the first bytes of a
/// match may be.
fn longer(anchor: Anchor, known: &[ByteSet]) -> Anchor {
    let end = anchor.offset.map(|offset| offset + anchor.sets.len());
    let more = end.and_then(|end| known.get(end..)).unwrap_or_default();
    let room = MAX_SETS.saturating_sub(anchor.sets.len());
    let sets = [&anchor.sets[..], &more[..more.len().min(room)]].concat();
    let longer = Anchor { sets: sets.into(), reach: None, ..anchor.clone() };
    if frequency_and_cost(&longer).1 < 0.99 * frequency_and_cost(&anchor).1 { longer } else { anchor }
}

/// Anchors that could be a part's.
struct Offer {
    anchors: Vec<Anchor>,
    frequency: f32,
    cost: f32,
}

impl Offer {
    fn new(anchors: Vec<Anchor>) -> Self {
        let (frequency, cost) = anchors
            .iter()
            .map(frequency_and_cost)
            .fold((0.0, 0.0), |sum, (frequency, cost)| (sum.0 + frequency, sum.1 + cost));
        Self { anchors, frequency, cost }
    }
}

/// One way a part of a regex may read.
#[derive(Clone, Debug, Default)]
struct Run {
    /// What stands in front, as in [`Anchor`].
    before: Option<ByteSet>,
    sets: Vec<ByteSet>,
    /// What follows, where that is known and no more sets are.
    reach: Option<Reach>,
    /// The part goes on behind it: it is the head of something longer.
    goes_on: bool,
}

impl Run {
    fn of(sets: Vec<ByteSet>) -> Self {
        Self { sets, ..Self::default() }
    }

    fn head(&self) -> Self {
        let is_cut = self.sets.len() > EDGE;
        let sets = self.sets[..self.sets.len().min(EDGE)].to_vec();
        let reach = self.reach.filter(|_| !is_cut);
        Self { before: self.before, sets, reach, goes_on: self.goes_on || is_cut }
    }

    fn tail(&self) -> Self {
        let from = self.sets.len().saturating_sub(EDGE);
        Self {
            before: self.before.filter(|_| from == 0),
            sets: self.sets[from..].to_vec(),
            reach: self.reach,
            goes_on: self.goes_on,
        }
    }

    /// This run with `next` behind it.
    fn followed_by(&self, next: &Self) -> Self {
        if self.sets.is_empty() {
            // Two conditions on the same byte: the one that says something, or either.
            return Self { before: self.before.or(next.before), ..next.clone() };
        }
        let sets = [&self.sets[..], &next.sets].concat();
        Self { before: self.before, sets, reach: next.reach, goes_on: next.goes_on }
    }

    /// This run, with a word's start in front of it if it says so by its first byte.
    fn at_boundary(mut self) -> Self {
        if self.before == Some(BOUNDARY) {
            let is_word = self.sets.first().is_some_and(|set| set.iter().all(|byte| WORD.has(byte)));
            self.before = is_word.then(|| WORD.complement());
        }
        self
    }
}

/// Stands for `\b` until it is known what follows: it says what is in front only of a byte of a word.
const BOUNDARY: ByteSet = ByteSet::NONE;

/// What a part of a regex tells: all it can match, if that is little, and the best anchors inside it.
struct Part {
    /// Every string the part matches, as sequences of sets; `None` if there are too many.
    exact: Option<Vec<Run>>,
    /// What a match starts with and ends with, one of each, where not all is known.
    heads: Vec<Run>,
    tails: Vec<Run>,
    /// Anchors one of which stands in every match of the part; offsets are relative to the part's start.
    best: Option<Offer>,
    /// The part's length, if every match has the same.
    len: Option<usize>,
}

impl Part {
    fn exactly(runs: Vec<Run>, len: Option<usize>) -> Self {
        Self { exact: Some(runs), heads: Vec::new(), tails: Vec::new(), best: None, len }
    }

    fn of_sets(sets: Vec<ByteSet>) -> Self {
        let len = sets.len();
        Self::exactly(vec![Run::of(sets)], Some(len))
    }

    fn opaque(len: Option<usize>) -> Self {
        Self {
            exact: None,
            heads: vec![Run { goes_on: true, ..Run::default() }],
            tails: vec![Run::default()],
            best: None,
            len,
        }
    }

    /// What matches start with.
    fn heads(&self) -> Vec<Run> {
        self.exact.as_ref().map_or_else(|| self.heads.clone(), |runs| runs.iter().map(Run::head).collect())
    }

    /// What matches end with.
    fn tails(&self) -> Vec<Run> {
        self.exact.as_ref().map_or_else(|| self.tails.clone(), |runs| runs.iter().map(Run::tail).collect())
    }

    fn offer(&mut self, offer: Offer) {
        let is_better = self.best.as_ref().is_none_or(|best| {
            // Of anchors that cost the same (but for rounding) the rarer.
            offer.cost < 0.99 * best.cost
                || (offer.cost < 1.01 * best.cost && offer.frequency < best.frequency)
        });
        if is_better {
            self.best = Some(offer);
        }
    }

    /// Lets what is known exactly compete as anchors.
    fn offer_exact(&mut self) {
        if let Some(anchors) = self.exact.as_ref().and_then(|runs| as_anchors(runs, Some(0))) {
            self.offer(anchors);
        }
    }
}

/// Heads that are too many to be told apart as one: place by place, what any of them has there.
fn united_head(runs: &[Run]) -> Run {
    let len = runs.iter().map(|run| run.sets.len()).min().unwrap_or(0);
    let any = |i: usize| runs.iter().fold(ByteSet::NONE, |set, run| set.union(run.sets[i]));
    Run { goes_on: true, ..Run::of((0..len).map(any).collect()) }
}

/// The same for tails, counted from their ends.
fn united_tail(runs: &[Run]) -> Run {
    let len = runs.iter().map(|run| run.sets.len()).min().unwrap_or(0);
    let any =
        |back: usize| runs.iter().fold(ByteSet::NONE, |set, run| set.union(run.sets[run.sets.len() - back]));
    Run::of((1..=len).rev().map(any).collect())
}

/// Every run with every head behind it, as long as that is not too many.
fn each_followed_by(runs: &[Run], heads: &[Run]) -> Vec<Run> {
    if runs.len() * heads.len() <= MAX_EDGES {
        runs.iter().flat_map(|run| heads.iter().map(|head| run.followed_by(head))).collect()
    } else {
        let head = united_head(heads);
        runs.iter().map(|run| run.followed_by(&head)).collect()
    }
}

/// The one of two that is reached less often.
fn rarer(one: Option<Reach>, other: Option<Reach>) -> Option<Reach> {
    match (one, other) {
        (Some(a), Some(b)) => Some(if chance(&b) < chance(&a) { b } else { a }),
        _ => one.or(other),
    }
}

/// The rarest thing that surely follows, some bytes behind it, what the match of `parts` begins with.
fn reach(parts: &[&Hir]) -> Option<Reach> {
    let (mut over, mut most) = (ByteSet::NONE, Some(0));
    let mut best: Option<Reach> = None;
    for (i, part) in parts.iter().take(AHEAD).enumerate() {
        let next = first_bytes(parts[i..].iter().copied());
        if i > 0
            && let Some((&to, then)) = next.split_first()
            && !to.is_empty()
        {
            let is_apart = over.intersection(to).is_empty();
            let mut reach = Reach { over: over.intersection(to.complement()), most, ..Reach::new(over, to) };
            if is_apart {
                reach.then.iter_mut().zip(then).for_each(|(known, set)| *known = *set);
            }
            if best.is_none_or(|best| chance(&reach) < chance(&best)) {
                best = Some(reach);
            }
        }
        over = over.union(all_bytes(part, 0));
        let len = part.properties().maximum_len().and_then(|len| u8::try_from(len).ok());
        most = most.zip(len).and_then(|(most, len): (u8, u8)| most.checked_add(len));
    }
    best
}

fn as_anchors(runs: &[Run], offset: Option<usize>) -> Option<Offer> {
    if runs.is_empty() || runs.iter().any(|run| run.sets.is_empty()) {
        return None;
    }
    let cut = |run: &Run| {
        let Run { before, sets, reach, .. } = run.clone().at_boundary();
        let in_front = |from: usize| from.checked_sub(1).map(|i| sets[i].with(b'\n'));
        let stretch = |from: usize| Anchor {
            sets: sets[from..sets.len().min(from + MAX_SETS)].into(),
            before: if from == 0 { before } else { in_front(from) },
            reach: reach.filter(|_| from + MAX_SETS >= sets.len()).map(Box::new),
            offset: offset.map(|o| o + from),
        };
        if sets.len() <= MAX_SETS {
            return stretch(0);
        }
        // Of a long run the first or the rarest stretch is kept, or the one that is found best where both are hard to
        // find.
        let cost = |anchor: &Anchor| frequency_and_cost(anchor).1;
        let cheapest = |stretches: &mut dyn Iterator<Item = usize>| {
            let offers = stretches.map(|from| {
                let anchor = stretch(from);
                (cost(&anchor) * if from > 0 { LATER } else { 1.0 }, anchor)
            });
            offers.min_by(|a, b| a.0.total_cmp(&b.0))
        };
        let short = cheapest(&mut [0, rarest(&shares(&sets))].into_iter());
        let best = if short.as_ref().is_some_and(|(cost, _)| *cost < HARD) {
            short
        } else {
            cheapest(&mut (0..=sets.len() - MAX_SETS))
        };
        best.map_or_else(|| stretch(0), |(_, anchor)| anchor)
    };
    Some(Offer::new(runs.iter().map(cut).collect()))
}

/// What `hir` tells, with `rest` behind it.
fn describe(hir: &Hir, rest: &[&Hir], depth: u32) -> Part {
    if depth > 64 {
        return Part::opaque(None);
    }
    match hir.kind() {
        HirKind::Empty => Part::of_sets(Vec::new()),
        HirKind::Look(look) => {
            let before = match look {
                Look::Start | Look::StartLF => Some(ByteSet::of(b'\n')),
                Look::WordAscii | Look::WordStartAscii | Look::WordStartHalfAscii => Some(BOUNDARY),
                _ => None,
            };
            Part::exactly(vec![Run { before, ..Run::default() }], Some(0))
        }
        HirKind::Literal(literal) => Part::of_sets(literal.0.iter().map(|&b| ByteSet::of(b)).collect()),
        HirKind::Class(class) => match byte_set(class) {
            Some(set) => Part::of_sets(vec![set]),
            None => Part::opaque(None),
        },
        HirKind::Capture(capture) => describe(&capture.sub, rest, depth + 1),
        HirKind::Repetition(repetition) => {
            // What stands behind one of several may be another.
            let rest = if repetition.max == Some(1) { rest } else { &[] };
            let sub = describe(&repetition.sub, rest, depth + 1);
            repeat(sub, repetition.min, repetition.max)
        }
        HirKind::Concat(parts) => {
            let all: Vec<&Hir> = parts.iter().chain(rest.iter().copied()).collect();
            concat(&all, parts.len(), depth)
        }
        HirKind::Alternation(parts) => {
            alternate(parts.iter().map(|part| describe(part, rest, depth + 1)).collect())
        }
    }
}

fn repeat(sub: Part, min: u32, max: Option<u32>) -> Part {
    let len = sub.len.and_then(|len| (max == Some(min)).then(|| len.saturating_mul(min as usize)));
    if min == 0 {
        // Optional: known exactly if it is here once or not at all.
        return match (max, sub.exact) {
            (Some(0), _) => Part::of_sets(Vec::new()),
            (Some(1), Some(mut runs)) if runs.len() < MAX_ALTERNATIVES => {
                runs.push(Run::default());
                Part::exactly(runs, len)
            }
            (Some(1), None) => {
                let heads = sub.heads.into_iter().chain([Run::default()]).collect();
                Part { heads, ..Part::opaque(len) }
            }
            _ => Part::opaque(len),
        };
    }
    let (mut heads, tails) = (sub.heads(), sub.tails());
    if max != Some(1) {
        heads.iter_mut().for_each(|head| head.goes_on = true);
    }
    let mut part = Part { exact: None, heads, tails, best: sub.best, len };
    if let Some(runs) = sub.exact {
        if let [run] = &runs[..] {
            // A few copies tell as much as many, but an exact run goes on to what follows it.
            let most = if max == Some(min) { MAX_SETS } else { EDGE };
            let copies = (min as usize).min(most / run.sets.len().max(1)).max(1);
            let all = Run { sets: run.sets.repeat(copies), ..run.clone() };
            if max == Some(min) && copies == min as usize {
                return Part { best: part.best, ..Part::exactly(vec![all], len) };
            }
            (part.heads, part.tails) = (vec![Run { goes_on: true, ..all.head() }], vec![all.tail()]);
            if let Some(anchors) = as_anchors(&[all], Some(0)) {
                part.offer(anchors);
            }
        } else if max == Some(1) {
            return Part { best: part.best, ..Part::exactly(runs, len) };
        } else if let Some(anchors) = as_anchors(&runs, Some(0)) {
            part.offer(anchors);
        }
    }
    part
}

/// What the first `count` of `parts` tell, one behind the other and with the others behind them.
fn concat(parts: &[&Hir], count: usize, depth: u32) -> Part {
    let mut whole = Part::of_sets(Vec::new());
    // What all begins with, as long as nothing that is not known came in between.
    let mut heads = None;
    // The runs under construction, and their distance from the start of the whole.
    let mut runs = vec![Run::default()];
    let mut offset = Some(0);
    for i in 0..count {
        let part = describe(parts[i], &parts[i + 1..], depth + 1);
        let (part_heads, part_tails) = (part.heads(), part.tails());
        if let Some(best) = part.best {
            let anchors = best
                .anchors
                .into_iter()
                .map(|a| Anchor { offset: a.offset.zip(whole.len).map(|(a, w)| a + w), ..a })
                .collect();
            whole.offer(Offer { anchors, ..best });
        }
        let longest = runs.iter().map(|run| run.sets.len()).max().unwrap_or(0);
        match part.exact {
            Some(next) if runs.len() * next.len() <= MAX_ALTERNATIVES && longest <= 4 * MAX_SETS => {
                runs = runs.iter().flat_map(|run| next.iter().map(|n| run.followed_by(n))).collect();
            }
            exact => {
                // The start of the part still belongs to the runs before it, and its end to those behind it.
                let mut ended = each_followed_by(&runs, &part_heads);
                let here = reach(&parts[i..]);
                let next = Run::of(first_bytes(parts[i + 1..].iter().copied()));
                let mut behind = Vec::with_capacity(ended.len());
                for run in &mut ended {
                    if run.goes_on {
                        run.reach = rarer(run.reach, here);
                        behind.push(run.clone());
                    } else {
                        behind.push(run.followed_by(&next));
                        run.goes_on = i + 1 < count;
                    }
                }
                if let Some(anchors) = as_anchors(&behind, offset) {
                    whole.offer(anchors);
                }
                // Or what all has behind it, byte by byte.
                let next = [Run::of(first_bytes(parts[i..].iter().copied()))];
                if runs.iter().all(|run| run.sets.len() >= FEW)
                    && let Some(anchors) = as_anchors(&each_followed_by(&runs, &next), offset)
                {
                    whole.offer(anchors);
                }
                heads.get_or_insert_with(|| ended.iter().map(Run::head).collect());
                let end = whole.len.zip(part.len).map(|(w, p)| w + p);
                (runs, offset) = match exact {
                    Some(next) => (next, whole.len),
                    None => {
                        let len = part_tails.first().map_or(0, |tail| tail.sets.len());
                        let is_even = part_tails.iter().all(|tail| tail.sets.len() == len);
                        (part_tails, end.filter(|_| is_even).map(|end| end - len))
                    }
                };
            }
        }
        whole.len = whole.len.zip(part.len).map(|(w, p)| w.saturating_add(p));
    }
    match heads {
        None => whole.exact = Some(runs),
        Some(heads) => {
            whole.exact = None;
            whole.heads = heads;
            whole.tails = runs.iter().map(Run::tail).collect();
            if let Some(anchors) = as_anchors(&runs, offset) {
                whole.offer(anchors);
            }
        }
    }
    whole
}

fn alternate(mut parts: Vec<Part>) -> Part {
    let len =
        parts.first().and_then(|first| parts.iter().all(|p| p.len == first.len).then_some(first.len)?);
    let count: usize = parts.iter().map(|p| p.exact.as_ref().map_or(usize::MAX / 64, Vec::len)).sum();
    if count <= MAX_ALTERNATIVES {
        let exact = parts.into_iter().filter_map(|p| p.exact).flatten().collect();
        return Part::exactly(exact, len);
    }
    let mut heads: Vec<Run> = parts.iter().flat_map(Part::heads).collect();
    let mut tails: Vec<Run> = parts.iter().flat_map(Part::tails).collect();
    if heads.len() > MAX_EDGES {
        heads = vec![united_head(&heads)];
    }
    if tails.len() > MAX_EDGES {
        tails = vec![united_tail(&tails)];
    }
    let mut best = Some(Offer { anchors: Vec::new(), frequency: 0.0, cost: 0.0 });
    for part in &mut parts {
        part.offer_exact();
        best = best.zip(part.best.take()).map(|(mut all, offer)| {
            all.anchors.extend(offer.anchors);
            Offer { frequency: all.frequency + offer.frequency, cost: all.cost + offer.cost, ..all }
        });
    }
    Part { exact: None, heads, tails, best, len }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(regex: &str, want: &[(&str, Option<usize>)]) {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(regex)
            .expect("regex");
        let got: Vec<(String, Option<usize>)> = anchors(&hir, 1.0)
            .unwrap_or_default()
            .iter()
            .map(|a| {
                let text = a.sets.iter().map(|s| match s.len() {
                    1 => char::from(s.iter().next().unwrap_or(0)).to_string(),
                    2 => char::from(s.iter().last().unwrap_or(0)).to_string(),
                    _ => "?".to_owned(),
                });
                (text.collect(), a.offset)
            })
            .collect();
        let want: Vec<(String, Option<usize>)> = want.iter().map(|(t, o)| ((*t).to_owned(), *o)).collect();
        assert_eq!(got, want, "{regex}");
    }

    #[test]
    fn literals_are_anchors_at_their_offset() {
        check(r"\bghp_[A-Za-z0-9]{36}\b", &[("ghp_????????????", Some(0))]);
        check(r"(?i)token", &[("token", Some(0))]);
        check(r"[0-9]{8,10}:AA[A-Za-z]+", &[("????????:AA?", None)]);
    }

    #[test]
    fn optional_parts_are_spelled_out() {
        check(r"api_?key", &[("api_key", Some(0)), ("apikey", Some(0))]);
    }

    #[test]
    fn what_stands_in_front_is_known() {
        let before = |regex: &str| {
            let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(regex);
            let anchors = anchors(&hir.expect("regex"), 1.0).expect("anchors");
            anchors.into_iter().map(|anchor| anchor.before).collect::<Vec<_>>()
        };
        assert_eq!(before(r"\bghp_"), [Some(WORD.complement())]);
        assert_eq!(before(r"\b(?:ghp_|gho_)"), [Some(WORD.complement()); 2]);
        assert_eq!(before(r"(?m:^)token"), [Some(ByteSet::of(b'\n'))]);
        assert_eq!(before(r"\b=token"), [None]);
        assert_eq!(before(r".*token"), [None]);
    }

    #[test]
    fn anchors_grow_where_that_makes_them_cheaper() {
        // Long enough for a token.
        check(r"\bgh_(?:[0-9]{2,4}_)?[a-z]{20}", &[("gh_?????????????", Some(0))]);
        check(r"token[0-9]{1,2}=", &[("token?", Some(0))]);
    }

    #[test]
    fn every_branch_needs_an_anchor() {
        check(r"(?:hvs|hvb)\.[A-Za-z]{20,}", &[("hvs.????????????", Some(0)), ("hvb.????????????", Some(0))]);
        check(r"(?:abc.*|.*)", &[]);
    }

    #[test]
    fn anchors_reach_over_what_lies_between() {
        let reaches = |regex: &str, text: &str| {
            let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(regex);
            let anchors = anchors(&hir.expect("regex"), 1.0).expect("anchors");
            (0..text.len())
                .any(|at| anchors.iter().any(|anchor| anchor.as_ref().stands_at(text.as_bytes(), at)))
        };
        for (regex, text, want) in [
            (r"\buser \S{1,128} (?:on|off) ", "user ada on ", true),
            (r"\buser \S{1,128} (?:on|off) ", "user ada of ", true),
            (r"\buser \S{1,128} (?:on|off) ", "user ada by ", false),
            // Over several parts, of which some may be missing.
            (r"://[^\s/:@]{0,64}(?::[^\s/@]{0,64})?@", "://ada:x@", true),
            (r"://[^\s/:@]{0,64}(?::[^\s/@]{0,64})?@", "://ada@", true),
            (r"://[^\s/:@]{0,64}(?::[^\s/@]{0,64})?@", "://host:80/a@", false),
            // No further than the parts go.
            (r"key [a-z]{1,9}=", "key abcdefghi=", true),
            (r"key [a-z]{1,9}=", "key abcdefghijklmnopqrstuvw=", false),
            // What may be in between may be what is reached.
            (r"key [a-z=]{1,9}=[0-9]", "key a=b=1", true),
            // Behind what may be missing, in a branch of its own.
            (r"(?:pwd for \S{1,99} |pwd )(?:is|was) ", "pwd for ada is ", true),
            (r"(?:pwd for \S{1,99} |pwd )(?:is|was) ", "pwd was ", true),
            (r"(?:pwd for \S{1,99} |pwd )(?:is|was) ", "pwd for ada from ", false),
            (r"\bset(?:\s{1,4}plain)?\s{1,4}pass\s", "set plain pass ", true),
            (r"\bset(?:\s{1,4}plain)?\s{1,4}pass\s", "failed pass ", false),
        ] {
            assert_eq!(reaches(regex, text), want, "{regex} in {text}");
        }
    }
}
