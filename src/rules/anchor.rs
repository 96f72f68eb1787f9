//! Anchors: short byte patterns of which every match of a rule holds at least one.
//!
//! The prefilter looks for anchors only; a rule runs where one of its anchors fired.
//! That is sound if no match can exist without an anchor inside it, which holds by construction for anchors
//! derived here and is held against the regex by a property test.
//!
//! An anchor is a sequence of byte sets rather than a literal, so that letter case, separators and "ends here"
//! need no extra patterns.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A set of byte values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSet([u64; 4]);

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ByteSet({})", self.len())
    }
}

impl ByteSet {
    /// No byte.
    pub const NONE: Self = Self([0; 4]);
    /// Every byte.
    pub const ANY: Self = Self([u64::MAX; 4]);

    /// Only `byte`.
    pub const fn of(byte: u8) -> Self {
        Self::NONE.with(byte)
    }

    /// This set and `byte`.
    pub const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// This set and every byte from `first` to `last`.
    pub const fn with_range(mut self, first: u8, last: u8) -> Self {
        let mut byte = first;
        loop {
            self = self.with(byte);
            if byte >= last {
                return self;
            }
            byte += 1;
        }
    }

    /// This set without `byte`.
    pub const fn without(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] &= !(1 << (byte & 63));
        self
    }

    /// `byte` in both cases, if it is a letter.
    pub const fn caseless(byte: u8) -> Self {
        Self::of(byte.to_ascii_lowercase()).with(byte.to_ascii_uppercase())
    }

    /// Whether `byte` is in the set.
    #[inline]
    pub const fn has(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// What is in either set.
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// How many bytes are in the set.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|w| w.count_ones()).sum()
    }

    /// Whether no byte is in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The bytes of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..4u8).flat_map(move |word| {
            let mut bits = self.0[word as usize];
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros() as u8;
                    bits &= bits - 1;
                    word * 64 + bit
                })
            })
        })
    }

    /// How often a byte of the set turns up in logs, between 0 and 1.
    pub fn frequency(&self) -> f32 {
        if let [0, letters, 0, 0] = self.0
            && letters.count_ones() == 1
        {
            return FREQUENCY[64 + letters.trailing_zeros() as usize];
        }
        if *self == Self::ANY { 1.0 } else { self.iter().map(|b| FREQUENCY[b as usize]).sum() }
    }
}

/// A rough share of each byte in log text. Only the choice of anchors rests on it, never what is found.
static FREQUENCY: [f32; 256] = {
    let mut table = [0.0002; 256];
    let order = b"etaoinsrhldcumfpgwybvkxjqz";
    let mut i = 0;
    while i < order.len() {
        table[order[i] as usize] = 0.055 - 0.002 * i as f32;
        table[(order[i] - 32) as usize] = 0.009 - 0.0003 * i as f32;
        i += 1;
    }
    i = b'0' as usize;
    while i <= b'9' as usize {
        table[i] = 0.025;
        i += 1;
    }
    table[b' ' as usize] = 0.1;
    table[b'.' as usize] = 0.03;
    table[b':' as usize] = 0.025;
    table[b'-' as usize] = 0.02;
    table[b'"' as usize] = 0.03;
    table[b'/' as usize] = 0.02;
    table[b'_' as usize] = 0.012;
    table[b'=' as usize] = 0.008;
    table[b',' as usize] = 0.012;
    table[b'\n' as usize] = 0.008;
    table
};

/// How many sets an anchor keeps.
const MAX_SETS: usize = 16;
/// How many alternatives one part of a regex may spell out before it is left to its neighbours.
const MAX_ALTERNATIVES: usize = 24;

/// A byte pattern that every match holds (one of a rule's anchors, not all).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Anchor {
    /// What each byte may be; 1 to 16 sets.
    pub sets: Vec<ByteSet>,
    /// How far behind the start of the match the anchor starts, where that is the same for every match.
    pub offset: Option<usize>,
}

impl Anchor {
    /// A literal, ignoring ASCII case.
    pub fn caseless(text: &[u8]) -> Self {
        Self { sets: text.iter().take(MAX_SETS).map(|&b| ByteSet::caseless(b)).collect(), offset: None }
    }

    /// Where to look first: the start of the rarest run of up to four sets.
    pub fn rarest_window(&self) -> usize {
        rarest(&self.sets, WINDOW, WINDOW).0
    }

    /// How often the anchor turns up at a byte of log text, between 0 and 1, were bytes independent.
    pub fn frequency(&self) -> f32 {
        self.sets.iter().map(ByteSet::frequency).product()
    }

    /// How often the prefilter has to look closer for it: the frequency of its rarest window.
    fn cost(&self) -> f32 {
        rarest(&self.sets, WINDOW, WINDOW).1
    }

