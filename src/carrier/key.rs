//! Keys: where the name around a sensitive word starts and ends, and which words it is made of.

use std::ops::Range;

use super::escape::{self, ESC};
use crate::finding::{Link, RuleIndex};
use crate::rules::anchor::{Anchor, MAX_SETS, Reach};
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::{ALPHANUMERIC, BLANK, DIGITS, LETTERS};
use crate::rules::{Detect, KeyName, Links, Ruleset};

/// A key as written may have at most this many bytes; longer ones are read from their end.
pub(super) const MAX_KEY: usize = 96;
/// How many words before its own token a name may have.
const MAX_WORDS: usize = 3;
/// From this length on a name may be the end of a longer word (`PGPASSWORD`, `authsecret`).
const GLUES_FROM: usize = 6;
/// From this many letters on a name is looked for wherever it stands.
const FREE_FROM: usize = 4;

/// All sensitive key names, to be looked up by the last words of a key.
#[derive(Debug)]
pub struct KeyIndex {
    /// A tree of the names' letters, from the last to the first: reading ends where no name goes on.
    nodes: Vec<Node>,
    /// The nodes behind one that has several, by their letter; none is the first node.
    branches: Vec<[u32; PLACES + 1]>,
    /// The names of all nodes, node by node.
    names: Vec<Named>,
}

#[derive(Clone, Debug)]
struct Node {
    next: Next,
    /// Which of the names end here.
    names: Range<u32>,
}

/// What stands in front.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The letter at this place, and the node for it.
    One(u8, u32),
    /// One of several.
    Branch(u32),
}

/// How many letters and digits there are.
const PLACES: usize = 36;
/// What is none of them.
const NO_PLACE: u8 = PLACES as u8;

/// Which of the letters, in either case, and digits a byte is.
static PLACE: [u8; 256] = {
    let mut table = [NO_PLACE; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            letter @ b'a'..=b'z' => letter - b'a',
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'0'..=b'9' => digit - b'0' + 26,
            _ => NO_PLACE,
        };
        byte += 1;
    }
    table
};

#[derive(Clone, Copy, Debug)]
struct Named {
    rule: RuleIndex,
    whole: bool,
    /// The name is one word: it may be the end of a longer one.
    glues: bool,
}

/// A key in a line.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where the key's own token starts: no spaces, dashes of a flag left out.
    pub start: usize,
    /// One past the key, digits at its end left out.
    pub name_end: usize,
    /// One past the key.
    pub end: usize,
    /// The token starts with one or two dashes.
    pub is_flag: bool,
}

impl Key {
    /// How far back the key and words before it may reach.
    fn floor(&self) -> usize {
        self.name_end.saturating_sub(MAX_KEY)
    }

    /// The bytes of `line` that the key is made of, and the key in them.
    pub fn alone(self, line: &[u8]) -> (Box<[u8]>, Self) {
        let floor = self.floor();
        let key = Self {
            start: self.start - floor,
            name_end: self.name_end - floor,
            end: self.end - floor,
            ..self
        };
        (line[floor..self.name_end].into(), key)
    }
}

