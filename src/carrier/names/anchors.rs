//! Where keys of these names may end, as anchors.

use super::KeyIndex;
use crate::carrier::escape::ESC;
use crate::carrier::key::{AFTER_BLANK, KEY_BYTES};
use crate::finding::Link;
use crate::rules::anchor::{Anchor, AnchorRef, MAX_SETS, Reach};
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::{ALPHANUMERIC, BLANK, DIGITS, LETTERS};
use crate::rules::{Detect, KeyName, Links, Ruleset};

/// From this length on a name may be the end of a longer word (`PGPASSWORD`, `authsecret`).
pub(super) const GLUES_FROM: usize = 6;
/// From this many letters on a name is looked for wherever it stands.
const FREE_FROM: usize = 4;
/// Bytes that may follow a key's last word: line ends, operators, what closes a string or a bracket, digits of its own.
const AFTER_KEY: ByteSet = ByteSet::of_each(b"\r\n\x1B=:>]\"'`\\\xEF").with_range(b'0', b'9');
/// What stands between a key and its value.
const ASSIGNS: ByteSet = ByteSet::of_each(b"=:");
/// What a value may begin with that is no plain one: it is quoted, in brackets, behind a longer operator or a colour.
const OPENS: ByteSet = ByteSet::of_each(b"\t\x1B\\\"'`[({<=>+bBuUrRnN");
/// What a property of YAML begins with.
const PROPERTY: ByteSet = ByteSet::of_each(b"!&");
const QUOTES: ByteSet = ByteSet::of_each(b"\"'`");
/// What stands in front of a field of a query, if its name is all of it but for what may part words; and line ends.
const BEFORE_FIELD: ByteSet = ByteSet::of_each(b"?&#;_-.\n");
/// What always ends a value without quotes.
const ENDS_BARE: ByteSet = ByteSet::of_each(b" \t\r\x0B\x0C\x1B\0");
/// What may stand between the words of a key.
const BETWEEN_WORDS: ByteSet = ByteSet::of_each(b"_-. /");

impl KeyIndex {
    /// Anchors for all names: one of them stands at the end of every key that is in the index, but for those of arguments.
    /// With each is given how many of its bytes stand behind the key.
    pub fn anchors(rules: &Ruleset, mut found: impl FnMut(AnchorRef<'_>, usize)) {
        let mut names: Vec<(&KeyName, Asked)> = Vec::new();
        for rule in rules.rules() {
            if let Detect::Keys(keyed) = &rule.detect {
                let is_query = keyed.carriers == Links::NONE.with(Link::Query);
                let is_long = keyed.least() >= LONG;
                names.extend(keyed.names.iter().map(|name| (name, Asked { is_query, is_long })));
            }
        }
        names.sort_unstable_by_key(|(name, _)| (&name.words, name.whole));
        // The whole key is also the end of a key; what one rule does not take another may.
        names.dedup_by(|(name, asked), (known, all)| {
            let is_same = name.words == known.words;
            if is_same {
                *all = all.or(*asked);
            }
            is_same
        });
        let known = |words: &[Box<str>]| {
            names.binary_search_by_key(&words, |(name, _)| &name.words).ok().map(|found| names[found])
        };
        let mut spelled = Vec::new();
        for &(name, asked) in &names {
            let (words, gaps) = (&name.words, name.words.len() - 1);
            // The shorter names that it ends with, by the gap in front of them, whose anchors stand behind a key wherever
            // its own would.
            let ends: Vec<(usize, &KeyName)> = (0..gaps)
                .filter_map(|gap| known(&words[gap + 1..]).map(|(end, of_end)| (gap, end, of_end)))
                .filter(|&(.., of_end)| of_end.or(asked) == of_end)
                .map(|(gap, end, _)| (gap, end))
                .collect();
            let behind = behind(name, asked);
            // With something between all words, and with nothing between any; mixed spellings both ways at each gap.
            for spelling in 0..1u32 << gaps.min(3) {
                let is_spaced = |gap: usize| spelling >> gap.min(2) & 1 == 1;
                // What ends with another name stands where the other's anchor does.
                if ends.iter().any(|&(gap, end)| is_free(end) || (is_spaced(gap) && !end.whole)) {
                    continue;
                }
                spelled.clear();
                for (i, word) in words.iter().enumerate() {
                    if i > 0 && is_spaced(i - 1) {
                        spelled.push(BETWEEN_WORDS);
                    }
                    spelled.extend(word.bytes().map(ByteSet::caseless));
                }
                let len = spelled.len();
                for Behind { before, sets, reach } in &behind {
                    spelled.truncate(len);
                    spelled.extend(sets);
                    each_start(name, *before, &spelled, &mut |anchor| {
                        found(AnchorRef { reach: reach.as_ref(), ..anchor }, sets.len());
                    });
                }
            }
        }
    }
}

/// What may stand behind a key, with what may stand in front of it then.
struct Behind {
    before: ByteSet,
    sets: Vec<ByteSet>,
    reach: Option<Reach>,
}

/// What all rules of a name ask of the values that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// To be a field of a query.
    is_query: bool,
    /// To have at least [`LONG`] bytes.
    is_long: bool,
}

/// As many bytes as a value without quotes surely has in a row where its rule wants that many: the name of a scheme, as
/// in `token abc`, is no shorter.
const LONG: usize = 3;

impl Asked {
    /// What is asked for by both.
    fn or(self, other: Self) -> Self {
        Self { is_query: self.is_query && other.is_query, is_long: self.is_long && other.is_long }
    }
}

