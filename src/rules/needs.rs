//! What every match of a regex needs: bytes that are quickly looked for, before the regex is run.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::byte_set::ByteSet;

/// How deep into a regex is looked.
const MAX_DEPTH: u32 = 64;

/// Conditions that hold for every match of a regex. They tell only where there is none.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    /// What a match starts with.
    first: ByteSet,
    /// What stands at the start of the text that is searched, at its end.
    opens: ByteSet,
    closes: ByteSet,
    /// A byte of each is in the match.
    inside: [Sought; 2],
}

/// A set of which a byte is looked for.
#[derive(Clone, Copy, Debug)]
struct Sought {
    set: ByteSet,
    /// Its bytes, if they are few.
    few: Option<[u8; 3]>,
}

impl Sought {
    const ANYTHING: Self = Self { set: ByteSet::ANY, few: None };

    fn new(set: ByteSet) -> Self {
        let mut bytes = set.iter();
        let few = bytes.next().map(|one| {
            let second = bytes.next().unwrap_or(one);
            [one, second, bytes.next().unwrap_or(second)]
        });
        Self { set, few: few.filter(|_| set.len() <= 3) }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        match self.few {
            Some([a, b, _]) if a == b => memchr::memchr(a, text).is_some(),
            Some([a, b, c]) => memchr::memchr3(a, b, c, text).is_some(),
            None => text.iter().any(|&byte| self.set.has(byte)),
        }
    }
}

impl Needs {
    /// What the matches of `hir`, none of which is empty, need.
    pub(super) fn of(hir: &Hir) -> Self {
        let first = edge(hir, true, 0).known();
        let (before, behind) = (hir.properties().look_set_prefix(), hir.properties().look_set_suffix());
        let last = || edge(hir, false, 0).known();
        let [one, other] = inside(hir, 0);
        let sought = |set: Option<ByteSet>| set.map_or(Sought::ANYTHING, Sought::new);
        Self {
            first,
            opens: if before.contains(Look::Start) { first } else { ByteSet::ANY },
            closes: if behind.contains(Look::End) { last() } else { ByteSet::ANY },
            inside: [sought(one), sought(other)],
        }
    }

    /// Needs nothing.
    pub(super) fn nothing() -> Self {
        let any = ByteSet::ANY;
        Self { first: any, opens: any, closes: any, inside: [Sought::ANYTHING; 2] }
    }

    /// Whether a match could start at the start of `text`.
    pub(super) fn allow_at(&self, text: &[u8]) -> bool {
        text.first().is_some_and(|&byte| self.first.has(byte))
            && self.inside.iter().all(|sought| sought.is_in(text))
    }

    /// Whether a match could be in `text`.
    #[inline]
    pub(super) fn allow_in(&self, text: &[u8]) -> bool {
        let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return false };
        self.opens.has(first) && self.closes.has(last) && self.inside.iter().all(|sought| sought.is_in(text))
    }
}

/// The bytes that a part of a regex can start (or end) with.
struct Edge {
    set: ByteSet,
    /// The part may be empty: then what is beside it is the edge.
    is_optional: bool,
}

impl Edge {
    fn known(self) -> ByteSet {
        if self.is_optional { ByteSet::ANY } else { self.set }
    }
}

fn edge(hir: &Hir, at_start: bool, depth: u32) -> Edge {
    if depth > MAX_DEPTH {
        return Edge { set: ByteSet::ANY, is_optional: true };
    }
    let next = |hir: &Hir| edge(hir, at_start, depth + 1);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Edge { set: ByteSet::NONE, is_optional: true },
        HirKind::Literal(literal) => {
            let byte = if at_start { literal.0.first() } else { literal.0.last() };
            Edge { set: byte.map_or(ByteSet::ANY, |&byte| ByteSet::of(byte)), is_optional: false }
        }
        HirKind::Class(class) => Edge { set: bytes_of(class), is_optional: false },
        HirKind::Repetition(repetition) => {
            let sub = next(&repetition.sub);
            Edge { is_optional: sub.is_optional || repetition.min == 0, ..sub }
        }
        HirKind::Capture(capture) => next(&capture.sub),
        HirKind::Concat(parts) => {
            let mut all = Edge { set: ByteSet::NONE, is_optional: true };
            let mut add = |part: &Hir| {
                if all.is_optional {
                    let part = next(part);
                    all = Edge { set: all.set.union(part.set), is_optional: part.is_optional };
                }
            };
            if at_start {
                parts.iter().for_each(&mut add)
            } else {
                parts.iter().rev().for_each(&mut add)
            }
            all
        }
        HirKind::Alternation(parts) => {
            parts.iter().map(next).fold(Edge { set: ByteSet::NONE, is_optional: false }, |all, part| Edge {
                set: all.set.union(part.set),
                is_optional: all.is_optional || part.is_optional,
            })
        }
    }
}

/// How little a set tells: letters and digits are in any text.
fn commonness(set: &ByteSet) -> f32 {
    const WORD: f32 = 10.0;
    set.frequency() * if set.iter().any(|byte| byte.is_ascii_alphanumeric()) { WORD } else { 1.0 }
}

/// The most telling sets of each of which every match of a part holds a byte.
fn inside(hir: &Hir, depth: u32) -> [Option<ByteSet>; 2] {
    if depth > MAX_DEPTH {
        return [None; 2];
    }
    let most_telling = |sets: &mut dyn Iterator<Item = ByteSet>| {
        let mut best: [Option<ByteSet>; 2] = [None; 2];
        for set in sets.filter(|set| *set != ByteSet::ANY) {
            let is_better =
                |than: Option<ByteSet>| than.is_none_or(|than| commonness(&set) < commonness(&than));
            if is_better(best[0]) {
                best = [Some(set), best[0]];
            } else if best[0] != Some(set) && is_better(best[1]) {
                best[1] = Some(set);
            }
        }
        best
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => [None; 2],
        HirKind::Literal(literal) => most_telling(&mut literal.0.iter().map(|&byte| ByteSet::of(byte))),
        HirKind::Class(class) => [Some(bytes_of(class)), None],
        HirKind::Repetition(repetition) if repetition.min == 0 => [None; 2],
        HirKind::Repetition(repetition) => inside(&repetition.sub, depth + 1),
        HirKind::Capture(capture) => inside(&capture.sub, depth + 1),
        HirKind::Concat(parts) => {
            most_telling(&mut parts.iter().flat_map(|part| inside(part, depth + 1)).flatten())
        }
        HirKind::Alternation(parts) => {
            let any = parts
                .iter()
                .try_fold(ByteSet::NONE, |all, part| Some(all.union(inside(part, depth + 1)[0]?)));
            [any, None]
        }
    }
}

/// The bytes that characters of a class are made of; of those beyond ASCII, any.
fn bytes_of(class: &Class) -> ByteSet {
    match class {
        Class::Bytes(class) => {
            class.ranges().iter().fold(ByteSet::NONE, |set, range| set.with_range(range.start(), range.end()))
        }
        Class::Unicode(class) => class.ranges().iter().fold(ByteSet::NONE, |set, range| {
            let (start, end) = (range.start() as u32, range.end() as u32);
            let set = if start < 0x80 { set.with_range(start as u8, end.min(0x7F) as u8) } else { set };
            if end >= 0x80 { set.with_range(0x80, 0xFF) } else { set }
        }),
    }
}