/// Bytes that may follow a key's last word: line ends, operators, what closes a string or a bracket, digits of its own.
const AFTER_KEY: ByteSet = ByteSet::of_each(b"\r\n\x1B=:>]\"'`\\\xEF").with_range(b'0', b'9');
/// A [`BLANK`] may, too, which is also the first byte of an arrow, but only if one of these is next. What only a blank
/// parts from its value is an argument: it begins with a dash or opens a tag, and is looked for from there.
const AFTER_BLANK: ByteSet = ByteSet::of_each(b" \t\r\n\x1B=:->\xEF");
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
    /// The index over all rules that detect by keys.
    pub fn new(rules: &Ruleset) -> Self {
        // The letters of each name from the last to the first, one name after the other, and where a name's are.
        let (mut letters, mut named) = (Vec::new(), Vec::new());
        for (rule, i) in rules.rules().iter().zip(0..) {
            let Detect::Keys(keyed) = &rule.detect else { continue };
            for name in &keyed.names {
                let start = letters.len();
                name.words.iter().rev().for_each(|word| letters.extend(word.bytes().rev()));
                let glues = !name.whole && name.words.len() == 1;
                named.push((start..letters.len(), Named { rule: RuleIndex(i), whole: name.whole, glues }));
            }
        }
        let mut named: Vec<(&[u8], Named)> =
            named.into_iter().map(|(place, named)| (&letters[place], named)).collect();
        named.sort_by(|one, other| one.0.cmp(other.0));
        // Of each node to come, which names go through it; those that end there come first.
        const LEAF: Node = Node { next: Next::One(NO_PLACE, 0), names: 0..0 };
        let (mut nodes, mut branches) = (vec![LEAF], Vec::new());
        let mut through = vec![(0, 0..named.len(), 0)];
        while let Some((at, range, depth)) = through.pop() {
            let ending = named[range.clone()].partition_point(|name| name.0.len() == depth);
            let mut rest = range.start + ending..range.end;
            nodes[at].names = range.start as u32..rest.start as u32;
            let has_several =
                named[rest.clone()].last().is_some_and(|last| last.0[depth] != named[rest.start].0[depth]);
            if has_several {
                nodes[at].next = Next::Branch(branches.len() as u32);
                branches.push([0; PLACES + 1]);
            }
            while let Some(letter) = named[rest.clone()].first().map(|name| name.0[depth]) {
                let same = named[rest.clone()].partition_point(|name| name.0[depth] == letter);
                let next = nodes.len() as u32;
                let place = PLACE[usize::from(letter)];
                match nodes[at].next {
                    Next::One(..) => nodes[at].next = Next::One(place, next),
                    Next::Branch(branch) => branches[branch as usize][usize::from(place)] = next,
                }
                through.push((nodes.len(), rest.start..rest.start + same, depth + 1));
                nodes.push(LEAF);
                rest.start += same;
            }
        }
        Self { nodes, branches, names: named.into_iter().map(|(_, named)| named).collect() }
    }

    /// Anchors for all names: one of them stands at the end of every key that is in the index, but for those of arguments.
    /// With each is given how many of its bytes stand behind the key.
    pub fn anchors(rules: &Ruleset, mut found: impl FnMut(Anchor, usize)) {
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
                        found(Anchor { reach: reach.clone(), ..anchor }, sets.len());
                    });
                }
            }
        }
    }

    /// The node in front of `node` for the letter or digit at `place`.
    #[inline(always)]
    fn next(&self, node: &Node, place: u8) -> Option<&Node> {
        let next = match node.next {
            Next::One(only, next) if only == place => next,
            Next::One(..) => return None,
            Next::Branch(branch) => self.branches[branch as usize][usize::from(place)],
        };
        (next != 0).then(|| &self.nodes[next as usize])
    }

    /// The rules that know the key of `line`, in no order; each is given at most a few times.
    /// `anchor_len` is how many bytes of the key the anchor saw.
    pub fn rules_for(&self, line: &[u8], key: &Key, anchor_len: usize, mut found: impl FnMut(RuleIndex)) {
        let mut node = &self.nodes[0];
        let mut count = 0;
        // Words before the key, for names that are written with spaces.
        let mut words = 0;
        let (mut from, mut at) = (key.start, key.name_end);
        loop {
            if at == from {
                let word = if words < MAX_WORDS { word_before(line, from, key.floor()) } else { None };
                let Some(word) = word else { return };
                words += 1;
                (from, at) = (word.start, word.end);
            }
            at -= 1;
            let place = PLACE[usize::from(line[at])];
            if place == NO_PLACE {
                continue;
            }
            let Some(next) = self.next(node, place) else { return };
            node = next;
            count += 1;
            if node.names.is_empty() {
                continue;
            }
            let is_word = at == from || {
                match (letter(line[at - 1]), letter(line[at])) {
                    (Letter::None, _) => true,
                    (Letter::Upper, Letter::Upper) => {
                        at + 1 < key.name_end && line[at + 1].is_ascii_lowercase()
                    }
                    (_, Letter::Upper) => true,
                    (Letter::Digit, letter) => letter != Letter::Digit,
                    _ => false,
                }
            };
            for named in &self.names[node.names.start as usize..node.names.end as usize] {
                // Alone in its quotes or before its operator: the whole token, or the whole token and words before.
                let is_whole = || {
                    at <= key.start || line[key.start..at].iter().all(|&byte| letter(byte) == Letter::None)
                };
                // The end of a longer word.
                let is_end = || named.glues && (GLUES_FROM..=anchor_len).contains(&count);
                if if is_word { !named.whole || is_whole() } else { is_end() } {
                    found(named.rule);
                }
            }
        }
    }
}

