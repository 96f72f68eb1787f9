//! What the built-in rules' regexes are known to be, so that starting need not parse them: a regex is parsed and compiled
//! when a candidate first asks for it.
//!
//! `patterns/derived.txt` holds it, one line per regex, made by [`text`]. A test compares the two; a regex that the file
//! does not know is read as any other, so that a stale file costs time and nothing else.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use super::anchor::{Anchor, Reach};
use super::byte_set::ByteSet;
use super::pattern::Facts;

/// The file.
pub const FILE: &str = include_str!("../../patterns/derived.txt");

/// Sets by their number, and the line of each regex by its hash.
static KNOWN: LazyLock<(Vec<ByteSet>, HashMap<u64, &str>)> = LazyLock::new(|| {
    let mut known = (Vec::new(), HashMap::new());
    for line in FILE.lines() {
        match line.split_once(' ') {
            Some(("set", hex)) => known.0.extend(ByteSet::from_hex(hex)),
            Some((hash, rest)) => {
                known.1.extend(u64::from_str_radix(hash, 16).ok().map(|hash| (hash, rest)));
            }
            None => {}
        }
    }
    known
});

/// What is known of a regex.
pub(super) fn of(source: &str) -> Option<Facts> {
    let (sets, lines) = &*KNOWN;
    let mut fields = lines.get(&hash(source))?.split(' ');
    let unicode = fields.next()? == "u";
    let groups = fields.next()?.parse().ok()?;
    let max_len = number(fields.next()?)?;
    let states = fields.next()?.parse().ok()?;
    let anchors = match fields.next()? {
        "-" => None,
        list => Some(list.split(';').map(|text| anchor(text, sets)).collect::<Option<Vec<Anchor>>>()?),
    };
    Some(Facts { unicode, groups, max_len, states, anchors })
}

fn anchor(text: &str, sets: &[ByteSet]) -> Option<Anchor> {
    let mut fields = text.split(',');
    let offset = number(fields.next()?)?;
    let set = |text: &str| sets.get(text.parse::<usize>().ok()?).copied();
    let before = match fields.next()? {
        "-" => None,
        text => Some(set(text)?),
    };
    let sets = fields.next()?.split('.').map(set).collect::<Option<_>>()?;
    let reach = match fields.next() {
        None => None,
        Some(text) => {
            let mut sets = text.split('.').map(set);
            Some(Reach { over: sets.next()??, to: sets.next()??, then: sets.next()?? })
        }
    };
    Some(Anchor { sets, before, reach, offset })
}

/// A number, or `-` for none; the outer `None` is what is neither.
fn number(text: &str) -> Option<Option<usize>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
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
                let reach = anchor.reach.map_or(String::new(), |Reach { over, to, then }| {
                    let [over, to, then] = [over, to, then].map(|set| number_of(&set));
                    format!(",{over}.{to}.{then}")
                });
                format!("{},{before},{}{reach}", or_none(anchor.offset), numbers.join("."))
            })
            .collect();
        let anchors = if anchors.is_empty() { "-".to_owned() } else { anchors.join(";") };
        let unicode = if facts.unicode { "u" } else { "b" };
        let (groups, states, max_len) = (facts.groups, facts.states, or_none(facts.max_len));
        lines.push(format!("{:016x} {unicode} {groups} {max_len} {states} {anchors}\n", hash(source)));
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
