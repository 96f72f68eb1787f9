//! What the first bytes of a regex's matches may be, place by place, over all its branches.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::byte_set::ByteSet;

/// How many bytes are known of what a match begins with, at most.
const FIRST: usize = 32;
/// How many steps are taken to know them.
const STEPS: u32 = 4096;

/// What each of the first bytes of a match of `parts`, one behind the other, may be, as far as every match goes.
pub(super) fn first_bytes<'h>(parts: impl IntoIterator<Item = &'h Hir>) -> Vec<ByteSet> {
    let mut walk = FirstBytes { sets: [ByteSet::NONE; FIRST], steps: STEPS };
    let ends = parts.into_iter().fold(1, |starts, part| walk.go(part, starts, 0));
    if walk.steps == 0 {
        return Vec::new();
    }
    walk.sets[..(ends.trailing_zeros() as usize).min(FIRST)].to_vec()
}

/// The bytes that matches are made of.
pub(super) fn all_bytes(hir: &Hir, depth: u32) -> ByteSet {
    let each =
        |parts: &[Hir]| parts.iter().fold(ByteSet::NONE, |all, part| all.union(all_bytes(part, depth + 1)));
    match hir.kind() {
        _ if depth > 64 => ByteSet::ANY,
        HirKind::Empty | HirKind::Look(_) => ByteSet::NONE,
        HirKind::Literal(literal) => literal.0.iter().fold(ByteSet::NONE, |all, &byte| all.with(byte)),
        HirKind::Class(class) => byte_set(class).unwrap_or(ByteSet::ANY),
        HirKind::Capture(capture) => all_bytes(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => all_bytes(&repetition.sub, depth + 1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => each(parts),
    }
}

struct FirstBytes {
    sets: [ByteSet; FIRST],
    /// How many steps may still be taken.
    steps: u32,
}

impl FirstBytes {
    /// Notes the bytes of a part that starts behind so many bytes of the match, a bit for each number; gives where it
    /// ends.
    fn go(&mut self, hir: &Hir, starts: u32, depth: u32) -> u32 {
        self.steps = if depth > 64 { 0 } else { self.steps.saturating_sub(1) };
        if self.steps == 0 || starts == 0 {
            return 0;
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => starts,
            HirKind::Literal(literal) => {
                literal.0.iter().fold(starts, |starts, &byte| self.note(starts, ByteSet::of(byte)))
            }
            HirKind::Class(class) => match byte_set(class) {
                Some(set) => self.note(starts, set),
                // A character beyond ASCII has up to four bytes.
                None => {
                    (0..4)
                        .fold((0, starts), |(ends, starts), _| {
                            let end = self.note(starts, ByteSet::ANY);
                            (ends | end, end)
                        })
                        .0
                }
            },
            HirKind::Capture(capture) => self.go(&capture.sub, starts, depth + 1),
            HirKind::Concat(parts) => {
                parts.iter().fold(starts, |starts, part| self.go(part, starts, depth + 1))
            }
            HirKind::Alternation(parts) => {
                parts.iter().fold(0, |ends, part| ends | self.go(part, starts, depth + 1))
            }
            HirKind::Repetition(repetition) => {
                let (mut now, mut ends) = (starts, if repetition.min == 0 { starts } else { 0 });
                // What may be empty adds nothing after so many times.
                for i in 1..=repetition.max.unwrap_or(u32::MAX).min(FIRST as u32 + repetition.min) {
                    now = self.go(&repetition.sub, now, depth + 1);
                    if now == 0 {
                        break;
                    }
                    if i >= repetition.min {
                        ends |= now;
                    }
                }
                ends
            }
        }
    }

    fn note(&mut self, starts: u32, set: ByteSet) -> u32 {
        for (i, known) in self.sets.iter_mut().enumerate() {
            if starts >> i & 1 == 1 {
                *known = known.union(set);
            }
        }
        starts << 1
    }
}

/// The bytes of a class, if all its characters are ASCII or bytes.
pub(super) fn byte_set(class: &Class) -> Option<ByteSet> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_of_all_matches_are_known() {
        let check = |regex: &str, want: &[&str]| {
            let hir = regex_syntax::ParserBuilder::new().unicode(true).utf8(false).build().parse(regex);
            let got = first_bytes([&hir.expect("regex")]);
            let text = |set: &ByteSet| set.iter().map(char::from).collect::<String>();
            assert_eq!(got.iter().map(text).collect::<Vec<_>>(), want, "{regex}");
        };
        check("a(?:b|cd)e{2,3}", &["a", "bc", "de", "e"]);
        check(r"\bx?(yz)*y", &["xy"]);
        check("(?:a{0,3}){2,}bb", &["ab", "ab"]);
        check("a{40}", &["a"; FIRST]);
        check("(?:(?:(?:(?:a{1,64}){1,64}){1,64}){1,64}){1,64}", &[]);
        check("", &[]);
        let hir = regex_syntax::parse("é=").expect("regex");
        assert_eq!(first_bytes([&hir]).len(), 3);
        assert_eq!(first_bytes([&regex_syntax::parse("[é-ü]=").expect("regex")]).len(), 2);
    }
}