/// What may stand behind a key, with what may stand in front of it then.
struct Behind {
    before: ByteSet,
    sets: Vec<ByteSet>,
    reach: Option<Box<Reach>>,
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
    let form = Behind { reach: Some(Box::new(to_next)), ..behind(&[equals]) };
    let parted = behind(&[equals, ByteSet::of_each(b" \t\x1B\\=>")]);
    all.extend([first, form, parted]);
    all
}

/// Anchors for a name that is spelled so, with all that may stand in front of it, if that is in `before`.
fn each_start(name: &KeyName, before: ByteSet, sets: &[ByteSet], found: &mut impl FnMut(Anchor)) {
    let from = sets.len().saturating_sub(MAX_SETS);
    let anchor = || Anchor::of(&sets[from..]);
    if from > 0 || is_free(name) {
        found(anchor());
    } else if name.whole {
        found(Anchor { before: Some(before.intersection(ALPHANUMERIC.complement())), ..anchor() });
    } else {
        // A word starts behind what is no letter, or with a capital.
        let capital = sets[0].iter().filter(u8::is_ascii_uppercase).fold(ByteSet::NONE, ByteSet::with);
        if !capital.is_empty() {
            let mut sets = sets.to_vec();
            sets[0] = capital;
            found(Anchor::new(sets));
        }
        found(Anchor { before: Some(LETTERS.complement()), ..anchor() });
    }
}

/// Anchors for arguments: where a flag or a tag begins that has a blank and something else behind its name. See
/// [`argument`].
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

/// Where the name of the flag or tag ends that begins at `at`.
pub fn argument_end(line: &[u8], at: usize) -> usize {
    let is_tag = line[at] == b'<';
    let reach = line[at + 1..].iter().take(MAX_KEY);
    at + 1 + reach.take_while(|&&byte| is_key_byte(byte) || (is_tag && byte == b':')).count()
}

/// The last word of the flag or tag that begins at `at`, with and without digits at its end, if nothing but a blank
/// follows it: no other anchor stands there.
pub fn argument(line: &[u8], at: usize) -> impl Iterator<Item = Range<usize>> {
    let end = argument_end(line, at);
    let follows = |at: usize, set: ByteSet| line.get(at).is_some_and(|&byte| set.has(byte));
    let is_blank = follows(end, BLANK) && !follows(end + 1, AFTER_BLANK);
    let digits = line[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let ends = [Some(end), (1..=4).contains(&digits).then(|| end - digits)];
    ends.into_iter().flatten().filter(move |_| is_blank).filter_map(move |end| {
        let letters = line[at + 1..end].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        (letters > 0).then_some(end - letters..end)
    })
}

/// The key whose last word ends at `word_end`, or `None` if no key ends there.
pub fn around(line: &[u8], word: Range<usize>) -> Option<Key> {
    let name_end = word.end;
    let mut end = name_end;
    while line.get(end).is_some_and(u8::is_ascii_digit) && end - name_end < 4 {
        end += 1;
    }
    match line.get(end) {
        Some(b) if b.is_ascii_alphanumeric() || *b == b'_' => return None,
        Some(b'-') if line.get(end + 1) != Some(&b'>') => return None,
        _ => {}
    }
    let floor = word.end.saturating_sub(MAX_KEY);
    let mut start = word.start;
    while start > floor && is_key_byte(line[start - 1]) {
        start -= 1;
    }
    // `\n` or `\t` in front of a key are an escape, not its first letter. (`\a` is rather one in a path.)
    if start > 0
        && line[start - 1] == b'\\'
        && matches!(line[start], b'n' | b'r' | b't' | b'b' | b'f')
        && start < word.start
    {
        start += 1;
    }
    // Nor are the last letters of a colour that is written out.
    if start > 0 && matches!(line[start - 1], b'[' | b';' | b':') {
        let end = escape::any_sequence_end(line, start);
        start = if end <= word.start { end } else { start };
    }
    let dashes = line[start..word.end].iter().take_while(|&&b| b == b'-').count();
    let is_flag = dashes > 0;
    while start < word.start && matches!(line[start], b'-' | b'.') {
        start += 1;
    }
    let key = Key { start, name_end, end, is_flag };
    let has_letter = line[start..name_end].iter().rev().any(|&byte| letter(byte) != Letter::None);
    (has_letter || word_before(line, start, key.floor()).is_some()).then_some(key)
}

/// The letters in front of the space right before `at`, if they start behind `floor`.
fn word_before(line: &[u8], at: usize, floor: usize) -> Option<Range<usize>> {
    let space = at.checked_sub(1).filter(|&i| line[i] == b' ')?;
    let letters = line.get(floor..space)?.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let first = space - letters;
    (first < space && first > floor).then_some(first..space)
}

/// Whether the name's anchors may stand wherever a key ends with its letters, also inside a word: it is long enough to
/// be rare anyway. (Names of one word are that of longer words, too: [`GLUES_FROM`] is no shorter than [`FREE_FROM`].)
fn is_free(name: &KeyName) -> bool {
    !name.whole && name.words.iter().map(|word| word.len()).sum::<usize>() >= FREE_FROM
}

/// What a byte is to the words of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    None,
    Lower,
    Upper,
    Digit,
}