    /// Whether the anchor stands at `at`.
    #[inline]
    pub fn stands_at(&self, text: &[u8], at: usize) -> bool {
        text.len() - at.min(text.len()) >= self.sets.len()
            && self.sets.iter().zip(&text[at..]).all(|(set, &byte)| set.has(byte))
    }
}

/// How many bytes the prefilter looks at at once.
pub const WINDOW: usize = 4;

/// Where the rarest window of `sets` starts, and how often it turns up. Of the windows that fit, stretches of `len`
/// sets are compared by the rarest window inside them.
fn rarest(sets: &[ByteSet], window: usize, len: usize) -> (usize, f32) {
    let shares: Vec<f32> = sets.iter().map(ByteSet::frequency).collect();
    let windows: Vec<f32> = if shares.len() <= window {
        vec![shares.iter().product()]
    } else {
        shares.windows(window).map(|w| w.iter().product()).collect()
    };
    let best = |from: usize| {
        let to = windows.len().min(from + len.saturating_sub(window) + 1);
        windows[from..to].iter().copied().fold(f32::INFINITY, f32::min)
    };
    let last = sets.len().saturating_sub(len);
    (0..=last.min(windows.len() - 1))
        .map(|from| (from, best(from)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, 1.0))
}

/// Anchors of a regex, or `None` where no part of it is telling enough (`limit` is the highest frequency taken).
pub fn derive(hir: &Hir, limit: f32) -> Option<Vec<Anchor>> {
    let mut walk = describe(hir, 0);
    walk.offer_exact();
    walk.best.filter(|best| frequency(best) <= limit)
}

fn frequency(anchors: &[Anchor]) -> f32 {
    anchors.iter().map(Anchor::frequency).sum()
}

/// What a part of a regex tells: all it can match, if that is little, and the best anchors inside it.
struct Part {
    /// Every string the part matches, as sequences of sets; `None` if there are too many.
    exact: Option<Vec<Vec<ByteSet>>>,
    /// Anchors one of which stands in every match of the part; offsets are relative to the part's start.
    best: Option<Vec<Anchor>>,
    /// The part's length, if every match has the same.
    len: Option<usize>,
}

impl Part {
    fn of_sets(sets: Vec<ByteSet>) -> Self {
        Self { len: Some(sets.len()), exact: Some(vec![sets]), best: None }
    }

    fn opaque(len: Option<usize>) -> Self {
        Self { exact: None, best: None, len }
    }

    fn offer(&mut self, anchors: Vec<Anchor>) {
        let cost = |anchors: &[Anchor]| -> f32 { anchors.iter().map(Anchor::cost).sum() };
        let better = match &self.best {
            Some(best) => {
                // Of anchors that cost the same (but for rounding) the rarer.
                let (new, old) = (cost(&anchors), cost(best));
                new < 0.99 * old || (new < 1.01 * old && frequency(&anchors) < frequency(best))
            }
            None => true,
        };
        if better {
            self.best = Some(anchors);
        }
    }

    /// Lets what is known exactly compete as anchors.
    fn offer_exact(&mut self) {
        if let Some(anchors) = self.exact.as_ref().and_then(|runs| as_anchors(runs, Some(0))) {
            self.offer(anchors);
        }
    }
}

fn as_anchors(runs: &[Vec<ByteSet>], offset: Option<usize>) -> Option<Vec<Anchor>> {
    if runs.is_empty() || runs.iter().any(Vec::is_empty) {
        return None;
    }
    let cut = |run: &Vec<ByteSet>| {
        // Of a long run the rarest stretch is kept.
        let from = if run.len() > MAX_SETS { rarest(run, WINDOW, MAX_SETS).0 } else { 0 };
        Anchor { sets: run[from..run.len().min(from + MAX_SETS)].to_vec(), offset: offset.map(|o| o + from) }
    };
    Some(runs.iter().map(cut).collect())
}