/// What may stand behind a key of this name.
fn behind(name: &KeyName, asked: Asked) -> Vec<Behind> {
    let behind = |sets: &[ByteSet]| Behind { before: ByteSet::ANY, sets: sets.to_vec(), reach: None };
    let blank = ByteSet::of(b' ');
    if asked.is_query {
        return behind_of_query(name);
    }
    let spaced = behind(&[BLANK, AFTER_BLANK]);
    // Other names are rare enough, and those of several words have many spellings.
    if !asked.is_long || is_free(name) || name.words.len() > 1 {
        return vec![behind(&[AFTER_KEY]), spaced];
    }
    // `code=0`: a value that is neither quoted nor in brackets must be long enough.
    let bare = ENDS_BARE.complement();
    let plain = bare.intersection(OPENS.complement());
    let node = plain.intersection(PROPERTY.complement());
    vec![
        behind(&[AFTER_KEY.intersection(ASSIGNS.complement())]),
        spaced,
        behind(&[ASSIGNS, OPENS]),
        behind(&[ASSIGNS, plain, bare, bare]),
        behind(&[ASSIGNS, blank, OPENS.union(PROPERTY).union(blank)]),
        behind(&[ASSIGNS, blank, node, bare, bare]),
    ]
}

/// The same where all rules look at queries alone.
fn behind_of_query(name: &KeyName) -> Vec<Behind> {
    let behind = |sets: &[ByteSet]| Behind { before: ByteSet::ANY, sets: sets.to_vec(), reach: None };
    // A field of a query has an equals sign, if quotes and the like are left aside.
    let equals = ByteSet::of(b'=');
    let others = ByteSet::of_each(b"]\x1B").union(DIGITS);
    let (blank, behind_quote) = (ByteSet::of_each(b" \t"), ByteSet::of_each(b"=]\x1B\\"));
    let behind_blank = blank.union(behind_quote);
    let slash = ByteSet::of(b'\\');
    let mut all = vec![
        behind(&[others]),
        behind(&[QUOTES, behind_quote]),
        behind(&[slash, QUOTES, behind_quote]),
        behind(&[QUOTES, blank, behind_blank]),
        behind(&[slash, QUOTES, blank, behind_blank]),
        behind(&[slash, QUOTES.complement()]),
        behind(&[BLANK, BLANK.with(ESC).with(b'=')]),
    ];
    if !name.whole {
        all.push(behind(&[equals]));
        return all;
    }
    // It begins a query or stands behind another field. Else it is the first field of a form, with another one behind
    // its value.
    let first = Behind { before: BEFORE_FIELD, ..behind(&[equals]) };
    let to_next = Reach::new(ENDS_BARE.with(b'&').complement(), ByteSet::of(b'&'));
    let form = Behind { reach: Some(to_next), ..behind(&[equals]) };
    let parted = behind(&[equals, ByteSet::of_each(b" \t\x1B\\=>")]);
    all.extend([first, form, parted]);
    all
}

/// Anchors for a name that is spelled so, with all that may stand in front of it, if that is in `before`.
fn each_start(name: &KeyName, before: ByteSet, sets: &[ByteSet], found: &mut impl FnMut(AnchorRef<'_>)) {
    let from = sets.len().saturating_sub(MAX_SETS);
    let anchor = AnchorRef { sets: &sets[from..], before: None, reach: None };
    if from > 0 || is_free(name) {
        found(anchor);
    } else if name.whole {
        found(AnchorRef { before: Some(before.intersection(ALPHANUMERIC.complement())), ..anchor });
    } else {
        // A word starts behind what is no letter, or with a capital.
        let capital = sets[0].iter().filter(u8::is_ascii_uppercase).fold(ByteSet::NONE, ByteSet::with);
        if !capital.is_empty() {
            let mut sets = sets.to_vec();
            sets[0] = capital;
            found(AnchorRef { sets: &sets, ..anchor });
        }
        found(AnchorRef { before: Some(LETTERS.complement()), ..anchor });
    }
}

/// Anchors for arguments: where a flag or a tag begins that has a blank and something else behind its name. See
/// [`argument`](crate::carrier::key::argument).
pub fn argument_anchors() -> [Anchor; 4] {
    let blank = BLANK.intersection(KEY_BYTES.complement());
    let to_blank = |over: ByteSet| {
        let reach = Reach::new(over, blank);
        Some(Box::new(Reach { then: [AFTER_BLANK.complement(), ByteSet::ANY, ByteSet::ANY], ..reach }))
    };
    let flag = |rest: &[ByteSet]| Anchor {
        before: Some(KEY_BYTES.complement()),
        reach: to_blank(KEY_BYTES),
        ..Anchor::new([&[ByteSet::of(b'-')], rest].concat())
    };
    let in_tag = KEY_BYTES.with(b':');
    let tag = |rest: &[ByteSet]| Anchor {
        reach: to_blank(in_tag),
        ..Anchor::new([&[ByteSet::of(b'<')], rest].concat())
    };
    // A digit alone is no name: `<1 ms`.
    [flag(&[LETTERS]), flag(&[ByteSet::of(b'-'), KEY_BYTES]), tag(&[LETTERS]), tag(&[DIGITS, in_tag])]
}

/// Whether the name's anchors may stand wherever a key ends with its letters, also inside a word: it is long enough to
/// be rare anyway. (Names of one word are that of longer words, too: [`GLUES_FROM`] is no shorter than [`FREE_FROM`].)
fn is_free(name: &KeyName) -> bool {
    !name.whole && name.words.iter().map(|word| word.len()).sum::<usize>() >= FREE_FROM
}
