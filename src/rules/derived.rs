//! What the built-in rules' regexes are known to be, so that starting need not parse them: a regex is parsed and compiled
//! when a candidate first asks for it.
//!
//! `patterns/derived.txt` holds it, one line per regex, made by [`text`]. A test compares the two; a regex that the file
//! does not know is read as any other, so that a stale file costs time and nothing else.

use std::fmt::Write;
use std::sync::LazyLock;

use super::anchor::{Anchor, MAX_SETS, Reach};
use super::byte_set::ByteSet;
use super::pattern::Facts;

/// The file.
pub const FILE: &str = include_str!("../../patterns/derived.txt");

/// The file's lines.
#[derive(Default)]
struct Lines {
    /// By their numbers.
    sets: Vec<ByteSet>,
    /// With the hash of each regex, in the order of hashes.
    regexes: Vec<(u64, &'static str)>,
}

static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let mut lines = Lines::default();
    for line in FILE.lines() {
        match line.split_once(' ') {
            Some(("set", hex)) => lines.sets.extend(ByteSet::from_hex(hex)),
            Some((hash, rest)) => {
                lines.regexes.extend(u64::from_str_radix(hash, 16).ok().map(|hash| (hash, rest)));
            }
            None => {}
        }
    }
    lines
});

/// What is known of a regex.
pub(super) fn of(source: &str) -> Option<Facts> {
    let Lines { sets, regexes } = &*LINES;
    let line = regexes.binary_search_by_key(&hash(source), |regex| regex.0).ok()?;
    let mut fields = Fields(regexes[line].1.as_bytes());
    let unicode = fields.takes(b'u');
    let is_known = unicode || fields.takes(b'b');
    let mut next = || fields.takes(b' ').then(|| fields.number())?;
    let (groups, min_len, max_len, states) = (next()??, next()??, next()?, next()??);
    let anchors = if fields.0 == b" -" { None } else { Some(anchors(&mut fields, sets)?) };
    is_known.then_some(Facts { unicode, groups, min_len, max_len, states, anchors })
}

fn anchors(fields: &mut Fields<'_>, sets: &[ByteSet]) -> Option<Vec<Anchor>> {
    let mut anchors = Vec::with_capacity(memchr::memchr_iter(b';', fields.0).count() + 1);
    // Room for the sets of the longest.
    let mut room = Vec::with_capacity(MAX_SETS);
    while fields.takes(if anchors.is_empty() { b' ' } else { b';' }) {
        let set = |number: Option<usize>| sets.get(number?).copied();
        let offset = fields.number()?;
        let before = fields.takes(b',').then(|| fields.number())??;
        let before = if before.is_some() { Some(set(before)?) } else { None };
        room.clear();
        while fields.takes(if room.is_empty() { b',' } else { b'.' }) {
            room.push(set(fields.number()?)?);
        }
        let mut reach = None;
        if fields.takes(b',') {
            let over = set(fields.number()?)?;
            let mut next = || fields.takes(b'.').then(|| fields.number())?;
            let to = set(next()?)?;
            let then = [set(next()?)?, set(next()?)?, set(next()?)?];
            let most = next()?;
            let most = if most.is_some() { Some(u8::try_from(most?).ok()?) } else { None };
            reach = Some(Box::new(Reach { over, to, then, most }));
        }
        anchors.push(Anchor { sets: room.clone(), before, reach, offset });
    }
    fields.0.is_empty().then_some(anchors)
}

/// What is left of a line.
struct Fields<'l>(&'l [u8]);

impl Fields<'_> {
    /// Whether it goes on with `byte`, which is read then.
    fn takes(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A number, or `-` for none; the outer `None` is what is neither.
    fn number(&mut self) -> Option<Option<usize>> {
        if self.takes(b'-') {
            return Some(None);
        }
        let mut number = None;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            number = Some(number.unwrap_or(0usize).checked_mul(10)?.checked_add(usize::from(digit - b'0'))?);
            self.0 = rest;
        }
        number.map(Some)
    }
}

/// The file for these regexes.
pub fn text<'s>(sources: impl Iterator<Item = &'s str>) -> String {
    let mut sets: Vec<ByteSet> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut number_of = |set: &ByteSet| {
        sets.iter().position(|known| known == set).unwrap_or_else(|| {
            sets.push(*set);
            sets.len() - 1
        })
    };
    let or_none = |number: Option<usize>| number.map_or("-".to_owned(), |number| number.to_string());
    for source in sources {
        let Ok(facts) = Facts::of(source) else { continue };
        let anchors: Vec<String> = facts
            .anchors
            .iter()
            .flatten()
            .map(|anchor| {
                let numbers: Vec<String> = anchor.sets.iter().map(|set| number_of(set).to_string()).collect();
                let before = or_none(anchor.before.as_ref().map(&mut number_of));
                let reach =
                    anchor.reach.as_deref().map_or(String::new(), |&Reach { over, to, then, most }| {
                        let [over, to] = [over, to].map(|set| number_of(&set));
                        let [one, two, three] = then.map(|set| number_of(&set));
                        format!(",{over}.{to}.{one}.{two}.{three}.{}", or_none(most.map(usize::from)))
                    });
                format!("{},{before},{}{reach}", or_none(anchor.offset), numbers.join("."))
            })
            .collect();
        let anchors = if anchors.is_empty() { "-".to_owned() } else { anchors.join(";") };
        let unicode = if facts.unicode { "u" } else { "b" };
        let Facts { groups, min_len, states, .. } = facts;
        let max_len = or_none(facts.max_len);
        lines.push(format!(
            "{:016x} {unicode} {groups} {min_len} {max_len} {states} {anchors}\n",
            hash(source)
        ));
    }
    lines.sort_unstable();
    lines.dedup();
    let mut text =
        "# Derived from the regexes of the files beside it, so that starting need not parse them.\n\
        # Made by: UPDATE=1 cargo test --locked what_is_known_of_regexes\n"
            .to_owned();
    for set in &sets {
        let _ = writeln!(text, "set {}", set.to_hex());
    }
    text + &lines.concat()
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Detect, Ruleset};

    #[test]
    fn what_is_written_is_read() {
        let rules = Ruleset::builtin();
        let mut with_anchors = 0;
        for rule in rules.rules() {
            let pattern = match &rule.detect {
                Detect::Regex { pattern, .. } | Detect::Lines { pattern, .. } => pattern,
                Detect::Keys(keyed) => match &keyed.pattern {
                    Some(pattern) => pattern,
                    None => continue,
                },
            };
            let known = of(pattern.source()).expect(&rule.id);
            let derived = Facts::of(pattern.source()).expect(&rule.id);
            with_anchors += usize::from(known.anchors.is_some());
            assert_eq!(format!("{known:?}"), format!("{derived:?}"), "{}", rule.id);
            assert_eq!(known.anchors, derived.anchors, "{}", rule.id);
        }
        assert!(with_anchors > 100, "{with_anchors}");
    }
}