fn describe(hir: &Hir, depth: u32) -> Part {
    if depth > 64 {
        return Part::opaque(None);
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part::of_sets(Vec::new()),
        HirKind::Literal(literal) => Part::of_sets(literal.0.iter().map(|&b| ByteSet::of(b)).collect()),
        HirKind::Class(class) => match byte_set(class) {
            Some(set) => Part::of_sets(vec![set]),
            None => Part::opaque(None),
        },
        HirKind::Capture(capture) => describe(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => {
            let sub = describe(&repetition.sub, depth + 1);
            repeat(sub, repetition.min, repetition.max)
        }
        HirKind::Concat(parts) => concat(parts.iter().map(|part| describe(part, depth + 1))),
        HirKind::Alternation(parts) => {
            alternate(parts.iter().map(|part| describe(part, depth + 1)).collect())
        }
    }
}

fn byte_set(class: &Class) -> Option<ByteSet> {
    match class {
        Class::Bytes(class) => Some(
            class
                .ranges()
                .iter()
                .fold(ByteSet::NONE, |set, range| set.with_range(range.start(), range.end())),
        ),
        Class::Unicode(class) => class.ranges().iter().try_fold(ByteSet::NONE, |set, range| {
            range.end().is_ascii().then(|| set.with_range(range.start() as u8, range.end() as u8))
        }),
    }
}

fn repeat(sub: Part, min: u32, max: Option<u32>) -> Part {
    let len = sub.len.and_then(|len| (max == Some(min)).then(|| len.saturating_mul(min as usize)));
    if min == 0 {
        // Optional: known exactly if it is here once or not at all.
        let exact = match (max, sub.exact) {
            (Some(0), _) => Some(vec![Vec::new()]),
            (Some(1), Some(mut runs)) if runs.len() < MAX_ALTERNATIVES => {
                runs.push(Vec::new());
                Some(runs)
            }
            _ => None,
        };
        return Part { exact, best: None, len };
    }
    let mut part = Part { exact: None, best: sub.best, len };
    if let Some(runs) = sub.exact {
        if runs.len() == 1 {
            // A few copies tell as much as many, but an exact run goes on to what follows it.
            let most = if max == Some(min) { MAX_SETS } else { 2 * WINDOW };
            let copies = (min as usize).min(most / runs[0].len().max(1)).max(1);
            let run = runs[0].repeat(copies);
            if max == Some(min) && copies == min as usize {
                return Part { exact: Some(vec![run]), best: part.best, len };
            }
            if let Some(anchors) = as_anchors(&[run], Some(0)) {
                part.offer(anchors);
            }
        } else if max == Some(1) {
            return Part { exact: Some(runs), best: part.best, len };
        } else if let Some(anchors) = as_anchors(&runs, Some(0)) {
            part.offer(anchors);
        }
    }
    part
}

fn concat(parts: impl Iterator<Item = Part>) -> Part {
    let mut whole = Part { exact: Some(vec![Vec::new()]), best: None, len: Some(0) };
    // The run under construction, and its distance from the start of the whole.
    let mut run: Vec<Vec<ByteSet>> = vec![Vec::new()];
    let mut run_offset = Some(0);
    for part in parts {
        if let Some(best) = part.best {
            let moved = best
                .into_iter()
                .map(|a| Anchor { offset: a.offset.zip(whole.len).map(|(a, w)| a + w), ..a })
                .collect();
            whole.offer(moved);
        }
        match part.exact {
            Some(runs)
                if run.len() * runs.len() <= MAX_ALTERNATIVES
                    && run.iter().map(Vec::len).max() <= Some(4 * MAX_SETS) =>
            {
                run =
                    run.iter().flat_map(|head| runs.iter().map(|tail| [&head[..], tail].concat())).collect();
            }
            other => {
                if let Some(anchors) = as_anchors(&run, run_offset) {
                    whole.offer(anchors);
                }
                whole.exact = None;
                run_offset = match other {
                    Some(_) => whole.len,
                    None => whole.len.zip(part.len).map(|(w, p)| w + p),
                };
                run = other.unwrap_or_else(|| vec![Vec::new()]);
            }
        }
        whole.len = whole.len.zip(part.len).map(|(w, p)| w.saturating_add(p));
    }
    if whole.exact.is_some() {
        whole.exact = Some(run);
    } else if let Some(anchors) = as_anchors(&run, run_offset) {
        whole.offer(anchors);
    }
    whole
}

fn alternate(mut parts: Vec<Part>) -> Part {
    let len =
        parts.first().and_then(|first| parts.iter().all(|p| p.len == first.len).then_some(first.len)?);
    let count: usize = parts.iter().map(|p| p.exact.as_ref().map_or(usize::MAX / 64, Vec::len)).sum();
    if count <= MAX_ALTERNATIVES {
        let exact = parts.into_iter().filter_map(|p| p.exact).flatten().collect();
        return Part { exact: Some(exact), best: None, len };
    }
    let mut best = Some(Vec::new());
    for part in &mut parts {
        part.offer_exact();
        best = best.zip(part.best.take()).map(|(mut all, anchors)| {
            all.extend(anchors);
            all
        });
    }
    Part { exact: None, best, len }
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
        let got: Vec<(String, Option<usize>)> = derive(&hir, 1.0)
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
        check(r"\bghp_[A-Za-z0-9]{36}\b", &[("ghp_", Some(0))]);
        check(r"(?i)token", &[("token", Some(0))]);
        check(r"[0-9]{8,10}:AA[A-Za-z]+", &[(":AA", None)]);
    }

    #[test]
    fn optional_parts_are_spelled_out() {
        check(r"api_?key", &[("api_key", Some(0)), ("apikey", Some(0))]);
    }

    #[test]
    fn every_branch_needs_an_anchor() {
        check(r"(?:hvs|hvb)\.[A-Za-z]{20,}", &[("hvs.", Some(0)), ("hvb.", Some(0))]);
        check(r"(?:abc.*|.*)", &[]);
    }
}
