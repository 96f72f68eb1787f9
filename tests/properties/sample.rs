//! Strings that a regex matches, drawn at random from its parsed form.
//!
//! Look-around is not obeyed: a string may turn out not to match. Whoever draws tries the regex on it.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A random number generator (Sebastiano Vigna's SplitMix64): the same seed, the same strings.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

/// The regex as the rules read it: bytes, with Unicode on only where it is needed.
pub(crate) fn parse(source: &str) -> Hir {
    let parse = |unicode| {
        regex_syntax::ParserBuilder::new().unicode(unicode).utf8(false).build().parse(source).map_err(|_| ())
    };
    parse(false).ok().or_else(|| parse(true).ok()).expect("a loaded rule's regex parses")
}

/// Appends a string that `hir` matches.
pub(crate) fn sample(hir: &Hir, draw: &mut Draw, out: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Bytes(class)) => {
            // Mostly bytes that logs have.
            for attempt in 0..8 {
                let range = draw.pick(class.ranges());
                let width = usize::from(range.end() - range.start()) + 1;
                let byte = range.start() + draw.below(width) as u8;
                if attempt == 7 || matches!(byte, b' '..=b'~') {
                    out.push(byte);
                    break;
                }
            }
        }
        HirKind::Class(Class::Unicode(class)) => {
            let range = draw.pick(class.ranges());
            let width = (range.end() as u32 - range.start() as u32) as usize + 1;
            let code = range.start() as u32 + draw.below(width) as u32;
            let letter = char::from_u32(code).unwrap_or(range.start());
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        HirKind::Capture(capture) => sample(&capture.sub, draw, out),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.map_or(4, |max| (max - repetition.min).min(4));
            let times = repetition.min as usize + draw.below(most as usize + 1);
            (0..times).for_each(|_| sample(&repetition.sub, draw, out));
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| sample(part, draw, out)),
        HirKind::Alternation(parts) => sample(draw.pick(parts), draw, out),
    }
}