fn letter(byte: u8) -> Letter {
    LETTER[usize::from(byte)]
}

static LETTER: [Letter; 256] = {
    let mut table = [Letter::None; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => Letter::Lower,
            b'A'..=b'Z' => Letter::Upper,
            b'0'..=b'9' => Letter::Digit,
            _ => Letter::None,
        };
        byte += 1;
    }
    table
};

fn is_key_byte(byte: u8) -> bool {
    IN_KEY[usize::from(byte)]
}

static IN_KEY: [bool; 256] = KEY_BYTES.table();

/// What the token of a key is made of.
pub(super) const KEY_BYTES: ByteSet =
    ByteSet::of_each(b"_-.").with_range(b'a', b'z').with_range(b'A', b'Z').with_range(b'0', b'9');

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleFile;

    fn check(key: &str, names: &str, want: bool) {
        let text = format!("[[rules]]\nid=\"a\"\nkeys=[{names}]\n");
        let rules = Ruleset::load(false, &[RuleFile { name: "t", text: &text }]).expect("rules");
        let index = KeyIndex::new(&rules);
        let line = format!("{key}=");
        let mut found = false;
        KeyIndex::anchors(&rules, |anchor, behind| {
            let len = anchor.sets.len() - behind;
            for at in 0..line.len() {
                if anchor.stands_at(line.as_bytes(), at)
                    && let Some(key) = around(line.as_bytes(), at..at + len)
                {
                    index.rules_for(line.as_bytes(), &key, len, |_| found = true);
                }
            }
        });
        assert_eq!(found, want, "{key}");
    }

    #[test]
    fn last_words_decide() {
        for key in [
            "password",
            "db_password",
            "userPassword",
            "DB-PASSWORD",
            "Admin Password",
            "password2",
            "PGPASSWORD",
        ] {
            check(key, "\"password\"", true);
        }
        for key in ["password_policy", "passwords", "passwordPolicy", "password-hash"] {
            check(key, "\"password\"", false);
        }
    }

    #[test]
    fn several_words_in_any_spelling() {
        for key in ["api_key", "X-Api-Key", "stripeApiKey", "API KEY", "apikey", "APIKey"] {
            check(key, "\"api_key\"", true);
        }
        for key in ["api_key_id", "rapid_keys", "key"] {
            check(key, "\"api_key\"", false);
        }
    }

    #[test]
    fn whole_keys() {
        check("code", "\"=code\"", true);
        check("Code", "\"=code\"", true);
        check("exit_code", "\"=code\"", false);
        check("exitCode", "\"=code\"", false);
        check("barcode", "\"=code\"", false);
    }
}
