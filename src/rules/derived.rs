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
        let offset = fields.number()?;
        let before = if fields.takes(b',') { fields.set_or_none(sets) } else { None }?;
        fields.takes(b',').then(|| fields.sets(sets, &mut room))??;
        let own = room[..].into();
        let mut reach = None;
        if fields.takes(b',') {
            fields.sets(sets, &mut room)?;
            let [over, to, one, two, three] = room[..] else { return None };
            let then = [one, two, three];
            let most = if fields.takes(b'.') { Some(u8::try_from(fields.number()??).ok()?) } else { None };
            reach = Some(Box::new(Reach { over, to, then, most }));
        }
        anchors.push(Anchor { sets: own, before, reach, offset });
    }
    fields.0.is_empty().then_some(anchors)
}

/// Sets are numbered by two of these.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What each byte is as a digit; what is none is more than any number has.
static VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut i = 0;
    while i < DIGITS.len() {
        values[DIGITS[i] as usize] = i as u8;
        i += 1;
    }
    values
};

fn number_of_set(digits: [u8; 2]) -> usize {
    let [high, low] = digits.map(|digit| usize::from(VALUES[usize::from(digit)]));
    DIGITS.len() * high + low
}

/// The digits of a set's number, if there are enough of them.
fn digits_of_set(number: usize) -> Option<String> {
    let digits = [DIGITS.get(number / DIGITS.len())?, &DIGITS[number % DIGITS.len()]];
    Some(digits.iter().map(|&&digit| char::from(digit)).collect())
}

/// What is left of a line.
struct Fields<'l>(&'l [u8]);

impl Fields<'_> {
    /// Whether it goes on with `byte`, which is read then.
    fn takes(&mut self, byte: u8) -> bool {
        let takes = self.0.first() == Some(&byte);
        self.0 = &self.0[usize::from(takes)..];
        takes
    }

    /// A number, or `-` for none; the outer `None` is what is neither.
    fn number(&mut self) -> Option<Option<usize>> {
        if self.takes(b'-') {
            return Some(None);
        }
        let (mut number, mut len) = (0, 0);
        // Nothing here has more digits.
        while let Some(digit @ b'0'..=b'9') = self.0.get(len).filter(|_| len < 9) {
            number = number * 10 + usize::from(digit - b'0');
            len += 1;
        }
        self.0 = &self.0[len..];
        (len > 0).then_some(Some(number))
    }

    /// The sets of a list, at least one.
    fn sets(&mut self, known: &[ByteSet], sets: &mut Vec<ByteSet>) -> Option<()> {
        let len = self.0.iter().position(|byte| matches!(byte, b',' | b';' | b'.')).unwrap_or(self.0.len());
        let (list, rest) = self.0.split_at(len);
        self.0 = rest;
        let (numbers, rest) = list.as_chunks();
        sets.clear();
        for &digits in numbers {
            sets.push(*known.get(number_of_set(digits))?);
        }
        (rest.is_empty() && !sets.is_empty()).then_some(())
    }

    /// A set, or `-` for none; the outer `None` is what is neither.
    fn set_or_none(&mut self, known: &[ByteSet]) -> Option<Option<ByteSet>> {
        if self.takes(b'-') {
            return Some(None);
        }
        let (&digits, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        known.get(number_of_set(digits)).copied().map(Some)
    }
}

/// The file for these regexes.
pub fn text<'s>(sources: impl Iterator<Item = &'s str>) -> String {
    let mut sets: Vec<ByteSet> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut digits_of = |set: &ByteSet| {
        digits_of_set(sets.iter().position(|known| known == set).unwrap_or_else(|| {
            sets.push(*set);
            sets.len() - 1
        }))
    };
    let or_none = |number: Option<usize>| number.map_or("-".to_owned(), |number| number.to_string());
    for source in sources {
        let Ok(facts) = Facts::of(source) else { continue };
        let mut list = |sets: &[ByteSet]| sets.iter().map(&mut digits_of).collect::<Option<String>>();
        let mut written = |anchor: &Anchor| {
            let before = anchor.before.map_or(Some("-".to_owned()), |set| list(&[set]))?;
            let reach = match anchor.reach.as_deref() {
                Some(&Reach { over, to, then: [one, two, three], most }) => {
                    let most = most.map_or(String::new(), |most| format!(".{most}"));
                    format!(",{}{most}", list(&[over, to, one, two, three])?)
                }
                None => String::new(),
            };
            Some(format!("{},{before},{}{reach}", or_none(anchor.offset), list(&anchor.sets)?))
        };
        let anchors: Option<Vec<String>> = facts.anchors.iter().flatten().map(&mut written).collect();
        // Where there are more sets than numbers, starting takes longer.
        let Some(anchors) = anchors else { continue };
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
                Detect::Learned => continue,
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
