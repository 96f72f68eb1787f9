//! The names that rules look for: which rules know the key that ends at a word.

mod anchors;

use std::ops::Range;

use self::anchors::GLUES_FROM;
use super::key::{Key, Letter, letter, word_before};
use crate::finding::RuleIndex;
use crate::rules::{Detect, Ruleset};

pub use self::anchors::argument_anchors;

/// How many words before its own token a name may have.
const MAX_WORDS: usize = 3;

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
        // Where the last letter stood: words are parted by one byte at most, as anchors have it.
        let mut last = key.name_end;
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
            if last - at > 2 {
                return;
            }
            last = at;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::key::around;
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
        for key in ["api_key_id", "rapid_keys", "key", "api__key"] {
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
